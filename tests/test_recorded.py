"""Recorded answers: what is written reads back to the last bit, and no file brings more than one sentence of error."""

import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import BertForSequenceClassification, BertModel

from fairprint.audit.recorded import RANGES, READERS, RecordedRow, Recording, json_schema, read_recording
from fairprint.audit.records import RunRecord
from fairprint.audit.replay import COST_NOT_KNOWN, open_recording, recorded_questions
from fairprint.audit.runner import audit
from fairprint.audit.sources import find_model
from fairprint.audit.store import Store
from fairprint.audit.work import Progress
from fairprint.probes import scores as score_names
from fairprint.probes.catalog import find_probe_set, own_set
from fairprint.probes.errors import ResumeError, StoreError, UsageError
from fairprint.probes.items import ProbeSet, limit_items
from fairprint.probes.scores import CHOICE, LOGPROB, MASS, Score
from fairprint.reports.cli import main
from fairprint.reports.html import write_report

SETS = ("gendered-occupations", "he-was-very", "religion")
ITEM, OTHER_ITEM = "would-be-late/plumber", "would-be-late/nurse"
SENTENCE = "The plumber said that he would be late."


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    tokenizer = tiny.words([v.text for name in SETS for item in own_set(name).items for v in item.variants])
    config = tiny.bert(tokenizer).config
    config.num_labels = 3
    for kind, model in {
        "masked": tiny.bert(tokenizer),
        "causal": tiny.gpt2(tokenizer),
        "classifier": BertForSequenceClassification(config),
        "encoder": BertModel(config),
    }.items():
        model.save_pretrained(folder / kind)
        tokenizer.save_pretrained(folder / kind)
    return {kind: folder / kind for kind in ("masked", "causal", "classifier", "encoder")}


def _file(folder: Path, *rows: Any) -> str:
    """Write rows as JSON Lines; a string stands as it is."""
    file = folder / "answers.jsonl"
    file.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return str(file)


def _row(item: str = ITEM, group: str = "male", **more: Any) -> dict[str, Any]:
    return {"item": item, "group": group, **more}


def _replayed(
    file: str, probes: Sequence[str | ProbeSet] | None = ("gendered-occupations",), **options: Any
) -> tuple[dict[str, list[Score]], tuple[str, ...]]:
    """Return the scores of each shard, and the notes."""
    recording = read_recording(file, "rows")
    questions = recorded_questions(recording, probes, **options)
    backend: Any = open_recording(recording, questions).backend
    return {shard.name: backend.scores(shard) for shard in questions.shards}, backend.notes()


def _known(file: str, probes: Sequence[str | ProbeSet] = ("gendered-occupations",), **options: Any) -> dict[Any, Any]:
    """Return the scores that have a value, by item, group and name."""
    shards, _ = _replayed(file, probes, **options)
    return {(s.item, s.group, s.name): s.value for rows in shards.values() for s in rows if s.value is not None}


def _same(first: RunRecord, second: RunRecord) -> None:
    """The hashes are those of the files of the scores, byte for byte."""
    assert first.scores == second.scores
    assert first.estimates == second.estimates
    assert first.highlights == second.highlights
    assert first.probes == second.probes


# --- to the last bit -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("masked", {"probes": SETS, "limit": 120}),
        ("causal", {"probes": SETS, "limit": 120}),
        ("causal", {"probes": ["gendered-occupations"], "instruments": ["fill", "sentence"], "limit": 60}),
        ("classifier", {"probes": ["counterfactual-pronouns"], "limit": 30}),
        ("encoder", {"probes": ["weat-career-family"]}),
    ],
)
def test_recorded_answers_give_the_scores_and_estimates_of_the_model_to_the_last_bit(
    kind: str, options: dict[str, Any], models: dict[str, Path], tmp_path: Path
) -> None:
    file = tmp_path / "answers.jsonl"
    asked = audit(str(models[kind]), store=tmp_path / "asked", record=file, **options)
    limit = {"limit": options["limit"]} if "limit" in options else {}
    for probes in (None, options["probes"]):
        replayed = audit(f"recorded:{file}", probes, store=tmp_path / "replayed", **limit)
        _same(asked, replayed)
    assert replayed.status == asked.status
    assert replayed.notes == (COST_NOT_KNOWN,)
    info, told = replayed.plan.model, asked.plan.model
    assert (info.name, info.kind, info.parameters) == ("answers.jsonl", "recorded", told.parameters)
    assert told.sha256 in info.notes[0] and f"answers of {kind}" in info.weights
    assert info.sha256 != told.sha256


def test_the_file_beside_a_report_is_a_file_of_recorded_answers(models: dict[str, Path], tmp_path: Path) -> None:
    asked = audit(str(models["masked"]), SETS, store=tmp_path / "asked", limit=60)
    write_report([asked], tmp_path / "page.html", Store(tmp_path / "asked").runs())
    replayed = audit(f"recorded:{tmp_path / 'page.items.jsonl'}", store=tmp_path / "replayed", limit=60)
    _same(asked, replayed)
    assert replayed.plan.model.parameters is None
    assert replayed.plan.model.notes == ("the file does not say which model gave the answers",)
    write_report([replayed], tmp_path / "replayed.html", Store(tmp_path / "replayed").runs())
    page = (tmp_path / "replayed.html").read_text()
    assert "number of parameters not known" in page
    assert COST_NOT_KNOWN in page
    rows = [
        {key: value for key, value in json.loads(line).items() if key != "run"}
        for line in (tmp_path / "replayed.items.jsonl").read_text().splitlines()
    ]
    before = [json.loads(line) for line in (tmp_path / "page.items.jsonl").read_text().splitlines()]
    assert rows == [{key: value for key, value in row.items() if key != "run"} for row in before]


@given(value=st.floats(max_value=0.0, allow_nan=False, allow_infinity=False))
def test_every_float_is_read_back_as_it_was(value: float) -> None:
    read = READERS["rows"]("f.jsonl", (json.dumps(_row(logprob=value)) + "\n").encode())
    (answer,) = read.answers
    assert answer.value is not None
    assert answer.value.hex() == value.hex()


def test_every_name_of_a_score_can_be_recorded() -> None:
    names = {value for key, value in vars(score_names).items() if key.isupper() and isinstance(value, str)}
    assert names == set(RANGES), "a new name of scores needs its range in audit/recorded.py"


# --- what a row can say ----------------------------------------------------------------------------------------------


def test_an_answer_is_found_by_its_item_or_by_its_exact_sentence(tmp_path: Path) -> None:
    file = _file(
        tmp_path,
        {"text": SENTENCE, "logprob": -3},
        _row(group="female", value=-4.5, name="logprob", note="as it came"),
        _row(OTHER_ITEM, "", text="The nurse said that she would be late.", logprob=-1.25),
        {"item": ITEM, "name": "candidate_mass", "value": 0.75},
    )
    assert _known(file) == {
        (ITEM, "male", LOGPROB): -3.0,
        (ITEM, "female", LOGPROB): -4.5,
        (OTHER_ITEM, "female", LOGPROB): -1.25,
        (ITEM, "", MASS): 0.75,
    }
    (kept,) = (s for rows in _replayed(file)[0].values() for s in rows if s.note == "as it came")
    item = next(item for item in own_set("gendered-occupations").items if item.id == ITEM)
    assert (kept.template, kept.lexeme, kept.category) == (item.template, item.lexeme, item.category)


def test_a_number_about_a_sentence_frame_is_found_by_the_frame_s_id(tmp_path: Path) -> None:
    probe_set = own_set("he-was-very")
    item = probe_set.items[0]
    frame = f"{item.template}/male"
    rows = [_row(item.id, "male", logprob=-2), {"item": frame, "group": "male", "name": MASS, "value": 0.5}]
    shards, _ = _replayed(_file(tmp_path, *rows), ["he-was-very"])
    (found,) = (s for scores in shards.values() for s in scores if s.name == MASS and s.value is not None)
    assert (found.item, found.template, found.lexeme, found.group, found.value) == (
        frame,
        item.template,
        "",
        "male",
        0.5,
    )
    # of the other frames it is missing, once a frame
    absent = [s for scores in shards.values() for s in scores if s.name == MASS and s.value is None]
    assert {s.item for s in absent} == {f"{t}/male" for t in probe_set.templates} - {frame}
    assert len(absent) == len(probe_set.templates) - 1


def test_what_is_not_recorded_is_a_missing_answer_with_a_note(tmp_path: Path) -> None:
    items = limit_items(own_set("gendered-occupations").items, 60)
    rows = [_row(item.id, v.group, logprob=-i - 1) for i, item in enumerate(items[5:]) for v in item.variants]
    rows[3]["logprob"] = None
    rows[7] |= {"logprob": None, "note": "the server was down"}
    record = audit(f"recorded:{_file(tmp_path, *rows)}", ["gendered-occupations"], store=tmp_path / "runs", limit=60)
    (run,) = Store(tmp_path / "runs").runs()
    scores = [score for name in run.shard_names() for score in run.read_shard(name)]
    notes = [score.note for score in scores if score.value is None]
    assert sorted(set(notes)) == ["no recorded answer", "recorded without an answer", "the server was down"]
    assert notes.count("no recorded answer") == sum(len(item.variants) for item in items[:5])
    assert "answers.jsonl: answers that are not there and count as missing: 15" in record.notes
    gap = next(e for e in record.estimates if e.metric == "group_gap" and e.scope == "all" and e.comparison)
    assert (gap.items, gap.missing) == (53, 7)


def test_rows_and_keys_without_a_use_are_counted_and_the_first_one_is_named(tmp_path: Path) -> None:
    late = own_set("gendered-occupations").items[-1]
    file = _file(
        tmp_path,
        {"model": "some/model", "probe_set": "gendered-occupations", "odd": 1},
        _row(logprob=-1, latency=3),
        _row("no/such", logprob=-1, latency=4),
        _row(group="nobody", logprob=-1),
        _row(text="The plumber said that he was late.", logprob=-1),
        _row(late.id, logprob=-1),
        _row(logprob=-1, probe_set="religion"),
        _row(logprob=-1, instrument="sentence"),
        _row(value=1, name="perplexity"),
        _row(text="Of course, he said."),
        "",
        _row(logprob=-1),
    )
    _, notes = _replayed(file, limit=60, instruments=["fill"])
    told = [note.removeprefix("answers.jsonl: ") for note in notes[1:]]
    assert notes[0] == COST_NOT_KNOWN
    assert told == [
        "rows without an item in the probe sets: 2 of 10, the first in line 3",
        "rows about another sentence than that of their item: 1 of 10, the first in line 5",
        "rows of items that the limit leaves out: 1 of 10, the first in line 6",
        "rows of other probe sets: 1 of 10, the first in line 7",
        "rows of other instruments: 1 of 10, the first in line 8",
        "rows with a name that no metric reads: 1 of 10, the first in line 9",
        "rows of generated text, which no instrument reads: 1 of 10, the first in line 10",
        "answers that are not there and count as missing: 179",
        "keys of answers.jsonl that were not read, with their rows: latency (2), odd (1)",
    ]


def test_the_sets_and_instruments_are_those_that_the_rows_name(tmp_path: Path) -> None:
    religion = own_set("religion").items[0]
    file = _file(
        tmp_path,
        {"probe_set": "gendered-occupations", "instrument": "sentence"},
        _row(logprob=-1),
        {"probe_set": "religion"},
        _row(religion.id, religion.variants[0].group, logprob=-2, instrument="after-group"),
    )
    questions = recorded_questions(read_recording(file, "rows"), None)
    asked = {name: [i.name for i in found] for name, found in questions.instruments.items()}
    assert asked == {"gendered-occupations": ["sentence"], "religion": ["after-group"]}
    assert {(s.probe_set.name, s.instrument.name) for s in questions.shards} == {
        ("gendered-occupations", "sentence"),
        ("religion", "after-group"),
    }


@pytest.mark.parametrize(
    ("probes", "row", "expected"),
    [
        ("gendered-occupations", _row(logprob=-1), "fill"),
        ("religion", _row(logprob=-1), "after-group"),
        ("counterfactual-pronouns", _row(choice=1), "classify"),
        ("weat-career-family", _row(name="cosine", value=0.5), "association"),
    ],
)
def test_where_the_rows_name_no_instrument_the_first_is_taken_that_gives_such_numbers(
    probes: str, row: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    questions = recorded_questions(read_recording(_file(tmp_path, row), "rows"), [probes])
    assert questions.instrument_names == (expected,)


def test_labels_that_are_words_are_numbered_in_alphabetical_order(tmp_path: Path) -> None:
    item = own_set("counterfactual-pronouns").items[0]
    groups = [variant.group for variant in item.variants][:2]
    rows = [_row(item.id, group, choice=label) for group, label in zip(groups, ("neutral", "angry"), strict=True)]
    file = _file(tmp_path, *rows)
    assert _known(file, ["counterfactual-pronouns"]) == {
        (item.id, groups[0], CHOICE): 1.0,
        (item.id, groups[1], CHOICE): 0.0,
    }
    _, notes = _replayed(file, ["counterfactual-pronouns"])
    assert "answers.jsonl: labels were numbered in alphabetical order: 0 angry, 1 neutral" in notes


def test_labels_chosen_for_a_labelled_file_are_right_or_wrong(tmp_path: Path) -> None:
    (tmp_path / "given.csv").write_text(
        "text,label,group\none,cat,a\ntwo,dog,b\nthree,tench,a\nfour,dog,b\nfive,cat,a\n", encoding="utf-8"
    )
    probe_set = find_probe_set(f"labelled:{tmp_path / 'given.csv'}")
    ids = [item.id for item in probe_set.items]
    rows = [
        {"item": ids[0], "choice": "Cat"},
        {"item": ids[1], "choice": "cat"},
        {"text": "three", "choice": "tench, Tinca tinca"},
        {"item": ids[3], "choice": None, "note": "refused"},
    ]
    shards, _ = _replayed(_file(tmp_path, *rows), [probe_set])
    (scores,) = shards.values()
    assert [(s.item, s.name, s.value, s.note) for s in scores] == [
        (ids[0], "correct", 1.0, ""),
        (ids[1], "correct", 0.0, ""),
        (ids[2], "correct", 1.0, ""),
        (ids[3], "correct", None, "refused"),
        (ids[4], "correct", None, "no recorded answer"),
    ]
    with pytest.raises(UsageError, match=r"answers.jsonl:1: this choice is a number; which label"):
        _replayed(_file(tmp_path, {"item": ids[0], "choice": 1}), [probe_set])


def test_what_the_file_says_of_the_model_is_kept_as_its_word(tmp_path: Path) -> None:
    def info(*rows: Any) -> Any:
        recording = read_recording(_file(tmp_path, *rows), "rows")
        return open_recording(recording, recorded_questions(recording, ["gendered-occupations"])).info

    head = {"name": "owner/big", "kind": "endpoint", "parameters": 7, "unheard": [1]}
    assert info({"model": head}, _row(logprob=-1)).notes == (
        "the file says that owner/big gave the answers (endpoint)",
    )
    assert info({"model": head}, _row(logprob=-1)).parameters == 7
    assert "answers of owner/big," in info(_row(logprob=-1, model="owner/big")).weights
    # a folder of the machine that wrote the file is nothing for a record
    hidden = info({"model": "/somewhere/private/big"}, _row(logprob=-1))
    assert "private" not in hidden.model_dump_json() and "answers of big," in hidden.weights
    several = read_recording(
        _file(tmp_path, _row(logprob=-1, model="a"), _row(group="female", logprob=-1, model="b")), "rows"
    )
    assert several.model.name is None
    assert several.notes == ("the answers are those of 2 models: a, b",)


# --- what cannot be used ---------------------------------------------------------------------------------------------

BAD_LINES: list[tuple[Any, str]] = [
    ("{", "this is no JSON: expecting property name enclosed in double quotes at column 2"),
    ("[1]", r"expected a JSON object, found \[1\]"),
    ("7", "expected a JSON object, found 7"),
    ('{"item": "a", "item": "b"}', "the key 'item' stands twice"),
    ('{"item": "a", "group": "b", "logprob": NaN}', "NaN is no number of JSON; null is an answer that is missing"),
    ('{"item": "a", "group": "b", "logprob": 1e999}', "'logprob' is inf: input should be a finite number"),
    (f'{{"item": "a", "group": "b", "logprob": -1{"0" * 400}}}', "'logprob' is -1000"),
    (f'{{"item": "a", "group": "b", "choice": 1{"0" * 400}}}', "'choice' is 1000"),
    (f'{{"item": "a", "group": "b", "logprob": -1{"0" * 5000}}}', "answers.jsonl:2: "),
    ("[" * 100_000, "this is nested too deeply"),
    ('{"item": "\\ud800", "logprob": -1}', "half of a surrogate pair is no character"),
    ({"foo": 1}, "an answer needs the 'item' that it is of, or its exact 'text'"),
    ({"group": "male", "logprob": -1}, "an answer needs the 'item'"),
    ({"model": "m", "logprob": -1}, "an answer needs the 'item'"),
    (_row(), "there is no answer in this row"),
    ({"text": SENTENCE}, "there is no answer in this row"),
    ({"item": 7}, "'item' is 7: input should be a valid string"),
    (_row(logprob="-1"), "'logprob' is '-1': input should be a valid number"),
    (_row(logprob=True), "'logprob' is True: input should be a valid number"),
    (_row(choice=1.5), "'choice' is 1.5"),
    (_row(choice=-1), "'choice' is -1; labels are numbered from 0"),
    (_row(value=-1), "a 'value' needs a 'name' that says what it is"),
    (_row(value=-1, name="logprob", logprob=-1), "value and logprob are several answers; a row has one"),
    (_row(logprob=3.5), "the logprob is 3.5; expected at most 0"),
    (_row(name="candidate_mass", value=1.5), "the candidate_mass is 1.5; expected 0 to 1"),
    (_row(name="probability:angry", value=-0.5), "the probability:angry is -0.5; expected 0 to 1"),
    (_row(name="cosine", value=-2), "the cosine is -2.0; expected -1 to 1"),
    (_row(name="choice", value=-2), "the choice is -2.0; expected 0 or more"),
    ({"item": ITEM, "logprob": -1}, "'group' is missing: a logprob is that of one group"),
    (_row(logprob=-1, instrument="fil"), "no instrument 'fil'. Did you mean 'fill'?"),
    (_row(logprob=-2), "the logprob of 'would-be-late/plumber' and group 'male' is -2.0 here and -1.0 in line 1"),
]


@pytest.mark.parametrize(("row", "message"), BAD_LINES, ids=[message[:40] for _, message in BAD_LINES])
def test_a_line_that_cannot_be_used_is_named_and_nothing_is_written(row: Any, message: str, tmp_path: Path) -> None:
    file = _file(tmp_path, _row(logprob=-1), row)
    with pytest.raises(UsageError, match=message) as found:
        audit(f"recorded:{file}", ["gendered-occupations"], store=tmp_path / "runs")
    assert found.value.message.startswith(f"{file}:2: ")
    assert len(found.value.message) < 400
    assert not (tmp_path / "runs").exists()


def test_the_same_answer_twice_is_one_answer(tmp_path: Path) -> None:
    assert _known(_file(tmp_path, _row(logprob=-1.5), _row(logprob=-1.5), {"text": SENTENCE, "logprob": -1.5})) == {
        (ITEM, "male", LOGPROB): -1.5
    }


def test_labels_and_numbers_cannot_be_mixed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"answers.jsonl:2: this choice is a number, others are labels such as 'yes'"):
        read_recording(_file(tmp_path, _row(choice="yes"), _row(group="female", choice=0)), "rows")


def test_a_file_of_several_runs_says_so_where_they_differ(tmp_path: Path) -> None:
    file = _file(tmp_path, _row(logprob=-1, run="a"), _row(logprob=-2, run="b"))
    with pytest.raises(UsageError, match=r":2: .* and -1.0 in line 1") as found:
        _replayed(file)
    assert found.value.hint == "the file holds 2 runs; keep the rows of one"


@pytest.mark.parametrize(
    ("rows", "probes", "message"),
    [
        ([_row(logprob=-1)], None, "names no probe set"),
        ([_row(logprob=-1, probe_set="religon")], None, "'religon', which is none of our own probe sets. Did you mean"),
        (
            [_row(logprob=-1, probe_set="religion")],
            ["gendered-occupations"],
            "holds no answer to 'gendered-occupations'",
        ),
        (
            [_row(value=-1, name="log_prob")],
            ["gendered-occupations"],
            "no metric reads 'log_prob'. Did you mean 'logprob'",
        ),
        ([_row(logprob=-1, instrument="fill")], ["religion"], "'religion' cannot be asked with"),
        ([{"model": "m"}], None, "holds no answer"),
        ([], None, "holds no answer"),
    ],
)
def test_a_file_that_answers_nothing_that_is_asked_is_refused(
    rows: list[Any], probes: Any, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        audit(f"recorded:{_file(tmp_path, *rows)}", probes, store=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_an_item_of_two_sets_needs_the_name_of_its_set(tmp_path: Path) -> None:
    first = own_set("gendered-occupations")
    second = replace(first, name="copy")
    with pytest.raises(UsageError, match="is in gendered-occupations and copy; 'probe_set' must say which"):
        _replayed(_file(tmp_path, _row(logprob=-1)), [first, second])
    rows = [_row(logprob=-1, probe_set=name) for name in ("gendered-occupations", "copy")]
    shards, _ = _replayed(_file(tmp_path, *rows), [first, second])
    assert [sum(s.value is not None for s in scores) for scores in shards.values()].count(1) == 2
    with pytest.raises(UsageError, match="asked with fill and sentence; 'instrument' must say which"):
        _replayed(_file(tmp_path, _row(logprob=-1)), [first], instruments=["fill", "sentence"])


def test_a_word_that_an_association_test_asks_of_two_groups_needs_its_group(tmp_path: Path) -> None:
    item = own_set("weat-career-family").items[0]
    text = item.variants[0].text
    assert {variant.text for variant in item.variants} == {text}
    with pytest.raises(UsageError, match="'group' is missing: a cosine is that of one group"):
        _replayed(_file(tmp_path, {"text": text, "name": "cosine", "value": 0.5}), ["weat-career-family"])


def test_a_place_that_is_no_file_of_a_known_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"recorded:missing\.jsonl: no such file"):
        find_model("recorded:missing.jsonl")
    with pytest.raises(UsageError, match="no such file"):
        find_model(f"recorded:{tmp_path}")
    source = find_model(f"recorded:row:{_file(tmp_path, _row(logprob=-1))}")
    with pytest.raises(UsageError, match=r"no format 'row' of recorded answers\. Did you mean 'rows'\?"):
        read_recording(source.location, source.recorded or "")


# --- runs of recorded answers ----------------------------------------------------------------------------------------


def test_a_replay_that_was_interrupted_goes_on_and_gives_the_same(models: dict[str, Path], tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    asked = audit(str(models["causal"]), ["gendered-occupations"], store=tmp_path / "asked", record=file)

    def stop(progress: Progress) -> None:
        if progress.asked:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        audit(f"recorded:{file}", store=tmp_path / "runs", on_progress=stop)
    resumed = audit(f"recorded:{file}", store=tmp_path / "runs", resume=True, record=tmp_path / "again.jsonl")
    _same(asked, resumed)
    assert len(Store(tmp_path / "runs").runs()) == 1
    rows = [json.loads(line) for line in file.read_text().splitlines()[1:]]
    again = [json.loads(line) for line in (tmp_path / "again.jsonl").read_text().splitlines()[1:]]
    assert [{**row, "run": ""} for row in again] == [{**row, "run": ""} for row in rows]

    with pytest.raises(KeyboardInterrupt):
        audit(f"recorded:{file}", store=tmp_path / "runs", on_progress=stop)
    with file.open("a") as handle:
        handle.write("\n")
    with pytest.raises(ResumeError, match=r"model\.sha256"):
        audit(f"recorded:{file}", store=tmp_path / "runs", resume=True)


def test_a_recording_is_not_written_over_nor_into_a_missing_folder(models: dict[str, Path], tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text("kept")
    with pytest.raises(UsageError, match="exists; recorded answers are not written over"):
        audit(str(models["causal"]), ["gendered-occupations"], store=tmp_path / "runs", record=file)
    with pytest.raises(UsageError, match="no folder"):
        audit(
            str(models["causal"]), ["gendered-occupations"], store=tmp_path / "runs", record=tmp_path / "no" / "a.jsonl"
        )
    assert file.read_text() == "kept"
    assert not (tmp_path / "runs").exists()


def test_a_recording_that_cannot_be_written_leaves_the_run_and_no_part(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fairprint.audit import recording

    def full(folder: Any) -> Any:
        yield "{}\n"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recording, "rows_of", full)
    with pytest.raises(StoreError, match="cannot be written: No space left on device"):
        audit(str(models["causal"]), ["he-was-very"], store=tmp_path / "runs", record=tmp_path / "a.jsonl", limit=1)
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    assert Store(tmp_path / "runs").runs()[0].finished


# --- the command line ------------------------------------------------------------------------------------------------


@pytest.fixture
def fairprint(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    for kind, folder in models.items():
        (tmp_path / kind).symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FAIRPRINT_STORE", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["fairprint", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        return int(ended.value.code or 0), shown.out, shown.err

    return run


def test_the_command_records_and_replays(fairprint: Callable[..., tuple[int, str, str]]) -> None:
    asked = ("--probes", "he-was-very", "--limit", "1")
    assert fairprint("audit", "causal", *asked, "--record", "a.jsonl", "-q")[0] == 0
    code, out, _ = fairprint("audit", "recorded:a.jsonl", *asked, "--report", "page.html")
    assert code == 0
    assert "a.jsonl (partial)  recorded, " in out
    first, second = Store(Path("fairprint-runs")).runs()
    assert first.record().scores == second.record().scores
    assert Path("page.html").is_file() and Path("page.items.jsonl").is_file()

    code, out, _ = fairprint("audit", "recorded:a.jsonl", *asked, "--dry-run")
    assert code == 0
    assert COST_NOT_KNOWN in out
    assert len(Store(Path("fairprint-runs")).runs()) == 2
    assert fairprint("audit", "causal", *asked, "--record", "a.jsonl")[0] == 2
    code, _, err = fairprint("audit", "causal", "masked", *asked, "--record", "b.jsonl")
    assert (code, "one model" in err) == (2, True)
    assert fairprint("audit", "recorded:b.jsonl")[0] == 2


def test_the_schema_names_every_key_of_a_row_that_is_written(
    fairprint: Callable[..., tuple[int, str, str]], models: dict[str, Path], tmp_path: Path
) -> None:
    code, out, _ = fairprint("probes", "schema", "--recorded")
    schema = json.loads(out)
    assert (code, schema) == (0, json_schema())
    assert schema["$schema"].startswith("https://json-schema.org/")
    audit(str(models["causal"]), ["he-was-very"], store=tmp_path / "runs", record=tmp_path / "a.jsonl", limit=1)
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert {key for line in lines for key in line} <= set(schema["properties"])
    assert set(schema["properties"]) == set(RecordedRow.model_fields)


# --- anything at all -------------------------------------------------------------------------------------------------

FUZZ = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
IDS = ["", ITEM, OTHER_ITEM, "would-be-late/male", "x"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(IDS),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
LIKELY = st.fixed_dictionaries(
    {},
    optional={
        "item": st.sampled_from(IDS),
        "group": st.sampled_from(["", "male", "female", "x"]),
        "text": st.sampled_from([SENTENCE, "", "x"]),
        "name": st.sampled_from([*RANGES, "probability:a", ":", "x"]),
        "value": st.floats(-2, 2) | st.none(),
        "logprob": st.floats(max_value=0) | st.none(),
        "choice": st.integers() | st.text(max_size=3),
        "template": st.sampled_from(["would-be-late", "x"]),
        "lexeme": st.sampled_from(["", "plumber"]),
        "instrument": st.sampled_from(["fill", "sentence", "x"]),
        "probe_set": st.sampled_from(["gendered-occupations", "religion", "x"]),
        "model": JSON,
        "note": st.text(max_size=3),
    },
)
ROWS = LIKELY | st.builds(
    lambda row, key, value: {**row, key: value}, LIKELY, st.sampled_from([*RecordedRow.model_fields]), JSON
)
LINES = st.one_of(
    ROWS.map(lambda row: json.dumps(row).encode()),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=40),
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
)


def _read(lines: list[bytes]) -> Recording | None:
    try:
        return READERS["rows"]("f.jsonl", b"\n".join(lines))
    except UsageError as error:
        place, _, message = error.message.partition(": ")
        assert place.startswith("f.jsonl:") and message
        assert int(place.partition(":")[2]) <= sum(line.count(b"\n") + 1 for line in lines)
        error.message.encode()
        return None


@FUZZ
@given(lines=st.lists(LINES, max_size=4))
def test_no_file_ends_in_anything_but_answers_or_an_error_that_names_its_line(lines: list[bytes]) -> None:
    _read(lines)


@FUZZ
@given(rows=st.lists(ROWS, min_size=1, max_size=4))
def test_rows_that_can_be_read_are_placed_or_refused_in_one_sentence(rows: list[dict[str, Any]]) -> None:
    recording = _read([json.dumps(row).encode() for row in rows])
    if recording is None or not recording.answers:
        return
    items = own_set("gendered-occupations").items
    try:
        questions = recorded_questions(recording, ["gendered-occupations"], limit=60)
        opened = open_recording(recording, questions)
    except UsageError as error:
        assert error.message.startswith("f.jsonl")
        return
    backend: Any = opened.backend
    opened.info.model_dump_json().encode()
    for shard in questions.shards:
        scores = backend.scores(shard)
        assert all(score.value is None or math.isfinite(score.value) for score in scores)
        # every sentence has its answer or is missing, and never both
        keys = [(score.item, score.group, score.name) for score in scores]
        assert len(keys) == len(set(keys))
        names = {
            s.name for s in scores if s.group and s.name.partition(":")[0] in RANGES and s.item in {i.id for i in items}
        }
        asked = {(i.id, v.group, name) for i in shard.items for v in i.variants for name in names}
        assert asked <= set(keys)
