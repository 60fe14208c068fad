"""Intervals: against naive recomputation, hand-worked grids, scipy, and simulated probe sets."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from fairprint.audit.scales import BALANCE, SCALES, Array
from fairprint.audit.statistics import (
    Factors,
    Interval,
    Sums,
    Weights,
    interval,
    jackknife,
)

BOTH = ("template", "lexeme")
NEUTRAL = {"identity": 0.0, "logit": 0.5, BALANCE: 0.0, "fisher z": 0.0, "fisher z of d/2": 0.0, "log": 1.0}
VALUES = {
    "identity": st.floats(-1e6, 1e6, width=32),
    "logit": st.sampled_from([0.0, 0.5, 1.0]) | st.floats(0, 1, width=32),
    BALANCE: st.sampled_from([-1.0, 0.0, 1.0]) | st.floats(-1, 1, width=32),
    "fisher z": st.floats(-0.99, 0.99),
    "fisher z of d/2": st.floats(-1.98, 1.98),
    "log": st.floats(1e-3, 1e3),
}


def grid(templates: int, lexemes: int) -> tuple[list[str], list[str]]:
    pairs = list(itertools.product(range(templates), range(lexemes)))
    return [f"t{t}" for t, _ in pairs], [f"x{x}" for _, x in pairs]


def ratio(sums: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums[:, 0, 0] / sums[:, 0, 1])


def with_ones(values: Sequence[float]) -> Array:
    return np.stack([np.asarray(values, dtype=float), np.ones(len(values))], axis=1)


def interval_of_mean(
    values: Sequence[float],
    templates: Sequence[str],
    lexemes: Sequence[str],
    *,
    random: Sequence[str] = BOTH,
    scale: str = "identity",
    neutral: float | None = None,
) -> Interval:
    factors = Factors.of(templates, lexemes, random)
    replicates = jackknife(Sums(columns=with_ones(values), combine=ratio), factors)
    neutral = NEUTRAL[scale] if neutral is None else neutral
    return interval(replicates, factors, scale=scale, neutral=neutral, items=len(values))


def numbers(found: Interval) -> list[float]:
    kept = [getattr(found, field.name) for field in dataclasses.fields(found)]
    return [x for x in kept if isinstance(x, float)] + [value for _, _, value in found.extremes]


def deleted(keys: Sequence[object], estimate: Callable[[list[int]], float]) -> list[float]:
    """Delete the items of one unit after the other and compute anew, in the order of first occurrence."""
    return [estimate([i for i, key in enumerate(keys) if key != unit]) for unit in dict.fromkeys(keys)]


@st.composite
def answers(draw: st.DrawFn, scale: str) -> tuple[list[float], list[str], list[str]]:
    rows = draw(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), VALUES[scale]), min_size=2, max_size=20))
    return [v for *_, v in rows], [f"t{t}" for t, *_ in rows], [f"x{x}" for _, x, _ in rows]


# replicates


def test_replicates_from_sums_equal_deleting_the_items_and_computing_anew() -> None:
    rng = np.random.default_rng(1)
    templates = [f"t{i}" for i in rng.integers(0, 5, 40)]
    lexemes = [f"x{i}" for i in rng.integers(0, 7, 40)]
    values = rng.normal(size=40)
    factors = Factors.of(templates, lexemes, BOTH)

    found = jackknife(Sums(columns=with_ones(values), combine=ratio), factors)

    def mean(kept: list[int]) -> float:
        return math.fsum(values[kept]) / len(kept)

    assert found["all"] == pytest.approx([mean(list(range(40)))], abs=1e-13)
    assert found["template"] == pytest.approx(deleted(templates, mean), abs=1e-13)
    assert found["lexeme"] == pytest.approx(deleted(lexemes, mean), abs=1e-13)
    pairs = list(zip(templates, lexemes, strict=True))
    assert sorted(found["cell"]) == pytest.approx(sorted(deleted(pairs, mean)), abs=1e-13)


def test_replicates_with_cells_of_a_metric_equal_deleting_the_items_and_computing_anew() -> None:
    rng = np.random.default_rng(2)
    templates, lexemes = grid(4, 5)
    values = rng.normal(size=20)
    factors = Factors.of(templates, lexemes, BOTH)

    def spread_of_word_means(sums: Array) -> Array:
        with np.errstate(invalid="ignore"):
            return np.asarray(np.nanvar(sums[:, :, 0] / sums[:, :, 1], axis=1))

    found = jackknife(Sums(columns=with_ones(values), combine=spread_of_word_means, cells=factors.lexeme), factors)

    def naive(kept: list[int]) -> float:
        words = sorted({lexemes[i] for i in kept})
        means = [np.mean([values[i] for i in kept if lexemes[i] == word]) for word in words]
        return float(np.mean((means - np.mean(means)) ** 2))

    assert found["template"] == pytest.approx(deleted(templates, naive), abs=1e-13)
    assert found["lexeme"] == pytest.approx(deleted(lexemes, naive), abs=1e-13)


def test_replicates_from_weights_equal_those_from_sums_also_above_one_block_of_units() -> None:
    rng = np.random.default_rng(3)
    templates, lexemes = grid(3, 100)
    values = rng.normal(size=300)
    factors = Factors.of(templates, lexemes, BOTH)

    by_sums = jackknife(Sums(columns=with_ones(values), combine=ratio), factors)
    by_weights = jackknife(Weights(estimator=lambda weights: (weights @ values) / weights.sum(axis=1)), factors)

    assert by_weights.keys() == by_sums.keys() == {"all", "template", "lexeme", "cell", "item"}
    for key, replicates in by_sums.items():
        assert by_weights[key] == pytest.approx(replicates, abs=1e-12)


# the two-way formula, by hand


def test_two_additive_factors_combine_as_worked_by_hand() -> None:
    # template effects -3, 3 and lexeme effects -4, 0, 4; the mean is 0
    found = interval_of_mean([-7, -3, 1, -1, 3, 7], *grid(2, 3))

    # without a template: 3, -3; without a lexeme: 2, 0, -2; without a cell: -value / 5
    v_t, v_l, v_tl = 9.0, 16 / 3, (5 / 6) * 118 / 25
    variance = v_t + v_l - v_tl
    assert variance > max(v_t, v_l)
    df = variance**2 / (v_t**2 / 1 + v_l**2 / 2)
    assert df == pytest.approx(1.135869, abs=1e-6)
    error = math.sqrt(10.4)
    assert found.value == pytest.approx(0, abs=1e-15)
    assert found.standard_error == pytest.approx(error)
    assert found.degrees_of_freedom == pytest.approx(df)
    assert found.low == pytest.approx(-stats.t.ppf(0.975, df) * error)
    assert found.high == pytest.approx(stats.t.ppf(0.975, df) * error)
    assert found.detectable == pytest.approx((stats.t.ppf(0.975, df) + stats.t.ppf(0.8, df)) * error)
    assert found.design_effect == pytest.approx(10.4 / (118 / 30))
    assert found.units == {"template": 2, "lexeme": 3}
    assert found.extremes == (("template", "t1", -3.0), ("template", "t0", 3.0))


def test_the_variance_is_never_below_that_of_either_factor_alone() -> None:
    found = interval_of_mean([1, 2, 6, 3, 0, 0], *grid(2, 3))

    # V_T = 1, V_L = 1/3, V_TL = 13/15: the sum formula gives 7/15, less than V_T
    df = 1 / (1 / 1 + (1 / 9) / 2)
    assert found.value == pytest.approx(2)
    assert found.standard_error == pytest.approx(1)
    assert found.degrees_of_freedom == pytest.approx(df)
    assert found.p_value == pytest.approx(2 * stats.t.sf(2, df))
    assert found.design_effect == pytest.approx(15 / 13)


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=2, max_size=30))
def test_one_item_a_template_gives_the_one_sample_t_test(values: list[float]) -> None:
    assume(np.std(values) > 1e-3 * max(1.0, float(np.abs(values).max())))
    found = interval_of_mean(values, [f"t{i}" for i in range(len(values))], ["word"] * len(values), neutral=0.25)

    expected = stats.ttest_1samp(values, 0.25)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    low, high = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-6, abs=1e-6)
    assert found.degrees_of_freedom == pytest.approx(len(values) - 1)
    assert found.units == {"template": len(values)}
    assert found.design_effect == pytest.approx(1)


def test_a_factor_declared_fixed_is_held_fixed() -> None:
    rng = np.random.default_rng(4)
    templates, lexemes = grid(6, 9)
    values = rng.normal(size=(6, 9)) + rng.normal(size=9) * 5 + 1

    found = interval_of_mean(values.ravel(), templates, lexemes, random=["template"])

    expected = stats.ttest_1samp(values.mean(axis=1), 0)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.units == {"template": 6}
    assert {factor for factor, _, _ in found.extremes} == {"template"}


def test_a_random_factor_with_a_single_unit_is_dropped() -> None:
    factors = Factors.of(["a", "b", "a"], ["w", "w", "w"], BOTH)

    assert factors.random == ("template",)
    assert factors.names == {"template": ("a", "b"), "lexeme": ("w",)}
    assert factors.template.tolist() == [0, 1, 0]


def test_the_cell_of_an_item_is_its_pair_of_template_and_lexeme() -> None:
    factors = Factors.of(["a", "b", "a", "b", "a"], ["w", "w", "z", "z", "w"], BOTH)

    codes = factors.codes("cell").tolist()
    assert codes[0] == codes[4]
    assert sorted(set(codes)) == [0, 1, 2, 3]


# the shares' scale


def test_swapping_successes_and_failures_mirrors_the_interval_of_a_share() -> None:
    rng = np.random.default_rng(5)
    templates, lexemes = grid(5, 8)
    wins = (rng.random(40) < 0.7).astype(float)

    found = interval_of_mean(wins, templates, lexemes, scale="logit")
    mirrored = interval_of_mean(1 - wins, templates, lexemes, scale="logit")

    assert None not in (found.value, found.low, found.high, found.p_value)
    assert found.value == pytest.approx(1 - mirrored.value, abs=1e-12)
    assert found.low == pytest.approx(1 - mirrored.high, abs=1e-12)
    assert found.high == pytest.approx(1 - mirrored.low, abs=1e-12)
    assert found.p_value == pytest.approx(mirrored.p_value, abs=1e-12)
    assert found.detectable == pytest.approx(mirrored.detectable, abs=1e-12)


def test_a_share_with_one_item_a_template_has_the_interval_worked_by_hand() -> None:
    wins = [1.0] * 7 + [0.0] * 3
    found = interval_of_mean(wins, [f"t{i}" for i in range(10)], ["word"] * 10, scale="logit")

    # the jackknife variance of the share is .7 * .3 / 9, so that the sample is worth 9 items
    def logit(share: float) -> float:
        shrunk = (share * 9 + 0.5) / 10
        return math.log(shrunk / (1 - shrunk))

    replicates = [logit(6 / 9)] * 7 + [logit(7 / 9)] * 3
    error = math.sqrt(0.9 * sum((r - sum(replicates) / 10) ** 2 for r in replicates))
    reach = stats.t.ppf(0.975, 9) * error
    assert found.standard_error == pytest.approx(error)
    assert found.low == pytest.approx(1 / (1 + math.exp(-(logit(0.7) - reach))))
    assert found.high == pytest.approx(1 / (1 + math.exp(-(logit(0.7) + reach))))
    assert found.p_value == pytest.approx(2 * stats.t.sf(logit(0.7) / error, 9))


@pytest.mark.parametrize(("share", "low", "high"), [(1.0, 0.025**0.25, 1.0), (0.0, 0.0, 1 - 0.025**0.25)])
def test_a_unanimous_share_has_exact_bounds_for_as_many_trials_as_the_scarcer_factor_has_units(
    share: float, low: float, high: float
) -> None:
    found = interval_of_mean([share] * 40, *grid(4, 10), scale="logit")

    assert (found.value, found.low, found.high) == pytest.approx((share, low, high))
    assert found.p_value == pytest.approx(2 / 2**4)
    exact = stats.binomtest(int(4 * share), 4, 0.5)
    assert found.p_value == pytest.approx(exact.pvalue)
    assert tuple(exact.proportion_ci(0.95, method="exact")) == pytest.approx((low, high))
    assert found.warnings == ("every item gave the same answer: exact bounds as if 4 independent units had been drawn",)


def test_a_lopsided_share_of_few_units_carries_a_warning_and_one_of_many_units_does_not() -> None:
    def of_units(units: int, wins: int) -> Interval:
        """Units of ten items, all of which agree; in some of the units they win."""
        values = [float(unit < wins) for unit in range(units) for _ in range(10)]
        return interval_of_mean(values, [f"t{i // 10}" for i in range(10 * units)], ["w"] * 10 * units, scale="logit")

    # whole units agree, so that each is worth one item: of the rarer answer there are as many as units
    warning = ("few units and a lopsided share: the interval is likely too short",)
    assert of_units(40, 4).warnings == of_units(40, 36).warnings == warning
    assert of_units(60, 6).warnings == ()
    assert of_units(9, 2).warnings == ()  # not lopsided: 22 %


# what has no interval


@pytest.mark.parametrize("scale", ["identity", "logit", "log"])
@pytest.mark.parametrize("value", [0.5, 0.1, 1 / 3])
def test_values_that_are_all_equal_have_a_reason_instead_of_an_interval(scale: str, value: float) -> None:
    found = interval_of_mean([value] * 84, *grid(7, 12), scale=scale, neutral=0.9)

    assert found.value == pytest.approx(value)
    assert (found.low, found.high, found.p_value, found.standard_error) == (None, None, None, None)
    assert found.reason == "all units agree exactly, so that there is no variance to estimate from"


def test_a_constant_preference_that_cancels_out_in_every_template_is_not_significant() -> None:
    rng = np.random.default_rng(6)
    templates, lexemes = grid(7, 10)
    values = np.concatenate([rng.permutation([0.1, -0.1] * 5) for _ in range(7)])

    found = interval_of_mean(values, templates, lexemes, random=["template"])

    assert found.value == pytest.approx(0, abs=1e-12)
    assert (found.low, found.high, found.p_value) == (None, None, None)
    assert found.reason is not None


def test_a_single_unit_has_a_value_and_a_reason() -> None:
    found = interval_of_mean([1.0, 2.0], ["t", "t"], ["x", "x"])

    assert found == Interval(value=1.5, reason="a single unit: nothing to estimate a variance from")


def test_no_items_have_a_reason_and_no_value() -> None:
    factors = Factors.of(["a", "b"], ["x", "x"], BOTH)
    found = interval({"all": np.array([np.nan])}, factors, scale="identity", neutral=0.0, items=0)

    assert found.value is None
    assert found.reason is not None


def test_an_estimate_that_needs_every_unit_has_a_reason_instead_of_an_interval() -> None:
    factors = Factors.of(["a", "b", "c"], ["x", "x", "x"], BOTH)
    columns = np.array([[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]])

    found = interval(
        jackknife(Sums(columns=columns, combine=ratio), factors), factors, scale="identity", neutral=0.0, items=3
    )

    assert found.value == 1.0
    assert found.low is found.high is found.p_value is None
    assert found.reason == "without one unit there is no value: too few units for an interval"
    assert found.extremes == (("template", "b", 1.0), ("template", "c", 1.0))


@pytest.mark.parametrize(("scale", "edge"), [("fisher z", 1.0), ("fisher z", -1.0), ("log", 0.0)])
def test_a_value_at_the_edge_of_its_scale_has_a_reason_and_gives_no_warning(scale: str, edge: float) -> None:
    found = interval_of_mean([edge] * 4, ["a", "b", "c", "d"], ["x"] * 4, scale=scale)

    assert found.value == edge
    assert (found.low, found.high, found.p_value) == (None, None, None)
    assert found.reason == f"a value at the edge of the {scale} scale has no interval"


def test_a_ratio_whose_interval_is_wider_than_numbers_go_is_no_crash() -> None:
    found = interval_of_mean([1.0, 1e6, 2.0, 3.0], *grid(2, 2), scale="log")

    assert found.value == pytest.approx(250_001.5)
    assert all(math.isfinite(x) for x in numbers(found))
    assert found.high is not None or found.reason is not None


# a balance of two sides


def test_a_balance_has_the_interval_of_the_share_of_its_first_side() -> None:
    balances = [1, -1, 1, 1, -1, 1, 1, 1, -1, 1, 1, -1]
    units = [f"t{i // 2}" for i in range(12)], [""] * 12
    balance = interval_of_mean(balances, *units, scale=BALANCE, neutral=0.2)
    share = interval_of_mean([(1 + x) / 2 for x in balances], *units, scale="logit", neutral=0.6)

    assert balance.value == pytest.approx(1 / 3) and share.value == pytest.approx(2 / 3)
    assert (balance.low, balance.high) == pytest.approx((2 * share.low - 1, 2 * share.high - 1))
    assert balance.detectable == pytest.approx(2 * share.detectable)
    for same in ("p_value", "standard_error", "degrees_of_freedom", "design_effect", "units"):
        assert getattr(balance, same) == getattr(share, same), same
    assert [2 * value - 1 for _, _, value in share.extremes] == pytest.approx([v for _, _, v in balance.extremes])


@pytest.mark.parametrize(
    ("side", "low", "high"), [(1, 2 * 0.025 ** (1 / 5) - 1, 1), (-1, -1, 1 - 2 * 0.025 ** (1 / 5))]
)
def test_a_balance_of_one_side_alone_has_exact_bounds(side: int, low: float, high: float) -> None:
    found = interval_of_mean([side] * 10, [f"t{i // 2}" for i in range(10)], [""] * 10, scale=BALANCE, neutral=0)

    assert found.value == side
    assert (found.low, found.high) == pytest.approx((low, high))
    assert "exact bounds as if 5 independent units" in found.warnings[0]


# what the design effect compares with


def test_where_no_lexemes_are_told_apart_the_design_effect_compares_with_independent_items() -> None:
    values = [1.0, 1.0, 1.0, -1.0, 0.0, -1.0, 1.0, 1.0, 0.0]
    templates = ["a"] * 3 + ["b"] * 3 + ["c"] * 3
    found = interval_of_mean(values, templates, [""] * 9)

    # variance of a mean of 3 means, and of a mean of 9 items
    means = [1.0, -2 / 3, 2 / 3]
    by_template, by_item = np.var(means, ddof=1) / 3, np.var(values, ddof=1) / 9
    assert found.standard_error == pytest.approx(math.sqrt(by_template))
    assert found.design_effect == pytest.approx(by_template / by_item)


# properties on all scales


@pytest.mark.parametrize("scale", SCALES)
@settings(max_examples=150)
@given(data=st.data())
def test_an_interval_leaves_out_the_neutral_value_exactly_when_p_is_below_5_percent(
    scale: str, data: st.DataObject
) -> None:
    found = interval_of_mean(*data.draw(answers(scale)), scale=scale)
    if found.low is not None and found.high is not None and found.p_value is not None:
        assume(abs(found.p_value - 0.05) > 1e-9)

        assert (not found.low <= NEUTRAL[scale] <= found.high) == (found.p_value < 0.05)


@pytest.mark.parametrize("scale", SCALES)
@settings(max_examples=150)
@given(data=st.data())
def test_numbers_are_finite_the_value_lies_in_its_interval_and_what_is_absent_has_a_reason(
    scale: str, data: st.DataObject
) -> None:
    found = interval_of_mean(*data.draw(answers(scale)), scale=scale)

    assert all(math.isfinite(x) for x in numbers(found))
    assert (found.low is None) == (found.high is None) == (found.reason is not None)
    if found.low is not None and found.high is not None:
        assert found.low <= found.value <= found.high
        assert 0 <= found.p_value <= 1


@given(st.integers(0, 2**32), st.randoms(use_true_random=False))
def test_the_order_of_the_items_changes_nothing(seed: int, shuffler: Random) -> None:
    rng = np.random.default_rng(seed)
    templates, lexemes = grid(4, 6)
    rows = list(zip(rng.normal(size=24), templates, lexemes, strict=True))
    shuffled = list(rows)
    shuffler.shuffle(shuffled)

    before = interval_of_mean(*map(list, zip(*rows, strict=True)))
    after = interval_of_mean(*map(list, zip(*shuffled, strict=True)))

    assert numbers(after) == pytest.approx(numbers(before), rel=1e-10, abs=1e-12)
    assert [entry[:2] for entry in after.extremes] == [entry[:2] for entry in before.extremes]


# promises about repeated use


def test_two_way_intervals_cover_and_item_level_intervals_do_not() -> None:
    rng = np.random.default_rng(20240)
    repeats, count_t, count_l = 400, 12, 60
    templates, lexemes = grid(count_t, count_l)
    factors = Factors.of(templates, lexemes, BOTH)
    two_way = by_item = 0
    for _ in range(repeats):
        effects = 0.2 * rng.normal(size=(count_t, 1)) + 0.4 * rng.normal(size=(1, count_l))
        values = (1.5 + effects + rng.normal(size=(count_t, count_l))).ravel()
        found = interval(
            jackknife(Sums(columns=with_ones(values), combine=ratio), factors),
            factors,
            scale="identity",
            neutral=1.5,
            items=720,
        )
        two_way += found.low <= 1.5 <= found.high
        by_item += abs(values.mean() - 1.5) <= 1.96 * values.std(ddof=1) / math.sqrt(720)

    assert 0.92 <= two_way / repeats <= 0.98
    assert by_item / repeats < 0.85
