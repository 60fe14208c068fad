"""How often the default interval covers the true value: the simulation behind the claim that error bars are right.

    cd tests && python -m simulations.coverage

Writes coverage.csv beside this file, in about 8 minutes on two free cores. Each data set is drawn (``worlds.py``) and
goes through the code that audits go through: the metric's own form, ``jackknife`` and ``interval``. A cell's target is
93.5 to 96.5 %; ICAT, which has a kink, 92 to 97.5 %; a grid where a random factor does not vary may cover more. Cells
without a target are stress tests: skewed effects and very lopsided shares. Beside each stands how often the interval
covers that takes items for independent.
"""

import csv
import math
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

import numpy as np
from scipy import stats
from simulations.worlds import KINDS, NAMES, SHARE, Cell

from fairprint.audit.metrics import Metric
from fairprint.audit.statistics import ITEM, LEVEL, TEMPLATE, Array, Factors, Interval, Sums, interval, jackknife

REPEATS, FIRST = 4_000, 100
"""Data sets of a cell, and how many of them are told of by themselves."""
TARGET, KINKED = (0.935, 0.965), (0.92, 0.975)
OUT = Path(__file__).with_suffix(".csv")
CLUSTERS, EFFECTS, GRIDS = (12, 25, 100), (1, 5, 20), ((12, 60), (25, 40))
SPLITS = ((1, None), (5, 0.25), (5, 0.5), (5, 0.75), (20, 0.75), (5, 0.0), (5, 1.0), (20, 1.0))
"""Design effects of a grid, and which share of what varies between units varies between templates."""

SHARES = ("binary", "binary grid", "s_DIS", "ICAT")
"""Kinds with a share in them."""


def _cells() -> Iterator[Cell]:
    for kind, shares in (("graded", (SHARE,)), ("binary", (SHARE,)), ("s_DIS", (SHARE,)), ("ICAT", (0.5, 0.6))):
        for share in shares:
            for effect in EFFECTS:
                yield from (Cell(kind=kind, units=(n,), effect=effect, share=share) for n in CLUSTERS)
    for effect in EFFECTS:
        yield from (Cell(kind="r", units=(n,), effect=effect) for n in CLUSTERS)
    for units in GRIDS:
        for kind in ("graded grid", "binary grid"):
            yield from (Cell(kind=kind, units=units, effect=effect, template=split) for effect, split in SPLITS)
        yield Cell(kind="r grid", units=units, effect=math.nan)
    for effect in EFFECTS:
        yield from (Cell(kind="graded", units=(n,), effect=effect, exponential=True) for n in CLUSTERS)
    yield from (Cell(kind="binary", units=(n,), effect=20, share=0.9) for n in CLUSTERS)


CELLS = list(_cells())


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One line of the results.

    Attributes:
        cell: its name, which is the seed too.
        units: how many there are of each random factor.
        by_template: of a grid, the share of what varies between units that varies between templates.
        share: true value of a share, or of SS, where there is one.
        effects: ``normal`` or ``exponential``, of units and items.
        without: data sets without an interval, which count in nothing that follows.
        error: Monte-Carlo standard error of the coverage.
        item_coverage: of the interval that takes items for independent.
        low, high: what the coverage is to lie between; empty where there is no target.
        first_covered, first_width: of the first data sets: how many intervals cover, and their mean width.
    """

    cell: str
    kind: str
    units: str
    design_effect: float | None
    by_template: float | None
    share: float | None
    effects: str
    metric: str
    scale: str
    truth: float
    repeats: int
    without: int
    coverage: float
    error: float
    width: float
    item_coverage: float
    low: float | None
    high: float | None
    within: bool | None
    first_covered: int
    first_width: float


def units(cell: Cell) -> str:
    """Return how many units a cell has, as it is written."""
    return " x ".join(str(n) for n in cell.units)


def name(cell: Cell) -> str:
    """Return what a cell is called: it tells each from all others."""
    told = [cell.kind, units(cell)]
    told += [] if math.isnan(cell.effect) else [f"design effect {cell.effect:g}"]
    told += [] if cell.template is None else [f"{cell.template:g} of it by template"]
    told += [f"share {cell.share:g}"] if cell.kind in SHARES else []
    return ", ".join(told + (["exponential"] if cell.exponential else []))


def target(cell: Cell) -> tuple[float, float] | None:
    """Return between what the coverage is to lie, or None for a stress test."""
    if cell.exponential or cell.share == 0.9:
        return None
    if cell.kind == "ICAT":
        return KINKED
    return (TARGET[0], 1.0) if cell.still else TARGET


def seeded(cell: Cell) -> np.random.Generator:
    """Return the random numbers of a cell, which hang on its name alone."""
    return np.random.default_rng([6, zlib.crc32(name(cell).encode())])


def intervals(cell: Cell, repeats: int) -> Iterator[tuple[Interval, Interval]]:
    """Yield the interval of each data set, and the one that takes items for independent."""
    rng = seeded(cell)
    kind, form = KINDS[cell.kind], None
    for _ in range(repeats):
        drawn = kind.draw(cell, rng)
        # how the sums are combined is the same for all data sets of a cell: only the columns of the items change
        form = form or kind.metric.form(drawn.rows(), drawn.factors)
        assert isinstance(form, Sums)
        replicates = jackknife(replace(form, columns=kind.columns(drawn)), drawn.factors)
        found = _interval(replicates, drawn.factors, kind.metric)
        yield found, _by_item(found, replicates, kind.metric)


def _interval(replicates: dict[str, Array], factors: Factors, metric: Metric) -> Interval:
    items = len(factors.template)
    return interval(replicates, factors, scale=metric.scale, neutral=metric.neutral, items=items)


def _by_item(found: Interval, replicates: dict[str, Array], metric: Metric) -> Interval:
    """Return the interval on the same scale that takes items for independent."""
    items = len(replicates[ITEM])
    if found.pivot is not None:
        quantile = float(stats.t.ppf((1 + LEVEL) / 2, items - 1))
        low, high = replace(found.pivot, error=found.standard_errors[ITEM]).ends(quantile)
        return Interval(value=found.value, low=low, high=high)
    # all items agree, and the bounds are exact: those of as many units as there are items
    own = Factors.of(NAMES[:items], [""] * items, (TEMPLATE,))
    return _interval({"all": replicates["all"], TEMPLATE: replicates[ITEM]}, own, metric)


def ends(found: Interval) -> tuple[float, float] | None:
    """Return the ends of an interval, or None where there is none."""
    return None if found.low is None or found.high is None else (found.low, found.high)


def simulate(cell: Cell, repeats: int = REPEATS) -> Found:
    """Return how often the intervals of one cell cover."""
    kind, truth = KINDS[cell.kind], KINDS[cell.kind].truth(cell)
    told = [(ends(found), ends(naive)) for found, naive in intervals(cell, repeats)]
    known = np.array([both for both in told if None not in both])
    (low, high), (low_by_item, high_by_item) = known.transpose(1, 2, 0)
    covers = (low <= truth) & (truth <= high)
    coverage = float(covers.mean())
    wanted = target(cell)
    return Found(
        cell=name(cell),
        kind=cell.kind,
        units=units(cell),
        design_effect=None if math.isnan(cell.effect) else cell.effect,
        by_template=cell.template,
        share=cell.share if cell.kind in SHARES else None,
        effects="exponential" if cell.exponential else "normal",
        metric=kind.metric.name,
        scale=kind.metric.scale,
        truth=round(truth, 6),
        repeats=repeats,
        without=repeats - len(known),
        coverage=round(coverage, 5),
        error=round(math.sqrt(coverage * (1 - coverage) / len(known)), 5),
        width=round(float((high - low).mean()), 5),
        item_coverage=round(float(((low_by_item <= truth) & (truth <= high_by_item)).mean()), 4),
        low=None if wanted is None else wanted[0],
        high=None if wanted is None else wanted[1],
        within=None if wanted is None else wanted[0] <= coverage <= wanted[1],
        first_covered=int(covers[:FIRST].sum()),
        first_width=round(float((high - low)[:FIRST].mean()), 6),
    )


def main() -> None:
    """Simulate all cells on two cores, the largest first, and write them in their order."""
    begin = time.monotonic()
    done: dict[str, Found] = {}
    with ProcessPoolExecutor(2) as pool:
        for found in pool.map(simulate, sorted(CELLS, key=lambda cell: -math.prod((*cell.units, 1)))):
            done[found.cell] = found
            told = {None: "", True: "within", False: "OUTSIDE"}[found.within]
            print(
                f"{time.monotonic() - begin:5.0f} s  {len(done)}/{len(CELLS)}  {found.cell}: "
                f"{found.coverage:.2%} (by item {found.item_coverage:.1%}) {told}",
                flush=True,
            )
    with OUT.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Found))
        writer.writerows(astuple(done[name(cell)]) for cell in CELLS)


if __name__ == "__main__":
    main()
