"""What is asked of a server, within which limits, and what comes of it."""

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fairprint.probes.errors import UsageError

PATHS = ("completions", "chat/completions")
"""Where a request can go, below the address of the server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How hard a server is asked, and for how long.

    Attributes:
        concurrency: requests under way at once.
        timeout_s: for one attempt.
        retries: further attempts after the first, where another one can succeed.
        patience_s: for all attempts of one request, the waits between them included.
        total_s: for all requests of one process.
        requests_per_s: attempts begun a second at the most; None sets no limit.
        give_up_after: requests in a row without an answer after which the server counts as lost.
        back_off_s: first wait before another attempt; later ones are twice as long each time.
        seed: of the jitter of the waits.
    """

    concurrency: int = 8
    timeout_s: float = 60.0
    retries: int = 5
    patience_s: float = 300.0
    total_s: float = 86_400.0
    requests_per_s: float | None = None
    give_up_after: int = 25
    back_off_s: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        low = {"concurrency": 1, "retries": 0, "give_up_after": 1}
        for name, least in low.items():
            if getattr(self, name) < least:
                raise UsageError(f"{name} is {getattr(self, name)}; expected {least} or more")
        for name in ("timeout_s", "patience_s", "total_s", "back_off_s", "requests_per_s"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UsageError(f"{name} is {value}; expected a number above 0")


class Failure(Exception):
    """One attempt without a usable answer.

    Attributes:
        kind: what is counted, such as ``HTTP 429`` or ``time-out``.
        detail: more in words, or empty.
        again: whether another attempt can succeed.
        wait_s: how long the server asks to wait, or None.
    """

    def __init__(self, kind: str, detail: str = "", *, again: bool = True, wait_s: float | None = None) -> None:
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind = kind
        self.detail = detail
        self.again = again
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: where it goes, what it says, and how its answer is read.

    ``read`` takes the decoded JSON and raises ``Failure`` where something is missing from it.
    """

    path: str
    payload: Mapping[str, Any]
    read: Callable[[dict[str, Any]], Any]

    @property
    def key(self) -> str:
        """What makes two requests the same."""
        return f"{self.path} {json.dumps(self.payload, sort_keys=True)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a request: what was read, or the failure of its last attempt (``kind`` is then not empty)."""

    value: Any = None
    kind: str = ""
    problem: str = ""


@dataclass(slots=True)
class Tally:
    """What was asked of a server so far, and what came of it.

    Attributes:
        failed: attempts without a usable answer, by kind; many a request was answered at a later one.
        unanswered: requests without an answer, by the kind of the last failure.
        untold: answers that do not say how many tokens they cost.
        models, fingerprints: that the server names in its answers, in the order of first mention.
    """

    asked: int = 0
    answered: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    unanswered: Counter[str] = field(default_factory=Counter)
    prompt_tokens: int = 0
    answer_tokens: int = 0
    untold: int = 0
    models: dict[str, None] = field(default_factory=dict)
    fingerprints: dict[str, None] = field(default_factory=dict)

    @property
    def tokens(self) -> int:
        """Tokens in prompts and answers."""
        return self.prompt_tokens + self.answer_tokens

    def __str__(self) -> str:
        said = f"{self.asked:,} requests to the server, {self.answered:,} answered"
        if self.unanswered:
            said += f", {self.unanswered.total():,} without an answer ({_told(self.unanswered)})"
        if self.failed:
            said += f"; {self.failed.total():,} attempts failed ({_told(self.failed)})"
        said += f"; tokens, as the server counts: {self.prompt_tokens:,} in prompts, {self.answer_tokens:,} in answers"
        return f"{said} ({self.untold:,} answers came without a count)" if self.untold else said


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{kind}: {count:,}" for kind, count in sorted(counts.items()))
