"""Two stored runs of the same questions, compared item by item.

Both runs are read back from the store, an answer that one of them lacks is left out of both, and every metric is
computed of both on the items that remain. The difference, B minus A, has an interval by the same jackknife as any
metric, with one template or word left out of both runs at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

from fairprint.audit.comparable import common, costs_apart, remarks
from fairprint.audit.comparisons import ComparisonRecord, Difference, Side
from fairprint.audit.difference import corrected, difference
from fairprint.audit.evaluate import all_parts
from fairprint.audit.metrics import Metric
from fairprint.audit.paired import PairedScores, PartKey, by_key, pair_scores
from fairprint.audit.parts import Part
from fairprint.audit.records import RunRecord
from fairprint.audit.store import RunFolder
from fairprint.audit.stored import stored_scores, stored_set
from fairprint.probes.errors import StoreError, UsageError
from fairprint.probes.forms import TEXT
from fairprint.probes.items import ProbeSet
from fairprint.probes.scores import TOKENS, Score


@dataclass(slots=True)
class _Found:
    """What was found so far."""

    differences: list[Difference] = field(default_factory=list)
    only_a: list[str] = field(default_factory=list)
    only_b: list[str] = field(default_factory=list)
    same: list[bool] = field(default_factory=list)


def compare(a: RunFolder, b: RunFolder, probes: Sequence[str] = (), *, seed: int = 0) -> ComparisonRecord:
    """Compare two runs: what run B gives, minus what run A gives.

    Args:
        a: a finished run, as a rule of the model before a change.
        b: another one, as a rule of the model after it.
        probes: names of the sets to compare; all that both asked where empty.
        seed: of the random signs of the check by sign flips.

    Raises:
        UsageError: a run is not finished, or they cannot be compared; the message says why.
        StoreError: a run cannot be read, or was written by a version that kept too little.
    """
    records = _finished(a), _finished(b)
    shared = common(*records, probes)
    found = _Found(only_a=list(shared.only_a), only_b=list(shared.only_b))
    for asked in shared.asked:
        sets = stored_set(a, asked.a), stored_set(b, asked.b)
        if [item.id for item in sets[0].items] != [item.id for item in sets[1].items]:
            raise StoreError(f"the runs kept other items of '{asked.a.name}' under the same hash")
        for instrument in asked.instruments:
            scores = pair_scores(*(stored_scores(run, asked.a.name, instrument) for run in (a, b)))
            _compare_set(found, records, sets[0], instrument, scores, seed)
    differences, family = corrected(found.differences)
    return ComparisonRecord(
        fairprint=version("fairprint"),
        a=side(records[0]),
        b=side(records[1]),
        probes=tuple(asked.b for asked in shared.asked),
        utility=tuple(asked.b.name for asked in shared.asked if asked.b.scored == TEXT),
        differences=differences,
        family=family,
        identical=all(found.same),
        only_a=tuple(found.only_a),
        only_b=tuple(found.only_b),
        costs_apart=costs_apart(*records),
        remarks=remarks(*records, shared),
    )


def _finished(run: RunFolder) -> RunRecord:
    run.check_finished()
    return run.record()


def side(record: RunRecord) -> Side:
    """Return what a comparison says of one of its runs."""
    return Side(
        run_id=record.run_id,
        started_at=record.started_at,
        status=record.status,
        model=record.plan.model,
        environment=record.plan.environment,
        footprint=record.footprint,
    )


def _compare_set(
    found: _Found,
    records: tuple[RunRecord, RunRecord],
    probe_set: ProbeSet,
    instrument: str,
    scores: PairedScores,
    seed: int,
) -> None:
    """Compare what one instrument gave to one set."""
    found.same.append(_same_answers(scores))
    ours, theirs = (
        by_key([p for p in all_parts(probe_set, probe_set.items, side, instrument) if _is_told(p)])
        for side in (scores.a, scores.b)
    )
    label = f"{probe_set.name} / {instrument}"
    found.only_a += [_named(label, key) for key in ours if key not in theirs]
    found.only_b += [_named(label, key) for key in theirs if key not in ours]
    tokens = same_tokens(scores, records)
    for key, part in ours.items():
        if key not in theirs:
            continue
        check_versions(records, probe_set, part.metric)
        found.differences.append(difference(probe_set, instrument, part, theirs[key], same_tokens=tokens, seed=seed))


def _is_told(part: Part) -> bool:
    """Leave out single words: their differences are many, and each rests on few sentences."""
    return not part.scope.startswith("lexeme:")


def _named(label: str, key: PartKey) -> str:
    metric, scope, pair, of = key
    about = " ".join(word for word in (scope if scope != "all" else "", " against ".join(pair or ())) if word)
    return f"{label}{f':{of}' if of else ''}: {metric}" + (f" ({about})" if about else "")


def check_versions(records: tuple[RunRecord, RunRecord], probe_set: ProbeSet, metric: Metric) -> None:
    """Refuse runs whose own reports have another version of a metric than the one that is computed here.

    Raises:
        UsageError: one has.
    """
    for record in records:
        told = {e.metric_version for e in record.estimates if (e.probe_set, e.metric) == (probe_set.name, metric.name)}
        if told - {metric.version}:
            before = ", ".join(map(str, sorted(told)))
            raise UsageError(
                f"the runs cannot be compared: {record.run_id} has version {before} of the metric {metric.name} "
                f"('{probe_set.name}'), and this fairprint computes version {metric.version}",
                hint="audit that model again",
            )


def _same_answers(scores: PairedScores) -> bool:
    """Whether all that both runs answered is the same."""
    ours, theirs = (
        {(s.item, s.group, s.name): (s.value, s.text) for s in side if s.value is not None}
        for side in (scores.a, scores.b)
    )
    return bool(ours) and ours == theirs


def same_tokens(scores: PairedScores, records: tuple[RunRecord, RunRecord]) -> bool | None:
    """Whether both models cut texts into the same tokens, as far as their number tells; None where nothing tells."""

    def counts(side: Sequence[Score]) -> dict[str, float | None]:
        return {score.item: score.value for score in side if score.name == TOKENS}

    ours, theirs = counts(scores.a), counts(scores.b)
    if ours and theirs:
        return ours == theirs
    return True if records[0].plan.model.sha256 == records[1].plan.model.sha256 else None
