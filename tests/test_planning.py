"""How many templates and words would decide: against hand-made components, plain loops, and simulated audits."""

import json
import math
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_record import estimate, sample_record
from scipy import stats

from fairprint.audit.planning import MOST_UNITS, error_in_unit, fewest, in_unit, outlook, spread_of
from fairprint.audit.records import Estimate, RunRecord
from fairprint.audit.statistics import Factors, Interval, interval, jackknife
from fairprint.audit.statistics import Sums as SumsOf
from fairprint.audit.store import Store
from fairprint.probes.errors import UsageError
from fairprint.reports.cli import main

T, L = 12, 60


def expected(
    templates: int, lexemes: int, of_template: float, of_lexeme: float, of_cell: float, **changes: Any
) -> Estimate:
    """Return an estimate in nats whose jackknife variances are what they are in expectation for some components."""
    cells = templates * lexemes
    v_t = of_template / templates + of_cell / cells
    v_l = of_lexeme / lexemes + of_cell / cells
    # the variance of all cells taken as one sample
    between = of_template * (templates - 1) * lexemes + of_lexeme * (lexemes - 1) * templates
    v_c = (between + of_cell * (cells - 1)) / (cells - 1) / cells
    both = max(v_t + v_l - v_c, v_t, v_l)
    errors = {"item": v_c, "template": v_t, "lexeme": v_l, "two-way": both}
    fields: dict[str, Any] = {
        "units": {"template": templates, "lexeme": lexemes},
        "items": cells,
        "standard_errors": {key: math.sqrt(v) for key, v in errors.items()},
        "standard_error": math.sqrt(both),
    }
    return estimate("group_gap", "gendered-occupations / fill", "all", 0.4, 0.2, **fields | changes)


def of_one(units: int, error: float, **changes: Any) -> Estimate:
    """Return an estimate in nats of a set whose templates alone are random."""
    fields: dict[str, Any] = {"units": {"template": units}, "items": 20 * units, "standard_error": error}
    fields["standard_errors"] = {"item": error / 3, "template": error}
    return estimate("group_gap", "gendered-occupations / fill", "all", 0.4, 0.2, **fields | changes)


def reach(templates: float, lexemes: float, parts: tuple[float, float, float], power: float = 0.8) -> float:
    """Return what a grid finds, worked out by the formulas of the module in plain numbers."""
    rest = parts[2] / (templates * lexemes)
    v_t, v_l = parts[0] / templates + rest, parts[1] / lexemes + rest
    v = parts[0] / templates + parts[1] / lexemes + rest
    df = v**2 / (v_t**2 / (templates - 1) + v_l**2 / (lexemes - 1))
    return float((stats.t.ppf(0.975, df) + stats.t.ppf(power, df)) * math.sqrt(v))


# --- where the variance comes from -----------------------------------------------------------------------------------


def test_components_made_by_hand_come_out_again() -> None:
    # V_T = .12/12 + 1.8/720 = .0125, V_L = .6/60 + .0025 = .0125
    e = expected(T, L, 0.12, 0.6, 1.8)
    assert e.standard_errors["template"] ** 2 == pytest.approx(0.0125)
    found = spread_of(e)
    assert found.components == pytest.approx({"template": 0.12, "lexeme": 0.6, "cell": 1.8})
    assert found.cut == () and found.crossed
    # .01 + .01 + .0025
    assert found.shares() == pytest.approx(
        {"template": 0.01 / 0.0225, "lexeme": 0.01 / 0.0225, "cell": 0.0025 / 0.0225}
    )


@given(parts=st.tuples(*[st.floats(0.01, 5.0)] * 3), templates=st.integers(2, 40), lexemes=st.integers(2, 40))
@settings(max_examples=60, deadline=None)
def test_any_components_come_out_again(parts: tuple[float, float, float], templates: int, lexemes: int) -> None:
    found = spread_of(expected(templates, lexemes, *parts))
    assert [found.components[key] for key in ("template", "lexeme", "cell")] == pytest.approx(list(parts), rel=1e-6)


def test_components_of_a_grid_are_those_of_an_analysis_of_variance() -> None:
    rng = np.random.default_rng(5)
    y = rng.normal(size=(7, 1)) + 2 * rng.normal(size=(1, 9)) + rng.normal(size=(7, 9))
    found = spread_of(audited(y))
    middle = y.mean()
    ms_t = 9 * sum((row.mean() - middle) ** 2 for row in y) / 6
    ms_l = 7 * sum((column.mean() - middle) ** 2 for column in y.T) / 8
    rest = [(y[t, x] - y[t].mean() - y[:, x].mean() + middle) ** 2 for t in range(7) for x in range(9)]
    ms_r = sum(rest) / 48
    assert found.components == pytest.approx({"template": (ms_t - ms_r) / 9, "lexeme": (ms_l - ms_r) / 7, "cell": ms_r})


def audited(y: np.ndarray) -> Estimate:
    """Return the estimate of the mean of a grid [template, lexeme], by the jackknife of an audit."""
    found = measured(y)
    return estimate(
        "group_gap",
        "gendered-occupations / fill",
        "all",
        found.value,
        0.1,
        items=y.size,
        units=dict(found.units),
        standard_error=found.standard_error,
        standard_errors=dict(found.standard_errors),
    )


def measured(y: np.ndarray) -> Interval:
    templates, lexemes = (axis.ravel().tolist() for axis in np.indices(y.shape))
    factors = Factors.of([f"t{t}" for t in templates], [f"w{x}" for x in lexemes], ("template", "lexeme"))
    columns = np.stack([y.ravel(), np.ones(y.size)], axis=1)
    form = SumsOf(columns=columns, combine=lambda sums: sums[:, 0, 0] / sums[:, 0, 1])
    return interval(jackknife(form, factors), factors, scale="identity", neutral=0.0, items=y.size)


def test_what_comes_out_below_zero_counts_as_nothing_and_is_told() -> None:
    # r = (.004 x 719 - .0005 x 11 - .04 x 59) / (11 x 59) = .000787 of single cells is more than V_T = .0005
    errors = {"item": math.sqrt(0.004), "template": math.sqrt(0.0005), "lexeme": 0.2, "two-way": 0.2}
    e = expected(T, L, 1, 1, 1, standard_errors=errors, standard_error=0.2)
    found = spread_of(e)
    rest = (0.004 * 719 - 0.0005 * 11 - 0.04 * 59) / 649
    assert found.cut == ("template",)
    assert found.components == pytest.approx({"template": 0, "lexeme": (0.04 - rest) * 60, "cell": rest * 720})
    # the run keeps its variance, which is that of the words
    assert found.shares() == pytest.approx({"template": 0, "lexeme": 1 - rest / 0.04, "cell": rest / 0.04})
    assert found.limiting() == "lexeme"


def test_where_neither_factor_has_a_spread_of_its_own_none_of_them_limits() -> None:
    # single cells vary by .004, which is more than both V_T and V_L
    errors = {"item": math.sqrt(0.004), "template": 0.05, "lexeme": 0.06, "two-way": 0.06}
    found = spread_of(expected(T, L, 1, 1, 1, standard_errors=errors, standard_error=0.06))
    assert found.cut == ("template", "lexeme") and found.limiting() is None
    assert found.shares() == {"template": 0, "lexeme": 0, "cell": 1}
    # the run keeps the variance of .06 squared
    assert found.components["cell"] / (T * L) == pytest.approx(0.0036)


@given(st.lists(st.floats(0.01, 1.0), min_size=3, max_size=3))
@settings(max_examples=100, deadline=None)
def test_no_component_is_ever_below_zero_and_the_run_keeps_at_least_its_larger_variance(errors: list[float]) -> None:
    item, template, lexeme = errors
    both = math.sqrt(max(template**2 + lexeme**2 - item**2, template**2, lexeme**2))
    told = {"item": item, "template": template, "lexeme": lexeme, "two-way": both}
    found = spread_of(expected(T, L, 1, 1, 1, standard_errors=told))
    assert min(found.components.values()) >= 0
    whole = found.components["template"] / T + found.components["lexeme"] / L + found.components["cell"] / (T * L)
    assert max(template, lexeme) ** 2 * 0.999 <= whole <= (template**2 + lexeme**2) * 1.001
    assert math.fsum(found.shares().values()) == pytest.approx(1)


def test_of_several_items_a_cell_the_cells_are_found_from_the_two_way_error() -> None:
    e = expected(T, L, 0.12, 0.6, 1.8)
    # items vary less than cells do, so their own error says nothing of the cells
    several = e.model_copy(update={"items": 5 * T * L, "standard_errors": {**e.standard_errors, "item": 0.001}})
    assert spread_of(several).components == pytest.approx({"template": 0.12, "lexeme": 0.6, "cell": 1.8})


# --- how many would decide -------------------------------------------------------------------------------------------

PARTS = (0.12, 0.6, 1.8)


def test_the_fewest_units_are_those_of_a_plain_loop() -> None:
    found = outlook(expected(T, L, *PARTS), 0.34, 0.8)
    assert found.needed == {
        "template": next(t for t in range(2, 10_000) if reach(t, L, PARTS) <= 0.34),
        "lexeme": next(x for x in range(2, 10_000) if reach(T, x, PARTS) <= 0.34),
    }
    assert found.detectable == pytest.approx(reach(T, L, PARTS))
    assert found.decided is False and found.reason is None


@pytest.mark.parametrize("margin", [0.4, 0.3])
def test_the_cheapest_grid_is_that_of_all_grids_which_keep_what_there_is(margin: float) -> None:
    found = outlook(expected(T, L, *PARTS), margin)

    def templates_for(x: int) -> int:
        return next(t for t in range(T, 10**6) if reach(t, x, PARTS) <= margin)

    assert found.cheapest is not None and found.items == found.cheapest["template"] * found.cheapest["lexeme"]
    ceiling = found.items // T
    grids = [(templates_for(x) * x, x) for x in range(L, ceiling + 1) if reach(10**6, x, PARTS) <= margin]
    assert min(grids)[0] == found.items


@pytest.mark.parametrize("templates", [2, 3, T])
def test_where_the_templates_bring_nothing_more_words_alone_are_planned(templates: int) -> None:
    """Many words need fewer templates than there are, and those there are stay all the same."""
    errors = {"item": 0.0, "template": 0.0, "lexeme": 1.0, "two-way": 1.0}
    found = outlook(expected(templates, 3, 0.0, 3.0, 0.0, standard_errors=errors, standard_error=1.0), 0.1)
    assert found.cheapest is not None and found.cheapest["template"] == templates
    assert found.cheapest["lexeme"] == found.needed["lexeme"]


def test_where_the_words_alone_leave_too_much_no_number_of_templates_is_enough() -> None:
    found = outlook(expected(T, L, *PARTS), 0.2)
    # .6 / 60 = .01, with 59 degrees of freedom
    floor = (stats.t.ppf(0.975, 59) + stats.t.ppf(0.8, 59)) * 0.1
    assert found.needed["template"] is None
    assert found.least["template"] == pytest.approx(floor)
    assert "alone" in found.why["template"]
    assert reach(10**7, L, PARTS) > 0.2


def test_a_run_that_decides_needs_nothing_more() -> None:
    found = outlook(expected(T, L, *PARTS), 1.0)
    assert found.decided is True
    assert (found.cheapest, found.items) == ({"template": T, "lexeme": L}, T * L)


def test_one_factor_is_planned_in_that_factor() -> None:
    found = outlook(of_one(11, 0.3), 0.25)
    sigma = 0.3 * math.sqrt(11)
    wanted = next(
        g
        for g in range(2, 10_000)
        if (stats.t.ppf(0.975, g - 1) + stats.t.ppf(0.8, g - 1)) * sigma / math.sqrt(g) <= 0.25
    )
    assert found.needed == found.cheapest == {"template": wanted}
    assert found.items == 20 * wanted
    assert found.spread is not None and found.spread.shares() == {"template": 1.0}


def test_factors_that_do_not_cross_grow_together() -> None:
    # forty templates, each with a word of its own, of twenty words
    errors = {"item": 0.1, "template": 0.1, "lexeme": 0.15, "two-way": 0.15}
    e = expected(40, 20, 1, 1, 1, items=40, standard_errors=errors, standard_error=0.15)
    found = outlook(e, 0.2)
    assert found.spread is not None and not found.spread.crossed
    assert found.needed == {"template": None, "lexeme": None} and len(found.why) == 2
    assert found.cheapest is not None and found.spread.limiting() == "lexeme"
    assert found.cheapest["template"] == 2 * found.cheapest["lexeme"] == found.items
    times = found.cheapest["lexeme"] / 20
    v_t, v_l = 0.01 / times, 0.0225 / times
    df = v_l**2 / (v_t**2 / (40 * times - 1) + v_l**2 / (20 * times - 1))
    least = (stats.t.ppf(0.975, df) + stats.t.ppf(0.8, df)) * math.sqrt(v_l)
    assert least <= 0.2 < least * math.sqrt(times / (times - 0.05)) * 1.01


@pytest.mark.parametrize(("enough", "start"), [(2, 2), (3, 2), (17, 2), (1_000, 2), (5, 5), (MOST_UNITS, 2)])
def test_the_smallest_number_that_is_enough_is_found(enough: int, start: int) -> None:
    assert fewest(lambda n: n >= enough, start) == enough


def test_what_no_number_reaches_is_said_to_be_out_of_reach() -> None:
    assert fewest(lambda n: False) is None
    found = outlook(of_one(11, 0.3), 1e-6)
    assert found.needed == {"template": None} and found.cheapest is None
    assert f"{MOST_UNITS:,}" in found.why["template"]


@pytest.mark.parametrize("which", ["template", "lexeme"])
def test_a_planned_grid_finds_the_margin_as_often_as_was_asked(which: str) -> None:
    """Audits of grids of the planned size whose true mean is the margin, each tested as an audit tests."""
    parts, margin, power, repeats = (0.3, 0.8, 2.0), 0.65, 0.8, 1_500
    found = outlook(expected(12, 20, *parts), margin, power)
    count = found.needed[which]
    assert count is not None
    templates, lexemes = (count, 20) if which == "template" else (12, count)
    rng = np.random.default_rng(11)
    shown = 0
    for _ in range(repeats):
        y = (
            margin
            + rng.normal(0, math.sqrt(parts[0]), (templates, 1))
            + rng.normal(0, math.sqrt(parts[1]), (1, lexemes))
        )
        y = y + rng.normal(0, math.sqrt(parts[2]), (templates, lexemes))
        shown += two_way_p(y) < 0.05
    error = math.sqrt(power * (1 - power) / repeats)
    assert abs(shown / repeats - power) < 3 * error + 0.02, f"{shown / repeats:.3f} with {templates} x {lexemes}"


def two_way_p(y: np.ndarray) -> float:
    """Return the p-value of a mean of 0, from the means of rows and columns: as the jackknife of a plain mean is."""
    n, m = y.shape
    v_t, v_l, v_c = y.mean(axis=1).var(ddof=1) / n, y.mean(axis=0).var(ddof=1) / m, y.var(ddof=1) / y.size
    v = max(v_t + v_l - v_c, v_t, v_l)
    df = v**2 / (v_t**2 / (n - 1) + v_l**2 / (m - 1))
    return float(2 * stats.t.sf(abs(y.mean()) / math.sqrt(v), df))


def test_the_plain_test_of_the_simulation_is_that_of_an_audit() -> None:
    y = np.random.default_rng(3).normal(0.2, 1, (6, 9))
    assert measured(y).p_value == pytest.approx(two_way_p(y), rel=1e-9)


# --- margins and scales ----------------------------------------------------------------------------------------------


def share(value: float, error: float, **changes: Any) -> Estimate:
    """Return a share with a standard error on the logit scale, of ten templates."""
    centre = math.log(value / (1 - value))
    low, high = (1 / (1 + math.exp(-centre - sign * 2.262 * error)) for sign in (-1, 1))
    fields: dict[str, Any] = {"low": low, "high": high, "units": {"template": 10}, "standard_error": error}
    fields["standard_errors"] = {"template": error}
    return estimate("stereotype_score", "gendered-occupations / fill", "all", value, 0.1, **fields | changes)


def test_points_are_hundredths_of_a_share_and_other_margins_stand_in_their_unit() -> None:
    assert in_unit(share(0.6, 0.1), 2) == 0.02
    assert in_unit(of_one(11, 0.3), 2) == 2


def test_the_margin_of_a_share_is_taken_at_the_share() -> None:
    found = outlook(share(0.8, 0.1), 2)
    # to the nearer side: from .8 to .78 the logit moves less than from .8 to .82
    aim = math.log(0.8 / 0.2) - math.log(0.78 / 0.22)
    wanted = next(
        g
        for g in range(2, 10_000)
        if (stats.t.ppf(0.975, g - 1) + stats.t.ppf(0.8, g - 1)) * math.sqrt(0.1**2 * 10 / g) <= aim
    )
    assert found.needed == {"template": wanted}


def test_what_a_run_finds_is_the_margin_that_it_decides() -> None:
    found = outlook(share(0.8, 0.1))
    assert found.detectable is not None and found.margin is None and found.decided is None
    assert outlook(share(0.8, 0.1), 100 * found.detectable * 1.0001).decided is True
    assert outlook(share(0.8, 0.1), 100 * found.detectable * 0.9999).decided is False


def test_a_standard_error_is_told_in_the_unit_of_the_metric() -> None:
    told = error_in_unit(share(0.8, 0.01), 0.01)
    assert told == pytest.approx(0.8 * 0.2 * 0.01, rel=1e-3)
    assert error_in_unit(of_one(11, 0.3), 0.3) == pytest.approx(0.3)
    assert error_in_unit(share(0.8, 0.1, low=None, high=None), 0.1) is None


def test_a_margin_beyond_all_values_is_no_margin() -> None:
    found = outlook(share(0.5, 0.1), 60)
    assert found.decided is None and "beyond all values" in (found.reason or "")
    assert found.detectable is not None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"low": None, "high": None, "reason": "a single unit"}, "a single unit"),
        ({"standard_errors": {}}, "older version"),
        ({"standard_errors": {"item": 0.1, "template": 0.2, "lexeme": 0.2}}, "older version"),
        ({"scale": "unheard of"}, "unheard of"),
        ({"units": {}, "reason": None}, "no standard error"),
    ],
)
def test_without_an_interval_or_its_errors_the_reason_is_said(changes: dict[str, Any], said: str) -> None:
    found = outlook(expected(T, L, *PARTS, **changes), 0.3)
    assert found.spread is None and said in (found.reason or "")
    assert (found.detectable, found.decided, dict(found.needed), found.cheapest) == (None, None, {}, None)


@pytest.mark.parametrize(("margin", "power"), [(0.0, 0.8), (-1.0, 0.8), (math.inf, 0.8), (math.nan, 0.8)])
def test_a_margin_that_is_none_is_refused(margin: float, power: float) -> None:
    with pytest.raises(UsageError, match="margin must lie above 0") as caught:
        outlook(of_one(11, 0.3), margin, power)
    assert caught.value.hint


@pytest.mark.parametrize("power", [0.0, 0.05, 1.0, 1.5, -0.2, math.nan])
def test_a_power_that_is_none_is_refused(power: float) -> None:
    with pytest.raises(UsageError, match="power must lie between"):
        outlook(of_one(11, 0.3), 1.0, power)


# --- the command -----------------------------------------------------------------------------------------------------

Plan = Callable[..., tuple[int, str, str]]


def planned_record() -> RunRecord:
    """Return the sample run with standard errors by factor: the words make most of the variance."""
    base = sample_record()

    def known(e: Estimate) -> Estimate:
        if e.scope != "all" or e.probe_set != "gendered-occupations" or e.standard_error is None:
            return e
        # the sample's errors are those of the share itself
        error = e.standard_error * (4.8 if e.scale == "logit" else 1)
        errors = {"item": error * 0.35, "template": error * 0.5, "lexeme": error * 0.9, "two-way": error}
        return e.model_copy(update={"standard_error": error, "standard_errors": errors, "items": 720})

    return base.model_copy(update={"estimates": tuple(map(known, base.estimates))})


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Plan:
    """Run ``fairprint plan latest`` in a folder whose store holds one run."""
    record = planned_record()
    folder = Store(tmp_path / "fairprint-runs").begin(record.plan, datetime(2026, 1, 1, tzinfo=UTC))
    folder.write_record(record)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FAIRPRINT_STORE", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fairprint", "plan", *(arguments or ("latest",))])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        return int(ended.value.code or 0), shown.out, shown.err

    return run


def test_the_table_shows_errors_by_factor_what_limits_and_what_would_decide(plan: Plan) -> None:
    code, out, err = plan("latest", "--margin", "2", "--probes", "gendered-occupations")
    assert (code, err) == (0, "")
    head = next(e for e in planned_record().estimates if e.metric == "stereotype_score" and e.scope == "all")
    found = outlook(head, 2.0)
    assert found.spread is not None and found.cheapest is not None and found.spread.limiting() == "lexeme"
    for shown in ("by item", "by template", "by word", "two-way", "12 templates, 60 words", "limits"):
        assert shown in out
    for error in head.standard_errors.values():
        assert f" {100 * (error_in_unit(head, error) or 0):.1f} " in out
    row = next(line for line in out.splitlines() if "2 points" in line and "Stereotype score" in line)
    told = [cell.strip() for cell in row.split("  ") if cell.strip()][1:]
    needed = [f"{n:,}" if n else "never" for n in (found.needed["template"], found.needed["lexeme"])]
    both = f"{found.cheapest['template']:,} templates, {found.cheapest['lexeme']:,} words"
    assert told == ["2 points", *needed, both, f"{found.items:,}", "words"]
    assert "The words limit it (variance: templates" in out
    assert "write new templates or take new words, first of the kind that limits a set" in " ".join(out.split())


def test_without_a_margin_it_says_what_the_run_can_find(plan: Plan) -> None:
    code, out, _ = plan("latest")
    assert code == 0
    assert "What the run can find" in out and "What would decide" not in out
    assert "with a power of 80 %" in out
    # the other set of the sample has no standard errors by factor
    assert "he-was-very: Nothing can be planned: the run was stored by an older version" in " ".join(out.split())


def test_json_holds_the_same_numbers(plan: Plan) -> None:
    code, out, _ = plan("latest", "--margin", "2", "--power", "0.9", "--json", "--probes", "gendered-occupations")
    told = json.loads(out)
    assert code == 0 and (told["margin"], told["power"]) == (2.0, 0.9)
    (row,) = told["plans"]
    head = next(e for e in planned_record().estimates if e.metric == "stereotype_score" and e.scope == "all")
    found = outlook(head, 2.0, 0.9)
    assert found.spread is not None
    assert (row["metric"], row["margin"], row["decided"]) == ("stereotype_score", 0.02, False)
    assert row["needed"] == found.needed and row["cheapest"] == found.cheapest
    assert row["variance_shares"] == found.spread.shares() and row["limiting"] == "lexeme"
    assert row["standard_errors"] == {k: error_in_unit(head, v) for k, v in head.standard_errors.items()}


def test_a_metric_can_be_named(plan: Plan) -> None:
    code, out, _ = plan("latest", "--margin", "0.5", "--metric", "signed_effect")
    assert code == 0 and "Signed effect" in out and "0.5 nats" in out and "Stereotype score" not in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("latest", "--margin", "0"), "a margin must lie above 0"),
        (("latest", "--margin", "-2"), "a margin must lie above 0"),
        (("latest", "--margin", "two"), "--margin"),
        (("latest", "--power", "1"), "a power must lie between"),
        (("latest", "--power", "0"), "a power must lie between"),
        (("latest", "--metric", "stereotype_scor"), "Did you mean 'stereotype_score'?"),
        (("latest", "--probes", "gendered-ocupations"), "Did you mean 'gendered-occupations'?"),
        (("nothing",), "no run 'nothing'"),
        ((), "Missing argument"),
    ],
)
def test_what_cannot_be_planned_ends_with_two_and_a_way_out(plan: Plan, arguments: tuple[str, ...], said: str) -> None:
    code, out, err = plan(*arguments) if arguments else plan("--margin", "2")
    assert code == 2 and out == "" and said in err


def test_help_teaches_what_a_margin_is(plan: Plan) -> None:
    code, out, _ = plan("--help")
    told = " ".join(out.split())
    assert code == 0
    for shown in ("--margin", "--power", "--metric", "--probes", "four of five audits", "Exit codes"):
        assert shown in told
