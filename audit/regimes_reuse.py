"""When the energy of a pretraining comes back, and when using a model costs more than its training did.

The formulas are those of `fairprint.audit.reuse`; here they get what was measured, with intervals. A fine-tuning and a
training from scratch that the same sensors measured have the same errors, so that these cancel where it can be.
"""

from dataclasses import dataclass

from fairprint.audit.regimes import Gap, Regime, Regimes, answers_to_match, draws_of, energies_of
from fairprint.audit.reuse import attributional_share, break_even, uses_to_match
from fairprint.audit.together import Amount
from fairprint.probes.errors import UsageError

NO_PAIR = "it needs a run for fine-tuning and one for training from scratch"
NO_PRETRAINING = "the energy of the pretraining was not given"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reuse:
    """What a shared base costs and saves.

    Attributes:
        gap: from the training from scratch to the fine-tuning; None where one of them is not there.
        pretraining_kwh: as it was given, and taken as exact.
        reuses: how many uses share the pretraining, as it was given.
        saved: energy (kWh) that a fine-tuning saves beside the training from scratch.
        break_even: tasks from which the shared base saves energy, E_pre / (E_scr - E_ft).
        attributional: what each of the uses bears (kWh), E_pre / N. The consequential share is 0.
    """

    gap: Gap | None
    pretraining_kwh: float | None
    reuses: int | None
    saved: Amount
    break_even: Amount
    attributional: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """After how many answers of a model their energy is that of its training.

    Attributes:
        query: energy of one answer (kWh).
        given: whether that was given, and not measured.
    """

    regime: Regime
    query: Amount
    given: bool
    answers: Amount


def reuse_of(of: Regimes, *, pretraining_kwh: float | None = None, reuses: int | None = None) -> Reuse:
    """Return when a pretraining pays, and the share of it that each use bears.

    Raises:
        UsageError: an energy or a number of uses is impossible.
    """
    _positive("the energy of the pretraining", pretraining_kwh, "kWh")
    if reuses is not None and reuses < 1:
        raise UsageError(f"{reuses} uses are impossible: expected 1 or more")
    saved = Amount(value=None, reason=NO_PAIR) if of.knew is None else saved_by(of.knew)
    return Reuse(
        gap=of.knew,
        pretraining_kwh=pretraining_kwh,
        reuses=reuses,
        saved=saved,
        break_even=_break_even(of.knew, saved, pretraining_kwh),
        attributional=_share(pretraining_kwh, reuses),
    )


def saved_by(gap: Gap) -> Amount:
    """Return the energy (kWh) that the second way saves beside the first; below 0 it takes more."""
    if gap.energy_ratio.value is None:
        return Amount(value=None, reason=gap.energy_ratio.reason)
    sides = (gap.first, gap.second)
    before, after = (energies_of(side.record, side.cost.components) for side in sides)
    difference = {sensor: before.get(sensor, 0.0) - after.get(sensor, 0.0) for sensor in {**before, **after}}
    found = draws_of([side.record for side in sides]).energy(difference)
    return Amount(value=found.value, low=found.low, high=found.high)


def _break_even(gap: Gap | None, saved: Amount, pretraining_kwh: float | None) -> Amount:
    if gap is None or saved.value is None:
        return Amount(value=None, reason=saved.reason)
    if pretraining_kwh is None:
        return Amount(value=None, reason=NO_PRETRAINING)
    scratch, tuned = (side.cost.energy_kwh.value or 0.0 for side in (gap.first, gap.second))
    count = break_even(pretraining_kwh=pretraining_kwh, fine_tuning_kwh=tuned, scratch_kwh=scratch)
    if count is None:
        reason = "a fine-tuning took as much energy as the training from scratch: no number of tasks is enough"
        return Amount(value=None, reason=reason)
    if saved.low is None or saved.high is None:
        return Amount(value=count, reason=saved.reason)
    if saved.low <= 0:
        reason = "what a fine-tuning saves may be nothing, so that there is no upper bound"
        return Amount(value=count, reason=reason)
    # the pretraining is taken as exact, so that the percentiles of the draws turn round: E_pre / x falls with x
    return Amount(value=count, low=pretraining_kwh / saved.high, high=pretraining_kwh / saved.low)


def _share(pretraining_kwh: float | None, reuses: int | None) -> Amount:
    if pretraining_kwh is None:
        return Amount(value=None, reason=NO_PRETRAINING)
    if reuses is None:
        return Amount(value=None, reason="how many uses share the pretraining was not given")
    return Amount(
        value=attributional_share(pretraining_kwh, reuses), reason="both numbers are given, and taken as exact"
    )


def use_of(regime: Regime, query_kwh: float | None = None) -> Use:
    """Return after how many answers their energy is that of the training.

    Args:
        regime: the way to learn the task.
        query_kwh: of one answer, where it is not to be that of the tests after the training; taken as exact.

    Raises:
        UsageError: the energy is impossible.
    """
    if query_kwh is None:
        return Use(regime=regime, query=regime.query, given=False, answers=answers_to_match(regime))
    _positive("the energy of an answer", query_kwh, "kWh")
    query, energy = Amount(value=query_kwh), regime.cost.energy_kwh
    if energy.value is None:
        return Use(regime=regime, query=query, given=True, answers=Amount(value=None, reason=energy.reason))
    low, high = (None if bound is None else uses_to_match(bound, query_kwh) for bound in (energy.low, energy.high))
    answers = Amount(value=uses_to_match(energy.value, query_kwh), low=low, high=high)
    return Use(regime=regime, query=query, given=True, answers=answers)


def _positive(what: str, value: float | None, unit: str) -> None:
    # written so that NaN is refused too
    if value is not None and not 0 < value < float("inf"):
        raise UsageError(f"{what} is {value} {unit}: expected more than 0")
