"""Quality against cost of a ledger: what is told of each picture, and its tables."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fairprint.audit.pareto import Front, Point, Step
from fairprint.reports.numbers import ENERGY, KINDS, MASS, NBSP, Units, absent, interval, number, scaled
from fairprint.reports.tables import Table
from fairprint.reports.text import clean, name, say

MOST_DOMINATED = 60
"""Dominated models that a table lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontView:
    """One picture, yet to be drawn, with its words."""

    id: str
    front: Front
    title: Markup
    alt: str
    caption: Markup
    points: Table
    steps: Table | None
    remarks: tuple[Markup, ...]


def front_views(fronts: Sequence[Front]) -> list[FrontView]:
    """Return the pictures of a ledger."""
    return [_view(front, f"front-{n + 1}") for n, front in enumerate(fronts)]


def units_of(front: Front) -> Units:
    """Return the units of the cost of a picture."""
    return MASS if front.unit == "kg" else ENERGY


def cost_name(front: Front) -> str:
    """Return what the cost is called."""
    return "CO₂e" if front.unit == "kg" else "energy"


def unit_of(front: Front) -> str:
    """Return the unit that suits the dearest model of a picture."""
    return scaled(max((p.cost for p in (*front.front, *(p for p, _ in front.dominated))), default=0.0), units_of(front))


def title_of(front: Front) -> Markup:
    """Return what a picture is of."""
    what = f"{front.metric} on {front.part}" if front.part else front.metric
    text = "{what} of “{task}” against {cost}" if front.task else "{what} against {cost}"
    return say(text, what=what[:1].upper() + what[1:], task=front.task, cost=cost_name(front))


def _view(front: Front, anchor: str) -> FrontView:
    title = title_of(front)
    best = ", ".join(clean(point.label, 40) for point in front.front[:6])
    ends = ""
    if front.front:
        first, last = (KINDS["plain"](point.quality) for point in (front.front[0], front.front[-1]))
        cheap, dear = (KINDS[unit_of(front)](p.cost).replace(NBSP, " ") for p in (front.front[0], front.front[-1]))
        ends = f" from {first} for {cheap} to {last} for {dear}"
    alt = f"{clean(front.metric, 60)} upwards, {cost_name(front)} across: {len(front.front)} models that no other beats"
    alt += f"{ends} ({best}), and {len(front.dominated)} that another one beats."
    better = "higher" if front.higher_is_better else "lower"
    caption = say(
        "Filled circles with numbers are the models that no other one beats, joined by the line; hollow squares are"
        " beaten by one that is as good or better and costs no more. Bars are 90 % intervals of the cost; {better} is"
        " better. Costs are those of each training alone, as its own meter has them.",
        better=Markup(better),
    )
    return FrontView(
        id=anchor,
        front=front,
        title=title,
        alt=alt,
        caption=caption,
        points=_points(front),
        steps=_steps(front) if front.steps else None,
        remarks=tuple(_remarks(front)),
    )


def _points(front: Front) -> Table:
    rows = [_point(front, point, f"{n + 1}", Markup("none")) for n, point in enumerate(front.front)]
    rows += [_point(front, p, "", name(by.label, limit=80)) for p, by in front.dominated[:MOST_DOMINATED]]
    head = ("Model", "On the front", front.metric[:60], "Items", f"{cost_name(front)} (90 % interval)", "Beaten by")
    return Table(caption=Markup("The same models as a table"), head=head, rows=tuple(rows), align="lrrrnl")


def _point(front: Front, point: Point, place: str, beaten_by: Markup) -> tuple[Markup, ...]:
    unit = unit_of(front)
    cost = number(point.cost, unit)
    if point.low is not None:
        cost = say("{cost} ({bounds})", cost=cost, bounds=interval(point.low, point.high, unit))
    return (
        name(point.label, limit=80),
        number(int(place), "tally") if place else Markup("no"),
        _quality(point),
        Markup('<span class="absent">not told</span>') if point.items is None else number(point.items, "count"),
        cost,
        beaten_by,
    )


def _quality(point: Point) -> Markup:
    value = number(point.quality, "plain")
    if point.quality_low is None or point.quality_high is None:
        return value
    bounds = interval(point.quality_low, point.quality_high, "plain")
    return say("{value} ({bounds})", value=value, bounds=bounds)


def _steps(front: Front) -> Table:
    caption = "What each step along the front gains and costs. Intervals are of the cost alone: that of a difference in"
    caption += " quality is told by fairprint regimes where the answers were kept"
    per = f"Gain per {front.unit}"
    head = ("From", "To", f"Gain in {front.metric[:60]}", f"More {cost_name(front)} (90 % interval)", per)
    rows = tuple(_step(front, step) for step in front.steps)
    return Table(caption=Markup(caption), head=head, rows=rows, align="lnrnn")


def _step(front: Front, step: Step) -> tuple[Markup, ...]:
    unit = scaled(step.cost, units_of(front))
    more = number(step.cost, unit)
    if step.cost_low is not None:
        more = say("{more} ({bounds})", more=more, bounds=interval(step.cost_low, step.cost_high, unit))
    gain = number(step.per_unit, "plain", "they cost the same")
    if step.per_unit is not None:
        none = "the interval of the cost holds zero"
        bounds = absent(none) if step.low is None else interval(step.low, step.high, "plain")
        gain = say("{gain} ({bounds})", gain=gain, bounds=bounds)
    return name(step.start.label, limit=80), name(step.end.label, limit=80), number(step.gain, "plain"), more, gain


def _remarks(front: Front) -> list[Markup]:
    found = []
    if front.unit_reason is not None:
        found.append(say("Costs are energies, since {why}.", why=front.unit_reason))
    if len(front.dominated) > MOST_DOMINATED:
        n = number(len(front.dominated) - MOST_DOMINATED, "tally")
        found.append(say("{n} more beaten models are in the data alone.", n=n))
    for label, why in front.without[:20]:
        found.append(say("Without a place in the picture: {label} ({why}).", label=label, why=why))
    return found
