"""Metrics: what the scores of a probe set say, each a row of one table.

A gap is log P(first group) - log P(second group) of one item, in nats. A metric is per-item columns, summed by unit,
and a combine; metrics that no sums can give (centring inside a template) take item weights instead.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fairprint.audit.records import Estimate, Extreme, ItemHighlight
from fairprint.audit.statistics import (
    LEVEL,
    Array,
    Factors,
    Interval,
    benjamini_hochberg,
    interval,
    jackknife_sums,
    jackknife_weights,
)
from fairprint.probes.items import Item, ProbeSet
from fairprint.probes.scores import LOGPROB, MASS, Score

_ROUNDING = 1e-20
TIE = 1e-6
"""Gaps of less than this many nats are ties: float32 cannot tell them apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One item as metrics see it.

    Attributes:
        direction: +1 where the stereotype expects the first group, -1 the second, 0 where no direction is claimed.
        value: the gap, or the mass of a frame; None where an answer is missing.
        covariate: the published figure of the lexeme, or None.
    """

    template: str
    lexeme: str
    category: str
    group: str
    direction: int
    value: float | None
    covariate: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric: which rows it reads, what it sums, and how the sums become a value.

    Attributes:
        reads: which rows: ``gap``, ``centred`` gaps, ``covariate`` or ``mass``.
        directed: whether only items with a stereotyped direction count.
        replicates: estimate and leave-one-out replicates of rows without missing values.
        scopes: ``all``, ``category``, ``lexeme``, ``group``.
        bounded: whether values lie between 0 and 1, so that missing answers have worst cases.
    """

    name: str
    version: int
    reads: str
    directed: bool
    unit: str
    scale: str
    neutral: float | None
    neutral_why: str
    replicates: Callable[[Sequence[Row], Factors], dict[str, Array]]
    scopes: tuple[str, ...]
    bounded: bool


def _values(rows: Sequence[Row]) -> Array:
    return np.array([row.value for row in rows], dtype=np.float64)


def _towards_stereotype(rows: Sequence[Row]) -> Array:
    return _values(rows) * np.array([row.direction for row in rows], dtype=np.float64)


def _wins(gaps: Array) -> Array:
    """1 where the stereotyped group is preferred, 1/2 for a tie, else 0."""
    return np.where(np.abs(gaps) < TIE, 0.5, (gaps > 0).astype(np.float64))


def _ratio(sums: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums[:, 0, 0] / sums[:, 0, 1])


def _mean(of: Callable[[Sequence[Row]], Array]) -> Callable[[Sequence[Row], Factors], dict[str, Array]]:
    def replicates(rows: Sequence[Row], factors: Factors) -> dict[str, Array]:
        values = of(rows)
        return jackknife_sums(np.stack([values, np.ones_like(values)], axis=1), factors, _ratio)

    return replicates


def _centred_score(rows: Sequence[Row], factors: Factors) -> dict[str, Array]:
    """Score gaps minus their template's mean gap; the mean moves with every unit that is left out."""
    gaps = _values(rows)
    directions = np.array([row.direction for row in rows], dtype=np.float64)
    member = np.zeros((len(rows), len(factors.names["template"])))
    member[np.arange(len(rows)), factors.template] = 1.0

    def estimator(weights: Array) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            means = ((weights * gaps) @ member) / (weights @ member)
            centred = (gaps - np.nan_to_num(means)[:, factors.template]) * directions
            return np.asarray((weights * _wins(centred)).sum(axis=1) / weights.sum(axis=1))

    return jackknife_weights(factors, estimator)


def _standardised_effect(rows: Sequence[Row], factors: Factors) -> dict[str, Array]:
    gaps = _towards_stereotype(rows)
    middle = float(np.median(gaps))
    moved = gaps - middle  # squares of gaps far from 0 would drown their variance

    def combine(sums: Array) -> Array:
        total, squares, count = sums[:, 0, 0], sums[:, 0, 1], sums[:, 0, 2]
        with np.errstate(invalid="ignore", divide="ignore"):
            variance = (squares - total**2 / count) / (count - 1)
            varies = variance > _ROUNDING * squares / count
            return np.where(varies, (middle + total / count) / np.sqrt(np.where(varies, variance, 1)), np.nan)

    return jackknife_sums(np.stack([moved, moved**2, np.ones_like(gaps)], axis=1), factors, combine)


def _correlation(rows: Sequence[Row], factors: Factors) -> dict[str, Array]:
    """Pearson's r over lexemes between the covariate and the mean gap towards the covariate's group."""
    gaps = _values(rows)
    covariates = np.array([row.covariate for row in rows], dtype=np.float64)

    def combine(sums: Array) -> Array:
        count = sums[:, :, 2]
        present = count > 0
        safe = np.where(present, count, 1)
        x, y = sums[:, :, 0] / safe, sums[:, :, 1] / safe
        n = present.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            dx = np.where(present, x - ((x * present).sum(axis=1) / n)[:, None], 0)
            dy = np.where(present, y - ((y * present).sum(axis=1) / n)[:, None], 0)
            r = (dx * dy).sum(axis=1) / np.sqrt((dx**2).sum(axis=1) * (dy**2).sum(axis=1))
        varies = np.all([(d**2).sum(axis=1) > _ROUNDING * (v**2).sum(axis=1) for d, v in ((dx, x), (dy, y))], axis=0)
        return np.where((n >= 3) & varies, np.clip(r, -1, 1), np.nan)

    columns = np.stack([covariates, gaps, np.ones_like(gaps)], axis=1)
    return jackknife_sums(columns, factors, combine, cells=factors.lexeme)


_NO_PREFERENCE = "with equal treatment either group would be preferred as often"
_NO_GAP = "with equal treatment both groups would be equally probable"

# what each metric means to a reader, and the paper it is after, stands in fairprint.reports.wording.METRICS
METRICS = (
    Metric(
        name="stereotype_score",
        version=1,
        reads="gap",
        directed=True,
        unit="share",
        scale="logit",
        neutral=0.5,
        neutral_why=_NO_PREFERENCE,
        replicates=_mean(lambda rows: _wins(_towards_stereotype(rows))),
        scopes=("all", "category"),
        bounded=True,
    ),
    Metric(
        name="stereotype_score_centred",
        version=1,
        reads="gap",
        directed=True,
        unit="share",
        scale="logit",
        neutral=0.5,
        neutral_why=_NO_PREFERENCE,
        replicates=_centred_score,
        scopes=("all",),
        bounded=False,
    ),
    Metric(
        name="signed_effect",
        version=1,
        reads="gap",
        directed=True,
        unit="nats",
        scale="identity",
        neutral=0.0,
        neutral_why=_NO_GAP,
        replicates=_mean(_towards_stereotype),
        scopes=("all", "category"),
        bounded=False,
    ),
    Metric(
        name="signed_effect_dz",
        version=1,
        reads="gap",
        directed=True,
        unit="standard deviations",
        scale="identity",
        neutral=0.0,
        neutral_why=_NO_GAP,
        replicates=_standardised_effect,
        scopes=("all",),
        bounded=False,
    ),
    Metric(
        name="group_gap",
        version=1,
        reads="gap",
        directed=False,
        unit="nats",
        scale="identity",
        neutral=0.0,
        neutral_why=_NO_GAP,
        replicates=_mean(_values),
        scopes=("all", "category", "lexeme"),
        bounded=False,
    ),
    Metric(
        name="group_gap_centred",
        version=1,
        reads="centred",
        directed=False,
        unit="nats",
        scale="identity",
        neutral=0.0,
        neutral_why="without association a word would lean as the other words do in the same template",
        replicates=_mean(_values),
        scopes=("lexeme",),
        bounded=False,
    ),
    Metric(
        name="covariate_correlation",
        version=1,
        reads="covariate",
        directed=False,
        unit="correlation",
        scale="fisher z",
        neutral=0.0,
        neutral_why="without association the gaps would not follow the published figures",
        replicates=_correlation,
        scopes=("all",),
        bounded=False,
    ),
    Metric(
        name="candidate_mass",
        version=1,
        reads="mass",
        directed=False,
        unit="share",
        scale="logit",
        neutral=None,
        neutral_why="no neutral value: it says how much of the model's belief the compared words hold together",
        replicates=_mean(_values),
        scopes=("all", "group"),
        bounded=True,
    ),
)


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
