"""Run records: everything that reports, cards and gates are made of, as it is stored.

JSON is written sorted and without NaN. An absent number is None, and the field beside it says why.
"""

import json
from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field

from fairprint.audit.findings import Family, Record, SecondOpinion, SignificanceTest
from fairprint.probes.errors import StoreError

SCHEMA_VERSION = 1


class ModelInfo(Record):
    """Which model answered.

    Attributes:
        name: as the user gave it; of a local path only the last part, so that records hold no machine's folders.
        revision: commit of a hub model, or None.
        sha256: hash over config, tokenizer and weights.
        model_type: family, such as ``llama`` or ``bert``.
        kind: ``causal`` or ``masked``.
        weights: file format, and ``de-quantised from Q4_1`` and the like where that happened.
        dtype: the type of the weights in memory.
        parameters: how many, or None where the weights were not seen (an endpoint, recorded answers).
        notes: what a reader must know, such as a first token that is not scored.
    """

    name: str
    revision: str | None
    sha256: str
    model_type: str
    kind: str
    architecture: str
    weights: str
    dtype: str
    parameters: int | None
    notes: tuple[str, ...] = ()


class GroupInfo(Record):
    """A compared group and how it is called; ``words`` are those that an association test compares with."""

    id: str
    label: str
    words: tuple[str, ...] = ()


class ProbeInfo(Record):
    """Which questions were asked: a probe set without its items."""

    name: str
    version: int
    title: str
    summary: str
    measures: str = Field(description="the construct")
    harm_type: str
    language: str
    licence: str
    sources: tuple[str, ...]
    criticism: tuple[str, ...]
    cannot_show: tuple[str, ...]
    groups: tuple[GroupInfo, ...]
    comparisons: tuple[tuple[str, str], ...] = Field(description="ids of the groups compared; gaps are first - second")
    scored: str = Field(description="what the model was asked about: group, lexeme, rest ...")
    random_factors: tuple[str, ...]
    covariate: str | None = Field(description="what the published figure of each lexeme is")
    covariate_group: str | None = Field(description="id of the group whose figure it is")
    lexeme_covariates: dict[str, float] = Field(description="that figure, by lexeme")
    lexeme_texts: dict[str, str] = Field(default_factory=dict, description="words as written, where ids are not")
    sha256: str
    source: str
    items: int
    sentences: int
    templates: int
    lexemes: int
    items_in_set: int = Field(description="items of the whole set; more than items where a limit was given")
    quality: dict[str, str] = Field(default_factory=dict, description="rules of item quality, and what each means")
    flagged: dict[str, int] = Field(default_factory=dict, description="how many of the items break each rule")
    remarks: tuple[str, ...] = Field(default=(), description="how the file was read")

    @property
    def labels(self) -> dict[str, str]:
        """The label of each group, by id, in the order of the set."""
        return {group.id: group.label for group in self.groups}


class Extreme(Record):
    """What the estimate would be without one unit: the lowest and the highest of all."""

    factor: str
    unit: str
    value: float


class Published(Record):
    """A figure that others published for the same model, instrument and metric."""

    value: float
    source: str


class Estimate(Record):
    """One number with everything that must stand beside it.

    Attributes:
        instrument: probe set and scoring, such as ``gendered-occupations / fill``.
        scope: ``all``, ``category:NAME``, ``group:ID`` or ``lexeme:ID``; of published benchmarks also
            ``condition:NAME``, and ``quality:clean`` for the items that break no rule of quality.
        comparison: ids of the two groups that are compared, first minus second; None where several comparisons are
            taken together, or none is made.
        value: the number on these items, or None with ``reason``.
        low, high: confidence interval for items like these, or None with ``reason``.
        unit: ``share``, ``nats``, ``standard deviations`` or ``correlation``.
        neutral: the value without bias, and ``neutral_why``.
        p_value: two-sided, of the neutral value, from the statistic that gives the interval.
        q_value: ``p_value`` after Benjamini-Hochberg within the family that ``family`` names.
        missing: items without an answer, not counted in ``items``.
        bound_low, bound_high: worst cases, had the missing items answered one way or the other (bounded metrics).
        units: number of units of each random factor.
        design_effect: variance of the estimate over what it would be, had each item been drawn by itself.
        detectable: smallest distance from neutral found with 80 % power at 5 %.
        standard_error, degrees_of_freedom: on ``scale``.
        standard_errors: on ``scale`` too: had each ``item`` been drawn by itself, with whole units of ``template`` or
            ``lexeme`` drawn, and of both at once (``two-way``); those that there are.
        second_opinion: of another method, for the estimates of whole sets.
        estimand: what the interval speaks of, in words.
        warnings: where the interval should not be trusted.
        published: what others found, where that is known.
    """

    metric: str
    metric_version: int
    probe_set: str
    instrument: str
    scope: str
    comparison: tuple[str, str] | None
    value: float | None
    low: float | None
    high: float | None
    level: float
    unit: str
    scale: str
    neutral: float | None
    neutral_why: str
    p_value: float | None
    q_value: float | None
    family: str | None
    items: int
    missing: int
    bound_low: float | None
    bound_high: float | None
    units: dict[str, int]
    design_effect: float | None
    detectable: float | None
    standard_error: float | None
    degrees_of_freedom: float | None
    standard_errors: dict[str, float] = Field(default_factory=dict)
    second_opinion: SecondOpinion | None = None
    extremes: tuple[Extreme, ...]
    estimand: str
    method: str
    reason: str | None
    warnings: tuple[str, ...] = ()
    published: Published | None = None


SensorClass = Literal["counter", "sampled power", "load model", "constant", "none"]


class Component(Record):
    """Energy of one part of the machine, and how the number came about.

    Attributes:
        name: ``cpu``, ``gpu`` or ``ram``.
        energy_kwh: None where nothing measured it; ``detail`` says why.
        sensor: class of the instrument.
        half_width: relative half-width of the uncertainty, such as 0.5.
        detail: the sensor in words.
        idle_w: power without load as a model says it; None where power is measured, or of older versions.
    """

    name: str
    energy_kwh: float | None
    sensor: SensorClass
    half_width: float | None
    detail: str
    idle_w: float | None = None


class GridFactor(Record):
    """Carbon intensity of the electricity, with where it comes from.

    Attributes:
        kg_per_kwh: None where the location is unknown; then low and high span the world.
        method: how the source computes it; figures of two methods must not be ranked.
    """

    kg_per_kwh: float | None
    low_kg_per_kwh: float
    high_kg_per_kwh: float
    country_iso_code: str | None
    region: str | None
    source: str
    year: int | None
    method: str
    cloud_region: str | None = None


class Clock(Record):
    """When a run was, on the clock of one start of one machine, so that two runs can be laid over each other.

    Attributes:
        machine: a hash that tells machines apart and names none; boot: the same of its last start.
        begin_s, end_s: seconds since that start.
    """

    machine: str
    boot: str
    begin_s: float
    end_s: float


class Segment(Record):
    """One process that worked on a run: a run that was killed and resumed has several.

    Attributes:
        clock: when it was metered; None of a process that was not, of older versions, and of metered runs, which have
            their own.
    """

    started_at: str
    duration_s: float | None
    metered: bool
    note: str
    clock: Clock | None = None


class Footprint(Record):
    """What a run cost. Energy is of the whole machine while the run went on, not above idle.

    Attributes:
        energy_kwh, energy_low_kwh, energy_high_kwh: at the machine (no PUE), with a 90 % interval; None with a
            ``reason``.
        emissions_kg: CO2-equivalent, energy x PUE (1 where not given) x grid factor; None where the location is
            unknown, then the interval spans the world.
        pue: power usage effectiveness of the data centre, or None where not given and not applied.
        own_cpu_s, machine_cpu_s: CPU-seconds of this run's processes and of the machine meanwhile.
        attributed_energy_kwh: ``energy_kwh`` x own / machine CPU-seconds (a load model), never mixed into the total.
        measurement_loss: share of the duration that the energy of the sampled components does not cover.
        above_idle_energy_kwh: ``energy_kwh`` less what the machine would have used without load; None where unknown.
        idle_method: where that comes from.
        water_l: litres at the data centre, energy x WUE: a WUE is of the energy at the machines (ISO/IEC 30134-9), so
            that no PUE multiplies it. None where no WUE was given.
        wue: water usage effectiveness in l/kWh, or None.
    """

    energy_kwh: float | None
    energy_low_kwh: float | None
    energy_high_kwh: float | None
    emissions_kg: float | None
    emissions_low_kg: float | None
    emissions_high_kg: float | None
    reason: str | None
    duration_s: float
    mean_power_w: float | None
    pue: float | None
    own_cpu_s: float | None
    machine_cpu_s: float | None
    attributed_energy_kwh: float | None
    measurement_loss: float | None
    components: tuple[Component, ...]
    grid: GridFactor
    interval_method: str
    meter: str
    warnings: tuple[str, ...]
    segments: tuple[Segment, ...]
    above_idle_energy_kwh: float | None = None
    idle_method: str = ""
    water_l: float | None = None
    wue: float | None = None


class Environment(Record):
    """What the run ran on, as far as it can move a number; ``threads`` is None where nobody knows."""

    fairprint: str
    python: str
    system: str
    cpu: str
    threads: int | None
    device: str
    versions: dict[str, str]


class Options(Record):
    """What was asked for. A resumed run must ask for the same."""

    seed: int
    limit: int | None
    shard_size: int
    batch_size: int
    batch_tokens: int
    instruments: tuple[str, ...]
    trust_remote_code: bool = False


class ItemHighlight(Record):
    """An item with a large gap, kept in the record so that reports need not read the scores."""

    probe_set: str
    item: str
    comparison: tuple[str, str]
    text: dict[str, str] = Field(description="the sentence said of each of the two groups")
    logprob: dict[str, float]
    stereotyped: str | None
    gap: float
    unit: str = "nats"


class Plan(Record):
    """All that fixes the scores of a run; written first, and compared when a run is resumed."""

    model: ModelInfo
    probe_hashes: dict[str, str]
    environment: Environment
    options: Options
    scorers: tuple[ModelInfo, ...] = Field(default=(), description="what judged the texts that the model wrote")
    instrument_versions: dict[str, int] = Field(
        default_factory=dict, description="versions of the ways to ask, by name"
    )


class RunRecord(Record):
    """One finished run.

    Attributes:
        status: ``complete``; ``partial`` with a limit; ``truncated`` where it ended before its end.
        parent: run that this one is a part of, or None.
        lineage: runs whose result this one began from, such as the training of the audited model.
        tokens: that went through the model, the same on every machine; of texts that a model writes, at the most. None
            where it computed elsewhere, where answers were replayed, or where an older version ran.
        flops: about 2 x parameters x tokens: what attention adds is left out, and weights count that a token skips.
    """

    schema_version: int = SCHEMA_VERSION
    run_id: str
    kind: Literal["audit", "training", "trial", "metered command"]
    parent: str | None = None
    lineage: tuple[str, ...] = ()
    status: Literal["complete", "partial", "truncated"]
    started_at: str
    finished_at: str
    plan: Plan
    probes: tuple[ProbeInfo, ...]
    estimates: tuple[Estimate, ...]
    highlights: tuple[ItemHighlight, ...]
    tests: tuple[SignificanceTest, ...] = ()
    families: tuple[Family, ...] = Field(default=(), description="tests that were corrected together")
    footprint: Footprint
    tokens: int | None = None
    flops: float | None = None
    scores: dict[str, str] = Field(default_factory=dict, description="sha256 of each score file, by name")
    not_asked: dict[str, str] = Field(default_factory=dict, description="own probe sets that were not asked, and why")
    notes: tuple[str, ...] = ()


def to_json(record: Record) -> str:
    """Return a record as sorted, indented JSON that ends in a line break."""
    return (
        json.dumps(record.model_dump(mode="json"), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    )


MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""From each older schema version, the function that lifts a record to the next one."""


def migrate(data: dict[str, Any]) -> dict[str, Any]:
    """Lift a stored record to the present schema.

    Raises:
        StoreError: the record was written by a newer fairprint, or says no schema version.
    """
    version = data.get("schema_version") if isinstance(data, dict) else None
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise StoreError(
            f"the record has schema version {version!r}; this fairprint reads up to {SCHEMA_VERSION}",
            hint="update fairprint",
        )
    while version < SCHEMA_VERSION:
        data = MIGRATIONS[version](data)
        version = data["schema_version"]
    return data
