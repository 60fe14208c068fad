"""Batches that do not fit into memory are halved."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from fairprint.probes.errors import ModelError

T = TypeVar("T")


def within_memory(
    batch: Sequence[T],
    run: Callable[[Sequence[T]], None],
    size: Callable[[T], str],
    *,
    name: str,
    notes: dict[str, None],
) -> None:
    """Run a batch, halving it where memory runs out, which is noted.

    Args:
        batch: what is run.
        run: runs a part of it.
        size: says how large a single one is.
        name: how the model is called in messages.
        notes: what a reader must know.

    Raises:
        ModelError: a single one does not fit into memory.
    """
    try:
        run(batch)
        return
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        if len(batch) == 1:
            raise ModelError(f"{name}: out of memory for {size(batch[0])}") from None
    # outside of the handler, where the failed attempt holds no tensors any more
    notes["memory ran out: some batches were halved, which can move the last digits"] = None
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    middle = len(batch) // 2
    for part in (batch[:middle], batch[middle:]):
        within_memory(part, run, size, name=name, notes=notes)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out."""
    text = str(error).lower()
    return (
        isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "out of memory" in text or "can't allocate" in text
    )
