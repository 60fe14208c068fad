"""The metrics of a bill of materials: every estimate with a value, its interval, and beside them what has no field."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fairprint.audit.metered import QUALITY_LEVEL, Quality
from fairprint.audit.records import Estimate, ProbeInfo, RunRecord
from fairprint.reports import selection
from fairprint.reports.card_findings import instrument_of
from fairprint.reports.card_runs import CardRuns
from fairprint.reports.mlbom_parts import Property, known, prop, rounded, text, written
from fairprint.reports.wording import labels, title_of

_NO_INTERVAL = "no interval is recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One number as the schema has it, or None, and what must stand beside it."""

    metric: dict[str, Any] | None
    beside: dict[str, Any]


def analysis(runs: CardRuns) -> tuple[dict[str, Any], list[Property]]:
    """Return the quantitative analysis, and the properties that say of each metric what the schema has no field for.

    The property ``fairprint:performanceMetrics/N`` is of the metric at position N, counted from 0;
    ``fairprint:performanceMetrics/absent`` of a number that is not known, with the reason.
    """
    every = [_of_estimate(e, audit) for audit in runs.audits for e in audit.estimates]
    every += [_of_quality(quality, run.task or run.name, run.run_id) for run in runs.metered for quality in run.quality]
    metrics = [one.metric for one in every if one.metric is not None]
    present = [one.beside for one in every if one.metric is not None]
    beside = [prop(f"performanceMetrics/{position}", told) for position, told in enumerate(present)]
    beside += [prop("performanceMetrics/absent", one.beside) for one in every if one.metric is None]
    return ({"performanceMetrics": metrics} if metrics else {}), beside


def slice_of(e: Estimate, probe: ProbeInfo) -> str:
    """Return which answers an estimate is of: probe set, way of asking, part, and the groups compared.

    Such as ``nationality/after-group/category:work/mexican vs american``; gaps are the first group minus the second.
    """
    parts = [probe.name, instrument_of(e)]
    parts += [] if e.scope == "all" else [e.scope]
    parts += [] if e.comparison is None else [" vs ".join(e.comparison)]
    return text("/".join(parts))


def _of_estimate(e: Estimate, audit: RunRecord) -> Measured:
    probe = selection.probe_of(audit, e)
    beside: dict[str, Any] = {
        "title": title_of(e.metric),
        "metric version": e.metric_version,
        "unit": text(e.unit),
        "items": e.items,
        "clusters": {text(factor): count for factor, count in e.units.items()},
        "missing answers": e.missing,
        "run": text(audit.run_id),
        "method": text(e.method),
        "interval is about": text(e.estimand),
        **{key: rounded(value) for key, value in _numbers(e) if known(value)},
    }
    if e.comparison is not None:
        beside["groups"] = [text(label) for label in labels(probe, e.comparison)]
    if e.neutral is not None:
        beside["neutral why"] = text(e.neutral_why)
    if e.warnings:
        beside["warnings"] = [text(warning) for warning in e.warnings]
    name = slice_of(e, probe)
    if e.value is None or not known(e.value):
        reason = text(e.reason or "no reason is recorded")
        return Measured(metric=None, beside={"type": text(e.metric), "slice": name, "reason": reason, **beside})
    metric: dict[str, Any] = {"type": text(e.metric), "value": written(e.value), "slice": name}
    if e.low is not None and e.high is not None and known(e.low) and known(e.high):
        metric["confidenceInterval"] = {"lowerBound": written(e.low), "upperBound": written(e.high)}
        beside["level"] = e.level
    else:
        beside["no interval"] = text(e.reason or _NO_INTERVAL)
    return Measured(metric=metric, beside=beside)


def _numbers(e: Estimate) -> Iterator[tuple[str, float]]:
    for key, value in (
        ("neutral", e.neutral),
        ("p", e.p_value),
        ("q", e.q_value),
        ("worst case low", e.bound_low),
        ("worst case high", e.bound_high),
        ("detectable distance from neutral", e.detectable),
    ):
        if value is not None:
            yield key, value


def _of_quality(quality: Quality, about: str, run_id: str) -> Measured:
    beside: dict[str, Any] = {
        "unit": "as the training says",
        "better": "higher" if quality.higher_is_better else "lower",
        "items": quality.items if quality.items is not None else "not known",
        "clusters": {text(kind): count for kind, count in quality.units.items()},
        "run": text(run_id),
    }
    metric: dict[str, Any] = {}
    if quality.low is not None and quality.high is not None:
        metric["confidenceInterval"] = {"lowerBound": written(quality.low), "upperBound": written(quality.high)}
        beside["level"] = QUALITY_LEVEL
    else:
        beside["no interval"] = text(quality.no_interval or _NO_INTERVAL)
    if quality.note:
        beside["note"] = text(quality.note)
    name = text("/".join([about, quality.part or "held-out data", run_id]))
    metric |= {"type": text(quality.metric), "value": written(quality.value), "slice": name}
    return Measured(metric=metric, beside=beside)
