"""What a comparison of regimes must not get wrong: sensors that are not there, answers counted twice, odd qualities."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sample_metered import footprint, parts, sample_metered, span
from scipy import stats

from fairprint.audit.meter import measure
from fairprint.audit.metered import Quality, WorkDone
from fairprint.audit.metered_store import MeteredFolder, metered_runs
from fairprint.audit.quality import QualityItem, quality_of
from fairprint.audit.records import Component
from fairprint.audit.regimes import FINE_TUNED, SCRATCH, answers_to_match, compare_regimes, training_cost
from fairprint.probes.errors import UsageError

WORDS, TEMPLATES = 6, 5
Rule = Callable[[int, int], float]
Noted = tuple[Quality, Sequence[QualityItem]]

ABSENT = Component(name="gpu", energy_kwh=None, sensor="none", half_width=None, detail="no GPU")


def better(word: int, template: int) -> float:
    return float((word + template) % 4 != 0)


def worse(word: int, template: int) -> float:
    return float((word * template) % 3 == 0)


def noted(rule: Rule, value: float | None = None, **told: Any) -> Noted:
    items = [
        QualityItem(item=f"{w}/{t}", value=rule(w, t), units={"word": f"w{w}", "template": f"t{t}"})
        for w in range(WORDS)
        for t in range(TEMPLATES)
    ]
    return quality_of(**{"metric": "accuracy", "part": "new words", **told}, value=value, items=items), items


def run(store: Path, purpose: str, *qualities: Noted, seconds: float = 100.0, **changes: Any) -> MeteredFolder:
    """Write a run with a training of so many seconds and 50 s of answers after it."""
    run_id = f"20260301T10000000{len(list(store.iterdir())) if store.exists() else 0}Z-{purpose.split()[-1]}-0000"
    folder = MeteredFolder(store / run_id)
    folder.path.mkdir(parents=True)
    spans = (
        span("1", 0.0, seconds, phase="train", name="train"),
        span("2", seconds, seconds + 50.0, phase="evaluation", name="prediction"),
    )
    told = {
        "run_id": run_id,
        "name": purpose,
        "purpose": purpose,
        "task": "topics",
        "quality": tuple(folder.write_items(quality, items) for quality, items in qualities),
        "footprint": footprint(parts(seconds + 50.0)),
        "spans": spans,
        "work": WorkDone(steps=int(seconds)),
    }
    folder.write_record(sample_metered(**{**told, **changes}))
    return folder


def test_a_machine_without_a_gpu_is_compared_though_its_spans_have_a_gpu_of_0(tmp_path: Path) -> None:
    folders = []
    for purpose, rule, seconds in ((FINE_TUNED, better, 100.0), (SCRATCH, worse, 300.0)):
        seen = tuple(part for part in parts(seconds + 50.0) if part.name != "gpu")
        spans = []
        for number, begin_s, end_s, phase in (("1", 0.0, seconds, "train"), ("2", seconds, seconds + 50, "evaluation")):
            whole = span(number, begin_s, end_s)
            spent = whole.components | {"gpu": 0.0}
            spans.append(
                whole.model_copy(update={"phase": phase, "components": spent, "energy_kwh": sum(spent.values())})
            )
        folders.append(
            run(
                tmp_path,
                purpose,
                noted(rule),
                seconds=seconds,
                footprint=footprint((*seen, ABSENT)),
                spans=tuple(spans),
            )
        )
    found = compare_regimes(folders)
    assert found.knew is not None
    ratio = found.knew.energy_ratio
    # both used 60 W (CPU and RAM), for 100 s and 300 s, by the same sensors in the same proportion: all errors cancel
    assert ratio.value == pytest.approx(1 / 3)
    assert ratio.low == pytest.approx(1 / 3)
    assert ratio.high == pytest.approx(1 / 3)
    assert set(found.regimes[0].cost.components) == {"cpu", "ram"}  # what no sensor saw is absent, not 0
    # 50 s of answers to 30 items against 100 s of training: 30 x 100 / 50
    assert answers_to_match(found.regimes[0]).value == pytest.approx(60.0)


def test_runs_that_were_really_metered_here_are_compared(tmp_path: Path) -> None:
    for purpose, rule in ((FINE_TUNED, better), (SCRATCH, worse)):
        with measure(purpose, store=tmp_path, interval_s=0.05, purpose=purpose, task="topics") as metered:
            with measure("train", phase="train"):
                sum(range(2_000_000))
            metered.note_quality("accuracy", items=noted(rule)[1], part="new words")
    found = compare_regimes(metered_runs(tmp_path))
    assert found.knew is not None
    (difference,) = found.knew.differences
    assert difference.value == pytest.approx(mean(better) - mean(worse))
    assert (difference.items, dict(difference.units)) == (30, {"template": TEMPLATES, "word": WORDS})


def mean(rule: Rule) -> float:
    return sum(rule(w, t) for w in range(WORDS) for t in range(TEMPLATES)) / (WORDS * TEMPLATES)


def test_the_paired_interval_is_the_two_way_jackknife_with_words_and_templates_as_units(tmp_path: Path) -> None:
    found = compare_regimes([run(tmp_path, FINE_TUNED, noted(better)), run(tmp_path, SCRATCH, noted(worse))])
    assert found.knew is not None
    (difference,) = found.knew.differences
    moved = {(w, t): better(w, t) - worse(w, t) for w in range(WORDS) for t in range(TEMPLATES)}

    def variance(unit_of: Callable[[tuple[int, int]], object]) -> float:
        units = sorted({unit_of(cell) for cell in moved}, key=str)
        without = []
        for unit in units:
            rest = [value for cell, value in moved.items() if unit_of(cell) != unit]
            without.append(sum(rest) / len(rest))
        middle = sum(without) / len(without)
        return (len(units) - 1) / len(units) * sum((value - middle) ** 2 for value in without)

    of_words, of_templates, of_cells = variance(lambda c: c[0]), variance(lambda c: c[1]), variance(lambda c: c)
    used = max(of_words + of_templates - of_cells, of_words, of_templates)
    df = used**2 / (of_templates**2 / (TEMPLATES - 1) + of_words**2 / (WORDS - 1))
    value, error = sum(moved.values()) / len(moved), math.sqrt(used)
    reach = stats.t.ppf(0.975, df) * error
    assert difference.value == pytest.approx(value)
    assert difference.low == pytest.approx(value - reach)
    assert difference.high == pytest.approx(value + reach)
    assert difference.p_value == pytest.approx(2 * stats.t.sf(abs(value / error), df))


def test_two_metrics_of_the_same_answers_are_answers_once(tmp_path: Path) -> None:
    twice = run(tmp_path, FINE_TUNED, noted(better), noted(worse, metric="confidence"))
    once = run(tmp_path, SCRATCH, noted(better))
    queries = {regime.record.run_id: regime.query.value for regime in compare_regimes([twice, once]).regimes}
    # 360 W for 50 s over 30 answers
    assert queries[twice.run_id] == pytest.approx(360 * 50 / 3.6e6 / 30)
    assert queries[once.run_id] == queries[twice.run_id]


def test_answers_to_two_parts_add_up(tmp_path: Path) -> None:
    both = run(tmp_path, FINE_TUNED, noted(better), noted(worse, part="known words"))
    (first, *_) = compare_regimes([both, run(tmp_path, SCRATCH, noted(better), seconds=200.0)]).regimes
    assert first.query.value == pytest.approx(360 * 50 / 3.6e6 / 60)


def test_a_value_that_is_not_the_mean_of_its_items_is_shown_as_noted_and_has_no_interval(tmp_path: Path) -> None:
    tuned = run(tmp_path, FINE_TUNED, noted(better, 0.9, metric="f1"))
    found = compare_regimes([tuned, run(tmp_path, SCRATCH, noted(worse, 0.5, metric="f1"), seconds=200.0)])
    assert found.knew is not None
    (difference,) = found.knew.differences
    assert difference.value == pytest.approx(0.4)
    assert (difference.low, difference.high, difference.p_value) == (None, None, None)
    assert difference.reason is not None and "not the mean" in difference.reason
    single = found.regimes[0].qualities[0]
    assert (single.value, single.low) == (0.9, None)
    assert single.reason is not None and "not the mean" in single.reason


def test_runs_that_disagree_on_what_is_better_have_no_difference(tmp_path: Path) -> None:
    tuned = run(tmp_path, FINE_TUNED, noted(better, metric="score"))
    other = run(tmp_path, SCRATCH, noted(worse, metric="score", higher_is_better=False), seconds=200.0)
    found = compare_regimes([tuned, other])
    assert found.knew is not None
    assert found.knew.differences[0].value is None
    assert found.knew.differences[0].reason == "the two do not agree on whether more of it is better"


def test_less_loss_is_better(tmp_path: Path) -> None:
    def loss(rule: Rule) -> Noted:
        return noted(lambda w, t: 1 - rule(w, t), metric="loss", higher_is_better=False)

    tuned, other = run(tmp_path, FINE_TUNED, loss(better)), run(tmp_path, SCRATCH, loss(worse), seconds=200.0)
    found = compare_regimes([tuned, other])
    assert found.knew is not None
    assert found.knew.differences[0].value == pytest.approx(mean(better) - mean(worse))


def test_a_whole_run_and_a_training_have_no_ratio(tmp_path: Path) -> None:
    tuned = run(tmp_path, FINE_TUNED, noted(better))
    found = compare_regimes([tuned, run(tmp_path, SCRATCH, noted(worse), seconds=200.0, spans=())])
    assert found.knew is not None
    assert [regime.cost.whole for regime in found.regimes] == [False, True]
    assert found.knew.energy_ratio.value is None
    assert "all that it did" in (found.knew.energy_ratio.reason or "")


def test_one_run_named_twice_is_one_run(tmp_path: Path) -> None:
    tuned = run(tmp_path, FINE_TUNED, noted(better))
    with pytest.raises(UsageError, match="one run alone"):
        compare_regimes([tuned, tuned])


def test_a_run_that_still_goes_on_is_refused_with_what_to_do(tmp_path: Path) -> None:
    tuned = run(tmp_path, FINE_TUNED, noted(better))
    with (
        measure("now", store=tmp_path, interval_s=0.05, purpose=SCRATCH, task="topics"),
        pytest.raises(UsageError, match="is not finished") as told,
    ):
        compare_regimes([tuned, *(folder for folder in metered_runs(tmp_path) if not folder.finished)])
    assert told.value.hint == "wait for its end"


def test_trainings_that_went_on_at_once_count_as_the_whole_run() -> None:
    spans = (span("1", 0.0, 60.0, phase="train"), span("2", 30.0, 90.0, phase="train"))
    record = sample_metered(spans=spans, footprint=footprint(parts(150.0), duration_s=150.0))
    cost = training_cost(record)
    assert cost.whole
    assert cost.duration_s == 150.0
    assert cost.energy_kwh.value == pytest.approx(360 * 150 / 3.6e6)
