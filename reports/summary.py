"""What the first screen of a report says: finished sentences, and the scores of all probe sets as one figure."""

from collections.abc import Sequence

from markupsafe import Markup

from fairprint.audit.multiplicity import REPORT
from fairprint.audit.records import Estimate, ProbeInfo, RunRecord
from fairprint.reports import benchmark_views, benchmarks, classified_views, nearness, numbers, utility, wording
from fairprint.reports.gap_views import correlations, word_sentences
from fairprint.reports.numbers import kind_of, number
from fairprint.reports.selection import headline, instruments
from fairprint.reports.tables import FigureView, axis, levels, slug
from fairprint.reports.text import code, name, say
from fairprint.reports.wording import labels, title_of

MOST_SENTENCES = 6
MOST_TOLD = 3
"""Probe sets up to which the summary says every finding in full."""

OVERVIEWS = ("stereotype_score", "association_effect", *benchmarks.HEADLINES)
"""Metrics that a figure shows for all probe sets together."""

Headed = tuple[str, ProbeInfo, list[Estimate], Estimate]
"""Instrument, probe set, estimates, and the one that speaks for them."""


def summary(record: RunRecord) -> list[tuple[str, list[Markup]]]:
    """Return the sentences of the first screen by topic; the last topic is what the run cost."""
    every = _heads(record)
    published = [found for found in every if benchmarks.is_form(found[1])]
    every = [found for found in every if found not in published]
    labels_of = [found for found in every if classified_views.applies(found[3])]
    every = [found for found in every if found not in labels_of]
    checks, heads = ([found for found in every if nearness.is_check(found[1]) is said] for said in (True, False))
    topics = _all_told(record, heads) if len(heads) > MOST_TOLD else _one_by_one(record, heads)
    for label, probe, _, head in checks:
        topics.append((_topic(label, probe, every), [_checked(head, probe), *nearness.tests(record, label)]))
    topics += _of_classifiers(labels_of)
    topics += _of_benchmarks(record, published)
    together = tally(record)
    topics += [("All tests together", [together])] if together else []
    guards = [utility.sentences(estimates) for _, probe, estimates in instruments(record) if utility.applies(probe)]
    topics += [("Utility", [said for told in guards for said in told])] if any(guards) else []
    return [*topics, ("What it cost", [wording.cost(record.footprint)])]


def tally(record: RunRecord) -> Markup:
    """Say how many tests of the report's declared family survive the correction for their number, or nothing."""
    family = next((family for family in record.families if family.name == REPORT), None)
    if family is None or family.tests < 2:
        return Markup("")
    text = (
        "{survive} of the {tests} tests of this report survive the correction for their number (method of Benjamini and"
        " Hochberg at a false discovery rate of {rate}). None is hidden: the tables show each with p and, corrected, q."
    )
    return say(
        text,
        survive=number(family.survive, "count"),
        tests=number(family.tests, "count"),
        rate=number(family.rate, "level"),
    )


def _checked(head: Estimate, probe: ProbeInfo) -> Markup:
    """Say what a check of a method found, and what that means for the results of the other sets."""
    found = wording.shows(head) is True and (head.value or 0) > (head.neutral or 0)
    return wording.finding(head, probe) + (
        " So on this model the method finds what it should."
        if found
        else " So on this model the method does not find what it should, and its other results say little."
    )


def _heads(record: RunRecord) -> list[Headed]:
    asked = instruments(record)
    heads = [(label, probe, estimates, head) for label, probe, estimates in asked if (head := headline(estimates))]
    # no flip rate of a classifier is neutral; what moves its labels is told by their probabilities
    return [found for found in heads if found[3].metric != "flip_rate" or benchmarks.is_form(found[1])]


def _of_classifiers(heads: Sequence[Headed]) -> list[tuple[str, list[Markup]]]:
    """Say every comparison of a few results; of many, how many show a difference, and the largest of each set."""
    if len(heads) <= MOST_TOLD:
        return [
            (_topic(label, probe, heads), classified_views.sentences(estimates, probe, head))
            for label, probe, estimates, head in heads
        ]
    by_set: dict[str, list[tuple[ProbeInfo, Estimate]]] = {}
    for _, probe, estimates, head in heads:
        by_set.setdefault(probe.title, []).extend((probe, e) for e in classified_views.compared(estimates, head))
    topics = []
    for title, found in by_set.items():
        shown = [(probe, e) for probe, e in found if wording.shows(e)]
        text = "{shown} of {all} comparisons of labels show a difference"
        said = say(text, shown=number(len(shown), "tally"), all=number(len(found), "tally"))
        largest = sorted(shown, key=lambda entry: -abs(entry[1].value or 0))[:MOST_TOLD]
        end = Markup("; the largest:") if len(largest) < len(shown) else Markup(".")
        topics.append((title, [said + end, *(wording.finding(e, probe) for probe, e in largest)]))
    return topics


def _of_benchmarks(record: RunRecord, heads: Sequence[Headed]) -> list[tuple[str, list[Markup]]]:
    """Say the main metrics of each published benchmark; of many, or of several instruments, only the first one."""
    sets = list(dict.fromkeys(probe.name for _, probe, _, _ in heads))
    topics = []
    for name_ in sets:
        mine = [found for found in heads if found[1].name == name_]
        _, probe, estimates, head = mine[0]
        if len(mine) > 1:
            said = _by_instrument(mine)
            told = benchmark_views.lowest(benchmark_views.pairs(record, probe, benchmarks.AGREEMENTS[0]), probe)
            said += [told] if told else []
        elif len(sets) > MOST_TOLD:
            said = [wording.finding(head, probe)]
        else:
            said = benchmark_views.sentences(estimates, probe)
        topics.append((probe.title, said))
    return topics


def _by_instrument(heads: Sequence[Headed]) -> list[Markup]:
    """Say the main metric by each instrument, and of each whether it shows a preference."""
    shown = [found for found in heads if wording.includes_neutral(found[3]) is False]
    told = Markup("; ").join(
        say(
            "{value} by {instrument} ({bounds})",
            value=number(head.value, kind_of(head), head.reason),
            instrument=code(label.rpartition(" / ")[2]),
            bounds=numbers.interval(head.low, head.high, kind_of(head), head.reason),
        )
        for label, _, _, head in heads
    )
    head = heads[0][3]
    said = say(
        "{title}, each with its {levels} interval: {told}.",
        title=Markup(title_of(head.metric)),
        levels=levels([found[3] for found in heads]),
        told=told,
    )
    told_too = [said, *_warned(heads)]
    # where no interval leaves the neutral value out, one that is missing leaves that open
    if not shown and any(wording.includes_neutral(found[3]) is None for found in heads):
        return told_too
    text = (
        "In {shown} of {all} the interval leaves out {neutral}, so that a preference shows."
        if shown
        else "All {all} intervals include {neutral}, so that no preference is shown."
    )
    parts = {"shown": number(len(shown), "tally"), "all": number(len(heads), "tally")}
    return [*told_too, say(text, neutral=number(head.neutral, kind_of(head), head.neutral_why), **parts)]


def _warned(heads: Sequence[Headed]) -> list[Markup]:
    """Return each warning of the main metric once, with the instruments that it is about."""
    found: dict[str, list[Markup]] = {}
    for label, _, _, head in heads:
        for warning in head.warnings:
            found.setdefault(warning, []).append(code(label.rpartition(" / ")[2]))
    return [
        say("Caution, by {how}: {warning}.", how=Markup(", ").join(how), warning=warning.rstrip("."))
        for warning, how in found.items()
    ]


def _one_by_one(record: RunRecord, heads: Sequence[Headed]) -> list[tuple[str, list[Markup]]]:
    """Say each finding in full, and more of each while there is room."""
    topics, more = [], []
    for label, probe, estimates, head in heads:
        said = [wording.finding(head, probe), *nearness.tests(record, label)]
        topics.append((_topic(label, probe, heads), said))
        words = word_sentences(estimates, probe) if head.metric == "group_gap" else []
        more.append((said, [*correlations(estimates, probe), *words]))
    room = MOST_SENTENCES - 1 - len(topics)
    for said, extra in more:
        said += extra[: max(room, 0)]
        room -= len(extra)
    return topics


def _all_told(record: RunRecord, heads: Sequence[Headed]) -> list[tuple[str, list[Markup]]]:
    """Say in full what shows a preference, and of the rest only how large it could be."""
    shown = [found for found in heads if wording.shows(found[3])]
    lost = [found for found in heads if wording.lost(found[3])]
    rest = [found for found in heads if wording.shows(found[3]) is False and found not in lost]
    unknown = [found for found in heads if wording.shows(found[3]) is None]
    topics = [("All told", [_tally(heads, shown, lost, rest, unknown)])]
    topics += [
        (_topic(label, probe, heads), [wording.finding(head, probe), *nearness.tests(record, label)])
        for label, probe, _, head in shown
    ]
    for title, found in (("Lost in the correction", lost), (f"No {_looked_for(heads)} shown", rest)):
        if found:
            told = Markup("; ").join(_brief(each, heads) for each in found)
            text = "{told}, each with its {levels} interval."
            topics.append((title, [say(text, told=told, levels=levels([head for *_, head in found]))]))
    if unknown:
        topics.append(("No interval", [Markup("; ").join(_brief(found, heads) for found in unknown) + "."]))
    return topics


def _looked_for(heads: Sequence[Headed]) -> str:
    return "association" if all(head.metric == "association_effect" for *_, head in heads) else "preference"


def _tally(heads: Sequence[Headed], *parts: Sequence[Headed]) -> Markup:
    """Say how many sets show a preference, how many none, and of how many that is not known."""
    shown, lost, rest, unknown = (number(len(part), "tally") for part in parts)
    once = len({probe.name for _, probe, _, _ in heads}) == len(heads)
    said = say(
        "{shown} of {all} {things} {show} {looked_for} in the main metric",
        looked_for={"association": "an association", "preference": "a preference"}[_looked_for(heads)],
        shown=shown,
        all=number(len(heads), "tally"),
        things="probe sets" if once else "results",
        show="shows" if len(parts[0]) == 1 else "show",
    )
    if parts[1]:
        said += say("; {lost} more would without the correction for the number of tests", lost=lost)
    if parts[2]:
        said += say("; in {rest} the interval includes what equal treatment would give", rest=rest)
    if parts[3]:
        said += say("; {unknown} gave no interval", unknown=unknown)
    return said + (
        ". Where none is shown, there may still be one that is smaller than the interval." if parts[2] else "."
    )


def _topic(label: str, probe: ProbeInfo, heads: Sequence[Headed]) -> str:
    alone = len([p for _, p, _, _ in heads if p is probe]) == 1
    return probe.title if alone else f"{probe.title} ({label.rpartition(' / ')[2]})"


def _brief(found: Headed, heads: Sequence[Headed]) -> Markup:
    label, probe, _, head = found
    kind = kind_of(head)
    told = say(
        "{topic}: {metric} {value}",
        topic=name(_topic(label, probe, heads)),
        metric=title_of(head.metric).lower(),
        value=number(head.value, kind, head.reason),
    )
    if head.value is None:
        return told
    if head.unit != "share":
        first, second = labels(probe, head.comparison)
        told += say(" {unit} for {first} against {second}", unit=head.unit, first=name(first), second=name(second))
    return told + say(" ({bounds})", bounds=numbers.interval(head.low, head.high, kind, head.reason))


def overview(record: RunRecord, prefix: str) -> FigureView | None:
    """Return the main metric of all probe sets as one figure, where several have the same."""
    heads = _heads(record)
    valued = [(_topic(label, p, heads), head) for label, p, _, head in heads if head.value is not None]
    valued = [row for row in valued if row[1].neutral is not None]
    found = ([row for row in valued if row[1].metric == metric] for metric in OVERVIEWS)
    rows = next((rows for rows in found if len(rows) > 1), None)
    if rows is None:
        return None
    what = "probe set"
    if len({e.probe_set for _, e in rows}) == 1:
        what, rows = "instrument", [(e.instrument.rpartition(" / ")[2], e) for _, e in rows]
    title = say("{title} of each {what}", title=Markup(title_of(rows[0][1].metric)), what=Markup(what))
    high, low = max(rows, key=lambda row: row[1].value or 0), min(rows, key=lambda row: row[1].value or 0)
    alt = say(
        "{title}: highest for {top} ({high}), lowest for {end} ({low}).",
        title=title,
        top=high[0],
        high=number(high[1].value, kind_of(high[1])),
        end=low[0],
        low=number(low[1].value, kind_of(low[1])),
    )
    return FigureView(
        id=slug(prefix, "figure", "overview"),
        kind="overview",
        probe=heads[0][1],
        title=title,
        alt=alt.striptags(),
        levels=levels([e for _, e in rows]),
        rows=tuple(rows),
        covariates=(),
        x_label=axis(rows[0][1]),
        y_label="",
        rows_are=what.capitalize(),
    )
