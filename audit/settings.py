"""Reading ``[tool.fairprint]`` of pyproject.toml, or fairprint.toml, with the line of whatever is wrong."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fairprint.audit.limits import Limit, Settings
from fairprint.probes.errors import SettingsError, nearest

OWN_FILE, SHARED_FILE = "fairprint.toml", "pyproject.toml"
_TABLE = ("tool", "fairprint")
_SCHEMA_HINT = "fairprint check --schema shows all keys"
_POSITION = re.compile(r"\(at line (\d+), column \d+\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Settings, and where they stand.

    Attributes:
        file: as people are told: from the working directory where it lies below; empty where there is none.
        folder: from which the paths in it count.
        lines: the line of each limit, counted from 1; None where it is not known.
    """

    settings: Settings
    file: str
    folder: Path
    lines: tuple[int | None, ...]


def read_settings(path: Path | None, folder: Path) -> Found:
    """Return the settings of a project.

    Args:
        path: the file; where None it is looked for in ``folder`` and above, up to the top of a git repository:
            fairprint.toml, or pyproject.toml where that has a table ``[tool.fairprint]``.
        folder: where the search begins.

    Returns:
        The settings; those without any limit where no file is found.

    Raises:
        SettingsError: a file cannot be read, or says something that cannot be used.
    """
    if path is None:
        found = _search(folder)
        if found is None:
            return Found(settings=Settings.model_validate({}), file="", folder=folder, lines=())
        path = found
    told = _shown(path, folder)
    text = _text(path, told)
    table = () if path.name != SHARED_FILE else _TABLE
    data: Any = _parsed(text, told)
    for key in table:
        data = data.get(key, {}) if isinstance(data, Mapping) else {}
    if not isinstance(data, Mapping):
        raise SettingsError(f"'{'.'.join(table)}' is no table", file=told, hint=_SCHEMA_HINT)
    entries = data.get("limits", [])
    lines = _entry_lines(text, table, len(entries) if isinstance(entries, list) else 0)
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        raise _explained(error, data, text, table, told, lines) from None
    return Found(settings=settings, file=told, folder=path.parent, lines=lines)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the settings, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Settings.model_json_schema(by_alias=True),
        "title": "fairprint settings",
    }


def _search(folder: Path) -> Path | None:
    for place in (folder, *folder.absolute().parents):
        own, shared = place / OWN_FILE, place / SHARED_FILE
        has = shared.is_file() and _has_table(shared, _shown(shared, folder))
        if own.is_file() and has:
            raise SettingsError(
                f"there are settings in {SHARED_FILE} beside it too",
                file=_shown(own, folder),
                hint="keep one of the two",
            )
        if own.is_file() or has:
            return own if own.is_file() else shared
        if (place / ".git").exists():
            return None
    return None


def _has_table(path: Path, told: str) -> bool:
    text = _text(path, told)
    if "fairprint" not in text:  # a file of other tools may be broken in ways that are not our business
        return False
    tool = _parsed(text, told).get("tool")
    return isinstance(tool, Mapping) and "fairprint" in tool


def _shown(path: Path, folder: Path) -> str:
    try:
        return path.absolute().relative_to(folder.absolute()).as_posix()
    except ValueError:
        return str(path)


def _text(path: Path, told: str) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise SettingsError("it is not written in UTF-8", file=told, line=line, hint="save it as UTF-8") from None
    except OSError as error:
        raise SettingsError(f"it cannot be read: {error.strerror}", file=told, hint="--config FILE") from None


def _parsed(text: str, told: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        at = _POSITION.search(str(error))
        line = int(at[1]) if at else None if isinstance(error, RecursionError) else text.count("\n") + 1
        said = _POSITION.sub("", str(error)).removesuffix(" (at end of document)").strip()
        raise SettingsError(f"it is no TOML: {said}", file=told, line=line, hint="https://toml.io tells how") from None


def _explained(
    error: ValidationError, data: Any, text: str, table: Sequence[str], told: str, lines: Sequence[int | None]
) -> SettingsError:
    """Turn the first of pydantic's errors into a sentence with a line."""
    first = error.errors()[0]
    place = [part for part in first["loc"] if part != "function-after"]
    in_limit = len(place) > 1 and place[0] == "limits" and isinstance(place[1], int)
    number = int(place[1]) if in_limit else None
    key = str(place[2 if in_limit else 0]) if len(place) > (2 if in_limit else 0) else ""
    line = _key_line(text, table, number, key) or (None if number is None else lines[number])
    where = "" if number is None else f" (limit {number + 1})"
    given = f", and here stands {_short(first['input'])}" if key and first["type"] != "missing" else ""
    if first["type"] == "extra_forbidden":
        model = Settings if number is None else Limit
        known = [field.alias or name for name, field in model.model_fields.items()]
        close = nearest(key.replace("_", "-"), known)
        return SettingsError(f"there is no key '{key}'{where}.{close}", file=told, line=line, hint=_SCHEMA_HINT)
    said = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "value_error":
        said, _, hint = said.partition(" | ")
        return SettingsError(said + where, file=told, line=line, hint=hint or _SCHEMA_HINT)
    said = said[:1].lower() + said[1:]
    return SettingsError(f"'{key}'{where}: {said}{given}", file=told, line=line, hint=_SCHEMA_HINT)


def _short(value: object) -> str:
    told = repr(value)
    return told if len(told) <= 60 else told[:57] + "..."


def _headers(text: str) -> Iterator[tuple[int, str]]:
    """Yield line and name of each table header, outside of strings of several lines."""
    inside = ""
    for number, line in enumerate(text.split("\n"), 1):
        rest = line
        if inside:
            if inside not in rest:
                continue
            rest, inside = rest.split(inside, 1)[1], ""
        elif header := re.match(r"\s*\[{1,2}\s*([A-Za-z0-9_.\"' -]+?)\s*\]{1,2}\s*(#.*)?$", rest):
            yield number, re.sub(r"[\s\"']", "", header[1]) + ("[]" if rest.lstrip().startswith("[[") else "")
        for quotes in ('"""', "'''"):
            if rest.count(quotes) % 2:
                inside = quotes
                break


def _entry_lines(text: str, table: Sequence[str], count: int) -> tuple[int | None, ...]:
    """Return the line of each ``[[...limits]]``; None for all where they are written in another way."""
    wanted = ".".join((*table, "limits")) + "[]"
    lines = [number for number, name in _headers(text) if name == wanted]
    return tuple(lines) if len(lines) == count else (None,) * count


def _key_line(text: str, table: Sequence[str], limit: int | None, key: str) -> int | None:
    """Return the line on which a key of the settings stands, or of one of the limits; None where that is not sure."""
    headers = [*_headers(text), (text.count("\n") + 2, "")]
    wanted = ".".join((*table, "limits")) + "[]" if limit is not None else ".".join(table)
    starts = [i for i, (_, name) in enumerate(headers[:-1]) if name == wanted]
    if limit is None and not table:
        first, last = 1, headers[0][0]
    elif len(starts) > (limit or 0):
        first, last = headers[starts[limit or 0]][0] + 1, headers[starts[limit or 0] + 1][0]
    else:
        return None
    pattern = re.compile(rf"\s*(?:{re.escape(key)}|\"{re.escape(key)}\"|'{re.escape(key)}')\s*=")
    lines = text.split("\n")
    found = [number for number in range(first, min(last, len(lines) + 1)) if pattern.match(lines[number - 1])]
    return found[0] if len(found) == 1 else None
