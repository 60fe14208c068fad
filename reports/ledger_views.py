"""What a ledger says, as plain data: sentences and tables for its page and for the terminal."""

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from fairprint.audit.ledger import Entry, Ledger, Share
from fairprint.audit.ledger_runs import UNREADABLE
from fairprint.audit.ledger_searches import Search
from fairprint.audit.metered import Quality
from fairprint.audit.overlaps import Shared
from fairprint.audit.records import GridFactor
from fairprint.audit.references import references
from fairprint.audit.together import Amount
from fairprint.reports.numbers import ENERGY, MASS, VOLUME, Units, absent, interval, number, scaled
from fairprint.reports.scale_views import ScaleView, scale
from fairprint.reports.tables import Table
from fairprint.reports.text import code, linked, name, say
from fairprint.reports.wording import COST_INTERVAL

FIRST, MOST = 30, 400
"""Rows of runs and trials that stand open, and that a page lists at all; the data that it holds has all of them."""

OF = {
    "pretraining": "pretraining",
    "training from scratch": "training from scratch",
    "fine-tuning": "fine-tuning",
    "search": "searches",
    "evaluation": "evaluations",
    "audit": "audits",
    "other": "other work",
    "not said": "runs that do not say what for",
}
"""Purposes as a sentence names what they took."""

DEVELOPMENT = "olmo-development"
"""The published share that development added to a training, in the table of references."""


def told(amount: Amount, units: Units | str) -> Markup:
    """Return an amount with its interval; of one without a value the interval and why, or only why."""
    unit = units if isinstance(units, str) else scaled(_size(amount), units)
    if amount.low is None or amount.high is None:
        return number(amount.value, unit, amount.reason)
    bounds = interval(amount.low, amount.high, unit)
    if amount.value is None:
        return say("{bounds}", bounds=bounds)
    return say("{value} ({bounds})", value=number(amount.value, unit), bounds=bounds)


def _size(amount: Amount) -> float | None:
    return amount.value if amount.value is not None else amount.high


def _parts(amount: Amount, units: Units) -> tuple[Markup, Markup]:
    unit = scaled(_size(amount), units)
    value = number(amount.value, unit, amount.reason)
    return value, interval(amount.low, amount.high, unit, None if amount.value is None else amount.reason)


# what it cost


def lead(of: Ledger) -> list[tuple[str, list[Markup]]]:
    """Return the sentences of the first screen, by topic."""
    topics = [("What the project cost", _cost(of))]
    if of.shares:
        topics.append(("Where it went", [_split(of.shares)]))
    if of.searches or of.overhead.final:
        topics.append(("What searching added", [*_searching(of), *_overhead(of)]))
    return topics


def _cost(of: Ledger) -> list[Markup]:
    if not of.entries:
        return [Markup("No finished run is stored here.")]
    energy = say(
        "{runs} used {energy} of electricity at the machines ({level} {bounds}), in {time} of metered machine time.",
        runs=Markup("The only run") if len(of.entries) == 1 else say("All {n} runs together", n=_tally(of.entries)),
        energy=_parts(of.energy, ENERGY)[0],
        level=COST_INTERVAL,
        bounds=_parts(of.energy, ENERGY)[1],
        time=number(of.duration_s, "duration"),
    )
    sentences = [energy, emissions(of.emissions)]
    if of.water is not None:
        sentences.append(say("Water at the data centres: {water}.", water=told(of.water, VOLUME)))
    return sentences


def emissions(amount: Amount) -> Markup:
    """Say what was emitted, or between what and what."""
    value, bounds = _parts(amount, MASS)
    if amount.value is not None:
        return say("That is {value} CO₂e ({level} {bounds}).", value=value, level=COST_INTERVAL, bounds=bounds)
    text = "The emissions lie somewhere from {bounds} CO₂e: {why}."
    return say(text, bounds=interval(amount.low, amount.high, scaled(amount.high, MASS)), why=amount.reason or "")


def _split(shares: Sequence[Share]) -> Markup:
    parts = [
        say("{what} {share}", what=OF[share.group], share=number(share.share, "percent", "there was no energy"))
        for share in sorted(shares, key=lambda share: -(share.share or 0.0))
    ]
    return say("Of the energy, {parts}.", parts=Markup(", ").join(parts))


def _searching(of: Ledger) -> Iterable[Markup]:
    known = [search for search in of.searches if search.factor.value is not None]
    trials = sum(sum(search.trials.values()) for search in of.searches)
    if not of.searches:
        return
    lost = sum(count for search in of.searches for fate, count in search.trials.items() if fate in ("failed", "pruned"))
    text = "There were {searches} with {trials} trials, of which {lost} failed or were pruned; they are counted."
    which = Markup("1 search") if len(of.searches) == 1 else say("{n} searches", n=number(len(of.searches), "tally"))
    yield say(text, searches=which, trials=number(trials, "tally"), lost=number(lost, "tally"))
    for search in known[:3]:
        text = "“{name}” used {factor} times the energy of its best trial, {best}."
        yield say(text, name=search.name, factor=told(search.factor, "plain"), best=search.best or "")


def _overhead(of: Ledger) -> Iterable[Markup]:
    overhead = of.overhead
    if overhead.factor.value is None:
        yield say("What the project used for each final run is {absent}.", absent=absent(overhead.factor.reason))
        return
    text = "The whole project used {factor} times the energy of {final} ({how})."
    final = Markup("its final run") if len(overhead.final) == 1 else say("its {n} final runs", n=_tally(overhead.final))
    yield say(text, factor=told(overhead.factor, "plain"), final=final, how=overhead.how)
    figure = references().figure(DEVELOPMENT)
    if figure.checked:
        text = "Published beside it: {about}, {share} ({source})."
        yield say(text, about=figure.about, share=number(figure.value, "percent"), source=linked(figure.source.short))


def _tally(some: Sequence[object]) -> Markup:
    return number(len(some), "tally")


def facts(of: Ledger) -> list[tuple[str, list[Markup]]]:
    """Return the few facts that stand under the headline."""
    trials = sum(len(entry.trials) for entry in of.entries)
    return [
        ("Energy", list(_parts(of.energy, ENERGY))),
        ("CO₂e", [told(of.emissions, MASS)]),
        ("Runs", [_tally(of.entries), say("{n} not counted", n=_tally(of.unfinished))]),
        ("Trainings inside of them", [number(trials, "tally")]),
    ]


# tables


def split_table(of: Ledger) -> Table:
    """Return the energy by purpose; the rows add up to the total."""
    rows = [
        (
            name(share.group),
            number(share.runs, "tally"),
            number(share.duration_s, "duration"),
            *_parts(share.energy, ENERGY),
            number(share.share, "percent", "there was no energy"),
            told(share.emissions, MASS),
        )
        for share in of.shares
    ]
    total = (
        Markup("all"),
        _tally(of.entries),
        number(of.duration_s, "duration"),
        *_parts(of.energy, ENERGY),
        number(1.0 if of.shares else None, "percent", "no run"),
        told(of.emissions, MASS),
    )
    caption = "Energy by purpose. What two meters measured at once counts once, with the run that began last, so that"
    caption += " the rows add up to the total; the bounds need not, since different sensors err independently"
    head = ("Purpose", "Runs", "Machine time", "Energy", "90 % interval", "Share", "CO₂e (90 % interval)")
    return Table(caption=Markup(caption), head=head, rows=(*rows, total), align="lrrrnrn")


def runs_tables(of: Ledger) -> tuple[Table, ...]:
    """Return the runs with their trials as a table, or two of which the second is to be folded."""
    rows = [row for entry in of.entries for row in _rows(entry)]
    shown = rows[:MOST]
    caption = Markup(
        "Every run with the trainings inside of it, oldest first. Energy and emissions are as the run's own meter has"
        " them; “counted” is what of it stands in the total. Emissions without a single value are of a place that is"
        " not known: from the lowest to the highest country"
    )
    rest = say("The other {n} rows", n=number(max(0, len(shown) - FIRST), "tally"))
    if len(rows) > MOST:
        rest += say("; {n} more are in the data alone", n=number(len(rows) - MOST, "tally"))
    first = ("Run or training", "Purpose", "Status", "Duration", "Energy (90 % interval)", "Counted")
    head = (*first, "CO₂e (90 % interval)", "Quality")
    parts = ((caption, shown[:FIRST]), (rest, shown[FIRST:]))
    return tuple(Table(caption=text, head=head, rows=tuple(some), align="lllrnrnt") for text, some in parts if some)


def _rows(entry: Entry) -> Iterable[tuple[Markup, ...]]:
    unit = scaled(_size(entry.counted), ENERGY)
    yield (
        say("{name} {id}", name=name(entry.name, limit=60), id=code(entry.run_id)),
        name(entry.group),
        name(entry.status),
        number(entry.duration_s, "duration"),
        told(entry.energy, ENERGY),
        number(entry.counted.value, unit, entry.counted.reason),
        told(entry.emissions, MASS),
        qualities(entry.quality),
    )
    for trial in entry.trials:
        yield (
            Markup('<span class="in1">{}</span>').format(name(trial.name, limit=60)),
            Markup(""),
            name(trial.status),
            number(trial.duration_s, "duration"),
            told(trial.energy, ENERGY),
            Markup(""),
            told(trial.emissions, MASS),
            qualities(trial.quality),
        )


def qualities(some: Sequence[Quality]) -> Markup:
    """Return what was noted of a model, with what it rests on."""
    return Markup("; ").join(_quality(quality) for quality in some)


def _quality(quality: Quality) -> Markup:
    what = f"{quality.metric} on {quality.part}" if quality.part else quality.metric
    found = say("{what} {value}", what=what, value=number(quality.value, "plain"))
    if quality.low is not None and quality.high is not None:
        found += say(" ({bounds})", bounds=interval(quality.low, quality.high, "plain"))
    if quality.items is None:
        return found
    return found + say(" ({n} items)", n=number(quality.items, "count"))


def searches_table(of: Ledger) -> Table | None:
    """Return what each search cost over its best trial; None where there is none."""
    if not of.searches:
        return None
    caption = "All trials of a search, failed and pruned ones too, and what lies between them, over the best trial."
    caption += (
        " Both come from the same sensors, whose errors cancel: an interval has width only where the shares of the"
    )
    caption += " components differ"
    head = ("Search", "Trials", "Overhead factor", "Energy (90 % interval)", "Best trial", "Its energy", "Remark")
    rows = tuple(_search(search) for search in of.searches)
    return Table(caption=Markup(caption), head=head, rows=rows, align="lnnntnt")


def _search(search: Search) -> tuple[Markup, ...]:
    trials = Markup(", ").join(
        say("{n} {fate}", n=number(count, "tally"), fate=fate) for fate, count in search.trials.items()
    )
    best = absent(None) if search.best is None else say("{best}: {why}", best=search.best, why=search.best_why)
    return (
        say("{name} {id}", name=name(search.name, limit=60), id=code(search.run_id)),
        trials or absent("none was marked"),
        told(search.factor, "plain"),
        told(search.energy, ENERGY),
        best,
        told(search.best_energy, ENERGY) if search.best is not None else Markup(""),
        name("; ".join(search.remarks)),
    )


def shared_table(of: Ledger) -> Table | None:
    """Return what was taken off runs; None where no two meters measured at once."""
    if not of.shared:
        return None
    names = {entry.run_id: entry.name for entry in of.entries}
    caption = "What several meters of one machine measured at once, and counts once: taken off the first run, and"
    caption += (
        " counted with the one that began last, by the meter with the finest record. Below zero, that meter saw more"
    )
    head = ("Run", "Taken off", "For how long", "Counts with", "Measured by")
    rows = tuple(_shared(shared, names) for shared in of.shared)
    return Table(caption=Markup(caption), head=head, rows=rows, align="lrrll")


def _shared(shared: Shared, names: dict[str, str]) -> tuple[Markup, ...]:
    def who(run_id: str) -> Markup:
        return say("{name} {id}", name=name(names.get(run_id, ""), limit=60), id=code(run_id))

    return (
        who(shared.run_id),
        number(shared.energy_kwh, scaled(abs(shared.energy_kwh), ENERGY)),
        number(shared.duration_s, "duration"),
        who(shared.counted_with) if shared.counted_with != shared.run_id else Markup("itself"),
        who(shared.measured_by),
    )


def places_table(of: Ledger) -> Table | None:
    """Return the energy by place with the factor that makes emissions of it; None where there is no energy."""
    if not of.places:
        return None
    rows = tuple(
        (
            name(where(there.place.grid)),
            number(there.runs, "tally"),
            told(there.energy, ENERGY),
            number(there.place.pue, "given", "not given and not applied"),
            _factor(there.place.grid),
            number(there.place.grid.year, "year", "the source names none"),
            told(there.emissions, MASS),
            linked(there.place.grid.source),
        )
        for there in of.places
    )
    head = (
        "Place",
        "Runs",
        "Energy (90 % interval)",
        "PUE",
        "Grid factor",
        "Its year",
        "CO₂e (90 % interval)",
        "Source",
    )
    caption = Markup("Energy by place, before it is turned into emissions: one grid factor and one PUE a row")
    return Table(caption=caption, head=head, rows=rows, align="lrnrnrnt")


def where(grid: GridFactor) -> str:
    """Return where the electricity comes from."""
    given = ", ".join(part for part in (grid.country_iso_code, grid.region) if part)
    return grid.cloud_region or given or "unknown"


def _factor(grid: GridFactor) -> Markup:
    bounds = interval(grid.low_kg_per_kwh, grid.high_kg_per_kwh, "intensity")
    if grid.kg_per_kwh is None:
        return bounds
    return say("{value} ({bounds})", value=number(grid.kg_per_kwh, "intensity"), bounds=bounds)


def unfinished_table(of: Ledger) -> Table | None:
    """Return what is not counted, and what to do about it; None where there is nothing."""
    if not of.unfinished:
        return None
    rows = tuple(
        (
            say("{name} {id}", name=name(run.name, limit=60), id=code(run.run_id)),
            name(run.kind),
            name(run.status),
            name(run.hint, limit=400),
        )
        for run in of.unfinished
    )
    head = ("Run", "Kind", "Status", "What to do")
    return Table(caption=Markup("Runs that are not counted"), head=head, rows=rows, align="lllt")


def unreadable(of: Ledger) -> list[str]:
    """Return the runs whose records are damaged."""
    return [run.run_id for run in of.unfinished if run.status == UNREADABLE]


def for_scale(of: Ledger) -> ScaleView:
    """Return what the project's energy and emissions are like."""
    return scale(of.energy.value or None, of.emissions.value, of.emissions.reason)
