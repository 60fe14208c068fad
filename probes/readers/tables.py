"""What readers of published formats share: rows with lines, needed and ignored columns, and the hash of a file."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fairprint.probes.errors import ProbeFileError, nearest
from fairprint.probes.notations import csv_cells, read_utf8


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A file of rows.

    Attributes:
        file: path as it was given, for messages.
        rows: line of each row, counted from 1, and its cells by column; empty cells are empty texts.
        ignored: columns that the reader does not know.
    """

    file: str
    sha256: str
    rows: tuple[tuple[int, dict[str, str]], ...]
    ignored: tuple[str, ...]

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of the results must know of how the file was read."""
        return (f"columns that were not read: {', '.join(self.ignored)}",) if self.ignored else ()


def read_table(
    path: Path,
    *,
    needed: Sequence[str],
    blank: Sequence[str] = (),
    known: Sequence[str] = (),
    delimiter: str = ",",
    quotes: bool = True,
) -> Table:
    """Read a CSV or TSV file with a header.

    Args:
        path: the file.
        needed: columns that must be there, and must not be empty in any row.
        blank: columns that must be there, and may be empty.
        known: columns that are read where they are there.
        delimiter: what stands between cells.
        quotes: whether a cell can stand in quotes.

    Raises:
        ProbeFileError: it cannot be read, is not UTF-8, lacks a column, has one of these twice, or a row lacks a cell.
    """
    file = str(path)
    data, text = read_utf8(path)
    columns = (*needed, *blank, *known)
    header: list[str] = []

    def check(found: list[str], name: str, line: int) -> None:
        for column in (*needed, *blank):
            if column not in found:
                close = nearest(column, found)
                hint = f"columns of this format: {', '.join(filter(None, columns))}"
                raise ProbeFileError(f"the column '{column}' is missing.{close}", file=name, line=line, hint=hint)
        for column in columns:
            if found.count(column) > 1:
                called = f"the column '{column}'" if column else "a column without a name"
                raise ProbeFileError(f"{called} stands twice", file=name, line=line)
        header.extend(found)

    rows = []
    for line, cells in csv_cells(text, file, check, delimiter=delimiter, quotes=quotes):
        for column in needed:
            if not cells.get(column, "").strip():
                raise ProbeFileError(f"the row has no {column}", file=file, line=line)
        rows.append((line, {column: cells.get(column, "") for column in columns}))
    if not rows:
        raise ProbeFileError("the file has no rows" if header else "the file is empty", file=file, line=1)
    ignored = tuple(dict.fromkeys(column or "(without a name)" for column in header if column not in columns))
    return Table(file=file, sha256=hashlib.sha256(data).hexdigest(), rows=tuple(rows), ignored=ignored)
