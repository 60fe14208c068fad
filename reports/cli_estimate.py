"""The command that says what a training would take before it runs."""

from typing import TYPE_CHECKING, Annotated

import typer

from fairprint.probes.errors import UsageError
from fairprint.reports import options as o

if TYPE_CHECKING:
    from fairprint.audit.estimate import Attention, Machine

EPILOG = (
    "Example: fairprint estimate --parameters 11e6 --tokens 2e5 --hardware this --country-iso-code KOR. "
    "For GPT-3: fairprint estimate --parameters 175e9 --tokens 300e9 --achieved-flops 24.6e12 --power 330 --pue 1.1. "
    "Exit codes: 0 estimated; 2 wrong usage, such as a peak speed that is not known; 3 the sensors could not be read."
)
OWN = ("cpu", "this")
"""What stands for this machine instead of the table of hardware."""


def estimate(
    parameters: Annotated[
        float,
        typer.Option("--parameters", help="Of the model without embeddings that are only looked up, such as 135e6."),
    ],
    tokens: Annotated[
        float,
        typer.Option(
            "--tokens", help="Of the whole training, each as often as it is seen, padding included, such as 1e9."
        ),
    ],
    hardware: Annotated[
        str | None,
        typer.Option(
            "--hardware",
            metavar="NAME",
            help="An accelerator such as a100-sxm or h100-sxm; this, or cpu, measures this machine for a second.",
        ),
    ] = None,
    devices: Annotated[int, typer.Option("--devices", help="How many; they share the work, the energy is of all.")] = 1,
    active_parameters: Annotated[
        float | None,
        typer.Option("--active-parameters", help="That a token goes through, of a mixture of experts."),
    ] = None,
    flop: Annotated[
        float | None, typer.Option("--flop", help="Operations of the training, where they were counted. Default: 6ND.")
    ] = None,
    layers: Annotated[int | None, typer.Option("--layers", help="With the next two: counts attention as well.")] = None,
    hidden_size: Annotated[int | None, typer.Option("--hidden-size", help="Width of the residual stream.")] = None,
    sequence_length: Annotated[int | None, typer.Option("--sequence-length", help="Tokens of an example.")] = None,
    gradient_checkpointing: Annotated[
        bool, typer.Option("--gradient-checkpointing", help="8ND: activations are computed a second time.")
    ] = False,
    frozen_base: Annotated[bool, typer.Option("--frozen-base", help="4ND: only adapters learn, as with LoRA.")] = False,
    peak_flops: Annotated[
        float | None,
        typer.Option(
            "--peak-flops", help="FLOP/s of one device in the number format of the training, as its vendor states it."
        ),
    ] = None,
    mfu: Annotated[
        float | None, typer.Option("--mfu", help="Share of the peak that the training reaches, such as 0.4.")
    ] = None,
    achieved_flops: Annotated[
        float | None,
        typer.Option("--achieved-flops", help="FLOP/s of one device over the whole training; instead of peak and MFU."),
    ] = None,
    power: Annotated[float | None, typer.Option("--power", help="W of one device with its share of the host.")] = None,
    pue: o.Pue = None,
    country_iso_code: o.Country = None,
    region: o.Region = None,
    cloud_region: o.CloudRegion = None,
    kg_per_kwh: o.KgPerKwh = None,
    as_json: o.Json = False,
) -> None:
    """Say what a training would take before it runs: duration, energy and emissions, each with a 90 % interval.

    What is given is taken as exact; the rest is drawn from priors, which are shown with their sources, and so is what
    makes the interval wide. Nothing is stored, and nothing goes online.
    """
    from fairprint.audit.estimate import Planned, check, foretell
    from fairprint.audit.grid import resolve_grid
    from fairprint.reports.estimate_table import as_json as told
    from fairprint.reports.estimate_table import print_estimate

    grid = resolve_grid(country_iso_code, region=region, cloud_region=cloud_region, kg_per_kwh=kg_per_kwh)
    planned = Planned(
        parameters=parameters,
        tokens=tokens,
        active_parameters=active_parameters,
        attention=_attention(layers, hidden_size, sequence_length),
        flop=flop,
        per_parameter=_per_parameter(gradient_checkpointing, frozen_base, flop),
        devices=devices,
        hardware=None if hardware in OWN else hardware,
        peak_flops=peak_flops,
        mfu=mfu,
        achieved_flops=achieved_flops,
        power_w=power,
        pue=pue,
    )
    check(planned)
    if hardware in OWN:
        from dataclasses import replace

        planned = replace(planned, machine=_machine(hardware, devices, power is None))
    found = foretell(planned, grid)
    if as_json:
        typer.echo(told(found))
    else:
        print_estimate(found)


def _machine(hardware: str, devices: int, power: bool) -> "Machine":
    """Measure this machine, after what would be refused anyway."""
    if devices != 1:
        raise UsageError("this machine is measured as a whole: give no --devices with it")
    from fairprint.audit.this_machine import measure_machine

    return measure_machine(hardware, power=power)


def _attention(layers: int | None, hidden_size: int | None, sequence_length: int | None) -> "Attention | None":
    if layers is None and hidden_size is None and sequence_length is None:
        return None
    if layers is None or hidden_size is None or sequence_length is None:
        raise UsageError("attention needs all of --layers, --hidden-size and --sequence-length, or none")
    from fairprint.audit.estimate import Attention

    return Attention(layers=layers, width=hidden_size, sequence=sequence_length)


def _per_parameter(gradient_checkpointing: bool, frozen_base: bool, flop: float | None) -> float:
    from fairprint.audit.training_cost import FORWARD_AND_BACKWARD, WITH_CHECKPOINTING, WITH_FROZEN_BASE

    if gradient_checkpointing and frozen_base:
        raise UsageError("--gradient-checkpointing and --frozen-base together have no count", hint="give --flop")
    if flop is not None and (gradient_checkpointing or frozen_base):
        raise UsageError("--flop says all of the work: give neither --gradient-checkpointing nor --frozen-base with it")
    return WITH_CHECKPOINTING if gradient_checkpointing else WITH_FROZEN_BASE if frozen_base else FORWARD_AND_BACKWARD
