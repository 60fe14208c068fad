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

from fairprint.audit.records import Estimate, Footprint, ProbeInfo, RunRecord
from fairprint.audit.store import RunFolder
from fairprint.probes.items import Item, ProbeSet, distinct_texts
from fairprint.probes.labelled import IMAGES, TEXTS
from fairprint.probes.scores import Score
from fairprint.reports import classified_views, nearness
from fairprint.reports.numbers import ENERGY, KINDS, MASS, duration, kind_of, probability, scaled
from fairprint.reports.text import clean
from fairprint.reports.wording import FALSE_DISCOVERY_RATE, includes_neutral, labels, sensors, title_of

if TYPE_CHECKING:
    # at run time it would bring numpy, scipy and psutil to commands that only print a table
    from fairprint.audit.forecast import Forecast
    from fairprint.audit.questions import Questions
    from fairprint.audit.work import Progress

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


def closing(record: RunRecord) -> None:
    """Print the closing table of a run on stdout: what was found for each probe set, and what it cost."""
    console = _stdout()
    model = record.plan.model
    state = "" if record.status == "complete" else f" [yellow]({record.status})[/yellow]"
    size = "number of parameters not known" if model.parameters is None else f"{model.parameters:,} parameters"
    console.print(f"\n[bold]{escape(clean(model.name))}[/bold]{state}  {model.kind}, {size}")
    for probe in record.probes:
        estimates = [e for e in record.estimates if e.probe_set == probe.name]
        console.print(f"\n[bold]{escape(clean(probe.title))}[/bold]", highlight=False)
        table = Table(pad_edge=False, box=None)
        table.add_column("finding")
        table.add_column("value", justify="right")
        table.add_column("95 % interval", justify="right")
        table.add_column("neutral", justify="right")
        table.add_column("p", justify="right")
        table.add_column("items", justify="right")
        for estimate in _shown(estimates):
            table.add_row(*_cells(estimate, probe, several=len({e.instrument for e in estimates}) > 1))
        console.print(table)
        for note in record.notes:
            if note.startswith(f"{probe.name}: "):
                console.print(f"[yellow]note[/yellow] {escape(clean(note))}", highlight=False)
        words = _words(estimates, probe)
        if words and not classified_views.applies(estimates[0]):
            console.print(escape(words), style="dim", highlight=False)
        for test in record.tests:
            if test.probe_set == probe.name:
                console.print(escape(_plain(nearness.tested(test, probe).striptags())), style="dim", highlight=False)
    console.print()
    console.print(escape(footprint_line(record.footprint)), highlight=False)
    for warning in record.footprint.warnings:
        console.print(f"[yellow]note[/yellow] {escape(clean(warning))}", highlight=False)


def _shown(estimates: Sequence[Estimate]) -> list[Estimate]:
    whole = [e for e in estimates if e.scope in ("all", "") or e.scope.startswith("category:")]
    if not any(e.metric in _SHOWN[:3] for e in whole):
        told = [e for e in estimates if e in whole or (e.metric == "accuracy" and e.scope.startswith("group:"))]
        return [e for e in told if e.metric in ("group_gap", *_SHOWN) and (e.metric != "flip_rate" or e.scope == "all")]
    # one by one, comparisons are told by the raw score: centred ones would double a long table
    several = len({e.comparison for e in whole if e.metric == "stereotype_score"}) > 1
    shown = [metric for metric in _SHOWN if not (several and metric == "stereotype_score_centred")]
    return [e for e in whole if e.metric in shown and (e.scope == "all" or e.metric == "stereotype_score")]


def _cells(estimate: Estimate, probe: ProbeInfo, *, several: bool) -> tuple[str, ...]:
    kind = kind_of(estimate)
    label = title_of(estimate.metric)
    if estimate.scope != "all":
        label = f"  {clean(estimate.scope.partition(':')[2])}"
    elif len(probe.comparisons) > 1 and estimate.comparison and estimate.metric != "covariate_correlation":
        first, second = labels(probe, estimate.comparison)
        label += f", {clean(first)} against {clean(second)}"
    if several:
        label += f" ({estimate.instrument.rpartition('/')[2].strip()})"
    unit = {"nats": " nats", "cosine similarity": " cosine"}.get(estimate.unit, "")
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


def print_forecast(shown: "Sequence[tuple[str, str | None, Questions, Forecast | str]]", *, as_json: bool) -> None:
    """Print what would be asked of each model, how many tokens that is, and how long it may take or why not."""
    rows: list[dict[str, object]] = []
    told = []
    for model, languages, questions, expected in shown:
        for p in questions.probe_sets:
            items = questions.items[p.name]
            rows.append(
                {
                    "model": model,
                    "probe_set": p.name,
                    "instruments": ", ".join(i.name for i in questions.instruments[p.name]),
                    "items": len(items),
                    "sentences": len(distinct_texts(items)),
                    "tokens": "not known" if isinstance(expected, str) else expected.tokens[p.name],
                }
            )
        if languages is not None:
            told.append(f"{model}: probe sets in {languages}")
        if isinstance(expected, str):
            told.append(f"{model}: {expected}")
            continue
        told.append(
            f"{model}: {expected.parameters:,} parameters, {sum(expected.tokens.values()):,} tokens: about "
            f"{_plain(duration(expected.low_s))} to {_plain(duration(expected.high_s))} after loading (2 FLOP a "
            f"parameter and token at 30 to 80 % of the {expected.flops_per_second / 1e9:.0f} GFLOP/s measured here)"
        )
        if as_json:
            rows[-1]["expected_s"] = [expected.low_s, expected.high_s]
    print_rows(rows, title="what would be asked; no weights are loaded and nothing is written", as_json=as_json)
    if not as_json:
        for line in told:
            print(clean(line))


def show_probe_set(probe_set: ProbeSet) -> None:
    """Print what a set asks, what it stands for and what it cannot show, with its first items."""
    console = _stdout()
    console.print(f"[bold]{escape(clean(probe_set.title))}[/bold]  {probe_set.name}, version {probe_set.version}")
    console.print(escape(clean(probe_set.summary)))
    facts = {
        "measures": (probe_set.measures,),
        "harm": (probe_set.harm_type,),
        "groups": tuple(g.label + (f": {', '.join(g.words)}" if g.words else "") for g in probe_set.groups),
        "language": (probe_set.language,),
        "size": (f"{len(probe_set.items):,} items, {probe_set.sentences:,} sentences",),
        "random factors": probe_set.random_factors,
        "covariate": (probe_set.covariate or "none",),
        "licence": (probe_set.licence,),
        "sources": probe_set.sources,
        "known criticism": probe_set.criticism,
        "cannot show": probe_set.cannot_show,
        "sha256": (probe_set.sha256,),
        "templates": tuple(
            " / ".join(dict.fromkeys(v.text for v in item.variants)) for item in _first_of_each_template(probe_set)
        ),
    }
    if probe_set.scored in (TEXTS, IMAGES):
        facts["first items"] = facts.pop("templates")[:12]
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
