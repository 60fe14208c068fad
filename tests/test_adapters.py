"""Adapter folders: the merged model is the one that hand-merged weights make, and no adapter is silently left out."""

import json
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2LMHeadModel

from fairprint.audit.models import kind_of, open_model, outline
from fairprint.audit.runner import audit
from fairprint.audit.sources import find_model
from fairprint.probes.catalog import own_set
from fairprint.probes.errors import ModelError, UsageError
from fairprint.probes.requests import LikelihoodRequest

RANK, ALPHA = 4, 6
TEXTS = [variant.text for item in own_set("he-was-very").items for variant in item.variants]


def _adapt(base: Any, folder: Path, seed: int = 0, **options: Any) -> None:
    """Save a LoRA adapter whose weights are all random, so that it changes every answer."""
    import peft

    torch.manual_seed(seed)
    settings = {"r": RANK, "lora_alpha": ALPHA, "target_modules": ["c_attn"], "task_type": "CAUSAL_LM"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft asks transformers for names that are going out of use
        config = peft.LoraConfig(**settings | {"fan_in_fan_out": True, "init_lora_weights": False} | options)
        peft.get_peft_model(base, config).save_pretrained(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a base model and an adapter, which names the base as it lies beside it."""
    tokenizer = tiny.words(TEXTS)
    model = tiny.gpt2(tokenizer)
    model.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    _adapt(model, tmp_path / "adapter")
    _edit(tmp_path, base_model_name_or_path="../base")
    return tmp_path


def _edit(folder: Path, **changes: Any) -> None:
    file = folder / "adapter" / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def _merged_by_hand(folder: Path) -> GPT2LMHeadModel:
    """W + B A x alpha / r for every layer; GPT-2 stores its weights transposed."""
    model = GPT2LMHeadModel.from_pretrained(folder / "base").eval()
    weights = load_file(folder / "adapter" / "adapter_model.safetensors")
    changed = 0
    for name, module in model.named_modules():
        if name.endswith("attn.c_attn"):
            down, up = (weights[f"base_model.model.{name}.lora_{side}.weight"] for side in "AB")
            module.weight.data += (up @ down).T * (ALPHA / RANK)
            changed += 2
    assert changed == len(weights) > 0
    return model


def _one_at_a_time(model: Any, tokenizer: Any, text: str) -> float:
    ids = [tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False).input_ids]
    with torch.no_grad():
        table = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
    return sum(table[i, ids[i + 1]].item() for i in range(len(ids) - 1))


def test_an_adapter_answers_as_its_base_with_the_weights_merged_by_hand(folder: Path) -> None:
    opened = open_model(find_model(str(folder / "adapter")))
    tokenizer: Any = opened.backend.tokenizer  # type: ignore[attr-defined]
    merged, base = _merged_by_hand(folder), GPT2LMHeadModel.from_pretrained(folder / "base").eval()
    texts = TEXTS[::40]
    for text, response in zip(
        texts, opened.backend.likelihood([LikelihoodRequest(text=t) for t in texts]), strict=True
    ):
        assert response.spans[0].logprob == pytest.approx(_one_at_a_time(merged, tokenizer, text), abs=1e-4)
        assert abs(_one_at_a_time(merged, tokenizer, text) - _one_at_a_time(base, tokenizer, text)) > 0.01


def test_the_record_names_adapter_and_base_and_its_hash_covers_both(folder: Path) -> None:
    info = open_model(find_model(str(folder / "adapter"))).info
    assert (info.name, info.kind, info.architecture) == ("adapter", "causal", "GPT2LMHeadModel")
    assert info.weights == "LORA adapter, rank 4, merged into base"
    base = open_model(find_model(str(folder / "base"))).info
    assert info.parameters == base.parameters
    hashes = {base.sha256, info.sha256, open_model(find_model(str(folder / "adapter"))).info.sha256}
    assert len(hashes) == 2

    tokenizer = tiny.words(TEXTS)
    _adapt(tiny.gpt2(tokenizer), folder / "adapter", seed=1)
    _edit(folder, base_model_name_or_path=str(folder / "base"))
    hashes.add(open_model(find_model(str(folder / "adapter"))).info.sha256)
    tiny.gpt2(tokenizer, seed=1).save_pretrained(folder / "base")
    hashes.add(open_model(find_model(str(folder / "adapter"))).info.sha256)
    assert len(hashes) == 4


def test_an_adapter_can_be_audited_and_forecast_as_any_model(folder: Path) -> None:
    record = audit(str(folder / "adapter"), ["he-was-very"], store=folder / "runs", limit=1)
    assert record.plan.model.weights.endswith("merged into base")
    assert str(folder) not in record.model_dump_json()
    _, parameters = outline(find_model(str(folder / "adapter")))
    assert parameters == record.plan.model.parameters
    assert kind_of(find_model(str(folder / "adapter"))).name == "causal"


def test_the_tokenizer_beside_an_adapter_comes_before_that_of_its_base(folder: Path) -> None:
    tokenizer = tiny.words(TEXTS)
    tokenizer.add_special_tokens({"pad_token": tokenizer.eos_token or "[SEP]"})
    tokenizer.save_pretrained(folder / "adapter")
    opened = open_model(find_model(str(folder / "adapter")))
    assert opened.backend.tokenizer.pad_token == tokenizer.pad_token  # type: ignore[attr-defined]

    tokenizer.add_tokens(["<more>"])
    tokenizer.save_pretrained(folder / "adapter")
    with pytest.raises(ModelError, match=r"tokenizer of \d+ tokens, its base model base knows \d+"):
        open_model(find_model(str(folder / "adapter")))


@pytest.mark.parametrize("given", ["absolute", "here", "beside"])
def test_a_base_is_found_by_its_path_from_here_or_from_the_adapter(
    given: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    _edit(
        folder, base_model_name_or_path={"absolute": str(folder / "base"), "here": "base", "beside": "../base"}[given]
    )
    source = find_model("adapter")
    assert Path(source.location).resolve() == folder / "base"
    assert not source.is_hub_id


def test_a_base_on_a_hub_is_named_where_it_is_not_in_the_cache(folder: Path) -> None:
    _edit(folder, base_model_name_or_path="owner/name", revision="abc")
    source = find_model(str(folder / "adapter"))
    assert (source.location, source.revision, source.is_hub_id) == ("owner/name", "abc", True)
    with pytest.raises(UsageError, match=r"no model 'owner/name' \(the base model of the adapter adapter\) here or"):
        open_model(source)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base_model_name_or_path": None}, r"adapter_config.json names no base model"),
        ({"base_model_name_or_path": "/no/where"}, r"the base model /no/where of the adapter .* is not here"),
        ({"base_model_name_or_path": "a b"}, r"the base model a b of the adapter .* is not here"),
    ],
)
def test_an_adapter_without_its_base_is_refused(changes: dict[str, Any], message: str, folder: Path) -> None:
    _edit(folder, **changes)
    with pytest.raises(UsageError, match=message):
        find_model(str(folder / "adapter"))


def test_a_folder_that_is_not_clearly_an_adapter_is_refused(folder: Path) -> None:
    (folder / "adapter" / "adapter_config.json").write_text("{")
    with pytest.raises(UsageError, match=r"adapter_config\.json cannot be read"):
        find_model(str(folder / "adapter"))
    shutil.copy(folder / "base" / "model.safetensors", folder / "adapter")
    with pytest.raises(UsageError, match="holds a model and an adapter"):
        find_model(str(folder / "adapter"))


def test_without_peft_the_error_names_the_extra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ModelError, match="adapter is an adapter, which peft puts into its base model") as found:
        open_model(find_model(str(folder / "adapter")))
    assert found.value.hint == "pip install 'fairprint[adapters]'"


def test_an_adapter_whose_weights_do_not_fit_is_refused_and_not_left_out(folder: Path) -> None:
    file = folder / "adapter" / "adapter_model.safetensors"
    weights = load_file(file)
    first = sorted(weights)[0]
    save_file({name: tensor for name, tensor in weights.items() if name != first}, file)
    with pytest.raises(ModelError, match="the adapter adapter lacks 1 weights, such as"):
        open_model(find_model(str(folder / "adapter")))
    save_file(weights | {first.replace("c_attn", "c_other"): weights[first].clone()}, file)
    with pytest.raises(ModelError, match=r"the base model base has no place for 1 weights, such as .*c_other"):
        open_model(find_model(str(folder / "adapter")))
    save_file(weights | {first: torch.zeros(RANK, 7)}, file)
    with pytest.raises(ModelError, match="adapter cannot be loaded: "):
        open_model(find_model(str(folder / "adapter")))
    file.unlink()
    with pytest.raises(ModelError, match="adapter cannot be loaded: "):
        open_model(find_model(str(folder / "adapter")))


def test_an_adapter_for_another_task_or_of_virtual_tokens_is_refused(folder: Path) -> None:
    _edit(folder, task_type="SEQ_CLS")
    with pytest.raises(ModelError, match="for the task SEQ_CLS, and its base model base is of the kind 'causal'"):
        open_model(find_model(str(folder / "adapter")))
    prompt = {"peft_type": "PROMPT_TUNING", "task_type": "CAUSAL_LM", "num_virtual_tokens": 2}
    (folder / "adapter" / "adapter_config.json").write_text(
        json.dumps({"base_model_name_or_path": "../base", **prompt})
    )
    with pytest.raises(ModelError, match="is a PROMPT_TUNING adapter: it stands before every text"):
        open_model(find_model(str(folder / "adapter")))
