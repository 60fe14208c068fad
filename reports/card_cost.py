"""What the runs of a model card cost together: added up only where nothing is counted twice."""

from collections.abc import Sequence
from dataclasses import dataclass

from fairprint.audit.metered import MeteredRecord
from fairprint.audit.records import Clock, Footprint, RunRecord
from fairprint.reports.card_runs import CardRuns, Scope

Run = RunRecord | MeteredRecord
_TWICE = "{one} and {other} ran on one machine at one time, so that adding them up would count twice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Time, energy and emissions of several runs; each number None with the reason that stands beside it.

    The bounds of a sum are the sums of the bounds: as wide as if all runs erred the same way, which runs on one machine
    with one sensor do.
    """

    runs: tuple[Run, ...]
    duration_s: float
    energy_kwh: float | None
    energy_low_kwh: float | None
    energy_high_kwh: float | None
    energy_reason: str
    emissions_kg: float | None
    emissions_low_kg: float | None
    emissions_high_kg: float | None
    emissions_reason: str


def is_trial(run: MeteredRecord) -> bool:
    """Say whether a run only looked for how to train."""
    return run.kind == "trial" or run.purpose == "search"


def is_training(run: MeteredRecord) -> bool:
    """Say whether a run is one that the model came from."""
    return not is_trial(run) and run.purpose != "evaluation"


def of_scope(runs: CardRuns, scope: Scope) -> list[Run]:
    """Return the runs that a scope covers: the final training; all trials too; all audits and evaluations too."""
    found: list[Run] = [run for run in runs.metered if is_training(run)]
    if scope != "final":
        found += [run for run in runs.metered if is_trial(run)]
    if scope == "audits":
        found += [run for run in runs.metered if run.purpose == "evaluation" and not is_trial(run)]
        found += runs.audits
    return found


def together(runs: Sequence[Run]) -> Cost:
    """Add up what runs cost; those that are a part of another one of them are in it already.

    Two runs that overlap in time on one machine are not added up, since each meter saw the whole machine.
    """
    whole = outermost(runs)
    feet = [run.footprint for run in whole]
    clash = overlapping(whole)
    energy = _reason(feet, "energy_kwh", clash)
    emissions = _reason(feet, "emissions_kg", clash)
    span = _reason(feet, "emissions_low_kg", clash)
    return Cost(
        runs=tuple(whole),
        duration_s=sum(foot.duration_s for foot in feet),
        energy_kwh=None if energy else sum(foot.energy_kwh or 0.0 for foot in feet),
        energy_low_kwh=None if energy else sum(foot.energy_low_kwh or 0.0 for foot in feet),
        energy_high_kwh=None if energy else sum(foot.energy_high_kwh or 0.0 for foot in feet),
        energy_reason=energy,
        emissions_kg=None if emissions else sum(foot.emissions_kg or 0.0 for foot in feet),
        emissions_low_kg=None if span else sum(foot.emissions_low_kg or 0.0 for foot in feet),
        emissions_high_kg=None if span else sum(foot.emissions_high_kg or 0.0 for foot in feet),
        emissions_reason=emissions,
    )


def outermost(runs: Sequence[Run]) -> list[Run]:
    """Return the runs that are no part of another one of them."""
    ids = {run.run_id for run in runs}
    return [run for run in runs if run.parent not in ids]


def _reason(feet: Sequence[Footprint], field: str, clash: str) -> str:
    """Say why a number of several runs is not known, or nothing."""
    if not feet:
        return "nothing of it was metered"
    if clash and len(feet) > 1:
        return clash
    missing = [foot for foot in feet if getattr(foot, field) is None]
    if not missing:
        return ""
    foot = missing[0]
    why = foot.reason or (
        "where the electricity came from is not known" if foot.grid.kg_per_kwh is None else "it was not recorded"
    )
    return why if len(feet) == 1 else f"of {len(missing)} of {len(feet)} runs it is not known: {why}"


def overlapping(runs: Sequence[Run]) -> str:
    """Say which two runs were metered on one machine at one time, or nothing."""
    named = {run.run_id for run in runs}
    clocks = [(run.run_id, clock) for run in runs for clock in _clocks(run)]
    for i, (one, first) in enumerate(clocks):
        for other, second in clocks[i + 1 :]:
            if one != other and _meet(first, second):
                return _TWICE.format(one=one, other=other)
    for run in runs:
        for beside in run.overlaps if isinstance(run, MeteredRecord) else ():
            if beside.run_id in named:
                return _TWICE.format(one=run.run_id, other=beside.run_id)
    return ""


def _clocks(run: Run) -> list[Clock]:
    if isinstance(run, MeteredRecord):
        return [run.clock] if run.clock is not None else []
    return [segment.clock for segment in run.footprint.segments if segment.clock is not None]


def _meet(one: Clock, other: Clock) -> bool:
    same = (one.machine, one.boot) == (other.machine, other.boot)
    return same and one.begin_s < other.end_s and other.begin_s < one.end_s
