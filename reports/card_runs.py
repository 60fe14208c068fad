"""Which stored runs a model card is made of, and which it must not be made of."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from fairprint.audit.metered import MeteredRecord
from fairprint.audit.metered_store import MeteredFolder, find_stored, stored_runs
from fairprint.audit.records import ModelInfo, RunRecord, to_json
from fairprint.audit.store import RunFolder
from fairprint.probes.errors import StoreError, UsageError, nearest

Scope = Literal["final", "trials", "audits"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
DIGITS = 16
"""Digits of a record's hash that a card names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardRuns:
    """What a card is made of.

    Attributes:
        audits: of one model, oldest first.
        metered: its trainings and whatever was metered on the way, oldest first.
        digests: sha256 of each record as it is stored, by run id.
        report: address or path of the report that a reader can follow; empty where there is none.
        scope: what the emissions of the metadata cover: the final training, all trials too, or all audits too.
        name: of the model in the model index; empty for the one that the runs know.
    """

    audits: tuple[RunRecord, ...]
    metered: tuple[MeteredRecord, ...]
    digests: Mapping[str, str]
    report: str = ""
    scope: Scope = "final"
    name: str = ""

    @property
    def model(self) -> ModelInfo | None:
        """The audited model; None where nothing was audited."""
        return self.audits[-1].plan.model if self.audits else None

    @property
    def model_name(self) -> str:
        """What the model is called."""
        if self.name:
            return self.name
        if self.model is not None:
            return self.model.name.removeprefix("package:").partition("@")[0]
        return self.metered[-1].name

    @property
    def every(self) -> list[RunRecord | MeteredRecord]:
        """All runs, trainings first."""
        return [*self.metered, *self.audits]

    @property
    def partial(self) -> list[RunRecord | MeteredRecord]:
        """The runs that did not reach their end, or asked a part of the questions."""
        return [run for run in self.every if run.status != "complete"]


def card_runs(
    records: Sequence[RunRecord | MeteredRecord],
    *,
    digests: Mapping[str, str] | None = None,
    model: str | None = None,
    allow_partial: bool = False,
    report: str = "",
    scope: Scope = "final",
    name: str = "",
) -> CardRuns:
    """Return the runs of a card, or refuse those that do not belong together.

    Args:
        records: audits of one model, and its metered trainings.
        digests: sha256 of each record as it is stored; None to compute them.
        model: name of the model, or the beginning of its hash, where the audits are of several.
        allow_partial: take runs that did not reach their end, or that asked a part of the questions.
        report: see `CardRuns`.
        scope: see `CardRuns`.
        name: see `CardRuns`.

    Raises:
        UsageError: there is no run, the audits are of several models, two asked the same, or one is not complete.
    """
    known = {record.run_id: record for record in records}
    audits = sorted((r for r in known.values() if isinstance(r, RunRecord)), key=lambda r: r.run_id)
    metered = sorted((r for r in known.values() if isinstance(r, MeteredRecord)), key=lambda r: r.run_id)
    if scope not in SCOPES:
        raise UsageError(f"the scope is '{scope}': expected one of {', '.join(SCOPES)}.{nearest(scope, SCOPES)}")
    runs = CardRuns(
        audits=tuple(_of_one_model(audits, model)),
        metered=tuple(metered),
        digests=digests or {r.run_id: hashlib.sha256(to_json(r).encode()).hexdigest() for r in known.values()},
        report=report,
        scope=scope,
        name=name,
    )
    if not runs.audits and not runs.metered:
        raise UsageError("a card needs a run", hint="fairprint runs list shows the stored ones")
    if runs.partial and not allow_partial:
        one = runs.partial[0]
        raise UsageError(
            f"{one.run_id} is {one.status}: a card would speak of less than it seems to",
            hint="repeat the run to its end, or say --allow-partial; the card tells then what is missing",
        )
    _asked_once(runs.audits)
    return runs


def _of_one_model(audits: Sequence[RunRecord], wanted: str | None) -> list[RunRecord]:
    models = {audit.plan.model.sha256: audit.plan.model for audit in audits}
    if wanted is not None:
        found = {
            key: one
            for key, one in models.items()
            if wanted == one.name or (len(wanted) >= 4 and one.sha256.startswith(wanted))
        }
        if len(found) != 1:
            known = "; ".join(f"{one.name} ({one.sha256[:8]})" for one in models.values()) or "none"
            which = "no audit is" if not found else "audits of several models are"
            raise UsageError(f"{which} of '{wanted}': the runs are of {known}", hint="give the beginning of its hash")
        models = found
    if len(models) > 1:
        told = ", ".join(f"{one.name} ({one.sha256[:8]})" for one in models.values())
        raise UsageError(
            f"the audits are of {len(models)} models: {told}; a card is about one",
            hint="name the runs of one model, or say which with --model",
        )
    return [audit for audit in audits if audit.plan.model.sha256 in models]


def _asked_once(audits: Sequence[RunRecord]) -> None:
    """Refuse two audits that asked the same: a card would hold two numbers for one thing."""
    seen: dict[str, str] = {}
    for audit in audits:
        for instrument in {e.instrument for e in audit.estimates}:
            if instrument in seen:
                raise UsageError(
                    f"{seen[instrument]} and {audit.run_id} both asked {instrument}: a card has one number for it",
                    hint="name the one of the two that counts",
                )
            seen[instrument] = audit.run_id


def stored(names: Sequence[str], store: Path) -> tuple[list[RunRecord | MeteredRecord], dict[str, str]]:
    """Return the records of stored runs, and their hashes; trainings that an audit names come along.

    Args:
        names: run ids, or their beginning or end where that is unique, or ``latest``; of none, the newest audit.
        store: folder of runs.

    Raises:
        UsageError: there is no such run, or it is not finished.
        StoreError: a record cannot be read.
    """
    every = {folder.run_id: folder for folder in stored_runs(store) if folder.finished}
    if not names:
        audits = [folder for folder in every.values() if isinstance(folder, RunFolder)]
        if not audits:
            raise UsageError(f"no finished audit is stored in {store}", hint="fairprint audit MODEL, then repeat")
        chosen: list[RunFolder | MeteredFolder] = [audits[-1]]
    else:
        chosen = [find_stored(store, name) for name in names]
    records: dict[str, RunRecord | MeteredRecord] = {}
    for folder in chosen:
        folder.check_finished()
        records[folder.run_id] = folder.record()
    # what a model began from, and the search that a training is a part of
    wanted = [run_id for record in list(records.values()) for run_id in _named_by(record)]
    while wanted:
        run_id = wanted.pop()
        beside = every.get(run_id)
        if run_id not in records and isinstance(beside, MeteredFolder):
            records[run_id] = beside.record()
            wanted += _named_by(records[run_id])
    return list(records.values()), {run_id: _digest(every[run_id].path / "run.json") for run_id in records}


def _named_by(record: RunRecord | MeteredRecord) -> list[str]:
    """Return the runs that a record names as those that it belongs to.

    What a training began from is told of its own card: a base model's cost is not that of what was made of it.
    """
    lineage = record.lineage if isinstance(record, RunRecord) else ()
    return [*lineage, *([record.parent] if record.parent else [])]


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise StoreError(f"{path.parent.name}/{path.name} cannot be read: {error.strerror}") from None
