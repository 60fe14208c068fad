"""Away from neutral: p-values by hand, numbers that pass the neutral value, and how often the test errs."""

import csv
import math
from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from simulations import away as simulation
from simulations.away import SETTINGS, Setting, simulate

from fairprint.audit.away import away_p, most_worse, not_worse, side, towards_p, upper
from fairprint.audit.statistics import Interval

NUMBERS = st.floats(-50, 50).filter(lambda x: x == 0 or abs(x) > 1e-9)
ERRORS = st.floats(0.01, 10)
DF = st.floats(1, 200)


def found(value: float | None, error: float | None = 1.0, df: float | None = 2.0) -> Interval:
    return Interval(value=value, standard_error=error, degrees_of_freedom=df)


def above(t: float) -> float:
    """One-sided p-value of Student's t with 2 degrees of freedom, whose distribution has a closed form."""
    return 0.5 - t / (2 * math.sqrt(2 + t * t))


INTERVALS = st.builds(found, NUMBERS, ERRORS, DF)


# p-values


def test_two_degrees_of_freedom_have_the_closed_form_that_the_tests_here_go_by() -> None:
    assert above(3.0) == pytest.approx(stats.t.sf(3.0, 2))


@pytest.mark.parametrize(
    ("b_a", "b_b", "expected"),
    [
        (1.0, 9.0, above(8)),  # u = 8, v = 10: u decides
        (9.0, 1.0, above(-8)),  # it came nearer
        (2.0, -7.0, above(5)),  # u = -9, v = -5: passed neutral and went farther
        (2.0, -2.0, above(0)),  # as far on the other side: v = 0
        (-1.0, -9.0, above(8)),
        (0.0, 0.0, above(0)),
    ],
)
def test_the_p_value_is_that_of_the_weaker_of_difference_and_sum_on_the_better_side(
    b_a: float, b_b: float, expected: float
) -> None:
    u, v = found(b_b - b_a), found(b_b + b_a)
    assert away_p(u, v) == pytest.approx(expected)


def test_the_side_with_the_smaller_p_value_counts_where_errors_and_degrees_of_freedom_differ() -> None:
    u, v = found(1.0, 0.5, 2.0), found(-6.0, 2.0, 2.0)  # 2 and -3 errors from 0
    assert away_p(u, v) == pytest.approx(min(max(above(2), above(-3)), max(above(-2), above(3))))
    assert towards_p(u, v) == pytest.approx(min(max(above(-2), above(-3)), max(above(2), above(3))))
    assert away_p(found(3.0, 1.0, 1.0), found(3.0, 1.0, 2.0)) == pytest.approx(0.5 - math.atan(3) / math.pi)


@given(INTERVALS, INTERVALS)
def test_towards_is_away_with_the_sum_turned_about_and_neither_hangs_on_which_side_is_called_above(
    u: Interval, v: Interval
) -> None:
    def turned(one: Interval) -> Interval:
        assert one.value is not None
        return replace(one, value=-one.value)

    assert towards_p(u, v) == away_p(u, turned(v)) == away_p(turned(u), v)
    assert away_p(u, v) == away_p(turned(u), turned(v)) == away_p(v, u)


@given(INTERVALS, INTERVALS)
def test_a_number_is_never_found_to_have_moved_both_away_and_towards(u: Interval, v: Interval) -> None:
    away, towards = away_p(u, v), towards_p(u, v)
    assert away is not None and towards is not None
    assert min(away, towards) >= 0 and max(away, towards) >= 0.5


@pytest.mark.parametrize("lacking", [found(1.0, None, None), found(None, None, None), found(1.0, 0.0)])
def test_without_a_standard_error_of_either_there_is_no_p_value(lacking: Interval) -> None:
    for u, v in ((lacking, found(1.0)), (found(1.0), lacking)):
        assert away_p(u, v) is None
        assert towards_p(u, v) is None


# not worse

T = 0.9 * math.sqrt(2 / (1 - 0.9**2))
"""The quantile of 95 % with 2 degrees of freedom: ``above`` gives .05 there."""


def moved(b_a: float, b_b: float, margin: float, error: float = 0.1) -> bool | None:
    return not_worse(found(b_b - b_a, error), found(b_b + b_a, error), found(b_a, error), margin)


def test_the_quantile_by_hand_is_that_of_95_percent() -> None:
    assert above(T) == pytest.approx(0.05)


@pytest.mark.parametrize("side", [1, -1])
def test_a_number_whose_side_is_known_must_stay_within_the_margin_there_and_beyond_neutral(side: int) -> None:
    reach = T * 0.1
    assert moved(side * 5.0, side * 5.0, reach + 1e-9)
    assert moved(side * 5.0, side * 5.0, reach - 1e-9) is False
    assert moved(side * 5.0, side * 6.0, 1 + reach + 1e-9)
    assert moved(side * 5.0, side * 6.0, 1 + reach - 1e-9) is False
    assert moved(side * 5.0, side * 1.0, 0.01)  # nearer
    assert moved(side * 5.0, side * -4.0, 0.01)  # nearer, on the other side
    assert moved(side * 5.0, side * -6.0, 1 + reach + 1e-9)
    assert moved(side * 5.0, side * -6.0, 1 + reach - 1e-9) is False


def quantile(probability: float) -> float:
    """Quantile of Student's t with 2 degrees of freedom, whose distribution has a closed form."""
    x = 2 * probability - 1
    return x * math.sqrt(2 / (1 - x * x))


def test_the_side_of_a_baseline_is_known_beyond_a_tenth_of_a_percent() -> None:
    assert above(quantile(0.999)) == pytest.approx(0.001)
    for sign in (1, -1):
        assert side(found(sign * (quantile(0.999) + 0.01))) == sign
        assert side(found(sign * (quantile(0.999) - 0.01))) == 0
    assert side(found(5.0, None, None)) == side(found(0.0)) == 0


def test_where_the_side_of_the_baseline_is_not_known_the_number_must_have_moved_little_either_way() -> None:
    u, v = found(-1.0, 0.1), found(-0.4, 0.1)  # b_A is .3, b_B is -.7
    known, unknown = found(0.3, 0.3 / (quantile(0.999) + 0.01)), found(0.3, 0.3 / (quantile(0.999) - 0.01))
    reach = T * 0.1
    # above neutral: u and -v, of which -v = .4 decides; else |u| = 1
    assert most_worse(u, v, known) == pytest.approx(0.4 + reach)
    assert most_worse(u, v, unknown) == pytest.approx(1.0 + reach)
    assert not_worse(u, v, known, 0.4 + reach + 1e-9)
    assert not_worse(u, v, unknown, 0.4 + reach + 1e-9) is False
    # the mirror image, where it is v
    assert most_worse(found(1.0, 0.1), found(0.4, 0.1), replace(known, value=-0.3)) == pytest.approx(0.4 + reach)


def test_what_hardly_moved_passes_where_runs_go_together_even_if_their_sum_is_uncertain() -> None:
    u, v, baseline = found(0.01, 0.1), found(0.05, 4.0), found(0.02, 2.0)
    assert most_worse(u, v, baseline) == pytest.approx(0.01 + T * 0.1)
    # were the side known, the sum would decide, but a number cannot lie farther off than it moved
    assert most_worse(u, v, found(5.0, 0.1)) == pytest.approx(0.01 + T * 0.1)


@given(INTERVALS, INTERVALS, INTERVALS)
def test_the_bound_is_never_above_that_of_how_far_the_number_moved_and_is_the_same_mirrored(
    u: Interval, v: Interval, baseline: Interval
) -> None:
    def turned(one: Interval) -> Interval:
        assert one.value is not None
        return replace(one, value=-one.value)

    bound, ends = most_worse(u, v, baseline), (upper(u), upper(turned(u)))
    assert bound is not None and None not in ends
    assert bound <= max(end for end in ends if end is not None)
    assert bound == most_worse(turned(u), turned(v), turned(baseline))


def test_a_baseline_without_a_standard_error_has_no_known_side() -> None:
    u, v = found(-1.0, 0.1), found(-0.4, 0.1)
    assert not_worse(u, v, found(0.3, None, None), 0.9) is False
    assert not_worse(u, v, found(0.3, None, None), 1.5)


@pytest.mark.parametrize("lacking", [found(1.0, None, None), found(None, None, None)])
def test_without_a_standard_error_of_either_nothing_is_shown_and_nothing_refuted(lacking: Interval) -> None:
    assert not_worse(lacking, found(1.0), found(1.0), 10.0) is None
    assert not_worse(found(1.0), lacking, found(1.0), 10.0) is None


@given(INTERVALS, INTERVALS, INTERVALS, st.floats(0.01, 10), st.floats(0, 10))
def test_a_wider_margin_or_a_known_side_refuses_nothing_that_passed(
    u: Interval, v: Interval, baseline: Interval, margin: float, more: float
) -> None:
    if not_worse(u, v, baseline, margin):
        assert not_worse(u, v, baseline, margin + more)
    if not_worse(u, v, found(0.0), margin):
        assert not_worse(u, v, baseline, margin)


@pytest.mark.parametrize("margin", [1.0, 4.0])
@pytest.mark.parametrize("moved", [1, -1])
@pytest.mark.parametrize("baseline", [0.0, 1.0, -5.0])
def test_a_number_that_lies_farther_by_the_margin_passes_in_5_percent_at_most(
    baseline: float, moved: int, margin: float
) -> None:
    repeats, units = 400, 25
    rng = np.random.default_rng(4)
    b_a, b_b = baseline, moved * math.copysign(abs(baseline) + margin, baseline)
    noise = rng.normal(size=(2, repeats, units))
    a, b = b_a + 5 * noise[0], b_b + 4 * noise[0] + 3 * noise[1]  # each with a standard error of 1

    def of(data: np.ndarray) -> Interval:
        return found(float(data.mean()), float(data.std(ddof=1) / math.sqrt(units)), units - 1)

    passed = sum(bool(not_worse(of(y - x), of(y + x), of(x), margin)) for x, y in zip(a, b, strict=True))
    assert passed / repeats <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / repeats)


def test_a_side_that_is_taken_for_known_too_early_is_a_second_way_to_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    margin, repeats, units = 4.0, 4_000, 31
    rng = np.random.default_rng(5)
    # at neutral and worse by nine errors of the paired difference
    first, second = rng.normal(size=(2, repeats, units)) * math.sqrt(units)
    a, b = first, margin + 0.9 * first + math.sqrt(1 - 0.9**2) * second

    def of(data: np.ndarray) -> list[Interval]:
        errors = data.std(axis=1, ddof=1) / math.sqrt(units)
        return [found(float(x), float(s), units - 1) for x, s in zip(data.mean(axis=1), errors, strict=True)]

    three = list(zip(of(b - a), of(b + a), of(a), strict=True))

    def passed() -> float:
        return sum(bool(not_worse(*each, margin)) for each in three) / repeats

    error = math.sqrt(0.05 * 0.95 / repeats)
    assert passed() <= 0.052 + 3 * error
    monkeypatch.setattr("fairprint.audit.away.SIDE", 0.05)
    assert passed() == pytest.approx(0.09, abs=4 * error)


# how often it errs

LINES = list(csv.DictReader(simulation.OUT.read_text(encoding="utf-8").splitlines()))


def test_the_committed_results_hold_every_setting_once_and_reach_what_is_wanted() -> None:
    names = ("asked", "baseline", "moved", "correlation", "ratio", "sizes", "units")
    assert [tuple(line[name] for name in names) for line in LINES] == [
        tuple(str(part) for part in astuple(setting)) for setting in SETTINGS
    ]
    wanted = [line for line in LINES if line["wanted"]]
    sizes = [float(line["away"]) for line in wanted if line["asked"] == "size"]
    powers = [float(line["away"]) for line in wanted if line["asked"] == "power"]
    assert len(sizes) == 9 * 9 and max(sizes) <= 0.055
    assert len(powers) == 8 * 9 and min(powers) >= 0.8
    assert {line["repeats"] for line in LINES} == {"100000"}


def test_the_committed_results_show_what_simpler_rules_get_wrong() -> None:
    sizes = [line for line in LINES if line["asked"] == "size" and line["wanted"]]
    assert round(max(float(line["folded"]) for line in sizes), 2) == 0.16
    passed = [line for line in LINES if line["asked"] == "power" and line["moved"] == "passed" and line["wanted"]]
    settled = [float(line["sign_fixed"]) for line in passed if abs(float(line["baseline"])) == 5]
    assert max(settled) < 0.01


def test_the_committed_results_are_those_that_the_rule_is_told_to_have() -> None:
    def largest(**setting: str) -> float:
        sizes = [line for line in LINES if line["asked"] == "size" and setting.items() <= line.items()]
        return round(max(float(line["away"]) for line in sizes), 3)

    assert largest(sizes="equal", ratio="1.0") == 0.051
    assert largest(sizes="unequal", units="12") == 0.057
    assert max(largest(sizes="unequal", units=units) for units in ("25", "100")) <= 0.055
    assert largest(ratio="2.0") == pytest.approx(0.059, abs=1e-3)
    assert largest(ratio="3.0") == pytest.approx(0.074, abs=1e-3)


@pytest.mark.parametrize("number", [0, 100])
def test_a_setting_of_the_committed_results_is_found_again_to_the_digit(number: int) -> None:
    setting = SETTINGS[number]
    assert ["" if part is None else str(part) for part in astuple(simulate(setting))] == list(LINES[number].values())


@pytest.mark.parametrize("units", [12, 25])
@pytest.mark.parametrize("moved", ["stayed", "passed"])
@pytest.mark.parametrize("baseline", [1.0, -5.0])
def test_in_a_small_simulation_size_and_power_are_kept(baseline: float, moved: str, units: int) -> None:
    setting = Setting(
        asked="size", baseline=baseline, moved=moved, correlation=0.5, ratio=1.0, sizes="equal", units=units
    )
    size, power = (simulate(each, 5_000, 20) for each in (setting, replace(setting, asked="power")))
    assert size.away <= 0.055 + 3 * math.sqrt(0.055 * 0.945 / 5_000)
    assert power.away >= 0.8 - 3 * math.sqrt(0.8 * 0.2 / 5_000)
