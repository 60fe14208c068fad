"""Simulations behind three choices that the code states: what was weighed, and how often each covers the truth.

    cd tests && python -m simulations.choices

Writes choices.csv beside this file. The choices are: the jackknife factor of a mean in which each direction keeps its
share (``audit/metrics.py``), when an interval of a share carries the warning that it is likely too short
(``audit/statistics.py``), and the scale and method of mean sizes of gaps (``audit/pair_metrics.py``). All go through
the code that audits go through; what was weighed against it is computed beside it.
"""

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from scipy import stats

from fairprint.audit.bootstrap import BLOCK, Draws, bootstrap
from fairprint.audit.metrics import METRICS, Row, mean, values
from fairprint.audit.statistics import Factors, Form, Interval, interval, jackknife

REPEATS = 2_000
DRAWS = 4 * BLOCK
SIZE, SPREAD = 40, 0.5
"""Mean and coefficient of variation of the number of items a unit."""
OUT = Path(__file__).with_suffix(".csv")
HEADER = ("question", "setting", "units", "method", "repeats", "coverage", "error", "warned")
Cell = tuple[str, str, int]
Truths = dict[str, list[bool]]


def row(unit: int, value: float, direction: int = 1) -> Row:
    """Return one item."""
    return Row(
        template="",
        lexeme=f"x{unit}",
        category="",
        group="",
        direction=direction,
        valence=0,
        value=value,
        covariate=None,
    )


def asked(
    rows: Sequence[Row], form: Callable[[Sequence[Row], Factors], Form], scale: str
) -> tuple[Interval, Form, Factors]:
    """Return the default interval of some rows, each lexeme a unit."""
    factors = Factors.of([r.template for r in rows], [r.lexeme for r in rows], ("lexeme",))
    made = form(rows, factors)
    replicates = {name: found for name, found in jackknife(made, factors).items() if name != "item"}
    return interval(replicates, factors, scale=scale, neutral=None, items=len(rows)), made, factors


def covers(found: object, truth: float) -> bool:
    """Return whether an interval holds the truth; one that there is none of holds everything."""
    low, high = getattr(found, "low", None), getattr(found, "high", None)
    return low is None or high is None or bool(low <= truth <= high)


def balanced(setting: str, units: int, rng: np.random.Generator) -> Iterator[tuple[str, bool, bool]]:
    """Words lean by a constant and by themselves; half of them, or a quarter, are expected with the one group."""
    first = units // 2 if setting == "halves" else units // 4
    signs = np.where(np.arange(units) < first, 1, -1)
    gaps = 1.0 + 0.5 * signs + rng.normal(size=units)  # a constant preference of 1, which cancels
    truth = (first * 1.5 - (units - first) * 0.5) / units
    form = next(metric.form for metric in METRICS if metric.name == "signed_effect")
    found, _, _ = asked([row(n, g, int(s)) for n, (g, s) in enumerate(zip(gaps, signs, strict=True))], form, "identity")
    yield "one sample", covers(found, truth), False
    towards = gaps * signs
    shares = {1: first / units, -1: 1 - first / units}
    variance = sum(
        share**2 * towards[signs == side].var(ddof=1) / (signs == side).sum() for side, share in shares.items()
    )
    reach = stats.t.ppf(0.975, units - 2) * math.sqrt(variance)
    yield "each stratum by itself", bool(abs(towards.mean() - truth) <= reach), False


def lopsided(setting: str, units: int, rng: np.random.Generator) -> Iterator[tuple[str, bool, bool]]:
    """Beta-binomial answers of units of unequal sizes."""
    share, effect = (float(part.rpartition(" ")[2]) for part in setting.split(", "))
    sizes = np.maximum(1, rng.gamma(1 / SPREAD**2, SIZE * SPREAD**2, units).round().astype(int))
    rho = (effect - 1) / (SIZE * (1 + SPREAD**2) - 1)
    odds = rng.beta(share * (1 - rho) / rho, (1 - share) * (1 - rho) / rho, units) if rho else np.full(units, share)
    wins = rng.binomial(sizes, odds)
    rows = [row(n, float(i < w)) for n, (size, w) in enumerate(zip(sizes, wins, strict=True)) for i in range(size)]
    found, _, _ = asked(rows, mean(values), "logit")
    yield "jackknife", covers(found, share), any("lopsided" in warning for warning in found.warnings)


SIZES: dict[str, tuple[Callable[[np.random.Generator, int], np.ndarray], float]] = {
    "half normal": (lambda rng, n: np.abs(rng.normal(size=n)), math.sqrt(2 / math.pi)),
    "half Laplace": (lambda rng, n: np.abs(rng.laplace(size=n)), 1.0),
    "half t, 3 degrees of freedom": (lambda rng, n: np.abs(rng.standard_t(3, size=n)), 2 * math.sqrt(3) / math.pi),
    "log-normal": (lambda rng, n: np.exp(rng.normal(size=n)), math.exp(0.5)),
}


def skewed(setting: str, units: int, rng: np.random.Generator) -> Iterator[tuple[str, bool, bool]]:
    """Mean sizes of gaps, each item its own unit."""
    draw, truth = SIZES[setting]
    rows = [row(n, float(size)) for n, size in enumerate(draw(rng, units))]
    for scale in ("identity", "log"):
        found, form, factors = asked(rows, mean(values), scale)
        yield f"jackknife, {scale}", covers(found, truth), False
        yield f"bootstrap, {scale}", covers(bootstrap(form, factors, found, _DRAWS, DRAWS), truth), False


_DRAWS = Draws(0)
QUESTIONS: dict[str, Callable[[str, int, np.random.Generator], Iterator[tuple[str, bool, bool]]]] = {
    "balanced mean": balanced,
    "lopsided share": lopsided,
    "skewed sizes": skewed,
}
CELLS: list[Cell] = [
    *[("balanced mean", setting, units) for setting in ("halves", "a quarter") for units in (12, 20, 60)],
    *[
        ("lopsided share", f"share {share}, design effect {effect}", units)
        for share in (0.6, 0.8, 0.9, 0.95)
        for effect in (1, 5, 20)
        for units in (12, 25, 100)
    ],
    *[("skewed sizes", setting, units) for setting in SIZES for units in (12, 25, 60)],
]


def simulate(cell: Cell, repeats: int = REPEATS) -> list[tuple[str, str, int, str, int, float, float, float]]:
    """Return the coverage of each method in one cell; the seed is the cell's place among all."""
    question, setting, units = cell
    rng = np.random.default_rng([7, CELLS.index(cell)])
    held: Truths = {}
    warned: Truths = {}
    for _ in range(repeats):
        for method, holds, warns in QUESTIONS[question](setting, units, rng):
            held.setdefault(method, []).append(holds)
            warned.setdefault(method, []).append(warns)
    found = []
    for method, holds in held.items():
        coverage = sum(holds) / repeats
        error = math.sqrt(coverage * (1 - coverage) / repeats)
        found.append(
            (*cell, method, repeats, round(coverage, 4), round(error, 4), round(sum(warned[method]) / repeats, 4))
        )
    return found


def main() -> None:
    """Simulate all cells on all cores."""
    with ProcessPoolExecutor() as pool, OUT.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        for found in pool.map(simulate, CELLS):
            writer.writerows(found)
            print(*found, sep="\n", flush=True)


if __name__ == "__main__":
    main()
