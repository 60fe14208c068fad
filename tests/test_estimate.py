"""What a training would take before it runs: against published trainings, arithmetic, and one that is run here."""

import json
import math
import random
import statistics
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairprint.audit.carbon import Conditions, Meter
from fairprint.audit.estimate import DRAWS, Attention, Foretold, Machine, Planned, Prior, foretell
from fairprint.audit.grid import resolve_grid
from fairprint.audit.references import references
from fairprint.audit.this_machine import measure_machine
from fairprint.probes.errors import UsageError
from fairprint.reports.cli import main

NOWHERE, KOREA = resolve_grid(), resolve_grid("KOR", now_year=2026)
EXACT = resolve_grid(kg_per_kwh=0.429)
GPT_3 = Planned(parameters=175e9, tokens=300e9, achieved_flops=24.6e12, power_w=330, pue=1.10)
OWN = Machine(flop_per_second=1e11, power_w=((60.0, 0.5), (20.0, 0.6)), told="measured for the test")


def drawn(found: Foretold) -> set[str]:
    return {prior.name for prior in found.priors if prior.shape not in ("given", "measured")}


# published trainings


def test_the_interval_of_gpt_3_from_its_published_inputs_holds_its_published_energy_and_emissions() -> None:
    found = foretell(GPT_3, EXACT)

    assert drawn(found) == {"operations"}
    assert found.energy_kwh.low < 1_287_000 < found.energy_kwh.high
    assert found.emissions_kg.low < 552_100 < found.emissions_kg.high
    assert found.energy_kwh.high < 1.15 * found.energy_kwh.low, "and is not wide for that"


def test_the_counted_operations_of_gpt_3_leave_nothing_to_draw() -> None:
    found = foretell(replace(GPT_3, flop=314e21), EXACT)

    assert drawn(found) == set() and found.shares == {}
    assert found.energy_kwh.low == found.energy_kwh.high == pytest.approx(314e21 / 24.6e12 * 330 * 1.1 / 3.6e6)
    assert found.energy_kwh.value == pytest.approx(1_287_000, rel=1e-3)


@pytest.mark.parametrize(
    ("flop", "speed", "watts", "pue", "mwh"),
    [(40.5e21, 45.6e12, 310, 1.12, 85.7), (13.3e21, 48e12, 288, 1.09, 24.1), (82.2e21, 34.4e12, 245, 1.10, 179)],
)
def test_the_other_trainings_of_patterson_come_out_as_published(
    flop: float, speed: float, watts: float, pue: float, mwh: float
) -> None:
    planned = replace(GPT_3, flop=flop, achieved_flops=speed, power_w=watts, pue=pue)

    assert foretell(planned, NOWHERE).energy_kwh.value == pytest.approx(1000 * mwh, rel=0.005)


def test_the_power_that_is_drawn_for_a_v100_leaves_room_for_gpt_3() -> None:
    found = foretell(replace(GPT_3, power_w=None, hardware="v100"), EXACT)

    assert drawn(found) == {"operations", "power"} and next(iter(found.shares)) == "power"
    assert found.energy_kwh.low < 1_287_000 < found.energy_kwh.high


# arithmetic


def given_all(**changes: Any) -> Planned:
    fields: dict[str, Any] = {"flop": 6e18, "achieved_flops": 1e14, "power_w": 500, "pue": 1.2}
    return Planned(parameters=1e9, tokens=1e9, **fields | changes)


def test_what_is_all_given_is_plain_arithmetic() -> None:
    found = foretell(given_all(devices=4), EXACT)

    assert found.duration_s.value == pytest.approx(6e18 / 1e14 / 4)
    assert found.machine_energy_kwh.value == pytest.approx(60_000 * 500 / 3.6e6)
    assert found.energy_kwh.value == pytest.approx(60_000 * 500 / 3.6e6 * 1.2)
    assert found.emissions_kg.value == pytest.approx(60_000 * 500 / 3.6e6 * 1.2 * 0.429)


@given(st.integers(1, 4096))
@settings(max_examples=5)
def test_devices_share_the_work_and_change_no_energy(devices: int) -> None:
    one = foretell(given_all(flop=None, pue=None), KOREA)
    many = foretell(given_all(flop=None, pue=None, devices=devices), KOREA)

    assert many.duration_s.value == pytest.approx((one.duration_s.value or 0) / devices)
    assert many.energy_kwh.low == pytest.approx(one.energy_kwh.low)


def test_operations_are_6nd_of_the_active_parameters_with_attention_where_it_is_known() -> None:
    shape = Attention(layers=30, width=576, sequence=2048)
    planned = Planned(parameters=8e9, active_parameters=1e9, tokens=2e9, attention=shape)
    planned = replace(planned, achieved_flops=1e14, power_w=300)

    assert foretell(planned, NOWHERE).flop == 6 * 1e9 * 2e9 + 12 * 30 * 576 * 2048 * 2e9
    assert foretell(replace(planned, attention=None, per_parameter=4), NOWHERE).flop == 4 * 1e9 * 2e9


def test_the_interval_is_that_of_draws_made_by_hand() -> None:
    planned = Planned(parameters=1e9, tokens=1e9, hardware="h100-sxm", peak_flops=1e15)
    found, source = foretell(planned, KOREA), random.Random(7)
    energies = sorted(
        6e18
        * source.triangular(0.95, 1.1, 1.0)
        / (1e15 * source.triangular(0.30, 0.50, 0.40))
        * source.triangular(1.0, 1.2, 1.08)
        * source.triangular(850, 1300, 1050)
        * source.uniform(1.1, 1.6)
        / 3.6e6
        for _ in range(DRAWS)
    )
    by_hand = (energies[DRAWS // 20], energies[DRAWS // 2], energies[-DRAWS // 20])

    assert (found.energy_kwh.low, found.energy_kwh.value, found.energy_kwh.high) == pytest.approx(by_hand, rel=0.02)
    assert found.emissions_kg.value == pytest.approx(by_hand[1] * (KOREA.kg_per_kwh or 0), rel=0.02)
    assert drawn(found) == {"operations", "speed", "wall overhead", "power", "PUE", "grid factor"}


def test_shares_are_of_the_variance_of_the_logarithm_and_add_up_to_one() -> None:
    found = foretell(Planned(parameters=1e9, tokens=1e9, hardware="h100-sxm", peak_flops=1e15), KOREA)
    source = random.Random(3)
    pue = statistics.pvariance([math.log(source.uniform(1.1, 1.6)) for _ in range(DRAWS)])
    speed = statistics.pvariance([math.log(source.triangular(0.3, 0.5, 0.4)) for _ in range(DRAWS)])

    assert sum(found.shares.values()) == pytest.approx(1)
    assert list(found.shares.values()) == sorted(found.shares.values(), reverse=True)
    assert found.shares["PUE"] / found.shares["speed"] == pytest.approx(pue / speed, rel=0.05)


def test_what_is_given_is_no_longer_drawn_and_the_interval_narrows() -> None:
    planned = Planned(parameters=1e9, tokens=1e9, hardware="a100-sxm", peak_flops=1e14)
    widths = []
    known: list[dict[str, Any]] = [{}, {"mfu": 0.4}, {"pue": 1.2}, {"power_w": 450.0}]
    for changes in known:
        planned = replace(planned, **changes)
        energy = foretell(planned, NOWHERE).energy_kwh
        widths.append(energy.high / energy.low)

    assert widths == sorted(widths, reverse=True) and len(set(widths)) == 4


def test_without_a_place_the_emissions_span_the_world_and_have_no_value() -> None:
    found = foretell(given_all(), NOWHERE)

    assert found.emissions_kg.value is None and "location unknown" in (found.emissions_kg.reason or "")
    assert found.emissions_kg.low == pytest.approx(10 * NOWHERE.low_kg_per_kwh)
    assert found.emissions_kg.high == pytest.approx(10 * NOWHERE.high_kg_per_kwh)


def test_two_versions_of_one_name_widen_the_power() -> None:
    (power,) = (
        prior
        for prior in foretell(given_all(power_w=None, hardware="a100-pcie"), NOWHERE).priors
        if prior.name == "power"
    )

    assert power.values == pytest.approx((0.85 * 250, 1.2 * 275, 1.857 * 300)) and "250 to 300 W" in power.origin


@pytest.mark.parametrize("key", references().hardware)
def test_every_accelerator_of_the_table_can_be_planned_with(key: str) -> None:
    found = foretell(given_all(power_w=None, hardware=key), NOWHERE)
    (power,) = (prior for prior in found.priors if prior.name == "power")
    low, mode, high = power.values

    assert 0 < low < mode < high and found.energy_kwh.low < found.energy_kwh.high


def test_a_log_normal_draw_has_its_half_width() -> None:
    prior = Prior(name="power", shape="log-normal", values=(10.0,), half_widths=(0.5,), unit="W", origin="")
    source = random.Random(1)
    cuts = statistics.quantiles([prior.draw(source) for _ in range(DRAWS)], n=20)

    assert cuts[0] == pytest.approx(10 / 1.5, rel=0.02) and cuts[-1] == pytest.approx(15, rel=0.02)


def test_this_machine_has_no_overhead_of_a_data_centre_unless_it_is_given() -> None:
    own = Planned(parameters=1e7, tokens=1e6, machine=OWN)

    assert foretell(own, KOREA).energy_kwh == foretell(own, KOREA).machine_energy_kwh
    stands_in_one = foretell(replace(own, pue=1.5), KOREA)
    assert stands_in_one.energy_kwh.value == pytest.approx(1.5 * (stands_in_one.machine_energy_kwh.value or 0))
    assert {"speed", "power", "wall overhead"} <= drawn(foretell(own, KOREA))


# this machine


def test_the_speed_and_power_of_this_machine_are_measured() -> None:
    machine = measure_machine("cpu", seconds=0.4)

    assert 1e8 < machine.flop_per_second < 1e15
    assert machine.power_w and all(watts > 0 and half_width > 0 for watts, half_width in machine.power_w)
    assert machine.told.startswith("measured for 0.4 s on the processor (CPU by ")


def test_a_power_that_is_given_needs_no_sensor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairprint.audit.this_machine.Meter", None)
    machine = measure_machine("cpu", power=False, seconds=0.1)

    assert machine.power_w == () and machine.told == "measured for 0.1 s on the processor"
    found = foretell(Planned(parameters=1e7, tokens=1e6, machine=machine, power_w=65), KOREA)
    assert found.machine_energy_kwh.value == pytest.approx(65 * (found.duration_s.value or 0) / 3.6e6)


def test_a_machine_whose_power_cannot_be_read_is_refused_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**settings: Any) -> None:
        raise RuntimeError("no sensor answers")

    monkeypatch.setattr("fairprint.audit.carbon.Session", broken)
    with pytest.raises(UsageError, match="could not be measured: metering did not start: RuntimeError") as error:
        measure_machine("cpu", seconds=0.1)
    assert error.value.hint == "give --power in W"


@pytest.mark.slow
def test_the_interval_of_this_machine_holds_a_training_that_is_run_on_it() -> None:
    import torch
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=8000, hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536
    )
    model = BertModel(config).train()
    batch, length, steps = 16, 32, 15
    parameters = sum(p.numel() for name, p in model.named_parameters() if "embeddings" not in name)
    planned = Planned(parameters=parameters, tokens=batch * length * steps, machine=measure_machine("cpu"))
    optimiser, ids = torch.optim.AdamW(model.parameters()), torch.randint(0, 8000, (batch, length))
    with Meter(Conditions(grid=KOREA, interval_s=0.5)) as meter:
        for _ in range(steps):
            model(input_ids=ids).last_hidden_state.square().mean().backward()
            optimiser.step()
            optimiser.zero_grad()
    found, metered = foretell(planned, KOREA), meter.footprint

    assert metered.energy_kwh is not None and metered.emissions_kg is not None
    assert found.duration_s.low < metered.duration_s < found.duration_s.high
    assert found.energy_kwh.low < metered.energy_kwh < found.energy_kwh.high
    assert found.emissions_kg.low < metered.emissions_kg < found.emissions_kg.high


# what cannot be


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"parameters": 0}, "a number of parameters of 0 is impossible: expected more than 0, such as 135e6"),
        ({"tokens": -1e9}, "a number of tokens of -1e+09 is impossible"),
        ({"tokens": math.nan}, "a number of tokens of nan is impossible"),
        ({"parameters": math.inf}, "a number of parameters of inf is impossible"),
        ({"devices": 0}, "a number of devices of 0 is impossible"),
        ({"flop": 0.0}, "a number of operations of 0 is impossible"),
        ({"power_w": -5}, "a power of -5 is impossible: expected more than 0, such as 400 W a device"),
        ({"pue": 0.9}, "a PUE of 0.9 is impossible"),
        ({"active_parameters": 2e9}, "2e+09 active parameters are more than the model has, 1e+09"),
        ({"achieved_flops": 24.6}, "an achieved speed of 24.6 FLOP/s is impossible"),
        ({"mfu": 0.4}, "an achieved speed says all of the speed: give no peak and no MFU with it"),
        ({"peak_flops": 1e14}, "an achieved speed says all of the speed"),
        ({"achieved_flops": None, "peak_flops": 312}, "a peak of 312 FLOP/s is impossible"),
        ({"achieved_flops": None, "peak_flops": 1e14, "mfu": 40}, "an MFU of 40 is impossible"),
        ({"achieved_flops": None, "hardware": "a100-sxm"}, "the peak speed of a100-sxm is not known to fairprint"),
        ({"achieved_flops": None}, "the peak speed of the hardware is not known"),
        ({"power_w": None}, "neither the hardware nor its power is given"),
        ({"hardware": "a100-sx"}, "unknown hardware 'a100-sx'. Did you mean 'a100-sxm'?"),
        ({"attention": Attention(layers=1, width=1, sequence=1)}, "a number of operations says all of the work"),
        ({"flop": None, "attention": Attention(layers=0, width=1, sequence=1)}, "a number of layers of 0"),
        ({"active_parameters": 5e8}, "a number of operations says all of the work: give no active parameters"),
        ({"machine": OWN, "devices": 2}, "this machine is measured as a whole"),
    ],
)
def test_what_is_impossible_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as error:
        foretell(replace(given_all(), **changes), NOWHERE)

    assert error.value.message.startswith(said)


# the command


def fairprint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: str
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["fairprint", *arguments.split()])
    monkeypatch.setenv("COLUMNS", "160")
    with pytest.raises(SystemExit) as stop:
        main()
    told = capsys.readouterr()
    return int(stop.value.code or 0), told.out, told.err


def test_the_command_prints_results_priors_their_sources_and_what_dominates(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "estimate --parameters 135e6 --tokens 1e9 --hardware a100-sxm --peak-flops 1e14 --country-iso-code KOR"
    code, out, _ = fairprint(monkeypatch, capsys, line)
    found = foretell(Planned(parameters=135e6, tokens=1e9, hardware="a100-sxm", peak_flops=1e14), resolve_grid("KOR"))

    assert code == 0
    lines = {head: rest for head, _, rest in (each.partition(" ") for each in out.splitlines())}
    assert f"{found.energy_kwh.value:.1f} kWh [" in lines["with"] and "KOR, grid of 2023" in lines["emissions"]
    assert lines["width"].strip().startswith("emissions: mostly the power (power ")
    assert "0.3, 0.4, 0.5" in lines["speed"] and "sitefootprint" in out and "1.1 to 1.6" in lines["PUE"]
    assert "assumption of fairprint" in out and "10,000 independent draws" in out
    assert "trainings of small models rarely reach the speed" in out
    assert "driving an average US passenger car" in out and "  EPA: Greenhouse Gas" in out


def test_a_narrow_interval_has_figures_enough_to_hold_what_is_published(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "estimate --parameters 175e9 --tokens 300e9 --achieved-flops 24.6e12 --power 330 --pue 1.1"
    _, out, _ = fairprint(monkeypatch, capsys, line)

    assert "with PUE   1,310 MWh [1,250 MWh, 1,380 MWh]" in out


def test_the_json_holds_what_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    line = "estimate --parameters 175e9 --tokens 300e9 --achieved-flops 24.6e12 --power 330 --pue 1.1 --json"
    code, out, err = fairprint(monkeypatch, capsys, f"{line} --kg-per-kwh 0.429 --devices 1000")
    told = json.loads(out)

    assert code == 0 and err == ""
    assert told["energy_kwh"]["low"] < 1_287_000 < told["energy_kwh"]["high"]
    assert told["emissions_kg"]["low"] < 552_100 < told["emissions_kg"]["high"]
    assert told["given"] == {
        **{"parameters": 175e9, "tokens": 300e9, "per_parameter": 6, "devices": 1000},
        **{"achieved_flops": 24.6e12, "power_w": 330.0, "pue": 1.1},
    }
    assert told["variance_shares"] == {"operations": 1.0}
    assert {prior["name"]: prior["shape"] for prior in told["priors"]} == {
        **{"operations": "triangular", "peak": "given", "power": "given", "PUE": "given", "grid factor": "given"},
    }
    assert [near["below"]["id"] for near in told["published_runs"]] == [
        "patterson-gpt-3-energy",
        "patterson-gpt-3-emissions",
    ]
    assert all(near["below"]["checked"] for near in told["published_runs"])


def test_the_command_measures_this_machine(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(
        "fairprint.audit.this_machine.measure_machine",
        lambda device, power: measure_machine(device, power=power, seconds=0.3),
    )
    code, out, _ = fairprint(monkeypatch, capsys, "estimate --parameters 11e6 --tokens 2e5 --hardware cpu --json")
    told = json.loads(out)
    shapes = {prior["name"]: prior["shape"] for prior in told["priors"]}

    assert code == 0 and (shapes["peak"], shapes["power"]) == ("measured", "log-normal") and "PUE" not in shapes
    assert told["emissions_kg"]["value"] is None and told["equivalences"] == []
    assert any("no overhead of a data centre" in text for text in told["in_words"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--parameters 1e9", "Missing option '--tokens'"),
        ("--parameters many --tokens 1e9", "Invalid value for '--parameters'"),
        ("--parameters 1e9 --tokens 1e9", "the peak speed of the hardware is not known"),
        (
            "--parameters 135e6 --tokens 1e9 --hardware a100-sxm --country-iso-code KOR",
            "try:   give --peak-flops as the",
        ),
        ("--parameters 1e9 --tokens 1e9 --hardware this --devices 8", "this machine is measured as a whole"),
        ("--parameters 1e9 --tokens 1e9 --hardware this --pue 0.5", "a PUE of 0.5 is impossible"),
        ("--parameters 1e9 --tokens 1e9 --hardware t4 --peak-flops 65", "if that is in TFLOP/s, give 65e12"),
        ("--parameters 1e9 --tokens 1e9 --hardware t4 --peak-flops 1e13 --mfu 30", "if that is in per cent, give 0.3"),
        ("--parameters 1e9 --tokens 1e9 --hardware tpu", "known: h100-sxm, a100-sxm,"),
        ("--parameters 1e9 --tokens 1e9 --layers 3 --hardware t4 --peak-flops 1e13", "attention needs all of --layers"),
        ("--parameters 1e9 --tokens 1e9 --country-iso-code KORE", "unknown country 'KORE'"),
        ("--parameters 1e9 --tokens 1e9 --frozen-base --gradient-checkpointing", "together have no count"),
        ("--parameters 1e9 --tokens 1e9 --flop 1e18 --frozen-base", "--flop says all of the work"),
    ],
)
def test_wrong_usage_ends_with_2_and_a_way_out(
    arguments: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = fairprint(monkeypatch, capsys, f"estimate {arguments}")

    assert code == 2 and out == ""
    assert said in err


@pytest.mark.parametrize(
    ("arguments", "flop"),
    [("", 6e18), ("--gradient-checkpointing", 8e18), ("--frozen-base", 4e18), ("--active-parameters 5e8", 3e18)],
)
def test_options_of_the_work_are_counted(
    arguments: str, flop: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = f"estimate --parameters 1e9 --tokens 1e9 --achieved-flops 1e13 --power 300 --json {arguments}"

    assert json.loads(fairprint(monkeypatch, capsys, line)[1])["flop"] == flop
