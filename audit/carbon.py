"""What a run costs: energy of the machine, and the emissions that its electricity caused.

Nothing here goes online, and importing it does not import CodeCarbon.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Self

from fairprint.audit.carbon_sensors import Reading, Session, torch_gpus, why
from fairprint.audit.cpu_time import cpu_seconds
from fairprint.audit.footprints import check_pue, check_wue, mean_power_w, totals_of
from fairprint.audit.neighbours import boot, machine
from fairprint.audit.records import Clock, Component, Footprint, GridFactor, Segment
from fairprint.probes.errors import FairprintError, UsageError

MIN_DURATION_S = 0.1
"""Shorter runs have no energy: the load of the processor comes in steps of 10 ms of CPU time."""

WARN_SHARE = 0.5
"""From this share of the energy on, a component that is assumed rather than measured gets a warning."""

MAX_LOSS = 0.05
"""From this share of the duration without a sample on, a warning says so."""

IDLE_BY_MODEL = "power without load as the models of the sensors say it, over the time that the samples cover"


def sensors() -> tuple[Component, ...]:
    """Return what would be measured on this machine, and how; the energies are None.

    The first call in a process takes two or three seconds.

    Raises:
        FairprintError: CodeCarbon could not look.
    """
    try:
        session = Session(start=False)
    except Exception as error:
        raise FairprintError(f"the sensors of this machine could not be listed{why(error)}") from error
    session.close()
    return session.components


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Where and how a machine is metered.

    Args:
        grid: the place, from `resolve_grid`.
        pue: power usage effectiveness of the data centre; None where not known, and then not applied.
        wue: water usage effectiveness in l/kWh; None where not known, and then no water is told.
        interval_s: seconds between two samples.

    Raises:
        UsageError: the PUE is below 1, the WUE below 0, or the interval not above 0.
    """

    grid: GridFactor
    pue: float | None = None
    wue: float | None = None
    interval_s: float = 1.0

    def __post_init__(self) -> None:
        check_pue(self.pue)
        check_wue(self.wue)
        if not (math.isfinite(self.interval_s) and self.interval_s > 0):
            raise UsageError(
                f"a sampling interval of {self.interval_s} s is impossible: expected more than 0, such as 1"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a meter saw from its first to its last sample.

    Attributes:
        components: the sensors, without energy.
        first, last: the readings; None where there is none.
        started_at: the wall clock, ISO 8601.
        duration_s: of the whole run, by the monotonic clock.
        own_cpu_s, machine_cpu_s: CPU-seconds of the run's processes and of the machine; None where not known.
        gpus: how many are metered; gpus_seen: how many torch sees.
        idle_w: lowest power seen of each component whose power is measured; empty where nobody looked.
        remarks: what went wrong while sampling, and what was set aside.
        failure: why there is no total; None where there may be one.
        clock: when, so that it can be laid over what others metered; None where the run's own record says it.
    """

    components: tuple[Component, ...]
    first: Reading | None
    last: Reading | None
    started_at: str
    duration_s: float
    own_cpu_s: float | None = None
    machine_cpu_s: float | None = None
    gpus: int = 0
    gpus_seen: int = 0
    idle_w: dict[str, float] | None = None
    remarks: tuple[str, ...] = ()
    failure: str | None = None
    clock: Clock | None = None


def settled(seen: Seen, conditions: Conditions) -> Footprint:
    """Return the footprint of what a meter saw."""
    components, loss = _spent(seen)
    failure = seen.failure or _failure(components, seen)
    totals = totals_of(components, conditions.grid, conditions.pue, failure, conditions.wue)
    energy_kwh: float | None = totals["energy_kwh"]
    attributed = None
    if energy_kwh is not None and seen.own_cpu_s is not None and seen.machine_cpu_s:
        attributed = energy_kwh * min(1.0, seen.own_cpu_s / seen.machine_cpu_s)
    above_idle_kwh, idle_method = _above_idle(components, energy_kwh, seen)
    fate = failure or ""
    segment = Segment(
        started_at=seen.started_at, duration_s=seen.duration_s, metered=not fate, note=fate, clock=seen.clock
    )
    return Footprint(
        **totals,
        duration_s=seen.duration_s,
        mean_power_w=mean_power_w(energy_kwh, seen.duration_s),
        own_cpu_s=seen.own_cpu_s,
        machine_cpu_s=seen.machine_cpu_s,
        attributed_energy_kwh=attributed,
        measurement_loss=loss,
        components=components,
        meter=f"CodeCarbon {version('codecarbon')}, offline tracker, whole machine, "
        f"one sample every {conditions.interval_s:g} s",
        warnings=_warnings(components, failure, loss, seen.remarks),
        segments=(segment,),
        above_idle_energy_kwh=above_idle_kwh,
        idle_method=idle_method,
    )


def _spent(seen: Seen) -> tuple[tuple[Component, ...], float | None]:
    """Return the components with their energy (kWh), and the share of the duration that no sample covers."""
    if seen.first is None or seen.last is None:
        return seen.components, None
    first, last = seen.first.energy_kwh, seen.last.energy_kwh
    spent = {name: last[name] - first[name] for name in last}
    usable = {name: value for name, value in spent.items() if math.isfinite(value) and value >= 0}
    components = tuple(
        part if part.sensor == "none" else part.model_copy(update={"energy_kwh": usable.get(part.name)})
        for part in seen.components
    )
    if seen.duration_s <= 0:
        return components, None
    return components, max(0.0, 1 - (seen.last.covered_s - seen.first.covered_s) / seen.duration_s)


def _above_idle(components: Sequence[Component], energy_kwh: float | None, seen: Seen) -> tuple[float | None, str]:
    """Return the energy above what the machine uses without load (kWh), and where that comes from."""
    if energy_kwh is None:
        return None, ""
    floor_w, method = 0.0, IDLE_BY_MODEL
    for part in (part for part in components if part.energy_kwh is not None):
        if part.idle_w is not None:
            floor_w += part.idle_w
        elif seen.idle_w is not None and part.name in seen.idle_w:
            floor_w += seen.idle_w[part.name]
            method = "the lowest power of any sample of this run, or what the model of the sensor says; at least"
        else:
            return None, f"not known: nobody saw the {part.name} idle"
    # over the time that the samples cover, as the energy is
    covered_s = seen.last.covered_s - seen.first.covered_s if seen.last and seen.first else seen.duration_s
    return max(0.0, energy_kwh - floor_w * covered_s / 3.6e6), method


def _failure(components: Sequence[Component], seen: Seen) -> str | None:
    """Return why the energies cannot be added up to the machine's, or None."""
    if seen.duration_s < MIN_DURATION_S:
        return f"below resolution: the run took less than {MIN_DURATION_S} s"
    for part in components:
        if part.sensor != "none" and part.energy_kwh is None:
            return f"the {part.name} sensor gave no usable number"
    if not sum(part.energy_kwh or 0.0 for part in components) > 0:
        return "the sensors reported no energy"
    if seen.gpus_seen > seen.gpus:
        return f"torch sees {seen.gpus_seen} GPUs, but {seen.gpus} were metered"
    return None


def _warnings(
    components: Sequence[Component], failure: str | None, loss: float | None, remarks: Sequence[str]
) -> tuple[str, ...]:
    """Return what a reader must know of a meter's numbers."""
    found = [] if failure is None else [f"not metered: {failure}"]
    total = sum(part.energy_kwh or 0.0 for part in components)
    for part in components:
        if part.sensor != "none" and part.energy_kwh == 0:
            found.append(f"the {part.name} sensor reported no energy")
        elif part.sensor == "constant" and total > 0 and (part.energy_kwh or 0.0) / total >= WARN_SHARE:
            share = 100 * (part.energy_kwh or 0.0) / total
            found.append(f"{share:.0f} % of the energy was not measured but assumed: {part.name}, {part.detail}")
    if failure is None and loss is not None and loss >= MAX_LOSS:
        found.append(f"no sample covers {100 * loss:.0f} % of the duration: the energy is a lower bound")
    return (*found, *remarks)


def remarks_of(session: Session) -> tuple[str, ...]:
    """Return what went wrong in a session, and which settings it set aside, in words."""
    aside = f"settings of CodeCarbon were found and set aside: {', '.join(session.overrides)}"
    return (*session.problems(), *((aside,) if session.overrides else ()))


class Meter:
    """Meters the block of a with statement: it runs while its block does.

    The footprint is set however the block ends. A meter that fails never ends the block: its footprint then has
    energy None and a reason. Starting takes two or three seconds the first time, which are not counted.
    """

    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions
        self._session: Session | None = None
        self._failure: str | None = None
        self._footprint: Footprint | None = None

    @property
    def footprint(self) -> Footprint:
        """What the block cost.

        Raises:
            RuntimeError: the block has not ended.
        """
        if self._footprint is None:
            raise RuntimeError("the metered block has not ended")
        return self._footprint

    def __enter__(self) -> Self:
        self._first: Reading | None = None
        self._cpu: tuple[float, float] | None = None
        try:
            self._session = Session(interval_s=self._conditions.interval_s)
            self._cpu = cpu_seconds()
            self._first = self._session.read()
        except Exception as error:
            self._failure = f"metering did not start{why(error)}"
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds")
        self._clock = time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        duration_s = time.perf_counter() - self._clock
        last = None
        try:
            if self._session is not None and self._failure is None:
                last = self._session.read()
        except Exception as error:
            self._failure = f"metering did not end{why(error)}"
        finally:
            self._footprint = settled(self._seen(duration_s, last), self._conditions)
            if self._session is not None:
                self._session.close()

    def _seen(self, duration_s: float, last: Reading | None) -> Seen:
        cpu, session = cpu_seconds(), self._session
        own_s, machine_s = (cpu[0] - self._cpu[0], cpu[1] - self._cpu[1]) if cpu and self._cpu else (None, None)
        return Seen(
            components=session.components if session else (),
            first=self._first,
            last=last,
            started_at=self._started_at,
            duration_s=duration_s,
            own_cpu_s=own_s,
            machine_cpu_s=machine_s,
            gpus=session.gpus if session else 0,
            gpus_seen=torch_gpus() if session else 0,
            remarks=remarks_of(session) if session else (),
            failure=self._failure,
            clock=Clock(machine=machine(), boot=boot(), begin_s=self._clock, end_s=self._clock + duration_s),
        )
