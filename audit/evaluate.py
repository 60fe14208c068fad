"""From scores to estimates: every metric in every scope, and the items with the largest gaps."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from fairprint.audit.metrics import METRICS, Metric, Row
from fairprint.audit.records import Estimate, Extreme, ItemHighlight
from fairprint.audit.statistics import LEVEL, Factors, Interval, benjamini_hochberg, interval
from fairprint.probes.items import Item, ProbeSet
from fairprint.probes.scores import LOGPROB, MASS, Score


def evaluate(probe_set: ProbeSet, items: Sequence[Item], scores: Sequence[Score], instrument: str) -> list[Estimate]:
    """Compute every metric that has something to read, in every scope.

    Args:
        probe_set: the set the items are from.
        items: the items that were asked.
        scores: their scores.
        instrument: name of the instrument that gave them.
    """
    gaps = _gap_rows(probe_set, items, scores)
    rows = {
        "gap": gaps,
        "mass": [_mass_row(score) for score in scores if score.name == MASS],
        "covariate": _covariate_rows(probe_set, gaps),
        "centred": _centred_rows(gaps),
    }
    estimates: list[Estimate] = []
    for metric in METRICS:
        eligible = [row for row in rows[metric.reads] if row.direction or not metric.directed]
        for kind in metric.scopes if eligible else ():
            found = [_estimate(metric, probe_set, instrument, scope, part) for scope, part in _scopes(kind, eligible)]
            estimates += _adjusted(found, f"{metric.name} by word in {probe_set.name}") if kind == "lexeme" else found
    return estimates


def highlights(
    probe_set: ProbeSet, items: Sequence[Item], scores: Sequence[Score], count: int = 12
) -> list[ItemHighlight]:
    """Return the items with the largest gaps: towards the stereotype where directions are claimed, else either way."""
    values = _by_item(scores)
    first, second = (group.id for group in probe_set.groups[:2])
    found = []
    for item, row in zip(items, _gap_rows(probe_set, items, scores), strict=True):
        if row.value is None:
            continue
        size = row.value * row.direction if item.stereotyped else abs(row.value)
        if item.stereotyped or not any(other.stereotyped for other in items):
            found.append((-size, item.id, item, row.value))
    return [
        ItemHighlight(
            probe_set=probe_set.name,
            item=item.id,
            text={variant.group: variant.text for variant in item.variants},
            logprob={group: value for group in (first, second) if (value := values[item.id].get(group)) is not None},
            stereotyped=item.stereotyped,
            gap=gap,
        )
        for _, _, item, gap in sorted(found, key=lambda entry: entry[:2])[:count]
    ]


def _by_item(scores: Sequence[Score]) -> dict[str, dict[str, float | None]]:
    values: dict[str, dict[str, float | None]] = {}
    for score in scores:
        if score.name == LOGPROB:
            values.setdefault(score.item, {})[score.group] = score.value
    return values


def _gap_rows(probe_set: ProbeSet, items: Sequence[Item], scores: Sequence[Score]) -> list[Row]:
    values = _by_item(scores)
    first, second = (group.id for group in probe_set.groups[:2])
    rows = []
    for item in items:
        a, b = values.get(item.id, {}).get(first), values.get(item.id, {}).get(second)
        rows.append(
            Row(
                template=item.template,
                lexeme=item.lexeme,
                category=item.category,
                group="",
                direction={first: 1, second: -1}.get(item.stereotyped or "", 0),
                value=None if a is None or b is None else a - b,
                covariate=item.covariate,
            )
        )
    return rows


def _covariate_rows(probe_set: ProbeSet, gaps: Sequence[Row]) -> list[Row]:
    """Turn gaps towards the group whose figure the covariate is."""
    sign = 1 if probe_set.covariate_group == probe_set.groups[0].id else -1
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


def _estimate(metric: Metric, probe_set: ProbeSet, instrument: str, scope: str, rows: Sequence[Row]) -> Estimate:
    known = [row for row in rows if row.value is not None]
    missing = len(rows) - len(known)
    factors = Factors.of([r.template for r in known], [r.lexeme for r in known], probe_set.random_factors)
    if known:
        replicates = metric.replicates(known, factors)
        found = interval(replicates, factors, scale=metric.scale, neutral=metric.neutral, items=len(known))
    else:
        found = Interval(value=None, reason="no item has an answer")
    bounds: tuple[float | None, float | None] = (None, None)
    if metric.bounded and missing and found.value is not None:
        bounds = (found.value * len(known) / len(rows), (found.value * len(known) + missing) / len(rows))
    return Estimate(
        metric=metric.name,
        metric_version=metric.version,
        probe_set=probe_set.name,
        instrument=f"{probe_set.name} / {instrument}",
        scope=scope,
        value=found.value,
        low=found.low,
        high=found.high,
        level=LEVEL,
        unit=metric.unit,
        scale=metric.scale,
        neutral=metric.neutral,
        neutral_why=_neutral_why(metric, known),
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
        extremes=tuple(Extreme(factor=f, unit=u, value=v) for f, u, v in found.extremes),
        estimand=_estimand(factors),
        method=f"delete-one-unit jackknife, t quantile, {metric.scale} scale",
        reason=found.reason,
        warnings=found.warnings,
    )


def _neutral_why(metric: Metric, rows: Sequence[Row]) -> str:
    if metric.name != "stereotype_score":
        return metric.neutral_why
    if sum(row.direction for row in rows):
        return metric.neutral_why + "; more items lean one way here, so a constant preference moves the score"
    return metric.neutral_why + "; as many items lean each way, so a constant preference scores 50 % too"


def _estimand(factors: Factors) -> str:
    told = {"template": "templates", "lexeme": "words"}
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
