"""The gate on real runs of small models: what passes, what fails, what stays open, and what is refused."""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import OCCUPATIONS, PAIR, TEXTS, small_runs
from sample_record import estimate as sample
from scipy import stats

from fairprint.audit.absolute import beyond, budget
from fairprint.audit.baseline import Baseline, make_baseline, read_baseline, write_baseline
from fairprint.audit.checks import CheckRecord, LimitVerdict
from fairprint.audit.compare import compare
from fairprint.audit.gate import Held, check
from fairprint.audit.limits import Limit, Settings
from fairprint.audit.records import Estimate, to_json
from fairprint.audit.rules import names, resolved
from fairprint.audit.store import RunFolder
from fairprint.probes.errors import StoreError, UsageError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EFFECT = {"metric": "signed_effect", "probes": OCCUPATIONS}
GUARD = {"metric": "mean_logprob_per_token", "probes": TEXTS}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, shared_folder: Path) -> dict[str, RunFolder]:
    return small_runs(tmp_path_factory.mktemp("store"), shared_folder)


@pytest.fixture(scope="module")
def base(runs: dict[str, RunFolder]) -> Baseline:
    return make_baseline(runs["base"], [], "the first one", NOW)


def held(baseline: Baseline | None, *limits: dict[str, Any], **settings: Any) -> Held:
    told = Settings(limits=tuple(Limit(**limit) for limit in limits)).model_copy(update=settings)
    lines = tuple(10 + i for i in range(len(limits)))
    return Held(
        settings=told, file="pyproject.toml", lines=lines, baseline=baseline, baseline_file=Path("ci/baseline.json")
    )


def only(record: CheckRecord) -> LimitVerdict:
    (limit,) = record.limits
    return limit


def verdicts(record: CheckRecord) -> list[str]:
    return [limit.verdict for limit in record.limits]


# a worsening


def test_the_same_weights_pass_with_identical_answers(runs: dict[str, RunFolder], base: Baseline) -> None:
    found = check(runs["again"], held(base, EFFECT, GUARD, EFFECT | {"margin": 0.01, "name": "tight"}), NOW)

    assert found.identical and (found.exit_code, found.verdict) == (0, "pass")
    assert {(limit.verdict, limit.reason, limit.worsening) for limit in found.limits} == {
        ("pass", "identical answers", 0.0)
    }
    assert (found.baseline_reason, found.refused, found.no_baseline) == ("the first one", (), None)


def test_a_planted_association_fails_and_is_the_limit_that_is_named(runs: dict[str, RunFolder], base: Baseline) -> None:
    margin = {"margin": 0.1}
    found = check(runs["planted"], held(base, EFFECT | margin, GUARD | {"margin": 50.0}), NOW)
    effect, guard = found.limits

    assert (found.exit_code, found.verdict, verdicts(found)) == (1, "fail", ["fail", "pass"])
    assert not found.identical and effect.place == ("pyproject.toml", 10)
    moved = next(
        d for d in compare(runs["base"], runs["planted"]).differences if (d.metric, d.scope) == ("signed_effect", "all")
    )
    assert moved.a is not None and moved.b is not None and moved.standard_error is not None
    assert effect.worsening == pytest.approx(abs(moved.b) - abs(moved.a), rel=1e-6)
    assert (effect.baseline, effect.value) == (pytest.approx(moved.a), pytest.approx(moved.b))
    assert effect.holm is not None and effect.holm < 0.05 and effect.worsening > 0.1
    assert "fails" in effect.guarantee and f"{effect.items:,} items" in effect.on_these
    # the guard is one that goes down, and every verdict takes its sign from that
    assert guard.direction == "down" and guard.worsening is not None and guard.worsening > 0


def test_it_passes_the_other_way_round(runs: dict[str, RunFolder]) -> None:
    before = make_baseline(runs["planted"], [], "biased", NOW)
    found = check(runs["base"], held(before, EFFECT | {"margin": 0.1}), NOW)
    assert only(found).verdict == "pass" and (only(found).worsening or 0) < 0


def test_the_bounds_are_those_of_students_t(runs: dict[str, RunFolder], base: Baseline) -> None:
    found = only(check(runs["planted"], held(base, GUARD | {"margin": 50.0}), NOW))
    moved = next(d for d in compare(runs["base"], runs["planted"]).differences if d.metric == "mean_logprob_per_token")
    assert moved.value is not None and moved.standard_error is not None and moved.degrees_of_freedom is not None
    t = stats.t(moved.degrees_of_freedom)
    assert found.worsening == pytest.approx(-moved.value, rel=1e-6)
    assert found.bound == pytest.approx(-moved.value + t.ppf(0.95) * moved.standard_error, rel=1e-6)
    assert found.p_value == pytest.approx(t.sf(-moved.value / moved.standard_error), rel=1e-4)
    assert found.detectable == pytest.approx(50.0 + t.ppf(0.8) * moved.standard_error, rel=1e-6)


def test_a_margin_below_what_the_data_show_is_inconclusive_with_the_units_that_would_decide(
    runs: dict[str, RunFolder], base: Baseline
) -> None:
    back = make_baseline(runs["planted"], [], "biased", NOW)
    moved = only(check(runs["base"], held(back, EFFECT | {"direction": "up", "margin": 1e-6}), NOW))
    assert moved.verdict == "pass"  # it fell, and even the upper bound lies below 0

    found = only(check(runs["planted"], held(base, GUARD | {"margin": 1e-9, "direction": "up"}), NOW))
    assert found.verdict == "pass"
    stereotype = {"metric": "stereotype_score", "probes": OCCUPATIONS, "margin": 60.0}
    found = only(check(runs["planted"], held(base, stereotype), NOW))
    assert found.unit == "share" and found.limit == pytest.approx(0.6)  # points
    spread = only(check(runs["planted"], held(base, stereotype | {"metric": "covariate_correlation", "margin": 1e-3})))
    if spread.verdict == "inconclusive":
        ((factor, count),) = spread.needed.items()
        assert count > spread.units[factor] and f"{count:,}" in spread.for_others
    assert spread.verdict in ("inconclusive", "fail")


def test_without_a_margin_the_gate_takes_what_it_detects_and_says_so(
    runs: dict[str, RunFolder], base: Baseline
) -> None:
    found = only(check(runs["planted"], held(base, GUARD), NOW))
    assert found.default_limit and found.limit is not None and found.limit > 0
    assert "the smallest worsening that the gate detects" in found.reason
    moved = next(d for d in compare(runs["base"], runs["planted"]).differences if d.metric == "mean_logprob_per_token")
    t, error = stats.t(moved.degrees_of_freedom), moved.standard_error or math.nan
    assert found.limit == pytest.approx((t.ppf(0.95) + t.ppf(0.8)) * error, rel=1e-6)


# a limit on the number itself


def estimate(runs: dict[str, RunFolder], metric: str, **changes: Any) -> Estimate:
    found, reason = resolved(Limit(metric=metric, probes=OCCUPATIONS), runs["planted"].record())
    assert found is not None, reason
    return found.model_copy(update=changes)


@pytest.mark.parametrize(
    ("most", "verdict"), [(0.001, "fail"), (90.0, "pass")], ids=["far below what it is", "far above"]
)
def test_a_number_is_held_against_its_limit_with_its_uncertainty(
    runs: dict[str, RunFolder], most: float, verdict: str
) -> None:
    found = only(check(runs["planted"], held(None, EFFECT | {"max": most}), NOW))
    told = estimate(runs, "signed_effect")

    assert (found.kind, found.verdict, found.direction) == ("absolute", verdict, "away_from_neutral")
    assert found.value == told.value and found.worsening == abs(told.value or 0)
    assert told.standard_error is not None and told.degrees_of_freedom is not None and told.value is not None
    t = stats.t(told.degrees_of_freedom)
    assert found.bound == pytest.approx(abs(told.value) + t.ppf(0.95) * told.standard_error)
    beyond_it = t.sf((abs(told.value) - most) / told.standard_error)
    other_end = t.sf((abs(told.value) + most) / told.standard_error)
    assert found.p_value == pytest.approx(min(1.0, beyond_it + other_end))


def test_a_limit_inside_the_interval_is_inconclusive(runs: dict[str, RunFolder]) -> None:
    told = estimate(runs, "signed_effect")
    assert told.value is not None and told.standard_error is not None
    for shift in (-0.3, 0.3):
        most = abs(told.value) + shift * told.standard_error
        found = only(check(runs["planted"], held(None, EFFECT | {"max": most}), NOW))
        assert found.verdict == "inconclusive"
        assert found.needed and "would decide" in found.for_others


@pytest.mark.parametrize(("low", "high", "p_value"), [(0.74, 1.0, 0.025), (0.5, 1.0, 1.0)])
def test_an_interval_without_a_standard_error_is_read_as_it_is(
    runs: dict[str, RunFolder], low: float, high: float, p_value: float
) -> None:
    told = estimate(runs, "stereotype_score", value=1.0, low=low, high=high, standard_error=None)
    found = beyond(told, 0.7, "up")
    assert found is not None and (found.bound, found.worsening) == (high, 1.0)
    assert found.p_value == pytest.approx(p_value)
    apart = beyond(told, 0.2, "away_from_neutral")
    assert apart is not None and apart.worsening == 0.5 and apart.bound == 0.5 and apart.p_value == found.p_value
    below = beyond(told, 0.9, "down")
    assert below is not None and below.bound == -low and below.worsening == -1.0 and below.p_value == 1.0


@given(value=st.floats(0.02, 0.98), error=st.floats(0.05, 2.0), df=st.floats(2, 100), most=st.floats(0.01, 0.48))
def test_a_share_within_both_ends_is_never_shown_to_lie_beyond_them(
    value: float, error: float, df: float, most: float
) -> None:

    centre, reach = math.log(value / (1 - value)), float(stats.t.ppf(0.975, df)) * error
    low, high = (1 / (1 + math.exp(-(centre + sign * reach))) for sign in (-1, 1))
    told = sample("stereotype_score", "he-was-very / fill", "all", value, 0.01).model_copy(
        update={
            "unit": "share", "scale": "logit", "neutral": 0.5, "low": low, "high": high, "standard_error": error,
            "degrees_of_freedom": df,
        }
    )  # fmt: skip
    if not 0 < low < high < 1:
        return
    found, up, down = (
        beyond(told, *of) for of in ((most, "away_from_neutral"), (0.5 + most, "up"), (0.5 - most, "down"))
    )
    assert found is not None and up is not None and down is not None
    assert found.p_value is not None and up.p_value is not None and down.p_value is not None
    # the distance is shown to be larger only where one of the two ends is, and kept where both are
    assert found.p_value >= min(up.p_value, down.p_value) - 1e-12
    assert found.bound is not None and up.bound is not None and down.bound is not None
    assert found.bound == pytest.approx(max(up.bound - 0.5, 0.5 + down.bound, abs(value - 0.5)), abs=1e-9)


# what a run cost


def test_a_budget_is_judged_on_the_interval(runs: dict[str, RunFolder]) -> None:
    footprint = (
        runs["base"]
        .record()
        .footprint.model_copy(update={"energy_low_kwh": 0.01, "energy_kwh": 0.02, "energy_high_kwh": 0.03})
    )
    assert [budget(footprint, "energy_kwh", most)[0] for most in (0.03, 0.029, 0.01, 0.0099)] == [
        "pass",
        "inconclusive",
        "inconclusive",
        "fail",
    ]
    none = footprint.model_copy(update={"energy_low_kwh": None, "energy_high_kwh": None, "reason": "no sensor"})
    assert budget(none, "energy_kwh", 1.0) == ("error", "the run has no energy: no sensor")


def test_work_is_an_exact_count_against_the_baseline(runs: dict[str, RunFolder], base: Baseline) -> None:
    def with_tokens(share: float) -> Baseline:
        tokens = round((base.run.tokens or 0) * share)
        return base.model_copy(update={"run": base.run.model_copy(update={"tokens": tokens})})

    limit = {"metric": "tokens", "margin": 5.0}
    found = {share: only(check(runs["again"], held(with_tokens(share), limit), NOW)) for share in (1.0, 0.97, 0.9)}
    assert [f.verdict for f in found.values()] == ["pass", "pass", "fail"]
    assert found[1.0].worsening == 0.0 and found[0.9].worsening == pytest.approx(100 / 0.9 - 100, rel=1e-3)
    other = only(check(runs["both"], held(base, limit), NOW))
    assert other.verdict == "inconclusive" and "did not ask the same" in other.reason


# no baseline, or one that cannot be compared


def test_without_a_baseline_nothing_is_passed_in_silence(runs: dict[str, RunFolder]) -> None:
    found = check(runs["base"], held(None, EFFECT, EFFECT | {"max": 90.0, "name": "absolute"}), NOW)
    assert (found.exit_code, verdicts(found)) == (0, ["inconclusive", "pass"])
    assert found.no_baseline == "baseline.json does not exist"
    assert check(runs["base"], held(None, EFFECT, require_baseline=True), NOW).exit_code == 4
    assert check(runs["base"], held(None, EFFECT, strict=True), NOW).exit_code == 5
    # a limit on the number itself needs none
    assert check(runs["base"], held(None, EFFECT | {"max": 90.0}, require_baseline=True), NOW).exit_code == 0


def test_a_metric_that_the_baseline_lacks_is_open(runs: dict[str, RunFolder]) -> None:
    partial = make_baseline(runs["base"], [TEXTS], "texts alone", NOW)
    found = check(runs["again"], held(partial, EFFECT, GUARD), NOW)
    assert (found.exit_code, verdicts(found)) == (0, ["inconclusive", "pass"])
    assert "the baseline does not have it" in found.limits[0].reason
    assert check(runs["again"], held(partial, EFFECT, GUARD, require_baseline=True), NOW).exit_code == 4


def test_other_questions_under_the_same_name_are_never_compared(runs: dict[str, RunFolder], base: Baseline) -> None:
    probes = tuple(
        probe.model_copy(update={"sha256": "0" * 64}) if probe.name == OCCUPATIONS else probe
        for probe in base.run.probes
    )
    other = base.model_copy(update={"run": base.run.model_copy(update={"probes": probes})})
    found = check(runs["planted"], held(other, EFFECT, EFFECT | {"max": 0.001, "name": "absolute"}), NOW)

    assert (found.exit_code, found.verdict) == (4, "error")
    assert "asks other questions" in found.refused[0]
    assert verdicts(found) == ["inconclusive", "fail"]  # the number itself needs no baseline, and 4 stands before 1
    # an error stands before both
    found = check(runs["planted"], held(other, EFFECT, {"metric": "signed_efect", "probes": OCCUPATIONS}), NOW)
    assert found.exit_code == 3


def test_another_version_of_a_metric_is_never_compared(runs: dict[str, RunFolder], base: Baseline) -> None:
    older = tuple(e.model_copy(update={"metric_version": 0}) for e in base.run.estimates)
    other = base.model_copy(update={"run": base.run.model_copy(update={"estimates": older})})
    found = check(runs["again"], held(other, EFFECT), NOW)
    assert found.exit_code == 4 and "version 0" in found.refused[0]


def test_what_the_run_does_not_have_is_an_error_that_names_what_it_has(
    runs: dict[str, RunFolder], base: Baseline
) -> None:
    wrong: dict[str, dict[str, Any]] = {
        "Did you mean 'signed_effect'?": {"metric": "signed_efect", "probes": OCCUPATIONS},
        f"Did you mean '{OCCUPATIONS}'?": {"metric": "signed_effect", "probes": OCCUPATIONS[:-2]},
        "It has fill": EFFECT | {"instrument": "sentence"},
        "no scope 'category:x'": EFFECT | {"scope": "category:x"},
        "no comparison 'male against x'": {"metric": "group_gap", "probes": OCCUPATIONS, "comparison": ("male", "x")},
        "has no neutral value": {"metric": "candidate_mass", "probes": OCCUPATIONS, "direction": "away_from_neutral"},
        "say direction": {"metric": "candidate_mass", "probes": OCCUPATIONS},
    }
    for said, limit in wrong.items():
        found = check(runs["again"], held(base, limit), NOW)
        assert (found.exit_code, only(found).verdict) == (3, "error"), said
        assert said in only(found).reason
        assert only(found).value is None and only(found).limit is None


def test_several_comparisons_must_be_told_apart(runs: dict[str, RunFolder], base: Baseline) -> None:
    record = runs["both"].record()
    found, reason = resolved(Limit(metric="group_gap", probes=OCCUPATIONS), record)
    assert found is None and "say which by instrument" in reason
    found, reason = resolved(Limit(metric="group_gap", probes=OCCUPATIONS, instrument="fill", comparison=PAIR), record)
    assert found is not None and found.instrument == f"{OCCUPATIONS} / fill" and reason == ""


def test_a_part_of_the_questions_is_refused_unless_allowed(runs: dict[str, RunFolder], base: Baseline) -> None:
    with pytest.raises(UsageError, match="asked only a part") as error:
        check(runs["limited"], held(base, EFFECT), NOW)
    assert "--allow-partial" in str(error.value.hint)
    found = check(runs["limited"], held(base, EFFECT, allow_partial=True), NOW)
    assert found.exit_code == 4 and "only a part" in found.remarks[0]
    same = make_baseline(runs["limited"], [], "a part", NOW)
    assert check(runs["limited"], held(same, EFFECT, allow_partial=True), NOW).exit_code == 0


# the file


def test_a_baseline_comes_back_from_its_file_and_is_the_same_bytes_twice(base: Baseline, tmp_path: Path) -> None:
    write_baseline(base, tmp_path / "ci" / "baseline.json")
    text = (tmp_path / "ci" / "baseline.json").read_text()
    assert read_baseline(tmp_path / "ci" / "baseline.json") == base
    write_baseline(base, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == text
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert len(text) < 300_000 and str(tmp_path) not in text
    assert read_baseline(tmp_path / "nothing.json") is None


def test_it_judges_as_the_stored_run_would(runs: dict[str, RunFolder], base: Baseline, tmp_path: Path) -> None:
    write_baseline(base, tmp_path / "b.json")
    kept = read_baseline(tmp_path / "b.json")
    found = check(runs["planted"], held(kept, EFFECT | {"margin": 0.2}), NOW)
    assert found == check(runs["planted"], held(base, EFFECT | {"margin": 0.2}), NOW)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text[: len(text) // 2], "cannot be read"),
        (lambda text: "[]", "schema version None"),
        (lambda text: text.replace('"schema_version": 1,\n "', '"schema_version": 99,\n "'), "reads up to 1"),
        (lambda text: text.replace('"reason"', '"reasons"'), "reason"),
    ],
)
def test_a_damaged_baseline_is_an_error_with_a_way_out(
    change: Callable[[str], str], said: str, base: Baseline, tmp_path: Path
) -> None:
    path = tmp_path / "b.json"
    path.write_text(change(to_json(base)))
    with pytest.raises(StoreError, match=said) as error:
        read_baseline(path)
    assert error.value.hint


def test_answers_that_were_cut_are_not_paired(runs: dict[str, RunFolder], base: Baseline) -> None:
    label = f"{OCCUPATIONS} / fill"
    kept = base.answers[label]
    column = next(iter(kept.values))
    short = kept.model_copy(update={"values": kept.values | {column: kept.values[column].rpartition(" ")[0]}})
    other = base.model_copy(update={"answers": base.answers | {label: short}})
    found = check(runs["again"], held(other, EFFECT), NOW)
    assert found.exit_code == 4 and "other rows" in found.refused[0]


def test_an_old_baseline_and_one_of_another_version_are_named(runs: dict[str, RunFolder], base: Baseline) -> None:
    later = NOW + timedelta(days=181)
    assert not check(runs["again"], held(base, EFFECT), NOW + timedelta(days=180)).remarks
    assert "181 days old" in check(runs["again"], held(base, EFFECT), later).remarks[0]
    older = base.model_copy(update={"fairprint": "0.0.9"})
    assert "written by fairprint 0.0.9" in check(runs["again"], held(older, EFFECT), NOW).remarks[0]


def test_a_baseline_needs_a_reason(runs: dict[str, RunFolder]) -> None:
    with pytest.raises(UsageError, match="needs a reason"):
        make_baseline(runs["base"], [], " ", NOW)


def test_what_has_no_limit_is_listed(runs: dict[str, RunFolder], base: Baseline) -> None:
    found = check(runs["again"], held(base, EFFECT), NOW)
    assert f"stereotype_score of {OCCUPATIONS} / fill" in found.without_limit
    assert f"signed_effect of {OCCUPATIONS} / fill" not in found.without_limit
    empty = check(runs["again"], held(base), NOW)
    assert empty.exit_code == 0 and "nothing is judged" in empty.remarks[-1]


def test_a_missing_answer_is_left_out_of_both_and_counted(runs: dict[str, RunFolder], base: Baseline) -> None:
    label = f"{OCCUPATIONS} / fill"
    kept = base.answers[label]
    column = next(name for name in kept.values if name.startswith("logprob"))
    values = kept.values[column].split()
    short = kept.model_copy(
        update={"values": kept.values | {column: " ".join(["-", *values[1:]])}, "answers_sha256": "0" * 64}
    )
    other = base.model_copy(update={"answers": base.answers | {label: short}})
    full, found = (only(check(runs["planted"], held(b, EFFECT | {"margin": 0.2}), NOW)) for b in (base, other))
    assert (found.missing, full.missing) == (1, 0) and (full.items or 0) - (found.items or 0) == 1


def test_names_need_no_run_and_tell_the_two_kinds_apart() -> None:
    limit = Limit(
        metric="accuracy", probes="bbq", instrument="choice-letters", scope="condition:ambiguous", min=0.5, margin=2
    )
    assert names(limit) == {
        "absolute": "accuracy of bbq / choice-letters / condition:ambiguous (the number itself)",
        "relative": "accuracy of bbq / choice-letters / condition:ambiguous",
    }
    assert names(Limit(metric="energy_kwh", max=1.0)) == {"absolute": "energy_kwh"}
