"""Searches: what all trials cost over what the best of them cost, failed and pruned ones too."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fairprint.audit.ledger_runs import Run
from fairprint.audit.metered import Quality
from fairprint.audit.overlaps import Energies
from fairprint.audit.records import Clock, Footprint
from fairprint.audit.together import Amount, Draws, Place, added, of_components
from fairprint.probes.errors import UsageError, nearest

DONE = ("done", "complete")
"""What a trial is called that came to its end, as a span and as a run of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One training: a trial or a training inside of a run, or a run by itself.

    Attributes:
        energies: None with ``reason``.
        clock: when; None where that is not known.
        footprint: of a run by itself; None of a training inside of one.
    """

    run_id: str
    run_name: str
    name: str
    status: str
    duration_s: float
    energies: Energies | None
    reason: str | None
    quality: tuple[Quality, ...]
    place: Place
    clock: Clock | None
    footprint: Footprint | None = None

    @property
    def own_record(self) -> bool:
        """Whether it is a run by itself."""
        return self.footprint is not None

    @property
    def label(self) -> str:
        """What it is called where several runs are spoken of."""
        return self.name if self.own_record else f"{self.run_name}, {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a search cost.

    Attributes:
        run_id: of the search; of trials with runs of their own, that of which they say that they are a part.
        trials: how many there are of each status.
        metric, part: by which the best trial was found; empty where it was named.
        best: the trial; None with the reason in ``factor``.
        best_why: how it was found.
        energy: of all trials and of what lies between them.
        factor: that over the energy of the best trial.
        remarks: what to know of the factor.
    """

    run_id: str
    name: str
    trials: dict[str, int]
    metric: str
    part: str
    best: str | None
    best_why: str
    energy: Amount
    best_energy: Amount
    factor: Amount
    remarks: tuple[str, ...] = ()


def trainings(run: Run) -> list[Training]:
    """Return the trainings inside of a run, by their spans, in their order."""
    whole = added(stretch.energies for stretch in run.stretches)
    clock = next((stretch.clock for stretch in run.stretches), None)
    found = []
    for trial in run.trials:
        energies = None if trial.energy_kwh is None else of_components(trial.components, whole)
        reason = trial.reason if trial.energy_kwh is None else "its components are not those of the run"
        times = {"begin_s": trial.begin_s or 0.0, "end_s": trial.end_s or 0.0}
        when = clock and clock.model_copy(update={key: clock.begin_s + s for key, s in times.items()})
        found.append(
            Training(
                run_id=run.run_id,
                run_name=run.name,
                name=trial.name,
                status=str(trial.status),
                duration_s=trial.duration_s,
                energies=energies,
                reason=None if energies is not None else reason,
                quality=trial.quality,
                place=run.place,
                clock=when,
            )
        )
    return found


def training(run: Run) -> Training:
    """Return a run as one training: its last stretch says when."""
    known = run.footprint.energy_kwh is not None
    return Training(
        run_id=run.run_id,
        run_name=run.name,
        name=run.name,
        status=run.status,
        duration_s=run.footprint.duration_s,
        energies=added(stretch.energies for stretch in run.stretches) if known else None,
        reason=None if known else run.footprint.reason,
        quality=run.quality,
        place=run.place,
        clock=run.stretches[-1].clock if run.stretches else None,
        footprint=run.footprint,
    )


def families(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Return the runs that make up each search, by its id: the search itself, and its trials with runs of their own."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        if run.kind == "trial" and run.parent is not None:
            found.setdefault(run.parent, []).append(run)
        elif run.group == "search" or any(trial.phase == "trial" for trial in run.trials):
            found.setdefault(run.run_id, []).insert(0, run)
    return found


def trials_of(search: str, members: Sequence[Run]) -> list[Training]:
    """Return the trials of a search; one that has a run of its own stands for the span around it."""
    own = [training(run) for run in members if run.run_id != search]
    spans = [
        each
        for run in members
        if run.run_id == search
        for each, trial in zip(trainings(run), run.trials, strict=True)
        if trial.phase == "trial"
    ]
    if not own and not spans:
        return [training(run) for run in members if run.kind == "trial"]
    return [span for span in spans if not any(_inside(run.clock, span.clock) for run in own)] + own


def models(runs: Sequence[Run]) -> list[tuple[Training, str]]:
    """Return all trainings whose quality was noted with their task, each once: by its own run, else by its span."""
    found: list[tuple[Training, str]] = []
    children = families(runs)
    tasks = {run.run_id: run.task for run in runs}
    for run in runs:
        own = [training(child) for child in children.get(run.run_id, ()) if child.run_id != run.run_id]
        found += [
            (each, run.task)
            for each in trainings(run)
            if each.quality and not any(_inside(child.clock, each.clock) for child in own)
        ]
        if run.quality:
            found.append((training(run), run.task or tasks.get(run.parent or "", "")))
    return found


def _inside(inner: Clock | None, outer: Clock | None) -> bool:
    if inner is None or outer is None or (inner.machine, inner.boot) != (outer.machine, outer.boot):
        return False
    return outer.begin_s <= (inner.begin_s + inner.end_s) / 2 <= outer.end_s


def searched(
    runs: Sequence[Run],
    draws: Draws,
    once: Callable[[Sequence[Run]], Energies],
    best: Sequence[str] = (),
    metric: str | None = None,
) -> list[Search]:
    """Return what each search cost.

    Args:
        runs: of the project.
        draws: of its sensors.
        once: gives the energies of some runs, with what was measured twice counted once.
        best: trials named by the user, as TRIAL or RUN/TRIAL.
        metric: by which the best trial is found; None to take what most trials noted.

    Raises:
        UsageError: a trial that is named is not there, or a search has several of that name.
    """
    found, used = [], set()
    known: list[str] = []
    for search, members in sorted(families(runs).items()):
        trials = trials_of(search, members)
        known += [trial.name for trial in trials]
        chosen = _named(search, trials, best)
        used |= {name for name, _ in chosen}
        if len(chosen) > 1:
            raise UsageError(
                f"the search {search} has several trials that --best could mean",
                hint="name one of them; of trials with the same name only their quality can choose",
            )
        found.append(_search(search, members, trials, draws, once(members), chosen[0][1] if chosen else None, metric))
    for name in best:
        if name not in used:
            raise UsageError(f"no search has a trial '{name}'.{nearest(name, known)}", hint="give TRIAL or RUN/TRIAL")
    return found


def _named(search: str, trials: Sequence[Training], best: Sequence[str]) -> list[tuple[str, Training]]:
    return [
        (name, trial)
        for name in best
        for trial in trials
        if name in (trial.name, f"{search}/{trial.name}", trial.run_id if trial.own_record else None)
    ]


def _search(
    search: str,
    members: Sequence[Run],
    trials: Sequence[Training],
    draws: Draws,
    energies: Energies,
    named: Training | None,
    metric: str | None,
) -> Search:
    quality, best, why = None, named, "named with --best"
    if best is None:
        quality, best, why = best_of(trials, metric)
    whole, factor = draws.energy(energies), None
    bare = [run for run in members if run.footprint.energy_kwh is None]
    if bare:
        reason = bare[0].footprint.reason or "it was not metered"
        whole = Amount(value=None, reason=reason)
        factor = Amount(value=None, reason=f"not all of its energy is known: {reason}")
    elif best is None:
        factor = Amount(value=None, reason=why)
    elif best.energies is None:
        factor = Amount(value=None, reason=f"the energy of the best trial is not known: {best.reason}")
    elif any(_at_once(best.clock, trial.clock) for trial in trials if trial is not best):
        factor = Amount(
            value=None, reason="other trials went on at the same time: the best one's energy is not its own"
        )
    nothing = Amount(value=None, reason=why if best is None else best.reason)
    return Search(
        run_id=search,
        name=next((run.name for run in members if run.run_id == search), search),
        trials=dict(sorted(Counter(trial.status for trial in trials).items())),
        metric="" if quality is None else quality[0],
        part="" if quality is None else quality[1],
        best=None if best is None else best.name,
        best_why=why,
        energy=whole,
        best_energy=nothing if best is None or best.energies is None else draws.energy(best.energies),
        factor=factor or draws.ratio(energies, (best.energies if best else None) or {}),
        remarks=_remarks(search, members),
    )


def _remarks(search: str, members: Sequence[Run]) -> tuple[str, ...]:
    told = []
    if all(run.run_id != search for run in members):
        told.append("the search itself has no run here: what lay between its trials is not known")
    if any(run.status == "truncated" for run in members):
        told.append("it ended before its end")
    return tuple(told)


def _at_once(one: Clock | None, other: Clock | None) -> bool:
    if one is None or other is None or (one.machine, one.boot) != (other.machine, other.boot):
        return False
    return max(one.begin_s, other.begin_s) < min(one.end_s, other.end_s)


def best_of(
    trials: Sequence[Training], metric: str | None = None
) -> tuple[tuple[str, str] | None, Training | None, str]:
    """Return by which metric and part the best trial was found, the trial, and why; no trial with the reason.

    Only trials that came to their end can be the best. Of several metrics the one counts that most of them noted; of
    those no loss, where there is another one; of those the first.
    """
    if not trials:
        return None, None, "no trial was marked in it"
    done = [trial for trial in trials if trial.status in DONE]
    if not done:
        return None, None, "no trial came to its end"
    noted = [quality for trial in done for quality in trial.quality if metric in (None, quality.metric)]
    if not noted:
        which = "quality" if metric is None else metric
        return None, None, f"no {which} was noted of a trial that came to its end: name the best one with --best"
    keys = [(quality.metric, quality.part) for quality in noted]
    counts = Counter(keys)
    key = max(dict.fromkeys(keys), key=lambda key: (counts[key], "loss" not in key[0]))
    higher = next(quality.higher_is_better for quality in noted if (quality.metric, quality.part) == key)
    values = [
        (quality.value if higher else -quality.value, trial)
        for trial in done
        for quality in trial.quality
        if (quality.metric, quality.part) == key
    ]
    best = max(value for value, _ in values)
    first = next(trial for value, trial in values if value == best)
    equal = sum(value == best for value, _ in values) - 1
    told = f"{'highest' if higher else 'lowest'} {key[0]}{f' on {key[1]}' if key[1] else ''} of {len(values)} trials"
    return key, first, told + (f"; {equal} more reached it, and the first of them counts" if equal else "")
