"""The pytest plugin in a small project of its own: right test fails, nothing happens where nothing is asked."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from planted import OCCUPATIONS, TEXTS, small_runs

from fairprint.audit.baseline import make_baseline, write_baseline
from fairprint.audit.store import RunFolder

LIMITS = f"""\
[[limits]]
metric = "signed_effect"
probes = "{OCCUPATIONS}"
margin = 0.1

[[limits]]
metric = "perplexity"
probes = "{TEXTS}"
margin = 1000.0

[[limits]]
metric = "signed_effect"
probes = "{OCCUPATIONS}"
max = 90.0
name = "the effect itself"

[[limits]]
metric = "candidate_mass"
probes = "{OCCUPATIONS}"
direction = "down"
margin = 0.0001
"""
ALL = "def test_limits(fairprint_limit):\n    fairprint_limit.check()\n"
EFFECT = f"signed_effect of {OCCUPATIONS}"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, shared_folder: Path) -> dict[str, RunFolder]:
    return small_runs(tmp_path_factory.mktemp("store"), shared_folder)


@pytest.fixture
def project(tmp_path: Path, runs: dict[str, RunFolder]) -> Path:
    from datetime import UTC, datetime

    (tmp_path / "fairprint.toml").write_text(LIMITS)
    write_baseline(make_baseline(runs["base"], [], "first", datetime.now(UTC)), tmp_path / "fairprint-baseline.json")
    (tmp_path / "pytest.ini").write_text(f"[pytest]\nfairprint_store = {runs['base'].path.parent}\n")
    (tmp_path / "test_model.py").write_text(ALL)
    return tmp_path


def run(folder: Path, *arguments: str) -> tuple[int, str, dict[str, list[str]]]:
    """Run pytest there; return its code, what it shows, and the elements below each case of its JUnit file."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--junit-xml=out.xml", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    root = ET.parse(folder / "out.xml").getroot()
    cases = {
        str(case.get("name")).partition("[")[2].rstrip("]"): [child.tag for child in case if child.tag != "properties"]
        for case in root.iter("testcase")
    }
    return done.returncode, done.stdout + done.stderr, cases


def test_the_same_model_passes_and_its_numbers_stand_in_the_report(project: Path, runs: dict[str, RunFolder]) -> None:
    code, shown, cases = run(project, "--fairprint-run", runs["again"].run_id)
    assert code == 0, shown
    assert list(cases) == [
        EFFECT,
        f"perplexity of {TEXTS}",
        "the effect itself (the number itself)",
        f"candidate_mass of {OCCUPATIONS}",
    ]
    assert cases[EFFECT] == []
    told = {p.get("name"): p.get("value") for p in ET.parse(project / "out.xml").iter("property")}
    assert told["fairprint.verdict"] == "pass" and "fairprint.items" in told


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one process", "two workers"])
def test_a_worse_model_fails_exactly_the_right_test(
    project: Path, runs: dict[str, RunFolder], workers: tuple[str, ...]
) -> None:
    code, shown, cases = run(project, "--fairprint-run", runs["planted"].run_id, *workers)
    assert code == 1, shown
    assert [name for name, below in cases.items() if "failure" in below] == [EFFECT]
    assert "error" not in {tag for below in cases.values() for tag in below}
    assert "by more than 0.1 nats" in shown and "Traceback" not in shown


def test_a_mark_asks_for_one_limit_and_a_wrong_name_is_told_the_nearest(
    project: Path, runs: dict[str, RunFolder]
) -> None:
    marked = f'import pytest\n\n@pytest.mark.fairprint_limit("{EFFECT}")\n' + ALL
    (project / "test_model.py").write_text(marked)
    code, _, cases = run(project, "--fairprint-run", runs["again"].run_id, "--strict-markers")
    assert code == 0 and list(cases) == [EFFECT]
    (project / "test_model.py").write_text(marked.replace("signed_effect", "signed_efect"))
    code, shown, _ = run(project, "--fairprint-run", runs["again"].run_id)
    assert code == 1 and f"Did you mean '{EFFECT}'?" in shown


def test_strict_settings_fail_what_is_inconclusive_and_errors_are_errors(
    project: Path, runs: dict[str, RunFolder]
) -> None:
    (project / "fairprint-baseline.json").unlink()
    code, _, cases = run(project, "--fairprint-run", runs["planted"].run_id)
    assert code == 0 and cases[EFFECT] == ["skipped"]
    (project / "fairprint.toml").write_text("strict = true\n" + LIMITS.replace('"perplexity"', '"perplexit"'))
    code, shown, cases = run(project, "--fairprint-run", runs["planted"].run_id)
    assert code == 1 and cases[EFFECT] == ["failure"]
    assert "has no metric 'perplexit'" in shown and "Did you mean 'perplexity'?" in shown


def test_an_unrelated_run_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text("import sys\n\ndef test_it():\n    assert 'numpy' not in sys.modules\n")
    with_it, without = (
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", *extra],
            cwd=tmp_path, capture_output=True, text=True, check=True, env={"PYTHONDONTWRITEBYTECODE": "1"},
        )
        for extra in ((), ("-p", "no:fairprint"))
    )  # fmt: skip
    assert [line.partition(" in ")[0] for line in with_it.stdout.splitlines()] == [
        line.partition(" in ")[0] for line in without.stdout.splitlines()
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["test_other.py"]
