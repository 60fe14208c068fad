"""Records of metered runs for tests of what is told of them: made of round numbers, whole and without gaps."""

from collections.abc import Mapping, Sequence
from typing import Any

from fairprint.audit.footprints import totals_of
from fairprint.audit.metered import (
    BudgetRecord,
    CurvePoint,
    MeteredRecord,
    Overlap,
    SpanRecord,
    WorkDone,
)
from fairprint.audit.records import Clock, Component, Environment, Footprint, GridFactor, Segment

COUNTER_W, MODEL_W, CONSTANT_W = 300.0, 40.0, 20.0
"""Power of GPU, CPU and RAM while the sample run goes on."""
SECONDS = 600.0

GERMANY = GridFactor(
    kg_per_kwh=0.381,
    low_kg_per_kwh=0.32,
    high_kg_per_kwh=0.442,
    country_iso_code="DEU",
    region=None,
    source="CodeCarbon 3.3.2, data/private_infra/global_energy_mix.json",
    year=2023,
    method="life-cycle average; range ±16 %: 10 % and 2 % for each of 3 years of age (our assumption)",
)
NOWHERE = GERMANY.model_copy(
    update={
        "kg_per_kwh": None,
        "low_kg_per_kwh": 0.0247,
        "high_kg_per_kwh": 1.0121,
        "country_iso_code": None,
        "year": None,
        "method": "location unknown: from the lowest (A) to the highest (B) of 212 countries",
    }
)


def kwh(power_w: float, seconds: float) -> float:
    return power_w * seconds / 3.6e6


def energies(seconds: float) -> dict[str, float]:
    return {"cpu": kwh(MODEL_W, seconds), "gpu": kwh(COUNTER_W, seconds), "ram": kwh(CONSTANT_W, seconds)}


def parts(seconds: float = SECONDS) -> tuple[Component, ...]:
    spent = energies(seconds)
    return (
        Component(
            name="cpu",
            energy_kwh=spent["cpu"],
            sensor="load model",
            half_width=0.5,
            detail="from the load; 80 W as listed",
            idle_w=8.0,
        ),
        Component(
            name="gpu", energy_kwh=spent["gpu"], sensor="counter", half_width=0.05, detail="energy counter of an A100"
        ),
        Component(
            name="ram", energy_kwh=spent["ram"], sensor="constant", half_width=0.6, detail="20 W assumed", idle_w=20.0
        ),
    )


def footprint(
    components: tuple[Component, ...] | None = None,
    grid: GridFactor = GERMANY,
    failure: str | None = None,
    **changes: Any,
) -> Footprint:
    components = parts() if components is None else components
    totals = totals_of(components, grid, changes.pop("pue", 1.2), failure, changes.pop("wue", 1.8))
    energy_kwh = totals["energy_kwh"]
    fields: dict[str, Any] = {
        "duration_s": SECONDS,
        "mean_power_w": None if energy_kwh is None else energy_kwh * 3.6e6 / SECONDS,
        "own_cpu_s": 540.0,
        "machine_cpu_s": 600.0,
        "attributed_energy_kwh": None if energy_kwh is None else energy_kwh * 0.9,
        "measurement_loss": 0.004,
        "components": components,
        "meter": "CodeCarbon 3.3.2, offline tracker, whole machine, one sample every 1 s",
        "warnings": () if failure is None else (f"not metered: {failure}",),
        "segments": (Segment(started_at="2026-03-01T10:00:00Z", duration_s=SECONDS, metered=True, note=""),),
        "above_idle_energy_kwh": None if energy_kwh is None else energy_kwh - kwh(28.0, SECONDS),
        "idle_method": "" if energy_kwh is None else "the lowest power of any sample of this run; at least",
    }
    return Footprint(**{**totals, **fields, **changes})


def span(number: str, begin_s: float, end_s: float, **changes: Any) -> SpanRecord:
    spent = energies(end_s - begin_s)
    fields: dict[str, Any] = {
        "span": number,
        "parent": None,
        "name": f"span {number}",
        "phase": "other",
        "begin_s": begin_s,
        "end_s": end_s,
        "duration_s": end_s - begin_s,
        "status": "done",
        "energy_kwh": sum(spent.values()),
        "components": spent,
        "reason": None,
        "own_cpu_s": 0.9 * (end_s - begin_s),
        "machine_cpu_s": end_s - begin_s,
    }
    fields |= changes
    if fields["energy_kwh"] is None:
        fields["components"] = {}
    return SpanRecord(**fields)


def below_resolution(number: str, begin_s: float, **changes: Any) -> SpanRecord:
    reason = "below resolution: shorter than one sampling interval of 1 s"
    return span(number, begin_s, begin_s + 0.5, energy_kwh=None, reason=reason, **changes)


def nested() -> tuple[SpanRecord, ...]:
    """Return the spans of a training of two epochs, the second of which failed."""
    epoch = WorkDone(steps=100, samples=800, tokens=409_600, epochs=1.0, flops=2.0e15)
    return (
        span("1", 0.0, 60.0, name="tokenise", phase="data"),
        span("2", 60.0, 600.0, name="train", phase="train", status="failed", note="ValueError"),
        span("3", 60.0, 330.0, parent="2", name="epoch 1", phase="epoch", work=epoch),
        span("4", 300.0, 330.0, parent="3", name="evaluate", phase="evaluation"),
        below_resolution("5", 330.0, parent="2", name="save", phase="checkpoint"),
        span("6", 331.0, 599.0, parent="2", name="epoch 2", phase="epoch", status="failed", note="ValueError"),
        span("7", 340.0, 360.0, parent="6", name="micro-epoch", phase="epoch"),
    )


def curve(end_s: float = SECONDS, points: int = 61) -> tuple[CurvePoint, ...]:
    times = [end_s * n / (points - 1) for n in range(points)]
    return tuple(CurvePoint(time_s=time_s, energy_kwh=energies(time_s)) for time_s in times)


def sample_metered(**changes: Any) -> MeteredRecord:
    """Return a run of ten minutes with all components, nested spans, work, a budget and another meter beside it."""
    fields: dict[str, Any] = {
        "run_id": "20260301T100000000Z-fine-tune-1a2b",
        "kind": "training",
        "name": "fine-tune",
        "status": "complete",
        "parent": "20260301T090000000Z-search-77aa",
        "lineage": ("20260101T000000000Z-pretrain-0001",),
        "started_at": "2026-03-01T10:00:00Z",
        "finished_at": "2026-03-01T10:10:00Z",
        "clock": Clock(machine="daa4ee976ef6", boot="bf18bb5a784e", begin_s=4000.0, end_s=4600.0),
        "environment": Environment(
            fairprint="0.1.0",
            python="3.11.7",
            system="Linux x86_64",
            cpu="AMD EPYC",
            threads=8,
            device="none",
            versions={"torch": "2.13.0"},
        ),
        "footprint": footprint(),
        "spans": nested(),
        "curve": curve(),
        "overlaps": (Overlap(run_id="20260301T095900000Z-other-9999", began_before=True),),
        "work": WorkDone(tokens=1_024_000, samples=2_000, steps=250, epochs=2.5, flops=5.0e15),
        "budget": BudgetRecord(energy_kwh=0.07, warn_share=0.8, outcome="warned", told=("81 % of it is spent",)),
    }
    return MeteredRecord(**{**fields, **changes})


def truncated() -> MeteredRecord:
    """Return a run that was killed in its first seconds, with a span that nobody ended."""
    components = tuple(part for part in parts(3.0) if part.name != "gpu")
    return sample_metered(
        status="truncated",
        footprint=footprint(components, duration_s=3.0, mean_power_w=60.0, own_cpu_s=None, machine_cpu_s=None),
        spans=(span("1", 1.0, 3.0, name="train", phase="train", status="truncated"),),
        curve=curve(3.0, 4),
        notes=("the process ended without a word: what is here was read from its journal",),
        work=WorkDone(),
        budget=None,
        overlaps=(),
    )


def without_energy(reason: str = "torch sees 2 GPUs, but 1 were metered") -> MeteredRecord:
    """Return a run whose sensors do not add up to the machine."""
    spans = [each.model_copy(update={"energy_kwh": None, "components": {}, "reason": reason}) for each in nested()]
    return sample_metered(footprint=footprint(failure=reason), spans=tuple(spans))


def many(spans: int) -> tuple[SpanRecord, ...]:
    """Return spans beside each other, two seconds each."""
    return tuple(span(str(n), 2.0 * n, 2.0 * n + 2, name=f"trial {n}", phase="trial") for n in range(spans))


def of_phases(told: Sequence[Mapping[str, Any]]) -> tuple[SpanRecord, ...]:
    """Return spans as told: numbered, ten seconds each, ``parent`` and ``phase`` given."""
    return tuple(span(str(n), 10.0 * n, 10.0 * n + 10, **fields) for n, fields in enumerate(told))
