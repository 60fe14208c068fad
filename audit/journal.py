"""The journal of a metered run: one line of JSON for each sample and each mark, flushed to the disk as it goes on.

The first line is the `Opening`. Whatever ends the process, the lines before stay; a line that was cut off is left out.
A disk that is full never stops the run: what could not be written is kept in memory and written when there is room.
"""

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fairprint.audit.metered import Opening
from fairprint.probes.errors import StoreError

JOURNAL = "journal.jsonl"


class Journal:
    """The open journal of this process.

    Attributes:
        path: its file.
        failures: how often it could not be written.
    """

    def __init__(self, path: Path) -> None:
        """Make the file.

        Raises:
            StoreError: it cannot be made, or holds lines already.
        """
        self.path = path
        self.failures = 0
        self._waiting = b""
        self._lock = threading.RLock()  # a signal may come while this very thread writes
        try:
            self._file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(f"the journal {path.parent.name}/{path.name} cannot be made: {error.strerror}") from None

    def write(self, event: str, **told: Any) -> None:
        """Add a line; it is in the hands of the system at once, and on the disk after the next `sync`."""
        line = json.dumps({"event": event, **told}, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        with self._lock:
            self._waiting += line
            self._push()

    def sync(self) -> None:
        """Flush all lines to the disk."""
        with self._lock:
            self._push()
        with contextlib.suppress(OSError):  # a failing disk is no reason to stop either
            os.fsync(self._file)

    def content(self) -> bytes:
        """Return all lines, also those that could not be written."""
        with self._lock:
            try:
                return self.path.read_bytes() + self._waiting
            except OSError:
                return self._waiting

    def close(self) -> None:
        """Flush and close the file."""
        self.sync()
        with contextlib.suppress(OSError):
            os.close(self._file)

    def _push(self) -> None:
        try:
            while self._waiting:
                # on a full disk a part of a line may go; the rest follows it later
                self._waiting = self._waiting[os.write(self._file, self._waiting) :]
        except OSError:
            self.failures += 1


@dataclass(slots=True)
class Told:
    """What a journal says.

    Attributes:
        opening: its first line.
        events: the other lines, in order.
        lost: lines that cannot be read, without the last one, which a sudden end cuts off.
    """

    opening: Opening
    events: list[dict[str, Any]] = field(default_factory=list)
    lost: int = 0

    def of(self, event: str) -> Iterator[dict[str, Any]]:
        """Return the lines of one kind."""
        return (line for line in self.events if line["event"] == event)


def read_events(content: bytes) -> tuple[list[dict[str, Any]], int]:
    """Return the readable lines, and how many there are that are not; a last line without its end is left out."""
    whole, _, _ = content.rpartition(b"\n")
    events, lost = [], 0
    for line in whole.split(b"\n") if whole else ():
        try:
            event = json.loads(line)
            if not isinstance(event["event"], str):
                raise ValueError("no event")
        except (ValueError, TypeError, KeyError):
            lost += 1
        else:
            events.append(event)
    return events, lost


def read_journal(content: bytes, name: str) -> Told:
    """Return what a journal says, as far as it goes.

    Args:
        content: of the file.
        name: of the run, for errors.

    Raises:
        StoreError: not even its first line can be read.
    """
    first, _, rest = content.partition(b"\n")
    try:
        opening = Opening.model_validate({k: v for k, v in json.loads(first).items() if k != "event"})
    except (ValueError, AttributeError, ValidationError) as error:
        raise StoreError(f"the journal of {name} has no readable first line: {str(error).splitlines()[0]}") from None
    return Told(opening, *read_events(rest))
