"""What a check prints: for people, for JUnit readers, for GitHub; and that no string of a record breaks out of it."""

import html
import json
import re
import xml.etree.ElementTree as ET
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console
from sample_check import ABSENT, EVERY, limit, sample_check

from fairprint.audit.checks import CheckRecord
from fairprint.audit.records import to_json
from fairprint.probes.errors import StoreError
from fairprint.reports import check_table
from fairprint.reports.check_table import print_check, sentences
from fairprint.reports.cli import main
from fairprint.reports.cli_check import _show
from fairprint.reports.github import MOST_BYTES, annotations, markdown, outputs, publish, step_summary
from fairprint.reports.junit import decimal, to_junit
from fairprint.reports.text import clean, json_for_log, safe_for_log

# the rules of junit-10.xsd of Jenkins' xUnit plugin: of each element its attributes, the required ones, its children
RESULTS = {"skipped", "error", "failure", "rerunFailure", "rerunError", "flakyFailure", "flakyError"}
COUNTS = {"tests", "failures", "errors"}
ALLOWED: dict[str, tuple[set[str], set[str], set[str]]] = {
    "testsuites": ({"name", "time", *COUNTS}, set(), {"testsuite"}),
    "testsuite": (
        {"name", "group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url", *COUNTS},
        {"name", *COUNTS},
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "properties": (set(), set(), {"property"}),
    "property": ({"name", "value"}, {"name", "value"}, set()),
    "testcase": ({"name", "time", "classname", "group"}, {"name"}, {*RESULTS, "system-out", "system-err"}),
    **dict.fromkeys(("failure", "error", "skipped"), ({"type", "message"}, set(), set())),
    **dict.fromkeys(("system-out", "system-err"), (set(), set(), set())),
}
WITH_TEXT = {"failure", "error", "skipped", "system-out", "system-err"}
SUREFIRE_TIME = re.compile(r"(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]*)?")
PLAIN = re.compile(r"-?\d+(\.\d+)?")
NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
NUMBERS = re.compile(r".*\.(value|baseline|worsening|bound|limit|p_value|holm|detectable|items|missing)", re.S)


def problems(xml: str) -> list[str]:
    """Return what a strict reader of JUnit refuses."""
    found = [f"U+{ord(sign):04X} is no character of XML" for sign in NOT_XML.findall(xml)]
    try:
        root = ET.fromstring(xml)
    except (ET.ParseError, UnicodeEncodeError) as error:
        return [*found, f"not well-formed: {error}"]
    found += [] if root.tag == "testsuites" else [f"root is {root.tag}"]
    for element in root.iter():
        if element.tag not in ALLOWED:
            found.append(f"unknown element {element.tag}")
            continue
        attributes, required, children = ALLOWED[element.tag]
        found += [f"{element.tag} has {name}" for name in element.attrib if name not in attributes]
        found += [f"{element.tag} lacks {name}" for name in sorted(required - set(element.attrib))]
        found += [f"{element.tag} holds {child.tag}" for child in element if child.tag not in children]
        texts = [element.text, *(child.tail for child in element)]
        if element.tag not in WITH_TEXT and any(text and text.strip() for text in texts):
            found.append(f"{element.tag} holds text")
        if not SUREFIRE_TIME.fullmatch(element.get("time", "0")):
            found.append(f"time is {element.get('time')}")
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", element.get("timestamp", "2026-01-01T00:00:00")):
            found.append("timestamp")
        if element.tag == "property" and NUMBERS.fullmatch(element.get("name", "")):
            value = element.get("value", "")
            found += [] if PLAIN.fullmatch(value) else [f"{value} is no plain decimal"]
    return found + [problem for suite in root.iter("testsuite") for problem in miscounted(suite)]


def miscounted(suite: ET.Element) -> list[str]:
    """Return which counts of a suite are not those of its cases, and cases that have two results."""
    cases = suite.findall("testcase")
    counted = {"tests": len(cases)}
    for tag, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        counted[name] = sum(case.find(tag) is not None for case in cases)
    found = [f"{name} are counted wrongly" for name, count in counted.items() if suite.get(name) != str(count)]
    return found + ["two results" for case in cases if sum(child.tag in RESULTS for child in case) > 1]


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
    assert told["signed_effect of he-was-very.metric"] == "stereotype_score"
    assert told["signed_effect of he-was-very.bound"] == "0.0613"
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
        (lambda xml: xml.replace("it breaks", "it \ufffe breaks", 1), "U+FFFE is no character"),
        (lambda xml: xml.replace("it breaks", "it \ud800 breaks", 1), "U+D800 is no character"),
        (lambda xml: xml.replace("<testsuite ", '<testsuite version="1" ', 1), "testsuite has version"),
        (lambda xml: xml.replace("<testcase ", '<testcase status="x" ', 1), "testcase has status"),
        (lambda xml: xml.replace('tests="5"', ""), "testsuite lacks tests"),
        (lambda xml: xml.replace('tests="5"', 'tests="4"'), "tests are counted wrongly"),
        (lambda xml: xml.replace('value="0.00000015"', 'value="1.5e-07"'), "1.5e-07 is no plain decimal"),
        (lambda xml: xml.replace("<system-out>", "<skipped/><system-out>", 1), "two results"),
        (lambda xml: xml.replace("<properties>", "<properties>x", 1), "properties holds text"),
        (lambda xml: xml.replace("testsuites", "report"), "root is report"),
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
    assert 'message="b.json does not exist"' in to_junit(missing) and problems(to_junit(missing)) == []


MISSING: dict[str, Any] = {"baseline": None, "no_baseline": "b.json does not exist", "verdict": "error"}


def test_a_required_baseline_that_is_missing_is_told_beside_a_limit_in_error() -> None:
    record = sample_check(EVERY[1], EVERY[2], **MISSING, require_baseline=True, exit_code=3)
    xml = to_junit(record)
    assert {case.get("name") for case in ET.fromstring(xml).iter("testcase") if case.find("error") is not None} == {
        "accuracy of bbq",
        "the baseline can be compared",
    }
    assert problems(xml) == []
    assert "::error title=fairprint%3A a baseline is required::b.json does not exist" in annotations(record)


def test_a_missing_baseline_is_no_error_where_none_is_required_or_needed() -> None:
    absolute = limit("energy", kind="absolute")
    for record in (
        sample_check(EVERY[1], **MISSING | {"verdict": "inconclusive"}, exit_code=0),
        sample_check(absolute, **MISSING | {"verdict": "pass"}, require_baseline=True, exit_code=0),
    ):
        assert "the baseline can be compared" not in to_junit(record)
        assert not any("required" in line for line in annotations(record))


def test_a_baseline_that_lacks_what_a_limit_needs_says_so_where_one_is_required() -> None:
    record = sample_check(EVERY[1], require_baseline=True, exit_code=4, verdict="error", remarks=())
    assert annotations(record)[-1].endswith("is required::the baseline lacks what a limit needs")
    assert 'message="the baseline lacks what a limit needs"' in to_junit(record)


def test_strict_fails_by_a_case_of_its_own_and_the_limit_stays_skipped() -> None:
    xml = to_junit(sample_check(EVERY[1], strict=True, exit_code=5, verdict="inconclusive"))
    found = {case.get("name"): [child.tag for child in case] for case in ET.fromstring(xml).iter("testcase")}
    assert found["stereotype_score of age"] == ["skipped", "system-out"]
    assert found["strict: every limit is decided"] == ["failure", "system-out"] and problems(xml) == []


def test_strict_names_what_is_not_decided_beside_what_fails() -> None:
    found = ET.fromstring(to_junit(sample_check(strict=True, exit_code=1))).iter("testcase")
    failed = [case.get("name") for case in found if case.find("failure") is not None]
    assert failed == ["signed_effect of he-was-very", "strict: every limit is decided"]
    assert "strict" not in to_junit(sample_check(EVERY[3], strict=True, exit_code=0, verdict="pass"))


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


def test_reasons_and_remarks_without_end_do_not_make_a_summary_too_large() -> None:
    many = ("@" * 3_000,) * 900
    text = step_summary(
        sample_check(*(limit("|" * 2_000 + str(n)) for n in range(900)), refused=many, remarks=many, exit_code=4)
    )
    assert len(text.encode()) < MOST_BYTES and "more notes are not shown" in text and "more limits are not" in text
    assert text.endswith("</details>\n") and "| verdict | limit |" in text


HOSTILE = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        [
            "\n::error::injected", "a\r##[group]x", "]]></testcase>", "<script>alert(1)</script>",
            "\x00\ud800\ufffe\x1b[31m", "| x | y |", "`code` @everyone ![i](http://a.b)", "</details>",
            "%0A::error::x", "a,b:c", "\u202egnp", "\u2028::x", "seen in ##[add-mask]a", "\x85::x", "\x0b::x",
            "fixes #12, a@b.org :bug:", "HTTPS://a.b www.a.b", "\uffff",
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
        assert not line.lstrip().startswith("::") and "##[" not in line


@given(st.text(st.sampled_from("#[]:| \n\ra\u00a0\u2028"), max_size=60))
def test_text_for_a_log_loses_nothing_and_starts_no_command(text: str) -> None:
    lines = safe_for_log(text).split("\n")
    for shown, line in zip(lines, re.split(r"\r\n|\r|\n", text), strict=True):
        # as the runner reads: :: after blanks, ##[ wherever it stands
        assert not shown.lstrip().startswith("::") and "##[" not in shown
        assert shown.replace("## [", "##[").removeprefix("| ") in (
            line.replace("## [", "##["),
            line.replace("## [", "##[").removeprefix("| "),
        )


@given(HOSTILE)
@settings(max_examples=100)
def test_json_for_a_log_has_the_same_values_and_starts_no_command(text: str) -> None:
    told = to_json(hostile(text.replace("\ud800", "")))
    shown = json_for_log(told)
    assert json.loads(shown) == json.loads(told)
    assert not any(line.lstrip().startswith("::") or "##[" in line for line in re.split(r"[\r\n]", shown))


@given(st.one_of(HOSTILE, st.text(st.sampled_from("@#:/.w+_ab1-p s"), max_size=40)))
@settings(max_examples=300)
def test_markdown_has_no_sign_that_acts(text: str) -> None:
    assert not re.search(r"[\\`*_{}\[\]!|<>~@$^\n\r]", markdown(text))
    # mentions, issues, emoji and addresses are looked for where references are characters again
    shown = html.unescape(markdown(text))
    for found in (r"(^|\W)@\w", r"\w@\w", r"#\d", r":[\w+-]+:", r"://", r"www\."):
        assert not re.search(found, shown, re.IGNORECASE), found
    assert shown.replace("\u200b", "") == clean(text)


@pytest.mark.parametrize("as_json", [False, True])
def test_a_log_of_github_is_safe_though_nothing_is_to_be_told_to_github(
    as_json: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "seen in ##[add-mask]a"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    _show(hostile(name), github=False, as_json=as_json)
    shown = capsys.readouterr()
    assert "##[" not in shown.out + shown.err and "[add-mask]a" in shown.out
    assert not as_json or json.loads(shown.out)["run"]["model"]["name"] == name
    monkeypatch.delenv("GITHUB_ACTIONS")
    _show(hostile(name), github=False, as_json=as_json)
    assert name in capsys.readouterr().out


def test_no_name_in_the_settings_begins_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "fairprint.toml"
    for metric, key, code in (("x\\n::error::no", "margin", 0), ("##[add-mask]a", "margin", 0), ("a", "##[error]", 2)):
        file.write_text(f'[[limits]]\nmetric = "{metric}"\nprobes = "age"\n"{key}" = 0.5\n')
        monkeypatch.setattr("sys.argv", ["fairprint", "check", "--config-only", "--config", str(file)])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        assert (ended.value.code or 0) == code, shown.err
        lines = (shown.out + shown.err).split("\n")
        assert lines[0] and not any(line.lstrip().startswith("::") or "##[" in line for line in lines)


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


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_narrow_terminal_breaks_no_number_and_no_verdict(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check_table, "stdout", lambda: Console(width=width, force_terminal=True, no_color=True))
    print_check(sample_check())
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).split("\n")
    assert max(map(len, lines)) <= width
    first = lines[: next(n for n, line in enumerate(lines) if line.startswith("ERROR accuracy of bbq") and n > 10)]
    for whole in ("INCONCLUSIVE", "67.2 %", "71.2 %", "4.0 points", "6.1 points", "2.0 points"):
        assert any(whole in line for line in first), whole


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
