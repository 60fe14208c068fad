"""A ledger in the terminal: the sentences and tables of its page, without what only a page has room for."""

from markupsafe import Markup
from rich.console import Console

from fairprint.audit.ledger import Ledger
from fairprint.reports import ledger_views as views
from fairprint.reports.ledger_fronts import FrontView, front_views
from fairprint.reports.printed import print_head, print_line, print_table, unmarked
from fairprint.reports.terminal import stdout
from fairprint.reports.text import safe_for_log


def print_ledger(of: Ledger) -> None:
    """Print what a project cost, where it went, and what it bought."""
    console = stdout()
    with console.capture() as found:
        _print(of, console)
    print(safe_for_log(found.get()), end="")  # as a whole, since a cell that is folded begins a line


def _print(of: Ledger, console: Console) -> None:
    for topic, sentences in views.lead(of):
        print_head(console, topic)
        for sentence in sentences:
            print_line(console, sentence)
    print_head(console, "Read with care" if of.notes else "")
    for note in of.notes:
        print_line(console, Markup("- {}").format(note))
    if of.shares:
        print_table(console, "By purpose", views.split_table(of))
    if (searches := views.searches_table(of)) is not None:
        print_table(console, "Searches", searches)
    for view in front_views(of.fronts):
        _front(console, view)
    for n, table in enumerate(views.runs_tables(of)):
        print_table(console, "" if n else "Runs", table)
    for title, rest in (
        ("Counted once", views.shared_table(of)),
        ("Places", views.places_table(of)),
        ("Not counted", views.unfinished_table(of)),
    ):
        if rest is not None:
            print_table(console, title, rest)
    if of.entries:
        console.print(f"\nIntervals: {of.method}.", highlight=False, markup=False, soft_wrap=True)


def _front(console: Console, view: FrontView) -> None:
    print_table(console, unmarked(view.title), view.points)
    if view.steps is not None:
        print_table(console, "", view.steps)
    for remark in view.remarks:
        print_line(console, remark)
