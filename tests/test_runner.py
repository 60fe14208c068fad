"""An audit from end to end on small models: repeatable to the last bit, resumable after a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import tiny

from fairprint.audit import work
from fairprint.audit.kinds import KINDS
from fairprint.audit.questions import prepare
from fairprint.audit.records import RunRecord
from fairprint.audit.runner import audit
from fairprint.audit.store import RunFolder, Store
from fairprint.probes.catalog import own_set
from fairprint.probes.errors import ResumeError, UsageError
from fairprint.probes.scores import Score

FAIRPRINT = str(Path(sys.executable).with_name("fairprint"))
SETS = ("gendered-occupations", "he-was-very")
ASK = [option for name in SETS for option in ("--probes", name)]
TEXTS = [variant.text for name in SETS for i in own_set(name).items for variant in i.variants]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    tokenizer = tiny.words(TEXTS)
    for kind, model in {"masked": tiny.bert(tokenizer), "causal": tiny.gpt2(tokenizer)}.items():
        model.save_pretrained(folder / kind)
        tokenizer.save_pretrained(folder / kind)
    return {kind: folder / kind for kind in ("masked", "causal")}


def _scores(run: RunFolder) -> dict[str, list[Score]]:
    return {name: run.read_shard(name) for name in run.shard_names()}


def _blanked(path: Path, record: RunRecord) -> str:
    """Return a report whose run id, times and footprint are replaced by constants."""
    from sample_record import footprint

    from fairprint.reports.html import render_report

    fixed = {"run_id": "run", "started_at": "then", "finished_at": "then", "footprint": footprint()}
    return render_report([record.model_copy(update=fixed)])


@pytest.mark.parametrize("kind", ["causal", pytest.param("masked", marks=pytest.mark.slow)])
def test_two_runs_in_other_surroundings_are_equal_to_the_last_bit(
    kind: str, models: dict[str, Path], tmp_path: Path
) -> None:
    audit(str(models[kind]), SETS, limit=360, country_iso_code="KOR", store=tmp_path / "a")
    (tmp_path / "b" / "c").mkdir(parents=True)
    environment = {**os.environ, "PYTHONHASHSEED": "2", "TZ": "America/Lima"}
    command = [FAIRPRINT, "audit", str(models[kind]), *ASK, "--country-iso-code", "KOR", "-q", "--limit", "360"]
    subprocess.run(command, cwd=tmp_path / "b" / "c", env=environment, check=True, capture_output=True)
    (first,), (second,) = Store(tmp_path / "a").runs(), Store(tmp_path / "b" / "c" / "fairprint-runs").runs()
    assert _scores(first) == _scores(second)
    assert first.record().scores == second.record().scores
    assert first.record().estimates == second.record().estimates
    assert first.plan() == second.plan()
    assert _blanked(tmp_path, first.record()) == _blanked(tmp_path, second.record())


def test_a_killed_run_goes_on_where_it_was(models: dict[str, Path], tmp_path: Path, few_draws: None) -> None:
    audit(str(models["causal"]), SETS, country_iso_code="KOR", store=tmp_path / "whole")
    command = [FAIRPRINT, "audit", str(models["causal"]), *ASK, "--country-iso-code", "KOR", "-q", "--store"]
    with subprocess.Popen([*command, str(tmp_path / "killed")], stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while len(list((tmp_path / "killed").glob("*/scores/*.parquet"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    (whole,), (killed,) = Store(tmp_path / "whole").runs(), Store(tmp_path / "killed").runs()
    assert not killed.finished
    kept = {name: (killed.path / "scores" / f"{name}.parquet").stat().st_mtime_ns for name in killed.shard_names()}
    total = len(prepare(SETS, ability=KINDS["causal"].ability()).shards)
    assert 2 <= len(kept) < total

    audit(str(models["causal"]), SETS, country_iso_code="KOR", store=tmp_path / "killed", resume=True)

    assert [run.run_id for run in Store(tmp_path / "killed").runs()] == [killed.run_id]
    now = {name: (killed.path / "scores" / f"{name}.parquet").stat().st_mtime_ns for name in killed.shard_names()}
    assert len(now) == total
    assert {name: now[name] for name in kept} == kept
    assert _scores(killed) == _scores(whole)
    record = killed.record()
    assert record.estimates == whole.record().estimates
    assert record.highlights == whole.record().highlights
    assert record.tokens == whole.record().tokens is not None
    assert record.flops == 2 * (record.plan.model.parameters or 0) * record.tokens > 0
    rows = [(name, s.item, s.group, s.name) for name, scores in _scores(killed).items() for s in scores]
    assert len(rows) == len(set(rows))

    dead, ended = record.footprint.segments
    assert (dead.metered, dead.duration_s) == (False, None)
    assert ended.metered
    assert any("lower bound" in warning for warning in record.footprint.warnings)
    (segment,) = killed.segments()[0]
    assert record.footprint.energy_kwh == segment.energy_kwh


def test_an_interrupted_run_adds_its_segments_up(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def stop(progress: work.Progress) -> None:
        seen.append(progress)
        if progress.asked:
            time.sleep(0.15)  # a tiny model is done before the meter's resolution
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        audit(str(models["causal"]), ["gendered-occupations"], store=tmp_path, country_iso_code="KOR", on_progress=stop)
    record = audit(
        str(models["causal"]),
        ["gendered-occupations"],
        store=tmp_path,
        country_iso_code="KOR",
        resume=True,
        on_progress=lambda progress: time.sleep(0.05),
    )
    (run,) = Store(tmp_path).runs()
    first, second = run.segments()[0]
    assert record.footprint.duration_s == first.duration_s + second.duration_s
    assert record.footprint.energy_kwh == pytest.approx((first.energy_kwh or 0) + (second.energy_kwh or 0))
    assert [segment.metered for segment in record.footprint.segments] == [True, True]


def _interrupted(model: Path, store: Path, **options: Any) -> None:
    def stop(progress: work.Progress) -> None:
        if progress.asked:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        audit(str(model), ["gendered-occupations"], store=store, on_progress=stop, **options)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"seed": 1}, "options.seed: was 0, is 1"),
        ({"dtype": "bfloat16"}, "model.dtype: was float32, is bfloat16"),
        ({"limit": 60}, "options.limit: was None, is 60"),
        ({"batch_size": 7}, "options.batch_size: was 256, is 7"),
        ({"probes": ["he-was-very"]}, "probe_hashes.gendered-occupations"),
        ({"instruments": ["sentence"]}, r"options.instruments: was \['fill'\], is \['sentence'\]"),
    ],
)
def test_a_run_does_not_go_on_under_other_conditions(
    changed: dict[str, Any], named: str, models: dict[str, Path], tmp_path: Path
) -> None:
    _interrupted(models["causal"], tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ResumeError, match=named):
        audit(
            str(models["causal"]), **{"probes": ["gendered-occupations"], "store": tmp_path, "resume": True} | changed
        )
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_does_not_go_on_with_other_weights(models: dict[str, Path], tmp_path: Path) -> None:
    tokenizer = tiny.words(TEXTS)
    (tmp_path / "model").mkdir()
    tiny.gpt2(tokenizer, seed=1).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    _interrupted(tmp_path / "model", tmp_path / "runs")
    tiny.gpt2(tokenizer, seed=2).save_pretrained(tmp_path / "model")
    with pytest.raises(ResumeError, match=r"model\.sha256"):
        audit(str(tmp_path / "model"), ["gendered-occupations"], store=tmp_path / "runs", resume=True)


def test_a_run_does_not_go_on_with_other_versions_or_threads(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _interrupted(models["causal"], tmp_path)
    real = work.environment

    def other(device: str) -> Any:
        here = real(device)
        return here.model_copy(update={"threads": 99, "versions": {**here.versions, "torch": "1.0"}})

    monkeypatch.setattr(work, "environment", other)
    with pytest.raises(ResumeError, match=r"environment\.threads.*environment\.versions\.torch"):
        audit(str(models["causal"]), ["gendered-occupations"], store=tmp_path, resume=True)


def test_resuming_without_an_unfinished_run_is_an_error_and_writes_nothing(
    models: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(ResumeError, match="no unfinished run of causal"):
        audit(str(models["causal"]), store=tmp_path / "runs", resume=True)
    assert not (tmp_path / "runs").exists()


def test_a_record_holds_what_was_asked_and_no_path_of_the_machine(models: dict[str, Path], tmp_path: Path) -> None:
    record = audit(
        str(models["masked"]),
        ["gendered-occupations"],
        store=tmp_path,
        country_iso_code="KOR",
        limit=130,
        on_progress=lambda progress: time.sleep(0.05),  # else it is done before the meter's resolution
    )
    text = (tmp_path / record.run_id / "run.json").read_text()
    for path in (tmp_path, models["masked"].parent, Path.home(), Path(sys.prefix)):
        assert str(path) not in text
    assert RunRecord.model_validate(json.loads(text)) == record
    assert record.status == "partial"
    (probe,) = record.probes
    assert (probe.items, probe.templates, probe.lexemes, probe.items_in_set) == (120, 2, 60, 720)
    assert record.plan.probe_hashes == {"gendered-occupations": own_set("gendered-occupations").sha256}
    assert set(record.scores) == {"gendered-occupations.fill.0000"}
    assert record.footprint.energy_kwh is not None and record.footprint.energy_kwh > 0
    assert record.plan.model.notes == ()


def test_both_instruments_can_be_asked_in_one_run(models: dict[str, Path], tmp_path: Path, few_draws: None) -> None:
    record = audit(
        str(models["causal"]), ["gendered-occupations"], store=tmp_path, instruments=["fill", "sentence"], limit=60
    )
    by_instrument = {e.instrument: e.value for e in record.estimates if e.metric == "group_gap" and e.scope == "all"}
    fill, sentence = by_instrument["gendered-occupations / fill"], by_instrument["gendered-occupations / sentence"]
    # what precedes the pronoun is equal on both sides, so for a causal model the gap is the same either way
    assert fill == pytest.approx(sentence, abs=1e-5)


def test_a_model_object_and_a_pipeline_give_the_scores_of_their_folder(
    models: dict[str, Path], tmp_path: Path, few_draws: None
) -> None:
    from transformers import AutoModelForMaskedLM, AutoTokenizer, pipeline

    model, tokenizer = (
        AutoModelForMaskedLM.from_pretrained(models["masked"]),
        AutoTokenizer.from_pretrained(models["masked"]),
    )
    given = {"probes": ["gendered-occupations"], "limit": 60}
    folder = audit(str(models["masked"]), store=tmp_path / "a", **given)
    plain = audit(model, tokenizer=tokenizer, store=tmp_path / "b", **given)
    piped = audit(pipeline("fill-mask", model=model, tokenizer=tokenizer), store=tmp_path / "c", **given)
    assert folder.estimates == plain.estimates == piped.estimates
    assert folder.plan.model.sha256 == plain.plan.model.sha256 == piped.plan.model.sha256


@pytest.mark.parametrize("limit", [0, -5])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    with pytest.raises(UsageError, match="expected 1 or more"):
        prepare(limit=limit)


def test_a_set_given_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="two probe sets are called 'he-was-very'"):
        prepare(["he-was-very", "he-was-very"])


def test_shards_hold_whole_templates_and_every_item_once() -> None:
    questions = prepare()
    for probe_set in questions.probe_sets:
        parts = [shard.items for shard in questions.shards if shard.probe_set is probe_set]
        assert tuple(item for part in parts for item in part) == probe_set.items
        templates = [{item.template for item in part} for part in parts]
        assert sum(map(len, templates)) == len(set().union(*templates))
