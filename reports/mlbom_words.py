"""The words of a bill of materials: what was found for which groups, and what was not measured."""

from fairprint.audit.records import ProbeInfo
from fairprint.probes.forms import PAIR, QUESTION, REFERENT, TRIPLE
from fairprint.reports import card_bias, card_findings
from fairprint.reports.card_findings import Told
from fairprint.reports.card_recommend import advice
from fairprint.reports.card_runs import CardRuns
from fairprint.reports.card_text import joined, said
from fairprint.reports.mlbom_parts import sentence, text
from fairprint.reports.planned import distance
from fairprint.reports.wording import labels, title_of

_NO_BENEFIT = "Not measured: the audit looks for differences between groups, not for benefits."
_NO_HARM_MEASURED = "Whether this harms anybody in a use of the model was not measured."
_ROLES = (PAIR, QUESTION, REFERENT, TRIPLE)
"""Forms whose "groups" are answers, such as the biased one, and no people."""
_NONE_KNOWN = "None that was carried out is recorded."


def fairness(runs: CardRuns) -> list[dict[str, str]]:
    """Return an assessment for each finding, then for each way of asking that shows nothing."""
    found = [_found(told) for told in card_findings.shown(runs.audits)]
    return found + [_not_found(told) for told in card_findings.not_shown(runs.audits)]


def limitations(runs: CardRuns) -> list[str]:
    """Return what was not measured, what was asked and is not known, and what the probe sets cannot show."""
    if not runs.audits:
        return ["The model was not audited: nothing is known of how it treats people."]
    told = [*card_bias.partial(runs), *card_bias.limits(runs)]
    told += [
        f"{card_bias.topic(one)}: asked, and not known. {card_bias.value_of(one.estimate)}"
        for one in card_findings.unknown(runs.audits)
    ]
    told += [f"What it cannot show. {one}" for one in card_bias.cannot_show(runs)]
    return [sentence(one) for one in told]


def _groups(told: Told) -> str:
    """Return the compared groups; which of them would be harmed is not known."""
    probe, pair = told.probe, told.estimate.comparison
    scope, _, group = told.estimate.scope.partition(":")
    if probe.scored in _ROLES:
        part = f"the category “{group}” of " if scope == "category" else ""
        return text(f"the people of whom {part}“{probe.title}” speaks")
    if scope == "group":
        named = [probe.labels.get(group, group)]
    elif pair is not None:
        named = list(labels(probe, pair))
    else:
        named = _compared(probe)
    return text(joined(named)) or "people"


def _compared(probe: ProbeInfo) -> list[str]:
    pairs = [label for pair in probe.comparisons for label in labels(probe, pair)]
    return list(dict.fromkeys(pairs or probe.labels.values()))


def _found(told: Told) -> dict[str, str]:
    rests = card_bias.behind(told)
    shows = f"{card_bias.topic(told)}: {card_bias.sentence(told)} {rests[:1].upper()}{rests[1:]}."
    kind = f"Looked for: {text(told.probe.measures)}; kind of harm: {text(told.probe.harm_type)}."
    return {
        "groupAtRisk": _groups(told),
        "benefits": _NO_BENEFIT,
        "harms": f"{sentence(shows)} {kind} {_NO_HARM_MEASURED}",
        "mitigationStrategy": f"{_NONE_KNOWN} Advised: {sentence(advice(told.probe))}",
    }


def _not_found(told: Told) -> dict[str, str]:
    e = told.estimate
    looked_for = f"{card_bias.topic(told)}: looked for, and no difference is shown."
    value = f"{card_bias.about(told)}{title_of(e.metric)}: {card_bias.value_of(e)}."
    rests = f"{card_bias.behind(told)[:1].upper()}{card_bias.behind(told)[1:]}."
    least = "How large a difference would have been found is not known."
    if e.detectable is not None:
        least = f"Four of five such audits would find a difference of {said(distance(e.detectable, e))} or more."
    return {
        "groupAtRisk": _groups(told),
        "benefits": _NO_BENEFIT,
        "harms": f"{sentence(looked_for)} {sentence(value)} {rests} {sentence(least)}"
        " This is no proof that there is none.",
        "mitigationStrategy": f"{_NONE_KNOWN} None is advised on this ground alone.",
    }
