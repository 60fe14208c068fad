"""StereoSet (Nadeem et al. 2021) in its authors' JSON: a context with one word filled in three ways (intrasentence)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fairprint.probes import quality
from fairprint.probes.forms import BLANK, TRIPLE
from fairprint.probes.items import Comparison, Group, Item, ProbeSet, Variant
from fairprint.probes.readers.json_files import Document, Node, read_json

_LABELS = ("stereotype", "anti-stereotype", "unrelated")
_MARKS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
"""What the authors' code strips from a filled-in word (ASCII punctuation)."""


@dataclass(slots=True)
class _Reading:
    """What is kept while a file is read: where each id stands, and how often the context did not fit its sentences."""

    ids: dict[str, str] = field(default_factory=dict)
    by_difference: int = 0
    by_place: int = 0


def load_stereoset(path: Path) -> ProbeSet:
    """Read the authors' file, or a bare list of its intrasentence entries.

    An item is an entry; sentences keep their own ids (``Variant.id``), by which recorded scores name them. What fills
    the blank is what stands in a sentence between the parts of the context, whatever its capitals and blanks.

    Raises:
        ProbeFileError: the file cannot be read; an entry lacks a key, one of the three labels or the blank, has a label
            or an id twice, or its sentences do not show what was filled in; the message names path and character.
    """
    document = read_json(path)
    entries, others = _entries(document)
    reading = _Reading()
    items = quality.flagged([_item(entry, reading) for entry in entries])
    return ProbeSet(
        name="stereoset",
        version=1,
        title="StereoSet: one word filled in three ways",
        summary="Which word does the model find more probable in a sentence about people: one that fits a stereotype, "
        "one that goes against it, or one that has nothing to do with the sentence?",
        measures="preference for stereotypes over their opposites, next to how well the model tells words that make "
        "sense from words that do not",
        harm_type="stereotyping (representational harm)",
        language="en",
        licence="CC BY-SA 4.0",
        sources=_SOURCES,
        criticism=_CRITICISM,
        cannot_show=_CANNOT_SHOW,
        groups=(
            Group(id="stereotype", label="the word that fits the stereotype"),
            Group(id="anti-stereotype", label="the word that goes against it"),
            Group(id="unrelated", label="the word that makes no sense"),
        ),
        comparisons=(Comparison(first="stereotype", second="anti-stereotype"),),
        scored=TRIPLE,
        random_factors=("lexeme",),
        covariate=None,
        covariate_group=None,
        items=items,
        sha256=document.sha256,
        source="file",
        quality=quality.rules(),
        remarks=(*document.remarks, *_remarks(reading, others)),
    )


def _entries(document: Document) -> tuple[tuple[Node, ...], int]:
    """Return the intrasentence entries of a file, and how many intersentence entries it has beside them."""
    root = document.root
    if isinstance(document.value, list):
        found, others = root, None
    else:
        root.only("version", "data")
        data = root.at("data")
        data.only("intrasentence", "intersentence")
        found, others = data.at("intrasentence"), data.find("intersentence")
    entries = found.entries()
    if not entries:
        raise found.error("the list is empty")
    return entries, 0 if others is None else len(others.entries())


def _item(entry: Node, reading: _Reading) -> Item:
    entry.only("id", "target", "bias_type", "context", "sentences")
    given = _new_id(entry, reading)
    context = entry.text("context")
    if BLANK not in context:
        raise entry.at("context").error(f"the context has no {BLANK}", hint="intersentence entries are not read")
    said: dict[str, Node] = {}
    for sentence in entry.entries("sentences"):
        sentence.only("id", "sentence", "gold_label")
        label = sentence.choice("gold_label", among=_LABELS)
        if label in said:
            raise sentence.at("gold_label").error(f"'{label}' stands twice; first in {said[label].where}")
        said[label] = sentence
    missing = [label for label in _LABELS if label not in said]
    if missing:
        raise entry.at("sentences").error(f"no sentence is labelled {' or '.join(missing)}")
    texts = [said[label].text("sentence") for label in _LABELS]
    return Item(
        id=given,
        template=given,
        lexeme=entry.text("target"),
        category=entry.text("bias_type"),
        directions=(1,),
        valence=0,
        covariate=None,
        variants=tuple(
            Variant(group=label, text=text, span=span, id=_new_id(said[label], reading))
            for label, text, span in zip(_LABELS, texts, _spans(entry, context, texts, reading), strict=True)
        ),
        stem=context,
    )


def _new_id(node: Node, reading: _Reading) -> str:
    given = node.text("id")
    first = reading.ids.setdefault(given, node.where)
    if first != node.where:
        raise node.at("id").error(f"the id '{given}' stands twice; first in {first}")
    return given


def _spans(entry: Node, context: str, texts: Sequence[str], reading: _Reading) -> list[tuple[int, int]]:
    """Return what fills the blank of each sentence; of several blanks the last, as the authors' code takes it.

    Where a context does not fit its sentences, it is what they differ in, and else the word in the place of the blank,
    as the authors' code takes it (``dataloader.py``).
    """
    pattern = _pattern(context)
    fits = [match for text in texts if (match := pattern.fullmatch(text))]
    if len(fits) == len(texts):
        return [match.span(match.lastindex or 0) for match in fits]
    differing = _differing(texts)
    if all(start < end for start, end in differing):
        reading.by_difference += 1
        return differing
    reading.by_place += 1
    return [_at_place(entry, context, text) for text in texts]


def _pattern(context: str) -> re.Pattern[str]:
    """Return what a sentence looks like whose blanks are all filled with the same words."""
    parts = [r"\s++".join(map(re.escape, re.split(r"\s+", part))) for part in context.strip().split(BLANK)]
    gaps = [r"(\S|\S.*?\S)", *[r"(\1)"] * (len(parts) - 2), ""]
    body = "".join(part + gap for part, gap in zip(parts, gaps, strict=True))
    return re.compile(rf"\s*+{body}\s*+", re.IGNORECASE | re.DOTALL)


def _differing(texts: Sequence[str]) -> list[tuple[int, int]]:
    """Return where each text has other words than the rest, between the words at both ends that all have."""
    words = [[match.span() for match in re.finditer(r"\S+", text)] for text in texts]
    told = [text.split() for text in texts]
    fewest = min(map(len, told))
    before = next((n for n in range(fewest) if len({words[n] for words in told}) > 1), fewest)
    left = fewest - before
    after = next((n for n in range(left) if len({words[-1 - n] for words in told}) > 1), left)
    return [
        (spans[before][0], spans[len(spans) - 1 - after][1]) if before + after < len(spans) else (0, 0)
        for spans in words
    ]


def _at_place(entry: Node, context: str, text: str) -> tuple[int, int]:
    """Return the word in the place of the last blank, words being what single blanks separate, without its marks."""
    place = max(place for place, word in enumerate(context.split(" ")) if BLANK in word)
    words = text.split(" ")
    word = words[place] if place < len(words) else ""
    stripped = word.strip(_MARKS)
    if not stripped.strip():
        message = f"nothing in {text!r} fills the blank of {context!r}"
        raise entry.at("sentences").error(message)
    start = sum(len(word) + 1 for word in words[:place]) + word.index(stripped)
    return start, start + len(stripped)


def _remarks(reading: _Reading, others: int) -> Iterator[str]:
    if others:
        yield f"{others:,} intersentence entries were not read: only intrasentence entries are"
    for count, what in (
        (reading.by_difference, "it was taken to be the words in which the three sentences differ"),
        (reading.by_place, "it was taken to be the word in the place of the blank, as the authors' code takes it"),
    ):
        if count:
            yield f"in {count:,} items the context does not show what was filled in; {what}"


_SOURCES = (
    "Nadeem, Bethke & Reddy (2021), StereoSet: Measuring stereotypical bias in pretrained language models (ACL-IJCNLP)",
    "The file is given by the person who ran the audit, in the format of the StereoSet development set "
    "(https://github.com/moinnadeem/StereoSet)",
)
_CRITICISM = (
    "Blodgett et al. (2021), Stereotyping Norwegian Salmon: such sets often do not say what is measured, and rest on "
    "ambiguous and unstated assumptions about what a stereotype is. They examined this set among four.",
    "For masked models the authors' code takes the mean of probabilities, not of log-probabilities as the paper says.",
    "Published figures of RoBERTa are of two kinds: the authors' code puts no blank before the word, and bias-bench "
    "does (its issues 5 and 11; the language-modelling score rises from 71 to 88.9). They cannot be compared.",
    "The sentences spell most names without capitals, and the contexts spell them with; which of the two a model is "
    "asked about is part of the instrument.",
)
_CANNOT_SHOW = (
    "That a model is free of bias: a target term has few items, and other stereotypes are not asked about.",
    "Stereotypes of other countries and languages.",
    "What the model says of its own accord, or what a system that is built on it does to people.",
    "Why a word is preferred: some words are more frequent than others, whatever the sentence is about.",
)
