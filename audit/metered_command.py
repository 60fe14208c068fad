"""A command under the meter: ``fairprint meter -- python train.py``."""

import contextlib
import math
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairprint.audit.meter import Span, active
from fairprint.audit.metered import Fate, MeteredRecord
from fairprint.audit.metering import Run
from fairprint.audit.process_group import (
    Child,
    Witness,
    adopt_orphans,
    ended_early,
    find_program,
    held_back,
    occupy_closed_streams,
)
from fairprint.probes.errors import CommandError, StoreError, UsageError

LOOK_EVERY_S = 0.25
"""How often the budget is looked at."""

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a metered command ended.

    Attributes:
        exit_code: its own, or 128 + n after signal n.
        run_id: run that it is, or whose span it is; None where another process of the machine meters.
        joined: whether it is a span of the run of another process.
        record: of the run; None where it is a span of another run, or could not be written.
    """

    exit_code: int
    run_id: str | None
    joined: bool
    record: MeteredRecord | None


class _Limit:
    """Asks the command to stop, once, when the budget is spent."""

    def __init__(self, run: Run, child: Child, grace_s: float, tell: Callable[[str], None]) -> None:
        self._run, self._child, self._grace_s, self._tell = run, child, grace_s, tell
        self._asked_at: float | None = None
        self._warned = False

    def look(self) -> None:
        if not self._run.exhausted.is_set():
            return
        if self._asked_at is None:
            self._asked_at = time.monotonic()
            self._tell("the budget is spent: SIGTERM was sent to the command")
            self._child.send(signal.SIGTERM)
        elif not self._warned and self._since_s() > self._grace_s:
            self._warned = True
            self._tell(f"the command goes on {self._grace_s:g} s after SIGTERM; it is not killed")

    def settle(self) -> None:
        """Take down whether it stopped."""
        if self._asked_at is None:
            return
        if self._since_s() <= self._grace_s:
            self._run.stopped_by_budget()
        else:
            self._run.check(f"the command went on for {self._since_s():.0f} s after it was asked to stop")

    def _since_s(self) -> float:
        return 0.0 if self._asked_at is None else time.monotonic() - self._asked_at


def run_command(
    command: Sequence[str], span: Span, *, grace_s: float = 30.0, tell: Callable[[str], None] = lambda text: None
) -> Ended:
    """Run a command in the process group of this process, and meter it until it ends.

    Its descendants that outlive their parents are taken in, and counted; the run ends when the command itself does.
    The command is never killed. To be called in the main thread, which the signals come to.

    Args:
        command: the program and its arguments.
        span: of `measure` with the kind ``metered command``, not begun.
        grace_s: seconds after which it is told that the command goes on although its budget is spent.
        tell: what to do with remarks for the user.

    Raises:
        CommandError: the program is not found or cannot be executed.
        UsageError: the store cannot be used, or the grace is impossible; nothing was started.
    """
    if not (math.isfinite(grace_s) and grace_s >= 0):
        raise UsageError(f"a grace of {grace_s} s is impossible: expected 0 or more")
    path = find_program(command[0])
    occupy_closed_streams()
    with contextlib.ExitStack() as at_end:
        with held_back() as mask:
            witness = Witness()
            at_end.callback(witness.close)
            adopting = adopt_orphans()
            outer = active()
            _start(span)
            run = active() if outer is None else None
            early = ended_early()
            if early is not None:
                name = signal.Signals(early).name
                return _ended(span, run, 128 + early, f"ended by {name} before the command was started")
            try:
                child = Child(path, command, witness, mask, reap_all=adopting)
            except CommandError as error:
                _ended(span, run, error.exit_code, "the command could not be executed")
                raise
            at_end.callback(child.let_go)
        if run is None:
            code = child.wait(None, lambda: None)
        else:
            limit = _Limit(run, child, grace_s, tell)
            code = child.wait(LOOK_EVERY_S, limit.look)
            limit.settle()
            _check_processes(run, witness, adopting)
        return _ended(span, run, code, _how(code))


def name_of(command: Sequence[str]) -> str:
    """Return what a command is called: its program, or of Python its script or module; never its arguments.

    >>> name_of(["/usr/bin/python3", "-u", "jobs/train.py", "--lr", "1"]), name_of(["python", "-m", "pkg.train"])
    ('train.py', 'pkg.train')
    >>> name_of(["torchrun", "--nproc-per-node", "2", "train.py"]), name_of(["python", "-c", "print(1)"])
    ('torchrun', 'python')
    """
    # what is no text in any encoding is shown by its numbers
    command = [word.encode("utf-8", "backslashreplace").decode() for word in command]
    program = Path(command[0]).name
    if not program.startswith("python"):
        return program
    rest = command[1:]
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option == "-m" and rest:
            return rest[0]
        if option in ("-c", "-"):
            return program
        if option in ("-W", "-X") and rest:
            rest.pop(0)
    return Path(rest[0]).name if rest else program


def _start(span: Span) -> None:
    try:
        span.start()
    except StoreError as error:
        # nothing was written, and the command was not started
        raise UsageError(error.message, hint="--store takes a folder that can be written") from None


def _ended(span: Span, run: Run | None, code: int, note: str) -> Ended:
    fate: Fate = "done" if code == 0 else "failed"
    if run is not None:
        run.finish("complete" if code == 0 else "truncated", note, exit_code=code)
    span.stop(fate, note)
    return Ended(
        exit_code=code,
        run_id=span.run_id,
        joined=run is None and span.run_id is not None,
        record=None if run is None else run.record,
    )


def _how(code: int) -> str:
    if code == 0:
        return ""
    with contextlib.suppress(ValueError):
        if code > 128:
            return f"the command ended with exit code {code}, as after {signal.Signals(code - 128).name}"
    return f"the command ended with exit code {code}"


def _check_processes(run: Run, witness: Witness, adopting: bool) -> None:
    """Take down whose CPU-seconds are not all counted."""
    if not adopting:
        run.check("CPU-seconds of processes that outlived their parent are not counted: only Linux can tell them")
    import psutil

    names = []
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(os.getpid()).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if process.pid != witness.pid and process.status() != psutil.STATUS_ZOMBIE:
                    names.append(process.name())
    if names:
        who = "1 process" if len(names) == 1 else f"{len(names)} processes"
        shown = ", ".join(sorted(set(names))[:_MOST_NAMED])
        run.check(
            f"{who} of the command still ran when it ended ({shown}): their CPU-seconds up to then are counted, and "
            "nothing that they used later"
        )
