"""Probe sets whose true values are known: the answers to them are drawn, whole units at a time.

Units have unequal numbers of items: gamma with mean 40 and coefficient of variation .5, rounded, at least 1. Their
numbers do not depend on their effects, so that the mean over items has the mean over units for its expectation. A
design effect D of a mean over items is had by the share rho of the variance that lies between units,
D = 1 + rho * (40 * (1 + .5^2) - 1). On a grid of T templates and L lexemes, each once, it is
D = 1 + s_T^2 * (L - 1) + s_L^2 * (T - 1), with variances that sum up to 1.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from fairprint.audit.choice_metrics import CHOICE_METRICS
from fairprint.audit.metrics import METRICS, Metric, Row
from fairprint.audit.pair_metrics import SCORE
from fairprint.audit.statistics import LEXEME, TEMPLATE, Array, Factors
from fairprint.audit.triple_metrics import ICAT

SIZE, SPREAD = 40, 0.5
"""Mean and coefficient of variation of the number of items a unit."""
MEAN, SHARE, LMS, CORRELATION = 0.3, 0.6, 0.9, 0.8
"""True values: of graded scores, of shares, of the language model score, of r."""
UNKNOWN = 0.2
"""Share of questions that are answered with "unknown", and so count in neither sum of s_DIS."""
NAMES = tuple(str(n) for n in range(20_000))
NAMED = {metric.name: metric for metric in METRICS}
Codes = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One setting.

    Attributes:
        kind: a name in ``KINDS``: what is drawn, and the metric that reads it.
        units: how many there are of the random factors: of one, or templates and lexemes of a grid.
        effect: the design effect.
        template: of a grid, the share of what varies between units that varies between templates; 1 where lexemes do
            not vary, 0 where templates do not.
        share: true value of a share, or of SS.
        exponential: whether effects of units and items are exponential instead of normal.
    """

    kind: str
    units: tuple[int, ...]
    effect: float
    template: float | None = None
    share: float = SHARE
    exponential: bool = False

    @property
    def still(self) -> bool:
        """Whether a random factor of a grid does not vary."""
        return len(self.units) == 2 and (self.effect == 1 or self.template in (0, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """The items of one draw; what a ``Row`` holds, shape [item]."""

    factors: Factors
    value: Array
    also: Array = field(default_factory=lambda: np.zeros(0))
    covariate: Array = field(default_factory=lambda: np.zeros(0))
    direction: Codes = field(default_factory=lambda: np.zeros(0, dtype=np.intp))

    def rows(self) -> list[Row]:
        """Return the items as metrics read them in an audit."""
        names, codes = self.factors.names, (self.factors.template, self.factors.lexeme)
        return [
            Row(
                template=names[TEMPLATE][template],
                lexeme=names[LEXEME][lexeme],
                category="",
                group="",
                direction=int(self.direction[n]) if len(self.direction) else 0,
                valence=0,
                value=float(self.value[n]),
                covariate=float(self.covariate[n]) if len(self.covariate) else None,
                also=float(self.also[n]) if len(self.also) else None,
            )
            for n, (template, lexeme) in enumerate(zip(*codes, strict=True))
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What is drawn of a cell, and the metric that reads it.

    Attributes:
        columns: of the metric's form, from what is drawn: as ``metric.form`` makes them of rows, without the rows.
        truth: the true value of the metric.
    """

    metric: Metric
    draw: Callable[[Cell, np.random.Generator], Drawn]
    columns: Callable[[Drawn], Array]
    truth: Callable[[Cell], float]


def sizes(units: int, rng: np.random.Generator) -> Codes:
    """Return the number of items of each unit."""
    drawn = rng.gamma(1 / SPREAD**2, SIZE * SPREAD**2, units).round()
    return np.maximum(1, drawn).astype(np.intp)


def mean_inverse_size() -> float:
    """Return the expectation of 1 / size, from the distribution that ``sizes`` draws from."""
    counts = np.arange(1, 50 * SIZE)
    below = stats.gamma.cdf(counts + 0.5, 1 / SPREAD**2, scale=SIZE * SPREAD**2)
    return float((np.diff(below, prepend=0) / counts).sum())


def between(effect: float) -> float:
    """Return the share of the variance that lies between units, for a design effect."""
    return (effect - 1) / (SIZE * (1 + SPREAD**2) - 1)


def _factors(factor: str, codes: Codes, others: Codes | None = None) -> Factors:
    """Return units of one random factor; of the other there is one unit, or those that are given."""
    others = np.zeros_like(codes) if others is None else others
    template, lexeme = (codes, others) if factor == TEMPLATE else (others, codes)
    names = {TEMPLATE: NAMES[: template.max() + 1], LEXEME: NAMES[: lexeme.max() + 1]}
    return Factors(template=template, lexeme=lexeme, names=names, random=(factor,))


def _clustered(cell: Cell, rng: np.random.Generator) -> Codes:
    return np.repeat(np.arange(cell.units[0]), sizes(cell.units[0], rng))


def _beta(mean: float, rho: float, units: int, rng: np.random.Generator) -> Array:
    """Return a probability for each unit, so that answers are beta-binomial."""
    if not rho:
        return np.full(units, mean)
    return rng.beta(mean * (1 - rho) / rho, (1 - mean) * (1 - rho) / rho, units)


def _effects(cell: Cell, count: int, rng: np.random.Generator) -> Array:
    """Return numbers with mean 0 and variance 1."""
    return rng.exponential(size=count) - 1 if cell.exponential else rng.normal(size=count)


def graded(cell: Cell, rng: np.random.Generator) -> Drawn:
    """Scores with an effect of the unit and one of the item."""
    codes, rho = _clustered(cell, rng), between(cell.effect)
    of_units, of_items = _effects(cell, cell.units[0], rng), _effects(cell, len(codes), rng)
    value = MEAN + math.sqrt(rho) * of_units[codes] + math.sqrt(1 - rho) * of_items
    return Drawn(factors=_factors(TEMPLATE, codes), value=value)


def binary(cell: Cell, rng: np.random.Generator) -> Drawn:
    """Gaps of 1 or -1 nat: what is counted is how many are above 0."""
    codes = _clustered(cell, rng)
    wins = rng.random(len(codes)) < _beta(cell.share, between(cell.effect), cell.units[0], rng)[codes]
    return Drawn(factors=_factors(TEMPLATE, codes), value=np.where(wins, 1.0, -1.0))


def questions(cell: Cell, rng: np.random.Generator) -> Drawn:
    """Answers to questions: of those that name somebody, a share follows the stereotype."""
    codes = _clustered(cell, rng)
    biased = rng.random(len(codes)) < _beta(cell.share, between(cell.effect), cell.units[0], rng)[codes]
    named = (rng.random(len(codes)) >= UNKNOWN).astype(np.float64)
    return Drawn(factors=_factors(TEMPLATE, codes), value=np.where(biased, 1.0, -1.0) * named, also=named)


def triples(cell: Cell, rng: np.random.Generator) -> Drawn:
    """Items of terms: how many of two comparisons a meaningful sentence wins, and whether the stereotype wins."""
    codes, rho = _clustered(cell, rng), between(cell.effect)
    means = _beta(LMS, rho, cell.units[0], rng)[codes]
    prefers = rng.random(len(codes)) < _beta(cell.share, rho, cell.units[0], rng)[codes]
    return Drawn(
        factors=_factors(LEXEME, codes, np.arange(len(codes))),
        value=rng.binomial(2, means) / 2,
        also=prefers.astype(np.float64),
    )


def followed(cell: Cell, rng: np.random.Generator) -> Drawn:
    """Gaps of words whose means follow a published figure; without a design effect each word is one item."""
    alone = cell.effect == 1
    codes = np.arange(cell.units[0]) if alone else _clustered(cell, rng)
    rho = 1.0 if alone else between(cell.effect)
    spread = rho + (1 - rho) * mean_inverse_size()
    figure = rng.normal(size=cell.units[0])
    slope = CORRELATION * math.sqrt(spread)
    word = slope * figure + math.sqrt(rho - slope**2) * rng.normal(size=cell.units[0])
    value = word[codes] + math.sqrt(1 - rho) * rng.normal(size=len(codes))
    return Drawn(factors=_factors(LEXEME, codes), value=value, covariate=figure[codes])


def _crossed(cell: Cell) -> Factors:
    """Return the units of every template with every lexeme."""
    templates, lexemes = cell.units
    names = {TEMPLATE: NAMES[:templates], LEXEME: NAMES[:lexemes]}
    codes = np.divmod(np.arange(templates * lexemes), lexemes)
    return Factors(template=codes[0], lexeme=codes[1], names=names, random=(TEMPLATE, LEXEME))


def grid(cell: Cell, rng: np.random.Generator) -> Drawn:
    """Gaps between two groups; of half of the lexemes the stereotype expects the second, and values turn about.

    Values have mean ``MEAN``, or one by which ``share`` of them are above 0, and variance 1.
    """
    (templates, lexemes), share = cell.units, cell.template or 0.0
    of_template, of_lexeme = (
        (cell.effect - 1) * share / (lexemes - 1),
        (cell.effect - 1) * (1 - share) / (templates - 1),
    )
    towards = math.sqrt(of_template) * rng.normal(size=(templates, 1)) + math.sqrt(of_lexeme) * rng.normal(size=lexemes)
    towards = towards + math.sqrt(1 - of_template - of_lexeme) * rng.normal(size=(templates, lexemes))
    towards += float(stats.norm.ppf(cell.share)) if cell.kind == "binary grid" else MEAN
    direction = np.where(np.arange(lexemes) % 2, -1, 1)
    value = (towards * direction).ravel()
    return Drawn(factors=_crossed(cell), value=value, direction=np.tile(direction, templates))


def followed_grid(cell: Cell, rng: np.random.Generator) -> Drawn:
    """Gaps of words in templates: .4 of the variance lies between words, .2 between templates."""
    templates, lexemes = cell.units
    slope = CORRELATION * math.sqrt(0.4 + 0.4 / templates)
    figure = rng.normal(size=lexemes)
    word = slope * figure + math.sqrt(0.4 - slope**2) * rng.normal(size=lexemes)
    value = word + math.sqrt(0.2) * rng.normal(size=(templates, 1)) + math.sqrt(0.4) * rng.normal(size=cell.units)
    return Drawn(factors=_crossed(cell), value=value.ravel(), covariate=np.tile(figure, templates))


def _with_ones(*columns: Array) -> Array:
    return np.stack([*columns, np.ones(len(columns[0]))], axis=1)


_CORRELATION = Kind(
    metric=NAMED["covariate_correlation"],
    draw=followed,
    columns=lambda drawn: _with_ones(drawn.covariate, drawn.value),
    truth=lambda cell: CORRELATION,
)
KINDS = {
    "graded": Kind(
        metric=NAMED["group_gap"],
        draw=graded,
        columns=lambda drawn: _with_ones(drawn.value),
        truth=lambda cell: MEAN,
    ),
    "binary": Kind(
        metric=SCORE,
        draw=binary,
        columns=lambda drawn: _with_ones((drawn.value > 0).astype(np.float64)),
        truth=lambda cell: cell.share,
    ),
    "s_DIS": Kind(
        metric=CHOICE_METRICS["bbq_s_dis"],
        draw=questions,
        columns=lambda drawn: np.stack([drawn.value, drawn.also], axis=1),
        truth=lambda cell: 2 * cell.share - 1,
    ),
    "ICAT": Kind(
        metric=ICAT,
        draw=triples,
        columns=lambda drawn: _with_ones(drawn.value, drawn.also),
        truth=lambda cell: LMS * min(cell.share, 1 - cell.share) / 0.5,
    ),
    "r": _CORRELATION,
    "graded grid": Kind(
        metric=NAMED["signed_effect"],
        draw=grid,
        columns=lambda drawn: _with_ones(drawn.value * drawn.direction),
        truth=lambda cell: MEAN,
    ),
    "binary grid": Kind(
        metric=NAMED["stereotype_score"],
        draw=grid,
        columns=lambda drawn: _with_ones((drawn.value * drawn.direction > 0).astype(np.float64)),
        truth=lambda cell: cell.share,
    ),
    "r grid": Kind(
        metric=_CORRELATION.metric,
        draw=followed_grid,
        columns=_CORRELATION.columns,
        truth=_CORRELATION.truth,
    ),
}
