"""A file that is one JSON document: typed values, and errors that name the path within it and the character."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairprint.probes.errors import ProbeFileError
from fairprint.probes.readers.json_files import Document, Node, path_name, read_json

Read = Callable[[str | bytes], Document]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write a file and read it."""

    def write(content: str | bytes) -> Document:
        path = tmp_path / "set.json"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_json(path)

    return write


def refused(tmp_path: Path, act: Callable[[], Any]) -> str:
    """Return what an error says after the name of the file."""
    with pytest.raises(ProbeFileError) as caught:
        act()
    file = str(tmp_path / "set.json")
    assert caught.value.file == file
    assert caught.value.message.startswith(f"{file}:")
    return caught.value.message.removeprefix(f"{file}:")


# reading a file


def test_a_document_is_its_values_and_the_hash_of_its_bytes(read: Read) -> None:
    content = '\ufeff{"a": [1, 2.5, "é", null, true, {}]}'
    document = read(content)

    assert document.value == {"a": [1, 2.5, "é", None, True, {}]}
    assert document.sha256 == hashlib.sha256(content.encode()).hexdigest()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "1: the file is empty"),
        (" \n ", "1: the file is empty"),
        (b'{"a": "\xff"}', "1: byte 0xff is not UTF-8"),
        ('{"a": 1,\n "b": tru}', "2: character 16: not valid JSON: Expecting value"),
        ('{"a": "b', "1: character 7: not valid JSON: Unterminated string starting at"),
        ('{"a": 1} x', "1: character 10: not valid JSON: Extra data"),
        ('{"a": "\x01"}', "1: character 8: not valid JSON: Invalid control character at"),
        ('{"a":\n {"b": 1, "b": 2}}', "2: character 17: the key a.b stands twice; first at character 9"),
        (
            '[{"a": [{"x y": 1, "x y": 1}]}]',
            '1: character 20: the key [0].a[0]["x y"] stands twice; first at character 10',
        ),
        ('{"a": {"b": NaN}}', "1: character 13: a.b: NaN is no number"),
        ("[0, -Infinity]", "1: character 5: [1]: -Infinity is no number"),
        ("[" + "7" * 5000 + "]", "1: character 2: [0]: a number of 5,000 digits"),
        ('{"a": ["b", "x\\ud800"]}', "1: a[1] (character 13): half a character (a lone surrogate)"),
        ('{"a\\udfff": 1}', '1: ["a\\udfff"] (character 2): half a character (a lone surrogate)'),
        ("[" * 100_000, "1: character 102: nested more than 100 levels deep"),
        ('{"a":' * 50_000 + "1" + "}" * 50_000, "1: character 502: nested more than 100 levels deep"),
    ],
)
def test_a_bad_document_is_refused_with_line_and_character(
    content: str | bytes, said: str, read: Read, tmp_path: Path
) -> None:
    assert refused(tmp_path, lambda: read(content)) == said


def test_a_pair_of_surrogates_is_one_character(read: Read) -> None:
    assert read('["\\ud83d\\ude00"]').value == ["😀"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProbeFileError, match=r"missing\.json: No such file"):
        read_json(tmp_path / "missing.json")


# values


def test_values_come_by_key_with_their_place(read: Read) -> None:
    root = read('{"version": "1.1", "data": {"entries": [{"n": 3, "x": 0.5, "label": "yes"}, {"n": 4}]}}').root
    first, second = root.entries("data", "entries")

    assert root.text("version") == "1.1"
    assert (first.integer("n"), first.number("n"), first.number("x")) == (3, 3.0, 0.5)
    assert first.choice("label", among=("yes", "no")) == "yes"
    assert second.find("x") is None
    assert [(key, node.where) for key, node in first.members()] == [
        ("n", "data.entries[0].n"),
        ("x", "data.entries[0].x"),
        ("label", "data.entries[0].label"),
    ]
    assert [entry.where for entry in (root, first, second)] == ["", "data.entries[0]", "data.entries[1]"]


SENTENCES = """{"data": {"intrasentence": [{"id": "a"},
 {"id": "b", "sentences": [{"text": "x"}, {"text": 7, "gold label": "", "n": true}]}]}}"""


@pytest.mark.parametrize(
    ("act", "said", "hint"),
    [
        (
            lambda root: root.entries("data", "intrasentence")[0].text("sentences"),
            "1: data.intrasentence[0] (character 29): the key 'sentences' is missing.",
            "keys here: id",
        ),
        (
            lambda root: root.at("data", "intrasentences"),
            "1: data (character 10): the key 'intrasentences' is missing. Did you mean 'intrasentence'?",
            "keys here: intrasentence",
        ),
        (
            lambda root: last(root).text("text"),
            "2: data.intrasentence[1].sentences[1].text (character 93): expected a text, found a number, 7",
            None,
        ),
        (
            lambda root: last(root).text("gold label"),
            '2: data.intrasentence[1].sentences[1]["gold label"] (character 110): the text is empty',
            None,
        ),
        (
            lambda root: last(root).integer("n"),
            "2: data.intrasentence[1].sentences[1].n (character 119): expected a whole number, found true or false",
            None,
        ),
        (
            lambda root: last(root).number("gold label"),
            '2: data.intrasentence[1].sentences[1]["gold label"] (character 110): expected a number, found a text, ""',
            None,
        ),
        (
            lambda root: root.entries("data", "intrasentence")[1].choice("id", among=("bb", "c")),
            "2: data.intrasentence[1].id (character 50): found 'b'. Did you mean 'bb'?",
            "expected: bb, c",
        ),
        (lambda root: root.entries("data"), "1: data (character 10): expected a list, found an object", None),
        (
            lambda root: root.entries("data", "intrasentence")[0].members("id"),
            '1: data.intrasentence[0].id (character 36): expected an object, found a text, "a"',
            None,
        ),
        (lambda root: root.text(), "1: character 1: expected a text, found an object", None),
    ],
)
def test_a_value_that_cannot_be_used_is_named_by_path_and_character(
    act: Callable[[Node], Any], said: str, hint: str | None, read: Read, tmp_path: Path
) -> None:
    root = read(SENTENCES).root
    with pytest.raises(ProbeFileError) as caught:
        act(root)
    said_line, _, rest = said.partition(":")

    assert caught.value.line == int(said_line)
    assert refused(tmp_path, lambda: act(root)).rstrip() == said.rstrip()
    assert caught.value.hint == hint
    place = int(rest.partition("character ")[2].partition(")")[0].partition(":")[0])
    assert SENTENCES[place - 1] in '{["7t'


def last(root: Node) -> Node:
    return root.entries("data", "intrasentence")[1].entries("sentences")[1]


def test_a_text_may_be_empty_where_that_is_allowed(read: Read) -> None:
    assert read('{"a": " "}').root.text("a", empty=True) == " "


@pytest.mark.parametrize("number", ["1e999", "1" + "0" * 400])
def test_a_number_that_is_too_large_is_refused(number: str, read: Read, tmp_path: Path) -> None:
    root = read(f"[{number}]").root

    assert refused(tmp_path, lambda: root.entries()[0].number()) == "1: [0] (character 2): the number is too large"


def test_keys_that_nobody_reads_are_counted(read: Read) -> None:
    document = read('{"a": 1, "labels": [], "b": [{"id": 1, "labels": 2}, {"id": 1, "note": 3}]}')
    assert document.remarks == ()
    document.root.only("a", "b")
    for entry in document.root.entries("b"):
        entry.only("id")

    assert document.remarks == ("keys that were not read: labels (2), note (1)",)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=24,
)


@given(VALUES, st.sampled_from([None, 1]), st.booleans())
def test_every_value_is_found_where_it_begins(value: Any, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    document = Document(file="x.json", text=text, sha256="", value=json.loads(text))
    waiting = [document.root]
    while waiting:
        node = waiting.pop()
        found, _ = json.JSONDecoder().raw_decode(text, node.offset - 1)
        assert found == node.value
        if isinstance(node.value, list):
            waiting += node.entries()
        elif isinstance(node.value, dict):
            waiting += [member for _, member in node.members()]


@settings(max_examples=300)
@given(st.text(alphabet='{}[]":,\\u0dn1aNe-\n ', max_size=40) | st.binary(max_size=40))
def test_whatever_the_bytes_are_the_error_names_the_file(
    tmp_path_factory: pytest.TempPathFactory, content: str | bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        document = read_json(path)
    except ProbeFileError as error:
        assert error.file == str(path)
        assert error.line is not None and error.line >= 1
    else:
        assert document.value == json.loads(path.read_text(encoding="utf-8-sig"))


def test_a_path_is_written_as_programs_write_it() -> None:
    assert path_name(("data", 0, "gold_label", "")) == 'data[0].gold_label[""]'
    assert path_name((3,)) == "[3]"
    assert path_name(()) == ""
