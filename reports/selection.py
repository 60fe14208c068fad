"""Which estimates of a record speak for what: for an instrument, a comparison, a single word."""

from collections.abc import Sequence

from fairprint.audit.records import Estimate, ProbeInfo, RunRecord
from fairprint.reports import benchmarks, utility

_GAPS = ("stereotype_score", "association_effect", "valence_gap", "group_gap")
HEADLINES = (
    *(*_GAPS, *benchmarks.HEADLINES, "signed_effect"),
    *("accuracy_gap", "covariate_correlation", "flip_rate", "accuracy", "label_rate"),
)
"""Metrics that speak for an instrument, the first that it has."""
LEFT_OUT = (*_GAPS, "stereoset_ss", *benchmarks.SIDED)
"""Metrics of which it is told what they would be without one unit."""

Pair = tuple[str, str]


def probe_of(record: RunRecord, estimate: Estimate) -> ProbeInfo:
    """Return the probe set that an estimate belongs to."""
    return next(probe for probe in record.probes if probe.name == estimate.probe_set)


def instruments(record: RunRecord) -> list[tuple[str, ProbeInfo, list[Estimate]]]:
    """Return the estimates by instrument, in the order of the record; what compares two instruments is left out."""
    found: dict[str, list[Estimate]] = {}
    for estimate in record.estimates:
        if estimate.metric not in benchmarks.AGREEMENTS:
            found.setdefault(estimate.instrument, []).append(estimate)
    grouped = found.items()
    return [(label, probe_of(record, estimates[0]), estimates) for label, estimates in grouped]


def pick(estimates: Sequence[Estimate], metric: str, scope: str = "all", pair: Pair | None = None) -> list[Estimate]:
    """Return the estimates of a metric: of one scope or (``category:``) all of a kind, of one comparison or of all."""
    return [
        e
        for e in estimates
        if e.metric == metric
        and (e.scope.startswith(scope) if scope.endswith(":") else e.scope == scope)
        and (pair is None or e.comparison == pair)
    ]


def headline(estimates: Sequence[Estimate]) -> Estimate | None:
    """Return the estimate that speaks for an instrument: the stereotype score, or else a gap."""
    of_all = (found[0] for metric in HEADLINES if (found := pick(estimates, metric)))
    return next(of_all, None) or next((e for metric in HEADLINES for e in pick(estimates, metric, "condition:")), None)


def compared(record: RunRecord) -> list[Estimate]:
    """Return what a run is compared by with others: of each probe set the headline metric in every comparison."""
    found: list[Estimate] = []
    for _, probe, estimates in instruments(record):
        head = headline(estimates)
        if utility.applies(probe):
            found += [e for e in estimates if e.metric in utility.METRICS]
            continue
        if benchmarks.is_form(probe):
            found += benchmarks.told(estimates, probe)
            continue
        found += [] if head is None else pick(estimates, head.metric)
        found += pick(estimates, "valence_gap") if head is not None and head.metric != "valence_gap" else []
    return found


def ranked_words(estimates: Sequence[Estimate], probe: ProbeInfo, metric: str = "group_gap_centred") -> list[Estimate]:
    """Return the gaps of the words in the first comparison, those that have one, largest first."""
    found = [e for e in pick(estimates, metric, "lexeme:", probe.comparisons[0]) if e.value is not None]
    return sorted(found, key=lambda e: (-(e.value or 0), e.scope))
