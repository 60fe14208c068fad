"""The probe sets that ship with fairprint, and how a name, a file or ``FORMAT:PATH`` becomes a probe set."""

from collections.abc import Callable
from functools import cache
from importlib import resources
from pathlib import Path

from fairprint.probes.errors import UsageError, nearest
from fairprint.probes.files import load_probe_file
from fairprint.probes.items import ProbeSet
from fairprint.probes.labelled import load_labelled
from fairprint.probes.notations import NOTATIONS

_DATA = resources.files("fairprint.probes") / "data"


def own_names() -> tuple[str, ...]:
    """Names of the probe sets that ship with fairprint, sorted: a file in ``probes/data/`` is listed by lying there."""
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in _DATA.iterdir() if entry.name.endswith(".yaml")))


@cache
def own_set(name: str) -> ProbeSet:
    """Load one of our own probe sets.

    Raises:
        UsageError: there is no set of that name.
    """
    if name not in own_names():
        raise UsageError(
            f"no probe set '{name}'.{nearest(name, own_names())}",
            hint="fairprint probes list shows the sets; a file is given by its path",
        )
    with resources.as_file(_DATA / f"{name}.yaml") as path:
        return load_probe_file(path, source="own")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def find_probe_set(given: str) -> ProbeSet:
    """Return the probe set that a user means: a name from the list, a path, or ``FORMAT:PATH``.

    Raises:
        UsageError: there is no such set, file or format.
        ProbeFileError: the file cannot be used.
    """
    prefix, separator, rest = given.partition(":")
    if separator and prefix in READERS:
        if not _is_file(Path(rest)):
            raise UsageError(f"{rest}: no such file", hint=f"{prefix}:FILE reads a file of that format")
        return READERS[prefix](Path(rest))
    path = Path(given)
    if _is_file(path):
        if path.suffix not in NOTATIONS:
            raise UsageError(
                f"{given}: probe files end in {', '.join(NOTATIONS)}", hint="fairprint probes schema shows the format"
            )
        return load_probe_file(path)
    if separator:
        raise UsageError(
            f"unknown probe format '{prefix}'.{nearest(prefix, READERS)}", hint=f"formats: {', '.join(READERS)}"
        )
    if path.suffix in NOTATIONS:
        raise UsageError(f"{given}: no such file")
    return own_set(given)


READERS: dict[str, Callable[[Path], ProbeSet]] = {"labelled": load_labelled}
"""The reader of each format that is given as ``FORMAT:PATH``."""
