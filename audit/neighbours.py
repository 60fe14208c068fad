"""Other meters on this machine: two that run at once each see the whole machine, and must not be added up.

Each meter holds a file of its own under a lock, which the system lets go when the process dies in whatever way.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import secrets
import tempfile
from pathlib import Path
from typing import Any

from fairprint.audit.metered import Overlap


def _told(path: str) -> str:
    with contextlib.suppress(OSError):
        return Path(path).read_text(encoding="ascii", errors="replace").strip()
    return ""


def machine() -> str:
    """Return a hash that is the same for all runs on this machine, and names it to nobody."""
    return hashlib.sha256(f"{_told('/etc/machine-id')} {platform.node()}".encode()).hexdigest()[:12]


def boot() -> str:
    """Return a hash that is the same for all runs since this machine was started."""
    return hashlib.sha256(_told("/proc/sys/kernel/random/boot_id").encode()).hexdigest()[:12]


class Neighbours:
    """This meter among those that run on the machine.

    Args:
        run_id: how others are told of this one.
        folder: where the files lie; the same for all users.
    """

    def __init__(self, run_id: str, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.gettempdir()) / "fairprint-meters"
        self._own: Path | None = None
        self._file: int | None = None
        self._known: set[str] = set()
        self._first = True
        with contextlib.suppress(OSError):  # without the folder nobody is seen, and nothing else happens
            if not self._folder.is_dir():
                self._folder.mkdir(parents=True, exist_ok=True)
                self._folder.chmod(0o1777)
            own = self._folder / f"{os.getpid()}-{secrets.token_hex(4)}.json"
            self._file = os.open(own, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(self._file, json.dumps({"run_id": run_id}).encode())
            self._own = own

    def look(self) -> list[Overlap]:
        """Return the meters that were not seen before; those seen at the first look ran already."""
        found, first = [], self._first
        self._first = False
        with contextlib.suppress(OSError):
            for path in sorted(self._folder.glob("*.json")):
                if path != self._own and path.name not in self._known and (told := _alive(path)) is not None:
                    self._known.add(path.name)
                    found.append(Overlap(run_id=str(told.get("run_id", "unknown")), began_before=first))
        return found

    def leave(self) -> None:
        """Take this meter off the list."""
        if self._own is not None:
            with contextlib.suppress(OSError):
                self._own.unlink(missing_ok=True)
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.close(self._file)
        self._own = self._file = None


def _alive(path: Path) -> dict[str, Any] | None:
    """Return what the holder of a file says; None where nobody holds it any more, and then it is removed."""
    with contextlib.suppress(OSError, ValueError), path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            told = json.loads(file.read() or b"{}")
            return told if isinstance(told, dict) else {}
        path.unlink(missing_ok=True)  # its process was killed
    return None
