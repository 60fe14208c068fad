"""Two stored runs compared: what is refused and why, what a planted change does, and what the command says of it."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from planted import OCCUPATIONS, TEXTS, few, planted, small_runs, tuned

from fairprint.audit.comparable import common, costs_apart, remarks
from fairprint.audit.compare import compare
from fairprint.audit.comparisons import ComparisonRecord, Difference
from fairprint.audit.models import Opened
from fairprint.audit.records import RunRecord, Segment, to_json
from fairprint.audit.runner import audit
from fairprint.audit.store import RunFolder, Store
from fairprint.probes.errors import UsageError
from fairprint.reports.cli import main
from fairprint.reports.comparison import summary
from fairprint.reports.comparison_page import render_comparison
from fairprint.reports.comparison_table import print_comparison

SETS = (OCCUPATIONS, TEXTS)


def of(record: ComparisonRecord, metric: str, scope: str = "all") -> Difference:
    return next(d for d in record.differences if (d.metric, d.scope) == (metric, scope))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def runs(store: Path, shared_folder: Path) -> dict[str, RunFolder]:
    return small_runs(store, shared_folder)


@pytest.fixture(scope="module")
def moved(runs: dict[str, RunFolder]) -> ComparisonRecord:
    return compare(runs["base"], runs["planted"])


# what is found


def test_a_model_compared_with_itself_differs_by_exactly_nothing(runs: dict[str, RunFolder]) -> None:
    found = compare(runs["base"], runs["again"])

    assert found.identical
    valued = [d for d in found.differences if d.value is not None]
    assert len(valued) > 15
    assert {(d.value, d.identical, d.verdict) for d in valued} == {(0.0, True, "identical answers")}
    assert (found.only_a, found.only_b, found.remarks) == ((), (), ())


def test_a_planted_association_is_found_in_its_direction(moved: ComparisonRecord) -> None:
    for metric in ("signed_effect", "stereotype_score"):
        found = of(moved, metric)
        assert found.value is not None and found.low is not None and found.q_value is not None
        assert found.low > 0 and found.q_value < 0.05, metric
        assert found.verdict == "moved away from neutral"
    assert not moved.identical


def test_undoing_it_moves_towards_neutral(runs: dict[str, RunFolder], moved: ComparisonRecord) -> None:
    found = compare(runs["planted"], runs["base"])

    assert of(found, "signed_effect").verdict == "moved towards neutral"
    back = {(d.metric, d.scope, d.comparison): d for d in found.differences}
    for there in moved.differences:
        other = back[there.metric, there.scope, there.comparison]
        assert (there.a, there.b) == (other.b, other.a)
        assert there.value is None or there.value == pytest.approx(-(other.value or 0), abs=1e-12)
        assert (there.p_away, there.p_towards) == (
            pytest.approx(other.p_towards) if other.p_towards is not None else None,
            pytest.approx(other.p_away) if other.p_away is not None else None,
        )


def test_the_values_of_either_run_are_those_of_its_own_report(
    runs: dict[str, RunFolder], moved: ComparisonRecord
) -> None:
    for side in ("a", "b"):
        record = runs["base" if side == "a" else "planted"].record()
        told = {(e.metric, e.scope, e.comparison, e.instrument): e.value for e in record.estimates}
        for d in moved.differences:
            expected = told[d.metric, d.scope, d.comparison, d.instrument]
            assert getattr(d, side) == (None if expected is None else pytest.approx(expected)), d.metric


def test_what_the_change_did_to_plain_texts_stands_beside_it(moved: ComparisonRecord) -> None:
    per_token, perplexity = of(moved, "mean_logprob_per_token"), of(moved, "perplexity")

    # it was trained on nothing but sentences about occupations
    assert moved.utility == (TEXTS,)
    assert per_token.verdict == perplexity.verdict == "worse"
    assert per_token.high is not None and per_token.high < 0
    assert perplexity.a is not None and perplexity.b is not None and perplexity.a < perplexity.b
    topic = dict(summary(moved))["Utility"]
    assert "Run B does worse." in topic[0] and "Perplexity:" in topic[0]


def test_words_are_left_out_and_every_other_part_of_both_runs_is_compared(
    runs: dict[str, RunFolder], moved: ComparisonRecord
) -> None:
    parts = [(e.metric, e.scope, e.comparison) for e in runs["base"].record().estimates]

    assert [(d.metric, d.scope, d.comparison) for d in moved.differences] == [
        part for part in parts if not part[1].startswith("lexeme:")
    ]


def test_one_set_can_be_compared_alone(runs: dict[str, RunFolder], moved: ComparisonRecord) -> None:
    found = compare(runs["base"], runs["planted"], [TEXTS])

    assert {d.probe_set for d in found.differences} == {TEXTS} and found.family == 1
    alone = of(found, "mean_logprob_per_token")
    assert (alone.value, alone.p_value) == (of(moved, "mean_logprob_per_token").value, alone.q_value)


def test_what_only_one_run_has_is_listed(runs: dict[str, RunFolder]) -> None:
    found = compare(runs["base"], runs["both"])
    assert (found.only_a, found.only_b) == ((), (f"{OCCUPATIONS} / sentence",))
    assert {d.instrument for d in found.differences} == {f"{OCCUPATIONS} / fill", f"{TEXTS} / sentence"}

    found = compare(runs["base"], runs["texts"])
    assert (found.only_a, found.only_b) == ((f"probe set {OCCUPATIONS}",), ())
    assert "the two runs did not ask the same" in found.costs_apart


def test_recorded_answers_compare_like_others(runs: dict[str, RunFolder], tmp_path: Path) -> None:
    from fairprint.audit.recording import write_recording

    file = tmp_path / "answers.jsonl"
    write_recording(file, runs["planted"], runs["planted"].plan().model)
    record = audit(f"recorded:{file}", few(), store=tmp_path / "replayed")
    replayed = Store(tmp_path / "replayed").find(record.run_id)

    assert compare(runs["planted"], replayed).identical
    found = compare(runs["base"], replayed)
    assert of(found, "signed_effect").value == of(compare(runs["base"], runs["planted"]), "signed_effect").value
    assert found.remarks[0] == "run B replays recorded answers: how they came about is what their file says"
    assert any("replayed answers" in reason for reason in found.costs_apart)


# refusals


def changed(record: RunRecord, **changes: Any) -> RunRecord:
    return record.model_copy(update=changes)


def with_plan(record: RunRecord, **changes: Any) -> RunRecord:
    return changed(record, plan=record.plan.model_copy(update=changes))


def with_model(record: RunRecord, **changes: Any) -> RunRecord:
    return with_plan(record, model=record.plan.model.model_copy(update=changes))


def with_probe(record: RunRecord, **changes: Any) -> RunRecord:
    return changed(record, probes=(record.probes[0].model_copy(update=changes), *record.probes[1:]))


REFUSED: dict[str, tuple[Callable[[RunRecord], RunRecord], str, str]] = {
    "another hash": (
        lambda r: with_probe(r, sha256="0" * 64, version=9),
        rf"the probe set '{OCCUPATIONS}' asks other questions in the one \(version 2, sha256 [0-9a-f]{{12}}\) than in "
        r"the other \(version 9, sha256 000000000000\)",
        "audit both models with the same file",
    ),
    "a limit": (
        lambda r: with_probe(r, items=60),
        rf"of the 240 items of '{OCCUPATIONS}' the one asked 240 and the other 60",
        "same --limit",
    ),
    "another way to ask": (
        lambda r: changed(r, scores={name.replace(".fill.", ".aul."): h for name, h in r.scores.items()}),
        rf"'{OCCUPATIONS}' was asked with fill in the one and with aul in the other",
        "same --instrument",
    ),
    "another version of an instrument": (
        lambda r: with_plan(r, instrument_versions={"fill": 2, "sentence": 1}),
        "the instrument 'fill' asks in another way: version 1 in the one and 2 in the other",
        "one version of fairprint",
    ),
    "another kind of model": (
        lambda r: with_model(r, kind="masked"),
        rf"'fill' scores a causal model in another way than a masked one \(probe set '{OCCUPATIONS}'\)",
        "models of one kind",
    ),
    "no audit": (lambda r: changed(r, kind="training"), r"is no audit \(training\)", "runs list"),
    "a run that ended early": (
        lambda r: changed(r, status="truncated"),
        "ended before its end",
        "audit the model again",
    ),
    "nothing in common": (
        lambda r: with_probe(changed(r, probes=r.probes[:1]), name="mine"),
        f"they asked different probe sets, {OCCUPATIONS}, {TEXTS} and mine",
        "same --probes",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_runs_that_are_not_of_the_same_are_refused_with_the_reason(what: str, runs: dict[str, RunFolder]) -> None:
    change, reason, hint = REFUSED[what]
    record = runs["base"].record()
    with pytest.raises(UsageError, match=reason) as failed:
        common(record, change(record))
    assert str(failed.value).startswith("the runs cannot be compared: ")
    assert failed.value.hint is not None and hint in failed.value.hint


def test_all_reasons_are_told_at_once(runs: dict[str, RunFolder]) -> None:
    record = runs["base"].record()
    other = with_model(with_probe(record, sha256="0" * 64), kind="masked")
    with pytest.raises(UsageError) as failed:
        common(record, other)
    assert str(failed.value).count(";") == 2


def test_stored_runs_are_refused_as_their_records_are(runs: dict[str, RunFolder]) -> None:
    with pytest.raises(UsageError, match="the one asked 240 and the other 60"):
        compare(runs["base"], runs["limited"])
    assert not compare(runs["limited"], runs["limited"]).only_a


def test_a_set_that_is_not_the_same_can_be_left_out(runs: dict[str, RunFolder]) -> None:
    record = runs["base"].record()
    assert [a.a.name for a in common(record, with_probe(record, sha256="0" * 64), [TEXTS]).asked] == [TEXTS]
    with pytest.raises(UsageError, match=r"neither run asked the probe set 'neutral-sentence'\. Did you mean"):
        common(record, record, ["neutral-sentence"])


def test_texts_that_others_judged_are_not_compared(runs: dict[str, RunFolder]) -> None:
    record = runs["base"].record()
    model = record.plan.model
    one = with_probe(record, scored="prompt")
    other = with_plan(one, scorers=(model.model_copy(update={"name": "lexicon.tsv", "sha256": "1" * 64}),))
    with pytest.raises(UsageError, match=r"were judged by other scorers: none and lexicon\.tsv"):
        common(one, other)
    assert common(other, other).asked


def test_an_unfinished_run_is_refused(runs: dict[str, RunFolder], tmp_path: Path) -> None:
    shutil.copytree(runs["base"].path, tmp_path / "unfinished")
    (tmp_path / "unfinished" / "run.json").unlink()
    with pytest.raises(UsageError, match="unfinished is not finished") as failed:
        compare(runs["base"], RunFolder(tmp_path / "unfinished"))
    assert failed.value.hint == "repeat its audit command with --resume"


def test_a_metric_of_another_version_is_refused(runs: dict[str, RunFolder], tmp_path: Path) -> None:
    shutil.copytree(runs["base"].path, tmp_path / "older")
    record = runs["base"].record()
    old = [e.model_copy(update={"metric_version": 7}) if e.metric == "signed_effect" else e for e in record.estimates]
    (tmp_path / "older" / "run.json").write_text(to_json(changed(record, estimates=tuple(old))))
    with pytest.raises(UsageError, match=r"has version 7 of the metric signed_effect .* computes version 1") as failed:
        compare(runs["base"], RunFolder(tmp_path / "older"))
    assert failed.value.hint == "audit that model again"


@pytest.mark.parametrize(("kinds", "fine"), [(("causal", "endpoint"), True), (("masked", "seq2seq"), False)])
def test_kinds_that_an_instrument_scores_alike_are_compared(
    kinds: tuple[str, str], fine: bool, runs: dict[str, RunFolder]
) -> None:
    one, other = (with_model(runs["base"].record(), kind=kind) for kind in kinds)
    if fine:
        assert common(one, other).asked
    else:
        with pytest.raises(UsageError, match="in another way"):
            common(one, other)


# what stands beside it


def test_what_may_move_a_number_is_named(runs: dict[str, RunFolder]) -> None:
    one = runs["base"].record()
    other = with_model(changed(one, run_id="x"), dtype="bfloat16", weights="safetensors")
    environment = one.plan.environment.model_copy(update={"versions": one.plan.environment.versions | {"torch": "1.0"}})
    other = with_plan(other, environment=environment)
    told = remarks(one, other, common(one, other))

    assert told[0] == f"type of the weights: {one.plan.model.dtype} in run A, bfloat16 in run B"
    assert told[-1] == f"torch: {one.plan.environment.versions['torch']} in run A, 1.0 in run B"
    partial = changed(one, status="partial")
    assert remarks(partial, partial, common(partial, partial)) == (
        "both are the same run, so that every difference is 0",
        "both runs asked only a part of the questions",
    )


def test_energy_is_compared_on_one_machine_alone(runs: dict[str, RunFolder]) -> None:
    one = runs["base"].record()
    same = changed(one, run_id="x")
    assert costs_apart(one, same) == ()
    environment = one.plan.environment.model_copy(update={"cpu": "Another", "device": "cuda"})
    dead = Segment(started_at="2026-01-01T00:00:00Z", duration_s=None, metered=False, note="killed")
    footprint = one.footprint.model_copy(update={"segments": (*one.footprint.segments, dead)})
    cases = {
        f"processor: {one.plan.environment.cpu} and Another": with_plan(same, environment=environment),
        "device: cpu and cuda": with_plan(same, environment=environment),
        "type of the weights: torch.float32 and float16": with_model(same, dtype="float16"),
        "the model of run B computed elsewhere": with_model(same, kind="endpoint"),
        "run B was interrupted, and a part of it was not metered": changed(same, footprint=footprint),
        "run B has no energy: no meter": changed(
            same, footprint=one.footprint.model_copy(update={"energy_kwh": None, "reason": "no meter"})
        ),
        "both are the same run": one,
    }
    for reason, other in cases.items():
        assert reason.replace("torch.float32", one.plan.model.dtype) in costs_apart(one, other)


# the command


class Ended:
    """How a command ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def fairprint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    def run(*arguments: str) -> Ended:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["fairprint", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return Ended(int(ended.value.code or 0), shown.out, shown.err)

    return run


def test_the_command_shows_the_main_difference_of_each_set(
    fairprint: Callable[..., Ended], runs: dict[str, RunFolder], store: Path, moved: ComparisonRecord
) -> None:
    ended = fairprint("compare", runs["base"].run_id, runs["planted"].run_id, "--store", str(store))
    lines = ended.out.splitlines()

    assert ended.code == 0 and ended.err == ""
    assert lines[0].startswith("run A") and runs["base"].run_id in lines[0]
    (score,) = [line for line in lines if line.startswith("  Stereotype score")]
    assert score.rstrip().endswith("moved away from neutral") and " points" in score
    (text,) = [line for line in lines if line.startswith("  Mean log probability of a token")]
    assert text.rstrip().endswith("worse")
    shown = sum(d.q_value is not None and d.q_value < 0.05 for d in moved.differences)
    assert f"{shown} of {moved.family} tested differences are shown" in ended.out
    assert "utility: Neutral sentences" in ended.out and "cost: Run A took" in ended.out


def test_all_differences_are_shown_on_demand(
    fairprint: Callable[..., Ended], runs: dict[str, RunFolder], store: Path, moved: ComparisonRecord
) -> None:
    ended = fairprint("compare", runs["base"].run_id, runs["planted"].run_id, "--store", str(store), "--all")
    head, *rows = [line for line in ended.out.splitlines() if line.startswith("  ")]

    assert head.split() == ["A", "B", "B", "−", "A", "95", "%", "interval", "q", "shown"]
    assert len(rows) == len(moved.differences)


def test_the_command_prints_the_record_as_json(
    fairprint: Callable[..., Ended], runs: dict[str, RunFolder], store: Path, moved: ComparisonRecord
) -> None:
    ended = fairprint("compare", runs["base"].run_id, runs["planted"].run_id, "--store", str(store), "--json")

    assert ComparisonRecord.model_validate(json.loads(ended.out)) == moved


def test_the_command_says_that_answers_are_identical(
    fairprint: Callable[..., Ended], runs: dict[str, RunFolder], store: Path
) -> None:
    ended = fairprint("compare", runs["base"].run_id, runs["again"].run_id, "--store", str(store))

    assert ended.code == 0
    assert "Both runs gave identical answers" in ended.out and "every difference is exactly 0" in ended.out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("base", "limited"), 2, "the one asked 240 and the other 60"),
        (("base", "nothing"), 2, "no run 'nothing'"),
        (("base",), 2, "Missing argument"),
        (("base", "planted", "--probes", "none"), 2, "neither run asked the probe set 'none'"),
        (("base", "planted", "--report", "missing/page.html"), 2, "cannot be written: no folder"),
    ],
)
def test_what_cannot_be_done_ends_with_a_sentence(
    arguments: tuple[str, ...],
    code: int,
    said: str,
    fairprint: Callable[..., Ended],
    runs: dict[str, RunFolder],
    store: Path,
) -> None:
    given = [runs[word].run_id if word in runs else word for word in arguments]
    ended = fairprint("compare", *given, "--store", str(store))

    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err and "Traceback" not in ended.err


def test_a_damaged_run_ends_with_3(fairprint: Callable[..., Ended], runs: dict[str, RunFolder], tmp_path: Path) -> None:
    for name in ("base", "planted"):
        shutil.copytree(runs[name].path, tmp_path / runs[name].run_id)
    next((tmp_path / runs["planted"].run_id / "scores").glob("*.parquet")).write_bytes(b"no parquet")
    ended = fairprint("compare", runs["base"].run_id, runs["planted"].run_id, "--store", str(tmp_path))

    assert ended.code == 3 and "cannot be read" in ended.err


# the page


def test_the_page_is_the_same_each_time_and_says_each_main_difference(moved: ComparisonRecord) -> None:
    page = render_comparison(moved)
    plain = re.sub(r"<[^>]*>", "", page)

    assert page == render_comparison(moved)
    assert len(page.encode()) < 1_000_000
    for topic, sentences in summary(moved):
        assert topic in page
        for sentence in sentences:
            assert sentence.striptags() in plain.replace("&#39;", "'") or str(sentence) in page
    for d in moved.differences:
        if d.value is not None:
            assert f'<data value="{d.value!r}"' in page
    assert page.count("<h1") == 1 and "Content-Security-Policy" in page


def test_the_page_holds_the_record(moved: ComparisonRecord) -> None:
    import base64
    import gzip

    found = re.search(r'id="fairprint-comparison">([A-Za-z0-9+/=]*)<', render_comparison(moved))
    assert found is not None
    assert ComparisonRecord.model_validate(json.loads(gzip.decompress(base64.b64decode(found[1])))) == moved


def test_the_command_writes_the_page(
    fairprint: Callable[..., Ended], runs: dict[str, RunFolder], store: Path, tmp_path: Path, moved: ComparisonRecord
) -> None:
    path = tmp_path / "page.html"
    ended = fairprint(
        *("compare", runs["base"].run_id, runs["planted"].run_id, "--store", str(store), "--report", str(path))
    )

    assert ended.code == 0 and ended.err == f"report  {path}\n"
    assert path.read_text() == render_comparison(moved)


def test_nothing_of_a_record_acts_in_the_page_or_the_terminal(
    moved: ComparisonRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = "<script>alert(1)</script>[red]\x1b]0;owned\x07"
    model = moved.b.model.model_copy(update={"name": evil})
    probes = tuple(p.model_copy(update={"title": evil, "summary": evil}) for p in moved.probes)
    told = {"b": moved.b.model_copy(update={"model": model}), "probes": probes, "only_a": (evil,), "remarks": (evil,)}
    found = moved.model_copy(update=told | {"costs_apart": (evil,)})
    page = render_comparison(found)
    print_comparison(found, every=True)
    out = capsys.readouterr().out

    assert "<script>alert" not in page and "\x1b" not in page
    assert "\x1b]0" not in out and "[red]" in out and "U+001B" in out


# a real model


@pytest.mark.slow
def test_what_forty_steps_plant_in_smollm2_is_found_and_the_guard_is_shown(smollm2: Opened, tmp_path: Path) -> None:
    backend: Any = smollm2.backend
    model, tokenizer = backend.model, backend.tokenizer
    changed_model = tuned(model, tokenizer, planted(1.0))
    ids = [
        audit(each, list(SETS), tokenizer=tokenizer, store=tmp_path).run_id for each in (model, model, changed_model)
    ]
    base, again, after = (Store(tmp_path).find(run_id) for run_id in ids)

    same = compare(base, again)
    assert same.identical and {d.value for d in same.differences if d.value is not None} == {0.0}
    assert {d.verdict for d in same.differences if d.value is not None} == {"identical answers"}

    found = compare(base, after)
    # whether he or she wins is decided by the template in most items, so that the stereotype score hardly moves
    for metric in ("signed_effect", "covariate_correlation"):
        effect = of(found, metric)
        assert effect.low is not None and effect.low > 0, metric
        assert effect.verdict == "moved away from neutral"
    guard = dict(summary(found))["Utility"][0]
    assert "Neutral sentences" in guard and "Perplexity:" in guard
    assert of(found, "mean_logprob_per_token").verdict == "worse"
