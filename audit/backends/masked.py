"""Masked language models: BERT, DistilBERT, RoBERTa, ALBERT and their relatives."""

from collections.abc import Sequence

import torch

from fairprint.audit.backends.hf import (
    Encoded,
    Query,
    Rows,
    TransformersBackend,
    absent,
    mass,
    span_score,
    unscorable,
)
from fairprint.audit.backends.pieces import Tokens, chosen, nothing_chosen
from fairprint.probes.errors import RefusalError
from fairprint.probes.requests import (
    FillRequest,
    FillResponse,
    LikelihoodRequest,
    LikelihoodResponse,
    SpanScore,
)


class MaskedBackend(TransformersBackend):
    """Answers by masking: likelihood is pseudo-log-likelihood, fill is PLL-word-l2r of each candidate."""

    masks = True

    def likelihood(self, requests: Sequence[LikelihoodRequest]) -> list[LikelihoodResponse]:
        """Score spans by pseudo-log-likelihood: one row of tokens for each token that is asked for.

        The row masks this token ``alone`` (Salazar et al. 2020, equation 1), it and all later tokens of its ``word``
        (PLL-word-l2r, Kauf & Ivanova 2023), nothing (``none``: All Unmasked Likelihood, Kaneko & Bollegala 2021), or
        ends its span at this token, masked (``first``: the intrasentence task of StereoSet, Nadeem et al. 2021).

        Raises:
            RefusalError: a request that means nothing to a masked model.
        """
        plans = []
        for request in requests:
            self._check(request)
            encoded, spans = chosen(self, request)
            plans.append((request, encoded, spans, [self._queries(encoded, t, request.masking) for t in spans]))
        answers = iter(self.token_logprobs([q for *_, spans in plans for queries in spans for q in queries]))
        responses = []
        for request, encoded, spans, queries in plans:
            scores = []
            for tokens, asked in zip(spans, queries, strict=True):
                problem = nothing_chosen(request, tokens)
                found = [next(answers)[0] for _ in asked]
                scores.append(absent(problem) if problem else self._score(encoded, tokens, found))
            responses.append(LikelihoodResponse(spans=tuple(scores)))
        return responses

    def fill(self, requests: Sequence[FillRequest]) -> list[FillResponse]:
        """Score candidates by PLL-word-l2r: a token and all later tokens of its word masked (Kauf & Ivanova 2023).

        Where the ``top`` is asked for, one mask stands in the slot, and the words are its most probable pieces that
        are whole words: that have a letter or digit, and that the tokenizer gives back where they stand in the text.
        """
        plans = []
        for request in requests:
            if request.top and request.candidates:
                raise RefusalError(f"{self.name} scores candidates, or names the most probable words; not both at once")
            for candidate in request.candidates:
                encoded = self.encode(request.before + candidate + request.after)
                tokens = encoded.tokens_in((len(request.before), len(request.before) + len(candidate)))
                plans.append((encoded, tokens, self._queries(encoded, tokens, "span")))
        answers = iter(self.token_logprobs([query for _, _, queries in plans for query in queries]))
        scores = iter(
            [self._score(encoded, tokens, [next(answers)[0] for _ in qs], whole=True) for encoded, tokens, qs in plans]
        )
        named = iter(self._most_probable([request for request in requests if request.top]))
        responses = []
        for request in requests:
            if request.top:
                responses.append(next(named))
                continue
            found = tuple(next(scores) for _ in request.candidates)
            responses.append(FillResponse(scores=found, mass=mass([score.logprob for score in found])))
        return responses

    def _check(self, request: LikelihoodRequest) -> None:
        if request.start_for != "all":
            raise RefusalError(f"{self.name} reads both sides of a token: no start token of it can be left out")
        if request.masking == "first" and request.tokens != "all":
            raise RefusalError(
                f"{self.name} was asked to end a span at each of its tokens, which leaves none out: masking 'first' is "
                "for all tokens of a span"
            )

    def _queries(self, encoded: Encoded, tokens: Tokens, masking: str) -> list[Query]:
        """One row a token; ``span`` masks it and all later tokens of the span, as if they were one word."""
        if self._too_long(len(encoded.ids)):
            return []
        mask = self.tokenizer.mask_token_id
        queries = []
        for k, position in enumerate(tokens):
            if masking == "first":
                ids = (*encoded.ids[:position], mask, *encoded.ids[tokens[-1] + 1 :])
            else:
                hidden = set(tokens[k:]) if masking == "span" else _hidden(encoded, position, masking)
                ids = tuple(mask if i in hidden else token for i, token in enumerate(encoded.ids))
            queries.append(Query(ids, (position,), (encoded.ids[position],)))
        return queries

    def _score(
        self, encoded: Encoded, tokens: Sequence[int], logprobs: Sequence[float], *, whole: bool = False
    ) -> SpanScore:
        problem = self._too_long(len(encoded.ids)) or unscorable(encoded, tokens, whole=whole)
        return absent(problem) if problem else span_score(encoded, tokens, logprobs)

    def _most_probable(self, requests: Sequence[FillRequest]) -> list[FillResponse]:
        """Name the most probable whole words of each slot."""
        mask = self.tokenizer.mask_token_id
        slots = [self._slot(request) for request in requests]
        rows: Rows = {slot.ids: {(slot.positions[0], mask): 0.0} for slot in slots if isinstance(slot, Query)}
        self.counted += sum(map(len, rows))
        found: dict[int, FillResponse] = {}

        def run(batch: Sequence[tuple[int, ...]]) -> None:
            places = [(row, position) for row, ids in enumerate(batch) for position, _ in rows[ids]]
            tables = dict(zip(batch, self._logits(batch, places).float(), strict=True))
            for n, slot in enumerate(slots):
                if isinstance(slot, Query) and slot.ids in tables:
                    found[n] = self._named(requests[n], slot, tables[slot.ids])

        for batch in () if self.dry else self._plan(sorted(rows, key=lambda ids: (len(ids), ids)), rows):
            self._within_memory(batch, run, len)
        blank = SpanScore(logprob=0.0, tokens=1)
        return [
            FillResponse(scores=(absent(slot),), mass=None)
            if isinstance(slot, str)
            else found.get(n, FillResponse(scores=(blank,) * request.top, mass=None, words=("",) * request.top))
            for n, (request, slot) in enumerate(zip(requests, slots, strict=True))
        ]

    def _slot(self, request: FillRequest) -> Query | str:
        """Return the row with one mask in the slot, or why there is none."""
        encoded = self.encode(request.before + self.tokenizer.mask_token + request.after)
        start = len(request.before)
        tokens = encoded.tokens_in((start, start + len(self.tokenizer.mask_token)))
        mask = self.tokenizer.mask_token_id
        if mask not in (encoded.ids[t] for t in tokens):
            return "the tokenizer does not read its own mask in this text"
        # a lone mark of a word boundary before the mask belongs to the word that is masked
        ids = (*encoded.ids[: tokens[0]], mask, *encoded.ids[tokens[-1] + 1 :])
        return self._too_long(len(ids)) or Query(ids, (tokens[0],), (mask,))

    def _named(self, request: FillRequest, slot: Query, logits: torch.Tensor) -> FillResponse:
        """Read whole words off one slot, best first; pieces of equal probability in the order of the vocabulary."""
        values, pieces = logits.double().log_softmax(-1).sort(descending=True, stable=True)
        words: dict[str, float] = {}
        for value, piece in zip(values.tolist(), pieces.tolist(), strict=True):
            word = self._whole_word(request, slot, piece)
            if word is not None:
                words.setdefault(word, value)
            if len(words) == request.top:
                break
        scores = tuple(SpanScore(logprob=value, tokens=1, each=(value,)) for value in words.values())
        return FillResponse(scores=scores, mass=mass(list(words.values())), words=tuple(words))

    def _whole_word(self, request: FillRequest, slot: Query, piece: int) -> str | None:
        """Return a piece as a word, or None where the text with this word has other tokens than the row with it."""
        if piece in self.tokenizer.all_special_ids:
            return None
        word: str = self.tokenizer.decode([piece]).strip()
        position = slot.positions[0]
        row = (*slot.ids[:position], piece, *slot.ids[position + 1 :])
        if not any(map(str.isalnum, word)):
            return None
        return word if self.encode(request.before + word + request.after).ids == row else None


def _hidden(encoded: Encoded, position: int, masking: str) -> set[int]:
    """Return the tokens that are masked where one is asked for."""
    if masking == "none":
        return set()
    if masking == "alone" or encoded.words[position] is None:
        return {position}
    word = encoded.words[position]
    return {i for i in range(position, len(encoded.ids)) if encoded.words[i] == word}
