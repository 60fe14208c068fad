"""BOLD: prompts and human baseline as they are read, what a model writes after them, and how often it has a label."""

import json
from pathlib import Path
from typing import Any

import pytest
from fuzz import check_set, damaged, survives
from hypothesis import given, settings
from hypothesis import strategies as st
from written import LEXICON, PEOPLE, PROMPTS, bold, writer

from fairprint.audit.forecast import forecast
from fairprint.audit.kinds import KINDS
from fairprint.audit.models import Opened
from fairprint.audit.multiplicity import REPORT
from fairprint.audit.questions import prepare
from fairprint.audit.records import Estimate, RunRecord
from fairprint.audit.runner import audit
from fairprint.audit.sources import find_model
from fairprint.audit.store import Store
from fairprint.probes.catalog import find_probe_set
from fairprint.probes.errors import ProbeFileError, UsageError
from fairprint.probes.instruments import INSTRUMENTS, find_instruments
from fairprint.probes.items import limit_items, shards
from fairprint.probes.labelled import OTHERS
from fairprint.probes.readers.bold import load_bold
from fairprint.probes.requests import Backend, GenerateRequest, GenerateResponse
from fairprint.probes.scores import Score
from fairprint.probes.tasks_continue import SAMPLES, TOKENS, continuation, seed_of
from fairprint.reports.html import render_report

DATA = Path(__file__).parents[2] / "shared" / "data" / "bold"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs the published data in ../shared/data/bold")


def write(folder: Path, content: Any, name: str = "gender_prompt.json") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


# the published data


@needs_data
def test_the_published_folder_has_its_23679_prompts_in_five_domains() -> None:
    found = find_probe_set(f"bold:{DATA}")
    assert (found.name, len(found.items), found.scored, found.licence) == ("bold", 23_679, "prompt", "CC BY-SA 4.0")
    counts = {item.category: sum(i.category == item.category for i in found.items) for item in found.items[::97]}
    assert counts == {
        "gender": 3_204,
        "political ideology": 1_984,
        "profession": 10_195,
        "race": 7_657,
        "religious ideology": 639,
    }
    by_group = {g.id: sum(i.variants[0].group == g.id for i in found.items) for g in found.groups[:2]}
    assert by_group == {"American_actors": 2_048, "American_actresses": 1_156}
    assert [(c.first, c.second) for c in found.comparisons[:2]] == [
        ("American_actors", "American_actresses"),
        ("left-wing", OTHERS),
    ]
    assert found.remarks == (
        "932 prompts repeat another one of their file; each is asked",
        "5 prompts are empty and have no answer",
        "gender: 3,204 prompts have a human continuation from Wikipedia",
        "profession: 10,195 prompts have a human continuation from Wikipedia",
        "no human continuations from Wikipedia beside the prompts of: political ideology, race, religious ideology",
    )
    check_set(found)


@needs_data
@pytest.mark.parametrize("domain", ["gender", "profession"])
def test_prompt_and_baseline_make_up_the_sentence_of_wikipedia(domain: str) -> None:
    found = load_bold(DATA / "prompts" / f"{domain}_prompt.json")
    assert found.name == f"bold-{domain}"
    people = json.loads((DATA / "wikipedia" / f"{domain}_wiki.json").read_text(encoding="utf-8"))
    sentences = sorted("".join(one.split()) for keys in people.values() for every in keys.values() for one in every)
    assert sorted("".join((item.variants[0].text + item.baseline).split()) for item in found.items) == sentences


@needs_data
def test_a_part_of_the_set_holds_every_domain_and_both_groups_of_the_smallest() -> None:
    found = load_bold(DATA)
    kept = limit_items(found.items, 300)
    assert {item.category for item in kept} == {item.category for item in found.items}
    gender = [
        item.variants[0].group for item in limit_items(load_bold(DATA / "prompts" / "gender_prompt.json").items, 20)
    ]
    assert {"American_actors", "American_actresses"} == set(gender)


# how files are read


def test_groups_give_a_key_each_in_turn_and_a_key_is_the_template_of_its_prompts(tmp_path: Path) -> None:
    found = load_bold(bold(tmp_path))
    assert [(item.id, item.template) for item in found.items] == [
        ("gender:American_actors.Al_Bell[0]", "Al_Bell"),
        ("gender:American_actors.Al_Bell[1]", "Al_Bell"),
        ("gender:American_actresses.Cy_Lee[0]", "Cy_Lee"),
        ("gender:American_actresses.Cy_Lee[1]", "Cy_Lee"),
        ("gender:American_actors.Bo_Ray[0]", "Bo_Ray"),
        ("gender:American_actresses.Di_Fox[0]", "Di_Fox"),
    ]
    first = found.items[0]
    assert (first.category, first.variants[0].group, first.variants[0].text) == (
        "gender",
        "American_actors",
        "Al Bell is an American actor who ",
    )
    assert [item.baseline for item in found.items] == [
        "sang.",
        "plays a dog.",
        "for her film.",
        "wrote books.",
        "writer.",
        "and dog lover.",
    ]
    assert [group.label for group in found.groups] == ["American actors", "American actresses"]
    assert found.random_factors == ("template",)


@pytest.mark.parametrize("place", ["beside", "inside", "same folder", "file"])
def test_the_baseline_is_found_wherever_it_lies(place: str, tmp_path: Path) -> None:
    parts = {
        "beside": ("prompts/gender_prompt.json", "wikipedia/gender_wiki.json", "prompts"),
        "inside": ("gender_prompt.json", "wikipedia/gender_wiki.json", "."),
        "same folder": ("gender_prompt.json", "gender_wiki.json", "."),
        "file": ("prompts/gender_prompt.json", "wikipedia/gender_wiki.json", "prompts/gender_prompt.json"),
    }[place]
    write(tmp_path, PROMPTS, parts[0])
    write(tmp_path, PEOPLE, parts[1])
    found = load_bold(tmp_path / parts[2])
    assert all(item.baseline for item in found.items)
    without = load_bold(write(tmp_path / "far" / "away", PROMPTS))
    assert not any(item.baseline for item in without.items)
    assert found.sha256 != without.sha256
    assert without.remarks == ("no human continuations from Wikipedia beside the prompts of: gender",)


def test_a_sentence_that_does_not_belong_to_its_prompt_is_no_baseline(tmp_path: Path) -> None:
    write(tmp_path, PROMPTS)
    people = json.loads(json.dumps(PEOPLE))
    people["American_actors"]["Al_Bell"][0] = "Another sentence."
    people["American_actors"]["Bo_Ray"].append("One more.")
    people["American_actresses"]["Di_Fox"] = ["Di Fox is an actress"]
    write(tmp_path, people, "gender_wiki.json")
    found = load_bold(tmp_path / "gender_prompt.json")
    assert {item.template: item.baseline for item in found.items if not item.baseline} == {
        "Al_Bell": "",
        "Bo_Ray": "",
        "Di_Fox": "",
    }
    assert "gender: 3 prompts have a human continuation from Wikipedia, 3 have none" in found.remarks


def test_several_groups_are_compared_with_all_others_of_their_domain(tmp_path: Path) -> None:
    write(tmp_path, {"a": {"x": ["X "]}, "b": {"y": ["Y "]}, "c": {"x": ["X is "]}}, "faith_prompt.json")
    write(tmp_path, {"d": {"z": ["Z "]}}, "job_prompt.json")
    found = load_bold(tmp_path)
    assert [(c.first, c.second) for c in found.comparisons] == [("a", OTHERS), ("b", OTHERS), ("c", OTHERS)]
    assert [item.template for item in found.items] == ["x", "y", "x", "z"]
    assert found.name == "bold"


BAD: dict[str, tuple[Any, str]] = {
    "a list": ([], r"gender_prompt\.json:1: character 1: expected an object, found a list"),
    "a prompt that is a number": (
        {"a": {"x": ["X ", 3]}, "b": {"y": ["Y "]}},
        r"gender_prompt\.json:1: a\.x\[1\] \(character 20\): expected a text, found a number, 3",
    ),
    "prompts that are no list": (
        {"a": {"x": "X "}, "b": {"y": ["Y "]}},
        r"gender_prompt\.json:1: a\.x \(character 13\): expected a list, found a text",
    ),
    "a group without keys": (
        {"a": ["X "], "b": {"y": ["Y "]}},
        r"gender_prompt\.json:1: a \(character 7\): expected an object, found a list",
    ),
    "one group": ({"a": {"x": ["X "]}}, r"gender_prompt\.json: a single group; nothing can be compared"),
    "a group without a name": ({" ": {"x": ["X "]}, "b": {"y": ["Y "]}}, r"' ' can be no name of a group"),
    "a group with our name": ({OTHERS: {"x": ["X "]}, "b": {}}, r"'\(others\)' can be no name of a group"),
    "nothing": ({}, r"gender_prompt\.json:1: the file holds no prompt"),
    "keys without prompts": ({"a": {"x": []}}, r"gender_prompt\.json:1: the file holds no prompt"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_wrong_in_a_file_is_told_with_its_place(what: str, tmp_path: Path) -> None:
    content, told = BAD[what]
    with pytest.raises(ProbeFileError, match=told):
        load_bold(write(tmp_path, content))


def test_a_group_of_two_files_and_a_folder_without_prompts_are_errors(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ProbeFileError, match=r"empty: the folder holds no \.json file"):
        load_bold(tmp_path / "empty")
    write(tmp_path, PROMPTS)
    write(tmp_path, PROMPTS, "other_prompt.json")
    with pytest.raises(
        ProbeFileError, match=r"other_prompt\.json: the group 'American_actors' stands in gender_prompt"
    ):
        load_bold(tmp_path)


def test_a_path_that_is_not_there_is_an_error_that_says_what_the_format_reads(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file or folder") as error:
        find_probe_set(f"bold:{tmp_path / 'gone'}")
    assert "the folder of BOLD" in (error.value.hint or "")


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_with_its_place(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "prompts" / "gender_prompt.json"
    path.parent.mkdir(exist_ok=True)
    good = json.dumps(PROMPTS, indent=data.draw(st.sampled_from([None, 1]))).encode()
    survives(load_bold, path, data.draw(damaged(good)))


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_damaged_baseline_is_read_or_refused_with_its_place(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "baseline"
    prompts = write(folder, PROMPTS)
    (folder / "gender_wiki.json").write_bytes(data.draw(damaged(json.dumps(PEOPLE).encode())))
    try:
        check_set(load_bold(prompts))
    except ProbeFileError as error:
        assert "gender_wiki.json" in error.message


# how models are asked


class Echo(Backend):
    """Writes what it was asked, so that a test sees the requests."""

    def __init__(self, *texts: str | None) -> None:
        self.asked: list[GenerateRequest] = []
        self.texts = texts

    def generate(self, requests: Any) -> list[GenerateResponse]:
        self.asked += requests
        return [GenerateResponse(texts=self.texts or (request.prompt,) * request.samples) for request in requests]


def test_prompts_lose_the_blank_at_their_end_and_an_empty_one_is_not_asked(tmp_path: Path) -> None:
    content = {"a": {"x": ["X is a ", "", " \n"]}, "b": {"y": ["Y"]}}
    items = load_bold(write(tmp_path, content)).items
    backend = Echo()
    rows = continuation(backend, items, seed=7)
    assert [request.prompt for request in backend.asked] == ["X is a", "Y"]
    assert {(r.samples, r.max_new_tokens, r.temperature, r.top_p, r.chat) for r in backend.asked} == {
        (SAMPLES, TOKENS, 1.0, 0.9, False)
    }
    empty = [(row.item, row.value, row.note, row.text) for row in rows if row.value is None]
    assert empty == [(f"gender:a.x[{n}]", None, "the prompt is empty", "") for n in (1, 2)]
    assert [row.name for row in rows if row.item == "gender:b.y[0]"] == [f"completion:{n}" for n in range(SAMPLES)]


def test_a_text_that_is_empty_or_missing_has_no_value_and_says_why(tmp_path: Path) -> None:
    items = load_bold(write(tmp_path, {"a": {"x": ["X "]}, "b": {"y": ["Y "]}})).items[:1]
    rows = continuation(Echo(" who sang", " ", None), items, seed=0)
    assert [(row.value, row.note, row.text) for row in rows] == [
        (1.0, "", " who sang"),
        (None, "nothing was written", " "),
        (None, "nothing was written", ""),
    ]


def test_the_seed_of_an_item_hangs_on_the_run_and_the_item_alone(tmp_path: Path) -> None:
    items = load_bold(bold(tmp_path)).items
    asked = []
    for size in (1, 2, 100):
        backend = Echo()
        for part in shards(items, size):
            continuation(backend, part, seed=3)
        asked.append({request.prompt: request.seed for request in backend.asked})
    assert asked[0] == asked[1] == asked[2]
    assert len(set(asked[0].values())) == len(items)
    assert seed_of(3, "a") != seed_of(4, "a") != seed_of(3, "b")
    assert 0 <= seed_of(2**63, "a") < 2**31


def test_only_models_that_write_on_are_asked_to_continue() -> None:
    for kind, names in {"causal": ["continuation"], "endpoint": ["continuation"]}.items():
        assert [i.name for i in find_instruments((), "prompt", KINDS[kind].ability())] == names
    for kind in ("masked", "seq2seq", "translation", "classifier", "encoder"):
        assert find_instruments((), "prompt", KINDS[kind].ability()) == ()
    assert f"{SAMPLES} continuations" in INSTRUMENTS["continuation"].summary


# a run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bold")
    bold(folder / "bold")
    writer(folder / "writer")
    (folder / "words.tsv").write_text(LEXICON, encoding="utf-8")
    return folder


def run(folder: Path, store: Path, **options: Any) -> RunRecord:
    options = {"store": store, "lexicon": folder / "words.tsv"} | options
    return audit(str(folder / "writer"), [f"bold:{folder / 'bold'}"], **options)


def scores_of(record: RunRecord, store: Path) -> list[Score]:
    stored = Store(store).find(record.run_id)
    return [score for name in stored.shard_names() for score in stored.read_shard(name)]


def pick(record: RunRecord, metric: str, scope: str) -> Estimate:
    (found,) = [e for e in record.estimates if e.metric == metric and e.scope == scope]
    return found


def test_rates_and_gaps_are_those_of_the_texts_that_were_kept(folder: Path, tmp_path: Path) -> None:
    record = run(folder, tmp_path)
    rows = scores_of(record, tmp_path)
    texts = [row for row in rows if row.name.startswith("completion:") and row.value]
    assert len(texts) >= 25, "a random model writes something nearly always"

    def share(group: str) -> float:
        by_item: dict[str, list[bool]] = {}
        for row in texts:
            if group in ("", row.group):
                by_item.setdefault(row.item, []).append("dog" in row.text.replace(".", " ").split())
        means = [sum(found) / len(found) for found in by_item.values()]
        return sum(means) / len(means)

    men, women = share("American_actors"), share("American_actresses")
    assert share("") > 0
    assert pick(record, "label_rate", "all").value == pytest.approx(share(""))
    assert pick(record, "label_rate", "group:American_actors").value == pytest.approx(men)
    assert pick(record, "label_rate", "group:American_actresses").value == pytest.approx(women)
    gap = pick(record, "label_rate_gap", "all")
    assert gap.value == pytest.approx(men - women)
    assert (gap.comparison, gap.neutral, gap.unit) == (
        ("American_actors", "American_actresses"),
        0.0,
        "difference of shares",
    )
    assert gap.family == REPORT
    assert gap.units == {"template": 4}
    # of the sentences of Wikipedia, one about each group holds the word
    assert pick(record, "label_rate", "condition:baseline").value == pytest.approx(2 / 6)
    baseline = pick(record, "label_rate_gap", "condition:baseline")
    assert baseline.value == pytest.approx(0)
    # what people wrote is not among the tests of what the model does
    assert baseline.family in (None, "label rate gaps of the baseline of bold-gender")
    people = [row for row in rows if row.name == "label:lexicon:baseline"]
    assert {row.template: row.value for row in people if row.value} == {"Al_Bell": 1.0, "Di_Fox": 1.0}
    assert {(row.text, row.note) for row in people if row.value} == {("dog", "AN")}
    assert any("words of the lexicon: AN" in note for note in record.notes)


def test_the_seed_decides_what_is_written(folder: Path, tmp_path: Path) -> None:
    texts = [
        [row.text for row in scores_of(run(folder, tmp_path / str(n), seed=seed), tmp_path / str(n))]
        for n, seed in enumerate((0, 0, 1))
    ]
    assert texts[0] == texts[1] != texts[2]


def test_prompts_of_one_article_are_one_unit_of_the_interval(folder: Path, tmp_path: Path) -> None:
    record = run(folder, tmp_path)
    assert pick(record, "label_rate", "all").units == {"template": 4}
    assert pick(record, "label_rate", "all").items == 6


def test_a_forecast_counts_the_tokens_that_will_be_written(folder: Path) -> None:
    questions = prepare([f"bold:{folder / 'bold'}"], ability=KINDS["causal"].ability())
    expected = forecast(find_model(str(folder / "writer")), questions)
    (tokens,) = expected.tokens.values()
    assert 6 * SAMPLES * TOKENS < tokens < 6 * SAMPLES * (TOKENS + 12)


@pytest.mark.slow
@needs_data
def test_a_real_model_is_audited_with_a_lexicon_to_a_report(smollm2: Opened, tmp_path: Path) -> None:
    lexicon = tmp_path / "words.csv"
    lexicon.write_text("lemma,category\nfilm,work\nmovie,work\nseries,work\nrole,work\nstarring,work\n")
    probes = [f"bold:{DATA / 'prompts' / 'gender_prompt.json'}"]
    backend: Any = smollm2.backend
    asked = {"tokenizer": backend.tokenizer, "store": tmp_path / "runs"}
    record = audit(backend.model, probes, **asked, limit=4, lexicon=lexicon)
    rows = scores_of(record, tmp_path / "runs")
    texts = [row for row in rows if row.name.startswith("completion:") and row.value is not None]
    assert 15 < len(texts) <= 20
    assert len({row.text for row in texts}) > 15
    assert record.status == "partial"
    rate = pick(record, "label_rate", "all")
    assert rate.value is not None and rate.low is not None and 0 <= rate.low <= rate.value
    assert pick(record, "label_rate", "condition:baseline").value is not None
    assert len([e for e in record.estimates if e.metric == "scorer_flip_rate"]) == 3
    page = render_report([record])
    assert "BOLD: gender" in page
    assert "words.csv" in page
