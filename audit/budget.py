"""A budget of a metered run: in energy or in emissions, with a warning before it is spent."""

import math
from dataclasses import dataclass
from typing import Literal

from fairprint.audit.metered import BudgetRecord
from fairprint.audit.records import GridFactor
from fairprint.probes.errors import UsageError

Outcome = Literal["kept", "warned", "stopped", "exceeded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a run may use: energy in kWh, or emissions in kg CO2-equivalent; exactly one of them.

    Args:
        energy_kwh: of the whole machine, without PUE.
        emissions_kg: with the PUE and the grid factor of the run.
        warn_share: share of it from which on a warning is given.

    Raises:
        UsageError: none or both are given, or a number is impossible.
    """

    energy_kwh: float | None = None
    emissions_kg: float | None = None
    warn_share: float = 0.8

    def __post_init__(self) -> None:
        given = [limit for limit in (self.energy_kwh, self.emissions_kg) if limit is not None]
        if len(given) != 1:
            raise UsageError("a budget is of energy or of emissions: give exactly one of the two")
        if not (math.isfinite(given[0]) and given[0] > 0):
            raise UsageError(f"a budget of {given[0]} is impossible: expected more than 0")
        if not 0 < self.warn_share <= 1:
            raise UsageError(f"a share of {self.warn_share} is impossible: expected more than 0, and at most 1")

    def check_place(self, grid: GridFactor) -> None:
        """Refuse a budget of emissions where the place is unknown.

        Raises:
            UsageError: there is no grid factor.
        """
        if self.emissions_kg is not None and grid.kg_per_kwh is None:
            raise UsageError(
                "a budget of emissions needs the place", hint="give a country, or a budget of energy in kWh"
            )

    def limit_kwh(self, grid: GridFactor, pue: float | None) -> float:
        """Return the energy at the machine (kWh) at which the budget is spent."""
        if self.energy_kwh is not None:
            return self.energy_kwh
        factor = (grid.kg_per_kwh or 0.0) * (pue or 1.0)
        return math.inf if factor == 0 else (self.emissions_kg or 0.0) / factor

    def told(self, outcome: Outcome, *remarks: str) -> BudgetRecord:
        """Return the budget as it stands in a record."""
        return BudgetRecord(
            energy_kwh=self.energy_kwh,
            emissions_kg=self.emissions_kg,
            warn_share=self.warn_share,
            outcome=outcome,
            told=remarks,
        )
