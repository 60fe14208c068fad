"""The gate: a run against its limits. Each limit passes, fails, is inconclusive or cannot be evaluated.

The decision rule stands in ``fairprint.audit.judging``. A baseline that cannot be compared is never judged by: the
limits that need it stay open, and the check ends with its own exit code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fairprint.audit.absolute import beyond, budget
from fairprint.audit.baseline import Baseline, read_baseline
from fairprint.audit.checks import ERROR, FAILED, INCOMPARABLE, INCONCLUSIVE, PASSED, CheckRecord, LimitVerdict, Verdict
from fairprint.audit.comparable import remarks
from fairprint.audit.compare import side
from fairprint.audit.difference import BETTER
from fairprint.audit.gate_evidence import NO_BASELINE, Compared, Comparison, of_work
from fairprint.audit.gate_words import for_others, guarantee, on_these, question, reason
from fairprint.audit.judging import Decision, Evidence, decide
from fairprint.audit.limits import FOOTPRINT, WORK, Settings
from fairprint.audit.records import RunRecord
from fairprint.audit.rules import Rule, rules
from fairprint.audit.settings import read_settings
from fairprint.audit.store import RunFolder, Store
from fairprint.probes.errors import UsageError

NO_BASELINE_FILE = "there is no baseline, so that nothing is known of a worsening"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Where limits stand, and what a run is held against.

    Attributes:
        settings: with the limits.
        file: where they stand, as people are told.
        lines: the line of each.
        baseline: None where there is no such file.
        baseline_file: where it is, or would be.
    """

    settings: Settings
    file: str
    lines: tuple[int | None, ...]
    baseline: Baseline | None
    baseline_file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What was found of one rule: a verdict that needs no test, or evidence for one."""

    rule: Rule
    verdict: Verdict | None = None
    reason: str = ""
    evidence: Evidence | None = None
    before: float | None = None
    now: float | None = None
    items: int | None = None
    missing: int = 0


def check(run: RunFolder, held: Held, now: datetime | None = None) -> CheckRecord:
    """Judge a run.

    Args:
        run: a finished audit.
        held: its limits, and the baseline.
        now: the present time, from which the age of the baseline counts.

    Raises:
        UsageError: the run is not finished, is no audit, or asked only a part of the questions.
        StoreError: it cannot be read.
    """
    settings, now = held.settings, now or datetime.now(UTC)
    record = judged(run, allow_partial=settings.allow_partial)
    asked = rules(settings.limits, held.lines, record)
    sets = [rule.estimate.probe_set for rule in asked if rule.estimate is not None and rule.kind == "relative"]
    beside = None if held.baseline is None else Comparison(run, record, held.baseline, sets)
    found = [_found(rule, record, held.baseline, beside) for rule in asked]
    told = _verdicts(found, held.file)
    refused = beside.refused if beside is not None else ()
    without = held.baseline is None or any(f.reason == NO_BASELINE for f in found if f.rule.kind == "relative")
    relative = any(rule.kind == "relative" for rule in asked)
    missing = settings.require_baseline and relative and without
    code = _exit_code(told, incomparable=bool(refused) or missing, strict=settings.strict)
    return CheckRecord(
        fairprint=version("fairprint"),
        checked_at=f"{now:%Y-%m-%dT%H:%M:%SZ}",
        run=side(record),
        baseline=None if held.baseline is None else side(held.baseline.run),
        no_baseline=f"{held.baseline_file.name} does not exist" if held.baseline is None else None,
        baseline_reason=None if held.baseline is None else held.baseline.reason,
        baseline_written_at=None if held.baseline is None else held.baseline.written_at,
        verdict=_whole(told, code),
        exit_code=code,
        limits=told,
        refused=refused,
        without_limit=_without_limit(record, asked),
        identical=beside is not None and bool(beside.same) and all(beside.same.values()),
        strict=settings.strict,
        require_baseline=settings.require_baseline,
        settings_file=held.file,
        remarks=_remarks(record, held, beside, now),
    )


def judged(run: RunFolder, *, allow_partial: bool) -> RunRecord:
    """Return the record of a run that can be judged.

    Args:
        run: the run.
        allow_partial: whether it may have asked only a part of the questions.

    Raises:
        UsageError: it is not finished, is no audit, or asked only a part of the questions.
        StoreError: it cannot be read.
    """
    run.check_finished()
    record = run.record()
    if record.kind != "audit":
        raise UsageError(f"{record.run_id} is no audit ({record.kind})", hint="fairprint runs list shows the audits")
    if record.status != "complete" and not allow_partial:
        told = "asked only a part of the questions (--limit)" if record.status == "partial" else "ended before its end"
        raise UsageError(
            f"{record.run_id} {told}: its verdicts would be of other questions than those of a whole run",
            hint="audit without --limit, or say --allow-partial",
        )
    return record


def _found(rule: Rule, record: RunRecord, baseline: Baseline | None, beside: Comparison | None) -> _Found:
    metric = rule.limit.metric
    if metric in FOOTPRINT:
        verdict, why = budget(record.footprint, metric, rule.most or 0.0)
        return _Found(rule=rule, verdict=verdict, reason=why, now=getattr(record.footprint, metric))
    if metric in WORK:
        verdict, why, before, now = of_work(rule, record, baseline)
        return _Found(rule=rule, verdict=verdict, reason=why, before=before, now=now)
    estimate = rule.estimate
    if estimate is None:
        return _Found(rule=rule, verdict="error", reason=rule.reason)
    seen: dict[str, Any] = {"now": estimate.value, "items": estimate.items, "missing": estimate.missing}
    if rule.kind == "absolute":
        evidence = beyond(estimate, rule.most or 0.0, rule.direction)
        if evidence is None:
            return _Found(rule=rule, verdict="error", reason=estimate.reason or "it has no value", **seen)
        return _Found(rule=rule, evidence=evidence, **seen)
    if beside is None:
        return _Found(rule=rule, verdict="inconclusive", reason=NO_BASELINE_FILE, **seen)
    compared: Compared = beside.of(rule)
    if compared.now is not None:
        seen = {"before": compared.before, "now": compared.now, "items": compared.items, "missing": compared.missing}
    if compared.evidence is None:
        return _Found(rule=rule, verdict="error" if compared.known else "inconclusive", reason=compared.reason, **seen)
    return _Found(rule=rule, evidence=compared.evidence, **seen)


def _verdicts(found: Sequence[_Found], file: str) -> tuple[LimitVerdict, ...]:
    """Decide all rules that have evidence together, and tell of each."""
    judged = [(f, f.evidence) for f in found if f.evidence is not None]
    limits = [_held_against(f.rule) for f, _ in judged]
    decisions = dict(zip([id(f) for f, _ in judged], decide([evidence for _, evidence in judged], limits), strict=True))
    tested = sum(evidence.p_value is not None for _, evidence in judged)
    return tuple(_told(f, decisions.get(id(f)), file, tested) for f in found)


def _held_against(rule: Rule) -> float | None:
    """Return the limit as a worsening: a smallest value is held as its negative."""
    if rule.kind == "absolute" and rule.direction == "down" and rule.most is not None:
        return -rule.most
    return rule.most


def _told(found: _Found, decision: Decision | None, file: str, tested: int) -> LimitVerdict:
    rule, evidence, estimate = found.rule, found.evidence, found.rule.estimate
    sign = -1 if rule.kind == "absolute" and rule.direction == "down" else 1
    limit = rule.most if decision is None or decision.limit is None else sign * decision.limit
    why = found.reason if decision is None or evidence is None else reason(rule, evidence, decision)
    return LimitVerdict(
        name=rule.name,
        metric=rule.limit.metric,
        probe_set=rule.limit.probes,
        instrument=None if estimate is None else estimate.instrument,
        scope=None if estimate is None else estimate.scope,
        comparison=None if estimate is None else estimate.comparison,
        kind=rule.kind,
        direction=rule.direction,
        unit=rule.unit,
        limit=limit,
        default_limit=rule.most is None and limit is not None,
        verdict=found.verdict or (decision.verdict if decision is not None else "error"),
        reason=why,
        identical=evidence is not None and evidence.identical,
        value=found.now,
        baseline=found.before,
        worsening=_worsening(found, sign),
        bound=None if evidence is None or evidence.bound is None else sign * evidence.bound,
        p_value=None if evidence is None else evidence.p_value,
        holm=None if decision is None else decision.holm,
        detectable=None if decision is None else decision.detectable,
        items=found.items,
        missing=found.missing,
        units={} if evidence is None else dict(evidence.units),
        needed={} if decision is None else dict(decision.needed),
        question=question(rule),
        on_these=on_these(rule, found.before, found.now, evidence, found.items),
        for_others=for_others(rule, evidence, decision),
        guarantee=guarantee(rule, decision, tested),
        place=(file, rule.line),
        warnings=() if estimate is None else estimate.warnings,
    )


def _worsening(found: _Found, sign: int) -> float | None:
    if found.evidence is not None:
        return sign * found.evidence.worsening
    if found.rule.limit.metric in WORK and found.before and found.now is not None:
        return 100 * (found.now / found.before - 1)
    return None


def _exit_code(told: Sequence[LimitVerdict], *, incomparable: bool, strict: bool) -> int:
    found = {limit.verdict for limit in told}
    if "error" in found:
        return ERROR
    if incomparable:
        return INCOMPARABLE
    if "fail" in found:
        return FAILED
    return INCONCLUSIVE if strict and "inconclusive" in found else PASSED


def _whole(told: Sequence[LimitVerdict], code: int) -> Verdict:
    if code in (ERROR, INCOMPARABLE):
        return "error"
    found = {limit.verdict for limit in told}
    return next((v for v in ("fail", "inconclusive") if v in found), "pass")


def _without_limit(record: RunRecord, asked: Sequence[Rule]) -> tuple[str, ...]:
    """Return the metrics of whole sets that could be limited, and are not."""
    limited = {(r.estimate.metric, r.estimate.instrument) for r in asked if r.estimate is not None}
    return tuple(
        dict.fromkeys(
            f"{e.metric} of {e.instrument}"
            for e in record.estimates
            if e.scope == "all"
            and (e.neutral is not None or e.metric in BETTER)
            and (e.metric, e.instrument) not in limited
        )
    )


def _remarks(record: RunRecord, held: Held, beside: Comparison | None, now: datetime) -> tuple[str, ...]:
    found = []
    if record.status != "complete":
        found.append("the run asked only a part of the questions")
    baseline = held.baseline
    if baseline is not None:
        age = (now - datetime.strptime(baseline.written_at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)).days
        if age > held.settings.max_age_days:
            found.append(f"the baseline is {age:,} days old, more than {held.settings.max_age_days:,}")
        ours, theirs = version("fairprint"), baseline.fairprint
        if ours.split(".")[:2] != theirs.split(".")[:2]:
            found.append(f"the baseline was written by fairprint {theirs}, and this is {ours}")
        if beside is not None and beside.common is not None:
            found += remarks(baseline.run, record, beside.common)
    if not held.settings.limits:
        where = f" in {held.file}" if held.file else ""
        found.append(f"there are no limits{where}, so that nothing is judged")
    return tuple(found)


def check_run(
    run: str = "latest",
    *,
    config: Path | None = None,
    baseline: Path | None = None,
    store: Path | None = None,
    start: Path | None = None,
    **overrides: bool | None,
) -> CheckRecord:
    """Judge a stored run by the limits of a settings file.

    Args:
        run: its id, the beginning or end of it where unique, or ``latest``.
        config: the settings file; where None, it is looked for from the working directory up.
        baseline: the baseline's file; where None, the one that the settings name.
        store: folder of runs; where None, the one that the settings name.
        start: where the settings file is looked for, instead of the working directory.
        overrides: ``strict``, ``require_baseline`` and ``allow_partial``, where they are not to be as in the file.

    Raises:
        SettingsError: the file says something that cannot be used.
        UsageError: there is no such run, or it cannot be judged.
        StoreError: the run or the baseline cannot be read.
    """
    found = read_settings(config, start or Path.cwd())
    settings = found.settings.model_copy(update={key: on for key, on in overrides.items() if on is not None})
    path = baseline or found.folder / settings.baseline
    folder = Store(store or found.folder / settings.store)
    held = Held(settings=settings, file=found.file, lines=found.lines, baseline=read_baseline(path), baseline_file=path)
    return check(folder.find(run), held)
