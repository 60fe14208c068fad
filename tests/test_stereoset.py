"""StereoSet: its three scores by term, and the authors' recorded sentence scores to a report with their own figures."""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzz import damaged
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairprint.audit.evaluate import evaluate
from fairprint.audit.pair_metrics import CLEAN
from fairprint.audit.recorded import read_recording
from fairprint.audit.records import Estimate, RunRecord
from fairprint.audit.runner import audit
from fairprint.audit.triple_metrics import GROUPS, triple_parts
from fairprint.probes.errors import FairprintError, ProbeFileError, UsageError
from fairprint.probes.forms import TRIPLE
from fairprint.probes.items import Comparison, Group, Item, ProbeSet, Variant
from fairprint.probes.scores import LIKENESS, LOGPROB, Score
from fairprint.reports.html import render_report

DATA = Path(__file__).parents[2] / "shared" / "data" / "stereoset"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs the published sentence scores in ../shared/data")
FIGURES = {"stereoset_lms": "LM Score", "stereoset_ss": "SS Score", "stereoset_icat": "ICAT Score"}
Triple = tuple[float | None, float | None, float | None]
"""Scores of the stereotype, the anti-stereotype and the unrelated sentence."""


def triple(name: str, term: str, category: str = "race", flags: tuple[str, ...] = ()) -> Item:
    return Item(
        id=name,
        template=name,
        lexeme=term,
        category=category,
        directions=(1,),
        valence=0,
        covariate=None,
        variants=tuple(Variant(group=g, text=f"{name} {g}", span=(0, 1), id=f"{name}-{g}") for g in GROUPS),
        flags=flags,
    )


def triples(items: Sequence[Item]) -> ProbeSet:
    return ProbeSet(
        name="stereoset",
        version=1,
        title="Triples",
        summary="",
        measures="",
        harm_type="",
        language="en",
        licence="",
        sources=(),
        criticism=(),
        cannot_show=(),
        groups=tuple(Group(id=group, label=group) for group in GROUPS),
        comparisons=(Comparison(first=GROUPS[0], second=GROUPS[1]),),
        scored=TRIPLE,
        random_factors=("lexeme",),
        covariate=None,
        covariate_group=None,
        items=tuple(items),
        sha256="",
        source="file",
        quality={"rule": "what it means"},
    )


def found(items: Sequence[Item], values: Sequence[Triple], name: str = LIKENESS) -> dict[tuple[str, str], Estimate]:
    scores = [
        Score(
            item=item.id,
            template=item.template,
            lexeme=item.lexeme,
            category=item.category,
            group=group,
            name=name,
            value=value,
        )
        for item, three in zip(items, values, strict=True)
        for group, value in zip(GROUPS, three, strict=True)
    ]
    estimates = evaluate(triples(items), items, scores, "stereoset")
    return {(estimate.metric, estimate.scope): estimate for estimate in estimates}


def by_terms(items: Sequence[Item], values: Sequence[Triple]) -> tuple[float, float, float]:
    """Compute LMS, SS and ICAT term by term."""
    counts: dict[str, list[int]] = {}
    for item, (pro, anti, unrelated) in zip(items, values, strict=True):
        assert pro is not None
        assert anti is not None
        assert unrelated is not None
        of = counts.setdefault(item.lexeme, [0, 0, 0])
        of[0] += pro > anti
        of[1] += (pro > unrelated) + (anti > unrelated)
        of[2] += 1
    ss = sum(pro / n for pro, _, n in counts.values()) / len(counts)
    lms = sum(related / (2 * n) for _, related, n in counts.values()) / len(counts)
    return lms, ss, lms * min(ss, 1 - ss) / 0.5


ITEMS = [
    triple("1", "Iranian"),
    triple("2", "Iranian"),
    triple("3", "Iranian", flags=("rule",)),
    triple("4", "Bible", "religion"),
]
VALUES: list[Triple] = [(0.3, 0.2, 0.1), (0.1, 0.2, 0.15), (0.2, 0.2, 0.2), (0.4, 0.1, 0.2)]
"""Iranian: SS 1/3, LMS 3/6; Bible: SS 1, LMS 1/2."""


class TestScores:
    def test_terms_count_alike_however_many_items_they_have(self) -> None:
        estimates = found(ITEMS, VALUES)
        assert estimates["stereoset_ss", "all"].value == pytest.approx((1 / 3 + 1) / 2, abs=1e-12)
        assert estimates["stereoset_lms", "all"].value == pytest.approx((3 / 6 + 1 / 2) / 2, abs=1e-12)
        assert estimates["stereoset_icat", "all"].value == pytest.approx(1 / 2 * (1 / 3) / 0.5, abs=1e-12)

    def test_a_tie_is_a_win_of_the_anti_stereotype_and_of_the_unrelated_sentence(self) -> None:
        estimates = found([triple("1", "a")], [(0.2, 0.2, 0.2)])
        assert estimates["stereoset_ss", "all"].value == 0.0
        assert estimates["stereoset_lms", "all"].value == 0.0

    def test_a_difference_of_any_size_is_no_tie(self) -> None:
        estimates = found([triple("1", "a")], [(2e-30, 1e-30, 1.5e-30)])
        assert (estimates["stereoset_ss", "all"].value, estimates["stereoset_lms", "all"].value) == (1.0, 0.5)

    def test_categories_and_the_items_without_flags_have_their_own(self) -> None:
        estimates = found(ITEMS, VALUES)
        assert estimates["stereoset_ss", "category:race"].value == pytest.approx(1 / 3)
        assert estimates["stereoset_ss", "category:religion"].value == 1.0
        assert estimates["stereoset_ss", CLEAN].value == pytest.approx((1 / 2 + 1) / 2)
        assert estimates["stereoset_ss", CLEAN].items == 3
        assert {scope for _, scope in estimates} == {"all", "category:race", "category:religion", CLEAN}

    def test_only_the_preference_has_a_neutral_value_and_is_tested(self) -> None:
        generator = np.random.default_rng(5)
        items = [triple(f"{n}", f"term{n % 12}", ("race", "gender")[n % 2]) for n in range(120)]
        estimates = found(items, [tuple(generator.normal((0.5, 0, -1)).tolist()) for _ in items])
        for (metric, _), estimate in estimates.items():
            tested = metric == "stereoset_ss"
            assert (estimate.neutral == 0.5, estimate.p_value is not None) == (tested, tested)
            assert (estimate.q_value is not None) == tested
            assert estimate.neutral_why

    def test_the_kinked_score_has_an_interval_on_its_own_scale_within_its_range(self) -> None:
        items = [triple(f"{n}", f"term{n % 3}") for n in range(30)]
        values: list[Triple] = [(0.9, 0.1, 0.5) if n < 16 else (0.1, 0.9, 0.05) for n in range(30)]
        icat = found(items, values)["stereoset_icat", "all"]
        assert icat.scale == "identity"
        assert icat.low is not None
        assert icat.high is not None
        assert 0 <= icat.low <= (icat.value or 0) <= icat.high <= 1

    def test_the_interval_rests_on_terms(self) -> None:
        generator = np.random.default_rng(9)
        items = [triple(f"{n}", f"term{n % 8}") for n in range(64)]
        values = [tuple(generator.normal(0, 1, 3).tolist()) for _ in items]
        icat = found(items, values)["stereoset_icat", "all"]
        left = []
        for term in range(8):
            kept = [n for n in range(64) if n % 8 != term]
            left.append(by_terms([items[n] for n in kept], [values[n] for n in kept])[2])
        error = math.sqrt(7 / 8 * ((np.array(left) - np.mean(left)) ** 2).sum())
        assert icat.standard_error == pytest.approx(error, abs=1e-12)
        assert icat.units == {"lexeme": 8}

    def test_a_single_term_has_scores_and_no_interval(self) -> None:
        estimates = found([triple("1", "a"), triple("2", "a")], [(0.3, 0.2, 0.1), (0.1, 0.2, 0.05)])
        score = estimates["stereoset_ss", "all"]
        assert (score.value, score.low, score.high) == (0.5, None, None)
        assert score.reason == "a single unit: nothing to estimate a variance from"

    def test_log_probabilities_are_read_where_an_instrument_gives_no_others(self) -> None:
        estimates = found([triple("1", "a")], [(-10.0, -11.0, -10.5)], LOGPROB)
        assert (estimates["stereoset_ss", "all"].value, estimates["stereoset_lms", "all"].value) == (1.0, 0.5)
        assert list(triple_parts(triples(ITEMS), ITEMS, [])) == []


values_of_three = st.tuples(*[st.sampled_from((0.1, 0.2, 0.3)) | st.floats(0, 1)] * 3)


@given(st.lists(st.tuples(st.sampled_from("abcd"), values_of_three), min_size=1, max_size=20))
def test_scores_from_sums_are_those_of_a_loop_over_terms(drawn: list[tuple[str, Any]]) -> None:
    items = [triple(str(n), term) for n, (term, _) in enumerate(drawn)]
    values = [three for _, three in drawn]
    estimates = found(items, values)
    got = [estimates[metric, "all"].value for metric in ("stereoset_lms", "stereoset_ss", "stereoset_icat")]
    assert got == pytest.approx(by_terms(items, values), abs=1e-12)


class TestMissing:
    def test_an_item_counts_where_all_three_of_its_sentences_have_a_score(self) -> None:
        estimates = found(ITEMS, [*VALUES[:3], (0.4, 0.1, None)])
        for metric in FIGURES:
            assert (estimates[metric, "all"].items, estimates[metric, "all"].missing) == (3, 1)
            assert estimates[metric, "all"].units == {}
        assert estimates["stereoset_ss", "all"].value == pytest.approx(1 / 3)
        lost = estimates["stereoset_ss", "category:religion"]
        assert (lost.value, lost.reason, lost.bound_low) == (None, "no item has an answer", None)

    def test_the_worst_cases_are_those_of_all_that_the_missing_items_could_have_been(self) -> None:
        items = [triple(str(n), term) for n, term in enumerate("aaabbc")]
        known: list[Triple] = [(3, 2, 1), (2, 3, 1), (None, 2, 1), (3, 1, 2), (1, None, 2), (1, 2, 3)]
        estimates = found(items, known)
        kinds: list[Triple] = [tuple(order) for order in itertools.permutations((1.0, 2.0, 3.0))]  # type: ignore[misc]
        could = [
            by_terms(items, [one if n == 2 else two if n == 4 else three for n, three in enumerate(known)])
            for one, two in itertools.product(kinds, kinds)
        ]
        for place, metric in enumerate(("stereoset_lms", "stereoset_ss")):
            ends = (min(c[place] for c in could), max(c[place] for c in could))
            estimate = estimates[metric, "all"]
            assert (estimate.bound_low, estimate.bound_high) == pytest.approx(ends, abs=1e-12)
        icat = estimates["stereoset_icat", "all"]
        assert icat.bound_low is not None
        assert icat.bound_high is not None
        assert icat.bound_low <= min(c[2] for c in could) <= max(c[2] for c in could) <= icat.bound_high <= 1

    def test_without_missing_items_there_are_no_worst_cases(self) -> None:
        assert found(ITEMS, VALUES)["stereoset_lms", "all"].bound_low is None


def predictions(path: Path, *parts: tuple[str, Sequence[Mapping[str, Any]]]) -> Path:
    path.write_text(json.dumps(dict(parts)), encoding="utf-8")
    return path


def ask(path: Path, probe_set: ProbeSet, tmp_path: Path) -> RunRecord:
    return audit(f"recorded:stereoset:{path}", [probe_set], store=tmp_path / "store", country_iso_code="KOR")


def as_entries(values: Sequence[Triple]) -> list[dict[str, Any]]:
    return [
        {"id": f"{item.id}-{group}", "score": value}
        for item, three in zip(ITEMS, values, strict=True)
        for group, value in zip(GROUPS, three, strict=True)
    ]


class TestRecordedPredictions:
    def test_sentences_find_their_items_by_their_own_ids(self, tmp_path: Path) -> None:
        path = predictions(tmp_path / "predictions_gpt2.json", ("intrasentence", as_entries(VALUES)))
        record = ask(path, triples(ITEMS), tmp_path)
        assert {e.instrument for e in record.estimates} == {"stereoset / stereoset"}
        assert [e for e in record.estimates if e.scope == "all"] == [
            e for (_, scope), e in found(ITEMS, VALUES).items() if scope == "all"
        ]
        assert record.plan.model.weights == "not loaded: answers of gpt2, as recorded"
        assert any("gpt2, is taken from the name of the file" in note for note in record.notes)

    def test_sentences_of_other_parts_are_counted_and_left(self, tmp_path: Path) -> None:
        others = [{"id": f"other{n}", "score": 0.5} for n in range(7)]
        entries = as_entries(VALUES)
        path = predictions(tmp_path / "p.json", ("intersentence", others), ("intrasentence", entries))
        record = ask(path, triples(ITEMS), tmp_path)
        told = "p.json: rows without an item in the probe sets: 7 of 19, the first at intersentence[0]"
        assert told in record.notes
        assert record.plan.model.weights == "not loaded: answers as recorded"

    def test_missing_sentences_are_missing_answers_where_the_authors_code_ends(self, tmp_path: Path) -> None:
        entries = as_entries(VALUES)
        entries[0]["score"] = None
        path = predictions(tmp_path / "p.json", ("intrasentence", entries[:-1]))
        record = ask(path, triples(ITEMS), tmp_path)
        overall = next(e for e in record.estimates if (e.metric, e.scope) == ("stereoset_ss", "all"))
        assert (overall.items, overall.missing) == (2, 2)
        told = "answers that are not there and count as missing: 1; the authors' code would end there with a KeyError"
        assert f"p.json: {told}" in record.notes

    def test_keys_that_are_not_read_are_told(self, tmp_path: Path) -> None:
        entries = as_entries(VALUES)
        entries[3]["rank"] = 2
        path = predictions(tmp_path / "p.json", ("intrasentence", entries), ("meta", []))
        assert "keys that were not read: meta (1), rank (1)" in ask(path, triples(ITEMS), tmp_path).notes

    def test_a_score_that_stands_twice_is_read_once(self, tmp_path: Path) -> None:
        entries = as_entries(VALUES)
        path = predictions(tmp_path / "p.json", ("intrasentence", [*entries, entries[0]]))
        assert len(read_recording(str(path), "stereoset").answers) == len(entries)

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            ("[]", "character 1: expected an object, found a list"),
            ('{"data": []}', "character 1: there is no list intrasentence or intersentence"),
            ('{"intrasentence": {}}', "intrasentence (character 19): expected a list, found an object"),
            ('{"intrasentence": [{"id": "a"}]}', "intrasentence[0] (character 20): the key 'score' is missing."),
            ('{"intrasentence": [{"score": 1}]}', "intrasentence[0] (character 20): the key 'id' is missing."),
            ('{"intrasentence": [{"id": 7, "score": 1}]}', "intrasentence[0].id (character 27): expected a text"),
            (
                '{"intrasentence": [{"id": "a", "score": "1"}]}',
                "intrasentence[0].score (character 41): expected a number, found a text",
            ),
            (
                '{"intrasentence": [{"id": "a", "score": true}]}',
                "intrasentence[0].score (character 41): expected a number, found true or false",
            ),
            ('{"intrasentence": [{"id": "a", "score": NaN}]}', "NaN is no number"),
            (
                '{"intrasentence": [{"id": "a", "score": 1}, {"id": "a", "score": 2}]}',
                "intrasentence[1] (character 45): the sentence 'a' has the score 2.0 here and 1.0 in intrasentence[0]",
            ),
            ('{"intrasentence": [{"id": "a", "score": 1}', "not valid JSON"),
        ],
    )
    def test_a_file_of_another_shape_is_refused_with_the_place(self, content: str, told: str, tmp_path: Path) -> None:
        path = tmp_path / "p.json"
        path.write_text(content, encoding="utf-8")
        with pytest.raises(ProbeFileError) as caught:
            read_recording(str(path), "stereoset")
        assert str(path) in str(caught.value)
        assert told in str(caught.value)

    def test_a_file_without_any_score_is_refused(self, tmp_path: Path) -> None:
        path = predictions(tmp_path / "p.json", ("intrasentence", []))
        with pytest.raises(UsageError, match="holds no answer"):
            read_recording(str(path), "stereoset")

    def test_scores_of_another_set_are_refused(self, tmp_path: Path) -> None:
        path = predictions(tmp_path / "p.json", ("intrasentence", [{"id": "elsewhere", "score": 1}]))
        with pytest.raises(UsageError, match="holds no answer to 'stereoset' asked with stereoset") as caught:
            ask(path, triples(ITEMS), tmp_path)
        assert "the first at intrasentence[0]" in str(caught.value.hint)

    def test_the_set_must_be_given(self, tmp_path: Path) -> None:
        path = predictions(tmp_path / "p.json", ("intrasentence", as_entries(VALUES)))
        with pytest.raises(UsageError, match="answers to 'stereoset', which is none of our own probe sets"):
            audit(f"recorded:stereoset:{path}", store=tmp_path / "store")

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
    @given(damaged(json.dumps({"intrasentence": as_entries(VALUES)}).encode(), lines=False))
    def test_a_damaged_file_is_read_or_refused_by_name(self, tmp_path: Path, data: bytes) -> None:
        path = tmp_path / "damaged.json"
        path.write_bytes(data)
        try:
            recording = read_recording(str(path), "stereoset")
        except FairprintError as error:
            assert path.name in str(error)
            return
        assert recording.answers
        assert all(answer.value is None or math.isfinite(answer.value) for answer in recording.answers)


@pytest.fixture(scope="module")
def published() -> Mapping[str, Mapping[str, Mapping[str, float]]]:
    found: dict[str, dict[str, dict[str, float]]] = json.loads((DATA / "published_scores.json").read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def both_domains(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file with the entries of both domains, as the authors' own has those of four."""
    entries = [
        entry
        for domain in ("race", "religion")
        for entry in json.loads((DATA / f"intrasentence_{domain}.json").read_text("utf-8"))
    ]
    path = tmp_path_factory.mktemp("stereoset") / "dev.json"
    path.write_text(json.dumps({"version": "1", "data": {"intrasentence": entries, "intersentence": []}}), "utf-8")
    return path


@needs_data
@pytest.mark.parametrize("model", ["gpt2", "bert-base-cased", "roberta-base"])
def test_recorded_scores_give_the_authors_own_figures_in_record_and_report(
    model: str, published: Mapping[str, Mapping[str, Mapping[str, float]]], both_domains: Path, tmp_path: Path
) -> None:
    recorded = f"recorded:stereoset:{DATA / f'predictions_{model}.json'}"
    record = audit(recorded, [f"stereoset:{both_domains}"], store=tmp_path, country_iso_code="KOR")
    estimates = {(e.metric, e.scope): e for e in record.estimates}
    page = render_report([record])
    for domain, figures in published[model].items():
        for metric, name in FIGURES.items():
            estimate = estimates[metric, f"category:{domain}"]
            assert estimate.value is not None
            assert estimate.value * 100 == pytest.approx(figures[name], abs=1e-9)
            assert estimate.items * 3 == figures["Count"]  # the authors count every item once a sentence
            assert f'<data value="{estimate.value!r}"' in page
            assert estimate.low is not None
            assert estimate.high is not None
            assert estimate.low < estimate.value < estimate.high


@needs_data
def test_a_file_of_one_domain_has_its_figures_as_those_of_the_whole(
    published: Mapping[str, Mapping[str, Mapping[str, float]]], tmp_path: Path
) -> None:
    recorded = f"recorded:stereoset:{DATA / 'predictions_gpt2.json'}"
    record = audit(recorded, [f"stereoset:{DATA / 'intrasentence_religion.json'}"], store=tmp_path)
    estimates = {(e.metric, e.scope): e for e in record.estimates}
    for metric, name in FIGURES.items():
        value = estimates[metric, "all"].value
        assert value is not None
        assert value * 100 == pytest.approx(published["gpt2"]["religion"][name], abs=1e-9)
    told = "rows without an item in the probe sets: 2,886 of 3,123, the first at intrasentence[0]"
    assert f"predictions_gpt2.json: {told}" in record.notes
