"""Limits on a number itself: what its interval says of how far it lies within or beyond them.

All is read off the estimate's own scale, on which its error is roughly normal: a share is not held to lie beyond 100 %.
"""

import math
from collections.abc import Sequence

from fairprint.audit.amounts import told
from fairprint.audit.checks import Direction, Verdict
from fairprint.audit.judging import Evidence
from fairprint.audit.records import Estimate, Footprint
from fairprint.audit.scales import SCALES, Scale
from fairprint.audit.statistics import LEVEL, TEMPLATE, t_quantile, t_tail

_BEYOND = (1 - LEVEL) / 2
"""One-sided p-value of an interval without a standard error that lies beyond a limit as a whole."""


def beyond(estimate: Estimate, limit: float, direction: Direction) -> Evidence | None:
    """Return what is known of a number, held against a limit.

    Args:
        estimate: with its interval.
        limit: the largest value; the smallest where ``direction`` is ``down``; the largest distance from the neutral
            value where it is ``away_from_neutral``, which the metric then has.
        direction: which way is worse.

    Returns:
        The number as a worsening, up is worse: of ``down`` its negative, to be held against the negative of the limit.
        None where the number has no value.
    """
    if estimate.value is None:
        return None
    if direction == "away_from_neutral" and estimate.neutral is not None:
        return _apart(estimate, estimate.neutral, limit)
    sign = 1 if direction == "up" else -1
    found = _placed(estimate)
    worst = sign * estimate.value
    if found is None:
        return _without_error(estimate, worst, sorted(sign * end for end in _ends(estimate)), sign * limit)
    scale, centre, error, df = found
    edge = _at(scale, limit)
    return _evidence(
        estimate,
        worsening=worst,
        bound=max(worst, sign * scale.inverse(centre + sign * t_quantile(LEVEL, df) * error)),
        p_value=_tail(sign * (centre - edge), error, df),
        gap=abs(centre - edge),
    )


def _apart(estimate: Estimate, neutral: float, limit: float) -> Evidence:
    """Hold the distance from a neutral value against a limit: it may be broken on either side."""
    value = estimate.value or 0.0
    distance = abs(value - neutral)
    found = _placed(estimate)
    if found is None:
        ends = sorted(abs(end - neutral) for end in _ends(estimate))
        if ends and min(_ends(estimate)) <= neutral <= max(_ends(estimate)):
            ends[0] = 0.0
        return _without_error(estimate, distance, ends, limit)
    scale, centre, error, df = found
    low, high = _at(scale, neutral - limit), _at(scale, neutral + limit)
    past = centre - high if value >= neutral else low - centre
    reach = t_quantile(LEVEL, df) * error
    farthest = max(abs(scale.inverse(centre + sign * reach) - neutral) for sign in (-1, 1))
    return _evidence(
        estimate,
        worsening=distance,
        bound=max(distance, farthest),
        # as far beyond the other end would have been as much of a surprise
        p_value=min(1.0, _tail(past, error, df) + _tail(past + high - low, error, df)),
        gap=abs(past),
    )


def _placed(estimate: Estimate) -> tuple[Scale, float, float, float] | None:
    """Return scale, centre there, standard error and its degrees of freedom; None where the estimate has none."""
    scale = SCALES.get(estimate.scale)
    error, df = estimate.standard_error, estimate.degrees_of_freedom
    if scale is None or not error or df is None or estimate.value is None:
        return None
    if scale.ends is None:
        return scale, scale.at(estimate.value), error, df
    if estimate.low is None or estimate.high is None or not {estimate.low, estimate.high}.isdisjoint(scale.ends):
        return None
    # a share is shrunk a little on its scale: it lies in the middle of its interval there
    return scale, (scale.at(estimate.low) + scale.at(estimate.high)) / 2, error, df


def _at(scale: Scale, limit: float) -> float:
    """Return where a limit lies on a scale; infinite beyond its ends."""
    if scale.ends is not None and limit <= scale.ends[0]:
        return -math.inf
    if scale.ends is not None and limit >= scale.ends[1]:
        return math.inf
    return scale.at(limit)


def _tail(distance: float, error: float, df: float) -> float:
    return t_tail(distance / error, df)


def _ends(estimate: Estimate) -> list[float]:
    return [] if estimate.low is None or estimate.high is None else [estimate.low, estimate.high]


def _without_error(estimate: Estimate, worsening: float, ends: Sequence[float], limit: float) -> Evidence:
    """Read an interval that is not made of a standard error, such as that of answers which all agree."""
    if not ends:
        return _evidence(estimate, worsening=worsening, bound=None, p_value=None, gap=None)
    p_value = _BEYOND if ends[0] > limit else 1.0
    return _evidence(estimate, worsening=worsening, bound=ends[-1], p_value=p_value, gap=None)


def _evidence(
    estimate: Estimate, *, worsening: float, bound: float | None, p_value: float | None, gap: float | None
) -> Evidence:
    units = estimate.units
    largest = max(units, key=lambda f: (estimate.standard_errors.get(f, 0.0), f == TEMPLATE), default=None)
    return Evidence(
        worsening=worsening,
        bound=bound,
        p_value=p_value,
        error=estimate.standard_error,
        degrees_of_freedom=estimate.degrees_of_freedom,
        units=units,
        limiting=largest,
        gap=gap,
        reason=None if bound is not None else estimate.reason or "it has no interval",
    )


def budget(footprint: Footprint, metric: str, most: float) -> tuple[Verdict, str]:
    """Return verdict and reason of a budget of energy or emissions, judged on the interval of the record.

    Args:
        footprint: what the run cost.
        metric: ``energy_kwh`` or ``emissions_kg``.
        most: the budget.
    """
    stem, unit = metric.rsplit("_", 1)
    low, high = (getattr(footprint, f"{stem}_{end}_{unit}") for end in ("low", "high"))
    unit = {"kwh": "kWh", "kg": "kg CO2-eq"}[unit]
    if low is None or high is None:
        return "error", f"the run has no {stem}: {footprint.reason or 'nothing measured it'}"
    span = f"between {told(low, unit)} and {told(high, unit)} (90 % interval)"
    if high <= most:
        return "pass", f"it lies {span}, within the budget of {told(most, unit)}"
    if low > most:
        return "fail", f"it lies {span}, above the budget of {told(most, unit)}"
    return "inconclusive", f"it lies {span}, and the budget of {told(most, unit)} lies in between"
