"""What is compared of two runs, set by set: rows of tables and figures, as plain data."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fairprint.audit.comparisons import ComparisonRecord, Difference
from fairprint.audit.records import Estimate, ProbeInfo
from fairprint.reports import numbers, utility
from fairprint.reports.numbers import base_of, kind_of, number, small
from fairprint.reports.selection import headline
from fairprint.reports.tables import Table, factor, row_label, slug
from fairprint.reports.text import code, name, say
from fairprint.reports.wording import title_of

POINTS = "difference of shares"
Labelled = tuple[str, Estimate]
"""A row of a figure."""
_SIGNED = {"hundred": "score", "distance": "nats", "percent": "gap"}
"""The rounding of a difference between numbers that are themselves rounded without a sign."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetView:
    """What is compared of one set as one instrument asked it.

    Attributes:
        main: the difference that speaks for it, or None.
        every: all of them, the main one first.
    """

    id: str
    title: Markup
    probe: ProbeInfo
    instrument: str
    main: Difference | None
    every: tuple[Difference, ...]


def sides(record: ComparisonRecord) -> tuple[str, str]:
    """Return how the two runs are called: by their models, or where these have one name by their ids."""
    names = tuple(side.model.name for side in (record.a, record.b))
    return (record.a.run_id, record.b.run_id) if names[0] == names[1] else (names[0], names[1])


def as_estimate(found: Difference, value: float | None = None, *, of: str = "difference") -> Estimate:
    """Return a difference, or the metric in one of the runs, in the form in which labels and rounding know it."""
    apart = of == "difference"
    return Estimate(
        metric=found.metric,
        metric_version=found.metric_version,
        probe_set=found.probe_set,
        instrument=found.instrument,
        scope=found.scope,
        comparison=found.comparison,
        value=found.value if apart else value,
        low=found.low if apart else None,
        high=found.high if apart else None,
        level=found.level,
        unit=POINTS if apart and found.unit == "share" else found.unit,
        scale="identity",
        neutral=0.0 if apart else found.neutral,
        neutral_why="no difference" if apart else found.neutral_why,
        p_value=found.p_value,
        q_value=found.q_value,
        family=None,
        items=found.items,
        missing=found.missing,
        bound_low=None,
        bound_high=None,
        units=found.units,
        design_effect=found.design_effect,
        detectable=found.detectable,
        standard_error=found.standard_error,
        degrees_of_freedom=found.degrees_of_freedom,
        extremes=(),
        estimand=found.estimand,
        method="",
        reason=found.reason,
        warnings=found.warnings,
    )


def kind_of_difference(found: Difference) -> str:
    """Return the rounding of a difference: with its sign, and so many places that it does not look like none."""
    estimate = as_estimate(found)
    base = base_of(estimate)
    if base in _SIGNED:
        # as the metric has no place in the table of those that are written in their own way
        estimate = estimate.model_copy(update={"metric": "", "unit": POINTS if _SIGNED[base] != "nats" else "nats"})
    return kind_of(estimate)


def kind_of_side(found: Difference) -> str:
    """Return the rounding of the metric in either run: one for both, so that they can be compared."""
    kinds = [kind_of(as_estimate(found, value, of="side")) for value in (found.a, found.b)]
    return max(kinds, key=len)


def set_views(record: ComparisonRecord) -> list[SetView]:
    """Return what is compared, by set and instrument, in the order of the record; utility comes last."""
    probes = {probe.name: probe for probe in record.probes}
    found: dict[str, list[Difference]] = {}
    for each in record.differences:
        found.setdefault(each.instrument, []).append(each)
    views = []
    for label, every in found.items():
        probe = probes[every[0].probe_set]
        main = _main(every, probe)
        ordered = [*([main] if main else []), *(each for each in every if each is not main)]
        title = name(probe.title)
        if sum(other[0].probe_set == probe.name for other in found.values()) > 1:
            title = say("{set} ({how})", set=title, how=code(label.rpartition(" / ")[2]))
        id_ = slug("difference", label)
        views.append(SetView(id=id_, title=title, probe=probe, instrument=label, main=main, every=tuple(ordered)))
    return sorted(views, key=lambda view: utility.applies(view.probe))


def _main(every: Sequence[Difference], probe: ProbeInfo) -> Difference | None:
    """Return the difference that speaks for a set: that of the metric which speaks for it in a report."""
    if utility.applies(probe):
        wanted = (utility.PER_TOKEN, utility.PER_CHARACTER)
        found = [each for metric in wanted for each in every if each.metric == metric]
        return next((each for each in found if each.value is not None), found[0] if found else None)
    head = headline([as_estimate(each) for each in every])
    if head is None:
        return every[0] if every else None
    place = (head.metric, head.scope, head.comparison)
    return next(each for each in every if (each.metric, each.scope, each.comparison) == place)


def label_of(found: Difference, probe: ProbeInfo) -> Markup:
    """Return what a row is about."""
    return row_label(as_estimate(found, of="side"), probe)


def cells(found: Difference) -> dict[str, Markup]:
    """Return the numbers of a difference as text: ``a``, ``b``, ``difference``, ``interval``, ``p`` and ``q``."""
    side, apart = kind_of_side(found), kind_of_difference(found)
    # where there is no difference, its cell says why, and the others need not repeat it
    reason = None if found.identical or found.value is None else found.reason
    return {
        "a": number(found.a, side),
        "b": number(found.b, side),
        "difference": number(found.value, apart, found.reason),
        "interval": Markup("identical answers")
        if found.identical
        else numbers.interval(found.low, found.high, apart, reason),
        "p": Markup("") if found.identical or found.p_value is None else number(found.p_value, "p"),
        "q": Markup("") if found.identical or found.q_value is None else number(found.q_value, "p"),
    }


def table(view: SetView) -> Table:
    """Return all differences of a set as a table."""
    rows = []
    for each in view.every:
        told = cells(each)
        items = number(each.items, "count")
        if each.missing:
            items += say(" ({missing} missing)", missing=number(each.missing, "count"))
        rows.append(
            (
                label_of(each, view.probe),
                *(told[key] for key in ("a", "b", "difference", "interval", "p", "q")),
                name(each.verdict),
                detectable(each),
                items,
            )
        )
    return Table(
        caption=Markup("Run A and run B on the same items; differences are B minus A"),
        head=("Metric", "A", "B", "Difference", "Interval", "p", "q", "Shown", "Detectable", "Items"),
        rows=tuple(rows),
        align="lrrrlrrlrr",
        ids=tuple(
            slug("difference", each.instrument, each.metric, each.scope, *(each.comparison or ()))
            for each in view.every
        ),
    )


def detectable(found: Difference) -> Markup:
    """Return the smallest difference that would be found in four of five cases, or nothing."""
    if found.detectable is None:
        return Markup("")
    kind = kind_of_difference(found)
    return number(found.detectable, "points" if kind.startswith(("gap", "score")) else "plain")


def figure_rows(record: ComparisonRecord) -> list[tuple[str, list[Labelled]]]:
    """Return the main differences that have an interval, by the axis that they share: title, and label with each."""
    groups: dict[str, list[Labelled]] = {}
    for view in set_views(record):
        found = view.main
        if found is not None and found.low is not None:
            title = f"{title_of(found.metric)}, difference"
            groups.setdefault(title, []).append((view.title.striptags(), as_estimate(found)))
    return list(groups.items())


def precision(view: SetView) -> Table:
    """Return what stands behind each interval of a set."""
    rows = []
    for each in view.every:
        if each.value is None or each.identical:
            continue
        units = [
            say("{count}\u00a0{factor}s", count=number(count, "count"), factor=factor(unit, view.probe))
            for unit, count in sorted(each.units.items())
        ]
        rows.append(
            (
                label_of(each, view.probe),
                Markup(", ").join(units) or Markup("none"),
                *(number(each.standard_errors.get(key), "plain") for key in _ERRORS),
                number(each.design_effect, small(each.design_effect), each.reason),
                number(each.degrees_of_freedom, "tenths", each.reason),
                _flips(each, view.probe),
            )
        )
    return Table(
        caption=Markup("What stands behind each interval"),
        head=("Metric", "Units", *(f"By {key}" for key in ("item", "template", "word", "both")), *_BEHIND),
        rows=tuple(rows),
        align="llrrrrrrl",
    )


_ERRORS = ("item", "template", "lexeme", "two-way")
_BEHIND = ("Design effect", "Degrees of freedom", "Sign flips")


def _flips(found: Difference, probe: ProbeInfo) -> Markup:
    check = found.sign_flips
    if check is None:
        return Markup("")
    parts = {"p": number(check.p_value, "p", check.reason), "units": number(check.units, "count")}
    said = say("p {p}, {units}\u00a0{factor}s", factor=factor(check.factor, probe), **parts)
    return said + (say("; {reason}", reason=check.reason) if check.reason and check.p_value is not None else "")
