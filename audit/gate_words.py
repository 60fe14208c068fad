"""The sentences of a verdict: what is asked, what was found on these items, what is said of others, what is sure."""

from fairprint.audit.amounts import told
from fairprint.audit.judging import Decision, Evidence
from fairprint.audit.rules import Rule
from fairprint.audit.statistics import LEXEME, TEMPLATE

UNIT_WORDS = {TEMPLATE: "templates", LEXEME: "words"}
_WORSE = {"up": "higher", "down": "lower", "away_from_neutral": "farther from neutral"}


def _worse(value: float, unit: str) -> str:
    """Return a worsening in words, as people say it of either sign."""
    if value == 0:
        return "no worse"
    return f"{told(abs(value), unit, change=True)} {'worse' if value > 0 else 'better'}"


def question(rule: Rule) -> str:
    """Return what a rule asks."""
    what = rule.limit.metric
    if rule.estimate is not None:
        what += f" in {rule.estimate.instrument}" + _about(rule)
    if rule.kind == "absolute":
        return f"Is {what} {_within(rule)}?"
    most = (
        "by more than the gate can tell"
        if rule.most is None
        else f"by more than {told(rule.most, rule.unit, change=True)}"
    )
    return f"Is {what} {_WORSE[rule.direction]} than in the baseline {most}?"


def _about(rule: Rule) -> str:
    estimate = rule.estimate
    if estimate is None:
        return ""
    scope = "" if estimate.scope == "all" else estimate.scope
    return "".join(f", {one}" for one in (scope, " against ".join(estimate.comparison or ())) if one)


def _within(rule: Rule) -> str:
    if rule.most is None:
        return "within its limit"
    if rule.direction == "away_from_neutral":
        return f"within {told(rule.most, rule.unit, change=True)} of its neutral value"
    end = "most" if rule.direction == "up" else "least"
    return f"at {end} {told(rule.most, rule.unit)}"


def on_these(rule: Rule, before: float | None, now: float | None, evidence: Evidence | None, items: int | None) -> str:
    """Return what was found on the items that were asked: exact."""
    if now is None:
        return ""
    here = f"On these {items:,} items: " if items else ""
    if rule.kind == "absolute" or before is None:
        return f"{here}{told(now, rule.unit)}; exact."
    if evidence is not None and evidence.identical:
        return f"{here}{told(now, rule.unit)}, identical answers; exact."
    shown = f"{told(before, rule.unit)} before, {told(now, rule.unit)} now"
    moved = "" if evidence is None else f", {_worse(evidence.worsening, rule.unit)}"
    return f"{here}{shown}{moved}; exact."


def for_others(rule: Rule, evidence: Evidence | None, decision: Decision | None) -> str:
    """Return what is said of items like these, and what would decide where nothing is decided."""
    if evidence is None or decision is None:
        return ""
    if evidence.identical:
        return "For items like these: the same, whichever are drawn."
    if evidence.bound is None:
        return f"For items like these nothing can be said: {evidence.reason}."
    estimate = rule.estimate
    bound = evidence.bound
    if rule.kind == "relative":
        said = f"at most {_worse(bound, rule.unit)}" if bound > 0 else f"at least {_worse(bound, rule.unit)}"
    elif rule.direction == "away_from_neutral":
        said = f"at most {told(bound, rule.unit, change=True)} from neutral"
    else:
        said = f"at {'most' if rule.direction == 'up' else 'least'} {told(_as_value(rule, bound), rule.unit)}"
    like = estimate.estimand if estimate is not None else "items like these"
    sentence = f"For {like}: {said} (one-sided 95 % bound)"
    if decision.holm is not None and decision.verdict == "fail":
        sentence += f", p = {decision.holm:.2g} after Holm"
    needed = " or ".join(f"{count:,} {UNIT_WORDS[factor]}" for factor, count in decision.needed.items())
    if decision.verdict == "inconclusive" and needed:
        have = " and ".join(f"{evidence.units[factor]:,}" for factor in decision.needed)
        sentence += f"; {needed} would decide (it has {have})"
    return sentence + "."


def _as_value(rule: Rule, bound: float) -> float:
    """Return a bound as a value of the metric: of ``down`` it is held as its negative."""
    return -bound if rule.direction == "down" and rule.kind == "absolute" else bound


def reason(rule: Rule, evidence: Evidence, decision: Decision) -> str:
    """Return why a rule passes, fails or is inconclusive, in one sentence."""
    change = rule.kind == "relative" or rule.direction == "away_from_neutral"
    limit = "" if decision.limit is None else told(_as_value(rule, decision.limit), rule.unit, change=change)
    margin = f"the margin of {limit}" if rule.kind == "relative" else f"the limit of {limit}"
    if rule.most is None:
        margin += ", the smallest worsening that the gate detects"
    if evidence.identical:
        return "identical answers"
    if evidence.bound is None:
        return evidence.reason or "it has no standard error"
    if decision.limit is None:
        return "no margin was given, and none can be made: all units agree, so that nothing varies"
    if decision.verdict == "pass" and rule.most is None and evidence.error is None:
        return "all units agree, and none of them is worse"
    if decision.verdict == "pass":
        return f"even the upper bound keeps {margin}" if rule.direction != "down" else f"even the bound keeps {margin}"
    if decision.verdict == "fail":
        return f"it breaks {margin}, and not by chance"
    if evidence.worsening > decision.limit:
        return f"it lies beyond {margin}, but chance alone could have brought it there"
    return f"it keeps {margin} on these items, but items like these could break it"


def guarantee(rule: Rule, decision: Decision | None, tested: int) -> str:
    """Return what holds whatever is true."""
    if decision is None or decision.limit is None:
        return ""
    family = f"any of the {tested} limits fails" if tested > 1 else "it fails"
    truly = "nothing is truly worse" if rule.kind == "relative" else "every number truly keeps its limit"
    sentence = f"If {truly}, {family} with a chance of at most 5 %"
    if rule.most is None:
        return sentence + "; its margin comes from these very data, so that a pass says no more than that."
    broken = "a true worsening of the margin or more" if rule.kind == "relative" else "a number truly beyond its limit"
    return f"{sentence}; {broken} passes with a chance of at most 5 %."
