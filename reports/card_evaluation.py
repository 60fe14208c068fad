"""The section "Evaluation" of a model card: testing data, factors, metrics, and the results as tables."""

from collections.abc import Sequence

from fairprint.audit.metered import MeteredRecord, Quality
from fairprint.audit.records import Estimate, ProbeInfo, RunRecord
from fairprint.probes.instruments import INSTRUMENTS
from fairprint.probes.labelled import AND
from fairprint.reports import benchmarks, card_findings, classified, selection, utility, wording
from fairprint.reports.card_bias import count, metric_title, sets, value_of
from fairprint.reports.card_findings import Told, instrument_of
from fairprint.reports.card_runs import DIGITS, CardRuns
from fairprint.reports.card_text import blocks, coded, escaped, folded, joined, listed, said, table
from fairprint.reports.numbers import KINDS, kind_of, number
from fairprint.reports.tables import factor, word
from fairprint.reports.text import plain
from fairprint.reports.wording import labels, meaning_of, title_of

Figure = tuple[str, str]
"""Relative address of a picture, and the text in its place."""
MOST_ROWS = 60
"""Rows of a table; of more the ones left out are counted."""
_PARTS = ("category:", "group:", "condition:")


def markdown(runs: CardRuns, figures: Sequence[Figure] = ()) -> str:
    """Return the section, without its heading."""
    data = blocks(_audit_data(runs), _training_data(runs))
    results = blocks(
        _results(runs), _pictures(figures), _of_parts(runs), _intersections(runs), _guard(runs), _quality(runs)
    )
    return blocks(
        "### Testing Data, Factors & Metrics" if data else "",
        blocks("#### Testing Data", data) if data else "",
        blocks("#### Factors", _factors(runs)) if runs.audits else "",
        blocks("#### Metrics", _metrics(runs)) if runs.audits else "",
        blocks("### Results", results) if results else "",
        blocks("#### Summary", _summary(runs)) if runs.audits else "",
        made_from(runs),
    )


def _summary(runs: CardRuns) -> str:
    asked = {told.probe.name: escaped(told.probe.title) for told in card_findings.heads(runs.audits)}
    found = {told.probe.name: escaped(told.probe.title) for told in card_findings.shown(runs.audits)}
    if not asked:
        return "Nothing was asked about people."
    rest = len(set(asked) - set(found))
    if not found:
        return (
            f"In none of {count(len(asked), 'probe set')} is a difference from equal treatment shown, which does not"
            " mean that there is none."
        )
    shows = "shows" if len(found) == 1 else "show"
    more = f" In the other {rest:,} none is shown, which does not mean that there is none." if rest else ""
    return (
        f"{len(found):,} of {count(len(asked), 'probe set')} {shows} a difference from equal treatment that chance"
        f" does not explain: {joined(list(found.values()))}.{more}"
    )


def made_from(runs: CardRuns) -> str:
    """Say which runs a section is made of."""
    every = sorted(runs.every, key=lambda run: run.run_id)
    versions = sorted({_version(run) for run in every})
    told = ", ".join(f"{coded(run.run_id)} (record {coded(runs.digests[run.run_id][:DIGITS])})" for run in every)
    stored = "run" if len(every) == 1 else "runs"
    return f"Made by fairprint {escaped(', '.join(versions))} from the stored {stored} {told}."


def _version(run: RunRecord | MeteredRecord) -> str:
    return (run.plan.environment if isinstance(run, RunRecord) else run.environment).fairprint


# what was asked


def _audit_data(runs: CardRuns) -> str:
    rows = []
    for probe in sets(runs.audits):
        asked = (
            f"{probe.items:,}" if probe.items == probe.items_in_set else f"{probe.items:,} of {probe.items_in_set:,}"
        )
        rows.append(
            (
                f"{escaped(probe.title)} ({coded(probe.name)})",
                escaped(probe.measures),
                str(probe.version),
                escaped(probe.language),
                escaped(probe.licence),
                asked,
                coded(probe.sha256[:DIGITS]),
            )
        )
    if not rows:
        return ""
    head = ("Probe set", "Measures", "Version", "Language", "Licence", "Items", "sha256")
    return blocks(
        "Each probe set asks for one thing. Whether the model saw any of them in its training is not known.",
        table(head, rows, "llrllrl"),
        _sources(runs),
    )


def _sources(runs: CardRuns) -> str:
    told = {
        f"{escaped(probe.title)}: {'; '.join(escaped(text) for text in probe.sources)}"
        for probe in sets(runs.audits)
        if probe.sources
    }
    return folded("Sources of the probe sets", listed(sorted(told))) if told else ""


def _training_data(runs: CardRuns) -> str:
    tasks = {run.task for run in runs.metered if run.quality and run.task}
    held = [f"Held-out data of the task “{escaped(task)}”, as whoever trained the model chose them." for task in tasks]
    return blocks(*sorted(held))


def _factors(runs: CardRuns) -> str:
    points = []
    for probe in sets(runs.audits):
        if utility.applies(probe):
            continue
        pairs = [" against ".join(escaped(label) for label in labels(probe, pair)) for pair in probe.comparisons]
        drawn = joined([f"{escaped(factor(name, probe))}s" for name in probe.random_factors])
        told = f"{escaped(probe.title)}: {'; '.join(pairs) or 'no groups are compared'}"
        points.append(told + (f"; intervals speak of other {drawn} than those asked." if drawn else "."))
    return blocks(
        "Groups that are compared with each other, and what was sampled: sentences and words are only some of those"
        " that could have been asked, and the intervals allow for that.",
        listed(points),
    )


def _metrics(runs: CardRuns) -> str:
    told: dict[str, tuple[Estimate, list[str]]] = {}
    for audit in runs.audits:
        for e in _shown_rows(audit):
            meanings = told.setdefault(e.metric, (e, []))[1]
            meaning = meaning_of(e.metric, audit)
            meanings += [meaning] if meaning not in meanings else []
    points = []
    for metric, (e, meanings) in told.items():
        neutral = ""
        if e.neutral is not None:
            why = f": {escaped(e.neutral_why)}" if e.neutral_why else ""
            neutral = f" Without bias it is {said(number(e.neutral, kind_of(e)))}{why}."
        points.append(f"**{escaped(title_of(metric))}**: {' '.join(escaped(text) for text in meanings)}{neutral}")
    ways = dict.fromkeys(instrument_of(e).partition(":")[0] for audit in runs.audits for e in _shown_rows(audit))
    asked = [f"{coded(way)}: {escaped(INSTRUMENTS[way].summary)}." for way in ways if way in INSTRUMENTS]
    return blocks(listed(points), "Ways of asking, each with what is scored of the model:", listed(asked))


# what was found


def _shown_rows(audit: RunRecord) -> list[Estimate]:
    """Return what stands in the table of results: whole sets, each comparison by itself."""
    found = {id(e): e for e in selection.compared(audit)}
    for told in card_findings.shown([audit]):
        if not told.estimate.scope.startswith(_PARTS):
            found[id(told.estimate)] = told.estimate
    return [e for e in audit.estimates if id(e) in found]


def _results(runs: CardRuns) -> str:
    rows: list[tuple[str, ...]] = []
    for audit in runs.audits:
        for e in _shown_rows(audit):
            if e.metric not in utility.METRICS:
                rows.append(_row(Told(record=audit, probe=selection.probe_of(audit, e), estimate=e)))
    if not rows:
        return ""
    head = ("Probe set", "Metric", "Groups or part", "Value (interval)", "If equal", "q", "Items", "Missing", "Found")
    more = [f"{len(rows) - MOST_ROWS:,} more rows stand in the report."] if len(rows) > MOST_ROWS else []
    return blocks(
        "Unitary results: one group, or one part, at a time. Shown is the value with its interval; q is the p-value"
        " after the correction for all tests, and “yes” stands where a difference is found after it.",
        table(head, rows[:MOST_ROWS], "llllrrrrl"),
        *more,
    )


def _row(told: Told) -> tuple[str, ...]:
    e = told.estimate
    found = wording.shows(e) if e.neutral is not None else None
    return (
        f"{escaped(told.probe.title)}, {coded(told.instrument)}",
        escaped(metric_title(e)),
        _part(told),
        value_of(e),
        "" if e.neutral is None else said(number(e.neutral, kind_of(e))),
        "" if e.q_value is None else plain(KINDS["p"](e.q_value)).replace("<", "&lt;"),
        f"{e.items:,}",
        f"{e.missing:,}",
        "" if found is None else "yes" if found else "no",
    )


def _part(told: Told) -> str:
    e, probe = told.estimate, told.probe
    if e.scope == "all" and e.comparison is not None and not benchmarks.is_form(probe):
        first, second = labels(probe, e.comparison)
        return f"{escaped(first)} against {escaped(second)}"
    return said(word(e, probe))


def _of_parts(runs: CardRuns) -> str:
    """Return the main metrics by category and group, where a set has any."""
    rows = []
    for audit in runs.audits:
        for _, probe, estimates in selection.instruments(audit):
            head = selection.headline(estimates)
            metrics = {head.metric, "label_rate", "accuracy"} if head is not None else set()
            for e in estimates:
                if e.metric in metrics and e.scope.startswith(("category:", "group:")) and AND not in e.scope:
                    rows.append(_row(Told(record=audit, probe=probe, estimate=e)))
    if not rows:
        return ""
    head_row = ("Probe set", "Metric", "Part", "Value (interval)", "If equal", "q", "Items", "Missing", "Found")
    shown = table(head_row, rows[:MOST_ROWS], "llllrrrrl")
    more = f"{len(rows) - MOST_ROWS:,} more rows stand in the report." if len(rows) > MOST_ROWS else ""
    return folded(f"Results by category and group ({count(len(rows), 'row')})", blocks(shown, more))


def _meets(e: Estimate, probe: ProbeInfo) -> bool:
    """Say whether an estimate is of people of whom two things are told, such as age and gender."""
    groups = (*(e.comparison or ()), e.scope.partition(":")[2])
    return probe.scored in classified.SCORED and any(AND in group for group in groups)


def _intersections(runs: CardRuns) -> str:
    rows = [
        _row(Told(record=audit, probe=probe, estimate=e))
        for audit in runs.audits
        for e in audit.estimates
        for probe in [selection.probe_of(audit, e)]
        if _meets(e, probe)
    ]
    if rows:
        head = ("Probe set", "Metric", "Groups", "Value (interval)", "If equal", "q", "Items", "Missing", "Found")
        return blocks("Intersectional results: people of whom two things are told.", table(head, rows, "llllrrrrl"))
    if not runs.audits:
        return ""
    return (
        "Intersectional results: none was measured. No number here is of people of whom two things are told, such as"
        " age and gender, so nothing is known of how these act together."
    )


def _guard(runs: CardRuns) -> str:
    told = [
        said(sentence)
        for audit in runs.audits
        for _, probe, estimates in selection.instruments(audit)
        if utility.applies(probe)
        for sentence in utility.sentences(estimates)
    ]
    return f"Utility guard. {' '.join(told)}" if told else ""


def _pictures(figures: Sequence[Figure]) -> str:
    return blocks(*(f"![{escaped(alt)}](<{address}>)" for address, alt in figures))


# how good the trained model is


def _quality(runs: CardRuns) -> str:
    rows = [_quality_row(run, quality) for run in runs.metered for quality in run.quality]
    if not rows:
        return ""
    head = ("Task", "Metric", "Part", "Value", "Better is", "Items", "Units", "Training")
    return blocks(
        "How good the model is at what it was trained for, as its training noted it. What stands in brackets is the"
        " 95 % interval for items and units like these; where there is none, only the value was noted.",
        table(head, rows, "lllrlrll"),
    )


def _bounds(quality: Quality) -> str:
    if quality.low is None or quality.high is None:
        return ""
    low, high = (plain(KINDS["plain"](bound)) for bound in (quality.low, quality.high))
    return f" ({low} to {high})"


def _quality_row(run: MeteredRecord, quality: Quality) -> tuple[str, ...]:
    counted = ", ".join(f"{value:,} {escaped(kind)}s" for kind, value in sorted(quality.units.items()))
    return (
        escaped(run.task or "not told"),
        escaped(quality.metric) + (f" ({escaped(quality.note)})" if quality.note else ""),
        escaped(quality.part or "all"),
        plain(KINDS["plain"](quality.value)) + _bounds(quality),
        "higher" if quality.higher_is_better else "lower",
        "not told" if quality.items is None else f"{quality.items:,}",
        counted or "not told",
        coded(run.run_id),
    )
