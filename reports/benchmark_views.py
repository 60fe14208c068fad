"""Sentences, tables and figures of the results of published benchmarks, each of which has metrics of its own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fairprint.audit.records import Estimate, ProbeInfo, RunRecord
from fairprint.reports import benchmarks, classified_views, wording
from fairprint.reports.numbers import interval, kind_of, number
from fairprint.reports.selection import instruments, pick
from fairprint.reports.tables import FigureView, Table, axis, levels, row_label, slug, tabulated, word
from fairprint.reports.text import code, name, say
from fairprint.reports.wording import title_of

GAPS = "label_rate_gap"
"""The metric of which a set can have many comparisons, so that only those that show something are told one by one."""

MOST_PRECISE = 12
"""Comparisons whose precision is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPart:
    """What is said of a whole set beside the results of its instruments."""

    id: str
    title: Markup
    sentences: tuple[Markup, ...]
    tables: tuple[Table, ...]


def sentences(estimates: Sequence[Estimate], probe: ProbeInfo, *, cautious: bool = True) -> list[Markup]:
    """Say the main metrics of an instrument; the first one also without the items that break a rule of quality.

    Args:
        estimates: of the instrument.
        probe: its set.
        cautious: say each warning too, before the first number that it is about.
    """
    told = benchmarks.told(estimates, probe)
    said: list[Markup] = []
    warned: set[tuple[str, ...]] = set()
    for e in told:
        if e.metric == GAPS:
            continue
        if cautious and e.warnings and e.warnings not in warned:
            warned.add(e.warnings)
            said.append(Markup(wording.cautions(e).strip()))
        said.append(wording.finding(e, probe, cautious=False))
        without = benchmarks.clean(estimates, e) if e is told[0] else None
        if without is not None:
            same = wording.includes_neutral(without) is wording.includes_neutral(e)
            said.append(wording.finding(without, probe, cautious=False, bare=same))
    return said + classified_views.comparisons([e for e in told if e.metric == GAPS], probe)


def results(prefix: str, probe: ProbeInfo, whole: Sequence[Estimate]) -> tuple[Table, ...]:
    """Return the results of all items and of each condition, tested ones first."""
    rows = [e for e in whole if not e.scope.startswith(("quality:", "group:"))]
    tested, other = ([e for e in rows if (e.neutral is not None) is said] for said in (True, False))
    texts = (
        "Results, with {levels} intervals",
        "Further results, with {levels} intervals: of these no value is neutral, so none is tested",
    )
    pairs = ((tested, texts[0]), (other, texts[1] if tested else texts[0]))
    return tuple(
        tabulated(prefix, probe, part, say(text, levels=levels(part)), ("Metric", True)) for part, text in pairs if part
    )


def precise(whole: Sequence[Estimate]) -> list[Estimate]:
    """Return the estimates whose precision is told: all but those of groups, and of many comparisons the furthest."""
    kept = [e for e in whole if not e.scope.startswith("group:")]
    gaps = [e for e in kept if e.metric == GAPS]
    furthest = sorted(gaps, key=lambda e: -abs(e.value or 0))[:MOST_PRECISE]
    return [e for e in kept if e.metric != GAPS or e in furthest]


def by_part(probe: ProbeInfo, estimates: Sequence[Estimate], drawn: Sequence[FigureView]) -> tuple[Table, ...]:
    """Return a table of each metric by category and by group, save those whose numbers stand below a figure."""
    shown = {id(e) for view in drawn for _, e in view.rows}
    tables = []
    for scope, head in (("category:", "Category"), ("group:", "Group")):
        for metric in dict.fromkeys(e.metric for e in estimates if e.scope.startswith(scope)):
            rows = pick(estimates, metric, scope)
            if any(id(e) not in shown for e in rows):
                text = "{title} by {part}, with {levels} intervals"
                part = Markup(head.lower())
                caption = say(text, title=title_of(metric), part=part, levels=levels(rows))
                tables.append(tabulated(None, probe, rows, caption, (head, False)))
    return tuple(tables)


def figures(prefix: str, probe: ProbeInfo, estimates: Sequence[Estimate], head: Estimate) -> tuple[FigureView, ...]:
    """Draw the main metric by category, and what a scorer finds by group."""
    found = [_parts(prefix, probe, estimates, head.metric, "category:", "by category")]
    if pick(estimates, "label_rate", "group:"):
        found.append(_parts(prefix, probe, estimates, "label_rate", "group:", "by group"))
    return tuple(view for view in found if view)


def _parts(
    prefix: str, probe: ProbeInfo, estimates: Sequence[Estimate], metric: str, scope: str, how: str
) -> FigureView | None:
    parts = [e for e in pick(estimates, metric, scope) if e.value is not None]
    whole = [e for e in pick(estimates, metric) if e.value is not None][:1]
    if len(parts) < 2 or len({e.comparison for e in parts}) > 1:
        return None
    parts = sorted(parts, key=lambda e: (-(e.value or 0), e.scope))[: classified_views.MOST_DRAWN]
    title = say("{title} {how}", title=title_of(metric), how=Markup(how))
    alt = say(
        "{title}: highest for {top} ({high}), lowest for {end} ({low}).",
        title=title,
        top=word(parts[0], probe, bare=True),
        high=number(parts[0].value, kind_of(parts[0])),
        end=word(parts[-1], probe, bare=True),
        low=number(parts[-1].value, kind_of(parts[-1])),
    )
    return FigureView(
        id=slug(prefix, "figure", parts[0].instrument, metric, scope),
        kind="dots" if whole else "comparisons",
        probe=probe,
        title=title,
        alt=alt.striptags(),
        levels=levels([*whole, *parts]),
        rows=tuple((word(e, probe, bare=True).striptags(), e) for e in (*whole, *parts)),
        covariates=(),
        x_label=axis(parts[0]),
        y_label="",
    )


def about_set(record: RunRecord, prefix: str, probe: ProbeInfo) -> tuple[SetPart, ...]:
    """Return what is said of a set after the results of all its instruments: their agreement, and item quality."""
    found = (_agreement(record, prefix, probe), _quality(record, prefix, probe))
    return tuple(part for part in found if part)


def pairs(record: RunRecord, probe: ProbeInfo, metric: str) -> dict[tuple[str, str], Estimate]:
    """Return what compares two instruments on a set, by the names of both."""
    found = {}
    for e in record.estimates:
        first, tilde, second = e.instrument.rpartition(" / ")[2].partition(" ~ ")
        if e.metric == metric and e.probe_set == probe.name and tilde:
            found[first, second] = e
    return found


def _agreement(record: RunRecord, prefix: str, probe: ProbeInfo) -> SetPart | None:
    captions = {
        "instrument_agreement": "Agreement: the share of items on which two instruments prefer the same version or give"
        " the same answer, with {levels} intervals",
        "instrument_correlation": "Correlation, over items, of what two instruments find between the versions, with"
        " {levels} intervals",
    }
    by_metric = {metric: pairs(record, probe, metric) for metric in benchmarks.AGREEMENTS}
    if not any(by_metric.values()):
        return None
    told = lowest(by_metric["instrument_agreement"], probe)
    return SetPart(
        id=slug(prefix, "agreement", probe.name),
        title=Markup("Agreement of the instruments"),
        sentences=(told,) if told else (),
        tables=tuple(
            _matrix(found, say(captions[metric], levels=levels(list(found.values()))))
            for metric, found in by_metric.items()
            if found
        ),
    )


def lowest(found: dict[tuple[str, str], Estimate], probe: ProbeInfo) -> Markup | None:
    """Say on how many items the two instruments agree that agree least."""
    valued = sorted(((e.value, pair) for pair, e in found.items() if e.value is not None), key=lambda entry: entry[0])
    if not valued:
        return None
    pair = valued[0][1]
    e = found[pair]
    text = (
        "Of {instruments} instruments, {first} and {second} agree least: in {value} of {items} {things}"
        " ({level} interval {bounds})."
        if len(found) > 1
        else "The instruments {first} and {second} agree in {value} of {items} {things} ({level} interval {bounds})."
    )
    return say(
        text,
        instruments=number(len(dict.fromkeys(one for both in found for one in both)), "tally"),
        first=code(pair[0]),
        second=code(pair[1]),
        value=number(e.value, kind_of(e)),
        items=number(e.items, "count"),
        things=Markup(wording.things(probe)),
        level=number(e.level, "level"),
        bounds=interval(e.low, e.high, kind_of(e), e.reason),
    )


def _matrix(found: dict[tuple[str, str], Estimate], caption: Markup) -> Table:
    names = list(dict.fromkeys(one for both in found for one in both))
    return Table(
        caption=caption,
        head=("Instrument", *names),
        rows=tuple((code(a), *(_cell(found.get((a, b)) or found.get((b, a)), a == b) for b in names)) for a in names),
        align="l" + "r" * len(names),
    )


def _cell(estimate: Estimate | None, same: bool) -> Markup:
    if same:
        return Markup("itself")
    if estimate is None:
        return Markup("not compared")
    kind = kind_of(estimate)
    value = number(estimate.value, kind, estimate.reason)
    if estimate.value is None:
        return value
    bounds = interval(estimate.low, estimate.high, kind, estimate.reason)
    return say("{value} ({bounds})", value=value, bounds=bounds)


def _quality(record: RunRecord, prefix: str, probe: ProbeInfo) -> SetPart | None:
    if not probe.quality:
        return None
    rules = Table(
        caption=say("Rules of item quality; grammar and sense are not judged, and an item can break several rules"),
        head=("Rule", "An item breaks it where", "Items"),
        rows=tuple(
            (name(rule), say("{meaning}", meaning=meaning), number(probe.flagged.get(rule, 0), "count"))
            for rule, meaning in probe.quality.items()
        ),
        align="llr",
    )
    both = list(_with_and_without(record, probe))
    several = len({whole.instrument for whole, _ in both}) > 1
    compared = Table(
        caption=say(
            "With and without the items that break a rule, with {levels} intervals", levels=levels([e for e, _ in both])
        ),
        head=("Metric", "All items", "Items that break no rule"),
        rows=tuple(
            (
                say("{metric}, {how}", metric=title_of(e.metric), how=code(e.instrument.rpartition(" / ")[2]))
                if several
                else row_label(e, probe),
                _counted(e),
                _counted(clean),
            )
            for e, clean in both
        ),
        align="lll",
    )
    return SetPart(
        id=slug(prefix, "quality", probe.name),
        title=Markup("Quality of the items"),
        sentences=(),
        tables=(rules, compared) if both else (rules,),
    )


def _with_and_without(record: RunRecord, probe: ProbeInfo) -> Iterator[tuple[Estimate, Estimate]]:
    """Yield each estimate of all items with that of the items that break no rule."""
    for _, of, estimates in instruments(record):
        for clean in estimates if of is probe else ():
            if clean.scope == "quality:clean":
                yield from ((whole, clean) for whole in pick(estimates, clean.metric))


def _counted(estimate: Estimate) -> Markup:
    kind = kind_of(estimate)
    if estimate.value is None:
        return number(None, kind, estimate.reason)
    return say(
        "{value} ({bounds}), {items} items",
        value=number(estimate.value, kind),
        bounds=interval(estimate.low, estimate.high, kind, estimate.reason),
        items=number(estimate.items, "count"),
    )
