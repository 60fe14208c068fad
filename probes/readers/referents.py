"""What WinoBias and Winogender share: pronouns, and the statement of whom one refers to."""

from fairprint.probes.items import Variant

MALE, FEMALE, NEUTRAL = "male", "female", "neutral"
"""Of Winogender, the conditions: the gender of the pronoun."""
PRO, ANTI = "pro", "anti"
"""Of WinoBias, the conditions: whether the right answer is the one that the stereotype expects."""

FORMS = {
    MALE: ("he", "him", "his", "himself"),
    FEMALE: ("she", "her", "hers", "herself"),
    NEUTRAL: ("they", "them", "their", "theirs", "themself", "themselves"),
}
"""The pronouns of each gender."""


def statement(group: str, lead: str, words: str) -> Variant:
    """Return the variant that says whom a pronoun refers to; its span is what follows ``lead`` and a blank.

    >>> statement("occupation", 'The nurse left. "She" refers to the', "nurse").words
    'nurse'
    """
    text = f"{lead} {words}"
    return Variant(group=group, text=text, span=(len(text) - len(words), len(text)))
