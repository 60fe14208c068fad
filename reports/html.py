"""The HTML report: one file that needs no network and no script, the same bytes for the same records.

Its one script only adds sorting and filtering; without it the page says the same.
"""

import base64
import gzip
import hashlib
import io
import json
import re
import zlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from fairprint.audit.files import write_whole
from fairprint.audit.metered import METERED_SCHEMA_VERSION, MeteredRecord
from fairprint.audit.records import Estimate, Footprint, RunRecord, migrate
from fairprint.audit.store import RunFolder
from fairprint.probes.errors import StoreError, UsageError
from fairprint.reports import (
    benchmarks,
    classified,
    nearness,
    numbers,
    regimes_views,
    sections,
    selection,
    summary,
    tables,
    text,
    training_checks,
    training_spans,
    training_views,
    wording,
)
from fairprint.reports.drawing import drawn
from fairprint.reports.regimes_among import Ways
from fairprint.reports.regimes_figure import regimes_figure
from fairprint.reports.scale_views import scale
from fairprint.reports.sidecar import Sidecar, item_lines
from fairprint.reports.tables import FigureView, Table


def render_report(
    records: Sequence[RunRecord],
    sidecar: Sidecar | None = None,
    metered: Sequence[MeteredRecord] = (),
    ways: Sequence[Ways] = (),
) -> str:
    """Return one page about one or more runs.

    Args:
        records: the audits.
        sidecar: the file beside the page that holds all sentences with their scores.
        metered: metered runs; without an audit they have a page of their own, else each is a section behind them.
        ways: what is said of metered runs of one task beside each other; beside an audit they have no other section,
            as the page would not stay small.

    Raises:
        ValueError: there is no record.
    """
    if not records and not metered:
        raise ValueError("a report needs at least one record")
    compared = {regime.record.run_id for way in ways for regime in way.regimes.regimes} if records else set()
    sections = [run for run in metered if run.run_id not in compared]
    return render_page(
        "report.html" if records else "training-page.html",
        records=records,
        runs=[(record, "" if i == 0 else f"run{i + 1}") for i, record in enumerate(records)],
        metered=[(run, "" if i == 0 else f"metered{i + 1}") for i, run in enumerate(sections)],
        ways=[(way, "" if i == 0 else f"task{i + 1}") for i, way in enumerate(ways)],
        sidecar=sidecar,
        machine=packed([record.model_dump() for record in (*records, *metered)]),
    )


def render_page(template: str, **parts: Any) -> str:
    """Return a page from a template, with its style, its script, and the hashes by which a browser admits them.

    Args:
        template: file of the template.
        parts: what it tells.
    """
    style, script = _template("style.css").strip(), _template("enhance.js").strip()
    return (
        _environment()
        .get_template(template)
        .render(
            style=Markup(style),
            style_hash=_hash(style),
            script=Markup(script),
            script_hash=_hash(script),
            **parts,
        )
    )


def write_report(
    records: Sequence[RunRecord],
    path: Path,
    folders: Sequence[RunFolder] = (),
    metered: Sequence[MeteredRecord] = (),
    ways: Sequence[Ways] = (),
) -> None:
    """Write the page of ``render_report``, and all sentences with their scores into a file beside it.

    A reader sees the old files or the new ones, never a part.

    Args:
        records: the runs.
        path: of the page; the file beside it is called the same, with ``.items.jsonl`` at its end.
        folders: of the runs whose sentences go into the file beside it.
        metered: metered runs.
        ways: what is said of those of one task beside each other.

    Raises:
        StoreError: a file cannot be written.
    """
    if not folders:
        write_page(path, render_report(records, None, metered, ways))
        return
    parts = {folder.run_id: list(item_lines([folder])) for folder in folders}
    lines = "".join(line for part in parts.values() for line in part)
    beside = path.with_suffix(".items.jsonl")
    digest = hashlib.sha256(lines.encode()).hexdigest()
    rows = {run_id: len(part) for run_id, part in parts.items()}
    page = render_report(records, Sidecar(name=beside.name, sha256=digest, rows=rows), metered, ways)
    write_page(beside, lines)
    write_page(path, page)


def write_page(path: Path, content: str) -> None:
    """Write a file whole, over one of the same name.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        write_whole(path, content)
    except OSError as error:
        raise StoreError(f"{path}: the report cannot be written: {error.strerror or error}") from error


def _hash(content: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"


def embedded_records(path: Path) -> list[RunRecord | MeteredRecord]:
    """Return the records that a report holds, those of metered runs too, so that an old report can be made anew.

    Raises:
        UsageError: there is no such file.
        StoreError: it is no report of ours, or a damaged one.
    """
    try:
        page = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    found = re.search(r'<script type="application/gzip" id="fairprint-records">([A-Za-z0-9+/=]*)</script>', page)
    if found is None:
        raise StoreError(f"{path} is no report of fairprint: it holds no records")
    try:
        data = json.loads(gzip.decompress(base64.b64decode(found.group(1))))
        if not isinstance(data, list):
            raise ValueError("they are no list")
        return [_record(record) for record in data]
    except StoreError as error:
        raise StoreError(f"{path}: {error}", hint=error.hint) from None
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise StoreError(f"{path}: its records cannot be read: {str(error).splitlines()[0]}") from None


def _record(data: Any) -> RunRecord | MeteredRecord:
    """Return a record as it was embedded; only that of an audit has a plan, and only that of a metered run a clock."""
    if not isinstance(data, dict) or "clock" not in data or "plan" in data:
        return RunRecord.model_validate(migrate(data))
    version = data.get("schema_version")
    if not isinstance(version, int) or version > METERED_SCHEMA_VERSION:
        raise StoreError(
            f"a metered run has schema version {version!r}; this fairprint reads up to {METERED_SCHEMA_VERSION}",
            hint="update fairprint",
        )
    return MeteredRecord.model_validate(data)


def side_by_side(records: Sequence[RunRecord]) -> Table:
    """Return the headline metrics of several runs beside each other; no difference is tested."""
    told = [{_compared_as(e, record): e for e in selection.compared(record)} for record in records]
    labels = list(dict.fromkeys(label for found in told for label in found))
    names = [label for label, _ in labels]
    rows = [
        (
            text.say("{row} ({how})", row=label, how=how) if names.count(label) > 1 else label,
            *(_compared(found.get((label, how))) for found in told),
        )
        for label, how in labels
    ]
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


def _compared_as(estimate: Estimate, record: RunRecord) -> tuple[Markup, str]:
    """Return what a number is of, and the instrument: numbers of two instruments stand in two rows."""
    probe = selection.probe_of(record, estimate)
    label = text.say("{set}: {row}", set=probe.title, row=tables.row_label(estimate, probe))
    return label, estimate.instrument.rpartition(" / ")[2]


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
        b=benchmarks,
        c=classified,
        s=sections,
        tables=tables,
        summary=summary,
        nearness=nearness,
        source=figure_source,
        image=image,
        training=training_views,
        regimes=regimes_views,
        regimes_figure=regimes_figure,
        scale=scale,
        training_checks=training_checks,
        training_spans=training_spans,
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


def figure_source(view: FigureView) -> Markup:
    """Return a figure as the address of an image."""
    return image(drawn(view))


def image(drawn: bytes) -> Markup:
    """Return an SVG as the address of an image."""
    return Markup("data:image/svg+xml;base64,") + base64.b64encode(drawn).decode()


def packed(records: Any) -> Markup:
    """Return records as packed JSON in letters that can end no element."""
    machine = json.dumps(records, sort_keys=True, allow_nan=False, separators=(",", ":"))
    buffer = io.BytesIO()
    # gzip.compress writes the operating system into the header in some versions of Python
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as file:
        file.write(machine.encode())
    return Markup(base64.b64encode(buffer.getvalue()).decode())
