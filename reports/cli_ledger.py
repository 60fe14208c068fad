"""The command that adds up what a project cost."""

import json
from pathlib import Path
from typing import Annotated

import typer

from fairprint.reports import options as o
from fairprint.reports.cli_runs import check_output

EPILOG = (
    "Example: fairprint ledger -o ledger.html. Runs say what they were for with --purpose and --task of fairprint "
    "meter, or purpose= and task= of measure and meter_trainer; run.note_quality says how good a model became. "
    "Exit codes: 0 told; 2 wrong usage, such as a trial that is not there; 3 a record could not be read, the rest is "
    "told."
)


def ledger(
    store: o.Store = o.DEFAULT_STORE,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write an HTML page of the ledger here as well.")
    ] = None,
    best: Annotated[
        list[str] | None,
        typer.Option(
            "--best",
            metavar="TRIAL",
            help="The best trial of its search, as TRIAL or RUN/TRIAL, where no quality was noted or another one "
            "counts; repeat for several searches.",
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option("--metric", help="By which the best trials are found. Default: what most of them noted."),
    ] = None,
    final: Annotated[
        list[str] | None,
        typer.Option(
            "--final",
            metavar="RUN",
            help="A run that made a final model; repeat for several. Default: complete runs for pretraining, training "
            "from scratch or fine-tuning.",
        ),
    ] = None,
    as_json: o.Json = False,
) -> None:
    """Add up what all runs of a project cost: trainings, searches and audits, failed and pruned ones too.

    What two meters of one machine measured at once counts once. Each search has an overhead factor, the energy of all
    its trials over that of the best one, and so has the project; models stand in a picture of quality against CO2e,
    with what each step to a better one costs. Every total has an interval in which one sensor errs alike in all runs.
    """
    if output is not None:
        check_output(output)
    from fairprint.audit.ledger import ledger as add_up
    from fairprint.audit.ledger_runs import read_runs
    from fairprint.probes.errors import StoreError
    from fairprint.reports.ledger_views import unreadable

    found = add_up(*read_runs(store), best=best or (), final=final or (), metric=metric)
    if output is not None:
        from fairprint.reports.ledger_page import write_ledger

        write_ledger(found, output)
    if as_json:
        from fairprint.reports.ledger_data import as_data
        from fairprint.reports.text import json_for_log

        typer.echo(json_for_log(json.dumps(as_data(found), indent=1, ensure_ascii=False, allow_nan=False)))
    else:
        from fairprint.reports.ledger_table import print_ledger

        print_ledger(found)
    if output is not None:
        typer.echo(f"ledger  {output}", err=True)
    if damaged := unreadable(found):
        raise StoreError(f"{', '.join(damaged)}: not counted, since the record cannot be read")
