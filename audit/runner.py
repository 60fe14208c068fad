"""An audit from end to end: open the model, ask, meter, store, evaluate."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fairprint.audit.carbon import combine, measure, resolve_grid
from fairprint.audit.evaluate import evaluate, highlights
from fairprint.audit.models import Opened, check_device, check_dtype, find_model, open_model, open_object
from fairprint.audit.provenance import environment
from fairprint.audit.records import Estimate, GridFactor, GroupInfo, ItemHighlight, Options, Plan, ProbeInfo, RunRecord
from fairprint.audit.store import RunFolder, Store, plan_differences
from fairprint.probes.catalog import find_probe_set, own_names
from fairprint.probes.errors import RefusalError, ResumeError, UsageError
from fairprint.probes.items import Item, ProbeSet, limit_items, shards
from fairprint.probes.tasks import Instrument, find_instruments

SHARD_SIZE = 120
"""Items of a shard: what a killed run loses at the most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Some items of one probe set, to be asked with one instrument; the name is that of its file."""

    name: str
    probe_set: ProbeSet
    instrument: Instrument
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is: ``asked`` counts the items asked by this process, ``done`` those kept from before as well."""

    stage: str
    done: int = 0
    asked: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """What an audit will ask, before any model is loaded.

    Attributes:
        probe_sets: with the items that are asked, by name.
        limited: whether items were left out.
    """

    probe_sets: tuple[ProbeSet, ...]
    items: dict[str, tuple[Item, ...]]
    instruments: tuple[Instrument, ...]
    limit: int | None
    shards: tuple[Shard, ...]

    @property
    def limited(self) -> bool:
        """Whether items were left out."""
        return any(len(self.items[p.name]) < len(p.items) for p in self.probe_sets)


def prepare(
    probes: Sequence[str | ProbeSet] | None = None,
    *,
    instruments: Sequence[str] = (),
    limit: int | None = None,
    shard_size: int = SHARD_SIZE,
) -> Questions:
    """Find the probe sets and cut them into shards; no model is needed.

    Args:
        probes: names, files or probe sets; all of our own sets where None.
        instruments: names; the default one where empty.
        limit: items of each set at the most, rounded to whole templates.
        shard_size: items of a shard.

    Raises:
        UsageError: an unknown set or instrument, two sets of one name, or a limit below 1.
    """
    given = own_names() if probes is None else probes
    sets = tuple(find_probe_set(probe) if isinstance(probe, str) else probe for probe in given)
    names = [probe_set.name for probe_set in sets]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two probe sets are called '{name}'", hint="give each set once, or rename one")
    if limit is not None and limit < 1:
        raise UsageError(f"the limit is {limit}; expected 1 or more items a set")
    found = find_instruments(instruments)
    items = {p.name: p.items if limit is None else limit_items(p.items, limit) for p in sets}
    cut = tuple(
        Shard(
            name=f"{p.name}.{instrument.name}.{number:04d}",
            probe_set=p,
            instrument=instrument,
            items=part,
        )
        for p in sets
        for instrument in found
        for number, part in enumerate(shards(items[p.name], shard_size))
    )
    return Questions(probe_sets=sets, items=items, instruments=found, limit=limit, shards=cut)


def audit(
    model: Any,
    probes: Sequence[str | ProbeSet] | None = None,
    *,
    tokenizer: Any = None,
    instruments: Sequence[str] = (),
    store: str | Path = "fairprint-runs",
    country_iso_code: str | None = None,
    pue: float | None = None,
    seed: int = 0,
    device: str = "auto",
    dtype: str = "float32",
    limit: int | None = None,
    resume: bool = False,
    batch_size: int | None = None,
    trust_remote_code: bool = False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> RunRecord:
    """Audit a model and store the run.

    Args:
        model: hub id with optional ``@revision``, folder, ``.gguf`` file, ``package:NAME``, a model object, or a
            transformers pipeline.
        probes: names, files or probe sets; all of our own sets where None.
        tokenizer: of a model object.
        instruments: names of the ways to ask; the default one where empty.
        store: folder of runs.
        country_iso_code: where the electricity comes from, such as ``KOR``; None gives an interval over the world.
        pue: power usage effectiveness of the data centre; None leaves its overhead out.
        seed: recorded, and the seed of whatever is sampled.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``; an object stays where it is.
        dtype: ``float32``, ``bfloat16`` or ``float16``; an object keeps its own.
        limit: items of each set at the most, in whole templates; marks the run partial.
        resume: go on with the newest unfinished run of this model.
        batch_size: rows of a batch at the most.
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
    questions = prepare(probes, instruments=instruments, limit=limit)
    grid = resolve_grid(country_iso_code)
    runs = Store(Path(store))
    source = find_model(model) if isinstance(model, str) else None
    if source is not None:
        device, dtype = check_device(device), check_dtype(dtype)
    batching = {} if batch_size is None else {"batch_size": batch_size}

    def load() -> Opened:
        if source is None:
            return open_object(model, tokenizer, **batching)
        return open_model(source, device=device, dtype=dtype, trust_remote_code=trust_remote_code, **batching)

    work = _Work(questions, runs, grid, pue, seed, resume, trust_remote_code, on_progress)
    return work.run(load)


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
                estimates, items = self._evaluate(folder)
            record = self._record(folder, plan, opened, started, estimates, items)
            folder.write_record(record)
        return record

    def _record(
        self,
        folder: RunFolder,
        plan: Plan,
        opened: Opened,
        started: datetime,
        estimates: Sequence[Estimate],
        items: Sequence[ItemHighlight],
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
            estimates=tuple(estimates),
            highlights=tuple(items),
            footprint=combine(footprints, dead, grid=self.grid, pue=self.pue),
            scores=folder.shard_hashes(names),
            notes=opened.backend.notes(),
        )

    def _check_answers(self, opened: Opened) -> None:
        for instrument in self.questions.instruments:
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
            environment=environment(str(backend.model.device)),
            options=Options(
                seed=self.seed,
                limit=self.questions.limit,
                shard_size=SHARD_SIZE,
                batch_size=backend.batch_size,
                batch_tokens=backend.batch_tokens,
                instruments=tuple(instrument.name for instrument in self.questions.instruments),
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
                folder.write_shard(shard.name, shard.instrument.task(opened.backend, shard.items))
                asked += len(shard.items)
            done += len(shard.items)
        self.on_progress(Progress(stage="asked", done=done, asked=asked, total=total))

    def _evaluate(self, folder: RunFolder) -> tuple[list[Estimate], list[ItemHighlight]]:
        """Read the scores back from the store, so that a resumed run sees exactly what an uninterrupted one sees."""
        estimates: list[Estimate] = []
        found: list[ItemHighlight] = []
        for p in self.questions.probe_sets:
            for instrument in self.questions.instruments:
                parts = [s for s in self.questions.shards if s.probe_set is p and s.instrument is instrument]
                scores = [score for shard in parts for score in folder.read_shard(shard.name)]
                estimates += evaluate(p, self.questions.items[p.name], scores, instrument.name)
                if instrument is self.questions.instruments[0]:
                    found += highlights(p, self.questions.items[p.name], scores)
        return estimates, found


def _probe_info(probe_set: ProbeSet, items: Sequence[Item]) -> ProbeInfo:
    copied = ["name", "version", "title", "summary", "measures", "harm_type", "language", "licence", "sources"]
    copied += ["criticism", "cannot_show", "random_factors", "covariate", "covariate_group", "sha256", "source"]
    return ProbeInfo(
        **{key: getattr(probe_set, key) for key in copied},
        groups=tuple(GroupInfo(id=group.id, label=group.label) for group in probe_set.groups),
        lexeme_covariates={item.lexeme: item.covariate for item in items if item.covariate is not None},
        items=len(items),
        sentences=len({variant.text for item in items for variant in item.variants}),
        templates=len({item.template for item in items}),
        lexemes=len({item.lexeme for item in items}),
        items_in_set=len(probe_set.items),
    )


def _told(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
