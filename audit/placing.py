"""Where recorded answers belong: which item of which probe set each one is of, and what is left over."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from operator import itemgetter

from fairprint.audit.answers import RANGES, Answer, Recording
from fairprint.audit.questions import Questions, Shard
from fairprint.probes.errors import UsageError, nearest
from fairprint.probes.forms import PROMPT, REFERENT, SLOT
from fairprint.probes.instruments import Instrument
from fairprint.probes.items import Item, ProbeSet
from fairprint.probes.labelled import IMAGES, TEXTS
from fairprint.probes.scores import (
    CHOICE,
    COMPLETION,
    CORRECT,
    GAP_UNITS,
    LABEL,
    LIKENESS,
    MASS,
    OUT_OF_CHOICE,
    PICKED,
    Score,
)
from fairprint.probes.tasks_continue import NOTHING

NOT_RECORDED = "no recorded answer"
"""Note of a score that a file of recorded answers does not hold."""
_OF_GROUPS = {*GAP_UNITS, CHOICE, CORRECT, LIKENESS, PICKED}
"""Names of numbers that are about one group's sentence."""
_OF_ITEMS = {OUT_OF_CHOICE}
"""Names of numbers that are about a whole item, whichever of its sentences says which item is meant."""
Key = tuple[str, str, str]
"""Item, group and name of a score."""


class _Set:
    """Where the answers to one probe set belong."""

    def __init__(self, probe_set: ProbeSet) -> None:
        self.probe_set = probe_set
        self.items = {item.id: item for item in probe_set.items}
        self.texts: dict[str, list[Item]] = {}
        self.frames: dict[tuple[str, str], str] = {}
        self.sentences: dict[str, list[tuple[Item, str]]] = {}
        for item in probe_set.items:
            for text in dict.fromkeys(variant.text for variant in item.variants):
                self.texts.setdefault(text, []).append(item)
            for variant in item.variants:
                self.frames[frame_id(item, variant.group), variant.group] = item.template
                if variant.id:
                    self.sentences.setdefault(variant.id, []).append((item, variant.group))
        self.templates = set(probe_set.templates)

    def find(self, answer: Answer) -> list[Score] | str:
        """Return the scores that an answer gives, or why it gives none.

        Several items can be worded alike; where one item has a text for several groups (the words of an association
        test), the group must be named, and the score of an answer that does not name it has none.
        """
        if answer.sentence is not None:
            named = self.sentences.get(answer.sentence, ())
            return [_score(answer, i.id, i.template, i.lexeme, i.category, group) for i, group in named] or "no item"
        template = self._frame(answer)
        if template is not None:
            return [_score(answer, answer.item or "", template, "", answer.category or "", answer.group)]
        item = self.items.get(answer.item or "")
        items = self.texts.get(answer.text or "", ()) if answer.item is None else () if item is None else (item,)
        if not items:
            return "no item"
        if self.probe_set.scored == REFERENT and answer.name == CHOICE and item is not None:
            return _choice(answer, item)
        found = []
        for item in items:
            groups = [v.group for v in item.variants if answer.group in ("", v.group)]
            said = [v.group for v in item.variants if v.group in groups and answer.text in (None, v.text)]
            if not said:
                return "another sentence" if groups else "no item"
            group = said[0] if len(said) == 1 and answer.name not in _OF_ITEMS else answer.group
            found.append(_score(answer, item.id, item.template, item.lexeme, item.category, group))
            if self.probe_set.scored in (TEXTS, IMAGES) and answer.name == CHOICE:
                right = None if answer.label is None else float(_is_called(answer.label, item.category))
                found[-1] = replace(found[-1], name=CORRECT, value=right)
        return found

    def _frame(self, answer: Answer) -> str | None:
        """Return the template of a number about a sentence frame."""
        if answer.name == MASS and (answer.item or "", answer.group) in self.frames:
            return self.frames[answer.item or "", answer.group]
        if answer.item not in self.items and answer.lexeme == "" and answer.template in self.templates:
            return answer.template
        return None


def frame_id(item: Item, group: str) -> str:
    """Return the id that a number about a sentence frame and a group has in place of an item's."""
    return f"{item.id.removesuffix(item.lexeme)}{group}"


def _score(answer: Answer, item: str, template: str, lexeme: str, category: str, group: str) -> Score:
    return Score(
        item=item,
        template=template,
        lexeme=lexeme,
        category=category,
        group=group,
        name=answer.name,
        value=answer.value,
        note=answer.note,
        text=answer.said,
    )


def _choice(answer: Answer, item: Item) -> list[Score]:
    """Return which of an item's variants a choice names: by its group, or by its words with or without an article."""
    label = " ".join((answer.label or "").casefold().split()).removeprefix("the ")
    called = [(v.group, {v.group.casefold(), v.words.casefold().removeprefix("the ")}) for v in item.variants]
    known = bool(label) and len(called) > 1 and any(label in names for _, names in called)
    note = answer.note or ("" if known or answer.value is None else "the answer names none of those to choose between")
    return [
        replace(
            _score(answer, item.id, item.template, item.lexeme, item.category, group),
            name=PICKED,
            value=float(label in names) if known else None,
            note=note,
        )
        for group, names in called
    ]


def _is_called(label: str, wanted: str) -> bool:
    """Whether a label, or a part of one that is a list (``tench, Tinca tinca``), is the word of a file."""
    spelled, *names = (" ".join(name.casefold().split()) for name in (wanted, label, *label.split(",")))
    return spelled in names


_REASONS = {
    "generated": "rows of generated text, which no instrument reads",
    "no item": "rows without an item in the probe sets",
    "another sentence": "rows about another sentence than that of their item",
    "other set": "rows of other probe sets",
    "other instrument": "rows of other instruments",
    "limit": "rows of items that the limit leaves out",
    "no metric": "rows with a name that no metric reads",
}


class _Found:
    """The scores of one probe set and instrument."""

    def __init__(self) -> None:
        self.by_key: dict[Key, tuple[Answer, Score]] = {}
        self.by_template: dict[str, list[tuple[int, Score]]] = {}

    def add(self, answer: Answer, score: Score) -> tuple[Answer, Score] | None:
        """Keep a score; return an earlier one of the same name with another value, if there is one."""
        key = (score.item, score.group, score.name)
        if key in self.by_key:
            return None if self.by_key[key][1].value == score.value else self.by_key[key]
        self.by_template.setdefault(score.template, []).append((len(self.by_key), score))
        self.by_key[key] = (answer, score)
        return None

    def of(self, templates: Iterable[str]) -> list[Score]:
        """Return the scores of some templates, in the order of the file."""
        found = [numbered for template in templates for numbered in self.by_template.get(template, ())]
        return [score for _, score in sorted(found, key=itemgetter(0))]


class Placing:
    """Puts the answers of a recording to the items of a run, and counts what has no place."""

    def __init__(self, recording: Recording, questions: Questions) -> None:
        self.recording = recording
        self.questions = questions
        self.sets = {p.name: _Set(p) for p in questions.probe_sets}
        self.asked = {p.name: {item.template for item in questions.items[p.name]} for p in questions.probe_sets}
        self.found: dict[tuple[str, str], _Found] = {}
        self.reasons: Counter[str] = Counter()
        self.completions: Counter[str] = Counter()
        self.first: dict[str, Answer] = {}
        self.missing = 0
        self.numbered = False
        for answer in recording.answers:
            self._place(answer)
        self.names = {
            (name, i.name): self._names(self.sets[name], i)
            for name, instruments in questions.instruments.items()
            for i in instruments
        }

    def _place(self, answer: Answer) -> None:
        if not answer.name:
            written = self._written(answer)
            if written is None:
                return self._leave(answer, "generated")
            answer = written
        sets = [found for name, found in self.sets.items() if answer.probe_set in (None, name)]
        results = {found.probe_set.name: found.find(answer) for found in sets}
        hits = {name: scores for name, scores in results.items() if not isinstance(scores, str)}
        if not hits:
            # "another sentence" says more than "no item", and stands before it in the alphabet
            return self._leave(answer, min((r for r in results.values() if isinstance(r, str)), default="other set"))
        if len(hits) > 1 and answer.item is not None:
            told = " and ".join(hits)
            self.recording.fail(answer.line, f"the item '{answer.item}' is in {told}; 'probe_set' must say which")
        if answer.name.partition(":")[0] not in RANGES:
            self._leave(answer, "no metric")
        for name, scores in hits.items():
            self._keep(answer, name, scores)
        return None

    def _written(self, answer: Answer) -> Answer | None:
        """Return a text that was generated for an item as a completion, where it is of a set that has text written."""
        sets = [found for name, found in self.sets.items() if answer.probe_set in (None, name)]
        if not any(found.probe_set.scored in (PROMPT, SLOT) and answer.item in found.items for found in sets):
            return None
        number = self.completions[answer.item or ""]
        self.completions[answer.item or ""] += 1
        said = answer.text or ""
        value, note = (1.0, answer.note) if said.strip() else (None, answer.note or NOTHING)
        return replace(answer, name=f"{COMPLETION}:{number}", value=value, note=note, text=None, said=said)

    def _keep(self, answer: Answer, probe_set: str, scores: Sequence[Score]) -> None:
        meant = [i.name for i in self.questions.instruments[probe_set] if answer.instrument in (None, i.name)]
        if not meant:
            return self._leave(answer, "other instrument")
        if len(meant) > 1:
            message = f"'{probe_set}' is asked with {' and '.join(meant)}; 'instrument' must say which"
            self.recording.fail(answer.line, message)
        found = self.found.setdefault((probe_set, meant[0]), _Found())
        for score in scores:
            if not score.group and score.name.partition(":")[0] in _OF_GROUPS:
                self.recording.fail(answer.line, f"'group' is missing: a {score.name} is that of one group")
            if score.name == CHOICE and answer.label is not None:
                self.numbered = True
            by_number = answer.name == CHOICE and answer.label is None and answer.value is not None
            if score.name in (CORRECT, PICKED) and by_number:
                self.recording.fail(answer.line, "this choice is a number; which label of the set it is must be said")
            before = found.add(answer, score)
            if before is not None:
                self._fail_twice(*before, answer, score)
        if scores[0].template not in self.asked[probe_set]:
            self._leave(answer, "limit")
        return None

    def _fail_twice(self, before: Answer, kept: Score, now: Answer, score: Score) -> None:
        runs = self.recording.named("run")
        of = f"'{score.item}'" + (f" and group '{score.group}'" if score.group else "")
        self.recording.fail(
            now.line,
            f"the {score.name} of {of} is {score.value} here and {kept.value} {before.where}",
            f"the file holds {len(runs)} runs; keep the rows of one" if len(runs) > 1 else None,
        )

    def _leave(self, answer: Answer, reason: str) -> None:
        self.reasons[reason] += 1
        self.first.setdefault(reason, answer)

    def _names(self, of: _Set, instrument: Instrument) -> "_Names":
        found = self.found.get((of.probe_set.name, instrument.name), _Found())
        names = _Names(of, [score for _, score in found.by_key.values()])
        if names.of_variants:
            return names
        told = f"{self.recording.file} holds no answer to '{of.probe_set.name}' asked with {instrument.name}"
        odd = self.first.get("no metric")
        close = f"; no metric reads '{odd.name}'.{nearest(odd.name, RANGES)}" if odd else ""
        raise UsageError(told + close, hint="; ".join(self._left()) or None)

    def scores(self, shard: Shard) -> list[Score]:
        """Return the scores of a shard: the recorded ones, then those that are missing."""
        asked = (shard.probe_set.name, shard.instrument.name)
        found = self.found[asked]
        expected = self.names[asked].expected(shard.items)
        absent = [score for score in expected if (score.item, score.group, score.name) not in found.by_key]
        self.missing += len(absent)
        return found.of(dict.fromkeys(item.template for item in shard.items)) + absent

    def notes(self) -> Iterator[str]:
        """Yield what became of the rows that were not used, and how many answers are missing."""
        for told in self._left():
            yield f"{self.recording.name}: {told}"
        if self.numbered:
            told = ", ".join(f"{number} {label}" for label, number in self.recording.labels.items())
            yield f"{self.recording.name}: labels were numbered in alphabetical order: {told}"
        if self.missing:
            told = f"{self.recording.name}: answers that are not there and count as missing: {self.missing:,}"
            yield told + (f"; {self.recording.where_missing}" if self.recording.where_missing else "")

    def _left(self) -> Iterator[str]:
        for reason, rows in self.reasons.items():
            of = f"{rows:,} of {len(self.recording.answers):,}"
            yield f"{_REASONS[reason]}: {of}, the first {self.first[reason].where}"


class _Names:
    """Which numbers a recording has of every sentence, of every item, and of every frame."""

    def __init__(self, of: _Set, scores: Sequence[Score]) -> None:
        known = [score for score in scores if score.name.partition(":")[0] in RANGES]
        items = [score for score in known if score.item in of.items]
        frames = [score for score in known if score.item not in of.items and score.group]
        self.of_variants = tuple(dict.fromkeys(score.name for score in items if score.group))
        self.of_items = tuple(dict.fromkeys(score.name for score in items if not score.group))
        self.of_frames = tuple(dict.fromkeys((score.name, score.group) for score in frames))

    def expected(self, items: Sequence[Item]) -> Iterator[Score]:
        """Yield each score that items should have, without its value."""
        framed: dict[Key, Score] = {}
        # how many texts were written for one item says nothing of the others
        names = [name for name in self.of_variants if name.partition(":")[0] not in (COMPLETION, LABEL)]
        for item in items:
            empty = Score(
                item=item.id,
                template=item.template,
                lexeme=item.lexeme,
                category=item.category,
                group="",
                name="",
                value=None,
                note=NOT_RECORDED,
            )
            wanted = [(variant.group, name) for variant in item.variants for name in names]
            for group, name in [*wanted, *(("", name) for name in self.of_items)]:
                yield replace(empty, group=group, name=name)
            for name, group in self.of_frames:
                frame = replace(empty, item=frame_id(item, group), lexeme="", category="", group=group, name=name)
                framed.setdefault((frame.item, group, name), frame)
        yield from framed.values()
