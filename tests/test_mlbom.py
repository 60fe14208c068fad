"""The bill of materials passes the strict validator of CycloneDX 1.6, and says what the records say and no more."""

import hashlib
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sample_benchmarks import FORMS, benchmark_record
from sample_ledger import ALONE, accuracy, project, searches
from sample_metered import NOWHERE, footprint, sample_metered, truncated, without_energy
from sample_record import estimate, sample_record, suite_record
from typer.testing import CliRunner

from fairprint.audit.metered import Clock, MeteredRecord
from fairprint.audit.records import RunRecord, to_json
from fairprint.probes.errors import StoreError, UsageError
from fairprint.reports import cli
from fairprint.reports.card_runs import CardRuns, card_runs
from fairprint.reports.mlbom import as_json, bom_state, ml_bom, write_ml_bom

STRICT = JsonStrictValidator(SchemaVersion.V1_6)
ODD = st.text(st.characters(codec=None, exclude_categories=()), max_size=12)
"""Text of any code points, lone surrogates and controls among them."""


def training(**changes: Any) -> MeteredRecord:
    return sample_metered(
        **{"purpose": "fine-tuning", "parent": None, "lineage": (), "overlaps": (), "budget": None, **changes}
    )


def later(begin_s: float, **changes: Any) -> MeteredRecord:
    clock = Clock(machine="daa4ee976ef6", boot="bf18bb5a784e", begin_s=begin_s, end_s=begin_s + 600)
    return training(clock=clock, **changes)


def runs_of(*records: RunRecord | MeteredRecord, **options: Any) -> CardRuns:
    return card_runs(records, allow_partial=True, **options)


def bom_of(*records: RunRecord | MeteredRecord, **options: Any) -> dict[str, Any]:
    return ml_bom(runs_of(*records, **options))


def card_of(bom: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = bom["components"][0]["modelCard"]
    return found


def energies(bom: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = card_of(bom)["considerations"]["environmentalConsiderations"].get(
        "energyConsumptions", []
    )
    return found


def props(holder: dict[str, Any], name: str) -> list[str]:
    return [one["value"] for one in holder["properties"] if one["name"] == f"fairprint:{name}"]


def climate(bom: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = card_of(bom)["considerations"]["environmentalConsiderations"]
    return found


# the schema

SAMPLES: dict[str, tuple[RunRecord | MeteredRecord, ...]] = {
    "one audit": (sample_record(),),
    "five sets, one in Korean": (suite_record(),),
    "benchmarks": (benchmark_record(),),
    **{name: (benchmark_record(name),) for name in FORMS},
    "a training": (sample_metered(),),
    "a fine-tuning and an audit": (sample_record(), training()),
    "a training with quality": (training(quality=(accuracy(0.875),)),),
    "a training nowhere": (training(footprint=footprint(grid=NOWHERE)),),
    "a training that was cut off": (truncated(),),
    "a training without energy": (without_energy(),),
    "a part of an audit": (sample_record(status="partial"),),
    "a search": tuple(searches()),
    "a project": tuple(run for run in project() if run.run_id != ALONE),
    "an audit without numbers": (sample_record(estimates=(), highlights=()),),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_strict_validator_passes_the_bill_of_every_sample(name: str) -> None:
    text = as_json(bom_of(*SAMPLES[name], report="https://example.org/über uns/report.html?a=[1]"))

    assert STRICT.validate_str(text) is None
    assert "NaN" not in text
    assert "Infinity" not in text


def damages() -> dict[str, Any]:
    def energy(bom: dict[str, Any]) -> dict[str, Any]:
        return energies(bom)[0]

    return {
        "a number where text is demanded": lambda b: card_of(b)["quantitativeAnalysis"]["performanceMetrics"][0].update(
            value=0.7
        ),
        "a field that is not known": lambda b: card_of(b)["quantitativeAnalysis"]["performanceMetrics"][0].update(n=1),
        "no providers": lambda b: energy(b).pop("energyProviders"),
        "another activity": lambda b: energy(b).update(activity="tuning"),
        "emissions in kilograms": lambda b: energy(b)["co2CostEquivalent"].update(unit="kgCO2eq"),
        "no name": lambda b: b["components"][0].pop("name"),
        "a hash that is too short": lambda b: b["components"][0]["hashes"][0].update(content="abc"),
        "a time in words": lambda b: b["metadata"].update(timestamp="yesterday"),
        "an address with a space": lambda b: b["components"][0]["externalReferences"][0].update(url="a b"),
        "another serial number": lambda b: b.update(serialNumber="1"),
    }


@pytest.mark.parametrize("damage", damages())
def test_a_damaged_bill_does_not_pass(damage: str) -> None:
    bom = bom_of(sample_record(), training(), report="report.html")
    damages()[damage](bom)

    assert STRICT.validate_str(as_json(bom)) is not None


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(names=st.lists(ODD, min_size=8, max_size=8))
def test_odd_names_pass_and_nothing_hides_in_them(names: list[str]) -> None:
    base = sample_record()
    model = base.plan.model.model_copy(
        update={"name": names[0], "revision": names[1], "model_type": names[2], "sha256": names[3]}
    )
    probe = base.probes[0].model_copy(update={"title": names[4], "licence": names[5], "cannot_show": (names[6],)})
    audit = base.model_copy(
        update={
            "plan": base.plan.model_copy(update={"model": model}),
            "probes": (probe, base.probes[1]),
            "estimates": tuple(e for e in base.estimates if not e.scope.startswith("lexeme:")),
            "finished_at": names[7],
        }
    )
    run = training(name=names[0], task=names[1], finished_at=names[7])
    digests = {audit.run_id: "a" * 64, run.run_id: "b" * 64}
    text = as_json(bom_of(audit, run, report=names[6], digests=digests))

    text.encode()
    assert STRICT.validate_str(text) is None
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text)


@pytest.mark.parametrize(
    ("report", "url"),
    [
        ("100%.html", "100%25.html"),
        ("12:30.html", "12%3A30.html"),
        ("a#b#c.html", "a#b%23c.html"),
        ("a%20b.html", "a%20b.html"),
        ("https://example.org/%zz?q=1#top", "https://example.org/%25zz?q=1#top"),
        ("https://example.org:8443/r.html", "https://example.org:8443/r.html"),
        ("http://host:port/", "http%3A//host%3Aport/"),
    ],
)
def test_a_report_that_no_address_may_be_written_like_is_still_named_by_a_valid_one(report: str, url: str) -> None:
    bom = bom_of(sample_record(), report=report)

    assert bom["components"][0]["externalReferences"][0]["url"] == url
    assert STRICT.validate_str(as_json(bom)) is None


# numbers


def test_every_estimate_with_a_value_is_a_metric_with_its_interval_and_what_stands_beside_it() -> None:
    record = sample_record()
    card = card_of(bom_of(record))
    metrics = card["quantitativeAnalysis"]["performanceMetrics"]
    with_value = [e for e in record.estimates if e.value is not None]

    assert len(metrics) == len(with_value) > 200
    for position, (metric, e) in enumerate(zip(metrics, with_value, strict=True)):
        assert metric["type"] == e.metric
        assert float(metric["value"]) == pytest.approx(e.value, rel=1e-5)
        beside = json.loads(props(card, f"performanceMetrics/{position}")[0])
        assert (beside["items"], beside["missing answers"], beside["run"]) == (e.items, e.missing, record.run_id)
        assert (beside["unit"], beside["clusters"]) == (e.unit, e.units)
        if e.low is not None:
            assert float(metric["confidenceInterval"]["lowerBound"]) == pytest.approx(e.low, rel=1e-5)
            assert float(metric["confidenceInterval"]["upperBound"]) == pytest.approx(e.high, rel=1e-5)
            assert beside["level"] == e.level
        else:
            assert "confidenceInterval" not in metric
            assert beside["no interval"]


@pytest.mark.parametrize("record", [suite_record(), benchmark_record()], ids=["suite", "benchmarks"])
def test_no_two_metrics_have_one_name(record: RunRecord) -> None:
    metrics = card_of(bom_of(record))["quantitativeAnalysis"]["performanceMetrics"]
    names = [(metric["type"], metric["slice"]) for metric in metrics]

    assert len(set(names)) == len(names)


def test_a_number_that_is_not_known_is_left_out_and_the_reason_is_told() -> None:
    missing = estimate(
        "stereotype_score", "gendered-occupations / fill", "all", None, 0.0, reason="no item could be scored"
    )
    card = card_of(bom_of(sample_record(estimates=(missing,))))
    told = json.loads(props(card, "performanceMetrics/absent")[0])

    assert "quantitativeAnalysis" not in card
    assert told["type"] == "stereotype_score"
    assert told["reason"] == "no item could be scored"


def test_how_good_a_trained_model_is_has_no_interval_and_says_so() -> None:
    card = card_of(bom_of(training(task="sorting", quality=(accuracy(0.875),))))
    metric = card["quantitativeAnalysis"]["performanceMetrics"][0]
    beside = json.loads(props(card, "performanceMetrics/0")[0])

    assert (metric["type"], metric["value"]) == ("accuracy", "0.875")
    assert metric["slice"].startswith("sorting/")
    assert "confidenceInterval" not in metric
    assert beside["better"] == "higher"
    assert beside["no interval"]


# the model and what it was asked


def test_the_model_has_its_hash_and_its_address_and_no_licence_is_guessed() -> None:
    record = sample_record()
    component = bom_of(record)["components"][0]

    assert component["type"] == "machine-learning-model"
    assert component["name"] == "HuggingFaceTB/SmolLM2-135M"
    assert component["hashes"] == [{"alg": "SHA-256", "content": record.plan.model.sha256}]
    assert component["purl"] == f"pkg:huggingface/HuggingFaceTB/SmolLM2-135M@{record.plan.model.revision}"
    assert "licenses" not in component
    assert component["modelCard"]["modelParameters"]["task"] == "text-generation"
    assert component["modelCard"]["modelParameters"]["architectureFamily"] == "llama"
    assert "users" not in component["modelCard"]["considerations"]
    assert "useCases" not in component["modelCard"]["considerations"]


@pytest.mark.parametrize("weights", ["in memory", "lora adapter of rank 8, merged into gpt2"])
def test_a_model_that_only_began_from_a_commit_is_not_called_by_it(weights: str) -> None:
    base = sample_record()
    model = base.plan.model.model_copy(update={"weights": weights})
    component = bom_of(sample_record(plan=base.plan.model_copy(update={"model": model})))["components"][0]

    assert "purl" not in component
    assert "version" not in component
    assert component["hashes"]


@pytest.mark.parametrize("changes", [{"parameters": None, "kind": "endpoint"}, {"kind": "recorded"}])
def test_a_hash_of_something_else_than_the_model_is_not_given_as_its_hash(changes: dict[str, Any]) -> None:
    base = sample_record()
    model = base.plan.model.model_copy(update=changes)
    component = bom_of(sample_record(plan=base.plan.model_copy(update={"model": model})))["components"][0]

    assert "hashes" not in component
    assert "purl" not in component
    assert props(component, "model:sha256 is of") == ["what stands for the model: its weights were not seen"]


def test_probe_sets_are_components_with_hash_and_licence_that_the_model_card_refers_to() -> None:
    record = suite_record()
    bom = bom_of(record)
    asked = {component["bom-ref"]: component for component in bom["components"][1:]}
    named = [one["ref"] for one in card_of(bom)["modelParameters"]["datasets"]]

    assert set(named) == set(asked)
    assert len(named) == len(record.probes) == 5
    for probe, ref in zip(record.probes, named, strict=True):
        assert asked[ref]["type"] == "data"
        assert asked[ref]["hashes"][0]["content"] == probe.sha256
        assert asked[ref]["licenses"] == [{"license": {"name": probe.licence}}]


# words


def test_findings_are_fairness_assessments_in_words_with_numbers() -> None:
    told = card_of(bom_of(sample_record()))["considerations"]["fairnessAssessments"]
    first = told[0]

    assert first["groupAtRisk"] == "men and women"
    assert "In 71 % of 552 sentence pairs (95 % interval 64 % to 78 %)" in first["harms"]
    assert "was not measured" in first["harms"]
    assert first["benefits"].startswith("Not measured")
    assert "None that was carried out is recorded. Advised: before a use" in first["mitigationStrategy"]
    last = told[-1]
    assert "no difference is shown" in last["harms"]
    assert "would find a difference of 0.20 nats or more" in last["harms"]
    assert "This is no proof that there is none." in last["harms"]
    assert not any(mark in json.dumps(told, ensure_ascii=False) for mark in ("**", "<", "`", "\\\\", "&amp;"))


def test_where_a_benchmark_compares_answers_the_group_is_whom_it_speaks_of() -> None:
    told = card_of(bom_of(benchmark_record()))["considerations"]["fairnessAssessments"]
    groups = {one["groupAtRisk"] for one in told}

    assert "the people of whom “CrowS-Pairs” speaks" in groups
    assert "the people of whom the category “gender” of “CrowS-Pairs” speaks" in groups
    assert not any("sentence" in group or "answer" in group for group in groups)
    assert any("The CrowS-Pairs score is" in one["harms"] for one in told)
    assert any(": For pairs that say a stereotype: The CrowS-Pairs score" in one["harms"] for one in told)


def test_what_was_not_measured_stands_in_the_technical_limitations() -> None:
    told = card_of(bom_of(suite_record(status="partial")))["considerations"]["technicalLimitations"]

    assert any("whether any difference harms anybody was not measured" in line for line in told)
    assert "Everything was asked in English and Korean; nothing is known of other languages." in told
    assert any("age, sexual-orientation: other sets were asked for" in line for line in told)
    assert any(line.startswith("What it cannot show. Gendered occupations:") for line in told)
    assert told[0].startswith("Not a whole audit: run 20251122T103105-suite-7f3b is partial")


def test_a_model_without_an_audit_is_not_called_fair() -> None:
    considerations = card_of(bom_of(training()))["considerations"]

    assert considerations["technicalLimitations"] == [
        "The model was not audited: nothing is known of how it treats people."
    ]
    assert "fairnessAssessments" not in considerations


# energy


def test_a_training_has_energy_in_kwh_and_emissions_in_tonnes_with_what_has_no_field_beside() -> None:
    entry = energies(bom_of(training()))[0]

    assert entry["activity"] == "fine-tuning"
    # CPU, GPU and RAM of the sample together: 360 W for ten minutes
    assert entry["activityEnergyCost"] == {"value": 0.06, "unit": "kWh"}
    # 0.06 kWh, PUE 1.2, 0.381 kg/kWh, in tonnes
    assert entry["co2CostEquivalent"]["unit"] == "tCO2eq"
    assert entry["co2CostEquivalent"]["value"] == pytest.approx(0.06 * 1.2 * 0.381 / 1000, rel=1e-5)
    assert entry["energyProviders"][0]["energyProvided"]["value"] == pytest.approx(0.072)
    assert entry["energyProviders"][0]["energySource"] == "unknown"
    assert "Germany" in entry["energyProviders"][0]["description"]
    assert props(entry, "energy:pue") == ["1.2"]
    assert "of 2023" in props(entry, "energy:grid factor")[0]
    assert props(entry, "energy:sensors") == ["CPU by a load model, GPU by a counter, RAM by a constant"]
    assert float(props(entry, "energy:low kWh")[0]) < 0.06 < float(props(entry, "energy:high kWh")[0])
    low, high = props(entry, "emissions:low tCO2eq")[0], props(entry, "emissions:high tCO2eq")[0]
    assert float(low) < entry["co2CostEquivalent"]["value"] < float(high)
    assert props(entry, "run") == [training().run_id]
    assert props(entry, "run:fairprint") == ["0.1.0"]


def test_of_a_training_nowhere_the_emissions_are_left_out_with_reason_and_interval() -> None:
    entry = energies(bom_of(training(footprint=footprint(grid=NOWHERE))))[0]

    assert "co2CostEquivalent" not in entry
    assert entry["energyProviders"] == []
    assert props(entry, "emissions:absent") == ["location unknown: the emissions span the world's countries"]
    assert props(entry, "emissions:low tCO2eq") and props(entry, "emissions:high tCO2eq")


def test_a_training_without_energy_is_no_entry_and_the_reason_is_told() -> None:
    bom = bom_of(without_energy("two GPUs, one metered"))

    assert energies(bom) == []
    assert json.loads(props(climate(bom), "energyConsumptions/absent")[0])["reason"] == "two GPUs, one metered"


@pytest.mark.parametrize(
    ("changes", "activity"),
    [
        ({"purpose": "pretraining"}, "training"),
        ({"purpose": "training from scratch"}, "training"),
        ({"purpose": "fine-tuning"}, "fine-tuning"),
        ({"purpose": "evaluation"}, "validation"),
        ({"purpose": "search"}, "training"),
        ({"purpose": "other"}, "other"),
        ({"purpose": None}, "training"),
        ({"purpose": None, "kind": "metered command"}, "other"),
    ],
)
def test_the_activity_is_what_the_run_was_for(changes: dict[str, Any], activity: str) -> None:
    entry = energies(bom_of(training(**changes)))[0]

    assert entry["activity"] == activity
    assert props(entry, "run:purpose") == [changes["purpose"] or "not stated"]


def test_what_overlaps_is_no_entry_of_its_own_so_that_entries_can_be_added_up() -> None:
    first, beside, after = (
        later(4000, run_id="b"),
        later(4300, run_id="a", purpose="evaluation"),
        later(5000, run_id="c"),
    )
    part = later(4100, run_id="d", parent="b")
    bom = bom_of(first, beside, after, part)

    assert [props(entry, "run") for entry in energies(bom)] == [["b"], ["c"]]
    left = json.loads(props(climate(bom), "energyConsumptions/absent")[0])
    assert left["run"] == "a"
    assert "would count twice" in left["reason"]
    assert json.loads(props(climate(bom), "energyConsumptions/part of another")[0])["part of"] == "b"


# the file


def test_the_same_records_give_the_same_bytes_and_other_records_another_serial_number(tmp_path: Path) -> None:
    write_ml_bom(tmp_path / "a.json", runs_of(sample_record(), training()))
    write_ml_bom(tmp_path / "b.json", runs_of(training(), sample_record()))
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    other = bom_of(sample_record(), training(notes=("other",)))

    assert (tmp_path / "b.json").read_text(encoding="utf-8") == text
    assert text == json.dumps(json.loads(text), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    assert other["serialNumber"] != json.loads(text)["serialNumber"]


def test_the_time_is_that_at_which_the_newest_run_ended() -> None:
    bom = bom_of(sample_record(), training())

    assert bom["metadata"]["timestamp"] == "2026-03-01T10:10:00Z"
    assert datetime.fromisoformat(bom["metadata"]["timestamp"]).tzinfo is not None
    assert bom["metadata"]["tools"]["components"][0]["name"] == "fairprint"


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        write_ml_bom(tmp_path / "missing" / "bom.json", runs_of(sample_record()))
    assert not (tmp_path / "missing").exists()


def test_a_file_of_others_is_written_over_only_by_force(tmp_path: Path) -> None:
    path = tmp_path / "bom.json"
    for content in (
        b"{}",
        b"[1]",
        b"\xff",
        b'{"metadata": {"tools": {"components": [{"name": "syft"}]}}}',
        b"[" * 9999,
    ):
        path.write_bytes(content)
        assert bom_state(path, runs_of(sample_record())) == "foreign"
        with pytest.raises(UsageError, match="no bill of materials of fairprint"):
            write_ml_bom(path, runs_of(sample_record()))
        assert path.read_bytes() == content
    write_ml_bom(path, runs_of(sample_record()), force=True)
    assert bom_state(path, runs_of(sample_record())) == "current"
    assert bom_state(path, runs_of(training())) == "stale"
    write_ml_bom(path, runs_of(training()))
    assert bom_state(path, runs_of(training())) == "current"


# the command


@pytest.fixture
def store(tmp_path: Path) -> Path:
    audit = sample_record(lineage=(training().run_id,))
    for record in (audit, training()):
        folder = tmp_path / "store" / record.run_id
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(to_json(record), encoding="utf-8")
        if isinstance(record, RunRecord):
            (folder / "plan.json").write_text(to_json(record.plan), encoding="utf-8")
        else:
            (folder / "journal.jsonl").write_text("", encoding="utf-8")
    return tmp_path / "store"


def command(*arguments: object) -> Any:
    return CliRunner().invoke(cli.app, ["card", "--no-figures", *map(str, arguments)])


def test_the_command_writes_card_and_bill_which_names_the_stored_records_and_the_report(
    store: Path, tmp_path: Path
) -> None:
    path, report = tmp_path / "boms" / "model.cdx.json", tmp_path / "report.html"
    path.parent.mkdir()
    report.write_text("")
    done = command("--store", store, "--into", tmp_path, "--mlbom", path, "--report", report)
    bom = json.loads(path.read_text(encoding="utf-8"))
    told = {json.loads(value)["run"]: json.loads(value)["sha256"] for value in props(card_of(bom), "run")}

    assert done.exit_code == 0, done.output
    assert (tmp_path / "README.md").is_file()
    assert STRICT.validate_str(path.read_text(encoding="utf-8")) is None
    assert bom["components"][0]["externalReferences"][0]["url"] == "../report.html"
    assert told == {
        folder.name: hashlib.sha256((folder / "run.json").read_bytes()).hexdigest() for folder in store.iterdir()
    }
    assert len(energies(bom)) == 2


def test_check_tells_whether_the_bill_is_up_to_date(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "bom.json"
    options = ("--store", store, "--into", tmp_path, "--mlbom", path)
    command("--store", store, "--into", tmp_path)
    absent = command(*options, "--check")
    assert (absent.exit_code, path.exists()) == (1, False)
    assert "is not there" in absent.stderr
    assert command(*options).exit_code == 0
    assert command(*options, "--check").exit_code == 0

    path.write_text(path.read_text(encoding="utf-8").replace("0.71232", "0.5"), encoding="utf-8")
    stale = command(*options, "--check", "--json")
    assert stale.exit_code == 1
    assert json.loads(stale.stdout)["mlbom"] == {"path": str(path), "state": "stale"}
    assert command(*options).exit_code == 0
    assert command(*options, "--check").exit_code == 0


def test_the_command_writes_over_no_file_of_others_and_then_leaves_the_card_too(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "bom.json"
    path.write_text("{}")
    refused = command("--store", store, "--into", tmp_path, "--mlbom", path)

    assert isinstance(refused.exception, UsageError)
    assert path.read_text() == "{}"
    assert not (tmp_path / "README.md").exists()
    for wrong in (("--mlbom", tmp_path / "README.md"), ("--remove", "--mlbom", path)):
        assert isinstance(command("--store", store, "--into", tmp_path, *wrong).exception, UsageError)
    assert command("--store", store, "--into", tmp_path, "--mlbom", path, "--force").exit_code == 0
    assert STRICT.validate_str(path.read_text(encoding="utf-8")) is None
