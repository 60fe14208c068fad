"""carbontracker's logs become records: its PUE is divided out, its prediction is no measurement."""

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_import import MACHINE_KWH, log_text, output_text, write_logs

from fairprint.audit.import_carbontracker import read_carbontracker
from fairprint.audit.imported import Said, record_of
from fairprint.audit.metered import MeteredRecord
from fairprint.audit.records import to_json
from fairprint.probes.errors import ProbeFileError, UsageError

TRAINING = """
import time
from carbontracker.tracker import CarbonTracker

tracker = CarbonTracker(epochs=3, components="cpu", log_dir="logs", verbose=0, update_interval=0.1{options})
for epoch in range({epochs}):
    tracker.epoch_start()
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        sum(range(1000))
    tracker.epoch_end()
"""
NOWHERE = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
"""Nothing goes online: what asks for the place is refused at once."""


def imported(path: Path, said: Said | None = None) -> list[MeteredRecord]:
    return [record_of(told, said or Said()) for told in read_carbontracker(path)]


def one(path: Path, said: Said | None = None) -> MeteredRecord:
    (record,) = imported(path, said)
    return record


def train(folder: Path, epochs: int = 3, options: str = "") -> Path:
    """Let carbontracker meter work of half a second an epoch; return the folder of its logs."""
    subprocess.run(
        [sys.executable, "-c", TRAINING.format(epochs=epochs, options=options)],
        cwd=folder,
        env={**os.environ, **NOWHERE},
        check=True,
        capture_output=True,
        timeout=120,
    )
    return folder / "logs"


def printed(logs: Path, what: str) -> float:
    """Return a total as carbontracker printed it."""
    (output,) = logs.glob("*_output.log")
    found = re.search(rf"{what} consumption[^\t]*\tTime:\t[^\t]*\tEnergy:\t(\S+) kWh", output.read_text())
    assert found is not None
    return float(found[1])


# as carbontracker writes it


def test_the_total_of_a_real_run_comes_without_its_pue_of_1_58(tmp_path: Path) -> None:
    assert version("carbontracker") == "2.4.7"
    logs = train(tmp_path)

    record = one(logs)

    actual = printed(logs, "Actual")
    foot = record.footprint
    assert foot.energy_kwh == pytest.approx(actual / 1.58, rel=1e-9) and foot.pue == 1.58
    assert 1.4 < foot.duration_s < 3.0 and record.work.epochs == 3
    assert [span.phase for span in record.spans] == ["epoch"] * 3
    assert sum(span.energy_kwh or 0 for span in record.spans) == pytest.approx(foot.energy_kwh)
    assert (record.kind, record.status, record.environment.versions) == (
        *("training", "complete"),
        {"carbontracker": "2.4.7"},
    )
    # without the network it takes the world's average and names no place
    assert foot.emissions_kg is None and any("place is not known" in warning for warning in foot.warnings)
    assert imported(logs) == [record]


def test_a_simulated_processor_gives_its_power_times_the_time(tmp_path: Path) -> None:
    logs = train(tmp_path, options=', sim_cpu="Model X", sim_cpu_tdp=100, sim_cpu_util=0.4')

    record = one(logs)

    cpu = record.footprint.components[0]
    assert record.footprint.mean_power_w == pytest.approx(40.0, rel=0.01)
    assert (cpu.name, cpu.sensor, cpu.half_width) == ("cpu", "constant", 1.0) and cpu.detail.startswith("Model X")


def test_a_training_that_ended_early_has_the_energy_of_its_epochs_and_not_of_the_prediction(tmp_path: Path) -> None:
    logs = train(tmp_path, epochs=2)

    record = one(logs)

    foot = record.footprint
    predicted = printed(logs, "Predicted") / 1.58
    assert record.status == "truncated" and foot.energy_kwh is not None
    assert foot.energy_kwh == pytest.approx(predicted * 2 / 3, rel=0.05)
    assert any("predicted" in note and "not counted here" in note for note in record.notes)


# arithmetic


def test_energies_of_components_and_epochs_are_power_times_duration(tmp_path: Path) -> None:
    record = one(write_logs(tmp_path / "logs"))

    foot = record.footprint
    assert foot.energy_kwh == pytest.approx(MACHINE_KWH, rel=1e-6) and foot.duration_s == 150.0
    assert {part.name: part.energy_kwh for part in foot.components} == {
        "cpu": pytest.approx(60 * 150 / 3.6e6),
        "gpu": pytest.approx((200 * 60 + 240 * 90) / 3.6e6),
        "ram": None,
    }
    assert [(span.name, span.begin_s, span.end_s) for span in record.spans] == [
        ("epoch 1", 0, 60),
        ("epoch 2", 60, 150),
    ]
    assert record.spans[0].energy_kwh == pytest.approx(260 * 60 / 3.6e6)
    assert foot.emissions_kg == pytest.approx(MACHINE_KWH * 1.58 * 0.1)
    assert foot.grid.country_iso_code == "DNK" and "Roskilde" not in to_json(record)
    assert [part.sensor for part in foot.components] == ["constant", "sampled power", "none"]


@pytest.mark.parametrize("pue", [1.59, 1.55, 1.58])
def test_the_pue_is_the_one_that_the_log_names(tmp_path: Path, pue: float) -> None:
    record = one(write_logs(tmp_path / "logs", log_text(pue=pue), output_text(pue)))

    assert record.footprint.energy_kwh == pytest.approx(MACHINE_KWH, rel=1e-6) and record.footprint.pue == pue


def test_without_totals_or_with_too_few_digits_the_energy_is_that_of_the_epochs(tmp_path: Path) -> None:
    rough = re.sub(r"(Energy:\t\d+\.\d\d)\d+", r"\1", output_text())
    for n, output in enumerate((None, rough)):
        foot = one(write_logs(tmp_path / str(n), output=output)).footprint
        assert foot.energy_kwh == pytest.approx(MACHINE_KWH, rel=1e-12)


def test_powers_of_each_device_are_added_and_one_power_for_several_devices_is_told(tmp_path: Path) -> None:
    each = log_text(gpus="A100, A100", gpu_1="[80. 120.]", gpu_2="[ 100.\n 140.]")
    foot = one(write_logs(tmp_path / "each", each)).footprint
    assert foot.energy_kwh == pytest.approx(MACHINE_KWH, rel=1e-6)
    assert not any("averages" in warning for warning in foot.warnings)

    foot = one(write_logs(tmp_path / "averaged", log_text(gpus="A100, A100"))).footprint
    assert any("one mean power for 2 devices of GPU" in warning for warning in foot.warnings)


def test_an_epoch_without_a_sample_has_the_power_of_the_next_one(tmp_path: Path) -> None:
    told = log_text(gpu_1="None")
    machine_kwh = (240 * 150 + 60 * 150) / 3.6e6
    foot = one(write_logs(tmp_path / "logs", told, output_text(machine_kwh=machine_kwh))).footprint

    assert foot.energy_kwh == pytest.approx(machine_kwh, rel=1e-6)
    assert any("too short for a sample" in warning for warning in foot.warnings)


def test_a_total_that_its_epochs_do_not_explain_is_told(tmp_path: Path) -> None:
    foot = one(write_logs(tmp_path / "logs", output=output_text(machine_kwh=1.5 * MACHINE_KWH))).footprint

    assert foot.energy_kwh == pytest.approx(1.5 * MACHINE_KWH, rel=1e-6)
    assert any("epochs add up to" in warning for warning in foot.warnings)


def test_a_total_of_nothing_leaves_the_energy_of_the_epochs(tmp_path: Path) -> None:
    foot = one(write_logs(tmp_path / "logs", output=output_text(machine_kwh=0.0))).footprint

    assert foot.energy_kwh == pytest.approx(MACHINE_KWH, rel=1e-12)


def test_either_file_leads_to_the_run_and_a_folder_to_all(tmp_path: Path) -> None:
    log = write_logs(tmp_path / "logs")
    record = one(log)
    assert one(log.with_name(log.name.replace(".log", "_output.log"))) == record
    write_logs(tmp_path / "logs", stem="4712.13_2026")
    assert len(imported(tmp_path / "logs")) == 2 and imported(tmp_path / "logs")[0] == record
    assert record.run_id.startswith("20260301T100000000Z-carbontracker-")


# refused


def test_totals_without_the_log_are_refused_since_nobody_knows_their_pue(tmp_path: Path) -> None:
    log = write_logs(tmp_path / "logs")
    log.unlink()
    with pytest.raises(ProbeFileError, match=r"_carbontracker\.log is missing") as caught:
        read_carbontracker(tmp_path / "logs")
    assert caught.value.hint is not None and "PUE" in caught.value.hint


@pytest.mark.parametrize(
    ("log", "line", "told"),
    [
        ("", 1, "expected a log of carbontracker"),
        (log_text().replace("0:01:30.00", "soon"), 10, "the duration is 'soon': expected such as"),
        (log_text(gpu_2="many"), 11, "the power is 'many': expected a number"),
        (log_text(pue="0.9"), 2, "the PUE is '0.9': expected a number from 1"),
        (log_text() + log_text(), 16, "a second run begins here"),
        (log_text().partition("2026-03-01 10:01:01 - Epoch 1")[0], 4, "no whole epoch"),
        (log_text().replace("10:02:31 - Epoch", "10:77:31 - Epoch"), 9, "is no time"),
        (log_text().replace("2026-03-01 10:01:01 - Duration: 0:01:00.00\n", ""), 5, "Epoch 1: expected one line"),
    ],
)
def test_what_is_damaged_in_a_log_is_named_with_its_line(tmp_path: Path, log: str, line: int, told: str) -> None:
    path = write_logs(tmp_path / "logs", log)
    with pytest.raises(ProbeFileError) as caught:
        read_carbontracker(path)
    assert told in caught.value.message and caught.value.line == line and caught.value.message.startswith(str(path))


@pytest.mark.parametrize(
    ("output", "line", "told"),
    [
        (re.sub(r"Energy:\t\S+", "Energy:\tx", output_text()), 4, "the energy is 'x': expected a number"),
        (output_text().replace("\tCO2eq:", "\tCO3:"), 5, "expected 'CO2eq:' and a number g"),
        (output_text() + output_text(), 18, "a second total: Predicted"),
    ],
)
def test_what_is_damaged_in_the_totals_is_named_with_its_line(
    tmp_path: Path, output: str, line: int, told: str
) -> None:
    path = write_logs(tmp_path / "logs", output=output)
    with pytest.raises(ProbeFileError) as caught:
        read_carbontracker(path)
    assert told in caught.value.message and caught.value.line == line


def test_a_folder_without_logs_and_a_log_with_another_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no log"):
        read_carbontracker(tmp_path)
    renamed = write_logs(tmp_path / "logs").rename(tmp_path / "mine.txt")
    with pytest.raises(UsageError, match=r"expected a name that ends in _carbontracker\.log") as caught:
        read_carbontracker(renamed)
    assert caught.value.hint is not None


@given(data=st.data())
def test_damaged_logs_are_an_error_in_words_or_a_record_that_can_be_written(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    texts = []
    for whole in (log_text().encode(), output_text().encode()):
        begin = data.draw(st.integers(0, len(whole)))
        end = data.draw(st.integers(begin, min(len(whole), begin + 40)))
        piece = data.draw(st.one_of(st.binary(max_size=8), st.sampled_from([b"e308", b"9" * 30, b"\n", b"None", b"["])))
        texts.append(whole[:begin] + piece + whole[end:])
    folder = tmp_path_factory.mktemp("damaged")
    path = write_logs(folder / "logs")
    path.write_bytes(texts[0])
    path.with_name(path.name.replace(".log", "_output.log")).write_bytes(texts[1])
    try:
        records = imported(folder / "logs")
    except UsageError as error:
        assert str(folder) in error.message
    else:
        assert records and all(MeteredRecord.model_validate_json(to_json(record)) == record for record in records)
