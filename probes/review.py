"""What a valid probe file may still have wrong: what ``fairprint probes validate`` says beside "valid"."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

from fairprint.probes.items import Item, ProbeSet
from fairprint.probes.labelled import IMAGES, OTHERS, TEXTS, belongs

_FEW_UNITS = 12
_LENGTH_DIFFERENCE = 1.0
"""Mean difference of two groups' sentences, in words, from which it is told."""


def remarks(probe_set: ProbeSet) -> tuple[str, ...]:
    """Return what a careful reader would say of a valid set: balance, duplicates, unused forms, few units, lengths."""
    if probe_set.scored in (TEXTS, IMAGES):
        return tuple(_labelled(probe_set))
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
