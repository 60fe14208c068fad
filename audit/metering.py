"""The metered run of this process: one tracker, one journal, one record, whatever ends it."""

import atexit
import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from fairprint.audit.budget import Budget, Outcome
from fairprint.audit.carbon import Conditions, remarks_of
from fairprint.audit.carbon_sensors import Reading, Session, torch_gpus, why
from fairprint.audit.cpu_time import cpu_seconds
from fairprint.audit.journal import Journal
from fairprint.audit.metered import MeteredRecord, Opening, Purpose, Quality
from fairprint.audit.metered_store import MeteredFolder, begin_metered
from fairprint.audit.neighbours import Neighbours, boot, machine
from fairprint.audit.provenance import machine_environment
from fairprint.audit.quality import QualityItem
from fairprint.audit.records import Clock
from fairprint.probes.errors import FairprintError

log = logging.getLogger("fairprint")

METER = "FAIRPRINT_METER"
"""Environment variable that tells the programs which a run starts where it is: its folder."""

STALE_S = 0.25
"""A mark takes a sample of its own where the last one is older; else it is read off between two samples."""

CPU_EVERY_S = 10.0
"""How often CPU-seconds are noted between marks: finding all child processes takes a millisecond and more."""

_ENDING = (signal.SIGTERM, signal.SIGHUP)
Kind = Literal["training", "trial", "metered command"]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a run is, what for, the run it is a part of, the runs that it began from, and what it may use.

    Of a metered command, this process only waits for the one that works: it leaves the signals to whoever passes them
    on, and its own CPU-seconds are none of the run's.
    """

    kind: Kind
    name: str
    purpose: Purpose | None = None
    task: str = ""
    parent: str | None = None
    lineage: tuple[str, ...] = ()
    budget: Budget | None = None

    @property
    def aside(self) -> bool:
        """Whether another process does the work."""
        return self.kind == "metered command"


class Run:
    """One metered run; `measure` makes it.

    Attributes:
        folder: where it is stored.
        record: what it cost; None until it has ended.
        exhausted: set once the budget is spent.
    """

    def __init__(self, store: Path, about: About, conditions: Conditions) -> None:
        """Start to meter.

        Raises:
            UsageError, StoreError: the store cannot be used. A meter that does not start is none: the record says so.
        """
        self.record: MeteredRecord | None = None
        self.exhausted = threading.Event()
        self._about, self._conditions = about, conditions
        self._done = False
        self._opened = False
        self._guard = threading.RLock()
        self._session: Session | None = None
        self._first: Reading | None = None
        self._spent_kwh = 0.0
        self._outcome: Outcome = "kept"
        self._cpu_at = -CPU_EVERY_S
        self._numbers = 0
        self._untold: dict[str, Mapping[str, Any]] = {}
        self._handlers: dict[int, Any] = {}
        self._pid = os.getpid()
        started = datetime.now(UTC)
        self.folder: MeteredFolder = begin_metered(store, about.name, started)
        self._lock = self.folder.lock()
        self._journal = Journal(self.folder.journal)
        self._neighbours = Neighbours(self.folder.run_id)
        self._open(started)

    def _open(self, started: datetime) -> None:
        failure, cpu = None, None
        try:
            self._session = Session(interval_s=self._conditions.interval_s, on_sample=self._sampled)
            cpu = cpu_seconds(itself=not self._about.aside)
            self._first = self._session.last()  # the sample with which CodeCarbon starts: nothing is spent yet
        except Exception as error:
            failure = f"metering did not start{why(error)}"
            log.warning("%s; the run goes on", failure)
        self.begin_clock_s = self._first.clock_s if self._first is not None else time.perf_counter()
        about, conditions = self._about, self._conditions
        opening = Opening(
            run_id=self.folder.run_id,
            kind=about.kind,
            name=about.name,
            purpose=about.purpose,
            task=about.task,
            parent=about.parent,
            lineage=about.lineage,
            started_at=started.strftime("%Y-%m-%dT%H:%M:%SZ"),
            clock=Clock(machine=machine(), boot=boot(), begin_s=self.begin_clock_s, end_s=self.begin_clock_s),
            environment=machine_environment(),
            components=self._session.components if self._session else (),
            gpus=self._session.gpus if self._session else 0,
            own_cpu_s=cpu[0] if cpu else None,
            machine_cpu_s=cpu[1] if cpu else None,
            interval_s=conditions.interval_s,
            grid=conditions.grid,
            pue=conditions.pue,
            wue=conditions.wue,
            failure=failure,
        )
        self._journal.write("open", **opening.model_dump(mode="json"))
        self._opened = True
        if self._first is not None:
            self._write_sample(self._first)
        self._look_around()
        self._tell_budget()
        self._journal.sync()
        os.environ[METER] = str(self.folder.path.resolve())
        atexit.register(self._at_exit)
        if threading.current_thread() is threading.main_thread() and not about.aside:
            for number in _ENDING:
                self._handlers[number] = signal.signal(number, self._on_signal)

    # marks

    def begin(self, name: str, phase: str, parent: str) -> str:
        """Mark the begin of a span; return its number."""
        with self._guard:
            self._numbers += 1
            span = str(self._numbers)
        self._mark("begin", span=span, parent=parent, name=name, phase=phase)
        return span

    def end(self, span: str, status: str, note: str) -> None:
        """Mark the end of a span."""
        self._mark("end", span=span, status=status, note=note)

    def count(self, span: str, work: Mapping[str, Any]) -> None:
        """Take down the work that a span has done so far; as it is at the next sample it is written.

        Called at every step of a training, so that it does as little as can be.
        """
        self._untold[span] = work

    def quality(self, span: str, found: Quality, items: Sequence[QualityItem]) -> None:
        """Take down how good the model is that was trained in a span."""
        found = self.folder.write_items(found, items)
        self._journal.write("quality", span=span, quality=found.model_dump(mode="json"))
        self._journal.sync()

    def check(self, text: str) -> None:
        """Take down what a reader must know of the numbers."""
        self._journal.write("check", text=text)

    def note(self, text: str) -> None:
        """Take down a remark."""
        self._journal.write("note", text=text)

    def so_far_kwh(self) -> float:
        """Return the energy up to the last sample."""
        return self._spent_kwh

    @property
    def limit_kwh(self) -> float | None:
        """Energy at which the budget is spent; None without one."""
        budget = self._about.budget
        return None if budget is None else budget.limit_kwh(self._conditions.grid, self._conditions.pue)

    def _mark(self, event: str, **told: Any) -> None:
        if self._done or os.getpid() != self._pid:
            return
        now_s = time.perf_counter()
        self._tell_work()
        self._journal.write(event, t=now_s - self.begin_clock_s, **told, **self._cpu())
        self._sample(now_s)

    def _sample(self, now_s: float, *, final: bool = False) -> None:
        if self._session is None or self._first is None:
            return
        if final or now_s - self._session.last().clock_s > STALE_S:
            try:
                self._write_sample(self._session.finish() if final else self._session.read())
            except Exception as error:
                self.check(f"a sample failed{why(error)}")

    def _cpu(self) -> dict[str, float]:
        self._cpu_at = time.perf_counter()
        cpu = cpu_seconds(itself=not self._about.aside)
        return {} if cpu is None else {"own_cpu_s": cpu[0], "machine_cpu_s": cpu[1]}

    # samples

    def _sampled(self) -> None:
        """What the sampling thread does after each sample."""
        if not self._opened or self._done or self._session is None or os.getpid() != self._pid:
            return
        try:
            self._tell_work()
            due = time.perf_counter() - self._cpu_at >= CPU_EVERY_S
            self._write_sample(self._session.last(), **(self._cpu() if due else {}))
            self._look_around()
            self._journal.sync()
        except Exception as error:  # nothing that goes wrong here may end the run
            log.debug("the meter's thread", exc_info=error)

    def _write_sample(self, reading: Reading, **cpu: float) -> None:
        first = self._first or reading
        kwh = {name: value - first.energy_kwh[name] for name, value in reading.energy_kwh.items()}
        seen = torch_gpus()
        told: dict[str, Any] = {"gpus_seen": seen} if seen else {}
        self._journal.write(
            "sample",
            t=reading.clock_s - self.begin_clock_s,
            kwh=kwh,
            covered_s=reading.covered_s - first.covered_s,
            **told,
            **cpu,
        )
        self._spent_kwh = sum(kwh.values())
        self._check_budget()

    def _tell_work(self) -> None:
        while self._untold:
            with contextlib.suppress(KeyError):  # the sampling thread and a mark may both tell
                span, work = self._untold.popitem()
                self._journal.write("work", span=span, work=dict(work))

    def _look_around(self) -> None:
        for other in self._neighbours.look():
            self._journal.write("overlap", **other.model_dump(mode="json"))

    def _check_budget(self) -> None:
        budget, limit_kwh = self._about.budget, self.limit_kwh
        if budget is None or limit_kwh is None:
            return
        share = self._spent_kwh / limit_kwh
        outcome: Outcome = "exceeded" if share >= 1 else "warned" if share >= budget.warn_share else "kept"
        if outcome == self._outcome or self._outcome in ("exceeded", "stopped"):
            return
        self._outcome = outcome
        told = f"{100 * share:.0f} % of the budget is spent: {self._spent_kwh:.3g} of {limit_kwh:.3g} kWh"
        log.warning("%s", told)
        self._tell_budget(told)
        if outcome == "exceeded":
            self.exhausted.set()

    def stopped_by_budget(self) -> None:
        """Take down that the budget ended the work, cleanly."""
        if self._about.budget is not None and self._outcome != "stopped":
            self._outcome = "stopped"
            self._tell_budget(f"stopped at {self._spent_kwh:.3g} kWh, since the budget was spent")

    def _tell_budget(self, *remarks: str) -> None:
        if self._about.budget is not None:
            told = self._about.budget.told(self._outcome, *remarks)
            self._journal.write("budget", budget=told.model_dump(mode="json"))

    # the end

    def finish(self, status: Literal["complete", "truncated"], note: str = "", exit_code: int | None = None) -> None:
        """End the run and write its record; a second call does nothing. Nothing that goes wrong here is raised."""
        if self._done or os.getpid() != self._pid:
            return
        now_s = time.perf_counter()
        cpu = self._cpu()
        self._tell_work()
        self._sample(now_s, final=True)
        self._done = True
        with contextlib.suppress(Exception):
            for text in remarks_of(self._session) if self._session else ():
                self.check(text)
            self._look_around()
        told = {} if exit_code is None else {"exit_code": exit_code}
        self._journal.write("close", t=now_s - self.begin_clock_s, status=status, note=note, **told, **cpu)
        self._let_go()
        self._journal.sync()
        try:
            failures = self._journal.failures
            lost = (f"the journal could not be written {failures} times: the disk was full or gone",)
            self.record = self.folder.settle(self._journal.content(), lost if failures else ())
            self.folder.write_record(self.record)
        except (FairprintError, OSError) as error:
            log.warning("the record of %s could not be written: %s", self.folder.run_id, error)
        self._journal.close()
        with contextlib.suppress(OSError):
            os.close(self._lock)

    def _let_go(self) -> None:
        """Give back what this run took of the process."""
        if os.environ.get(METER) == str(self.folder.path.resolve()):
            del os.environ[METER]
        self._give_back()
        if self._session is not None:
            self._session.close()
        self._neighbours.leave()

    def _give_back(self) -> None:
        """Give back the signals and the end of the process."""
        atexit.unregister(self._at_exit)
        for number, before in self._handlers.items():
            with contextlib.suppress(ValueError):  # not the main thread: the handler stays, and hands on
                if signal.getsignal(number) == self._on_signal:
                    signal.signal(number, signal.SIG_DFL if before is None else before)

    def _at_exit(self) -> None:
        self.finish("truncated", "the program ended while it was metered")

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        before: Callable[[int, FrameType | None], Any] | int | None = self._handlers.get(number)
        name = signal.Signals(number).name
        if callable(before):  # the program has its own way to end; it may also go on
            self.note(f"{name} came")
            self._journal.sync()
            before(number, frame)
        elif before != signal.SIG_IGN:
            self.finish("truncated", f"ended by {name}")
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def forget(self) -> None:
        """In a forked child: this run is the parent's."""
        self._done = True
        self._give_back()
        with contextlib.suppress(OSError):
            os.close(self._lock)
