"""What a run and a baseline together say of a worsening: the answers of both, compared item by item."""

from collections.abc import Sequence
from dataclasses import dataclass

from fairprint.audit.baseline import Baseline, answers_sha256, baseline_scores, rounded
from fairprint.audit.checks import Verdict
from fairprint.audit.comparable import Common, common
from fairprint.audit.compare import check_versions, same_tokens
from fairprint.audit.difference import OTHER_TOKENS
from fairprint.audit.evaluate import all_parts
from fairprint.audit.judging import Evidence, worsened
from fairprint.audit.paired import PairedScores, PartKey, by_key, factors_of, pair_rows, pair_scores
from fairprint.audit.parts import Part
from fairprint.audit.records import RunRecord
from fairprint.audit.rules import Rule
from fairprint.audit.shift import shift
from fairprint.audit.statistics import Interval
from fairprint.audit.store import RunFolder
from fairprint.audit.stored import stored_scores, stored_set
from fairprint.audit.utility_metrics import PER_TOKEN, PERPLEXITY
from fairprint.probes.errors import StoreError, UsageError
from fairprint.probes.items import ProbeSet

NO_BASELINE = "the baseline does not have it, so that nothing is known of a worsening"
_REFUSED = "the runs cannot be compared: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What was found of one rule.

    Attributes:
        evidence: what is known of the worsening, or None with ``reason``.
        known: whether it could be evaluated at all; a metric that the baseline lacks is not known, and no error.
        before, now: the number in the baseline and in the run, on the items that both answered.
        items, missing: on which it rests, and which lack an answer in either.
    """

    evidence: Evidence | None
    reason: str = ""
    known: bool = True
    before: float | None = None
    now: float | None = None
    items: int = 0
    missing: int = 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """One set asked in one way, in both runs."""

    probe_set: ProbeSet
    scores: PairedScores
    parts: tuple[dict[PartKey, Part], dict[PartKey, Part]]
    identical: bool


class Comparison:
    """A run beside its baseline.

    Attributes:
        refused: why the two cannot be compared; empty where they can.
        common: what both asked in the same way; None where nothing.
        same: of each set and instrument that was compared, whether all answers are the same.
    """

    def __init__(self, run: RunFolder, record: RunRecord, baseline: Baseline, sets: Sequence[str]) -> None:
        self.refused: tuple[str, ...] = ()
        self.common: Common | None = None
        self.same: dict[str, bool] = {}
        self._run, self._record, self._baseline = run, record, baseline
        self._asked: dict[str, _Asked | None] = {}
        kept = {probe.name for probe in baseline.run.probes}
        both = [name for name in dict.fromkeys(sets) if name in kept and name in {p.name for p in record.probes}]
        if both:
            try:
                self.common = common(baseline.run, record, both)
            except UsageError as error:
                self.refused = (error.message.removeprefix(_REFUSED),)

    def of(self, rule: Rule) -> Compared:
        """Return what is known of a rule on a worsening, which has an estimate."""
        try:
            return self._of(rule)
        except (UsageError, StoreError) as error:
            told = error.message.removeprefix(_REFUSED)
            if told not in self.refused:
                self.refused = (*self.refused, told)
            return Compared(evidence=None, reason=told, known=False)

    def _of(self, rule: Rule) -> Compared:
        estimate = rule.estimate
        if estimate is None:
            raise ValueError("a rule without an estimate")
        if self.refused:
            return Compared(evidence=None, reason=self.refused[0], known=False)
        label = f"{estimate.probe_set} / {rule.instrument}"
        if label not in self._asked:
            self._asked[label] = self._read(estimate.probe_set, rule.instrument, label)
        asked = self._asked[label]
        if asked is None:
            return Compared(evidence=None, reason=NO_BASELINE, known=False)
        key = (estimate.metric, estimate.scope, estimate.comparison, rule.label)
        before, now = (side.get(key) for side in asked.parts)
        if now is None:
            return Compared(
                evidence=None, reason=f"{estimate.metric} is not made of items, so that no pairs are compared"
            )
        if before is None:
            return Compared(evidence=None, reason=NO_BASELINE, known=False)
        if estimate.metric in (PER_TOKEN.name, PERPLEXITY.name) and not same_tokens(asked.scores, self._both):
            return Compared(evidence=None, reason=OTHER_TOKENS)
        check_versions(self._both, asked.probe_set, now.metric)
        return _compared(rule, asked, before, now)

    @property
    def _both(self) -> tuple[RunRecord, RunRecord]:
        return self._baseline.run, self._record

    def _read(self, name: str, instrument: str, label: str) -> _Asked | None:
        probe = next(probe for probe in self._record.probes if probe.name == name)
        ours = stored_scores(self._run, name, instrument)
        theirs = baseline_scores(self._baseline, label, ours)
        if theirs is None:
            return None
        probe_set = stored_set(self._run, probe)
        scores = pair_scores(theirs, rounded(ours))
        before, now = (
            dict(by_key(tuple(all_parts(probe_set, probe_set.items, side, instrument))))
            for side in (scores.a, scores.b)
        )
        self.same[label] = answers_sha256(ours) == self._baseline.answers[label].answers_sha256
        return _Asked(probe_set, scores, (before, now), self.same[label])


def _compared(rule: Rule, asked: _Asked, before: Part, now: Part) -> Compared:
    rows = pair_rows(before.rows, now.rows)
    if not rows.a:
        return Compared(evidence=None, reason="no item has an answer in both the run and its baseline")
    factors = factors_of(rows.a, asked.probe_set.random_factors)
    found = shift(now.metric, rows, factors)
    if found is None:
        return Compared(evidence=None, reason="it has no value in both: too few answers", items=len(rows.a))
    if found.identical:
        units = {factor: len(factors.names[factor]) for factor in factors.random}
        evidence = Evidence(worsening=0.0, bound=0.0, p_value=1.0, units=units, identical=True)
    else:
        share = (now.unit or now.metric.unit) == "share"
        v = found.v or Interval(value=None)
        evidence = worsened(found.u, v, found.a, found.b, rule.direction, factors, share=share)
    return Compared(
        evidence=evidence,
        before=found.values[0],
        now=found.values[1],
        items=len(rows.a),
        missing=rows.missing,
    )


def of_work(
    rule: Rule, record: RunRecord, baseline: Baseline | None
) -> tuple[Verdict, str, float | None, float | None]:
    """Return verdict, reason, and the amount before and now, of a limit on tokens or operations: exact counts.

    Args:
        rule: the rule, whose limit is in percent.
        record: the run.
        baseline: what it is held against, or None.
    """
    metric = rule.limit.metric
    now = getattr(record, metric)
    before = None if baseline is None else getattr(baseline.run, metric)
    if now is None:
        return "error", f"the run does not say its {metric}: answers were replayed, or given elsewhere", before, now
    if baseline is None or before is None:
        return "inconclusive", NO_BASELINE, before, now
    if _questions(record) != _questions(baseline.run):
        return "inconclusive", "the baseline's run did not ask the same, so that it took other work", before, now
    if before == 0 or rule.most is None:
        raise StoreError(f"the baseline has no {metric} to compare with", hint="update the baseline")
    change = 100 * (now / before - 1)
    told = f"{change:+.3g} % since the baseline, an exact count, with a margin of {rule.most:g} %"
    return ("pass" if change <= rule.most else "fail"), told, before, now


def _questions(record: RunRecord) -> tuple[dict[str, str], list[str], int | None]:
    return record.plan.probe_hashes, sorted(record.scores), record.plan.options.limit
