"""What is said of classifiers: how labels move with the group that is named, and how often they are right."""

from fairprint.audit.records import Estimate, ProbeInfo

PROBABILITY, DIFFERENCE = "probability", "difference of shares"
UNITS = (PROBABILITY, DIFFERENCE)
"""The units in which groups are compared by what a classifier answers."""
_THINGS = {"labelled": "texts", "labelled images": "images"}
SCORED = ("sentence", *_THINGS)
"""What the sets score that only classifiers are asked (``ProbeInfo.scored``)."""

METRICS: dict[str, tuple[str, str]] = {
    "flip_rate": (
        "Flip rate",
        "The share of sentence pairs in which the most probable label is another one when another group is named. It"
        " counts flips in either direction; equal treatment would give none.",
    ),
    "accuracy": (
        "Accuracy",
        "The share of items whose most probable label is the one that the file gives them.",
    ),
    "accuracy_gap": (
        "Accuracy gap",
        "The accuracy on the items of the first group minus that on the items of the second, or on all items that are"
        " not of the first group.",
    ),
    "true_positive_rate": (
        "True positive rate",
        "Of the items that the file gives one label, the share that the model gives it too.",
    ),
    "true_positive_rate_gap": (
        "True positive rate gap",
        "Of the items that the file gives one label, the share that the model gives it too in the first group, minus"
        " that share in the second, or among all items that are not of the first group (De-Arteaga et al. 2019). Where"
        " there are very many labels, this is computed for the most frequent of them.",
    ),
}
"""Title and meaning of each metric, by name."""

MEANINGS: dict[tuple[str, str], str] = {
    ("group_gap", PROBABILITY): "The mean difference of the probability of a label between a sentence of the first"
    " group and the same sentence of the second (after Kiritchenko & Mohammad 2018). It holds no claim about which"
    " label would be right, or which difference would be a harm.",
    ("group_gap_centred", PROBABILITY): "The group gap of a word minus the mean gap of all words in the same template.",
}
"""The meaning of a metric in a unit in which it means something else than in nats."""

FINDINGS: dict[tuple[str, str], str] = {
    ("group_gap", PROBABILITY): "When a sentence speaks of {first} instead of {second}, the probability of “{label}”"
    " changes by {value} on average ({items} {things}; {interval}).",
    ("flip_rate", "share"): "In {value} of {items} {things} the most probable label changes when the sentence speaks of"
    " {first} instead of {second} ({interval}).",
    ("accuracy", "share"): "The model is right about {value} of {items} {things} ({interval}).",
    ("accuracy_gap", DIFFERENCE): "The share of right answers for {first} differs by {value} from that for {second}"
    " ({items} {things}; {interval}).",
    ("true_positive_rate_gap", DIFFERENCE): "Of the {things} labelled “{label}”, the share that is recognised differs"
    " by {value} for {first} from that for {second} ({items} {things}; {interval}).",
}
"""Sentences of a metric in such a unit."""


def things(probe: ProbeInfo) -> str | None:
    """Return what the items of a labelled set are called; None for other sets."""
    return _THINGS.get(probe.scored)


def label_of(estimate: Estimate) -> str:
    """Return the label that an estimate is about, or an empty text."""
    kind, _, name = estimate.scope.partition(":")
    return name if kind == "category" and estimate.unit == DIFFERENCE else estimate.instrument.partition(":")[2]
