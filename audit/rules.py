"""What limits ask of a run: for each, the estimate that it speaks of, which way is worse, and in which unit.

A limit on a number itself and on its worsening is two rules, each with a verdict of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fairprint.audit.checks import Direction
from fairprint.audit.difference import BETTER
from fairprint.audit.limits import FOOTPRINT, WORK, Kind, Limit
from fairprint.audit.planning import IN_POINTS
from fairprint.audit.records import Estimate, RunRecord
from fairprint.probes.errors import nearest

UNITS = {"energy_kwh": "kWh", "emissions_kg": "kg CO2-eq", "tokens": "%", "flops": "%"}
_SUFFIX: dict[Kind, str] = {"absolute": " (the number itself)", "relative": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing to decide of a run.

    Attributes:
        name: unique among the rules of a settings file.
        line: where the limit stands in its file.
        estimate: the number that it speaks of, or None with ``reason``; of footprint and work None without one.
        direction: which way is worse.
        most: the limit in the unit of the metric, as a worsening or a value; None where the gate makes one.
    """

    limit: Limit
    kind: Kind
    name: str
    line: int | None
    estimate: Estimate | None
    direction: Direction
    most: float | None
    reason: str = ""

    @property
    def unit(self) -> str:
        """Unit of the metric, or of a change in percent."""
        return UNITS.get(self.limit.metric, self.estimate.unit if self.estimate else "")

    @property
    def instrument(self) -> str:
        """Name of the way to ask, without the set and the label."""
        return "" if self.estimate is None else _way(self.estimate)[0]

    @property
    def label(self) -> str:
        """The label of a classifier that it speaks of, or an empty string."""
        return "" if self.estimate is None else _way(self.estimate)[1]


def names(limit: Limit) -> dict[Kind, str]:
    """Return what the rules of a limit are called, by kind; a run is not needed for that.

    >>> names(Limit(metric="stereotype_score", probes="he-was-very", max=10))
    {'absolute': 'stereotype_score of he-was-very (the number itself)'}
    """
    about = [limit.instrument or "", f"label {limit.label}" if limit.label else ""]
    about += [limit.scope if limit.scope != "all" else "", " against ".join(limit.comparison or ())]
    title = limit.name or " / ".join(filter(None, [_of(limit), *about]))
    absolute = limit.max is not None or limit.min is not None
    kinds: list[Kind] = ["absolute"] if absolute else []
    kinds += ["relative"] if limit.margin is not None or not absolute else []
    return {kind: title + (_SUFFIX[kind] if limit.metric not in (*FOOTPRINT, *WORK) else "") for kind in kinds}


def _of(limit: Limit) -> str:
    return limit.metric + (f" of {limit.probes}" if limit.probes else "")


def rules(limits: Sequence[Limit], lines: Sequence[int | None], record: RunRecord) -> list[Rule]:
    """Return what some limits ask of a run.

    Args:
        limits: in the order of their file.
        lines: where each stands in it.
        record: the run.
    """
    return [rule for limit, line in zip(limits, lines, strict=True) for rule in _rules(limit, line, record)]


def _rules(limit: Limit, line: int | None, record: RunRecord) -> Iterator[Rule]:
    of_the_run = limit.metric in (*FOOTPRINT, *WORK)
    estimate, reason = (None, "") if of_the_run else resolved(limit, record)
    direction = limit.direction or ("up" if of_the_run else _worse(limit, estimate))
    if estimate is not None and direction is None:
        reason = f"which way {limit.metric} gets worse is not known: say direction = 'up' or 'down'"
    if direction == "away_from_neutral" and estimate is not None and estimate.neutral is None:
        reason = f"{limit.metric} has no neutral value: say direction = 'up' or 'down'"
    for kind, name in names(limit).items():
        given = limit.margin if kind == "relative" else limit.min if limit.max is None else limit.max
        points = estimate is not None and estimate.unit in IN_POINTS
        yield Rule(
            limit=limit,
            kind=kind,
            name=name,
            line=line,
            estimate=None if reason else estimate,
            direction=direction or "up",
            most=given / 100 if given is not None and points else given,
            reason=reason,
        )


def _worse(limit: Limit, estimate: Estimate | None) -> Direction | None:
    """Return which way a number gets worse, where the limit does not say."""
    if estimate is not None and estimate.neutral is not None and limit.min is None:
        return "away_from_neutral"
    if limit.metric in BETTER:
        return "down" if BETTER[limit.metric] == "higher" else "up"
    if limit.min is not None:
        return "down"
    return "up" if limit.max is not None else None


def resolved(limit: Limit, record: RunRecord) -> tuple[Estimate | None, str]:
    """Return the estimate that a limit speaks of, or None and why there is none."""
    sets = list(dict.fromkeys(probe.name for probe in record.probes))
    if limit.probes not in sets:
        told = ", ".join(sets) or "nothing"
        return None, f"the run did not ask '{limit.probes}'.{nearest(limit.probes or '', sets)} It asked {told}"
    found = [e for e in record.estimates if e.probe_set == limit.probes]
    steps = (
        ("metric", limit.metric, lambda e: e.metric),
        ("scope", limit.scope, lambda e: e.scope),
        ("instrument", limit.instrument, lambda e: _way(e)[0]),
        ("label", limit.label, lambda e: _way(e)[1]),
        ("comparison", limit.comparison, lambda e: e.comparison),
    )
    for what, wanted, of in steps:
        if wanted is None:
            continue
        known = list(dict.fromkeys(of(e) for e in found))
        found = [e for e in found if of(e) == wanted]
        if not found:
            has = [" against ".join(one) if isinstance(one, tuple) else str(one) for one in known if one]
            close = nearest(wanted, has) if isinstance(wanted, str) else ""
            here = f" It has {', '.join(has[:12])}" if has else ""
            said = " against ".join(wanted) if isinstance(wanted, tuple) else wanted
            return None, f"the run has no {what} '{said}' in {limit.probes}.{close}{here}"
    if limit.comparison is None and len(found) > 1:
        found = [e for e in found if e.comparison is None] or found
    if len(found) == 1:
        return found[0], ""
    several = [f"{e.instrument}{' ' + ' against '.join(e.comparison) if e.comparison else ''}" for e in found]
    return None, f"{limit.metric} could be that of {'; '.join(several)}: say which by instrument, label or comparison"


def _way(estimate: Estimate) -> tuple[str, str]:
    """Return instrument and label of an estimate."""
    instrument, _, label = estimate.instrument.partition(" / ")[2].partition(":")
    return instrument, label
