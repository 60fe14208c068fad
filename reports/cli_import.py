"""The command that brings runs of elsewhere into the store."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from fairprint.reports import options as o

if TYPE_CHECKING:
    from fairprint.audit.metered import Purpose

EPILOG = (
    "Examples: fairprint runs import ../laptop/fairprint-runs; fairprint runs import output/emissions.csv --purpose "
    "fine-tuning --task topics. A run that is there already with the same content is skipped, with other content it is "
    "an error; all sources are read before anything is written. Of CodeCarbon, rows of one run_id are one run, whose "
    "last row is its total: they are never added up. A PUE in the energy of the source is divided out and kept. "
    "Exit codes: 0 done, also where all was there already; 2 wrong usage, a damaged source, or other content: nothing "
    "was written; 3 a record could not be read, or a run could not be written."
)


def runs_import(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...",
            help="The folder of another store; CodeCarbon's emissions.csv, or the folder it lies in; a log of "
            "carbontracker, or a folder of logs.",
        ),
    ],
    store: o.Store = o.DEFAULT_STORE,
    format_: Annotated[
        str | None,
        typer.Option("--format", help="store, codecarbon or carbontracker. Default: recognised by the content."),
    ] = None,
    purpose: o.Purpose = None,
    task: o.Task = "",
    name: Annotated[
        str | None, typer.Option("--name", help="Of runs that another program metered. Default: their project's.")
    ] = None,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Take runs without a record, and logs that break off, as well.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be imported; write nothing.")] = False,
    as_json: o.Json = False,
) -> None:
    """Bring runs of another store, of CodeCarbon or of carbontracker into the store.

    Runs of a store are copied whole, byte for byte. What another program metered becomes a metered run: its energy at
    the machine, with an interval as wide as the poorest sensor that it may come from, and no more than its file tells.
    """
    from fairprint.audit.imported import Said
    from fairprint.audit.importing import carry_out, plan_import
    from fairprint.reports import imported_runs
    from fairprint.reports.terminal import print_rows
    from fairprint.reports.text import clean, json_for_log, safe_for_log

    said = Said(purpose=cast("Purpose | None", purpose), task=task, name=name)
    runs = plan_import(sources, store, said=said, given=format_, unfinished=unfinished)
    if not dry_run:
        carry_out(runs, store)
    if as_json:
        typer.echo(json_for_log(imported_runs.as_json(runs, store, dry_run=dry_run)))
        return
    print_rows(imported_runs.rows(runs, dry_run=dry_run), title=f"runs for {store}", as_json=False)
    for text in (*imported_runs.remarks(runs), imported_runs.counted(runs, dry_run=dry_run)):
        typer.echo(safe_for_log(clean(text)), err=True)
