"""Stored runs of both kinds as rows of a list, and what became of metered runs that were cut off."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from fairprint.audit.metered_store import MeteredFolder, find_metered, metered_runs, stored_runs
from fairprint.audit.store import RunFolder
from fairprint.probes.errors import StoreError
from fairprint.reports.numbers import ENERGY, KINDS, duration, scaled
from fairprint.reports.text import plain

CUT_OFF = "cut off: fairprint runs recover"
RECOVERED, GOES_ON, HAS_IT, NOTHING = "recovered", "still running: skipped", "has its record already", "nothing metered"


def listed(store: Path) -> list[dict[str, object]]:
    """Return a row of each audit and each metered run, oldest first.

    Raises:
        UsageError: the store is no folder.
        StoreError: an audit cannot be read.
    """
    return [_audit(run) if isinstance(run, RunFolder) else _metered(run) for run in stored_runs(store)]


def _audit(run: RunFolder) -> dict[str, object]:
    plan = run.plan()
    return {
        "run": run.run_id,
        "kind": "audit",
        "status": run.record().status if run.finished else "unfinished",
        "name": plan.model.name,
        "model": plan.model.name,
        "dtype": plan.model.dtype,
        "probe sets": ", ".join(plan.probe_hashes),
    }


def _metered(run: MeteredFolder) -> dict[str, object]:
    if run.finished:
        with contextlib.suppress(StoreError):
            record = run.record()
            return {"run": run.run_id, "kind": record.kind, "status": record.status, "name": record.name}
    opening = run.opening()
    kind, name = ("metered", "") if opening is None else (opening.kind, opening.name)
    status = "its record cannot be read" if run.finished else "running" if run.alive() else CUT_OFF
    return {"run": run.run_id, "kind": kind, "status": status, "name": name}


def recovered(store: Path, run_ids: Sequence[str]) -> tuple[list[dict[str, object]], list[StoreError]]:
    """Write the records of metered runs whose process ended without one.

    Args:
        store: the folder of runs.
        run_ids: which; of none, all that have no record.

    Returns:
        A row of each run, and what could not be read or written.

    Raises:
        UsageError: a run that is named is not there.
    """
    runs = [find_metered(store, run_id) for run_id in run_ids]
    rows, errors = [], []
    for run in runs or [run for run in metered_runs(store) if not run.finished]:
        row, error = _recovered(run)
        rows.append(row)
        errors += [] if error is None else [error]
    return rows, errors


def _recovered(run: MeteredFolder) -> tuple[dict[str, object], StoreError | None]:
    opening = run.opening()
    row: dict[str, object] = {"run": run.run_id, "name": "" if opening is None else opening.name}
    told: dict[str, object] = {"duration": "", "energy": ""}
    if run.finished or run.alive():
        return {**row, "outcome": HAS_IT if run.finished else GOES_ON, **told}, None
    if run.journal.stat().st_size == 0:
        return {**row, "outcome": f"{NOTHING}: it ended while it began", **told}, None
    try:
        record = run.recover()
    except StoreError as error:
        return {**row, "outcome": error.message, **told}, error
    footprint = record.footprint
    energy = f"not available: {footprint.reason}"
    if footprint.energy_kwh is not None:
        energy = plain(KINDS[scaled(footprint.energy_kwh, ENERGY)](footprint.energy_kwh))
    return {**row, "outcome": RECOVERED, "duration": plain(duration(footprint.duration_s)), "energy": energy}, None
