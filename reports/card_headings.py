"""Where the headings of a card's body are: by markdown-it-py's line map, so that code and comments do not count."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from fairprint.reports.card_sentinels import lines_of

PLACEHOLDER = re.compile(r"\[more information needed\]", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """One heading.

    Attributes:
        title: its text as ``plain`` returns it.
        level: 1 to 6.
        start: where its first line begins, as an index of the text.
        end: where the line after it begins.
    """

    title: str
    level: int
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What a parser sees of a text.

    Attributes:
        headings: those that are in no list, quotation, code or comment, in order.
        placeholders: where a paragraph says only ``[More Information Needed]``: from where to where.
        code: lines within code, counted from 0.
        comments: lines at which HTML begins, counted from 0.
        blocks: where each block that is in no other begins, as indices of the text, in order.
    """

    headings: Sequence[Heading]
    placeholders: Sequence[tuple[int, int]]
    code: frozenset[int]
    comments: frozenset[int]
    blocks: Sequence[int]


def plain(title: str) -> str:
    """Return a title as titles are compared: without case, punctuation, emoji, or "[optional]".

    >>> plain("⚠️ Bias, Risks & Limitations [optional]:") == plain("bias, risks, and limitations")
    True
    """
    title = title.casefold().replace("[optional]", " ").replace("&", " and ")
    return " ".join(re.sub(r"[\W_]+", " ", title).split())


def layout(text: str) -> Layout:
    """Return where things are in a text."""
    from markdown_it import MarkdownIt

    lines = [(start, after) for start, _, after in lines_of(text)]
    starts = [start for start, _ in lines] + [len(text)]
    headings, placeholders, blocks = [], [], []
    code: set[int] = set()
    comments: set[int] = set()
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    for token, following in zip(tokens, [*tokens[1:], None], strict=False):
        if token.map is None or token.nesting < 0:
            continue
        first, last = token.map
        if token.type in ("fence", "code_block"):
            code.update(range(first, last))
        if token.level or token.type == "inline":
            continue
        blocks.append(starts[first])
        if token.type == "html_block":
            comments.add(first)
        elif token.type == "heading_open" and following is not None:
            words = "".join(part.content for part in following.children or () if part.type in ("text", "code_inline"))
            heading = Heading(title=plain(words), level=int(token.tag[1:]), start=starts[first], end=starts[last])
            headings.append(heading)
        elif token.type == "paragraph_open" and last == first + 1:
            line = text[starts[first] : starts[last]]
            if (found := PLACEHOLDER.fullmatch(line.strip())) is not None:
                begin = starts[first] + len(line) - len(line.lstrip())
                placeholders.append((begin, begin + len(found[0])))
    return Layout(
        headings=headings, placeholders=placeholders, code=frozenset(code), comments=frozenset(comments), blocks=blocks
    )


@cache
def template_order() -> dict[str, int]:
    """Return the rank of each section of the Hub's template of a model card, by its title as ``plain`` returns it."""
    titles = [heading.title for heading in layout(template_text()).headings if heading.level == 2]
    return {title: rank for rank, title in enumerate(titles)}


def template_text() -> str:
    """Return the Hub's template as the installed huggingface_hub has it."""
    from importlib.resources import files

    return files("huggingface_hub").joinpath("templates/modelcard_template.md").read_text(encoding="utf-8")


def shifted(markdown: str, by: int) -> str:
    """Return a text whose headings are moved down by some levels, or up where ``by`` is below 0, within 1 to 6."""
    if by == 0:
        return markdown
    for heading in reversed(layout(markdown).headings):
        line = markdown[heading.start : heading.end]
        if (found := re.match(r" {0,3}(#{1,6})(?=\s)", line)) is not None:
            level = min(6, max(1, heading.level + by))
            markdown = markdown[: heading.start] + "#" * level + line[found.end() :] + markdown[heading.end :]
    return markdown


def closed(markdown: str) -> bool:
    r"""Tell whether a text ends what it begins: no fence of code and no HTML comment is left open.

    >>> closed("a list\n\n- one"), closed("```\ncode"), closed("<!-- hidden")
    (True, False, False)
    """
    probe = "fairprint-probe"
    blocks = layout(f"{markdown}\n\n# {probe}\n").headings
    return bool(blocks) and blocks[-1].title == plain(probe)
