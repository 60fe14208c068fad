"""What a report says, as plain data: sentences, tables and figures made from one run record.

Cells and sentences are markup already; nothing here knows about the page around them or draws anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fairprint.audit.records import Estimate, ItemHighlight, ProbeInfo, RunRecord
from fairprint.reports import numbers, wording
from fairprint.reports.numbers import kind_of, number
from fairprint.reports.tables import FigureView, Table, levels, lexeme, slug, tabulated, word
from fairprint.reports.text import code, name, say
from fairprint.reports.wording import labels, title_of

HEADLINES = ("stereotype_score", "group_gap", "signed_effect")
FIGURE_METRICS = ("stereotype_score", "group_gap")
MOST_SENTENCES = 5
MOST_WORDS = 10
MOST_ITEMS = 25
MOST_LEXEMES = 250
WORD_TABLES = (
    ("group_gap", "Gap of each word, log P({first}) minus log P({second}) in nats, {neutral} if equal"),
    ("group_gap_centred", "Gap of each word against the mean of all words in the same template, in nats"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingView:
    """All results of one instrument on one probe set."""

    id: str
    probe: ProbeInfo
    instrument: str
    sentences: tuple[Markup, ...]
    whole: tuple[Estimate, ...]
    results: tuple[Table, ...]
    words: tuple[Table, ...]
    figures: tuple[FigureView, ...]
    warnings: tuple[str, ...]


def probe_of(record: RunRecord, estimate: Estimate) -> ProbeInfo:
    """Return the probe set that an estimate belongs to."""
    return next(probe for probe in record.probes if probe.name == estimate.probe_set)


def instruments(record: RunRecord) -> list[tuple[str, ProbeInfo, list[Estimate]]]:
    """Return the estimates by instrument, in the order of the record."""
    names = dict.fromkeys(estimate.instrument for estimate in record.estimates)
    grouped = [(label, [e for e in record.estimates if e.instrument == label]) for label in names]
    return [(label, probe_of(record, estimates[0]), estimates) for label, estimates in grouped]


def pick(estimates: Sequence[Estimate], metric: str, scope: str = "all") -> list[Estimate]:
    """Return the estimates of a metric, of one scope or (``category:``) of all scopes of a kind."""
    return [
        e
        for e in estimates
        if e.metric == metric and (e.scope.startswith(scope) if scope.endswith(":") else e.scope == scope)
    ]


def headline(estimates: Sequence[Estimate]) -> Estimate | None:
    """Return the estimate that speaks for an instrument: the stereotype score, or else the gap."""
    return next((found[0] for metric in HEADLINES if (found := pick(estimates, metric))), None)


def summary(record: RunRecord) -> list[tuple[str, list[Markup]]]:
    """Return the sentences of the first screen by topic; the last topic is what the run cost."""
    topics, more, asked = [], [], instruments(record)
    for label, probe, estimates in asked:
        head = headline(estimates)
        if head is not None:
            alone = len([p for _, p, _ in asked if p is probe]) == 1
            said = [wording.finding(head, probe)]
            topics.append((probe.title if alone else f"{probe.title} ({label.rpartition(' / ')[2]})", said))
            words = word_sentences(estimates, probe) if head.metric == "group_gap" else []
            more.append((said, [*_correlations(estimates, probe), *words]))
    room = MOST_SENTENCES - 1 - len(topics)
    for said, extra in more:
        said += extra[: max(room, 0)]
        room -= len(extra)
    return [*topics, ("What it cost", [wording.cost(record.footprint)])]


def _correlations(estimates: Sequence[Estimate], probe: ProbeInfo) -> list[Markup]:
    return [wording.finding(e, probe) for e in pick(estimates, "covariate_correlation")]


def word_sentences(estimates: Sequence[Estimate], probe: ProbeInfo) -> list[Markup]:
    """Return how many words lean to a group, and which do most."""
    ranked = ranked_words(estimates)
    tested = [e for e in ranked if e.q_value is not None]
    if not tested:
        return []
    found = [e for e in tested if (e.q_value or 0) < wording.FALSE_DISCOVERY_RATE]
    counts = {"found": number(len(found), "tally"), "tested": number(len(tested), "tally")}
    rate = numbers.KINDS["level"](wording.FALSE_DISCOVERY_RATE)
    share = say(
        "Next to the other words, {found} of {tested} lean to one group at a false discovery rate of {rate}",
        **counts,
        rate=rate,
    )
    first, second = labels(probe)
    sides = ((ranked[0], first, 1), (ranked[-1], second, -1))
    ends = [(e, group) for e, group, side in sides if (e.value or 0) * side > 0]
    text = "“{word}” towards {group} ({times} times as likely as the words are on average)"
    words = [say(text, word=word(e, probe), group=group, times=number(e.value, "times")) for e, group in ends]
    tail = say("; furthest out: {words}.", words=Markup(" and ").join(words)) if words else Markup(".")
    return [share + tail]


def ranked_words(estimates: Sequence[Estimate], metric: str = "group_gap_centred") -> list[Estimate]:
    """Return the gaps of the words that have one, largest first."""
    found = [e for e in pick(estimates, metric, "lexeme:") if e.value is not None]
    return sorted(found, key=lambda e: (-(e.value or 0), e.scope))


def findings(record: RunRecord, prefix: str) -> tuple[FindingView, ...]:
    """Return the results of each instrument."""
    return tuple(_finding(prefix, *instrument) for instrument in instruments(record))


def _finding(prefix: str, label: str, probe: ProbeInfo, estimates: list[Estimate]) -> FindingView:
    whole = [e for e in estimates if not e.scope.startswith(("category:", "lexeme:"))]
    figures = [_dots(prefix, probe, estimates, metric) for metric in FIGURE_METRICS]
    head = headline(estimates)
    sentences = [wording.finding(head, probe)] if head is not None else []
    sentences += _correlations(estimates, probe)
    return FindingView(
        id=slug(prefix, "finding", label),
        probe=probe,
        instrument=label,
        sentences=(*sentences, *word_sentences(estimates, probe)),
        whole=tuple(whole),
        results=_results(prefix, probe, whole),
        words=tuple(t for m, text in WORD_TABLES if (t := _words(prefix, probe, estimates, m, text))),
        figures=tuple(
            f for f in (*figures, _scatter(prefix, probe, estimates), _lexemes(prefix, probe, estimates)) if f
        ),
        warnings=tuple(dict.fromkeys(f"{title_of(e.metric)}: {w}" for e in estimates for w in e.warnings)),
    )


def _results(prefix: str, probe: ProbeInfo, whole: Sequence[Estimate]) -> tuple[Table, ...]:
    tested = [e for e in whole if e.neutral is not None]
    other = [e for e in whole if e.neutral is None]
    texts = (
        "Results, with {levels} intervals",
        "For context, with {levels} intervals: no value of these would be neutral",
    )
    pairs = ((tested, texts[0]), (other, texts[1]))
    return tuple(
        tabulated(prefix, probe, rows, say(text, levels=levels(rows)), ("Metric", True)) for rows, text in pairs if rows
    )


def _words(prefix: str, probe: ProbeInfo, estimates: Sequence[Estimate], metric: str, text: str) -> Table | None:
    every = pick(estimates, metric, "lexeme:")
    kept = sorted(every, key=lambda e: (-abs(e.value or 0), e.scope))[:MOST_LEXEMES]
    if not kept:
        return None
    first, second = labels(probe)
    caption = say(
        text + "; {n} of {all} words",
        neutral=number(kept[0].neutral, "nats", kept[0].neutral_why),
        first=first,
        second=second,
        n=number(len(kept), "tally"),
        all=number(len(every), "tally"),
    )
    return tabulated(prefix, probe, kept, caption, ("Word", False))


def _view(
    prefix: str, probe: ProbeInfo, kind: str, rows: Sequence[Estimate], title: Markup, alt: Markup, **changes: str
) -> FigureView:
    first, second = labels(probe)
    return FigureView(
        id=slug(prefix, "figure", rows[0].instrument, rows[0].metric, kind),
        kind=kind,
        probe=probe,
        title=title,
        alt=alt.striptags(),
        levels=levels(rows),
        rows=tuple((word(e, probe).striptags(), e) for e in rows),
        covariates=tuple(probe.lexeme_covariates.get(lexeme(e), 0.0) for e in rows) if kind == "scatter" else (),
        x_label=changes.get("x_label", f"← {second}\u2003gap in nats\u2003{first} →"),
        y_label=f"gap in nats ({second} ↓, {first} ↑)",
    )


def _ends(rows: Sequence[Estimate], probe: ProbeInfo) -> dict[str, Markup]:
    top, end = rows[0], rows[-1]
    return {
        "top": word(top, probe),
        "high": number(top.value, kind_of(top)),
        "end": word(end, probe),
        "low": number(end.value, kind_of(end)),
    }


def _dots(prefix: str, probe: ProbeInfo, estimates: Sequence[Estimate], metric: str) -> FigureView | None:
    parts = sorted(pick(estimates, metric, "category:"), key=lambda e: (e.value is None, -(e.value or 0), e.scope))
    valued = [e for e in parts if e.value is not None]
    whole = pick(estimates, metric)
    if not valued or not whole:
        return None
    title = say("{title} by category", title=title_of(metric))
    alt = say("{title}: highest for {top} ({high}), lowest for {end} ({low}).", title=title, **_ends(valued, probe))
    rows = [*whole, *parts]
    if parts[0].unit == "share":
        return _view(prefix, probe, "dots", rows, title, alt, x_label=title_of(metric))
    return _view(prefix, probe, "dots", rows, title, alt)


def _lexemes(prefix: str, probe: ProbeInfo, estimates: Sequence[Estimate]) -> FigureView | None:
    ranked = ranked_words(estimates)
    if not ranked:
        return None
    shown = ranked if len(ranked) <= 2 * MOST_WORDS else [*ranked[:MOST_WORDS], *ranked[-MOST_WORDS:]]
    first, second = labels(probe)
    title = say("Words that lean more to {first} or to {second} than the others do", first=first, second=second)
    text = "Against the mean of all words, the gaps go from {high} nats for {top} to {low} nats for {end}."
    return _view(prefix, probe, "words", shown, title, say(text, first=first, second=second, **_ends(ranked, probe)))


def _scatter(prefix: str, probe: ProbeInfo, estimates: Sequence[Estimate]) -> FigureView | None:
    rows = [e for e in ranked_words(estimates, "group_gap") if lexeme(e) in probe.lexeme_covariates]
    if not rows or probe.covariate is None:
        return None
    title = Markup("The gap of each word against a published figure")
    alt = _correlations(estimates, probe)
    return _view(prefix, probe, "scatter", rows, title, alt[0] if alt else title, x_label=probe.covariate)


def highlights(record: RunRecord) -> list[tuple[ProbeInfo, list[ItemHighlight], int]]:
    """Return each probe set with its items of the largest gaps, and how many items the record keeps of it."""
    found = []
    for probe in record.probes:
        every = [h for h in record.highlights if h.probe_set == probe.name]
        if every:
            found.append((probe, sorted(every, key=lambda h: (-abs(h.gap), h.item))[:MOST_ITEMS], len(every)))
    return found


CONTENTS = (
    ("summary", "Summary"),
    ("findings", "Findings"),
    ("items", "Largest gaps"),
    ("cost", "Energy and emissions"),
    ("methods", "Methods and limits"),
    ("reproducibility", "Reproducibility"),
)
"""Id and title of each part of a run."""


def has_part(record: RunRecord, part: str) -> bool:
    """Say whether a run has a part of ``CONTENTS``: a metered command, for one, has no findings."""
    needed = {"findings": record.estimates, "items": record.highlights, "methods": record.probes}
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
    return [(text, ", ".join(titles)) for text, titles in found.items()]


def coded(texts: Mapping[str, str]) -> list[tuple[Markup, Markup]]:
    """Return a sorted mapping of names to hashes or versions as rows."""
    return [(name(key), code(texts[key])) for key in sorted(texts)]
