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
import functools
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Unpack

from transformers.trainer_callback import TrainerCallback

from fairprint.audit.meter import Options, Span, active, budgeted, current, fate, measure
from fairprint.audit.metered import Phase
from fairprint.audit.metering import Run
from fairprint.audit.quality import of_evaluation
from fairprint.audit.remaining import Forecast, forecast
from fairprint.probes.errors import UsageError

log = logging.getLogger("fairprint")

MOST_POINTS = 400
"""So many samples are kept for the forecast; where there are more, every other one goes."""

_LOCAL_SIZES = ("LOCAL_WORLD_SIZE", "SLURM_NTASKS_PER_NODE", "OMPI_COMM_WORLD_LOCAL_SIZE")


class MeterCallback(TrainerCallback):  # type: ignore[misc,unused-ignore]
    """Marks the epochs of a training as spans, and stops it when the budget of the run is spent.

    Used alone, inside of ``with measure(...)``, it is blind to failures: of a training that raises, the last epoch is
    cut off by the end of the run, or by the next training. `meter_trainer` closes it as failed.

    The budget stops a training between two steps, with a checkpoint of just that state: nothing is evaluated or drawn
    between the step and the checkpoint that an uninterrupted training would not, so that what resumes from it goes the
    same way. After the last step of an epoch it waits for what comes at its end.

    Attributes:
        forecast: the energy of the whole training, foretold; None before the first step.
        stopped: whether the budget ended the training.
        parameters: of the model that is trained; 0 until the first step, since a search may vary it.
    """

    def __init__(self) -> None:
        self.forecast: Forecast | None = None
        self.stopped = False
        self.parameters = 0
        self._saved = self._warned = False
        self._epoch: Span | None = None
        self._points: list[tuple[int, float]] = []
        self._before_kwh = 0.0
        self._at_epoch = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **told: Any) -> None:
        """Begin anew: a Trainer may train several times."""
        self.end_epoch("truncated", "another training began")
        self._points, self.forecast, self.parameters = [], None, 0
        self.stopped = self._saved = self._warned = False
        self._first_step, self._at_epoch = state.global_step, float(state.epoch or 0.0)
        run = active()
        self._before_kwh = run.so_far_kwh() if run is not None else 0.0

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **told: Any) -> None:
        """Begin a span."""
        self._epoch = measure(f"epoch {int(state.epoch or 0) + 1}", phase="epoch").start()

    def on_step_end(self, args: Any, state: Any, control: Any, **told: Any) -> Any:
        """Count a step; stop, with a checkpoint, where the budget is spent."""
        if (span := current()) is not None:
            span.count(steps=1)
        if (run := active()) is not None:
            self._foretell(state, run)
        whole_epoch = float(state.epoch or 0.5).is_integer()
        if _spent(args) and not whole_epoch and state.global_step < state.max_steps:
            self._stop(args, control)
        return control

    def on_epoch_end(self, args: Any, state: Any, control: Any, **told: Any) -> Any:
        """End the span; stop, with a checkpoint, where the budget is spent."""
        self._count_epochs(state)
        self.end_epoch("stopped" if self.stopped else "done")
        if self.stopped:  # in the middle of the epoch: an evaluation now would draw numbers, and be one too many
            control.should_save, control.should_evaluate = not self._saved, False
        elif _spent(args) and state.global_step < state.max_steps:
            self._stop(args, control)
        return control

    def on_save(self, args: Any, state: Any, control: Any, **told: Any) -> None:
        """See that the checkpoint is there from which a stopped training goes on."""
        self._saved = self.stopped

    def _stop(self, args: Any, control: Any) -> None:
        self.stopped = True
        if (run := active()) is not None:
            run.stopped_by_budget()
        log.warning("the training stops, with a checkpoint from which it can go on: its budget is spent")
        control.should_save = control.should_training_stop = True
        if getattr(args.save_strategy, "value", args.save_strategy) == "best":
            control.should_evaluate = False  # an evaluation would decide that this is not the best, and not save it

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **others: Any) -> None:
        """Show the energy so far, and what it will be, beside the loss.

        What an evaluation logs is also what it returns, from which a search takes its objective: nothing is added.
        """
        run = active()
        if run is None or logs is None or not {"loss", "train_runtime"} & logs.keys():
            return
        logs["energy_kwh"] = spent_kwh = run.so_far_kwh() - self._before_kwh
        for key in ("value", "low", "high"):
            told: float | None = None if self.forecast is None else getattr(self.forecast, key)
            if told is not None:  # the forecast was made at the last step with a sample; the end never is before now
                logs["energy_forecast" + ("" if key == "value" else f"_{key}") + "_kwh"] = max(told, spent_kwh)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **told: Any) -> None:
        """Note what the evaluation found with the training that it belongs to."""
        if (span := current()) is not None and isinstance(metrics, Mapping):
            found = of_evaluation(metrics, args.metric_for_best_model, args.greater_is_better)
            span.training.note_evaluation(found)

    def on_train_end(self, args: Any, state: Any, control: Any, **told: Any) -> None:
        """Close an epoch left in its middle: a search that prunes tells of the end first, and raises then."""
        self._count_epochs(state)
        self.end_epoch("pruned" if state.is_hyper_param_search else "done")

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

    def _foretell(self, state: Any, run: Run) -> None:
        done, spent_kwh = state.global_step - self._first_step, run.so_far_kwh() - self._before_kwh
        if self._points and spent_kwh <= self._points[-1][1]:
            return
        self._points.append((done, spent_kwh))
        if len(self._points) > MOST_POINTS:
            del self._points[-2:0:-2]
        self.forecast = found = forecast(self._points, state.max_steps - self._first_step)
        limit_kwh = run.limit_kwh
        if found.value is None or limit_kwh is None or self._warned or found.value + self._before_kwh <= limit_kwh:
            return
        self._warned = True
        low, high = (f"{self._before_kwh + (edge or 0.0):.3g}" for edge in (found.low, found.high))
        told = (
            f"the budget of {limit_kwh:.3g} kWh is less than what the training is foretold to need: "
            f"{self._before_kwh + found.value:.3g} kWh ({low} to {high}), after {done} of its steps"
        )
        log.warning("%s", told)
        run.note(told)


def _spent(args: Any) -> bool:
    """Return whether the budget of the run is spent, for all processes of a job in the same way.

    Only one process of a machine meters. Were it to stop by itself, the others would wait for it forever.
    """
    run = active()
    spent = run is not None and run.exhausted.is_set()
    if getattr(args, "world_size", 1) < 2 or not budgeted():
        return spent
    import torch

    if not torch.distributed.is_initialized():
        return spent
    told = torch.tensor(int(spent), device=args.device)
    torch.distributed.all_reduce(told, op=torch.distributed.ReduceOp.MAX)
    return bool(told.item())


def meter_trainer(trainer: Any, *, name: str = "", **options: Unpack[Options]) -> Any:
    """Meter each training of a Trainer, and return it.

    Each call of ``train`` is a run of its own; inside of ``with measure(...)`` it is a span of that run. A call of
    ``hyperparameter_search`` is one run with a span for each trial; `fairprint.audit.searching.trials` tells them with
    what lies between. A training that raises is ``failed``, one that optuna prunes ``pruned``, one that a budget ends
    ``stopped``. Evaluations and checkpoints are spans too; what the last evaluation found
    is noted as the quality of its training. The energy stands in the metrics that ``train`` returns.

    Tokens are those of ``input_ids``, padding included; FLOPs are 6 x parameters without embeddings x tokens (Kaplan et
    al. 2020, section 2.1), which leaves out attention and counts frozen weights as if they were trained. Of several
    processes on one machine that train together each is taken to do as much as the one that meters, and all must call
    this function, with the same budget.

    Args:
        trainer: a transformers Trainer, or one that inherits from it.
        name: what the run is called; the model's class where empty.
        options: store, place, PUE, WUE, interval, purpose, task, lineage and budget, as `measure` takes them.

    Raises:
        UsageError: the place, the PUE, the WUE, the interval or the budget is impossible, or the Trainer is metered.
    """
    if any(isinstance(callback, MeterCallback) for callback in trainer.callback_handler.callbacks):
        raise UsageError(
            "this Trainer is metered already: everything would be counted twice",
            hint="call meter_trainer once, and give the Trainer no MeterCallback",
        )
    name = name or type(trainer.model).__name__
    measure(name, **options)  # what is impossible is refused now, and not after hours of preparation
    _without_another_meter(trainer)
    callback = MeterCallback()
    callbacks = trainer.callback_handler.callbacks
    # behind what plans evaluations and checkpoints, before those that print what is logged
    callbacks.insert(1 if callbacks and type(callbacks[0]).__name__ == "DefaultFlowCallback" else 0, callback)
    _wrap_train(trainer, name, callback, options)
    _wrap(trainer, "hyperparameter_search", lambda *_, **__: measure(f"{name}: search", **options))
    _wrap(trainer, "evaluate", lambda *_, **__: _inside("evaluation", "evaluation"))
    _wrap(trainer, "predict", lambda *_, **__: _inside("prediction", "evaluation"))
    _wrap(trainer, "_save_checkpoint", lambda *_, **__: _inside("checkpoint", "checkpoint"))
    _count_work(trainer, callback)
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

    @functools.wraps(inner)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with context(*args, **kwargs):
            return inner(*args, **kwargs)

    setattr(trainer, method, wrapped)


def _wrap_train(trainer: Any, name: str, callback: MeterCallback, options: Options) -> None:
    inner, calls = trainer.train, 0

    @functools.wraps(inner)
    def train(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        _without_another_meter(trainer)
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
        if callback.stopped and trial is not None and trainer.args.world_size < 2:
            with contextlib.suppress(AttributeError, RuntimeError):  # none of optuna, or of no running search
                trial.study.stop()  # else each trial to come would train for one step
        record = outer.record if isinstance(outer, Span) else None
        if record is not None:
            told_s = {"energy_kwh": record.footprint.energy_kwh, "emissions_kg": record.footprint.emissions_kg}
            known = {key: value for key, value in told_s.items() if value is not None}
            if isinstance(metrics := getattr(output, "metrics", None), dict):
                metrics.update(known)
            trainer.state.log_history.append({**known, "run_id": record.run_id, "step": trainer.state.global_step})
        return output

    trainer.train = train


def _count_work(trainer: Any, callback: MeterCallback) -> None:
    """Count what goes through the model at each step of the training."""
    inner, processes = trainer.training_step, _processes()

    @functools.wraps(inner)
    def training_step(model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        span = current()
        if span is not None and isinstance(inputs, Mapping):
            callback.parameters = callback.parameters or _parameters(trainer.model)
            ids = inputs.get("input_ids")
            tokens = processes * int(ids.numel()) if ids is not None else 0
            first = next((value for value in inputs.values() if getattr(value, "ndim", 0) > 0), None)
            samples = 0 if first is None else processes * int(first.shape[0])
            span.count(samples=samples, tokens=tokens, flops=6.0 * callback.parameters * tokens)
        return inner(model, inputs, *args, **kwargs)

    trainer.training_step = training_step


def _processes() -> int:
    """Return how many processes of the job are on this machine, of which one meters them all."""
    told = next((os.environ[name] for name in _LOCAL_SIZES if name in os.environ), "1")
    return int(told) if told.isdigit() else 1


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
