"""Tests and corrections: against scipy, statsmodels, brute force and tables made by hand."""

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar
from statsmodels.stats.multitest import multipletests

from fairprint.audit.significance import (
    MOST_WAYS,
    RANDOM_WAYS,
    benjamini_hochberg,
    holm,
    mcnemar,
    permutation,
    sign_flip,
)

AGREE = 1e-10
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=40)


# many tests


@given(st.lists(st.none() | st.floats(0, 1), max_size=30))
def test_q_values_equal_those_of_scipy_and_absent_ones_stay_absent(p_values: list[float | None]) -> None:
    found = benjamini_hochberg(p_values)

    assert [q is None for q in found] == [p is None for p in p_values]
    known = [p for p in p_values if p is not None]
    expected = stats.false_discovery_control(known).tolist() if known else []
    assert [q for q in found if q is not None] == pytest.approx(expected, rel=1e-12, abs=1e-300)


@pytest.mark.parametrize(("ours", "theirs"), [(benjamini_hochberg, "fdr_bh"), (holm, "holm")])
@settings(max_examples=25, deadline=None)
@given(p_values=P_VALUES)
def test_adjusted_p_values_equal_those_of_statsmodels(ours: object, theirs: str, p_values: list[float]) -> None:
    assert callable(ours)
    assert ours(p_values) == pytest.approx(multipletests(p_values, method=theirs)[1].tolist(), abs=AGREE)


@pytest.mark.parametrize("adjust", [benjamini_hochberg, holm])
def test_absent_p_values_stay_absent_and_do_not_count(adjust: object) -> None:
    assert callable(adjust)
    assert adjust([]) == []
    assert adjust([None, None]) == [None, None]
    assert adjust([None, 0.02, None]) == [None, 0.02, None]


def test_holm_as_worked_by_hand() -> None:
    # in order: .01 x 4, .02 x 3, then .02 x 2 is less than what came before it, and so is .5 x 1 not
    assert holm([0.02, 0.5, 0.01, 0.02]) == pytest.approx([0.06, 0.5, 0.04, 0.06])


def test_holm_lets_a_false_alarm_through_in_at_most_5_of_100_reports_without_bias() -> None:
    rng = np.random.default_rng(1)
    alarms = sum(min(p for p in holm(rng.random(8).tolist()) if p is not None) <= 0.05 for _ in range(2_000))

    # 1 - (1 - .05 / 8)^8 is 4.9 %; three Monte-Carlo errors to either side
    assert abs(alarms / 2_000 - 0.049) < 3 * math.sqrt(0.05 * 0.95 / 2_000)


# two answers to the same items


def answers(yes_yes: int, yes_no: int, no_yes: int, no_no: int) -> tuple[np.ndarray, np.ndarray]:
    first = [True] * (yes_yes + yes_no) + [False] * (no_yes + no_no)
    second = [True] * yes_yes + [False] * yes_no + [True] * no_yes + [False] * no_no
    return np.array(first), np.array(second)


@given(*[st.integers(0, 60)] * 4)
def test_the_exact_mcnemar_test_equals_that_of_statsmodels(a: int, b: int, c: int, d: int) -> None:
    first, second = answers(a, b, c, d)
    found = mcnemar(first, second, np.arange(len(first)))

    if not len(first):
        assert (found.p_value, found.reason) == (None, "no items")
        return
    assert found.statistic == pytest.approx((c - b) / len(first))
    assert found.p_value == pytest.approx(their_mcnemar([[a, b], [c, d]], exact=True).pvalue, abs=AGREE)
    assert found.exact
    assert found.smallest is not None
    assert found.p_value >= found.smallest


MID_P = [
    # only the items that differ count: of b + c fair coins, the sum below the rarer side twice, and its own mass once
    ((0, 0), Fraction(1)),
    ((1, 0), Fraction(1, 2)),
    ((5, 0), Fraction(1, 32)),
    ((3, 3), Fraction(1)),
    ((1, 5), Fraction(2 * 1 + 6, 64)),
    ((2, 8), Fraction(2 * (1 + 10) + 45, 1024)),
    ((9, 3), Fraction(2 * (1 + 12 + 66) + 220, 4096)),
]


@pytest.mark.parametrize(("differ", "expected"), MID_P)
def test_the_mid_p_value_is_that_of_the_table_made_by_hand(differ: tuple[int, int], expected: Fraction) -> None:
    first, second = answers(7, *differ, 4)

    found = mcnemar(first, second, np.arange(len(first)), mid=True)

    assert found.p_value == pytest.approx(float(expected), abs=AGREE)
    assert not found.exact


def test_the_mid_p_value_halves_the_mass_of_the_observed_table() -> None:
    first, second = answers(3, 2, 11, 8)
    exact, mid = (mcnemar(first, second, np.arange(24), mid=mid).p_value for mid in (False, True))

    assert exact is not None
    assert mid == pytest.approx(exact - stats.binom.pmf(2, 13, 0.5), abs=AGREE)


def test_mcnemar_is_not_offered_where_units_have_several_items() -> None:
    first, second = answers(3, 2, 5, 1)

    found = mcnemar(first, second, np.arange(11) // 2)

    assert (found.statistic, found.p_value, found.smallest) == (None, None, None)
    assert found.reason == "several items belong to one unit, so that they are not independent"


# signs of whole clusters


def flipped_by_brute_force(differences: Sequence[float], clusters: Sequence[int]) -> float:
    units = sorted(set(clusters))
    observed, reached = abs(math.fsum(differences)), 0
    for signs in itertools.product((1, -1), repeat=len(units)):
        sign = dict(zip(units, signs, strict=True))
        total = math.fsum(d * sign[c] for d, c in zip(differences, clusters, strict=True))
        reached += abs(total) >= observed - 1e-9
    return reached / 2 ** len(units)


@given(st.lists(st.tuples(st.floats(-5, 5, width=16), st.integers(0, 7)), min_size=1, max_size=20))
@settings(max_examples=60)
def test_turning_signs_equals_brute_force(rows: list[tuple[float, int]]) -> None:
    differences, clusters = [d for d, _ in rows], [c for _, c in rows]

    found = sign_flip(np.array(differences), np.array(clusters, dtype=np.intp), seed=0)

    assert found.p_value == pytest.approx(flipped_by_brute_force(differences, clusters), abs=AGREE)
    assert found.statistic == pytest.approx(math.fsum(differences) / len(differences))
    assert found.exact
    assert found.ways == 2 ** len(set(clusters))


@pytest.mark.parametrize("seed", range(4))
def test_turning_signs_of_single_items_equals_the_permutation_test_of_scipy(seed: int) -> None:
    values = np.random.default_rng(seed).normal(0.4, 1, 11)
    theirs = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf)

    found = sign_flip(values, np.arange(11), seed=0)

    assert found.p_value == pytest.approx(theirs.pvalue, abs=AGREE)
    assert found.statistic == pytest.approx(theirs.statistic, abs=AGREE)


@pytest.mark.parametrize("units", [2, 5, 9, 16])
def test_the_smallest_p_of_turned_signs_is_two_to_the_power_of_one_minus_the_units(units: int) -> None:
    found = sign_flip(np.ones(3 * units), np.arange(3 * units) % units, seed=0)

    assert found.p_value == found.smallest == 2.0 ** (1 - units)


def test_random_signs_agree_with_all_of_them_within_their_own_error() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(0.35, 1, 18)
    assert MOST_WAYS < 2**18

    found = sign_flip(values, np.arange(18), seed=3)

    exact = flipped_at_once(values)
    assert 0.01 < exact < 0.5
    assert (found.ways, found.exact) == (RANDOM_WAYS + 1, False)
    assert found.p_value == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / RANDOM_WAYS))
    assert found == sign_flip(values, np.arange(18), seed=3)
    assert found.p_value != sign_flip(values, np.arange(18), seed=4).p_value


def flipped_at_once(values: np.ndarray) -> float:
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return float((np.abs(sums) >= abs(values.sum()) - 1e-9).mean())


def test_items_of_one_unit_turn_together() -> None:
    differences = np.array([1.0, 1.0, 1.0, 1.0])

    assert sign_flip(differences, np.arange(4), seed=0).p_value == 2 / 16
    assert sign_flip(differences, np.array([0, 0, 1, 1]), seed=0).p_value == 2 / 4
    assert sign_flip(differences, np.array([7, 7, 7, 7]), seed=0).p_value == 1


def test_identical_answers_have_a_p_of_one() -> None:
    assert sign_flip(np.zeros(6), np.arange(6), seed=0).p_value == 1


def test_no_differences_have_a_reason() -> None:
    found = sign_flip(np.array([]), np.array([], dtype=np.intp), seed=0)

    assert (found.statistic, found.p_value, found.reason) == (None, None, "no items")


# two sets of units


def differ(a: np.ndarray, b: np.ndarray, axis: int = -1) -> np.ndarray:
    return np.asarray(a.mean(axis=axis) - b.mean(axis=axis))


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize(("size", "other"), [(5, 5), (4, 7), (2, 8), (8, 3)])
def test_the_exact_permutation_p_equals_that_of_scipy(size: int, other: int, two_sided: bool) -> None:
    rng = np.random.default_rng(size)
    values = np.concatenate([rng.normal(0.5, 1, size), rng.normal(0, 1, other)])
    first = np.arange(size + other) < size

    found = permutation(values, first, seed=0, two_sided=two_sided)

    theirs = stats.permutation_test(
        (values[first], values[~first]),
        differ,
        vectorized=True,
        n_resamples=np.inf,
        # two-sided of unequal sizes, scipy doubles the smaller tail: what lies as far off is counted here
        alternative="greater",
    )
    if two_sided:
        sums = [np.mean(values[list(c)]) for c in itertools.combinations(range(size + other), size)]
        far = [abs(s - values.mean()) for s in sums]
        expected = float(np.mean([f >= abs(values[first].mean() - values.mean()) - 1e-9 for f in far]))
    else:
        expected = float(theirs.pvalue)
    assert found.p_value == pytest.approx(expected, abs=AGREE)
    assert found.statistic == pytest.approx(float(theirs.statistic), abs=AGREE)
    assert found.ways == math.comb(size + other, size)
    assert found.exact


def test_the_two_sided_permutation_p_of_equal_sizes_equals_that_of_scipy() -> None:
    values = np.random.default_rng(9).normal(0, 1, 12)
    values[:6] += 0.8
    first = np.arange(12) < 6
    theirs = stats.permutation_test((values[first], values[~first]), differ, vectorized=True, n_resamples=np.inf)

    assert permutation(values, first, seed=0, two_sided=True).p_value == pytest.approx(theirs.pvalue, abs=AGREE)


@pytest.mark.parametrize("two_sided", [False, True])
def test_random_divisions_agree_with_a_large_sample_within_their_own_error(two_sided: bool) -> None:
    rng = np.random.default_rng(12)
    values = np.concatenate([rng.normal(0.45, 1, 16), rng.normal(0, 1, 16)])
    first = np.arange(32) < 16
    assert math.comb(32, 16) > MOST_WAYS

    found = permutation(values, first, seed=1, two_sided=two_sided)

    theirs = stats.permutation_test(
        (values[first], values[~first]),
        differ,
        vectorized=True,
        n_resamples=99_999,
        rng=np.random.default_rng(2),
        alternative="two-sided" if two_sided else "greater",
    )
    p = float(theirs.pvalue)
    assert 0.005 < p < 0.9
    assert found.p_value == pytest.approx(p, abs=4 * math.sqrt(2 * p * (1 - p) / RANDOM_WAYS))
    assert (found.ways, found.exact) == (RANDOM_WAYS + 1, False)


def test_the_smallest_p_of_a_permutation_is_one_way_of_all_or_two_where_the_sets_can_be_exchanged() -> None:
    values = np.array([9.0, 8.0, 7.0, 1.0, 2.0, 3.0])
    first = np.arange(6) < 3

    one = permutation(values, first, seed=0)
    two = permutation(values, first, seed=0, two_sided=True)

    assert (one.p_value, two.p_value) == (1 / 20, 2 / 20)
    assert (one.smallest, two.smallest) == (1 / 20, 2 / 20)


def test_an_empty_set_has_a_reason() -> None:
    found = permutation(np.array([1.0, 2.0]), np.array([True, True]), seed=0)

    assert (found.statistic, found.p_value, found.reason) == (None, None, "one of the two sets is empty")
