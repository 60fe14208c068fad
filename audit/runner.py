"""An audit from end to end: open the model, ask, meter, store, evaluate."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from fairprint.audit.association import association_tests
from fairprint.audit.carbon import combine, measure, resolve_grid
from fairprint.audit.evaluate import evaluate, highlights
from fairprint.audit.labelled_metrics import unanswered
from fairprint.audit.models import Opened, kind_of, kind_of_object, open_model, open_object
from fairprint.audit.provenance import environment
from fairprint.audit.questions import SHARD_SIZE, Questions, Shard, prepare
from fairprint.audit.recorded import Recording, read_recording
from fairprint.audit.recording import check_recording, write_recording
from fairprint.audit.records import (
    Estimate,
    Footprint,
    GridFactor,
    GroupInfo,
    ItemHighlight,
    Options,
    Plan,
    ProbeInfo,
    RunRecord,
    SignificanceTest,
)
from fairprint.audit.replay import Replay, open_recording, recorded_questions
from fairprint.audit.sources import Source, check_device, check_dtype, find_model, languages_of, target_language
from fairprint.audit.store import RunFolder, Store, plan_differences
from fairprint.probes.errors import RefusalError, ResumeError, UsageError
from fairprint.probes.instruments import Ability
from fairprint.probes.items import Item, ProbeSet, distinct_texts
from fairprint.probes.requests import Backend
from fairprint.probes.scores import Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is: ``asked`` counts the items asked by this process, ``done`` those kept from before as well."""

    stage: str
    done: int = 0
    asked: int = 0
    total: int = 0


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
    record: str | Path | None = None,
    trust_remote_code: bool = False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> RunRecord:
    """Audit a model and store the run.

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
        record: also write the answers to this new file, which ``recorded:FILE`` replays.
        trust_remote_code: run code that comes with the model.
        on_progress: called as the run goes on.

    Returns:
        The record, as it is stored.

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
    options: dict[str, Any] = {} if batch_size is None else {"batch_size": batch_size}
    if source is not None:
        options |= {"device": check_device(device), "dtype": check_dtype(dtype), "trust_remote_code": trust_remote_code}
    target = _server(source, options | {"seed": seed} | dict(server_limits or {})) or source or model
    if recording is not None:
        questions = recorded_questions(recording, probes, instruments=instruments, limit=limit)
    else:
        ability = _ability(target, trust_remote_code)
        with _explained(target):
            questions = prepare(probes, languages=languages, instruments=instruments, ability=ability, limit=limit)
    grid = resolve_grid(country_iso_code)
    runs = Store(Path(store))
    if record is not None:
        check_recording(Path(record))
    if resume and keep_finished and source is not None:
        done = _finished(runs, source.name, questions)
        if done is not None and (recording is None or recording.sha256 == done.plan.model.sha256):
            return _recorded(done, runs, record)
    load = partial(_open, target, tokenizer, recording, questions, options)
    notes = (f"all of our own probe sets in these languages: {how}",) if how and recording is None else ()
    work = _Work(questions, runs, grid, pue, seed, resume, trust_remote_code, on_progress, notes)
    return _recorded(work.run(load), runs, record)


def _server(source: Source | None, options: dict[str, Any]) -> Opened | None:
    """Open a model behind a server before anything is planned: only its own answers show what it can be asked."""
    return None if source is None or source.endpoint is None else open_model(source, **options)


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


def _finished(store: Store, name: str, questions: Questions) -> RunRecord | None:
    """Return the newest run of a model if it is finished and asked the same questions."""
    runs = [run for run in store.runs() if run.plan().model.name == name]
    if not runs or not runs[-1].finished:
        return None
    plan = runs[-1].plan()
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


@dataclass(slots=True)
class _Results:
    """What was found in the scores of a run."""

    estimates: list[Estimate] = field(default_factory=list)
    highlights: list[ItemHighlight] = field(default_factory=list)
    tests: list[SignificanceTest] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Work:
    """One process's share of a run."""

    questions: Questions
    store: Store
    grid: GridFactor
    pue: float | None
    seed: int
    resume: bool
    trust_remote_code: bool
    on_progress: Callable[[Progress], None]
    notes: tuple[str, ...]

    def run(self, load: Callable[[], Opened]) -> RunRecord:
        """Load, ask, evaluate and store. The meter runs from before the load to after the evaluation."""
        started = datetime.now(UTC)
        meter = measure(grid=self.grid, pue=self.pue)
        with contextlib.ExitStack() as lock:
            # the meter ends first, then the segment's cost is written, however the block ends
            with contextlib.ExitStack() as segment, meter:
                self.on_progress(Progress(stage="loading the model"))
                opened = load()
                self._check_answers(opened)
                plan = self._plan(opened)
                folder = self._folder(plan, opened, started)
                lock.enter_context(folder.lock())
                number = folder.begin_segment(_told(started))
                segment.callback(lambda: folder.end_segment(number, meter.footprint))
                self._ask(folder, opened)
                self.on_progress(Progress(stage="computing intervals"))
                results = self._evaluate(folder)
            record = self._record(folder, plan, opened, started, results)
            folder.write_record(record)
        return record

    def _record(
        self,
        folder: RunFolder,
        plan: Plan,
        opened: Opened,
        started: datetime,
        results: "_Results",
    ) -> RunRecord:
        footprints, dead = folder.segments()
        names = [shard.name for shard in self.questions.shards]
        return RunRecord(
            run_id=folder.run_id,
            kind="audit",
            status="partial" if self.questions.limited else "complete",
            started_at=min([_told(started), *(s.started_at for f in footprints for s in f.segments)]),
            finished_at=_told(datetime.now(UTC)),
            plan=plan,
            probes=tuple(_probe_info(p, self.questions.items[p.name]) for p in self.questions.probe_sets),
            estimates=tuple(results.estimates),
            highlights=tuple(results.highlights),
            tests=tuple(results.tests),
            footprint=_warned(combine(footprints, dead, grid=self.grid, pue=self.pue), opened.backend),
            scores=folder.shard_hashes(names),
            not_asked=self.questions.not_asked,
            notes=(*self.notes, *opened.backend.notes(), *results.notes),
        )

    def _check_answers(self, opened: Opened) -> None:
        for instrument in dict.fromkeys(shard.instrument for shard in self.questions.shards):
            if instrument.needs not in opened.backend.answers():
                raise RefusalError(
                    f"the instrument '{instrument.name}' needs '{instrument.needs}'; {opened.info.name} answers: "
                    + ", ".join(opened.backend.answers())
                )

    def _plan(self, opened: Opened) -> Plan:
        backend: Any = opened.backend
        return Plan(
            model=opened.info,
            probe_hashes={p.name: p.sha256 for p in self.questions.probe_sets},
            # what runs elsewhere has no device here, and no batches of ours
            environment=environment(str(getattr(getattr(backend, "model", None), "device", "none"))),
            options=Options(
                seed=self.seed,
                limit=self.questions.limit,
                shard_size=SHARD_SIZE,
                batch_size=getattr(backend, "batch_size", 1),
                batch_tokens=getattr(backend, "batch_tokens", 0),
                instruments=self.questions.instrument_names,
                trust_remote_code=self.trust_remote_code,
            ),
        )

    def _folder(self, plan: Plan, opened: Opened, started: datetime) -> RunFolder:
        if not self.resume:
            return self.store.begin(plan, started)
        folder = self.store.unfinished(opened.info.name)
        differences = plan_differences(folder.plan(), plan)
        if differences:
            raise ResumeError(
                f"{folder.run_id} cannot go on, since its conditions have changed: {'; '.join(differences)}",
                hint="restore them, or begin a new run without --resume",
            )
        return folder

    def _ask(self, folder: RunFolder, opened: Opened) -> None:
        total = sum(len(shard.items) for shard in self.questions.shards)
        done = asked = 0
        for shard in self.questions.shards:
            if not folder.has_shard(shard.name):
                self.on_progress(Progress(stage=f"asking {shard.probe_set.name}", done=done, asked=asked, total=total))
                folder.write_items(shard.probe_set.name, self.questions.items[shard.probe_set.name])
                folder.write_shard(shard.name, _answered(opened.backend, shard))
                asked += len(shard.items)
            done += len(shard.items)
        self.on_progress(Progress(stage="asked", done=done, asked=asked, total=total))

    def _evaluate(self, folder: RunFolder) -> "_Results":
        """Read the scores back from the store, so that a resumed run sees exactly what an uninterrupted one sees."""
        found = _Results()
        for p in self.questions.probe_sets:
            for instrument in self.questions.instruments[p.name]:
                parts = [s for s in self.questions.shards if s.probe_set is p and s.instrument is instrument]
                scores = [score for shard in parts for score in folder.read_shard(shard.name)]
                items = self.questions.items[p.name]
                found.estimates += evaluate(p, items, scores, instrument.name)
                found.notes += unanswered(p, items, scores)
                found.tests += association_tests(p, items, scores, instrument.name, self.seed)
                if instrument is self.questions.instruments[p.name][0]:
                    found.highlights += highlights(p, items, scores)
        return found


def _answered(backend: Backend, shard: Shard) -> list[Score]:
    """Return the scores of a shard: what was recorded before, or what the model answers now."""
    return backend.scores(shard) if isinstance(backend, Replay) else shard.instrument.task(backend, shard.items)


def _warned(footprint: Footprint, backend: Backend) -> Footprint:
    """Add what the figures leave out of a backend that computes elsewhere."""
    warn: Callable[[], tuple[str, ...]] = getattr(backend, "footprint_warnings", tuple)
    return footprint.model_copy(update={"warnings": (*footprint.warnings, *warn())})


def _probe_info(probe_set: ProbeSet, items: Sequence[Item]) -> ProbeInfo:
    copied = ["name", "version", "title", "summary", "measures", "harm_type", "language", "licence", "sources"]
    copied += [
        "criticism",
        "cannot_show",
        "scored",
        "random_factors",
        "covariate",
        "covariate_group",
        "sha256",
        "source",
    ]
    return ProbeInfo(
        **{key: getattr(probe_set, key) for key in copied},
        groups=tuple(GroupInfo(id=group.id, label=group.label, words=group.words) for group in probe_set.groups),
        comparisons=tuple((pair.first, pair.second) for pair in probe_set.comparisons),
        lexeme_texts={item.lexeme: item.word for item in items if item.word},
        lexeme_covariates={item.lexeme: item.covariate for item in items if item.covariate is not None},
        items=len(items),
        sentences=len(distinct_texts(items)),
        templates=len({item.template for item in items}),
        lexemes=len({item.lexeme for item in items}),
        items_in_set=len(probe_set.items),
    )


def _told(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
