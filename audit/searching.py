"""The trials of a search, or the trainings of a run, with what lies between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from fairprint.audit.metered import Fate, MeteredRecord, Phase, Quality, SpanRecord

BETWEEN = "between trials"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One training inside of a run, or what lies between them all.

    Attributes:
        status: None of what lies between.
        phase: ``trial`` or ``train``; None of what lies between.
        begin_s, end_s: seconds from the begin of the run; None of what lies between.
        energy_kwh: None with ``reason``; components: the same by component, empty between them.
        quality: of the model that was trained.
    """

    name: str
    status: Fate | None
    duration_s: float
    energy_kwh: float | None
    reason: str | None = None
    components: Mapping[str, float] = field(default_factory=dict)
    quality: tuple[Quality, ...] = ()
    phase: Phase | None = None
    begin_s: float | None = None
    end_s: float | None = None


def trials(record: MeteredRecord) -> tuple[Trial, ...]:
    """Return the trainings that a run holds, failed and pruned ones too, and last what lies between them.

    Their energies add up to that of the run. What is too short to be measured lies between. Of trainings that went on
    at the same time each has the energy of the whole machine: they cannot be added up, and nothing is told between.
    """
    outermost = outermost_trainings(record)
    found = [
        Trial(
            name=span.name,
            status=span.status,
            duration_s=span.duration_s,
            energy_kwh=span.energy_kwh,
            reason=span.reason,
            components=span.components,
            quality=span.quality,
            phase=span.phase,
            begin_s=span.begin_s,
            end_s=span.end_s,
        )
        for span in outermost
    ]
    total = record.footprint.energy_kwh
    known = sum(trial.energy_kwh for trial in found if trial.energy_kwh is not None)
    reason = record.footprint.reason if total is None else None
    if total is not None and overlap(outermost):
        reason = "trainings went on at the same time: their energies cannot be added up"
    left = Trial(
        name=BETWEEN,
        status=None,
        duration_s=record.footprint.duration_s - _covered_s(outermost),
        energy_kwh=None if total is None or reason is not None else total - known,
        reason=reason,
    )
    return (*found, left)


def outermost_trainings(record: MeteredRecord) -> list[SpanRecord]:
    """Return the trainings and trials of a run that are in no other one of them."""
    own = {span.span for span in record.spans if span.phase in ("trial", "train")}
    return [span for span in record.spans if span.span in own and not _inside(record, span.parent, own)]


def overlap(spans: Sequence[SpanRecord]) -> bool:
    """Return whether some of them went on at the same time."""
    ordered = sorted(spans, key=lambda span: span.begin_s)
    return any(after.begin_s < before.end_s for before, after in pairwise(ordered))


def _covered_s(spans: Sequence[SpanRecord]) -> float:
    """Return for how long at least one of them went on."""
    covered_s, until_s = 0.0, 0.0
    for span in sorted(spans, key=lambda span: span.begin_s):
        covered_s += max(0.0, span.end_s - max(span.begin_s, until_s))
        until_s = max(until_s, span.end_s)
    return covered_s


def _inside(record: MeteredRecord, parent: str | None, own: set[str]) -> bool:
    parents = {span.span: span.parent for span in record.spans}
    while parent is not None:
        if parent in own:
            return True
        parent = parents.get(parent)
    return False
