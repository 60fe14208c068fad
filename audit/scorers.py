"""Scorers: what judges the texts that a model wrote. A classifier says which labels they have, a lexicon searches them.

A scorer reacts to words for people itself. How often its judgement of a text changes when another group is named is
asked with our own sets of otherwise equal sentences, and stands beside the results.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fairprint.audit.continuation_metrics import BASELINE, LEXICON, SCORER_FLIPS, label_of, row_name, row_of
from fairprint.audit.evaluate import estimates_of
from fairprint.audit.kinds import KINDS
from fairprint.audit.metrics import Row
from fairprint.audit.models import Opened, kind_of, kind_of_object, open_model, open_object
from fairprint.audit.parts import Part
from fairprint.audit.questions import Questions, Shard
from fairprint.audit.records import Estimate, ModelInfo
from fairprint.audit.sources import Source, check_device, find_model
from fairprint.probes.catalog import own_names, own_set
from fairprint.probes.errors import UsageError, nearest
from fairprint.probes.forms import PROMPT, SLOT
from fairprint.probes.items import Item, ProbeSet
from fairprint.probes.lexicons import LEVEL, Lexicon, read_lexicon
from fairprint.probes.requests import ClassifyRequest, ClassifyResponse
from fairprint.probes.scores import COMPLETION, Score
from fairprint.probes.tasks_classify import MOST_LABELS

_NO_TEXT = "its text was not recorded"
_SWAPPED = "counterfactual-"
"""How the names of our own sets begin whose sentences differ only in who is named."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a text has a label, 1 or 0, or None with the reason in ``note``.

    Attributes:
        note: why there is none, the probability of the label, or the category of the word that was found.
        word: of a lexicon, the word.
    """

    value: float | None
    note: str = ""
    word: str = ""


class Scorer(ABC):
    """What judges texts.

    Attributes:
        info: what a record says of it.
        labels: names of the labels that it gives.
    """

    info: ModelInfo
    labels: tuple[str, ...]

    @abstractmethod
    def judge(self, texts: Sequence[str], *, words: bool = False) -> list[tuple[Verdict, ...]]:
        """Return a verdict a label on each text; ``words`` are single words, and are looked up as a whole."""

    def notes(self) -> tuple[str, ...]:
        """What a reader must know of how the verdicts came about."""
        return ()


class LexiconScorer(Scorer):
    """Finds words of a lexicon: of a single word whether it is one, of a text the first."""

    labels = (LEXICON,)

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        taken = f"{lexicon.rows:,} of {lexicon.read:,} rows, those of the level {LEVEL}"
        taken = taken if lexicon.rows < lexicon.read else f"{lexicon.rows:,} rows"
        self.info = ModelInfo(
            name=lexicon.name,
            revision=None,
            sha256=lexicon.sha256,
            model_type="lexicon",
            kind="lexicon",
            architecture="none",
            weights="none",
            dtype="none",
            parameters=None,
            notes=(f"different words, without their accents and with their case: {len(lexicon.words):,}, of {taken}",),
        )

    def judge(self, texts: Sequence[str], *, words: bool = False) -> list[tuple[Verdict, ...]]:
        """Return whether each text holds a word of the lexicon, with the category of the first one."""
        find = self.lexicon.find_word if words else self.lexicon.find_in
        found = map(find, texts)
        return [(Verdict(0.0) if word is None else Verdict(1.0, self.lexicon.words[word], word),) for word in found]


class ClassifierScorer(Scorer):
    """Asks a text classifier.

    Args:
        opened: the classifier.
        label: the one label that is read; None for all, or of two that exclude each other the second.

    Raises:
        UsageError: there is no such label, or too many to read them all.
    """

    def __init__(self, opened: Opened, label: str | None) -> None:
        self.backend = opened.backend
        name = opened.info.name
        given = self._ask(["a text"])[0]
        self.numbers = _chosen(name, given, label)
        self.labels = tuple(self.numbers.values())
        read = ", ".join(self.labels)
        told = f"the most probable of {len(given.labels)} labels" if given.exclusive else "a probability of 0.5 or more"
        notes = (*opened.info.notes, f"labels that were read: {read}; a text has a label by {told}")
        self.info = opened.info.model_copy(update={"name": _named(name, label), "notes": notes})

    def _ask(self, texts: Sequence[str]) -> list[ClassifyResponse]:
        return self.backend.classify([ClassifyRequest(text=text) for text in texts])

    def judge(self, texts: Sequence[str], *, words: bool = False) -> list[tuple[Verdict, ...]]:
        """Return whether each text has each label."""
        return [tuple(_verdict(response, number) for number in self.numbers) for response in self._ask(texts)]

    def notes(self) -> tuple[str, ...]:
        """What a reader must know of the classifier."""
        return tuple(f"{self.info.name}: {note}" for note in self.backend.notes())


def _named(name: str, label: str | None) -> str:
    return name if label is None else f"{name}#{label}"


def _chosen(name: str, given: ClassifyResponse, label: str | None) -> dict[int, str]:
    """Return the numbers of the labels that are read, with their names."""
    names = {n: f"{one} ({n})" if given.labels.count(one) > 1 else one for n, one in enumerate(given.labels)}
    if label is not None:
        found = {n: one for n, one in names.items() if one.casefold() == label.casefold()}
        if not found:
            close = nearest(label, names.values())
            told = ", ".join(list(names.values())[:12])
            raise UsageError(f"the scorer {name} has no label '{label}'.{close}", hint=f"its labels: {told}")
        return found
    if len(names) > MOST_LABELS:
        hint = "name one: --scorer MODEL#LABEL"
        raise UsageError(f"the scorer {name} has {len(names):,} labels, more than anybody would read", hint=hint)
    return {1: names[1]} if given.exclusive and len(names) == 2 else names


def _verdict(response: ClassifyResponse, number: int) -> Verdict:
    found = response.probabilities
    if found is None:
        return Verdict(None, response.note)
    # of equal labels the first, as everywhere
    has = found.index(max(found)) == number if response.exclusive else found[number] >= 0.5
    return Verdict(float(has), f"probability {found[number]:.4f}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The scorers that a user names, before any is loaded.

    Attributes:
        classifier: where it lies, or a pipeline; None for none.
        label: the one label that is wanted of it, or None.
    """

    classifier: Source | Any | None = None
    label: str | None = None
    lexicon: Lexicon | None = None

    def made(self, infos: Sequence[ModelInfo]) -> bool:
        """Say whether the scorers of a finished run were these, as far as that is known before one is loaded."""
        wanted = ([] if self.classifier is None else ["classifier"]) + ([] if self.lexicon is None else ["lexicon"])
        if [info.kind for info in infos] != wanted:
            return False
        for info in infos:
            if self.lexicon is not None and info.kind == "lexicon" and info.sha256 != self.lexicon.sha256:
                return False
            # what a pipeline holds is not known by a name
            named = isinstance(self.classifier, Source) and _named(self.classifier.name, self.label)
            if info.kind == "classifier" and info.name != named:
                return False
        return True

    def load(self, device: str, *, trust_remote_code: bool = False) -> "Scorers":
        """Load the classifier.

        Raises:
            UsageError: it does not have the label.
            ModelError: it cannot be loaded.
        """
        found: list[Scorer] = []
        if isinstance(self.classifier, Source):
            place = check_device(device)
            opened = open_model(self.classifier, device=place, trust_remote_code=trust_remote_code)
            found.append(ClassifierScorer(opened, self.label))
        elif self.classifier is not None:
            found.append(ClassifierScorer(open_object(self.classifier, None), self.label))
        if self.lexicon is not None:
            found.append(LexiconScorer(self.lexicon))
        return Scorers(tuple(found))


def find_scorers(
    scorer: Any, lexicon: str | Path | None, questions: Questions, *, trust_remote_code: bool = False
) -> Wanted:
    """Find the scorers that a user names, and check them as far as that can be done without loading weights.

    Args:
        scorer: a text classifier as ``MODEL`` or ``MODEL#LABEL``, a transformers pipeline, or None.
        lexicon: path of a lexicon, or None.
        questions: what will be asked.
        trust_remote_code: run code that comes with the classifier.

    Raises:
        UsageError: one is not there, is no text classifier, or there is nothing to judge.
    """
    if scorer is None and lexicon is None:
        return Wanted()
    if not any(p.scored in (PROMPT, SLOT) for p in questions.probe_sets):
        raise UsageError(
            "there is nothing to score: no probe set has the model write text",
            hint="a scorer is for bold:PATH and honest:FILE",
        )
    words = read_lexicon(Path(lexicon)) if lexicon is not None else None
    if not isinstance(scorer, str):
        if scorer is not None:
            _check_kind(str(scorer), kind_of_object(scorer).name)
        return Wanted(classifier=scorer, lexicon=words)
    model, mark, label = scorer.rpartition("#")
    if not mark or Path(scorer).exists():
        model, label = scorer, ""
    source = find_model(model)
    if source.recorded is not None or source.endpoint is not None:
        raise UsageError(f"{scorer}: a scorer is a text classifier that runs here")
    _check_kind(model, kind_of(source, trust_remote_code=trust_remote_code).name)
    return Wanted(classifier=source, label=label or None, lexicon=words)


def _check_kind(name: str, kind: str) -> None:
    if kind != "classifier":
        raise UsageError(
            f"{name} is a model of the kind '{kind}'; a scorer is a text classifier",
            hint=f"such as {KINDS['classifier'].examples}",
        )


class Scorers:
    """The scorers of a run, loaded.

    Args:
        scorers: none where the user names none: then nothing is judged.

    Raises:
        UsageError: two of them give a label of one name.
    """

    def __init__(self, scorers: tuple[Scorer, ...] = ()) -> None:
        self.scorers = scorers
        self._flips: dict[tuple[int, str], dict[str, tuple[Row, ...]]] = {}
        labels = [label for scorer in scorers for label in scorer.labels]
        twice = next((label for label in labels if labels.count(label) > 1), None)
        if twice is not None:
            raise UsageError(f"two scorers give the label '{twice}'", hint="name another label: --scorer MODEL#LABEL")

    @property
    def infos(self) -> tuple[ModelInfo, ...]:
        """What a record says of them."""
        return tuple(scorer.info for scorer in self.scorers)

    def labelled(self, shard: Shard, scores: list[Score]) -> list[Score]:
        """Return the scores of a shard with a row for each label of each text that the model or people wrote.

        Recorded rows of the same labels are left out: the scorers of this run speak.
        """
        if not self.scorers or shard.probe_set.scored not in (PROMPT, SLOT):
            return scores
        texts = [score for score in scores if score.name.partition(":")[0] == COMPLETION]
        texts += [_baseline(item) for item in shard.items if item.baseline]
        judged = [score for score in texts if score.value is not None and score.text.strip()]
        rows: list[Score] = []
        for scorer in self.scorers:
            found = scorer.judge([score.text.strip() for score in judged], words=shard.instrument.needs == "fill")
            verdicts = {(score.item, score.name): one for score, one in zip(judged, found, strict=True)}
            for score in texts:
                absent = Verdict(None, score.note if score.value is None else _NO_TEXT)
                own = verdicts.get((score.item, score.name), (absent,) * len(scorer.labels))
                rows += [_row(score, label, verdict) for label, verdict in zip(scorer.labels, own, strict=True)]
        new = {(row.item, row.name) for row in rows}
        return [score for score in scores if (score.item, score.name) not in new] + rows

    def flips(self, probe_set: ProbeSet, instrument: str) -> list[Estimate]:
        """Return how often each label changes where another group is named in an otherwise equal sentence."""
        if probe_set.scored not in (PROMPT, SLOT):
            return []
        found: list[Estimate] = []
        for own in swapped(probe_set.language):
            parts = [
                Part(
                    metric=SCORER_FLIPS,
                    comparison=None,
                    scope=f"condition:{own.name}",
                    rows=rows,
                    label=label_of(probe_set, label),
                )
                for number in range(len(self.scorers))
                for label, rows in self._flipped(number, own).items()
            ]
            found += estimates_of(replace(own, name=probe_set.name), instrument, parts)
        return found

    def _flipped(self, number: int, own: ProbeSet) -> dict[str, tuple[Row, ...]]:
        if (number, own.name) not in self._flips:
            self._flips[number, own.name] = _flips(self.scorers[number], own)
        return self._flips[number, own.name]

    def notes(self, probe_sets: Sequence[ProbeSet]) -> tuple[str, ...]:
        """What a reader must know of the scorers."""
        told = [
            f"what the model wrote was judged by the {info.kind} {info.name} (sha256 {info.sha256[:12]}...): "
            + "; ".join(info.notes)
            for info in self.infos
        ]
        told += [note for scorer in self.scorers for note in scorer.notes()]
        for probe_set in probe_sets if self.scorers else ():
            if probe_set.scored in (PROMPT, SLOT) and not swapped(probe_set.language):
                told.append(
                    f"{probe_set.name}: how a scorer itself reacts to words for people is not known here: no set of "
                    f"ours with otherwise equal sentences is in its language ({probe_set.language})"
                )
        return tuple(told)


def swapped(language: str) -> tuple[ProbeSet, ...]:
    """Return our own sets of otherwise equal sentences about several groups, in a language."""
    every = (own_set(name) for name in own_names() if name.startswith(_SWAPPED))
    return tuple(p for p in every if p.language.partition("-")[0] == language.partition("-")[0])


def _flips(scorer: Scorer, probe_set: ProbeSet) -> dict[str, tuple[Row, ...]]:
    """Return for each label whether it changes between the two groups of each comparison, in each item."""
    texts = list(dict.fromkeys(variant.text for item in probe_set.items for variant in item.variants))
    verdicts = dict(zip(texts, scorer.judge(texts), strict=True))
    rows: dict[str, list[Row]] = {label: [] for label in scorer.labels}
    for comparison in probe_set.comparisons:
        for item in probe_set.items:
            by_group = {variant.group: verdicts[variant.text] for variant in item.variants}
            if comparison.first in by_group and comparison.second in by_group:
                pairs = zip(by_group[comparison.first], by_group[comparison.second], strict=True)
                for label, (a, b) in zip(scorer.labels, pairs, strict=True):
                    changed = None if a.value is None or b.value is None else float(a.value != b.value)
                    rows[label].append(row_of(item, changed))
    return {label: tuple(found) for label, found in rows.items()}


def _baseline(item: Item) -> Score:
    """Return what people wrote as a row like those of what the model wrote."""
    return Score(
        item=item.id,
        template=item.template,
        lexeme=item.lexeme,
        category=item.category,
        group=item.variants[0].group,
        name=f"{COMPLETION}:{BASELINE}",
        value=1.0,
        text=item.baseline,
    )


def _row(score: Score, label: str, verdict: Verdict) -> Score:
    number = score.name.partition(":")[2]
    name = row_name(label, number)
    return replace(score, name=name, value=verdict.value, note=verdict.note, text=verdict.word)
