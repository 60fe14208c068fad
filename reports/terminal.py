"""What the terminal shows: progress while a run goes on, and a closing table that reads like the report."""

import csv
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from fairprint.audit.records import Estimate, Footprint, RunRecord
from fairprint.audit.store import RunFolder
from fairprint.probes.items import Item, ProbeSet
from fairprint.probes.scores import Score
from fairprint.reports.numbers import ENERGY, KINDS, MASS, duration, kind_of, probability, scaled
from fairprint.reports.text import clean
from fairprint.reports.wording import includes_neutral, labels, sensors, title_of

if TYPE_CHECKING:
    # at run time it would bring numpy, scipy and psutil to commands that only print a table
    from fairprint.audit.runner import Progress

QUIET_SECONDS = 15
"""Seconds between two lines of progress where there is no terminal."""


class ProgressLines:
    """Shows progress on stderr: a bar with rate and remaining time on a terminal, else a line now and then."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bar: Bar | None = None
        self.began = time.monotonic()
        self.asking_since: float | None = None
        self.last = -float(QUIET_SECONDS)

    def __enter__(self) -> "Callable[[Progress], None]":
        if self.console.is_terminal:
            self.bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(compact=True),
                console=self.console,
                transient=True,
            )
            self.bar.start()
            self.task = self.bar.add_task("starting", total=None, rate="")
        return self.show

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def show(self, progress: "Progress") -> None:
        """Show one event."""
        now = time.monotonic()
        if progress.total and self.asking_since is None:
            self.asking_since = now
        spent = now - (self.asking_since or now)
        rate = progress.asked / spent if progress.asked and spent else 0.0
        if self.bar is not None:
            self.bar.update(
                self.task,
                description=progress.stage,
                completed=progress.done,
                total=progress.total or None,
                rate=f"{rate:.1f} items/s" if rate else "",
            )
        elif now - self.last >= QUIET_SECONDS:
            self.last = now
            left = f", about {_plain(duration((progress.total - progress.done) / rate))} left" if rate else ""
            count = f" {progress.done}/{progress.total} items" if progress.total else ""
            self.console.print(f"{now - self.began:5.0f} s  {progress.stage}{count}{left}", highlight=False)


def closing(record: RunRecord) -> None:
    """Print the closing table of a run on stdout: what was found for each probe set, and what it cost."""
    console = _stdout()
    model = record.plan.model
    state = "" if record.status == "complete" else f" [yellow]({record.status})[/yellow]"
    console.print(f"\n[bold]{escape(clean(model.name))}[/bold]{state}  {model.kind}, {model.parameters:,} parameters")
    for probe in record.probes:
        table = Table(
            title=escape(clean(probe.title)), title_justify="left", title_style="bold", pad_edge=False, box=None
        )
        table.add_column("finding")
        table.add_column("value", justify="right")
        table.add_column("95 % interval", justify="right")
        table.add_column("neutral", justify="right")
        table.add_column("p", justify="right")
        table.add_column("items", justify="right")
        for estimate in record.estimates:
            if estimate.probe_set == probe.name and not estimate.scope.startswith(("lexeme:", "group:")):
                table.add_row(*_cells(estimate, record))
        console.print(table)
        words = _words(
            [e for e in record.estimates if (e.probe_set, e.metric) == (probe.name, "group_gap_centred")],
            *labels(probe),
        )
        if words:
            console.print(escape(words), style="dim", highlight=False)
        console.print()
    console.print(escape(footprint_line(record.footprint)), highlight=False)
    for warning in record.footprint.warnings:
        console.print(f"[yellow]note[/yellow] {escape(clean(warning))}", highlight=False)


def _cells(estimate: Estimate, record: RunRecord) -> tuple[str, ...]:
    kind = kind_of(estimate)
    scope = "" if estimate.scope == "all" else f"  {clean(estimate.scope.partition(':')[2])}"
    label = scope or title_of(estimate.metric)
    if len(record.plan.options.instruments) > 1:
        label += f" ({estimate.instrument.rpartition('/')[2].strip()})"
    unit = " nats" if estimate.unit == "nats" else ""
    if estimate.value is None:
        return escape(label), "-", escape(estimate.reason or ""), "", "", str(estimate.items)
    bounds = (
        "-"
        if estimate.low is None or estimate.high is None
        else f"{_as(estimate.low, kind)} to {_as(estimate.high, kind)}"
    )
    style = "bold" if includes_neutral(estimate) is False else "default"
    return (
        escape(label),
        f"[{style}]{_as(estimate.value, kind)}{unit}[/{style}]",
        bounds + (" !" if estimate.warnings else ""),
        "-" if estimate.neutral is None else _as(estimate.neutral, kind),
        "-" if estimate.p_value is None else _plain(probability(estimate.p_value)),
        f"{estimate.items:,}" + (f" ({estimate.missing:,} missing)" if estimate.missing else ""),
    )


def _words(estimates: Sequence[Estimate], first: str, second: str) -> str:
    found = [e for e in estimates if e.q_value is not None and e.q_value < 0.05 and e.value is not None]
    if not estimates:
        return ""
    ranked = sorted(found, key=lambda e: e.value or 0)
    low = ", ".join(clean(e.scope.partition(":")[2]) for e in ranked[:5] if (e.value or 0) < 0)
    high = ", ".join(clean(e.scope.partition(":")[2]) for e in ranked[::-1][:5] if (e.value or 0) > 0)
    told = f"Next to the other words, {len(found)} of {len(estimates)} lean to one group (Benjamini-Hochberg, q < 0.05)"
    return told + (f"; most to {second}: {low}" if low else "") + (f"; most to {first}: {high}" if high else "")


def footprint_line(footprint: Footprint) -> str:
    """Return duration, energy and emissions with their intervals as one line."""
    parts = [_plain(duration(footprint.duration_s))]
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
    return _plain(KINDS[kind](value))


def _plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def print_rows(rows: Sequence[Mapping[str, object]], *, title: str, as_json: bool) -> None:
    """Print rows with equal keys as a table, or as a JSON list."""
    if as_json:
        print(json.dumps(list(rows), indent=1, ensure_ascii=False))
        return
    console = _stdout()
    console.print(escape(clean(title)) + ("" if rows else ": none"), style="bold", highlight=False)
    table = Table(box=None, pad_edge=False)
    for key in rows[0] if rows else ():
        numeric = isinstance(rows[0][key], int)
        table.add_column(key.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(
            *(escape(clean(f"{value:,}" if isinstance(value, int) else str(value))) for value in row.values())
        )
    if rows:
        console.print(table)


def show_probe_set(probe_set: ProbeSet) -> None:
    """Print what a set asks, what it stands for and what it cannot show, with its first items."""
    console = _stdout()
    console.print(f"[bold]{escape(clean(probe_set.title))}[/bold]  {probe_set.name}, version {probe_set.version}")
    console.print(escape(clean(probe_set.summary)))
    facts = {
        "measures": (probe_set.measures,),
        "harm": (probe_set.harm_type,),
        "groups": tuple(group.label for group in probe_set.groups),
        "language": (probe_set.language,),
        "size": (f"{len(probe_set.items):,} items, {probe_set.sentences:,} sentences",),
        "random factors": probe_set.random_factors,
        "covariate": (probe_set.covariate or "none",),
        "licence": (probe_set.licence,),
        "sources": probe_set.sources,
        "known criticism": probe_set.criticism,
        "cannot show": probe_set.cannot_show,
        "sha256": (probe_set.sha256,),
        "templates": tuple(" / ".join(v.text for v in item.variants) for item in _first_of_each_template(probe_set)),
    }
    for key, values in facts.items():
        console.print(f"\n[bold]{key}[/bold]")
        for value in values:
            console.print(f"  {escape(clean(value))}", highlight=False)


def _first_of_each_template(probe_set: ProbeSet) -> list[Item]:
    return list({item.template: item for item in reversed(probe_set.items)}.values())[::-1]


def print_scores(run: RunFolder, *, whole: bool, first: int = 20) -> None:
    """Print the scores of a run as CSV, all of them or the first ones with a word on the rest."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    names = [field.name for field in fields(Score)]
    writer.writerow(["probe_set", "instrument", *names])
    count = 0
    for shard in run.shard_names():
        probe_set, instrument, _ = shard.rsplit(".", 2)
        for score in run.read_shard(shard):
            count += 1
            row = [probe_set, instrument, *(getattr(score, name) for name in names)]
            if whole:
                writer.writerow(row)
            elif count <= first:  # for eyes, not for programs
                writer.writerow([clean(value) if isinstance(value, str) else value for value in row])
    if not whole and count > first:
        print(f"... {count - first:,} more rows with --csv", file=sys.stderr)


def _stdout() -> Console:
    """Return the console for data; a pipe gets whole lines instead of lines cut for a window of 80."""
    return Console(width=None if sys.stdout.isatty() else 160)


def stderr(*, quiet: bool = False) -> Console:
    """Return the console for progress and notes: data goes to stdout, all else goes here."""
    return Console(file=sys.stderr, quiet=quiet, soft_wrap=True)
