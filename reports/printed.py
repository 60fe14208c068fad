"""Sentences and tables of a page, printed in a terminal."""

from collections.abc import Iterable

from markupsafe import Markup
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from fairprint.reports.tables import Table
from fairprint.reports.text import clean, plain

MOST_ROWS = 60
"""Rows of a table that a terminal shows; the page and the JSON have all."""


def print_head(console: Console, text: str) -> None:
    """Print a heading; nothing where it is empty."""
    if text:
        console.print(f"\n{escape(clean(text))}", style="bold", highlight=False)


def print_line(console: Console, text: Markup) -> None:
    """Print a sentence."""
    console.print(unmarked(text), highlight=False, markup=False, soft_wrap=True)


def print_table(console: Console, title: str, table: Table) -> None:
    """Print a table under its heading."""
    print_head(console, title)
    grid = Grid(box=None, pad_edge=False)
    for head, how in zip(table.head, table.align, strict=True):
        grid.add_column(escape(clean(head)), justify="right" if how == "r" else "left", overflow="fold")
    for row in table.rows[:MOST_ROWS]:
        grid.add_row(*(escape(cell) for cell in _cells(row)))
    console.print(grid)
    if len(table.rows) > MOST_ROWS:
        print_line(
            console, Markup("{:,} more rows are on the page and in the JSON").format(len(table.rows) - MOST_ROWS)
        )


def _cells(row: Iterable[Markup]) -> Iterable[str]:
    for cell in row:
        inside = 'class="in' in cell
        yield f"  {unmarked(cell)}" if inside else unmarked(cell)


def unmarked(text: Markup) -> str:
    """Return text of a page as text for a terminal."""
    return clean(plain(text.striptags()))
