"""Three notations of one schema: YAML, and JSON Lines or CSV with one entry a row.

A row has the key ``entry``: ``groups``, ``comparisons``, ``templates`` or ``lexemes`` adds an entry to that list, with
the other keys as its fields; any other name is a key of the set itself, whose value stands under ``value`` (a list of
texts is given by several rows). In CSV, ``forms.subject`` is a column, several groups stand in one cell as ``a|b``, and
an empty cell says nothing.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from fairprint.probes.errors import ProbeFileError, nearest
from fairprint.probes.schema import ENTRIES, LISTS, ProbeFile

Path_ = tuple[str | int, ...]
Parsed = tuple[Any, dict[Path_, int]]
"""The content of a file, and the line of every key and list entry."""

_HALF = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair, which JSON can name; Python joins the halves that belong together."""
_NUMBERS: dict[str, Callable[[str], float]] = {"format": int, "version": int, "covariate": float}


def read_utf8(path: Path) -> tuple[bytes, str]:
    """Return the bytes of a file and its text.

    Raises:
        ProbeFileError: it cannot be read, or is not UTF-8.
    """
    name = str(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ProbeFileError(error.strerror or "cannot be read", file=name) from None
    try:
        return data, data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # its positions are those of the bytes that follow a byte order mark
        line = error.object[: error.start].count(b"\n") + 1
        byte = error.object[error.start]
        raise ProbeFileError(
            f"byte 0x{byte:02x} is not UTF-8", file=name, line=line, hint="save the file as UTF-8"
        ) from None


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


def parse_yaml(text: str, file: str) -> Parsed:
    """Read YAML.

    Raises:
        ProbeFileError: it is not valid YAML, or has a key twice.
    """
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


def parse_jsonl(text: str, file: str) -> Parsed:
    """Read JSON Lines: one object an entry.

    Raises:
        ProbeFileError: a line is no JSON object, or has a key twice.
    """
    return _collected(json_rows(text, file), file)


def json_rows(text: str, file: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number of each line of a JSON Lines file that is not empty, and its object.

    Raises:
        ProbeFileError: a line is no JSON object, or has a key twice.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise ValueError(f"'{twice}' stands twice")
        return dict(pairs)

    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=unique)
        except (ValueError, RecursionError) as error:
            raise ProbeFileError(f"not valid JSON: {str(error).splitlines()[0]}", file=file, line=number) from None
        if not isinstance(row, dict):
            raise ProbeFileError(f"expected an object, found {type(row).__name__}", file=file, line=number)
        half = _HALF.search(json.dumps(row, ensure_ascii=False)) if "\\u" in line else None
        if half:
            message = f"U+{ord(half[0]):04X} is half of a character and cannot stand in a text"
            raise ProbeFileError(message, file=file, line=number)
        yield number, row


def parse_csv(text: str, file: str) -> Parsed:
    """Read CSV with a header line.

    Raises:
        ProbeFileError: a column is unknown or stands twice, or a row has more cells than the header.
    """
    return _collected(_csv_rows(text, file), file)


def _csv_rows(text: str, file: str) -> Iterator[tuple[int, dict[str, Any]]]:
    return ((line, _typed(cells)) for line, cells in csv_cells(text, file, _check_header))


def csv_cells(
    text: str,
    file: str,
    check_header: Callable[[list[str], str, int], None],
    *,
    delimiter: str = ",",
    quotes: bool = True,
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line of each row of a CSV file and its cells that are not empty, by column.

    Args:
        text: content of the file.
        file: its name, for messages.
        check_header: called with the header, the name and the header's line; raises where it cannot be used.
        delimiter: what stands between cells.
        quotes: whether a cell can stand in quotes; else a quote is a character like others.

    Raises:
        ProbeFileError: it is not valid CSV, or a row has more cells than the header.
    """
    lines = io.StringIO(text, newline="")
    if quotes:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
    else:
        reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE, strict=True)
    header: list[str] = []
    end = 0
    try:
        for cells in reader:
            start, end = end + 1, reader.line_num
            if not any(cells):
                continue
            if not header:
                header = cells
                check_header(header, file, start)
                continue
            if len(cells) > len(header):
                message = f"{len(cells)} cells, the header has {len(header)}"
                raise ProbeFileError(message, file=file, line=start, hint="quote a text that holds the delimiter")
            yield start, {key: cell for key, cell in zip(header, cells, strict=False) if cell}
    except csv.Error as error:
        raise ProbeFileError(f"not valid CSV: {error}", file=file, line=end + 1) from None


def _check_header(header: list[str], file: str, line: int) -> None:
    known = {"entry", "value", *(key for entry in ENTRIES.values() for key in entry.model_fields)} - {"forms"}
    for name in header:
        if name not in known and not name.startswith("forms."):
            raise ProbeFileError(f"unknown column '{name}'.{nearest(name, known)}", file=file, line=line)
        if header.count(name) > 1:
            raise ProbeFileError(f"the column '{name}' stands twice", file=file, line=line)


def _typed(cells: dict[str, str]) -> dict[str, Any]:
    """Turn cells into values; what is no number stays text, so that the schema names it."""
    row: dict[str, Any] = {}
    for key, cell in cells.items():
        if key.startswith("forms."):
            row.setdefault("forms", {})[key.removeprefix("forms.")] = cell
        elif key in ("stereotyped", "counter_stereotyped") and "|" in cell:
            row[key] = cell.split("|")
        else:
            row[key] = _number(key, cell)
    if "value" in row:
        row["value"] = _number(cells.get("entry", ""), cells["value"])
    return row


def _number(key: str, cell: str) -> Any:
    try:
        return _NUMBERS[key](cell) if key in _NUMBERS else cell
    except ValueError:
        return cell


def _collected(rows: Iterator[tuple[int, dict[str, Any]]], file: str) -> Parsed:
    """Put rows into the shape that the schema has."""
    content: dict[str, Any] = {}
    lines: dict[Path_, int] = {}
    for line, fields in rows:
        lines.setdefault((), line)
        key = fields.pop("entry", None)
        if not isinstance(key, str):
            raise ProbeFileError("the key 'entry' is missing", file=file, line=line, hint=_ROW_HINT)
        if key not in ProbeFile.model_fields:
            raise ProbeFileError(
                f"unknown entry '{key}'.{nearest(key, ProbeFile.model_fields)}", file=file, line=line, hint=_ROW_HINT
            )
        if key not in ENTRIES and set(fields) != {"value"}:
            told = ", ".join(sorted(map(str, fields))) or "nothing"
            raise ProbeFileError(f"'{key}' takes 'value' alone, found {told}", file=file, line=line, hint=_ROW_HINT)
        if key not in ENTRIES and key not in LISTS:
            if key in content:
                raise ProbeFileError(f"'{key}' stands twice; first in line {lines[key,]}", file=file, line=line)
            content[key], lines[key,] = fields["value"], line
            continue
        entries = content.setdefault(key, [])
        lines.setdefault((key,), line)
        lines[key, len(entries)] = line
        entries.append(fields if key in ENTRIES else fields["value"])
    if not content:
        raise ProbeFileError("the file is empty", file=file, line=1)
    return content, lines


_ROW_HINT = 'a row is an entry: {"entry": "lexemes", "id": ...} or {"entry": "title", "value": ...}'

NOTATIONS: dict[str, Callable[[str, str], Parsed]] = {
    ".yaml": parse_yaml,
    ".yml": parse_yaml,
    ".jsonl": parse_jsonl,
    ".csv": parse_csv,
}
"""The reader of each notation, by the end of a file's name."""
