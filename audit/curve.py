"""Energy over time, read off between samples: spans are two marks on it, so that they add up to the last digit."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

NAMES = ("cpu", "gpu", "ram")


@dataclass(slots=True)
class Curve:
    """Cumulative energy of a machine.

    Attributes:
        times_s: of the samples, seconds from the begin of the run, rising.
        energy_kwh: of each sample the energy since the begin, in the order of `NAMES`.
    """

    times_s: list[float] = field(default_factory=list)
    energy_kwh: list[tuple[float, ...]] = field(default_factory=list)

    @classmethod
    def of(cls, samples: Iterable[dict[str, Any]]) -> "Curve":
        """Return the curve of a journal's samples; what does not rise in time is left out."""
        curve = cls()
        for sample in samples:
            if not curve.times_s or sample["t"] > curve.times_s[-1]:
                curve.times_s.append(sample["t"])
                curve.energy_kwh.append(tuple(sample["kwh"][name] for name in NAMES))
        return curve

    def at(self, time_s: float) -> tuple[float, ...] | None:
        """Return the energy (kWh) up to a time, on a straight line between two samples; None outside of them."""
        if not self.times_s or not self.times_s[0] <= time_s <= self.times_s[-1]:
            return None
        after = bisect_right(self.times_s, time_s)
        if after == len(self.times_s):
            return self.energy_kwh[-1]
        before = after - 1
        share = (time_s - self.times_s[before]) / (self.times_s[after] - self.times_s[before])
        pairs = zip(self.energy_kwh[before], self.energy_kwh[after], strict=True)
        return tuple(low + share * (high - low) for low, high in pairs)

    def between(self, begin_s: float, end_s: float) -> dict[str, float] | None:
        """Return the energy (kWh) by component between two times; None where no samples surround them."""
        first, last = self.at(begin_s), self.at(end_s)
        if first is None or last is None:
            return None
        return {name: high - low for name, low, high in zip(NAMES, first, last, strict=True)}

    def lowest_w(self, shortest_s: float) -> dict[str, float]:
        """Return the lowest mean power (W) of each component between two samples at least ``shortest_s`` apart.

        >>> lowest = Curve([0, 1, 2], [(0, 0, 0), (1 / 3.6e6, 0, 0), (4 / 3.6e6, 0, 0)]).lowest_w(0.5)
        >>> round(lowest["cpu"], 9)
        1.0
        """
        found: dict[str, float] = {}
        start = 0
        for now in range(1, len(self.times_s)):
            elapsed_s = self.times_s[now] - self.times_s[start]
            if elapsed_s >= shortest_s:
                for name, low, high in zip(NAMES, self.energy_kwh[start], self.energy_kwh[now], strict=True):
                    power_w = (high - low) * 3.6e6 / elapsed_s
                    found[name] = min(found.get(name, power_w), power_w)
                start = now
        return found

    def thinned(self, most: int, keep: Sequence[float] = ()) -> list[tuple[float, tuple[float, ...]]]:
        """Return at most ``most`` points at equal steps of time, with the ends, and those at the times in ``keep``."""
        if len(self.times_s) < 2:
            return list(zip(self.times_s, self.energy_kwh, strict=True))
        begin, end = self.times_s[0], self.times_s[-1]
        steps = [begin + (end - begin) * n / (most - 1) for n in range(most)]
        steps[-1] = end
        chosen = self.times_s if len(self.times_s) <= most else steps
        times = sorted({*chosen, *(time_s for time_s in keep if begin <= time_s <= end)})
        return [(time_s, energy) for time_s in times if (energy := self.at(time_s)) is not None]
