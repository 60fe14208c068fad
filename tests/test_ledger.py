"""The ledger of a project: every run counts, what two meters measured at once counts once, sums have intervals."""

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_ledger import (
    ALONE,
    BESIDE,
    CPU_W,
    GPU_W,
    INSIDE,
    MACHINE,
    SEARCH,
    TRAINING,
    accuracy,
    audit,
    clock,
    components,
    footprint_of,
    keep,
    metered,
    project,
    searches,
    trial,
    write_project,
)
from sample_metered import GERMANY, NOWHERE, span

from fairprint.audit.ledger import Ledger, count, ledger
from fairprint.audit.ledger_runs import Run, purpose, read_runs, run_of, run_of_audit, within_spans
from fairprint.audit.metered import CurvePoint, MeteredRecord, Overlap
from fairprint.audit.overlaps import UNKNOWN_MACHINE, Sensor, counted_once, meter_of, overlapping, sensors_of
from fairprint.audit.pareto import Point, split, steps
from fairprint.audit.records import RunRecord, Segment
from fairprint.probes.errors import UsageError

EXACT = 1e-9
NO_ENERGY = "1 run has no energy for all or a part of the time, so that the total is a lower bound: {}"
FRANCE = GERMANY.model_copy(
    update={"kg_per_kwh": 0.05, "low_kg_per_kwh": 0.04, "high_kg_per_kwh": 0.06, "country_iso_code": "FRA"}
)


def of(*records: RunRecord | MeteredRecord, **how: Any) -> Ledger:
    return ledger([run_of_audit(r) if isinstance(r, RunRecord) else run_of(r) for r in records], **how)


def value(amount: Any) -> float:
    assert amount.value is not None, amount.reason
    return float(amount.value)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    return ledger(*read_runs(write_project(tmp_path_factory.mktemp("project") / "store")))


# L3: totals by hand; 360 W are 0.001 kWh in ten seconds


def test_the_total_is_what_one_reckons_by_hand(told: Ledger) -> None:
    by_hand = {
        "search": 0.04 + 0.03 + 0.01,  # 400 s, 300 s and 100 s
        "fine-tuning": 0.06 - 0.01 - 0.01,  # 600 s, less the audit inside and what the monitor measured too
        "audit": 0.01 + 0.02,  # 100 s inside of the training, and 150 s and 50 s by itself
        "not said": 0.04,  # 400 s, the first 100 s of them beside the training
    }
    assert {share.group: value(share.energy) for share in told.shares} == pytest.approx(by_hand, abs=EXACT)
    assert value(told.energy) == pytest.approx(0.19, abs=EXACT)
    # 1000 to 1400, 2000 to 2300, 3000 to 3100, 4000 to 4900, 6000 to 6150, 6500 to 6550
    assert told.duration_s == pytest.approx(400 + 300 + 100 + 900 + 150 + 50, abs=EXACT)
    assert value(told.emissions) == pytest.approx(0.19 * 1.2 * 0.381, abs=EXACT)
    assert [share.runs for share in told.shares] == [1, 3, 2, 1]
    assert math.fsum(share.share or 0 for share in told.shares) == pytest.approx(1)


def test_every_trial_is_there_with_what_became_of_it(told: Ledger) -> None:
    trials = [trial for entry in told.entries for trial in entry.trials]
    fates = [trial.status for trial in trials]
    assert (len(trials), fates.count("failed"), fates.count("pruned"), fates.count("done")) == (15, 2, 3, 10)
    first = told.entries[0].trials
    seconds = [100, 100, 30, 100, 30]
    assert [value(trial.energy) for trial in first] == pytest.approx([s / 1e4 for s in seconds], abs=EXACT)
    assert [value(trial.emissions) for trial in first] == pytest.approx(
        [s / 1e4 * 1.2 * 0.381 for s in seconds], abs=EXACT
    )
    assert all(trial.energy.low < value(trial.energy) < trial.energy.high for trial in trials)  # type: ignore[operator]


def test_the_overhead_of_each_search_is_all_over_the_best(told: Ledger) -> None:
    factors = {search.name: (search.best, value(search.factor)) for search in told.searches}
    assert factors == {
        "search a": ("trial 1", pytest.approx(0.04 / 0.01, abs=EXACT)),  # what lay between the trials counts
        "search b": ("trial 0", pytest.approx(0.03 / 0.005, abs=EXACT)),
        "search c": ("trial 4", pytest.approx(0.01 / 0.002, abs=EXACT)),
    }
    # each has the same share of both sensors, whose errors cancel
    assert [(s.factor.low, s.factor.high) for s in told.searches] == [
        (pytest.approx(f), pytest.approx(f)) for f in (4, 6, 5)
    ]
    assert told.overhead.final == (TRAINING,)
    assert value(told.overhead.factor) == pytest.approx(0.19 / 0.04, abs=EXACT)


def test_the_record_says_what_was_taken_off_and_where_it_counts(told: Ledger) -> None:
    taken = [(s.run_id, s.counted_with, s.measured_by, s.duration_s) for s in told.shared]
    assert taken == [(TRAINING, INSIDE, INSIDE, 100.0), (TRAINING, BESIDE, BESIDE, 100.0)]
    assert [s.energy_kwh for s in told.shared] == pytest.approx([0.01, 0.01], abs=EXACT)
    entries = {entry.run_id: entry for entry in told.entries}
    assert value(entries[TRAINING].energy) == pytest.approx(0.06, abs=EXACT)
    assert value(entries[TRAINING].counted) == pytest.approx(0.04, abs=EXACT)
    assert value(entries[INSIDE].counted) == pytest.approx(0.01, abs=EXACT)
    assert value(entries[ALONE].counted) == pytest.approx(0.02, abs=EXACT)


def test_what_is_not_counted_is_told_with_a_way_out(told: Ledger) -> None:
    (run,) = told.unfinished
    assert (run.status, run.name) == ("cut off", "cut off")
    assert run.hint == f"fairprint runs recover {run.run_id} writes its record"
    assert told.notes[0] == "1 run without a readable record: not counted, so that the total is a lower bound"
    assert told.notes[1].startswith("1 run ended before the end")


def test_the_interval_of_a_sum_is_that_of_sensors_whose_errors_are_common(told: Ledger) -> None:
    z = statistics.NormalDist().inv_cdf(0.95)
    draw = random.Random(7)
    shares = {0.5: CPU_W / (CPU_W + GPU_W), 0.05: GPU_W / (CPU_W + GPU_W)}
    sums = sorted(
        sum(0.19 * share * draw.lognormvariate(0, math.log1p(h) / z) for h, share in shares.items())
        for _ in range(40_000)
    )
    assert told.energy.low == pytest.approx(sums[2_000], rel=0.01)
    assert told.energy.high == pytest.approx(sums[38_000], rel=0.01)


# overlaps


def test_of_two_meters_the_one_with_the_finer_record_is_believed(tmp_path: Path) -> None:
    # the first used all of its 0.06 kWh in its second half, as its journal says; the second says only its total
    keep(tmp_path, metered("a", 0, 600), samples={0: 0.0, 300: 0.0, 600: 0.06})
    keep(tmp_path, metered("b", 200, 400))
    told = ledger(*read_runs(tmp_path))
    counted = {entry.run_id: value(entry.counted) for entry in told.entries}
    # from 200 s to 400 s the first used 0.02 kWh, all of it from 300 s on: it counts with the second, which began last
    assert counted == {"a": pytest.approx(0.04, abs=EXACT), "b": pytest.approx(0.02, abs=EXACT)}
    assert [(s.run_id, s.counted_with, s.measured_by) for s in told.shared] == [("a", "b", "a"), ("b", "b", "a")]
    assert [s.energy_kwh for s in told.shared] == pytest.approx([0.02, 0.0], abs=EXACT)
    assert value(told.energy) == pytest.approx(0.06, abs=EXACT)


def test_a_curve_says_when_where_there_is_no_journal() -> None:
    curve = tuple(CurvePoint(time_s=t, energy_kwh={"cpu": c, "gpu": g}) for t, c, g in ((0, 0, 0), (500, 0, 0)))
    last = CurvePoint(time_s=600, energy_kwh={"cpu": CPU_W * 600 / 3.6e6, "gpu": GPU_W * 600 / 3.6e6})
    told = of(metered("a", 0, 600, curve=(*curve, last)), metered("b", 0, 500, boot="another"), metered("c", 400, 550))
    counted = {entry.run_id: value(entry.counted) for entry in told.entries}
    assert counted == pytest.approx({"a": 0.03, "b": 0.05, "c": 0.03}, abs=EXACT)


def test_a_curve_that_falls_is_not_believed() -> None:
    energies = sensors_of(components(0.01, 0.02), MACHINE)
    points = [(0.0, {"cpu": 0.0, "gpu": 0.0}), (5.0, {"cpu": 0.02, "gpu": 0.01}), (10.0, {"cpu": 0.01, "gpu": 0.02})]
    assert meter_of("a", clock(0, 10), energies, points, "curve").detail == "straight line"
    rising = [(0.0, {"cpu": 0.0, "gpu": 0.0}), (5.0, {"cpu": 0.01, "gpu": 0.01}), (10.0, {"cpu": 0.01, "gpu": 0.02})]
    meter = meter_of("a", clock(100, 110), energies, rising, "curve")
    assert meter.detail == "curve"
    assert list(meter.at(105)) == [0.01, 0.01] and list(meter.at(99)) == [0, 0] and list(meter.at(200)) == [0.01, 0.02]


def test_the_energy_of_a_meter_that_failed_is_known_from_the_one_around_it() -> None:
    failed = audit("inner", (100, 200), failure="the cpu sensor gave no usable number")
    told = of(metered("outer", 0, 600, purpose="fine-tuning"), failed)
    assert {share.group: value(share.energy) for share in told.shares} == pytest.approx(
        {"fine-tuning": 0.05, "audit": 0.01}, abs=EXACT
    )
    inner = next(entry for entry in told.entries if entry.run_id == "inner")
    assert inner.energy.value is None and inner.energy.reason == "the cpu sensor gave no usable number"
    assert told.notes == ()


def test_the_time_that_no_meter_knew_makes_the_total_a_lower_bound() -> None:
    told = of(metered("a", 0, 200), metered("b", 100, 700, foot={"failure": "no sensor"}))
    assert value(told.energy) == pytest.approx(0.02, abs=EXACT)
    assert value(told.entries[1].counted) == pytest.approx(0.01, abs=EXACT)
    assert told.notes == (NO_ENERGY.format("b"),)


def test_a_meter_that_saw_more_of_the_machine_is_believed_first() -> None:
    told = of(metered("a", 0, 600), metered("b", 200, 400, foot={"gpu_w": None}))
    assert value(told.energy) == pytest.approx(0.06, abs=EXACT)
    assert next(s for s in told.shared if s.run_id == "b").energy_kwh == pytest.approx(0.02 / 3.6 - 0.02, abs=EXACT)


def test_a_trial_with_a_run_of_its_own_inside_of_a_search_counts_once() -> None:
    own = metered("own", 1110, 1210, kind="trial", parent="search", quality=(accuracy(0.9),), name="own record")
    told = of(metered("search", 1000, 1400, spans=SEARCH), own)
    assert value(told.energy) == pytest.approx(0.04, abs=EXACT)
    assert [share.group for share in told.shares] == ["search"]
    (search,) = told.searches
    assert search.trials == {"complete": 1, "done": 2, "failed": 1, "pruned": 1}
    assert (search.best, value(search.factor)) == ("own record", pytest.approx(4, abs=EXACT))
    assert [p.label for f in told.fronts for p in (*f.front, *(p for p, _ in f.dominated))].count("own record") == 1


def test_trials_of_a_search_without_a_run_are_one_search() -> None:
    trials = [
        metered(
            f"t{n}", 100 * n, 100 * n + 50 * (n + 1), kind="trial", parent="gone", quality=(accuracy(0.5 + n / 10),)
        )
        for n in range(2)
    ]
    (search,) = of(*trials).searches
    assert value(search.factor) == pytest.approx(0.015 / 0.01, abs=EXACT)
    assert search.remarks == ("the search itself has no run here: what lay between its trials is not known",)


def test_an_audit_of_several_processes_counts_each_where_it_was(tmp_path: Path) -> None:
    keep(tmp_path, audit("a", (0, 100), (500, 600)))
    keep(tmp_path, metered("m", 50, 550, purpose="evaluation"))
    told = ledger(*read_runs(tmp_path))
    assert value(told.energy) == pytest.approx(0.06, abs=EXACT)
    # the first process began before the other run, the second one in it
    assert {s.group: value(s.energy) for s in told.shares} == pytest.approx(
        {"evaluation": 0.045, "audit": 0.015}, abs=EXACT
    )


def test_an_audit_without_a_clock_lies_in_the_span_that_names_it() -> None:
    inner = audit("20260301T100000000Z-model-0001", (0, 100), clocks=False)
    around = metered("m", 0, 600, purpose="fine-tuning")
    named = span("1", 250.0, 350.0, phase="audit", note=inner.run_id)
    with_span = around.model_copy(update={"spans": (named,)})
    runs = within_spans([run_of(with_span), run_of_audit(inner)], [with_span])
    assert value(ledger(runs).energy) == pytest.approx(0.06, abs=EXACT)
    apart = ledger([run_of(around), run_of_audit(inner)])
    assert value(apart.energy) == pytest.approx(0.07, abs=EXACT)
    assert apart.notes == (
        "1 run does not say when on the machine's clock: what another meter measured meanwhile would count twice",
    )


def test_clocks_of_two_starts_or_machines_are_no_overlap() -> None:
    clocks = [
        ("a", clock(0, 10)),
        ("b", clock(5, 15, boot="x")),
        ("c", clock(5, 15, machine="x")),
        ("d", clock(10, 12)),
    ]
    assert overlapping(clocks) == set()
    assert overlapping([*clocks, ("e", clock(9, 11))]) == {"a", "d", "e"}


stretches = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1000), st.integers(1, 300)), min_size=1, max_size=12)


def union_s(some: Sequence[tuple[int, int]]) -> int:
    return len({second for begin, length in some for second in range(begin, begin + length)})


@settings(max_examples=60, deadline=None)
@given(stretches, st.randoms(use_true_random=False))
def test_the_energy_is_power_times_the_measure_of_the_union_in_any_order(
    some: list[tuple[int, int, int]], order: random.Random
) -> None:
    meters = [
        meter_of(
            f"run {n}",
            clock(begin, begin + length, machine=str(machine)),
            sensors_of(components(CPU_W * length / 3.6e6, GPU_W * length / 3.6e6), str(machine)),
        )
        for n, (machine, begin, length) in enumerate(some)
    ]
    counted = counted_once(meters)
    seconds = sum(union_s([(begin, length) for m, begin, length in some if m == machine]) for machine in range(3))
    energies = {run_id: math.fsum(parts.values()) for run_id, parts in counted.energy_kwh.items()}
    assert math.fsum(energies.values()) == pytest.approx((CPU_W + GPU_W) * seconds / 3.6e6, rel=1e-9)
    assert math.fsum(counted.duration_s.values()) == seconds
    # what was measured, less what was taken off, is what counts
    for n, (_, _, length) in enumerate(some):
        off = math.fsum(shared.energy_kwh for shared in counted.shared if shared.run_id == f"run {n}")
        assert (CPU_W + GPU_W) * length / 3.6e6 - off == pytest.approx(energies[f"run {n}"], abs=1e-12)
    order.shuffle(meters)
    assert counted_once(meters) == counted


@settings(max_examples=12, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["fine-tuning", "search", "evaluation", None]),
            st.integers(0, 500),
            st.integers(1, 300),
            st.sampled_from([GERMANY, FRANCE, NOWHERE]),
            st.sampled_from(["m1", "m2"]),
        ),
        min_size=1,
        max_size=6,
    ),
    st.randoms(use_true_random=False),
)
def test_the_splits_add_up_and_the_order_of_runs_changes_nothing(some: list[Any], order: random.Random) -> None:
    runs = [
        run_of(metered(f"run {n}", begin, begin + length, purpose=what, machine=machine, foot={"grid": grid}))
        for n, (what, begin, length, grid, machine) in enumerate(some)
    ]
    told = ledger(runs)
    assert math.fsum(value(share.energy) for share in told.shares) == value(told.energy)
    assert math.fsum(value(there.energy) for there in told.places) == pytest.approx(value(told.energy), rel=1e-12)
    assert math.fsum(
        value(entry.counted) for entry in told.entries if entry.counted.value is not None
    ) == pytest.approx(value(told.energy), rel=1e-12)
    assert sum(share.duration_s for share in told.shares) == pytest.approx(told.duration_s)
    if all(share.emissions.value is not None for share in told.shares):
        assert math.fsum(value(share.emissions) for share in told.shares) == pytest.approx(value(told.emissions))
    order.shuffle(runs)
    assert ledger(runs) == told


# intervals


def test_errors_of_two_machines_cancel_in_part_and_those_of_one_do_not() -> None:
    together = of(metered("a", 0, 100), metered("b", 200, 300))
    apart = of(metered("a", 0, 100), metered("b", 200, 300, machine="other"))
    alone = of(metered("a", 0, 100))

    def width(told: Ledger) -> float:
        assert told.energy.low is not None and told.energy.high is not None
        return (told.energy.high - told.energy.low) / value(told.energy)

    assert width(together) == pytest.approx(width(alone))
    # independent and alike: about one over the root of two
    assert width(apart) == pytest.approx(width(alone) / math.sqrt(2), rel=0.03)


def test_of_one_run_the_interval_is_that_of_its_record() -> None:
    record = metered("a", 0, 100)
    told = of(record)
    assert (told.energy.low, told.energy.high) == pytest.approx(
        (record.footprint.energy_low_kwh, record.footprint.energy_high_kwh)
    )
    # the grid factor is drawn by another generator
    assert (told.emissions.low, told.emissions.high) == pytest.approx(
        (record.footprint.emissions_low_kg, record.footprint.emissions_high_kg), rel=0.01
    )


def test_a_place_that_is_not_known_makes_the_emissions_an_interval_with_a_reason() -> None:
    told = of(metered("a", 0, 100, foot={"pue": None}), metered("b", 200, 300, foot={"grid": NOWHERE, "pue": None}))
    assert told.emissions.value is None
    assert (
        told.emissions.reason
        == "the location of 1 of 2 parts is unknown: the interval spans the world's countries there"
    )
    assert told.emissions.low is not None and told.emissions.high is not None
    # the known part alone would be 0.00381 kg; of the other the world's lowest and highest
    assert 0.01 * (0.32 + 0.0247) * 0.85 < told.emissions.low < 0.01 * (0.381 + 0.0247)
    assert 0.01 * (0.381 + 1.0121) < told.emissions.high < 0.01 * (0.442 + 1.0121) * 1.25
    assert [there.emissions.value is None for there in told.places] == [False, True]


def test_each_place_has_its_own_factor_and_pue() -> None:
    told = of(
        metered("a", 0, 100, foot={"pue": 1.5}),
        metered("b", 200, 300, foot={"pue": None}),
        metered("c", 400, 500, foot={"grid": FRANCE, "pue": 1.1}),
    )
    assert value(told.emissions) == pytest.approx(0.01 * (0.381 * 1.5 + 0.381 + 0.05 * 1.1), abs=EXACT)
    assert len(told.places) == 3


def test_water_is_told_where_every_part_has_a_wue() -> None:
    told = of(metered("a", 0, 100, foot={"wue": 2.0}), metered("b", 200, 300, foot={"wue": 1.0}))
    assert told.water is not None and value(told.water) == pytest.approx(0.03, abs=EXACT)
    bare = of(metered("a", 0, 100, foot={"wue": 2.0}), metered("b", 200, 300))
    assert bare.water is not None and bare.water.value is None
    assert bare.water.reason == "1 of 2 parts have no WUE; the others used 0.02 l"
    assert of(metered("b", 200, 300)).water is None


# purposes


@pytest.mark.parametrize(
    ("changes", "group"),
    [
        ({"purpose": "pretraining"}, "pretraining"),
        ({"purpose": None}, "not said"),
        ({"purpose": None, "kind": "trial"}, "search"),
        ({"purpose": None, "spans": SEARCH}, "search"),
        ({"purpose": "fine-tuning", "spans": SEARCH}, "search"),
        ({"purpose": "fine-tuning", "spans": (*SEARCH, span("9", 380, 400, phase="train"))}, "fine-tuning"),
    ],
)
def test_a_run_is_for_what_it_says_or_what_its_trials_say(changes: dict[str, Any], group: str) -> None:
    assert purpose(metered("a", 0, 400, **changes))[0] == group


def test_runs_without_energy_are_told_and_make_the_total_a_lower_bound() -> None:
    told = of(metered("a", 0, 100), metered("b", 200, 300, foot={"failure": "torch sees 2 GPUs, but 1 were metered"}))
    assert value(told.energy) == pytest.approx(0.01, abs=EXACT)
    assert told.notes == (NO_ENERGY.format("b"),)
    assert told.entries[1].counted.reason == "torch sees 2 GPUs, but 1 were metered"


def test_a_meter_that_left_no_record_here_is_named() -> None:
    told = of(metered("a", 0, 100, overlaps=(Overlap(run_id="elsewhere", began_before=True),)))
    assert told.notes == ("1 meter that ran meanwhile has no record here: elsewhere",)


# searches


def search_of(*spans: Any, **how: Any) -> Any:
    told = of(metered("s", 0, 400, spans=spans), **how)
    return told.searches[0]


def test_without_quality_the_factor_is_absent_until_the_best_is_named() -> None:
    bare = [trial(n, 100 * n, 100 * n + 50) for n in range(3)]
    found = search_of(*bare)
    assert found.factor.value is None
    assert found.factor.reason == (
        "no quality was noted of a trial that came to its end: name the best one with --best"
    )
    for name in ("trial 2", "s/trial 2"):
        named = search_of(*bare, best=[name])
        assert (named.best, value(named.factor)) == ("trial 2", pytest.approx(0.04 / 0.005, abs=EXACT))
    with pytest.raises(UsageError, match="no search has a trial 'trial 9'"):
        search_of(*bare, best=["trial 9"])
    with pytest.raises(UsageError, match="several trials that --best could mean"):
        search_of(*bare, best=["trial 1", "trial 2"])


def test_a_pruned_or_failed_trial_is_not_the_best() -> None:
    found = search_of(trial(0, 0, 50, value=0.5), trial(1, 50, 70, "pruned", 0.99), trial(2, 70, 80, "failed", 1.0))
    assert found.best == "trial 0"
    none = search_of(trial(1, 50, 70, "pruned", 0.99))
    assert none.factor.reason == "no trial came to its end"


def test_the_lower_one_is_the_best_of_a_loss_and_a_loss_comes_second() -> None:
    def noted(number: int, *quality: Any) -> Any:
        return trial(number, 100.0 * number, 100.0 * number + 50).model_copy(update={"quality": quality})

    loss = [accuracy(v, metric="loss", higher_is_better=False) for v in (0.4, 0.2)]
    found = search_of(noted(0, loss[0]), noted(1, loss[1]))
    assert (found.metric, found.best) == ("loss", "trial 1")
    both = (noted(0, loss[0], accuracy(0.9)), noted(1, loss[1], accuracy(0.8)))
    assert (search_of(*both).metric, search_of(*both).best) == ("accuracy", "trial 0")
    assert search_of(*both, metric="loss").best == "trial 1"


def test_trials_at_the_same_time_have_no_energy_of_their_own() -> None:
    found = search_of(trial(0, 0, 100, value=0.5), trial(1, 50, 150, value=0.6))
    assert found.factor.value is None and "at the same time" in (found.factor.reason or "")


def test_the_interval_of_a_factor_is_wide_where_sensors_have_other_shares() -> None:
    only_cpu = trial(0, 0, 100, value=0.9).model_copy(
        update={"components": {"cpu": 0.01, "gpu": 0.0}, "energy_kwh": 0.01}
    )
    found = search_of(only_cpu)
    assert found.factor.low < value(found.factor) * 0.9 and found.factor.high > value(found.factor) * 1.1


def test_final_runs_are_named_or_those_that_say_so() -> None:
    runs = [run_of(metered("aa", 0, 100)), run_of(metered("bb", 200, 300))]
    bare = ledger([replace(run, group="not said") for run in runs])
    assert bare.overhead.factor.value is None and "--final" in (bare.overhead.factor.reason or "")
    assert value(ledger(runs, final=["bb"]).overhead.factor) == pytest.approx(2, abs=EXACT)
    with pytest.raises(UsageError, match="is none here"):
        ledger(runs, final=["cc"])


# quality against cost


def point(label: str, quality: float, cost: float) -> Point:
    return Point(run_id=label, label=label, quality=quality, cost=cost, low=None, high=None)


points = st.lists(st.tuples(st.integers(0, 6), st.integers(1, 6)), min_size=1, max_size=12)


@given(points, st.booleans())
def test_the_front_is_what_no_other_point_beats(some: list[tuple[int, int]], higher: bool) -> None:
    every = [point(f"p{n}", quality, cost) for n, (quality, cost) in enumerate(some)]

    def beats(a: Point, b: Point) -> bool:
        better, as_good = (
            (a.quality > b.quality, a.quality >= b.quality)
            if higher
            else (
                a.quality < b.quality,
                a.quality <= b.quality,
            )
        )
        return as_good and a.cost <= b.cost and (better or a.cost < b.cost)

    front, beaten = split(every, higher)
    assert {p.label for p in front} == {p.label for p in every if not any(beats(other, p) for other in every)}
    assert {p.label for p, _ in beaten} == {p.label for p in every} - {p.label for p in front}
    assert all(beats(by, p) for p, by in beaten)


def test_a_step_along_the_front_says_what_it_gains_and_costs() -> None:
    first, second = steps([point("a", 0.5, 1), point("b", 0.7, 2), point("c", 0.7, 2)], True)
    assert (first.gain, first.cost, first.per_unit) == (pytest.approx(0.2), 1, pytest.approx(0.2))
    assert second.per_unit is None
    (lower,) = steps([point("a", 0.5, 1), point("b", 0.1, 5)], False)
    assert (lower.gain, lower.per_unit) == (pytest.approx(0.4), pytest.approx(0.1))


def test_the_picture_of_a_task_holds_trials_and_trainings(told: Ledger) -> None:
    (front,) = told.fronts
    assert (front.task, front.metric, front.unit) == ("topics", "accuracy", "kg")
    assert [p.label for p in front.front] == [
        "search c, trial 4",
        "search b, trial 0",
        "search a, trial 1",
        "fine-tune",
    ]
    assert len(front.dominated) == 3 + 2 + 5 - 3
    gains = [step.gain / step.cost for step in front.steps]
    assert [step.per_unit for step in front.steps] == pytest.approx(gains)
    assert gains[0] == pytest.approx((0.7 - 0.54) / ((0.005 - 0.002) * 1.2 * 0.381))
    assert all(s.low < s.per_unit < s.high for s in front.steps)  # type: ignore[operator]


def test_where_a_place_is_not_known_the_picture_is_by_energy() -> None:
    told = of(
        metered("a", 0, 100, quality=(accuracy(0.8),)),
        metered("b", 200, 400, quality=(accuracy(0.9),), foot={"grid": NOWHERE}),
        metered("c", 500, 600, quality=(accuracy(0.9),), foot={"failure": "no sensor"}),
    )
    (front,) = told.fronts
    assert (front.unit, front.unit_reason) == ("kWh", "the emissions of 1 of 3 models are not known")
    assert front.without == (("c", "no sensor"),)
    assert front.steps[0].per_unit == pytest.approx(0.1 / 0.01)


# stores


def test_an_empty_store_has_an_empty_ledger(tmp_path: Path) -> None:
    told = ledger(*read_runs(tmp_path / "nothing"))
    assert (told.entries, told.shares, told.searches, told.fronts, told.notes) == ((), (), (), (), ())
    assert value(told.energy) == 0 and told.overhead.factor.value is None


def test_a_store_of_audits_alone_has_a_ledger(tmp_path: Path) -> None:
    keep(tmp_path, audit("a", (0, 100)))
    told = ledger(*read_runs(tmp_path))
    assert [share.group for share in told.shares] == ["audit"] and value(told.energy) == pytest.approx(0.01)


def test_damaged_and_unfinished_runs_are_told_and_not_counted(tmp_path: Path) -> None:
    for name in ("a", "b"):
        keep(tmp_path, metered(name, 0, 100))
    (tmp_path / "a" / "run.json").write_text('{"run_id": ', encoding="utf-8")
    keep(tmp_path, audit("c", (200, 300)))
    (tmp_path / "c" / "run.json").unlink()
    runs, others = read_runs(tmp_path)
    assert [run.run_id for run in runs] == ["b"]
    assert [(run.run_id, run.status) for run in others] == [("a", "its record cannot be read"), ("c", "unfinished")]
    assert others[1].hint == "repeat its audit command with --resume"


def test_the_order_of_a_whole_project_changes_nothing() -> None:
    records = project()
    forwards = of(*records)
    assert of(*reversed(records)) == forwards


def test_counting_some_runs_alone_counts_no_others() -> None:
    runs = [run_of(record) for record in searches()]
    assert set(count(runs[:1]).energy_kwh) == {runs[0].run_id}


def test_runs_that_name_no_machine_share_their_errors() -> None:
    run: Run = run_of_audit(audit("a", (0, 100), clocks=False))
    assert {sensor.machine for stretch in run.stretches for sensor in stretch.energies} == {UNKNOWN_MACHINE}
    assert Sensor(machine="", component="cpu", sensor="load model", half_width=0.5) in run.stretches[0].energies
    assert isinstance(footprint_of(1.0).segments, tuple) and Segment.model_fields["clock"].default is None
