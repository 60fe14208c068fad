"""Import: runs of other stores are copied whole or not at all, those of other meters once, and nothing by halves."""

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sample_metered
from commands import Run, commands
from sample_import import COLUMNS, log_text, row, write_csv, write_logs
from sample_record import sample_record

from fairprint.audit.import_stores import WORKSHOP
from fairprint.audit.importing import carry_out, find_format, plan_import
from fairprint.audit.metered_store import MeteredFolder, find_metered, metered_runs, stored_runs
from fairprint.audit.quality import QualityItem
from fairprint.audit.records import to_json
from fairprint.audit.store import Store
from fairprint.probes.errors import StoreError, UsageError
from fairprint.probes.scores import Score
from fairprint.reports.training_checks import checks

STORE = Path("fairprint-runs")


@pytest.fixture
def fairprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FAIRPRINT_STORE", raising=False)
    return commands(monkeypatch, capsys)


def metered(store: Path, run_id: str = "20260301T100000000Z-fine-tune-1a2b", finished: bool = True) -> MeteredFolder:
    """Put a metered run with marks and the items of a quality into a store."""
    run = MeteredFolder(store / run_id)
    (run.path / "marks").mkdir(parents=True)
    run.journal.write_bytes(b'{"event": "sample"}\n\xff')
    (run.path / "marks" / "7-aa.jsonl").write_text("{}\n")
    (run.path / "quality").mkdir()
    (run.path / "quality" / "7-bb.jsonl").write_text(json.dumps({"item": QualityItem(item="a", value=1.0).item}))
    (run.path / "lock").touch()
    if finished:
        run.write_record(sample_metered.sample_metered(run_id=run_id))
    return run


def audited(store: Path, finished: bool = True) -> Path:
    """Put an audit with scores into a store."""
    run = Store(store).begin(sample_record().plan, datetime(2026, 1, 2, tzinfo=UTC))
    run.write_shard("set.fill.0000", [_score()])
    if finished:
        run.write_record(sample_record().model_copy(update={"run_id": run.run_id}))
    return run.path


def _score() -> Score:
    return Score(item="a", template="t", lexeme="l", category="c", group="g", name="logprob", value=-1.5, note="")


def bring(*sources: Path, store: Path, unfinished: bool = False) -> list[str]:
    runs = plan_import(sources, store, unfinished=unfinished)
    carry_out(runs, store)
    return [run.outcome for run in runs]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# other stores


def test_runs_of_both_kinds_are_copied_byte_for_byte_and_a_second_time_skipped(tmp_path: Path) -> None:
    source, store = tmp_path / "other", tmp_path / "runs"
    metered(source)
    audited(source)

    assert bring(source, store=store) == ["imported", "imported"]
    copied = {name: data for name, data in files(store).items() if not name.startswith(WORKSHOP)}
    assert copied == files(source)
    assert [run.run_id for run in stored_runs(store)] == [run.run_id for run in stored_runs(source)]
    assert find_metered(store, "latest").record() == find_metered(source, "latest").record()

    assert bring(source, store=store) == ["there already", "there already"]
    assert not (store / WORKSHOP).exists()


def test_a_run_that_is_there_with_other_bytes_is_an_error_that_names_both_and_leaves_all_as_it_was(
    tmp_path: Path,
) -> None:
    source, store = tmp_path / "other", tmp_path / "runs"
    run = metered(source)
    bring(source, store=store)
    (store / run.run_id / "marks" / "7-aa.jsonl").write_text("{} \n")
    audited(source)
    before = files(store)

    with pytest.raises(UsageError) as caught:
        bring(source, store=store)
    assert run.run_id in caught.value.message and str(source) in caught.value.message
    assert str(store) in caught.value.message and "marks/7-aa.jsonl" in caught.value.message
    assert caught.value.hint is not None and str(store / run.run_id) in caught.value.hint
    assert files(store) == before, "the audit was not brought either"


def test_unfinished_runs_are_left_out_and_taken_where_they_are_asked_for(tmp_path: Path) -> None:
    source, store = tmp_path / "other", tmp_path / "runs"
    metered(source, finished=False)
    audited(source, finished=False)

    assert bring(source, store=store) == ["unfinished: left out"] * 2 and not store.exists()
    assert bring(source, store=store, unfinished=True) == ["imported"] * 2
    assert [run.finished for run in stored_runs(store)] == [False, False]


def test_a_run_that_a_process_works_on_is_never_taken(tmp_path: Path) -> None:
    source, store = tmp_path / "other", tmp_path / "runs"
    run = metered(source, finished=False)
    held = run.lock()
    try:
        assert bring(source, store=store, unfinished=True) == ["still running: left out"]
    finally:
        os.close(held)
    assert bring(source, store=store, unfinished=True) == ["imported"]


def test_an_import_that_is_killed_leaves_no_half_of_a_run_and_the_next_one_clears_up(tmp_path: Path) -> None:
    source, store = tmp_path / "other", tmp_path / "runs"
    first = metered(source)
    second = metered(source, "20260302T100000000Z-second-3c4d")
    killing = (
        "import os, sys\nfrom pathlib import Path\nfrom fairprint.audit import import_stores, importing\n"
        "whole = import_stores.shutil.copyfileobj\n"
        "def dying(read, write, size):\n"
        f"    if {second.run_id!r} in write.name and 'run.json' in write.name:\n"
        "        write.write(b'{'); write.flush(); os.kill(os.getpid(), 9)\n"
        "    whole(read, write, size)\n"
        "import_stores.shutil.copyfileobj = dying\n"
        "importing.carry_out(importing.plan_import([Path(sys.argv[1])], Path(sys.argv[2])), Path(sys.argv[2]))\n"
    )
    ended = subprocess.run([sys.executable, "-c", killing, str(source), str(store)], timeout=60)

    assert ended.returncode == -signal.SIGKILL
    assert (store / WORKSHOP / second.run_id / "run.json").read_bytes() == b"{"
    assert [run.run_id for run in stored_runs(store)] == [first.run_id]
    assert bring(source, store=store) == ["there already", "imported"]
    assert not (store / WORKSHOP).exists() and files(store / second.run_id) == files(second.path)


def test_two_imports_into_one_store_do_not_meet(tmp_path: Path) -> None:
    source, store = tmp_path / "other", tmp_path / "runs"
    metered(source)
    (store / WORKSHOP).mkdir(parents=True)
    with (store / WORKSHOP / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another process imports"):
            bring(source, store=store)
    assert bring(source, store=store) == ["imported"]


def test_one_run_of_two_sources_is_taken_once_and_must_be_the_same(tmp_path: Path) -> None:
    one, other, store = tmp_path / "one", tmp_path / "other", tmp_path / "runs"
    metered(one)
    metered(other)
    assert bring(one, other, store=store) == ["imported"]
    (other / "20260301T100000000Z-fine-tune-1a2b" / "journal.jsonl").write_text("else")
    with pytest.raises(UsageError, match=r"with other content: they differ in journal\.jsonl"):
        bring(one, other, store=tmp_path / "new")


def test_what_is_no_whole_store_is_refused(tmp_path: Path) -> None:
    source, store = tmp_path / "other", tmp_path / "runs"
    run = metered(source)
    with pytest.raises(UsageError, match="the store itself"):
        bring(source, store=source / ".." / "other")
    (run.path / "link").symlink_to(run.journal)
    with pytest.raises(UsageError, match="neither a file nor a folder"):
        bring(source, store=store)
    (run.path / "link").unlink()
    run.path.rename(source / "20260301T100000000Z-renamed-1a2b")
    with pytest.raises(StoreError, match="holds the record of"):
        bring(source, store=store)
    (source / "20260301T100000000Z-renamed-1a2b" / "run.json").write_text("{")
    with pytest.raises(StoreError, match=r"run\.json cannot be read"):
        bring(source, store=store)
    assert not store.exists()


def test_files_half_written_are_no_part_of_a_run(tmp_path: Path) -> None:
    source, store = tmp_path / "other", tmp_path / "runs"
    run = metered(source)
    (run.path / ".run.json.123").write_text("{")
    bring(source, store=store)
    assert not (store / run.run_id / ".run.json.123").exists()
    assert bring(source, store=store) == ["there already"]


# what a source is


def test_a_source_is_known_by_its_content(tmp_path: Path) -> None:
    metered(tmp_path / "store")
    log = write_logs(tmp_path / "logs")
    csv = write_csv(tmp_path / "renamed.txt", row(1, 2, 3))
    (tmp_path / "output").mkdir()
    write_csv(tmp_path / "output" / "emissions.csv", row(1, 2, 3))

    assert find_format(tmp_path / "store") == "store"
    assert find_format(log) == find_format(tmp_path / "logs") == "carbontracker"
    assert find_format(log.with_name(log.name.replace(".log", "_output.log"))) == "carbontracker"
    assert find_format(csv) == find_format(tmp_path / "output") == "codecarbon"


def test_what_is_nothing_that_can_be_imported_is_refused_and_what_is_two_things_has_to_be_said(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("timestamp\n")
    for place in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(UsageError, match="nothing that can be imported"):
            find_format(place)
    with pytest.raises(UsageError, match="is not there"):
        find_format(tmp_path / "nowhere")
    write_csv(tmp_path / "emissions.csv", row(1, 2, 3))
    write_logs(tmp_path)
    with pytest.raises(UsageError, match="several formats: codecarbon, carbontracker") as caught:
        find_format(tmp_path)
    assert caught.value.hint is not None and "--format" in caught.value.hint
    assert find_format(tmp_path, "codecarbon") == "codecarbon"
    with pytest.raises(UsageError, match="Did you mean 'codecarbon'"):
        find_format(tmp_path, "codecarbn")


# the command


def test_runs_of_other_meters_are_brought_once_listed_shown_and_reported(fairprint: Run, tmp_path: Path) -> None:
    write_csv(tmp_path / "emissions.csv", row(1.5, 3.0, 0.75, pue=1.5), row(9.0, 1.0, 0.5, run_id="b"))
    write_logs(tmp_path / "logs")
    arguments = ("runs", "import", "emissions.csv", "logs", "--purpose", "fine-tuning", "--task", "topics", "--json")

    planned = json.loads(fairprint(*arguments, "--dry-run").out)
    assert not STORE.exists() and {run["outcome"] for run in planned["runs"]} == {"to be imported"}
    ended = fairprint(*arguments)
    told = json.loads(ended.out)

    assert ended.code == 0 and told["schema_version"] == 1
    assert (told["imported"], told["there_already"], told["left_out"]) == (3, 0, 0)
    assert [run["energy_kwh"] for run in told["runs"]][:2] == [pytest.approx(3.5), pytest.approx(10.5)]
    assert told["runs"][0]["pue"] == 1.5 and [run["run"] for run in told["runs"]] == [
        run["run"] for run in planned["runs"]
    ]
    records = [run.record() for run in metered_runs(STORE)]
    assert {(record.kind, record.purpose, record.task) for record in records} == {("training", "fine-tuning", "topics")}
    assert all(any(note.startswith("imported from ") for note in record.notes) for record in records)

    before = files(STORE)
    assert json.loads(fairprint(*arguments).out)["there_already"] == 3 and files(STORE) == before
    listed = fairprint("runs", "list").out
    assert all(record.run_id in listed for record in records)
    for record in records:
        assert "imported from" in fairprint("runs", "show", record.run_id).out
        assert fairprint("report", record.run_id, "--output", "page.html").code == 0
        page = Path("page.html").read_text()
        assert "another program metered it" in page and "imported from" in page
        # what only our meter looks at is not said to be in order
        verdicts = {what: verdict for what, verdict, _ in checks(record)}
        assert {verdicts[what] for what in ("Samples", "Journal", "Settings", "Other meters meanwhile")} == {
            "not applicable"
        }
    rebound = json.loads(fairprint("runs", "rebind", records[-1].run_id, "--country-iso-code", "KOR", "--json").out)
    assert rebound["measured"]["energy_kwh"] == records[-1].footprint.energy_kwh
    assert fairprint("runs", "recover").code == 0


def test_what_was_imported_goes_on_to_another_store_as_it_is(fairprint: Run, tmp_path: Path) -> None:
    write_csv(tmp_path / "emissions.csv", row(1.5, 3.0, 0.75))
    fairprint("runs", "import", "emissions.csv")
    assert fairprint("runs", "import", str(STORE), "--store", "second").code == 0
    assert files(Path("second")) == files(STORE)


def test_the_table_says_what_came_what_was_there_and_what_a_reader_must_know(fairprint: Run, tmp_path: Path) -> None:
    write_logs(tmp_path / "logs", log_text(place="Unknown"))
    write_logs(tmp_path / "logs", log_text().partition("2026-03-01 10:02:31 - Carbon")[0], output=None, stem="going-on")

    ended = fairprint("runs", "import", "logs")

    assert ended.code == 0 and "carbontracker" in ended.out and "unfinished: left out" in ended.out
    assert "1 imported, 0 there already, 1 left out; --unfinished" in ended.err
    assert "the place is not known" in ended.err
    assert "1 imported, 1 there already" in fairprint("runs", "import", "logs", "--unfinished").err


def test_a_run_that_went_on_after_its_import_is_an_error_that_says_what_differs(fairprint: Run, tmp_path: Path) -> None:
    first = row(1.5, 3.0, 0.75)
    write_csv(tmp_path / "emissions.csv", first)
    fairprint("runs", "import", "emissions.csv")
    before = files(STORE)
    write_csv(tmp_path / "emissions.csv", first, row(2.5, 3.0, 0.75, duration=900, timestamp="2026-03-01T12:00:00"))

    ended = fairprint("runs", "import", "emissions.csv")

    assert ended.code == 2 and "with other content" in ended.err and "footprint" in ended.err
    assert files(STORE) == before
    said = fairprint("runs", "import", "emissions.csv", "--purpose", "evaluation")
    assert said.code == 2 and "purpose" in said.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nowhere",), "is not there"),
        (("emissions.csv", "--purpose", "pre-training"), "'pre-training' is no purpose"),
        (("emissions.csv", "--format", "csv"), "unknown format 'csv'"),
        (("damaged.csv",), r"damaged\.csv:2: .*expected a number"),
        (("other", "--name", "mine"), "copied as they are"),
        (("emissions.csv", "--format", "store"), "is no folder"),
        (("emissions.csv", "--store", "emissions.csv"), "is not a folder"),
    ],
)
def test_wrong_usage_ends_with_2_and_writes_nothing(
    fairprint: Run, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    write_csv(tmp_path / "emissions.csv", row(1, 2, 3))
    write_csv(tmp_path / "damaged.csv", row(1, 2, 3, duration="?"))
    metered(tmp_path / "other")
    before = files(tmp_path)

    ended = fairprint("runs", "import", *arguments)

    assert ended.code == 2 and re.search(told, ended.err) and ended.out == ""
    assert files(tmp_path) == before


def test_a_damaged_record_of_another_store_ends_with_3(fairprint: Run, tmp_path: Path) -> None:
    (metered(tmp_path / "other").path / "run.json").write_text("{}")
    assert fairprint("runs", "import", "other").code == 3 and not STORE.exists()


def test_names_from_files_cannot_speak_to_the_terminal(fairprint: Run, tmp_path: Path) -> None:
    write_csv(tmp_path / "emissions.csv", row(1, 2, 3, project_name="\x1b]0;owned\x07::error::no"))
    ended = fairprint("runs", "import", "emissions.csv")
    assert ended.code == 0 and "\x1b" not in ended.out + ended.err and "\x07" not in ended.out


def test_the_record_of_a_row_is_the_same_on_another_day_and_with_other_columns_in_front(tmp_path: Path) -> None:
    one = plan_import([write_csv(tmp_path / "a.csv", row(1, 2, 3))], tmp_path / "runs")[0]
    two = plan_import([write_csv(tmp_path / "a.csv", row(1, 2, 3), columns=tuple(sorted(COLUMNS)))], tmp_path / "runs")[
        0
    ]
    assert one.record is not None and two.record is not None and to_json(one.record) == to_json(two.record)
