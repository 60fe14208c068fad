"""An audit from end to end: open the model, ask, meter, store, evaluate."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from fairprint.audit.answers import Recording
from fairprint.audit.grid import resolve_grid
from fairprint.audit.metered_store import find_stored
from fairprint.audit.models import Opened, kind_of, kind_of_object, open_model, open_object
from fairprint.audit.questions import Questions, prepare
from fairprint.audit.recorded import read_recording
from fairprint.audit.recording import check_recording, write_recording
from fairprint.audit.records import RunRecord
from fairprint.audit.replay import open_recording, recorded_questions
from fairprint.audit.scorers import Wanted, find_scorers
from fairprint.audit.sources import Source, check_device, check_dtype, find_model, languages_of, target_language
from fairprint.audit.store import Store
from fairprint.audit.work import Progress, Work
from fairprint.probes.errors import UsageError
from fairprint.probes.instruments import Ability
from fairprint.probes.items import ProbeSet


def audit(
    model: Any,
    probes: Sequence[str | ProbeSet] | None = None,
    *,
    tokenizer: Any = None,
    languages: Sequence[str] = (),
    instruments: Sequence[str] = (),
    store: str | Path = "fairprint-runs",
    country_iso_code: str | None = None,
    pue: float | None = None,
    seed: int = 0,
    device: str = "auto",
    dtype: str = "float32",
    limit: int | None = None,
    resume: bool = False,
    keep_finished: bool = False,
    batch_size: int | None = None,
    server_limits: Mapping[str, float] | None = None,
    scorer: Any = None,
    lexicon: str | Path | None = None,
    record: str | Path | None = None,
    lineage: Sequence[str] = (),
    trust_remote_code: bool = False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> RunRecord:
    """Audit a model, store the run, and return its record as it is stored.

    Args:
        model: hub id with optional ``@revision``, folder, ``.gguf`` file, ``package:NAME``, ``openai:MODEL@URL``,
            ``recorded:FILE``, a model object, or a transformers pipeline.
        probes: names, files or probe sets; where None, all of our own sets that fit the model's kind and language.
        tokenizer: of a model object.
        languages: of the probe sets where none are named; empty takes those that the model's card names, else English.
        instruments: names of the ways to ask; each set's own one where empty.
        store: folder of runs.
        country_iso_code: where the electricity comes from, such as ``KOR``; None gives an interval over the world.
        pue: power usage effectiveness of the data centre; None leaves its overhead out.
        seed: recorded, and the seed of whatever is sampled.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``; an object stays where it is.
        dtype: ``float32``, ``bfloat16`` or ``float16``; an object keeps its own.
        limit: items of each set at the most, in whole templates; marks the run partial.
        resume: go on with the newest unfinished run of this model.
        keep_finished: with ``resume``, take the newest finished run of the same questions where none is unfinished, as
            when one call audits several models.
        batch_size: rows of a batch at the most; of a server, requests under way at once.
        server_limits: of a server, such as ``{"requests_per_s": 2}``: the fields of ``Limits``.
        scorer: a text classifier that judges what the model writes, as ``MODEL`` or ``MODEL#LABEL``, or a pipeline.
        lexicon: a file of words that what the model writes is searched for (``fairprint.probes.lexicons``).
        record: also write the answers to this new file, which ``recorded:FILE`` replays.
        lineage: stored runs that the model came from, such as its metered training.
        trust_remote_code: run code that comes with the model.
        on_progress: called as the run goes on.

    Raises:
        UsageError: something asked for does not exist; nothing was written.
        ResumeError: the unfinished run was made under other conditions.
        ModelError: the model cannot be loaded or has no language-model head.
        StoreError: the store cannot be written; what was finished stays.
    """
    source = find_model(model) if isinstance(model, str) else None
    # only a whole suite depends on the languages, and the card of a hub model is fetched to find them
    languages, how = suite_languages(source, languages) if probes is None else ((), "")
    recording = _recording(source)
    came_from = _came_from(Path(store), lineage)
    options: dict[str, Any] = {} if batch_size is None else {"batch_size": batch_size}
    if source is not None:
        options |= {"device": check_device(device), "dtype": check_dtype(dtype), "trust_remote_code": trust_remote_code}
    target = _server(source, options | {"seed": seed} | dict(server_limits or {})) or source or model
    asked = {"instruments": instruments, "limit": limit}
    questions = _questions(target, recording, probes, languages, trust_remote_code, asked)
    wanted = find_scorers(scorer, lexicon, questions, trust_remote_code=trust_remote_code)
    grid = resolve_grid(country_iso_code)
    runs = Store(Path(store))
    if record is not None:
        check_recording(Path(record))
    if resume and keep_finished and source is not None:
        done = _finished(runs, source.name, questions, wanted)
        if done is not None and (recording is None or recording.sha256 == done.plan.model.sha256):
            return _recorded(done, runs, record)
    load = partial(_open, target, tokenizer, recording, questions, options)
    notes = (f"all of our own probe sets in these languages: {how}",) if how and recording is None else ()
    judges = partial(wanted.load, device, trust_remote_code=trust_remote_code)
    work = Work(questions, runs, grid, pue, seed, resume, trust_remote_code, on_progress, notes, judges, came_from)
    return _recorded(work.run(load), runs, record)


def _came_from(store: Path, lineage: Sequence[str]) -> tuple[str, ...]:
    """Return the ids of the runs that a model came from."""
    return tuple(find_stored(store, run).run_id for run in lineage)


def _server(source: Source | None, options: dict[str, Any]) -> Opened | None:
    """Open a model behind a server before anything is planned: only its own answers show what it can be asked."""
    return None if source is None or source.endpoint is None else open_model(source, **options)


def _questions(
    target: Any,
    recording: Recording | None,
    probes: Sequence[str | ProbeSet] | None,
    languages: Sequence[str],
    trust_remote_code: bool,
    asked: dict[str, Any],
) -> Questions:
    """Return what is asked of a model, or was asked of one whose answers were recorded."""
    if recording is not None:
        return recorded_questions(recording, probes, **asked)
    ability = _ability(target, trust_remote_code)
    with _explained(target):
        return prepare(probes, languages=languages, ability=ability, **asked)


def _ability(target: Any, trust_remote_code: bool) -> Ability:
    """Return what can be asked of a model: an object, a source, or a server that was opened."""
    if isinstance(target, Opened):
        return Ability(kind=target.info.kind, answers=target.backend.answers())
    if isinstance(target, Source):
        return kind_of(target, trust_remote_code=trust_remote_code).ability()
    return kind_of_object(target).ability()


@contextlib.contextmanager
def _explained(target: Any) -> Iterator[None]:
    """Say what a server can do, where it cannot be asked what was asked for."""
    try:
        yield
    except UsageError as error:
        if isinstance(target, Opened) and "likelihood" not in target.backend.answers():
            error.hint = "; ".join(target.info.notes)
        raise


def _open(
    target: Any, tokenizer: Any, recording: Recording | None, questions: Questions, options: dict[str, Any]
) -> Opened:
    if recording is not None:
        return open_recording(recording, questions)
    if isinstance(target, Opened):
        return target
    return open_model(target, **options) if isinstance(target, Source) else open_object(target, tokenizer, **options)


def _recording(source: Source | None) -> Recording | None:
    return None if source is None or source.recorded is None else read_recording(source.location, source.recorded)


def _recorded(done: RunRecord, runs: Store, path: str | Path | None) -> RunRecord:
    """Write the answers of a finished run to a file, where one is named."""
    if path is not None:
        write_recording(Path(path), runs.find(done.run_id), done.plan.model)
    return done


def check_models(models: Sequence[str]) -> None:
    """Find all models before the first is asked, so that a misspelt one does not end a long run.

    Raises:
        UsageError: one is not there, or is given twice.
    """
    for model in models:
        find_model(model)
        if models.count(model) > 1:
            raise UsageError(f"the model {model} was given twice")


def _finished(store: Store, name: str, questions: Questions, scorers: Wanted) -> RunRecord | None:
    """Return the newest run of a model if it is finished, asked the same questions and judged by the same scorers."""
    runs = [run for run in store.runs() if run.plan().model.name == name]
    if not runs or not runs[-1].finished:
        return None
    plan = runs[-1].plan()
    if not scorers.made(plan.scorers):
        return None
    asked = (plan.probe_hashes, plan.options.limit, plan.options.instruments)
    wanted = ({p.name: p.sha256 for p in questions.probe_sets}, questions.limit, questions.instrument_names)
    return runs[-1].record() if asked == wanted else None


def suite_languages(source: Source | None, given: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Return the languages of the probe sets for a model, and how they came about: given, named by its card, assumed.

    Args:
        source: where the model lies; None for an object.
        given: languages that the user named.
    """
    if given:
        return tuple(given), f"{', '.join(given)} (as asked)"
    into = target_language(source) if source is not None else None
    if into:
        return (into,), f"{into} (into which the model translates, as its tokenizer says)"
    named = languages_of(source) if source is not None else ()
    if named:
        return named, f"{', '.join(named)} (as the model's card says)"
    return ("en",), "en (assumed, since the model has no card that names its languages)"
