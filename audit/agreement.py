"""How far several ways of asking agree about one probe set: on what is preferred, and on the order of the gaps.

Two instruments that go by one name can say different things of one model (those of CrowS-Pairs do), and then neither is
the truth. What an instrument prefers in an item is the group of the first comparison with the larger number; where
instruments pick among options, the option picked most often.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from fairprint.audit.evaluate import estimates_of
from fairprint.audit.metrics import TIE, Metric, Row, mean, values
from fairprint.audit.parts import Part
from fairprint.audit.records import Estimate
from fairprint.audit.statistics import Array, Factors, Weights
from fairprint.probes.items import Item, ProbeSet
from fairprint.probes.scores import GAP_UNITS, LIKENESS, LOGPROB, PICKED, Score

_RANKED = tuple(dict.fromkeys((LOGPROB, LIKENESS, *GAP_UNITS)))
"""Names of numbers of which the larger is preferred; where there are several, the first is read."""
BETWEEN = " ~ "
"""Stands between the names of two instruments that are compared."""


def _ranks(numbers: Array, weights: Array) -> Array:
    """Return the rank of each item among those with a weight, but for a constant; ties share their mean rank.

    Args:
        numbers: shape [item].
        weights: 1 or 0, shape [replicate, item].
    """
    order = np.argsort(numbers, kind="stable")
    ordered, here = numbers[order], weights[:, order]
    upto = here.cumsum(axis=1)
    begins = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    if begins.all():
        middle = upto - here / 2
    else:
        first = np.flatnonzero(begins)
        upto = upto[:, np.append(first[1:], len(numbers)) - 1]
        below = np.concatenate([np.zeros((len(weights), 1)), upto[:, :-1]], axis=1)
        middle = ((below + upto) / 2)[:, np.cumsum(begins) - 1]
    ranks = np.empty_like(weights)
    ranks[:, order] = middle
    return ranks


def _centred(ranks: Array, weights: Array, count: Array) -> Array:
    """Return ranks minus their mean in each replicate, and 0 for the items that are left out of it."""
    return weights * (ranks - (_products(weights, ranks) / count)[:, None])


def _products(a: Array, b: Array) -> Array:
    """Return the sum of the products of each row."""
    return np.asarray(np.einsum("ri,ri->r", a, b))


def _rank_correlation(rows: Sequence[Row], factors: Factors) -> Weights:
    """Spearman's correlation of two numbers of each item, with ranks taken anew where items are left out."""
    numbers = (values(rows), np.array([row.also for row in rows], dtype=np.float64))

    def estimator(weights: Array) -> Array:
        count = weights.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            a, b = (_centred(_ranks(found, weights), weights, count) for found in numbers)
            spread = np.sqrt(_products(a, a) * _products(b, b))
            found = _products(a, b) / spread
        return np.where((count >= 3) & (spread > 0), np.clip(found, -1, 1), np.nan)

    return Weights(estimator=estimator)


AGREEMENT = Metric(
    name="instrument_agreement",
    version=1,
    reads="preferences",
    needs=None,
    pooled=False,
    unit="share",
    scale="logit",
    neutral=None,
    neutral_why="no neutral value: two instruments that measure the same would always agree; how often they agree by "
    "chance depends on how often each prefers either side",
    form=mean(values),
    scopes=("all",),
    bounded=True,
)
CORRELATION = replace(
    AGREEMENT,
    name="instrument_correlation",
    reads="gaps",
    unit="correlation",
    scale="fisher z",
    neutral_why="no neutral value: two instruments that measure the same would have a correlation of 1",
    form=_rank_correlation,
    bounded=False,
)


def agreement(
    probe_set: ProbeSet, items: Sequence[Item], scores: Mapping[str, Sequence[Score]], seed: int = 0
) -> list[Estimate]:
    """Compare each two of the instruments that a set was asked with.

    ``instrument_agreement`` is the share of items in which both prefer the same; where one or both have a tie, it is
    the share that the two preferred sets have in common (half, where one of two groups is preferred by the one
    instrument and both by the other). ``instrument_correlation`` is Spearman's, of the gaps of the first comparison.

    Args:
        probe_set: the set.
        items: the items that were asked.
        scores: those that each instrument gave, by its name.
        seed: of the random draws of the second opinions.

    Returns:
        Estimates whose instrument is ``SET / A ~ B``; none where there is only one.
    """
    found = []
    for one, other in combinations(scores, 2):
        parts = _parts(probe_set, items, scores[one], scores[other])
        found += estimates_of(probe_set, f"{one}{BETWEEN}{other}", parts, seed)
    return found


@dataclass(frozen=True, slots=True)
class _Numbers:
    """What one instrument gave of one name, by item and group."""

    name: str
    of: Mapping[tuple[str, str], float | None]

    @classmethod
    def read(cls, scores: Sequence[Score], names: Sequence[str]) -> "_Numbers | None":
        """Read the first of some names that there are scores of; of labels, the first label."""
        there = dict.fromkeys(score.name for score in scores if score.group)
        name = next((full for name in names for full in there if full.partition(":")[0] == name), None)
        if name is None:
            return None
        of = {(score.item, score.group): score.value for score in scores if score.name == name}
        return cls(name, of)

    def preferred(self, item: Item, groups: Sequence[str]) -> set[str] | None:
        """Return the groups with the largest number; None where a number is missing, or where no option was picked."""
        known = {group: value for group in groups if (value := self.of.get((item.id, group))) is not None}
        if len(known) < len(groups) or (self.name == PICKED and not any(known.values())):
            return None
        largest, tie = max(known.values()), TIE if self.name == LOGPROB else 0.0
        return {group for group, value in known.items() if largest - value <= tie}

    def gap(self, item: Item, pair: tuple[str, str]) -> float | None:
        """Return the first group's number minus the second's."""
        first, second = (self.of.get((item.id, group)) for group in pair)
        return None if first is None or second is None else first - second


def _parts(probe_set: ProbeSet, items: Sequence[Item], one: Sequence[Score], other: Sequence[Score]) -> Iterator[Part]:
    pair = (probe_set.comparisons[0].first, probe_set.comparisons[0].second)
    picked = [found for scores in (one, other) if (found := _Numbers.read(scores, (PICKED,)))]
    ranked = [found for scores in (one, other) if (found := _Numbers.read(scores, _RANKED))]
    # an item that lacks one of the two groups asks something that the comparison is not about
    compared = [item for item in items if {*pair} <= {variant.group for variant in item.variants}]
    if len(picked) == 2:
        rows = [_row(item, _shared(item, [v.group for v in item.variants], picked)) for item in items]
        yield Part(metric=AGREEMENT, comparison=None, scope="all", rows=tuple(rows))
    if len(ranked) == 2 and compared:
        if len(picked) < 2:
            rows = [_row(item, _shared(item, pair, ranked)) for item in compared]
            yield Part(metric=AGREEMENT, comparison=pair, scope="all", rows=tuple(rows))
        rows = [_gaps(item, ranked[0].gap(item, pair), ranked[1].gap(item, pair)) for item in compared]
        yield Part(metric=CORRELATION, comparison=pair, scope="all", rows=tuple(rows))


def _shared(item: Item, groups: Sequence[str], instruments: Sequence[_Numbers]) -> float | None:
    """Return what share of the groups that either instrument prefers both prefer."""
    one, other = (numbers.preferred(item, groups) for numbers in instruments)
    return None if one is None or other is None else len(one & other) / len(one | other)


def _gaps(item: Item, one: float | None, other: float | None) -> Row:
    """Return a row of the gaps of two instruments, which is missing where either is."""
    return _row(item, None if other is None else one, other)


def _row(item: Item, value: float | None, also: float | None = None) -> Row:
    return Row(
        template=item.template,
        lexeme=item.lexeme,
        category=item.category,
        group="",
        direction=0,
        valence=0,
        value=value,
        covariate=None,
        also=also,
    )
