"""Tables and figures of a report as plain data: cells are markup already, and nothing is drawn here."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fairprint.audit.records import Estimate, ProbeInfo
from fairprint.reports.numbers import interval, kind_of, number
from fairprint.reports.text import clean, name, say
from fairprint.reports.wording import title_of


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
    """A figure yet to be drawn: ``kind`` is ``dots``, ``words`` or ``scatter``."""

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


def word(estimate: Estimate, probe: ProbeInfo) -> Markup:
    """Return the word, category or group that an estimate is about."""
    scope, _, label = estimate.scope.partition(":")
    if scope == "lexeme":
        return name(label, language=probe.language)
    if scope == "group":
        return say("said of {label}", label=name(probe.labels.get(label, label)))
    return name(label) if scope == "category" else Markup("all items")


def lexeme(estimate: Estimate) -> str:
    """Return the word that an estimate is about."""
    return estimate.scope.partition(":")[2]


def levels(estimates: Sequence[Estimate]) -> Markup:
    """Return the confidence levels of intervals, as a rule one."""
    found = sorted({e.level for e in estimates})
    return Markup(" and ").join([number(level, "level") for level in found])


def row_label(estimate: Estimate, probe: ProbeInfo) -> Markup:
    """Return what a row of a table of metrics is about, with the unit where the numbers do not show it."""
    unit = {"share": "", "correlation": ""}.get(estimate.unit, f", {estimate.unit}")
    title = Markup("{}{}").format(title_of(estimate.metric), clean(unit))
    return title if estimate.scope == "all" else say("{title}, {word}", title=title, word=word(estimate, probe))


def _cells(estimate: Estimate) -> tuple[Markup, ...]:
    kind = kind_of(estimate)
    return (
        number(estimate.value, kind, estimate.reason),
        interval(estimate.low, estimate.high, kind, estimate.reason if estimate.value is not None else None),
        number(estimate.neutral, kind),
        number(estimate.p_value, "p", estimate.reason),
        number(estimate.q_value, "p", estimate.reason or "not part of a family of tests"),
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
    label = row_label if first[1] else word
    return Table(
        caption=caption,
        head=(first[0], *(_HEADS[i] for i in kept)),
        rows=tuple((label(e, probe), *(cells[i] for i in kept)) for e in rows for cells in [_cells(e)]),
        align="l" + "".join(_ALIGN[i] for i in kept),
        ids=() if prefix is None else tuple(slug(prefix, "finding", e.instrument, e.metric, e.scope) for e in rows),
    )


def factor(text: str) -> str:
    """Return a random factor as a reader would call it."""
    return {"lexeme": "word"}.get(text, clean(text))


def figure_table(view: FigureView) -> Table:
    """Return the numbers of a figure."""
    caption = say("Numbers of the figure: {title}", title=view.title)
    estimates = [e for _, e in view.rows]
    if view.kind != "scatter":
        first = "Category" if view.kind == "dots" else "Word"
        return tabulated(None, view.probe, estimates, caption, (first, False))
    return Table(
        caption=caption,
        head=("Word", "Published figure", "Gap in nats"),
        rows=tuple(
            (word(e, view.probe), number(x, "plain"), number(e.value, kind_of(e)))
            for e, x in zip(estimates, view.covariates, strict=True)
        ),
        align="lrr",
    )
