"""Quality against cost over all models of a project: a picture for each metric of each task."""

from collections.abc import Iterable, Sequence

from fairprint.audit.ledger_runs import Run
from fairprint.audit.ledger_searches import Training, models
from fairprint.audit.metered import Quality
from fairprint.audit.pareto import Front, Point, split, steps
from fairprint.audit.together import Amount, Draws, Part


def energy_of(each: Training, draws: Draws) -> Amount:
    """Return the energy (kWh) of a training, as its run measured it."""
    foot = each.footprint
    if foot is not None and foot.energy_kwh is not None:
        return Amount(value=foot.energy_kwh, low=foot.energy_low_kwh, high=foot.energy_high_kwh)
    return Amount(value=None, reason=each.reason) if each.energies is None else draws.energy(each.energies)


def emissions_of(each: Training, draws: Draws) -> Amount:
    """Return the emissions (kg) of a training."""
    if each.energies is None:
        return Amount(value=None, reason=each.reason)
    foot = each.footprint
    if foot is not None:
        return Amount(
            value=foot.emissions_kg,
            low=foot.emissions_low_kg,
            high=foot.emissions_high_kg,
            reason=foot.reason,
        )
    return draws.emissions([(each.energies, each.place)])


def fronts(runs: Sequence[Run], draws: Draws) -> Iterable[Front]:
    """Yield a picture for each metric and part of each task, of all models whose quality was noted."""
    trained = models(runs)
    keys = sorted({(task, q.metric, q.part, q.higher_is_better) for each, task in trained for q in each.quality})
    for task, metric, part, higher in keys:
        told = [
            (each, quality)
            for each, of in trained
            for quality in each.quality
            if (of, quality.metric, quality.part, quality.higher_is_better) == (task, metric, part, higher)
        ]
        yield _front(told, task, draws)


def _front(told: Sequence[tuple[Training, Quality]], task: str, draws: Draws) -> Front:
    """Return one picture; where the emissions of a model are not known, all stand by their energy."""
    first = told[0][1]
    costs = [(each, quality, energy_of(each, draws), emissions_of(each, draws)) for each, quality in told]
    bare = [emissions for _, _, energy, emissions in costs if energy.value is not None and emissions.value is None]
    points, without = [], []
    parts: dict[Point, Part] = {}
    for each, quality, energy, emissions in costs:
        cost = energy if bare else emissions
        if cost.value is None:
            without.append((each.label, cost.reason or "not known"))
            continue
        point = Point(
            run_id=each.run_id,
            label=each.label,
            quality=quality.value,
            cost=cost.value,
            low=cost.low,
            high=cost.high,
            items=quality.items,
            quality_low=quality.low,
            quality_high=quality.high,
        )
        points.append(point)
        parts[point] = each.energies or {}, each.place
    front, dominated = split(points, first.higher_is_better)

    def bounds(start: Point, end: Point) -> tuple[float, float]:
        return draws.more(parts[end], parts[start], energy=bool(bare))

    return Front(
        metric=first.metric,
        part=first.part,
        task=task,
        higher_is_better=first.higher_is_better,
        unit="kWh" if bare else "kg",
        unit_reason=f"the emissions of {len(bare)} of {len(costs)} models are not known" if bare else None,
        front=tuple(front),
        dominated=tuple(dominated),
        steps=steps(front, first.higher_is_better, bounds),
        without=tuple(without),
    )
