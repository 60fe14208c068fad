"""A file that is one JSON document: every error names the file, the path within it and the character.

Such files are often a single line, so that a line number would tell nothing. A path reads
``data.intrasentence[3].sentences[1].gold_label``, with places in lists counted from 0 as in programs; lines and
characters are counted from 1 as in editors, without the byte order mark.
"""

import hashlib
import json
import math
import re
import sys
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairprint.probes.errors import ProbeFileError, nearest
from fairprint.probes.notations import read_utf8

Key = str | int
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)
_PLAIN = re.compile(r"[^\W\d][\w-]*")
_DEEPEST = 100
"""Levels that a document may have where Python's own reader gives up."""
_LONGEST_TOLD = 60
_KINDS: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A whole file.

    Attributes:
        file: path as it was given, for messages.
        text: the content, to find the place of an error in.
        sha256: hash of the file's bytes.
        value: the content as Python values.
        unread: how often each key was met that the reader does not know (``Node.only``).
    """

    file: str
    text: str
    sha256: str
    value: Any
    unread: Counter[str] = field(default_factory=Counter)

    @property
    def root(self) -> "Node":
        """The outermost value."""
        return Node(document=self, path=(), value=self.value)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of the results must know of how the file was read."""
        told = ", ".join(f"{_short(key)} ({count:,})" for key, count in self.unread.items())
        return (f"keys that were not read: {told}",) if told else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A value of a document, which knows where it stands.

    The methods that take ``keys`` speak of the value that these lead to, or of the node itself where none are given:
    ``entry.text("gold_label")``, ``prompt.text()``.

    Attributes:
        path: keys and places in lists that lead to it.
    """

    document: Document
    path: tuple[Key, ...]
    value: Any

    @property
    def where(self) -> str:
        """The path as it is written, such as ``data.intrasentence[3]``; an id for entries that have none."""
        return path_name(self.path)

    @property
    def offset(self) -> int:
        """Character at which the value begins, counted from 1; the file is searched for it."""
        return next((at for at, path in _values(self.document.text) if path == [*self.path]), 0) + 1

    def error(self, message: str, *, hint: str | None = None) -> ProbeFileError:
        """Return an error that names the place of this value."""
        at = self.offset
        line = self.document.text.count("\n", 0, at - 1) + 1
        place = f"{self.where} (character {at})" if self.path else f"character {at}"
        return ProbeFileError(f"{place}: {message}", file=self.document.file, line=line, hint=hint)

    def find(self, key: str) -> "Node | None":
        """Return the value of a key, or None where the object does not have it.

        Raises:
            ProbeFileError: this is no object.
        """
        if not isinstance(self.value, dict):
            raise self._expected("an object")
        if key not in self.value:
            return None
        return Node(document=self.document, path=(*self.path, key), value=self.value[key])

    def at(self, *keys: str) -> "Node":
        """Return the value that keys lead to.

        Raises:
            ProbeFileError: a key is missing; the message tells the object that lacks it and its nearest key.
        """
        node = self
        for key in keys:
            child = node.find(key)
            if child is None:
                has = [_short(found) for found in node.value]
                told = f"keys here: {', '.join(has[:12])}{' ...' if len(has) > 12 else ''}" if has else "it has no keys"
                raise node.error(f"the key '{key}' is missing.{nearest(key, has)}", hint=told)
            node = child
        return node

    def text(self, *keys: str, empty: bool = False) -> str:
        """Return a text as it stands.

        Args:
            keys: what leads to it.
            empty: whether it may be empty or blank.

        Raises:
            ProbeFileError: it is missing, is no text, or is empty where it may not be.
        """
        node = self.at(*keys)
        if not isinstance(node.value, str):
            raise node._expected("a text")
        if not empty and not node.value.strip():
            raise node.error("the text is empty")
        return node.value

    def integer(self, *keys: str) -> int:
        """Return a whole number.

        Raises:
            ProbeFileError: it is missing or is no whole number.
        """
        node = self.at(*keys)
        if isinstance(node.value, bool) or not isinstance(node.value, int):
            raise node._expected("a whole number")
        return node.value

    def number(self, *keys: str) -> float:
        """Return a number.

        Raises:
            ProbeFileError: it is missing, is no number, or too large for one.
        """
        node = self.at(*keys)
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise node._expected("a number")
        try:
            number = float(node.value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise node.error("the number is too large")
        return number

    def choice(self, *keys: str, among: Collection[str]) -> str:
        """Return a text that must be one of some.

        Raises:
            ProbeFileError: it is missing, or is another; the message tells the nearest.
        """
        node = self.at(*keys)
        found = node.text()
        if found not in among:
            raise node.error(f"found '{_short(found)}'.{nearest(found, among)}", hint=f"expected: {', '.join(among)}")
        return found

    def entries(self, *keys: str) -> tuple["Node", ...]:
        """Return the entries of a list.

        Raises:
            ProbeFileError: it is missing or is no list.
        """
        node = self.at(*keys)
        if not isinstance(node.value, list):
            raise node._expected("a list")
        return tuple(
            Node(document=self.document, path=(*node.path, place), value=entry)
            for place, entry in enumerate(node.value)
        )

    def members(self, *keys: str) -> tuple[tuple[str, "Node"], ...]:
        """Return the keys of an object and their values, for objects whose keys are data.

        Raises:
            ProbeFileError: it is missing or is no object.
        """
        node = self.at(*keys)
        if not isinstance(node.value, dict):
            raise node._expected("an object")
        return tuple(
            (key, Node(document=self.document, path=(*node.path, key), value=entry))
            for key, entry in node.value.items()
        )

    def only(self, *known: str) -> None:
        """Count the keys of this object that a reader does not know, for the remarks of the document."""
        self.document.unread.update(key for key, _ in self.members() if key not in known)

    def _expected(self, what: str) -> ProbeFileError:
        found = _KINDS[type(self.value)]
        if isinstance(self.value, str | int | float) and not isinstance(self.value, bool):
            found += f", {_short(json.dumps(self.value, ensure_ascii=False))}"
        return self.error(f"expected {what}, found {found}")


def read_json(path: Path) -> Document:
    """Read a file that is one JSON document.

    Raises:
        ProbeFileError: it cannot be read, is not UTF-8 or no valid JSON, has a key twice, holds NaN or half a character
            (a lone surrogate), or is nested too deeply.
    """
    file = str(path)
    data, text = read_utf8(path)
    if not text.strip():
        raise ProbeFileError("the file is empty", file=file, line=1)
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        message = f"character {error.pos + 1}: not valid JSON: {error.msg}"
        raise ProbeFileError(message, file=file, line=error.lineno) from None
    except (ValueError, RecursionError):
        raise _fault(file, text) from None
    if "\\ud" in text or "\\uD" in text:
        _check_surrogates(file, text)
    return Document(file=file, text=text, sha256=hashlib.sha256(data).hexdigest(), value=value)


def path_name(path: Collection[Key]) -> str:
    """Return a path as it is written.

    >>> path_name(("data", "intrasentence", 3, "gold_label")), path_name(("Left wing", 0))
    ('data.intrasentence[3].gold_label', '["Left wing"][0]')
    """
    parts = []
    for key in path:
        if isinstance(key, str) and _PLAIN.fullmatch(key):
            parts.append(f".{key}")
        else:
            # half a character could not be printed
            parts.append(f"[{json.dumps(key, ensure_ascii=isinstance(key, str) and not _whole(key))}]")
    return "".join(parts).removeprefix(".")


def _whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_TOLD else f"{text[:_LONGEST_TOLD]}..."


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _tokens(text: str) -> Iterator[tuple[re.Match[str], list[Any], bool]]:
    """Yield the keys and the values of a document that is valid up to the place that is looked for.

    With each comes the path to it, which is one list that changes as the walk goes on, and whether it is a key.
    """
    path: list[Any] = []
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in "]}":
            path[-1:] = []
        elif token == ",":
            if not path:
                return
            path[-1] = path[-1] + 1 if isinstance(path[-1], int) else None
        elif token != ":":
            key = bool(path) and path[-1] is None and token[0] == '"'
            if key:
                path[-1] = json.loads(token, strict=False)
            yield match, path, key
            if token in "{[":
                path.append(None if token == "{" else 0)


def _values(text: str) -> Iterator[tuple[int, list[Any]]]:
    return ((match.start(), path) for match, path, key in _tokens(text) if not key)


def _fault(file: str, text: str) -> ProbeFileError:
    """Return what is wrong with a document that is JSON by its grammar, and where."""
    seen: dict[tuple[Key, ...], int] = {}

    def placed(match: re.Match[str], message: str) -> ProbeFileError:
        line = text.count("\n", 0, match.start()) + 1
        return ProbeFileError(f"character {match.start() + 1}: {message}", file=file, line=line)

    for match, path, key in _tokens(text):
        if len(path) > _DEEPEST:
            return placed(match, f"nested more than {_DEEPEST} levels deep")
        if key:
            where = tuple(path)
            if where in seen:
                return placed(match, f"the key {path_name(where)} stands twice; first at character {seen[where]}")
            seen[where] = match.start() + 1
        elif match[0] in ("NaN", "Infinity", "-Infinity"):
            return placed(match, f"{path_name(path)}: {match[0]} is no number")
        elif match[0].lstrip("-").isdecimal() and len(match[0]) > sys.get_int_max_str_digits():
            return placed(match, f"{path_name(path)}: a number of {len(match[0]):,} digits")
    return ProbeFileError("not valid JSON", file=file)


def _check_surrogates(file: str, text: str) -> None:
    for match, path, _ in _tokens(text):
        if match[0][0] == '"' and "\\" in match[0] and not _whole(json.loads(match[0])):
            line = text.count("\n", 0, match.start()) + 1
            place = f"{path_name(path)} (character {match.start() + 1})"
            raise ProbeFileError(f"{place}: half a character (a lone surrogate)", file=file, line=line)
