"""One metric in two runs on the same items: either value, their difference, and what is needed to judge it.

All intervals here are on the identity scale, by the jackknife of both runs together: one unit is left out of both at a
time. Whether a number moved away from its neutral value is read off difference and sum together
(``fairprint.audit.away``).
"""

import math
from dataclasses import dataclass
from typing import Any

from fairprint.audit.metrics import Metric
from fairprint.audit.paired import Combined, PairedRows, combined
from fairprint.audit.statistics import Factors, Form, Interval, interval, jackknife

IDENTICAL = "identical answers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """What became of a metric between run A and run B.

    Attributes:
        values: the metric in run A and in run B.
        a, b: the same, of a metric with a neutral value its distance from that, with intervals.
        u: b - a, paired.
        v: b + a, paired, where there is a neutral value; else None.
        forms: how the metric is computed in either run.
        identical: every item has the same value in both runs, so that there is nothing to estimate.
    """

    values: tuple[float, float]
    a: Interval
    b: Interval
    u: Interval
    v: Interval | None
    forms: tuple[Form, Form]
    identical: bool


def shift(metric: Metric, rows: PairedRows, factors: Factors) -> Shift | None:
    """Return what became of a metric between two runs; None where it has no value in one of them.

    Args:
        metric: the metric.
        rows: the same items in both runs, at least one.
        factors: their units.
    """
    forms = metric.form(rows.a, factors), metric.form(rows.b, factors)
    values = tuple(float(jackknife(form, factors)["all"][0]) for form in forms)
    if any(map(math.isnan, values)):
        return None
    neutral = metric.neutral or 0.0
    a, b = (_of_both(forms, factors, of) for of in (lambda x, y: x - neutral, lambda x, y: y - neutral))
    known: dict[str, Any] = {"values": values, "a": a, "b": b, "forms": forms}
    u = _of_both(forms, factors, lambda x, y: y - x)
    if rows.identical:
        # the same numbers twice: there is no chance about it
        same = Interval(value=0.0, p_value=1.0, units=u.units, reason=IDENTICAL)
        return Shift(**known, u=same, v=None, identical=True)
    v = None if metric.neutral is None else _of_both(forms, factors, lambda x, y: (x - neutral) + (y - neutral))
    return Shift(**known, u=u, v=v, identical=False)


def _of_both(forms: tuple[Form, Form], factors: Factors, of: Combined) -> Interval:
    replicates = jackknife(combined(*forms, of), factors)
    return interval(replicates, factors, scale="identity", neutral=0.0, items=len(factors.template))
