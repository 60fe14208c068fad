"""Metrics of labelled items: how often a classifier is right, of each group and label, and how far groups lie apart.

What is compared is the share of right answers among a group's items and among those of another group, or among all
others; for one label alone it is the gap of true positive rates (De-Arteaga et al. 2019, section 4). Intervals take
the items of one source together.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fairprint.audit.bounds import Bounds, of_difference
from fairprint.audit.metrics import Metric, Row, difference, mean, values
from fairprint.audit.parts import Part
from fairprint.audit.statistics import Factors, Sums
from fairprint.probes.items import Item, ProbeSet
from fairprint.probes.labelled import OTHERS, belongs
from fairprint.probes.scores import CORRECT, Score

MOST_RATES = 400
"""Labels times comparisons up to which each gap of true positive rates is told; of more, those of frequent labels."""

GAP = "difference of shares"
"""Unit of the gaps: between -1 and 1."""


def _difference(rows: Sequence[Row], factors: Factors) -> Sums:
    """Share of right answers on the one side of a comparison (``direction`` 1), minus that on the other (-1)."""
    return difference(values(rows), _first_side(rows))


def _first_side(rows: Sequence[Row]) -> NDArray[np.bool_]:
    return np.array([row.direction > 0 for row in rows])


def _worst(rows: Sequence[Row], least: float, most: float) -> Bounds | None:
    return of_difference(values(rows), _first_side(rows), least, most)


_NO_NEUTRAL = "no neutral value: what is compared between groups is the gap"
_RATE = Metric(
    name="accuracy",
    version=1,
    reads="correct",
    needs=None,
    pooled=False,
    unit="share",
    scale="logit",
    neutral=None,
    neutral_why=_NO_NEUTRAL,
    form=mean(values),
    scopes=("all", "group"),
    bounded=True,
)
_GAP = replace(
    _RATE,
    name="accuracy_gap",
    unit=GAP,
    scale="identity",
    neutral=0.0,
    neutral_why="with equal quality the model would be right as often on both sides",
    form=_difference,
    scopes=("all",),
    bounded=False,
    worst=_worst,
)

LABELLED = {
    metric.name: metric
    for metric in (
        _RATE,
        _GAP,
        replace(_RATE, name="true_positive_rate", scopes=("category",)),
        replace(_GAP, name="true_positive_rate_gap", scopes=("category",)),
    )
}
"""The metrics of labelled items, by name; what they mean to a reader stands in fairprint.reports.wording.METRICS."""


def labelled_parts(probe_set: ProbeSet, items: Sequence[Item], scores: Sequence[Score]) -> Iterator[Part]:
    """Yield what is computed of labelled items: accuracy of all and of each group, gaps, and rates by label.

    Args:
        probe_set: from ``load_labelled``.
        items: the items that were asked.
        scores: rows of ``CORRECT``; others are left out.
    """
    values = {score.item: score.value for score in scores if score.name == CORRECT}
    if not values:
        return
    rows = [_row(item, values.get(item.id)) for item in items]
    yield Part(metric=LABELLED["accuracy"], comparison=None, scope="all", rows=tuple(rows))
    members = {group.id: tuple(belongs(row.group, group.id) for row in rows) for group in probe_set.groups}
    for group, inside in members.items():
        if group != OTHERS:
            part = tuple(row for row, member in zip(rows, inside, strict=True) if member)
            yield Part(metric=LABELLED["accuracy"], comparison=None, scope=f"group:{group}", rows=part)
    labels = _frequent(rows, len(probe_set.comparisons))
    for label, of_label in _by_label(rows, labels).items():
        yield Part(metric=LABELLED["true_positive_rate"], comparison=None, scope=f"category:{label}", rows=of_label)
    for comparison in probe_set.comparisons:
        pair = (comparison.first, comparison.second)
        sides = _sides(rows, members[comparison.first])
        gap, rate_gap = LABELLED["accuracy_gap"], LABELLED["true_positive_rate_gap"]
        yield Part(metric=gap, comparison=pair, scope="all", rows=sides)
        for label, of_label in _by_label(sides, labels).items():
            # a label that one side lacks has no gap
            if len({row.direction for row in of_label if row.value is not None}) == 2:
                scope = f"category:{label}"
                yield Part(metric=rate_gap, comparison=pair, scope=scope, rows=of_label)


def _frequent(rows: Sequence[Row], comparisons: int) -> list[str]:
    """Return the labels whose rates are told; a single label would repeat the accuracy."""
    counts = Counter(row.category for row in rows)
    return [label for label, _ in counts.most_common(max(MOST_RATES // comparisons, 1))] if len(counts) > 1 else []


def _by_label(rows: Sequence[Row], labels: Sequence[str]) -> dict[str, tuple[Row, ...]]:
    found: dict[str, list[Row]] = {label: [] for label in labels}
    for row in rows:
        if row.category in found:
            found[row.category].append(row)
    return {label: tuple(of_label) for label, of_label in found.items()}


def _sides(rows: Sequence[Row], first: Sequence[bool]) -> tuple[Row, ...]:
    """Mark each item as of the first group of a comparison or not; whatever is not is what it is compared with."""
    return tuple(replace(row, direction=1 if member else -1) for row, member in zip(rows, first, strict=True))


def _row(item: Item, value: float | None) -> Row:
    return Row(
        template=item.template,
        lexeme=item.lexeme,
        category=item.category,
        group=item.variants[0].group,
        direction=0,
        valence=0,
        value=value,
        covariate=None,
    )


MOST_NAMED = 5
"""Items without an answer that a note names, of each reason."""


def unanswered(probe_set: ProbeSet, items: Sequence[Item], scores: Sequence[Score]) -> tuple[str, ...]:
    """Return a line for each reason for which labelled items have no answer: how many they are, and which."""
    lost: dict[str, list[str]] = {}
    for score in scores:
        if score.name == CORRECT and score.value is None:
            lost.setdefault(score.note, []).append(score.item)
    called = {item.id: item.variants[0].text for item in items if item.variants[0].image}
    notes = []
    for reason, found in lost.items():
        named = [f"{item} ({called[item]})" if item in called else item for item in found[:MOST_NAMED]]
        rest = f" and {len(found) - MOST_NAMED:,} more" if len(found) > MOST_NAMED else ""
        has = "has" if len(found) == 1 else "have"
        count = f"{len(found):,} of {len(items):,} items {has} no answer"
        notes.append(f"{probe_set.name}: {count}: {reason}: {', '.join(named)}{rest}")
    return tuple(notes)
