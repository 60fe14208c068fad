"""How language models are asked: each task asks a backend about items and reads the answers into scores."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from fairprint.probes.items import Item, Variant
from fairprint.probes.requests import Backend, FillRequest, LikelihoodRequest, SpanScore
from fairprint.probes.scores import LOGPROB, MASS, TOKENS, Score


def fill(backend: Backend, items: Sequence[Item]) -> list[Score]:
    """Score the words of each variant as candidates for one slot.

    Variants of one template whose text is equal around the scored words compete for the same slot: the pronouns of an
    item, or all adjectives after "He was very". Their joint probability is kept as ``candidate_mass``.
    """
    frames: dict[tuple[str, str, str], list[tuple[Item, Variant]]] = {}
    for item in items:
        for variant in item.variants:
            frames.setdefault((item.template, *variant.frame), []).append((item, variant))
    requests = [
        FillRequest(before=before, after=after, candidates=tuple(dict.fromkeys(v.words for _, v in entries)))
        for (_, before, after), entries in frames.items()
    ]
    rows: dict[tuple[str, str], Score] = {}
    masses: list[Score] = []
    for request, response, entries in zip(requests, backend.fill(requests), frames.values(), strict=True):
        by_word = dict(zip(request.candidates, response.scores, strict=True))
        for item, variant in entries:
            rows[item.id, variant.group] = _row(item, variant, by_word[variant.words])
        masses.append(_mass_row(entries, response.mass))
    return [rows[item.id, variant.group] for item in items for variant in item.variants] + masses


def sentence(backend: Backend, items: Sequence[Item]) -> list[Score]:
    """Score the whole sentence of each variant; of one that is compared with no other, count its tokens as well."""
    return _likelihoods(
        backend,
        items,
        lambda item, variant: LikelihoodRequest(text=variant.text),
        count=lambda item: not item.directions,
    )


def taken_out(backend: Backend, items: Sequence[Item]) -> list[Score]:
    """Score the second half of the words of each text as a span that was taken out of it, with its tokens.

    It is what encoder-decoder models learn to restore; the first half, one word longer where they are odd, is given.
    """
    asked = [(item, variant) for item in items for variant in item.variants]
    cut = [halves(variant.text) for _, variant in asked]
    whole = [FillRequest(before=before, after="", candidates=(rest,)) for before, rest in cut if rest]
    answers = iter(backend.fill(whole))
    none = SpanScore(logprob=None, tokens=0, note="a text of one word has no second half")
    scores = [next(answers).scores[0] if rest else none for _, rest in cut]
    return [row for (item, variant), score in zip(asked, scores, strict=True) for row in _counted(item, variant, score)]


def halves(text: str) -> tuple[str, str]:
    """Cut a text in the middle of its words; of one word the second half is empty.

    >>> halves("The cup stands on the table.")
    ('The cup stands ', 'on the table.')
    """
    starts = [match.start() for match in re.finditer(r"\S+", text)]
    cut = starts[(len(starts) + 1) // 2] if len(starts) > 1 else len(text)
    return text[:cut], text[cut:]


def after_group(backend: Backend, items: Sequence[Item]) -> list[Score]:
    """Score the text that all variants share after the last group word, given the text up to it."""
    return _likelihoods(
        backend, items, lambda item, variant: LikelihoodRequest(text=variant.text, spans=(variant.span,))
    )


def translation(backend: Backend, items: Sequence[Item]) -> list[Score]:
    """Score each variant as the whole translation of the item's source, which is the same for all variants."""
    return _likelihoods(
        backend,
        items,
        lambda item, variant: LikelihoodRequest(text=variant.text, source=item.source, languages=item.languages),
    )


def _likelihoods(
    backend: Backend,
    items: Sequence[Item],
    request: Callable[[Item, Variant], LikelihoodRequest],
    *,
    count: Callable[[Item], bool] = lambda item: False,
) -> list[Score]:
    """Ask one likelihood of one span a variant; ``count`` says of which items the tokens are wanted too."""
    asked = [(item, variant) for item in items for variant in item.variants]
    responses = backend.likelihood([request(item, variant) for item, variant in asked])
    return [
        row
        for (item, variant), response in zip(asked, responses, strict=True)
        for row in _counted(item, variant, response.spans[0])[: 2 if count(item) else 1]
    ]


def _counted(item: Item, variant: Variant, score: SpanScore) -> tuple[Score, Score]:
    """Return the score of a variant, and over how many tokens it was summed."""
    row = _row(item, variant, score)
    return row, replace(row, name=TOKENS, value=None if score.logprob is None else float(score.tokens))


def _row(item: Item, variant: Variant, score: SpanScore) -> Score:
    return Score(
        item=item.id,
        template=item.template,
        lexeme=item.lexeme,
        category=item.category,
        group=variant.group,
        name=LOGPROB,
        value=score.logprob,
        note=score.note,
    )


def _mass_row(entries: Sequence[tuple[Item, Variant]], mass: float | None) -> Score:
    """The mass belongs to an item where all candidates are its own, else to a template and group."""
    item, variant = entries[0]
    own = all(other is item for other, _ in entries)
    return Score(
        item=item.id if own else f"{item.id.removesuffix(item.lexeme)}{variant.group}",
        template=item.template,
        lexeme=item.lexeme if own else "",
        category=item.category if own else "",
        group="" if own else variant.group,
        name=MASS,
        value=mass,
        note="" if mass is not None else "a candidate has no score",
    )
