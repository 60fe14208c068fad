"""Our own probe file format: a grid of templates and lexemes in YAML, with errors that name the line.

A file has slots, groups and texts; nothing in it is code. Every template is crossed with every lexeme and said once of
each group. ``{lexeme}`` and ``{group.FORM}`` are the slots; the one that ``scored`` names is the one whose words the
model is asked about, given everything else.
"""

import hashlib
import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from fairprint.probes.errors import ProbeFileError, nearest
from fairprint.probes.items import Group, Item, ProbeSet, Variant

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Text = Annotated[str, StringConstraints(min_length=1)]
Factor = Literal["template", "lexeme"]

_SLOT = re.compile(r"\{([^{}]*)\}")
_SLOT_NAME = re.compile(r"^(group|lexeme)(?:\.([a-z0-9][a-z0-9_-]*))?$")
_DEFAULT_FORM = "text"

Path_ = tuple[str | int, ...]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class GroupEntry(_Entry):
    """A compared group, with the words that name it."""

    id: Identifier
    label: Text = Field(description="how the group is called in reports")
    forms: dict[Identifier, Text] = Field(description="the words for {group.FORM}, such as subject: she")


class TemplateEntry(_Entry):
    """A sentence frame with slots."""

    id: Identifier
    text: Text


class LexemeEntry(_Entry):
    """A word that fills the templates."""

    id: Identifier
    text: Text | None = Field(default=None, description="the word as it stands in {lexeme}; the id where not given")
    forms: dict[Identifier, Text] = Field(default_factory=dict, description="further words for {lexeme.FORM}")
    category: Text = Field(description="what the word belongs to, for results by category")
    stereotyped: Identifier | None = Field(default=None, description="id of the group that the stereotype expects")
    covariate: float | None = Field(default=None, allow_inf_nan=False, description="a published figure of the word")
    source: Text | None = Field(default=None, description="where its direction or figure comes from")


class ProbeFile(_Entry):
    """A probe set: templates x lexemes, said once of each group."""

    format: Literal[1] = Field(description="version of this file format")
    name: Identifier
    version: int = Field(ge=1, description="raise it with every change of the questions")
    title: Text
    summary: Text = Field(description="what is asked, in a sentence or two")
    measures: Text = Field(description="the construct that the answers stand for")
    harm_type: Text = Field(description="the harm that it points to, such as stereotyping (representational)")
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$")]
    licence: Text
    sources: list[Text] = Field(min_length=1)
    criticism: list[Text] = Field(min_length=1, description="what is known to be wrong with it")
    cannot_show: list[Text] = Field(min_length=1)
    groups: list[GroupEntry] = Field(min_length=2)
    scored: Literal["group", "lexeme"] = Field(description="the slot whose words the model is asked about")
    random_factors: list[Factor] = Field(default=["template", "lexeme"], min_length=1)
    covariate: Text | None = Field(default=None, description="what the covariate of the lexemes is, with its unit")
    covariate_group: Identifier | None = Field(
        default=None, description="id of the group whose figure the covariate is"
    )
    direction_source: Text | None = Field(
        default=None, description="source of the stereotyped directions of all lexemes"
    )
    templates: list[TemplateEntry] = Field(min_length=1)
    lexemes: list[LexemeEntry] = Field(min_length=1)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the file format, for editors."""
    schema = ProbeFile.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def load_probe_file(path: Path, *, source: str = "file") -> ProbeSet:
    """Read a probe file and expand its grid.

    Raises:
        ProbeFileError: the file cannot be read or used; the message names the line, the value and what was expected.
    """
    name = str(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ProbeFileError(error.strerror or "cannot be read", file=name) from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ProbeFileError(
            f"byte 0x{data[error.start]:02x} is not UTF-8", file=name, line=line, hint="save the file as UTF-8"
        ) from None
    content, lines = _parse_yaml(text, name)
    reader = _Reader(name, lines)
    entry = reader.validate(content)
    return reader.expand(entry, hashlib.sha256(data).hexdigest(), source)


class _Loader(yaml.SafeLoader):
    """YAML without aliases, which would let a small file unfold without end; every error of a value has a line."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="aliases (*) are not read", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, LookupError, AttributeError):
            kind = node.tag.rpartition(":")[2]
            raise yaml.MarkedYAMLError(problem=f"{node.value!r} is no {kind}", problem_mark=node.start_mark) from None


def _parse_yaml(text: str, file: str) -> tuple[Any, dict[Path_, int]]:
    """Return the content and the line of every key and list entry."""
    lines: dict[Path_, int] = {}
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            raise ProbeFileError("the file is empty", file=file, line=1)
        _note_lines(node, (), lines, file)
        return loader.construct_document(node), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        raise ProbeFileError(f"not valid YAML: {error.problem or error.context}", file=file, line=line) from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise ProbeFileError(f"character #x{error.character:04x} cannot stand in YAML", file=file, line=line) from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise ProbeFileError(f"not valid YAML: {str(error).splitlines()[0]}", file=file) from None


def _note_lines(node: yaml.Node, path: Path_, lines: dict[Path_, int], file: str) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise ProbeFileError("a key must be a word", file=file, line=line)
            if key.value in seen:
                raise ProbeFileError(
                    f"'{key.value}' stands twice; first in line {seen[key.value]}", file=file, line=line
                )
            seen[key.value] = line
            lines[(*path, key.value)] = line
            _note_lines(value, (*path, key.value), lines, file)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _note_lines(value, (*path, index), lines, file)


class _Reader:
    """Turns parsed content into a probe set, with the file and lines at hand for messages."""

    def __init__(self, file: str, lines: dict[Path_, int]) -> None:
        self.file = file
        self.lines = lines

    def fail(self, message: str, *path: str | int, hint: str | None = None) -> ProbeFileError:
        """Return an error at the nearest place that has a line."""
        while path and path not in self.lines:
            path = path[:-1]
        return ProbeFileError(message, file=self.file, line=self.lines.get(path), hint=hint)

    def validate(self, content: Any) -> ProbeFile:
        """Check types and keys."""
        if not isinstance(content, dict):
            raise self.fail(f"expected keys such as 'name:' and 'templates:', found {type(content).__name__}")
        try:
            return ProbeFile.model_validate(content)
        except ValidationError as error:
            # a misspelt key also leaves the right one missing: the unknown one says more
            first = min(error.errors(include_url=False), key=lambda found: found["type"] != "extra_forbidden")
            raise self.fail(*_field_message(first), hint="fairprint probes schema shows every key") from None

    def expand(self, entry: ProbeFile, sha256: str, source: str) -> ProbeSet:
        """Cross templates, lexemes and groups."""
        self._check_ids(entry)
        self._check_covariate(entry)
        self._check_directions(entry)
        items = [
            self._item(entry, number, template, lexeme)
            for number, template in enumerate(entry.templates)
            for lexeme in entry.lexemes
        ]
        return ProbeSet(
            **{
                key: getattr(entry, key)
                for key in ("name", "version", "title", "summary", "measures", "harm_type", "language", "licence")
            },
            covariate=entry.covariate,
            covariate_group=entry.covariate_group,
            sources=tuple(entry.sources),
            criticism=tuple(entry.criticism),
            cannot_show=tuple(entry.cannot_show),
            groups=tuple(Group(id=group.id, label=group.label) for group in entry.groups),
            random_factors=tuple(entry.random_factors),
            items=tuple(items),
            sha256=sha256,
            source=source,
        )

    def _check_ids(self, entry: ProbeFile) -> None:
        for key in ("groups", "templates", "lexemes"):
            seen: set[str] = set()
            for index, part in enumerate(getattr(entry, key)):
                if part.id in seen:
                    raise self.fail(f"id '{part.id}' stands twice in {key}; every id must be unique", key, index, "id")
                seen.add(part.id)

    def _check_covariate(self, entry: ProbeFile) -> None:
        groups = [group.id for group in entry.groups]
        if (entry.covariate is None) != (entry.covariate_group is None):
            raise self.fail(
                "'covariate' (what the figure is) and 'covariate_group' (whose it is) go together", "covariate"
            )
        if entry.covariate_group is not None and entry.covariate_group not in groups:
            raise self.fail(f"no group '{entry.covariate_group}'; groups: {', '.join(groups)}", "covariate_group")
        for index, lexeme in enumerate(entry.lexemes):
            if lexeme.covariate is not None and entry.covariate is None:
                message = "a covariate needs the key 'covariate' that says what it is"
                raise self.fail(message, "lexemes", index, "covariate")

    def _check_directions(self, entry: ProbeFile) -> None:
        groups = [group.id for group in entry.groups]
        counts: Counter[str] = Counter()
        for index, lexeme in enumerate(entry.lexemes):
            if lexeme.stereotyped is None:
                continue
            place = ("lexemes", index, "stereotyped")
            if lexeme.stereotyped not in groups:
                raise self.fail(
                    f"no group '{lexeme.stereotyped}'; groups: {', '.join(groups)}."
                    + nearest(lexeme.stereotyped, groups),
                    *place,
                )
            if not (lexeme.source or entry.direction_source):
                raise self.fail(
                    f"the direction of '{lexeme.id}' cites no source",
                    *place,
                    hint="give 'source' here or 'direction_source' for all, or leave 'stereotyped' out: "
                    "then signed effects are reported",
                )
            counts[lexeme.stereotyped] += 1
        if counts and len({counts[group] for group in groups if counts[group] or group in groups[:2]}) > 1:
            told = ", ".join(f"{group} {counts[group]}" for group in groups)
            raise self.fail(
                f"the stereotyped directions are unbalanced ({told}): "
                "a model with a constant preference would not score 50 %",
                "lexemes",
                hint="leave 'stereotyped' out of some lexemes",
            )

    def _item(self, entry: ProbeFile, number: int, template: TemplateEntry, lexeme: LexemeEntry) -> Item:
        variants = tuple(self._variant(entry, number, template, lexeme, group) for group in entry.groups)
        return Item(
            id=f"{template.id}/{lexeme.id}",
            template=template.id,
            lexeme=lexeme.id,
            category=lexeme.category,
            stereotyped=lexeme.stereotyped,
            covariate=lexeme.covariate,
            variants=variants,
        )

    def _variant(
        self, entry: ProbeFile, number: int, template: TemplateEntry, lexeme: LexemeEntry, group: GroupEntry
    ) -> Variant:
        words = {
            "group": group.forms,
            "lexeme": {_DEFAULT_FORM: lexeme.text or lexeme.id, **lexeme.forms},
        }
        text, spans, used = "", [], set()
        last = 0
        for slot in _SLOT.finditer(template.text):
            text += template.text[last : slot.start()]
            last = slot.end()
            kind, form = self._slot(slot.group(1), number)
            if form not in words[kind]:
                owner = f"group '{group.id}'" if kind == "group" else f"lexeme '{lexeme.id}'"
                known = ", ".join(words[kind])
                raise self.fail(
                    f"{slot.group(0)}: {owner} has no form '{form}'; it has: {known}", "templates", number, "text"
                )
            used.add(kind)
            if kind == entry.scored:
                spans.append((len(text), len(text) + len(words[kind][form])))
            text += words[kind][form]
        text += template.text[last:]
        if "{" in text or "}" in text:
            raise self.fail("a brace has no partner", "templates", number, "text")
        for kind in ("group", "lexeme"):
            if kind not in used:
                raise self.fail(f"template '{template.id}' has no {{{kind}}} slot", "templates", number, "text")
        if len(spans) != 1:
            raise self.fail(
                f"template '{template.id}' has {len(spans)} scored slots; expected one {{{entry.scored}}}",
                *("templates", number, "text"),
            )
        return Variant(group=group.id, text=text, span=spans[0])

    def _slot(self, name: str, number: int) -> tuple[str, str]:
        match = _SLOT_NAME.match(name)
        if match is None:
            raise self.fail(
                f"unknown slot {{{name}}}; slots are {{lexeme}}, {{lexeme.FORM}} and {{group.FORM}}."
                + nearest(name, ["lexeme", "group"]),
                *("templates", number, "text"),
            )
        return match.group(1), match.group(2) or _DEFAULT_FORM


def _field_message(error: Any) -> tuple[Any, ...]:
    """Return a message in words, and the path of the field."""
    path: Path_ = tuple(error["loc"])
    key = str(path[-1]) if path else "file"
    if error["type"] == "extra_forbidden":
        entries: dict[str, type[_Entry]] = {"groups": GroupEntry, "templates": TemplateEntry, "lexemes": LexemeEntry}
        owner = entries.get(str(path[0]), ProbeFile) if len(path) > 1 else ProbeFile
        return (f"unknown key '{key}'.{nearest(key, owner.model_fields)}", *path)
    if error["type"] == "missing":
        return (f"the key '{key}' is missing", *path)
    value = repr(error["input"])
    value = value if len(value) <= 80 else value[:77] + "..."
    return (f"'{key}' is {value}: {error['msg'][0].lower()}{error['msg'][1:]}", *path)
