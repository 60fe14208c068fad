"""The gate's decision rule: cases worked out by hand, and rules that always hold."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fairprint.audit.judging import Evidence, decide, detectable, effective, units_needed, worsened
from fairprint.audit.statistics import Factors, Interval

UNITS, DF = 20, 19.0
T95, T80 = float(stats.t.ppf(0.95, DF)), float(stats.t.ppf(0.8, DF))
EQUAL = Factors.of([str(n) for n in range(UNITS)], [""] * UNITS, ("template",))


def found(worsening: float, error: float = 1.0, df: float = DF, **changes: object) -> Evidence:
    """Return what is known of a worsening with a standard error."""
    known = Evidence(
        worsening=worsening,
        bound=worsening + float(stats.t.ppf(0.95, df)) * error,
        p_value=float(stats.t.sf(worsening / error, df)),
        error=error,
        degrees_of_freedom=df,
        units={"template": UNITS},
        limiting="template",
    )
    return replace(known, **changes)  # type: ignore[arg-type]


def of(value: float, error: float = 1.0) -> Interval:
    return Interval(
        value=value, standard_error=error, degrees_of_freedom=DF, units={"template": UNITS},
        standard_errors={"template": error},
    )  # fmt: skip


def verdict(evidence: Evidence, limit: float | None) -> str:
    return decide([evidence], [limit])[0].verdict


# one limit


def test_a_worsening_beyond_the_margin_that_is_no_chance_fails() -> None:
    assert verdict(found(T95 + 0.01), 1.0) == "fail"
    assert verdict(found(T95 - 0.01), 1.0) == "inconclusive"  # it could be chance
    assert verdict(found(5.0), 5.01) == "inconclusive"  # no chance, and not larger than the margin
    assert verdict(found(5.0), 4.99) == "fail"


def test_a_worsening_whose_upper_bound_keeps_the_margin_passes() -> None:
    assert verdict(found(0.0), T95 + 0.01) == "pass"
    assert verdict(found(0.0), T95 - 0.01) == "inconclusive"
    assert verdict(found(-3.0), 0.01) == "pass"
    assert verdict(found(4.0), 4.0 + T95 + 0.01) == "pass"  # no chance, and small enough


def test_without_a_margin_it_is_what_the_gate_detects() -> None:
    (decision,) = decide([found(0.0)], [None])
    assert decision.limit == pytest.approx(T95 + T80) and decision.verdict == "pass"
    assert decision.detectable == pytest.approx(T95 + 2 * T80)
    assert detectable(found(0.0), 10.0, 1) == pytest.approx(10.0 + T80)
    twenty = float(stats.t.ppf(1 - 0.05 / 20, DF))
    assert detectable(found(0.0, 0.5), 0.0, 20) == pytest.approx(0.5 * (twenty + T80))


def test_what_is_inconclusive_says_how_many_units_would_decide() -> None:
    (decision,) = decide([found(0.0)], [0.5])
    assert decision.needed == {"template": math.ceil(UNITS * ((T95 + T80) / 0.5) ** 2)}
    assert decide([found(0.0)], [5.0])[0].needed == {}
    assert units_needed(found(0.0), 0.0) == {} and units_needed(found(0.0, limiting=None), 1.0) == {}
    # at least one more than there are
    assert units_needed(found(0.0), 100.0) == {"template": UNITS + 1}


def test_identical_answers_pass_whatever_the_margin() -> None:
    same = Evidence(worsening=0.0, bound=0.0, p_value=1.0, units={}, identical=True)
    assert [verdict(same, limit) for limit in (None, 1e-9, 1.0)] == ["pass"] * 3


def test_where_all_units_agree_their_number_decides() -> None:
    def agreeing(value: float, units: int) -> Interval:
        extremes = tuple(("template", str(n), value) for n in range(2))
        return Interval(value=value, units={"template": units}, extremes=extremes, reason="all units agree exactly")

    factors = Factors.of(["a", "b"], ["", ""], ("template",))
    for units, expected in ((4, "inconclusive"), (5, "fail")):  # 2^-5 is below .05
        u = agreeing(1.0, units)
        assert verdict(worsened(u, u, u, u, "up", factors), 0.5) == expected
        assert verdict(worsened(u, u, u, u, "up", factors), 1.5) == "pass"
        assert verdict(worsened(u, u, u, u, "down", factors), 0.5) == "pass"


# several limits


def test_of_several_limits_only_what_survives_holm_fails() -> None:
    p = 0.04
    once = found(float(stats.t.isf(p, DF)))
    assert verdict(once, 0.1) == "fail"
    both = decide([once, found(0.0)], [0.1, 10.0])
    assert [d.verdict for d in both] == ["inconclusive", "pass"] and both[0].holm == pytest.approx(2 * p)
    strong = decide([found(float(stats.t.isf(0.02, DF))), once], [0.1, 0.1])
    assert [d.verdict for d in strong] == ["fail", "fail"]  # .02 x 2, then .04 x 1


def test_what_has_no_test_does_not_count() -> None:
    unknown = Evidence(worsening=0.0, bound=None, p_value=None, units={}, reason="a single unit")
    p = 0.04
    decisions = decide([found(float(stats.t.isf(p, DF))), unknown], [0.1, 1.0])
    assert [d.verdict for d in decisions] == ["fail", "inconclusive"]


# away from neutral


@pytest.mark.parametrize("side", [1, -1])
def test_a_number_that_moves_away_fails_on_either_side_and_when_it_passes_neutral(side: int) -> None:
    def moved(b_a: float, b_b: float, margin: float = 1.0) -> str:
        u, v = of(side * (b_b - b_a)), of(side * (b_b + b_a))
        return verdict(worsened(u, v, of(side * b_a), of(side * b_b), "away_from_neutral", EQUAL), margin)

    assert moved(5.0, 15.0) == "fail"
    assert moved(5.0, -15.0) == "fail"
    assert moved(5.0, 0.0) == moved(5.0, 1.0) == moved(10.0, -5.0) == "pass"
    assert moved(5.0, 5.0) == "inconclusive"
    assert moved(5.0, 5.0, T95 + 0.01) == "pass"
    assert moved(0.0, 0.0, T95 - 0.01) == "inconclusive"
    # neither run differs from neutral: whatever u and v say, nothing moved away
    u, v = of(9.0, 0.1), of(9.0, 0.1)
    near = worsened(u, v, of(0.0, 5.0), of(side * 9.0, 5.0), "away_from_neutral", EQUAL)
    assert near.p_value == pytest.approx(2 * stats.t.sf(9 / 5, DF)) and verdict(near, 1.0) == "inconclusive"


NUMBERS = st.floats(-20, 20).filter(lambda x: x == 0 or abs(x) > 1e-6)
ERRORS = st.floats(0.1, 5)


@given(NUMBERS, NUMBERS, ERRORS, ERRORS)
def test_the_sign_of_a_number_does_not_matter_away_from_neutral(b_a: float, b_b: float, s: float, r: float) -> None:
    def evidence(sign: int) -> Evidence:
        u, v = of(sign * (b_b - b_a), s), of(sign * (b_b + b_a), r)
        return worsened(u, v, of(sign * b_a, s), of(sign * b_b, s), "away_from_neutral", EQUAL)

    one, other = evidence(1), evidence(-1)
    assert (one.worsening, one.bound, one.p_value) == (other.worsening, other.bound, other.p_value)


@given(NUMBERS, ERRORS)
def test_up_is_down_mirrored(value: float, error: float) -> None:
    up, down = (
        worsened(of(sign * value, error), Interval(value=None), of(0.0), of(0.0), direction, EQUAL)
        for sign, direction in ((1, "up"), (-1, "down"))
    )
    assert (up.worsening, up.bound, up.p_value) == (down.worsening, down.bound, down.p_value)


@given(st.lists(st.tuples(NUMBERS, ERRORS), min_size=1, max_size=6), st.floats(0.01, 20), st.floats(0, 20))
def test_a_wider_margin_never_fails_what_passed_nor_passes_less(
    known: list[tuple[float, float]], margin: float, more: float
) -> None:
    evidence = [found(*each) for each in known]
    order = {"fail": 0, "inconclusive": 1, "pass": 2}
    narrow, wide = (decide(evidence, [limit] * len(evidence)) for limit in (margin, margin + more))
    assert all(order[a.verdict] <= order[b.verdict] for a, b in zip(narrow, wide, strict=True))
    for evidence_, decision in zip(evidence, narrow, strict=True):
        if decision.verdict == "fail":
            assert evidence_.worsening > margin and decision.holm is not None and decision.holm < 0.05


def test_units_of_unequal_size_count_as_fewer() -> None:
    sizes = [10, 10, 1, 1, 1, 1]
    factors = Factors.of([str(n) for n, size in enumerate(sizes) for _ in range(size)], [""] * 24, ("template",))
    given_ = Interval(value=1.0, standard_error=0.5, degrees_of_freedom=5.0, standard_errors={"template": 0.5})
    assert effective(given_, factors).degrees_of_freedom == pytest.approx(24**2 / 204 - 1)
    assert effective(of(1.0), EQUAL).degrees_of_freedom == pytest.approx(DF)
