"""The pictures beside a model card: the same bytes for the same runs, each with a text in its place."""

from dataclasses import dataclass

from fairprint.audit.records import RunRecord
from fairprint.reports import sections, summary
from fairprint.reports.card_runs import CardRuns
from fairprint.reports.tables import FigureView
from fairprint.reports.text import plain

FOLDER = "fairprint-card"
MOST = 3
"""Pictures of a card; the report has all."""
_WHITE = b'<rect width="100%" height="100%" fill="#ffffff"/>'
"""Under the drawing, since the page of a card may be dark, and the ink is too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture that is drawn when it is asked for: its file's name, and the text in its place."""

    name: str
    alt: str
    view: FigureView

    def svg(self) -> bytes:
        """Draw it."""
        from fairprint.reports.drawing import drawn

        found = drawn(self.view)
        at = found.find(b">", found.find(b"<svg")) + 1
        return found[:at] + b"\n" + _WHITE + found[at:]


def pictures(runs: CardRuns) -> tuple[Picture, ...]:
    """Return the main metric of all probe sets of each audit; where no figure can hold it, that of the first sets."""
    found: dict[str, Picture] = {}
    for n, audit in enumerate(runs.audits):
        for view in _views(audit, "" if n == 0 else f"audit{n + 1}"):
            if len(found) < MOST:
                name = f"{view.id.removeprefix('figure-')}.svg"
                found[name] = Picture(name=name, alt=_alt(view), view=view)
    return tuple(found.values())


def _views(audit: RunRecord, prefix: str) -> list[FigureView]:
    whole = summary.overview(audit, prefix)
    if whole is not None:
        return [whole]
    # the words of a set stand in the report alone
    return [view for found in sections.findings(audit, prefix) for view in found.figures if view.kind != "words"][:MOST]


def _alt(view: FigureView) -> str:
    intervals = plain(view.levels.striptags())
    return plain(f"{view.alt} Dots with {intervals} intervals; the numbers stand in the tables.")


def shown(found: tuple[Picture, ...], folder: str) -> list[tuple[str, str]]:
    """Return the address of each picture from the card, and the text in its place."""
    return [(f"{folder}/{picture.name}", picture.alt) for picture in found]
