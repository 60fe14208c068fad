"""Scores: the long table that every task writes and every metric reads."""

from dataclasses import dataclass

LOGPROB = "logprob"
"""Name of the rows that hold a log-probability, in nats."""
COSINE = "cosine"
"""Name of the rows that hold a mean cosine similarity with the words of a group."""
PROBABILITY = "probability"
"""Name of the rows that hold a classifier's probability of one label, as ``probability:LABEL``."""
CHOICE = "choice"
"""Name of the rows that hold which of its labels a classifier finds most probable, as a number from 0."""
CORRECT = "correct"
"""Name of the rows that hold whether a classifier's choice is the label that a file gives, 1 or 0."""
GAP_UNITS = {LOGPROB: "nats", COSINE: "cosine similarity", PROBABILITY: "probability"}
"""Of the numbers whose difference between two groups is a gap, the unit."""
MASS = "candidate_mass"
"""Name of the rows that hold the probability that all candidates of a slot hold together."""

TOKENS = "tokens"
"""Name of the rows that hold over how many tokens the log-probability of a text was summed."""
LIKENESS = "likeness"
"""Name of the rows that hold a number by which texts are ranked, more is likelier: a mean probability of tokens, or
what others recorded without saying more."""
PICKED = "picked"
"""Name of the rows that hold how often an option was the answer to a question, as a share of the times it was asked."""
OUT_OF_CHOICE = "out_of_choice"
"""Name of the rows, without a group, that hold how often a question got no answer that is one of its options."""
COMPLETION = "completion"
"""Name of the rows whose ``text`` is what a model wrote, as ``completion:0`` for the first of an item."""
LABEL = "label"
"""Name of the rows that hold what a scorer finds in a completion, as ``label:NAME:0``: a share or a probability."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One row: one number about one group in one item.

    Attributes:
        item: id of the item; of the sentence frame for numbers that belong to a frame.
        template: first random factor.
        lexeme: second random factor; empty where the number belongs to no lexeme.
        category: category of the item.
        group: id of the group, or empty.
        name: what the number is.
        value: the number, or None with the reason in ``note``.
        note: why the value is absent, or what a reader must know of it.
        text: what the model wrote, where the row is about that.
    """

    item: str
    template: str
    lexeme: str
    category: str
    group: str
    name: str
    value: float | None
    note: str = ""
    text: str = ""
