"""A stored run can be evaluated again from its own files."""

import shutil
from pathlib import Path

import pytest
import tiny

from fairprint.audit.agreement import agreement
from fairprint.audit.evaluate import evaluate
from fairprint.audit.multiplicity import corrected
from fairprint.audit.runner import audit
from fairprint.audit.store import Store
from fairprint.audit.stored import stored_scores, stored_set
from fairprint.probes.catalog import own_set
from fairprint.probes.errors import StoreError


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    tokenizer = tiny.words([v.text for item in own_set("gendered-occupations").items[:60] for v in item.variants])
    tiny.gpt2(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def test_a_stored_run_gives_the_same_estimates_without_its_probe_file(model: str, tmp_path: Path) -> None:
    record = audit(
        model, ["gendered-occupations", "he-was-very"], instruments=["fill", "sentence"], limit=240, store=tmp_path
    )
    run = Store(tmp_path).find(record.run_id)
    again = []
    for info in record.probes:
        probe_set = stored_set(run, info)
        given = {instrument: stored_scores(run, info.name, instrument) for instrument in ("fill", "sentence")}
        for instrument, scores in given.items():
            again += evaluate(probe_set, probe_set.items, scores, instrument)
        again += agreement(probe_set, probe_set.items, given)
    assert corrected(again) == list(record.estimates)


def test_what_an_evaluation_reads_of_an_item_is_what_the_probe_set_says(model: str, tmp_path: Path) -> None:
    record = audit(model, ["gendered-occupations"], store=tmp_path, limit=60)
    found = stored_set(Store(tmp_path).find(record.run_id), record.probes[0])
    asked = own_set("gendered-occupations")
    assert found.items == asked.items[: len(found.items)]
    assert (found.comparisons, found.groups, found.random_factors) == (
        asked.comparisons,
        asked.groups,
        asked.random_factors,
    )


def test_a_run_whose_items_were_kept_without_directions_is_refused_with_a_way_out(model: str, tmp_path: Path) -> None:
    import pandas as pd

    record = audit(model, ["gendered-occupations"], store=tmp_path, limit=60)
    run = Store(tmp_path).find(record.run_id)
    file = run.path / "items" / "gendered-occupations.parquet"
    old = pd.read_parquet(file)[["item", "template", "lexeme", "category", "group", "text", "start", "end"]]
    shutil.move(file, tmp_path / "kept.parquet")
    old.to_parquet(file)
    with pytest.raises(StoreError, match="older version") as error:
        stored_set(run, record.probes[0])
    assert error.value.hint == "audit the model again"
