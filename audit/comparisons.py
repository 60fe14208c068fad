"""The record of a comparison of two runs: what terminal, page and gate say of it is made of this and nothing else."""

from typing import Literal

from pydantic import Field

from fairprint.audit.findings import Record
from fairprint.audit.records import Environment, Footprint, ModelInfo, ProbeInfo

COMPARISON_SCHEMA_VERSION = 1

Verdict = Literal[
    "identical answers",
    "moved away from neutral",
    "moved towards neutral",
    "better",
    "worse",
    "differs",
    "not shown",
    "not available",
]
"""What is said of a difference. ``differs`` is one that is shown, of a number without a better end, or of one that may
have passed the neutral point, so that neither side of it is shown to be farther off."""


class Side(Record):
    """One of the two runs."""

    run_id: str
    started_at: str
    status: str
    model: ModelInfo
    environment: Environment
    footprint: Footprint


class SignFlips(Record):
    """A check of one difference that assumes less: the signs of whole units' differences are turned.

    Attributes:
        factor: whose units; of two random factors the one that gives the larger p-value.
        p_value: two-sided, or None with ``reason``.
        smallest: the smallest p-value that so many units allow.
        ways: how many ways were looked at; ``exact`` where these are all.
    """

    factor: str
    units: int
    p_value: float | None
    smallest: float | None
    ways: int
    exact: bool
    reason: str | None


class Difference(Record):
    """One metric in one scope: what it is in either run on the same items, and the difference with its interval.

    Attributes:
        instrument, scope, comparison, unit, neutral: as in ``Estimate``; the scale of a difference is the identity.
        a, b: values of run A and run B, on the items that both answered; None with ``reason``.
        value: b - a, paired, with ``low`` and ``high``.
        p_value: two-sided, of no difference, from the statistic that gives the interval; 1 where all answers agree.
        q_value: after Benjamini-Hochberg over all tested differences of the comparison; ``holm`` after Holm. Both are
            None where the difference belongs to no family: it repeats another, or has neither a neutral value nor a
            better end.
        sign_flips: of plain means over all items of a set; None for others.
        p_away, p_towards: one-sided, of b being no farther from the neutral value than a, or no nearer (rule in
            ``fairprint.audit.away``); None where there is no neutral value.
        better: ``higher`` or ``lower``, where one end of the metric is the better one.
        items: that both runs answered; ``missing`` are the others, of which ``missing_a`` have no answer in run A, and
            ``missing_b`` none in run B.
        detectable: smallest difference found with 80 % power at 5 %.
        standard_errors: by ``item``, ``template``, ``lexeme`` and ``two-way``, those that there are.
        identical: every item has the same value in both runs, so that the difference is exactly 0.
    """

    metric: str
    metric_version: int
    probe_set: str
    instrument: str
    scope: str
    comparison: tuple[str, str] | None
    unit: str
    a: float | None
    b: float | None
    value: float | None
    low: float | None
    high: float | None
    level: float
    p_value: float | None
    q_value: float | None
    holm: float | None
    neutral: float | None
    neutral_why: str
    p_away: float | None
    p_towards: float | None
    better: Literal["higher", "lower"] | None
    verdict: Verdict
    items: int
    missing: int
    missing_a: int
    missing_b: int
    units: dict[str, int]
    design_effect: float | None
    detectable: float | None
    standard_error: float | None
    degrees_of_freedom: float | None
    standard_errors: dict[str, float] = Field(default_factory=dict)
    sign_flips: SignFlips | None
    identical: bool
    estimand: str
    reason: str | None
    warnings: tuple[str, ...] = ()


class ComparisonRecord(Record):
    """Two runs of the same questions, compared item by item; every difference is B minus A.

    Attributes:
        probes: the sets that are compared, as run B describes them.
        utility: names of the sets that no finding about people rests on: they guard against a worse model.
        family: how many tests were corrected together.
        identical: every answer that was compared is the same in both runs.
        only_a, only_b: what is in one of the runs alone, and so not compared.
        costs_apart: why the energy of the two runs cannot be compared; empty where it can.
        remarks: what differs between the runs and may move a number, such as the type of the weights.
    """

    schema_version: int = COMPARISON_SCHEMA_VERSION
    fairprint: str
    a: Side
    b: Side
    probes: tuple[ProbeInfo, ...]
    utility: tuple[str, ...]
    differences: tuple[Difference, ...]
    family: int
    identical: bool
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    costs_apart: tuple[str, ...]
    remarks: tuple[str, ...]
