"""Figures as SVG, the same bytes for the same numbers.

Colours are the four of Okabe and Ito that reach 3:1 on white, always beside a shape. Text stays text in the SVG, so the
reader's fonts draw it; labels are cleaned and cut, because a figure has no room for what a table beside it shows whole.
"""

import io
import re
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from fairprint.audit.records import Estimate
from fairprint.reports.numbers import MINUS, base_of
from fairprint.reports.text import clean
from fairprint.reports.wording import FALSE_DISCOVERY_RATE

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
INK, QUIET = "#1c2126", "#59636e"
WIDTH = 4.25
ROW = 0.2
LETTER = 4.6
"""Width of a letter in points, as a rule."""
MOST_LABELS = 3
MOST_TRIED = 8
_HUNDREDS = ("gap", "score", "hundred")
"""Roundings of numbers that are written times a hundred, so that their axis is too."""

_STYLE = {
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.labelsize": 8,
    "axes.linewidth": 0.7,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "font.family": "sans-serif",
    # every text of a figure names its fonts
    "font.sans-serif": ["DejaVu Sans", "Verdana"],
    "font.size": 8,
    "svg.fonttype": "none",
    "svg.hashsalt": "fairprint",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": QUIET,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 7.5,
    "ytick.color": QUIET,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 8,
}

_TAG = re.compile(r"<[^>]*>")
_COMMENT = re.compile(r"<!--.*?-->|<!DOCTYPE.*?>|<metadata>.*?</metadata>", re.DOTALL)
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}(?![\w.])")
_IDLE = re.compile(r' transform="rotate\(-?0 [^"]*"|(?<=<g) id="[^"]*"')
"""Turns by nothing, and names of groups that nothing refers to."""
_LOOKS = re.compile(r' style="([^"]*)"')
_INDENT = re.compile(r"\s*\n\s*")

Row = tuple[str, Estimate]


@contextmanager
def blank(height: float) -> Iterator[Figure]:
    """Give a figure of ``WIDTH`` by ``height`` inches, in our style until the block ends."""
    with matplotlib.style.context(["default", _STYLE]):
        yield Figure(figsize=(WIDTH, height), layout="constrained")


@contextmanager
def _canvas(height: float) -> Iterator[tuple[Figure, Axes]]:
    with blank(height) as figure:
        yield figure, figure.add_subplot()


def svg(figure: Figure) -> bytes:
    """Return a figure as the bytes of an SVG, the same for the same figure."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # the reader's fonts draw the text, so a glyph that is missing here is no loss
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    # hundredths of a point, no indentation, and each look said once: a third of the bytes, and no eye sees it
    drawn = _TAG.sub(_rounded, _COMMENT.sub("", buffer.getvalue().decode()))
    drawn = _unwrapped(_TAG.sub(lambda tag: _IDLE.sub("", tag.group()), drawn))
    return _INDENT.sub("\n", _classed(drawn)).encode()


def _unwrapped(drawn: str) -> str:
    """Leave out the groups that say nothing of what is in them."""
    kept, said = [], []
    for part in re.split(r"(<[^>]*>)", drawn):
        if part.startswith(("<g>", "<g ")) and not part.endswith("/>"):
            said.append(part != "<g>")
        idle = part in ("<g>", "<g/>") or (part == "</g>" and not said.pop())
        kept += [] if idle else [part]
    return "".join(kept)


def _classed(drawn: str) -> str:
    """Move each look that several elements have into the style sheet of the figure."""
    tags = _TAG.findall(drawn)
    looks = [look for tag in tags for look in _LOOKS.findall(tag)]
    names = {look: f"l{n}" for n, look in enumerate(dict.fromkeys(look for look in looks if looks.count(look) > 1))}

    def shorter(look: re.Match[str]) -> str:
        return f' class="{names[look[1]]}"' if look[1] in names else look[0]

    sheet = "".join(f".{name}{{{look}}}" for look, name in names.items())
    drawn = _TAG.sub(lambda tag: _LOOKS.sub(shorter, tag.group()), drawn)
    return drawn.replace("</style>", sheet + "</style>", 1)


def _rounded(tag: re.Match[str]) -> str:
    """Round the coordinates in a tag; the text between tags stays as it is."""
    return _LONG_NUMBER.sub(lambda found: f"{float(found.group()):.2f}".rstrip("0").rstrip("."), tag.group())


def short(label: str, width: int = 26) -> str:
    """Return a label that is cleaned and cut to what a figure has room for."""
    shown = clean(label, 200)
    return shown if len(shown) <= width else shown[: width - 1] + "…"


def _ticks(axes: Axes, base: str) -> None:
    factor, unit = (100, " %") if base == "percent" else (100, "") if base in _HUNDREDS else (1, "")

    def form(x: float, _: int | None) -> str:
        return f"{x * factor:.4g}{unit}".replace("-", MINUS)

    axes.xaxis.set_major_formatter(FuncFormatter(form))


def _draw_row(axes: Axes, y: float, estimate: Estimate, *, colour: str, marker: str, filled: bool = True) -> None:
    if estimate.value is None:
        axes.text(estimate.neutral or 0, y, "\u2002not available", va="center", color=QUIET, style="italic")
        return
    if estimate.low is not None and estimate.high is not None:
        axes.plot([estimate.low, estimate.high], [y, y], color=colour, linewidth=1.6, solid_capstyle="butt")
    face = colour if filled else "white"
    axes.plot(
        [estimate.value], [y], marker=marker, markersize=5.2, color=colour, markerfacecolor=face, linestyle="none"
    )


def _rows_axis(axes: Axes, rows: Sequence[Row], x_label: str, base: str) -> None:
    axes.set_yticks(range(len(rows)), [short(label) for label, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#e3e6e9", linewidth=0.6)
    axes.set_axisbelow(True)
    neutral = next((e.neutral for _, e in rows if e.neutral is not None), None)
    if neutral is not None:
        axes.axvline(neutral, color=INK, linewidth=0.9, linestyle=(0, (4, 2)))
    label = _wrapped(x_label)
    # under short axes a long text would stick out of the figure
    room = WIDTH * 72 - LETTER * max(len(short(row)) for row, _ in rows)
    axes.set_xlabel(label, loc="right" if LETTER * max(map(len, label.split("\n"))) > room else "center")
    axes.margins(x=0.06)
    _ticks(axes, base)


def _wrapped(label: str) -> str:
    return "\n".join(textwrap.wrap(clean(label, 150), 56))


def dot_plot(rows: Sequence[Row], *, x_label: str, first_is_whole: bool = True) -> bytes:
    """Draw one dot with its interval a row.

    Args:
        rows: label and estimate, all of one metric; the dashed line is their neutral value.
        x_label: what the axis shows.
        first_is_whole: the first row is the whole of the others and has its own shape.
    """
    with _canvas(0.62 + ROW * len(rows) + 0.2 * _wrapped(x_label).count("\n")) as (figure, axes):
        for y, (_, estimate) in enumerate(rows):
            whole = y == 0 and first_is_whole
            _draw_row(axes, y, estimate, colour=VERMILLION if whole else BLUE, marker="D" if whole else "o")
        _rows_axis(axes, rows, x_label, base_of(rows[0][1]))
        return svg(figure)


def lexeme_plot(rows: Sequence[Row], *, x_label: str) -> bytes:
    """Draw the words that lean most to either group: circles to the first, squares to the second.

    A mark is filled where the word's q value is below the false discovery rate, else hollow.

    Args:
        rows: word and estimate, those of the first group first.
        x_label: what the axis shows.
    """
    with _canvas(0.62 + ROW * len(rows) + 0.2 * _wrapped(x_label).count("\n")) as (figure, axes):
        for y, (_, estimate) in enumerate(rows):
            first = (estimate.value or 0) > 0
            found = estimate.q_value is not None and estimate.q_value < FALSE_DISCOVERY_RATE
            _draw_row(
                axes, y, estimate, colour=BLUE if first else VERMILLION, marker="o" if first else "s", filled=found
            )
        _rows_axis(axes, rows, x_label, base_of(rows[0][1]))
        return svg(figure)


def scatter(rows: Sequence[Row], covariates: Sequence[float], *, x_label: str, y_label: str) -> bytes:
    """Draw the gap of each word against its published figure, with names for a few extremes.

    Args:
        rows: word and estimate.
        covariates: the figure of each word, in the same order.
        x_label: what the figure is.
        y_label: what the gap is.
    """
    points = [(label, x, e.value) for (label, e), x in zip(rows, covariates, strict=True) if e.value is not None]
    with _canvas(3.1) as (figure, axes):
        for first, colour, marker in ((True, BLUE, "o"), (False, VERMILLION, "s")):
            chosen = [(x, y) for _, x, y in points if (y > 0) is first]
            axes.plot(
                [x for x, _ in chosen], [y for _, y in chosen], marker, color=colour, markersize=4.4, alpha=0.85, mew=0
            )
        axes.axhline(0, color=INK, linewidth=0.9, linestyle=(0, (4, 2)))
        axes.grid(color="#e3e6e9", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.set_xlabel(_wrapped(x_label))
        axes.set_ylabel(clean(y_label, 80))
        axes.margins(x=0.05, y=0.1)
        axes.tick_params(axis="y", length=0)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}".replace("-", MINUS)))
        _name_extremes(axes, points)
        return svg(figure)


def _name_extremes(axes: Axes, points: Sequence[tuple[str, float, float]]) -> None:
    """Name up to ``MOST_LABELS`` points at either end where a name hides no other point and no other name."""
    ordered = sorted(points, key=lambda point: (point[2], point[0]))
    half = min(MOST_TRIED, len(ordered) // 2)
    placed: list[float] = []
    for most, candidates in ((MOST_LABELS, ordered[: -half - 1 : -1]), (2 * MOST_LABELS, ordered[:half])):
        for label, x, y in candidates:
            side = _free_side(points, x, y, len(short(label)))
            height = _range([p[2] for p in points])
            if side is None or len(placed) >= most or any(abs(y - other) < 0.07 * height for other in placed):
                continue
            placed.append(y)
            axes.annotate(
                short(label),
                (x, y),
                xytext=(5 * side, 0),
                textcoords="offset points",
                ha="left" if side > 0 else "right",
                va="center",
                fontsize=7.5,
            )


def _range(values: Sequence[float]) -> float:
    """Return the distance from the lowest to the highest value, or 1 where they are one."""
    return (max(values) - min(values)) or 1.0


def _free_side(points: Sequence[tuple[str, float, float]], x: float, y: float, letters: int) -> int | None:
    """Return 1 where a name right of a point hides no other, -1 where one on the left does, else None."""
    xs = [p[1] for p in points]
    wide, high = _range(xs), _range([p[2] for p in points])
    reach = (0.02 + 0.02 * letters) * wide
    for side in (1, -1) if x < (min(xs) + max(xs)) / 2 else (-1, 1):
        end = x + side * reach
        taken = [p for p in points if abs(p[2] - y) < 0.04 * high and 0 < (p[1] - x) * side < reach]
        if min(xs) - 0.03 * wide <= end <= max(xs) + 0.03 * wide and not taken:
            return side
    return None
