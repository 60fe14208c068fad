"""A project's gate from end to end, in a git repository of its own: audit, baseline, audit again, and a worse model."""

import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tiny
import transformers
from planted import OCCUPATIONS, TEXTS, planted, probe_texts, tuned

from fairprint.audit.models import Opened
from fairprint.probes.catalog import own_set
from fairprint.reports.cli import main
from fairprint.reports.github import markdown

ROOT = Path(__file__).parents[1]
FAIRPRINT = str(Path(sys.executable).with_name("fairprint"))
LIMITS = """\
[project]
name = "a-model"

[[tool.fairprint.limits]]
metric = "stereotype_score"
probes = "gendered-occupations"
margin = 50.0

[[tool.fairprint.limits]]
metric = "signed_effect"
probes = "gendered-occupations"
margin = 0.2

[[tool.fairprint.limits]]
metric = "energy_kwh"
max = 1000.0
"""
EFFECT, SCORE = f"signed_effect of {OCCUPATIONS}", f"stereotype_score of {OCCUPATIONS}"


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Project:
    """A repository with settings, and a model before and after."""

    folder: Path
    before: Path
    after: Path
    run: Callable[..., Ended]

    def check(self, *arguments: str) -> Ended:
        return self.run("check", *arguments)

    def audit(self, model: Path, *probes: str) -> None:
        asked = [option for name in probes or (OCCUPATIONS,) for option in ("--probes", name)]
        ended = self.run("audit", str(model), *asked, "-q", "--country-iso-code", "KOR")
        assert ended.code == 0, ended.err


@pytest.fixture
def fairprint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> Ended:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["fairprint", *arguments])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        shown = capsys.readouterr()
        return Ended(code, shown.out, shown.err)

    return run


@pytest.fixture(scope="module")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A small model, and itself after an association was planted."""
    folder, occupations = tmp_path_factory.mktemp("models"), own_set(OCCUPATIONS)
    tokenizer = tiny.words([v.text for item in occupations.items for v in item.variants])
    model = tiny.gpt2(tokenizer, initializer_range=0.2, n_layer=1)
    tiny.train(model, tokenizer, probe_texts(occupations, 0.5), steps=60)
    for name, share in (("before", None), ("after", 0.95)):
        if share is not None:
            tiny.train(model, tokenizer, probe_texts(occupations, share), steps=60)
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return folder / "before", folder / "after"


@pytest.fixture
def project(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fairprint: Callable[..., Ended]
) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(LIMITS)
    (folder / ".gitignore").write_text("fairprint-runs/\n")
    git(folder, "init", "-q")
    monkeypatch.chdir(folder)
    models = request.getfixturevalue(getattr(request, "param", "small_models"))
    return Project(folder, *models, fairprint)


@pytest.fixture
def real_models(smollm2: Opened, tmp_path: Path) -> tuple[Path, Path]:
    """SmolLM2-135M, and itself after forty steps on planted sentences, of its last four layers."""
    backend: Any = smollm2.backend
    for name, model in (("before", backend.model), ("after", tuned(backend.model, backend.tokenizer, planted(1.0)))):
        # weights that were read from a GGUF file can only be saved from a model that was not
        config = transformers.LlamaConfig(**{k: v for k, v in model.config.to_dict().items() if "quant" not in k})
        saved = transformers.AutoModelForCausalLM.from_config(config)
        saved.load_state_dict(model.state_dict())
        saved.save_pretrained(tmp_path / name)
        backend.tokenizer.save_pretrained(tmp_path / name)
    return tmp_path / "before", tmp_path / "after"


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    done = subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


@pytest.mark.parametrize(
    "project", ["small_models", pytest.param("real_models", marks=pytest.mark.slow)], indirect=True
)
def test_the_gate_from_the_first_audit_to_a_model_that_got_worse(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.audit(project.before)
    first = project.check()
    assert first.code == 0 and "fairprint-baseline.json does not exist" in first.out + first.err
    assert project.check("--require-baseline").code == 4
    assert project.check("--strict").code == 5

    written = project.run("baseline", "update", "--reason", "the first release")
    assert written.code == 0 and "fairprint-baseline.json" in written.out
    git(project.folder, "add", "-A")
    git(project.folder, "commit", "-qm", "A baseline")
    assert "fairprint-baseline.json" in git(project.folder, "ls-files")
    assert (project.folder / "fairprint-baseline.json").stat().st_size < 500_000

    project.audit(project.before)
    again = project.check()
    assert again.code == 0 and again.out.count("identical answers") >= 2
    assert json.loads(project.check("--json").out)["identical"] is True

    project.audit(project.after)
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "outputs"))
    worse = project.check("--junit", "fairprint.xml", "--github")
    assert worse.code == 1
    assert any("FAIL" in line and EFFECT in line for line in worse.out.splitlines())
    assert not any("FAIL" in line and SCORE in line for line in worse.out.splitlines())
    failed = [
        case.get("name") for case in ET.parse("fairprint.xml").iter("testcase") if case.find("failure") is not None
    ]
    assert failed == [EFFECT]
    assert markdown(EFFECT) in summary.read_text() and "verdict" in (tmp_path / "outputs").read_text()
    errors = [line for line in worse.out.splitlines() if line.startswith("::error")]
    assert len(errors) == 1 and EFFECT in errors[0] and "file=pyproject.toml,line=9" in errors[0]


def test_what_cannot_be_judged_has_exit_codes_of_its_own(project: Project) -> None:
    project.audit(project.before)
    assert project.run("baseline", "update", "--reason", "the first release").code == 0

    # other questions under the same name
    text = (ROOT / "probes" / "data" / f"{OCCUPATIONS}.yaml").read_text(encoding="utf-8")
    changed = project.folder / f"{OCCUPATIONS}.yaml"
    changed.write_text(text.replace("version: ", "version: 9", 1), encoding="utf-8")
    project.audit(project.before, str(changed))
    other = project.check()
    assert other.code == 4 and "asks other questions" in other.out

    settings = project.folder / "pyproject.toml"
    settings.write_text(LIMITS.replace("stereotype_score", "stereotype_scores"))
    missing = project.check()
    assert missing.code == 3 and "Did you mean 'stereotype_score'?" in missing.out

    settings.write_text(LIMITS.replace("margin = 0.2", "margn = 0.2"))
    typo = project.check()
    assert typo.code == 2 and "pyproject.toml:12" in typo.err and "Did you mean 'margin'?" in typo.err
    assert project.run("check", "--config-only").code == 2

    settings.write_text(LIMITS)
    assert project.run("check", "--config-only").code == 0
    assert json.loads(project.run("check", "--schema").out)["properties"]["require-baseline"]


def test_an_interrupted_check_ends_with_130(project: Project) -> None:
    project.audit(project.before)
    baseline = project.folder / "fairprint-baseline.json"
    os.mkfifo(baseline)  # nothing is written to it, so that the check waits
    with subprocess.Popen([FAIRPRINT, "check"], cwd=project.folder, stderr=subprocess.PIPE, text=True) as process:
        writer = opened_beside_a_reader(baseline)
        process.send_signal(signal.SIGINT)
        _, shown = process.communicate(timeout=30)
        os.close(writer)
    assert process.returncode == 130 and shown.strip() == "interrupted"


def opened_beside_a_reader(pipe: Path) -> int:
    """Open a named pipe for writing as soon as somebody reads from it; nothing is written."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            assert time.monotonic() < deadline, "nobody reads the baseline"
            time.sleep(0.02)


def test_a_check_starts_quickly_and_loads_no_model_library(project: Project) -> None:
    project.audit(project.before)
    assert project.run("baseline", "update", "--reason", "the first release").code == 0
    script = (
        "import sys; from fairprint.reports.cli import main; sys.argv = ['fairprint', 'check']\n"
        "try: main()\nexcept SystemExit as ended: assert not ended.code, ended.code\n"
        "print(sorted({'torch', 'transformers', 'matplotlib', 'codecarbon', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=project.folder, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_utility_limit_is_a_limit_like_any_other(project: Project) -> None:
    settings = project.folder / "pyproject.toml"
    settings.write_text(LIMITS + f'[[tool.fairprint.limits]]\nmetric = "perplexity"\nprobes = "{TEXTS}"\n')
    project.audit(project.before, OCCUPATIONS, TEXTS)
    assert project.run("baseline", "update", "--reason", "the first release").code == 0
    project.audit(project.after, OCCUPATIONS, TEXTS)
    told = json.loads(project.check("--json").out)
    limit = next(limit for limit in told["limits"] if limit["metric"] == "perplexity")
    assert limit["direction"] == "up" and limit["baseline"] is not None and limit["verdict"] != "error"
