"""Association tests of embeddings: the effect size of WEAT, and its permutation test.

A target word's gap s(w, A, B) is its mean cosine similarity with the words of the first group minus that with the words
of the second. X are the target words that are expected with the first group, Y those expected with the second; where
words stand in several sentence frames, a word's gap is the mean over them (Caliskan, Bryson & Narayanan 2017,
supplement).
"""

import math
from collections.abc import Sequence

import numpy as np

from fairprint.audit.findings import SignificanceTest
from fairprint.audit.significance import permutation
from fairprint.audit.statistics import Array, Sums
from fairprint.probes.items import Item, ProbeSet
from fairprint.probes.scores import COSINE, GAP_UNITS, Score

_ROUNDING, _EXACT = 1e-20, 1e-12


def effect_size(gaps: Array, directions: Array) -> Sums:
    """Return the form of d: (mean gap of X - mean gap of Y) / standard deviation over both.

    The standard deviation is that of the gaps of all target words, with n - 1 (as in sent-bias, May et al. 2019; with
    n, as WEFE has it, d is larger by sqrt(n / (n - 1))). |d| stays below 2.

    Args:
        gaps: one an item.
        directions: +1 where the word is one of X, -1 where it is one of Y.
    """
    middle = float(gaps.mean()) if len(gaps) else 0.0  # squares of gaps far from 0 would drown their variance
    # words whose gaps differ by less than this do so by rounding alone
    rounding = max(
        _ROUNDING * float(np.square(gaps).max(initial=0.0)), _EXACT * float(np.square(gaps - middle).max(initial=0.0))
    )

    def of_word(sums: Array) -> Array:
        count, side = sums[..., 1], np.sign(sums[..., 2])
        present = count > 0
        gap = np.where(present, sums[..., 0] / np.where(present, count, 1) - middle, 0)
        first, second = present * (side > 0), present * (side < 0)
        found = [present, gap, gap * gap, first, first * gap, second, second * gap]
        return np.stack([np.asarray(column, dtype=np.float64) for column in found], axis=-1)

    def combine(sums: Array) -> Array:
        words, total, squares, first, of_first, second, of_second = np.moveaxis(sums[:, 0], -1, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = squares - total * total / words
            varies = (words > 1) & (spread > words * rounding)
            apart = of_first / first - of_second / second
            return np.where(varies, apart / np.sqrt(np.where(varies, spread / (words - 1), 1)), np.nan)

    columns = np.stack([gaps, np.ones_like(gaps), directions], axis=1)
    return Sums(columns=columns, combine=combine, of_lexeme=of_word)


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
            found.append(_tested(probe_set.name, label, (pair.first, pair.second), gaps, seed))
    return found


def _tested(
    name: str, label: str, pair: tuple[str, str], gaps: dict[tuple[str, int], list[float]], seed: int
) -> SignificanceTest:
    known = {word: math.fsum(values) / len(values) for word, values in gaps.items() if values}
    means = np.array(list(known.values()), dtype=np.float64)
    in_first = np.array([direction > 0 for _, direction in known], dtype=np.bool_)
    first, second = int(in_first.sum()), int((~in_first).sum())
    found = permutation(means, in_first, seed)
    return SignificanceTest(
        name="permutation",
        probe_set=name,
        instrument=label,
        comparison=pair,
        statistic=found.statistic,
        unit=GAP_UNITS[COSINE],
        p_value=found.p_value,
        ways=found.ways,
        exact=found.exact,
        sizes=(first, second),
        missing=len(gaps) - len(known),
        assumes="without an association it would be chance which of the target words are those of the one concept and "
        "which those of the other; the attribute words are held fixed, and only the expected direction counts",
        reason=None if found.p_value is not None else "the words of one concept have no answers",
    )
