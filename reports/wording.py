"""Numbers and strings of a record as text: rounding, words for what is absent, and finished sentences.

Every number that a report prints comes from ``number``: the text is rounded by the rule that ``KINDS`` names, and the
exact value stands beside it in the page, so that a reader can check one against the other.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial

from markupsafe import Markup, escape

from fairprint.audit.records import Estimate, Footprint, ProbeInfo

NBSP = "\u00a0"
MINUS = "\u2212"
LONGEST_TEXT = 2_000
FALSE_DISCOVERY_RATE = 0.05
COST_INTERVAL = f"90{NBSP}% interval"
"""What the schema of ``Footprint`` says its intervals are."""

_BLANK_LETTERS = "\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5"
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_LINK = re.compile(r"https://[A-Za-z0-9./_~%?=&#:+,@-]*[A-Za-z0-9/]")

METRICS: dict[str, tuple[str, str]] = {
    "stereotype_score": (
        "Stereotype score",
        "The share of items in which the model gives the stereotyped version a higher probability than its counterpart;"
        " a tie counts half, and items without a claimed direction are left out (after Nangia et al. 2020 and Nadeem et"
        " al. 2021).",
    ),
    "stereotype_score_centred": (
        "Stereotype score, centred",
        "The same share after the mean gap of each template is taken off, so that a model that prefers one group in"
        " every sentence does not look stereotyped, or free of stereotypes, for that reason alone.",
    ),
    "signed_effect": (
        "Signed effect",
        "The mean difference of log probability between the stereotyped version and its counterpart, in nats;"
        " positive is towards the stereotype.",
    ),
    "signed_effect_dz": (
        "Standardised effect",
        "The signed effect divided by the standard deviation of the differences (d_z; Cohen 1988): how regular it is,"
        " not how large.",
    ),
    "group_gap": (
        "Group gap",
        "The mean of log P(first group) minus log P(second group), in nats. The exponential of a gap says how many"
        " times as likely the one version is; it holds no claim about which direction would be a stereotype.",
    ),
    "group_gap_centred": (
        "Gap against the other words",
        "The group gap of a word minus the mean gap of all words in the same template: which words lean more to one"
        " group than the others do, whatever the sentence and the groups’ own words do by themselves.",
    ),
    "covariate_correlation": (
        "Correlation with the published figure",
        "Pearson’s correlation over words between a published figure of each word and the word’s mean gap towards the"
        " group of that figure, in the manner of Caliskan et al. (2017). It shows whether the model follows the figure,"
        " not whether it should.",
    ),
    "candidate_mass": (
        "Candidate mass",
        "The share of the model's probability that falls on the compared words. Where it is small, the comparison"
        " speaks of words that the model would hardly have written.",
    ),
}
"""Title and meaning of each metric, by name."""


def clean(text: str, limit: int = LONGEST_TEXT) -> str:
    r"""Return text in which nothing hides: controls, bidi marks, zero-width characters, lone surrogates are named.

    >>> clean("model\u202egnp.exe")
    'model[U+202E]gnp.exe'
    """
    cut = text[:limit]
    shown = "".join(_visible(character) for character in cut)
    if len(text) > limit:
        shown += f"… [{len(text) - limit:,} more characters]"
    return shown


def _visible(character: str) -> str:
    if character in "\n\t\r":
        return " "
    if unicodedata.category(character) in _HIDDEN or character in _BLANK_LETTERS:
        return f"[U+{ord(character):04X}]"
    return character


def name(text: str, *, language: str | None = None, limit: int = 120) -> Markup:
    """Return a string of the record as an isolated piece of running text, so that its direction moves nothing else."""
    if language is None:
        return Markup("<bdi>{}</bdi>").format(clean(text, limit))
    return Markup('<bdi lang="{}">{}</bdi>').format(clean(language, limit), clean(text, limit))


def code(text: str) -> Markup:
    """Return a hash, version or option as code."""
    return Markup("<code>{}</code>").format(clean(text))


def linked(text: str) -> Markup:
    """Return text in which https addresses can be followed."""
    shown, parts, end = clean(text), [], 0
    for match in _LINK.finditer(shown):
        parts += [escape(shown[end : match.start()]), Markup('<a href="{0}" rel="noreferrer">{0}</a>').format(match[0])]
        end = match.end()
    return Markup("").join([*parts, escape(shown[end:])])


def say(sentence: str, /, **parts: str) -> Markup:
    """Fill a sentence of ours; parts that are not markup yet are cleaned and escaped."""
    return Markup(sentence).format(**{k: v if isinstance(v, Markup) else clean(v) for k, v in parts.items()})


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


def parameters(count: float) -> str:
    """Write a number of parameters with three figures, in millions or billions where it reaches them."""
    for size, word in ((1e9, "billion"), (1e6, "million")):
        if count >= size:
            return significant(3, count / size, unit=NBSP + word)
    return f"{count:,.0f}"


Units = tuple[tuple[str, float, float], ...]
"""Name, factor and upper end of each unit, in kWh or kg."""
ENERGY: Units = (("mWh", 1e6, 1e-4), ("Wh", 1e3, 1.0), ("kWh", 1.0, 1e3), ("MWh", 1e-3, math.inf))
MASS: Units = (("mg", 1e6, 1e-4), ("g", 1e3, 1.0), ("kg", 1.0, 1e3), ("t", 1e-3, math.inf))
_UNITS = {unit: partial(significant, 2, factor=factor, unit=NBSP + unit) for unit, factor, _ in (*ENERGY, *MASS)}

KINDS: dict[str, Callable[[float], str]] = {
    **{f"percent{extra}": partial(percent, places) for places, extra in enumerate(("", "+1", "+2"))},
    **{f"nats{extra}": partial(fixed, places, signed=True) for places, extra in enumerate(("", "+1", "+2"), start=2)},
    **_UNITS,
    "level": lambda value: f"{value * 100:g}{NBSP}%",
    "points": partial(fixed, 1, factor=100, unit=f"{NBSP}points"),
    "plain": partial(significant, 3),
    "effect": partial(fixed, 2),
    "tenths": partial(fixed, 1),
    "p": probability,
    "times": times,
    "count": "{:,}".format,
    "tally": "{:,}".format,
    "year": "{:d}".format,
    "duration": duration,
    "power": partial(significant, 2, unit=f"{NBSP}W"),
    "intensity": partial(significant, 3, factor=1000, unit=f"{NBSP}g/kWh"),
    "parameters": parameters,
}
"""How a number of each kind is rounded. ``Wh`` and its like take kWh, ``g`` and its like take kg, ``times`` takes nats;
a ``tally`` is counted from the record, all others stand in it."""

_BASES = {"share": "percent"}


def absent(reason: str | None) -> Markup:
    """Say that a number is not available, and why."""
    why = f": {clean(reason)}" if reason else ""
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
    return Markup("{} to {}").format(number(low, kind), number(high, kind))


def scaled(value: float | None, units: Units) -> str:
    """Return the unit that suits the size of a number of kWh (``ENERGY``) or kg (``MASS``)."""
    return next((unit for unit, _, below in units if abs(value or 0) < below), units[-1][0])


def kind_of(estimate: Estimate) -> str:
    """Return the rounding of an estimate: as many places as keep it from looking neutral when it is not."""
    base = _BASES.get(estimate.unit, "nats")
    if estimate.neutral is None:
        return base
    bounds = [x for x in (estimate.value, estimate.low, estimate.high) if x is not None]
    apart = [abs(x - estimate.neutral) for x in bounds if x != estimate.neutral]
    extra = 0 if min(apart, default=1) >= 0.005 else 1 if min(apart) >= 0.0005 else 2
    return f"{base}+{extra}" if extra else base


def title_of(metric: str) -> str:
    """Return the title of a metric."""
    return METRICS[metric][0] if metric in METRICS else clean(metric)


def labels(probe: ProbeInfo) -> tuple[str, str]:
    """Return the labels of the first and the second group."""
    first, second = (*probe.groups.values(), "the first group", "the second group")[:2]
    return first, second


def includes_neutral(estimate: Estimate) -> bool | None:
    """Say whether the interval includes the neutral value, or None where one of them is missing."""
    if estimate.low is None or estimate.high is None or estimate.neutral is None:
        return None
    return estimate.low <= estimate.neutral <= estimate.high


_FINDINGS = {
    "stereotype_score": "In {value} of {items} {things} ({interval}) the model prefers the stereotyped version;"
    " with equal treatment it would be {neutral}.",
    "stereotype_score_centred": "Compared within each template, the model prefers the stereotyped version in {value} of"
    " {items} {things} ({interval}); with equal treatment it would be {neutral}.",
    "signed_effect": "The {towards} version is typically {times} times as likely as the {other} one"
    " ({value} nats over {items} {things}; {interval}).",
    "group_gap": "The model finds a sentence typically {times} times as likely when it speaks of {first} as when it"
    " speaks of {second} ({value} nats over {items} {things}; {interval}).",
    "covariate_correlation": "From word to word, the model’s preference for {figured} has a correlation of {value}"
    " with this figure: {covariate} ({interval}).{direction}",
    "candidate_mass": "The compared words hold {value} of the model’s probability ({interval}).",
}
_OTHER = "The {title} is {value} over {items} {things} ({interval})."
_OPEN = {"covariate_correlation": "a relation"}


def finding(estimate: Estimate, probe: ProbeInfo) -> Markup:
    """Return an estimate of a whole probe set as finished sentences, with its interval and what that allows to say."""
    title, kind = title_of(estimate.metric), kind_of(estimate)
    if estimate.value is None:
        return say(
            "The {title} of “{set}” is {absent}.", title=title.lower(), set=probe.title, absent=absent(estimate.reason)
        )
    bounds = interval(estimate.low, estimate.high, kind, estimate.reason)
    first, second = labels(probe)
    towards, other = "stereotyped", "opposite"
    if estimate.metric in ("group_gap", "signed_effect") and estimate.value < 0:
        first, second, towards, other = second, first, other, towards
    parts: Mapping[str, str] = {
        "value": number(estimate.value, kind),
        "items": number(estimate.items, "count"),
        "things": "sentence pairs" if len(probe.groups) == 2 else "items",
        "interval": say("{level} interval {bounds}", level=number(estimate.level, "level"), bounds=bounds),
        "neutral": number(estimate.neutral, kind, estimate.neutral_why),
        "times": number(estimate.value, "times"),
        "towards": towards,
        "other": other,
        "first": name(first),
        "second": name(second),
        "covariate": probe.covariate or "a published figure",
        "figured": name(probe.groups.get(probe.covariate_group or "", "the group of a published figure")),
        "direction": _direction(estimate),
        "title": title.lower(),
    }
    return say(_FINDINGS.get(estimate.metric, _OTHER), **parts) + _reservations(estimate, kind)


def _direction(estimate: Estimate) -> str:
    """Say whether the model follows a published figure, where the interval allows to say so."""
    if includes_neutral(estimate) is not False:
        return ""
    follows = (estimate.value or 0) > 0
    return " The preference follows the figure." if follows else " The preference runs against the figure."


def _reservations(estimate: Estimate, kind: str) -> Markup:
    parts = []
    if includes_neutral(estimate):
        shown = _OPEN.get(estimate.metric, "a preference")
        neutral = number(estimate.neutral, kind)
        way = "" if estimate.metric in _OPEN else " either way"
        parts.append(
            say(
                " This interval includes {neutral}, so the audit does not show {shown}{way}.",
                neutral=neutral,
                shown=shown,
                way=way,
            )
        )
    parts += [say(" Caution: {warning}.", warning=warning.rstrip(".")) for warning in estimate.warnings]
    return Markup("").join(parts)


_SENSORS = {"counter": "a counter", "load model": "a load model", "constant": "a constant"}


def sensors(footprint: Footprint) -> str:
    """Return which instruments the energy comes from, such as "CPU by a load model, RAM by a constant"."""
    used = [p for p in footprint.components if p.energy_kwh is not None]
    return ", ".join(f"{p.name.upper()} by {_SENSORS.get(p.sensor, p.sensor)}" for p in used) or "no sensor"


def cost(footprint: Footprint) -> Markup:
    """Return what a run cost as finished sentences: time, energy with its sensors, emissions with the grid factor."""
    took = say("The run took {time}", time=number(footprint.duration_s, "duration"))
    if footprint.energy_kwh is None:
        return took + say("; its energy is {absent}.", absent=absent(footprint.reason))
    unit = scaled(footprint.energy_kwh, ENERGY)
    energy = say(
        " and the machine used {energy} of electricity meanwhile ({level} {bounds}; {sensors}).",
        energy=number(footprint.energy_kwh, unit),
        level=COST_INTERVAL,
        bounds=interval(footprint.energy_low_kwh, footprint.energy_high_kwh, unit, footprint.reason),
        sensors=sensors(footprint),
    )
    return took + energy + Markup(" ") + emissions(footprint)


def emissions(footprint: Footprint) -> Markup:
    """Return the emissions as one finished sentence."""
    kg, low, high = footprint.emissions_kg, footprint.emissions_low_kg, footprint.emissions_high_kg
    unit = scaled(kg if kg is not None else high, MASS)
    bounds = interval(low, high, unit, footprint.reason)
    if kg is None:
        if low is None or high is None:
            return say("The emissions are {absent}.", absent=absent(footprint.reason))
        return say("Where it ran is not known, so the emissions are somewhere from {bounds} CO₂e.", bounds=bounds)
    return say(
        "At {factor} ({source}{year}) that is {mass} CO₂e ({level} {bounds}).",
        factor=number(footprint.grid.kg_per_kwh, "intensity", footprint.reason),
        source=footprint.grid.source,
        year=Markup(", {}").format(number(footprint.grid.year, "year")) if footprint.grid.year is not None else "",
        mass=number(kg, unit),
        level=COST_INTERVAL,
        bounds=bounds,
    )
