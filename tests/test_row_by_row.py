"""Jackknife and bootstrap of the real metrics, against a computation row by row with the same draws.

Nothing here is vectorised: a draw is a list of rows in which a unit that came up twice stands twice, a metric is a
plain function of such a list, and leaving out a unit is leaving out its rows.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from fairprint.audit.bootstrap import BLOCK, Draws, bootstrap, distances
from fairprint.audit.choice_metrics import CHOICE_METRICS
from fairprint.audit.labelled_metrics import LABELLED
from fairprint.audit.metrics import METRICS, Metric, Row
from fairprint.audit.referent_metrics import GAP as PRO_ANTI_GAP
from fairprint.audit.resampling import resampler
from fairprint.audit.statistics import Factors, interval, jackknife
from fairprint.audit.triple_metrics import ICAT, SS

EXACT = 1e-12


@dataclass(frozen=True)
class Line:
    """A row in a draw, with which copy of its template and of its lexeme it belongs to."""

    row: Row
    template: int
    lexeme: int

    @property
    def value(self) -> float:
        assert self.row.value is not None
        return self.row.value

    @property
    def also(self) -> float:
        assert self.row.also is not None
        return self.row.also

    @property
    def towards(self) -> float:
        return self.value * self.row.direction


Plain = Callable[[Sequence[Line]], float]
"""A metric, worked out from a list of rows."""


# the metrics, as one would write them for a list of rows


def mean_of(numbers: Sequence[float]) -> float:
    return math.fsum(numbers) / len(numbers) if numbers else math.nan


def by_lexeme(lines: Sequence[Line]) -> list[list[Line]]:
    found: dict[int, list[Line]] = {}
    for line in lines:
        found.setdefault(line.lexeme, []).append(line)
    return list(found.values())


def variance_of(numbers: Sequence[float]) -> float:
    middle = mean_of(numbers)
    return math.fsum((x - middle) ** 2 for x in numbers) / (len(numbers) - 1) if len(numbers) > 1 else 0.0


def over_terms(of: Callable[[Line], float]) -> Plain:
    return lambda lines: mean_of([mean_of([of(line) for line in term]) for term in by_lexeme(lines)])


def icat(lines: Sequence[Line]) -> float:
    lms, ss = over_terms(lambda line: line.value)(lines), over_terms(lambda line: line.also)(lines)
    return lms * min(ss, 1 - ss) / 0.5


def correlation(lines: Sequence[Line]) -> float:
    words = by_lexeme(lines)
    x = [mean_of([line.row.covariate or 0.0 for line in word]) for word in words]
    y = [mean_of([line.value for line in word]) for word in words]
    if len(words) < 3 or variance_of(x) < 1e-9 or variance_of(y) < 1e-9:
        return math.nan
    mx, my = mean_of(x), mean_of(y)
    r = math.fsum((a - mx) * (b - my) for a, b in zip(x, y, strict=True))
    r /= math.sqrt(math.fsum((a - mx) ** 2 for a in x) * math.fsum((b - my) ** 2 for b in y))
    return math.copysign(1.0, r) if abs(r) > 1 - 1e-12 else r


def cohens_d(lines: Sequence[Line]) -> float:
    words = by_lexeme(lines)
    gaps = [(mean_of([line.value for line in word]), word[0].row.direction) for word in words]
    spread = variance_of([gap for gap, _ in gaps])
    if spread < 1e-9:
        return math.nan
    sides = [mean_of([gap for gap, side in gaps if side == sign]) for sign in (1, -1)]
    return (sides[0] - sides[1]) / math.sqrt(spread)


def standardised(lines: Sequence[Line]) -> float:
    gaps = [line.towards for line in lines]
    return mean_of(gaps) / math.sqrt(variance_of(gaps)) if variance_of(gaps) > 1e-9 else math.nan


def s_dis(lines: Sequence[Line]) -> float:
    weight = math.fsum(line.also for line in lines)
    return math.fsum(line.value for line in lines) / weight if weight else math.nan


def win(gap: float) -> float:
    return 0.5 if abs(gap) < 1e-6 else float(gap > 0)


def balanced(lines: Sequence[Line]) -> float:
    """Each direction keeps the share that it has among all rows, whatever a draw holds of it."""
    found = 0.0
    for side in (1, -1):
        share = sum(row.direction == side for row in ROWS) / len(ROWS)
        found += share * mean_of([win(line.towards) for line in lines if line.row.direction == side])
    return found


def centred(lines: Sequence[Line]) -> float:
    sentences: dict[str, list[Line]] = {}
    for line in lines:
        sentences.setdefault(line.row.template, []).append(line)
    wins = []
    for sentence in sentences.values():
        middle = mean_of([line.value for line in sentence])
        wins += [win((line.value - middle) * line.row.direction) for line in sentence]
    return mean_of(wins)


def gap_between(first: Callable[[Row], bool]) -> Plain:
    def gap(lines: Sequence[Line]) -> float:
        one, other = ([line.value for line in lines if first(line.row) == side] for side in (True, False))
        return mean_of(one) - mean_of(other)

    return gap


def logit(x: float) -> float:
    return math.log(x / (1 - x)) if 0 < x < 1 else math.copysign(math.inf, x - 0.5)


def artanh(x: float) -> float:
    return math.atanh(x) if abs(x) < 1 else math.copysign(math.inf, x)


FORWARD = {
    "identity": lambda x: x,
    "fisher z": artanh,
    "fisher z of d/2": lambda x: artanh(x / 2),
    "logit": logit,
    "logit of (1 + s) / 2": lambda s: logit((1 + s) / 2),
}
SHARE = {"logit": lambda x: x, "logit of (1 + s) / 2": lambda s: (1 + s) / 2}

# the rows: a grid of 6 templates x 9 lexemes with holes and repetitions


def made_rows() -> tuple[Row, ...]:
    rng = np.random.default_rng(11)
    templates, lexemes = rng.normal(size=6), rng.normal(size=9)
    places = [(t, x) for t in range(6) for x in range(9) if (t + 2 * x) % 11]
    places += [(1, 1), (1, 1), (4, 7), (5, 2)]
    return tuple(
        Row(
            template=f"t{t}",
            lexeme=f"x{x}",
            category="",
            group="first",
            direction=1 if x % 2 else -1,
            valence=1 if x % 3 else -1,
            value=float(0.3 + templates[t] + 1.5 * lexemes[x] * (1 if x % 2 else -1) + rng.normal()),
            covariate=float(10 * lexemes[x] * (1 if x % 2 else -1) + 40 + 3 * x),
        )
        for t, x in places
    )


ROWS = made_rows()


def of_choices(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Shares of biased minus counter-biased answers, and of both: some answers were none of the two."""
    found = []
    for number, row in enumerate(rows):
        both = (1.0, 0.5, 1.0, 0.0)[number % 4]
        found.append(replace(row, value=both * (1.0 if (row.value or 0) > -0.4 else -1.0), also=both))
    return tuple(found)


def of_triples(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Shares of comparisons with the unrelated sentence that are won, and whether the stereotype wins."""
    return tuple(
        replace(row, value=(0.5, 1.0, 1.0)[number % 3], also=float((row.value or 0) > -0.2))
        for number, row in enumerate(rows)
    )


def of_terms(rows: Sequence[Row]) -> tuple[Row, ...]:
    return tuple(replace(row, value=row.also) for row in of_triples(rows))


def of_answers(rows: Sequence[Row]) -> tuple[Row, ...]:
    return tuple(replace(row, value=float((row.value or 0) > 0.1)) for row in rows)


NAMED = {metric.name: metric for metric in METRICS}
BOTH, WORDS = ("template", "lexeme"), ("lexeme",)


@dataclass(frozen=True)
class Case:
    metric: Metric
    plain: Plain
    rows: tuple[Row, ...] = ROWS
    random: tuple[str, ...] = BOTH


CASES = {
    "stereoset_ss": Case(SS, over_terms(lambda line: line.value), of_terms(ROWS), WORDS),
    "stereoset_ss two-way": Case(SS, over_terms(lambda line: line.value), of_terms(ROWS)),
    "stereoset_icat": Case(ICAT, icat, of_triples(ROWS), WORDS),
    "covariate_correlation": Case(NAMED["covariate_correlation"], correlation),
    "covariate_correlation of fixed words": Case(NAMED["covariate_correlation"], correlation, random=("template",)),
    "association_effect": Case(NAMED["association_effect"], cohens_d, random=WORDS),
    "association_effect two-way": Case(NAMED["association_effect"], cohens_d),
    "signed_effect_dz": Case(NAMED["signed_effect_dz"], standardised),
    "bbq_s_dis": Case(CHOICE_METRICS["bbq_s_dis"], s_dis, of_choices(ROWS), ("template",)),
    "stereotype_score": Case(NAMED["stereotype_score"], balanced),
    "stereotype_score of fixed words": Case(NAMED["stereotype_score"], balanced, random=("template",)),
    "group_gap": Case(NAMED["group_gap"], lambda lines: mean_of([line.value for line in lines])),
    "stereotype_score_centred": Case(NAMED["stereotype_score_centred"], centred),
    "stereotype_score_centred of fixed words": Case(NAMED["stereotype_score_centred"], centred, random=("template",)),
    "pro_anti_gap": Case(PRO_ANTI_GAP, gap_between(lambda row: row.direction > 0), of_answers(ROWS)),
    "valence_gap": Case(NAMED["valence_gap"], gap_between(lambda row: row.valence > 0)),
    "accuracy_gap": Case(
        LABELLED["accuracy_gap"], gap_between(lambda row: row.direction > 0), of_answers(ROWS), ("template",)
    ),
}
EACH = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
SEED = 20


# draws and variances, row by row


def lines_of(case: Case, templates: Sequence[int], lexemes: Sequence[int]) -> list[Line]:
    """List the rows of a draw: each of its templates with each of its lexemes."""
    codes = {f: {n: i for i, n in enumerate(names)} for f, names in factors_of(case).names.items()}
    return [
        Line(row, t, x)
        for t, template in enumerate(templates)
        for x, lexeme in enumerate(lexemes)
        for row in case.rows
        if (codes["template"][row.template], codes["lexeme"][row.lexeme]) == (template, lexeme)
    ]


def factors_of(case: Case) -> Factors:
    return Factors.of([row.template for row in case.rows], [row.lexeme for row in case.rows], case.random)


KEYS: dict[str, Callable[[Line], Any]] = {
    "template": lambda line: line.template,
    "lexeme": lambda line: line.lexeme,
    "cell": lambda line: (line.template, line.lexeme),
    "item": id,
}


def without_each(case: Case, lines: Sequence[Line], factor: str, plain: Plain) -> list[float]:
    key = KEYS[factor]
    return [plain([line for line in lines if key(line) != unit]) for unit in dict.fromkeys(map(key, lines))]


def jackknife_variance(numbers: Sequence[float]) -> float:
    if not all(map(math.isfinite, numbers)):
        return math.nan
    return (len(numbers) - 1) ** 2 / len(numbers) * variance_of(numbers)


def magnified(case: Case, lines: Sequence[Line]) -> float:
    """Return how much a scale magnifies rounding, at most: Fisher's z grows without end towards correlations of 1."""
    if not case.metric.scale.startswith("fisher"):
        return 1.0
    seen = [v for factor in case.random for v in without_each(case, lines, factor, case.plain)]
    return max(
        math.cosh(FORWARD[case.metric.scale](v)) ** 2 for v in seen if math.isfinite(FORWARD[case.metric.scale](v))
    )


def two_way(case: Case, lines: Sequence[Line], forward: Callable[[float], float]) -> float:
    def part(factor: str) -> float:
        return jackknife_variance(without_each(case, lines, factor, lambda kept: forward(case.plain(kept))))

    alone = [part(factor) for factor in case.random]
    if len(alone) == 1:
        return alone[0]
    cells = part("cell")
    return math.nan if math.isnan(sum(alone) + cells) else max(*alone, sum(alone) - cells)


def forward_of(case: Case, lines: Sequence[Line]) -> Callable[[float], float]:
    """Return the metric's scale; of shares with half an effective item added to each side."""
    if case.metric.scale not in SHARE:
        return FORWARD[case.metric.scale]
    share = SHARE[case.metric.scale]
    p, variance = share(case.plain(lines)), two_way(case, lines, share)
    effective = min(max(p * (1 - p) / variance, 1.0), len(lines))
    return lambda x: logit((share(x) * effective + 0.5) / (effective + 1))


def drawn(case: Case, draws: Draws) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the units of each draw, as often as they came up; those of a fixed factor once each."""
    names = factors_of(case).names
    copies = {f: draws.copies(f, len(names[f]), 0) for f in case.random}
    for draw in range(BLOCK):
        units = {}
        for factor in BOTH:
            times = copies[factor][draw] if factor in copies else np.ones(len(names[factor]), dtype=int)
            units[factor] = [unit for unit, often in enumerate(times) for _ in range(often)]
        yield units["template"], units["lexeme"]


@EACH
def test_leaving_out_each_unit_gives_what_the_remaining_rows_give(case: Case) -> None:
    factors = factors_of(case)
    found = jackknife(case.metric.form(case.rows, factors), factors)

    lines = lines_of(case, *(range(len(factors.names[factor])) for factor in BOTH))
    assert len(lines) == len(case.rows)
    assert found["all"] == pytest.approx([case.plain(lines)], abs=EXACT)
    assert {*found} == {"all", "item", *case.random, *(["cell"] if len(case.random) == 2 else [])}
    for factor in found.keys() - {"all"}:
        assert sorted(found[factor]) == pytest.approx(sorted(without_each(case, lines, factor, case.plain)), abs=EXACT)
    # the order is that of the units, for the factors, and that of the rows, for the items
    last = case.rows[-1]
    kept = [line for line in lines if line.row is not last]
    assert found["item"][-1] == pytest.approx(case.plain(kept), abs=EXACT)
    for factor in case.random:
        kept = [line for line in lines if getattr(line.row, factor) != factors.names[factor][2]]
        assert found[factor][2] == pytest.approx(case.plain(kept), abs=EXACT)


@EACH
def test_every_standard_error_is_that_of_the_rows(case: Case) -> None:
    factors = factors_of(case)
    form, metric = case.metric.form(case.rows, factors), case.metric
    found = interval(
        jackknife(form, factors), factors, scale=metric.scale, neutral=metric.neutral, items=len(case.rows)
    )

    lines = lines_of(case, *(range(len(factors.names[factor])) for factor in BOTH))
    forward = forward_of(case, lines)
    for factor in ("item", *case.random):
        parts = without_each(case, lines, factor, lambda kept: forward(case.plain(kept)))
        assert found.standard_errors[factor] == pytest.approx(math.sqrt(jackknife_variance(parts)), abs=EXACT)
    whole = two_way(case, lines, forward)
    assert found.standard_error == pytest.approx(math.sqrt(whole), abs=EXACT)
    assert found.standard_errors.get("two-way") == (found.standard_error if len(case.random) == 2 else None)
    assert found.design_effect == pytest.approx(whole / found.standard_errors["item"] ** 2, rel=1e-9)


@EACH
def test_the_bootstrap_gives_what_the_rows_of_its_draws_give(case: Case) -> None:
    factors, draws = factors_of(case), Draws(SEED)
    form, metric = case.metric.form(case.rows, factors), case.metric
    found = interval(
        jackknife(form, factors), factors, scale=metric.scale, neutral=metric.neutral, items=len(case.rows)
    )
    assert found.pivot is not None
    copies = {f: draws.copies(f, len(factors.names[f]), 0).astype(float) for f in factors.random}
    values = resampler(form, factors)(copies).values
    far = distances(form, factors, found.pivot, draws, BLOCK)
    opinion = bootstrap(form, factors, found, draws, BLOCK)

    lines = lines_of(case, *(range(len(factors.names[factor])) for factor in BOTH))
    forward = forward_of(case, lines)
    centre = forward(case.plain(lines))
    expected = []
    for number, units in enumerate(drawn(case, draws)):
        rows = lines_of(case, *units)
        value = case.plain(rows)
        assert values[number] == pytest.approx(value, abs=EXACT, nan_ok=True)
        variance = math.nan if math.isnan(value) else two_way(case, rows, forward)
        ok = variance > 1e-15 and math.isfinite(forward(value))
        expected.append(abs(forward(value) - centre) / math.sqrt(variance) if ok else math.inf)
        exact = EXACT * (magnified(case, rows) if ok else 1)
        assert far[number] == pytest.approx(expected[-1], rel=exact, abs=exact)
    assert opinion.lost == sum(map(math.isinf, expected))
    assert opinion.draws == BLOCK

    # 250 draws: the 239th of them in order has 95 % of 251 at or below it
    quantile = sorted(expected)[238]
    error = math.sqrt(two_way(case, lines, forward))
    if metric.neutral is not None:
        here = FORWARD[metric.scale](metric.neutral)
        beyond = sum(x >= abs(centre - here) / error for x in expected)
        assert opinion.p_value == (beyond + 1) / 251
    if math.isfinite(quantile):
        ends = [FORWARD[metric.scale](end) for end in (opinion.low, opinion.high)]
        assert ends == pytest.approx([centre - quantile * error, centre + quantile * error], rel=1e-10)
    else:
        assert (opinion.low, opinion.high) == (None, None)
