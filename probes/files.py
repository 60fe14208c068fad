"""From a probe file to a probe set: what the schema cannot say is checked here, with errors that name the line.

A file has slots, groups and texts; nothing in it is code. Every template is crossed with every lexeme and said once of
each group. ``{lexeme}``, ``{group.FORM}`` and ``{other.FORM}`` are the slots; ``scored`` says which part of a sentence
the model is asked about, given everything else. A template can be the translation of a ``source``.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fairprint.probes.associations import associated, check_associations
from fairprint.probes.errors import ProbeFileError, nearest
from fairprint.probes.items import Comparison, Group, Item, ProbeSet, Variant
from fairprint.probes.notations import NOTATIONS, Path_, read_utf8
from fairprint.probes.schema import GroupEntry, LexemeEntry, ProbeFile, TemplateEntry, field_message

_SLOT = re.compile(r"\{([^{}]*)\}")
_SLOT_NAME = re.compile(r"(group|other|lexeme)(?:\.([a-z0-9][a-z0-9_-]*))?")
_DEFAULT_FORM = "text"
_VALENCES = {"positive": 1, "negative": -1, None: 0}
_COPIED = ("name", "version", "title", "summary", "measures", "harm_type", "language", "licence", "scored")


def load_probe_file(path: Path, *, source: str = "file") -> ProbeSet:
    """Read a probe file and expand its grid.

    Raises:
        ProbeFileError: the file cannot be read or used; the message names the line, the value and what was expected.
    """
    name = str(path)
    data, text = read_utf8(path)
    content, lines = NOTATIONS[path.suffix](text, name)
    reader = _Reader(name, lines)
    entry = reader.validate(content)
    return reader.expand(entry, hashlib.sha256(data).hexdigest(), source)


class _Reader:
    """Turns parsed content into a probe set, with the file and lines at hand for messages."""

    def __init__(self, file: str, lines: dict[Path_, int]) -> None:
        self.file = file
        self.lines = lines

    def fail(self, message: str, *path: str | int, hint: str | None = None) -> ProbeFileError:
        """Return an error at the nearest place that has a line."""
        while path and path not in self.lines:
            path = path[:-1]
        return ProbeFileError(message, file=self.file, line=self.lines.get(path), hint=hint)

    def validate(self, content: Any) -> ProbeFile:
        """Check types and keys."""
        if not isinstance(content, dict):
            raise self.fail(f"expected keys such as 'name:' and 'templates:', found {type(content).__name__}")
        try:
            self._check_text(content, ())
        except RecursionError:
            raise self.fail("nested too deeply for a probe file") from None
        try:
            return ProbeFile.model_validate(content)
        except ValidationError as error:
            # a misspelt key also leaves the right one missing: the unknown one says more
            first = min(error.errors(include_url=False), key=lambda found: found["type"] != "extra_forbidden")
            raise self.fail(*field_message(first), hint="fairprint probes schema shows every key") from None

    def _check_text(self, value: Any, path: Path_) -> None:
        """Refuse what no text file can hold, but an escape in JSON or YAML can say."""
        if isinstance(value, str):
            lone = next((character for character in value if "\ud800" <= character <= "\udfff"), None)
            if lone:
                raise self.fail(f"U+{ord(lone):04X} is half of a character and cannot stand in a text", *path)
        elif isinstance(value, dict):
            for key, part in value.items():
                self._check_text(key, path)
                self._check_text(part, (*path, key))
        elif isinstance(value, list):
            for index, part in enumerate(value):
                self._check_text(part, (*path, index))

    def expand(self, entry: ProbeFile, sha256: str, source: str) -> ProbeSet:
        """Cross templates, lexemes and groups."""
        self._check_ids(entry)
        comparisons = self._comparisons(entry)
        self._check_covariate(entry, comparisons)
        directions = self._directions(entry, comparisons)
        self._check_valence(entry)
        if entry.scored == "association":
            check_associations(entry, directions, self.fail)
        units = self._units(entry)
        items = [
            Item(
                id=f"{template.id}/{lexeme.id}",
                template=units[template.id],
                lexeme=lexeme.id,
                category=lexeme.category,
                directions=directions[lexeme.id],
                valence=_VALENCES[lexeme.valence],
                covariate=lexeme.covariate,
                word=lexeme.text or "",
                source=self._source(entry, number, template, lexeme),
                variants=tuple(self._variant(entry, number, template, lexeme, group) for group in entry.groups),
                languages=(entry.source_language, entry.language) if entry.source_language else None,
            )
            for number, template in enumerate(entry.templates)
            for lexeme in entry.lexemes
        ]
        return ProbeSet(
            **{key: getattr(entry, key) for key in _COPIED},
            covariate=entry.covariate,
            covariate_group=entry.covariate_group,
            sources=tuple(entry.sources),
            criticism=tuple(entry.criticism),
            cannot_show=tuple(entry.cannot_show),
            groups=tuple(
                Group(id=g.id, label=g.label, words=tuple(g.forms.values()) if entry.scored == "association" else ())
                for g in entry.groups
            ),
            comparisons=comparisons,
            random_factors=tuple(entry.random_factors),
            items=tuple(items),
            sha256=sha256,
            source=source,
            unused_forms=_unused_forms(entry),
        )

    def _check_ids(self, entry: ProbeFile) -> None:
        for key in ("groups", "templates", "lexemes"):
            seen: set[str] = set()
            for index, part in enumerate(getattr(entry, key)):
                if part.id in seen:
                    raise self.fail(f"id '{part.id}' stands twice in {key}; every id must be unique", key, index, "id")
                seen.add(part.id)

    def _known_group(self, entry: ProbeFile, name: str, *path: str | int) -> None:
        groups = [group.id for group in entry.groups]
        if name not in groups:
            raise self.fail(f"no group '{name}'; groups: {', '.join(groups)}.{nearest(name, groups)}", *path)

    def _comparisons(self, entry: ProbeFile) -> tuple[Comparison, ...]:
        if entry.comparisons is None:
            if len(entry.groups) > 2:
                hint = "comparisons: [{first: a, second: b}, ...]; results speak of the first"
                raise self.fail("more than two groups need the key 'comparisons'", "groups", hint=hint)
            return (Comparison(first=entry.groups[0].id, second=entry.groups[1].id),)
        seen: set[frozenset[str]] = set()
        for index, pair in enumerate(entry.comparisons):
            for side in ("first", "second"):
                self._known_group(entry, getattr(pair, side), "comparisons", index, side)
            both = frozenset((pair.first, pair.second))
            if len(both) == 1:
                raise self.fail(f"'{pair.first}' is compared with itself", "comparisons", index)
            if both in seen:
                raise self.fail(f"'{pair.first}' and '{pair.second}' are compared twice", "comparisons", index)
            seen.add(both)
        alone = [group.id for group in entry.groups if not any(group.id in both for both in seen)]
        if alone:
            raise self.fail(f"the group '{alone[0]}' is compared with no other", "comparisons")
        return tuple(Comparison(first=pair.first, second=pair.second) for pair in entry.comparisons)

    def _check_covariate(self, entry: ProbeFile, comparisons: tuple[Comparison, ...]) -> None:
        if (entry.covariate is None) != (entry.covariate_group is None):
            raise self.fail(
                "'covariate' (what the figure is) and 'covariate_group' (whose it is) go together", "covariate"
            )
        if entry.covariate_group is not None:
            self._known_group(entry, entry.covariate_group, "covariate_group")
            if entry.covariate_group not in (comparisons[0].first, comparisons[0].second):
                message = "the group of the published figure must be in the first comparison"
                raise self.fail(message, "covariate_group")
        for index, lexeme in enumerate(entry.lexemes):
            if lexeme.covariate is not None and entry.covariate is None:
                message = "a covariate needs the key 'covariate' that says what it is"
                raise self.fail(message, "lexemes", index, "covariate")

    def _directions(self, entry: ProbeFile, comparisons: tuple[Comparison, ...]) -> dict[str, tuple[int, ...]]:
        """Return the directions of each lexeme, by comparison."""
        claimed: set[str] = set()
        for index, lexeme in enumerate(entry.lexemes):
            towards, against = lexeme.stereotyped or [], lexeme.counter_stereotyped or []
            for claim, groups in (("stereotyped", towards), ("counter_stereotyped", against)):
                for group in groups:
                    self._known_group(entry, group, "lexemes", index, claim)
                if groups and not (lexeme.source or entry.direction_source):
                    raise self.fail(
                        f"the direction of '{lexeme.id}' cites no source",
                        *("lexemes", index, claim),
                        hint="give 'source' here or 'direction_source' for all, or leave the direction out: "
                        "then signed effects are reported",
                    )
            for group in set(towards) & set(against):
                raise self.fail(f"'{lexeme.id}' is stereotyped and counter-stereotyped of '{group}'", "lexemes", index)
            claimed |= {*towards, *against}
        # claims speak of the first group of a comparison: where nothing is claimed of it, the comparison has no
        # direction, such as that of a third pronoun with one of two stereotyped ones
        directed = [pair for pair in comparisons if pair.first in claimed or len(comparisons) == 1]
        ignored = sorted(claimed.difference(*((pair.first, pair.second) for pair in directed)))
        if ignored:
            hint = "results speak of the first group of a comparison: claim something of that group"
            raise self.fail(f"what is claimed of '{ignored[0]}' gives no comparison a direction", "lexemes", hint=hint)
        found = {
            lexeme.id: tuple(_direction(lexeme, pair) if pair in directed else 0 for pair in comparisons)
            for lexeme in entry.lexemes
        }
        for number, pair in enumerate(comparisons):
            signs = [directions[number] for directions in found.values()]
            if signs.count(1) != signs.count(-1):
                raise self.fail(
                    f"the stereotyped directions are unbalanced ({pair.first} {signs.count(1)}, "
                    f"{pair.second} {signs.count(-1)}): a model with a constant preference would not score 50 %",
                    "lexemes",
                    hint="leave the direction of some lexemes out, or add 'counter_stereotyped' ones",
                )
        return found

    def _check_valence(self, entry: ProbeFile) -> None:
        signs = [_VALENCES[lexeme.valence] for lexeme in entry.lexemes]
        if any(signs) and not all(signs):
            index = signs.index(0)
            raise self.fail(
                f"'{entry.lexemes[index].id}' has no valence, others have; give it to all lexemes or to none",
                *("lexemes", index),
            )
        if sum(signs):
            raise self.fail(
                f"{signs.count(1)} lexemes are positive and {signs.count(-1)} negative; expected as many of each",
                "lexemes",
            )

    def _units(self, entry: ProbeFile) -> dict[str, str]:
        """Return the statistical unit of each template: twins, which differ in the order of two groups, are one."""
        by_id = {template.id: (number, template) for number, template in enumerate(entry.templates)}
        order = {name: _order(template.text) for name, (_, template) in by_id.items()}
        for name, (number, template) in by_id.items():
            place = ("templates", number)
            if order[name] is not None and len(entry.groups) != 2:
                raise self.fail("{other} needs a set of exactly two groups", *place, "text")
            if (template.twin is None) != (order[name] is None):
                message = (
                    f"template '{name}' names both groups in one order only; results would depend on that order"
                    if template.twin is None
                    else f"template '{name}' has a twin but no {{other}} slot"
                )
                hint = "give the same sentence with the groups exchanged, and 'twin: ID' to both"
                raise self.fail(message, *place, hint=hint)
            if template.twin is None:
                continue
            if template.twin not in by_id:
                raise self.fail(f"no template '{template.twin}'.{nearest(template.twin, by_id)}", *place, "twin")
            if by_id[template.twin][1].twin != name or order[template.twin] in (None, order[name]):
                message = f"'{name}' and '{template.twin}' must be twins of each other, in opposite orders"
                raise self.fail(message, *place, "twin", hint="one begins with {group}, the other with {other}")
        firsts = {name: min(number, by_id[t.twin][0]) if t.twin else number for name, (number, t) in by_id.items()}
        return {name: entry.templates[number].id for name, number in firsts.items()}

    def _variant(
        self, entry: ProbeFile, number: int, template: TemplateEntry, lexeme: LexemeEntry, group: GroupEntry
    ) -> Variant:
        if entry.scored == "association":
            return associated(template, lexeme, group)
        words = {
            "group": group.forms,
            "other": next(other for other in entry.groups if other.id != group.id).forms,
            "lexeme": _words(lexeme),
        }
        owners = {"group": f"group '{group.id}'", "other": "the other group", "lexeme": f"lexeme '{lexeme.id}'"}
        text, spans = self._filled(template.text, ("templates", number, "text"), words, owners, group.id)
        for kind in ("group", "lexeme"):
            if not spans[kind]:
                raise self.fail(f"template '{template.id}' has no {{{kind}}} slot", "templates", number, "text")
        return Variant(group=group.id, text=text, span=self._span(entry, number, template, text, spans))

    def _filled(
        self, template: str, place: Path_, words: dict[str, dict[str, str]], owners: dict[str, str], group: str
    ) -> tuple[str, dict[str, list[tuple[int, int]]]]:
        """Fill the slots of one template; return its text and the characters of each slot, by kind."""
        text, last = "", 0
        spans: dict[str, list[tuple[int, int]]] = {"group": [], "other": [], "lexeme": []}
        for slot in _SLOT.finditer(template):
            text += template[last : slot.start()]
            last = slot.end()
            kind, asked = self._slot(slot.group(1), place)
            form = _form_of(asked, words[kind], group)
            if form not in words[kind]:
                known = ", ".join(words[kind]) or "none"
                message = f"{slot.group(0)}: {owners[kind]} has no form '{form}'; it has: {known}"
                raise self.fail(message, *place)
            # a lexeme in the form of a group names the group as well
            for owner in {kind, *(["group"] if form != asked else [])}:
                spans[owner].append((len(text), len(text) + len(words[kind][form])))
            text += words[kind][form]
        text += template[last:]
        if "{" in text or "}" in text:
            raise self.fail("a brace has no partner", *place)
        return text, spans

    def _source(self, entry: ProbeFile, number: int, template: TemplateEntry, lexeme: LexemeEntry) -> str | None:
        """Return what the variants of an item translate, if anything."""
        place: Path_ = ("templates", number, "source")
        if entry.scored != "target" or not entry.source_language or template.source is None:
            if entry.scored == "target" or entry.source_language or template.source is not None:
                message = "'scored: target', 'source_language' and the 'source' of every template go together"
                raise self.fail(message, *place)
            return None
        words = {"group": {}, "other": {}, "lexeme": _words(lexeme)}
        owners = dict.fromkeys(words, "a source, which is the same for all groups,") | {"lexeme": f"'{lexeme.id}'"}
        text, spans = self._filled(template.source, place, words, owners, "group")
        if not spans["lexeme"]:
            raise self.fail(f"the source of template '{template.id}' has no {{lexeme}} slot", *place)
        return text

    def _span(
        self,
        entry: ProbeFile,
        number: int,
        template: TemplateEntry,
        text: str,
        spans: dict[str, list[tuple[int, int]]],
    ) -> tuple[int, int]:
        """Return the characters that are scored."""
        if entry.scored in ("sentence", "target"):
            return 0, len(text)
        if entry.scored == "rest":
            start = max(end for kind in ("group", "other") for _, end in spans[kind])
            if not all(begin >= start for begin, _ in spans["lexeme"]):
                raise self.fail(
                    f"template '{template.id}' has its lexeme before a group word; what is scored stands after it",
                    *("templates", number, "text"),
                )
            return start, len(text)
        if len(spans[entry.scored]) != 1:
            message = f"template '{template.id}' has {len(spans[entry.scored])} scored slots"
            raise self.fail(f"{message}; expected one {{{entry.scored}}}", "templates", number, "text")
        return spans[entry.scored][0]

    def _slot(self, name: str, place: Path_) -> tuple[str, str]:
        match = _SLOT_NAME.fullmatch(name)
        if match is None:
            raise self.fail(
                f"unknown slot {{{name}}}; slots are {{lexeme}}, {{lexeme.FORM}}, {{group.FORM}} and {{other.FORM}}."
                + nearest(name, ["lexeme", "group", "other"]),
                *place,
            )
        return match.group(1), match.group(2) or _DEFAULT_FORM


def _direction(lexeme: LexemeEntry, pair: Comparison) -> int:
    towards, against = lexeme.stereotyped or [], lexeme.counter_stereotyped or []
    for_first = (pair.first in towards) - (pair.first in against)
    for_second = (pair.second in towards) - (pair.second in against)
    return (for_first > for_second) - (for_first < for_second)


def _words(lexeme: LexemeEntry) -> dict[str, str]:
    return {_DEFAULT_FORM: lexeme.text or lexeme.id, **lexeme.forms}


def _form_of(asked: str, words: Mapping[str, str], group: str) -> str:
    """Return the form that a slot means: 'group' as its last part stands for the id of the group."""
    if asked in words or not (asked == "group" or asked.endswith("-group")):
        return asked
    return asked.removesuffix("group") + group


def _order(text: str) -> str | None:
    """Return which of two groups a template names first, or None where it names one."""
    kinds = [slot.partition(".")[0] for slot in _SLOT.findall(text)]
    named = [kind for kind in kinds if kind in ("group", "other")]
    return named[0] if "other" in named else None


def _unused_forms(entry: ProbeFile) -> tuple[str, ...]:
    if entry.scored == "association":
        return ()  # a frame takes all words of all groups
    texts = [text for template in entry.templates for text in (template.text, template.source or "")]
    slots = [slot.partition(".") for text in texts for slot in _SLOT.findall(text)]
    used = {(kind, form or _DEFAULT_FORM) for kind, _, form in slots}
    used |= {(kind, _form_of(form, {}, group.id)) for kind, form in used for group in entry.groups}
    owners = [
        *((f"group '{group.id}'", ("group", "other"), group.forms) for group in entry.groups),
        *((f"lexeme '{lexeme.id}'", ("lexeme",), lexeme.forms) for lexeme in entry.lexemes),
    ]
    return tuple(
        f"the form '{form}' of {owner}"
        for owner, kinds, forms in owners
        for form in forms
        if not any((kind, form) in used for kind in kinds)
    )
