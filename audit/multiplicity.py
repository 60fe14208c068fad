"""Which tests of a report are corrected together.

A report has one declared family: the two-sided tests against the neutral value of every metric, comparison and category
that has one, pooled and single ones alike, of all its probe sets and instruments. The p-values are adjusted by the
method of Benjamini and Hochberg, so that of those that survive at q < .05 at most 5 % are expected to be false. Lists
of another kind (the words of a set one by one, what people wrote) are families of their own, so that a long list of
words does not make the report's own tests harder to pass.
"""

from collections.abc import Sequence

from fairprint.audit.findings import Family
from fairprint.audit.records import Estimate
from fairprint.audit.significance import benjamini_hochberg

REPORT = "every metric and category of the report"
"""Name of the declared family."""
RATE = 0.05
"""False discovery rate at which a test survives."""


def corrected(estimates: Sequence[Estimate]) -> list[Estimate]:
    """Return the estimates with the q-value of each test within its family.

    An estimate that names no family belongs to the report's. What has no p-value has no q-value, and no family. The
    same may be done again with more estimates: those of a whole run after those of each of its sets.
    """
    members: dict[str, list[int]] = {}
    for number, estimate in enumerate(estimates):
        if estimate.p_value is not None:
            members.setdefault(estimate.family or REPORT, []).append(number)
    told = [estimate.model_copy(update={"q_value": None, "family": None}) for estimate in estimates]
    for family, numbers in members.items():
        q_values = benjamini_hochberg([estimates[n].p_value for n in numbers])
        for n, q in zip(numbers, q_values, strict=True):
            told[n] = estimates[n].model_copy(update={"q_value": q, "family": family})
    return told


def survives(estimate: Estimate) -> bool | None:
    """Return whether a test still stands after the correction; None where nothing was tested."""
    return None if estimate.q_value is None else estimate.q_value < RATE


def families(estimates: Sequence[Estimate]) -> tuple[Family, ...]:
    """Return each family of corrected estimates, the report's own first: how many tests, and how many survive."""
    found: dict[str, list[bool]] = {}
    for estimate in sorted(estimates, key=lambda e: e.family != REPORT):
        survived = survives(estimate)
        if estimate.family is not None and survived is not None:
            found.setdefault(estimate.family, []).append(survived)
    return tuple(
        Family(name=name, rate=RATE, tests=len(tests), survive=sum(tests), method="Benjamini-Hochberg")
        for name, tests in found.items()
    )
