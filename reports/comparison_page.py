"""The page of a comparison: one file that needs no network and no script, the same bytes for the same record."""

import base64
from pathlib import Path

from markupsafe import Markup

from fairprint.audit.comparisons import ComparisonRecord
from fairprint.reports import comparison, comparison_views, utility
from fairprint.reports.figures import dot_plot
from fairprint.reports.html import packed, render_page, write_page


def render_comparison(record: ComparisonRecord) -> str:
    """Return the page of a comparison."""
    figures = [
        (title, _source(rows, title), rows) for title, rows in comparison_views.figure_rows(record) if len(rows) > 1
    ]
    return render_page(
        "comparison.html",
        record=record,
        names=comparison_views.sides(record),
        views=comparison_views.set_views(record),
        figures=figures,
        metrics=list(dict.fromkeys(each.metric for each in record.differences)),
        c=comparison,
        v=comparison_views,
        u=utility,
        machine=packed(record.model_dump()),
    )


def write_comparison(record: ComparisonRecord, path: Path) -> None:
    """Write the page; a reader sees the old file or the new one, never a part.

    Raises:
        StoreError: it cannot be written.
    """
    write_page(path, render_comparison(record))


def _source(rows: list[comparison_views.Labelled], title: str) -> Markup:
    drawn = dot_plot(rows, x_label=title, first_is_whole=False)
    return Markup("data:image/svg+xml;base64,") + base64.b64encode(drawn).decode()
