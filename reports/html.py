"""The HTML report: one file that needs no network and no script, the same bytes for the same records."""

import base64
import hashlib
import json
import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from fairprint.audit.records import Estimate, Footprint, RunRecord
from fairprint.probes.errors import StoreError
from fairprint.reports import numbers, sections, tables, text, wording
from fairprint.reports.figures import dot_plot, lexeme_plot, scatter
from fairprint.reports.tables import FigureView, Table


def render_report(records: Sequence[RunRecord]) -> str:
    """Return one page about one or more runs.

    Raises:
        ValueError: there is no record.
    """
    if not records:
        raise ValueError("a report needs at least one record")
    style = _template("style.css").strip()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    page = _environment().get_template("report.html")
    return page.render(
        records=records,
        runs=[(record, "" if i == 0 else f"run{i + 1}") for i, record in enumerate(records)],
        style=Markup(style),
        style_hash=f"sha256-{digest}",
        machine=_embedded(records),
    )


def write_report(records: Sequence[RunRecord], path: Path) -> None:
    """Write the page of ``render_report``; a reader sees the old file or the new one, never a part.

    Raises:
        StoreError: the file cannot be written.
    """
    page = render_report(records)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            partial.write_text(page, encoding="utf-8", newline="\n")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{path}: the report cannot be written: {error.strerror or error}") from error


def side_by_side(records: Sequence[RunRecord]) -> Table:
    """Return the headline metrics of several runs beside each other; no difference is tested."""
    heads = [{label: sections.headline(es) for label, _, es in sections.instruments(record)} for record in records]
    rows = []
    for label in dict.fromkeys(label for head in heads for label in head):
        found = next((head[label] for head in heads if head.get(label)), None)
        cells = [_compared(head.get(label)) for head in heads]
        rows.append(
            (
                text.say("{title}, {label}", title=wording.title_of(found.metric) if found else "Result", label=label),
                *cells,
            )
        )
    feet = [record.footprint for record in records]
    rows += [
        (
            Markup("Energy"),
            *(_cost(f.energy_kwh, f.energy_low_kwh, f.energy_high_kwh, f, numbers.ENERGY) for f in feet),
        ),
        (
            Markup("CO₂e"),
            *(_cost(f.emissions_kg, f.emissions_low_kg, f.emissions_high_kg, f, numbers.MASS) for f in feet),
        ),
        (Markup("Duration"), *(numbers.number(f.duration_s, "duration") for f in feet)),
        (Markup("Status"), *(text.name(record.status) for record in records)),
    ]
    return Table(
        caption=Markup("Headline metrics with their intervals, unpaired"),
        head=("Metric", *(text.clean(record.plan.model.name, 60) for record in records)),
        rows=tuple(rows),
        align="l" * (len(records) + 1),
    )


def _compared(estimate: Estimate | None) -> Markup:
    if estimate is None or estimate.value is None:
        return numbers.absent(estimate.reason if estimate else "not asked in this run")
    kind = numbers.kind_of(estimate)
    bounds = numbers.interval(estimate.low, estimate.high, kind, estimate.reason)
    return text.say("{value} ({bounds})", value=numbers.number(estimate.value, kind), bounds=bounds)


def _cost(value: float | None, low: float | None, high: float | None, of: Footprint, units: numbers.Units) -> Markup:
    unit = numbers.scaled(value if value is not None else high, units)
    parts = {"value": numbers.number(value, unit, of.reason), "bounds": numbers.interval(low, high, unit)}
    return text.say("{value} ({bounds})", **parts) if low is not None else parts["value"]


def _template(name: str) -> str:
    return (files("fairprint.reports") / "templates" / name).read_text(encoding="utf-8")


def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        loader=FunctionLoader(_template),
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(
        t=text,
        n=numbers,
        w=wording,
        s=sections,
        tables=tables,
        source=figure_source,
        side_by_side=side_by_side,
        number=numbers.number,
        interval=numbers.interval,
    )
    return environment


def _printable(value: object) -> Markup:
    """Let only markup and cleaned, escaped strings into the page; a bare number would be one without a source."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, str):
        return escape(text.clean(value))
    raise TypeError(f"{value!r} would be printed without rounding and source; use number()")


def figure_source(view: FigureView) -> str:
    """Return a figure as the address of an image."""
    if view.kind == "dots":
        drawn = dot_plot(view.rows, x_label=view.x_label)
    elif view.kind == "words":
        drawn = lexeme_plot(view.rows, x_label=view.x_label)
    else:
        drawn = scatter(view.rows, view.covariates, x_label=view.x_label, y_label=view.y_label)
    return Markup("data:image/svg+xml;base64,") + base64.b64encode(drawn).decode()


def _embedded(records: Sequence[RunRecord]) -> Markup:
    """Return the records as JSON in ASCII that can end no element and hide no character."""
    machine = json.dumps([r.model_dump() for r in records], sort_keys=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&'":
        machine = machine.replace(character, f"\\u{ord(character):04x}")
    return Markup(machine)
