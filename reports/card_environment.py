"""The section "Environmental Impact" of a model card, and what its metadata says of emissions."""

from collections.abc import Sequence

from fairprint.audit.metered import MeteredRecord
from fairprint.audit.records import Environment, Footprint, GridFactor, RunRecord
from fairprint.reports.card_bias import count
from fairprint.reports.card_cost import Cost, Run, is_training, is_trial, of_scope, outermost, overlapping, together
from fairprint.reports.card_parts import Emissions
from fairprint.reports.card_runs import CardRuns
from fairprint.reports.card_text import blocks, coded, escaped, joined, listed, table
from fairprint.reports.numbers import ENERGY, KINDS, MASS, Units, duration, scaled
from fairprint.reports.text import plain
from fairprint.reports.wording import sensors

_TRAINING_TYPES = {
    "pretraining": "pre-training",
    "training from scratch": "pre-training",
    "fine-tuning": "fine-tuning",
}
"""What the Hub calls what a training was for."""
NOT_SAID = "not stated"
_KEY = "co2_eq_emissions"


def markdown(runs: CardRuns) -> str:
    """Return the section, without its heading."""
    return blocks(_facts(runs), _scopes(runs), _how(runs), _not_counted(runs))


def emissions(runs: CardRuns) -> tuple[Emissions | None, str]:
    """Return what the metadata says of emissions; or None, and the reason.

    The Hub's key is about making the model, so that audits alone give none.
    """
    cost = together(of_scope(runs, runs.scope))
    trainings = [run for run in cost.runs if isinstance(run, MeteredRecord) and run.purpose != "evaluation"]
    if not trainings:
        beside = "only trials and evaluations were metered, not the final training: --scope trials counts them"
        return None, beside if runs.metered and runs.scope == "final" else "no training was metered"
    if cost.emissions_kg is None:
        return None, f"the emissions of {covered(runs)} are not known: {cost.emissions_reason}"
    if cost.emissions_kg <= 0:
        return None, f"the emissions of {covered(runs)} are 0 in the records"
    places = list(dict.fromkeys(place for run in trainings if (place := place_of(run.footprint.grid))))
    hardware = list(dict.fromkeys(hardware_of(run.environment, run.footprint) for run in trainings))
    meters = list(dict.fromkeys(run.footprint.meter.partition(",")[0] for run in cost.runs))
    versions = sorted({run.environment.fairprint for run in trainings})
    return (
        Emissions(
            emissions_g=float(f"{cost.emissions_kg * 1000:.4g}"),
            source=f"fairprint {', '.join(versions)} ({', '.join(meters)})",
            training_type=training_type(trainings),
            geographical_location="; ".join(places) or None,
            hardware_used="; ".join(hardware) or None,
            scope=covered(runs),
        ),
        "",
    )


def covered(runs: CardRuns) -> str:
    """Say what the scope of a card covers, as far as it was metered."""
    every = of_scope(runs, runs.scope)
    metered = [run for run in every if isinstance(run, MeteredRecord)]
    trainings = sum(is_training(run) for run in metered)
    trials = sum(is_trial(run) for run in metered)
    evaluations = len(metered) - trainings - trials
    told = ["the final training" if trainings == 1 else count(trainings, "training")] if trainings else []
    told += [count(trials, "run") + " of trials"] if trials else []
    told += [count(evaluations, "evaluation")] if evaluations else []
    told += [count(len(every) - len(metered), "audit")] if len(every) > len(metered) else []
    alone = " alone" if len(told) == 1 else ""
    cut = ", which was cut off (at least)" if any(run.status == "truncated" for run in metered) else ""
    return joined(told) + alone + cut if told else "nothing"


def training_type(trainings: Sequence[MeteredRecord]) -> str:
    """Return what trainings were for, in the words of the Hub; never a guess."""
    said = {_TRAINING_TYPES.get(run.purpose or "", "") for run in trainings if is_training(run)}
    return said.pop() if len(said) == 1 and "" not in said else NOT_SAID


def place_of(grid: GridFactor) -> str:
    """Return where the electricity comes from, in words; empty where it is not known."""
    country = country_name(grid.country_iso_code) if grid.country_iso_code else ""
    where = ", ".join(part for part in ((grid.region or "").title(), country) if part)
    if grid.cloud_region:
        return f"{grid.cloud_region} ({where})" if where else grid.cloud_region
    return where


def country_name(code: str) -> str:
    """Return the name of a country; a code that is not known stands for itself.

    >>> country_name("KOR"), country_name("XYZ")
    ('South Korea', 'XYZ')
    """
    import pycountry

    found = pycountry.countries.get(alpha_3=code)
    return str(getattr(found, "common_name", found.name)) if found is not None else code


def hardware_of(environment: Environment, footprint: Footprint) -> str:
    """Return the hardware that a run used: its accelerator where it had one, and its processor."""
    threads = "" if environment.threads is None else f", {count(environment.threads, 'thread')}"
    cpu = environment.cpu + threads
    gpus = [
        f"GPU ({part.detail})" for part in footprint.components if part.name == "gpu" and part.energy_kwh is not None
    ]
    device = [environment.device] if environment.device not in ("none", "cpu", "") else gpus
    return "; ".join([*device, cpu])


def amount(
    value: float | None, low: float | None, high: float | None, units: Units, reason: str, after: str = ""
) -> str:
    """Return an amount with its interval, or why there is none."""
    unit = scaled(value if value is not None else high, units)
    bounds = "" if low is None or high is None else f"{_as(low, unit)} to {_as(high, unit)}"
    if value is None:
        why = escaped(reason or "not recorded")
        return f"{bounds}{after} ({why})" if bounds else f"not available: {why}"
    return f"{_as(value, unit)}{after} ({bounds})" if bounds else f"{_as(value, unit)}{after}"


def _as(value: float, kind: str) -> str:
    return plain(KINDS[kind](value))


def _main(runs: CardRuns) -> Cost:
    """Return the cost that the facts of the section speak of: of the scope; without a training, of the audits."""
    cost = together(of_scope(runs, runs.scope))
    return cost if cost.runs else together(runs.every)


def _facts(runs: CardRuns) -> str:
    cost = _main(runs)
    audits_only = not any(isinstance(run, MeteredRecord) for run in cost.runs)
    of = "auditing the model; no training was metered" if audits_only else covered(runs)
    grids = [run.footprint.grid for run in cost.runs]
    hardware = dict.fromkeys(hardware_of(environment_of(run), run.footprint) for run in cost.runs)
    clouds = dict.fromkeys(grid.cloud_region.partition(":")[0] for grid in grids if grid.cloud_region)
    places = dict.fromkeys(place_of(grid) or "not told to the meter" for grid in grids)
    return blocks(
        f"Metered with fairprint: {of}. What stands in brackets is a 90 % interval.",
        listed(
            [
                f"**Hardware type:** {escaped('; '.join(hardware))}",
                f"**Hours used:** {cost.duration_s / 3600:.3g} ({plain(duration(cost.duration_s))})",
                f"**Cloud provider:** {escaped(', '.join(clouds)) or 'none told to the meter'}",
                f"**Compute region:** {escaped('; '.join(places))}",
                f"**Energy:** {_energy(cost)}",
                f"**Carbon emitted:** {_carbon(cost)}{_in_grams(cost)}",
            ]
        ),
        _metadata(runs),
    )


def environment_of(run: Run) -> Environment:
    """Return what a run ran on."""
    return run.plan.environment if isinstance(run, RunRecord) else run.environment


def _energy(cost: Cost) -> str:
    return amount(cost.energy_kwh, cost.energy_low_kwh, cost.energy_high_kwh, ENERGY, cost.energy_reason)


def _carbon(cost: Cost) -> str:
    low, high = cost.emissions_low_kg, cost.emissions_high_kg
    return amount(cost.emissions_kg, low, high, MASS, cost.emissions_reason, " CO₂e")


def _in_grams(cost: Cost) -> str:
    """Return the emissions in grams too, which the Hub counts in, where another unit suits them."""
    if cost.emissions_kg is None or scaled(cost.emissions_kg, MASS) == "g":
        return ""
    return f", that is {_as(cost.emissions_kg, 'g')}"


def _metadata(runs: CardRuns) -> str:
    found, why = emissions(runs)
    if found is None:
        return f"The metadata of this card has no {coded(_KEY)}, which would be about the training: {escaped(why)}."
    kind = "" if found.training_type == NOT_SAID else f" ({found.training_type})"
    return f"The {coded(_KEY)} of the metadata covers {found.scope}{kind}, in grams."


# what it covers


def _scopes(runs: CardRuns) -> str:
    trials: list[Run] = [run for run in runs.metered if is_trial(run)]
    parts: tuple[tuple[str, list[Run]], ...] = (
        ("Final training", [run for run in runs.metered if is_training(run)]),
        ("Trials of a search", trials),
        ("Metered evaluations", _evaluations(runs)),
        ("Audits", list(runs.audits)),
    )
    rows = []
    for name, every in parts:
        if every:
            rows.append(_scope_row(name, together(every)))
        elif every is not parts[2][1]:
            rows.append((name, "0", "none metered", "none metered", "none metered"))
    every_run = outermost(runs.every)
    if len(every_run) > 1:
        rows.append(_scope_row("All together", together(runs.every)))
    head = ("What was metered", "Runs", "Time", "Energy (interval)", "Carbon (interval)")
    return table(head, rows, "lrrll")


def _evaluations(runs: CardRuns) -> list[Run]:
    return [run for run in of_scope(runs, "audits") if isinstance(run, MeteredRecord) and run.purpose == "evaluation"]


def _scope_row(name: str, cost: Cost) -> tuple[str, ...]:
    return name, f"{len(cost.runs):,}", plain(duration(cost.duration_s)), _energy(cost), _carbon(cost)


# how it was measured, and what it leaves out


def _how(runs: CardRuns) -> str:
    points: dict[str, dict[str, None]] = {}
    for run in outermost(runs.every):
        foot, kind = run.footprint, "audits" if isinstance(run, RunRecord) else "training"
        overhead = "No overhead of a data centre is included, since no PUE was given"
        if foot.pue is not None:
            overhead = f"The overhead of the data centre is included in the carbon with a PUE of {foot.pue:g}"
        for point in (
            f"Sensors: {escaped(sensors(foot))}; read by {escaped(foot.meter)}.",
            _grid(foot.grid),
            f"{overhead} (PUE, power usage effectiveness: energy of the whole centre over that of its computers).",
        ):
            points.setdefault(point, {})[kind] = None
    kinds = {kind for told in points.values() for kind in told}
    said = [
        point if len(told) == len(kinds) else f"{joined(list(told)).capitalize()}. {point}"
        for point, told in points.items()
    ]
    return blocks(
        "How it was measured: the energy of the whole machine while a run went on, what it uses without load included.",
        listed(said),
    )


def _grid(grid: GridFactor) -> str:
    method = escaped(grid.method.partition("; range ")[0])
    low, high = (plain(KINDS["intensity"](bound)) for bound in (grid.low_kg_per_kwh, grid.high_kg_per_kwh))
    if grid.kg_per_kwh is None:
        return f"Grid: place not known, so the carbon is an interval from {low} to {high} ({method})."
    year = f"of {grid.year}" if grid.year is not None else "of a year that is not known"
    place = f" for {escaped(place_of(grid))}" if place_of(grid) else ""
    factor = plain(KINDS["intensity"](grid.kg_per_kwh))
    return f"Grid factor{place}: {factor} ({low} to {high}) CO₂e, {year}, {escaped(grid.source)}; {method}."


def _not_counted(runs: CardRuns) -> str:
    notes = cautions(runs)
    return blocks(f"Not counted: {'; '.join(left_out(runs))}.", listed(notes) if notes else "")


def left_out(runs: CardRuns) -> list[str]:
    """Return what the costs of a card leave out."""
    left: list[str] = []
    trainings = [run for run in runs.metered if is_training(run)]
    if not trainings:
        left.append("the training of the model, of which no metered run is known here")
    began = sorted({run_id for run in trainings for run_id in run.lineage})
    if began:
        left.append(f"the runs that the training began from ({', '.join(coded(run_id) for run_id in began)})")
    elif any(run.purpose == "fine-tuning" for run in trainings):
        left.append("the training of the base model")
    if not any(run not in trainings for run in runs.metered):
        left.append("trials and failed attempts, of which none was metered")
    return [
        *left,
        "making and disposing of the hardware",
        "networks and storage",
        "every use of the model after its release",
    ]


def cautions(runs: CardRuns) -> list[str]:
    """Return in what the costs of a card are too low, or not to be trusted, a sentence each."""
    unmetered = [run.run_id for run in runs.audits if any(not segment.metered for segment in run.footprint.segments)]
    notes = [f"A part of {coded(run_id)} was not metered, so its cost is at least this." for run_id in unmetered]
    cut = [run.run_id for run in runs.metered if run.status == "truncated"]
    notes += [
        f"{coded(run_id)} was cut off; what is told is the part until then, so its cost is at least this."
        for run_id in cut
    ]
    if clash := overlapping(outermost(runs.every)):
        notes.append(f"{escaped(clash)}.")
    warned = dict.fromkeys(w for run in runs.every for w in run.footprint.warnings)
    return [*notes, *(f"Caution: {escaped(warning.rstrip('.'))}." for warning in warned)]
