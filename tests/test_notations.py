"""Three notations of one probe set, YAML, JSON Lines and CSV: the same items, the same mistakes, and odd bytes."""

import csv
import hashlib
import io
import json
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fairprint.probes.errors import ProbeFileError
from fairprint.probes.files import load_probe_file
from fairprint.probes.items import ProbeSet

YAML = """\
format: 1
name: ages
version: 3
title: Old, and young
summary: What is said of "the old".
measures: nothing
harm_type: none
language: en
licence: CC0-1.0
sources: [made up, "a book, of two parts"]
criticism: [too small]
cannot_show: [anything]
groups:
- {id: old, label: old people, forms: {many: Old people, one: grandmother}}
- {id: young, label: young people, forms: {many: Children, one: girl}}
comparisons:
- {first: young, second: old}
scored: rest
random_factors: [lexeme]
covariate: years – or so
covariate_group: old
templates:
- {id: are, text: "{group.many} are {lexeme}, they say."}
- {id: met, text: "The {group.one} met a {other.one} and was {lexeme.so}.", twin: met-2}
- {id: met-2, text: "The {other.one} met a {group.one}, who was {lexeme.so}.", twin: met}
lexemes:
- {id: slow, category: pace, forms: {so: so slow}, valence: negative, stereotyped: old, covariate: 80.5, source: book}
- {id: fast, category: pace, forms: {so: so fast}, valence: positive, stereotyped: young, covariate: 20, source: it}
- id: ill-at-ease
  text: ill at ease
  category: mood
  forms: {so: so ill at ease}
  valence: negative
  stereotyped: [old, young]
  source: another
- {id: glad, category: mood, forms: {so: so glad}, valence: positive, counter_stereotyped: [young, old], source: it}
"""

JSONL = """\
{"entry": "format", "value": 1}
{"entry": "name", "value": "ages"}
{"entry": "version", "value": 3}
{"entry": "title", "value": "Old, and young"}
{"entry": "summary", "value": "What is said of \\"the old\\"."}
{"entry": "measures", "value": "nothing"}
{"entry": "harm_type", "value": "none"}
{"entry": "language", "value": "en"}
{"entry": "licence", "value": "CC0-1.0"}
{"entry": "sources", "value": "made up"}
{"entry": "sources", "value": "a book, of two parts"}
{"entry": "criticism", "value": "too small"}
{"entry": "cannot_show", "value": "anything"}
{"entry": "groups", "id": "old", "label": "old people", "forms": {"many": "Old people", "one": "grandmother"}}
{"entry": "groups", "id": "young", "label": "young people", "forms": {"many": "Children", "one": "girl"}}
{"entry": "comparisons", "first": "young", "second": "old"}
{"entry": "scored", "value": "rest"}
{"entry": "random_factors", "value": "lexeme"}
{"entry": "covariate", "value": "years \\u2013 or so"}
{"entry": "covariate_group", "value": "old"}

{"entry": "templates", "id": "are", "text": "{group.many} are {lexeme}, they say."}
{"entry": "templates", "id": "met", "text": "The {group.one} met a {other.one} and was {lexeme.so}.", "twin": "met-2"}
{"entry": "templates", "id": "met-2", "text": "The {other.one} met a {group.one}, who was {lexeme.so}.", "twin": "met"}
{"entry": "lexemes", "id": "slow", "category": "pace", "forms": {"so": "so slow"}, "valence": "negative", \
"stereotyped": "old", "covariate": 80.5, "source": "book"}
{"entry": "lexemes", "id": "fast", "category": "pace", "forms": {"so": "so fast"}, "valence": "positive", \
"stereotyped": "young", "covariate": 20, "source": "it"}
{"entry": "lexemes", "id": "ill-at-ease", "text": "ill at ease", "category": "mood", \
"forms": {"so": "so ill at ease"}, "valence": "negative", "stereotyped": ["old", "young"], "source": "another"}
{"entry": "lexemes", "id": "glad", "category": "mood", "forms": {"so": "so glad"}, "valence": "positive", \
"counter_stereotyped": ["young", "old"], "source": "it"}
"""

CSV = """\
entry,value,id,label,text,twin,first,second,category,valence,stereotyped,counter_stereotyped,covariate,source,\
forms.many,forms.one,forms.so
format,1
name,ages
version,3
title,"Old, and young"
summary,"What is said of ""the old""."
measures,nothing
harm_type,none
language,en
licence,CC0-1.0
sources,made up
sources,"a book, of two parts"
criticism,too small
cannot_show,anything
groups,,old,old people,,,,,,,,,,,Old people,grandmother,
groups,,young,young people,,,,,,,,,,,Children,girl,
comparisons,,,,,,young,old
scored,rest
random_factors,lexeme
covariate,years – or so
covariate_group,old

templates,,are,,"{group.many} are {lexeme}, they say."
templates,,met,,The {group.one} met a {other.one} and was {lexeme.so}.,met-2
templates,,met-2,,"The {other.one} met a {group.one}, who was {lexeme.so}.",met
lexemes,,slow,,,,,,pace,negative,old,,80.5,book,,,so slow
lexemes,,fast,,,,,,pace,positive,young,,20,it,,,so fast
lexemes,,ill-at-ease,,ill at ease,,,,mood,negative,old|young,,,another,,,so ill at ease
lexemes,,glad,,,,,,mood,positive,,young|old,,it,,,so glad
"""

SETS = {"yaml": YAML, "yml": YAML, "jsonl": JSONL, "csv": CSV}
NOTATIONS = pytest.mark.parametrize("notation", ["yaml", "jsonl", "csv"])
SCHEMA_HINT = "fairprint probes schema shows every key"
ROW_HINT = 'a row is an entry: {"entry": "lexemes", "id": ...} or {"entry": "title", "value": ...}'


def load(folder: Path, notation: str, content: str | bytes) -> ProbeSet:
    path = folder / f"set.{notation}"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load_probe_file(path)


def mistake(folder: Path, notation: str, content: str | bytes) -> ProbeFileError:
    with pytest.raises(ProbeFileError) as caught:
        load(folder, notation, content)
    error = caught.value
    assert error.file == str(folder / f"set.{notation}")
    assert error.message.startswith(f"{error.file}:{error.line}: " if error.line else f"{error.file}: ")
    assert error.exit_code == 2
    return error


def said(error: ProbeFileError) -> str:
    """What an error says after file and line."""
    return error.message.split(": ", 1)[1]


def changed(notation: str, old: str, new: str) -> str:
    assert old in SETS[notation]
    return SETS[notation].replace(old, new, 1)


def line_of(content: str, text: str) -> int:
    return content[: content.index(text)].count("\n") + 1


# one set, three notations


@pytest.mark.parametrize("notation", ["yml", "jsonl", "csv"])
def test_a_set_is_the_same_in_every_notation_but_for_the_hash_of_its_bytes(tmp_path: Path, notation: str) -> None:
    found, expected = load(tmp_path, notation, SETS[notation]), load(tmp_path, "yaml", YAML)

    assert found.sha256 == hashlib.sha256(SETS[notation].encode()).hexdigest()
    for field in ProbeSet.__slots__:
        if field != "sha256":
            assert getattr(found, field) == getattr(expected, field), field


def test_the_set_of_these_tests_uses_what_the_notations_must_carry(tmp_path: Path) -> None:
    found = load(tmp_path, "csv", CSV)

    assert (found.name, found.version, found.title) == ("ages", 3, "Old, and young")
    assert found.summary == 'What is said of "the old".'
    assert found.sources == ("made up", "a book, of two parts")
    assert (found.covariate, found.random_factors, found.scored) == ("years – or so", ("lexeme",), "rest")
    assert [item.id for item in found.items] == [
        f"{template}/{word}" for template in ("are", "met", "met-2") for word in ("slow", "fast", "ill-at-ease", "glad")
    ]
    assert [(i.directions, i.valence, i.covariate) for i in found.items[:4]] == [
        ((-1,), -1, 80.5),
        ((1,), 1, 20.0),
        ((0,), -1, None),
        ((0,), 1, None),
    ]
    assert [variant.text for variant in found.items[6].variants] == [
        "The grandmother met a girl and was so ill at ease.",
        "The girl met a grandmother and was so ill at ease.",
    ]
    assert found.templates == ("are", "met")


@NOTATIONS
@pytest.mark.parametrize(
    "encode", [str.encode, lambda s: s.encode("utf-8-sig"), lambda s: s.encode().replace(b"\n", b"\r\n")]
)
def test_a_byte_order_mark_and_windows_line_ends_change_no_item(tmp_path: Path, notation: str, encode: Any) -> None:
    assert load(tmp_path, notation, encode(SETS[notation])).items == load(tmp_path, "yaml", YAML).items


@pytest.mark.parametrize("notation", ["jsonl", "csv"])
def test_rows_of_different_keys_can_stand_in_any_order(tmp_path: Path, notation: str) -> None:
    head, rows = ("", JSONL) if notation == "jsonl" else CSV.split("\n", 1)
    keys = ["lexemes", "templates", "random_factors", "groups", "title"]

    def place(row: str) -> int:
        key = json.loads(row)["entry"] if notation == "jsonl" else row.split(",")[0]
        return keys.index(key) if key in keys else len(keys)

    shuffled = sorted((row for row in rows.split("\n") if row), key=place)
    found = load(tmp_path, notation, "\n".join([head, *shuffled]))

    assert found.items == load(tmp_path, "yaml", YAML).items


def test_csv_cells_that_are_missing_at_the_end_of_a_row_or_empty_say_nothing(tmp_path: Path) -> None:
    width = CSV.split("\n", 1)[0].count(",")
    rows = list(csv.reader(io.StringIO(CSV)))
    padded = io.StringIO()
    csv.writer(padded).writerows([*row, *[""] * (width + 1 - len(row))] for row in rows)

    assert load(tmp_path, "csv", padded.getvalue()).items == load(tmp_path, "csv", CSV).items


def test_a_cell_of_csv_can_hold_a_line_break_and_the_lines_after_it_are_counted(tmp_path: Path) -> None:
    content = changed("csv", "measures,nothing", 'measures,"nothing,\nor little"')

    assert load(tmp_path, "csv", content).measures == "nothing,\nor little"
    broken = content.replace("young|old", "young|odd")
    error = mistake(tmp_path, "csv", broken)
    assert (said(error), error.line) == (
        "no group 'odd'; groups: old, young. Did you mean 'old'?",
        line_of(broken, "lexemes,,glad"),
    )


# the same mistakes in every notation


@pytest.mark.parametrize(
    ("notation", "old", "new", "place", "message"),
    [
        ("yaml", "licence:", "license:", "license:", "unknown key 'license'. Did you mean 'licence'?"),
        ("jsonl", '"label": "old', '"lable": "old', '"groups"', "unknown key 'lable'. Did you mean 'label'?"),
        ("csv", ",twin,", ",twins,", "entry,", "unknown column 'twins'. Did you mean 'twin'?"),
        ("jsonl", '"licence"', '"license"', '"license"', "unknown entry 'license'. Did you mean 'licence'?"),
        ("csv", "licence,", "license,", "license,", "unknown entry 'license'. Did you mean 'licence'?"),
        ("yaml", "are {lexeme}", "are", "- {id: are", "template 'are' has no {lexeme} slot"),
        ("jsonl", "are {lexeme}", "are", '"are"', "template 'are' has no {lexeme} slot"),
        ("csv", "are {lexeme}", "are", "templates,,are", "template 'are' has no {lexeme} slot"),
        (
            "yaml",
            "one: girl",
            "won: girl",
            "- {id: met,",
            "{other.one}: the other group has no form 'one'; it has: many, won",
        ),
        (
            "jsonl",
            '"one": "girl"',
            '"on": "girl"',
            '"met"',
            "{other.one}: the other group has no form 'one'; it has: many, on",
        ),
        (
            "csv",
            "Children,girl,",
            "Children,,girl",
            "templates,,met,",
            "{other.one}: the other group has no form 'one'; it has: many, so",
        ),
        ("yaml", ", forms: {many: Children, one: girl}", "", "- {id: young", "the key 'forms' is missing"),
        ("jsonl", ', "forms": {"many": "Children", "one": "girl"}', "", '"id": "young"', "the key 'forms' is missing"),
        ("csv", "Children,girl,", ",,", "groups,,young", "the key 'forms' is missing"),
        ("yaml", "one: girl", "one: ''", "- {id: young", "'one' is '': string should have at least 1 character"),
        ("jsonl", '"girl"', '""', '"id": "young"', "'one' is '': string should have at least 1 character"),
        ("csv", "Children,girl", "Children, ", "groups,,young", r"'one' is ' ': string should match pattern '\S'"),
        ("yaml", "id: young", "id: old", "- {id: young", "id 'old' stands twice in groups; every id must be unique"),
        (
            "jsonl",
            '"id": "glad"',
            '"id": "slow"',
            '"id": "glad"',
            "id 'slow' stands twice in lexemes; every id must be unique",
        ),
        (
            "csv",
            "templates,,met-2",
            "templates,,are",
            "templates,,met-2",
            "id 'are' stands twice in templates; every id must be unique",
        ),
        ("yaml", ", source: book", "", "- {id: slow", "the direction of 'slow' cites no source"),
        ("jsonl", ', "source": "book"', "", '"id": "slow"', "the direction of 'slow' cites no source"),
        ("csv", "80.5,book", "80.5,", "lexemes,,slow", "the direction of 'slow' cites no source"),
        (
            "yaml",
            "first: young",
            "first: yung",
            "- {first",
            "no group 'yung'; groups: old, young. Did you mean 'young'?",
        ),
        (
            "jsonl",
            '"first": "young"',
            '"first": "yung"',
            '"comparisons"',
            "no group 'yung'; groups: old, young. Did you mean 'young'?",
        ),
        ("csv", "young,old", "yung,old", "comparisons,", "no group 'yung'; groups: old, young. Did you mean 'young'?"),
        (
            "jsonl",
            '"valence": "positive", "counter',
            '"counter',
            '"id": "glad"',
            "'glad' has no valence, others have; give it to all lexemes or to none",
        ),
        (
            "csv",
            "pace,positive,young",
            "pace,positive,old",
            "lexemes,",
            "the stereotyped directions are unbalanced (young 0, old 2): a model with a constant preference would not "
            "score 50 %",
        ),
        ("csv", "80.5", "much", "lexemes,,slow", "'covariate' is 'much': input should be a valid number"),
        ("csv", "80.5", "nan", "lexemes,,slow", "'covariate' is nan: input should be a finite number"),
        ("jsonl", "80.5", "NaN", '"id": "slow"', "'covariate' is nan: input should be a finite number"),
        ("jsonl", "80.5", "-Infinity", '"id": "slow"', "'covariate' is -inf: input should be a finite number"),
        ("jsonl", "80.5", "1e999", '"id": "slow"', "'covariate' is inf: input should be a finite number"),
        ("jsonl", "80.5", '"80.5"', '"id": "slow"', "'covariate' is '80.5': input should be a valid number"),
        ("csv", "version,3", "version,three", "version,", "'version' is 'three': input should be a valid integer"),
        ("csv", "version,3", "version,3.5", "version,", "'version' is '3.5': input should be a valid integer"),
        ("jsonl", '"value": 3', '"value": "3"', '"version"', "'version' is '3': input should be a valid integer"),
        ("jsonl", '"value": 3', '"value": true', '"version"', "'version' is True: input should be a valid integer"),
        ("yaml", "one: girl", "on: girl", "- {id: young", "a key is True: input should be a valid string"),
        ("yaml", "one: girl", "7: girl", "- {id: young", "a key is 7: input should be a valid string"),
        ("yaml", "id: young", "7: x, id: young", "- {id: young", "a key is 7: keys should be strings"),
        ("csv", "format,1", "format,2", "format,", "'format' is 2: input should be 1"),
        (
            "csv",
            ",old|young,",
            ",old|,",
            "lexemes,,ill",
            "number 2 of 'stereotyped' is '': string should match pattern '^[a-z0-9][a-z0-9_-]*$'",
        ),
        ("csv", 'title,"Old, and young"\n', "", "format,", "the key 'title' is missing"),
        ("jsonl", '{"entry": "title", "value": "Old, and young"}\n', "", '"format"', "the key 'title' is missing"),
        ("csv", "sources,made up", "sources,", "sources,made", "'sources' takes 'value' alone, found nothing"),
    ],
)
def test_a_mistake_is_told_with_the_line_of_its_row(
    tmp_path: Path, notation: str, old: str, new: str, place: str, message: str
) -> None:
    content = changed(notation, old, new)
    error = mistake(tmp_path, notation, content)

    assert said(error) == message
    assert error.line == line_of(SETS[notation] if place in SETS[notation] else content, place)


@NOTATIONS
def test_a_file_that_is_not_utf_8_names_the_byte_and_its_line(tmp_path: Path, notation: str) -> None:
    content = SETS[notation].replace("\\u2013", "–")
    for mark in (b"", b"\xef\xbb\xbf"):
        error = mistake(tmp_path, notation, mark + content.replace("–", "é").encode("latin-1"))
        assert (said(error), error.hint) == ("byte 0xe9 is not UTF-8", "save the file as UTF-8")
        assert error.line == line_of(content, "years –")


@pytest.mark.parametrize(
    ("notation", "content"),
    [
        ("yaml", ""),
        ("yaml", "\n\n"),
        ("yaml", "# only a comment\n"),
        ("jsonl", ""),
        ("jsonl", "\n \n\n"),
        ("csv", ""),
        ("csv", "\n\n"),
        ("csv", "entry,value\n"),
        ("csv", "entry,value\n,\n"),
    ],
)
def test_an_empty_file_is_called_empty(tmp_path: Path, notation: str, content: str) -> None:
    error = mistake(tmp_path, notation, content)

    assert (said(error), error.line) == ("the file is empty", 1)


@pytest.mark.parametrize("notation", ["yaml", "jsonl"])
def test_a_lone_surrogate_is_refused_wherever_it_stands(tmp_path: Path, notation: str) -> None:
    places = {
        "yaml": [
            ("title: Old, and young", 'title: "\\ud800"'),
            ("[made up,", '["\\uDfff",'),
            ("one: girl", 'one: "a\\udc00"'),
        ],
        "jsonl": [
            ('"Old, and young"', '"\\ud800"'),
            ('"made up"', '"\\uDfff"'),
            ('"girl"', '"a\\udc00"'),
            ('"one": "girl"', '"\\udabc": "girl"'),
        ],
    }
    for old, new in places[notation]:
        content = changed(notation, old, new)
        error = mistake(tmp_path, notation, content)
        assert re.fullmatch(r"U\+D[89A-F]\w\w is half of a character and cannot stand in a text", said(error)), old
        assert error.line == line_of(content, "\\u")


@pytest.mark.parametrize(
    ("notation", "old", "new"),
    [
        ("yaml", "title: Old, and young", 'title: "\\U0001F600"'),
        ("jsonl", '"Old, and young"', '"\\ud83d\\ude00"'),
        ("csv", '"Old, and young"', "\N{GRINNING FACE}"),
    ],
)
def test_a_character_beyond_the_basic_plane_is_text_like_any_other(
    tmp_path: Path, notation: str, old: str, new: str
) -> None:
    assert load(tmp_path, notation, changed(notation, old, new)).title == "\N{GRINNING FACE}"


# JSON Lines


@pytest.mark.parametrize(
    ("row", "message", "hint"),
    [
        ('["entry"]', "expected an object, found list", None),
        ('"title"', "expected an object, found str", None),
        ("7", "expected an object, found int", None),
        ("null", "expected an object, found NoneType", None),
        ("NaN", "expected an object, found float", None),
        ("{}", "the key 'entry' is missing", ROW_HINT),
        ('{"value": "x"}', "the key 'entry' is missing", ROW_HINT),
        ('{"entry": 7, "value": "x"}', "the key 'entry' is missing", ROW_HINT),
        ('{"entry": null}', "the key 'entry' is missing", ROW_HINT),
        ('{"entry": ["title"]}', "the key 'entry' is missing", ROW_HINT),
        ('{"entry": "titel", "value": "x"}', "unknown entry 'titel'. Did you mean 'title'?", ROW_HINT),
        ('{"entry": "measures"}', "'measures' takes 'value' alone, found nothing", ROW_HINT),
        ('{"entry": "measures", "id": "x"}', "'measures' takes 'value' alone, found id", ROW_HINT),
        ('{"entry": "criticism", "value": "x", "b": 1}', "'criticism' takes 'value' alone, found b, value", ROW_HINT),
        ('{"entry": "title", "value": "x"}', "'title' stands twice; first in line 4", None),
        ('{"entry": "title", "entry": "name"}', "not valid JSON: 'entry' stands twice", None),
        ('{"entry": "lexemes", "forms": {"a": "x", "a": "y"}}', "not valid JSON: 'a' stands twice", None),
        (
            '{"entry": "lexemes", "value": "x", "id": "y", "category": "z"}',
            "unknown key 'value'. Did you mean 'valence'?",
            SCHEMA_HINT,
        ),
        (
            '{"entry": "criticism", "value": ["x", "y"]}',
            "number 2 of 'criticism' is ['x', 'y']: input should be a valid string",
            SCHEMA_HINT,
        ),
        (
            '{"entry": "criticism", "value": null}',
            "number 2 of 'criticism' is None: input should be a valid string",
            SCHEMA_HINT,
        ),
    ],
)
def test_a_line_that_is_no_entry_is_told_with_its_number(
    tmp_path: Path, row: str, message: str, hint: str | None
) -> None:
    error = mistake(tmp_path, "jsonl", JSONL + row + "\n")

    assert (said(error), error.line, error.hint) == (message, JSONL.count("\n") + 1, hint)


@pytest.mark.parametrize(
    "row",
    [
        "{",
        '{"entry": "title"',
        "{'entry': 'title'}",
        '{"entry": "title",}',
        "{} {}",
        '{"a": "\t"}',
        "x",
        "[" * 100_000,
        '{"a":' * 100_000,
    ],
)
def test_a_line_that_is_no_json_is_told_with_its_number(tmp_path: Path, row: str) -> None:
    error = mistake(tmp_path, "jsonl", f"{JSONL}\n{row}\n{JSONL}")

    assert said(error).startswith("not valid JSON: ")
    assert error.line == JSONL.count("\n") + 2


# CSV


@pytest.mark.parametrize(
    ("row", "message", "hint"),
    [
        ("direction_source,a,book", "'direction_source' takes 'value' alone, found id, value", ROW_HINT),
        (",x", "the key 'entry' is missing", ROW_HINT),
        ("titel,x", "unknown entry 'titel'. Did you mean 'title'?", ROW_HINT),
        ("title,x", "'title' stands twice; first in line 5", None),
        ("lexemes,x,y,,,,,,z", "unknown key 'value'. Did you mean 'valence'?", SCHEMA_HINT),
        ("lexemes" + "," * 17, "18 cells, the header has 17", "quote a text that holds the delimiter"),
        ('title,"a', "not valid CSV: unexpected end of data", None),
        ('title,"a"b', "not valid CSV: ',' expected after '\"'", None),
        ("title," + "x" * 200_000, "not valid CSV: field larger than field limit (131072)", None),
    ],
)
def test_a_row_that_is_no_entry_is_told_with_its_line(tmp_path: Path, row: str, message: str, hint: str | None) -> None:
    error = mistake(tmp_path, "csv", CSV + row + "\n")

    assert (said(error), error.line, error.hint) == (message, CSV.count("\n") + 1, hint)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("entry,value,ids", "unknown column 'ids'. Did you mean 'id'?"),
        ("entry;value", "unknown column 'entry;value'. Did you mean 'value'?"),
        ("entry,value,", "unknown column ''."),
        ("entry,value,forms", "unknown column 'forms'. Did you mean 'first'?"),
        ("entry,value,value", "the column 'value' stands twice"),
        ("entry,forms.so,forms.so", "the column 'forms.so' stands twice"),
    ],
)
def test_a_header_that_names_no_columns_is_told(tmp_path: Path, header: str, message: str) -> None:
    error = mistake(tmp_path, "csv", f"\n{header}\nformat,1\n")

    assert (said(error), error.line) == (message, 2)


@pytest.mark.parametrize("form", ["So", "", "a b", "-x"])
def test_a_form_must_have_a_name_that_a_slot_can_say(tmp_path: Path, form: str) -> None:
    for notation, content in {
        "jsonl": changed("jsonl", '"one": "girl"', f'"one": "girl", "{form}": "x"'),
        "csv": CSV.replace("forms.so", f"forms.so,forms.{form}", 1).replace("Children,girl,", "Children,girl,,x"),
    }.items():
        error = mistake(tmp_path, notation, content)
        assert error.line == line_of(content, "Children")
        assert said(error).startswith(f"a key is {form!r}: string should ")


# YAML


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("format: 1\nname: [a, b\ntitle: x\n", 3),
        ("format: 1\n\tname: x\n", 2),
        ("format: 1\nname: 'x\n", 3),
        ("format: 1\nname: *nowhere\n", 2),
        ("format: 1\nname: !!python/name:os.system\n", 2),
        ("format: 1\n---\nname: x\n", 2),
    ],
)
def test_invalid_yaml_names_its_line(tmp_path: Path, content: str, line: int) -> None:
    error = mistake(tmp_path, "yaml", content)

    assert said(error).startswith("not valid YAML: ")
    assert error.line == line


@pytest.mark.parametrize(
    ("content", "kind"), [("- a\n- b\n", "list"), ("just text\n", "str"), ("42\n", "int"), ("---\n", "NoneType")]
)
def test_a_file_without_keys_is_told_what_was_expected(tmp_path: Path, content: str, kind: str) -> None:
    error = mistake(tmp_path, "yaml", content)

    assert said(error) == f"expected keys such as 'name:' and 'templates:', found {kind}"
    assert error.line is not None


@pytest.mark.parametrize(
    "name",
    [
        "title: a\x00b",
        "title: a\x07b",
        "title: 2001-99-99",
        "title: 2001-01-01T25:00:00Z",
        "title: !!int x",
        "title: !!bool x",
    ],
)
def test_a_value_that_yaml_cannot_read_names_its_line(tmp_path: Path, name: str) -> None:
    error = mistake(tmp_path, "yaml", changed("yaml", "title: Old, and young", name))

    assert error.line == line_of(YAML, "title")


@pytest.mark.parametrize(
    "line",
    [
        "? [a, b]\n: 1",
        "? {a: b}\n: 1",
        "x: !!set {[a]: }",
        "x: !!bool maybe",
        'x: !!int ""',
        "x: !!timestamp soon",
        r'x: "\UFFFFFFFF"',
        r'x: "\ud800"',
        "x: " + "9" * 5000,
        "1: a",
        "~: a",
        "<<: 1",
        "x: &x [*x]",
        "x: &x {y: *x}",
    ],
)
def test_odd_corners_of_yaml_are_mistakes_in_the_file_and_nothing_else(tmp_path: Path, line: str) -> None:
    assert mistake(tmp_path, "yaml", f"{YAML}{line}\n")


@pytest.mark.parametrize(
    "content", ["[" * 10_000, "[" * 200 + "]" * 200, "{a: " * 5_000, "- " * 5_000, "title: " + "[" * 1_000]
)
def test_deep_nesting_is_a_mistake_in_the_file_and_nothing_else(tmp_path: Path, content: str) -> None:
    assert mistake(tmp_path, "yaml", content)


@pytest.mark.parametrize("key", ["unknown", "sources"])
def test_a_small_file_of_nested_aliases_takes_little_memory(tmp_path: Path, key: str) -> None:
    content = YAML if key == "unknown" else re.sub("sources:.*\n", "", YAML)
    bomb = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 14)]
    tracemalloc.start()
    try:
        mistake(tmp_path, "yaml", "\n".join([content, *bomb, f"{key}: *a13", ""]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 5_000_000  # 14 levels of two are 32,768 places; each further line would double them


# damaged files: either they load, or they say what is wrong


def loads_or_is_refused(folder: Path, notation: str, data: bytes) -> None:
    path = folder / f"damaged.{notation}"
    path.write_bytes(data)
    try:
        found = load_probe_file(path)
    except ProbeFileError as error:
        assert error.file == str(path)
        assert error.line is None or 1 <= error.line <= len(data) + 1
    else:
        assert found.sha256 == hashlib.sha256(data).hexdigest()
        assert found.items


damaging = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
LONGEST = max(len(content.encode()) for content in SETS.values())


@NOTATIONS
@damaging
@given(share=st.floats(0, 1))
def test_a_truncated_file_loads_or_is_refused(tmp_path: Path, notation: str, share: float) -> None:
    data = SETS[notation].encode()
    loads_or_is_refused(tmp_path, notation, data[: int(share * len(data))])


@NOTATIONS
@damaging
@given(flips=st.dictionaries(st.integers(0, LONGEST - 1), st.integers(0, 255), min_size=1, max_size=4))
def test_a_file_with_flipped_bytes_loads_or_is_refused(tmp_path: Path, notation: str, flips: dict[int, int]) -> None:
    data = bytearray(SETS[notation].encode())
    for place, byte in flips.items():
        data[place % len(data)] = byte
    loads_or_is_refused(tmp_path, notation, bytes(data))


@NOTATIONS
@damaging
@given(
    place=st.integers(0, LONGEST), inserted=st.text("{}[]&*!|>'\"%@`#:-?,;.\n\r\t\x00 0aé\\<=~", min_size=1, max_size=6)
)
@example(place=0, inserted="? [a]\n: ")
def test_a_file_with_something_put_in_loads_or_is_refused(
    tmp_path: Path, notation: str, place: int, inserted: str
) -> None:
    content = SETS[notation]
    place %= len(content) + 1
    loads_or_is_refused(tmp_path, notation, (content[:place] + inserted + content[place:]).encode())


@NOTATIONS
@damaging
@given(data=st.data())
def test_a_file_with_lines_taken_out_put_twice_or_exchanged_loads_or_is_refused(
    tmp_path: Path, notation: str, data: st.DataObject
) -> None:
    lines = SETS[notation].splitlines(keepends=True)
    picked = data.draw(st.lists(st.sampled_from(range(len(lines))), min_size=1, max_size=3))
    for number in picked:
        lines[number] = data.draw(st.sampled_from(["", lines[number] * 2, lines[-1 - number]]))
    loads_or_is_refused(tmp_path, notation, "".join(lines).encode())


@NOTATIONS
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "cp1252", "utf-8-sig", "utf-7"])
def test_a_file_in_another_encoding_loads_or_is_refused(tmp_path: Path, notation: str, encoding: str) -> None:
    loads_or_is_refused(tmp_path, notation, SETS[notation].encode(encoding))


@NOTATIONS
@damaging
@given(data=st.binary(max_size=200))
def test_any_bytes_load_or_are_refused(tmp_path: Path, notation: str, data: bytes) -> None:
    loads_or_is_refused(tmp_path, notation, data)


# a set that is changed here and there is judged alike in every notation


def as_jsonl(content: dict[str, Any]) -> str:
    rows = []
    for key, value in content.items():
        for part in value if isinstance(value, list) else [value]:
            rows.append({"entry": key, **(part if isinstance(part, dict) else {"value": part})})
    return "".join(json.dumps(row) + "\n" for row in rows)


def as_csv(content: dict[str, Any]) -> str:
    rows = []
    for line in as_jsonl(content).splitlines():
        row = json.loads(line)
        forms = {f"forms.{name}": word for name, word in row.pop("forms", {}).items()}
        rows.append({key: "|".join(v) if isinstance(v, list) else v for key, v in row.items()} | forms)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(dict.fromkeys(key for row in rows for key in row)))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


WRITERS: dict[str, Callable[[dict[str, Any]], str]] = {
    "yaml": lambda content: yaml.safe_dump(content, sort_keys=False),
    "jsonl": as_jsonl,
    "csv": as_csv,
}
VALUES = [
    "old",
    "young",
    "group",
    "rest",
    "positive",
    "Some words",
    "{group.one} is {lexeme}",
    "{other.one}",
    "met",
    "are",
]


@damaging
@given(data=st.data())
def test_a_changed_set_has_the_same_items_or_the_same_mistake_in_every_notation(
    tmp_path: Path, data: st.DataObject
) -> None:
    content = yaml.safe_load(YAML)
    for _ in range(data.draw(st.integers(0, 3))):
        entry = content
        if data.draw(st.booleans()):
            entry = data.draw(
                st.sampled_from([e for v in content.values() if isinstance(v, list) for e in v if isinstance(e, dict)])
            )
            if "forms" in entry and data.draw(st.booleans()):
                entry = entry["forms"]
        texts = [key for key, value in entry.items() if isinstance(value, str)]
        if texts:
            key = data.draw(st.sampled_from(texts))
            value = data.draw(st.sampled_from([None, *VALUES]))
            if value is None and len(entry) > 1:
                del entry[key]
            elif value is not None:
                entry[key] = value

    def outcome(notation: str) -> Any:
        try:
            return load(tmp_path, notation, WRITERS[notation](content)).items
        except ProbeFileError as error:
            return said(error)

    assert outcome("jsonl") == outcome("yaml")
    assert outcome("csv") == outcome("yaml")
