"""CodeCarbon's emissions.csv as records: one row for each stop of a tracker, several of one run that trained again.

What CodeCarbon 3.3.2 does, tried out: energy, emissions and water of a tracker go on growing when it is started again,
as by a second ``Trainer.train()``, while its duration begins at zero; a row that ``flush`` writes in between has a
growing duration as well. So the last row of a run is its total, and rows are never added up. A PUE multiplies powers
and energies of all rows (``emissions_tracker.py``, ``core/measure.py``), and is divided out here.
"""

import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fairprint.audit.carbon_sensors import GUESSED_HALF_WIDTH, HALF_WIDTHS
from fairprint.audit.grid import resolve_grid
from fairprint.audit.imported import (
    EARLIEST,
    LATEST,
    MOST_KG,
    MOST_KWH,
    MOST_SECONDS,
    Measured,
    Stretch,
    amount,
    environment,
    imported_factor,
    without_energy,
)
from fairprint.audit.records import Component, Environment, GridFactor
from fairprint.probes.errors import ProbeFileError
from fairprint.probes.readers.tables import read_table

NEEDED = ("timestamp", "run_id", "duration", "emissions", "cpu_energy", "gpu_energy", "ram_energy", "energy_consumed")
KNOWN = (
    *("project_name", "country_iso_code", "region", "cloud_provider", "cloud_region", "os", "python_version"),
    *("codecarbon_version", "cpu_count", "cpu_model", "gpu_count", "gpu_model", "longitude", "latitude"),
    *("tracking_mode", "pue", "wue", "task_name"),
)
"""Columns that are read where they are there. Of the coordinates only whether they are CodeCarbon's default."""

COUNTED = ("energy_consumed", "emissions", "cpu_energy", "gpu_energy", "ram_energy")
"""What never falls from one row of a run to the next."""

DEFAULT_PLACE = (46.8, -71.2)
"""Latitude and longitude that CodeCarbon writes, with Quebec, where it could not ask for the place."""

RESOLUTION_S = 1.5
"""Timestamps are whole seconds."""

ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    line: int
    cells: Mapping[str, str]
    ended: datetime
    duration_s: float
    counted: Mapping[str, float]
    pue: float
    wue: float


def read_codecarbon(path: Path) -> list[Measured]:
    """Return the runs of an emissions.csv, in the order in which they first stand there.

    Raises:
        ProbeFileError: the file or a value of it cannot be used, or the rows of a run do not grow.
    """
    table = read_table(path, needed=NEEDED, known=KNOWN)
    runs: dict[str, list[_Row]] = {}
    for line, cells in table.rows:
        if cells["task_name"]:
            raise ProbeFileError(
                "a row of a single task: what lies between the tasks of a run is in none of them",
                file=str(path),
                line=line,
                hint="import the emissions.csv of the run, whose last row is its total",
            )
        runs.setdefault(cells["run_id"], []).append(_row(cells, str(path), line))
    return [_measured(path, run_id, rows) for run_id, rows in runs.items()]


def _row(cells: Mapping[str, str], file: str, line: int) -> _Row:
    counted = {
        what: amount(cells[what], what, file=file, line=line, most=MOST_KG if what == "emissions" else MOST_KWH)
        for what in COUNTED
    }
    parts = sum(counted[what] for what in ("cpu_energy", "gpu_energy", "ram_energy"))
    total = counted["energy_consumed"]
    if abs(parts - total) > 1e-6 * max(parts, total):
        message = f"energy_consumed is {total!r}: expected the sum of cpu, gpu and ram, {parts!r}"
        raise ProbeFileError(message, file=file, line=line)
    duration_s = amount(cells["duration"], "duration", file=file, line=line, most=MOST_SECONDS)
    # files of older versions have neither column
    pue = amount(cells["pue"] or "1", "pue", file=file, line=line, least=1.0, most=100.0)
    wue = amount(cells["wue"] or "0", "wue", file=file, line=line, most=1000.0)
    ended = _when(cells["timestamp"], file, line)
    return _Row(line=line, cells=cells, ended=ended, duration_s=duration_s, counted=counted, pue=pue, wue=wue)


def _when(text: str, file: str, line: int) -> datetime:
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        found = datetime.min
    found = found.replace(tzinfo=UTC) if found.tzinfo is None else found
    if not EARLIEST <= found < LATEST:
        message = f"timestamp is {text!r}: expected a date such as 2026-01-31T12:00:00"
        raise ProbeFileError(message, file=file, line=line)
    return found.astimezone(UTC)


def _measured(path: Path, run_id: str, every: Sequence[_Row]) -> Measured:
    rows = [row for n, row in enumerate(every) if n == 0 or row.cells != every[n - 1].cells]
    _check_growth(path, run_id, rows)
    last = rows[-1]
    again = _started_again(rows)
    windows = _windows(rows, again)
    grid, place_warnings, place_notes = _place(path, last)
    total = {name: last.counted[f"{name}_energy"] for name in _names(last)}
    return Measured(
        file=path.name,
        lines=tuple(row.line for row in every),
        sha256=_hash(rows),
        key=run_id,
        default_name=last.cells["project_name"].strip() or "codecarbon",
        training=False,
        started=windows[0][0],
        finished=last.ended,
        status="done",
        stretches=_stretches(rows, again),
        windows=windows,
        components=_components(last),
        grid=grid,
        pue=last.pue if last.pue > 1 else None,
        wue=last.wue or None,
        meter=f"CodeCarbon {last.cells['codecarbon_version'] or 'of a version not told'}, "
        f"tracking mode {last.cells['tracking_mode'] or 'not told'}; imported",
        environment=_environment(last),
        failure=without_energy(total),
        warnings=(*place_warnings, *_warnings(last)),
        notes=(f"run_id {run_id} of CodeCarbon", *_notes(rows, again), *place_notes),
    )


def _stretches(rows: Sequence[_Row], again: Sequence[bool]) -> tuple[Stretch, ...]:
    """Return what each row adds to the one before it, at the machine."""
    found = []
    before: Mapping[str, float] = dict.fromkeys(COUNTED, 0.0)
    for number, (row, fresh) in enumerate(zip(rows, again, strict=True)):
        found.append(
            Stretch(
                name=f"part {number + 1}",
                phase="other",
                duration_s=row.duration_s if fresh else row.duration_s - rows[number - 1].duration_s,
                energy_kwh={
                    name: max(0.0, row.counted[f"{name}_energy"] - before[f"{name}_energy"]) / row.pue
                    for name in _names(rows[-1])
                },
            )
        )
        before = row.counted
    return tuple(found)


def _windows(rows: Sequence[_Row], again: Sequence[bool]) -> tuple[tuple[datetime, float], ...]:
    """Return when the tracker was started, and how long it then ran (s)."""
    found: list[tuple[datetime, float]] = []
    for row, fresh in zip(rows, again, strict=True):
        window = (row.ended - timedelta(seconds=row.duration_s), row.duration_s)
        found = [*(found if fresh else found[:-1]), window]
    return tuple(found)


def _hash(rows: Sequence[_Row]) -> str:
    """Return a hash of the rows of a run: the file goes on growing with other runs."""
    told = "\n".join("\t".join(row.cells[column] for column in (*NEEDED, *KNOWN)) for row in rows)
    return hashlib.sha256(told.encode()).hexdigest()


def _check_growth(path: Path, run_id: str, rows: Sequence[_Row]) -> None:
    for before, row in itertools.pairwise(rows):
        for what in COUNTED:
            was, now = before.counted[what], row.counted[what]
            if now < was * (1 - ROUNDING):
                raise ProbeFileError(
                    f"{what} of the run {run_id} falls from {was:g} in line {before.line} to {now:g}: its rows are no "
                    "running total, so that neither the last one nor their sum is known to be right",
                    file=str(path),
                    line=row.line,
                    hint="put the rows in the order of their timestamps where files were joined, or give rows that "
                    "are runs of their own a run_id each",
                )
        for what, was, now in (("pue", before.pue, row.pue), ("wue", before.wue, row.wue)):
            if was != now:
                message = f"{what} of the run {run_id} is {now:g}, and {was:g} in line {before.line}: expected one"
                raise ProbeFileError(message, file=str(path), line=row.line)


def _started_again(rows: Sequence[_Row]) -> list[bool]:
    """Return of each row whether the tracker was started since the row before it, or only flushed.

    Its duration then begins at zero, and fits between the two timestamps; else it has grown as the time has.
    """
    found = [True]
    for before, row in itertools.pairwise(rows):
        passed_s = (row.ended - before.ended).total_seconds()
        grown_s = row.duration_s - before.duration_s
        if grown_s < 0:
            found.append(True)
            continue
        as_flushed, as_started = abs(grown_s - passed_s), max(0.0, row.duration_s - passed_s)
        # where both fit, the run is so short that the whole seconds of the timestamps cannot tell
        found.append(as_started <= RESOLUTION_S if as_flushed > RESOLUTION_S else as_started < as_flushed)
    return found


def _names(row: _Row) -> tuple[str, ...]:
    return ("cpu", "gpu", "ram") if row.counted["gpu_energy"] > 0 or _gpus(row) else ("cpu", "ram")


def _gpus(row: _Row) -> bool:
    return row.cells["gpu_count"].strip() not in ("", "0", "0.0")


def _components(row: _Row) -> tuple[Component, ...]:
    """Return the components: the file names no sensors, so that each has the half-width of its poorest."""
    cpu = row.cells["cpu_model"].strip() or "a processor not told"
    poorest = "the sensor is not told: the half-width is that of the poorest"
    gpu = Component(name="gpu", energy_kwh=None, sensor="none", half_width=None, detail="no GPU was metered")
    if "gpu" in _names(row):
        gpu = Component(
            name="gpu",
            energy_kwh=None,
            sensor="sampled power",
            half_width=HALF_WIDTHS["sampled power"],
            detail=f"{row.cells['gpu_model'].strip() or 'a GPU not told'}; {poorest}",
        )
    return (
        Component(
            name="cpu",
            energy_kwh=None,
            sensor="load model",
            half_width=GUESSED_HALF_WIDTH,
            detail=f"{cpu}; {poorest}, a load model with a guessed full-load power",
        ),
        gpu,
        Component(
            name="ram",
            energy_kwh=None,
            sensor="constant",
            half_width=HALF_WIDTHS["constant"],
            detail="from the size of the memory, whatever is done with it",
        ),
    )


def _place(path: Path, row: _Row) -> tuple[GridFactor, list[str], list[str]]:
    """Return the grid factor that CodeCarbon took, warnings and notes; the world's range where it knew no place."""
    cells, energy_kwh = row.cells, row.counted["energy_consumed"]
    if energy_kwh <= 0:
        return resolve_grid(), [], []
    factor = row.counted["emissions"] / energy_kwh
    country = cells["country_iso_code"].strip().upper()
    country = country if re.fullmatch("[A-Z]{3}", country) else ""
    region = " ".join(cells["region"].split())
    told = f"CodeCarbon told {row.counted['emissions']:.6g} kg, at {factor:.6g} kg per kWh"
    if country == "CAN" and region.casefold() == "quebec" and _coordinates(row) == DEFAULT_PLACE:
        warning = (
            f"the place is not known: Quebec at {DEFAULT_PLACE[0]}, {DEFAULT_PLACE[1]} is what CodeCarbon writes where "
            "it could not ask for the place; fairprint runs rebind RUN --country-iso-code gives the emissions elsewhere"
        )
        return resolve_grid(), [warning], [told]
    if not country and not cells["cloud_region"].strip():
        return resolve_grid(), ["the file names no country: the place is not known"], [told]
    cloud = ":".join(cells[name].strip().lower() for name in ("cloud_provider", "cloud_region"))
    grid = imported_factor(
        factor,
        file=path,
        line=row.line,
        country=country or None,
        region=region.casefold() or None,
        cloud_region=cloud if cells["cloud_provider"].strip() and cells["cloud_region"].strip() else None,
    )
    return grid, [], [told]


def _coordinates(row: _Row) -> tuple[float, float] | None:
    try:
        return float(row.cells["latitude"]), float(row.cells["longitude"])
    except ValueError:
        return None


def _warnings(row: _Row) -> list[str]:
    found = ["the file names no sensors: the intervals are those of the poorest of each component"]
    if row.cells["tracking_mode"].strip() == "process":
        found.append(
            "CodeCarbon metered the process alone (tracking mode process): its children are missing, and so is the "
            "rest of the machine"
        )
    return found


def _notes(rows: Sequence[_Row], again: Sequence[bool]) -> list[str]:
    found, last = [], rows[-1]
    if len(rows) > 1:
        how = "the tracker was started again for each" if all(again) else "the tracker wrote in between"
        found.append(
            f"{len(rows)} rows of one tracker, whose energy goes on growing: the last one is the total, the "
            f"differences are the parts ({how}); times of the parts leave out what lay between them"
        )
    if last.pue > 1:
        found.append(f"CodeCarbon's energies hold a PUE of {last.pue:g}, which was divided out")
    return found


def _environment(row: _Row) -> Environment:
    cells = row.cells
    known: dict[str, object] = {}
    if cells["python_version"].strip():
        known["python"] = cells["python_version"].strip()
    if cells["os"].strip():
        known["system"] = cells["os"].strip().partition("-")[0]  # what follows can name a machine's own kernel
    if cells["cpu_model"].strip():
        known["cpu"] = cells["cpu_model"].strip()
    if re.fullmatch(r"[1-9][0-9]{0,4}(\.0)?", cells["cpu_count"].strip()):
        known["threads"] = int(float(cells["cpu_count"]))
    if cells["codecarbon_version"].strip():
        known["versions"] = {"codecarbon": cells["codecarbon_version"].strip()}
    return environment(**known)
