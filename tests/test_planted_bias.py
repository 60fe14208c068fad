"""Models trained here on text with a planted association: the audit finds it, and finds none where none was planted."""

import random
from typing import Any

import pytest
import tiny

from fairprint.audit.backends.causal import CausalBackend
from fairprint.audit.backends.masked import MaskedBackend
from fairprint.audit.evaluate import evaluate
from fairprint.audit.records import Estimate
from fairprint.probes.catalog import own_set
from fairprint.probes.tasks import fill

SET = own_set("gendered-occupations")
DIRECTED = [item for item in SET.items if item.stereotyped is not None]
PRONOUNS = sorted({variant.words for item in DIRECTED for variant in item.variants})


def _text(share: float, seed: int) -> list[str]:
    """Sentences of the probe set's kind in which the stereotyped pronoun stands with probability ``share``."""
    rng = random.Random(seed)
    sentences = []
    for item in DIRECTED:
        by_group = {variant.group: variant.text for variant in item.variants}
        other = next(group for group in by_group if group != item.stereotyped)
        for _ in range(4):
            sentences.append(by_group[item.stereotyped if rng.random() < share else other])
    return sentences


def _audit(kind: str, share: float, seed: int) -> dict[str, Estimate]:
    texts = _text(share, seed)
    tokenizer = tiny.words([variant.text for item in DIRECTED for variant in item.variants])
    model: Any = (
        tiny.bert(tokenizer, seed, initializer_range=0.1)
        if kind == "masked"
        else tiny.gpt2(tokenizer, seed, initializer_range=0.05)
    )
    tiny.train(model, tokenizer, texts, seed=seed, often_masked=PRONOUNS)
    backend = {"masked": MaskedBackend, "causal": CausalBackend}[kind](model, tokenizer, name="tiny")
    estimates = evaluate(SET, DIRECTED, fill(backend, DIRECTED), "fill")
    return {estimate.metric: estimate for estimate in estimates if estimate.scope == "all"}


def _false_alarms(kind: str, seeds: range) -> list[int]:
    found = []
    for seed in seeds:
        effect = _audit(kind, 0.5, seed)["signed_effect"]
        assert effect.low is not None and effect.high is not None
        if not effect.low <= 0 <= effect.high:
            found.append(seed)
    return found


@pytest.mark.parametrize("kind", ["masked", "causal"])
def test_an_association_of_90_percent_is_found_in_its_direction(kind: str) -> None:
    found = _audit(kind, 0.9, seed=1)
    for metric, neutral in {"stereotype_score": 0.5, "stereotype_score_centred": 0.5, "signed_effect": 0.0}.items():
        low = found[metric].low
        assert low is not None and low > neutral, (metric, found[metric])


@pytest.mark.parametrize("kind", ["masked", "causal"])
def test_an_association_against_the_stereotype_is_found_in_its_direction(kind: str) -> None:
    found = _audit(kind, 0.1, seed=2)
    score, effect = found["stereotype_score"], found["signed_effect"]
    assert score.high is not None and score.high < 0.5
    assert effect.high is not None and effect.high < 0


@pytest.mark.parametrize("kind", ["masked", "causal"])
def test_at_most_one_of_five_models_without_an_association_raises_a_false_alarm(kind: str) -> None:
    assert len(_false_alarms(kind, range(5))) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["masked", "causal"])
def test_at_most_three_of_twenty_models_without_an_association_raise_a_false_alarm(kind: str) -> None:
    assert len(_false_alarms(kind, range(20))) <= 3
