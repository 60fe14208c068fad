"""Published figures beside estimates: those of the same model, asked the same questions in the same way."""

from collections.abc import Mapping, Sequence

from fairprint.audit.records import Estimate, Published
from fairprint.probes.published import FIGURES, Figure

BY_NAME = "the model here is taken for that one by its name"


def with_published(
    estimates: Sequence[Estimate], model: str | None, asked: Mapping[str, int], *, certain: bool
) -> list[Estimate]:
    """Put the published figure beside each estimate that has one.

    Args:
        estimates: of one run.
        model: name of the model, as its user gave it or a file of recorded answers has it; None where that is unknown.
        asked: how many items of each probe set were asked; a figure of a whole set says nothing of a part of it.
        certain: whether the model is known to be the one of that name, and not only called so.
    """
    name = (model or "").partition("@")[0]
    figures = {(f.probe_set, f.instrument, f.metric, f.scope): f for f in FIGURES if name in f.models}
    if not figures:
        return list(estimates)
    return [_beside(estimate, figures, asked, certain) for estimate in estimates]


def _beside(
    estimate: Estimate, figures: Mapping[tuple[str, str, str, str], Figure], asked: Mapping[str, int], certain: bool
) -> Estimate:
    instrument = estimate.instrument.removeprefix(f"{estimate.probe_set} / ")
    figure = figures.get((estimate.probe_set, instrument, estimate.metric, estimate.scope))
    if figure is None or asked.get(estimate.probe_set) != figure.items:
        return estimate
    source = figure.source if certain else f"{figure.source}; {BY_NAME}"
    return estimate.model_copy(update={"published": Published(value=figure.value, source=source)})
