"""Draws a figure that tables describe."""

from fairprint.reports.figures import dot_plot, lexeme_plot, scatter
from fairprint.reports.tables import FigureView


def drawn(view: FigureView) -> bytes:
    """Return a figure as the bytes of an SVG."""
    if view.kind in ("dots", "comparisons", "overview"):
        return dot_plot(view.rows, x_label=view.x_label, first_is_whole=view.kind == "dots")
    if view.kind == "words":
        return lexeme_plot(view.rows, x_label=view.x_label)
    return scatter(view.rows, view.covariates, x_label=view.x_label, y_label=view.y_label)
