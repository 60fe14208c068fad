"""What a training would take before it runs: duration, energy and emissions, with an interval from stated priors.

duration = FLOP / (devices x speed) x wall overhead; energy = duration x devices x power; the data centre's energy is
that times the PUE, and the emissions that times the grid factor. What is given is taken as exact, and only what is not
given is drawn. No number here was measured on the training itself.
"""

import math
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from fairprint.audit.footprints import check_pue
from fairprint.audit.records import GridFactor
from fairprint.audit.references import Assumed, Hardware, references
from fairprint.audit.training_cost import FORWARD_AND_BACKWARD, attention_flop, training_flop
from fairprint.probes.errors import UsageError, nearest

DRAWS, SEED = 10_000, 0
METHOD = f"5th, 50th and 95th percentile of {DRAWS:,} independent draws (seed {SEED})"
SMALLEST_SPEED = 1e9
"""FLOP/s below which a speed was surely meant in other units: a single core of a processor is faster."""

Shape = Literal["given", "measured", "uniform", "triangular", "log-normal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """What counts the operations of attention: layers, width of the residual stream, tokens of an example."""

    layers: int
    width: int
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What was measured of this machine.

    Attributes:
        flop_per_second: of matrix products.
        power_w: of each sensor while they ran (W), and its relative half-width.
        told: how, in words.
    """

    flop_per_second: float
    power_w: tuple[tuple[float, float], ...]
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What is known of a training; what is None is drawn from a prior.

    Attributes:
        parameters, tokens: N, and D as often as each token is seen.
        active_parameters: that a token goes through, of a mixture of experts.
        flop: operations, where they were counted; takes the place of 6ND.
        per_parameter: operations of a parameter and token.
        hardware: a key of the table of hardware; None where speed and power are given.
        machine: this machine instead of the table.
        peak_flops: FLOP/s of one device in the number format of the training.
        mfu: share of the peak, or of the speed of this machine's matrix products.
        achieved_flops: FLOP/s of one device over the whole training, pauses included.
        power_w: of one device with its share of the host.
        pue: power usage effectiveness.
    """

    parameters: float
    tokens: float
    active_parameters: float | None = None
    attention: Attention | None = None
    flop: float | None = None
    per_parameter: float = FORWARD_AND_BACKWARD
    devices: int = 1
    hardware: str | None = None
    machine: Machine | None = None
    peak_flops: float | None = None
    mfu: float | None = None
    achieved_flops: float | None = None
    power_w: float | None = None
    pue: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """One thing that the estimate needs, and how it is known.

    Attributes:
        values: one that is given; two of a uniform draw; low, likeliest and high of a triangular one; of log-normal
            ones the values that are summed.
        half_widths: of a log-normal draw, one for each value: 90 % lie between value / (1 + h) and value x (1 + h).
        origin: where it comes from.
    """

    name: str
    shape: Shape
    values: tuple[float, ...]
    unit: str
    origin: str
    half_widths: tuple[float, ...] = ()

    def draw(self, source: random.Random) -> float:
        """Draw a value."""
        if self.shape == "uniform":
            return source.uniform(*self.values)
        if self.shape == "triangular":
            low, mode, high = self.values
            return source.triangular(low, high, mode)
        if self.shape == "log-normal":
            spread = statistics.NormalDist().inv_cdf(0.95)
            parts = zip(self.values, self.half_widths, strict=True)
            return sum(value * source.lognormvariate(0.0, math.log1p(half) / spread) for value, half in parts)
        return self.values[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A median with a 90 % interval; the value is None with ``reason``."""

    value: float | None
    low: float
    high: float
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Foretold:
    """What a training would take.

    Attributes:
        flop: operations that are planned, before what is drawn.
        duration_s, machine_energy_kwh, energy_kwh, emissions_kg: the energy of the machines, and with the overhead of
            the data centre; without a PUE both are the same.
        priors: all that was used, given or drawn.
        shares: of the variance of the logarithm, by name of a prior, the largest first: of the emissions where the
            place is known, else of the energy. Empty where nothing was drawn.
    """

    planned: Planned
    grid: GridFactor
    flop: float
    duration_s: Range
    machine_energy_kwh: Range
    energy_kwh: Range
    emissions_kg: Range
    priors: tuple[Prior, ...]
    shares: Mapping[str, float]


def foretell(planned: Planned, grid: GridFactor) -> Foretold:
    """Return what a training would take.

    Args:
        planned: what is known of it.
        grid: the place, from `resolve_grid`.

    Raises:
        UsageError: a value is impossible, values contradict each other, or something is missing that no prior knows.
    """
    check(planned)
    flop = operations(planned)
    priors = priors_of(planned, grid)
    source = random.Random(SEED)
    drawn = {prior.name: [prior.draw(source) for _ in range(DRAWS)] for prior in priors}
    one = [1.0] * DRAWS
    rows = zip(*(drawn.get(name, one) for name in ("operations", "peak", "speed", "wall overhead")), strict=True)
    seconds = [flop * count / (planned.devices * peak * share) * wall for count, peak, share, wall in rows]
    machines = [s * planned.devices * watts / 3.6e6 for s, watts in zip(seconds, drawn["power"], strict=True)]
    energies = [kwh * pue for kwh, pue in zip(machines, drawn.get("PUE", one), strict=True)]
    return Foretold(
        planned=planned,
        grid=grid,
        flop=flop,
        duration_s=_range(seconds),
        machine_energy_kwh=_range(machines),
        energy_kwh=_range(energies),
        emissions_kg=_emissions(energies, grid, drawn),
        priors=priors,
        shares=_shares(drawn),
    )


def operations(planned: Planned) -> float:
    """Return the operations (FLOP) of a training: as counted, or 6ND with the attention where its shape is known."""
    if planned.flop is not None:
        return planned.flop
    active = planned.parameters if planned.active_parameters is None else planned.active_parameters
    flop = training_flop(active, planned.tokens, per_parameter=planned.per_parameter)
    if planned.attention is not None:
        shape = planned.attention
        flop += attention_flop(shape.layers, shape.width, shape.sequence, planned.tokens)
    return flop


def priors_of(planned: Planned, grid: GridFactor) -> tuple[Prior, ...]:
    """Return what is given and what would be drawn; without a place no grid factor, on this machine no PUE."""
    found = [_operations(planned), *_speed(planned), _power(planned)]
    if planned.pue is not None:
        found.append(_given("PUE", planned.pue, "1"))
    elif planned.machine is None:
        found.append(_assumed("PUE", references().priors["pue"]))
    if grid.kg_per_kwh is not None:
        values = (grid.low_kg_per_kwh, grid.kg_per_kwh, grid.high_kg_per_kwh)
        exact = values[0] == values[2]
        found.append(
            Prior(
                name="grid factor",
                shape="given" if exact else "triangular",
                values=values[1:2] if exact else values,
                unit="kg/kWh",
                origin=f"{grid.source}; {grid.method}",
            )
        )
    return tuple(found)


def _operations(planned: Planned) -> Prior:
    if planned.flop is not None:
        return _given("operations", 1.0, "times the count")
    key = "operations" if planned.attention is None else "operations_with_attention"
    return _assumed("operations", references().priors[key])


def _speed(planned: Planned) -> list[Prior]:
    """Return the speed of a device: what is achieved, or a peak with the share of it and the wall overhead."""
    if planned.achieved_flops is not None:
        return [_given("peak", planned.achieved_flops, "FLOP/s, achieved")]
    priors, machine = references().priors, planned.machine
    if machine is not None and planned.peak_flops is None:
        peak = Prior(
            name="peak", shape="measured", values=(machine.flop_per_second,), unit="FLOP/s", origin=machine.told
        )
        share = priors["machine_share"]
    elif planned.peak_flops is not None:
        peak, share = _given("peak", planned.peak_flops, "FLOP/s"), priors["mfu"]
    else:
        raise UsageError(
            f"the peak speed of {planned.hardware or 'the hardware'} is not known to fairprint",
            hint="give --peak-flops as the vendor states it for the number format of the training, or --achieved-flops "
            "where the speed of such a training is known, or --hardware this to measure this machine",
        )
    reached = _assumed("speed", share) if planned.mfu is None else _given("speed", planned.mfu, share.unit)
    return [peak, reached, _assumed("wall overhead", priors["wall_overhead"])]


def _power(planned: Planned) -> Prior:
    if planned.power_w is not None:
        return _given("power", planned.power_w, "W a device")
    if planned.machine is not None:
        return Prior(
            name="power",
            shape="log-normal",
            values=tuple(watts for watts, _ in planned.machine.power_w),
            half_widths=tuple(half for _, half in planned.machine.power_w),
            unit="W",
            origin=planned.machine.told,
        )
    if planned.hardware is None:
        raise UsageError("neither the hardware nor its power is given", hint="give --hardware or --power")
    device, priors = find_hardware(planned.hardware), references().priors
    if device.it_power_w is not None:
        return _assumed("power", priors["power_w"], device.it_power_w)
    low, mode, high = priors["power_of_tdp"].values
    middle_w = sum(device.tdp_w) / 2
    values = (low * device.tdp_w[0], mode * middle_w, high * device.tdp_w[1])
    prior = _assumed("power", priors["power_of_tdp"], values)
    tdp = " to ".join(f"{watts:g}" for watts in dict.fromkeys(device.tdp_w))
    return Prior(
        name=prior.name,
        shape=prior.shape,
        values=values,
        unit="W a device",
        origin=f"TDP {tdp} W ({low:g}, {mode:g} and {high:g} times); {prior.origin}",
    )


def find_hardware(key: str) -> Hardware:
    """Return an accelerator of the table.

    Raises:
        UsageError: the table has none of that name.
    """
    table = references().hardware
    if key not in table:
        known = ", ".join([*table, "cpu", "this"])
        raise UsageError(f"unknown hardware '{key}'.{nearest(key, [*table, 'cpu', 'this'])}", hint=f"known: {known}")
    return table[key]


def _given(name: str, value: float, unit: str) -> Prior:
    return Prior(name=name, shape="given", values=(value,), unit=unit, origin="given")


def _assumed(name: str, prior: Assumed, values: tuple[float, ...] | None = None) -> Prior:
    values = prior.values if values is None else values
    origin = prior.why if prior.source is None else f"{prior.why} ({prior.source.where})"
    shape: Shape = "uniform" if len(values) == 2 else "triangular"
    return Prior(name=name, shape=shape, values=values, unit=prior.unit, origin=origin)


def _range(values: Sequence[float]) -> Range:
    cuts = statistics.quantiles(values, n=20)
    return Range(value=cuts[9], low=cuts[0], high=cuts[-1])


def _emissions(energies: Sequence[float], grid: GridFactor, drawn: Mapping[str, Sequence[float]]) -> Range:
    if grid.kg_per_kwh is None:
        energy = _range(energies)
        reason = "location unknown: the emissions span the world's countries"
        low, high = energy.low * grid.low_kg_per_kwh, energy.high * grid.high_kg_per_kwh
        return Range(value=None, low=low, high=high, reason=reason)
    return _range([kwh * factor for kwh, factor in zip(energies, drawn["grid factor"], strict=True)])


def _shares(drawn: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return each prior's share of the variance of the logarithm, which is a sum since the estimate is a product."""
    variances = {name: statistics.pvariance([math.log(x) for x in values]) for name, values in drawn.items()}
    total = sum(variances.values())
    # values that are all the same may leave a variance of a few roundings
    found = {name: variance / total for name, variance in variances.items() if variance > 1e-20}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


# what cannot be


def check(planned: Planned) -> None:
    """Refuse what is impossible, and values that contradict each other.

    Raises:
        UsageError: so.
    """
    for what, value, such_as in (
        ("number of parameters", planned.parameters, "135e6"),
        ("number of tokens", planned.tokens, "1e9"),
        ("number of active parameters", planned.active_parameters, "13e9"),
        ("number of operations", planned.flop, "3e23"),
        ("number of devices", planned.devices, "8"),
        ("power", planned.power_w, "400 W a device"),
        *(() if planned.attention is None else (("number of layers", planned.attention.layers, "30"),)),
        *(() if planned.attention is None else (("hidden size", planned.attention.width, "576"),)),
        *(() if planned.attention is None else (("sequence length", planned.attention.sequence, "2048"),)),
    ):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise UsageError(f"a {what} of {value:g} is impossible: expected more than 0, such as {such_as}")
    for what, speed in (("a peak", planned.peak_flops), ("an achieved speed", planned.achieved_flops)):
        if speed is not None and not (math.isfinite(speed) and speed >= SMALLEST_SPEED):
            hint = f"if that is in TFLOP/s, give {speed:g}e12" if 0 < speed < SMALLEST_SPEED else None
            raise UsageError(
                f"{what} of {speed:g} FLOP/s is impossible: expected {SMALLEST_SPEED:g} or more", hint=hint
            )
    if planned.mfu is not None and not 0 < planned.mfu <= 1:
        hint = f"if that is in per cent, give {planned.mfu / 100:g}" if 1 < planned.mfu <= 100 else None
        raise UsageError(f"an MFU of {planned.mfu:g} is impossible: expected a share above 0 and up to 1", hint=hint)
    check_pue(planned.pue)
    _check_together(planned)


def _check_together(planned: Planned) -> None:
    active = planned.active_parameters
    if active is not None and active > planned.parameters:
        raise UsageError(f"{active:g} active parameters are more than the model has, {planned.parameters:g}")
    if planned.achieved_flops is not None and (planned.mfu, planned.peak_flops) != (None, None):
        raise UsageError("an achieved speed says all of the speed: give no peak and no MFU with it")
    if planned.flop is not None and (active, planned.attention) != (None, None):
        raise UsageError("a number of operations says all of the work: give no active parameters and no shape with it")
    if planned.machine is not None and planned.devices != 1:
        raise UsageError("this machine is measured as a whole: give no number of devices with it")
    if planned.hardware is not None and planned.machine is None:
        find_hardware(planned.hardware)
