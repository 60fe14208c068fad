"""What a probe file says: the one schema behind its three notations (YAML, JSON Lines, CSV)."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from fairprint.probes.errors import nearest

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Text = Annotated[str, StringConstraints(min_length=1, pattern=r"\S")]
_Several = Annotated[list[Identifier], Field(min_length=1)]
Groups = Annotated[
    _Several,
    BeforeValidator(
        lambda given: [given] if isinstance(given, str) else given, json_schema_input_type=Identifier | _Several
    ),
]
"""One group id, or a list of them."""
Factor = Literal["template", "lexeme"]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$")]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class GroupEntry(_Entry):
    """A compared group, with the words that name it."""

    id: Identifier
    label: Text = Field(description="how the group is called in reports")
    forms: dict[Identifier, Text] = Field(
        description="the words for {group.FORM}, such as subject: she; where associations are scored, all words that "
        "the lexemes are compared with, under any names"
    )


class ComparisonEntry(_Entry):
    """Two groups that are compared: results speak of the first."""

    first: Identifier
    second: Identifier


class TemplateEntry(_Entry):
    """A sentence frame with slots."""

    id: Identifier
    text: Text = Field(
        description="slots are {lexeme}, {lexeme.FORM}, {group.FORM} and, for two groups, {other.FORM}; in the form of "
        "a lexeme, 'group' at the end stands for the id of the group: {lexeme.group}, {lexeme.object-group}. Where "
        "associations are scored there is one slot, {word}"
    )
    source: Text | None = Field(
        default=None, description="what the text translates, the same for all groups: slots are {lexeme}, {lexeme.FORM}"
    )
    twin: Identifier | None = Field(
        default=None, description="id of the template that names the two groups in the other order"
    )


class LexemeEntry(_Entry):
    """A word or phrase that fills the templates."""

    id: Identifier
    text: Text | None = Field(default=None, description="the word as it stands in {lexeme}; the id where not given")
    forms: dict[Identifier, Text] = Field(default_factory=dict, description="further words for {lexeme.FORM}")
    category: Text = Field(description="what the word belongs to, for results by category")
    valence: Literal["positive", "negative"] | None = Field(
        default=None, description="whether the word speaks well or ill of people; all words of a set say so, or none"
    )
    stereotyped: Groups | None = Field(
        default=None, description="id of the group, or list of groups, of which the stereotype expects the word"
    )
    counter_stereotyped: Groups | None = Field(
        default=None, description="groups of which the stereotype expects the word less than of others"
    )
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
    language: Language
    licence: Text
    sources: list[Text] = Field(min_length=1)
    criticism: list[Text] = Field(min_length=1, description="what is known to be wrong with it")
    cannot_show: list[Text] = Field(min_length=1)
    groups: list[GroupEntry] = Field(min_length=2)
    comparisons: list[ComparisonEntry] | None = Field(
        default=None,
        min_length=1,
        description="which groups are compared with which; two groups are compared with each other where not given",
    )
    source_language: Language | None = Field(
        default=None, description="of the templates' sources, where the texts are translations"
    )
    scored: Literal["group", "lexeme", "rest", "sentence", "target", "association"] = Field(
        description="what the model is asked about: the words of {group}, the words of {lexeme}, the rest of the "
        "sentence after the last group word, given the group, the whole sentence, which a classifier labels, the "
        "whole sentence as the translation of its source, or the nearness of each lexeme to the words of each group"
    )
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


ENTRIES: dict[str, type[_Entry]] = {
    "groups": GroupEntry,
    "comparisons": ComparisonEntry,
    "templates": TemplateEntry,
    "lexemes": LexemeEntry,
}
"""The keys whose values are lists of entries with keys of their own."""

LISTS = ("sources", "criticism", "cannot_show", "random_factors")
"""The keys whose values are lists of texts."""


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the file format, for editors."""
    schema = ProbeFile.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def field_message(error: Any) -> tuple[Any, ...]:
    """Return what a validation error says in words, and the path of the field."""
    path: tuple[str | int, ...] = tuple(error["loc"])
    key = str(path[-1]) if path else "file"
    if error["type"] == "extra_forbidden":
        owner = ENTRIES.get(str(path[0]), ProbeFile) if len(path) > 1 else ProbeFile
        return (f"unknown key '{key}'.{nearest(key, owner.model_fields)}", *path)
    if error["type"] == "missing":
        return (f"the key '{key}' is missing", *path)
    value = repr(error["input"])
    value = value if len(value) <= 80 else value[:77] + "..."
    named = f"'{key}'"
    if key == "[key]" or error["type"] == "invalid_key":
        named = "a key"
    elif len(path) > 1 and isinstance(path[-1], int):
        named = f"number {path[-1] + 1} of '{path[-2]}'"
    return (f"{named} is {value}: {error['msg'][0].lower()}{error['msg'][1:]}", *path)
