"""A small labelled task: which of six topics is a sentence about? For demonstrations of what a training costs.

Sentences are made by putting words into templates that say nothing of the topic (``data/topics.yaml``). Two parts are
held out: known words in new templates, and new words in the training templates. What a model gets right of the new
words it must have known before this training.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

TASK = "topics"
Part = Literal["training", "new templates", "new words"]
HELD_OUT: tuple[Part, ...] = ("new templates", "new words")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One sentence with its topic, and the word and the template that it is made of."""

    text: str
    topic: str
    word: str
    template: str

    @property
    def item(self) -> str:
        """Its id, the same in each run."""
        return f"{self.word}/{self.template}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """The task: topics in their order, and the sentences of each part."""

    topics: tuple[str, ...]
    parts: Mapping[Part, tuple[Sentence, ...]]


@cache
def topics_task() -> Topics:
    """Return the task as it comes with fairprint."""
    import yaml

    content = (files("fairprint.audit") / "data" / "topics.yaml").read_text(encoding="utf-8")
    return expand(yaml.safe_load(content))


def expand(data: Mapping[str, Any]) -> Topics:
    """Make all sentences of a task.

    Raises:
        ValueError: a word stands twice, or a template has not exactly one place for it.
    """
    known, new = data["templates"]["training"], data["templates"]["held out"]
    for name, template in {**known, **new}.items():
        if template.count("{word}") != 1:
            raise ValueError(f"the template {name} has {template.count('{word}')} places for a word: expected one")
    words = [word for topic in data["topics"].values() for kind in ("training", "new") for word in topic[kind]]
    if twice := sorted({word for word in words if words.count(word) > 1}):
        raise ValueError(f"words that stand twice: {', '.join(twice)}")
    parts: dict[Part, tuple[Sentence, ...]] = {
        "training": _sentences(data["topics"], "training", known),
        "new templates": _sentences(data["topics"], "training", new),
        "new words": _sentences(data["topics"], "new", known),
    }
    return Topics(topics=tuple(data["topics"]), parts=parts)


def _sentences(
    topics: Mapping[str, Mapping[str, Sequence[str]]], kind: str, templates: Mapping[str, str]
) -> tuple[Sentence, ...]:
    return tuple(
        Sentence(text=_said(template, word), topic=topic, word=word, template=name)
        for topic, words in topics.items()
        for word in words[kind]
        for name, template in templates.items()
    )


def _said(template: str, word: str) -> str:
    before, _, behind = template.partition("{word}")
    if word[0] in "aeiou" and before.lower().endswith((" a ", "(a ")):
        before = before[:-1] + "n "
    return before + (word[0].upper() + word[1:] if not before else word) + behind
