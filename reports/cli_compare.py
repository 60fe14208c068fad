"""The command that compares two stored runs."""

from pathlib import Path
from typing import Annotated

import typer

from fairprint.reports import options as o
from fairprint.reports.cli_runs import check_output

EPILOG = (
    "Example: fairprint audit MODEL; fairprint audit TUNED-MODEL; fairprint runs list; "
    "fairprint compare RUN_OF_MODEL RUN_OF_TUNED_MODEL --report comparison.html. "
    "Exit codes: 0 compared, whatever was found; 2 the runs cannot be compared, and why; 3 a run cannot be read."
)


def compare(
    run_a: Annotated[str, typer.Argument(metavar="RUN_A", help="Run before the change: its id, or the end of it.")],
    run_b: Annotated[str, typer.Argument(metavar="RUN_B", help="Run after it; differences are RUN_B minus RUN_A.")],
    probes: Annotated[
        list[str] | None,
        typer.Option("--probes", metavar="NAME", help="Compare this set alone; repeat for several. Default: all."),
    ] = None,
    store: o.Store = o.DEFAULT_STORE,
    report: Annotated[Path | None, typer.Option("--report", help="Write an HTML page of the comparison here.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Show all metrics and categories, not the main ones.")] = False,
    as_json: o.Json = False,
) -> None:
    """Compare two stored runs of the same questions, item by item.

    Each difference has a paired interval, a q-value over all tests of the comparison, and a verdict: moved away from
    neutral, towards it, better, worse, or not shown. Beside it stands whether the model still writes as well. Runs that
    did not ask the same in the same way are refused, with the reason. Nothing is stored, and no model is loaded.
    """
    if report is not None:
        check_output(report)
    from fairprint.audit.compare import compare as compare_runs
    from fairprint.audit.store import Store

    runs = Store(store)
    record = compare_runs(runs.find(run_a), runs.find(run_b), probes or ())
    if report is not None:
        from fairprint.reports.comparison_page import write_comparison

        write_comparison(record, report)
    if as_json:
        from fairprint.audit.records import to_json

        typer.echo(to_json(record), nl=False)
    else:
        from fairprint.reports.comparison_table import print_comparison

        print_comparison(record, every=every)
    if report is not None:
        typer.echo(f"report  {report}", err=True)
