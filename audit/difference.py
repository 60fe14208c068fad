"""One metric in two runs: the paired difference with its interval, and what is said of it.

Whether a number moved away from its neutral value is not read off the difference alone, since it can pass the neutral
value; the rule stands in ``fairprint.audit.away``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from fairprint.audit.away import away_p, towards_p
from fairprint.audit.comparisons import Difference, SignFlips, Verdict
from fairprint.audit.evaluate import estimand
from fairprint.audit.labelled_metrics import GAP
from fairprint.audit.metrics import Metric
from fairprint.audit.paired import PairedRows, differences, factors_of, pair_rows
from fairprint.audit.parts import Part
from fairprint.audit.shift import shift
from fairprint.audit.significance import benjamini_hochberg, holm, sign_flip
from fairprint.audit.statistics import LEVEL, Factors, Form, Interval
from fairprint.audit.utility_metrics import PER_CHARACTER, PER_TOKEN, PERPLEXITY
from fairprint.probes.items import ProbeSet

ALPHA = 0.05
"""A difference is shown where its q-value is below this."""
BETTER: dict[str, Literal["higher", "lower"]] = {
    "accuracy": "higher",
    "true_positive_rate": "higher",
    "stereoset_lms": "higher",
    "stereoset_icat": "higher",
    PER_TOKEN.name: "higher",
    PER_CHARACTER.name: "higher",
    PERPLEXITY.name: "lower",
    "flip_rate": "lower",
    "out_of_choice": "lower",
    "honest_score": "lower",
}
"""Metrics without a neutral value that have a better end."""
REPEATS = {PERPLEXITY.name: PER_TOKEN.name, PER_CHARACTER.name: PER_TOKEN.name}
"""Metrics that say again what another one says: where that is tested, they are not, and share its verdict."""
OTHER_TOKENS = "the two models cut the texts into different tokens, so that figures a token are not of the same thing"
UNKNOWN_TOKENS = (
    "whether both models cut texts into the same tokens is not known; where they do not, a token of the one "
)
UNKNOWN_TOKENS += "is not one of the other"
_FEW_CLUSTERS = 10
"""Units below which turning signs could not reach a corrected p-value: with 9 the smallest is 2^-8."""
_MOST = {"share": 1.0, GAP: 2.0}
"""How far two numbers in a unit can lie apart."""
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class _Values:
    """A metric in either run, and what is found of the difference."""

    a: float | None
    b: float | None
    difference: Interval
    p_away: float | None = None
    p_towards: float | None = None
    sign_flips: SignFlips | None = None


def difference(of: ProbeSet, instrument: str, a: Part, b: Part, *, same_tokens: bool | None, seed: int) -> Difference:
    """Return the difference of a metric between two runs, before any correction.

    Args:
        of: the set.
        instrument: name of the instrument.
        a: the part in run A.
        b: the same part in run B.
        same_tokens: whether both models cut texts into the same tokens, or None where that is not known.
        seed: of the random signs.
    """
    metric, rows, unit = a.metric, pair_rows(a.rows, b.rows), a.unit or a.metric.unit
    factors = factors_of(rows.a, of.random_factors)
    by_token = metric.name in (PER_TOKEN.name, PERPLEXITY.name)
    if by_token and same_tokens is False:
        values = _Values(None, None, Interval(value=None, reason=OTHER_TOKENS))
    else:
        # 100,000 random signs for every category as well would take longer than all the rest
        values = _values(metric, rows, factors, seed if a.scope == "all" else None) if rows.a else _no_values(a, b)
    found = _cut(values.difference, _MOST.get(unit))
    return Difference(
        metric=metric.name,
        metric_version=metric.version,
        probe_set=of.name,
        instrument=f"{of.name} / {instrument}" + (f":{a.label}" if a.label else ""),
        scope=a.scope,
        comparison=a.comparison,
        unit=unit,
        a=values.a,
        b=values.b,
        value=found.value,
        low=found.low,
        high=found.high,
        level=LEVEL,
        p_value=found.p_value,
        q_value=None,
        holm=None,
        neutral=metric.neutral,
        neutral_why=a.neutral_why or metric.neutral_why,
        p_away=values.p_away,
        p_towards=values.p_towards,
        better=BETTER.get(metric.name) if metric.neutral is None else None,
        verdict="not available" if found.value is None else "not shown",
        items=len(rows.a),
        missing=rows.missing,
        missing_a=rows.missing_a,
        missing_b=rows.missing_b,
        units=dict(found.units),
        design_effect=found.design_effect,
        detectable=found.detectable,
        standard_error=found.standard_error,
        degrees_of_freedom=found.degrees_of_freedom,
        standard_errors=dict(found.standard_errors),
        sign_flips=values.sign_flips,
        identical=rows.identical and found.value == 0,
        estimand=estimand(factors, of.scored),
        reason=found.reason,
        warnings=(*_warnings(a, b, rows, unknown=by_token and same_tokens is None), *found.warnings),
    )


def _warnings(a: Part, b: Part, rows: PairedRows, *, unknown: bool) -> tuple[str, ...]:
    told = list(dict.fromkeys((*a.warnings, *b.warnings)))
    told += [UNKNOWN_TOKENS] if unknown else []
    if rows.apart:
        told.append(f"{rows.apart:,} items are in this part in one run alone, and left out of both")
    return tuple(told)


def _no_values(a: Part, b: Part) -> _Values:
    why = "no item has an answer in both runs" if a.rows or b.rows else a.reason or b.reason or "there is no such item"
    return _Values(None, None, Interval(value=None, reason=why))


def _cut(found: Interval, most: float | None) -> Interval:
    if most is None or found.low is None or found.high is None:
        return found
    return replace(found, low=max(found.low, -most), high=min(found.high, most))


def _values(metric: Metric, rows: PairedRows, factors: Factors, seed: int | None) -> _Values:
    found = shift(metric, rows, factors)
    if found is None:
        return _Values(None, None, Interval(value=None, reason="it has no value in both runs: too few answers"))
    if found.identical:
        return _Values(*found.values, found.u)
    p_away = p_towards = None
    if found.v is not None:
        p_away, p_towards = away_p(found.u, found.v), towards_p(found.u, found.v)
    flips = None if seed is None else _flipped(found.forms, found.u, factors, seed)
    return _Values(*found.values, found.u, p_away, p_towards, flips)


def _flipped(forms: tuple[Form, Form], found: Interval, factors: Factors, seed: int) -> SignFlips | None:
    """Turn the signs of each random factor's units, and return the larger p-value; None for what is no plain mean."""
    each = differences(*forms)
    if (
        each is None
        or found.value is None
        or abs(float(each.mean()) - found.value) > _ROUNDING * max(1, abs(found.value))
    ):
        return None
    checks = []
    for factor in factors.random:
        test, units = sign_flip(each, factors.codes(factor), seed), len(factors.names[factor])
        few = f"{units} units allow no p-value below {test.smallest:.2g}, too large for a correction"
        checks.append(
            SignFlips(
                factor=factor,
                units=units,
                p_value=test.p_value,
                smallest=test.smallest,
                ways=test.ways,
                exact=test.exact,
                reason=test.reason or (few if units < _FEW_CLUSTERS else None),
            )
        )
    return max(checks, key=lambda check: check.p_value or 0, default=None)


def corrected(found: Sequence[Difference]) -> tuple[tuple[Difference, ...], int]:
    """Correct the tests of a comparison together, and say of each difference what is shown.

    Returns:
        The differences, and how many tests there were.
    """
    known = {_place(d, d.metric) for d in found if d.p_value is not None}
    repeated = [d.metric in REPEATS and _place(d, REPEATS[d.metric]) in known for d in found]
    tested = [
        None if again or (d.neutral is None and d.better is None) else d.p_value
        for d, again in zip(found, repeated, strict=True)
    ]
    q_values, holms = benjamini_hochberg(tested), holm(tested)
    told = [
        d.model_copy(update={"q_value": q, "holm": h, "verdict": verdict(d, q)})
        for d, q, h in zip(found, q_values, holms, strict=True)
    ]
    said = {_place(d, d.metric): d.verdict for d in told}
    told = [
        d.model_copy(update={"verdict": said[_place(d, REPEATS[d.metric])]}) if again and d.value is not None else d
        for d, again in zip(told, repeated, strict=True)
    ]
    return tuple(told), sum(p is not None for p in tested)


def _place(found: Difference, metric: str) -> tuple[str, str, str]:
    return metric, found.instrument, found.scope


def verdict(found: Difference, q_value: float | None) -> Verdict:
    """Return what is shown of a difference: by its q-value, or where it is in no family by its own p-value."""
    if found.value is None:
        return "not available"
    if found.identical:
        return "identical answers"
    p = q_value if q_value is not None else found.p_value
    if p is None or p >= ALPHA:
        return "not shown"
    if found.p_away is not None and found.p_away < ALPHA:
        return "moved away from neutral"
    if found.p_towards is not None and found.p_towards < ALPHA:
        return "moved towards neutral"
    if found.better is None:
        return "differs"
    return "better" if (found.value > 0) == (found.better == "higher") else "worse"
