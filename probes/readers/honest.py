"""HONEST (Nozza, Bianchi & Hovy 2021): sentences about women and men, or queer people and others, with a slot to fill.

A row of the authors' TSV is a sentence with the slot ``[M]`` (``template_masked``), its frame (``raw``), the words for
the person (``identity``), the group (``category``), and which kind of word would fit (``type``).
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from fairprint.probes.errors import ProbeFileError
from fairprint.probes.forms import SLOT
from fairprint.probes.items import Comparison, Group, Item, ProbeSet, Variant
from fairprint.probes.labelled import OTHERS
from fairprint.probes.readers.tables import Table, read_table

MASK = "[M]"
_COLUMNS = ("template_masked", "raw", "identity", "category", "type")
_LANGUAGE = re.compile(r"([a-z]{2,3})(?:_|$)")
_SEVERAL = "queer_nonqueer"
"""The authors' folder of templates whose files bear the same names as those of women and men."""


def load_honest(path: Path) -> ProbeSet:
    """Read a TSV file of templates.

    The template of an item is the frame, its lexeme the words for the person: both are samples of what could have been
    asked. Texts that stand more than once are all kept, since the authors' score counts templates.

    Raises:
        ProbeFileError: the file cannot be read or used; the message names the line and what was expected.
    """
    table = read_table(path, needed=_COLUMNS, delimiter="\t", quotes=False)
    groups = tuple(dict.fromkeys(row["category"].strip() for _, row in table.rows))
    pairs = [(groups[0], groups[1])] if len(groups) == 2 else [(group, OTHERS) for group in groups]
    comparisons = tuple(Comparison(first=first, second=second) for first, second in pairs)
    labelled = [Group(id=group, label=group.replace("_", " ")) for group in groups]
    if len(groups) > 2:
        labelled.append(Group(id=OTHERS, label="all other groups"))
    items = tuple(_items(table, len(comparisons)))
    if len(groups) == 1:
        message = f"all rows are of one category, '{groups[0]}'; nothing can be compared"
        raise ProbeFileError(message, file=table.file, line=table.rows[0][0])
    found = _LANGUAGE.match(path.stem)
    return ProbeSet(
        name=_name(path),
        version=1,
        title=f"HONEST: {_name(path).removeprefix('honest-')}",
        summary=_SUMMARY,
        measures="how often a model completes a sentence about a person with a word from a lexicon of hurtful words",
        harm_type="representational harm (hurtful words about groups of people)",
        language=found[1] if found else "und",
        licence="MIT (the templates; a lexicon has a licence of its own)",
        sources=_SOURCES,
        criticism=_CRITICISM,
        cannot_show=_CANNOT_SHOW,
        groups=tuple(labelled),
        comparisons=comparisons,
        scored=SLOT,
        random_factors=("template", "lexeme"),
        covariate=None,
        covariate_group=None,
        items=items,
        sha256=table.sha256,
        source="file",
        remarks=(*table.remarks, *_remarks(items)),
    )


def _items(table: Table, comparisons: int) -> Iterator[Item]:
    for line, row in table.rows:
        before, mask, after = row["template_masked"].partition(MASK)
        if not mask or MASK in after:
            found = "several" if mask else "none"
            message = f"a text must hold the slot {MASK} once, found {found}: '{_short(row['template_masked'])}'"
            raise ProbeFileError(message, file=table.file, line=line)
        group = row["category"].strip()
        if group == OTHERS:
            raise ProbeFileError(f"'{OTHERS}' can be no category", file=table.file, line=line)
        identity = row["identity"].strip()
        yield Item(
            id=f"line {line}",
            template=row["raw"].strip(),
            lexeme=identity,
            category=row["type"].strip(),
            directions=(0,) * comparisons,
            valence=0,
            covariate=None,
            variants=(Variant(group=group, text=before + after, span=(len(before), len(before))),),
            word=identity,
        )


def _remarks(items: Sequence[Item]) -> Iterator[str]:
    texts = Counter((item.variants[0].frame) for item in items)
    twice = sum(count - 1 for count in texts.values())
    if twice:
        of_several = {item.variants[0].frame: set[str]() for item in items}
        for item in items:
            of_several[item.variants[0].frame].add(item.variants[0].group)
        shared = sum(len(groups) > 1 for groups in of_several.values())
        told = f"{twice:,} {'text repeats' if twice == 1 else 'texts repeat'} another one"
        told += "; each is asked and counted, as the authors count templates"
        stand = "text stands" if shared == 1 else "texts stand"
        yield told + (f" ({shared:,} {stand} for more than one group)" if shared else "")


def _name(path: Path) -> str:
    stem = path.stem.lower().removesuffix("_template")
    told = f"{stem} {_SEVERAL}" if path.parent.name == _SEVERAL else stem
    return f"honest-{re.sub(r'[^a-z0-9]+', '-', told).strip('-') or 'templates'}"


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}..."


_SUMMARY = (
    "Does the model complete a sentence about a person with a hurtful word, and more often for one group than for "
    "another? A masked model names its most probable words for a slot; a model that writes on continues the text "
    "before it. A word counts as hurtful where it stands in a lexicon that the user names."
)
_SOURCES = (
    "Nozza, Bianchi & Hovy (2021), HONEST: Measuring hurtful sentence completion in language models (NAACL)",
    "Nozza, Bianchi, Lauscher & Hovy (2022), Measuring harmful sentence completion in language models for LGBTQIA+ "
    "individuals (LT-EDI): the templates about queer people",
)
_CRITICISM = (
    "A word is looked up without its context and with its case as it is: a lexicon counts words that are harmless in "
    "their sentence, and misses hurtful texts of harmless words. Only whole words are found, and only in the form in "
    "which the lexicon has them.",
    "Words for groups can stand in the lexicon themselves, so that a sentence that names a group counts as hurtful.",
    "Several words for people are said of both groups (the child, the young), so that the same text counts once for "
    "each of them; some templates are not grammatical.",
    "The result depends on how many completions are taken (K) and on the lexicon, which does not come with the set. A "
    "widely used copy of the score mixed up its two ways of looking words up, so that whole sentences always scored 0.",
)
_CANNOT_SHOW = (
    "Whether a completion is meant as an insult, or would hurt anybody.",
    "What the model writes in longer texts, or in answer to a question.",
    "Anything about people or languages that are not in the templates.",
)
