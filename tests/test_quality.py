"""What a training notes of its model: purpose, task, and quality item by item."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from test_training import records, trainer_in
from test_training_cases import search

from fairprint.audit.meter import measure
from fairprint.audit.metered import MeteredRecord
from fairprint.audit.metered_store import MeteredFolder, metered_runs
from fairprint.audit.quality import QualityItem, as_lines, of_evaluation, quality_of, read_items
from fairprint.audit.searching import trials
from fairprint.audit.training import meter_trainer
from fairprint.probes.errors import StoreError, UsageError

ITEMS = tuple(
    QualityItem(item=f"{word}/{template}", value=float(right), units={"word": word, "template": template})
    for word, template, right in (
        ("oboe", "t1", True),
        ("oboe", "t2", False),
        ("flute", "t1", True),
        ("flute", "t2", True),
        ("harp", "t1", False),
    )
)


def one_run(store: Path) -> tuple[MeteredFolder, MeteredRecord]:
    (run,) = metered_runs(store)
    return run, run.record()


def test_what_was_noted_of_a_run_stands_in_its_record(tmp_path: Path) -> None:
    with measure("tuning", store=tmp_path, interval_s=0.05, purpose="fine-tuning", task="topics") as run:
        run.note_quality("accuracy", items=ITEMS, part="new words")
        run.note_quality("loss", 0.25, higher_is_better=False)
    folder, record = one_run(tmp_path)
    assert (record.purpose, record.task) == ("fine-tuning", "topics")
    accuracy, loss = record.quality
    assert (accuracy.metric, accuracy.part, accuracy.items) == ("accuracy", "new words", 5)
    assert accuracy.value == 3 / 5
    assert accuracy.units == {"template": 2, "word": 3}
    assert folder.quality_items(accuracy) == ITEMS
    assert 0 < accuracy.low < 3 / 5 < accuracy.high < 1 and accuracy.no_interval is None
    assert (loss.low, loss.high, loss.no_interval) == (None, None, "only the value was noted, without items")
    assert (loss.value, loss.higher_is_better, loss.items, loss.file, loss.sha256) == (0.25, False, None, None, None)
    assert folder.quality_items(loss) == ()


def test_a_run_says_nothing_of_itself_that_nobody_told(tmp_path: Path) -> None:
    with measure("tuning", store=tmp_path, interval_s=0.05):
        pass
    _, record = one_run(tmp_path)
    assert (record.purpose, record.task, record.quality) == (None, "", ())


def test_of_the_same_metric_and_part_the_last_note_counts(tmp_path: Path) -> None:
    with measure("tuning", store=tmp_path, interval_s=0.05) as run:
        run.note_quality("accuracy", 0.5, part="a")
        run.note_quality("accuracy", 0.6, part="b")
        run.note_quality("accuracy", 0.7, part="a")
    _, record = one_run(tmp_path)
    assert [(found.part, found.value) for found in record.quality] == [("a", 0.7), ("b", 0.6)]


def test_a_quality_belongs_to_the_span_in_which_it_was_noted(tmp_path: Path) -> None:
    with measure("search", store=tmp_path, interval_s=0.05):
        for number, value in enumerate((0.5, 0.75)):
            with measure(f"trial {number}", phase="trial") as trial:
                trial.note_quality("accuracy", value)
    _, record = one_run(tmp_path)
    assert record.quality == ()
    assert [trial.quality[0].value for trial in trials(record)[:-1]] == [0.5, 0.75]


def test_a_program_that_joins_a_run_notes_in_it_too(tmp_path: Path) -> None:
    program = (
        "from fairprint.audit.meter import measure\n"
        "from fairprint.audit.quality import QualityItem\n"
        "with measure('inner') as span:\n"
        "    span.note_quality('accuracy', items=[QualityItem(item=i, value=v) for i, v in (('a', 1.0), ('b', 0.0))])\n"
    )
    with measure("outer", store=tmp_path, interval_s=0.05):
        subprocess.run([sys.executable, "-c", program], check=True)
    folder, record = one_run(tmp_path)
    (span,) = record.spans
    assert span.quality[0].value == 0.5
    assert [item.item for item in folder.quality_items(span.quality[0])] == ["a", "b"]


def test_the_last_evaluation_of_a_trainer_is_the_quality_of_its_training(tmp_path: Path) -> None:
    trainer = trainer_in(tmp_path, num_train_epochs=2, eval_strategy="epoch")
    meter_trainer(trainer, store=tmp_path / "runs", interval_s=0.02, purpose="training from scratch", task="counting")
    trainer.train()
    (record,) = records(tmp_path / "runs")
    (training,) = [span for span in record.spans if span.phase == "train"]
    (loss,) = training.quality
    logged = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    assert len(logged) == 2
    assert (loss.metric, loss.value, loss.higher_is_better) == ("loss", logged[-1], False)
    assert (record.purpose, record.task) == ("training from scratch", "counting")


def test_each_trial_of_a_search_has_its_own_quality(tmp_path: Path) -> None:
    trainer = trainer_in(tmp_path, num_train_epochs=1, eval_strategy="epoch", width=16)
    meter_trainer(trainer, store=tmp_path / "runs", interval_s=0.02)
    best = search(trainer, n_trials=2)
    (record,) = records(tmp_path / "runs")
    losses = [trial.quality[0].value for trial in trials(record)[:-1]]
    assert len(losses) == 2 and min(losses) == best.objective


def test_the_direction_of_a_metric_is_that_of_the_trainer_or_of_its_name() -> None:
    metrics = {"eval_loss": 1.0, "eval_accuracy": 0.5, "eval_gap": 0.1, "eval_runtime": 3.0, "epoch": 2.0}
    assert [(q.metric, q.higher_is_better) for q in of_evaluation(metrics, "gap", False)] == [
        ("loss", False),
        ("accuracy", True),
        ("gap", False),
    ]
    assert [q.value for q in of_evaluation({"eval_loss": math.nan, "eval_f1": 1, "eval_ok": True})] == [1.0]


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=30).filter(lambda values: np.ptp(values) > 1e-3))
def test_items_that_are_their_own_units_have_the_interval_of_the_t_test(values: list[float]) -> None:
    found = quality_of("score", items=[QualityItem(item=str(n), value=value) for n, value in enumerate(values)])
    bounds = stats.ttest_1samp([*values], 0).confidence_interval(0.95)
    if set(values) <= {0.0, 1.0}:
        return  # shares have their interval on the logit scale
    assert (found.low, found.high) == pytest.approx((bounds.low, bounds.high), rel=1e-6, abs=1e-9)


def test_a_value_that_is_not_the_mean_of_its_items_has_no_interval() -> None:
    found = quality_of("f1", 0.9, items=ITEMS)
    assert (found.value, found.low, found.high) == (0.9, None, None)
    assert found.no_interval == "what was noted is not the mean of its items, so that they give it no interval"


@pytest.mark.parametrize(
    ("noted", "told"),
    [
        ({"metric": "accuracy"}, "is None: expected a finite number"),
        ({"metric": "accuracy", "value": math.nan}, "is nan: expected a finite number"),
        ({"metric": "", "value": 1.0}, "has no metric"),
        ({"metric": "accuracy", "items": [QualityItem(item="a", value=math.inf)]}, "item 'a' is inf"),
        ({"metric": "accuracy", "items": [ITEMS[0], ITEMS[0]]}, "two items of the accuracy are called 'oboe/t1'"),
        ({"metric": "accuracy", "items": [ITEMS[0], QualityItem(item="b", value=1.0)]}, "has the units \\[\\]"),
    ],
)
def test_what_is_no_quality_is_refused(noted: dict, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        quality_of(**noted)


def test_an_unknown_purpose_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'finetuning' is no purpose") as caught:
        measure("tuning", store=tmp_path, purpose="finetuning")
    assert "Did you mean 'fine-tuning'?" in str(caught.value.hint)


def test_items_that_were_changed_are_refused(tmp_path: Path) -> None:
    with measure("tuning", store=tmp_path, interval_s=0.05) as run:
        run.note_quality("accuracy", items=ITEMS)
    folder, record = one_run(tmp_path)
    file = folder.path / record.quality[0].file
    file.write_text(file.read_text().replace("0.0", "1.0"))
    with pytest.raises(StoreError, match="it was changed"):
        folder.quality_items(record.quality[0])
    file.unlink()
    with pytest.raises(StoreError, match="cannot be read"):
        folder.quality_items(record.quality[0])


def test_items_for_which_there_is_no_room_cost_no_run(tmp_path: Path) -> None:
    with measure("tuning", store=tmp_path, interval_s=0.05) as run:
        (tmp_path / run.run_id / "quality").write_text("a file where the folder should be")
        run.note_quality("accuracy", items=ITEMS)
    _, record = one_run(tmp_path)
    (accuracy,) = record.quality
    assert (accuracy.value, accuracy.file, accuracy.sha256) == (3 / 5, None, None)
    assert "its items could not be written" in accuracy.note


@given(st.dictionaries(st.text(min_size=1), st.tuples(st.floats(-1e100, 1e100), st.text()), min_size=1))
def test_items_come_back_as_they_were_written(tmp_path_factory: pytest.TempPathFactory, told: dict) -> None:
    items = tuple(QualityItem(item=name, value=value, units={"word": word}) for name, (value, word) in told.items())
    folder = tmp_path_factory.mktemp("run")
    (folder / "items.jsonl").write_bytes(as_lines(items).encode())
    noted = quality_of("score", 0.0, items=items).model_copy(update={"file": "items.jsonl"})
    assert read_items(folder, noted) == items
