"""Two models on the same items: scores that both gave, and metrics whose difference is one metric of those items.

The difference of a metric between two runs is again a function of sums, or of item weights, over the items that both
answered. So it has the same jackknife as any metric, with one unit left out of both runs at a time, and what the two
have in common cancels (Dietterich 1998; Miller 2024).
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fairprint.audit.metrics import Row
from fairprint.audit.parts import Part
from fairprint.audit.statistics import Array, Factors, Form, Sums, Weights
from fairprint.probes.scores import Score

NOT_BOTH = "no answer in the other run"
"""Note of a score that counts as missing since the other run has none."""
Combined = Callable[[Array, Array], Array]
"""From a metric's values in run A and in run B, such as their difference."""
PartKey = tuple[str, str, tuple[str, str] | None, str]
"""Metric, scope, comparison and label of a part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedScores:
    """The scores of two runs, where an answer that one lacks is missing in both.

    Attributes:
        lost_a, lost_b: items that have some answer in the other run that is missing in this one.
    """

    a: tuple[Score, ...]
    b: tuple[Score, ...]
    lost_a: frozenset[str]
    lost_b: frozenset[str]


def pair_scores(a: Sequence[Score], b: Sequence[Score]) -> PairedScores:
    """Pair two runs' scores by item, group and name; a name that one run alone has stays as it is."""
    return PairedScores(
        a=_without(a, b), b=_without(b, a), lost_a=frozenset(_lost(a, b)), lost_b=frozenset(_lost(b, a))
    )


def _key(score: Score) -> tuple[str, str, str]:
    return score.item, score.group, score.name


def _answered(scores: Sequence[Score]) -> set[tuple[str, str, str]]:
    return {_key(score) for score in scores if score.value is not None}


def _without(scores: Sequence[Score], other: Sequence[Score]) -> tuple[Score, ...]:
    """Take the value off the scores that the other run does not have."""
    names, there = {score.name for score in other}, _answered(other)
    return tuple(
        replace(score, value=None, note=NOT_BOTH)
        if score.value is not None and score.name in names and _key(score) not in there
        else score
        for score in scores
    )


def _lost(scores: Sequence[Score], other: Sequence[Score]) -> set[str]:
    """Return the items of which the other run has an answer that is missing here."""
    names, there = {score.name for score in scores}, _answered(scores)
    return {item for item, group, name in _answered(other) - there if name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedRows:
    """The rows of one part in both runs: the same items in the same order.

    Attributes:
        a, b: rows that have a value in both.
        missing: items without a value in one run or both.
        missing_a, missing_b: those without one in run A, and in run B.
        apart: items that belong to the part in one run alone, since which do depends on the answers.
    """

    a: tuple[Row, ...]
    b: tuple[Row, ...]
    missing: int
    missing_a: int
    missing_b: int
    apart: int

    @property
    def identical(self) -> bool:
        """Whether every item has the same numbers in both runs."""
        return bool(self.a) and self.a == self.b


def pair_rows(a: Sequence[Row], b: Sequence[Row]) -> PairedRows:
    """Pair the rows of one part in two runs."""
    ours, theirs = _keyed(a), _keyed(b)
    both = [(row, theirs[key]) for key, row in ours.items() if key in theirs]
    lost_a, lost_b = ([row.value is None for row in side] for side in zip(*both, strict=True)) if both else ([], [])
    known = [pair for pair, one, other in zip(both, lost_a, lost_b, strict=True) if not (one or other)]
    return PairedRows(
        a=tuple(row for row, _ in known),
        b=tuple(row for _, row in known),
        missing=len(both) - len(known),
        missing_a=sum(lost_a),
        missing_b=sum(lost_b),
        apart=len({*ours, *theirs}) - len(both),
    )


def _keyed(rows: Sequence[Row]) -> dict[tuple[object, ...], Row]:
    """Return rows by what they are about; those about the same are told apart by their order."""
    seen: Counter[tuple[object, ...]] = Counter()
    found: dict[tuple[object, ...], Row] = {}
    for row in rows:
        about = (row.template, row.lexeme, row.category, row.group, row.direction, row.valence)
        found[*about, seen[about]] = row
        seen[about] += 1
    return found


def combined(a: Form, b: Form, of: Combined) -> Form:
    """Return how a function of one metric's values in two runs is computed, on the same items.

    Raises:
        ValueError: the two forms divide the same items into other cells.
    """
    if isinstance(a, Weights) or isinstance(b, Weights):
        if not (isinstance(a, Weights) and isinstance(b, Weights)):
            raise ValueError("one form takes sums and the other weights")
        estimators = a.estimator, b.estimator
        return Weights(estimator=lambda weights: of(estimators[0](weights), estimators[1](weights)))
    if not np.array_equal(_cells(a), _cells(b)):
        raise ValueError("the cells of the two forms differ")
    columns = np.concatenate([a.columns, b.columns], axis=1)
    width, ends = a.columns.shape[1], (a.combine, b.combine)
    first, second = a.of_lexeme, b.of_lexeme
    if first is None or second is None:
        return Sums(
            columns=columns,
            combine=lambda sums: of(ends[0](sums[..., :width]), ends[1](sums[..., width:])),
            cells=a.cells,
        )
    numbers = first(np.zeros((1, width))).shape[-1]
    return Sums(
        columns=columns,
        of_lexeme=lambda sums: np.concatenate([first(sums[..., :width]), second(sums[..., width:])], axis=-1),
        combine=lambda sums: of(ends[0](sums[..., :numbers]), ends[1](sums[..., numbers:])),
    )


def _cells(form: Sums) -> Array:
    return np.zeros(len(form.columns)) if form.cells is None else form.cells.astype(np.float64)


def differences(a: Form, b: Form) -> Array | None:
    """Return the difference of each item, shape [item], where the metric is their plain mean; None elsewhere."""
    if not (isinstance(a, Sums) and isinstance(b, Sums)):
        return None
    for form in (a, b):
        if form.columns.shape[1] != 2 or not np.all(form.columns[:, 1] == 1):
            return None
    return np.asarray(b.columns[:, 0] - a.columns[:, 0])


def factors_of(rows: Sequence[Row], random: Sequence[str]) -> Factors:
    """Return the units of some rows."""
    return Factors.of([row.template for row in rows], [row.lexeme for row in rows], random)


def by_key(parts: Sequence[Part]) -> Mapping[PartKey, Part]:
    """Return parts by what they are about."""
    return {(part.metric.name, part.scope, part.comparison, part.label): part for part in parts}
