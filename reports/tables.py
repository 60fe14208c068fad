"""Tables and figures of a report as plain data: cells are markup already, and nothing is drawn here."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from markupsafe import Markup

from fairprint.audit.records import Estimate, ProbeInfo
from fairprint.reports import benchmarks, classified, utility
from fairprint.reports.numbers import base_of, interval, kind_in, kind_of, number, small
from fairprint.reports.text import clean, linked, name, say
from fairprint.reports.wording import labels, title_of


def slug(*parts: str) -> str:
    """Return an id for the page; what an id cannot hold is told apart by a hash.

    >>> slug("finding", "gendered-occupations / fill", "category:health care")
    'finding-gendered-occupations-fill-category-health-care'
    """
    text = "-".join(part for part in parts if part)
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if len(plain) <= 120 and re.fullmatch(r"[a-z0-9 :/_-]*", text):
        return plain
    return f"{plain[:100]}-{hashlib.sha256(text.encode(errors='replace')).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table; the first cell of a row names the row, and ``align`` has a letter for each column.

    ``l`` is on the left and ``r`` on the right, ``t`` is running text, ``n`` on the left and never broken.
    """

    caption: Markup
    head: tuple[str, ...]
    rows: tuple[tuple[Markup, ...], ...]
    align: str
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureView:
    """A figure yet to be drawn.

    ``kind`` is ``overview``, ``dots`` (the first row is the whole of the others), ``comparisons`` (no row is the
    whole), ``words`` or ``scatter``. ``rows_are`` says what a row of an overview is.
    """

    id: str
    kind: str
    probe: ProbeInfo
    title: Markup
    alt: str
    levels: Markup
    rows: tuple[tuple[str, Estimate], ...]
    covariates: tuple[float, ...]
    x_label: str
    y_label: str
    rows_are: str = "Probe set"


def word(estimate: Estimate, probe: ProbeInfo, *, bare: bool = False) -> Markup:
    """Return the word, category or group that an estimate is about, and the comparison where a set has several.

    Args:
        estimate: what is named.
        probe: its set.
        bare: leave the comparison out, where all estimates that stand together have the same.
    """
    about = _about(estimate, probe)
    if bare or estimate.comparison is None or len(probe.comparisons) == 1:
        return about
    first, second = labels(probe, estimate.comparison)
    told = say("{first} against {second}", first=name(first), second=name(second))
    return told if estimate.scope == "all" else say("{about}, {told}", about=about, told=told)


def _about(estimate: Estimate, probe: ProbeInfo) -> Markup:
    scope, _, label = estimate.scope.partition(":")
    if scope == "lexeme":
        return name(probe.lexeme_texts.get(label, label), language=probe.language)
    if scope == "group":
        bare = classified.things(probe) or benchmarks.is_form(probe)
        return say("{label}" if bare else "said of {label}", label=name(probe.labels.get(label, label)))
    if scope == "category":
        return name(label)
    if scope == "condition":
        return name(benchmarks.condition(label))
    if scope == "quality":
        count = number(benchmarks.flagged(estimate, probe), "tally")
        return say("without the {count} items that break a rule of quality", count=count)
    whole = len(probe.comparisons) == 1 or estimate.comparison or classified.things(probe) or benchmarks.is_form(probe)
    return Markup("all items") if whole else Markup("all comparisons")


def same_comparison(estimates: Sequence[Estimate]) -> bool:
    """Say whether all estimates are of one comparison, so that one mention of it will do."""
    return len({e.comparison for e in estimates}) == 1


def lexeme(estimate: Estimate) -> str:
    """Return the word that an estimate is about."""
    return estimate.scope.partition(":")[2]


def levels(estimates: Sequence[Estimate]) -> Markup:
    """Return the confidence levels of intervals, as a rule one."""
    found = sorted({e.level for e in estimates})
    return Markup(" and ").join([number(level, "level") for level in found])


def row_label(estimate: Estimate, probe: ProbeInfo) -> Markup:
    """Return what a row of a table of metrics is about, with the unit where the numbers do not show it."""
    unit = {"share": "", "correlation": "", "difference of shares": ""}.get(estimate.unit, f", {estimate.unit}")
    # metrics with a way of writing of their own show their unit, or say it in their title
    unit = unit if base_of(estimate) in (kind_in(estimate.unit), "distance") else ""
    title = Markup("{}{}").format(title_of(estimate.metric), clean(unit))
    one = len(probe.comparisons) <= 1 or estimate.metric in _OF_NO_COMPARISON
    if estimate.scope == "all" and (one or (estimate.comparison is None and benchmarks.is_form(probe))):
        return title
    return say("{title}, {word}", title=title, word=word(estimate, probe))


_OF_NO_COMPARISON = {"candidate_mass", "covariate_correlation"}


def _cells(estimate: Estimate, probe: ProbeInfo) -> tuple[Markup, ...]:
    kind = kind_of(estimate)
    # where there is no value, its cell says why, and the others need not repeat it
    reason = estimate.reason if estimate.value is not None else None
    q_value = number(estimate.q_value, "p", reason)
    if estimate.q_value is None and estimate.p_value is not None:
        q_value = Markup('<span class="absent">not corrected</span>')
    effect = number(estimate.design_effect, small(estimate.design_effect), reason)
    return (
        number(estimate.value, kind, estimate.reason),
        interval(estimate.low, estimate.high, kind, reason),
        number(estimate.neutral, kind),
        number(estimate.p_value, "p", reason),
        q_value,
        number(estimate.items, "count"),
        number(estimate.missing, "count"),
        say("{effect}; {units}", effect=effect, units=units(estimate, probe)),
        _published(estimate, kind),
    )


def units(estimate: Estimate, probe: ProbeInfo) -> Markup:
    """Return how many units of each random factor an interval rests on."""
    told = [
        say("{count}\u00a0{factor}s", count=number(count, "count"), factor=factor(unit, probe))
        for unit, count in sorted(estimate.units.items())
    ]
    return Markup(", ").join(told) if told else Markup("none")


def _published(estimate: Estimate, kind: str) -> Markup:
    if estimate.published is None:
        return Markup("")
    source = linked(estimate.published.source)
    return say("{value}, {source}", value=number(estimate.published.value, kind), source=source)


_HEADS = ("Value", "Interval", "Neutral", "p", "q", "Items", "Missing", "Design effect", "Published")
_ALIGN = "rlrrrrrll"


def tabulated(
    prefix: str | None,
    probe: ProbeInfo,
    rows: Sequence[Estimate],
    caption: Markup,
    first: tuple[str, bool],
    *,
    units_too: bool = True,
) -> Table:
    """Make a table of estimates: ``first`` is its first head, and whether rows differ in metric and neutral value.

    What others published stands in a column of its own where any row has it; of questions, which come in few
    templates, so do the templates and what they do to the interval.
    """
    # where no answer is missing, the caption says so
    whole = not any(e.missing for e in rows)
    empty = {2, 3, 4} if all(e.neutral is None for e in rows) else set() if first[1] else {2}
    empty |= {6} if whole else set()
    empty |= {4} if all(e.q_value is None for e in rows) else set()
    empty |= set() if units_too and probe.scored in benchmarks.IN_TEMPLATES else {7}
    empty |= {8} if all(e.published is None for e in rows) else set()
    kept = [i for i in range(len(_HEADS)) if i not in empty]
    label = row_label if first[1] else partial(word, bare=same_comparison(rows))
    same = whole and not first[1] and len({e.items for e in rows}) == 1
    if same:
        kept.remove(5)
        caption += say("; each of {items} items", items=number(rows[0].items, "count"))
    return Table(
        caption=caption + Markup("; no answer is missing") if whole else caption,
        head=(first[0], *(_HEADS[i] for i in kept)),
        rows=tuple((label(e, probe), *(cells[i] for i in kept)) for e in rows for cells in [_cells(e, probe)]),
        align="l" + "".join(_ALIGN[i] for i in kept),
        ids=() if prefix is None else tuple(_row_id(prefix, e) for e in rows),
    )


def _row_id(prefix: str, estimate: Estimate) -> str:
    return slug(prefix, "finding", estimate.instrument, estimate.metric, estimate.scope, *(estimate.comparison or ()))


def factor(text: str, probe: ProbeInfo | None = None) -> str:
    """Return a random factor of a set as a reader would call it."""
    if probe is not None and classified.things(probe):
        return "source"
    if probe is not None and utility.applies(probe):
        return "text"
    if probe is not None and (called := benchmarks.factor(text, probe)):
        return called
    return {"lexeme": "word"}.get(text, clean(text))


def factors(probe: ProbeInfo, joint: str, end: str = "") -> Markup:
    """Return the random factors of a set as a reader would call them."""
    return Markup(joint).join(name(factor(text, probe)) + Markup(end) for text in probe.random_factors)


def axis(estimate: Estimate) -> str:
    """Return what an axis shows that metrics like this one lie on."""
    return title_of(estimate.metric) + (", in points" if base_of(estimate) in ("gap", "score") else "")


def figure_table(view: FigureView) -> Table:
    """Return the numbers of a figure."""
    caption = say("Numbers of the figure: {title}", title=view.title)
    # what others published, and the units of an interval, stand in the table of results
    estimates = [e.model_copy(update={"published": None}) for _, e in view.rows]
    if view.kind != "scatter":
        first = {"words": "Word", "overview": view.rows_are, "comparisons": "Comparison"}.get(view.kind, "Part")
        shown = tabulated(None, view.probe, estimates, caption, (first, False), units_too=False)
        if view.kind != "overview":
            return shown
        rows = tuple((name(label), *row[1:]) for (label, _), row in zip(view.rows, shown.rows, strict=True))
        return replace(shown, rows=rows)
    return Table(
        caption=caption,
        head=("Word", "Published figure", f"Gap in {estimates[0].unit}"),
        rows=tuple(
            (word(e, view.probe, bare=True), number(x, "plain"), number(e.value, kind_of(e)))
            for e, x in zip(estimates, view.covariates, strict=True)
        ),
        align="lrr",
    )
