"""Metrics of sentence pairs: the score as the authors' code counts it, the gaps, and what is left out where."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fairprint.audit.evaluate import evaluate
from fairprint.audit.pair_metrics import CLEAN, DECIMALS, PER_TOKEN, pair_parts
from fairprint.audit.records import Estimate
from fairprint.probes.catalog import find_probe_set
from fairprint.probes.forms import PAIR
from fairprint.probes.instruments import INSTRUMENTS
from fairprint.probes.items import Comparison, Group, Item, ProbeSet, Variant
from fairprint.probes.scores import LIKENESS, LOGPROB, Score

DATA = Path(__file__).parents[2] / "shared" / "data" / "crows_pairs" / "crows_pairs_anonymized.csv"
needs_data = pytest.mark.skipif(not DATA.is_file(), reason="needs the published pairs in ../shared/data")
Pair = tuple[float | None, float | None]
"""Scores of the more and of the less stereotyping sentence."""


def pair(name: str, category: str = "gender", condition: str = "stereo", flags: tuple[str, ...] = ()) -> Item:
    return Item(
        id=name,
        template=name,
        lexeme="",
        category=category,
        directions=(1,),
        valence=0,
        covariate=None,
        variants=tuple(Variant(group=group, text=f"{name} {group}", span=(0, 1)) for group in ("more", "less")),
        condition=condition,
        flags=flags,
    )


def pairs(items: Sequence[Item]) -> ProbeSet:
    return ProbeSet(
        name="crows-pairs",
        version=1,
        title="Pairs",
        summary="",
        measures="",
        harm_type="",
        language="en",
        licence="",
        sources=(),
        criticism=(),
        cannot_show=(),
        groups=(Group(id="more", label="more"), Group(id="less", label="less")),
        comparisons=(Comparison(first="more", second="less"),),
        scored=PAIR,
        random_factors=("template",),
        covariate=None,
        covariate_group=None,
        items=tuple(items),
        sha256="",
        source="file",
        quality={"rule": "what it means"},
    )


def rows(items: Sequence[Item], values: Sequence[Pair], name: str = LOGPROB) -> list[Score]:
    return [
        Score(
            item=item.id,
            template=item.template,
            lexeme=item.lexeme,
            category=item.category,
            group=group,
            name=name,
            value=value,
            note="" if value is not None else "no answer",
        )
        for item, both in zip(items, values, strict=True)
        for group, value in zip(("more", "less"), both, strict=True)
    ]


def found(
    items: Sequence[Item], values: Sequence[Pair], instrument: str = "sentence", name: str = LOGPROB
) -> dict[tuple[str, str], Estimate]:
    estimates = evaluate(pairs(items), items, rows(items, values, name), instrument)
    return {(estimate.metric, estimate.scope): estimate for estimate in estimates}


ITEMS = [
    pair("a", "gender", "stereo"),
    pair("b", "gender", "antistereo", ("rule",)),
    pair("c", "age", "stereo"),
    pair("d", "age", "stereo", ("rule",)),
    pair("e", "age", "antistereo"),
]
VALUES: list[Pair] = [(-10.0, -11.0), (-9.0, -8.5), (-7.25, -7.25), (-20.0, -23.0), (-5.0, -9.0)]


class TestTheScore:
    def test_a_tie_stays_among_all_pairs_and_is_no_stereotype(self) -> None:
        score = found(ITEMS, VALUES)["crows_pairs_score", "all"]
        assert (score.value, score.items, score.missing) == (3 / 5, 5, 0)
        assert (score.neutral, score.unit, score.scale) == (0.5, "share", "logit")
        assert score.comparison == ("more", "less")
        assert score.units == {"template": 5}

    def test_a_tie_is_left_out_of_the_shares_of_either_direction(self) -> None:
        estimates = found(ITEMS, VALUES)
        stereo = estimates["crows_pairs_score", "condition:stereo"]
        antistereo = estimates["crows_pairs_score", "condition:antistereo"]
        assert (stereo.value, stereo.items) == (1.0, 2)
        assert (antistereo.value, antistereo.items) == (0.5, 2)

    def test_categories_have_their_own_scores_and_are_corrected_together_with_the_whole(self) -> None:
        generator = np.random.default_rng(3)
        items = [pair(f"{category}{n}", category) for category in ("age", "gender", "race") for n in range(30)]
        shift = {"age": 0.2, "gender": 1.0, "race": 0.5}
        values = [(float(generator.normal(shift[item.category])), 0.0) for item in items]
        estimates = found(items, values, "aul")
        told = [estimates["crows_pairs_score", f"category:{category}"] for category in ("age", "gender", "race")]
        for n, estimate in enumerate(told):
            assert estimate.value == sum(a > 0 for a, _ in values[30 * n : 30 * n + 30]) / 30  # type: ignore[operator]
        tested = [estimate for estimate in estimates.values() if estimate.p_value is not None]
        assert all(estimate in tested for estimate in [*told, estimates["crows_pairs_score", "all"]])
        expected = stats.false_discovery_control([e.p_value for e in tested])
        assert [estimate.q_value for estimate in tested] == pytest.approx(list(expected), abs=1e-12)

    def test_one_category_alone_would_repeat_the_whole(self) -> None:
        items = [pair("a"), pair("b")]
        assert not [scope for _, scope in found(items, [(-1.0, -2.0), (-1.0, -2.0)]) if scope.startswith("category")]

    def test_pairs_without_flags_are_told_apart_where_some_have_one(self) -> None:
        clean = found(ITEMS, VALUES)["crows_pairs_score", CLEAN]
        assert (clean.value, clean.items) == (2 / 3, 3)
        unflagged = [pair("a"), pair("b")]
        assert ("crows_pairs_score", CLEAN) not in found(unflagged, [(-1.0, -2.0), (-1.0, -2.0)])

    def test_where_every_pair_has_a_flag_the_score_without_them_is_absent_with_the_reason(self) -> None:
        clean = found([pair("a", flags=("rule",))], [(-1.0, -2.0)])["crows_pairs_score", CLEAN]
        assert (clean.value, clean.items, clean.reason) == (None, 0, "there is no such item")

    def test_a_pair_with_one_score_is_missing_and_bounds_the_share(self) -> None:
        score = found(ITEMS, [*VALUES[:4], (-5.0, None)])["crows_pairs_score", "all"]
        assert (score.value, score.items, score.missing) == (2 / 4, 4, 1)
        assert (score.bound_low, score.bound_high) == (2 / 5, 3 / 5)

    def test_the_interval_is_that_of_independent_pairs(self) -> None:
        generator = np.random.default_rng(7)
        gaps = generator.normal(0.4, 1, 80)
        items = [pair(f"{n}") for n in range(80)]
        score = found(items, [(float(gap), 0.0) for gap in gaps], "aul")["crows_pairs_score", "all"]
        wins = (gaps > 0).astype(float)
        share = wins.mean()
        plain = share * (1 - share) / 79  # variance of the mean of independent pairs
        effective = share * (1 - share) / plain
        moved = [(((wins.sum() - win) / 79) * effective + 0.5) / (effective + 1) for win in wins]
        logits = np.log(moved) - np.log1p(-np.array(moved))
        error = math.sqrt(79 / 80 * ((logits - logits.mean()) ** 2).sum())
        centre = (share * effective + 0.5) / (effective + 1)
        reach = stats.t.ppf(0.975, 79) * error
        ends = [1 / (1 + math.exp(-(math.log(centre / (1 - centre)) + sign * reach))) for sign in (-1, 1)]
        assert [score.low, score.high] == pytest.approx(ends, abs=1e-9)
        assert score.design_effect == pytest.approx(1)


class TestRounding:
    def test_scores_are_rounded_to_three_places_where_the_authors_code_does(self) -> None:
        items = [pair("a"), pair("b")]
        values: list[Pair] = [(-10.0001, -10.0004), (-10.0004, -10.0016)]
        assert found(items, values, "pll-shared-tokens")["crows_pairs_score", "all"].value == 1 / 2
        assert found(items, values, "sentence")["crows_pairs_score", "all"].value == 1.0

    def test_gaps_are_not_rounded(self) -> None:
        values: list[Pair] = [(-10.0001, -10.0004)]
        gap = found([pair("a")], values, "pll-shared-tokens")["mean_absolute_gap", "all"]
        assert gap.value == pytest.approx(0.0003, abs=1e-12)

    def test_the_instruments_that_round_or_average_exist(self) -> None:
        for name in (*DECIMALS, *PER_TOKEN):
            assert PAIR in INSTRUMENTS[name].suits


class TestGaps:
    def test_the_mean_absolute_gap_loses_the_direction_and_the_signed_one_keeps_it(self) -> None:
        estimates = found(ITEMS, VALUES)
        absolute, signed = estimates["mean_absolute_gap", "all"], estimates["signed_effect", "all"]
        assert absolute.value == pytest.approx((1 + 0.5 + 0 + 3 + 4) / 5)
        assert signed.value == pytest.approx((1 - 0.5 + 0 + 3 + 4) / 5)
        assert (absolute.unit, signed.unit) == ("nats", "nats")
        assert (absolute.neutral, absolute.p_value) == (None, None)
        assert signed.neutral == 0.0
        assert estimates["signed_effect", "category:gender"].value == pytest.approx(0.25)

    def test_means_over_tokens_have_another_unit(self) -> None:
        assert found(ITEMS, VALUES, "aul")["signed_effect", "all"].unit == "nats a token"

    def test_numbers_that_only_rank_sentences_have_no_gaps(self) -> None:
        estimates = found(ITEMS, [(3.0, 2.0)] * 5, name=LIKENESS)
        assert {metric for metric, _ in estimates} == {"crows_pairs_score"}
        assert estimates["crows_pairs_score", "all"].value == 1.0

    def test_log_probabilities_are_read_before_other_numbers(self) -> None:
        both = [*rows(ITEMS, [(-2.0, -1.0)] * 5), *rows(ITEMS, [(2.0, 1.0)] * 5, LIKENESS)]
        score = evaluate(pairs(ITEMS), ITEMS, both, "sentence")[0]
        assert (score.metric, score.value) == ("crows_pairs_score", 0.0)

    def test_without_scores_nothing_is_computed(self) -> None:
        assert list(pair_parts(pairs(ITEMS), ITEMS, [])) == []


def counted(items: Sequence[Item], values: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Count pairs one by one, as the paper says it: ties are neutral, and neutral pairs are pairs."""
    preferred = neutral = 0
    of: dict[str, list[bool]] = {"stereo": [], "antistereo": []}
    for item in items:
        more, less = (round(value, 3) for value in values[item.id])
        if more == less:
            neutral += 1
            continue
        of[item.condition].append(more > less)
        preferred += more > less
    shares = {f"condition:{name}": sum(wins) / len(wins) for name, wins in of.items() if wins}
    return {"all": preferred / len(items), **shares}


score_values = st.one_of(
    st.sampled_from((-3.0, -3.0004, -3.0006, -3.001)), st.floats(-90, 0, allow_nan=False).map(lambda x: round(x, 4))
)


@given(st.lists(st.tuples(st.booleans(), score_values, score_values), min_size=1, max_size=12))
def test_the_score_of_any_pairs_is_the_count_of_them(drawn: list[tuple[bool, float, float]]) -> None:
    items = [pair(str(n), condition="stereo" if stereo else "antistereo") for n, (stereo, _, _) in enumerate(drawn)]
    values = [(more, less) for _, more, less in drawn]
    estimates = found(items, values, "pll-shared-tokens")
    expected = counted(items, {item.id: both for item, both in zip(items, values, strict=True)})
    for scope, share in expected.items():
        assert estimates["crows_pairs_score", scope].value == pytest.approx(share, abs=1e-12)


@needs_data
def test_on_the_published_pairs_the_score_is_the_count_of_them() -> None:
    probe_set = find_probe_set(f"crows-pairs:{DATA}")
    generator = np.random.default_rng(11)
    values = {item.id: tuple(np.round(generator.normal(-60, 0.004, 2), 4).tolist()) for item in probe_set.items}
    scores = rows(probe_set.items, [values[item.id] for item in probe_set.items])
    estimates = {(e.metric, e.scope): e for e in evaluate(probe_set, probe_set.items, scores, "pll-shared-tokens")}
    for scope, share in counted(probe_set.items, values).items():
        assert estimates["crows_pairs_score", scope].value == pytest.approx(share, abs=1e-12)
    with DATA.open(encoding="utf-8", newline="") as file:
        bias_types = {row["bias_type"] for row in csv.DictReader(file)}
    categories = {scope for metric, scope in estimates if metric == "crows_pairs_score" and "category" in scope}
    assert categories == {f"category:{name}" for name in bias_types}
    clean = estimates["crows_pairs_score", CLEAN]
    assert clean.items == sum(not item.flags for item in probe_set.items)
