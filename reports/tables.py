"""Tables and figures of a report as plain data: cells are markup already, and nothing is drawn here."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from markupsafe import Markup

from fairprint.audit.records import Estimate, ProbeInfo
from fairprint.reports import classified
from fairprint.reports.numbers import interval, kind_of, number
from fairprint.reports.text import clean, name, say
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
    """A table; the first cell of a row names the row, and ``align`` has an ``l`` or an ``r`` for each column."""

    caption: Markup
    head: tuple[str, ...]
    rows: tuple[tuple[Markup, ...], ...]
    align: str
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureView:
    """A figure yet to be drawn.

    ``kind`` is ``overview``, ``dots`` (the first row is the whole of the others), ``comparisons`` (no row is the
    whole), ``words`` or ``scatter``.
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
        about = "{label}" if classified.things(probe) else "said of {label}"
        return say(about, label=name(probe.labels.get(label, label)))
    if scope == "category":
        return name(label)
    whole = len(probe.comparisons) == 1 or estimate.comparison or classified.things(probe)
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
    title = Markup("{}{}").format(title_of(estimate.metric), clean(unit))
    if estimate.scope == "all" and (len(probe.comparisons) == 1 or estimate.metric in _OF_NO_COMPARISON):
        return title
    return say("{title}, {word}", title=title, word=word(estimate, probe))


_OF_NO_COMPARISON = {"candidate_mass", "covariate_correlation"}


def _cells(estimate: Estimate) -> tuple[Markup, ...]:
    kind = kind_of(estimate)
    # where there is no value, its cell says why, and the others need not repeat it
    reason = estimate.reason if estimate.value is not None else None
    alone = reason or ("not part of a family of tests" if estimate.value is not None else None)
    return (
        number(estimate.value, kind, estimate.reason),
        interval(estimate.low, estimate.high, kind, reason),
        number(estimate.neutral, kind),
        number(estimate.p_value, "p", reason),
        number(estimate.q_value, "p", alone),
        number(estimate.items, "count"),
        number(estimate.missing, "count"),
    )


_HEADS = ("Value", "Interval", "Neutral", "p", "q", "Items", "Missing")
_ALIGN = "rlrrrrr"


def tabulated(
    prefix: str | None, probe: ProbeInfo, rows: Sequence[Estimate], caption: Markup, first: tuple[str, bool]
) -> Table:
    """Make a table of estimates: ``first`` is its first head, and whether rows differ in metric and neutral value."""
    empty = {2, 3, 4} if all(e.neutral is None for e in rows) else set() if first[1] else {2}
    empty |= {4} if all(e.q_value is None for e in rows) else set()
    kept = [i for i in range(len(_HEADS)) if i not in empty]
    label = row_label if first[1] else partial(word, bare=same_comparison(rows))
    return Table(
        caption=caption,
        head=(first[0], *(_HEADS[i] for i in kept)),
        rows=tuple((label(e, probe), *(cells[i] for i in kept)) for e in rows for cells in [_cells(e)]),
        align="l" + "".join(_ALIGN[i] for i in kept),
        ids=() if prefix is None else tuple(_row_id(prefix, e) for e in rows),
    )


def _row_id(prefix: str, estimate: Estimate) -> str:
    return slug(prefix, "finding", estimate.instrument, estimate.metric, estimate.scope, *(estimate.comparison or ()))


def factor(text: str, probe: ProbeInfo | None = None) -> str:
    """Return a random factor of a set as a reader would call it."""
    if probe is not None and classified.things(probe):
        return "source"
    return {"lexeme": "word"}.get(text, clean(text))


def figure_table(view: FigureView) -> Table:
    """Return the numbers of a figure."""
    caption = say("Numbers of the figure: {title}", title=view.title)
    estimates = [e for _, e in view.rows]
    if view.kind != "scatter":
        first = {"words": "Word", "overview": "Probe set", "comparisons": "Comparison"}.get(view.kind, "Part")
        shown = tabulated(None, view.probe, estimates, caption, (first, False))
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
