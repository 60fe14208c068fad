"""Encoder-decoder models against plain forward passes of one target at a time, and what they refuse."""

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
import transformers as hf
from tiny_seq2seq import SENTINELS, SOURCES, TARGETS, bart, marian, marian_tokenizer, saved, t5, tokenizer_of

from fairprint.audit.backends.causal import CausalBackend
from fairprint.audit.backends.masked import MaskedBackend
from fairprint.audit.backends.seq2seq import EncoderDecoderBackend, Seq2SeqBackend, TranslationBackend
from fairprint.audit.models import fingerprint, open_model, open_object, outline
from fairprint.audit.sources import find_model, target_language
from fairprint.probes.errors import ModelError, RefusalError
from fairprint.probes.requests import (
    ClassifyRequest,
    EmbedRequest,
    FillRequest,
    GenerateRequest,
    LikelihoodRequest,
)

PAIRS = [(source, target) for source in SOURCES for target in TARGETS]
WHOLE = [LikelihoodRequest(source=source, text=target) for source, target in PAIRS]
PARTS = [
    LikelihoodRequest(
        source=SOURCES[0], text="The nurse said that she would be late.", spans=((4, 9), (0, 38), (9, 20))
    ),
    LikelihoodRequest(source=SOURCES[1], text="He was very kind.", spans=((0, 2),), prefix="She was very clever! "),
]
FILLS = [
    FillRequest(before="The nurse said that ", after=" would be late.", candidates=("he", "she", "hypotheses")),
    FillRequest(before="He was very ", after=" owners", candidates=("kind", "clever", "unbelievable", "late")),
    FillRequest(before="He was very ", after="", candidates=("kind", "clever")),
]


pytestmark = pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")


@pytest.fixture(scope="session")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return marian_tokenizer(tmp_path_factory.mktemp("pieces") / "marian")


@pytest.fixture(scope="session")
def made(pieces: Any) -> Callable[[str], tuple[Any, Any]]:
    """Model and tokenizer of a family, by its name."""

    def make(name: str) -> tuple[Any, Any]:
        tokenizer = pieces if name == "Marian" else tokenizer_of(name)
        return {"T5": t5, "BART": bart, "Marian": marian}[name](tokenizer), tokenizer

    return make


def backend_of(name: str, model: Any, tokenizer: Any, **options: Any) -> EncoderDecoderBackend:
    kind = TranslationBackend if name == "Marian" else Seq2SeqBackend
    return kind(copy.deepcopy(model), tokenizer, name="tiny", **options)


# --- the independent computation -------------------------------------------------------------------------------------


def table(model: Any, source: list[int], labels: list[int]) -> list[float]:
    """Log-probability of each label: one plain forward pass with labels."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([source]), labels=torch.tensor([labels])).logits[0]
    found = logits.double().log_softmax(-1)
    return [found[position, label].item() for position, label in enumerate(labels)]


def labels_of(name: str, tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text_target=text).input_ids) if name == "Marian" else list(tokenizer(text).input_ids)


def whole(name: str, model: Any, tokenizer: Any, source: str, target: str) -> float:
    found = table(model, tokenizer(source).input_ids, labels_of(name, tokenizer, target))
    # BART's first label is the token that begins every target
    return sum(found[1:] if name == "BART" else found)


def owners(tokenizer: Any, text: str, span: tuple[int, int]) -> list[int]:
    """Indices of the tokens that own a non-blank character of a span; tokens of blanks alone go with the next one."""
    encoding = tokenizer._tokenizer.encode(text)
    found: list[int] = []
    waiting: list[int] = []
    for index in range(len(encoding.ids)):
        place = encoding.token_to_chars(index)
        if encoding.special_tokens_mask[index] or not place:
            continue
        own = {c for c in range(*place) if not text[c].isspace()}
        waiting.append(index)
        if own:
            found += waiting if own & set(range(*span)) else []
            waiting = []
    return found


FAMILIES = pytest.mark.parametrize("name", ["T5", "BART", "Marian"])
BATCHES = pytest.mark.parametrize("batch_size", [1, 7, 64])
DENOISERS = pytest.mark.parametrize("name", ["T5", "BART"])


# --- likelihood ------------------------------------------------------------------------------------------------------


@FAMILIES
@BATCHES
def test_whole_targets_equal_a_plain_forward_pass_of_one_target_at_a_time(
    name: str, batch_size: int, made: Callable[[str], tuple[Any, Any]]
) -> None:
    model, tokenizer = made(name)
    expected = [whole(name, model, tokenizer, source, target) for source, target in PAIRS]
    answers = backend_of(name, model, tokenizer, batch_size=batch_size).likelihood(WHOLE)
    assert [answer.spans[0].logprob for answer in answers] == pytest.approx(expected, abs=1e-5)
    lengths = [len(labels_of(name, tokenizer, target)) - (name == "BART") for _, target in PAIRS]
    assert [answer.spans[0].tokens for answer in answers] == lengths
    assert len({round(value, 5) for value in expected}) == len(PAIRS)


@DENOISERS
@BATCHES
def test_spans_and_what_follows_a_prefix_equal_the_same_pass(
    name: str, batch_size: int, made: Callable[[str], tuple[Any, Any]]
) -> None:
    model, tokenizer = made(name)
    for request, answer in zip(
        PARTS, backend_of(name, model, tokenizer, batch_size=batch_size).likelihood(PARTS), strict=True
    ):
        text = request.prefix + request.text
        found = table(model, tokenizer(request.source).input_ids, tokenizer(text).input_ids)
        for (start, end), score in zip(request.spans or (), answer.spans, strict=True):
            tokens = owners(tokenizer, text, (start + len(request.prefix), end + len(request.prefix)))
            assert score.logprob == pytest.approx(sum(found[t] for t in tokens), abs=1e-5)
            assert score.tokens == len(tokens) > 0


@DENOISERS
def test_the_end_of_a_target_is_scored_with_the_whole_and_not_with_a_span(
    name: str, made: Callable[[str], tuple[Any, Any]]
) -> None:
    model, tokenizer = made(name)
    text = "He was very kind."
    backend = backend_of(name, model, tokenizer)
    asked = [
        LikelihoodRequest(source="x", text=text),
        LikelihoodRequest(source="x", text=text, spans=((0, len(text)),)),
        LikelihoodRequest(source="x", text="very kind.", prefix="He was "),
    ]
    all_of_it, without_end, rest = (answer.spans[0].logprob for answer in backend.likelihood(asked))
    found = table(model, tokenizer("x").input_ids, tokenizer(text).input_ids)
    assert all_of_it is not None
    assert all_of_it - without_end == pytest.approx(found[-1], abs=1e-5)
    before = owners(tokenizer, text, (0, 6))
    assert all_of_it - rest == pytest.approx(sum(found[t] for t in before), abs=1e-5)


@pytest.mark.parametrize(
    ("config", "model"),
    [
        (hf.MT5Config, hf.MT5ForConditionalGeneration),
        (hf.UMT5Config, hf.UMT5ForConditionalGeneration),
        (hf.LongT5Config, hf.LongT5ForConditionalGeneration),
    ],
)
def test_relatives_of_t5_answer_as_a_plain_forward_pass_does(config: type, model: type) -> None:
    tokenizer = tokenizer_of("T5")
    relative = t5(tokenizer, config, model, tie_word_embeddings=False)
    backend = open_object(copy.deepcopy(relative), tokenizer).backend
    expected = [whole("T5", relative, tokenizer, source, target) for source, target in PAIRS]
    assert [a.spans[0].logprob for a in backend.likelihood(WHOLE)] == pytest.approx(expected, abs=1e-5)


@FAMILIES
def test_the_encoder_runs_once_for_each_distinct_source(name: str, made: Callable[[str], tuple[Any, Any]]) -> None:
    model, tokenizer = made(name)
    backend = backend_of(name, model, tokenizer, batch_size=2)
    rows: list[int] = []
    decoded: list[int] = []
    backend.model.get_encoder().register_forward_hook(lambda _, args, out: rows.append(len(out[0])))
    call = backend._call
    backend._call = lambda **inputs: decoded.append(len(inputs["decoder_input_ids"])) or call(**inputs)  # type: ignore[method-assign]
    backend.likelihood([*WHOLE, *WHOLE])
    assert sum(rows) == len(SOURCES)
    assert sum(decoded) == len(PAIRS)
    assert max(rows + decoded) <= 2


@FAMILIES
def test_only_scored_positions_reach_the_head(name: str, made: Callable[[str], tuple[Any, Any]]) -> None:
    model, tokenizer = made(name)
    backend = backend_of(name, model, tokenizer)
    assert backend._gather_hook.usable
    assert backend.notes() == ()
    seen: list[int] = []
    backend.model.get_output_embeddings().register_forward_hook(
        lambda _, args, out: seen.append(out.shape[:-1].numel())
    )
    backend.likelihood(WHOLE)
    assert sum(seen) == sum(len(labels_of(name, tokenizer, target)) - (name == "BART") for _, target in PAIRS)


@FAMILIES
def test_a_head_that_cannot_run_on_single_positions_gets_full_rows_and_says_so(
    name: str, made: Callable[[str], tuple[Any, Any]]
) -> None:
    model, tokenizer = made(name)
    model.get_output_embeddings().register_forward_hook(lambda _, args, out: out + 0.1 * out.cumsum(dim=1))
    backend = backend_of(name, model, tokenizer)
    assert not backend._gather_hook.usable
    assert any("full logits" in note for note in backend.notes())
    expected = [whole(name, model, tokenizer, source, target) for source, target in PAIRS]
    assert [a.spans[0].logprob for a in backend.likelihood(WHOLE)] == pytest.approx(expected, abs=1e-5)


@FAMILIES
def test_running_out_of_memory_halves_the_batches_of_sources_and_of_targets(
    name: str, made: Callable[[str], tuple[Any, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = made(name)
    expected = backend_of(name, model, tokenizer).likelihood(WHOLE)
    backend = backend_of(name, model, tokenizer)
    call, encode = backend._call, backend._encoded

    def small(run: Callable[..., Any], rows: Callable[..., int]) -> Callable[..., Any]:
        def limited(*args: Any, **inputs: Any) -> Any:
            if rows(*args, **inputs) > 1:
                raise torch.OutOfMemoryError("out of memory")
            return run(*args, **inputs)

        return limited

    monkeypatch.setattr(backend, "_call", small(call, lambda **inputs: len(inputs["decoder_input_ids"])))
    monkeypatch.setattr(backend, "_encoded", small(encode, len))
    for one, other in zip(backend.likelihood(WHOLE), expected, strict=True):
        assert one.spans[0].logprob == pytest.approx(other.spans[0].logprob, abs=1e-5)
    assert any("halved" in note for note in backend.notes())


@FAMILIES
def test_a_dry_backend_counts_the_tokens_that_a_real_one_takes(
    name: str, made: Callable[[str], tuple[Any, Any]], tmp_path: Path
) -> None:
    model, tokenizer = made(name)
    copy.deepcopy(model).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    dry, parameters = outline(find_model(str(tmp_path / "model")))
    real = open_model(find_model(str(tmp_path / "model"))).backend
    assert [a.spans[0].logprob for a in dry.likelihood(WHOLE)] == [0.0] * len(WHOLE)
    real.likelihood(WHOLE)
    assert dry.counted == real.counted > 0  # type: ignore[attr-defined]
    assert parameters == sum(p.numel() for p in model.parameters())


# --- answers that are absent -----------------------------------------------------------------------------------------


@FAMILIES
def test_a_source_or_target_longer_than_the_model_takes_has_no_score_and_says_which(
    name: str, made: Callable[[str], tuple[Any, Any]]
) -> None:
    model, tokenizer = made(name)
    model.config.n_positions = 64
    backend = backend_of(name, model, tokenizer)
    long = "nurse " * 80
    requests = [LikelihoodRequest(source=s, text=t) for s, t in ((long, "keys"), ("keys", long), ("keys", "keys"))]
    source, target, fine = (answer.spans[0] for answer in backend.likelihood(requests))
    assert source.logprob is target.logprob is None
    assert source.note.startswith("the source has ")
    assert target.note.endswith("the model takes 64")
    assert fine.logprob is not None


@FAMILIES
def test_an_empty_target_has_no_score_and_unknown_tokens_are_told(
    name: str, made: Callable[[str], tuple[Any, Any]]
) -> None:
    backend = backend_of(name, *made(name))
    asked = [LikelihoodRequest(source="keys", text=text) for text in ("", "He was 친절 kind.")]
    empty, unknown = (answer.spans[0] for answer in backend.likelihood(asked))
    assert (empty.logprob, empty.note) == (None, "no token covers this text")
    assert unknown.logprob is not None
    assert "unknown to the tokenizer" in unknown.note


# --- fill ------------------------------------------------------------------------------------------------------------


@BATCHES
def test_t5_fills_as_in_pre_training_the_span_between_its_sentinels(batch_size: int) -> None:
    tokenizer = tokenizer_of("T5")
    model = t5(tokenizer)
    opens, closes = tokenizer.convert_tokens_to_ids(SENTINELS)
    answers = backend_of("T5", model, tokenizer, batch_size=batch_size).fill(FILLS)
    for request, answer in zip(FILLS, answers, strict=True):
        total = 0.0
        for candidate, score in zip(request.candidates, answer.scores, strict=True):
            # this tokenizer cuts at blanks first, so the parts of a text can be tokenised alone
            before, word, after = (
                tokenizer(part.strip(), add_special_tokens=False).input_ids
                for part in (request.before, candidate, request.after)
            )
            source = [*before, opens, *after, tokenizer.eos_token_id]
            expected = sum(table(model, source, [opens, *word, closes])[1:])
            assert score.logprob == pytest.approx(expected, abs=1e-5)
            assert score.tokens == len(word) + 1
            total += math.exp(expected)
        assert answer.mass == pytest.approx(total, rel=1e-4)


@BATCHES
def test_bart_fills_by_restoring_the_whole_text_from_a_mask(batch_size: int) -> None:
    tokenizer = tokenizer_of("BART")
    model = bart(tokenizer)
    answers = backend_of("BART", model, tokenizer, batch_size=batch_size).fill(FILLS)
    for request, answer in zip(FILLS, answers, strict=True):
        source = tokenizer(f"{request.before}[MASK]{request.after}").input_ids
        assert source.count(tokenizer.mask_token_id) == 1
        given = len(tokenizer(request.before, add_special_tokens=False).input_ids) + 1
        restored, own = [], []
        for candidate, score in zip(request.candidates, answer.scores, strict=True):
            found = table(model, source, tokenizer(request.before + candidate + request.after).input_ids)
            restored.append(sum(found))
            own.append(sum(found[given : given + len(tokenizer(candidate, add_special_tokens=False).input_ids)]))
            assert score.logprob == pytest.approx(sum(found[given:]), abs=1e-5)
        values = [score.logprob or 0.0 for score in answer.scores]
        assert values[0] - values[1] == pytest.approx(restored[0] - restored[1], abs=1e-5)
        assert answer.mass == pytest.approx(sum(map(math.exp, own)), rel=1e-4)


@DENOISERS
def test_a_candidate_that_the_tokenizer_does_not_know_has_no_score_and_the_fill_no_mass(
    name: str, made: Callable[[str], tuple[Any, Any]]
) -> None:
    backend = backend_of(name, *made(name))
    answer = backend.fill([FillRequest(before="He was very ", after=" owners", candidates=("kind", "친절"))])[0]
    assert answer.scores[0].logprob is not None
    assert answer.scores[1].logprob is None
    assert "does not know" in answer.scores[1].note
    assert answer.mass is None


def test_a_word_that_shares_a_token_with_its_surroundings_cannot_be_taken_out() -> None:
    tokenizer = tiny.words(tiny.TEXT)
    tokenizer.eos_token = "[SEP]"
    backend = backend_of("BART", bart(tokenizer), tokenizer)
    answer = backend.fill([FillRequest(before="The n", after="se said", candidates=("ur",))])[0]
    assert answer.scores[0].logprob is None
    assert answer.scores[0].note == "a token covers both the word and the text beside it"
    assert answer.mass is None


def test_fill_needs_sentinels_or_a_mask() -> None:
    tokenizer = copy.deepcopy(tokenizer_of("BART"))
    without = backend_of("T5", t5(tokenizer), tokenizer)
    assert without.answers() == ("likelihood", "generate")
    with pytest.raises(RefusalError, match="tiny cannot answer 'fill'; it answers: likelihood, generate"):
        without.fill(FILLS)


# --- what is refused -------------------------------------------------------------------------------------------------


@FAMILIES
def test_a_text_without_a_source_is_refused(name: str, made: Callable[[str], tuple[Any, Any]]) -> None:
    with pytest.raises(RefusalError, match="tiny scores a text as the target of a source, and no source was given"):
        backend_of(name, *made(name)).likelihood([LikelihoodRequest(text="keys")])


@pytest.mark.parametrize("kind", [MaskedBackend, CausalBackend])
def test_a_model_without_an_encoder_of_its_own_refuses_a_source(kind: Any) -> None:
    tokenizer = tiny.wordpiece()
    model = tiny.bert(tokenizer) if kind is MaskedBackend else tiny.gpt2(tokenizer)
    with pytest.raises(RefusalError, match="has no encoder for the source"):
        kind(model, tokenizer, name="tiny").likelihood([LikelihoodRequest(text="keys", source="keys")])


@FAMILIES
def test_classes_vectors_and_chats_are_refused(name: str, made: Callable[[str], tuple[Any, Any]]) -> None:
    backend = backend_of(name, *made(name))
    with pytest.raises(RefusalError, match="cannot answer 'classify'"):
        backend.classify([ClassifyRequest(text="keys")])
    with pytest.raises(RefusalError, match="cannot answer 'embed'"):
        backend.embed([EmbedRequest(text="keys")])
    with pytest.raises(RefusalError, match="no chat model"):
        backend.generate([GenerateRequest(prompt="keys", chat=True)])


def test_marian_fills_nothing_and_scores_whole_targets_only(made: Callable[[str], tuple[Any, Any]]) -> None:
    backend = backend_of("Marian", *made("Marian"))
    with pytest.raises(RefusalError, match="tiny cannot answer 'fill'; it answers: likelihood, generate"):
        backend.fill(FILLS)
    for request, asked in zip(PARTS, ("spans", "spans"), strict=True):
        with pytest.raises(RefusalError, match=f"cannot score {asked}, .*; it scores whole targets"):
            backend.likelihood([request])
    with pytest.raises(RefusalError, match="cannot score what follows a prefix"):
        backend.likelihood([LikelihoodRequest(source="keys", text="keys", prefix="He ")])


def test_a_model_that_ends_its_targets_with_a_language_is_refused() -> None:
    tokenizer = tokenizer_of("BART")
    model = bart(tokenizer, hf.MBartConfig, hf.MBartForConditionalGeneration)
    with pytest.raises(
        ModelError, match="a MBartForConditionalGeneration begins its targets in a way that is not known"
    ):
        open_object(model, tokenizer)


def test_a_config_without_a_start_of_targets_is_refused() -> None:
    tokenizer = tokenizer_of("T5")
    model = t5(tokenizer)
    model.config.decoder_start_token_id = None
    with pytest.raises(ModelError, match="names no decoder_start_token_id"):
        open_object(model, tokenizer)


def test_a_model_that_hears_is_not_taken_for_one_that_reads() -> None:
    settings = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "vocab_size": 100, "pad_token_id": 0}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "max_source_positions": 8}
    model = hf.WhisperForConditionalGeneration(hf.WhisperConfig(**settings, **heads, bos_token_id=1, eos_token_id=2))
    with pytest.raises(ModelError, match="is a WhisperForConditionalGeneration, which cannot be audited"):
        open_object(model, tokenizer_of("T5"))


# --- translations ----------------------------------------------------------------------------------------------------


def test_t5_is_told_a_translation_by_the_prefix_that_its_config_names() -> None:
    tokenizer = tokenizer_of("T5")
    model = t5(tokenizer, task_specific_params={"translation_en_to_de": {"prefix": "He was very "}})
    backend = backend_of("T5", model, tokenizer)
    told = LikelihoodRequest(source="keys", text="kind", languages=("en", "de-AT"))
    expected = whole("T5", model, tokenizer, "He was very keys", "kind")
    assert backend.likelihood([told])[0].spans[0].logprob == pytest.approx(expected, abs=1e-5)
    with pytest.raises(
        RefusalError, match="knows no task 'translation_en_to_fr'; its config names translation_en_to_de"
    ):
        backend.likelihood([LikelihoodRequest(source="keys", text="kind", languages=("en", "fr"))])
    assert backend.notes() == ()


def test_a_model_without_prefixes_gets_the_source_as_it_stands_and_says_so() -> None:
    tokenizer = tokenizer_of("BART")
    model = bart(tokenizer)
    backend = backend_of("BART", model, tokenizer)
    expected = whole("BART", model, tokenizer, "keys", "kind")
    asked = [LikelihoodRequest(source="keys", text="kind", languages=("en", "de"))]
    assert backend.likelihood(asked)[0].spans[0].logprob == pytest.approx(expected, abs=1e-5)
    assert backend.notes() == ("the config names no prefix for translations: the source was given as it stands",)


def test_a_translator_into_several_languages_is_told_which_by_its_code(tmp_path: Path) -> None:
    tokenizer = marian_tokenizer(tmp_path / "pieces", marks=(">>fra<<", ">>deu<<"), target_lang="ROMANCE")
    model = marian(tokenizer)
    backend = backend_of("Marian", model, tokenizer)
    asked = [LikelihoodRequest(source="keys", text="kind", languages=("en", "de"))]
    expected = whole("Marian", model, tokenizer, ">>deu<< keys", "kind")
    assert tokenizer.convert_tokens_to_ids(">>deu<<") in tokenizer(">>deu<< keys").input_ids
    assert backend.likelihood(asked)[0].spans[0].logprob == pytest.approx(expected, abs=1e-5)
    with pytest.raises(RefusalError, match="tiny does not translate into es; it does into >>fra<< >>deu<<"):
        backend.likelihood([LikelihoodRequest(source="keys", text="kind", languages=("en", "es"))])


def test_a_translator_refuses_other_languages_than_its_own(tmp_path: Path) -> None:
    tokenizer = marian_tokenizer(tmp_path / "pieces", source_lang="eng", target_lang="de")
    backend = backend_of("Marian", marian(tokenizer), tokenizer)
    backend.likelihood([LikelihoodRequest(source="keys", text="kind", languages=("en", "de"))])
    with pytest.raises(RefusalError, match="tiny translates into de, not into fr"):
        backend.likelihood([LikelihoodRequest(source="keys", text="kind", languages=("en", "fr"))])
    with pytest.raises(RefusalError, match="tiny translates from eng, not from nl"):
        backend.likelihood([LikelihoodRequest(source="keys", text="kind", languages=("nl", "de"))])


# --- generation ------------------------------------------------------------------------------------------------------


@FAMILIES
def test_greedy_generation_takes_the_most_probable_token_each_time(
    name: str, made: Callable[[str], tuple[Any, Any]]
) -> None:
    model, tokenizer = made(name)
    source = tokenizer("He was").input_ids
    ids = [model.config.decoder_start_token_id]
    for _ in range(5):
        with torch.no_grad():
            out = model(input_ids=torch.tensor([source]), decoder_input_ids=torch.tensor([ids])).logits[0, -1]
        ids.append(int(out.argmax()))
        if ids[-1] == tokenizer.eos_token_id:
            break
    expected = tokenizer.decode(ids, skip_special_tokens=True)
    request = GenerateRequest(prompt="He was", max_new_tokens=5, temperature=0)
    assert backend_of(name, model, tokenizer).generate([request])[0].texts == (expected,)


@FAMILIES
def test_generation_is_repeatable_by_its_seed_and_keeps_only_the_format_of_the_checkpoint(
    name: str, made: Callable[[str], tuple[Any, Any]]
) -> None:
    model, tokenizer = made(name)
    model.generation_config.no_repeat_ngram_size = 1
    model.generation_config.forced_bos_token_id = tokenizer.convert_tokens_to_ids(tokenizer.tokenize("kind"))[0]
    backend = backend_of(name, model, tokenizer)
    request = GenerateRequest(prompt="He was", max_new_tokens=8, samples=3, seed=1)
    first = backend.generate([request])[0]
    first_token = tokenizer.decode([model.generation_config.forced_bos_token_id])
    assert all(text is not None and text.startswith(first_token) for text in first.texts)
    assert backend.generate([request])[0] == first
    assert backend.generate([GenerateRequest(prompt="He was", max_new_tokens=8, samples=3, seed=2)])[0] != first
    assert backend.model.generation_config.no_repeat_ngram_size == 1


@FAMILIES
def test_a_generation_that_cannot_be_honoured_is_refused(name: str, made: Callable[[str], tuple[Any, Any]]) -> None:
    model, tokenizer = made(name)
    model.config.n_positions = 64
    backend = backend_of(name, model, tokenizer)
    with pytest.raises(RefusalError, match="one continuation"):
        backend.generate([GenerateRequest(prompt="He", temperature=0, samples=2)])
    for request in (GenerateRequest(prompt="He", max_new_tokens=64), GenerateRequest(prompt="nurse " * 80)):
        with pytest.raises(RefusalError, match="the model takes 64"):
            backend.generate([request])


# --- opening ---------------------------------------------------------------------------------------------------------


@FAMILIES
def test_a_folder_opens_as_the_object_does_with_and_without_its_architecture(
    name: str, made: Callable[[str], tuple[Any, Any]], tmp_path: Path
) -> None:
    model, tokenizer = made(name)
    folder = saved(tmp_path / "model", model, tokenizer)
    told = open_model(find_model(str(folder)))
    assert told.info.kind == ("translation" if name == "Marian" else "seq2seq")
    assert told.info.architecture == type(model).__name__
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if k != "architectures"}))
    guessed = open_model(find_model(str(folder)))
    assert told.info.sha256 == guessed.info.sha256 == open_object(model, tokenizer).info.sha256
    expected = [whole(name, model, tokenizer, source, target) for source, target in PAIRS]
    for found in (told, guessed):
        values = [answer.spans[0].logprob for answer in found.backend.likelihood(WHOLE)]
        assert values == pytest.approx(expected, abs=1e-5)


def test_other_pieces_of_a_marian_tokenizer_change_the_fingerprint(pieces: Any, tmp_path: Path) -> None:
    model = marian(pieces)
    copied = hf.AutoTokenizer.from_pretrained(saved(tmp_path / "model", model, pieces))
    assert fingerprint(model, copied) == fingerprint(model, pieces)
    copied.spm_target = copied.spm_source
    assert copied.get_vocab() == pieces.get_vocab()
    assert fingerprint(model, copied) != fingerprint(model, pieces)


def test_a_translation_model_without_sentencepiece_is_told_the_extra(
    made: Callable[[str], tuple[Any, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(tmp_path / "model", *made("Marian"))
    monkeypatch.setattr("fairprint.audit.models.find_spec", lambda name: None)
    with pytest.raises(ModelError, match="whose tokenizer needs sentencepiece") as caught:
        open_model(find_model(str(folder)))
    assert caught.value.hint == "pip install 'fairprint[seq2seq]'"


def test_the_target_language_is_read_from_the_settings_of_the_tokenizer(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "marian"}')
    source = find_model(str(folder))
    assert target_language(source) is None
    for told, expected in (("deu", "de"), ("de", "de"), ("ger", "de"), ("ROMANCE", None), (None, None), (3, None)):
        (folder / "tokenizer_config.json").write_text(json.dumps({"target_lang": told}))
        assert target_language(source) == expected
    (folder / "tokenizer_config.json").write_text("[]")
    assert target_language(source) is None
