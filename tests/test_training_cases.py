"""Trainings that a meter must not change, or could misread: searches, evaluations, retries, budgets beside them."""

import logging
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from test_training import BATCH, LENGTH, ROWS, At, Rows, raising, records, small_model, trainer_in
from transformers import Trainer, TrainerCallback

from fairprint.audit.budget import Budget
from fairprint.audit.meter import measure
from fairprint.audit.searching import BETWEEN, trials
from fairprint.audit.training import MOST_POINTS, MeterCallback, meter_trainer
from fairprint.probes.errors import UsageError

INTERVAL_S = 0.02
EPOCH = ROWS // BATCH
"""Steps of one."""


class Spends(TrainerCallback):
    """Says that the budget is spent at a step: what a slow machine and a fast one would do at different ones."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_begin(self, args: Any, state: Any, control: Any, **told: Any) -> None:
        from fairprint.audit.meter import active

        if state.global_step + 1 == self.step:
            active().exhausted.set()


def stopped_at(step: int, folder: Path, **options: Any) -> Trainer:
    """A Trainer that has trained until its budget was spent in a step."""
    trainer = trainer_in(folder, callbacks=[Spends(step)], **options)
    meter_trainer(trainer, store=folder / "runs", interval_s=INTERVAL_S, budget=Budget(energy_kwh=1e6))
    trainer.train()
    return trainer


def search(trainer: Trainer, n_trials: int = 1, **options: Any) -> Any:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return trainer.hyperparameter_search(
        hp_space=lambda trial: {"learning_rate": trial.suggest_float("learning_rate", 1e-3, 1e-3)},
        n_trials=n_trials,
        direction="minimize",
        backend="optuna",
        **options,
    )


def checkpoints(folder: Path) -> list[int]:
    return sorted(int(path.name.rpartition("-")[2]) for path in (folder / "out").glob("checkpoint-*"))


# what must not change


def test_a_metered_search_minimises_what_the_search_alone_does(tmp_path: Path) -> None:
    options = {"num_train_epochs": 1, "eval_strategy": "epoch"}
    alone = search(trainer_in(tmp_path / "alone", **options))
    metered = trainer_in(tmp_path / "metered", **options)
    meter_trainer(metered, store=tmp_path / "runs", interval_s=INTERVAL_S)
    assert search(metered).objective == alone.objective


def test_what_an_evaluation_returns_and_logs_is_what_it_is_without_a_meter(tmp_path: Path) -> None:
    trainer = trainer_in(tmp_path, num_train_epochs=1)
    plain = set(trainer.evaluate())
    meter_trainer(trainer, store=tmp_path / "runs", interval_s=INTERVAL_S)
    with measure("both", store=tmp_path / "runs", interval_s=INTERVAL_S):
        assert set(trainer.evaluate()) == plain
        predicted = set(trainer.predict(Rows()).metrics)
    assert not any("energy" in key for key in predicted)
    assert [(span.name, span.phase) for span in records(tmp_path / "runs")[0].spans] == [
        ("evaluation", "evaluation"),
        ("prediction", "evaluation"),
    ]


def test_a_trainer_whose_train_returns_something_else_still_returns_it(tmp_path: Path) -> None:
    trainer = trainer_in(tmp_path)
    trainer.train = lambda: "weights"
    meter_trainer(trainer, store=tmp_path / "runs", interval_s=INTERVAL_S)
    assert trainer.train() == "weights"
    assert records(tmp_path / "runs")[0].status == "complete"


def test_a_trainer_is_metered_once(tmp_path: Path) -> None:
    trainer = meter_trainer(trainer_in(tmp_path), store=tmp_path / "runs")
    with pytest.raises(UsageError, match="metered already"):
        meter_trainer(trainer)
    with pytest.raises(UsageError, match="metered already"):
        meter_trainer(trainer_in(tmp_path, callbacks=[MeterCallback()]))


# work and spans


def test_the_work_of_each_trial_is_that_of_its_own_model(tmp_path: Path) -> None:
    trainer = trainer_in(tmp_path, num_train_epochs=1)
    widths = iter((32, 64))
    trainer.model_init = lambda trial=None: small_model(next(widths))
    meter_trainer(trainer, store=tmp_path / "runs", interval_s=INTERVAL_S)
    with measure("two", store=tmp_path / "runs", interval_s=INTERVAL_S):
        trainer.train()
        trainer.train()
    flops = [span.work.flops for span in records(tmp_path / "runs")[0].spans if span.phase == "train"]
    tokens = ROWS * LENGTH
    assert flops == [6 * small_model(width).num_parameters(exclude_embeddings=True) * tokens for width in (32, 64)]


def test_where_several_processes_train_on_one_machine_the_work_of_all_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    trainer = meter_trainer(trainer_in(tmp_path, max_steps=3), store=tmp_path / "runs", interval_s=INTERVAL_S)
    trainer.train()
    work = records(tmp_path / "runs")[0].work
    assert (work.samples, work.tokens, work.steps) == (4 * 3 * BATCH, 4 * 3 * BATCH * LENGTH, 3)


def test_an_epoch_that_is_tried_again_with_a_smaller_batch_does_not_hold_the_next(tmp_path: Path) -> None:
    trainer = trainer_in(
        tmp_path,
        auto_find_batch_size=True,
        num_train_epochs=1,
        callbacks=[At(3, raising(RuntimeError("CUDA out of memory.")))],
    )
    meter_trainer(trainer, store=tmp_path / "runs", interval_s=INTERVAL_S)
    trainer.train()
    (record,) = records(tmp_path / "runs")
    epochs = [(span.parent, span.status, span.note) for span in record.spans if span.phase == "epoch"]
    train = record.spans[0].span
    assert epochs == [(train, "truncated", "another training began"), (train, "done", "")]


def test_the_epoch_in_which_a_trial_is_pruned_is_pruned(tmp_path: Path) -> None:
    trainer = trainer_in(tmp_path, eval_strategy="steps", eval_steps=5)
    meter_trainer(trainer, store=tmp_path / "runs", interval_s=INTERVAL_S)
    with pytest.raises(ValueError):  # a loss above 0 is pruned, so that no trial is complete
        search(trainer, pruner=optuna.pruners.ThresholdPruner(upper=0.0))
    (record,) = records(tmp_path / "runs")
    assert [(span.phase, span.status) for span in record.spans if span.phase in ("trial", "epoch")] == [
        ("trial", "pruned"),
        ("epoch", "pruned"),
    ]
    assert record.status == "truncated"


def test_one_trainer_inside_another_is_a_span_of_it(tmp_path: Path) -> None:
    inner = trainer_in(tmp_path / "inner", max_steps=2)
    meter_trainer(inner, name="inner", store=tmp_path / "runs", interval_s=INTERVAL_S)
    outer = trainer_in(tmp_path / "outer", max_steps=4, callbacks=[At(2, inner.train)])
    meter_trainer(outer, name="outer", store=tmp_path / "runs", interval_s=INTERVAL_S)
    outer.train()
    (record,) = records(tmp_path / "runs")
    by_name = {span.name: span for span in record.spans if span.phase == "train"}
    parents = {span.span: span for span in record.spans}
    assert parents[by_name["inner"].parent].phase == "epoch"
    assert parents[parents[by_name["inner"].parent].parent] == by_name["outer"]
    assert (by_name["inner"].work.steps, by_name["outer"].work.steps) == (2, 6)
    assert [trial.name for trial in trials(record)] == ["outer", BETWEEN]


def test_trainings_at_the_same_time_are_not_added_up(tmp_path: Path) -> None:
    with measure("two", store=tmp_path, interval_s=INTERVAL_S) as run:
        both = threading.Barrier(2)

        def train() -> None:
            with measure("a", phase="trial"):
                both.wait(10)
                time.sleep(0.3)  # a run of less than a tenth of a second has no energy
                both.wait(10)

        threads = [threading.Thread(target=train) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    one, other, between = trials(run.record)
    assert one.status == other.status == "done"
    assert between.energy_kwh is None and "at the same time" in between.reason
    assert 0 <= between.duration_s <= run.record.footprint.duration_s


# budgets


@pytest.mark.parametrize("step", [EPOCH + 5, 2 * EPOCH], ids=["in an epoch", "at the end of an epoch"])
def test_a_training_that_a_budget_stopped_beside_evaluations_resumes_to_the_same_weights(
    tmp_path: Path, step: int
) -> None:
    # dropout: each number that is drawn between the checkpoint and its resumption would change all that follow
    options = {"num_train_epochs": 3, "eval_strategy": "epoch", "save_strategy": "epoch", "width": 32}
    whole = trainer_in(tmp_path / "whole", **options)
    whole.train()
    stopped = stopped_at(step, tmp_path / "part", **options)
    assert stopped.state.global_step == step == checkpoints(tmp_path / "part")[-1]
    resumed = trainer_in(tmp_path / "part", **options)
    resumed.train(resume_from_checkpoint=True)
    expected = whole.model.state_dict()
    assert all(torch.equal(weight, expected[name]) for name, weight in resumed.model.state_dict().items())


def test_a_budget_saves_also_where_only_the_best_is_saved(tmp_path: Path) -> None:
    # what gets better has a lower loss; here a higher one is called better, so that only the first is saved
    options = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "best", "metric_for_best_model": "loss"}
    stopped_at(5, tmp_path, greater_is_better=True, **options)
    assert checkpoints(tmp_path)[-1] == 5


def test_a_budget_that_is_spent_in_the_last_step_stops_nothing(tmp_path: Path) -> None:
    trainer = stopped_at(2 * EPOCH, tmp_path)
    (record,) = records(tmp_path / "runs")
    assert trainer.state.global_step == 2 * EPOCH
    assert record.spans[0].status == "done" and record.budget.outcome != "stopped"


def test_a_spent_budget_ends_a_search(tmp_path: Path) -> None:
    trainer = trainer_in(tmp_path, callbacks=[Spends(4)], eval_strategy="epoch", width=16)
    meter_trainer(trainer, store=tmp_path / "runs", interval_s=INTERVAL_S, budget=Budget(energy_kwh=1e6))
    search(trainer, n_trials=5)
    (record,) = records(tmp_path / "runs")
    assert [(trial.name, trial.status) for trial in trials(record)] == [("trial 0", "stopped"), (BETWEEN, None)]


def test_a_budget_that_will_not_do_is_told_long_before_it_is_spent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    quarter = meter_trainer(
        trainer_in(tmp_path, num_train_epochs=4, width=128), store=tmp_path / "runs", interval_s=INTERVAL_S
    )
    quarter.train()
    # a quarter of what will be needed: a machine that is twice as fast at the second training changes nothing
    quarter_kwh = records(tmp_path / "runs")[0].footprint.energy_kwh
    trainer = trainer_in(tmp_path, num_train_epochs=16, width=128)
    budget = Budget(energy_kwh=quarter_kwh, warn_share=1.0)
    meter_trainer(trainer, store=tmp_path / "runs", interval_s=INTERVAL_S, budget=budget)
    with caplog.at_level(logging.WARNING, "fairprint"):
        trainer.train()
    told = [record.message for record in caplog.records if "foretold" in record.message]
    assert len(told) == 1 and "is less than what the training is foretold to need" in told[0]
    assert told[0] in records(tmp_path / "runs")[1].notes


def test_the_samples_of_a_long_training_are_thinned_for_its_forecast() -> None:
    class Told:
        """A run and a training that say what was spent at each step."""

        limit_kwh = None
        spent = 0.0

        def so_far_kwh(self) -> float:
            return self.spent

        global_step, max_steps, epoch = 0, 10_000, 0.0

    told, callback = Told(), MeterCallback()
    callback._first_step = 0
    for step in range(1, 5_001):
        told.global_step, told.spent = step, 0.25 * step
        callback._foretell(told, told)
        assert len(callback._points) <= MOST_POINTS
    assert callback._points[0] == (1, 0.25) and callback._points[-1] == (5_000, 1_250.0)
    assert callback.forecast.value == pytest.approx(2_500)


TWO_PROCESSES = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_training import trainer_in
from test_training_cases import Spends, INTERVAL_S
from fairprint.audit.budget import Budget
from fairprint.audit.meter import active
from fairprint.audit.training import meter_trainer

class Here(Spends):
    def on_step_begin(self, args, state, control, **told):
        if active() is not None:
            super().on_step_begin(args, state, control, **told)

folder = Path({folder!r})
trainer = trainer_in(folder, callbacks=[Here(4)], width=16)
meter_trainer(trainer, store=folder / "runs", interval_s=INTERVAL_S, budget=Budget(energy_kwh=1e6))
trainer.train()
print("steps", trainer.state.global_step)
"""


@pytest.mark.slow
def test_of_two_processes_that_train_together_one_meters_and_a_budget_stops_both(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(TWO_PROCESSES.format(tests=str(Path(__file__).parent), folder=str(tmp_path)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("steps 4") == 2
    (record,) = records(tmp_path / "runs")
    assert record.work.steps == 4 and record.work.samples == 2 * 4 * BATCH
    assert record.budget.outcome == "stopped" and checkpoints(tmp_path) == [4]
