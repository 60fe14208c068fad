"""A program that runs in the process group of this one, as if nothing stood between it and whoever started it.

It inherits stdin, stdout, stderr, the terminal and what is ignored. Signals that come to this process alone are passed
on to it; those that came to the whole group, such as by Ctrl-C or ``kill %1``, have reached it already.
"""

import contextlib
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from fairprint.probes.errors import CommandError

ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
PASSED_ON = (*ENDING, signal.SIGUSR1, signal.SIGUSR2)
_PR_SET_CHILD_SUBREAPER = 36
_SETTLE_S = 0.005
"""The kernel gives a signal to one process of a group after the other; this is time enough for the last one."""

_START_S, _ANSWER_S = 10.0, 2.0

# Neither the word nor the arguments of this program are in it: pkill by name would find it as well, and a signal that
# both of them got counts as one to the group. What came alone, long before it is asked, is forgotten.
_WITNESS = """
import os, select, signal, sys, time
watched, came = set(map(int, sys.argv[1:])), {}
while True:
    asked, _, _ = select.select([0], [], [], 1)
    for number in signal.sigpending() & watched:
        signal.sigwait({number})
        came[number] = time.monotonic()
    if asked:
        if not os.read(0, 1):
            break
        recent = [number for number, at in came.items() if time.monotonic() - at < 2]
        os.write(1, bytes([len(recent), *recent]))
        came.clear()
"""


def find_program(name: str) -> str:
    """Return the path of a program, searched for as a shell does.

    Raises:
        CommandError: there is none (127), or it cannot be executed (126).
    """
    found = shutil.which(name)
    if found is not None:
        return found
    placed = os.sep in name
    folders = [""] if placed else os.environ.get("PATH", os.defpath).split(os.pathsep)
    paths = [Path(folder, name) for folder in folders] if name else []
    there = [path for path in paths if path.exists() and (placed or not path.is_dir())]
    if there:
        if there[0].is_dir():
            raise CommandError(f"{there[0]} is a folder", exit_code=126)
        hint = "chmod +x it, or name its interpreter: python train.py"
        raise CommandError(f"{there[0]} is not executable", exit_code=126, hint=hint)
    raise CommandError(
        f"the command '{name}' was not found", exit_code=127, hint="what follows -- is a program and its arguments"
    )


def adopt_orphans() -> bool:
    """Become the parent of every descendant whose own parent ends, so that its CPU-seconds are counted.

    Returns:
        Whether the system can do that (Linux: prctl(2), PR_SET_CHILD_SUBREAPER).
    """
    if not sys.platform.startswith("linux"):
        return False
    with contextlib.suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    return False


def occupy_closed_streams() -> None:
    """Keep files of this process from becoming its stdin, stdout or stderr where it was started without one of them.

    A program that it starts is without it as well.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)  # takes the lowest number that is free


@contextlib.contextmanager
def held_back() -> Iterator[set[int]]:
    """Hold back the signals that are passed on while its block runs; give what was held back before.

    Threads and programs that are started meanwhile hold them back as well.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    try:
        yield set(before)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ended_early() -> int | None:
    """Return the signal that came while it was held back and would have ended this process, or None; it is taken."""
    for number in signal.sigpending() & set(ENDING):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.sigwait({number})
            return int(number)
    return None


class Witness:
    """A process of the group that does nothing but see which signals come to the group.

    That cannot be told from the signal: one from the terminal says so, but one by kill(-group) looks like one by kill.
    It is to be started while the signals are held back, and ends when this process does, in whatever way.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        with contextlib.suppress(OSError):  # without it all signals are passed on
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _WITNESS, *(str(int(number)) for number in PASSED_ON)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
            )
            self.saw(within_s=_START_S)  # when it answers it is there

    @property
    def pid(self) -> int | None:
        """Its process id."""
        return None if self._process is None else self._process.pid

    def saw(self, within_s: float = _ANSWER_S) -> frozenset[int]:
        """Return the signals that came to it since it was asked last; none where it does not answer in time."""
        if self._process is None or self._process.stdin is None or self._process.stdout is None:
            return frozenset()
        answer = self._process.stdout.fileno()
        with contextlib.suppress(OSError):
            os.write(self._process.stdin.fileno(), b"?")
            if select.select([answer], [], [], within_s)[0]:
                told = os.read(answer, 1 + len(PASSED_ON))
                return frozenset(told[1:])
            self.close()  # a later answer would be taken for that to a later question
        return frozenset()

    def close(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is not None:
            for end in (process.stdin, process.stdout):
                if end is not None:
                    end.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=_ANSWER_S)


class Child:
    """The program, from its start to its end.

    Attributes:
        pid: its process id.
    """

    def __init__(self, path: str, command: Sequence[str], witness: Witness, mask: set[int], *, reap_all: bool) -> None:
        """Start it; to be called while the signals are held back.

        Args:
            path: of the program, from `find_program`.
            command: its name as it was typed, and its arguments.
            witness: who sees the signals to the group.
            mask: signals that it holds back, which are those that were before.
            reap_all: whether orphans come to this process.

        Raises:
            CommandError: the system cannot execute it (126).
        """
        self._witness, self._reap_all = witness, reap_all
        self._wake, self._wake_end = os.pipe()
        for end in (self._wake, self._wake_end):
            os.set_blocking(end, False)
        try:
            # Python itself ignores these two
            reset = [signal.SIGPIPE, signal.SIGXFSZ]
            self.pid = os.posix_spawn(path, list(command), os.environ, setsigmask=mask, setsigdef=reset)
        except OSError as error:
            os.close(self._wake)
            os.close(self._wake_end)
            why = f"{path} cannot be executed: {error.strerror}"
            raise CommandError(why, exit_code=126, hint="name its interpreter: python train.py") from None
        # what came before it was there has not reached it, whoever else saw it
        self._owed: set[int] = {int(number) for number in signal.sigpending() & set(PASSED_ON)}
        self._wakeup_before = signal.set_wakeup_fd(self._wake_end, warn_on_full_buffer=False)
        self._handlers: dict[int, Any] = {
            number: signal.signal(number, _taken) for number in (*PASSED_ON, signal.SIGCHLD)
        }

    def wait(self, every_s: float | None, look: Callable[[], None]) -> int:
        """Wait for its end, and pass signals on meanwhile.

        Args:
            every_s: how often to look at the least, or None for never.
            look: what is done then.

        Returns:
            Its exit code, or 128 + n after signal n.
        """
        while (code := self._reap()) is None:
            if select.select([self._wake], [], [], every_s)[0]:
                self._pass_on(set(os.read(self._wake, 4096)) & set(PASSED_ON))
            look()
        return code if code >= 0 else 128 - code

    def let_go(self) -> None:
        """Give the signals back."""
        for number, before in self._handlers.items():
            signal.signal(number, signal.SIG_DFL if before is None else before)
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._wake)
        os.close(self._wake_end)

    def send(self, number: int) -> None:
        """Send it a signal, and nobody else."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it has become another user's
            os.kill(self.pid, number)

    def _pass_on(self, came: set[int]) -> None:
        if not came:
            return
        time.sleep(_SETTLE_S)
        reached = self._witness.saw()
        for number in sorted(came):
            if number in self._owed or number not in reached:
                self.send(number)
        self._owed -= came

    def _reap(self) -> int | None:
        """Take in whoever has ended, so that the system counts their CPU-seconds; return its exit code if it has."""
        code = None
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1 if self._reap_all else self.pid, os.WNOHANG)
                if pid == self.pid:
                    code = os.waitstatus_to_exitcode(status)
                if pid == 0 or (pid == self.pid and not self._reap_all):
                    break
        return code


def _taken(number: int, frame: FrameType | None) -> None:
    """Nothing: that the signal came is read from a pipe."""
