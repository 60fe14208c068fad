"""The probe sets that ship with fairprint, and how a name, a file or ``FORMAT:PATH`` becomes a probe set."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from fairprint.probes.errors import UsageError, nearest
from fairprint.probes.files import load_probe_file
from fairprint.probes.items import ProbeSet
from fairprint.probes.labelled import load_labelled
from fairprint.probes.notations import NOTATIONS
from fairprint.probes.readers.bbq import load_bbq
from fairprint.probes.readers.bold import load_bold
from fairprint.probes.readers.crows_pairs import load_crows_pairs
from fairprint.probes.readers.honest import load_honest
from fairprint.probes.readers.kobbq import load_kobbq
from fairprint.probes.readers.stereoset import load_stereoset
from fairprint.probes.readers.winobias import load_winobias
from fairprint.probes.readers.winogender import load_winogender
from fairprint.probes.texts import load_texts

_DATA = resources.files("fairprint.probes") / "data"


def own_names() -> tuple[str, ...]:
    """Names of the probe sets that ship with fairprint, sorted: a file in ``probes/data/`` is listed by lying there."""
    return tuple(sorted(_own_files()))


def _own_files() -> dict[str, str]:
    """Return the file of each own set, by its name: probe files, and texts that are no finding about people."""
    names = [entry.name for entry in _DATA.iterdir()]
    return {name.rpartition(".")[0]: name for name in names if name.endswith((".yaml", ".txt"))}


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
    file = _own_files()[name]
    with resources.as_file(_DATA / file) as path:
        return load_texts(path, source="own") if file.endswith(".txt") else load_probe_file(path, source="own")


def _is(path: Path, kind: Callable[[Path], bool]) -> bool:
    try:
        return kind(path)
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
        reader = READERS[prefix]
        if not _is(Path(rest), Path.is_file) and not (reader.folders and _is(Path(rest), Path.is_dir)):
            of = "file or folder" if reader.folders else "file"
            raise UsageError(f"{rest}: no such {of}", hint=f"{prefix}:{of.upper()} reads: {reader.reads}")
        return reader.load(Path(rest))
    path = Path(given)
    if _is(path, Path.is_file):
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A format that is given as ``FORMAT:PATH``.

    Attributes:
        reads: which files, for people.
        folders: whether ``PATH`` can be a folder with all files of the set.
    """

    load: Callable[[Path], ProbeSet]
    reads: str
    folders: bool = False


READERS: dict[str, Reader] = {
    "labelled": Reader(load=load_labelled, reads="a CSV file of labelled texts or images"),
    "texts": Reader(load=load_texts, reads="a text file with one sentence a line, for a check of quality"),
    "crows-pairs": Reader(load=load_crows_pairs, reads="the CSV file of CrowS-Pairs (Nangia et al. 2020)"),
    "stereoset": Reader(
        load=load_stereoset,
        reads="the JSON file of StereoSet, or a list of its intrasentence entries (Nadeem et al. 2021)",
    ),
    "winobias": Reader(
        load=load_winobias,
        reads="the folder of WinoBias, or one of its files with the lists of occupations beside it (Zhao et al. 2018)",
        folders=True,
    ),
    "winogender": Reader(
        load=load_winogender,
        reads="the folder of the Winogender schemas, or all_sentences.tsv with occupations-stats.tsv beside it "
        "(Rudinger et al. 2018)",
        folders=True,
    ),
    "bbq": Reader(
        load=load_bbq,
        reads="a JSON Lines file of BBQ, with or without answers of models (Parrish et al. 2022)",
    ),
    "kobbq": Reader(load=load_kobbq, reads="the TSV file of KoBBQ's test samples, in Korean (Jin et al. 2024)"),
    "bold": Reader(
        load=load_bold,
        reads="the folder of BOLD, or one of its files of prompts; human continuations from the folder 'wikipedia' "
        "beside it (Dhamala et al. 2021)",
        folders=True,
    ),
    "honest": Reader(load=load_honest, reads="a TSV file of templates of HONEST (Nozza, Bianchi & Hovy 2021)"),
}
"""The reader of each format that is given as ``FORMAT:PATH``."""
