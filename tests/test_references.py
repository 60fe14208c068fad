"""Published figures are what their formulas give from their published inputs, and no unchecked one is ever shown."""

import math
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fairprint.audit import training_cost as cost
from fairprint.audit.references import TO_BASE, equivalences, for_scale, references, shown, sources_of
from fairprint.reports.scale_views import scale
from fairprint.reports.text import plain

FILE = Path(__file__).parents[1] / "audit" / "data" / "references.yaml"
ALL = {figure.id: figure for figure in references().figures}
WITH_FORMULA = [key for key, figure in ALL.items() if figure.formula]
TOLERANCE = 0.005

ROUNDED_FURTHER = {"strubell-transformer-base"}
"""What is printed in so few digits that its rounding alone is more than the tolerance."""


def recomputed(key: str) -> float:
    found = ALL[key].recomputed()
    assert found is not None
    return found


# the oracles: inputs and results as they are published, written here a second time


@pytest.mark.parametrize(
    ("key", "watts", "hours", "pounds", "printed"),
    [
        ("strubell-transformer-base", 1415.78, 12, 25.6, 26),
        ("strubell-transformer-big", 1515.43, 84, 191.9, 192),
        ("strubell-elmo", 517.66, 336, 262.2, 262),
        ("strubell-bert-base", 12041.51, 79, 1433.9, 1438),
        ("strubell-nas", 1515.43, 274_120, 626_155, 626_155),
    ],
)
def test_the_rows_of_strubell_are_hours_times_power_times_pue_times_pounds(
    key: str, watts: float, hours: float, pounds: float, printed: float
) -> None:
    by_hand = watts * hours * 1.58 / 1000 * 0.954

    assert recomputed(key) == pytest.approx(by_hand, rel=1e-12)
    assert by_hand == pytest.approx(pounds, rel=TOLERANCE)
    assert ALL[key].value == printed and ALL[key].unit == "lb"
    assert cost.kg_of_lb(by_hand) == pytest.approx(0.45359 * by_hand, rel=1e-5)


def test_pounds_are_kilograms_as_others_print_them() -> None:
    kilograms = [round(figure.base, 1) for key, figure in ALL.items() if key.startswith("strubell-")]

    assert kilograms[:3] == [11.8, 87.1, 118.8]
    assert [round(found) for found in kilograms[3:]] == [652, 284_019]


def test_a_printed_26_pounds_is_25_6_in_whole_pounds() -> None:
    assert round(recomputed("strubell-transformer-base")) == 26
    assert abs(recomputed("strubell-transformer-base") / 26 - 1) > TOLERANCE


def test_the_pounds_of_bert_lie_within_what_whole_hours_leave_open() -> None:
    figure = ALL["strubell-bert-base"]
    low, high = (cost.emissions_of_hours_lb(**{**figure.inputs, "hours": hours}) for hours in (78.5, 79.5))

    assert low < figure.value < high
    assert (round(low), round(high)) == (1425, 1443), "as the rounding says"


@pytest.mark.parametrize(
    ("key", "flop", "speed", "watts", "pue", "mwh"),
    [
        ("patterson-t5-energy", 40.5e21, 45.6e12, 310, 1.12, 85.7),
        ("patterson-gpt-3-energy", 314e21, 24.6e12, 330, 1.10, 1287),
        ("patterson-gshard-energy", 13.3e21, 48e12, 288, 1.09, 24.1),
        ("patterson-switch-energy", 82.2e21, 34.4e12, 245, 1.10, 179),
    ],
)
def test_the_energies_of_patterson_are_operations_over_speed_times_power_times_pue(
    key: str, flop: float, speed: float, watts: float, pue: float, mwh: float
) -> None:
    assert recomputed(key) == pytest.approx(flop / speed * watts * pue / 3.6e9, rel=1e-12)
    assert recomputed(key) == pytest.approx(mwh, rel=TOLERANCE)
    assert (ALL[key].value, ALL[key].unit) == (mwh, "MWh")


def test_the_operations_of_gpt_3_are_six_for_each_parameter_and_token() -> None:
    assert cost.training_flop(175e9, 300e9) == 3.15e23
    assert ALL["patterson-gpt-3-operations"].value == pytest.approx(3.15e23, rel=TOLERANCE)


def test_the_emissions_of_gpt_3_are_its_energy_at_0_429() -> None:
    assert cost.emissions_kg(1_287_000, 0.429) / 1000 == pytest.approx(552.1, abs=0.05)
    assert recomputed("patterson-gpt-3-emissions") == pytest.approx(552.1, abs=0.05)


def test_bloom_is_its_energy_at_57_grams_and_with_idle_machines_and_their_making_twice_as_much() -> None:
    dynamic, idle = 433_196 * 0.057 / 1000, 256_646 * 0.057 / 1000

    assert dynamic == pytest.approx(24.7, abs=0.05) and idle == pytest.approx(14.6, abs=0.05)
    assert recomputed("bloom-emissions") == pytest.approx(dynamic)
    assert recomputed("bloom-whole") == pytest.approx(dynamic + idle + 11.2)
    assert round(recomputed("bloom-whole"), 1) == 50.5
    parts = [recomputed(f"bloom-embodied-{what}") for what in ("gpus", "servers")]
    assert sum(parts) == pytest.approx(11.2, rel=TOLERANCE)


def test_the_cards_of_llama_2_count_hours_times_400_w_at_a_factor_with_overhead() -> None:
    assert recomputed("llama-2-factor") == pytest.approx(0.4234, rel=TOLERANCE)
    for key, hours, tonnes in (("7b", 184_320, 31.22), ("13b", 368_640, 62.44), ("70b", 1_720_320, 291.42)):
        assert tonnes * 1000 / (hours * 0.4) == pytest.approx(0.4234, rel=1e-3)
        assert recomputed(f"llama-2-{key}") == pytest.approx(tonnes, rel=1e-3)


def test_an_hour_of_1000_kg_over_four_years_is_28_5_g() -> None:
    hour_kg = cost.embodied_kg(1000, 4 * 365 * 24, 1)

    assert round(1000 * hour_kg, 1) == 28.5 == ALL["sci-example"].value
    assert cost.sci_kg(2.0, 0.4, hour_kg, units=10) == pytest.approx((2.0 * 0.4 + 0.0285388) / 10, rel=1e-5)


def test_an_average_car_emits_244_g_a_km() -> None:
    assert recomputed("car-km") == pytest.approx(1000 * 3.93e-4 * 1000 / 1.609344)
    assert round(recomputed("car-km")) == 244


def test_attention_and_utilisation_are_what_their_formulas_say() -> None:
    assert cost.attention_flop(96, 12288, 2048, 300e9) == 12 * 96 * 12288 * 2048 * 300e9
    assert cost.training_flop(1e9, 1e9, per_parameter=cost.WITH_CHECKPOINTING) == 8e18
    assert cost.mfu(3.6e17, 3600, 2, 100e12) == pytest.approx(0.5)
    assert cost.energy_of_hours_kwh(2, 500, 1.2) == pytest.approx(1.2)


# every figure of the file


@pytest.mark.parametrize("key", WITH_FORMULA)
def test_a_figure_is_what_its_formula_gives_within_half_a_per_cent_or_its_rounding(key: str) -> None:
    figure, found = ALL[key], recomputed(key)

    assert figure.rounding, "the rounding is named"
    if key in ROUNDED_FURTHER:
        assert round(found) == figure.value
    else:
        assert found == pytest.approx(figure.value, rel=TOLERANCE)


@pytest.mark.parametrize("key", ALL)
def test_a_figure_says_what_it_is_of_and_where_it_comes_from(key: str) -> None:
    figure = ALL[key]

    assert math.isfinite(figure.value) and figure.value > 0 and figure.unit in TO_BASE
    assert figure.source.short and figure.source.title and figure.source.where
    assert figure.year == figure.source.year or figure.id == "car-km-eu-new"
    assert bool(figure.formula) == bool(figure.inputs)
    of_mass, of_energy = figure.unit in ("g", "kg", "t", "lb"), figure.unit in ("kWh", "MWh")
    assert (figure.quantity == "emissions") == of_mass and (figure.quantity == "energy") == of_energy


def test_the_file_holds_no_number_that_yaml_reads_as_text_and_no_id_twice() -> None:
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    numbers = [figure["value"] for figure in content["figures"]]
    numbers += [value for figure in content["figures"] for value in figure.get("inputs", {}).values()]

    assert {type(number) for number in numbers} <= {int, float}
    assert len(ALL) == len(content["figures"])
    assert {type(figure["checked"]) for figure in content["figures"]} == {bool}


def test_every_source_is_quoted_or_named_by_a_table() -> None:
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    quoted = {figure["source"] for figure in content["figures"]}
    quoted |= {prior["source"] for prior in content["priors"].values() if "source" in prior}

    assert set(content["sources"]) - quoted == {"gpus-csv"}, "the table of hardware names it"


def test_hardware_has_the_full_load_power_of_its_versions() -> None:
    hardware = references().hardware

    assert hardware["a100-pcie"].tdp_w == (250.0, 300.0) and hardware["a100-sxm"].tdp_w == (400.0, 400.0)
    assert hardware["h100-sxm"].it_power_w == (850.0, 1050.0, 1300.0) and hardware["t4"].it_power_w is None


# for scale


def test_equivalences_are_how_often_each_thing_emits_as_much() -> None:
    car, phone, flight = equivalences(24.4)

    assert car.count == pytest.approx(100) and car.figure.id == "car-km"
    assert phone.count == pytest.approx(24_400 / 12.4)
    assert flight.count == pytest.approx(24.4 / 50)


def test_the_runs_next_to_one_are_the_nearest_below_and_above() -> None:
    energy, emissions = for_scale(30.0, 40_000.0)

    assert [f.id for f in (energy.below, energy.above) if f] == ["eco2ai-kandinsky-energy", "dodge-bert-language-model"]
    assert [f.id for f in (emissions.below, emissions.above) if f] == [
        "llmcarbon-xlm-emissions",
        "patterson-t5-emissions",
    ]
    assert [near.quantity for near in for_scale(None, 1.0)] == ["emissions"]
    assert for_scale(None, None) == ()


@given(st.floats(1e-9, 1e12), st.sampled_from(["energy", "emissions"]))
def test_no_published_run_lies_between_one_and_its_neighbours(value: float, quantity: str) -> None:
    (near,) = for_scale(value, None) if quantity == "energy" else for_scale(None, value)
    bases = [f.base for f in shown() if f.kind == "run" and f.quantity == quantity]

    assert (near.below.base if near.below else None) == max((base for base in bases if base <= value), default=None)
    assert (near.above.base if near.above else None) == min((base for base in bases if base > value), default=None)


@given(st.floats(1e-9, 1e12), st.floats(1e-9, 1e12))
def test_what_was_not_checked_is_never_told(energy_kwh: float, emissions_kg: float) -> None:
    view = scale(energy_kwh, emissions_kg)
    told = plain(" ".join(sentence.striptags() for sentence in view.sentences))
    unchecked = [figure for figure in ALL.values() if not figure.checked]

    assert {"patterson-nas-excess", "stable-diffusion", "tree-seedling"} <= {figure.id for figure in unchecked}
    assert [figure.id for figure in unchecked if figure.about in told] == []
    assert set(figure.id for figure in shown()).isdisjoint(figure.id for figure in unchecked)


def test_a_scale_tells_its_numbers_and_each_source_once() -> None:
    view = scale(0.06, 0.027)
    told = [plain(sentence.striptags()) for sentence in view.sentences]

    assert told[0] == (
        "Its emissions, 27 g CO₂e, are about those of driving an average US passenger car for 0.11 km (244 g a km,"
        " EPA), of charging a smartphone 2.2 times (12.4 g each, EPA), or of 0.00054 flights of a passenger from Paris"
        " to London (50 kg each, Green Algorithms)."
    )
    assert told[1] == (
        "Its energy: 60 Wh. The next smaller of the published runs is training DenseNet-121 (0.02 kWh, Dodge et al."
        " 2022); this one is 3.0 times as large. The next larger of the published runs is fine-tuning ruDALL-E Malevich"
        " (1.3 billion parameters) on one A100 (1.37 kWh, Eco2AI); that one is 23 times as large."
    )
    assert told[2].startswith("Its emissions: 27 g. No published run in the table is smaller. The next larger")
    assert [re.split(":", plain(source.striptags()))[0] for source in view.sources] == [
        *("EPA", "Green Algorithms", "Dodge et al. 2022", "Eco2AI"),
    ]
    assert 'href="https://www.epa.gov/' in view.sources[0]


def test_the_largest_run_has_none_above_it() -> None:
    told = plain(" ".join(sentence.striptags() for sentence in scale(2e7, 2e7).sentences))

    assert told.count("No published run in the table is larger.") == 2
    assert "training GPT-3 (1,287 MWh, Patterson et al. 2021); this one is 16 times as large." in told


def test_without_emissions_the_scale_says_why_and_still_tells_the_energy() -> None:
    view = scale(5.0, None, "location unknown")
    told = [plain(sentence.striptags()) for sentence in view.sentences]

    assert told[0] == "What the emissions are like is not available: location unknown."
    assert told[1].startswith("Its energy: 5.0 kWh. The next smaller of the published runs is training ViT-B")
    assert scale(None, None, "no sensor").sources == ()


def test_sources_are_listed_once_in_their_order() -> None:
    figures = [ALL["car-km"], ALL["phone-charge"], ALL["flight-km"]]

    assert [source.short for source in sources_of(figures)] == ["EPA", "Green Algorithms"]
