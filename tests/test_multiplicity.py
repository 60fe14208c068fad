"""The report's family of tests: what belongs to it, and which tests survive."""

import pytest
import sample_record
from scipy import stats

from fairprint.audit.findings import Family
from fairprint.audit.multiplicity import REPORT, corrected, families, survives
from fairprint.audit.records import Estimate

BASE = sample_record.estimate("stereotype_score", "a set / fill", "all", 0.6, 0.05)
WORDS = "group_gap by word in a set"


def with_p(p: float | None, family: str | None = None, **told: object) -> Estimate:
    return BASE.model_copy(update={"p_value": p, "q_value": None, "family": family, **told})


def test_all_tests_that_name_no_family_are_corrected_together_whatever_set_or_metric_they_are_of() -> None:
    p_values = [0.001, 0.03, 0.2, 0.04, 0.9]
    places = [{"metric": "a"}, {"metric": "b"}, {"probe_set": "c"}, {"scope": "category:d"}, {"instrument": "e"}]

    found = corrected([with_p(p, **place) for p, place in zip(p_values, places, strict=True)])

    assert [e.q_value for e in found] == pytest.approx(stats.false_discovery_control(p_values).tolist(), abs=1e-12)
    assert {e.family for e in found} == {REPORT}


def test_the_words_of_a_set_are_a_family_of_their_own() -> None:
    words = [0.01, 0.02, 0.03]

    found = corrected([with_p(0.04), *[with_p(p, WORDS) for p in words], with_p(0.5)])

    assert [e.q_value for e in found[1:4]] == pytest.approx(stats.false_discovery_control(words).tolist())
    assert [e.q_value for e in (found[0], found[4])] == [0.08, 0.5]
    assert [e.family for e in found] == [REPORT, WORDS, WORDS, WORDS, REPORT]


def test_what_is_not_tested_has_neither_q_value_nor_family() -> None:
    found = corrected([with_p(0.01), with_p(None), with_p(None, WORDS)])

    assert [(e.q_value, e.family) for e in found] == [(0.01, REPORT), (None, None), (None, None)]
    assert [survives(e) for e in found] == [True, None, None]


def test_the_tests_of_a_set_may_be_corrected_again_with_those_of_the_whole_run() -> None:
    first, second = [with_p(0.01), with_p(0.02, WORDS)], [with_p(0.04), with_p(0.3, WORDS), with_p(0.8)]

    assert corrected([*corrected(first), *corrected(second)]) == corrected([*first, *second])


def test_the_order_of_the_estimates_stays_and_nothing_else_of_them_changes() -> None:
    given = [with_p(0.3, metric="a"), with_p(0.01, metric="b"), with_p(None, metric="c")]

    found = corrected(given)

    assert [e.metric for e in found] == ["a", "b", "c"]
    assert [e.model_copy(update={"q_value": None, "family": None}) for e in found] == given


def test_each_family_tells_how_many_tests_it_has_and_how_many_survive_the_reports_own_first() -> None:
    words = [with_p(p, WORDS) for p in (0.001, 0.04, 0.9)]
    found = families(corrected([*words, with_p(0.02), with_p(0.03), with_p(0.6), with_p(None)]))

    # the words: .001 x 3 survives, .04 x 3 / 2 does not; the report: .02 x 3 and .03 x 3 / 2 are both .045
    method = {"rate": 0.05, "method": "Benjamini-Hochberg"}
    assert found == (
        Family(name=REPORT, tests=3, survive=2, **method),
        Family(name=WORDS, tests=3, survive=1, **method),
    )


def test_without_any_test_there_is_no_family() -> None:
    assert families(corrected([with_p(None)])) == ()
    assert corrected([]) == []
