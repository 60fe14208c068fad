"""Requests to an OpenAI-compatible server: several at once, repeated where they fail, bounded in time, and counted.

The key comes from the environment, lives in the ``openai`` client alone, and is taken out of all that a server sends
back before anything else sees it.
"""

import email.utils
import json
import math
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from fairprint.audit.backends.endpoint_requests import PATHS, Ask, Failure, Limits, Outcome, Tally
from fairprint.probes.errors import ModelError, UsageError

KEY_VARIABLE = "OPENAI_API_KEY"
MOST_BYTES = 1 << 25
"""Bytes of one answer at the most."""
LONGEST_WAIT_S = 60.0
"""A server that asks to wait longer (``Retry-After``) is asked again after this."""
LONGEST_BACK_OFF_S = 30.0
_AGAIN = {408, 409, 425, 429}
"""Status codes below 500 after which the same request can succeed."""
_OWN_FAULT = {"HTTP 400", "HTTP 413", "HTTP 422"}
"""Failures that speak of one request and not of the server."""
_LONGEST_MESSAGE = 200
_REAL_KEY = 16
"""Characters from which a key is no placeholder such as EMPTY, which a text may hold by chance."""


class _Pacer:
    """Says when the next attempt may begin: for a rate limit, and for a server that asked everyone to wait."""

    def __init__(self, requests_per_s: float | None) -> None:
        self._gap = 1 / requests_per_s if requests_per_s else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def turn(self) -> float:
        """Take the next turn and return how many seconds away it is."""
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next)
            self._next = start + self._gap
            return start - now

    def hold(self, seconds: float) -> None:
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)


class EndpointClient:
    """A server, asked through the ``openai`` client.

    All attempts of one request end within ``patience_s``, and within one more ``timeout_s`` where the server sends part
    of an answer and stops.

    Args:
        url: such as ``http://127.0.0.1:8000/v1``.
        model: as the server calls it.
        limits: concurrency, retries and times.

    Raises:
        ModelError: the package ``openai`` is not installed.
        UsageError: the key in the environment cannot be sent.
    """

    def __init__(self, url: str, model: str, limits: Limits | None = None) -> None:
        try:
            import openai
        except ImportError:
            raise ModelError(
                "a model behind a server needs the package openai", hint="pip install 'fairprint[endpoint]'"
            ) from None
        self.url, self.model = url, model
        self.limits = limits or Limits()
        self.tally = Tally()
        key = _key()
        self.has_key = bool(key)
        self._redact = _redactor(key if len(key) >= _REAL_KEY else "")
        self._redact_messages = _redactor(key)
        # retries are ours, so that each failure is counted; a server without keys takes any
        self._openai = openai.OpenAI(base_url=url, api_key=key or "none", max_retries=0)
        self._pacer = _Pacer(self.limits.requests_per_s)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._began: float | None = None
        self._in_a_row = 0
        self._lost: str | None = None

    def ask_all(self, asks: Sequence[Ask]) -> list[Outcome]:
        """Send requests and return their outcomes in order; equal requests are sent once.

        Raises:
            ModelError: the server is lost, or the time for all requests is over. Outcomes so far are dropped.
        """
        distinct = {ask.key: ask for ask in asks}
        left = iter(distinct.items())
        found: dict[str, Outcome] = {}
        broken: list[BaseException] = []
        self._began = time.monotonic() if self._began is None else self._began

        def work() -> None:
            while not self._stop.is_set():
                with self._lock:
                    key, ask = next(left, (None, None))
                if key is None or ask is None:
                    return
                try:
                    found[key] = self._ask(ask)
                except BaseException as error:
                    broken.append(error)
                    self._stop.set()

        # no pool of the library: it waits for its threads at the end, so that an interrupted command would not end
        threads = [
            threading.Thread(target=work, daemon=True) for _ in range(min(self.limits.concurrency, len(distinct)))
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            if len(found) < len(distinct):
                self._stop.set()
        if broken:
            raise broken[0]
        if self._lost:
            raise ModelError(self._lost, hint="repeat the command with --resume once the server answers")
        return [found[ask.key] for ask in asks]

    def ask(self, ask: Ask) -> Outcome:
        """Send one request."""
        return self.ask_all([ask])[0]

    def _ask(self, ask: Ask) -> Outcome:
        """Try until there is an answer, another attempt is of no use, or patience is over."""
        random = Random(f"{self.limits.seed} {ask.key}")
        failure, pause, deadline = Failure("not asked"), 0.0, math.inf
        with self._lock:
            self.tally.asked += 1
        for attempt in range(self.limits.retries + 1):
            if not (self._rest(pause, deadline) and self._rest(self._pacer.turn(), deadline)):
                return self._unanswered(failure, "; there was no time for another attempt")
            if self._is_over():
                break
            deadline = min(deadline, time.monotonic() + self.limits.patience_s)
            try:
                seconds = min(self.limits.timeout_s, max(deadline - time.monotonic(), 0.01))
                value = ask.read(self._post(ask, seconds))
            except Failure as one:
                failure = one
                with self._lock:
                    self.tally.failed[failure.kind] += 1
                if not failure.again:
                    break
                pause = self._pause(failure, attempt, random)
            else:
                with self._lock:
                    self.tally.answered += 1
                    self._in_a_row = 0
                return Outcome(value=value)
        return self._unanswered(failure)

    def _rest(self, seconds: float, deadline: float) -> bool:
        """Wait, and return True; return False at once where there is no time for it."""
        if seconds and time.monotonic() + seconds >= deadline:
            return False
        self._stop.wait(seconds)
        return True

    def _pause(self, failure: Failure, attempt: int, random: Random) -> float:
        """Return how long this request waits: twice as long each time, less up to half of it.

        Where the server says how long to wait, all requests do, since the others would only be told the same.
        """
        if failure.wait_s is None:
            return min(self.limits.back_off_s * 2.0**attempt, LONGEST_BACK_OFF_S) * (1 - random.random() / 2)
        self._pacer.hold(min(failure.wait_s, LONGEST_WAIT_S))
        return 0.0

    def _is_over(self) -> bool:
        if self._stop.is_set():
            return True
        if time.monotonic() - (self._began or 0.0) <= self.limits.total_s:
            return False
        with self._lock:
            self._lost = f"the time for all requests to {self.url} ({self.limits.total_s:g} s) is over"
        self._stop.set()
        return True

    def _unanswered(self, failure: Failure, more: str = "") -> Outcome:
        with self._lock:
            self.tally.unanswered[failure.kind] += 1
            self._in_a_row += failure.kind not in _OWN_FAULT
            if self._in_a_row >= self.limits.give_up_after and self._lost is None:
                self._lost = f"{self.url}: {self._in_a_row} requests in a row were not answered; the last: {failure}"
                self._stop.set()
        return Outcome(kind=failure.kind, problem=f"{failure}{more}")

    def _post(self, ask: Ask, seconds: float) -> dict[str, Any]:
        """Return the decoded answer to one attempt, without the key. Raises Failure."""
        assert ask.path in PATHS
        create: Any = self._openai.completions if ask.path == PATHS[0] else self._openai.chat.completions
        payload = dict(ask.payload)
        first = {name: payload.pop(name) for name in ("prompt", "messages") if name in payload}
        until = time.monotonic() + seconds
        received = bytearray()
        try:
            call = create.with_streaming_response.create
            with call(model=self.model, **first, extra_body=payload, timeout=seconds) as response:
                # a time-out of the client is for one read: a server that drips would never meet it
                for chunk in response.iter_bytes():
                    received += chunk
                    if time.monotonic() > until:
                        raise Failure("time-out", f"no whole answer within {seconds:.3g} s")
                    if len(received) > MOST_BYTES:
                        raise Failure("malformed answer", f"more than {MOST_BYTES:,} bytes")
        except Failure:
            raise
        except Exception as error:
            raise self._failure(error, seconds) from None
        try:
            body = json.loads(bytes(received))
        except (ValueError, RecursionError):
            raise Failure("malformed answer", "no JSON") from None
        if not isinstance(body, dict):
            raise Failure("malformed answer", "JSON, but no object")
        answer: dict[str, Any] = self._redact(body)
        self._count(answer)
        return answer

    def _failure(self, error: Exception, seconds: float) -> Failure:
        """Say what an error of the client means; its own words may hold a request with its headers."""
        status = getattr(error, "status_code", None)
        if isinstance(status, int):
            # a server that refuses a key may quote a part of it
            body = None if status in (401, 403) else self._redact_messages(getattr(error, "body", None))
            return Failure(
                f"HTTP {status}",
                server_message(body)[:_LONGEST_MESSAGE],
                again=status in _AGAIN or status >= 500,
                wait_s=retry_after(error.response.headers) if hasattr(error, "response") else None,
            )
        names = {type(one).__name__ for one in (error, error.__cause__) if one is not None}
        if any("Timeout" in name for name in names):
            return Failure("time-out", f"no answer within {seconds:.3g} s")
        if "ConnectError" in names:
            return Failure("no connection", self._redact_messages(str(error.__cause__ or ""))[:_LONGEST_MESSAGE])
        if names & {"APIConnectionError", "ReadError", "WriteError", "RemoteProtocolError", "CloseError"}:
            return Failure("dropped connection")
        if any("Decod" in name for name in names):
            return Failure("malformed answer", "it cannot be decoded")
        return Failure("error of the client", type(error).__name__)

    def _count(self, body: dict[str, Any]) -> None:
        usage = body.get("usage")
        usage = usage if isinstance(usage, dict) else {}
        prompt, answer = usage.get("prompt_tokens"), usage.get("completion_tokens", 0)
        with self._lock:
            if isinstance(prompt, int) and isinstance(answer, int):
                self.tally.prompt_tokens += prompt
                self.tally.answer_tokens += answer
            else:
                self.tally.untold += 1
            for name, named in (("model", self.tally.models), ("system_fingerprint", self.tally.fingerprints)):
                if isinstance(body.get(name), str):
                    named[body[name]] = None


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Return how many seconds a server asks to wait, from ``Retry-After`` in seconds or as a date, or None."""
    told = headers.get("retry-after")
    if told is None:
        return None
    try:
        seconds = float(told)
    except ValueError:
        try:
            date = email.utils.parsedate_to_datetime(told)
        except ValueError:
            return None
        seconds = date.timestamp() - (time.time() if now is None else now)
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _key() -> str:
    """Return the key, or an empty string.

    Raises:
        UsageError: it holds what no header can hold; the libraries below would say so by quoting it.
    """
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise UsageError(f"the key in {KEY_VARIABLE} holds characters that cannot be sent", hint="set it again")
    return key


def _redactor(key: str) -> Callable[[Any], Any]:
    """Return a function that takes the key out of all strings of a JSON value."""

    def redact(value: Any) -> Any:
        if isinstance(value, str):
            return value.replace(key, "[key]")
        if isinstance(value, dict):
            return {redact(name): redact(one) for name, one in value.items()}
        return [redact(one) for one in value] if isinstance(value, list) else value

    return redact if key else lambda value: value


def server_message(body: Any) -> str:
    """Return what a server says of an error, on one line."""
    for name in ("error", "detail", "message"):
        if isinstance(body, dict) and name in body:
            body = body[name]
    told = body if isinstance(body, str) else "" if body is None else json.dumps(body)
    return " ".join(told.split())
