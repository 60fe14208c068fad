"""What the terminal shows: progress while a run goes on, lists, forecasts and scores."""

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

from fairprint.audit.store import RunFolder
from fairprint.probes.items import distinct_texts
from fairprint.probes.scores import Score
from fairprint.reports.numbers import duration
from fairprint.reports.text import clean, json_for_log, plain, safe_for_log

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
            left = f", about {plain(duration((progress.total - progress.done) / rate))} left" if rate else ""
            count = f" {progress.done}/{progress.total} items" if progress.total else ""
            self.console.print(f"{now - self.began:5.0f} s  {progress.stage}{count}{left}", highlight=False)


def print_rows(rows: Sequence[Mapping[str, object]], *, title: str, as_json: bool) -> None:
    """Print rows with equal keys as a table, or as a JSON list."""
    if as_json:
        print(json_for_log(json.dumps(list(rows), indent=1, ensure_ascii=False)))
        return
    console = stdout()
    with console.capture() as found:
        _print_rows(console, rows, title)
    # as a whole, since a cell that is folded goes on at the start of a line
    print(safe_for_log(found.get()), end="")


def _print_rows(console: Console, rows: Sequence[Mapping[str, object]], title: str) -> None:
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
            f"{plain(duration(expected.low_s))} to {plain(duration(expected.high_s))} after loading (2 FLOP a "
            f"parameter and token at 30 to 80 % of the {expected.flops_per_second / 1e9:.0f} GFLOP/s measured here)"
        )
        if as_json:
            rows[-1]["expected_s"] = [expected.low_s, expected.high_s]
    print_rows(rows, title="what would be asked; no weights are loaded and nothing is written", as_json=as_json)
    if not as_json:
        for line in told:
            print(clean(line))


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


def stdout() -> Console:
    """Return the console for data; a pipe gets whole lines instead of lines cut for a window of 80."""
    return Console(width=None if sys.stdout.isatty() else 160)


def stderr(*, quiet: bool = False) -> Console:
    """Return the console for progress and notes: data goes to stdout, all else goes here."""
    return Console(file=sys.stderr, quiet=quiet, soft_wrap=True)
