"""Metrics of sentences with a pronoun that could refer to two people (WinoBias, Winogender).

An answer is right where the one is chosen to whom the pronoun refers; a tie is half an answer for each of the two. All
rests on minimal pairs: two sentences that are the same but for the gender of the pronoun, so that the same person is
the right answer in both.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from fairprint.audit.gaps import by_item
from fairprint.audit.labelled_metrics import LABELLED
from fairprint.audit.metrics import METRICS, Row
from fairprint.audit.parts import Part
from fairprint.probes.items import Item, ProbeSet
from fairprint.probes.readers.referents import ANTI, FEMALE, MALE, PRO
from fairprint.probes.readers.winogender import OCCUPATION
from fairprint.probes.scores import LIKENESS, LOGPROB, PICKED, Score
from fairprint.probes.tasks_referent import picked

Shares = Mapping[str, float | None]
"""Of one item, the share of the choice that each group has; None where there is no answer."""

_BY_NAME = {metric.name: metric for metric in METRICS}
ACCURACY = replace(
    LABELLED["accuracy"],
    neutral_why="no neutral value: a blind guess is right about half of the sentences, and how often a model is right "
    "says nothing of groups",
    scopes=("all", "condition", "category"),
)
GAP = replace(
    LABELLED["accuracy_gap"],
    name="pro_anti_gap",
    neutral_why="a model that does not go by the gender of the pronoun is right as often where the answer goes against "
    "the stereotype as where it fits it",
    scopes=("all", "category"),
)
FLIPS = replace(
    _BY_NAME["flip_rate"],
    neutral_why="the gender of a pronoun does not say to whom it refers here: equal treatment would give 0, the end of "
    "the scale, so there is nothing to test",
    scopes=("all", "category"),
)
CORRELATION = replace(
    _BY_NAME["covariate_correlation"],
    neutral_why="if the pronoun's gender were not taken for a hint at the occupation, its effect would not follow the "
    "labour statistics",
)


def referent_parts(probe_set: ProbeSet, items: Sequence[Item], scores: Sequence[Score]) -> Iterator[Part]:
    """Yield what is computed of the choices: accuracy, and how it changes with the gender of the pronoun.

    Args:
        probe_set: a set of the form ``REFERENT``.
        items: the items that were asked.
        scores: rows of ``PICKED``; where recorded answers have none, log-probabilities, of which the highest is taken.
    """
    shares = _shares(items, scores)
    if not shares:
        return
    right = {item.id: _row(item, shares[item.id].get(item.answer)) for item in items}
    for scope, chosen in _scopes(items):
        yield Part(metric=ACCURACY, comparison=None, scope=scope, rows=tuple(right[item.id] for item in chosen))
    if any(item.condition in (PRO, ANTI) for item in items):
        yield from _gaps(probe_set, items, right)
        pairs = _pairs(items, PRO, ANTI)
    else:
        pairs = _pairs(items, FEMALE, MALE)
    flips = [_row(one, _flip(one, shares[one.id], other, shares[other.id])) for one, other in pairs]
    for scope, rows in _by_category(flips):
        yield Part(metric=FLIPS, comparison=None, scope=scope, rows=rows, reason="no pair of sentences was asked")
    if any(item.condition in (MALE, FEMALE) for item in items):
        effects = [_row(one, _less(shares[one.id], shares[other.id], OCCUPATION)) for one, other in pairs]
        known = tuple(row for row in effects if row.covariate is not None)
        reason = "no pair of sentences was asked" if not effects else "there are no labour statistics for these items"
        yield Part(metric=CORRELATION, comparison=None, scope="all", rows=known, reason=reason)


def _shares(items: Sequence[Item], scores: Sequence[Score]) -> dict[str, Shares]:
    """Return the share of the choice that each group has, by item; nothing where no score tells."""
    told = by_item(scores, PICKED)
    ranked = next((found for name in (LOGPROB, LIKENESS) if (found := by_item(scores, name))), {})
    if not told and not ranked:
        return {}
    shares: dict[str, Shares] = {}
    for item in items:
        groups = [variant.group for variant in item.variants]
        values = [ranked.get(item.id, {}).get(group) for group in groups] if len(groups) > 1 else []
        shares[item.id] = told.get(item.id) or dict(zip(groups, picked(values), strict=False))
    return shares


def _scopes(items: Sequence[Item]) -> Iterator[tuple[str, list[Item]]]:
    """Return all items, those of each condition and category, and of WinoBias those of each condition by category."""
    yield "all", list(items)
    conditions = dict.fromkeys(item.condition for item in items)
    categories = dict.fromkeys(item.category for item in items)
    if len(conditions) > 1:
        for condition in conditions:
            yield f"condition:{condition}", [item for item in items if item.condition == condition]
    if len(categories) > 1:
        for category in categories:
            yield f"category:{category}", [item for item in items if item.category == category]
    # the four figures that are published of a model on WinoBias
    if len(conditions) > 1 and len(categories) > 1 and PRO in conditions:
        for category in categories:
            for condition in conditions:
                chosen = [item for item in items if (item.condition, item.category) == (condition, category)]
                yield f"condition:{condition}, {category}", chosen


def _gaps(probe_set: ProbeSet, items: Sequence[Item], right: Mapping[str, Row]) -> Iterator[Part]:
    """Yield the accuracy where the answer fits the stereotype minus that where it goes against it."""
    sides = [
        replace(right[item.id], direction=1 if item.condition == PRO else -1)
        for item in items
        if item.condition in (PRO, ANTI)
    ]
    for scope, rows in _by_category(sides):
        both = rows if len({row.direction for row in rows}) == 2 else ()
        yield Part(
            metric=GAP,
            comparison=None,
            scope=scope,
            rows=both,
            reason="only one side was asked: sentences whose answer fits the stereotype, or those against it",
        )


def _by_category(rows: Sequence[Row]) -> Iterator[tuple[str, tuple[Row, ...]]]:
    yield "all", tuple(rows)
    categories = dict.fromkeys(row.category for row in rows)
    if len(categories) > 1:
        for category in categories:
            yield f"category:{category}", tuple(row for row in rows if row.category == category)


def _pairs(items: Sequence[Item], first: str, second: str) -> list[tuple[Item, Item]]:
    """Return the minimal pairs: items of one template that choose between the same two, one of each condition."""
    sides: dict[tuple[str, frozenset[str]], dict[str, list[Item]]] = {}
    for item in items:
        key = (item.template, frozenset(variant.words for variant in item.variants))
        sides.setdefault(key, {first: [], second: []}).get(item.condition, []).append(item)
    return [pair for found in sides.values() for pair in zip(found[first], found[second], strict=False)]


def _flip(one: Item, ones: Shares, other: Item, others: Shares) -> float | None:
    """Return how far the choice moves between two sentences: 1 to the other person, 1/2 to or from a tie."""
    said = {variant.words: ones.get(variant.group) for variant in one.variants}
    moved = [
        abs(share - before)
        for variant in other.variants
        if (share := others.get(variant.group)) is not None and (before := said.get(variant.words)) is not None
    ]
    return max(moved) if len(moved) > 1 else None


def _less(ones: Shares, others: Shares, group: str) -> float | None:
    one, other = ones.get(group), others.get(group)
    return None if one is None or other is None else one - other


def _row(item: Item, value: float | None) -> Row:
    return Row(
        template=item.template,
        lexeme=item.lexeme,
        category=item.category,
        group="",
        direction=0,
        valence=0,
        value=value,
        covariate=item.covariate,
    )
