"""What a page says of a metered run: every number with its interval, its sensor and its factor, or why it is absent."""

import base64
import gzip
import json
import math
import random
import re
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_metered import (
    CONSTANT_W,
    COUNTER_W,
    GERMANY,
    MODEL_W,
    NOWHERE,
    SECONDS,
    below_resolution,
    curve,
    energies,
    footprint,
    kwh,
    many,
    nested,
    of_phases,
    parts,
    sample_metered,
    span,
    truncated,
    without_energy,
)
from sample_record import sample_record
from test_report import HOSTILE, Page

from fairprint.audit.metered import BudgetRecord, CurvePoint, MeteredRecord, Overlap, WorkDone
from fairprint.audit.metered_store import MeteredFolder, metered_runs
from fairprint.audit.records import Component, RunRecord, to_json
from fairprint.audit.spread import part_interval
from fairprint.probes.errors import StoreError
from fairprint.reports import numbers, training_figure, training_spans, training_views
from fairprint.reports.cli import main
from fairprint.reports.html import embedded_records, render_report, write_report
from fairprint.reports.training_checks import checks


def unknown_place() -> MeteredRecord:
    return sample_metered(footprint=footprint(grid=NOWHERE, pue=None, wue=None))


RUNS: dict[str, Callable[[], MeteredRecord]] = {
    "complete": sample_metered,
    "truncated": truncated,
    "unknown place": unknown_place,
    "without energy": without_energy,
}
each_run = pytest.mark.parametrize("which", RUNS)


@cache
def page(which: str = "complete") -> Page:
    return Page(render_report([], metered=[RUNS[which]()]))


def told(run: MeteredRecord) -> str:
    return text_of(Page(render_report([], metered=[run])))


def text_of(parsed: Page) -> str:
    return " ".join(parsed.all("main")[0]["text"].split()).replace(numbers.NBSP, " ")


def table(parsed: Page, caption: str) -> list[list[str]]:
    """Return the cells of the one table whose caption begins so, without its head."""
    (found,) = (t for t in parsed.all("table") if t["text"].strip().startswith(caption))
    inside = [e for e in parsed.elements if found in e["within"] and e["tag"] in ("tr", "th", "td")]
    rows: list[list[str]] = []
    for element in inside:
        if element["tag"] == "tr":
            rows.append([])
        else:
            rows[-1].append(" ".join(element["text"].split()).replace(numbers.NBSP, " "))
    return rows[1:]


def pairs(parsed: Page) -> dict[str, str]:
    """Return the fields of the tables of two columns with their values."""
    captions = ("Time, load", "Grid factor, emissions", "Run")
    return {label: value for caption in captions for label, value in table(parsed, caption)}


def shown(parsed: Page) -> list[float]:
    return [float(e["attrs"]["value"]) for e in parsed.all("data")]


def must_stand(run: MeteredRecord) -> Iterator[float]:
    """Yield the numbers of a record that its page has to show."""
    foot, grid = run.footprint, run.footprint.grid
    values: list[float | None] = [
        *(foot.energy_kwh, foot.energy_low_kwh, foot.energy_high_kwh, foot.duration_s, foot.mean_power_w, foot.pue),
        *(foot.emissions_kg, foot.emissions_low_kg, foot.emissions_high_kg, foot.own_cpu_s, foot.machine_cpu_s),
        *(foot.attributed_energy_kwh, foot.above_idle_energy_kwh, foot.measurement_loss, foot.water_l, foot.wue),
        *(grid.kg_per_kwh, grid.low_kg_per_kwh, grid.high_kg_per_kwh, grid.year),
        *(run.clock.begin_s, run.clock.end_s, run.environment.threads, run.exit_code, run.schema_version),
        *run.work.model_dump().values(),
    ]
    for part in foot.components:
        values += [part.energy_kwh, part.half_width, part.idle_w]
    for each in run.spans:
        values += [each.begin_s, each.duration_s, each.energy_kwh, each.own_cpu_s, *each.work.model_dump().values()]
        values += [each.machine_cpu_s] if each.own_cpu_s is not None else []
    if run.budget is not None:
        limit = run.budget.energy_kwh if run.budget.energy_kwh is not None else run.budget.emissions_kg
        values += [limit, run.budget.warn_share]
    yield from (float(value) for value in values if value is not None)


def is_sound(parsed: Page, run: MeteredRecord) -> None:
    """Check what holds of each page: all numbers, each by its rule, and no word of a program for one that is absent."""
    stand = shown(parsed)
    assert [value for value in must_stand(run) if value not in stand] == []
    for element in parsed.all("data"):
        raw = element["attrs"]["value"]
        value = int(raw) if re.fullmatch(r"-?\d+", raw) else float(raw)
        assert element["text"] == numbers.KINDS[element["attrs"]["data-as"]](value)
    assert not re.search(r"\b(None|NaN|nan|inf|infinity)\b", " ".join(text for _, text in parsed.texts))
    assert not re.search(r"\b(nan|inf|None)\b", " ".join(e["attrs"]["alt"] for e in parsed.all("img")))


@each_run
def test_every_number_of_the_record_stands_on_the_page_rounded_by_its_rule(which: str) -> None:
    is_sound(page(which), RUNS[which]())


def derived(run: MeteredRecord) -> list[float]:
    """Return what follows from the sample record: bounds in proportion, shares, sums by phase, and powers."""
    foot = run.footprint
    assert foot.energy_kwh and foot.energy_low_kwh and foot.energy_high_kwh
    whole = foot.energy_kwh
    scales = [foot.energy_low_kwh / whole, foot.energy_high_kwh / whole]
    per = [whole / 1_024, whole / 2, whole / 250, whole / 2.5, whole / 5]
    scaled = [foot.mean_power_w, foot.attributed_energy_kwh, foot.water_l, *per]
    found = [scale * value for value in scaled for scale in scales if value is not None]
    found += [*per, *(kwh(watts, SECONDS) / whole for watts in (COUNTER_W, MODEL_W, CONSTANT_W)), 0.9]
    for part in foot.components:
        assert part.energy_kwh is not None and part.half_width is not None
        found += [part.energy_kwh / (1 + part.half_width), part.energy_kwh * (1 + part.half_width)]
    lengths = {"data": 60.0, "train": 540.0, "epoch": 270.0 + 268.0, "evaluation": 30.0, "checkpoint": 0.5}
    seconds = [*lengths.values(), *(each.duration_s for each in run.spans), 0.0]
    found += lengths.values()
    found += [sum(energies(s).values()) * scale for s in seconds for scale in (1.0, *scales)]
    found += [s / SECONDS for s in seconds]
    # for scale: a car's km, a phone's charges, a flight; the published runs next to it; how far away
    assert foot.emissions_kg
    found += [foot.emissions_kg / each for each in (0.244, 0.0124, 50)] + [244, 12.4, 50]
    found += [0.02, 1.37, 0.33, whole / 0.02, 1.37 / whole, 0.33 / foot.emissions_kg]
    found += [10.0 * n for n in range(61)] + [COUNTER_W, MODEL_W, CONSTANT_W, COUNTER_W + MODEL_W + CONSTANT_W]
    return found


def test_every_number_on_the_page_is_of_the_record_or_follows_from_it() -> None:
    known = [*must_stand(sample_metered()), *derived(sample_metered())]
    for element in page().all("data"):
        if element["attrs"]["data-as"] != "tally":
            value = float(element["attrs"]["value"])
            assert any(value == pytest.approx(other, rel=1e-9) for other in known), element["attrs"]


def test_the_headline_says_energy_power_sensor_and_emissions_with_intervals_factor_year_and_method() -> None:
    lead = " ".join(page().all("ul")[1]["text"].split()).replace(numbers.NBSP, " ")
    assert lead.startswith(
        "The run took 10 min 00 s, and the machine used 60 Wh of electricity meanwhile (90 % interval "
    )
    assert "360 W on average (" in lead
    first = "Most of this energy, 83 %, comes from a counter of energy (GPU); 11 % from a model of the load (CPU); "
    assert first + "5.6 % from a constant, which measures nothing (RAM)." in lead
    assert "At 381 g/kWh for DEU (2023; life-cycle average) that is 27 g CO₂e (90 % interval " in lead
    assert lead.endswith("with a PUE of 1.2.")


def test_without_a_place_the_emissions_are_a_range_over_the_world_and_no_number() -> None:
    text, told = text_of(page("unknown place")), pairs(page("unknown place"))
    assert "Where it ran is not known, so the emissions are somewhere from 1.4 g to 65 g CO₂e: from the lowest" in text
    assert told["Emissions, CO₂e"] == "not available: the place is unknown"
    assert told["Interval of the emissions"] == "1.4 g to 65 g" and told["Place"] == "unknown"
    assert told["Year of the factor"] == "not available: the source names none"
    assert told["Water at the data centre"] == "not available: no WUE was given"
    (verdict,) = (v for what, v, _ in checks(unknown_place()) if what == "Place")
    assert verdict == "attention"


def test_a_run_without_energy_says_why_everywhere_and_shows_no_figure() -> None:
    reason, parsed = "torch sees 2 GPUs, but 1 were metered", page("without energy")
    text = text_of(parsed)
    assert f"The run took 10 min 00 s; its energy and emissions are not available: {reason}." in text
    assert f"There is no figure of the power over time: {reason}." in text
    assert parsed.all("img") == []
    for label in ("Energy at the machine", "Interval of the emissions", "Mean power", "Water at the data centre"):
        assert pairs(parsed)[label] == f"not available: {reason}"
    assert text.count(f"not available: {reason}") >= len(nested())


def test_an_energy_of_a_component_that_gave_none_is_absent_and_no_zero() -> None:
    gone = Component(name="gpu", energy_kwh=None, sensor="none", half_width=None, detail="no gpu sensor found")
    run = sample_metered(footprint=footprint((*parts()[::2], gone)))
    (row,) = (row for row in table(Page(render_report([], metered=[run])), "Energy by component") if row[0] == "GPU")
    assert row == ["GPU", "not available", "", "none", "", "", "no gpu sensor found"]


def test_components_stand_with_sensor_half_width_interval_and_detail() -> None:
    rows, absent = table(page(), "Energy by component"), "not available: no model says it"
    assert rows == [
        ["CPU", "6.7 Wh", "4.4 Wh to 10 Wh", "load model", "± 50 %", "8.0 W", "from the load; 80 W as listed"],
        ["GPU", "50 Wh", "48 Wh to 53 Wh", "counter", "± 5.0 %", absent, "energy counter of an A100"],
        ["RAM", "3.3 Wh", "2.1 Wh to 5.3 Wh", "constant", "± 60 %", "20 W", "20 W assumed"],
    ]


# for scale


def test_the_page_tells_what_its_energy_and_emissions_are_like_with_sources() -> None:
    text = text_of(page())
    assert "about those of driving an average US passenger car for 0.11 km (244 g a km, EPA)" in text
    assert "training DenseNet-121 (0.02 kWh, Dodge et al. 2022); this one is 3.0 times as large" in text
    assert any(a["attrs"].get("href", "").startswith("https://www.epa.gov/energy/") for a in page().all("a"))

    text = text_of(page("unknown place"))
    assert "What the emissions are like is not available: location unknown" in text and "Its energy: 60 Wh." in text
    assert "DenseNet" not in text_of(page("without energy"))


# spans


def test_spans_stand_inside_of_each_other_with_phase_fate_energy_or_why_not_and_work() -> None:
    rows = table(page(), "Spans in the order")
    assert [row[0] for row in rows] == [
        *("tokenise", "train", "epoch 1", "evaluate", "save", "epoch 2", "micro-epoch"),
    ]
    inside = [e["attrs"]["class"] for e in page().all("span") if e["attrs"].get("class", "").startswith("in")]
    assert inside == ["in1", "in2", "in1", "in1", "in2"]
    assert rows[1][1:5] == ["train", "failed: ValueError", "54 Wh (51 Wh to 58 Wh)", "9 min 00 s"]
    reason = "below resolution: shorter than one sampling interval of 1 s"
    assert rows[4][2:6] == ["done", f"not available: {reason}", "0.50 s", "5:30.0"]
    assert rows[2][7] == "100 steps, 800 samples, 409,600 tokens, 1 epoch, 2.00 petaFLOP"
    assert rows[2][6] == "4 min 03 s of 4 min 30 s" and rows[3][7] == "not counted"


def test_a_phase_counts_no_energy_twice_and_says_what_it_lacks() -> None:
    rows = {row[0]: row[1:] for row in table(page(), "Energy by phase")}
    assert list(rows) == ["data", "train", "epoch", "evaluation", "checkpoint"]
    assert rows["epoch"][:3] == ["2", "8 min 58 s", "54 Wh"], "the epoch inside of an epoch is in it already"
    assert rows["checkpoint"][2].startswith("not available: below resolution")
    assert rows["train"][4] == "90 %"

    run = sample_metered(spans=(span("1", 0, 60, phase="data"), below_resolution("2", 70.0, phase="data")))
    ((_, *row),) = table(Page(render_report([], metered=[run])), "Energy by phase")
    assert row[-1] == "1 without energy, so the sum is a lower bound"


def test_spans_of_a_phase_that_ran_at_the_same_time_are_told() -> None:
    run = sample_metered(spans=(span("1", 0, 60, phase="trial"), span("2", 30, 90, phase="trial")))
    ((_, *row),) = table(Page(render_report([], metered=[run])), "Energy by phase")
    assert row[0] == "2" and row[-1] == "some ran at the same time, and that energy counts for each"


def test_only_the_outermost_spans_of_a_phase_count_whatever_lies_between() -> None:
    spans = of_phases(
        [
            {"phase": "train"},
            {"phase": "epoch", "parent": "0"},
            {"phase": "train", "parent": "1"},
            {"phase": "train", "parent": "elsewhere"},
            {"phase": "data", "parent": "5"},
            {"phase": "data", "parent": "4"},
        ]
    )
    found = {phase: [s.span for s in some] for phase, some in training_spans.outermost(spans).items()}
    assert found["train"] == ["0", "3"] and found["epoch"] == ["1"]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=10))
def test_every_span_is_listed_once_whatever_its_parents_are(parents: list[int]) -> None:
    spans = of_phases([{"parent": str(parent)} for parent in parents])
    listed = training_spans.nested(spans)
    assert sorted(s.span for _, s in listed) == sorted(s.span for s in spans)
    depths = {s.span: depth for depth, s in listed}
    assert all(depths[s.span] <= depths.get(s.parent or "", -1) + 1 for s in spans)


def test_a_long_list_of_spans_is_folded_after_twelve_and_ends_after_two_hundred() -> None:
    parsed = Page(render_report([], metered=[sample_metered(spans=many(230))]))
    assert len(table(parsed, "Spans in the order")) == 12
    caption = "The other 188 spans; 30 more are in the record alone"
    rest = table(parsed, caption)
    assert [rest[0][0], rest[-1][0], len(rest)] == ["trial 12", "trial 199", 188]
    (folded,) = (t for t in parsed.all("table") if t["text"].strip().startswith(caption))
    assert "details" in folded["path"]
    assert any(s["text"].strip() == caption for s in parsed.all("summary"))
    assert len(parsed.source) < 600_000


# intervals of parts


def test_the_interval_of_a_part_is_that_of_the_whole_in_proportion_and_wider_where_the_sensor_is_poor() -> None:
    foot = footprint()
    whole = part_interval(energies(SECONDS), foot.components)
    assert whole == pytest.approx((foot.energy_low_kwh, foot.energy_high_kwh), rel=1e-12)
    assert part_interval(energies(SECONDS / 3), foot.components) == pytest.approx([x / 3 for x in whole or ()])
    poor = part_interval({"cpu": 0.0, "gpu": 0.0, "ram": 1.0}, foot.components)
    assert poor == pytest.approx((1 / 1.6, 1.6), rel=0.03)


def test_the_interval_of_a_part_has_the_percentiles_of_independent_draws() -> None:
    foot, draw = footprint(), random.Random(0)
    spread, part = statistics.NormalDist().inv_cdf(0.95), {"cpu": 0.002, "gpu": 0.001, "ram": 0.004}
    sums = []
    for _ in range(10_000):
        drawn = [draw.lognormvariate(0.0, math.log1p(half_width) / spread) for half_width in (0.5, 0.05, 0.6)]
        sums.append(sum(energy * factor for energy, factor in zip(part.values(), drawn, strict=True)))
    cuts = statistics.quantiles(sums, n=20)
    assert part_interval(part, foot.components) == pytest.approx((cuts[0], cuts[-1]), rel=1e-9)


def test_energy_of_an_unknown_component_has_no_interval() -> None:
    assert part_interval({"npu": 0.1}, footprint().components) is None
    assert part_interval({"cpu": 0.0}, ()) is None


# the figure


def images(parsed: Page) -> list[ElementTree.Element]:
    sources = [e["attrs"]["src"].partition("base64,")[2] for e in parsed.all("img")]
    return [ElementTree.fromstring(base64.b64decode(source)) for source in sources]


def test_the_figure_names_components_and_spans_and_has_its_numbers_as_a_table() -> None:
    (image,) = page().all("img")
    assert "stacked by component (CPU, GPU, RAM): 360 W on average, 360 W at the most" in image["attrs"]["alt"]
    (drawn,) = images(page())
    labels = [e.text for e in drawn.iter() if e.text and e.text.strip()]
    assert {"CPU", "GPU", "RAM", "tokenise (data)", "epoch 2 (epoch)", "Mean power, W"} <= set(labels)
    rows = table(page(), "Mean power by component")
    assert len(rows) == 60 and rows[0] == ["0:00.0", "0:10.0", "40 W", "300 W", "20 W", "360 W"]


def test_many_names_of_spans_become_bands_by_phase() -> None:
    spans = (*many(20), span("e", 50, 60, phase="evaluation", status="pruned"))
    assert list(training_figure.bands(spans)) == ["trial", "evaluation"]


@pytest.mark.parametrize(
    ("seconds", "marks"),
    [
        (3.0, ["0 s", "1 s", "2 s", "3 s"]),
        (600.0, ["0:00", "2:00", "4:00", "6:00", "8:00", "10:00"]),
        (60_000.0, ["0:00", "3:00:00", "6:00:00", "9:00:00", "12:00:00", "15:00:00"]),
        (1_000_000.0, ["0:00", "48:00:00", "96:00:00", "144:00:00", "192:00:00", "240:00:00"]),
    ],
)
def test_the_axis_of_time_is_marked_at_round_times(seconds: float, marks: list[str]) -> None:
    steps, _ = training_figure.steps(sample_metered(curve=curve(seconds, 7)))
    labels = [e.text for e in ElementTree.fromstring(training_figure.power_plot(steps, {})).iter() if e.text]
    shown = [label.replace(numbers.NBSP, " ") for label in labels if re.search(r"^\d+:|\ds$|\d.s$", label)]
    assert [mark for mark in marks if mark not in shown] == [] and len(shown) <= 8


def test_steps_are_joined_so_that_none_is_short_and_no_energy_is_lost() -> None:
    times = [0.0, 1.0, 1.001, 2.0, 2.6, 2.7, 3.0]
    points = tuple(CurvePoint(time_s=t, energy_kwh={"cpu": kwh(t**2, 1), "gpu": 0.0, "ram": kwh(20, t)}) for t in times)
    steps, _ = training_figure.steps(sample_metered(curve=points))
    assert [(step.begin_s, step.end_s) for step in steps] == [(0.0, 1.0), (1.0, 2.0), (2.0, 2.6), (2.6, 3.0)]
    spent = sum(step.total_w * (step.end_s - step.begin_s) for step in steps) / 3.6e6
    assert spent == pytest.approx(kwh(9, 1) + kwh(20, 3))

    steps, _ = training_figure.steps(sample_metered(curve=curve(SECONDS, 1000)))
    assert 100 <= len(steps) <= training_figure.MOST_STEPS


@pytest.mark.parametrize(
    ("points", "why"),
    [
        ((), "the run has too few samples"),
        (curve(1.0, 2), "the run has too few samples"),
        (curve(0.4, 5), "the run was too short for more than its mean power"),
        ((*curve(3.0, 4), CurvePoint(time_s=4.0, energy_kwh=energies(1.0))), "its curve of energy falls somewhere"),
    ],
)
def test_a_curve_that_gives_no_picture_says_why(points: tuple[CurvePoint, ...], why: str) -> None:
    parsed = Page(render_report([], metered=[sample_metered(curve=points)]))
    assert f"There is no figure of the power over time: {why}" in text_of(parsed) and parsed.all("img") == []


def test_a_truncated_run_carries_a_banner_a_figure_of_what_there_is_and_its_note() -> None:
    parsed = page("truncated")
    text = text_of(parsed)
    assert "Truncated run. It ended before its end." in text
    assert "The run was cut off at the right end." in text and len(parsed.all("img")) == 1
    assert "the process ended without a word: what is here was read from its journal" in text
    assert table(parsed, "Spans in the order")[0][2] == "cut off"
    assert ["Tokens", "not available: not counted", "per 1,000 tokens", "not available", "not available"] in table(
        parsed, "Work done"
    )


# work


def test_energy_for_a_unit_of_work_has_the_interval_of_the_total_in_proportion() -> None:
    foot = sample_metered().footprint
    rows = {row[0]: row[1:] for row in table(page(), "Work done")}
    assert rows["Tokens"][:3] == ["1,024,000", "per 1,000 tokens", "59 mWh"]
    assert rows["Samples"][:3] == ["2,000", "per 1,000 samples", "30 Wh"]
    assert rows["Steps"][:3] == ["250", "per step", "0.24 Wh"]
    assert rows["Epochs"][:3] == ["2.5", "per epoch", "24 Wh"]
    assert rows["FLOPs"][:3] == ["5.00 petaFLOP", "per petaFLOP", "12 Wh"]
    assert foot.energy_low_kwh is not None and foot.energy_high_kwh is not None
    low, high = (
        numbers.significant(2, bound / 2.5, factor=1000) for bound in (foot.energy_low_kwh, foot.energy_high_kwh)
    )
    assert rows["Epochs"][3] == f"{low} Wh to {high} Wh"


def test_cpu_time_attributed_and_above_idle_energy_and_water_stand_with_how_they_are_known() -> None:
    rows = {label: value for label, value in table(page(), "Time, load and water")}
    assert rows["CPU time of the run's processes"] == "9 min 00 s"
    assert rows["Share of the run's processes in it"] == "90 %"
    assert rows["Energy attributed to the run by CPU time"].startswith("54 Wh (")
    assert rows["Energy attributed to the run by CPU time"].endswith("; a load model, and no part of the total")
    assert rows["Energy above that without load"] == "55 Wh"
    assert rows["How the power without load is known"] == "the lowest power of any sample of this run; at least"
    assert rows["Water at the data centre"].startswith("110 ml (") and rows["Water usage effectiveness"] == "1.8 l/kWh"


# self-checks


def verdicts(run: MeteredRecord) -> dict[str, tuple[str, str]]:
    return {what: (verdict, text.striptags().replace(numbers.NBSP, " ")) for what, verdict, text in checks(run)}


def test_each_check_says_its_verdict_in_words() -> None:
    rows = table(page(), "Self-checks:")
    assert [row[0] for row in rows] == [what for what, _, _ in checks(sample_metered())]
    assert {row[1] for row in rows} == {"pass", "attention"}
    assert {row[1] for row in table(page("truncated"), "Self-checks:")} == {"pass", "attention", "not applicable"}
    wanted = sum(row[1] == "attention" for row in rows)
    assert f"Self-checks: {wanted} of {len(rows)} want attention" in text_of(page())


@pytest.mark.parametrize(
    ("changes", "what", "verdict", "said"),
    [
        ({}, "End", "pass", "The run ended by itself."),
        ({"status": "truncated"}, "End", "attention", "The run ended before its end"),
        ({"exit_code": 3}, "End", "attention", "with exit code 3"),
        (
            {"footprint": footprint(measurement_loss=0.2)},
            "Measurement loss",
            "attention",
            "20 % of the duration has no",
        ),
        ({"footprint": footprint(measurement_loss=None)}, "Measurement loss", "not applicable", "No component was"),
        ({}, "GPUs seen and metered", "pass", "energy counter of an A100"),
        ({"footprint": footprint(parts()[:1])}, "GPUs seen and metered", "not applicable", "No GPU was metered"),
        (
            {"footprint": footprint(parts()[2:])},
            "Energy that is assumed",
            "attention",
            "is a constant over time: RAM, 20",
        ),
        (
            {"footprint": footprint(parts()[:2])},
            "Energy that is assumed",
            "pass",
            "No part of the energy is a constant",
        ),
        ({}, "Energy that is assumed", "pass", "5.6 % of the energy was not measured"),
        ({}, "Other meters meanwhile", "attention", "20260301T095900000Z-other-9999 (before it)"),
        ({"overlaps": ()}, "Other meters meanwhile", "pass", "No other meter"),
        (
            {"checks": ("settings of CodeCarbon were found and set aside: pue (from .codecarbon.config)",)},
            *("Settings", "attention", "pue (from .codecarbon.config)"),
        ),
        ({}, "Settings", "pass", "No setting of CodeCarbon"),
        ({"checks": ("3 samples failed: OSError",)}, "Samples", "attention", "3 samples failed: OSError."),
        ({"notes": ("2 lines of the journal could not be read",)}, "Journal", "attention", "2 lines of the journal"),
        ({}, "Place", "pass", "DEU"),
        ({}, "Spans", "attention", "5 of 7 spans were done, and 1 have no energy."),
        ({"spans": ()}, "Spans", "not applicable", "No span was marked."),
        ({"budget": None}, "Budget", "not applicable", "No budget was set."),
        ({}, "Budget", "attention", "70 Wh, with a warning from 80 % on. 81 % of it is spent."),
        (
            {"budget": BudgetRecord(emissions_kg=2.0, warn_share=0.5, outcome="stopped")},
            *("Budget", "attention", "The budget was spent, and the work stopped for it: 2.0 kg CO₂e"),
        ),
        ({"budget": BudgetRecord(energy_kwh=9.0, warn_share=0.5, outcome="kept")}, "Budget", "pass", "stayed below"),
        ({"checks": ("something else",)}, "Remark of the meter", "attention", "something else."),
    ],
)
def test_a_check_finds_what_it_looks_for(changes: dict[str, Any], what: str, verdict: str, said: str) -> None:
    found = verdicts(sample_metered(**changes))
    assert found[what][0] == verdict and said in found[what][1]


def test_gpus_that_were_seen_and_not_metered_want_attention() -> None:
    assert verdicts(without_energy())["GPUs seen and metered"] == (
        "attention",
        "torch sees 2 GPUs, but 1 were metered.",
    )


def test_no_check_and_no_warning_of_the_meter_is_lost() -> None:
    said = ("a new thing that nobody foresaw", "the cpu sensor reported no energy", "4 samples failed")
    text = told(sample_metered(checks=said[:1], footprint=footprint(warnings=said[1:])))
    assert [part for part in said if part not in text] == []


def test_many_meters_beside_it_are_counted_and_the_first_are_named() -> None:
    others = tuple(Overlap(run_id=f"run-{n:03}", began_before=False) for n in range(30))
    _, text = verdicts(sample_metered(overlaps=others))["Other meters meanwhile"]
    assert "30 ran" in text and "run-009" in text and "run-010" not in text and text.endswith(" and more.")


def test_the_factor_stands_with_source_year_and_method_and_the_warning_against_ranking() -> None:
    text, told = text_of(page()), pairs(page())
    assert (told["Grid factor"], told["Year of the factor"], told["Place"]) == ("381 g/kWh", "2023", "DEU")
    assert (told["Source of the factor"], told["Method of the source"]) == (GERMANY.source, GERMANY.method)
    assert told["Range of the factor"] == "320 g/kWh to 442 g/kWh"
    assert "Emissions that two methods gave must not be ranked" in text
    assert sample_metered().footprint.interval_method in text


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"region": "california", "country_iso_code": "USA"}, "USA, california"),
        ({"cloud_region": "gcp:europe-north1", "country_iso_code": "FIN"}, "gcp:europe-north1 (FIN)"),
        ({"cloud_region": "gcp:x", "country_iso_code": None}, "gcp:x"),
        ({"country_iso_code": None}, "unknown"),
    ],
)
def test_a_place_is_named_as_it_was_given(changes: dict[str, Any], place: str) -> None:
    assert training_views.place(GERMANY.model_copy(update=changes)) == place


# the page


def hostile() -> MeteredRecord:
    spans = [each.model_copy(update={"name": HOSTILE, "note": HOSTILE}) for each in nested()]
    foot = footprint(warnings=(HOSTILE,), idle_method=HOSTILE, meter=HOSTILE)
    foot = foot.model_copy(update={"grid": GERMANY.model_copy(update={"source": HOSTILE, "region": HOSTILE})})
    changes = {"name": HOSTILE, "run_id": HOSTILE, "parent": HOSTILE, "lineage": (HOSTILE,), "notes": (HOSTILE,)}
    budget = BudgetRecord(energy_kwh=0.07, warn_share=0.8, outcome="warned", told=(HOSTILE,))
    other = Overlap(run_id=HOSTILE, began_before=True)
    spans[1] = spans[1].model_copy(update={"name": "x" * 100_000})
    return sample_metered(
        **changes, spans=tuple(spans), footprint=foot, checks=(HOSTILE,), overlaps=(other,), budget=budget
    )


def test_hostile_strings_stay_text() -> None:
    html = render_report([], metered=[hostile()])
    parsed = Page(html)
    assert [s["attrs"] for s in parsed.all("script")] == [{"type": "application/gzip", "id": "fairprint-records"}, {}]
    assert not [name for e in parsed.elements for name in e["attrs"] if name.startswith("on") or name == "style"]
    assert all(e["attrs"]["src"].startswith("data:image/svg+xml;base64,") for e in parsed.all("img"))
    assert "{{ 7*7 }}" in parsed.all("h1")[0]["text"] and "[U+202E]" in html and "x" * 3000 not in html
    (drawn,) = images(parsed)
    assert not {e.tag.partition("}")[2] for e in drawn.iter()} & {"script", "foreignObject", "img"}


def test_a_long_name_of_a_component_leaves_room_for_the_figure() -> None:
    named = "c" * 300
    points = [p.model_copy(update={"energy_kwh": {named: p.energy_kwh["cpu"]}}) for p in curve()]
    foot = footprint((parts()[0].model_copy(update={"name": named}),))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        steps, _ = training_figure.steps(sample_metered(footprint=foot, curve=tuple(points)))
        drawn = training_figure.power_plot(steps, training_figure.bands(nested()))
    assert "CCCCCCCCCCC…" in drawn.decode() and "C" * 12 not in drawn.decode()


def pages() -> list[Page]:
    alone = [page(which) for which in RUNS]
    both = Page(render_report([], metered=[sample_metered(), truncated()]))
    return [*alone, both, together()]


@cache
def audit() -> RunRecord:
    """Return an audit of one probe set, without what goes word by word."""
    record = sample_record()
    kept = tuple(e for e in record.estimates if not e.scope.startswith(("lexeme:", "category:")))
    return record.model_copy(update={"estimates": kept})


@cache
def bare() -> RunRecord:
    """Return an audit that asked nothing, of which a page is made at once."""
    return audit().model_copy(update={"probes": (), "estimates": (), "highlights": (), "scores": {}})


@cache
def together() -> Page:
    return Page(render_report([audit()], metered=[sample_metered(), truncated()]))


def test_headings_ids_links_tables_and_figures_are_in_order() -> None:
    for parsed in pages():
        levels = [int(e["tag"][1]) for e in parsed.elements if re.fullmatch("h[1-6]", e["tag"])]
        assert levels[0] == 1 and levels.count(1) == 1 and all(b <= a + 1 for a, b in pairwise(levels))
        ids = [e["attrs"]["id"] for e in parsed.elements if "id" in e["attrs"]]
        assert len(ids) == len(set(ids))
        links = [e["attrs"]["href"] for e in parsed.all("a") if e["attrs"]["href"].startswith("#")]
        assert {link[1:] for link in links} <= set(ids)
        assert len(parsed.all("table")) == len(parsed.all("caption"))
        assert {th["attrs"].get("scope") for th in parsed.all("th")} == {"col", "row"}
        assert all(len(i["attrs"]["alt"]) > 30 and i["attrs"]["alt"].endswith(".") for i in parsed.all("img"))


def test_the_contents_name_every_part_of_each_run() -> None:
    parsed = together()
    (nav,) = parsed.all("nav")
    for _, title in training_views.CONTENTS:
        assert nav["text"].count(title) >= 2
    headings = [e["text"].strip() for e in parsed.all("h2")]
    assert headings.count("Training: fine-tune") == 2


def test_the_same_record_gives_the_same_bytes() -> None:
    assert render_report([], metered=[sample_metered()]) == page().source


def test_an_audit_page_says_whether_its_record_names_the_training() -> None:
    named = bare().model_copy(update={"lineage": (sample_metered().run_id,)})
    known = text_of(Page(render_report([named], metered=[sample_metered()])))
    assert f"The audit of {named.plan.model.name} names this run as one that its model began from." in known
    assert "No audit on this page names this run" in text_of(together())
    assert "No audit on this page" not in text_of(page())


def test_an_old_page_gives_its_records_back_and_the_same_page(tmp_path: Path) -> None:
    runs = [sample_metered(), truncated(), without_energy()]
    write_report([bare()], tmp_path / "old.html", metered=runs)
    found = embedded_records(tmp_path / "old.html")
    assert found == [bare(), *runs]
    write_report([r for r in found if isinstance(r, RunRecord)], tmp_path / "new.html", metered=runs)
    assert (tmp_path / "new.html").read_bytes() == (tmp_path / "old.html").read_bytes()


def test_a_page_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    newer = sample_metered().model_copy(update={"schema_version": 99})
    write_report([], tmp_path / "new.html", metered=[newer])
    with pytest.raises(StoreError, match="a metered run has schema version 99; this fairprint reads up to 1"):
        embedded_records(tmp_path / "new.html")


# records with gaps

amounts = st.floats(1e-9, 1e6, allow_subnormal=False)
counts = st.none() | st.integers(0, 10**12)


@st.composite
def components(draw: st.DrawFn) -> tuple[Component, ...]:
    names = draw(st.lists(st.sampled_from(["cpu", "gpu", "ram"]), unique=True))
    found = []
    for name in names:
        sensor = draw(st.sampled_from(["counter", "sampled power", "load model", "constant", "none"]))
        energy = None if sensor == "none" else draw(st.none() | amounts)
        found.append(
            Component(
                name=name,
                energy_kwh=energy,
                sensor=sensor,
                half_width=draw(st.none() | st.floats(0.01, 2.0)),
                detail="words",
                idle_w=draw(st.none() | amounts),
            )
        )
    return tuple(found)


@st.composite
def records(draw: st.DrawFn) -> MeteredRecord:
    parts_ = draw(components())
    whole = draw(st.booleans()) and any(part.energy_kwh for part in parts_)
    foot = footprint(parts_, draw(st.sampled_from([GERMANY, NOWHERE])), None if whole else "nobody knows why")
    optional = ("mean_power_w", "pue", "own_cpu_s", "machine_cpu_s", "attributed_energy_kwh", "measurement_loss")
    gone = draw(st.sets(st.sampled_from([*optional, "above_idle_energy_kwh", "water_l", "wue"])))
    foot = foot.model_copy(update=dict.fromkeys(gone))
    spans = []
    for n in range(draw(st.integers(0, 5))):
        begin_s, length_s = draw(st.floats(0, 1e5)), draw(st.floats(0, 1e5))
        energy = draw(st.none() | amounts) if whole else None
        shares = {part.name: (energy or 0.0) / len(parts_) for part in parts_}
        work = WorkDone(tokens=draw(counts), steps=draw(counts), epochs=draw(st.none() | st.floats(0, 1e3)))
        spans.append(
            span(
                str(n),
                begin_s,
                begin_s + length_s,
                parent=draw(st.none() | st.sampled_from("01234")),
                phase=draw(st.sampled_from(["data", "train", "epoch", "other"])),
                status=draw(st.sampled_from(["done", "failed", "pruned", "stopped", "truncated"])),
                energy_kwh=energy,
                components=shares,
                reason=draw(st.none() | st.just("below resolution")) if energy is None else None,
                own_cpu_s=draw(st.none() | amounts),
                machine_cpu_s=draw(st.none() | amounts),
                work=work,
            )
        )
    times = sorted(draw(st.sets(st.floats(0, 1e5), max_size=8)))
    levels = draw(st.permutations(range(len(times)))) if draw(st.booleans()) else range(len(times))
    points = [
        CurvePoint(time_s=time_s, energy_kwh={name: 1e-6 * level for name in ("cpu", "gpu", "ram")})
        for time_s, level in zip(times, levels, strict=True)
    ]
    return sample_metered(
        footprint=foot,
        spans=tuple(spans),
        curve=tuple(points),
        status=draw(st.sampled_from(["complete", "truncated"])),
        exit_code=draw(st.none() | st.integers(0, 255)),
        parent=draw(st.none() | st.just("a-parent")),
        lineage=(),
        work=WorkDone(tokens=draw(counts), samples=draw(counts), steps=draw(counts), flops=draw(st.none() | amounts)),
        budget=draw(st.none() | st.just(BudgetRecord(emissions_kg=0.5, warn_share=0.8, outcome="exceeded"))),
    )


@settings(max_examples=15, deadline=None)
@given(records())
def test_whatever_is_absent_the_page_has_all_other_numbers_and_no_word_of_a_program(run: MeteredRecord) -> None:
    is_sound(Page(render_report([], metered=[run])), run)


# the command

REAL = """
import sys, time
from pathlib import Path
from fairprint.audit.meter import measure

def busy(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        sum(n * n for n in range(1000))

with measure("busy <script>", store=Path(sys.argv[1]), country_iso_code="KOR", interval_s=0.25):
    with measure("train", phase="train"):
        for number in (1, 2):
            with measure(f"epoch {number}", phase="epoch") as epoch:
                busy(1.0)
                epoch.count(steps=10, samples=80, tokens=5120, epochs=1)
        with measure("save", phase="checkpoint"):
            busy(0.05)
    busy(0.5)
"""


def fairprint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["fairprint", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0), capsys.readouterr().err


def stored(store: Path, run: MeteredRecord) -> MeteredFolder:
    """Write a record into a store as the meter would."""
    folder = MeteredFolder(store / run.run_id)
    folder.path.mkdir(parents=True)
    folder.journal.write_text("{}\n")
    folder.write_record(run)
    return folder


def test_a_real_run_becomes_a_page_by_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store, output = tmp_path / "runs", tmp_path / "report.html"
    subprocess.run([sys.executable, "-c", REAL, str(store)], check=True, timeout=120)
    (folder,) = metered_runs(store)
    code, said = fairprint(monkeypatch, capsys, "report", "latest", "--store", str(store), "-o", str(output))
    assert (code, said) == (0, f"report  {output}\n")
    run, parsed = folder.record(), Page(output.read_text(encoding="utf-8"))
    is_sound(parsed, run)
    names = [row[0] for row in table(parsed, "Spans in the order")]
    assert names == ["train", "epoch 1", "epoch 2", "save"]
    rows = {row[0]: row[1:] for row in table(parsed, "Work done")}
    assert rows["Tokens"][0] == "10,240" and rows["Epochs"][0] == "2"
    assert run.footprint.energy_kwh is not None and len(parsed.all("img")) == 1
    assert "below resolution" in text_of(parsed) and parsed.all("h1")[0]["text"] == "Training: busy <script>"

    again = tmp_path / "again.html"
    assert fairprint(monkeypatch, capsys, "report", str(output), "-o", str(again))[0] == 0
    assert again.read_bytes() == output.read_bytes()


def test_audits_and_trainings_of_one_store_come_on_one_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stored(tmp_path / "runs", sample_metered())
    write_report([bare()], tmp_path / "audit.html")
    arguments = ("report", str(tmp_path / "audit.html"), "1a2b", "--store", str(tmp_path / "runs"))
    assert fairprint(monkeypatch, capsys, *arguments, "-o", str(tmp_path / "both.html"))[0] == 0
    assert embedded_records(tmp_path / "both.html") == [bare(), sample_metered()]
    text = text_of(Page((tmp_path / "both.html").read_text(encoding="utf-8")))
    assert "Training: fine-tune" in text and "Self-checks" in text


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("20260301T", "could be 20260301T100000000Z-fine-tune-1a2b, 20260301T110000000Z-fine-tune-cafe"),
        ("elsewhere", "no run 'elsewhere' in"),
        ("dead", "20260302T100000000Z-x-dead is not finished"),
    ],
)
def test_a_run_that_cannot_be_shown_is_named_with_a_way_out(
    asked: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "runs"
    stored(store, sample_metered())
    stored(store, sample_metered(run_id="20260301T110000000Z-fine-tune-cafe"))
    (store / "20260302T100000000Z-x-dead").mkdir()
    (store / "20260302T100000000Z-x-dead" / "journal.jsonl").write_text("{}\n")
    arguments = ("report", asked, "--store", str(store), "-o", str(tmp_path / "out.html"))
    code, error = fairprint(monkeypatch, capsys, *arguments)
    assert code == 2 and said in error and not (tmp_path / "out.html").exists()
    if asked == "dead":
        assert "fairprint runs recover 20260302T100000000Z-x-dead" in error


def test_the_record_on_the_page_is_the_stored_one_to_the_last_digit() -> None:
    (embedded,) = json.loads(gzip.decompress(base64.b64decode(page().all("script")[0]["text"])))
    assert MeteredRecord.model_validate(embedded) == sample_metered()
    assert json.loads(to_json(sample_metered())) == embedded
