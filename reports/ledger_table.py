"""A ledger in the terminal: the sentences and tables of its page, without what only a page has room for."""

from collections.abc import Iterable

from markupsafe import Markup
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from fairprint.audit.ledger import Ledger
from fairprint.reports import ledger_views as views
from fairprint.reports.ledger_fronts import FrontView, front_views
from fairprint.reports.tables import Table
from fairprint.reports.terminal import stdout
from fairprint.reports.text import clean, plain, safe_for_log

MOST_ROWS = 60
"""Rows of a table that a terminal shows; the page and the JSON have all."""


def print_ledger(of: Ledger) -> None:
    """Print what a project cost, where it went, and what it bought."""
    console = stdout()
    with console.capture() as found:
        _print(of, console)
    print(safe_for_log(found.get()), end="")  # as a whole, since a cell that is folded begins a line


def _print(of: Ledger, console: Console) -> None:
    for topic, sentences in views.lead(of):
        _head(console, topic)
        for sentence in sentences:
            _line(console, sentence)
    _head(console, "Read with care" if of.notes else "")
    for note in of.notes:
        _line(console, Markup("- {}").format(note))
    if of.shares:
        _table(console, "By purpose", views.split_table(of))
    if (searches := views.searches_table(of)) is not None:
        _table(console, "Searches", searches)
    for view in front_views(of.fronts):
        _front(console, view)
    for n, table in enumerate(views.runs_tables(of)):
        _table(console, "" if n else "Runs", table)
    for title, rest in (
        ("Counted once", views.shared_table(of)),
        ("Places", views.places_table(of)),
        ("Not counted", views.unfinished_table(of)),
    ):
        if rest is not None:
            _table(console, title, rest)
    if of.entries:
        console.print(f"\nIntervals: {of.method}.", highlight=False, markup=False, soft_wrap=True)


def _front(console: Console, view: FrontView) -> None:
    _table(console, _plain(view.title), view.points)
    if view.steps is not None:
        _table(console, "", view.steps)
    for remark in view.remarks:
        _line(console, remark)


def _head(console: Console, text: str) -> None:
    if text:
        console.print(f"\n{escape(clean(text))}", style="bold", highlight=False)


def _line(console: Console, text: Markup) -> None:
    console.print(_plain(text), highlight=False, markup=False, soft_wrap=True)


def _table(console: Console, title: str, table: Table) -> None:
    _head(console, title)
    grid = Grid(box=None, pad_edge=False)
    for head, how in zip(table.head, table.align, strict=True):
        grid.add_column(escape(clean(head)), justify="right" if how == "r" else "left", overflow="fold")
    for row in table.rows[:MOST_ROWS]:
        grid.add_row(*(escape(cell) for cell in _cells(row)))
    console.print(grid)
    if len(table.rows) > MOST_ROWS:
        _line(console, Markup("{:,} more rows are on the page and in the JSON").format(len(table.rows) - MOST_ROWS))


def _cells(row: Iterable[Markup]) -> Iterable[str]:
    for cell in row:
        inside = 'class="in' in cell
        yield f"  {_plain(cell)}" if inside else _plain(cell)


def _plain(text: Markup) -> str:
    return clean(plain(text.striptags()))
