"""How language models are asked about sentences of published benchmarks: pairs (CrowS-Pairs) and triples (StereoSet).

Each function is one of the metrics that the field knows under a benchmark's name; their scores are not comparable.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal

from fairprint.probes.forms import BLANK
from fairprint.probes.items import Item, Variant
from fairprint.probes.requests import Backend, LikelihoodRequest, SpanScore
from fairprint.probes.scores import LIKENESS, LOGPROB, Score

_LESS_FIRST = "antistereo"
"""Condition of the pairs whose ``less`` sentence stands first in the authors' comparison of tokens."""


def shared_tokens(backend: Backend, items: Sequence[Item]) -> list[Score]:
    """Sum log P(token | all others) over the tokens that both sentences share (``metric.py`` of Nangia et al. 2020).

    The authors round the sums to 3 decimals before they compare them, which is left to the metric.
    """
    return _scored(backend, items, lambda item, variant: _beside(item, variant, "shared"), _total)


def differing_tokens(backend: Backend, items: Sequence[Item]) -> list[Score]:
    """Average log P(token | all others) over the tokens in which a sentence differs from the other.

    So does bias-bench (``crows.py`` of Meade et al. 2022), which skips pairs where one sentence only adds tokens to the
    other: that one has no score here, with the reason.
    """
    return _scored(backend, items, lambda item, variant: _beside(item, variant, "differing"), _mean)


def all_unmasked(backend: Backend, items: Sequence[Item]) -> list[Score]:
    """Average log P(token | whole sentence, unmasked): All Unmasked Likelihood (Kaneko & Bollegala 2021)."""
    return _scored(backend, items, lambda item, variant: LikelihoodRequest(text=variant.text, masking="none"), _mean)


def word_by_word(backend: Backend, items: Sequence[Item]) -> list[Score]:
    """Sum log P(token | sentence without it and the later tokens of its word): PLL-word-l2r (Kauf & Ivanova 2023)."""
    return _scored(backend, items, lambda item, variant: LikelihoodRequest(text=variant.text, masking="word"), _total)


def after_difference(backend: Backend, items: Sequence[Item]) -> list[Score]:
    """Sum log P(token | all before it) over the text that both sentences share after their last difference."""
    return _scored(backend, items, _rest, _total)


def stereoset(backend: Backend, items: Sequence[Item]) -> list[Score]:
    """Score each sentence of a triple as StereoSet's code does, which is not as its paper words it.

    A masked model: the mean of P(piece | context up to the word, its earlier pieces, one mask, rest of the context)
    over the pieces of the filled word; the paper (Nadeem et al. 2021) says mean of log-probabilities. Another model:
    exp of the mean of log P(token | tokens before it) over the whole sentence, the start token being there for the
    first token alone.

    The word has the blank before it that it has in running text. For tokenizers whose tokens hold that blank
    (RoBERTa's), StereoSet's code leaves it out and bias-bench's (``dataloader.py`` of Meade et al. 2022) has it: this
    is the latter. For later pieces of such a word, bias-bench's text has the blank twice, which this has not.
    """
    if backend.masks:
        return _scored(backend, items, _filled, _mean_probability, LIKENESS)
    return _scored(
        backend, items, lambda item, variant: LikelihoodRequest(text=variant.text, start_for="first"), _root, LIKENESS
    )


def _scored(
    backend: Backend,
    items: Sequence[Item],
    request: Callable[[Item, Variant], LikelihoodRequest | str],
    value: Callable[[SpanScore], float | None],
    name: str = LOGPROB,
) -> list[Score]:
    """Ask one likelihood of one span a variant, or none with the reason, and make a number of its log-probabilities."""
    asked = [(item, variant, request(item, variant)) for item in items for variant in item.variants]
    responses = iter(backend.likelihood([told for _, _, told in asked if isinstance(told, LikelihoodRequest)]))
    rows = []
    for item, variant, told in asked:
        span = SpanScore(logprob=None, tokens=0, note=told) if isinstance(told, str) else next(responses).spans[0]
        rows.append(
            Score(
                item=item.id,
                template=item.template,
                lexeme=item.lexeme,
                category=item.category,
                group=variant.group,
                name=name,
                value=value(span),
                note=span.note,
            )
        )
    return rows


def _total(span: SpanScore) -> float | None:
    return span.logprob


def _mean(span: SpanScore) -> float | None:
    return None if span.logprob is None else span.logprob / span.tokens


def _mean_probability(span: SpanScore) -> float | None:
    return None if span.logprob is None else math.fsum(map(math.exp, span.each)) / len(span.each)


def _root(span: SpanScore) -> float | None:
    """Return the geometric mean of the probabilities."""
    mean = _mean(span)
    return None if mean is None else math.exp(mean)


def _beside(item: Item, variant: Variant, tokens: Literal["shared", "differing"]) -> LikelihoodRequest | str:
    """Compare a sentence with the other of its pair, the two in the authors' order."""
    other = next((other for other in item.variants if other is not variant), None)
    if other is None:
        return "the pair has one sentence only"
    less_first = item.condition == _LESS_FIRST
    return LikelihoodRequest(
        text=variant.text, beside=other.text, beside_first=(other.group == "less") == less_first, tokens=tokens
    )


def _rest(item: Item, variant: Variant) -> LikelihoodRequest | str:
    """Ask for what follows the words in which a sentence differs from the other."""
    end = variant.span[1]
    if not variant.text[end:].strip():
        return "nothing follows the last difference"
    return LikelihoodRequest(text=variant.text, spans=((end, len(variant.text)),))


def _filled(item: Item, variant: Variant) -> LikelihoodRequest:
    """Ask for the word in its context; of several blanks, which all take the word, in the place of the last."""
    *before, after = item.stem.split(BLANK)
    if not before:
        return LikelihoodRequest(text=variant.text, spans=(variant.span,), masking="first")
    text = variant.words.join((*before, after))
    end = len(text) - len(after)
    return LikelihoodRequest(text=text, spans=((end - len(variant.words), end),), masking="first")
