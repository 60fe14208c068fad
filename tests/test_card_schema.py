"""A card's metadata is checked without the network, and each problem names its line, its key and a way out."""

from types import SimpleNamespace

import pytest
import yaml
from huggingface_hub import ModelCard
from huggingface_hub.utils.endpoint_helpers import _is_emission_within_threshold
from hypothesis import given
from hypothesis import strategies as st
from sample_cards import CARDS, NEWER, PARTS

from fairprint.probes.errors import CardError
from fairprint.reports.card_file import spliced
from fairprint.reports.card_schema import Problem, problems, validated

RESULT = """model-index:
- name: m
  results:
  - task:
      type: text-generation
    dataset:
      type: d
      name: D
    metrics:
    - type: loss
      value: 1.5
"""


def card(lines: str) -> str:
    return f"---\n{lines.rstrip()}\n---\n# Model\n"


def found(lines: str) -> list[tuple[int | None, str, str]]:
    return [(problem.line, problem.key, problem.severity) for problem in problems(card(lines), "README.md")]


def only(lines: str) -> Problem:
    (problem,) = problems(card(lines), "README.md")
    assert problem.hint
    return problem


@pytest.mark.parametrize("name", sorted(CARDS))
@pytest.mark.parametrize("parts", [PARTS, NEWER], ids=["parts", "newer"])
def test_what_we_write_is_valid_in_every_card(name: str, parts: object) -> None:
    warnings = validated(spliced(CARDS[name], parts), "README.md")  # type: ignore[arg-type]

    assert [problem.key for problem in warnings] == (["language"] if name == "language: no" else [])


def test_a_card_without_front_matter_has_no_problem() -> None:
    assert problems("# Model\n", "README.md") == []
    assert problems("---\n# nothing\n---\n", "README.md") == []


def test_an_ordinary_card_has_no_problem() -> None:
    lines = f"""{RESULT}    source:
      url: https://example.org
language: [en, zh-Hans, code, multilingual]
license: [apache-2.0, other]
datasets: [squad, owner/name]
tags: fairness
base_model: [a/b]
something_else: {{of: ours}}
co2_eq_emissions: 24_700_000
"""
    assert found(lines) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "key"),
    [
        ("      type: text-generation", "      name: T", 6, "model-index[0].results[0].task.type"),
        ("      type: d\n", "", 8, "model-index[0].results[0].dataset.type"),
        ("      name: D\n", "", 8, "model-index[0].results[0].dataset.name"),
        ("    - type: loss\n      value", "    - value", 11, "model-index[0].results[0].metrics[0].type"),
        ("      value: 1.5", "      name: L", 11, "model-index[0].results[0].metrics[0].value"),
        ("value: 1.5", "value:", 12, "model-index[0].results[0].metrics[0].value"),
        ("value: 1.5", "value: .nan", 12, "model-index[0].results[0].metrics[0].value"),
        ("value: 1.5", "value: 1.5\n      args: {low: -.inf}", 13, "model-index[0].results[0].metrics[0].args.low"),
        ("value: 1.5", "value: 1.5\n      verified: true", 11, "model-index[0].results[0].metrics[0]"),
        ("value: 1.5", "value: 1.5\n    source: {name: us}", 13, "model-index[0].results[0].source.url"),
        ("name: D", "name: 3", 9, "model-index[0].results[0].dataset.name"),
        ("name: D", "name: ''", 9, "model-index[0].results[0].dataset.name"),
        ("- name: m\n  results:", "- results:", 3, "model-index[0].name"),
    ],
)
def test_a_model_index_that_the_client_cannot_read_is_an_error(old: str, new: str, line: int, key: str) -> None:
    assert old in RESULT
    problem = only(RESULT.replace(old, new))

    assert (problem.line, problem.key, problem.severity) == (line, key, "error")


@pytest.mark.parametrize("missing", ["      type: text-generation\n", "      type: d\n", "      name: D\n",
                                     "    - type: loss\n  ", "      value: 1.5\n"])  # fmt: skip
def test_what_is_called_unreadable_the_client_does_not_read(missing: str) -> None:
    lines = RESULT.replace(missing, "    - args: {}\n  " if missing.startswith("    - type") else "")
    lines = lines.replace("    - task:\n    dataset", "    - task: {}\n    dataset")

    assert found(lines)
    with pytest.raises(ValueError, match="model_index"):
        ModelCard(card(lines))


def test_results_and_models_must_be_lists() -> None:
    assert found("model-index: {}") == [(2, "model-index", "error")]
    assert found("model-index:\n- name: m\n  results: 1") == [(4, "model-index[0].results", "error")]
    assert found("model-index:\n- name: m") == [(3, "model-index[0].results", "error")]


@pytest.mark.parametrize(("written", "read"), [("no", "false"), ("NO", "false"), ("on", "true")])
def test_norwegian_is_told_from_a_truth_value(written: str, read: str) -> None:
    problem = only(f"language: {written}")

    assert ModelCard(card(f"language: {written}")).data.language is (read == "true")
    assert f"{written} is read as {read}" in problem.message
    assert problem.hint == f'write it in quotes: "{written}"'
    assert found(f'language: "{written.lower()}"') == []
    assert found(f"language:\n- en\n- {written}") == [(4, "language[1]", "warning")]


def test_a_language_is_a_code() -> None:
    assert "'English' is no code" in only("language: English").message
    assert found("language: 3") == [(2, "language", "warning")]


def test_a_license_is_an_identifier() -> None:
    assert "'Apache 2.0' is not an identifier" in only("license: Apache 2.0").message
    assert found("license: 2.0") == [(2, "license", "error")]
    assert found("datasets:\n- squad\n- a b") == [(4, "datasets[1]", "error")]
    assert found("tags: {a: b}") == [(2, "tags", "error")]


# emissions


def client_reads(lines: str) -> float | None:
    """Return what the Hub's client takes for grams, found by halving; None where it takes nothing."""
    model = SimpleNamespace(card_data=ModelCard(card(lines)).data)
    if not _is_emission_within_threshold(model, 0, 1e40):
        return None
    low, high = 1e-9, 1e40
    for _ in range(70):  # of the ratio of the two: 1e49 ** (1 / 2 ** 70) is 1 to the last bit
        middle = (low * high) ** 0.5
        low, high = (low, middle) if _is_emission_within_threshold(model, low, middle) else (middle, high)
    return high


@pytest.mark.parametrize(
    ("written", "severity", "read"),
    [
        ("12.5", None, 12.5), ("24_700_000", None, 24_700_000), ("3", None, 3), ("0.0001", None, 0.0001),
        ("{emissions: 12.5, source: CodeCarbon}", None, 12.5), ('"12.5"', "warning", 12.5), ("null", "warning", None),
        ("0.00005", "error", 5), ("1e3", "error", 1), ("1e-05", "error", 1), ("-3", "error", 3),
        ("1.2 kg", "error", 1.2), ('"1,234"', "error", 1), ("0", "error", None), ("010", "error", 8),
        ("1:30", "error", 90), ("yes", "error", None), ("[1]", "error", 1),
        ("12345678901234567890.5", "error", 1.2345678901234567),
    ],
)  # fmt: skip
def test_grams_are_what_the_client_takes_for_them(written: str, severity: str | None, read: float | None) -> None:
    lines = f"co2_eq_emissions: {written}"

    assert [one[2] for one in found(lines)] == ([severity] if severity else [])
    assert client_reads(lines) == (pytest.approx(read) if read is not None else None)


@given(
    written=st.one_of(
        st.floats(min_value=0, max_value=1e25, exclude_min=True).map(repr), st.integers(-5, 10**6).map(str),
        st.from_regex(r"[0-9_.eE+-]{1,8}", fullmatch=True),
    )
)  # fmt: skip
def test_without_an_error_the_client_reads_the_number_that_stands_there(written: str) -> None:
    lines = f"co2_eq_emissions: {written}"
    try:
        errors = [problem for problem in problems(card(lines), "README.md") if problem.severity == "error"]
    except CardError:
        return
    if not errors and yaml.safe_load(lines)["co2_eq_emissions"] is not None:
        assert client_reads(lines) == pytest.approx(float(yaml.safe_load(lines)["co2_eq_emissions"]))


def test_emissions_without_the_number_break_the_client() -> None:
    lines = "co2_eq_emissions:\n  source: CodeCarbon"
    with pytest.raises(KeyError):
        client_reads(lines)

    assert "fails for a whole list of models" in only(lines).message
    assert found("co2_eq_emissions:\n  emissions: 5e-05\n  source: 3") == [
        (3, "co2_eq_emissions.emissions", "error"), (4, "co2_eq_emissions.source", "warning"),
    ]  # fmt: skip


# what cannot be read


def test_objects_of_programs_are_no_values() -> None:
    numpy = pytest.importorskip("numpy")
    dumped = yaml.dump({"value": numpy.float64(0.5)})
    (problem,) = problems(card(dumped), "README.md")

    assert problem.line == 2
    assert "numpy" in problem.message and "number or text itself" in problem.hint


def test_a_date_that_does_not_exist_is_an_error() -> None:
    assert "month must be in" in only("date: 2024-13-45").message


def test_what_is_not_yaml_stops_with_its_line() -> None:
    with pytest.raises(CardError, match=r"README\.md:3: "):
        problems(card("a: b\na: c"), "README.md")


def test_all_errors_are_named_at_once_with_the_first_line_in_front() -> None:
    lines = "license: Apache 2.0\nlanguage: no\nco2_eq_emissions: 1e3"
    with pytest.raises(CardError) as caught:
        validated(card(lines), "README.md")

    assert caught.value.message.startswith("README.md:2: license: 'Apache 2.0'")
    assert "line 4: co2_eq_emissions: '1e3' is no plain number" in caught.value.message
    assert "language" not in caught.value.message
    assert "license_name" in caught.value.hint and "plain decimal" in caught.value.hint
