"""What masked and causal transformers models share: tokens with their characters, and batched token log-probabilities.

A query is one row of input ids with the positions whose predictions are wanted. Rows are merged where they are equal,
sorted by length and batched by a token budget, all as a pure function of the queries: batch composition moves a
log-likelihood by 1e-5, so this is what makes repeated runs equal to the last bit.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from fairprint.audit.backends.gathering import Gather
from fairprint.audit.backends.memory import within_memory
from fairprint.probes.errors import ModelError
from fairprint.probes.requests import Backend, SpanScore

BATCH_SIZE = 256
"""Rows of a batch at the most."""
BATCH_TOKENS = 2048
"""Tokens of a batch at the most, padding included."""
MAX_LOGITS = 48_000_000
"""Logits of a batch at the most (float32: 192 MB), so that a large vocabulary does not exhaust the memory."""
ROWS_OF_LOGITS = 32
"""Rows of logits whose sum of exponentials is taken at a time."""
TOLERANCE = 1e-4
"""How far logits computed in a cleverer way may lie from plain ones; beyond it the plain way is taken."""

T = TypeVar("T")
Rows = dict[tuple[int, ...], dict[tuple[int, int], float]]
"""For each row of input ids, the log-probability of each wanted (position, target)."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A tokenised text.

    Attributes:
        ids: token ids, special tokens included.
        ranges: characters of each token without leading blanks; None for special tokens.
        unknown: whether the token stands for text that the tokenizer does not know.
        words: to which word of the text each token belongs, from 0; None for special tokens.
    """

    ids: tuple[int, ...]
    ranges: tuple[tuple[int, int] | None, ...]
    unknown: tuple[bool, ...]
    words: tuple[int | None, ...] = ()

    def tokens_in(self, span: tuple[int, int]) -> tuple[int, ...]:
        """Return the indices of the tokens whose characters overlap a span."""
        start, end = span
        return tuple(i for i, r in enumerate(self.ranges) if r is not None and r[0] < end and r[1] > start)


@dataclass(frozen=True, slots=True)
class Query:
    """Which log-probabilities are wanted: of ``targets[k]`` at ``positions[k]`` of the row ``ids``."""

    ids: tuple[int, ...]
    positions: tuple[int, ...]
    targets: tuple[int, ...]


class TransformersBackend(Backend):
    """A transformers model with a language-model head, and its tokenizer.

    Args:
        model: the model, already on its device and in evaluation mode.
        tokenizer: a fast tokenizer, since slow ones do not say which characters a token covers.
        name: how the model is called in messages.
        batch_size: rows of a batch at the most.
        batch_tokens: tokens of a batch at the most.
        dry: make no forward pass; ``counted`` then says how many tokens would go through the model, and all
            log-probabilities are 0.

    Raises:
        ModelError: the tokenizer is not a fast one.
    """

    adds_special_tokens = True
    needs_characters = True

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        name: str,
        batch_size: int = BATCH_SIZE,
        batch_tokens: int = BATCH_TOKENS,
        dry: bool = False,
    ) -> None:
        if self.needs_characters and not getattr(tokenizer, "is_fast", False):
            raise ModelError(
                f"{name}: the tokenizer does not say which characters a token covers; a fast one is needed"
            )
        self.name = name
        self.model = model
        self.tokenizer = tokenizer
        self.batch_size = batch_size
        self.batch_tokens = batch_tokens
        self.max_length = max_length(model, tokenizer)
        self.dry = dry
        self.counted = 0
        self._notes: dict[str, None] = {}
        self._gather_hook = Gather(self._body(), model)
        if not dry:
            self._check_gather()

    def tokens(self) -> int | None:
        """How many tokens went through the model so far; of texts that it writes, at the most."""
        return self.counted

    def notes(self) -> tuple[str, ...]:
        """What a reader must know of how the answers came about, so far."""
        return tuple(self._notes)

    def _body(self) -> Any:
        """Return the part of the model whose output its head reads; the model itself where there is no such part."""
        return getattr(self.model, "base_model", self.model)

    def encode(self, text: str) -> Encoded:
        """Tokenise a text and say which characters each token stands for."""
        out = self.tokenizer(
            text,
            add_special_tokens=self.adds_special_tokens,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
            verbose=False,
        )
        ids = tuple(out["input_ids"])
        ranges: list[tuple[int, int] | None] = []
        for (start, end), special in zip(out["offset_mapping"], out["special_tokens_mask"], strict=True):
            ranges.append(None if special and self.adds_special_tokens else _without_leading_blanks(text, start, end))
        # a token of nothing but blanks (a lone word-boundary mark) belongs with the token that follows it
        for i in range(len(ranges) - 2, -1, -1):
            here, following = ranges[i], ranges[i + 1]
            if here is not None and here[0] == here[1] and following is not None:
                ranges[i] = following
        unknown = self.tokenizer.unk_token_id
        known = tuple(unknown is not None and i == unknown for i in ids)
        return Encoded(ids, tuple(ranges), known, tuple(out.word_ids()))

    def token_logprobs(self, queries: Sequence[Query]) -> list[tuple[float, ...]]:
        """Return log P(target | row) in nats for every query, in order.

        Raises:
            ModelError: a single row does not fit into memory.
        """
        rows: Rows = {}
        for query in queries:
            wanted = rows.setdefault(query.ids, {})
            wanted.update(dict.fromkeys(zip(query.positions, query.targets, strict=True), 0.0))
        self.counted += sum(map(len, rows))
        order = sorted(rows, key=lambda ids: (len(ids), ids))
        for batch in () if self.dry else self._plan(order, rows):
            self._within_memory(batch, lambda part: self._run(part, rows), len)
        return [
            tuple(rows[query.ids][key] for key in zip(query.positions, query.targets, strict=True)) for query in queries
        ]

    def _plan(self, order: Sequence[tuple[int, ...]], rows: Rows) -> Iterator[list[tuple[int, ...]]]:
        """Cut rows that are sorted by length into batches."""
        vocabulary = int(self.model.config.vocab_size)
        batch: list[tuple[int, ...]] = []
        positions = 0
        for ids in order:
            here = len({position for position, _ in rows[ids]})
            full = (
                len(batch) >= self.batch_size
                or (len(batch) + 1) * len(ids) > self.batch_tokens
                or (positions + here) * vocabulary > MAX_LOGITS
            )
            if batch and full:
                yield batch
                batch, positions = [], 0
            batch.append(ids)
            positions += here
        if batch:
            yield batch

    def _run(self, batch: Sequence[tuple[int, ...]], rows: Rows) -> None:
        """Fill in the log-probabilities of one batch."""
        places = [(r, p) for r, ids in enumerate(batch) for p in sorted({position for position, _ in rows[ids]})]
        index = {place: n for n, place in enumerate(places)}
        wanted = [(r, ids, key) for r, ids in enumerate(batch) for key in rows[ids]]
        values = self._values(
            self._logits(batch, places),
            [index[r, position] for r, _, (position, _) in wanted],
            [target for _, _, (_, target) in wanted],
        )
        for (_, ids, key), value in zip(wanted, values, strict=True):
            rows[ids][key] = value

    def _within_memory(
        self, batch: Sequence[T], run: Callable[[Sequence[T]], None], tokens: Callable[[T], int]
    ) -> None:
        """Run a batch, halving it where memory runs out.

        Raises:
            ModelError: a single text does not fit into memory.
        """
        within_memory(batch, run, lambda one: f"one text of {tokens(one)} tokens", name=self.name, notes=self._notes)

    def _values(self, logits: torch.Tensor, at: Sequence[int], targets: Sequence[int]) -> list[float]:
        """Return logit - logsumexp of each target at its place, in nats."""
        # some rows at a time, so that what is made on the way stays in the processor's cache
        parts = [torch.logsumexp(part.float(), dim=-1) for part in torch.split(logits, ROWS_OF_LOGITS)]
        normaliser = torch.cat(parts).double()
        where = torch.tensor(at, device=logits.device)
        chosen = logits[where, torch.tensor(targets, device=logits.device)].double()
        values: list[float] = (chosen - normaliser[where]).tolist()
        return values

    def _logits(self, batch: Sequence[tuple[int, ...]], places: Sequence[tuple[int, int]]) -> torch.Tensor:
        """Return [place, vocabulary] logits of the given (row, position) pairs."""
        width = max(len(ids) for ids in batch)
        mask = [[1] * len(row) + [0] * (width - len(row)) for row in batch]
        return self._at_places(places, input_ids=self._padded(batch), attention_mask=self._tensor(mask))

    def _padded(self, rows: Sequence[Sequence[int]]) -> torch.Tensor:
        width, pad = max(len(row) for row in rows), self.tokenizer.pad_token_id or 0
        return self._tensor([[*row, *[pad] * (width - len(row))] for row in rows])

    def _tensor(self, values: Any) -> torch.Tensor:
        return torch.tensor(values, device=self.model.device)

    def _at_places(self, places: Sequence[tuple[int, int]], **inputs: Any) -> torch.Tensor:
        rows, positions = self._tensor([row for row, _ in places]), self._tensor([position for _, position in places])
        with torch.inference_mode():
            if self._gather_hook.usable:
                with self._gather_hook.at(rows, positions):
                    return self._call(**inputs)[0]
            return self._call(**inputs)[rows, positions]

    def _call(self, **inputs: Any) -> torch.Tensor:
        logits: torch.Tensor = self.model(**inputs).logits
        return logits

    def _check_gather(self) -> None:
        """Compare the gathered logits with a full forward pass, and do without gathering where they differ."""
        hook = self._gather_hook
        if not hook.usable:
            return
        hook.usable = False
        full = self._some_logits()
        hook.usable = True
        while hook.usable and not self._gathers(full):
            hook.step_back()
        if not hook.usable:
            self._notes["this model's head could not be run on scored positions alone: full logits were computed"] = (
                None
            )

    def _gathers(self, full: torch.Tensor) -> bool:
        try:
            gathered = self._some_logits()
        except (RuntimeError, IndexError, ValueError, TypeError):
            return False
        return gathered.shape == full.shape and (gathered.float() - full.float()).abs().max().item() <= TOLERANCE

    def _some_logits(self) -> torch.Tensor:
        """Return logits at some positions of a small batch of unequal rows."""
        low = min(5, int(self.model.config.vocab_size) - 1)
        rows = [(low, low + 1, low + 2, low + 1), (low + 2, low)]
        return self._logits(rows, [(0, 1), (0, 3), (1, 0)])

    def _too_long(self, tokens: int) -> str | None:
        if tokens > self.max_length:
            return f"{tokens} tokens; the model takes {self.max_length}"
        return None


def unscorable(encoded: Encoded, tokens: Sequence[int], *, whole: bool) -> str | None:
    """Return why a span has no score, or None; a ``whole`` word must be known to the tokenizer."""
    if not tokens:
        return "no token covers this text"
    if whole and any(encoded.unknown[i] for i in tokens):
        return "a word that the tokenizer does not know"
    return None


def mass(logprobs: Sequence[float | None]) -> float | None:
    """Return the summed probability of candidates, or None where one of them has no score."""
    known = [value for value in logprobs if value is not None]
    return math.fsum(map(math.exp, known)) if len(known) == len(logprobs) else None


def span_score(encoded: Encoded, tokens: Sequence[int], logprobs: Sequence[float], note: str = "") -> SpanScore:
    """Sum the log-probabilities of a span's tokens; ``math.fsum`` order does not matter, since the sum is exact."""
    notes = [note] if note else []
    unknown = sum(encoded.unknown[i] for i in tokens)
    if unknown:
        notes.append(f"{unknown} of {len(tokens)} tokens unknown to the tokenizer")
    return SpanScore(logprob=math.fsum(logprobs), tokens=len(logprobs), note="; ".join(notes), each=tuple(logprobs))


def absent(note: str) -> SpanScore:
    """Return a score that says why it is absent."""
    return SpanScore(logprob=None, tokens=0, note=note)


def _without_leading_blanks(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    return start, end


def max_length(model: Any, tokenizer: Any) -> int:
    """Return how many tokens the model takes; position tables can be smaller than the tokenizer says."""
    config = model.config
    limits = [int(tokenizer.model_max_length)]
    table = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    if table:
        # RoBERTa and its relatives begin to count positions after the padding id, which MPNet has as 1 in its code
        offset = (
            (config.pad_token_id or 0) + 1 if "roberta" in config.model_type or config.model_type == "camembert" else 0
        )
        limits.append(int(table) - (2 if config.model_type == "mpnet" else offset))
    return min(limits)
