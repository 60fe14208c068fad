"""Numbers of a record as text: how each kind is rounded, and what is said where one is absent.

Every number that a report prints comes from ``number``: the text is rounded by the rule that ``KINDS`` names, and the
exact value stands beside it in the page, so that a reader can check one against the other.
"""

import math
from collections.abc import Callable
from decimal import Decimal
from functools import partial

from markupsafe import Markup

from fairprint.audit.records import Estimate
from fairprint.reports.text import clean

NBSP = "\u00a0"
MINUS = "\u2212"


def fixed(places: int, value: float, *, factor: float = 1.0, signed: bool = False, unit: str = "") -> str:
    """Round to decimal places; what rounds to zero has no sign.

    >>> fixed(2, 0.418, signed=True), fixed(2, -0.001, signed=True)
    ('+0.42', '0.00')
    """
    if value == 0:
        return "0" + unit
    digits = f"{abs(value * factor):,.{places}f}"
    zero = float(digits.replace(",", "")) == 0
    return ("" if zero else MINUS if value < 0 else "+" if signed else "") + digits + unit


def percent(places: int, value: float) -> str:
    """Round a share to percent: one more place near both ends, and never to 0 or 100 % what is neither.

    >>> percent(0, 0.7123).replace(NBSP, " "), percent(0, 0.0312).replace(NBSP, " ")
    ('71 %', '3.1 %')
    """
    if 0 < value < 1 and not 0.1 <= value <= 0.9:
        places = max(places, 1)
        step = 10.0 ** -(places + 2)
        if value < step / 2:
            return "<" + NBSP + fixed(places, step, factor=100, unit=NBSP + "%")
        if value > 1 - step / 2:
            return ">" + NBSP + fixed(places, 1 - step, factor=100, unit=NBSP + "%")
    return fixed(places, value, factor=100, unit=NBSP + "%")


def significant(figures: int, value: float, *, factor: float = 1.0, unit: str = "") -> str:
    """Round to significant figures, written without an exponent.

    >>> significant(2, 0.00093127, factor=1000, unit=" Wh")
    '0.93 Wh'
    """
    rounded = Decimal(f"{abs(value * factor):.{figures - 1}e}")
    sign = MINUS if value < 0 else ""
    return f"{sign}{rounded:,f}{unit}" if rounded else "0" + unit


def probability(value: float) -> str:
    """Round a p or q value to three places; below 0.001 only that is said."""
    return f"<{NBSP}0.001" if value < 0.001 else fixed(3, value)


def times(nats: float) -> str:
    """Turn a gap in nats into how many times as likely: two places below 2, one below 10, then two figures.

    >>> times(0.418), times(-0.9), times(3.5)
    ('1.52', '2.5', '33')
    """
    if abs(nats) > math.log(1000):
        return "more than 1,000"
    ratio = math.exp(abs(nats))
    return fixed(2, ratio) if ratio < 2 else fixed(1, ratio) if ratio < 9.95 else significant(2, ratio)


def duration(seconds: float) -> str:
    """Write seconds in units that suit their size.

    >>> duration(192.4).replace(NBSP, " "), duration(7260).replace(NBSP, " ")
    ('3 min 12 s', '2 h 01 min')
    """
    if seconds < 59.5:
        return significant(2, seconds, unit=f"{NBSP}s")
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{NBSP}min {rest:02}{NBSP}s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,}{NBSP}h {minutes:02}{NBSP}min"


def clock(seconds: float) -> str:
    """Write a moment of a run: minutes and seconds, below ten minutes with tenths.

    >>> clock(75.26), clock(599.96), clock(4510)
    ('1:15.3', '10:00', '1:15:10')
    """
    if round(seconds, 1) < 600:
        tenths = round(seconds * 10)
        return f"{tenths // 600}:{tenths % 600 // 10:02}.{tenths % 10}"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def operations(count: float) -> str:
    """Write a number of floating-point operations with three figures and the prefix that suits it.

    >>> operations(3.15e23).replace(NBSP, " "), operations(12.0).replace(NBSP, " ")
    ('315 zettaFLOP', '12.0 FLOP')
    """
    prefixes = ("", "kilo", "mega", "giga", "tera", "peta", "exa", "zetta", "yotta")
    step = min(len(prefixes) - 1, max(0, math.floor(math.log10(count) / 3))) if count > 0 else 0
    return significant(3, count / 1000.0**step, unit=f"{NBSP}{prefixes[step]}FLOP")


def parameters(count: float) -> str:
    """Write a number of parameters with three figures, in millions or billions where it reaches them."""
    for size, word in ((1e9, "billion"), (1e6, "million")):
        if count >= size:
            return significant(3, count / size, unit=NBSP + word)
    return f"{count:,.0f}"


Units = tuple[tuple[str, float, float], ...]
"""Name, factor and upper end of each unit, in kWh, kg or litres."""
ENERGY: Units = (("mWh", 1e6, 1e-4), ("Wh", 1e3, 1.0), ("kWh", 1.0, 1e3), ("MWh", 1e-3, math.inf))
MASS: Units = (("mg", 1e6, 1e-4), ("g", 1e3, 1.0), ("kg", 1.0, 1e3), ("t", 1e-3, math.inf))
VOLUME: Units = (("ml", 1e3, 1.0), ("l", 1.0, 1e3), ("m³", 1e-3, math.inf))
_UNITS = {
    unit: partial(significant, 2, factor=factor, unit=NBSP + unit) for unit, factor, _ in (*ENERGY, *MASS, *VOLUME)
}

BARE = " bare"
"""Ends the kinds that leave a long unit out, where the number beside it says it."""
KINDS: dict[str, Callable[[float], str]] = {
    **{f"percent{extra}": partial(percent, places) for places, extra in enumerate(("", "+1", "+2"))},
    **{f"nats{extra}": partial(fixed, places, signed=True) for places, extra in enumerate(("", "+1", "+2"), start=2)},
    **{f"cosine{extra}": partial(fixed, places, signed=True) for places, extra in enumerate(("", "+1", "+2"), start=3)},
    **{
        f"{base}{extra}{end}": partial(fixed, places, factor=100, signed=True, unit=unit)
        for base, start in (("gap", 0), ("score", 1))
        for places, extra in enumerate(("", "+1", "+2"), start=start)
        for end, unit in (("", f"{NBSP}points"), (BARE, ""))
    },
    **_UNITS,
    "hundred": partial(fixed, 1, factor=100),
    "distance": partial(fixed, 2),
    "level": lambda value: f"{value * 100:g}{NBSP}%",
    "points": partial(fixed, 1, factor=100, unit=f"{NBSP}points"),
    "margin": lambda value: f"{value * 100:g}{NBSP}points",
    "given": "{:g}".format,
    "plain": partial(significant, 3),
    "about": partial(significant, 2),
    "published": lambda value: f"{value:,.10g}",
    "effect": partial(fixed, 2),
    "tenths": partial(fixed, 1),
    "p": probability,
    "times": times,
    "count": "{:,}".format,
    "tally": "{:,}".format,
    "planned": "{:,}".format,
    "year": "{:d}".format,
    "duration": duration,
    "clock": clock,
    "flops": operations,
    "water": lambda value: f"{value:g}{NBSP}l/kWh",
    "power": partial(significant, 2, unit=f"{NBSP}W"),
    "intensity": partial(significant, 3, factor=1000, unit=f"{NBSP}g/kWh"),
    "parameters": parameters,
}
"""How a number of each kind is rounded. ``Wh`` and its like take kWh, ``g`` and its like take kg, ``ml`` and its like
take litres, ``times`` takes nats; a ``tally`` is counted from the record, and what is ``planned`` or a ``margin`` is
worked out from it; all others stand in it, but for those of metered runs that are of a part, a unit of work or a step
of time."""

_BASES = {"share": "percent", "difference of shares": "gap", "cosine similarity": "cosine", "score": "plain"}
_OF_METRICS = {
    **dict.fromkeys(("bbq_s_amb", "bbq_s_dis", "pro_anti_gap", "label_rate_gap"), "score"),
    **dict.fromkeys(("kobbq_diff_bias_ambiguous", "kobbq_diff_bias_disambiguated"), "score"),
    "stereoset_icat": "hundred",
    "mean_absolute_gap": "distance",
    "perplexity": "plain",
}
"""The rounding of metrics that are customarily written in another way than their unit says."""
_FINER = {
    **dict.fromkeys(("crows_pairs_score", "stereoset_lms", "stereoset_ss", "label_rate", "out_of_choice"), 1),
    "honest_score": 2,
}
"""Decimal places of a per cent at least: as many as the papers print."""
_MANY = 100
"""Items from which the accuracy has a decimal place: one item more or less is at most a per cent of them."""


def absent(reason: str | None) -> Markup:
    """Say that a number is not available, and why."""
    why = Markup(": <bdi>{}</bdi>").format(clean(reason)) if reason else ""
    return Markup('<span class="absent">not available{}</span>').format(why)


def number(value: float | None, kind: str, reason: str | None = None) -> Markup:
    """Return a number of the record as rounded text that carries the exact value."""
    if value is None:
        return absent(reason)
    return Markup('<data value="{}" data-as="{}">{}</data>').format(repr(value), kind, KINDS[kind](value))


def interval(low: float | None, high: float | None, kind: str, reason: str | None = None) -> Markup:
    """Return an interval, or why there is none."""
    if low is None or high is None:
        return absent(reason)
    return Markup("{} to {}").format(number(low, lower(kind)), number(high, kind))


def lower(kind: str) -> str:
    """Return the rounding of the lower bound of an interval, which need not repeat a long unit."""
    return kind + BARE if kind + BARE in KINDS else kind


def small(value: float | None) -> str:
    """Return the rounding of a design effect: with so many places that it does not look like 0."""
    return "tenths" if value is None or value >= 0.1 else "effect"


def scaled(value: float | None, units: Units) -> str:
    """Return the unit that suits the size of a number of kWh (``ENERGY``), kg (``MASS``) or litres (``VOLUME``)."""
    return next((unit for unit, _, below in units if abs(value or 0) < below), units[-1][0])


def kind_in(unit: str) -> str:
    """Return the rounding of numbers in a unit, where nothing else is known of them."""
    return _BASES.get(unit, "nats")


def base_of(estimate: Estimate) -> str:
    """Return the rounding of an estimate where no bound comes near the neutral value."""
    return _OF_METRICS.get(estimate.metric) or kind_in(estimate.unit)


def kind_of_distance(estimate: Estimate) -> str:
    """Return the rounding of a distance between two values of an estimate, such as what it could find."""
    if base_of(estimate) in ("percent", "gap", "score", "hundred"):
        return "points"
    return "plain" if estimate.unit in ("cosine similarity", "perplexity") else "effect"


def unit_of_distance(estimate: Estimate) -> Markup:
    """Return the unit that follows a distance, where its number does not say it."""
    shown = kind_of_distance(estimate) == "points" or estimate.unit in ("correlation", "perplexity")
    return Markup("") if shown else Markup(" {}").format(clean(estimate.unit))


def kind_of(estimate: Estimate) -> str:
    """Return the rounding of an estimate: as many places as keep it from looking neutral when it is not."""
    base = base_of(estimate)
    extra = _FINER.get(estimate.metric, 0) if base == "percent" else 0
    if estimate.metric == "accuracy" and base == "percent" and estimate.items >= _MANY:
        extra = 1
    if estimate.neutral is not None and f"{base}+1" in KINDS:
        bounds = [x for x in (estimate.value, estimate.low, estimate.high) if x is not None]
        finer = {"cosine": 10, "score": 10}.get(base, 1)
        apart = min((abs(x - estimate.neutral) * finer for x in bounds if x != estimate.neutral), default=1)
        extra = max(extra, 0 if apart >= 0.005 else 1 if apart >= 0.0005 else 2)
    return f"{base}+{extra}" if extra else base
