"""Scores: the long table that every task writes and every metric reads."""

from dataclasses import dataclass

LOGPROB = "logprob"
"""Name of the rows that hold a log-probability, in nats."""
MASS = "candidate_mass"
"""Name of the rows that hold the probability that all candidates of a slot hold together."""
STEREOTYPED, OTHER = "stereotyped", "other"
"""Roles of a group in an item: the one that the stereotype expects, and the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One row: one number about one group in one item.

    Attributes:
        item: id of the item; of the sentence frame for numbers that belong to a frame.
        template: first random factor.
        lexeme: second random factor; empty where the number belongs to no lexeme.
        category: category of the item.
        group: id of the group, or empty.
        role: ``stereotyped``, ``other``, or empty where no direction is claimed.
        name: what the number is.
        value: the number, or None with the reason in ``note``.
        note: why the value is absent, or what a reader must know of it.
    """

    item: str
    template: str
    lexeme: str
    category: str
    group: str
    role: str
    name: str
    value: float | None
    note: str = ""
