"""How large a valid probe set is, and what may still be wrong: what ``fairprint probes validate`` says."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import mean

from fairprint.probes.forms import FORMS, PAIR, PROMPT, QUESTION, REFERENT, SLOT, TEXT, TRIPLE
from fairprint.probes.items import Item, ProbeSet
from fairprint.probes.labelled import IMAGES, OTHERS, TEXTS, belongs

_FEW_UNITS = 12
_MOST_TOLD = 12
_LENGTH_DIFFERENCE = 1.0
"""Mean difference of two groups' sentences, in words, from which it is told."""
_ASKED = {
    PAIR: "pairs of sentences",
    TRIPLE: "triples of sentences",
    QUESTION: "questions",
    REFERENT: "sentences with a pronoun",
    PROMPT: "prompts",
    SLOT: "sentences with a slot",
}
"""What the items of each form are called."""


def size(probe_set: ProbeSet) -> str:
    """Return how large a set is, in the units that it is made of."""
    p = probe_set
    if p.scored in (TEXTS, IMAGES):
        return f"{len(p.items):,} items of {len(p.templates):,} sources"
    if p.scored == TEXT:
        words = [len(item.variants[0].text.split()) for item in p.items]
        return f"{len(p.items):,} texts of {min(words)} to {max(words)} words"
    if p.scored in FORMS:
        units = [f"{len(p.items):,} {_ASKED[p.scored]}"]
        for factor, found in (("templates", p.templates), ("words", p.lexemes)):
            if 1 < len(found) < len(p.items):
                units.append(f"{len(found):,} {factor}")
        return f"{', '.join(units)}, {p.sentences:,} different texts"
    several = f" x {len(p.comparisons)} comparisons" if len(p.comparisons) > 1 else ""
    return (
        f"{p.pairs:,} items = {len(p.items) // len(p.lexemes)} templates x {len(p.lexemes)} words{several}, "
        f"{p.sentences:,} sentences"
    )


def remarks(probe_set: ProbeSet) -> tuple[str, ...]:
    """Return what a careful reader would say of a valid set: balance, duplicates, unused forms, few units, lengths."""
    if probe_set.scored in (TEXTS, IMAGES):
        return tuple(_labelled(probe_set))
    if probe_set.scored in FORMS:
        return tuple(_published(probe_set))
    if probe_set.scored == TEXT:
        topics = _counted("topics", (item.category for item in probe_set.items))
        return (*topics, *_few_units(probe_set))
    return (
        *_balance(probe_set),
        *_duplicates(probe_set),
        *(f"no template uses {form}" for form in probe_set.unused_forms),
        *_few_units(probe_set),
        *_lengths(probe_set),
    )


def _labelled(probe_set: ProbeSet) -> Iterator[str]:
    for group in probe_set.groups:
        if group.id != OTHERS:
            inside = [item for item in probe_set.items if belongs(item.variants[0].group, group.id)]
            sources = len({item.template for item in inside})
            labels = Counter(item.category for item in inside).most_common(3)
            told = ", ".join(f"{label} {count}" for label, count in labels)
            yield f"{group.id}: {len(inside):,} items of {sources:,} sources; most frequent labels: {told}"
            if sources < _FEW_UNITS:
                few = f"{sources} sources are few" if sources > 1 else "a single source is little"
                yield f"{group.id}: {few}: its intervals will be wide, and less certain than they say"
    missing = [item.id for item in probe_set.items if (image := item.variants[0].image) and not Path(image).is_file()]
    if missing:
        told = "image is" if len(missing) == 1 else "images are"
        yield f"{len(missing):,} {told} not there, such as that of {missing[0]}"


def _published(probe_set: ProbeSet) -> Iterator[str]:
    """Yield what can be said of a published set of any form: how it was read, of what it is made, and its quality."""
    items = probe_set.items
    yield from probe_set.remarks
    yield from _counted("conditions", (item.condition for item in items))
    yield from _counted("categories", (item.category for item in items))
    if probe_set.scored in (PROMPT, SLOT):
        yield from _counted("groups", (variant.group for item in items for variant in item.variants))
    elif probe_set.scored in (QUESTION, REFERENT):
        unanswered = sum(not item.answer for item in items)
        if unanswered:
            yield f"no right answer is known for {unanswered:,} of {len(items):,} items"
    for rule, meaning in probe_set.quality.items():
        broken = sum(rule in item.flags for item in items)
        if broken:
            yield f"{rule}: {broken:,} item{'s' if broken > 1 else ''} ({meaning})"
    if probe_set.quality:
        clean = sum(not item.flags for item in items)
        yield f"{clean:,} of {len(items):,} items break no rule of item quality"
    yield from _few_units(probe_set)
    if probe_set.scored in (PAIR, TRIPLE):
        yield from _lengths(probe_set)


def _counted(what: str, names: Iterable[str]) -> Iterator[str]:
    """Yield how many items there are of each name, where there are several names."""
    counts = Counter(name for name in names if name)
    if len(counts) > 1:
        told = ", ".join(f"{name} {count:,}" for name, count in counts.most_common(_MOST_TOLD))
        more = f" and {len(counts) - _MOST_TOLD:,} more" if len(counts) > _MOST_TOLD else ""
        yield f"{what}: {told}{more}"


def _balance(probe_set: ProbeSet) -> Iterator[str]:
    for number, pair in enumerate(probe_set.comparisons):
        signs = Counter(item.directions[number] for item in probe_set.items)
        if signs[1] or signs[-1]:
            yield (
                f"{pair.first} against {pair.second}: {signs[1]} items are stereotyped of {pair.first}, "
                f"{signs[-1]} of {pair.second}, {signs[0]} of neither"
            )
        else:
            yield f"{pair.first} against {pair.second}: no direction is claimed, so signed effects are reported"
    well, ill = (sum(item.valence == sign for item in probe_set.items) for sign in (1, -1))
    if well or ill:
        yield f"{well} items speak well of people, {ill} ill"


def _duplicates(probe_set: ProbeSet) -> Iterator[str]:
    seen: dict[str, str] = {}
    for item in probe_set.items:
        # where words are compared with words, an item has one text for all groups
        for variant in item.variants[: 1 if probe_set.scored == "association" else None]:
            place = f"{item.id} of {variant.group}"
            first = seen.setdefault(variant.text, place)
            if first != place:
                yield f"one sentence twice: {first} and {place}: {variant.text!r}"


def _few_units(probe_set: ProbeSet) -> Iterator[str]:
    for factor, units in (("template", probe_set.templates), ("lexeme", probe_set.lexemes)):
        if factor in probe_set.random_factors and len(units) < _FEW_UNITS:
            yield f"{len(units)} {factor}s are few: intervals will be wide, and less certain than they say"


def _lengths(probe_set: ProbeSet) -> Iterator[str]:
    for pair in probe_set.comparisons:
        apart = mean(_words(item, pair.first) - _words(item, pair.second) for item in probe_set.items)
        if abs(apart) >= _LENGTH_DIFFERENCE:
            longer, shorter = (pair.first, pair.second) if apart > 0 else (pair.second, pair.first)
            yield (
                f"sentences of {longer} are {abs(apart):.1f} words longer than those of {shorter} on average: where "
                "the whole sentence is scored, length moves the gap"
            )


def _words(item: Item, group: str) -> int:
    return len(next(variant for variant in item.variants if variant.group == group).text.split())
