"""Scales on which estimates are roughly normal, and the statistic that intervals and tests are read off.

Shares are taken to their logit, correlations to Fisher's z, positive ratios to their logarithm; differences, and
metrics with a kink, stay as they are.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scale:
    """Where an estimate is roughly normal: a function, its inverse, and the two ends that a share has.

    Attributes:
        ends: lowest and highest value, where both can occur and then have a place on the scale (``shrunk``).
    """

    name: str
    forward: Callable[[Array], Array]
    inverse: Callable[[float], float]
    ends: tuple[float, float] | None = None

    def share(self, values: Array) -> Array:
        """Return how far values lie between the two ends, from 0 to 1; of other scales the values as they are."""
        if self.ends is None:
            return values
        low, high = self.ends
        return (values - low) / (high - low)

    def at(self, value: float) -> float:
        """Return where one value lies."""
        return float(self.forward(np.array([value]))[0])


def _exp(x: float) -> float:
    return math.exp(x) if x < 709 else math.inf


def _expit(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _logit(x: Array) -> Array:
    return np.asarray(np.log(x) - np.log1p(-x))


BALANCE = "logit of (1 + s) / 2"
"""Scale of a balance s between two sides, from -1 to 1, such as s_DIS of BBQ: (1 + s) / 2 is the share of the first."""

SCALES = {
    scale.name: scale
    for scale in (
        Scale("identity", lambda x: x, lambda x: x),
        Scale("logit", _logit, _expit, (0.0, 1.0)),
        Scale(BALANCE, lambda x: _logit((1 + x) / 2), lambda x: 2 * _expit(x) - 1, (-1.0, 1.0)),
        Scale("fisher z", np.arctanh, math.tanh),
        # of a difference of two means over the spread of both, whose half is nearly a correlation with the set
        Scale("fisher z of d/2", lambda x: np.arctanh(x / 2), lambda x: 2 * math.tanh(x)),
        Scale("log", np.log, _exp),
    )
}


def shrunk(scale: Scale, effective: float) -> Scale:
    """Return the logit with half an effective item added to each side, so that both ends have a place on the scale.

    Args:
        scale: one with ends.
        effective: how many independent items would tell as much as those that there are.
    """
    return replace(scale, forward=lambda x: _logit((scale.share(x) * effective + 0.5) / (effective + 1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pivot:
    """An estimate on its scale with its standard error: what every interval and test of it is read off.

    Attributes:
        scale: as it is for this estimate: the logit of a share is shrunk a little, by its number of effective items.
        value: the estimate itself.
        centre: the estimate on the scale.
        error: its standard error there.
        neutral: the value without bias on the scale, or None.
    """

    scale: Scale
    value: float
    centre: float
    error: float
    neutral: float | None

    @property
    def statistic(self) -> float | None:
        """How many standard errors the estimate lies from neutral, or None where nothing is neutral."""
        return None if self.neutral is None else abs(self.centre - self.neutral) / self.error

    def ends(self, quantile: float) -> tuple[float, float]:
        """Return the interval of as many standard errors to either side; infinite where numbers end."""
        low, high = (self.scale.inverse(self.centre + sign * quantile * self.error) for sign in (-1, 1))
        # a shrunken share can lie a hair outside of its interval near its ends
        return min(self.value, low), max(self.value, high)
