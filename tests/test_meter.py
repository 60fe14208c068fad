"""The meter of a run: spans on a curve of energy, checked against clocks of their own and CodeCarbon's own totals."""

import contextlib
import itertools
import json
import math
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairprint.audit import carbon_sensors, metering
from fairprint.audit.budget import Budget
from fairprint.audit.curve import Curve
from fairprint.audit.grid import resolve_grid
from fairprint.audit.journal import read_events
from fairprint.audit.meter import active, current, fate, measure
from fairprint.audit.metered import MeteredRecord, SpanRecord
from fairprint.audit.metered_store import find_metered, metered_runs
from fairprint.probes.errors import StoreError, UsageError

RUN_JOURNAL: dict[str, bytes] = {}


def busy(seconds: float) -> None:
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        sum(range(1000))


class Clocked:
    """Lengths of blocks by a clock of the test's own: of the work inside, and with the marks around it."""

    def __init__(self) -> None:
        self.took_s: dict[str, float] = {}
        self.around_s: dict[str, float] = {}
        self.cpu_s = 0.0

    def work(self, name: str, seconds: float) -> None:
        start, cpu_s = time.perf_counter(), time.process_time()
        busy(seconds)
        self.cpu_s += time.process_time() - cpu_s
        self.took_s[name] = self.took_s.get(name, 0.0) + time.perf_counter() - start

    @contextlib.contextmanager
    def around(self, *names: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        for name in names:
            self.around_s[name] = time.perf_counter() - start


def span(record: MeteredRecord, name: str) -> SpanRecord:
    (found,) = (found for found in record.spans if found.name == name)
    return found


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store") / "runs"


@pytest.fixture(scope="module")
def run(store: Path) -> tuple[MeteredRecord, Clocked, float]:
    """A run with spans beside, inside and across each other, and how long they took; with CodeCarbon's own total."""
    clocked, seen = Clocked(), {}
    close, last = carbon_sensors.Session.close, carbon_sensors.Session.last

    def first(session: carbon_sensors.Session) -> carbon_sensors.Reading:
        # the run begins with CodeCarbon's first sample: on a busy machine that comes some milliseconds after its start
        reading = last(session)
        seen.setdefault("before", sum(reading.energy_kwh.values()))
        return reading

    def closing(session: carbon_sensors.Session) -> None:
        close(session)
        seen["kwh"] = session._tracker.final_emissions_data.energy_consumed - seen["before"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(carbon_sensors.Session, "close", closing)
        patch.setattr(carbon_sensors.Session, "last", first)
        # meters find each other by the temporary folder: those of other tests are none of these
        patch.setattr(tempfile, "tempdir", str(store.parent))
        with measure("a training", store=store, country_iso_code="FRA", pue=1.5, wue=1.8, interval_s=0.5) as outer:
            with clocked.around("data"), measure("data", phase="data"):
                clocked.work("data", 0.8)
            with measure("train", phase="train"):
                for epoch in (0, 1):
                    with clocked.around(f"epoch {epoch}"), measure(f"epoch {epoch}", phase="epoch") as inner:
                        clocked.work(f"epoch {epoch}", 0.7)
                        inner.count(steps=3, samples=24, epochs=1)
                    outer.count(tokens=100)
            first = measure("first").start()
            clocked.work("first", 0.6)
            second = measure("second").start()
            clocked.work("both", 0.6)
            first.stop()
            clocked.work("second", 0.6)
            second.stop()
            with measure("short"):
                pass
    assert outer.record is not None
    RUN_JOURNAL[outer.record.run_id] = find_metered(store, outer.record.run_id).journal.read_bytes()
    return outer.record, clocked, seen["kwh"]


def test_spans_of_known_length_agree_with_another_clock(run: tuple) -> None:
    record, clocked, _ = run
    slack_s = []
    for name in ("data", "epoch 0", "epoch 1"):
        assert clocked.took_s[name] <= span(record, name).duration_s <= clocked.around_s[name]
        slack_s.append(span(record, name).duration_s - clocked.took_s[name])
    # the marks take milliseconds; one of the three may have had to wait for the processor
    assert sorted(slack_s)[1] <= 0.05
    for name, parts in (
        ("train", ("epoch 0", "epoch 1")),
        ("first", ("first", "both")),
        ("second", ("second", "both")),
    ):
        took_s = sum(clocked.took_s[part] for part in parts)
        assert took_s <= span(record, name).duration_s <= took_s + 0.5
    assert sum(clocked.took_s.values()) <= record.footprint.duration_s <= sum(clocked.took_s.values()) + 2


def test_the_energies_of_spans_beside_each_other_add_up(run: tuple) -> None:
    record, _, _ = run
    train, epochs = span(record, "train"), [span(record, f"epoch {n}") for n in (0, 1)]
    assert [found.parent for found in epochs] == [train.span] * 2
    curve = Curve.of(e for e in read_events(RUN_JOURNAL[record.run_id])[0] if e["event"] == "sample")
    cuts = [train.begin_s, epochs[0].begin_s, epochs[0].end_s, epochs[1].begin_s, epochs[1].end_s, train.end_s]
    between = [sum(curve.between(a, b).values()) for a, b in itertools.pairwise(cuts)]
    assert [between[1], between[3]] == pytest.approx([found.energy_kwh for found in epochs], rel=1e-9)
    assert sum(between) == pytest.approx(train.energy_kwh, rel=1e-9)
    first, second = span(record, "first"), span(record, "second")
    both = sum(curve.between(second.begin_s, first.end_s).values())
    together = sum(curve.between(first.begin_s, second.end_s).values())
    assert first.energy_kwh + second.energy_kwh - both == pytest.approx(together, rel=1e-9)


def test_a_span_shorter_than_a_sampling_interval_has_no_energy_and_says_why(run: tuple) -> None:
    short = span(run[0], "short")
    assert short.energy_kwh is None and short.components == {} and "below resolution" in short.reason
    assert short.duration_s < 0.05


def test_energy_is_what_codecarbon_says_itself(run: tuple) -> None:
    record, _, kwh = run
    assert record.footprint.energy_kwh == pytest.approx(kwh, rel=1e-3)


def test_water_mean_power_and_duration_differ_from_codecarbon_on_purpose(run: tuple) -> None:
    """CodeCarbon multiplies a WUE by energy x PUE, though it is litres per kWh at the machines; takes the plain mean of
    its samples' powers, the empty first one included; and counts its own start and stop into the duration."""
    footprint = run[0].footprint
    assert footprint.water_l == pytest.approx(1.8 * footprint.energy_kwh)
    assert footprint.water_l != pytest.approx(1.8 * footprint.energy_kwh * 1.5)
    assert footprint.mean_power_w == pytest.approx(footprint.energy_kwh * 3.6e6 / footprint.duration_s)
    assert footprint.emissions_kg == pytest.approx(footprint.energy_kwh * 1.5 * 0.056039)
    assert footprint.measurement_loss == pytest.approx(0, abs=0.01)


def test_energy_above_idle_is_what_the_load_adds(run: tuple) -> None:
    footprint = run[0].footprint
    if any(part.idle_w is None for part in footprint.components if part.energy_kwh is not None):
        pytest.skip("this machine measures its power")
    floor_w = sum(part.idle_w for part in footprint.components if part.energy_kwh is not None)
    expected = footprint.energy_kwh - floor_w * footprint.duration_s * (1 - footprint.measurement_loss) / 3.6e6
    assert footprint.above_idle_energy_kwh == pytest.approx(expected, rel=0.02)
    assert 0 < footprint.above_idle_energy_kwh < footprint.energy_kwh


def test_work_is_counted_where_it_was_done_and_in_all_around(run: tuple) -> None:
    record, _, _ = run
    assert (span(record, "epoch 0").work.steps, span(record, "epoch 0").work.tokens) == (3, None)
    assert (span(record, "train").work.samples, span(record, "train").work.epochs) == (48, 2)
    assert record.work.model_dump() == {"tokens": 200, "samples": 48, "steps": 6, "epochs": 2, "flops": None}


def test_the_record_is_in_the_store_and_says_how_it_came_about(run: tuple, store: Path) -> None:
    record, clocked, _ = run
    took_s = clocked.took_s
    folder = find_metered(store, record.run_id)
    assert folder.finished and not folder.alive() and folder.record() == record
    assert folder.settle() == record
    assert (record.status, record.kind, record.overlaps) == ("complete", "training", ())
    assert record.footprint.grid.year == 2023 and record.footprint.grid.country_iso_code == "FRA"
    assert {part.sensor for part in record.footprint.components} <= set(carbon_sensors.HALF_WIDTHS) | {"none"}
    assert record.curve[0].time_s == pytest.approx(0, abs=0.01)
    assert sum(record.curve[-1].energy_kwh.values()) == pytest.approx(record.footprint.energy_kwh, rel=1e-6)
    assert record.clock.end_s - record.clock.begin_s == pytest.approx(record.footprint.duration_s)
    # on a busy machine the processor's time is less than what the clock says
    assert 0.5 * clocked.cpu_s < record.footprint.own_cpu_s < 1.3 * sum(took_s.values())
    text = (folder.path / "run.json").read_text() + folder.journal.read_text()
    assert str(store) not in text and "NaN" not in text and "Infinity" not in text


def test_a_run_leaves_nothing_in_the_process(run: tuple) -> None:
    assert active() is None and current() is None and metering.METER not in os.environ
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


# what goes wrong


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ({"country_iso_code": "FR"}, "FRA"),
        ({"country_iso_code": "XYZ"}, "ISO 3166"),
        ({"country_iso_code": "USA", "region": "atlantis"}, "california"),
        ({"country_iso_code": "FRA", "region": "texas"}, "no figures for regions"),
        ({"region": "texas"}, "without a country"),
        ({"cloud_region": "gcp:europe-nort1"}, "gcp:europe-north1"),
        ({"cloud_region": "aws:us-east-1"}, "give the country"),
        ({"cloud_region": "gcp:europe-north1", "country_iso_code": "FIN"}, "give no country"),
        ({"kg_per_kwh": 56.0}, "0.056"),
        ({"kg_per_kwh": -1.0}, "impossible"),
        ({"pue": 0.5}, "PUE"),
        ({"wue": -1.0}, "WUE"),
        ({"interval_s": 0.0}, "interval"),
        ({"budget": Budget(emissions_kg=1.0)}, "needs the place"),
    ],
)
def test_what_is_impossible_is_refused_before_anything_is_written(tmp_path: Path, place: dict, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        measure("x", store=tmp_path / "store", **place)
    assert said in f"{caught.value} {caught.value.hint}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", [{}, {"energy_kwh": 1, "emissions_kg": 1}, {"energy_kwh": 0}, {"emissions_kg": -1}])
def test_an_impossible_budget_is_refused(given: dict) -> None:
    with pytest.raises(UsageError):
        Budget(**given)
    with pytest.raises(UsageError, match="share"):
        Budget(energy_kwh=1, warn_share=0)


def test_a_place_may_be_a_cloud_region_or_a_factor_of_ones_own() -> None:
    cloud = resolve_grid(cloud_region="GCP:europe-north1")
    assert (cloud.country_iso_code, cloud.cloud_region, cloud.year) == ("FIN", "gcp:europe-north1", None)
    assert cloud.low_kg_per_kwh < cloud.kg_per_kwh < cloud.high_kg_per_kwh
    own = resolve_grid("FRA", kg_per_kwh=0.02)
    assert (own.kg_per_kwh, own.low_kg_per_kwh, own.high_kg_per_kwh) == (0.02, 0.02, 0.02)
    assert own.source == "given by the user"


def test_a_store_that_cannot_be_used_is_an_error_before_the_work_begins(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(UsageError, match="not a folder"):
        measure("x", store=file).start()
    with pytest.raises(StoreError, match="cannot be written"):
        measure("x", store=Path("/proc/fairprint")).start()
    assert active() is None


def test_a_block_that_raises_is_truncated_and_says_what_it_raised(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), measure("x", store=tmp_path, interval_s=0.1) as outer:
        with pytest.raises(KeyError), measure("inner", interval_s=0.1):
            busy(0.2)
            raise KeyError
        raise ZeroDivisionError
    assert outer.record.status == "truncated" and outer.record.notes == ("ended by ZeroDivisionError",)
    inner = span(outer.record, "inner")
    assert (inner.status, inner.note) == ("failed", "KeyError") and inner.energy_kwh > 0


def test_what_ends_a_block_is_told_apart() -> None:
    class TrialPruned(Exception):
        pass

    assert fate(None) == fate(SystemExit(0)) == fate(SystemExit(None)) == ("done", "")
    assert fate(TrialPruned()) == ("pruned", "")
    assert fate(SystemExit(3)) == ("failed", "SystemExit")
    assert fate(KeyboardInterrupt()) == ("failed", "KeyboardInterrupt")


def test_sensors_that_do_not_start_leave_the_work_alone_and_no_energy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".codecarbon.config").write_text("this is no configuration\n")
    monkeypatch.chdir(tmp_path)
    with measure("x", store=tmp_path / "runs") as outer, measure("inner"):
        busy(0.2)
    record = outer.record
    assert record.footprint.energy_kwh is None and "did not start" in record.footprint.reason
    assert record.spans[0].energy_kwh is None and record.spans[0].reason == record.footprint.reason
    assert record.spans[0].duration_s == pytest.approx(0.2, abs=0.1)


def test_settings_of_codecarbon_lying_about_are_set_aside_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".codecarbon.config").write_text("[codecarbon]\npue=3\ncountry_iso_code=POL\n")
    monkeypatch.chdir(tmp_path)
    with measure("x", store=tmp_path / "runs", country_iso_code="FRA", interval_s=0.1) as outer:
        busy(0.3)
    footprint = outer.record.footprint
    assert footprint.emissions_kg == pytest.approx(footprint.energy_kwh * 0.056039)
    assert any("pue" in check and "country_iso_code" in check for check in outer.record.checks)


def test_without_a_place_emissions_are_an_interval_over_the_world(tmp_path: Path) -> None:
    with measure("x", store=tmp_path, interval_s=0.1) as outer:
        busy(0.3)
    footprint = outer.record.footprint
    assert footprint.emissions_kg is None and "location unknown" in footprint.reason
    assert (
        footprint.emissions_low_kg < footprint.energy_kwh * 0.1 and footprint.emissions_high_kg > footprint.energy_kwh
    )


def test_only_local_rank_0_meters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    with measure("x", store=tmp_path) as outer, measure("inner") as inner:
        inner.count(steps=1)
    assert (outer.run_id, outer.record, outer.energy_so_far_kwh, list(tmp_path.iterdir())) == (None, None, None, [])


def test_a_spent_budget_is_told_and_kept_in_the_record(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    budget = Budget(energy_kwh=2e-6, warn_share=0.5)
    with measure("x", store=tmp_path, interval_s=0.05, budget=budget) as outer:
        assert not outer.exhausted
        deadline = time.perf_counter() + 10
        while not outer.exhausted and time.perf_counter() < deadline:
            busy(0.05)
        assert outer.exhausted and outer.energy_so_far_kwh >= 2e-6
    assert outer.record.budget.outcome == "exceeded" and outer.record.budget.energy_kwh == 2e-6
    assert [record.message.partition("%")[2] for record in caplog.records if "budget" in record.message]


def test_a_budget_of_emissions_is_a_budget_of_energy_in_its_place() -> None:
    grid = resolve_grid("FRA", kg_per_kwh=0.05)
    assert Budget(emissions_kg=1.0).limit_kwh(grid, 1.25) == pytest.approx(16)
    assert Budget(emissions_kg=1.0).limit_kwh(grid, None) == pytest.approx(20)
    assert Budget(emissions_kg=1.0).limit_kwh(resolve_grid("FRA", kg_per_kwh=0.0), None) == math.inf


# the curve


@pytest.fixture
def line() -> Iterator[Curve]:
    yield Curve([0.0, 1.0, 3.0], [(0.0, 0.0, 0.0), (2.0, 0.0, 1.0), (2.0, 4.0, 2.0)])


def test_energy_between_samples_lies_on_a_straight_line(line: Curve) -> None:
    assert line.at(0.5) == (1.0, 0.0, 0.5) and line.at(2.0) == (2.0, 2.0, 1.5) and line.at(3.0) == (2.0, 4.0, 2.0)
    assert line.at(-0.1) is None and line.at(3.1) is None and Curve().at(0) is None
    assert line.between(0.5, 2.0) == {"cpu": 1.0, "gpu": 2.0, "ram": 1.0}
    assert line.between(0.5, 3.5) is None


@given(
    st.lists(st.floats(0.001, 10), min_size=2, max_size=20),
    st.lists(st.floats(0, 1), min_size=2, max_size=6),
    st.randoms(use_true_random=False),
)
def test_whatever_the_marks_the_parts_add_up_to_the_whole(steps: list[float], marks: list[float], rng) -> None:
    curve, time_s, kwh = Curve(), 0.0, 0.0
    for step in steps:
        curve.times_s.append(time_s)
        curve.energy_kwh.append((kwh, 0.0, kwh / 2))
        time_s, kwh = time_s + step, kwh + rng.random()
    cuts = sorted({0.0, *(mark * curve.times_s[-1] for mark in marks), curve.times_s[-1]})
    parts = [curve.between(a, b) for a, b in itertools.pairwise(cuts)]
    assert sum(part["cpu"] for part in parts) == pytest.approx(curve.energy_kwh[-1][0], abs=1e-9)
    thinned = curve.thinned(5, marks)
    assert thinned[0][1] == curve.energy_kwh[0] and thinned[-1][1] == pytest.approx(curve.energy_kwh[-1])


@pytest.mark.parametrize("seconds", [12, pytest.param(60, marks=pytest.mark.slow)])
def test_the_meter_itself_takes_at_most_one_percent(tmp_path: Path, seconds: int) -> None:
    """Its threads, and what it does in the thread that trains, in CPU time; an epoch takes three seconds."""
    import torch

    model = torch.nn.Sequential(torch.nn.Linear(512, 2048), torch.nn.ReLU(), torch.nn.Linear(2048, 10))
    optimizer, inputs = torch.optim.SGD(model.parameters(), 0.01), torch.rand(256, 512)
    inline_s = 0.0
    with measure("loop", store=tmp_path, country_iso_code="KOR"):
        process_s, thread_s, begin_s = time.process_time(), time.thread_time(), time.perf_counter()
        for epoch in range(seconds // 3):
            before = time.thread_time()
            epoch_span = measure(f"epoch {epoch}", phase="epoch").start()
            inline_s += time.thread_time() - before
            until = time.perf_counter() + 3
            while time.perf_counter() < until:
                optimizer.zero_grad()
                model(inputs).square().mean().backward()
                optimizer.step()
                before = time.thread_time()
                epoch_span.count(steps=1, samples=256)
                inline_s += time.thread_time() - before
            before = time.thread_time()
            epoch_span.stop()
            inline_s += time.thread_time() - before
        threads_s = time.process_time() - process_s - (time.thread_time() - thread_s)
        wall_s = time.perf_counter() - begin_s
    share = (threads_s + inline_s) / wall_s
    print(json.dumps({"threads_s": threads_s, "inline_s": inline_s, "wall_s": wall_s, "share": share}))
    assert share <= 0.01
    assert len(metered_runs(tmp_path)) == 1
