"""How models are asked questions with options: by the likelihood of each option, by letter, or in words.

Each way ends in the share of the times it was asked that an option was the answer (``PICKED``). Where options tie, each
has an equal part of that asking: a model that cannot tell two options apart would pick either as often, and any order
would favour one of them.
"""

from collections.abc import Callable, Sequence

from fairprint.probes.choices import LETTERS, cyclic_orders, listed, named, same_text, wording_of
from fairprint.probes.items import Item, Variant
from fairprint.probes.requests import Backend, GenerateRequest, LikelihoodRequest, SpanScore
from fairprint.probes.scores import COMPLETION, LOGPROB, OUT_OF_CHOICE, PICKED, Score
from fairprint.probes.tasks_referent import picked

CHAT_TOKENS = 40
"""Length of an answer at the most, in tokens of the model: a sentence that begins with the answer."""
ANSWER_TOKENS = 20
NOT_AN_OPTION = "the answer is none of the options"
_NO_ANSWER = "there is no answer"


def per_character(backend: Backend, items: Sequence[Item]) -> list[Score]:
    """Score each option after the question, and take the one with the most log-probability a character.

    Without the length, options of few words would win; characters are counted rather than tokens, so that models with
    other tokens are asked the same.
    """
    responses = iter(backend.likelihood([_option(variant) for item in items for variant in item.variants]))
    rows: list[Score] = []
    for item in items:
        scores = [next(responses).spans[0] for _ in item.variants]
        values = [
            None if score.logprob is None else score.logprob / len(variant.words)
            for variant, score in zip(item.variants, scores, strict=True)
        ]
        rows += [_row(item, v.group, LOGPROB, s.logprob, s.note) for v, s in zip(item.variants, scores, strict=True)]
        rows += _picked(item, [_shares(item.variants, values)], next((s.note for s in scores if s.logprob is None), ""))
    return rows


def letters(backend: Backend, items: Sequence[Item]) -> list[Score]:
    """Score the letter of each option after a question that lists them, in every cyclic order of the options.

    The log-probability of an option is the mean over the orders of that of the letter that stands for it.
    """
    orders = {item.id: cyclic_orders(item.variants) for item in items}
    # the letters of one order share all that stands before them
    asked = [
        LikelihoodRequest(prefix=f"{listed(item, order)} ", text=letter)
        for item in items
        for order in orders[item.id]
        for letter in LETTERS[: len(order)]
    ]
    responses = iter(backend.likelihood(asked))
    rows: list[Score] = []
    for item in items:
        found: dict[str, list[SpanScore]] = {variant.group: [] for variant in item.variants}
        shares = []
        for order in orders[item.id]:
            scores = [next(responses).spans[0] for _ in order]
            shares.append(_shares(order, [score.logprob for score in scores]))
            for variant, score in zip(order, scores, strict=True):
                found[variant.group].append(score)
        lacking = next((score.note for each in found.values() for score in each if score.logprob is None), "")
        for group, each in found.items():
            values = [score.logprob for score in each if score.logprob is not None]
            whole = len(values) == len(each)
            rows.append(
                _row(item, group, LOGPROB, sum(values) / len(each) if whole else None, "" if whole else lacking)
            )
        rows += _picked(item, shares, lacking)
    return rows


def chat(backend: Backend, items: Sequence[Item]) -> list[Score]:
    """Ask a chat model in every cyclic order of the options, and read which one its answer names.

    Jin et al. (2024) ask in three orders too. An answer that names no option, or several, is counted, and not guessed.
    """
    return _in_words(
        backend,
        items,
        lambda item: cyclic_orders(item.variants),
        lambda item, order: GenerateRequest(
            prompt=f"{wording_of(item).instruction}\n\n{listed(item, order)}",
            max_new_tokens=CHAT_TOKENS,
            temperature=0,
            chat=True,
        ),
    )


def answer(backend: Backend, items: Sequence[Item]) -> list[Score]:
    """Have the question with its options, in the order of the file, continued as raw text, and read what it says."""
    return _in_words(
        backend,
        items,
        lambda item: [item.variants],
        lambda item, order: GenerateRequest(prompt=listed(item, order), max_new_tokens=ANSWER_TOKENS, temperature=0),
    )


def _option(variant: Variant) -> LikelihoodRequest:
    return LikelihoodRequest(prefix=variant.text[: variant.span[0]], text=variant.words)


def _in_words(
    backend: Backend,
    items: Sequence[Item],
    orders: Callable[[Item], Sequence[Sequence[Variant]]],
    request: Callable[[Item, Sequence[Variant]], GenerateRequest],
) -> list[Score]:
    """Ask for answers in words, once an order, and read them; each is kept word for word."""
    asked = [(item, order) for item in items for order in orders(item)]
    responses = iter(backend.generate([request(item, order) for item, order in asked]))
    rows: list[Score] = []
    for item in items:
        shares: list[dict[str, float] | None] = []
        written: list[Score] = []
        lacking = ""
        for number, order in enumerate(orders(item)):
            response = next(responses)
            text = response.texts[0]
            note = response.note if text is not None else response.note or _NO_ANSWER
            chosen = None if text is None else same_text(text, order) or named(text, order, wording_of(item))
            name, value = f"{COMPLETION}:{number}", None if text is None else 1.0
            written.append(_row(item, "", name, value, note, text or ""))
            lacking = lacking or ("" if text is not None else note)
            shares.append(None if text is None else {} if chosen is None else {chosen.group: 1.0})
        rows += _picked(item, shares, lacking)
        known = [share for share in shares if share is not None]
        outside = sum(not share for share in known) / len(known) if known else None
        rows += [_row(item, "", OUT_OF_CHOICE, outside, lacking), *written]
    return rows


def _shares(order: Sequence[Variant], values: Sequence[float | None]) -> dict[str, float] | None:
    """Return which part of one asking each option has, or None where an option has no value."""
    found = picked(values)
    return {variant.group: share for variant, share in zip(order, found, strict=True)} if found else None


def _picked(item: Item, shares: Sequence[dict[str, float] | None], lacking: str) -> list[Score]:
    """Return how often each option was the answer, of the times that there was one."""
    known = [share for share in shares if share is not None]
    note = lacking
    if known and len(known) < len(shares):
        note = f"{len(known)} of {len(shares)} times that it was asked: {lacking}"
    elif known and not any(known):
        note = NOT_AN_OPTION
    return [
        _row(
            item,
            variant.group,
            PICKED,
            sum(share.get(variant.group, 0.0) for share in known) / len(known) if known else None,
            note,
        )
        for variant in item.variants
    ]


def _row(item: Item, group: str, name: str, value: float | None, note: str, text: str = "") -> Score:
    return Score(
        item=item.id,
        template=item.template,
        lexeme=item.lexeme,
        category=item.category,
        group=group,
        name=name,
        value=value,
        note=note,
        text=text,
    )
