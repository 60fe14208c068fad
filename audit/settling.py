"""From a journal to a record: the same for a run that ended by itself and for one that was killed."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from fairprint.audit.carbon import Conditions, Seen, settled
from fairprint.audit.carbon_sensors import Reading
from fairprint.audit.curve import NAMES, Curve
from fairprint.audit.journal import Told
from fairprint.audit.metered import (
    BudgetRecord,
    CurvePoint,
    MeteredRecord,
    Overlap,
    Quality,
    SpanRecord,
    WorkDone,
)
from fairprint.audit.records import Footprint

CURVE_POINTS = 400
ROOT = "0"
"""The span that is the whole run."""


def record_of(told: Told, others: Sequence[Mapping[str, Any]] = (), notes: Sequence[str] = ()) -> MeteredRecord:
    """Return the record of a run.

    Args:
        told: its journal.
        others: marks of other processes that joined it, in order of time.
        notes: what to say beside.
    """
    opening, close = told.opening, next(told.of("close"), None)
    samples = list(told.of("sample"))
    curve = Curve.of(samples)
    end_s = _end_s(told, close, curve)
    footprint = _footprint(told, samples, curve, end_s)
    failure = footprint.reason if footprint.energy_kwh is None else None
    spans = _spans([*told.events, *others], curve, end_s, opening.interval_s, failure)
    clock = opening.clock.model_copy(update={"end_s": opening.clock.begin_s + end_s})
    return MeteredRecord(
        run_id=opening.run_id,
        kind=opening.kind,
        name=opening.name,
        purpose=opening.purpose,
        task=opening.task,
        status=close["status"] if close else "truncated",
        exit_code=close.get("exit_code") if close else None,
        parent=opening.parent,
        lineage=opening.lineage,
        started_at=opening.started_at,
        finished_at=_later(opening.started_at, end_s),
        clock=clock,
        environment=opening.environment,
        footprint=footprint,
        spans=tuple(spans),
        curve=tuple(
            CurvePoint(time_s=time_s, energy_kwh=dict(zip(NAMES, energy, strict=True)))
            for time_s, energy in curve.thinned(CURVE_POINTS, [t for span in spans for t in (span.begin_s, span.end_s)])
        ),
        overlaps=tuple(Overlap(run_id=e["run_id"], began_before=e["began_before"]) for e in told.of("overlap")),
        work=_work(told.events).get(ROOT, WorkDone()),
        quality=_quality([*told.events, *others]).get(ROOT, ()),
        budget=_budget(told),
        checks=_checks(told),
        notes=(*notes, *(event["text"] for event in told.of("note")), *_ended(told, close)),
    )


def _ended(told: Told, close: Mapping[str, Any] | None) -> list[str]:
    found = [] if close is not None else ["the process ended without a word: what is here was read from its journal"]
    if close is not None and close.get("note"):
        found.append(close["note"])
    if told.lost:
        found.append(f"{told.lost} lines of the journal could not be read")
    return found


def _end_s(told: Told, close: Mapping[str, Any] | None, curve: Curve) -> float:
    """Return when the run ended; of a killed one, when it was last heard of."""
    if close is not None:
        return float(close["t"])
    return max([curve.times_s[-1] if curve.times_s else 0.0, *(float(e["t"]) for e in told.events if "t" in e)])


def _later(started_at: str, seconds: float) -> str:
    # from the begin, since the wall clock may have been set meanwhile
    begun = datetime.strptime(started_at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return (begun + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _footprint(told: Told, samples: Sequence[Mapping[str, Any]], curve: Curve, end_s: float) -> Footprint:
    opening = told.opening
    cpu = [e for e in told.events if e.get("own_cpu_s") is not None and e.get("machine_cpu_s") is not None]
    own_s = machine_s = None
    if cpu and opening.own_cpu_s is not None and opening.machine_cpu_s is not None:
        own_s = cpu[-1]["own_cpu_s"] - opening.own_cpu_s
        machine_s = cpu[-1]["machine_cpu_s"] - opening.machine_cpu_s
    found = Seen(
        components=opening.components,
        first=_reading(samples[0]) if samples else None,
        last=_reading(samples[-1]) if samples else None,
        started_at=opening.started_at,
        duration_s=end_s,
        own_cpu_s=own_s,
        machine_cpu_s=machine_s,
        gpus=opening.gpus,
        gpus_seen=max((int(e["gpus_seen"]) for e in told.of("sample") if "gpus_seen" in e), default=0),
        idle_w=curve.lowest_w(opening.interval_s / 2),
        remarks=_checks(told),
        failure=opening.failure,
    )
    return settled(
        found,
        Conditions(grid=opening.grid, pue=opening.pue, wue=opening.wue, interval_s=opening.interval_s),
    )


def _reading(sample: Mapping[str, Any]) -> Reading:
    return Reading(clock_s=sample["t"], energy_kwh=dict(sample["kwh"]), covered_s=sample["covered_s"])


def _checks(told: Told) -> tuple[str, ...]:
    return tuple(dict.fromkeys(event["text"] for event in told.of("check")))


def _spans(
    events: Sequence[Mapping[str, Any]], curve: Curve, end_s: float, resolution_s: float, failure: str | None
) -> list[SpanRecord]:
    """Return the spans in the order in which they began; one without an end was cut off with the run."""
    ends = {event["span"]: event for event in events if event["event"] == "end"}
    work, quality = _work(events), _quality(events)
    # a signal in the middle of a write may have written a line twice
    begun = {event["span"]: event for event in events if event["event"] == "begin"}
    found = []
    for name, begin in sorted(begun.items(), key=lambda pair: pair[1]["t"]):
        end = ends.get(name, {})
        begin_s, finish_s = float(begin["t"]), float(end.get("t", max(end_s, begin["t"])))
        energies, reason = curve.between(begin_s, finish_s), failure
        if failure is None and finish_s - begin_s < resolution_s:
            reason = f"below resolution: shorter than one sampling interval of {resolution_s:g} s"
        elif failure is None and energies is None:
            reason = "no samples surround it"
        span = _span(begin, end, finish_s, energies if reason is None else None, reason)
        known = {"work": work.get(name, WorkDone()), "quality": quality.get(name, ())}
        found.append(span.model_copy(update=known))
    return found


def _span(
    begin: Mapping[str, Any],
    end: Mapping[str, Any],
    finish_s: float,
    energies: Mapping[str, float] | None,
    reason: str | None,
) -> SpanRecord:
    begin_s = float(begin["t"])
    cpu: dict[str, float | None] = {}
    for key in ("own_cpu_s", "machine_cpu_s"):
        first, last = begin.get(key), end.get(key)
        cpu[key] = None if first is None or last is None else last - first
    return SpanRecord(
        span=begin["span"],
        parent=None if begin["parent"] == ROOT else begin["parent"],
        name=begin["name"],
        phase=begin["phase"],
        begin_s=begin_s,
        end_s=finish_s,
        duration_s=finish_s - begin_s,
        status=end.get("status", "truncated"),
        energy_kwh=None if energies is None else sum(energies.values()),
        components=dict(energies or {}),
        reason=reason,
        note=end.get("note", ""),
        own_cpu_s=cpu["own_cpu_s"],
        machine_cpu_s=cpu["machine_cpu_s"],
    )


def _work(events: Sequence[Mapping[str, Any]]) -> dict[str, WorkDone]:
    """Return what each span counted, as it said last."""
    return {e["span"]: WorkDone.model_validate(e["work"]) for e in events if e["event"] == "work"}


def _quality(events: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Quality, ...]]:
    """Return what was noted of each span; of the same metric and part, what was noted last."""
    found: dict[str, dict[tuple[str, str], Quality]] = {}
    for event in events:
        if event["event"] == "quality":
            quality = Quality.model_validate(event["quality"])
            found.setdefault(event["span"], {})[quality.metric, quality.part] = quality
    return {span: tuple(noted.values()) for span, noted in found.items()}


def _budget(told: Told) -> BudgetRecord | None:
    said = list(told.of("budget"))
    return BudgetRecord.model_validate(said[-1]["budget"]) if said else None
