"""How well a model predicts plain texts: what stands beside the findings about people.

Without it a worse model could pass for a fairer one (Meade et al. 2022). All are quotients of sums over texts, each of
which is its own unit: the log-probability over the tokens, or over the characters. A token is whatever a model's
tokenizer makes of the text, so that figures per token of two models compare only where both cut the texts alike; a
character is the same for all. Of a masked model the log-probability is a pseudo-log-likelihood, and the perplexity a
pseudo-perplexity (Salazar et al. 2020); of an encoder-decoder it is that of the second half of each text, given the
first.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from fairprint.audit.metrics import Metric, Row, values
from fairprint.audit.parts import Part
from fairprint.audit.statistics import Array, Factors, Sums
from fairprint.probes.items import Item, ProbeSet
from fairprint.probes.scores import LOGPROB, TOKENS, Score
from fairprint.probes.tasks import halves


def _over(of: Callable[[Array], Array]) -> Callable[[Sequence[Row], Factors], Sums]:
    """Return the form of a function of the mean log-probability of a token or character, whose number is ``also``."""

    def form(rows: Sequence[Row], factors: Factors) -> Sums:
        lengths = np.array([row.also for row in rows], dtype=np.float64)

        def combine(sums: Array) -> Array:
            with np.errstate(invalid="ignore", divide="ignore"):
                return of(sums[:, 0, 0] / sums[:, 0, 1])

        return Sums(columns=np.stack([values(rows), lengths], axis=1), combine=combine)

    return form


_NO_NEUTRAL = "no neutral value: the higher, the better the model predicts such texts, and no text is certain"
PER_TOKEN = Metric(
    name="mean_logprob_per_token",
    version=1,
    reads="text",
    needs=None,
    pooled=False,
    unit="nats a token",
    scale="identity",
    neutral=None,
    neutral_why=_NO_NEUTRAL,
    form=_over(lambda means: means),
    scopes=("all",),
    bounded=False,
)
PERPLEXITY = replace(
    PER_TOKEN,
    name="perplexity",
    unit="perplexity",
    scale="log",
    neutral_why="no neutral value: the lower, the better the model predicts such texts; 1 would be certainty",
    form=_over(lambda means: np.exp(-means)),
)
PER_CHARACTER = replace(PER_TOKEN, name="mean_logprob_per_character", unit="nats a character")

SECOND_HALF = "second-half"
"""The instrument that scores only a part of each text."""
UTILITY_METRICS = (PER_TOKEN, PERPLEXITY, PER_CHARACTER)
_NO_TOKENS = "it is not known how many tokens were scored"


def utility_parts(
    probe_set: ProbeSet, items: Sequence[Item], scores: Sequence[Score], instrument: str = ""
) -> Iterator[Part]:
    """Yield how well the texts are predicted, per token and per character.

    Args:
        probe_set: a set of the form ``TEXT``.
        items: the items that were asked.
        scores: rows of ``LOGPROB`` and, for figures per token, of ``TOKENS``.
        instrument: name of the instrument, which says how much of a text was scored.
    """
    found = {score.item: score.value for score in scores if score.name == LOGPROB}
    if not found:
        return
    tokens = {score.item: score.value for score in scores if score.name == TOKENS}
    counted = tuple(_row(item, found.get(item.id), tokens.get(item.id)) for item in items)
    for metric in (PER_TOKEN, PERPLEXITY):
        yield Part(metric=metric, comparison=None, scope="all", rows=counted if tokens else (), reason=_NO_TOKENS)
    texts = {item.id: item.variants[0].text for item in items}
    lengths = {name: len(halves(text)[1] if instrument == SECOND_HALF else text) for name, text in texts.items()}
    spelled = tuple(_row(item, found.get(item.id), float(lengths[item.id])) for item in items)
    yield Part(metric=PER_CHARACTER, comparison=None, scope="all", rows=spelled)


def _row(item: Item, logprob: float | None, length: float | None) -> Row:
    return Row(
        template=item.template,
        lexeme=item.lexeme,
        category=item.category,
        group=item.variants[0].group,
        direction=0,
        valence=0,
        value=logprob if length else None,
        covariate=None,
        also=length,
    )
