"""The audit command: one or more models, asked one after the other."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from fairprint.probes.errors import UsageError
from fairprint.reports import options as o
from fairprint.reports.cli_runs import check_output, report_on

if TYPE_CHECKING:
    from fairprint.audit.forecast import Forecast
    from fairprint.audit.questions import Questions
    from fairprint.audit.records import RunRecord


def audit(
    models: o.Models,
    probes: o.Probes = None,
    language: o.Languages = None,
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
    requests_per_second: o.RequestsPerSecond = None,
    request_timeout: o.RequestTimeout = None,
    scorer: o.Scorer = None,
    lexicon: o.Lexicon = None,
    record: o.Record = None,
    lineage: o.Lineage = None,
    resume: o.Resume = False,
    offline: o.Offline = False,
    trust_remote_code: o.TrustRemoteCode = False,
    dry_run: o.DryRun = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Audit MODELS with probes, metered and stored."""
    if offline:
        go_offline()
    if report is not None:
        check_output(report)
    if record is not None and len(models) > 1:
        raise UsageError("--record takes the answers of one model", hint="audit one model a command")
    if dry_run:
        _dry_run(models, probes, language or [], instrument or [], limit, device, as_json, trust_remote_code)
        return
    from fairprint.audit.runner import audit as run_audit
    from fairprint.audit.runner import check_models
    from fairprint.reports.closing import closing
    from fairprint.reports.terminal import ProgressLines, stderr

    check_models(models)
    limits = (("requests_per_s", requests_per_second), ("timeout_s", request_timeout))
    notes = stderr(quiet=quiet)
    records: list[RunRecord] = []
    for model in models:
        with ProgressLines(notes) as on_progress:
            run = run_audit(
                model,
                probes,
                languages=language or (),
                instruments=instrument or [],
                store=store,
                country_iso_code=country_iso_code,
                pue=pue,
                seed=seed,
                device=device,
                dtype=dtype,
                limit=limit,
                resume=resume,
                keep_finished=len(models) > 1,
                batch_size=batch_size,
                server_limits={name: value for name, value in limits if value is not None},
                scorer=scorer,
                lexicon=lexicon,
                record=record,
                lineage=lineage or (),
                trust_remote_code=trust_remote_code,
                on_progress=on_progress,
            )
        records.append(run)
        if not as_json and not quiet:
            closing(run)
        notes.print(f"run     {run.run_id} in {store}", markup=False, highlight=False)
    if as_json:
        _print_json(records)
    run_ids = [run.run_id for run in records]
    if report is not None:
        report_on(run_ids, store, report)
    told = report or f"fairprint report {' '.join(run_ids)} --store {store} --output report.html"
    notes.print(f"report  {told}", markup=False, highlight=False)


def go_offline() -> None:
    """Forbid model hubs; huggingface_hub reads this when it is imported."""
    os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"


def _print_json(records: "Sequence[RunRecord]") -> None:
    """Print one record as it is stored, several as a list."""
    from fairprint.audit.records import to_json

    texts = [to_json(record) for record in records]
    typer.echo(texts[0] if len(texts) == 1 else f"[{','.join(texts)}]\n", nl=False)


def _dry_run(
    models: Sequence[str],
    probes: list[str] | None,
    languages: Sequence[str],
    instruments: Sequence[str],
    limit: int | None,
    device: str,
    as_json: bool,
    trust_remote_code: bool,
) -> None:
    from fairprint.audit.forecast import forecast
    from fairprint.audit.models import kind_of
    from fairprint.audit.questions import prepare
    from fairprint.audit.recorded import read_recording
    from fairprint.audit.replay import open_recording, recorded_questions
    from fairprint.audit.runner import suite_languages
    from fairprint.audit.sources import check_device, find_model
    from fairprint.reports.terminal import print_forecast

    shown: list[tuple[str, str | None, Questions, Forecast | str]] = []
    expected: Forecast | str
    for model in models:
        source = find_model(model)
        if source.recorded is not None:
            recording = read_recording(source.location, source.recorded)
            questions = recorded_questions(recording, probes, instruments=instruments, limit=limit)
            answers = open_recording(recording, questions).backend
            shown.append((source.name, None, questions, "; ".join(answers.notes())))
            continue
        spoken, how = suite_languages(source, languages) if probes is None else ((), "")
        questions = prepare(probes, languages=spoken, instruments=instruments, limit=limit)
        try:
            ability = kind_of(source, trust_remote_code=trust_remote_code).ability()
            questions = prepare(probes, languages=spoken, instruments=instruments, ability=ability, limit=limit)
            expected = (
                forecast(source, questions, device=check_device(device), trust_remote_code=trust_remote_code)
                if source.endpoint is None
                else "what a server can do, and how long it takes, is not known before it is asked"
            )
        except UsageError:
            if not source.is_hub_id:
                raise
            # what would be asked is known without the model; how long it takes is not
            expected = "not in the local cache; how long it takes is not known"
        shown.append((source.name, how if probes is None else None, questions, expected))
    print_forecast(shown, as_json=as_json)
