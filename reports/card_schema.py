"""What the Hub and its client expect of a card's metadata, checked here: the Hub's own check needs the network.

The shape of ``model-index`` is that of the Hub's modelcard.md. Of licences and languages only the shape is checked, not
whether the Hub lists them. ``co2_eq_emissions`` is checked by nobody else; the Hub's client takes the first digits that
it finds for grams (huggingface_hub.utils.endpoint_helpers), which is what the rules here are about.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from fairprint.probes.errors import CardError
from fairprint.reports.card_front import Where, line_of, located, root_of
from fairprint.reports.card_yaml import EMISSIONS

_LICENSE = re.compile(r"[a-z0-9][a-z0-9.+_-]*")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*|code|multilingual")
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
_PLAIN_NUMBER = re.compile(r"(0|[1-9][0-9_]*)(\.[0-9_]+)?")
_READ_BY_THE_CLIENT = re.compile(r"\d+\.\d+|\d+")

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a card's metadata.

    Attributes:
        line: the line of the card, or None where no line is to blame.
        key: the key's path, such as ``model-index[0].results[1].metrics[0].value``; empty for the whole block.
        message: what was found, and what was expected.
        hint: what to write instead.
        severity: an error where the Hub or its client refuses the card or reads another number; else a warning.
    """

    line: int | None
    key: str
    message: str
    hint: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return f"{self.key}: {self.message}" if self.key else self.message


def _some_text(value: object) -> object:
    if isinstance(value, str) and not value.strip():
        raise ValueError("expected a text, and it is empty")
    return value


def _something(value: object) -> object:
    if value is None:
        raise ValueError("expected a number or a text | write what was measured, or delete the metric")
    return value


Text = Annotated[str, BeforeValidator(_some_text)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True)


class _Task(_Part):
    type: Text
    name: str | None = None


class _Dataset(_Part):
    type: Text
    name: Text
    config: str | None = None
    split: str | None = None
    revision: str | None = None
    args: dict[str, Any] | None = None


class _Metric(_Part):
    type: Text
    value: Annotated[Any, BeforeValidator(_something)]
    name: str | None = None
    config: str | None = None
    args: Any = None
    verified: bool | None = None
    verifyToken: str | None = None

    @model_validator(mode="after")
    def _not_verified(self) -> "_Metric":
        if self.verified is not None and self.verifyToken is None:
            raise ValueError("'verified' is set by the Hub alone, together with a verifyToken | delete 'verified'")
        return self


class _Source(_Part):
    url: Text
    name: str | None = None


class _Result(_Part):
    task: _Task
    dataset: _Dataset
    metrics: list[_Metric]
    source: _Source | None = None


class _Model(_Part):
    name: Text
    results: list[_Result]


class _Metadata(_Part):
    model_index: list[_Model] | None = Field(None, alias="model-index")
    license: str | list[str] | None = None
    license_name: str | None = None
    license_link: str | None = None
    base_model: str | list[str] | None = None
    datasets: str | list[str] | None = None
    metrics: str | list[str] | None = None
    tags: str | list[str] | None = None
    library_name: str | None = None
    pipeline_tag: str | None = None


def validated(text: str, path: str) -> list[Problem]:
    """Check a card's metadata and return what is merely unwise.

    Raises:
        CardError: the Hub or its client would refuse it or misread it; all such problems are named.
    """
    found = problems(text, path)
    errors = [problem for problem in found if problem.severity == "error"]
    if errors:
        first, *others = errors
        message = str(first) + "".join(f"; line {other.line or '?'}: {other}" for other in others)
        hint = "; ".join(dict.fromkeys(problem.hint for problem in errors if problem.hint)) or None
        raise CardError(message, file=path, line=first.line, hint=hint)
    return found


def problems(text: str, path: str) -> list[Problem]:
    """Return everything that is wrong with a card's metadata, in the order of its lines.

    Raises:
        CardError: the front matter is not closed, is not valid YAML, or has a key twice.
    """
    text = text.removeprefix("\ufeff")
    place = located(text, path)
    root = root_of(Where(text=text, path=path), place) if place is not None else None
    if root is None:
        return []
    lines = _Lines(text=text, root=root)
    try:
        data = yaml.SafeLoader("").construct_document(root)
    except yaml.constructor.ConstructorError as error:
        return [_unreadable(lines, error)]
    except (ValueError, OverflowError, RecursionError) as error:
        return [Problem(line=None, key="", message=f"a value cannot be read: {error}", hint="quote dates and numbers")]
    found = [*_shape(data, lines), *_not_finite(data, (), lines), *_languages(data, lines), *_names(data, lines)]
    if EMISSIONS in data:
        found += _emissions(data[EMISSIONS], (EMISSIONS,), lines)
    return sorted(found, key=lambda problem: problem.line or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lines:
    """Finds the line and the text of a value by its path."""

    text: str
    root: yaml.Node

    def node(self, place: Place) -> yaml.Node:
        """Return the node at a path, or the nearest above it."""
        node = self.root
        for step in place:
            if isinstance(node, yaml.MappingNode):
                below = next((value for key, value in node.value if getattr(key, "value", None) == step), None)
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                below = node.value[step]
            else:
                below = None
            if below is None:
                return node
            node = below
        return node

    def problem(
        self, place: Place, message: str, hint: str, severity: Literal["error", "warning"] = "error"
    ) -> Problem:
        line = line_of(self.text, self.node(place).start_mark.index)
        return Problem(line=line, key=dotted(place), message=message, hint=hint, severity=severity)

    def written(self, place: Place) -> str:
        node = self.node(place)
        return node.value if isinstance(node, yaml.ScalarNode) else ""


def dotted(place: Sequence[str | int]) -> str:
    """Return a path as people write it.

    >>> dotted(("model-index", 0, "results", 1, "task"))
    'model-index[0].results[1].task'
    """
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return text.removeprefix(".")


def _unreadable(lines: _Lines, error: yaml.constructor.ConstructorError) -> Problem:
    mark = error.problem_mark or error.context_mark
    line = line_of(lines.text, mark.index) if mark is not None else None
    python = "python/" in (error.problem or "")
    hint = "write the number or text itself: a program saved one of its own objects, such as a numpy number"
    return Problem(
        line=line,
        key="",
        message=error.problem or "a value cannot be read",
        hint=hint if python else "write a plain value",
    )


_MISSING = {
    "task": "write 'task:' with its type, such as text-generation",
    "dataset": "write 'dataset:' with its type (a Hub id) and its name",
    "metrics": "write 'metrics:' with at least one type and value",
    "url": "write the source's url, or leave the source out",
    "results": "write 'results: []' where there are none",
}


def _shape(data: dict[Any, Any], lines: _Lines) -> Iterator[Problem]:
    try:
        _Metadata.model_validate(data)
    except ValidationError as error:
        seen = set()
        for one in error.errors():
            place = _known_place(one["loc"], data, missing=one["type"] == "missing")
            if place in seen:  # the same value, refused as each of several kinds
                continue
            seen.add(place)
            message, _, hint = one["msg"].removeprefix("Value error, ").partition(" | ")
            name = str(place[-1]) if place else ""
            if one["type"] == "missing":
                message = "is missing, and the Hub's client cannot read the card without it"
                hint = _MISSING.get(name, f"write '{name}:' there")
            elif not hint:
                message = f"{one['input']!r}: {message[:1].lower()}{message[1:]}"
                hint = _MISSING.get(name, f"see the shape of '{place[0]}' in the Hub's modelcard.md" if place else "")
            yield lines.problem(place, message, hint)


def _known_place(loc: Sequence[str | int], data: object, *, missing: bool) -> Place:
    """Return a path without the kinds that pydantic names at its end, such as ``str`` of ``str | list[str]``."""
    place: list[str | int] = []
    for step in loc:
        known = (isinstance(data, dict) and step in data) or (
            isinstance(data, list) and isinstance(step, int) and step < len(data)
        )
        if not known:
            return (*place, step) if missing else tuple(place)
        data = data[step]  # type: ignore[index]
        place.append(step)
    return tuple(place)


def _not_finite(value: object, place: Place, lines: _Lines, depth: int = 0) -> Iterator[Problem]:
    if isinstance(value, float) and not math.isfinite(value):
        hint = "leave out what was not measured: no other reader of the card knows this value"
        yield lines.problem(place, f"{lines.written(place)!r} is no number", hint)
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, below in items if depth < 50 else ():
        yield from _not_finite(below, (*place, step), lines, depth + 1)


def _languages(data: dict[Any, Any], lines: _Lines) -> Iterator[Problem]:
    said = data.get("language")
    several = isinstance(said, list)
    for number, language in enumerate(said if isinstance(said, list) else [said]):
        place: Place = ("language", number) if several else ("language",)
        written = lines.written(place)
        if isinstance(language, bool):
            message = f"{written} is read as {str(language).lower()} by the Hub's client (YAML 1.1), not as a language"
            yield lines.problem(place, message, f'write it in quotes: "{written}"', "warning")
        elif language is not None and not (isinstance(language, str) and _LANGUAGE.fullmatch(language)):
            message = f"{language!r} is no code of a language, such as en (ISO 639), nor 'code' or 'multilingual'"
            yield lines.problem(place, message, "write codes of two or three small letters", "warning")


def _names(data: dict[Any, Any], lines: _Lines) -> Iterator[Problem]:
    rules = (
        (
            "license",
            _LICENSE,
            "an identifier of the Hub, such as apache-2.0 or other",
            "put its name into license_name",
        ),
        ("datasets", _HUB_ID, "the id of a data set on the Hub, such as squad or owner/name", "write its id"),
    )
    for key, shape, expected, hint in rules:
        said = data.get(key)
        for number, name in enumerate(said if isinstance(said, list) else [said]):
            if isinstance(name, str) and not shape.fullmatch(name):
                place: Place = (key, number) if isinstance(said, list) else (key,)
                yield lines.problem(place, f"{name!r} is not {expected}", hint)


def _emissions(value: object, place: Place, lines: _Lines) -> Iterator[Problem]:
    hint = "write the grams of CO2 equivalents as a plain decimal number above 0, such as 12.5"
    written = lines.written(place)
    if isinstance(value, dict) and len(place) == 1:
        if "emissions" not in value:
            message = "has no 'emissions', at which the Hub's client fails for a whole list of models"
            yield lines.problem(place, message, f"{hint}, below 'emissions:'")
            return
        yield from _emissions(value["emissions"], (*place, "emissions"), lines)
        for key in ("source", "training_type", "geographical_location", "hardware_used"):
            if not isinstance(value.get(key), str | None):
                message = f"{value[key]!r} is no text"
                yield lines.problem((*place, key), message, "write it in quotes", "warning")
    elif value is None:
        yield lines.problem(place, "there is no value", f"{hint}, or delete the key", "warning")
    elif isinstance(value, str) and _PLAIN_NUMBER.fullmatch(value) and float(value) > 0:
        yield lines.problem(place, f"{value!r} is text", "take the quotes away", "warning")
    elif isinstance(value, bool) or not isinstance(value, int | float) or not _PLAIN_NUMBER.fullmatch(written):
        yield lines.problem(place, f"{written or value!r} is no plain number{_misread(value)}", hint)
    elif value <= 0:
        yield lines.problem(place, f"{written} is not above 0", f"{hint}, or delete the key")
    elif (read := _READ_BY_THE_CLIENT.search(str(value))) is None or float(read[0]) != float(value):
        hint = "delete the key: so small or so large a number cannot be said there"
        yield lines.problem(place, f"{written} is printed as {value}{_misread(value)}", hint)


def _misread(value: object) -> str:
    found = _READ_BY_THE_CLIENT.search(str(value))
    return f", which the Hub's client reads as {found[0]} g" if found is not None else ""
