"""Quality against cost: which models are worth what they cost, and what the next step costs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Unit = Literal["kg", "kWh"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One trained model.

    Attributes:
        label: of its run or trial.
        quality: as it was noted; quality_low, quality_high: its 95 % interval, None where it has none.
        cost, low, high: with a 90 % interval, in the unit of its picture.
        items: how many answers the quality rests on; None where nobody said.
    """

    run_id: str
    label: str
    quality: float
    cost: float
    low: float | None
    high: float | None
    items: int | None = None
    quality_low: float | None = None
    quality_high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """From one point of the front to the next dearer one.

    Attributes:
        gain: of quality, above 0 where the dearer one is better, whichever end of the metric that is.
        cost, cost_low, cost_high: more of it, with its interval.
        per_unit, low, high: gain over cost, in the interval of the cost alone; None where the cost could be the same.
    """

    start: Point
    end: Point
    gain: float
    cost: float
    cost_low: float | None
    cost_high: float | None
    per_unit: float | None
    low: float | None
    high: float | None


Bounds = Callable[[Point, Point], tuple[float, float]]
"""Gives the interval of how much more the second of two points costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """The picture of one metric of one task.

    Attributes:
        unit: of the cost, and unit_reason: why it is energy where it is.
        front: what no other point beats, the cheapest first.
        dominated: each other point, with one of the front that is as good or better and costs no more.
        steps: between neighbours on the front.
        without: models that have no cost, and why.
    """

    metric: str
    part: str
    task: str
    higher_is_better: bool
    unit: Unit
    unit_reason: str | None
    front: tuple[Point, ...]
    dominated: tuple[tuple[Point, Point], ...]
    steps: tuple[Step, ...]
    without: tuple[tuple[str, str], ...] = ()


def split(points: Sequence[Point], higher_is_better: bool) -> tuple[list[Point], list[tuple[Point, Point]]]:
    """Return the points that no other beats, the cheapest first, and the others with one that beats them.

    One point beats another where it is no worse and no dearer, and better or cheaper; two that are equal in both stay.

    >>> def point(name, quality, cost):
    ...     return Point(run_id=name, label=name, quality=quality, cost=cost, low=None, high=None)
    >>> front, beaten = split([point("a", 0.9, 3), point("b", 0.8, 1), point("c", 0.7, 2)], True)
    >>> [p.label for p in front], [(p.label, by.label) for p, by in beaten]
    (['b', 'a'], [('c', 'b')])
    """
    sign = 1 if higher_is_better else -1
    front: list[Point] = []
    beaten: list[tuple[Point, Point]] = []
    for point in sorted(points, key=lambda p: (p.cost, -sign * p.quality, p.run_id, p.label)):
        best = front[-1] if front else None
        same = best is not None and (point.cost, point.quality) == (best.cost, best.quality)
        if best is None or same or sign * point.quality > sign * best.quality:
            front.append(point)
        else:
            beaten.append((point, best))
    return front, beaten


def steps(front: Sequence[Point], higher_is_better: bool, bounds: Bounds | None = None) -> tuple[Step, ...]:
    """Return what each step along the front gains and costs."""
    sign = 1 if higher_is_better else -1
    found = []
    for start, end in pairwise(front):
        gain, cost = sign * (end.quality - start.quality), end.cost - start.cost
        low, high = (None, None) if bounds is None else bounds(start, end)
        sure = low is not None and high is not None and low > 0
        found.append(
            Step(
                start=start,
                end=end,
                gain=gain,
                cost=cost,
                cost_low=low,
                cost_high=high,
                per_unit=gain / cost if cost > 0 else None,
                low=gain / high if sure and high else None,
                high=gain / low if sure and low else None,
            )
        )
    return tuple(found)
