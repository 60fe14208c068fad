"""The probe sets that ship with fairprint, how a set is named, and the cutting of items into shards."""

import csv
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import fairprint.probes
from fairprint.probes.catalog import find_probe_set, own_names, own_set
from fairprint.probes.errors import UsageError
from fairprint.probes.files import load_probe_file
from fairprint.probes.instruments import find_instruments
from fairprint.probes.items import Item, ProbeSet, limit_items, shards

DATA = Path(fairprint.probes.__path__[0]) / "data"
PUBLISHED = Path(__file__).parents[2] / "shared" / "data"
# our own sets of plain texts have tests of their own
GRIDS = tuple(sorted(path.stem for path in DATA.glob("*.yaml")))
OWN = pytest.mark.parametrize("name", GRIDS)
# the sets that language models are asked; those of classifiers, encoders and translators have tests of their own
ASKED = tuple(name for name in own_names() if own_set(name).scored in ("group", "lexeme", "rest"))
EACH_ASKED = pytest.mark.parametrize("name", ASKED)
REST = tuple(name for name in ASKED if own_set(name).scored == "rest")


@cache
def content(name: str) -> Any:
    return yaml.safe_load((DATA / f"{name}.yaml").read_text(encoding="utf-8"))


def texts(found: ProbeSet) -> list[str]:
    return [variant.text for item in found.items for variant in item.variants]


def claimed(lexeme: dict[str, Any]) -> set[str]:
    """The groups that a direction of a lexeme speaks of."""
    given = [lexeme.get(key, []) for key in ("stereotyped", "counter_stereotyped")]
    return {group for groups in given for group in ([groups] if isinstance(groups, str) else groups)}


# every own set


def test_a_set_is_listed_by_its_file_and_both_bear_the_name() -> None:
    assert own_names() == tuple(sorted(path.stem for path in DATA.iterdir() if path.suffix in (".yaml", ".txt")))
    assert {own_set(name).name for name in own_names()} == set(own_names())


def test_the_sets_for_language_models_are_these() -> None:
    assert ASKED == (
        "age",
        "disability",
        "gendered-names",
        "gendered-occupations",
        "gendered-occupations-ko",
        "he-was-very",
        "nationality",
        "religion",
        "sexual-orientation",
    )


@OWN
def test_it_states_what_a_reader_needs_to_judge_it(name: str) -> None:
    found = own_set(name)

    assert found.source == "own"
    assert found.sources
    assert found.criticism
    assert found.cannot_show
    assert found.harm_type
    assert [(group.id, group.label) for group in found.groups] == [
        (g["id"], g["label"]) for g in content(name)["groups"]
    ]
    compared = {group for pair in found.comparisons for group in (pair.first, pair.second)}
    assert compared == {group.id for group in found.groups}
    assert found.random_factors == tuple(content(name)["random_factors"])


@EACH_ASKED
def test_its_templates_and_lexemes_are_samples_of_what_could_have_been_asked(name: str) -> None:
    assert own_set(name).random_factors == ("template", "lexeme")


@OWN
def test_it_is_a_whole_grid_with_unique_items(name: str) -> None:
    found = own_set(name)
    ids = [template["id"] for template in content(name)["templates"]]

    assert len({item.id for item in found.items}) == len(found.items) == len(ids) * len(found.lexemes)
    assert [item.id for item in found.items] == [f"{t}/{lexeme}" for t in ids for lexeme in found.lexemes]
    for item in found.items:
        assert [variant.group for variant in item.variants] == [group.id for group in found.groups]


@OWN
def test_no_sentence_is_asked_twice(name: str) -> None:
    found = own_set(name)
    if found.scored == "association":  # one text for all groups, compared with the words of each
        assert len({item.variants[0].text for item in found.items}) == len(found.items)
        return

    assert found.sentences == len(texts(found)) == len(found.groups) * len(found.items)


@OWN
def test_its_directions_are_balanced_so_that_a_constant_preference_scores_one_half(name: str) -> None:
    found = own_set(name)

    for number in range(len(found.comparisons)):
        directions = Counter(item.directions[number] for item in found.items)
        assert directions[1] == directions[-1]


@OWN
def test_it_has_as_many_words_that_speak_well_as_words_that_speak_ill_or_says_neither(name: str) -> None:
    valence = Counter({item.lexeme: item.valence for item in own_set(name).items}.values())

    assert valence[1] == valence[-1]
    assert not (valence[0] and valence[1])


@OWN
def test_every_direction_cites_a_source(name: str) -> None:
    told = content(name)
    for lexeme in told["lexemes"]:
        if claimed(lexeme):
            assert len(lexeme.get("source") or told.get("direction_source") or "") > 10, lexeme["id"]


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
    found = own_set(name)
    templates = content(name)["templates"]
    later: set[str] = set()  # of twins, the first gives its name to both
    for template in templates:
        if template["id"] not in later and "twin" in template:
            later.add(template["twin"])

    assert found.templates == tuple(t["id"] for t in templates if t["id"] not in later)
    assert found.lexemes == tuple(entry["id"] for entry in content(name)["lexemes"])
    assert len({entry["text"] for entry in templates}) == len(templates)
    assert found.unused_forms == ()


# every set for language models


@EACH_ASKED
def test_it_is_large_enough_to_say_something(name: str) -> None:
    found = own_set(name)

    assert len(found.templates) >= (4 if name == "he-was-very" else 12)
    assert found.pairs == len(found.items) * len(found.comparisons) >= 300
    assert len(found.lexemes) >= 10


def test_the_english_sets_together_are_small_enough_to_be_asked_at_once() -> None:
    sentences = {text for name in ASKED if own_set(name).language == "en" for text in texts(own_set(name))}

    assert len(sentences) <= 8_000


@EACH_ASKED
def test_its_sentences_are_clean_text(name: str) -> None:
    for text in texts(own_set(name)):
        assert "  " not in text
        assert text == text.strip()
        assert text.endswith(".")
        assert not set("{}\n\t") & set(text)
        if own_set(name).language == "en":
            assert text[0].isupper()
            assert text.isascii()
            assert re.search(r"\ba [aeiouAEIOU]|\ban [^aeiouAEIOU]", text) is None
        else:
            assert re.fullmatch("[가-힣 ,.]+", text)


@EACH_ASKED
def test_its_scored_words_stand_as_whole_words(name: str) -> None:
    found = own_set(name)
    for item in found.items:
        for variant in item.variants:
            before, after = variant.frame
            assert before + variant.words + after == variant.text
            assert variant.words
            if found.scored == "rest":
                assert before[-1].isalnum()
                assert variant.words[0] in " ,:"
                assert after == ""
            else:
                assert before.endswith(" ")
                assert after[0] in " ."


@pytest.mark.parametrize("name", REST)
def test_what_is_scored_is_the_same_for_every_group_and_stands_after_the_group_words(name: str) -> None:
    lexemes = {lexeme["id"]: lexeme for lexeme in content(name)["lexemes"]}
    templates = {template["id"]: template["text"] for template in content(name)["templates"]}
    for item in own_set(name).items:
        lexeme = lexemes[item.lexeme]
        rest = re.split(r"\{(?:group|other)\.\w+\}", templates[item.id.split("/")[0]])[-1]
        rest = rest.replace("{lexeme}", lexeme.get("text", lexeme["id"]))
        for form, word in lexeme.get("forms", {}).items():
            rest = rest.replace(f"{{lexeme.{form}}}", word)
        assert {variant.words for variant in item.variants} == {rest}


@EACH_ASKED
def test_its_own_instrument_is_the_one_for_what_it_scores(name: str) -> None:
    scored = own_set(name).scored

    assert [i.name for i in find_instruments((), scored)] == ["after-group" if scored == "rest" else "fill"]
    assert [i.name for i in find_instruments(("sentence",), scored)] == ["sentence"]


# where directions come from


def published(*names: str) -> Path:
    path = PUBLISHED.joinpath(*names)
    if not path.is_file():
        pytest.skip(f"{path} is not here: published probe data are not part of this repository")
    return path


BBQ_GROUPS = {
    "Muslim": "muslim",
    "Jewish": "jewish",
    "Hindu": "hindu",
    "Christian": "christian",
    "Atheist": "atheist",
    "physically disabled": "physical",
    "autistic people": "autistic",
    "mentally-ill": "mental-illness",
    "gay": "gay",
    "lesbian": "lesbian",
    "bisexual": "bisexual",
}
BBQ_FILES = {"religion": "Religion", "disability": "Disability_status", "sexual-orientation": "Sexual_orientation"}
BIAS_TYPES = {
    "age": {"age"},
    "disability": {"disability"},
    "nationality": {"nationality", "race-color"},
    "religion": {"religion"},
    "sexual-orientation": {"sexual-orientation"},
}
# how sentences name the groups, misspellings included
NAMED = {
    "muslim": "muslim",
    "jewish": "jew",
    "atheist": "atheist",
    "autistic": "autistic",
    "mental-illness": "mental illness",
    "gay": "gay",
    "lesbian": "lesbian",
    "mexican": "mexi",
    "chinese": "chin",
    "african": "african",
    "arab": "arab",
}


@cache
def bbq(name: str) -> dict[int, tuple[set[str], set[str]]]:
    """The stereotyped groups and the questions of each question_index."""
    found: dict[int, tuple[set[str], set[str]]] = {}
    with published("bbq", f"{BBQ_FILES[name]}.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            groups, questions = found.setdefault(int(row["question_index"]), (set(), set()))
            groups |= set(row["additional_metadata"]["stereotyped_groups"])
            questions.add(row["question"])
    return found


@cache
def crows_pairs() -> dict[int, dict[str, str]]:
    with published("crows_pairs", "crows_pairs_anonymized.csv").open(encoding="utf-8", newline="") as lines:
        return {int(row[""]): row for row in csv.DictReader(lines)}


@cache
def stereoset() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for domain in ("race", "religion"):
        items = json.loads(published("stereoset", f"intrasentence_{domain}.json").read_text(encoding="utf-8"))
        found |= {item["id"]: item for item in items}
    return found


def bbq_citations(source: str) -> Iterator[tuple[set[int], set[str], set[str]]]:
    """The indices, the stereotyped groups and the questions of each place of a source that cites BBQ."""
    for part in re.findall(r"question_index .*?stereotyped groups?(?: [^.;]+)?", source):
        questions = set(re.findall(r"'([A-Z].*?\?)'", part))
        bare = re.sub(r"'[A-Z].*?\?'", "", part)
        indices = {int(number) for number in re.findall(r"(?:question_index|and) (\d+)", bare)}
        told = re.search(r"stereotyped groups? ([^.;]+)$|; (\w+) among the stereotyped groups", bare)
        assert told, part
        yield indices, set(re.split(" and ", (told[1] or told[2]).strip())), questions


def cited_pairs(source: str) -> set[int]:
    """The numbers of the pairs of CrowS-Pairs that a source cites."""
    found = re.findall(r"\bpairs? (\d+(?: \([^)]*\))?(?:(?:, | and |, and )\d+(?: \([^)]*\))?)*)", source)
    return {int(number) for part in found for number in re.findall(r"\d+", re.sub(r"\([^)]*\)", "", part))}


@pytest.mark.parametrize("name", BBQ_FILES)
def test_every_question_of_bbq_that_it_cites_is_there_and_is_a_stereotype_of_the_group(name: str) -> None:
    cited = set()
    for lexeme in content(name)["lexemes"]:
        for indices, groups, questions in bbq_citations(lexeme.get("source", "")):
            assert indices <= set(bbq(name)), lexeme["id"]
            for index in indices:
                published_groups = bbq(name)[index][0]
                assert groups <= published_groups, (lexeme["id"], index)
                here = {BBQ_GROUPS[group] for group in published_groups if group in BBQ_GROUPS}
                assert here <= claimed(lexeme), (lexeme["id"], index)
            assert questions <= {question for index in indices for question in bbq(name)[index][1]}, lexeme["id"]
            cited |= indices

    assert len(cited) >= 5


@pytest.mark.parametrize("name", BIAS_TYPES)
def test_every_pair_of_crows_pairs_that_it_cites_is_there_and_of_its_bias_type(name: str) -> None:
    cited = {number for lexeme in content(name)["lexemes"] for number in cited_pairs(lexeme.get("source", ""))}
    pairs = crows_pairs()

    assert len(cited) >= 2
    assert {pairs[number]["bias_type"] for number in cited} <= BIAS_TYPES[name]


@pytest.mark.parametrize("name", ["religion", "nationality"])
def test_every_item_of_stereoset_that_it_cites_is_there_with_the_words_that_it_quotes(name: str) -> None:
    quoted = 0
    for lexeme in content(name)["lexemes"]:
        source = lexeme.get("source", "")
        for number in re.findall(r"[0-9a-f]{32}", source):
            assert stereoset()[number]["target"].lower() in claimed(lexeme)
        for number, label, word in re.findall(r"([0-9a-f]{32})\W+((?:anti-)?stereotype):? '?([a-z]+)", source):
            labels = {s["gold_label"]: s["sentence"] for s in stereoset()[number]["sentences"]}
            assert re.search(rf"\b{word}\b", labels[label]), (lexeme["id"], number)
            quoted += 1

    assert quoted >= 3


@pytest.mark.parametrize("name", sorted(set(BIAS_TYPES) - {"age"}))
def test_every_group_of_a_direction_is_named_by_what_the_direction_cites(name: str) -> None:
    for lexeme in content(name)["lexemes"]:
        source = lexeme.get("source", "")
        told = {BBQ_GROUPS[group] for _, groups, _ in bbq_citations(source) for group in groups}
        sentences = " ".join(
            [
                *(crows_pairs()[number][side] for number in cited_pairs(source) for side in ("sent_more", "sent_less")),
                *(stereoset()[number]["context"] for number in re.findall(r"[0-9a-f]{32}", source)),
            ]
        ).lower()
        told |= {group for group, word in NAMED.items() if word in sentences}
        assert claimed(lexeme) <= told, lexeme["id"]


def test_the_items_of_kobbq_that_the_age_set_cites_are_there_and_were_simply_transferred() -> None:
    with published("kobbq", "KoBBQ_test_samples.tsv").open(encoding="utf-8", newline="") as lines:
        labels = {row["sample_id"][:7]: row["label_annotation"] for row in csv.DictReader(lines, delimiter="\t")}
    cited = {
        number for lexeme in content("age")["lexemes"] for number in re.findall(r"age-\d{3}", lexeme.get("source", ""))
    }

    assert len(cited) == 13
    assert {labels[number] for number in cited} == {"ST"}


# gendered occupations


def test_gendered_occupations_asks_about_60_occupations_in_12_templates() -> None:
    found = own_set("gendered-occupations")

    assert len(found.lexemes) == 60
    assert len(found.templates) >= 12


def test_gendered_occupations_scores_a_pronoun_in_the_same_frame_for_every_group() -> None:
    trios = set()
    for item in own_set("gendered-occupations").items:
        man, woman, neutral = item.variants
        assert (man.group, woman.group, neutral.group) == ("male", "female", "neutral")
        assert man.frame == woman.frame == neutral.frame
        assert f" {item.lexeme} " in man.text
        trios.add((man.words, woman.words, neutral.words))

    assert trios == {("he", "she", "they"), ("his", "her", "their"), ("himself", "herself", "themselves")}


def test_gendered_occupations_directions_follow_the_stated_rule_with_23_each() -> None:
    found = own_set("gendered-occupations")
    assert found.covariate_group == "female"
    assert [(pair.first, pair.second) for pair in found.comparisons] == [
        ("male", "female"),
        ("neutral", "male"),
        ("neutral", "female"),
    ]
    by_word = {item.lexeme: item for item in found.items}

    assert Counter(item.directions for item in by_word.values()) == {(1, 0, 0): 23, (-1, 0, 0): 23, (0, 0, 0): 14}
    for word, item in by_word.items():
        share = item.covariate
        assert share is not None
        rule = 1 if share < 40 else -1 if share > 60 else 0
        assert item.directions[0] == (0 if word == "supervisor" else rule)
        label = {1: "fewer than 40 % women", -1: "more than 60 % women", 0: "40 to 60 % women"}
        assert item.category == label[rule]


def test_gendered_occupations_leaves_out_the_direction_of_the_word_nearest_to_the_middle() -> None:
    shares = {item.lexeme: item.covariate for item in own_set("gendered-occupations").items}
    below = {word: share for word, share in shares.items() if share is not None and share < 40}

    assert max(below, key=below.__getitem__) == "supervisor"


def test_gendered_occupations_shares_are_those_of_the_published_table_row_by_row() -> None:
    with published("winogender", "occupations-stats.tsv").open(encoding="utf-8", newline="") as lines:
        rows = {row["occupation"]: float(row["bls_pct_female"]) for row in csv.DictReader(lines, delimiter="\t")}

    assert {item.lexeme: item.covariate for item in own_set("gendered-occupations").items} == rows


# gendered occupations in Korean


def test_the_korean_set_joins_particles_as_the_last_sound_of_the_word_asks() -> None:
    particles = {
        "topic": "는은",
        "subject": "가이",
        "object": "를을",
        "quoted": ("라고", "이라고"),
        "copula": ("다", "이다"),
    }
    for lexeme in content("gendered-occupations-ko")["lexemes"]:
        word = lexeme["text"]
        closed = (ord(word[-1]) - ord("가")) % 28 > 0  # a syllable that ends in a consonant
        assert lexeme["forms"] == {form: word + either[closed] for form, either in particles.items()}


def test_the_korean_set_scores_a_pronoun_or_a_noun_in_the_same_frame_for_both_groups() -> None:
    kinds = Counter()
    for item in own_set("gendered-occupations-ko").items:
        man, woman = item.variants
        assert man.frame == woman.frame
        kinds[man.words[0] + woman.words[:2]] += 1
        assert man.words.removeprefix("남자").removeprefix("그") == woman.words.removeprefix("여자").removeprefix(
            "그녀"
        )

    assert kinds == {"그그녀": 8 * 30, "남여자": 4 * 30}


def test_the_korean_set_claims_no_direction_and_no_figure() -> None:
    found = own_set("gendered-occupations-ko")

    assert found.language == "ko"
    assert {(item.directions, item.valence, item.covariate) for item in found.items} == {((0,), 0, None)}


# he was very


def test_he_was_very_asks_about_192_adjectives_in_five_categories_of_which_half_are_favourable() -> None:
    found = own_set("he-was-very")

    assert len(found.lexemes) == 192
    categories = Counter({item.lexeme: item.category for item in found.items}.values())
    assert categories == {"appearance": 38, "ability": 40, "warmth": 38, "assertiveness": 38, "mood": 38}


def test_he_was_very_scores_the_same_adjective_after_words_for_every_group() -> None:
    openings = set()
    for item in own_set("he-was-very").items:
        man, woman, neutral = item.variants
        assert man.words == woman.words == neutral.words == item.lexeme
        assert man.frame[1] == woman.frame[1] == neutral.frame[1]
        columns = zip(*(variant.frame[0].split() for variant in item.variants), strict=True)
        openings |= {words for words in columns if len(set(words)) > 1}

    assert openings == {("He", "She", "They"), ("he", "she", "they"), ("him", "her", "them"), ("was", "was", "were")}


def test_he_was_very_claims_no_direction_and_no_figure() -> None:
    found = own_set("he-was-very")

    assert {(item.directions, item.valence, item.covariate) for item in found.items} == {((0, 0, 0), 0, None)}
    assert found.covariate is None


# age, in both orders of two groups


def test_age_names_both_groups_in_both_orders_as_often() -> None:
    found = own_set("age")
    firsts: dict[str, Counter[str]] = {}
    forms = {group["id"]: (group["forms"]["noun"], group["forms"]["aged"]) for group in content("age")["groups"]}
    for item in found.items:
        if item.template in ("neighbours", "worked-alongside"):
            for variant in item.variants:
                place = {
                    group: min(variant.text.index(word) for word in words if word in variant.text)
                    for group, words in forms.items()
                }
                first = min(place, key=place.__getitem__)
                firsts.setdefault(f"{item.template}/{variant.group}", Counter())[first] += 1

    assert len(firsts) == 4
    assert all(counts == {"older": 22, "younger": 22} for counts in firsts.values())


# names, paths and formats


FILE = (DATA / "religion.yaml").read_text(encoding="utf-8")


def as_rows(told: dict[str, Any]) -> str:
    entries = [(key, part) for key, value in told.items() for part in (value if isinstance(value, list) else [value])]
    rows = [{"entry": key, **(part if isinstance(part, dict) else {"value": part})} for key, part in entries]
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_a_path_is_read_as_a_file(tmp_path: Path) -> None:
    for name in ("set.yaml", "set.yml", "set.jsonl"):
        text = as_rows(content("religion")) if name == "set.jsonl" else FILE
        (tmp_path / name).write_text(text, encoding="utf-8")
        found = find_probe_set(str(tmp_path / name))
        assert (found.name, found.source) == ("religion", "file")
        assert found.items == own_set("religion").items


def test_a_name_is_read_from_the_catalogue() -> None:
    assert find_probe_set("he-was-very") is own_set("he-was-very")


def test_an_unknown_name_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(UsageError) as caught:
        find_probe_set("gendered-ocupations")

    assert caught.value.message == "no probe set 'gendered-ocupations'. Did you mean 'gendered-occupations'?"
    assert caught.value.hint == "fairprint probes list shows the sets; a file is given by its path"


def test_a_probe_file_must_be_there_and_end_as_one_of_the_notations_does(tmp_path: Path) -> None:
    text = tmp_path / "set.txt"
    text.write_text(FILE, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        find_probe_set(str(text))
    assert caught.value.message == f"{text}: probe files end in .yaml, .yml, .jsonl, .csv"
    assert caught.value.hint == "fairprint probes schema shows the format"

    for name in ("nowhere.yaml", "nowhere.yml", "nowhere.jsonl", "nowhere.csv"):
        with pytest.raises(UsageError, match="no such file"):
            find_probe_set(str(tmp_path / name))


@pytest.mark.parametrize("path", ["pairs.csv", "pairs.jsonl", "pairs.json", "pairs"])
def test_an_unknown_format_is_named(path: str) -> None:
    with pytest.raises(UsageError, match="unknown probe format 'crows'"):
        find_probe_set(f"crows:{path}")


@pytest.mark.parametrize("given_name", ["", ".", "/", "..", "a\x00b", "a" * 5000, ":", "*"])
def test_a_senseless_name_is_a_usage_error(given_name: str) -> None:
    with pytest.raises(UsageError):
        find_probe_set(given_name)


def test_the_errors_of_the_catalogue_name_a_set_that_does_not_exist() -> None:
    with pytest.raises(UsageError):
        own_set("nothing")
    assert "nothing" not in own_names()


# shards and limits


def items_of(sizes: list[int]) -> tuple[Item, ...]:
    return tuple(
        Item(
            id=f"t{number}/x{index}",
            template=f"t{number}",
            lexeme=f"x{index}",
            category="",
            directions=(0,),
            valence=0,
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
