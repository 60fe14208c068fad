"""The meter of a transformers Trainer: ``meter_trainer(trainer, country_iso_code="KOR").train()``.

A callback is told of the steps of a training, but not of its failure: the Trainer calls none when it raises. So this
Trainer's own ``train`` is wrapped, and the callback, which marks the epochs, is only a part.
A loop of one's own, with accelerate or without, uses `measure` itself:

    with measure("training", phase="train", country_iso_code="KOR", budget=Budget(energy_kwh=2.0)) as run:
        for batch in loader:
            step(batch)
            run.count(steps=1, samples=len(batch))
            if run.exhausted:
                save_checkpoint()
                break
"""

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Unpack

from transformers.trainer_callback import TrainerCallback

from fairprint.audit.meter import Options, Span, active, current, fate, measure
from fairprint.audit.metered import Phase
from fairprint.audit.remaining import Forecast, forecast

log = logging.getLogger("fairprint")


class MeterCallback(TrainerCallback):  # type: ignore[misc,unused-ignore]
    """Marks the epochs of a training as spans, and stops it when the budget of the run is spent.

    Used alone, inside of ``with measure(...)``, it is blind to failures: of a training that raises, the last epoch is
    cut off by the end of the run. `meter_trainer` closes it as failed.

    Attributes:
        forecast: the energy of the whole training, foretold; None before the first step.
    """

    def __init__(self) -> None:
        self.forecast: Forecast | None = None
        self._epoch: Span | None = None
        self._points: list[tuple[int, float]] = []
        self._before_kwh = 0.0
        self._at_epoch = 0.0
        self.stopped = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **told: Any) -> None:
        """Begin anew: a Trainer may train several times."""
        self._points, self._epoch, self.stopped, self.forecast = [], None, False, None
        self._first_step, self._at_epoch = state.global_step, float(state.epoch or 0.0)
        run = active()
        self._before_kwh = run.so_far_kwh() if run is not None else 0.0

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **told: Any) -> None:
        """Begin a span."""
        self._epoch = measure(f"epoch {int(state.epoch or 0) + 1}", phase="epoch").start()

    def on_epoch_end(self, args: Any, state: Any, control: Any, **told: Any) -> None:
        """End it."""
        self._count_epochs(state)
        self.end_epoch("stopped" if self.stopped else "done")

    def on_step_end(self, args: Any, state: Any, control: Any, **told: Any) -> Any:
        """Count a step; stop, with a checkpoint, where the budget is spent."""
        span, run = current(), active()
        if span is not None:
            span.count(steps=1)
        if run is None:
            return control
        self._foretell(state, run.so_far_kwh() - self._before_kwh)
        if run.exhausted.is_set() and not self.stopped:
            self.stopped = True
            run.stopped_by_budget()
            log.warning("the training stops, with a checkpoint from which it can go on: its budget is spent")
            control.should_save = control.should_training_stop = True
        return control

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **others: Any) -> None:
        """Show the energy so far, and what it will be, beside the loss."""
        run = active()
        if run is None or logs is None:
            return
        logs["energy_kwh"] = spent_kwh = run.so_far_kwh() - self._before_kwh
        for key in ("value", "low", "high"):
            told: float | None = None if self.forecast is None else getattr(self.forecast, key)
            if told is not None:  # the forecast was made at the last step with a sample; the end never is before now
                logs["energy_forecast" + ("" if key == "value" else f"_{key}") + "_kwh"] = max(told, spent_kwh)

    def on_train_end(self, args: Any, state: Any, control: Any, **told: Any) -> None:
        """Close an epoch that was left in its middle."""
        self._count_epochs(state)
        self.end_epoch("stopped" if self.stopped else "done")

    def end_epoch(self, status: Any, note: str = "") -> None:
        """End the span of the epoch, where one is open."""
        if self._epoch is not None:
            self._epoch.stop(status, note)
            self._epoch = None

    def _count_epochs(self, state: Any) -> None:
        passed = float(state.epoch or 0.0) - self._at_epoch
        if passed > 0 and (span := self._epoch or current()) is not None:
            self._at_epoch += passed
            span.count(epochs=passed)

    def _foretell(self, state: Any, spent_kwh: float) -> None:
        done = state.global_step - self._first_step
        if not self._points or spent_kwh > self._points[-1][1]:
            self._points.append((done, spent_kwh))
            self.forecast = forecast(self._points, state.max_steps - self._first_step)


def meter_trainer(trainer: Any, *, name: str = "", **options: Unpack[Options]) -> Any:
    """Meter each training of a Trainer, and return it.

    Each call of ``train`` is a run of its own; inside of ``with measure(...)`` it is a span of that run. A call of
    ``hyperparameter_search`` is one run with a span for each trial; `fairprint.audit.searching.trials` tells them with
    what lies between. A training that raises is ``failed``, one that optuna prunes ``pruned``, one that a budget ends
    ``stopped``. Evaluations and checkpoints are spans too. The energy stands in the metrics that ``train`` returns.

    Tokens are those of ``input_ids``, padding included; FLOPs are 6 x parameters without embeddings x tokens (Kaplan et
    al. 2020, section 2.1), which leaves out attention and counts frozen weights as if they were trained.

    Args:
        trainer: a transformers Trainer, or one that inherits from it.
        name: what the run is called; the model's class where empty.
        options: store, place, PUE, WUE, interval, lineage and budget, as `measure` takes them.

    Raises:
        UsageError: the place, the PUE, the WUE, the interval or the budget is impossible.
    """
    name = name or type(trainer.model).__name__
    measure(name, **options)  # what is impossible is refused now, and not after hours of preparation
    _without_another_meter(trainer)
    callback = MeterCallback()
    trainer.callback_handler.callbacks.insert(0, callback)  # before those that print what is logged
    _wrap_train(trainer, name, callback, options)
    _wrap(trainer, "hyperparameter_search", lambda *_, **__: measure(f"{name}: search", **options))
    _wrap(trainer, "evaluate", lambda *_, **__: _inside("evaluation", "evaluation"))
    _wrap(trainer, "predict", lambda *_, **__: _inside("prediction", "evaluation"))
    _wrap(trainer, "_save_checkpoint", lambda *_, **__: _inside("checkpoint", "checkpoint"))
    _count_work(trainer)
    return trainer


@contextlib.contextmanager
def _inside(name: str, phase: Phase) -> Iterator[None]:
    """A span where something is metered; an evaluation alone makes no run."""
    with measure(name, phase=phase) if current() is not None else contextlib.nullcontext():
        yield


def _wrap(trainer: Any, method: str, context: Callable[..., Any]) -> None:
    """Put a context around a method of this object alone."""
    inner = getattr(trainer, method, None)
    if inner is None:
        return

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with context(*args, **kwargs):
            return inner(*args, **kwargs)

    setattr(trainer, method, wrapped)


def _wrap_train(trainer: Any, name: str, callback: MeterCallback, options: Options) -> None:
    inner, calls = trainer.train, 0

    def train(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        trial = kwargs.get("trial") if "trial" in kwargs else args[1] if len(args) > 1 else None
        phase: Phase = "train" if trial is None else "trial"
        told = name if phase == "train" else f"trial {getattr(trial, 'number', calls - 1)}"
        outer = contextlib.nullcontext() if current() is not None else measure(told, **options)
        with outer:
            span = measure(told, phase=phase).start()
            try:
                output = inner(*args, **kwargs)
            except BaseException as error:
                status, note = fate(error)
                callback.end_epoch(status, note)
                span.stop(status, note)
                raise
            span.stop("stopped" if callback.stopped else "done")
        record = outer.record if isinstance(outer, Span) else None
        if record is not None:
            told_s = {"energy_kwh": record.footprint.energy_kwh, "emissions_kg": record.footprint.emissions_kg}
            known = {key: value for key, value in told_s.items() if value is not None}
            output.metrics.update(known)
            trainer.state.log_history.append({**known, "run_id": record.run_id, "step": trainer.state.global_step})
        return output

    trainer.train = train


def _count_work(trainer: Any) -> None:
    """Count what goes through the model at each step of the training."""
    inner, parameters = trainer.training_step, 0

    def training_step(model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal parameters
        span = current()
        if span is not None and isinstance(inputs, Mapping):
            parameters = parameters or _parameters(trainer.model)
            ids = inputs.get("input_ids")
            tokens = int(ids.numel()) if ids is not None else 0
            first = next((value for value in inputs.values() if getattr(value, "ndim", 0) > 0), None)
            samples = 0 if first is None else int(first.shape[0])
            span.count(samples=samples, tokens=tokens, flops=6.0 * parameters * tokens)
        return inner(model, inputs, *args, **kwargs)

    trainer.training_step = training_step


def _parameters(model: Any) -> int:
    """Return the number of parameters without embeddings."""
    try:
        return int(model.num_parameters(exclude_embeddings=True))
    except (AttributeError, TypeError):
        return sum(int(weight.numel()) for weight in model.parameters())


def _without_another_meter(trainer: Any) -> None:
    """Take out transformers' own CodeCarbonCallback, which would meter the same energy again, and go online."""
    found = [cb for cb in trainer.callback_handler.callbacks if type(cb).__name__ == "CodeCarbonCallback"]
    for callback in found:
        trainer.remove_callback(callback)
        log.warning("transformers' CodeCarbonCallback was taken out: it would meter the same energy a second time")
