"""The marks around what fairprint wrote into a card: where each part begins and ends, and whether a hand changed it.

In front matter they are comments (``# fairprint:begin KEY schema=1 sha256=…``), in the body HTML comments
(``<!-- fairprint:begin KEY schema=1 sha256=… -->``). The digest is that of the lines between the two marks, with every
end of line counted as LF, so that a checkout with other ends of lines is no edit.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from fairprint.probes.errors import CardError

SCHEMA = 1
EOL = re.compile(r"\r\n|\r|\n")
_ATTRIBUTE = re.compile(r'([\w-]+)=("(?:[^"\\]|\\.)*"|[^\s"]+)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Syntax:
    """How one part of a card writes comments."""

    begin: str
    end: str
    pattern: re.Pattern[str]

    def first(self, key: str, inner: str, attributes: Mapping[str, str | int]) -> str:
        """Return the mark before the lines ``inner``."""
        said = {"schema": SCHEMA, "sha256": digest(inner), **attributes}
        words = " ".join(f"{name}={_written(value)}" for name, value in said.items())
        return f"{self.begin}fairprint:begin {key} {words}{self.end}"

    def last(self, key: str) -> str:
        """Return the mark after them."""
        return f"{self.begin}fairprint:end {key}{self.end}"


IN_YAML = Syntax(
    begin="# ", end="", pattern=re.compile(r"[ \t]*(#[ \t]*fairprint:(begin|end)(?:[ \t]+([^\r\n]*?))?)[ \t]*\Z")
)
IN_BODY = Syntax(
    begin="<!-- ",
    end=" -->",
    pattern=re.compile(r" {0,3}(<!--[ \t]*fairprint:(begin|end)(?:[ \t]+([^\r\n]*?))?[ \t]*-->)[ \t]*\Z"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One part that fairprint wrote.

    Attributes:
        key: which part.
        start: where its first mark begins, as an index of the text.
        end: behind its last mark, before the end of that line.
        inner: the lines between the marks, with their ends.
        attributes: what the first mark says besides.
        eol: the end of the first mark's line.
        line: the line of the first mark, counted from 1 in the file.
    """

    key: str
    start: int
    end: int
    inner: str
    attributes: Mapping[str, str]
    eol: str
    line: int

    @property
    def hand_edited(self) -> bool:
        """Whether the lines are others than fairprint wrote."""
        return self.attributes.get("sha256") != digest(self.inner)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What is remembered of a part that was taken out: where it stood in the text without it.

    Attributes:
        offset: an index of the text from which all parts were taken out.
        restored: whether lines of others came back in its place.
        made: whether it says that fairprint made the front matter around it.
    """

    offset: int
    restored: bool
    made: bool = False


def digest(inner: str) -> str:
    r"""Return the SHA-256 of lines, whatever their ends are.

    >>> digest("a\r\nb\r\n") == digest("a\nb\n")
    True
    """
    return hashlib.sha256(EOL.sub("\n", inner).encode("utf-8", "surrogatepass")).hexdigest()


def _written(value: str | int) -> str:
    return json.dumps(value) if isinstance(value, str) and not re.fullmatch(r"[\w.:-]+", value) else str(value)


def lines_of(text: str) -> Iterator[tuple[int, int, int]]:
    r"""Yield where each line begins, where its text ends, and where its end of line ends.

    CR, LF and CRLF alone end a line, as in Markdown: str.splitlines sees more.

    >>> list(lines_of("a\r\nb"))
    [(0, 1, 3), (3, 4, 4)]
    """
    start = 0
    for found in EOL.finditer(text):
        yield start, found.start(), found.end()
        start = found.end()
    if start < len(text):
        yield start, len(text), len(text)


def blocks_in(text: str, syntax: Syntax, *, path: str, first_line: int, skip: Collection[int] = ()) -> list[Block]:
    """Return the parts that fairprint wrote, in the order of the text.

    Args:
        text: front matter or body.
        syntax: how that writes comments.
        path: the card, for messages.
        first_line: the number of the text's first line in the card.
        skip: lines of the text, counted from 0, that are no comments: those of code.

    Raises:
        CardError: a mark has no partner, a part lies inside another or stands twice, or a newer fairprint wrote it.
    """
    found: list[Block] = []
    opened: tuple[str, int, int, str, dict[str, str], int] | None = None
    for number, (start, end, after) in enumerate(lines_of(text)):
        mark = syntax.pattern.match(text[start:end]) if number not in skip else None
        if mark is None:
            continue
        line = first_line + number
        key, _, rest = (mark[3] or "").partition(" ")
        if mark[2] == "begin":
            if opened is not None:
                raise _unpaired(path, line, f"the part '{key}' begins inside '{opened[0]}' (line {opened[5]})")
            opened = (key, start + mark.start(1), after, text[end:after], _attributes(rest), line)
        elif opened is None:
            raise _unpaired(path, line, f"the part '{key}' ends here and begins nowhere")
        elif opened[0] != key:
            raise _unpaired(path, line, f"the part '{key}' ends here, but '{opened[0]}' (line {opened[5]}) is open")
        else:
            block = Block(
                key=key, start=opened[1], end=start + mark.end(1), inner=text[opened[2] : start],
                attributes=opened[4], eol=opened[3], line=opened[5],
            )  # fmt: skip
            _sound(block, found, path)
            found.append(block)
            opened = None
    if opened is not None:
        raise _unpaired(path, opened[5], f"the part '{opened[0]}' begins here and ends nowhere")
    return found


def _attributes(words: str) -> dict[str, str]:
    said = {}
    for name, value in _ATTRIBUTE.findall(words):
        try:
            said[name] = json.loads(value) if value.startswith('"') else value
        except ValueError:
            continue
    return said


def _unpaired(path: str, line: int, what: str) -> CardError:
    return CardError(
        what, file=path, line=line, hint="each 'fairprint:begin NAME' needs its 'fairprint:end NAME': put the missing "
        "line back (from version control), or delete the part with both of its marks and run again",
    )  # fmt: skip


def _sound(block: Block, before: list[Block], path: str) -> None:
    twin = next((other for other in before if other.key == block.key), None)
    if twin is not None:
        message = f"the part '{block.key}' stands twice; first in line {twin.line}"
        raise CardError(message, file=path, line=block.line, hint="delete one of the two with both of its marks")
    schema = block.attributes.get("schema", "")
    if schema != str(SCHEMA):
        message = f"the part '{block.key}' says schema={schema or '(nothing)'}, and this fairprint writes {SCHEMA}"
        raise CardError(message, file=path, line=block.line, hint="edit the card with the fairprint that wrote it")


def refuse_edits(blocks: list[Block], *, path: str, force: bool) -> None:
    """Refuse to take out what somebody edited, unless forced.

    Raises:
        CardError: the lines of a part are others than fairprint wrote.
    """
    edited = next((block for block in blocks if block.hand_edited), None)
    if edited is not None and not force:
        raise CardError(
            f"the part '{edited.key}' was edited by hand since fairprint wrote it", file=path, line=edited.line,
            hint="move your words out of the marks fairprint:begin and fairprint:end, or use --force to lose them",
        )  # fmt: skip


def main_eol(text: str) -> str:
    """Return the end of line that a text mostly has: CRLF, or LF, which the Hub reads too where a text has neither."""
    crlf = text.count("\r\n")
    return "\r\n" if crlf > text.count("\n") - crlf else "\n"
