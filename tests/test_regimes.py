"""Comparing ways to learn one task: what is held against what, intervals by other ways, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_metered import energies, footprint, parts, sample_metered, span
from scipy import stats
from test_regimes_cases import better, noted, run, worse

from fairprint.audit.metered import MeteredRecord, WorkDone
from fairprint.audit.metered_store import MeteredFolder
from fairprint.audit.quality import QualityItem, quality_of
from fairprint.audit.regimes import (
    FINE_TUNED,
    SCRATCH,
    Cost,
    Gap,
    Regime,
    Regimes,
    compare_regimes,
    energy_ratio,
    latest_of,
    training_cost,
)
from fairprint.audit.regimes_reuse import NO_PAIR, NO_PRETRAINING, reuse_of, use_of
from fairprint.audit.spread import part_interval
from fairprint.audit.together import Amount
from fairprint.probes.errors import StoreError, UsageError


def rows(values: list[float], **units: str) -> list[QualityItem]:
    return [QualityItem(item=str(n), value=value, units=units) for n, value in enumerate(values)]


def alone(store: Path, purpose: str, items: list[QualityItem], **changes: Any) -> MeteredFolder:
    return run(store, purpose, (quality_of("accuracy", items=items, part="new words"), items), **changes)


# what is held against what


def test_fine_tuning_is_held_against_the_longest_training_from_scratch(tmp_path: Path) -> None:
    tuned = run(tmp_path, FINE_TUNED, noted(better), seconds=100.0)
    long = run(tmp_path, SCRATCH, noted(worse), seconds=300.0)
    short = run(tmp_path, SCRATCH, noted(worse), seconds=100.0)
    found = compare_regimes([short, long, tuned])
    assert found.knew is not None and found.optimised is not None
    assert (found.knew.first.record.run_id, found.knew.second.record.run_id) == (long.run_id, tuned.run_id)
    assert (found.optimised.first.record.run_id, found.optimised.second.record.run_id) == (short.run_id, long.run_id)
    assert found.knew.energy_ratio.value == pytest.approx(1 / 3)


def test_without_a_training_from_scratch_nothing_is_said_of_what_pretraining_knew(tmp_path: Path) -> None:
    found = compare_regimes([run(tmp_path, FINE_TUNED, noted(better)), run(tmp_path, FINE_TUNED, noted(worse))])
    assert (found.knew, found.optimised) == (None, None)
    assert reuse_of(found, pretraining_kwh=1.0).break_even.reason == NO_PAIR


def test_the_newest_finished_run_of_each_name_stands_for_it(tmp_path: Path) -> None:
    old = run(tmp_path, FINE_TUNED, noted(better))
    other = run(tmp_path, SCRATCH, noted(worse))
    new = run(tmp_path, FINE_TUNED, noted(worse))
    bare = run(tmp_path, FINE_TUNED)
    found = latest_of([old, other, new, bare], "topics")
    assert [folder.run_id for folder in found] == [new.run_id, other.run_id]
    with pytest.raises(UsageError, match="is of the task 'chess'"):
        latest_of([old, other], "chess")


# intervals by other ways


def test_without_units_the_paired_interval_is_that_of_the_t_test(tmp_path: Path) -> None:
    first = [0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    second = [1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0]
    found = compare_regimes([alone(tmp_path, SCRATCH, rows(first)), alone(tmp_path, FINE_TUNED, rows(second))])
    assert found.knew is not None
    (gap,) = found.knew.differences
    test = stats.ttest_rel(second, first)
    bounds = test.confidence_interval(0.95)
    assert gap.value == pytest.approx(0.4)
    assert (gap.low, gap.high, gap.p_value) == pytest.approx((bounds.low, bounds.high, test.pvalue))


def test_with_one_kind_of_units_items_of_one_unit_vary_together(tmp_path: Path) -> None:
    # five words with two answers each: by hand a t interval of the five means
    gaps = {"a": (1.0, 1.0), "b": (1.0, 0.0), "c": (0.0, 0.0), "d": (1.0, 1.0), "e": (0.0, 1.0)}
    after = [
        QualityItem(item=f"{word}{n}", value=value, units={"word": word})
        for word, pair in gaps.items()
        for n, value in enumerate(pair)
    ]
    before = [QualityItem(item=item.item, value=0.0, units=item.units) for item in after]
    found = compare_regimes([alone(tmp_path, SCRATCH, before), alone(tmp_path, FINE_TUNED, after)])
    assert found.knew is not None
    (gap,) = found.knew.differences
    bounds = stats.ttest_1samp([sum(pair) / 2 for pair in gaps.values()], 0).confidence_interval(0.95)
    assert (gap.value, gap.low, gap.high) == pytest.approx((0.6, bounds.low, bounds.high))
    assert (gap.items, gap.units) == (10, {"word": 5})


def test_the_cost_is_that_of_the_training_without_the_tests_after_it(tmp_path: Path) -> None:
    cost = training_cost(run(tmp_path, FINE_TUNED, noted(better), seconds=100.0).record())
    assert cost.duration_s == 100.0 and not cost.whole
    assert cost.energy_kwh.value == pytest.approx(0.360 * 100 / 3600)
    assert (cost.energy_kwh.low, cost.energy_kwh.high) == pytest.approx(part_interval(energies(100.0), parts()))


def test_a_search_costs_what_all_of_its_trials_cost() -> None:
    spans = (
        span("1", 0.0, 100.0, phase="trial"),
        span("2", 10.0, 90.0, phase="train", parent="1"),
        span("3", 100.0, 150.0, phase="trial", status="failed"),
        span("4", 150.0, 200.0, phase="evaluation"),
    )
    cost = training_cost(sample_metered(spans=spans, footprint=footprint(parts(200.0))))
    assert (cost.duration_s, cost.energy_kwh.value) == (150.0, pytest.approx(0.360 * 150 / 3600))


def test_errors_of_the_same_sensors_cancel_in_a_ratio_and_those_of_other_machines_do_not(tmp_path: Path) -> None:
    here = run(tmp_path, SCRATCH, noted(worse), seconds=200.0)
    same = run(tmp_path, FINE_TUNED, noted(better), seconds=100.0)
    clock = here.record().clock
    assert clock is not None
    there = run(tmp_path, FINE_TUNED, noted(better), clock=clock.model_copy(update={"machine": "another"}))
    near, far = (compare_regimes([here, other]).knew for other in (same, there))
    assert near is not None and far is not None
    ratio = near.energy_ratio
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((0.5, 0.5, 0.5))
    ratio = far.energy_ratio
    assert ratio.value == pytest.approx(0.5) and ratio.low is not None and ratio.high is not None
    assert ratio.low < 0.49 and ratio.high > 0.51


# what is refused, and what has no interval


def test_runs_of_several_tasks_or_of_none_are_refused(tmp_path: Path) -> None:
    first = run(tmp_path, FINE_TUNED, noted(better))
    with pytest.raises(UsageError, match="not of one task: 'chess', 'topics'"):
        compare_regimes([first, run(tmp_path, SCRATCH, noted(worse), task="chess")])
    nameless = [run(tmp_path, purpose, noted(worse), task="") for purpose in (FINE_TUNED, SCRATCH)]
    with pytest.raises(UsageError, match="not of one task: none"):
        compare_regimes(nameless)


def test_a_run_without_a_quality_is_refused(tmp_path: Path) -> None:
    folders = [run(tmp_path, FINE_TUNED, noted(better)), run(tmp_path, SCRATCH)]
    with pytest.raises(UsageError, match=f"{folders[1].run_id} has no quality"):
        compare_regimes(folders)


def test_other_items_have_no_paired_interval(tmp_path: Path) -> None:
    folders = [alone(tmp_path, SCRATCH, rows([0.0, 1.0])), alone(tmp_path, FINE_TUNED, rows([1.0, 1.0, 1.0]))]
    found = compare_regimes(folders).knew
    assert found is not None
    (gap,) = found.differences
    assert (gap.value, gap.low, gap.p_value) == (0.5, None, None)
    assert gap.reason == "the two were tested on other items: the difference has no paired interval"


def test_items_of_three_kinds_of_units_have_a_value_and_no_interval(tmp_path: Path) -> None:
    some = rows([0.0, 1.0, 1.0], word="w", template="t", speaker="s")
    found = compare_regimes([alone(tmp_path, purpose, some) for purpose in (SCRATCH, FINE_TUNED)])
    (single,) = found.regimes[0].qualities
    assert single.value == pytest.approx(2 / 3) and single.low is None
    assert single.reason == "items with more than two kinds of units have no interval yet"


def test_qualities_without_items_have_a_value_and_no_interval(tmp_path: Path) -> None:
    folders = [run(tmp_path, purpose, (quality_of("f1", 0.5), ())) for purpose in (SCRATCH, FINE_TUNED)]
    found = compare_regimes(folders).knew
    assert found is not None
    (gap,) = found.differences
    assert (gap.value, gap.low) == (0.0, None) and gap.reason is not None and "without items" in gap.reason


def test_items_that_were_changed_are_refused(tmp_path: Path) -> None:
    folders = [run(tmp_path, FINE_TUNED, noted(better)), run(tmp_path, SCRATCH, noted(worse))]
    (file,) = (folders[0].path / "quality").iterdir()
    file.write_text(file.read_text().replace("0.0", "1.0"))
    with pytest.raises(StoreError, match="it was changed"):
        compare_regimes(folders)


def test_a_run_without_energy_has_no_ratio_and_saves_nothing_known(tmp_path: Path) -> None:
    gone = footprint(parts(150.0), failure="no sensor could be read")
    bare = [span("1", 0.0, 100.0, phase="train", energy_kwh=None, reason="no sensor")]
    folders = [
        run(tmp_path, FINE_TUNED, noted(better), footprint=gone, spans=tuple(bare)),
        run(tmp_path, SCRATCH, noted(worse), seconds=300.0),
    ]
    found = compare_regimes(folders)
    assert found.knew is not None and found.knew.energy_ratio.value is None
    assert found.regimes[-1].record.run_id == folders[0].run_id
    reuse = reuse_of(found, pretraining_kwh=1.0)
    assert reuse.saved.value is None and reuse.break_even.value is None and reuse.break_even.reason
    use = use_of(found.regimes[-1], 0.001)
    assert use.answers.value is None and use.answers.reason


# when a pretraining comes back


def regime(run_id: str, seconds: float, steps: int) -> Regime:
    """Return a way whose training took so many seconds; its cost needs no draws here."""
    record: MeteredRecord = sample_metered(run_id=run_id, footprint=FOOT, work=WorkDone(steps=steps))
    spent = energies(seconds)
    low, high = part_interval(spent, parts()) or (0.0, 0.0)
    cost = Cost(
        duration_s=seconds,
        energy_kwh=Amount(value=sum(spent.values()), low=low, high=high),
        emissions_kg=Amount(value=None, reason="not needed"),
        components=spent,
        whole=False,
    )
    return Regime(record=record, cost=cost, qualities=(), query=Amount(value=None, reason="not metered"))


FOOT = footprint()


def pair(tuned_s: float, scratch_s: float) -> Regimes:
    tuned, scratch = regime("tuned", tuned_s, 1), regime("scratch", scratch_s, 2)
    gap = Gap(first=scratch, second=tuned, differences=(), energy_ratio=energy_ratio(scratch, tuned))
    return Regimes(task="topics", regimes=(tuned, scratch), knew=gap, optimised=None)


@settings(max_examples=25, deadline=None)
@given(st.floats(1.0, 1e4), st.floats(1.1, 50.0), st.floats(1e-3, 1e6))
def test_after_the_break_even_the_shared_base_has_saved_energy(tuned_s: float, times: float, pre: float) -> None:
    found = reuse_of(pair(tuned_s, times * tuned_s), pretraining_kwh=pre)
    n = found.break_even
    assert n.value is not None and n.low is not None and n.high is not None
    tuned, scratch = (0.360 * seconds / 3600 for seconds in (tuned_s, times * tuned_s))
    assert pre + n.value * tuned == pytest.approx(n.value * scratch)
    # one machine: what is saved errs like any energy of it, so that the interval is that of so many seconds
    low, high = part_interval(energies(times * tuned_s - tuned_s), parts()) or (0.0, 0.0)
    assert (n.low, n.high) == pytest.approx((pre / high, pre / low))


@settings(max_examples=25, deadline=None)
@given(st.floats(1.0, 1e4), st.floats(0.05, 1.0), st.floats(1e-3, 1e6))
def test_where_a_fine_tuning_saves_nothing_no_number_of_tasks_is_enough(
    tuned_s: float, times: float, pre: float
) -> None:
    found = reuse_of(pair(tuned_s, times * tuned_s), pretraining_kwh=pre)
    assert found.break_even.value is None
    assert found.break_even.reason is not None and "no number of tasks is enough" in found.break_even.reason


@settings(max_examples=25, deadline=None)
@given(st.floats(1.0, 1e4), st.floats(1e-9, 1.0))
def test_so_many_answers_have_the_energy_of_the_training(seconds: float, query_kwh: float) -> None:
    use = use_of(regime("tuned", seconds, 1), query_kwh)
    assert use.given and use.answers.value is not None and use.answers.low is not None and use.answers.high is not None
    assert use.answers.value * query_kwh == pytest.approx(0.360 * seconds / 3600)
    bounds = part_interval(energies(seconds), parts())
    assert (use.answers.low * query_kwh, use.answers.high * query_kwh) == pytest.approx(bounds)


def test_a_share_needs_both_numbers() -> None:
    of = pair(60.0, 300.0)
    assert reuse_of(of, reuses=10).attributional.reason == NO_PRETRAINING
    assert reuse_of(of, pretraining_kwh=5.0).attributional.value is None
    assert reuse_of(of, pretraining_kwh=5.0, reuses=10).attributional.value == 0.5


@pytest.mark.parametrize("told", [{"pretraining_kwh": 0.0}, {"pretraining_kwh": float("nan")}, {"reuses": 0}])
def test_impossible_numbers_are_refused(told: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="expected"):
        reuse_of(pair(60.0, 300.0), **told)


@pytest.mark.parametrize("query_kwh", [0.0, -1.0, float("inf"), float("nan")])
def test_impossible_energies_of_an_answer_are_refused(query_kwh: float) -> None:
    with pytest.raises(UsageError, match="expected more than 0"):
        use_of(regime("tuned", 60.0, 1), query_kwh)
