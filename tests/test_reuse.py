"""When pretraining pays, and when using a model costs more than its training."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairprint.audit.reuse import attributional_share, break_even, saved_kwh, uses_to_match

energies = st.floats(1e-6, 1e6)


def test_a_base_of_100_kwh_pays_from_the_fifth_task_where_each_saves_20() -> None:
    assert break_even(pretraining_kwh=100.0, fine_tuning_kwh=1.0, scratch_kwh=21.0) == 5.0
    # five from scratch 5 x 21 = 105; a base and five fine-tunings 100 + 5 x 1 = 105
    assert saved_kwh(5, pretraining_kwh=100.0, fine_tuning_kwh=1.0, scratch_kwh=21.0) == 0.0
    assert saved_kwh(4, pretraining_kwh=100.0, fine_tuning_kwh=1.0, scratch_kwh=21.0) == -20.0
    assert saved_kwh(6, pretraining_kwh=100.0, fine_tuning_kwh=1.0, scratch_kwh=21.0) == 20.0


@pytest.mark.parametrize("fine_tuning_kwh", [21.0, 22.0, 1e9])
def test_no_number_of_tasks_is_enough_where_a_fine_tuning_costs_as_much_as_from_scratch(fine_tuning_kwh: float) -> None:
    assert break_even(pretraining_kwh=100.0, fine_tuning_kwh=fine_tuning_kwh, scratch_kwh=21.0) is None


def test_a_base_that_cost_nothing_pays_at_once() -> None:
    assert break_even(pretraining_kwh=0.0, fine_tuning_kwh=1.0, scratch_kwh=21.0) == 0.0


@given(energies, energies, st.floats(0.01, 1e6))
def test_at_the_break_even_nothing_is_saved_and_beyond_it_something_is(pre: float, tuned: float, gain: float) -> None:
    told = {"pretraining_kwh": pre, "fine_tuning_kwh": tuned, "scratch_kwh": tuned + gain}
    tasks = break_even(**told)
    if tasks is None:  # the gain is lost beside the energy of a fine-tuning
        assert tuned + gain == tuned
        return
    size = pre + tasks * (tuned + gain)
    assert saved_kwh(tasks, **told) == pytest.approx(0.0, abs=1e-9 * size)
    assert saved_kwh(2 * tasks, **told) == pytest.approx(pre, abs=1e-9 * size)
    assert saved_kwh(0, **told) == -pre


@given(energies, energies, energies)
def test_without_a_gain_more_tasks_never_save(pre: float, scratch: float, more: float) -> None:
    told = {"pretraining_kwh": pre, "fine_tuning_kwh": scratch + more, "scratch_kwh": scratch}
    assert break_even(**told) is None
    assert saved_kwh(1000, **told) < 0


@given(energies, st.integers(1, 10**6))
def test_shares_of_all_uses_add_up_to_the_pretraining(pre: float, reuses: int) -> None:
    assert attributional_share(pre, reuses) * reuses == pytest.approx(pre)
    assert attributional_share(pre, 1) == pre


@pytest.mark.parametrize("reuses", [0, -3])
def test_a_base_that_nobody_uses_has_no_share(reuses: int) -> None:
    with pytest.raises(ValueError, match="expected 1 or more"):
        attributional_share(1.0, reuses)


@given(energies, energies)
def test_so_many_queries_have_the_energy_of_the_training(training: float, query: float) -> None:
    uses = uses_to_match(training, query)
    assert uses is not None
    assert uses * query == pytest.approx(training)


@pytest.mark.parametrize("query_kwh", [0.0, -1.0, float("inf"), float("nan")])
def test_queries_without_an_energy_never_match_a_training(query_kwh: float) -> None:
    assert uses_to_match(1.0, query_kwh) is None
