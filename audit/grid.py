"""The carbon intensity of a place's electricity, from the data that CodeCarbon brings along. Nothing goes online."""

import math
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from fairprint.audit.places import cloud_regions, countries, nearest_country, regions
from fairprint.audit.records import GridFactor
from fairprint.probes.errors import UsageError, nearest

FACTOR_HALF_WIDTH, FACTOR_HALF_WIDTH_PER_YEAR = 0.1, 0.02
CLOUD_HALF_WIDTH = 0.2
"""Of figures without a year: that of figures five years old."""

COUNTRY_METHOD = "life-cycle average of what was generated in a year (Our World in Data, Ember)"
REGION_DATA = {
    "USA": (
        "private_infra/2023/usa_emissions.json",
        "direct CO2-equivalent of generation in the state, EPA eGRID; not life-cycle",
    ),
    "CAN": (
        "private_infra/2023/canada_energy_mix.json",
        "combustion only, from the fuel mix; hydro, nuclear and wind count as 0",
    ),
}
REGION_YEAR = 2023


def _source(file: str) -> str:
    return f"CodeCarbon {version('codecarbon')}, data/{file}"


def resolve_grid(
    country_iso_code: str | None = None,
    *,
    region: str | None = None,
    cloud_region: str | None = None,
    kg_per_kwh: float | None = None,
    now_year: int | None = None,
) -> GridFactor:
    """Return the carbon intensity of a place's electricity.

    Args:
        country_iso_code: ISO 3166 alpha-3, in either case; None where the place is unknown.
        region: name of a US state or a Canadian province, in either case.
        cloud_region: provider and region, such as ``gcp:europe-north1``; instead of a country.
        kg_per_kwh: a factor of one's own, such as the contract's or the hour's; taken as exact, with a country or not.
        now_year: year of the run, from which the age of the figure is counted; None is the present year.

    Returns:
        The factor in kg CO2-equivalent per kWh; with nothing given only the range over the world's countries.

    Raises:
        UsageError: the country, the region, the cloud region or the factor is not known or impossible, or what is
            given does not go together.
    """
    if region is not None and country_iso_code is None:
        raise UsageError(f"region {region!r} was given without a country", hint="add its --country-iso-code")
    if cloud_region is not None and (country_iso_code, region, kg_per_kwh) != (None, None, None):
        raise UsageError("a cloud region says where it is: give no country, region or factor with it")
    if cloud_region is not None:
        return _of_cloud(cloud_region)
    table = countries()
    code = None if country_iso_code is None else country_iso_code.strip().upper()
    if code is not None and code not in table:
        raise _unknown_country(country_iso_code or "", table)
    if region is not None:
        region = _known_region(code or "", region)
    if kg_per_kwh is not None:
        return _own(kg_per_kwh, code, region)
    return _world(table) if code is None else _of_place(code, region, now_year or datetime.now(UTC).year)


def _of_place(code: str, region: str | None, now_year: int) -> GridFactor:
    country = countries()[code]
    file, method, year = "private_infra/global_energy_mix.json", COUNTRY_METHOD, int(country["year"])
    kg_per_kwh = country["carbon_intensity"] / 1000
    if region is not None:
        kg_per_kwh, year, (file, method) = regions(code)[region], REGION_YEAR, REGION_DATA[code]
    age = max(0, now_year - year)
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


def _of_cloud(cloud_region: str) -> GridFactor:
    """Return the factor of a cloud region. Its year is not known, so that its range is that of an old figure."""
    table, name = cloud_regions(), cloud_region.strip().lower()
    provider = name.partition(":")[0]
    if name not in table:
        if provider in ("aws", "azure"):
            raise UsageError(
                f"there are no figures for the regions of {provider}",
                hint="give the country where the region lies, and of the USA the state as the region",
            )
        raise UsageError(
            f"unknown cloud region {cloud_region!r}: expected provider:region, such as gcp:europe-north1."
            + nearest(name, table)
        )
    row = table[name]
    kg_per_kwh = float(row["impact"]) / 1000
    half_width = CLOUD_HALF_WIDTH
    return GridFactor(
        kg_per_kwh=kg_per_kwh,
        low_kg_per_kwh=kg_per_kwh * (1 - half_width),
        high_kg_per_kwh=kg_per_kwh * (1 + half_width),
        country_iso_code=row["countryIsoCode"] or None,
        region=None,
        cloud_region=name,
        source=_source("cloud/impact.csv"),
        year=None,
        method=f"as the provider publishes it, without a year; range ±{100 * half_width:.0f} % (our assumption)",
    )


def _own(kg_per_kwh: float, code: str | None, region: str | None) -> GridFactor:
    if not (math.isfinite(kg_per_kwh) and kg_per_kwh >= 0):
        raise UsageError(f"a factor of {kg_per_kwh} kg/kWh is impossible: expected 0 or more, such as 0.05")
    highest = max(float(country["carbon_intensity"]) for country in countries().values()) / 1000
    if kg_per_kwh > 2 * highest:
        raise UsageError(
            f"a factor of {kg_per_kwh:g} kg/kWh is more than twice the highest of all countries, {highest:.2g}",
            hint=f"if that is in g/kWh, give {kg_per_kwh / 1000:g}",
        )
    return GridFactor(
        kg_per_kwh=kg_per_kwh,
        low_kg_per_kwh=kg_per_kwh,
        high_kg_per_kwh=kg_per_kwh,
        country_iso_code=code,
        region=region,
        source="given by the user",
        year=None,
        method="a factor given by the user, taken as exact",
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
        source=_source("private_infra/global_energy_mix.json"),
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
