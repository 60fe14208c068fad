"""Labelled texts and images: a CSV file with what is right, and the groups that each row belongs to.

A row is an item: ``text`` or ``path`` (of an image, relative to the file), ``label``, and one group column or more:
``group``, ``group2`` ... Groups of several columns meet in intersections, one of all columns. Rows of one ``source``
(a photographer, a document, a person) are no independent samples, and intervals take them together.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairprint.probes.errors import ProbeFileError, nearest
from fairprint.probes.items import Comparison, Group, Item, ProbeSet, Variant
from fairprint.probes.notations import csv_cells, read_utf8

OTHERS = "(others)"
"""Id of what a group is compared with where there are more than two: all items that are not of it."""
AND = " & "
"""Stands between the groups of an intersection."""
TEXTS, IMAGES = "labelled", "labelled images"
"""What ``ProbeSet.scored`` is for labelled texts and for labelled images."""
_GROUP_COLUMN = re.compile(r"^group([2-9]|[1-9]\d+)?$")
_COLUMNS = ("path", "text", "label", "group", "group2", "source")
_HINT = "columns: path or text, label, group, further groups as group2, group3 ..., and source where rows share one"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One row of a file: its line, what is to be labelled, and what is said of it."""

    line: int
    content: str
    label: str
    groups: tuple[str, ...]
    source: str


def load_labelled(path: Path) -> ProbeSet:
    """Read a CSV file of labelled texts or images.

    An image that is not there is no error: it is an item without an answer, and is counted as such.

    Raises:
        ProbeFileError: the file cannot be read or used; the message names the line and what was expected.
    """
    name = str(path)
    data, text = read_utf8(path)
    header: list[str] = []
    cells = csv_cells(text, name, lambda found, file, line: header.extend(_checked(found, file, line)))
    rows = list(_rows(cells, header, name))
    if not rows:
        raise ProbeFileError("the file has no rows" if header else "the file is empty", file=name, line=1, hint=_HINT)
    images = "path" in header
    comparisons = _comparisons(rows, name)
    groups = dict.fromkeys(group for pair in comparisons for group in (pair.first, pair.second))
    return ProbeSet(
        **_told(path.name, rows, images),
        groups=tuple(Group(id=g, label="all other items" if g == OTHERS else g) for g in groups),
        comparisons=comparisons,
        scored=IMAGES if images else TEXTS,
        random_factors=("template",),
        covariate=None,
        covariate_group=None,
        items=tuple(_items(rows, path.parent if images else None, len(comparisons))),
        sha256=_hash(data, rows, path.parent if images else None),
        source="file",
    )


def belongs(joint: str, group: str) -> bool:
    """Whether an item, given by the groups that meet in it, is of a group or of an intersection.

    >>> belongs("Africa & women", "women"), belongs("Africa & women", "Africa & women"), belongs("Africa", "women")
    (True, True, False)
    """
    return group == joint or group in joint.split(AND)


def _checked(header: list[str], file: str, line: int) -> list[str]:
    for column in header:
        if column not in _COLUMNS and not _GROUP_COLUMN.match(column):
            message = f"unknown column '{column}'.{nearest(column, _COLUMNS)}"
            raise ProbeFileError(message, file=file, line=line, hint=_HINT)
        if header.count(column) > 1:
            raise ProbeFileError(f"the column '{column}' stands twice", file=file, line=line)
    if ("path" in header) == ("text" in header):
        found = "both" if "path" in header else "neither"
        raise ProbeFileError(f"expected a column 'path' or a column 'text', found {found}", file=file, line=line)
    for column in ("label", "group"):
        if column not in header:
            raise ProbeFileError(f"the column '{column}' is missing", file=file, line=line, hint=_HINT)
    return header


def _rows(cells: Iterator[tuple[int, dict[str, str]]], header: Sequence[str], file: str) -> Iterator[_Row]:
    spelled: dict[str, str] = {}
    for line, found in cells:
        row = {column: " ".join(cell.split()) if column != "text" else cell for column, cell in found.items()}
        columns = [column for column in header if _GROUP_COLUMN.match(column)]
        content = "path" if "path" in header else "text"
        for column in (content, "label", *columns):
            if not row.get(column, "").strip():
                hint = "where it is not known, say so: unknown" if column in columns else None
                raise ProbeFileError(f"the row has no {column}", file=file, line=line, hint=hint)
        for column in columns:
            if AND in row[column] or row[column] == OTHERS:
                message = f"the {column} is '{row[column]}': '{AND.strip()}' and '{OTHERS}' mean something here"
                raise ProbeFileError(message, file=file, line=line, hint="use another word")
        yield _Row(
            line=line,
            content=row[content],
            label=spelled.setdefault(row["label"].casefold(), row["label"]),
            groups=tuple(row[column] for column in columns),
            source=row.get("source", ""),
        )


def _comparisons(rows: Sequence[_Row], file: str) -> tuple[Comparison, ...]:
    """Compare each group with all others of its column, two groups with each other, and intersections with the rest."""
    columns = [list(dict.fromkeys(column)) for column in zip(*(row.groups for row in rows), strict=True)]
    twice = [group for group, count in Counter(g for column in columns for g in column).items() if count > 1]
    if twice:
        message = f"'{twice[0]}' is a group of two columns, so that results could not tell which is meant"
        raise ProbeFileError(message, file=file, hint="name them apart, such as 'smoker' and 'driver' for two 'yes'")
    found = []
    for groups in columns:
        if len(groups) == 2:
            found.append(Comparison(first=groups[0], second=groups[1]))
        elif len(groups) > 2:
            found += [Comparison(first=group, second=OTHERS) for group in groups]
    if not found:
        raise ProbeFileError(f"all rows are of one group, '{columns[0][0]}'; nothing can be compared", file=file)
    if len(columns) > 1:
        joint = dict.fromkeys(AND.join(row.groups) for row in rows)
        found += [Comparison(first=group, second=OTHERS) for group in joint]
    return tuple(found)


def _items(rows: Sequence[_Row], folder: Path | None, comparisons: int) -> Iterator[Item]:
    directions = (0,) * comparisons
    for row in rows:
        item = f"line {row.line}"
        # a path of one machine's folders is nothing for a record
        called = Path(row.content).name if folder and Path(row.content).is_absolute() else row.content
        variant = Variant(
            group=AND.join(row.groups),
            text=called,
            span=(0, len(called)),
            image=str(folder / row.content) if folder else "",
        )
        yield Item(
            id=item,
            template=f"source {row.source}" if row.source else item,
            lexeme="",
            category=row.label,
            directions=directions,
            valence=0,
            covariate=None,
            variants=(variant,),
        )


def _hash(data: bytes, rows: Sequence[_Row], folder: Path | None) -> str:
    """Hash a file with all its images, since other pixels are other questions."""
    digest = hashlib.sha256(data)
    for content in () if folder is None else dict.fromkeys(row.content for row in rows):
        try:
            with Path(folder or "", content).open("rb") as image:
                digest.update(hashlib.file_digest(image, "sha256").digest())
        except (OSError, ValueError):
            digest.update(b"cannot be read")
    return digest.hexdigest()


def _told(file: str, rows: Sequence[_Row], images: bool) -> dict[str, Any]:
    """Return what a reader is told of a file that says nothing of itself."""
    stem = file.rpartition(".")[0] or file
    things = "images" if images else "texts"
    return {
        "name": re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-") or "labelled",
        "version": 1,
        "title": f"{stem}: {things} with labels",
        "summary": f"Is the model right as often about the {things} of each group? It was given {len(rows):,} {things} "
        f"with {len({row.label for row in rows}):,} labels; the most probable one was compared with the right one.",
        "measures": f"how often a classifier is right about the {things} of each group",
        "harm_type": "quality of service (a system works less well for some groups)",
        # what is not known, and what is no language, have codes of their own in BCP 47
        "language": "zxx" if images else "und",
        "licence": "not stated by the file",
        "sources": (f"{file}, a file of the person who ran the audit",),
        "criticism": (
            "The labels are taken as right: where they are wrong more often for one group, so is what is said here.",
            "Groups and labels are those of the file; nobody has reviewed them for this report.",
        ),
        "cannot_show": (
            f"How the model does on {things} of another kind than those of the file.",
            "Why it is right less often: hard cases, bad labels and bad training look alike.",
            "What a mistake means for a person.",
        ),
    }
