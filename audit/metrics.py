"""Metrics: what the scores of a probe set say, each a row of one table.

A gap is log P(first group) - log P(second group) of one item, in nats. A metric is per-item columns, summed by unit,
and a combine; metrics that no sums can give (centring inside a template) take item weights instead.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fairprint.audit.association import effect_size
from fairprint.audit.bounds import Bounds, of_centred, of_difference
from fairprint.audit.statistics import Array, Factors, Form, Sums, Weights
from fairprint.probes.scores import COSINE, LOGPROB, PROBABILITY

_ROUNDING = 1e-20
_EXACT = 1e-12
"""Squares sum up this exactly: a correlation that is nearer to 1 is 1."""
TIE = 1e-6
"""Gaps of less than this many nats are ties: float32 cannot tell them apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One item as metrics see it.

    Attributes:
        group: the group that is spoken of: the first of a comparison, or that of a mass.
        direction: +1 where the stereotype expects the first group, -1 the second, 0 where no direction is claimed.
        valence: +1 where the lexeme speaks well of people, -1 ill, 0 where that is not said.
        value: the gap, or the mass of a frame; None where an answer is missing.
        covariate: the published figure of the lexeme, or None.
        also: a second number of the item, for a metric that is made of two.
    """

    template: str
    lexeme: str
    category: str
    group: str
    direction: int
    valence: int
    value: float | None
    covariate: float | None
    also: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric: which rows it reads, what it sums, and how the sums become a value.

    Attributes:
        reads: which rows: ``gap``, ``centred`` gaps, ``covariate``, ``mass``, ``flips`` or ``correct`` choices.
        needs: ``direction`` or ``valence`` where only rows that have one count.
        pooled: whether several comparisons can be taken together, and not only one by one.
        form: how it is computed from rows without missing values and their units.
        scopes: ``all``, ``category``, ``lexeme``, ``group``.
        bounded: whether it is a mean of numbers between 0 and 1, so that missing answers have worst cases.
        worst: what gives the worst cases of another metric, from all rows and the ends of what a missing value can be.
        skewed: whether its numbers have a long tail to one side, so that the bootstrap's interval stands first.
        of: the scores whose gaps it is for, such as ``LOGPROB``; None for all that have gaps.
    """

    name: str
    version: int
    reads: str
    needs: Literal["direction", "valence"] | None
    pooled: bool
    unit: str
    scale: str
    neutral: float | None
    neutral_why: str
    form: Callable[[Sequence[Row], Factors], Form]
    scopes: tuple[str, ...]
    bounded: bool
    worst: Callable[[Sequence[Row], float, float], Bounds | None] | None = None
    skewed: bool = False
    of: tuple[str, ...] | None = None


def values(rows: Sequence[Row]) -> Array:
    """Return the value of each row; NaN where an answer is missing."""
    return np.array([row.value for row in rows], dtype=np.float64)


def _towards_stereotype(rows: Sequence[Row]) -> Array:
    return values(rows) * np.array([row.direction for row in rows], dtype=np.float64)


def _wins(gaps: Array) -> Array:
    """1 where the stereotyped group is preferred, 1/2 for a tie, else 0."""
    return np.where(np.abs(gaps) < TIE, 0.5, (gaps > 0).astype(np.float64))


def _ratio(sums: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums[:, 0, 0] / sums[:, 0, 1])


def mean(of: Callable[[Sequence[Row]], Array]) -> Callable[[Sequence[Row], Factors], Sums]:
    """Return the form of a plain mean over items."""

    def form(rows: Sequence[Row], factors: Factors) -> Sums:
        found = of(rows)
        return Sums(columns=np.stack([found, np.ones_like(found)], axis=1), combine=_ratio)

    return form


def _balanced_mean(of: Callable[[Sequence[Row]], Array]) -> Callable[[Sequence[Row], Factors], Sums]:
    """Mean over items, in which each direction of each comparison keeps its share when a unit is left out.

    On all items it is the plain mean. Were a word of one direction simply left out, the other direction would gain
    weight, and a model's constant preference, which cancels between the two, would pass for differences between words.
    A set of other words would be balanced again: the directions are strata, and the mean is that of a stratified
    sample (Cochran 1977, section 5.3).

    The jackknife counts all words as one sample, (n - 1) / n, and not each stratum by itself. That makes the variance
    larger by about one part in the words of a stratum: 12 % of 5 and 5 words, 2 % of 30 and 30, where intervals cover
    95.6 and 95.4 % instead of 94.8 and 95.2 % in a simulation. It is kept, since it errs on the safe side and holds too
    where a word stands in several strata, one a comparison.
    """

    def form(rows: Sequence[Row], factors: Factors) -> Sums:
        found = of(rows)
        kinds = {kind: code for code, kind in enumerate(dict.fromkeys((row.group, row.direction) for row in rows))}
        strata = np.array([kinds[row.group, row.direction] for row in rows], dtype=np.intp)
        sizes = np.bincount(strata)

        def combine(sums: Array) -> Array:
            with np.errstate(invalid="ignore", divide="ignore"):
                # divided last, so that items that all agree have a mean of exactly 0 or 1
                return np.asarray((sums[:, :, 0] / sums[:, :, 1]) @ sizes / len(rows))

        return Sums(columns=np.stack([found, np.ones_like(found)], axis=1), combine=combine, cells=strata)

    return form


def _centred_score(rows: Sequence[Row], factors: Factors) -> Weights:
    """Score gaps minus their template's mean gap; the mean moves with every unit that is left out."""
    gaps = values(rows)
    directions = np.array([row.direction for row in rows], dtype=np.float64)
    member = np.zeros((len(rows), len(factors.names["template"])))
    member[np.arange(len(rows)), factors.template] = 1.0

    def estimator(weights: Array) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            means = ((weights * gaps) @ member) / (weights @ member)
            centred = (gaps - np.nan_to_num(means)[:, factors.template]) * directions
            return np.asarray((weights * _wins(centred)).sum(axis=1) / weights.sum(axis=1))

    return Weights(estimator=estimator)


def _worst_centred(rows: Sequence[Row], least: float, most: float) -> Bounds:
    directions = np.array([row.direction for row in rows], dtype=np.float64)
    templates = np.unique([row.template for row in rows], return_inverse=True)[1]
    return of_centred(values(rows), templates, lambda gaps: _wins(gaps * directions))


def _standardised_effect(rows: Sequence[Row], factors: Factors) -> Sums:
    gaps = _towards_stereotype(rows)
    middle = float(np.median(gaps))
    moved = gaps - middle  # squares of gaps far from 0 would drown their variance

    def combine(sums: Array) -> Array:
        total, squares, count = sums[:, 0, 0], sums[:, 0, 1], sums[:, 0, 2]
        with np.errstate(invalid="ignore", divide="ignore"):
            variance = (squares - total**2 / count) / (count - 1)
            varies = variance > _ROUNDING * squares / count
            return np.where(varies, (middle + total / count) / np.sqrt(np.where(varies, variance, 1)), np.nan)

    return Sums(columns=np.stack([moved, moved**2, np.ones_like(gaps)], axis=1), combine=combine)


def _correlation(rows: Sequence[Row], factors: Factors) -> Sums:
    """Pearson's r over lexemes between the covariate and the mean gap towards the covariate's group."""
    both = np.stack([np.array([row.covariate for row in rows], dtype=np.float64), values(rows)], axis=1)
    middle = both.mean(axis=0)  # squares of numbers far from 0 would drown their variance
    # what differs by less does so by rounding alone
    rounding = np.maximum(_ROUNDING * np.square(both).max(axis=0), _EXACT * np.square(both - middle).max(axis=0))

    def of_lexeme(sums: Array) -> Array:
        count = sums[..., 2:]
        x, y = np.moveaxis(sums[..., :2] / np.where(count > 0, count, 1) - middle, -1, 0)
        return np.where(count > 0, np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=-1), 0)

    def combine(sums: Array) -> Array:
        n, x, y, xx, yy, xy = np.moveaxis(sums[:, 0], -1, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = xx - x * x / n, yy - y * y / n
            varies = (n >= 3) & (spread[0] > n * rounding[0]) & (spread[1] > n * rounding[1])
            r = (xy - x * y / n) / np.sqrt(spread[0] * spread[1])
        return np.where(varies, np.where(np.abs(r) > 1 - _EXACT, np.sign(r), r), np.nan)

    return Sums(columns=np.append(both, np.ones((len(rows), 1)), axis=1), combine=combine, of_lexeme=of_lexeme)


def _association(rows: Sequence[Row], factors: Factors) -> Sums:
    return effect_size(values(rows), np.array([row.direction for row in rows], dtype=np.float64))


def difference(of: Array, first: NDArray[np.bool_]) -> Sums:
    """Return the form of a difference of two means: that of some items minus that of the others."""
    one = first.astype(np.float64)
    columns = np.stack([of * one, one, of * (1 - one), 1 - one], axis=1)

    def combine(sums: Array) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(sums[:, 0, 0] / sums[:, 0, 1] - sums[:, 0, 2] / sums[:, 0, 3])

    return Sums(columns=columns, combine=combine)


def _valence_gap(rows: Sequence[Row], factors: Factors) -> Sums:
    """Mean gap of the words that speak well, minus that of the words that speak ill."""
    return difference(values(rows), _speaks_well(rows))


def _speaks_well(rows: Sequence[Row]) -> NDArray[np.bool_]:
    return np.array([row.valence > 0 for row in rows])


_NO_PREFERENCE = "with equal treatment either group would be preferred as often"
_NO_GAP = "with equal treatment both groups would be equally probable"
NO_NEARNESS = "without association a word would lie as near to the words of the one group as to those of the other"
_CHOICES = (LOGPROB, PROBABILITY)
"""Scores by which a model prefers one version to another; where vectors lie, it prefers nothing."""

# what each metric means to a reader, and the paper it is after, stands in fairprint.reports.wording.METRICS
METRICS = (
    Metric(
        name="stereotype_score",
        version=1,
        reads="gap",
        needs="direction",
        pooled=True,
        unit="share",
        scale="logit",
        neutral=0.5,
        neutral_why=_NO_PREFERENCE,
        form=_balanced_mean(lambda rows: _wins(_towards_stereotype(rows))),
        scopes=("all", "category"),
        bounded=True,
        of=_CHOICES,
    ),
    Metric(
        name="stereotype_score_centred",
        version=1,
        reads="gap",
        needs="direction",
        pooled=False,
        unit="share",
        scale="logit",
        neutral=0.5,
        neutral_why=_NO_PREFERENCE,
        form=_centred_score,
        scopes=("all",),
        bounded=False,
        worst=_worst_centred,
        of=_CHOICES,
    ),
    Metric(
        name="signed_effect",
        version=1,
        reads="gap",
        needs="direction",
        pooled=True,
        unit="nats",
        scale="identity",
        neutral=0.0,
        neutral_why=_NO_GAP,
        form=_balanced_mean(_towards_stereotype),
        scopes=("all", "category"),
        bounded=False,
    ),
    Metric(
        name="signed_effect_dz",
        version=1,
        reads="gap",
        needs="direction",
        pooled=False,
        unit="standard deviations",
        scale="identity",
        neutral=0.0,
        neutral_why=_NO_GAP,
        form=_standardised_effect,
        scopes=("all",),
        bounded=False,
        of=_CHOICES,
    ),
    Metric(
        name="association_effect",
        version=1,
        reads="gap",
        needs="direction",
        pooled=False,
        unit="standard deviations",
        scale="fisher z of d/2",
        neutral=0.0,
        neutral_why="without association the words of the one concept would lie where those of the other lie",
        form=_association,
        scopes=("all",),
        bounded=False,
        of=(COSINE,),
    ),
    Metric(
        name="group_gap",
        version=1,
        reads="gap",
        needs=None,
        pooled=False,
        unit="nats",
        scale="identity",
        neutral=0.0,
        neutral_why=_NO_GAP,
        form=mean(values),
        scopes=("all", "category", "lexeme"),
        bounded=False,
    ),
    Metric(
        name="valence_gap",
        version=1,
        reads="gap",
        needs="valence",
        pooled=False,
        unit="nats",
        scale="identity",
        neutral=0.0,
        neutral_why="with equal treatment words that speak well would gain or lose as much as words that speak ill, "
        "whichever group is named",
        form=_valence_gap,
        scopes=("all",),
        bounded=False,
        worst=lambda rows, least, most: of_difference(values(rows), _speaks_well(rows), least, most),
    ),
    Metric(
        name="group_gap_centred",
        version=1,
        reads="centred",
        needs=None,
        pooled=False,
        unit="nats",
        scale="identity",
        neutral=0.0,
        neutral_why="without association a word would lean as the other words do in the same template",
        form=mean(values),
        scopes=("lexeme",),
        bounded=False,
    ),
    Metric(
        name="covariate_correlation",
        version=1,
        reads="covariate",
        needs=None,
        pooled=False,
        unit="correlation",
        scale="fisher z",
        neutral=0.0,
        neutral_why="without association the gaps would not follow the published figures",
        form=_correlation,
        scopes=("all",),
        bounded=False,
    ),
    Metric(
        name="flip_rate",
        version=1,
        reads="flips",
        needs=None,
        pooled=False,
        unit="share",
        scale="logit",
        neutral=None,
        neutral_why="equal treatment would give 0, the end of the scale, so there is nothing to test: each flip is a "
        "decision that hangs on the group that is named",
        form=mean(values),
        scopes=("all",),
        bounded=True,
    ),
    Metric(
        name="candidate_mass",
        version=1,
        reads="mass",
        needs=None,
        pooled=False,
        unit="share",
        scale="logit",
        neutral=None,
        neutral_why="no neutral value: it says how much of the model's belief the compared words hold together",
        form=mean(values),
        scopes=("all", "group"),
        bounded=True,
    ),
)
