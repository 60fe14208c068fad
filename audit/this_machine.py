"""Speed and power of this machine at full load, measured for a second, for an estimate before a training."""

from fairprint.audit.carbon import Conditions, Meter
from fairprint.audit.estimate import Machine
from fairprint.audit.forecast import matrix_speed
from fairprint.audit.grid import resolve_grid
from fairprint.probes.errors import UsageError

SIZE = {"cpu": 768, "cuda": 4096}
"""Rows of the matrices: a GPU is busy with large ones only."""


def measure_machine(device: str = "cpu", *, power: bool = True, seconds: float = 1.0) -> Machine:
    """Multiply matrices of float32 for a second, and meter the machine meanwhile.

    The first call in a process takes a few seconds more, until torch and the sensors are there.

    Args:
        device: cpu; or this, for the accelerator that torch finds, else the processor.
        power: False where the power is known, so that no sensor is needed.
        seconds: how long.

    Raises:
        UsageError: the sensors gave no power.
    """
    import torch

    on = "cuda" if device == "this" and torch.cuda.is_available() else "cpu"
    matrix_speed(on, size=SIZE[on], seconds=0.0)  # what torch does once is no part of the second
    where = f"measured for {seconds:g} s on {'the GPU' if on == 'cuda' else 'the processor'}"
    if not power:
        return Machine(flop_per_second=matrix_speed(on, size=SIZE[on], seconds=seconds), power_w=(), told=where)
    with Meter(Conditions(grid=resolve_grid(), interval_s=min(0.5, seconds / 2))) as meter:
        speed = matrix_speed(on, size=SIZE[on], seconds=seconds)
    footprint = meter.footprint
    if footprint.energy_kwh is None:
        raise UsageError(
            f"the power of this machine could not be measured: {footprint.reason}", hint="give --power in W"
        )
    parts = [part for part in footprint.components if part.energy_kwh]
    sensors = ", ".join(f"{part.name.upper()} by {part.sensor}" for part in parts)
    return Machine(
        flop_per_second=speed,
        power_w=tuple(
            ((part.energy_kwh or 0.0) * 3.6e6 / footprint.duration_s, part.half_width or 0.0) for part in parts
        ),
        told=f"{where} ({sensors})",
    )
