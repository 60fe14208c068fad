"""Plain texts, one a line: how well a language model predicts them says whether it still writes as well as before.

A line that begins with a hash is a comment, or says something of the set: ``# name: harbour-terms``. Those lines stand
above the sentences; ``# topic: weather`` may stand anywhere, and holds for the sentences that follow. All of it can be
left out. Blanks around a sentence do not count, and empty lines are no sentences.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unicodedata import category

from fairprint.probes.errors import ProbeFileError, nearest
from fairprint.probes.forms import TEXT
from fairprint.probes.items import Group, Item, ProbeSet, Variant
from fairprint.probes.notations import read_utf8

GROUP = "text"
"""Id of the one group of a set of texts: nobody is spoken of, and nothing is compared."""
_ONCE = ("name", "version", "title", "summary", "measures", "language", "licence")
_OFTEN = {"source": "sources", "criticism": "criticism", "cannot-show": "cannot_show"}
_TOPIC = "topic"
KEYS = (*_ONCE, *_OFTEN, _TOPIC)
_KEY = re.compile(r"#\s*([a-z-]+):(?:\s+(.*))?$")
_HINT = f"one sentence a line; lines that say something of the set: # KEY: value, with one of {', '.join(KEYS)}"
_COMMENT = "A comment must not begin with a word in small letters and a colon"
_FORMS = {
    "name": (re.compile(r"[a-z0-9][a-z0-9_-]*"), "small letters, digits, - and _"),
    "version": (re.compile(r"[1-9][0-9]{0,8}"), "a number of 1 or more"),
    "language": (re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]+)*"), "a code such as en or pt-BR"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sentence:
    line: int
    text: str
    topic: str


def load_texts(path: Path, *, source: str = "file") -> ProbeSet:
    """Read a file of sentences.

    Raises:
        ProbeFileError: the file cannot be read or used; the message names the line and what was expected.
    """
    file = str(path)
    data, text = read_utf8(path)
    reader = _Reader(file)
    sentences = list(reader.sentences(text))
    if not sentences:
        raise ProbeFileError("the file has no sentences", file=file, line=1, hint=_HINT)
    return ProbeSet(
        **_default(path.name, len(sentences)) | reader.told,
        harm_type="none: a check of quality beside the findings",
        groups=(Group(id=GROUP, label="texts"),),
        comparisons=(),
        scored=TEXT,
        random_factors=("template",),
        covariate=None,
        covariate_group=None,
        items=tuple(map(_item, sentences)),
        sha256=hashlib.sha256(data).hexdigest(),
        source=source,
    )


class _Reader:
    """Takes a file apart, line by line, with its name at hand for messages.

    Attributes:
        told: what its lines with a hash say of the set, by field of ``ProbeSet``.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self.told: dict[str, Any] = {}
        self._topic = ""
        self._seen: dict[str, int] = {}

    def sentences(self, text: str) -> Iterator[_Sentence]:
        """Yield the sentences, and keep what the other lines say."""
        # not splitlines, which also parts at characters that no editor counts as the end of a line
        for line, raw in enumerate(text.split("\n"), start=1):
            said = raw.strip()
            if match := _KEY.match(said):
                self._keep(line, match[1], " ".join((match[2] or "").split()))
            elif said and not said.startswith("#"):
                odd = next((character for character in said if category(character) == "Cc"), None)
                if odd:
                    raise self._failed(line, f"U+{ord(odd):04X} cannot stand in a sentence")
                first = self._seen.setdefault(said, line)
                if first != line:
                    raise self._failed(line, f"the sentence of line {first} stands here again", hint=None)
                yield _Sentence(line=line, text=said, topic=self._topic)

    def _keep(self, line: int, key: str, value: str) -> None:
        if key not in KEYS:
            raise self._failed(line, f"unknown key '{key}'.{nearest(key, KEYS)}", hint=f"{_HINT}. {_COMMENT}")
        if not value:
            raise self._failed(line, f"the key '{key}' has no value")
        if key == _TOPIC:
            self._topic = value
            return
        if self._seen:
            raise self._failed(line, f"the key '{key}' stands after the first sentence")
        if key in _OFTEN:
            self.told[_OFTEN[key]] = (*self.told.get(_OFTEN[key], ()), value)
            return
        if key in self.told:
            raise self._failed(line, f"the key '{key}' stands twice", hint=None)
        pattern, expected = _FORMS.get(key, (None, ""))
        if pattern is not None and not pattern.fullmatch(value):
            raise self._failed(line, f"the {key} is '{value}'; expected {expected}", hint=None)
        self.told[key] = int(value) if key == "version" else value

    def _failed(self, line: int, message: str, hint: str | None = _HINT) -> ProbeFileError:
        return ProbeFileError(message, file=self.file, line=line, hint=hint)


def _item(sentence: _Sentence) -> Item:
    name = f"line {sentence.line}"
    return Item(
        id=name,
        template=name,
        lexeme="",
        category=sentence.topic,
        directions=(),
        valence=0,
        covariate=None,
        variants=(Variant(group=GROUP, text=sentence.text, span=(0, len(sentence.text))),),
    )


def _default(file: str, sentences: int) -> dict[str, Any]:
    """Return what a reader is told of a file that says nothing of itself."""
    stem = file.rpartition(".")[0] or file
    return {
        "name": re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-") or "texts",
        "version": 1,
        "title": f"{stem}: sentences",
        "summary": f"How well does the model predict the {sentences:,} sentences of this file? A model that loses "
        "its bias together with its language has gained nothing.",
        "measures": "how well a language model predicts text of this kind",
        # what is not known has a code of its own in BCP 47
        "language": "und",
        "licence": "not stated by the file",
        "sources": (f"{file}, a file of the person who ran the audit",),
        "criticism": ("The sentences are those of the file; nobody has reviewed them for this report.",),
        "cannot_show": (
            "Anything about people or groups: it stands beside the findings, and is none.",
            "How the model does on text of another kind than that of the file.",
        ),
    }
