"""Writes, checks and removes what a model card says of bias, evaluation and climate; from Python or the command line.

A training script calls `update_card` after ``trainer.create_model_card()``, which writes the card anew.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fairprint.audit.files import write_whole
from fairprint.audit.metered import MeteredRecord
from fairprint.audit.records import RunRecord
from fairprint.probes.errors import StoreError, UsageError
from fairprint.reports import card_file
from fairprint.reports.card_content import card_parts
from fairprint.reports.card_figures import FOLDER, Picture, pictures, shown
from fairprint.reports.card_parts import CardParts, Section
from fairprint.reports.card_runs import CardRuns, Scope, card_runs, stored

DEFAULT_STORE = Path("fairprint-runs")
CARD = "README.md"
_MADE = re.compile(r"^<!-- made by fairprint: (\{.*\}) -->$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How a card is made; a part that is None or empty is as the card that is there says, else the default.

    Attributes:
        report, scope, name, model, allow_partial: see `fairprint.reports.card_runs.card_runs`.
        figures: folder of the pictures beside the card; empty for none.
    """

    report: str | None = None
    scope: Scope | None = None
    name: str | None = None
    model: str | None = None
    allow_partial: bool | None = None
    figures: str | None = None


_DEFAULTS = Asked(report="", scope="final", name="", model="", allow_partial=False, figures=FOLDER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A card as it is and as it would be.

    Attributes:
        path: of the card.
        before: its text; empty where there is none yet.
        parts: what it is told.
        runs: what that is made of.
        pictures: beside it.
        folder: of the pictures, as the card names it; empty where it has none.
        state: ``current``, ``stale``, ``hand-edited`` or ``absent``.
    """

    path: Path
    before: str
    parts: CardParts
    runs: CardRuns
    pictures: tuple[Picture, ...]
    folder: str
    state: str

    def after(self, *, force: bool = False) -> str:
        """Return the text as it would be.

        Raises:
            CardError: it cannot be written safely.
        """
        return card_file.spliced(self.before, self.parts, force=force, path=str(self.path))

    @property
    def files(self) -> list[Path]:
        """Where the pictures are."""
        return [self.path.parent / self.folder / picture.name for picture in self.pictures]

    def seen_from(self, path: Path) -> CardRuns:
        """Return the runs as another file tells them: a report is named by its way from there."""
        report = self.path.parent / self.runs.report
        if not self.runs.report or not report.is_file():
            return self.runs
        return replace(self.runs, report=Path(os.path.relpath(report, path.parent)).as_posix())

    def write(self, *, force: bool = False) -> None:
        """Write the pictures, then the card; pictures of ours that it no longer shows are deleted.

        Raises:
            CardError: it cannot be written safely.
            StoreError: a file cannot be written.
        """
        text = self.after(force=force)
        old = set(_pictures_of(self.before, self.path))
        try:
            for file, picture in zip(self.files, self.pictures, strict=True):
                file.parent.mkdir(parents=True, exist_ok=True)
                write_whole(file, picture.svg().decode())
        except OSError as error:
            raise StoreError(f"{error.filename or self.path} cannot be written: {error.strerror}") from None
        card_file.write_card(self.path, text)
        _delete(old - set(self.files))


def made_card(
    path: Path,
    runs: Sequence[str | RunRecord | MeteredRecord] = (),
    store: Path = DEFAULT_STORE,
    asked: Asked = _DEFAULTS,
) -> Card:
    """Return a card as it is and as it would be; nothing is written.

    Args:
        path: the card, or the folder that it lies in.
        runs: ids of stored runs, or records; of none those that the card names, else the newest audit.
        store: folder of runs.
        asked: how it is made.

    Raises:
        UsageError: a run is not there, or the runs do not belong together.
        CardError: the card cannot be read.
    """
    path = card_path(path)
    before = card_file.read_card(path)
    made = _made(before)
    if asked.report:
        asked = replace(asked, report=_link(asked.report, path))
    asked = _filled(asked, made)
    names = [run for run in runs if isinstance(run, str)]
    records = [run for run in runs if not isinstance(run, str)]
    digests: dict[str, str] | None = None
    if names or not runs:
        found, digests = stored(names or list(made.get("runs", ())), store)
        records += found
    chosen = card_runs(
        records,
        digests=None if digests is None or len(digests) < len(records) else digests,
        model=asked.model or None,
        allow_partial=bool(asked.allow_partial),
        report=asked.report or "",
        scope=asked.scope or "final",
        name=asked.name or "",
    )
    folder = asked.figures or ""
    drawn = pictures(chosen) if folder else ()
    parts = _remembering(card_parts(chosen, shown(drawn, folder)), chosen, drawn, asked)
    state = card_file.state(before, parts, path=str(path))
    if state == "current" and not all((path.parent / folder / picture.name).is_file() for picture in drawn):
        state = "stale"
    return Card(path=path, before=before, parts=parts, runs=chosen, pictures=drawn, folder=folder, state=state)


def update_card(
    path: Path | str,
    runs: Sequence[str | RunRecord | MeteredRecord] = (),
    store: Path | str = DEFAULT_STORE,
    *,
    force: bool = False,
    report: str | None = None,
    scope: Scope | None = None,
    name: str | None = None,
    model: str | None = None,
    allow_partial: bool | None = None,
    figures: str | None = None,
) -> Card:
    """Write our sections and metadata into a model card; what others wrote stays byte for byte.

    Call it after ``trainer.create_model_card()``, which writes the card anew and would take our parts with it.

    Args:
        path: the card, or the folder that it lies in; where there is none, one is made from the Hub's template.
        runs: ids of stored runs, or records; of none those that the card names, else the newest audit of the store.
        store: folder of runs.
        force: write over parts of ours that were edited by hand.
        report: address or path of the report that readers can follow.
        scope: what the emissions of the metadata cover: ``final``, ``trials`` or ``audits``.
        name: of the model in the metadata.
        model: which model, where the audits are of several.
        allow_partial: take runs that did not reach their end.
        figures: folder of the pictures beside the card; empty for none.

    Returns:
        The card as it was, and what it was told.

    Raises:
        UsageError: a run is not there, or the runs do not belong together.
        CardError: the card cannot be written safely.
    """
    asked = Asked(report=report, scope=scope, name=name, model=model, allow_partial=allow_partial, figures=figures)
    card = made_card(Path(path), runs, Path(store), asked)
    card.write(force=force)
    return card


def remove_card(path: Path, *, force: bool = False) -> tuple[str, str]:
    """Return a card as it is, and without what we wrote.

    Args:
        path: the card, or the folder that it lies in.
        force: take parts out too that were edited by hand.

    Raises:
        UsageError: there is no card.
        CardError: it cannot be read, or a part was edited by hand.
    """
    path = card_path(path)
    if not path.is_file():
        raise UsageError(f"there is no {path}")
    before = card_file.read_card(path)
    return before, card_file.removed(before, force=force, path=str(path))


def write_removed(path: Path, before: str, after: str) -> None:
    """Write a card without what we wrote, and delete the pictures that it showed.

    Raises:
        CardError: it cannot be written.
    """
    path = card_path(path)
    card_file.write_card(path, after)
    _delete(set(_pictures_of(before, path)))


def card_path(path: Path) -> Path:
    """Return the card: that of a folder is its README.md."""
    return path / CARD if path.is_dir() else path


# what a card remembers of how it was made


def _remembering(parts: CardParts, runs: CardRuns, drawn: Sequence[Picture], asked: Asked) -> CardParts:
    """Add a comment that says how the card was made, so that it can be checked without saying it again."""
    told = {
        "runs": [run.run_id for run in runs.every],
        "report": runs.report,
        "scope": runs.scope,
        "name": runs.name,
        "model": asked.model or "",
        "allow_partial": bool(asked.allow_partial),
        "figures": asked.figures or "",
        "pictures": [picture.name for picture in drawn],
    }
    written = json.dumps(told, ensure_ascii=True, sort_keys=True)
    # nothing in it ends the comment
    safe = written.replace("--", "-\\u002d").replace("<", "\\u003c").replace(">", "\\u003e")
    comment = f"<!-- made by fairprint: {safe} -->"
    sections = [
        Section(key=s.key, title=s.title, markdown=f"{s.markdown}\n\n{comment}") if s.key == "evaluation" else s
        for s in parts.sections
    ]
    return replace(parts, sections=tuple(sections))


def _made(text: str) -> dict[str, Any]:
    """Return how a card was made; nothing where it does not say, or says nonsense."""
    found = _MADE.search(text.replace("\r\n", "\n").replace("\r", "\n"))
    if found is None:
        return {}
    try:
        told = json.loads(found[1])
    except ValueError:
        return {}
    texts = ("report", "scope", "name", "model", "figures")
    lists = ("runs", "pictures")
    sound = all(isinstance(told.get(key), str) for key in texts) and all(
        isinstance(told.get(key), list) and all(isinstance(one, str) for one in told[key]) for key in lists
    )
    return told if sound and isinstance(told.get("allow_partial"), bool) else {}


def _link(report: str, path: Path) -> str:
    """Return a report as the card links to it: a file by its way from the card."""
    if re.match(r"[a-z]+://", report) or not Path(report).is_file():
        return report
    return Path(os.path.relpath(report, path.parent)).as_posix()


def _filled(asked: Asked, made: Mapping[str, Any]) -> Asked:
    fields = ("report", "scope", "name", "model", "allow_partial", "figures")
    values = {
        key: made.get(key, getattr(_DEFAULTS, key)) if getattr(asked, key) is None else getattr(asked, key)
        for key in fields
    }
    folder = Path(values["figures"])
    if folder.is_absolute() or ".." in folder.parts:
        raise UsageError(f"the folder of figures is {folder}: expected one beside the card, such as {FOLDER}")
    return Asked(**values)


def _pictures_of(text: str, path: Path) -> list[Path]:
    """Return the pictures that a card of ours shows: files of the folder beside it, and no others."""
    made = _made(text)
    folder = str(made.get("figures", ""))
    if not folder or Path(folder).is_absolute() or ".." in Path(folder).parts:
        return []
    names = [name for name in made["pictures"] if re.fullmatch(r"[a-z0-9-]+\.svg", name)]
    return [path.parent / folder / name for name in names]


def _delete(files: set[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
    for folder in {file.parent for file in files}:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
