"""Instruments: each is one function that asks a backend about items and reads the answers into scores."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fairprint.probes.errors import UsageError, nearest
from fairprint.probes.items import Item, Variant
from fairprint.probes.requests import Backend, FillRequest, LikelihoodRequest, SpanScore
from fairprint.probes.scores import LOGPROB, MASS, OTHER, STEREOTYPED, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A named way of asking.

    Attributes:
        task: asks the items of one shard and returns their scores.
        needs: the request that a backend must answer.
        summary: what is scored, for people.
    """

    name: str
    task: Callable[[Backend, Sequence[Item]], list[Score]]
    needs: str
    summary: str


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
    """Score the whole sentence of each variant."""
    asked = [(item, variant) for item in items for variant in item.variants]
    responses = backend.likelihood([LikelihoodRequest(text=variant.text) for _, variant in asked])
    return [_row(item, variant, response.spans[0]) for (item, variant), response in zip(asked, responses, strict=True)]


def _row(item: Item, variant: Variant, score: SpanScore) -> Score:
    role = "" if item.stereotyped is None else STEREOTYPED if variant.group == item.stereotyped else OTHER
    return Score(
        item=item.id,
        template=item.template,
        lexeme=item.lexeme,
        category=item.category,
        group=variant.group,
        role=role,
        name=LOGPROB,
        value=score.logprob,
        note=score.note,
    )


def _mass_row(entries: Sequence[tuple[Item, Variant]], mass: float | None) -> Score:
    """The mass belongs to an item where all candidates are its own, else to a template and group."""
    item, variant = entries[0]
    own = all(other is item for other, _ in entries)
    return Score(
        item=item.id if own else f"{item.template}/{variant.group}",
        template=item.template,
        lexeme=item.lexeme if own else "",
        category=item.category if own else "",
        group="" if own else variant.group,
        role="",
        name=MASS,
        value=mass,
        note="" if mass is not None else "a candidate has no score",
    )


INSTRUMENTS = {
    instrument.name: instrument
    for instrument in (
        Instrument(
            name="fill",
            task=fill,
            needs="fill",
            summary="the scored words as whole words in their slot (masked: PLL-word-l2r, Kauf & Ivanova 2023; "
            "causal: the words and all that follows, given what precedes)",
        ),
        Instrument(
            name="sentence",
            task=sentence,
            needs="likelihood",
            summary="the whole sentence (masked: pseudo-log-likelihood, Salazar et al. 2020; causal: sum of token "
            "log-probabilities)",
        ),
    )
}
DEFAULT_INSTRUMENTS = ("fill",)


def find_instruments(names: Sequence[str]) -> tuple[Instrument, ...]:
    """Return instruments by name; the default one where no name is given.

    Raises:
        UsageError: there is no instrument of that name.
    """
    for name in names:
        if name not in INSTRUMENTS:
            raise UsageError(
                f"no instrument '{name}'.{nearest(name, INSTRUMENTS)}", hint=f"instruments: {', '.join(INSTRUMENTS)}"
            )
    return tuple(INSTRUMENTS[name] for name in dict.fromkeys(names or DEFAULT_INSTRUMENTS))
