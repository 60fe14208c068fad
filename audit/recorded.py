"""Answers as a file: what ``recorded:FILE.jsonl`` reads.

A file has one JSON object a line (UTF-8). A row is one answer:

    {"item": "late-home/nurse", "group": "female", "logprob": -12.25}

``item`` is the id of an item and ``group`` that of the group that the sentence is about; instead of them ``text`` may
give the exact sentence. The answer is one of ``value`` with ``name`` (such as ``logprob`` or ``candidate_mass``),
``logprob`` (nats), ``choice`` (a label, or its number from 0), or, beside an ``item``, the ``text`` that was generated.
``null`` is an answer that is missing; ``note`` says why. A number that belongs to a whole item has no group.
``probe_set`` and ``instrument`` may say what was asked; a line without an item, such as ``{"model": "some-model",
"instrument": "sentence"}``, says so for the rows below it. The file beside a report (``NAME.items.jsonl``) is such a
file. Numbers are written as the shortest text that reads back to the same float, so nothing is rounded.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fairprint.audit.answers import RANGES, Answer, RecordedModel, Recording
from fairprint.audit.recorded_formats import read_bbq, read_kobbq
from fairprint.audit.recorded_stereoset import read_predictions
from fairprint.probes.errors import UsageError, nearest
from fairprint.probes.scores import CHOICE, LOGPROB

_ROUNDING = 1e-3
"""How far sums of rounded numbers may leave their range."""
_LONGEST_SHOWN = 80
_MOST_LABELS = 10**9


class RecordedRow(BaseModel):
    """One answer, or what holds for the rows below it."""

    model_config = ConfigDict(
        strict=True,
        extra="ignore",
        frozen=True,
        allow_inf_nan=False,
        json_schema_extra={
            "anyOf": [
                {"required": [key]}
                for key in ("value", "logprob", "choice", "text", "model", "instrument", "probe_set")
            ]
        },
    )

    item: str | None = Field(default=None, description="id of the item")
    group: str | None = Field(default=None, description="id of the group; none for a number about a whole item")
    text: str | None = Field(default=None, description="the exact sentence; or what was generated, if nothing else is")
    name: str | None = Field(default=None, description="what `value` is, such as logprob, choice or candidate_mass")
    value: float | None = Field(default=None, description="the number; null where the answer is missing")
    logprob: float | None = Field(default=None, description="log-probability in nats")
    choice: int | str | None = Field(default=None, description="label that was chosen, or its number from 0")
    note: str | None = Field(default=None, description="why the answer is missing, or what must be known of it")
    probe_set: str | None = Field(default=None, description="name of the probe set")
    instrument: str | None = Field(default=None, description="how the model was asked")
    run: str | None = Field(default=None, description="id of the run")
    template: str | None = Field(default=None, description="of a number about a sentence frame")
    lexeme: str | None = None
    category: str | None = None
    said: str | None = Field(default=None, description="what the model wrote, where `value` is about that")
    scored: Any = Field(default=None, description="characters that were scored; not read")
    model: str | RecordedModel | None = Field(default=None, description="the model that answered")


_SAY_WHAT_WAS_ASKED = ("probe_set", "instrument", "run")


def read_recording(file: str, form: str) -> Recording:
    """Read a file of recorded answers.

    Args:
        file: its path.
        form: a key of ``READERS``, or one of ``COLUMN_READERS`` with ``/COLUMN`` where the file has several columns.

    Raises:
        UsageError: there is no such file or format, or a line cannot be used; the message names it.
    """
    known = (*READERS, *COLUMN_READERS)
    name, _, column = form.partition("/")
    if name not in known or (column and name not in COLUMN_READERS):
        shown = form if name in known else name
        raise UsageError(
            f"no format '{shown}' of recorded answers.{nearest(shown, known)}", hint=f"formats: {', '.join(known)}"
        )
    try:
        content = Path(file).read_bytes()
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    read = COLUMN_READERS[name](file, content, column) if name in COLUMN_READERS else READERS[name](file, content)
    if not read.answers:
        raise UsageError(f"{file} holds no answer", hint="fairprint probes schema --recorded shows the format")
    return read


def _read_rows(file: str, content: bytes) -> Recording:
    """Read the format of this module."""
    answers: list[Answer] = []
    models: dict[str, RecordedModel] = {}
    unread: Counter[str] = Counter()
    above: dict[str, str | None] = dict.fromkeys(_SAY_WHAT_WAS_ASKED)
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip():
            continue
        data = _object(file, number, line)
        unread.update(data.keys() - RecordedRow.model_fields.keys())
        try:
            row = RecordedRow.model_validate(data)
        except ValidationError as error:
            _fail(file, number, _in_words(error))
        if row.model is not None:
            model = RecordedModel(name=row.model) if isinstance(row.model, str) else row.model
            models.setdefault(model.model_dump_json(), model)
        if row.item is None and row.text is None:
            says = row.model is not None or any(getattr(row, key) for key in _SAY_WHAT_WAS_ASKED)
            if not says or row.model_fields_set & {"value", "logprob", "choice"}:
                _fail(file, number, "an answer needs the 'item' that it is of, or its exact 'text'")
            above |= {key: value for key in _SAY_WHAT_WAS_ASKED if (value := getattr(row, key)) is not None}
            continue
        answers.append(_answer(file, number, row, above))
    labels, notes = _numbered(file, answers), []
    if unread:
        told = ", ".join(f"{_short(key)} ({rows:,})" for key, rows in sorted(unread.items()))
        notes.append(f"keys of {Path(file).name} that were not read, with their rows: {told}")
    if len(models) > 1:
        told = ", ".join(_short(model.name or "one without a name") for model in list(models.values())[:5])
        notes.append(f"the answers are those of {len(models)} models: {told}")
    return Recording(
        file=file,
        name=Path(file).name,
        sha256=hashlib.sha256(content).hexdigest(),
        model=next(iter(models.values())) if len(models) == 1 else RecordedModel(),
        answers=tuple(a if a.label is None else replace(a, value=float(labels[a.label])) for a in answers),
        labels=labels,
        notes=tuple(notes),
    )


READERS: dict[str, Callable[[str, bytes], Recording]] = {
    "rows": _read_rows,
    "stereoset": read_predictions,
    "kobbq": read_kobbq,
}
"""By the name of each format, the function that reads a file's bytes; the first argument is the path, for messages."""
COLUMN_READERS: dict[str, Callable[[str, bytes, str], Recording]] = {"bbq": read_bbq}
"""The same for formats that have a column of answers for each model or way of asking; the last argument says which."""


def _object(file: str, number: int, line: bytes) -> dict[str, Any]:
    """Return the JSON object of a line."""
    try:
        data = json.loads(line.decode("utf-8"), parse_constant=_no_number, object_pairs_hook=_each_once)
    except json.JSONDecodeError as error:
        _fail(file, number, f"this is no JSON: {error.msg.lower()} at column {error.colno}")
    except RecursionError:
        _fail(file, number, "this is nested too deeply")
    except UnicodeDecodeError as error:
        _fail(file, number, f"this is not UTF-8: {error.reason} at byte {error.start + 1}")
    except ValueError as error:
        _fail(file, number, str(error))
    if not isinstance(data, dict):
        _fail(file, number, f"expected a JSON object, found {_short(repr(data))}")
    if b"\\u" in line and not _can_be_written(data):
        _fail(file, number, "half of a surrogate pair is no character")
    return data


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON; null is an answer that is missing")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {_short(repr(twice))} stands twice")
    return data


def _answer(file: str, number: int, row: RecordedRow, above: Mapping[str, str | None]) -> Answer:
    """Turn a row into an answer; a choice gets its number later, when all labels are known."""
    given = {key: value for key in ("value", "logprob", "choice") if (value := getattr(row, key)) is not None}
    if len(given) > 1:
        _fail(file, number, f"{' and '.join(given)} are several answers; a row has one")
    missing = [key for key in ("value", "logprob", "choice") if key in row.model_fields_set]
    key = next(iter([*given, *missing]), None)
    if key == "value" and not row.name:
        _fail(file, number, "a 'value' needs a 'name' that says what it is", f"names: {', '.join(RANGES)}")
    if key is None and (row.item is None or row.text is None):
        expected = "'value' with 'name', 'logprob', 'choice', or the generated 'text' beside an 'item'"
        _fail(file, number, f"there is no answer in this row; expected {expected}")
    name = {"value": row.name, "logprob": LOGPROB, "choice": CHOICE, None: ""}[key] or ""
    found = given.get(key or "")
    if isinstance(found, int) and not 0 <= found <= _MOST_LABELS:
        _fail(file, number, f"'choice' is {_short(str(found))}; labels are numbered from 0")
    value = None if found is None or isinstance(found, str) else float(found)
    if value is not None:
        _check_range(file, number, name, value)
    return Answer(
        line=number,
        **{key: getattr(row, key) if getattr(row, key) is not None else above[key] for key in _SAY_WHAT_WAS_ASKED},
        item=row.item,
        text=row.text,
        group=row.group or "",
        template=row.template,
        lexeme=row.lexeme,
        category=row.category,
        name=name,
        value=value,
        label=row.choice if isinstance(row.choice, str) else None,
        note=row.note or ("" if given or key is None else "recorded without an answer"),
        said=row.said or "",
    )


def _check_range(file: str, number: int, name: str, value: float) -> None:
    low, high = RANGES.get(name.partition(":")[0], (-math.inf, math.inf))
    if not low - _ROUNDING <= value <= high + _ROUNDING:
        between = f"{low:g} to {high:g}" if math.isfinite(low) and math.isfinite(high) else f"at most {high:g}"
        between = f"{low:g} or more" if high == math.inf else between
        hint = "log-probabilities are natural logarithms of probabilities" if name == LOGPROB else None
        _fail(file, number, f"the {name} is {value!r}; expected {between}", hint)


def _numbered(file: str, answers: list[Answer]) -> dict[str, int]:
    """Return a number for each label that is a word, in alphabetical order."""
    words = sorted({answer.label for answer in answers if answer.label is not None})
    for answer in answers:
        if words and answer.name == CHOICE and answer.label is None and answer.value is not None:
            message = f"this choice is a number, others are labels such as '{_short(words[0])}'"
            _fail(file, answer.line, message, "give labels everywhere, or numbers everywhere")
    return {label: number for number, label in enumerate(words)}


def _in_words(error: ValidationError) -> str:
    found = error.errors(include_url=False)[0]
    key = str(found["loc"][0])
    return f"'{key}' is {_short(repr(found['input']))}: {found['msg'][0].lower()}{found['msg'][1:]}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."


def _can_be_written(data: dict[str, Any]) -> bool:
    """Whether all texts can be: JSON can name half of a surrogate pair, which is no character."""
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _fail(file: str, line: int | str, message: str, hint: str | None = None) -> NoReturn:
    raise UsageError(f"{file}:{line}: {message}", hint=hint)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of one line."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **RecordedRow.model_json_schema()}
