"""The gate's decision rule: cases by hand, and laws that hold of all. How often it errs: test_gate_simulation.py."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fairprint.audit.away import beyond, upper
from fairprint.audit.checks import Direction
from fairprint.audit.judging import Across, Evidence, decide, detectable, effective, units_needed, worsened
from fairprint.audit.statistics import Factors, Interval

UNITS, DF = 11, 10
T95, T80, T90 = (float(stats.t.ppf(p, DF)) for p in (0.95, 0.80, 0.90))
UP: Direction = "up"
DOWN: Direction = "down"
AWAY: Direction = "away_from_neutral"
NONE = Interval(value=None)


def factors_with(*sizes: int) -> Factors:
    templates = [f"t{n}" for n, size in enumerate(sizes) for _ in range(size)]
    return Factors.of(templates, [""] * len(templates), ("template",))


EQUAL = factors_with(*[1] * UNITS)


def found(value: float, error: float | None = 1.0, df: float | None = DF) -> Interval:
    return Interval(value=value, standard_error=error, degrees_of_freedom=df, units={"template": UNITS})


def agreed(value: float) -> Interval:
    """All units say the same."""
    ends = tuple(("template", f"t{n}", value) for n in (0, 1))
    return Interval(value=value, units={"template": UNITS}, extremes=ends, reason="all units agree exactly")


def up(value: float, error: float = 1.0) -> Evidence:
    return worsened(found(value, error), NONE, NONE, NONE, UP, EQUAL, share=False)


def moved(b_a: float, b_b: float, error: float = 1.0, of_sum: float = 1.0, of_a: float = 1.0) -> Evidence:
    """A number that moved from b_A to b_B, away from neutral or towards it."""
    a, b = found(b_a, of_a), found(b_b, of_a)
    return worsened(found(b_b - b_a, error), found(b_b + b_a, of_sum), a, b, AWAY, EQUAL, share=False)


def verdicts(evidence: Sequence[Evidence], limits: Sequence[float | None]) -> list[str]:
    return [decision.verdict for decision in decide(evidence, limits)]


def tail(t: float) -> float:
    return float(stats.t.sf(t, DF))


# one limit


def test_a_worsening_has_the_one_sided_p_value_and_bound_of_students_t() -> None:
    evidence = up(2.5, 0.5)
    assert evidence.p_value == pytest.approx(tail(5.0))
    assert evidence.bound == pytest.approx(2.5 + T95 * 0.5)
    assert (evidence.worsening, evidence.error, evidence.degrees_of_freedom) == (2.5, 0.5, pytest.approx(DF))
    assert evidence.units == {"template": UNITS} and evidence.limiting == "template" and evidence.reason is None


@pytest.mark.parametrize(
    ("value", "margin", "expected"),
    [
        (T95 + 0.01, 1.0, "fail"),
        (T95 - 0.01, 1.0, "inconclusive"),  # above the margin, but not shown to be worse at all
        (3.0, 3.0 - 1e-9, "fail"),
        (3.0, 3.0, "inconclusive"),  # shown to be worse, but not by more than the margin
        (3.0, 3.0 + T95 - 1e-9, "inconclusive"),
        (3.0, 3.0 + T95 + 1e-9, "pass"),  # shown to be worse, and by no more than the margin
        (0.0, T95 - 1e-9, "inconclusive"),
        (0.0, T95 + 1e-9, "pass"),
        (-1.0, T95 - 1.0 + 1e-9, "pass"),
        (-9.0, 1e-9, "pass"),  # shown to be better
    ],
)
def test_one_limit_by_hand(value: float, margin: float, expected: str) -> None:
    assert verdicts([up(value)], [margin]) == [expected]
    down = worsened(found(-value), NONE, NONE, NONE, DOWN, EQUAL, share=False)
    assert verdicts([down], [margin]) == [expected]


@pytest.mark.parametrize("count", [1, 20])
def test_without_a_margin_the_limit_is_what_fails_with_80_percent_power(count: int) -> None:
    decisions = decide([up(0.4, 0.5), *[up(0.0)] * (count - 1)], [None] * count)
    expected = 0.5 * (stats.t.ppf(1 - 0.05 / count, DF) + T80)
    assert decisions[0].limit == pytest.approx(expected)
    assert decisions[0].detectable == pytest.approx(expected + T80 * 0.5)
    assert decisions[0].verdict == "pass" and decisions[0].needed == {}


def test_a_margin_that_the_test_reaches_anyway_costs_no_power_and_a_wider_one_adds_to_what_is_detectable() -> None:
    quantile = float(stats.t.ppf(1 - 0.05 / 4, DF))
    assert detectable(up(0.0), quantile - 0.1, 4) == pytest.approx(quantile + T80)
    assert detectable(up(0.0), quantile + 0.1, 4) == pytest.approx(quantile + 0.1 + T80)


def test_an_inconclusive_limit_says_how_many_units_would_show_that_it_is_kept() -> None:
    (decision,) = decide([up(0.0, 2.0)], [1.5])
    expected = UNITS * ((T95 + T80) * 2.0 / 1.5) ** 2
    assert decision.verdict == "inconclusive"
    assert decision.needed == {"template": math.ceil(expected)}
    assert units_needed(up(0.0, 0.1), 1.5) == {"template": UNITS + 1}  # what is undecided needs one more at least
    assert units_needed(up(0.0), 0.0) == {}


def test_of_two_factors_the_one_that_brings_more_of_the_variance_must_grow() -> None:
    crossed = Factors.of(["a", "a", "b", "b"], ["x", "y"] * 2, ("template", "lexeme"))
    errors = {"template": 1.0, "lexeme": 2.0}
    u = replace(found(0.0, 2.5, 3.0), standard_errors=errors, units={"template": 7, "lexeme": 5})
    evidence = worsened(u, NONE, NONE, NONE, UP, crossed, share=False)
    df = 2.5**4 / (1.0**4 / 1 + 2.0**4 / 1)
    quantiles = float(stats.t.ppf(0.95, df) + stats.t.ppf(0.80, df))
    assert evidence.degrees_of_freedom == pytest.approx(df)
    assert units_needed(evidence, 3.0) == {"lexeme": math.ceil(5 * (quantiles * 2.5 / 3.0) ** 2)}


def test_identical_answers_pass_whatever_else_is_asked() -> None:
    same = Evidence(worsening=0.0, bound=0.0, p_value=1.0, units={"template": UNITS}, identical=True)
    for limit in (1e-12, 5.0, None):
        decision = decide([same, up(9.0)], [limit, 1.0])[0]
        assert (decision.verdict, decision.detectable, decision.needed) == ("pass", None, {})
    assert verdicts([same, up(9.0)], [None, 1.0])[1] == "fail"


def test_units_that_all_worsen_by_the_same_are_judged_by_a_sign_test() -> None:
    worse = worsened(agreed(2.0), NONE, NONE, NONE, UP, EQUAL, share=False)
    assert (worse.p_value, worse.bound, worse.error) == (2.0**-UNITS, 2.0, None)
    assert verdicts([worse], [1.9]) == ["fail"]
    assert verdicts([worse], [2.0]) == ["pass"]
    assert verdicts([worsened(agreed(2.0), NONE, NONE, NONE, DOWN, EQUAL, share=False)], [0.1]) == ["pass"]
    # 2^-11 times 200 tests is .098
    assert verdicts([worse, *[up(0.0)] * 199], [1.9, *[5.0] * 199])[0] == "inconclusive"
    (decision,) = decide([worse], [None])
    assert (decision.verdict, decision.limit, decision.detectable, decision.needed) == ("inconclusive", None, None, {})


@pytest.mark.parametrize("change", [0.0, -1.5])
def test_without_a_margin_units_that_all_agree_on_no_worsening_pass(change: float) -> None:
    evidence = worsened(agreed(change), NONE, NONE, NONE, UP, EQUAL, share=False)
    (decision,) = decide([evidence], [None])
    assert (decision.verdict, decision.limit, decision.detectable) == ("pass", 0.0, None)


def test_without_a_standard_error_nothing_is_decided_and_the_reason_is_told() -> None:
    u = Interval(value=1.0, units={"template": UNITS}, reason="a single unit")
    evidence = worsened(u, NONE, NONE, NONE, UP, EQUAL, share=False)
    assert (evidence.p_value, evidence.bound, evidence.reason) == (None, None, "a single unit")
    (decision,) = decide([evidence], [0.1])
    assert (decision.verdict, decision.holm, decision.needed) == ("inconclusive", None, {})
    away = worsened(found(1.0), NONE, found(0.0), found(1.0), AWAY, EQUAL, share=False)
    assert (away.p_value, away.bound, away.across) == (None, None, None) and away.reason is not None


def test_what_has_no_value_cannot_be_judged() -> None:
    with pytest.raises(ValueError, match="no difference"):
        worsened(NONE, NONE, NONE, NONE, UP, EQUAL, share=False)
    with pytest.raises(ValueError, match="distance from neutral"):
        worsened(found(1.0), found(1.0), NONE, found(1.0), AWAY, EQUAL, share=False)


# several limits


def test_holms_method_decides_which_of_several_limits_fail() -> None:
    values = [float(stats.t.isf(p, DF)) for p in (0.012, 0.018, 0.03, 0.2)]
    decisions = decide([up(value) for value in values], [0.01] * 4)
    assert [d.holm for d in decisions] == pytest.approx([0.048, 0.054, 0.06, 0.2])
    assert [d.verdict for d in decisions] == ["fail", "inconclusive", "inconclusive", "inconclusive"]
    # of two the second is tested at 5 % once the first has failed
    assert verdicts([up(values[0]), up(values[2])], [0.01] * 2) == ["fail", "fail"]
    assert verdicts([up(values[2]), up(values[2])], [0.01] * 2) == ["inconclusive"] * 2


def test_a_limit_without_a_p_value_takes_no_part_in_the_correction() -> None:
    unknown = Evidence(worsening=1.0, bound=None, p_value=None, units={}, reason="a single unit")
    value = float(stats.t.isf(0.04, DF))
    decisions = decide([up(value), unknown, unknown], [1.0, 1.0, None])
    assert [d.verdict for d in decisions] == ["fail", "inconclusive", "inconclusive"]
    assert [d.holm for d in decisions] == [pytest.approx(0.04), None, None]
    assert decisions[0].detectable == pytest.approx(T95 + T80)


# away from neutral


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    ("b_a", "b_b", "margin", "expected"),
    [
        (10.0, 14.0, 1.0, "fail"),
        (10.0, 14.0, 4.0 + T95 + 1e-9, "pass"),
        (10.0, 10.0, T95 + 1e-9, "pass"),
        (10.0, 10.0, T95 - 1e-9, "inconclusive"),
        (10.0, 2.0, 1e-9, "pass"),  # nearer
        (10.0, -2.0, 1e-9, "pass"),  # nearer, on the other side
        (10.0, -14.0, 1.0, "fail"),  # farther, on the other side
        (10.0, -14.0, 4.0 - 1e-9, "fail"),
        (10.0, -14.0, 4.0 + T95 + 1e-9, "pass"),
        (10.0, -10.0, T95 - 1e-9, "inconclusive"),
        (1.0, -3.0, 1.0, "fail"),  # 4 errors of u, and 2 of v: t(.95, 10) is 1.81
        (1.0, -2.7, 1.0, "inconclusive"),  # 1.7 of v
        (0.0, 2.3, 1.0, "fail"),
        (0.0, 2.2, 1.0, "inconclusive"),  # t(.975, 10) is 2.23: not known to differ from neutral
        (0.0, 0.0, T95 + 1e-9, "pass"),
        (2.0, -2.0, T95 + 3.9, "inconclusive"),  # the side is not known: it moved by 4
        (2.0, -2.0, T95 + 4.1, "pass"),
    ],
)
def test_a_limit_away_from_neutral_by_hand(side: int, b_a: float, b_b: float, margin: float, expected: str) -> None:
    assert verdicts([moved(side * b_a, side * b_b)], [margin]) == [expected]


def test_a_number_that_differs_from_neutral_in_neither_run_did_not_move_away_whatever_two_differences_say() -> None:
    noisy = moved(0.0, 2.0, error=0.2, of_sum=0.2, of_a=1.0)
    assert noisy.p_value == pytest.approx(2 * tail(2.0))
    assert moved(0.0, 2.0, error=0.2, of_sum=0.2, of_a=0.1).p_value == pytest.approx(tail(10.0))


def test_away_from_neutral_what_is_detectable_goes_by_difference_and_sum_together() -> None:
    quantile = float(stats.t.ppf(1 - 0.05 / 3, DF))
    far, near, neutral = (moved(b, b, error=1.0, of_sum=4.0) for b in (20.0, 5.0, 0.5))
    assert detectable(far, 0.0, 3) == pytest.approx(quantile + T80)
    assert detectable(near, 0.0, 3) == pytest.approx(4 * (quantile + T80) - 10)
    # both are in question, and each must come out nine times of ten
    assert neutral.across == Across(error=4.0, degrees_of_freedom=pytest.approx(DF), distance=0.0)
    assert detectable(neutral, 0.0, 3) == pytest.approx(4 * (quantile + T90))
    assert detectable(moved(0.5, 0.5, error=4.0, of_sum=1.0), 30.0, 3) == pytest.approx(30 + 4 * T90)
    assert units_needed(neutral, 2.0) == {"template": math.ceil(UNITS * ((T95 + T90) / 2) ** 2)}
    assert units_needed(far, 2.0) == {"template": math.ceil(UNITS * ((T95 + T80) / 2) ** 2)}


# effective units


def test_units_of_equal_size_are_as_many_as_they_are_and_unequal_ones_fewer() -> None:
    assert effective(found(1.0), EQUAL) == found(1.0, df=pytest.approx(DF))
    # 4 + 1 + 1 items: 6^2 / 18 = 2 effective units
    assert effective(found(1.0, df=2.0), factors_with(4, 1, 1)).degrees_of_freedom == pytest.approx(1.0)
    lonely = effective(found(1.0, df=1.0), factors_with(10_000, 1)).degrees_of_freedom
    assert lonely == 0.5
    assert effective(NONE, EQUAL) is NONE
    assert effective(agreed(1.0), EQUAL) == agreed(1.0)


@given(st.lists(st.integers(1, 50), min_size=2, max_size=30))
def test_effective_units_are_never_more_than_units(sizes: list[int]) -> None:
    df = effective(found(1.0), factors_with(*sizes)).degrees_of_freedom
    assert df is not None and 0.5 <= df <= len(sizes) - 1 + 1e-9


# shares


def test_a_share_that_is_worse_scatters_more_so_that_its_bound_lies_farther() -> None:
    factors, items = factors_with(*[4] * 9, 2, 2), 40
    df = 40**2 / (9 * 16 + 2 * 4) - 1
    t95, t80 = (float(stats.t.ppf(p, df)) for p in (0.95, 0.80))
    evidence = worsened(found(0.1, 0.05), NONE, NONE, NONE, UP, factors, share=True)
    assert evidence.bound is not None and evidence.items == items
    # the estimate lies t errors below its bound, with a variance that grew by d / N
    ahead = evidence.bound - 0.1
    assert ahead == pytest.approx(t95 * math.sqrt(0.05**2 + ahead / items))
    assert ahead > t95 * 0.05
    reach, wide = detectable(evidence, 0.0, 1), detectable(evidence, 0.5, 1)
    assert reach is not None and wide is not None
    assert reach == pytest.approx((t95 + t80) * math.sqrt(0.05**2 + reach / items))
    assert wide - 0.5 == pytest.approx(t80 * math.sqrt(0.05**2 + wide / items))


def test_a_share_away_from_neutral_has_the_bounds_of_a_share_on_either_side() -> None:
    factors = factors_with(*[4] * UNITS)
    a, b = found(0.2, 0.03), found(0.25, 0.03)
    away = worsened(found(0.05, 0.02), found(0.45, 0.06), a, b, AWAY, factors, share=True)
    alone = worsened(found(0.05, 0.02), NONE, NONE, NONE, UP, factors, share=True)
    assert away.bound == pytest.approx(alone.bound)
    assert detectable(away, 0.0, 20) == pytest.approx(detectable(alone, 0.0, 20))
    passed = worsened(found(-0.65, 0.06), found(-0.25, 0.02), a, found(-0.45, 0.03), AWAY, factors, share=True)
    assert passed.bound == pytest.approx(upper(found(0.25, 0.02), items=4 * UNITS))


@given(st.floats(0.1, 10), st.floats(1e-4, 1), st.integers(1, 10_000))
def test_what_lies_beyond_a_share_is_farther_the_fewer_items_there_are(
    quantile: float, error: float, items: int
) -> None:
    assert beyond(quantile, error, None) == quantile * error
    assert beyond(quantile, error, items) >= beyond(quantile, error, items + 1) >= quantile * error * (1 - 1e-12)


# laws

NUMBERS = st.floats(-50, 50).filter(lambda x: x == 0 or abs(x) > 1e-6)
ERRORS = st.floats(0.01, 10)
MOVED = st.builds(moved, NUMBERS, NUMBERS, ERRORS, ERRORS, ERRORS)
EVIDENCE = st.one_of(MOVED, st.builds(up, NUMBERS, ERRORS))
LIMIT = st.one_of(st.none(), st.floats(0.001, 50))
ORDER = {"fail": 0, "inconclusive": 1, "pass": 2}


@given(EVIDENCE)
def test_a_bound_is_never_below_the_worsening_so_that_no_limit_both_fails_and_passes(evidence: Evidence) -> None:
    assert evidence.bound is not None and evidence.bound >= evidence.worsening - 1e-9


@given(st.lists(EVIDENCE, min_size=1, max_size=5), st.floats(0.001, 50), st.floats(0, 50))
def test_a_wider_margin_never_makes_a_verdict_worse(evidence: list[Evidence], margin: float, more: float) -> None:
    narrow, wide = (verdicts(evidence, [m] * len(evidence)) for m in (margin, margin + more))
    assert all(ORDER[n] <= ORDER[w] for n, w in zip(narrow, wide, strict=True))


@given(NUMBERS, NUMBERS, ERRORS, ERRORS, ERRORS, LIMIT)
def test_away_from_neutral_knows_no_upper_or_lower_side(
    b_a: float, b_b: float, u: float, v: float, a: float, limit: float | None
) -> None:
    assert decide([moved(b_a, b_b, u, v, a)], [limit]) == decide([moved(-b_a, -b_b, u, v, a)], [limit])


@given(NUMBERS, ERRORS, LIMIT)
def test_down_is_the_mirror_image_of_up(value: float, error: float, limit: float | None) -> None:
    above = worsened(found(value, error), NONE, NONE, NONE, UP, EQUAL, share=False)
    below = worsened(found(-value, error), NONE, NONE, NONE, DOWN, EQUAL, share=False)
    assert above == below
    assert decide([above], [limit]) == decide([below], [limit])


@given(st.lists(EVIDENCE, min_size=1, max_size=6), st.floats(0.001, 50))
def test_whatever_fails_among_several_limits_fails_alone(evidence: list[Evidence], margin: float) -> None:
    for one, verdict in zip(evidence, verdicts(evidence, [margin] * len(evidence)), strict=True):
        assert verdict != "fail" or verdicts([one], [margin]) == ["fail"]
        assert verdict != "pass" or verdicts([one], [margin]) == ["pass"]


@given(EVIDENCE, st.floats(0.001, 50))
def test_what_is_inconclusive_says_how_many_more_units_it_needs(evidence: Evidence, margin: float) -> None:
    (decision,) = decide([evidence], [margin])
    assert bool(decision.needed) == (decision.verdict == "inconclusive")
    assert all(count > UNITS for count in decision.needed.values())
