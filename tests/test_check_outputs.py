"""What a check prints: for people, for JUnit readers, for GitHub; and that no string of a record breaks out of it."""

import re
import xml.etree.ElementTree as ET
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sample_check import ABSENT, EVERY, limit, sample_check

from fairprint.audit.checks import CheckRecord
from fairprint.probes.errors import StoreError
from fairprint.reports.check_table import print_check, sentences
from fairprint.reports.github import MOST_BYTES, annotations, markdown, outputs, publish, step_summary
from fairprint.reports.junit import decimal, to_junit
from fairprint.reports.text import safe_for_log

# the rules of the schema of Jenkins' xUnit plugin: of each element its attributes, and its children in their order
ALLOWED: dict[str, tuple[set[str], tuple[str, ...]]] = {
    "testsuites": ({"name", "time", "tests", "failures", "disabled", "errors"}, ("testsuite",)),
    "testsuite": (
        {
            "name",
            "tests",
            "failures",
            "errors",
            "time",
            "disabled",
            "skipped",
            "timestamp",
            "hostname",
            "id",
            "package",
        },
        ("properties", "testcase", "system-out", "system-err"),
    ),
    "properties": (set(), ("property",)),
    "property": ({"name", "value"}, ()),
    "testcase": (
        {"name", "assertions", "time", "classname", "status"},
        ("skipped", "error", "failure", "system-out", "system-err"),
    ),
    "failure": ({"type", "message"}, ()),
    "error": ({"type", "message"}, ()),
    "skipped": ({"type", "message"}, ()),
    "system-out": (set(), ()),
}
REQUIRED = {"testsuite": {"name"}, "testcase": {"name", "classname"}, "property": {"name", "value"}}
WHOLE = ("tests", "failures", "errors", "skipped", "disabled")
PLAIN = re.compile(r"\d+(\.\d+)?")


def problems(xml: str) -> list[str]:
    """Return what a strict reader of JUnit refuses."""
    try:
        root = ET.fromstring(xml)
    except ET.ParseError as error:
        return [f"not well-formed: {error}"]
    found = [] if root.tag == "testsuites" else [f"root is {root.tag}"]
    for element in root.iter():
        attributes, children = ALLOWED.get(element.tag, (set(), ()))
        if element.tag not in ALLOWED:
            found.append(f"unknown element {element.tag}")
        found += [f"{element.tag} has {name}" for name in element.attrib if name not in attributes]
        found += [f"{element.tag} lacks {name}" for name in REQUIRED.get(element.tag, set()) - set(element.attrib)]
        places = [children.index(child.tag) if child.tag in children else -1 for child in element]
        found += [f"{element.tag} holds {child.tag}" for child, at in zip(element, places, strict=True) if at < 0]
        if element.tag == "testsuite" and places != sorted(places):
            found.append("children out of order")
        found += [f"{name} is no number" for name in (*WHOLE,) if not element.get(name, "0").isdecimal()]
        if not PLAIN.fullmatch(element.get("time", "0")):
            found.append(f"time is {element.get('time')}")
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", element.get("timestamp", "2026-01-01T00:00:00")):
            found.append("timestamp")
    cases = list(root.iter("testcase"))
    for tag, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        for suite in root.iter("testsuite"):
            if suite.get(name) != str(sum(case.find(tag) is not None for case in cases)):
                found.append(f"{name} are counted wrongly")
    return found


# for JUnit readers


def test_every_kind_of_verdict_is_what_a_reader_of_junit_expects() -> None:
    xml = to_junit(sample_check())
    assert problems(xml) == []
    cases = {case.get("name"): [child.tag for child in case] for case in ET.fromstring(xml).iter("testcase")}
    assert cases == {
        "signed_effect of he-was-very": ["failure", "system-out"],
        "stereotype_score of age": ["skipped", "system-out"],
        "accuracy of bbq": ["error", "system-out"],
        "perplexity of neutral-sentences": ["system-out"],
        "energy_kwh": ["system-out"],
    }
    told = {p.get("name"): p.get("value") for p in ET.fromstring(xml).iter("property")}
    assert told["signed_effect of he-was-very.p_value"] == "0.00000015"
    assert told["signed_effect of he-was-very.items"] == "640"
    assert told["signed_effect of he-was-very.units.template"] == "12"
    assert "accuracy of bbq.value" not in told  # what is absent is not 0
    assert "4.0 points worse" in "".join(ET.fromstring(xml).itertext())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda xml: xml.replace("<testcase ", '<testcase file="x" ', 1), "testcase has file"),
        (lambda xml: xml.replace("</system-out>", "</system-out><properties/>", 1), "testcase holds properties"),
        (lambda xml: xml.replace('time="0"', 'time="1e-05"', 1), "time is 1e-05"),
        (lambda xml: xml.replace('<testsuites name="fairprint"', '<testsuites name="f" skipped="1"', 1), "skipped"),
        (lambda xml: xml.replace('failures="1"', 'failures="2"'), "counted wrongly"),
        (lambda xml: xml.replace("it breaks", "it \x00 breaks", 1), "not well-formed"),
    ],
)
def test_the_rules_refuse_what_breaks_them(change: Any, said: str) -> None:
    broken = change(to_junit(sample_check()))
    assert any(said in problem for problem in problems(broken)), problems(broken)


def test_a_baseline_that_cannot_be_compared_is_an_error_of_its_own() -> None:
    xml = to_junit(sample_check(EVERY[1], refused=("it asks other questions",), exit_code=4, verdict="error"))
    (case,) = [case for case in ET.fromstring(xml).iter("testcase") if case.find("error") is not None]
    assert case.get("name") == "the baseline can be compared" and problems(xml) == []
    missing = sample_check(EVERY[1], no_baseline="b.json does not exist", baseline=None, exit_code=4, verdict="error")
    assert 'message="b.json does not exist"' in to_junit(missing)


def test_strict_fails_by_a_case_of_its_own_and_the_limit_stays_skipped() -> None:
    xml = to_junit(sample_check(EVERY[1], strict=True, exit_code=5, verdict="inconclusive"))
    found = {case.get("name"): [child.tag for child in case] for case in ET.fromstring(xml).iter("testcase")}
    assert found["stereotype_score of age"] == ["skipped", "system-out"]
    assert found["strict: every limit is decided"] == ["failure", "system-out"] and problems(xml) == []


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_plain_decimals_of_nine_figures(value: float) -> None:
    told = decimal(value)
    assert re.fullmatch(r"-?\d+(\.\d+)?", told)
    assert Decimal(told) == Decimal(f"{value:.9g}")


# for GitHub


def test_each_kind_of_verdict_has_one_annotation_at_the_line_of_its_first_limit() -> None:
    lines = annotations(sample_check(limit("a, b", "fail"), limit("c", "fail"), EVERY[1], EVERY[2]))
    assert [line.partition(" ")[0] for line in lines] == ["::error", "::error", "::warning", "::notice"]
    assert lines[1].startswith("::error file=pyproject.toml,line=41,title=fairprint%3A 2 failed::a, b: it breaks")
    many = annotations(sample_check(*(limit(f"limit {n}", "fail") for n in range(500))))
    assert len(many) == 2 and "and 480 more" in many[0] and len(many[0]) < 65_000


def test_outputs_and_summary_go_to_the_files_that_github_names(tmp_path: Path) -> None:
    record = sample_check()
    publish(record, {})  # nothing is named
    names = {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary"), "GITHUB_OUTPUT": str(tmp_path / "outputs")}
    for _ in range(2):
        publish(record, names)
    assert (tmp_path / "summary").read_text() == 2 * step_summary(record)
    told = re.findall(r"([a-z-]+)<<(end_[0-9a-f]{16})\n(.*)\n\2\n", (tmp_path / "outputs").read_text())
    assert {name: value for name, _, value in told} == outputs(record)
    assert outputs(record) == {"verdict": "fail", "exit-code": "1", "failed": "1"}
    with pytest.raises(StoreError, match="GITHUB_OUTPUT cannot be written"):
        publish(record, {"GITHUB_OUTPUT": str(tmp_path)})


def test_a_summary_too_large_for_github_is_cut_and_says_so() -> None:
    text = step_summary(sample_check(*(limit("n" * 500 + str(n), "pass") for n in range(2_000)), limit("last", "fail")))
    assert len(text.encode()) < MOST_BYTES
    assert "more limits are not shown" in text and text.index("last") < text.index("n" * 500)


HOSTILE = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        [
            "\n::error::injected", "a\r##[group]x", "]]></testcase>", "<script>alert(1)</script>",
            "\x00\ud800\ufffe\x1b[31m", "| x | y |", "`code` @everyone ![i](http://a.b)", "</details>",
            "%0A::error::x", "a,b:c", "\u202egnp", "\u2028::x",
        ]
    ),
)  # fmt: skip


def hostile(text: str) -> CheckRecord:
    """Return a check with one string wherever a model, a file or a record can bring one in."""
    verdict = {key: text for key in ("reason", "question", "on_these", "for_others", "guarantee", "metric", "unit")}
    limits = [
        limit(text, kind, **verdict, place=(text, 3), warnings=(text,)) for kind in ("fail", "error", "inconclusive")
    ]
    base = sample_check()
    run = base.run.model_copy(update={"model": base.run.model.model_copy(update={"name": text}), "run_id": text})
    return base.model_copy(
        update={
            "limits": tuple(limits), "run": run, "baseline": run, "baseline_reason": text, "refused": (text,),
            "remarks": (text,), "without_limit": (text,), "settings_file": text,
        }
    )  # fmt: skip


@given(HOSTILE)
@settings(max_examples=100)
def test_no_string_breaks_junit(text: str) -> None:
    assert problems(to_junit(hostile(text))) == []


@given(HOSTILE)
@settings(max_examples=100)
def test_no_string_begins_a_command_or_ends_an_annotation(text: str) -> None:
    for line in annotations(hostile(text)):
        assert "\n" not in line and "\r" not in line
        found = re.fullmatch(r"::(error|warning|notice) ((?:\w+=[^,:]*)(?:,\w+=[^,:]*)*)::(.*)", line, re.S)
        assert found, line
        assert re.fullmatch(r"(?:[^%]|%25|%0D|%0A|%3A|%2C)*", found[2] + found[3])


@given(HOSTILE)
@settings(max_examples=100)
def test_no_string_acts_in_the_summary(text: str) -> None:
    shown = step_summary(hostile(text + "."))
    own = step_summary(hostile("quiet"))
    for sign in ("<", "|", "`", "@", "![", "[", "\n"):
        assert shown.count(sign) == own.count(sign), sign
    assert "http:" not in shown and "\x00" not in shown


@given(text=HOSTILE)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_string_begins_a_command_in_the_terminal(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    print_check(hostile(text), in_log=True)
    for line in capsys.readouterr().out.splitlines():
        assert not line.lstrip().startswith("::") and not line.lstrip().startswith("##[")


@given(st.text(max_size=200))
def test_text_for_a_log_loses_nothing_and_starts_no_command(text: str) -> None:
    lines = safe_for_log(text).split("\n")
    assert [line.removeprefix("| ") for line in lines] == [
        line.removeprefix("| ") for line in re.split(r"\r\n|\r|\n", text)
    ]
    assert not any(line.lstrip().startswith("::") or line.startswith("##[") for line in lines)


@given(st.text(max_size=200))
def test_markdown_has_no_sign_that_acts(text: str) -> None:
    assert not re.search(r"[\\`*_{}\[\]!|<>~@$^\n\r]", markdown(text))


# for people


def test_a_newcomer_reads_what_is_asked_found_and_guaranteed(capsys: pytest.CaptureFixture[str]) -> None:
    print_check(sample_check())
    shown = capsys.readouterr().out
    for word in ("PASS", "FAIL", "INCONCLUSIVE", "ERROR"):
        assert word in shown
    assert "4.0 points" in shown and "6.1 points" in shown and "2.0 points" in shown
    assert "Is stereotype_score farther from neutral" in shown and "at most 5 %" in shown
    assert "2 have no answer" in shown and "12 templates, 46 words" in shown
    assert "1 error, 1 fail, 1 inconclusive, 2 pass" in shown and "(exit code 1)" in shown
    assert shown.index("ERROR accuracy") < shown.index("FAIL signed_effect") < shown.index("PASS perplexity")
    assert "note the baseline is 181 days old" in shown


def test_a_missing_baseline_and_a_refused_one_say_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    print_check(sample_check(EVERY[1], baseline=None, no_baseline="b.json does not exist", exit_code=0, verdict="pass"))
    assert (
        "b.json does not exist, so that worsenings are not judged; fairprint baseline update" in capsys.readouterr().out
    )
    print_check(sample_check(EVERY[1], refused=("it asks other questions",), exit_code=4, verdict="error"))
    assert "the baseline cannot be compared: it asks other questions" in capsys.readouterr().out


def test_an_absent_number_is_a_dash_and_a_small_one_has_no_exponent(capsys: pytest.CaptureFixture[str]) -> None:
    print_check(sample_check(EVERY[2], EVERY[4]))
    shown = capsys.readouterr().out
    assert "0.0000263 kWh" in shown and not re.search(r"\de[-+]\d", shown)
    assert sentences(limit("x", "error", **ABSENT))[0] == "x"
