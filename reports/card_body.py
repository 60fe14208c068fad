"""Splicing into a card's body: sections go below the headings they belong to, and headings are made where none is.

Each part stands between two HTML comments. What was put outside of them, blank lines that keep it apart from its
neighbours, is counted in the first comment (``before``, ``after``), and a placeholder that it stands instead of is
quoted there (``instead``), so that taking the part out leaves the bytes that were there.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairprint.probes.errors import CardError
from fairprint.reports.card_headings import Heading, Layout, closed, layout, plain, shifted, template_order
from fairprint.reports.card_parts import Section, SectionKey
from fairprint.reports.card_sentinels import EOL, IN_BODY, Block, Removed, blocks_in, lines_of, refuse_edits

_BLANK = re.compile(r"[ \t]*(?:\r\n|\r|\n)")
_MADE_HEADING = re.compile(r"\s*(#{1,6}[ \t][^\r\n]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One heading of the Hub's template that fairprint writes below."""

    key: str
    title: str
    level: int


PIECES: Mapping[SectionKey, tuple[Piece, ...]] = {
    "bias": (Piece(key="bias", title="Bias, Risks, and Limitations", level=2),),
    "recommendations": (Piece(key="recommendations", title="Recommendations", level=3),),
    "evaluation": (
        Piece(key="evaluation", title="Evaluation", level=2),
        Piece(key="testing", title="Testing Data, Factors & Metrics", level=3),
        Piece(key="testing-data", title="Testing Data", level=4),
        Piece(key="factors", title="Factors", level=4),
        Piece(key="metrics", title="Metrics", level=4),
        Piece(key="results", title="Results", level=3),
        Piece(key="summary", title="Summary", level=4),
    ),
    "environment": (Piece(key="environment", title="Environmental Impact", level=2),),
}
_BIAS = PIECES["bias"][0]


def body_blocks(body: str, path: str, first_line: int) -> list[Block]:
    """Return fairprint's parts of a body.

    Raises:
        CardError: a mark has no partner.
    """
    if "fairprint:" not in body:
        return []
    return blocks_in(body, IN_BODY, path=path, first_line=first_line, skip=layout(body).code)


# taking out


def strip_body(body: str, *, path: str, first_line: int, force: bool) -> tuple[str, dict[str, Removed]]:
    """Take fairprint's parts out of a body.

    Returns:
        the body without them, and where each of them stood.

    Raises:
        CardError: a mark has no partner, or a part was edited by hand and force is not given.
    """
    blocks = body_blocks(body, path, first_line)
    refuse_edits(blocks, path=path, force=force)
    removed: dict[str, Removed] = {}
    for block in reversed(blocks):
        left, kept, right = _without(body, block)
        by = len(left) + len(kept) + len(right) - len(body)
        least = len(left) + len(kept)  # a part may have stood before a blank line of this one
        removed = {
            key: Removed(offset=max(least, old.offset + by), restored=old.restored) for key, old in removed.items()
        }
        removed[block.key] = Removed(offset=len(left), restored=bool(kept))
        body = left + kept + right
    return body, removed


def _without(body: str, block: Block) -> tuple[str, str, str]:
    """Return what stands before a part, what comes back in its place, and what stands after it."""
    left, right = body[: block.start], body[block.end :]
    if (instead := block.attributes.get("instead")) is not None:
        return left, instead, right
    before, after = (_count(block.attributes.get(name)) for name in ("before", "after"))
    for _ in range(after):
        right = right.removeprefix(block.eol)
    if block.attributes.get("heading") == "made" and (heading := _MADE_HEADING.match(block.inner)) is not None:
        following = layout(right)
        if following.blocks and (not following.headings or following.headings[0].start != following.blocks[0]):
            return left, f"{heading[1]}{block.eol * 2}", right  # somebody wrote below our heading, and keeps it
    ours = block.eol * before
    cut = left.removesuffix(ours)
    if cut and right and not cut.endswith(("\r", "\n")):
        return left, "", right  # somebody wrote below: the two must not become one line
    return cut, "", right


def _count(text: str | None) -> int:
    return min(int(text), 2) if text is not None and text.isdecimal() else 0


# putting in


@dataclass(slots=True, kw_only=True)
class _Put:
    """A part on its way into the body: the template's section, its text, and the heading of others above it."""

    key: str
    section: str
    texts: list[str]
    below: Heading | None = None
    adds_headings: bool = False

    @property
    def text(self) -> str:
        return "\n\n".join(text for text in self.texts if text)


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """A body, with the headings of others and those that parts of ours made."""

    body: str
    seen: Layout
    headings: Sequence[Heading]
    marks: Sequence[Heading]
    edges: Mapping[int, int]
    """Where the blank lines before a made heading begin, by where its part begins."""

    @property
    def bias(self) -> Heading | None:
        """The section that recommendations belong to, whoever made it."""
        return min((mark for mark in self.marks if mark.title == plain(_BIAS.title)), key=_level, default=None)

    def find(self, titles: set[str], low: int = 0, high: int | None = None) -> Heading | None:
        """Return the heading of others with one of some titles: the first of the highest."""
        high = len(self.body) if high is None else high
        found = (one for one in self.headings if low <= one.start < high and one.title in titles)
        return min(found, key=_level, default=None)

    def stop(self, heading: Heading, level: int = 6) -> int:
        """Return where the next heading begins that is of this level or above."""
        after = (self.edge(mark) for mark in self.marks if mark.start > heading.start and mark.level <= level)
        return next(after, len(self.body))

    def edge(self, mark: Heading) -> int:
        """Return where a heading begins, with the blank lines that were put before it."""
        return self.edges.get(mark.start, mark.start)


def _level(heading: Heading) -> int:
    return heading.level


def _view(body: str, path: str, first_line: int) -> _View:
    seen = layout(body)
    ours = blocks_in(body, IN_BODY, path=path, first_line=first_line, skip=seen.code)
    inside = [range(block.start, block.end) for block in ours]
    headings = [one for one in seen.headings if not any(one.start in span for span in inside)]
    made, edges = [], {}
    for block in ours:
        if block.attributes.get("heading") == "made" and (found := _MADE_HEADING.match(block.inner)) is not None:
            marks, _, title = found[1].partition(" ")
            end = block.end + len(block.eol) if body.startswith(block.eol, block.end) else block.end
            made.append(Heading(title=plain(title), level=len(marks), start=block.start, end=end))
            gap = block.eol * _count(block.attributes.get("before"))
            edges[block.start] = block.start - (len(gap) if body.endswith(gap, 0, block.start) else 0)
    marks = sorted([*headings, *made], key=lambda one: one.start)
    return _View(body=body, seen=seen, headings=headings, marks=marks, edges=edges)


def insert_body(
    body: str, sections: Sequence[Section], before: Mapping[str, Removed], *, path: str, first_line: int, eol: str
) -> str:
    """Put sections into a body that has none of fairprint's parts.

    Args:
        body: what ``strip_body`` left.
        sections: what to put in.
        before: where the parts stood before, as ``strip_body`` returns it.
        path: the card, for messages.
        first_line: the number of the body's first line in the card.
        eol: how lines end.

    Raises:
        CardError: the place of a part lies in code or in a comment that nothing closes.
        ValueError: the text of a section leaves code or a comment open.
    """
    spots = {key: removed.offset for key, removed in before.items()}
    given = {section.key: section for section in sections}
    expected = 0
    for key in PIECES:
        if key not in given:
            continue
        view = _view(body, path, first_line)
        puts = _puts(view, given[key], "bias" in given)
        for put in reversed(puts):
            start, stop, text = _placed(view, put, spots.get(put.key), eol)
            body = body[:start] + text + body[stop:]
            spots = {name: at + (len(text) - (stop - start) if at >= start else 0) for name, at in spots.items()}
        expected += len(puts)
    _seen_as_comments(body, expected, path, first_line)
    return body


def _puts(view: _View, section: Section, bias_given: bool) -> list[_Put]:
    """Return the parts of a section: one for each heading that the card has, in order; else one with a heading."""
    pieces = _split(section)
    first = pieces[0][0]
    titles = {plain(first.title), plain(section.title)}
    top = None
    if section.key == "recommendations":
        bias = view.find({plain(_BIAS.title)})
        top = view.find(titles, bias.start, view.stop(bias, bias.level)) if bias is not None else None
    top = top or view.find(titles)
    if top is None:
        return [_made(view, section, bias_given)]
    end = view.stop(top, top.level)
    puts: list[_Put] = []
    anchors = [top, *(view.find({plain(piece.title)}, top.end, end) for piece, _ in pieces[1:])]
    for number, ((piece, text), anchor) in enumerate(zip(pieces, anchors, strict=True)):
        if anchor is not None:
            by = anchor.level - piece.level
            puts.append(_Put(key=piece.key, section=first.title, texts=[shifted(text, by)], below=anchor))
        elif text or (number + 1 < len(pieces) and anchors[number + 1] is None):
            into = puts[-1]
            base = next(one for one, at in zip(pieces, anchors, strict=True) if at is into.below)[0]
            by = (into.below.level if into.below is not None else base.level) - base.level
            into.texts.append(shifted(f"{'#' * piece.level} {piece.title}\n\n{text}".rstrip("\n"), by))
            into.adds_headings = True
    puts = [put for put in puts if put.text]
    return sorted(puts, key=lambda put: put.below.start if put.below is not None else 0)


def _split(section: Section) -> list[tuple[Piece, str]]:
    """Return a section's text by the template's headings in it; the first is the section itself."""
    markdown = _text_of(section)
    known = {plain(piece.title): piece for piece in PIECES[section.key][1:]}
    found = [(known[one.title], one) for one in layout(markdown).headings if one.title in known]
    starts = [one.start for _, one in found] + [len(markdown)]
    split = [(PIECES[section.key][0], markdown[: starts[0]].strip("\n"))]
    for (piece, heading), stop in zip(found, starts[1:], strict=True):
        split.append((piece, markdown[heading.end : stop].strip("\n")))
    return split


def _text_of(section: Section) -> str:
    markdown = EOL.sub("\n", section.markdown).strip("\n").replace("<!-- fairprint:", "&lt;!-- fairprint:")
    if not closed(markdown):
        raise ValueError(f"the text of '{section.key}' leaves code or a comment open")
    return markdown


def _made(view: _View, section: Section, bias_given: bool) -> _Put:
    """Return a part with a heading of its own, at the level that the card's sections have."""
    piece = PIECES[section.key][0]
    level = min(4, next((mark.level for mark in view.marks if mark.title in template_order()), 2))
    above = []
    if section.key == "recommendations":
        bias = view.bias
        level = min(6, (bias.level if bias is not None else level) + 1)
        above = [] if bias is not None or bias_given else [f"{'#' * (level - 1)} {_BIAS.title}"]
    text = shifted(_text_of(section), level - piece.level)
    parent = _BIAS if section.key == "recommendations" else piece
    return _Put(key=piece.key, section=parent.title, texts=[*above, f"{'#' * level} {section.title}", text])


def _placed(view: _View, put: _Put, known: int | None, eol: str) -> tuple[int, int, str]:
    """Return from where to where the body is replaced, and by what."""
    if put.below is not None:
        low, high = put.below.end, view.stop(put.below)
        for start, stop in view.seen.placeholders:
            alone = not (put.adds_headings and view.body[stop:high].strip())
            if low <= start < high and alone:
                return start, stop, _block(put, eol, {"instead": view.body[start:stop]})
        at = known if known is not None and low <= known <= high else _end(view.body, low, high)
        attributes: dict[str, str | int] = {}
    else:
        at = known if known is not None and _between(view, known) else _section_spot(view, put)
        attributes = {"heading": "made"}
    before, after = _gaps(view.body, at)
    attributes |= {"before": before, "after": after}
    return at, at, eol * before + _block(put, eol, attributes) + eol * after


def _block(put: _Put, eol: str, attributes: Mapping[str, str | int]) -> str:
    inner = eol + eol.join(put.text.split("\n")) + eol * 2
    return f"{IN_BODY.first(put.key, inner, attributes)}{eol}{inner}{IN_BODY.last(put.key)}"


def _end(body: str, low: int, high: int) -> int:
    """Return where a text ends, behind one blank line if there is one."""
    low = min(low, high)  # a heading at the end of a text has an end of line only since a part stands behind it
    at = low + len(body[low:high].rstrip())
    if at > low:
        found = EOL.search(body, at)
        at = min(found.end(), high) if found else high
    blank = _BLANK.match(body, at, high)
    return blank.end() if blank else at


def _gaps(body: str, at: int) -> tuple[int, int]:
    """Return how many ends of line go before a part, and how many after, so that blank lines part it from others."""
    last = [body[start:end] for start, end, _ in lines_of(body[:at])][-1:]
    if not last:
        before = 0
    elif not body.endswith(("\r", "\n"), 0, at):
        before = 2
    else:
        before = 1 if last[0].strip(" \t") else 0
    return before, 1 if at == len(body) or _BLANK.match(body, at) else 2


def _between(view: _View, at: int) -> bool:
    """Tell whether a place is right before a heading, or at the end."""
    following = next((start for start in view.seen.blocks if start >= at), None)
    if view.body[at:].strip() == "":
        return True
    return following is not None and any(mark.start == following for mark in view.marks)


def _section_spot(view: _View, put: _Put) -> int:
    """Return where a new section goes: behind the nearest of those before it in the template, or before a later one."""
    order, bias = template_order(), view.bias
    if put.key == "recommendations" and bias is not None:
        return _end(view.body, bias.end, view.stop(bias))
    rank = order.get(plain(put.section), len(order))
    ranked: list[tuple[float, Heading]] = [(order[mark.title], mark) for mark in view.marks if mark.title in order]
    # recommendations of ours belong to the section before them, also where no level is left below its own
    made = {plain(PIECES["recommendations"][0].title)}
    after_bias = order.get(plain(_BIAS.title), 0) + 0.5
    ranked += [(after_bias, mark) for mark in view.marks if mark.start in view.edges and mark.title in made]
    earlier = [one for one in ranked if one[0] < rank]
    if earlier:
        nearest = max(earlier, key=lambda one: one[0])[1]
        return _end(view.body, nearest.end, view.stop(nearest, nearest.level))
    later = min((view.edge(mark) for place, mark in ranked if place > rank), default=None)
    return later if later is not None else _end(view.body, 0, len(view.body))


def _seen_as_comments(body: str, expected: int, path: str, first_line: int) -> None:
    seen = layout(body)
    blocks = blocks_in(body, IN_BODY, path=path, first_line=first_line, skip=seen.code)
    hidden = [block.line for block in blocks if block.line - first_line not in seen.comments]
    if hidden or len(blocks) < expected:
        raise CardError(
            "the place of a section lies in code or in a comment that nothing closes", file=path,
            line=hidden[0] if hidden else None, hint="close the fence (```) or the comment (-->) above it",
        )  # fmt: skip
