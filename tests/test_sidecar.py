"""What goes with a report: the file beside it that holds every sentence and score, and the records inside it."""

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sample_record import sample_record, suite_record

from fairprint.audit.records import SCHEMA_VERSION, RunRecord
from fairprint.audit.store import RunFolder, Store
from fairprint.probes.catalog import own_set
from fairprint.probes.errors import StoreError, UsageError
from fairprint.probes.items import Item, Variant
from fairprint.probes.scores import Score
from fairprint.reports import html
from fairprint.reports.html import embedded_records, render_report, write_report

STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HOSTILE = '</script> "quoted" \u2028 \\n \u202e'
Asked = dict[str, Sequence[Item]]


def items() -> Asked:
    """Return a few items of a set of ours, some in Korean, and one that would break a careless file."""
    variants = tuple(
        Variant(group=group, text=f"{HOSTILE}{word} was late.", span=(len(HOSTILE), len(HOSTILE) + len(word)))
        for group, word in (("male", "He"), ("female", "She"))
    )
    odd = Item(
        id="odd/one",
        template="odd",
        lexeme="one",
        category=HOSTILE,
        directions=(0,),
        valence=0,
        covariate=None,
        variants=variants,
    )
    korean = own_set("gendered-occupations-ko").items[:3]
    return {"religion": own_set("religion").items[:4], "gendered-occupations-ko": korean, "odd": (odd,)}


def scores(asked: Asked, shift: float = 0.0) -> dict[str, list[Score]]:
    """Return the shards of a run: a number for every sentence but one, and one number that belongs to a frame."""
    shards = {}
    for name, found in asked.items():
        rows = [
            Score(
                item=item.id,
                template=item.template,
                lexeme=item.lexeme,
                category=item.category,
                group=variant.group,
                name="logprob",
                value=-10 / 3 - i - j / 7 - shift,
            )
            for i, item in enumerate(found)
            for j, variant in enumerate(item.variants)
        ]
        half = len(rows) // 2
        shards |= {f"{name}.after-group.0000": rows[:half], f"{name}.after-group.0001": rows[half:]}
    first = shards["odd.after-group.0000"][0]
    gone = Score(**{**fields(first), "value": None, "note": "a token is not known"})
    frame = Score(
        **{**fields(first), "item": "odd", "lexeme": "", "group": "", "name": "candidate_mass", "value": 0.125}
    )
    shards["odd.after-group.0000"] = [gone, frame]
    return shards


def fields(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


def stored(path: Path, asked: Asked, shards: dict[str, list[Score]], moment: int = 0) -> tuple[RunFolder, RunRecord]:
    """Store a run with these sentences and scores, and return it with its record."""
    run = Store(path).begin(sample_record().plan, STARTED.replace(second=moment))
    for name, found in asked.items():
        run.write_items(name, found)
    for name, rows in shards.items():
        run.write_shard(name, rows)
    run.write_record(sample_record(run_id=run.run_id))
    return run, run.record()


def lines(path: Path) -> list[dict[str, Any]]:
    text = path.read_bytes().decode("utf-8")
    assert text.endswith("\n")
    return [json.loads(line) for line in text[:-1].split("\n")]


def test_the_file_beside_a_report_holds_every_sentence_and_every_score(tmp_path: Path) -> None:
    asked = items()
    shards = scores(asked)
    run, record = stored(tmp_path / "runs", asked, shards)
    write_report([record], tmp_path / "report.html", [run])

    found = lines(tmp_path / "report.items.jsonl")
    sentences = {
        (name, item.id, variant.group): variant
        for name, members in asked.items()
        for item in members
        for variant in item.variants
    }
    expected = []
    for shard in sorted(shards):
        name, instrument, _ = shard.split(".")
        for score in shards[shard]:
            variant = sentences.get((name, score.item, score.group))
            expected.append(
                {
                    "run": run.run_id,
                    "probe_set": name,
                    "instrument": instrument,
                    **fields(score),
                    "text": variant.text if variant else None,
                    "scored": list(variant.span) if variant else None,
                }
            )
    assert found == expected
    assert {(line["probe_set"], line["item"], line["group"]) for line in found} >= set(sentences)
    for line in found:
        if line["text"]:
            words = sentences[line["probe_set"], line["item"], line["group"]].words
            assert line["text"][slice(*line["scored"])] == words
    assert [line["value"] for line in found if line["name"] == "candidate_mass"] == [0.125]
    assert [line["note"] for line in found if line["value"] is None] == ["a token is not known"]
    assert "그녀는" in (tmp_path / "report.items.jsonl").read_text(encoding="utf-8"), "letters are kept as they are"


def test_the_page_names_the_file_beside_it_with_its_lines_and_its_hash(tmp_path: Path) -> None:
    asked = items()
    run, record = stored(tmp_path / "runs", asked, scores(asked))
    write_report([record], tmp_path / "my report.html", [run])

    beside = tmp_path / "my report.items.jsonl"
    page = (tmp_path / "my report.html").read_text(encoding="utf-8")
    digest = hashlib.sha256(beside.read_bytes()).hexdigest()
    assert page.count(f"<code>{digest}</code>") == 1
    rows = len(lines(beside))
    assert f'with all scores, <data value="{rows}" data-as="tally">{rows}</data> lines: ' in page
    assert '<a href="my%20report.items.jsonl">my report.items.jsonl</a>' in page
    assert sorted(p.name for p in tmp_path.iterdir()) == ["my report.html", "my report.items.jsonl", "runs"]


def test_without_a_stored_run_there_is_no_file_beside_and_none_is_named(tmp_path: Path) -> None:
    write_report([sample_record()], tmp_path / "report.html")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert "jsonl" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_of_several_runs_the_page_says_how_many_lines_each_has(tmp_path: Path) -> None:
    asked = items()
    few = {name: found for name, found in asked.items() if name == "odd"}
    first, one = stored(tmp_path / "runs", asked, scores(asked))
    second, two = stored(tmp_path / "runs", few, scores(few, shift=1.0), moment=6)
    elsewhere = sample_record(run_id="a-run-of-an-old-report")
    write_report([one, two, elsewhere], tmp_path / "report.html", [first, second])

    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    counted = [int(n) for n in re.findall(r'with all scores, <data value="(\d+)"', page)]
    found = lines(tmp_path / "report.items.jsonl")
    runs = [line["run"] for line in found]
    assert counted == [runs.count(first.run_id), runs.count(second.run_id)] and len(set(counted)) == 2
    assert runs == sorted(runs) and sum(counted) == len(runs)
    assert page.count('href="report.items.jsonl"') == 2, "the run without a folder does not claim the file"


def test_a_report_that_cannot_be_written_leaves_the_old_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = items()
    run, record = stored(tmp_path / "runs", asked, scores(asked))
    target = tmp_path / "report.html"
    write_report([record], target, [run])
    before = {path.name: path.read_bytes() for path in tmp_path.glob("report*")}
    later, other = stored(tmp_path / "runs", asked, scores(asked, shift=1.0), moment=6)
    monkeypatch.setattr(html, "render_report", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report([other], target, [later])
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*report*")} == before
    monkeypatch.undo()
    (shard, *_) = (run.path / "scores").glob("religion*")
    shard.write_bytes(b"damaged")
    with pytest.raises(StoreError, match="cannot be read"):
        write_report([record], target, [run])
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*report*")} == before
    with pytest.raises(StoreError, match="cannot be written"):
        write_report([record], tmp_path / "missing" / "report.html")
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".part")]


def test_records_come_back_from_a_page_as_they_were(tmp_path: Path) -> None:
    trap = '<script type="application/gzip" id="fairprint-records">H4sI</script>'
    nothing = sample_record(
        kind="metered command", probes=(), estimates=(), highlights=(), scores={}, notes=(trap, HOSTILE)
    )
    for records in ([suite_record()], [sample_record(), suite_record(), nothing], [nothing]):
        write_report(records, tmp_path / "report.html")
        assert embedded_records(tmp_path / "report.html") == records


def test_an_old_report_can_be_made_anew(tmp_path: Path) -> None:
    write_report([suite_record(), sample_record()], tmp_path / "old.html")
    write_report(embedded_records(tmp_path / "old.html"), tmp_path / "new.html")
    assert (tmp_path / "new.html").read_bytes() == (tmp_path / "old.html").read_bytes()


@cache
def rendered() -> str:
    return render_report([sample_record()])


def packed(value: object) -> str:
    return base64.b64encode(gzip.compress(json.dumps(value).encode())).decode()


def with_embedded(path: Path, change: Any) -> Path:
    """Write a report whose embedded records are changed."""
    changed = re.sub(r'(?<=id="fairprint-records">)[^<]*', lambda found: change(found.group()), rendered())
    path.write_text(changed, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda _: "",
        lambda data: data[:-8],
        lambda data: data[: len(data) // 2],
        lambda data: data[:1001],
        lambda data: data[:200] + ("A" if data[200] != "A" else "B") + data[201:],
        lambda _: base64.b64encode(b"no gzip").decode(),
        lambda _: base64.b64encode(gzip.compress(b"\xff\xfe")).decode(),
        lambda _: base64.b64encode(gzip.compress(b"[{")).decode(),
        lambda _: packed(5),
        lambda _: packed(None),
        lambda _: packed({"schema_version": SCHEMA_VERSION}),
        lambda _: packed([5]),
        lambda _: packed([[]]),
        lambda _: packed([{}]),
        lambda _: packed([{"schema_version": SCHEMA_VERSION, "run_id": "x"}]),
    ],
)
def test_damaged_records_are_an_error_that_names_the_file(tmp_path: Path, change: Any) -> None:
    path = with_embedded(tmp_path / "report.html", change)
    with pytest.raises(StoreError, match=r"report\.html: "):
        embedded_records(path)


def test_records_of_a_newer_version_ask_for_an_update(tmp_path: Path) -> None:
    newer = {**sample_record().model_dump(), "schema_version": SCHEMA_VERSION + 1}
    with pytest.raises(StoreError, match=rf"report\.html: .*schema version {SCHEMA_VERSION + 1}"):
        embedded_records(with_embedded(tmp_path / "report.html", lambda _: packed([newer])))


def test_what_is_no_report_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        embedded_records(tmp_path / "missing.html")
    (tmp_path / "binary.html").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(UsageError, match="cannot be read"):
        embedded_records(tmp_path / "binary.html")
    (tmp_path / "other.html").write_text("<!DOCTYPE html><title>Another page</title>")
    with pytest.raises(StoreError, match="is no report of fairprint"):
        embedded_records(tmp_path / "other.html")
