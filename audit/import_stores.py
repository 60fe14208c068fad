"""Runs of another store, copied whole, byte for byte, or not at all."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from fairprint.audit.metered_store import MeteredFolder, stored_runs
from fairprint.audit.store import RunFolder
from fairprint.probes.errors import StoreError, UsageError

WORKSHOP = ".importing"
"""Folder of the store where copies are made: what looks for runs does not look into it."""

_AGAIN = "what was imported is kept, and is skipped when the command is repeated"
_NOT_COMPARED = ("lock",)
"""Held by whoever works on a run; empty."""


def is_store(path: Path) -> bool:
    """Whether a folder holds runs."""
    return path.is_dir() and any(
        child.is_dir() and any((child / name).is_file() for name in ("plan.json", "journal.jsonl", "imported.json"))
        for child in path.iterdir()
    )


def runs_of(source: Path, store: Path) -> list[RunFolder | MeteredFolder]:
    """Return the runs of another store.

    Raises:
        UsageError: it is the store itself.
    """
    if source.resolve() == store.resolve():
        raise UsageError(f"{source} is the store itself: there is nothing to import")
    return stored_runs(source)


def going_on(run: RunFolder | MeteredFolder) -> bool:
    """Whether a process of this machine works on a run now."""
    with contextlib.suppress(OSError), (run.path / "lock").open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def content(folder: Path) -> dict[str, Path]:
    """Return the files of a run by their path inside of it; half-written ones, whose names begin with a dot, are none.

    Raises:
        UsageError: something there is neither a file nor a folder.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if any(part.startswith(".") for part in name.parts):
            continue
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise UsageError(f"{path} is neither a file nor a folder: the run is not copied")
        if path.is_file():
            found[str(name)] = path
    return found


def differing(one: Path, other: Path) -> str | None:
    """Return the first file in which two folders of a run differ, or None where they are the same byte for byte."""
    ours, theirs = content(one), content(other)
    for name in sorted({*ours, *theirs}.difference(_NOT_COMPARED)):
        if name not in ours or name not in theirs or not _same(ours[name], theirs[name]):
            return name
    return None


def _same(one: Path, other: Path) -> bool:
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as ours, other.open("rb") as theirs:
        while block := ours.read(1 << 20):
            if block != theirs.read(1 << 20):
                return False
    return True


@contextlib.contextmanager
def workshop(store: Path) -> Iterator[Path]:
    """Hold the folder of a store where new runs are put together, and clear it of what a killed import left.

    Raises:
        UsageError: another process imports into this store.
        StoreError: it cannot be written.
    """
    folder = store / WORKSHOP
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / "lock").open("w")
    except OSError as error:
        raise StoreError(f"the store {store} cannot be written: {error.strerror}") from None
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another process imports into {store}", hint="wait for its end") from None
        clear(folder)
        try:
            yield folder
        finally:
            clear(folder)
            shutil.rmtree(folder, ignore_errors=True)


def clear(folder: Path) -> None:
    """Remove what lies in the workshop, except its lock."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


def make(place: Path) -> None:
    """Make the folder of a new run in the workshop.

    Raises:
        StoreError: it cannot be made.
    """
    try:
        place.mkdir()
    except OSError as error:
        raise StoreError(f"{place} cannot be made: {error.strerror}", hint=_AGAIN) from None


def copy(source: Path, place: Path) -> None:
    """Copy a run into a new folder of the workshop, and flush it to the disk.

    Raises:
        StoreError: it cannot be read or written.
    """
    make(place)
    try:
        for folder in sorted(path for path in source.rglob("*") if path.is_dir() and not path.is_symlink()):
            name = folder.relative_to(source)
            if not any(part.startswith(".") for part in name.parts):
                (place / name).mkdir(parents=True, exist_ok=True)
        for inside, file in content(source).items():
            with file.open("rb") as read, (place / inside).open("wb") as write:
                shutil.copyfileobj(read, write, 1 << 20)
                write.flush()
                os.fsync(write.fileno())
    except OSError as error:
        raise StoreError(f"{source.name} cannot be copied: {error.strerror}", hint=_AGAIN) from None


def put(made: Path, store: Path) -> None:
    """Move a whole run from the workshop to its place.

    Raises:
        StoreError: it cannot be moved there.
    """
    try:
        made.rename(store / made.name)
        folder = os.open(store, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StoreError(f"{made.name} cannot be moved to {store}: {error.strerror}", hint=_AGAIN) from None
