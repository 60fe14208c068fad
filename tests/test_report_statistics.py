"""What reports and closing tables say of uncertainty: errors by factor, second opinions, corrections, and plans."""

import re
from functools import cache
from typing import Any

import pytest
from sample_benchmarks import BBQ, CROWS, benchmark_record
from sample_record import estimate, sample_record, suite_record
from sample_statistics import METHOD, with_statistics
from test_report import HOSTILE, Page, leaves
from test_report_benchmarks import plain, tables
from test_summary import found, record, told

from fairprint.audit.findings import Family
from fairprint.audit.multiplicity import REPORT, families
from fairprint.audit.planning import error_in_unit, outlook
from fairprint.audit.records import Estimate, RunRecord, migrate, to_json
from fairprint.reports import numbers, precision, wording
from fairprint.reports.closing import closing
from fairprint.reports.html import render_report
from fairprint.reports.summary import tally

PLANNED = ("planned", "margin")
"""Kinds of numbers that are worked out from a record, and do not stand in it."""
BEHIND, BESIDE = "What stands behind each interval", "What could be found"


@cache
def full() -> RunRecord:
    return with_statistics(sample_record())


@cache
def page() -> Page:
    return Page(render_report([full()]))


def score(record: RunRecord) -> Estimate:
    return next(e for e in record.estimates if e.metric == "stereotype_score" and e.scope == "all")


def main_text(parsed: Page) -> str:
    return plain(parsed.all("main")[0]["text"])


# --- the page --------------------------------------------------------------------------------------------------------


def test_every_number_stands_in_the_record_or_is_planned_from_it() -> None:
    known = {float(x) for x in leaves(full().model_dump()) if isinstance(x, int | float) and not isinstance(x, bool)}
    heads = [e for e in full().estimates if e.scope == "all"]
    plans = [outlook(e, 2.0) for e in heads]
    counts = {n for p in plans for n in (*p.needed.values(), *(p.cheapest or {}).values())}
    shown = page().all("data")
    assert {e["attrs"]["data-as"] for e in shown} >= set(PLANNED)
    for element in shown:
        raw, kind = element["attrs"]["value"], element["attrs"]["data-as"]
        value = int(raw) if re.fullmatch(r"-?\d+", raw) else float(raw)
        assert element["text"] == numbers.KINDS[kind](value)
        if kind == "margin":
            assert value == 0.02
        elif kind == "planned":
            assert value in counts
        else:
            assert kind == "tally" or value in known, f"{raw} ({kind}) is not in the record"


def test_the_errors_by_factor_stand_side_by_side() -> None:
    head, *rows = tables(page(), BEHIND)[0]
    assert head == [
        *("Metric", "Units", "Error by item", "Error by template", "Error by word", "Error two-way", "on scale"),
        *("Design effect", "Degrees of freedom"),
    ]
    row = next(row for row in rows if row[0] == "Stereotype score")
    errors = score(full()).standard_errors
    wanted = [plain(numbers.KINDS["plain"](errors[key])) for key in ("item", "template", "lexeme", "two-way")]
    assert row[2:7] == [*wanted, "logit"]
    assert row[1] == "46 words, 12 templates"


def test_a_second_opinion_stands_beside_each_interval_and_says_where_it_disagrees() -> None:
    head, *rows = tables(page(), BESIDE)[0]
    by_metric = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
    one = by_metric["Stereotype score"]
    second = score(full()).second_opinion
    assert second is not None and second.low is not None and second.high is not None
    assert one["Second opinion"] == f"{100 * second.low:.0f} % to {100 * second.high:.0f} %"
    assert one["Against the interval"] == "agrees"
    assert one["Worst cases"] == "70.7 % to 71.4 %" or one["Worst cases"] == "71 % to 71 %"
    apart = by_metric["Correlation with the published figure"]
    assert apart["Against the interval"] == "their ends lie more than half of an interval apart"
    assert METHOD.format(scale="logit") in main_text(page())


def test_columns_that_nothing_fills_are_left_out() -> None:
    parsed = Page(render_report([with_statistics(benchmark_record(BBQ))]))
    head = tables(parsed, BEHIND)[0][0]
    assert "Error by template" in head and "Error by word" not in head and "Error two-way" not in head


def test_a_run_of_an_older_version_shows_the_one_error_that_it_has() -> None:
    old = sample_record()
    again = RunRecord.model_validate(migrate({**old.model_dump(), "schema_version": 1}))
    head, *rows = tables(Page(render_report([again])), BEHIND)[0]
    assert head[2:4] == ["Standard error", "on scale"]
    row = next(row for row in rows if row[0] == "Stereotype score")
    assert row[2] == plain(numbers.KINDS["plain"](score(old).standard_error or 0))
    assert tally(old) == "" and "would decide" not in main_text(Page(render_report([again])))


def test_why_there_is_no_interval_is_said_once_in_a_row() -> None:
    gone = "a single unit: nothing to estimate a variance from"
    alone = estimate("stereotype_score", "gendered-occupations / fill", "all", 0.7, 0.1).model_copy(
        update={"low": None, "high": None, "standard_error": None, "degrees_of_freedom": None, "reason": gone}
        | {"p_value": None, "design_effect": None, "detectable": None}
    )
    parsed = Page(render_report([sample_record(estimates=(alone,), highlights=())]))
    row = tables(parsed, BEHIND)[0][1]
    assert row[:2] == ["Stereotype score", f"not available: {gone}"] and sum(gone in cell for cell in row) == 1
    assert "of others like these nothing is known: " + gone in main_text(parsed)


# --- of what an interval speaks --------------------------------------------------------------------------------------


def said(e: Estimate, of: RunRecord) -> str:
    return plain(precision.speaks_of(e, next(p for p in of.probes if p.name == e.probe_set)).striptags())


def test_what_is_exact_and_what_is_estimated_is_said_with_what_would_decide() -> None:
    e = score(full())
    plan = outlook(e, 2.0)
    assert plan.cheapest is not None
    begin = (
        "On these 552 sentence pairs the stereotype score is 71 %, exactly; for templates and words like these it lies"
        " from 64 % to 78 % with 95 % confidence. "
    )
    assert said(e, full()).startswith(begin)
    both = f"{plan.cheapest['template']:,} templates with {plan.cheapest['lexeme']:,} words would."
    assert said(e, full()) == begin + (
        f"Neither more templates nor more words alone would decide a margin of 2 points; {both}"
    )
    assert said(e, full()) in main_text(page())


@pytest.mark.parametrize(
    ("parts", "told_as"),
    [
        ((0.1, 0.2, 0.01, 0.21), "{t} templates with these words would decide a margin of 2 points; more words"),
        ((0.1, 0.01, 0.2, 0.21), "{l} words with these templates would decide a margin of 2 points; more templates"),
        ((0.05, 0.04, 0.04, 0.05), "{t} templates with these words or {l} words with these templates would decide"),
        ((0.01, 0.01, 0.01, 0.01), "12 templates and 60 words are enough to decide a margin of 2 points."),
    ],
)
def test_it_says_which_units_would_decide(parts: tuple[float, ...], told_as: str) -> None:
    errors = dict(zip(("item", "template", "lexeme", "two-way"), parts, strict=True))
    e = score(full()).model_copy(
        update={"standard_errors": errors, "standard_error": parts[3], "low": 0.65, "high": 0.78}
        | {"units": {"template": 12, "lexeme": 60}, "items": 720}
    )
    needed = outlook(e, 2.0).needed
    wanted = told_as.format(t=f"{needed['template'] or 0:,}", l=f"{needed['lexeme'] or 0:,}")
    assert wanted in said(e, full())


def test_one_factor_is_told_in_that_factor() -> None:
    of = with_statistics(benchmark_record(CROWS))
    e = next(e for e in of.estimates if e.metric == "crows_pairs_score" and e.scope == "all")
    needed = outlook(e, 2.0).needed["template"]
    assert said(e, of).endswith(f" {needed:,} pairs would decide a margin of 2 points.")


def test_a_gap_in_nats_is_not_planned_in_points() -> None:
    e = next(e for e in full().estimates if e.metric == "group_gap" and e.scope == "all")
    assert "points" not in said(e, full()) and "exactly" in said(e, full())


# --- the correction --------------------------------------------------------------------------------------------------


def family_of(record: RunRecord) -> list[Estimate]:
    return [e for e in record.estimates if e.p_value is not None and e.family == REPORT]


def test_the_summary_says_how_many_tests_survive() -> None:
    p_values = sorted(e.p_value or 0.0 for e in family_of(full()))
    # Benjamini and Hochberg: as many as the largest k whose p-value is below .05 k / m
    passed = [k for k, p in enumerate(p_values, 1) if p < 0.05 * k / len(p_values)]
    wanted = f"{max(passed)} of the {len(p_values)} tests of this report survive the correction for their number"
    topics = dict(told(full()))
    assert topics["All tests together"][0].startswith(wanted)
    assert list(topics)[-1] == "What it cost"
    assert families(full().estimates) == full().families


def test_no_test_of_the_family_is_hidden() -> None:
    shown = {e["attrs"]["value"] for e in page().all("data") if e["attrs"]["data-as"] == "p"}
    of = family_of(full())
    assert len(of) > 10
    for e in of:
        assert {repr(e.p_value), repr(e.q_value)} <= shown, f"{e.metric} {e.scope}"


def test_the_families_are_listed_with_what_survives() -> None:
    listed = main_text(page())
    assert len(full().families) == 3
    for family in full().families:
        assert f"{family.name}: {family.survive:,} of {family.tests:,} tests survive" in listed


def test_what_does_not_survive_is_not_said_to_show_a_preference() -> None:
    kept, gone = {"q_value": 0.004, "family": REPORT}, {"q_value": 0.081, "family": REPORT}
    of = record(
        found("stereotype_score", "a", 0.75, 0.6, 0.85, p_value=0.001, **kept),
        found("stereotype_score", "b", 0.6, 0.51, 0.7, p_value=0.03, **gone),
        found("stereotype_score", "c", 0.52, 0.4, 0.65, p_value=0.7, q_value=0.7, family=REPORT),
        found("stereotype_score", "d", 0.7, None, None, reason="one template"),
    )
    topics = dict(told(of))
    assert topics["All told"] == [
        "1 of 4 probe sets shows a preference in the main metric; 1 more would without the correction for the number of"
        " tests; in 1 the interval includes what equal treatment would give; 1 gave no interval. Where none is shown,"
        " there may still be one that is smaller than the interval."
    ]
    assert topics["Lost in the correction"] == ["B: stereotype score 60 % (51 % to 70 %), each with its 95 % interval."]
    assert topics["No preference shown"] == ["C: stereotype score 52 % (40 % to 65 %), each with its 95 % interval."]
    assert "A" in topics and "B" not in topics
    (_, (alone,)), _ = told(record(of.estimates[1]))
    assert alone.endswith("After the correction for all tests of this report that is not shown (q = 0.081).")
    (_, (sure,)), _ = told(record(of.estimates[0]))
    assert "correction" not in sure


@pytest.mark.parametrize(
    ("low", "q_value", "shows", "lost"),
    [
        (0.6, 0.01, True, False),
        (0.6, None, True, False),
        (0.6, 0.06, False, True),
        (0.4, 0.6, False, False),
        (0.4, None, False, False),
        (None, None, None, False),
    ],
)
def test_a_difference_is_shown_where_its_test_survives(
    low: float | None, q_value: float | None, shows: bool | None, lost: bool
) -> None:
    e = found("stereotype_score", "a", 0.7, low, low and 0.8, q_value=q_value, p_value=q_value)
    assert (wording.shows(e), wording.lost(e)) == (shows, lost)


def test_one_test_alone_needs_no_correction() -> None:
    alone = Family(name=REPORT, method="Benjamini-Hochberg", rate=0.05, tests=1, survive=1)
    assert tally(sample_record(families=(alone,))) == ""
    words = Family(name="words", method="Benjamini-Hochberg", rate=0.05, tests=9, survive=1)
    assert tally(sample_record(families=(words,))) == ""


# --- the terminal ----------------------------------------------------------------------------------------------------


def test_the_closing_table_shows_errors_by_factor_a_second_opinion_and_q(capsys: pytest.CaptureFixture[str]) -> None:
    closing(full())
    shown = capsys.readouterr().out
    lines = [plain(line) for line in shown.splitlines()]
    flat = plain(shown)
    e = score(full())
    errors = {key: 100 * (error_in_unit(e, error) or 0) for key, error in e.standard_errors.items()}
    assert (
        f"Its standard errors in points: {errors['item']:.1f} by item, {errors['template']:.1f} by template,"
        f" {errors['lexeme']:.1f} by word, {errors['two-way']:.1f} two-way." in flat
    )
    assert "The interval of the Stereotype score rests on 46 words, 12 templates; its variance is 6.3 times" in flat
    assert e.second_opinion is not None
    bounds = " to ".join(f"{100 * (x or 0):.0f} %" for x in (e.second_opinion.low, e.second_opinion.high))
    assert f"Second opinion ({METHOD.format(scale='logit')}): {bounds}, which agrees." in flat
    assert said(e, full()) in flat
    head = next(line for line in lines if line.startswith("finding"))
    assert head == "finding value 95 % interval neutral p q items"
    assert plain(tally(full()).striptags()) in flat


def test_a_second_opinion_that_disagrees_says_so_in_the_terminal() -> None:
    e = next(e for e in full().estimates if e.metric == "covariate_correlation")
    told_of = [plain(s.striptags()) for s in precision.in_words(e, full().probes[0])]
    assert told_of[-1].endswith("which disagrees: their ends lie more than half of an interval apart.")


# --- hostile and large -----------------------------------------------------------------------------------------------


def test_hostile_strings_stay_text() -> None:
    base = full()

    def infected(e: Estimate) -> Estimate:
        if e.second_opinion is None:
            return e
        changes: dict[str, Any] = {"method": HOSTILE, "disagrees": HOSTILE}
        second = e.second_opinion.model_copy(update=changes)
        return e.model_copy(update={"second_opinion": second, "estimand": HOSTILE, "scale": HOSTILE})

    family = base.families[0].model_copy(update={"name": HOSTILE})
    hostile = base.model_copy(
        update={"estimates": tuple(map(infected, base.estimates)), "families": (*base.families, family)}
    )
    html = render_report([RunRecord.model_validate_json(to_json(hostile))])
    parsed = Page(html)
    assert (
        len(parsed.all("script")) == 2 and "{{ 7*7 }}" in main_text(parsed) and "49" not in parsed.all("h1")[0]["text"]
    )
    assert not [e for e in parsed.elements if "onerror" in e["attrs"]]


def test_the_page_of_several_sets_stays_far_below_a_megabyte() -> None:
    few, many = render_report([suite_record()]), render_report([with_statistics(suite_record())])
    assert len(many.encode()) < 600_000
    assert len(many) - len(few) < 60_000
