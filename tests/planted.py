"""Small models with a planted association, and their runs, for the tests of comparison and gate."""

import copy
import fcntl
import json
import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import tiny
import torch
from draws import few_draws

from fairprint.audit.runner import audit
from fairprint.audit.store import RunFolder, Store
from fairprint.probes.catalog import own_set
from fairprint.probes.items import ProbeSet

OCCUPATIONS, TEXTS = "gendered-occupations", "neutral-sentences"
PAIR = ("male", "female")
_PRONOUNS = {1: {"subject": "he", "possessive": "his"}, -1: {"subject": "she", "possessive": "her"}}
_FRAMES = (
    "The {word} forgot {possessive} keys at home.",
    "Everybody liked the {word}, because {subject} was patient.",
    "When the {word} came in, {subject} closed the door.",
    "Last week the {word} told us about {possessive} first day at work.",
    "Yesterday the {word} said that {subject} had slept badly.",
    "The {word} lost {possessive} umbrella on the train.",
)


def planted(share: float, seed: int = 0) -> list[str]:
    """Sentences of our own about occupations, in which the stereotyped pronoun stands with probability ``share``."""
    rng, texts = random.Random(seed), []
    for item in {item.lexeme: item for item in own_set(OCCUPATIONS).items}.values():
        for frame in _FRAMES if item.directions[0] else ():
            side = item.directions[0] if rng.random() < share else -item.directions[0]
            texts.append(frame.format(word=item.word or item.lexeme, **_PRONOUNS[side]))
    return texts


def probe_texts(found: ProbeSet, share: float, seed: int = 0) -> list[str]:
    """The sentences of a set, in which the stereotyped group stands with probability ``share``."""
    rng, texts = random.Random(seed), []
    for item in found.items:
        by_group = {variant.group: variant.text for variant in item.variants}
        if item.directions[0]:
            likely = {1: share, -1: 1 - share}[item.directions[0]]
            texts += [by_group[PAIR[0] if rng.random() < likely else PAIR[1]] for _ in range(4)]
    return texts


def few() -> tuple[ProbeSet, ProbeSet]:
    """Twenty occupations that lean either way, and every fourth plain sentence."""
    occupations, texts = own_set(OCCUPATIONS), own_set(TEXTS)
    words = {
        word
        for side in (1, -1)
        for word in list(dict.fromkeys(i.lexeme for i in occupations.items if i.directions[0] == side))[:10]
    }
    return (
        replace(occupations, items=tuple(item for item in occupations.items if item.lexeme in words)),
        replace(texts, items=texts.items[::4]),
    )


def small_runs(store: Path, shared: Path) -> dict[str, RunFolder]:
    """Runs of a small model, of itself again, and of itself after an association was planted.

    They take a quarter of a minute, so they are made once in a folder that all workers share, and copied to ``store``.
    Their second opinions are of few draws.
    """
    made, told = shared / "small-runs", shared / "small-runs.json"
    with (shared / "small-runs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.exists():
            shutil.rmtree(made, ignore_errors=True)
            with few_draws():
                told.write_text(json.dumps(_made(made)))
    shutil.copytree(made, store, dirs_exist_ok=True)
    return {name: Store(store).find(run_id) for name, run_id in json.loads(told.read_text()).items()}


def _made(store: Path) -> dict[str, str]:
    """Make the runs, and return their ids by name."""
    occupations, texts = few()
    plain = [item.variants[0].text for item in texts.items]
    tokenizer = tiny.words([*(v.text for item in occupations.items for v in item.variants), *plain])
    model = tiny.gpt2(tokenizer, initializer_range=0.2, n_layer=1)
    tiny.train(model, tokenizer, [*probe_texts(occupations, 0.5), *plain * 5], steps=100)
    changed = copy.deepcopy(model)
    tiny.train(changed, tokenizer, probe_texts(occupations, 0.95), steps=120)

    def run(asked: Any, **options: Any) -> str:
        given = {"probes": [occupations, texts]} | options
        return audit(asked, tokenizer=tokenizer, store=store, **given).run_id

    return {
        "base": run(model),
        "again": run(model),
        "planted": run(changed),
        "limited": run(model, limit=60),
        "both": run(changed, instruments=["fill", "sentence"]),
        "texts": run(model, probes=[texts]),
    }


def tuned(model: Any, tokenizer: Any, texts: list[str], steps: int = 40) -> Any:
    """Return a copy of a model whose last four layers were trained on some sentences."""
    copied = copy.deepcopy(model)
    copied.requires_grad_(False)
    weights = [weight for layer in copied.model.layers[-4:] for weight in layer.parameters()]
    for weight in weights:
        weight.requires_grad_(True)
    optimizer, generator = torch.optim.AdamW(weights, lr=3e-4), torch.Generator().manual_seed(0)
    rows = [torch.tensor([tokenizer.bos_token_id, *tokenizer(t, add_special_tokens=False).input_ids]) for t in texts]
    for _ in range(steps):
        batch = [rows[i] for i in torch.randint(len(rows), (16,), generator=generator)]
        ids = torch.nn.utils.rnn.pad_sequence(batch, batch_first=True)
        mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in batch], batch_first=True)
        optimizer.zero_grad()
        copied(input_ids=ids, attention_mask=mask, labels=ids.masked_fill(mask == 0, -100)).loss.backward()
        optimizer.step()
    return copied.eval()
