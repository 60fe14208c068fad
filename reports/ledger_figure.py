"""Quality against cost as a picture: the front that no model beats, and the models behind it."""

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from fairprint.audit.pareto import Front, Point
from fairprint.reports.figures import BLUE, INK, QUIET, blank, short, svg
from fairprint.reports.ledger_fronts import cost_name, unit_of, units_of

SPREAD = 20.0
"""From this ratio of the dearest to the cheapest model on, costs stand on a logarithmic axis."""
MOST_NUMBERS = 12
"""Numbers of the front that are drawn; the table beside the picture has all."""


def front_plot(front: Front) -> bytes:
    """Draw the models of a picture: at least one of them."""
    unit = unit_of(front)
    factor = next(factor for name, factor, _ in units_of(front) if name == unit)
    beaten = [point for point, _ in front.dominated]
    every = [*front.front, *beaten]
    with blank(2.6) as figure:
        axes = figure.add_subplot()
        _bars(axes, beaten, factor, QUIET)
        _bars(axes, list(front.front), factor, BLUE)
        axes.plot(
            [point.cost * factor for point in beaten],
            [point.quality for point in beaten],
            linestyle="none",
            marker="s",
            markersize=4.5,
            markerfacecolor="white",
            markeredgecolor=QUIET,
        )
        axes.plot(
            [point.cost * factor for point in front.front],
            [point.quality for point in front.front],
            drawstyle="steps-post",
            color=BLUE,
            linewidth=1.2,
        )
        axes.plot(
            [point.cost * factor for point in front.front],
            [point.quality for point in front.front],
            linestyle="none",
            marker="o",
            markersize=6,
            color=BLUE,
        )
        for n, point in enumerate(front.front[:MOST_NUMBERS]):
            axes.annotate(
                str(n + 1),
                (point.cost * factor, point.quality),
                textcoords="offset points",
                xytext=(-5, 5),
                ha="right",
                color=INK,
            )
        _scale(axes, every, factor)
        axes.set_xlabel(f"{cost_name(front)[:1].upper()}{cost_name(front)[1:]}, {unit}")
        axes.set_ylabel(short(f"{front.metric} {front.part}".strip(), 30))
        axes.margins(x=0.08, y=0.14)
        axes.grid(color="#e3e6e9", linewidth=0.6)
        axes.tick_params(length=0)
        axes.set_axisbelow(True)
        return svg(figure)


def _bars(axes: Axes, points: list[Point], factor: float, colour: str) -> None:
    for point in points:
        if point.low is not None and point.high is not None:
            ends = [point.low * factor, point.high * factor]
            axes.plot(ends, [point.quality] * 2, color=colour, linewidth=1.2, solid_capstyle="butt")


def _scale(axes: Axes, points: list[Point], factor: float) -> None:
    costs = [point.cost * factor for point in points]
    axes.yaxis.set_major_locator(MaxNLocator(6))
    if min(costs) > 0 and max(costs) / min(costs) >= SPREAD:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
