"""The interval of a metric, and beside it what another method says.

The default is the delete-one-unit jackknife. The bootstrap is the second opinion of estimates of whole sets; of a
metric that declares itself skewed it stands first, and the jackknife is the second opinion. Where the two disagree no
method is to be trusted blindly, and a warning says so.
"""

from collections.abc import Sequence
from dataclasses import replace

from fairprint.audit.bootstrap import Draws, Opinion, bootstrap
from fairprint.audit.findings import SecondOpinion
from fairprint.audit.metrics import Metric, Row
from fairprint.audit.statistics import Factors, Interval, Weights, interval, jackknife

JACKKNIFE = "delete-one-unit jackknife, t quantile, {scale} scale"
BOOTSTRAP = "symmetric studentised bootstrap of whole units, {scale} scale"
FEW_FOR_SKEWED = 25
"""Units below which intervals of a skewed score are too short: of exponential effects 90 % instead of 95 % cover."""
APART = 0.5
"""Share of the interval's width by which its ends may differ from those of the second opinion."""


def opinions(
    metric: Metric, rows: Sequence[Row], factors: Factors, draws: Draws | None
) -> tuple[Interval, SecondOpinion | None, str]:
    """Return the interval of a metric, the second opinion, and the method of the first.

    A metric that takes item weights has no second opinion: each of thousands of draws is as dear as its jackknife.

    Args:
        metric: what is computed.
        rows: items without missing values; at least one.
        factors: their units.
        draws: of the bootstrap, or None where no second opinion is asked for.
    """
    form = metric.form(rows, factors)
    found = interval(jackknife(form, factors), factors, scale=metric.scale, neutral=metric.neutral, items=len(rows))
    told = JACKKNIFE.format(scale=metric.scale)
    if metric.skewed and found.units and min(found.units.values()) < FEW_FOR_SKEWED:
        warning = "few units and a skewed score: the interval is likely too short"
        found = replace(found, warnings=(*found.warnings, warning))
    if draws is None or found.pivot is None or isinstance(form, Weights):
        return found, None, told
    drawn = bootstrap(form, factors, found, draws)
    differs = _differs(found, drawn, metric.neutral)
    warnings = (*found.warnings, *drawn.warnings, *([f"a second method disagrees: {differs}"] if differs else []))
    by_draws = BOOTSTRAP.format(scale=metric.scale)
    if metric.skewed and drawn.low is not None:
        first = replace(found, low=drawn.low, high=drawn.high, p_value=drawn.p_value, warnings=warnings)
        return first, _second(told, found, None, 0, differs), f"{by_draws}, {drawn.draws:,} draws"
    return replace(found, warnings=warnings), _second(by_draws, drawn, drawn.draws, drawn.lost, differs), told


def _second(method: str, found: Interval | Opinion, draws: int | None, lost: int, differs: str) -> SecondOpinion:
    return SecondOpinion(
        method=method,
        low=found.low,
        high=found.high,
        p_value=found.p_value,
        draws=draws,
        lost=lost,
        reason=found.reason,
        disagrees=differs,
    )


def _differs(found: Interval, drawn: Opinion, neutral: float | None) -> str:
    """Say how two intervals differ, or nothing where they agree."""
    if found.low is None or found.high is None or drawn.low is None or drawn.high is None:
        return ""
    if neutral is not None and (found.low <= neutral <= found.high) != (drawn.low <= neutral <= drawn.high):
        return "one interval holds the neutral value, the other does not"
    furthest = max(abs(found.low - drawn.low), abs(found.high - drawn.high))
    return "their ends lie more than half of an interval apart" if furthest > APART * (found.high - found.low) else ""
