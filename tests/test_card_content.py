"""What a model card says of stored runs: numbers by hand, nothing beyond the data, nothing counted twice."""

import re
import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from sample_benchmarks import benchmark_record
from sample_metered import NOWHERE, footprint, sample_metered, truncated, without_energy
from sample_record import estimate, sample_record, suite_record

from fairprint.audit.kinds import KINDS
from fairprint.audit.metered import Clock, MeteredRecord, Overlap, Quality
from fairprint.audit.records import RunRecord
from fairprint.audit.settings import Settings
from fairprint.probes.errors import UsageError
from fairprint.reports import card_bias, card_environment, card_evaluation, card_recommend, card_results
from fairprint.reports.card_content import card_parts
from fairprint.reports.card_figures import pictures, shown
from fairprint.reports.card_parts import CardParts
from fairprint.reports.card_runs import CardRuns, card_runs
from fairprint.reports.card_text import coded, escaped, unmarked
from fairprint.reports.text import clean, plain


def runs_of(*records: RunRecord | MeteredRecord, **options: Any) -> CardRuns:
    return card_runs(records or (sample_record(),), **options)


def training(**changes: Any) -> MeteredRecord:
    return sample_metered(
        **{"purpose": "fine-tuning", "parent": None, "lineage": (), "overlaps": (), "budget": None, **changes}
    )


def later(begin_s: float, **changes: Any) -> MeteredRecord:
    clock = Clock(machine="daa4ee976ef6", boot="bf18bb5a784e", begin_s=begin_s, end_s=begin_s + 600)
    return training(clock=clock, **changes)


def section(parts: CardParts, key: str) -> str:
    return next(section.markdown for section in parts.sections if section.key == key)


# which runs


def test_runs_of_two_models_are_refused_unless_one_is_named() -> None:
    first = sample_record()
    model = first.plan.model.model_copy(update={"name": "other/model", "sha256": "f" * 64})
    other = suite_record(run_id="x", plan=first.plan.model_copy(update={"model": model}))

    with pytest.raises(UsageError, match="2 models"):
        runs_of(first, other)
    assert runs_of(first, other, model="other/model").audits == (other,)
    assert runs_of(first, other, model="ffff").audits == (other,)
    with pytest.raises(UsageError, match="no audit is of 'gpt2'"):
        runs_of(first, other, model="gpt2")


@pytest.mark.parametrize(
    "record", [sample_record(status="partial"), sample_record(status="truncated"), truncated()], ids=str
)
def test_what_is_not_complete_is_refused_unless_it_is_allowed_and_then_told(record: Any) -> None:
    with pytest.raises(UsageError, match=record.status):
        runs_of(record)

    parts = card_parts(runs_of(record, allow_partial=True))
    told = "".join(section.markdown for section in parts.sections)
    assert ("Not a whole audit" in told) or ("cut off" in told)


def test_two_audits_that_asked_the_same_are_refused() -> None:
    with pytest.raises(UsageError, match="both asked"):
        runs_of(sample_record(), sample_record(run_id="20251123T103105-again"))


def test_a_card_needs_a_run_and_knows_its_scopes() -> None:
    with pytest.raises(UsageError, match="needs a run"):
        card_runs([])
    with pytest.raises(UsageError, match="expected one of final, trials, audits"):
        runs_of(sample_record(), scope="finale")


# bias


def test_a_finding_is_told_with_number_interval_items_units_missing_answers_and_instrument() -> None:
    told = card_bias.markdown(runs_of())

    # 0.71232 with 0.0683 below and 0.93 times that above: 64 % to 78 %
    assert "In 71 % of 552 sentence pairs (95 % interval 64 % to 78 %)" in told
    assert "with equal treatment it would be 50 %" in told
    assert "It rests on 552 items (60 words, 12 templates); 4 answers are missing" in told
    assert "**Gendered occupations** (asked by `fill`)" in told
    # centred, signed and standardised effect say the same in other units, and are no findings of their own
    assert "The same is shown by: stereotype score, centred; signed effect; standardised effect." in told
    assert told.count("In 71 % of") == 1


def test_what_was_not_found_is_told_with_what_could_have_been_found() -> None:
    record = sample_record()
    kept = [e for e in record.estimates if e.probe_set == "he-was-very"]
    told = card_bias.markdown(runs_of(sample_record(estimates=tuple(kept))))
    head = next(e for e in kept if e.metric == "group_gap" and e.scope == "all")

    assert "did the audit find a difference that is shown not to be chance" in told
    row = next(line for line in told.splitlines() if line.startswith("| He was very"))
    # the smallest distance that is found with 80 % power: 1.43 times the half-width of 0.141
    assert f"{0.141 * 1.43:.2f} nats" in row
    assert f"{head.items:,}" in row
    assert "which does not mean that there is none" in told


def test_a_finding_that_the_correction_takes_is_not_called_found() -> None:
    lost = estimate("stereotype_score", "gendered-occupations / fill", "all", 0.58, 0.05, q_value=0.2, family="every")
    told = card_bias.markdown(runs_of(sample_record(estimates=(lost,))))

    assert "**Found**" not in told
    assert "58 % (53 % to 63 %) †" in told
    assert "† The interval leaves the value of equal treatment out" in told


def test_what_was_not_measured_and_what_sets_cannot_show_stand_in_the_limitations() -> None:
    told = card_bias.markdown(runs_of(suite_record()))

    assert "whether any difference harms anybody was not measured" in told
    assert "`age`, `sexual-orientation`: other sets were asked for" in told
    assert "Everything was asked in English and Korean; nothing is known of other languages." in told
    assert "How the model treats people who use other pronouns." in told
    assert "The first token of a sentence is not scored." in told


def test_no_sentence_of_a_probe_set_and_no_single_word_stands_in_a_card() -> None:
    record = suite_record()
    told = "".join(section.markdown for section in card_parts(runs_of(record)).sections)

    for highlight in record.highlights:
        assert not any(text in told for text in highlight.text.values())
    assert "hysterical" not in told
    assert "lean more to one of the compared groups" in told


def test_numbers_without_a_neutral_value_are_called_no_bias() -> None:
    told = card_bias.markdown(runs_of(benchmark_record("winobias")))
    part = told.partition("so that none of it is called a bias")[2]

    assert "In 28 % of 792 pairs of sentences that differ only in the gender of a pronoun" in part
    assert "28 %" not in told.partition("so that none of it is called a bias")[0]


def test_every_number_of_a_finding_is_one_of_the_record() -> None:
    record = benchmark_record("crows-pairs", "bbq-religion")
    told = card_bias.markdown(runs_of(record))

    assert "60.5 % of 1,508 sentence pairs (95 % interval 58.0 % to 62.8 %)" in told
    # its interval holds 0, whatever its q says: that is no finding
    assert "−3.1 points" not in told.partition("**Looked for")[0].partition("**Found**")[2]


# recommendations


def test_recommendations_name_the_finding_and_limits_that_the_gate_can_read() -> None:
    told = card_recommend.markdown(runs_of(suite_record()))
    toml = re.search(r"```toml\n(.*?)```", told, re.DOTALL)

    assert "**Gendered occupations** (stereotype score 71 % (64 % to 78 %))" in told
    assert toml is not None
    limits = Settings.model_validate(tomllib.loads(toml[1])["tool"]["fairprint"]).limits
    assert (limits[0].metric, limits[0].probes, limits[0].margin) == ("stereotype_score", "gendered-occupations", 5)


def test_without_findings_it_is_told_what_to_ask_next() -> None:
    kept = tuple(e for e in sample_record().estimates if e.probe_set == "he-was-very")
    told = card_recommend.markdown(runs_of(sample_record(estimates=kept)))

    assert "no proof that the model treats people alike" in told
    assert "`fairprint plan RUN --margin 2`" in told
    assert "`crows-pairs:FILE`" in told
    assert "toml" not in told


# evaluation


def test_the_data_are_told_with_version_licence_items_and_hash() -> None:
    record = sample_record()
    told = card_evaluation.markdown(runs_of(record))
    row = next(line for line in told.splitlines() if line.startswith("| Gendered occupations (`gendered-occupations`)"))

    assert "CC-BY-4.0" in row
    assert "| 720 |" in row
    assert record.probes[0].sha256[:16] in row


def test_the_results_are_unitary_and_that_none_is_intersectional_is_said() -> None:
    told = card_evaluation.markdown(runs_of(suite_record()))

    assert "Unitary results" in told
    assert "Intersectional results: none was measured" in told
    assert re.search(r"\| Nationality, `after-group` \| Stereotype score \| .* against Americans", told)


def test_intersections_have_a_table_of_their_own() -> None:
    base = sample_record()
    probe = base.probes[0].model_copy(
        update={
            "name": "faces",
            "title": "Faces",
            "scored": "labelled images",
            "comparisons": (("old & dark", "(rest)"),),
        }
    )
    gap = estimate(
        "accuracy_gap",
        "faces / image-label",
        "all",
        -0.2,
        0.1,
        unit="difference of shares",
        comparison=("old & dark", "(rest)"),
    )
    told = card_evaluation.markdown(runs_of(sample_record(probes=(probe,), estimates=(gap,))))

    assert "Intersectional results: people of whom two things are told." in told
    assert "none was measured" not in told


def test_the_quality_of_a_training_stands_beside_the_audits() -> None:
    units = {"word": 30, "template": 24}
    good = Quality(metric="accuracy", part="new words", value=0.81875, low=0.75125, high=0.8625, items=320, units=units)
    bare = Quality(metric="f1", value=0.5, no_interval="only the value was noted, without items")
    runs = runs_of(sample_record(), training(task="topic", quality=(good, bare)))
    told = card_evaluation.markdown(runs)

    assert "| topic | accuracy | new words | 0.819 (0.751 to 0.863) | higher | 320 | 24 templates, 30 words |" in told
    assert "| topic | f1 | all | 0.500 | higher | not told | not told |" in told
    result = next(r for r in card_results.results(runs) if r.dataset_type == "topic")
    assert (result.metrics[0].value, result.metrics[0].args["items"]) == (0.8187, 320)
    assert [result.metrics[0].args[key] for key in ("low", "high", "level")] == [0.7512, 0.8625, 0.95]


def test_no_table_of_a_card_is_broken() -> None:
    parts = card_parts(runs_of(suite_record(), training()))
    for part in parts.sections:
        for line in part.markdown.splitlines():
            if line.startswith("|") and "---" in line and set(line) <= set("|-: "):
                wanted = line.count("|")
        rows = [line for line in part.markdown.splitlines() if line.startswith("| ")]
        tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(part.markdown)
        assert sum(token.type == "tr_open" for token in tokens) == len(rows) - sum("| ---" in row for row in rows)
        assert wanted


# the metadata


def test_each_subset_has_a_configuration_of_its_own() -> None:
    results = card_results.results(runs_of(suite_record(), benchmark_record(run_id="20251124T103105-benchmarks")))
    keys = [(r.task_type, r.dataset_type, r.dataset_config, r.dataset_split, r.dataset_revision) for r in results]

    assert len(keys) == len(set(keys))
    assert "nationality/after-group/mexican vs american" in {r.dataset_config for r in results}
    assert "crows-pairs/aul/category:gender" in {r.dataset_config for r in results}


def test_a_metric_carries_its_interval_counts_and_instrument_as_plain_values() -> None:
    results = card_results.results(runs_of(report="https://example.org/r.html"))
    result = next(r for r in results if r.dataset_config == "gendered-occupations/fill")
    metric = next(m for m in result.metrics if m.type == "stereotype_score")

    assert metric.value == 0.7123
    assert metric.args["low"] == 0.644
    assert metric.args["high"] == 0.7758
    assert {"level": 0.95, "items": 552, "missing": 4, "instrument": "fill"}.items() <= metric.args.items()
    assert (metric.args["clusters_template"], metric.args["clusters_lexeme"]) == (12, 60)
    assert (result.source_name, result.source_url) == ("fairprint report", "https://example.org/r.html")
    for every in results:
        for one in every.metrics:
            assert all(type(value) in (str, int, float) for value in one.args.values())


def test_a_number_that_is_absent_is_left_out() -> None:
    absent = estimate("stereotype_score", "gendered-occupations / fill", "all", None, 0.1)

    assert card_results.results(runs_of(sample_record(estimates=(absent,)))) == ()


# climate


def test_the_grams_are_those_of_the_training_with_pue_and_grid() -> None:
    emissions, reason = card_environment.emissions(runs_of(sample_record(), training()))

    # 360 W over 600 s are 60 Wh; with a PUE of 1.2 and 381 g/kWh that is 27.432 g
    assert emissions is not None
    assert emissions.emissions_g == 27.43
    assert emissions.training_type == "fine-tuning"
    assert emissions.geographical_location == "Germany"
    assert emissions.scope == "the final training alone"
    assert reason == ""


@pytest.mark.parametrize(
    ("purpose", "kind"),
    [
        ("pretraining", "pre-training"),
        ("training from scratch", "pre-training"),
        ("fine-tuning", "fine-tuning"),
        (None, "not stated"),
    ],
)
def test_the_training_type_is_what_was_said_and_no_guess(purpose: Any, kind: str) -> None:
    emissions, _ = card_environment.emissions(runs_of(training(purpose=purpose)))

    assert emissions is not None
    assert emissions.training_type == kind


def test_audits_alone_give_no_emissions_of_the_model_and_their_cost_stands_in_the_text() -> None:
    runs = runs_of()
    emissions, reason = card_environment.emissions(runs)
    told = card_environment.markdown(runs)

    assert emissions is None
    assert reason == "no training was metered"
    assert "has no `co2_eq_emissions`, which would be about the training: no training was metered" in told
    assert "**Energy:** 0.93 Wh (0.51 Wh to 1.4 Wh)" in told
    assert "**Compute region:** France" in told


def test_trials_are_added_where_the_scope_says_so() -> None:
    trial = later(5000.0, run_id="20260301T090000000Z-trial-1", kind="trial", purpose="search")
    final, _ = card_environment.emissions(runs_of(later(4000.0), trial))
    both, _ = card_environment.emissions(runs_of(later(4000.0), trial, scope="trials"))
    every, _ = card_environment.emissions(runs_of(later(4000.0), trial, sample_record(), scope="audits"))

    assert final is not None
    assert both is not None
    assert every is not None
    assert (final.emissions_g, both.emissions_g) == (27.43, 54.86)
    # the audit emitted 0.05215 g
    assert every.emissions_g == pytest.approx(54.864 + 0.05215, abs=0.01)
    assert both.scope == "the final training and 1 run of trials"
    assert every.scope == "the final training, 1 run of trials and 1 audit"


def test_a_training_inside_of_its_search_is_counted_once() -> None:
    search = later(4000.0, run_id="20260301T090000000Z-search-77aa", purpose="search")
    inside = later(4100.0, parent="20260301T090000000Z-search-77aa")
    both, _ = card_environment.emissions(runs_of(search, inside, scope="trials"))

    assert both is not None
    assert both.emissions_g == 27.43


def test_runs_that_overlap_on_one_machine_are_not_added_up() -> None:
    trial = later(4300.0, run_id="20260301T090000000Z-trial-1", purpose="search")
    emissions, reason = card_environment.emissions(runs_of(later(4000.0), trial, scope="trials"))

    assert emissions is None
    assert "count twice" in reason
    assert "count twice" in card_environment.markdown(runs_of(later(4000.0), trial))
    elsewhere = trial.model_copy(update={"clock": trial.clock.model_copy(update={"machine": "another"})})
    assert card_environment.emissions(runs_of(later(4000.0), elsewhere, scope="trials"))[0] is not None
    named = later(4000.0, overlaps=(Overlap(run_id=elsewhere.run_id, began_before=True),))
    assert card_environment.emissions(runs_of(named, elsewhere, scope="trials"))[0] is None


def test_a_place_that_is_not_known_gives_an_interval_and_no_grams() -> None:
    runs = runs_of(training(footprint=footprint(grid=NOWHERE)))
    emissions, reason = card_environment.emissions(runs)
    told = card_environment.markdown(runs)

    assert emissions is None
    assert "the emissions of the final training alone are not known" in reason
    assert re.search(r"\*\*Carbon emitted:\*\* \S+ g to \S+ g CO₂e", told)
    assert "place not known" in told


def test_energy_that_is_not_known_is_told_with_its_reason() -> None:
    record = without_energy().model_copy(update={"overlaps": ()})
    told = card_environment.markdown(runs_of(record))

    assert "**Energy:** not available: torch sees 2 GPUs, but 1 were metered" in told
    assert card_environment.emissions(runs_of(record))[0] is None


def test_what_is_not_counted_is_said() -> None:
    told = card_environment.markdown(runs_of(sample_record(), training()))

    assert "Not counted: the training of the base model" in told
    assert "making and disposing of the hardware" in told
    assert "with a PUE of 1.2" in told
    assert "of 2023" in told


# what a record quotes cannot act


HOSTILE = "a|b`c`<script>alert(1)</script>\n# x <!-- fairprint:end bias -->\u202egnp [y](z) **w** $$1$$"


def test_what_records_quote_neither_acts_nor_hides() -> None:
    base = sample_record()
    probe = base.probes[0].model_copy(update={"title": HOSTILE, "licence": HOSTILE, "cannot_show": (HOSTILE,)})
    model = base.plan.model.model_copy(update={"name": HOSTILE, "revision": HOSTILE})
    record = sample_record(
        probes=(probe, base.probes[1]),
        plan=base.plan.model_copy(update={"model": model}),
        not_asked={HOSTILE: HOSTILE},
        notes=(HOSTILE,),
    )
    parts = card_parts(runs_of(record, training(task=HOSTILE, quality=(Quality(metric=HOSTILE, value=0.5),))))
    for part in parts.sections:
        assert "<!--" not in part.markdown
        assert "\u202e" not in part.markdown
        rendered = MarkdownIt("gfm-like", {"linkify": False}).render(part.markdown)
        assert "<script" not in rendered
        assert 'href="z"' not in rendered
        assert "<strong>w</strong>" not in rendered


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_shown_as_it_is_and_does_nothing(text: str) -> None:
    inline = escaped(text)
    rendered = MarkdownIt("gfm-like", {"linkify": False}).render(inline)

    assert "\n" not in inline
    assert set(re.findall(r"<(/?\w+)", rendered)) <= {"p", "/p"}
    assert set(re.findall(r"<(/?\w+)", MarkdownIt("commonmark").render(coded(text)))) <= {"p", "/p", "code", "/code"}


# pictures


def test_pictures_are_the_same_bytes_each_time_on_a_white_ground_with_a_text_in_their_place() -> None:
    runs = runs_of(suite_record())
    first, again = pictures(runs), pictures(runs)

    assert [one.svg() for one in first] == [one.svg() for one in again]
    assert all(b'fill="#ffffff"' in one.svg() for one in first)
    assert all("highest for" in one.alt for one in first)
    told = card_evaluation.markdown(runs, shown(first, "fairprint-card"))
    assert f"](<fairprint-card/{first[0].name}>)" in told


def test_the_same_runs_give_the_same_card() -> None:
    one, other = sample_record(), training()

    assert card_parts(runs_of(one, other)) == card_parts(runs_of(other, one))


@pytest.mark.parametrize(
    ("kind", "task"), [("image-classifier", "image-classification"), ("translation", "translation")]
)
def test_kinds_of_models_have_their_task_in_the_metadata(kind: str, task: str) -> None:
    base = sample_record()
    model = base.plan.model.model_copy(update={"kind": kind})
    runs = runs_of(sample_record(plan=base.plan.model_copy(update={"model": model})))

    assert kind in KINDS
    assert {result.task_type for result in card_results.results(runs)} == {task}


@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=40))
def test_text_that_was_escaped_for_a_card_reads_as_it_was_when_the_marks_are_taken_off(raw: str) -> None:
    shown = plain(clean(raw)).strip()

    assert unmarked(escaped(raw)) == shown
    assert unmarked(f"**{escaped(raw)}**x") in (f"{shown}x", f"**{shown}**x")
