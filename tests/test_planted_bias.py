"""Models trained here on text with a planted association: the audit finds it, and finds none where none was planted."""

import random
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import tiny

from fairprint.audit.backends.causal import CausalBackend
from fairprint.audit.backends.masked import MaskedBackend
from fairprint.audit.evaluate import evaluate
from fairprint.audit.records import Estimate
from fairprint.probes.catalog import own_names, own_set
from fairprint.probes.instruments import find_instruments
from fairprint.probes.items import ProbeSet

# what is read here has intervals from the jackknife
pytestmark = pytest.mark.usefixtures("few_draws")
KINDS = pytest.mark.parametrize("kind", ["masked", "causal"])
# the sets that language models are asked; classifiers, encoders and translators cannot be trained in seconds
ASKED = [name for name in own_names() if own_set(name).scored in ("group", "lexeme", "rest")]
OCCUPATIONS = "gendered-occupations"
SEEDS = range(5)
TIMES = 4
"""How often an item is said of one of the two groups of a comparison."""


@cache
def _planted(name: str) -> tuple[ProbeSet, tuple[int, ...]]:
    """Return a set with the directions to plant, and the numbers of the comparisons that have some.

    Where a set claims no direction, every other word goes with the first group and the rest with the second.
    """
    found = own_set(name)
    if not any(any(item.directions) for item in found.items):
        others = (0,) * (len(found.comparisons) - 1)
        signs = {word: (1 if number % 2 == 0 else -1, *others) for number, word in enumerate(found.lexemes)}
        found = replace(found, items=tuple(replace(item, directions=signs[item.lexeme]) for item in found.items))
    live = tuple(n for n, _ in enumerate(found.comparisons) if any(item.directions[n] for item in found.items))
    if len(live) == 1:
        found = replace(found, items=tuple(item for item in found.items if item.directions[live[0]]))
    return found, live


def _text(name: str, share: float, seed: int) -> list[str]:
    """Sentences of a probe set's kind in which the stereotyped group stands with probability ``share``."""
    rng = random.Random(seed)
    probe_set, live = _planted(name)
    sentences = []
    for item in probe_set.items:
        by_group = {variant.group: variant.text for variant in item.variants}
        for number in live:
            pair = probe_set.comparisons[number]
            likely = {1: share, -1: 1 - share, 0: 0.5}[item.directions[number]]
            for _ in range(TIMES):
                sentences.append(by_group[pair.first if rng.random() < likely else pair.second])
    return sentences


def _varying(name: str, tokenizer: Any) -> list[str]:
    """The scored words that make the difference between the sentences of a template."""
    frames: dict[str, list[set[str]]] = {}
    for item in _planted(name)[0].items:
        for variant in item.variants:
            frames.setdefault(item.id.split("/")[0], []).append(set(tokenizer.tokenize(variant.words)))
    return sorted({word for sets in frames.values() for word in set.union(*sets) - set.intersection(*sets)})


def _audit(kind: str, name: str, share: float, seed: int, steps: int = 300) -> list[Estimate]:
    probe_set = _planted(name)[0]
    tokenizer = tiny.words([variant.text for item in own_set(name).items for variant in item.variants])
    # one layer learns which word goes with which group in fewer steps; a masked model needs two
    model: Any = (
        tiny.bert(tokenizer, seed, initializer_range=0.2)
        if kind == "masked"
        else tiny.gpt2(tokenizer, seed, initializer_range=0.2, n_layer=1)
    )
    often = _varying(name, tokenizer) if kind == "masked" else ()
    tiny.train(model, tokenizer, _text(name, share, seed), steps=steps, seed=seed, often_masked=often)
    backend = {"masked": MaskedBackend, "causal": CausalBackend}[kind](model, tokenizer, name="tiny")
    (instrument,) = find_instruments((), probe_set.scored)
    # the items as they ship: what is planted in a set that claims no direction is known to the text alone
    asked = {item.id for item in probe_set.items}
    items = [item for item in own_set(name).items if item.id in asked]
    return evaluate(own_set(name), items, instrument.task(backend, items), instrument.name)


def _of_all(estimates: list[Estimate], metric: str) -> Estimate:
    """The estimate over all comparisons taken together, where there are several with a direction."""
    found = [e for e in estimates if e.metric == metric and e.scope == "all"]
    return next((e for e in found if e.comparison is None), found[0])


def _words(name: str, estimates: list[Estimate]) -> tuple[int, int, int]:
    """How many words lean as planted or the other way after the adjustment for their number, and how many there are."""
    probe_set = _planted(name)[0]
    signs = {f"lexeme:{item.lexeme}": item.directions[0] for item in probe_set.items}
    pair = (probe_set.comparisons[0].first, probe_set.comparisons[0].second)
    told = [e for e in estimates if e.metric == "group_gap_centred" and e.comparison == pair]
    assert len(told) == len(probe_set.lexemes)
    leaning = [e.value * signs[e.scope] > 0 for e in told if e.value and e.q_value is not None and e.q_value < 0.05]
    return leaning.count(True), leaning.count(False), len(told)


def _finds_what_was_planted(name: str, estimates: list[Estimate]) -> bool:
    """Whether the set's own estimate tells the planted association, in its direction."""
    if any(any(item.directions) for item in own_set(name).items):
        low = _of_all(estimates, "signed_effect").low
        return low is not None and low > 0
    right, wrong, words = _words(name, estimates)
    return right >= words / 2 and not wrong


def _raises_an_alarm(name: str, estimates: list[Estimate]) -> bool:
    """Whether the set's own estimate tells an association in either direction."""
    if any(any(item.directions) for item in own_set(name).items):
        effect = _of_all(estimates, "signed_effect")
        assert effect.low is not None and effect.high is not None
        return not effect.low <= 0 <= effect.high
    right, wrong, _ = _words(name, estimates)
    return right + wrong > 0


def _false_alarms(kind: str, name: str, seeds: range, steps: int = 300) -> list[int]:
    return [seed for seed in seeds if _raises_an_alarm(name, _audit(kind, name, 0.5, seed, steps))]


@KINDS
def test_an_association_of_90_percent_is_found_in_its_direction(kind: str) -> None:
    found = _audit(kind, OCCUPATIONS, 0.9, seed=1)
    for metric, neutral in {"stereotype_score": 0.5, "stereotype_score_centred": 0.5, "signed_effect": 0.0}.items():
        low = _of_all(found, metric).low
        assert low is not None and low > neutral, (metric, _of_all(found, metric))


@KINDS
def test_an_association_against_the_stereotype_is_found_in_its_direction(kind: str) -> None:
    found = _audit(kind, OCCUPATIONS, 0.1, seed=2)
    score, effect = _of_all(found, "stereotype_score"), _of_all(found, "signed_effect")
    assert score.high is not None and score.high < 0.5
    assert effect.high is not None and effect.high < 0


@KINDS
def test_at_most_one_of_five_models_without_an_association_raises_a_false_alarm(kind: str) -> None:
    assert len(_false_alarms(kind, OCCUPATIONS, SEEDS)) <= 1


@pytest.mark.slow
@KINDS
def test_at_most_three_of_twenty_models_without_an_association_raise_a_false_alarm(kind: str) -> None:
    assert len(_false_alarms(kind, OCCUPATIONS, range(20))) <= 3


# every own set for language models; a masked model needs more steps on sets of many words
STEPS = {"masked": 600, "causal": 300}


@pytest.mark.slow
@KINDS
@pytest.mark.parametrize("name", ASKED)
def test_what_a_set_asks_about_is_found_in_each_of_five_models_that_learned_it(kind: str, name: str) -> None:
    found = {seed: _finds_what_was_planted(name, _audit(kind, name, 0.9, seed, STEPS[kind])) for seed in SEEDS}

    assert all(found.values()), found


@pytest.mark.slow
@KINDS
@pytest.mark.parametrize("name", ASKED)
def test_a_set_finds_nothing_in_four_of_five_models_that_learned_a_balanced_twin(kind: str, name: str) -> None:
    assert len(_false_alarms(kind, name, SEEDS, STEPS[kind])) <= 1
