"""Sentences, tables and figures of the gaps between groups, word by word and by category."""

from collections.abc import Sequence

from markupsafe import Markup

from fairprint.audit.records import Estimate, ProbeInfo
from fairprint.reports import classified_views, numbers, wording
from fairprint.reports.numbers import kind_of, number
from fairprint.reports.selection import headline, pick, ranked_words
from fairprint.reports.tables import FigureView, Table, levels, lexeme, same_comparison, slug, tabulated, word
from fairprint.reports.text import name, say
from fairprint.reports.wording import labels, title_of

MOST_WORDS = 10
MOST_LEXEMES = 24
WORD_TABLES = (
    ("group_gap", "Gap of each word, {minus} in {unit}, {neutral} if equal"),
    ("group_gap_centred", "Gap of each word against the mean of all words in the same template, in {unit}{told}"),
)


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


def figures(prefix: str, probe: ProbeInfo, estimates: Sequence[Estimate]) -> tuple[FigureView, ...]:
    """Draw the scores of all comparisons, or those of one by category and word by word."""
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


def word_tables(prefix: str, probe: ProbeInfo, estimates: Sequence[Estimate]) -> tuple[Table, ...]:
    """Return the gaps word by word, or label by label, and the metrics by category that no figure shows."""
    found = (_words(prefix, probe, estimates, metric, text) for metric, text in WORD_TABLES)
    words = (*(table for table in found if table), *classified_views.rates(probe, estimates))
    return (*words, *_categories(prefix, probe, estimates))


def _categories(prefix: str, probe: ProbeInfo, estimates: Sequence[Estimate]) -> tuple[Table, ...]:
    head = headline(estimates)
    if not probe.comparisons or (head is not None and classified_views.applies(head)):
        return ()
    view = _by_category(prefix, probe, estimates)
    drawn = {id(e) for _, e in view.rows} if view and not _goes_by_comparison(probe, estimates) else set()
    rows = [e for e in estimates if e.scope.startswith("category:") and id(e) not in drawn]
    tables = []
    for metric in dict.fromkeys(e.metric for e in rows):
        mine = [e for e in rows if e.metric == metric]
        unit = Markup("") if mine[0].unit == "share" else say(", in {unit}", unit=Markup(mine[0].unit))
        text = "{title} by category{unit}, with {levels} intervals"
        caption = say(text, title=title_of(metric), unit=unit, levels=levels(mine))
        tables.append(tabulated(None, probe, mine, caption, ("Category", False)))
    return tuple(tables)


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
