"""How fast the command answers, and what it loads to do so."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from fairprint.reports.cli import app

COMMAND = Path(sys.executable).with_name("fairprint")
SECONDS_FOR_HELP = 0.5
TORCH_AND_THE_LIKE = {"torch", "transformers", "matplotlib", "codecarbon"}
ALL_THAT_IS_SLOW = TORCH_AND_THE_LIKE | {"pandas", "pydantic", "numpy", "scipy", "pyarrow", "rich"}

RUN_AND_LIST_MODULES = """
import json, sys
from fairprint.reports.cli import main
sys.argv[0] = "fairprint"
try:
    main()
except SystemExit as stop:
    if stop.code:
        raise
print(json.dumps(sorted(name for name in sys.modules if "." not in name)), file=sys.stderr)
"""

IMPORT_ALL_OF = """
import importlib, json, pkgutil, sys
for package in sys.argv[1:]:
    for found in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        importlib.import_module(found.name)
print(json.dumps(sorted(name for name in sys.modules if "." not in name or name.startswith("fairprint."))))
"""


def python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def loaded_by(*arguments: str, cwd: Path) -> set[str]:
    """Return the top-level modules that a command of ours loads; what it printed must not be nothing."""
    done = python("-c", RUN_AND_LIST_MODULES, *arguments, cwd=cwd)
    assert done.stdout.strip()
    return set(json.loads(done.stderr.splitlines()[-1]))


def commands(node: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command and of every group of commands."""
    yield path
    for name, child in getattr(node, "commands", {}).items():
        yield from commands(child, (*path, name))


COMMANDS = list(commands(get_command(app)))


def test_help_answers_at_once(tmp_path: Path) -> None:
    seconds = []
    for _ in range(5):
        before = os.times()
        done = subprocess.run([COMMAND, "--help"], cwd=tmp_path, capture_output=True, text=True, check=False)
        after = os.times()
        # the processor's time: how long one waits for it on a busy machine is no matter of ours
        spent = after.children_user - before.children_user + after.children_system - before.children_system
        seconds.append(spent)
        assert done.returncode == 0, done.stderr
        assert "Usage: fairprint" in done.stdout

    assert min(seconds) < SECONDS_FOR_HELP, f"--help took {min(seconds):.2f} s at best: {seconds}"


def test_help_loads_nothing_slow(tmp_path: Path) -> None:
    assert loaded_by("--help", cwd=tmp_path) & ALL_THAT_IS_SLOW == set()


@pytest.mark.parametrize(
    "arguments",
    ["probes list", "probes list --json", "probes validate gendered-occupations", "probes schema", "runs list"],
)
def test_a_command_that_runs_no_model_loads_no_torch(arguments: str, tmp_path: Path) -> None:
    assert loaded_by(*arguments.split(), cwd=tmp_path) & TORCH_AND_THE_LIKE == set()


def test_the_walk_over_commands_sees_them_all() -> None:
    assert {("audit",), ("report",), ("doctor",), ("probes", "validate"), ("runs", "scores")} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command) or "fairprint")
def test_every_command_explains_itself(command: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"])
    usage, _, said = result.output.partition("\n")

    assert result.exit_code == 0, result.output
    assert usage.startswith("Usage:")
    assert said.split("Options:")[0].strip(), "a command needs a sentence that says what it does"


def test_all_of_probes_loads_neither_torch_nor_numpy(tmp_path: Path) -> None:
    loaded = set(json.loads(python("-c", IMPORT_ALL_OF, "fairprint.probes", cwd=tmp_path).stdout))

    assert "fairprint.probes.tasks" in loaded
    assert loaded & (ALL_THAT_IS_SLOW - {"pydantic"}) == set()


def test_importing_every_module_warns_of_nothing(tmp_path: Path) -> None:
    packages = ("fairprint.probes", "fairprint.audit", "fairprint.reports")
    done = python("-W", "error", "-c", IMPORT_ALL_OF, *packages, cwd=tmp_path)

    assert {"fairprint.reports.cli", "fairprint.audit.backends.causal"} <= set(json.loads(done.stdout))
    assert done.stderr == ""
