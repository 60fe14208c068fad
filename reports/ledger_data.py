"""A ledger as data for programs: energies in kWh, emissions in kg, water in litres, durations in s."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from fairprint.audit.findings import Record
from fairprint.audit.ledger import Ledger

SCHEMA_VERSION = 1

_NAMES = {
    "energy": "energy_kwh",
    "counted": "counted_energy_kwh",
    "best_energy": "best_energy_kwh",
    "emissions": "emissions_kg",
    "water": "water_l",
    "group": "purpose",
    "group_why": "purpose_why",
    "method": "interval_method",
}
"""Fields that say their unit here, where they are numbers."""


def as_data(of: Ledger) -> dict[str, Any]:
    """Return a ledger as what JSON can hold."""
    return {"schema_version": SCHEMA_VERSION, **_told(of)}


def _told(value: Any) -> Any:
    if isinstance(value, Record):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return {_NAMES.get(field.name, field.name): _told(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _told(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_told(each) for each in value]
    return value
