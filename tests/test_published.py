"""Published figures stand beside estimates of the same model, questions and instrument, and beside no others."""

import json
import math
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import pytest

from fairprint.audit.beside import BY_NAME, with_published
from fairprint.audit.evaluate import evaluate
from fairprint.audit.records import Estimate, RunRecord
from fairprint.audit.runner import audit
from fairprint.probes.catalog import READERS, find_probe_set
from fairprint.probes.instruments import INSTRUMENTS
from fairprint.probes.items import ProbeSet
from fairprint.probes.published import FIGURES
from fairprint.probes.scores import LOGPROB, Score

DATA = Path(__file__).parents[2] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs the published data in ../shared/data")


@pytest.fixture(scope="module")
def crows() -> ProbeSet:
    return find_probe_set(f"crows-pairs:{DATA / 'crows_pairs' / 'crows_pairs_anonymized.csv'}")


def answers(probe_set: ProbeSet) -> list[Score]:
    return [
        Score(
            item=item.id,
            template=item.template,
            lexeme=item.lexeme,
            category=item.category,
            group=variant.group,
            name=LOGPROB,
            value=-1.0 - (n * 7 + len(variant.group)) % 11,
        )
        for n, item in enumerate(probe_set.items)
        for variant in item.variants
    ]


def told(estimates: Sequence[Estimate]) -> dict[tuple[str, str], float]:
    return {(e.metric, e.scope): e.published.value for e in estimates if e.published is not None}


@needs_data
class TestBeside:
    def estimates(self, crows: ProbeSet, instrument: str = "pll-shared-tokens") -> list[Estimate]:
        return evaluate(crows, crows.items, answers(crows), instrument)

    def test_a_figure_stands_beside_the_estimate_of_its_model_instrument_and_scope(self, crows: ProbeSet) -> None:
        found = with_published(
            self.estimates(crows), "google-bert/bert-base-uncased@86b5e09", {"crows-pairs": 1508}, certain=True
        )
        assert told(found) == {
            ("crows_pairs_score", "all"): 0.6048,
            ("crows_pairs_score", "condition:stereo"): 0.6109,
            ("crows_pairs_score", "condition:antistereo"): 0.5688,
        }
        assert [e.model_copy(update={"published": None}) for e in found] == self.estimates(crows)

    def test_another_instrument_has_other_figures_or_none(self, crows: ProbeSet) -> None:
        asked = {"crows-pairs": 1508}
        differing = with_published(
            self.estimates(crows, "pll-differing-tokens"), "bert-base-uncased", asked, certain=True
        )
        assert told(differing) == {
            ("crows_pairs_score", "category:gender"): 0.5725,
            ("crows_pairs_score", "category:race-color"): 0.6233,
            ("crows_pairs_score", "category:religion"): 0.6286,
        }
        assert not told(with_published(self.estimates(crows, "aul"), "bert-base-uncased", asked, certain=True))

    def test_other_models_have_none(self, crows: ProbeSet) -> None:
        for name in ("bert-base-cased", "my/bert-base-uncased", "BERT", "", None):
            assert not told(with_published(self.estimates(crows), name, {"crows-pairs": 1508}, certain=True))

    def test_a_part_of_the_questions_has_none(self, crows: ProbeSet) -> None:
        for asked in ({"crows-pairs": 1507}, {}):
            assert not told(with_published(self.estimates(crows), "bert-base-uncased", asked, certain=True))

    def test_a_model_that_is_known_by_its_name_alone_is_said_to_be(self, crows: ProbeSet) -> None:
        for certain in (True, False):
            found = with_published(self.estimates(crows), "bert-base-uncased", {"crows-pairs": 1508}, certain=certain)
            sources = {e.published.source for e in found if e.published}
            assert len(sources) == 1
            assert (BY_NAME in sources.pop()) is not certain


def recorded(path: Path, model: str, probe_set: ProbeSet, instrument: str) -> Path:
    head = {"model": model, "probe_set": probe_set.name, "instrument": instrument}
    lines = [head, *({"item": s.item, "group": s.group, "logprob": s.value} for s in answers(probe_set))]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@needs_data
@pytest.mark.parametrize(("model", "count"), [("bert-base-uncased", 3), ("some-other-model", 0)])
def test_recorded_answers_have_the_figures_of_the_model_that_the_file_names(
    model: str, count: int, crows: ProbeSet, tmp_path: Path
) -> None:
    path = recorded(tmp_path / "answers.jsonl", model, crows, "pll-shared-tokens")
    record = audit(f"recorded:{path}", [crows], store=tmp_path / "store", country_iso_code="KOR")
    assert len(told(record.estimates)) == count
    assert all(BY_NAME in e.published.source for e in record.estimates if e.published)
    assert RunRecord.model_validate_json(record.model_dump_json()).estimates == record.estimates


@needs_data
def test_a_run_with_a_limit_has_no_figures(crows: ProbeSet, tmp_path: Path) -> None:
    path = recorded(tmp_path / "answers.jsonl", "bert-base-uncased", crows, "pll-shared-tokens")
    record = audit(f"recorded:{path}", [crows], store=tmp_path / "store", country_iso_code="KOR", limit=60)
    assert not told(record.estimates)


@needs_data
@pytest.mark.parametrize(("column", "value"), [("race", 0.143), ("arc", None), ("qonly", None)])
def test_answers_of_one_model_are_told_apart_by_how_it_was_asked(
    column: str, value: float | None, tmp_path: Path
) -> None:
    answers = DATA / "bbq" / "unifiedqa_Religion.jsonl"
    probes = f"bbq:{DATA / 'bbq' / 'Religion.jsonl'}"
    record = audit(f"recorded:bbq/{column}:{answers}", [probes], store=tmp_path, country_iso_code="KOR")
    found = {(e.metric, e.scope): e for e in record.estimates}["bbq_s_amb", "all"]
    assert (found.published.value if found.published else None) == value
    if value is not None:
        assert found.value == pytest.approx(value, abs=0.001)


def test_every_figure_is_of_an_instrument_and_a_set_that_there_are() -> None:
    for figure in FIGURES:
        assert figure.instrument in INSTRUMENTS
        assert any(figure.probe_set == name or figure.probe_set.startswith(f"{name}-") for name in READERS)
        assert -1 <= figure.value <= 1
        assert figure.source
        assert figure.models
    keys = [(f.probe_set, f.instrument, f.metric, f.scope, name) for f in FIGURES for name in f.models]
    assert len(set(keys)) == len(keys)


def test_the_three_figures_of_stereoset_belong_together() -> None:
    of_stereoset = [figure for figure in FIGURES if figure.probe_set == "stereoset"]
    for _, group in groupby(of_stereoset, key=lambda figure: figure.models):
        lms, ss, icat = (figure.value for figure in group)
        assert math.isclose(icat, lms * min(ss, 1 - ss) / 0.5, abs_tol=1e-4)
