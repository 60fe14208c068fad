"""CrowS-Pairs (Nangia et al. 2020) in its authors' CSV: pairs of a more and a less stereotyping sentence."""

from collections.abc import Iterator
from pathlib import Path

from fairprint.probes import quality
from fairprint.probes.errors import ProbeFileError, nearest
from fairprint.probes.forms import PAIR
from fairprint.probes.items import Comparison, Group, Item, ProbeSet, Variant
from fairprint.probes.readers.tables import Table, read_table

_INDEX = ""
"""The authors' first column has no name."""
_SENTENCES = {"more": "sent_more", "less": "sent_less"}
_CONDITION = "stereo_antistereo"
_CONDITIONS = ("stereo", "antistereo")


def load_crows_pairs(path: Path) -> ProbeSet:
    """Read the authors' CSV file.

    An item is a pair; its id is that of the authors' first column, or file and line where there is none. A pair that
    stands twice and a sentence that is empty stay in the set and are counted, as the authors' ``metric.py`` has them.

    Raises:
        ProbeFileError: the file cannot be read, a column is missing, an id stands twice or is empty, or a pair is of
            neither direction; the message names the line.
    """
    table = read_table(
        path, needed=(_CONDITION, "bias_type"), blank=tuple(_SENTENCES.values()), known=(_INDEX,), delimiter=","
    )
    items = quality.flagged(list(_items(table, path.name)))
    return ProbeSet(
        name="crows-pairs",
        version=1,
        title="CrowS-Pairs: a more and a less stereotyping sentence",
        summary="Which of two sentences does the model find more probable: the one that says a stereotype of people, "
        "or the one that says the same of others? The sentences of a pair were written to differ in few words.",
        measures="preference for stereotypes that crowd workers in the United States wrote down, over the same said of "
        "another group",
        harm_type="stereotyping (representational harm)",
        language="en",
        licence="CC BY-SA 4.0",
        sources=_SOURCES,
        criticism=_CRITICISM,
        cannot_show=_CANNOT_SHOW,
        groups=(
            Group(id="more", label="the more stereotyping sentence"),
            Group(id="less", label="the less stereotyping sentence"),
        ),
        comparisons=(Comparison(first="more", second="less"),),
        scored=PAIR,
        random_factors=("template",),
        covariate=None,
        covariate_group=None,
        items=items,
        sha256=table.sha256,
        source="file",
        quality=quality.rules(),
        remarks=(*table.remarks, *_remarks(items, has_ids=_has_ids(table))),
    )


def _has_ids(table: Table) -> bool:
    return any(cells[_INDEX].strip() for _, cells in table.rows)


def _items(table: Table, name: str) -> Iterator[Item]:
    has_ids = _has_ids(table)
    lines: dict[str, int] = {}
    for line, cells in table.rows:
        condition = cells[_CONDITION].strip()
        if condition not in _CONDITIONS:
            message = f"{_CONDITION} is '{condition}'.{nearest(condition, _CONDITIONS)}"
            raise ProbeFileError(message, file=table.file, line=line, hint=f"expected {' or '.join(_CONDITIONS)}")
        given = cells[_INDEX].strip() if has_ids else f"{name}:{line}"
        if not given:
            raise ProbeFileError("the row has no id; other rows have one", file=table.file, line=line)
        if given in lines:
            raise ProbeFileError(
                f"the id '{given}' stands twice; first in line {lines[given]}", file=table.file, line=line
            )
        lines[given] = line
        texts = {group: cells[column] for group, column in _SENTENCES.items()}
        spans = _spans(texts["more"], texts["less"])
        yield Item(
            id=given,
            template=given,
            lexeme="",
            category=cells["bias_type"].strip(),
            directions=(1,),
            valence=0,
            covariate=None,
            variants=tuple(
                Variant(group=group, text=text, span=span)
                for (group, text), span in zip(texts.items(), spans, strict=True)
            ),
            condition=condition,
        )


def _spans(more: str, less: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the characters of each sentence from the first to the last word that differs; its end where none does."""
    found = quality.differing_spans(more, less)
    if not found:
        return (len(more), len(more)), (len(less), len(less))
    first, last = found[0], found[-1]
    return (first[0][0], last[0][1]), (first[1][0], last[1][1])


def _remarks(items: tuple[Item, ...], *, has_ids: bool) -> Iterator[str]:
    if not has_ids:
        yield "the file has no column of ids, so that pairs are named by file and line"
    for what, count, then in (
        (
            "pairs that repeat an earlier one",
            sum(quality.REPEATED in item.flags for item in items),
            "counted again, as the authors' code does",
        ),
        (
            "pairs of one sentence with itself",
            sum(item.variants[0].text == item.variants[1].text for item in items),
            "counted as not stereotyping, as the authors' code does",
        ),
        (
            "empty sentences",
            sum(not variant.text.strip() for item in items for variant in item.variants),
            "kept; what cannot be scored counts as missing",
        ),
    ):
        if count:
            yield f"{what}: {count:,}; {then}"


_SOURCES = (
    "Nangia, Vania, Bhalerao & Bowman (2020), CrowS-Pairs: A Challenge Dataset for Measuring Social Biases in Masked "
    "Language Models (EMNLP)",
    "The file is given by the person who ran the audit, in the format of crows_pairs_anonymized.csv "
    "(https://github.com/nyu-mll/crows-pairs)",
)
_CRITICISM = (
    "Blodgett et al. (2021), Stereotyping Norwegian Salmon: such sets often do not say what is measured, and rest on "
    "ambiguous and unstated assumptions about what a stereotype is. They examined this set among four.",
    'Its authors\' own README warns that it "may not be a good indicator".',
    "Pseudo-log-likelihoods of masked models are too high for words of several tokens (Kauf & Ivanova 2023), and the "
    "words for groups differ in how many tokens they have.",
    "How it is asked decides much: GPT-2 has got 59.35 by perplexity, and 47.6 to 51.9 under six prompts.",
    "The pairs were written and sorted by crowd workers, all of them in the United States.",
)
_CANNOT_SHOW = (
    "That a model is free of bias: its authors caution against reading a low score so.",
    "Stereotypes of other countries and languages, and of groups that no pair names.",
    "What the model says of its own accord, or what a system that is built on it does to people.",
    "Which words moved the score, where a pair differs in more than one place (see the rules of item quality).",
)
