"""Only what is scored reaches the last steps of a model: its head, and where that can be, the end of its last layer."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_ENDS = (".attention.output", ".sa_layer_norm")
"""What the layers of BERT and its relatives, and of DistilBERT, call the first step after their attention.

All that follows it in a layer sees one position at a time, and takes it from the output of this step alone.
"""


class Gather:
    """Lets only the wanted positions reach the model's own head, by a hook on the body that feeds it.

    The head itself is left alone: families put transforms, biases, scalings and soft caps around the vocabulary
    projection, and only their own code gets all of them right. Whoever uses it compares it with full rows first.

    Attributes:
        usable: whether the head may be run on single positions.
        early: whether the end of the last layer may be as well. In a masked model, where few positions are scored, it
            is an eighth of a body of six layers.
    """

    def __init__(self, body: Any, model: Any) -> None:
        self.usable = body is not model
        self._where: tuple[torch.Tensor, torch.Tensor] | None = None
        self._gathered = False
        ends = [part for name, part in body.named_modules() if f".{name}".endswith(_ENDS)] if self.usable else []
        self.early = bool(ends)
        if ends:
            ends[-1].register_forward_pre_hook(self._before_the_end, with_kwargs=True)
        if self.usable:
            body.register_forward_hook(self._after_the_body)

    def step_back(self) -> None:
        """Do without the last layer; where that was done already, without the head."""
        self.usable, self.early = self.early, False

    @contextmanager
    def at(self, rows: torch.Tensor, positions: torch.Tensor) -> Iterator[None]:
        """While this is open, the head sees [1, place, hidden] instead of [row, position, hidden]."""
        self._where = (rows, positions)
        try:
            yield
        finally:
            self._where, self._gathered = None, False

    def _before_the_end(self, module: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if self._where is None or not self.early:
            return None
        self._gathered = True
        return tuple(map(self._at, args)), {key: self._at(value) for key, value in named.items()}

    def _at(self, value: Any) -> Any:
        return value[self._where].unsqueeze(0) if isinstance(value, torch.Tensor) and value.dim() == 3 else value

    def _after_the_body(self, module: Any, inputs: Any, output: Any) -> Any:
        if self._where is None or self._gathered:
            return output
        gathered = self._at(output[0])
        if isinstance(output, tuple):
            return (gathered, *output[1:])
        output["last_hidden_state"] = gathered
        return output
