"""A made-up check with every kind of verdict, for tests of what is printed of it."""

from typing import Any

from sample_record import sample_record

from fairprint.audit.checks import CheckRecord, LimitVerdict
from fairprint.audit.compare import side


def limit(name: str, verdict: str = "pass", **changes: Any) -> LimitVerdict:
    """Return a verdict on the worsening of a share."""
    fields: dict[str, Any] = {
        "name": name,
        "metric": "stereotype_score",
        "probe_set": "gendered-occupations",
        "instrument": "gendered-occupations / fill",
        "scope": "all",
        "comparison": None,
        "kind": "relative",
        "direction": "away_from_neutral",
        "unit": "share",
        "limit": 0.02,
        "default_limit": False,
        "verdict": verdict,
        "reason": "it breaks the margin of 2.0 points, and not by chance",
        "identical": False,
        "value": 0.712,
        "baseline": 0.672,
        "worsening": 0.04,
        "bound": 0.0613,
        "p_value": 1.5e-7,
        "holm": 3e-7,
        "detectable": 0.043,
        "items": 640,
        "missing": 2,
        "units": {"template": 12, "lexeme": 46},
        "needed": {},
        "question": "Is stereotype_score farther from neutral than in the baseline by more than 2.0 points?",
        "on_these": "On these 640 items: 67.2 % before, 71.2 % now, 4.0 points worse; exact.",
        "for_others": "For other templates and words like these: at most 6.1 points worse (one-sided 95 % bound).",
        "guarantee": "If nothing is truly worse, any of the 5 limits fails with a chance of at most 5 %.",
        "place": ("pyproject.toml", 41),
    }
    return LimitVerdict(**fields | changes)


ABSENT: dict[str, Any] = {
    **dict.fromkeys(("limit", "value", "baseline", "worsening", "bound", "p_value", "holm", "detectable", "items")),
    **dict.fromkeys(("instrument", "scope")),
    "units": {},
    "missing": 0,
    **dict.fromkeys(("on_these", "for_others", "guarantee"), ""),
}
EVERY = (
    limit("signed_effect of he-was-very", "fail"),
    limit("stereotype_score of age", "inconclusive", needed={"template": 31}, reason="chance alone could have done it"),
    limit("accuracy of bbq", "error", **ABSENT | {"reason": "the run did not ask 'bbq'"}),
    limit("perplexity of neutral-sentences", "pass", reason="identical answers", identical=True, unit="perplexity"),
    limit("energy_kwh", "pass", **ABSENT | {"metric": "energy_kwh", "unit": "kWh", "value": 2.63e-5, "limit": 0.1}),
)


def sample_check(*limits: LimitVerdict, **changes: Any) -> CheckRecord:
    """Return a check of some limits; of every kind where none are given."""
    run = sample_record()
    fields: dict[str, Any] = {
        "fairprint": "0.1.0",
        "checked_at": "2026-03-01T12:00:00Z",
        "run": side(run),
        "baseline": side(run),
        "no_baseline": None,
        "baseline_reason": "the first release",
        "baseline_written_at": "2026-01-01T12:00:00Z",
        "verdict": "fail",
        "exit_code": 1,
        "limits": limits or EVERY,
        "refused": (),
        "without_limit": ("group_gap of he-was-very / fill",),
        "identical": False,
        "strict": False,
        "require_baseline": False,
        "settings_file": "pyproject.toml",
        "remarks": ("the baseline is 181 days old, more than 180",),
    }
    return CheckRecord(**fields | changes)
