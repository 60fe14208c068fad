"""From scores to estimates: every metric of a probe set in every scope, and the items with the largest gaps."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from fairprint.audit.bootstrap import Draws
from fairprint.audit.bounds import Bounds, of_mean
from fairprint.audit.choice_metrics import choice_parts
from fairprint.audit.continuation_metrics import continuation_parts
from fairprint.audit.findings import SecondOpinion
from fairprint.audit.gaps import by_item, gap_names, gap_parts, gap_rows
from fairprint.audit.labelled_metrics import GAP, labelled_parts
from fairprint.audit.metrics import Metric, Row
from fairprint.audit.multiplicity import corrected
from fairprint.audit.opinions import JACKKNIFE, opinions
from fairprint.audit.pair_metrics import pair_parts
from fairprint.audit.parts import Part
from fairprint.audit.records import Estimate, Extreme, ItemHighlight
from fairprint.audit.referent_metrics import referent_parts
from fairprint.audit.statistics import LEVEL, Factors, Interval
from fairprint.audit.triple_metrics import triple_parts
from fairprint.audit.utility_metrics import utility_parts
from fairprint.probes.forms import PAIR, PROMPT, QUESTION, REFERENT, SLOT, TEXT, TRIPLE, UNITS
from fairprint.probes.items import Item, ProbeSet
from fairprint.probes.labelled import IMAGES, TEXTS
from fairprint.probes.readers.bbq import DISAMBIGUATED
from fairprint.probes.scores import GAP_UNITS, LIKENESS, PROBABILITY, Score

PARTS: dict[str, Callable[[ProbeSet, Sequence[Item], Sequence[Score]], Iterator[Part]]] = {
    TEXTS: labelled_parts,
    IMAGES: labelled_parts,
    TRIPLE: triple_parts,
    QUESTION: choice_parts,
    REFERENT: referent_parts,
    PROMPT: continuation_parts,
    SLOT: continuation_parts,
}
"""For forms of probe sets with metrics of their own, what yields them; all others have gaps between groups."""
_BY_INSTRUMENT = {PAIR: pair_parts, TEXT: utility_parts}
"""The same for forms whose instruments differ in what is computed: in how two scores are compared, or in how much of a
text they score."""


MEANS_OF_GAPS = ("group_gap", "group_gap_centred", "signed_effect")
"""Metrics that are means of gaps, and so lie between the ends of a gap where it has some."""


def all_parts(
    probe_set: ProbeSet, items: Sequence[Item], scores: Sequence[Score], instrument: str = ""
) -> Iterator[Part]:
    """Yield all that is computed of the scores that one instrument gave to the items of a set."""
    if probe_set.scored in _BY_INSTRUMENT:
        return _BY_INSTRUMENT[probe_set.scored](probe_set, items, scores, instrument)
    return PARTS.get(probe_set.scored, gap_parts)(probe_set, items, scores)


def evaluate(
    probe_set: ProbeSet, items: Sequence[Item], scores: Sequence[Score], instrument: str, seed: int = 0
) -> list[Estimate]:
    """Compute every metric that has something to read, in every scope.

    Args:
        probe_set: the set the items are from.
        items: the items that were asked.
        scores: their scores.
        instrument: name of the instrument that gave them.
        seed: of the random draws of the second opinions.
    """
    return estimates_of(probe_set, instrument, all_parts(probe_set, items, scores, instrument), seed)


def estimates_of(probe_set: ProbeSet, instrument: str, parts: Iterable[Part], seed: int = 0) -> list[Estimate]:
    """Compute some parts, with their intervals and q-values: those that the tests here have by themselves."""
    draws = Draws(seed)
    return corrected([_estimate(probe_set, instrument, part, draws) for part in parts])


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


def _estimate(probe_set: ProbeSet, instrument: str, part: Part, draws: Draws) -> Estimate:
    metric, rows, unit = part.metric, part.rows, part.unit or part.metric.unit
    known = [row for row in rows if row.value is not None]
    factors = Factors.of([r.template for r in known], [r.lexeme for r in known], probe_set.random_factors)
    if known:
        # of each metric the estimate of the whole set has a second opinion
        asked = part.scope == "all" or (metric.skewed and not part.scope.startswith("lexeme:"))
        found, second, method = opinions(metric, known, factors, draws if asked else None)
    else:
        reason = "no item has an answer" if rows else part.reason or "there is no such item"
        found, second, method = Interval(value=None, reason=reason), None, JACKKNIFE.format(scale=metric.scale)
    bounds = part.bounds or _worst_cases(metric, rows, unit, found.value) or (None, None)
    return Estimate(
        metric=metric.name,
        metric_version=metric.version,
        probe_set=probe_set.name,
        instrument=f"{probe_set.name} / {instrument}" + (f":{part.label}" if part.label else ""),
        scope=part.scope,
        comparison=part.comparison,
        value=found.value,
        level=LEVEL,
        unit=unit,
        scale=metric.scale,
        neutral=metric.neutral,
        neutral_why=part.neutral_why or metric.neutral_why,
        p_value=found.p_value,
        q_value=None,
        family=part.family or None,
        items=len(known),
        missing=len(rows) - len(known),
        bound_low=bounds[0],
        bound_high=bounds[1],
        units=dict(found.units),
        design_effect=found.design_effect,
        detectable=found.detectable,
        standard_error=found.standard_error,
        standard_errors=dict(found.standard_errors),
        degrees_of_freedom=found.degrees_of_freedom,
        # without one template a single word rests on so few that the extremes say little
        extremes=()
        if part.scope.startswith("lexeme:")
        else tuple(Extreme(factor=f, unit=u, value=v) for f, u, v in found.extremes),
        estimand=estimand(factors, probe_set.scored),
        method=method,
        reason=found.reason,
        warnings=(*part.warnings, *found.warnings),
        **_cut(found, second, _ends(metric, unit)),
    )


def _worst_cases(metric: Metric, rows: Sequence[Row], unit: str, value: float | None) -> Bounds | None:
    missing = sum(row.value is None for row in rows)
    if value is None or not missing:
        return None
    least, most = (-1.0, 1.0) if unit == GAP_UNITS[PROBABILITY] else (0.0, 1.0)
    if metric.worst is not None:
        return metric.worst(rows, least, most) if metric.unit != "nats" or unit == GAP_UNITS[PROBABILITY] else None
    if metric.bounded or (metric.name in MEANS_OF_GAPS and unit == GAP_UNITS[PROBABILITY]):
        return of_mean(value, len(rows) - missing, missing, least, most)
    return None


def _ends(metric: Metric, unit: str) -> tuple[float, float]:
    """Return between what a number of a unit lies, where its scale does not see to it."""
    if metric.unit == GAP or (metric.name in MEANS_OF_GAPS and unit == GAP_UNITS[PROBABILITY]):
        return -1.0, 1.0
    return (0.0, 1.0) if metric.unit == "share" and metric.scale == "identity" else (-math.inf, math.inf)


def _cut(found: Interval, second: SecondOpinion | None, ends: tuple[float, float]) -> dict[str, Any]:
    """Cut intervals to the values that the number can have, such as a difference of two shares."""

    def inside(value: float | None) -> float | None:
        return None if value is None else min(max(value, ends[0]), ends[1])

    if second is not None:
        second = second.model_copy(update={"low": inside(second.low), "high": inside(second.high)})
    return {"low": inside(found.low), "high": inside(found.high), "second_opinion": second}


def estimand(factors: Factors, scored: str) -> str:
    """Return what an interval speaks of, in words: units that were drawn, and those that were not."""
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
