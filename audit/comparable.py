"""Whether two runs can be compared: what both asked in the same way, what only one did, and why not where they cannot.

A comparison of numbers that are not of the same thing is refused, with the reason and what to do. What may move a
number without making it another one, such as the type of the weights, is named; it stops the comparison of energy
alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from fairprint.audit.records import ModelInfo, ProbeInfo, RunRecord
from fairprint.probes.errors import UsageError, nearest
from fairprint.probes.forms import PROMPT, SLOT
from fairprint.probes.instruments import INSTRUMENTS

_ALIKE = ({"causal", "endpoint"},)
"""Kinds of models that an instrument asks in one way: a server has a causal model behind it."""
_BY_KIND = ("likelihood", "fill")
"""Requests that models of two kinds answer in two ways, each with numbers of its own."""
RECORDED = "recorded"
_LEAVE_OUT = "or compare only what is the same in both: --probes NAME"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A probe set that both runs asked.

    Attributes:
        a, b: how either run describes it.
        instruments: the ways in which both asked.
    """

    a: ProbeInfo
    b: ProbeInfo
    instruments: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What two runs have in common, and what only one of them has."""

    asked: tuple[Asked, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]


@dataclass(slots=True)
class _Refusals:
    """Reasons why runs cannot be compared, each with what to do."""

    found: list[tuple[str, str]] = field(default_factory=list)

    def add(self, reason: str, hint: str) -> None:
        """Keep one."""
        self.found.append((reason, hint))

    def raise_any(self) -> None:
        """Raise all that were found as one error.

        Raises:
            UsageError: there are some.
        """
        if self.found:
            told = "; ".join(reason for reason, _ in self.found)
            raise UsageError(f"the runs cannot be compared: {told}", hint=self.found[0][1])


def common(a: RunRecord, b: RunRecord, probes: Sequence[str] = ()) -> Common:
    """Return what two runs asked alike.

    Args:
        a: the record of one run.
        b: that of the other.
        probes: names of the sets to compare; all that both asked where empty.

    Raises:
        UsageError: they cannot be compared; the message says why, and the hint what to do.
    """
    refusals = _Refusals()
    for record in (a, b):
        if record.kind != "audit":
            refusals.add(f"{record.run_id} is no audit ({record.kind})", "fairprint runs list shows the audits")
        elif record.status == "truncated":
            reason = f"{record.run_id} ended before its end, and what it lacks is chance"
            refusals.add(reason, "audit the model again")
    refusals.raise_any()
    ours, theirs = ({probe.name: probe for probe in record.probes} for record in (a, b))
    wanted = _wanted(probes, ours, theirs)
    asked, only_a, only_b = [], [], []
    for name in wanted:
        if name not in theirs:
            only_a.append(f"probe set {name}")
            continue
        if name not in ours:
            only_b.append(f"probe set {name}")
            continue
        ways_a, ways_b = (instruments_of(record, name) for record in (a, b))
        both = tuple(way for way in ways_a if way in ways_b)
        _check_set(refusals, ours[name], theirs[name])
        _check_ways(refusals, name, (ways_a, ways_b), both)
        _check_asking(refusals, (a, b), ours[name], both)
        only_a += [f"{name} / {way}" for way in ways_a if way not in both]
        only_b += [f"{name} / {way}" for way in ways_b if way not in both]
        asked.append(Asked(a=ours[name], b=theirs[name], instruments=both))
    refusals.raise_any()
    if not asked:
        told = f"{', '.join(ours) or 'nothing'} and {', '.join(theirs) or 'nothing'}"
        raise UsageError(
            f"the runs cannot be compared: they asked different probe sets, {told}",
            hint="audit both models with the same --probes",
        )
    return Common(asked=tuple(asked), only_a=tuple(only_a), only_b=tuple(only_b))


def instruments_of(record: RunRecord, name: str) -> tuple[str, ...]:
    """Return the instruments that a run asked a set with, in its order; its score files are named by both."""
    asked = {way for shard in record.scores for of, way, _ in [shard.split(".")] if of == name}
    ordered = [way for way in record.plan.options.instruments if way in asked]
    return (*ordered, *sorted(asked - set(ordered)))


def _wanted(probes: Sequence[str], ours: dict[str, ProbeInfo], theirs: dict[str, ProbeInfo]) -> tuple[str, ...]:
    every = tuple(dict.fromkeys((*theirs, *ours)))
    for name in probes:
        if name not in every:
            hint = f"they asked: {', '.join(every)}" if every else None
            raise UsageError(f"neither run asked the probe set '{name}'.{nearest(name, every)}", hint=hint)
    return tuple(dict.fromkeys(probes)) or every


def _check_set(refusals: _Refusals, a: ProbeInfo, b: ProbeInfo) -> None:
    if a.sha256 != b.sha256:
        versions = [f"version {probe.version}, sha256 {probe.sha256[:12]}" for probe in (a, b)]
        told = f"the probe set '{a.name}' asks other questions in the one ({versions[0]}) than in the other"
        refusals.add(f"{told} ({versions[1]})", f"audit both models with the same file, {_LEAVE_OUT}")
    elif a.items != b.items:
        told = f"of the {a.items_in_set:,} items of '{a.name}' the one asked {a.items:,} and the other {b.items:,}"
        refusals.add(told, f"audit both models with the same --limit, or without one, {_LEAVE_OUT}")


def _check_ways(
    refusals: _Refusals, name: str, ways: tuple[tuple[str, ...], tuple[str, ...]], both: Sequence[str]
) -> None:
    if not both:
        told = [", ".join(found) or "nothing" for found in ways]
        reason = f"'{name}' was asked with {told[0]} in the one and with {told[1]} in the other"
        refusals.add(reason, f"audit both models with the same --instrument, {_LEAVE_OUT}")
    for way in both:
        if way not in INSTRUMENTS:
            reason = f"'{name}' was asked with '{way}', which this fairprint does not know"
            refusals.add(reason, "update fairprint")


def _check_asking(
    refusals: _Refusals, runs: tuple[RunRecord, RunRecord], probe: ProbeInfo, both: Sequence[str]
) -> None:
    """Check that an instrument does the same in both: prompts and settings, kinds of models, and who judged texts."""
    kinds = [run.plan.model.kind for run in runs]
    for way in both:
        versions = [run.plan.instrument_versions.get(way, 1) for run in runs]
        if versions[0] != versions[1]:
            told = f"version {versions[0]} in the one and {versions[1]} in the other"
            reason = f"the instrument '{way}' asks in another way: {told}"
            refusals.add(reason, f"audit both models with one version of fairprint, {_LEAVE_OUT}")
        known = INSTRUMENTS.get(way)
        if known is not None and known.needs in _BY_KIND and not _alike(kinds):
            reason = (
                f"'{way}' scores a {kinds[0]} model in another way than a {kinds[1]} one (probe set '{probe.name}')"
            )
            refusals.add(reason, "compare models of one kind; a report shows others side by side")
    if probe.scored in (PROMPT, SLOT):
        judges = [{scorer.sha256 for scorer in run.plan.scorers} for run in runs]
        if judges[0] != judges[1]:
            judged_by = [", ".join(scorer.name for scorer in run.plan.scorers) or "none" for run in runs]
            reason = f"the texts of '{probe.name}' were judged by other scorers: {judged_by[0]} and {judged_by[1]}"
            refusals.add(reason, f"audit both models with the same --scorer and --lexicon, {_LEAVE_OUT}")


def _alike(kinds: Sequence[str]) -> bool:
    """Whether models of two kinds are scored alike; whose answers were recorded, their file alone can say."""
    return len(set(kinds)) == 1 or RECORDED in kinds or any(set(kinds) <= alike for alike in _ALIKE)


def remarks(a: RunRecord, b: RunRecord, compared: Common) -> tuple[str, ...]:
    """Return what differs between two runs and may move a number, and what else must be known of them."""
    found = []
    if a.run_id == b.run_id:
        found.append("both are the same run, so that every difference is 0")
    if a.status == b.status == "partial":
        found.append("both runs asked only a part of the questions")
    for run, side in ((a, "A"), (b, "B")):
        if run.plan.model.kind == RECORDED:
            found.append(f"run {side} replays recorded answers: how they came about is what their file says")
    found += [f"{what}: {one} in run A, {other} in run B" for what, one, other in _software(a, b)]
    seeds = [run.plan.options.seed for run in (a, b)]
    ways = {way for asked in compared.asked for way in asked.instruments}
    if seeds[0] != seeds[1] and any(INSTRUMENTS[way].samples for way in ways):
        found.append(f"texts were drawn with two seeds, {seeds[0]} and {seeds[1]}: the same model would write others")
    return tuple(found)


def costs_apart(a: RunRecord, b: RunRecord) -> tuple[str, ...]:
    """Return why the energy of two runs cannot be compared; nothing where it can."""
    found = []
    if a.run_id == b.run_id:
        found.append("both are the same run")
    for run, side in ((a, "A"), (b, "B")):
        if run.plan.model.kind == RECORDED:
            found.append(f"run {side} replayed answers, and what it cost to produce them is not known")
        elif run.plan.model.kind == "endpoint":
            found.append(f"the model of run {side} computed elsewhere")
        elif run.footprint.energy_kwh is None:
            found.append(f"run {side} has no energy: {run.footprint.reason}")
        if any(not segment.metered for segment in run.footprint.segments):
            found.append(f"run {side} was interrupted, and a part of it was not metered")
    if _questions(a) != _questions(b):
        found.append("the two runs did not ask the same")
    found += [f"{what}: {one} and {other}" for what, one, other in (*_hardware(a, b), *_software(a, b))]
    return tuple(found)


def _questions(run: RunRecord) -> tuple[dict[str, str], list[str], int | None]:
    return run.plan.probe_hashes, sorted(run.scores), run.plan.options.limit


Apart = tuple[str, str, str]
"""What differs, and what it is in either run."""


def _hardware(a: RunRecord, b: RunRecord) -> Iterator[Apart]:
    one, other = a.plan.environment, b.plan.environment
    for what, field_ in (("system", "system"), ("processor", "cpu"), ("threads", "threads"), ("device", "device")):
        if getattr(one, field_) != getattr(other, field_):
            yield what, str(getattr(one, field_)), str(getattr(other, field_))
    sensors = [", ".join(f"{part.name} by {part.sensor}" for part in run.footprint.components) for run in (a, b)]
    if sensors[0] != sensors[1]:
        yield "sensors", sensors[0] or "none", sensors[1] or "none"


def _software(a: RunRecord, b: RunRecord) -> Iterator[Apart]:
    one, other = a.plan, b.plan
    for what, field_ in (("type of the weights", "dtype"), ("weights", "weights")):
        if getattr(one.model, field_) != getattr(other.model, field_) and not _recorded(one.model, other.model):
            yield what, getattr(one.model, field_), getattr(other.model, field_)
    if one.options.batch_size != other.options.batch_size:
        yield "rows of a batch at the most", str(one.options.batch_size), str(other.options.batch_size)
    versions = [{"fairprint": plan.environment.fairprint, **plan.environment.versions} for plan in (one, other)]
    for package in sorted({*versions[0], *versions[1]}):
        found = [version.get(package, "none") for version in versions]
        if found[0] != found[1]:
            yield package, found[0], found[1]


def _recorded(*models: ModelInfo) -> bool:
    return any(model.kind == RECORDED for model in models)
