"""Which of the metered runs of a page are ways to learn one task, and what is said of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairprint.audit.metered import MeteredRecord, Quality
from fairprint.audit.metered_store import MeteredFolder
from fairprint.audit.quality import QualityItem
from fairprint.audit.regimes import Regimes, compare_regimes, qualities_of
from fairprint.audit.regimes_reuse import Reuse, Use, reuse_of, use_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """The ways to learn one task, when a shared base pays, and training beside use.

    Attributes:
        alone: whether the answers item by item are missing of some run, of which only the record is at hand.
    """

    regimes: Regimes
    reuse: Reuse
    uses: tuple[Use, ...]
    alone: bool = False


class RecordAlone(MeteredFolder):
    """A metered run of which there is only the record, as in an old page: it has no answers item by item."""

    def __init__(self, record: MeteredRecord) -> None:
        super().__init__(Path())
        self._record = record

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self._record.run_id

    def check_finished(self) -> None:
        """There is a record, so that it is."""

    def record(self) -> MeteredRecord:
        """Return the record."""
        return self._record

    def quality_items(self, quality: Quality) -> tuple[QualityItem, ...]:
        """Return no item."""
        return ()


def ways_of(
    folders: Sequence[MeteredFolder],
    *,
    pretraining_kwh: float | None = None,
    reuses: int | None = None,
    query_kwh: float | None = None,
) -> Ways:
    """Return what is said of runs of one task.

    Args:
        folders: the runs.
        pretraining_kwh: energy of the pretraining of the shared base, or None.
        reuses: how many uses share it, or None.
        query_kwh: energy of one answer, or None for that of the tests after the training.

    Raises:
        UsageError: they are not of one task, one of them has no quality, or a number is impossible.
    """
    found = compare_regimes(folders)
    return Ways(
        regimes=found,
        reuse=reuse_of(found, pretraining_kwh=pretraining_kwh, reuses=reuses),
        uses=tuple(use_of(regime, query_kwh) for regime in found.regimes),
        alone=any(isinstance(folder, RecordAlone) for folder in folders),
    )


def ways_among(runs: Iterable[MeteredFolder]) -> list[Ways]:
    """Return the ways to learn each task of which there are at least two finished runs with a quality."""
    tasks: dict[str, dict[str, MeteredFolder]] = {}
    for run in runs:
        record = run.record()
        if record.task and qualities_of(record):
            tasks.setdefault(record.task, {}).setdefault(record.run_id, run)
    return [ways_of(list(some.values())) for some in tasks.values() if len(some) > 1]
