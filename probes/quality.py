"""Item quality of sentences that others wrote: named rules that a program can judge, and the items that break them.

Blodgett et al. (2021) list what can be wrong with such items; the rules are what of it a program sees. Grammar and
meaning, and whether a stereotype is one, take people. An item that breaks a rule stays in its set; results are told
with such items and without.
"""

import difflib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from fairprint.probes.items import Item

SEVERAL_DIFFERENCES = "several-differences"
WORD_COUNTS = "different-word-counts"
REPEATED = "repeated"
CONTROL_CHARACTER = "control-character"
NO_END = "no-final-punctuation"

_RULES = {
    SEVERAL_DIFFERENCES: "the sentences of the item differ in more than one run of words, so that more than one thing "
    "is compared",
    WORD_COUNTS: "the sentences of the item have different numbers of words (words are what blanks separate)",
    REPEATED: "an earlier item has the same sentences",
    CONTROL_CHARACTER: "a sentence holds a control or invisible character, such as a line break",
    NO_END: "a sentence does not end in . ! ? or …, with or without closing quotes or brackets",
}
_WORD = re.compile(r"\S+")
_END = re.compile(r"[.!?…‽。！？｡؟।][\"'”’»)\]」』]*\s*$")


def rules() -> Mapping[str, str]:
    """Return the rules by name, and what each one means, in the order in which they are told."""
    return dict(_RULES)


def flagged(items: Sequence[Item]) -> tuple[Item, ...]:
    """Return the items with the names of the rules that each one breaks (``Item.flags``).

    Every sentence of an item is looked at; of repeated items the first is not flagged, so that without the flagged
    ones the set has each question once.
    """
    seen: set[tuple[tuple[str, str], ...]] = set()
    found = []
    for item in items:
        said = tuple(sorted((variant.group, variant.text) for variant in item.variants))
        broken = {
            SEVERAL_DIFFERENCES: _several_differences(item),
            WORD_COUNTS: len({len(variant.text.split()) for variant in item.variants}) > 1,
            REPEATED: said in seen,
            CONTROL_CHARACTER: any(_hides(variant.text) for variant in item.variants),
            NO_END: not all(_END.search(variant.text) for variant in item.variants),
        }
        seen.add(said)
        found.append(replace(item, flags=tuple(rule for rule in _RULES if broken[rule])))
    return tuple(found)


def differing_spans(first: str, second: str) -> tuple[tuple[tuple[int, int], tuple[int, int]], ...]:
    """Return the runs of words in which two texts differ, as character ranges of the first and of the second.

    Words are what blanks separate. Where one text lacks the words, its range is empty, at the end of the word before.

    >>> differing_spans("He is not poor.", "She is poor.")
    (((0, 2), (0, 3)), ((6, 9), (6, 6)))
    """
    ours = [match.span() for match in _WORD.finditer(first)]
    theirs = [match.span() for match in _WORD.finditer(second)]
    matcher = difflib.SequenceMatcher(None, first.split(), second.split(), autojunk=False)
    return tuple(
        (_range(ours, start, end), _range(theirs, other_start, other_end))
        for kind, start, end, other_start, other_end in matcher.get_opcodes()
        if kind != "equal"
    )


def _range(words: Sequence[tuple[int, int]], start: int, end: int) -> tuple[int, int]:
    if start < end:
        return words[start][0], words[end - 1][1]
    before = words[start - 1][1] if start else 0
    return before, before


def _several_differences(item: Item) -> bool:
    return any(len(differing_spans(one.text, other.text)) > 1 for one, other in combinations(item.variants, 2))


def _hides(text: str) -> bool:
    return any(unicodedata.category(character) in ("Cc", "Cf") for character in text)
