"""The trials of a search, or the trainings of a run, with what lies between them."""

from dataclasses import dataclass

from fairprint.audit.metered import Fate, MeteredRecord

BETWEEN = "between trials"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One training inside of a run, or what lies between them all.

    Attributes:
        status: None of what lies between.
        energy_kwh: None with ``reason``.
    """

    name: str
    status: Fate | None
    duration_s: float
    energy_kwh: float | None
    reason: str | None = None


def trials(record: MeteredRecord) -> tuple[Trial, ...]:
    """Return the trainings that a run holds, failed and pruned ones too, and last what lies between them.

    Their energies add up to that of the run. What is too short to be measured lies between.
    """
    own = {span.span for span in record.spans if span.phase in ("trial", "train")}
    found = [
        Trial(
            name=span.name,
            status=span.status,
            duration_s=span.duration_s,
            energy_kwh=span.energy_kwh,
            reason=span.reason,
        )
        for span in record.spans
        if span.span in own and not _inside(record, span.parent, own)
    ]
    total = record.footprint.energy_kwh
    known = sum(trial.energy_kwh for trial in found if trial.energy_kwh is not None)
    left = Trial(
        name=BETWEEN,
        status=None,
        duration_s=record.footprint.duration_s - sum(trial.duration_s for trial in found),
        energy_kwh=None if total is None else total - known,
        reason=record.footprint.reason if total is None else None,
    )
    return (*found, left)


def _inside(record: MeteredRecord, parent: str | None, own: set[str]) -> bool:
    parents = {span.span: span.parent for span in record.spans}
    while parent is not None:
        if parent in own:
            return True
        parent = parents.get(parent)
    return False
