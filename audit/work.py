"""One process's share of a run: load, ask, store what is answered, evaluate, and keep the record."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fairprint.audit.agreement import agreement
from fairprint.audit.association import association_tests
from fairprint.audit.beside import with_published
from fairprint.audit.carbon import Conditions, Meter
from fairprint.audit.continuation_metrics import written
from fairprint.audit.evaluate import evaluate, highlights
from fairprint.audit.findings import SignificanceTest
from fairprint.audit.footprints import combine
from fairprint.audit.labelled_metrics import unanswered
from fairprint.audit.models import Opened
from fairprint.audit.multiplicity import corrected, families
from fairprint.audit.provenance import environment
from fairprint.audit.questions import SHARD_SIZE, Questions, Shard
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
)
from fairprint.audit.replay import Replay
from fairprint.audit.scorers import Scorers
from fairprint.audit.store import RunFolder, Store, plan_differences
from fairprint.probes.errors import RefusalError, ResumeError
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


@dataclass(slots=True)
class Results:
    """What was found in the scores of a run."""

    estimates: list[Estimate] = field(default_factory=list)
    highlights: list[ItemHighlight] = field(default_factory=list)
    tests: list[SignificanceTest] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Work:
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
    load_scorers: Callable[[], Scorers] = Scorers
    lineage: tuple[str, ...] = ()

    def run(self, load: Callable[[], Opened]) -> RunRecord:
        """Load, ask, evaluate and store. The meter runs from before the load to after the evaluation."""
        started = datetime.now(UTC)
        meter = Meter(Conditions(grid=self.grid, pue=self.pue))
        with contextlib.ExitStack() as lock:
            # the meter ends first, then the segment's cost is written, however the block ends
            with contextlib.ExitStack() as segment, meter:
                self.on_progress(Progress(stage="loading the model"))
                opened = load()
                self._check_answers(opened)
                scorers = self.load_scorers()
                plan = self._plan(opened, scorers)
                folder = self._folder(plan, opened, started)
                lock.enter_context(folder.lock())
                number = folder.begin_segment(_told(started))
                segment.callback(lambda: folder.end_segment(number, meter.footprint))
                self._ask(folder, opened, scorers)
                self.on_progress(Progress(stage="computing intervals"))
                results = self._evaluate(folder, opened, scorers)
            record = self._record(folder, plan, opened, started, results)
            folder.write_record(record)
        return record

    def _record(
        self,
        folder: RunFolder,
        plan: Plan,
        opened: Opened,
        started: datetime,
        results: Results,
    ) -> RunRecord:
        footprints, dead = folder.segments()
        names = [shard.name for shard in self.questions.shards]
        tokens, parameters = folder.tokens(names), opened.info.parameters
        return RunRecord(
            run_id=folder.run_id,
            kind="audit",
            lineage=self.lineage,
            status="partial" if self.questions.limited else "complete",
            started_at=min([_told(started), *(s.started_at for f in footprints for s in f.segments)]),
            finished_at=_told(datetime.now(UTC)),
            plan=plan,
            probes=tuple(_probe_info(p, self.questions.items[p.name]) for p in self.questions.probe_sets),
            estimates=tuple(results.estimates),
            highlights=tuple(results.highlights),
            tests=tuple(results.tests),
            families=families(results.estimates),
            footprint=_warned(combine(footprints, dead, grid=self.grid, pue=self.pue), opened.backend),
            scores=folder.shard_hashes(names),
            tokens=tokens,
            # each weight takes part in one multiplication and one addition a token
            flops=None if tokens is None or parameters is None else 2.0 * parameters * tokens,
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

    def _plan(self, opened: Opened, scorers: Scorers) -> Plan:
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
            scorers=scorers.infos,
            instrument_versions={i.name: i.version for found in self.questions.instruments.values() for i in found},
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

    def _ask(self, folder: RunFolder, opened: Opened, scorers: Scorers) -> None:
        total = sum(len(shard.items) for shard in self.questions.shards)
        done = asked = 0
        for shard in self.questions.shards:
            if not folder.has_shard(shard.name):
                self.on_progress(Progress(stage=f"asking {shard.probe_set.name}", done=done, asked=asked, total=total))
                folder.write_items(shard.probe_set.name, self.questions.items[shard.probe_set.name])
                before = opened.backend.tokens()
                scores = scorers.labelled(shard, _answered(opened.backend, shard, self.seed))
                after = opened.backend.tokens()
                tokens = None if before is None or after is None else after - before
                folder.write_shard(shard.name, scores, tokens)
                asked += len(shard.items)
            done += len(shard.items)
        self.on_progress(Progress(stage="asked", done=done, asked=asked, total=total))

    def _evaluate(self, folder: RunFolder, opened: Opened, scorers: Scorers) -> Results:
        """Read the scores back from the store, so that a resumed run sees exactly what an uninterrupted one sees."""
        found = Results()
        for p in self.questions.probe_sets:
            given: dict[str, list[Score]] = {}
            for instrument in self.questions.instruments[p.name]:
                parts = [s for s in self.questions.shards if s.probe_set is p and s.instrument is instrument]
                scores = [score for shard in parts for score in folder.read_shard(shard.name)]
                given[instrument.name] = scores
                items = self.questions.items[p.name]
                found.estimates += evaluate(p, items, scores, instrument.name, self.seed)
                found.estimates += scorers.flips(p, instrument.name)
                found.notes += (*unanswered(p, items, scores), *written(p, scores, instrument.name))
                found.tests += association_tests(p, items, scores, instrument.name, self.seed)
                if instrument is self.questions.instruments[p.name][0]:
                    found.highlights += highlights(p, items, scores)
            found.estimates += agreement(p, self.questions.items[p.name], given, self.seed)
        found.notes += scorers.notes(self.questions.probe_sets)
        replayed = isinstance(opened.backend, Replay)
        found.estimates = with_published(
            corrected(found.estimates),
            opened.backend.model_name if isinstance(opened.backend, Replay) else opened.info.name,
            {name: len(items) for name, items in self.questions.items.items()},
            certain=opened.info.revision is not None and not replayed,
        )
        return found


def _answered(backend: Backend, shard: Shard, seed: int) -> list[Score]:
    """Return the scores of a shard: what was recorded before, or what the model answers now."""
    if isinstance(backend, Replay):
        return backend.scores(shard)
    return shard.instrument.ask(backend, shard.items, seed=seed)


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
        quality=dict(probe_set.quality),
        flagged={rule: sum(rule in item.flags for item in items) for rule in probe_set.quality},
        remarks=probe_set.remarks,
    )


def _told(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
