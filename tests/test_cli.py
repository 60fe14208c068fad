"""The command line: what it prints where, what it writes, and with which code it ends."""

import csv
import dataclasses
import errno
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import tiny
from commands import Ended, Run, commands

from fairprint.audit.meter import measure
from fairprint.audit.records import RunRecord
from fairprint.audit.store import RunFolder, Store
from fairprint.probes.catalog import READERS, own_names
from fairprint.probes.instruments import INSTRUMENTS
from fairprint.reports.cli import main

ESCAPE = "\x1b]0;owned\x07"
SET = """\
format: 1
name: {name}
version: 1
title: {title}
summary: A set for tests.
measures: nothing
harm_type: none
language: en
licence: CC0-1.0
sources: [made up]
criticism: [too small]
cannot_show: [anything]
groups:
- {{id: male, label: men, forms: {{subject: he}}}}
- {{id: female, label: women, forms: {{subject: she}}}}
scored: group
templates:
{templates}
lexemes:
- {{id: nurse, category: {category}, stereotyped: female, source: a table}}
- {{id: engineer, category: traffic, stereotyped: male, source: a table}}
"""


def write_set(file: Path, templates: int = 2, title: str = "Tiny", category: str = "care") -> Path:
    texts = [
        f'- {{id: t{n}, text: "The {{lexeme}} said {n} times that {{group.subject}} was late."}}'
        for n in range(templates)
    ]
    file.write_text(SET.format(name=file.stem, title=title, category=category, templates="\n".join(texts)))
    return file


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two models."""
    folder = tmp_path_factory.mktemp("models")
    for name, make, tokenizer in (("bert", tiny.bert, tiny.wordpiece()), ("gpt2", tiny.gpt2, tiny.byte_bpe())):
        make(tokenizer).save_pretrained(folder / f"tiny-{name}")
        tokenizer.save_pretrained(folder / f"tiny-{name}")
    return folder


@pytest.fixture
def fairprint(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in a folder of its own, which has two models, two probe files, and no store yet."""
    for model in models.iterdir():
        (tmp_path / model.name).symlink_to(model)
    write_set(tmp_path / "small.yaml", 2)
    write_set(tmp_path / "wide.yaml", 20)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FAIRPRINT_STORE", raising=False)
    monkeypatch.delenv("FAIRPRINT_COUNTRY_ISO_CODE", raising=False)
    return commands(monkeypatch, capsys)


AUDIT = ("audit", "tiny-bert", "--probes", "small.yaml")
BOTH = ("--probes", "small.yaml", "--probes", "wide.yaml")


def audited(fairprint: Run, *arguments: str) -> RunRecord:
    ended = fairprint("audit", *arguments, "--json")
    assert ended.code == 0, ended.err
    return RunRecord.model_validate_json(ended.out)


def only_run() -> RunFolder:
    (run,) = Store(Path("fairprint-runs")).runs()
    return run


def no_file_is_half_written() -> bool:
    return not [file for file in Path("fairprint-runs").rglob(".*")]


# --- exit code 2 -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("audit", "tiny-bert", "--probes", "gendered-ocupations"), "Did you mean 'gendered-occupations'?"),
        (("audit", "tiny-bert", "--probes", "missing.yaml"), "missing.yaml: no such file"),
        (
            ("audit", "tiny-bert", "--probes", "small.yaml", "--probes", "small.yaml"),
            "two probe sets are called 'small'",
        ),
        ((*AUDIT, "--country-iso-code", "Gemany"), "DEU (Germany)"),
        ((*AUDIT, "--device", "cpuu"), "Did you mean 'cpu'?"),
        ((*AUDIT, "--dtype", "float33"), "Did you mean 'float32'?"),
        ((*AUDIT, "--instrument", "sentense"), "Did you mean 'sentence'?"),
        ((*AUDIT, "--no-such-option"), "no-such-option"),
        ((*AUDIT, "--limit", "0"), "the limit is 0"),
        ((*AUDIT, "--limit", "many"), "--limit"),
        ((*AUDIT, "--batch-size", "0"), "batch-size"),
        ((*AUDIT, "--pue", "0.5"), "0.5"),
        ((*AUDIT, "--resume"), "no unfinished run of tiny-bert"),
        ((*AUDIT, "--report", "missing/report.html"), "missing/report.html cannot be written: no folder"),
        ((*AUDIT, "--report", "tiny-gpt2"), "it is a folder"),
        (("audit", "./tiny-brt", "--probes", "small.yaml"), "no such folder"),
        (("audit", "small.yaml", "--probes", "small.yaml"), "is a file; a model is a folder"),
        (("audit", "package:no_such_package", "--probes", "small.yaml"), "no installed package 'no_such_package'"),
        (("audit", "no-such-owner/no-such-model", "--probes", "small.yaml"), "or in the local cache (offline)"),
        (("audit", "./tiny-brt", "--dry-run"), "no such folder"),
        (("audit",), "Missing argument"),
        (("adit",), "adit"),
    ],
)
def test_wrong_usage_ends_with_2_and_a_sentence_and_writes_nothing(
    arguments: tuple[str, ...], said: str, fairprint: Run
) -> None:
    before = sorted(Path.cwd().iterdir())
    ended = fairprint(*arguments)
    assert ended.code == 2, ended.err
    assert said in ended.err
    assert ended.out == ""
    assert sorted(Path.cwd().iterdir()) == before


def test_a_store_that_is_a_file_ends_with_2_and_leaves_the_file_alone(fairprint: Run) -> None:
    Path("store").write_text("precious")
    for arguments in (AUDIT, ("runs", "list"), ("report", "latest", "-o", "report.html")):
        ended = fairprint(*arguments, "--store", "store")
        assert (ended.code, ended.out) == (2, "")
        assert "the store store is not a folder" in ended.err
    assert Path("store").read_text() == "precious"
    assert not Path("report.html").exists()


def test_an_error_has_a_way_out_on_a_line_of_its_own(fairprint: Run) -> None:
    ended = fairprint(*AUDIT, "--instrument", "guess")
    said, hint = ended.err.splitlines()
    assert said == "error: no instrument 'guess'."
    assert hint.startswith("try:   instruments: fill, after-group, pll-shared-tokens, ")


def test_a_trace_of_an_error_is_shown_where_it_is_asked_for(
    fairprint: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["fairprint", *AUDIT, "--instrument", "guess", "--verbose"])
    with pytest.raises(SystemExit, match="2"):
        main()
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert "error: no instrument 'guess'." in shown


# --- exit code 3 -----------------------------------------------------------------------------------------------------


def test_a_model_that_cannot_be_loaded_ends_with_3_and_writes_no_run(fairprint: Run) -> None:
    Path("broken").mkdir()
    Path("broken/config.json").write_text("{")
    ended = fairprint("audit", "broken", "--probes", "small.yaml")
    assert (ended.code, ended.out) == (3, "")
    assert "error: broken cannot be loaded" in ended.err
    assert not Path("fairprint-runs").exists()


def test_an_encoder_whose_config_names_a_head_that_is_missing_ends_with_3_and_writes_no_run(fairprint: Run) -> None:
    tokenizer = tiny.wordpiece()
    tiny.bert(tokenizer).bert.save_pretrained("encoder")
    tokenizer.save_pretrained("encoder")
    config = Path("encoder/config.json")
    config.write_text(config.read_text().replace('"BertModel"', '"BertForMaskedLM"'))
    ended = fairprint("audit", "encoder", "--probes", "small.yaml")
    assert (ended.code, ended.out) == (3, "")
    assert "error: encoder is a BertForMaskedLM without a language-model head" in ended.err
    assert "try:   an encoder opens as an embedding model where its config.json names its base class" in ended.err
    assert not Path("fairprint-runs").exists()


def test_sentences_for_language_models_cannot_be_asked_of_an_encoder(fairprint: Run) -> None:
    tokenizer = tiny.wordpiece()
    tiny.bert(tokenizer).bert.save_pretrained("encoder")
    tokenizer.save_pretrained("encoder")
    ended = fairprint("audit", "encoder", "--probes", "small.yaml")
    assert (ended.code, ended.out) == (2, "")
    assert "cannot be asked of a model of the kind 'encoder'" in ended.err
    assert not Path("fairprint-runs").exists()


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let the kernel refuse to make a file larger than this; Python ignores the signal that comes with it."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_ends_with_3_and_the_resumed_run_has_the_scores_of_an_uninterrupted_one(fairprint: Run) -> None:
    whole = audited(fairprint, "tiny-bert", *BOTH, "--store", "elsewhere")
    sizes = {file.stem: file.stat().st_size for file in Path("elsewhere").rglob("*.parquet")}
    assert list(whole.scores) == ["small.fill.0000", "wide.fill.0000"]
    # the larger files are those with the sentences, of which the wide set has more
    room = (sizes["small"] + sizes["wide"]) // 2
    with largest_file(room):
        ended = fairprint("audit", "tiny-bert", *BOTH)
    assert (ended.code, ended.out) == (3, "")
    assert os.strerror(errno.EFBIG) in ended.err
    assert "make room and repeat the command with --resume" in ended.err
    run = only_run()
    assert run.shard_names() == ["small.fill.0000"]
    assert not run.finished
    assert no_file_is_half_written()
    resumed = audited(fairprint, "tiny-bert", *BOTH, "--resume")
    assert resumed.run_id == only_run().run_id
    assert resumed.status == "complete"
    assert (resumed.scores, resumed.estimates) == (whole.scores, whole.estimates)
    assert (resumed.highlights, resumed.plan) == (whole.highlights, whole.plan)
    assert len(resumed.footprint.segments) == 2


def test_a_disk_that_is_full_from_the_start_ends_with_3_and_promises_nothing_to_resume(fairprint: Run) -> None:
    with largest_file(100):
        ended = fairprint(*AUDIT)
    assert (ended.code, ended.out) == (3, "")
    assert "plan.json cannot be written" in ended.err
    assert "--resume" not in ended.err
    assert fairprint(*AUDIT, "--quiet").code == 0


def test_a_disk_without_room_for_the_record_ends_with_3_and_is_finished_by_a_resumed_run(fairprint: Run) -> None:
    with largest_file(8000):
        ended = fairprint(*AUDIT)
    assert (ended.code, ended.out) == (3, "")
    assert "run.json cannot be written" in ended.err
    assert no_file_is_half_written()
    assert audited(fairprint, "tiny-bert", "--probes", "small.yaml", "--resume").run_id == only_run().run_id


def test_a_report_that_cannot_be_written_ends_with_3_and_the_run_is_kept(fairprint: Run) -> None:
    with largest_file(60_000):
        ended = fairprint(*AUDIT, "--report", "report.html")
    assert ended.code == 3
    assert "report.html: the report cannot be written" in ended.err
    assert only_run().finished
    assert not [file for file in Path.cwd().iterdir() if "report.html" in file.name]


# --- interrupted -----------------------------------------------------------------------------------------------------


def test_an_interrupted_run_ends_with_130_and_a_way_to_go_on(fairprint: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ("tiny-bert", "--probes", "small.yaml", "--instrument", "fill", "--instrument", "sentence")

    def interrupt(*given: object) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setitem(INSTRUMENTS, "sentence", dataclasses.replace(INSTRUMENTS["sentence"], task=interrupt))
        ended = fairprint("audit", *asked)
    assert (ended.code, ended.out) == (130, "")
    assert "interrupted; what was finished stays: repeat the command with --resume to go on" in ended.err
    run = only_run()
    assert run.shard_names() == ["small.fill.0000"]
    assert not run.finished
    (metered,), dead = run.segments()
    assert metered.duration_s > 0
    assert dead == []

    refused = fairprint("audit", *asked, "--resume", "--limit", "2")
    assert refused.code == 2
    assert "options.limit: was None, is 2" in refused.err
    with run.lock():
        refused = fairprint("audit", *asked, "--resume")
    assert refused.code == 2
    assert f"another process is working on {run.run_id}" in refused.err
    for arguments in (("report", "latest", "-o", "report.html"), ("runs", "show", "latest")):
        refused = fairprint(*arguments)
        assert (refused.code, refused.out) == (2, "")
        assert "is not finished" in refused.err
    assert not Path("report.html").exists()
    (row,) = json.loads(fairprint("runs", "list", "--json").out)
    assert row["status"] == "unfinished"
    assert len(fairprint("runs", "scores", "latest", "--csv").out.splitlines()) == 1 + 8 + 4

    resumed = audited(fairprint, *asked, "--resume")
    whole = audited(fairprint, *asked, "--store", "elsewhere")
    assert (resumed.run_id, resumed.scores, resumed.estimates) == (run.run_id, whole.scores, whole.estimates)
    assert fairprint("audit", *asked, "--resume").code == 2


# --- what a run prints and writes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "kind"), [("tiny-bert", "masked"), ("tiny-gpt2", "causal")])
def test_a_run_shows_its_metrics_with_intervals_and_can_be_read_again(
    model: str, kind: str, fairprint: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill = INSTRUMENTS["fill"]

    def slowly(*given: Any) -> Any:
        time.sleep(0.1)  # a tiny model is done before the meter's resolution
        return fill.task(*given)

    monkeypatch.setitem(INSTRUMENTS, "fill", dataclasses.replace(fill, task=slowly))
    ended = fairprint("audit", model, *BOTH, "--report", "report.html", "--country-iso-code", "KOR")
    assert ended.code == 0
    run = only_run()
    record = run.record()
    assert f"{model}  {kind}" in ended.out
    for said in (
        "95 % interval",
        "neutral",
        "Stereotype score",
        "centred",
        "Candidate mass",
        "care",
    ):
        assert said in ended.out
    assert ended.out.count("Stereotype score  ") == 2
    assert "CO2e (KOR, grid of" in ended.out
    score = next(line for line in ended.out.splitlines()[::-1] if line.startswith("Stereotype score, centred"))
    assert " to " in score
    assert score.split()[-1] == "40"
    assert f"run     {run.run_id} in fairprint-runs" in ended.err
    assert "report  report.html" in ended.err
    assert "\x1b" not in ended.out + ended.err

    page = Path("report.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert model in page
    assert record.status == "complete"
    assert not record.plan.options.trust_remote_code

    for given in (run.run_id, run.run_id[:12], run.run_id[-4:], "latest"):
        assert RunRecord.model_validate_json(fairprint("runs", "show", given, "--json").out) == record
    assert fairprint("runs", "show", "latest").out == ended.out

    rows = list(csv.DictReader(io.StringIO(fairprint("runs", "scores", "latest", "--csv").out)))
    scores = [score for shard in run.shard_names() for score in run.read_shard(shard)]
    assert [(row["item"], row["name"], float(row["value"])) for row in rows] == [
        (score.item, score.name, score.value) for score in scores
    ]
    assert {row["probe_set"] for row in rows} == {"small", "wide"}
    assert {row["instrument"] for row in rows} == {"fill"}
    first = fairprint("runs", "scores", "latest")
    assert len(first.out.splitlines()) == 21
    assert f"{len(rows) - 20} more rows with --csv" in first.err


def test_json_is_the_only_thing_on_stdout_and_the_stored_record(fairprint: Run) -> None:
    ended = fairprint(*AUDIT, "--json", "--limit", "2", "--seed", "3", "--batch-size", "4")
    record = RunRecord.model_validate_json(ended.out)
    assert ended.out == (only_run().path / "run.json").read_text(encoding="utf-8")
    assert record.status == "partial"
    assert (record.probes[0].items, record.probes[0].items_in_set) == (2, 4)
    options = record.plan.options
    assert (options.seed, options.limit, options.batch_size) == (3, 2, 4)
    assert "(partial)" in fairprint("runs", "show", "latest").out


def test_a_quiet_run_prints_nothing(fairprint: Run) -> None:
    assert fairprint(*AUDIT, "--quiet", "--report", "report.html") == Ended(0, "", "")
    assert only_run().finished
    assert Path("report.html").exists()


def test_a_store_and_a_country_can_be_given_by_the_environment(fairprint: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRPRINT_STORE", "elsewhere")
    monkeypatch.setenv("FAIRPRINT_COUNTRY_ISO_CODE", "FRA")
    assert audited(fairprint, "tiny-bert", "--probes", "small.yaml").footprint.grid.country_iso_code == "FRA"
    assert [path.name for path in Path.cwd().glob("*/*/run.json")] == ["run.json"]
    assert Path("elsewhere").is_dir()


def test_brackets_in_a_path_are_shown_as_they_are(fairprint: Run) -> None:
    ended = fairprint(*AUDIT, "--store", "runs[red]", "--report", "report[bold].html")
    assert ended.code == 0
    assert "in runs[red]" in ended.err
    assert "report[bold].html" in ended.err
    assert "--store runs[red] " in fairprint(*AUDIT, "--store", "runs[red]").err
    assert "runs in runs[red]" in fairprint("runs", "list", "--store", "runs[red]").out


def test_a_dry_run_says_what_would_be_asked_and_writes_nothing(fairprint: Run) -> None:
    before = sorted(Path.cwd().iterdir())
    ended = fairprint("audit", "tiny-bert", *BOTH, "--dry-run", "--json", "--limit", "10")
    assert ended.code == 0
    rows = json.loads(ended.out)
    low, high = rows[-1].pop("expected_s")
    assert all(row.pop("tokens") > 0 for row in rows)
    assert rows == [
        {"model": "tiny-bert", "probe_set": "small", "instruments": "fill", "items": 4, "sentences": 8},
        {"model": "tiny-bert", "probe_set": "wide", "instruments": "fill", "items": 10, "sentences": 20},
    ]
    assert 0 < low < high
    ended = fairprint("audit", "tiny-gpt2", *BOTH, "--dry-run")
    assert "what would be asked; no weights are loaded and nothing is written" in ended.out
    assert "tiny-gpt2: 40,320 parameters" in ended.out
    assert "after loading" in ended.out
    ended = fairprint("audit", "owner/name", *BOTH, "--dry-run")
    assert ended.code == 0
    assert "owner/name: not in the local cache; how long it takes is not known" in ended.out
    assert "gendered-occupations" in fairprint("audit", "tiny-bert", "--dry-run").out
    assert sorted(Path.cwd().iterdir()) == before


def test_help_loads_no_torch(fairprint: Run) -> None:
    program = """
import sys
from fairprint.reports.cli import main
for arguments in (["--help"], ["audit", "--help"], ["probes", "list"]):
    sys.argv = ["fairprint", *arguments]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code
loaded = {"torch", "transformers", "pyarrow"} & set(sys.modules)
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Usage: " in done.stdout


# --- runs ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def stored(fairprint: Run) -> list[str]:
    """Ids of two finished runs in the store, which begin alike."""
    names = []
    for name in ("20260101T000000Z-tiny-bert-aaaa", "20260102T000000Z-tiny-bert-bbbb"):
        assert fairprint(*AUDIT, "--quiet", "--store", "new").code == 0
        (run,) = Path("new").iterdir()
        Path("fairprint-runs").mkdir(exist_ok=True)
        run.rename(Path("fairprint-runs") / name)
        names.append(name)
    return names


def test_a_run_is_found_by_a_part_of_its_id_only_where_that_is_unique(fairprint: Run, stored: list[str]) -> None:
    rows = json.loads(fairprint("runs", "list", "--json").out)
    assert [(row["run"], row["status"], row["model"]) for row in rows] == [(n, "complete", "tiny-bert") for n in stored]
    assert all(name in fairprint("runs", "list").out for name in stored)
    assert fairprint("report", "latest", stored[0], "-o", "both.html").code == 0
    assert Path("both.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    for given, said in {
        "2026": f"'2026' could be {stored[0]}, {stored[1]}",
        "cccc": "no run 'cccc' in fairprint-runs",
        "": "no run ''",
        stored[0].replace("aaaa", "aaab"): f"Did you mean '{stored[0]}'?",
    }.items():
        for arguments in (("runs", "show", given), ("runs", "scores", given), ("report", given, "-o", "report.html")):
            ended = fairprint(*arguments)
            assert (ended.code, ended.out) == (2, "")
            assert said in ended.err
    assert not Path("report.html").exists()


def test_a_damaged_record_ends_with_3_and_names_the_file(fairprint: Run, stored: list[str]) -> None:
    file = Path("fairprint-runs") / stored[0] / "run.json"
    file.write_text(file.read_text()[:100])
    ended = fairprint("runs", "show", stored[0])
    assert (ended.code, ended.out) == (3, "")
    assert f"{stored[0]}/run.json cannot be read" in ended.err
    assert fairprint("runs", "show", stored[1]).code == 0


def test_runs_that_began_within_one_second_are_listed_in_their_order(fairprint: Run) -> None:
    assert fairprint(*AUDIT, "--quiet").code == 0
    plan, store = only_run().plan(), Store(Path("fairprint-runs"))
    began = datetime(2035, 1, 1, tzinfo=UTC)
    expected = [store.begin(plan, began + timedelta(milliseconds=100 * n)).run_id for n in range(8)]
    assert [run.run_id for run in store.runs()][-8:] == expected
    assert store.find("latest").run_id == expected[-1]


def test_an_empty_store_has_no_runs_and_is_not_made(fairprint: Run) -> None:
    assert fairprint("runs", "list").out == "runs in fairprint-runs: none\n"
    assert json.loads(fairprint("runs", "list", "--json").out) == []
    ended = fairprint("runs", "show", "latest")
    assert ended.code == 2
    assert "no run is stored here" in ended.err
    assert not Path("fairprint-runs").exists()


def test_a_report_goes_to_no_missing_folder(fairprint: Run) -> None:
    ended = fairprint("report", "latest", "-o", "missing/report.html")
    assert ended.code == 2
    assert "no folder" in ended.err
    assert fairprint("report", "latest").code == 2


# --- probes and doctor -----------------------------------------------------------------------------------------------


def test_probe_sets_can_be_listed_shown_and_checked(fairprint: Run) -> None:
    listed = json.loads(fairprint("probes", "list", "--json").out)
    assert [row["name"] for row in listed["probe_sets"]] == list(own_names())
    assert [row["format"] for row in listed["formats"]] == list(READERS)
    shown = fairprint("probes", "list")
    assert all(name in shown.out for name in (*own_names(), *READERS))
    for given in (*own_names(), "small.yaml"):
        shown = fairprint("probes", "show", given)
        assert shown.code == 0
        assert all(f"\n{key}\n" in shown.out for key in ("measures", "licence", "sources", "cannot show"))
        assert ("\ntemplates\n" in shown.out) == (given != "neutral-sentences")
    valid = fairprint("probes", "validate", "small.yaml", own_names()[0])
    assert valid.code == 0
    assert valid.out.startswith("small.yaml: valid; 4 items = 2 templates x 2 words, 8 sentences\n")
    assert "  male against female: 2 items are stereotyped of male, 2 of female, 0 of neither\n" in valid.out
    assert f"{own_names()[0]}: valid; " in valid.out
    assert fairprint("probes", "show", "he-was-verry").code == 2


def test_a_probe_file_that_cannot_be_used_ends_with_2_and_the_place_of_the_mistake(fairprint: Run) -> None:
    file = Path("small.yaml")
    file.write_text(file.read_text().replace("scored: group", "scord: group"))
    line = file.read_text().splitlines().index("scord: group") + 1
    for arguments in (("probes", "validate", "wide.yaml", "small.yaml"), AUDIT):
        ended = fairprint(*arguments)
        assert ended.code == 2
        assert f"error: small.yaml:{line}: unknown key 'scord'. Did you mean 'scored'?" in ended.err
        assert "try:   fairprint probes schema" in ended.err
    assert not Path("fairprint-runs").exists()


def test_the_schema_of_probe_files_is_json(fairprint: Run) -> None:
    schema = json.loads(fairprint("probes", "schema").out)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert {"templates", "lexemes", "groups"} <= set(schema["required"])


def test_the_doctor_says_what_is_here_and_what_goes_online(fairprint: Run) -> None:
    found = {row["what"]: row["found"] for row in json.loads(fairprint("doctor", "--json").out)}
    assert {"fairprint", "python", "torch", "transformers", "energy of cpu", "energy of ram"} <= set(found)
    assert "HF_HUB_OFFLINE" in found["goes online"]
    assert "no telemetry" in found["never goes online"]
    shown = fairprint("doctor")
    assert shown.code == 0
    assert "never goes online" in shown.out


@pytest.mark.parametrize("command", [(), ("probes",), ("runs",)])
def test_without_a_command_the_help_is_shown(command: tuple[str, ...], fairprint: Run) -> None:
    ended = fairprint(*command)
    assert "Usage: " in ended.out + ended.err
    assert "Commands:" in ended.out + ended.err


def test_help_names_the_exit_codes(fairprint: Run) -> None:
    said = " ".join(fairprint("--help").out.split())
    assert "0 done; 2 wrong usage, nothing written; 3 the run failed, what was finished stays; 130 interrupted" in said


# --- hostile text ----------------------------------------------------------------------------------------------------


def test_escape_codes_in_a_model_s_name_never_reach_the_terminal(fairprint: Run) -> None:
    name = f"model{ESCAPE}"
    copied = Path(name)
    shutil.copytree("tiny-bert", copied)
    for arguments in (
        ("audit", name, "--probes", "small.yaml", "--report", "report.html"),
        ("audit", name, "--probes", "small.yaml", "--json"),
        ("audit", name, "--dry-run"),
        ("audit", name, "--probes", "small.yaml", "--resume"),
        ("audit", f"./{name}-missing"),
        ("runs", "list"),
        ("runs", "show", "latest"),
        ("runs", "show", name),
    ):
        ended = fairprint(*arguments)
        assert "\x1b" not in ended.out + ended.err, arguments
        assert "\x07" not in ended.out + ended.err, arguments
    assert "\x1b" not in Path("report.html").read_text(encoding="utf-8")
    (copied / "config.json").unlink()
    ended = fairprint("audit", name, "--probes", "small.yaml")
    assert ended.code == 3
    assert "\x1b" not in ended.err


def test_escape_codes_in_a_probe_file_never_reach_the_terminal(fairprint: Run) -> None:
    quoted = '"\\e]0;owned\\a"'
    file = write_set(Path("hostile.yaml"), 2, title=quoted, category=quoted)
    assert fairprint("audit", "tiny-bert", "--probes", "hostile.yaml").code == 0
    assert json.loads(fairprint("runs", "show", "latest", "--json").out)["probes"][0]["title"] == ESCAPE
    for arguments in (
        ("probes", "show", "hostile.yaml"),
        ("audit", "tiny-bert", "--probes", "hostile.yaml"),
        ("runs", "show", "latest"),
        ("runs", "scores", "latest"),
    ):
        ended = fairprint(*arguments)
        assert ended.code == 0
        assert "\x1b" not in ended.out + ended.err, arguments
    file.write_text(file.read_text().replace("{group.subject}", "{\\e]0;owned\\a}"))
    ended = fairprint("probes", "validate", "hostile.yaml")
    assert ended.code == 2
    assert "unknown slot" in ended.err
    assert "\x1b" not in ended.err


def test_an_audit_says_which_training_its_model_came_from(fairprint: Run) -> None:
    with measure("fine-tuning", store=Path("fairprint-runs"), interval_s=0.05, purpose="fine-tuning") as training:
        pass
    record = audited(fairprint, *AUDIT[1:], "--lineage", training.run_id[-4:])
    assert record.lineage == (training.run_id,)
    assert audited(fairprint, *AUDIT[1:]).lineage == ()


def test_a_training_that_is_not_stored_is_refused_before_the_model_is_loaded(fairprint: Run) -> None:
    ended = fairprint(*AUDIT, "--lineage", "nobody")
    assert ended.code == 2 and "nobody" in ended.err
    assert not Path("fairprint-runs").exists()
