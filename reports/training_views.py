"""What a page says of a metered run, as plain data: sentences, tables and one figure made from its record."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fairprint.audit.metered import MeteredRecord
from fairprint.audit.records import Component, Footprint, GridFactor, RunRecord
from fairprint.reports.numbers import ENERGY, KINDS, MASS, NBSP, VOLUME, Units, absent, interval, number, scaled
from fairprint.reports.sections import coded
from fairprint.reports.tables import Table, slug
from fairprint.reports.text import clean, code, linked, name, say
from fairprint.reports.training_checks import ATTENTION, checks
from fairprint.reports.training_figure import Step, bands, power_plot, steps
from fairprint.reports.training_spans import COUNTED, ROUNDING, on_clock
from fairprint.reports.wording import COST_INTERVAL

Pair = tuple[str, Markup]

CONTENTS = (
    ("cost", "What it cost"),
    ("power", "Power over time"),
    ("components", "Energy by component"),
    ("spans", "Spans and phases"),
    ("work", "Work and load"),
    ("checks", "Self-checks"),
    ("grid", "From energy to emissions"),
    ("scale", "For scale"),
    ("provenance", "Provenance"),
)
"""Id and title of each part of a metered run."""

_SENSORS = {
    "counter": "a counter of energy",
    "sampled power": "power sampled over time",
    "load model": "a model of the load",
    "constant": "a constant, which measures nothing",
    "none": "no sensor",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerView:
    """The figure of the power over time: its SVG, the text in its place, and its numbers."""

    svg: bytes
    alt: str
    caption: Markup
    table: Table


def title(run: MeteredRecord) -> Markup:
    """Return what a run is called, with its kind."""
    return say("{kind}: {name}", kind=run.kind[:1].upper() + run.kind[1:], name=name(run.name))


# what it cost


def cost(run: MeteredRecord) -> list[Markup]:
    """Return duration, energy and power; what the energy comes from; and the emissions, a finished sentence each."""
    foot = run.footprint
    took = say("The run took {time}", time=number(foot.duration_s, "duration"))
    if foot.energy_kwh is None:
        return [took + say("; its energy and emissions are {absent}.", absent=absent(foot.reason))]
    unit = scaled(foot.energy_kwh, ENERGY)
    energy = say(
        ", and the machine used {energy} of electricity meanwhile ({level} {bounds}): {power} on average ({watts}).",
        energy=number(foot.energy_kwh, unit),
        level=COST_INTERVAL,
        bounds=interval(foot.energy_low_kwh, foot.energy_high_kwh, unit, foot.reason),
        power=number(foot.mean_power_w, "power", foot.reason),
        watts=_scaled_bounds(foot, foot.mean_power_w, "power"),
    )
    return [took + energy, *_origin(foot), _emissions(foot)]


def _scaled_bounds(foot: Footprint, value: float | None, kind: str) -> Markup:
    """Return the interval of what is in proportion to the energy."""
    if value is None or not foot.energy_kwh or foot.energy_low_kwh is None or foot.energy_high_kwh is None:
        return absent(None if value is None else "the energy has no interval")
    low, high = (bound / foot.energy_kwh * value for bound in (foot.energy_low_kwh, foot.energy_high_kwh))
    return interval(low, high, kind)


def _origin(foot: Footprint) -> list[Markup]:
    """Say what classes of sensors the energy comes from, the largest share first."""
    total = foot.energy_kwh or 0.0
    by_sensor: dict[str, list[Component]] = {}
    for part in foot.components:
        if part.energy_kwh:
            by_sensor.setdefault(part.sensor, []).append(part)
    if not by_sensor or not total:
        return []
    shares = {s: sum(part.energy_kwh or 0.0 for part in parts) / total for s, parts in by_sensor.items()}
    ordered = sorted(by_sensor, key=lambda sensor: -shares[sensor])
    first = "Most of this energy, " if shares[ordered[0]] > 0.5 else "The largest part of this energy, "
    told = [
        say(
            "{first}{share}{comes} from {sensor} ({parts})",
            first=Markup(first if n == 0 else ""),
            share=number(shares[sensor], "percent"),
            comes=Markup(", comes" if n == 0 else ""),
            sensor=_SENSORS[sensor],
            parts=", ".join(part.name.upper() for part in by_sensor[sensor]),
        )
        for n, sensor in enumerate(ordered)
    ]
    return [Markup("; ").join(told) + "."]


def place(grid: GridFactor) -> str:
    """Return where the electricity comes from."""
    given = ", ".join(part for part in (grid.country_iso_code, grid.region) if part)
    parts = [part for part in (grid.cloud_region, given) if part]
    return f"{parts[0]} ({parts[1]})" if len(parts) > 1 else parts[0] if parts else "unknown"


def _emissions(foot: Footprint) -> Markup:
    kg, low, high, grid = foot.emissions_kg, foot.emissions_low_kg, foot.emissions_high_kg, foot.grid
    unit = scaled(kg if kg is not None else high, MASS)
    bounds = interval(low, high, unit, foot.reason)
    if kg is None:
        if low is None or high is None:
            return say("The emissions are {absent}.", absent=absent(foot.reason))
        text = "Where it ran is not known, so the emissions are somewhere from {bounds} CO₂e: {method}."
        return say(text, bounds=bounds, method=_short_method(grid).removeprefix("location unknown: "))
    overhead = Markup(", without the overhead of a data centre")
    if foot.pue is not None:
        overhead = say(", with a PUE of {pue}", pue=number(foot.pue, "given"))
    where = Markup("") if place(grid) == "unknown" else say(" for {place}", place=place(grid))
    return say(
        "At {factor}{where} ({year}; {method}) that is {mass} CO₂e ({level} {bounds}){overhead}.",
        factor=number(grid.kg_per_kwh, "intensity", foot.reason),
        where=where,
        year=Markup("no year is known") if grid.year is None else number(grid.year, "year"),
        method=_short_method(grid),
        mass=number(kg, unit),
        level=COST_INTERVAL,
        bounds=bounds,
        overhead=overhead,
    )


def _short_method(grid: GridFactor) -> str:
    return grid.method.partition("; range ")[0]


def facts(run: MeteredRecord) -> list[tuple[str, list[Markup]]]:
    """Return the few facts that stand under the headline."""
    foot = run.footprint
    wanted = sum(1 for _, verdict, _ in checks(run) if verdict == ATTENTION)
    return [
        ("Run", [name(f"{run.kind}, {run.status}"), Markup("<time>{}</time>").format(run.started_at)]),
        ("Energy", _fact(foot.energy_kwh, foot.energy_low_kwh, foot.energy_high_kwh, foot.reason, ENERGY)),
        ("CO₂e", _fact(foot.emissions_kg, foot.emissions_low_kg, foot.emissions_high_kg, foot.reason, MASS)),
        ("Self-checks", [say("{count} want attention", count=number(wanted, "tally"))]),
    ]


def _fact(value: float | None, low: float | None, high: float | None, reason: str | None, units: Units) -> list[Markup]:
    unit = scaled(value if value is not None else high, units)
    bounds = [] if low is None or high is None else [interval(low, high, unit)]
    return [number(value, unit, reason), *bounds]


def made(run: MeteredRecord, audits: Sequence[RunRecord]) -> Markup:
    """Say how a training belongs to the audits on the same page; nothing where there is none."""
    after = [record for record in audits if run.run_id in record.lineage]
    if after:
        named = ", ".join(record.plan.model.name for record in after)
        return say("The audit of {models} names this run as one that its model began from.", models=named)
    if not audits:
        return Markup("")
    return Markup("No audit on this page names this run: that they belong together is the word of the page's maker.")


# power over time


def power(run: MeteredRecord) -> PowerView | Markup:
    """Return the figure of the power over time, or why there is none."""
    shown, why = steps(run)
    if not shown:
        return say("There is no figure of the power over time: {why}.", why=why)
    rows = bands(run.spans)
    peak = max(shown, key=lambda step: step.total_w)
    parts = ", ".join(part.upper() for part in shown[0].power_w)
    mean_w = sum(step.total_w * (step.end_s - step.begin_s) for step in shown) / (shown[-1].end_s - shown[0].begin_s)
    mean, most = (KINDS["power"](watts).replace(NBSP, " ") for watts in (mean_w, peak.total_w))
    alt = f"Power of the machine over time, stacked by component ({parts}): {mean} on average, {most} at the most. "
    alt += f"Bands under it show when spans ran: {', '.join(clean(row, 40) for row in rows)}." if rows else ""
    caption = Markup("Mean power of each step of time, stacked by component; steps that close samples make are joined.")
    if rows:
        caption += (
            " Bands show when spans ran, by name and phase where these are few, else by phase; a hollow band is a"
        )
        caption += " span that was not done."
    if run.status == "truncated":
        caption += " The run was cut off at the right end."
    return PowerView(svg=power_plot(shown, rows), alt=alt, caption=caption, table=_steps_table(shown))


def _steps_table(shown: Sequence[Step]) -> Table:
    names = list(shown[0].power_w)
    return Table(
        caption=Markup("Mean power by component in each step of the figure"),
        head=("From", "To", *(part.upper() for part in names), "Together"),
        rows=tuple(
            (
                number(step.begin_s, "clock"),
                number(step.end_s, "clock"),
                *(number(step.power_w[part], "power") for part in names),
                number(step.total_w, "power"),
            )
            for step in shown
        ),
        align="lr" + "r" * (len(names) + 1),
    )


# energy by component


def components(run: MeteredRecord) -> Table:
    """Return the energy of each component with its sensor."""
    unit = scaled(run.footprint.energy_kwh, ENERGY)
    rows = [_component(run, part, unit) for part in run.footprint.components]
    if not rows:
        rows = [(Markup("none"), absent("no component was metered"), *(Markup("") for _ in range(5)))]
    head = ("Component", "Energy", "90 % interval", "Sensor", "Half-width", "Without load", "In words")
    caption = Markup("Energy by component, and how each number came about")
    return Table(caption=caption, head=head, rows=tuple(rows), align="lrnnrrt")


def _component(run: MeteredRecord, part: Component, unit: str) -> tuple[Markup, ...]:
    reason = run.footprint.reason if run.footprint.energy_kwh is None else None
    reason = None if part.sensor == "none" else reason or "it gave no usable number"
    # where a component has no sensor, its words say so
    bare = part.sensor == "none" and part.energy_kwh is None
    half_width = (
        absent("not known") if part.half_width is None else Markup("±\u00a0") + number(part.half_width, "percent")
    )
    without_load = number(part.idle_w, "power", "no model says it")
    return (
        name(part.name.upper()),
        number(part.energy_kwh, unit, reason),
        Markup("") if bare else _component_bounds(part, unit),
        name(part.sensor),
        Markup("") if bare and part.half_width is None else half_width,
        Markup("") if bare and part.idle_w is None else without_load,
        linked(part.detail),
    )


def _component_bounds(part: Component, unit: str) -> Markup:
    if part.energy_kwh is None or part.half_width is None:
        return absent(None)
    return interval(part.energy_kwh / (1 + part.half_width), part.energy_kwh * (1 + part.half_width), unit)


# work and load

_PER = {
    "tokens": ("1,000 tokens", 1e3),
    "samples": ("1,000 samples", 1e3),
    "steps": ("step", 1.0),
    "epochs": ("epoch", 1.0),
    "flops": ("petaFLOP", 1e15),
}


def work(run: MeteredRecord) -> Table:
    """Return the work that does not depend on the machine, and the energy for a unit of it."""
    foot, rows = run.footprint, []
    for key, (per, size) in _PER.items():
        amount = getattr(run.work, key)
        energy_kwh = foot.energy_kwh / amount * size if foot.energy_kwh is not None and amount else None
        unit = scaled(energy_kwh, ENERGY)
        reason = "not counted" if amount is None else "the count is zero" if not amount else foot.reason
        rows.append(
            (
                Markup(COUNTED[key]),
                number(amount, ROUNDING.get(key, "count"), "not counted"),
                Markup("per {}").format(per),
                number(energy_kwh, unit, reason if amount is not None else None),
                _scaled_bounds(foot, energy_kwh, unit),
            )
        )
    caption = Markup(
        "Work done, and the energy of the whole machine for a unit of it. The work is the same on every machine, so "
        "that runs can be compared by it; the intervals are in proportion to that of the energy"
    )
    head = ("Work", "Amount", "Unit", "Energy", "90 % interval")
    return Table(caption=caption, head=head, rows=tuple(rows), align="lrnrn")


def load(run: MeteredRecord) -> list[Pair]:
    """Return duration, power, CPU time, and the energies that are no part of the total."""
    foot = run.footprint
    unit, water = scaled(foot.energy_kwh, ENERGY), scaled(foot.water_l, VOLUME)
    share = foot.own_cpu_s / foot.machine_cpu_s if foot.own_cpu_s is not None and foot.machine_cpu_s else None
    missing = None if foot.energy_kwh is not None else foot.reason
    return [
        ("Duration", number(foot.duration_s, "duration")),
        ("Mean power", _with_bounds(foot, foot.mean_power_w, "power", missing)),
        ("CPU time of the run's processes", number(foot.own_cpu_s, "duration", "not read")),
        ("CPU time of the machine meanwhile", number(foot.machine_cpu_s, "duration", "not read")),
        ("Share of the run's processes in it", number(share, "percent", "CPU time was not read, or there was none")),
        (
            "Energy attributed to the run by CPU time",
            _with_bounds(foot, foot.attributed_energy_kwh, unit, missing or "CPU time was not read")
            + Markup("; a load model, and no part of the total"),
        ),
        (
            "Energy above that without load",
            number(foot.above_idle_energy_kwh, unit, missing or foot.idle_method or None),
        ),
        (
            "Its interval",
            absent("the error of a difference of two models is not known")
            if foot.above_idle_energy_kwh is not None
            else absent(None),
        ),
        ("How the power without load is known", linked(foot.idle_method) if foot.idle_method else absent(missing)),
        ("Water at the data centre", _with_bounds(foot, foot.water_l, water, missing or "no WUE was given")),
        ("Water usage effectiveness", number(foot.wue, "water", "not given")),
        (
            "Share of the duration without a sample",
            number(foot.measurement_loss, "percent", "no component was sampled"),
        ),
        ("Meter", linked(foot.meter)),
    ]


def _with_bounds(foot: Footprint, value: float | None, kind: str, reason: str | None) -> Markup:
    told = number(value, kind, reason)
    return told if value is None else say("{told} ({bounds})", told=told, bounds=_scaled_bounds(foot, value, kind))


# from energy to emissions, and provenance


def grid(run: MeteredRecord) -> list[Pair]:
    """Return how the emissions follow from the energy."""
    foot, factor = run.footprint, run.footprint.grid
    unit = scaled(foot.energy_kwh, ENERGY)
    mass = scaled(foot.emissions_kg if foot.emissions_kg is not None else foot.emissions_high_kg, MASS)
    missing = None if foot.energy_kwh is not None else foot.reason
    return [
        ("Energy at the machine", number(foot.energy_kwh, unit, foot.reason)),
        ("Interval of the energy", interval(foot.energy_low_kwh, foot.energy_high_kwh, unit, foot.reason)),
        ("Power usage effectiveness", number(foot.pue, "given", "not given and not applied")),
        ("Place", name(place(factor))),
        ("Grid factor", number(factor.kg_per_kwh, "intensity", "the place is unknown")),
        ("Range of the factor", interval(factor.low_kg_per_kwh, factor.high_kg_per_kwh, "intensity")),
        ("Year of the factor", number(factor.year, "year", "the source names none")),
        ("Source of the factor", linked(factor.source)),
        ("Method of the source", linked(factor.method)),
        ("Emissions, CO₂e", number(foot.emissions_kg, mass, missing or "the place is unknown")),
        ("Interval of the emissions", interval(foot.emissions_low_kg, foot.emissions_high_kg, mass, foot.reason)),
        ("How the intervals are made", linked(foot.interval_method)),
    ]


def about(run: MeteredRecord) -> list[Pair]:
    """Return which run this is."""
    return [
        ("Run", code(run.run_id)),
        ("Name", name(run.name)),
        ("Kind and status", name(f"{run.kind}, {run.status}")),
        ("Exit code", number(run.exit_code, "year", "not a command, or nobody saw its end")),
        ("Part of", code(run.parent) if run.parent else absent("it is no part of another run")),
        ("Began from", code(", ".join(run.lineage)) if run.lineage else absent("no earlier run is named")),
        ("Started", code(run.started_at)),
        ("Finished", code(run.finished_at)),
        *on_clock(run.clock),
        ("Schema version of the record", number(run.schema_version, "year")),
    ]


def environment(run: MeteredRecord) -> list[Pair]:
    """Return what it ran on."""
    env = run.environment
    return [
        ("fairprint", code(env.fairprint)),
        ("Python", code(env.python)),
        ("System", code(env.system)),
        ("CPU", name(env.cpu)),
        ("Threads", number(env.threads, "count", "another program metered it")),
        ("Device", code(env.device)),
        *((str(key.striptags()), told) for key, told in coded(env.versions)),
    ]


def anchor(prefix: str, part: str) -> str:
    """Return the id of a part of a metered run on its page."""
    return slug(prefix, "training", part)
