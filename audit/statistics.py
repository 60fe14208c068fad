"""Intervals for two crossed random factors: delete-one-unit jackknife, t quantile, on the metric's own scale.

Items of a probe set share templates and lexemes, and both are samples of what could have been asked. The variance of
an estimate is V = max(V_T + V_L - V_TL, V_T, V_L), where each term is the jackknife variance when whole templates,
whole lexemes, or single template x lexeme cells are left out (Cameron, Gelbach & Miller 2011); its degrees of freedom
are V^2 / (V_T^2 / (T - 1) + V_L^2 / (L - 1)) (Satterthwaite).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from fairprint.audit.scales import SCALES, Pivot, Scale, shrunk

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
Combine = Callable[[Array], Array]
"""Sums [replicate, cell, column] to values [replicate]; NaN where a replicate has no value."""
Weighted = Callable[[Array], Array]
"""Item weights [replicate, item] to values [replicate]; NaN where a replicate has no value."""

LEVEL = 0.95
POWER = 0.80
TEMPLATE, LEXEME, CELL, ITEM, TWO_WAY = "template", "lexeme", "cell", "item", "two-way"
_FEW_ANSWERS, _LOPSIDED = 5, 0.2
"""Effective items on the rarer side, and its share, below which the interval of a share is too short: 88 to 93 % cover
where clusters differ much, against 94 % and more above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Factors:
    """Which template and lexeme each item has, as codes from 0, and which of the two are random.

    Attributes:
        template, lexeme: codes, shape [item].
        names: names of the units by factor, in the order of the codes.
        random: the factors that are samples; the others are held fixed.
    """

    template: Codes
    lexeme: Codes
    names: dict[str, tuple[str, ...]]
    random: tuple[str, ...]

    @classmethod
    def of(cls, templates: Sequence[str], lexemes: Sequence[str], random: Sequence[str]) -> "Factors":
        """Code the units in order of first occurrence; a random factor with one unit cannot vary and is dropped."""
        names = {TEMPLATE: tuple(dict.fromkeys(templates)), LEXEME: tuple(dict.fromkeys(lexemes))}
        index = {factor: {name: i for i, name in enumerate(units)} for factor, units in names.items()}
        return cls(
            template=np.array([index[TEMPLATE][t] for t in templates], dtype=np.intp),
            lexeme=np.array([index[LEXEME][x] for x in lexemes], dtype=np.intp),
            names=names,
            random=tuple(factor for factor in (TEMPLATE, LEXEME) if factor in random and len(names[factor]) > 1),
        )

    def codes(self, factor: str) -> Codes:
        """Return the unit of each item for ``template``, ``lexeme``, their ``cell``, or ``item``: each its own."""
        if factor == ITEM:
            return np.arange(len(self.template), dtype=np.intp)
        if factor == CELL:
            cells: Codes = np.unique(self.template * len(self.names[LEXEME]) + self.lexeme, return_inverse=True)[1]
            return cells
        return self.template if factor == TEMPLATE else self.lexeme


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate with its uncertainty. Absent numbers are None, with the reason.

    Attributes:
        value: the estimate on these items, exact.
        low, high: 95 % confidence interval for units of the kind.
        p_value: two-sided, of the neutral value, from the statistic that gives the interval.
        standard_error, degrees_of_freedom: on ``scale``.
        standard_errors: on ``scale`` too: had each ``item`` been drawn by itself, with whole units of ``template`` or
            ``lexeme`` drawn, and of both at once (``two-way``); those that there are.
        design_effect: variance over what it would be, had each item been drawn by itself.
        detectable: smallest distance from neutral that is found with 80 % power at 5 %.
        extremes: (factor, unit, value without it), lowest and highest.
        pivot: what the interval is read off, or None where it is not made of a standard error.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    standard_error: float | None = None
    standard_errors: Mapping[str, float] = field(default_factory=dict)
    degrees_of_freedom: float | None = None
    design_effect: float | None = None
    detectable: float | None = None
    units: Mapping[str, int] = field(default_factory=dict)
    extremes: tuple[tuple[str, str, float], ...] = ()
    reason: str | None = None
    warnings: tuple[str, ...] = ()
    pivot: Pivot | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """A metric that is a function of sums over items.

    Attributes:
        columns: per-item numbers, shape [item, column].
        combine: function of sums [replicate, cell, column].
        cells: the metric's own cell of each item (such as the side that it is on), codes from 0; one cell where None.
        of_lexeme: where the metric is made of numbers of lexemes, such as a mean over them: from the sums over a
            lexeme's items [..., column] to the lexeme's own numbers [..., number], all 0 where it has no items. These
            are summed over lexemes, and ``combine`` gets the sums in one cell. A lexeme that is drawn twice is two.
    """

    columns: Array
    combine: Combine
    cells: Codes | None = None
    of_lexeme: Combine | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A metric that no sums can give (ranks, centring): a function of item weights [replicate, item]."""

    estimator: Weighted


Form = Sums | Weights
"""How a metric is computed: jackknife, bootstrap and the shards of a distributed run all go by it."""

MOST_WEIGHTED = 5_000
"""Items up to which each is left out in turn of a metric that takes weights: beyond, that would take minutes."""


def jackknife(form: Form, factors: Factors) -> dict[str, Array]:
    """Return an estimate and its leave-one-out replicates.

    Args:
        form: how the metric is computed.
        factors: the units of the items.

    Returns:
        ``all`` with shape [1], and each of ``template``, ``lexeme``, ``cell``, ``item`` that is needed, shape [unit].
    """
    if isinstance(form, Weights):
        total, without = form.estimator(np.ones((1, len(factors.template)))), _without_weights(form, factors)
    elif form.of_lexeme is not None:
        total, without = _by_lexeme(form, form.of_lexeme, factors)
    else:
        total, without = _by_unit(form)
    replicates = {"all": total}
    for factor in _needed(factors):
        codes = factors.codes(factor)
        # as where each item has a template of its own
        single = [done for done in replicates if factor == ITEM and len(replicates[done]) == len(codes) > 1]
        if single:
            replicates[ITEM] = replicates[single[0]][factors.codes(single[0])]
        elif factor != ITEM or isinstance(form, Sums) or len(codes) <= MOST_WEIGHTED:
            replicates[factor] = without(codes)
    return replicates


def _needed(factors: Factors) -> tuple[str, ...]:
    # the cells are needed for the two-way formula, the items for the design effect
    if len(factors.random) == 2:
        return TEMPLATE, LEXEME, CELL, ITEM
    return (*factors.random, ITEM) if factors.random else ()


def _by_unit(form: Sums) -> tuple[Array, Callable[[Codes], Array]]:
    cells = np.zeros(len(form.columns), dtype=np.intp) if form.cells is None else form.cells
    columns = on_grid(form.columns, grid(form.columns))
    count = int(cells.max()) + 1 if len(cells) else 1

    def sums(codes: Codes) -> Array:
        out = np.zeros((int(codes.max(initial=0)) + 1, count, columns.shape[1]))
        np.add.at(out, (codes, cells), columns)
        return out

    total = sums(np.zeros(len(columns), dtype=np.intp))
    return form.combine(total), lambda codes: form.combine(total - sums(codes))


def _by_lexeme(form: Sums, of_lexeme: Combine, factors: Factors) -> tuple[Array, Callable[[Codes], Array]]:
    columns = on_grid(form.columns, grid(form.columns))
    sums = sums_by(factors.lexeme, columns)
    exact = of_lexeme(sums)
    step = grid(exact)
    own = on_grid(exact, step)
    total = own.sum(axis=0)

    def without(codes: Codes) -> Array:
        # what a unit takes off is what each lexeme loses without the items that it has in the unit
        pairs, code = np.unique(codes * len(sums) + factors.lexeme, return_inverse=True)
        units, lexemes = np.divmod(pairs, len(sums))
        left = on_grid(of_lexeme(sums[lexemes] - sums_by(code, columns)), step)
        return form.combine((total - sums_by(units, own[lexemes] - left))[:, None])

    return form.combine(exact.sum(axis=0)[None, None]), without


def sums_by(codes: Codes, columns: Array) -> Array:
    """Return the sums of columns [item, column] over the items of each unit, shape [unit, column]."""
    out = np.zeros((int(codes.max(initial=-1)) + 1, columns.shape[1]))
    np.add.at(out, codes, columns)
    return out


def grid(columns: Array) -> Array:
    """Return for each column the step of a binary grid on which every sum of its numbers is exact.

    Else what is left of a sum after a deletion differs in its last digit, and units that agree exactly seem to vary.
    The step is so coarse that a sum of four times as many numbers is exact too, as they come up in resampling.
    """
    largest = np.maximum(np.abs(columns).max(axis=0, initial=0.0), np.finfo(np.float64).tiny)
    return np.asarray(np.exp2(np.ceil(np.log2(largest * max(len(columns), 1))) - 50))


def on_grid(columns: Array, step: Array) -> Array:
    """Round numbers to a grid."""
    return np.asarray(np.round(columns / step) * step)


def _without_weights(form: Weights, factors: Factors) -> Callable[[Codes], Array]:
    def without(codes: Codes) -> Array:
        units = int(codes.max()) + 1
        parts = []
        for start in range(0, units, 256):
            block = np.arange(start, min(start + 256, units))
            parts.append(form.estimator((codes[None, :] != block[:, None]).astype(np.float64)))
        return np.concatenate(parts)

    return without


def interval(
    replicates: Mapping[str, Array],
    factors: Factors,
    *,
    scale: str,
    neutral: float | None,
    items: int,
) -> Interval:
    """Return the interval of an estimate from its leave-one-out replicates.

    Args:
        replicates: from ``jackknife``.
        factors: the units of the items.
        scale: a name in ``SCALES``; ``logit`` is for shares, ``BALANCE`` for a balance of two.
        neutral: the value without bias, or None.
        items: how many items the estimate is made of.
    """
    value = float(replicates["all"][0])
    if math.isnan(value):
        return Interval(value=None, reason="it has no value here: too few answers, or all the same")
    if not factors.random:
        return Interval(value=value, reason="a single unit: nothing to estimate a variance from")
    return replace(
        _known_interval(value, replicates, factors, SCALES[scale], neutral, items),
        units={factor: len(factors.names[factor]) for factor in factors.random},
        extremes=_extremes(replicates, factors),
    )


def _known_interval(
    value: float, replicates: Mapping[str, Array], factors: Factors, scale: Scale, neutral: float | None, items: int
) -> Interval:
    needed = {factor: found for factor, found in replicates.items() if factor != ITEM}
    if any(np.isnan(values).any() for values in needed.values()):
        return Interval(value=value, reason="without one unit there is no value: too few units for an interval")
    here, warnings = scale, tuple[str, ...]()
    if scale.ends is not None:
        share, plain = float(scale.share(np.array([value]))[0]), _two_way(replicates, factors, scale.share)
        if plain.used <= 0 and value in scale.ends:
            return _unanimous(value, scale, neutral, _fewest(factors))
        effective = min(max(share * (1 - share) / plain.used if plain.used > 0 else 1.0, 1.0), float(items))
        here = shrunk(scale, effective)
        if min(share, 1 - share) < _LOPSIDED and min(share, 1 - share) * effective < _FEW_ANSWERS:
            warnings = ("few units and a lopsided share: the interval is likely too short",)
    elif not _inside(scale.forward, needed):
        return Interval(value=value, reason=f"a value at the edge of the {scale.name} scale has no interval")
    variance = _two_way(replicates, factors, here.forward)
    if variance.used <= 0:
        return Interval(value=value, reason="all units agree exactly, so that there is no variance to estimate from")
    placed = None if neutral is None else scale.at(neutral)
    pivot = Pivot(scale=here, value=value, centre=here.at(value), error=math.sqrt(variance.used), neutral=placed)
    found = _assemble(pivot, variance, neutral)
    if found.high == math.inf:
        return Interval(value=value, reason="the interval is wider than numbers go")
    return replace(found, warnings=warnings)


def _inside(forward: Callable[[Array], Array], replicates: Mapping[str, Array]) -> bool:
    with np.errstate(divide="ignore", invalid="ignore"):
        return all(bool(np.isfinite(forward(values)).all()) for values in replicates.values())


@dataclass(frozen=True, slots=True)
class _Variance:
    """Jackknife variances: what is ``used``, and each in ``parts``, by factor."""

    used: float
    degrees_of_freedom: float
    parts: Mapping[str, float]


def _two_way(replicates: Mapping[str, Array], factors: Factors, forward: Callable[[Array], Array]) -> _Variance:
    """Combine the jackknife variances of the random factors."""
    parts = {}
    for factor in _needed(factors):
        if factor in replicates:
            with np.errstate(divide="ignore", invalid="ignore"):
                parts[factor] = _jackknife_variance(forward(replicates[factor]))
    used = max(parts[factor] for factor in factors.random)
    if len(factors.random) == 2:
        used = max(used, parts[TEMPLATE] + parts[LEXEME] - parts[CELL])
    spread = math.fsum(parts[factor] ** 2 / (len(factors.names[factor]) - 1) for factor in factors.random)
    df = used**2 / spread if spread > 0 else float(_fewest(factors) - 1)
    return _Variance(used, df, parts)


def _jackknife_variance(values: Array) -> float:
    count = len(values)
    moved = values - values[0]  # first, so that equal values differ by exactly 0
    return float((count - 1) / count * np.square(moved - moved.mean()).sum())


def _fewest(factors: Factors) -> int:
    return min(len(factors.names[factor]) for factor in factors.random)


def _unanimous(value: float, scale: Scale, neutral: float | None, trials: int) -> Interval:
    """All items agree: exact binomial bounds with as many trials as the scarcer factor has units."""
    least, most = scale.ends or (0.0, 1.0)
    edge = ((1 - LEVEL) / 2) ** (1 / trials)
    inner = least + edge * (most - least) if value == most else most - edge * (most - least)
    p_value = None
    if neutral is not None:
        share = (neutral - least) / (most - least)
        p_value = min(1.0, 2 * (share if value == most else 1 - share) ** trials)
    warning = f"every item gave the same answer: exact bounds as if {trials} independent units had been drawn"
    return Interval(value=value, low=min(value, inner), high=max(value, inner), p_value=p_value, warnings=(warning,))


def _assemble(pivot: Pivot, found: _Variance, neutral: float | None) -> Interval:
    quantile = t_quantile((1 + LEVEL) / 2, found.degrees_of_freedom)
    p_value = detectable = None
    if pivot.statistic is not None and pivot.neutral is not None and neutral is not None:
        p_value = 2 * t_tail(pivot.statistic, found.degrees_of_freedom)
        reach = (quantile + t_quantile(POWER, found.degrees_of_freedom)) * pivot.error
        distance = abs(pivot.scale.inverse(pivot.neutral + reach) - neutral)
        detectable = distance if math.isfinite(distance) else None
    low, high = pivot.ends(quantile)
    errors = {f: math.sqrt(v) for f, v in found.parts.items() if f != CELL and math.isfinite(v)}
    by_item = found.parts.get(ITEM, math.nan)
    return Interval(
        value=pivot.value,
        low=low,
        high=high,
        p_value=p_value,
        standard_error=pivot.error,
        standard_errors=errors | ({TWO_WAY: pivot.error} if CELL in found.parts else {}),
        degrees_of_freedom=found.degrees_of_freedom,
        design_effect=found.used / by_item if math.isfinite(by_item) and by_item > 0 else None,
        detectable=detectable,
        pivot=pivot,
    )


def t_tail(statistic: float, degrees_of_freedom: float) -> float:
    """Return the probability that Student's t lies above a number."""
    return float(special.stdtr(degrees_of_freedom, -statistic))


def t_quantile(probability: float, degrees_of_freedom: float) -> float:
    """Return the number below which Student's t lies with a probability."""
    return float(special.stdtrit(degrees_of_freedom, probability))


def _extremes(replicates: Mapping[str, Array], factors: Factors) -> tuple[tuple[str, str, float], ...]:
    """Return the lowest and highest leave-one-out value over all units of the random factors."""
    found = [
        (float(value), factor, factors.names[factor][unit])
        for factor in factors.random
        for unit, value in enumerate(replicates[factor])
        if not math.isnan(value)
    ]
    if not found:
        return ()
    return tuple((factor, unit, value) for value, factor, unit in dict.fromkeys((min(found), max(found))))
