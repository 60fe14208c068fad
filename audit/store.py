"""The store: a folder of runs that only grows.

    RUN/plan.json                 all that fixes the scores; written first
    RUN/items/SET.parquet         the sentences that are asked
    RUN/scores/SET.INSTRUMENT.0000.parquet   one file a shard, written whole
    RUN/tokens/SET.INSTRUMENT.0000.txt   how many tokens went through the model for it
    RUN/segments/0000.begun.json  a process began to work on the run
    RUN/segments/0000.json        ... and this is what it cost; missing where it was killed
    RUN/run.json                  the record; written last, so a run without it is unfinished

Every file appears whole or not at all: it is written under another name, flushed to the disk and then renamed to its
place; nothing is ever written over.
"""

import contextlib
import errno
import fcntl
import hashlib
import io
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import ValidationError

from fairprint.audit.findings import Record
from fairprint.audit.records import Footprint, Plan, RunRecord, Segment, migrate, to_json
from fairprint.probes.errors import ResumeError, StoreError, UsageError, nearest
from fairprint.probes.items import Item
from fairprint.probes.scores import Score

R = TypeVar("R", bound=Record)
T = TypeVar("T")
S = TypeVar("S", bound="Stored")
_GO_ON = "what was finished is kept: make room and repeat the command with --resume"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRow:
    """One sentence of a probe set, as it is stored.

    Attributes:
        item: id of the item.
        group: id of the group that the sentence is about.
        start, end: the characters that are scored.
        directions, valence, covariate, word, answer, condition, flags: as in ``Item``, so that a run can be evaluated
            again when the probe file is gone; lists are joined by blanks. Runs of older versions lack them.
    """

    item: str
    template: str
    lexeme: str
    category: str
    group: str
    text: str
    start: int
    end: int
    directions: str = ""
    valence: int = 0
    covariate: float | None = None
    word: str = ""
    answer: str = ""
    condition: str = ""
    flags: str = ""


class StoredRun:
    """A run in the store, of whatever kind.

    Attributes:
        path: its folder; the last part is the run id.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self.path.name

    @property
    def finished(self) -> bool:
        """Whether the record has been written."""
        return (self.path / "run.json").is_file()


class RunFolder(StoredRun):
    """One audit in the store."""

    def plan(self) -> Plan:
        """Return what the run set out to do."""
        return read_stored(self.path / "plan.json", Plan)

    def record(self) -> RunRecord:
        """Return the record of a finished run."""
        return read_stored(self.path / "run.json", RunRecord)

    def check_finished(self) -> None:
        """Refuse a run that is not finished.

        Raises:
            UsageError: its record has not been written.
        """
        if not self.finished:
            raise UsageError(f"{self.run_id} is not finished", hint="repeat its audit command with --resume")

    def write_record(self, record: RunRecord) -> None:
        """Write the record, once."""
        write_new(self.path / "run.json", to_json(record).encode())

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes off this run while it is worked on; a killed process lets go by itself.

        Raises:
            ResumeError: another process works on it.
        """
        with (self.path / "lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ResumeError(f"another process is working on {self.run_id}") from None
            yield

    def write_items(self, name: str, items: Sequence[Item]) -> None:
        """Keep the sentences of a probe set, once: a report shows them when the probe file is gone."""
        if not self._items(name).is_file():
            rows = [
                ItemRow(
                    item=item.id,
                    template=item.template,
                    lexeme=item.lexeme,
                    category=item.category,
                    group=variant.group,
                    text=variant.text,
                    start=variant.span[0],
                    end=variant.span[1],
                    directions=" ".join(map(str, item.directions)),
                    valence=item.valence,
                    covariate=item.covariate,
                    word=item.word,
                    answer=item.answer,
                    condition=item.condition,
                    flags=" ".join(item.flags),
                )
                for item in items
                for variant in item.variants
            ]
            write_new(self._items(name), _to_parquet(rows, ItemRow))

    def item_sets(self) -> list[str]:
        """Names of the probe sets whose sentences are kept, sorted."""
        return sorted(file.name.removesuffix(".parquet") for file in (self.path / "items").glob("*.parquet"))

    def read_items(self, name: str) -> list[ItemRow]:
        """Return the sentences of a probe set that the run asked."""
        return _from_parquet(self._items(name), ItemRow)

    def has_shard(self, name: str) -> bool:
        """Whether a shard has been written."""
        return self._shard(name).is_file()

    def write_shard(self, name: str, scores: Sequence[Score], tokens: int | None = None) -> None:
        """Write the scores of one shard, and how many tokens went through the model for them, where that is known."""
        count = self._tokens(name)
        # first, so that a shard that is there has its count; beside it, since the same scores are the same file
        if tokens is not None and not count.is_file():
            count.parent.mkdir(exist_ok=True)
            write_new(count, str(tokens).encode())
        write_new(self._shard(name), _to_parquet(scores, Score))

    def read_shard(self, name: str) -> list[Score]:
        """Return the scores of one shard."""
        return _from_parquet(self._shard(name), Score)

    def tokens(self, names: Sequence[str]) -> int | None:
        """Return how many tokens went through the model for some shards; None where one of them does not say."""
        counts = [self._tokens(name) for name in names]
        if not counts or not all(count.is_file() for count in counts):
            return None
        return sum(int(count.read_text(encoding="ascii")) for count in counts)

    def shard_names(self) -> list[str]:
        """Names of the shards that have been written, sorted."""
        return sorted(file.name.removesuffix(".parquet") for file in (self.path / "scores").glob("*.parquet"))

    def shard_hashes(self, names: Sequence[str]) -> dict[str, str]:
        """Return the sha256 of the file of each shard."""
        return {name: hashlib.sha256(self._shard(name).read_bytes()).hexdigest() for name in names}

    def begin_segment(self, started_at: str) -> int:
        """Note that a process begins to work; return the number of its segment."""
        number = len(list((self.path / "segments").glob("*.begun.json")))
        write_new(self._segment(number, ".begun"), json.dumps({"started_at": started_at}).encode())
        return number

    def end_segment(self, number: int, footprint: Footprint) -> None:
        """Write what a segment cost."""
        write_new(self._segment(number), to_json(footprint).encode())

    def segments(self) -> tuple[list[Footprint], list[Segment]]:
        """Return the footprints of the segments that ended, and the segments that were killed."""
        ended, dead = [], []
        for begun in sorted((self.path / "segments").glob("*.begun.json")):
            end = begun.with_name(begun.name.replace(".begun", ""))
            if end.is_file():
                ended.append(read_stored(end, Footprint))
            else:
                started = json.loads(begun.read_text())["started_at"]
                note = "killed before its end: not metered"
                dead.append(Segment(started_at=started, duration_s=None, metered=False, note=note))
        return ended, dead

    def _shard(self, name: str) -> Path:
        return self.path / "scores" / f"{name}.parquet"

    def _tokens(self, name: str) -> Path:
        return self.path / "tokens" / f"{name}.txt"

    def _items(self, name: str) -> Path:
        return self.path / "items" / f"{name}.parquet"

    def _segment(self, number: int, suffix: str = "") -> Path:
        return self.path / "segments" / f"{number:04d}{suffix}.json"


class Store:
    """A folder of runs.

    Args:
        path: the folder; it is made with the first run.

    Raises:
        UsageError: the path is something else than a folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.exists() and not path.is_dir():
            raise UsageError(f"the store {path} is not a folder", hint="--store takes a folder; it is made if missing")

    def begin(self, plan: Plan, started: datetime) -> RunFolder:
        """Make the folder of a new run and write its plan."""
        run = RunFolder(self.path / new_run_id(plan.model.name, started))
        try:
            for part in ("items", "scores", "segments"):
                (run.path / part).mkdir(parents=True)
        except OSError as error:
            raise StoreError(f"the store {self.path} cannot be written: {error.strerror}") from None
        try:
            write_new(run.path / "plan.json", to_json(plan).encode(), hint="make room and repeat the command")
        except StoreError:
            shutil.rmtree(run.path, ignore_errors=True)  # nothing is in it yet
            raise
        return run

    def runs(self) -> list[RunFolder]:
        """Return all runs, finished or not, oldest first."""
        return [RunFolder(path.parent) for path in sorted(self.path.glob("*/plan.json"))]

    def find(self, run_id: str) -> RunFolder:
        """Return a run by its id, or by the beginning or end of it where that is unique; ``latest`` is the newest.

        Raises:
            UsageError: there is no such run, or several.
        """
        return chosen(self.runs(), run_id, self.path)

    def unfinished(self, model_name: str) -> RunFolder:
        """Return the newest unfinished run of a model.

        Raises:
            ResumeError: there is none.
        """
        found = [run for run in self.runs() if not run.finished and run.plan().model.name == model_name]
        if not found:
            raise ResumeError(
                f"no unfinished run of {model_name} in {self.path}", hint="leave out --resume to begin one"
            )
        return found[-1]


class Stored(Protocol):
    """A run in a store, of whatever kind."""

    @property
    def run_id(self) -> str:
        """Its id."""
        ...


def chosen(runs: Sequence[S], run_id: str, store: Path, kind: str = "run") -> S:
    """Return a run by its id, or by the beginning or end of it where that is unique; ``latest`` is the last one.

    Raises:
        UsageError: there is no such run, or several.
    """
    if run_id == "latest" and runs:
        return runs[-1]
    exact = [run for run in runs if run.run_id == run_id]
    found = exact or [run for run in runs if run.run_id.startswith(run_id) or run.run_id.endswith(run_id)]
    if len(found) == 1 and run_id:
        return found[0]
    if not found or not run_id:
        hint = "fairprint runs list shows them" if runs else f"no {kind} is stored here"
        near = nearest(run_id, [run.run_id for run in runs])
        raise UsageError(f"no {kind} '{run_id}' in {store}.{near}", hint=hint)
    raise UsageError(f"'{run_id}' could be {', '.join(run.run_id for run in found)}")


def new_run_id(name: str, started: datetime, digits: str = "") -> str:
    """Return an id for a run: when it began, of what, and four digits, by chance where they are not given."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "model"
    # milliseconds, so that ids sort in the order of the runs
    return f"{started:%Y%m%dT%H%M%S}{started.microsecond // 1000:03d}Z-{slug}-{digits or secrets.token_hex(2)}"


def plan_differences(before: Plan, now: Plan) -> list[str]:
    """Return what differs between two plans, a line each: ``options.seed: was 0, is 1``."""

    def walk(place: str, old: Any, new: Any) -> Iterator[str]:
        if isinstance(old, dict) and isinstance(new, dict):
            for key in sorted({*old, *new}):
                yield from walk(f"{place}.{key}" if place else key, old.get(key), new.get(key))
        elif old != new:
            yield f"{place}: was {old}, is {new}"

    return list(walk("", before.model_dump(mode="json"), now.model_dump(mode="json")))


def read_stored(path: Path, kind: type[R]) -> R:
    """Return a stored record.

    Raises:
        StoreError: it cannot be read.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return kind.model_validate(migrate(data) if kind is RunRecord else data)
    except (OSError, ValueError, ValidationError) as error:
        raise StoreError(f"{path.parent.name}/{path.name} cannot be read: {str(error).splitlines()[0]}") from None


def write_new(path: Path, content: bytes, hint: str = _GO_ON) -> None:
    """Write a file whole, or not at all; never over another one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.exists():
            raise FileExistsError(errno.EEXIST, "it exists already")
        with temporary.open("wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.rename(path)
    except OSError as error:
        raise StoreError(f"{path.parent.name}/{path.name} cannot be written: {error.strerror}", hint=hint) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _to_parquet(rows: Sequence[Any], kind: type[Any]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    types = {"str": pyarrow.string(), "int": pyarrow.int32(), "float | None": pyarrow.float64()}
    told = {field.name: getattr(field.type, "__name__", str(field.type)) for field in fields(kind)}
    schema = pyarrow.schema([(name, types[type_]) for name, type_ in told.items()])
    columns = {name: [getattr(row, name) for row in rows] for name in told}
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns, schema=schema), buffer, compression="zstd")
    return buffer.getvalue()


def _from_parquet(path: Path, kind: type[T]) -> list[T]:
    import pyarrow.parquet

    try:
        rows = pyarrow.parquet.ParquetFile(path).read().to_pylist()  # read_table would load pandas, in a second
    except (OSError, ValueError) as error:
        raise StoreError(f"{path.parent.name}/{path.name} cannot be read: {error}") from None
    return [kind(**row) for row in rows]
