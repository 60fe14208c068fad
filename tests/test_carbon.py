"""The meter: places, real CodeCarbon runs on this machine, and arithmetic on their results."""

import inspect
import json
import logging
import os
import platform
import re
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import psutil
import pytest

from fairprint.audit import carbon, carbon_sensors, footprints, grid
from fairprint.audit.records import Component, Footprint, Segment, to_json
from fairprint.probes.errors import UsageError

FRANCE = grid.resolve_grid("FRA", now_year=2026)


def busy(seconds: float) -> float:
    """Keep one core busy and return how long that took."""
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        sum(range(1000))
    return time.perf_counter() - start


def energies(footprint: Footprint) -> list[float]:
    return [part.energy_kwh for part in footprint.components if part.energy_kwh is not None]


@pytest.fixture(scope="module")
def run() -> tuple[Footprint, float]:
    """A run of two seconds in France, and its length by a clock of its own."""
    with carbon.Meter(carbon.Conditions(grid=FRANCE, pue=1.2)) as meter:
        took = busy(2.2)
    return meter.footprint, took


HOSTILE = """
import json, os, socket, sys
from pathlib import Path
def refuse(*args, **kwargs):
    raise AssertionError("the network was used")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from fairprint.audit import carbon, grid
early = [name for name in ("codecarbon", "torch", "pandas") if name in sys.modules]
with carbon.Meter(carbon.Conditions(grid=grid.resolve_grid("FRA"))) as meter:
    sum(range(30_000_000))
files = sorted(str(path) for path in Path().rglob("*"))
print(json.dumps({"early": early, "files": files, "footprint": meter.footprint.model_dump(mode="json")}))
"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, subprocess.CompletedProcess]:
    """A run in a process without a network, under CodeCarbon settings that would spoil it."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / ".codecarbon.config").write_text(
        "[codecarbon]\npue=3\ncountry_iso_code=POL\nforce_cpu_power=5000\nco2_signal_api_token=secret\n"
    )
    settings = {"CODECARBON_FORCE_RAM_POWER": "9000", "CODECARBON_OUTPUT_METHODS": "csv,api", "HOME": str(folder)}
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", HOSTILE],
        cwd=folder,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout), result


def test_france_emits_56_grams_a_kilowatt_hour_in_2023():
    assert FRANCE.kg_per_kwh == pytest.approx(0.0560, abs=5e-5)
    assert FRANCE.year == 2023
    assert grid.resolve_grid(" fra ", now_year=2026) == FRANCE


def test_the_range_of_a_factor_widens_with_its_age():
    fresh = grid.resolve_grid("FRA", now_year=2023)
    assert fresh.high_kg_per_kwh == pytest.approx(1.10 * FRANCE.kg_per_kwh)
    assert FRANCE.low_kg_per_kwh == pytest.approx(0.84 * FRANCE.kg_per_kwh)
    assert "our assumption" in FRANCE.method
    assert grid.resolve_grid("FRA", now_year=2020).method == fresh.method


@pytest.mark.parametrize(
    ("text", "hint"), [("FR", "FRA (France)"), ("UK", "GBR"), ("Gemany", "DEU (Germany)"), ("south korea", "KOR")]
)
def test_an_unknown_country_is_an_error_that_names_the_nearest(text, hint):
    with pytest.raises(UsageError, match="ISO 3166 alpha-3, such as KOR") as caught:
        grid.resolve_grid(text)
    assert hint in caught.value.hint


def test_a_country_like_none_is_an_error_without_a_guess():
    with pytest.raises(UsageError, match="'XYZ'") as caught:
        grid.resolve_grid("XYZ")
    assert caught.value.hint is None


def test_a_country_whose_figure_is_zero_has_no_usable_figure():
    with pytest.raises(UsageError, match="no usable figure"):
        grid.resolve_grid("CAF")


def test_an_unknown_place_spans_the_world():
    world = grid.resolve_grid(None)
    assert world.kg_per_kwh is None
    assert 0 < world.low_kg_per_kwh < 0.03
    assert world.high_kg_per_kwh > 1
    for code in ("PRY", "FRA", "POL", "ZAF"):
        assert world.low_kg_per_kwh < grid.resolve_grid(code).kg_per_kwh < world.high_kg_per_kwh
    assert "location unknown" in world.method


def test_regions_say_that_their_method_is_another():
    california = grid.resolve_grid("usa", region="California")
    assert california.kg_per_kwh == pytest.approx(394.769 * 0.45359237 / 1000)
    assert "not life-cycle" in california.method
    # 0.2 gas and 0.3 oil in 100.01, at 0.7438 and 0.8167 kg/kWh
    assert grid.resolve_grid("CAN", region="quebec").kg_per_kwh == pytest.approx(0.003937, abs=1e-6)


@pytest.mark.parametrize(
    ("country", "region", "text"),
    [("USA", "atlantis", "atlantis"), ("FRA", "brittany", "only for those of USA and CAN"), (None, "texas", "without")],
)
def test_an_unknown_region_is_an_error(country, region, text):
    with pytest.raises(UsageError, match=text):
        grid.resolve_grid(country, region=region)


def test_impossible_input_is_refused_before_anything_starts():
    for wrong in ({"pue": 0.5}, {"pue": float("nan")}, {"interval_s": 0}, {"interval_s": float("inf")}):
        with pytest.raises(UsageError, match="impossible"):
            carbon.Meter(carbon.Conditions(grid=FRANCE, **wrong))


def test_every_setting_of_codecarbon_is_given():
    from codecarbon.emissions_tracker import BaseEmissionsTracker, OfflineEmissionsTracker

    known = set(inspect.signature(BaseEmissionsTracker).parameters)
    known |= set(inspect.signature(OfflineEmissionsTracker).parameters) - {"args", "kwargs"}
    # the first follow from output_methods; the last is neutralised by the token that replaced it
    old = {name for name in known if name.startswith("save_to_")} | {"co2_signal_api_token"}
    assert set(carbon_sensors.settings(1.0, [])) == known - old


def test_a_run_has_energy_in_an_interval_and_its_own_duration(run):
    footprint, took = run
    assert footprint.duration_s == pytest.approx(took, abs=0.3)
    assert footprint.energy_low_kwh < footprint.energy_kwh < footprint.energy_high_kwh
    assert footprint.energy_kwh == pytest.approx(sum(energies(footprint)))
    assert footprint.mean_power_w == pytest.approx(footprint.energy_kwh * 3.6e6 / footprint.duration_s)
    assert footprint.reason is None
    assert 0 <= footprint.measurement_loss < 0.3
    assert [segment.metered for segment in footprint.segments] == [True]


def test_emissions_are_energy_times_pue_times_factor(run):
    footprint, _ = run
    assert footprint.emissions_kg == pytest.approx(footprint.energy_kwh * 1.2 * 0.056039)
    assert footprint.emissions_low_kg < footprint.emissions_kg < footprint.emissions_high_kg
    # two sources of uncertainty are wider than one
    assert footprint.emissions_high_kg / footprint.emissions_kg > footprint.energy_high_kwh / footprint.energy_kwh


def test_memory_costs_its_constant_power_over_the_time_that_samples_cover(run):
    footprint, _ = run
    ram = next(part for part in footprint.components if part.name == "ram")
    watts = float(re.match(r"([\d.]+) W assumed", ram.detail)[1])
    covered_s = footprint.duration_s * (1 - footprint.measurement_loss)
    assert ram.energy_kwh == pytest.approx(watts * covered_s / 3.6e6, rel=0.02)


def test_a_part_that_is_assumed_and_dominates_is_warned_of(run):
    footprint, _ = run
    ram = next(part for part in footprint.components if part.name == "ram")
    dominates = ram.energy_kwh / footprint.energy_kwh >= 0.5
    assert dominates == any("not measured but assumed: ram" in warning for warning in footprint.warnings)


def test_energy_is_attributed_by_cpu_time(run):
    footprint, took = run
    assert 0.1 * took < footprint.own_cpu_s < 1.3 * took + 0.2
    share = footprint.own_cpu_s / footprint.machine_cpu_s
    assert footprint.attributed_energy_kwh == pytest.approx(footprint.energy_kwh * min(1, share))


def test_cpu_time_of_children_is_counted():
    spin = "import time; t = time.process_time()\nwhile time.process_time() - t < 0.5: pass"
    with carbon.Meter(carbon.Conditions(grid=FRANCE)) as meter:
        subprocess.run([sys.executable, "-c", spin], check=True)
    assert meter.footprint.own_cpu_s >= 0.5


def test_the_footprint_of_an_unknown_place_has_energy_but_only_a_range_of_emissions(run):
    footprint = footprints.rebind(run[0], grid=grid.resolve_grid(None), pue=None)
    assert footprint.energy_kwh == run[0].energy_kwh
    assert footprint.emissions_kg is None
    assert "location unknown" in footprint.reason
    assert footprint.emissions_low_kg == pytest.approx(footprint.energy_low_kwh * 0.020)
    assert footprint.emissions_high_kg == pytest.approx(footprint.energy_high_kwh * 1.306025)


def test_the_same_energy_has_other_emissions_elsewhere(run):
    footprint, _ = run
    poland = footprints.rebind(footprint, grid=grid.resolve_grid("POL"), pue=None)
    assert poland.energy_kwh == footprint.energy_kwh
    assert poland.emissions_kg == pytest.approx(footprint.energy_kwh * 0.6619, rel=1e-3)
    assert "not included" in poland.interval_method
    assert footprints.rebind(poland, grid=FRANCE, pue=1.2) == footprint
    with pytest.raises(UsageError, match="PUE"):
        footprints.rebind(footprint, grid=FRANCE, pue=0.9)


def test_the_interval_of_one_component_is_the_log_normal_of_its_half_width():
    cpu = Component(name="cpu", energy_kwh=2.0, sensor="load model", half_width=0.5, detail="")
    totals = footprints.totals_of((cpu,), FRANCE, None, None)
    assert totals["energy_kwh"] == 2.0
    assert totals["energy_low_kwh"] == pytest.approx(2.0 / 1.5, rel=0.02)
    assert totals["energy_high_kwh"] == pytest.approx(2.0 * 1.5, rel=0.02)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_block_that_raises_still_has_a_footprint(error):
    meter = carbon.Meter(carbon.Conditions(grid=FRANCE))
    with pytest.raises(error), meter:
        busy(0.3)
        raise error
    assert meter.footprint.energy_kwh > 0
    assert 0.3 <= meter.footprint.duration_s < 1.5


def test_a_footprint_is_not_there_before_the_end():
    with carbon.Meter(carbon.Conditions(grid=FRANCE)) as meter, pytest.raises(RuntimeError, match="not ended"):
        _ = meter.footprint


def test_a_run_too_short_to_measure_has_no_energy_and_a_reason():
    with carbon.Meter(carbon.Conditions(grid=FRANCE)) as meter:
        pass
    assert meter.footprint.energy_kwh is None
    assert meter.footprint.emissions_kg is None
    assert "below resolution" in meter.footprint.reason


def test_a_meter_that_cannot_start_lets_the_run_go_on(tmp_path, monkeypatch):
    (tmp_path / ".codecarbon.config").write_text("this is no configuration\n")
    monkeypatch.chdir(tmp_path)
    with carbon.Meter(carbon.Conditions(grid=FRANCE)) as meter:
        done = busy(0.2)
    footprint = meter.footprint
    assert done
    assert footprint.duration_s == pytest.approx(done, abs=0.3)
    assert footprint.energy_kwh is None
    assert "did not start: MissingSectionHeaderError" in footprint.reason
    assert [segment.metered for segment in footprint.segments] == [False]
    assert str(tmp_path) not in to_json(footprint)


def test_failed_samples_are_counted_and_what_they_lose_is_shown(monkeypatch):
    def fail(*args: object) -> None:
        raise OSError("no /proc here")

    with carbon.Meter(carbon.Conditions(grid=FRANCE, interval_s=0.1)) as meter:
        with monkeypatch.context() as patch:
            patch.setattr(psutil, "cpu_times", fail)
            busy(0.6)
        busy(0.6)
    assert meter.footprint.energy_kwh > 0
    assert any(re.match(r"\d+ samples failed: OSError", warning) for warning in meter.footprint.warnings)
    assert 0.2 < meter.footprint.measurement_loss < 0.8


def test_sensors_that_fail_at_the_end_leave_no_number(monkeypatch):
    def fail(*args: object) -> None:
        raise OSError("gone")

    with monkeypatch.context() as patch, carbon.Meter(carbon.Conditions(grid=FRANCE, interval_s=10)) as meter:
        busy(0.2)
        patch.setattr(psutil, "cpu_times", fail)
    assert meter.footprint.energy_kwh is None
    assert "did not end: RuntimeError: the sensors could not be read: OSError: gone" in meter.footprint.reason


def test_a_gpu_that_is_not_metered_leaves_no_total(monkeypatch):
    cuda = types.SimpleNamespace(is_available=lambda: True, device_count=lambda: 99)
    with carbon.Meter(carbon.Conditions(grid=FRANCE)) as meter:
        busy(0.2)
        monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(cuda=cuda))
    assert meter.footprint.energy_kwh is None
    assert "torch sees 99 GPUs" in meter.footprint.reason
    assert energies(meter.footprint)


def test_no_thread_and_no_filter_outlives_a_meter():
    before, level = set(threading.enumerate()), logging.getLogger("codecarbon").level
    for _ in range(4):
        with carbon.Meter(carbon.Conditions(grid=FRANCE, interval_s=0.003)):
            busy(0.12)
    time.sleep(0.1)
    assert set(threading.enumerate()) <= before
    assert logging.getLogger("codecarbon").filters == []
    assert logging.getLogger("codecarbon").level == level


def test_without_a_network_a_run_is_metered_in_silence(hostile):
    report, result = hostile
    assert report["footprint"]["energy_kwh"] > 0
    assert result.stderr == ""
    assert len(result.stdout.splitlines()) == 1


def test_importing_the_meter_imports_no_heavy_library(hostile):
    assert hostile[0]["early"] == []


def test_settings_of_codecarbon_are_set_aside_by_name_but_not_by_value(hostile):
    footprint = hostile[0]["footprint"]
    assert footprint["mean_power_w"] < 1000
    assert footprint["grid"]["country_iso_code"] == "FRA"
    assert footprint["emissions_kg"] == pytest.approx(footprint["energy_kwh"] * 0.056039)
    notes = " ".join(footprint["warnings"])
    for name in ("pue (from .codecarbon.config)", "force_ram_power (from CODECARBON_FORCE_RAM_POWER)", "co2_signal"):
        assert name in notes
    assert "secret" not in json.dumps(footprint)


def test_no_file_is_written(hostile):
    assert hostile[0]["files"] == [".codecarbon.config"]


def test_a_footprint_does_not_tell_which_machine_it_was(run):
    text = to_json(run[0])
    for private in ("latitude", "longitude", "hostname", platform.node(), platform.release(), str(Path.cwd())):
        assert private not in text


def test_sensors_are_listed_without_a_run():
    parts = carbon.sensors()
    assert {"cpu", "gpu", "ram"} <= {part.name for part in parts}
    for part in parts:
        assert part.energy_kwh is None
        assert (part.sensor == "none") == (part.half_width is None)
        assert part.detail


def test_a_resumed_run_adds_up_and_lists_the_part_that_was_killed(run):
    footprint, _ = run
    dead = Segment(started_at="2020-01-01T00:00:00+00:00", duration_s=None, metered=False, note="killed")
    whole = footprints.combine([footprint, footprint], [dead], grid=FRANCE, pue=1.2)
    assert whole.energy_kwh == pytest.approx(2 * footprint.energy_kwh)
    assert whole.duration_s == pytest.approx(2 * footprint.duration_s)
    assert whole.own_cpu_s == pytest.approx(2 * footprint.own_cpu_s)
    assert whole.mean_power_w == pytest.approx(footprint.mean_power_w)
    assert whole.energy_high_kwh == pytest.approx(2 * footprint.energy_high_kwh)
    assert whole.emissions_kg == pytest.approx(2 * footprint.emissions_kg)
    assert len(whole.components) == len(footprint.components)
    assert whole.segments[0] == dead and len(whole.segments) == 3
    assert "one segment was killed and not metered: the total is a lower bound" in whole.warnings
    assert footprints.combine([footprint], grid=FRANCE, pue=1.2) == footprint


def test_a_part_whose_meter_failed_adds_no_energy(run):
    footprint, _ = run
    failed = footprint.model_copy(update={"energy_kwh": None, "reason": "broken"})
    whole = footprints.combine([footprint, failed], grid=FRANCE, pue=1.2)
    assert whole.energy_kwh == pytest.approx(footprint.energy_kwh)
    assert whole.mean_power_w == pytest.approx(footprint.mean_power_w)
    assert "one segment was not metered: the total is a lower bound" in whole.warnings


def test_a_run_of_killed_parts_only_has_no_energy():
    dead = Segment(started_at="2020-01-01T00:00:00+00:00", duration_s=None, metered=False, note="killed")
    whole = footprints.combine([], [dead, dead], grid=FRANCE)
    assert whole.energy_kwh is None
    assert whole.reason == "no part of the run was metered"
    assert "2 segments were killed and not metered: the total is a lower bound" in whole.warnings
