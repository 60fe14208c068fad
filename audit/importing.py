"""Import: what each source holds, what of it is new to the store, and how it gets there.

Everything is read and compared before anything is written, so that a source that cannot be used leaves no trace.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from fairprint.audit.carbontracker_logs import is_carbontracker
from fairprint.audit.import_carbontracker import LOG, OUTPUT, read_carbontracker
from fairprint.audit.import_codecarbon import read_codecarbon
from fairprint.audit.import_stores import content, copy, differing, going_on, is_store, make, put, runs_of, workshop
from fairprint.audit.imported import Measured, Said, record_of
from fairprint.audit.metered import MeteredRecord, check_purpose
from fairprint.audit.metered_store import IMPORTED, MeteredFolder
from fairprint.audit.records import RunRecord, to_json
from fairprint.audit.store import RunFolder, Store, write_new
from fairprint.probes.errors import StoreError, UsageError, nearest

Format = Literal["store", "codecarbon", "carbontracker"]
Outcome = Literal["imported", "there already", "unfinished: left out", "still running: left out"]

_HEAD_BYTES = 65536
_COLUMNS = {"timestamp", "run_id", "emissions", "energy_consumed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """One run of a source.

    Attributes:
        run_id: in both stores.
        source: the source as it was given; format: what it is.
        record: None of an unfinished run.
        outcome: what becomes of it.
        folder: in the other store; None of a run that another program metered.
        provenance: of such a run, what its folder tells of the source.
    """

    run_id: str
    source: Path
    format: Format
    record: RunRecord | MeteredRecord | None
    outcome: Outcome
    folder: Path | None = None
    provenance: str = ""


def find_format(source: Path, given: str | None = None) -> Format:
    """Return what a source is, by its content where the user does not say it.

    Raises:
        UsageError: it is not there, is of no format that can be imported, or of several.
    """
    formats: tuple[Format, ...] = get_args(Format)
    if given is not None and given not in formats:
        near = nearest(given, formats)
        raise UsageError(f"unknown format '{given}': expected {', '.join(formats)}.{near}")
    if not source.exists():
        raise UsageError(f"{source} is not there: expected a store, an emissions.csv, or logs of carbontracker")
    for each in formats:
        if each == given:
            return each
    try:
        found = _formats_of(source)
    except OSError as error:
        raise UsageError(f"{source} cannot be read: {error.strerror}") from None
    if len(found) > 1:
        raise UsageError(f"{source} is of several formats: {', '.join(found)}", hint="say which with --format")
    if not found:
        hint = "expected the folder of another store, CodeCarbon's emissions.csv, or carbontracker's logs; see --format"
        raise UsageError(f"{source} holds nothing that can be imported", hint=hint)
    return found[0]


def _formats_of(source: Path) -> list[Format]:
    if source.is_dir():
        holds: dict[Format, bool] = {
            "store": is_store(source),
            "codecarbon": (source / "emissions.csv").is_file(),
            "carbontracker": any(file.name.endswith((LOG, OUTPUT)) for file in source.iterdir()),
        }
    else:
        with source.open("rb") as file:
            head = file.read(_HEAD_BYTES).decode("utf-8-sig", "replace")
        columns = {cell.strip().strip('"') for cell in (head.splitlines() or [""])[0].split(",")}
        holds = {"codecarbon": columns >= _COLUMNS, "carbontracker": is_carbontracker(head)}
    return [format_ for format_, held in holds.items() if held]


def plan_import(
    sources: Sequence[Path],
    store: Path,
    *,
    said: Said | None = None,
    given: str | None = None,
    unfinished: bool = False,
) -> list[Incoming]:
    """Return what the sources hold and what becomes of each run; nothing is written.

    Args:
        sources: folders of other stores, emissions.csv files or their folders, carbontracker's logs or their folders.
        store: where the runs go.
        said: purpose, task and name of runs that another program metered.
        given: the format of all sources, or None to look.
        unfinished: whether runs without a record, and logs that break off, are taken too.

    Raises:
        UsageError: a source cannot be used, or a run is there already with other content.
        StoreError: a record cannot be read.
    """
    said = said or Said()
    check_purpose(said.purpose)
    Store(store)
    found: dict[str, Incoming] = {}
    for source in sources:
        format_ = find_format(source, given)
        if format_ == "store":
            held = _of_store(source, store, said, unfinished)
        else:
            held = _of_file(source, format_, store, said, unfinished)
        for incoming in held:
            _check_twice(found.get(incoming.run_id), incoming)
            found.setdefault(incoming.run_id, incoming)
    return list(found.values())


def _of_store(source: Path, store: Path, said: Said, unfinished: bool) -> list[Incoming]:
    if said != Said():
        hint = "give a purpose, a task or a name when the run is metered"
        raise UsageError(f"{source} is a store: its runs are copied as they are", hint=hint)
    if not source.is_dir():
        raise UsageError(f"{source} is no folder: a store is one")
    found = []
    for run in runs_of(source, store):
        content(run.path)
        record = _record(run) if run.finished else None
        outcome: Outcome = "imported"
        if not run.finished and going_on(run):
            outcome = "still running: left out"
        elif not run.finished and not unfinished:
            outcome = "unfinished: left out"
        elif (store / run.run_id).exists():
            if (name := differing(store / run.run_id, run.path)) is not None:
                raise _other(run.run_id, store, source, f"they differ in {name}")
            outcome = "there already"
        found.append(
            Incoming(run_id=run.run_id, source=source, format="store", record=record, outcome=outcome, folder=run.path)
        )
    return found


def _record(run: RunFolder | MeteredFolder) -> RunRecord | MeteredRecord:
    record = run.record()
    if record.run_id != run.run_id:
        raise StoreError(f"{run.path} holds the record of {record.run_id}", hint="give the folder its own name again")
    return record


def _of_file(source: Path, format_: Format, store: Path, said: Said, unfinished: bool) -> list[Incoming]:
    found = []
    for told in _READERS[format_](source):
        record = record_of(told, said)
        outcome: Outcome = "imported"
        kept = MeteredFolder(store / record.run_id)
        if told.status == "truncated" and not unfinished:
            outcome = "unfinished: left out"
        elif kept.path.exists():
            if not kept.finished:
                raise _other(record.run_id, store, source, "the stored one has no record")
            if (what := _changed(kept.record(), record)) is not None:
                raise _other(record.run_id, store, source, what)
            outcome = "there already"
        provenance = {"schema_version": 1, "format": format_, "file": told.file, "sha256": told.sha256}
        found.append(
            Incoming(
                run_id=record.run_id,
                source=source,
                format=format_,
                record=record,
                outcome=outcome,
                provenance=json.dumps({**provenance, "lines": told.lines}, indent=1, sort_keys=True) + "\n",
            )
        )
    return found


def _codecarbon(source: Path) -> list[Measured]:
    return read_codecarbon(source / "emissions.csv" if source.is_dir() else source)


_READERS: dict[Format, Callable[[Path], list[Measured]]] = {
    "codecarbon": _codecarbon,
    "carbontracker": read_carbontracker,
}


def _changed(stored: MeteredRecord, now: MeteredRecord) -> str | None:
    """Return which fields of two records differ, or None."""
    if to_json(stored) == to_json(now):
        return None
    one, other = stored.model_dump(mode="json"), now.model_dump(mode="json")
    return f"they differ in {', '.join(sorted(key for key in other if one.get(key) != other[key]))}"


def _other(run_id: str, store: Path, source: Path, why: str) -> UsageError:
    return UsageError(
        f"{run_id} is in {store} already, with other content than in {source}: {why}",
        hint=f"where the one of {source} is right, remove the folder {store / run_id} and import again",
    )


def _check_twice(before: Incoming | None, now: Incoming) -> None:
    """Refuse two sources that hold one run with different content."""
    if before is None:
        return
    if before.folder is not None and now.folder is not None:
        name = differing(before.folder, now.folder)
        why = None if name is None else f"they differ in {name}"
    elif isinstance(before.record, MeteredRecord) and isinstance(now.record, MeteredRecord):
        why = _changed(before.record, now.record)
    else:
        why = "only one of them has its record"
    if why is not None:
        raise UsageError(f"{now.run_id} is in {before.source} and in {now.source} with other content: {why}")


def carry_out(runs: Sequence[Incoming], store: Path) -> None:
    """Bring those runs into the store that are to be imported, each whole or not at all.

    Raises:
        UsageError: another process imports into the store.
        StoreError: a run cannot be read or written; those before it are there.
    """
    new = [run for run in runs if run.outcome == "imported"]
    if not new:
        return
    with workshop(store) as folder:
        for run in new:
            if (store / run.run_id).exists():
                raise StoreError(f"{run.run_id} came into {store} meanwhile", hint="repeat the command")
            made = folder / run.run_id
            if run.folder is not None:
                copy(run.folder, made)
            else:
                make(made)
                write_new(made / IMPORTED, run.provenance.encode())
                if isinstance(run.record, MeteredRecord):
                    write_new(made / "run.json", to_json(run.record).encode())
            put(made, store)
