"""Formulas of what a training computes, uses and emits, each with its units and where it comes from.

They have no data of their own: the figures that they reproduce stand in ``data/references.yaml``, and each figure there
that has inputs names one of `FORMULAS`.
"""

from collections.abc import Callable

KG_PER_LB = 0.45359237
"""International pound, by definition."""
KM_PER_MILE = 1.609344
"""International mile, by definition."""

FORWARD_AND_BACKWARD = 6
"""Operations of a parameter and token: two forward and four backward."""
WITH_CHECKPOINTING = 8
"""The same where activations are computed a second time for the backward pass."""
WITH_FROZEN_BASE = 4
"""The same where only adapters learn: no gradient of the weights themselves is made."""


def training_flop(parameters: float, tokens: float, *, per_parameter: float = FORWARD_AND_BACKWARD) -> float:
    """Return the operations (FLOP) of training a dense model: 6 N D.

    Kaplan et al. 2020 (arXiv 2001.08361), section 2.1. Attention is left out (`attention_flop`).

    Args:
        parameters: N; of a mixture of experts only those that a token goes through.
        tokens: D; steps x batch x sequence length, so each as often as it is seen.
        per_parameter: 6; 8 with gradient checkpointing, about 4 with a frozen base.

    >>> f"{training_flop(175e9, 300e9):.3g}"
    '3.15e+23'
    """
    return per_parameter * parameters * tokens


def attention_flop(layers: float, width: float, sequence: float, tokens: float) -> float:
    """Return the operations (FLOP) that attention adds to `training_flop`: 12 L d s for each token.

    Args:
        layers: L.
        width: d, of the residual stream.
        sequence: s, tokens of a training example.
        tokens: D, of the whole training.
    """
    return 12 * layers * width * sequence * tokens


def mfu(flop: float, duration_s: float, devices: float, peak_flop_per_second: float) -> float:
    """Return the model FLOP utilisation: the share of the devices' peak that a training reached."""
    return flop / (duration_s * devices * peak_flop_per_second)


def energy_of_flop_kwh(flop: float, flop_per_second: float, power_w: float, pue: float) -> float:
    """Return the energy (kWh) of a computation: FLOP / (FLOP/s) x W x PUE / 3.6e6.

    Patterson et al. 2021 (arXiv 2104.10350). The number of devices cancels out.

    Args:
        flop: operations of the whole training.
        flop_per_second: that one device achieves.
        power_w: of one device while it does.
        pue: power usage effectiveness of the data centre.
    """
    return flop / flop_per_second * power_w * pue / 3.6e6


def energy_of_hours_kwh(hours: float, power_w: float, pue: float = 1.0) -> float:
    """Return the energy (kWh) of hours (of devices, summed) at a mean power (W), with the PUE."""
    return hours * power_w * pue / 1000


def emissions_kg(energy_kwh: float, kg_per_kwh: float) -> float:
    """Return the emissions (kg CO2e) of an energy at a grid factor (kg CO2e/kWh)."""
    return energy_kwh * kg_per_kwh


def emissions_of_hours_kg(hours: float, power_w: float, pue: float, kg_per_kwh: float) -> float:
    """Return the emissions (kg CO2e) of device-hours: hours x W x PUE x kg/kWh, as the cards of Llama count them."""
    return emissions_kg(energy_of_hours_kwh(hours, power_w, pue), kg_per_kwh)


def emissions_of_hours_lb(hours: float, power_w: float, pue: float, lb_per_kwh: float) -> float:
    """Return the same in pounds, with a factor in pounds, as Strubell et al. 2019 (arXiv 1906.02243) count them."""
    return energy_of_hours_kwh(hours, power_w, pue) * lb_per_kwh


def kg_of_lb(pounds: float) -> float:
    """Return a mass of pounds in kilograms."""
    return pounds * KG_PER_LB


def factor_with_overhead(pue: float, kg_per_kwh: float) -> float:
    """Return the emissions (kg CO2e) of a kWh at the machine: PUE x grid factor."""
    return pue * kg_per_kwh


def emissions_of_km_kg(t_per_mile: float) -> float:
    """Return the emissions (kg CO2e) of a kilometre from those (t) of a mile."""
    return t_per_mile * 1000 / KM_PER_MILE


def embodied_kg(
    made_kg: float, lifetime_h: float, used_h: float, *, busy_share: float = 1.0, part: float = 1.0
) -> float:
    """Return the share (kg CO2e) of making hardware that falls to a use: TE x (TiR / EL) x (RR / ToR).

    ISO/IEC 21031 (SCI); Luccioni et al. 2022 (arXiv 2211.02001) spread it over the busy hours alone.

    Args:
        made_kg: TE, of making the whole.
        lifetime_h: EL, hours that it serves.
        used_h: TiR, hours of the use.
        busy_share: share of the lifetime in which it works.
        part: RR / ToR, share of the whole that was used, such as one of eight.

    >>> round(1000 * embodied_kg(1000, 4 * 365 * 24, 1), 1)
    28.5
    """
    return made_kg * part * used_h / (lifetime_h * busy_share)


def sci_kg(energy_kwh: float, kg_per_kwh: float, embodied_kg: float, units: float = 1.0) -> float:
    """Return the software carbon intensity (kg CO2e for a unit): ((E x I) + M) / R (ISO/IEC 21031).

    Args:
        energy_kwh: E, operational, with the overhead of the data centre.
        kg_per_kwh: I, of the place; no offsets and no market-based factor.
        embodied_kg: M, the share of making the hardware.
        units: R, such as training runs, or thousands of queries.
    """
    return (energy_kwh * kg_per_kwh + embodied_kg) / units


FORMULAS: dict[str, Callable[..., float]] = {
    formula.__name__: formula
    for formula in (
        training_flop,
        energy_of_flop_kwh,
        emissions_kg,
        emissions_of_hours_kg,
        emissions_of_hours_lb,
        factor_with_overhead,
        emissions_of_km_kg,
        embodied_kg,
        sci_kg,
    )
}
"""What a figure may name as its formula: functions of its inputs."""
