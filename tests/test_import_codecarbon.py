"""CodeCarbon's emissions.csv becomes records: totals not summed, a PUE divided out, no place made up."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_import import COLUMNS, csv_text, row, write_csv

from fairprint.audit.import_codecarbon import read_codecarbon
from fairprint.audit.imported import Said, record_of
from fairprint.audit.metered import MeteredRecord
from fairprint.audit.records import to_json
from fairprint.probes.errors import ProbeFileError, UsageError

TWO_TRAININGS = """
import time
import torch, transformers
from transformers import Trainer, TrainingArguments

class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return 96

    def __getitem__(self, index):
        ids = (torch.arange(16) + 7 * index) % 50
        return {"input_ids": ids, "labels": ids.clone()}

config = transformers.GPT2Config(
    vocab_size=50, n_positions=16, n_embd=64, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
)
options = {"num_train_epochs": 2, "save_strategy": "no", "report_to": "codecarbon", "use_cpu": True}
trainer = Trainer(
    model=transformers.GPT2LMHeadModel(config),
    args=TrainingArguments(output_dir="out", disable_tqdm=True, **options),
    train_dataset=Rows(),
)
trainer.train()
time.sleep(2.5)
trainer.train()
"""

NOWHERE = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
"""Nothing goes online: what asks for the place is refused at once."""


def imported(path: Path, said: Said | None = None) -> list[MeteredRecord]:
    return [record_of(told, said or Said()) for told in read_codecarbon(path)]


def one(path: Path, said: Said | None = None) -> MeteredRecord:
    (record,) = imported(path, said)
    return record


# as CodeCarbon and the Trainer write it


def test_two_trainings_of_one_trainer_have_the_energy_of_the_last_row_and_not_the_sum_of_both(tmp_path: Path) -> None:
    environment = {**os.environ, **NOWHERE, "CODECARBON_LOG_LEVEL": "critical"}
    subprocess.run(
        [sys.executable, "-c", TWO_TRAININGS],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
        timeout=240,
    )
    file = tmp_path / "out" / "emissions.csv"
    with file.open(newline="") as opened:
        first, last = csv.DictReader(opened)
    assert first["run_id"] == last["run_id"] and float(last["energy_consumed"]) > float(first["energy_consumed"])

    record = one(file, Said(purpose="fine-tuning", task="counting"))

    foot = record.footprint
    assert foot.energy_kwh == pytest.approx(float(last["energy_consumed"]), rel=1e-9)
    assert foot.duration_s == pytest.approx(float(first["duration"]) + float(last["duration"]), rel=1e-9)
    assert [span.energy_kwh for span in record.spans] == [
        pytest.approx(float(first["energy_consumed"])),
        pytest.approx(float(last["energy_consumed"]) - float(first["energy_consumed"])),
    ]
    assert [span.phase for span in record.spans] == ["train", "train"] and len(foot.segments) == 2
    assert (record.kind, record.purpose, record.task) == ("training", "fine-tuning", "counting")
    # nobody could ask for the place: CodeCarbon then writes Quebec
    assert last["region"] == "quebec" and foot.emissions_kg is None and foot.grid.country_iso_code is None
    assert any("Quebec" in warning and "rebind" in warning for warning in foot.warnings)


def test_what_a_tracker_flushed_in_between_is_one_start_whose_duration_goes_on(tmp_path: Path) -> None:
    file = write_csv(
        tmp_path / "emissions.csv",
        row(1.0, 2.0, 0.5, timestamp="2026-03-01T10:05:00", duration=300.0),
        row(2.0, 4.0, 1.0, timestamp="2026-03-01T10:10:00", duration=600.0),
    )

    record = one(file)

    assert record.footprint.duration_s == 600.0 and len(record.footprint.segments) == 1
    assert [(span.begin_s, span.end_s, span.energy_kwh) for span in record.spans] == [(0, 300, 3.5), (300, 600, 3.5)]
    assert record.started_at == "2026-03-01T10:00:00Z" and record.finished_at == "2026-03-01T10:10:00Z"


@pytest.mark.parametrize(
    ("again", "passed_s", "total_s"),
    [(300.0, 300, 600.0), (300.0, 900, 600.0), (900.0, 600, 900.0), (900.0, 1200, 1200.0), (100.0, 5000, 400.0)],
)
def test_durations_add_up_where_the_tracker_was_started_again(
    tmp_path: Path, again: float, passed_s: int, total_s: float
) -> None:
    ended = f"2026-03-01T{10 + (300 + passed_s) // 3600:02d}:{(300 + passed_s) % 3600 // 60:02d}:{passed_s % 60:02d}"
    file = write_csv(
        tmp_path / "emissions.csv",
        row(1.0, 0.0, 0.5, timestamp="2026-03-01T10:05:00", duration=300.0),
        row(2.0, 0.0, 1.0, timestamp=ended, duration=again),
    )

    assert one(file).footprint.duration_s == total_s
    assert one(file).footprint.energy_kwh == 3.0


# arithmetic


def test_a_pue_is_divided_out_of_the_energies_and_kept_for_the_emissions(tmp_path: Path) -> None:
    record = one(write_csv(tmp_path / "emissions.csv", row(1.5, 3.0, 0.75, kg_per_kwh=0.4, pue=1.5, wue=1.8)))

    foot = record.footprint
    assert foot.energy_kwh == pytest.approx(3.5) and foot.pue == 1.5
    assert {part.name: part.energy_kwh for part in foot.components} == {"cpu": 1.0, "gpu": 2.0, "ram": 0.5}
    assert foot.emissions_kg == pytest.approx(5.25 * 0.4)
    assert foot.water_l == pytest.approx(3.5 * 1.8), "a WUE is of the machines' energy, no PUE multiplies it"
    assert any("PUE of 1.5" in note for note in record.notes)


def test_a_pue_of_one_is_codecarbons_default_and_is_not_taken_as_said(tmp_path: Path) -> None:
    old = tuple(name for name in COLUMNS if name not in ("pue", "wue"))
    for columns in (None, old):
        foot = one(write_csv(tmp_path / "emissions.csv", row(1.0, 2.0, 0.5), columns=columns)).footprint
        assert foot.pue is None and foot.wue is None and foot.energy_kwh == pytest.approx(3.5)


def test_the_grid_factor_is_emissions_over_energy_without_a_year(tmp_path: Path) -> None:
    grid = one(write_csv(tmp_path / "emissions.csv", row(1.0, 2.0, 0.5, kg_per_kwh=0.056))).footprint.grid

    assert grid.kg_per_kwh == pytest.approx(0.056)
    assert (grid.low_kg_per_kwh, grid.high_kg_per_kwh) == (pytest.approx(0.8 * 0.056), pytest.approx(1.2 * 0.056))
    assert grid.country_iso_code == "FRA" and grid.year is None and grid.source.startswith("imported")


def test_a_cloud_region_is_kept_and_a_file_without_a_place_has_emissions_of_the_whole_world(tmp_path: Path) -> None:
    cloud = row(1.0, 0.0, 0.5, cloud_provider="gcp", cloud_region="europe-north1", on_cloud="Y")
    assert one(write_csv(tmp_path / "a.csv", cloud)).footprint.grid.cloud_region == "gcp:europe-north1"

    foot = one(write_csv(tmp_path / "b.csv", row(1.0, 0.0, 0.5, country_iso_code=""))).footprint
    assert foot.emissions_kg is None and foot.reason is not None
    assert foot.emissions_low_kg is not None and foot.emissions_high_kg is not None
    assert foot.emissions_high_kg > 10 * foot.emissions_low_kg


def test_a_user_who_really_is_in_quebec_keeps_the_place(tmp_path: Path) -> None:
    there = {"country_iso_code": "CAN", "region": "quebec"}
    for coordinates in ({"latitude": 45.5, "longitude": -73.6}, {"latitude": "", "longitude": ""}):
        record = one(write_csv(tmp_path / "emissions.csv", row(1.0, 0.0, 0.5, 0.004, **there, **coordinates)))
        assert record.footprint.grid.region == "quebec" and record.footprint.emissions_kg == pytest.approx(0.006)


def test_an_interval_is_as_wide_as_the_poorest_sensor_that_the_energy_may_come_from(tmp_path: Path) -> None:
    foot = one(write_csv(tmp_path / "emissions.csv", row(1.0, 0.0, 0.0, gpu_count="", gpu_model=""))).footprint

    cpu, gpu, ram = foot.components
    assert (cpu.sensor, cpu.half_width, gpu.sensor, gpu.energy_kwh, ram.energy_kwh) == (
        "load model",
        1.0,
        "none",
        None,
        0,
    )
    assert foot.energy_low_kwh == pytest.approx(0.5, rel=0.05) and foot.energy_high_kwh == pytest.approx(2.0, rel=0.05)
    assert any("names no sensors" in warning for warning in foot.warnings)


def test_what_the_file_does_not_tell_is_not_made_up_and_what_is_private_is_not_kept(tmp_path: Path) -> None:
    record = one(write_csv(tmp_path / "emissions.csv", row(1.0, 2.0, 0.5, tracking_mode="process")))

    assert record.clock is None and record.overlaps == ()
    environment = record.environment
    assert (environment.system, environment.cpu, environment.threads) == ("Linux", "AMD EPYC", 8)
    assert (environment.fairprint, environment.device) == ("not known", "not known")
    text = to_json(record)
    assert "secret-host" not in text and "48.85" not in text and "2.35" not in text and str(tmp_path) not in text
    assert any("process alone" in warning for warning in record.footprint.warnings)


def test_no_energy_is_no_total(tmp_path: Path) -> None:
    record = one(write_csv(tmp_path / "emissions.csv", row(0.0, 0.0, 0.0)))

    assert record.footprint.energy_kwh is None and record.footprint.reason == "the file reports no energy"


def test_the_record_of_a_run_stays_the_same_while_its_file_goes_on_growing(tmp_path: Path) -> None:
    first = row(1.0, 2.0, 0.5)
    before = one(write_csv(tmp_path / "emissions.csv", first))
    after = imported(write_csv(tmp_path / "emissions.csv", first, row(5.0, 1.0, 0.5, run_id="run-b")))

    assert after[0] == before and after[1].run_id != before.run_id and len(after) == 2
    assert before.run_id.startswith("20260301T100000000Z-codecarbon-")


def test_rows_of_two_runs_that_alternate_are_two_runs(tmp_path: Path) -> None:
    rows = [row(n, 0.0, 0.0, run_id=name, project_name=name) for n, name in ((1, "a"), (5, "b"), (2, "a"), (9, "b"))]
    found = imported(write_csv(tmp_path / "emissions.csv", *rows))

    assert [(record.name, record.footprint.energy_kwh) for record in found] == [("a", 2.0), ("b", 9.0)]
    assert one(write_csv(tmp_path / "b.csv", rows[0]), Said(name="mine")).name == "mine"


# refused


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"energy_consumed": "n/a"}, "energy_consumed is 'n/a': expected a number"),
        ({"duration": -1}, "duration is '-1': expected a number from 0"),
        ({"emissions": "nan"}, "emissions is 'nan'"),
        ({"cpu_energy": "inf"}, "cpu_energy is 'inf'"),
        ({"energy_consumed": 9.0}, "energy_consumed is 9.0: expected the sum"),
        ({"timestamp": "yesterday"}, "timestamp is 'yesterday': expected a date"),
        ({"timestamp": "0001-01-01T00:00:00"}, "expected a date"),
        ({"pue": 0.5}, "pue is '0.5': expected a number from 1"),
        ({"emissions": 3500.0}, "emissions over energy are 1000 kg per kWh: expected at most 10"),
        ({"run_id": ""}, "the row has no run_id"),
    ],
)
def test_a_value_that_is_none_is_named_with_its_line(tmp_path: Path, changes: dict[str, object], told: str) -> None:
    file = write_csv(tmp_path / "emissions.csv", row(1.0, 2.0, 0.5, run_id="fine"), row(1.0, 2.0, 0.5, **changes))

    with pytest.raises(ProbeFileError) as caught:
        read_codecarbon(file)
    assert told in caught.value.message and caught.value.message.startswith(f"{file}:3: ")


def test_rows_that_fall_are_refused_with_a_way_out(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "emissions.csv", row(2.0, 2.0, 0.5), row(1.0, 3.5, 0.5))

    with pytest.raises(ProbeFileError, match="cpu_energy of the run run-a falls from 2 in line 2 to 1") as caught:
        read_codecarbon(file)
    assert caught.value.line == 3 and caught.value.hint is not None and "timestamps" in caught.value.hint


def test_rows_with_two_pues_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProbeFileError, match=r"pue of the run run-a is 1\.5, and 1 in line 2"):
        read_codecarbon(write_csv(tmp_path / "emissions.csv", row(1.0, 0, 0), row(2.0, 0, 0, pue=1.5)))


def test_a_file_of_tasks_is_refused_for_the_file_of_its_run(tmp_path: Path) -> None:
    tasks = write_csv(tmp_path / "tasks.csv", {**row(1.0, 0, 0), "task_name": "load"}, columns=("task_name", *COLUMNS))
    with pytest.raises(ProbeFileError, match="single task") as caught:
        read_codecarbon(tasks)
    assert caught.value.hint is not None and "emissions.csv" in caught.value.hint


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    columns = tuple(name for name in COLUMNS if name != "ram_energy")
    with pytest.raises(ProbeFileError, match="the column 'ram_energy' is missing"):
        read_codecarbon(write_csv(tmp_path / "emissions.csv", row(1.0, 0, 0), columns=columns))


@given(data=st.data())
def test_a_damaged_file_is_an_error_in_words_or_records_that_can_be_written(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = csv_text(row(1.0, 2.0, 0.5, duration=300), row(2.0, 4.0, 1.0), row(3.0, 1.0, 0.5, run_id="b")).encode()
    begin = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(begin, min(len(whole), begin + 40)))
    piece = data.draw(st.one_of(st.binary(max_size=8), st.sampled_from([b"-", b"e308", b"9" * 30, b'"', b"\n", b",,"])))
    file = tmp_path_factory.mktemp("damaged") / "emissions.csv"
    file.write_bytes(whole[:begin] + piece + whole[end:])
    try:
        records = imported(file)
    except UsageError as error:
        assert str(file) in error.message
    else:
        assert records and all(MeteredRecord.model_validate_json(to_json(record)) == record for record in records)
