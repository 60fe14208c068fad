"""From scores to estimates: every metric of a probe set in every scope, and the items with the largest gaps."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from fairprint.audit.choice_metrics import choice_parts
from fairprint.audit.continuation_metrics import continuation_parts
from fairprint.audit.gaps import by_item, gap_names, gap_parts, gap_rows
from fairprint.audit.labelled_metrics import GAP, labelled_parts
from fairprint.audit.pair_metrics import pair_parts
from fairprint.audit.parts import Part
from fairprint.audit.records import Estimate, Extreme, ItemHighlight
from fairprint.audit.referent_metrics import referent_parts
from fairprint.audit.statistics import LEVEL, Factors, Interval, benjamini_hochberg, interval, jackknife
from fairprint.audit.triple_metrics import triple_parts
from fairprint.probes.forms import PAIR, PROMPT, QUESTION, REFERENT, SLOT, TRIPLE, UNITS
from fairprint.probes.items import Item, ProbeSet
from fairprint.probes.labelled import IMAGES, TEXTS
from fairprint.probes.readers.bbq import DISAMBIGUATED
from fairprint.probes.scores import GAP_UNITS, LIKENESS, PROBABILITY, Score

PARTS: dict[str, Callable[[ProbeSet, Sequence[Item], Sequence[Score]], Iterator[Part]]] = {
    TEXTS: labelled_parts,
    IMAGES: labelled_parts,
    PAIR: pair_parts,
    TRIPLE: triple_parts,
    QUESTION: choice_parts,
    REFERENT: referent_parts,
    PROMPT: continuation_parts,
    SLOT: continuation_parts,
}
"""For forms of probe sets with metrics of their own, what yields them; all others have gaps between groups."""


def all_parts(
    probe_set: ProbeSet, items: Sequence[Item], scores: Sequence[Score], instrument: str = ""
) -> Iterator[Part]:
    """Yield all that is computed of the scores that one instrument gave to the items of a set."""
    if probe_set.scored == PAIR:
        # the codes that its instruments are after differ in how they compare two scores
        return pair_parts(probe_set, items, scores, instrument)
    return PARTS.get(probe_set.scored, gap_parts)(probe_set, items, scores)


def evaluate(probe_set: ProbeSet, items: Sequence[Item], scores: Sequence[Score], instrument: str) -> list[Estimate]:
    """Compute every metric that has something to read, in every scope.

    Args:
        probe_set: the set the items are from.
        items: the items that were asked.
        scores: their scores.
        instrument: name of the instrument that gave them.
    """
    return estimates_of(probe_set, instrument, all_parts(probe_set, items, scores, instrument))


def estimates_of(probe_set: ProbeSet, instrument: str, parts: Iterable[Part]) -> list[Estimate]:
    """Compute some parts, with their intervals, and correct the tests of each family together."""
    families: dict[str, list[int]] = {}
    estimates: list[Estimate] = []
    for part in parts:
        families.setdefault(part.family, []).append(len(estimates))
        estimates.append(_estimate(probe_set, instrument, part))
    for family, members in families.items():
        q_values = benjamini_hochberg([estimates[n].p_value for n in members]) if family else ()
        for n, q in zip(members, q_values, strict=False):
            told = {"q_value": q, "family": family if q is not None else None}
            estimates[n] = estimates[n].model_copy(update=told)
    return estimates


def highlights(
    probe_set: ProbeSet, items: Sequence[Item], scores: Sequence[Score], count: int = 12
) -> list[ItemHighlight]:
    """Return the items with the largest gaps: towards the stereotype where directions are claimed, else either way."""
    likenesses = (score.name for score in scores if score.name == LIKENESS)
    name = next(iter(gap_names(scores)), None) or next(likenesses, None)
    if name is None:
        return []
    values = by_item(scores, name)
    # where the text answers a question, a large gap may be no more than the right answer
    items = [item for item in items if item.condition != DISAMBIGUATED]
    directed = any(any(item.directions) for item in items)
    found = []
    for number, (pair, rows) in enumerate(gap_rows(probe_set, items, scores, name).items()):
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
    return f"{GAP_UNITS[base]} of '{label}'" if label else GAP_UNITS.get(base, "score")


def _estimate(probe_set: ProbeSet, instrument: str, part: Part) -> Estimate:
    metric, rows, unit = part.metric, part.rows, part.unit or part.metric.unit
    known = [row for row in rows if row.value is not None]
    missing = len(rows) - len(known)
    factors = Factors.of([r.template for r in known], [r.lexeme for r in known], probe_set.random_factors)
    if known:
        replicates = jackknife(metric.form(known, factors), factors)
        found = interval(replicates, factors, scale=metric.scale, neutral=metric.neutral, items=len(known))
    else:
        found = Interval(value=None, reason="no item has an answer" if rows else part.reason or "there is no such item")
    if metric.unit == GAP or (metric.name == "group_gap" and unit == GAP_UNITS[PROBABILITY]):
        found = _cut(found, -1.0, 1.0)
    elif metric.unit == "share" and metric.scale == "identity":
        found = _cut(found, 0.0, 1.0)
    bounds: tuple[float | None, float | None] = part.bounds or (None, None)
    if metric.bounded and missing and found.value is not None:
        bounds = (found.value * len(known) / len(rows), (found.value * len(known) + missing) / len(rows))
    return Estimate(
        metric=metric.name,
        metric_version=metric.version,
        probe_set=probe_set.name,
        instrument=f"{probe_set.name} / {instrument}" + (f":{part.label}" if part.label else ""),
        scope=part.scope,
        comparison=part.comparison,
        value=found.value,
        low=found.low,
        high=found.high,
        level=LEVEL,
        unit=unit,
        scale=metric.scale,
        neutral=metric.neutral,
        neutral_why=part.neutral_why or metric.neutral_why,
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
        if part.scope.startswith("lexeme:")
        else tuple(Extreme(factor=f, unit=u, value=v) for f, u, v in found.extremes),
        estimand=_estimand(factors, probe_set.scored),
        method=f"delete-one-unit jackknife, t quantile, {metric.scale} scale",
        reason=found.reason,
        warnings=(*part.warnings, *found.warnings),
    )


def _cut(found: Interval, least: float, most: float) -> Interval:
    """Cut an interval to the values that the number can have, such as a difference of two shares."""
    if found.low is None or found.high is None:
        return found
    return replace(found, low=max(found.low, least), high=min(found.high, most))


def _estimand(factors: Factors, scored: str) -> str:
    if scored in (TEXTS, IMAGES):
        return "other sources like these" if factors.random else "these items only"
    told = {factor: f"{UNITS.get(scored, {}).get(factor, name)}s" for factor, name in _UNITS.items()}
    random = " and ".join(told[factor] for factor in factors.random)
    # an empty id says that nothing of the kind is told apart, and what each unit has of its own comes with it
    cells = len(set(zip(factors.template.tolist(), factors.lexeme.tolist(), strict=True)))
    own = [f for f in told if f not in factors.random and any(factors.names[f]) and len(factors.names[f]) < cells]
    fixed = " and ".join(told[factor] for factor in own)
    if not random:
        return "these items only"
    return f"other {random} like these" + (f"; {fixed} held fixed" if fixed else "")


_UNITS = {"template": "template", "lexeme": "word"}
"""What a unit of a random factor is called in sets of our own."""
