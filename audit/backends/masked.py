"""Masked language models: BERT, DistilBERT, RoBERTa, ALBERT and their relatives."""

from collections.abc import Sequence

from fairprint.audit.backends.hf import (
    Encoded,
    Query,
    TransformersBackend,
    absent,
    locate,
    mass,
    span_score,
    unscorable,
)
from fairprint.probes.requests import (
    FillRequest,
    FillResponse,
    LikelihoodRequest,
    LikelihoodResponse,
    SpanScore,
)


class MaskedBackend(TransformersBackend):
    """Answers by masking: likelihood is pseudo-log-likelihood, fill is PLL-word-l2r of each candidate."""

    def likelihood(self, requests: Sequence[LikelihoodRequest]) -> list[LikelihoodResponse]:
        """Score spans by pseudo-log-likelihood: each token masked alone (Salazar et al. 2020, equation 1)."""
        plans = []
        for request in requests:
            encoded, spans = locate(self, request)
            tokens = [encoded.tokens_in(span) for span in spans]
            plans.append((encoded, tokens, [self._queries(encoded, t, alone=True) for t in tokens]))
        answers = iter(self.token_logprobs([q for _, _, spans in plans for queries in spans for q in queries]))
        responses = []
        for encoded, tokens, queries in plans:
            scores = [
                self._score(encoded, t, [next(answers)[0] for _ in qs]) for t, qs in zip(tokens, queries, strict=True)
            ]
            responses.append(LikelihoodResponse(spans=tuple(scores)))
        return responses

    def fill(self, requests: Sequence[FillRequest]) -> list[FillResponse]:
        """Score candidates by PLL-word-l2r: a token and all later tokens of its word masked (Kauf & Ivanova 2023)."""
        plans = []
        for request in requests:
            for candidate in request.candidates:
                encoded = self.encode(request.before + candidate + request.after)
                tokens = encoded.tokens_in((len(request.before), len(request.before) + len(candidate)))
                plans.append((encoded, tokens, self._queries(encoded, tokens, alone=False)))
        answers = iter(self.token_logprobs([query for _, _, queries in plans for query in queries]))
        scores = iter(
            [self._score(encoded, tokens, [next(answers)[0] for _ in qs], whole=True) for encoded, tokens, qs in plans]
        )
        responses = []
        for request in requests:
            found = tuple(next(scores) for _ in request.candidates)
            responses.append(FillResponse(scores=found, mass=mass([score.logprob for score in found])))
        return responses

    def _queries(self, encoded: Encoded, tokens: Sequence[int], *, alone: bool) -> list[Query]:
        """One row a token, with that token masked; where not ``alone``, all later ones are masked as well."""
        if self._too_long(len(encoded.ids)):
            return []
        queries = []
        for k, position in enumerate(tokens):
            masked = {position} if alone else set(tokens[k:])
            ids = tuple(self.tokenizer.mask_token_id if i in masked else t for i, t in enumerate(encoded.ids))
            queries.append(Query(ids, (position,), (encoded.ids[position],)))
        return queries

    def _score(
        self, encoded: Encoded, tokens: Sequence[int], logprobs: Sequence[float], *, whole: bool = False
    ) -> SpanScore:
        problem = self._too_long(len(encoded.ids)) or unscorable(encoded, tokens, whole=whole)
        return absent(problem) if problem else span_score(encoded, tokens, logprobs)
