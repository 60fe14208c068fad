"""What a file of recorded answers holds, whatever its format: the answers, and what it says of the model."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from pydantic import BaseModel, ConfigDict, PositiveInt

from fairprint.probes.errors import UsageError
from fairprint.probes.scores import (
    CHOICE,
    COMPLETION,
    CORRECT,
    COSINE,
    LABEL,
    LIKENESS,
    LOGPROB,
    MASS,
    OUT_OF_CHOICE,
    PICKED,
    PROBABILITY,
    TOKENS,
)

RANGES = {
    LOGPROB: (-math.inf, 0.0),
    MASS: (0.0, 1.0),
    PROBABILITY: (0.0, 1.0),
    CHOICE: (0.0, math.inf),
    CORRECT: (0.0, 1.0),
    COSINE: (-1.0, 1.0),
    LIKENESS: (-math.inf, math.inf),
    PICKED: (0.0, 1.0),
    OUT_OF_CHOICE: (0.0, 1.0),
    COMPLETION: (0.0, 1.0),
    LABEL: (0.0, 1.0),
    TOKENS: (0.0, math.inf),
}
"""Between what the numbers of each name lie; one outside was computed or named in another way."""


class RecordedModel(BaseModel):
    """What a file says of the model that gave the answers; nothing of it can be checked."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    name: str | None = None
    revision: str | None = None
    sha256: str | None = None
    model_type: str | None = None
    kind: str | None = None
    architecture: str | None = None
    weights: str | None = None
    dtype: str | None = None
    parameters: PositiveInt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One recorded answer.

    Attributes:
        line: where it stands: a line, counted from 1, or the path within a file that is one JSON document.
        item: id, or None where ``text`` says which sentence was asked.
        text: the sentence that was asked, or None.
        group: id, or empty.
        name: what the number is; empty for a text that was generated.
        value: the number, or None with the reason in ``note``.
        label: the label that was chosen, where it is a word.
        template, lexeme, category: as the row says, or None.
        sentence: the sentence's own id (``Variant.id``), where its authors' format names it by that.
        said: what the model wrote, beside a number that is about that.
    """

    line: int | str
    probe_set: str | None
    instrument: str | None
    run: str | None
    item: str | None
    text: str | None
    group: str
    template: str | None
    lexeme: str | None
    category: str | None
    name: str
    value: float | None
    label: str | None
    note: str
    sentence: str | None = None
    said: str = ""

    @property
    def where(self) -> str:
        """Where it stands, in words."""
        return f"in line {self.line}" if isinstance(self.line, int) else f"at {self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The answers of one file.

    Attributes:
        file: path as it was given, for messages.
        name: its last part, for records.
        model: what the file says of the model.
        labels: how labels are numbered where they are words.
        notes: what was not read.
        asked: how the model was asked, where the file has answers of one model that was asked in several ways.
        where_missing: what the authors' code does where an answer is missing, if they differ.
    """

    file: str
    name: str
    sha256: str
    model: RecordedModel
    answers: tuple[Answer, ...]
    labels: Mapping[str, int]
    notes: tuple[str, ...]
    asked: str = ""
    where_missing: str = ""

    def named(self, key: str) -> tuple[str, ...]:
        """Return the probe sets, instruments or runs that the answers name, in the order of the file."""
        return tuple(dict.fromkeys(name for answer in self.answers if (name := getattr(answer, key)) is not None))

    def instruments(self, probe_set: str) -> tuple[str, ...]:
        """Return the instruments that the answers to a set name, in the order of the file."""
        named = (a.instrument for a in self.answers if a.probe_set in (None, probe_set))
        return tuple(dict.fromkeys(name for name in named if name is not None))

    def fail(self, line: int | str, message: str, hint: str | None = None) -> NoReturn:
        """Raise a UsageError that names file and line."""
        raise UsageError(f"{self.file}:{line}: {message}", hint=hint)
