"""The file beside a report: every sentence that was asked, with every score, one JSON object a line."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fairprint.audit.recording import rows_of
from fairprint.audit.store import RunFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """What a page says of the file beside it; ``rows`` counts the lines of each run, by its id."""

    name: str
    sha256: str
    rows: Mapping[str, int]


def item_lines(folders: Sequence[RunFolder]) -> Iterator[str]:
    """Yield the lines of several runs, as ``rows_of`` writes them: ``recorded:`` reads such a file."""
    for folder in folders:
        yield from rows_of(folder)
