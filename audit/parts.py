"""What a form of probe sets has computed: some rows, and the metric that is computed of them."""

from dataclasses import dataclass

from fairprint.audit.metrics import Metric, Row

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some items whose metric is to be computed.

    Attributes:
        scope: ``all``, ``category:NAME``, ``group:ID``, ``condition:NAME`` or ``quality:clean`` (see ``Estimate``).
        family: of the tests that are corrected together, where that is not the report's own (``multiplicity``).
        neutral_why: where it says more than the metric does.
        unit: of the estimate, where it is not the metric's.
        bounds: worst cases, had the missing items answered one way or the other, where they are not those of a mean.
        label: of a classifier, which the numbers are about, where there are several.
        reason: why there is nothing to compute, where there are no rows.
        warnings: why the number should not be taken for what its name says, whatever its interval.
    """

    metric: Metric
    comparison: Pair | None
    scope: str
    rows: tuple[Row, ...]
    family: str = ""
    neutral_why: str = ""
    unit: str = ""
    label: str = ""
    reason: str = ""
    bounds: tuple[float, float] | None = None
    warnings: tuple[str, ...] = ()
