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
from scipy import stats

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
Combine = Callable[[Array], Array]
"""Sums [replicate, cell, column] to values [replicate]; NaN where a replicate has no value."""
Weighted = Callable[[Array], Array]
"""Item weights [replicate, item] to values [replicate]; NaN where a replicate has no value."""

LEVEL = 0.95
POWER = 0.80
_FEW_UNITS = 12
_LOPSIDED = 0.1


@dataclass(frozen=True, slots=True)
class Scale:
    """Where an estimate is roughly normal: a function, its inverse and the range of its values."""

    name: str
    forward: Callable[[Array], Array]
    inverse: Callable[[float], float]


def _exp(x: float) -> float:
    return math.exp(x) if x < 709 else math.inf


def _expit(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


BALANCE = "logit of (1 + s) / 2"
"""Scale of a balance s between two sides, from -1 to 1, such as s_DIS of BBQ: (1 + s) / 2 is the share of the first."""

SCALES = {
    scale.name: scale
    for scale in (
        Scale("identity", lambda x: x, lambda x: x),
        Scale("logit", lambda x: np.log(x) - np.log1p(-x), _expit),
        Scale(BALANCE, lambda x: np.log1p(x) - np.log1p(-x), lambda x: 2 * _expit(x) - 1),
        Scale("fisher z", np.arctanh, math.tanh),
        # of a difference of two means over the spread of both, whose half is nearly a correlation with the set
        Scale("fisher z of d/2", lambda x: np.arctanh(x / 2), lambda x: 2 * math.tanh(x)),
        Scale("log", np.log, _exp),
    )
}


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
        names = {"template": tuple(dict.fromkeys(templates)), "lexeme": tuple(dict.fromkeys(lexemes))}
        index = {factor: {name: i for i, name in enumerate(units)} for factor, units in names.items()}
        return cls(
            template=np.array([index["template"][t] for t in templates], dtype=np.intp),
            lexeme=np.array([index["lexeme"][x] for x in lexemes], dtype=np.intp),
            names=names,
            random=tuple(factor for factor in ("template", "lexeme") if factor in random and len(names[factor]) > 1),
        )

    def codes(self, factor: str) -> Codes:
        """Return the unit of each item for ``template``, ``lexeme`` or their ``cell``.

        Where no lexemes are told apart, each item is a cell of its own.
        """
        if factor == "cell" and len(self.names["lexeme"]) == 1:
            return np.arange(len(self.template), dtype=np.intp)
        if factor == "cell":
            cells: Codes = np.unique(self.template * len(self.names["lexeme"]) + self.lexeme, return_inverse=True)[1]
            return cells
        return self.template if factor == "template" else self.lexeme


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate with its uncertainty. Absent numbers are None, with the reason.

    Attributes:
        value: the estimate on these items, exact.
        low, high: 95 % confidence interval for units of the kind.
        p_value: two-sided, of the neutral value, from the statistic that gives the interval.
        standard_error, degrees_of_freedom: on ``scale``.
        design_effect: variance over the variance if all template x lexeme cells were independent; where no lexemes are
            told apart, if all items were.
        detectable: smallest distance from neutral that is found with 80 % power at 5 %.
        extremes: (factor, unit, value without it), lowest and highest.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    standard_error: float | None = None
    degrees_of_freedom: float | None = None
    design_effect: float | None = None
    detectable: float | None = None
    units: Mapping[str, int] = field(default_factory=dict)
    extremes: tuple[tuple[str, str, float], ...] = ()
    reason: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """A metric that is a function of sums over items.

    Attributes:
        columns: per-item numbers, shape [item, column].
        combine: function of sums [replicate, cell, column].
        cells: the metric's own cell of each item (such as its occupation), codes from 0; one cell where None.
    """

    columns: Array
    combine: Combine
    cells: Codes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A metric that no sums can give (ranks, centring): a function of item weights [replicate, item]."""

    estimator: Weighted


Form = Sums | Weights
"""How a metric is computed: jackknife, bootstrap and the shards of a distributed run all go by it."""


def jackknife(form: Form, factors: Factors) -> dict[str, Array]:
    """Return an estimate and its leave-one-out replicates.

    Args:
        form: how the metric is computed.
        factors: the units of the items.

    Returns:
        ``all`` with shape [1], and each of ``template``, ``lexeme``, ``cell`` that is needed with shape [unit].
    """
    return _jackknife_sums(form, factors) if isinstance(form, Sums) else _jackknife_weights(form.estimator, factors)


def _jackknife_sums(form: Sums, factors: Factors) -> dict[str, Array]:
    cells = np.zeros(len(form.columns), dtype=np.intp) if form.cells is None else form.cells
    columns, combine = _exactly_summable(form.columns), form.combine
    count = int(cells.max()) + 1 if len(cells) else 1

    def sums(codes: Codes) -> Array:
        out = np.zeros((int(codes.max()) + 1, count, columns.shape[1]))
        np.add.at(out, (codes, cells), columns)
        return out

    total = sums(np.zeros(len(columns), dtype=np.intp))
    replicates = {"all": combine(total)}
    for factor in _needed(factors):
        replicates[factor] = combine(total - sums(factors.codes(factor)))
    return replicates


def _exactly_summable(columns: Array) -> Array:
    """Round each column to a binary grid so coarse that every sum of its numbers is exact, at 1e-12 of the largest.

    Else what is left of a sum after a deletion differs in its last digit, and units that agree exactly seem to vary.
    """
    largest = np.maximum(np.abs(columns).max(axis=0, initial=0.0), np.finfo(np.float64).tiny)
    grid = np.exp2(np.ceil(np.log2(largest * max(len(columns), 1))) - 52)
    return np.asarray(np.round(columns / grid) * grid)


def _jackknife_weights(estimator: Weighted, factors: Factors) -> dict[str, Array]:
    items = len(factors.template)
    replicates = {"all": estimator(np.ones((1, items)))}
    done: dict[bytes, str] = {}
    for factor in _needed(factors):
        codes = factors.codes(factor)
        same = done.setdefault(codes.tobytes(), factor)
        if same != factor:  # as where each item has a template of its own
            replicates[factor] = replicates[same]
            continue
        units = int(codes.max()) + 1
        parts = []
        for start in range(0, units, 256):
            block = np.arange(start, min(start + 256, units))
            parts.append(estimator((codes[None, :] != block[:, None]).astype(np.float64)))
        replicates[factor] = np.concatenate(parts)
    return replicates


def _needed(factors: Factors) -> tuple[str, ...]:
    # the cells are needed for the two-way formula, and for the design effect of a single factor
    return (*factors.random, "cell") if factors.random else ()


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
    if scale == BALANCE:
        shares = {factor: (1 + found) / 2 for factor, found in replicates.items()}
        middle = None if neutral is None else (1 + neutral) / 2
        share = interval(shares, factors, scale="logit", neutral=middle, items=items)
        return replace(_balance(share, value), extremes=_extremes(replicates, factors))
    if not factors.random:
        return Interval(value=value, reason="a single unit: nothing to estimate a variance from")
    found = _known_interval(value, replicates, factors, scale, neutral, items)
    return replace(
        found,
        units={factor: len(factors.names[factor]) for factor in factors.random},
        extremes=_extremes(replicates, factors),
    )


def _balance(share: Interval, value: float) -> Interval:
    """Turn the interval of a share into that of the balance 2 * share - 1; errors stay those of the logit."""
    return replace(
        share,
        value=value,
        low=None if share.low is None else min(value, 2 * share.low - 1),
        high=None if share.high is None else max(value, 2 * share.high - 1),
        detectable=None if share.detectable is None else 2 * share.detectable,
    )


def _known_interval(
    value: float, replicates: Mapping[str, Array], factors: Factors, scale: str, neutral: float | None, items: int
) -> Interval:
    needed = [replicates[factor] for factor in _needed(factors)]
    if any(np.isnan(values).any() for values in needed):
        return Interval(value=value, reason="without one unit there is no value: too few units for an interval")
    forward = SCALES[scale].forward
    if scale == "logit":
        plain = _two_way(replicates, factors, SCALES["identity"].forward)
        if plain.value <= 0 and value in (0.0, 1.0):
            return _unanimous(value, neutral, min(len(factors.names[factor]) for factor in factors.random))
        forward = _shrunk_logit(value, plain.value, items)
    elif not _inside(forward, replicates):
        return Interval(value=value, reason=f"a value at the edge of the {scale} scale has no interval")
    variance = _two_way(replicates, factors, forward)
    if variance.value <= 0:
        return Interval(value=value, reason="all units agree exactly, so that there is no variance to estimate from")
    found = _assemble(value, float(forward(np.array([value]))[0]), variance, SCALES[scale], neutral)
    if found.high == math.inf:
        return Interval(value=value, reason="the interval is wider than numbers go")
    if scale == "logit" and min(value, 1 - value) < _LOPSIDED and _fewest(factors) < _FEW_UNITS:
        return replace(found, warnings=("few units and a lopsided share: the interval is likely too short",))
    return found


def _inside(forward: Callable[[Array], Array], replicates: Mapping[str, Array]) -> bool:
    with np.errstate(divide="ignore", invalid="ignore"):
        return all(bool(np.isfinite(forward(values)).all()) for values in replicates.values())


@dataclass(frozen=True, slots=True)
class _Variance:
    value: float
    degrees_of_freedom: float
    design_effect: float | None


def _two_way(replicates: Mapping[str, Array], factors: Factors, forward: Callable[[Array], Array]) -> _Variance:
    """Combine the jackknife variances of the random factors."""
    parts = {factor: _jackknife_variance(forward(replicates[factor])) for factor in _needed(factors)}
    variance = max(parts[factor] for factor in factors.random)
    if len(factors.random) == 2:
        variance = max(variance, parts["template"] + parts["lexeme"] - parts["cell"])
    spread = math.fsum(parts[factor] ** 2 / (len(factors.names[factor]) - 1) for factor in factors.random)
    df = variance**2 / spread if spread > 0 else float(_fewest(factors) - 1)
    return _Variance(variance, df, variance / parts["cell"] if parts["cell"] > 0 else None)


def _jackknife_variance(values: Array) -> float:
    count = len(values)
    moved = values - values[0]  # first, so that equal values differ by exactly 0
    return float((count - 1) / count * np.square(moved - moved.mean()).sum())


def _fewest(factors: Factors) -> int:
    return min(len(factors.names[factor]) for factor in factors.random)


def _shrunk_logit(value: float, variance: float, items: int) -> Callable[[Array], Array]:
    """Return the logit with half an effective item added to each side, so that 0 and 1 have a place on the scale."""
    effective = min(max(value * (1 - value) / variance if variance > 0 else 1.0, 1.0), float(items))

    def forward(share: Array) -> Array:
        return SCALES["logit"].forward((share * effective + 0.5) / (effective + 1))

    return forward


def _unanimous(value: float, neutral: float | None, trials: int) -> Interval:
    """All items agree: exact binomial bounds with as many trials as the scarcer factor has units."""
    edge = ((1 - LEVEL) / 2) ** (1 / trials)
    low, high = (edge, 1.0) if value == 1.0 else (0.0, 1 - edge)
    p_value = None
    if neutral is not None:
        p_value = min(1.0, 2 * (neutral if value == 1.0 else 1 - neutral) ** trials)
    warning = f"every item gave the same answer: exact bounds as if {trials} independent units had been drawn"
    return Interval(value=value, low=low, high=high, p_value=p_value, warnings=(warning,))


def _assemble(value: float, centre: float, found: _Variance, scale: Scale, neutral: float | None) -> Interval:
    error = math.sqrt(found.value)
    quantile = float(stats.t.ppf((1 + LEVEL) / 2, found.degrees_of_freedom))
    p_value = detectable = None
    if neutral is not None:
        neutral_here = float(scale.forward(np.array([neutral]))[0])
        p_value = float(2 * stats.t.sf(abs(centre - neutral_here) / error, found.degrees_of_freedom))
        reach = (quantile + float(stats.t.ppf(POWER, found.degrees_of_freedom))) * error
        distance = abs(scale.inverse(neutral_here + reach) - neutral)
        detectable = distance if math.isfinite(distance) else None
    return Interval(
        value=value,
        # a shrunken share can lie a hair outside of its interval near 0 and 1
        low=min(value, scale.inverse(centre - quantile * error)),
        high=max(value, scale.inverse(centre + quantile * error)),
        p_value=p_value,
        standard_error=error,
        degrees_of_freedom=found.degrees_of_freedom,
        design_effect=found.design_effect,
        detectable=detectable,
    )


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


def benjamini_hochberg(p_values: Sequence[float | None]) -> list[float | None]:
    """Return adjusted p-values (Benjamini & Hochberg 1995); absent ones stay absent and do not count.

    >>> benjamini_hochberg([0.01, 0.04, None, 0.03])
    [0.03, 0.04, None, 0.04]
    """
    known = [(p, i) for i, p in enumerate(p_values) if p is not None]
    adjusted: list[float | None] = [None] * len(p_values)
    smallest = 1.0
    for rank, (p, i) in zip(range(len(known), 0, -1), sorted(known, reverse=True), strict=True):
        smallest = min(smallest, p * len(known) / rank)
        adjusted[i] = smallest
    return adjusted
