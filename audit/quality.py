"""How good a trained model is: what its trainer notes beside the energy, item by item where there are items."""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairprint.audit.metered import Quality
from fairprint.probes.errors import StoreError, UsageError

LARGEST = 1e100
"""Larger values of an item are none: their squares, of which an interval is made, are no numbers any more."""
FOLDER = "quality"
"""Where in a run's folder the items are."""

_NOT_QUALITY = re.compile(r"runtime|per_second|preparation_time|^epoch$|energy_|emissions_")
_LOWER_IS_BETTER = re.compile(r"loss|perplexity|error|(^|_)(wer|cer|mae|mse|rmse)($|_)")


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityItem:
    """One answer of a trained model.

    Attributes:
        item: its id, the same for all models that answer it, so that two can be paired.
        value: such as 1 for a right answer and 0 for a wrong one.
        units: what it is made of, such as ``{"word": "trumpet", "template": "t3"}``; the same kinds for all items.
    """

    item: str
    value: float
    units: Mapping[str, str] = field(default_factory=dict)


def quality_of(
    metric: str,
    value: float | None = None,
    *,
    items: Sequence[QualityItem] = (),
    part: str = "",
    higher_is_better: bool = True,
    note: str = "",
) -> Quality:
    """Return what is noted in a record; without items, or with them and their mean.

    Raises:
        UsageError: no number is given, it is not finite, two items share an id, or their units are of several kinds.
    """
    if not metric:
        raise UsageError("a quality has no metric", hint='name one, such as "accuracy"')
    if not items:
        if value is None or not math.isfinite(value):
            raise UsageError(f"the {metric} is {value}: expected a finite number, or the items that it is the mean of")
        return Quality(
            metric=metric,
            part=part,
            value=float(value),
            higher_is_better=higher_is_better,
            no_interval="only the value was noted, without items",
            note=note,
        )
    kinds, seen = set(items[0].units), set()
    for item in items:
        if not abs(item.value) <= LARGEST:
            raise UsageError(f"the {metric} of the item '{item.item}' is {item.value}: expected a finite number")
        if item.item in seen:
            raise UsageError(f"two items of the {metric} are called '{item.item}': expected one of each")
        if set(item.units) != kinds:
            raise UsageError(
                f"the item '{item.item}' has the units {sorted(item.units)}, others have {sorted(kinds)}",
                hint="give all items units of the same kinds",
            )
        seen.add(item.item)
    mean = math.fsum(item.value for item in items) / len(items)
    return Quality(
        metric=metric,
        part=part,
        value=mean if value is None else float(value),
        **_bounds(items, None if value is None or math.isclose(value, mean, abs_tol=1e-9) else value),
        higher_is_better=higher_is_better,
        items=len(items),
        units={kind: len({item.units[kind] for item in items}) for kind in sorted(kinds)},
        sha256=hashlib.sha256(as_lines(items).encode()).hexdigest(),
        note=note,
    )


def _bounds(items: Sequence[QualityItem], other: float | None) -> dict[str, Any]:
    """Return the interval of the mean of some items; none of another number that was noted with them."""
    if other is not None:
        return {"no_interval": "what was noted is not the mean of its items, so that they give it no interval"}
    from fairprint.audit.item_means import mean_of

    found = mean_of([item.value for item in items], [item.units for item in items], [item.item for item in items])
    return {"low": found.low, "high": found.high, "no_interval": found.reason, "warnings": found.warnings}


def as_lines(items: Iterable[QualityItem]) -> str:
    """Return one line of JSON for each item."""
    return "".join(
        json.dumps(
            {"item": item.item, "value": item.value, "units": dict(item.units)},
            ensure_ascii=False,
            allow_nan=False,
            sort_keys=True,
        )
        + "\n"
        for item in items
    )


def read_items(run: Path, quality: Quality) -> tuple[QualityItem, ...]:
    """Return the items that a quality is the mean of; none where only its value was noted.

    Args:
        run: folder of the run.
        quality: from its record.

    Raises:
        StoreError: the file is gone, was changed, or cannot be read.
    """
    if quality.file is None:
        return ()
    where = f"{run.name}/{quality.file}"
    try:
        content = (run / quality.file).read_bytes()
    except OSError as error:
        raise StoreError(f"{where} cannot be read: {error.strerror}") from None
    if hashlib.sha256(content).hexdigest() != quality.sha256:
        raise StoreError(f"{where} is not what the record says: it was changed", hint="fetch the run again")
    try:
        return tuple(
            QualityItem(item=told["item"], value=float(told["value"]), units=told["units"])
            for told in map(json.loads, content.decode().split("\n")[:-1])
        )
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{where} cannot be read: {error}") from None


def of_evaluation(
    metrics: Mapping[str, Any], best: str | None = None, best_is_greater: bool | None = None
) -> list[Quality]:
    """Return what an evaluation of a Trainer found: its numbers, without times.

    Args:
        metrics: as ``Trainer.evaluate`` returns them, with their prefix.
        best: the metric by which the Trainer chooses the best model, and whether a greater one is better.
        best_is_greater: whether a greater one is better.
    """
    found = []
    for key, value in metrics.items():
        name = key.removeprefix("eval_")
        if isinstance(value, bool) or not isinstance(value, int | float) or _NOT_QUALITY.search(name):
            continue
        if not math.isfinite(value):
            continue
        if best is not None and best_is_greater is not None and best.removeprefix("eval_") == name:
            higher, how = best_is_greater, "direction as the Trainer's greater_is_better says it"
        else:
            higher, how = not _LOWER_IS_BETTER.search(name.lower()), "direction by the name of the metric"
        found.append(quality_of(name, float(value), higher_is_better=higher, note=f"of the last evaluation; {how}"))
    return found
