"""How much an audit will compute and how long that may take, from the model's config and tokenizer alone."""

import time
from dataclasses import dataclass
from typing import Any

from fairprint.audit.models import outline
from fairprint.audit.questions import Questions
from fairprint.audit.sources import Source

EFFICIENCY = (0.3, 0.8)
"""Share of the measured speed of matrix products that an audit reaches, from low to high: our assumption."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What an audit will compute.

    Attributes:
        tokens: that go through the model, by probe set; texts that begin alike are computed once where that is done.
        parameters: of the model.
        flops_per_second: of matrix products on this machine, measured now.
        low_s, high_s: expected duration of the forward passes: 2 FLOP a parameter and token (Kaplan et al. 2020,
            section 2.1) at ``EFFICIENCY`` of the measured speed. Loading comes on top.
    """

    tokens: dict[str, int]
    parameters: int
    flops_per_second: float
    low_s: float
    high_s: float


def forecast(source: Source, questions: Questions, *, device: str = "cpu", **options: Any) -> Forecast:
    """Count what an audit would compute; loads no weights.

    Args:
        source: where the model lies.
        questions: what would be asked.
        device: where it would run.
        options: as for ``open_model``.

    Raises:
        UsageError: a hub id that cannot be found.
        ModelError: config or tokenizer cannot be loaded.
    """
    backend, parameters = outline(source, **options)
    tokens: dict[str, int] = {}
    for shard in questions.shards:
        before = backend.counted
        shard.instrument.ask(backend, shard.items)
        tokens[shard.probe_set.name] = tokens.get(shard.probe_set.name, 0) + backend.counted - before
    speed = matrix_speed(device)
    high, low = (2.0 * parameters * sum(tokens.values()) / (speed * share) for share in EFFICIENCY)
    return Forecast(tokens=tokens, parameters=parameters, flops_per_second=speed, low_s=low, high_s=high)


def matrix_speed(device: str = "cpu", *, size: int = 768, seconds: float = 0.3) -> float:
    """Return the FLOP per second of float32 matrix products on a device: the best of as many as fit into the time."""
    import torch

    a = torch.ones(size, size, device=device)
    best, began = 0.0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        start = time.perf_counter()
        # reading one number waits for a device that works in the background
        float((a @ a)[0, 0])
        best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best
