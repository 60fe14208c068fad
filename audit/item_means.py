"""The mean over items of a trained model, with an interval for the units that the items are made of."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from fairprint.audit.statistics import LEXEME, TEMPLATE, Array, Factors, Interval, Sums, interval, jackknife

MANY_KINDS = "items with more than two kinds of units have no interval yet"


def mean_of(values: Sequence[float], units: Sequence[Mapping[str, str]], ids: Sequence[str]) -> Interval:
    """Return the mean of some items with its 95 % interval: on the logit scale where all of them are 0 or 1.

    Args:
        values: shape [item].
        units: of each item by kind, the same kinds for all; two kinds cross, of none each item is a unit of its own.
        ids: of the items.
    """
    share = set(values) <= {0.0, 1.0}
    return _interval(np.asarray(values), units, ids, scale="logit" if share else "identity", neutral=None)


def difference_of(moved: Sequence[float], units: Sequence[Mapping[str, str]], ids: Sequence[str]) -> Interval:
    """Return the mean of paired differences with its 95 % interval and the p-value of none."""
    return _interval(np.asarray(moved), units, ids, scale="identity", neutral=0.0)


def _interval(
    values: Array, units: Sequence[Mapping[str, str]], ids: Sequence[str], *, scale: str, neutral: float | None
) -> Interval:
    kinds = sorted(units[0], key=lambda kind: (kind == TEMPLATE, kind))
    if len(kinds) > 2:
        return Interval(value=math.fsum(values) / len(values), reason=MANY_KINDS)
    templates = [each[kinds[-1]] for each in units] if kinds else ids
    lexemes = [each[kinds[0]] for each in units] if len(kinds) == 2 else ["all"] * len(ids)
    factors = Factors.of(templates, lexemes, (TEMPLATE, LEXEME))
    columns = np.stack([values, np.ones_like(values)], axis=1)
    form = Sums(columns=columns, combine=lambda sums: sums[:, 0, 0] / sums[:, 0, 1])
    return interval(jackknife(form, factors), factors, scale=scale, neutral=neutral, items=len(ids))
