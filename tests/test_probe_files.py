"""The probe file format, in YAML: what a valid file becomes, and what each mistake is told."""

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from fairprint.probes.errors import ProbeFileError
from fairprint.probes.files import load_probe_file
from fairprint.probes.items import Comparison, Group, Item, ProbeSet, Variant

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


def changed(old: str, new: str, content: str = VALID) -> str:
    assert old in content
    return content.replace(old, new, 1)


def line_of(text: str, content: str = VALID) -> int:
    return content[: content.index(text)].count("\n") + 1


# a valid file


def test_a_valid_file_becomes_the_grid_of_its_templates_and_lexemes(tmp_path: Path) -> None:
    found = load(tmp_path, VALID)

    def variant(group: str, text: str, scored: str) -> Variant:
        start = text.index(f" {scored} ") + 1
        return Variant(group=group, text=text, span=(start, start + len(scored)))

    nurse: dict[str, Any] = {
        "lexeme": "nurse",
        "category": "care",
        "directions": (-1,),
        "valence": 0,
        "covariate": 90.0,
    }
    driver: dict[str, Any] = {
        "lexeme": "cab-driver",
        "category": "traffic",
        "directions": (1,),
        "valence": 0,
        "covariate": None,
        "word": "cab driver",
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
        comparisons=(Comparison(first="male", second="female"),),
        scored="group",
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
        unused_forms=(),
    )
    assert (found.templates, found.lexemes) == (("late", "keys"), ("nurse", "cab-driver"))
    assert (found.sentences, found.pairs) == (8, 4)


def test_the_scored_slot_can_be_the_lexeme(tmp_path: Path) -> None:
    variant = load(tmp_path, changed("scored: group", "scored: lexeme")).items[1].variants[1]

    assert variant.words == "cab driver"
    assert variant.frame == ("The ", " said she was late.")


def test_a_set_without_directions_and_figures_is_valid(tmp_path: Path) -> None:
    content = re.sub(r", (stereotyped|covariate|source): [\w ]+(?=[,}])", "", VALID)
    found = load(tmp_path, content.replace("covariate: percent women\ncovariate_group: female\n", ""))

    assert {(i.directions, i.valence, i.covariate) for i in found.items} == {((0,), 0, None)}


def test_a_source_for_all_directions_stands_for_that_of_each(tmp_path: Path) -> None:
    content = VALID.replace(", source: a table", "").replace(", source: it", "")

    assert "cites no source" in said(mistake(tmp_path, content))
    assert load(tmp_path, content + "direction_source: a book\n").items[0].directions == (-1,)


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
            "'scored' is 'word': input should be 'group', 'lexeme', 'rest', 'sentence', 'target' or 'association'",
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
            "unknown slot {lexem}; slots are {lexeme}, {lexeme.FORM}, {group.FORM} and {other.FORM}. Did you mean "
            "'lexeme'?",
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
            "give 'source' here or 'direction_source' for all, or leave the direction out: then signed effects are "
            "reported",
        ),
        (
            "stereotyped: female",
            "stereotyped: male",
            "lexemes:",
            "the stereotyped directions are unbalanced (male 2, female 0): a model with a constant preference would "
            "not score 50 %",
            "leave the direction of some lexemes out, or add 'counter_stereotyped' ones",
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
            "no group 'all'; groups: male, female.",
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


def test_a_missing_file_and_a_folder_are_mistakes_without_a_line(tmp_path: Path) -> None:
    for path, message in ((tmp_path / "nowhere.yaml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(ProbeFileError) as caught:
            load_probe_file(path)
        assert caught.value.message == f"{path}: {message}"
        assert caught.value.line is None


# several groups, comparisons and directions


HEAD = VALID[: VALID.index("groups:")]
ELDERS = f"""\
{HEAD}groups:
- {{id: old, label: old people, forms: {{many: old people, one: An old man}}}}
- {{id: young, label: young people, forms: {{many: young people, one: A boy}}}}
- {{id: adult, label: adults, forms: {{many: adults, one: A man}}}}
comparisons:
- {{first: old, second: adult}}
- {{first: young, second: adult}}
scored: rest
direction_source: a book
templates:
- {{id: most, text: "Most {{group.many}} are {{lexeme}}, I hear."}}
- {{id: like, text: "{{group.one}} is like {{group.many}}: {{lexeme}} and {{lexeme.more}}."}}
lexemes:
- {{id: wise, category: mind, forms: {{more: wiser}}, valence: positive, stereotyped: old}}
- {{id: ill-at-ease, text: ill at ease, category: mood, forms: {{more: worse}}, valence: negative, stereotyped: young}}
- {{id: rash, category: mind, forms: {{more: rasher}}, valence: negative, counter_stereotyped: old}}
- {{id: calm, category: mood, forms: {{more: calmer}}, valence: positive, counter_stereotyped: [young]}}
"""


def test_a_set_of_several_groups_has_a_variant_a_group_and_a_direction_a_comparison(tmp_path: Path) -> None:
    found = load(tmp_path, ELDERS)

    assert found.comparisons == (Comparison(first="old", second="adult"), Comparison(first="young", second="adult"))
    assert (len(found.items), found.pairs, found.sentences) == (8, 16, 24)
    for item in found.items:
        assert [variant.group for variant in item.variants] == ["old", "young", "adult"]
    by_word = {item.lexeme: item for item in found.items}
    assert {word: item.directions for word, item in by_word.items()} == {
        "wise": (1, 0),
        "ill-at-ease": (0, 1),
        "rash": (-1, 0),
        "calm": (0, -1),
    }
    assert {word: item.valence for word, item in by_word.items()} == {
        "wise": 1,
        "ill-at-ease": -1,
        "rash": -1,
        "calm": 1,
    }


def test_the_rest_is_what_follows_the_last_group_word_and_is_the_same_for_every_group(tmp_path: Path) -> None:
    found = {item.id: item for item in load(tmp_path, ELDERS).items}

    assert [variant.frame for variant in found["most/ill-at-ease"].variants] == [
        ("Most old people", ""),
        ("Most young people", ""),
        ("Most adults", ""),
    ]
    assert {variant.words for variant in found["most/ill-at-ease"].variants} == {" are ill at ease, I hear."}
    like = found["like/ill-at-ease"].variants
    assert {variant.words for variant in like} == {": ill at ease and worse."}
    assert like[1].text == "A boy is like young people: ill at ease and worse."


@pytest.mark.parametrize(
    ("comparisons", "claim", "directions"),
    [
        ([("a", "b")], "stereotyped: a", (1,)),
        ([("a", "b")], "stereotyped: b", (-1,)),
        ([("a", "b")], "counter_stereotyped: a", (-1,)),
        ([("a", "b")], "counter_stereotyped: b", (1,)),
        ([("b", "a")], "stereotyped: a", (-1,)),
        ([("a", "b")], "stereotyped: [a, b]", (0,)),
        ([("a", "b")], "counter_stereotyped: [b, a]", (0,)),
        ([("a", "b")], "stereotyped: a, counter_stereotyped: b", (1,)),
        ([("a", "c"), ("b", "c")], "stereotyped: a", (1, 0)),
        ([("a", "c"), ("b", "c")], "stereotyped: [a, b]", (1, 1)),
        ([("a", "c"), ("b", "c")], "stereotyped: a, counter_stereotyped: b", (1, -1)),
        ([("a", "c"), ("b", "c")], "stereotyped: a, counter_stereotyped: c", (1, 0)),
        ([("a", "b"), ("c", "a"), ("c", "b")], "stereotyped: a", (1, 0, 0)),
        ([("a", "b"), ("c", "a"), ("c", "b")], "stereotyped: b, counter_stereotyped: a", (-1, 0, 0)),
        ([("a", "b"), ("a", "c"), ("b", "c")], "stereotyped: a", (1, 1, 0)),
    ],
)
def test_a_direction_speaks_of_the_first_group_of_each_comparison_of_which_something_is_claimed(
    tmp_path: Path, comparisons: list[tuple[str, str]], claim: str, directions: tuple[int, ...]
) -> None:
    # a second word says the opposite, so that the directions are balanced
    opposite = claim.replace("counter_stereotyped", "x").replace("stereotyped", "counter_stereotyped")
    opposite = opposite.replace("x:", "stereotyped:")
    groups = sorted({group for pair in comparisons for group in pair})
    content = "".join(
        [
            HEAD + "groups:\n",
            *(f"- {{id: {group}, label: {group}, forms: {{word: {group}}}}}\n" for group in groups),
            "comparisons:\n",
            *(f"- {{first: {first}, second: {second}}}\n" for first, second in comparisons),
            'scored: rest\ndirection_source: a book\ntemplates:\n- {id: t, text: "{group.word} {lexeme}"}\nlexemes:\n',
            f"- {{id: this, category: x, {claim}}}\n- {{id: that, category: x, {opposite}}}\n",
        ]
    )
    this, that = load(tmp_path, content).items

    assert this.directions == directions
    assert that.directions == tuple(-sign for sign in directions)


def test_a_source_of_a_word_stands_for_its_direction_in_every_comparison(tmp_path: Path) -> None:
    content = ELDERS.replace("direction_source: a book\n", "")
    with_sources = re.sub(r"valence: \w+", r"\g<0>, source: a paper", content)

    assert load(tmp_path, with_sources).items == load(tmp_path, ELDERS).items
    assert said(mistake(tmp_path, content)) == "the direction of 'wise' cites no source"


# two orders of two groups


PAIRS = f"""\
{HEAD}groups:
- {{id: old, label: old people, forms: {{noun: grandmother}}}}
- {{id: young, label: young people, forms: {{noun: girl}}}}
scored: rest
templates:
- {{id: seen, text: "I saw a {{group.noun}} who was {{lexeme}}."}}
- {{id: met, text: "The {{group.noun}} met the {{other.noun}}, and the {{group.noun}} was {{lexeme}}.", twin: met-2}}
- {{id: met-2, text: "The {{other.noun}} met the {{group.noun}}, and the {{group.noun}} was {{lexeme}}.", twin: met}}
lexemes:
- {{id: loud, category: manner}}
- {{id: late, category: manner}}
"""


def test_twins_name_two_groups_in_both_orders_and_are_one_template(tmp_path: Path) -> None:
    found = load(tmp_path, PAIRS)
    items = {item.id: item for item in found.items}

    assert found.templates == ("seen", "met")
    assert [item.id for item in found.items] == [
        f"{template}/{word}" for template in ("seen", "met", "met-2") for word in ("loud", "late")
    ]
    assert items["met-2/loud"].template == "met"
    assert [variant.text for variant in items["met/loud"].variants] == [
        "The grandmother met the girl, and the grandmother was loud.",
        "The girl met the grandmother, and the girl was loud.",
    ]
    assert [variant.text for variant in items["met-2/loud"].variants] == [
        "The girl met the grandmother, and the grandmother was loud.",
        "The grandmother met the girl, and the girl was loud.",
    ]
    assert {variant.words for item in found.items for variant in item.variants} == {" was loud.", " was late."} | {
        " who was loud.",
        " who was late.",
    }
    assert (found.sentences, found.pairs) == (12, 6)


def test_what_is_scored_stands_after_the_other_group_too(tmp_path: Path) -> None:
    content = changed("the {group.noun} was {lexeme}.", "the latter was {lexeme}.", PAIRS)

    item = load(tmp_path, content).items[2]
    assert {variant.words for variant in item.variants} == {", and the latter was loud."}


def test_forms_that_no_template_uses_are_named(tmp_path: Path) -> None:
    content = changed("possessive: his", "possessive: his, object: him", VALID)
    content = changed("{plural: Nurses}", "{plural: Nurses, article: a}", content)

    found = load(tmp_path, content)
    assert found.unused_forms == ("the form 'object' of group 'male'", "the form 'article' of lexeme 'nurse'")
    assert found.items == load(tmp_path, VALID).items
    assert load(tmp_path, PAIRS).unused_forms == load(tmp_path, ELDERS).unused_forms == ()


def test_a_form_counts_as_used_where_the_other_group_has_it_or_the_slot_has_no_name_for_it(tmp_path: Path) -> None:
    only_other = PAIRS.replace("noun: grandmother}", "noun: grandmother, guest: lady}")
    only_other = only_other.replace("noun: girl}", "noun: girl, guest: child}").replace("{other.noun}", "{other.guest}")
    unnamed = VALID.replace("{group.subject}", "{group}").replace("subject:", "text:")

    assert load(tmp_path, only_other).unused_forms == ()
    assert load(tmp_path, unnamed).unused_forms == ()
    assert load(tmp_path, unnamed).items == load(tmp_path, VALID).items


def case(
    old: str, new: str, place: str, message: str, hint: str | None = None
) -> tuple[str, str, str, str, str | None]:
    """What is changed, the line that is to blame, and what is said."""
    return old, new, place, message, hint


BALANCE_HINT = "leave the direction of some lexemes out, or add 'counter_stereotyped' ones"
TWIN_HINT = "give the same sentence with the groups exchanged, and 'twin: ID' to both"
ORDER_HINT = "one begins with {group}, the other with {other}"
NO_TWINS = "'met' and 'met-2' must be twins of each other, in opposite orders"


@pytest.mark.parametrize(
    ("old", "new", "place", "message", "hint"),
    [
        case(
            "comparisons:\n- {first: old, second: adult}\n- {first: young, second: adult}\n",
            "",
            "groups:",
            "more than two groups need the key 'comparisons'",
            "comparisons: [{first: a, second: b}, ...]; results speak of the first",
        ),
        case(
            "first: young",
            "first: youngs",
            "- {first: young",
            "no group 'youngs'; groups: old, young, adult. Did you mean 'young'?",
        ),
        case("second: adult", "second: all", "- {first: old", "no group 'all'; groups: old, young, adult."),
        case("second: adult", "second: old", "- {first: old", "'old' is compared with itself"),
        case("first: young", "first: old", "- {first: young", "'old' and 'adult' are compared twice"),
        case(
            "first: young, second: adult",
            "first: adult, second: old",
            "- {first: young",
            "'adult' and 'old' are compared twice",
        ),
        case("- {first: young, second: adult}\n", "", "comparisons:", "the group 'young' is compared with no other"),
        case("second: adult}", "second: adult, why: x}", "- {first: old", "unknown key 'why'.", SCHEMA_HINT),
        case("first: old, ", "", "- {first: old", "the key 'first' is missing", SCHEMA_HINT),
        case(
            "valence: negative, ",
            "",
            "- {id: ill",
            "'ill-at-ease' has no valence, others have; give it to all lexemes or to none",
        ),
        case(
            "valence: negative",
            "valence: positive",
            "lexemes:",
            "3 lexemes are positive and 1 negative; expected as many of each",
        ),
        case(
            "valence: negative",
            "valence: bad",
            "- {id: ill",
            "'valence' is 'bad': input should be 'positive' or 'negative'",
            SCHEMA_HINT,
        ),
        case(
            ", counter_stereotyped: old",
            "",
            "lexemes:",
            "the stereotyped directions are unbalanced (old 1, adult 0): a model with a constant preference would not "
            "score 50 %",
            BALANCE_HINT,
        ),
        case(
            "counter_stereotyped: [young]",
            "stereotyped: [young]",
            "lexemes:",
            "the stereotyped directions are unbalanced (young 2, adult 0): a model with a constant preference would "
            "not score 50 %",
            BALANCE_HINT,
        ),
        case(
            "[young]",
            "[young, yung]",
            "- {id: calm",
            "no group 'yung'; groups: old, young, adult. Did you mean 'young'?",
        ),
        case(
            "counter_stereotyped: old",
            "counter_stereotyped: old, stereotyped: [adult, old]",
            "- {id: rash",
            "'rash' is stereotyped and counter-stereotyped of 'old'",
        ),
        case(
            "stereotyped: old",
            "stereotyped: []",
            "- {id: wise",
            "'stereotyped' is []: list should have at least 1 item after validation, not 0",
            SCHEMA_HINT,
        ),
        case(
            "stereotyped: old",
            "stereotyped: 7",
            "- {id: wise",
            "'stereotyped' is 7: input should be a valid list",
            SCHEMA_HINT,
        ),
        case(
            "{group.one} is like {group.many}: {lexeme}",
            "{group.one} is {lexeme} like {group.many}",
            "- {id: like",
            "template 'like' has its lexeme before a group word; what is scored stands after it",
        ),
        case(
            "Most {group.many} are {lexeme}",
            "I hear {lexeme.more}: {group.many} are {lexeme}",
            "- {id: most",
            "template 'most' has its lexeme before a group word; what is scored stands after it",
        ),
        case("are {lexeme}", "are", "- {id: most", "template 'most' has no {lexeme} slot"),
        case("{group.many} are", "They are", "- {id: most", "template 'most' has no {group} slot"),
        case("{group.many} are", "{other.many} are", "- {id: most", "{other} needs a set of exactly two groups"),
        case(
            "forms: {many: old people, one: An old man}",
            "forms: {}",
            "- {id: most",
            "{group.many}: group 'old' has no form 'many'; it has: none",
        ),
        case(
            ", forms: {many: old people, one: An old man}",
            "",
            "- {id: old",
            "the key 'forms' is missing",
            SCHEMA_HINT,
        ),
        case(
            "many: old people",
            'many: ""',
            "- {id: old",
            "'many' is '': string should have at least 1 character",
            SCHEMA_HINT,
        ),
        case(
            "many: old people",
            'many: "  "',
            "- {id: old",
            r"'many' is '  ': string should match pattern '\S'",
            SCHEMA_HINT,
        ),
    ],
)
def test_a_mistake_in_a_set_of_several_groups_is_told_with_its_line(
    tmp_path: Path, old: str, new: str, place: str, message: str, hint: str | None
) -> None:
    error = mistake(tmp_path, changed(old, new, ELDERS))

    assert (said(error), error.line, error.hint) == (message, line_of(place, ELDERS), hint)


@pytest.mark.parametrize(
    ("old", "new", "place", "message", "hint"),
    [
        case(
            ", twin: met-2",
            "",
            "- {id: met,",
            "template 'met' names both groups in one order only; results would depend on that order",
            TWIN_HINT,
        ),
        case(
            'was {lexeme}."}',
            'was {lexeme}.", twin: met}',
            "- {id: seen",
            "template 'seen' has a twin but no {other} slot",
            TWIN_HINT,
        ),
        case(", twin: met}", "}", "- {id: met,", NO_TWINS, ORDER_HINT),
        case("twin: met}", "twin: met-2}", "- {id: met,", NO_TWINS, ORDER_HINT),
        case(
            "The {other.noun} met the {group.noun}",
            "The {group.noun} met the {other.noun}",
            "- {id: met,",
            NO_TWINS,
            ORDER_HINT,
        ),
        case(
            "twin: met-2",
            "twin: met",
            "- {id: met,",
            "'met' and 'met' must be twins of each other, in opposite orders",
            ORDER_HINT,
        ),
        case("twin: met-2", "twin: met-3", "- {id: met,", "no template 'met-3'. Did you mean 'met-2'?"),
        case(
            "met the {other.noun}",
            "met the {other.name}",
            "- {id: met,",
            "{other.name}: the other group has no form 'name'; it has: noun",
        ),
        case(
            "the {group.noun} was",
            "the {lexeme} {other.noun} was",
            "- {id: met,",
            "template 'met' has its lexeme before a group word; what is scored stands after it",
        ),
        case(
            "a {group.noun} who",
            "a {group.noun\\n} who",
            "- {id: seen",
            "unknown slot {group.noun\n}; slots are {lexeme}, {lexeme.FORM}, {group.FORM} and {other.FORM}. Did you "
            "mean 'group'?",
        ),
    ],
)
def test_a_mistake_in_the_orders_of_two_groups_is_told_with_its_line(
    tmp_path: Path, old: str, new: str, place: str, message: str, hint: str | None
) -> None:
    error = mistake(tmp_path, changed(old, new, PAIRS))

    assert (said(error), error.line, error.hint) == (message, line_of(place, PAIRS), hint)


def test_a_template_in_one_order_alone_is_refused(tmp_path: Path) -> None:
    content = re.sub(r"- \{id: met-2.*\n", "", PAIRS).replace(", twin: met-2", "")
    error = mistake(tmp_path, content)

    assert said(error).startswith("template 'met' names both groups in one order only")
    assert (error.line, error.hint) == (line_of("- {id: met", content), TWIN_HINT)


def test_a_claim_that_would_give_no_direction_is_not_dropped_in_silence(tmp_path: Path) -> None:
    content = re.sub("(stereotyped): (old|young)", r"\1: adult", ELDERS).replace("[young]", "adult")
    error = mistake(tmp_path, content)

    assert said(error) == "what is claimed of 'adult' gives no comparison a direction"
    assert error.line == line_of("lexemes:", content)


def test_the_published_figure_is_that_of_a_group_of_the_first_comparison(tmp_path: Path) -> None:
    content = changed("scored: rest", "covariate: years\ncovariate_group: young\nscored: rest", ELDERS)
    error = mistake(tmp_path, content)

    assert said(error) == "the group of the published figure must be in the first comparison"
    assert error.line == line_of("covariate_group", content)
    for group in ("old", "adult"):
        assert load(tmp_path, content.replace("group: young", f"group: {group}")).covariate_group == group
