"""The command that writes model cards, and the call that a training script makes, on real stored runs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from huggingface_hub.utils.endpoint_helpers import _is_emission_within_threshold
from sample_benchmarks import benchmark_record
from sample_metered import sample_metered
from sample_record import sample_record, suite_record
from typer.testing import CliRunner

from fairprint.audit.metered import MeteredRecord
from fairprint.audit.records import RunRecord, to_json
from fairprint.probes.errors import CardError, FairprintError, UsageError
from fairprint.reports import cli
from fairprint.reports.card import made_card, update_card

HUMAN = (
    "---\nlicense: mit\nlanguage: no\n---\n\n# My model\n\nWords of mine.\n\n## Bias, Risks, and Limitations\n\n"
    "[More Information Needed]\n\n### Recommendations\n\nMine.\n"
)


def keep(store: Path, *records: RunRecord | MeteredRecord) -> Path:
    """Store records as the meter and the audit do."""
    for record in records:
        folder = store / record.run_id
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(to_json(record), encoding="utf-8")
        if isinstance(record, RunRecord):
            (folder / "plan.json").write_text(to_json(record.plan), encoding="utf-8")
        else:
            (folder / "journal.jsonl").write_text("", encoding="utf-8")
    return store


def trained(**changes: Any) -> MeteredRecord:
    return sample_metered(
        **{"purpose": "fine-tuning", "parent": None, "lineage": (), "overlaps": (), "budget": None, **changes}
    )


@pytest.fixture
def store(tmp_path: Path) -> Path:
    audit = sample_record(lineage=("20260301T100000000Z-fine-tune-1a2b",))
    return keep(tmp_path / "store", audit, trained())


def run(*arguments: object, code: int = 0) -> Any:
    done = CliRunner().invoke(cli.app, ["card", *map(str, arguments)])
    if isinstance(done.exception, FairprintError):
        assert done.exception.exit_code == code, done.exception
    else:
        assert done.exit_code == code, (done.output, done.exception)
    return done


# writing


def test_a_new_card_is_made_from_the_template_and_the_hub_s_client_reads_it(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    run("--store", store, "--into", tmp_path, "--report", "https://example.org/report.html")
    card = ModelCard.load(path)
    found = {(r.dataset_config, r.metric_type): r for r in card.data.eval_results}
    score = found["gendered-occupations/fill", "stereotype_score"]

    assert "## Model Details" in card.text
    assert (score.metric_value, score.dataset_name) == (0.7123, "Gendered occupations (fill)")
    assert score.metric_args["items"] == 552
    assert (score.metric_args["low"], score.metric_args["high"]) == (0.644, 0.7758)
    assert score.source_url == "https://example.org/report.html"
    assert ("he-was-very/likelihood", "group_gap") in found
    # 60 Wh with a PUE of 1.2 at 381 g/kWh
    assert card.data.co2_eq_emissions["emissions"] == 27.43
    assert card.data.co2_eq_emissions["training_type"] == "fine-tuning"
    info = type("Info", (), {"card_data": card.data, "cardData": card.data.to_dict()})()
    assert _is_emission_within_threshold(info, 27.0, 28.0)
    assert not _is_emission_within_threshold(info, 0.0, 27.0)


def test_every_subset_of_a_benchmark_keeps_its_name(tmp_path: Path) -> None:
    store = keep(tmp_path / "store", suite_record(), benchmark_record(run_id="20251124T103105-benchmarks"))
    run(
        "20251122T103105-suite-7f3b", "20251124T103105-benchmarks", "--store", store, "--into", tmp_path, "--no-figures"
    )
    results = ModelCard.load(tmp_path / "README.md").data.eval_results
    by_config = {r.dataset_config: r.dataset_name for r in results}

    assert by_config["crows-pairs/aul/category:gender"] == "CrowS-Pairs (aul/category:gender)"
    assert by_config["crows-pairs/aul"] == "CrowS-Pairs (aul)"
    assert by_config["nationality/after-group/mexican vs american"].startswith("Nationality (after-group/")
    assert all(r.dataset_name.endswith(f"({r.dataset_config.partition('/')[2]})") for r in results)


def test_a_second_run_changes_nothing_and_what_others_wrote_stays(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_bytes(HUMAN.replace("\n", "\r\n").encode())
    run("--store", store, "--into", path)
    first = path.read_bytes()
    picture = tmp_path / "fairprint-card" / "overview.svg"
    drawn = {file: file.read_bytes() for file in picture.parent.iterdir()}
    run("--store", store, "--into", path)

    assert path.read_bytes() == first
    assert drawn == {file: file.read_bytes() for file in picture.parent.iterdir()}
    assert b"language: no\r\n" in first
    run("--remove", "--into", path)
    assert path.read_bytes() == HUMAN.replace("\n", "\r\n").encode()
    assert not picture.parent.exists()


def test_the_pictures_lie_beside_the_card_and_have_a_text_in_their_place(store: Path, tmp_path: Path) -> None:
    run("--store", store, "--into", tmp_path, "--figures", "pictures")
    text = (tmp_path / "README.md").read_text()
    shown = re.findall(r"^!\[(.+)\]\(<(pictures/[a-z0-9-]+\.svg)>\)$", text, re.MULTILINE)

    assert shown
    assert all((tmp_path / address).read_bytes().startswith(b"<?xml") for _, address in shown)
    run("--store", store, "--into", tmp_path, "--no-figures")
    assert not (tmp_path / "pictures").exists()
    assert "![" not in (tmp_path / "README.md").read_text()


def test_a_report_is_linked_by_its_way_from_the_card(store: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "card").mkdir()
    (tmp_path / "out" / "report.html").write_text("x")
    run("--store", store, "--into", tmp_path / "card", "--report", tmp_path / "out" / "report.html")

    assert "[full report](<../out/report.html>)" in (tmp_path / "card" / "README.md").read_text()


# checking


def test_check_tells_absent_current_stale_and_hand_edited(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(HUMAN)
    assert "has no part of ours" in run("--check", "--store", store, "--into", path, code=1).output
    assert path.read_text() == HUMAN

    run("--store", store, "--into", path, "--scope", "trials")
    # made in the same way again, without saying how
    assert "up to date" in run("--check", "--store", store, "--into", path).output
    newer = keep(store, suite_record(run_id="20251130T000000-newer"))
    assert "up to date" in run("--check", "--store", newer, "--into", path).output
    assert "stale" in run("20251130T000000-newer", "--check", "--store", newer, "--into", path, code=1).output

    edited = path.read_text().replace("In 71 % of 552", "In 50 % of 552")
    path.write_text(edited)
    assert "edited by hand" in run("--check", "--store", store, "--into", path, code=1).output
    done = run("--store", store, "--into", path, code=2)
    assert isinstance(done.exception, CardError)
    assert path.read_text() == edited
    run("--store", store, "--into", path, "--force")
    assert "In 71 % of 552" in path.read_text()


def test_a_picture_that_is_gone_makes_a_card_stale(store: Path, tmp_path: Path) -> None:
    run("--store", store, "--into", tmp_path)
    next((tmp_path / "fairprint-card").iterdir()).unlink()

    assert "stale" in run("--check", "--store", store, "--into", tmp_path, code=1).output


def test_diff_shows_what_would_change_and_writes_nothing(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(HUMAN)
    done = run("--diff", "--store", store, "--into", path)

    assert re.search(r"^\+#* ?.*In 71 % of 552 sentence pairs", done.output, re.MULTILINE)
    assert path.read_text() == HUMAN
    assert not (tmp_path / "fairprint-card").exists()


def test_json_is_json_alone(store: Path, tmp_path: Path) -> None:
    told = json.loads(run("--store", store, "--into", tmp_path, "--json").stdout)

    assert told["schema_version"] == 1
    assert told["emissions_g"] == 27.43
    assert told["state"] == "absent"
    assert told["written"] is True
    assert told["runs"] == ["20260301T100000000Z-fine-tune-1a2b", "20251122T103105-smollm2-135m-7f3a"]
    assert json.loads(run("--store", store, "--into", tmp_path, "--check", "--json").stdout)["state"] == "current"
    assert json.loads(run("--into", tmp_path, "--remove", "--json").stdout)["removed"] is True


def test_metadata_that_the_hub_would_misread_are_told_whoever_wrote_them(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(HUMAN.replace("language: no\n", "language: en\nmodel-index:\n- name: x\n  results: []\n"))
    run("--store", store, "--into", path, "--name", "x")
    assert json.loads(run("--check", "--store", store, "--into", path, "--json").stdout)["problems"] == []

    wrong = path.read_text().replace("license: mit", "license: {a: b}")
    path.write_text(wrong)
    done = run("--check", "--store", store, "--into", path, code=1)
    assert "error" in done.output
    assert "README.md:2: license" in done.output


# refusing


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("nothing-like-this",), "no run 'nothing-like-this'"),
        (("--scope", "all"), "expected one of final, trials, audits"),
        (("--figures", "../elsewhere"), "expected one beside the card"),
        (("--figures", "x", "--no-figures"), "do not go together"),
        (("--remove",), "there is no"),
    ],
)
def test_wrong_usage_writes_nothing(store: Path, tmp_path: Path, options: tuple[str, ...], told: str) -> None:
    done = run(*options, "--store", store, "--into", tmp_path / "README.md", code=2)

    assert told in str(done.exception)
    assert not (tmp_path / "README.md").exists()


def test_a_run_that_is_not_complete_is_refused_without_allow_partial(tmp_path: Path) -> None:
    store = keep(tmp_path / "store", sample_record(status="partial"))
    assert isinstance(run("--store", store, "--into", tmp_path, code=2).exception, UsageError)
    run("--store", store, "--into", tmp_path, "--allow-partial")

    assert "Not a whole audit" in (tmp_path / "README.md").read_text()
    run("--store", store, "--into", tmp_path, "--check")


def test_a_comment_that_was_meddled_with_names_no_file_elsewhere(store: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim.svg"
    victim.write_text("x")
    (tmp_path / "card").mkdir()
    path = tmp_path / "card" / "README.md"
    run("--store", store, "--into", path)
    text = path.read_text()
    path.write_text(
        re.sub(r'"figures": "[^"]*", (.*)"pictures": \[[^]]*\]', r'"figures": "..", \1"pictures": ["victim.svg"]', text)
    )
    run("--remove", "--force", "--into", path)

    assert victim.exists()


# other ways in


def test_the_hook_runs_the_check() -> None:
    hooks = yaml.safe_load((Path(__file__).parents[1] / ".pre-commit-hooks.yaml").read_text())
    hook = next(hook for hook in hooks if hook["id"] == "fairprint-card-check")

    assert hook["entry"] == "fairprint card --check"
    assert hook["pass_filenames"] is False


def test_the_command_and_its_check_load_nothing_heavy(store: Path, tmp_path: Path) -> None:
    run("--store", store, "--into", tmp_path)
    code = (
        "import sys; from fairprint.reports.cli import app\n"
        "try: app(sys.argv[1:], standalone_mode=False)\n"
        "finally: print(sorted({'torch', 'transformers', 'matplotlib', 'pandas', 'codecarbon'} & set(sys.modules)))"
    )
    for options in (("--help",), ("--check", "--store", str(store), "--into", str(tmp_path))):
        done = subprocess.run(
            [sys.executable, "-c", code, "card", *options], capture_output=True, text=True, env=os.environ, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.rstrip().endswith("[]")


def test_sections_come_back_after_a_trainer_wrote_its_card_over_them(tmp_path: Path) -> None:
    from test_training import trainer_in

    from fairprint.audit.training import meter_trainer

    store = keep(tmp_path / "store", sample_record())
    trainer = meter_trainer(
        trainer_in(tmp_path, num_train_epochs=1),
        store=store,
        country_iso_code="KOR",
        purpose="fine-tuning",
        task="counting",
    )
    trainer.train()
    metered = next(path.parent.name for path in store.glob("*/journal.jsonl"))
    path = Path(trainer.args.output_dir) / "README.md"
    trainer.create_model_card()
    bare = path.read_text()
    update_card(path, [metered, "20251122T103105-smollm2-135m-7f3a"], store)
    first = ModelCard.load(path)
    assert first.data.eval_results
    trainer.create_model_card()
    assert "fairprint:begin" not in path.read_text()

    card = update_card(path, [metered, "20251122T103105-smollm2-135m-7f3a"], store)
    assert ModelCard.load(path).data.co2_eq_emissions == first.data.co2_eq_emissions
    assert "## Bias, Risks, and Limitations" in path.read_text()
    assert made_card(path, store=store).state == "current"
    assert card.parts.emissions is not None
    run("--remove", "--into", path)
    assert path.read_text() == bare
