"""How embedding models are asked: target words are compared with the words of each group by their vectors."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import mul

from fairprint.probes.items import Item, Variant
from fairprint.probes.requests import Backend, EmbedRequest, EmbedResponse
from fairprint.probes.scores import COSINE, Score

Vector = tuple[float, ...]


def association(backend: Backend, items: Sequence[Item]) -> list[Score]:
    """Score how near each target lies to the attribute words of each group, in the same frame.

    A score is the mean cosine similarity with the words of one group, so that the gap between two groups is
    s(w, A, B) of Caliskan et al. (2017, supplement). The mean over words is taken of their vectors, which is the same:
    the mean of u.a over a is u.(mean of a), for vectors of length 1.
    """
    texts = dict.fromkeys(t for item in items for v in item.variants for t in (v.text, *v.attributes))
    responses = backend.embed([EmbedRequest(text=text) for text in texts])
    places = {text: _direction(response) for text, response in zip(texts, responses, strict=True)}
    centres = {v.attributes: _centre(v.attributes, places) for item in items for v in item.variants}
    return [_row(item, v, places[v.text], centres[v.attributes]) for item in items for v in item.variants]


@dataclass(frozen=True, slots=True)
class _Place:
    """A vector, or None with the reason in ``note``."""

    vector: Vector | None
    note: str


def _direction(response: EmbedResponse) -> _Place:
    """Return the vector of a text scaled to length 1."""
    if response.vector is None:
        return _Place(None, response.note)
    length = math.hypot(*response.vector)
    if not length:
        return _Place(None, "its vector is 0, and has no direction")
    return _Place(tuple(x / length for x in response.vector), response.note)


def _centre(texts: Sequence[str], places: Mapping[str, _Place]) -> _Place:
    """Return the mean of the vectors of some texts; one that is missing would shift it, so then there is none."""
    known = [place.vector for text in texts if (place := places[text]).vector is not None]
    if len(known) < len(texts):
        lost = next(text for text in texts if places[text].vector is None)
        return _Place(
            None, f"{len(texts) - len(known)} of {len(texts)} attribute words have no vector, such as {lost!r}"
        )
    return _Place(tuple(math.fsum(column) / len(known) for column in zip(*known, strict=True)), "")


def _row(item: Item, variant: Variant, target: _Place, centre: _Place) -> Score:
    value = None
    if target.vector is not None and centre.vector is not None:
        # what rounding could leave beyond 1
        value = max(-1.0, min(1.0, math.fsum(map(mul, target.vector, centre.vector))))
    return Score(
        item=item.id,
        template=item.template,
        lexeme=item.lexeme,
        category=item.category,
        group=variant.group,
        name=COSINE,
        value=value,
        note="; ".join(note for note in (target.note, centre.note) if note),
    )
