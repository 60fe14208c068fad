"""The table that ends an audit in the terminal: what was found for each probe set, and what it cost."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fairprint.audit.records import Estimate, Footprint, ProbeInfo, RunRecord
from fairprint.reports import benchmark_views, benchmarks, classified, classified_views, nearness, precision, utility
from fairprint.reports.numbers import ENERGY, KINDS, MASS, duration, kind_of, lower, probability, scaled
from fairprint.reports.selection import headline, instruments
from fairprint.reports.summary import tally
from fairprint.reports.tables import row_label
from fairprint.reports.terminal import stdout
from fairprint.reports.text import clean, plain
from fairprint.reports.wording import FALSE_DISCOVERY_RATE, labels, sensors, shows, title_of

_SHOWN = (
    "stereotype_score",
    "stereotype_score_centred",
    "valence_gap",
    "association_effect",
    "covariate_correlation",
    "candidate_mass",
    "flip_rate",
    "accuracy",
    "accuracy_gap",
)
"""Metrics of the closing table; a set without any of the first three shows its group gaps."""
_MOST_BEHIND = 3
"""Instruments of a set of which it is told what their intervals rest on; the report tells it of all."""


def closing(record: RunRecord) -> None:
    """Print the closing table of a run on stdout: what was found for each probe set, and what it cost."""
    console = stdout()
    model = record.plan.model
    state = "" if record.status == "complete" else f" [yellow]({record.status})[/yellow]"
    size = "number of parameters not known" if model.parameters is None else f"{model.parameters:,} parameters"
    console.print(f"\n[bold]{escape(clean(model.name))}[/bold]{state}  {model.kind}, {size}")
    for probe in record.probes:
        estimates = [e for e in record.estimates if e.probe_set == probe.name]
        console.print(f"\n[bold]{escape(clean(probe.title))}[/bold]", highlight=False)
        if benchmarks.is_form(probe):
            _tell(console, record, probe)
        elif utility.applies(probe):
            console.print("no finding about people: how well the model predicts plain texts", style="dim")
            console.print(_table(estimates, probe, several=len({e.instrument for e in estimates}) > 1))
        else:
            console.print(_table(_shown(estimates), probe, several=len({e.instrument for e in estimates}) > 1))
            asked = [of for _, mine, of in instruments(record) if mine is probe]
            for of in asked[:_MOST_BEHIND]:
                _behind(console, headline(of), probe)
        for note in record.notes:
            if note.startswith(f"{probe.name}: "):
                console.print(f"[yellow]note[/yellow] {escape(clean(note))}", highlight=False)
        words = _words(estimates, probe)
        if words and not classified_views.applies(estimates[0]):
            console.print(escape(words), style="dim", highlight=False)
        for test in record.tests:
            if test.probe_set == probe.name:
                console.print(escape(plain(nearness.tested(test, probe).striptags())), style="dim", highlight=False)
    together = tally(record)
    if together:
        console.print(f"\n{escape(plain(together.striptags()))}", highlight=False)
    console.print()
    console.print(escape(footprint_line(record.footprint)), highlight=False)
    for warning in record.footprint.warnings:
        console.print(f"[yellow]note[/yellow] {escape(clean(warning))}", highlight=False)


def _tell(console: Console, record: RunRecord, probe: ProbeInfo) -> None:
    """Print what a published benchmark found, in sentences and as a table, by instrument."""
    asked = [(label, estimates) for label, of, estimates in instruments(record) if of is probe]
    for label, estimates in asked:
        if len(asked) > 1:
            console.print(f"\n{escape(clean(label.rpartition(' / ')[2]))}", style="bold", highlight=False)
        for sentence in benchmark_views.sentences(estimates, probe):
            console.print(escape(plain(sentence.striptags())), highlight=False)
        console.print(_table(_of_benchmark(estimates, probe), probe, several=False))
        head = headline(estimates)
        _behind(console, head, probe)
    least = benchmark_views.lowest(benchmark_views.pairs(record, probe, benchmarks.AGREEMENTS[0]), probe)
    if least:
        console.print(escape(plain(least.striptags())), highlight=False)


def _behind(console: Console, head: Estimate | None, probe: ProbeInfo) -> None:
    """Print what the interval of the main metric speaks of and rests on."""
    if head is not None and probe.scored not in classified.SCORED:
        for sentence in (precision.speaks_of(head, probe), *precision.in_words(head, probe)):
            console.print(escape(plain(sentence.striptags())), style="dim", highlight=False)


def _table(estimates: Sequence[Estimate], probe: ProbeInfo, *, several: bool) -> Table:
    table = Table(pad_edge=False, box=None)
    heads = ["value", "95 % interval", "neutral", "p", "q", "items"]
    heads += ["published"] if any(e.published for e in estimates) else []
    table.add_column("finding")
    for head in heads:
        table.add_column(head, justify="right")
    for estimate in estimates:
        table.add_row(*_cells(estimate, probe, several=several)[: len(heads) + 1])
    return table


def _of_benchmark(estimates: Sequence[Estimate], probe: ProbeInfo) -> list[Estimate]:
    """Return the rows of a published benchmark: its main metrics first, each before its parts."""
    head = headline(estimates)
    main = dict.fromkeys((*([head.metric] if head else []), *benchmarks.MAIN[probe.scored]))
    ordered = dict.fromkeys((*main, *(e.metric for e in estimates)))
    kinds = ("all", "quality", "condition", "group", "category")
    rows = [e for metric in ordered for e in estimates if e.metric == metric]
    shown = [e for e in rows if not e.scope.startswith("category:") or (head and e.metric == head.metric)]
    places = {metric: place for place, metric in enumerate(ordered)}
    return sorted(shown, key=lambda e: (places[e.metric], kinds.index(e.scope.partition(":")[0])))


def _shown(estimates: Sequence[Estimate]) -> list[Estimate]:
    whole = [e for e in estimates if e.scope in ("all", "") or e.scope.startswith("category:")]
    if not any(e.metric in _SHOWN[:3] for e in whole):
        told = [e for e in estimates if e in whole or (e.metric == "accuracy" and e.scope.startswith("group:"))]
        return [e for e in told if e.metric in ("group_gap", *_SHOWN) and (e.metric != "flip_rate" or e.scope == "all")]
    # one by one, comparisons are told by the raw score: centred ones would double a long table
    several = len({e.comparison for e in whole if e.metric == "stereotype_score"}) > 1
    shown = [metric for metric in _SHOWN if not (several and metric == "stereotype_score_centred")]
    return [e for e in whole if e.metric in shown and (e.scope == "all" or e.metric == "stereotype_score")]


_UNITS = {"nats": " nats", "cosine similarity": " cosine", "nats a token": " nats", "nats a character": " nats"}
"""Units that a number does not show by itself."""


def _cells(estimate: Estimate, probe: ProbeInfo, *, several: bool) -> tuple[str, ...]:
    kind = kind_of(estimate)
    label = title_of(estimate.metric)
    if estimate.scope.startswith("category:") or (estimate.scope != "all" and not benchmarks.is_form(probe)):
        label = f"  {clean(estimate.scope.partition(':')[2])}"
    elif benchmarks.is_form(probe):
        label = plain(row_label(estimate, probe).striptags())
    elif len(probe.comparisons) > 1 and estimate.comparison and estimate.metric != "covariate_correlation":
        first, second = labels(probe, estimate.comparison)
        label += f", {clean(first)} against {clean(second)}"
    if several:
        label += f" ({estimate.instrument.rpartition('/')[2].strip()})"
    unit = "" if benchmarks.is_form(probe) else _UNITS.get(estimate.unit, "")
    published = "" if estimate.published is None else _as(estimate.published.value, kind)
    if estimate.value is None:
        return escape(label), "-", escape(estimate.reason or ""), "", "", "", str(estimate.items), published
    bounds = (
        "-"
        if estimate.low is None or estimate.high is None
        else f"{_as(estimate.low, lower(kind))} to {_as(estimate.high, kind)}"
    )
    style = "bold" if shows(estimate) else "default"
    return (
        escape(label),
        f"[{style}]{_as(estimate.value, kind)}{unit}[/{style}]",
        bounds + (" !" if estimate.warnings else ""),
        "-" if estimate.neutral is None else _as(estimate.neutral, kind),
        "-" if estimate.p_value is None else plain(probability(estimate.p_value)),
        "-" if estimate.q_value is None else plain(probability(estimate.q_value)),
        f"{estimate.items:,}" + (f" ({estimate.missing:,} missing)" if estimate.missing else ""),
        published,
    )


def _words(estimates: Sequence[Estimate], probe: ProbeInfo) -> str:
    """Say which words lean to a group of the first comparison."""
    tested = [
        e for e in estimates if e.metric == "group_gap_centred" and e.comparison == probe.comparisons[0] and e.scope
    ]
    found = [e for e in tested if e.q_value is not None and e.q_value < FALSE_DISCOVERY_RATE and e.value is not None]
    if not any(e.q_value is not None for e in tested):
        return ""
    first, second = (clean(label) for label in labels(probe))
    ranked = sorted(found, key=lambda e: e.value or 0)
    low = ", ".join(clean(e.scope.partition(":")[2]) for e in ranked[:5] if (e.value or 0) < 0)
    high = ", ".join(clean(e.scope.partition(":")[2]) for e in ranked[::-1][:5] if (e.value or 0) > 0)
    told = (
        f"Next to the other words, {len(found)} of {len(tested)} lean to {first} or to {second} "
        f"(Benjamini-Hochberg, q < {FALSE_DISCOVERY_RATE:g})"
    )
    return told + (f"; most to {second}: {low}" if low else "") + (f"; most to {first}: {high}" if high else "")


def footprint_line(footprint: Footprint) -> str:
    """Return duration, energy and emissions with their intervals as one line."""
    parts = [plain(duration(footprint.duration_s))]
    if footprint.energy_kwh is None:
        parts.append(f"energy not available: {footprint.reason}")
    else:
        unit = scaled(footprint.energy_kwh, ENERGY)
        low, high = footprint.energy_low_kwh or 0.0, footprint.energy_high_kwh or 0.0
        parts.append(f"{_as(footprint.energy_kwh, unit)} [{_as(low, unit)}, {_as(high, unit)}], {sensors(footprint)}")
    low_kg, high_kg = footprint.emissions_low_kg, footprint.emissions_high_kg
    if low_kg is not None and high_kg is not None:
        unit = scaled(footprint.emissions_kg if footprint.emissions_kg is not None else high_kg, MASS)
        span = f"[{_as(low_kg, unit)}, {_as(high_kg, unit)}]"
        if footprint.emissions_kg is None:
            parts.append(f"{span} CO2e, since the country is not known (--country-iso-code)")
        else:
            grid = footprint.grid
            parts.append(
                f"{_as(footprint.emissions_kg, unit)} {span} CO2e ({grid.country_iso_code}, grid of {grid.year})"
            )
    return "; ".join(parts)


def _as(value: float, kind: str) -> str:
    return plain(KINDS[kind](value))
