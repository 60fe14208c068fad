"""Sentences, tables and figures of the results of classifiers, where every comparison stands for itself."""

from collections.abc import Sequence

from markupsafe import Markup

from fairprint.audit.records import Estimate, ProbeInfo
from fairprint.reports import classified, wording
from fairprint.reports.numbers import interval, kind_of, number
from fairprint.reports.tables import FigureView, Table, levels, slug, tabulated
from fairprint.reports.text import name, say
from fairprint.reports.wording import labels, title_of

MOST_SAID = 5
"""Comparisons that are told in sentences; the tables have all."""
MOST_DRAWN = 40
"""Rows of a figure."""
_AXES = {
    classified.PROBABILITY: "change of the probability",
    classified.DIFFERENCE: "difference of the shares of right answers, in points",
}


def applies(head: Estimate | None) -> bool:
    """Whether an instrument's main metric compares groups by what a classifier answers."""
    return head is not None and head.unit in classified.UNITS


def compared(estimates: Sequence[Estimate], head: Estimate) -> list[Estimate]:
    """Return the main metric of every comparison."""
    return [e for e in estimates if e.metric == head.metric and e.scope == "all"]


def sentences(estimates: Sequence[Estimate], probe: ProbeInfo, head: Estimate) -> list[Markup]:
    """Say how often the model is right, which comparisons show a difference, and which do not."""
    said = [wording.finding(e, probe) for e in estimates if e.metric == "accuracy" and e.scope == "all"]
    return said + comparisons(compared(estimates, head), probe)


def comparisons(found: Sequence[Estimate], probe: ProbeInfo) -> list[Markup]:
    """Say which comparisons of one metric show a difference, the largest one by one, and which do not."""
    shown = sorted((e for e in found if wording.includes_neutral(e) is False), key=lambda e: -abs(e.value or 0))
    said = [wording.finding(e, probe) for e in shown[:MOST_SAID]]
    if len(shown) > MOST_SAID:
        more = number(len(shown) - MOST_SAID, "tally")
        said.append(say("{more} more comparisons show a difference; they are in the table of results.", more=more))
    rest = [e for e in found if wording.includes_neutral(e)]
    if len(rest) == 1 and not shown:
        said.append(wording.finding(rest[0], probe))
    elif rest:
        said.append(_not_shown(rest, probe))
    return said + [wording.finding(e, probe) for e in found if wording.includes_neutral(e) is None][:MOST_SAID]


def _not_shown(rest: Sequence[Estimate], probe: ProbeInfo) -> Markup:
    if len(rest) > MOST_SAID:
        text = "{count} comparisons show no difference: their {levels} intervals include {neutral}."
    else:
        text = "No difference of {what} is shown for {told}: the {levels} intervals include {neutral}."
    return say(
        text,
        count=number(len(rest), "tally"),
        what=_what(rest[0]),
        told=Markup("; ").join(_brief(e, probe) for e in rest),
        levels=levels(rest),
        neutral=number(rest[0].neutral, kind_of(rest[0])),
    )


def _what(estimate: Estimate) -> Markup:
    if estimate.metric == "label_rate_gap":
        return say("the share of texts with “{label}”", label=name(classified.label_of(estimate)))
    if estimate.unit == classified.PROBABILITY:
        return say("the probability of “{label}”", label=name(classified.label_of(estimate)))
    return Markup("the shares of right answers")


def _brief(estimate: Estimate, probe: ProbeInfo) -> Markup:
    first, second = labels(probe, estimate.comparison)
    kind = kind_of(estimate)
    return say(
        "{first} against {second} ({value}; {bounds})",
        first=name(first),
        second=name(second),
        value=number(estimate.value, kind),
        bounds=interval(estimate.low, estimate.high, kind, estimate.reason),
    )


def figures(prefix: str, probe: ProbeInfo, estimates: Sequence[Estimate], head: Estimate) -> tuple[FigureView, ...]:
    """Draw the main metric of all comparisons, and the accuracy of all groups."""
    gaps = _furthest([e for e in compared(estimates, head) if e.value is not None])
    of_label = say(" of “{label}”", label=name(label)) if (label := classified.label_of(head)) else Markup("")
    title = say("{title} by comparison", title=title_of(head.metric))
    if head.unit == classified.PROBABILITY:
        title = say("Change of the probability{of_label} by comparison", of_label=of_label)
    found = [_figure(prefix, probe, "comparisons", gaps, title, _AXES[head.unit])] if len(gaps) > 1 else []
    rates = [e for e in estimates if e.metric == "accuracy" and e.value is not None]
    if MOST_DRAWN >= len(rates) > 2 and rates[0].scope == "all":
        found.append(_figure(prefix, probe, "dots", rates, Markup("Accuracy by group"), title_of("accuracy")))
    return tuple(found)


def _furthest(gaps: Sequence[Estimate]) -> list[Estimate]:
    """Return those that lie furthest from 0 where there are too many for a figure, in their order."""
    kept = sorted(gaps, key=lambda e: -abs(e.value or 0))[:MOST_DRAWN]
    return [e for e in gaps if e in kept]


def _figure(
    prefix: str, probe: ProbeInfo, kind: str, rows: Sequence[Estimate], title: Markup, x_label: str
) -> FigureView:
    named = [(_name(e, probe), e) for e in rows]
    high, low = max(named, key=lambda row: row[1].value or 0), min(named, key=lambda row: row[1].value or 0)
    alt = say(
        "{title}: highest for {top} ({high}), lowest for {end} ({low}).",
        title=title,
        top=name(high[0]),
        high=number(high[1].value, kind_of(high[1])),
        end=name(low[0]),
        low=number(low[1].value, kind_of(low[1])),
    )
    return FigureView(
        id=slug(prefix, "figure", rows[0].instrument, rows[0].metric, kind),
        kind=kind,
        probe=probe,
        title=title,
        alt=alt.striptags(),
        levels=levels(rows),
        rows=tuple(named),
        covariates=(),
        x_label=x_label,
        y_label="",
    )


def _name(estimate: Estimate, probe: ProbeInfo) -> str:
    if estimate.comparison is not None:
        first, second = labels(probe, estimate.comparison)
        return first if second == _OTHERS else f"{first} / {second}"
    scope, _, group = estimate.scope.partition(":")
    return probe.labels.get(group, group) if scope == "group" else f"all {classified.things(probe)}"


_OTHERS = "all other items"


def rates(probe: ProbeInfo, estimates: Sequence[Estimate]) -> tuple[Table, ...]:
    """Return the true positive rates of all labels, and their gaps."""
    texts = {
        "true_positive_rate": "True positive rate of each label, with {levels} intervals",
        "true_positive_rate_gap": "True positive rate gap of each label, first group minus second, with {levels}"
        " intervals",
    }
    found = {metric: [e for e in estimates if e.metric == metric] for metric in texts}
    return tuple(
        tabulated(None, probe, rows, say(texts[metric], levels=levels(rows)), ("Label", False))
        for metric, rows in found.items()
        if rows
    )
