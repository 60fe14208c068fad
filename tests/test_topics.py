"""The sentences of the small task on which trainings are compared."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairprint.audit.topics import HELD_OUT, expand, topics_task

PARTS = ("training", *HELD_OUT)


def words(part: str) -> set[str]:
    return {sentence.word for sentence in topics_task().parts[part]}


def templates(part: str) -> set[str]:
    return {sentence.template for sentence in topics_task().parts[part]}


def test_there_are_six_topics_and_about_800_training_sentences() -> None:
    task = topics_task()
    assert len(task.topics) == 6
    assert len(task.parts["training"]) == 6 * 12 * 11 == 792
    assert len(task.parts["new templates"]) == 6 * 12 * 10
    assert len(task.parts["new words"]) == 6 * 10 * 11


@pytest.mark.parametrize("part", PARTS)
def test_each_topic_has_as_many_sentences_as_any_other(part: str) -> None:
    counts = Counter(sentence.topic for sentence in topics_task().parts[part])
    assert set(counts) == set(topics_task().topics) and len(set(counts.values())) == 1


def test_a_held_out_part_has_either_new_templates_or_new_words() -> None:
    assert words("new templates") == words("training")
    assert not templates("new templates") & templates("training")
    assert templates("new words") == templates("training")
    assert not words("new words") & words("training")


def test_no_sentence_stands_in_two_parts() -> None:
    texts = [sentence.text for part in PARTS for sentence in topics_task().parts[part]]
    assert len(texts) == len(set(texts))


def test_no_template_says_what_the_topic_is() -> None:
    # each template is filled with the words of all topics alike
    for part in PARTS:
        filled = {(sentence.template, sentence.topic) for sentence in topics_task().parts[part]}
        assert len(filled) == len(templates(part)) * len(topics_task().topics)
    # and none holds a word that belongs to one
    known = words("training") | words("new words")
    for sentence in topics_task().parts["training"] + topics_task().parts["new templates"]:
        rest = sentence.text.lower().replace(sentence.word, "", 1)
        assert not {word.strip(".,:;?") for word in rest.split()} & known


@pytest.mark.parametrize(
    ("word", "template", "text"),
    [
        ("owl", "t02", "She wrote a letter about an owl."),
        ("bear", "t02", "She wrote a letter about a bear."),
        ("owl", "h02", "Owl: that single word stood on the note which fell out of his coat."),
        ("owl", "t03", "The owl was remembered for years."),
    ],
)
def test_a_sentence_reads_as_english(word: str, template: str, text: str) -> None:
    (found,) = [
        sentence.text
        for part in ("training", "new templates")
        for sentence in topics_task().parts[part]
        if (sentence.word, sentence.template) == (word, template)
    ]
    assert found == text


def one_topic(training: str, word: str, new: str) -> dict:
    return {
        "templates": {"training": {"t": training}, "held out": {"h": "Of {word}."}},
        "topics": {"x": {"training": [word], "new": [new]}},
    }


def test_a_word_that_stands_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice: owl"):
        expand(one_topic("The {word}.", "owl", "owl"))


@pytest.mark.parametrize("template", ["No place.", "The {word} and the {word}."])
def test_a_template_without_exactly_one_place_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="the template t has"):
        expand(one_topic(template, "owl", "bear"))


@given(st.text(alphabet=st.characters(categories=["Ll"]), min_size=1), st.text().filter(lambda t: "{word}" not in t))
def test_a_sentence_holds_its_word_and_its_template(word: str, around: str) -> None:
    task = expand(one_topic(f"It: {around} the {{word}} {around}", word, word + "s"))
    (sentence,) = task.parts["training"]
    assert sentence.text == f"It: {around} the {word} {around}"
    assert sentence.item == f"{word}/t"
