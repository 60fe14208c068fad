"""What fairprint has to say in a model card: the metadata and the sections that are spliced into it.

The parts are data: nothing here knows where in a card they go, and whoever writes them need not know the card.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

SectionKey = Literal["bias", "recommendations", "evaluation", "environment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One number of the model index.

    Attributes:
        type: the metric's identifier, such as ``stereotype_score``.
        value: a finite number.
        name: the metric's name for people.
        args: what else belongs to the number, such as low, high, level, items: the Hub's client drops unknown keys
            of a metric, and keeps these.
    """

    type: str
    value: float
    name: str
    args: Mapping[str, str | int | float]

    def __post_init__(self) -> None:
        numbers = {"value": self.value, **{f"args.{key}": value for key, value in self.args.items()}}
        for key, value in numbers.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"metric {self.type}: {key} is {value}: leave out what was not measured")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The metrics of one subset of one data set.

    The Hub's client groups results by task_type, dataset_type, dataset_config, dataset_split and dataset_revision
    alone: two subsets need two configs, or they are merged under the name of the first.
    """

    task_type: str
    task_name: str
    dataset_type: str
    dataset_name: str
    dataset_config: str | None
    dataset_split: str | None
    dataset_revision: str | None
    metrics: tuple[Metric, ...]
    source_name: str | None
    source_url: str | None

    def __post_init__(self) -> None:
        if not self.metrics:
            raise ValueError(f"result of {self.dataset_type}: there are no metrics")
        if self.source_name is not None and self.source_url is None:
            raise ValueError(f"result of {self.dataset_type}: a source needs a URL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Emissions:
    """What training the model emitted, as the Hub's ``co2_eq_emissions`` says it.

    Attributes:
        emissions_g: grams of CO2 equivalents, above 0.
        source: the tool that measured it.
        training_type: as the Hub names it, such as pre-training or fine-tuning.
        geographical_location: as granular as it is known; None where it is not.
        hardware_used: None where it is not known.
        scope: what the grams cover, in a few words; written as a comment line, since the Hub has no key for it.
    """

    emissions_g: float
    source: str
    training_type: str
    geographical_location: str | None
    hardware_used: str | None
    scope: str

    def __post_init__(self) -> None:
        if not (math.isfinite(self.emissions_g) and self.emissions_g > 0):
            raise ValueError(
                f"emissions are {self.emissions_g} g: give a number above 0, or no Emissions and the reason"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The text of one section of the card's body.

    Attributes:
        key: the section; ``recommendations`` is a section of its own below ``bias``.
        title: the heading that is made where the card has none, such as "Bias, Risks, and Limitations".
        markdown: what goes below the heading, without the heading itself. Lines end in LF. Headings in it
            are one or more levels below the section's, counted as in the Hub's template, where ``bias``,
            ``evaluation`` and ``environment`` have level 2 and ``recommendations`` 3: so ``### Results``. What stands
            below a heading of the template, such as ``#### Testing Data``, ``#### Factors``, ``#### Metrics`` or
            ``### Results``, goes below the card's own heading of that name where it has one.
    """

    key: SectionKey
    title: str
    markdown: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CardParts:
    """Everything that goes into one card.

    Attributes:
        model_name: the model's name in the model index.
        results: the model index's results; none where nothing was measured.
        emissions: None where no training was measured.
        emissions_reason: why there are none; empty where there are some.
        sections: each key at most once.
    """

    model_name: str
    results: tuple[Result, ...]
    emissions: Emissions | None
    emissions_reason: str
    sections: tuple[Section, ...]

    def __post_init__(self) -> None:
        keys = [section.key for section in self.sections]
        if len(set(keys)) < len(keys):
            raise ValueError(f"a section stands twice among {', '.join(keys)}")
        if self.emissions is None and not self.emissions_reason:
            raise ValueError("without emissions there must be a reason")
