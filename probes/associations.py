"""Probe files that score associations: words are compared with words, and no sentence is said of a group.

Groups are sets of attribute words, lexemes are target words, and a template is a frame with one slot ``{word}`` into
which both go (Caliskan, Bryson & Narayanan 2017; with sentences as frames: May et al. 2019).
"""

import re
from collections.abc import Callable, Mapping

from fairprint.probes.errors import ProbeFileError
from fairprint.probes.items import Variant
from fairprint.probes.schema import GroupEntry, LexemeEntry, ProbeFile, TemplateEntry

SLOT = "{word}"
Fail = Callable[..., ProbeFileError]
"""Makes an error of a message and the path of a key."""


def check_associations(entry: ProbeFile, directions: Mapping[str, tuple[int, ...]], fail: Fail) -> None:
    """Check what only files that score associations must keep to.

    Raises:
        ProbeFileError: a frame without exactly one ``{word}``, a word that stands twice, forms of target words, or
            nothing that could be tested.
    """
    for number, template in enumerate(entry.templates):
        if re.findall(r"\{word\}|[{}]", template.text) != [SLOT]:
            message = f"template '{template.id}' needs exactly one slot, {SLOT}, for target and attribute words alike"
            raise fail(message, "templates", number, "text")
    seen: dict[str, str] = {}
    for number, group in enumerate(entry.groups):
        for form, word in group.forms.items():
            _once(word, f"group '{group.id}'", seen, fail, "groups", number, "forms", form)
    for number, lexeme in enumerate(entry.lexemes):
        if lexeme.forms:
            raise fail(f"'{lexeme.id}' has forms, but a target word has only one", "lexemes", number, "forms")
        _once(lexeme.text or lexeme.id, f"lexeme '{lexeme.id}'", seen, fail, "lexemes", number)
    if entry.covariate is None and not any(any(found) for found in directions.values()):
        raise fail("no target word has a direction or a figure: there would be nothing to test", "lexemes")


def _once(word: str, owner: str, seen: dict[str, str], fail: Fail, *path: str | int) -> None:
    if word in seen:
        message = f"the word '{word}' of {owner} is one of {seen[word]} already: it would be compared with itself"
        raise fail(message, *path)
    seen[word] = owner


def associated(template: TemplateEntry, lexeme: LexemeEntry, group: GroupEntry) -> Variant:
    """Return the frame with the target word, and beside it the frame with each word of a group."""
    before, _, after = template.text.partition(SLOT)
    word = lexeme.text or lexeme.id
    return Variant(
        group=group.id,
        text=before + word + after,
        span=(len(before), len(before) + len(word)),
        attributes=tuple(before + form + after for form in group.forms.values()),
    )
