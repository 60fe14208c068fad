"""What an audit will ask, before any model is loaded: probe sets, their instruments, and the shards of both."""

from collections.abc import Sequence
from dataclasses import dataclass

from fairprint.probes.catalog import find_probe_set, own_names, own_set
from fairprint.probes.errors import UsageError
from fairprint.probes.forms import TEXT
from fairprint.probes.instruments import INSTRUMENTS, Ability, Instrument, find_instruments
from fairprint.probes.items import Item, ProbeSet, limit_items, shards

SHARD_SIZE = 240
"""Items of a shard: what a killed run loses at the most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Some items of one probe set, to be asked with one instrument; the name is that of its file."""

    name: str
    probe_set: ProbeSet
    instrument: Instrument
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """What an audit will ask.

    Attributes:
        probe_sets: the sets, in the order in which they are asked.
        items: the items that are asked, by set.
        instruments: the ways they are asked, by set.
        limit: items of each set at the most, or None.
        not_asked: own sets that are left out, and why.
    """

    probe_sets: tuple[ProbeSet, ...]
    items: dict[str, tuple[Item, ...]]
    instruments: dict[str, tuple[Instrument, ...]]
    limit: int | None
    shards: tuple[Shard, ...]
    not_asked: dict[str, str]

    @property
    def limited(self) -> bool:
        """Whether items were left out."""
        return any(len(self.items[p.name]) < len(p.items) for p in self.probe_sets)

    @property
    def instrument_names(self) -> tuple[str, ...]:
        """Names of all instruments, in order of first use."""
        return tuple(dict.fromkeys(i.name for found in self.instruments.values() for i in found))


def prepare(
    probes: Sequence[str | ProbeSet] | None = None,
    *,
    languages: Sequence[str] = ("en",),
    instruments: Sequence[str] = (),
    ability: Ability | None = None,
    limit: int | None = None,
    shard_size: int = SHARD_SIZE,
) -> Questions:
    """Find the probe sets and cut them into shards; no model is needed.

    Args:
        probes: names, files or probe sets; where None, all of our own sets in one of the languages that can be asked
            with one of the instruments.
        languages: of the own sets, where no sets are named.
        instruments: names; each set's own one where empty.
        ability: what the model can be asked (``Kind.ability``); None leaves that open.
        limit: items of each set at the most, rounded to whole templates.
        shard_size: items of a shard.

    Raises:
        UsageError: an unknown set or instrument, an instrument that does not suit a set, a set that cannot be asked of
            such a model, two sets of one name, no set in these languages, or a limit below 1.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"the limit is {limit}; expected 1 or more items a set")
    if probes is None:
        sets = _suite(languages, instruments, ability)
    else:
        sets = tuple(find_probe_set(probe) if isinstance(probe, str) else probe for probe in probes)
    names = [probe_set.name for probe_set in sets]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two probe sets are called '{name}'", hint="give each set once, or rename one")
    found = {p.name: _suitable(p, instruments, ability) for p in sets}
    items = {p.name: p.items if limit is None else limit_items(p.items, limit) for p in sets}
    cut = tuple(
        Shard(name=f"{p.name}.{instrument.name}.{number:04d}", probe_set=p, instrument=instrument, items=part)
        for p in sets
        for instrument in found[p.name]
        for number, part in enumerate(shards(items[p.name], shard_size))
    )
    return Questions(
        probe_sets=sets,
        items=items,
        instruments=found,
        limit=limit,
        shards=cut,
        not_asked=_not_asked(names, languages if probes is None else None, ability),
    )


def _not_asked(names: Sequence[str], languages: Sequence[str] | None, ability: Ability | None) -> dict[str, str]:
    """Return the own sets that are not among ``names``; ``languages`` are those of a whole suite."""
    others = [name for name in own_names() if name not in names]
    if languages is None:
        return dict.fromkeys(others, "other sets were asked for")
    return {name: _why_not(own_set(name), languages, ability) for name in others}


def _why_not(probe_set: ProbeSet, languages: Sequence[str], ability: Ability | None) -> str:
    if probe_set.language.partition("-")[0] not in languages:
        return f"it is in another language ({probe_set.language})"
    if ability is not None and not find_instruments((), probe_set.scored, ability):
        return f"it is for other kinds of models than this {ability.kind} one"
    if not _unnamed(probe_set, ability):
        return "whether the model translates is not known; it can be asked by name"
    return "the instrument does not suit it"


def _suite(languages: Sequence[str], instruments: Sequence[str], ability: Ability | None) -> tuple[ProbeSet, ...]:
    # what is no finding about people comes last
    every = sorted(map(own_set, own_names()), key=lambda p: p.scored == TEXT)
    spoken = [p for p in every if p.language.partition("-")[0] in languages]
    if not spoken:
        known = ", ".join(sorted({p.language for p in every}))
        raise UsageError(f"no probe set of ours is in {', '.join(languages)}; there are sets in {known}")
    asked = tuple(p for p in spoken if find_instruments(instruments, p.scored, ability) and _unnamed(p, ability))
    if not asked:
        how = f" with {', '.join(instruments)}" if instruments else ""
        whom = f" of a model of the kind '{ability.kind}'" if ability else ""
        raise UsageError(f"no probe set of ours in {', '.join(languages)} can be asked{how}{whom}", hint=_OWN_FILE)
    return asked


def _unnamed(probe_set: ProbeSet, ability: Ability | None) -> bool:
    """Say whether a set is asked where nobody names it: only of its own kind can be said that a model translates."""
    return probe_set.scored != "target" or ability is None or ability.kind == "translation"


_OWN_FILE = "--probes takes files of your own, such as labelled:FILE.csv for classifiers"


def _suitable(probe_set: ProbeSet, instruments: Sequence[str], ability: Ability | None) -> tuple[Instrument, ...]:
    found = find_instruments(instruments, probe_set.scored, ability)
    if not found:
        able = ", ".join(i.name for i in find_instruments(tuple(INSTRUMENTS), probe_set.scored, ability))
        whom = f" of a model of the kind '{ability.kind}'" if ability else ""
        how = f" with {', '.join(instruments)}" if instruments else ""
        raise UsageError(
            f"the probe set '{probe_set.name}' cannot be asked{whom}{how}" + (f"; it can with {able}" if able else ""),
            hint=None if able else _meant(probe_set),
        )
    return found


def _meant(probe_set: ProbeSet) -> str:
    """Say which models a set is for."""
    suitable = find_instruments(tuple(INSTRUMENTS), probe_set.scored)
    kinds = dict.fromkeys(kind for i in suitable for kind in i.kinds or ())
    needs = dict.fromkeys(f"models that answer '{i.needs}'{_of_what(i)}" for i in suitable if i.kinds is None)
    return "it is for " + " or ".join(([f"models of the kind {' or '.join(kinds)}"] if kinds else []) + list(needs))


def _of_what(instrument: Instrument) -> str:
    """Say which likelihood is needed: encoder-decoder models answer that of a target, and the others no such one."""
    if instrument.needs != "likelihood":
        return ""
    return " of the target of a source" if instrument.gives_source else " of a text without a source"
