"""Models behind OpenAI-compatible servers (vLLM, llama.cpp, TGI, ``transformers serve``, hosted models)."""

import hashlib
import ipaddress
import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NoReturn
from urllib.parse import urlsplit

from fairprint.audit.backends.endpoint_answers import Answer, Scored, chat_answer, continuation, next_tokens
from fairprint.audit.backends.endpoint_canaries import READ, SCORING, find_abilities, next_payload
from fairprint.audit.backends.endpoint_client import EndpointClient
from fairprint.audit.backends.endpoint_requests import PATHS, Ask, Outcome, Tally
from fairprint.audit.backends.hf import absent, mass
from fairprint.audit.backends.pieces import refuse_choice, refuse_top
from fairprint.audit.records import ModelInfo
from fairprint.probes.errors import RefusalError
from fairprint.probes.requests import (
    Backend,
    FillRequest,
    FillResponse,
    GenerateRequest,
    GenerateResponse,
    LikelihoodRequest,
    LikelihoodResponse,
    SpanScore,
)

_NOT_SCORED = "the first token is not scored"
_OWN_TOKEN = "the word's own token alone: the server gives no probability of the text after it"


class EndpointBackend(Backend):
    """A server that answers what its canary requests showed it to be able to answer.

    Likelihood needs log-probabilities of given text. Fill then scores each candidate's tokens and all tokens after
    them, as a causal model does. Where the server only gives the most probable next tokens, fill scores a candidate
    that is one of them by that token alone, says so with every score, and leaves all others without a score: what is
    less probable than the server tells is not known, and no bound is put in its place.

    Args:
        model: the server.
        tokenizer: none is needed: the server has its own.
        name: how the model is called in messages.

    Raises:
        ModelError: the server does not answer, refuses the key, or can do nothing.
    """

    def __init__(self, model: EndpointClient, tokenizer: None = None, *, name: str) -> None:
        self.name = name
        self.model = model
        self.dry = False
        self.batch_size = model.limits.concurrency
        self.batch_tokens = 0
        self.abilities = find_abilities(model)
        # what a canary found missing is no failure of the audit
        self.canaries = model.tally
        model.tally = Tally(models=self.canaries.models, fingerprints=self.canaries.fingerprints)
        self._refused = 0
        self._sampled = self._chatted = False

    @property
    def counted(self) -> int:
        """Tokens that went through the model, as far as the server says."""
        return self.canaries.tokens + self.model.tally.tokens

    def answers(self) -> tuple[str, ...]:
        """Names of the requests that this server answers, as its canary requests showed."""
        can = self.abilities
        able = {
            "likelihood": bool(can.scoring),
            "fill": bool(can.scoring or can.top),
            "generate": can.raw or bool(can.chat),
        }
        return tuple(name for name, is_able in able.items() if is_able)

    def likelihood(self, requests: Sequence[LikelihoodRequest]) -> list[LikelihoodResponse]:
        """Score spans: each token given all tokens before it."""
        if not self.abilities.scoring:
            self._refuse("likelihood")
        if any(request.source is not None or request.languages is not None for request in requests):
            raise RefusalError(f"{self.name} takes no source of a text: its texts stand for themselves")
        for request in requests:
            refuse_choice(self.name, request)
        outcomes = self._scored([request.prefix + request.text for request in requests])
        responses = []
        for request, outcome in zip(requests, outcomes, strict=True):
            offset = len(request.prefix)
            spans = request.spans if request.spans is not None else ((0, len(request.text)),)
            scores = [_score(outcome, (start + offset, end + offset)) for start, end in spans]
            responses.append(LikelihoodResponse(spans=tuple(scores)))
        return responses

    def fill(self, requests: Sequence[FillRequest]) -> list[FillResponse]:
        """Score candidates by their tokens and all after them, or by their own tokens (see the class)."""
        refuse_top(self.name, requests)
        if not self.abilities.scoring:
            return self._fill_from_next_tokens(requests)
        outcomes = iter(self._scored([r.before + candidate + r.after for r in requests for candidate in r.candidates]))
        responses = []
        for request in requests:
            start = len(request.before)
            pairs = []
            for candidate in request.candidates:
                outcome, end = next(outcomes), start + len(candidate)
                own = _score(outcome, (start, end), whole=True)
                # without its own first token a word has no score, whatever follows it
                rest = _score(outcome, (start, end), whole=True, onward=True)
                pairs.append((own, rest if own.logprob is not None else own))
            own_mass = mass([own.logprob for own, _ in pairs])
            responses.append(FillResponse(scores=tuple(score for _, score in pairs), mass=own_mass))
        return responses

    def generate(self, requests: Sequence[GenerateRequest]) -> list[GenerateResponse]:
        """Continue prompts, or answer chat messages; each sample is a request with a seed of its own."""
        asks = [self._sample(request, n) for request in requests for n in range(request.samples)]
        outcomes = iter(self.model.ask_all(asks))
        responses = []
        for request in requests:
            found = [_answer(next(outcomes)) for _ in range(request.samples)]
            self._refused += sum(answer.refused for answer in found)
            notes = dict.fromkeys(answer.note for answer in found if answer.note)
            responses.append(GenerateResponse(texts=tuple(answer.text for answer in found), note="; ".join(notes)))
        return responses

    def notes(self) -> tuple[str, ...]:
        """What a reader must know of how the answers came about, so far."""
        trial = f"{self.canaries.asked} canary requests ({self.canaries.tokens:,} tokens)"
        notes = [*self.lasting_notes(), f"{trial}; {self.model.tally}"]
        if self._refused:
            notes.append(f"{self._refused:,} answers were refused by the server or the model")
        address = urlsplit(self.model.url)
        if self.model.has_key and address.scheme == "http" and not _is_loopback(address.hostname or ""):
            notes.append("the key was sent without encryption, since the address of the server begins with http:")
        if self._chatted:
            notes.append("prompts were sent as chat messages: the server puts them into a template of its own")
        if self._sampled:
            notes.append("a server may ignore the seed: samples need not come out the same again")
        if len(self.model.tally.models) > 1:
            notes.append(f"the server named more than one model: {', '.join(self.model.tally.models)}")
        if self.model.tally.fingerprints:
            notes.append(f"fingerprint of the server: {', '.join(self.model.tally.fingerprints)}")
        return tuple(notes)

    def lasting_notes(self) -> tuple[str, ...]:
        """What a reader must know of the server, whatever was asked of it."""
        notes = [
            f"the model stands behind a server, which calls it '{self._stated()}': weights, revision and type of "
            "numbers are unknown",
            *self.abilities.findings,
        ]
        if self.abilities.top:
            notes.append(
                "words are scored by their own token and only where it is among the most probable next tokens: items "
                "with an improbable word are missing, which is no random choice"
            )
        return tuple(notes)

    def footprint_warnings(self) -> tuple[str, ...]:
        """What the figures of energy and emissions leave out."""
        here = _is_loopback(urlsplit(self.model.url).hostname or "")
        figures = "a server on this machine is a part of its figures" if here else "the figures are of this machine"
        return (f"the energy of the server is not metered: {figures}",)

    def info(self) -> ModelInfo:
        """What a record says of the model; the hash is over the name that the server states, and its host."""
        host = urlsplit(self.model.url).netloc
        return ModelInfo(
            name=self.name,
            revision=None,
            sha256=hashlib.sha256(f"{self._stated()} {host}".encode()).hexdigest(),
            model_type="unknown",
            kind="endpoint",
            architecture="unknown",
            weights="behind a server",
            dtype="unknown",
            parameters=None,
            notes=self.lasting_notes(),
        )

    def _stated(self) -> str:
        return next(iter(self.model.tally.models), self.model.model)

    def _scored(self, texts: Sequence[str]) -> list[Outcome]:
        """Have texts scored; the value of an outcome is a ``Scored``."""
        way = self.abilities.scoring
        asks = [
            Ask(PATHS[0], {**SCORING[way], "prompt": text}, partial(READ[way], text=text))
            for text in texts
            if text.strip()
        ]
        found = iter(self.model.ask_all(asks))
        return [next(found) if text.strip() else Outcome(value=Scored((), ())) for text in texts]

    def _fill_from_next_tokens(self, requests: Sequence[FillRequest]) -> list[FillResponse]:
        if not self.abilities.top:
            self._refuse("fill")
        payload = next_payload(self.abilities.top)
        prompts = [request.before.rstrip() for request in requests]
        found = iter(self.model.ask_all([Ask(PATHS[0], {**payload, "prompt": p}, next_tokens) for p in prompts if p]))
        responses = []
        for request, prompt in zip(requests, prompts, strict=True):
            outcome = next(found) if prompt else Outcome(kind="none", problem="no text stands before the slot")
            scores = tuple(self._next_score(request, prompt, candidate, outcome) for candidate in request.candidates)
            responses.append(FillResponse(scores=scores, mass=mass([score.logprob for score in scores])))
        return responses

    def _next_score(self, request: FillRequest, prompt: str, candidate: str, outcome: Outcome) -> SpanScore:
        if outcome.kind:
            return absent(outcome.problem)
        table = {token.replace("▁", " "): value for token, value in outcome.value.items()}
        value = table.get(request.before[len(prompt) :] + candidate)
        if value is None:
            return absent(f"not among the {len(table)} most probable next tokens that the server gives")
        note = _OWN_TOKEN if request.after.strip() else ""
        return SpanScore(logprob=value, tokens=1, note=note, each=(value,))

    def _sample(self, request: GenerateRequest, number: int) -> Ask:
        """Return the request for one sample. Options that say no more than the server's defaults are left out."""
        can = self.abilities
        if request.temperature == 0 and request.samples != 1:
            raise RefusalError("temperature 0 has one continuation; ask for 1 sample, or a temperature above 0")
        if not (can.chat if request.chat else can.raw):
            able = "chat messages" if can.chat else "raw text" if can.raw else "nothing"
            raise RefusalError(
                f"{self.name} answers {able} only; it was asked {'a chat message' if request.chat else 'raw text'}"
            )
        options: dict[str, Any] = {can.chat if request.chat else "max_tokens": request.max_new_tokens}
        if request.temperature != 1:
            options["temperature"] = request.temperature
        if request.temperature > 0:
            self._sampled = True
            options |= {"seed": request.seed + number} | ({"top_p": request.top_p} if request.top_p != 1 else {})
        if request.chat:
            self._chatted = True
            said = [{"role": "user", "content": request.prompt}]
            return Ask(PATHS[1], {**options, "messages": said}, chat_answer)
        return Ask(PATHS[0], {**options, "prompt": request.prompt}, continuation)

    def _refuse(self, request: str) -> NoReturn:
        able = ", ".join(self.answers()) or "nothing"
        raise RefusalError(
            f"{self.name} cannot answer '{request}'; it answers: {able}", hint=self.abilities.findings[0]
        )


def _answer(outcome: Outcome) -> Answer:
    answer = outcome.value if not outcome.kind else Answer(text=None, note=outcome.problem)
    assert isinstance(answer, Answer)
    return answer


def _score(outcome: Outcome, span: tuple[int, int], *, whole: bool = False, onward: bool = False) -> SpanScore:
    """Sum the log-probabilities of the tokens of a span.

    Args:
        outcome: of the request for the text.
        span: characters of the text.
        whole: the span is a word, whose first token must have a score.
        onward: count all tokens after the span as well.
    """
    if outcome.kind:
        return absent(outcome.problem)
    scored: Scored = outcome.value
    tokens = scored.tokens_in(span)
    if onward and tokens:
        tokens = tuple(range(tokens[0], len(scored.ranges)))
    if not tokens:
        return absent("no token covers this text")
    values = [scored.logprobs[token] for token in tokens]
    first = next((i for i, one in enumerate(scored.ranges) if one is not None), 0)
    note = ""
    if values[0] is None and tokens[0] == first:
        if whole:
            return absent("the slot begins the text, and the server gives no probability of its first token")
        values, note = values[1:], _NOT_SCORED
        if not values:
            return absent(_NOT_SCORED)
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return absent("the server gives no finite log-probability of a token")
    return SpanScore(logprob=math.fsum(known), tokens=len(known), note=note, each=tuple(known))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
