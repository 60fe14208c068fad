"""Servers on the loopback address that answer as OpenAI-compatible ones do, well or badly."""

import json
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch

from fairprint.audit.backends.causal import CausalBackend
from fairprint.audit.backends.hf import Query
from fairprint.probes.requests import GenerateRequest

LONGEST_HANG_S = 5.0


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up are a part of the tests."""


class LanguageServer:
    """Serves a causal backend's own numbers in the completions format, and answers chat messages with it.

    Args:
        backend: what answers.
        model: as the server calls it.
        echo: honour ``echo`` with ``logprobs``; else both are accepted and ignored.
        prompt_logprobs: honour ``prompt_logprobs``, as vLLM does.
        top: how many next tokens it gives at the most; 0 gives none.
        chat_form: give next tokens in the form of chat answers, as llama.cpp does.
        first: the log-probability of a text's first token: ``scored``, or ``null``, or ``start`` where a start token
            with null stands before it.
        raw, chat: whether it has these endpoints.
        strict: answer 422 to options that it does not know.
        length: the option that limits an answer to a chat message.
        key: refuse requests with another key.
        refusals: number of the chat answer -> ``content_filter`` or ``refusal``.
        faults: number of the request after ``arm`` -> name of a fault, or None.
        usage: whether answers say how many tokens they cost.
    """

    def __init__(
        self,
        backend: CausalBackend,
        *,
        model: str = "tiny",
        echo: bool = True,
        prompt_logprobs: bool = False,
        top: int = 5,
        chat_form: bool = False,
        first: str = "scored",
        raw: bool = True,
        chat: bool = True,
        strict: bool = False,
        length: str = "max_tokens",
        key: str | None = None,
        refusals: Callable[[str], str | None] = lambda prompt: None,
        faults: Callable[[int], str | None] = lambda number: None,
        usage: bool = True,
        retry_after: str = "0.2",
    ) -> None:
        self.backend, self.model = backend, model
        self.echo, self.prompt_logprobs, self.top, self.chat_form = echo, prompt_logprobs, top, chat_form
        self.first, self.raw, self.chat, self.strict, self.length, self.key = first, raw, chat, strict, length, key
        self.refusals, self.faults, self.usage, self.retry_after = refusals, faults, usage, retry_after
        self.requests: list[dict[str, Any]] = []
        self.keys: set[str] = set()
        self.at_once = self.most_at_once = 0
        self.begun: list[float] = []
        self.injected: list[str] = []
        self._armed: int | None = None
        self._lock = threading.Lock()
        self._torch = threading.Lock()
        self._http = _Http(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __enter__(self) -> "LanguageServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def arm(self) -> None:
        """Begin to count requests for ``faults``, after the canaries."""
        self._armed = 0

    def next_fault(self) -> str | None:
        with self._lock:
            if self._armed is None:
                return None
            self._armed += 1
            fault = self.faults(self._armed - 1)
            if fault:
                self.injected.append(fault)
            return fault

    # what is answered

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if body.get("model") != self.model:
            return 404, {"error": {"message": f"no model {body.get('model')}"}}
        known = {"model", "prompt", "messages", "max_tokens", "temperature", "top_p", "seed", "logprobs", "echo"}
        if self.prompt_logprobs:
            known.add("prompt_logprobs")
        if self.strict and set(body) - known:
            return 422, {"detail": f"unexpected: {sorted(set(body) - known)}"}
        if path.endswith("/chat/completions") and self.chat:
            return self._chat(body)
        if path.endswith("/completions") and "chat" not in path and self.raw:
            return 200, self._complete(body)
        return 404, {"detail": "Not Found"}

    def _chat(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if self.length not in body:
            return 400, {"error": {"message": f"use '{self.length}'"}}
        prompt = body["messages"][-1]["content"]
        kind = self.refusals(prompt)
        message: dict[str, Any] = {"role": "assistant", "content": None}
        if kind == "refusal":
            message["refusal"] = "I cannot help with that."
        elif kind is None:
            message["content"] = self._generate(prompt, body, body[self.length], chat=True)
        reason = kind if kind == "content_filter" else "stop"
        return 200, self._whole({"message": message, "finish_reason": reason}, prompt, "chat.completion")

    def _complete(self, body: dict[str, Any]) -> dict[str, Any]:
        prompt = body["prompt"]
        said = self._generate(prompt, body, body.get("max_tokens", 16), chat=False)
        choice: dict[str, Any] = {"text": said, "finish_reason": "length", "logprobs": None}
        if body.get("echo") and self.echo:
            choice["text"] = prompt + said
            if body.get("logprobs") is not None:
                choice["logprobs"] = self._table(prompt)
        elif body.get("logprobs") and self.top:
            choice["logprobs"] = self._next(prompt, min(body["logprobs"], self.top))
        if "prompt_logprobs" in body and self.prompt_logprobs:
            pieces, values = self._tokens(prompt)
            choice["prompt_logprobs"] = [
                {str(i): {"logprob": value, "rank": 1, "decoded_token": piece}} if value is not None else None
                for i, (piece, value) in enumerate(zip(pieces, values, strict=True))
            ]
        return self._whole(choice, prompt, "text_completion")

    def _whole(self, choice: dict[str, Any], prompt: str, kind: str) -> dict[str, Any]:
        body = {"id": "x", "object": kind, "created": 1, "model": self.model, "choices": [{"index": 0, **choice}]}
        if self.usage:
            tokens = len(self.backend.encode(prompt).ids)
            body["usage"] = {"prompt_tokens": tokens, "completion_tokens": 1, "total_tokens": tokens + 1}
        return body

    def _generate(self, prompt: str, body: dict[str, Any], length: int, *, chat: bool) -> str:
        request = GenerateRequest(
            prompt=prompt,
            max_new_tokens=length,
            temperature=body.get("temperature", 1.0),
            top_p=body.get("top_p", 1.0),
            seed=body.get("seed", 0),
            chat=chat and bool(getattr(self.backend.tokenizer, "chat_template", None)),
        )
        with self._torch:
            (text,) = self.backend.generate([request])[0].texts
        assert text is not None
        return text

    def _tokens(self, text: str) -> tuple[list[str], list[float | None]]:
        """The tokens of a text as texts, and the backend's own log-probabilities of them."""
        backend = self.backend
        ids, start = backend.encode(text).ids, backend.start
        targets = tuple(range(0 if start else 1, len(ids)))
        query = Query(start + ids, tuple(t + len(start) - 1 for t in targets), tuple(ids[t] for t in targets))
        with self._torch:
            found = dict(zip(targets, backend.token_logprobs([query])[0], strict=True))
        places = backend.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        pieces, done = [], 0
        for i, (_, end) in enumerate(places):
            # of a character in several tokens only the last has a text
            whole = i + 1 == len(places) or places[i + 1][0] >= end
            pieces.append(text[done:end] if whole else "")
            done = max(done, end) if whole else done
        values = [found.get(i) for i in range(len(ids))]
        if self.first == "null":
            values[0] = None
        if self.first == "start":
            pieces, values = ["<s>", *pieces], [None, *values]
        return pieces, values

    def _table(self, prompt: str) -> dict[str, Any]:
        pieces, values = self._tokens(prompt)
        pieces, values = [*pieces, " x"], [*values, -1.0]
        offsets = [len("".join(pieces[:i])) for i in range(len(pieces))]
        return {"tokens": pieces, "token_logprobs": values, "text_offset": offsets, "top_logprobs": None}

    def _next(self, prompt: str, most: int) -> dict[str, Any]:
        ids = self.backend.start + self.backend.encode(prompt).ids
        with self._torch, torch.no_grad():
            table = self.backend.model(torch.tensor([ids])).logits[0, -1].double().log_softmax(-1)
        values, tokens = table.topk(most)
        rows = [(self.backend.tokenizer.decode([t]), v) for t, v in zip(tokens.tolist(), values.tolist(), strict=True)]
        if self.chat_form:
            top = [{"token": token, "logprob": value, "bytes": None} for token, value in rows]
            return {"content": [{**top[0], "top_logprobs": top}]}
        return {
            "tokens": [rows[0][0]],
            "token_logprobs": [rows[0][1]],
            "top_logprobs": [dict(rows)],
            "text_offset": [len(prompt)],
        }


def _handler(server: LanguageServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the log of the tests clean."""

        def do_POST(self) -> None:
            with server._lock:
                server.at_once += 1
                server.most_at_once = max(server.most_at_once, server.at_once)
                server.begun.append(time.monotonic())
            try:
                self._answer()
            finally:
                with server._lock:
                    server.at_once -= 1

        def _answer(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            key = self.headers.get("authorization", "").removeprefix("Bearer ")
            with server._lock:
                server.requests.append(body)
                server.keys.add(key)
            if server.key is not None and key != server.key:
                return self._send(401, {"error": {"message": f"Incorrect API key provided: {key}"}})
            fault = server.next_fault()
            if fault is None:
                return self._send(*server.answer(self.path, body))
            self._fail(fault, body, key)

        def _fail(self, fault: str, body: dict[str, Any], key: str) -> None:
            if fault == "hang":
                time.sleep(LONGEST_HANG_S)
                self.close_connection = True
            elif fault == "drop":
                self._hang_up()
            elif fault == "half":
                self._head(200, 1000)
                self.wfile.write(b'{"choices": [')
                self.wfile.flush()
                self._hang_up()
            elif fault == "drip":
                self._head(200, 100_000)
                until = time.monotonic() + LONGEST_HANG_S
                while time.monotonic() < until:
                    self.wfile.write(b" ")
                    self.wfile.flush()
                    time.sleep(0.05)
                self._hang_up()
            elif fault == "malformed":
                self._send(200, b'{"choices": [{"text": "cut')
            elif fault == "page":
                self._send(200, b"<html>a proxy</html>")
            elif fault in {"429", "500", "503", "400", "401"}:
                # servers quote what they were sent
                quoted = {"error": {"message": f"fault on purpose; your header was Bearer {key}", "key": key}}
                headers = {"Retry-After": server.retry_after} if fault == "429" else {}
                self._send(int(fault), quoted, headers)
            elif fault == "no logprobs":
                status, answer = server.answer(self.path, body)
                answer["choices"][0]["logprobs"] = None
                self._send(status, answer)
            elif fault == "key":
                status, answer = server.answer(self.path, body)
                answer["choices"][0]["text"] = f"You said {key}"
                self._send(status, answer)
            else:
                raise AssertionError(fault)

        def _hang_up(self) -> None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

        def _head(self, status: int, length: int, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(length))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()

        def _send(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self._head(status, len(data), headers)
            self.wfile.write(data)

    return Handler
