"""What a metered run cost, in the terminal: its closing summary, and its spans as a table."""

from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fairprint.audit.metered import MeteredRecord, SpanRecord
from fairprint.audit.records import Footprint, GridFactor
from fairprint.reports.numbers import ENERGY, KINDS, MASS, VOLUME, duration, scaled
from fairprint.reports.text import clean, plain, safe_for_log
from fairprint.reports.wording import sensors

_WORK = ("tokens", "samples", "steps", "epochs", "flops")


def summary(record: MeteredRecord) -> list[tuple[str, str]]:
    """Return what a run cost, as lines with a head each."""
    footprint = record.footprint
    state: list[str] = [record.status] if record.status != "complete" else []
    state += [] if record.exit_code in (None, 0) else [f"exit code {record.exit_code}"]
    return [
        (record.kind, ", ".join([clean(record.name), *state])),
        ("duration", plain(duration(footprint.duration_s))),
        ("energy", energy_of(footprint)),
        ("emissions", emissions_of(footprint)),
        *([("water", _water(footprint))] if footprint.water_l is not None else []),
        ("CPU time", _cpu(footprint)),
        *_rest(record),
    ]


def _rest(record: MeteredRecord) -> Iterator[tuple[str, str]]:
    counted = [_counted(name, value) for name in _WORK if (value := getattr(record.work, name)) is not None]
    if counted:
        yield "work", ", ".join(counted)
    if record.budget is not None:
        limit = record.budget.energy_kwh
        unit = scaled(limit if limit is not None else record.budget.emissions_kg, ENERGY if limit is not None else MASS)
        value = _as(limit if limit is not None else record.budget.emissions_kg or 0.0, unit)
        yield "budget", f"{value}: {record.budget.outcome}"
    if record.overlaps:
        others = "1 other meter" if len(record.overlaps) == 1 else f"{len(record.overlaps)} other meters"
        yield "note", f"{others} ran on this machine meanwhile: do not add the energies up"
    for text in dict.fromkeys((*record.footprint.warnings, *record.checks, *record.notes)):
        yield "note", clean(text)


def _counted(name: str, value: float) -> str:
    if name == "flops":
        return _as(value, "flops")
    return f"{value:,} {name}" if isinstance(value, int) else f"{value:.4g} {name}"


def energy_of(footprint: Footprint) -> str:
    """Return the energy with its interval and its sensors, or why there is none."""
    if footprint.energy_kwh is None:
        return f"not available: {footprint.reason}"
    unit = scaled(footprint.energy_kwh, ENERGY)
    return (
        f"{_as(footprint.energy_kwh, unit)} {_between(footprint.energy_low_kwh, footprint.energy_high_kwh, unit)}, "
        f"{sensors(footprint)}"
    )


def emissions_of(footprint: Footprint) -> str:
    """Return the emissions with their interval, place and factor, or why there are none."""
    low, high = footprint.emissions_low_kg, footprint.emissions_high_kg
    if low is None or high is None:
        return f"not available: {footprint.reason}"
    unit = scaled(footprint.emissions_kg if footprint.emissions_kg is not None else high, MASS)
    value = "" if footprint.emissions_kg is None else f"{_as(footprint.emissions_kg, unit)} "
    return f"{value}{_between(low, high, unit)} CO2e, {place_of(footprint.grid)}, {_pue(footprint)}"


def place_of(grid: GridFactor) -> str:
    """Return a place with its grid factor and the year of that.

    >>> world = dict(low_kg_per_kwh=0, high_kg_per_kwh=1, region=None, source="", method="", year=None)
    >>> place_of(GridFactor(kg_per_kwh=None, country_iso_code=None, **world))
    'place not known: from the lowest to the highest country of the world (--country-iso-code)'
    >>> place_of(GridFactor(kg_per_kwh=0.056, country_iso_code="FRA", **{**world, "year": 2023}))
    'FRA, grid of 2023 at 56.0 g/kWh'
    """
    if grid.kg_per_kwh is None:
        return "place not known: from the lowest to the highest country of the world (--country-iso-code)"
    factor = _as(grid.kg_per_kwh, "intensity")
    place = grid.cloud_region or ", ".join(part for part in (grid.country_iso_code, grid.region) if part)
    if grid.source == "given by the user":
        return clean(f"{place}, " if place else "") + f"factor given: {factor}"
    return f"{clean(place)}, grid of {grid.year if grid.year is not None else 'a year not told'} at {factor}"


def _pue(footprint: Footprint) -> str:
    return "without PUE" if footprint.pue is None else f"PUE {footprint.pue:g}"


def _water(footprint: Footprint) -> str:
    litres = footprint.water_l or 0.0
    return f"{_as(litres, scaled(litres, VOLUME))} at the data centre, WUE {footprint.wue or 0.0:g} l/kWh"


def _cpu(footprint: Footprint) -> str:
    if footprint.own_cpu_s is None or footprint.machine_cpu_s is None:
        return "not available"
    own, machine = (plain(duration(max(0.0, s))) for s in (footprint.own_cpu_s, footprint.machine_cpu_s))
    return f"{own} of its own, {machine} of the whole machine"


def _between(low: float | None, high: float | None, unit: str) -> str:
    return f"[{_as(low or 0.0, unit)}, {_as(high or 0.0, unit)}]"


def _as(value: float, kind: str) -> str:
    return plain(KINDS[kind](value))


def print_summary(record: MeteredRecord, console: Console) -> None:
    """Print what a run cost."""
    _print_lines(summary(record), console)


def print_metered(record: MeteredRecord, console: Console) -> None:
    """Print a run as it is stored: what it cost, and its spans."""
    with console.capture() as found:
        _print_lines(
            [*summary(record), ("begin", record.started_at), ("end", record.finished_at), ("run", record.run_id)],
            console,
        )
        if record.spans:
            console.print()
            console.print(_spans(record))
    console.file.write(safe_for_log(found.get()))  # as a whole, since a cell that is folded begins a line


def _print_lines(lines: list[tuple[str, str]], console: Console) -> None:
    width = max(len(head) for head, _ in lines)
    for head, text in lines:
        style = "yellow" if head == "note" else "bold"
        console.print(
            f"[{style}]{head:<{width}}[/{style}]  {escape(safe_for_log(text))}", highlight=False, soft_wrap=True
        )


def _spans(record: MeteredRecord) -> Table:
    table = Table(box=None, pad_edge=False)
    for head in ("span", "phase"):
        table.add_column(head, overflow="fold")
    for head in ("duration", "energy", "own CPU time"):
        table.add_column(head, justify="right")
    table.add_column("status", overflow="fold")
    depths: dict[str, int] = {}
    known = [span.energy_kwh for span in record.spans if span.energy_kwh is not None]
    unit = scaled(max(known, default=0.0), ENERGY)
    for span in record.spans:
        depth = depths[span.span] = 0 if span.parent is None else depths.get(span.parent, -1) + 1
        table.add_row(*(escape(cell) for cell in _cells(span, depth, unit)))
    return table


def _cells(span: SpanRecord, depth: int, unit: str) -> tuple[str, ...]:
    own_s = "" if span.own_cpu_s is None else plain(duration(max(0.0, span.own_cpu_s)))
    energy = "-" if span.energy_kwh is None else _as(span.energy_kwh, unit)
    status = f"{span.status}: {clean(span.note)}" if span.note else span.status
    status += "" if span.reason is None else f" ({clean(span.reason)})"
    return "  " * depth + clean(span.name, 120), span.phase, plain(duration(span.duration_s)), energy, own_s, status
