"""Coverage of the default interval: the committed simulation, some of it again, and what it draws."""

import csv
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from simulations.coverage import CELLS, FIRST, OUT, ends, intervals, name, seeded, simulate, target, units
from simulations.worlds import KINDS, SIZE, SPREAD, Cell, Drawn, mean_inverse_size, sizes

from fairprint.audit.statistics import Factors, Sums, interval, jackknife

LINES = {line["cell"]: line for line in csv.DictReader(OUT.read_text(encoding="utf-8").splitlines())}
SMALL = {kind: next(c for c in CELLS if c.kind == kind and c.units[0] == 12 and c.effect != 1) for kind in KINDS}
"""A cell of each kind."""


def draws(cell: Cell, count: int) -> Iterator[Drawn]:
    rng = seeded(cell)
    return (KINDS[cell.kind].draw(cell, rng) for _ in range(count))


# the committed results


def test_every_cell_has_one_line_of_4000_data_sets_that_all_have_an_interval() -> None:
    assert list(LINES) == [name(cell) for cell in CELLS]
    assert len(set(LINES)) == len(CELLS)
    assert [(line["kind"], line["units"]) for line in LINES.values()] == [(c.kind, units(c)) for c in CELLS]
    assert {(line["repeats"], line["without"]) for line in LINES.values()} == {("4000", "0")}


def test_the_cells_are_those_that_were_promised() -> None:
    each = {(n, effect) for n in (12, 25, 100) for effect in (1, 5, 20)}
    for kind, share in (("graded", 0.6), ("binary", 0.6), ("s_DIS", 0.6), ("ICAT", 0.5), ("ICAT", 0.6), ("r", 0.6)):
        found = {(c.units[0], c.effect) for c in CELLS if (c.kind, c.share, c.exponential) == (kind, share, False)}
        assert found == each, kind
    for kind in ("graded grid", "binary grid", "r grid"):
        assert {c.units for c in CELLS if c.kind == kind} == {(12, 60), (25, 40)}
    stress = [c for c in CELLS if target(c) is None]
    assert {(c.units[0], c.effect) for c in stress if c.exponential} == each
    assert {(c.units[0], c.effect) for c in stress if c.share == 0.9} == {(n, 20) for n in (12, 25, 100)}
    assert len(stress) == 12


@pytest.mark.parametrize("cell", [cell for cell in CELLS if target(cell)], ids=name)
def test_the_default_interval_covers_what_it_promises(cell: Cell) -> None:
    coverage = float(LINES[name(cell)]["coverage"])
    assert 0.92 <= coverage <= 0.975 if cell.kind == "ICAT" else coverage >= 0.935
    assert coverage <= 0.965 or cell.kind == "ICAT" or cell.still


def test_an_interval_of_a_mean_that_takes_items_for_independent_covers_far_less() -> None:
    def most(effect: int) -> float:
        # words are what r is made of, however many items each has
        cells = [c for c in CELLS if c.effect == effect and target(c) and c.kind != "r"]
        return max(float(LINES[name(c)]["item_coverage"]) for c in cells)

    assert most(5) < 0.8
    assert most(20) < 0.5


# some of it again


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_of_the_committed_results_begins_with_the_same_intervals(kind: str) -> None:
    cell = SMALL[kind]
    truth, line = KINDS[kind].truth(cell), LINES[name(cell)]
    found = [ends(each) for each, _ in intervals(cell, FIRST)]
    known = [each for each in found if each is not None]
    assert sum(low <= truth <= high for low, high in known) == int(line["first_covered"])
    assert sum(high - low for low, high in known) / FIRST == pytest.approx(float(line["first_width"]), abs=2e-6)


@pytest.mark.parametrize("cell", [*SMALL.values(), *(replace(SMALL["binary"], units=(25,), effect=20),)], ids=name)
def test_in_a_small_simulation_intervals_cover(cell: Cell) -> None:
    repeats = 200
    found = simulate(cell, repeats)
    assert found.low is not None and found.high is not None and found.without == 0
    low, high = (3 * math.sqrt(end * (1 - end) / repeats) for end in (found.low, found.high))
    assert found.low - low <= found.coverage <= found.high + high
    assert cell.kind == "r" or found.item_coverage < found.coverage


# what is drawn


@pytest.mark.parametrize("kind", KINDS)
def test_the_short_way_gives_the_intervals_that_rows_give(kind: str) -> None:
    cell, metric = SMALL[kind], KINDS[kind].metric
    for drawn, (found, _) in zip(draws(cell, 3), intervals(cell, 3), strict=True):
        rows = drawn.rows()
        factors = Factors.of([r.template for r in rows], [r.lexeme for r in rows], drawn.factors.random)
        form = metric.form(rows, factors)
        assert isinstance(form, Sums)
        assert np.array_equal(form.columns, KINDS[kind].columns(drawn))
        long = interval(jackknife(form, factors), factors, scale=metric.scale, neutral=metric.neutral, items=len(rows))
        assert (found.value, found.low, found.high) == pytest.approx((long.value, long.low, long.high), abs=1e-9)


def test_the_interval_that_takes_items_for_independent_is_the_textbook_one_of_a_mean() -> None:
    cell = SMALL["graded"]
    for drawn, (found, naive) in zip(draws(cell, 5), intervals(cell, 5), strict=True):
        expected = stats.t.interval(0.95, len(drawn.value) - 1, drawn.value.mean(), stats.sem(drawn.value))
        assert ends(naive) == pytest.approx(expected, abs=1e-9)
        assert ends(found) != pytest.approx(expected, abs=1e-3)


def test_where_all_items_agree_each_counts_as_a_trial_of_its_own_beside_the_few_units() -> None:
    cell = Cell(kind="binary", units=(2,), effect=20, share=0.99)
    agreed = [
        (len(drawn.value), ends(found), ends(naive))
        for drawn, (found, naive) in zip(draws(cell, 20), intervals(cell, 20), strict=True)
        if drawn.value.min() > 0
    ]
    assert len(agreed) > 5
    for items, found, naive in agreed:
        assert found == pytest.approx((0.025 ** (1 / 2), 1))
        assert naive == pytest.approx((0.025 ** (1 / items), 1))


def test_numbers_of_items_have_the_mean_and_spread_that_are_told() -> None:
    drawn = sizes(200_000, np.random.default_rng(1))
    assert drawn.min() >= 1
    assert drawn.mean() == pytest.approx(SIZE, rel=0.01)
    assert drawn.std() / drawn.mean() == pytest.approx(SPREAD, rel=0.01)
    assert (1 / drawn).mean() == pytest.approx(mean_inverse_size(), rel=0.01)


@pytest.mark.parametrize("effect", [1, 5, 20])
@pytest.mark.parametrize("kind", ["graded", "binary", "graded grid"])
def test_means_scatter_by_the_design_effect_more_than_independent_items_would(kind: str, effect: float) -> None:
    crossed = kind.endswith("grid")
    cell = Cell(kind=kind, units=(25, 40) if crossed else (100,), effect=effect, template=0.75 if crossed else None)
    data = [(columns[:, 0], len(columns)) for columns in map(KINDS[kind].columns, draws(cell, 500))]
    means = np.array([values.mean() for values, _ in data])
    variance = KINDS[kind].truth(cell) * (1 - KINDS[kind].truth(cell)) if kind == "binary" else 1.0
    independent = variance / np.mean([items for _, items in data])
    # the variance of 500 means has a standard error of 6.3 %
    assert means.var(ddof=1) / independent == pytest.approx(effect, rel=0.2)


MANY: dict[str, tuple[Cell, int]] = {kind: (cell, 200) for kind, cell in SMALL.items()} | {
    # r and ICAT hang on the number of units, until there are many, and ICAT at its kink even then
    "ICAT": (replace(SMALL["ICAT"], units=(300,), share=0.6), 40),
    "r": (replace(SMALL["r"], units=(300,)), 40),
    "r grid": (replace(SMALL["r grid"], units=(12, 300)), 40),
}
"""Of each kind a cell whose estimates scatter about the true value, and how many data sets of it are drawn."""


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_called_true_is_what_estimates_are_on_average(kind: str) -> None:
    cell, count = MANY[kind]
    found = np.array([each.value for each, _ in intervals(cell, count)])
    assert abs(found.mean() - KINDS[kind].truth(cell)) < 4 * found.std(ddof=1) / math.sqrt(count)
    assert found.std(ddof=1) / math.sqrt(count) < 0.01
