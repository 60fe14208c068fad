"""The probe file format: what a valid file becomes, and what each mistake is told."""

import hashlib
import re
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fairprint.probes.catalog import find_probe_set, own_names, own_set
from fairprint.probes.errors import ProbeFileError, UsageError
from fairprint.probes.files import json_schema, load_probe_file
from fairprint.probes.items import Group, Item, ProbeSet, Variant

VALID = """\
format: 1
name: tiny
version: 2
title: Tiny
summary: A set for tests.
measures: nothing
harm_type: none
language: en
licence: CC0-1.0
sources: [made up]
criticism: [too small]
cannot_show: [anything]
groups:
- {id: male, label: men, forms: {subject: he, possessive: his}}
- {id: female, label: women, forms: {subject: she, possessive: her}}
scored: group
covariate: percent women
covariate_group: female
templates:
- {id: late, text: "The {lexeme} said {group.subject} was late."}
- {id: keys, text: "{lexeme.plural} lose {group.possessive} keys – always."}
lexemes:
- {id: nurse, category: care, forms: {plural: Nurses}, stereotyped: female, covariate: 90, source: a table}
- {id: cab-driver, text: cab driver, category: traffic, forms: {plural: Cab drivers}, stereotyped: male, source: it}
"""
SCHEMA_HINT = "fairprint probes schema shows every key"


def load(folder: Path, content: str | bytes) -> ProbeSet:
    path = folder / "set.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load_probe_file(path)


def mistake(folder: Path, content: str | bytes) -> ProbeFileError:
    with pytest.raises(ProbeFileError) as caught:
        load(folder, content)
    error = caught.value
    assert error.file == str(folder / "set.yaml")
    assert error.message.startswith(f"{error.file}:{error.line}: " if error.line else f"{error.file}: ")
    assert error.exit_code == 2
    return error


def said(error: ProbeFileError) -> str:
    """What an error says after file and line."""
    return error.message.split(": ", 1)[1]


def changed(old: str, new: str) -> str:
    assert old in VALID
    return VALID.replace(old, new, 1)


def line_of(text: str) -> int:
    return VALID[: VALID.index(text)].count("\n") + 1


# a valid file


def test_a_valid_file_becomes_the_grid_of_its_templates_and_lexemes(tmp_path: Path) -> None:
    found = load(tmp_path, VALID)

    def variant(group: str, text: str, scored: str) -> Variant:
        start = text.index(f" {scored} ") + 1
        return Variant(group=group, text=text, span=(start, start + len(scored)))

    nurse: dict[str, Any] = {"lexeme": "nurse", "category": "care", "stereotyped": "female", "covariate": 90.0}
    driver: dict[str, Any] = {
        "lexeme": "cab-driver",
        "category": "traffic",
        "stereotyped": "male",
        "covariate": None,
    }
    assert found == ProbeSet(
        name="tiny",
        version=2,
        title="Tiny",
        summary="A set for tests.",
        measures="nothing",
        harm_type="none",
        language="en",
        licence="CC0-1.0",
        sources=("made up",),
        criticism=("too small",),
        cannot_show=("anything",),
        groups=(Group(id="male", label="men"), Group(id="female", label="women")),
        random_factors=("template", "lexeme"),
        covariate="percent women",
        covariate_group="female",
        items=(
            Item(
                id="late/nurse",
                template="late",
                **nurse,
                variants=(
                    variant("male", "The nurse said he was late.", "he"),
                    variant("female", "The nurse said she was late.", "she"),
                ),
            ),
            Item(
                id="late/cab-driver",
                template="late",
                **driver,
                variants=(
                    variant("male", "The cab driver said he was late.", "he"),
                    variant("female", "The cab driver said she was late.", "she"),
                ),
            ),
            Item(
                id="keys/nurse",
                template="keys",
                **nurse,
                variants=(
                    variant("male", "Nurses lose his keys – always.", "his"),
                    variant("female", "Nurses lose her keys – always.", "her"),
                ),
            ),
            Item(
                id="keys/cab-driver",
                template="keys",
                **driver,
                variants=(
                    variant("male", "Cab drivers lose his keys – always.", "his"),
                    variant("female", "Cab drivers lose her keys – always.", "her"),
                ),
            ),
        ),
        sha256=hashlib.sha256(VALID.encode()).hexdigest(),
        source="file",
    )
    assert (found.templates, found.lexemes, found.sentences) == (("late", "keys"), ("nurse", "cab-driver"), 8)


def test_the_scored_slot_can_be_the_lexeme(tmp_path: Path) -> None:
    variant = load(tmp_path, changed("scored: group", "scored: lexeme")).items[1].variants[1]

    assert variant.words == "cab driver"
    assert variant.frame == ("The ", " said she was late.")


@pytest.mark.parametrize(
    "encode", [str.encode, lambda s: s.encode("utf-8-sig"), lambda s: s.encode().replace(b"\n", b"\r\n")]
)
def test_a_byte_order_mark_and_windows_line_ends_change_no_item(tmp_path: Path, encode: Any) -> None:
    assert load(tmp_path, encode(VALID)).items == load(tmp_path, VALID).items


def test_a_set_without_directions_and_figures_is_valid(tmp_path: Path) -> None:
    content = re.sub(r", (stereotyped|covariate|source): [\w ]+(?=[,}])", "", VALID)
    found = load(tmp_path, content.replace("covariate: percent women\ncovariate_group: female\n", ""))

    assert {(i.stereotyped, i.covariate) for i in found.items} == {(None, None)}


def test_a_source_for_all_directions_stands_for_that_of_each(tmp_path: Path) -> None:
    content = VALID.replace(", source: a table", "").replace(", source: it", "")

    assert "cites no source" in said(mistake(tmp_path, content))
    assert load(tmp_path, content + "direction_source: a book\n").items[0].stereotyped == "female"


@pytest.mark.parametrize("old", ["Tiny", "nurse", "late.", "90", "\n"])
def test_the_hash_changes_with_the_bytes(tmp_path: Path, old: str) -> None:
    content = changed(old, old + ("\n" if old == "\n" else "0"))

    assert load(tmp_path, content).sha256 == hashlib.sha256(content.encode()).hexdigest()
    assert load(tmp_path, content).sha256 != load(tmp_path, VALID).sha256


# each mistake has its line, its value and a way out


@pytest.mark.parametrize(
    ("old", "new", "place", "message", "hint"),
    [
        (
            "licence: CC0",
            "licenze: x\nlicence: CC0",
            "licence",
            "unknown key 'licenze'. Did you mean 'licence'?",
            SCHEMA_HINT,
        ),
        ("licence: CC0", "license: CC0", "licence", "unknown key 'license'. Did you mean 'licence'?", SCHEMA_HINT),
        (
            "category: care,",
            "category: care, covariat: 1,",
            "- {id: nurse",
            "unknown key 'covariat'. Did you mean 'covariate'?",
            SCHEMA_HINT,
        ),
        ("title: Tiny\n", "", "format: 1", "the key 'title' is missing", SCHEMA_HINT),
        ("category: traffic, ", "", "- {id: cab-driver", "the key 'category' is missing", SCHEMA_HINT),
        ("version: 2", "version: two", "version", "'version' is 'two': input should be a valid integer", SCHEMA_HINT),
        (
            "version: 2",
            "version: 0",
            "version",
            "'version' is 0: input should be greater than or equal to 1",
            SCHEMA_HINT,
        ),
        ("version: 2", "version: true", "version", "'version' is True: input should be a valid integer", SCHEMA_HINT),
        ("format: 1", "format: 9", "format", "'format' is 9: input should be 1", SCHEMA_HINT),
        ("id: nurse", "id: no", "- {id: nurse", "'id' is False: input should be a valid string", SCHEMA_HINT),
        (
            "covariate: 90",
            "covariate: most",
            "- {id: nurse",
            "'covariate' is 'most': input should be a valid number",
            SCHEMA_HINT,
        ),
        (
            "scored: group",
            "scored: word",
            "scored",
            "'scored' is 'word': input should be 'group' or 'lexeme'",
            SCHEMA_HINT,
        ),
        ("title: Tiny", "title: Tiny\ntitle: Big", "summary", "'title' stands twice; first in line 4", None),
        ("id: female", "id: male", "- {id: female", "id 'male' stands twice in groups; every id must be unique", None),
        ("id: keys", "id: late", "- {id: keys", "id 'late' stands twice in templates; every id must be unique", None),
        (
            "id: cab-driver",
            "id: nurse",
            "- {id: cab",
            "id 'nurse' stands twice in lexemes; every id must be unique",
            None,
        ),
        (
            "{lexeme}",
            "{lexem}",
            "- {id: late",
            "unknown slot {lexem}; slots are {lexeme}, {lexeme.FORM} and {group.FORM}. Did you mean 'lexeme'?",
            None,
        ),
        ("{lexeme} said", "nurse said", "- {id: late", "template 'late' has no {lexeme} slot", None),
        ("{group.subject}", "he", "- {id: late", "template 'late' has no {group} slot", None),
        (
            "said {group.subject}",
            "said {group.subject} and {group.subject}",
            "- {id: late",
            "template 'late' has 2 scored slots; expected one {group}",
            None,
        ),
        (
            "{group.subject}",
            "{group.object}",
            "- {id: late",
            "{group.object}: group 'male' has no form 'object'; it has: subject, possessive",
            None,
        ),
        (
            "{lexeme.plural}",
            "{lexeme.many}",
            "- {id: keys",
            "{lexeme.many}: lexeme 'nurse' has no form 'many'; it has: text, plural",
            None,
        ),
        ("late.", "late}.", "- {id: late", "a brace has no partner", None),
        ("late.", "{late.", "- {id: late", "a brace has no partner", None),
        (
            "stereotyped: female",
            "stereotyped: femal",
            "- {id: nurse",
            "no group 'femal'; groups: male, female. Did you mean 'female'?",
            None,
        ),
        (
            ", source: it",
            "",
            "- {id: cab",
            "the direction of 'cab-driver' cites no source",
            "give 'source' here or 'direction_source' for all, or leave 'stereotyped' out: then signed effects are "
            "reported",
        ),
        (
            "stereotyped: female",
            "stereotyped: male",
            "lexemes:",
            "the stereotyped directions are unbalanced (male 2, female 0): a model with a constant preference would "
            "not score 50 %",
            "leave 'stereotyped' out of some lexemes",
        ),
        (
            "covariate_group: female\n",
            "",
            "covariate: percent",
            "'covariate' (what the figure is) and 'covariate_group' (whose it is) go together",
            None,
        ),
        (
            "covariate_group: female",
            "covariate_group: all",
            "covariate_group",
            "no group 'all'; groups: male, female",
            None,
        ),
    ],
)
def test_a_mistake_is_told_with_its_line_its_value_and_a_hint(
    tmp_path: Path, old: str, new: str, place: str, message: str, hint: str | None
) -> None:
    error = mistake(tmp_path, changed(old, new))

    assert (said(error), error.line, error.hint) == (message, line_of(place), hint)


def test_a_figure_that_no_key_describes_is_refused(tmp_path: Path) -> None:
    error = mistake(tmp_path, changed("covariate: percent women\ncovariate_group: female\n", ""))

    assert said(error) == "a covariate needs the key 'covariate' that says what it is"
    assert error.line == line_of("- {id: nurse") - 2


def test_every_form_name_that_a_file_may_declare_can_stand_in_a_slot(tmp_path: Path) -> None:
    content = VALID.replace("{lexeme.plural}", "{lexeme.plural-2}").replace("plural: ", "plural-2: ")

    assert load(tmp_path, content).items[2].variants[0].text == "Nurses lose his keys – always."


@pytest.mark.parametrize("number", [".nan", ".inf", "-.inf"])
def test_a_figure_that_is_no_number_is_refused(tmp_path: Path, number: str) -> None:
    error = mistake(tmp_path, changed("covariate: 90", f"covariate: {number}"))

    assert error.line == line_of("- {id: nurse")
    assert "covariate" in said(error)


def test_a_file_that_is_not_utf_8_names_the_byte_and_its_line(tmp_path: Path) -> None:
    error = mistake(tmp_path, VALID.replace("–", "é").encode("latin-1"))

    assert (said(error), error.hint) == ("byte 0xe9 is not UTF-8", "save the file as UTF-8")
    assert error.line == line_of("- {id: keys")


@pytest.mark.parametrize("content", ["", "\n\n", "# only a comment\n"])
def test_an_empty_file_is_called_empty(tmp_path: Path, content: str) -> None:
    error = mistake(tmp_path, content)

    assert (said(error), error.line) == ("the file is empty", 1)


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
    error = mistake(tmp_path, content)

    assert said(error).startswith("not valid YAML: ")
    assert error.line == line


@pytest.mark.parametrize(
    ("content", "kind"), [("- a\n- b\n", "list"), ("just text\n", "str"), ("42\n", "int"), ("---\n", "NoneType")]
)
def test_a_file_without_keys_is_told_what_was_expected(tmp_path: Path, content: str, kind: str) -> None:
    error = mistake(tmp_path, content)

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
    error = mistake(tmp_path, changed("title: Tiny", name))

    assert error.line == line_of("title")


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
    assert mistake(tmp_path, f"{VALID}{line}\n")


@pytest.mark.parametrize(
    "content", ["[" * 10_000, "[" * 200 + "]" * 200, "{a: " * 5_000, "- " * 5_000, "title: " + "[" * 1_000]
)
def test_deep_nesting_is_a_mistake_in_the_file_and_nothing_else(tmp_path: Path, content: str) -> None:
    assert mistake(tmp_path, content)


@pytest.mark.parametrize("key", ["unknown", "sources"])
def test_a_small_file_of_nested_aliases_takes_little_memory(tmp_path: Path, key: str) -> None:
    content = VALID if key == "unknown" else VALID.replace("sources: [made up]\n", "")
    bomb = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 14)]
    tracemalloc.start()
    try:
        mistake(tmp_path, "\n".join([content, *bomb, f"{key}: *a13", ""]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 5_000_000  # 14 levels of two are 32,768 places; each further line would double them


def test_a_missing_file_and_a_folder_are_mistakes_without_a_line(tmp_path: Path) -> None:
    for path, message in ((tmp_path / "nowhere.yaml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(ProbeFileError) as caught:
            load_probe_file(path)
        assert caught.value.message == f"{path}: {message}"
        assert caught.value.line is None


# damaged files: either they load, or they say what is wrong


def loads_or_is_refused(folder: Path, data: bytes) -> None:
    path = folder / "damaged.yaml"
    path.write_bytes(data)
    try:
        found = load_probe_file(path)
    except ProbeFileError as error:
        assert error.file == str(path)
        assert error.line is None or 1 <= error.line <= len(data) + 1
    else:
        assert found.sha256 == hashlib.sha256(data).hexdigest()


damaging = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@damaging
@given(st.integers(0, len(VALID.encode())))
def test_a_truncated_file_loads_or_is_refused(tmp_path: Path, length: int) -> None:
    loads_or_is_refused(tmp_path, VALID.encode()[:length])


@damaging
@given(st.dictionaries(st.integers(0, len(VALID.encode()) - 1), st.integers(0, 255), min_size=1, max_size=4))
def test_a_file_with_flipped_bytes_loads_or_is_refused(tmp_path: Path, flips: dict[int, int]) -> None:
    data = bytearray(VALID.encode())
    for place, byte in flips.items():
        data[place] = byte
    loads_or_is_refused(tmp_path, bytes(data))


@damaging
@given(st.integers(0, len(VALID)), st.text("{}[]&*!|>'\"%@`#:-?,\n\t 0aé\\<=~", min_size=1, max_size=6))
@example(0, "? [a]\n: ")
def test_a_file_with_something_put_in_loads_or_is_refused(tmp_path: Path, place: int, inserted: str) -> None:
    loads_or_is_refused(tmp_path, (VALID[:place] + inserted + VALID[place:]).encode())


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "cp1252", "utf-8-sig", "utf-7"])
def test_a_file_in_another_encoding_loads_or_is_refused(tmp_path: Path, encoding: str) -> None:
    loads_or_is_refused(tmp_path, VALID.encode(encoding))


@damaging
@given(st.binary(max_size=200))
def test_any_bytes_load_or_are_refused(tmp_path: Path, data: bytes) -> None:
    loads_or_is_refused(tmp_path, data)


# names, paths and formats


def test_a_path_is_read_as_a_file(tmp_path: Path) -> None:
    for name in ("set.yaml", "set.yml"):
        (tmp_path / name).write_text(VALID, encoding="utf-8")
        found = find_probe_set(str(tmp_path / name))
        assert (found.name, found.source) == ("tiny", "file")


def test_a_name_is_read_from_the_catalogue() -> None:
    assert find_probe_set("he-was-very") is own_set("he-was-very")


def test_an_unknown_name_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(UsageError) as caught:
        find_probe_set("gendered-ocupations")

    assert caught.value.message == "no probe set 'gendered-ocupations'. Did you mean 'gendered-occupations'?"
    assert caught.value.hint == "fairprint probes list shows the sets; a file is given by its path"


def test_a_probe_file_must_be_there_and_end_in_yaml(tmp_path: Path) -> None:
    text = tmp_path / "set.txt"
    text.write_text(VALID, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        find_probe_set(str(text))
    assert caught.value.message == f"{text}: probe files end in .yaml"
    assert caught.value.hint == "fairprint probes schema shows the format"

    with pytest.raises(UsageError, match="no such file"):
        find_probe_set(str(tmp_path / "nowhere.yaml"))


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(UsageError, match="unknown probe format 'crows'"):
        find_probe_set("crows:pairs.csv")


@pytest.mark.parametrize("given_name", ["", ".", "/", "..", "a\x00b", "a" * 5000, ":", "*"])
def test_a_senseless_name_is_a_usage_error(given_name: str) -> None:
    with pytest.raises(UsageError):
        find_probe_set(given_name)


def test_the_errors_of_the_catalogue_name_a_set_that_does_not_exist() -> None:
    with pytest.raises(UsageError):
        own_set("nothing")
    assert "nothing" not in own_names()


# the schema for editors


def entries(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {"ProbeFile": schema, **schema["$defs"]}


def test_the_schema_names_what_is_required_and_forbids_unknown_keys() -> None:
    schema = json_schema()

    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(entries(schema)) == {"ProbeFile", "GroupEntry", "TemplateEntry", "LexemeEntry"}
    for part in entries(schema).values():
        assert part["type"] == "object"
        assert part["additionalProperties"] is False
        assert set(part["required"]) <= set(part["properties"])
    required = "format name version title summary measures harm_type language licence sources criticism cannot_show"
    assert set(schema["required"]) == {*required.split(), "groups", "scored", "templates", "lexemes"}
    assert schema["$defs"]["LexemeEntry"]["required"] == ["id", "category"]
    assert schema["properties"]["groups"]["minItems"] == 2
    assert schema["properties"]["scored"]["enum"] == ["group", "lexeme"]


def test_every_reference_in_the_schema_has_a_target() -> None:
    schema = json_schema()

    for reference in re.findall(r"'\$ref': '([^']*)'", str(schema)):
        assert reference.removeprefix("#/$defs/") in schema["$defs"]


def test_every_key_that_the_schema_requires_is_required_by_the_reader(tmp_path: Path) -> None:
    for key in json_schema()["required"]:
        content = re.sub(rf"^{key}:.*\n(-.*\n)*", "", VALID, flags=re.MULTILINE)
        assert content != VALID
        assert f"'{key}' is missing" in said(mistake(tmp_path, content))
