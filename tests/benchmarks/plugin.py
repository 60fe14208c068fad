"""What the pytest plugin adds to a run that has nothing to do with it: alternating runs with and without.

python tests/benchmarks/plugin.py [ROUNDS]

A machine that does other things takes turns; the processor's time of the runs feels that less than the time by the
clock, so both are told, each with the 95 % interval of the median of the pairs (order statistics).
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy import stats

MOST_MS = 10.0
KINDS = ("by the clock", "of the processor")


def run(command: list[str], folder: str) -> tuple[float, float]:
    """Return how long a run takes in milliseconds: by the clock, and of the processor."""
    before, begun = os.times(), time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    clock, after = time.perf_counter() - begun, os.times()
    spent = after.children_user - before.children_user + after.children_system - before.children_system
    return 1000 * clock, 1000 * spent


def median_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Return the median of some numbers and its 95 % interval: order statistics, by the binomial of the signs."""
    ordered, count = np.sort(values), len(values)
    low = max(int(stats.binom.ppf(0.025, count, 0.5)) - 1, 0)
    return float(np.median(values)), float(ordered[low]), float(ordered[count - 1 - low])


def main() -> None:
    """Print the medians of the pairs with their intervals, and the ratios."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 25
    took: dict[str, list[tuple[float, float]]] = {"with": [], "without": []}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "test_other.py").write_text("def test_it():\n    assert True\n")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        pair = [("with", []), ("without", ["-p", "no:fairprint"])]
        for number in range(rounds + 1):
            for name, extra in pair if number % 2 else reversed(pair):
                found = run([*command, *extra], folder)
                if number:  # the first round warms up
                    took[name].append(found)
    for index, kind in enumerate(KINDS):
        within, without = (np.array([found[index] for found in took[name]]) for name in ("with", "without"))
        middle, low, high = median_interval(within - without)
        ratio = np.median(within) / np.median(without)
        print(f"time {kind}: with {np.median(within):.0f} ms, without {np.median(without):.0f} ms, ratio {ratio:.3f}")
        print(f"  added, median of {rounds} pairs: {middle:+.1f} ms [{low:+.1f}, {high:+.1f}] (at most {MOST_MS:g})")


if __name__ == "__main__":
    main()
