"""Ways to learn one task as a command, as JSON and on a page: gaps, energies, and when pretraining comes back."""

import base64
import json
import math
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from sample_metered import GERMANY, NOWHERE, energies, footprint, parts, sample_metered, span
from sample_record import sample_record
from test_report import HOSTILE, Page, rows_of, said_by
from test_sidecar import stored

from fairprint.audit.metered import MeteredRecord, WorkDone
from fairprint.audit.metered_store import MeteredFolder, metered_runs
from fairprint.audit.quality import QualityItem, quality_of
from fairprint.audit.records import Footprint, GridFactor
from fairprint.audit.regimes import Found
from fairprint.audit.spread import part_interval
from fairprint.reports import numbers, regimes_views
from fairprint.reports.cli import main
from fairprint.reports.html import embedded_records, render_report
from fairprint.reports.regimes_among import Ways, ways_among

Ran = tuple[int, str, str]
Rule = Callable[[int, int], bool]

# every second is 360 W, so that ten seconds are 1 Wh
TUNED_S, LONG_S, TESTED_S = 60, 300, 12
TUNED_WH, LONG_WH = 6.0, 30.0
WORDS, TEMPLATES = 6, 4


def items(right: Rule) -> list[QualityItem]:
    return [
        QualityItem(
            item=f"{word}/{template}",
            value=float(right(word, template)),
            units={"word": f"w{word}", "template": f"t{template}"},
        )
        for word in range(WORDS)
        for template in range(TEMPLATES)
    ]


@cache
def spent(seconds: int, known: bool) -> Footprint:
    return footprint(parts(seconds), GERMANY if known else NOWHERE)


def keep(store: Path, minute: int, name: str, purpose: str, seconds: int, right: Rule, **told: Any) -> MeteredFolder:
    """Write a run whose training took so many seconds, and its tests on new words 12 more."""
    grid: GridFactor = told.pop("grid", GERMANY)
    folder = MeteredFolder(store / f"20260301T10{minute:02}00000Z-run-{minute:04}")
    folder.path.mkdir(parents=True)
    folder.journal.write_text("{}\n")
    found = items(right)
    quality = [folder.write_items(quality_of("accuracy", items=found, part="new words"), found)]
    quality.append(quality_of("accuracy", told.pop("known", 0.99), part="training sentences"))
    record = sample_metered(
        run_id=folder.run_id,
        name=name,
        purpose=purpose,
        task=told.pop("task", "topics"),
        quality=tuple(quality),
        spans=(
            span("1", 0.0, seconds, phase="train", name="train"),
            span("2", seconds, seconds + TESTED_S, phase="evaluation", name="test"),
        ),
        footprint=spent(seconds + TESTED_S, grid is GERMANY),
        work=WorkDone(steps=seconds),
        **told,
    )
    folder.write_record(record)
    return folder


def tuned(word: int, template: int) -> bool:
    return (word, template) not in ((0, 0), (3, 2))


def short(word: int, template: int) -> bool:
    return (word + template) % 6 == 0


def long(word: int, template: int) -> bool:
    return (word + 2 * template) % 3 == 0


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "runs"
    keep(path, 1, "tuned", "fine-tuning", TUNED_S, tuned)
    keep(path, 2, "short", "training from scratch", TUNED_S, short)
    keep(path, 3, "long", "training from scratch", LONG_S, long)
    return path


@pytest.fixture
def fairprint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def run(*arguments: str | Path) -> Ran:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["fairprint", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), out, err

    return run


def ways(store: Path) -> list[Ways]:
    return ways_among(metered_runs(store))


def page(store: Path) -> Page:
    return Page(render_report([], metered=[run.record() for run in metered_runs(store)], ways=ways(store)))


def share(right: Rule) -> float:
    return sum(right(word, template) for word in range(WORDS) for template in range(TEMPLATES)) / (WORDS * TEMPLATES)


def points(value: float) -> str:
    return f"{100 * value:+.1f} points".replace("-", numbers.MINUS)


# the page


def test_the_page_states_both_gaps_and_the_energies(store: Path) -> None:
    text = said_by(page(store))
    assert f"“tuned” is better in accuracy on new words: {points(share(tuned) - share(long))} (95 % interval" in text
    assert "on the same 24 items (template 4, word 6)." in text
    assert f"{points(share(long) - share(short))}" in text
    assert "“tuned” took 0.200 (sensor errors cancel) times the energy of “long”." in text
    assert "“long” took 5.00 (sensor errors cancel) times the energy of “short”." in text
    assert "“tuned” (60 steps) is held against “long”, the training from scratch with the most steps (300)." in text
    assert "So what separates them is not that it had fewer steps." in text
    assert "At its end its accuracy on training sentences is 99.0 %, that of the fine-tuning 99.0 %." in text
    assert "not trained out" not in text
    low, high = part_interval(energies(LONG_S), parts(LONG_S)) or (math.nan, math.nan)
    assert f"took 5 min 00 s and 30 Wh ({1000 * low:.2g} Wh to {1000 * high:.2g} Wh) of electricity" in text


def test_every_number_of_the_comparison_stands_in_its_tables(store: Path) -> None:
    parsed = page(store)
    shown = {float(e["attrs"]["value"]) for e in parsed.all("data")}
    (way,) = ways(store)
    for gap in (way.regimes.knew, way.regimes.optimised):
        assert gap is not None
        found = next(each for each in gap.differences if each.part == "new words")
        assert {found.value, found.low, found.high, found.p_value, gap.energy_ratio.value} <= shown
    for regime in way.regimes.regimes:
        cost = regime.cost
        assert {cost.energy_kwh.value, cost.energy_kwh.low, cost.energy_kwh.high, cost.duration_s} <= shown
        assert {cost.emissions_kg.value, cost.emissions_kg.low, cost.emissions_kg.high} <= shown
        assert {x for q in regime.qualities for x in (q.value, q.low, q.high) if x is not None} <= shown
    table = rows_of(parsed, "Each way to learn the task")
    assert [row[0].partition(" 2026")[0] for row in table] == ["1. tuned", "2. short", "3. long"]
    assert [row[2] for row in table] == ["60", "60", "300"]
    assert "99.0 % (no interval)" in table[0][7]
    assert "accuracy on training sentences: only the value was noted, without items" in said_by(parsed)


def test_the_figure_is_told_in_words_too(store: Path) -> None:
    found = [i for i in page(store).all("img") if i["attrs"]["alt"].startswith("Quality against energy")]
    (image,) = found
    assert image["attrs"]["alt"].endswith(".")
    for name, right, energy in (("tuned", tuned, "6.0 Wh"), ("short", short, "6.0 Wh"), ("long", long, "30 Wh")):
        assert f"{name} {100 * share(right):.1f} % at {energy}" in image["attrs"]["alt"]
    drawn = ElementTree.fromstring(base64.b64decode(image["attrs"]["src"].partition("base64,")[2]))
    texts = {"".join(e.itertext()).strip() for e in drawn.iter() if e.tag.endswith("text")}
    assert {"1", "2", "3", "accuracy on new words", "Energy of the training, Wh"} <= texts
    # what has no interval has no panel beside what has one
    assert not any("training sentences" in text for text in texts)


def test_an_interval_that_includes_zero_shows_no_difference(tmp_path: Path) -> None:
    keep(tmp_path, 1, "tuned", "fine-tuning", TUNED_S, long)
    keep(
        tmp_path,
        2,
        "scratch",
        "training from scratch",
        TUNED_S,
        lambda word, t: long(word, t) is not (word == 0 and t < 2),
    )
    (way,) = ways(tmp_path)
    assert way.regimes.knew is not None
    found = way.regimes.knew.differences[0]
    assert found.low is not None and found.high is not None and found.low < 0 < found.high
    text = said_by(page(tmp_path))
    assert "A difference in accuracy on new words is not shown" in text and "the interval includes zero" in text
    assert "is better in" not in text and "is worse in" not in text
    assert "what separates them may be that it was trained for too short a time" in text
    assert "This needs two trainings from scratch" in text


def test_a_fine_tuning_that_is_worse_is_said_to_be_worse(tmp_path: Path) -> None:
    keep(tmp_path, 1, "tuned", "fine-tuning", TUNED_S, short)
    keep(tmp_path, 2, "scratch", "training from scratch", LONG_S, tuned)
    text = said_by(page(tmp_path))
    assert f"“tuned” is worse in accuracy on new words: {points(share(short) - share(tuned))}" in text


def test_a_training_that_never_learnt_its_own_sentences_is_not_taken_for_one_that_did(tmp_path: Path) -> None:
    keep(tmp_path, 1, "tuned", "fine-tuning", TUNED_S, tuned)
    keep(tmp_path, 2, "scratch", "training from scratch", LONG_S, long, known=0.175)
    text = said_by(page(tmp_path))
    assert "At its end its accuracy on training sentences is 17.5 %, that of the fine-tuning 99.0 %" in text
    assert "it was not trained out, and that is a part of what separates them" in text


def test_headings_ids_links_and_tables_are_in_order(store: Path) -> None:
    for parsed in (page(store), Page(render_report([sample_record()], metered=[], ways=ways(store)))):
        levels = [int(e["tag"][1]) for e in parsed.elements if re.fullmatch("h[1-6]", e["tag"])]
        assert levels[0] == 1 and levels.count(1) == 1 and all(b <= a + 1 for a, b in pairwise(levels))
        ids = [e["attrs"]["id"] for e in parsed.elements if "id" in e["attrs"]]
        assert len(ids) == len(set(ids))
        links = [e["attrs"]["href"][1:] for e in parsed.all("a") if e["attrs"]["href"].startswith("#")]
        assert "regimes" in links and set(links) <= set(ids)
        assert len(parsed.all("table")) == len(parsed.all("caption"))


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    keep(tmp_path, 1, HOSTILE, "fine-tuning", TUNED_S, tuned, task=HOSTILE)
    keep(tmp_path, 2, HOSTILE, "training from scratch", LONG_S, long, task=HOSTILE)
    parsed = page(tmp_path)
    assert [s["attrs"] for s in parsed.all("script")] == [{"type": "application/gzip", "id": "fairprint-records"}, {}]
    assert not [name for e in parsed.elements for name in e["attrs"] if name.startswith("on") or name == "style"]
    assert "{{ 7*7 }}" in said_by(parsed) and "[U+202E]" in parsed.source


def test_two_tasks_have_two_sections_and_one_run_alone_has_none(store: Path) -> None:
    keep(store, 4, "alone", "fine-tuning", TUNED_S, tuned, task="other")
    assert [way.regimes.task for way in ways(store)] == ["topics"]
    keep(store, 5, "beside", "training from scratch", LONG_S, long, task="other")
    parsed = page(store)
    titles = [e["text"] for e in parsed.all("h2") if e["text"].startswith("Ways to learn")]
    assert titles == ["Ways to learn the same task: topics", "Ways to learn the same task: other"]


def test_a_place_that_is_not_known_leaves_the_emissions_an_interval(tmp_path: Path) -> None:
    keep(tmp_path, 1, "tuned", "fine-tuning", TUNED_S, tuned, grid=NOWHERE)
    keep(tmp_path, 2, "scratch", "training from scratch", LONG_S, long, grid=NOWHERE)
    (way,) = ways(tmp_path)
    cost = way.regimes.regimes[0].cost
    assert cost.emissions_kg.value is None and cost.emissions_kg.low is not None
    shown = {float(e["attrs"]["value"]) for e in page(tmp_path).all("data")}
    assert {cost.emissions_kg.low, cost.emissions_kg.high} <= shown


def test_an_audit_that_names_a_run_stands_beside_it(store: Path) -> None:
    run_id = metered_runs(store)[0].run_id
    audit = sample_record().model_copy(update={"lineage": (run_id,)})
    metered = [run.record() for run in metered_runs(store)]
    found = rows_of(
        Page(render_report([audit], metered=metered, ways=ways(store))), "What audits of the trained models"
    )
    expected = [e for e in audit.estimates if e.value is not None and e.metric == "stereotype_score"]
    assert found and {row[0] for row in found} == {"tuned"} and {row[1] for row in found} == {audit.plan.model.name}
    assert expected == [] or any(row[6] == expected[0].instrument for row in found)
    other = Page(render_report([sample_record()], metered=metered, ways=ways(store)))
    assert "No audit at hand names one of these runs" in said_by(other)


@pytest.mark.parametrize(
    ("metric", "value", "low", "high", "told"),
    [
        ("accuracy", 0.5, 0.25, 0.75, "50.0 % (25.0 % to 75.0 %)"),
        ("loss", 0.5, 0.25, 0.75, "0.500 (0.250 to 0.750)"),
        # noted in per cent by whoever noted it
        ("accuracy", 95.0, None, None, "95.0 (no interval)"),
        ("accuracy", None, None, None, "not available: why"),
    ],
)
def test_a_quality_is_written_as_what_it_is(
    metric: str, value: float | None, low: float | None, high: float | None, told: str
) -> None:
    found = Found(metric=metric, part="", value=value, low=low, high=high, units={}, reason="why")
    assert regimes_views.quality_told(found).striptags().replace(numbers.NBSP, " ") == told


# old pages


def test_an_old_page_gives_values_without_paired_intervals(store: Path, fairprint: Callable[..., Ran]) -> None:
    old, new = store.parent / "old.html", store.parent / "new.html"
    runs = [run.run_id for run in metered_runs(store)]
    assert fairprint("report", *runs, "--store", store, "-o", old)[0] == 0
    assert "is better in accuracy on new words" in said_by(Page(old.read_text(encoding="utf-8")))
    assert fairprint("report", old, "-o", new)[0] == 0
    assert embedded_records(new) == embedded_records(old)
    text = said_by(Page(new.read_text(encoding="utf-8")))
    gap = points(share(tuned) - share(long))
    assert f"In accuracy on new words the difference is {gap} (no interval): the answers, item by item, are not" in text
    assert "Of some of these runs only the record is at hand" in text and "is better in" not in text


# the command


def test_the_command_tells_gaps_energies_and_when_pretraining_comes_back(
    store: Path, fairprint: Callable[..., Ran]
) -> None:
    # E_scr - E_ft is 24 Wh, so that 2.4 kWh come back after 100 tasks
    arguments = ("--pretraining-kwh", "2.4", "--reuses", "1000", "--store", store)
    code, out, err = fairprint("regimes", "--task", "topics", *arguments)
    out = " ".join(out.replace(numbers.NBSP, " ").split())
    assert (code, err) == (0, "")
    assert f"“tuned” is better in accuracy on new words: {points(share(tuned) - share(long))}" in out
    low, high = part_interval(energies(LONG_S - TUNED_S), parts()) or (math.nan, math.nan)
    assert f"a fine-tuning saves 24 Wh ({1000 * low:.2g} Wh to {1000 * high:.2g} Wh)." in out
    assert f"comes back after 100 ({2.4 / high:.2g} to" in out
    assert "shared evenly over 1,000 uses, each bears 2.4 Wh of the pretraining" in out
    assert "Consequential: 0 Wh." in out
    # 12 s of tests are 1.2 Wh for 24 answers: 50 mWh each, 120 of which are 6 Wh
    assert (
        "“tuned”: 120 (sensor errors cancel) answers take as much energy as the training did, at 50 mWh each"
        in " ".join(out.split())
    )


def test_the_json_is_all_of_stdout_and_has_units_in_its_names(store: Path, fairprint: Callable[..., Ran]) -> None:
    arguments = ("--store", store, "--pretraining-kwh", "2.4", "--reuses", "1000", "--query-wh", "0.003", "--json")
    code, out, err = fairprint("regimes", *arguments)
    told = json.loads(out)
    assert (code, err, told["schema_version"], told["task"]) == (0, "", 1, "topics")
    low, high = part_interval(energies(LONG_S - TUNED_S), parts()) or (math.nan, math.nan)
    reuse = told["reuse"]
    assert reuse["saved_by_a_fine_tuning_kwh"]["value"] == pytest.approx(0.024)
    assert [reuse["break_even_tasks"][key] for key in ("value", "low", "high")] == pytest.approx(
        [100.0, 2.4 / high, 2.4 / low]
    )
    assert reuse["attributional_share_kwh"]["value"] == pytest.approx(0.0024)
    assert reuse["consequential_share_kwh"] == 0.0
    knew, optimised = told["what_pretraining_knew"], told["what_is_optimisation"]
    assert knew["energy_ratio"]["value"] == pytest.approx(TUNED_WH / LONG_WH)
    assert optimised["energy_ratio"]["value"] == pytest.approx(LONG_WH / TUNED_WH)
    (found,) = (each for each in knew["better_by"] if each["part"] == "new words")
    assert found["value"] == pytest.approx(share(tuned) - share(long)) and found["units"] == {"template": 4, "word": 6}
    # 6 Wh of training are 2,000 answers of 3 mWh
    use = told["use"][0]
    first = part_interval(energies(TUNED_S), parts()) or (math.nan, math.nan)
    assert use["query_given"] and [use["answers_to_match_training"][key] for key in ("value", "low", "high")] == (
        pytest.approx([2000.0, first[0] / 3e-6, first[1] / 3e-6])
    )


def test_what_is_not_given_is_absent_with_the_reason(store: Path, fairprint: Callable[..., Ran]) -> None:
    _, out, _ = fairprint("regimes", "--store", store, "--json")
    reuse = json.loads(out)["reuse"]
    for key in ("break_even_tasks", "attributional_share_kwh"):
        assert reuse[key]["value"] is None and reuse[key]["reason"] == "the energy of the pretraining was not given"
    _, out, _ = fairprint("regimes", "--store", store, "--json", "--pretraining-kwh", "1")
    share_ = json.loads(out)["reuse"]["attributional_share_kwh"]
    assert (share_["value"], share_["reason"]) == (None, "how many uses share the pretraining was not given")


def test_a_fine_tuning_that_saves_nothing_never_pays(tmp_path: Path, fairprint: Callable[..., Ran]) -> None:
    keep(tmp_path, 1, "tuned", "fine-tuning", LONG_S, tuned)
    keep(tmp_path, 2, "scratch", "training from scratch", TUNED_S, long)
    code, out, _ = fairprint("regimes", "--store", tmp_path, "--pretraining-kwh", "1")
    out = out.replace(numbers.NBSP, " ")
    assert code == 0 and f"saves no energy: E_scr {numbers.MINUS} E_ft is {numbers.MINUS}24 Wh" in out
    assert "no number of tasks is enough" in out


def test_errors_of_two_machines_do_not_cancel_so_that_the_break_even_may_have_no_end(
    tmp_path: Path, fairprint: Callable[..., Ran]
) -> None:
    keep(tmp_path, 1, "tuned", "fine-tuning", 280, tuned)
    clock = sample_metered().clock
    assert clock is not None
    other = clock.model_copy(update={"machine": "another"})
    keep(tmp_path, 2, "scratch", "training from scratch", LONG_S, long, clock=other)
    _, out, _ = fairprint("regimes", "--store", tmp_path, "--json", "--pretraining-kwh", "0.2")
    told = json.loads(out)
    saved, tasks = told["reuse"]["saved_by_a_fine_tuning_kwh"], told["reuse"]["break_even_tasks"]
    assert saved["low"] < 0 < saved["value"] == pytest.approx(0.002)
    assert tasks["value"] == pytest.approx(100.0) and tasks["low"] is None and "no upper bound" in tasks["reason"]
    ratio = told["what_pretraining_knew"]["energy_ratio"]
    assert ratio["low"] < 280 / 300 < ratio["high"] and ratio["value"] == pytest.approx(280 / 300)


def test_the_newest_run_of_each_name_is_taken(store: Path, fairprint: Callable[..., Ran]) -> None:
    again = keep(store, 4, "tuned", "fine-tuning", TUNED_S, long)
    for arguments in (("--task", "topics"), ()):
        _, out, _ = fairprint("regimes", *arguments, "--store", store, "--json")
        ids = {regime["name"]: regime["run_id"] for regime in json.loads(out)["regimes"]}
        assert set(ids) == {"tuned", "short", "long"} and ids["tuned"] == again.run_id
    _, out, _ = fairprint("regimes", "0001", "0003", "--store", store, "--json")
    assert [regime["run_id"][-4:] for regime in json.loads(out)["regimes"]] == ["0001", "0003"]


def test_audits_in_the_store_that_name_a_run_are_told(store: Path, fairprint: Callable[..., Ran]) -> None:
    run_id = metered_runs(store)[0].run_id
    folder, record = stored(store, {}, {})
    (folder.path / "run.json").unlink()
    folder.write_record(record.model_copy(update={"lineage": (run_id,)}))
    _, out, _ = fairprint("regimes", "--store", store, "--json")
    assert {regime["name"]: regime["audits"] for regime in json.loads(out)["regimes"]}["tuned"] == [folder.run_id]
    assert "What audits found" in fairprint("regimes", "--store", store)[1]


def test_the_page_of_the_command_has_what_was_given(store: Path, fairprint: Callable[..., Ran]) -> None:
    output = store.parent / "regimes.html"
    arguments = ("--store", store, "--pretraining-kwh", "2.4", "--reuses", "1000", "-o", output)
    code, _, err = fairprint("regimes", *arguments)
    text = said_by(Page(output.read_text(encoding="utf-8")))
    assert (code, err) == (0, f"report  {output}\n")
    assert "A pretraining of 2.4 kWh, as it was given, comes back after 100 (" in text
    assert "each bears 2.4 Wh of the pretraining" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("0001",), "one run alone compares with nothing"),
        (("0001", "0004"), "the runs are not of one task: 'other', 'topics'"),
        (("0001", "0002", "--task", "topics"), "runs and a task are named"),
        (("--task", "nothing"), "no finished run with a quality is of the task 'nothing'"),
        (("--task", "topics", "--pretraining-kwh", "0"), "the energy of the pretraining is 0.0 kWh"),
        (("--task", "topics", "--pretraining-kwh", "nan"), "the energy of the pretraining is nan kWh"),
        (("--task", "topics", "--reuses", "0"), "0 uses are impossible"),
        (("--task", "topics", "--query-wh", "-1"), "the energy of an answer is -0.001 kWh"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_a_reason(
    arguments: Sequence[str], said: str, store: Path, fairprint: Callable[..., Ran]
) -> None:
    keep(store, 4, "elsewhere", "fine-tuning", TUNED_S, tuned, task="other")
    code, out, err = fairprint("regimes", *arguments, "--store", store)
    assert (code, out) == (2, "") and said in err


def test_a_store_without_a_task_is_told_apart(tmp_path: Path, fairprint: Callable[..., Ran]) -> None:
    keep(tmp_path, 1, "no task", "fine-tuning", TUNED_S, tuned, task="")
    code, _, err = fairprint("regimes", "--store", tmp_path)
    assert code == 2 and "names a task and a quality" in err


def test_items_that_were_changed_stop_the_command(store: Path, fairprint: Callable[..., Ran]) -> None:
    (file,) = (metered_runs(store)[0].path / "quality").iterdir()
    file.write_text(file.read_text().replace("0.0", "1.0"))
    code, out, err = fairprint("regimes", "--store", store)
    assert (code, out) == (3, "") and "it was changed" in err


# the report of a task


def test_a_report_takes_the_newest_runs_of_a_task_beside_the_newest_audit(
    store: Path, fairprint: Callable[..., Ran]
) -> None:
    again = keep(store, 4, "tuned", "fine-tuning", TUNED_S, long)
    stored(store, {}, {})
    newest, _ = stored(store, {}, {}, moment=5)
    output = store.parent / "report.html"
    assert fairprint("report", "latest", "--task", "topics", "--store", store, "-o", output)[0] == 0
    found = embedded_records(output)
    assert [record.run_id for record in found if not isinstance(record, MeteredRecord)] == [newest.run_id]
    metered = {record.run_id for record in found if isinstance(record, MeteredRecord)}
    assert len(metered) == 3 and again.run_id in metered
    assert "Ways to learn the same task: topics" in said_by(Page(output.read_text(encoding="utf-8")))


def test_a_report_of_a_task_alone_needs_no_audit(store: Path, fairprint: Callable[..., Ran]) -> None:
    output = store.parent / "report.html"
    assert fairprint("report", "--task", "topics", "--store", store, "-o", output)[0] == 0
    assert len(embedded_records(output)) == 3
    code, _, err = fairprint("report", "--store", store, "-o", output)
    assert code == 2 and "no run is named" in err
