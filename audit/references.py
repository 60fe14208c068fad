"""Published figures of trainings and of other things that emit, read from ``data/references.yaml``.

A figure that was not checked against its source serves the tests, and is never shown: every function here that picks
figures for a reader leaves it out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from fairprint.audit.training_cost import FORMULAS, KG_PER_LB

Kind = Literal["run", "equivalence", "factor", "embodied", "formula"]
Quantity = Literal["energy", "emissions", "factor", "operations", "share"]

TO_BASE = {
    **{"kWh": 1.0, "MWh": 1e3},
    **{"g": 1e-3, "kg": 1.0, "t": 1e3, "lb": KG_PER_LB},
    **{"kg/kWh": 1.0, "FLOP": 1.0, "h": 1.0, "1": 1.0},
}
"""Units of figures in kWh, kg and the like."""

_CAR, _PHONE, _FLIGHT = "car-km", "phone-charge", "flight-paris-london"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a figure comes from; the year is None where the source tells none."""

    short: str
    title: str
    where: str
    year: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One published number.

    Attributes:
        about: what it is of, in words that can follow "of".
        value, unit: as published; ``base`` is the same in kWh, kg or kg/kWh.
        year: in which it was published or for which it holds; None where the source tells none.
        formula: a name of `FORMULAS` that gives it from ``inputs``; None where no inputs are published.
        rounding: why the two differ; empty without a formula.
        checked: whether it was verified against the source; else it is never shown.
    """

    id: str
    kind: Kind
    about: str
    quantity: Quantity
    value: float
    unit: str
    source: Source
    year: int | None
    checked: bool
    formula: str | None = None
    inputs: Mapping[str, float] = field(default_factory=dict)
    rounding: str = ""

    @property
    def base(self) -> float:
        """The value in kWh, kg, kg/kWh or FLOP."""
        return self.value * TO_BASE[self.unit]

    def recomputed(self) -> float | None:
        """Return what the formula gives from the inputs, in the unit of the figure; None without a formula."""
        if self.formula is None:
            return None
        found = FORMULAS[self.formula](**self.inputs)
        return found if self.formula.endswith("_lb") else found / TO_BASE[self.unit]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """An accelerator.

    Attributes:
        tdp_w: full-load power (W), from the lowest to the highest of the versions of one name.
        it_power_w: low, likeliest and high power (W) of one with its share of the host; None where nobody gives it.
    """

    key: str
    name: str
    tdp_w: tuple[float, float]
    it_power_w: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """What is assumed of a training before it runs: three values are triangular, two uniform, none are the hardware's.

    Attributes:
        why: where it comes from, or that it is an assumption.
        source: None where it is an assumption of fairprint.
    """

    values: tuple[float, ...]
    unit: str
    why: str
    source: Source | None


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """All that the file holds."""

    figures: tuple[Figure, ...]
    hardware: Mapping[str, Hardware]
    priors: Mapping[str, Assumed]

    def figure(self, key: str) -> Figure:
        """Return a figure by its id.

        Raises:
            KeyError: there is none.
        """
        return {each.id: each for each in self.figures}[key]


@cache
def references() -> References:
    """Return what the file holds; it is read once."""
    import yaml

    text = (files("fairprint.audit") / "data" / "references.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    sources = {key: Source(**fields) for key, fields in content["sources"].items()}
    return References(
        figures=tuple(_figure(fields, sources) for fields in content["figures"]),
        hardware={key: _hardware(key, fields) for key, fields in content["hardware"].items()},
        priors={
            key: Assumed(
                values=tuple(map(float, fields.get("values", ()))),
                unit=fields["unit"],
                why=fields["why"],
                source=sources[fields["source"]] if "source" in fields else None,
            )
            for key, fields in content["priors"].items()
        },
    )


def _figure(fields: dict[str, Any], sources: Mapping[str, Source]) -> Figure:
    source = sources[fields["source"]]
    inputs = {name: float(value) for name, value in fields.get("inputs", {}).items()}
    told = {"year": source.year, **fields, "source": source, "value": float(fields["value"]), "inputs": inputs}
    return Figure(**told)


def _hardware(key: str, fields: dict[str, Any]) -> Hardware:
    tdp_w, it_power_w = [float(watts) for watts in fields["tdp_w"]], fields.get("it_power_w")
    return Hardware(
        key=key,
        name=fields["name"],
        tdp_w=(tdp_w[0], tdp_w[-1]),
        it_power_w=None if it_power_w is None else (float(it_power_w[0]), float(it_power_w[1]), float(it_power_w[2])),
    )


# for scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalence:
    """How often something that people know emits the same.

    Attributes:
        count: how often; a fraction of it below 1.
        figure: what emits it once, with its source.
    """

    count: float
    figure: Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """The published runs next to one, of the same quantity.

    Attributes:
        value: of the run, in kWh or kg.
        below, above: the nearest figure that is at most, and the nearest that is more; None where there is none.
    """

    quantity: Literal["energy", "emissions"]
    value: float
    below: Figure | None
    above: Figure | None


def shown() -> tuple[Figure, ...]:
    """Return the figures that a reader may see: those that were checked against their source."""
    return tuple(figure for figure in references().figures if figure.checked)


def equivalences(emissions_kg: float) -> tuple[Equivalence, ...]:
    """Return what emits as much as a run: kilometres of a car, charges of a phone, and a flight.

    Args:
        emissions_kg: of the run.
    """
    found = {figure.id: figure for figure in shown()}
    return tuple(
        Equivalence(count=emissions_kg / found[key].base, figure=found[key])
        for key in (_CAR, _PHONE, _FLIGHT)
        if key in found
    )


def for_scale(energy_kwh: float | None, emissions_kg: float | None) -> tuple[Neighbours, ...]:
    """Return the published runs next to one by energy, and by emissions; what is None is left out.

    Args:
        energy_kwh: of the run.
        emissions_kg: of the run.
    """
    told: list[Neighbours] = []
    if energy_kwh is not None:
        told.append(_next_to("energy", energy_kwh))
    if emissions_kg is not None:
        told.append(_next_to("emissions", emissions_kg))
    return tuple(told)


def _next_to(quantity: Literal["energy", "emissions"], value: float) -> Neighbours:
    runs = [figure for figure in shown() if figure.kind == "run" and figure.quantity == quantity]
    below, above = [f for f in runs if f.base <= value], [f for f in runs if f.base > value]
    return Neighbours(
        quantity=quantity,
        value=value,
        below=max(below, key=lambda figure: figure.base, default=None),
        above=min(above, key=lambda figure: figure.base, default=None),
    )


def sources_of(figures: Iterable[Figure]) -> tuple[Source, ...]:
    """Return the sources of figures, each once, in their order."""
    return tuple(dict.fromkeys(figure.source for figure in figures))
