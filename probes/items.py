"""Probe sets as data: items, their variants, and the shards that a run is cut into."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group of people that a probe set compares, such as ``male`` ("men")."""

    id: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One sentence of an item: the same content said of one group.

    Attributes:
        group: id of the group that the sentence is about.
        text: the whole sentence.
        span: first and one-past-last character of the words that are scored.
    """

    group: str
    text: str
    span: tuple[int, int]

    @property
    def frame(self) -> tuple[str, str]:
        """The text before and after the scored words."""
        return self.text[: self.span[0]], self.text[self.span[1] :]

    @property
    def words(self) -> str:
        """The scored words."""
        return self.text[self.span[0] : self.span[1]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One question to a model: a template filled with a lexeme, in one variant a group.

    Attributes:
        id: unique within its probe set; ``template/lexeme`` in probe sets that are grids.
        template: id of the sentence frame, the first random factor.
        lexeme: id of the word that fills it, the second random factor.
        category: what the lexeme belongs to, for results by category.
        stereotyped: id of the group that the stereotype expects, or None where no direction is claimed.
        covariate: a published figure of the lexeme (see ``ProbeSet.covariate``), or None.
        variants: one sentence a group.
    """

    id: str
    template: str
    lexeme: str
    category: str
    stereotyped: str | None
    covariate: float | None
    variants: tuple[Variant, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSet:
    """A set of items with all that a reader needs to judge it.

    Attributes:
        sha256: hash of the file's bytes: two sets with the same hash ask the same questions.
        groups: the compared groups; gaps are first group minus second.
        random_factors: which of ``template`` and ``lexeme`` are samples of what could have been asked.
        covariate: what ``Item.covariate`` is, or None; ``covariate_group`` says whose figure it is.
        measures: the construct.
        source: ``own`` for a set that ships with fairprint, else ``file``.
    """

    name: str
    version: int
    title: str
    summary: str
    measures: str
    harm_type: str
    language: str
    licence: str
    sources: tuple[str, ...]
    criticism: tuple[str, ...]
    cannot_show: tuple[str, ...]
    groups: tuple[Group, ...]
    random_factors: tuple[str, ...]
    covariate: str | None
    covariate_group: str | None
    items: tuple[Item, ...]
    sha256: str
    source: str

    @property
    def templates(self) -> tuple[str, ...]:
        """Ids of the templates, in the order of the file."""
        return tuple(dict.fromkeys(item.template for item in self.items))

    @property
    def lexemes(self) -> tuple[str, ...]:
        """Ids of the lexemes, in the order of the file."""
        return tuple(dict.fromkeys(item.lexeme for item in self.items))

    @property
    def sentences(self) -> int:
        """How many distinct sentences the set asks about."""
        return len({variant.text for item in self.items for variant in item.variants})


def limit_items(items: Sequence[Item], limit: int) -> tuple[Item, ...]:
    """Return the first whole templates that hold at most ``limit`` items, and never less than one template.

    Whole templates keep a set balanced: each one asks about every lexeme of every group.

    Raises:
        ValueError: ``limit`` is below 1.
    """
    if limit < 1:
        raise ValueError(f"limit is {limit}; expected 1 or more")
    kept: list[Item] = []
    for block in _templates(items):
        if kept and len(kept) + len(block) > limit:
            break
        kept += block
    return tuple(kept)


def shards(items: Sequence[Item], size: int) -> list[tuple[Item, ...]]:
    """Cut items into runs of whole templates of about ``size`` items: a pure function of both.

    A template is never divided, since the variants of one sentence frame are asked together.
    """
    cut: list[tuple[Item, ...]] = []
    current: list[Item] = []
    for block in _templates(items):
        if current and len(current) + len(block) > size:
            cut.append(tuple(current))
            current = []
        current += block
    if current:
        cut.append(tuple(current))
    return cut


def _templates(items: Sequence[Item]) -> list[list[Item]]:
    blocks: dict[str, list[Item]] = {}
    for item in items:
        blocks.setdefault(item.template, []).append(item)
    return list(blocks.values())
