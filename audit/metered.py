"""Records of metered work that is no audit: a training run, a trial of a search, a command."""

from typing import Literal, get_args

from pydantic import Field

from fairprint.audit.findings import Record
from fairprint.audit.records import Clock, Component, Environment, Footprint, GridFactor
from fairprint.probes.errors import UsageError, nearest

METERED_SCHEMA_VERSION = 1

Phase = Literal["data", "train", "epoch", "evaluation", "checkpoint", "trial", "between trials", "audit", "other"]
Fate = Literal["done", "failed", "pruned", "stopped", "truncated"]
QUALITY_LEVEL = 0.95
"""Level of the intervals of qualities."""
Purpose = Literal["pretraining", "training from scratch", "fine-tuning", "search", "evaluation", "other"]


class WorkDone(Record):
    """Work that does not depend on the machine; each is None where nobody counted it.

    Attributes:
        tokens: that went through the model, padding included.
        samples: training examples, each as often as it was seen.
        steps: of the optimiser.
        epochs: passes over the training data; a part of one is a fraction.
        flops: floating-point operations, about 6 x parameters x tokens for training (forward and backward).
    """

    tokens: int | None = None
    samples: int | None = None
    steps: int | None = None
    epochs: float | None = None
    flops: float | None = None


class Quality(Record):
    """How good a trained model was found to be, as whoever trained it says.

    Attributes:
        metric: such as ``accuracy``.
        part: of the held-out data, such as ``new words``; empty where there is only one.
        value: the mean over the items where they are known.
        items: how many answers it rests on; None where only the value was given, which then has no interval.
        units: how many units of each kind the items are made of, such as ``{"word": 30, "template": 24}``.
        low, high: 95 % interval for items and units like these, where the value is their mean; else None, and
            ``no_interval`` says why. warnings: where it should not be trusted.
        file: in the run's folder, with one item a line; None where only the value was given. sha256: of that file.
        note: such as how the direction was found.
    """

    metric: str
    part: str = ""
    value: float
    higher_is_better: bool = True
    items: int | None = None
    units: dict[str, int] = Field(default_factory=dict)
    low: float | None = None
    high: float | None = None
    no_interval: str | None = None
    warnings: tuple[str, ...] = ()
    file: str | None = None
    sha256: str | None = None
    note: str = ""


class SpanRecord(Record):
    """A stretch of a metered run. Spans may nest and overlap; a sum over spans is one only of spans beside each other.

    Attributes:
        span: its number, such as ``3``, or ``4711.3`` of another process.
        parent: the span around it; None directly under the run.
        begin_s, end_s: seconds from the begin of the run, by the monotonic clock.
        status: ``stopped`` by a budget; ``truncated`` where the process ended first.
        energy_kwh: of the whole machine meanwhile, or None with ``reason``.
        components: energy by component (kWh); empty where ``energy_kwh`` is None.
        own_cpu_s, machine_cpu_s: CPU-seconds of the run's processes and of the machine; None where not known.
        note: of a failure the kind of error; of an audit its run.
        quality: of the model that was trained in it.
    """

    span: str
    parent: str | None
    name: str
    phase: Phase
    begin_s: float
    end_s: float
    duration_s: float
    status: Fate
    energy_kwh: float | None
    components: dict[str, float] = Field(default_factory=dict)
    reason: str | None
    own_cpu_s: float | None = None
    machine_cpu_s: float | None = None
    work: WorkDone = WorkDone()
    note: str = ""
    quality: tuple[Quality, ...] = ()


class CurvePoint(Record):
    """Energy since the begin of the run (kWh) by component, at ``time_s`` seconds of it."""

    time_s: float
    energy_kwh: dict[str, float]


class Overlap(Record):
    """Another meter that measured the same machine meanwhile: the two must not be added up."""

    run_id: str
    began_before: bool = Field(description="it ran already when this one began")


class BudgetRecord(Record):
    """A budget and what became of it; the limit is of ``energy_kwh`` or of ``emissions_kg``."""

    energy_kwh: float | None = None
    emissions_kg: float | None = None
    warn_share: float
    outcome: Literal["kept", "warned", "stopped", "exceeded"]
    told: tuple[str, ...] = ()


class MeteredRecord(Record):
    """One metered run.

    Attributes:
        name: what it is called, by the user or by the command's program.
        purpose: what the training was for; None where nobody said.
        task: what was learnt, so that runs of one task can be compared; empty where nobody said.
        quality: of the model at the end; what was noted of single trainings inside stands with their spans.
        status: ``truncated`` where it ended before its end: by an error, a signal or a power cut.
        exit_code: of a command, 128 + n after signal n; None of others, or where nobody saw its end.
        parent: run that this one is a part of, or None; lineage: runs whose result this one began from.
        footprint: of the whole run.
        spans: in the order in which they began.
        curve: energy over time, thinned to what a picture shows; the journal beside the record has all samples.
        overlaps: other meters on this machine meanwhile.
        work: of the whole run.
        clock: when it was; None where no one knows, as of runs that another program metered.
        checks: what the meter found out about itself, in words.
    """

    schema_version: int = METERED_SCHEMA_VERSION
    run_id: str
    kind: Literal["training", "trial", "metered command"]
    name: str
    purpose: Purpose | None = None
    task: str = ""
    status: Literal["complete", "truncated"]
    exit_code: int | None = None
    parent: str | None = None
    lineage: tuple[str, ...] = ()
    started_at: str
    finished_at: str
    clock: Clock | None
    environment: Environment
    footprint: Footprint
    spans: tuple[SpanRecord, ...] = ()
    curve: tuple[CurvePoint, ...] = ()
    overlaps: tuple[Overlap, ...] = ()
    work: WorkDone = WorkDone()
    quality: tuple[Quality, ...] = ()
    budget: BudgetRecord | None = None
    checks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Opening(Record):
    """What is known of a run when it begins; the first line of its journal.

    Attributes:
        own_cpu_s, machine_cpu_s: readings at the begin, from which the run's are counted.
        gpus: how many GPUs are metered.
        failure: why nothing is metered; None where something is.
    """

    run_id: str
    kind: Literal["training", "trial", "metered command"]
    name: str
    purpose: Purpose | None = None
    task: str = ""
    parent: str | None
    lineage: tuple[str, ...]
    started_at: str
    clock: Clock
    environment: Environment
    components: tuple[Component, ...]
    gpus: int
    own_cpu_s: float | None
    machine_cpu_s: float | None
    interval_s: float
    grid: GridFactor
    pue: float | None
    wue: float | None
    failure: str | None = None


def check_purpose(purpose: str | None) -> None:
    """Refuse what is no purpose of a training; None is that nobody said."""
    if purpose is not None and purpose not in get_args(Purpose):
        raise UsageError(
            f"'{purpose}' is no purpose of a training: expected {', '.join(get_args(Purpose))}",
            hint=nearest(purpose, get_args(Purpose)).strip() or "or leave it out",
        )
