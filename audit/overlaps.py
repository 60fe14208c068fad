"""Meters of one machine laid over each other, so that what two of them measured at once counts once.

The energy of a machine is that over the union of the stretches in which it was metered. Where several meters went on at
once, one of them is believed: the one that saw most components, then the one with the finest record of time. The energy
stands with the run that began last: an audit inside of a training is an audit, whoever measured it.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from fairprint.audit.records import Clock, Component

Detail = Literal["samples", "curve", "straight line", "nothing"]
FINENESS: dict[Detail, int] = {"samples": 3, "curve": 2, "straight line": 1, "nothing": 0}
"""How finely a meter knows when its energy was used; between two points of it the power is taken as even."""

UNKNOWN_MACHINE = ""
"""Stands for the machine of runs that do not say theirs."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Sensor:
    """What measured a part of some energy; its error is the same in all runs that it measured."""

    machine: str
    component: str
    sensor: str
    half_width: float


Energies = Mapping[Sensor, float]
"""Energy (kWh) by the sensor that measured it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """One stretch in which one run was metered.

    Attributes:
        sensors: that gave an energy; none where metering failed.
        times_s: of the points, on the clock, rising from its begin to its end.
        energy_kwh: energy since the begin at each point, in the order of the sensors.
    """

    run_id: str
    clock: Clock
    sensors: tuple[Sensor, ...]
    times_s: tuple[float, ...]
    energy_kwh: tuple[tuple[float, ...], ...]
    detail: Detail

    def at(self, time_s: float) -> tuple[float, ...]:
        """Return the energy (kWh) up to a time of the clock, on a straight line between two points."""
        after = bisect_right(self.times_s, time_s)
        if after == 0:
            return self.energy_kwh[0]
        if after == len(self.times_s):
            return self.energy_kwh[-1]
        before = after - 1
        share = (time_s - self.times_s[before]) / (self.times_s[after] - self.times_s[before])
        pairs = zip(self.energy_kwh[before], self.energy_kwh[after], strict=True)
        return tuple(low + share * (high - low) for low, high in pairs)

    def between(self, begin_s: float, end_s: float) -> dict[Sensor, float]:
        """Return the energy (kWh) of a stretch by sensor."""
        return {
            sensor: high - low for sensor, low, high in zip(self.sensors, self.at(begin_s), self.at(end_s), strict=True)
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What is taken off a run, since another meter measured the same.

    Attributes:
        run_id: whose number is changed.
        counted_with: the run with which the energy stands; ``run_id`` itself where only another meter is believed.
        measured_by: the run whose meter is believed.
        energy_kwh: less of ``run_id`` than it measured; below 0 where the other meter saw more.
        duration_s: for how long both went on.
    """

    run_id: str
    counted_with: str
    measured_by: str
    energy_kwh: float
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What is left when all that was measured twice counts once.

    Attributes:
        energy_kwh: by run; together they are the energy over the union of all stretches.
        duration_s: by run; together they are the length of the union.
        shared: what was taken off, and why: what a run measured less these is what counts.
        unknown_s: for how long a run was metered without an energy, and no other meter knew it.
    """

    energy_kwh: dict[str, dict[Sensor, float]] = field(default_factory=dict)
    duration_s: dict[str, float] = field(default_factory=dict)
    shared: tuple[Shared, ...] = ()
    unknown_s: dict[str, float] = field(default_factory=dict)


def sensors_of(components: Iterable[Component], machine: str) -> dict[Sensor, float]:
    """Return the energies (kWh) of the components of a run by sensor."""
    found: dict[Sensor, float] = {}
    for part in components:
        if part.energy_kwh is not None:
            half_width = part.half_width or 0.0
            sensor = Sensor(machine=machine, component=part.name, sensor=part.sensor, half_width=half_width)
            found[sensor] = found.get(sensor, 0.0) + part.energy_kwh
    return found


def meter_of(
    run_id: str,
    clock: Clock,
    energies: Energies,
    points: Sequence[tuple[float, Mapping[str, float]]] = (),
    detail: Detail = "straight line",
) -> Meter:
    """Return a meter whose energy is that of the record, and whose course is that of the points.

    Args:
        run_id: of the run.
        clock: when.
        energies: of the whole stretch; empty where none is known.
        points: seconds since the begin, and the energy (kWh) by component since then; what is before the first and
            after the last of them lies on a straight line to the ends. Points that fall, or have no energy where the
            record has some, are not believed: the line is straight then.
        detail: what the points are.
    """
    sensors = tuple(sorted(energies))
    if not sensors:
        return Meter(run_id=run_id, clock=clock, sensors=(), times_s=(0.0,), energy_kwh=((),), detail="nothing")
    total = tuple(energies[sensor] for sensor in sensors)
    inside = _course(sensors, energies, points, clock.end_s - clock.begin_s)
    if inside is None:
        inside, detail = [], "straight line"
    rows = [(clock.begin_s, (0.0,) * len(sensors))]
    for time_s, row in (*((clock.begin_s + t, row) for t, row in inside), (clock.end_s, total)):
        if time_s > rows[-1][0]:
            rows.append((time_s, row))
    if rows[-1][0] == clock.end_s:
        rows[-1] = (clock.end_s, total)
    times, energy = zip(*rows, strict=True)
    return Meter(run_id=run_id, clock=clock, sensors=sensors, times_s=times, energy_kwh=energy, detail=detail)


def _course(
    sensors: Sequence[Sensor], energies: Energies, points: Sequence[tuple[float, Mapping[str, float]]], length_s: float
) -> list[tuple[float, tuple[float, ...]]] | None:
    """Return the points by sensor, so that their whole is that of the record; None where they cannot be believed."""
    inside = [(time_s, energy) for time_s, energy in points if 0 <= time_s <= length_s]
    names = [sensor.component for sensor in sensors]
    if len(inside) < 2 or len(set(names)) < len(names):
        return None
    first, last = inside[0][1], inside[-1][1]
    scales = []
    for sensor in sensors:
        spent = last.get(sensor.component, 0.0) - first.get(sensor.component, 0.0)
        if spent <= 0 < energies[sensor]:
            return None
        scales.append(energies[sensor] / spent if spent > 0 else 0.0)
    found = [
        (
            time_s,
            tuple(
                (energy.get(name, 0.0) - first.get(name, 0.0)) * scale
                for name, scale in zip(names, scales, strict=True)
            ),
        )
        for time_s, energy in inside
    ]
    rising = all(
        low[0] < high[0] and all(a <= b for a, b in zip(low[1], high[1], strict=True)) for low, high in pairwise(found)
    )
    return found if rising else None


def overlapping(clocks: Iterable[tuple[str, Clock]]) -> set[str]:
    """Return the runs that were metered while another one was, on the same machine."""
    found: set[str] = set()
    for some in _by_boot(clocks).values():
        latest: tuple[float, str] | None = None
        for run_id, clock in sorted(some, key=lambda pair: (pair[1].begin_s, pair[1].end_s, pair[0])):
            if latest is not None and clock.begin_s < latest[0]:
                found |= {run_id, latest[1]}
            if latest is None or clock.end_s > latest[0]:
                latest = (clock.end_s, run_id)
    return found


def _by_boot(clocks: Iterable[tuple[str, Clock]]) -> dict[tuple[str, str], list[tuple[str, Clock]]]:
    found: dict[tuple[str, str], list[tuple[str, Clock]]] = {}
    for run_id, clock in clocks:
        found.setdefault((clock.machine, clock.boot), []).append((run_id, clock))
    return found


def counted_once(meters: Iterable[Meter]) -> Counted:
    """Return the energy over the union of the stretches of each machine, by run.

    The order of the meters does not matter.
    """
    counts = Counted()
    shared: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    machines: dict[tuple[str, str], list[Meter]] = {}
    for meter in meters:
        machines.setdefault((meter.clock.machine, meter.clock.boot), []).append(meter)
    for _, some in sorted(machines.items()):
        _sweep(some, counts, shared)
    told = [
        Shared(
            run_id=run_id,
            counted_with=owner,
            measured_by=best,
            energy_kwh=math.fsum(energy for energy, _ in parts),
            duration_s=math.fsum(length for _, length in parts),
        )
        for (run_id, owner, best), parts in sorted(shared.items())
    ]
    return Counted(
        energy_kwh=counts.energy_kwh, duration_s=counts.duration_s, shared=tuple(told), unknown_s=counts.unknown_s
    )


def _sweep(
    meters: Sequence[Meter], counts: Counted, shared: dict[tuple[str, str, str], list[tuple[float, float]]]
) -> None:
    """Go over the time of one machine from one begin or end to the next: who goes on in between does not change."""
    begins: dict[float, list[Meter]] = {}
    ends: set[float] = set()
    for meter in sorted(meters, key=lambda meter: (meter.clock.begin_s, meter.clock.end_s, meter.run_id)):
        counts.energy_kwh.setdefault(meter.run_id, {})
        counts.duration_s.setdefault(meter.run_id, 0.0)
        if meter.clock.end_s <= meter.clock.begin_s:
            _add(counts.energy_kwh[meter.run_id], dict(zip(meter.sensors, meter.energy_kwh[-1], strict=True)))
        else:
            begins.setdefault(meter.clock.begin_s, []).append(meter)
            ends.add(meter.clock.end_s)
    active: list[Meter] = []
    for begin_s, end_s in pairwise(sorted({*begins, *ends})):
        active = [meter for meter in active if meter.clock.end_s > begin_s] + begins.get(begin_s, [])
        if not active:
            continue
        owner = max(active, key=lambda meter: (meter.clock.begin_s, -meter.clock.end_s, meter.run_id))
        best = max(active, key=_trust)
        energies = best.between(begin_s, end_s)
        _add(counts.energy_kwh[owner.run_id], energies)
        counts.duration_s[owner.run_id] += end_s - begin_s
        if not best.sensors:
            counts.unknown_s[owner.run_id] = counts.unknown_s.get(owner.run_id, 0.0) + end_s - begin_s
        for meter in active:
            own_kwh = math.fsum(meter.between(begin_s, end_s).values())
            stays = math.fsum(energies.values()) if meter is owner else 0.0
            if meter is not owner or best is not owner:
                key = (meter.run_id, owner.run_id, best.run_id)
                shared.setdefault(key, []).append((own_kwh - stays, end_s - begin_s))


def _trust(meter: Meter) -> tuple[int, int, float, float, str]:
    """Return what makes a meter more believable: components, a fine record, many points a second, a long stretch."""
    length_s = meter.clock.end_s - meter.clock.begin_s
    return (
        len(meter.sensors),
        FINENESS[meter.detail],
        len(meter.times_s) / length_s,
        length_s,
        meter.run_id,
    )


def _add(into: dict[Sensor, float], energies: Energies) -> None:
    for sensor, energy_kwh in energies.items():
        into[sensor] = into.get(sensor, 0.0) + energy_kwh
