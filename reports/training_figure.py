"""The power of a metered run over time, stacked by component, with its phases as bands under it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, Locator, MaxNLocator, MultipleLocator

from fairprint.audit.metered import MeteredRecord, SpanRecord
from fairprint.reports.figures import BLUE, GREEN, INK, PURPLE, QUIET, VERMILLION, blank, short, svg
from fairprint.reports.numbers import KINDS, NBSP

SHORTEST_S = 0.25
"""Shorter steps are joined: between two samples that close the load of a processor is not told apart from noise."""
MOST_STEPS = 120
MOST_ROWS = 8
"""Rows of bands; where more would be needed, spans stand by their phase."""
LEAST_STEPS = 2

_LOOKS = {"cpu": (BLUE, ""), "gpu": (VERMILLION, "///"), "ram": (GREEN, "\\\\")}
_OTHER = (PURPLE, "xx")
_ROUND_S = (30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200)
_SLIM = 0.02
"""Bands that take a smaller share of the run have an edge of their own colour, so that they stay visible."""
_BAND = 0.17
"""Height of a row of bands in inches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Mean power (W) by component from ``begin_s`` to ``end_s`` seconds of a run."""

    begin_s: float
    end_s: float
    power_w: dict[str, float]

    @property
    def total_w(self) -> float:
        """Power of all components."""
        return sum(self.power_w.values())


def steps(run: MeteredRecord) -> tuple[list[Step], str]:
    """Return the power of a run step by step, or no step and why.

    Steps are those of the curve, joined to at most ``MOST_STEPS`` that are no shorter than ``SHORTEST_S``; so their
    energies add up to that of the curve.
    """
    if run.footprint.energy_kwh is None:
        return [], run.footprint.reason or "the run has no energy"
    names = [part.name for part in run.footprint.components if part.energy_kwh is not None]
    if len(run.curve) < LEAST_STEPS + 1:
        return [], "the run has too few samples"
    shortest_s = max(SHORTEST_S, (run.curve[-1].time_s - run.curve[0].time_s) / MOST_STEPS)
    kept = [run.curve[0]]
    for point in run.curve[1:-1]:
        # the last step is no shorter than the others either
        if min(point.time_s - kept[-1].time_s, run.curve[-1].time_s - point.time_s) >= shortest_s:
            kept.append(point)
    kept.append(run.curve[-1])
    found = []
    for before, after in pairwise(kept):
        elapsed_s = after.time_s - before.time_s
        energies = {name: after.energy_kwh.get(name, 0.0) - before.energy_kwh.get(name, 0.0) for name in names}
        if elapsed_s <= 0 or min(energies.values(), default=0.0) < 0:
            return [], "its curve of energy falls somewhere, which energy cannot"
        power_w = {name: energy * 3.6e6 / elapsed_s for name, energy in energies.items()}
        found.append(Step(begin_s=before.time_s, end_s=after.time_s, power_w=power_w))
    if len(found) < LEAST_STEPS:
        return [], "the run was too short for more than its mean power"
    return found, ""


def bands(spans: Sequence[SpanRecord]) -> dict[str, list[SpanRecord]]:
    """Return the rows of bands under the power: by name and phase where these are few, else by phase."""
    phased: dict[str, list[SpanRecord]] = {}
    for span in spans:
        phased.setdefault(span.phase, []).append(span)
    named: dict[str, list[SpanRecord]] = {}
    for phase, some in phased.items():
        for span in some:
            named.setdefault(f"{span.name} ({phase})", []).append(span)
    return named if len(named) <= MOST_ROWS else phased


def power_plot(shown: Sequence[Step], rows: dict[str, list[SpanRecord]]) -> bytes:
    """Draw the power of each step, and under it the spans: filled where they are done, else hollow.

    Args:
        shown: the steps, at least one.
        rows: spans by the label of their row.
    """
    low = 0.28 + _BAND * len(rows) if rows else 0.0
    with blank(2.2 + low) as figure:
        axes, under = _axes(figure, low)
        _power(axes, shown)
        end_s = shown[-1].end_s
        lowest = under or axes
        axes.set_xlim(shown[0].begin_s, end_s)
        lowest.set_xlabel("Time since the begin of the run")
        lowest.xaxis.set_major_locator(_ticks(end_s - shown[0].begin_s))
        lowest.xaxis.set_major_formatter(FuncFormatter(lambda at, _: _time(at, end_s)))
        if under is not None:
            axes.tick_params(axis="x", length=0, labelbottom=False)
            _bands(under, rows, _SLIM * (end_s - shown[0].begin_s))
        return svg(figure)


def _axes(figure: Figure, low: float) -> tuple[Axes, Axes | None]:
    if not low:
        return figure.add_subplot(), None
    axes, under = figure.subplots(2, 1, sharex=True, height_ratios=(1.9, low))
    return axes, under


def _ticks(length_s: float) -> Locator:
    """Return where the marks of an axis of time are: on whole minutes or hours where these are enough."""
    if length_s < 120:
        return MaxNLocator(6, steps=[1, 2, 3, 5, 10])
    step_s = next((step for step in _ROUND_S if length_s / step <= 6), None)
    return MultipleLocator(step_s or 86_400 * math.ceil(length_s / 86_400 / 6))


def _time(at: float, end_s: float) -> str:
    if end_s < 120:
        return f"{at:g}{NBSP}s"
    return KINDS["clock"](max(at, 0.0)).partition(".")[0]


def _power(axes: Axes, shown: Sequence[Step]) -> None:
    edges = [shown[0].begin_s, *(step.end_s for step in shown)]
    floor = [0.0] * len(shown)
    for name in shown[0].power_w:
        colour, hatch = _LOOKS.get(name, _OTHER)
        top = [below + step.power_w[name] for below, step in zip(floor, shown, strict=True)]
        axes.stairs(
            top,
            edges,
            baseline=floor,
            fill=True,
            facecolor=colour,
            edgecolor="white",
            hatch=hatch,
            label=short(name.upper(), 12),
        )
        axes.stairs(top, edges, baseline=None, color=colour, linewidth=1.0)
        floor = top
    axes.set_ylim(0, 1.06 * max(floor) or 1.0)
    axes.set_ylabel("Mean power, W")
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color="#e3e6e9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=max(1, len(shown[0].power_w)),
        frameon=False,
        fontsize=7.5,
        borderaxespad=0.2,
        handlelength=1.6,
    )


def _bands(axes: Axes, rows: dict[str, list[SpanRecord]], slim_s: float) -> None:
    for y, spans in enumerate(rows.values()):
        done = [span for span in spans if span.status == "done"]
        looks = (
            ([span for span in done if span.duration_s >= slim_s], QUIET, "white", ""),
            ([span for span in done if span.duration_s < slim_s], QUIET, QUIET, ""),
            ([span for span in spans if span.status != "done"], "white", INK, "////"),
        )
        for some, face, edge, hatch in looks:
            parts = [(span.begin_s, max(span.end_s - span.begin_s, 0.0)) for span in some]
            if parts:
                axes.broken_barh(parts, (y - 0.36, 0.72), facecolor=face, edgecolor=edge, hatch=hatch, linewidth=0.6)
    axes.set_ylim(len(rows) - 0.45, -0.55)
    axes.set_yticks(range(len(rows)), [short(label, 22) for label in rows])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#e3e6e9", linewidth=0.6)
    axes.set_axisbelow(True)
