"""What a run's energy and emissions are like: things that people know, and published runs, each with its source."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fairprint.audit.references import Equivalence, Figure, Neighbours, Source, equivalences, for_scale, sources_of
from fairprint.reports.numbers import ENERGY, MASS, NBSP, absent, number, scaled
from fairprint.reports.text import linked, say

_LIKE = {
    "car-km": "driving an average US passenger car for {count}{nbsp}km ({figure} a km, {source})",
    "phone-charge": "charging a smartphone {count} times ({figure} each, {source})",
    "flight-paris-london": "{count} flights of a passenger from Paris to London ({figure} each, {source})",
}
"""Of each equivalence that is told, its words."""

CAUTION = Markup(
    "Published figures count differently: some the accelerators alone, some the whole machine and the data centre. They"
    " show the order of magnitude, no more."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleView:
    """Finished sentences, and the sources that they quote."""

    sentences: tuple[Markup, ...]
    sources: tuple[Markup, ...]


def scale(energy_kwh: float | None, emissions_kg: float | None, reason: str | None = None) -> ScaleView:
    """Return what an energy and its emissions are like.

    Args:
        energy_kwh: of the run; None where it is not known.
        emissions_kg: of the run; None where they are not known.
        reason: why one is not known.
    """
    sentences, figures = [], []
    if emissions_kg is None:
        sentences.append(say("What the emissions are like is {absent}.", absent=absent(reason)))
    elif emissions_kg > 0:
        found = equivalences(emissions_kg)
        sentences.append(_like(emissions_kg, found))
        figures += [each.figure for each in found]
    for near in for_scale(energy_kwh or None, emissions_kg or None):
        sentences.append(_beside(near))
        figures += [figure for figure in (near.below, near.above) if figure is not None]
    if len(sentences) > 1 or emissions_kg is not None:
        sentences.append(CAUTION)
    return ScaleView(sentences=tuple(sentences), sources=tuple(map(_source, sources_of(figures))))


def _like(emissions_kg: float, found: Sequence[Equivalence]) -> Markup:
    told = [
        say(
            _LIKE[each.figure.id],
            count=number(each.count, "about"),
            nbsp=Markup(NBSP),
            figure=published(each.figure),
            source=each.figure.source.short,
        )
        for each in found
    ]
    return say(
        "Its emissions, {mass} CO₂e, are about those of {first}, or of {last}.",
        mass=number(emissions_kg, scaled(emissions_kg, MASS)),
        first=Markup(", of ").join(told[:-1]),
        last=told[-1],
    )


def _beside(near: Neighbours) -> Markup:
    """Say which published runs are next to a value, and how far away they are."""
    unit = scaled(near.value, ENERGY if near.quantity == "energy" else MASS)
    told = [say("Its {quantity}: {value}.", quantity=near.quantity, value=number(near.value, unit))]
    for figure, which in ((near.below, "smaller"), (near.above, "larger")):
        if figure is None:
            told.append(say("No published run in the table is {which}.", which=which))
            continue
        ratio = near.value / figure.base if which == "smaller" else figure.base / near.value
        text = "The next {which} of the published runs is {figure}; {who} is {ratio} times as large."
        who = Markup("this one" if which == "smaller" else "that one")
        told.append(say(text, which=which, figure=_figure(figure), who=who, ratio=number(ratio, "about")))
    return Markup(" ").join(told)


def _figure(figure: Figure) -> Markup:
    return say("{about} ({value}, {source})", about=figure.about, value=published(figure), source=figure.source.short)


def published(figure: Figure) -> Markup:
    """Return a figure with the digits and the unit that were published."""
    return number(figure.value, "published") + Markup(NBSP) + figure.unit


def _source(source: Source) -> Markup:
    if source.title == source.short:
        return say("{short}: {where}", short=source.short, where=linked(source.where))
    return say("{short}: {title}; {where}", short=source.short, title=source.title, where=linked(source.where))
