"""The baseline: what a run answered and found, as one small file that is reviewed and kept in git.

It holds the record of the run, cut to what limits speak of, and every answer of the probe sets that they name: only
with the answers can a later run be compared item by item. Answers stand in the order of the rows that both runs have,
since they asked the same; with nine figures, to which both runs are rounded before they are compared.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from pydantic import ValidationError

from fairprint.audit.comparable import instruments_of
from fairprint.audit.files import write_whole
from fairprint.audit.findings import Record
from fairprint.audit.records import RunRecord, to_json
from fairprint.audit.store import RunFolder
from fairprint.audit.stored import stored_scores
from fairprint.probes.errors import StoreError, UsageError
from fairprint.probes.scores import Score

BASELINE_SCHEMA_VERSION = 1
_NONE = "-"


class Answers(Record):
    """What one instrument answered to one set.

    Attributes:
        rows_sha256: over item, group and name of every row, in their order.
        answers_sha256: over the values and the texts as well: where it is the same, so are all answers.
        values: by name and group of the rows, their values in the order of the rows; ``-`` where there is none.
    """

    rows_sha256: str
    answers_sha256: str
    values: dict[str, str]


class Baseline(Record):
    """A run that later runs are held against.

    Attributes:
        reason: why it was updated, as the one who did it says.
        run: its record, cut to the sets that are kept.
        answers: by set and instrument, such as ``he-was-very / fill``.
    """

    schema_version: int = BASELINE_SCHEMA_VERSION
    fairprint: str
    written_at: str
    reason: str
    run: RunRecord
    answers: dict[str, Answers]


def make_baseline(run: RunFolder, sets: Sequence[str], reason: str, now: datetime) -> Baseline:
    """Make a baseline of a finished run.

    Args:
        run: the run.
        sets: names of the probe sets that it keeps; all where empty.
        reason: why.
        now: the present time, in UTC.

    Raises:
        UsageError: no reason is given.
    """
    if not reason.strip():
        raise UsageError("a baseline needs a reason", hint='--reason "new tokenizer, reviewed by ..."')
    record = run.record()
    kept = [probe.name for probe in record.probes if not sets or probe.name in sets]
    answers = {
        f"{name} / {way}": _answers(stored_scores(run, name, way))
        for name in kept
        for way in instruments_of(record, name)
    }
    return Baseline(
        fairprint=version("fairprint"),
        written_at=f"{now:%Y-%m-%dT%H:%M:%SZ}",
        reason=reason.strip(),
        run=_cut(record, kept),
        answers=answers,
    )


def _cut(record: RunRecord, kept: Sequence[str]) -> RunRecord:
    """Leave out what no comparison reads."""
    probes = [probe for probe in record.probes if probe.name in kept]
    estimates = [
        e.model_copy(update={"extremes": (), "second_opinion": None, "published": None})
        for e in record.estimates
        if e.probe_set in kept and e.scope == "all"
    ]
    return record.model_copy(
        update={
            "probes": tuple(p.model_copy(update={"lexeme_texts": {}, "lexeme_covariates": {}}) for p in probes),
            "estimates": tuple(estimates),
            "highlights": (),
            "tests": (),
            "families": (),
            "notes": (),
        }
    )


def rounded(scores: Iterable[Score]) -> list[Score]:
    """Return scores with nine figures, as a baseline keeps them, and without texts."""
    return [replace(s, value=None if s.value is None else float(_told(s.value)), text="") for s in scores]


def _told(value: float | None) -> str:
    return _NONE if value is None else f"{value:.9g}"


def _answers(scores: Sequence[Score]) -> Answers:
    values: dict[str, list[str]] = {}
    for score in scores:
        values.setdefault(_column(score), []).append(_told(score.value))
    return Answers(
        rows_sha256=_hash([(s.item, s.group, s.name) for s in scores]),
        answers_sha256=answers_sha256(scores),
        values={column: " ".join(found) for column, found in values.items()},
    )


def _column(score: Score) -> str:
    return f"{score.name} {score.group}".strip()


def answers_sha256(scores: Sequence[Score]) -> str:
    """Return a hash that is the same for the same answers, to nine figures."""
    return _hash([(s.item, s.group, s.name, _told(s.value), s.text) for s in scores])


def _hash(rows: object) -> str:
    return hashlib.sha256(json.dumps(rows, ensure_ascii=True).encode()).hexdigest()


def baseline_scores(baseline: Baseline, label: str, scores: Sequence[Score]) -> list[Score] | None:
    """Return what the baseline has in place of the scores of a later run.

    Args:
        baseline: the baseline.
        label: set and instrument.
        scores: what the later run has; the same rows.

    Returns:
        The scores, or None where the baseline has none of that set and instrument.

    Raises:
        StoreError: it has other rows.
    """
    kept = baseline.answers.get(label)
    if kept is None:
        return None
    columns = {column: told.split() for column, told in kept.values.items()}
    wanted: dict[str, int] = {}
    for score in scores:
        wanted[_column(score)] = wanted.get(_column(score), 0) + 1
    rows = _hash([(s.item, s.group, s.name) for s in scores])
    if rows != kept.rows_sha256 or wanted != {column: len(found) for column, found in columns.items()}:
        raise StoreError(
            f"the baseline has answers to other rows of '{label}' than the run", hint="update the baseline"
        )
    following = {column: iter(found) for column, found in columns.items()}
    return [replace(score, value=_value(next(following[_column(score)])), note="", text="") for score in scores]


def _value(told: str) -> float | None:
    try:
        return None if told == _NONE else float(told)
    except ValueError:
        raise StoreError(f"the baseline has '{told[:20]}' where a number should stand") from None


def read_baseline(path: Path) -> Baseline | None:
    """Return the baseline in a file, or None where there is no such file.

    Raises:
        StoreError: it cannot be read, or a newer fairprint wrote it.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StoreError(f"the baseline {path} cannot be read: {error}", hint=_AGAIN) from None
    written = data.get("schema_version") if isinstance(data, Mapping) else None
    if not isinstance(written, int) or written > BASELINE_SCHEMA_VERSION:
        told = f"schema version {written!r}; this fairprint reads up to {BASELINE_SCHEMA_VERSION}"
        raise StoreError(f"the baseline {path} has {told}", hint="update fairprint, or the baseline")
    try:
        return Baseline.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise StoreError(f"the baseline {path} cannot be read: {place}: {first['msg']}", hint=_AGAIN) from None


_AGAIN = 'restore it from git, or write it anew: fairprint baseline update RUN --reason "..."'


def write_baseline(baseline: Baseline, path: Path) -> None:
    """Write a baseline whole, or not at all: sorted, a line for each group's answers.

    Raises:
        StoreError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, to_json(baseline))
    except OSError as error:
        raise StoreError(f"the baseline {path} cannot be written: {error.strerror}") from None
