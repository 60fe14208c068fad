"""The section "Bias, Risks, and Limitations" of a model card: what audits found, did not find and did not ask."""

import re
from collections.abc import Sequence

from fairprint.audit.records import Estimate, ProbeInfo, RunRecord
from fairprint.probes.forms import FORMS, PROMPT, SLOT
from fairprint.reports import benchmarks, card_findings, classified, nearness, utility, wording
from fairprint.reports.card_findings import Told, instrument_of
from fairprint.reports.card_runs import CardRuns
from fairprint.reports.card_text import blocks, coded, escaped, folded, joined, listed, said, table
from fairprint.reports.numbers import KINDS, interval, kind_of, number
from fairprint.reports.planned import distance
from fairprint.reports.selection import headline, instruments
from fairprint.reports.tables import units
from fairprint.reports.text import plain
from fairprint.reports.wording import labels, lowered, title_of

MOST_FOUND = 12
"""Findings that are told one by one; of more, how many there are."""
_LOST_MARK = (
    "† The interval leaves the value of equal treatment out, but after the correction for the number of tests that is"
    " not enough to call it found."
)
_OF_DRAWS = "draws have no value or no spread"
"""Of the second method only, which widens its own interval; the report has it."""


def markdown(runs: CardRuns) -> str:
    """Return the section, without its heading and without the recommendations."""
    return blocks(_opening(runs), _bias(runs), _risks(runs), _limitations(runs))


def count(value: int, one: str, more: str = "") -> str:
    """Return a number of things.

    >>> count(1, "question"), count(1200, "question")
    ('1 question', '1,200 questions')
    """
    return f"{value:,} {one if value == 1 else more or one + 's'}"


def topic(told: Told) -> str:
    """Return the probe set of a finding, and how it was asked."""
    return f"**{escaped(told.probe.title)}** (asked by {coded(told.instrument)})"


def about(told: Told) -> str:
    """Return of what part of a set an estimate speaks, as the beginning of a sentence; of all of it nothing."""
    parts = []
    scope, _, name = told.estimate.scope.partition(":")
    if scope == "category" and told.estimate.unit not in classified.UNITS:
        parts.append(f"in the category “{escaped(name)}”")
    elif scope == "condition" and not benchmarks.sentence(told.estimate, told.probe):
        clause = "where the" if name.partition(", ")[0] in benchmarks.CLAUSES else "for"
        parts.append(f"{clause} {escaped(benchmarks.condition(name))}")
    elif scope == "group":
        parts.append(f"of {escaped(told.probe.labels.get(name, name))}")
    if told.estimate.comparison is not None and len(told.probe.comparisons) > 1 and _needs_groups(told.estimate):
        first, second = labels(told.probe, told.estimate.comparison)
        parts.append(f"{escaped(first)} against {escaped(second)}")
    told_of = ", ".join(parts)
    return f"{told_of[:1].upper()}{told_of[1:]}: " if told_of else ""


def _needs_groups(e: Estimate) -> bool:
    """Say whether the sentence of a metric leaves out which groups it compares."""
    return e.metric.startswith(("stereotype", "signed_effect", "candidate"))


def sentence(told: Told, *, bare: bool = False) -> str:
    """Return an estimate as finished sentences with its interval."""
    kept = tuple(warning for warning in told.estimate.warnings if _OF_DRAWS not in warning)
    estimate = told.estimate.model_copy(update={"warnings": kept})
    return about(told) + said(wording.finding(estimate, told.probe, cautious=not bare, bare=bare))


def behind(told: Told) -> str:
    """Return what a number rests on: items, units, and answers that are missing."""
    e = told.estimate
    rests = f"it rests on {count(e.items, 'item')}"
    rests += f" ({said(units(e, told.probe))})" if e.units else ""
    return rests + (
        f"; {count(e.missing, 'answer is', 'answers are')} missing" if e.missing else "; no answer is missing"
    )


def value_of(e: Estimate) -> str:
    """Return a value with its interval, or why there is none."""
    kind = kind_of(e)
    if e.value is None:
        return escaped(f"not available: {e.reason or 'no reason is recorded'}")
    shown = said(number(e.value, kind))
    if e.low is None or e.high is None:
        return f"{shown} (no interval: {escaped(e.reason or 'none is recorded')})"
    return f"{shown} ({said(interval(e.low, e.high, kind))})"


def _opening(runs: CardRuns) -> str:
    sets = {probe.name: probe for audit in runs.audits for probe in audit.probes}
    model = runs.audits[-1].plan.model
    asked = sum(probe.items for probe in sets.values())
    revision = f", revision {coded(model.revision)}" if model.revision else ""
    dates = sorted({audit.started_at[:10] for audit in runs.audits})
    when = f"on {dates[0]}" if len(dates) == 1 else f"from {dates[0]} to {dates[-1]}"
    level = _levels(runs)
    lines = [
        f"{escaped(runs.model_name)}{revision} (sha256 {coded(model.sha256[:16])}) was audited with"
        f" fairprint {escaped(when)}: {count(asked, 'item')} from"
        f" {count(len(sets), 'probe set')}. A probe set holds sentences, or questions, that are alike but for the"
        " people they speak of; what is compared is how the model answers to each.",
        f"What stands in brackets is the {level} interval: it is made so that in {level} of such audits it holds the"
        " number for all sentences and words of the same kind." + _corrected(runs) + _nats(runs) + _stereotyped(runs),
        *partial(runs),
    ]
    if runs.report:
        lines.append(f"All numbers, sentences and methods stand in the {report_link(runs)}.")
    return blocks(*lines)


def report_link(runs: CardRuns) -> str:
    """Return a link to the report."""
    safe = runs.report.replace(" ", "%20").replace("<", "%3C").replace(">", "%3E")
    return f"[full report](<{safe}>)"


def _levels(runs: CardRuns) -> str:
    found = sorted({e.level for audit in runs.audits for e in audit.estimates})
    return joined([plain(KINDS["level"](level)) for level in found]) if found else "95 %"


def _corrected(runs: CardRuns) -> str:
    tests, survive = card_findings.tests(runs.audits)
    if tests < 2:
        return ""
    rate = plain(KINDS["level"](wording.FALSE_DISCOVERY_RATE))
    return (
        f" {count(tests, 'number')} were tested together against what equal treatment would give, and {survive:,}"
        f" differ from it after a correction for so many tests (Benjamini and Hochberg); of the differences that are"
        f" called found, no more than about {rate} are expected to be chance. The q beside a finding is its p-value"
        " after this correction."
    )


def _nats(runs: CardRuns) -> str:
    if not any(e.unit == "nats" for audit in runs.audits for e in audit.estimates):
        return ""
    return (
        " Some differences are in nats, the natural logarithm of how many times as likely one version is as the other:"
        " +0.69 nats is twice as likely, −0.69 half as likely."
    )


def _stereotyped(runs: CardRuns) -> str:
    if not any(e.metric.startswith("stereotype") for audit in runs.audits for e in audit.estimates):
        return ""
    return " The stereotyped version of two sentences is the one that the sources of the set give as the stereotype."


def partial(runs: CardRuns) -> list[str]:
    """Return which audits are not whole, and how much of them was asked."""
    told = []
    for audit in runs.audits:
        if audit.status == "complete":
            continue
        asked, whole = (sum(getattr(p, of) for p in audit.probes) for of in ("items", "items_in_set"))
        text = f"**Not a whole audit:** run {coded(audit.run_id)} is {escaped(audit.status)}"
        told.append(f"{text}, and asked {asked:,} of {whole:,} items.")
    return told


# what was found


def _bias(runs: CardRuns) -> str:
    found = card_findings.shown(runs.audits)
    return blocks("### Bias", _found(found, runs), _words(runs), _not_found(runs), _untested(runs), _unknown(runs))


def _found(found: Sequence[Told], runs: CardRuns) -> str:
    tested = any(e.neutral is not None for audit in runs.audits for e in audit.estimates)
    if not found:
        return (
            "In no probe set did the audit find a difference that is shown not to be chance. This does not mean that"
            " there is none: see below how large one would have had to be."
            if tested
            else "No number of this audit has a value that stands for equal treatment, so none was tested for bias."
        )
    points = [_finding(told) for told in found[:MOST_FOUND]]
    if len(found) > MOST_FOUND:
        points.append(f"{count(len(found) - MOST_FOUND, 'more finding')}: see the results below.")
    return blocks("**Found**, as a stereotype or as a difference between groups:", listed(points))


def _finding(told: Told) -> str:
    e = told.estimate
    q = "" if e.q_value is None else f"; q {_p(e.q_value)}"
    like = f" The same is shown by: {escaped('; '.join(map(lowered, told.like)))}." if told.like else ""
    rests = behind(told)
    return f"{topic(told)}: {sentence(told)} {rests[:1].upper()}{rests[1:]}{q}.{like}{_main_metric(told)}"


def _p(value: float) -> str:
    shown = plain(KINDS["p"](value))
    return shown if shown[0] == "<" else f"= {shown}"


def _main_metric(told: Told) -> str:
    """Say that the main metric of a set shows nothing, where another one does."""
    estimates = next(found for label, _, found in instruments(told.record) if label == told.estimate.instrument)
    head = headline(estimates)
    if head is None or head is told.estimate or wording.shows(head) is not False:
        return ""
    title = escaped(lowered(title_of(head.metric)))
    return f" The main metric of this set, the {title}, does not show it: {value_of(head)}."


def _words(runs: CardRuns) -> str:
    told = []
    for audit in runs.audits:
        for probe in audit.probes:
            if (found := card_findings.words(audit, probe)) is not None and found[0]:
                told.append(f"{escaped(probe.title)} {found[0]:,} of {found[1]:,}")
    if not told:
        return ""
    return (
        "**Single words** that lean more to one of the compared groups than the other words of their set do, after a"
        f" correction of its own in each set: {'; '.join(told)}. The words themselves stand in the report."
    )


def _not_found(runs: CardRuns) -> str:
    found = card_findings.not_shown(runs.audits)
    if not found:
        return ""
    head = ("Probe set", "Metric", "Value (interval)", "If equal", "Items", "Missing", "Would be found from")
    return blocks(
        "**Looked for and not found.** Here the audit shows no difference, which does not mean that there is none."
        " The last column says how far from equal treatment a number must lie for four of five such audits to find"
        " it, before the correction for the number of tests; what is smaller was likely missed."
        " Points are percentage points.",
        table(head, [_row(told) for told in found], "lllrrrl"),
        _LOST_MARK if any(wording.lost(told.estimate) for told in found) else "",
    )


def _row(told: Told) -> tuple[str, ...]:
    e = told.estimate
    groups = ""
    if e.comparison is not None and len(told.probe.comparisons) > 1:
        groups = " against ".join(escaped(label) for label in labels(told.probe, e.comparison))
    set_ = f"{escaped(told.probe.title)}, {coded(told.instrument)}" + (f", {groups}" if groups else "")
    lost = " †" if wording.lost(e) else ""
    return (
        set_,
        escaped(metric_title(e)),
        value_of(e) + lost,
        said(number(e.neutral, kind_of(e))),
        f"{e.items:,}",
        f"{e.missing:,}",
        "not known" if e.detectable is None else said(distance(e.detectable, e)),
    )


def metric_title(e: Estimate) -> str:
    """Return the title of a metric with the unit that its numbers do not show."""
    return title_of(e.metric) + ("" if e.unit in ("share", "correlation", "difference of shares") else f", {e.unit}")


def _untested(runs: CardRuns) -> str:
    found = card_findings.untested(runs.audits)
    points = [f"{topic(told)}: {sentence(told)}" for told in found]
    told = "**Measured, with no value that would stand for equal treatment**, so that none of it is called a bias:"
    return blocks(told, listed(points)) if points else ""


def _unknown(runs: CardRuns) -> str:
    points = [f"{topic(told)}: {value_of(told.estimate)}" for told in card_findings.unknown(runs.audits)]
    return blocks("**Asked, and not known:**", listed(points)) if points else ""


# risks and limitations


def _risks(runs: CardRuns) -> str:
    found = card_findings.shown(runs.audits)
    writes = any(probe.scored in (PROMPT, SLOT) for audit in runs.audits for probe in audit.probes)
    likely = (
        "The model’s own texts were looked at in part only" if writes else "The model’s own texts were not looked at"
    )
    if found:
        sets = joined(list(dict.fromkeys(f"“{escaped(told.probe.title)}”" for told in found)))
        text = (
            f"What was found in {sets} can carry over to what is built on this model: to texts that it writes, and to"
            " choices that are made by its probabilities or labels. Whether it does, and whom it would harm, was not"
            f" measured. {likely}."
        )
    else:
        text = f"The audit points to no single risk. {likely}, and no use of the model was."
    return blocks("### Risks", text)


def _limitations(runs: CardRuns) -> str:
    cannot = cannot_show(runs)
    hidden = folded("What each probe set cannot show", listed(cannot)) if cannot else ""
    return blocks("### Limitations", listed(limits(runs)), hidden)


def limits(runs: CardRuns) -> list[str]:
    """Return what the audits did not measure and did not ask, a sentence or more a point."""
    latest = runs.audits[-1]
    answers = dict.fromkeys(nearness.answers(audit) for audit in runs.audits)
    points = [
        escaped(f"{told}, what people do with it, and whether any difference harms anybody was not measured.")
        for told in answers
    ]
    points += _not_asked(runs)
    points += _languages(runs)
    points += _checks(runs)
    points += [escaped(note.rstrip(".") + ".") for note in latest.plan.model.notes]
    return points


def cannot_show(runs: CardRuns) -> list[str]:
    """Return what each probe set cannot show."""
    told = [
        f"{escaped(probe.title)}: {' '.join(escaped(text) for text in probe.cannot_show)}"
        for audit in runs.audits
        for probe in audit.probes
        if probe.cannot_show and not utility.applies(probe)
    ]
    return list(dict.fromkeys(told))


def _not_asked(runs: CardRuns) -> list[str]:
    asked = {probe.name for audit in runs.audits for probe in audit.probes}
    by_reason: dict[str, dict[str, None]] = {}
    for audit in runs.audits:
        for name, why in audit.not_asked.items():
            if name not in asked:
                # which other language it is in, its name says
                by_reason.setdefault(re.sub(r" \([a-z-]+\)$", "", why), {})[name] = None
    told = [f"{', '.join(coded(name) for name in names)}: {escaped(why)}" for why, names in by_reason.items()]
    return [f"Of the probe sets that come with fairprint, these were not asked. {'; '.join(told)}."] if told else []


def _languages(runs: CardRuns) -> list[str]:
    found = sorted({probe.language for audit in runs.audits for probe in audit.probes})
    named = joined([escaped(language_name(code)) for code in found])
    return [f"Everything was asked in {named}; nothing is known of other languages."] if found else []


def language_name(code: str) -> str:
    """Return the name of a language; a code that is not known stands for itself.

    >>> language_name("ko"), language_name("tlh-x")
    ('Korean', 'tlh-x')
    """
    import pycountry

    found = pycountry.languages.get(alpha_2=code)
    return str(found.name) if found is not None else code


def _checks(runs: CardRuns) -> list[str]:
    """Say of the checks of a method whether it finds what it should on this model."""
    told = []
    for audit in runs.audits:
        for _, probe, estimates in instruments(audit):
            head = headline(estimates) if nearness.is_check(probe) else None
            if head is None:
                continue
            found = wording.shows(head) is True and (head.value or 0) > (head.neutral or 0)
            says = "finds" if found else "does not find, so that its other results say little,"
            told.append(
                f"As a check of the method, “{escaped(probe.title)}” ({coded(instrument_of(head))}) {says} what it"
                f" should: {value_of(head)}."
            )
    return told


def published(probe: ProbeInfo) -> bool:
    """Say whether a probe set is a benchmark that others published."""
    return probe.scored in FORMS


def sets(audits: Sequence[RunRecord]) -> list[ProbeInfo]:
    """Return each probe set once."""
    return list({probe.name: probe for audit in audits for probe in audit.probes}.values())
