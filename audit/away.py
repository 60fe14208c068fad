"""Whether a number moved away from its neutral value between two runs, where it may have passed that value.

With b the distance of a metric from its neutral value, in run A and in run B, what is asked is whether |b_B| > |b_A|.
The difference of the sizes folds at the neutral value, where its error is no longer normal, and the sign of b_A does
not tell of a number that passed to the other side. So two paired differences are asked together: u = b_B - b_A and
v = b_B + b_A. |b_B| > |b_A| exactly where u and v are both above 0 or both below, and |b_B| < |b_A| exactly where they
lie on different sides. That both of two things hold is shown where each is (intersection-union, Berger 1982).

In simulation (``tests/simulations/away.py``) a test at 5 % errs at 5.1 % at most where the runs scatter alike; with 12
units of unequal sizes at 5.7 %. Where b_A is 0 and run B scatters much more than run A, u and v go together, and either
side can err: at 5.9 % where it scatters twice and 7.4 % where it scatters three times as much and the runs correlate by
.9, and never at more than 10 %.

How much farther b_B lies at most is bounded by |u| as well, and by the side of b_A alone where that is beyond doubt.
Were a side taken for known at 5 %, then at a b_A of 0 whatever happens to look like a side would be a second way to
pass: with paired runs, a number that is worse by the margin would pass at 9 %, and at .1 % it passes at 5.2 % at most.

All intervals here are on the identity scale, as a difference of two runs is.
"""

from math import sqrt

from fairprint.audit.statistics import LEVEL, Interval, t_quantile, t_tail

SIDE = 0.001
"""One-sided level at which the side of a number is known: what it adds to the chance to pass at a b_A of 0."""


def away_p(u: Interval, v: Interval) -> float | None:
    """Return the one-sided p-value of b_B lying no farther from neutral than b_A: small where it moved away.

    It is min(max(p(u > 0), p(v > 0)), max(p(u < 0), p(v < 0))).

    Args:
        u: b_B - b_A, paired.
        v: b_B + b_A, paired.

    Returns:
        The p-value, or None where u or v has no standard error.
    """
    return _both(u, v, 1)


def towards_p(u: Interval, v: Interval) -> float | None:
    """Return the one-sided p-value of b_B lying no nearer to neutral than b_A: small where it moved towards neutral.

    It is min(max(p(u > 0), p(v < 0)), max(p(u < 0), p(v > 0))), of the same two intervals as for ``away_p``.
    """
    return _both(u, v, -1)


def most_worse(u: Interval, v: Interval, baseline: Interval, items: int | None = None) -> float | None:
    """Return the upper one-sided 95 % bound of how much farther from neutral b_B lies than b_A.

    |b_B| - |b_A| is never more than |u|, so that the larger of the bounds of u and of -u is one. Where the side of b_A
    is known (``side``), it is the larger of u and -v for a number above neutral, and of -u and v for one below; then
    the smaller of both bounds is the answer.

    Args:
        u: b_B - b_A, paired.
        v: b_B + b_A, paired.
        baseline: b_A.
        items: of a share how many items it is of, else None.

    Returns:
        The bound, or None where u or v has no standard error.
    """
    ways = [((u, 1), (u, -1))]
    if known := side(baseline):
        ways.append(((u, known), (v, -known)))
    if upper(u) is None or upper(v) is None:
        return None
    return min(max(bound for found, sign in way if (bound := upper(found, sign, items)) is not None) for way in ways)


def side(baseline: Interval) -> int:
    """Return on which side of neutral a number lies: 1 above, -1 below, 0 where it is not known, at ``SIDE``."""
    return next((sign for sign in (1, -1) if (p := above_p(baseline, sign)) is not None and p < SIDE), 0)


def not_worse(u: Interval, v: Interval, baseline: Interval, margin: float) -> bool | None:
    """Return whether it is shown that b_B lies at most ``margin`` farther from neutral than b_A.

    Args:
        u: b_B - b_A, paired.
        v: b_B + b_A, paired.
        baseline: b_A.
        margin: what may be added to the distance from neutral, above 0.

    Returns:
        Whether it is shown, or None where u or v has no standard error.
    """
    bound = most_worse(u, v, baseline)
    return None if bound is None else bound <= margin


def _both(u: Interval, v: Interval, same: int) -> float | None:
    """Return the p-value of u lying on the same side of 0 as v times ``same``, whichever side that is."""
    sides = [(above_p(u, sign), above_p(v, sign * same)) for sign in (1, -1)]
    known = [max(p, q) for p, q in sides if p is not None and q is not None]
    return min(known, default=None)


def unanimous(found: Interval) -> bool:
    """Whether a number is the same without any one unit, so that there is nothing to estimate its variance from."""
    if found.value is None or found.standard_error is not None or not found.extremes:
        return False
    return all(value == found.value for _, _, value in found.extremes)


def above_p(found: Interval, sign: int = 1) -> float | None:
    """Return the one-sided p-value of a number being above 0 (``sign`` 1) or below (-1).

    Where all G units of the scarcer factor agree, it is that of a sign test, 2^-G, on the side on which they lie.

    Returns:
        The p-value, or None where the number has no standard error.
    """
    if unanimous(found) and found.value is not None:
        return 2.0 ** -min(found.units.values()) if sign * found.value > 0 else 1.0
    if found.value is None or not found.standard_error or found.degrees_of_freedom is None:
        return None
    return t_tail(sign * found.value / found.standard_error, found.degrees_of_freedom)


def upper(found: Interval, sign: int = 1, items: int | None = None) -> float | None:
    """Return the upper one-sided 95 % bound of a number times ``sign``; None where it has no standard error.

    Where all units agree, it is the number itself. Of a difference of shares the bound is ``beyond`` the estimate.

    Args:
        found: the number.
        sign: 1 or -1.
        items: of a difference of shares how many items it is of, else None.
    """
    if unanimous(found) and found.value is not None:
        return sign * found.value
    if found.value is None or found.standard_error is None or found.degrees_of_freedom is None:
        return None
    return sign * found.value + beyond(t_quantile(LEVEL, found.degrees_of_freedom), found.standard_error, items)


def beyond(quantile: float, error: float, items: int | None) -> float:
    """Return how far beyond a number with standard error s lies what is k errors from it, k the quantile: k s.

    Of a difference of shares in N items, what lies d farther has a larger error: where runs go together nearly every
    item that changes does so one way, which adds d / N to the variance of the mean. So d = k sqrt(s^2 + d / N), that is
    k^2 / 2N + sqrt(k^2 s^2 + (k^2 / 2N)^2), as Wilson (1927) did for one share. With k s alone a share that is worse by
    the margin passed at up to 9 % for 12 templates, and at 6 to 7 % for 20 to 60 (``tests/test_gate_simulation.py``).
    """
    if items is None:
        return quantile * error
    grown = quantile**2 / (2 * items)
    return grown + sqrt((quantile * error) ** 2 + grown**2)
