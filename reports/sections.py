"""What a report says, as plain data: sentences, tables and figures made from one run record.

Cells and sentences are markup already; nothing here knows about the page around them or draws anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fairprint.audit.records import Estimate, Extreme, ItemHighlight, ProbeInfo, RunRecord
from fairprint.reports import classified_views, nearness, numbers, wording
from fairprint.reports.numbers import kind_of, number
from fairprint.reports.tables import FigureView, Table, levels, lexeme, same_comparison, slug, tabulated, word
from fairprint.reports.text import code, name, say
from fairprint.reports.wording import labels, title_of

HEADLINES = (
    *("stereotype_score", "association_effect", "valence_gap", "group_gap", "signed_effect"),
    *("accuracy_gap", "flip_rate"),
)
MOST_WORDS = 10
MOST_ITEMS = 12
MOST_LEXEMES = 24
WORD_TABLES = (
    ("group_gap", "Gap of each word, {minus} in {unit}, {neutral} if equal"),
    ("group_gap_centred", "Gap of each word against the mean of all words in the same template, in {unit}{told}"),
)

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingView:
    """All results of one instrument on one probe set."""

    id: str
    probe: ProbeInfo
    instrument: str
    sentences: tuple[Markup, ...]
    whole: tuple[Estimate, ...]
    extremes: tuple[tuple[Estimate, Extreme], ...]
    results: tuple[Table, ...]
    words: tuple[Table, ...]
    figures: tuple[FigureView, ...]
    warnings: tuple[Markup, ...]


def probe_of(record: RunRecord, estimate: Estimate) -> ProbeInfo:
    """Return the probe set that an estimate belongs to."""
    return next(probe for probe in record.probes if probe.name == estimate.probe_set)


def instruments(record: RunRecord) -> list[tuple[str, ProbeInfo, list[Estimate]]]:
    """Return the estimates by instrument, in the order of the record."""
    names = dict.fromkeys(estimate.instrument for estimate in record.estimates)
    grouped = [(label, [e for e in record.estimates if e.instrument == label]) for label in names]
    return [(label, probe_of(record, estimates[0]), estimates) for label, estimates in grouped]


def pick(estimates: Sequence[Estimate], metric: str, scope: str = "all", pair: Pair | None = None) -> list[Estimate]:
    """Return the estimates of a metric: of one scope or (``category:``) all of a kind, of one comparison or of all."""
    return [
        e
        for e in estimates
        if e.metric == metric
        and (e.scope.startswith(scope) if scope.endswith(":") else e.scope == scope)
        and (pair is None or e.comparison == pair)
    ]


def headline(estimates: Sequence[Estimate]) -> Estimate | None:
    """Return the estimate that speaks for an instrument: the stereotype score, or else a gap."""
    return next((found[0] for metric in HEADLINES if (found := pick(estimates, metric))), None)


def compared(record: RunRecord) -> list[Estimate]:
    """Return what a run is compared by with others: of each probe set the headline metric in every comparison."""
    found: list[Estimate] = []
    for _, _, estimates in instruments(record):
        head = headline(estimates)
        found += [] if head is None else pick(estimates, head.metric)
        found += pick(estimates, "valence_gap") if head is not None and head.metric != "valence_gap" else []
    return found


def correlations(estimates: Sequence[Estimate], probe: ProbeInfo) -> list[Markup]:
    """Return what is said of the relation to a published figure, if any."""
    return [wording.finding(e, probe) for e in pick(estimates, "covariate_correlation")]


def word_sentences(estimates: Sequence[Estimate], probe: ProbeInfo) -> list[Markup]:
    """Return how many words lean to a group of the first comparison, and which do most."""
    ranked = ranked_words(estimates, probe)
    tested = [e for e in ranked if e.q_value is not None]
    if not tested or classified_views.applies(tested[0]):
        return []
    found = [e for e in tested if (e.q_value or 0) < wording.FALSE_DISCOVERY_RATE]
    first, second = labels(probe)
    share = say(
        "Next to the other words, {found} of {tested} lean to {first} or to {second} at a false discovery rate of"
        " {rate}",
        found=number(len(found), "tally"),
        tested=number(len(tested), "tally"),
        first=name(first),
        second=name(second),
        rate=numbers.KINDS["level"](wording.FALSE_DISCOVERY_RATE),
    )
    sides = ((found[0], first, 1), (found[-1], second, -1)) if found else ()
    ends = [(e, group) for e, group, side in sides if (e.value or 0) * side > 0]
    likely = "“{word}” towards {group} ({times} times as likely as the words are on average)"
    apart = "“{word}” towards {group} ({gap} in {unit} against the words on average)"
    words = [
        say(
            likely if e.unit == "nats" else apart,
            word=word(e, probe, bare=True),
            group=name(group),
            times=number(e.value, "times"),
            gap=number(e.value, kind_of(e)),
            unit=e.unit,
        )
        for e, group in ends
    ]
    tail = say("; furthest out: {words}.", words=Markup(" and ").join(words)) if words else Markup(".")
    return [share + tail]


def ranked_words(estimates: Sequence[Estimate], probe: ProbeInfo, metric: str = "group_gap_centred") -> list[Estimate]:
    """Return the gaps of the words in the first comparison, those that have one, largest first."""
    found = [e for e in pick(estimates, metric, "lexeme:", probe.comparisons[0]) if e.value is not None]
    return sorted(found, key=lambda e: (-(e.value or 0), e.scope))


def findings(record: RunRecord, prefix: str, *, brief: bool = False) -> tuple[FindingView, ...]:
    """Return the results of each instrument; ``brief`` leaves out what goes word by word."""
    return tuple(_finding(prefix, record, *instrument, brief) for instrument in instruments(record))


def _finding(
    prefix: str, record: RunRecord, label: str, probe: ProbeInfo, estimates: list[Estimate], brief: bool
) -> FindingView:
    whole = [e for e in estimates if not e.scope.startswith(("category:", "lexeme:"))]
    head = headline(estimates)
    sentences = [] if head is None else main_sentences(head, probe, estimates)
    sentences += nearness.tests(record, label)
    # what is said of single comparisons: where the interval leaves the neutral value out
    apart = [e for e in pick(estimates, "valence_gap") if e is not head and wording.includes_neutral(e) is False]
    sentences += [wording.finding(e, probe) for e in apart]
    sentences += correlations(estimates, probe)
    return FindingView(
        id=slug(prefix, "finding", label),
        probe=probe,
        instrument=label,
        sentences=(*sentences, *word_sentences(estimates, probe)),
        whole=tuple(whole),
        results=_results(prefix, probe, whole),
        extremes=tuple((e, x) for e in whole if e.metric in HEADLINES[:4] for x in e.extremes),
        words=() if brief else _word_tables(prefix, probe, estimates),
        figures=() if brief else _figures(prefix, probe, estimates),
        warnings=_warnings(estimates),
    )


def main_sentences(head: Estimate, probe: ProbeInfo, estimates: Sequence[Estimate]) -> list[Markup]:
    """Return what the main metric of an instrument says; of classifiers, each comparison speaks for itself."""
    if classified_views.applies(head):
        return classified_views.sentences(estimates, probe, head)
    return [wording.finding(head, probe)]


def _warnings(estimates: Sequence[Estimate]) -> tuple[Markup, ...]:
    said = (say("{metric}: {warning}", metric=title_of(e.metric), warning=w) for e in estimates for w in e.warnings)
    return tuple(dict.fromkeys(said))


def _figures(prefix: str, probe: ProbeInfo, estimates: Sequence[Estimate]) -> tuple[FigureView, ...]:
    head = headline(estimates)
    if head is not None and classified_views.applies(head):
        return classified_views.figures(prefix, probe, estimates, head)
    if _goes_by_comparison(probe, estimates):
        found = [_by_comparison(prefix, probe, estimates, metric) for metric in ("stereotype_score", "valence_gap")]
    else:
        found = [
            _by_category(prefix, probe, estimates),
            _scatter(prefix, probe, estimates),
            _lexemes(prefix, probe, estimates),
        ]
    return tuple(view for view in found if view)


def _goes_by_comparison(probe: ProbeInfo, estimates: Sequence[Estimate]) -> bool:
    return len(probe.comparisons) > 1 and bool(pick(estimates, "valence_gap"))


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


def _word_tables(prefix: str, probe: ProbeInfo, estimates: Sequence[Estimate]) -> tuple[Table, ...]:
    found = (_words(prefix, probe, estimates, metric, text) for metric, text in WORD_TABLES)
    return (*(table for table in found if table), *classified_views.rates(probe, estimates))


def _words(prefix: str, probe: ProbeInfo, estimates: Sequence[Estimate], metric: str, text: str) -> Table | None:
    ranked = _ranked(pick(estimates, metric, "lexeme:"))
    if not ranked:
        return None
    furthest = ranked if len(ranked) <= MOST_LEXEMES else _furthest(ranked, MOST_LEXEMES // 2)
    # the figure of the words has no table of its own
    drawn = [] if _goes_by_comparison(probe, estimates) else _furthest(ranked_words(estimates, probe), MOST_WORDS)
    wanted = {id(e) for e in (*furthest, *drawn)}
    kept = [e for e in ranked if id(e) in wanted]
    first, second = labels(probe)
    told = say(", {first} against {second}", first=first, second=second) if len(probe.comparisons) > 1 else Markup("")
    if not same_comparison(kept):
        first, second, told = "first group", "second group", Markup("")
    tail = "; {n} of {all} rows of the record, those furthest to either side" if len(kept) < len(ranked) else ""
    caption = say(
        text + tail,
        neutral=number(kept[0].neutral, "nats", kept[0].neutral_why),
        minus=say(
            "log P({first}) minus log P({second})" if kept[0].unit == "nats" else "{first} minus {second}",
            first=first,
            second=second,
        ),
        unit=Markup(kept[0].unit),
        told=told,
        n=number(len(kept), "tally"),
        all=number(len(ranked), "tally"),
    )
    return tabulated(None, probe, kept, caption, ("Word", False))


def _furthest(ranked: Sequence[Estimate], most: int) -> list[Estimate]:
    """Return those that have a value, and of more than ``2 * most`` the first and the last."""
    valued = [e for e in ranked if e.value is not None]
    return valued if len(valued) <= 2 * most else [*valued[:most], *valued[-most:]]


def _view(
    prefix: str, probe: ProbeInfo, kind: str, rows: Sequence[Estimate], title: Markup, alt: Markup, **changes: str
) -> FigureView:
    first, second = labels(probe)
    same = same_comparison(rows)
    return FigureView(
        id=slug(prefix, "figure", rows[0].instrument, rows[0].metric, kind),
        kind=kind,
        probe=probe,
        title=title,
        alt=alt.striptags(),
        levels=levels(rows),
        # the font of a figure may lack the letters of a language, so that its words go by their ids
        rows=tuple((_short_name(e, probe) if same else _row_name(e, probe), e) for e in rows),
        covariates=tuple(probe.lexeme_covariates.get(lexeme(e), 0.0) for e in rows) if kind == "scatter" else (),
        x_label=changes.get("x_label", f"← {second}\u2003gap in {rows[0].unit}\u2003{first} →"),
        y_label=f"gap in {rows[0].unit} ({second} ↓, {first} ↑)",
    )


def _short_name(estimate: Estimate, probe: ProbeInfo) -> str:
    if estimate.scope.startswith("lexeme:"):
        return lexeme(estimate)
    return word(estimate, probe, bare=True).striptags()


def _row_name(estimate: Estimate, probe: ProbeInfo) -> str:
    return "all comparisons" if estimate.comparison is None else labels(probe, estimate.comparison)[0]


def _ends(rows: Sequence[Estimate], probe: ProbeInfo) -> dict[str, Markup]:
    ends = (rows[0], rows[-1])
    named = [word(e, probe, bare=True) if e.scope != "all" else name(_row_name(e, probe)) for e in ends]
    return {
        "top": named[0],
        "high": number(rows[0].value, kind_of(rows[0])),
        "end": named[1],
        "low": number(rows[-1].value, kind_of(rows[-1])),
    }


def _ranked(estimates: Sequence[Estimate]) -> list[Estimate]:
    return sorted(estimates, key=lambda e: (e.value is None, -(e.value or 0), e.scope, e.comparison or ()))


def _by_category(prefix: str, probe: ProbeInfo, estimates: Sequence[Estimate]) -> FigureView | None:
    for metric in ("stereotype_score", "group_gap"):
        parts = _ranked(pick(estimates, metric, "category:", probe.comparisons[0]))
        whole = pick(estimates, metric, "all", probe.comparisons[0])
        valued = [e for e in parts if e.value is not None]
        if valued and whole:
            title = say("{title} by category", title=title_of(metric))
            if len(probe.comparisons) > 1:
                first, second = labels(probe)
                title += say(", {first} against {second}", first=first, second=second)
            text = "{title}: highest for {top} ({high}), lowest for {end} ({low})."
            alt = say(text, title=title, **_ends(valued, probe))
            labelled = {"x_label": title_of(metric)} if parts[0].unit == "share" else {}
            return _view(prefix, probe, "dots", [*whole, *parts], title, alt, **labelled)
    return None


def _by_comparison(prefix: str, probe: ProbeInfo, estimates: Sequence[Estimate], metric: str) -> FigureView | None:
    found = pick(estimates, metric)
    whole, parts = [e for e in found if e.comparison is None], _ranked([e for e in found if e.comparison])
    valued = [e for e in parts if e.value is not None]
    if len(valued) < 2:
        return None
    second = {labels(probe, e.comparison)[1] for e in parts}
    title = say("{title} against {second}", title=title_of(metric), second=" or ".join(sorted(second)))
    alt = say("{title}: highest for {top} ({high}), lowest for {end} ({low}).", title=title, **_ends(valued, probe))
    unit = parts[0].unit
    label = title_of(metric) if unit == "share" else f"← worse company\u2003gap in {unit}\u2003better company →"
    return _view(prefix, probe, "dots" if whole else "comparisons", [*whole, *parts], title, alt, x_label=label)


def _lexemes(prefix: str, probe: ProbeInfo, estimates: Sequence[Estimate]) -> FigureView | None:
    ranked = ranked_words(estimates, probe)
    if not ranked:
        return None
    shown = _furthest(ranked, MOST_WORDS)
    first, second = labels(probe)
    title = say("Words that lean more to {first} or to {second} than the others do", first=first, second=second)
    text = "Against the mean of all words, the gaps in {unit} go from {high} for {top} to {low} for {end}."
    if ranked[0].unit == "nats":
        text = "Against the mean of all words, the gaps go from {high} nats for {top} to {low} nats for {end}."
    return _view(prefix, probe, "words", shown, title, say(text, unit=ranked[0].unit, **_ends(ranked, probe)))


def _scatter(prefix: str, probe: ProbeInfo, estimates: Sequence[Estimate]) -> FigureView | None:
    rows = [e for e in ranked_words(estimates, probe, "group_gap") if lexeme(e) in probe.lexeme_covariates]
    if not rows or probe.covariate is None:
        return None
    title = Markup("The gap of each word against a published figure")
    alt = correlations(estimates, probe)
    return _view(prefix, probe, "scatter", rows, title, alt[0] if alt else title, x_label=probe.covariate)


def highlights(record: RunRecord) -> list[tuple[ProbeInfo, list[ItemHighlight]]]:
    """Return each probe set with its items of the largest gaps."""
    found = []
    for probe in record.probes:
        every = [h for h in record.highlights if h.probe_set == probe.name]
        if every:
            found.append((probe, sorted(every, key=lambda h: (-abs(h.gap), h.item))[:MOST_ITEMS]))
    return found


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


def coded(texts: Mapping[str, str]) -> list[tuple[Markup, Markup]]:
    """Return a sorted mapping of names to hashes or versions as rows."""
    return [(name(key), code(texts[key])) for key in sorted(texts)]
