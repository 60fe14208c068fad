"""Small parts of a bill of materials: texts in which nothing hides, numbers as they are written, properties."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from fairprint.reports.card_text import unmarked
from fairprint.reports.text import clean

PREFIX = "fairprint:"
"""Of the names of our properties, as CycloneDX's taxonomy of property names has it."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LONGEST = 20_000

Property = dict[str, str]


def text(raw: str) -> str:
    """Return a text of a record in which nothing hides: controls and lone surrogates are named."""
    return clean(raw, _LONGEST)


def sentence(markdown: str) -> str:
    """Return a line of a model card without its marks."""
    return unmarked(markdown)


def prop(name: str, value: object) -> Property:
    """Return a property of ours; a mapping becomes JSON, sorted."""
    if isinstance(value, Mapping):
        told = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    elif isinstance(value, float):
        told = written(value)
    else:
        told = text(str(value))
    return {"name": PREFIX + text(name), "value": told}


def rounded(value: float) -> float:
    """Return a number with six significant figures: what a record has beyond them is no knowledge.

    >>> rounded(0.0000274319999), rounded(12.0)
    (2.7432e-05, 12.0)
    """
    return float(f"{value:.6g}")


def written(value: float) -> str:
    """Return a number as text, where the schema wants text.

    >>> written(0.712319999999), written(-0.0)
    ('0.71232', '0')
    """
    return f"{value + 0.0:.6g}"


def known(value: float | None) -> bool:
    """Say whether there is a number that JSON can hold."""
    return value is not None and math.isfinite(value)


def hashes(sha256: str) -> list[dict[str, str]]:
    """Return a hash as the schema has it; nothing where it is none."""
    return [{"alg": "SHA-256", "content": sha256}] if _SHA256.fullmatch(sha256) else []


def address(url: str) -> str:
    """Return an address in which every character may stand.

    >>> address("reports/a b.html")
    'reports/a%20b.html'
    """
    return quote(text(url), safe="/:?#@!$&'()*+,;=-._~%") if url else ""


def filled(**fields: Any) -> dict[str, Any]:
    """Return an object without its empty fields; underscores in names become hyphens."""
    return {key.replace("_", "-"): value for key, value in fields.items() if value not in (None, "", [], {})}
