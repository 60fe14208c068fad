"""The commands about stored runs, and the report that is made of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairprint.probes.errors import UsageError
from fairprint.reports import options as o

if TYPE_CHECKING:
    from fairprint.audit.metered_store import MeteredFolder
    from fairprint.audit.store import RunFolder

app = typer.Typer(help="List, show, export, recover, recompute and import stored runs.", no_args_is_help=True)


@app.command("list")
def runs_list(store: o.Store = o.DEFAULT_STORE, as_json: o.Json = False) -> None:
    """List the stored audits and metered runs, oldest first."""
    from fairprint.reports.metered_runs import listed
    from fairprint.reports.terminal import print_rows

    rows = listed(store)
    shown = ("run", "kind", "status", "name", "dtype", "probe sets")
    print_rows(
        rows if as_json else [{key: row.get(key, "") for key in shown} for row in rows],
        title=f"runs in {store}",
        as_json=as_json,
    )


@app.command("show")
def runs_show(run: o.Run, store: o.Store = o.DEFAULT_STORE, as_json: o.Json = False) -> None:
    """Show a stored audit as its closing table, or what a metered run cost with its spans, or either as JSON."""
    record = audited_or_metered(run, store).record()
    if as_json:
        from fairprint.audit.records import to_json

        typer.echo(to_json(record), nl=False)
        return
    from fairprint.audit.metered import MeteredRecord

    if isinstance(record, MeteredRecord):
        from fairprint.reports.metered_table import print_metered
        from fairprint.reports.terminal import stdout

        print_metered(record, stdout())
        return
    from fairprint.reports.closing import closing

    closing(record)


@app.command("recover", epilog="Exit codes: 0 done; 2 no such run; 3 a record could not be read or written.")
def runs_recover(runs: o.MeteredRuns = None, store: o.Store = o.DEFAULT_STORE, as_json: o.Json = False) -> None:
    """Write the records of metered runs that were cut off, by SIGKILL or a power cut, from their journals.

    What is lost is one sampling interval at the most. Runs that still go on are left alone.
    """
    from fairprint.reports.metered_runs import recovered
    from fairprint.reports.terminal import print_rows

    rows, errors = recovered(store, runs or ())
    print_rows(rows, title=f"metered runs in {store} without a record", as_json=as_json)
    if errors:
        raise errors[0]


@app.command("rebind")
def runs_rebind(
    run: o.Run,
    country_iso_code: o.OtherCountry = None,
    region: o.Region = None,
    cloud_region: o.CloudRegion = None,
    kg_per_kwh: o.KgPerKwh = None,
    pue: o.Pue = None,
    wue: o.Wue = None,
    store: o.Store = o.DEFAULT_STORE,
    as_json: o.Json = False,
) -> None:
    """Print the emissions of a stored run as they would be in another place; what is not given stays as stored.

    Energy, duration and sensors are what was measured, wherever that was; the stored record is not touched.
    """
    from fairprint.reports import rebound
    from fairprint.reports.terminal import print_rows

    folder = audited_or_metered(run, store)
    record = folder.record()
    place = rebound.Place(
        country_iso_code=country_iso_code,
        region=region,
        cloud_region=cloud_region,
        kg_per_kwh=kg_per_kwh,
        pue=pue,
        wue=wue,
    )
    after = rebound.rebound(record.footprint, place, record.started_at)
    if as_json:
        typer.echo(rebound.as_json(folder.run_id, record.footprint, after), nl=False)
    else:
        print_rows(rebound.as_rows(record.footprint, after), title=f"{folder.run_id} elsewhere", as_json=False)


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
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file to write.")],
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Run ids, or latest, or an old report's .html. Several audits come side by side; a metered run "
            "becomes a section behind them, or without an audit a page of its own. Metered runs of one task that noted "
            "a quality are compared.",
            show_default=False,
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            help="Add the newest metered run of each name of this task; latest then means the newest audit.",
            show_default=False,
        ),
    ] = None,
    store: o.Store = o.DEFAULT_STORE,
) -> None:
    """Write an HTML file about stored runs."""
    check_output(output)
    if not runs and task is None:
        raise UsageError("no run is named", hint="fairprint report latest -o report.html, or --task NAME")
    report_on(runs or (), store, output, task=task)
    typer.echo(f"report  {output}", err=True)


def report_on(runs: Sequence[str], store: Path, output: Path, *, task: str | None = None) -> None:
    """Write the report of some runs; their sentences with all scores go into a file beside it.

    Args:
        runs: ids, or old pages.
        store: where they are.
        output: the page.
        task: of which the newest metered run of each name is added; then ``latest`` is the newest audit.
    """
    from fairprint.audit.metered import MeteredRecord
    from fairprint.audit.metered_store import metered_runs
    from fairprint.audit.regimes import latest_of
    from fairprint.audit.store import RunFolder
    from fairprint.reports.html import embedded_records, write_report
    from fairprint.reports.regimes_among import RecordAlone, ways_among

    audits, folders = [], []
    metered: dict[str, MeteredFolder] = {}
    for run in runs:
        if run.endswith(".html"):
            for record in embedded_records(Path(run)):
                if isinstance(record, MeteredRecord):
                    metered.setdefault(record.run_id, RecordAlone(record))
                else:
                    audits.append(record)
            continue
        folder = finished(run, store) if task is not None and run == "latest" else audited_or_metered(run, store)
        if isinstance(folder, RunFolder):
            audits.append(folder.record())
            folders.append(folder)
        else:
            metered[folder.run_id] = folder
    if task is not None:
        metered |= {folder.run_id: folder for folder in latest_of(metered_runs(store), task)}
    several = list(metered.values())
    write_report(audits, output, folders, [folder.record() for folder in several], ways_among(several))


def audited_or_metered(run: str, store: Path) -> "RunFolder | MeteredFolder":
    """Return a finished run of a store, of either kind; ``latest`` is the newest of all.

    Raises:
        UsageError: there is no such run, it could be several, or it is not finished.
    """
    from fairprint.audit.metered_store import find_stored

    folder = find_stored(store, run)
    folder.check_finished()
    return folder


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
