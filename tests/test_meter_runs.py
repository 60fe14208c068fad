"""Metered runs in the store: listed, shown, recovered, and recomputed for another place."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sample_metered
from commands import Run, commands
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_record import sample_record

from fairprint.audit import footprints
from fairprint.audit.grid import resolve_grid
from fairprint.audit.meter import measure
from fairprint.audit.metered import MeteredRecord
from fairprint.audit.metered_store import MeteredFolder, find_metered, find_stored
from fairprint.audit.places import countries
from fairprint.audit.records import RunRecord
from fairprint.audit.store import Store
from fairprint.probes.errors import UsageError
from fairprint.reports import rebound

STORE = Path("fairprint-runs")
ESCAPE = "\x1b]0;owned\x07\n::error::no ##[group]x"


@pytest.fixture
def fairprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    for name in ("FAIRPRINT_STORE", "FAIRPRINT_METER", "FAIRPRINT_COUNTRY_ISO_CODE", "LOCAL_RANK", "SLURM_LOCALID"):
        monkeypatch.delenv(name, raising=False)
    return commands(monkeypatch, capsys)


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, MeteredRecord]:
    """The journal of a real run with two spans, up to its last sample, and the record that it had in the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("FAIRPRINT_METER", raising=False)
        store = tmp_path_factory.mktemp("store") / "runs"
        with measure(ESCAPE, store=store, country_iso_code="KOR", pue=1.1, interval_s=0.1) as run:
            with measure("train", phase="train"):
                _wait(0.4)
            with measure("evaluate", phase="evaluation"):
                _wait(0.4)
    record = run.record
    assert record is not None
    lines = find_metered(store, record.run_id).journal.read_bytes().splitlines(keepends=True)
    return b"".join(line for line in lines if b'"event": "close"' not in line), record


def _wait(seconds: float) -> None:
    end = datetime.now(UTC).timestamp() + seconds
    while datetime.now(UTC).timestamp() < end:
        sum(range(1000))


def cut_off(name: str, content: bytes) -> MeteredFolder:
    """Put a run whose process was killed into the store."""
    folder = MeteredFolder(STORE / name)
    folder.path.mkdir(parents=True)
    folder.journal.write_bytes(content)
    os.close(folder.lock())
    return folder


def stored(record: MeteredRecord) -> MeteredFolder:
    """Put a run that has ended into the store."""
    folder = cut_off(record.run_id, b"")
    folder.write_record(record)
    return folder


def audit() -> RunRecord:
    """Put a finished audit into the store."""
    record = sample_record()
    run = Store(STORE).begin(record.plan, datetime(2026, 1, 1, tzinfo=UTC))
    record = record.model_copy(update={"run_id": run.run_id})
    run.write_record(record)
    return record


# list and show


def test_audits_and_metered_runs_are_listed_in_the_order_in_which_they_began(
    fairprint: Run, journal: tuple[bytes, MeteredRecord]
) -> None:
    first = audit()
    second = stored(sample_metered.sample_metered())
    third = cut_off("20260401T000000000Z-killed-0000", journal[0])
    fourth = cut_off("20260402T000000000Z-empty-0000", b"")
    goes_on = cut_off("20260403T000000000Z-alive-0000", journal[0])
    lock = goes_on.lock()
    try:
        rows = json.loads(fairprint("runs", "list", "--json").out)
        shown = fairprint("runs", "list")
        refused = fairprint("runs", "show", "latest")
    finally:
        os.close(lock)

    folders = (second, third, fourth, goes_on)
    assert [row["run"] for row in rows] == [first.run_id, *(folder.run_id for folder in folders)]
    assert [(row["kind"], row["status"]) for row in rows] == [
        ("audit", "complete"),
        ("training", "complete"),
        ("training", "cut off: fairprint runs recover"),
        ("metered", "cut off: fairprint runs recover"),
        ("training", "running"),
    ]
    assert [row["name"] for row in rows] == [first.plan.model.name, "fine-tune", ESCAPE, "", ESCAPE]
    assert rows[0]["model"] == first.plan.model.name
    assert "\x1b" not in shown.out
    assert "[U+001B]" in shown.out
    assert "##[" not in shown.out
    assert not any(line.lstrip().startswith("::") for line in shown.out.splitlines())
    assert (refused.code, refused.out) == (2, "")
    assert "wait for its end" in refused.err
    assert f"fairprint runs recover {third.run_id}" in fairprint("runs", "show", third.run_id).err


def test_a_metered_run_is_shown_with_its_spans_and_as_the_record_that_is_stored(fairprint: Run) -> None:
    record = sample_metered.sample_metered()
    folder = stored(record)
    shown = fairprint("runs", "show", "latest")

    assert MeteredRecord.model_validate_json(fairprint("runs", "show", "1a2b", "--json").out) == record
    assert fairprint("runs", "show", "1a2b", "--json").out == (folder.path / "run.json").read_text()
    lines = [line.split() for line in shown.out.splitlines()]
    (energy,) = (line for line in lines if line[:1] == ["energy"])
    assert energy[1:3] == ["60", "Wh"]  # 360 W for ten minutes
    (emissions,) = (line for line in shown.out.splitlines() if line.startswith("emissions"))
    assert "27 g" in emissions  # at 0.381 kg/kWh and a PUE of 1.2
    assert emissions.endswith("CO2e, DEU, grid of 2023 at 381 g/kWh, PUE 1.2")
    spans = {line.split("  ")[0]: line for line in shown.out.splitlines()}
    assert spans["tokenise"].split() == ["tokenise", "data", "1", "min", "00", "s", "6.0", "Wh", "54", "s", "done"]
    assert "failed: ValueError" in spans["train"]
    (unresolved,) = (line for line in shown.out.splitlines() if line.startswith("  save"))
    assert " -  " in unresolved
    assert unresolved.endswith("done (below resolution: shorter than one sampling interval of 1 s)")
    assert any(line.startswith("    evaluate") for line in shown.out.splitlines())
    for told in (
        "70 Wh: warned",
        "1 other meter ran on this machine",
        "1,024,000 tokens",
        "2.5 epochs, 5.00 petaFLOP",
        "110 ml at the data centre",
    ):
        assert told in " ".join(shown.out.split()), told


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (sample_metered.without_energy(), ["energy not available: torch sees 2 GPUs, but 1 were metered"]),
        (sample_metered.truncated(), ["fine-tune, truncated", "CPU time not available"]),
        (
            sample_metered.sample_metered(footprint=sample_metered.footprint(grid=sample_metered.NOWHERE)),
            ["place not known: from the lowest to the highest country of the world"],
        ),
        (
            sample_metered.sample_metered(
                footprint=sample_metered.footprint(grid=resolve_grid("FRA", kg_per_kwh=0.05), pue=None)
            ),
            ["CO2e, FRA, factor given: 50.0 g/kWh, without PUE"],
        ),
        (
            sample_metered.sample_metered(
                footprint=sample_metered.footprint(grid=resolve_grid(cloud_region="gcp:europe-north1"))
            ),
            ["gcp:europe-north1, grid of a year not told at"],
        ),
        (sample_metered.sample_metered(name=ESCAPE), ["[U+001B]]0;owned[U+0007] ::error::no ## [group]x"]),
    ],
)
def test_what_is_not_known_of_a_run_is_said_and_nothing_of_it_acts(
    record: MeteredRecord, told: list[str], fairprint: Run
) -> None:
    stored(record)
    shown = fairprint("runs", "show", "latest").out

    for text in told:
        assert text in " ".join(shown.split())
    assert "None" not in shown
    assert "\x1b" not in shown
    assert not any(line.lstrip().startswith("::") for line in shown.splitlines())


def test_a_run_is_found_among_both_kinds_only_where_its_name_is_unique(fairprint: Run) -> None:
    first, second = audit(), stored(sample_metered.sample_metered())

    assert find_stored(STORE, first.run_id).run_id == first.run_id
    assert find_stored(STORE, "1a2b").run_id == second.run_id
    with pytest.raises(UsageError, match=f"'2026' could be {first.run_id}, {second.run_id}"):
        find_stored(STORE, "2026")
    with pytest.raises(UsageError, match="no metered run"):
        find_metered(STORE, first.run_id)


# recover


def test_runs_that_were_cut_off_get_their_records_and_the_others_are_left_alone(
    fairprint: Run, journal: tuple[bytes, MeteredRecord]
) -> None:
    content, whole = journal
    killed = cut_off("20260401T000000000Z-killed-0000", content)
    torn = cut_off("20260401T000000001Z-torn-0000", content[:-20])  # a power cut in the middle of a line
    empty = cut_off("20260401T000000002Z-empty-0000", b"")
    goes_on = cut_off("20260401T000000003Z-alive-0000", content)
    lock = goes_on.lock()
    try:
        rows = json.loads(fairprint("runs", "recover", "--json").out)
        again = fairprint("runs", "recover", killed.run_id, goes_on.run_id, "--json")
    finally:
        os.close(lock)

    assert [(row["run"], row["outcome"]) for row in rows] == [
        (killed.run_id, "recovered"),
        (torn.run_id, "recovered"),
        (empty.run_id, "nothing metered: it ended while it began"),
        (goes_on.run_id, "still running: skipped"),
    ]
    assert rows[0]["name"] == ESCAPE
    assert again.code == 0
    outcomes = [row["outcome"] for row in json.loads(again.out)]
    assert outcomes == ["has its record already", "still running: skipped"]
    assert not empty.finished
    assert not goes_on.finished
    record = killed.record()
    assert record.status == "truncated"
    assert record.footprint.energy_kwh == pytest.approx(whole.footprint.energy_kwh, rel=1e-9)
    assert [(span.name, span.energy_kwh) for span in record.spans] == [(s.name, s.energy_kwh) for s in whole.spans]
    assert 0 < whole.footprint.duration_s - torn.record().footprint.duration_s < 0.2
    assert "truncated" in fairprint("runs", "list").out


def test_a_journal_that_cannot_be_read_is_named_with_3_after_the_others_were_recovered(
    fairprint: Run, journal: tuple[bytes, MeteredRecord]
) -> None:
    broken = cut_off("20260401T000000000Z-broken-0000", b"{}\n")
    killed = cut_off("20260401T000000001Z-killed-0000", journal[0])
    ended = fairprint("runs", "recover")

    assert ended.code == 3
    assert f"the journal of {broken.run_id} has no readable first line" in ended.err
    assert killed.finished
    assert not broken.finished


def test_there_is_nothing_to_recover_in_an_empty_store_and_no_run_of_a_name_that_is_not_there(fairprint: Run) -> None:
    assert fairprint("runs", "recover").out == f"metered runs in {STORE} without a record: none\n"
    ended = fairprint("runs", "recover", "x")

    assert (ended.code, ended.out) == (2, "")
    assert "no metered run 'x'" in ended.err
    assert not STORE.exists()


# rebind


RECORDS = (
    sample_metered.sample_metered(),
    sample_metered.sample_metered(footprint=sample_metered.footprint(grid=sample_metered.NOWHERE, pue=None)),
    sample_metered.without_energy(),
    sample_record(),
)
"""In a known place and in none, with energy and without, metered and audited."""


@settings(deadline=None, max_examples=25)  # each draws its interval anew
@given(
    number=st.integers(0, len(RECORDS) - 1),
    country=st.sampled_from(sorted(countries())),
    pue=st.none() | st.floats(1, 3),
    wue=st.none() | st.floats(0, 10),
)
def test_another_place_changes_emissions_and_nothing_else(
    number: int, country: str, pue: float | None, wue: float | None
) -> None:
    record = RECORDS[number]
    before, text = record.footprint, record.model_dump_json()
    place = rebound.Place(country_iso_code=country, pue=pue, wue=wue)
    after = rebound.rebound(before, place, record.started_at)

    assert record.model_dump_json() == text
    dumped, other = before.model_dump(), after.model_dump()
    assert {key for key in dumped if dumped[key] != other[key]} <= set(footprints.BOUND)
    assert not {"energy_kwh", "energy_low_kwh", "components", "duration_s", "own_cpu_s"} & set(footprints.BOUND)
    assert after.grid == resolve_grid(country, now_year=int(record.started_at[:4]))
    used = before.pue if pue is None else pue
    assert after.pue == used
    if before.energy_kwh is None:
        assert after.emissions_kg is None
        assert after.reason == before.reason
    else:
        factor = countries()[country]["carbon_intensity"] / 1000
        assert after.emissions_kg == pytest.approx(before.energy_kwh * (used or 1) * factor)
        litres = before.wue if wue is None else wue
        assert after.water_l == (None if litres is None else pytest.approx(before.energy_kwh * litres))


def test_a_stored_run_is_recomputed_and_not_touched(fairprint: Run) -> None:
    folder = stored(sample_metered.sample_metered())
    files = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.path.iterdir()}
    shown = fairprint("runs", "rebind", "latest", "--country-iso-code", "fra", "--pue", "1.5")
    told = json.loads(fairprint("runs", "rebind", "1a2b", "--kg-per-kwh", "0.1", "--wue", "0", "--json").out)

    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.path.iterdir()} == files
    text = " ".join(shown.out.split())
    assert shown.code == 0
    assert "DEU, grid of 2023 at 381 g/kWh, PUE 1.2" in text
    assert "FRA, grid of 2023 at 56.0 g/kWh, PUE 1.5" in text
    assert "5.0 g [" in text  # 60 Wh, a PUE of 1.5, 56.0 g/kWh
    assert "water 110 ml 110 ml" in text
    assert told["before"]["emissions_kg"] == pytest.approx(0.06 * 1.2 * 0.381)
    assert told["after"]["emissions_kg"] == pytest.approx(0.06 * 1.2 * 0.1)
    assert (told["after"]["pue"], told["after"]["wue"], told["after"]["water_l"]) == (1.2, 0, 0)
    assert told["after"]["grid"]["source"] == "given by the user"
    assert told["measured"]["energy_kwh"] == pytest.approx(0.06)
    assert told["run"] == folder.run_id
    first = audit()
    told = json.loads(fairprint("runs", "rebind", first.run_id, "--country-iso-code", "POL", "--json").out)
    assert told["after"]["grid"]["country_iso_code"] == "POL"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "nothing to change"),
        (("--country-iso-code", "FR"), "Did you mean FRA (France)?"),
        (("--region", "california"), "was given without a country"),
        (("--cloud-region", "gcp:europe-north1", "--country-iso-code", "FIN"), "give no country"),
        (("--kg-per-kwh", "50"), "if that is in g/kWh, give 0.05"),
        (("--pue", "0.5"), "a PUE of 0.5 is impossible"),
        (("--wue", "-1"), "a WUE of -1.0 is impossible"),
    ],
)
def test_what_cannot_be_recomputed_is_refused(arguments: tuple[str, ...], told: str, fairprint: Run) -> None:
    stored(sample_metered.sample_metered())
    ended = fairprint("runs", "rebind", "latest", *arguments)

    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err


def test_the_country_of_the_environment_does_not_move_a_stored_run(
    fairprint: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(sample_metered.sample_metered())
    monkeypatch.setenv("FAIRPRINT_COUNTRY_ISO_CODE", "FRA")
    told = json.loads(fairprint("runs", "rebind", "latest", "--pue", "1", "--json").out)

    assert told["after"]["grid"] == told["before"]["grid"]
    assert told["after"]["emissions_kg"] == pytest.approx(0.06 * 0.381)
