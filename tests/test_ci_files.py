"""The files for other people's CI: no input becomes a command, and every option that they name exists."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from fairprint.reports.cli import app

ROOT = Path(__file__).parents[1]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
OPTION = re.compile(r"(?<![\w$-])(--[a-z][a-z-]+)")


def options(*names: str) -> set[str]:
    command: Any = get_command(app)
    for name in names:
        command = command.commands[name]
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


def test_no_input_is_written_into_a_script() -> None:
    scripts = [step for step in STEPS if "run" in step]
    assert len(scripts) == 3
    for step in scripts:
        assert "${{" not in step["run"] and step["shell"] == "bash"


def test_every_input_is_used_and_described() -> None:
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    for name, told in ACTION["inputs"].items():
        assert f"inputs.{name}" in text.split("runs:")[1] and told["description"], name


def test_outputs_are_those_that_a_check_writes() -> None:
    from sample_check import sample_check

    from fairprint.reports.github import outputs

    assert set(ACTION["outputs"]) == {*outputs(sample_check()), "report-path"}
    for name, told in ACTION["outputs"].items():
        step = "audit" if name == "report-path" else "check"
        assert told["value"] == f"${{{{ steps.{step}.outputs.{name} }}}}"


def test_what_was_found_is_kept_whatever_the_verdict() -> None:
    last = STEPS[-1]
    assert last["if"] == "always()" and last["uses"].startswith("actions/upload-artifact@")
    assert all("@" in step["uses"] for step in STEPS if "uses" in step)


@pytest.mark.parametrize("name", ["audit", "check"])
def test_every_option_of_the_action_exists(name: str) -> None:
    (step,) = [step for step in STEPS if f"fairprint {name}" in step.get("run", "")]
    used = set(OPTION.findall(step["run"]))
    assert used and used <= options(name)
    for variable in (key for key in step["env"] if key.startswith("FAIRPRINT_")):
        assert variable in {p.envvar for p in get_command(app).commands[name].params}  # type: ignore[attr-defined]


HOSTILE = """a "b' $(touch made) `touch made`; touch made"""
RECORDER = "#!/bin/bash\nprintf '%s\\0' \"$@\" > arguments\n"


@pytest.mark.parametrize(
    ("name", "environment", "arguments"),
    [
        (
            "audit",
            {"MODEL": "--help", "PROBES": "age my.yaml", "AUDIT_OPTIONS": f"--device=cpu\n\n{HOSTILE}\n"},
            ["audit", "--probes", "age", "--probes", "my.yaml", "--device=cpu", HOSTILE, "--quiet", "--report",
             "fairprint-out/report.html", "--", "--help"],
        ),
        (
            "check",
            {"RUN": HOSTILE, "CONFIG": HOSTILE, "BASELINE": ""},
            ["check", "--junit", "fairprint-out/junit.xml", "--write-candidate",
             "fairprint-out/fairprint-baseline.json", "--config", HOSTILE, "--", HOSTILE],
        ),
    ],
)  # fmt: skip
def test_every_input_reaches_the_command_as_it_is(
    name: str, environment: dict[str, str], arguments: list[str], tmp_path: Path
) -> None:
    (step,) = [step for step in STEPS if f"fairprint {name}" in step.get("run", "")]
    assert set(environment) | {"FAIRPRINT_STRICT", "FAIRPRINT_REQUIRE_BASELINE"} >= set(step["env"])
    command = tmp_path / "bin" / "fairprint"  # writes down what it is called with
    command.parent.mkdir()
    command.write_text(RECORDER)
    command.chmod(0o755)
    # as GitHub starts bash
    subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=tmp_path,
        env={"PATH": f"{command.parent}:{os.environ['PATH']}", "GITHUB_OUTPUT": str(tmp_path / "outputs")}
        | environment,
        check=True,
    )
    assert (tmp_path / "arguments").read_text().split("\0")[:-1] == arguments
    assert not (tmp_path / "made").exists()
    if name == "audit":
        assert (tmp_path / "outputs").read_text() == f"report-path={tmp_path}/fairprint-out/report.html\n"


def test_the_hooks_load_no_model_and_name_commands_that_exist() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert [hook["entry"].split()[1] for hook in hooks] == ["check", "card"]
    for hook in hooks:
        program, command, *given = hook["entry"].split()
        assert hook["language"] == "system" and hook["pass_filenames"] is False
        assert program == "fairprint" and given and set(given) <= options(command)


def test_the_workflow_of_the_readme_is_one() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(name: model.*?)```", text, re.S)
    workflow = yaml.safe_load(block)
    (job,) = workflow["jobs"].values()
    scripts = "\n".join(step.get("run", "") for step in job["steps"])
    assert workflow["permissions"] == {"contents": "read"} and "${{" not in scripts
    for line in re.findall(r"fairprint .*", scripts):
        name = line.split()[1]
        assert set(OPTION.findall(line)) <= options(name), line


def test_the_limits_of_the_readme_can_be_used(tmp_path: Path) -> None:
    from fairprint.audit.settings import read_settings

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = [block for block in re.findall(r"```toml\n(.*?)```", text, re.S) if "tool.fairprint" in block]
    (tmp_path / "pyproject.toml").write_text(block)
    assert len(read_settings(None, tmp_path).settings.limits) >= 4
