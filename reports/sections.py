"""What a report says, as plain data: sentences, tables and figures made from one run record.

Cells and sentences are markup already; nothing here knows about the page around them or draws anything.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from fairprint.audit.records import Estimate, Extreme, ItemHighlight, ProbeInfo, RunRecord
from fairprint.probes.instruments import INSTRUMENTS
from fairprint.reports import (
    benchmark_views,
    benchmarks,
    classified,
    classified_views,
    gap_views,
    nearness,
    precision,
    utility,
    wording,
)
from fairprint.reports.benchmark_views import SetPart
from fairprint.reports.numbers import number
from fairprint.reports.selection import LEFT_OUT, headline, instruments, pick
from fairprint.reports.tables import FigureView, Table, factor, factors, levels, slug, tabulated
from fairprint.reports.text import code, name, say
from fairprint.reports.wording import title_of

MOST_ITEMS = 12
MOST_PARTS = 3
"""Parts of a set that a warning names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingView:
    """All results of one instrument on one probe set.

    Attributes:
        speaks: of what the interval of the main metric speaks.
        behind: what stands behind each interval.
    """

    id: str
    title: Markup
    probe: ProbeInfo
    instrument: str
    sentences: tuple[Markup, ...]
    speaks: Markup
    behind: tuple[Table, ...]
    extremes: tuple[tuple[Estimate, Extreme], ...]
    results: tuple[Table, ...]
    words: tuple[Table, ...]
    figures: tuple[FigureView, ...]
    warnings: tuple[Markup, ...]
    after: tuple[SetPart, ...] = ()


def findings(record: RunRecord, prefix: str, *, brief: bool = False) -> tuple[FindingView, ...]:
    """Return the results of each instrument; ``brief`` leaves out what goes word by word."""
    asked = instruments(record)
    views = []
    for n, (label, probe, estimates) in enumerate(asked):
        view = _finding(prefix, record, label, probe, estimates, brief)
        if sum(other is probe for _, other, _ in asked) > 1:
            view = replace(view, title=say("{set} ({how})", set=view.title, how=code(label.rpartition(" / ")[2])))
        last = all(other is not probe for _, other, _ in asked[n + 1 :])
        views.append(replace(view, after=benchmark_views.about_set(record, prefix, probe)) if last else view)
    return tuple(views)


def _finding(
    prefix: str, record: RunRecord, label: str, probe: ProbeInfo, estimates: list[Estimate], brief: bool
) -> FindingView:
    whole = [e for e in estimates if not e.scope.startswith(("category:", "lexeme:"))]
    precise = benchmark_views.precise(whole) if benchmarks.is_form(probe) else whole
    head = headline(estimates)
    sentences = [] if head is None else main_sentences(head, probe, estimates)
    sentences += nearness.tests(record, label)
    if benchmarks.is_form(probe):
        drawn = () if head is None or brief else benchmark_views.figures(prefix, probe, estimates, head)
        results = benchmark_views.results(prefix, probe, whole)
        words = () if brief else benchmark_views.by_part(probe, estimates, drawn)
    elif utility.applies(probe):
        sentences += utility.sentences(estimates)
        drawn, results, words = (), _results(prefix, probe, whole), ()
    else:
        # what is said of single comparisons: where the interval leaves the neutral value out
        apart = [e for e in pick(estimates, "valence_gap") if e is not head and wording.includes_neutral(e) is False]
        sentences += [wording.finding(e, probe) for e in apart]
        sentences += [*gap_views.correlations(estimates, probe), *gap_views.word_sentences(estimates, probe)]
        drawn = () if brief else gap_views.figures(prefix, probe, estimates)
        results = _results(prefix, probe, whole)
        words = () if brief else gap_views.word_tables(prefix, probe, estimates)
    return FindingView(
        id=slug(prefix, "finding", label),
        title=name(probe.title),
        probe=probe,
        instrument=label,
        sentences=tuple(sentences),
        speaks=Markup("") if head is None else precision.speaks_of(head, probe),
        behind=precision.tables(probe, precise, _precision(len(precise), len(whole))) if whole else (),
        results=results,
        extremes=tuple((e, x) for e in whole if e.metric in LEFT_OUT for x in e.extremes),
        words=words,
        figures=drawn,
        warnings=_warnings(estimates),
    )


def _precision(shown: int, every: int) -> Markup:
    told = Markup("What stands behind each interval")
    if shown == every:
        return told
    text = "{told}: {shown} of {every} rows, those of all items and of each condition, and the gaps furthest out"
    return say(text, told=told, shown=number(shown, "tally"), every=number(every, "tally"))


def main_sentences(head: Estimate, probe: ProbeInfo, estimates: Sequence[Estimate]) -> list[Markup]:
    """Return what the main metric of an instrument says; of classifiers, each comparison speaks for itself."""
    if benchmarks.is_form(probe):
        # what to take care of stands in a box of its own
        return benchmark_views.sentences(estimates, probe, cautious=False)
    if classified_views.applies(head):
        return classified_views.sentences(estimates, probe, head)
    return [wording.finding(head, probe)]


def _warnings(estimates: Sequence[Estimate]) -> tuple[Markup, ...]:
    """Return each warning once, with the metrics that it is about, and the parts where it is not the whole."""
    found: dict[str, dict[str, dict[str, None]]] = {}
    for e in estimates:
        # that no answer was outside of the options is no result to be careful with
        for warning in () if e.metric == "out_of_choice" and e.value == 0 else e.warnings:
            found.setdefault(warning, {}).setdefault(title_of(e.metric), {})[e.scope] = None
    return tuple(
        say("{titles}: {warning}", titles="; ".join(_of_parts(*one) for one in about.items()), warning=warning)
        for warning, about in found.items()
    )


def _of_parts(title: str, scopes: Collection[str]) -> str:
    if "all" in scopes:
        return title
    parts = [scope.partition(":")[2] for scope in scopes]
    return f"{title} ({', '.join(parts) if len(parts) <= MOST_PARTS else f'{len(parts)} parts'})"


def _results(prefix: str, probe: ProbeInfo, whole: Sequence[Estimate]) -> tuple[Table, ...]:
    tested = [e for e in whole if e.neutral is not None]
    other = [e for e in whole if e.neutral is None]
    texts = (
        "Results, with {levels} intervals",
        "For context, with {levels} intervals: these are not tested against a neutral value",
    )
    pairs = ((tested, texts[0]), (other, texts[1]))
    return tuple(
        tabulated(prefix, probe, rows, say(text, levels=levels(rows)), ("Metric", True)) for rows, text in pairs if rows
    )


def highlights(record: RunRecord) -> list[tuple[ProbeInfo, list[ItemHighlight]]]:
    """Return each probe set with its items of the largest gaps."""
    found = []
    for probe in record.probes:
        every = [h for h in record.highlights if h.probe_set == probe.name]
        if every:
            found.append((probe, sorted(every, key=lambda h: (-abs(h.gap), h.item))[:MOST_ITEMS]))
    return found


def asked(probe: ProbeInfo) -> Markup:
    """Return how much was asked of a model: the items of a published benchmark, else texts."""
    count, things = _asked(probe)
    return say("{count} {things}", count=number(count, "count"), things=Markup(things))


def asked_together(record: RunRecord) -> Markup:
    """Return how much was asked of a model in all sets, by what it is called."""
    found: dict[str, int] = {}
    for count, things in map(_asked, record.probes):
        found[things] = found.get(things, 0) + count
    told = [say("{count} {things}", count=number(n, "tally"), things=Markup(things)) for things, n in found.items()]
    return Markup(", ").join(told)


def _asked(probe: ProbeInfo) -> tuple[int, str]:
    if things := benchmarks.things(probe):
        return probe.items, things
    return probe.sentences, classified.things(probe) or "sentences"


def size(probe: ProbeInfo) -> Markup:
    """Return how large a set is, in items and in the units that they come from."""
    parts = {
        "items": number(probe.items, "count"),
        "templates": number(probe.templates, "count"),
        "lexemes": number(probe.lexemes, "count"),
        "sentences": number(probe.sentences, "count"),
        "things": Markup(wording.things(probe)),
    }
    if classified.things(probe):
        return say("{items} {things} from {templates} sources", **parts)
    if utility.applies(probe):
        return say("{items} texts", **parts)
    if not benchmarks.is_form(probe):
        return say("{items} items from {templates} templates and {lexemes} words, {sentences} sentences", **parts)
    units = [
        say("{count} {factor}s", count=number(count, "count"), factor=factor(name, probe))
        for name, count in (("template", probe.templates), ("lexeme", probe.lexemes))
        if name in probe.random_factors and count < probe.items
    ]
    return say("{items} {things}", **parts) + (Markup(" from ") + Markup(" and ").join(units) if units else "")


def asked_how(record: RunRecord) -> list[tuple[str, str]]:
    """Return the instruments of a run that we know, with what each one scores."""
    return [(n, INSTRUMENTS[n].summary) for n in record.plan.options.instruments if n in INSTRUMENTS]


def sampled(record: RunRecord) -> Markup:
    """Return what the random factors of all sets are called: of what the intervals speak."""
    found = dict.fromkeys(factors(probe, " and ", "s") for probe in record.probes if probe.random_factors)
    return Markup(", or ").join(found) if found else Markup("items")


def item_heads(probe: ProbeInfo) -> tuple[str, str]:
    """Return the heads of the columns of the two texts that an item compares."""
    if not benchmarks.is_form(probe):
        return ("Word or sentence" if probe.scored == "association" else "Sentence", "Compared with")
    first, second = wording.labels(probe)
    return first[:1].upper() + first[1:], second[:1].upper() + second[1:]


CONTENTS = (
    ("summary", "Summary"),
    ("findings", "Findings"),
    ("items", "Largest gaps"),
    ("not-measured", "Not measured"),
    ("cost", "Energy and emissions"),
    ("methods", "Methods"),
    ("reproducibility", "Reproducibility"),
)
"""Id and title of each part of a run."""


def has_part(record: RunRecord, part: str) -> bool:
    """Say whether a run has a part of ``CONTENTS``: a metered command, for one, has no findings."""
    needed = {
        "findings": record.estimates,
        "items": record.highlights,
        "methods": record.probes,
        "not-measured": record.probes,
    }
    return bool(needed.get(part, True))


def metrics(record: RunRecord) -> list[str]:
    """Return the names of the metrics of a run."""
    return list(dict.fromkeys(e.metric for e in record.estimates))


def grouped(record: RunRecord, field: str) -> list[tuple[str, str]]:
    """Return each text of a field of the estimates with the titles of the metrics that share it."""
    found: dict[str, dict[str, None]] = {}
    for e in record.estimates:
        if not e.scope.startswith(("category:", "lexeme:")) and (text := getattr(e, field)):
            found.setdefault(text, {})[title_of(e.metric)] = None
    return [(text, "; ".join(titles)) for text, titles in found.items()]


def second_methods(record: RunRecord) -> list[tuple[str, str]]:
    """Return the methods of second opinions, each with the titles of the metrics that it was asked of."""
    found: dict[str, dict[str, None]] = {}
    for e in record.estimates:
        if e.second_opinion is not None:
            found.setdefault(e.second_opinion.method, {})[title_of(e.metric)] = None
    return [(text, "; ".join(titles)) for text, titles in found.items()]


def coded(texts: Mapping[str, str]) -> list[tuple[Markup, Markup]]:
    """Return a sorted mapping of names to hashes or versions as rows."""
    return [(name(key), code(texts[key])) for key in sorted(texts)]
