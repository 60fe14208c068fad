"""Limits of the gate, as ``[tool.fairprint]`` of pyproject.toml or fairprint.toml states them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

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
    name: str | None = Field(None, description="what the limit is called, where its metric and set do not say enough")


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


Kind = Literal["absolute", "relative"]
