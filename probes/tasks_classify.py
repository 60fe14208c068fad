"""How classifiers are asked: which label do they give a text or an image, and is it the right one?"""

from collections.abc import Sequence

from fairprint.probes.items import Item, Variant
from fairprint.probes.requests import Backend, ClassifyRequest, ClassifyResponse
from fairprint.probes.scores import CHOICE, CORRECT, PROBABILITY, Score

MOST_LABELS = 50
"""Labels up to which each one's probability is a score; of more, only the choice is: nobody would read the rest."""


def classify(backend: Backend, items: Sequence[Item]) -> list[Score]:
    """Score the probability of the labels of each variant, and which label is the most probable.

    Of two labels that exclude each other the second stands for both, since their probabilities sum to 1.
    """
    asked = [(item, variant) for item in items for variant in item.variants]
    responses = backend.classify([ClassifyRequest(text=variant.text) for _, variant in asked])
    rows: list[Score] = []
    for (item, variant), response in zip(asked, responses, strict=True):
        found = response.probabilities
        for number in _told(response):
            value = None if found is None else found[number]
            rows.append(_row(item, variant, f"{PROBABILITY}:{_name(response.labels, number)}", value, response.note))
        choice = None if found is None else float(_choice(found))
        rows.append(_row(item, variant, CHOICE, choice, response.note))
    return rows


def labelled(backend: Backend, items: Sequence[Item]) -> list[Score]:
    """Score whether the most probable label of each item is the one that its file gives it, 1 or 0.

    A given label is matched with the names of the model's labels without regard to case; where a name is a list
    (``tench, Tinca tinca``), with each part of it. One that matches none has no score.
    """
    asked = [(item, variant) for item in items for variant in item.variants]
    requests = [
        ClassifyRequest(image=variant.image) if variant.image else ClassifyRequest(text=variant.text)
        for _, variant in asked
    ]
    rows: list[Score] = []
    known: dict[tuple[str, ...], dict[str, set[int]]] = {}
    for (item, variant), response in zip(asked, backend.classify(requests), strict=True):
        names = known.setdefault(response.labels, _names(response.labels))
        right = names.get(_plain(item.category), set())
        value, note = None, response.note
        if not right:
            note = f"the model has no label '{item.category}'"
        elif response.probabilities is not None:
            value = float(_choice(response.probabilities) in right)
        rows.append(_row(item, variant, CORRECT, value, note))
    return rows


def _told(response: ClassifyResponse) -> Sequence[int]:
    """Return the labels whose probability is a score."""
    count = len(response.labels)
    if count == 2 and response.exclusive:
        return (1,)
    return range(count) if count <= MOST_LABELS else ()


def _name(labels: Sequence[str], number: int) -> str:
    """Return the name of a label; where several bear it, with its number."""
    return labels[number] if labels.count(labels[number]) == 1 else f"{labels[number]} ({number})"


def _choice(probabilities: Sequence[float]) -> int:
    return max(range(len(probabilities)), key=lambda number: (probabilities[number], -number))


def _names(labels: Sequence[str]) -> dict[str, set[int]]:
    """Return the numbers of the labels that bear each name; one word can name several, such as a crane."""
    whole: dict[str, set[int]] = {}
    parts: dict[str, set[int]] = {}
    for number, label in enumerate(labels):
        whole.setdefault(_plain(label), set()).add(number)
        for part in label.split(","):
            parts.setdefault(_plain(part), set()).add(number)
    return parts | whole


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())


def _row(item: Item, variant: Variant, name: str, value: float | None, note: str) -> Score:
    return Score(
        item=item.id,
        template=item.template,
        lexeme=item.lexeme,
        category=item.category,
        group=variant.group,
        name=name,
        value=value,
        note=note,
    )
