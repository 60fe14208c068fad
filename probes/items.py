"""Probe sets as data: items, their variants, and the shards that a run is cut into."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group of people that a probe set compares, such as ``male`` ("men").

    Attributes:
        words: in sets that score associations, the words that the lexemes are compared with.
    """

    id: str
    label: str
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two groups that are compared; gaps are first minus second.

    Attributes:
        first: id of the group that a result speaks of.
        second: id of the group that it is compared with.
    """

    first: str
    second: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One sentence of an item: the same content said of one group.

    Attributes:
        group: id of the group that the sentence is about.
        text: the whole sentence.
        span: first and one-past-last character of the text that is scored.
        attributes: what the text is compared with, in sets that score associations: the same frame with each word of
            the group.
        image: path of the image that is asked about instead of a text, or empty; ``text`` is then what it is called.
        id: the sentence's own id in its authors' file, by which recorded outputs name it, or empty.
    """

    group: str
    text: str
    span: tuple[int, int]
    attributes: tuple[str, ...] = ()
    image: str = ""
    id: str = ""

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
        template: id of the sentence frame, the first random factor; two frames that differ only in the order in which
            they name two groups are one.
        lexeme: id of the word that fills it, the second random factor.
        category: what the lexeme belongs to, for results by category.
        directions: for each comparison of the set, +1 where the stereotype expects the first group, -1 the second, 0
            where no direction is claimed.
        valence: +1 where the lexeme speaks well of people, -1 ill, 0 where that is not said.
        covariate: a published figure of the lexeme (see ``ProbeSet.covariate``), or None.
        variants: one sentence a group.
        word: the lexeme as it is written, where its id is not.
        source: what each variant is a translation of, or None.
        languages: of source and variants, where there is a source.
        stem: of a multiple-choice question, what is asked, without the options and the cue for an answer (such as
            ``Answer:``), which stands between it and the scored words of each variant; of a StereoSet item its context.
        answer: id of the group whose variant is the right answer, or empty.
        condition: under which of its set's conditions the item is asked, such as ``ambiguous``, or empty.
        flags: names of the rules of item quality that the item breaks (``ProbeSet.quality``).
        baseline: of a prompt, how the people who wrote it went on, or empty.
    """

    id: str
    template: str
    lexeme: str
    category: str
    directions: tuple[int, ...]
    valence: int
    covariate: float | None
    variants: tuple[Variant, ...]
    word: str = ""
    source: str | None = None
    languages: tuple[str, str] | None = None
    stem: str = ""
    answer: str = ""
    condition: str = ""
    flags: tuple[str, ...] = ()
    baseline: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSet:
    """A set of items with all that a reader needs to judge it.

    Attributes:
        sha256: hash of the file's bytes: two sets with the same hash ask the same questions.
        groups: the groups, in the order of the file.
        comparisons: which groups are compared with which.
        scored: ``group``, ``lexeme``, ``rest``, ``sentence`` or ``target``: what the spans of the variants are; or
            ``association``: the spans are target words, and the variants are compared with their attributes; or one of
            the forms of published benchmarks (``fairprint.probes.forms``).
        random_factors: which of ``template`` and ``lexeme`` are samples of what could have been asked.
        covariate: what ``Item.covariate`` is, or None; ``covariate_group`` says whose figure it is.
        measures: the construct.
        source: ``own`` for a set that ships with fairprint, else ``file``.
        unused_forms: words of the file that no template uses.
        quality: of sets that others published, the rules of item quality by name, and what each one means.
        remarks: what a reader of the results must know of how the file was read, such as columns that were ignored.
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
    comparisons: tuple[Comparison, ...]
    scored: str
    random_factors: tuple[str, ...]
    covariate: str | None
    covariate_group: str | None
    items: tuple[Item, ...]
    sha256: str
    source: str
    unused_forms: tuple[str, ...] = ()
    quality: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def templates(self) -> tuple[str, ...]:
        """Ids of the templates, in the order of the file."""
        return tuple(dict.fromkeys(item.template for item in self.items))

    @property
    def lexemes(self) -> tuple[str, ...]:
        """Ids of the lexemes, in the order of the file."""
        return tuple(dict.fromkeys(item.lexeme for item in self.items))

    @property
    def pairs(self) -> int:
        """How many sentence pairs are compared: what counts as an item in results."""
        return len(self.items) * len(self.comparisons)

    @property
    def sentences(self) -> int:
        """How many distinct sentences the set asks about."""
        return len(distinct_texts(self.items))


def distinct_texts(items: Sequence[Item]) -> set[str]:
    """Return the sentences that some items ask about, those that they are compared with included."""
    return {text for item in items for variant in item.variants for text in (variant.text, *variant.attributes)}


def limit_items(items: Sequence[Item], limit: int) -> tuple[Item, ...]:
    """Return whole templates that hold at most ``limit`` items, and never less than one template.

    Whole templates keep a set balanced: each one asks about every lexeme of every group. Where each template belongs to
    one category, the categories give a template each in turn, so that a part of the set is a stratified one.

    Raises:
        ValueError: ``limit`` is below 1.
    """
    if limit < 1:
        raise ValueError(f"limit is {limit}; expected 1 or more")
    by_category: dict[str, list[list[Item]]] = {}
    for block in _templates(items):
        by_category.setdefault(block[0].category, []).append(block)
    in_turn = (block for block in chain.from_iterable(zip_longest(*by_category.values())) if block is not None)
    kept: dict[str, int] = {}
    for block in in_turn:
        if kept and sum(kept.values()) + len(block) > limit:
            break
        kept[block[0].template] = len(block)
    return tuple(item for item in items if item.template in kept)


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
