"""The forecast of a training's energy: by hand, and how often its interval holds what the training really used."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fairprint.audit.remaining import forecast


def test_a_steady_training_is_foretold_exactly() -> None:
    found = forecast([(step, 0.5 * step) for step in range(1, 41)], 100)
    assert found.value == pytest.approx(50) and found.low == pytest.approx(50) and found.high == pytest.approx(50)
    assert found.blocks == 9 and found.reason is None  # 36 steps after the warm-up, in blocks of four


def test_the_warm_up_is_left_out() -> None:
    # the first of ten steps takes ten times as much, and is paid already
    found = forecast([(1, 10.0), *((step, 10.0 + step - 1) for step in range(2, 11))], 20)
    assert found.value == pytest.approx(10 + 9 + 10)


def test_the_interval_by_hand() -> None:
    # after the warm-up five blocks of two steps, with 2, 4, 2, 4 and 3 kWh: 1.5 kWh a step
    energies = [2.0, 4.0, 2.0, 4.0, 3.0]
    points = [(2, 3.0), *((4 + 2 * n, 3.0 + sum(energies[: n + 1])) for n in range(5))]
    found = forecast(points, 20)
    rate, spent, left = 1.5, 18.0, 8
    # s^2 of a step: residuals -1, 1, -1, 1, 0 of blocks of two steps; 4 / (5 - 1) / 2
    half = stats.t.ppf(0.95, 4) * (0.5 * left * (1 + left / 10)) ** 0.5
    assert found.value == pytest.approx(spent + left * rate)
    assert found.high == pytest.approx(spent + left * rate + half)
    assert found.low == pytest.approx(max(spent, spent + left * rate - half))


def test_without_enough_steps_there_is_no_forecast_but_a_reason() -> None:
    assert forecast([], 10).reason == "no step has been metered yet"
    few = forecast([(1, 1.0), (2, 2.0)], 10)
    assert (few.value, few.low, few.high) == (None, None, None) and "too few steps" in few.reason


def test_at_the_end_the_forecast_is_what_was_used() -> None:
    assert forecast([(5, 1.0), (10, 2.0)], 10).value == 2.0


@given(st.lists(st.floats(0.01, 10), min_size=8, max_size=60), st.integers(0, 100))
def test_a_forecast_is_never_below_what_was_used_and_lies_in_its_interval(steps: list[float], more: int) -> None:
    used = numpy.cumsum(steps)
    found = forecast([(n + 1, float(kwh)) for n, kwh in enumerate(used)], len(steps) + more)
    if found.value is not None:
        assert used[-1] - 1e-9 <= found.low <= found.value + 1e-9 <= found.high + 2e-9


@pytest.mark.parametrize("likeness", [0.0, 0.5, 0.8])
def test_the_interval_holds_what_a_training_uses_in_nine_of_ten(likeness: float) -> None:
    """Energies of steps that are alike from one to the next (autocorrelation), 600 of them, foretold after 200."""
    draw, held, repeats = numpy.random.default_rng(0), 0, 400
    for _ in range(repeats):
        noise = draw.normal(size=600)
        for n in range(1, 600):
            noise[n] = likeness * noise[n - 1] + (1 - likeness**2) ** 0.5 * noise[n]
        used = numpy.cumsum(1 + 0.2 * noise)
        found = forecast([(n + 1, float(used[n])) for n in range(200)], 600)
        held += found.low <= used[-1] <= found.high
    assert held / repeats >= 0.85
