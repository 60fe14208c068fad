"""The probe sets that ship with fairprint, and how a name, a file or ``FORMAT:PATH`` becomes a probe set."""

from functools import cache
from importlib import resources
from pathlib import Path

from fairprint.probes.errors import UsageError, nearest
from fairprint.probes.files import load_probe_file
from fairprint.probes.items import ProbeSet

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
    path = Path(given)
    if path.suffix in {".yaml", ".yml"} or _is_file(path):
        if path.suffix not in {".yaml", ".yml"}:
            raise UsageError(f"{given}: probe files end in .yaml", hint="fairprint probes schema shows the format")
        if not _is_file(path):
            raise UsageError(f"{given}: no such file")
        return load_probe_file(path)
    prefix, separator, _ = given.partition(":")
    if separator:
        raise UsageError(f"unknown probe format '{prefix}': no published formats can be read so far")
    return own_set(given)
