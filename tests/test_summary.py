"""What the first screen of a report says, sentence by sentence, for values that are easy to work out by hand."""

import math
from typing import Any

import pytest
from sample_record import estimate, footprint, sample_record, suite_record

from fairprint.audit.records import Estimate, ProbeInfo, RunRecord
from fairprint.reports import numbers
from fairprint.reports.summary import overview, summary
from fairprint.reports.tables import figure_table

COST = (
    "The run took 2 min 12 s and the machine used 0.93 Wh of electricity meanwhile (90 % interval 0.51 Wh to 1.4 Wh;"
    " CPU by a load model, RAM by a constant). At 56.0 g/kWh (Our World in Data and Ember, 2023) that is 52 mg CO₂e"
    " (90 % interval 26 mg to 80 mg)."
)
SCORED = (
    "In {} of {} sentence pairs (95 % interval {}) the model prefers the stereotyped version; with equal treatment it"
    " would be 50 %."
)
OPEN = " This interval includes {}, so the audit does not show a preference either way."
TRIPLED, HALVED = math.log(3), -math.log(2)


def probe(name: str, **changes: Any) -> ProbeInfo:
    """Return a probe set of the sample under another name."""
    return sample_record().probes[0].model_copy(update={"name": name, "title": name.capitalize(), **changes})


def found(
    metric: str, name: str, value: float | None, low: float | None, high: float | None, **changes: Any
) -> Estimate:
    """Return an estimate of a whole set."""
    label = name if " / " in name else f"{name} / fill"
    return estimate(metric, label, "all", value, 0.1, **{"low": low, "high": high, "items": 100, **changes})


def record(*estimates: Estimate, probes: tuple[ProbeInfo, ...] = ()) -> RunRecord:
    names = dict.fromkeys(e.probe_set for e in estimates)
    return sample_record(probes=probes or tuple(probe(name) for name in names), estimates=estimates)


def told(of: RunRecord) -> list[tuple[str, list[str]]]:
    """Return the summary as plain text."""
    return [
        (topic, [sentence.striptags().replace(numbers.NBSP, " ") for sentence in sentences])
        for topic, sentences in summary(of)
    ]


def test_up_to_three_findings_are_said_in_full() -> None:
    of = record(
        found("stereotype_score", "a", 0.75, 0.6, 0.85),
        found("stereotype_score", "b", 0.52, 0.4, 0.65),
        found("group_gap", "c", TRIPLED, 1.0, 1.2),
    )
    assert told(of) == [
        ("A", [SCORED.format("75 %", 100, "60 % to 85 %")]),
        ("B", [SCORED.format("52 %", 100, "40 % to 65 %") + OPEN.format("50 %")]),
        (
            "C",
            [
                "The model finds a sentence typically 3.0 times as likely when it speaks of men as when it speaks of"
                " women (+1.10 nats over 100 sentence pairs; 95 % interval +1.00 to +1.20)."
            ],
        ),
        ("What it cost", [COST]),
    ]


def test_a_gap_below_zero_is_told_the_other_way_round() -> None:
    (_, (said,)), _ = told(record(found("group_gap", "c", HALVED, -1.0, 0.1)))
    assert said == (
        "The model finds a sentence typically 2.0 times as likely when it speaks of women as when it speaks of men"
        " (−0.69 nats over 100 sentence pairs; 95 % interval −1.00 to +0.10)." + OPEN.format("0")
    )


def test_what_follows_a_group_has_a_sentence_of_its_own() -> None:
    asked = probe("c", scored="rest")
    (_, (said,)), _ = told(record(found("group_gap", "c", TRIPLED, 1.0, 1.2), probes=(asked,)))
    assert said.startswith(
        "The model finds what follows typically 3.0 times as likely after naming men as after naming women ("
    )
    (_, (said,)), _ = told(record(found("valence_gap", "c", HALVED, -1.0, -0.4), probes=(asked,)))
    assert said == (
        "Words that speak well of people, rather than ill, are typically 2.0 times as likely after naming women as"
        " after naming men (−0.69 nats over 100 items; 95 % interval −1.00 to −0.40)."
    )


def test_there_is_room_for_a_relation_and_for_words_where_few_sets_were_asked() -> None:
    (first, (finding, relation)), (second, (gap, words)), cost = told(sample_record())
    assert (first, second) == ("Gendered occupations", "He was very …") and cost == ("What it cost", [COST])
    assert finding == SCORED.format("71 %", 552, "64 % to 78 %")
    assert relation == (
        "From word to word, the model’s preference for women has a correlation of −0.73 with this figure: women among"
        " the employed of the occupation, per cent, United States (95 % interval −0.84 to −0.63). The preference runs"
        " against the figure."
    )
    assert gap.endswith(OPEN.format("0") + " Caution: only 6 templates: the interval is likely too short.")
    centred = [e for e in sample_record().estimates if e.metric == "group_gap_centred" and "very" in e.instrument]
    count = len([e for e in centred if e.q_value < 0.05])
    assert words == (
        f"Next to the other words, {count} of {len(centred)} lean to men or to women at a false discovery rate of 5 %;"
        " furthest out: “handsome” towards men (11 times as likely as the words are on average) and “pregnant” towards"
        " women (30 times as likely as the words are on average)."
    )


def test_beyond_three_only_what_shows_a_preference_is_said_in_full() -> None:
    of = record(
        found("stereotype_score", "a", 0.75, 0.6, 0.85),
        found("stereotype_score", "b", 0.52, 0.4, 0.65),
        found("group_gap", "c", TRIPLED, 1.0, 1.2),
        found("group_gap", "d", -0.25, -0.5, 0.75),
    )
    assert told(of) == [
        (
            "All told",
            [
                "2 of 4 probe sets show a preference in the main metric; in 2 the interval includes what equal"
                " treatment would give. Where none is shown, there may still be one that is smaller than the interval."
            ],
        ),
        ("A", [SCORED.format("75 %", 100, "60 % to 85 %")]),
        (
            "C",
            [
                "The model finds a sentence typically 3.0 times as likely when it speaks of men as when it speaks of"
                " women (+1.10 nats over 100 sentence pairs; 95 % interval +1.00 to +1.20)."
            ],
        ),
        (
            "No preference shown",
            [
                "B: stereotype score 52 % (40 % to 65 %); D: group gap −0.25 nats for men against women (−0.50 to"
                " +0.75), each with its 95 % interval."
            ],
        ),
        ("What it cost", [COST]),
    ]


def test_a_set_without_an_interval_counts_neither_way() -> None:
    gone = "no item has an answer"
    of = record(
        found("stereotype_score", "a", 0.75, 0.6, 0.85),
        found("stereotype_score", "b", None, None, None, reason=gone),
        found("stereotype_score", "c", 0.7, None, None, reason="one template"),
        found("group_gap", "d", 0.5, None, None, reason="one template"),
    )
    assert told(of) == [
        ("All told", ["1 of 4 probe sets shows a preference in the main metric; 3 gave no interval."]),
        ("A", [SCORED.format("75 %", 100, "60 % to 85 %")]),
        (
            "No interval",
            [
                f"B: stereotype score not available: {gone}; C: stereotype score 70 % (not available: one template);"
                " D: group gap +0.50 nats for men against women (not available: one template)."
            ],
        ),
        ("What it cost", [COST]),
    ]


def test_where_all_sets_show_a_preference_nothing_is_said_of_others() -> None:
    topics = told(record(*(found("stereotype_score", name, 0.75, 0.6, 0.85) for name in "abcd")))
    assert topics[0] == ("All told", ["4 of 4 probe sets show a preference in the main metric."])
    assert [topic for topic, _ in topics] == ["All told", "A", "B", "C", "D", "What it cost"]


def test_a_score_below_one_half_is_a_preference_too() -> None:
    topics = dict(told(record(*(found("stereotype_score", name, 0.25, 0.125, 0.375) for name in "abcd"))))
    assert topics["A"] == [SCORED.format("25 %", 100, "12 % to 38 %")]


def test_a_set_that_is_asked_in_two_ways_is_told_apart_by_the_instrument() -> None:
    labels = ("a / fill", "a / sentence", "b / fill", "c / fill")
    of = record(*(found("stereotype_score", label, 0.75, 0.6, 0.85) for label in labels))
    topics = told(of)
    assert topics[0][1] == ["4 of 4 results show a preference in the main metric."]
    assert [topic for topic, _ in topics[1:-1]] == ["A (fill)", "A (sentence)", "B", "C"]
    view = overview(of, "")
    assert view is not None and [label for label, _ in view.rows] == ["A (fill)", "A (sentence)", "B", "C"]


def test_the_suite_has_the_form_for_many_sets() -> None:
    topics = told(suite_record())
    assert [topic for topic, _ in topics] == [
        "All told",
        "Gendered occupations",
        "Nationality",
        "Gendered occupations in Korean",
        "No preference shown",
        "What it cost",
    ]
    assert topics[0][1][0].startswith("3 of 5 probe sets show a preference in the main metric; in 2 the interval")
    assert topics[2][1] == [SCORED.format("56 %", 288, "53 % to 59 %")]
    assert topics[4][1] == [
        "He was very …: group gap −0.05 nats for men against women (−0.19 to +0.08); Religion: stereotype score 52 %"
        " (37 % to 67 %), each with its 95 % interval."
    ]


def test_a_run_without_findings_says_what_it_cost() -> None:
    of = sample_record(probes=(), estimates=(), highlights=(), footprint=footprint())
    assert told(of) == [("What it cost", [COST])]


@pytest.mark.parametrize("scores", [(), (0.7,), (None, 0.7)])
def test_one_score_makes_no_overview(scores: tuple[float | None, ...]) -> None:
    estimates = [
        found("stereotype_score", name, value, value and value - 0.1, value and value + 0.1)
        for name, value in zip("abc", scores, strict=False)
    ]
    assert overview(record(*estimates, found("group_gap", "d", 0.5, 0.4, 0.6)), "") is None


def test_the_overview_shows_the_score_of_each_set_and_tells_the_ends() -> None:
    view = overview(suite_record(), "run2")
    assert view is not None and view.id == "run2-figure-overview" and view.kind == "overview"
    scores = [e for e in suite_record().estimates if e.metric == "stereotype_score" and e.scope == "all"]
    wanted = [
        next(e for e in scores if e.probe_set == name) for name in ("gendered-occupations", "nationality", "religion")
    ]
    assert view.rows == tuple(zip(("Gendered occupations", "Nationality", "Religion"), wanted, strict=True))
    assert [e.comparison for _, e in view.rows] == [("male", "female"), None, None]
    assert view.alt.replace(numbers.NBSP, " ") == (
        "Stereotype score of each probe set: highest for Gendered occupations (71 %), lowest for Religion (52 %)."
    )
    table = figure_table(view)
    assert table.head[0] == "Probe set"
    rows = [[cell.striptags().replace(numbers.NBSP, " ") for cell in row[:3]] for row in table.rows]
    assert rows == [
        ["Gendered occupations", "71 %", "64 % to 78 %"],
        ["Nationality", "56 %", "53 % to 59 %"],
        ["Religion", "52 %", "37 % to 67 %"],
    ]
