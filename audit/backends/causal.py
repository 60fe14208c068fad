"""Causal language models: GPT, GPT-2, Llama and their relatives."""

import hashlib
from collections.abc import Iterator, Sequence
from inspect import signature
from typing import Any

import numpy as np
import torch

from fairprint.audit.backends.hf import (
    MAX_LOGITS,
    TOLERANCE,
    Encoded,
    Query,
    TransformersBackend,
    absent,
    mass,
    span_score,
    unscorable,
)
from fairprint.audit.backends.packing import Pack, Prefix, pack
from fairprint.audit.backends.pieces import chosen, nothing_chosen, refuse_masking, refuse_top
from fairprint.audit.backends.sampling import generated
from fairprint.probes.errors import ModelError, RefusalError
from fairprint.probes.requests import (
    FillRequest,
    FillResponse,
    GenerateRequest,
    GenerateResponse,
    LikelihoodRequest,
    LikelihoodResponse,
    SpanScore,
)

_NOT_SCORED = "the first token is not scored"
_PACKED = (
    "likelihoods were computed in packed rows, where texts that begin alike share the work; in a check at load these "
    f"gave the log-probabilities of plain rows to {TOLERANCE:g}"
)


class CausalBackend(TransformersBackend):
    """Answers from left to right. The first token is conditioned on BOS, else EOS; with neither it is not scored."""

    adds_special_tokens = False

    def __init__(self, model: Any, tokenizer: Any, **options: Any) -> None:
        # keys and values are not needed again after a pass, and keeping them copies them
        self._without = {"use_cache": False} if "use_cache" in signature(model.forward).parameters else {}
        super().__init__(model, tokenizer, **options)
        start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        self.start: tuple[int, ...] = () if start is None else (start,)
        if not self.start:
            self._notes["the tokenizer has no start token: the first token of a text is not scored"] = None

        self._packs_usable = self._packs_checked = False
        if not self.dry:
            self._check_causality()
        self._plain_because = self._window()
        self._packs_usable = not self._plain_because
        if not self.dry:
            self._check_packs()

    def token_logprobs(self, queries: Sequence[Query]) -> list[tuple[float, ...]]:
        """Return log P(target | row) in nats for every query; texts that begin alike share the work."""
        if not self._packs_usable:
            if queries:
                self._notes[f"likelihoods were computed in plain rows, one for each text{self._plain_because}"] = None
            return super().token_logprobs(queries)
        wanted: dict[Prefix, set[int]] = {}
        for query in queries:
            for position, target in _pairs(query):
                wanted.setdefault(query.ids[: position + 1], set()).add(target)
        packs = pack(wanted)
        self.counted += sum(len(one.tokens) for one in packs)
        if self.dry:
            return [(0.0,) * len(query.targets) for query in queries]
        found: dict[tuple[Prefix, int], float] = {}
        try:
            for batch in self._plan_packs(packs):
                self._within_memory(batch, lambda part: self._run_packs(part, found), lambda p: len(p.tokens))
        except ModelError:
            # a pack that does not fit into memory still holds texts that do
            self._notes["memory did not hold some packed rows: their texts were computed in plain rows"] = None
            return super().token_logprobs(queries)
        if queries and self._packs_checked:
            self._notes[_PACKED] = None
        return [
            tuple(found[query.ids[: position + 1], target] for position, target in _pairs(query)) for query in queries
        ]

    def _call(self, **inputs: Any) -> torch.Tensor:
        return super()._call(**self._without, **inputs)

    def _plan_packs(self, packs: Sequence[Pack]) -> Iterator[list[Pack]]:
        """Cut packs, longest first, into batches."""
        vocabulary = int(self.model.config.vocab_size)
        batch: list[Pack] = []
        for one in sorted(packs, key=lambda p: (-len(p.tokens), p.tokens)):
            logits = sum(len(p.wanted) for p in (*batch, one)) * vocabulary
            tokens = (len(batch) + 1) * len((batch or [one])[0].tokens)
            if batch and (len(batch) >= self.batch_size or tokens > self.batch_tokens or logits > MAX_LOGITS):
                yield batch
                batch = []
            batch.append(one)
        if batch:
            yield batch

    def _run_packs(self, batch: Sequence[Pack], found: dict[tuple[Prefix, int], float]) -> None:
        places = sorted({(row, node) for row, one in enumerate(batch) for node, _, _ in one.wanted})
        index = {place: n for n, place in enumerate(places)}
        wanted = [(index[row, node], target, key) for row, one in enumerate(batch) for node, target, key in one.wanted]
        logits = self._at_places(
            places,
            input_ids=self._padded([one.tokens for one in batch]),
            position_ids=self._padded([one.depths for one in batch]),
            attention_mask=self._ancestors(batch),
        )
        values = self._values(logits, [at for at, _, _ in wanted], [target for _, target, _ in wanted])
        found.update({key: value for (_, _, key), value in zip(wanted, values, strict=True)})

    def _ancestors(self, batch: Sequence[Pack]) -> torch.Tensor:
        """Return the additive mask [row, 1, node, node] that lets a node see itself and its ancestors."""
        width = max(len(one.tokens) for one in batch)
        # a padding node sees itself, since a row that sees nothing would be NaN
        sees = np.tile(np.eye(width, dtype=bool), (len(batch), 1, 1))
        for table, one in zip(sees, batch, strict=True):
            for node, parent in enumerate(one.parents):
                if parent >= 0:
                    table[node] |= table[parent]
        hidden = torch.finfo(self.model.dtype).min
        mask = torch.zeros(sees.shape, dtype=self.model.dtype).masked_fill(~torch.from_numpy(sees), hidden)
        return mask.unsqueeze(1).to(self.model.device)

    def _check_causality(self) -> None:
        """Refuse an encoder that was loaded as a decoder: it sees the tokens that it is asked to predict."""
        a, b, c = self._some_tokens()
        values = super().token_logprobs([Query((a, b, last), (0, 1), (b, c)) for last in (b, c)])
        if any(abs(x - y) > TOLERANCE for x, y in zip(*values, strict=True)):
            raise ModelError(
                f"{self.name} is no causal language model: what it predicts depends on the tokens that follow",
                hint="an encoder opens as a masked language model where its architecture ends in ForMaskedLM",
            )

    def _window(self) -> str:
        """Return why rows are not packed where attention reaches back only so far: packing moves tokens apart."""
        window = getattr(self.model.config, "sliding_window", None)
        if window is None or not getattr(self.model.config, "use_sliding_window", True):
            return ""
        return (
            f": attention reaches back {window} tokens only, and packed rows, which move tokens apart, could silently "
            "change that"
        )

    def _some_tokens(self) -> tuple[int, ...]:
        return tuple(min(token, int(self.model.config.vocab_size) - 1) for token in (5, 6, 7))

    def _check_packs(self) -> None:
        """Compare packed with plain log-probabilities, and do without packing where they differ.

        Families whose attention does not take positions and masks from outside would give wrong numbers.
        """
        if not self._packs_usable:
            return
        a, b, c = self._some_tokens()
        queries = [
            Query((a, b, c, a), (1, 3), (c, b)),
            Query((a, b, b, c, c), (2, 4), (a, a)),
            Query((b, a), (1,), (c,)),
        ]
        try:
            packed = self.token_logprobs(queries)
        except (RuntimeError, IndexError, ValueError, TypeError):
            self._packs_usable = False
            self._plain_because = ": the model does not take rows that are packed"
            return
        plain = super().token_logprobs(queries)
        off = max(abs(x - y) for p, q in zip(packed, plain, strict=True) for x, y in zip(p, q, strict=True))
        self._packs_usable = self._packs_checked = off <= TOLERANCE
        if not self._packs_usable:
            self._plain_because = f": in a check at load, packed rows gave log-probabilities that differ by {off:.2g}"

    def likelihood(self, requests: Sequence[LikelihoodRequest]) -> list[LikelihoodResponse]:
        """Score spans: each token given all tokens before it."""
        plans = []
        for request in requests:
            refuse_masking(self.name, request)
            encoded, spans = chosen(self, request)
            tokens = sorted({t for span in spans for t in span})
            # after a start token that only the first one sees, the others are a row of their own
            cut = len(tokens) if request.start_for == "all" else tokens.count(0)
            plans.append((request, encoded, spans, (tokens[:cut], tokens[cut:])))
        with_start = self._answers([(encoded, first) for _, encoded, _, (first, _) in plans])
        without = self._answers([(encoded, others) for _, encoded, _, (_, others) in plans], start=())
        responses = []
        for (request, encoded, spans, _), first, others in zip(plans, with_start, without, strict=True):
            found = first | others
            scores = (self._score(encoded, t, found, problem=nothing_chosen(request, t)) for t in spans)
            responses.append(LikelihoodResponse(spans=tuple(scores)))
        return responses

    def fill(self, requests: Sequence[FillRequest]) -> list[FillResponse]:
        """Score each candidate's tokens and all tokens after them; the mass counts the candidates' own tokens only."""
        refuse_top(self.name, requests)
        plans: list[tuple[Encoded, tuple[int, ...], tuple[int, ...]]] = []
        for request in requests:
            for candidate in request.candidates:
                encoded = self.encode(request.before + candidate + request.after)
                own = encoded.tokens_in((len(request.before), len(request.before) + len(candidate)))
                plans.append((encoded, own, tuple(range(own[0], len(encoded.ids))) if own else ()))
        answers = self._answers([(encoded, following) for encoded, _, following in plans])
        scored = iter(
            (
                self._score(encoded, own, found, problem=self._unfillable(encoded, own)),
                self._score(encoded, following, found, problem=self._unfillable(encoded, own)),
            )
            for (encoded, own, following), found in zip(plans, answers, strict=True)
        )
        responses = []
        for request in requests:
            pairs = [next(scored) for _ in request.candidates]
            own_mass = mass([own.logprob for own, _ in pairs])
            responses.append(FillResponse(scores=tuple(score for _, score in pairs), mass=own_mass))
        return responses

    def generate(self, requests: Sequence[GenerateRequest]) -> list[GenerateResponse]:
        """Continue prompts, one request at a time, so that its seed alone decides the samples."""
        return [self._generate(request) for request in requests]

    def _generate(self, request: GenerateRequest) -> GenerateResponse:
        ids = self._prompt_ids(request)
        problem = self._too_long(len(ids) + request.max_new_tokens)
        if problem:
            raise RefusalError(f"{self.name}: prompt and continuation have {problem}")
        self.counted += request.samples * (len(ids) + request.max_new_tokens)
        if self.dry:
            return GenerateResponse(texts=("",) * request.samples)
        out = generated(self.model, self.tokenizer, request, list(ids))
        texts = self.tokenizer.batch_decode(out[:, len(ids) :], skip_special_tokens=True)
        return GenerateResponse(texts=tuple(texts))

    def _prompt_ids(self, request: GenerateRequest) -> tuple[int, ...]:
        """Return the tokens of a prompt; a user's message stands in the chat template, which brings its own start."""
        if not request.chat:
            return self.start + self.encode(request.prompt).ids
        if not getattr(self.tokenizer, "chat_template", None):
            raise RefusalError(f"{self.name} has no chat template; it answers prompts as raw text")
        said = [{"role": "user", "content": request.prompt}]
        told = hashlib.sha256(str(self.tokenizer.chat_template).encode()).hexdigest()[:12]
        self._notes[f"prompts were put into the model's chat template (sha256 {told}...)"] = None
        text: str = self.tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
        return tuple(self.tokenizer(text, add_special_tokens=False).input_ids)

    def _answers(
        self, plans: Sequence[tuple[Encoded, Sequence[int]]], start: tuple[int, ...] | None = None
    ) -> list[dict[int, float]]:
        """Return the log-probability of each wanted token, by its index in the text; after a start, if not its own."""
        start = self.start if start is None else start
        queries = [self._query(encoded, tokens, start) for encoded, tokens in plans]
        found = iter(self.token_logprobs([query for query in queries if query is not None]))
        skipped = 1 - len(start)
        answers: list[dict[int, float]] = []
        for query in queries:
            if query is None:
                answers.append({})
                continue
            answers.append(
                {position + skipped: value for position, value in zip(query.positions, next(found), strict=True)}
            )
        return answers

    def _query(self, encoded: Encoded, tokens: Sequence[int], start: tuple[int, ...]) -> Query | None:
        """The row holds nothing after the last wanted token's predecessor, since nothing after it is read."""
        wanted = [t for t in tokens if t or start]
        if not wanted or self._too_long(len(self.start) + len(encoded.ids)):
            return None
        row = (start + encoded.ids)[: wanted[-1] + len(start)]
        # the token at index t is predicted at the position before it
        shift = len(start) - 1
        return Query(row, tuple(t + shift for t in wanted), tuple(encoded.ids[t] for t in wanted))

    def _unfillable(self, encoded: Encoded, own: Sequence[int]) -> str | None:
        if own and own[0] == 0 and not self.start:
            return "the slot begins the text, and a model without a start token has no probability for it"
        return unscorable(encoded, own, whole=True)

    def _score(
        self,
        encoded: Encoded,
        tokens: Sequence[int],
        found: dict[int, float],
        problem: str | None = None,
    ) -> SpanScore:
        problem = (
            problem
            or self._too_long(len(self.start) + len(encoded.ids))
            or unscorable(encoded, tokens, whole=False)
            or (_NOT_SCORED if all(t not in found for t in tokens) else None)
        )
        if problem:
            return absent(problem)
        scored = [t for t in tokens if t in found]
        return span_score(
            encoded, scored, [found[t] for t in scored], "" if len(scored) == len(tokens) else _NOT_SCORED
        )


def _pairs(query: Query) -> Iterator[tuple[int, int]]:
    return zip(query.positions, query.targets, strict=True)
