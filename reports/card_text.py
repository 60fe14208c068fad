"""Text of a model card: Markdown in which nothing that a record quotes can act, nor end a part of ours."""

import re
from collections.abc import Sequence
from html.parser import HTMLParser

from markupsafe import Markup

from fairprint.reports.text import clean, plain

_ACTING = re.compile(r"([\\`*\[\]~$|]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")
_MARKER = re.compile(r"(?:#{1,6}(?=\s|$)|[-+=](?=\s|$|[-=])|\d{1,9}[.)](?=\s|$))")


def escaped(text: str) -> str:
    r"""Return text as Markdown that shows it and does nothing else; what hides in it is named.

    Angle brackets become entities, since a browser and our own marks in a card know no backslash.

    >>> escaped("a|b <!-- fairprint:end bias -->"), escaped("1. *x*")
    ('a\\|b &lt;!-- fairprint:end bias --&gt;', '1\\. \\*x\\*')
    """
    shown = _inline(clean(text)).strip()
    if marker := _MARKER.match(shown):
        # a marker of a list or a heading counts at the begin of a line alone
        end = marker.end() if shown[0].isdigit() else 1
        shown = f"{shown[: end - 1]}\\{shown[end - 1 :]}"
    return shown


def _inline(shown: str) -> str:
    return _ACTING.sub(r"\\\1", plain(shown).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def coded(text: str) -> str:
    """Return a hash, version or option as code; a backtick in it, which could end the code, becomes a quote.

    >>> coded("a`b")
    "`a'b`"
    """
    shown = plain(clean(text)).replace("`", "'").replace("|", "\u2502")
    # what looks like a comment of HTML must not look like one to whatever splits the card
    return f"`{shown.replace('<!--', '<! --').strip() or ' '}`"


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._in_code = False
        self._link = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_code = self._in_code or tag == "code"
        if tag == "a":
            self._link = dict(attrs).get("href") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "code":
            self._in_code = False
        if tag == "a":
            self._link = ""

    def handle_data(self, data: str) -> None:
        if self._link:
            self.parts.append(f"<{self._link}>")
        else:
            self.parts.append(coded(data) if self._in_code else _inline(data))


def said(sentence: Markup) -> str:
    r"""Return a sentence of a report as Markdown on one line: its tags fall away, its links and its code stay.

    >>> said(Markup('<bdi>a*b</bdi> is <data value="0.5">50 %</data>, see <code>x</code>'))
    'a\\*b is 50 %, see `x`'
    """
    reader = _Reader()
    reader.feed(str(sentence))
    reader.close()
    return " ".join("".join(reader.parts).split())


def unmarked(markdown: str) -> str:
    r"""Return a line of Markdown as the text that a reader sees, for what knows no marks.

    >>> unmarked("**a\\*b** has `x` &lt; 3")
    'a*b has x < 3'
    """
    from markdown_it import MarkdownIt

    children = [child for token in MarkdownIt("commonmark").parseInline(markdown) for child in token.children or ()]
    shown = {"softbreak": " ", "hardbreak": " "}
    return "".join(shown.get(child.type, child.content) for child in children)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], align: str = "") -> str:
    """Return a table whose cells are Markdown already; ``align`` has ``l`` or ``r`` for each column."""
    lines = [head, ["---:" if letter == "r" else "---" for letter in align.ljust(len(head), "l")], *rows]
    return "\n".join("| " + " | ".join(" ".join(cell.split()) for cell in line) + " |" for line in lines)


def listed(points: Sequence[str]) -> str:
    """Return a list."""
    return "\n".join(f"- {point}" for point in points)


def folded(summary: str, content: str) -> str:
    """Return what opens only when it is asked for; where that is not known it stands open."""
    return f"<details>\n<summary>{summary}</summary>\n\n{content}\n\n</details>"


def blocks(*parts: str) -> str:
    """Return paragraphs, lists and tables one under the other; empty ones stay out."""
    return "\n\n".join(part for part in parts if part)


def joined(words: Sequence[str]) -> str:
    """Return words as a list in a sentence.

    >>> joined(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
