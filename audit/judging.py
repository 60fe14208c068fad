"""The gate's decision rule: pass, fail or inconclusive from what is known of a worsening, and a limit.

With delta how much worse a number is, s its standard error with nu degrees of freedom, M the limit and m the number of
limits that are tested together:

- fail: the one-sided p-value, after Holm over the m limits, is below .05, and the estimate of delta lies above M.
- pass: the upper one-sided 95 % bound of delta is at most M (non-inferiority). It needs no correction, since the gate
  passes where all limits do (intersection-union, Berger 1982).
- inconclusive: neither.

So the chance that any limit fails where nothing is truly worse is at most 5 %, and the chance that a limit passes whose
number is truly worse by M or more is at most 5 %.

In simulation (``tests/simulations/gate.py``: 20 limits, 12 to 60 templates or 12 x 30 crossed units, 2,000 pairs of
models a setting, so that a chance of 5 % is known to half a percent) some limit fails in 5.6 % of pairs at most, and a
limit that is worse by the margin passes in 5.7 % at most. That holds for a margin that was chosen beforehand. The
default margin is made of the same data: a worsening as large as it is on average passes in 5 to 9 % where numbers are
normal and get worse upwards or downwards, and in up to half of all cases near the neutral value, where it varies most.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, sqrt
from typing import Literal

from fairprint.audit.away import above_p, away_p, beyond, most_worse, upper
from fairprint.audit.checks import Direction
from fairprint.audit.significance import holm
from fairprint.audit.statistics import LEVEL, POWER, TEMPLATE, Factors, Interval, t_quantile

ALPHA = 1 - LEVEL
_FEWEST = 1.5
"""Effective units below which there is nothing to estimate a variance from: all items but a few belong to one unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Across:
    """What else must be shown of a number that moved away from neutral: that v, run B plus run A, lies on u's side.

    Attributes:
        error, degrees_of_freedom: of v.
        distance: how far from 0 v lies where nothing moved, 2 |b_A|; 0 where b_A does not differ from neutral at
            one-sided 5 %.
    """

    error: float
    degrees_of_freedom: float
    distance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of one limit, before anything is decided.

    Attributes:
        worsening: how much worse the number is, up is worse; what is held against the limit.
        bound: its upper one-sided 95 % bound, or None with ``reason``.
        p_value: one-sided, of what is not to be rejected unless the limit is broken; None with ``reason``.
        error, degrees_of_freedom: standard error of the worsening; None where all units agree, or nothing is known.
        units: of each random factor.
        limiting: the factor that brings more of the variance.
        across: of ``away_from_neutral`` what must be shown beside; None elsewhere.
        gap: of a limit on a number itself, how far the number lies from it, on the scale of ``error``; None elsewhere.
        items: of a share how many items it is of; None elsewhere.
        identical: the same answers twice, so that there is no worsening and nothing to estimate.
        reason: why it is not known.
    """

    worsening: float
    bound: float | None
    p_value: float | None
    error: float | None = None
    degrees_of_freedom: float | None = None
    units: Mapping[str, int]
    limiting: str | None = None
    across: Across | None = None
    gap: float | None = None
    items: int | None = None
    identical: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the rule decides of a limit.

    Attributes:
        limit: what was held against it: the one that was given, or the default.
        holm: the p-value after Holm.
        detectable: the true worsening that fails with 80 % power; None where there is no standard error.
        needed: fewest units of a factor that would decide; empty where it is decided, or where none is known.
    """

    verdict: Literal["pass", "fail", "inconclusive"]
    limit: float | None
    holm: float | None
    detectable: float | None
    needed: Mapping[str, int]


def effective(found: Interval, factors: Factors) -> Interval:
    """Return an interval whose degrees of freedom go by the effective number of units, (sum n)^2 / sum n^2 of n items.

    Where units have unequal numbers of items the largest ones decide, so that their variance is known less well than as
    many equal ones would tell (Kish 1965; Carter, Schnepel & Steigerwald 2017). Far out in the tail, where one of 20
    limits is tested, that matters: t with one less than the number of units finds 1.4 times as many false alarms as it
    says for 12 units whose numbers of items have a coefficient of variation of .5, and 1.3 times as many for 20; with
    the effective number it is 1.02 and 1.06 times.

    Of two factors nu is V^2 / (V_T^2 / (T - 1) + V_L^2 / (L - 1)) with their effective numbers T and L (Satterthwaite).

    Args:
        found: the interval.
        factors: the units of the items that it is made of.
    """
    if found.standard_error is None or found.degrees_of_freedom is None:
        return found
    spread = 0.0
    for factor in factors.random:
        items = Counter(factors.codes(factor).tolist()).values()
        units = max(sum(items) ** 2 / sum(count**2 for count in items), _FEWEST)
        # of one factor there is one standard error, and it may be told of by no other name
        error = found.standard_errors[factor] if len(factors.random) > 1 else found.standard_error
        spread += error**4 / (units - 1)
    known = found.standard_error**4 / spread if spread > 0 else found.degrees_of_freedom
    return replace(found, degrees_of_freedom=known)


def worsened(
    u: Interval, v: Interval, a: Interval, b: Interval, direction: Direction, factors: Factors, *, share: bool
) -> Evidence:
    """Return how much worse a number is in run B than in run A.

    Args:
        u: B minus A, paired; of ``away_from_neutral`` both are distances from the neutral value, with their sign.
        v: B plus A, paired; read for ``away_from_neutral`` alone.
        a: the number in run A; read for ``away_from_neutral`` alone.
        b: that in run B.
        direction: which way is worse.
        factors: the units of the items that all are made of.
        share: whether the number is a share of the items.
    """
    items = len(factors.template) if share else None
    u, v, a, b = (effective(found, factors) for found in (u, v, a, b))
    if u.value is None:
        raise ValueError("there is no difference to judge")
    across = None
    if direction == "away_from_neutral":
        if a.value is None or b.value is None:
            raise ValueError("there is no distance from neutral to judge")
        # a number that differs from neutral in neither run did not move away from it, whatever u and v say together
        sides = [above_p(b, sign) for sign in (1, -1)]
        apart = None if None in sides else 2 * min(p for p in sides if p is not None)
        moved = away_p(u, v)
        p_value = None if moved is None or apart is None else min(1.0, max(moved, apart))
        worsening, bound, across = abs(b.value) - abs(a.value), most_worse(u, v, a, items), _across(v, a)
    else:
        sign = 1 if direction == "up" else -1
        worsening, bound, p_value = sign * u.value, upper(u, sign, items), above_p(u, sign)
    reason = None if bound is not None and p_value is not None else u.reason or v.reason or "it has no standard error"
    return Evidence(
        worsening=worsening,
        bound=bound,
        p_value=p_value,
        error=u.standard_error,
        degrees_of_freedom=u.degrees_of_freedom,
        units=dict(u.units),
        limiting=limiting(u),
        across=across,
        items=items,
        reason=reason,
    )


def _across(v: Interval, a: Interval) -> Across | None:
    if v.standard_error is None or v.degrees_of_freedom is None or a.value is None:
        return None
    side = above_p(a, 1 if a.value > 0 else -1)
    distance = 2 * abs(a.value) if side is not None and side < ALPHA else 0.0
    return Across(error=v.standard_error, degrees_of_freedom=v.degrees_of_freedom, distance=distance)


def limiting(found: Interval) -> str | None:
    """Return the factor whose units bring more of the variance."""
    if not found.units:
        return None
    return max(found.units, key=lambda factor: (found.standard_errors.get(factor, 0.0), factor == TEMPLATE))


def decide(evidence: Sequence[Evidence], limits: Sequence[float | None]) -> list[Decision]:
    """Decide some limits together.

    Args:
        evidence: of each limit.
        limits: the largest worsening of each; where None, it is the worsening that the gate detects with 80 % power.
    """
    tested = [found.p_value for found in evidence]
    corrected = holm(tested)
    count = sum(p is not None for p in tested)
    return [_decided(e, limit, p, count) for e, limit, p in zip(evidence, limits, corrected, strict=True)]


def detectable(found: Evidence, limit: float, count: int) -> float | None:
    """Return the true worsening that fails with 80 % power: it must pass the limit, and a test at 5 % of ``count``.

    It is max(M, t(1 - .05 / m, nu) s) + t(.80, nu) s; of a share each number of errors is as far as ``beyond`` says.
    Of ``away_from_neutral`` v must pass the same test, and lies 2 |b_A| from 0 as it is. Where b_A does not differ from
    neutral v lies at 0, and as both u and v are in question then, each must pass with 90 %. What is told is of a
    worsening on the side of b_A: one that passes the neutral value must reach as far with the error of v.
    """
    if found.error is None or found.degrees_of_freedom is None:
        return None
    level, power = 1 - ALPHA / max(count, 1), _power(found)
    more = t_quantile(power, found.degrees_of_freedom)
    # at the limit itself a share scatters more than it does here
    at_limit = sqrt(found.error**2 + (limit / found.items if found.items else 0.0))
    reach = max(
        limit + beyond(more, at_limit, found.items),
        beyond(t_quantile(level, found.degrees_of_freedom) + more, found.error, found.items),
    )
    if (across := found.across) is None:
        return reach
    quantiles = t_quantile(level, across.degrees_of_freedom) + t_quantile(power, across.degrees_of_freedom)
    return max(reach, beyond(quantiles, across.error, found.items) - across.distance)


def _power(found: Evidence) -> float:
    """Return the power that each test needs: where two are in question both must come out, in 80 % of all cases."""
    return 1 - (1 - POWER) / 2 if found.across is not None and found.across.distance == 0 else POWER


def _decided(found: Evidence, given: float | None, corrected: float | None, count: int) -> Decision:
    limit = detectable(found, 0.0, count) if given is None else given
    if limit is None and found.bound is not None and found.bound <= 0:
        limit = 0.0  # nothing varies, so that no margin can be made; but no unit is worse either
    if found.identical:
        return Decision(verdict="pass", limit=limit, holm=corrected, detectable=None, needed={})
    reach = None if limit is None or found.gap is not None else detectable(found, limit, count)
    verdict: Literal["pass", "fail", "inconclusive"] = "inconclusive"
    if limit is not None:
        if corrected is not None and corrected < ALPHA and found.worsening > limit:
            verdict = "fail"
        elif found.bound is not None and found.bound <= limit:
            verdict = "pass"
    distance = limit if found.gap is None else found.gap
    needed = {} if verdict != "inconclusive" or distance is None else units_needed(found, distance)
    return Decision(verdict=verdict, limit=limit, holm=corrected, detectable=reach, needed=needed)


def units_needed(found: Evidence, margin: float) -> dict[str, int]:
    """Return how many units of the factor with the larger variance share would show a number kept that is no worse.

    It is G ((t(.95) + t(.80)) s / M)^2; more items of the same units do not help. Of ``away_from_neutral``, where
    b_A does not differ from neutral, the number must be shown to have moved neither up nor down: it is t(.90) then.

    Args:
        found: what is known.
        margin: M; of a limit on the number itself, how far it lies from the limit.
    """
    if found.error is None or found.degrees_of_freedom is None or found.limiting is None or margin <= 0:
        return {}
    quantiles = t_quantile(LEVEL, found.degrees_of_freedom) + t_quantile(_power(found), found.degrees_of_freedom)
    count = found.units[found.limiting] * (quantiles * found.error / margin) ** 2
    return {found.limiting: max(ceil(count), found.units[found.limiting] + 1)}
