"""What a likelihood can be asked token by token, the most probable words of a slot, and what each backend refuses."""

import copy
import math
from typing import Any

import pytest
import test_backends as reference
import test_crows_pairs as benchmarks
import tiny
import torch
import transformers
from servers import LanguageServer
from tiny_seq2seq import t5, tokenizer_of

from fairprint.audit.backends.causal import CausalBackend
from fairprint.audit.backends.masked import MaskedBackend
from fairprint.audit.backends.seq2seq import Seq2SeqBackend
from fairprint.audit.models import open_model
from fairprint.audit.runner import audit
from fairprint.audit.sources import find_model
from fairprint.probes.errors import RefusalError
from fairprint.probes.requests import Backend, FillRequest, LikelihoodRequest, SpanScore

SHE, HE = "The nurse said that she would be late.", "The nurse said that he would be late."
BESIDE = [
    LikelihoodRequest(text=SHE, beside=HE, tokens="shared"),
    LikelihoodRequest(text=SHE, beside=HE, tokens="differing"),
    LikelihoodRequest(text=HE, beside=SHE, beside_first=True, tokens="shared"),
]
ASKED: dict[str, list[LikelihoodRequest]] = {
    "masked": [
        *reference.LIKELIHOODS,
        *BESIDE,
        *(LikelihoodRequest(text=SHE, masking=masking) for masking in ("word", "first", "none")),
        LikelihoodRequest(text=SHE, beside=HE, tokens="shared", masking="word"),
        LikelihoodRequest(text=SHE, beside=HE, tokens="differing", masking="none"),
    ],
    "causal": [*reference.LIKELIHOODS, *BESIDE, LikelihoodRequest(text=SHE, start_for="first")],
}


def masked(name: str = "bert", **options: Any) -> MaskedBackend:
    model, tokenizer = benchmarks.family(name)
    return MaskedBackend(copy.deepcopy(model), tokenizer, name="tiny", **options)


def causal(**options: Any) -> CausalBackend:
    model, tokenizer = benchmarks.family("gpt2")
    return CausalBackend(copy.deepcopy(model), tokenizer, name="tiny", **options)


def spans(backend: Backend, *requests: LikelihoodRequest) -> list[SpanScore]:
    return [span for response in backend.likelihood(requests) for span in response.spans]


# --- tokens one by one -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ASKED)
def test_the_log_probabilities_of_the_tokens_sum_to_that_of_their_span(kind: str) -> None:
    found = spans(masked() if kind == "masked" else causal(), *ASKED[kind])
    assert sum(len(score.each) > 1 for score in found) > 10
    for score in found:
        assert score.logprob == math.fsum(score.each)
        assert score.tokens == len(score.each)


def test_encoder_decoders_and_servers_give_the_log_probabilities_of_the_tokens_as_well() -> None:
    tokenizer = tokenizer_of("T5")
    (target,) = spans(Seq2SeqBackend(t5(tokenizer), tokenizer, name="t5"), LikelihoodRequest(source=HE, text=SHE))
    assert target.tokens == len(target.each) == len(tokenizer(SHE).input_ids)
    assert target.logprob == math.fsum(target.each)
    local = causal()
    with LanguageServer(local) as server:
        (served,) = spans(open_model(find_model(f"openai:tiny@{server.url}")).backend, LikelihoodRequest(text=SHE))
    (here,) = spans(local, LikelihoodRequest(text=SHE))
    assert served.each == pytest.approx(here.each, abs=1e-4)


@pytest.mark.parametrize("kind", ASKED)
def test_batches_of_any_size_give_the_same_answers(kind: str) -> None:
    make = masked if kind == "masked" else causal
    one, seven, many = ([s.logprob for s in spans(make(batch_size=size), *ASKED[kind])] for size in (1, 7, 64))
    assert one == pytest.approx(many, abs=1e-5)
    assert seven == pytest.approx(many, abs=1e-5)


@pytest.mark.parametrize("kind", ASKED)
def test_shared_and_differing_tokens_are_all_tokens_and_none_twice(kind: str) -> None:
    every, shared, differing, *_ = spans(
        masked() if kind == "masked" else causal(), LikelihoodRequest(text=SHE), *BESIDE
    )
    assert differing.tokens >= 1
    assert sorted(every.each) == pytest.approx(sorted((*shared.each, *differing.each)), abs=1e-5)


def test_a_comparison_holds_within_each_span_and_after_the_prefix() -> None:
    backend = masked()
    start = SHE.index("she")
    word, before = (
        LikelihoodRequest(text=SHE, beside=HE, tokens="differing", spans=((start, start + 3), (0, start))),
        (
            LikelihoodRequest(
                text=SHE[start:], beside=HE[start:], tokens="differing", prefix=SHE[:start], spans=((0, 3),)
            )
        ),
    )
    own, none, same = spans(backend, word, before)
    assert own.tokens >= 1
    assert (none.logprob, none.note) == (None, "no token differs from the other text")
    assert same == own


def test_what_no_token_is_left_of_has_no_score_and_says_why() -> None:
    requests = [
        LikelihoodRequest(text=SHE, beside=SHE, tokens="differing"),
        LikelihoodRequest(text="He", beside="keys", tokens="shared"),
        LikelihoodRequest(text="", beside=HE, tokens="shared"),
    ]
    for backend in (masked("roberta"), causal()):
        found = [(score.logprob, score.note) for score in spans(backend, *requests)]
        assert found == [
            (None, "no token differs from the other text"),
            (None, "no token is shared with the other text"),
            (None, "no token is shared with the other text"),
        ]


def test_a_causal_model_without_a_start_token_leaves_out_the_first_token_either_way() -> None:
    tokenizer = tiny.byte_bpe()
    tokenizer.bos_token = tokenizer.eos_token = None
    backend = CausalBackend(tiny.gpt2(tiny.byte_bpe()), tokenizer, name="tiny")
    usual, first = spans(backend, LikelihoodRequest(text=SHE), LikelihoodRequest(text=SHE, start_for="first"))
    assert usual == first
    assert usual.note == "the first token is not scored"


def test_a_text_that_is_too_long_has_no_score_however_it_is_asked_about() -> None:
    long = "nurse " * 80
    for request in (
        LikelihoodRequest(text=long, masking="first"),
        LikelihoodRequest(text=long, masking="none"),
        LikelihoodRequest(text=long, beside=SHE, tokens="shared"),
    ):
        (score,) = spans(masked(), request)
        assert score.logprob is None
        assert "tokens; the model takes" in score.note
    (named,) = masked().fill([FillRequest(before=long, after="", top=3)])
    assert (named.words, named.mass) == ((), None)
    assert "tokens; the model takes" in named.scores[0].note


# --- the most probable words of a slot -------------------------------------------------------------------------------

SLOTS = [("The nurse said that ", " would be late."), ("", " was very kind."), ("He was very ", "")]


def whole_words(name: str, before: str) -> list[tuple[str, int]]:
    """The pieces that are words as the vocabulary of a family marks them, special tokens left out."""
    _, tokenizer = benchmarks.family(name)
    words = []
    for piece, index in tokenizer.get_vocab().items():
        if index in tokenizer.all_special_ids:
            continue
        if name == "bert":
            word = "" if piece.startswith("##") else piece
        elif name == "albert":
            # a piece that the tokenizer never writes, since two others are likelier to it, is no word of the model
            written = tokenizer(piece[1:], add_special_tokens=False).input_ids == [index]
            word = piece[1:] if piece.startswith("▁") and written else ""
        else:
            raw = bytes(UNICODE_TO_BYTE[character] for character in piece)
            text = raw.decode("utf-8", errors="replace")
            glued = text[1:] if text.startswith(" ") else ""
            word = "" if "�" in text else glued if before else ("" if text.startswith(" ") else text)
        if any(character.isalnum() for character in word):
            words.append((word, index))
    return words


def _unicode_to_byte() -> dict[str, int]:
    """What byte-level tokenizers write for each byte: printable ones stand for themselves (Radford et al. 2019)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + n): byte for n, byte in enumerate(others)}


UNICODE_TO_BYTE = _unicode_to_byte()


@pytest.mark.parametrize("batch_size", [1, 64])
@pytest.mark.parametrize("name", benchmarks.MASKED)
def test_the_most_probable_words_are_those_of_a_mask_in_the_slot(name: str, batch_size: int) -> None:
    model, tokenizer = benchmarks.family(name)
    top = 12
    requests = [FillRequest(before=before, after=after, top=top) for before, after in SLOTS]
    for request, response in zip(requests, masked(name, batch_size=batch_size).fill(requests), strict=True):
        words = whole_words(name, request.before)
        ids, members = reference._members(
            tokenizer,
            request.before + "late" + request.after,
            (len(request.before), len(request.before) + 4),
            special=True,
        )
        row = [*ids[: members[0]], tokenizer.mask_token_id, *ids[members[-1] + 1 :]]
        table = reference._logprobs(model, row)[members[0]]
        best = sorted(words, key=lambda entry: -table[entry[1]].item())[:top]
        assert response.words == tuple(word for word, _ in best)
        values = [table[index].item() for _, index in best]
        assert [score.logprob for score in response.scores] == pytest.approx(values, abs=1e-5)
        assert response.mass == pytest.approx(math.fsum(map(math.exp, values)), abs=1e-5)
        assert {(score.tokens, score.each) for score in response.scores} == {(1, (s.logprob,)) for s in response.scores}


@pytest.mark.parametrize("name", benchmarks.MASKED)
def test_a_word_that_is_named_has_the_score_that_it_has_as_a_candidate(name: str) -> None:
    backend = masked(name)
    before, after = SLOTS[0]
    (named,) = backend.fill([FillRequest(before=before, after=after, top=5)])
    (scored,) = backend.fill([FillRequest(before=before, after=after, candidates=named.words)])
    assert [s.logprob for s in scored.scores] == pytest.approx([s.logprob for s in named.scores], abs=1e-5)
    assert scored.mass == pytest.approx(named.mass, abs=1e-5)


def test_named_words_and_candidates_are_answered_in_the_order_of_their_requests() -> None:
    before, after = SLOTS[0]
    named, scored = FillRequest(before=before, after=after, top=3), reference.FILLS[0]
    backend = masked()
    together = backend.fill([named, scored, named])
    assert together[0] == together[2] == backend.fill([named])[0]
    assert together[1] == backend.fill([scored])[0]


def test_a_vocabulary_with_fewer_words_than_are_asked_for_names_them_all() -> None:
    backend = masked()
    (response,) = backend.fill([FillRequest(before="He was very ", after=".", top=1000)])
    assert len(response.words) == len(response.scores) == len(whole_words("bert", "He was very "))


def test_without_weights_slots_are_counted_and_get_blank_words() -> None:
    backend = masked(dry=True)
    (response,) = backend.fill([FillRequest(before="He was very ", after=".", top=4)])
    assert response.words == ("",) * 4
    assert backend.counted == len(backend.encode("He was very [MASK].").ids)


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("masking", ["word", "first", "none"])
def test_only_masked_models_mask(masking: Any) -> None:
    tokenizer = tokenizer_of("T5")
    request = LikelihoodRequest(text=SHE, masking=masking)
    expected = f"masks no token: each is given all tokens before it, and masking '{masking}'"
    with pytest.raises(RefusalError, match=expected):
        causal().likelihood([request])
    with pytest.raises(RefusalError, match=expected):
        Seq2SeqBackend(t5(tokenizer), tokenizer, name="t5").likelihood([request])
    with LanguageServer(causal()) as server, pytest.raises(RefusalError, match=expected):
        open_model(find_model(f"openai:tiny@{server.url}")).backend.likelihood([request])


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (BESIDE[0], "does not compare them with another text's"),
        (LikelihoodRequest(text=SHE, beside=HE), "does not compare them with another text's"),
        (LikelihoodRequest(text=SHE, start_for="first"), "no start token that could be left out"),
    ],
)
def test_encoder_decoders_and_servers_refuse_what_they_cannot_honour(
    request_: LikelihoodRequest, expected: str
) -> None:
    tokenizer = tokenizer_of("T5")
    with pytest.raises(RefusalError, match=expected):
        Seq2SeqBackend(t5(tokenizer), tokenizer, name="t5").likelihood([request_])
    with LanguageServer(causal()) as server, pytest.raises(RefusalError, match=expected):
        open_model(find_model(f"openai:tiny@{server.url}")).backend.likelihood([request_])


def test_models_that_mask_nothing_name_no_words_for_a_slot() -> None:
    request = FillRequest(before="He was very ", after=".", top=3)
    tokenizer = tokenizer_of("T5")
    with pytest.raises(RefusalError, match="it is no masked language model"):
        causal().fill([request])
    with pytest.raises(RefusalError, match="it is no masked language model"):
        Seq2SeqBackend(t5(tokenizer), tokenizer, name="t5").fill([request])
    with LanguageServer(causal()) as server, pytest.raises(RefusalError, match="it is no masked language model"):
        open_model(find_model(f"openai:tiny@{server.url}")).backend.fill([request])


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (LikelihoodRequest(text=SHE, tokens="shared"), "tokens that are shared, without a text to compare with"),
        (LikelihoodRequest(text=SHE, beside=HE), "given a text to compare with, and asked for all tokens"),
        (LikelihoodRequest(text=SHE, source=HE), "no encoder for the source"),
    ],
)
def test_requests_that_contradict_themselves_are_refused(request_: LikelihoodRequest, expected: str) -> None:
    for backend in (masked(), causal()):
        with pytest.raises(RefusalError, match=expected):
            backend.likelihood([request_])


def test_a_masked_model_refuses_what_it_cannot_honour() -> None:
    backend = masked()
    with pytest.raises(RefusalError, match="reads both sides of a token"):
        backend.likelihood([LikelihoodRequest(text=SHE, start_for="first")])
    with pytest.raises(RefusalError, match="masking 'first' is for all tokens of a span"):
        backend.likelihood([LikelihoodRequest(text=SHE, beside=HE, tokens="shared", masking="first")])
    with pytest.raises(RefusalError, match="not both at once"):
        backend.fill([FillRequest(before="", after="", candidates=("he",), top=2)])


# --- which way was taken ---------------------------------------------------------------------------------------------


def test_a_record_says_that_packed_rows_were_taken_and_checked(tmp_path: Any) -> None:
    model, tokenizer = benchmarks.family("gpt2")
    record = audit(model, ["he-was-very"], tokenizer=tokenizer, store=tmp_path, limit=40)
    assert [note for note in record.notes if "rows" in note] == [
        "likelihoods were computed in packed rows, where texts that begin alike share the work; in a check at load "
        "these gave the log-probabilities of plain rows to 0.0001"
    ]


def test_before_anything_is_asked_there_is_no_note_of_rows() -> None:
    assert causal().notes() == ()
    dry = causal(dry=True)
    dry.likelihood([LikelihoodRequest(text=SHE)])
    assert dry.notes() == ()


def test_a_model_whose_attention_has_a_window_is_run_in_plain_rows_and_says_why() -> None:
    tokenizer = tiny.wordpiece()
    torch.manual_seed(0)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2}
    size |= {"intermediate_size": 64, "vocab_size": len(tokenizer), "max_position_embeddings": 64}
    config = transformers.MistralConfig(**size, sliding_window=4, initializer_range=0.3, pad_token_id=0)
    model = transformers.MistralForCausalLM(config).eval()
    backend = CausalBackend(copy.deepcopy(model), tokenizer, name="tiny")
    (score,) = spans(backend, LikelihoodRequest(text=SHE))
    expected = reference._causal_reference(model, tokenizer, SHE, (0, len(SHE)), to_the_end=False)
    assert score.logprob == pytest.approx(expected, abs=1e-5)
    assert backend.notes() == (
        "likelihoods were computed in plain rows, one for each text: attention reaches back 4 tokens only, and packed "
        "rows, which move tokens apart, could silently change that",
    )


def test_a_model_that_packed_rows_change_is_run_in_plain_rows_and_says_by_how_much() -> None:
    model, tokenizer = benchmarks.family("gpt2")
    model = copy.deepcopy(model)
    forward = model.forward
    model.forward = lambda position_ids=None, **inputs: forward(**inputs)
    backend = CausalBackend(model, tokenizer, name="tiny")
    spans(backend, LikelihoodRequest(text=SHE))
    (note,) = backend.notes()
    assert note.startswith("likelihoods were computed in plain rows, one for each text: in a check at load, packed")
    assert float(note.rpartition(" ")[2]) > 1e-4


def test_a_pack_that_memory_does_not_hold_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = causal()

    def none_fits(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(backend, "_run_packs", none_fits)
    (score,) = spans(backend, LikelihoodRequest(text=SHE))
    (plain,) = spans(causal(), LikelihoodRequest(text=SHE))
    assert score.logprob == pytest.approx(plain.logprob, abs=1e-5)
    assert backend.notes() == ("memory did not hold some packed rows: their texts were computed in plain rows",)
