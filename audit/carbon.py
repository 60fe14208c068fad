"""What a run costs: energy of the machine, and the emissions that its electricity caused.

Energy is measured once and kept; the grid factor and the PUE are bound to it late, so that a footprint can be
recomputed for another place (`rebind`). Nothing here goes online, and importing it does not import CodeCarbon.
"""

import math
import random
import statistics
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Self

from fairprint.audit.carbon_sensors import (
    Reading,
    Session,
    countries,
    cpu_seconds,
    nearest_country,
    regions,
    torch_gpus,
    why,
)
from fairprint.audit.records import Component, Footprint, GridFactor, Segment
from fairprint.probes.errors import FairprintError, UsageError

DRAWS, SEED = 10_000, 0
MIN_DURATION_S = 0.1
"""Shorter runs have no energy: the load of the processor comes in steps of 10 ms of CPU time."""

WARN_SHARE = 0.5
"""From this share of the energy on, a component that is assumed rather than measured gets a warning."""

FACTOR_HALF_WIDTH, FACTOR_HALF_WIDTH_PER_YEAR = 0.1, 0.02

COUNTRY_METHOD = "life-cycle average of what was generated in a year (Our World in Data, Ember)"
REGION_DATA = {
    "USA": ("2023/usa_emissions.json", "direct CO2-equivalent of generation in the state, EPA eGRID; not life-cycle"),
    "CAN": ("2023/canada_energy_mix.json", "combustion only, from the fuel mix; hydro, nuclear and wind count as 0"),
}
REGION_YEAR = 2023

NUMBERS = ("energy_kwh", "energy_low_kwh", "energy_high_kwh", "emissions_kg", "emissions_low_kg", "emissions_high_kg")


def _source(file: str) -> str:
    return f"CodeCarbon {version('codecarbon')}, data/private_infra/{file}"


def resolve_grid(country_iso_code: str | None, *, region: str | None = None, now_year: int | None = None) -> GridFactor:
    """Return the carbon intensity of a place's electricity, from the data that CodeCarbon brings along.

    Args:
        country_iso_code: ISO 3166 alpha-3, in either case; None where the place is unknown.
        region: name of a US state or a Canadian province, in either case.
        now_year: year of the run, from which the age of the figure is counted; None is the present year.

    Returns:
        The factor in kg CO2-equivalent per kWh; with no country only the range over the world's countries.

    Raises:
        UsageError: the country or the region is not known.
    """
    table = countries()
    if country_iso_code is None and region is not None:
        raise UsageError(f"region {region!r} was given without a country")
    if country_iso_code is None:
        return _world(table)
    code = country_iso_code.strip().upper()
    if code not in table:
        raise _unknown_country(country_iso_code, table)
    file, method, year = "global_energy_mix.json", COUNTRY_METHOD, int(table[code]["year"])
    kg_per_kwh = table[code]["carbon_intensity"] / 1000
    if region is not None:
        region = _known_region(code, region)
        kg_per_kwh, year, (file, method) = regions(code)[region], REGION_YEAR, REGION_DATA[code]
    age = max(0, (now_year or datetime.now(UTC).year) - year)
    half_width = FACTOR_HALF_WIDTH + FACTOR_HALF_WIDTH_PER_YEAR * age
    method += f"; range ±{100 * half_width:.0f} %: 10 % and 2 % for each of {age} years of age (our assumption)"
    return GridFactor(
        kg_per_kwh=kg_per_kwh,
        low_kg_per_kwh=kg_per_kwh * (1 - half_width),
        high_kg_per_kwh=kg_per_kwh * (1 + half_width),
        country_iso_code=code,
        region=region,
        source=_source(file),
        year=year,
        method=method,
    )


def _world(table: dict[str, dict[str, Any]]) -> GridFactor:
    """Return the range over all countries."""
    low, high = (choose(table.values(), key=lambda country: country["carbon_intensity"]) for choose in (min, max))
    return GridFactor(
        kg_per_kwh=None,
        low_kg_per_kwh=low["carbon_intensity"] / 1000,
        high_kg_per_kwh=high["carbon_intensity"] / 1000,
        country_iso_code=None,
        region=None,
        source=_source("global_energy_mix.json"),
        year=None,
        method=f"location unknown: from the lowest ({low['country_name']}) to the highest ({high['country_name']}) "
        f"of {len(table)} countries; each is a {COUNTRY_METHOD}",
    )


def _unknown_country(text: str, table: dict[str, dict[str, Any]]) -> UsageError:
    message, code = f"unknown country {text!r}: expected ISO 3166 alpha-3, such as KOR", nearest_country(text)
    if code is None:
        return UsageError(message)
    if code not in table:
        message = f"CodeCarbon has no usable figure for the electricity of {code}"
        return UsageError(message, hint="without a country the emissions span the world")
    return UsageError(message, hint=f"Did you mean {code} ({table[code]['country_name']})?")


def _known_region(code: str, region: str) -> str:
    if code not in REGION_DATA:
        raise UsageError(f"there are no figures for regions of {code}, only for those of {' and '.join(REGION_DATA)}")
    name = " ".join(region.casefold().split())
    if name not in regions(code):
        raise UsageError(f"unknown region {region!r} of {code}", hint=f"known are {', '.join(sorted(regions(code)))}")
    return name


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


class Meter:
    """Meters the block of a with statement; `measure` makes it."""

    def __init__(self, grid: GridFactor, pue: float | None, interval_s: float) -> None:
        self._grid = grid
        self._pue = pue
        self._interval_s = interval_s
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
            self._session = Session(interval_s=self._interval_s)
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
            self._footprint = self._settle(duration_s, last, cpu_seconds())
            if self._session is not None:
                self._session.close()

    def _settle(self, duration_s: float, last: Reading | None, cpu: tuple[float, float] | None) -> Footprint:
        components, loss = self._spent(duration_s, last)
        failure = self._failure or _failure(components, duration_s, self._session)
        totals = _totals(components, self._grid, self._pue, failure)
        energy_kwh: float | None = totals["energy_kwh"]
        own_s, machine_s = (cpu[0] - self._cpu[0], cpu[1] - self._cpu[1]) if cpu and self._cpu else (None, None)
        attributed = None
        if energy_kwh is not None and own_s is not None and machine_s:
            attributed = energy_kwh * min(1.0, own_s / machine_s)
        fate = failure or ""
        segment = Segment(started_at=self._started_at, duration_s=duration_s, metered=not fate, note=fate)
        return Footprint(
            **totals,
            duration_s=duration_s,
            mean_power_w=_mean_power_w(energy_kwh, duration_s),
            own_cpu_s=own_s,
            machine_cpu_s=machine_s,
            attributed_energy_kwh=attributed,
            measurement_loss=loss,
            components=components,
            meter=f"CodeCarbon {version('codecarbon')}, offline tracker, whole machine, "
            f"one sample every {self._interval_s:g} s",
            warnings=_warnings(components, failure, self._session),
            segments=(segment,),
        )

    def _spent(self, duration_s: float, last: Reading | None) -> tuple[tuple[Component, ...], float | None]:
        """Return the components with their energy (kWh), and the share of the duration that no sample covers."""
        found = self._session.components if self._session else ()
        if self._first is None or last is None:
            return found, None
        spent = {name: last.energy_kwh[name] - self._first.energy_kwh[name] for name in last.energy_kwh}
        usable = {name: value for name, value in spent.items() if math.isfinite(value) and value >= 0}
        components = tuple(
            part if part.sensor == "none" else part.model_copy(update={"energy_kwh": usable.get(part.name)})
            for part in found
        )
        return components, max(0.0, 1 - (last.covered_s - self._first.covered_s) / duration_s)


def _failure(components: Sequence[Component], duration_s: float, session: Session | None) -> str | None:
    """Return why the energies cannot be added up to the machine's, or None."""
    if duration_s < MIN_DURATION_S:
        return f"below resolution: the run took less than {MIN_DURATION_S} s"
    for part in components:
        if part.sensor != "none" and part.energy_kwh is None:
            return f"the {part.name} sensor gave no usable number"
    if not sum(part.energy_kwh or 0.0 for part in components) > 0:
        return "the sensors reported no energy"
    if session is not None and torch_gpus() > session.gpus:
        return f"torch sees {torch_gpus()} GPUs, but {session.gpus} were metered"
    return None


def _warnings(components: Sequence[Component], failure: str | None, session: Session | None) -> tuple[str, ...]:
    """Return what a reader must know of a meter's numbers."""
    found = [] if failure is None else [f"not metered: {failure}"]
    total = sum(part.energy_kwh or 0.0 for part in components)
    for part in components:
        if part.sensor != "none" and part.energy_kwh == 0:
            found.append(f"the {part.name} sensor reported no energy")
        elif part.sensor == "constant" and total > 0 and (part.energy_kwh or 0.0) / total >= WARN_SHARE:
            share = 100 * (part.energy_kwh or 0.0) / total
            found.append(f"{share:.0f} % of the energy was not measured but assumed: {part.name}, {part.detail}")
    if session is not None:
        found += session.problems()
        if session.overrides:
            found.append(f"settings of CodeCarbon were found and set aside: {', '.join(session.overrides)}")
    return tuple(found)


def _mean_power_w(energy_kwh: float | None, duration_s: float) -> float | None:
    return None if energy_kwh is None or duration_s <= 0 else energy_kwh * 3.6e6 / duration_s


def _totals(
    components: Sequence[Component], grid: GridFactor, pue: float | None, failure: str | None
) -> dict[str, Any]:
    """Return the fields of a footprint that follow from its components, the place and the PUE.

    With a failure, which says why there is no total, all numbers are None.
    """
    parts = [(part.energy_kwh, part.half_width or 0.0) for part in components if part.energy_kwh is not None]
    method = (
        f"5th to 95th percentile of {DRAWS:,} draws (seed {SEED}); each component log-normal, independent, with 90 % "
        "between value / (1 + h) and value x (1 + h) for its half-width h, which is fairprint's assumption; "
    )
    method += "data-centre overhead (PUE) not included" if pue is None else f"PUE {pue:g} taken as exact"
    fields: dict[str, Any] = dict.fromkeys(NUMBERS)
    fields |= {"grid": grid, "pue": pue, "reason": failure, "interval_method": method}
    if failure is not None:
        return fields
    draw = random.Random(SEED)
    spread = statistics.NormalDist().inv_cdf(0.95)
    sigmas = [(energy_kwh, math.log1p(half_width) / spread) for energy_kwh, half_width in parts]
    energies = [sum(kwh * draw.lognormvariate(0.0, sigma) for kwh, sigma in sigmas) for _ in range(DRAWS)]
    total, overhead = sum(kwh for kwh, _ in parts), pue or 1.0
    low, high = _p5_p95(energies)
    fields |= {"energy_kwh": total, "energy_low_kwh": low, "energy_high_kwh": high}
    if grid.kg_per_kwh is None:
        fields["reason"] = "location unknown: the emissions span the world's countries"
        fields["emissions_low_kg"] = low * overhead * grid.low_kg_per_kwh
        fields["emissions_high_kg"] = high * overhead * grid.high_kg_per_kwh
        fields["interval_method"] += "; emissions from the world's lowest to its highest grid factor"
        return fields
    factor = (grid.low_kg_per_kwh, grid.high_kg_per_kwh, grid.kg_per_kwh)
    low, high = _p5_p95([kwh * overhead * draw.triangular(*factor) for kwh in energies])
    fields |= {"emissions_kg": total * overhead * grid.kg_per_kwh, "emissions_low_kg": low, "emissions_high_kg": high}
    fields["interval_method"] += "; grid factor triangular over its range"
    return fields


def _p5_p95(values: Sequence[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(values, n=20)
    return cuts[0], cuts[-1]


def _check_pue(pue: float | None) -> None:
    if pue is not None and not (math.isfinite(pue) and pue >= 1):
        raise UsageError(f"a PUE of {pue} is impossible: expected 1 or more, such as 1.2")


def measure(*, grid: GridFactor, pue: float | None = None, interval_s: float = 1.0) -> Meter:
    """Return a meter of the machine, a context manager: it runs while its block does.

    The footprint is set however the block ends. A meter that fails never ends the block: its footprint then has
    energy None and a reason. Starting takes two or three seconds the first time, which are not counted.

    Args:
        grid: the place, from `resolve_grid`.
        pue: power usage effectiveness of the data centre; None where not known, and then not applied.
        interval_s: seconds between two samples.

    Raises:
        UsageError: the PUE is below 1, or the interval is not above 0.
    """
    _check_pue(pue)
    if not (math.isfinite(interval_s) and interval_s > 0):
        raise UsageError(f"a sampling interval of {interval_s} s is impossible: expected more than 0, such as 1")
    return Meter(grid, pue, interval_s)


def rebind(footprint: Footprint, *, grid: GridFactor, pue: float | None) -> Footprint:
    """Return the footprint of the same energy in another place or another data centre.

    Raises:
        UsageError: the PUE is below 1.
    """
    _check_pue(pue)
    failure = footprint.reason if footprint.energy_kwh is None else None
    return footprint.model_copy(update=_totals(footprint.components, grid, pue, failure))


def combine(
    footprints: Sequence[Footprint], dead: Sequence[Segment] = (), *, grid: GridFactor, pue: float | None = None
) -> Footprint:
    """Return the footprint of a run that several processes worked on, one after the other.

    Energies and durations add up. What was not metered adds no energy, and a warning says so.

    Args:
        footprints: of the processes that were metered to their end.
        dead: the processes that were killed.
        grid: the place.
        pue: power usage effectiveness, or None.

    Raises:
        UsageError: the PUE is below 1.
    """
    _check_pue(pue)
    metered = [footprint for footprint in footprints if footprint.energy_kwh is not None]
    components = _merged(part for footprint in metered for part in footprint.components)
    totals = _totals(components, grid, pue, None if metered else "no part of the run was metered")
    segments = [segment for footprint in footprints for segment in footprint.segments]
    notes = [note for footprint in footprints for note in footprint.warnings]
    for count, fate in ((len(dead), "killed and not metered"), (len(footprints) - len(metered), "not metered")):
        if count:
            who = "one segment was" if count == 1 else f"{count} segments were"
            notes.append(f"{who} {fate}: the total is a lower bound")
    metered_s = sum(footprint.duration_s for footprint in metered)
    lost_s = _sum(None if (loss := part.measurement_loss) is None else loss * part.duration_s for part in metered)
    return Footprint(
        **totals,
        duration_s=sum(footprint.duration_s for footprint in footprints),
        mean_power_w=_mean_power_w(totals["energy_kwh"], metered_s),
        own_cpu_s=_sum(footprint.own_cpu_s for footprint in footprints),
        machine_cpu_s=_sum(footprint.machine_cpu_s for footprint in footprints),
        attributed_energy_kwh=_sum(footprint.attributed_energy_kwh for footprint in metered),
        measurement_loss=None if lost_s is None else lost_s / metered_s,
        components=components,
        meter="; ".join(dict.fromkeys(footprint.meter for footprint in footprints)),
        warnings=tuple(dict.fromkeys(notes)),
        segments=tuple(sorted((*segments, *dead), key=lambda segment: segment.started_at)),
    )


def _merged(components: Iterable[Component]) -> tuple[Component, ...]:
    """Add up the energies of the same sensor; another machine's sensor stays a component of its own."""
    energies: dict[Component, list[float | None]] = {}
    for part in components:
        energies.setdefault(part.model_copy(update={"energy_kwh": None}), []).append(part.energy_kwh)
    return tuple(part.model_copy(update={"energy_kwh": _sum(values)}) for part, values in energies.items())


def _sum(values: Iterable[float | None]) -> float | None:
    """Return the sum, or None where there is nothing to add or a part is not known."""
    known = list(values)
    return sum(value for value in known if value is not None) if known and None not in known else None
