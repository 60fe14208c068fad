"""A stored footprint under another grid factor, PUE or WUE, beside what it was."""

import json
from dataclasses import dataclass

from fairprint.audit.footprints import BOUND, rebind
from fairprint.audit.grid import resolve_grid
from fairprint.audit.records import Footprint
from fairprint.probes.errors import UsageError
from fairprint.reports.metered_table import emissions_of, energy_of
from fairprint.reports.numbers import KINDS, VOLUME, scaled
from fairprint.reports.text import plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the electricity comes from, and the data centre; what is None stays as it is stored."""

    country_iso_code: str | None = None
    region: str | None = None
    cloud_region: str | None = None
    kg_per_kwh: float | None = None
    pue: float | None = None
    wue: float | None = None


def rebound(footprint: Footprint, place: Place, started_at: str) -> Footprint:
    """Return a footprint as it would be in another place.

    Args:
        footprint: as it is stored.
        place: what is other.
        started_at: when the run began, in ISO 8601: the age of a grid factor is counted from it.

    Raises:
        UsageError: nothing is given, or it is impossible.
    """
    where = (place.country_iso_code, place.region, place.cloud_region, place.kg_per_kwh)
    if (*where, place.pue, place.wue) == (None,) * 6:
        raise UsageError("nothing to change", hint="give a place, such as --country-iso-code FRA, or --pue or --wue")
    grid = footprint.grid
    if where != (None,) * 4:
        grid = resolve_grid(
            place.country_iso_code,
            region=place.region,
            cloud_region=place.cloud_region,
            kg_per_kwh=place.kg_per_kwh,
            now_year=int(started_at[:4]),
        )
    pue = footprint.pue if place.pue is None else place.pue
    wue = footprint.wue if place.wue is None else place.wue
    return rebind(footprint, grid=grid, pue=pue, wue=wue)


def as_rows(before: Footprint, after: Footprint) -> list[dict[str, object]]:
    """Return both as rows of a table."""
    rows: list[dict[str, object]] = [
        {"": "energy", "as stored": energy_of(before), "now": energy_of(after)},
        {"": "emissions", "as stored": emissions_of(before), "now": emissions_of(after)},
    ]
    if before.water_l is not None or after.water_l is not None:
        rows.append({"": "water", "as stored": _litres(before), "now": _litres(after)})
    return rows


def _litres(footprint: Footprint) -> str:
    if footprint.water_l is None:
        return "not known"
    return plain(KINDS[scaled(footprint.water_l, VOLUME)](footprint.water_l))


def as_json(run_id: str, before: Footprint, after: Footprint) -> str:
    """Return both as a JSON document: what was measured once, what follows from the place twice."""
    dumped, other = before.model_dump(mode="json"), after.model_dump(mode="json")
    told = {
        "schema_version": 1,
        "run": run_id,
        "measured": {key: value for key, value in dumped.items() if key not in BOUND},
        "before": {key: dumped[key] for key in BOUND},
        "after": {key: other[key] for key in BOUND},
    }
    return json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
