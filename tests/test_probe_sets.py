"""The probe sets that ship with fairprint, and the cutting of items into shards."""

import csv
import hashlib
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import fairprint.probes
from fairprint.probes.catalog import own_names, own_set
from fairprint.probes.files import load_probe_file
from fairprint.probes.items import Item, ProbeSet, limit_items, shards

DATA = Path(fairprint.probes.__path__[0]) / "data"
WINOGENDER = Path(__file__).parents[2] / "shared" / "data" / "winogender" / "occupations-stats.tsv"
OWN = pytest.mark.parametrize("name", own_names())


def texts(found: ProbeSet) -> list[str]:
    return [variant.text for item in found.items for variant in item.variants]


# every own set


def test_a_set_is_listed_by_its_file_and_both_bear_the_name() -> None:
    assert own_names() == tuple(sorted(path.stem for path in DATA.glob("*.yaml")))
    assert {own_set(name).name for name in own_names()} == set(own_names())
    assert {"gendered-occupations", "he-was-very"} <= set(own_names())


@OWN
def test_it_states_what_a_reader_needs_to_judge_it(name: str) -> None:
    found = own_set(name)

    assert found.source == "own"
    assert found.sources
    assert found.criticism
    assert found.cannot_show
    assert found.harm_type
    assert [group.id for group in found.groups] == ["male", "female"]
    assert found.random_factors == ("template", "lexeme")


@OWN
def test_it_is_a_whole_grid_with_unique_items(name: str) -> None:
    found = own_set(name)

    assert len({item.id for item in found.items}) == len(found.items) == len(found.templates) * len(found.lexemes)
    assert {(item.template, item.lexeme) for item in found.items} == {
        (template, lexeme) for template in found.templates for lexeme in found.lexemes
    }


@OWN
def test_no_sentence_is_asked_twice(name: str) -> None:
    found = own_set(name)

    assert found.sentences == len(texts(found)) == 2 * len(found.items)


@OWN
def test_its_directions_are_balanced_so_that_a_constant_preference_scores_one_half(name: str) -> None:
    directions = Counter(item.stereotyped for item in own_set(name).items)

    assert directions["male"] == directions["female"]


@OWN
def test_its_sentences_are_clean_text(name: str) -> None:
    for text in texts(own_set(name)):
        assert "  " not in text
        assert text == text.strip()
        assert text[0].isupper()
        assert text.endswith(".")
        assert not set("{}\n\t") & set(text)
        assert text.isascii()


@OWN
def test_its_scored_words_stand_as_whole_words(name: str) -> None:
    for item in own_set(name).items:
        for variant in item.variants:
            before, after = variant.frame
            assert before + variant.words + after == variant.text
            assert variant.words
            assert before.endswith(" ")
            assert after[0] in " ."


@OWN
def test_its_hash_is_that_of_its_file(name: str) -> None:
    data = (DATA / f"{name}.yaml").read_bytes()

    assert own_set(name).sha256 == hashlib.sha256(data).hexdigest()


@OWN
def test_its_hash_changes_with_any_byte(name: str, tmp_path: Path) -> None:
    path = tmp_path / "changed.yaml"
    path.write_bytes((DATA / f"{name}.yaml").read_bytes() + b"\n")
    found = load_probe_file(path)

    assert found.sha256 != own_set(name).sha256
    assert found.items == own_set(name).items


@OWN
def test_every_text_and_word_of_its_file_is_used(name: str) -> None:
    content = yaml.safe_load((DATA / f"{name}.yaml").read_text(encoding="utf-8"))
    found = own_set(name)

    assert found.templates == tuple(entry["id"] for entry in content["templates"])
    assert found.lexemes == tuple(entry["id"] for entry in content["lexemes"])
    assert len({entry["text"] for entry in content["templates"]}) == len(found.templates)


# gendered occupations


def test_gendered_occupations_asks_about_60_occupations_in_12_templates() -> None:
    found = own_set("gendered-occupations")

    assert len(found.lexemes) == 60
    assert len(found.templates) >= 12


def test_gendered_occupations_scores_a_pronoun_in_the_same_frame_for_both_groups() -> None:
    pairs = Counter()
    for item in own_set("gendered-occupations").items:
        man, woman = item.variants
        assert (man.group, woman.group) == ("male", "female")
        assert man.frame == woman.frame
        assert f" {item.lexeme} " in man.text
        pairs[man.words, woman.words] += 1

    assert set(pairs) == {("he", "she"), ("his", "her"), ("himself", "herself")}


def test_gendered_occupations_directions_follow_the_stated_rule_with_23_each() -> None:
    found = own_set("gendered-occupations")
    assert found.covariate_group == "female"
    by_word = {item.lexeme: item for item in found.items}

    assert Counter(item.stereotyped for item in by_word.values()) == {"male": 23, "female": 23, None: 14}
    for word, item in by_word.items():
        share = item.covariate
        assert share is not None
        rule = "male" if share < 40 else "female" if share > 60 else None
        assert item.stereotyped == (None if word == "supervisor" else rule)
        label = {"male": "fewer than 40 % women", "female": "more than 60 % women", None: "40 to 60 % women"}
        assert item.category == label[rule]


def test_gendered_occupations_leaves_out_the_direction_of_the_word_nearest_to_the_middle() -> None:
    shares = {item.lexeme: item.covariate for item in own_set("gendered-occupations").items}
    below = {word: share for word, share in shares.items() if share is not None and share < 40}

    assert max(below, key=below.__getitem__) == "supervisor"


def test_gendered_occupations_shares_are_those_of_the_published_table_row_by_row() -> None:
    if not WINOGENDER.is_file():
        pytest.skip(f"{WINOGENDER} is not here: the published table is not part of this repository")
    with WINOGENDER.open(encoding="utf-8", newline="") as lines:
        published = {row["occupation"]: float(row["bls_pct_female"]) for row in csv.DictReader(lines, delimiter="\t")}

    assert {item.lexeme: item.covariate for item in own_set("gendered-occupations").items} == published


# he was very


def test_he_was_very_asks_about_200_adjectives_in_five_categories_of_40() -> None:
    found = own_set("he-was-very")

    assert len(found.lexemes) == 200
    categories = Counter({item.lexeme: item.category for item in found.items}.values())
    assert len(categories) == 5
    assert set(categories.values()) == {40}


def test_he_was_very_scores_the_same_adjective_after_words_for_either_group() -> None:
    openings = set()
    for item in own_set("he-was-very").items:
        man, woman = item.variants
        assert man.words == woman.words == item.lexeme
        assert man.frame[1] == woman.frame[1]
        differing = [(a, b) for a, b in zip(man.frame[0].split(), woman.frame[0].split(), strict=True) if a != b]
        assert len(differing) == 1
        openings |= set(differing)

    assert openings == {("He", "She"), ("he", "she"), ("him", "her")}


def test_he_was_very_claims_no_direction_and_no_figure() -> None:
    found = own_set("he-was-very")

    assert {(item.stereotyped, item.covariate) for item in found.items} == {(None, None)}
    assert found.covariate is None


# shards and limits


def items_of(sizes: list[int]) -> tuple[Item, ...]:
    return tuple(
        Item(
            id=f"t{number}/x{index}",
            template=f"t{number}",
            lexeme=f"x{index}",
            category="",
            stereotyped=None,
            covariate=None,
            variants=(),
        )
        for number, size in enumerate(sizes)
        for index in range(size)
    )


SIZES = st.lists(st.integers(1, 9), max_size=8)


@given(SIZES, st.integers(1, 30))
def test_shards_are_whole_templates_that_join_to_the_items(sizes: list[int], size: int) -> None:
    items = items_of(sizes)
    found = shards(items, size)

    assert tuple(item for shard in found for item in shard) == items
    owners = [{item.template for item in shard} for shard in found]
    assert sum(len(owner) for owner in owners) == len(sizes)
    for shard, owner in zip(found, owners, strict=True):
        assert shard
        assert len(shard) <= size or len(owner) == 1
    for shard, following in pairwise(found):
        first = [item for item in following if item.template == following[0].template]
        assert len(shard) + len(first) > size, "a shard ends although the next template fits"


@OWN
@pytest.mark.parametrize("size", [1, 60, 250, 10_000])
def test_the_shards_of_an_own_set_join_to_it_and_are_the_same_each_time(name: str, size: int) -> None:
    items = own_set(name).items

    assert tuple(item for shard in shards(items, size) for item in shard) == items
    assert shards(items, size) == shards(list(items), size)


def test_shards_by_hand() -> None:
    items = items_of([2, 2, 3, 1])

    assert [len(shard) for shard in shards(items, 4)] == [4, 4]
    assert [len(shard) for shard in shards(items, 5)] == [4, 4]
    assert [len(shard) for shard in shards(items, 2)] == [2, 2, 3, 1]
    assert [len(shard) for shard in shards(items, 7)] == [7, 1]
    assert shards([], 4) == []


@given(SIZES, st.integers(1, 30))
def test_a_limit_keeps_the_first_whole_templates_that_fit_and_at_least_one(sizes: list[int], limit: int) -> None:
    items = items_of(sizes)
    kept = limit_items(items, limit)

    assert items[: len(kept)] == kept
    fitting = max([n for n in range(len(sizes) + 1) if sum(sizes[:n]) <= limit])
    assert len(kept) == sum(sizes[: max(fitting, min(1, len(sizes)))])


@pytest.mark.parametrize("limit", [0, -3])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match=f"limit is {limit}; expected 1 or more"):
        limit_items(items_of([2]), limit)
