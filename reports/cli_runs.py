"""The commands about stored runs, and the report that is made of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairprint.probes.errors import UsageError
from fairprint.reports import options as o

if TYPE_CHECKING:
    from fairprint.audit.store import RunFolder

app = typer.Typer(help="List, show and export stored runs.", no_args_is_help=True)


@app.command("list")
def runs_list(store: o.Store = o.DEFAULT_STORE, as_json: o.Json = False) -> None:
    """List the stored runs, oldest first."""
    from fairprint.audit.store import Store
    from fairprint.reports.terminal import print_rows

    rows = []
    for run in Store(store).runs():
        plan = run.plan()
        rows.append(
            {
                "run": run.run_id,
                "status": run.record().status if run.finished else "unfinished",
                "model": plan.model.name,
                "dtype": plan.model.dtype,
                "probe sets": ", ".join(plan.probe_hashes),
            }
        )
    print_rows(rows, title=f"runs in {store}", as_json=as_json)


@app.command("show")
def runs_show(run: o.Run, store: o.Store = o.DEFAULT_STORE, as_json: o.Json = False) -> None:
    """Show a stored run as the closing table of its audit, or as JSON."""
    record = finished(run, store).record()
    if as_json:
        from fairprint.audit.records import to_json

        typer.echo(to_json(record), nl=False)
        return
    from fairprint.reports.closing import closing

    closing(record)


@app.command("scores")
def runs_scores(
    run: o.Run,
    store: o.Store = o.DEFAULT_STORE,
    csv: Annotated[
        bool, typer.Option("--csv", help="All rows as CSV on stdout; without it only the first ones.")
    ] = False,
) -> None:
    """Export the scores of a run, finished or not: one row for each number that the model gave."""
    from fairprint.audit.store import Store
    from fairprint.reports.terminal import print_scores

    print_scores(Store(store).find(run), whole=csv)


def report(
    runs: Annotated[
        list[str], typer.Argument(help="Run ids, or latest, or an old report's .html; several come side by side.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file to write.")],
    store: o.Store = o.DEFAULT_STORE,
) -> None:
    """Write an HTML file about stored runs."""
    check_output(output)
    report_on(runs, store, output)
    typer.echo(f"report  {output}", err=True)


def report_on(runs: Sequence[str], store: Path, output: Path) -> None:
    """Write the report of some runs; their sentences with all scores go into a file beside it."""
    from fairprint.reports.html import embedded_records, write_report

    records, folders = [], []
    for run in runs:
        if run.endswith(".html"):
            records += embedded_records(Path(run))
            continue
        folders.append(finished(run, store))
        records.append(folders[-1].record())
    write_report(records, output, folders)


def check_output(path: Path) -> None:
    """Refuse a place that cannot be written before hours of work, not after."""
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir():
        raise UsageError(f"{path} cannot be written: " + ("it is a folder" if path.is_dir() else f"no folder {folder}"))


def finished(run: str, store: Path) -> "RunFolder":
    """Return a finished run of a store.

    Raises:
        UsageError: there is no such run, or it is not finished.
    """
    from fairprint.audit.store import Store

    folder = Store(store).find(run)
    folder.check_finished()
    return folder
