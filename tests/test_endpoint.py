"""Models behind servers: equal to the local backend where the server tells enough, and honest where it does not."""

import contextlib
import copy
import logging
import os
import re
import subprocess
import sys
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from servers import LanguageServer

from fairprint.audit.backends.causal import CausalBackend
from fairprint.audit.backends.endpoint import EndpointBackend
from fairprint.audit.backends.endpoint_answers import align, chat_answer, continuation, echoed, next_tokens, of_prompt
from fairprint.audit.backends.endpoint_client import retry_after
from fairprint.audit.backends.endpoint_requests import Failure
from fairprint.audit.models import Opened, open_model
from fairprint.audit.runner import audit
from fairprint.audit.sources import find_model
from fairprint.audit.store import Store
from fairprint.probes.catalog import own_set
from fairprint.probes.errors import ModelError, RefusalError, UsageError
from fairprint.probes.requests import EmbedRequest, FillRequest, GenerateRequest, LikelihoodRequest, SpanScore

KEY = "sk-not-a-real-key-0123456789abcdef"
QUICK = {"back_off_s": 0.01, "timeout_s": 0.4, "patience_s": 4.0}
TEXTS = ["The nurse said that she would be late.", "naïve café owners – “quoted” – sing", "  unbelievable  hypotheses"]
LIKELIHOODS = [
    *(LikelihoodRequest(text=text) for text in TEXTS),
    LikelihoodRequest(text=" she would be late.", prefix="The nurse said that"),
    LikelihoodRequest(text="lievable hypotheses", prefix="unbe"),
    LikelihoodRequest(text=TEXTS[0], spans=((4, 9), (20, 23), (0, 38), (9, 20), (3, 4))),
    LikelihoodRequest(text=TEXTS[1], spans=((2, 3), (6, 10), (18, 19))),
    LikelihoodRequest(text="성별 고정관념", prefix="naïve "),
]
FILLS = [
    FillRequest(before="The nurse said that ", after=" would be late.", candidates=("he", "she", "hypotheses")),
    FillRequest(before="He was very ", after=".", candidates=("kind", "naïve", "unbelievable")),
    FillRequest(before="", after=" was very kind.", candidates=("He", "She")),
    FillRequest(before="He was very ", after="", candidates=("kind", "clever")),
]
SCORING = {
    "echo": {},
    "echo after a start token": {"first": "start"},
    "prompt_logprobs": {"echo": False, "prompt_logprobs": True, "first": "start"},
}


@pytest.fixture(scope="module")
def local() -> CausalBackend:
    tokenizer = tiny.byte_bpe()
    return CausalBackend(tiny.gpt2(tokenizer), tokenizer, name="tiny")


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OPENAI_")]:
        monkeypatch.delenv(name)


def opened(server: LanguageServer, **limits: Any) -> Opened:
    return open_model(find_model(f"openai:{server.model}@{server.url}"), **limits)


def behind(server: LanguageServer, **limits: Any) -> EndpointBackend:
    backend = opened(server, **limits).backend
    assert isinstance(backend, EndpointBackend)
    return backend


def equal(scores: tuple[SpanScore, ...], expected: tuple[SpanScore, ...]) -> bool:
    return [(s.logprob is None, s.tokens, s.note) for s in scores] == [
        (e.logprob is None, e.tokens, e.note) for e in expected
    ] and all(
        s.logprob == pytest.approx(e.logprob, abs=1e-4) for s, e in zip(scores, expected, strict=True) if s.logprob
    )


def known(value: float | None) -> float:
    assert value is not None
    return value


# --- the same numbers as the local backend ----------------------------------------------------------------------------


@pytest.mark.parametrize("way", SCORING)
def test_a_server_that_scores_given_text_gives_the_likelihoods_and_fills_of_the_local_backend(
    way: str, local: CausalBackend
) -> None:
    with LanguageServer(local, **SCORING[way]) as server:
        backend = behind(server)
        likelihoods, fills = backend.likelihood(LIKELIHOODS), backend.fill(FILLS)

    assert backend.answers() == ("likelihood", "fill", "generate")
    for got, expected in zip(likelihoods, local.likelihood(LIKELIHOODS), strict=True):
        assert equal(got.spans, expected.spans)
    for filled, wanted in zip(fills, local.fill(FILLS), strict=True):
        assert equal(filled.scores, wanted.scores)
        assert filled.mass == pytest.approx(wanted.mass, rel=1e-4)


def test_a_first_token_without_a_score_is_left_out_and_told(local: CausalBackend) -> None:
    text, first = "The nurse said that she would be late.", local.encode("The nurse said").ranges[0]
    assert first is not None
    whole, rest = LikelihoodRequest(text=text), LikelihoodRequest(text=text, spans=(first, (first[1], len(text))))
    with LanguageServer(local, first="null") as server:
        backend = behind(server)
        (got,), (begin, end) = (r.spans for r in backend.likelihood([whole, rest]))
        fill = backend.fill([FillRequest(before="", after=" was kind.", candidates=("He",))])[0]

    expected = local.likelihood([rest])[0].spans
    assert begin.logprob is None and begin.note == "the first token is not scored"
    assert got.logprob == pytest.approx(expected[1].logprob, abs=1e-4)
    assert got.note == "the first token is not scored" and end.note == ""
    assert got.tokens == end.tokens == expected[1].tokens
    assert fill.scores[0].logprob is None and "slot begins the text" in fill.scores[0].note
    assert fill.mass is None


@pytest.mark.parametrize("chat_form", [False, True])
def test_next_tokens_alone_give_a_word_its_own_probability_and_no_score_to_improbable_words(
    chat_form: bool, local: CausalBackend
) -> None:
    for before in ("He was very", "The nurse said that", "She would", "could he", "talk about", "sing twice", "She"):
        ids = torch.tensor([local.start + local.encode(before).ids])
        table = local.model(ids).logits[0, -1].double().log_softmax(-1)
        tokens = [(local.tokenizer.decode([t]), table[t].item()) for t in table.topk(20).indices.tolist()]
        words = {token[1:]: value for token, value in tokens if re.fullmatch(r" [a-z]+", token)}
        if len(words) > 1:
            break
    assert len(words) > 1
    request = FillRequest(before=f"{before} ", after=".", candidates=(*words, "unbelievable"))
    ends = FillRequest(before=f"{before} ", after="", candidates=tuple(words))
    with LanguageServer(local, echo=False, top=20, chat_form=chat_form) as server:
        backend = behind(server)
        response, at_the_end, nothing_before = backend.fill([request, ends, FILLS[2]])

    assert backend.answers() == ("fill", "generate")
    for value, score in zip(words.values(), response.scores, strict=False):
        assert score.logprob == pytest.approx(value, abs=1e-5) and score.tokens == 1
        assert score.note == "the word's own token alone: the server gives no probability of the text after it"
    assert response.scores[-1].logprob is None and "most probable next tokens" in response.scores[-1].note
    assert response.mass is None
    assert [score.note for score in at_the_end.scores] == [""] * len(words)
    assert at_the_end.mass == pytest.approx(known(local.fill([ends])[0].mass), rel=1e-4)
    assert {score.note for score in nothing_before.scores} == {"no text stands before the slot"}
    assert any("no random choice" in note for note in backend.notes())


def test_a_whole_audit_of_a_server_gives_the_estimates_of_the_local_model(tmp_path: Path) -> None:
    texts = [variant.text for item in own_set("gendered-occupations").items for variant in item.variants]
    tokenizer = tiny.words(texts)
    model = tiny.gpt2(tokenizer)
    with LanguageServer(CausalBackend(model, tokenizer, name="tiny")) as server:
        given = f"openai:tiny@{server.url}"
        record = audit(given, ["gendered-occupations"], store=tmp_path, limit=80, server_limits={"timeout_s": 30})
    expected = audit(model, ["gendered-occupations"], tokenizer=tokenizer, store=tmp_path, limit=80)

    assert len(record.estimates) == len(expected.estimates) > 10
    for got, wanted in zip(record.estimates, expected.estimates, strict=True):
        assert (got.metric, got.scope, got.items, got.missing) == (
            wanted.metric,
            wanted.scope,
            wanted.items,
            wanted.missing,
        )
        for field in ("value", "low", "high"):
            assert getattr(got, field) == pytest.approx(getattr(wanted, field), abs=1e-3), (got.metric, field)
    info = record.plan.model
    assert (info.name, info.kind, info.parameters, info.revision) == (given, "endpoint", None, None)
    assert any("weights, revision and type of numbers are unknown" in note for note in info.notes)
    assert any("the energy of the server is not metered" in warning for warning in record.footprint.warnings)
    assert any("requests to the server" in note and "tokens" in note for note in record.notes)


# --- what a server can do is found out -------------------------------------------------------------------------------


def test_a_server_that_ignores_log_probabilities_is_found_out_and_refuses_with_what_it_can_do(
    local: CausalBackend, tmp_path: Path
) -> None:
    with LanguageServer(local, echo=False, top=0) as server:
        backend = behind(server)
        assert backend.answers() == ("generate",)
        for ask in (lambda: backend.likelihood(LIKELIHOODS), lambda: backend.fill(FILLS)):
            with pytest.raises(RefusalError, match="it answers: generate") as refused:
                ask()
            assert "echo: missing log-probabilities" in str(refused.value.hint)
        with pytest.raises(RefusalError, match="cannot answer 'embed'; it answers: generate"):
            backend.embed([EmbedRequest(text="x")])
        with pytest.raises(UsageError) as unasked:
            audit(f"openai:tiny@{server.url}", ["gendered-occupations"], store=tmp_path)

    assert "echo: missing log-probabilities" in str(unasked.value.hint)
    assert not list(tmp_path.iterdir())


def test_a_server_that_is_strict_about_options_is_asked_without_them(local: CausalBackend) -> None:
    with LanguageServer(local, strict=True) as server:
        assert behind(server).answers() == ("likelihood", "fill", "generate")
    with LanguageServer(local, strict=True, echo=False, top=0) as server:
        backend = behind(server)
        assert backend.answers() == ("generate",)
        assert "prompt_logprobs: HTTP 422" in backend.notes()[1]


def test_the_answer_to_a_chat_message_and_to_raw_text_are_two_abilities(local: CausalBackend) -> None:
    chat = GenerateRequest(prompt="Say yes.", temperature=0, chat=True)
    raw = GenerateRequest(prompt="He was", temperature=0)
    with LanguageServer(local, raw=False, length="max_completion_tokens") as server:
        backend = behind(server)
        assert (
            backend.generate([chat])[0].texts
            == local.generate([GenerateRequest(prompt="Say yes.", temperature=0)])[0].texts
        )
        with pytest.raises(RefusalError, match="answers chat messages only"):
            backend.generate([raw])
        assert "chat messages: the server puts them into a template" in " ".join(backend.notes())
    with LanguageServer(local, chat=False) as server:
        backend = behind(server)
        assert backend.generate([raw])[0].texts == local.generate([raw])[0].texts
        with pytest.raises(RefusalError, match="answers raw text only"):
            backend.generate([chat])


def test_a_field_that_a_server_cannot_honour_is_refused(local: CausalBackend) -> None:
    with LanguageServer(local) as server:
        backend = behind(server)
        for request in (LikelihoodRequest(text="x", source="y"), LikelihoodRequest(text="x", languages=("en", "de"))):
            with pytest.raises(RefusalError, match="takes no source"):
                backend.likelihood([request])
        with pytest.raises(RefusalError, match="temperature 0"):
            backend.generate([GenerateRequest(prompt="x", temperature=0, samples=2)])


def test_samples_are_asked_one_by_one_with_seeds_of_their_own(local: CausalBackend) -> None:
    request = GenerateRequest(prompt="He was", samples=3, temperature=0.7, top_p=0.9, seed=5, max_new_tokens=6)
    with LanguageServer(local) as server:
        backend = behind(server)
        first, again = backend.generate([request]), backend.generate([request])
        bodies = [body for body in server.requests if "seed" in body][:3]

    assert first == again and len(set(first[0].texts)) > 1
    assert sorted(body["seed"] for body in bodies) == [5, 6, 7]
    assert all((b["temperature"], b["top_p"], b["max_tokens"]) == (0.7, 0.9, 6) for b in bodies)
    assert any("may ignore the seed" in note for note in backend.notes())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model": "another"}, "answers nothing as the model 'tiny'.*no model tiny"),
        ({"key": KEY + "x"}, "refuses the key"),
        ({"raw": False, "chat": False}, "answers nothing"),
    ],
)
def test_a_server_that_can_do_nothing_is_an_error_in_its_own_words(
    given: dict[str, Any], said: str, local: CausalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with LanguageServer(local, **given) as server, pytest.raises(ModelError, match=said) as failed:
        open_model(find_model(f"openai:tiny@{server.url}"), **QUICK)
    assert KEY not in f"{failed.value} {failed.value.hint}"


def test_no_server_is_an_error_that_names_the_address() -> None:
    with pytest.raises(ModelError, match=r"no answer from http://127.0.0.1:9/v1: no connection"):
        open_model(find_model("openai:m@http://127.0.0.1:9/v1"), **QUICK)


def test_without_the_openai_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(ModelError, match="needs the package openai") as failed:
        open_model(find_model("openai:m@http://127.0.0.1:9/v1"))
    assert failed.value.hint == "pip install 'fairprint[endpoint]'"


# --- faults ----------------------------------------------------------------------------------------------------------

FAULTS = {
    "429": "HTTP 429",
    "500": "HTTP 500",
    "503": "HTTP 503",
    "hang": "time-out",
    "drip": "time-out",
    "drop": "dropped connection",
    "half": "dropped connection",
    "malformed": "malformed answer",
    "page": "malformed answer",
    "no logprobs": "missing log-probabilities",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_after_a_fault_the_request_is_repeated_and_nothing_is_lost(fault: str, local: CausalBackend) -> None:
    requests = [LikelihoodRequest(text=f"He was very kind {n}.") for n in range(6)]
    with LanguageServer(local, faults=lambda n: fault if n in (0, 3) else None) as server:
        backend = behind(server, **QUICK)
        server.arm()
        responses = backend.likelihood(requests)

    assert server.injected == [fault, fault]
    for got, expected in zip(responses, local.likelihood(requests), strict=True):
        assert equal(got.spans, expected.spans)
    tally = backend.model.tally
    assert dict(tally.failed) == {FAULTS[fault]: 2} and not tally.unanswered
    assert (tally.asked, tally.answered) == (6, 6)
    assert f"2 attempts failed ({FAULTS[fault]}: 2)" in " ".join(backend.notes())


def test_all_faults_together_lose_nothing_and_each_is_counted(local: CausalBackend) -> None:
    cycle = [*FAULTS, None, None, None]
    requests = [LikelihoodRequest(text=f"He was very kind {n}.") for n in range(24)]
    with LanguageServer(local, faults=lambda n: cycle[n % len(cycle)], retry_after="0.05") as server:
        backend = behind(server, back_off_s=0.01, timeout_s=0.3, patience_s=30, retries=30)
        server.arm()
        responses = backend.likelihood(requests)

    for got, expected in zip(responses, local.likelihood(requests), strict=True):
        assert equal(got.spans, expected.spans)
    counts: dict[str, int] = {}
    for fault in server.injected:
        counts[FAULTS[fault]] = counts.get(FAULTS[fault], 0) + 1
    assert dict(backend.model.tally.failed) == counts
    assert backend.model.tally.answered == 24


@pytest.mark.parametrize(
    ("fault", "kind"), [("400", "HTTP 400"), ("500", "HTTP 500"), ("malformed", "malformed answer")]
)
def test_a_request_that_fails_for_good_is_an_absent_answer_with_the_reason(
    fault: str, kind: str, local: CausalBackend
) -> None:
    bad = "hypotheses"
    with LanguageServer(local) as server:
        plain = server.answer
        backend = behind(server, **QUICK, retries=2)
        server.faults = lambda n: fault if bad in server.requests[-1].get("prompt", "") else None
        server.arm()
        texts = ["He was very kind.", f"He was very {bad}."]
        good, failed = (
            r.spans[0]
            for r in backend.likelihood([LikelihoodRequest(text=t) for t in texts[:1]] + [])
            + backend.likelihood([LikelihoodRequest(text=texts[1])])
        )
        filled = backend.fill([FillRequest(before="He was very ", after=".", candidates=(bad,))])[0]
        answer = backend.generate([GenerateRequest(prompt=bad)])[0]
        assert server.answer == plain

    assert good.logprob is not None
    assert failed.logprob is None and failed.tokens == 0 and failed.note.startswith(kind)
    assert filled.mass is None and filled.scores[0].note.startswith(kind)
    assert answer.texts == (None,) and answer.note.startswith(kind)
    attempts = 1 if fault == "400" else 3
    assert backend.model.tally.failed[kind] == 3 * attempts and backend.model.tally.unanswered[kind] == 3
    assert f"3 without an answer ({kind}: 3)" in " ".join(backend.notes())


def test_retry_after_is_honoured_by_all_requests(local: CausalBackend) -> None:
    requests = [LikelihoodRequest(text=f"He was very kind {n}.") for n in range(8)]
    with LanguageServer(local, faults=lambda n: "429" if n == 0 else None, retry_after="0.7") as server:
        backend = behind(server, **QUICK | {"timeout_s": 5}, batch_size=1)
        server.arm()
        began = len(server.begun)
        backend.likelihood(requests)
        first, second = server.begun[began : began + 2]

    assert second - first >= 0.69


def test_the_time_of_a_server_that_never_answers_is_bounded_and_the_error_says_how_to_go_on(
    local: CausalBackend,
) -> None:
    requests = [LikelihoodRequest(text=f"He was very kind {n}.") for n in range(100)]
    with LanguageServer(local, faults=lambda n: "hang") as server:
        backend = behind(server, back_off_s=0.01, timeout_s=0.2, patience_s=0.5, batch_size=4, give_up_after=6)
        server.arm()
        began = time.monotonic()
        with pytest.raises(ModelError, match="6 requests in a row were not answered; the last: time-out") as failed:
            backend.likelihood(requests)

    # two rounds of four requests, each 0.5 s at the most and one more time-out
    assert time.monotonic() - began < 2 * (0.5 + 0.2) + 1
    assert "--resume" in str(failed.value.hint)


def test_the_time_for_all_requests_is_bounded(local: CausalBackend) -> None:
    requests = [LikelihoodRequest(text=f"He was very kind {n}.") for n in range(40)]
    with LanguageServer(local) as server:
        backend = behind(server, total_s=1.5, requests_per_s=10)
        began = time.monotonic()
        with pytest.raises(ModelError, match=r"the time for all requests to .* \(1.5 s\) is over"):
            backend.likelihood(requests)
    assert time.monotonic() - began < 3


def test_requests_are_bounded_in_number_and_rate_come_back_in_order_and_are_sent_once(local: CausalBackend) -> None:
    requests = [LikelihoodRequest(text=f"He was very kind {n % 20}.") for n in range(40)]
    with LanguageServer(local) as server:
        backend = behind(server, batch_size=3, requests_per_s=40)
        before = len(server.begun)
        responses = backend.likelihood(requests)
        begun = server.begun[before:]

    assert len(begun) == 20
    assert server.most_at_once <= 3
    assert begun[-1] - begun[0] >= 19 / 40 * 0.9
    for got, expected in zip(responses, local.likelihood(requests), strict=True):
        assert equal(got.spans, expected.spans)


def test_refusals_are_recorded_outcomes(local: CausalBackend) -> None:
    kinds = {"a": "refusal", "b": "content_filter", "c": None}
    with LanguageServer(local, refusals=kinds.get) as server:
        backend = behind(server)
        found = backend.generate([GenerateRequest(prompt=p, chat=True, temperature=0) for p in "abc"])

    assert [r.texts[0] is None for r in found] == [True, True, False]
    assert [r.note for r in found] == ["refused: I cannot help with that.", "refused: content_filter", ""]
    assert "2 answers were refused by the server or the model" in backend.notes()
    assert not backend.model.tally.unanswered


def test_answers_without_a_count_of_tokens_are_told(local: CausalBackend) -> None:
    with LanguageServer(local, usage=False) as server:
        backend = behind(server)
        backend.likelihood(LIKELIHOODS[:2])
    assert "(2 answers came without a count)" in " ".join(backend.notes())
    assert backend.counted == 0


def test_a_run_that_lost_its_server_goes_on_and_ends_like_one_that_did_not(tmp_path: Path, few_draws: None) -> None:
    asked_sets = ["gendered-occupations", "gendered-names"]  # each is a shard
    texts = [variant.text for name in asked_sets for item in own_set(name).items for variant in item.variants]
    tokenizer = tiny.words(texts)
    limits = {"back_off_s": 0.01, "retries": 0, "give_up_after": 3}
    with LanguageServer(CausalBackend(tiny.gpt2(tokenizer), tokenizer, name="tiny")) as server:
        given = f"openai:tiny@{server.url}"
        whole = audit(given, asked_sets, store=tmp_path / "whole", limit=60, server_limits=limits)
        asked = len(server.requests)
        server.faults = lambda n: "drop" if n > asked - 60 else None
        server.arm()
        with pytest.raises(ModelError, match="in a row were not answered"):
            audit(given, asked_sets, store=tmp_path / "lost", limit=60, server_limits=limits)
        server.faults = lambda n: None
        (run,) = Store(tmp_path / "lost").runs()
        assert not run.finished and 0 < len(run.shard_names()) < len(whole.scores)
        resumed = audit(given, asked_sets, store=tmp_path / "lost", limit=60, server_limits=limits, resume=True)

    assert resumed.run_id == run.run_id
    for got, wanted in zip(resumed.estimates, whole.estimates, strict=True):
        assert got.value == pytest.approx(wanted.value, abs=1e-3)


# --- the key ---------------------------------------------------------------------------------------------------------


def test_the_key_is_sent_and_taken_out_of_all_that_comes_back(
    local: CausalBackend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    faults = ["key", "400", "500", "401"]
    with LanguageServer(local, faults=lambda n: faults[n] if n < 4 else None) as server:
        backend = behind(server, **QUICK, retries=0)
        server.arm()
        prompts = [GenerateRequest(prompt=p, temperature=0) for p in ("a", "b", "c", "d")]
        answers = [backend.generate([prompt])[0] for prompt in prompts]

    assert server.keys == {KEY}
    assert answers[0].texts == ("You said [key]",)
    assert answers[1].note == "HTTP 400: fault on purpose; your header was Bearer [key]"
    assert answers[3].note == "HTTP 401"
    everything = f"{answers} {backend.notes()} {backend.info()} {vars(backend)} {vars(backend.model)} {caplog.text}"
    assert KEY not in everything


def test_a_key_that_no_header_can_hold_is_an_error_that_does_not_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-geheimnis\u20ac")
    with pytest.raises(UsageError, match="cannot be sent") as failed:
        open_model(find_model("openai:m@http://127.0.0.1:9/v1"))
    assert "geheimnis" not in f"{failed.value} {failed.value.hint} {failed.value.__cause__}"


def test_no_file_and_no_output_of_an_audit_with_faults_holds_the_key(tmp_path: Path) -> None:
    texts = [variant.text for item in own_set("gendered-occupations").items for variant in item.variants]
    tokenizer = tiny.words(texts)
    cycle = ["500", "429", "malformed", "no logprobs", "drop", "400", "401", None, None, None, None, None]
    backend = CausalBackend(tiny.gpt2(tokenizer), tokenizer, name="tiny")
    with LanguageServer(backend, faults=lambda n: None if n < 8 else cycle[n % len(cycle)]) as server:
        server.arm()
        done = subprocess.run(
            [
                Path(sys.executable).with_name("fairprint"),
                *("audit", f"openai:tiny@{server.url}", "--probes", "gendered-occupations", "--limit", "20"),
                *("--report", "report.html", "--record", "answers.jsonl", "--verbose", "--requests-per-second", "200"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            env=os.environ | {"OPENAI_API_KEY": KEY, "OPENAI_LOG": "debug", "HF_HUB_OFFLINE": "1"},
        )

    assert done.returncode == 0, done.stderr
    assert server.keys == {KEY} and len(server.injected) > 12
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) > 5
    assert [file for file in files if KEY.encode() in file.read_bytes()] == []
    assert KEY not in done.stdout and KEY not in done.stderr
    assert "number of parameters not known" in done.stdout
    record = Store(tmp_path / "fairprint-runs").runs()[0].record()
    assert any(re.search(r"HTTP 400: \d", note) for note in record.notes)
    assert any(estimate.missing for estimate in record.estimates)
    assert "the energy of the server is not metered" in (tmp_path / "report.html").read_text(encoding="utf-8")


# --- small parts -----------------------------------------------------------------------------------------------------


def test_a_model_behind_a_server_is_named_with_its_address() -> None:
    source = find_model("openai:org/some-model:7b@https://example.org:8443/v1/")
    assert (source.location, source.endpoint) == ("org/some-model:7b", "https://example.org:8443/v1")
    assert source.name == "openai:org/some-model:7b@https://example.org:8443/v1"
    assert not source.is_hub_id


@pytest.mark.parametrize(
    "given",
    [
        "openai:m@http://user:geheim@host/v1",
        "openai:m@http://geheim@host/v1",
        "openai:m@https://host/v1?key=geheim",
        "openai:m@https://host/v1#geheim",
        "openai:m@ftp://user:geheim@host",
        "openai:geheim",
        "openai:@http://host/v1",
        "openai:m@http://",
        "openai:m@http://host:port/v1",
        "openai:m@http://ho st/v1",
    ],
)
def test_an_address_that_cannot_be_used_or_holds_secrets_is_refused_without_being_shown(given: str) -> None:
    with pytest.raises(UsageError) as failed:
        find_model(given)
    assert "geheim" not in f"{failed.value} {failed.value.hint}"
    assert "openai:MODEL@http://127.0.0.1:8000/v1" in str(failed.value.hint)


@pytest.mark.parametrize("limits", [{"batch_size": 0}, {"timeout_s": 0}, {"requests_per_s": float("nan")}])
def test_limits_that_make_no_sense_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="expected"):
        open_model(find_model("openai:m@http://127.0.0.1:9/v1"), **limits)


@pytest.mark.parametrize(
    ("tokens", "offsets", "expected"),
    [
        (["The", " naïve", " owner", "."], None, [(0, 3), (4, 9), (10, 15), (15, 16)]),
        (["▁The", "▁na", "ïve", "▁", "owner", "."], None, [(0, 3), (4, 6), (6, 9), (9, 9), (10, 15), (15, 16)]),
        (["The", "naïve", "owner", "."], None, [(0, 3), (4, 9), (10, 15), (15, 16)]),
        (["The", " na", "bytes:\\xc3", "bytes:\\xaf", "ve owner."], None, [(0, 3), (4, 6), (6, 7), (6, 7), (7, 16)]),
        (["The", " na", "", "ïve", " owner."], None, [(0, 3), (4, 6), (6, 6), (6, 9), (10, 16)]),
        (["The", " na", "\ufffd", "\ufffd", "ve owner."], [0, 3, 6, 6, 7], [(0, 3), (4, 6), (6, 7), (6, 7), (7, 16)]),
        (["The", " na", "\ufffd", "\ufffd", "ve owner."], None, None),
        (["The", " naïve", " owner", ".", " And", " more"], None, [(0, 3), (4, 9), (10, 15), (15, 16)]),
        (["The", " naive", " owner", "."], None, None),
        (["The", " naïve"], None, None),
        (["<s>", "The", " naïve", " owner", "."], None, None),
        ([], None, None),
    ],
)
def test_tokens_are_laid_over_their_text_in_all_forms_that_servers_use(
    tokens: list[str], offsets: list[int] | None, expected: list[tuple[int, int]] | None
) -> None:
    assert align("The naïve owner.", tokens, offsets) == expected


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_characters="▁\ufffd", exclude_categories=("Cs",)), min_size=1), min_size=1)
)
def test_the_pieces_of_a_text_cover_it_without_gap_or_overlap(pieces: list[str]) -> None:
    text = "".join(pieces)
    ranges = align(text, [*pieces, "generated"])
    if not text.strip():
        assert ranges == []
        return
    assert ranges is not None
    covered = [i for start, end in ranges for i in range(start, end) if not text[i].isspace()]
    assert covered == [i for i, character in enumerate(text) if not character.isspace()]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.sampled_from(["", "The", " end", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("text", "message", "content", "refusal", "finish_reason", "logprobs", "tokens", "token_logprobs"),
                    *("text_offset", "top_logprobs", "prompt_logprobs", "logprob", "decoded_token", "token", "usage"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(JSON, JSON)
def test_an_answer_of_any_shape_is_read_or_is_a_failure(choice: Any, other: Any) -> None:
    readers = (
        partial(echoed, text="The end"),
        partial(of_prompt, text="The end"),
        next_tokens,
        continuation,
        chat_answer,
    )
    for body in ({"choices": [choice]}, {"choices": choice, "prompt_logprobs": other}, {"other": other}):
        for read in readers:
            with contextlib.suppress(Failure):
                read(body)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0),
        ("0.5", 0.5),
        ("-1", 0.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 40.0),
        ("soon", None),
        ("inf", None),
        (None, None),
    ],
)
def test_a_server_says_in_seconds_or_as_a_date_how_long_to_wait(header: str | None, seconds: float | None) -> None:
    assert retry_after({} if header is None else {"retry-after": header}, now=60.0) == seconds


# --- chat with real weights ------------------------------------------------------------------------------------------

QUESTIONS = ["What is the capital of France?", "Who is late, the nurse or the engineer?", "Say hello in Korean."]


def test_a_chat_message_stands_in_the_chat_template_and_the_record_says_so(smollm2: Opened) -> None:
    backend: Any = smollm2.backend
    tokenizer, model = backend.tokenizer, backend.model
    assert not any("template" in note for note in backend.notes())
    raw = backend.generate([GenerateRequest(prompt=QUESTIONS[0], temperature=0, max_new_tokens=12)])[0]
    assert not any("template" in note for note in backend.notes())
    said = backend.generate([GenerateRequest(prompt=QUESTIONS[0], temperature=0, max_new_tokens=12, chat=True)])[0]

    message = [{"role": "user", "content": QUESTIONS[0]}]
    ids = tokenizer.apply_chat_template(message, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    out = model.generate(**ids, do_sample=False, max_new_tokens=12)
    expected = tokenizer.decode(out[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)
    assert said.texts == (expected,) and "Paris" in expected
    assert raw.texts != said.texts
    assert any(
        re.fullmatch(r"prompts were put into .* chat template \(sha256 \w{12}\.\.\.\)", n) for n in backend.notes()
    )


@pytest.mark.parametrize("way", ["echo", "prompt_logprobs"])
def test_a_server_with_real_weights_gives_the_numbers_of_the_local_backend(way: str, smollm2: Opened) -> None:
    backend: Any = smollm2.backend
    likelihoods = [
        LikelihoodRequest(text=t) for t in ("The nurse said that he would be late.", "성별 고정관념 – naïve")
    ]
    fills = [FillRequest(before="The nurse said that ", after=" would be late.", candidates=("he", "she"))]
    with LanguageServer(backend, **SCORING[way]) as server:
        served = behind(server)
        scores = [*served.likelihood(likelihoods), *served.fill(fills)]

    expected = [*backend.likelihood(likelihoods), *backend.fill(fills)]
    for got, wanted in zip(scores, expected, strict=True):
        found, local = ((x.scores if hasattr(x, "scores") else x.spans) for x in (got, wanted))
        assert [s.tokens for s in found] == [s.tokens for s in local]
        assert [s.logprob for s in found] == pytest.approx([s.logprob for s in local], abs=1e-3)


def test_a_model_without_a_chat_template_refuses_chat(local: CausalBackend) -> None:
    with pytest.raises(RefusalError, match="no chat template; it answers prompts as raw text"):
        local.generate([GenerateRequest(prompt="x", chat=True)])


@pytest.mark.slow
@pytest.mark.skipif(find_spec("fastapi") is None or find_spec("uvicorn") is None, reason="needs: fairprint[serve]")
def test_the_answers_of_transformers_serve_are_those_of_the_local_backend(smollm2: Opened, tmp_path: Path) -> None:
    backend: Any = smollm2.backend
    _save_as_safetensors(backend, tmp_path / "smollm2")
    requests = [GenerateRequest(prompt=q, temperature=0, max_new_tokens=24, chat=True) for q in QUESTIONS]
    port = _free_port()
    with (tmp_path / "log").open("w") as log:
        command = [Path(sys.executable).with_name("transformers"), "serve", "smollm2", "--port", str(port)]
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--dtype", "float32"],
            cwd=tmp_path,
            stdout=log,
            stderr=log,
            env=os.environ | {"HF_HUB_OFFLINE": "1"},
        )
        try:
            _wait_for(port, process)
            served = open_model(find_model(f"openai:smollm2@http://127.0.0.1:{port}/v1"), batch_size=1)
            answers = [response.texts[0] for response in served.backend.generate(requests)]
        finally:
            process.terminate()
            process.wait(30)

    assert answers == [response.texts[0] for response in backend.generate(requests)]
    assert "Paris" in str(answers[0])
    assert served.backend.answers() == ("generate",)
    assert "echo: missing log-probabilities" in served.info.notes[1]
    assert "prompt_logprobs: HTTP 422" in served.info.notes[1]


def _save_as_safetensors(backend: CausalBackend, folder: Path) -> None:
    """Save a model that came as GGUF: transformers saves no model that remembers its quantisation."""
    config = copy.deepcopy(backend.model.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = type(backend.model)(config)
    plain.load_state_dict(backend.model.state_dict())
    plain.save_pretrained(folder)
    backend.tokenizer.save_pretrained(folder)
    assert list(folder.glob("*.safetensors"))


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: "subprocess.Popen[bytes]", seconds: float = 120) -> None:
    import urllib.request

    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError("transformers serve did not start")
