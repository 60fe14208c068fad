"""Likelihoods, fills and spans against a computation that takes one text and one token at a time."""

import copy
import math
from typing import Any

import pytest
import tiny
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from fairprint.audit.backends.causal import CausalBackend
from fairprint.audit.backends.hf import TransformersBackend
from fairprint.audit.backends.masked import MaskedBackend
from fairprint.audit.backends.packing import pack
from fairprint.audit.models import open_object
from fairprint.probes.errors import ModelError, RefusalError
from fairprint.probes.requests import FillRequest, GenerateRequest, LikelihoodRequest

SENTENCES = [
    "The nurse said that she would be late.",
    "The engineer said that he would be late.",
    "He was very kind.",
    "naïve café owners – “quoted” – sing",
    "  unbelievable   hypotheses ",
    "x",
]
LIKELIHOODS = [
    *(LikelihoodRequest(text=text) for text in SENTENCES),
    LikelihoodRequest(text="she would be late.", prefix="The nurse said that "),
    LikelihoodRequest(text=" she would be late.", prefix="The nurse said that"),
    LikelihoodRequest(text="lievable hypotheses", prefix="unbe"),
    LikelihoodRequest(text="The nurse said that she would be late.", spans=((4, 9), (20, 23), (0, 38), (9, 20))),
    LikelihoodRequest(text="He was very kind.", spans=((0, 2), (12, 16)), prefix="She was very clever! "),
]
FILLS = [
    FillRequest(before="The nurse said that ", after=" would be late.", candidates=("he", "she", "hypotheses")),
    FillRequest(before="He was very ", after=".", candidates=("kind", "clever", "unbelievable", "late")),
    FillRequest(before="He was very ", after="", candidates=("kind", "clever")),
]


# --- the independent computation -------------------------------------------------------------------------------------


def _members(tokenizer: Any, text: str, span: tuple[int, int], *, special: bool) -> tuple[list[int], list[int]]:
    """Ids of a text, and the tokens that own a non-blank character of the span; blank tokens go with the next one."""
    encoding = tokenizer._tokenizer.encode(text, add_special_tokens=special)
    owners: list[set[int]] = []
    for index in range(len(encoding.ids)):
        place = encoding.token_to_chars(index)
        characters = set(range(*place)) if place and not encoding.special_tokens_mask[index] else set()
        owners.append({c for c in characters if not text[c].isspace()})
    members = []
    for index, own in enumerate(owners):
        follow = index
        while not own and follow + 1 < len(owners) and not encoding.special_tokens_mask[index]:
            follow += 1
            if encoding.special_tokens_mask[follow]:
                break
            own = owners[follow]
        if own & set(range(*span)):
            members.append(index)
    return list(encoding.ids), members


def _logprobs(model: Any, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1)


def _masked_reference(model: Any, tokenizer: Any, text: str, span: tuple[int, int], *, rest: bool) -> float:
    ids, members = _members(tokenizer, text, span, special=True)
    total = 0.0
    for k, position in enumerate(members):
        hidden = members[k:] if rest else [position]
        row = [tokenizer.mask_token_id if i in hidden else t for i, t in enumerate(ids)]
        total += _logprobs(model, row)[position, ids[position]].item()
    return total


def _causal_reference(model: Any, tokenizer: Any, text: str, span: tuple[int, int], *, to_the_end: bool) -> float:
    ids, members = _members(tokenizer, text, span, special=False)
    if to_the_end:
        members = list(range(members[0], len(ids)))
    table = _logprobs(model, [tokenizer.bos_token_id, *ids])
    return sum(table[position, ids[position]].item() for position in members)


def _pair(kind: str, tokenizer_kind: str) -> tuple[Any, Any]:
    tokenizer = tiny.TOKENIZERS[tokenizer_kind]()
    if kind == "masked" and tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return {"masked": tiny.bert, "causal": tiny.gpt2}[kind](tokenizer), tokenizer


def _backend(kind: str, model: Any, tokenizer: Any, **options: Any) -> TransformersBackend:
    return {"masked": MaskedBackend, "causal": CausalBackend}[kind](
        copy.deepcopy(model), tokenizer, name="tiny", **options
    )


GRID = pytest.mark.parametrize(
    ("kind", "tokenizer_kind", "batch_size"),
    [(k, t, b) for k in ("masked", "causal") for t in tiny.TOKENIZERS for b in (1, 7, 64)],
)


@GRID
def test_likelihoods_and_spans_equal_a_computation_of_one_token_at_a_time(
    kind: str, tokenizer_kind: str, batch_size: int
) -> None:
    model, tokenizer = _pair(kind, tokenizer_kind)
    backend = _backend(kind, model, tokenizer, batch_size=batch_size)
    for request, response in zip(LIKELIHOODS, backend.likelihood(LIKELIHOODS), strict=True):
        joined = request.prefix + request.text
        for (start, end), score in zip(request.spans or ((0, len(request.text)),), response.spans, strict=True):
            span = (start + len(request.prefix), end + len(request.prefix))
            if kind == "masked":
                expected = _masked_reference(model, tokenizer, joined, span, rest=False)
            else:
                expected = _causal_reference(model, tokenizer, joined, span, to_the_end=False)
            assert score.logprob == pytest.approx(expected, rel=1e-6, abs=1e-5)


@GRID
def test_fills_equal_a_computation_of_one_token_at_a_time(kind: str, tokenizer_kind: str, batch_size: int) -> None:
    model, tokenizer = _pair(kind, tokenizer_kind)
    backend = _backend(kind, model, tokenizer, batch_size=batch_size)
    for request, response in zip(FILLS, backend.fill(FILLS), strict=True):
        own = []
        for candidate, score in zip(request.candidates, response.scores, strict=True):
            text = request.before + candidate + request.after
            span = (len(request.before), len(request.before) + len(candidate))
            if kind == "masked":
                expected = _masked_reference(model, tokenizer, text, span, rest=True)
                own.append(expected)
            else:
                expected = _causal_reference(model, tokenizer, text, span, to_the_end=True)
                own.append(_causal_reference(model, tokenizer, text, span, to_the_end=False))
            assert score.logprob == pytest.approx(expected, rel=1e-6, abs=1e-5)
        assert response.mass == pytest.approx(sum(map(math.exp, own)), abs=1e-5)


def test_the_tokenizers_of_this_test_split_words_and_have_lone_boundary_marks() -> None:
    pieces = {
        kind: make()("He was unbelievable–", add_special_tokens=False).tokens()
        for kind, make in tiny.TOKENIZERS.items()
    }
    assert any(piece.startswith("##") for piece in pieces["wordpiece"])
    assert any(piece.startswith("Ġ") for piece in pieces["byte-level BPE"])
    assert any(piece == "▁" for piece in tiny.unigram()("He was xylophonic", add_special_tokens=False).tokens())


@pytest.mark.parametrize("kind", ["masked", "causal"])
@settings(max_examples=25, deadline=None)
@given(texts=st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=12), tokens=st.integers(8, 200))
def test_the_answer_to_a_text_does_not_depend_on_its_company(kind: str, texts: list[str], tokens: int) -> None:
    model, tokenizer = _pair(kind, "wordpiece")
    requests = [LikelihoodRequest(text=text) for text in texts]
    together = _backend(kind, model, tokenizer, batch_tokens=tokens).likelihood(requests)
    alone = _backend(kind, model, tokenizer)
    for request, response in zip(requests, together, strict=True):
        # float32 sums of up to a hundred nats: their last digits depend on how a batch is laid out
        expected = alone.likelihood([request])[0].spans[0].logprob
        assert response.spans[0].logprob == pytest.approx(expected, rel=1e-6, abs=1e-5)


@pytest.mark.parametrize("kind", ["masked", "causal"])
def test_equal_requests_are_run_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = _pair(kind, "wordpiece")
    backend = _backend(kind, model, tokenizer)
    rows = []
    call = backend._call
    monkeypatch.setattr(backend, "_call", lambda **inputs: rows.append(inputs["input_ids"].numel()) or call(**inputs))
    backend.likelihood([LikelihoodRequest(text="He was very kind.")])
    once = sum(rows)
    backend.likelihood([LikelihoodRequest(text="He was very kind.")] * 5)
    assert sum(rows) == 2 * once


@pytest.mark.parametrize("kind", ["masked", "causal"])
def test_only_scored_positions_reach_the_head(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = _pair(kind, "wordpiece")
    backend = _backend(kind, model, tokenizer)
    assert backend._gather_hook.usable
    shapes = []
    call = backend._call
    monkeypatch.setattr(backend, "_call", lambda **inputs: (out := call(**inputs), shapes.append(tuple(out.shape)))[0])
    backend.likelihood([LikelihoodRequest(text="The nurse said that she would be late.", spans=((20, 23),))])
    scored = len(tokenizer("she", add_special_tokens=False).input_ids)
    assert shapes == [(1, scored, len(tokenizer))]


@pytest.mark.parametrize("kind", ["masked", "causal"])
def test_a_head_that_cannot_run_on_single_positions_gets_full_rows_and_says_so(kind: str) -> None:
    model, tokenizer = _pair(kind, "wordpiece")
    head = model.cls if kind == "masked" else model.lm_head

    def mixes_positions(module: Any, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        # with those before it alone, since a causal model must not see what follows
        return output + output.cumsum(dim=1)

    head.register_forward_hook(mixes_positions)
    backend = _backend(kind, model, tokenizer)
    assert not backend._gather_hook.usable
    assert any("full logits" in note for note in backend.notes())
    score = backend.likelihood([LikelihoodRequest(text="He was very kind.")])[0].spans[0]
    if kind == "causal":
        ids = tokenizer("He was very kind.", add_special_tokens=False).input_ids
        table = _logprobs(model, [tokenizer.bos_token_id, *ids[:-1]])
        expected = sum(table[i, token].item() for i, token in enumerate(ids))
    else:
        expected = _masked_reference(model, tokenizer, "He was very kind.", (0, 17), rest=False)
    assert score.logprob == pytest.approx(expected, rel=1e-6, abs=1e-5)


def test_texts_that_begin_alike_share_the_work_and_give_the_same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = _backend("causal", *_pair("causal", "wordpiece"))
    assert backend._packs_usable
    requests = [LikelihoodRequest(text=f"The nurse said that {word} late.") for word in ("he", "she", "he was", "keys")]
    tokens = []
    call = backend._call
    monkeypatch.setattr(backend, "_call", lambda **inputs: tokens.append(inputs["input_ids"].numel()) or call(**inputs))
    packed = [response.spans[0].logprob for response in backend.likelihood(requests)]
    shared = sum(tokens)
    backend._packs_usable = False
    plain = [response.spans[0].logprob for response in backend.likelihood(requests)]
    assert packed == pytest.approx(plain, rel=1e-6, abs=1e-5)
    assert shared < (sum(tokens) - shared) / 2


def test_a_model_that_ignores_positions_from_outside_is_run_text_by_text() -> None:
    model, tokenizer = _pair("causal", "wordpiece")
    forward = model.forward
    model.forward = lambda position_ids=None, **inputs: forward(**inputs)
    backend = CausalBackend(model, tokenizer, name="tiny")
    assert not backend._packs_usable
    text = "The nurse said that she would be late."
    expected = _causal_reference(model, tokenizer, text, (0, len(text)), to_the_end=False)
    found = backend.likelihood([LikelihoodRequest(text=text)])[0].spans[0].logprob
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-5)


def test_packs_hold_every_beginning_once_and_every_parent_before_its_child() -> None:
    packs = pack({(1, 2, 3): {4}, (1, 2): {3, 9}, (1, 2, 5, 6): {7}, (8,): {1}}, size=4)
    # texts that share two tokens of three and four stay together, even where the pack grows beyond its size
    assert [p.tokens for p in packs] == [(1, 2, 3, 5, 6), (8,)]
    assert [p.parents for p in packs] == [(-1, 0, 1, 1, 3), (-1,)]
    assert [p.depths for p in packs] == [(0, 1, 2, 2, 3), (0,)]
    assert sorted(key for p in packs for _, _, key in p.wanted) == [
        ((1, 2), 3),
        ((1, 2), 9),
        ((1, 2, 3), 4),
        ((1, 2, 5, 6), 7),
        ((8,), 1),
    ]
    assert [p.tokens for p in pack({(1, 2, 3): {4}, (1, 2, 5, 6): {7}}, size=9)] == [(1, 2, 3, 5, 6)]


@pytest.mark.parametrize("kind", ["masked", "causal"])
def test_running_out_of_memory_halves_the_batch_and_is_noted(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = _pair(kind, "wordpiece")
    requests = [LikelihoodRequest(text=text) for text in SENTENCES]
    expected = _backend(kind, model, tokenizer).likelihood(requests)
    backend = _backend(kind, model, tokenizer)
    call = backend._call

    def small(**inputs: torch.Tensor) -> torch.Tensor:
        if inputs["input_ids"].numel() > 30:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        return call(**inputs)

    monkeypatch.setattr(backend, "_call", small)
    for one, other in zip(backend.likelihood(requests), expected, strict=True):
        assert one.spans[0].logprob == pytest.approx(other.spans[0].logprob, rel=1e-6, abs=1e-5)
    assert any("halved" in note for note in backend.notes())


def test_one_text_that_does_not_fit_into_memory_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = _backend("causal", *_pair("causal", "wordpiece"))

    def none_fits(**inputs: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(backend, "_call", none_fits)
    with pytest.raises(ModelError, match="out of memory for one text"):
        backend.likelihood([LikelihoodRequest(text="He was very kind.")])


def test_other_failures_of_the_model_are_not_taken_for_a_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = _backend("causal", *_pair("causal", "wordpiece"))

    def broken(**inputs: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(backend, "_call", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        backend.likelihood([LikelihoodRequest(text="He was very kind.")])


@pytest.mark.parametrize("kind", ["masked", "causal"])
def test_a_text_longer_than_the_model_takes_has_no_score_and_says_why(kind: str) -> None:
    backend = _backend(kind, *_pair(kind, "wordpiece"))
    long = LikelihoodRequest(text="nurse " * 80)
    fine = LikelihoodRequest(text="He was very kind.")
    responses = backend.likelihood([long, fine])
    assert responses[0].spans[0].logprob is None
    assert "the model takes 64" in responses[0].spans[0].note
    assert responses[1].spans[0].logprob is not None


@pytest.mark.parametrize("kind", ["masked", "causal"])
def test_a_span_without_tokens_has_no_score_and_says_why(kind: str) -> None:
    backend = _backend(kind, *_pair(kind, "wordpiece"))
    empty, blank = backend.likelihood([LikelihoodRequest(text=""), LikelihoodRequest(text="a b", spans=((1, 2),))])
    assert empty.spans[0].logprob is None
    assert blank.spans[0].logprob is None
    assert blank.spans[0].note == "no token covers this text"


@pytest.mark.parametrize("kind", ["masked", "causal"])
def test_a_candidate_that_the_tokenizer_does_not_know_has_no_score_and_the_fill_no_mass(kind: str) -> None:
    backend = _backend(kind, *_pair(kind, "wordpiece"))
    response = backend.fill([FillRequest(before="He was very ", after=".", candidates=("kind", "친절"))])[0]
    assert response.scores[0].logprob is not None
    assert response.scores[1].logprob is None
    assert "does not know" in response.scores[1].note
    assert response.mass is None


@pytest.mark.parametrize("kind", ["masked", "causal"])
def test_unknown_tokens_in_a_likelihood_are_told(kind: str) -> None:
    backend = _backend(kind, *_pair(kind, "wordpiece"))
    score = backend.likelihood([LikelihoodRequest(text="He was 친절 kind.")])[0].spans[0]
    assert score.logprob is not None
    assert "unknown to the tokenizer" in score.note


def test_without_a_start_token_the_first_token_is_not_scored_and_the_record_says_so() -> None:
    tokenizer = tiny.byte_bpe()
    tokenizer.bos_token = tokenizer.eos_token = None
    model = tiny.gpt2(tiny.byte_bpe())
    backend = _backend("causal", model, tokenizer)
    assert backend.notes() == ("the tokenizer has no start token: the first token of a text is not scored",)
    score = backend.likelihood([LikelihoodRequest(text="He was very kind.")])[0].spans[0]
    ids = tokenizer("He was very kind.").input_ids
    table = _logprobs(model, ids)
    expected = sum(table[i - 1, ids[i]].item() for i in range(1, len(ids)))
    assert score.logprob == pytest.approx(expected, rel=1e-6, abs=1e-5)
    assert score.tokens == len(ids) - 1
    assert score.note == "the first token is not scored"
    first = backend.fill([FillRequest(before="", after=" was kind.", candidates=("He", "She"))])[0]
    assert [s.logprob for s in first.scores] == [None, None]
    assert "start token" in first.scores[0].note


def test_openai_gpt_with_its_own_tokenizer_scores_all_tokens_but_the_first() -> None:
    pieces = sorted({character + end for text in SENTENCES for character in text.lower() for end in ("", "</w>")})
    merges = [("s", "h"), ("sh", "e</w>"), ("l", "a"), ("la", "t"), ("lat", "e</w>")]
    vocabulary = {piece: n for n, piece in enumerate(["<unk>", *pieces, *("".join(pair) for pair in merges)])}
    tokenizer = transformers.OpenAIGPTTokenizer(vocab=vocabulary, merges=merges)
    assert tokenizer.bos_token_id is tokenizer.eos_token_id is None
    torch.manual_seed(0)
    settings = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64, "initializer_range": 0.3}
    model = transformers.OpenAIGPTLMHeadModel(transformers.OpenAIGPTConfig(vocab_size=len(tokenizer), **settings))
    for batch_size in (1, 7, 64):
        backend = open_object(copy.deepcopy(model).eval(), tokenizer, batch_size=batch_size).backend
        assert backend.notes() == ("the tokenizer has no start token: the first token of a text is not scored",)
        for text, response in zip(
            SENTENCES, backend.likelihood([LikelihoodRequest(text=t) for t in SENTENCES]), strict=True
        ):
            ids = tokenizer(text).input_ids
            expected = sum(_logprobs(model.eval(), ids)[i - 1, ids[i]].item() for i in range(1, len(ids)))
            score = response.spans[0]
            if len(ids) == 1:
                assert (score.logprob, score.note) == (None, "the first token is not scored")
            else:
                assert score.logprob == pytest.approx(expected, rel=1e-6, abs=1e-5)
                assert (score.tokens, score.note) == (len(ids) - 1, "the first token is not scored")
    assert tokenizer.tokenize("She would be late") == [
        "she</w>",
        *(f"{c}" for c in "woul"),
        "d</w>",
        "b",
        "e</w>",
        "late</w>",
    ]


def test_without_a_bos_token_the_eos_token_comes_first() -> None:
    tokenizer = tiny.byte_bpe()
    tokenizer.bos_token = None
    backend = _backend("causal", tiny.gpt2(tiny.byte_bpe()), tokenizer)
    assert backend.start == (tokenizer.eos_token_id,)
    assert backend.notes() == ()


def test_generation_is_repeatable_by_its_seed_and_ignores_the_checkpoint_s_own_settings() -> None:
    model, tokenizer = _pair("causal", "byte-level BPE")
    backend = _backend("causal", model, tokenizer)
    request = GenerateRequest(prompt="He was", max_new_tokens=8, samples=3, seed=1)
    before = torch.random.get_rng_state()
    first = backend.generate([request])[0]
    assert torch.equal(torch.random.get_rng_state(), before)
    backend.model.generation_config.repetition_penalty = 5.0
    assert backend.generate([request])[0] == first
    assert backend.model.generation_config.repetition_penalty == 5.0
    assert len(set(first.texts)) > 1
    assert backend.generate([GenerateRequest(prompt="He was", max_new_tokens=8, samples=3, seed=2)])[0] != first


def test_greedy_generation_takes_the_most_probable_token_each_time() -> None:
    model, tokenizer = _pair("causal", "byte-level BPE")
    ids = [tokenizer.bos_token_id, *tokenizer("He was").input_ids]
    for _ in range(5):
        ids.append(int(_logprobs(model, ids)[-1].argmax()))
    expected = tokenizer.decode(ids[-5:], skip_special_tokens=True)
    request = GenerateRequest(prompt="He was", max_new_tokens=5, temperature=0)
    assert _backend("causal", model, tokenizer).generate([request])[0].texts == (expected,)


def test_a_generation_that_cannot_be_honoured_is_refused() -> None:
    backend = _backend("causal", *_pair("causal", "byte-level BPE"))
    with pytest.raises(RefusalError, match="one continuation"):
        backend.generate([GenerateRequest(prompt="He", temperature=0, samples=2)])
    with pytest.raises(RefusalError, match="the model takes 64"):
        backend.generate([GenerateRequest(prompt="He", max_new_tokens=100)])


def test_a_masked_model_refuses_to_generate_and_says_what_it_answers() -> None:
    backend = _backend("masked", *_pair("masked", "wordpiece"))
    with pytest.raises(RefusalError, match="tiny cannot answer 'generate'; it answers: likelihood, fill"):
        backend.generate([GenerateRequest(prompt="He")])


def test_a_tokenizer_that_does_not_say_which_characters_a_token_covers_is_refused() -> None:
    class Slow:
        is_fast = False

    with pytest.raises(ModelError, match="fast one is needed"):
        MaskedBackend(None, Slow(), name="old")
