"""Where the marks of a span go: to the run of this process, to that of another one, or nowhere."""

import os
import time
from collections.abc import Sequence
from typing import Any, Protocol

from fairprint.audit.budget import Budget
from fairprint.audit.cpu_time import cpu_seconds
from fairprint.audit.journal import Journal, read_journal
from fairprint.audit.metered import MeteredRecord, Quality
from fairprint.audit.metered_store import MeteredFolder
from fairprint.audit.quality import QualityItem
from fairprint.audit.settling import ROOT

_TELL_EVERY_S = 1.0


class Host(Protocol):
    """Where the marks of a span go."""

    @property
    def folder(self) -> MeteredFolder | None:
        """Where the run is stored."""

    @property
    def record(self) -> MeteredRecord | None:
        """What the run cost, where this process meters it and it has ended."""

    def begin(self, name: str, phase: str, parent: str) -> str:
        """Mark the begin of a span; return its number."""

    def end(self, span: str, status: str, note: str) -> None:
        """Mark the end of a span."""

    def count(self, span: str, work: dict[str, Any]) -> None:
        """Take down the work that a span has done so far."""

    def quality(self, span: str, found: Quality, items: Sequence[QualityItem]) -> None:
        """Take down how good the model is that was trained in a span."""


class Joined:
    """The run of another process, to which this one adds marks."""

    record: MeteredRecord | None = None

    def __init__(self, folder: MeteredFolder) -> None:
        self.folder: MeteredFolder | None = folder
        self._folder, self.path = folder, folder.path
        self._begin_clock_s = read_journal(folder.journal.read_bytes(), folder.run_id).opening.clock.begin_s
        self._journal = Journal(folder.new_marks())
        self._numbers = 0
        self._work: dict[str, dict[str, Any]] = {}
        self._told_at = time.monotonic()

    def begin(self, name: str, phase: str, parent: str) -> str:
        """Mark the begin of a span; return its number."""
        self._numbers += 1
        span = f"{os.getpid()}.{self._numbers}"
        self._write("begin", span=span, parent=parent, name=name, phase=phase)
        return span

    def end(self, span: str, status: str, note: str) -> None:
        """Mark the end of a span."""
        self._tell_work()
        self._write("end", span=span, status=status, note=note)

    def count(self, span: str, work: dict[str, Any]) -> None:
        """Take down the work that a span has done so far."""
        self._work[span] = work
        if time.monotonic() - self._told_at >= _TELL_EVERY_S:
            self._tell_work()

    def quality(self, span: str, found: Quality, items: Sequence[QualityItem]) -> None:
        """Take down how good the model is that was trained in a span."""
        found = self._folder.write_items(found, items)
        self._write("quality", span=span, quality=found.model_dump(mode="json"))

    def _tell_work(self) -> None:
        self._told_at = time.monotonic()
        for span, work in self._work.items():
            self._journal.write("work", span=span, work=work)
        self._work.clear()

    def _write(self, event: str, **told: Any) -> None:
        cpu = cpu_seconds()
        seconds = {} if cpu is None else {"own_cpu_s": cpu[0], "machine_cpu_s": cpu[1]}
        self._journal.write(event, t=time.perf_counter() - self._begin_clock_s, **told, **seconds)
        self._journal.sync()


class Elsewhere:
    """Nothing: another process of this machine meters."""

    folder: MeteredFolder | None = None
    record: MeteredRecord | None = None

    def __init__(self, budget: Budget | None) -> None:
        self.budget = budget

    def begin(self, name: str, phase: str, parent: str) -> str:
        """Mark the begin of a span; return its number."""
        return ROOT

    def end(self, span: str, status: str, note: str) -> None:
        """Mark the end of a span."""

    def count(self, span: str, work: dict[str, Any]) -> None:
        """Take down the work that a span has done so far."""

    def quality(self, span: str, found: Quality, items: Sequence[QualityItem]) -> None:
        """Take down how good the model is that was trained in a span."""
