"""The record of a check: what terminal, JUnit, GitHub and the pytest plugin say of a run is made of this alone."""

from typing import Literal

from pydantic import Field

from fairprint.audit.comparisons import Side
from fairprint.audit.findings import Record

CHECK_SCHEMA_VERSION = 1

Verdict = Literal["pass", "fail", "inconclusive", "error"]
"""What is decided of a limit. ``inconclusive``: the data can neither show that it is kept nor that it is broken.
``error``: it could not be evaluated."""
Direction = Literal["up", "down", "away_from_neutral"]
"""Which way a number gets worse."""

PASSED, FAILED, INCOMPARABLE, INCONCLUSIVE, ERROR = 0, 1, 4, 5, 3
"""Exit codes of a check; 2 is wrong usage, 130 an interruption."""


class LimitVerdict(Record):
    """One limit: what it asks, what was found, and what is decided.

    All numbers are in ``unit``; shares and their differences are from 0 to 1 and shown in points.

    Attributes:
        name: the limit in words, unique within a check, such as ``signed_effect of gendered-occupations / fill``.
        metric: also ``energy_kwh``, ``emissions_kg``, ``tokens`` or ``flops``, which have neither set nor instrument.
        kind: ``absolute``, a limit on the number itself; ``relative``, on its worsening since the baseline.
        limit: the largest worsening, or the largest number (the smallest where ``direction`` is ``down``; the largest
            distance from neutral where it is ``away_from_neutral``). None where none could be made.
        default_limit: whether it is the worsening that the gate can detect, since none was given.
        verdict, reason: and why, in one sentence; of a pass or fail too.
        identical: all answers are the same as the baseline's.
        value, baseline: the number now, and in the baseline; on the items that both answered, where there is one.
        worsening: how much worse the number is than the baseline's, signed so that up is worse; of an absolute limit
            the number itself, or its distance from neutral.
        bound: upper one-sided 95 % bound of ``worsening``.
        p_value: one-sided, of no worsening (relative), or of the limit being kept (absolute); ``holm`` after Holm over
            all limits of the check. None where the verdict does not rest on a test, as of an energy budget.
        detectable: the true worsening that fails with 80 % power (the gate's minimum detectable effect).
        items, missing, units: what the number rests on.
        needed: fewest units of one factor that would decide, where it is inconclusive; of the others as many as now.
        question: what the limit asks, in one sentence.
        on_these: what was found on these very items: exact.
        for_others: what is said of items like these.
        guarantee: what is guaranteed whatever is true.
        place: file and line of the limit, such as ``pyproject.toml`` and 41.
    """

    name: str
    metric: str
    probe_set: str | None
    instrument: str | None
    scope: str | None
    comparison: tuple[str, str] | None
    kind: Literal["absolute", "relative"]
    direction: Direction
    unit: str
    limit: float | None
    default_limit: bool
    verdict: Verdict
    reason: str
    identical: bool
    value: float | None
    baseline: float | None
    worsening: float | None
    bound: float | None
    p_value: float | None
    holm: float | None
    detectable: float | None
    items: int | None
    missing: int
    units: dict[str, int]
    needed: dict[str, int] = Field(default_factory=dict)
    question: str
    on_these: str
    for_others: str
    guarantee: str
    place: tuple[str, int | None]
    warnings: tuple[str, ...] = ()


class CheckRecord(Record):
    """A run against its limits.

    Attributes:
        verdict: of the whole: ``error``, ``fail``, ``inconclusive`` or ``pass``, the first that any limit has; with
            ``refused`` it is ``error``.
        exit_code: as published: 0 passed, 1 failed, 3 a limit in error, 4 the baseline cannot be compared (or is
            missing where it is required), 5 inconclusive where ``strict``. Of several the first of 3, 4, 1, 5, 0.
        baseline: the run that the baseline was made of, or None with ``no_baseline``.
        baseline_reason: why the baseline was last updated.
        refused: why the baseline cannot be compared; empty where it can.
        without_limit: metrics of whole sets that the run has and no limit names.
        identical: every answer that was compared is the same.
        remarks: what a reader must know, such as an old baseline.
    """

    schema_version: int = CHECK_SCHEMA_VERSION
    fairprint: str
    checked_at: str
    run: Side
    baseline: Side | None
    no_baseline: str | None
    baseline_reason: str | None
    baseline_written_at: str | None
    verdict: Verdict
    exit_code: int
    limits: tuple[LimitVerdict, ...]
    refused: tuple[str, ...]
    without_limit: tuple[str, ...]
    identical: bool
    strict: bool
    require_baseline: bool
    settings_file: str
    remarks: tuple[str, ...]
