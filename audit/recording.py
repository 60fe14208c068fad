"""The answers of a run as a file that ``fairprint.audit.recorded`` reads: what ``--record`` writes.

The file beside a report has the same rows, of several runs.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from fairprint.audit.records import ModelInfo
from fairprint.audit.store import RunFolder
from fairprint.probes.errors import StoreError, UsageError


def rows_of(folder: RunFolder) -> Iterator[str]:
    """Yield the lines of a run: what was asked of which item and group, the sentence, the score, its note and text."""
    texts = {name: {(row.item, row.group): row for row in folder.read_items(name)} for name in folder.item_sets()}
    for shard in folder.shard_names():
        probe_set, instrument, _ = shard.rsplit(".", 2)
        for score in folder.read_shard(shard):
            row = texts[probe_set].get((score.item, score.group))
            line = {
                "run": folder.run_id,
                "probe_set": probe_set,
                "instrument": instrument,
                "item": score.item,
                "template": score.template,
                "lexeme": score.lexeme,
                "category": score.category,
                "group": score.group,
                "text": row.text if row else None,
                "scored": [row.start, row.end] if row else None,
                "name": score.name,
                "value": score.value,
                "note": score.note,
                **({"said": score.text} if score.text else {}),
            }
            yield json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n"


def check_recording(path: Path) -> None:
    """Refuse a place where the answers of a run cannot be recorded, before hours of work.

    Raises:
        UsageError: something is there, or there is no folder for it.
    """
    if path.exists():
        raise UsageError(f"{path} exists; recorded answers are not written over", hint="remove it or name another file")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{path} cannot be written: no folder {path.absolute().parent}")


def write_recording(path: Path, folder: RunFolder, model: ModelInfo) -> None:
    """Record the answers of a run: a line about the model, then one for each score.

    Raises:
        StoreError: the file cannot be written.
    """
    head = {"run": folder.run_id, "model": model.model_dump(mode="json")}
    partial = path.with_name(f".{path.name}.part")
    try:
        try:
            with partial.open("w", encoding="utf-8", newline="\n") as handle:
                handle.write(json.dumps(head, ensure_ascii=False, allow_nan=False) + "\n")
                handle.writelines(rows_of(folder))
            partial.rename(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        hint = f"the answers are kept in the store: fairprint report {folder.run_id} writes them beside the report"
        raise StoreError(f"{path} cannot be written: {error.strerror or error}", hint=hint) from None
