"""The difference of a metric between two runs: paired numbers against plain loops, scipy and counts by hand."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fairprint.audit.comparisons import Difference
from fairprint.audit.difference import OTHER_TOKENS, corrected, difference, verdict
from fairprint.audit.evaluate import all_parts
from fairprint.audit.paired import NOT_BOTH, by_key, combined, pair_rows, pair_scores
from fairprint.audit.statistics import Sums, Weights
from fairprint.probes.catalog import own_set
from fairprint.probes.items import Item, ProbeSet
from fairprint.probes.scores import LOGPROB, TOKENS, Score
from fairprint.probes.texts import load_texts

OCCUPATIONS = own_set("gendered-occupations")
WORDS = OCCUPATIONS.lexemes[:15] + OCCUPATIONS.lexemes[-15:]
ITEMS = tuple(item for item in OCCUPATIONS.items if item.lexeme in WORDS)
Numbers = dict[tuple[str, str], float | None]


def drawn(items: Sequence[Item], seed: int, towards: float = 0.0) -> Numbers:
    """Log-probabilities with a spread by template, by word and by item; ``towards`` is for the stereotyped group."""
    rng = np.random.default_rng(seed)
    spread: dict[str, float] = {}
    found: Numbers = {}
    for item in items:
        for variant in item.variants:
            sign = {"male": 1, "female": -1}.get(variant.group, 0) * item.directions[0]
            mean = sum(
                spread.setdefault(f"{unit}/{variant.group}", rng.normal()) for unit in (item.template, item.lexeme)
            )
            found[item.id, variant.group] = -8 + mean + rng.normal() + towards * sign / 2
    return found


def scores_of(items: Sequence[Item], numbers: Numbers, name: str = LOGPROB) -> list[Score]:
    return [
        Score(
            item=item.id,
            template=item.template,
            lexeme=item.lexeme,
            category=item.category,
            group=variant.group,
            name=name,
            value=numbers.get((item.id, variant.group)),
            note="" if numbers.get((item.id, variant.group)) is not None else "lost",
        )
        for item in items
        for variant in item.variants
    ]


def compared(
    a: Sequence[Score], b: Sequence[Score], probe_set: ProbeSet = OCCUPATIONS, items: Sequence[Item] = ITEMS
) -> dict[tuple[str, str, Any], Difference]:
    """All differences of two runs' scores, by metric, scope and comparison."""
    paired = pair_scores(a, b)
    ours, theirs = (by_key(list(all_parts(probe_set, items, side, "fill"))) for side in (paired.a, paired.b))
    found = {}
    for key, part in ours.items():
        if not part.scope.startswith("lexeme:"):
            each = difference(probe_set, "fill", part, theirs[key], same_tokens=True, seed=0)
            found[each.metric, each.scope, each.comparison] = each
    return found


A, B = drawn(ITEMS, 1), drawn(ITEMS, 2, towards=0.8)
FOUND = compared(scores_of(ITEMS, A), scores_of(ITEMS, B))
PAIR = ("male", "female")


def gap(numbers: Numbers, item: Item) -> float:
    first, second = numbers[item.id, "male"], numbers[item.id, "female"]
    assert first is not None and second is not None
    return first - second


def wins(numbers: Numbers, items: Sequence[Item]) -> float:
    """Share of directed items in which the stereotyped group is preferred, each direction with its own weight."""
    directed = [item for item in items if item.directions[0]]
    sizes = {side: sum(i.directions[0] == side for i in ITEMS) for side in (1, -1)}
    share = {
        side: np.mean([gap(numbers, i) * side > 0 for i in directed if i.directions[0] == side]) for side in (1, -1)
    }
    return float(sum(sizes[side] * share[side] for side in sizes) / sum(sizes.values()))


def signed(numbers: Numbers, items: Sequence[Item]) -> float:
    sizes = {side: sum(i.directions[0] == side for i in ITEMS) for side in (1, -1)}
    mean = {side: np.mean([gap(numbers, i) * side for i in items if i.directions[0] == side]) for side in (1, -1)}
    return float(sum(sizes[side] * mean[side] for side in sizes) / sum(sizes.values()))


def centred(numbers: Numbers, items: Sequence[Item]) -> float:
    """The stereotype score after each template's mean gap is taken off."""
    directed = [item for item in items if item.directions[0]]
    means = {t: np.mean([gap(numbers, i) for i in directed if i.template == t]) for t in {i.template for i in directed}}
    return float(np.mean([(gap(numbers, i) - means[i.template]) * i.directions[0] > 0 for i in directed]))


def correlation(numbers: Numbers, items: Sequence[Item]) -> float:
    """Of words: between their share of women and their mean gap towards women."""
    known = [item for item in items if item.covariate is not None]
    words = list(dict.fromkeys(item.lexeme for item in known))
    gaps = [-np.mean([gap(numbers, i) for i in known if i.lexeme == word]) for word in words]
    shares = [next(i.covariate for i in known if i.lexeme == word) for word in words]
    return float(stats.pearsonr(shares, gaps)[0])


def dz(numbers: Numbers, items: Sequence[Item]) -> float:
    gaps = [gap(numbers, i) * i.directions[0] for i in items if i.directions[0]]
    return float(np.mean(gaps) / np.std(gaps, ddof=1))


METRICS: dict[str, Callable[[Numbers, Sequence[Item]], float]] = {
    "stereotype_score": wins,
    "stereotype_score_centred": centred,
    "signed_effect": signed,
    "signed_effect_dz": dz,
    "covariate_correlation": correlation,
    "group_gap": lambda numbers, items: float(np.mean([gap(numbers, item) for item in items])),
}


def by_loops(of: Callable[[Numbers, Sequence[Item]], float], sign: int = -1) -> tuple[float, float, float]:
    """The value of B + sign * A, its two-way standard error and its degrees of freedom, leaving units out in loops.

    Only items that the metric reads count as units of the cells and lexemes.
    """
    directed = of in (wins, centred, signed, dz)
    items = [i for i in ITEMS if i.directions[0]] if directed else list(ITEMS)

    def value(left: Sequence[Item]) -> float:
        return of(B, left) + sign * of(A, left)

    def error(units: Sequence[Any], unit: Callable[[Item], Any]) -> float:
        left = np.array([value([i for i in items if unit(i) != u]) for u in units])
        return float((len(units) - 1) / len(units) * ((left - left.mean()) ** 2).sum())

    templates, words = (list(dict.fromkeys(getattr(i, key) for i in items)) for key in ("template", "lexeme"))
    v_t, v_l = error(templates, lambda i: i.template), error(words, lambda i: i.lexeme)
    v_tl = error([(i.template, i.lexeme) for i in items], lambda i: (i.template, i.lexeme))
    v = max(v_t + v_l - v_tl, v_t, v_l)
    df = v**2 / (v_t**2 / (len(templates) - 1) + v_l**2 / (len(words) - 1))
    return value(items), math.sqrt(v), df


# numbers


@pytest.mark.parametrize("metric", METRICS)
def test_a_difference_and_its_interval_are_those_of_plain_loops(metric: str) -> None:
    found = FOUND[metric, "all", PAIR]
    value, error, df = by_loops(METRICS[metric])
    reach = float(stats.t.ppf(0.975, df)) * error

    assert found.a == pytest.approx(METRICS[metric](A, ITEMS), abs=1e-9)
    assert found.b == pytest.approx(METRICS[metric](B, ITEMS), abs=1e-9)
    assert found.value == pytest.approx(value, abs=1e-9)
    assert (found.standard_error, found.degrees_of_freedom) == pytest.approx((error, df), rel=1e-7)
    limit = 1.0 if metric.startswith("stereotype") else math.inf
    assert (found.low, found.high) == pytest.approx((max(value - reach, -limit), min(value + reach, limit)), abs=1e-9)
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(value) / error, df))


@pytest.mark.parametrize("metric", ["signed_effect", "stereotype_score", "group_gap"])
def test_away_from_neutral_is_told_by_the_difference_and_the_sum_together(metric: str) -> None:
    found = FOUND[metric, "all", PAIR]
    neutral = 0.5 if metric == "stereotype_score" else 0.0
    (u, s_u, df_u), (v, s_v, df_v) = by_loops(METRICS[metric]), by_loops(METRICS[metric], sign=1)
    v -= 2 * neutral

    def above(sign: int) -> tuple[float, float]:
        return float(stats.t.sf(sign * u / s_u, df_u)), float(stats.t.sf(sign * v / s_v, df_v))

    assert found.p_away == pytest.approx(min(max(above(1)), max(above(-1))))
    crossed = [(above(-1)[0], above(1)[1]), (above(1)[0], above(-1)[1])]
    assert found.p_towards == pytest.approx(min(map(max, crossed)))


def test_where_each_item_is_its_own_unit_the_test_is_that_of_paired_differences(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("\n".join("x" * 10 + f" {n:02}" for n in range(25)))
    texts = load_texts(path)
    rng = np.random.default_rng(5)
    a = rng.normal(-30, 3, 25)
    b = a + rng.normal(-1, 2, 25)
    runs = [
        scores_of(texts.items, {(i.id, "text"): float(x) for i, x in zip(texts.items, n, strict=True)}) for n in (a, b)
    ]
    # all texts have 13 characters, so that the quotient is a plain mean over 13
    found = compared(*runs, texts, texts.items)["mean_logprob_per_character", "all", None]
    test = stats.ttest_rel(b, a)
    low, high = test.confidence_interval(0.95)

    assert found.value == pytest.approx((b - a).mean() / 13)
    assert found.p_value == pytest.approx(test.pvalue)
    assert (found.low, found.high) == pytest.approx((low / 13, high / 13))
    unpaired = stats.ttest_ind(b, a).pvalue
    assert found.p_value is not None and found.p_value < unpaired / 3


def test_the_same_answers_twice_differ_by_exactly_nothing() -> None:
    found = compared(scores_of(ITEMS, A), scores_of(ITEMS, A))

    assert len(found) > 10
    for each in found.values():
        assert (each.value, each.p_value, each.low, each.high) == (0.0, 1.0, None, None)
        assert each.identical and each.reason == "identical answers" and each.a == each.b
        assert verdict(each, 1.0) == "identical answers"


def test_standard_errors_by_factor_stand_beside_the_two_way_one() -> None:
    found = FOUND["group_gap", "all", PAIR]
    apart = np.array([gap(B, i) - gap(A, i) for i in ITEMS])

    assert set(found.standard_errors) == {"item", "template", "lexeme", "two-way"}
    assert found.standard_errors["item"] == pytest.approx(apart.std(ddof=1) / math.sqrt(len(ITEMS)))
    assert found.standard_errors["two-way"] == found.standard_error
    assert found.units == {"template": 12, "lexeme": 30}


def test_the_smallest_detectable_difference_is_that_of_eighty_per_cent_power() -> None:
    found = FOUND["signed_effect", "all", PAIR]
    assert found.standard_error is not None and found.degrees_of_freedom is not None
    quantiles = stats.t.ppf([0.975, 0.8], found.degrees_of_freedom)

    assert found.detectable == pytest.approx(float(quantiles.sum()) * found.standard_error)


# the check by signs


def test_signs_of_whole_templates_are_turned_in_every_way() -> None:
    by_template = replace(OCCUPATIONS, random_factors=("template",))
    found = compared(scores_of(ITEMS, A), scores_of(ITEMS, B), by_template)["group_gap", "all", PAIR].sign_flips
    sums = [sum(gap(B, i) - gap(A, i) for i in ITEMS if i.template == t) for t in OCCUPATIONS.templates]
    reached = sum(
        abs(sum(s * x for s, x in zip(signs, sums, strict=True))) >= abs(sum(sums)) - 1e-9
        for signs in itertools.product((1, -1), repeat=12)
    )

    assert found is not None and found.p_value == pytest.approx(reached / 2**12)
    assert (found.factor, found.units, found.ways, found.exact) == ("template", 12, 2**12, True)
    both = FOUND["group_gap", "all", PAIR].sign_flips
    assert both is not None and both.p_value is not None and both.p_value >= reached / 2**12


def test_few_clusters_are_said_to_allow_no_small_p_value() -> None:
    few = [i for i in ITEMS if i.template in OCCUPATIONS.templates[:5]]
    found = compared(scores_of(few, A), scores_of(few, B), items=few)["group_gap", "all", PAIR].sign_flips

    assert found is not None and (found.factor, found.units, found.smallest) == ("template", 5, 2**-4)
    assert found.reason == "5 units allow no p-value below 0.062, too large for a correction"


def test_what_is_no_plain_mean_has_no_such_check() -> None:
    for metric in ("stereotype_score_centred", "signed_effect_dz", "covariate_correlation"):
        assert FOUND[metric, "all", PAIR].sign_flips is None


# missing answers


def test_an_answer_that_one_run_lacks_is_missing_in_both() -> None:
    first, second, third = ITEMS[0], ITEMS[1], ITEMS[2]
    a = {**A, (first.id, "male"): None, (third.id, "male"): None}
    b = {**B, (second.id, "female"): None, (third.id, "male"): None}
    paired = pair_scores(scores_of(ITEMS, a), scores_of(ITEMS, b))
    known = [{(s.item, s.group): s for s in side} for side in (paired.a, paired.b)]

    assert [side[first.id, "male"].value for side in known] == [None, None]
    assert known[1][first.id, "male"].note == NOT_BOTH and known[0][first.id, "male"].note == "lost"
    assert [side[second.id, "female"].value for side in known] == [None, None]
    assert (paired.lost_a, paired.lost_b) == ({first.id}, {second.id})

    found = compared(scores_of(ITEMS, a), scores_of(ITEMS, b))["group_gap", "all", PAIR]
    kept = [i for i in ITEMS if i not in (first, second, third)]
    assert (found.items, found.missing) == (len(kept), 3)
    assert found.a == pytest.approx(np.mean([gap(A, i) for i in kept]))
    assert found.b == pytest.approx(np.mean([gap(B, i) for i in kept]))


def test_a_row_that_one_run_has_not_at_all_is_missing_too_and_a_name_of_one_run_stays() -> None:
    a = [*scores_of(ITEMS[:2], A), *scores_of(ITEMS[:2], A, name="probability:x")]
    b = scores_of(ITEMS[:1], B)
    paired = pair_scores(a, b)

    assert [s.value is None for s in paired.a] == [False] * 3 + [True] * 3 + [False] * 6
    assert paired.lost_b == {ITEMS[1].id}


def test_no_item_in_common_leaves_nothing_to_compare() -> None:
    a = {(i.id, v.group): A[i.id, v.group] if n % 2 else None for n, i in enumerate(ITEMS) for v in i.variants}
    b = {(i.id, v.group): None if n % 2 else B[i.id, v.group] for n, i in enumerate(ITEMS) for v in i.variants}
    found = compared(scores_of(ITEMS, a), scores_of(ITEMS, b))["group_gap", "all", PAIR]

    assert (found.value, found.items, found.reason) == (None, 0, "no item has an answer in both runs")
    assert found.missing == len(ITEMS) and verdict(found, None) == "not available"


def test_rows_of_a_part_that_depends_on_the_answers_are_those_of_both_runs() -> None:
    part = next(p for p in all_parts(OCCUPATIONS, ITEMS, scores_of(ITEMS, A), "fill") if p.metric.name == "group_gap")
    rows = pair_rows(part.rows[:10], part.rows[2:12])

    assert (rows.a, rows.b, rows.apart, rows.missing) == (part.rows[2:10], part.rows[2:10], 4, 0)
    assert rows.identical


# tokens


@pytest.mark.parametrize(("same", "told"), [(True, None), (False, OTHER_TOKENS), (None, None)])
def test_figures_a_token_compare_only_where_a_token_is_the_same(
    same: bool | None, told: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "x.txt"
    path.write_text("One two.\nThree four.\nFive six seven.\n")
    texts = load_texts(path)
    sides = []
    for logprobs, tokens in (((-5.0, -6.0, -9.0), (2.0, 2.0, 3.0)), ((-5.5, -6.1, -8.0), (2.0, 2.0, 3.0))):
        numbers = [{(i.id, "text"): x for i, x in zip(texts.items, side, strict=True)} for side in (logprobs, tokens)]
        sides.append([*scores_of(texts.items, numbers[0]), *scores_of(texts.items, numbers[1], name=TOKENS)])
    parts = [by_key(list(all_parts(texts, texts.items, side, "sentence"))) for side in sides]
    found = {
        key[0]: difference(texts, "sentence", part, parts[1][key], same_tokens=same, seed=0)
        for key, part in parts[0].items()
    }

    per_token, per_character = found["mean_logprob_per_token"], found["mean_logprob_per_character"]
    assert per_token.reason == told
    assert per_token.value == (None if same is False else pytest.approx((-19.6 + 20) / 7))
    assert bool(per_token.warnings) is (same is None)
    assert (found["perplexity"].value is None) is (same is False)
    assert per_character.value == pytest.approx((-19.6 + 20) / 34) and not per_character.warnings


# forms


def test_forms_of_two_kinds_or_with_other_cells_are_not_combined() -> None:
    sums = Sums(columns=np.ones((4, 2)), combine=lambda s: s[:, 0, 0], cells=np.array([0, 0, 1, 1]))
    other = Sums(columns=np.ones((4, 2)), combine=lambda s: s[:, 0, 0], cells=np.array([0, 1, 1, 1]))
    with pytest.raises(ValueError, match="cells"):
        combined(sums, other, lambda x, y: y - x)
    with pytest.raises(ValueError, match="weights"):
        combined(sums, Weights(estimator=lambda w: w.sum(axis=1)), lambda x, y: y - x)


# corrections and verdicts


def made(**changes: Any) -> Difference:
    return FOUND["group_gap", "all", PAIR].model_copy(update=changes)


@pytest.mark.parametrize(
    ("changes", "q", "expected"),
    [
        ({"p_away": 0.01, "p_towards": 0.9}, 0.04, "moved away from neutral"),
        ({"p_away": 0.9, "p_towards": 0.049}, 0.04, "moved towards neutral"),
        ({"p_away": 0.2, "p_towards": 0.6}, 0.04, "differs"),
        ({"p_away": 0.01, "p_towards": 0.9}, 0.05, "not shown"),
        ({"p_away": None, "p_towards": None, "neutral": None, "better": "higher", "value": 0.2}, 0.01, "better"),
        ({"p_away": None, "p_towards": None, "neutral": None, "better": "higher", "value": -0.2}, 0.01, "worse"),
        ({"p_away": None, "p_towards": None, "neutral": None, "better": "lower", "value": -0.2}, 0.01, "better"),
        ({"p_away": None, "p_towards": None, "neutral": None, "better": None}, 0.01, "differs"),
        ({"p_away": None, "p_towards": None, "neutral": None, "better": None, "p_value": 0.01}, None, "differs"),
        ({"p_value": None}, None, "not shown"),
        ({"value": None}, None, "not available"),
        ({"value": 0.0, "identical": True}, 1.0, "identical answers"),
    ],
)
def test_what_is_said_of_a_difference(changes: dict[str, Any], q: float | None, expected: str) -> None:
    assert verdict(made(**changes), q) == expected


@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=20))
def test_all_tests_of_a_comparison_are_corrected_together(p_values: list[float]) -> None:
    found = [made(p_value=p, scope=f"category:{n}") for n, p in enumerate(p_values)]
    told, family = corrected(found)
    ordered = sorted(p_values)
    holm = {p: max(min(1, (len(ordered) - k) * ordered[k]) for k in range(ordered.index(p) + 1)) for p in ordered}

    assert family == len(p_values)
    assert [d.q_value for d in told] == pytest.approx(list(stats.false_discovery_control(p_values)))
    if len(set(p_values)) == len(p_values):
        assert [d.holm for d in told] == pytest.approx([holm[p] for p in p_values])


def test_what_has_neither_a_neutral_value_nor_a_better_end_and_what_repeats_another_is_not_tested() -> None:
    plain = {"comparison": None, "instrument": "texts / sentence", "neutral": None, "p_away": None, "p_towards": None}
    found = [
        made(p_value=0.04),
        made(p_value=0.001, metric="candidate_mass", neutral=None, better=None),
        made(**plain, metric="mean_logprob_per_token", better="higher", value=-0.3, p_value=0.01),
        made(**plain, metric="perplexity", better="lower", value=4.0, p_value=0.2),
        made(**plain, metric="mean_logprob_per_character", better="higher", value=-0.1, p_value=0.2),
    ]
    told, family = corrected(found)

    assert family == 2
    assert [d.q_value for d in told] == [pytest.approx(0.04), None, pytest.approx(0.02), None, None]
    assert [d.verdict for d in told[2:]] == ["worse"] * 3
    alone, family = corrected(
        [found[4].model_copy(update={"p_value": 0.01}), made(**plain, metric="perplexity", value=None)]
    )
    assert family == 1 and alone[0].verdict == "worse" and alone[0].q_value == 0.01
