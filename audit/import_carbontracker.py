"""carbontracker's logs as records: one run a pair of files, ``…_carbontracker.log`` and ``…_carbontracker_output.log``.

The first tells the version, the PUE, and of each epoch its duration and the mean power of each component; the second
tells totals, predicted and actual. As its source has it, the PUE multiplies these totals and nothing else: 1.59 in
1.1.6, 1.55 in 1.2.5, 1.58 from 2.0.0 to 2.4.7. Each log names its own, which is divided out here. Since 2.0.0 powers of
several devices of one component are averaged, not added up, so that its totals are too low by their number; tried out
with 2.4.7.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from fairprint.audit.carbon_sensors import GUESSED_HALF_WIDTH, HALF_WIDTHS
from fairprint.audit.carbontracker_logs import Epoch, Log, Output, Totals, read_log, read_output
from fairprint.audit.grid import resolve_grid
from fairprint.audit.imported import Measured, Stretch, environment, imported_factor, without_energy
from fairprint.audit.places import nearest_country
from fairprint.audit.records import Component, GridFactor
from fairprint.probes.errors import ProbeFileError, UsageError

LOG, OUTPUT = "_carbontracker.log", "_carbontracker_output.log"

PRECISE = 0.005
"""Share of a total up to which the rounding of its printed digits is let pass."""

AGREEMENT = 0.02
"""Share from which on the total and the sum of the epochs are said to disagree; durations are printed in 10 ms."""

_COUNTERS = re.compile(r"(cpu|dram|package|core|uncore)[\w-]*:\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Energies:
    """Energy of each epoch by component (kWh, without PUE), and what is to be said of it."""

    epochs: tuple[dict[str, float], ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def log_pairs(path: Path) -> list[tuple[Path, Path]]:
    """Return the pairs of logs of a folder, or the one that a file belongs to; one of the two may not be there.

    Raises:
        UsageError: there is none.
    """
    files = sorted(path.glob("*_carbontracker*.log")) if path.is_dir() else [path]
    stems = {re.sub(f"({LOG}|{OUTPUT})$", "", str(file)) for file in files if file.name.endswith((LOG, OUTPUT))}
    if not stems and path.is_file():
        hint = f"give its log the name that carbontracker gave it, such as 4711.12_2026-01-31T120000Z{LOG}"
        raise UsageError(f"{path}: expected a name that ends in {LOG} or {OUTPUT}", hint=hint)
    if not stems:
        raise UsageError(f"{path} holds no log of carbontracker: expected files that end in {LOG}")
    return [(Path(stem + LOG), Path(stem + OUTPUT)) for stem in sorted(stems)]


def read_carbontracker(path: Path) -> list[Measured]:
    """Return the runs of a folder of logs, or of one of them.

    Raises:
        ProbeFileError: a file or a value of it cannot be used.
        UsageError: there are no logs.
    """
    return [_measured(log, output) for log, output in log_pairs(path)]


def _measured(log_file: Path, output_file: Path) -> Measured:
    if not log_file.is_file():
        hint = f"put {log_file.name} beside it: without it the PUE in its totals and their components are not known"
        raise ProbeFileError(f"{log_file.name} is missing", file=str(output_file), hint=hint)
    log = read_log(log_file)
    output = read_output(output_file) if output_file.is_file() else Output(actual=None, predicted=None, sha256="")
    found = _energies(log, output)
    total = {name: sum(epoch[name] for epoch in found.epochs) for name in log.devices}
    grid, place_warnings, place_notes = _place(log, output, output_file)
    stem = log_file.name.removesuffix(LOG)
    stretches = tuple(
        Stretch(name=f"epoch {epoch.number}", phase="epoch", duration_s=epoch.duration_s, energy_kwh=energy)
        for epoch, energy in zip(log.epochs, found.epochs, strict=True)
    )
    windows = _windows(log.epochs)
    return Measured(
        file=log_file.name,
        lines=(),
        sha256=hashlib.sha256(f"{log.sha256} {output.sha256}".encode()).hexdigest(),
        key=stem,
        default_name="carbontracker",
        training=True,
        started=log.started,
        finished=max(log.finished, windows[-1][0] + timedelta(seconds=windows[-1][1])),
        status="done" if log.ended or output.actual is not None else "truncated",
        stretches=stretches,
        windows=windows,
        components=_components(log),
        grid=grid,
        pue=log.pue,
        wue=None,
        meter=f"carbontracker {log.version or 'of a version not told'}; imported",
        environment=environment(versions={"carbontracker": log.version} if log.version else {}),
        epochs=float(len(log.epochs)),
        failure=without_energy(total),
        warnings=(*place_warnings, *found.warnings, *_warnings(log)),
        notes=(*found.notes, *_notes(log, output), *place_notes),
    )


def _energies(log: Log, output: Output) -> _Energies:
    """Return the energy of each epoch, which add up to the actual total where it is told precisely."""
    notes, warnings = [], []
    filled = {name: _filled([epoch.power_w.get(name) for epoch in log.epochs]) for name in log.devices}
    if any(epoch.power_w.get(name) is None for epoch in log.epochs for name in log.devices):
        warnings.append("epochs too short for a sample have the power of the next one, as in carbontracker's own total")
    epochs = tuple(
        {name: filled[name][n] * epoch.duration_s / 3.6e6 for name in log.devices} for n, epoch in enumerate(log.epochs)
    )
    added = sum(sum(epoch.values()) for epoch in epochs)
    if log.pue is None:
        return _Energies(epochs=epochs, notes=("the log names no PUE: the energy is that of its epochs",), warnings=())
    if output.actual is None:
        why = "carbontracker told no actual total: the energy is that of the epochs, mean power x duration, without PUE"
        return _Energies(epochs=epochs, notes=(why,), warnings=tuple(warnings))
    told = output.actual.energy_kwh
    machine_kwh = told / log.pue
    notes.append(
        f"carbontracker's actual total, {told:.6g} kWh, holds a PUE of {log.pue:g}, which was divided out: "
        f"{machine_kwh:.6g} kWh"
    )
    if told <= 0 or added <= 0 or output.actual.resolution_kwh / 2 > PRECISE * told:
        notes.append("its total is printed with too few digits: the energy is that of the epochs, power x duration")
        return _Energies(epochs=epochs, notes=tuple(notes), warnings=tuple(warnings))
    if abs(added / machine_kwh - 1) > AGREEMENT:
        warnings.append(
            f"the epochs add up to {added:.6g} kWh without PUE, carbontracker's total says {machine_kwh:.6g}"
        )
    scaled = tuple({name: kwh * machine_kwh / added for name, kwh in epoch.items()} for epoch in epochs)
    return _Energies(epochs=scaled, notes=tuple(notes), warnings=tuple(warnings))


def _filled(powers: Sequence[float | None]) -> list[float]:
    """Return powers with those that nobody sampled: that of the next epoch, else of the last one that has any."""
    found: list[float] = []
    for n, power in enumerate(powers):
        later = next((each for each in powers[n:] if each is not None), None)
        found.append(power if power is not None else later if later is not None else found[-1] if found else 0.0)
    return found


def _windows(epochs: Sequence[Epoch]) -> tuple[tuple[datetime, float], ...]:
    return tuple((epoch.ended - timedelta(seconds=epoch.duration_s), epoch.duration_s) for epoch in epochs)


def _components(log: Log) -> tuple[Component, ...]:
    return tuple(
        _component(name, log.devices[name], [epoch.power_w.get(name) for epoch in log.epochs])
        if name in log.devices
        else Component(name=name, energy_kwh=None, sensor="none", half_width=None, detail=f"no {name} in the log")
        for name in ("cpu", "gpu", "ram")
    )


def _component(name: str, devices: Sequence[str], powers: Sequence[float | None]) -> Component:
    """Return a component: its power was read from a sensor where it varies, or where the devices are counters."""
    told = ", ".join(devices) or "a device not told"
    known = {power for power in powers if power is not None}
    counters = all(_COUNTERS.fullmatch(device.strip()) for device in devices) and bool(devices)
    steady = len(known) == 1 and sum(power is not None for power in powers) > 1
    if counters or len(known) > 1 or (name == "gpu" and not steady):
        detail = f"power of {told}, sampled"
        return Component(
            name=name, energy_kwh=None, sensor="sampled power", half_width=HALF_WIDTHS["sampled power"], detail=detail
        )
    detail = f"{told}: one constant power, such as half of a listed or guessed full-load power, or a simulated one"
    return Component(name=name, energy_kwh=None, sensor="constant", half_width=GUESSED_HALF_WIDTH, detail=detail)


def _place(log: Log, output: Output, file: Path) -> tuple[GridFactor, list[str], list[str]]:
    """Return the grid factor that carbontracker took, warnings and notes; the world's range without a place."""
    told = output.actual
    if told is None or told.co2_g is None or told.energy_kwh <= 0:
        return resolve_grid(), ["the log tells no emissions: the place is not known"], []
    factor = told.co2_g / told.energy_kwh / 1000
    note = f"carbontracker told {told.co2_g / 1000:.6g} kg, at {factor:.6g} kg per kWh"
    country = nearest_country(log.country) if log.country else None
    if country is None:
        warning = (
            "the place is not known: carbontracker could not ask for it, and took an average of the world; "
            "fairprint runs rebind RUN --country-iso-code gives the emissions elsewhere"
        )
        return resolve_grid(), [warning], [note]
    return imported_factor(factor, file=file, country=country), [], [note]


def _warnings(log: Log) -> list[str]:
    found = ["carbontracker counts no memory, and nothing between its epochs"]
    for name, devices in log.devices.items():
        if len(devices) > 1 and any(name in epoch.averaged for epoch in log.epochs):
            found.append(
                f"the log tells one mean power for {len(devices)} devices of {name.upper()} ({', '.join(devices)}): "
                f"since 2.0.0 carbontracker averages over them, so that the energy of all is up to "
                f"{len(devices)} times as much"
            )
    return found


def _notes(log: Log, output: Output) -> list[str]:
    found = []
    if log.interrupted:
        found.append("the training was stopped before all of its epochs")
    if output.predicted is not None:
        predicted: Totals = output.predicted
        epochs = "" if predicted.epochs is None else f" of {predicted.epochs} epochs"
        found.append(
            f"carbontracker predicted {predicted.energy_kwh:.6g} kWh for the whole training{epochs}, with its PUE: a "
            f"forecast, not counted here; {len(log.epochs)} epochs were metered"
        )
    return found
