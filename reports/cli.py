"""The command line. Everything heavy is imported by the command that needs it, so that --help answers at once."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from fairprint.probes.errors import FairprintError, UsageError
from fairprint.reports import options as o

if TYPE_CHECKING:
    from fairprint.audit.store import RunFolder

EXIT_CODES = (
    "Exit codes: 0 done; 2 wrong usage, nothing written; 3 the run failed, what was finished stays; 130 interrupted."
)


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        """Say how to go on where a command is interrupted; click alone would end without a word."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            resume = "; what was finished stays: repeat the command with --resume to go on"
            typer.echo("interrupted" + (resume if ctx.invoked_subcommand == "audit" else ""), err=True)
            raise typer.Exit(130) from None


app = typer.Typer(
    name="fairprint",
    help="What does a transformers model assume about people, and what did it cost the climate?",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    cls=_Commands,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
probes_app = typer.Typer(help="List, read and check probe sets.", no_args_is_help=True)
runs_app = typer.Typer(help="List, show and export stored runs.", no_args_is_help=True)
app.add_typer(probes_app, name="probes")
app.add_typer(runs_app, name="runs")


@app.command(epilog="Example: fairprint audit gpt2 --country-iso-code KOR --report report.html")
def audit(
    model: o.Model,
    probes: o.Probes = None,
    instrument: o.Instruments = None,
    store: o.Store = o.DEFAULT_STORE,
    report: o.Report = None,
    country_iso_code: o.Country = None,
    pue: o.Pue = None,
    seed: o.Seed = 0,
    device: o.Device = "auto",
    dtype: o.Dtype = "float32",
    limit: o.Limit = None,
    batch_size: o.BatchSize = None,
    resume: o.Resume = False,
    offline: o.Offline = False,
    trust_remote_code: o.TrustRemoteCode = False,
    dry_run: o.DryRun = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Audit MODEL with probes, metered and stored."""
    if offline:
        # huggingface_hub reads this when it is imported
        os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
    if report is not None:
        _check_output(report)
    if dry_run:
        _dry_run(model, probes, instrument or [], limit, as_json)
        return
    from fairprint.audit.runner import audit as run_audit
    from fairprint.reports.terminal import ProgressLines, closing, stderr

    notes = stderr(quiet=quiet)
    with ProgressLines(notes) as on_progress:
        record = run_audit(
            model,
            probes,
            instruments=instrument or [],
            store=store,
            country_iso_code=country_iso_code,
            pue=pue,
            seed=seed,
            device=device,
            dtype=dtype,
            limit=limit,
            resume=resume,
            batch_size=batch_size,
            trust_remote_code=trust_remote_code,
            on_progress=on_progress,
        )
    if as_json:
        from fairprint.audit.records import to_json

        typer.echo(to_json(record), nl=False)
    elif not quiet:
        closing(record)
    if report is not None:
        from fairprint.reports.html import write_report

        write_report([record], report)
    notes.print(f"run     {record.run_id} in {store}", markup=False, highlight=False)
    told = report or f"fairprint report {record.run_id} --store {store} --output report.html"
    notes.print(f"report  {told}", markup=False, highlight=False)


def _dry_run(model: str, probes: list[str] | None, instruments: list[str], limit: int | None, as_json: bool) -> None:
    from fairprint.audit.models import find_model
    from fairprint.audit.runner import prepare
    from fairprint.reports.terminal import print_rows

    source = find_model(model)
    questions = prepare(probes, instruments=instruments, limit=limit)
    rows = [
        {
            "probe_set": p.name,
            "instruments": ", ".join(i.name for i in questions.instruments),
            "items": len(questions.items[p.name]),
            "sentences": len({variant.text for item in questions.items[p.name] for variant in item.variants}),
            "shards": sum(shard.probe_set is p for shard in questions.shards),
        }
        for p in questions.probe_sets
    ]
    place = "from the hub or its cache" if source.is_hub_id else "found here"
    print_rows(rows, title=f"would be asked of {source.name} ({place}); nothing is loaded or written", as_json=as_json)


def _check_output(path: Path) -> None:
    """Refuse a place that cannot be written before hours of work, not after."""
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir():
        raise UsageError(f"{path} cannot be written: " + ("it is a folder" if path.is_dir() else f"no folder {folder}"))


@app.command()
def report(
    runs: Annotated[list[str], typer.Argument(help="Run ids, or latest; several are shown side by side.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file to write.")],
    store: o.Store = o.DEFAULT_STORE,
) -> None:
    """Write an HTML file about stored runs."""
    _check_output(output)
    records = [_finished(run, store).record() for run in runs]
    from fairprint.reports.html import write_report

    write_report(records, output)
    typer.echo(f"report  {output}", err=True)


def _finished(run: str, store: Path) -> "RunFolder":
    from fairprint.audit.store import Store

    folder = Store(store).find(run)
    if not folder.finished:
        raise UsageError(f"{folder.run_id} is not finished", hint="repeat its audit command with --resume")
    return folder


@probes_app.command("list")
def probes_list(as_json: o.Json = False) -> None:
    """List the probe sets that ship with fairprint."""
    from fairprint.probes.catalog import own_names, own_set
    from fairprint.reports.terminal import print_rows

    sets = [own_set(name) for name in own_names()]
    rows = [
        {
            "name": p.name,
            "language": p.language,
            "groups": " / ".join(group.label for group in p.groups),
            "templates": len(p.templates),
            "words": len(p.lexemes),
            "items": len(p.items),
            "measures": p.measures,
        }
        for p in sets
    ]
    print_rows(rows, title="probe sets", as_json=as_json)


@probes_app.command("show")
def probes_show(name: Annotated[str, typer.Argument(help="Name of a set, or a file.")]) -> None:
    """Show what a probe set asks, what it stands for, and what it cannot show."""
    from fairprint.probes.catalog import find_probe_set
    from fairprint.reports.terminal import show_probe_set

    show_probe_set(find_probe_set(name))


@probes_app.command("validate")
def probes_validate(
    files: Annotated[list[str], typer.Argument(help="Probe files, or names of our own sets.")],
) -> None:
    """Check probe files: exit 0 where all can be used, 2 with file and line where one cannot."""
    from fairprint.probes.catalog import find_probe_set

    for file in files:
        p = find_probe_set(file)
        directed = sum(item.stereotyped is not None for item in p.items)
        typer.echo(
            f"{file}: valid; {len(p.items)} items = {len(p.templates)} templates x {len(p.lexemes)} words, "
            f"{p.sentences} sentences, {directed} items with a stereotyped direction"
        )


@probes_app.command("schema")
def probes_schema() -> None:
    """Print the JSON Schema of the probe file format."""
    import json

    from fairprint.probes.files import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


@runs_app.command("list")
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


@runs_app.command("show")
def runs_show(run: o.Run, store: o.Store = o.DEFAULT_STORE, as_json: o.Json = False) -> None:
    """Show a stored run as the closing table of its audit, or as JSON."""
    record = _finished(run, store).record()
    if as_json:
        from fairprint.audit.records import to_json

        typer.echo(to_json(record), nl=False)
        return
    from fairprint.reports.terminal import closing

    closing(record)


@runs_app.command("scores")
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


@app.command()
def doctor(as_json: o.Json = False) -> None:
    """Show versions, devices, sensors, what goes online."""
    from fairprint.reports.doctor import findings
    from fairprint.reports.terminal import print_rows

    print_rows(
        [{"what": what, "found": found} for what, found in findings()], title="fairprint doctor", as_json=as_json
    )


def main() -> None:
    """Run the command line; turn errors into one sentence, a way out and an exit code."""
    try:
        app(standalone_mode=True)
    except FairprintError as error:
        if "-v" in sys.argv or "--verbose" in sys.argv:
            import traceback

            traceback.print_exc()
        from fairprint.reports.text import clean

        typer.echo(f"error: {clean(error.message)}", err=True)
        if error.hint:
            typer.echo(f"try:   {clean(error.hint)}", err=True)
        sys.exit(error.exit_code)
