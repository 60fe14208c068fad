"""Several instruments on one set: on what they agree, how far their gaps run together, and where each is told."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fairprint.audit.agreement import BETWEEN, agreement
from fairprint.audit.records import Estimate
from fairprint.audit.runner import audit
from fairprint.probes.forms import PAIR, QUESTION
from fairprint.probes.items import Comparison, Group, Item, ProbeSet, Variant
from fairprint.probes.scores import LIKENESS, LOGPROB, PICKED, Score

Numbers = Sequence[float | None]
"""Of one item, a number for each group."""


def item(name: str, groups: Sequence[str]) -> Item:
    return Item(
        id=name,
        template=name,
        lexeme="",
        category="c",
        directions=(1,),
        valence=0,
        covariate=None,
        variants=tuple(Variant(group=group, text=f"{name} {group}", span=(0, 1)) for group in groups),
    )


def asked(items: Sequence[Item], groups: Sequence[str], scored: str = PAIR) -> ProbeSet:
    return ProbeSet(
        name="set",
        version=1,
        title="Set",
        summary="",
        measures="",
        harm_type="",
        language="en",
        licence="",
        sources=(),
        criticism=(),
        cannot_show=(),
        groups=tuple(Group(id=group, label=group) for group in groups),
        comparisons=(Comparison(first=groups[0], second=groups[1]),),
        scored=scored,
        random_factors=("template",),
        covariate=None,
        covariate_group=None,
        items=tuple(items),
        sha256="",
        source="file",
    )


def rows(items: Sequence[Item], numbers: Sequence[Numbers], name: str) -> list[Score]:
    return [
        Score(
            item=one.id,
            template=one.template,
            lexeme="",
            category="c",
            group=variant.group,
            name=name,
            value=value,
        )
        for one, values in zip(items, numbers, strict=True)
        for variant, value in zip(one.variants, values, strict=True)
    ]


def of_pairs(
    *instruments: Sequence[Numbers], names: Sequence[str] | None = None, groups: Sequence[str] = ("more", "less")
) -> dict[str, Estimate]:
    """Return the estimates of instruments called a, b, c ... by metric and pair, such as ``agreement a ~ b``."""
    items = [item(str(n), groups) for n in range(len(instruments[0]))]
    given = {
        chr(ord("a") + n): rows(items, numbers, names[n] if names else LOGPROB) for n, numbers in enumerate(instruments)
    }
    estimates = agreement(asked(items, groups), items, given)
    return {f"{e.metric.removeprefix('instrument_')} {e.instrument.removeprefix('set / ')}": e for e in estimates}


FIRST: list[Numbers] = [(-1, -2), (-2, -1), (-3, -3), (-1, -4), (-2, -3)]
SECOND: list[Numbers] = [(-5, -6), (-5, -6), (-7, -8), (-9, -9), (-1, -2)]


class TestAgreement:
    def test_it_is_the_share_of_items_in_which_both_prefer_the_same(self) -> None:
        found = of_pairs(FIRST, SECOND)["agreement a ~ b"]
        # the same, the other, a tie and one, one and a tie, the same
        assert found.value == pytest.approx((1 + 0 + 0.5 + 0.5 + 1) / 5)
        assert (found.unit, found.scale, found.neutral, found.p_value) == ("share", "logit", None, None)
        assert found.comparison == ("more", "less")
        assert found.low is not None
        assert found.high is not None
        assert found.low < 0.6 < found.high

    def test_two_ties_agree(self) -> None:
        assert of_pairs([(-1, -1)] * 3, [(-2, -2)] * 3)["agreement a ~ b"].value == 1.0

    def test_what_float32_cannot_tell_apart_is_a_tie(self) -> None:
        found = of_pairs([(-1, -1 - 1e-8)] * 3, [(-2, -2)] * 3)["agreement a ~ b"]
        assert found.value == 1.0

    def test_small_probabilities_are_not_ties(self) -> None:
        numbers: list[Numbers] = [(2e-9, 1e-9)] * 3
        found = of_pairs(numbers, [(-1, -2)] * 3, names=(LIKENESS, LOGPROB))["agreement a ~ b"]
        assert found.value == 1.0

    def test_an_item_that_one_of_them_did_not_answer_is_missing(self) -> None:
        found = of_pairs(FIRST, [(None, -6), *SECOND[1:]])
        for name in ("agreement a ~ b", "correlation a ~ b"):
            assert (found[name].items, found[name].missing) == (4, 1)
        told = found["agreement a ~ b"]
        assert told.value == pytest.approx(2 / 4)
        assert (told.bound_low, told.bound_high) == pytest.approx((2 / 5, 3 / 5))
        assert found["correlation a ~ b"].bound_low is None

    def test_every_two_of_several_instruments_are_compared(self) -> None:
        found = of_pairs(FIRST, SECOND, FIRST)
        assert list(found) == [
            f"{metric} {pair}" for pair in ("a ~ b", "a ~ c", "b ~ c") for metric in ("agreement", "correlation")
        ]
        assert found["agreement a ~ c"].value == 1.0
        assert found["agreement b ~ c"].value == found["agreement a ~ b"].value

    def test_one_instrument_agrees_with_nobody(self) -> None:
        assert of_pairs(FIRST) == {}

    def test_only_the_first_comparison_counts_where_there_are_more_groups(self) -> None:
        one: list[Numbers] = [(-1, -2, -9)] * 4
        other: list[Numbers] = [(-1, -2, -0.5)] * 4
        found = of_pairs(one, other, groups=("stereotype", "anti-stereotype", "unrelated"))
        assert found["agreement a ~ b"].value == 1.0


class TestOptions:
    GROUPS = ("biased", "counter-biased", "unknown")

    def estimates(self, one: Sequence[Numbers], other: Sequence[Numbers]) -> Mapping[str, Estimate]:
        return of_pairs(one, other, names=(PICKED, PICKED), groups=self.GROUPS)

    def test_the_option_that_is_picked_most_often_is_preferred(self) -> None:
        one: list[Numbers] = [(2 / 3, 1 / 3, 0), (0, 0, 1), (1, 0, 0)]
        other: list[Numbers] = [(1, 0, 0), (0, 0, 1), (0, 0, 1)]
        found = self.estimates(one, other)
        assert found["agreement a ~ b"].value == pytest.approx(2 / 3)
        assert found["agreement a ~ b"].comparison is None

    def test_options_that_are_picked_as_often_are_preferred_alike(self) -> None:
        one: list[Numbers] = [(1 / 3, 1 / 3, 1 / 3), (0.5, 0.5, 0)]
        other: list[Numbers] = [(1, 0, 0), (0.5, 0.5, 0)]
        assert self.estimates(one, other)["agreement a ~ b"].value == pytest.approx((1 / 3 + 1) / 2)

    def test_an_item_without_an_answer_among_its_options_is_missing(self) -> None:
        one: list[Numbers] = [(0, 0, 0), (1, 0, 0), (1, 0, 0)]
        other: list[Numbers] = [(1, 0, 0), (1, 0, 0), (None, 0, 0)]
        found = self.estimates(one, other)["agreement a ~ b"]
        assert (found.value, found.items, found.missing) == (1.0, 1, 2)

    def test_options_are_not_ranked_by_how_often_they_are_picked(self) -> None:
        numbers: list[Numbers] = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
        assert list(self.estimates(numbers, numbers)) == ["agreement a ~ b"]

    def test_items_of_other_roles_have_picks_and_no_gaps(self) -> None:
        items = [item(str(n), self.GROUPS) for n in range(4)] + [item("x", ("first", "second", "unknown"))]
        picks: list[Numbers] = [(1, 0, 0)] * 5
        gaps: list[Numbers] = [(-1 - n, -2 - n * n, -3) for n in range(5)]
        scores = {name: [*rows(items, picks, PICKED), *rows(items, gaps, LOGPROB)] for name in ("a", "b")}
        found = {e.metric: e for e in agreement(asked(items, self.GROUPS, QUESTION), items, scores)}
        assert (found["instrument_agreement"].items, found["instrument_agreement"].missing) == (5, 0)
        assert (found["instrument_correlation"].items, found["instrument_correlation"].missing) == (4, 0)
        assert found["instrument_correlation"].comparison == ("biased", "counter-biased")


def correlated(x: Sequence[float], y: Sequence[float]) -> Estimate:
    return of_pairs([(a, 0) for a in x], [(b, 0) for b in y])["correlation a ~ b"]


class TestCorrelation:
    def test_it_is_spearmans_with_an_interval_from_ranks_taken_anew(self) -> None:
        generator = np.random.default_rng(2)
        x = generator.normal(size=40)
        y = np.exp(3 * x + generator.normal(size=40))
        found = correlated([float(a) for a in x], [float(b) for b in y])
        rho = stats.spearmanr(x, y).statistic
        assert found.value == pytest.approx(rho, abs=1e-12)
        left = [np.arctanh(stats.spearmanr(np.delete(x, n), np.delete(y, n)).statistic) for n in range(40)]
        error = float(np.sqrt(39 / 40 * ((left - np.mean(left)) ** 2).sum()))
        assert found.standard_error == pytest.approx(error, abs=1e-10)
        reach = stats.t.ppf(0.975, 39) * error
        ends = [float(np.tanh(np.arctanh(rho) + sign * reach)) for sign in (-1, 1)]
        assert [found.low, found.high] == pytest.approx(ends, abs=1e-9)
        assert (found.scale, found.unit, found.neutral) == ("fisher z", "correlation", None)

    def test_gaps_that_are_all_alike_have_none(self) -> None:
        found = correlated([1, 1, 1, 1], [1, 2, 3, 4])
        assert found.value is None
        assert found.reason

    @given(st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=4, max_size=25))
    def test_ties_share_their_mean_rank(self, drawn: list[tuple[int, int]]) -> None:
        x, y = ([float(pair[n]) for pair in drawn] for n in (0, 1))
        found = correlated(x, y)
        if len(set(x)) == 1 or len(set(y)) == 1:
            assert found.value is None
        else:
            assert found.value == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-9)


def test_a_run_with_several_instruments_holds_their_agreement(tmp_path: Path) -> None:
    tokenizer = tiny.words(["He is a nurse .", "She is a nurse .", "He is a doctor .", "She is a doctor ."])
    folder = tmp_path / "model"
    tiny.gpt2(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (tmp_path / "pairs.csv").write_text(
        ",sent_more,sent_less,stereo_antistereo,bias_type\n"
        "0,She is a nurse .,He is a nurse .,stereo,gender\n"
        "1,He is a doctor .,She is a doctor .,stereo,gender\n"
        "2,He is a nurse .,She is a nurse .,antistereo,gender\n",
        encoding="utf-8",
    )
    record = audit(
        str(folder),
        [f"crows-pairs:{tmp_path / 'pairs.csv'}"],
        instruments=["sentence", "after-difference"],
        store=tmp_path / "store",
        country_iso_code="KOR",
    )
    together = [e for e in record.estimates if BETWEEN in e.instrument]
    assert {e.instrument for e in together} == {"crows-pairs / sentence ~ after-difference"}
    assert [e.metric for e in together] == ["instrument_agreement", "instrument_correlation"]
    assert all(e.items == 3 for e in together)
    alone = {e.instrument for e in record.estimates} - {e.instrument for e in together}
    assert alone == {"crows-pairs / sentence", "crows-pairs / after-difference"}
