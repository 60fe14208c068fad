"""What a check says in the terminal: a verdict for each limit, with what it rests on and what is guaranteed."""

from collections import Counter
from collections.abc import Iterator

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fairprint.audit.amounts import told
from fairprint.audit.checks import INCOMPARABLE, CheckRecord, LimitVerdict
from fairprint.audit.gate_words import UNIT_WORDS
from fairprint.reports.terminal import stdout
from fairprint.reports.text import clean, safe_for_log

WORDS = {"pass": "PASS", "fail": "FAIL", "inconclusive": "INCONCLUSIVE", "error": "ERROR"}
_STYLES = {"pass": "green", "fail": "bold red", "inconclusive": "yellow", "error": "bold red"}
_FIRST = ("error", "fail", "inconclusive", "pass")
HEADS = ("before", "now", "worse by", "bound", "at most")
_MOST_LISTED, _UNFOLDED = 8, 10_000
NEXT = {
    0: "The model may pass.",
    1: "A limit fails: look at the run's report (fairprint report), or make it the baseline if it is meant.",
    3: "A limit could not be evaluated: mend the settings, or audit with the probe sets that they name.",
    4: 'Nothing was compared: audit with the same questions, or fairprint baseline update --reason "...".',
    5: "Not decided, and strict asks for a decision: more templates or words, or a larger margin.",
}


def print_check(record: CheckRecord, *, in_log: bool = False) -> None:
    """Print a check on stdout.

    Args:
        record: the check.
        in_log: whether it goes to a log that reads commands, so that no line of it may be one.
    """
    console = stdout()
    with console.capture() as found:
        _print(console, record)
    # as a whole, since a cell that is folded goes on at the start of a line
    typer.echo(safe_for_log(found.get()) if in_log else found.get(), nl=False)


def _print(console: Console, record: CheckRecord) -> None:
    def say(text: str, style: str = "", mark: str = "") -> None:
        text = mark + escape(clean(text, 1_000))
        # a pipe gets whole lines
        whole = not console.is_terminal
        console.print(f"[{style}]{text}[/{style}]" if style else text, highlight=False, soft_wrap=whole)

    say(f"run       {record.run.model.name}  {record.run.run_id}")
    if record.baseline is not None:
        say(f"baseline  {record.baseline.model.name}  {record.baseline.run_id}: {record.baseline_reason}")
    console.print()
    if record.limits:
        table = _table(record)
        if console.measure(table, options=console.options.update(max_width=_UNFOLDED)).maximum <= console.width:
            console.print(table)
        else:  # folded, its cells would be a few letters wide
            for line in _lines(record, console.width):
                console.print(line, highlight=False)
        console.print()
    for limit in sorted(record.limits, key=lambda each: _FIRST.index(each.verdict)):
        for number, sentence in enumerate(sentences(limit)):
            say(f"{WORDS[limit.verdict]} {limit.name}" if number == 0 else f"  {sentence}")
    for why in record.refused:
        say(f"ERROR the baseline cannot be compared: {why}", "bold red")
    for note in notes(record):
        say(note, mark="[yellow]note[/yellow] ")
    console.print()
    say(closing(record), "bold")


def _table(record: CheckRecord) -> Table:
    table = Table(pad_edge=False, box=None)
    for head in ("verdict", "limit"):
        table.add_column(head, overflow="fold")
    for head in HEADS:
        table.add_column(head, justify="right", overflow="fold")
    for limit in record.limits:
        table.add_row(_word(limit), escape(clean(limit.name)), *(escape(text) for text in numbers(limit)))
    return table


def _lines(record: CheckRecord, width: int) -> Iterator[str]:
    """Yield the table as lines for a window in which it finds no room; what is absent is left out."""
    for limit in record.limits:
        yield f"{_word(limit)} {escape(clean(limit.name))}"
        line = ""
        for head, text in zip(HEADS, numbers(limit), strict=True):
            told_ = "" if text == "-" else f"{head} {text}"
            if line and told_ and len(f"  {line}, {told_},") > width:  # a number stays beside its unit
                yield escape(f"  {line},")
                line = told_
            else:
                line = ", ".join(filter(None, (line, told_)))
        if line:
            yield escape(f"  {line}")


def _word(limit: LimitVerdict) -> str:
    style = _STYLES[limit.verdict]
    return f"[{style}]{WORDS[limit.verdict]}[/{style}]"


def numbers(limit: LimitVerdict) -> tuple[str, str, str, str, str]:
    """Return value before and now, worsening, its bound and the limit, as text; "-" where there is none.

    Of a limit on the number itself there is no worsening, and its limit is a value, or a distance from neutral.
    """
    relative = limit.kind == "relative"
    distance = relative or limit.direction == "away_from_neutral"

    def shown(value: float | None, *, change: bool) -> str:
        return "-" if value is None else clean(told(value, limit.unit, change=change))

    work = limit.unit == "%"
    return (
        "-" if limit.baseline is None else f"{limit.baseline:,.4g}" if work else shown(limit.baseline, change=False),
        "-" if limit.value is None else f"{limit.value:,.4g}" if work else shown(limit.value, change=False),
        shown(limit.worsening if relative else None, change=True),
        shown(limit.bound, change=distance),
        shown(limit.limit, change=distance),
    )


def sentences(limit: LimitVerdict) -> list[str]:
    """Return what is said of a limit: its question and verdict, then what it rests on and what is guaranteed."""
    rest = ", ".join(f"{count:,} {UNIT_WORDS.get(factor, factor)}" for factor, count in limit.units.items())
    on = f"It rests on {limit.items:,} items" + (f" ({rest})" if rest else "") if limit.items else ""
    missing = f"; {limit.missing:,} have no answer" if limit.missing else ""
    found = [f"{limit.question} {limit.reason[:1].upper()}{limit.reason[1:]}.", limit.on_these, limit.for_others]
    found += [f"{on}{missing}." if on else "", limit.guarantee, *(f"Warning: {each}." for each in limit.warnings)]
    return [limit.name, *(each for each in found if each)]


def notes(record: CheckRecord) -> list[str]:
    """Return what a reader must know besides the verdicts."""
    found = []
    if record.no_baseline is not None:
        way = 'fairprint baseline update --reason "..." makes this run the baseline'
        found.append(f"{record.no_baseline}, so that worsenings are not judged; {way}")
    found += record.remarks
    if record.without_limit:
        listed = ", ".join(record.without_limit[:_MOST_LISTED])
        more = len(record.without_limit) - _MOST_LISTED
        found.append(f"without a limit: {listed}" + (f" and {more} more (--json has all)" if more > 0 else ""))
    return found


def without_baseline(record: CheckRecord) -> tuple[str, ...]:
    """Return why the baseline cannot be compared, or that it is missing where it is required; nothing where neither is.

    The exit code alone does not tell, since a limit in error comes first.
    """
    if record.refused:
        return record.refused
    missing = record.require_baseline and record.no_baseline is not None
    if record.exit_code == INCOMPARABLE or (missing and any(limit.kind == "relative" for limit in record.limits)):
        return (record.no_baseline or "the baseline lacks what a limit needs",)
    return ()


def closing(record: CheckRecord) -> str:
    """Return the verdict of the whole in a sentence, with the exit code and what to do next."""
    counted: Counter[str] = Counter(limit.verdict for limit in record.limits)
    told_ = ", ".join(f"{counted[verdict]} {verdict}" for verdict in _FIRST if counted[verdict]) or "no limits"
    after = NEXT[record.exit_code]
    if record.exit_code == 0 and counted["inconclusive"]:
        after = "Nothing fails; what is inconclusive is not shown to be kept (--strict stops there)."
    if record.exit_code == INCOMPARABLE and not record.refused:
        after = 'A baseline is required: fairprint baseline update --reason "..." writes one.'
    same = "All answers are identical to the baseline's. " if record.identical else ""
    return f"{told_}. {same}{after} (exit code {record.exit_code})"
