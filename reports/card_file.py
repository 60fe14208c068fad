"""A card as a file: fairprint's parts put in and taken out, what state they are in, and writing that loses nothing."""

import difflib
import os
from contextlib import suppress
from pathlib import Path
from typing import Literal

from fairprint.probes.errors import CardError
from fairprint.reports.card_body import body_blocks, insert_body, strip_body
from fairprint.reports.card_front import located
from fairprint.reports.card_parts import CardParts
from fairprint.reports.card_sentinels import EOL, Block, lines_of, main_eol
from fairprint.reports.card_yaml import front_blocks, insert_front, strip_front

State = Literal["current", "stale", "hand-edited", "absent"]
_BOM = "\ufeff"
NAME = "README.md"


def spliced(text: str, parts: CardParts, *, force: bool = False, path: str = NAME) -> str:
    """Return a card with fairprint's parts, put in or renewed; whatever others wrote stays as it is.

    Args:
        text: the card, its ends of lines untranslated; an empty one begins as the Hub's template.
        parts: what goes in.
        force: whether parts that were edited by hand, and emissions of others, may be replaced.
        path: the card, for messages.

    Raises:
        CardError: the card cannot be edited safely, with its line and a way out.
        ValueError: a part cannot be written, such as a text that leaves a fence of code open.
    """
    if not text.removeprefix(_BOM).strip():
        text = from_template(parts.model_name)
    bom, front, body = split(text, path)
    front, front_before = strip_front(front, path=path, force=force)
    body, body_before = strip_body(body, path=path, first_line=_first_line(text, path), force=force)
    eol = main_eol(front + body)
    front = insert_front(front, parts, front_before, path=path, force=force, eol=eol)
    first_line = 1 + len(EOL.findall(front))
    return bom + front + insert_body(body, parts.sections, body_before, path=path, first_line=first_line, eol=eol)


def removed(text: str, *, force: bool = False, path: str = NAME) -> str:
    """Return a card without fairprint's parts: the bytes that were there before.

    Args:
        text: the card, its ends of lines untranslated.
        force: whether parts that were edited by hand may be taken out.
        path: the card, for messages.

    Raises:
        CardError: a part was edited by hand, or its marks are damaged.
    """
    bom, front, body = split(text, path)
    front, _ = strip_front(front, path=path, force=force)
    body, _ = strip_body(body, path=path, first_line=_first_line(text, path), force=force)
    return bom + front + body


def state(text: str, parts: CardParts, *, path: str = NAME) -> State:
    """Return whether a card says what the parts say.

    Raises:
        CardError: the card cannot be read, or not be edited safely.
    """
    blocks = blocks_of(text, path)
    if not blocks:
        return "absent"
    if any(block.hand_edited for block in blocks):
        return "hand-edited"
    return "current" if spliced(text, parts, path=path) == text else "stale"


def blocks_of(text: str, path: str = NAME) -> list[Block]:
    """Return the parts that fairprint wrote into a card, those of the front matter first.

    Raises:
        CardError: the marks of a part are damaged.
    """
    _, front, body = split(text, path)
    return [*front_blocks(front, path), *body_blocks(body, path, _first_line(text, path))]


def split(text: str, path: str = NAME) -> tuple[str, str, str]:
    """Return a card's byte order mark, its front matter with its dashes, and its body; joined they are the card.

    Raises:
        CardError: the front matter is not closed.
    """
    bom = _BOM if text.startswith(_BOM) else ""
    text = text.removeprefix(_BOM)
    place = located(text, path)
    cut = place.end if place is not None else 0
    return bom, text[:cut], text[cut:]


def _first_line(text: str, path: str) -> int:
    return 1 + len(EOL.findall(split(text, path)[1]))


def from_template(model_name: str) -> str:
    """Return a new card: the Hub's template, as the installed huggingface_hub has it, with the model's name."""
    from huggingface_hub import ModelCard, ModelCardData

    # of its front matter, which says nothing but {}, only the body is needed: ours is made where there is none
    return str(ModelCard.from_template(ModelCardData(), model_id=model_name).text).lstrip("\r\n")


def diff(before: str, after: str, path: str = NAME) -> str:
    """Return what changes between two versions of a card as a unified diff; empty where nothing does."""
    old, new = ([text[start:end] for start, end, _ in lines_of(text)] for text in (before, after))
    return "".join(
        f"{line}\n" for line in difflib.unified_diff(old, new, f"{path} (now)", f"{path} (new)", lineterm="")
    )


def read_card(path: Path) -> str:
    """Return the text of a card, its ends of lines untranslated; an empty text where there is no file.

    Raises:
        CardError: it cannot be read, or is not UTF-8.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise CardError(error.strerror or "cannot be read", file=str(path)) from None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        message = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise CardError(message, file=str(path), line=line, hint="save the file as UTF-8") from None


def write_card(path: Path, text: str) -> None:
    """Write a card over one of the same name: a reader sees the old one or the new one, never a part.

    A symbolic link is followed, and the file's permissions stay.

    Raises:
        CardError: it cannot be written; what stood there stays.
    """
    target = Path(os.path.realpath(path))
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            file.write(text.encode("utf-8"))
            with suppress(FileNotFoundError):
                os.fchmod(file.fileno(), target.stat().st_mode & 0o7777)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        raise CardError(error.strerror or "cannot be written", file=str(path)) from None
    finally:
        partial.unlink(missing_ok=True)
