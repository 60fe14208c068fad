"""What runs cost the climate, as a bill of materials says it: one entry a run, none that was metered twice."""

from typing import Any

from fairprint.audit.metered import MeteredRecord
from fairprint.audit.records import Footprint, GridFactor, RunRecord
from fairprint.reports.card_cost import Run, is_training, outermost, overlapping
from fairprint.reports.card_environment import cautions, environment_of, hardware_of, left_out, place_of
from fairprint.reports.card_runs import CardRuns
from fairprint.reports.mlbom_parts import Property, known, prop, rounded, sentence, text
from fairprint.reports.wording import sensors

_ACTIVITIES = {
    "pretraining": "training",
    "training from scratch": "training",
    "fine-tuning": "fine-tuning",
    "search": "training",
    "evaluation": "validation",
    "other": "other",
}
"""What the schema calls what a training was for."""
_LEVEL = 0.9
"""Of the intervals of a footprint, as its schema says."""


def considerations(runs: CardRuns) -> dict[str, Any]:
    """Return the environmental considerations.

    A reader may add up the entries: a run that is a part of another one is in it, and of two that were metered on one
    machine at one time only one is an entry, a training before others. What is left out stands in the properties, with
    the reason.
    """
    entries: list[dict[str, Any]] = []
    beside: list[Property] = []
    counted: list[Run] = []
    whole = outermost(runs.every)
    for run in sorted(whole, key=_is_no_training):
        reason = _why_not(run, counted)
        if reason:
            beside.append(prop("energyConsumptions/absent", {"reason": reason, **_told(run, runs)}))
            continue
        counted.append(run)
        entries.append(_entry(run, runs))
    beside += [
        prop("energyConsumptions/part of another", {"part of": text(run.parent or ""), **_told(run, runs)})
        for run in runs.every
        if run not in whole
    ]
    beside += [prop("not counted", sentence(left)) for left in left_out(runs)]
    beside += [prop("caution", sentence(caution)) for caution in cautions(runs)]
    return {"energyConsumptions": entries, "properties": beside} if entries else {"properties": beside}


def activity(run: Run) -> str:
    """Return the schema's word for what a run was; never a guess: what nobody said is ``other``, or a training."""
    if isinstance(run, RunRecord):
        return "validation"
    if run.purpose is not None:
        return _ACTIVITIES[run.purpose]
    return "other" if run.kind == "metered command" else "training"


def _is_no_training(run: Run) -> bool:
    return not (isinstance(run, MeteredRecord) and is_training(run))


def _why_not(run: Run, counted: list[Run]) -> str:
    foot = run.footprint
    if not known(foot.energy_kwh):
        return text(foot.reason or "its energy was not recorded")
    return text(overlapping([*counted, run]))


def _entry(run: Run, runs: CardRuns) -> dict[str, Any]:
    foot = run.footprint
    energy = foot.energy_kwh or 0.0
    entry: dict[str, Any] = {
        "activity": activity(run),
        "activityEnergyCost": _kwh(energy),
        "energyProviders": _providers(foot, energy),
        "properties": [prop(key, value) for key, value in sorted(_told(run, runs).items())],
    }
    if foot.emissions_kg is not None and known(foot.emissions_kg):
        entry["co2CostEquivalent"] = {"value": rounded(foot.emissions_kg / 1000), "unit": "tCO2eq"}
    return entry


def _kwh(value: float) -> dict[str, Any]:
    return {"value": rounded(value), "unit": "kWh"}


def _providers(foot: Footprint, energy: float) -> list[dict[str, Any]]:
    """Return the grid where it is known; who sold the electricity, and from what it was made, no meter knows."""
    place = place_of(foot.grid)
    if foot.grid.kg_per_kwh is None or not place:
        return []
    return [
        {
            "description": text(f"Electricity grid: {place}. {_factor(foot.grid)}"),
            "organization": {"name": "not known"},
            "energySource": "unknown",
            "energyProvided": _kwh(energy * (foot.pue or 1.0)),
        }
    ]


def _factor(grid: GridFactor) -> str:
    year = f"of {grid.year}" if grid.year is not None else "of a year that is not known"
    if grid.kg_per_kwh is None:
        bounds = f"{grid.low_kg_per_kwh:.6g} to {grid.high_kg_per_kwh:.6g}"
        return f"place not known: {bounds} kg CO2e/kWh ({grid.method})"
    bounds = f"{grid.low_kg_per_kwh:.6g} to {grid.high_kg_per_kwh:.6g}"
    return f"{grid.kg_per_kwh:.6g} kg CO2e/kWh ({bounds}), {year}, {grid.source}; {grid.method}"


def _told(run: Run, runs: CardRuns) -> dict[str, Any]:
    """Return what the schema has no field for, by the name of the property."""
    foot = run.footprint
    told: dict[str, Any] = {
        "run": text(run.run_id),
        "run:sha256": runs.digests.get(run.run_id, "not known"),
        "run:status": run.status,
        "run:began": text(run.started_at),
        "run:duration_s": rounded(foot.duration_s),
        "run:fairprint": text(environment_of(run).fairprint),
        "run:hardware": text(hardware_of(environment_of(run), foot)),
        "energy:boundary": "the whole machine while the run went on, what it uses without load included; without PUE",
        "energy:sensors": text(sensors(foot)),
        "energy:meter": text(foot.meter),
        "energy:pue": rounded(foot.pue)
        if foot.pue is not None
        else "not given: no overhead of a data centre is included",
        "energy:grid factor": text(_factor(foot.grid)),
        "energy:place": text(place_of(foot.grid)) or "not told to the meter",
        **_interval("energy", "kWh", foot.energy_low_kwh, foot.energy_high_kwh, foot, 1.0),
        **_interval("emissions", "tCO2eq", foot.emissions_low_kg, foot.emissions_high_kg, foot, 1000.0),
    }
    if foot.pue is not None:
        told["energy:pue is in"] = "co2CostEquivalent and energyProvided, not in activityEnergyCost"
    if not known(foot.emissions_kg):
        nowhere = "where the electricity came from is not known"
        told["emissions:absent"] = text(foot.reason or (nowhere if foot.grid.kg_per_kwh is None else "not recorded"))
    if foot.water_l is not None:
        told["water:l"] = rounded(foot.water_l)
    if foot.warnings:
        told["energy:warnings"] = text(" ".join(foot.warnings))
    return told | _of_training(run)


def _of_training(run: Run) -> dict[str, Any]:
    if not isinstance(run, MeteredRecord):
        return {"run:kind": run.kind}
    told: dict[str, Any] = {
        "run:kind": run.kind,
        "run:name": text(run.name),
        "run:purpose": run.purpose or "not stated",
    }
    if run.task:
        told["run:task"] = text(run.task)
    if run.lineage:
        told["run:began from"] = text(", ".join(run.lineage))
    if run.work.tokens is not None:
        told["run:tokens"] = run.work.tokens
    return told


def _interval(
    name: str, unit: str, low: float | None, high: float | None, foot: Footprint, divisor: float
) -> dict[str, Any]:
    if low is None or high is None:
        return {f"{name}:interval": text(f"not known: {foot.reason or 'not recorded'}")}
    return {
        f"{name}:low {unit}": rounded(low / divisor),
        f"{name}:high {unit}": rounded(high / divisor),
        f"{name}:level": _LEVEL,
        f"{name}:interval method": text(foot.interval_method),
    }
