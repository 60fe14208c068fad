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

All intervals here are on the identity scale, as a difference of two runs is.
"""

from fairprint.audit.statistics import LEVEL, Interval, t_quantile, t_tail


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


def not_worse(u: Interval, v: Interval, baseline: Interval, margin: float) -> bool | None:
    """Return whether it is shown that b_B lies at most ``margin`` farther from neutral than b_A.

    For a number above neutral that is so where the upper one-sided 95 % bounds of u and of -v are at most the margin;
    for one below, those of -u and of v. Where b_A does not differ from neutral at one-sided 5 %, its side is not known,
    and both must hold; so too where it has no standard error.

    Args:
        u: b_B - b_A, paired.
        v: b_B + b_A, paired.
        baseline: b_A.
        margin: what may be added to the distance from neutral, above 0.

    Returns:
        Whether it is shown, or None where u or v has no standard error.
    """
    sides = [sign for sign in (1, -1) if (p := _p(baseline, sign)) is not None and p < 1 - LEVEL] or [1, -1]
    bounds = [_bound(found, sign) for side in sides for found, sign in ((u, side), (v, -side))]
    known = [bound for bound in bounds if bound is not None]
    return all(bound <= margin for bound in known) if len(known) == len(bounds) else None


def _both(u: Interval, v: Interval, same: int) -> float | None:
    """Return the p-value of u lying on the same side of 0 as v times ``same``, whichever side that is."""
    sides = [(_p(u, sign), _p(v, sign * same)) for sign in (1, -1)]
    known = [max(p, q) for p, q in sides if p is not None and q is not None]
    return min(known, default=None)


def _p(found: Interval, sign: int) -> float | None:
    """Return the one-sided p-value of a number being above 0 (``sign`` 1) or below (-1); None without an error."""
    if found.value is None or not found.standard_error or found.degrees_of_freedom is None:
        return None
    return t_tail(sign * found.value / found.standard_error, found.degrees_of_freedom)


def _bound(found: Interval, sign: int) -> float | None:
    """Return the upper one-sided bound of a number times ``sign``, or None where it has no standard error."""
    if found.value is None or found.standard_error is None or found.degrees_of_freedom is None:
        return None
    reach = t_quantile(LEVEL, found.degrees_of_freedom) * found.standard_error
    return sign * found.value + reach
