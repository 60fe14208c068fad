"""A project in a store, of round numbers: three searches, two audits, trainings, and two meters that ran at once."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from sample_metered import GERMANY, sample_metered, span
from sample_record import sample_record

from fairprint.audit.footprints import NUMBERS, totals_of
from fairprint.audit.metered import MeteredRecord, Quality, SpanRecord
from fairprint.audit.metered_store import MeteredFolder
from fairprint.audit.records import Clock, Component, Footprint, GridFactor, RunRecord, Segment, to_json
from fairprint.audit.store import RunFolder

MACHINE, BOOT = "daa4ee976ef6", "bf18bb5a784e"
AMOUNTS = (*NUMBERS, "water_l")
CPU_W, GPU_W = 100.0, 260.0
"""Power of every run of the project, unless it says otherwise: 360 W, so that ten seconds are 0.001 kWh."""


def clock(begin_s: float, end_s: float, machine: str = MACHINE, boot: str = BOOT) -> Clock:
    return Clock(machine=machine, boot=boot, begin_s=begin_s, end_s=end_s)


def components(cpu_kwh: float, gpu_kwh: float | None) -> tuple[Component, ...]:
    cpu = Component(name="cpu", energy_kwh=cpu_kwh, sensor="load model", half_width=0.5, detail="from the load")
    gpu = Component(name="gpu", energy_kwh=gpu_kwh, sensor="counter", half_width=0.05, detail="energy counter")
    return (cpu,) if gpu_kwh is None else (cpu, gpu)


def footprint_of(
    seconds: float,
    cpu_w: float = CPU_W,
    gpu_w: float | None = GPU_W,
    *,
    grid: GridFactor = GERMANY,
    pue: float | None = 1.2,
    wue: float | None = None,
    failure: str | None = None,
    segments: Sequence[Segment] = (),
) -> Footprint:
    parts = components(cpu_w * seconds / 3.6e6, None if gpu_w is None else gpu_w * seconds / 3.6e6)
    return Footprint(
        **_totals(seconds, cpu_w, gpu_w, grid, pue, wue, failure),
        duration_s=seconds,
        mean_power_w=None,
        own_cpu_s=None,
        machine_cpu_s=None,
        attributed_energy_kwh=None,
        measurement_loss=None,
        components=parts,
        meter="of a test",
        warnings=(),
        segments=tuple(segments),
    )


@cache
def _of_an_hour(
    cpu_w: float, gpu_w: float | None, grid: GridFactor, pue: float | None, wue: float | None, failure: str | None
) -> dict[str, Any]:
    """Return the totals of an hour; they take a fifth of a second, and are in proportion to the time."""
    return totals_of(components(cpu_w / 1e3, None if gpu_w is None else gpu_w / 1e3), grid, pue, failure, wue)


def _totals(seconds: float, *of: Any) -> dict[str, Any]:
    found = _of_an_hour(*of)
    return {
        key: found[key] * seconds / 3600 if isinstance(found[key], float) and key in AMOUNTS else found[key]
        for key in found
    }


def metered(run_id: str, begin_s: float, end_s: float, **changes: Any) -> MeteredRecord:
    """Return a run of constant power; ``foot`` are arguments of `footprint_of`, machine and boot those of `clock`."""
    where = {key: changes.pop(key) for key in ("machine", "boot") if key in changes}
    fields: dict[str, Any] = {
        "run_id": run_id,
        "name": run_id,
        "parent": None,
        "lineage": (),
        "clock": clock(begin_s, end_s, **where),
        "footprint": footprint_of(end_s - begin_s, **changes.pop("foot", {})),
        "spans": (),
        "curve": (),
        "overlaps": (),
        "budget": None,
    }
    return sample_metered(**{**fields, **changes})


def accuracy(value: float, **changes: Any) -> Quality:
    return Quality(**{"metric": "accuracy", "value": value, **changes})


def trial(number: int, begin_s: float, end_s: float, status: str = "done", value: float | None = None) -> SpanRecord:
    seconds = end_s - begin_s
    spent = {"cpu": CPU_W * seconds / 3.6e6, "gpu": GPU_W * seconds / 3.6e6}
    return span(
        str(number),
        begin_s,
        end_s,
        name=f"trial {number}",
        phase="trial",
        status=status,
        components=spent,
        energy_kwh=sum(spent.values()),
        quality=() if value is None else (accuracy(value),),
    )


def audit(run_id: str, *stretches: tuple[float, float], clocks: bool = True, **foot: Any) -> RunRecord:
    """Return an audit of the stretches of time; each is a process."""
    segments = [
        Segment(
            started_at="2026-03-01T10:00:00Z",
            duration_s=end_s - begin_s,
            metered=True,
            note="",
            clock=clock(begin_s, end_s) if clocks else None,
        )
        for begin_s, end_s in stretches
    ]
    seconds = sum(end_s - begin_s for begin_s, end_s in stretches)
    return sample_record(run_id=run_id, footprint=footprint_of(seconds, segments=segments, **foot))


def keep(store: Path, record: RunRecord | MeteredRecord, samples: Mapping[float, float] | None = None) -> None:
    """Write a run as fairprint does; ``samples`` are the seconds and watts of the journal of a metered run."""
    path = store / record.run_id
    path.mkdir(parents=True)
    if isinstance(record, RunRecord):
        (path / "plan.json").write_text(to_json(record.plan), encoding="utf-8")
        RunFolder(path).write_record(record)
        return
    lines = [{"event": "opening", **_opening(record)}]
    share = {part.name: (part.energy_kwh or 0.0) for part in record.footprint.components}
    whole = sum(share.values())
    for time_s, kwh in (samples or {}).items():
        energies = {name: kwh * share.get(name, 0.0) / whole for name in ("cpu", "gpu", "ram")}
        lines.append({"event": "sample", "t": time_s, "kwh": energies, "covered_s": time_s})
    (path / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    MeteredFolder(path).write_record(record)


def _opening(record: MeteredRecord) -> dict[str, Any]:
    told = record.model_dump(mode="json", include={"run_id", "kind", "name", "parent", "lineage", "started_at"})
    return {
        **told,
        "clock": record.clock.model_dump(mode="json"),
        "environment": record.environment.model_dump(mode="json"),
        "components": [part.model_dump(mode="json") for part in record.footprint.components],
        "gpus": 1,
        "own_cpu_s": None,
        "machine_cpu_s": None,
        "interval_s": 1.0,
        "grid": record.footprint.grid.model_dump(mode="json"),
        "pue": record.footprint.pue,
        "wue": record.footprint.wue,
    }


SEARCH = (
    trial(0, 0, 100, value=0.80),
    trial(1, 110, 210, value=0.90),
    trial(2, 220, 250, status="pruned"),
    trial(3, 260, 360, value=0.85),
    trial(4, 370, 400, status="failed"),
)
"""Five trials of 360 s and 40 s between them: 0.036 kWh and 0.004 kWh; the best one has 0.01 kWh."""


def searches() -> list[MeteredRecord]:
    """Return three searches of five trials each: two of all failed, and three were pruned."""
    second = (
        trial(0, 0, 50, value=0.7),
        trial(1, 50, 100, status="pruned"),
        trial(2, 100, 150, status="pruned"),
        trial(3, 150, 200, value=0.6),
        trial(4, 200, 300, status="failed"),
    )
    third = tuple(trial(n, 20.0 * n, 20.0 * n + 20, value=0.5 + 0.01 * n) for n in range(5))
    told = {"task": "topics", "purpose": "search"}
    return [
        metered("20260301T100000000Z-search-a-0001", 1000, 1400, spans=SEARCH, name="search a", **told),
        metered("20260301T110000000Z-search-b-0002", 2000, 2300, spans=second, name="search b", **told),
        metered("20260301T120000000Z-search-c-0003", 3000, 3100, spans=third, name="search c", **told),
    ]


TRAINING = "20260301T130000000Z-fine-tune-0004"
BESIDE = "20260301T130500000Z-monitor-0005"
INSIDE = "20260301T130100000Z-audit-0006"
ALONE = "20260301T150000000Z-audit-0007"


def project() -> list[RunRecord | MeteredRecord]:
    """Return the project: the searches, a fine-tuning with an audit inside of it, a meter that overlaps, an audit."""
    return [
        *searches(),
        # from 4000 s to 4600 s at 360 W, with the audit from 4100 s to 4200 s inside
        metered(
            TRAINING,
            4000,
            4600,
            name="fine-tune",
            task="topics",
            purpose="fine-tuning",
            quality=(accuracy(0.95, items=200, units={"word": 30, "template": 24}),),
        ),
        audit(INSIDE, (4100, 4200)),
        # from 4500 s to 4900 s, of which the training measured the first 100 s as well
        metered(BESIDE, 4500, 4900, name="monitor", purpose=None, kind="metered command", status="truncated"),
        audit(ALONE, (6000, 6150), (6500, 6550)),
    ]


def write_project(store: Path) -> Path:
    """Write the project into a store, with a run that was cut off; return the store."""
    for record in project():
        keep(store, record)
    cut_off = store / "20260301T160000000Z-cut-off-0008"
    cut_off.mkdir()
    opening = {"event": "opening", **_opening(metered(cut_off.name, 7000, 7100, name="cut off"))}
    (cut_off / "journal.jsonl").write_text(json.dumps(opening) + "\n", encoding="utf-8")
    return store
