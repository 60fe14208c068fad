"""Limits of the gate, as ``[tool.fairprint]`` of pyproject.toml or fairprint.toml states them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from fairprint.audit.checks import Direction

FOOTPRINT = ("energy_kwh", "emissions_kg")
"""What a run cost: absolute budgets alone, since figures of two machines or two days are not of the same thing."""
WORK = ("tokens", "flops")
"""What a run made the model do, the same on every machine: limits relative to the baseline alone, in percent."""


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, alias_generator=lambda name: name.replace("_", "-")
    )


class Limit(_Strict):
    """One limit: on a number itself (``max``, ``min``), on its worsening since the baseline (``margin``), or on both.

    With none of the three it is a limit on the worsening, whose margin is the smallest worsening that the gate detects.
    """

    metric: str = Field(
        description="such as signed_effect or stereotype_score; energy_kwh, emissions_kg, tokens, flops"
    )
    probes: str | None = Field(None, description="name of the probe set")
    instrument: str | None = Field(None, description="name of the way to ask, where the set was asked in several")
    label: str | None = Field(None, description="label of a classifier, where there are several")
    scope: str = Field("all", description="all, category:NAME, group:ID, condition:NAME or quality:clean")
    comparison: tuple[str, str] | None = Field(None, description="ids of two groups, where the metric compares several")
    direction: Direction | None = Field(
        None, description="which way is worse; without it away from neutral, or the metric's worse end"
    )
    margin: float | None = Field(
        None, gt=0, description="largest worsening since the baseline: in points for shares, in percent for tokens and "
        "flops, else in the unit of the metric"
    )  # fmt: skip
    max: float | None = Field(None, description="largest value; points and units as for margin")
    min: float | None = Field(None, description="smallest value, where direction is down")
    name: str | None = Field(
        None, min_length=1, description="what the limit is called, where its metric and set do not say enough"
    )

    @field_validator("margin", mode="before")
    @classmethod
    def _some_margin(cls, value: object) -> object:
        if isinstance(value, int | float) and not isinstance(value, bool) and value <= 0:
            raise ValueError(
                f"a margin must lie above 0, and here stands {value}: no data can show that nothing at all became worse"
                " | leave margin out for the smallest that the gate detects, or give the smallest that matters"
            )
        return value

    @model_validator(mode="after")
    def _agrees(self) -> "Limit":
        if (refused := _contradiction(self)) is not None:
            raise ValueError(" | ".join(refused))
        return self

    @property
    def about(self) -> tuple[object, ...]:
        """What tells a limit from others of its file."""
        return self.name, self.metric, self.probes, self.instrument, self.label, self.scope, self.comparison


def _contradiction(limit: Limit) -> tuple[str, str] | None:
    """Return what in a limit does not go together, and a way out."""
    metric, bounds = limit.metric, (limit.max, limit.min)
    if metric in (*FOOTPRINT, *WORK):
        if any((limit.probes, limit.instrument, limit.label, limit.comparison)) or limit.scope != "all":
            return f"{metric} is that of the whole run", "leave out probes, instrument, label, scope and comparison"
        if limit.direction is not None:
            return f"more {metric} is always worse", "leave out direction"
    if metric in FOOTPRINT and (
        limit.max is None or limit.max <= 0 or limit.min is not None or limit.margin is not None
    ):
        why = "what two machines or two days used cannot be compared"
        return f"{metric} needs a budget above 0, and nothing else: {why}", "max = ..., or a margin for tokens or flops"
    if metric in WORK and (limit.margin is None or any(bound is not None for bound in bounds)):
        return f"{metric} needs a margin in percent since the baseline, and nothing else", "margin = 5"
    if metric in (*FOOTPRINT, *WORK):
        return None
    if limit.probes is None:
        return f"a limit on {metric} needs the name of its probe set", "probes = 'gendered-occupations'"
    if None not in bounds:
        return "a limit has either max or min", "write two limits"
    if limit.max is not None and limit.direction == "down":
        return "max does not go with direction = 'down'", "use min, or direction = 'up'"
    if limit.min is not None and limit.direction in ("up", "away_from_neutral"):
        return f"min does not go with direction = '{limit.direction}'", "use max, or direction = 'down'"
    if limit.direction == "away_from_neutral" and limit.max is not None and limit.max <= 0:
        return "max is a distance from the neutral value here, and must lie above 0", "give the largest that is allowed"
    return None


class Settings(_Strict):
    """``[tool.fairprint]``: where runs lie, and what a run must keep."""

    store: str = Field("fairprint-runs", description="folder of runs")
    baseline: str = Field("fairprint-baseline.json", description="the file that fairprint baseline update writes")
    strict: bool = Field(False, description="inconclusive limits stop with exit code 5")
    require_baseline: bool = Field(
        False, description="a missing baseline, or one that lacks a limit's metric, stops with 4"
    )
    allow_partial: bool = Field(False, description="judge runs that asked only a part of the questions")
    max_age_days: Annotated[int, Field(gt=0)] = Field(180, description="an older baseline is named")
    limits: tuple[Limit, ...] = Field((), description="[[tool.fairprint.limits]]")

    @field_validator("limits", mode="after")
    @classmethod
    def _told_apart(cls, limits: tuple[Limit, ...]) -> tuple[Limit, ...]:
        seen: dict[tuple[object, ...], int] = {}
        for number, limit in enumerate(limits, 1):
            if limit.about in seen:
                raise ValueError(
                    f"limits {seen[limit.about]} and {number} are about the same, {limit.metric}"
                    " | give one of them a name, or write both in one"
                )
            seen[limit.about] = number
        return limits


Kind = Literal["absolute", "relative"]
