"""What a server can do, found by asking it: a status code says nothing, since servers accept and ignore options."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from fairprint.audit.backends.endpoint_answers import Scored, chat_answer, continuation, echoed, next_tokens, of_prompt
from fairprint.audit.backends.endpoint_client import KEY_VARIABLE, EndpointClient
from fairprint.audit.backends.endpoint_requests import PATHS, Ask, Failure, Outcome
from fairprint.probes.errors import ModelError

TEXTS = ("The sky over the harbour was blue.", "Seven quiet foxes crossed an old bridge.")
"""What is scored on trial; different texts have different log-probabilities."""
MOST_NEXT_TOKENS = (20, 5)
"""How many next tokens are asked for: the most that servers commonly give, then the most that the oldest give."""
SCORING = {
    "echo": {"max_tokens": 1, "temperature": 1.0, "echo": True, "logprobs": 1},
    "prompt_logprobs": {"max_tokens": 1, "temperature": 1.0, "prompt_logprobs": 0},
}
"""The ways to have a given text scored, each with its options. One token is generated, and left out: many servers
refuse none. At temperature 1 no server has a reason to scale what it gives."""
READ: dict[str, Callable[..., Scored]] = {"echo": echoed, "prompt_logprobs": of_prompt}
_LENGTHS = ("max_tokens", "max_completion_tokens")
_NO_VERDICT = {"time-out", "no connection", "dropped connection", "HTTP 429", "not asked"}
"""Failures that say nothing about what a server can do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What a server can do.

    Attributes:
        scoring: how a given text is scored, a key of ``SCORING``, or empty.
        top: how many next tokens can be asked for with their log-probabilities, or 0; not asked where texts are scored.
        raw: whether it continues raw text.
        chat: the option that limits the length of an answer to a chat message, or empty where it does not chat.
        findings: a sentence each; the same each time, so that a run can go on.
    """

    scoring: str
    top: int
    raw: bool
    chat: str
    findings: tuple[str, ...]


def find_abilities(client: EndpointClient) -> Abilities:
    """Ask a server once for each thing that it may be able to do.

    Raises:
        ModelError: it does not answer, refuses the key, or can do nothing.
    """
    told: dict[str, str] = {}
    problems: list[str] = []

    def able(what: str, outcome: Outcome) -> bool:
        if outcome.kind in _NO_VERDICT:
            raise ModelError(f"no answer from {client.url}: {outcome.problem}", hint="check the address and the server")
        if outcome.kind:
            # the server's own words may change from one request to the next, as request ids do
            told[what] = outcome.kind if outcome.kind.startswith("HTTP") else outcome.problem
            problems.append(f"{what}: {outcome.problem}")
        return not outcome.kind

    raw = able("raw text", client.ask(once(PATHS[0], {"prompt": TEXTS[0], "max_tokens": 4}, continuation)))
    scoring = next((way for way in SCORING if raw and able(way, _scores(client, way))), "")
    top = 0
    for most in MOST_NEXT_TOKENS if raw and not scoring else ():
        found = client.ask(once(PATHS[0], {**next_payload(most), "prompt": TEXTS[0]}, next_tokens))
        if able("logprobs", found):
            top = most
            break
    chat = next((name for name in _LENGTHS if able("chat", _chats(client, name))), "")
    if not raw and not chat and {"HTTP 401", "HTTP 403"} & set(told.values()):
        raise ModelError(f"{client.url} refuses the key", hint=f"put the key into the variable {KEY_VARIABLE}")
    if not raw and not chat:
        raise ModelError(f"{client.url} answers nothing as the model '{client.model}': {'; '.join(problems)[:600]}")
    return Abilities(scoring=scoring, top=top, raw=raw, chat=chat, findings=_findings(scoring, top, raw, chat, told))


def next_payload(most: int) -> dict[str, Any]:
    """Return the options with which the most probable next tokens are asked for."""
    return {"max_tokens": 1, "temperature": 1.0, "logprobs": most}


def once(path: str, payload: Mapping[str, Any], read: Callable[[dict[str, Any]], Any]) -> Ask:
    """Return a request whose answer counts as it is: what is missing from it was ignored, and would be again."""

    def verdict(body: dict[str, Any]) -> Any:
        try:
            return read(body)
        except Failure as failure:
            raise Failure(failure.kind, failure.detail, again=False) from None

    return Ask(path, payload, verdict)


def _scores(client: EndpointClient, way: str) -> Outcome:
    """Have two texts scored: all tokens but the first have log-probabilities, and the texts have different ones."""
    outcomes = client.ask_all(
        [once(PATHS[0], {**SCORING[way], "prompt": text}, partial(READ[way], text=text)) for text in TEXTS]
    )
    failed = next((outcome for outcome in outcomes if outcome.kind), None)
    if failed is not None:
        return failed
    sums = []
    for outcome in outcomes:
        values = outcome.value.logprobs[1:]
        if not values or None in values or not any(values):
            return Outcome(kind="missing log-probabilities", problem="some tokens have no log-probability")
        sums.append(math.fsum(values))
    if sums[0] == sums[1]:
        return Outcome(kind="missing log-probabilities", problem="two different texts have the same log-probability")
    return Outcome(value=sums)


def _chats(client: EndpointClient, length: str) -> Outcome:
    said = [{"role": "user", "content": "Say yes."}]
    return client.ask(once(PATHS[1], {"messages": said, length: 8}, chat_answer))


def _findings(scoring: str, top: int, raw: bool, chat: str, told: Mapping[str, str]) -> tuple[str, ...]:
    able = [f"scores given text ({scoring})"] if scoring else []
    able += [f"gives up to {top} most probable next tokens with their log-probabilities"] if top else []
    able += ["continues raw text"] if raw else []
    able += ["answers chat messages"] if chat else []
    found = f"canary requests to the server found that it {', '.join(able)}"
    unable = [f"{what}: {why}" for what, why in told.items() if not (what == "chat" and chat)]
    return (f"{found}; what it did not do: {'; '.join(unable)}" if unable else found,)
