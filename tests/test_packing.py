"""Beginnings of texts as trees in rows, and the last layer on scored positions alone, against plain computations."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest
import test_backends as reference
import test_models as families
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairprint.audit.backends.masked import MaskedBackend
from fairprint.audit.backends.packing import PACK_SIZE, Pack, pack
from fairprint.audit.models import open_object
from fairprint.probes.requests import LikelihoodRequest

Wanted = Mapping[tuple[int, ...], set[int]]
wanted_sets = st.dictionaries(
    st.lists(st.integers(0, 2), min_size=1, max_size=8).map(tuple), st.sets(st.integers(0, 3), min_size=1), max_size=30
)
TEXT = "The nurse said that she would be late."


def beginnings(one: Pack) -> list[tuple[int, ...]]:
    """The text up to each node, read by way of its parents."""
    found: list[tuple[int, ...]] = []
    for token, parent in zip(one.tokens, one.parents, strict=True):
        found.append((*(found[parent] if parent >= 0 else ()), token))
    return found


@given(wanted_sets, st.integers(1, 12))
def test_everything_wanted_is_asked_once_at_the_node_that_ends_its_beginning(wanted: Wanted, size: int) -> None:
    asked = []
    for one in pack(wanted, size):
        texts = beginnings(one)
        for node, target, (beginning, token) in one.wanted:
            assert (texts[node], target) == (beginning, token)
            asked.append((beginning, token))
    assert sorted(asked) == sorted((beginning, target) for beginning, targets in wanted.items() for target in targets)


@given(wanted_sets, st.integers(1, 12))
def test_no_pack_holds_a_beginning_twice_and_depths_count_its_tokens(wanted: Wanted, size: int) -> None:
    for one in pack(wanted, size):
        texts = beginnings(one)
        assert len(set(texts)) == len(texts)
        assert [len(text) - 1 for text in texts] == list(one.depths)


@given(wanted_sets, st.integers(1, 12))
def test_only_longer_texts_make_a_pack_larger_than_asked_and_never_twice_as_long_as_they_are(
    wanted: Wanted, size: int
) -> None:
    for one in pack(wanted, size):
        assert len(one.tokens) <= max(size, 2 * (max(one.depths) + 1))


@given(wanted_sets, st.integers(1, 12), st.randoms())
def test_packs_do_not_depend_on_the_order_of_what_is_wanted(wanted: Wanted, size: int, random: Any) -> None:
    shuffled = list(wanted.items())
    random.shuffle(shuffled)
    assert pack(dict(shuffled), size) == pack(wanted, size)


def test_the_options_of_a_long_question_share_it() -> None:
    question = tuple(range(3 * PACK_SIZE))
    options = [(*question, 1000 + n, 7, 8) for n in range(3)]
    (one,) = pack({text[:end]: {0} for text in options for end in range(len(question), len(text) + 1)})
    assert len(one.tokens) == len(question) + 3 * 3


def test_packs_of_many_pairs_are_about_equally_long() -> None:
    pairs = [(*range(1000 * n, 1000 * n + 9), a, *range(8)) for n in range(60) for a in (1, 2)]
    wanted = {text[:end]: {0} for text in pairs for end in range(1, len(text) + 1)}
    lengths = [len(one.tokens) for one in pack(wanted)]
    # each pair is a tree of 9 + 2 * 9 tokens, of which four fit into a pack
    assert sum(lengths) == 60 * 27
    assert PACK_SIZE // 27 == 4
    assert lengths == [4 * 27] * 15


@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert"])
def test_in_these_families_the_last_layer_ends_on_scored_positions_alone(name: str) -> None:
    backend = open_object(families.family(name), families.TOKENIZER).backend
    assert isinstance(backend, MaskedBackend)
    assert (backend._gather_hook.usable, backend._gather_hook.early) == (True, True)
    request = LikelihoodRequest(text=TEXT)
    early = backend.likelihood([request])[0].spans[0].logprob
    backend._gather_hook.early = False
    assert early == pytest.approx(backend.likelihood([request])[0].spans[0].logprob, abs=1e-5)


def test_the_end_of_the_last_layer_sees_one_position_a_row() -> None:
    tokenizer = tiny.wordpiece()
    backend = MaskedBackend(tiny.bert(tokenizer), tokenizer, name="tiny")
    seen = []
    backend.model.bert.encoder.layer[-1].intermediate.register_forward_hook(
        lambda module, inputs, output: seen.append(tuple(inputs[0].shape[:2]))
    )
    backend.likelihood([LikelihoodRequest(text=TEXT)])
    tokens = len(tokenizer(TEXT, add_special_tokens=False).input_ids)
    assert seen == [(1, tokens)]


def test_a_last_layer_that_reads_other_positions_after_its_attention_is_run_in_full() -> None:
    tokenizer = tiny.wordpiece()
    model = tiny.bert(tokenizer)

    def mixes_positions(module: Any, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        return output + output.cumsum(dim=1)

    model.bert.encoder.layer[-1].intermediate.register_forward_hook(mixes_positions)
    backend = MaskedBackend(copy.deepcopy(model), tokenizer, name="tiny")
    assert (backend._gather_hook.usable, backend._gather_hook.early) == (True, False)
    assert backend.notes() == ()
    score = backend.likelihood([LikelihoodRequest(text=TEXT)])[0].spans[0]
    expected = reference._masked_reference(model, tokenizer, TEXT, (0, len(TEXT)), rest=False)
    assert score.logprob == pytest.approx(expected, abs=1e-5)
