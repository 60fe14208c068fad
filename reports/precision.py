"""What stands behind an interval: standard errors by factor, a second opinion, worst cases, and of what it speaks."""

from collections.abc import Callable, Sequence
from functools import partial

from markupsafe import Markup

from fairprint.audit.planning import IN_POINTS, error_in_unit, outlook
from fairprint.audit.records import Estimate, ProbeInfo
from fairprint.reports import wording
from fairprint.reports.numbers import absent, interval, kind_of, kind_of_distance, number, small, unit_of_distance
from fairprint.reports.planned import LIKE_THESE, would_decide
from fairprint.reports.tables import Table, factor, row_label, units
from fairprint.reports.text import name, say
from fairprint.reports.wording import title_of

ERRORS = ("item", "template", "lexeme", "two-way")
_NOTHING = Markup("")
_Column = tuple[str, str, Callable[[Estimate], Markup]]
"""Head, alignment, and what fills a cell."""


def error_heads(probe: ProbeInfo) -> dict[str, str]:
    """Return how each standard error is called: by item, by template, by word, two-way."""
    return {key: key if key == "two-way" else f"by {factor(key, probe)}" for key in ERRORS}


def tables(probe: ProbeInfo, rows: Sequence[Estimate], caption: Markup) -> tuple[Table, ...]:
    """Return what stands behind the intervals, and what else is said of the same numbers; empty columns stay out.

    Args:
        probe: the set.
        rows: its estimates.
        caption: of the first table.
    """
    called = error_heads(probe)
    known = [key for key in ERRORS if any(key in e.standard_errors for e in rows)]
    errors: list[_Column] = [(f"Error {called[key]}", "r", partial(_error, key=key)) for key in known]
    behind: list[_Column] = [
        ("Units", "l", partial(_units, probe=probe)),
        # runs that older versions stored have one standard error only
        *(errors or [("Standard error", "r", lambda e: _number(e.standard_error, "plain"))]),
        ("on scale", "l", lambda e: _NOTHING if e.standard_error is None else name(e.scale)),
        ("Design effect", "r", lambda e: _number(e.design_effect, small(e.design_effect))),
        ("Degrees of freedom", "r", lambda e: _number(e.degrees_of_freedom, "tenths")),
    ]
    beside: list[_Column] = [
        ("Detectable", "r", _detectable),
        ("Second opinion", "l", _second),
        ("Against the interval", "l", _differs),
        ("Worst cases", "l", _worst),
    ]
    made = [_table(caption, probe, rows, behind, always=True)]
    text = "What could be found, what a second method says, and worst cases"
    made.append(_table(Markup(text), probe, [e for e in rows if e.value is not None], beside))
    return tuple(table for table in made if table is not None)


def _table(
    caption: Markup, probe: ProbeInfo, rows: Sequence[Estimate], columns: Sequence[_Column], *, always: bool = False
) -> Table | None:
    cells = [(e, [fill(e) for _, _, fill in columns]) for e in rows]
    kept = [i for i in range(len(columns)) if any(row[i] for _, row in cells)]
    if not kept:
        return None
    filled = [(e, row) for e, row in cells if always or any(row)]
    return Table(
        caption=caption,
        head=("Metric", *(columns[i][0] for i in kept)),
        rows=tuple((row_label(e, probe), *(row[i] for i in kept)) for e, row in filled),
        align="l" + "".join(columns[i][1] for i in kept),
    )


def _number(value: float | None, kind: str) -> Markup:
    return _NOTHING if value is None else number(value, kind)


def _units(e: Estimate, probe: ProbeInfo) -> Markup:
    """Return the units, or why there is no interval; the cells beside it need not repeat that."""
    return units(e, probe) if e.low is not None else absent(e.reason)


def _error(e: Estimate, key: str) -> Markup:
    return _number(e.standard_errors.get(key), "plain")


def _detectable(e: Estimate) -> Markup:
    if e.detectable is None and e.neutral is None:
        return absent("nothing is tested")
    return _number(e.detectable, kind_of_distance(e))


def _second(e: Estimate) -> Markup:
    other = e.second_opinion
    return _NOTHING if other is None else interval(other.low, other.high, kind_of(e), other.reason)


def _differs(e: Estimate) -> Markup:
    other = e.second_opinion
    if other is None or other.low is None or e.low is None:
        return _NOTHING
    return name(other.disagrees) if other.disagrees else Markup("agrees")


def _worst(e: Estimate) -> Markup:
    none = "the metric has no bounds" if e.unit != "share" or e.missing else "no answer is missing"
    return interval(e.bound_low, e.bound_high, kind_of(e), none)


def speaks_of(e: Estimate, probe: ProbeInfo) -> Markup:
    """Say what is exact, what the interval speaks of, and how many units would decide two points: the estimand."""
    if e.value is None:
        return _NOTHING
    kind = kind_of(e)
    parts = {
        "items": number(e.items, "count"),
        "things": Markup(wording.things(probe)),
        "value": number(e.value, kind),
        "title": title_of(e.metric).lower(),
    }
    said = say("On these {items} {things} the {title} is {value}, exactly", **parts)
    if e.low is None or e.high is None:
        return said + say("; of others like these nothing is known: {reason}.", reason=e.reason or "no interval")
    bounds = interval(e.low, e.high, kind)
    text = "; for {others} it lies from {bounds} with {level} confidence."
    said += say(text, others=e.estimand, bounds=bounds, level=number(e.level, "level"))
    if e.unit not in IN_POINTS:
        return said
    plan = would_decide(outlook(e, 100 * LIKE_THESE), probe)
    return said + (Markup(" ") + plan if plan else _NOTHING)


def in_words(e: Estimate, probe: ProbeInfo) -> list[Markup]:
    """Return for a terminal what the interval rests on: units, design effect, standard errors, and a second opinion."""
    title = title_of(e.metric)
    said = []
    if e.design_effect is not None:
        text = (
            "The interval of the {title} rests on {units}; its variance is {effect} times that of independent items"
            " (design effect)."
        )
        effect = number(e.design_effect, small(e.design_effect))
        said.append(say(text, title=title, units=units(e, probe), effect=effect))
    if e.standard_errors:
        said.append(_errors(e, probe))
    other = e.second_opinion
    if other is not None and other.low is not None and e.low is not None:
        verdict = f"which disagrees: {other.disagrees}" if other.disagrees else "which agrees"
        text = "Second opinion ({method}): {bounds}, {verdict}."
        bounds = interval(other.low, other.high, kind_of(e))
        said.append(say(text, method=other.method, bounds=bounds, verdict=verdict))
    return said


def _errors(e: Estimate, probe: ProbeInfo) -> Markup:
    """Say the standard errors in the unit of the metric."""
    kind, unit = kind_of_distance(e), unit_of_distance(e)
    bare = "hundred" if kind == "points" else kind
    called = error_heads(probe)
    told = []
    for key in (key for key in ERRORS if key in e.standard_errors):
        error = error_in_unit(e, e.standard_errors[key])
        if error is not None:
            told.append(say("{error} {by}", error=number(error, bare), by=called[key]))
    if not told:
        return _NOTHING
    named = "points" if kind == "points" else unit.strip() or "its own unit"
    return say("Its standard errors in {unit}: {told}.", unit=named, told=Markup(", ").join(told))
