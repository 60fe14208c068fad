"""Gaps between groups: which rows of which scores each metric reads, in which scopes.

A gap lies between two groups' numbers of one name, in one item. Of a classifier each label has gaps of its own.
"""

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from fairprint.audit.metrics import METRICS, NO_NEARNESS, Metric, Row
from fairprint.audit.parts import Part
from fairprint.probes.items import Item, ProbeSet
from fairprint.probes.scores import CHOICE, COSINE, GAP_UNITS, MASS, PROBABILITY, Score

Pair = tuple[str, str]
"""Ids of two compared groups; gaps are first minus second."""

MOST_WORDS = 100
"""Words times comparisons of a set up to which every comparison is reported word by word; beyond, the first alone."""


def gap_parts(probe_set: ProbeSet, items: Sequence[Item], scores: Sequence[Score]) -> Iterator[Part]:
    """Yield every metric of gaps that has something to read, in every scope; then masses and flips.

    Args:
        probe_set: the set the items are from.
        items: the items that were asked.
        scores: their scores.
    """
    names = gap_names(scores)
    for name in names:
        base, _, label = name.partition(":")
        context = _Context(probe_set, label, GAP_UNITS[base])
        gaps = gap_rows(probe_set, items, scores, name)
        for metric in METRICS:
            if metric.reads in ("gap", "centred", "covariate") and (metric.of is None or base in metric.of):
                yield from _of_gaps(metric, context, gaps)
    # a flip of two labels is a flip of the one whose probability stands for both
    label = names[0].partition(":")[2] if len(names) == 1 else ""
    context = _Context(probe_set, label, "")
    masses = [_mass_row(score) for score in scores if score.name == MASS]
    flips = _flip_rows(probe_set, items, scores)
    for metric in METRICS:
        if metric.reads == "mass" and masses:
            for kind in metric.scopes:
                yield from context.parts(metric, None, kind, masses)
        if metric.reads == "flips" and flips:
            yield from _of_gaps(metric, context, flips)


def gap_names(scores: Sequence[Score]) -> list[str]:
    """Return the names of the scores that have gaps."""
    return [name for name in dict.fromkeys(s.name for s in scores) if name.partition(":")[0] in GAP_UNITS]


def _of_gaps(metric: Metric, context: "_Context", gaps: Mapping[Pair, Sequence[Row]]) -> Iterator[Part]:
    """Yield one metric for each comparison, and for all directed ones together where that has a meaning."""
    probe_set = context.probe_set
    directed = sum(any(row.direction for row in found) for found in gaps.values())
    # a published figure speaks of the first comparison, and says nothing of a further group
    read = dict(list(gaps.items())[:1]) if metric.reads == "covariate" else gaps
    rows = {pair: _eligible(metric, _read(metric.reads, found, probe_set)) for pair, found in read.items()}
    rows = {pair: found for pair, found in rows.items() if found}
    if metric.pooled and len(rows) > 1:
        together = [row for found in rows.values() for row in found]
        yield from context.parts(metric, None, "all", together)
    for number, (pair, found) in enumerate(rows.items()):
        # several directed comparisons are told by comparison: by category as well would be more than anybody reads
        kinds = ["all", *(["category"] if number == 0 and directed <= 1 else [])]
        for kind in metric.scopes:
            if kind in kinds:
                yield from context.parts(metric, pair, kind, found)
    # what a group's name does to any text that follows would be in every word's gap
    if "lexeme" in metric.scopes and (metric.reads == "centred" or probe_set.scored != "rest"):
        words = len({row.lexeme for found in rows.values() for row in found})
        told = rows if words * len(rows) <= MOST_WORDS else dict(list(rows.items())[:1])
        for pair, found in told.items():
            yield from context.parts(metric, pair, "lexeme", found, f"{metric.name} by word in {context.named}")


def _eligible(metric: Metric, rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if metric.needs is None or getattr(row, metric.needs)]


def _read(reads: str, gaps: Sequence[Row], probe_set: ProbeSet) -> list[Row]:
    if reads == "centred":
        return _centred_rows(gaps)
    return _covariate_rows(probe_set, gaps) if reads == "covariate" else list(gaps)


def by_item(scores: Sequence[Score], name: str) -> dict[str, dict[str, float | None]]:
    """Return the numbers of one name, by item and group."""
    values: dict[str, dict[str, float | None]] = {}
    for score in scores:
        if score.name == name:
            values.setdefault(score.item, {})[score.group] = score.value
    return values


def gap_rows(
    probe_set: ProbeSet,
    items: Sequence[Item],
    scores: Sequence[Score],
    name: str,
    between: Callable[[float, float], float] = operator.sub,
) -> dict[Pair, list[Row]]:
    """Return a row an item for each comparison: what lies between the two groups' numbers of one name."""
    values = by_item(scores, name)
    rows: dict[Pair, list[Row]] = {}
    for number, comparison in enumerate(probe_set.comparisons):
        pair = (comparison.first, comparison.second)
        for item in items:
            a, b = (values.get(item.id, {}).get(group) for group in pair)
            row = Row(
                template=item.template,
                lexeme=item.lexeme,
                category=item.category,
                group=comparison.first,
                direction=item.directions[number],
                valence=item.valence,
                value=None if a is None or b is None else between(a, b),
                covariate=item.covariate,
            )
            rows.setdefault(pair, []).append(row)
    return rows


def _flip_rows(probe_set: ProbeSet, items: Sequence[Item], scores: Sequence[Score]) -> dict[Pair, list[Row]]:
    """Return whether the choice differs between the two groups, 1 or 0, where choices were made."""
    if not any(score.name == CHOICE for score in scores):
        return {}
    return gap_rows(probe_set, items, scores, CHOICE, lambda a, b: float(a != b))


def _covariate_rows(probe_set: ProbeSet, gaps: Sequence[Row]) -> list[Row]:
    """Turn gaps towards the group whose figure the covariate is."""
    sign = 1 if probe_set.covariate_group == probe_set.comparisons[0].first else -1
    return [
        replace(row, value=None if row.value is None else sign * row.value) for row in gaps if row.covariate is not None
    ]


def _centred_rows(gaps: Sequence[Row]) -> list[Row]:
    """Take off each template's mean gap: what the sentence and the groups' words do by themselves.

    The means are those of all words that have an answer, so that leaving out a template moves no other template's.
    """
    known: dict[str, list[float]] = {}
    for row in gaps:
        if row.value is not None:
            known.setdefault(row.template, []).append(row.value)
    means = {template: math.fsum(values) / len(values) for template, values in known.items()}
    return [replace(row, value=None if row.value is None else row.value - means[row.template]) for row in gaps]


def _mass_row(score: Score) -> Row:
    return Row(
        template=score.template,
        lexeme=score.lexeme,
        category=score.category,
        group=score.group,
        direction=0,
        valence=0,
        value=score.value,
        covariate=None,
    )


def _scopes(kind: str, rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    """Return the rows of each scope of one kind; a kind with a single part would only repeat the whole."""
    if kind == "all":
        yield "all", list(rows)
        return
    parts: dict[str, list[Row]] = {}
    for row in rows:
        parts.setdefault(getattr(row, kind), []).append(row)
    if len(parts) > 1:
        for name, part in parts.items():
            yield f"{kind}:{name}", part


@dataclass(frozen=True, slots=True)
class _Context:
    """What all parts share that are made of numbers of one name.

    Attributes:
        label: of a classifier, which the numbers are about, or empty.
        unit: of the gaps.
    """

    probe_set: ProbeSet
    label: str
    unit: str

    @property
    def named(self) -> str:
        """The set, and the label that its numbers are about where there are several."""
        return f"{self.probe_set.name}:{self.label}" if self.label else self.probe_set.name

    def parts(
        self, metric: Metric, pair: Pair | None, kind: str, rows: Sequence[Row], family: str = ""
    ) -> Iterator[Part]:
        """Yield a metric in each scope of one kind."""
        for scope, part in _scopes(kind, rows):
            yield Part(
                metric=metric,
                comparison=pair,
                scope=scope,
                rows=tuple(part),
                family=family,
                neutral_why=_neutral_why(metric, part, self.unit),
                unit=self.unit if metric.unit == "nats" else "",
                label=self.label,
            )


def _neutral_why(metric: Metric, rows: Sequence[Row], unit: str) -> str:
    if unit == GAP_UNITS[COSINE] and metric.unit == "nats" and metric.reads == "gap":
        return NO_NEARNESS
    if unit == GAP_UNITS[PROBABILITY] and metric.unit == "nats" and metric.reads == "gap":
        return "with equal treatment a label would be as probable, whichever group is named"
    if metric.name != "stereotype_score":
        return metric.neutral_why
    if sum(row.direction for row in rows if row.value is not None):
        return metric.neutral_why + "; more items lean one way here, so a constant preference moves the score"
    return metric.neutral_why + "; as many items lean each way, so a constant preference scores 50 % too"
