"""Tests that are no function of an estimate, and corrections for many tests: each a function of plain arrays.

P-values of random draws are (b + 1) / (B + 1), where b of B draws reach the observed statistic: it is one of the ways
that there are (Phipson & Smyth 2010).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from fairprint.audit.statistics import Array, Codes

MOST_WAYS = 100_000
"""Ways of exchanging labels or signs up to which every one is looked at."""
RANDOM_WAYS = 99_999
"""Random ways that are looked at where there are more; with the observed one they make 100,000."""
_TIE = 1e-9
"""Statistics that differ by less than this share of what they are made of are a tie: float32 cannot tell them apart."""
_AT_ONCE = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """What a test finds. Absent numbers are None, with the reason.

    Attributes:
        statistic: what was tested, such as a mean difference.
        p_value: how probable a statistic at least as large would be if ``assumes`` held.
        smallest: the smallest p-value that the test can give, however large the statistic.
        ways: arrangements that were looked at, the observed one included; 0 where the distribution is known.
        exact: whether these are all that there are; else they are a random sample.
        assumes: what holds where nothing is to be found, in words.
    """

    __test__ = False  # no case of pytest's

    statistic: float | None
    p_value: float | None
    smallest: float | None
    ways: int
    exact: bool
    assumes: str
    reason: str | None = None


def benjamini_hochberg(p_values: Sequence[float | None]) -> list[float | None]:
    """Return adjusted p-values (Benjamini & Hochberg 1995); absent ones stay absent and do not count.

    >>> benjamini_hochberg([0.01, 0.04, None, 0.03])
    [0.03, 0.04, None, 0.04]
    """
    known = [(p, i) for i, p in enumerate(p_values) if p is not None]
    adjusted: list[float | None] = [None] * len(p_values)
    smallest = 1.0
    for rank, (p, i) in zip(range(len(known), 0, -1), sorted(known, reverse=True), strict=True):
        smallest = min(smallest, p * len(known) / rank)
        adjusted[i] = smallest
    return adjusted


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return adjusted p-values of Holm's step-down method; absent ones stay absent and do not count.

    The chance that any of those at or below .05 is a false alarm is at most 5 %, however the tests hang together.

    >>> holm([0.01, 0.04, None, 0.03])
    [0.03, 0.06, None, 0.06]
    """
    known = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, i) in enumerate(known):
        largest = max(largest, min(1.0, p * (len(known) - rank)))
        adjusted[i] = largest
    return adjusted


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_], clusters: Codes, *, mid: bool = False) -> Test:
    """Test whether two yes-or-no answers to the same items come out yes equally often.

    Only the items count whose two answers differ: b of them yes and then no, c no and then yes. The exact p-value is
    min(1, 2 P(X <= min(b, c))) for X binomial with b + c trials and 1/2. The mid-p value takes only half of the
    probability of the observed table, P(X = min(b, c)), of either side: less conservative, but no longer exact.

    Args:
        first: the answer of each item before.
        second: its answer after.
        clusters: the unit that each item belongs to. Where some unit has several, there is no test: answers to items of
            one unit hang together, and McNemar's test would raise false alarms.
        mid: whether the mid-p value is asked for.

    Returns:
        The statistic is the share of yes among the second answers, minus that among the first.
    """
    assumes = "items are independent of each other, and of those whose two answers differ either order is as probable"
    if len(first) == 0 or len(np.unique(clusters)) < len(first):
        reason = "several items belong to one unit, so that they are not independent" if len(first) else "no items"
        return Test(statistic=None, p_value=None, smallest=None, ways=0, exact=False, assumes=assumes, reason=reason)
    b, c = int((first & ~second).sum()), int((~first & second).sum())
    from scipy import stats  # a second to load, and this is the one place that needs it

    trials = stats.binom(b + c, 0.5)
    doubled = 2 * float(trials.cdf(min(b, c))) - (float(trials.pmf(min(b, c))) if mid else 0.0)
    return Test(
        statistic=(c - b) / len(first),
        p_value=min(1.0, doubled),
        smallest=min(1.0, (1 if mid else 2) * 0.5 ** (b + c)),
        ways=0,
        exact=not mid,
        assumes=assumes,
    )


def sign_flip(differences: Array, clusters: Codes, seed: int) -> Test:
    """Test whether differences lie around 0, by turning the sign of whole clusters: the items of each turn together.

    All ways are looked at where there are at most 100,000, else 99,999 random ones beside the observed one. The
    smallest p-value that G clusters allow is 2^(1 - G).

    Args:
        differences: one an item.
        clusters: the unit of each item, codes from 0.
        seed: of the random ways.

    Returns:
        The statistic is the mean difference; p is two-sided.
    """
    assumes = "the differences of each unit's items, all together, are as probable with the opposite sign"
    if not len(differences):
        reason = "no items"
        return Test(statistic=None, p_value=None, smallest=None, ways=0, exact=False, assumes=assumes, reason=reason)
    sums = np.bincount(clusters, weights=differences)
    sums = sums[np.bincount(clusters) > 0]
    count = len(sums)
    enough = abs(float(sums.sum())) - _TIE * float(np.abs(sums).sum())
    exact = 2**count <= MOST_WAYS

    def reached(signs: Array) -> int:
        return int((np.abs(signs @ sums) >= enough).sum())

    if exact:
        # the first cluster keeps its sign: turning all signs gives the same distance from 0
        bits = np.arange(2 ** (count - 1))[:, None] >> np.arange(count - 1) & 1
        ways = 2**count
        p_value = 2 * reached(np.insert(1.0 - 2.0 * bits, 0, 1.0, axis=1)) / ways
    else:
        rng = np.random.default_rng(seed)
        found = sum(reached(rng.choice([-1.0, 1.0], (rows, count))) for rows in _portions(RANDOM_WAYS, count))
        ways = RANDOM_WAYS + 1
        p_value = (found + 1) / ways
    return Test(
        statistic=float(differences.mean()),
        p_value=p_value,
        smallest=max(2.0 ** (1 - count), 1 / ways),
        ways=ways,
        exact=exact,
        assumes=assumes,
    )


def permutation(values: Array, in_first: NDArray[np.bool_], seed: int, *, two_sided: bool = False) -> Test:
    """Test whether units of one set have larger values than those of another, by dividing them anew.

    The units are divided into two sets of the same sizes in every way where there are at most 100,000, else in 99,999
    random ways beside the observed one. A tie counts as a way that reaches the observed one.

    Args:
        values: one a unit; units are what was drawn, so that numbers of one cluster are averaged first.
        in_first: which units are in the first set; some are, and some are not.
        seed: of the random ways.
        two_sided: whether a difference the other way round counts as much.

    Returns:
        The statistic is the mean of the first set minus that of the second.
    """
    assumes = "it is chance which units are in the one set and which in the other"
    size, count = int(in_first.sum()), len(values)
    if size in (0, count):
        reason = "one of the two sets is empty"
        return Test(statistic=None, p_value=None, smallest=None, ways=0, exact=False, assumes=assumes, reason=reason)
    # the sizes being fixed, only the sum of the first set has to be compared; of values about 0, for exact ties
    moved = values - values.mean()
    tie = _TIE * float(np.abs(values).max()) * size

    def height(sums: Array) -> Array:
        return np.abs(sums) if two_sided else sums

    enough = float(height(moved[in_first].sum())) - tie
    exact = math.comb(count, size) <= MOST_WAYS
    if exact:
        chosen = np.array(list(combinations(range(count), size)), dtype=np.intp)
        ways, found = len(chosen), int((height(moved[chosen].sum(axis=1)) >= enough).sum())
    else:
        ways, rng = RANDOM_WAYS + 1, np.random.default_rng(seed)
        found = 1
        for rows in _portions(RANDOM_WAYS, count):
            drawn = np.argpartition(rng.random((rows, count)), size - 1, axis=1)[:, :size]
            found += int((height(moved[drawn].sum(axis=1)) >= enough).sum())
    return Test(
        statistic=float(values[in_first].mean() - values[~in_first].mean()),
        p_value=found / ways,
        smallest=(2 if two_sided and 2 * size == count and exact else 1) / ways,
        ways=ways,
        exact=exact,
        assumes=assumes,
    )


def _portions(total: int, width: int) -> Iterator[int]:
    rows = max(1, _AT_ONCE // width)
    for start in range(0, total, rows):
        yield min(rows, total - start)
