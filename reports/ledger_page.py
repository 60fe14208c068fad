"""The page of a ledger: one file that needs no network and no script, the same bytes for the same runs."""

from importlib.metadata import version
from pathlib import Path

from fairprint.audit.ledger import Ledger
from fairprint.reports import ledger_views
from fairprint.reports.html import packed, render_page, write_page
from fairprint.reports.ledger_data import as_data
from fairprint.reports.ledger_figure import front_plot
from fairprint.reports.ledger_fronts import front_views

MOST_FIGURES = 8
"""Pictures that are drawn; further ones are told by their tables."""


def render_ledger(of: Ledger) -> str:
    """Return the page of a ledger."""
    return render_page(
        "ledger.html",
        made_by=version("fairprint"),
        ledger=of,
        v=ledger_views,
        fronts=[
            (view, front_plot(view.front) if n < MOST_FIGURES and view.front.front else None)
            for n, view in enumerate(front_views(of.fronts))
        ],
        machine=packed(as_data(of)),
    )


def write_ledger(of: Ledger, path: Path) -> None:
    """Write the page; a reader sees the old file or the new one, never a part.

    Raises:
        StoreError: it cannot be written.
    """
    write_page(path, render_ledger(of))
