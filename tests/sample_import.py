"""Files of other meters for tests, as those programs write them."""

from pathlib import Path

# fmt: off
COLUMNS = [
    "timestamp", "project_name", "run_id", "experiment_id", "duration", "emissions", "emissions_rate",
    "cpu_power", "gpu_power", "ram_power", "cpu_energy", "gpu_energy", "ram_energy", "energy_consumed",
    "water_consumed", "country_name", "country_iso_code", "region", "cloud_provider", "cloud_region", "os",
    "python_version", "codecarbon_version", "cpu_count", "cpu_model", "gpu_count", "gpu_model", "longitude",
    "latitude", "ram_total_size", "tracking_mode", "cpu_utilization_percent", "gpu_utilization_percent",
    "ram_utilization_percent", "ram_used_gb", "on_cloud", "pue", "wue",
]
# fmt: on


def row(cpu: float, gpu: float, ram: float, kg_per_kwh: float = 0.05, **changes: object) -> dict[str, object]:
    """Return a row of emissions.csv, of energies in kWh."""
    total = cpu + gpu + ram
    told: dict[str, object] = {
        **dict.fromkeys(COLUMNS, ""),
        "timestamp": "2026-03-01T10:10:00",
        "project_name": "codecarbon",
        "run_id": "run-a",
        "duration": 600.0,
        "emissions": total * kg_per_kwh,
        "cpu_energy": cpu,
        "gpu_energy": gpu,
        "ram_energy": ram,
        "energy_consumed": total,
        "country_name": "France",
        "country_iso_code": "FRA",
        "os": "Linux-6.1.0-secret-host-x86_64",
        "python_version": "3.11.7",
        "codecarbon_version": "3.3.2",
        "cpu_count": 8,
        "cpu_model": "AMD EPYC",
        "gpu_count": 1,
        "gpu_model": "1 x NVIDIA A100",
        "longitude": 2.35,
        "latitude": 48.85,
        "tracking_mode": "machine",
        "on_cloud": "N",
        "pue": 1.0,
        "wue": 0.0,
    }
    return {**told, **changes}


def csv_text(*rows: dict[str, object], columns: tuple[str, ...] | None = None) -> str:
    chosen = columns or tuple(COLUMNS)
    return "\n".join([",".join(chosen), *(",".join(str(told[name]) for name in chosen) for told in rows)]) + "\n"


def write_csv(path: Path, *rows: dict[str, object], columns: tuple[str, ...] | None = None) -> Path:
    path.write_text(csv_text(*rows, columns=columns), encoding="utf-8")
    return path


LOG = """\
2026-03-01 10:00:00 - carbontracker version 2.4.7
2026-03-01 10:00:00 - Only predicted and actual consumptions are multiplied by a PUE coefficient of {pue} (Survey).
2026-03-01 10:00:01 - The following components were found: GPU with device(s) {gpus}. CPU with device(s) AMD EPYC.
2026-03-01 10:00:01 - Monitoring thread started.
2026-03-01 10:01:01 - Epoch 1:
2026-03-01 10:01:01 - Duration: 0:01:00.00
2026-03-01 10:01:01 - Average power usage (W) for gpu: {gpu_1}
2026-03-01 10:01:01 - Average power usage (W) for cpu: 60.0
2026-03-01 10:02:31 - Epoch 2:
2026-03-01 10:02:31 - Duration: 0:01:30.00
2026-03-01 10:02:31 - Average power usage (W) for gpu: {gpu_2}
2026-03-01 10:02:31 - Average power usage (W) for cpu: 60.0
2026-03-01 10:02:31 - Carbon intensities (gCO2eq/kWh) fetched every 900 s at detected location: {place}: [100.0]
2026-03-01 10:02:31 - Average carbon intensity during training was 100.00 gCO2eq/kWh.\x20
2026-03-01 10:02:31 - Monitoring thread ended.
"""
MACHINE_KWH = (200 * 60 + 240 * 90 + 60 * 150) / 3.6e6
"""Of the log with GPU powers of 200 and 240 W."""

OUTPUT = """\
2026-03-01 10:01:01 - CarbonTracker:\x20
Predicted consumption for 2 epoch(s):
	Time:	0:02:00
	Energy:	{predicted:.12f} kWh
	CO2eq:	{predicted_g:.12f} g
	This is equivalent to:
	0.000197523748 km travelled by car
2026-03-01 10:02:31 - CarbonTracker: Average carbon intensity during training was 100.00 gCO2eq/kWh.\x20
2026-03-01 10:02:31 - CarbonTracker:\x20
Actual consumption for 2 epoch(s):
	Time:	0:02:30
	Energy:	{actual:.12f} kWh
	CO2eq:	{actual_g:.12f} g
	This is equivalent to:
	0.000197522361 km travelled by car
2026-03-01 10:02:31 - CarbonTracker: Finished monitoring.
"""


def log_text(**changes: object) -> str:
    told = {"pue": "1.58", "gpus": "A100", "gpu_1": 200.0, "gpu_2": 240.0, "place": "Roskilde, Zealand, DK"}
    return LOG.format(**{**told, **changes})


def output_text(pue: float = 1.58, machine_kwh: float = MACHINE_KWH) -> str:
    actual = machine_kwh * pue
    predicted = 2 * 260 * 60 / 3.6e6 * pue
    return OUTPUT.format(actual=actual, actual_g=100 * actual, predicted=predicted, predicted_g=100 * predicted)


def write_logs(folder: Path, log: str | None = None, output: str | None = "", stem: str = "4711.12_2026") -> Path:
    """Write both logs; an output of None is left out."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{stem}_carbontracker.log"
    path.write_text(log_text() if log is None else log, encoding="utf-8")
    if output is not None:
        (folder / f"{stem}_carbontracker_output.log").write_text(output or output_text(), encoding="utf-8")
    return path
