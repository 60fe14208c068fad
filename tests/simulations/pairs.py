"""Pairs of models whose true values are known, and the gate's rule for many pairs at once.

A pair has twenty numbers, each with a limit of its own. They are means over the items of the same units, and the
effects of units and items correlate by .3 between any two numbers, and between the two models as a design says. With
one random factor a unit has 40 items of a normal number, of which .08 of the variance lies between units, or 20 answers
of yes or no: whether a normal number lies above a threshold, with .1 of the variance between units. With two factors
each template meets each lexeme once, and .1 of the variance lies between templates and .1 between lexemes, or .05 each
for yes or no. Unequal numbers of items are gamma with these means and a coefficient of variation of .5, drawn anew for
each pair, since other templates would have other numbers of items.

What is computed here at once is what ``fairprint.audit`` computes one by one: ``by_the_package`` goes that way.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from fairprint.audit.away import SIDE
from fairprint.audit.checks import Direction
from fairprint.audit.judging import ALPHA, Evidence, worsened
from fairprint.audit.paired import combined
from fairprint.audit.statistics import LEVEL, LEXEME, POWER, TEMPLATE, Factors, Interval, Sums, interval, jackknife

LIMITS, ALIKE = 20, 0.3
"""Numbers of a pair, and how two of them correlate."""
SIZE = {"normal": 40, "share": 20}
BETWEEN = {"normal": 0.08, "share": 0.1}
CROSSED = {"normal": 0.1, "share": 0.05}
SPREAD = 0.5
NEUTRAL = {"normal": 0.0, "share": 0.5}
NAMES = tuple(str(n) for n in range(1_000))
Array = NDArray[np.float64]
Truth = NDArray[np.bool_]
Normals = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What is asked of both models, and how their answers hang together.

    Attributes:
        kind: ``normal`` or ``share``.
        units: how many templates, or templates and lexemes.
        sizes: whether templates have ``equal`` or ``unequal`` numbers of items.
        correlation: of the two models' effects.
        ratio: of the scatter of run B to that of run A, of normal numbers.
    """

    kind: str
    units: tuple[int, ...]
    sizes: str
    correlation: float
    ratio: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Answers of both models.

    Attributes:
        a, b: sums over the items of a template, shape [limit, pair, template], or single items [limit, pair, template,
            lexeme], with the neutral value taken off.
        counts: how many items these are, shape [pair, template] or [pair, template, lexeme].
        share: whether the answers are yes or no.
    """

    a: Array
    b: Array
    counts: Array
    share: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A number of many data sets, with standard error, of shape [pair, limit], and degrees of freedom, or [pair, 1].

    Attributes:
        units: of the scarcer factor.
        items: of a share its number of items, shape [pair, 1]; else None.
    """

    value: Array
    error: Array
    df: Array
    units: int
    items: Array | None

    def above(self, sign: int = 1) -> Array:
        """Return the one-sided p-value of the number lying above 0, or below; where all units agree of a sign test."""
        agreed = self.error == 0
        p_values = special.stdtr(self.df, -sign * self.value / np.where(agreed, 1.0, self.error))
        return np.where(agreed, np.where(sign * self.value > 0, 2.0**-self.units, 1.0), p_values)

    def upper(self, sign: int = 1) -> Array:
        """Return the upper one-sided 95 % bound of the number times a sign."""
        ahead = self.beyond(quantiles(LEVEL, self.df), self.error)
        return sign * self.value + np.where(self.error == 0, 0.0, ahead)

    def beyond(self, quantile: Array, error: Array) -> Array:
        """Return how far off what is some errors beyond lies."""
        if self.items is None:
            return quantile * error
        grown = quantile**2 / (2 * self.items)
        return np.asarray(grown + np.sqrt((quantile * error) ** 2 + grown**2))


def quantiles(probability: float, df: Array) -> Array:
    """Return quantiles of Student's t."""
    return np.asarray(special.stdtrit(df, probability))


# what is drawn


def draw(design: Design, b_a: float, b_b: Array, pairs: int, rng: np.random.Generator) -> Drawn:
    """Return the answers of some pairs.

    Args:
        design: the design.
        b_a: true distance from neutral of every number in run A.
        b_b: that of each in run B, shape [limit].
        pairs: how many.
        rng: random numbers.
    """
    before, now = np.full((LIMITS, 1), b_a), b_b[:, None]
    if len(design.units) == 2:
        return _crossed(design, before, now, pairs, rng)
    shape, size = (pairs, design.units[0]), SIZE[design.kind]
    counts = np.full(shape, float(size))
    if design.sizes == "unequal":
        counts = np.maximum(1, rng.gamma(1 / SPREAD**2, size * SPREAD**2, shape).round())
    each, between = counts.ravel(), BETWEEN[design.kind]
    if design.kind == "normal":
        # means of units are normal: there is no need of their items
        scatter = np.sqrt(between + (1 - between) / each)
        effects = _effects(counts.size, ALIKE, design.correlation, rng)
        a, b = (place + scatter * of for place, of in zip((before, now), effects, strict=True))
        sums = [each * before + each * (a - before), each * now + design.ratio * each * (b - now)]
    else:
        of_units = _effects(counts.size, ALIKE, design.correlation, rng)
        items, starts = each.astype(np.intp), np.concatenate([[0], np.cumsum(each)[:-1]]).astype(np.intp)
        of_items = _effects(int(each.sum()), *_of_items(design, between), rng)
        sums = []
        for place, units, own in zip((before, now), of_units, of_items, strict=True):
            answers = _answers(place, math.sqrt(between) * np.repeat(units, items, axis=1), own, 1 - between)
            sums.append(np.add.reduceat(answers, starts, axis=1, dtype=np.float64) - NEUTRAL["share"] * each)
    a, b = (of.reshape(LIMITS, *shape) for of in sums)
    return Drawn(a=a, b=b, counts=counts, share=design.kind == "share")


def _effects(count: int, alike: float, correlation: float, rng: np.random.Generator) -> tuple[Normals, Normals]:
    """Return effects in run A and run B, shape [limit, count], with mean 0 and variance 1."""

    def several() -> Normals:
        common = rng.standard_normal(count, dtype=np.float32)
        own = rng.standard_normal((LIMITS, count), dtype=np.float32)
        return np.asarray(np.float32(math.sqrt(alike)) * common + np.float32(math.sqrt(1 - alike)) * own)

    first, second = several(), several()
    other = np.float32(correlation) * first + np.float32(math.sqrt(1 - correlation**2)) * second
    return first, np.asarray(other)


def _of_items(design: Design, between: float) -> tuple[float, float]:
    """Return how effects of items must correlate between numbers, and between models, for answers to do as designed.

    Two answers of yes or no, each as probable, correlate by 2 / pi * asin(r) where what lies behind does so by r.
    """
    if design.kind == "normal":
        return ALIKE, design.correlation
    alike, paired = (
        (math.sin(math.pi / 2 * r) - between * r) / (1 - between) if r else 0.0 for r in (ALIKE, design.correlation)
    )
    return alike, paired


def _answers(place: Array, effects: Normals, own: Normals, rest: float) -> Truth:
    """Return whether a normal number lies above the threshold by which its share is as far from a half as it should."""
    own *= np.float32(math.sqrt(rest))
    own += effects
    return np.asarray(own > -special.ndtri(0.5 + place))


def _crossed(design: Design, before: Array, now: Array, pairs: int, rng: np.random.Generator) -> Drawn:
    templates, lexemes = design.units
    of_factor = CROSSED[design.kind]
    between = 2 * of_factor
    factors = [_effects(pairs * n, ALIKE, design.correlation, rng) for n in design.units]
    items = _effects(pairs * templates * lexemes, *_of_items(design, between), rng)
    sums = []
    for place, of_templates, of_lexemes, own in zip((before, now), *factors, items, strict=True):
        effects = of_templates.reshape(LIMITS, pairs, templates, 1) + of_lexemes.reshape(LIMITS, pairs, 1, lexemes)
        effects *= np.float32(math.sqrt(of_factor))
        cells, middle = own.reshape(effects.shape), place[:, :, None, None]
        if design.kind == "normal":
            sums.append(middle + (effects + math.sqrt(1 - between) * cells))
        else:
            sums.append(_answers(middle, effects, cells, 1 - between) - NEUTRAL["share"])
    counts = np.ones((pairs, templates, lexemes))
    return Drawn(a=sums[0], b=sums[1], counts=counts, share=design.kind == "share")


# what is known of it

WANTED = {"a": (1, 0), "b": (0, 1), "u": (-1, 1), "v": (1, 1)}
"""The numbers that the rule goes by, as multiples of both models' numbers."""


def known(drawn: Drawn) -> dict[str, Known]:
    """Return a, b, u and v of every pair, by the jackknife of both models together."""
    over = tuple(range(2, drawn.a.ndim))
    values = [(of.sum(axis=over) / drawn.counts.sum(axis=tuple(n - 1 for n in over))).T for of in (drawn.a, drawn.b)]
    parts = [_variances(drawn, (axis,)) for axis in over]
    degrees = [_degrees(drawn, axis) for axis in over]
    cells = _variances(drawn, over) if len(over) == 2 else None
    items = drawn.counts.sum(axis=tuple(n - 1 for n in over))[:, None] if drawn.share else None
    found = {}
    for name, (x, y) in WANTED.items():

        def of(part: tuple[Array, Array, Array], x: int = x, y: int = y) -> Array:
            return x * x * part[0] + y * y * part[1] + 2 * x * y * part[2]

        variances = [of(part) for part in parts]
        used, df = variances[0], degrees[0]
        if cells is not None:
            used = np.maximum(np.maximum(*variances), variances[0] + variances[1] - of(cells))
            spread = variances[0] ** 2 / degrees[0] + variances[1] ** 2 / degrees[1]
            # where all units agree there is none, and any degrees of freedom will do
            df = np.where(spread > 0, used**2, 1.0) / np.where(spread > 0, spread, 1.0)
        found[name] = Known(
            value=x * values[0] + y * values[1], error=np.sqrt(used), df=df, units=min(drawn.a.shape[2:]), items=items
        )
    return found


def _degrees(drawn: Drawn, axis: int) -> Array:
    """Return one less than the effective number of units of an axis, shape [pair, 1]."""
    counts = drawn.counts.sum(axis=tuple(n for n in range(1, drawn.counts.ndim) if n != axis - 1))
    return np.asarray(counts.sum(axis=1) ** 2 / np.square(counts).sum(axis=1) - 1)[:, None]


def _variances(drawn: Drawn, kept: tuple[int, ...]) -> tuple[Array, Array, Array]:
    """Return the jackknife variances of both numbers and their covariance, where the units of some axes are left out.

    Each of shape [pair, limit].
    """
    summed = tuple(n for n in range(2, drawn.a.ndim) if n not in kept)
    count = drawn.counts.sum(axis=tuple(n - 1 for n in summed)) if summed else drawn.counts
    flat = count.reshape(len(count), -1)
    left = flat.sum(axis=1, keepdims=True) - flat
    units = flat.shape[1]
    moved = []
    for of in (drawn.a, drawn.b):
        sums = (of.sum(axis=summed) if summed else of).reshape(LIMITS, len(flat), units)
        without = (sums.sum(axis=2, keepdims=True) - sums) / left
        moved.append(without - without.mean(axis=2, keepdims=True))
    a, b = moved
    factor = (units - 1) / units
    first, second, both = (factor * np.einsum("lpu,lpu->pl", x, y) for x, y in ((a, a), (b, b), (a, b)))
    return first, second, both


# what is judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What ``Evidence`` says of one limit, of all pairs and limits: each of shape [pair, limit].

    Attributes:
        moved: the p-value without the question whether the number differs from neutral in run B.
    """

    worsening: Array
    bound: Array
    p_value: Array
    moved: Array
    u: Known
    v: Known | None = None
    distance: Array | None = None

    def powerful(self, df: Array) -> Array:
        """Return the quantiles of the power that each test needs."""
        if self.distance is None:
            return quantiles(POWER, df)
        return np.where(self.distance > 0, quantiles(POWER, df), quantiles(1 - (1 - POWER) / 2, df))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """What is decided, each of shape [pair, limit]; what is neither fails nor passes is inconclusive.

    Attributes:
        failed_moved: what would fail if a number had not to differ from neutral in run B.
    """

    failed: Truth
    passed: Truth
    failed_moved: Truth
    limit: Array
    needed: Array


def judged(found: dict[str, Known], direction: Direction) -> Judged:
    """Return how much worse each number is."""
    a, b, u, v = (found[name] for name in ("a", "b", "u", "v"))
    if direction != "away_from_neutral":
        sign = 1 if direction == "up" else -1
        p = u.above(sign)
        return Judged(worsening=sign * u.value, bound=u.upper(sign), p_value=p, moved=p, u=u)
    moved = np.minimum(*(np.maximum(u.above(sign), v.above(sign)) for sign in (1, -1)))
    apart = 2 * np.minimum(b.above(1), b.above(-1))
    bound = np.maximum(u.upper(1), u.upper(-1))
    shown = {sign: a.above(sign) < SIDE for sign in (1, -1)}
    for sign in (1, -1):
        of_side = np.maximum(u.upper(sign), v.upper(-sign))
        bound = np.where(shown[sign], np.minimum(bound, of_side), bound)
    return Judged(
        worsening=np.abs(b.value) - np.abs(a.value),
        bound=bound,
        p_value=np.minimum(1.0, np.maximum(moved, apart)),
        moved=moved,
        u=u,
        v=v,
        distance=np.where(np.minimum(a.above(1), a.above(-1)) < ALPHA, 2 * np.abs(a.value), 0.0),
    )


def detectable(found: Judged, limit: float | Array) -> Array:
    """Return the true worsening that fails with 80 % power, as ``fairprint.audit.judging.detectable`` does.

    Where all units agree there is none, NaN.
    """
    level, u, v = 1 - ALPHA / LIMITS, found.u, found.v
    more = found.powerful(u.df)
    error = np.where(u.error == 0, np.nan, u.error)
    at_limit = np.sqrt(error**2 + (0.0 if u.items is None else limit / u.items))
    reach = np.maximum(limit + u.beyond(more, at_limit), u.beyond(quantiles(level, u.df) + more, error))
    if v is None or found.distance is None:
        return np.asarray(reach)
    return np.maximum(reach, v.beyond(quantiles(level, v.df) + found.powerful(v.df), v.error) - found.distance)


def decided(found: Judged, limit: float | None) -> Verdicts:
    """Decide the limits of each pair together, as ``fairprint.audit.judging.decide`` does."""
    most = detectable(found, 0.0) if limit is None else np.full(found.bound.shape, limit)
    beyond = found.worsening > most
    failed, failed_moved = ((_holm(p) < ALPHA) & beyond for p in (found.p_value, found.moved))
    quantile = quantiles(LEVEL, found.u.df) + found.powerful(found.u.df)
    return Verdicts(
        failed=failed,
        passed=~failed & (found.bound <= most),
        failed_moved=failed_moved,
        limit=most,
        needed=np.square(quantile * np.where(found.u.error == 0, np.nan, found.u.error) / most),
    )


def _holm(p_values: Array) -> Array:
    """Return adjusted p-values of Holm's method within each pair."""
    order = np.argsort(p_values, axis=1)
    ranked = np.take_along_axis(p_values, order, axis=1) * np.arange(p_values.shape[1], 0, -1)
    adjusted = np.empty_like(p_values)
    np.put_along_axis(adjusted, order, np.maximum.accumulate(np.minimum(1.0, ranked), axis=1), axis=1)
    return adjusted


def by_the_package(drawn: Drawn, pair: int, direction: Direction) -> list[Evidence]:
    """Return the evidence of one pair by the package itself: each item has the mean of its template."""
    counts = drawn.counts[pair]
    each = counts.ravel().astype(np.intp)
    templates = [NAMES[n] for n in np.repeat(np.arange(len(counts)), counts[0].size).repeat(each)]
    lexemes = [NAMES[n] for n in range(counts.shape[1])] * len(counts) if counts.ndim == 2 else [""] * len(templates)
    factors = Factors.of(templates, lexemes, (TEMPLATE, LEXEME))
    evidence = []
    for limit in range(LIMITS):
        forms = [
            Sums(
                columns=np.stack([(of[limit, pair] / counts).ravel().repeat(each), np.ones(each.sum())], axis=1),
                combine=_mean,
            )
            for of in (drawn.a, drawn.b)
        ]

        def asked(of: Callable[[Array, Array], Array], forms: list[Sums] = forms) -> Interval:
            replicates = jackknife(combined(forms[0], forms[1], of), factors)
            return interval(replicates, factors, scale="identity", neutral=0.0, items=int(counts.sum()))

        a, b, u, v = (asked(lambda p, q, x=x, y=y: x * p + y * q) for x, y in WANTED.values())  # type: ignore[misc]
        evidence.append(worsened(u, v, a, b, direction, factors, share=drawn.share))
    return evidence


def _mean(sums: Array) -> Array:
    return np.asarray(sums[..., 0, 0] / sums[..., 0, 1])
