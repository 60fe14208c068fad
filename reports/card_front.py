"""Where the front matter of a card is, and where its keys stand: what PyYAML composes is used for nothing else."""

import re
from dataclasses import dataclass

import yaml

from fairprint.probes.errors import CardError
from fairprint.reports.card_sentinels import EOL

_BLOCK = re.compile(r"\s*---(?:\r\n|\r|\n)")
_CLOSED = re.compile(r"^(\s*---(?:\r\n|\r|\n))([\S\s]*?)((?:\r\n|\r|\n)---[ \t]*(?:\r\n|\n|$))")
"""What the Hub takes for front matter (huggingface_hub.repocard, REGEX_YAML_BLOCK)."""
_EMPTY = re.compile(r"^(\s*---(?:\r\n|\r|\n))()(---[ \t]*(?:\r\n|\n|$))")
"""Front matter without a line, which the Hub does not see; it does as soon as a line stands in it."""
_OPENING = re.compile(r"\s*---[ \t]*(?:\r|\n|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """Where a front matter's YAML begins and stops and where the body begins, as indices of the text."""

    start: int
    stop: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A key of a mapping with its value, and the index behind the line on which the value ends."""

    key: yaml.Node
    value: yaml.Node
    end: int

    @property
    def empty(self) -> bool:
        """Whether the value is nothing: null, or ``[]``."""
        if isinstance(self.value, yaml.SequenceNode):
            return not self.value.value
        return isinstance(self.value, yaml.ScalarNode) and self.value.tag == "tag:yaml.org,2002:null"


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """A front matter and the card that it is of; marks of its nodes are indices of the text."""

    text: str
    path: str

    def error(self, node: yaml.Node, message: str, *, hint: str) -> CardError:
        """Return an error at a node."""
        return CardError(message, file=self.path, line=self.line(node), hint=hint)

    def line(self, node: yaml.Node) -> int:
        """Return the line of the card on which a node begins."""
        return line_of(self.text, node.start_mark.index)

    def line_start(self, node: yaml.Node) -> int:
        """Return where the line begins on which a node begins."""
        index = node.start_mark.index
        return max(self.text.rfind("\n", 0, index), self.text.rfind("\r", 0, index)) + 1

    def line_end(self, node: yaml.Node) -> int:
        """Return the index behind the line on which a node ends."""
        return self.after(node.end_mark.index)

    def after(self, index: int) -> int:
        """Return the index behind the line that an index is in."""
        found = EOL.search(self.text, index)
        return found.end() if found else len(self.text)


def line_of(text: str, index: int) -> int:
    """Return the number of the line that an index is in, counted from 1."""
    return 1 + sum(1 for _ in EOL.finditer(text[:index]))


def located(text: str, path: str) -> Front | None:
    """Return where the front matter of a card is (without its byte order mark), or None where it has none.

    Raises:
        CardError: it begins and does not end.
    """
    found = _EMPTY.match(text) or _CLOSED.match(text)
    if found is None:
        if _OPENING.match(text):
            line = line_of(text, text.index("---"))
            hint = "close the front matter with a line of three dashes; if it is a rule of the text, write *** instead"
            raise CardError("the card begins with --- and nothing closes it", file=path, line=line, hint=hint)
        return None
    stop = found.start(3)
    if found[3][0] in "\r\n":
        stop += 2 if found[3].startswith("\r\n") else 1
    return Front(start=found.end(1), stop=stop, end=found.end())


def root_of(where: Where, place: Front) -> yaml.MappingNode | None:
    """Return the mapping of a front matter, its marks moved to indices of the whole text, or None if it is empty.

    Raises:
        CardError: it is not valid YAML, has a key twice, or is something else than a mapping with a key a line.
    """
    region = where.text[: place.stop]
    # what stands before is blanked, not cut off, so that marks count from the beginning of the card
    blank = "".join(char if char in "\r\n" else " " for char in region[: place.start])
    try:
        root = yaml.compose(blank + region[place.start :], Loader=yaml.SafeLoader)
        if root is not None:
            _refuse_twice(where, root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = line_of(where.text, mark.index) if mark else None
        raise _invalid(where, error.problem or error.context or "unreadable", line) from None
    except yaml.reader.ReaderError as error:
        line = line_of(where.text, error.position)
        raise _invalid(where, f"character #x{error.character:04x} cannot stand in YAML", line) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _invalid(where, str(error).splitlines()[0], None) from None
    if root is None or isinstance(root, yaml.MappingNode):
        return root
    raise where.error(root, "the front matter is no mapping of keys to values", hint="write one 'key: value' a line")


def _invalid(where: Where, what: str, line: int | None) -> CardError:
    hint = "mend the front matter first: the Hub would refuse it too"
    return CardError(f"the front matter is not valid YAML: {what}", file=where.path, line=line, hint=hint)


def _refuse_twice(where: Where, root: yaml.Node) -> None:
    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen or not isinstance(node, yaml.CollectionNode):
            continue
        seen.add(id(node))
        if not isinstance(node, yaml.MappingNode):
            waiting += node.value
            continue
        first: dict[str, int] = {}
        for key, value in node.value:
            waiting += [key, value]
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in first:
                message = f"the key '{key.value}' stands twice; first in line {first[key.value]}"
                raise where.error(key, message, hint="delete one of the two")
            first[key.value] = where.line(key)


def pairs(where: Where, node: yaml.Node | None) -> dict[str, Pair]:
    """Return the pairs of a mapping by key; none where there is no mapping."""
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {
        key.value: Pair(key=key, value=value, end=_end(where, key, value))
        for key, value in node.value
        if isinstance(key, yaml.ScalarNode)
    }


def entries(where: Where, pair: Pair) -> list[yaml.Node]:
    """Return the entries of a list written with an entry a line.

    Raises:
        CardError: it is no list, is written in brackets or braces, or is an alias of another.
    """
    name, value = pair.key.value, pair.value
    if not isinstance(value, yaml.SequenceNode):
        raise where.error(pair.key, f"'{name}' is no list", hint="write one '- ' a line below it, or delete it")
    way = f"write the entries of {name} below it, one '- ' a line"
    if value.start_mark.index < pair.key.end_mark.index:
        raise where.error(pair.key, f"'{name}' refers to another list (*)", hint=way)
    if value.flow_style or where.line(value) == where.line(pair.key):
        raise where.error(pair.key, f"'{name}' is written in brackets, where no line can be put in", hint=way)
    for item in value.value:
        if item.start_mark.index < value.start_mark.index:
            raise where.error(pair.key, f"an entry of '{name}' refers to another place (*)", hint=way)
        if isinstance(item, yaml.MappingNode) and item.flow_style:
            raise where.error(item, f"an entry of '{name}' is written in braces", hint=way)
    return list(value.value)


def _end(where: Where, key: yaml.Node, value: yaml.Node) -> int:
    last = _last(value, key.end_mark.index)
    return where.after(len(where.text[:last].rstrip()))


def _last(node: yaml.Node, least: int) -> int:
    """Return where the last scalar of a node ends: a block is said to end only where the next one begins."""
    if node.start_mark.index < least:  # an alias, whose node stands elsewhere
        return least
    if not isinstance(node, yaml.CollectionNode) or node.flow_style or not node.value:
        return max(least, node.end_mark.index)
    least = max(least, node.start_mark.index)
    for item in node.value:
        for part in item if isinstance(item, tuple) else (item,):
            least = _last(part, least)
    return least
