"""Arithmetic on footprints: intervals, other places, and the sum of several processes.

Energy is measured once and kept; the grid factor and the PUE are bound to it late, so that a footprint can be
recomputed for another place (`rebind`).
"""

import math
import random
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from fairprint.audit.records import Component, Footprint, GridFactor, Segment
from fairprint.probes.errors import UsageError

DRAWS, SEED = 10_000, 0
NUMBERS = ("energy_kwh", "energy_low_kwh", "energy_high_kwh", "emissions_kg", "emissions_low_kg", "emissions_high_kg")


BOUND = (
    *("grid", "pue", "wue", "emissions_kg", "emissions_low_kg", "emissions_high_kg", "water_l"),
    *("reason", "interval_method"),
)
"""The fields of a footprint that follow from the place and the data centre; all others are what was measured."""


def mean_power_w(energy_kwh: float | None, duration_s: float) -> float | None:
    """Return the mean power (W); None where the energy is not known."""
    return None if energy_kwh is None or duration_s <= 0 else energy_kwh * 3.6e6 / duration_s


def totals_of(
    components: Sequence[Component],
    grid: GridFactor,
    pue: float | None,
    failure: str | None,
    wue: float | None = None,
) -> dict[str, Any]:
    """Return the fields of a footprint that follow from its components, the place, the PUE and the WUE.

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
    fields |= {"wue": wue, "water_l": None}
    if failure is not None:
        return fields
    draw = random.Random(SEED)
    spread = statistics.NormalDist().inv_cdf(0.95)
    sigmas = [(energy_kwh, math.log1p(half_width) / spread) for energy_kwh, half_width in parts]
    energies = [sum(kwh * draw.lognormvariate(0.0, sigma) for kwh, sigma in sigmas) for _ in range(DRAWS)]
    total, overhead = sum(kwh for kwh, _ in parts), pue or 1.0
    low, high = _p5_p95(energies)
    fields |= {"energy_kwh": total, "energy_low_kwh": low, "energy_high_kwh": high}
    fields["water_l"] = None if wue is None else total * wue
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


def check_pue(pue: float | None) -> None:
    """Refuse a power usage effectiveness that is none."""
    if pue is not None and not (math.isfinite(pue) and pue >= 1):
        raise UsageError(f"a PUE of {pue} is impossible: expected 1 or more, such as 1.2")


def check_wue(wue: float | None) -> None:
    """Refuse a water usage effectiveness that is none."""
    if wue is not None and not (math.isfinite(wue) and wue >= 0):
        raise UsageError(f"a WUE of {wue} is impossible: expected litres per kWh, 0 or more, such as 1.8")


def rebind(footprint: Footprint, *, grid: GridFactor, pue: float | None, wue: float | None = None) -> Footprint:
    """Return the footprint of the same energy in another place or another data centre.

    What was measured stays to the last digit, also where an older version drew its interval otherwise.

    Raises:
        UsageError: the PUE is below 1.
    """
    check_pue(pue)
    check_wue(wue)
    failure = footprint.reason if footprint.energy_kwh is None else None
    totals = totals_of(footprint.components, grid, pue, failure, wue)
    return footprint.model_copy(update={key: totals[key] for key in BOUND})


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
    check_pue(pue)
    metered = [footprint for footprint in footprints if footprint.energy_kwh is not None]
    components = _merged(part for footprint in metered for part in footprint.components)
    totals = totals_of(components, grid, pue, None if metered else "no part of the run was metered")
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
        mean_power_w=mean_power_w(totals["energy_kwh"], metered_s),
        own_cpu_s=_sum(footprint.own_cpu_s for footprint in footprints),
        machine_cpu_s=_sum(footprint.machine_cpu_s for footprint in footprints),
        attributed_energy_kwh=_sum(footprint.attributed_energy_kwh for footprint in metered),
        above_idle_energy_kwh=_sum(footprint.above_idle_energy_kwh for footprint in metered),
        idle_method="; ".join(dict.fromkeys(footprint.idle_method for footprint in metered)),
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
