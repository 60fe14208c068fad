"""Settings of a project: where they are found, what is refused, and on which line."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairprint.audit.settings import json_schema, read_settings
from fairprint.probes.errors import SettingsError

LIMIT = """\
[[tool.fairprint.limits]]
metric = "signed_effect"
probes = "he-was-very"
margin = 0.2
"""
WHOLE = f"""\
[project]
name = "a-model"

[tool.fairprint]
strict = true
max-age-days = 30

{LIMIT}
[[tool.fairprint.limits]] # what it costs
metric = "energy_kwh"
max = 0.5
"""


def refused(folder: Path, text: str, name: str = "pyproject.toml") -> SettingsError:
    (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as error:
        read_settings(folder / name, folder)
    assert error.value.exit_code == 2 and error.value.hint
    return error.value


def test_settings_are_found_with_the_line_of_each_limit(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(WHOLE)
    found = read_settings(None, tmp_path)
    assert (found.file, found.folder, found.lines) == ("pyproject.toml", tmp_path, (8, 13))
    assert found.settings.strict and found.settings.max_age_days == 30
    assert [limit.metric for limit in found.settings.limits] == ["signed_effect", "energy_kwh"]


def test_an_own_file_has_the_same_keys_without_the_table(tmp_path: Path) -> None:
    (tmp_path / "fairprint.toml").write_text(WHOLE.split("[tool.fairprint]\n")[1].replace("tool.fairprint.", ""))
    found = read_settings(None, tmp_path)
    assert found.file == "fairprint.toml" and found.lines == (4, 9) and found.settings.strict


def test_they_are_looked_for_upwards_to_the_top_of_the_repository(tmp_path: Path) -> None:
    inner = tmp_path / "repository" / "models" / "a"
    inner.mkdir(parents=True)
    (tmp_path / "fairprint.toml").write_text("strict = true\n")
    assert read_settings(None, inner).settings.strict
    (tmp_path / "repository" / ".git").mkdir()
    assert read_settings(None, inner).file == ""
    (tmp_path / "repository" / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    assert read_settings(None, inner).settings.limits == ()
    (tmp_path / "repository" / "pyproject.toml").write_text(WHOLE)
    found = read_settings(None, inner)
    assert found.folder == tmp_path / "repository" and found.settings.strict


def test_two_files_beside_each_other_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(WHOLE)
    (tmp_path / "fairprint.toml").write_text("strict = true\n")
    with pytest.raises(SettingsError, match="beside it too"):
        read_settings(None, tmp_path)


def test_a_broken_file_of_other_tools_is_none_of_our_business(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.other\n")
    assert read_settings(None, tmp_path).file == ""


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (WHOLE.replace("strict", "strct"), 5, "there is no key 'strct'. Did you mean 'strict'?"),
        (
            WHOLE.replace("max-age-days", "max_age_days"),
            6,
            "there is no key 'max_age_days'. Did you mean 'max-age-days'?",
        ),
        (WHOLE.replace("margin", "margn"), 11, "there is no key 'margn' (limit 1). Did you mean 'margin'?"),
        (
            WHOLE.replace("max = 0.5", "max = 0.5\nscop = 'all'"),
            16,
            "there is no key 'scop' (limit 2). Did you mean 'scope'?",
        ),
        (WHOLE.replace("true", "'perhaps'"), 5, "'strict': input should be a valid boolean"),
        (WHOLE.replace("30", "0"), 6, "'max-age-days': input should be greater than 0, and here stands 0"),
        (WHOLE.replace("margin = 0.2", "margin = 0"), 11, "a margin must lie above 0, and here stands 0"),
        (WHOLE.replace("margin = 0.2", "margin = nan"), 11, "'margin' (limit 1): input should be a finite number"),
        (
            WHOLE.replace("margin = 0.2", "direction = 'sideways'"),
            11,
            "input should be 'up', 'down' or 'away_from_neutral'",
        ),
        (WHOLE.replace('probes = "he-was-very"\n', ""), 8, "a limit on signed_effect needs the name of its probe set"),
        (WHOLE.replace('metric = "signed_effect"\n', ""), 8, "'metric' (limit 1): field required"),
        (WHOLE.replace("max = 0.5", "margin = 0.5"), 13, "energy_kwh needs a budget above 0"),
        (WHOLE.replace("max = 0.5", "max = 0.5\nprobes = 'x'"), 13, "energy_kwh is that of the whole run"),
        (WHOLE.replace("energy_kwh", "tokens"), 13, "tokens needs a margin in percent"),
        (WHOLE.replace("margin = 0.2", "max = 1\nmin = 0"), 8, "either max or min"),
        (WHOLE.replace("margin = 0.2", "max = 1\ndirection = 'down'"), 8, "max does not go with direction = 'down'"),
        (WHOLE.replace("margin = 0.2", "min = 1\ndirection = 'up'"), 8, "min does not go with direction = 'up'"),
        (WHOLE + LIMIT, None, "limits 1 and 3 are about the same, signed_effect"),
        (WHOLE.replace("0.5", "0..5"), 15, "it is no TOML"),
        ("[tool.fairprint]\nlimits = 3\n", 2, "'limits': input should be a valid tuple"),
        ("[tool]\nfairprint = [1]\n", None, "'tool.fairprint' is no table"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_line(text: str, line: int | None, said: str, tmp_path: Path) -> None:
    error = refused(tmp_path, text)
    assert said in error.message
    assert error.line == line, error.message


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b"strict = true\n# caf\xe9\n")
    with pytest.raises(SettingsError, match=r"latin.toml:2: it is not written in UTF-8"):
        read_settings(tmp_path / "latin.toml", tmp_path)
    for path in (tmp_path, tmp_path / "nothing.toml"):
        with pytest.raises(SettingsError, match="it cannot be read"):
            read_settings(path, tmp_path)


def test_keys_inside_strings_of_several_lines_have_no_line(tmp_path: Path) -> None:
    text = WHOLE.replace("strict = true", 'store = """\n[[tool.fairprint.limits]]\nmargn = 1\n"""').replace(
        "margin", "margn"
    )
    error = refused(tmp_path, text)
    assert error.line == 14 and "margn" in error.message


def test_inline_limits_have_no_line_rather_than_a_wrong_one(tmp_path: Path) -> None:
    error = refused(tmp_path, "[tool.fairprint]\nlimits = [{metric = 'x', probes = 'y', margn = 1}]\n")
    assert error.line is None and "there is no key 'margn' (limit 1)" in error.message


def test_the_schema_names_every_key_with_what_it_is() -> None:
    schema = json_schema()
    assert schema["additionalProperties"] is False
    assert {"store", "baseline", "strict", "require-baseline", "allow-partial", "max-age-days", "limits"} == set(
        schema["properties"]
    )
    limit = schema["$defs"]["Limit"]["properties"]
    assert all("description" in key for key in (*limit.values(), *schema["properties"].values()))
    assert json.loads(json.dumps(schema)) == schema


LINES = WHOLE.splitlines()


@given(
    st.one_of(
        st.integers(0, len(WHOLE)).map(lambda end: WHOLE[:end]),
        st.permutations(LINES).map("\n".join),
        st.tuples(st.integers(0, len(WHOLE)), st.text(max_size=5)).map(
            lambda at: WHOLE[: at[0]] + at[1] + WHOLE[at[0] :]
        ),
        st.lists(st.sampled_from([*LINES, "margn = 1", "x = '''", '"""', "[a]", "limits = []"]), max_size=20).map(
            "\n".join
        ),
    )
)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_damage_gives_settings_or_an_error_whose_line_holds_its_key(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        found = read_settings(path, tmp_path)
    except SettingsError as error:
        key = re.search(r"there is no key '([a-z-]+)'", error.message)
        if error.line is not None and key:
            assert key[1] in text.split("\n")[error.line - 1]
        return
    for line in found.lines:
        assert line is None or "limits" in text.split("\n")[line - 1]
