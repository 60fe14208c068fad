"""A made-up comparison of two runs with plausible numbers, for tests and for looking at a page."""

import random
from typing import Any

from sample_record import digest, sample_record

from fairprint.audit.comparisons import ComparisonRecord, Difference, Side, SignFlips
from fairprint.audit.difference import corrected
from fairprint.audit.records import Estimate, GroupInfo, ProbeInfo, RunRecord

TEXTS = "neutral-sentences"


def of_estimate(found: Estimate, moved: float, half: float, **changes: Any) -> Difference:
    """Return how an estimate moved, with an interval of ``moved`` ± ``half``."""
    absent = found.value is None
    fields: dict[str, Any] = {
        **{key: getattr(found, key) for key in ("metric", "metric_version", "probe_set", "instrument", "scope")},
        **{
            key: getattr(found, key)
            for key in ("comparison", "unit", "level", "neutral", "neutral_why", "items", "units")
        },
        "a": found.value,
        "b": None if found.value is None else found.value + moved,
        "value": None if absent else moved,
        "low": None if absent else moved - half,
        "high": None if absent else moved + half,
        "p_value": None if absent else min(1.0, max(1e-6, 1.2 - abs(moved) / half)),
        "q_value": None,
        "holm": None,
        "p_away": None if absent or found.neutral is None else (0.003 if moved > half else 0.6),
        "p_towards": None if absent or found.neutral is None else (0.003 if -moved > half else 0.7),
        "better": None,
        "verdict": "not shown",
        "missing": found.missing,
        "missing_a": found.missing,
        "missing_b": 0,
        "design_effect": None if absent else 4.2,
        "detectable": None if absent else half * 1.43,
        "standard_error": None if absent else half / 2.06,
        "degrees_of_freedom": None if absent else 23.7,
        "standard_errors": {}
        if absent
        else {"item": half / 5, "template": half / 3, "lexeme": half / 2.5, "two-way": half / 2.06},
        "sign_flips": None
        if absent
        else SignFlips(
            factor="template", units=12, p_value=0.0117, smallest=2**-11, ways=4096, exact=True, reason=None
        ),
        "identical": False,
        "estimand": found.estimand,
        "reason": found.reason,
    }
    return Difference(**fields | changes)


def texts() -> ProbeInfo:
    """Return a set of plain texts."""
    return ProbeInfo(
        name=TEXTS,
        version=1,
        title="Neutral sentences",
        summary="How well does the model predict plain sentences, none of which speaks of people?",
        measures="how well a language model predicts plain English text",
        harm_type="none: a check of quality beside the findings",
        language="en",
        licence="Apache-2.0",
        sources=("The sentences were written for this set.",),
        criticism=("Plain sentences of every day.",),
        cannot_show=("Anything about people or groups.",),
        groups=(GroupInfo(id="text", label="texts"),),
        comparisons=(),
        scored="text",
        random_factors=("template",),
        covariate=None,
        covariate_group=None,
        lexeme_covariates={},
        sha256=digest(TEXTS),
        source="own",
        items=200,
        sentences=200,
        templates=200,
        lexemes=1,
        items_in_set=200,
    )


def side(record: RunRecord, name: str, run_id: str) -> Side:
    """Return one of the two runs."""
    return Side(
        run_id=run_id,
        started_at=record.started_at,
        status=record.status,
        model=record.plan.model.model_copy(update={"name": name, "sha256": digest(name)}),
        environment=record.plan.environment,
        footprint=record.footprint,
    )


def utility() -> list[Difference]:
    """Return what became of the plain texts."""
    first = sample_record().estimates[0]
    shared: dict[str, Any] = {
        "probe_set": TEXTS,
        "instrument": f"{TEXTS} / sentence",
        "scope": "all",
        "comparison": None,
        "neutral": None,
        "neutral_why": "no neutral value",
        "items": 200,
        "missing": 0,
        "units": {"template": 200},
        "estimand": "other texts like these",
    }
    rows = (
        ("mean_logprob_per_token", "nats a token", -3.3127, -0.1431, 0.0291, "higher"),
        ("perplexity", "perplexity", 27.459, 4.2274, 0.9117, "lower"),
        ("mean_logprob_per_character", "nats a character", -0.7114, -0.0307, 0.0063, "higher"),
    )
    return [
        of_estimate(
            first.model_copy(update=shared | {"metric": metric, "unit": unit, "value": value}),
            moved,
            half,
            better=better,
            sign_flips=None,
        )
        for metric, unit, value, moved, half, better in rows
    ]


def sample_comparison() -> ComparisonRecord:
    """Return a comparison of the sample record with a model that was changed."""
    record, rng = sample_record(), random.Random(11)
    found = [
        of_estimate(e, rng.choice((-1, 1)) * rng.uniform(0.01, 0.16), rng.uniform(0.05, 0.1))
        for e in record.estimates
        if not e.scope.startswith("lexeme:")
    ]
    differences, family = corrected([*found, *utility()])
    return ComparisonRecord(
        fairprint=record.plan.environment.fairprint,
        a=side(record, "base-model", "20260101T120000000Z-base-model-0a1b"),
        b=side(record, "tuned-model", "20260102T120000000Z-tuned-model-2c3d"),
        probes=(*record.probes, texts()),
        utility=(TEXTS,),
        differences=differences,
        family=family,
        identical=False,
        only_a=("probe set religion",),
        only_b=("gendered-occupations / sentence", "he-was-very / likelihood: stereotype_score"),
        costs_apart=("processor: One and Another", "torch: 2.6.0 and 2.7.1"),
        remarks=("torch: 2.6.0 in run A, 2.7.1 in run B",),
    )
