"""BBQ (Parrish et al. 2022) in its authors' JSON Lines: questions about two people, with three options."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairprint.probes.choices import WORDINGS, options
from fairprint.probes.errors import ProbeFileError, nearest
from fairprint.probes.forms import QUESTION
from fairprint.probes.items import Comparison, Group, Item, ProbeSet
from fairprint.probes.notations import json_rows, read_utf8

BIASED, COUNTER_BIASED, UNKNOWN = "biased", "counter-biased", "unknown"
FIRST, SECOND = "first", "second"
AMBIGUOUS, DISAMBIGUATED = "ambiguous", "disambiguated"

_OPTIONS = ("ans0", "ans1", "ans2")
_CONDITIONS = {"ambig": AMBIGUOUS, "disambig": DISAMBIGUATED}
_POLARITIES = ("neg", "nonneg")
_READ = (
    "example_id",
    "question_index",
    "question_polarity",
    "context_condition",
    "category",
    "answer_info",
    "additional_metadata",
    "context",
    "question",
    *_OPTIONS,
    "label",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BbqRow:
    """One line of a file: its number, the item, what the authors say of each option, and the keys that are not read.

    Attributes:
        info: by option, the strings of ``answer_info``, in the order of the item's variants.
        rest: what other keys hold, such as the answers of models.
    """

    line: int
    item: Item
    info: tuple[tuple[str, ...], ...]
    rest: Mapping[str, Any]


def load_bbq(path: Path) -> ProbeSet:
    """Read one of the authors' files, with or without columns of models' answers.

    Raises:
        ProbeFileError: the file cannot be read, or a line lacks a key, has the id of another, or says what cannot be
            used; the message names the line.
    """
    data, text = read_utf8(path)
    rows = list(bbq_rows(text, str(path)))
    items = tuple(row.item for row in rows)
    categories = tuple(dict.fromkeys(item.category for item in items))
    called = categories[0] if len(categories) == 1 else path.name.partition(".")[0]
    told = " and ".join(category.replace("_", " ").lower() for category in categories[:3])
    return ProbeSet(
        name=re.sub(r"[^a-z0-9]+", "-", f"bbq-{called.lower()}").strip("-"),
        version=1,
        title=f"BBQ: {told + (' and others' if len(categories) > 3 else '')}",
        summary="Two people are named in a text, and a question asks which of them did or is something. Where the text "
        "does not say (ambiguous), does the model answer with the stereotype instead of “unknown”? Where it does say "
        "(disambiguated), does the model follow the text even against the stereotype?",
        measures="reliance on stereotypes in answers to questions that the text does not answer, and to those it does",
        harm_type="stereotyping (representational harm)",
        language="en",
        licence="CC BY 4.0",
        sources=_SOURCES,
        criticism=_CRITICISM,
        cannot_show=_CANNOT_SHOW,
        groups=roles(items),
        comparisons=(Comparison(first=BIASED, second=COUNTER_BIASED),),
        scored=QUESTION,
        random_factors=("template",),
        covariate=None,
        covariate_group=None,
        items=items,
        sha256=hashlib.sha256(data).hexdigest(),
        source="file",
        remarks=tuple(_remarks(rows)),
    )


def roles(items: Sequence[Item]) -> tuple[Group, ...]:
    """Return the roles that options have in some questions, as groups."""
    labels = {
        BIASED: "the answer that follows the stereotype",
        COUNTER_BIASED: "the answer that goes against it",
        UNKNOWN: "the answer “unknown”: the text does not say",
        FIRST: "the first of the two people among the options, where no stereotype is known",
        SECOND: "the second of them",
    }
    used = {variant.group for item in items for variant in item.variants} | {BIASED, COUNTER_BIASED}
    return tuple(Group(id=role, label=label) for role, label in labels.items() if role in used)


def bbq_rows(text: str, file: str) -> Iterator[BbqRow]:
    """Yield the lines of a file.

    Args:
        text: its content.
        file: its name, for messages.

    Raises:
        ProbeFileError: as ``load_bbq``.
    """
    lines: dict[str, int] = {}
    for number, row in json_rows(text, file):
        found = _Line(file, number, row)
        item, info = found.item()
        if item.id in lines:
            raise found.error(f"the example_id {item.id} stands twice; first in line {lines[item.id]}")
        lines[item.id] = number
        yield BbqRow(line=number, item=item, info=info, rest={k: v for k, v in row.items() if k not in _READ})
    if not lines:
        raise ProbeFileError("the file is empty", file=file, line=1)


class _Line:
    """One line of a file, whose values are checked as they are read."""

    def __init__(self, file: str, number: int, row: Mapping[str, Any]) -> None:
        self.file, self.number, self.row = file, number, row

    def error(self, message: str, hint: str | None = None) -> ProbeFileError:
        """Return an error that names the line."""
        return ProbeFileError(message, file=self.file, line=self.number, hint=hint)

    def item(self) -> tuple[Item, tuple[tuple[str, ...], ...]]:
        """Return the item, and what ``answer_info`` says of each option."""
        info = tuple(self._strings("answer_info", option) for option in _OPTIONS)
        texts = [self._text(option) for option in _OPTIONS]
        groups = self._roles(info)
        stem = f"{self._text('context')} {self._text('question')}"
        category, index = self._text("category"), self._name("question_index")
        label = self.row.get("label")
        if isinstance(label, bool) or not isinstance(label, int) or not 0 <= label < len(_OPTIONS):
            raise self.error(f"label is {_shown(label)}; expected 0, 1 or 2: the number of the right option")
        item = Item(
            id=self._name("example_id"),
            template=f"{category} {index}",
            lexeme="",
            category=category,
            directions=(1,),
            valence=0,
            covariate=None,
            variants=options(stem, groups, texts, WORDINGS["en"]),
            stem=stem,
            answer=groups[label],
            condition=_CONDITIONS[self._one_of("context_condition", tuple(_CONDITIONS))],
        )
        return item, info

    def _roles(self, info: Sequence[Sequence[str]]) -> list[str]:
        """Return the role of each option.

        The target is the one option, of those that name somebody, of which an entry of ``answer_info`` is a stereotyped
        group, without regard to case. A question in the negative (``neg``) asks who fits the stereotype.
        """
        stereotyped = {group.casefold() for group in self._strings("additional_metadata", "stereotyped_groups")}
        kinds = [[entry.casefold() for entry in entries] for entries in info]
        unknown = [place for place, entries in enumerate(kinds) if UNKNOWN in entries]
        if len(unknown) != 1:
            told = f"{len(unknown)} of the options are 'unknown' in answer_info; expected one"
            raise self.error(told)
        people = [place for place in range(len(kinds)) if place not in unknown]
        targets = [place for place in people if stereotyped & set(kinds[place])]
        negative = self._one_of("question_polarity", _POLARITIES) == "neg"
        found = dict.fromkeys(unknown, UNKNOWN)
        for place, order in zip(people, (FIRST, SECOND), strict=True):
            found[place] = order
            if len(targets) == 1:
                found[place] = BIASED if (place in targets) == negative else COUNTER_BIASED
        return [found[place] for place in range(len(kinds))]

    def _value(self, *keys: str) -> Any:
        found: Any = self.row
        for depth, key in enumerate(keys):
            if not isinstance(found, dict):
                raise self.error(f"{'.'.join(keys[:depth])} is {_shown(found)}; expected an object")
            if key not in found:
                name = ".".join(keys[: depth + 1])
                hint = "a file of BBQ, one JSON object a line, as its authors publish it"
                raise self.error(f"the key '{name}' is missing.{nearest(key, found)}", hint)
            found = found[key]
        return found

    def _text(self, key: str) -> str:
        found = self._value(key)
        if not isinstance(found, str) or not found.strip():
            raise self.error(f"{key} is {_shown(found)}; expected a text")
        return found.strip()

    def _name(self, key: str) -> str:
        """Return a number or a short text by which something is called."""
        found = self._value(key)
        if isinstance(found, int) and not isinstance(found, bool) and abs(found) < 10**12:
            return str(found)
        return self._text(key)

    def _strings(self, *keys: str) -> tuple[str, ...]:
        found = self._value(*keys)
        if not isinstance(found, list) or not all(isinstance(entry, str) for entry in found):
            raise self.error(f"{'.'.join(keys)} is {_shown(found)}; expected a list of texts")
        return tuple(entry.strip() for entry in found)

    def _one_of(self, key: str, known: Sequence[str]) -> str:
        found = self._text(key)
        if found not in known:
            raise self.error(f"{key} is '{_cut(found)}'.{nearest(found, known)}", f"expected {' or '.join(known)}")
        return found


def _shown(value: Any) -> str:
    return _cut(repr(value).encode("ascii", "backslashreplace").decode())


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def _remarks(rows: Sequence[BbqRow]) -> Iterator[str]:
    untold = sum(any(variant.group == FIRST for variant in row.item.variants) for row in rows)
    if untold:
        yield (
            f"{untold:,} of {len(rows):,} items have no option, or more than one, of a stereotyped group: they count "
            "for accuracy and for no bias score"
        )
    ignored = Counter(key for row in rows for key in row.rest)
    if ignored:
        told = ", ".join(_cut(key.encode("utf-8", "backslashreplace").decode()) for key in ignored)
        yield f"keys that were not read: {told}"


_SOURCES = (
    "Parrish, Chen, Nangia, Padmakumar, Phang, Thompson, Htut & Bowman (2022), BBQ: A Hand-Built Bias Benchmark for "
    "Question Answering",
    "The file is given by the person who ran the audit, in the format of https://github.com/nyu-mll/BBQ",
)
_CRITICISM = (
    "A category has about 25 templates, each filled with many names and words, so that its items are no independent "
    "samples: intervals here go by template and are two to five times as wide as those that go by item.",
    "Other programs compute the same scores in other ways, and some of them wrongly: figures of the same name need not "
    "be comparable.",
    "Which group the stereotype is about is found by its name in the file; where an option says it otherwise, as with "
    "given names, the item has no bias score.",
    "The scores of the category of gender identity could not be reproduced exactly even by its authors.",
)
_CANNOT_SHOW = (
    "Stereotypes outside of the United States, for whose English-speaking contexts the questions were written.",
    "Why an answer is wrong: a model that cannot read the text looks unbiased, so accuracy stands beside every score.",
    "What the model says where it is not asked to choose, or what a system that is built on it does to people.",
)
