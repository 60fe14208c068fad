"""Sums over several runs with their intervals: the error of a sensor is one for all runs that it measured.

Errors of one machine's sensor are common to all of its runs, fully, so that they do not cancel in a sum; those of two
machines are independent. All totals of one ledger are made from the same draws, so that they go together.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairprint.audit.footprints import DRAWS, SEED
from fairprint.audit.overlaps import Energies, Sensor
from fairprint.audit.records import GridFactor
from fairprint.audit.spread import factors

METHOD = (
    f"5th to 95th percentile of {DRAWS:,} draws (seed {SEED}); each sensor log-normal, 90 % between value / (1 + h) "
    "and value x (1 + h) for its half-width h, which is fairprint's assumption. Errors of one sensor of one machine "
    "are the same in all of its runs (fully correlated), those of different machines and components independent; runs "
    "that do not name their machine are taken as of one. The grid factor of a place is triangular over its range, the "
    "same in all runs there, and independent of other places; a PUE is taken as exact"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """A number with its 90 % interval; what is absent has a reason."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where energy was used: the grid, PUE and WUE of its run."""

    grid: GridFactor
    pue: float | None
    wue: float | None

    @property
    def key(self) -> str:
        """The same for the same place, and in the order of places."""
        return f"{self.grid.country_iso_code} {self.grid.model_dump_json()} {self.pue} {self.wue}"


Part = tuple[Energies, Place]
"""Energy that was used in one place."""


class Draws:
    """What the errors of all sensors and grid factors of a ledger may be.

    Args:
        sensors: all that measured something.
        grids: all grid factors.
    """

    def __init__(self, sensors: Iterable[Sensor], grids: Iterable[GridFactor]) -> None:
        import numpy

        self._column = {sensor: n for n, sensor in enumerate(sorted(set(sensors)))}
        self._factors = factors(tuple(sensor.half_width for sensor in self._column))
        random = numpy.random.default_rng(SEED)
        self._grids: dict[str, Any] = {}
        for key, grid in sorted({grid.model_dump_json(): grid for grid in grids}.items()):
            low, likely, high = grid.low_kg_per_kwh, grid.kg_per_kwh, grid.high_kg_per_kwh
            if likely is not None:
                even = not low < high
                self._grids[key] = numpy.full(DRAWS, likely) if even else random.triangular(low, likely, high, DRAWS)

    def energy(self, energies: Energies) -> Amount:
        """Return an energy (kWh)."""
        return self._amount(self._drawn(energies), math.fsum(energies.values()))

    def ratio(self, above: Energies, below: Energies) -> Amount:
        """Return one energy over another; what both have of one sensor has the same error, which cancels."""
        whole, part = math.fsum(above.values()), math.fsum(below.values())
        if part <= 0:
            return Amount(value=None, reason="the energy that it would be divided by is zero")
        return self._amount(self._drawn(above) / self._drawn(below), whole / part)

    def emissions(self, parts: Sequence[Part]) -> Amount:
        """Return the emissions (kg) of energies in their places: the interval spans the world where one is unknown."""
        if not parts:
            return Amount(value=0.0, low=0.0, high=0.0)
        value, low, high = self._emitted(parts)
        bounds = _percentiles(low, low if value is not None else high)
        if value is None:
            unknown = sum(place.grid.kg_per_kwh is None for _, place in parts)
            whose = "its location is" if len(parts) == 1 else f"the location of {unknown} of {len(parts)} parts is"
            reason = f"{whose} unknown: the interval spans the world's countries there"
            return Amount(value=None, low=bounds[0], high=bounds[1], reason=reason)
        return Amount(value=value, low=bounds[0], high=bounds[1])

    def _emitted(self, parts: Sequence[Part]) -> tuple[float | None, Any, Any]:
        """Return the emissions, or None, and the draws of their lower and their upper end."""
        values: list[float] = []
        low, high, known = 0.0, 0.0, True
        for energies, place in parts:
            drawn, likely = self._drawn(energies) * (place.pue or 1.0), place.grid.kg_per_kwh
            if likely is None:
                known = False
                low, high = low + drawn * place.grid.low_kg_per_kwh, high + drawn * place.grid.high_kg_per_kwh
            else:
                emitted = drawn * self._grids[place.grid.model_dump_json()]
                low, high = low + emitted, high + emitted
                values.append(math.fsum(energies.values()) * (place.pue or 1.0) * likely)
        return math.fsum(values) if known else None, low, high

    def more(self, of: Part, than: Part, *, energy: bool) -> tuple[float, float]:
        """Return the interval of how much more one part used (kWh) or emitted (kg) than another, errors in common."""
        if energy:
            drawn = self._drawn(of[0]) - self._drawn(than[0])
            return _percentiles(drawn, drawn)
        (_, low, high), (_, other_low, other_high) = self._emitted([of]), self._emitted([than])
        return _percentiles(low - other_high, high - other_low)

    def water(self, parts: Sequence[Part]) -> Amount | None:
        """Return the water (l) at the data centres; None where no part has a WUE."""
        told = [(energies, place.wue) for energies, place in parts if place.wue is not None]
        if not told:
            return None
        value = math.fsum(math.fsum(energies.values()) * wue for energies, wue in told)
        if len(told) < len(parts):
            bare = len(parts) - len(told)
            return Amount(value=None, reason=f"{bare} of {len(parts)} parts have no WUE; the others used {value:.3g} l")
        return self._amount(sum(self._drawn(energies) * wue for energies, wue in told), value)

    def _drawn(self, energies: Energies) -> Any:
        import numpy

        weights = numpy.zeros(len(self._column))
        for sensor, energy_kwh in energies.items():
            weights[self._column[sensor]] += energy_kwh
        return self._factors @ weights if len(weights) else numpy.zeros(DRAWS)

    def _amount(self, drawn: Any, value: float) -> Amount:
        low, high = _percentiles(drawn, drawn)
        return Amount(value=value, low=low, high=high)


def _percentiles(low: Any, high: Any) -> tuple[float, float]:
    """Return the 5th percentile of some draws and the 95th of others, as the interval of one run has them."""
    import numpy

    if low is high:
        first, last = numpy.quantile(low, (0.05, 0.95), method="weibull")
        return float(first), float(last)
    return float(numpy.quantile(low, 0.05, method="weibull")), float(numpy.quantile(high, 0.95, method="weibull"))


def added(energies: Iterable[Energies]) -> dict[Sensor, float]:
    """Return the sum of energies, by sensor; the order does not matter."""
    found: dict[Sensor, list[float]] = {}
    for some in energies:
        for sensor, energy_kwh in some.items():
            found.setdefault(sensor, []).append(energy_kwh)
    return {sensor: math.fsum(found[sensor]) for sensor in sorted(found)}


def by_place(parts: Iterable[Part]) -> list[Part]:
    """Return energies added up by place, in the order of places."""
    found: dict[str, list[Part]] = {}
    for energies, place in parts:
        found.setdefault(place.key, []).append((energies, place))
    return [(added(energies for energies, _ in some), some[0][1]) for _, some in sorted(found.items())]


def of_components(components: Mapping[str, float], among: Energies) -> dict[Sensor, float] | None:
    """Return the energy of a part of a run by the run's sensors; None where it has energy of another component."""
    sensors = {sensor.component: sensor for sensor in among}
    if len(sensors) < len(among) or any(value and name not in sensors for name, value in components.items()):
        return None
    return {sensors[name]: value for name, value in components.items() if name in sensors}
