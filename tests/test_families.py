"""Every family of language models, run through every task that its kind supports, against one text at a time."""

from dataclasses import replace
from typing import Any

import pytest
import test_backends as reference
import test_models as families
import torch
from transformers import GenerationConfig

from fairprint.audit.models import open_object
from fairprint.probes.catalog import own_set
from fairprint.probes.instruments import INSTRUMENTS, find_instruments
from fairprint.probes.items import Item
from fairprint.probes.requests import GenerateRequest
from fairprint.probes.scores import LOGPROB

FEW = 4
SETS = {"group": "gendered-occupations", "lexeme": "he-was-very", "rest": "religion"}
"""A set of ours for each thing that can be scored."""


def few_items(scored: str) -> list[Item]:
    """Some items of different templates, short enough for the position table of the small models."""
    items = own_set(SETS[scored]).items
    return [replace(item, variants=item.variants[:2]) for item in items[:: len(items) // FEW][:FEW]]


def expected(kind: str, model: Any, text: str, span: tuple[int, int], instrument: str) -> float:
    whole = (0, len(text)) if instrument == "sentence" else span
    if kind == "causal":
        return reference._causal_reference(model, families.TOKENIZER, text, whole, to_the_end=instrument == "fill")
    return reference._masked_reference(model, families.TOKENIZER, text, whole, rest=instrument == "fill")


@pytest.mark.parametrize("name", families.FAMILIES)
@pytest.mark.parametrize("scored", SETS)
def test_every_instrument_of_a_family_equals_one_text_at_a_time(name: str, scored: str) -> None:
    kind = families.FAMILIES[name][0]
    model, items = families.family(name), few_items(scored)
    backend = open_object(families.family(name), families.TOKENIZER).backend
    told = find_instruments(tuple(INSTRUMENTS), scored)
    asked = [i for i in told if i.needs in backend.answers() and (i.kinds is None or kind in i.kinds)]
    assert {i.name for i in asked} >= {"sentence"}
    compared = 0
    for instrument in asked:
        found = {(s.item, s.group): s for s in instrument.task(backend, items) if s.name == LOGPROB}
        for item in items:
            for variant in item.variants:
                score = found[item.id, variant.group]
                if score.value is None:
                    assert "does not know" in score.note
                    continue
                value = expected(kind, model, variant.text, variant.span, instrument.name)
                assert score.value == pytest.approx(value, abs=1e-4 if abs(value) > 50 else 1e-5)
                compared += 1
    assert compared >= FEW


@pytest.mark.parametrize("name", [name for name, (kind, *_) in families.FAMILIES.items() if kind == "causal"])
def test_a_family_continues_a_prompt_as_the_most_probable_tokens_one_by_one(name: str) -> None:
    model, tokenizer = families.family(name), families.TOKENIZER
    backend = open_object(families.family(name), tokenizer).backend
    request = GenerateRequest(prompt="The nurse said", max_new_tokens=5, temperature=0)
    ids = [tokenizer.bos_token_id, *tokenizer(request.prompt, add_special_tokens=False).input_ids]
    start = len(ids)
    model.generation_config = GenerationConfig()
    for _ in range(request.max_new_tokens):
        with torch.no_grad():
            ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    assert backend.generate([request])[0].texts == (tokenizer.decode(ids[start:], skip_special_tokens=True),)
