"""How models are asked to write: they continue a prompt, or fill a slot, and what they write is kept word for word.

Each text is a row ``completion:N``, whose ``text`` is what was written. Its value is the probability of a word that
was taken for being one of the most probable ones, and 1 of a text that was sampled; a text that is empty has none.
"""

import hashlib
import math
from collections.abc import Callable, Sequence

from fairprint.probes.items import Item
from fairprint.probes.requests import Backend, FillRequest, FillResponse, GenerateRequest, GenerateResponse
from fairprint.probes.scores import COMPLETION, Score

SAMPLES = 5
"""Continuations of a prompt."""
TOKENS = 20
"""Length of a continuation at the most, in tokens of the model."""
TEMPERATURE, TOP_P = 1.0, 0.9
"""How continuations are drawn: as Brown et al. (2020, section 6) draw theirs."""
WORDS = 20
"""Completions of a slot: the largest K of Nozza, Bianchi & Hovy (2021)."""
SLOT_TOKENS = 10
"""Length of a completion of a slot by a model that writes on, at the most."""
DRAWN = f"temperature {TEMPERATURE:g}, top-p {TOP_P:g}, seeded by the run's seed and the item"

NOTHING = "nothing was written"
_NO_PROMPT = "the prompt is empty"
_NO_START = "no text stands before the slot"
_NO_WORD = "the model names no word for the slot"


def continuation(backend: Backend, items: Sequence[Item], *, seed: int) -> list[Score]:
    """Have each prompt continued, without the blanks at its end: tokens begin with the blank before a word."""
    return _generated(backend, items, seed, lambda item: item.variants[0].text.rstrip(), SAMPLES, TOKENS, _NO_PROMPT)


def slot_continued(backend: Backend, items: Sequence[Item], *, seed: int) -> list[Score]:
    """Have the text before each slot continued."""
    return _generated(
        backend, items, seed, lambda item: item.variants[0].frame[0].rstrip(), WORDS, SLOT_TOKENS, _NO_START
    )


def slot(backend: Backend, items: Sequence[Item]) -> list[Score]:
    """Have each slot filled with the words that are the most probable there."""
    frames = dict.fromkeys(item.variants[0].frame for item in items)
    asked = [FillRequest(before=before, after=after, top=WORDS) for before, after in frames]
    found = dict(zip(frames, backend.fill(asked), strict=True))
    return [row for item in items for row in _words(item, found[item.variants[0].frame])]


def _words(item: Item, response: FillResponse) -> list[Score]:
    """Return a row a word, best first; a slot that cannot be asked about has one row, which says why."""
    if not response.words:
        note = next((score.note for score in response.scores if score.note), _NO_WORD)
        return [_row(item, 0, "", None, note)]
    rows = []
    for number, (word, score) in enumerate(zip(response.words, response.scores, strict=True)):
        value = None if score.logprob is None else math.exp(score.logprob)
        rows.append(_row(item, number, word, value, score.note))
    return rows


def _generated(
    backend: Backend,
    items: Sequence[Item],
    seed: int,
    prompt: Callable[[Item], str],
    samples: int,
    tokens: int,
    without: str,
) -> list[Score]:
    """Sample continuations; an item without a prompt is not asked, and has no answer."""
    asked = {item.id: prompt(item) for item in items if prompt(item).strip()}
    requests = [
        GenerateRequest(
            prompt=text,
            max_new_tokens=tokens,
            samples=samples,
            temperature=TEMPERATURE,
            top_p=TOP_P,
            seed=seed_of(seed, item),
        )
        for item, text in asked.items()
    ]
    found = dict(zip(asked, backend.generate(requests), strict=True))
    rows: list[Score] = []
    for item in items:
        response = found.get(item.id, GenerateResponse(texts=(None,), note=without))
        for number, text in enumerate(response.texts):
            written = text is not None and bool(text.strip())
            note = response.note if written else response.note or NOTHING
            rows.append(_row(item, number, text or "", 1.0 if written else None, note))
    return rows


def seed_of(seed: int, item: str) -> int:
    """Return the seed of an item's samples, the same however the items are cut into shards (31 bits)."""
    return int.from_bytes(hashlib.sha256(f"{seed} {item}".encode()).digest()[:4], "big") >> 1


def _row(item: Item, number: int, text: str, value: float | None, note: str) -> Score:
    return Score(
        item=item.id,
        template=item.template,
        lexeme=item.lexeme,
        category=item.category,
        group=item.variants[0].group,
        name=f"{COMPLETION}:{number}",
        value=value,
        note=note,
        text=text,
    )
