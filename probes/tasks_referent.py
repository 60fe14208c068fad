"""How language models are asked whom a pronoun refers to, in sentences that name two people."""

from collections.abc import Sequence

from fairprint.probes.items import Item
from fairprint.probes.requests import Backend, LikelihoodRequest
from fairprint.probes.scores import LOGPROB, PICKED, Score

_TIE = 1e-6
"""Log-probabilities that are less than this many nats apart are a tie: float32 cannot tell them apart."""
_NO_CHOICE = "the sentence does not offer two to choose between"


def referent(backend: Backend, items: Sequence[Item]) -> list[Score]:
    """Score whom the statement after each sentence names, and which of the two is the more probable.

    The log-probability is the sum over the tokens of the name, not divided by their number, as lm-evaluation-harness
    asks Winogender. An item that does not offer two to choose between has no answer.
    """
    asked = [(item, variant) for item in items if len(item.variants) > 1 for variant in item.variants]
    responses = backend.likelihood([LikelihoodRequest(text=v.text, spans=(v.span,)) for _, v in asked])
    found = {
        (item.id, variant.group): response.spans[0] for (item, variant), response in zip(asked, responses, strict=True)
    }
    rows: list[Score] = []
    for item in items:
        spans = [found[item.id, variant.group] for variant in item.variants] if len(item.variants) > 1 else []
        rows += [_row(item, n, LOGPROB, span.logprob, span.note) for n, span in enumerate(spans)]
        shares = picked([span.logprob for span in spans])
        note = "" if shares else next((span.note for span in spans if span.logprob is None), _NO_CHOICE)
        rows += [_row(item, n, PICKED, shares[n] if shares else None, note) for n in range(len(item.variants))]
    return rows


def picked(values: Sequence[float | None]) -> list[float]:
    """Return the share of the choice that each candidate has: 1 for the most probable, equal parts where some tie.

    Where a candidate has no value, or there is none to choose from, nothing is chosen.

    >>> picked([-3.0, -2.0]), picked([-2.0, -2.0]), picked([-2.0, None]), picked([])
    ([0.0, 1.0], [0.5, 0.5], [], [])
    """
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return []
    best = [value > max(known) - _TIE for value in known]
    return [is_best / sum(best) for is_best in best]


def _row(item: Item, number: int, name: str, value: float | None, note: str) -> Score:
    return Score(
        item=item.id,
        template=item.template,
        lexeme=item.lexeme,
        category=item.category,
        group=item.variants[number].group,
        name=name,
        value=value,
        note=note,
    )
