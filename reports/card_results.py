"""The results of a model card's metadata: each subset of a probe set has a configuration of its own.

The Hub's client groups results by task, data set, configuration, split and revision alone, and would merge two subsets
under the name of the first.
"""

import re

from fairprint.audit.metered import QUALITY_LEVEL, MeteredRecord
from fairprint.audit.records import Estimate, ProbeInfo, RunRecord
from fairprint.reports import benchmarks, card_findings, selection
from fairprint.reports.card_findings import instrument_of
from fairprint.reports.card_parts import Metric, Result
from fairprint.reports.card_runs import CardRuns
from fairprint.reports.text import clean
from fairprint.reports.wording import labels, title_of

_TASKS = {
    "causal": ("text-generation", "Text Generation"),
    "masked": ("fill-mask", "Fill-Mask"),
    "classifier": ("text-classification", "Text Classification"),
    "image-classifier": ("image-classification", "Image Classification"),
    "encoder": ("feature-extraction", "Feature Extraction"),
    "seq2seq": ("text2text-generation", "Text2Text Generation"),
    "translation": ("translation", "Translation"),
}
"""Task of the Hub and its name, by the kind of a model."""
_OTHER = ("other", "Other")
SOURCE = "fairprint report"
LONGEST = 200
"""Characters of a name in the metadata."""


def results(runs: CardRuns) -> tuple[Result, ...]:
    """Return the results of all audits, and how good the trained model was found to be."""
    address = runs.report if re.match(r"https?://", runs.report) else None
    found = [result for audit in runs.audits for result in _of_audit(audit, address)]
    found += [result for run in runs.metered for result in _of_training(run, runs, address)]
    return tuple(found)


def task_of(runs: CardRuns) -> tuple[str, str]:
    """Return the Hub's task of a model, and its name."""
    return _TASKS.get(runs.model.kind, _OTHER) if runs.model is not None else _OTHER


def _of_audit(audit: RunRecord, address: str | None) -> list[Result]:
    kept = {id(e): e for e in selection.compared(audit)}
    kept |= {id(told.estimate): told.estimate for told in card_findings.shown([audit])}
    for _, probe, estimates in selection.instruments(audit):
        head = selection.headline(estimates)
        # of our own sets the parts stand in the text: a card's metadata is read by people too
        if head is not None and benchmarks.is_form(probe):
            kept |= {id(e): e for e in estimates if e.metric == head.metric and _is_part(e)}
    by_subset: dict[tuple[str, str], list[Estimate]] = {}
    for e in audit.estimates:
        if id(e) in kept and e.value is not None:
            by_subset.setdefault((e.probe_set, subset(e, selection.probe_of(audit, e))), []).append(e)
    task, name = _TASKS.get(audit.plan.model.kind, _OTHER)
    made = []
    for (probe_set, config), estimates in by_subset.items():
        probe = next(probe for probe in audit.probes if probe.name == probe_set)
        made.append(
            Result(
                task_type=task,
                task_name=name,
                dataset_type=clean(probe.name, LONGEST),
                dataset_name=f"{clean(probe.title, LONGEST)} ({config.partition('/')[2]})",
                dataset_config=config,
                dataset_split=None,
                dataset_revision=f"version {probe.version}, sha256 {probe.sha256[:16]}",
                metrics=tuple(_metric(e, probe, audit) for e in estimates),
                source_name=SOURCE if address else None,
                source_url=address,
            )
        )
    return made


def _is_part(e: Estimate) -> bool:
    return e.scope.startswith(("category:", "group:", "condition:"))


def subset(e: Estimate, probe: ProbeInfo) -> str:
    """Return the configuration that names the items and groups of an estimate, such as ``age/fill/category:work``."""
    parts = [probe.name, instrument_of(e)]
    parts += [] if e.scope == "all" else [e.scope]
    if e.comparison is not None and len(probe.comparisons) > 1 and not benchmarks.is_form(probe):
        parts.append(" vs ".join(e.comparison))
    return "/".join(clean(part, LONGEST) for part in parts)


def _metric(e: Estimate, probe: ProbeInfo, audit: RunRecord) -> Metric:
    args: dict[str, str | int | float] = {"unit": e.unit, "instrument": instrument_of(e), "items": e.items}
    args |= {f"clusters_{factor}": count for factor, count in sorted(e.units.items())}
    args["missing"] = e.missing
    for key, value in (("low", e.low), ("high", e.high), ("neutral", e.neutral), ("q_value", e.q_value)):
        if value is not None:
            args[key] = rounded(value)
    if e.low is not None:
        args["level"] = e.level
    if e.comparison is not None:
        first, second = labels(probe, e.comparison)
        args["groups"] = clean(f"{first} against {second}", LONGEST)
    args["run"] = audit.run_id
    return Metric(type=e.metric, value=rounded(e.value or 0.0), name=title_of(e.metric), args=args)


def rounded(value: float) -> float:
    """Return a number with four significant figures.

    >>> rounded(0.69565217), rounded(219.3456)
    (0.6957, 219.3)
    """
    return float(f"{value:.4g}")


def _of_training(run: MeteredRecord, runs: CardRuns, address: str | None) -> list[Result]:
    task, name = task_of(runs)
    made = []
    for part in dict.fromkeys(quality.part for quality in run.quality):
        metrics = []
        for quality in run.quality:
            if quality.part != part:
                continue
            args: dict[str, str | int | float] = {"better": "higher" if quality.higher_is_better else "lower"}
            args |= {"items": quality.items} if quality.items is not None else {}
            args |= {f"clusters_{kind}": count for kind, count in sorted(quality.units.items())}
            if quality.low is not None and quality.high is not None:
                args |= {"low": rounded(quality.low), "high": rounded(quality.high), "level": QUALITY_LEVEL}
            args["run"] = run.run_id
            kind, value = clean(quality.metric, LONGEST), rounded(quality.value)
            metrics.append(Metric(type=kind, value=value, name=kind, args=args))
        about = clean(run.task or run.name, LONGEST)
        made.append(
            Result(
                task_type=task,
                task_name=name,
                dataset_type=about,
                dataset_name=f"{about}: {clean(part, LONGEST)}" if part else f"{about}: held-out data",
                # two trainings of one task are two subsets
                dataset_config="/".join([part or "held-out data", run.run_id]),
                dataset_split=None,
                dataset_revision=None,
                metrics=tuple(metrics),
                source_name=SOURCE if address else None,
                source_url=address,
            )
        )
    return made
