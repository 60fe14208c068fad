"""The store keeps whole files only, loses nothing, and says what it cannot read."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_record import sample_record

from fairprint.audit.records import SCHEMA_VERSION, RunRecord, to_json
from fairprint.audit.store import Store, plan_differences
from fairprint.probes.errors import ResumeError, StoreError, UsageError
from fairprint.probes.scores import Score

STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def _score(item: str, value: float | None, note: str = "") -> Score:
    return Score(item=item, template="t", lexeme="l", category="c", group="g", name="logprob", value=value, note=note)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


def test_a_shard_says_how_many_tokens_it_took_and_several_say_so_only_where_each_does(store: Store) -> None:
    run = store.begin(sample_record().plan, STARTED)
    for name, tokens in (("set.fill.0000", 120), ("set.fill.0001", 80), ("set.fill.0002", None)):
        run.write_shard(name, [_score("a", -1.5)], tokens)
    assert run.tokens(["set.fill.0000", "set.fill.0001"]) == 200
    assert run.tokens(run.shard_names()) is None and run.tokens([]) is None


def test_a_run_is_a_folder_whose_name_says_when_and_what(store: Store) -> None:
    run = store.begin(sample_record().plan, STARTED)
    assert run.run_id.startswith("20260102T030405000Z-")
    assert run.plan() == sample_record().plan
    assert not run.finished
    assert [other.run_id for other in store.runs()] == [run.run_id]


@given(value=st.none() | st.floats(allow_nan=False, allow_infinity=False), text=st.text(max_size=30))
def test_scores_come_back_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, value: float | None, text: str
) -> None:
    text = text.encode("utf-8", "ignore").decode()
    run = Store(tmp_path_factory.mktemp("runs")).begin(sample_record().plan, STARTED)
    scores = [_score("a", value, text), _score("b", None, "no answer")]
    run.write_shard("set.fill.0000", scores)
    assert run.read_shard("set.fill.0000") == scores


def test_other_tools_can_read_the_scores(store: Store) -> None:
    run = store.begin(sample_record().plan, STARTED)
    run.write_shard("set.fill.0000", [_score("a", -1.5), _score("b", None, "no answer")])
    table = pandas.read_parquet(run.path / "scores" / "set.fill.0000.parquet")
    assert list(table["item"]) == ["a", "b"]
    assert table["value"].tolist()[0] == -1.5
    assert table["value"].isna().tolist() == [False, True]


def test_nothing_is_written_over(store: Store) -> None:
    run = store.begin(sample_record().plan, STARTED)
    run.write_shard("set.fill.0000", [_score("a", -1.5)])
    before = run.shard_hashes(["set.fill.0000"])
    with pytest.raises(StoreError, match="exists"):
        run.write_shard("set.fill.0000", [_score("a", -2.5)])
    assert run.shard_hashes(["set.fill.0000"]) == before
    run.write_record(sample_record())
    with pytest.raises(StoreError, match="exists"):
        run.write_record(sample_record())


def test_a_failed_write_leaves_no_file_behind(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run = store.begin(sample_record().plan, STARTED)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left on device") as caught:
        run.write_shard("set.fill.0000", [_score("a", -1.5)])
    assert caught.value.hint is not None and "--resume" in caught.value.hint
    assert list((run.path / "scores").iterdir()) == []


def test_a_record_comes_back_as_it_was(store: Store) -> None:
    run = store.begin(sample_record().plan, STARTED)
    run.write_record(sample_record())
    assert run.record() == sample_record()
    assert run.finished


def test_records_are_sorted_json_without_nan() -> None:
    text = to_json(sample_record())
    assert text == json.dumps(json.loads(text), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    bad = sample_record().model_dump()
    bad["estimates"][0]["value"] = float("nan")
    with pytest.raises(ValueError, match="finite"):
        RunRecord.model_validate(bad)


def test_a_record_of_a_newer_fairprint_is_refused_with_a_way_out(store: Store) -> None:
    run = store.begin(sample_record().plan, STARTED)
    newer = {**json.loads(to_json(sample_record())), "schema_version": SCHEMA_VERSION + 1}
    (run.path / "run.json").write_text(json.dumps(newer))
    with pytest.raises(StoreError, match="schema version") as caught:
        run.record()
    assert caught.value.hint == "update fairprint"


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"schema_version": 1}'])
def test_a_damaged_record_is_an_error_that_names_the_file(store: Store, content: str) -> None:
    run = store.begin(sample_record().plan, STARTED)
    (run.path / "run.json").write_text(content)
    with pytest.raises(StoreError, match=r"run\.json|schema version"):
        run.record()


def test_a_damaged_shard_is_an_error_that_names_it(store: Store) -> None:
    run = store.begin(sample_record().plan, STARTED)
    run.write_shard("set.fill.0000", [_score("a", -1.5)])
    (run.path / "scores" / "set.fill.0000.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(StoreError, match=r"set\.fill\.0000"):
        run.read_shard("set.fill.0000")


def test_two_processes_cannot_work_on_one_run(store: Store) -> None:
    run = store.begin(sample_record().plan, STARTED)
    holder = (
        f"import fcntl, sys; handle = open({str(run.path / 'lock')!r}, 'w'); "
        "fcntl.flock(handle, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        with pytest.raises(ResumeError, match="another process"), run.lock():
            pass
        other.kill()
        other.wait()
    with run.lock():
        pass


def test_runs_are_found_by_id_by_a_unique_part_and_as_the_latest(store: Store) -> None:
    first = store.begin(sample_record().plan, STARTED)
    second = store.begin(sample_record().plan, STARTED.replace(year=2027))
    assert store.find(first.run_id).path == first.path
    assert store.find("2026").path == first.path
    assert store.find(second.run_id[-4:]).path == second.path
    assert store.find("latest").path == second.path
    with pytest.raises(UsageError, match="could be"):
        store.find("202")
    with pytest.raises(UsageError, match="no run 'x'"):
        store.find("x")
    with pytest.raises(UsageError, match="no run ''"):
        store.find("")


def test_only_unfinished_runs_of_the_model_are_resumed(store: Store) -> None:
    name = sample_record().plan.model.name
    with pytest.raises(ResumeError, match="no unfinished run"):
        store.unfinished(name)
    run = store.begin(sample_record().plan, STARTED)
    assert store.unfinished(name).path == run.path
    with pytest.raises(ResumeError, match="no unfinished run of other"):
        store.unfinished("other")
    run.write_record(sample_record())
    with pytest.raises(ResumeError, match="no unfinished run"):
        store.unfinished(name)


def test_a_store_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("not a folder")
    with pytest.raises(UsageError, match="not a folder"):
        Store(tmp_path / "runs")


def test_differences_between_plans_are_named_one_by_one() -> None:
    plan = sample_record().plan
    environment = plan.environment.model_copy(update={"threads": 99})
    model = plan.model.model_copy(update={"dtype": "bfloat16"})
    now = plan.model_copy(update={"environment": environment, "model": model})
    assert plan_differences(plan, plan) == []
    assert plan_differences(plan, now) == [
        f"environment.threads: was {plan.environment.threads}, is 99",
        f"model.dtype: was {plan.model.dtype}, is bfloat16",
    ]
