"""What audits found, sorted by what may be said of it: shown, not shown, not known, and never tested."""

from collections.abc import Sequence
from dataclasses import dataclass

from fairprint.audit.multiplicity import REPORT
from fairprint.audit.records import Estimate, ProbeInfo, RunRecord
from fairprint.reports import benchmarks, nearness, selection, utility, wording

_STEREOTYPE = ("stereotype_score", "stereotype_score_centred", "signed_effect", "signed_effect_dz")
"""Metrics that say the same in other units: of those that show it the first is told."""
_WORDS = ("group_gap", "group_gap_centred")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One estimate with its set and its run; ``like`` are further metrics that show the same."""

    record: RunRecord
    probe: ProbeInfo
    estimate: Estimate
    like: tuple[str, ...] = ()

    @property
    def instrument(self) -> str:
        """The way of asking."""
        return instrument_of(self.estimate)


def instrument_of(estimate: Estimate) -> str:
    """Return the way of asking, without the probe set."""
    return estimate.instrument.rpartition(" / ")[2]


def heads(audits: Sequence[RunRecord]) -> list[Told]:
    """Return the estimate that speaks for each instrument, save those of checks and of plain texts."""
    found = []
    for record in audits:
        for _, probe, estimates in selection.instruments(record):
            head = selection.headline(estimates)
            if head is not None and not utility.applies(probe) and not nearness.is_check(probe):
                found.append(Told(record=record, probe=probe, estimate=head))
    return found


def shown(audits: Sequence[RunRecord]) -> list[Told]:
    """Return what is shown to differ from equal treatment, the correction for the number of tests included.

    Of metrics that say the same in other units only the first is returned. Single words are counted elsewhere.
    """
    found: dict[tuple[str, ...], list[Told]] = {}
    for record in audits:
        for _, probe, estimates in selection.instruments(record):
            if nearness.is_check(probe) or utility.applies(probe):
                continue
            for e in estimates:
                if not _is_found(e, probe):
                    continue
                same = "stereotype" if e.metric in _STEREOTYPE else e.metric
                key = (record.run_id, e.instrument, same, e.scope, *(e.comparison or ()))
                found.setdefault(key, []).append(Told(record=record, probe=probe, estimate=e))
    return sorted((_first(every) for every in found.values()), key=_whole_first)


def _is_found(e: Estimate, probe: ProbeInfo) -> bool:
    if e.scope.startswith(("lexeme:", "quality:")) or not wording.shows(e) or wording.includes_neutral(e):
        return False
    # of published benchmarks what their authors do not report stands in the report alone
    return not benchmarks.is_form(probe) or e.metric in benchmarks.MAIN.get(probe.scored, ())


def _first(every: Sequence[Told]) -> Told:
    rank = {metric: place for place, metric in enumerate(_STEREOTYPE)}
    ordered = sorted(every, key=lambda told: rank.get(told.estimate.metric, 0))
    first = ordered[0]
    like = tuple(wording.title_of(told.estimate.metric) for told in ordered[1:])
    return Told(record=first.record, probe=first.probe, estimate=first.estimate, like=like)


def _whole_first(told: Told) -> tuple[bool, bool]:
    return told.estimate.scope != "all", told.estimate.comparison is not None and len(told.probe.comparisons) > 1


def not_shown(audits: Sequence[RunRecord]) -> list[Told]:
    """Return the main estimate of each instrument where none of its own tests shows anything."""
    found = {(told.record.run_id, told.estimate.instrument) for told in shown(audits)}
    return [
        told
        for told in heads(audits)
        if wording.shows(told.estimate) is False and (told.record.run_id, told.estimate.instrument) not in found
    ]


def unknown(audits: Sequence[RunRecord]) -> list[Told]:
    """Return the main estimates that have no value, or no interval though they are tested."""
    return [
        told
        for told in heads(audits)
        if told.estimate.value is None or (told.estimate.neutral is not None and told.estimate.low is None)
    ]


def untested(audits: Sequence[RunRecord]) -> list[Told]:
    """Return the main numbers for which no value stands for equal treatment."""
    found = []
    for record in audits:
        for _, probe, estimates in selection.instruments(record):
            if utility.applies(probe) or nearness.is_check(probe):
                continue
            if benchmarks.is_form(probe):
                told = benchmarks.told(estimates, probe)
            else:
                told = [e for e in estimates if e.metric in ("accuracy", "flip_rate") and e.scope == "all"]
            found += [Told(record=record, probe=probe, estimate=e) for e in told if e.neutral is None]
    return [told for told in found if told.estimate.value is not None]


def tests(audits: Sequence[RunRecord]) -> tuple[int, int]:
    """Return how many tests were corrected together in the reports of the audits, and how many survive."""
    families = [family for record in audits for family in record.families if family.name == REPORT]
    return sum(family.tests for family in families), sum(family.survive for family in families)


def words(record: RunRecord, probe: ProbeInfo) -> tuple[int, int] | None:
    """Return how many words of a set lean to a group, and how many were tested; None where none was."""
    every = [
        e
        for e in record.estimates
        if e.probe_set == probe.name and e.metric == _WORDS[1] and e.scope.startswith("lexeme:")
    ]
    tested = [e for e in every if e.q_value is not None]
    if not tested:
        return None
    return sum((e.q_value or 0) < wording.FALSE_DISCOVERY_RATE for e in tested), len(tested)
