"""What is said of plans: where the spread of a run comes from, and how many templates and words would decide."""

from collections.abc import Mapping

from markupsafe import Markup

from fairprint.audit.planning import Outlook
from fairprint.audit.records import Estimate, ProbeInfo
from fairprint.reports.numbers import kind_of_distance, number, unit_of_distance
from fairprint.reports.tables import factor
from fairprint.reports.text import name, say

LIKE_THESE = 0.02
"""The margin of shares that a report plans for: two points."""


def margin(found: Outlook) -> Markup:
    """Return the margin of a plan with its unit."""
    return distance(found.margin, found.estimate, exact=True)


def distance(value: float | None, estimate: Estimate, *, exact: bool = False) -> Markup:
    """Return a distance from the neutral value with its unit; a margin stands ``exact`` as it was given."""
    kind = kind_of_distance(estimate)
    if exact:
        kind = "margin" if kind == "points" else "given"
    return number(value, kind) + unit_of_distance(estimate)


def counted(units: Mapping[str, int], probe: ProbeInfo, joint: str = ", ", kind: str = "planned") -> Markup:
    """Return how many units of each factor, such as "12 templates, 60 words"."""
    return Markup(joint).join([count(units[unit], unit, probe, kind) for unit in sorted(units, reverse=True)])


def count(units: int, unit: str, probe: ProbeInfo, kind: str = "planned") -> Markup:
    """Return a number of units of one factor."""
    plural = Markup("") if units == 1 else Markup("s")
    return say("{count}\u00a0{factor}{s}", count=number(units, kind), factor=name(factor(unit, probe)), s=plural)


def would_decide(found: Outlook, probe: ProbeInfo) -> Markup:
    """Say how many units would decide a margin, as one finished sentence; empty where no margin was planned."""
    if found.margin is None or found.spread is None or found.reason is not None:
        return Markup("")
    wanted = margin(found)
    if found.decided:
        have = counted(found.spread.units, probe, " and ")
        return say("{have} are enough to decide a margin of {margin}.", have=have, margin=wanted)
    if len(found.needed) == 1:
        return _by_one(found, probe, wanted)
    if not found.spread.crossed:
        if found.cheapest is None:
            return say("No number of units within reach would decide a margin of {margin}.", margin=wanted)
        text = "{both} together would decide a margin of {margin}."
        return say(text, both=counted(found.cheapest, probe, " and "), margin=wanted)
    enough = [(unit, needed) for unit, needed in found.needed.items() if needed is not None]
    told = [
        say(
            "{count} with these {others}s",
            count=count(needed, unit, probe),
            others=name(factor(_other(unit, found), probe)),
        )
        for unit, needed in enough
    ]
    never = [unit for unit in found.needed if unit not in dict(enough)]
    if not told:
        text = "Neither more {a}s nor more {b}s alone would decide a margin of {margin}"
        names = {key: name(factor(unit, probe)) for key, unit in zip("ab", found.needed, strict=True)}
        both = None if found.cheapest is None else counted(found.cheapest, probe, " with ")
        only = ", and no number of both within reach." if both is None else say("; {both} would.", both=both)
        return say(text, margin=wanted, **names) + only
    said = say("{told} would decide a margin of {margin}", told=Markup(" or ").join(told), margin=wanted)
    for unit in never:
        said += say("; more {units}s alone would not", units=name(factor(unit, probe)))
    return said + "."


def _by_one(found: Outlook, probe: ProbeInfo, wanted: Markup) -> Markup:
    ((unit, needed),) = found.needed.items()
    if needed is None:
        text = "No number of {units}s within reach would decide a margin of {margin}."
        return say(text, units=name(factor(unit, probe)), margin=wanted)
    return say("{count} would decide a margin of {margin}.", count=count(needed, unit, probe), margin=wanted)


def _other(unit: str, found: Outlook) -> str:
    return next(other for other in found.needed if other != unit)


def limits(found: Outlook, probe: ProbeInfo) -> Markup:
    """Say which factor limits what the run could find, with the share of the variance that each one brings."""
    spread = found.spread
    if spread is None:
        return Markup("")
    limiting = spread.limiting()
    if limiting is None:
        names = {key: name(factor(unit, probe)) for key, unit in zip("ab", spread.units, strict=True)}
        text = "What single items have of their own limits it, more than {a}s or {b}s do: more of either helps."
        return say(text, **names)
    units = name(factor(limiting, probe))
    if len(spread.units) == 1:
        return say("The {units}s limit it: only they were drawn.", units=units)
    if not spread.crossed:
        text = "The {units}s limit it: left out one by one, they move it the most."
        return say(text, units=units)
    shares = spread.shares()
    if shares["cell"] > max(shares[unit] for unit in spread.units):
        text = (
            "Mostly what single items have of their own limits it ({rest} of the variance); of the two, the {units}s do"
        )
    else:
        text = "The {units}s limit it"
    parts = Markup(", ").join(
        say("{units}s {share}", units=name(factor(unit, probe)), share=number(shares[unit], "percent"))
        for unit in spread.units
    )
    rest = number(shares["cell"], "percent")
    said = say(text, units=units, rest=rest)
    return said + say(" (variance: {parts}, single items {rest}).", parts=parts, rest=rest)


def cut(found: Outlook, probe: ProbeInfo) -> Markup:
    """Say which variance components came out negative, or nothing."""
    if found.spread is None or not found.spread.cut:
        return Markup("")
    names = [
        Markup("single items") if unit == "cell" else name(factor(unit, probe)) + Markup("s")
        for unit in found.spread.cut
    ]
    text = "The variance of {names} came out below 0, as it can by chance where it is small, and counts as 0."
    return say(text, names=Markup(" and of ").join(names))


def verdict(found: Outlook, probe: ProbeInfo) -> list[Markup]:
    """Return all that a plan says, sentence by sentence."""
    if found.spread is None:
        return [say("Nothing can be planned: {reason}.", reason=found.reason or "no spread is known")]
    could = say(
        "{have} can find a distance of {least} with a power of {power}.",
        have=counted(found.spread.units, probe, " and ", "count"),
        least=distance(found.detectable, found.estimate),
        power=number(found.power, "level"),
    )
    said = [could, limits(found, probe), cut(found, probe)]
    if found.reason is not None:
        return [each for each in (*said, say("Nothing can be planned: {reason}.", reason=found.reason)) if each]
    if found.margin is None:
        return [each for each in said if each]
    said.append(would_decide(found, probe))
    for unit, least in found.least.items():
        text = "No number of {units}s is enough by itself, since the {others}s alone leave {least}."
        names = {"units": name(factor(unit, probe)), "others": name(factor(_other(unit, found), probe))}
        said.append(say(text, least=distance(least, found.estimate), **names))
    if found.cheapest is not None and not found.decided and len(found.spread.units) == 2:
        text = "With the fewest items it takes {both}: {items} items instead of {now}."
        if not any(found.needed.values()):
            text = "No other grid does it with fewer items: {items} instead of {now}."
        said.append(
            say(
                text,
                both=counted(found.cheapest, probe, " and "),
                items=number(found.items, "planned"),
                now=number(found.spread.items, "count"),
            )
        )
    return [each for each in said if each]
