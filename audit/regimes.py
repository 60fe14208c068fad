"""Ways to learn one task, compared: quality with paired intervals, duration, energy and emissions of the training.

The runs say themselves what they were for and which task they learnt (`fairprint.audit.meter.measure`), and hold the
answers of the trained model item by item (`note_quality`), so that two of them are compared on the same items.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairprint.audit.footprints import totals_of
from fairprint.audit.item_means import difference_of
from fairprint.audit.metered import MeteredRecord, Quality, SpanRecord
from fairprint.audit.metered_store import MeteredFolder
from fairprint.audit.overlaps import Sensor, sensors_of
from fairprint.audit.quality import QualityItem
from fairprint.audit.records import Component
from fairprint.audit.reuse import uses_to_match
from fairprint.audit.searching import outermost_trainings, overlap
from fairprint.audit.statistics import Interval
from fairprint.audit.together import Amount, Draws
from fairprint.probes.errors import UsageError

FINE_TUNED, SCRATCH = "fine-tuning", "training from scratch"
NO_ITEMS = "only the value was noted, without items: there is no interval"
ITEMS_ELSEWHERE = "the answers, item by item, are not at hand: there is no interval"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A quality of one model, or how much better a second one is, with a 95 % interval for items of the kind.

    Attributes:
        metric, part: which.
        value: None with ``reason``; the interval too is None with it.
        p_value: of no difference; None of a single quality.
        units: how many units the items are made of.
    """

    metric: str
    part: str
    value: float | None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    items: int | None = None
    units: Mapping[str, int]
    reason: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a training cost, without the evaluations after it; intervals of 90 %.

    Attributes:
        components: energy by component (kWh).
        whole: whether it is that of the whole run, as no training is marked in it.
    """

    duration_s: float
    energy_kwh: Amount
    emissions_kg: Amount
    components: Mapping[str, float]
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Regime:
    """One way to learn the task: a run with what it cost, and how good its model is."""

    record: MeteredRecord
    cost: Cost
    qualities: tuple[Found, ...]
    query: Amount
    """Energy of one answer of the trained model (kWh), from the evaluations of the run."""

    @property
    def steps(self) -> int | None:
        """Steps of the optimiser."""
        return self.record.work.steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Two regimes: how much better the second is, and how many times the energy it took."""

    first: Regime
    second: Regime
    differences: tuple[Found, ...]
    energy_ratio: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Regimes:
    """The ways to learn one task.

    Attributes:
        regimes: in the order of their energy, the least first; those without energy last.
        knew: from the training from scratch that got furthest to the fine-tuning: what pretraining knew.
        optimised: from the training from scratch with as many steps as the fine-tuning to the one that got furthest:
            what more optimisation brings. Each is None where the runs are not there.
    """

    task: str
    regimes: tuple[Regime, ...]
    knew: Gap | None
    optimised: Gap | None


def compare_regimes(folders: Sequence[MeteredFolder]) -> Regimes:
    """Compare runs of one task.

    Raises:
        UsageError: there are fewer than two runs, one is not finished, they name no task or several, or one of them
            has no quality.
    """
    once = {folder.run_id: folder for folder in folders}
    for folder in once.values():
        folder.check_finished()
    runs = [(folder, folder.record()) for folder in once.values()]
    tasks = sorted({record.task for _, record in runs})
    if len(runs) < 2:
        raise UsageError("one run alone compares with nothing", hint="name two runs of one task or more")
    if len(tasks) != 1 or not tasks[0]:
        told = ", ".join(f"'{task}'" if task else "none" for task in tasks)
        raise UsageError(f"the runs are not of one task: {told}", hint="meter them with the same --task (task=...)")
    regimes = sorted((_regime(folder, record) for folder, record in runs), key=_by_energy)
    tuned = next((regime for regime in regimes if regime.record.purpose == FINE_TUNED), None)
    scratch = [regime for regime in regimes if regime.record.purpose == SCRATCH]
    furthest = max(scratch, key=lambda regime: regime.steps or 0, default=None)
    as_many = [regime for regime in scratch if tuned and tuned.steps and regime.steps == tuned.steps]
    equal = next((regime for regime in as_many if regime is not furthest), None)
    return Regimes(
        task=tasks[0],
        regimes=tuple(regimes),
        knew=_gap(furthest, tuned, once) if furthest and tuned else None,
        optimised=_gap(equal, furthest, once) if equal and furthest else None,
    )


def latest_of(folders: Sequence[MeteredFolder], task: str) -> list[MeteredFolder]:
    """Return the newest finished run of each name of a task.

    Raises:
        UsageError: no run is of that task.
    """
    found: dict[str, MeteredFolder] = {}
    for folder in folders:
        if folder.finished and (record := folder.record()).task == task and qualities_of(record):
            found[record.name] = folder
    if not found:
        raise UsageError(f"no finished run with a quality is of the task '{task}'", hint="fairprint runs list")
    return list(found.values())


def qualities_of(record: MeteredRecord) -> tuple[Quality, ...]:
    """Return the qualities of the model at the end: of the run, or else of its last training that has one."""
    spans = [span.quality for span in record.spans if span.phase in ("train", "trial") and span.quality]
    return record.quality or (spans[-1] if spans else ())


def _by_energy(regime: Regime) -> tuple[bool, float]:
    energy_kwh = regime.cost.energy_kwh.value
    return energy_kwh is None, energy_kwh or 0.0


def _regime(folder: MeteredFolder, record: MeteredRecord) -> Regime:
    qualities = qualities_of(record)
    if not qualities:
        raise UsageError(
            f"{folder.run_id} has no quality, so that it cannot be compared",
            hint='note it while the run goes on: span.note_quality("accuracy", items=[...])',
        )
    return Regime(
        record=record,
        cost=training_cost(record),
        qualities=tuple(_single(quality) for quality in qualities),
        query=_query(record, qualities),
    )


# what it cost


def training_cost(record: MeteredRecord) -> Cost:
    """Return what the trainings of a run cost, without what was evaluated beside them; else what the whole run cost."""
    # of trainings that went on at the same time each has the energy of the machine
    spans = [] if overlap(outer := outermost_trainings(record)) else outer
    foot = record.footprint
    whole = not spans or any(span.energy_kwh is None for span in spans)
    if whole:
        components = {part.name: part.energy_kwh for part in foot.components if part.energy_kwh is not None}
        duration_s, failure = foot.duration_s, foot.reason if foot.energy_kwh is None else None
    else:
        names = dict.fromkeys(name for span in spans for name in span.components)
        components = {name: sum(span.components.get(name, 0.0) for span in spans) for name in names}
        duration_s, failure = sum(span.duration_s for span in spans), None
    components = {part.name: components[part.name] for part in _metered(record) if part.name in components}
    totals = totals_of(_with(record, components), foot.grid, foot.pue, failure)
    energy, emissions = (
        Amount(value=totals[f"{what}"], low=totals[low], high=totals[high], reason=totals["reason"])
        for what, low, high in (
            ("energy_kwh", "energy_low_kwh", "energy_high_kwh"),
            ("emissions_kg", "emissions_low_kg", "emissions_high_kg"),
        )
    )
    return Cost(duration_s=duration_s, energy_kwh=energy, emissions_kg=emissions, components=components, whole=whole)


def _query(record: MeteredRecord, qualities: Sequence[Quality]) -> Amount:
    """Return the energy of one answer (kWh): of the evaluations after the trainings, over the items they answered."""
    spans = _answering(record)
    # several metrics of one part are made of the same answers
    answered: dict[str, int] = {}
    for quality in qualities:
        if quality.file is not None:
            answered[quality.part] = max(answered.get(quality.part, 0), quality.items or 0)
    items = sum(answered.values())
    known = [span.energy_kwh for span in spans if span.energy_kwh is not None]
    if not items or not known or len(known) < len(spans):
        return Amount(value=None, reason="the energy of the answers was not metered by itself")
    return Amount(value=sum(known) / items)


def _answering(record: MeteredRecord) -> list[SpanRecord]:
    inside = {span.span for span in record.spans if span.phase in ("train", "trial", "epoch")}
    return [span for span in record.spans if span.phase == "evaluation" and span.parent not in inside]


def answers_to_match(regime: Regime) -> Amount:
    """Return after how many answers their energy is that of the training.

    Training and answers were metered by the same sensors, whose errors cancel as far as both have the same parts.
    """
    if regime.query.value is None or regime.cost.energy_kwh.value is None:
        return Amount(value=None, reason=regime.query.reason or regime.cost.energy_kwh.reason)
    count = uses_to_match(regime.cost.energy_kwh.value, regime.query.value)
    if count is None:
        return Amount(value=None, reason="the answers took no energy that the sensors see")
    answering: dict[str, float] = {}
    for span in _answering(regime.record):
        for name, energy_kwh in span.components.items():
            answering[name] = answering.get(name, 0.0) + energy_kwh
    draws = draws_of((regime.record,))
    ratio = draws.ratio(energies_of(regime.record, regime.cost.components), energies_of(regime.record, answering))
    if ratio.low is None or ratio.high is None:
        return Amount(value=count, reason=ratio.reason)
    times = sum(answering.values()) / regime.query.value
    return Amount(value=count, low=ratio.low * times, high=ratio.high * times)


# how good


def _no_mean(quality: Quality, items: Sequence[QualityItem]) -> bool:
    """Whether what was noted is another number than the mean of its items, such as an F1 of right and wrong answers."""
    return not math.isclose(quality.value, math.fsum(item.value for item in items) / len(items), abs_tol=1e-9)


def _single(quality: Quality) -> Found:
    """Return a quality with the interval that its run noted."""
    known = quality.low is not None
    reason = None if known else quality.no_interval or (NO_ITEMS if quality.items is None else ITEMS_ELSEWHERE)
    return Found(
        metric=quality.metric,
        part=quality.part,
        value=quality.value,
        low=quality.low,
        high=quality.high,
        items=quality.items,
        units=quality.units,
        reason=reason,
        warnings=quality.warnings,
    )


def _found(quality: Quality, found: Interval, items: Sequence[QualityItem]) -> Found:
    return Found(
        metric=quality.metric,
        part=quality.part,
        value=found.value,
        low=found.low,
        high=found.high,
        p_value=found.p_value,
        items=len(items),
        units={kind: len({item.units[kind] for item in items}) for kind in sorted(items[0].units)},
        reason=found.reason,
        warnings=found.warnings,
    )


def _gap(first: Regime, second: Regime, folders: Mapping[str, MeteredFolder]) -> Gap:
    found = []
    noted = {(quality.metric, quality.part): quality for quality in qualities_of(first.record)}
    for quality in qualities_of(second.record):
        other = noted.get((quality.metric, quality.part))
        if other is None:
            continue
        sides = [
            folders[regime.record.run_id].quality_items(which) for regime, which in ((first, other), (second, quality))
        ]
        found.append(_difference(other, quality, *sides))
    return Gap(first=first, second=second, differences=tuple(found), energy_ratio=energy_ratio(first, second))


def _difference(first: Quality, second: Quality, before: Sequence[QualityItem], after: Sequence[QualityItem]) -> Found:
    """Return how much better the second is, paired by item; a metric of which less is better is turned round."""
    sign = 1.0 if second.higher_is_better else -1.0
    plain: float | None = sign * (second.value - first.value)
    reason = None
    if first.higher_is_better != second.higher_is_better:
        plain, reason = None, "the two do not agree on whether more of it is better"
    elif not before or not after:
        known = first.items is not None and second.items is not None
        reason = ITEMS_ELSEWHERE if known else NO_ITEMS
    elif {item.item for item in before} != {item.item for item in after}:
        reason = "the two were tested on other items: the difference has no paired interval"
    elif _no_mean(first, before) or _no_mean(second, after):
        reason = "what was noted is not the mean of its items, so that they give the difference no interval"
    if reason is not None:
        return Found(metric=second.metric, part=second.part, value=plain, units={}, reason=reason)
    values = {item.item: item.value for item in before}
    moved = [sign * (item.value - values[item.item]) for item in after]
    found = difference_of(moved, [item.units for item in after], [item.item for item in after])
    return _found(second, found, after)


def energy_ratio(first: Regime, second: Regime) -> Amount:
    """Return how many times the energy of the first the second took; errors of the same sensors are in both."""
    energies = [regime.cost.energy_kwh for regime in (first, second)]
    if energies[0].value is None or energies[1].value is None or energies[0].value <= 0:
        missing = energies[0] if not energies[0].value else energies[1]
        return Amount(value=None, reason=missing.reason or "no energy")
    if first.cost.whole != second.cost.whole:
        return Amount(value=None, reason="of one run only its training was counted, of the other all that it did")
    draws = draws_of((first.record, second.record))
    return draws.ratio(*(energies_of(regime.record, regime.cost.components) for regime in (second, first)))


def draws_of(records: Sequence[MeteredRecord]) -> Draws:
    """Return what the errors of the sensors of some runs may be."""
    known = [sensors_of(record.footprint.components, _machine(record)) for record in records]
    return Draws([sensor for sensors in known for sensor in sensors], [])


def energies_of(record: MeteredRecord, components: Mapping[str, float]) -> Mapping[Sensor, float]:
    """Return energies by the sensor that measured them; errors of one sensor of one machine are the same."""
    return sensors_of(_with(record, components), _machine(record))


def _metered(record: MeteredRecord) -> list[Component]:
    """Return the components that a sensor saw: spans have a 0 for the others, such as a GPU that is not there."""
    return [part for part in record.footprint.components if part.energy_kwh is not None]


def _with(record: MeteredRecord, components: Mapping[str, float]) -> list[Component]:
    return [
        part.model_copy(update={"energy_kwh": components[part.name]})
        for part in _metered(record)
        if part.name in components
    ]


def _machine(record: MeteredRecord) -> str:
    return record.run_id if record.clock is None else record.clock.machine
