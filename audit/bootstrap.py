"""A second opinion on an interval: the symmetric studentised cluster bootstrap.

Whole units are drawn with replacement, as many as there are; of two crossed factors both are drawn, independently of
each other, and an item comes up as often as its template times as often as its lexeme (the pigeonhole bootstrap, Owen
2007). Of each draw the distance from the estimate is taken in standard errors of that draw, by the same delete-one-unit
jackknife as for the estimate, on the same scale. The interval is the estimate plus and minus q standard errors, where
95 % of the draws lie nearer than q; the p-value of the neutral value is (b + 1) / (B + 1), where b of B draws lie at
least as far off as it does (Phipson & Smyth 2010). So an interval leaves the neutral value out exactly when p < .05.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fairprint.audit.memory import keep_freed_memory
from fairprint.audit.resampling import Resampled, resampler
from fairprint.audit.scales import Pivot
from fairprint.audit.statistics import CELL, LEVEL, LEXEME, TEMPLATE, Array, Factors, Form, Interval, Weights

DRAWS = 10_000
FEWER_DRAWS, MANY_UNITS = 2_000, 5_000
"""Draws where there are more units than ``MANY_UNITS`` to leave out in each: such an interval hardly moves."""
BLOCK = 250
"""Draws that are made at once."""
MANY_LOST = 0.01
"""Share of draws without a value or a standard error above which they are told of."""

_KEPT = 2**25
"""Bytes of draws that are kept, so that estimates of the same units share them."""
_AT_ONCE = 2**17
"""Numbers that leave-one-out values are computed of at once: so few that they stay in the processor's cache."""
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Draws:
    """How often each unit comes up in each draw: for one seed and as many units always the same."""

    seed: int
    _kept: dict[tuple[str, int, int], NDArray[np.uint16]] = field(default_factory=dict, repr=False)

    def copies(self, factor: str, units: int, block: int) -> NDArray[np.uint16]:
        """Return one block of draws, shape [``BLOCK``, unit]."""
        key = (factor, units, block)
        if key not in self._kept:
            made = self._made(*key)
            if sum(found.nbytes for found in self._kept.values()) + made.nbytes > _KEPT:
                return made
            self._kept[key] = made
        return self._kept[key]

    def _made(self, factor: str, units: int, block: int) -> NDArray[np.uint16]:
        rng = np.random.default_rng([self.seed, (TEMPLATE, LEXEME).index(factor), units, block])
        made = np.empty((BLOCK, units), dtype=np.uint16)
        rows = max(1, min(BLOCK, 2**21 // units))
        for start in range(0, BLOCK, rows):
            part = made[start : start + rows]
            drawn = rng.integers(0, units, part.shape, dtype=np.uint16 if units <= 2**16 else np.uint32)
            flat = np.add(drawn, np.arange(len(part))[:, None] * units, dtype=np.intp).ravel()
            part[:] = np.bincount(flat, minlength=part.size).reshape(part.shape)
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What the bootstrap says of an estimate. Absent numbers are None, with the reason.

    Attributes:
        low, high, p_value: as those of ``Interval``.
        draws: how many were made.
        lost: those without a value or without a standard error, which count as infinitely far off.
    """

    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    draws: int = 0
    lost: int = 0
    reason: str | None = None
    warnings: tuple[str, ...] = ()


def bootstrap(form: Form, factors: Factors, found: Interval, draws: Draws, count: int | None = None) -> Opinion:
    """Return the bootstrap's interval and p-value of an estimate.

    Args:
        form: how the metric is computed.
        factors: the units of the items.
        found: the estimate with its jackknife interval.
        draws: where the draws are from; estimates of as many units share them.
        count: how many draws, in whole blocks, or None for as many as the number of units asks for.
    """
    pivot = found.pivot
    if pivot is None:
        return Opinion(reason=found.reason or "there is no standard error by which draws could be compared")
    count = draws_for(factors) if count is None else count
    far = np.sort(distances(form, factors, pivot, draws, count))
    lost = int(np.isinf(far).sum())
    warnings: tuple[str, ...] = ()
    if lost > MANY_LOST * len(far):
        told = f"{lost:,} of {len(far):,} draws have no value or no spread"
        warnings = (f"{told}; they count as infinitely far off, which makes the interval wider",)
    p_value = None
    if pivot.statistic is not None:
        p_value = (len(far) - int(np.searchsorted(far, pivot.statistic)) + 1) / (len(far) + 1)
    quantile = float(far[min(math.ceil(LEVEL * (len(far) + 1)), len(far)) - 1])
    low, high = pivot.ends(quantile) if math.isfinite(quantile) else (-math.inf, math.inf)
    if not (math.isfinite(low) and math.isfinite(high)):
        reason = "too many draws have no value or no spread" if lost else "the interval is wider than numbers go"
        return Opinion(p_value=p_value, draws=len(far), lost=lost, reason=reason, warnings=warnings)
    return Opinion(low=low, high=high, p_value=p_value, draws=len(far), lost=lost, warnings=warnings)


def distances(form: Form, factors: Factors, pivot: Pivot, draws: Draws, count: int) -> Array:
    """Return how many of its own standard errors each draw lies from the estimate; infinite where it has none."""
    keep_freed_memory()
    resample = resampler(form, factors)
    rows = max(1, _AT_ONCE // (_width(factors) * _columns(form)))
    found = []
    for block in range(-(-count // BLOCK)):
        copies = {factor: draws.copies(factor, len(factors.names[factor]), block) for factor in factors.random}
        for start in range(0, BLOCK, rows):
            part = {factor: drawn[start : start + rows].astype(np.float64) for factor, drawn in copies.items()}
            found.append(_far(resample(part), pivot))
    return np.concatenate(found)


def _columns(form: Form) -> int:
    if isinstance(form, Weights):
        return 1
    return int(form.columns.shape[1]) * (1 if form.cells is None else int(form.cells.max()) + 1)


def _far(found: Resampled, pivot: Pivot) -> Array:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        centre = pivot.scale.forward(found.values)
        parts = {
            factor: _variance(pivot.scale.forward(values) - centre[:, None], found.copies[factor])
            for factor, values in found.without.items()
        }
        used = np.max([parts[factor] for factor in parts if factor != CELL], axis=0)
        if CELL in parts:
            used = np.maximum(used, parts[TEMPLATE] + parts[LEXEME] - parts[CELL])
        far = np.abs(centre - pivot.centre) / np.sqrt(used)
    return np.where(np.isfinite(far) & (used > 0), far, np.inf)


def _variance(moved: Array, copies: Array) -> Array:
    """Return the delete-one jackknife variance of each draw, from how far leaving out each unit moves the value."""
    weighted = copies * moved
    first = weighted.sum(axis=1)
    if np.isnan(first).any():
        # a unit that does not come up has a value of no meaning, and perhaps none at all
        moved = np.where(copies == 0, 0, moved)
        weighted = copies * moved
        first = weighted.sum(axis=1)
    count, squares = copies.sum(axis=1), np.vecdot(weighted, moved)
    spread = squares - first * first / count
    return np.where(spread > _ROUNDING * squares, (count - 1) / count * spread, np.where(np.isnan(spread), np.nan, 0))


def draws_for(factors: Factors) -> int:
    """Return how many draws are made, by the number of units that are left out in each."""
    return DRAWS if _width(factors) <= MANY_UNITS else FEWER_DRAWS


def _width(factors: Factors) -> int:
    if len(factors.random) == 2:
        return int(factors.codes(CELL).max()) + 1
    return len(factors.names[factors.random[0]])
