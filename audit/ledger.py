"""The ledger of a project: what all of its runs cost, failed and pruned ones too, and what that bought.

Nothing here computes a new measurement: it adds up stored runs, counts once what two meters measured at once, and says
of each number how sure it is.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fairprint.audit.ledger_fronts import emissions_of, energy_of, fronts
from fairprint.audit.ledger_runs import GROUPS, Group, Run, Unfinished
from fairprint.audit.ledger_searches import Search, searched, trainings
from fairprint.audit.metered import Quality
from fairprint.audit.overlaps import Counted, Energies, Sensor, Shared, counted_once, meter_of
from fairprint.audit.pareto import Front
from fairprint.audit.together import METHOD, Amount, Draws, Part, Place, added, by_place
from fairprint.probes.errors import UsageError, nearest

FINAL: tuple[Group, ...] = ("pretraining", "training from scratch", "fine-tuning")
"""What complete runs are for whose models a card would name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One training inside of a run, as its run measured it."""

    name: str
    status: str
    duration_s: float
    energy: Amount
    emissions: Amount
    quality: tuple[Quality, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One run.

    Attributes:
        group: what it was for; group_why: how that is known.
        energy, emissions: as its record says, in its own interval.
        counted: its energy without what counts with another run, and with what only another meter knew.
        trials: trials or trainings inside of it.
    """

    run_id: str
    kind: str
    name: str
    group: Group
    group_why: str
    status: str
    started_at: str
    duration_s: float
    machine: str
    task: str
    parent: str | None
    place: Place
    energy: Amount
    emissions: Amount
    counted: Amount
    quality: tuple[Quality, ...]
    trials: tuple[Trial, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What runs of one purpose cost together; the energies of all shares add up to the total.

    Attributes:
        share: of the total energy; None where that is zero.
    """

    group: Group
    runs: int
    duration_s: float
    energy: Amount
    emissions: Amount
    share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class There:
    """What was used in one place."""

    place: Place
    runs: int
    energy: Amount
    emissions: Amount
    water: Amount | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overhead:
    """The energy of all runs over that of the final ones.

    Attributes:
        final: their run ids; how: what made them final.
    """

    final: tuple[str, ...]
    how: str
    energy: Amount
    factor: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """All that a project cost.

    Attributes:
        entries: its runs, oldest first.
        unfinished: what is not counted.
        duration_s: for how long machines were metered, two meters of one machine at once counted once.
        shares: the total split by purpose.
        places: the total split by place.
        shared: what was taken off runs, since another meter measured the same.
        fronts: quality against cost, a picture for each metric of each task.
        notes: what a reader must know of the total.
        method: how the intervals are made.
    """

    entries: tuple[Entry, ...]
    unfinished: tuple[Unfinished, ...]
    duration_s: float
    energy: Amount
    emissions: Amount
    water: Amount | None
    shares: tuple[Share, ...]
    places: tuple[There, ...]
    shared: tuple[Shared, ...]
    searches: tuple[Search, ...]
    overhead: Overhead
    fronts: tuple[Front, ...]
    notes: tuple[str, ...]
    method: str


def count(runs: Sequence[Run]) -> Counted:
    """Return the energies by run, with what was measured twice counted once; runs without a clock as they are."""
    counted = counted_once(
        meter_of(run.run_id, stretch.clock, stretch.energies, stretch.points, stretch.detail)
        for run in runs
        for stretch in run.stretches
        if stretch.clock is not None
    )
    for run in runs:
        for stretch in run.stretches:
            if stretch.clock is None:
                energies = counted.energy_kwh.get(run.run_id, {})
                counted.energy_kwh[run.run_id] = added([energies, stretch.energies])
                known_s = counted.duration_s.get(run.run_id, 0.0)
                counted.duration_s[run.run_id] = known_s + stretch.duration_s
    return counted


def ledger(
    runs: Sequence[Run],
    unfinished: Sequence[Unfinished] = (),
    *,
    best: Sequence[str] = (),
    final: Sequence[str] = (),
    metric: str | None = None,
) -> Ledger:
    """Return the ledger of some runs; their order does not matter.

    Args:
        runs: all finished ones.
        unfinished: those that are told, and not counted.
        best: trials that are the best of their searches, as TRIAL or RUN/TRIAL; of other searches the quality decides.
        final: ids of the runs that made the final models; of none, complete ones with such a purpose.
        metric: by which the best trials are found.

    Raises:
        UsageError: a run or trial that is named is not there.
    """
    runs = sorted(runs, key=lambda run: run.run_id)
    counted = count(runs)
    energies: dict[str, Energies] = {run.run_id: counted.energy_kwh.get(run.run_id, {}) for run in runs}
    draws = Draws(_sensors(runs, energies), (run.place.grid for run in runs))
    parts = [(energies[run.run_id], run.place) for run in runs if energies[run.run_id]]
    shares = tuple(_shares(runs, counted, energies, draws))
    total = draws.energy(added(energies.values()))
    # from the shares, so that they add up to it
    total = Amount(value=math.fsum(share.energy.value or 0.0 for share in shares), low=total.low, high=total.high)
    return Ledger(
        entries=tuple(_entry(run, energies[run.run_id], draws) for run in runs),
        unfinished=tuple(sorted(unfinished, key=lambda run: run.run_id)),
        duration_s=math.fsum(counted.duration_s.values()),
        energy=total,
        emissions=draws.emissions(by_place(parts)),
        water=draws.water(by_place(parts)),
        shares=shares,
        places=tuple(_places(runs, energies, draws)),
        shared=counted.shared,
        searches=tuple(searched(runs, draws, lambda some: added(count(some).energy_kwh.values()), best, metric)),
        overhead=_overhead(runs, energies, draws, final),
        fronts=tuple(fronts(runs, draws)),
        notes=tuple(_notes(runs, unfinished, counted)),
        method=METHOD,
    )


def _sensors(runs: Sequence[Run], energies: Mapping[str, Energies]) -> Iterable[Sensor]:
    yield from (sensor for some in energies.values() for sensor in some)
    yield from (sensor for run in runs for stretch in run.stretches for sensor in stretch.energies)


def _entry(run: Run, energies: Energies, draws: Draws) -> Entry:
    foot = run.footprint
    known = bool(energies)
    return Entry(
        run_id=run.run_id,
        kind=run.kind,
        name=run.name,
        group=run.group,
        group_why=run.group_why,
        status=run.status,
        started_at=run.started_at,
        duration_s=foot.duration_s,
        machine=run.machine,
        task=run.task,
        parent=run.parent,
        place=run.place,
        energy=Amount(
            value=foot.energy_kwh,
            low=foot.energy_low_kwh,
            high=foot.energy_high_kwh,
            reason=foot.reason if foot.energy_kwh is None else None,
        ),
        emissions=Amount(
            value=foot.emissions_kg, low=foot.emissions_low_kg, high=foot.emissions_high_kg, reason=foot.reason
        ),
        counted=draws.energy(energies) if known else Amount(value=None, reason=_nothing(run)),
        quality=run.quality,
        trials=tuple(
            Trial(
                name=each.name,
                status=each.status,
                duration_s=each.duration_s,
                energy=energy_of(each, draws),
                emissions=emissions_of(each, draws),
                quality=each.quality,
            )
            for each in trainings(run)
        ),
    )


def _nothing(run: Run) -> str:
    if run.footprint.energy_kwh is None:
        return run.footprint.reason or "it was not metered"
    return "all of it counts with other runs"


def _shares(runs: Sequence[Run], counted: Counted, energies: Mapping[str, Energies], draws: Draws) -> Iterable[Share]:
    total = math.fsum(kwh for some in energies.values() for kwh in some.values())
    for group in GROUPS:
        some = [run for run in runs if run.group == group]
        if some:
            energy = draws.energy(added(energies[run.run_id] for run in some))
            parts = by_place((energies[run.run_id], run.place) for run in some if energies[run.run_id])
            yield Share(
                group=group,
                runs=len(some),
                duration_s=math.fsum(counted.duration_s.get(run.run_id, 0.0) for run in some),
                energy=energy,
                emissions=draws.emissions(parts),
                share=(energy.value or 0.0) / total if total > 0 else None,
            )


def _places(runs: Sequence[Run], energies: Mapping[str, Energies], draws: Draws) -> Iterable[There]:
    for key in sorted({run.place.key for run in runs if energies[run.run_id]}):
        some = [run for run in runs if run.place.key == key and energies[run.run_id]]
        parts: list[Part] = [(added(energies[run.run_id] for run in some), some[0].place)]
        yield There(
            place=some[0].place,
            runs=len(some),
            energy=draws.energy(parts[0][0]),
            emissions=draws.emissions(parts),
            water=draws.water(parts),
        )


def _overhead(runs: Sequence[Run], energies: Mapping[str, Energies], draws: Draws, final: Sequence[str]) -> Overhead:
    how = "named with --final"
    chosen = [_found(runs, run_id) for run_id in final]
    if not final:
        how = "complete runs for pretraining, training from scratch or fine-tuning"
        chosen = [run for run in runs if run.group in FINAL and run.status == "complete"]
    chosen = list({run.run_id: run for run in chosen}.values())
    energy = draws.energy(added(energies[run.run_id] for run in chosen))
    if not chosen:
        reason = "no run says that it made a final model: give its id with --final, or meter with --purpose"
        factor = energy = Amount(value=None, reason=reason)
    elif bare := [run for run in chosen if not energies[run.run_id]]:
        factor = energy = Amount(value=None, reason=f"the energy of {bare[0].run_id} is not known: {_nothing(bare[0])}")
    else:
        factor = draws.ratio(added(energies.values()), added(energies[run.run_id] for run in chosen))
    return Overhead(final=tuple(run.run_id for run in chosen), how=how, energy=energy, factor=factor)


def _found(runs: Sequence[Run], run_id: str) -> Run:
    ids = [run.run_id for run in runs]
    some = [run for run in runs if run.run_id == run_id] or [
        run for run in runs if run_id and (run.run_id.startswith(run_id) or run.run_id.endswith(run_id))
    ]
    if len(some) != 1:
        what = f"could be {', '.join(run.run_id for run in some)}" if some else f"is none here.{nearest(run_id, ids)}"
        raise UsageError(f"the final run '{run_id}' {what}", hint="fairprint runs list shows them")
    return some[0]


def _notes(runs: Sequence[Run], unfinished: Sequence[Unfinished], counted: Counted) -> Iterable[str]:
    if unfinished:
        told = _tally(len(unfinished), "run without", "runs without")
        yield f"{told} a readable record: not counted, so that the total is a lower bound"
    unknown = {run_id for run_id, seconds in counted.unknown_s.items() if seconds > 0}
    timeless = {run.run_id for run in runs if any(stretch.clock is None for stretch in run.stretches)}
    bare = [run for run in runs if run.footprint.energy_kwh is None and run.run_id in unknown | timeless]
    if bare:
        told = _tally(len(bare), "run has", "runs have")
        why = "no energy for all or a part of the time, so that the total is a lower bound"
        yield f"{told} {why}: {', '.join(run.run_id for run in bare)}"
    truncated = sum(run.status == "truncated" for run in runs)
    if truncated:
        yield f"{_tally(truncated, 'run', 'runs')} ended before the end: counted up to where last heard of"
    loose = [run for run in runs if any(stretch.clock is None and stretch.energies for stretch in run.stretches)]
    if loose:
        told = _tally(len(loose), "run does", "runs do")
        yield f"{told} not say when on the machine's clock: what another meter measured meanwhile would count twice"
    known = {run.run_id for run in runs}
    strange = sorted({other for run in runs for other in run.neighbours if other not in known})
    if strange:
        told = _tally(len(strange), "meter that ran meanwhile has", "meters that ran meanwhile have")
        yield f"{told} no record here: {', '.join(strange)}"
    sources = sorted({run.place.grid.source for run in runs if run.place.grid.kg_per_kwh is not None})
    if len(sources) > 1:
        told = f"grid factors of {len(sources)} sources are added up, which count differently"
        yield f"{told}: {'; '.join(sources)}"


def _tally(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"
