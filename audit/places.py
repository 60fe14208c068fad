"""What CodeCarbon knows of the electricity of countries, regions and cloud regions; read from its files, never online.

Importing this module does not import CodeCarbon.
"""

import csv
import difflib
import functools
import warnings
from importlib.resources import files
from typing import Any

from fairprint.audit.carbon_sensors import silenced


@functools.cache
def countries() -> dict[str, dict[str, Any]]:
    """Return CodeCarbon's table of countries by ISO code, without those whose figure is 0: no grid has that."""
    with warnings.catch_warnings(), silenced():
        warnings.simplefilter("ignore")
        from codecarbon import input as data

        source: Any = data.DataSource
        table: dict[str, dict[str, Any]] = source().get_global_energy_mix_data()
    return {code: country for code, country in table.items() if country["carbon_intensity"] > 0}


@functools.cache
def regions(code: str) -> dict[str, float]:
    """Return kg CO2-equivalent per kWh of the regions of USA or CAN, by name in lower case."""
    from codecarbon import input as data
    from codecarbon.core.emissions import Emissions
    from codecarbon.core.units import Energy
    from codecarbon.external.geography import GeoMetadata

    make: Any = data.DataSource
    source, kwh = make(), Energy.from_energy(1.0)
    read = source.get_country_emissions_data if code == "USA" else source.get_country_energy_mix_data
    names = [name for name in read(code.lower()) if not name.startswith("_") and name != "usa"]
    places = {name: GeoMetadata(country_iso_code=code, region=name) for name in names}
    return {name: Emissions(source).get_region_emissions(kwh, place) for name, place in places.items()}


def nearest_country(text: str) -> str | None:
    """Return the ISO 3166 alpha-3 code that was probably meant: of a two-letter code, or of a name with a typo."""
    import pycountry

    try:
        # pycountry does not know that the United Kingdom, GB, is often written UK
        return str(pycountry.countries.lookup({"UK": "GB"}.get(text.upper(), text)).alpha_3)
    except LookupError:
        known = {country["country_name"].casefold(): code for code, country in countries().items()}
        known |= {code.casefold(): code for code in countries()}
        close = difflib.get_close_matches(text.strip().casefold(), known, n=1, cutoff=0.6)
        return known[close[0]] if close else None


@functools.cache
def cloud_regions() -> dict[str, dict[str, str]]:
    """Return the cloud regions that have a figure of their own, by ``provider:region`` such as ``gcp:europe-north1``.

    Each has ``impact`` in g CO2-equivalent per kWh, ``countryIsoCode`` and ``country_name``.
    """
    text = (files("codecarbon") / "data" / "cloud" / "impact.csv").read_text(encoding="utf-8-sig")
    return {f"{row['provider']}:{row['region']}": row for row in csv.DictReader(text.splitlines())}
