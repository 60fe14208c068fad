"""How many templates and words would decide a margin: read off the spread that a stored run has found.

Of a grid of T templates and L words, each item is made of what its template does to it, what its word does, and the
rest, with variances s_T^2, s_L^2 and s_TL^2; the rest holds the interaction and all that a single cell has of its own.
The mean of such a grid varies by s_T^2 / T + s_L^2 / L + s_TL^2 / (T L) from one sample of templates and words to
another. A run's jackknife variances say how much that is: V_T = s_T^2 / T + s_TL^2 / (T L), V_L likewise, and that of
single cells V_TL = (s_T^2 (T - 1) L + s_L^2 (L - 1) T + s_TL^2 (T L - 1)) / (T L - 1) / (T L). Three equations give
three components, and these the standard error of any other grid: a decision study of generalizability theory.

A design decides a margin M where (t(.975) + t(power)) s <= M: a true distance of M is then found with that power. Both
quantiles are those of the design's own degrees of freedom (Satterthwaite, as in ``statistics``).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import special

from fairprint.audit.records import Estimate
from fairprint.audit.scales import SCALES, Scale
from fairprint.audit.statistics import CELL, ITEM, LEVEL, LEXEME, POWER, TEMPLATE, TWO_WAY, Array
from fairprint.probes.errors import UsageError

IN_POINTS = ("share", "difference of shares")
"""Units whose margins are given in points, hundredths of a share."""
MOST_UNITS = 100_000
"""Units beyond which a plan is out of reach."""
CROSSED = 0.8
"""Share of the cells of a grid that must have an item for its factors to be told apart."""
_TRIED = 2_000
"""Numbers of words that the search for the cheapest grid tries at the most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Where the variance of an estimate comes from, on its scale.

    Attributes:
        units: units of each random factor in the run.
        items: items in the run.
        variances: jackknife variances of the estimate, by factor.
        components: variance of a single unit by factor, and of a ``cell``; empty where they cannot be told apart.
        cut: components that came out below 0 and were set to 0: by chance, or because there is no such spread.
    """

    units: Mapping[str, int]
    items: int
    variances: Mapping[str, float]
    components: Mapping[str, float]
    cut: tuple[str, ...] = ()

    @property
    def crossed(self) -> bool:
        """Whether the components are known, so that factors can be planned one by one."""
        return bool(self.components)

    def shares(self) -> dict[str, float]:
        """Return which share of the variance each factor brings, and the rest, under ``cell``.

        Where factors cannot be told apart, it is how the variances by factor compare.
        """
        if not self.crossed:
            own = {factor: self.variances[factor] for factor in self.units}
            return {factor: variance / math.fsum(own.values()) for factor, variance in own.items()}
        cells = math.prod(self.units.values())
        parts = {f: c / (cells if f == CELL else self.units[f]) for f, c in self.components.items()}
        return {factor: part / math.fsum(parts.values()) for factor, part in parts.items()}

    def limiting(self) -> str | None:
        """Return the factor that more units are needed of, that with the larger share; None where neither has any."""
        if self.crossed and not any(self.components[factor] for factor in self.units):
            return None
        return max(self.units, key=lambda factor: self.variances[factor])

    def reach(self, units: Mapping[str, Array], power: float) -> Array:
        """Return the distance on the scale that designs would find with a power.

        Args:
            units: units of each factor, shape [design].
            power: from 0 to 1.
        """
        if len(self.units) == 1:
            ((factor, count),) = units.items()
            return _reach(self.components[factor] / count, count - 1, power)
        templates, lexemes = units[TEMPLATE], units[LEXEME]
        if not self.crossed:
            times = templates / self.units[TEMPLATE]
            parts = {factor: self.variances[factor] / times for factor in (TEMPLATE, LEXEME)}
            whole = self.variances[TWO_WAY] / times
        else:
            rest = self.components[CELL] / (templates * lexemes)
            own = self.components[TEMPLATE] / templates, self.components[LEXEME] / lexemes
            parts = {TEMPLATE: own[0] + rest, LEXEME: own[1] + rest}
            whole = own[0] + own[1] + rest
        spread = parts[TEMPLATE] ** 2 / (templates - 1) + parts[LEXEME] ** 2 / (lexemes - 1)
        return _reach(whole, whole**2 / spread, power)

    def fewest(self, factor: str, aim: float, power: float) -> int | None:
        """Return how many units of one factor reach ``aim`` with the present units of the other, if so many do."""
        return fewest(lambda count: float(self.reach(_counts({**self.units, factor: count}), power)[0]) <= aim)

    def least(self, factor: str, power: float) -> float:
        """Return the distance that is found in the end, however many units one factor has and no more of the other.

        It is 0 where nothing but that factor varies.
        """
        others = [other for other in self.units if other != factor]
        if not others or not self.components[others[0]]:
            return 0.0
        count = np.array([float(self.units[others[0]])])
        return float(_reach(self.components[others[0]] / count, count - 1, power)[0])


def _reach(variance: Array, degrees_of_freedom: Array, power: float) -> Array:
    quantiles = sum(special.stdtrit(degrees_of_freedom, p) for p in ((1 + LEVEL) / 2, power))
    return np.asarray(quantiles * np.sqrt(variance))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What a run could find, and what it would take to decide a margin.

    Attributes:
        estimate: of which it is said.
        power: with which a distance is to be found.
        margin: the distance to decide, in the unit of the estimate; None where none was asked for.
        spread: where the variance comes from; None with ``reason``.
        detectable: the distance that the run finds with that power, in the unit of the estimate.
        decided: whether the run as it is decides the margin.
        needed: fewest units of a factor with the present units of the other; None with a reason in ``why``.
        least: of a factor for which there is no such number, the smallest distance that any number of units finds.
        cheapest: units of each factor in the design with the fewest items that keeps all units there are.
        items: items of that design.
        reason: why nothing can be said.
    """

    estimate: Estimate
    power: float
    margin: float | None = None
    spread: Spread | None = None
    detectable: float | None = None
    decided: bool | None = None
    needed: Mapping[str, int | None] = field(default_factory=dict)
    least: Mapping[str, float] = field(default_factory=dict)
    why: Mapping[str, str] = field(default_factory=dict)
    cheapest: Mapping[str, int] | None = None
    items: int | None = None
    reason: str | None = None


def outlook(estimate: Estimate, margin: float | None = None, power: float = POWER, *, pair: bool = True) -> Outlook:
    """Say what a stored estimate could find, and what it would take to decide a margin.

    Args:
        estimate: with its standard errors by factor.
        margin: distance that matters: in points for shares and their differences, else in the unit of the metric.
        power: probability with which a true distance of that size is to be found.
        pair: look for the cheapest design as well, which takes longer.

    Raises:
        UsageError: the margin is not above 0, or the power not between 0.05, the level of the test, and 1.
    """
    check(margin, power)
    here = Outlook(estimate=estimate, power=power, margin=None if margin is None else in_unit(estimate, margin))
    reason = _missing(estimate)
    place = None if reason else _Place.of(estimate)
    if place is None:
        return replace(here, reason=reason or f"its interval has no place on the {estimate.scale} scale")
    spread = spread_of(estimate)
    reach = float(spread.reach(_counts(spread.units), power)[0])
    here = replace(here, spread=spread, detectable=place.distance(reach))
    if here.margin is None:
        return here
    aim = place.on_scale(here.margin)
    if aim == math.inf:
        return replace(here, reason="the margin reaches beyond all values that the metric can have")
    return _planned(replace(here, decided=reach <= aim), spread, place, aim, pair)


def check(margin: float | None, power: float) -> None:
    """Refuse a margin or a power that no plan can be made for.

    Raises:
        UsageError: as in ``outlook``.
    """
    if margin is not None and not 0 < margin < math.inf:
        raise UsageError(
            f"a margin must lie above 0, and {margin:g} does not",
            hint="give the smallest difference that matters, such as 2 for two points",
        )
    if not 1 - LEVEL < power < 1:
        raise UsageError(
            f"a power must lie between {1 - LEVEL:.2f}, which chance alone reaches, and 1, and {power:g} does not",
            hint="0.8 finds a difference of that size in four of five audits",
        )


def in_unit(estimate: Estimate, margin: float) -> float:
    """Return a margin in the unit of an estimate: points are hundredths of a share."""
    return margin / 100 if estimate.unit in IN_POINTS else margin


def error_in_unit(estimate: Estimate, error: float) -> float | None:
    """Return a standard error, which is kept on the scale, in the unit of the estimate; None without an interval."""
    place = _Place.of(estimate)
    if place is None:
        return None
    low, high = (place.scale.inverse(place.centre + sign * error) for sign in (-1, 1))
    return (high - low) / 2


def _missing(estimate: Estimate) -> str | None:
    """Say why nothing can be planned, or None."""
    if estimate.low is None or estimate.standard_error is None or not estimate.units:
        return estimate.reason or "the run has no standard error of it"
    if not set(estimate.units) <= {TEMPLATE, LEXEME}:
        return "its units are neither templates nor words"
    wanted = {*estimate.units, *([TWO_WAY] if len(estimate.units) > 1 else [])}
    if not wanted <= set(estimate.standard_errors):
        return "the run was stored by an older version, which did not keep standard errors by factor"
    return None


def spread_of(estimate: Estimate) -> Spread:
    """Return where the variance of an estimate with standard errors by factor comes from."""
    variances = {factor: error**2 for factor, error in estimate.standard_errors.items()}
    units, items = dict(estimate.units), estimate.items
    if len(units) == 1:
        ((factor, count),) = units.items()
        own = {factor: variances[factor]}
        return Spread(units=units, items=items, variances=own, components={factor: own[factor] * count})
    templates, lexemes = units[TEMPLATE], units[LEXEME]
    units = {TEMPLATE: templates, LEXEME: lexemes}
    kept = {factor: variances[factor] for factor in units}
    if items < CROSSED * templates * lexemes:
        kept[TWO_WAY] = variances[TWO_WAY]
        return Spread(units=units, items=items, variances=kept, components={})
    components, cut = _solved(kept[TEMPLATE], kept[LEXEME], _of_cells(estimate, variances), templates, lexemes)
    return Spread(units=units, items=items, variances=kept, components=components, cut=cut)


def _of_cells(estimate: Estimate, variances: Mapping[str, float]) -> float:
    """Return the jackknife variance when single cells are left out, which is not stored by itself."""
    by_factor = variances[TEMPLATE], variances[LEXEME]
    if estimate.items <= math.prod(estimate.units.values()) and ITEM in variances:
        return variances[ITEM]  # every cell is one item
    if variances[TWO_WAY] > max(by_factor) * (1 + 1e-9):
        return math.fsum(by_factor) - variances[TWO_WAY]
    # where V = max(V_T, V_L), it is at least the other one: the least rest, and so the least that more of both helps
    return max(min(by_factor), variances.get(ITEM, 0.0))


def _solved(
    of_templates: float, of_lexemes: float, of_cells: float, templates: int, lexemes: int
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Solve the three equations for the variance components, none below 0."""
    cells = templates * lexemes
    rest = of_cells * (cells - 1) - of_templates * (templates - 1) - of_lexemes * (lexemes - 1)
    rest /= (templates - 1) * (lexemes - 1)
    found = {
        TEMPLATE: (of_templates - rest) * templates,
        LEXEME: (of_lexemes - rest) * lexemes,
        CELL: rest * cells,
    }
    cut = tuple(factor for factor, component in found.items() if component < 0)
    # so that the run's own variance comes out again: what is cut from one is not left over in another
    rest = min(max(rest, 0.0), max(of_templates, of_lexemes))
    kept = {
        TEMPLATE: max(of_templates - rest, 0.0) * templates,
        LEXEME: max(of_lexemes - rest, 0.0) * lexemes,
        CELL: rest * cells,
    }
    return kept, cut


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an estimate lies on its scale: in the middle of its interval there, since a share is shrunk a little."""

    scale: Scale
    value: float
    centre: float

    @classmethod
    def of(cls, estimate: Estimate) -> "_Place | None":
        scale = SCALES.get(estimate.scale)
        if scale is None or estimate.value is None or estimate.low is None or estimate.high is None:
            return None
        if scale.ends is None:
            return cls(scale, estimate.value, scale.at(estimate.value))
        with np.errstate(divide="ignore"):
            centre = (scale.at(estimate.low) + scale.at(estimate.high)) / 2
        return cls(scale, scale.inverse(centre), centre) if math.isfinite(centre) else None

    def on_scale(self, margin: float) -> float:
        """Return how far a margin reaches on the scale, to the nearer side; infinite beyond the ends of both."""
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = [abs(self.scale.at(self.value + sign * margin) - self.centre) for sign in (-1, 1)]
        return min(math.inf if math.isnan(distance) else distance for distance in moved)

    def distance(self, reach: float) -> float:
        """Return a distance on the scale in the unit of the estimate: the margin that reaches as far."""
        return max(abs(self.scale.inverse(self.centre + sign * reach) - self.value) for sign in (-1, 1))


def _counts(units: Mapping[str, int | float]) -> dict[str, Array]:
    return {factor: np.array([float(count)]) for factor, count in units.items()}


def _planned(here: Outlook, spread: Spread, place: _Place, aim: float, pair: bool) -> Outlook:
    if not spread.crossed:
        return _both_at_once(here, spread, aim)
    needed: dict[str, int | None] = {}
    least, why = {}, {}
    for factor in spread.units:
        floor = spread.least(factor, here.power)
        needed[factor] = None
        if floor >= aim:
            least[factor] = place.distance(floor)
            why[factor] = "the other factor alone leaves more than that"
            continue
        needed[factor] = spread.fewest(factor, aim, here.power)
        if needed[factor] is None:
            why[factor] = f"more than {MOST_UNITS:,} would be needed"
    cheapest = _cheapest(spread, aim, here, needed) if pair or len(spread.units) == 1 else None
    items = None if cheapest is None else _items(spread, cheapest)
    return replace(here, needed=needed, least=least, why=why, cheapest=cheapest, items=items)


def fewest(enough: Callable[[int], bool], start: int = 2) -> int | None:
    """Return the smallest number from ``start`` up that is enough, where more never is less; None beyond all reach."""
    low, high = start - 1, start
    while not enough(high):
        if high >= MOST_UNITS:
            return None
        low, high = high, min(2 * high, MOST_UNITS)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _both_at_once(here: Outlook, spread: Spread, aim: float) -> Outlook:
    """Plan a set whose factors are not crossed: both grow in step, as they do when more of the same is written."""
    factor = max(spread.units, key=lambda each: spread.variances[each])
    why = dict.fromkeys(spread.units, "its templates and words do not all meet, so only both together can be planned")

    def units(count: int) -> dict[str, float]:
        return {f: n * count / spread.units[factor] for f, n in spread.units.items()}

    count = fewest(lambda n: float(spread.reach(_counts(units(n)), here.power)[0]) <= aim, spread.units[factor])
    cheapest = None if count is None else {f: math.ceil(n - 1e-9) for f, n in units(count).items()}
    items = None if count is None else math.ceil(spread.items * count / spread.units[factor] - 1e-9)
    needed = dict.fromkeys(spread.units)
    return replace(here, needed=needed, why=why, cheapest=cheapest, items=items)


def _items(spread: Spread, units: Mapping[str, int]) -> int:
    """Return how many items a design has, with as many in a cell as in the run."""
    return math.ceil(spread.items * math.prod(n / spread.units[f] for f, n in units.items()) - 1e-9)


def _cheapest(spread: Spread, aim: float, here: Outlook, needed: Mapping[str, int | None]) -> dict[str, int] | None:
    """Return the design with the fewest items of those that keep all units there are."""
    if here.decided:
        return dict(spread.units)
    if len(spread.units) == 1:
        ((factor, count),) = needed.items()
        return None if count is None else {factor: count}
    templates, lexemes = spread.units[TEMPLATE], spread.units[LEXEME]
    most = MOST_UNITS
    if (alone := needed[TEMPLATE]) is not None:
        most = min(most, alone * lexemes // templates)  # beyond, even the present templates make more items
    tried = np.arange(lexemes, most + 1, dtype=np.float64)
    if len(tried) > _TRIED:
        coarse = np.unique(np.round(np.geomspace(lexemes, most, _TRIED)))
        best = int(np.argmin(_with_fewest_templates(spread, coarse, aim, here.power) * coarse))
        tried = np.arange(coarse[max(best - 1, 0)], coarse[min(best + 1, len(coarse) - 1)] + 1)[:_TRIED]
    found = _with_fewest_templates(spread, tried, aim, here.power)
    best = int(np.argmin(found * tried))
    return {TEMPLATE: int(found[best]), LEXEME: int(tried[best])} if math.isfinite(found[best]) else None


def _with_fewest_templates(spread: Spread, lexemes: Array, aim: float, power: float) -> Array:
    """Return for each number of words the fewest templates that reach ``aim``, infinite where none do."""
    fewest_of_all = spread.units[TEMPLATE]
    low = np.full(len(lexemes), fewest_of_all - 1.0)  # never asked of, so that the search must not end on it
    high = np.full(len(lexemes), float(MOST_UNITS))
    while (between := high - low > 1).any():
        middle = np.maximum(np.floor((low + high) / 2), fewest_of_all)
        enough = spread.reach({TEMPLATE: middle, LEXEME: lexemes}, power) <= aim
        low, high = np.where(between & ~enough, middle, low), np.where(between & enough, middle, high)
    return np.where(spread.reach({TEMPLATE: high, LEXEME: lexemes}, power) <= aim, high, np.inf)
