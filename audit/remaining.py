"""How much energy a training will have used at its end, foretold from its steps so far."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

from fairprint.audit.statistics import t_quantile

WARM_UP = 0.1
"""Share of the steps so far that is left out: caches fill, and clocks rise (carbontracker's plain mean keeps them)."""

BLOCKS, FEWEST_BLOCKS = 10, 4
LEVEL = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Energy of the whole training at its end (kWh), with a 90 % interval for what its steps will really use.

    Attributes:
        value, low, high: None with ``reason``.
        blocks: of consecutive steps, whose scatter gives the interval.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    blocks: int = 0
    reason: str | None = None


def forecast(points: Sequence[tuple[int, float]], steps: int) -> Forecast:
    """Foretell the energy after ``steps`` steps: E_k + (K - k) x the mean energy of a step after the warm-up.

    Neighbouring steps are alike, so that ten blocks of consecutive steps are taken as the sample (batch means; Law &
    Kelton, Simulation Modeling and Analysis, 9.5.3): with the rate r = sum dE / sum dk, and the residuals dE - r dk of
    the blocks, the variance of n future steps is s^2 n (1 + n / k) for s^2 the variance of one step, and Student's t
    has one degree of freedom less than there are blocks.

    Args:
        points: steps done and energy (kWh) up to then, both rising, at each sample of the meter.
        steps: of the whole training.
    """
    if not points:
        return Forecast(value=None, reason="no step has been metered yet")
    done, so_far = points[-1]
    if done >= steps:
        return Forecast(value=so_far, low=so_far, high=so_far)
    warm = [point for point in points if point[0] >= WARM_UP * done]
    ends = _blocks(warm)
    count = len(ends) - 1
    if count < FEWEST_BLOCKS:
        return Forecast(
            value=None, blocks=max(count, 0), reason="too few steps have been metered to tell their scatter"
        )
    changes = [(after[0] - before[0], after[1] - before[1]) for before, after in pairwise(ends)]
    known = sum(change[0] for change in changes)
    rate = sum(change[1] for change in changes) / known
    # the variance of a single step, had steps been independent: that of a block over its steps
    variance = sum((kwh - rate * n) ** 2 for n, kwh in changes) / (count - 1) * count / known
    left = steps - done
    value = so_far + left * rate
    half = t_quantile((1 + LEVEL) / 2, count - 1) * sqrt(variance * left * (1 + left / known))
    return Forecast(value=value, low=max(so_far, value - half), high=value + half, blocks=count)


def _blocks(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return the ends of at most `BLOCKS` blocks of about equally many steps."""
    if len(points) < 2:
        return list(points)
    first, last = points[0][0], points[-1][0]
    ends = [points[0]]
    for point in points[1:]:
        if point[0] - ends[-1][0] >= (last - first) / BLOCKS:
            ends.append(point)
    return ends
