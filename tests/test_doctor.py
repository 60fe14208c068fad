"""What the doctor says of a model before it is loaded: its kind, what it answers, and what it can be asked."""

import json
import re
import sys
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import tiny
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    ElectraConfig,
    ElectraForPreTraining,
    T5Config,
    T5ForConditionalGeneration,
    ViTConfig,
    ViTForImageClassification,
)

from fairprint.audit.kinds import KINDS
from fairprint.audit.models import kind_of
from fairprint.audit.questions import prepare
from fairprint.audit.sources import find_model
from fairprint.probes.catalog import own_names, own_set
from fairprint.probes.instruments import INSTRUMENTS
from fairprint.reports.cli import main
from fairprint.reports.doctor import about

Found = dict[str, str]
SMALL: dict[str, Any] = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 8,
    "vocab_size": 60,
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders with a config alone: no weights, no tokenizer."""
    folder = tmp_path_factory.mktemp("models")
    tokenizer = tiny.wordpiece()
    t5 = T5Config(d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=1, vocab_size=60)
    made = {
        "masked": tiny.bert(tokenizer),
        "causal": tiny.gpt2(tokenizer),
        "seq2seq": T5ForConditionalGeneration(t5),
        "classifier": BertForSequenceClassification(BertConfig(**SMALL)),
        "encoder": BertModel(BertConfig(**SMALL)),
        "image-classifier": ViTForImageClassification(
            ViTConfig(**{k: v for k, v in SMALL.items() if k != "vocab_size"}, image_size=8, patch_size=4)
        ),
        "discriminator": ElectraForPreTraining(ElectraConfig(**SMALL, embedding_size=8)),
    }
    for name, model in made.items():
        model.config.architectures = [type(model).__name__]
        model.config.save_pretrained(folder / name)
    return folder


def _about(model: Path | str) -> Found:
    found = dict(about(str(model)))
    assert all(isinstance(told, str) and told for told in found.values())
    return found


@pytest.mark.parametrize("kind", ["masked", "causal", "seq2seq", "classifier", "encoder", "image-classifier"])
def test_the_kind_and_all_that_suits_it_are_told_from_the_config_alone(kind: str, models: Path) -> None:
    found = _about(models / kind)
    ability = KINDS[kind].ability()
    assert found["model"] == kind
    assert found["kind"].startswith(f"{kind}: ")
    assert found["answers"] == ", ".join(ability.answers)
    # each own set stands in exactly one place, with every instrument that suits it and no other
    for name in own_names():
        able = {i.name for i in INSTRUMENTS.values() if own_set(name).scored in i.suits and ability.suits(i)}
        places = [found.get(f"is asked {name}"), found.get(f"can be asked {name}")]
        apart = name in found["cannot be asked"].split(", ")
        assert [place is not None for place in (*places, apart or None)].count(True) == 1
        said = next((place for place in places if place), "").partition(" (--probes")[0]
        assert {word for word in re.split(r"[,; ]+", said) if word in INSTRUMENTS} == able
        assert apart == (not able)


@pytest.mark.parametrize("kind", ["masked", "causal", "classifier", "encoder"])
def test_the_doctor_and_an_audit_agree_on_what_is_asked(kind: str, models: Path) -> None:
    found = _about(models / kind)
    questions = prepare(ability=kind_of(find_model(str(models / kind))).ability())
    asked = {what.removeprefix("is asked "): how for what, how in found.items() if what.startswith("is asked ")}
    assert list(asked) == [p.name for p in questions.probe_sets]
    for name, how in asked.items():
        assert how.partition(";")[0] == ", ".join(i.name for i in questions.instruments[name])


def test_what_no_own_set_suits_can_be_asked_with_own_files(models: Path) -> None:
    found = _about(models / "image-classifier")
    assert found["own files"] == "labelled:FILE.csv of images"
    assert not [what for what in found if what.startswith(("is asked ", "can be asked "))]
    assert "cannot be asked" in found
    assert "labelled:FILE.csv of texts" in _about(models / "classifier")["own files"]


def test_of_an_adapter_its_base_is_told_and_whether_it_can_be_merged(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "adapter").mkdir()
    said = {"base_model_name_or_path": str(models / "causal"), "peft_type": "LORA"}
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps(said))
    assert _about(tmp_path / "adapter")["adapter"] == "is merged into causal"
    assert _about(tmp_path / "adapter")["kind"].startswith("causal: ")
    monkeypatch.setattr("fairprint.reports.doctor.find_spec", lambda name: None)
    assert _about(tmp_path / "adapter")["adapter"].endswith("; pip install 'fairprint[adapters]' first")


def test_of_recorded_answers_is_told_what_they_say_of_themselves(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    rows = [
        {"model": {"name": "big", "kind": "causal"}, "instrument": "sentence", "more": 1},
        {"item": "a/b", "group": "male", "logprob": -1, "probe_set": "religion"},
        {"item": "a/b", "group": "male", "text": "Well."},
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    assert _about(f"recorded:{file}") == {
        "model": "answers.jsonl",
        "kind": "recorded: answers that were given before",
        "answered by": "big, causal",
        "answers": "logprob (1), generated text (1)",
        "probe sets": "religion",
        "instruments": "sentence",
        "note": "keys of answers.jsonl that were not read, with their rows: more (1)",
    }
    file.write_text(json.dumps(rows[1] | {"probe_set": None}))
    found = _about(f"recorded:{file}")
    assert found["answered by"] == "the file does not say"
    assert found["probe sets"].startswith("the file names none")


def test_of_a_server_is_told_that_it_has_to_be_asked() -> None:
    found = _about("openai:some-model@http://127.0.0.1:9/v1")
    assert found["kind"].startswith("endpoint: ")
    assert found["what this server answers"] == "is found by asking it, when an audit begins"


def test_the_table_of_the_readme_says_the_same_of_every_kind() -> None:
    lines = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8").splitlines()
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    table = [cells for cells in table if len(cells) == 5]
    rows = {cells[0].strip("`"): [re.findall(r"`([^`]+)`", cell) for cell in cells] for cells in table}
    assert list(rows) == [*KINDS, "recorded"]
    for name, kind in KINDS.items():
        _, _, answers, sets, instruments = rows[name]
        ability = kind.ability()
        suitable = [i for i in INSTRUMENTS.values() if ability.suits(i)]
        assert answers == list(ability.answers), name
        assert instruments == [i.name for i in suitable], name
        patterns = [*sets, *(rows[sets[0]][3] if sets[:1] == ["masked"] else [])]
        told = {own for own in own_names() if any(fnmatch(own, pattern) for pattern in patterns)}
        assert told == {own for own in own_names() if any(own_set(own).scored in i.suits for i in suitable)}, name


@pytest.fixture
def fairprint(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.chdir(models)

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["fairprint", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        return int(ended.value.code or 0), shown.out, shown.err

    return run


def test_the_command_says_the_same_as_a_table_and_as_json(fairprint: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = fairprint("doctor", "causal", "--json")
    assert code == 0
    assert {row["what"]: row["found"] for row in json.loads(out)} == _about("causal")
    code, out, _ = fairprint("doctor", "causal", "--offline")
    assert code == 0
    assert "likelihood, fill, generate" in out
    assert "is asked gendered-occupations" in out


@pytest.mark.parametrize(
    ("model", "code", "message"),
    [
        ("./missing", 2, "no such folder"),
        ("owner/name", 2, "no model 'owner/name' here or in the local cache"),
        ("recorded:missing.jsonl", 2, "no such file"),
        ("discriminator", 3, "a discriminator"),
    ],
)
def test_a_model_that_cannot_be_audited_ends_as_an_audit_of_it_would(
    model: str, code: int, message: str, fairprint: Callable[..., tuple[int, str, str]]
) -> None:
    ended = fairprint("doctor", model)
    assert ended[0] == code
    assert message in ended[2]
