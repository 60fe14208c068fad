"""What stands in carbontracker's two log files. Their text is read as its loggerutil.py and tracker.py write it."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fairprint.audit.imported import EARLIEST, LATEST, MOST_KG, MOST_KWH, MOST_SECONDS, amount
from fairprint.probes.errors import ProbeFileError
from fairprint.probes.notations import read_utf8

MOST_W = 1e9

_ENTRY = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) - (.*)")
_POWER = re.compile(r"Average power usage \(W\) for (\w+): (.*)", re.DOTALL)
_PUE = re.compile(r"multiplied by a PUE coefficient of (\S+)")
_DEVICES = re.compile(r"(\w+) with device\(s\) (.*?)\.(?= [A-Z]+ with device|\s*$)")
_TOTAL = re.compile(r"(Actual|Predicted) consumption(?: for (\d+) epoch\(s\))?:\s*")
_TIME = re.compile(r"(\d+):([0-5]\d):([0-5]\d(?:\.\d+)?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One epoch.

    Attributes:
        ended: as the log says, in whole seconds.
        power_w: mean power of each component, all devices; None where no sample was taken.
        averaged: components of which the log gives one number, not one of each device.
    """

    number: int
    ended: datetime
    duration_s: float
    power_w: dict[str, float | None]
    averaged: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What stands in the log without totals.

    Attributes:
        pue: that the totals hold; None where the log names none.
        devices: by component, ``cpu`` or ``gpu``.
        country: code of two letters, or empty.
        ended: whether the tracker was stopped; interrupted: whether before all epochs.
    """

    version: str
    pue: float | None
    devices: dict[str, tuple[str, ...]]
    epochs: tuple[Epoch, ...]
    country: str
    started: datetime
    finished: datetime
    ended: bool
    interrupted: bool
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """A total with its PUE.

    Attributes:
        epochs: that it is of, or None.
        resolution_kwh: what the last printed digit stands for.
        co2_g: None where it was not known.
    """

    epochs: int | None
    energy_kwh: float
    resolution_kwh: float
    co2_g: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What stands in the log of totals; None where there is none of a kind."""

    actual: Totals | None
    predicted: Totals | None
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    line: int
    time: datetime
    text: str


def is_carbontracker(text: str) -> bool:
    """Whether a text begins as one of the logs does."""
    entry = _ENTRY.match(text)
    return entry is not None and re.match(r"carbontracker version |CarbonTracker: ", entry[2]) is not None


def read_log(path: Path) -> Log:
    """Read the log without totals.

    Raises:
        ProbeFileError: it cannot be read, is another file, holds several runs, or no whole epoch.
    """
    file = str(path)
    data, text = read_utf8(path)
    entries = list(_entries(text, file))
    if not entries or not any(entry.text.startswith("carbontracker version ") for entry in entries):
        message = "expected a log of carbontracker, with a line 'carbontracker version …'"
        raise ProbeFileError(message, file=file, line=1)
    versions = [entry for entry in entries if entry.text.startswith("carbontracker version ")]
    if len(versions) > 1:
        hint = "carbontracker writes a file for each: give them one by one"
        raise ProbeFileError("a second run begins here", file=file, line=versions[1].line, hint=hint)
    epochs = tuple(_epochs(entries, file))
    if not epochs:
        raise ProbeFileError("the log holds no whole epoch: nothing was metered", file=file, line=entries[-1].line)
    named = {name for epoch in epochs for name in epoch.power_w}
    devices = {name: found for name, found in _devices(entries).items() if name in ("cpu", "gpu")}
    for name in sorted(named - devices.keys()):
        if name not in ("cpu", "gpu"):
            raise ProbeFileError(f"unknown component {name!r}: expected cpu or gpu", file=file)
        devices[name] = ()
    return Log(
        version=versions[0].text.removeprefix("carbontracker version ").strip(),
        pue=_pue(entries, file),
        devices=devices,
        epochs=epochs,
        country=_country(entries),
        started=entries[0].time,
        finished=entries[-1].time,
        ended=any(entry.text.startswith("Monitoring thread ended") for entry in entries),
        interrupted=any(entry.text.startswith("Training was interrupted") for entry in entries),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def read_output(path: Path) -> Output:
    """Read the log of totals.

    Raises:
        ProbeFileError: it cannot be read, or a total is damaged or stands twice.
    """
    file = str(path)
    data, text = read_utf8(path)
    lines, found = text.split("\n"), {}
    for n, line in enumerate(lines, 1):
        if head := _TOTAL.fullmatch(line):
            if head[1] in found:
                hint = "carbontracker writes a file for each run: give them one by one"
                raise ProbeFileError(f"a second total: {line.strip()}", file=file, line=n, hint=hint)
            found[head[1]] = _totals(head[2], lines[n : n + 3], file, n + 1)
    sha256 = hashlib.sha256(data).hexdigest()
    return Output(actual=found.get("Actual"), predicted=found.get("Predicted"), sha256=sha256)


def _totals(epochs: str | None, lines: list[str], file: str, line: int) -> Totals:
    cells = {}
    for n, (name, unit) in enumerate((("Time", ""), ("Energy", " kWh"), ("CO2eq", " g"))):
        text = lines[n].strip() if n < len(lines) else ""
        match = re.fullmatch(rf"{name}:\s+(.*){unit}", text)
        if match is None:
            raise ProbeFileError(f"{text!r}: expected '{name}:' and a number{unit}", file=file, line=line + n)
        cells[name] = match[1].strip()
    energy_kwh = amount(cells["Energy"], "the energy", file=file, line=line + 1, most=MOST_KWH)
    unknown = cells["CO2eq"].lower() == "nan"
    co2_g = None if unknown else amount(cells["CO2eq"], "CO2eq", file=file, line=line + 2, most=1000 * MOST_KG)
    digits = re.fullmatch(r"\d+(?:\.(\d+))?", cells["Energy"])
    return Totals(
        epochs=None if epochs is None else int(epochs[:9]),
        energy_kwh=energy_kwh,
        resolution_kwh=0.0 if digits is None else 10.0 ** -len(digits[1] or ""),
        co2_g=co2_g,
    )


def _entries(text: str, file: str) -> Iterator[_Entry]:
    """Yield the entries; lines without a time go on with the one before."""
    found: list[_Entry] = []
    for n, line in enumerate(text.split("\n"), 1):
        if match := _ENTRY.fullmatch(line.rstrip("\r")):
            found.append(_Entry(line=n, time=_when(match[1], file, n), text=match[2]))
        elif found and line.strip():
            last = found[-1]
            found[-1] = _Entry(line=last.line, time=last.time, text=f"{last.text}\n{line}")
    yield from found


def _when(text: str, file: str, line: int) -> datetime:
    try:
        found = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        found = datetime.min.replace(tzinfo=UTC)
    if not EARLIEST <= found < LATEST:
        raise ProbeFileError(f"{text!r} is no time: expected such as 2026-01-31 12:00:00", file=file, line=line)
    return found


def _epochs(entries: list[_Entry], file: str) -> Iterator[Epoch]:
    """Yield the epochs; the last one is left out where the log breaks off inside of it."""
    heads = [n for n, entry in enumerate(entries) if re.fullmatch(r"Epoch \d{1,9}:", entry.text.strip())]
    for n, begin in enumerate(heads):
        last = n + 1 == len(heads)
        inside = entries[begin + 1 : None if last else heads[n + 1]]
        durations = [entry for entry in inside if entry.text.startswith("Duration: ")]
        powers = {}
        averaged = set()
        for entry in inside:
            if match := _POWER.fullmatch(entry.text):
                powers[match[1].lower()] = _power(match[2], file, entry.line)
                averaged |= set() if "[" in match[2] else {match[1].lower()}
        if last and not (durations and powers):
            return
        if len(durations) != 1 or not powers:
            message = f"{entries[begin].text.strip()} expected one line 'Duration: …' and the power of its components"
            raise ProbeFileError(message, file=file, line=entries[begin].line)
        yield Epoch(
            number=int(entries[begin].text.strip()[len("Epoch ") : -1]),
            ended=entries[begin].time,
            duration_s=_duration(durations[0], file),
            power_w=powers,
            averaged=frozenset(averaged),
        )


def _duration(entry: _Entry, file: str) -> float:
    text = entry.text.removeprefix("Duration: ").strip()
    match = _TIME.fullmatch(text)
    seconds = MOST_SECONDS if match is None else 3600 * float(match[1]) + 60 * float(match[2]) + float(match[3])
    if seconds >= MOST_SECONDS:
        raise ProbeFileError(f"the duration is {text!r}: expected such as 0:01:30.25", file=file, line=entry.line)
    return seconds


def _power(text: str, file: str, line: int) -> float | None:
    """Return the power of all devices of a component."""
    if text.strip() == "None":
        return None
    numbers = text.strip().removeprefix("[").removesuffix("]").split()
    if not numbers:
        raise ProbeFileError(f"the power is {text!r}: expected a number of W", file=file, line=line)
    return sum(amount(number, "the power", file=file, line=line, most=MOST_W) for number in numbers)


def _pue(entries: list[_Entry], file: str) -> float | None:
    for entry in entries:
        if match := _PUE.search(entry.text):
            return amount(match[1], "the PUE", file=file, line=entry.line, least=1.0, most=100.0)
    return None


def _devices(entries: list[_Entry]) -> dict[str, tuple[str, ...]]:
    for entry in entries:
        if entry.text.startswith("The following components were found:"):
            return {
                name.lower(): tuple(device.strip() for device in devices.split(", "))
                for name, devices in _DEVICES.findall(entry.text)
            }
    return {}


def _country(entries: list[_Entry]) -> str:
    """Return the country of the place that was detected, as two letters; the rest of the place is not kept."""
    for entry in entries:
        if match := re.search(r"at detected location: (.*?): \[", entry.text):
            code = match[1].rpartition(",")[2].strip()
            return code if re.fullmatch("[A-Z]{2}", code) else ""
    return ""
