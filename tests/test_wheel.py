"""The package that users install: built from the tracked files, then run where none of the heavy packages are."""

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PACKAGES = ("probes", "audit", "reports")
LIGHT = ("typer", "rich", "pydantic", "PyYAML", "MarkupSafe")
"""All that a command needs that runs no model."""

METADATA = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "top_level.txt", "licenses/LICENSE"}


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as on a machine where nobody has set a search path for modules."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the tracked files: the checkout may hold a build folder with modules of last week."""
    listed = run("git", "ls-files", "-z", cwd=ROOT)
    names = [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    if listed.returncode or not names:
        pytest.skip("needs a git checkout: the wheel is built from the tracked files")
    folder = tmp_path_factory.mktemp("source")
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    built = run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source, cwd=source)
    assert built.returncode == 0, built.stdout[-4000:] + built.stderr[-4000:]
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def clean_bin(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bin folder of a new environment: the wheel, links to the light packages, and nothing else."""
    environment = tmp_path_factory.mktemp("clean")
    python = environment / "bin" / "python"
    made = run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=environment)
    assert made.returncode == 0, made.stderr
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index")
    installed = run(*pip, wheel, cwd=environment)
    assert installed.returncode == 0, installed.stderr
    (site,) = environment.glob("lib/python3*/site-packages")
    for name in with_requirements(LIGHT):
        link(name, site)
    return environment / "bin"


def with_requirements(names: tuple[str, ...]) -> set[str]:
    """Return these distributions and all that they need on this machine."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop().lower()
        if name not in found:
            found.add(name)
            needed = [Requirement(text) for text in distribution(name).requires or ()]
            waiting += [r.name for r in needed if r.marker is None or r.marker.evaluate({"extra": ""})]
    return found


def link(name: str, site: Path) -> None:
    """Link what a distribution has put into this environment into another one; faster than pip, and offline."""
    found = distribution(name)
    for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
        (site / top).symlink_to(Path(str(found.locate_file(top))))


def test_the_wheel_holds_all_of_the_three_packages_and_nothing_else(source: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    metadata = {name for name in held if ".dist-info/" in name}
    files = {
        f"fairprint/{path.relative_to(source).as_posix()}"
        for package in PACKAGES
        for path in (source / package).rglob("*")
        if path.is_file()
    }

    assert sorted(held - metadata) == sorted(files)
    assert {name.partition(".dist-info/")[2] for name in metadata} <= METADATA
    assert {name.rpartition(".")[2] for name in files} == {"py", "txt", "typed", "yaml", "html", "css", "js"}


def test_the_clean_environment_is_clean(clean_bin: Path, tmp_path: Path) -> None:
    absent = ("torch", "transformers", "numpy", "scipy", "pandas", "matplotlib", "codecarbon", "pyarrow", "jinja2")
    script = f"import importlib.util as u; print([m for m in {absent!r} if u.find_spec(m) is not None])"
    found = run(clean_bin / "python", "-c", script, cwd=tmp_path)

    assert found.stdout.strip() == "[]", found.stderr


def test_the_installed_command_is_the_wheel_and_not_the_checkout(clean_bin: Path, tmp_path: Path) -> None:
    script = "import fairprint.probes as p; print(*p.__path__)"
    found = run(clean_bin / "python", "-c", script, cwd=tmp_path)

    assert Path(found.stdout.strip()).is_relative_to(clean_bin.parent), found.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--help", "Usage: fairprint"),
        ("probes list", "gendered-occupations"),
        ("probes show he-was-very", "cannot show"),
        ("probes validate gendered-occupations", "gendered-occupations: valid"),
        ("probes validate mine.yaml", "mine.yaml: valid"),
        ("probes schema", "properties"),
        ("runs list", "none"),
    ],
)
def test_a_command_that_runs_no_model_needs_none_of_the_heavy_packages(
    arguments: str, said: str, source: Path, clean_bin: Path, tmp_path: Path
) -> None:
    shutil.copy(source / "probes" / "data" / "gendered-occupations.yaml", tmp_path / "mine.yaml")
    done = run(clean_bin / "fairprint", *arguments.split(), cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert said in done.stdout
