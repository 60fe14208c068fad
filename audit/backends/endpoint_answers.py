"""What stands in the answers of OpenAI-compatible servers: texts, and log-probabilities in all their forms."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fairprint.audit.backends.endpoint_requests import Failure

FLOOR = -9999.0
"""What vLLM writes for a log-probability of minus infinity."""
_BYTES = re.compile(r"^bytes:((?:\\x[0-9a-fA-F]{2})+)$")
_UNKNOWN = "\ufffd"
Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Scored:
    """The tokens of a given text with their log-probabilities.

    Attributes:
        ranges: characters of each token without its leading blanks; None for a start token before the text.
        logprobs: in nats, each given all tokens before it; None where the server gives none.
    """

    ranges: tuple[Range | None, ...]
    logprobs: tuple[float | None, ...]

    def tokens_in(self, span: Range) -> tuple[int, ...]:
        """Return the indices of the tokens whose characters overlap a span."""
        start, end = span
        return tuple(i for i, r in enumerate(self.ranges) if r is not None and r[0] < end and r[1] > start)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A continuation or an answer, or None with the reason; ``refused`` where the server or the model refuses."""

    text: str | None
    note: str = ""
    refused: bool = False


def echoed(body: dict[str, Any], text: str) -> Scored:
    """Read the log-probabilities of a text that the server gives back before its continuation (``echo``).

    Raises:
        Failure: there are none, or they are not those of the text.
    """
    found = _choice(body).get("logprobs")
    table: dict[str, Any] = found if isinstance(found, dict) else {}
    tokens, values = table.get("tokens"), table.get("token_logprobs")
    if (
        not (isinstance(tokens, list) and _is_list(tokens, str))
        or not isinstance(values, list)
        or len(tokens) != len(values)
    ):
        raise Failure("missing log-probabilities", "no tokens with log-probabilities in the answer")
    return _scored(text, tokens, values, table.get("text_offset"))


def of_prompt(body: dict[str, Any], text: str) -> Scored:
    """Read the log-probabilities of a text from ``prompt_logprobs``, as vLLM gives them.

    Raises:
        Failure: there are none, or they are not those of the text.
    """
    found = _choice(body).get("prompt_logprobs", body.get("prompt_logprobs"))
    if not isinstance(found, list) or not found or found[0] is not None:
        raise Failure("missing log-probabilities", "no prompt_logprobs in the answer")
    tokens, values = [], []
    for entry in found[1:]:
        (only,) = entry.values() if isinstance(entry, dict) and len(entry) == 1 else (None,)
        token = only.get("decoded_token") if isinstance(only, dict) else None
        if not isinstance(token, str):
            raise Failure("missing log-probabilities", "a token of prompt_logprobs has no text")
        tokens.append(token)
        values.append(only.get("logprob") if isinstance(only, dict) else None)
    # the first token has no entry: it is what the others leave over of the text, or else a start token before it
    bare = "".join(text.split())
    first = bare[: max(len(bare) - sum(len("".join(_bare(token).split())) for token in tokens), 0)]
    return _scored(text, [first, *tokens], [None, *values], None)


def next_tokens(body: dict[str, Any]) -> dict[str, float]:
    """Return the log-probabilities of the most probable next tokens, by their text.

    Raises:
        Failure: there are none, or they are no probabilities.
    """
    table = _choice(body).get("logprobs")
    table = table if isinstance(table, dict) else {}
    found: dict[str, Any] = {}
    if isinstance(table.get("top_logprobs"), list) and table["top_logprobs"]:
        first = table["top_logprobs"][0]
        found = first if isinstance(first, dict) else {}
    elif isinstance(table.get("content"), list) and table["content"]:
        first = table["content"][0]
        rows = first.get("top_logprobs") if isinstance(first, dict) else None
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, dict) and isinstance(row.get("token"), str):
                found[row["token"]] = row.get("logprob")
    known = {token: value for token, value in found.items() if _logprob(value) is not None}
    if len(known) < 2:
        raise Failure("missing log-probabilities", "no log-probabilities of next tokens in the answer")
    if math.fsum(map(math.exp, known.values())) > 1.001:
        raise Failure("missing log-probabilities", "the probabilities of the next tokens add up to more than 1")
    return known


def continuation(body: dict[str, Any]) -> Answer:
    """Read a continuation of raw text. Raises Failure where there is none."""
    choice = _choice(body)
    text = choice.get("text")
    if choice.get("finish_reason") == "content_filter":
        return Answer(text=None, note="refused: content_filter", refused=True)
    if not isinstance(text, str):
        raise Failure("malformed answer", "no text in the answer")
    return Answer(text=text)


def chat_answer(body: dict[str, Any]) -> Answer:
    """Read an answer to a chat message. Raises Failure where there is neither an answer nor a refusal."""
    choice = _choice(body)
    message = choice.get("message")
    if not isinstance(message, dict):
        raise Failure("malformed answer", "no message in the answer")
    refusal, text = message.get("refusal"), message.get("content")
    if choice.get("finish_reason") == "content_filter":
        return Answer(text=None, note="refused: content_filter", refused=True)
    if isinstance(refusal, str) and refusal:
        return Answer(text=None, note=f"refused: {' '.join(refusal.split())[:200]}", refused=True)
    if text is None and choice.get("finish_reason") == "length":
        return Answer(text=None, note="the answer was cut off before its text began")
    if not isinstance(text, str):
        raise Failure("malformed answer", "no content in the answer")
    return Answer(text=text)


def align(text: str, tokens: Sequence[str], offsets: Any = None) -> list[Range] | None:
    r"""Return the characters of a text that each of its tokens covers, without blanks around them.

    Blanks are not compared, since servers write them in several ways (``▁the``, `` the``, ``the``). Tokens that are
    parts of a character come as ``bytes:\xe2\x80``, as an empty text before the token that ends the character, or as
    a replacement sign; the last are placed by ``offsets``, where the server gives them.

    Returns:
        One range a token up to the end of the text, so that what was generated after it is left out; a token of
        nothing but blanks is empty. None where the tokens are not those of the text.
    """
    whole, ranges, position = text.encode(), [], 0
    if any(_UNKNOWN in token for token in tokens) and _UNKNOWN not in text:
        return _by_offsets(text, tokens, offsets)
    starts = [len(text[:i].encode()) for i in range(len(text) + 1)]
    character = {byte: i for i, start in enumerate(starts[:-1]) for byte in range(start, starts[i + 1])}
    character[len(whole)] = len(text)
    end = len(text.rstrip().encode())
    for token in tokens:
        if position >= end:
            break
        found = _BYTES.match(token)
        core = bytes.fromhex(found[1].replace("\\x", "")).lstrip() if found else _bare(token).encode()
        if core:
            while position < end and text[character[position]].isspace():
                position = starts[character[position] + 1]
        if not whole.startswith(core, position):
            return None
        last = position + len(core)
        ranges.append((character[position], character[last - 1] + 1 if core else character[position]))
        position = last
    return ranges if position >= end else None


def _by_offsets(text: str, tokens: Sequence[str], offsets: Any) -> list[Range] | None:
    if not _is_list(offsets, int) or len(offsets) != len(tokens) or offsets[:1] != [0] or offsets != sorted(offsets):
        return None
    ranges = []
    for i, (token, start) in enumerate(zip(tokens, offsets, strict=True)):
        if start >= len(text.rstrip()):
            break
        if _UNKNOWN not in token and not text.startswith(token, start):
            return None
        end = min(next((later for later in offsets[i:] if later > start), len(text)), len(text))
        ranges.append((min(start + len(text[start:end]) - len(text[start:end].lstrip()), end), end))
    return ranges


def _scored(text: str, tokens: Sequence[str], values: Sequence[Any], offsets: Any) -> Scored:
    """Lay tokens over their text; a first token without a value may be a start token that stands before the text."""
    first_has_value = bool(values) and values[0] is not None
    ranges: list[Range | None] | None = None
    if first_has_value or tokens[:1] != [""]:
        ranges = _as_optional(align(text, tokens, offsets))
    if ranges is None and not first_has_value:
        later = [one - offsets[1] for one in offsets[1:]] if _is_list(offsets, int) and len(offsets) > 1 else None
        after = _as_optional(align(text, tokens[1:], later))
        ranges = None if after is None else [None, *after]
    if ranges is None:
        raise Failure("missing log-probabilities", "the tokens of the answer do not join to the text", again=False)
    # a token of nothing but blanks belongs with the token that follows it
    for i in range(len(ranges) - 2, -1, -1):
        here = ranges[i]
        if here is not None and here[0] == here[1]:
            ranges[i] = ranges[i + 1]
    return Scored(tuple(ranges), tuple(_logprob(value) for value in values[: len(ranges)]))


def _as_optional(ranges: list[Range] | None) -> list[Range | None] | None:
    return None if ranges is None else list(ranges)


def _logprob(value: Any) -> float | None:
    """Return a log-probability; None for what is none, such as infinity or the floor that stands for it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(min(value, 0.0)) if FLOOR < value <= 1e-6 else None


def _choice(body: dict[str, Any]) -> dict[str, Any]:
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, dict):
        raise Failure("malformed answer", "no choices in the answer")
    return first


def _bare(token: str) -> str:
    return token.replace("▁", " ").strip()


def _is_list(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(one, kind) for one in value)
