"""How often the test of moving away from neutral errs, and how often it finds what there is (``audit/away.py``).

    cd tests && python -m simulations.away

Writes away.csv beside this file, in three and a half minutes on one core. Two runs give each unit a mean that scatters
normally, correlated between the runs, and a run's b is the mean over items. Size is asked where b_B lies as far from
neutral as b_A: at the same place, or at its mirror image. Power is asked where it lies 3 standard errors farther: of
the paired difference that decides (u where b_B stayed on its side, v where it passed to the other), or of the larger
of both where b_A is so small that both decide. Beside the rule stand two simpler ones: the difference of the sizes
|b_B| - |b_A| with its jackknife error (folded), and u times the sign that b_A has in the data (sign fixed).

Rows without a target: power at a baseline of 0, where both questions must be answered at once; units of unequal numbers
of items (gamma, mean 40, coefficient of variation .5), of which 12 are too few for any t quantile to be exact; and runs
that scatter unequally, where u and v go together, so that both tails of the test can err at a baseline of 0.

A hundred thousand data sets a setting are computed at once; of each setting the first hundred go through the package as
well, which must come to the same result.
"""

import csv
import math
import zlib
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from fairprint.audit.away import away_p
from fairprint.audit.metrics import mean, values
from fairprint.audit.paired import combined
from fairprint.audit.statistics import Factors, Interval, Sums, interval, jackknife

REPEATS, CHECKED = 100_000, 100
SIZE, SPREAD = 40, 0.5
"""Mean and coefficient of variation of the number of items a unit, where these are unequal."""
ALPHA, MOST, LEAST, WORSE = 0.05, 0.055, 0.8, 3.0
"""Level of the test, the size and the power that are wanted, and the worsening in standard errors."""
OUT = Path(__file__).with_suffix(".csv")
RULES = ("away", "folded", "sign_fixed")
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting.

    Attributes:
        asked: ``size`` or ``power``.
        baseline: b_A, in standard errors of itself.
        moved: whether b_B ``stayed`` on the side of b_A or ``passed`` to the other.
        correlation: of the two runs' means of a unit.
        ratio: of the scatter of run B to that of run A.
        sizes: whether units have ``equal`` or ``unequal`` numbers of items.
        units: how many there are.
    """

    asked: str
    baseline: float
    moved: str
    correlation: float
    ratio: float
    sizes: str
    units: int

    @property
    def wanted(self) -> float | None:
        """The size or the power that is wanted, or None."""
        if self.ratio != 1 or self.sizes != "equal":
            return None
        return MOST if self.asked == "size" else LEAST if self.baseline else None

    def places(self) -> tuple[float, float]:
        """Return b_A and b_B, where the scatter of run A is 1."""
        of_mean = math.sqrt((1 + (SPREAD**2 if self.sizes == "unequal" else 0)) / self.units)
        b_a = self.baseline * of_mean
        both, common = 1 + self.ratio**2, 2 * self.correlation * self.ratio
        errors = {"stayed": of_mean * math.sqrt(both - common), "passed": of_mean * math.sqrt(both + common)}
        decides = errors[self.moved] if abs(self.baseline) >= 5 else max(errors.values())
        far = abs(b_a) + (WORSE * decides if self.asked == "power" else 0)
        return b_a, math.copysign(far, b_a) * (1 if self.moved == "stayed" else -1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One line of the results: how often each rule finds that the number moved away, and the error of the first."""

    asked: str
    baseline: float
    moved: str
    correlation: float
    ratio: float
    sizes: str
    units: int
    repeats: int
    away: float
    error: float
    folded: float
    sign_fixed: float
    wanted: float | None
    within: bool | None


def _settings() -> Iterator[Setting]:
    places = [(baseline, moved) for baseline in (1.0, -1.0, 5.0, -5.0) for moved in ("stayed", "passed")]
    kinds = [
        *[("size", *place, 1.0, "equal") for place in [(0.0, "stayed"), *places]],
        *[("power", *place, 1.0, "equal") for place in [(0.0, "stayed"), (0.0, "passed"), *places]],
        *[("size", *place, 1.0, "unequal") for place in [(0.0, "stayed"), *places]],
        *[("size", 0.0, "stayed", ratio, "equal") for ratio in (1.5, 2.0, 3.0)],
    ]
    for asked, baseline, moved, ratio, sizes in kinds:
        for rho in (0.0, 0.5, 0.9):
            for units in (12, 25, 100):
                yield Setting(
                    asked=asked,
                    baseline=baseline,
                    moved=moved,
                    correlation=rho,
                    ratio=ratio,
                    sizes=sizes,
                    units=units,
                )


SETTINGS = list(_settings())


def draw(setting: Setting, repeats: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Return the numbers of items of units, and their means in run A and in run B, each of shape [repeat, unit]."""
    shape = (repeats, setting.units)
    sizes = np.full(shape, float(SIZE))
    if setting.sizes == "unequal":
        sizes = np.maximum(1, rng.gamma(1 / SPREAD**2, SIZE * SPREAD**2, shape).round())
    first, second = rng.normal(size=(2, *shape))
    rho = setting.correlation
    b_a, b_b = setting.places()
    return sizes, b_a + first, b_b + setting.ratio * (rho * first + math.sqrt(1 - rho**2) * second)


def decided(sizes: Array, a: Array, b: Array) -> dict[str, NDArray[np.bool_]]:
    """Return for each rule whether the number moved away, of each data set."""
    units, without = sizes.shape[1], sizes.sum(axis=1, keepdims=True) - sizes
    whole = [(sizes * of).sum(axis=1, keepdims=True) for of in (a, b)]
    (all_a, all_b), (left_a, left_b) = (
        [total / sizes.sum(axis=1, keepdims=True) for total in whole],
        [(total - sizes * of) / without for total, of in zip(whole, (a, b), strict=True)],
    )
    critical = float(stats.t.isf(ALPHA, units - 1))

    def ratio(value: Array, left: Array) -> Array:
        """Return how many standard errors a number lies above 0."""
        variance = (units - 1) / units * np.square(left - left.mean(axis=1, keepdims=True)).sum(axis=1)
        return np.asarray(value[:, 0] / np.sqrt(variance))

    u, v = ratio(all_b - all_a, left_b - left_a), ratio(all_b + all_a, left_b + left_a)
    return {
        "away": ((u > critical) & (v > critical)) | ((u < -critical) & (v < -critical)),
        "folded": ratio(np.abs(all_b) - np.abs(all_a), np.abs(left_b) - np.abs(left_a)) > critical,
        "sign_fixed": u * np.sign(all_a[:, 0]) > critical,
    }


def by_the_package(sizes: Array, a: Array, b: Array) -> bool:
    """Return whether the package finds that the number moved away in one data set: units of sums, as if of items."""
    units = len(sizes)
    factors = Factors.of([str(n) for n in range(units)], [""] * units, ("template",))
    plain = mean(values)([], factors)
    forms = [Sums(columns=np.stack([sizes * of, sizes], axis=1), combine=plain.combine) for of in (a, b)]

    def of_both(sign: int) -> Interval:
        form = combined(forms[0], forms[1], lambda x, y: y + sign * x)
        return interval(jackknife(form, factors), factors, scale="identity", neutral=0.0, items=int(sizes.sum()))

    p = away_p(of_both(-1), of_both(1))
    assert p is not None
    return p < ALPHA


def simulate(setting: Setting, repeats: int = REPEATS, checked: int = CHECKED) -> Found:
    """Return how often each rule finds that the number moved away."""
    rng = np.random.default_rng([9, zlib.crc32(repr(astuple(setting)).encode())])
    counts = dict.fromkeys(RULES, 0)
    for start in range(0, repeats, 5_000):
        sizes, a, b = draw(setting, min(5_000, repeats - start), rng)
        found = decided(sizes, a, b)
        if start == 0:
            told = [by_the_package(*one) for one in zip(sizes[:checked], a[:checked], b[:checked], strict=True)]
            assert told == found["away"][:checked].tolist(), setting
        for rule in RULES:
            counts[rule] += int(found[rule].sum())
    shares = {rule: counts[rule] / repeats for rule in RULES}
    away, wanted = shares["away"], setting.wanted
    return Found(
        **{field.name: getattr(setting, field.name) for field in fields(Setting)},
        repeats=repeats,
        away=round(away, 5),
        error=round(math.sqrt(away * (1 - away) / repeats), 5),
        folded=round(shares["folded"], 5),
        sign_fixed=round(shares["sign_fixed"], 5),
        wanted=wanted,
        within=None if wanted is None else away <= wanted if setting.asked == "size" else away >= wanted,
    )


def main() -> None:
    """Simulate all settings in one process."""
    with OUT.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Found))
        for setting in SETTINGS:
            found = simulate(setting)
            writer.writerow(astuple(found))
            print(*astuple(found), flush=True)


if __name__ == "__main__":
    main()
