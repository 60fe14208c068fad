"""What an author of a probe file is given: remarks on a valid set, and the schema for editors."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

import fairprint.probes
from fairprint.probes.catalog import own_names, own_set
from fairprint.probes.errors import ProbeFileError
from fairprint.probes.files import load_probe_file
from fairprint.probes.items import Comparison, Group, Item, ProbeSet, Variant
from fairprint.probes.review import remarks
from fairprint.probes.schema import json_schema

DATA = Path(fairprint.probes.__path__[0]) / "data"
FEW = "are few: intervals will be wide, and less certain than they say"


def item(
    template: str,
    lexeme: str,
    said: dict[str, str],
    *,
    directions: tuple[int, ...] = (0,),
    valence: int = 0,
) -> Item:
    return Item(
        id=f"{template}/{lexeme}",
        template=template,
        lexeme=lexeme,
        category="all",
        directions=directions,
        valence=valence,
        covariate=None,
        variants=tuple(Variant(group=group, text=text, span=(0, 1)) for group, text in said.items()),
    )


def probe_set(
    items: Sequence[Item],
    *,
    comparisons: Sequence[tuple[str, str]] = (("a", "b"),),
    random_factors: tuple[str, ...] = (),
    unused_forms: tuple[str, ...] = (),
    scored: str = "rest",
) -> ProbeSet:
    groups = dict.fromkeys(group for pair in comparisons for group in pair)
    return ProbeSet(
        name="by-hand",
        version=1,
        title="By hand",
        summary="",
        measures="",
        harm_type="",
        language="en",
        licence="",
        sources=(),
        criticism=(),
        cannot_show=(),
        groups=tuple(Group(id=group, label=group) for group in groups),
        comparisons=tuple(Comparison(first=first, second=second) for first, second in comparisons),
        scored=scored,
        random_factors=random_factors,
        covariate=None,
        covariate_group=None,
        items=tuple(items),
        sha256="",
        source="file",
        unused_forms=unused_forms,
    )


def grid(templates: int, lexemes: int, **options: Any) -> list[Item]:
    return [
        item(f"t{t}", f"x{x}", {"a": f"A {t} {x}", "b": f"B {t} {x}"}, **options)
        for t in range(templates)
        for x in range(lexemes)
    ]


# remarks


def test_a_set_without_directions_is_told_that_signed_effects_are_reported() -> None:
    assert remarks(probe_set(grid(2, 3))) == ("a against b: no direction is claimed, so signed effects are reported",)


def test_the_directions_of_each_comparison_are_counted() -> None:
    said = {"a": "A is", "b": "B is", "c": "C is"}
    items = [
        item("t", f"x{number}", {group: f"{text} {number}" for group, text in said.items()}, directions=directions)
        for number, directions in enumerate([(1, 0), (1, -1), (-1, 1), (0, 0), (-1, 0)])
    ]

    assert remarks(probe_set(items, comparisons=[("a", "c"), ("b", "c")])) == (
        "a against c: 2 items are stereotyped of a, 2 of c, 1 of neither",
        "b against c: 1 items are stereotyped of b, 1 of c, 3 of neither",
    )


def test_words_that_speak_well_and_ill_are_counted() -> None:
    items = [item("t", f"x{n}", {"a": f"A {n}", "b": f"B {n}"}, valence=sign) for n, sign in enumerate([1, 1, -1])]

    assert remarks(probe_set(items))[1:] == ("2 items speak well of people, 1 ill",)


def test_a_sentence_that_stands_twice_is_told_with_both_places() -> None:
    items = [
        item("t", "x", {"a": "One.", "b": "Two."}),
        item("t", "y", {"a": "Three.", "b": "One."}),
        item("u", "x", {"a": "Four.", "b": "Four."}),
    ]

    assert remarks(probe_set(items))[1:] == (
        "one sentence twice: t/x of a and t/y of b: 'One.'",
        "one sentence twice: u/x of a and u/x of b: 'Four.'",
    )


def test_words_that_are_compared_with_words_have_one_text_for_all_groups() -> None:
    items = [item("t", "x", {"a": "One.", "b": "One."}), item("t", "y", {"a": "Two.", "b": "Two."})]

    assert remarks(probe_set(items, scored="association"))[1:] == ()
    again = [*items, item("u", "x", {"a": "Two.", "b": "Two."})]
    assert remarks(probe_set(again, scored="association"))[1:] == ("one sentence twice: t/y of a and u/x of a: 'Two.'",)


def test_forms_that_no_template_uses_are_told() -> None:
    unused = ("the form 'plural' of lexeme 'x'", "the form 'object' of group 'a'")

    assert remarks(probe_set(grid(1, 1), unused_forms=unused))[1:] == (
        "no template uses the form 'plural' of lexeme 'x'",
        "no template uses the form 'object' of group 'a'",
    )


@pytest.mark.parametrize(
    ("templates", "lexemes", "random", "expected"),
    [
        (12, 12, ("template", "lexeme"), ()),
        (11, 12, ("template", "lexeme"), (f"11 templates {FEW}",)),
        (12, 11, ("template", "lexeme"), (f"11 lexemes {FEW}",)),
        (2, 3, ("template", "lexeme"), (f"2 templates {FEW}", f"3 lexemes {FEW}")),
        (2, 3, ("template",), (f"2 templates {FEW}",)),
        (2, 3, ("lexeme",), (f"3 lexemes {FEW}",)),
        (2, 3, (), ()),
    ],
)
def test_fewer_than_12_units_of_a_random_factor_are_told(
    templates: int, lexemes: int, random: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert remarks(probe_set(grid(templates, lexemes), random_factors=random))[1:] == expected


def test_templates_that_are_twins_count_once() -> None:
    items = [*grid(11, 1), item("t0", "x0", {"a": "A met B", "b": "B met A"})]

    assert remarks(probe_set(items, random_factors=("template",)))[1:] == (f"11 templates {FEW}",)


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ("An old man sat.", "A boy sat.", "sentences of a are 1.0 words longer than those of b on average"),
        ("He sat.", "The old man sat.", "sentences of b are 2.0 words longer than those of a on average"),
        ("He sat.", "She sat.", None),
    ],
)
def test_groups_whose_sentences_differ_by_a_word_or_more_are_told(first: str, second: str, told: str | None) -> None:
    found = remarks(probe_set([item("t", "x", {"a": first, "b": second})]))[1:]

    why = ": where the whole sentence is scored, length moves the gap"
    assert found == ((told + why,) if told else ())


def test_a_difference_of_length_is_a_mean_over_items_and_told_of_each_comparison() -> None:
    items = [
        item("t", "x", {"a": "one two three four", "b": "one", "c": "five"}, directions=(0, 0, 0)),
        item("t", "y", {"a": "one two", "b": "two", "c": "one two three"}, directions=(0, 0, 0)),
    ]
    found = remarks(probe_set(items, comparisons=[("a", "b"), ("b", "c"), ("a", "c")]))

    why = "on average: where the whole sentence is scored, length moves the gap"
    # a is longer than b by 3 and 1 words, b than c by 0 and -2, a than c by 3 and -1
    assert found[3:] == (
        f"sentences of a are 2.0 words longer than those of b {why}",
        f"sentences of c are 1.0 words longer than those of b {why}",
        f"sentences of a are 1.0 words longer than those of c {why}",
    )


@pytest.mark.parametrize("name", own_names())
def test_an_own_set_has_no_sentence_twice_and_no_form_that_is_not_used(name: str) -> None:
    for remark in remarks(own_set(name)):
        assert "one sentence twice" not in remark
        assert "no template uses" not in remark


# the schema for editors


def entries(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {"ProbeFile": schema, **schema["$defs"]}


def test_the_schema_names_what_is_required_and_forbids_unknown_keys() -> None:
    schema = json_schema()

    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(entries(schema)) == {
        "ProbeFile",
        "GroupEntry",
        "ComparisonEntry",
        "TemplateEntry",
        "LexemeEntry",
    }
    for part in entries(schema).values():
        assert part["type"] == "object"
        assert part["additionalProperties"] is False
        assert set(part["required"]) <= set(part["properties"])
    required = "format name version title summary measures harm_type language licence sources criticism cannot_show"
    assert set(schema["required"]) == {*required.split(), "groups", "scored", "templates", "lexemes"}
    assert schema["$defs"]["LexemeEntry"]["required"] == ["id", "category"]
    assert schema["$defs"]["ComparisonEntry"]["required"] == ["first", "second"]
    assert schema["properties"]["groups"]["minItems"] == 2
    assert schema["properties"]["scored"]["enum"] == ["group", "lexeme", "rest", "sentence", "target", "association"]


@pytest.mark.parametrize("key", ["stereotyped", "counter_stereotyped"])
def test_the_schema_takes_one_group_or_a_list_of_them(key: str) -> None:
    one, several, nothing = json_schema()["$defs"]["LexemeEntry"]["properties"][key]["anyOf"]

    assert one["type"] == "string"
    assert (several["type"], several["minItems"], several["items"]) == ("array", 1, one)
    assert nothing == {"type": "null"}


def test_every_reference_in_the_schema_has_a_target() -> None:
    schema = json_schema()

    for reference in re.findall(r"'\$ref': '([^']*)'", str(schema)):
        assert reference.removeprefix("#/$defs/") in schema["$defs"]


def test_every_key_that_the_schema_requires_is_required_by_the_reader(tmp_path: Path) -> None:
    for key in json_schema()["required"]:
        content = yaml.safe_load((DATA / "religion.yaml").read_text(encoding="utf-8"))
        del content[key]
        path = tmp_path / "set.yaml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        with pytest.raises(ProbeFileError, match=f"the key '{key}' is missing"):
            load_probe_file(path)
