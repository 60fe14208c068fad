"""How often the gate's decision rule errs, and how often it decides (``audit/judging.py``).

    cd tests && python -m simulations.gate

Writes gate.csv beside this file, in a quarter of an hour on one core. Of each setting thousands of pairs of models are
drawn (``pairs.py``), with twenty limits each, and judged all at once; some pairs of each go through the package too,
which must come to the same verdicts.

The gate's MDE of a setting is one fixed number: the mean of ``judging.detectable(evidence, 0, 20)``, which is the
default margin, over all limits of 500 pairs of equal models, drawn for that alone. Where a worsening passes the neutral
value it is that of models at the neutral value: only there the gate's detectable worsening is the same to either side.
Margins are the MDE, half and a tenth of it, as a settings file would name them; or none, so that each limit gets the
default margin of its own data. Models differ in five ways: not at all; run B lies as far on the other side of neutral;
the first limit alone is worse by twice the MDE, or by the MDE; all limits are worse by just the margin, and where there
is none by the MDE.

Baselines of ``away_from_neutral``, in standard errors of themselves: 0 (neutral), 1 (near), and 6 (far); a worsening
that passes from far starts one MDE from neutral, so that twice the MDE is from +1 to -3. Shares of ``up`` start at .35,
and of ``down`` at .65. Where a share would have to lie below .02 or above .98, the figure is empty.
"""

import csv
import math
import zlib
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from time import process_time

import numpy as np
from simulations.pairs import (
    LIMITS,
    Array,
    Design,
    Drawn,
    Judged,
    Truth,
    Verdicts,
    by_the_package,
    decided,
    detectable,
    draw,
    judged,
    known,
)

from fairprint.audit.checks import Direction
from fairprint.audit.judging import decide

REPEATS, FIRST, PILOT, CHECKED = 2_000, 200, 500, 3
"""Pairs of a setting; how many are drawn at once, and told of by themselves; of which the MDE is made; and are checked
against the package."""
OUT = Path(__file__).with_suffix(".csv")
MARGINS = {"default": None, "mde": 1.0, "half": 0.5, "tenth": 0.1}
"""In MDEs."""
FALSE, PASSING, FOUND = 0.06, 0.8, 0.99
"""Most pairs with a fail where nothing is worse, and most limits that pass though worse by the margin; fewest limits
that pass where nothing is worse; fewest fails of a limit that is worse by twice the MDE."""
NEAR, FAR, LOW, EDGE = 1.0, 6.0, 0.15, 0.48


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting.

    Attributes:
        direction: which way is worse.
        baseline: ``neutral``, ``near`` or ``far`` where the direction is away from neutral; else ``any``.
        moved: whether a worsening ``stayed`` on the side of the baseline or ``passed`` to the other.
        design: the models' answers.
    """

    direction: Direction
    baseline: str
    moved: str
    design: Design

    def now(self, before: float, worse: float) -> float:
        """Return how far from neutral run B lies, where it is worse by so much."""
        if self.direction == "away_from_neutral":
            return (before + worse) * (1 if self.moved == "stayed" else -1)
        return before + (worse if self.direction == "up" else -worse)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One line of the results: a setting with one margin.

    Attributes:
        mde, margin: the gate's MDE, and the margin; without one the mean default margin where nothing is worse.
        any_fail: pairs with a fail, where nothing is worse.
        any_fail_mirrored: the same, where run B lies as far on the other side of neutral.
        passed, inconclusive: limits, where nothing is worse.
        found: fails of the limit that is worse by twice the MDE; ``found_mde`` by the MDE.
        found_told: of the default margin, by twice the mean MDE that is told with it.
        others: pairs in which any other limit fails.
        passed_at_margin: limits that pass though they are worse by the margin.
        needed: median number of units that a limit needs by the formula to pass, where nothing is worse and it is
            inconclusive; the gate asks for one more than there are at least.
        passed_with_needed: limits that pass with so many units; of normal numbers with one factor and half the MDE.
        moved_any_fail, moved_found_mde: without the question whether the number differs from neutral in run B.
        first_failed, first_passed: over the first pairs where nothing is worse, limits; ``first_found_mde`` pairs.
        within: whether all is as is wanted; empty where nothing is.
    """

    kind: str
    units: str
    sizes: str
    correlation: float
    ratio: float
    direction: str
    baseline: str
    moved: str
    margin_name: str
    mde: float
    margin: float
    repeats: int
    any_fail: float
    any_fail_mirrored: float | None
    passed: float
    inconclusive: float
    found: float | None
    found_told: float | None
    others: float | None
    found_mde: float | None
    passed_at_margin: float | None
    needed: float | None
    passed_with_needed: float | None
    moved_any_fail: float
    moved_found_mde: float | None
    first_failed: int
    first_passed: int
    first_found_mde: int | None
    within: bool | None


def _settings() -> Iterator[Setting]:
    cases: list[tuple[Direction, str, str]] = [
        ("up", "any", "stayed"),
        *(("away_from_neutral", *place) for place in (("neutral", "stayed"), ("near", "stayed"), ("near", "passed"))),
        *(("away_from_neutral", "far", moved) for moved in ("stayed", "passed")),
    ]
    few: list[tuple[str, tuple[int, ...], str]] = [
        *(("normal", (n,), "equal") for n in (12, 31)),
        *(("normal", (n,), "unequal") for n in (12, 20, 31, 60)),
        ("normal", (12, 30), "equal"),
        *(("share", (n,), "unequal") for n in (12, 31)),
        ("share", (12, 30), "equal"),
    ]
    kinds = [(*kind, rho, 1.0, case) for kind in few for rho in (0.9, 0.0) for case in cases]
    up, down = cases[0], ("down", "any", "stayed")
    kinds += [("share", (n,), "unequal", rho, 1.0, up) for n in (20, 60) for rho in (0.9, 0.0)]
    kinds += [(*kind, 0.9, 1.0, down) for kind in few if kind[1] != (20,)]
    kinds += [("normal", (n,), "equal", 0.9, 3.0, case) for n in (12, 31) for case in cases[1:4]]
    for kind, units, sizes, rho, ratio, (direction, baseline, moved) in kinds:
        if (kind, units, baseline, moved) == ("share", (12,), "far", "passed"):
            continue  # one MDE from a half lie all answers
        design = Design(kind=kind, units=units, sizes=sizes, correlation=rho, ratio=ratio)
        yield Setting(direction=direction, baseline=baseline, moved=moved, design=design)


SETTINGS = list(_settings())


def pairs(setting: Setting, name: str, before: float, now: Array, repeats: int) -> Iterator[tuple[Drawn, Judged]]:
    """Yield pairs of models, some hundreds at a time; their random numbers hang on the setting and a name alone."""
    seed = zlib.crc32(f"{astuple(setting)} {name}".encode())
    for start in range(0, repeats, FIRST):
        rng = np.random.default_rng([10, seed, start])
        drawn = draw(setting.design, before, now, min(FIRST, repeats - start), rng)
        yield drawn, judged(known(drawn), setting.direction)


def mde(setting: Setting, before: float, *, told: bool = False) -> float:
    """Return the gate's MDE of models that lie where the setting has them, or at neutral where it passes that.

    Args:
        setting: the setting.
        before: how far from neutral run A lies.
        told: whether the one is asked for that is told of where no margin is given, and the default is one MDE.
    """
    place = 0.0 if setting.moved == "passed" else before
    here = pairs(setting, "pilot", place, np.full(LIMITS, place), PILOT)
    wanted = [detectable(found, detectable(found, 0.0) if told else 0.0) for _, found in here]
    return float(np.nanmean(np.concatenate(wanted)))


def places(setting: Setting) -> tuple[float, float]:
    """Return how far from neutral run A lies, and the gate's MDE."""
    if setting.direction != "away_from_neutral":
        before = 0.0 if setting.design.kind == "normal" else -LOW if setting.direction == "up" else LOW
        return before, mde(setting, before)
    if setting.baseline == "far" and setting.moved == "passed":
        before = mde(setting, 0.0)
        return before, before
    drawn = (drawn for drawn, _ in pairs(setting, "error", 0.0, np.zeros(LIMITS), PILOT))
    error = float(np.concatenate([known(each)["a"].value for each in drawn]).std())
    before = error * {"neutral": 0.0, "near": NEAR, "far": FAR}[setting.baseline]
    return before, mde(setting, before)


def judge(
    setting: Setting, name: str, before: float, now: Array, margins: dict[str, float | None], repeats: int
) -> dict[str, Verdicts]:
    """Return the verdicts on one data set with each margin."""
    parts: dict[str, list[Verdicts]] = {margin: [] for margin in margins}
    for number, (drawn, found) in enumerate(pairs(setting, name, before, now, repeats)):
        for margin, limit in margins.items():
            parts[margin].append(decided(found, limit))
        if number == 0:
            check(setting, drawn, {margin: (limit, parts[margin][0]) for margin, limit in margins.items()})
    return {
        margin: Verdicts(
            **{field.name: np.concatenate([getattr(part, field.name) for part in each]) for field in fields(Verdicts)}
        )
        for margin, each in parts.items()
    }


def check(setting: Setting, drawn: Drawn, told: dict[str, tuple[float | None, Verdicts]]) -> None:
    """Let the package judge the first pairs, and stop where it comes to other verdicts."""
    for pair in range(CHECKED):
        evidence = by_the_package(drawn, pair, setting.direction)
        for limit, verdicts in told.values():
            decisions = decide(evidence, [limit] * LIMITS)
            assert [d.verdict == "fail" for d in decisions] == verdicts.failed[pair].tolist(), setting
            assert [d.verdict == "pass" for d in decisions] == verdicts.passed[pair].tolist(), setting
            assert np.allclose(
                [math.nan if d.limit is None else d.limit for d in decisions], verdicts.limit[pair], equal_nan=True
            ), setting


def simulate(setting: Setting, repeats: int = REPEATS) -> list[Found]:
    """Return what became of one setting, with each margin."""
    before, reach = places(setting)
    told = mde(setting, before, told=True)
    margins = {name: None if share is None else share * reach for name, share in MARGINS.items()}

    def asked(name: str, now: Array, given: dict[str, float | None]) -> dict[str, Verdicts]:
        possible = setting.design.kind == "normal" or float(np.abs(now).max()) <= EDGE
        return judge(setting, name, before, now, given, repeats) if possible else {}

    def worse(by: float) -> Array:
        now = np.full(LIMITS, before)
        now[0] = setting.now(before, by * reach)
        return now

    data = {
        "equal": asked("equal", np.full(LIMITS, before), margins),
        "mirrored": asked("mirrored", np.full(LIMITS, -before), margins)
        if setting.direction == "away_from_neutral" and before
        else {},
        "twice": asked("twice", worse(2.0), margins),
        "once": asked("once", worse(1.0), margins),
        "told": asked("told", worse(2 * told / reach), {"default": None}),
        "at": {},
    }
    for share, names in ((1.0, ("default", "mde")), (0.5, ("half",)), (0.1, ("tenth",))):
        now = np.full(LIMITS, setting.now(before, share * reach))
        data["at"] |= asked(f"at {share}", now, {name: margins[name] for name in names})
    lines = [_line(setting, name, reach, {key: of[name] for key, of in data.items() if name in of}) for name in MARGINS]
    return [_with_needed(setting, before, line, repeats) if line.margin_name == "half" else line for line in lines]


def _with_needed(setting: Setting, before: float, line: Found, repeats: int) -> Found:
    """Return the line with what passes where there are as many units as were said to be needed."""
    if line.needed is None or setting.design.kind != "normal":
        return line
    more = replace(setting, design=replace(setting.design, units=(math.ceil(line.needed),)))
    drawn = pairs(more, "needed", before, np.full(LIMITS, before), repeats)
    return replace(line, passed_with_needed=_share(np.concatenate([decided(f, line.margin).passed for _, f in drawn])))


def _line(setting: Setting, margin: str, reach: float, data: dict[str, Verdicts]) -> Found:
    equal, mirrored, twice, once, at, default = (
        data.get(name) for name in ("equal", "mirrored", "twice", "once", "at", "told")
    )
    assert equal is not None
    design = setting.design
    open_ = ~equal.failed & ~equal.passed
    told = equal.needed[open_ & np.isfinite(equal.needed)]
    needed = float(np.median(told)) * design.units[0] if len(told) and len(design.units) == 1 else None
    line = Found(
        kind=design.kind,
        units=" x ".join(map(str, design.units)),
        sizes=design.sizes,
        correlation=design.correlation,
        ratio=design.ratio,
        direction=setting.direction,
        baseline=setting.baseline,
        moved=setting.moved,
        margin_name=margin,
        mde=round(reach, 5),
        margin=round(float(np.nanmean(equal.limit)), 5),
        repeats=len(equal.failed),
        any_fail=_share(equal.failed.any(axis=1)),
        any_fail_mirrored=None if mirrored is None else _share(mirrored.failed.any(axis=1)),
        passed=_share(equal.passed),
        inconclusive=_share(open_),
        found=None if twice is None else _share(twice.failed[:, 0]),
        found_told=None if default is None else _share(default.failed[:, 0]),
        others=None if twice is None else _share(twice.failed[:, 1:].any(axis=1)),
        found_mde=None if once is None else _share(once.failed[:, 0]),
        passed_at_margin=None if at is None else _share(at.passed),
        needed=None if needed is None else round(needed, 1),
        passed_with_needed=None,
        moved_any_fail=_share(equal.failed_moved.any(axis=1)),
        moved_found_mde=None if once is None else _share(once.failed_moved[:, 0]),
        first_failed=int(equal.failed[:FIRST].sum()),
        first_passed=int(equal.passed[:FIRST].sum()),
        first_found_mde=None if once is None else int(once.failed[:FIRST, 0].sum()),
        within=None,
    )
    return replace(line, within=None if design.ratio != 1 else all(good(line).values()))


def _share(of: Truth) -> float:
    return round(float(of.mean()), 5)


def good(found: Found) -> dict[str, bool]:
    """Return for each thing that is wanted of a line whether it is so."""
    fixed, wide = found.margin_name != "default", found.margin_name in ("default", "mde")
    return {
        "any_fail": found.any_fail <= FALSE,
        "any_fail_mirrored": found.any_fail_mirrored is None or found.any_fail_mirrored <= FALSE,
        "passed": found.passed >= PASSING or not wide,
        "found": not fixed or found.found is None or found.found >= FOUND,
        "others": found.others is None or found.others <= FALSE,
        "passed_at_margin": not fixed or found.passed_at_margin is None or found.passed_at_margin <= FALSE,
    }


def main() -> None:
    """Simulate all settings in one process."""
    with OUT.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Found))
        for number, setting in enumerate(SETTINGS, 1):
            for found in simulate(setting):
                writer.writerow(astuple(found))
                print(f"{process_time():5.0f} s  {number}/{len(SETTINGS)}", *astuple(found), flush=True)


if __name__ == "__main__":
    main()
