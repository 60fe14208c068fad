"""Metered runs in the store, beside the audits.

RUN/journal.jsonl   samples and marks of the process that meters
RUN/marks/*.jsonl   marks of other processes that joined it
RUN/quality/*.jsonl answers of the trained model, from which its quality is known
RUN/lock            held while it goes on
RUN/run.json        the record; written last, so that a run without it was cut off, or still goes on
RUN/imported.json   of a run that another program metered, instead of the journal: which file its record was made of
"""

import contextlib
import fcntl
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from fairprint.audit.journal import JOURNAL, read_events, read_journal
from fairprint.audit.metered import MeteredRecord, Opening, Quality
from fairprint.audit.quality import FOLDER, QualityItem, as_lines, read_items
from fairprint.audit.records import to_json
from fairprint.audit.settling import record_of
from fairprint.audit.store import RunFolder, Store, StoredRun, chosen, new_run_id, read_stored, write_new
from fairprint.probes.errors import StoreError, UsageError

IMPORTED = "imported.json"
_NO_RECORD = "its journal is kept: make room and run fairprint runs recover"


class MeteredFolder(StoredRun):
    """One metered run in the store."""

    @property
    def journal(self) -> Path:
        """Where its journal is."""
        return self.path / JOURNAL

    def lock(self) -> int:
        """Hold the run while this process lives; return the open file."""
        file = os.open(self.path / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return file

    def alive(self) -> bool:
        """Whether a process meters it now."""
        with contextlib.suppress(OSError), (self.path / "lock").open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def new_marks(self) -> Path:
        """Return where this process, which is not the one that meters, may write its marks."""
        folder = self.path / "marks"
        folder.mkdir(exist_ok=True)
        return folder / f"{os.getpid()}-{os.urandom(3).hex()}.jsonl"

    def write_items(self, quality: Quality, items: Sequence[QualityItem]) -> Quality:
        """Write the items of a quality beside the journal; return the quality with its file.

        A disk that is full never stops a run: the value is noted then, and that the items are lost.
        """
        if not items:
            return quality
        name = f"{FOLDER}/{os.getpid()}-{os.urandom(3).hex()}.jsonl"
        try:
            (self.path / FOLDER).mkdir(exist_ok=True)
            write_new(self.path / name, as_lines(items).encode())
        except (OSError, StoreError) as error:
            lost = f"its items could not be written: {error}"
            return quality.model_copy(update={"sha256": None, "note": f"{quality.note}; {lost}".removeprefix("; ")})
        return quality.model_copy(update={"file": name})

    def quality_items(self, quality: Quality) -> tuple[QualityItem, ...]:
        """Return the items of a quality of this run (see `fairprint.audit.quality.read_items`)."""
        return read_items(self.path, quality)

    def settle(self, content: bytes | None = None, notes: Sequence[str] = ()) -> MeteredRecord:
        """Return the record that the journal gives.

        Args:
            content: of the journal, where a part of it is not on the disk; None to read the file.
            notes: what to say beside.

        Raises:
            StoreError: there is no readable journal.
        """
        if content is None:
            try:
                content = self.journal.read_bytes()
            except OSError as error:
                raise StoreError(f"{self.run_id}/{JOURNAL} cannot be read: {error.strerror}") from None
        others: list[dict[str, Any]] = []
        for file in sorted(self.path.glob("marks/*.jsonl")):
            with contextlib.suppress(OSError):
                others += read_events(file.read_bytes())[0]
        return record_of(read_journal(content, self.run_id), others, notes)

    def write_record(self, record: MeteredRecord) -> None:
        """Write the record, once."""
        write_new(self.path / "run.json", to_json(record).encode(), hint=_NO_RECORD)

    def opening(self) -> Opening | None:
        """Return what was known when it began; None where it ended before anything was metered."""
        with contextlib.suppress(OSError, StoreError), self.journal.open("rb") as file:
            return read_journal(file.readline(), self.run_id).opening
        return None

    def check_finished(self) -> None:
        """Refuse a run that is not finished.

        Raises:
            UsageError: its record has not been written.
        """
        if not self.finished:
            hint = "wait for its end" if self.alive() else f"fairprint runs recover {self.run_id} writes its record"
            raise UsageError(f"{self.run_id} is not finished", hint=hint)

    def record(self) -> MeteredRecord:
        """Return the record of a finished run."""
        return read_stored(self.path / "run.json", MeteredRecord)

    def recover(self) -> MeteredRecord:
        """Write and return the record of a run whose process ended without one.

        Raises:
            UsageError: it has a record, or still goes on.
            StoreError: its journal cannot be read, or the record cannot be written.
        """
        if self.finished:
            raise UsageError(f"{self.run_id} has its record already")
        if self.alive():
            raise UsageError(f"{self.run_id} still goes on", hint="wait for its end, or end its process")
        record = self.settle()
        self.write_record(record)
        return record


def begin_metered(store: Path, name: str, started: datetime) -> MeteredFolder:
    """Make the folder of a new metered run.

    Raises:
        UsageError: the store is no folder.
        StoreError: it cannot be written.
    """
    folder = MeteredFolder(Store(store).path / new_run_id(name, started))
    try:
        folder.path.mkdir(parents=True)
    except OSError as error:
        raise StoreError(f"the store {store} cannot be written: {error.strerror}") from None
    return folder


def metered_runs(store: Path) -> list[MeteredFolder]:
    """Return all metered runs, finished or not, oldest first."""
    found = {path.parent for name in (JOURNAL, IMPORTED) for path in store.glob(f"*/{name}")}
    return [MeteredFolder(path) for path in sorted(found)]


def find_metered(store: Path, run_id: str) -> MeteredFolder:
    """Return a metered run by its id, or by the beginning or end of it where that is unique; ``latest`` is the newest.

    Raises:
        UsageError: there is no such run, or several.
    """
    return chosen(metered_runs(store), run_id, store, "metered run")


def stored_runs(store: Path) -> list[RunFolder | MeteredFolder]:
    """Return all audits and metered runs, finished or not, oldest first.

    Raises:
        UsageError: the store is no folder.
    """
    return sorted([*Store(store).runs(), *metered_runs(store)], key=lambda run: run.run_id)


def find_stored(store: Path, run_id: str) -> RunFolder | MeteredFolder:
    """Return an audit or a metered run, as `find_metered` does.

    Raises:
        UsageError: there is no such run, or several.
    """
    return chosen(stored_runs(store), run_id, store)
