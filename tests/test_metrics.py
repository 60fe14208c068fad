"""Metrics on small hand-made probe sets, with values worked by hand or by numpy and scipy."""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import stats

from fairprint.audit.evaluate import evaluate, highlights
from fairprint.audit.labelled_metrics import LABELLED
from fairprint.audit.metrics import METRICS, Metric
from fairprint.audit.multiplicity import REPORT
from fairprint.audit.records import Estimate, to_json
from fairprint.audit.scales import SCALES
from fairprint.probes.items import Comparison, Group, Item, ProbeSet, Variant
from fairprint.probes.scores import CHOICE, LOGPROB, MASS, Score
from fairprint.reports import benchmarks, utility, wording

HE, SHE = "male", "female"
Gaps = Mapping[tuple[str, str], float | None]


def item(
    template: str,
    lexeme: str,
    *,
    category: str = "all of them",
    stereotyped: str | None = None,
    covariate: float | None = None,
    valence: int = 0,
) -> Item:
    said = {HE: f"{template}: the {lexeme} said he", SHE: f"{template}: the {lexeme} said she"}
    return Item(
        id=f"{template}/{lexeme}",
        template=template,
        lexeme=lexeme,
        category=category,
        directions=({HE: 1, SHE: -1, None: 0}[stereotyped],),
        valence=valence,
        covariate=covariate,
        variants=tuple(Variant(group=group, text=text, span=(0, 1)) for group, text in said.items()),
    )


def probe_set(
    items: Sequence[Item],
    *,
    random_factors: tuple[str, ...] = ("template", "lexeme"),
    covariate_group: str | None = SHE,
) -> ProbeSet:
    return ProbeSet(
        name="by-hand",
        version=1,
        title="By hand",
        summary="",
        measures="",
        harm_type="",
        language="en",
        licence="",
        sources=(),
        criticism=(),
        cannot_show=(),
        groups=(Group(id=HE, label="men"), Group(id=SHE, label="women")),
        comparisons=(Comparison(first=HE, second=SHE),),
        scored="group",
        random_factors=random_factors,
        covariate="percent women" if covariate_group else None,
        covariate_group=covariate_group,
        items=tuple(items),
        sha256="",
        source="file",
    )


def score(asked: Item, group: str, name: str, value: float | None) -> Score:
    return Score(
        item=asked.id,
        template=asked.template,
        lexeme=asked.lexeme,
        category=asked.category,
        group=group,
        name=name,
        value=value,
    )


def scores(items: Sequence[Item], gaps: Gaps) -> list[Score]:
    """Scores with the given gaps (he minus she); a gap of None lacks the second answer."""
    found = []
    for asked in items:
        gap = gaps[asked.template, asked.lexeme]
        found += [
            score(asked, HE, LOGPROB, -3.0 if gap is None else gap - 3.0),
            score(asked, SHE, LOGPROB, None if gap is None else -3.0),
        ]
    return found


def estimates(
    items: Sequence[Item], table: Sequence[Score], *, in_set: ProbeSet | None = None
) -> dict[tuple[str, str], Estimate]:
    found = evaluate(in_set or probe_set(items), items, table, "fill")
    by_key = {(estimate.metric, estimate.scope): estimate for estimate in found}
    assert len(by_key) == len(found), "an estimate stands twice"
    return by_key


def generic(seed: int = 0) -> tuple[list[Item], dict[tuple[str, str], float]]:
    """Five templates x eight words in two categories, half of the words leaning each way, with figures and noise."""
    rng = np.random.default_rng(seed)
    items = [
        item(
            f"t{t}",
            f"x{x}",
            category="first" if x % 2 else "second",
            stereotyped=HE if x < 4 else SHE,
            covariate=10.0 * x + 3 * (x % 3),
            valence=1 if x in (0, 3, 5, 6) else -1,
        )
        for t, x in itertools.product(range(5), range(8))
    ]
    gaps = {(i.template, i.lexeme): float(rng.normal((0.6 if i.directions == (1,) else -0.6) + 0.2)) for i in items}
    return items, gaps


def directed(items: Sequence[Item], gaps: Mapping[tuple[str, str], float]) -> np.ndarray:
    return np.array([gaps[i.template, i.lexeme] * (1 if i.directions == (1,) else -1) for i in items])


# the stereotype score


@pytest.mark.parametrize("constant", [0.1, 2.0, -1e-3])
def test_a_constant_preference_has_a_stereotype_score_of_exactly_one_half(constant: float) -> None:
    items, gaps = generic()

    found = estimates(items, scores(items, dict.fromkeys(gaps, constant)))

    assert found["stereotype_score", "all"].value == 0.5
    assert found["stereotype_score_centred", "all"].value == 0.5
    assert found["signed_effect", "all"].value == pytest.approx(0, abs=1e-12)
    assert found["group_gap", "all"].value == pytest.approx(constant)


def test_a_tie_counts_half() -> None:
    items = [item("t0", "a", stereotyped=HE), item("t0", "b", stereotyped=SHE), item("t1", "a", stereotyped=HE)]
    gaps = {("t0", "a"): 1.0, ("t0", "b"): 5e-7, ("t1", "a"): -2.0}

    found = estimates(items, scores(items, gaps))["stereotype_score", "all"]

    assert found.value == pytest.approx((1 + 0.5 + 0) / 3)


def test_items_without_a_direction_are_left_out_of_directed_metrics_only() -> None:
    items = [item("t0", "a", stereotyped=HE), item("t1", "a", stereotyped=HE), item("t0", "b"), item("t1", "b")]
    gaps = {("t0", "a"): 1.0, ("t1", "a"): 3.0, ("t0", "b"): -8.0, ("t1", "b"): -4.0}

    found = estimates(items, scores(items, gaps))

    assert found["stereotype_score", "all"].items == found["signed_effect", "all"].items == 2
    assert found["signed_effect", "all"].value == 2.0
    assert (found["group_gap", "all"].items, found["group_gap", "all"].value) == (4, -2.0)


def test_centring_takes_off_what_a_template_prefers() -> None:
    # the mean gap of the template is -2: only what lies above it speaks for men
    items = [item(t, x, stereotyped=SHE if x == "f" else HE) for t in ("t0", "t1") for x in ("m0", "m1", "m2", "f")]
    gaps = {(i.template, i.lexeme): -5.0 if i.lexeme == "f" else -1.0 for i in items}

    found = estimates(items, scores(items, gaps))

    assert found["stereotype_score", "all"].value == 0.25
    assert found["stereotype_score_centred", "all"].value == 1.0


def test_the_mean_of_a_template_moves_with_the_words_that_are_left_out() -> None:
    items = [item(t, x, stereotyped=HE) for t in ("t0", "t1", "t2") for x in "abcd"]
    rng = np.random.default_rng(7)
    gaps = {(i.template, i.lexeme): float(rng.normal()) for i in items}

    found = estimates(items, scores(items, gaps))["stereotype_score_centred", "all"]

    def naive(kept: Sequence[Item]) -> float:
        by_template: dict[str, list[float]] = {}
        for i in kept:
            by_template.setdefault(i.template, []).append(gaps[i.template, i.lexeme])
        means = {template: np.mean(values) for template, values in by_template.items()}
        return float(np.mean([gaps[i.template, i.lexeme] > means[i.template] for i in kept]))

    without = {("template", t): naive([i for i in items if i.template != t]) for t in ("t0", "t1", "t2")}
    without |= {("lexeme", x): naive([i for i in items if i.lexeme != x]) for x in "abcd"}
    assert found.value == pytest.approx(naive(items))
    assert [e.value for e in found.extremes] == pytest.approx([min(without.values()), max(without.values())])
    for extreme in found.extremes:
        assert without[extreme.factor, extreme.unit] == pytest.approx(extreme.value)


def test_the_neutral_point_of_a_scope_whose_items_all_lean_one_way_does_not_claim_balance() -> None:
    items = [item(t, x, category=x, stereotyped=HE if x == "a" else SHE) for t in ("t0", "t1") for x in "ab"]
    found = estimates(items, scores(items, {(i.template, i.lexeme): 1.0 for i in items}))

    assert found["stereotype_score", "category:a"].value == 1.0  # of a constant preference
    assert "as many items lean each way" in found["stereotype_score", "all"].neutral_why
    assert "as many items lean each way" not in found["stereotype_score", "category:a"].neutral_why


# effects


def test_the_signed_effect_is_the_mean_gap_towards_the_stereotype() -> None:
    items, gaps = generic()
    found = estimates(items, scores(items, gaps))

    towards = directed(items, gaps)
    assert found["signed_effect", "all"].value == pytest.approx(towards.mean())
    first = np.array([i.category == "first" for i in items])
    assert found["signed_effect", "category:first"].value == pytest.approx(towards[first].mean())
    assert found["stereotype_score", "all"].value == pytest.approx((towards > 0).mean())
    assert found["stereotype_score", "category:first"].value == pytest.approx((towards[first] > 0).mean())


def test_the_standardised_effect_is_mean_over_standard_deviation() -> None:
    items, gaps = generic()
    found = estimates(items, scores(items, gaps))["signed_effect_dz", "all"]

    towards = directed(items, gaps)
    assert found.value == pytest.approx(towards.mean() / towards.std(ddof=1))
    without = {i.lexeme: towards[[k.lexeme != i.lexeme for k in items]] for i in items} | {
        i.template: towards[[k.template != i.template for k in items]] for i in items
    }
    values = {unit: kept.mean() / kept.std(ddof=1) for unit, kept in without.items()}
    assert [e.value for e in found.extremes] == pytest.approx([min(values.values()), max(values.values())])


@pytest.mark.parametrize("gap", [0.1, 1 / 3, 7.7])
def test_gaps_that_never_vary_have_no_standardised_effect_and_say_so(gap: float) -> None:
    items = [item(f"t{t}", f"x{x}", stereotyped=HE) for t, x in itertools.product(range(7), range(5))]

    found = estimates(items, scores(items, {(i.template, i.lexeme): gap for i in items}))["signed_effect_dz", "all"]

    assert found.value is None
    assert found.items == 35
    assert found.reason is not None
    assert "no items" not in found.reason


def test_the_group_gap_is_first_minus_second_group_in_every_category_and_word() -> None:
    items, gaps = generic()
    found = estimates(items, scores(items, gaps))

    assert found["group_gap", "all"].value == pytest.approx(np.mean(list(gaps.values())))
    for category in ("first", "second"):
        chosen = [gaps[i.template, i.lexeme] for i in items if i.category == category]
        assert found["group_gap", f"category:{category}"].value == pytest.approx(np.mean(chosen))
    for lexeme in {i.lexeme for i in items}:
        chosen = [gap for (_, word), gap in gaps.items() if word == lexeme]
        estimate = found["group_gap", f"lexeme:{lexeme}"]
        expected = stats.ttest_1samp(chosen, 0)
        assert estimate.value == pytest.approx(np.mean(chosen))
        assert estimate.p_value == pytest.approx(expected.pvalue)
        assert (estimate.low, estimate.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
        assert estimate.units == {"template": 5}


# the correlation


@pytest.mark.parametrize(("group", "sign"), [(HE, 1), (SHE, -1)])
def test_the_correlation_is_over_words_and_towards_the_group_of_the_figure(group: str, sign: int) -> None:
    items, gaps = generic()
    in_set = probe_set(items, covariate_group=group)
    found = estimates(items, scores(items, gaps), in_set=in_set)["covariate_correlation", "all"]

    words = sorted({i.lexeme for i in items})
    figure = {i.lexeme: i.covariate for i in items}
    means = [np.mean([gap for (_, word), gap in gaps.items() if word == lexeme]) for lexeme in words]
    expected = np.corrcoef([figure[word] for word in words], means)[0, 1] * sign
    assert abs(expected) > 0.3
    assert found.value == pytest.approx(expected)


def test_the_correlation_leaves_out_words_without_a_figure() -> None:
    items, gaps = generic()
    some = [i if i.lexeme != "x0" else item(i.template, "x0", stereotyped=HE) for i in items]
    found = estimates(some, scores(some, gaps))["covariate_correlation", "all"]

    words = [f"x{x}" for x in range(1, 8)]
    means = [-np.mean([gap for (_, word), gap in gaps.items() if word == lexeme]) for lexeme in words]
    figure = {i.lexeme: i.covariate for i in some}
    assert (found.items, found.units) == (35, {"template": 5, "lexeme": 7})
    assert found.value == pytest.approx(np.corrcoef([figure[word] for word in words], means)[0, 1])


def test_fewer_than_three_words_have_no_correlation_and_say_so() -> None:
    items = [item(t, x, covariate=float(ord(x))) for t in ("t0", "t1", "t2") for x in "ab"]
    gaps = {(i.template, i.lexeme): float(n) for n, i in enumerate(items)}
    found = estimates(items, scores(items, gaps))["covariate_correlation", "all"]

    assert (found.value, found.low, found.items) == (None, None, 6)
    assert found.reason is not None
    assert "no items" not in found.reason


@pytest.mark.parametrize("gap", [0.1, 1 / 3, 7.7])
def test_a_constant_preference_has_no_correlation(gap: float) -> None:
    items = [item(f"t{t}", f"x{x}", covariate=x**1.5) for t, x in itertools.product(range(7), range(6))][:-4]
    found = estimates(items, scores(items, {(i.template, i.lexeme): gap for i in items}))

    assert found["covariate_correlation", "all"].value is None
    assert found["covariate_correlation", "all"].p_value is None


def test_a_perfect_correlation_has_a_reason_instead_of_an_interval() -> None:
    items = [item(t, f"x{x}", covariate=float(x)) for t in ("t0", "t1", "t2") for x in range(5)]
    gaps = {(i.template, i.lexeme): -i.covariate for i in items if i.covariate is not None}
    found = estimates(items, scores(items, gaps))["covariate_correlation", "all"]

    assert found.value == pytest.approx(1)
    assert found.low is found.high is found.p_value is None
    assert found.reason is not None


# the candidate mass


def test_the_candidate_mass_is_a_mean_without_a_neutral_value() -> None:
    items = [item(t, x) for t in ("t0", "t1") for x in ("a", "b")]
    table = [score(i, "", MASS, mass) for i, mass in zip(items, [0.2, 0.4, 0.9, 0.1], strict=True)]
    found = estimates(items, table)["candidate_mass", "all"]

    assert found.value == pytest.approx(0.4)
    assert (found.neutral, found.p_value, found.detectable) == (None, None, None)
    assert 0 <= found.low <= 0.4 <= found.high <= 1


def test_a_mass_of_each_group_is_reported_by_group() -> None:
    items = [item(t, "a") for t in ("t0", "t1")]
    masses = {("t0", HE): 0.5, ("t1", HE): 0.7, ("t0", SHE): 0.1, ("t1", SHE): 0.2}
    table = [score(i, group, MASS, masses[i.template, group]) for i in items for group in (HE, SHE)]
    found = estimates(items, table)

    assert found["candidate_mass", "all"].value == pytest.approx(1.5 / 4)
    assert found["candidate_mass", f"group:{HE}"].value == pytest.approx(0.6)
    assert found["candidate_mass", f"group:{SHE}"].value == pytest.approx(0.15)


# missing answers


def test_missing_answers_are_counted_left_out_and_bounded_by_their_worst_cases() -> None:
    # eight items: four wins, two losses, and two without an answer
    items = [item(f"t{t}", f"x{x}", stereotyped=HE) for t, x in itertools.product(range(4), range(2))]
    values = [1.0, 2.0, None, -1.0, 3.0, None, -4.0, 1.0]
    gaps = {(i.template, i.lexeme): value for i, value in zip(items, values, strict=True)}
    found = estimates(items, scores(items, gaps))

    share = found["stereotype_score", "all"]
    assert (share.items, share.missing) == (6, 2)
    assert share.value == pytest.approx(4 / 6)
    assert (share.bound_low, share.bound_high) == pytest.approx((4 / 8, 6 / 8))
    effect = found["signed_effect", "all"]
    assert (effect.items, effect.missing, effect.value) == (6, 2, pytest.approx(2 / 6))
    assert (effect.bound_low, effect.bound_high) == (None, None)


def test_without_missing_answers_there_are_no_worst_cases() -> None:
    items, gaps = generic()
    found = estimates(items, scores(items, gaps))["stereotype_score", "all"]

    assert (found.missing, found.bound_low, found.bound_high) == (0, None, None)


def test_an_item_without_any_score_is_missing() -> None:
    items, gaps = generic()
    table = [s for s in scores(items, gaps) if s.item != "t0/x0"]
    found = estimates(items, table)["group_gap", "all"]

    assert (found.items, found.missing) == (39, 1)


def test_a_set_without_any_answer_has_no_values_and_says_why() -> None:
    items, gaps = generic()
    found = estimates(items, scores(items, dict.fromkeys(gaps, None)))

    assert {name for name, scope in found if scope == "all"} == {
        metric.name
        for metric in METRICS
        if "all" in metric.scopes
        and metric.reads in ("gap", "covariate")
        and (metric.of is None or LOGPROB in metric.of)
    }
    for estimate in found.values():
        assert estimate.value is estimate.low is estimate.high is estimate.p_value is None
        assert estimate.items == 0
        assert estimate.missing > 0
        assert estimate.reason == "no item has an answer"


# scopes and families


@pytest.mark.parametrize("metric", ["group_gap", "group_gap_centred"])
def test_words_are_corrected_among_themselves_and_all_else_together_as_scipy_does(metric: str) -> None:
    items, gaps = generic()
    gaps |= {(f"t{t}", "x3"): None for t in range(5)}
    found = list(estimates(items, scores(items, gaps)).values())

    words = [e for e in found if e.metric == metric and e.scope.startswith("lexeme:")]
    assert len(words) == 8
    tested = [e for e in words if e.p_value is not None]
    assert len(tested) == 7
    expected = stats.false_discovery_control([e.p_value for e in tested])
    assert [e.q_value for e in tested] == pytest.approx(expected.tolist())
    assert {e.family for e in tested} == {f"{metric} by word in by-hand"}
    rest = [e for e in found if e.p_value is not None and not e.scope.startswith("lexeme:")]
    expected = stats.false_discovery_control([e.p_value for e in rest])
    assert len(rest) > 8
    assert [e.q_value for e in rest] == pytest.approx(expected.tolist())
    assert {e.family for e in rest} == {REPORT}
    assert {(e.q_value, e.family) for e in found if e.p_value is None} == {(None, None)}


def test_the_centred_gap_of_a_word_is_its_distance_from_the_mean_word_of_each_template() -> None:
    items = [item(t, x) for t in ("t0", "t1") for x in ("a", "b", "c")]
    gaps = {
        ("t0", "a"): 1.0,
        ("t0", "b"): 2.0,
        ("t0", "c"): 6.0,
        ("t1", "a"): -4.0,
        ("t1", "b"): None,
        ("t1", "c"): 0.0,
    }
    found = estimates(items, scores(items, gaps))

    # the template means are 3 and -2, the second of the two words that have an answer
    expected = {"a": (-2.0 + -2.0) / 2, "b": -1.0, "c": (3.0 + 2.0) / 2}
    assert {x: found["group_gap_centred", f"lexeme:{x}"].value for x in "abc"} == pytest.approx(expected)
    assert found["group_gap_centred", "lexeme:b"].missing == 1


def test_a_single_category_or_word_is_not_repeated() -> None:
    items = [item(f"t{t}", "x0", stereotyped=HE) for t in range(3)]
    found = estimates(items, scores(items, {(i.template, "x0"): float(n) for n, i in enumerate(items)}))

    assert {scope for _, scope in found} == {"all"}


def test_a_metric_with_nothing_to_read_is_left_out() -> None:
    items = [item(t, x) for t in ("t0", "t1") for x in ("a", "b")]
    found = estimates(items, scores(items, {(i.template, i.lexeme): 1.0 for i in items}))

    assert {name for name, _ in found} == {"group_gap", "group_gap_centred"}


@pytest.mark.parametrize(
    ("random_factors", "estimand"),
    [
        (("template", "lexeme"), "other templates and words like these"),
        (("template",), "other templates like these; words held fixed"),
        (("lexeme",), "other words like these; templates held fixed"),
    ],
)
def test_the_estimand_names_what_is_random_and_what_is_held_fixed(
    random_factors: tuple[str, ...], estimand: str
) -> None:
    items, gaps = generic()
    in_set = probe_set(items, random_factors=random_factors)
    found = estimates(items, scores(items, gaps), in_set=in_set)["signed_effect", "all"]

    assert found.estimand == estimand
    assert set(found.units) == set(random_factors)


def test_one_item_speaks_of_itself_only() -> None:
    items = [item("t0", "a", stereotyped=HE)]
    found = estimates(items, scores(items, {("t0", "a"): 1.0}))["signed_effect", "all"]

    assert (found.value, found.low, found.estimand) == (1.0, None, "these items only")
    assert found.reason == "a single unit: nothing to estimate a variance from"


# highlights


def test_highlights_are_the_largest_gaps_towards_the_stereotype_with_ties_in_order_of_their_id() -> None:
    items = [
        item("t0", "a", stereotyped=HE),
        item("t0", "b", stereotyped=SHE),
        item("t0", "c", stereotyped=SHE),
        item("t0", "d"),
        item("t1", "a", stereotyped=HE),
        item("t1", "b", stereotyped=SHE),
    ]
    gaps = {
        ("t0", "a"): 2.0,
        ("t0", "b"): -5.0,  # 5 towards the stereotype
        ("t0", "c"): 4.0,  # 4 against it
        ("t0", "d"): 99.0,  # no direction is claimed
        ("t1", "a"): 5.0,
        ("t1", "b"): None,  # no answer
    }
    found = highlights(probe_set(items), items, scores(items, gaps), count=3)

    assert [(h.item, h.gap) for h in found] == [("t0/b", -5.0), ("t1/a", 5.0), ("t0/a", 2.0)]
    assert found[0].logprob == {HE: -8.0, SHE: -3.0}
    assert found[0].text == {HE: "t0: the b said he", SHE: "t0: the b said she"}
    assert found[0].stereotyped == SHE


def test_highlights_of_a_set_without_directions_are_the_largest_gaps_either_way() -> None:
    items = [item("t0", x) for x in "abcd"]
    gaps = {("t0", "a"): 1.0, ("t0", "b"): -3.0, ("t0", "c"): 2.0, ("t0", "d"): None}

    assert [h.item for h in highlights(probe_set(items), items, scores(items, gaps))] == ["t0/b", "t0/c", "t0/a"]


def test_no_more_highlights_than_asked_for_and_none_without_answers() -> None:
    items, gaps = generic()

    assert len(highlights(probe_set(items), items, scores(items, gaps))) == 12
    assert highlights(probe_set(items), items, scores(items, dict.fromkeys(gaps, None))) == []


# the contract of every metric in the table


def read_by(metric: Metric) -> str:
    return LOGPROB if metric.of is None else metric.of[0]


def whole_sample(metric: Metric) -> tuple[list[Item], list[Score]]:
    """A sample of the scores that a metric is for."""
    items, gaps = generic()
    rng = np.random.default_rng(9)
    name = read_by(metric)
    told = [replace(found, name=name) for found in scores(items, gaps)]
    choices = [replace(found, name=CHOICE, value=float(rng.integers(2))) for found in told]
    return items, told + choices + [score(i, "", MASS, float(rng.uniform(0.3, 0.8))) for i in items]


@cache
def _found(of: str, without: str | None, factors: tuple[str, ...]) -> dict[tuple[str, str], Estimate]:
    items, table = whole_sample(next(metric for metric in METRICS if read_by(metric) == of))
    kept = [i for i in items if i.template != without]
    return estimates(kept, [s for s in table if s.template != without], in_set=probe_set(kept, random_factors=factors))


def found_in_sample(
    metric: Metric, *, without: str | None = None, factors: tuple[str, ...] = ("template", "lexeme")
) -> dict[tuple[str, str], Estimate]:
    """The estimates of ``whole_sample``, perhaps without a template; metrics that read the same share them."""
    return _found(read_by(metric), without, factors)


def widest(metric: Metric) -> str:
    """The scope in which a metric reads the most of ``whole_sample``."""
    return "all" if "all" in metric.scopes else f"{metric.scopes[0]}:x1"


def test_metrics_have_names_of_their_own_and_wording_names_no_other() -> None:
    names = [metric.name for metric in METRICS]

    assert len(set(names)) == len(names)
    assert set(wording.METRICS) == {*names, *LABELLED, *benchmarks.METRICS, *utility.METRICS}
    assert not set(names) & set(LABELLED)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
class TestEveryMetric:
    def test_it_declares_what_readers_must_know(self, metric: Metric) -> None:
        assert metric.scale in SCALES
        assert metric.unit in {"share", "nats", "standard deviations", "correlation"}
        assert metric.neutral_why
        assert metric.version >= 1
        assert metric.scopes[0] in {"all", "lexeme"}
        title, meaning = wording.METRICS[metric.name]
        assert title
        assert meaning.endswith(".")

    def test_it_runs_on_a_common_sample_and_gives_a_whole_estimate(self, metric: Metric) -> None:
        found = found_in_sample(metric)[metric.name, widest(metric)]

        assert found.low < found.value < found.high
        assert (found.metric_version, found.scale, found.unit) == (metric.version, metric.scale, metric.unit)
        assert (found.instrument, found.level) == ("by-hand / fill", 0.95)
        told = (40, 0, {"template": 5, "lexeme": 8}) if widest(metric) == "all" else (5, 0, {"template": 5})
        assert (found.items, found.missing, found.units) == told
        assert (found.p_value is None) == (found.detectable is None) == (metric.neutral is None)
        assert [e.value for e in found.extremes] == sorted(e.value for e in found.extremes)
        if metric.bounded or metric.unit == "share":
            assert 0 <= found.low <= found.high <= 1
        assert "NaN" not in to_json(found)
        assert json.loads(to_json(found))["value"] == found.value

    def test_its_extremes_are_those_of_deleting_each_template_and_computing_anew(self, metric: Metric) -> None:
        whole = found_in_sample(metric, factors=("template",))[metric.name, widest(metric)]
        if widest(metric).startswith("lexeme:"):
            assert whole.extremes == ()
            return

        parts = {}
        for template in (f"t{t}" for t in range(5)):
            parts[template] = found_in_sample(metric, without=template)[metric.name, widest(metric)].value

        assert [e.value for e in whole.extremes] == pytest.approx([min(parts.values()), max(parts.values())])
        for extreme in whole.extremes:
            assert parts[extreme.unit] == pytest.approx(extreme.value)

    def test_the_order_of_items_and_scores_changes_nothing(self, metric: Metric) -> None:
        items, table = whole_sample(metric)
        before = found_in_sample(metric)[metric.name, widest(metric)]
        after = estimates(items[::-1], table[::-1])[metric.name, widest(metric)]

        for key in ("value", "low", "high", "p_value", "standard_error", "degrees_of_freedom", "design_effect"):
            expected = getattr(before, key)
            assert getattr(after, key) == (expected and pytest.approx(expected, rel=1e-9, abs=1e-12))

    def test_it_has_no_value_without_answers(self, metric: Metric) -> None:
        items, table = whole_sample(metric)
        silent = [score(i, s.group, s.name, None) for i in items for s in table if s.item == i.id]
        found = estimates(items, silent)[metric.name, widest(metric)]

        assert (found.value, found.missing, found.reason) == (
            None,
            40 if widest(metric) == "all" else 5,
            "no item has an answer",
        )

    @pytest.mark.parametrize("size", [1, 2, 3])
    def test_a_handful_of_items_gives_finite_numbers_or_a_reason(self, metric: Metric, size: int) -> None:
        items, table = whole_sample(metric)
        few = [i for i in items if i.template < f"t{size}" and i.lexeme < f"x{size}"]
        every = estimates(few, [s for s in table if s.item in {i.id for i in few}])
        assert (metric.name, "all") in every or "all" not in metric.scopes
        found = every.get((metric.name, widest(metric)))
        if found is None:  # one word is no part of its set
            assert size <= 2 and "all" not in metric.scopes
            return

        assert (found.value is None or found.low is None) == (found.reason is not None)
        held = [found.value, found.low, found.high, found.p_value, found.detectable, found.standard_error]
        assert all(math.isfinite(x) for x in held if x is not None)


# balance and several comparisons


def test_a_constant_preference_adds_no_variance_between_words_of_either_direction() -> None:
    items, gaps = generic()
    plain = estimates(items, scores(items, gaps))
    shifted = estimates(items, scores(items, {key: gap + 5.0 for key, gap in gaps.items()}))
    before, after = plain["signed_effect", "all"], shifted["signed_effect", "all"]

    assert after.value == pytest.approx(before.value)
    assert after.low == pytest.approx(before.low)
    assert after.high == pytest.approx(before.high)


def test_a_word_that_is_left_out_leaves_its_direction_the_weight_it_had() -> None:
    items = [item("t0", x, stereotyped=HE) for x in "abc"] + [item("t0", x, stereotyped=SHE) for x in "de"]
    gaps = {("t0", "a"): 1.0, ("t0", "b"): 2.0, ("t0", "c"): 6.0, ("t0", "d"): -4.0, ("t0", "e"): 2.0}
    found = estimates(items, scores(items, gaps), in_set=probe_set(items, random_factors=("lexeme",)))
    whole = found["signed_effect", "all"]

    # towards the stereotype: 1, 2, 6 and 4, -2; shares 3/5 and 2/5
    assert whole.value == pytest.approx((1 + 2 + 6 + 4 - 2) / 5)
    without = {
        "a": 0.6 * 4.0 + 0.4 * 1.0,
        "b": 0.6 * 3.5 + 0.4 * 1.0,
        "c": 0.6 * 1.5 + 0.4 * 1.0,
        "d": 0.6 * 3.0 + 0.4 * -2.0,
        "e": 0.6 * 3.0 + 0.4 * 4.0,
    }
    ends = sorted(without.items(), key=lambda entry: entry[1])
    assert [(e.unit, e.value) for e in whole.extremes] == [
        (ends[0][0], pytest.approx(ends[0][1])),
        (ends[-1][0], pytest.approx(ends[-1][1])),
    ]


@pytest.mark.parametrize("words", [6, 10, 14])
def test_items_that_all_agree_have_a_score_of_exactly_one_and_exact_bounds(words: int) -> None:
    # shares such as 3/7 do not add up to 1 in binary
    asked = [(f"x{x}", HE if x % 2 else SHE) for x in range(words)]
    items = [item(f"t{t}", x, stereotyped=group) for t in range(3) for x, group in asked]
    gaps = {(i.template, i.lexeme): 1.0 if i.directions == (1,) else -1.0 for i in items}
    found = estimates(items, scores(items, gaps))["stereotype_score", "all"]

    assert found.value == 1.0
    assert found.high == 1.0
    assert found.low == pytest.approx(0.025 ** (1 / 3))


def test_the_valence_gap_is_the_mean_gap_of_good_words_minus_that_of_bad_ones() -> None:
    items = [item(t, x, valence=v) for t in ("t0", "t1") for x, v in (("a", 1), ("b", 1), ("c", -1), ("d", -1))]
    gaps = {(i.template, i.lexeme): float("abcd".index(i.lexeme) + 10 * (i.template == "t1")) for i in items}
    found = estimates(items, scores(items, gaps))["valence_gap", "all"]

    assert found.value == pytest.approx((0.5 + 5) - (2.5 + 5))
    assert found.comparison == (HE, SHE)


THEY = "neutral"


def test_each_comparison_has_estimates_of_its_own_and_directed_ones_are_taken_together() -> None:
    def asked(template: str, lexeme: str, directions: tuple[int, ...]) -> Item:
        variants = tuple(Variant(group=g, text=f"{template} {lexeme} {g}", span=(0, 1)) for g in (HE, SHE, THEY))
        return Item(
            id=f"{template}/{lexeme}",
            template=template,
            lexeme=lexeme,
            category="all of them",
            directions=directions,
            valence=0,
            covariate=None,
            variants=variants,
        )

    words = {"a": (1, 0, 1), "b": (-1, 0, -1), "c": (1, 0, 0), "d": (-1, 0, 0)}
    items = [asked(t, x, signs) for t in ("t0", "t1", "t2") for x, signs in words.items()]
    pairs = ((HE, SHE), (THEY, HE), (THEY, SHE))
    in_set = replace(probe_set(items), comparisons=tuple(Comparison(first=a, second=b) for a, b in pairs))
    level = {HE: -1.0, SHE: -2.0, THEY: -4.0}
    table = [score(i, g, LOGPROB, level[g]) for i in items for g in level]
    found = evaluate(in_set, items, table, "fill")
    told = {(e.metric, e.comparison): e for e in found if e.scope == "all"}

    assert {pair: told["group_gap", pair].value for pair in pairs} == {
        (HE, SHE): 1.0,
        (THEY, HE): -3.0,
        (THEY, SHE): -2.0,
    }
    assert ("stereotype_score", (THEY, HE)) not in told
    assert told["stereotype_score", (HE, SHE)].items == 12
    assert told["stereotype_score", (THEY, SHE)].items == 6
    assert told["stereotype_score", None].items == 18
    assert told["stereotype_score", None].value == 0.5
    assert not [e for e in found if e.metric == "covariate_correlation"]


def test_a_published_figure_is_related_to_the_first_comparison_only() -> None:
    items, gaps = generic()
    third = [replace(i, variants=(*i.variants, Variant(group=THEY, text="they", span=(0, 1)))) for i in items]
    more = [replace(i, directions=(*i.directions, 0)) for i in third]
    pairs = (Comparison(first=HE, second=SHE), Comparison(first=THEY, second=HE))
    in_set = replace(probe_set(more), comparisons=pairs)
    table = [*scores(items, gaps), *(score(i, THEY, LOGPROB, -1.0) for i in items)]
    found = [e for e in evaluate(in_set, more, table, "fill") if e.metric == "covariate_correlation"]

    assert [e.comparison for e in found] == [(HE, SHE)]
    assert found[0].value == estimates(items, scores(items, gaps))["covariate_correlation", "all"].value
