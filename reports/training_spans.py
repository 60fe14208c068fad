"""The spans of a metered run as tables: nested as they were, and added up by phase."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from fairprint.audit.metered import MeteredRecord, SpanRecord, WorkDone
from fairprint.audit.records import Clock
from fairprint.audit.spread import part_interval
from fairprint.reports.numbers import ENERGY, absent, interval, number, scaled
from fairprint.reports.tables import Table
from fairprint.reports.text import code, name, say

FIRST = 12
"""Spans that stand open; the others are folded."""
MOST_SPANS = 200
"""Spans that a page lists; the record that it holds has them all."""
DEEPEST = 6
"""From here on spans are no further indented."""

HEAD = ("Span", "Phase", "Status", "Energy with its 90 % interval", "Duration", "Began")
FATES = {
    "done": "done",
    "failed": "failed",
    "pruned": "pruned",
    "stopped": "stopped by the budget",
    "truncated": "cut off",
}
COUNTED = {"steps": "Steps", "samples": "Samples", "tokens": "Tokens", "epochs": "Epochs", "flops": "FLOPs"}
"""Fields of the work done, as a reader would call them."""
ROUNDING = {"epochs": "given", "flops": "flops"}


def on_clock(clock: Clock | None) -> list[tuple[str, Markup]]:
    """Return on which clock the spans of a run lie."""
    machine, when = "Machine and its last start, as hashes", "On the clock of that start"
    if clock is None:
        return [(machine, absent("another program metered it")), (when, absent("another program metered it"))]
    told = say("{machine}, {boot}", machine=code(clock.machine), boot=code(clock.boot))
    return [(machine, told), (when, interval(clock.begin_s, clock.end_s, "clock"))]


def nested(spans: Sequence[SpanRecord]) -> list[tuple[int, SpanRecord]]:
    """Return each span with how deep it lies, the spans inside of one behind it; without parent it lies at 0."""
    known = {span.span for span in spans}
    inside: dict[str | None, list[SpanRecord]] = {}
    for span in spans:
        inside.setdefault(span.parent if span.parent in known else None, []).append(span)
    found: list[tuple[int, SpanRecord]] = []
    seen: set[int] = set()
    waiting = [(0, span) for span in reversed(inside.get(None, []))]
    # spans that are each other's parents hang on nothing, and come at the end
    for rest in (waiting, [(0, span) for span in reversed(spans)]):
        while rest:
            depth, span = rest.pop()
            if id(span) not in seen:
                seen.add(id(span))
                found.append((depth, span))
                rest += [(depth + 1, below) for below in reversed(inside.get(span.span, []))]
    return found


def span_tables(run: MeteredRecord) -> tuple[Table, ...]:
    """Return the spans as a table, or two of which the second is to be folded; none where there are no spans."""
    every = nested(run.spans)
    if not every:
        return ()
    counted = any(span.work != WorkDone() for span in run.spans)
    cpu = any(span.own_cpu_s is not None for span in run.spans)
    head = (*HEAD, *(("CPU time, own of all",) if cpu else ()), *(("Work counted",) if counted else ()))
    unit = scaled(run.footprint.energy_kwh, ENERGY)
    rows = [_row(run, depth, span, unit, cpu=cpu, counted=counted) for depth, span in every[:MOST_SPANS]]
    caption = (
        "Spans in the order in which they began, indented where one lies inside of another. Energy is that of the "
        "whole machine meanwhile, so spans that nest or overlap must not be added up"
    )
    caption += "" if cpu else "; their CPU time was not read"
    caption += "" if counted else "; no work was counted in them"
    rest = say("The other {count} spans", count=number(len(rows) - FIRST, "tally"))
    if len(every) > MOST_SPANS:
        rest += say("; {count} more are in the record alone", count=number(len(every) - MOST_SPANS, "tally"))
    parts = ((Markup(caption), rows[:FIRST]), (rest, rows[FIRST:]))
    align = "lllnrr" + ("n" if cpu else "") + ("t" if counted else "")
    return tuple(Table(caption=told, head=head, rows=tuple(some), align=align) for told, some in parts if some)


def _row(
    run: MeteredRecord, depth: int, span: SpanRecord, unit: str, *, cpu: bool, counted: bool
) -> tuple[Markup, ...]:
    label = name(span.name)
    if depth:
        label = Markup('<span class="in{}">{}</span>').format(min(depth, DEEPEST), label)
    status = Markup(FATES[span.status])
    if span.note:
        status += say(": {note}", note=span.note)
    cells = [
        label,
        name(span.phase),
        status,
        _energy(run, span, unit),
        number(span.duration_s, "duration"),
        number(span.begin_s, "clock"),
    ]
    if cpu:
        cells.append(_cpu(span.own_cpu_s, span.machine_cpu_s))
    if counted:
        cells.append(_work(span.work))
    return tuple(cells)


def _work(work: WorkDone) -> Markup:
    told = []
    for key, title in COUNTED.items():
        amount = getattr(work, key)
        # of operations the number itself says what they are
        what = "" if key == "flops" else f" {title.lower().removesuffix('s' if amount == 1 else '')}"
        told += [] if amount is None else [number(amount, ROUNDING.get(key, "count")) + Markup(what)]
    return Markup(", ").join(told) or Markup('<span class="absent">not counted</span>')


def _energy(run: MeteredRecord, span: SpanRecord, unit: str) -> Markup:
    told = number(span.energy_kwh, unit, span.reason)
    if span.energy_kwh is None:
        return told
    return say("{told} ({bounds})", told=told, bounds=_bounds(run, span.energy_kwh, span.components, unit))


def _bounds(run: MeteredRecord, energy_kwh: float | None, components: Mapping[str, float], unit: str) -> Markup:
    if energy_kwh is None:
        return absent(None)
    found = part_interval(components, run.footprint.components)
    return absent("its components are not those of the run") if found is None else interval(*found, unit)


def _cpu(own_s: float | None, machine_s: float | None) -> Markup:
    if own_s is None:
        return absent("not read")
    return say("{own} of {all}", own=number(own_s, "duration"), all=number(machine_s, "duration", "not read"))


def outermost(spans: Sequence[SpanRecord]) -> dict[str, list[SpanRecord]]:
    """Return by phase the spans that lie inside of none of the same phase, so that none counts twice."""
    by_id = {span.span: span for span in spans}
    found: dict[str, list[SpanRecord]] = {}
    for span in spans:
        seen, above = {span.span}, by_id.get(span.parent or "")
        while above is not None and above.span not in seen and above.phase != span.phase:
            seen.add(above.span)
            above = by_id.get(above.parent or "")
        if above is None or above.span in seen:
            found.setdefault(span.phase, []).append(span)
    return found


def phase_table(run: MeteredRecord) -> Table | None:
    """Return the energy by phase, or None where no span was marked."""
    if not run.spans:
        return None
    unit, whole_kwh = scaled(run.footprint.energy_kwh, ENERGY), run.footprint.energy_kwh
    rows = []
    for phase, spans in outermost(run.spans).items():
        told = [span for span in spans if span.energy_kwh is not None]
        energy_kwh = sum(span.energy_kwh or 0.0 for span in told) if told else None
        parts = {key: sum(s.components.get(key, 0.0) for s in told) for s in told for key in s.components}
        share = energy_kwh / whole_kwh if energy_kwh is not None and whole_kwh else None
        rows.append(
            (
                name(phase),
                number(len(spans), "tally"),
                number(sum(span.duration_s for span in spans), "duration"),
                number(energy_kwh, unit, next((span.reason for span in spans if span.reason), None)),
                _bounds(run, energy_kwh, parts, unit),
                number(share, "percent", None),
                _remark(spans),
            )
        )
    caption = (
        "Energy by phase: of the spans that lie inside of none of the same phase. Phases may lie inside of each other, "
        "as epochs do in training, so the rows need not add up to the run"
    )
    head = ("Phase", "Spans", "Duration", "Energy", "90 % interval", "Share of the run", "Remark")
    return Table(caption=Markup(caption), head=head, rows=tuple(rows), align="lrrrnrt")


def _remark(spans: Sequence[SpanRecord]) -> Markup:
    """Say what makes the sum of a phase too small or too large."""
    said = []
    bare = sum(1 for span in spans if span.energy_kwh is None)
    if 0 < bare < len(spans):
        text = "{bare} without energy, so the sum is a lower bound"
        said.append(say(text, bare=number(bare, "tally")))
    times = sorted((span.begin_s, span.end_s) for span in spans)
    latest = times[0][1]
    for begin_s, end_s in times[1:]:
        if begin_s < latest:
            said.append(Markup("some ran at the same time, and that energy counts for each"))
            break
        latest = max(latest, end_s)
    return Markup("; ").join(said)
