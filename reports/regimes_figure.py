"""Quality against energy of the ways to learn one task, both with their intervals, a panel for each quality."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from fairprint.audit.regimes import Found, Regime, Regimes
from fairprint.reports.figures import BLUE, GREEN, PURPLE, QUIET, VERMILLION, blank, short, svg
from fairprint.reports.numbers import ENERGY, KINDS, NBSP, scaled
from fairprint.reports.regimes_views import is_share, metric_of, quality_columns, quality_in
from fairprint.reports.text import clean, plain, say

MOST_PANELS, MOST_NAMES = 3, 8
SPREAD = 4.0
"""From this ratio of the dearest to the cheapest way on, energies stand on a logarithmic axis."""
_LOOKS = ((BLUE, "o"), (VERMILLION, "s"), (GREEN, "^"), (PURPLE, "D"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RegimesFigure:
    """The figure: its SVG, the text in its place, and what stands under it."""

    svg: bytes
    alt: str
    caption: Markup


Mark = tuple[int, Regime, Found]
"""Number of a way in the table, the way, and its quality."""


def regimes_figure(of: Regimes) -> RegimesFigure | Markup:
    """Return the figure of the ways that have an energy and a quality, or why there is none."""
    every = [marks for column in quality_columns(of) if len(marks := _marks(of, column)) > 1]
    sure = [marks for marks in every if any(found.low is not None for _, _, found in marks)]
    panels = (sure or every)[:MOST_PANELS]
    if not panels:
        return Markup("There is no figure: fewer than two of the runs have an energy and the same quality.")
    unit = scaled(max(regime.cost.energy_kwh.value or 0.0 for marks in panels for _, regime, _ in marks), ENERGY)
    shown = {n: regime.record.name for marks in panels for n, regime, _ in marks}
    names = Markup("; ").join(say("{n} {name}", n=Markup(n), name=told) for n, told in list(shown.items())[:MOST_NAMES])
    caption = say(
        "Each way to learn the task; bars are intervals, 95{nbsp}% of the quality and 90{nbsp}% of the"
        " energy. {names}. The table has the same numbers.",
        nbsp=Markup(NBSP),
        names=names,
    )
    return RegimesFigure(svg=_plot(panels, unit), alt=_alt(panels, unit), caption=caption)


def _marks(of: Regimes, column: tuple[str, str]) -> list[Mark]:
    found = ((n, regime, quality_in(regime, column)) for n, regime in enumerate(of.regimes, start=1))
    return [
        (n, regime, quality)
        for n, regime, quality in found
        if quality is not None and quality.value is not None and regime.cost.energy_kwh.value is not None
    ]


def _alt(panels: Sequence[Sequence[Mark]], unit: str) -> str:
    told = []
    for marks in panels:
        each = ", ".join(_point(regime, found, unit) for _, regime, found in marks[:MOST_NAMES])
        told.append(f"{clean(metric_of(marks[0][2]), 60)}: {each}")
    return f"Quality against energy of the training. {'. '.join(told)}."


def _point(regime: Regime, found: Found, unit: str) -> str:
    quality = KINDS["percent+1" if is_share(found) else "plain"](found.value or 0.0)
    energy = KINDS[unit](regime.cost.energy_kwh.value or 0.0)
    return plain(f"{clean(regime.record.name, 40)} {quality} at {energy}")


def _plot(panels: Sequence[Sequence[Mark]], unit: str) -> bytes:
    factor = next(factor for name, factor, _ in ENERGY if name == unit)
    with blank(2.4) as figure:
        grid = figure.subplots(1, len(panels), sharex=True, squeeze=False)
        for axes, marks in zip(grid[0], panels, strict=True):
            for n, regime, found in marks:
                _draw(axes, n, regime, found, factor)
            axes.set_title(short(metric_of(marks[0][2]), 60 // len(panels)), fontsize=7.5, loc="left")
            _scale(axes, [(regime.cost.energy_kwh.value or 0.0) * factor for marks in panels for _, regime, _ in marks])
            _qualities(axes, marks)
        figure.supxlabel(f"Energy of the training, {unit}", fontsize=8)
        return svg(figure)


def _draw(axes: Axes, n: int, regime: Regime, found: Found, factor: float) -> None:
    colour, marker = _LOOKS[(n - 1) % len(_LOOKS)]
    energy, at = regime.cost.energy_kwh, found.value or 0.0
    across = (energy.value or 0.0) * factor
    if energy.low is not None and energy.high is not None:
        axes.plot([energy.low * factor, energy.high * factor], [at, at], color=colour, linewidth=1.2)
    if found.low is not None and found.high is not None:
        axes.plot([across, across], [found.low, found.high], color=colour, linewidth=1.2)
    axes.plot([across], [at], marker=marker, color=colour, markersize=5.2, linestyle="none")
    axes.annotate(str(n), (across, at), xytext=(4, 4), textcoords="offset points", fontsize=7.5)


def _scale(axes: Axes, energies: Sequence[float]) -> None:
    axes.margins(x=0.15)
    if min(energies) > 0 and max(energies) / min(energies) >= SPREAD:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
        low, high = axes.get_xlim()
        axes.set_xticks(_round(low, high))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))


def _round(low: float, high: float) -> list[float]:
    """Return the numbers 1, 2 and 5 with their tens between two ends; only 1 where these would be too many."""
    tens = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    digits = (1, 2, 5) if len(tens) <= 3 else (1,)
    return [digit * 10.0**ten for ten in tens for digit in digits if low <= digit * 10.0**ten <= high]


def _qualities(axes: Axes, marks: Sequence[Mark]) -> None:
    if all(is_share(found) for _, _, found in marks):
        axes.set_ylim(-0.03, 1.1)
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y * 100:g}{NBSP}%"))
    else:
        axes.margins(y=0.14)
        axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.grid(color="#e3e6e9", linewidth=0.6)
    axes.tick_params(length=0)
    axes.set_axisbelow(True)
    axes.spines["bottom"].set_color(QUIET)
