"""From scores to estimates: every metric in every scope, and the items with the largest gaps."""

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from fairprint.audit.labelled_metrics import GAP, labelled_parts
from fairprint.audit.metrics import METRICS, NO_NEARNESS, Metric, Row
from fairprint.audit.parts import Part
from fairprint.audit.records import Estimate, Extreme, ItemHighlight
from fairprint.audit.statistics import LEVEL, Factors, Interval, benjamini_hochberg, interval, jackknife
from fairprint.probes.items import Item, ProbeSet
from fairprint.probes.labelled import IMAGES, TEXTS
from fairprint.probes.scores import CHOICE, COSINE, GAP_UNITS, MASS, PROBABILITY, Score

Pair = tuple[str, str]
"""Ids of two compared groups; gaps are first minus second."""


MOST_WORDS = 100
"""Words times comparisons of a set up to which every comparison is reported word by word; beyond, the first alone."""


def evaluate(probe_set: ProbeSet, items: Sequence[Item], scores: Sequence[Score], instrument: str) -> list[Estimate]:
    """Compute every metric that has something to read, in every scope.

    Args:
        probe_set: the set the items are from.
        items: the items that were asked.
        scores: their scores.
        instrument: name of the instrument that gave them.
    """
    if probe_set.scored in PARTS:
        parts = PARTS[probe_set.scored](probe_set, items, scores)
        return _Context(probe_set, instrument, "").parts(parts)
    estimates: list[Estimate] = []
    names = _gap_names(scores)
    for name in names:
        base, _, label = name.partition(":")
        context = _Context(probe_set, f"{instrument}:{label}" if label else instrument, GAP_UNITS[base])
        gaps = _gap_rows(probe_set, items, scores, name)
        for metric in METRICS:
            if metric.reads in ("gap", "centred", "covariate") and (metric.of is None or base in metric.of):
                estimates += _of_gaps(metric, context, gaps)
    # a flip of two labels is a flip of the one whose probability stands for both
    label = names[0].partition(":")[2] if len(names) == 1 else ""
    context = _Context(probe_set, f"{instrument}:{label}" if label else instrument, "")
    masses = [_mass_row(score) for score in scores if score.name == MASS]
    flips = _flip_rows(probe_set, items, scores)
    for metric in METRICS:
        if metric.reads == "mass" and masses:
            for kind in metric.scopes:
                estimates += context.estimates(metric, None, kind, masses)
        if metric.reads == "flips" and flips:
            estimates += _of_gaps(metric, context, flips)
    return estimates


PARTS: dict[str, Callable[[ProbeSet, Sequence[Item], Sequence[Score]], Iterator[Part]]] = {
    TEXTS: labelled_parts,
    IMAGES: labelled_parts,
}
"""For forms of probe sets with metrics of their own, what yields them; all others have gaps between groups."""


def _gap_names(scores: Sequence[Score]) -> list[str]:
    return [name for name in dict.fromkeys(s.name for s in scores) if name.partition(":")[0] in GAP_UNITS]


def _of_gaps(metric: Metric, context: "_Context", gaps: Mapping[Pair, Sequence[Row]]) -> list[Estimate]:
    """Compute one metric for each comparison, and for all directed ones together where that has a meaning."""
    probe_set = context.probe_set
    directed = sum(any(row.direction for row in found) for found in gaps.values())
    # a published figure speaks of the first comparison, and says nothing of a further group
    read = dict(list(gaps.items())[:1]) if metric.reads == "covariate" else gaps
    rows = {pair: _eligible(metric, _read(metric.reads, found, probe_set)) for pair, found in read.items()}
    rows = {pair: found for pair, found in rows.items() if found}
    estimates: list[Estimate] = []
    if metric.pooled and len(rows) > 1:
        together = [row for found in rows.values() for row in found]
        estimates += context.estimates(metric, None, "all", together)
    for number, (pair, found) in enumerate(rows.items()):
        # several directed comparisons are told by comparison: by category as well would be more than anybody reads
        kinds = ["all", *(["category"] if number == 0 and directed <= 1 else [])]
        for kind in metric.scopes:
            if kind in kinds:
                estimates += context.estimates(metric, pair, kind, found)
    # what a group's name does to any text that follows would be in every word's gap
    if "lexeme" in metric.scopes and (metric.reads == "centred" or probe_set.scored != "rest"):
        words = len({row.lexeme for found in rows.values() for row in found})
        told = rows if words * len(rows) <= MOST_WORDS else dict(list(rows.items())[:1])
        by_word = [e for pair, found in told.items() for e in context.estimates(metric, pair, "lexeme", found)]
        estimates += _adjusted(by_word, f"{metric.name} by word in {context.label}")
    return estimates


def _eligible(metric: Metric, rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if metric.needs is None or getattr(row, metric.needs)]


def _read(reads: str, gaps: Sequence[Row], probe_set: ProbeSet) -> list[Row]:
    if reads == "centred":
        return _centred_rows(gaps)
    return _covariate_rows(probe_set, gaps) if reads == "covariate" else list(gaps)


def highlights(
    probe_set: ProbeSet, items: Sequence[Item], scores: Sequence[Score], count: int = 12
) -> list[ItemHighlight]:
    """Return the items with the largest gaps: towards the stereotype where directions are claimed, else either way."""
    name = next(iter(_gap_names(scores)), None)
    if name is None:
        return []
    values = _by_item(scores, name)
    directed = any(any(item.directions) for item in items)
    found = []
    for number, (pair, rows) in enumerate(_gap_rows(probe_set, items, scores, name).items()):
        for item, row in zip(items, rows, strict=True):
            size = None if row.value is None else row.value * row.direction if directed else abs(row.value)
            if size is not None and (row.direction or not directed):
                found.append((-size, item.id, number, item, pair, row))
    return [
        ItemHighlight(
            probe_set=probe_set.name,
            item=item.id,
            comparison=pair,
            text={variant.group: variant.text for variant in item.variants if variant.group in pair},
            logprob={group: value for group in pair if (value := values[item.id].get(group)) is not None},
            stereotyped={1: pair[0], -1: pair[1]}.get(row.direction),
            gap=row.value or 0.0,
            unit=_unit_of(name),
        )
        for _, _, _, item, pair, row in sorted(found, key=lambda entry: entry[:3])[:count]
    ]


def _unit_of(name: str) -> str:
    base, _, label = name.partition(":")
    return f"{GAP_UNITS[base]} of '{label}'" if label else GAP_UNITS[base]


def _by_item(scores: Sequence[Score], name: str) -> dict[str, dict[str, float | None]]:
    values: dict[str, dict[str, float | None]] = {}
    for score in scores:
        if score.name == name:
            values.setdefault(score.item, {})[score.group] = score.value
    return values


def _gap_rows(
    probe_set: ProbeSet,
    items: Sequence[Item],
    scores: Sequence[Score],
    name: str,
    between: Callable[[float, float], float] = operator.sub,
) -> dict[Pair, list[Row]]:
    """Return a row an item for each comparison: what lies between the two groups' numbers of one name."""
    values = _by_item(scores, name)
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
    return _gap_rows(probe_set, items, scores, CHOICE, lambda a, b: float(a != b))


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
    """What all estimates of one instrument on one probe set share."""

    probe_set: ProbeSet
    instrument: str
    unit: str

    @property
    def label(self) -> str:
        """The set, and the label that its numbers are about where there are several."""
        label = self.instrument.partition(":")[2]
        return f"{self.probe_set.name}:{label}" if label else self.probe_set.name

    def estimates(self, metric: Metric, pair: Pair | None, kind: str, rows: Sequence[Row]) -> list[Estimate]:
        """Compute a metric in each scope of one kind."""
        return [self._estimate(metric, pair, scope, part) for scope, part in _scopes(kind, rows)]

    def parts(self, parts: Iterable[Part]) -> list[Estimate]:
        """Compute the metrics of a form that has its own."""
        families: dict[str, list[Estimate]] = {}
        for part in parts:
            found = self._estimate(part.metric, part.comparison, part.scope, part.rows)
            told = {"neutral_why": part.neutral_why, "unit": part.unit}
            found = found.model_copy(update={key: value for key, value in told.items() if value})
            families.setdefault(part.family, []).append(found)
        return [e for name, found in families.items() for e in (_adjusted(found, name) if name else found)]

    def _estimate(self, metric: Metric, pair: Pair | None, scope: str, rows: Sequence[Row]) -> Estimate:
        known = [row for row in rows if row.value is not None]
        missing = len(rows) - len(known)
        factors = Factors.of([r.template for r in known], [r.lexeme for r in known], self.probe_set.random_factors)
        if known:
            replicates = jackknife(metric.form(known, factors), factors)
            found = interval(replicates, factors, scale=metric.scale, neutral=metric.neutral, items=len(known))
        else:
            found = Interval(value=None, reason="no item has an answer")
        if metric.unit == GAP or (metric.name == "group_gap" and self.unit == GAP_UNITS[PROBABILITY]):
            found = _of_shares(found)
        bounds: tuple[float | None, float | None] = (None, None)
        if metric.bounded and missing and found.value is not None:
            bounds = (found.value * len(known) / len(rows), (found.value * len(known) + missing) / len(rows))
        return Estimate(
            metric=metric.name,
            metric_version=metric.version,
            probe_set=self.probe_set.name,
            instrument=f"{self.probe_set.name} / {self.instrument}",
            scope=scope,
            comparison=pair,
            value=found.value,
            low=found.low,
            high=found.high,
            level=LEVEL,
            unit=self.unit if metric.unit == "nats" else metric.unit,
            scale=metric.scale,
            neutral=metric.neutral,
            neutral_why=_neutral_why(metric, known, self.unit),
            p_value=found.p_value,
            q_value=None,
            family=None,
            items=len(known),
            missing=missing,
            bound_low=bounds[0],
            bound_high=bounds[1],
            units=dict(found.units),
            design_effect=found.design_effect,
            detectable=found.detectable if found.detectable is None or math.isfinite(found.detectable) else None,
            standard_error=found.standard_error,
            degrees_of_freedom=found.degrees_of_freedom,
            # without one template a single word rests on so few that the extremes say little
            extremes=()
            if scope.startswith("lexeme:")
            else tuple(Extreme(factor=f, unit=u, value=v) for f, u, v in found.extremes),
            estimand=_estimand(factors, self.probe_set.scored),
            method=f"delete-one-unit jackknife, t quantile, {metric.scale} scale",
            reason=found.reason,
            warnings=found.warnings,
        )


def _of_shares(found: Interval) -> Interval:
    """Cut the interval of a difference of two shares to the values that such a difference can have."""
    if found.low is None or found.high is None:
        return found
    return replace(found, low=max(found.low, -1.0), high=min(found.high, 1.0))


def _neutral_why(metric: Metric, rows: Sequence[Row], unit: str) -> str:
    if unit == GAP_UNITS[COSINE] and metric.unit == "nats" and metric.reads == "gap":
        return NO_NEARNESS
    if unit == GAP_UNITS[PROBABILITY] and metric.unit == "nats" and metric.reads == "gap":
        return "with equal treatment a label would be as probable, whichever group is named"
    if metric.name != "stereotype_score":
        return metric.neutral_why
    if sum(row.direction for row in rows):
        return metric.neutral_why + "; more items lean one way here, so a constant preference moves the score"
    return metric.neutral_why + "; as many items lean each way, so a constant preference scores 50 % too"


def _estimand(factors: Factors, scored: str) -> str:
    told = {"template": "templates", "lexeme": "words"}
    if scored in (TEXTS, IMAGES):
        return "other sources like these" if factors.random else "these items only"
    random = " and ".join(told[factor] for factor in factors.random)
    fixed = " and ".join(word for factor, word in told.items() if factor not in factors.random)
    if not random:
        return "these items only"
    return f"other {random} like these" + (f"; {fixed} held fixed" if fixed else "")


def _adjusted(estimates: Sequence[Estimate], family: str) -> list[Estimate]:
    q_values = benjamini_hochberg([estimate.p_value for estimate in estimates])
    return [
        estimate.model_copy(update={"q_value": q, "family": family if q is not None else None})
        for estimate, q in zip(estimates, q_values, strict=True)
    ]
