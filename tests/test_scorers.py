"""What judges text that a model writes: lexicons, classifiers, and how a scorer itself reacts to words for people."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    pipeline,
)
from typer.testing import CliRunner
from written import LEXICON, bold, reacting_classifier, save, writer

from fairprint.audit.continuation_metrics import written
from fairprint.audit.models import open_object
from fairprint.audit.questions import prepare
from fairprint.audit.records import Estimate, RunRecord
from fairprint.audit.runner import audit
from fairprint.audit.scorers import ClassifierScorer, LexiconScorer, Scorers, find_scorers, swapped
from fairprint.audit.store import Store
from fairprint.audit.work import Progress
from fairprint.probes.catalog import own_set
from fairprint.probes.errors import ProbeFileError, ResumeError, UsageError
from fairprint.probes.lexicons import read_lexicon, without_accents
from fairprint.probes.scores import Score
from fairprint.reports.cli import app
from fairprint.reports.html import render_report

SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 64,
    "initializer_range": 0.5,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prompts, a lexicon, a model that writes, and a classifier that calls some texts about a Muslim toxic."""
    folder = tmp_path_factory.mktemp("written")
    bold(folder / "bold")
    writer(folder / "writer")
    (folder / "words.tsv").write_text(LEXICON, encoding="utf-8")
    save(folder / "toxic", *reacting_classifier())
    return folder


def run(folder: Path, store: Path, **options: Any) -> RunRecord:
    return audit(str(folder / "writer"), [f"bold:{folder / 'bold'}"], **{"store": store, "dtype": "float32"} | options)


def labelled(record: RunRecord, store: Path) -> list[Score]:
    folder = Store(store).find(record.run_id)
    return [score for name in folder.shard_names() for score in folder.read_shard(name)]


def pick(record: RunRecord, metric: str, scope: str = "all", label: str = "") -> list[Estimate]:
    return [
        e
        for e in record.estimates
        if e.metric == metric and e.scope == scope and e.instrument.partition(":")[2] == label
    ]


def classifier(labels: dict[int, str], **changes: Any) -> tuple[Any, Any]:
    tokenizer = tiny.wordpiece()
    torch.manual_seed(1)
    config = BertConfig(vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, id2label=labels, **SMALL)
    for key, value in changes.items():
        setattr(config, key, value)
    model = BertForSequenceClassification(config).eval()
    with torch.no_grad():
        # every label is given to some of the texts, and kept from others
        rows = [model(**tokenizer(text, return_tensors="pt")).logits[0] for text in tiny.TEXT]
        model.classifier.bias -= torch.stack(rows).mean(dim=0)
    return model, tokenizer


# lexicons


def lexicon(folder: Path, content: str, name: str = "words.tsv") -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def test_of_a_lexicon_with_levels_the_conservative_rows_are_taken_and_the_first_category_of_a_word(
    tmp_path: Path,
) -> None:
    rows = ["AN\tdog\tconservative", "PS\tdog\tconservative", "QAS\tfilm\tinclusive", "PR\tprostituée\tconservative"]
    found = read_lexicon(lexicon(tmp_path, "\n".join(["category\tlemma\tlevel", *rows, ""])))
    assert found.words == {"dog": "AN", "prostituee": "PR"}
    assert (found.rows, found.read, found.name) == (3, 4, "words.tsv")
    assert len(found.sha256) == 64


def test_a_lexicon_without_levels_or_categories_is_taken_whole(tmp_path: Path) -> None:
    found = read_lexicon(lexicon(tmp_path, 'lemma\n"good, bad"\ndog\n', "words.csv"))
    assert found.words == {"good, bad": "", "dog": ""}
    assert (found.rows, found.read) == (2, 2)


@pytest.mark.parametrize(
    ("text", "as_word", "inside"),
    [
        ("dog", "dog", "dog"),
        ("Dog", None, None),
        ("dogs", None, None),
        (" dog ", "dog", "dog"),
        ("dog.", None, "dog"),
        ("a dog, a whore", None, "dog"),
        ("(whore)dog", None, "whore"),
        ("son of a", "son of a", None),
        ("la prostituée", None, "prostituee"),
        ("PROSTITUÉE", None, None),
        ("dog’s", None, None),
        ("dog's", None, "dog"),
        ("", None, None),
    ],
)
def test_a_word_is_looked_up_whole_and_a_text_is_searched_to_the_first_hit_with_its_case_as_it_is(
    text: str, as_word: str | None, inside: str | None, tmp_path: Path
) -> None:
    found = read_lexicon(lexicon(tmp_path, "lemma\tlevel\n" + "".join(f"{word}\t\n" for word in WORDS)))
    assert found.find_word(text) == as_word
    assert found.find_in(text) == inside


WORDS = ("dog", "whore", "prostituée", "son of a")


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40))
def test_a_text_without_accents_has_no_mark_that_combines_and_is_left_alone_afterwards(text: str) -> None:
    import unicodedata

    plain = without_accents(text)
    assert not any(unicodedata.combining(character) for character in plain)
    assert without_accents(plain) == plain
    if text.isascii():
        assert plain == text


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("words.txt", "lemma\ndog\n", r"words\.txt: a lexicon is a \.tsv or \.csv file"),
        ("gone.tsv", None, r"gone\.tsv: no such file"),
        ("words.tsv", "lema\tlevel\ndog\tconservative\n", r"words\.tsv:1: the column 'lemma' is missing\. Did you"),
        ("words.tsv", "lemma\tlevel\ndog\tinclusive\n", r"no row has the level 'conservative'; levels: inclusive"),
        ("words.tsv", "lemma\tlevel\ndog\tinclusive\n\tconservative\n", r"words\.tsv:3: the row has no lemma"),
        ("words.csv", "", r"words\.csv:1: the file is empty"),
    ],
)
def test_a_lexicon_that_cannot_be_used_is_refused_with_its_place(
    name: str, content: str | None, told: str, tmp_path: Path
) -> None:
    path = tmp_path / name if content is None else lexicon(tmp_path, content, name)
    with pytest.raises(UsageError, match=told):
        read_lexicon(path)


def test_a_lexicon_that_is_not_utf_8_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "words.tsv").write_bytes(b"lemma\nprostitu\xe9e\n")
    with pytest.raises(ProbeFileError, match=r"words\.tsv:2: byte 0xe9 is not UTF-8"):
        read_lexicon(tmp_path / "words.tsv")


# classifiers


@pytest.mark.parametrize(
    ("labels", "changes", "label", "read"),
    [
        ({0: "fine", 1: "toxic"}, {}, None, ("toxic",)),
        ({0: "fine", 1: "toxic"}, {}, "FINE", ("fine",)),
        ({0: "sad", 1: "neutral", 2: "glad"}, {}, None, ("sad", "neutral", "glad")),
        ({0: "sad", 1: "neutral", 2: "glad"}, {}, "glad", ("glad",)),
        ({0: "insult", 1: "threat"}, {"problem_type": "multi_label_classification"}, None, ("insult", "threat")),
    ],
)
def test_the_verdicts_of_a_classifier_are_its_most_probable_label_or_labels_of_half_or_more(
    labels: dict[int, str], changes: dict[str, Any], label: str | None, read: tuple[str, ...]
) -> None:
    model, tokenizer = classifier(labels, **changes)
    scorer = ClassifierScorer(open_object(model, tokenizer), label)
    assert scorer.labels == read
    seen = set()
    for text, verdicts in zip(tiny.TEXT, scorer.judge(tiny.TEXT), strict=True):
        with torch.no_grad():
            logits = model(**tokenizer(text, return_tensors="pt")).logits[0].double()
        if changes:
            expected = {name: float(p >= 0.5) for name, p in zip(labels.values(), logits.sigmoid(), strict=True)}
        else:
            expected = {name: float(n == int(logits.argmax())) for n, name in labels.items()}
        assert [v.value for v in verdicts] == [expected[name] for name in read]
        seen |= {v.value for v in verdicts}
    assert seen == {0.0, 1.0}


def test_a_label_that_the_scorer_does_not_have_is_refused_with_those_that_it_has() -> None:
    model, tokenizer = classifier({0: "fine", 1: "toxic"})
    with pytest.raises(UsageError, match=r"no label 'toxik'\. Did you mean 'toxic'\?") as error:
        ClassifierScorer(open_object(model, tokenizer), "toxik")
    assert error.value.hint == "its labels: fine, toxic"


def test_more_labels_than_anybody_would_read_need_a_name() -> None:
    model, tokenizer = classifier({n: f"topic {n}" for n in range(60)})
    with pytest.raises(UsageError, match="has 60 labels, more than anybody would read"):
        ClassifierScorer(open_object(model, tokenizer), None)
    assert ClassifierScorer(open_object(model, tokenizer), "topic 7").labels == ("topic 7",)


def test_a_text_that_is_too_long_for_the_classifier_has_no_verdict_and_says_why() -> None:
    scorer = ClassifierScorer(open_object(*classifier({0: "fine", 1: "toxic"})), None)
    (verdict,) = scorer.judge(["very " * 80])[0]
    assert verdict.value is None
    assert "the model takes 64" in verdict.note


@pytest.mark.parametrize(
    ("scorer", "told"),
    [
        ("writer", "kind 'causal'; a scorer is a text classifier"),
        ("nothing-here/at-all@x y", "no such folder"),
        ("openai:toxic@http://127.0.0.1:1/v1", "a text classifier that runs here"),
    ],
)
def test_what_is_no_text_classifier_is_refused_before_anything_is_written(
    scorer: str, told: str, folder: Path, tmp_path: Path
) -> None:
    given = str(folder / scorer) if scorer == "writer" else scorer
    with pytest.raises(UsageError, match=told):
        run(folder, tmp_path / "runs", scorer=given)
    assert not (tmp_path / "runs").exists()


def test_a_scorer_without_text_to_judge_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is nothing to score"):
        audit(str(folder / "writer"), ["gendered-occupations"], store=tmp_path / "runs", lexicon=folder / "words.tsv")
    assert not (tmp_path / "runs").exists()


def test_two_scorers_with_a_label_of_one_name_are_refused(folder: Path) -> None:
    both = (LexiconScorer(read_lexicon(folder / "words.tsv")),) * 2
    with pytest.raises(UsageError, match="two scorers give the label 'lexicon'"):
        Scorers(both)


def test_the_name_of_a_label_is_told_from_that_of_a_folder(folder: Path, tmp_path: Path) -> None:
    questions = prepare([f"bold:{folder / 'bold'}"])
    odd = tmp_path / "a#b"
    save(odd, *classifier({0: "fine", 1: "toxic"}))
    assert find_scorers(str(odd), None, questions).label is None
    found = find_scorers(f"{odd}#toxic", None, questions)
    assert (found.classifier.name, found.label) == ("a#b", "toxic")


# a run


def test_a_planted_reaction_of_the_scorer_is_found_and_stands_beside_the_results(folder: Path, tmp_path: Path) -> None:
    record = run(folder, tmp_path, scorer=f"{folder / 'toxic'}#toxic", lexicon=folder / "words.tsv")

    for own in swapped("en"):
        (found,) = pick(record, "scorer_flip_rate", f"condition:{own.name}", "toxic")
        # half of the sentences about a Muslim, who is named in one of four comparisons of one set
        expected = 0.125 if own.name == "counterfactual-identity" else 0.0
        assert found.value == pytest.approx(expected)
        assert found.items == len(own.items) * len(own.comparisons)
        assert (found.probe_set, found.instrument) == ("bold-gender", "bold-gender / continuation:toxic")
        if expected:
            assert found.units == {"template": 12, "lexeme": 12}
        assert found.low is not None and found.high is not None
        assert found.low <= expected < found.high < 0.4
        (words,) = pick(record, "scorer_flip_rate", f"condition:{own.name}", "lexicon")
        assert words.value == 0.0
    assert {own.name for own in swapped("en")} == {
        "counterfactual-identity",
        "counterfactual-names",
        "counterfactual-pronouns",
    }
    toxic, words = record.plan.scorers
    assert (toxic.name, toxic.kind, words.name, words.kind) == ("toxic#toxic", "classifier", "words.tsv", "lexicon")
    assert toxic.sha256 != words.sha256 == read_lexicon(folder / "words.tsv").sha256
    assert any(toxic.sha256[:12] in note for note in record.notes)
    assert str(folder) not in json.dumps(record.model_dump(mode="json"))
    assert render_report([record])


def test_a_pipeline_judges_as_its_folder_does(folder: Path, tmp_path: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(folder / "toxic")
    tokenizer = AutoTokenizer.from_pretrained(folder / "toxic")
    piped = run(folder, tmp_path / "a", scorer=pipeline("text-classification", model=model, tokenizer=tokenizer))
    named = run(folder, tmp_path / "b", scorer=str(folder / "toxic"))
    assert piped.estimates == named.estimates
    assert piped.plan.scorers[0].sha256 == named.plan.scorers[0].sha256


def test_in_a_language_without_otherwise_equal_sentences_the_record_says_so(folder: Path) -> None:
    questions = prepare([f"bold:{folder / 'bold'}"])
    korean = replace(questions.probe_sets[0], language="ko")
    scorers = Scorers((LexiconScorer(read_lexicon(folder / "words.tsv")),))
    assert scorers.flips(korean, "continuation") == []
    assert any("no set of ours with otherwise equal sentences" in note for note in scorers.notes([korean]))
    assert not any("otherwise equal" in note for note in scorers.notes(questions.probe_sets))


def test_without_a_scorer_the_texts_are_kept_and_the_metrics_are_absent_with_the_reason(
    folder: Path, tmp_path: Path
) -> None:
    record = run(folder, tmp_path)
    texts = labelled(record, tmp_path)
    assert len(texts) == 6 * 5
    assert all(score.text.strip() for score in texts if score.value is not None)
    assert [(e.metric, e.value, e.items, e.missing, e.reason) for e in record.estimates] == [
        (name, None, 0, 0, "no scorer was given: --scorer MODEL or --lexicon FILE")
        for name in ("label_rate", "label_rate_gap")
    ]
    assert record.plan.scorers == ()
    assert "no scorer was given" in render_report([record])


def stopped(folder: Path, store: Path, **options: Any) -> None:
    def stop(progress: Progress) -> None:
        if progress.asked:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(folder, store, on_progress=stop, **options)


def test_a_run_that_was_stopped_goes_on_with_its_labels(folder: Path, tmp_path: Path) -> None:
    stopped(folder, tmp_path / "a", lexicon=folder / "words.tsv")
    (begun,) = Store(tmp_path / "a").runs()
    (shard,) = begun.shard_names()
    assert any(score.name == "label:lexicon:0" for score in begun.read_shard(shard))
    resumed = run(folder, tmp_path / "a", lexicon=folder / "words.tsv", resume=True)
    whole = run(folder, tmp_path / "b", lexicon=folder / "words.tsv")
    assert resumed.estimates == whole.estimates
    assert resumed.scores == whole.scores


@pytest.mark.parametrize("other", ["no scorer", "another lexicon", "a classifier"])
def test_a_run_does_not_go_on_with_other_scorers(other: str, folder: Path, tmp_path: Path) -> None:
    stopped(folder, tmp_path / "runs", lexicon=folder / "words.tsv")
    changed = lexicon(tmp_path, LEXICON + "3\tn\tAN\tno\tcat\tconservative\n")
    options: dict[str, Any] = {
        "no scorer": {},
        "another lexicon": {"lexicon": changed},
        "a classifier": {"scorer": str(folder / "toxic"), "lexicon": folder / "words.tsv"},
    }[other]
    with pytest.raises(ResumeError, match="scorers: was"):
        run(folder, tmp_path / "runs", resume=True, **options)


def test_the_command_refuses_to_go_on_with_another_lexicon_with_exit_code_2(folder: Path, tmp_path: Path) -> None:
    stopped(folder, tmp_path / "runs", lexicon=folder / "words.tsv")
    changed = lexicon(tmp_path, LEXICON + "3\tn\tAN\tno\tcat\tconservative\n")
    command = ["audit", str(folder / "writer"), "--probes", f"bold:{folder / 'bold'}", "--resume", "--quiet"]
    done = CliRunner().invoke(app, [*command, "--store", str(tmp_path / "runs"), "--lexicon", str(changed)])
    assert isinstance(done.exception, ResumeError)
    assert done.exception.exit_code == 2
    again = CliRunner().invoke(
        app, [*command, "--store", str(tmp_path / "runs"), "--lexicon", str(folder / "words.tsv")]
    )
    assert again.exit_code == 0, again.output


def test_a_finished_run_is_taken_only_where_its_scorers_are_the_same(folder: Path, tmp_path: Path) -> None:
    def again(**options: Any) -> RunRecord:
        return run(folder, tmp_path, resume=True, keep_finished=True, **options)

    first = run(folder, tmp_path, scorer=f"{folder / 'toxic'}#toxic")
    assert again(scorer=f"{folder / 'toxic'}#toxic").run_id == first.run_id
    for options in ({}, {"scorer": str(folder / "toxic")}, {"lexicon": folder / "words.tsv"}):
        with pytest.raises(ResumeError, match="no unfinished run"):
            again(**options)


def test_what_a_model_wrote_is_recorded_and_can_be_judged_later(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    live = run(folder, tmp_path / "live", lexicon=folder / "words.tsv", record=file)
    bare = tmp_path / "bare.jsonl"
    run(folder, tmp_path / "bare", record=bare)
    probes = [f"bold:{folder / 'bold'}"]
    replayed = audit(f"recorded:{file}", probes, store=tmp_path / "replayed")
    judged = audit(f"recorded:{bare}", probes, store=tmp_path / "judged", lexicon=folder / "words.tsv")

    values = [(e.metric, e.scope, e.comparison, e.value, e.low) for e in live.estimates if "flip" not in e.metric]
    for record in (replayed, judged):
        found = [(e.metric, e.scope, e.comparison, e.value, e.low) for e in record.estimates]
        assert [row for row in found if "flip" not in row[0]] == values
    assert judged.scores == live.scores


def test_texts_that_were_generated_elsewhere_are_judged_as_completions(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "texts.jsonl"
    rows = [
        {"item": "gender:American_actors.Al_Bell[0]", "text": " had a dog."},
        {"item": "gender:American_actors.Al_Bell[0]", "text": " sang"},
        {"item": "gender:American_actresses.Cy_Lee[0]", "text": " for a film"},
        {"item": "gender:American_actresses.Cy_Lee[0]", "text": " "},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    record = audit(
        f"recorded:{file}", [f"bold:{folder / 'bold'}"], store=tmp_path / "runs", lexicon=folder / "words.tsv"
    )
    (rate,) = pick(record, "label_rate", label="lexicon")
    # one of two texts about the one, none of one about the other; four prompts have no text
    assert (rate.value, rate.items, rate.missing) == (0.25, 2, 4)
    (gap,) = pick(record, "label_rate_gap", label="lexicon")
    assert gap.value == 0.5


def test_what_has_no_label_is_told_by_its_reason() -> None:
    probe_set = replace(own_set("he-was-very"), scored="prompt", name="bold")

    def score(name: str, value: float | None, note: str = "") -> Score:
        return Score(
            item="i", template="t", lexeme="", category="", group="g", name=name, value=value, note=note, text="x"
        )

    scores = [
        *(score(f"completion:{n}", 1.0) for n in range(3)),
        score("completion:3", None, "nothing was written"),
        score("label:lexicon:0", 1.0, "AN"),
        score("label:lexicon:1", 0.0),
        score("label:lexicon:2", None, "80 tokens; the model takes 64"),
        score("label:lexicon:3", None, "nothing was written"),
        score("label:lexicon:baseline", 1.0, "PS"),
    ]
    assert written(probe_set, scores, "continuation") == (
        "bold / continuation: 4 completions of 1 items",
        "bold / continuation: 1 without a text: nothing was written",
        "bold / continuation: 1 without the label 'lexicon': 80 tokens; the model takes 64",
        "bold / continuation: words of the lexicon: AN 1",
    )
    assert written(own_set("he-was-very"), scores, "fill") == ()
