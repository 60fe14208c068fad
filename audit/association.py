"""Association tests of embeddings: the effect size of WEAT, and its permutation test.

A target word's gap s(w, A, B) is its mean cosine similarity with the words of the first group minus that with the words
of the second. X are the target words that are expected with the first group, Y those expected with the second; where
words stand in several sentence frames, a word's gap is the mean over them (Caliskan, Bryson & Narayanan 2017,
supplement).
"""

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from fairprint.audit.records import SignificanceTest
from fairprint.audit.statistics import Array, Factors, Sums
from fairprint.probes.items import Item, ProbeSet
from fairprint.probes.scores import COSINE, GAP_UNITS, Score

MOST_PARTITIONS = 100_000
"""Ways of dividing the words up to which every one is looked at."""
DRAWS = 99_999
"""Random ways that are looked at where there are more; with the observed one they make 100,000."""
_TIE = 1e-9
"""Mean gaps of two sets that differ by less are a tie: float32 vectors cannot tell them apart."""
_BLOCK = 10_000
_ROUNDING = 1e-20


def effect_size(gaps: Array, directions: Array, factors: Factors) -> Sums:
    """Return the form of d: (mean gap of X - mean gap of Y) / standard deviation over both.

    The standard deviation is that of the gaps of all target words, with n - 1 (as in sent-bias, May et al. 2019; with
    n, as WEFE has it, d is larger by sqrt(n / (n - 1))). |d| stays below 2.

    Args:
        gaps: one an item.
        directions: +1 where the word is one of X, -1 where it is one of Y.
        factors: the units of the items.
    """

    def combine(sums: Array) -> Array:
        count = sums[:, :, 1]
        present = count > 0
        means = np.where(present, sums[:, :, 0] / np.where(present, count, 1), 0)
        words = present.sum(axis=1)
        first, second = present & (sums[:, :, 2] > 0), present & (sums[:, :, 2] < 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            moved = np.where(present, means - (means.sum(axis=1) / words)[:, None], 0)
            squares = (moved**2).sum(axis=1)
            apart = (moved * first).sum(axis=1) / first.sum(axis=1) - (moved * second).sum(axis=1) / second.sum(axis=1)
            varies = (words > 1) & (squares > _ROUNDING * (means**2).sum(axis=1))
            return np.where(varies, apart / np.sqrt(np.where(varies, squares / (words - 1), 1)), np.nan)

    columns = np.stack([gaps, np.ones_like(gaps), directions], axis=1)
    return Sums(columns=columns, combine=combine, cells=factors.lexeme)


def permutation_p(gaps: Array, in_first: NDArray[np.bool_], seed: int) -> tuple[float, int, bool]:
    """Return the one-sided p-value of a difference of two means, how many ways it rests on, and whether these are all.

    The words are divided into two sets of the same sizes in every way, or in 99,999 random ways beside the observed one
    (Phipson & Smyth 2010); p is the share of ways whose first mean lies at least as far above the second. A tie counts
    as such a way. The sizes being fixed, only the sum of the first set has to be compared.

    Args:
        gaps: one a word.
        in_first: which words are those of X; some are, and some are not.
        seed: of the random ways.
    """
    size = int(in_first.sum())
    enough = float(gaps[in_first].sum()) - size * _TIE
    if math.comb(len(gaps), size) <= MOST_PARTITIONS:
        chosen = np.array(list(combinations(range(len(gaps)), size)), dtype=np.intp)
        return float((gaps[chosen].sum(axis=1) >= enough).mean()), len(chosen), True
    rng = np.random.default_rng(seed)
    reached = 1
    for start in range(0, DRAWS, _BLOCK):
        keys = rng.random((min(_BLOCK, DRAWS - start), len(gaps)))
        drawn = np.argpartition(keys, size - 1, axis=1)[:, :size]
        reached += int((gaps[drawn].sum(axis=1) >= enough).sum())
    return reached / (DRAWS + 1), DRAWS + 1, False


def association_tests(
    probe_set: ProbeSet, items: Sequence[Item], scores: Sequence[Score], instrument: str, seed: int
) -> list[SignificanceTest]:
    """Return the permutation test of each comparison that has words expected with either group.

    Args:
        probe_set: the set the items are from.
        items: the items that were asked.
        scores: their scores; only cosine similarities are read.
        instrument: name of the instrument that gave them.
        seed: of the random ways, where not all are looked at.
    """
    values = {(score.item, score.group): score.value for score in scores if score.name == COSINE}
    found = []
    for number, pair in enumerate(probe_set.comparisons if values else ()):
        gaps: dict[tuple[str, int], list[float]] = {}
        for item in items:
            a, b = values.get((item.id, pair.first)), values.get((item.id, pair.second))
            if item.directions[number]:
                known = gaps.setdefault((item.lexeme, item.directions[number]), [])
                known += [] if a is None or b is None else [a - b]
        if gaps:
            label = f"{probe_set.name} / {instrument}"
            found.append(_test(probe_set.name, label, (pair.first, pair.second), gaps, seed))
    return found


def _test(
    name: str, label: str, pair: tuple[str, str], gaps: dict[tuple[str, int], list[float]], seed: int
) -> SignificanceTest:
    known = {word: math.fsum(values) / len(values) for word, values in gaps.items() if values}
    means = np.array(list(known.values()), dtype=np.float64)
    in_first = np.array([direction > 0 for _, direction in known], dtype=np.bool_)
    first, second = int(in_first.sum()), int((~in_first).sum())
    able = first > 0 and second > 0
    p_value, ways, exact = permutation_p(means, in_first, seed) if able else (None, 0, False)
    return SignificanceTest(
        name="permutation",
        probe_set=name,
        instrument=label,
        comparison=pair,
        statistic=float(means[in_first].mean() - means[~in_first].mean()) if able else None,
        unit=GAP_UNITS[COSINE],
        p_value=p_value,
        ways=ways,
        exact=exact,
        sizes=(first, second),
        missing=len(gaps) - len(known),
        assumes="without an association it would be chance which of the target words are those of the one concept and "
        "which those of the other; the attribute words are held fixed, and only the expected direction counts",
        reason=None if able else "the words of one concept have no answers",
    )
