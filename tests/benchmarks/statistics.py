"""What intervals and second opinions cost: CPU seconds on one core, and the most memory that is held.

    python tests/benchmarks/statistics.py

Ten estimates of 1,508 items, each its own unit, as CrowS-Pairs has them, with 10,000 draws: under 2 s. Then one
estimate of 60,000 items with 2,000 draws: under 500 MiB for the whole process, Python and scipy included.
"""

import os
import resource
import sys
import time
from pathlib import Path

# one core: set before numpy is loaded
for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{library}_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402

from fairprint.audit.bootstrap import Draws  # noqa: E402
from fairprint.audit.metrics import METRICS, Metric, Row  # noqa: E402
from fairprint.audit.opinions import opinions  # noqa: E402
from fairprint.audit.pair_metrics import ABSOLUTE, SCORE  # noqa: E402
from fairprint.audit.statistics import Factors  # noqa: E402

NAMED = {metric.name: metric for metric in METRICS}
TEN = [
    *[SCORE] * 2,
    *[NAMED["stereotype_score"]] * 2,
    *[NAMED["signed_effect"]] * 2,
    *[NAMED["group_gap"]] * 2,
    ABSOLUTE,
    NAMED["signed_effect_dz"],
]
"""Shares, means of gaps in two directions, plain means, a mean on the logarithm, and a standardised effect."""


def _rows(count: int, seed: int) -> list[Row]:
    rng = np.random.default_rng(seed)
    return [
        Row(
            template=f"pair {number}",
            lexeme="",
            category="",
            group="more",
            direction=1 if number % 7 else -1,
            valence=0,
            value=float(gap),
            covariate=None,
        )
        for number, gap in enumerate(rng.normal(0.3, 2, count))
    ]


def _seconds(metrics: list[Metric], count: int) -> float:
    found = []
    rows = [_rows(count, seed) for seed in range(len(metrics))]
    factors = Factors.of([row.template for row in rows[0]], [""] * count, ("template",))
    begin = time.process_time()
    draws = Draws(0)
    for metric, own in zip(metrics, rows, strict=True):
        found.append(opinions(metric, own, factors, draws))
    spent = time.process_time() - begin
    if any(interval.low is None or second is None or second.low is None for interval, second, _ in found):
        sys.exit("an estimate has no interval")
    return spent


def _most_memory_mib() -> float:
    """Return what this program held at the most; ``ru_maxrss`` would begin with what its parent held."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (held,) = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
    return int(held) / 1024


def main() -> None:
    """Print seconds and MiB."""
    print(f"10 estimates of 1,508 items, 10,000 draws: {_seconds(TEN, 1_508):.2f} s (target 2)")
    print(f"1 estimate of 60,000 items, 2,000 draws: {_seconds([NAMED['group_gap']], 60_000):.2f} s")
    print(f"most memory: {_most_memory_mib():.0f} MiB (target 500)")


if __name__ == "__main__":
    main()
