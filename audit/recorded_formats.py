"""Answers to questions in their authors' formats: BBQ's ``<model>_pred_<format>`` columns, KoBBQ's ``prediction``.

``recorded:bbq:FILE.jsonl`` reads the one column of a file, and ``recorded:bbq/COLUMN:FILE.jsonl`` one of several; for
``COLUMN`` the part after ``_pred_`` will do where it says which. An answer is matched with the options without regard
to case; one that matches none is kept as such, and the item counts as missing.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from fairprint.audit.answers import Answer, RecordedModel, Recording
from fairprint.probes.choices import same_text
from fairprint.probes.errors import ProbeFileError, UsageError, nearest
from fairprint.probes.items import Item, Variant
from fairprint.probes.notations import read_utf8
from fairprint.probes.readers.bbq import BbqRow, bbq_rows
from fairprint.probes.readers.kobbq import PREDICTION, kobbq_predictions
from fairprint.probes.scores import OUT_OF_CHOICE, PICKED

INSTRUMENT = "choice-answer"
"""The instrument that recorded answers are said to come from."""
_COLUMN = re.compile(r"(.+)_pred_(.+)")
_NO_ANSWER = "recorded without an answer"
_SHOWN = 60


def read_bbq(file: str, content: bytes, column: str) -> Recording:
    """Read the answers in a column of a file of BBQ.

    Args:
        file: its path.
        content: its bytes.
        column: name of the column, or what its name ends in after ``_pred_``; empty where there is one.

    Raises:
        UsageError: it is no file of BBQ, there is no such column, or there are several and none was chosen.
    """
    rows = list(bbq_rows(read_utf8(Path(file))[1], file))
    columns = list(dict.fromkeys(key for row in rows for key in row.rest if _COLUMN.fullmatch(key)))
    chosen = _chosen(file, columns, column)
    match = _COLUMN.fullmatch(chosen)
    answers = [
        answer
        for row in rows
        for answer in _answers(row.line, row.item, _said(file, row, chosen), partial(_meant, row))
    ]
    told = f"the answers are those of the column '{chosen}'; how the model was asked is not in the file"
    found = _recording(file, content, answers, told, RecordedModel(name=match[1] if match else None))
    return replace(found, asked=_part(chosen))


def read_kobbq(file: str, content: bytes) -> Recording:
    """Read the answers in the column ``prediction`` of a file of KoBBQ.

    Raises:
        UsageError: it is no file of KoBBQ, or the column is empty.
    """
    rows = list(kobbq_predictions(Path(file)))
    if not any(said for _, _, said in rows):
        hint = "put the answers of the model there, each as one of the choices"
        raise UsageError(f"{file}: the column '{PREDICTION}' is empty", hint=hint)
    answers = [
        answer
        for line, item, said in rows
        for answer in _answers(line, item, said or None, partial(same_text, order=item.variants))
    ]
    told = f"the answers are those of the column '{PREDICTION}'; which model gave them, and how, is not in the file"
    return _recording(file, content, answers, told, RecordedModel())


def _chosen(file: str, columns: Sequence[str], column: str) -> str:
    if not columns:
        hint = "answers of a model stand under a key such as NAME_pred_FORMAT, in every line"
        raise UsageError(f"{file} holds no answers: no key has _pred_ in its name", hint=hint)
    wanted = [key for key in columns if column in (key, _part(key))] if column else list(columns)
    if len(wanted) == 1:
        return wanted[0]
    shown = ", ".join(_short(key) for key in columns)
    hint = f"recorded:bbq/COLUMN:FILE says which one, such as recorded:bbq/{_part(columns[0])}:{file}"
    if not wanted:
        raise UsageError(
            f"{file} has no column '{_short(column)}'.{nearest(column, columns)}", hint=f"columns: {shown}"
        )
    raise UsageError(f"{file} holds answers in {len(wanted)} columns: {shown}", hint=hint)


def _part(key: str) -> str:
    match = _COLUMN.fullmatch(key)
    return match[2] if match else key


def _said(file: str, row: BbqRow, column: str) -> str | None:
    said = row.rest.get(column)
    if said is not None and not isinstance(said, str):
        raise ProbeFileError(f"{_short(column)} is {said!r:.60}; expected a text", file=file, line=row.line)
    return said


def _meant(row: BbqRow, said: str) -> Variant | None:
    """Return the option that an answer is: by its text, else by what ``answer_info`` calls it."""
    chosen = same_text(said, row.item.variants)
    if chosen is not None:
        return chosen
    plain = " ".join(said.casefold().split())
    called = [
        variant
        for variant, entries in zip(row.item.variants, row.info, strict=True)
        if plain in [" ".join(entry.casefold().split()) for entry in entries]
    ]
    return called[0] if plain and len(called) == 1 else None


def _answers(line: int, item: Item, said: str | None, meant: Callable[[str], Variant | None]) -> Iterator[Answer]:
    """Yield whether each option was the answer, and whether none was."""
    chosen = None if said is None else meant(said)
    note = _NO_ANSWER if said is None else "" if chosen else f"the answer is none of the options: {_short(said)!r}"
    for variant in item.variants:
        value = None if said is None else float(variant is chosen)
        yield _answer(line, item, variant.text, variant.group, PICKED, value, note)
    outside = None if said is None else float(chosen is None)
    yield _answer(line, item, item.variants[0].text, "", OUT_OF_CHOICE, outside, note)


def _answer(line: int, item: Item, text: str, group: str, name: str, value: float | None, note: str) -> Answer:
    return Answer(
        line=line,
        probe_set=None,
        instrument=INSTRUMENT,
        run=None,
        item=item.id,
        # with its text, so that the answer to a question of the same number in another file is not taken for it
        text=text,
        group=group,
        template=None,
        lexeme=None,
        category=None,
        name=name,
        value=value,
        label=None,
        note=note,
    )


def _recording(file: str, content: bytes, answers: Sequence[Answer], told: str, model: RecordedModel) -> Recording:
    outside = [a for a in answers if a.name == OUT_OF_CHOICE and a.value]
    absent = sum(a.name == OUT_OF_CHOICE and a.value is None for a in answers)
    notes = [told]
    if outside:
        notes.append(f"answers that are none of the options: {len(outside):,}, the first {outside[0].where}")
    if absent:
        notes.append(f"items that were recorded without an answer: {absent:,}")
    return Recording(
        file=file,
        name=Path(file).name,
        sha256=hashlib.sha256(content).hexdigest(),
        model=model,
        answers=tuple(answers),
        labels={},
        notes=tuple(notes),
    )


def _short(text: str) -> str:
    whole = text.encode("utf-8", "backslashreplace").decode()
    return whole if len(whole) <= _SHOWN else whole[: _SHOWN - 3] + "..."
