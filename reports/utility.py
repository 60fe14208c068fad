"""What is said of plain texts, which no finding about people rests on: how well a model predicts them."""

from collections.abc import Sequence

from markupsafe import Markup

from fairprint.audit.records import Estimate, ProbeInfo
from fairprint.probes.forms import TEXT
from fairprint.reports.numbers import interval, kind_of, number
from fairprint.reports.text import say

PER_TOKEN, PER_CHARACTER, PERPLEXITY = "mean_logprob_per_token", "mean_logprob_per_character", "perplexity"
METRICS: dict[str, tuple[str, str]] = {
    PER_TOKEN: (
        "Mean log probability of a token",
        "The log probability of all texts over the number of their tokens, in nats: the nearer to 0, the better the"
        " model predicts such texts. What a token is depends on the tokenizer, so that two models compare only where"
        " both cut the texts alike.",
    ),
    PERPLEXITY: (
        "Perplexity",
        "The exponential of minus the mean log probability of a token: among how many equally likely tokens the model"
        " would have to choose to be as uncertain. Of a masked model it is a pseudo-perplexity, of each token given all"
        " others (Salazar et al. 2020); the two do not compare.",
    ),
    PER_CHARACTER: (
        "Mean log probability of a character",
        "The log probability of all texts over the number of their characters, in nats: it compares between models"
        " whose tokenizers differ.",
    ),
}
"""Title and meaning of each metric, by name."""


def applies(probe: ProbeInfo) -> bool:
    """Say whether a set holds plain texts."""
    return probe.scored == TEXT


def sentences(estimates: Sequence[Estimate]) -> list[Markup]:
    """Return how well the texts are predicted; a comparison of two runs says what that is worth."""
    found = {e.metric: e for e in estimates}
    told = found.get(PERPLEXITY)
    if told is None or told.value is None:
        told = found.get(PER_CHARACTER)
    if told is None or told.value is None:
        return []
    title = METRICS[told.metric][0].lower()
    kind = kind_of(told)
    text = "Over {items} texts that speak of nobody the {title} is {value} ({level} interval {bounds})."
    said = say(
        text,
        items=number(told.items, "count"),
        title=title,
        value=number(told.value, kind),
        level=number(told.level, "level"),
        bounds=interval(told.low, told.high, kind, told.reason),
    )
    return [
        said + " It is no finding about people: compare shows with it whether a changed model still writes as well."
    ]
