"""Intervals of parts of a run's energy: the same draws as the interval of the whole, so that the two go together."""

import math
import random
import statistics
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from fairprint.audit.footprints import DRAWS, SEED
from fairprint.audit.records import Component


def part_interval(energy_kwh: Mapping[str, float], components: Sequence[Component]) -> tuple[float, float] | None:
    """Return the 90 % interval (kWh) of a part of a run's energy, of a span for one.

    The error of a sensor is one for the whole run: a part that has a third of each component's energy has a third of
    the interval, and one with more of a poor sensor's energy a wider one. Of the whole it is the interval of the
    footprint (``fairprint.audit.footprints.totals_of``).

    Args:
        energy_kwh: of the part, by component.
        components: of the run, with their half-widths.

    Returns:
        5th and 95th percentile; None where energy is of a component that the run does not know.
    """
    import numpy

    metered = [part for part in components if part.energy_kwh is not None]
    if any(value and name not in {part.name for part in metered} for name, value in energy_kwh.items()):
        return None
    names = [part.name for part in metered]
    if not names or len(set(names)) < len(names):
        return None
    drawn = factors(tuple(part.half_width or 0.0 for part in metered))
    energies = drawn @ numpy.array([energy_kwh.get(name, 0.0) for name in names])
    # what statistics.quantiles does by default
    low, high = numpy.quantile(energies, (0.05, 0.95), method="weibull")
    return float(low), float(high)


@lru_cache(maxsize=8)
def factors(half_widths: tuple[float, ...]) -> Any:
    """Return what each draw multiplies each component with: log-normal, 90 % between 1 / (1 + h) and 1 + h."""
    import numpy

    draw, spread = random.Random(SEED), statistics.NormalDist().inv_cdf(0.95)
    sigmas = [math.log1p(half_width) / spread for half_width in half_widths]
    return numpy.array([[draw.lognormvariate(0.0, sigma) for sigma in sigmas] for _ in range(DRAWS)])
