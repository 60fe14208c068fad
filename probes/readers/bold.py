"""BOLD (Dhamala et al. 2021): beginnings of English Wikipedia sentences about people, professions and ideologies.

A file holds one domain: ``{group: {key: [prompt, ...]}}``, where a key is the article that the prompts are from. The
sentences as people wrote them stand, in the same order, in a folder ``wikipedia`` beside the folder of the prompts or
inside it; what follows the prompt there is the human baseline.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from pathlib import Path

from fairprint.probes.errors import ProbeFileError
from fairprint.probes.forms import PROMPT
from fairprint.probes.items import Comparison, Group, Item, ProbeSet, Variant
from fairprint.probes.labelled import OTHERS
from fairprint.probes.readers.json_files import Node, read_json

_SUFFIX, _HUMAN_SUFFIX = "_prompt", "_wiki"
_HINT = "a file of BOLD is {group: {key: [prompt, ...]}}"

Sentences = dict[tuple[str, str], tuple[Node, ...]]
"""The sentences of a file, by group and key."""


@dataclass(slots=True)
class _Domain:
    """One file.

    Attributes:
        name: such as ``political ideology``.
        people: what people wrote, or None where the file of it is not there.
    """

    name: str
    path: Path
    sha256: str
    prompts: Sentences
    people: Sentences | None
    hashes: list[str]
    unmatched: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def groups(self) -> tuple[str, ...]:
        """Ids of its groups, in the order of the file."""
        return tuple(dict.fromkeys(group for group, _ in self.prompts))


def load_bold(path: Path) -> ProbeSet:
    """Read a file of prompts, or all of a folder (or of the folder ``prompts`` in it).

    The template of an item is the key of its prompt: the prompts of one article speak of one person or thing and are
    no independent samples, and an article that serves two groups or domains is one unit all the same. The groups of a
    domain give a key each in turn, so that a part of a set holds all of them.

    Raises:
        ProbeFileError: a file cannot be read or used; the message names the path in it and the character.
    """
    files = [path] if path.is_file() else _files(path)
    domains = [_domain(file) for file in files]
    groups: dict[str, Path] = {}
    for domain in domains:
        for group in domain.groups:
            if group in groups:
                message = f"the group '{group}' stands in {groups[group].name} too"
                raise ProbeFileError(message, file=str(domain.path), hint="read the files one by one")
            groups[group] = domain.path
    comparisons = tuple(chain.from_iterable(_comparisons(domain.groups) for domain in domains))
    if not comparisons:
        raise ProbeFileError("a single group; nothing can be compared", file=str(path), hint=_HINT)
    called = {group: Group(id=group, label=group.replace("_", " ").strip() or group) for group in groups}
    if any(pair.second == OTHERS for pair in comparisons):
        called[OTHERS] = Group(id=OTHERS, label="all other groups of the same domain")
    items = tuple(item for domain in domains for item in _items(domain, len(comparisons)))
    hashes = [name for domain in domains for name in domain.hashes]
    one = domains[0].name if len(domains) == 1 else ""
    return ProbeSet(
        name=f"bold-{_slug(one)}" if one else "bold",
        version=1,
        title=f"BOLD: {one}" if one else "BOLD",
        summary=_SUMMARY,
        measures="how often a scorer finds a label in what a model writes after beginnings of sentences about a group",
        harm_type="representational harm (what is written about people)",
        language="en",
        licence="CC BY-SA 4.0",
        sources=_SOURCES,
        criticism=_CRITICISM,
        cannot_show=_CANNOT_SHOW,
        groups=tuple(called.values()),
        comparisons=comparisons,
        scored=PROMPT,
        random_factors=("template",),
        covariate=None,
        covariate_group=None,
        items=items,
        sha256=hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest(),
        source="file",
        remarks=tuple(_remarks(domains, items)),
    )


def _files(folder: Path) -> list[Path]:
    inside = folder / "prompts"
    found = sorted((inside if inside.is_dir() else folder).glob("*.json"))
    # what people wrote can lie in the same folder; it is read with the prompts
    found = [file for file in found if file.is_file() and not file.stem.endswith(_HUMAN_SUFFIX)]
    if not found:
        raise ProbeFileError("the folder holds no .json file of prompts", file=str(folder), hint=_HINT)
    return found


def _domain(path: Path) -> _Domain:
    name = path.stem.removesuffix(_SUFFIX)
    sha256, prompts = _sentences(path)
    if not prompts:
        raise ProbeFileError("the file holds no prompt", file=str(path), line=1, hint=_HINT)
    human = path.stem.removesuffix(_SUFFIX) + f"{_HUMAN_SUFFIX}.json"
    places = (path.parent / "wikipedia", path.parent.parent / "wikipedia", path.parent)
    beside = next((place / human for place in places if (place / human).is_file()), None)
    hashes, people = [sha256], None
    if beside is not None:
        sha256, people = _sentences(beside)
        hashes.append(sha256)
    told = name.replace("_", " ").strip() or path.stem
    return _Domain(name=told, path=path, sha256=sha256, prompts=prompts, people=people, hashes=hashes)


def _sentences(path: Path) -> tuple[str, Sentences]:
    """Return the hash of a file, and its sentences."""
    document = read_json(path)
    found: Sentences = {}
    for group, keys in document.root.members():
        if not group.strip() or group == OTHERS:
            raise keys.error(f"'{group}' can be no name of a group", hint=_HINT)
        for key, entries in keys.members():
            found[group, key] = entries.entries()
            for sentence in found[group, key]:
                sentence.text(empty=True)
    return document.sha256, {place: sentences for place, sentences in found.items() if sentences}


def _comparisons(groups: Sequence[str]) -> tuple[Comparison, ...]:
    """Compare two groups with each other, each of several with all others of its domain."""
    if len(groups) == 2:
        return (Comparison(first=groups[0], second=groups[1]),)
    return tuple(Comparison(first=group, second=OTHERS) for group in groups) if len(groups) > 2 else ()


def _items(domain: _Domain, comparisons: int) -> Iterator[Item]:
    by_group: dict[str, list[tuple[str, str]]] = {}
    for group, key in domain.prompts:
        by_group.setdefault(group, []).append((group, key))
    in_turn = (place for place in chain.from_iterable(zip_longest(*by_group.values())) if place is not None)
    for group, key in in_turn:
        prompts = domain.prompts[group, key]
        people = _people(domain, group, key, len(prompts))
        for prompt, sentence in zip(prompts, people, strict=True):
            text: str = prompt.value
            yield Item(
                id=f"{_slug(domain.name)}:{prompt.where}",
                template=key,
                lexeme="",
                category=domain.name,
                directions=(0,) * comparisons,
                valence=0,
                covariate=None,
                variants=(Variant(group=group, text=text, span=(0, len(text))),),
                baseline=_after(text, sentence, domain.counts),
            )


def _people(domain: _Domain, group: str, key: str, count: int) -> Sequence[str | None]:
    """Return the sentence that each prompt of a key is the beginning of; None where it is not there."""
    if domain.people is None:
        return (None,) * count
    found = domain.people.get((group, key), ())
    if len(found) != count:
        # which of them belongs to which prompt is not known
        domain.counts["without"] += count
        return (None,) * count
    return [sentence.value for sentence in found]


def _after(prompt: str, sentence: str | None, counts: Counter[str]) -> str:
    """Return how people went on after a prompt, or an empty text."""
    begun = prompt.strip()
    if sentence is None:
        return ""
    rest = sentence.strip().removeprefix(begun).strip() if begun and sentence.strip().startswith(begun) else ""
    counts["without" if not rest else "with"] += 1
    return rest


def _remarks(domains: Sequence[_Domain], items: Sequence[Item]) -> Iterator[str]:
    texts: Mapping[str, list[str]] = {domain.name: [] for domain in domains}
    for item in items:
        texts[item.category].append(item.variants[0].text)
    twice = sum(len(found) - len(set(found)) for found in texts.values())
    if twice:
        repeat = "prompt repeats" if twice == 1 else "prompts repeat"
        yield f"{twice:,} {repeat} another one of their file; each is asked"
    empty = sum(not text.strip() for found in texts.values() for text in found)
    if empty:
        yield f"{empty:,} {'prompt is empty and has' if empty == 1 else 'prompts are empty and have'} no answer"
    for domain in domains:
        if domain.people is not None:
            told = f"{domain.name}: {domain.counts['with']:,} prompts have a human continuation from Wikipedia"
            yield told + (f", {domain.counts['without']:,} have none" if domain.counts["without"] else "")
    without = [domain.name for domain in domains if domain.people is None]
    if without:
        yield f"no human continuations from Wikipedia beside the prompts of: {', '.join(without)}"


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "prompts"


_SUMMARY = (
    "What does the model write about a group of people? It continues beginnings of English Wikipedia sentences about "
    "actors and actresses, people of several origins, professions, religions and political ideologies; a scorer that "
    "the user names says how often a continuation has a label, such as toxic. The scorer reads the continuation "
    "without its prompt, so that the name or the word for the group in the prompt cannot move it."
)
_SOURCES = (
    "Dhamala et al. (2021), BOLD: Dataset and metrics for measuring biases in open-ended language generation (FAccT)",
    "The prompts are beginnings of sentences of the English Wikipedia; the rest of a sentence is the human baseline.",
)
_CRITICISM = (
    "The groups are not matched: the articles about them differ in much else, so that the content of a prompt moves "
    "the result as well as the group does. The human baseline shows how much: compare with it first.",
    "Names of people say more than one group: they tell origin and gender together, and the model may know the person.",
    "The set ships prompts and no scorer: what is found depends on the scorer, which can react to the words for groups "
    "itself. Its own rate of reacting to them stands beside the results.",
    "Some prompts are notes and lists rather than sentences, many stand more than once, and a few are empty.",
    "No published figure could be verified, so that none is shown beside the results.",
)
_CANNOT_SHOW = (
    "Whether a text harms anybody: a label is what the scorer says.",
    "What the model writes when it is asked a question, or told to write about a person.",
    "Anything about languages other than English, or groups that are not in the set: the gender part holds actors and "
    "actresses alone.",
)
