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
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PATH = r"[\w.~!$&'()*+,;=@%/-]"
_ANY = r"[\w.~!$&'()*+,;=@%/:?-]*"
_REFERENCE = re.compile(
    r"(?:(?:[a-z][a-z0-9+.-]*:)?//(?:[\w.~-]+@)?[\w.~-]*(?::[0-9]*)?(?=[/?#]|$)"
    rf"|[a-z][a-z0-9+.-]*:(?!//)|(?!//){_PATH}*(?=[?#]|$))(?:{_ANY}(?:#{_ANY})?)",
    re.ASCII | re.IGNORECASE,
)
"""Addresses that stay as they are: a part of what RFC 3986, appendix A, allows."""

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
    """Return an address in which every character may stand where it stands; what is none becomes a path.

    >>> address("reports/a b.html"), address("100%.html"), address("https://example.org/a#b#c")
    ('reports/a%20b.html', '100%25.html', 'https://example.org/a#b%23c')
    >>> address("12:30.html")
    '12%3A30.html'
    """
    if not url:
        return ""
    shown = text(url)
    before, mark, after = _LONE_PERCENT.sub("%25", shown).partition("#")
    told = quote(before + mark + after.replace("#", "%23"), safe="/:?#@!$&'()*+,;=-._~%")
    return told if _REFERENCE.fullmatch(told) else quote(shown, safe="/")


def filled(**fields: Any) -> dict[str, Any]:
    """Return an object without its empty fields; underscores in names become hyphens."""
    return {key.replace("_", "-"): value for key, value in fields.items() if value not in (None, "", [], {})}
