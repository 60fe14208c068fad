"""The runs of a store as a ledger reads them: what each was for, when it was metered, and what it used meanwhile."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from fairprint.audit.journal import read_journal
from fairprint.audit.metered import MeteredRecord, Quality
from fairprint.audit.metered_store import MeteredFolder, stored_runs
from fairprint.audit.overlaps import Detail, Energies, overlapping, sensors_of
from fairprint.audit.records import Clock, Component, Footprint, RunRecord
from fairprint.audit.searching import Trial, trials
from fairprint.audit.store import RunFolder
from fairprint.audit.together import Place
from fairprint.probes.errors import StoreError

Group = Literal[
    "pretraining", "training from scratch", "fine-tuning", "search", "evaluation", "audit", "other", "not said"
]
GROUPS: tuple[Group, ...] = (
    *("pretraining", "training from scratch", "fine-tuning", "search"),
    *("evaluation", "audit", "other", "not said"),
)
"""What the energy of a project is split into, in this order."""

RECOVER = "fairprint runs recover {run_id} writes its record"
RESUME = "repeat its audit command with --resume"
UNREADABLE = "its record cannot be read"

Points = tuple[tuple[float, Mapping[str, float]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A time in which one process metered a run.

    Attributes:
        clock: when; None where the record does not say it.
        energies: of the whole stretch by sensor; empty where none is known.
        duration_s: of the stretch.
        points, detail: its course, as `fairprint.audit.overlaps.meter_of` takes it.
    """

    clock: Clock | None
    energies: Energies
    duration_s: float
    points: Points = ()
    detail: Detail = "straight line"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished run.

    Attributes:
        group: what it was for, and group_why: how that is known.
        model: of an audit the model, as its plan names it; else empty.
        trials: of a metered run, failed and pruned ones too, without what lies between.
    """

    run_id: str
    kind: str
    name: str
    group: Group
    group_why: str
    status: str
    started_at: str
    task: str
    parent: str | None
    footprint: Footprint
    quality: tuple[Quality, ...]
    trials: tuple[Trial, ...]
    stretches: tuple[Stretch, ...]
    neighbours: tuple[str, ...] = ()

    @property
    def place(self) -> Place:
        """Where its energy was used."""
        return Place(grid=self.footprint.grid, pue=self.footprint.pue, wue=self.footprint.wue)

    @property
    def machine(self) -> str:
        """Hash of its machine; empty where the record does not say it."""
        return next((stretch.clock.machine for stretch in self.stretches if stretch.clock is not None), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """A run without a record that can be counted: it still goes on, was cut off, or its record is damaged."""

    run_id: str
    kind: str
    name: str
    status: str
    hint: str


def read_runs(store: Path) -> tuple[list[Run], list[Unfinished]]:
    """Return the finished runs of a store and the others, oldest first.

    Raises:
        UsageError: the store is no folder.
    """
    runs: list[Run] = []
    others: list[Unfinished] = []
    folders: dict[str, MeteredFolder] = {}
    metered: list[MeteredRecord] = []
    for folder in stored_runs(store):
        if not folder.finished:
            others.append(_unfinished(folder))
            continue
        try:
            if isinstance(folder, RunFolder):
                runs.append(run_of_audit(folder.record(), _footprints(folder)))
            else:
                record = folder.record()
                metered.append(record)
                folders[record.run_id] = folder
                runs.append(run_of(record))
        except StoreError as error:
            kind = "audit" if isinstance(folder, RunFolder) else "metered"
            hint = f"{error.message}; repair or remove it"
            others.append(Unfinished(run_id=folder.run_id, kind=kind, name="", status=UNREADABLE, hint=hint))
    runs = within_spans(runs, metered)
    clocks = [(run.run_id, s.clock) for run in runs for s in run.stretches if s.clock is not None]
    shared = overlapping(clocks)
    return [
        _with_samples(run, folders[run.run_id]) if run.run_id in shared & {*folders} else run for run in runs
    ], others


def _unfinished(folder: RunFolder | MeteredFolder) -> Unfinished:
    if isinstance(folder, RunFolder):
        name = ""
        with contextlib.suppress(StoreError):
            name = folder.plan().model.name
        return Unfinished(run_id=folder.run_id, kind="audit", name=name, status="unfinished", hint=RESUME)
    opening = folder.opening()
    kind, name = ("metered", "") if opening is None else (opening.kind, opening.name)
    if folder.alive():
        return Unfinished(run_id=folder.run_id, kind=kind, name=name, status="running", hint="wait for its end")
    hint = RECOVER.format(run_id=folder.run_id)
    return Unfinished(run_id=folder.run_id, kind=kind, name=name, status="cut off", hint=hint)


def _footprints(folder: RunFolder) -> list[Footprint]:
    with contextlib.suppress(StoreError, OSError, ValueError, KeyError):
        return folder.segments()[0]
    return []


def _with_samples(run: Run, folder: MeteredFolder) -> Run:
    """Read a run's journal, where there is one, since it says more finely than the record when energy was used."""
    with contextlib.suppress(StoreError, OSError, KeyError, TypeError, ValueError):
        told = read_journal(folder.journal.read_bytes(), run.run_id)
        points = tuple((float(sample["t"]), dict(sample["kwh"])) for sample in told.of("sample"))
        if len(points) > 1:
            stretch = replace(run.stretches[0], points=points, detail="samples")
            return replace(run, stretches=(stretch,))
    return run


def run_of(record: MeteredRecord) -> Run:
    """Return a metered run as the ledger reads it."""
    clock: Clock | None = record.clock
    group, why = purpose(record)
    stretch = Stretch(
        clock=clock,
        energies=_energies(record.footprint, clock),
        duration_s=record.footprint.duration_s,
        points=tuple((point.time_s, point.energy_kwh) for point in record.curve),
        detail="curve",
    )
    return Run(
        run_id=record.run_id,
        kind=record.kind,
        name=record.name,
        group=group,
        group_why=why,
        status=record.status,
        started_at=record.started_at,
        task=record.task,
        parent=record.parent,
        footprint=record.footprint,
        quality=record.quality,
        trials=trials(record)[:-1],
        stretches=(stretch,),
        neighbours=tuple(overlap.run_id for overlap in record.overlaps),
    )


def purpose(record: MeteredRecord) -> tuple[Group, str]:
    """Return what a metered run was for, and how that is known: as it says; else by its trials or its kind."""
    own = {trial.phase for trial in trials(record)[:-1]}
    if own == {"trial"} and record.purpose != "search":
        said = "" if record.purpose is None else f", which said {record.purpose}"
        return "search", f"told by its trials{said}"
    if record.purpose is not None:
        return record.purpose, "as the run says"
    return (
        ("search", "told by its kind, a trial") if record.kind == "trial" else ("not said", "the run does not say it")
    )


def run_of_audit(record: RunRecord, footprints: Sequence[Footprint] = ()) -> Run:
    """Return an audit as the ledger reads it.

    Args:
        record: of the audit.
        footprints: of its processes, where its folder has them: they say what each of them used.
    """
    return Run(
        run_id=record.run_id,
        kind=record.kind,
        name=record.plan.model.name,
        group="audit",
        group_why="it is an audit",
        status=record.status,
        started_at=record.started_at,
        task="",
        parent=record.parent,
        footprint=record.footprint,
        quality=(),
        trials=(),
        stretches=tuple(_stretches(record.footprint, footprints)),
    )


def _stretches(whole: Footprint, footprints: Sequence[Footprint]) -> Iterable[Stretch]:
    """Return the stretches of an audit; together they have the energy of its record."""
    parts = [foot for foot in footprints if foot.energy_kwh is not None and len(foot.segments) == 1]
    known = sum(foot.energy_kwh or 0.0 for foot in parts)
    total = whole.energy_kwh
    if total is not None and parts and abs(known - total) <= 1e-9 * total:
        for foot in parts:
            clock = foot.segments[0].clock
            yield Stretch(clock=clock, energies=_energies(foot, clock), duration_s=foot.duration_s)
        return
    # without what each process used, the energy is spread evenly over the time of all
    segments = [segment for segment in whole.segments if segment.metered and segment.duration_s]
    all_s = sum(segment.duration_s or 0.0 for segment in segments)
    if not segments:
        yield Stretch(clock=None, energies=_energies(whole, None), duration_s=whole.duration_s)
    for segment in segments:
        share = (segment.duration_s or 0.0) / all_s
        energies = {sensor: kwh * share for sensor, kwh in _energies(whole, segment.clock).items()}
        yield Stretch(clock=segment.clock, energies=energies, duration_s=segment.duration_s or 0.0)


def _energies(footprint: Footprint, clock: Clock | None) -> Energies:
    if footprint.energy_kwh is None:
        return {}
    components: Sequence[Component] = footprint.components
    return sensors_of(components, "" if clock is None else clock.machine)


def within_spans(runs: Sequence[Run], metered: Iterable[MeteredRecord]) -> list[Run]:
    """Give audits that do not say when they were the time of the span that names them in its note."""
    spans: dict[str, Clock] = {}
    for record in metered:
        clock: Clock | None = record.clock
        for span in record.spans:
            if span.phase == "audit" and span.note and clock is not None:
                begin_s, end_s = clock.begin_s + span.begin_s, clock.begin_s + span.end_s
                spans[span.note] = clock.model_copy(update={"begin_s": begin_s, "end_s": end_s})
    found = []
    for run in runs:
        inside = next((clock for note, clock in spans.items() if run.run_id in note), None)
        if run.group == "audit" and inside is not None and all(s.clock is None for s in run.stretches):
            energies = _energies(run.footprint, inside)
            stretch = Stretch(clock=inside, energies=energies, duration_s=inside.end_s - inside.begin_s)
            run = replace(run, stretches=(stretch,))
        found.append(run)
    return found
