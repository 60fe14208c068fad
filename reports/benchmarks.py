"""What is said of published benchmarks: their metrics, what their items are called, and sentences about results."""

from collections.abc import Sequence

from fairprint.audit.records import Estimate, ProbeInfo, RunRecord
from fairprint.probes.forms import FORMS, PAIR, PROMPT, QUESTION, REFERENT, SLOT, TRIPLE, UNITS

AGREEMENTS = ("instrument_agreement", "instrument_correlation")
"""Metrics that compare two instruments on one set, and say nothing of the model alone."""

METRICS: dict[str, tuple[str, str]] = {
    "crows_pairs_score": (
        "CrowS-Pairs score",
        "The share of sentence pairs in which the model scores the more stereotyping of two sentences higher (Nangia et"
        " al. 2020). How a sentence is scored is the business of the instrument: several of them go by the same name in"
        " the literature, and figures of two instruments cannot be compared.",
    ),
    "mean_absolute_gap": (
        "Mean absolute gap",
        "The mean distance between the log probabilities of the two sentences of a pair, in nats, whichever is more"
        " probable; lm-evaluation-harness calls it likelihood_diff. It has no direction, so it says nothing of"
        " stereotypes.",
    ),
    "stereoset_lms": (
        "Language modelling score (LMS)",
        "How often the model prefers a sentence that means something, whether it is a stereotype or the opposite, to"
        " one that does not: the share within each target term, then the plain mean over terms (Nadeem et al. 2021).",
    ),
    "stereoset_ss": (
        "Stereotype score (SS)",
        "Of each target term, the share of its items in which the model prefers the stereotype to its opposite; then"
        " the plain mean over terms (Nadeem et al. 2021). A tie counts for the opposite.",
    ),
    "stereoset_icat": (
        "ICAT score, out of a hundred",
        "The language modelling score, lowered by how far the stereotype score lies from one half (Nadeem et al. 2021):"
        " a perfect model without preference reaches a hundred, one that guesses half of that, and one that always"
        " prefers the stereotype, or never does, nothing.",
    ),
    "bbq_s_amb": (
        "Bias score s_AMB",
        "Of the questions whose text leaves the answer open, the share that is answered along a stereotype minus the"
        " share that is answered against it, in points from −100 to +100 (Parrish et al. 2022, who print it without a"
        " unit). An answer that says that it cannot be known counts for neither.",
    ),
    "bbq_s_dis": (
        "Bias score s_DIS",
        "Of the answers that name a group, the share that goes along a stereotype minus the share that goes against it,"
        " in points from −100 to +100 (Parrish et al. 2022, who print it without a unit).",
    ),
    "kobbq_diff_bias_ambiguous": (
        "Diff-bias, ambiguous",
        "Of the valid answers to questions whose text leaves the answer open, the share that goes along a stereotype"
        " minus the share that goes against it, in points (Jin et al. 2024).",
    ),
    "kobbq_diff_bias_disambiguated": (
        "Diff-bias, disambiguated",
        "Where the text says the answer: the accuracy on questions whose right answer goes along a stereotype minus the"
        " accuracy on those whose right answer goes against it, in points (Jin et al. 2024).",
    ),
    "out_of_choice": (
        "Answers out of choice",
        "The share of answers that are none of the options (Jin et al. 2024). They are neither right nor biased, and a"
        " bias score speaks of the others alone.",
    ),
    "pro_anti_gap": (
        "Pro-anti gap",
        "The accuracy on sentences whose pronoun fits the stereotype of the occupation that it refers to, minus the"
        " accuracy on the same sentences with the other pronoun, in points (after Zhao et al. 2018, who score systems"
        " that mark references in texts by F1).",
    ),
    "label_rate": (
        "Label rate",
        "The share of the texts that the model wrote in which the scorer finds a label, within each prompt first, then"
        " over prompts (after Dhamala et al. 2021). It is only as good as the scorer.",
    ),
    "label_rate_gap": (
        "Label rate gap",
        "The label rate of the texts about the first group minus that of the texts about the second, or about all"
        " others, in points (after Dhamala et al. 2021).",
    ),
    "scorer_flip_rate": (
        "Flip rate of the scorer",
        "The share of sentence pairs, alike but for the group that they name, to which the scorer gives different"
        " labels: what it finds in texts about groups is off by as much as it reacts to their names.",
    ),
    "honest_score": (
        "HONEST score",
        "The share of the words or texts that the model fills in which a lexicon lists as hurtful, over all templates"
        " (Nozza et al. 2021).",
    ),
    "instrument_agreement": (
        "Agreement of instruments",
        "The share of items on which two instruments prefer the same version, or give the same answer. Where it is low,"
        " a figure of this benchmark says much of the instrument, and less of the model.",
    ),
    "instrument_correlation": (
        "Correlation of instruments",
        "Spearman’s correlation, over items, of the differences between two versions by the one instrument and by the"
        " other.",
    ),
}
"""Title and meaning of each metric, by name."""

MEANINGS: dict[tuple[str, str], str] = {
    ("accuracy", QUESTION): "The share of questions that are answered rightly. Where the text leaves the answer open,"
    " right is the answer that says so (Parrish et al. 2022).",
    ("accuracy", REFERENT): "The share of sentences in which the model takes the pronoun to mean the person that it"
    " means by the sense of the sentence.",
    ("flip_rate", REFERENT): "The share of pairs of sentences, alike but for the gender of a pronoun, in which the"
    " model takes it to mean another person (after Rudinger et al. 2018). It counts flips in either direction.",
    ("covariate_correlation", REFERENT): "Pearson’s correlation over occupations between a published figure of each"
    " occupation and how much more often the model takes a woman’s pronoun than a man’s to mean the person of that"
    " occupation (Rudinger et al. 2018). It shows whether the model follows the figure, not whether it should.",
}
"""The meaning of a metric in a form of sets in which it means something else than elsewhere."""

HEADLINES = (
    *("crows_pairs_score", "stereoset_ss", "bbq_s_amb", "kobbq_diff_bias_ambiguous", "bbq_s_dis"),
    *("kobbq_diff_bias_disambiguated", "pro_anti_gap", "honest_score", "label_rate_gap"),
)
"""Metrics that only published benchmarks have, and that speak for an instrument."""

MAIN = {
    PAIR: ("crows_pairs_score",),
    TRIPLE: ("stereoset_ss", "stereoset_lms", "stereoset_icat"),
    QUESTION: (
        *("accuracy", "bbq_s_amb", "bbq_s_dis", "kobbq_diff_bias_ambiguous", "kobbq_diff_bias_disambiguated"),
        "out_of_choice",
    ),
    REFERENT: ("accuracy", "pro_anti_gap", "flip_rate", "covariate_correlation"),
    PROMPT: ("label_rate", "label_rate_gap", "scorer_flip_rate"),
    SLOT: ("honest_score", "label_rate", "label_rate_gap", "scorer_flip_rate"),
}
"""The metrics that are told of each form, in this order."""

CONDITIONS = {
    "stereo": "pairs that say a stereotype",
    "antistereo": "pairs that deny a stereotype",
    "ambiguous": "text leaves the answer open",
    "disambiguated": "text says the answer",
    "pro": "pronoun fits the stereotype",
    "anti": "pronoun goes against it",
    "male": "male pronouns",
    "female": "female pronouns",
    "neutral": "neutral pronouns",
    "baseline": "texts that people wrote",
}
"""Conditions of items, as a row of a table says them."""
CLAUSES = ("ambiguous", "disambiguated", "pro", "anti")
"""Those that are a clause and no name."""

_THINGS = {
    PAIR: "sentence pairs",
    TRIPLE: "sentence triples",
    QUESTION: "questions",
    REFERENT: "sentences",
    PROMPT: "prompts",
    SLOT: "sentences with a gap",
}
ANSWERS = {
    QUESTION: "choices among given answers",
    REFERENT: "choices between given persons",
    PROMPT: "texts that continue given beginnings",
    SLOT: "words for gaps in given sentences",
}
"""What the answers are of forms that do not ask how probable sentences are."""
_WRITTEN = (PROMPT, SLOT)
IN_TEMPLATES = (QUESTION, REFERENT)
"""Forms whose items come in few templates, so that the design effect stands beside every interval."""

FINDINGS: dict[tuple[str, str, str], str] = {
    (PAIR, "crows_pairs_score", "all"): "In {value} of {items} {things} ({interval}) the model prefers the more"
    " stereotyping sentence; without a preference it would be {neutral}.",
    (PAIR, "crows_pairs_score", "quality:clean"): "Of the {items} pairs that break no rule of quality it is {value}"
    " ({interval}).",
    (PAIR, "mean_absolute_gap", "all"): "On average the log probabilities of the two sentences lie {value} nats apart,"
    " one way or the other ({items} {things}; {interval}).",
    (TRIPLE, "stereoset_ss", "all"): "Between a stereotype and its opposite the model prefers the stereotype in {value}"
    " of the cases, as a mean over {terms} target terms ({items} {things}; {interval}); without a preference it would"
    " be {neutral}.",
    (TRIPLE, "stereoset_ss", "quality:clean"): "Of the {items} triples that break no rule of quality it is {value}"
    " ({interval}).",
    (TRIPLE, "stereoset_lms", "all"): "It prefers a sentence that means something to one that does not in {value} of"
    " the cases ({interval}).",
    (TRIPLE, "stereoset_icat", "all"): "Both together make an ICAT score of {value} out of a hundred ({interval}).",
    (QUESTION, "accuracy", "all"): "The model answers {value} of {items} {things} rightly ({interval}).",
    (QUESTION, "accuracy", "condition:ambiguous"): "Where the text leaves the answer open, the model says so in {value}"
    " of {items} {things} ({interval}).",
    (QUESTION, "accuracy", "condition:disambiguated"): "Where the text says the answer, the model is right about"
    " {value} of {items} {things} ({interval}).",
    (QUESTION, "out_of_choice", "all"): "Of its answers, {value} are none of the options ({items} {things};"
    " {interval}).",
    (REFERENT, "accuracy", "all"): "The model takes {value} of {items} pronouns to mean the right person ({interval}).",
    (REFERENT, "accuracy", "condition:pro"): "Where the pronoun fits the stereotype of the occupation, the model takes"
    " it to mean the right person in {value} of {items} {things} ({interval}).",
    (REFERENT, "accuracy", "condition:anti"): "Where the pronoun goes against the stereotype, it is {value} of {items}"
    " {things} ({interval}).",
    (REFERENT, "flip_rate", "all"): "In {value} of {items} pairs of sentences that differ only in the gender of a"
    " pronoun, the model takes it to mean another person ({interval}).",
    (REFERENT, "covariate_correlation", "all"): "From occupation to occupation, how much more often the model takes a"
    " woman’s pronoun than a man’s to mean the person of that occupation has a correlation of {value} with this figure:"
    " {covariate} ({interval}).{direction}",
    (PROMPT, "label_rate", "all"): "The scorer finds “{label}” in {value} of the texts ({items} {things}; {interval}).",
    (PROMPT, "label_rate_gap", "all"): "The share of texts in which the scorer finds “{label}” differs by {value} for"
    " {first} from that for {second} ({items} {things}; {interval}).",
    (PROMPT, "scorer_flip_rate", "all"): "In {value} of {items} sentence pairs that differ only in who is named, the"
    " scorer itself changes its mind about “{label}” ({interval}).",
    (SLOT, "honest_score", "all"): "Of what the model fills in, {value} is hurtful by the lexicon ({items} {things};"
    " {interval}).",
    (SLOT, "label_rate_gap", "all"): "The share of hurtful words differs by {value} for {first} from that for {second}"
    " ({items} {things}; {interval}).",
}
"""Sentences of a metric in a form and a scope."""
_AHEAD = (
    "Where the text {open}, answers {along} a stereotype outnumber answers {against} it ({value} over {items}"
    " {things}; {interval})."
)
SIDED: dict[str, str] = {
    "bbq_s_amb": _AHEAD.replace("{open}", "leaves the answer open"),
    "bbq_s_dis": _AHEAD.replace("{open}", "says the answer"),
    "kobbq_diff_bias_ambiguous": _AHEAD.replace("{open}", "leaves the answer open"),
    "kobbq_diff_bias_disambiguated": "Where the text says the answer, the model is right more often if that goes"
    " {along} a stereotype than if it goes {against} it ({value} over {items} {things}; {interval}).",
    "pro_anti_gap": "The model is right more often where the pronoun goes {along} the stereotype than where it goes"
    " {against} it ({value} over {items} {things}; {interval}).",
}
"""Sentences that are said of the side that a value favours; {along} and {against} change places below zero."""


def condition(name: str) -> str:
    """Return a condition, or one of a category, as a row of a table says it.

    >>> condition("pro, type 1")
    'pronoun fits the stereotype, type 1'
    """
    of_all, comma, category = name.partition(", ")
    return CONDITIONS.get(of_all, of_all) + comma + category


def is_form(probe: ProbeInfo) -> bool:
    """Say whether a set has the form of a published benchmark."""
    return probe.scored in FORMS


def things(probe: ProbeInfo) -> str | None:
    """Return what the items of a published benchmark are called; None for other sets."""
    return _THINGS.get(probe.scored)


def factor(name: str, probe: ProbeInfo) -> str | None:
    """Return what the units of a random factor of a published benchmark are called, where that is not its name."""
    return UNITS.get(probe.scored, {}).get(name)


def sentence(estimate: Estimate, probe: ProbeInfo) -> str | None:
    """Return the sentence that says an estimate of a published benchmark, before it is filled; None for other sets."""
    if not is_form(probe):
        return None
    if estimate.metric in SIDED and estimate.value and estimate.scope == "all":
        return SIDED[estimate.metric]
    scope = "all" if estimate.metric == "scorer_flip_rate" else estimate.scope
    found = FINDINGS.get((probe.scored, estimate.metric, scope))
    # what a classifier says of words for gaps is told as what it says of texts
    if probe.scored == SLOT and (found is None or label_of(estimate)):
        found = FINDINGS.get((PROMPT, estimate.metric, scope), found)
    return found


def label_of(estimate: Estimate) -> str:
    """Return the label that a scorer found, or an empty text."""
    return estimate.instrument.rpartition(" / ")[2].partition(":")[2]


def flagged(estimate: Estimate, probe: ProbeInfo) -> int:
    """Return how many items an estimate of the scope ``quality:clean`` leaves out."""
    return probe.items - estimate.items - estimate.missing


def told(estimates: Sequence[Estimate], probe: ProbeInfo) -> list[Estimate]:
    """Return the estimates that are told in sentences: the main metrics, in the scopes that there are sentences for.

    What is said of each condition is not said again of all together, and of what a scorer is moved by only the most.
    """
    found = [e for metric in MAIN.get(probe.scored, ()) for e in estimates if e.metric == metric]
    whole = [e for e in found if sentence(e, probe) if e.scope == "all" or e.scope.startswith("condition:")]
    parts = {e.metric for e in whole if e.scope != "all"}
    flips = sorted((e for e in whole if e.metric == "scorer_flip_rate" and e.value), key=lambda e: -(e.value or 0))
    told = [e for e in whole if e.metric != "scorer_flip_rate" and (e.scope != "all" or e.metric not in parts)]
    # a gap of what was not measured at all is not missed, nor are answers that are none of the options where none is
    told = [e for e in told if e.value is not None or e.comparison or e.metric != "label_rate_gap"]
    return [e for e in told if e.value != 0 or e.metric != "out_of_choice"] + flips[:1]


def clean(estimates: Sequence[Estimate], head: Estimate) -> Estimate | None:
    """Return the main metric of the items that break no rule of quality."""
    return next((e for e in estimates if e.metric == head.metric and e.scope == "quality:clean"), None)


def answers(record: RunRecord) -> list[str]:
    """Return what the answers to published benchmarks of a run are."""
    return list(dict.fromkeys(ANSWERS[p.scored] for p in record.probes if p.scored in ANSWERS))


def writes(record: RunRecord) -> bool:
    """Say whether the model wrote anything by itself."""
    return any(probe.scored in _WRITTEN for probe in record.probes)
