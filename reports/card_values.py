"""Values as YAML text that every reader takes for what it is: YAML 1.1 as of PyYAML, and 1.2 as of the Hub."""

import json
import math
import numbers
import re
from decimal import Decimal

LEAST_G = 0.0001
"""Python prints less with an exponent, and the Hub's client then reads the digits before it: 5e-05 as 5 g."""

_PLAIN = re.compile(r"[A-Za-z](?:[A-Za-z0-9 _./()+-]*[A-Za-z0-9_/)+])?")
_OTHERS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity"}
"""Words that one version of YAML or one of its readers takes for something else than text."""
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_HALF = re.compile("[\ud800-\udfff]")


def decimal(value: float) -> str:
    """Return a finite number in plain decimals that read back as the same number.

    >>> decimal(1e-07), decimal(12.5), decimal(3)
    ('0.0000001', '12.5', '3')

    Raises:
        ValueError: it is not finite.
    """
    if isinstance(value, numbers.Integral):
        return str(int(value))
    value = float(value)
    if not math.isfinite(value):
        raise ValueError(f"{value} is no number: leave out what was not measured")
    text = format(Decimal(repr(value)), "f")
    return text if "." in text else f"{text}.0"


def grams(emissions_g: float) -> str | None:
    """Return emissions in plain decimals of six figures, or None where they are too small to be written.

    >>> grams(12.34567891), grams(24_700_000.0), grams(0.00005)
    ('12.3457', '24700000', None)
    """
    text = format(Decimal(format(emissions_g, ".6g")), "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text if float(text) >= LEAST_G else None


def scalar(value: object) -> str:
    """Return a text or a number as YAML, quoted where it could be read as something else.

    >>> scalar("crows-pairs/gender"), scalar("no"), scalar("1e3"), scalar("a: b"), scalar(0.5)
    ('crows-pairs/gender', '"no"', '"1e3"', '"a: b"', '0.5')

    Raises:
        ValueError: it is a number that is not finite.
        TypeError: it is neither text nor number.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, numbers.Real):
        return decimal(float(value) if not isinstance(value, numbers.Integral) else int(value))
    if not isinstance(value, str):
        raise TypeError(f"expected text or a number, found {type(value).__name__}: {value!r}")
    if _PLAIN.fullmatch(value) and value.casefold() not in _OTHERS:
        return value
    text = json.dumps(_HALF.sub("\ufffd", value), ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def comment(text: str) -> str:
    """Return a text as the words of one comment line."""
    text = _HALF.sub("\ufffd", text)
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
