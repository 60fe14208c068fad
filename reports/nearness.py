"""What is said of numbers that are not log-probabilities: how near vectors lie, and the tests of that."""

from markupsafe import Markup

from fairprint.audit.findings import SignificanceTest
from fairprint.audit.records import ProbeInfo, RunRecord
from fairprint.reports import benchmarks, classified
from fairprint.reports.numbers import KINDS, absent, number
from fairprint.reports.text import say

COSINE = "cosine similarity"

MEANINGS: dict[tuple[str, str], str] = {
    ("signed_effect", COSINE): "How much nearer a word lies, on average, to the words that it is expected with than to"
    " the others: the mean difference of its cosine similarities with the words of the two groups. Positive is the"
    " expected direction.",
    ("group_gap", COSINE): "The mean cosine similarity with the words of the first group minus that with the words of"
    " the second, s(w, A, B) of Caliskan et al. (2017), as a mean over words and sentences. It holds no claim about"
    " which direction would be a stereotype.",
    ("group_gap_centred", COSINE): "The group gap of a word minus the mean gap of all words in the same template: which"
    " words lie nearer to the words of one group than the others do.",
}
"""The meaning of a metric in a unit in which it means something else than in nats."""

FINDINGS: dict[tuple[str, str], str] = {
    ("signed_effect", COSINE): "The mean cosine similarity of a word is higher by {value} with the words that it is"
    " expected with than with the others ({items} {things}; {interval}).",
    ("group_gap", COSINE): "The mean cosine similarity with {first} minus that with {second} is {value} over {items}"
    " {things} ({interval}).",
}
"""Sentences of a metric in such a unit."""


def things(probe: ProbeInfo) -> str:
    """Return what the items of a set are called."""
    if probe.scored == "association":
        return "words" if probe.templates == 1 else "sentences with one of the words"
    return "sentence pairs"


def is_check(probe: ProbeInfo) -> bool:
    """Say whether a set asks about no harm, but whether its method works on a model."""
    return probe.harm_type == "none"


def tests(record: RunRecord, label: str) -> list[Markup]:
    """Return what is said of the tests of an instrument, beside its estimates."""
    return [tested(test, _probe_of(record, test)) for test in record.tests if test.instrument == label]


def assumed(record: RunRecord) -> list[tuple[str, str]]:
    """Return what the tests of a run assume, each with the probe sets that it is said of."""
    found: dict[str, dict[str, None]] = {}
    for test in record.tests:
        found.setdefault(test.assumes, {})[_probe_of(record, test).title] = None
    return [(text, "; ".join(titles)) for text, titles in found.items()]


def _probe_of(record: RunRecord, test: SignificanceTest) -> ProbeInfo:
    return next(probe for probe in record.probes if probe.name == test.probe_set)


def tested(test: SignificanceTest, probe: ProbeInfo) -> Markup:
    """Return a permutation test as one finished sentence."""
    pair = " against ".join(probe.labels.get(group, group) for group in test.comparison)
    about = say(" of {pair}", pair=pair) if len(probe.comparisons) > 1 else Markup("")
    if test.p_value is None:
        return say("The permutation test{about} is {absent}.", about=about, absent=absent(test.reason))
    text = (
        "A permutation test{about} gives p{equals}{p} (one-sided): it compares {ways} to divide the {all} words into"
        " {a} and {b}."
    )
    ways = "all {ways} ways" if test.exact else "the observed and {draws} random ways"
    return say(
        text,
        about=about,
        equals=Markup(" = " if KINDS["p"](test.p_value)[0].isdigit() else " "),
        p=number(test.p_value, "p"),
        ways=say(ways, ways=number(test.ways, "count"), draws=number(test.ways - 1, "tally")),
        all=number(sum(test.sizes), "tally"),
        a=number(test.sizes[0], "count"),
        b=number(test.sizes[1], "count"),
    )


def answers(record: RunRecord) -> str:
    """Say what the answers of a run are, as the beginning of what they are not."""
    scored = {probe.scored for probe in record.probes}
    vectors = ["places of given words and sentences in the model’s space"] if "association" in scored else []
    labels = ["labels of given texts or images"] if scored & set(classified.SCORED) else []
    others = scored - {"association", *classified.SCORED, *benchmarks.ANSWERS}
    sentences = ["probabilities of given sentences"] if others or not scored else []
    told = " and ".join([*sentences, *vectors, *labels, *benchmarks.answers(record)])
    rest = "What the model writes by itself" if sentences or benchmarks.answers(record) else "What is made of them"
    if benchmarks.writes(record):
        rest = "What the model writes elsewhere"
    return f"The answers here are {told}. {rest}"
