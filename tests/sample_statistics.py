"""Made-up records with everything that stands beside an estimate: errors by factor, second opinions, families."""

from fairprint.audit.findings import SecondOpinion
from fairprint.audit.multiplicity import corrected, families
from fairprint.audit.records import Estimate, RunRecord

LOGIT = 4.8
"""Roughly the standard error of a share of .71 on the logit scale over that of the share itself."""
METHOD = "symmetric studentised bootstrap of whole units, {scale} scale"


def with_statistics(record: RunRecord) -> RunRecord:
    """Return a record as an audit of today stores it; words bring most of the variance, templates some."""
    known = corrected([_beside(e) for e in record.estimates])
    return record.model_copy(update={"estimates": tuple(known), "families": families(known)})


def _beside(e: Estimate) -> Estimate:
    if e.standard_error is None or e.low is None or e.high is None or e.scope.startswith("lexeme:"):
        return e
    error = e.standard_error * (LOGIT if e.scale == "logit" else 1)
    parts = {"item": 0.35, "template": 0.5, "lexeme": 0.9, "two-way": 1.0}
    kept = {key: error * part for key, part in parts.items() if key == "item" or key in e.units}
    if len(e.units) == 2:
        kept["two-way"] = error
    elif len(e.units) == 1:
        kept |= dict.fromkeys(e.units, error)
    # 552 of the items of the sample claim a direction, as if 46 of its 60 words did
    units = {**e.units, "lexeme": e.items // 12} if len(e.units) == 2 and e.items in (552, 720) else e.units
    return e.model_copy(
        update={
            "standard_error": error,
            "standard_errors": kept,
            "units": units,
            "second_opinion": _second(e, e.low, e.high) if e.scope == "all" else None,
        }
    )


def _second(e: Estimate, low: float, high: float) -> SecondOpinion:
    apart = e.metric == "covariate_correlation"
    wider = (high - low) * (0.8 if apart else 0.04)
    return SecondOpinion(
        method=METHOD.format(scale=e.scale),
        low=low - wider,
        high=high + wider,
        p_value=None if e.p_value is None else max(e.p_value, 0.0001),
        draws=10_000,
        lost=3,
        reason=None,
        disagrees="their ends lie more than half of an interval apart" if apart else "",
    )
