"""The table that ends a comparison in the terminal: what the main metrics did, and what that shows."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fairprint.audit.comparisons import ComparisonRecord, Difference
from fairprint.audit.records import ProbeInfo
from fairprint.reports import comparison, comparison_views, utility
from fairprint.reports.terminal import stdout
from fairprint.reports.text import clean, plain

_MOST_LISTED = 20


def print_comparison(record: ComparisonRecord, *, every: bool = False) -> None:
    """Print a comparison on stdout.

    Args:
        record: the comparison.
        every: all differences of each set, its categories too, and not its main metric alone.
    """
    console = stdout()
    for side, run in (("A", record.a), ("B", record.b)):
        console.print(
            f"run {side}  [bold]{escape(clean(run.model.name))}[/bold]  {escape(run.run_id)}", highlight=False
        )
    console.print("Differences are B minus A, paired on the items that both runs answered.\n", highlight=False)
    console.print(_table(record, every))
    console.print()
    for sentence in [comparison.identical(record)] if record.identical else [comparison.tally(record)]:
        _say(console, str(sentence.striptags()))
    for topic, sentences in (("utility", comparison.guards(record)), ("cost", comparison.cost(record))):
        for sentence in sentences:
            _say(console, f"{topic}: {sentence.striptags()}")
    for side, found in (("A", record.only_a), ("B", record.only_b)):
        for told in found[:_MOST_LISTED]:
            _note(console, f"only in run {side}, and not compared: {told}")
        if len(found) > _MOST_LISTED:
            _note(console, f"only in run {side}: {len(found) - _MOST_LISTED} more (--json has all)")
    for remark in record.remarks:
        _note(console, remark)
    for warning, sets in _warnings(record).items():
        _note(console, f"{', '.join(sets)}: {warning}")


def _table(record: ComparisonRecord, every: bool) -> Table:
    table = Table(pad_edge=False, box=None)
    table.add_column("")
    for head in ("A", "B", "B − A", "95 % interval", "q"):
        table.add_column(head, justify="right")
    table.add_column("shown")
    for view in comparison_views.set_views(record):
        guard = " (utility: no finding about people)" if utility.applies(view.probe) else ""
        title = escape(clean(view.title.striptags()))
        table.add_row(f"[bold]{title}[/bold]{guard}")
        shown = view.every if every else [view.main] if view.main else []
        for found in shown:
            table.add_row(*_cells(found, view.probe))
        if not every and len(view.every) > 1:
            rest = sum(each.verdict in comparison.SHOWN for each in view.every[1:])
            more = f"{len(view.every) - 1} more with --all" + (f", {rest} of them with a difference" if rest else "")
            table.add_row(f"  [dim]{more}[/dim]")
    return table


def _cells(found: Difference, probe: ProbeInfo) -> tuple[str, ...]:
    told = {key: escape(plain(cell.striptags())) for key, cell in comparison_views.cells(found).items()}
    label = escape(plain(comparison_views.label_of(found, probe).striptags()))
    if found.value is None:
        return f"  {label}", "-", "-", "-", escape(clean(found.reason or "")), "", found.verdict
    style = "bold" if found.verdict in comparison.SHOWN else "default"
    mark = " !" if found.warnings else ""
    return (
        f"  {label}",
        told["a"],
        told["b"],
        f"[{style}]{told['difference']}[/{style}]",
        "-" if found.low is None else told["interval"] + mark,
        told["q"] or "-",
        f"[{style}]{found.verdict}[/{style}]",
    )


def _warnings(record: ComparisonRecord) -> dict[str, list[str]]:
    """Return each warning of the main differences once, with the sets that it is about."""
    found: dict[str, list[str]] = {}
    for view in comparison_views.set_views(record):
        for warning in view.main.warnings if view.main else ():
            found.setdefault(warning, []).append(view.probe.name)
    return found


def _say(console: Console, text: str) -> None:
    console.print(escape(plain(text)), highlight=False)


def _note(console: Console, text: str) -> None:
    console.print(f"[yellow]note[/yellow] {escape(clean(text))}", highlight=False)
