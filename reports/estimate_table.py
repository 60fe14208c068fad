"""What a training would take, in the terminal and as JSON, with the priors behind it."""

import json
from collections.abc import Iterator
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fairprint.audit.estimate import METHOD, Foretold, Prior, Range
from fairprint.audit.references import equivalences, for_scale
from fairprint.reports.metered_table import place_of
from fairprint.reports.numbers import ENERGY, KINDS, MASS, scaled, significant
from fairprint.reports.scale_views import scale
from fairprint.reports.terminal import stdout
from fairprint.reports.text import clean, plain

SMALL_MODEL = 1e9
"""Parameters below which a training rarely reaches the share of the peak that large models do: our assumption."""

NARROW = 1.5
"""Ratio of the bounds of a range below which two figures would hide how wide it is."""


def print_estimate(found: Foretold) -> None:
    """Print duration, energy and emissions, what makes the interval wide, the priors, and what it is like."""
    console = stdout()
    lines = [*_results(found), *(("note", text) for text in notes(found))]
    width = max(len(head) for head, _ in lines)
    for head, text in lines:
        style = "yellow" if head == "note" else "bold"
        console.print(f"[{style}]{head:<{width}}[/{style}]  {escape(text)}", highlight=False, soft_wrap=True)
    console.print("\nWhat this rests on", style="bold", highlight=False)
    console.print(_priors(found))
    console.print(f"\n{METHOD}; what is given is taken as exact.", highlight=False, markup=False, soft_wrap=True)
    _print_scale(found, console)


def _results(found: Foretold) -> Iterator[tuple[str, str]]:
    yield (
        "work",
        _as(found.flop, "flops") + (f", on {found.planned.devices:,} devices" if found.planned.devices > 1 else ""),
    )
    yield "duration", _between(found.duration_s, "duration")
    machines = found.machine_energy_kwh
    yield "energy", _between(machines, scaled(machines.value, ENERGY)) + " of the machines"
    if any(prior.name == "PUE" for prior in found.priors):
        energy = found.energy_kwh
        yield "with PUE", _between(energy, scaled(energy.value, ENERGY)) + " with the overhead of the data centre"
    emissions = found.emissions_kg
    unit = scaled(emissions.high if emissions.value is None else emissions.value, MASS)
    yield "emissions", f"{_between(emissions, unit)} CO2e, {place_of(found.grid)}"
    yield "width", dominated(found)


def dominated(found: Foretold) -> str:
    """Say what makes the interval wide: of the emissions, or without a place of the energy."""
    placed = found.grid.kg_per_kwh is not None
    shares = [f"{name} {_as(share, 'percent')}" for name, share in found.shares.items() if share >= 0.005]
    if shares:
        told = f"{'emissions' if placed else 'energy'}: mostly the {next(iter(found.shares))}"
        told += f" ({', '.join(shares)} of the variance of the logarithm)"
    else:
        told = "all was given and nothing drawn, so that the interval has no width"
    return told if placed else told + "; the emissions span the world, since no place is given"


def notes(found: Foretold) -> tuple[str, ...]:
    """Return what a reader must know of an estimate."""
    told: list[str] = []
    planned = found.planned
    drawn = {prior.name for prior in found.priors if prior.shape not in ("given", "measured")}
    active = planned.active_parameters or planned.parameters
    if "speed" in drawn and planned.machine is None and active < SMALL_MODEL:
        told.append(
            "trainings of small models rarely reach the speed that is assumed here: measure a short one, and give its"
            " --mfu or --achieved-flops"
        )
    if planned.attention is None and planned.flop is None and active < SMALL_MODEL:
        told.append(
            "6ND leaves out attention, which is much of the work of a small model with long texts: give --layers,"
            " --hidden-size and --sequence-length"
        )
    if planned.machine is not None and planned.pue is None:
        told.append("no overhead of a data centre is applied to this machine: give --pue where it stands in one")
    told.append("one training alone: trials before it, and the making of the hardware, come on top")
    return tuple(told)


def _priors(found: Foretold) -> Table:
    table = Table(box=None, pad_edge=False)
    for head in ("", "how", "values", "unit", "from"):
        table.add_column(head, overflow="fold")
    for prior in found.priors:
        cells = (prior.name, prior.shape, _values(prior), prior.unit.removeprefix("1"), clean(prior.origin))
        table.add_row(*(escape(cell) for cell in cells))
    return table


def _values(prior: Prior) -> str:
    if prior.shape == "log-normal":
        parts = zip(prior.values, prior.half_widths, strict=True)
        return " + ".join(f"{value:.3g} (±{100 * half:.0f} %)" for value, half in parts)
    return (", " if prior.shape == "triangular" else " to ").join(f"{value:.4g}" for value in prior.values)


def _print_scale(found: Foretold, console: Console) -> None:
    view = scale(found.energy_kwh.value, found.emissions_kg.value, found.emissions_kg.reason)
    console.print("\nFor scale", style="bold", highlight=False)
    for sentence in view.sentences:
        console.print(clean(plain(sentence.striptags())), highlight=False, markup=False, soft_wrap=True)
    for source in view.sources:
        console.print(f"  {clean(plain(source.striptags()))}", highlight=False, markup=False, soft_wrap=True)


def _between(of: Range, kind: str) -> str:
    """Return a range; a narrow one of energy or mass with a third figure, so that its bounds differ."""
    factor = next((factor for unit, factor, _ in (*ENERGY, *MASS) if unit == kind), None)

    def told(value: float) -> str:
        narrow = factor is not None and of.high < NARROW * of.low
        return f"{significant(3, value, factor=factor or 1.0)} {kind}" if narrow else _as(value, kind)

    return ("" if of.value is None else f"{told(of.value)} ") + f"[{told(of.low)}, {told(of.high)}]"


def _as(value: float, kind: str) -> str:
    return plain(KINDS[kind](value))


def as_json(found: Foretold) -> str:
    """Return an estimate as a JSON document: energies in kWh, emissions in kg, durations in s."""
    value, emissions_kg = found.energy_kwh.value, found.emissions_kg.value
    told = {
        "schema_version": 1,
        "given": {key: value for key, value in asdict(found.planned).items() if value is not None},
        "grid": found.grid.model_dump(mode="json"),
        "flop": found.flop,
        "duration_s": asdict(found.duration_s),
        "machine_energy_kwh": asdict(found.machine_energy_kwh),
        "energy_kwh": asdict(found.energy_kwh),
        "emissions_kg": asdict(found.emissions_kg),
        "interval_method": METHOD,
        "priors": [asdict(prior) for prior in found.priors],
        "variance_shares": dict(found.shares),
        "in_words": [dominated(found), *notes(found)],
        "equivalences": [] if emissions_kg is None else [asdict(each) for each in equivalences(emissions_kg)],
        "published_runs": [asdict(each) for each in for_scale(value, emissions_kg)],
    }
    return json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False)
