"""A metric computed anew where units come up several times or not at all, and again with one unit less.

What the jackknife does once, where each unit comes up once, the bootstrap does in each of its draws. Sums of a draw are
the sums of its units, and leaving a unit out takes its sums off once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from fairprint.audit.statistics import (
    CELL,
    LEXEME,
    TEMPLATE,
    Array,
    Codes,
    Combine,
    Factors,
    Form,
    Sums,
    Weights,
    grid,
    on_grid,
    sums_by,
)

Copies = Mapping[str, Array]
"""By random factor, how often each unit comes up, shape [draw, unit]."""

_MOST_KINDS = 32
"""Units that have the same sums are left out together where there are at most so many kinds of them."""
_WEIGHTS_AT_ONCE = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampled:
    """A metric in some draws.

    Attributes:
        values: shape [draw]; NaN where a draw has no value.
        without: by factor (the two crossed ones have their ``cell`` beside them), the value with each unit left out
            once, shape [draw, unit]; of no meaning where the unit does not come up.
        copies: how often it does, shape [draw, unit].
    """

    values: Array
    without: Mapping[str, Array]
    copies: Copies


Resampler = Callable[[Copies], Resampled]


def resampler(form: Form, factors: Factors) -> Resampler:
    """Return what computes a metric in draws of the random factors of its items."""
    if isinstance(form, Weights):
        return _of_weights(form, factors)
    columns = on_grid(form.columns, grid(form.columns))
    if form.of_lexeme is not None:
        return _of_lexemes(form, form.of_lexeme, columns, factors)
    if form.cells is not None:
        # each cell of the metric has columns of its own
        own = np.zeros((len(columns), int(form.cells.max()) + 1, columns.shape[1]))
        own[np.arange(len(columns)), form.cells] = columns
        columns = own.reshape(len(columns), -1)
    if len(factors.random) == 1:
        return _of_units(form, sums_by(factors.codes(factors.random[0]), columns), factors.random[0])
    return _of_crossed(form, columns, factors)


def _combined(form: Sums, sums: Array) -> Array:
    """Return the values of sums of shape [column, ...]."""
    cells = 1 if form.cells is None or form.of_lexeme is not None else int(form.cells.max()) + 1
    width = len(sums) // cells
    # the columns come first in memory, so that combine works on numbers that lie side by side
    flat = sums.reshape(len(sums), -1).T.reshape(-1, cells, width)
    return form.combine(flat).reshape(sums.shape[1:])


@dataclass(frozen=True, slots=True)
class _Kinds:
    """Units of the same sums taken together: ``sums`` [column, kind], and which kind each unit is [unit, kind]."""

    sums: Array
    of: Array | None

    @classmethod
    def told(cls, units: Array) -> "_Kinds":
        kinds, code = np.unique(units, axis=0, return_inverse=True)
        if len(kinds) > min(_MOST_KINDS, len(units) // 2):
            return cls(np.ascontiguousarray(units.T), None)
        return cls(np.ascontiguousarray(kinds.T), np.eye(len(kinds))[code.ravel()])

    def copies(self, of_units: Array) -> Array:
        return of_units if self.of is None else of_units @ self.of


def _of_units(form: Sums, units: Array, factor: str) -> Resampler:
    """One random factor, whose units have the same sums in every draw."""
    kinds = _Kinds.told(units)

    def resample(copies: Copies) -> Resampled:
        counts = kinds.copies(copies[factor])
        total = kinds.sums @ counts.T
        without = _combined(form, total[:, :, None] - kinds.sums[:, None, :])
        return Resampled(values=_combined(form, total), without={factor: without}, copies={factor: counts})

    return resample


@dataclass(frozen=True, slots=True)
class _Pairs:
    """The sums of each template x lexeme pair that has items, ordered by template."""

    template: Codes
    lexeme: Codes
    sums: Array
    shape: tuple[int, int]

    @classmethod
    def of(cls, columns: Array, factors: Factors) -> "_Pairs":
        shape = len(factors.names[TEMPLATE]), len(factors.names[LEXEME])
        pairs, code = np.unique(factors.template * shape[1] + factors.lexeme, return_inverse=True)
        template, lexeme = np.divmod(pairs, shape[1])
        return cls(template, lexeme, sums_by(code, columns), shape)

    def column(self, number: int) -> "sparse.csr_array":
        """Return the sums of one column as a matrix [template, lexeme]."""
        return sparse.csr_array((self.sums[:, number], (self.template, self.lexeme)), shape=self.shape)

    def copies(self, copies: Copies) -> Array:
        """Return how often each pair comes up, shape [draw, pair]."""
        return np.asarray(copies[TEMPLATE][:, self.template] * copies[LEXEME][:, self.lexeme])


def _of_crossed(form: Sums, columns: Array, factors: Factors) -> Resampler:
    """Two random factors: what a template takes off depends on how often the lexemes come up, and the reverse."""
    pairs = _Pairs.of(columns, factors)
    kinds = _Kinds.told(pairs.sums)
    by_template = [pairs.column(number) for number in range(columns.shape[1])]
    by_lexeme = [matrix.T.tocsr() for matrix in by_template]

    def resample(copies: Copies) -> Resampled:
        counts = kinds.copies(pairs.copies(copies))
        total = kinds.sums @ counts.T
        off = {
            TEMPLATE: np.stack([(matrix @ copies[LEXEME].T).T for matrix in by_template]),
            LEXEME: np.stack([(matrix @ copies[TEMPLATE].T).T for matrix in by_lexeme]),
            CELL: kinds.sums[:, None, :],
        }
        return Resampled(
            values=_combined(form, total),
            without={factor: _combined(form, total[:, :, None] - taken) for factor, taken in off.items()},
            copies={**copies, CELL: counts},
        )

    return resample


def _of_lexemes(form: Sums, of_lexeme: Combine, columns: Array, factors: Factors) -> Resampler:
    """A metric of numbers of lexemes: each lexeme counts as often as it comes up."""
    sums = sums_by(factors.lexeme, columns)
    step = grid(of_lexeme(sums))
    if factors.random == (LEXEME,):
        return _of_units(form, on_grid(of_lexeme(sums), step), LEXEME)
    pairs = _Pairs.of(columns, factors)
    by_lexeme = [pairs.column(number).T.tocsr() for number in range(columns.shape[1])]
    begins = np.searchsorted(pairs.template, np.arange(pairs.shape[0]))

    def resample(copies: Copies) -> Resampled:
        drawn = np.stack([(matrix @ copies[TEMPLATE].T).T for matrix in by_lexeme], axis=-1)
        own = on_grid(of_lexeme(drawn), step)
        left = on_grid(of_lexeme(drawn[:, pairs.lexeme] - pairs.sums), step)
        lost = np.moveaxis(own[:, pairs.lexeme] - left, -1, 0)
        own = np.moveaxis(own, -1, 0)
        counts = copies.get(LEXEME, np.ones(drawn.shape[:2]))
        total = (own * counts).sum(axis=2)
        off = {TEMPLATE: np.add.reduceat(lost * counts[:, pairs.lexeme], begins, axis=2)}
        found = dict(copies)
        if LEXEME in factors.random:
            off |= {LEXEME: own, CELL: lost}
            found[CELL] = pairs.copies(copies)
        return Resampled(
            values=_combined(form, total),
            without={factor: _combined(form, total[:, :, None] - taken) for factor, taken in off.items()},
            copies=found,
        )

    return resample


def _of_weights(form: Weights, factors: Factors) -> Resampler:
    """An item weighs as often as its template comes up, times as often as its lexeme does."""
    names = (*factors.random, CELL) if len(factors.random) == 2 else factors.random
    codes = {factor: factors.codes(factor) for factor in names}
    items = len(factors.template)

    def resample(copies: Copies) -> Resampled:
        times = {factor: copies[factor][:, codes[factor]] for factor in factors.random}
        weights = np.prod(list(times.values()), axis=0)
        # leaving out a template once takes off its items as often as their lexemes come up, and the reverse
        once = {factor: np.prod([t for f, t in times.items() if f != factor], axis=0) for factor in factors.random}
        counts = dict(copies)
        if CELL in codes:
            once[CELL] = np.ones(items)
            first = np.unique(codes[CELL], return_index=True)[1]
            counts[CELL] = weights[:, first]
        without = {
            factor: _weighted(
                form, weights, codes[factor], np.broadcast_to(once[factor], weights.shape), counts[factor]
            )
            for factor in names
        }
        return Resampled(values=form.estimator(weights), without=without, copies=counts)

    return resample


def _weighted(form: Weights, weights: Array, codes: Codes, once: Array, copies: Array) -> Array:
    """Return the values with each unit that comes up left out once."""
    without = np.full(copies.shape, np.nan)
    draws, units = np.nonzero(copies)
    rows = max(1, _WEIGHTS_AT_ONCE // weights.shape[1])
    for start in range(0, len(draws), rows):
        draw, unit = draws[start : start + rows], units[start : start + rows]
        inside = codes[None, :] == unit[:, None]
        without[draw, unit] = form.estimator(weights[draw] - once[draw] * inside)
    return without
