"""Worst cases of missing answers: between all that the missing items could have been."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairprint.audit.bounds import of_centred, of_difference, of_mean
from fairprint.audit.evaluate import estimates_of
from fairprint.audit.labelled_metrics import LABELLED
from fairprint.audit.metrics import METRICS, Metric, Row
from fairprint.audit.parts import Part
from fairprint.audit.records import Estimate
from fairprint.probes.catalog import own_set
from fairprint.probes.scores import GAP_UNITS, LOGPROB, PROBABILITY

NAMED = {metric.name: metric for metric in METRICS}
SET = own_set("gendered-occupations")
ANSWERS = st.lists(st.sampled_from([0.0, 0.5, 1.0, None]), min_size=2, max_size=9)


def rows(values: Sequence[float | None], sides: Sequence[int] | None = None) -> tuple[Row, ...]:
    return tuple(
        Row(
            template=f"t{number % 3}",
            lexeme=f"x{number}",
            category="",
            group="first",
            direction=1 if sides is None else sides[number],
            valence=1 if sides is None else sides[number],
            value=value,
            covariate=None,
        )
        for number, value in enumerate(values)
    )


def estimate(metric: Metric, made: tuple[Row, ...], unit: str = "") -> Estimate:
    return estimates_of(SET, "x", [Part(metric=metric, comparison=None, scope="category:a", rows=made, unit=unit)])[0]


def all_that_could_be(made: Sequence[Row], could: Sequence[float]) -> list[tuple[Row, ...]]:
    missing = [number for number, row in enumerate(made) if row.value is None]
    filled = []
    for values in itertools.product(could, repeat=len(missing)):
        told = dict(zip(missing, values, strict=True))
        filled.append(tuple(replace(row, value=told.get(n, row.value)) for n, row in enumerate(made)))
    return filled


def test_the_bounds_of_a_mean_are_those_of_missing_items_at_either_end() -> None:
    assert of_mean(0.75, 4, 2, 0, 1) == pytest.approx((3 / 6, 5 / 6))
    assert of_mean(-0.2, 5, 5, -1, 1) == pytest.approx((-0.6, 0.4))


@settings(max_examples=60)
@given(ANSWERS, st.data())
def test_a_difference_of_shares_lies_between_all_that_the_missing_answers_could_have_been(
    answers: list[float | None], data: st.DataObject
) -> None:
    sides = data.draw(st.lists(st.sampled_from([1, -1]), min_size=len(answers), max_size=len(answers)))
    values = np.array([math.nan if a is None else a for a in answers])
    first = np.array(sides) > 0

    found = of_difference(values, first, 0.0, 1.0)

    if len(set(sides)) == 1:
        assert found is None
        return
    could = []
    for told in itertools.product((0.0, 1.0), repeat=int(np.isnan(values).sum())):
        filled = values.copy()
        filled[np.isnan(values)] = told
        could.append(filled[first].mean() - filled[~first].mean())
    assert found == pytest.approx((min(could), max(could)), abs=1e-12)


@pytest.mark.parametrize("name", ["accuracy_gap", "true_positive_rate_gap"])
def test_gaps_between_shares_have_worst_cases(name: str) -> None:
    metric = LABELLED[name]
    made = rows([1, 0, None, 1, 1, None, 0, None], [1, 1, 1, -1, -1, -1, 1, -1])

    found = estimate(metric, made)

    could = [estimate(metric, filled).value for filled in all_that_could_be(made, (0.0, 1.0))]
    assert (found.bound_low, found.bound_high) == pytest.approx((min(could), max(could)), abs=1e-12)
    assert found.missing == 3


def test_a_gap_whose_answers_are_all_there_has_no_worst_cases() -> None:
    found = estimate(LABELLED["accuracy_gap"], rows([1, 0, 0, 1], [1, 1, -1, -1]))

    assert (found.bound_low, found.bound_high) == (None, None)


@pytest.mark.parametrize("name", ["group_gap", "signed_effect", "valence_gap"])
def test_gaps_of_probabilities_have_worst_cases_and_gaps_of_log_probabilities_have_none(name: str) -> None:
    metric = NAMED[name]
    made = rows([0.2, -0.4, None, 0.1, 0.6, None], [1, 1, -1, -1, 1, 1])

    found = estimate(metric, made, GAP_UNITS[PROBABILITY])
    unbounded = estimate(metric, made, GAP_UNITS[LOGPROB])

    could = [estimate(metric, filled, GAP_UNITS[PROBABILITY]).value for filled in all_that_could_be(made, (-1.0, 1.0))]
    assert (found.bound_low, found.bound_high) == pytest.approx((min(could), max(could)), abs=1e-12)
    assert (unbounded.bound_low, unbounded.bound_high) == (None, None)


def test_nothing_is_known_of_a_template_with_a_missing_item_where_its_mean_is_taken_off() -> None:
    gaps = np.array([3.0, 1.0, 2.5, math.nan, 0.0, -1.0, 4.0])
    templates = np.array([0, 0, 1, 1, 2, 2, 2])

    low, high = of_centred(gaps, templates, lambda centred: (centred > 0).astype(float))

    # of the others the first template wins one of two and the third one of three
    assert (low, high) == pytest.approx((2 / 7, 4 / 7))


@pytest.mark.parametrize("far", [-1e6, 1e6])
def test_a_centred_score_lies_within_its_worst_cases_however_far_the_missing_gap_lies(far: float) -> None:
    metric = NAMED["stereotype_score_centred"]
    rng = np.random.default_rng(4)
    made = rows([None, *rng.normal(size=17)], [1, -1] * 9)

    found = estimate(metric, made)

    could = [estimate(metric, (replace(made[0], value=value), *made[1:])).value for value in (far, 0.0, far / 1e6)]
    assert found.bound_low is not None
    assert found.bound_high is not None
    assert found.bound_low <= min(could) <= max(could) <= found.bound_high
    assert found.bound_high - found.bound_low == pytest.approx(6 / 18)
