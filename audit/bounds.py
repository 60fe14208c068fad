"""Worst cases: between what a bounded metric lies, had the missing items answered one way or the other.

They are no confidence interval: they say what is not known of these very items. Metrics without bounds (log-probability
gaps, correlations, effect sizes) have none, since a missing answer could have been anything.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fairprint.audit.statistics import Array, Codes

Bounds = tuple[float, float]


def of_mean(value: float, known: int, missing: int, least: float, most: float) -> Bounds:
    """Return the bounds of a mean whose missing items lie between two ends.

    >>> of_mean(0.75, 4, 1, 0, 1)
    (0.6, 0.8)
    """
    items = known + missing
    return (value * known + least * missing) / items, (value * known + most * missing) / items


def of_difference(values: Array, first: NDArray[np.bool_], least: float, most: float) -> Bounds | None:
    """Return the bounds of the mean of some items minus that of the others; NaN where an item is missing.

    The difference is lowest where the missing items of the first side lie at the lower end and the others at the upper.
    None where a side has no items.
    """
    if first.all() or not first.any():
        return None
    ends = []
    for own, other in ((least, most), (most, least)):
        filled = np.where(np.isnan(values), np.where(first, own, other), values)
        ends.append(math.fsum(filled[first]) / first.sum() - math.fsum(filled[~first]) / (~first).sum())
    return float(ends[0]), float(ends[1])


def of_centred(gaps: Array, templates: Codes, wins: Callable[[Array], Array]) -> Bounds:
    """Return the bounds of a mean of gaps less their template's mean, each turned into a number from 0 to 1.

    A missing gap (NaN) can be so large either way that it moves the mean of its template beyond all others, so that
    nothing is known of a template with a missing item.

    Args:
        gaps: one an item.
        templates: the template of each, codes from 0.
        wins: what turns centred gaps [item] into numbers from 0 to 1; NaN may come out of NaN.
    """
    middle = np.bincount(templates, weights=gaps) / np.bincount(templates)  # NaN where an item is missing
    won = wins(gaps - middle[templates])
    unknown = np.isnan(middle)[templates]
    sure = math.fsum(won[~unknown])
    return sure / len(gaps), (sure + int(unknown.sum())) / len(gaps)
