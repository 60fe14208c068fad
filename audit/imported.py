"""Runs that another program metered, as records of ours: what is known is taken over, the rest says that it is not."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fairprint.audit.curve import NAMES
from fairprint.audit.footprints import mean_power_w, totals_of
from fairprint.audit.grid import CLOUD_HALF_WIDTH
from fairprint.audit.metered import CurvePoint, Fate, MeteredRecord, Phase, Purpose, SpanRecord, WorkDone
from fairprint.audit.records import Component, Environment, Footprint, GridFactor, Segment
from fairprint.audit.store import new_run_id
from fairprint.probes.errors import ProbeFileError

NOT_KNOWN = "not known"
TIMES = "the file tells no time zone: its times are taken as UTC"
TRAINING: tuple[Purpose, ...] = ("pretraining", "training from scratch", "fine-tuning", "search")
"""Purposes that make a run a training, whatever metered it."""

EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
MOST_SECONDS, MOST_KWH, MOST_KG = 1e9, 1e9, 1e9
"""Figures beyond these are damage: 30 years, a TWh, a million tonnes."""

LEAST = 1e-15
"""Below every meter's resolution, in whatever unit: taken as zero, so that no ratio overflows."""

MOST_KG_PER_KWH = 10.0
"""More than any generator emits: about 1 kg is coal's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the user says of the imported runs: of files only, the runs of a store are copied as they are."""

    purpose: Purpose | None = None
    task: str = ""
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A part of a run with its energy by component (kWh at the machine), beside the others and in their order."""

    name: str
    phase: Phase
    duration_s: float
    energy_kwh: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What another program says of one run.

    Attributes:
        file: name of the file, without its folder; lines: those that tell of the run, or none where all do.
        sha256: of what the file tells of the run.
        key: what the other program tells its runs apart by.
        default_name: of the run, where the user gives none.
        training: whether the program meters trainings only.
        started, finished: as the file says; the zone is not known.
        stretches: with all of its energy, the parts between which none was counted.
        windows: when each start of the meter began, and how long it lasted (s).
        components: without energy.
        failure: why there is no total; None where there is one.
    """

    file: str
    lines: tuple[int, ...]
    sha256: str
    key: str
    default_name: str
    training: bool
    started: datetime
    finished: datetime
    status: Fate
    stretches: tuple[Stretch, ...]
    windows: tuple[tuple[datetime, float], ...]
    components: tuple[Component, ...]
    grid: GridFactor
    pue: float | None
    wue: float | None
    meter: str
    environment: Environment
    epochs: float | None = None
    failure: str | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def record_of(told: Measured, said: Said) -> MeteredRecord:
    """Return the record of a run that another program metered.

    It is the same whenever it is made, so that a second import of the same file is seen to be one.
    """
    training = told.training if said.purpose is None else said.purpose in TRAINING
    name = said.name or told.default_name
    digits = hashlib.sha256(told.key.encode()).hexdigest()[:4]
    spans = _spans(told, "train" if training else "other")
    return MeteredRecord(
        run_id=new_run_id(name, told.started, digits),
        kind="training" if training else "metered command",
        name=name,
        purpose=said.purpose,
        task=said.task,
        status="truncated" if told.status == "truncated" else "complete",
        started_at=_iso(told.started),
        finished_at=_iso(told.finished),
        clock=None,
        environment=told.environment,
        footprint=_footprint(told),
        spans=spans if len(spans) > 1 or told.epochs is not None else (),
        curve=_curve(told),
        work=WorkDone(epochs=told.epochs),
        notes=(f"imported from {told.file}{_place(told.lines)} (sha256 {told.sha256})", TIMES, *told.notes),
    )


def _footprint(told: Measured) -> Footprint:
    spent: dict[str, float] = {}
    for stretch in told.stretches:
        for name, kwh in stretch.energy_kwh.items():
            spent[name] = spent.get(name, 0.0) + kwh
    components = tuple(part.model_copy(update={"energy_kwh": spent.get(part.name)}) for part in told.components)
    totals: dict[str, Any] = totals_of(components, told.grid, told.pue, told.failure, told.wue)
    duration_s = sum(stretch.duration_s for stretch in told.stretches)
    return Footprint(
        **totals,
        duration_s=duration_s,
        mean_power_w=mean_power_w(totals["energy_kwh"], duration_s),
        own_cpu_s=None,
        machine_cpu_s=None,
        attributed_energy_kwh=None,
        measurement_loss=None,
        components=components,
        meter=told.meter,
        warnings=(*([] if told.failure is None else [f"not metered: {told.failure}"]), *told.warnings),
        segments=tuple(
            Segment(started_at=_iso(begun), duration_s=lasted_s, metered=True, note="")
            for begun, lasted_s in told.windows
        ),
        idle_method="not known: the file says nothing of the machine without load",
    )


def _spans(told: Measured, phase: Phase) -> tuple[SpanRecord, ...]:
    """Return the parts as spans; their times leave out what lay between two starts of the meter."""
    found, begin_s = [], 0.0
    for number, stretch in enumerate(told.stretches, 1):
        known = told.failure is None
        found.append(
            SpanRecord(
                span=str(number),
                parent=None,
                name=stretch.name,
                phase=phase if stretch.phase == "other" else stretch.phase,
                begin_s=begin_s,
                end_s=begin_s + stretch.duration_s,
                duration_s=stretch.duration_s,
                status="done",
                energy_kwh=sum(stretch.energy_kwh.values()) if known else None,
                components=dict(stretch.energy_kwh) if known else {},
                reason=told.failure,
            )
        )
        begin_s += stretch.duration_s
    return tuple(found)


def _curve(told: Measured) -> tuple[CurvePoint, ...]:
    if told.failure is not None:
        return ()
    spent, time_s = dict.fromkeys(NAMES, 0.0), 0.0
    points = [CurvePoint(time_s=0.0, energy_kwh=dict(spent))]
    for stretch in told.stretches:
        time_s += stretch.duration_s
        for name, kwh in stretch.energy_kwh.items():
            spent[name] += kwh
        points.append(CurvePoint(time_s=time_s, energy_kwh=dict(spent)))
    return tuple(points)


def _iso(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def _place(lines: Sequence[int]) -> str:
    """Say which lines.

    >>> _place((3,)), _place((3, 4, 9)), _place((2, 3, 4, 5, 9)), _place(())
    (', line 3', ', lines 3, 4 and 9', ', 5 lines from 2 to 9', '')
    """
    if len(lines) > 3:
        return f", {len(lines)} lines from {lines[0]} to {lines[-1]}"
    if len(lines) > 1:
        return f", lines {', '.join(map(str, lines[:-1]))} and {lines[-1]}"
    return f", line {lines[0]}" if lines else ""


def environment(**known: Any) -> Environment:
    """Return the environment of a run of which only a part is known."""
    fields: dict[str, Any] = dict.fromkeys(("fairprint", "python", "system", "cpu", "device"), NOT_KNOWN)
    return Environment(**{**fields, "threads": None, "versions": {}, **known})


def imported_factor(
    kg_per_kwh: float,
    *,
    file: Path,
    line: int | None = None,
    country: str | None,
    region: str | None = None,
    cloud_region: str | None = None,
) -> GridFactor:
    """Return the grid factor that another program took, which is the ratio of its emissions and its energy.

    Raises:
        ProbeFileError: no electricity has such a factor.
    """
    if not kg_per_kwh <= MOST_KG_PER_KWH:
        raise ProbeFileError(
            f"emissions over energy are {kg_per_kwh:g} kg per kWh: expected at most {MOST_KG_PER_KWH:g}",
            file=str(file),
            line=line,
            hint="emissions in g, or energies in Wh, are not what this program writes",
        )
    half_width = CLOUD_HALF_WIDTH
    return GridFactor(
        kg_per_kwh=kg_per_kwh,
        low_kg_per_kwh=kg_per_kwh * (1 - half_width),
        high_kg_per_kwh=kg_per_kwh * (1 + half_width),
        country_iso_code=country,
        region=region,
        cloud_region=cloud_region,
        source=f"imported: emissions over energy of {file.name}",
        year=None,
        method=f"as that program took it, without a year; range ±{100 * half_width:.0f} % (our assumption)",
    )


def without_energy(spent: Mapping[str, float]) -> str | None:
    """Return why energies are no total, or None."""
    return None if sum(spent.values()) > 0 else "the file reports no energy"


def amount(text: str, what: str, *, file: Path | str, line: int, least: float = 0.0, most: float) -> float:
    """Return a number of a file.

    Raises:
        ProbeFileError: it is none, or out of its range.
    """
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:  # also where it is not a number
        message = f"{what} is {text!r}: expected a number from {least:g} to {most:g}"
        raise ProbeFileError(message, file=str(file), line=line)
    return value if value >= LEAST else 0.0
