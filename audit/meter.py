"""The door to the meter: ``with measure("training", country_iso_code="KOR") as span:``.

The first `measure` of a process starts the meter; those inside of it are its spans, nested or overlapping. A program
that a metered one starts joins it: its spans are marks on the same curve of energy, and no second meter runs.
"""

import os
from collections.abc import Sequence
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypedDict

from fairprint.audit.budget import Budget
from fairprint.audit.carbon import Conditions
from fairprint.audit.grid import resolve_grid
from fairprint.audit.hosts import Elsewhere, Host, Joined
from fairprint.audit.metered import Fate, MeteredRecord, Phase, Purpose, Quality, WorkDone, check_purpose
from fairprint.audit.metered_store import MeteredFolder
from fairprint.audit.metering import METER, About, Kind, Run
from fairprint.audit.quality import QualityItem, quality_of
from fairprint.audit.settling import ROOT
from fairprint.probes.errors import StoreError

DEFAULT_STORE = Path("fairprint-runs")
_LOCAL_RANKS = ("LOCAL_RANK", "SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK")


class Options(TypedDict, total=False):
    """Options of `measure` that a run as a whole has; told there."""

    store: Path
    country_iso_code: str | None
    region: str | None
    cloud_region: str | None
    kg_per_kwh: float | None
    pue: float | None
    wue: float | None
    interval_s: float
    purpose: Purpose | None
    task: str
    parent: str | None
    lineage: tuple[str, ...]
    budget: Budget | None


_run: Run | None = None
_joined: Joined | None = None
_current: ContextVar["Span | None"] = ContextVar("fairprint_span", default=None)


def _after_fork() -> None:
    global _run, _joined
    if _run is not None:
        _run.forget()
    _run = _joined = None
    _current.set(None)


os.register_at_fork(after_in_child=_after_fork)


class Span:
    """A metered stretch of work: a context manager, or ``start`` and ``stop`` where stretches overlap."""

    def __init__(
        self,
        name: str,
        phase: Phase,
        *,
        host: Host | None = None,
        run: tuple[Path, About, Conditions] | None = None,
    ) -> None:
        self._name, self._phase = name, phase
        self._host, self._asked = host, run
        self._parent: Span | None = None
        self._span = ROOT
        self._root = run is not None
        self._open = False
        self._counted: dict[str, Any] = {}

    def start(self) -> Self:
        """Begin.

        Raises:
            UsageError, StoreError: the store cannot be used.
            RuntimeError: it began already.
        """
        global _run
        if self._open:
            raise RuntimeError(f"the span '{self._name}' began already")
        self._open = True
        if self._asked is not None:
            self._host = _run = Run(*self._asked)
        else:
            self._parent = current()
            outer = self._parent._span if self._parent is not None else ROOT
            self._span = self._here.begin(self._name, self._phase, outer)
        _current.set(self)
        return self

    def stop(self, status: Fate = "done", note: str = "") -> None:
        """End; a second call does nothing.

        Args:
            status: what became of it.
            note: of a failure the kind of error.
        """
        global _run
        if not self._open:
            return
        self._open = False
        if self._root:
            assert isinstance(self._host, Run)
            self._host.finish("truncated" if status in ("failed", "truncated") else "complete", note)
            _run = None
        else:
            self._here.end(self._span, status, note)
        inner = current()
        while inner is not None and not inner._open:  # spans that overlap end in any order
            inner = inner._parent
        _current.set(inner)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        status, note = fate(error)
        if self._root and error is not None and status != "done":
            note = f"ended by {type(error).__name__}"
        self.stop(status, note)

    def count(
        self,
        *,
        tokens: int = 0,
        samples: int = 0,
        steps: int = 0,
        epochs: float = 0.0,
        flops: float = 0.0,
    ) -> None:
        """Count work done, here and in all spans around; what is never counted stays None."""
        told = (("tokens", tokens), ("samples", samples), ("steps", steps), ("epochs", epochs), ("flops", flops))
        added = [pair for pair in told if pair[1]]
        span: Span | None = self
        while span is not None:
            for key, value in added:
                span._counted[key] = span._counted.get(key, 0) + value
            span._here.count(span._span, span._counted)
            span = span._parent
            while span is not None and not span._open:
                span = span._parent

    def note_quality(
        self,
        metric: str,
        value: float | None = None,
        *,
        items: Sequence[QualityItem] = (),
        part: str = "",
        higher_is_better: bool = True,
        note: str = "",
    ) -> None:
        """Note how good the model is that is trained in it; of the same metric and part the last note counts.

        Args:
            metric: such as ``accuracy``.
            value: where there are no items; with items it is their mean.
            items: answers of the model, from which intervals and paired comparisons are made.
            part: of the held-out data, such as ``new words``.
            higher_is_better: whether a higher value is better.
            note: a remark.

        Raises:
            UsageError: see `fairprint.audit.quality.quality_of`.
        """
        found = quality_of(metric, value, items=items, part=part, higher_is_better=higher_is_better, note=note)
        self._here.quality(self._span, found, items)

    def note_evaluation(self, found: Sequence[Quality]) -> None:
        """Note what an evaluation found of the model that is trained here."""
        for quality in found:
            self._here.quality(self._span, quality, ())

    @property
    def training(self) -> "Span":
        """The training or trial that it is a part of; where there is none, the outermost span."""
        span: Span = self
        while span._phase not in ("train", "trial") and span._parent is not None:
            span = span._parent
        return span

    @property
    def work(self) -> WorkDone:
        """What was counted in it and in the spans inside of it."""
        return WorkDone.model_validate(self._counted)

    @property
    def run_id(self) -> str | None:
        """Id of the run in the store; None where another process of the machine meters."""
        return None if self._host is None or self._host.folder is None else self._host.folder.run_id

    @property
    def record(self) -> MeteredRecord | None:
        """Record of the whole run; None while it goes on, and where another process meters."""
        return None if self._host is None else self._host.record

    @property
    def energy_so_far_kwh(self) -> float | None:
        """Energy of the whole run up to the last sample; None where another process meters."""
        return self._host.so_far_kwh() if isinstance(self._host, Run) else None

    @property
    def exhausted(self) -> bool:
        """Whether the budget of the run is spent: save, and stop."""
        return isinstance(self._host, Run) and self._host.exhausted.is_set()

    @property
    def _here(self) -> Host:
        if self._host is None:
            raise RuntimeError(f"the span '{self._name}' has not begun")
        return self._host


def fate(error: BaseException | None) -> tuple[Fate, str]:
    """Return what became of a block that ended with an error or without, and a note.

    A trial that optuna pruned raises TrialPruned; a program that ends itself with exit code 0 has not failed.
    """
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return "done", ""
    if any(kind.__name__ == "TrialPruned" for kind in type(error).__mro__):
        return "pruned", ""
    return "failed", type(error).__name__


def current() -> Span | None:
    """Return the innermost open span of this thread, or None."""
    span = _current.get()
    if span is not None and isinstance(span._host, Run) and span._host is not _run:
        return None  # its run ended before it did
    return span


def active() -> Run | None:
    """Return the run that this process meters, or None."""
    return _run


def budgeted() -> bool:
    """Whether the run that this block is a part of has a budget, also where another process of the job meters it."""
    span = current()
    while span is not None:
        if isinstance(span._host, Run):
            return span._host.limit_kwh is not None
        if isinstance(span._host, Elsewhere) and span._host.budget is not None:
            return True
        span = span._parent
    return False


def measure(
    name: str = "run",
    *,
    phase: Phase = "other",
    kind: Kind = "training",
    store: Path = DEFAULT_STORE,
    country_iso_code: str | None = None,
    region: str | None = None,
    cloud_region: str | None = None,
    kg_per_kwh: float | None = None,
    pue: float | None = None,
    wue: float | None = None,
    interval_s: float = 1.0,
    purpose: Purpose | None = None,
    task: str = "",
    parent: str | None = None,
    lineage: tuple[str, ...] = (),
    budget: Budget | None = None,
) -> Span:
    """Return a meter of what its block costs.

    The first one of a process makes a run in the store. Inside of it, and in programs that it starts, it is a span of
    that run, and only ``name`` and ``phase`` are read: place and budget are the run's. Of several processes of a job on
    one machine only local rank 0 meters, as the whole machine is metered.

    A meter that fails never ends the block: the record then says that nothing was metered, and why.

    Args:
        name: what it is called.
        phase: what kind of work it is.
        kind: of the run.
        store: folder of runs; made if missing.
        country_iso_code: where the electricity comes from, ISO 3166 alpha-3; without any place the emissions are an
            interval over the world.
        region: a US state or a Canadian province.
        cloud_region: instead of a country, such as ``gcp:europe-north1``.
        kg_per_kwh: a grid factor of one's own.
        pue: power usage effectiveness of the data centre; None where not known, and then not applied.
        wue: water usage effectiveness in l/kWh; None where not known.
        interval_s: seconds between two samples, and the most energy that a power cut can lose.
        purpose: what the training is for.
        task: what is learnt; runs of one task are compared with one another.
        parent: run that this one is a part of.
        lineage: runs whose result this one begins from.
        budget: what the run may use.

    Raises:
        UsageError: the place, the PUE, the WUE, the interval, the purpose or the budget is impossible.
    """
    check_purpose(purpose)
    if (host := _run or _outer()) is not None:
        return Span(name, phase, host=host)
    if any(os.environ.get(rank, "0") != "0" for rank in _LOCAL_RANKS):
        return Span(name, phase, host=Elsewhere(budget))
    grid = resolve_grid(country_iso_code, region=region, cloud_region=cloud_region, kg_per_kwh=kg_per_kwh)
    conditions = Conditions(grid=grid, pue=pue, wue=wue, interval_s=interval_s)
    if budget is not None:
        budget.check_place(grid)
    about = About(kind=kind, name=name, purpose=purpose, task=task, parent=parent, lineage=lineage, budget=budget)
    return Span(name, phase, run=(store, about, conditions))


def _outer() -> Joined | None:
    """Return the run of the program that started this one, where it still goes on."""
    global _joined
    told = os.environ.get(METER)
    if not told:
        return None
    folder = MeteredFolder(Path(told))
    if not folder.alive():
        return None
    if _joined is None or _joined.path != folder.path:
        try:
            _joined = Joined(folder)
        except (OSError, StoreError):
            return None
    return _joined
