"""What an import found and did, as rows and as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path

from fairprint.audit.importing import Incoming
from fairprint.audit.metered import MeteredRecord
from fairprint.reports.numbers import ENERGY, KINDS, scaled
from fairprint.reports.text import plain


def rows(runs: Sequence[Incoming], *, dry_run: bool) -> list[dict[str, object]]:
    """Return a row of each run, for the terminal."""
    return [
        {
            "run": run.run_id,
            "kind": _kind(run),
            "name": _name(run),
            "outcome": _outcome(run, dry_run),
            "energy": _energy(run),
            "from": str(run.source),
        }
        for run in runs
    ]


def remarks(runs: Sequence[Incoming]) -> list[str]:
    """Return what a user must know of the runs that another program metered, each once, with how many it is said of."""
    said: dict[str, int] = {}
    for run in runs:
        if run.format != "store" and run.record is not None and run.outcome == "imported":
            for warning in run.record.footprint.warnings:
                said[warning] = said.get(warning, 0) + 1
    return [warning if count == 1 else f"{count} runs: {warning}" for warning, count in said.items()]


def counted(runs: Sequence[Incoming], *, dry_run: bool) -> str:
    """Say how many runs came, were there, and were left out."""
    new, there, left = (len(part) for part in _sorted(runs))
    text = f"{new} {'to be imported' if dry_run else 'imported'}, {there} there already, {left} left out"
    if any(run.outcome.startswith("unfinished") for run in runs):
        text += "; --unfinished takes those that are not finished"
    return text


def as_json(runs: Sequence[Incoming], store: Path, *, dry_run: bool) -> str:
    """Return the same as a JSON document; energies in kWh at the machine, emissions in kg."""
    new, there, left = (len(part) for part in _sorted(runs))
    told = {
        "schema_version": 1,
        "store": str(store),
        "dry_run": dry_run,
        "imported": new,
        "there_already": there,
        "left_out": left,
        "runs": [{**_told(run), "outcome": _outcome(run, dry_run)} for run in runs],
    }
    return json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False)


def _told(run: Incoming) -> dict[str, object]:
    footprint = None if run.record is None else run.record.footprint
    return {
        "run": run.run_id,
        "kind": _kind(run),
        "name": _name(run),
        "source": str(run.source),
        "format": run.format,
        "energy_kwh": None if footprint is None else footprint.energy_kwh,
        "emissions_kg": None if footprint is None else footprint.emissions_kg,
        "pue": None if footprint is None else footprint.pue,
        "reason": "it has no record" if footprint is None else footprint.reason,
        "warnings": [] if footprint is None else list(footprint.warnings),
    }


def _sorted(runs: Sequence[Incoming]) -> tuple[list[Incoming], list[Incoming], list[Incoming]]:
    new = [run for run in runs if run.outcome == "imported"]
    there = [run for run in runs if run.outcome == "there already"]
    return new, there, [run for run in runs if run not in new and run not in there]


def _outcome(run: Incoming, dry_run: bool) -> str:
    return "to be imported" if dry_run and run.outcome == "imported" else run.outcome


def _kind(run: Incoming) -> str:
    return "" if run.record is None else run.record.kind


def _name(run: Incoming) -> str:
    if run.record is None:
        return ""
    return run.record.name if isinstance(run.record, MeteredRecord) else run.record.plan.model.name


def _energy(run: Incoming) -> str:
    if run.record is None:
        return "not available: it has no record"
    footprint = run.record.footprint
    if footprint.energy_kwh is None:
        return f"not available: {footprint.reason}"
    low, high = footprint.energy_low_kwh, footprint.energy_high_kwh
    unit = scaled(footprint.energy_kwh, ENERGY)
    told = plain(KINDS[unit](footprint.energy_kwh))
    return told if low is None or high is None else f"{told} [{plain(KINDS[unit](low))}, {plain(KINDS[unit](high))}]"
