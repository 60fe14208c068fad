"""The tables of a plan in the terminal, and the same as rows of JSON."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fairprint.audit.planning import Outlook, error_in_unit
from fairprint.audit.records import ProbeInfo, RunRecord
from fairprint.reports import planned as said
from fairprint.reports.numbers import kind_of_distance, number
from fairprint.reports.precision import ERRORS
from fairprint.reports.tables import factor, row_label
from fairprint.reports.terminal import stdout
from fairprint.reports.text import clean, plain

Planned = tuple[str, ProbeInfo, Outlook]
"""Instrument, probe set, and what is planned of an estimate."""


def print_plan(record: RunRecord, found: Sequence[Planned]) -> None:
    """Print what a run can find, what would decide a margin, and what that means, on stdout."""
    console = stdout()
    console.print(f"[bold]{escape(clean(record.plan.model.name))}[/bold]  {escape(record.run_id)}", highlight=False)
    if not found:
        console.print("The run has no metric that says anything of people, so there is nothing to plan.")
        return
    console.print("\nWhat the run can find: standard errors, and whose they are", style="bold", highlight=False)
    console.print(_spread(found))
    if any(each.margin is not None for _, _, each in found):
        console.print("\nWhat would decide the margin", style="bold", highlight=False)
        console.print(_needed(found))
    console.print()
    for label, probe, each in found:
        told = " ".join(plain(sentence.striptags()) for sentence in said.verdict(each, probe))
        console.print(f"[bold]{escape(_named(label, probe, found))}[/bold]: {escape(told)}", highlight=False)
    console.print()
    _closing(console, found)


def _spread(found: Sequence[Planned]) -> Table:
    heads = ("units", *(f"by {key}" for key in ("item", "template", "word")), "two-way", "variance", "finds")
    table = _table(found, heads, left=("units", "variance"))
    for label, probe, each in found:
        e = each.estimate
        errors = (error_in_unit(e, e.standard_errors[key]) if key in e.standard_errors else None for key in ERRORS)
        kind = kind_of_distance(e)
        cells = ["-" if x is None else _text(number(x, "hundred" if kind == "points" else kind)) for x in errors]
        units = _text(said.counted(e.units, probe)) if e.units else "-"
        _add(table, label, probe, found, each, (units, *cells, _shares(each, probe), _distance(each)))
    return table


def _shares(each: Outlook, probe: ProbeInfo) -> str:
    if each.spread is None or len(each.spread.units) < 2:
        return "-" if each.spread is None else f"{factor(next(iter(each.spread.units)), probe)}s alone"
    if not each.spread.crossed:
        return "not told apart"
    shares = each.spread.shares()
    named = [(f"{factor(unit, probe)}s", shares[unit]) for unit in each.spread.units] + [("rest", shares["cell"])]
    return ", ".join(f"{name} {_text(number(share, 'percent'))}" for name, share in named)


def _distance(each: Outlook) -> str:
    return "-" if each.detectable is None else _text(said.distance(each.detectable, each.estimate))


def _needed(found: Sequence[Planned]) -> Table:
    table = _table(found, ("margin", "templates", "words", "both, fewest items", "items", "limits"), left=("limits",))
    for label, probe, each in found:
        cells = [_text(said.margin(each))]
        if each.decided:
            cells += ["decided", "decided", "decided", f"{each.estimate.items:,}"]
        else:
            cells += [_count(each, factor_) for factor_ in ("template", "lexeme")]
            two = each.cheapest is not None and len(each.cheapest) == 2
            cells.append(_text(said.counted(each.cheapest, probe)) if two and each.cheapest else "-")
            cells.append("-" if each.items is None else f"{each.items:,}")
        _add(table, label, probe, found, each, (*cells, _limiting(each, probe)))
    return table


def _limiting(each: Outlook, probe: ProbeInfo) -> str:
    if each.spread is None:
        return "-"
    limiting = each.spread.limiting()
    return "either" if limiting is None else f"{factor(limiting, probe)}s"


def _count(each: Outlook, unit: str) -> str:
    if unit not in each.needed:
        return "-"
    needed = each.needed[unit]
    return f"{needed:,}" if needed is not None else "never" if unit in each.least else "-"


def _table(found: Sequence[Planned], heads: Sequence[str], left: Sequence[str]) -> Table:
    table = Table(pad_edge=False, box=None)
    table.add_column("")
    for head in heads:
        table.add_column(head, justify="left" if head in left else "right", overflow="fold")
    return table


def _add(
    table: Table, label: str, probe: ProbeInfo, found: Sequence[Planned], each: Outlook, cells: Sequence[str]
) -> None:
    what = plain(row_label(each.estimate, probe).striptags())
    what += ", points" if kind_of_distance(each.estimate) == "points" else ""
    table.add_row(escape(f"{_named(label, probe, found)}: {what}"), *(escape(cell) for cell in cells))


def _named(label: str, probe: ProbeInfo, found: Sequence[Planned]) -> str:
    several = len({other for other, of, _ in found if of.name == probe.name}) > 1
    return clean(label if several else probe.name)


def _text(markup: Markup) -> str:
    return plain(markup.striptags())


def _closing(console: Console, found: Sequence[Planned]) -> None:
    """Say what to do, in words that need no statistics."""
    planned = [(probe, each) for _, probe, each in found if each.spread is not None]
    if not planned:
        return
    if all(each.decided for _, each in planned):
        told = "Every set is large enough for this margin: nothing needs to be added."
    else:
        told = (
            "More items made of the same templates and words would not help: to learn more, write new templates or"
            " take new words, first of the kind that limits a set."
        )
    told += (
        " These numbers rest on the few units of one run, so take them for an order of magnitude, and plan again with"
        " the larger set."
    )
    console.print(told, highlight=False)


def as_rows(found: Sequence[Planned]) -> list[dict[str, Any]]:
    """Return plans as rows of JSON: errors and distances in the unit of the metric, shares from 0 to 1."""
    rows = []
    for label, probe, each in found:
        e, spread = each.estimate, each.spread
        errors = {key: error_in_unit(e, error) for key, error in e.standard_errors.items()}
        rows.append(
            {
                "probe_set": probe.name,
                "instrument": label,
                "metric": e.metric,
                "scope": e.scope,
                "comparison": e.comparison,
                "value": e.value,
                "unit": e.unit,
                "units": e.units,
                "items": e.items,
                "standard_errors": errors,
                "variance_shares": None if spread is None else spread.shares(),
                "negative_components": [] if spread is None else list(spread.cut),
                "limiting": None if spread is None else spread.limiting(),
                "detectable": each.detectable,
                "margin": each.margin,
                "decided": each.decided,
                "needed": dict(each.needed),
                "least_detectable": dict(each.least),
                "why_not": dict(each.why),
                "cheapest": None if each.cheapest is None else dict(each.cheapest),
                "cheapest_items": each.items,
                "reason": each.reason,
                "in_words": [plain(sentence.striptags()) for sentence in said.verdict(each, probe)],
            }
        )
    return rows
