"""Whatever others wrote into a card stays as it is, byte for byte, when our parts are put in, renewed and taken out."""

import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub.utils.endpoint_helpers import _is_emission_within_threshold
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sample_cards import BIAS, CARDS, EMISSIONS, FEWER, FULL, NEWER, OWN_EMISSIONS, PARTS, TRAINER, TWO_MODELS

from fairprint.probes.errors import CardError
from fairprint.reports.card_file import blocks_of, diff, read_card, removed, spliced, state, write_card
from fairprint.reports.card_headings import template_text
from fairprint.reports.card_parts import CardParts, Emissions, Metric, Result, Section
from fairprint.reports.card_values import grams, scalar

EOL = "(?:\r\n|\r|\n)"
YAML_PART = re.compile(rf"[ ]*# fairprint:begin (\S+) [^\r\n]*{EOL}(.*?)[ ]*# fairprint:end \1{EOL}", re.DOTALL)
BODY_PART = re.compile(
    r"<!-- fairprint:begin (?P<key>\S+) schema=1 sha256=[0-9a-f]{64} (?P<said>[^\r\n]*?) ?-->(?P<eol>\r\n|\r|\n)"
    r".*?<!-- fairprint:end (?P=key) -->", re.DOTALL,
)  # fmt: skip


def without_our_parts(card: str) -> str:
    """Take out our parts by nothing but a search for their marks, and for what these say of blank lines."""
    for part in reversed(list(BODY_PART.finditer(card))):
        left, right = card[: part.start()], card[part.end() :]
        instead = re.search(r'instead="(.*)"', part["said"])
        if instead is None:
            before, after = (int(re.search(rf"{name}=(\d)", part["said"])[1]) for name in ("before", "after"))
            assert left.endswith(part["eol"] * before) and right.startswith(part["eol"] * after)
            left, right = left[: len(left) - before * len(part["eol"])], right[after * len(part["eol"]) :]
        card = left + (instead[1] if instead is not None else "") + right
    made = "made=front-matter" in card

    def was(part: re.Match[str]) -> str:
        return "".join(re.findall(rf"# fairprint:was ([^\r\n]*{EOL})", part[2]))

    card = YAML_PART.sub(was, card)
    return re.sub(r"\A(\ufeff?)---\r?\n---\r?\n", r"\1", card) if made else card


@pytest.fixture(params=sorted(CARDS), ids=str)
def card(request: pytest.FixtureRequest) -> str:
    return CARDS[request.param]


def eval_results(parts: CardParts) -> list[EvalResult]:
    return [
        EvalResult(
            task_type=result.task_type, task_name=result.task_name, dataset_type=result.dataset_type,
            dataset_name=result.dataset_name, dataset_config=result.dataset_config, dataset_split=result.dataset_split,
            dataset_revision=result.dataset_revision, metric_type=metric.type, metric_value=metric.value,
            metric_name=metric.name, metric_args=dict(metric.args) or None, source_name=result.source_name,
            source_url=result.source_url,
        )
        for result in parts.results for metric in result.metrics
    ]  # fmt: skip


def load(text: str, tmp_path: Path) -> ModelCard:
    path = tmp_path / "README.md"
    write_card(path, text)
    return ModelCard.load(path)


def filtered(text: str, least: float, most: float) -> bool:
    model = SimpleNamespace(card_data=ModelCard(text.removeprefix("\ufeff")).data)
    return _is_emission_within_threshold(model, least, most)


# what others wrote


def test_there_are_ten_cards_and_more_of_all_kinds() -> None:
    assert len(CARDS) >= 10


@pytest.mark.parametrize("parts", [PARTS, NEWER, FEWER], ids=["parts", "newer", "fewer"])
def test_what_is_not_ours_stays_byte_for_byte(card: str, parts: CardParts) -> None:
    written = spliced(card, parts)

    assert written != card
    assert without_our_parts(written) == card
    assert removed(written) == card


def test_parts_put_in_twice_are_the_same_bytes(card: str) -> None:
    written = spliced(card, PARTS)

    assert spliced(written, PARTS) == written
    assert state(card, PARTS) == "absent"
    assert state(written, PARTS) == "current"


def test_newer_parts_change_only_ours(card: str) -> None:
    written = spliced(card, PARTS)
    newer = spliced(written, NEWER)

    assert state(written, NEWER) == "stale"
    assert newer == spliced(card, NEWER)
    assert without_our_parts(newer) == card
    assert spliced(newer, PARTS) == written


def test_our_lines_end_as_those_of_the_card() -> None:
    written = spliced(CARDS["Windows ends of lines"], PARTS)

    assert re.search(r"[^\r]\n", written) is None
    assert "\n" not in spliced(FULL, PARTS).replace("\n", "\r\n").replace("\r\n", "")


def test_another_checkout_with_other_ends_of_lines_is_no_edit_by_hand() -> None:
    written = spliced(FULL, PARTS).replace("\n", "\r\n")

    assert state(written, PARTS) == "current"
    assert removed(written) == FULL.replace("\n", "\r\n")


# what the Hub's client reads


def test_the_client_reads_our_results_with_each_subset_apart(card: str, tmp_path: Path) -> None:
    data = load(spliced(card, PARTS), tmp_path).data
    ours, before = eval_results(PARTS), load(card, tmp_path).data

    assert [result for result in data.eval_results if result in ours] == ours
    assert [one for one in data.eval_results if one not in ours] == (before.eval_results or [])
    assert {one.dataset_config for one in ours} == {"crows-pairs/gender", "crows-pairs/no"}
    assert len({one.unique_identifier for one in ours}) == len(PARTS.results)
    for key, value in before.to_dict().items():
        assert key == "model-index" or data.get(key) == value


def test_the_client_reads_the_right_grams(card: str) -> None:
    written = spliced(card, PARTS)

    assert filtered(written, 12.3, 12.4)
    assert not filtered(written, 0, 12.3)
    assert not filtered(written, 12.4, 1e9)


@settings(max_examples=25)
@given(emissions_g=st.floats(min_value=1e-9, max_value=1e15))
def test_grams_are_read_as_they_are_or_not_written(emissions_g: float) -> None:
    written = spliced("---\nlicense: mit\n---\n", replace(PARTS, emissions=replace(EMISSIONS, emissions_g=emissions_g)))
    if emissions_g < 0.000099:
        assert not filtered(written, 0, 1e16)
        assert "are less than 0.0001 g" in written
    elif emissions_g > 0.000101:
        assert filtered(written, emissions_g * 0.99999, emissions_g * 1.00001)


def test_too_little_to_be_said_is_left_out_with_the_reason() -> None:
    little = replace(PARTS, emissions=replace(EMISSIONS, emissions_g=0.00005))
    written = spliced("---\nlicense: mit\n---\n", little)

    assert "co2_eq_emissions" not in yaml.safe_load(written.split("---")[1])
    assert "# no co2_eq_emissions: 0.00005 g are less than 0.0001 g" in written
    assert grams(0.0001) == "0.0001"


def test_without_emissions_the_reason_is_a_comment() -> None:
    assert "# no co2_eq_emissions: only audits were metered\n" in spliced(FULL, FEWER)
    assert "co2_eq_emissions:" not in spliced(OWN_EMISSIONS, FEWER).replace("co2_eq_emissions:   # measured", "")


def test_a_model_of_another_name_keeps_the_name_that_the_client_reads() -> None:
    data = ModelCard(spliced(CARDS["another model"], PARTS)).data

    assert data.model_name == "other-model"
    assert (
        yaml.safe_load(spliced(CARDS["another model"], PARTS).split("---\n")[1])["model-index"][0]["name"]
        == "tiny-model"
    )


def test_results_go_to_the_model_of_the_same_name_without_its_owner() -> None:
    index = yaml.safe_load(spliced(TWO_MODELS, PARTS).split("---\n")[1])["model-index"]

    assert [(model["name"], len(model["results"])) for model in index] == [("other-model", 1), ("org/Tiny-Model", 3)]


# where sections go


def headings(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("#") and not line.startswith("# fairprint")]


def test_a_lone_placeholder_gives_way_and_lines_of_the_template_stay() -> None:
    written = spliced(FULL, PARTS)
    bias = written.partition("## Bias")[2].partition("### Recommendations")[0]

    assert not re.search(r"(?m)^\[More Information Needed\]", bias)
    assert "The model prefers" in bias
    assert "- **Hardware Type:** [More Information Needed]\n" in written
    assert written.index("Hours used") < written.index("**Energy:**") < written.index("## Citation")
    assert written.index("Our own metric.") < written.index("Shares.") < written.index("### Results")


def test_each_text_of_the_evaluation_goes_below_the_heading_that_the_card_has() -> None:
    written = spliced(FULL, PARTS)

    for heading in ("#### Testing Data", "#### Factors", "#### Metrics", "### Results", "#### Summary"):
        assert written.count(f"{heading}\n") == 1
    assert written.index("#### Factors") < written.index("Gender.") < written.index("#### Metrics")


def test_missing_headings_come_in_the_order_of_the_template() -> None:
    made = [line for line in headings(spliced(TRAINER, PARTS)) if line in headings(template_text())]
    between = spliced(
        "---\nlicense: mit\n---\n# X\n\n## Uses\n\nu\n\n## Training Details\n\nt\n\n## Citation\n\nc\n", PARTS
    )
    ours = ("## Uses", "## Bias", "### Rec", "## Training", "## Eval", "## Environ", "## Cit")

    assert [line for line in made if line.count("#") == 2] == [
        "## Bias, Risks, and Limitations", "## Evaluation", "## Environmental Impact",
    ]  # fmt: skip
    assert [between.index(f"\n{heading}") for heading in ours] == sorted(
        between.index(f"\n{heading}") for heading in ours
    )


def test_headings_of_ours_have_the_level_that_the_card_uses() -> None:
    written = spliced(CARDS["all levels"], PARTS)

    assert {"# Evaluation", "## Results", "### Factors", "## Not measured"} <= set(headings(written))


def test_headings_in_code_comments_quotations_and_lists_are_none() -> None:
    written = spliced(CARDS["headings in code, comments and quotations"], PARTS)
    made = [block.key for block in blocks_of(written) if block.attributes.get("heading") == "made"]

    assert made == ["bias", "recommendations", "evaluation", "environment"]


def test_only_part_of_the_templates_headings_keeps_the_order_of_the_text() -> None:
    written = spliced("# X\n\n## Evaluation\n\n#### Testing Data\n\nours\n\n## Citation\n", PARTS)
    order = ["Asked by", "#### Testing Data", "ours", "CrowS-Pairs.", "#### Factors", "Shares", "### Results", "## Cit"]

    assert [written.index(f"\n{one}") for one in order] == sorted(written.index(f"\n{one}") for one in order)


def test_words_that_people_add_below_our_heading_keep_it() -> None:
    written = spliced("# Model\n\nWords\n", PARTS)
    added = written.replace(
        "<!-- fairprint:end environment -->\n", "<!-- fairprint:end environment -->\n\nMy own words.\n"
    )
    without = removed(added)

    assert without.startswith("# Model\n\nWords\n") and without.endswith("## Environmental Impact\n\n\nMy own words.\n")
    again = spliced(added, PARTS)
    assert again.count("## Environmental Impact") == 1 and "My own words.\n" in again
    assert spliced(again, PARTS) == again


def test_words_that_people_add_beside_our_part_stay_where_they_are() -> None:
    written = spliced(FULL, PARTS)
    end = "<!-- fairprint:end recommendations -->\n"
    added = written.replace(end, f"{end}\nAnd a word of mine.\n")

    assert state(added, PARTS) == "current"
    assert spliced(added, NEWER).count(f"{end}\nAnd a word of mine.\n") == 1


def test_a_key_that_people_add_keeps_the_front_matter_that_we_made() -> None:
    added = spliced("# Model\n", PARTS).replace("---\n", "---\nlicense: mit\n", 1)

    assert state(added, PARTS) == "current"
    assert removed(added) == "---\nlicense: mit\n---\n# Model\n"


def test_an_empty_card_begins_as_the_hubs_template(tmp_path: Path) -> None:
    written = spliced(read_card(tmp_path / "none.md"), PARTS)
    plain = set(headings(str(ModelCard.from_template(ModelCardData(), model_id="tiny-model"))))

    assert "# Model Card for tiny-model" in headings(written)
    assert plain <= set(headings(written))
    assert written.count("## Evaluation\n") == 1
    assert spliced(written, PARTS) == written
    assert load(written, tmp_path).data.eval_results == eval_results(PARTS)


def test_sections_come_back_after_the_card_was_written_anew() -> None:
    assert spliced(TRAINER, PARTS) == spliced(removed(spliced(TRAINER, PARTS)), PARTS)
    assert "results: []" in removed(spliced(TRAINER, PARTS))


# what cannot be edited safely


def refused(text: str, **more: bool) -> CardError:
    with pytest.raises(CardError) as caught:
        spliced(text, PARTS, path="cards/README.md", **more)
    assert caught.value.hint
    return caught.value


def front(lines: str) -> str:
    return f"---\n{lines}\n---\n# Model\n"


@pytest.mark.parametrize(
    ("lines", "line", "said"),
    [
        ("license: mit\nlicense: mit", 3, "'license' stands twice; first in line 2"),
        ("a:\n  b: 1\n  b: 2", 4, "'b' stands twice"),
        ("tags: [a", 3, "not valid YAML"),
        ("a: b\n\tc: d", 3, "not valid YAML"),
        ("- a\n- b", 2, "no mapping"),
        ("{license: mit}", 2, "in braces"),
        ("model-index: [{name: tiny-model, results: []}]", 2, "in brackets"),
        ("model-index:\n- {name: tiny-model, results: []}", 3, "in braces"),
        ("model-index:\n- name: tiny-model\n  results: [{task: {type: x}}]", 4, "in brackets"),
        ("model-index:\n- results: []\n  name: tiny-model", 3, "behind a dash"),
        ("model-index:\n- name: tiny-model", 3, "has no results"),
        ("model-index:\n- name: tiny-model\n  results:\n  - {task: {type: x}}", 5, "in braces"),
        ("a: &x\n- b\nmodel-index: *x", 4, "refers to another list"),
        ("model-index: 3", 2, "is no list"),
        ("model-index:\n- name: tiny-model\n  results: []\n- name: tiny-model\n  results: []", 5, "stands twice"),
        ("co2_eq_emissions: 3", 2, "fairprint did not write it"),
        ("a: \x00", 2, "cannot stand in YAML"),
        ("# fairprint:begin results schema=1 sha256=0", 2, "ends nowhere"),
        ("# fairprint:end results", 2, "begins nowhere"),
        ("# fairprint:begin a schema=1\n# fairprint:begin b schema=1", 3, "inside 'a'"),
        ("# fairprint:begin a schema=1\n# fairprint:end b", 3, "'a' (line 2) is open"),
        ("# fairprint:begin a schema=9\n# fairprint:end a", 2, "schema=9"),
    ],
)
def test_what_cannot_be_spliced_safely_stops_with_its_line(lines: str, line: int, said: str) -> None:
    error = refused(front(lines))

    assert said in error.message
    assert error.message.startswith(f"cards/README.md:{line}: ")
    assert error.exit_code == 2


def test_a_front_matter_that_nothing_closes_stops() -> None:
    assert "nothing closes it" in refused("---\nlicense: mit\n\n# Model\n").message


def test_results_that_lost_their_marks_are_not_written_a_second_time() -> None:
    card = ModelCard(spliced(FULL, PARTS))  # saving drops every comment of the front matter
    error = refused(str(card))

    assert "not marked as ours" in error.message or "fairprint did not write it" in error.message
    without = re.sub(r"co2_eq_emissions:\n(  .*\n)+", "", str(card))
    assert "not marked as ours" in refused(without).message


@pytest.mark.parametrize("card", [FULL, TRAINER], ids=["full", "trainer"])
@pytest.mark.parametrize(("ours", "theirs"), [("emissions: 12.3457", "emissions: 1.0"), ("12 points", "no points")])
def test_an_edit_by_hand_is_seen_and_overridden_only_by_force(card: str, ours: str, theirs: str) -> None:
    edited = spliced(card, PARTS).replace(ours, theirs)
    line = 1 + edited[: edited.index(theirs)].count("\n")
    error = refused(edited)

    assert state(edited, PARTS) == "hand-edited"
    assert "edited by hand" in error.message and error.line is not None and error.line < line
    with pytest.raises(CardError, match="edited by hand"):
        removed(edited)
    assert removed(edited, force=True) == card
    assert spliced(edited, PARTS, force=True) == spliced(card, PARTS)


@pytest.mark.parametrize("key", ["bias", "evaluation"])
def test_a_part_without_its_end_or_standing_twice_stops(key: str) -> None:
    written = spliced(FULL, PARTS)
    end = f"<!-- fairprint:end {key} -->\n"
    block = written[written.index(f"<!-- fairprint:begin {key}") : written.index(end) + len(end)]

    assert f"inside '{key}'" in refused(written.replace(end, "")).message
    assert "stands twice" in refused(written + "\n" + block).message


def test_emissions_of_others_are_replaced_only_by_force_and_come_back() -> None:
    assert "--force" in refused(OWN_EMISSIONS).hint
    written = spliced(OWN_EMISSIONS, PARTS, force=True)

    assert filtered(written, 12.3, 12.4)
    assert "# fairprint:was   emissions: 24_700_000\n" in written
    assert removed(written) == OWN_EMISSIONS
    assert without_our_parts(written) == OWN_EMISSIONS
    assert spliced(written, PARTS) == written, "once replaced, they need no force again"
    assert state(written, PARTS) == "current"


def test_a_place_in_code_that_nothing_closes_is_none() -> None:
    error = refused("# Model\n\n```python\nprint(1)\n")

    assert "nothing closes" in error.message
    assert "nothing closes" in refused("# Model\n\n<!-- hidden\n").message


@pytest.mark.parametrize("markdown", ["```\nopen", "<!-- open", "a\n\n<!-- fairprint:end bias"])
def test_a_text_that_would_swallow_the_card_is_not_written(markdown: str) -> None:
    parts = replace(PARTS, sections=(replace(BIAS, markdown=markdown),))
    if "fairprint" in markdown:
        assert removed(spliced(FULL, parts)) == FULL
    else:
        with pytest.raises(ValueError, match="open"):
            spliced(FULL, parts)


def test_a_text_with_marks_of_ours_is_told_from_them() -> None:
    text = "x\n\n<!-- fairprint:end bias -->\n\n<!-- fairprint:begin bias -->\n\ny"
    written = spliced(FULL, replace(PARTS, sections=(replace(BIAS, markdown=text),)))

    assert removed(written) == FULL
    assert without_our_parts(written) == FULL


# values


@pytest.mark.parametrize("nothing", [float("nan"), float("inf")])
def test_what_is_no_number_is_no_metric(nothing: float) -> None:
    with pytest.raises(ValueError, match="leave out"):
        Metric(type="x", value=nothing, name="x", args={})
    with pytest.raises(ValueError, match="leave out"):
        Metric(type="x", value=0.5, name="x", args={"low": nothing})


def test_parts_that_contradict_themselves_are_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        replace(EMISSIONS, emissions_g=0.0)
    with pytest.raises(ValueError, match="a URL"):
        replace(PARTS.results[0], source_url=None)
    with pytest.raises(ValueError, match="no metrics"):
        replace(PARTS.results[0], metrics=())
    with pytest.raises(ValueError, match="stands twice"):
        replace(PARTS, sections=(BIAS, BIAS))
    with pytest.raises(ValueError, match="a reason"):
        replace(PARTS, emissions=None)


@given(value=st.one_of(st.text(), st.floats(allow_nan=False, allow_infinity=False), st.integers(), st.booleans()))
def test_values_read_back_as_they_were(value: str | float) -> None:
    back = yaml.safe_load(f"a: {scalar(value)}\nb: 1\n")

    assert back == {"a": value.encode("utf-8", "replace").decode() if isinstance(value, str) else value, "b": 1} or (
        isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value)
    )
    assert type(back["a"]) is type(value)


@pytest.mark.parametrize("text", ["no", "Yes", "y", "1e3", "0x1f", "2024-01-01", "12:30", "~", "", " a", "a ", "a: b",
                                  "a #b", "- a", "@a", "`a", "%a", "!a", "&a", "*a", "{a", "[a", "'a", '"a', "null",
                                  "a\nb", "…", "🙂", "1_000", ".5", "-", "---", "NaN", "\x85", "\u2028"])  # fmt: skip
def test_texts_that_yaml_takes_for_something_else_are_quoted(text: str) -> None:
    assert yaml.safe_load(scalar(text)) == text
    assert scalar(text).startswith('"')


def test_numpy_numbers_are_written_as_numbers() -> None:
    numpy = pytest.importorskip("numpy")

    assert [scalar(numpy.float32(0.5)), scalar(numpy.float64(1e-7)), scalar(numpy.int64(3))] == [
        "0.5",
        "0.0000001",
        "3",
    ]
    with pytest.raises(TypeError, match="list"):
        scalar([1])


# generated cards

WORDS = st.text(st.sampled_from("ab #-*>|`[]<!é🙂\t.:_=~"), max_size=12)
KNOWN = ["Bias, Risks, and Limitations", "recommendations", "Evaluation", "Testing Data, Factors & Metrics",
         "Testing data", "Factors", "Metrics", "Results", "Summary", "ENVIRONMENTAL IMPACT", "Uses", "Citation",
         "Training Details", "Other"]  # fmt: skip
HEADING = st.builds(lambda level, title: f"{'#' * level} {title}", st.integers(1, 6), st.sampled_from(KNOWN))
UNDERLINED = st.builds(lambda title, line: f"{title}\n{line}", st.sampled_from(KNOWN), st.sampled_from(["===", "---"]))
LINE = st.one_of(
    WORDS, HEADING, HEADING, UNDERLINED, st.just(""), st.just("[More Information Needed]"), st.just("- item"),
    st.just("```\n# Evaluation\n```"), st.just("<!-- a comment -->"), st.just("| a | b |\n|---|---|\n| 1 | 2 |"),
    st.just("<div>\nx\n</div>"), st.just("    code"), st.just("> ## Results"),
)  # fmt: skip
FRONTS = st.sampled_from(["", "---\n---\n", "---\nlicense: mit\n---\n", "\ufeff---\n# c\ntags:\n- a\n---\n",
                          TRAINER.partition("\n\n")[0] + "\n", FULL.partition("\n\n")[0] + "\n"])  # fmt: skip


@st.composite
def cards(draw: st.DrawFn) -> str:
    text = "\n".join(draw(st.lists(LINE, max_size=14)))
    text += draw(st.sampled_from(["", "\n", "\n\n\n"]))
    front = draw(FRONTS)
    eol = draw(st.sampled_from(["\n", "\r\n", "\r", "mixed"]))
    if eol == "mixed":
        ends = draw(st.lists(st.sampled_from(["\n", "\r\n", "\r"]), min_size=1, max_size=5))
        lines = text.split("\n")
        text = lines[0] + "".join(ends[number % len(ends)] + line for number, line in enumerate(lines[1:]))
        return front + text
    return front.replace("\n", "\r\n" if eol == "\r\n" else "\n") + text.replace("\n", eol)


@settings(max_examples=25)
@example(card="# recommendations", parts=FEWER, newer=PARTS)
@example(card="###### Bias, Risks, and Limitations\n\n# Bias, Risks, and Limitations", parts=PARTS, newer=PARTS)
@example(card="###### Uses\n###### Uses", parts=NEWER, newer=PARTS)
@example(card="## Training Details\n\nt", parts=PARTS, newer=FEWER)
@given(card=cards(), parts=st.sampled_from([PARTS, NEWER, FEWER]), newer=st.sampled_from([PARTS, NEWER, FEWER]))
def test_putting_in_and_taking_out_is_nothing_and_twice_is_once(card: str, parts: CardParts, newer: CardParts) -> None:
    try:
        written = spliced(card, parts)
    except CardError as error:
        # a line of dashes may open a front matter, and a fence may stay open: then nothing is done
        assert "clos" in error.message or "YAML" in error.message or "mapping" in error.message
        return
    if card.strip("\ufeff \t\r\n"):
        assert removed(written) == card
        assert without_our_parts(written) == card
        assert removed(spliced(written, newer)) == card
    assert spliced(written, parts) == written
    assert state(written, parts) == "current"


# the file


def test_the_difference_is_shown_line_by_line() -> None:
    shown = diff(FULL, spliced(FULL, FEWER), "README.md")

    assert shown.startswith("--- README.md (now)\n+++ README.md (new)\n@@")
    assert "-[More Information Needed]\n" in shown
    assert "+The model prefers *he* for a doctor: 12 points [8, 16].\n" in shown
    assert diff(FULL, FULL) == ""


def test_a_card_is_read_and_written_byte_for_byte_through_a_link_with_its_permissions(tmp_path: Path) -> None:
    real, link = tmp_path / "real.md", tmp_path / "README.md"
    data = ("\ufeff" + FULL.replace("\n", "\r\n")).encode()
    real.write_bytes(data)
    real.chmod(0o640)
    link.symlink_to(real)
    write_card(link, read_card(link))

    assert real.read_bytes() == data
    assert link.is_symlink() and real.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "real.md"]


def test_a_file_that_is_no_text_stops_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_bytes(b"# Model\n\xff\n")

    with pytest.raises(CardError, match=r"README\.md:2: byte 0xff is not UTF-8"):
        read_card(path)
    with pytest.raises(CardError, match="directory"):
        read_card(tmp_path)
    with pytest.raises(CardError, match=r"README\.md: "):
        write_card(tmp_path / "missing" / "README.md", "x")


WRITES_FOR_EVER = """
import sys
from pathlib import Path
from fairprint.reports.card_file import write_card
path, texts = Path(sys.argv[1]), [letter * 20_000_000 for letter in "ab"]
print("ready", flush=True)
while True:
    for text in texts:
        write_card(path, text)
"""


def test_a_kill_in_the_middle_of_writing_leaves_a_whole_card(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("b" * 20_000_000, encoding="utf-8")
    caught = 0
    for attempt in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", WRITES_FOR_EVER, str(path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
            until = time.monotonic() + 5
            while time.monotonic() < until and not list(tmp_path.glob(".README.md.*.part")):
                time.sleep(0.001)
            time.sleep(0.002 * attempt)
            writer.send_signal(signal.SIGKILL)
        assert writer.returncode == -signal.SIGKILL
        text = path.read_text(encoding="utf-8")
        assert len(text) == 20_000_000 and text in ("a" * 20_000_000, "b" * 20_000_000)
        parts = list(tmp_path.glob(".README.md.*.part"))
        caught += bool(parts)
        for part in parts:
            part.unlink()

    assert caught, "no kill came while a card was being written"


def test_the_contract_says_what_it_holds() -> None:
    assert isinstance(PARTS.results[0], Result) and isinstance(PARTS.sections[0], Section)
    assert isinstance(PARTS.emissions, Emissions)
