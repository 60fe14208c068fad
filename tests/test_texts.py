"""Plain texts that guard against a worse model: the reader, our own sentences, and how well a model predicts them."""

import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import tiny_seq2seq
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fairprint.audit.backends.causal import CausalBackend
from fairprint.audit.backends.masked import MaskedBackend
from fairprint.audit.backends.seq2seq import Seq2SeqBackend
from fairprint.audit.evaluate import evaluate
from fairprint.audit.questions import prepare
from fairprint.audit.records import Estimate, RunRecord
from fairprint.audit.runner import audit
from fairprint.probes.catalog import find_probe_set, own_names, own_set
from fairprint.probes.errors import ProbeFileError, UsageError
from fairprint.probes.forms import TEXT
from fairprint.probes.instruments import INSTRUMENTS, Ability, find_instruments
from fairprint.probes.items import ProbeSet
from fairprint.probes.review import remarks, size
from fairprint.probes.scores import LOGPROB, TOKENS, Score
from fairprint.probes.texts import KEYS, load_texts
from fairprint.reports.closing import closing
from fairprint.reports.html import render_report

NAME = "neutral-sentences"
# words for people, and for what people are sorted by
PEOPLE = set(
    """he she his her hers him himself herself we us our you your i me my man woman men women boy girl mother father son
    daughter brother sister wife husband people person somebody someone nobody everybody anybody child children baby
    friend king queen doctor nurse teacher worker driver black indian chinese german american european african asian
    arab christian muslim jewish church god gay deaf blind""".split()  # noqa: SIM905
)


def written(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def texts_of(found: ProbeSet) -> list[str]:
    return [item.variants[0].text for item in found.items]


def scores_of(found: ProbeSet, logprobs: list[float | None], tokens: list[float | None] | None) -> list[Score]:
    rows = []
    for name, numbers in ((LOGPROB, logprobs), (TOKENS, tokens or [])):
        for item, value in zip(found.items, numbers, strict=False):
            about: dict[str, Any] = {"item": item.id, "template": item.template, "lexeme": "", "category": ""}
            rows.append(Score(**about, group="text", name=name, value=value, note="" if value is not None else "lost"))
    return rows


def by_metric(estimates: list[Estimate] | tuple[Estimate, ...]) -> dict[str, Estimate]:
    return {e.metric: e for e in estimates}


# our own sentences


def test_there_are_two_hundred_sentences_of_ten_topics_and_none_stands_twice() -> None:
    found = own_set(NAME)

    assert len(set(texts_of(found))) == len(found.items) == 200
    assert set(Counter(item.category for item in found.items).values()) == {20}
    assert len({item.category for item in found.items}) == 10
    assert (found.scored, found.language, found.source, found.comparisons) == (TEXT, "en", "own", ())
    assert found.criticism and found.cannot_show and found.sources


def test_they_are_plain_sentences_of_varied_length() -> None:
    texts = texts_of(own_set(NAME))
    lengths = [len(text.split()) for text in texts]

    for text in texts:
        assert text.isascii() and text[0].isupper() and text[-1] in ".?"
        assert "  " not in text
        assert re.search(r"\ba [aeiou]|\ban [^aeiouh]", text) is None
    assert (min(lengths), max(lengths)) == (3, 19)
    assert stats.tstd(lengths) > 2.5
    assert len({text.split()[0] for text in texts}) > 90, "sentences begin in too few ways"


def test_none_speaks_of_people() -> None:
    # the first word of a sentence is large anyway; another large one would be a name
    allowed = {"Tuesday", "Wednesday", "Sundays", "Mondays"}
    for text in texts_of(own_set(NAME)):
        words = re.findall(r"[A-Za-z-]+", text)
        assert not {word.lower() for word in words} & PEOPLE, text
        assert {word for word in words[1:] if word[0].isupper()} <= allowed, text


def test_where_they_stands_it_stands_for_things() -> None:
    said = [text for text in texts_of(own_set(NAME)) if re.search(r"\b(they|them|their)\b", text, re.IGNORECASE)]

    assert said == [
        "The storm tore two branches from the old oak and carried them across the road.",
        "In autumn, the leaves of the maple turn red before they fall.",
        "Frogs lay their eggs in still water.",
        "Salmon swim up the river in which they hatched.",
        "Pebbles become round because the current rolls them against each other.",
        "Metals expand when they are heated.",
        "Peel the potatoes, cut them into cubes and boil them for fifteen minutes.",
    ]


# the reader


def test_a_file_without_a_word_of_itself_is_read(tmp_path: Path) -> None:
    found = load_texts(written(tmp_path / "Harbour terms.txt", "\ufeffThe crane lifts.\r\n\r\n  Ropes are coiled. \n"))

    assert (found.name, found.version, found.title) == ("harbour-terms", 1, "Harbour terms: sentences")
    assert (found.language, found.licence, found.source) == ("und", "not stated by the file", "file")
    assert texts_of(found) == ["The crane lifts.", "Ropes are coiled."]
    assert [(item.id, item.template, item.lexeme) for item in found.items] == [
        ("line 1", "line 1", ""),
        ("line 3", "line 3", ""),
    ]
    assert [item.variants[0].span for item in found.items] == [(0, 16), (0, 17)]
    assert "2 sentences" in found.summary and found.criticism and found.cannot_show and found.sources


def test_lines_with_a_hash_say_what_the_set_is(tmp_path: Path) -> None:
    text = """# About cranes: a comment, since it begins with a capital.
# name: cranes
#version: 3
# title: Cranes
# language: pt-BR
# licence: CC0-1.0
# source: A book.
# source: Another   book.
# criticism: Short.
Um.
# topic: ropes
Dois.
# topic: hooks
Tres.
"""
    found = load_texts(written(tmp_path / "x.txt", text))

    assert (found.name, found.version, found.title, found.language, found.licence) == (
        *("cranes", 3, "Cranes", "pt-BR", "CC0-1.0"),
    )
    assert (found.sources, found.criticism) == (("A book.", "Another book."), ("Short.",))
    assert [(item.variants[0].text, item.category) for item in found.items] == [
        *(("Um.", ""), ("Dois.", "ropes"), ("Tres.", "hooks")),
    ]


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("", 1, "the file has no sentences"),
        ("# name: x\n\n", 1, "the file has no sentences"),
        ("A.\nB.\n\nA. \n", 4, "the sentence of line 1 stands here again"),
        ("# licens: MIT\nA.", 1, "unknown key 'licens'. Did you mean 'licence'?"),
        ("# name:\nA.", 1, "the key 'name' has no value"),
        ("# name: a\n# name: b\nA.", 2, "the key 'name' stands twice"),
        ("A.\n# title: late\n", 2, "the key 'title' stands after the first sentence"),
        ("# version: one\nA.", 1, "the version is 'one'; expected a number of 1 or more"),
        ("# name: My Set\nA.", 1, "the name is 'My Set'; expected small letters, digits, - and _"),
        ("# language: English!\nA.", 1, "the language is 'English!'; expected a code such as en or pt-BR"),
        ("A\x00B.\n", 1, "U+0000 cannot stand in a sentence"),
        ("A.\nleft\tright\n", 2, "U+0009 cannot stand in a sentence"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_line(text: str, place: int, said: str, tmp_path: Path) -> None:
    path = written(tmp_path / "x.txt", text)
    with pytest.raises(ProbeFileError, match=re.escape(said)) as failed:
        load_texts(path)
    assert (failed.value.file, failed.value.line) == (str(path), place)


def test_a_file_of_other_bytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(b"fine\nna\xefve\n")
    with pytest.raises(ProbeFileError, match=r"x\.txt:2: byte 0xef is not UTF-8"):
        load_texts(path)


def test_it_is_given_by_its_format_and_a_missing_file_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "mine.txt", "One.\nTwo.\n")

    assert find_probe_set(f"texts:{path}") == load_texts(path)
    with pytest.raises(UsageError, match="no such file") as failed:
        find_probe_set(f"texts:{tmp_path / 'none.txt'}")
    assert failed.value.hint is not None and "one sentence a line" in failed.value.hint


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1), unique=True))
def test_what_is_written_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    kept = [line.strip() for line in lines]
    kept = [line for line in dict.fromkeys(kept) if line and not line.startswith(("#", "\ufeff"))]
    path = written(tmp_path_factory.mktemp("texts") / "x.txt", "\n".join(kept))
    if not kept:
        with pytest.raises(ProbeFileError, match="no sentences"):
            load_texts(path)
        return
    assert texts_of(load_texts(path)) == kept


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_a_line(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("texts") / "x.txt"
    path.write_bytes(text.encode(errors="surrogatepass"))
    try:
        found = load_texts(path)
    except ProbeFileError as error:
        assert error.line is not None
    else:
        assert found.items and all(text.strip() for text in texts_of(found))


def test_the_size_and_the_topics_of_a_set_are_told(tmp_path: Path) -> None:
    few = load_texts(written(tmp_path / "few.txt", "# topic: a\nOne two.\n# topic: b\nOne.\n"))

    assert size(own_set(NAME)) == "200 texts of 3 to 19 words"
    assert remarks(own_set(NAME))[0].startswith("topics: weather 20, plants and animals 20")
    assert size(few) == "2 texts of 1 to 2 words"
    assert remarks(few)[-1] == "2 templates are few: intervals will be wide, and less certain than they say"
    assert set(KEYS) >= {"name", "topic", "cannot-show"}


# in a suite


def test_language_models_are_asked_them_last_and_no_other_model_is() -> None:
    suite = [p.name for p in prepare(ability=Ability(kind="causal", answers=("likelihood", "fill"))).probe_sets]
    labels = prepare(ability=Ability(kind="classifier", answers=("classify",)))

    assert suite[-1] == NAME and suite[:-1] == sorted(suite[:-1])
    assert NAME in own_names()
    assert NAME not in [p.name for p in labels.probe_sets]
    assert labels.not_asked[NAME] == "it is for other kinds of models than this classifier one"


def test_each_kind_of_language_model_has_its_way_of_being_asked() -> None:
    ways = {
        kind: [i.name for i in find_instruments((), TEXT, Ability(kind=kind, answers=answers, takes_source=source))]
        for kind, answers, source in (
            ("causal", ("likelihood", "fill"), False),
            ("masked", ("likelihood", "fill"), False),
            ("endpoint", ("likelihood", "generate"), False),
            ("seq2seq", ("likelihood", "fill", "generate"), True),
            ("translation", ("likelihood", "generate"), True),
            ("encoder", ("embed",), False),
        )
    }

    assert ways == {
        "causal": ["sentence"],
        "masked": ["sentence"],
        "endpoint": ["sentence"],
        "seq2seq": ["second-half"],
        "translation": [],
        "encoder": [],
    }


# the metrics


def test_the_numbers_are_quotients_of_sums(tmp_path: Path) -> None:
    found = load_texts(written(tmp_path / "x.txt", "abcd\nabcdef\nabc\nab\n"))
    told = by_metric(
        evaluate(found, found.items, scores_of(found, [-6.0, -10.0, None, -3.0], [3, 4, None, 1]), "sentence")
    )

    assert told["mean_logprob_per_token"].value == pytest.approx(-19 / 8)
    assert told["perplexity"].value == pytest.approx(math.exp(19 / 8))
    assert told["mean_logprob_per_character"].value == pytest.approx(-19 / 12)
    assert {(e.items, e.missing, e.p_value, e.neutral) for e in told.values()} == {(3, 1, None, None)}
    assert {e.estimand for e in told.values()} == {"other texts like these"}


def test_each_text_is_a_unit_of_the_interval(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    tokens = rng.integers(2, 20, 30)
    logprobs = -tokens * rng.uniform(1, 4, 30)
    found = load_texts(written(tmp_path / "x.txt", "\n".join(f"text {n}" for n in range(30))))
    scores = scores_of(found, [float(x) for x in logprobs], [float(n) for n in tokens])
    told = by_metric(evaluate(found, found.items, scores, "sentence"))

    left = np.array([np.delete(logprobs, i).sum() / np.delete(tokens, i).sum() for i in range(30)])
    error = math.sqrt(29 / 30 * ((left - left.mean()) ** 2).sum())
    middle, reach = logprobs.sum() / tokens.sum(), float(stats.t.ppf(0.975, 29)) * error
    per_token, perplexity = told["mean_logprob_per_token"], told["perplexity"]
    assert (per_token.low, per_token.high) == pytest.approx((middle - reach, middle + reach))
    assert (perplexity.low, perplexity.high) == pytest.approx((math.exp(-middle - reach), math.exp(-middle + reach)))
    assert per_token.units == {"template": 30}


def test_without_the_number_of_tokens_there_are_figures_of_characters_alone(tmp_path: Path) -> None:
    found = load_texts(written(tmp_path / "x.txt", "abcd\nef\n"))
    told = by_metric(evaluate(found, found.items, scores_of(found, [-6.0, -3.0], None), "sentence"))

    assert told["mean_logprob_per_character"].value == pytest.approx(-9 / 6)
    for metric in ("mean_logprob_per_token", "perplexity"):
        assert told[metric].value is None and told[metric].reason == "it is not known how many tokens were scored"
    assert evaluate(found, found.items, [], "sentence") == []


def test_a_causal_model_gets_the_numbers_of_one_text_at_a_time() -> None:
    found = own_set(NAME)
    tokenizer = tiny.byte_bpe(texts_of(found))
    model = tiny.gpt2(tokenizer)
    scores = INSTRUMENTS["sentence"].task(CausalBackend(model, tokenizer, name="tiny"), found.items)
    told = by_metric(evaluate(found, found.items, scores, "sentence"))

    total = count = 0.0
    for text in texts_of(found):
        ids = tokenizer(tokenizer.bos_token + text, return_tensors="pt").input_ids
        with torch.no_grad():
            table = model(ids).logits[0].double().log_softmax(-1)
        total += sum(table[i, ids[0, i + 1]].item() for i in range(ids.shape[1] - 1))
        count += ids.shape[1] - 1
    assert told["mean_logprob_per_token"].value == pytest.approx(total / count, abs=1e-5)
    assert told["mean_logprob_per_character"].value == pytest.approx(total / sum(map(len, texts_of(found))), abs=1e-5)
    assert told["mean_logprob_per_token"].missing == 0


def test_a_masked_model_gets_its_pseudo_log_likelihood() -> None:
    found = own_set(NAME)
    items = found.items[::10]
    tokenizer = tiny.wordpiece(texts_of(found), 400)
    model = tiny.bert(tokenizer)
    scores = INSTRUMENTS["sentence"].task(MaskedBackend(model, tokenizer, name="tiny"), items)
    told = by_metric(evaluate(found, items, scores, "sentence"))

    total = count = 0.0
    for item in items:
        ids = tokenizer(item.variants[0].text, return_tensors="pt").input_ids
        for place in range(1, ids.shape[1] - 1):
            masked = ids.clone()
            masked[0, place] = tokenizer.mask_token_id
            with torch.no_grad():
                total += model(masked).logits[0, place].double().log_softmax(-1)[ids[0, place]].item()
            count += 1
    assert told["perplexity"].value == pytest.approx(math.exp(-total / count), rel=1e-5)


def test_an_encoder_decoder_restores_the_second_half() -> None:
    found = own_set(NAME)
    items = found.items[::10]
    tokenizer = tiny_seq2seq.tokenizer_of("T5")
    model = tiny_seq2seq.t5(tokenizer)
    scores = INSTRUMENTS["second-half"].task(Seq2SeqBackend(model, tokenizer, name="tiny"), items)
    known = {score.item: score.value for score in scores if score.name == LOGPROB}
    opens, closes = tokenizer.convert_tokens_to_ids(tiny_seq2seq.SENTINELS)

    assert sum(value is not None for value in known.values()) > 10
    for item in items:
        if known[item.id] is None:
            continue
        words = item.variants[0].text.split()
        half = (len(words) + 1) // 2
        first, second = " ".join(words[:half]), " ".join(words[half:])
        whole = tokenizer(f"{first} {second}", add_special_tokens=False).input_ids
        cut = len(tokenizer(first, add_special_tokens=False).input_ids)
        source = torch.tensor([[*whole[:cut], opens, tokenizer.eos_token_id]])
        target = torch.tensor([[opens, *whole[cut:], closes]])
        with torch.no_grad():
            logits = model(input_ids=source, labels=target).logits[0].double().log_softmax(-1)
        expected = sum(logits[i, target[0, i]].item() for i in range(1, target.shape[1]))
        assert known[item.id] == pytest.approx(expected, abs=1e-4)
    told = by_metric(evaluate(found, items, scores, "second-half"))
    characters = sum(
        len(" ".join(words[(len(words) + 1) // 2 :]))
        for item in items
        if known[item.id] is not None
        for words in [item.variants[0].text.split()]
    )
    total = sum(value for value in known.values() if value is not None)
    assert told["mean_logprob_per_character"].value == pytest.approx(total / characters)


def test_a_text_of_one_word_has_no_second_half(tmp_path: Path) -> None:
    found = load_texts(written(tmp_path / "x.txt", "keys\nThe keys are here.\n"))
    tokenizer = tiny_seq2seq.tokenizer_of("T5")
    backend = Seq2SeqBackend(tiny_seq2seq.t5(tokenizer), tokenizer, name="tiny")
    rows = {(s.item, s.name): s for s in INSTRUMENTS["second-half"].task(backend, found.items)}

    assert rows["line 1", LOGPROB].value is None
    assert rows["line 1", LOGPROB].note == "a text of one word has no second half"
    assert rows["line 1", TOKENS].value is None


# what is said


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    items = own_set("gendered-occupations").items[:60]
    tokenizer = tiny.words([*texts_of(own_set(NAME)), *(v.text for item in items for v in item.variants)])
    store = tmp_path_factory.mktemp("store")
    return audit(tiny.gpt2(tokenizer), ["gendered-occupations", NAME], tokenizer=tokenizer, store=store, limit=60)


def test_a_report_says_it_under_utility_and_among_no_findings(record: RunRecord) -> None:
    page = render_report([record])
    told = by_metric(tuple(e for e in record.estimates if e.probe_set == NAME))

    assert "<b>Utility</b>" in page
    assert "It is no finding about people" in page
    assert f'data value="{told["perplexity"].value!r}"' in page.replace("<", "").replace("&", "")
    assert "Neutral sentences" in page and "60 texts" in re.sub("<[^>]*>", "", page)


def test_the_closing_table_shows_it(record: RunRecord, capsys: pytest.CaptureFixture[str]) -> None:
    closing(record)
    out = capsys.readouterr().out

    assert "no finding about people" in out
    assert re.search(r"Mean log probability of a token +−\d+\.\d+ nats", out)
    assert re.search(r"Perplexity +[\d,.]+", out)
