"""Recorded answers in the place of a model: each finds its item, and the shards of a run are filled with them."""

from collections.abc import Sequence
from dataclasses import replace

from fairprint.audit.answers import Recording
from fairprint.audit.models import Opened
from fairprint.audit.placing import Placing
from fairprint.audit.questions import Questions, Shard, prepare
from fairprint.audit.records import ModelInfo
from fairprint.probes.catalog import own_names
from fairprint.probes.errors import UsageError, nearest
from fairprint.probes.instruments import INSTRUMENTS
from fairprint.probes.items import ProbeSet
from fairprint.probes.requests import REQUEST_NAMES, Backend
from fairprint.probes.scores import CHOICE, COMPLETION, CORRECT, COSINE, PROBABILITY, Score

COST_NOT_KNOWN = (
    "the answers were recorded before and replayed: energy and emissions are those of the replay, and what it cost to "
    "produce the answers is not known"
)

_GIVEN_BY = {
    COSINE: ("embed",),
    PROBABILITY: ("classify",),
    CHOICE: ("classify",),
    CORRECT: ("classify",),
    COMPLETION: ("generate",),
    "": ("generate",),
}
"""Which request gives numbers of a name (of texts that were generated: none), if not one for log-probabilities."""


class Replay(Backend):
    """Stands where a model stands, and gives for each shard the scores that were recorded.

    Args:
        name: of the file.
        scores: by the name of the shard.
        notes: what a reader must know.
        model_name: of the model that gave the answers, as the file says, or None; after it in brackets how it was
            asked, where the file tells several ways apart.
    """

    def __init__(self, name: str, scores: dict[str, list[Score]], notes: Sequence[str], model_name: str | None) -> None:
        self.name = name
        self.model_name = model_name
        self._scores = scores
        self._notes = tuple(notes)

    def answers(self) -> tuple[str, ...]:
        """Names of all requests: what was recorded has been answered."""
        return REQUEST_NAMES

    def scores(self, shard: Shard) -> list[Score]:
        """Return the recorded scores of a shard in the order of the file, then those that it does not hold."""
        return self._scores[shard.name]

    def notes(self) -> tuple[str, ...]:
        """What a reader must know of the file."""
        return self._notes


def recorded_questions(
    recording: Recording,
    probes: Sequence[str | ProbeSet] | None,
    *,
    instruments: Sequence[str] = (),
    limit: int | None = None,
) -> Questions:
    """Find what the recorded answers are answers to.

    Args:
        recording: the answers.
        probes: names, files or probe sets; where None, those of our own that the answers name.
        instruments: names; where empty, those that the answers to each set name, else the set's own one.
        limit: items of each set at the most.

    Raises:
        UsageError: as ``prepare``; or the answers name no set, or none of ours, or an instrument that there is not.
    """
    named = recording.named("probe_set")
    if probes is None:
        unknown = next((name for name in named if name not in own_names()), None)
        if unknown is not None or not named:
            told = f"is answers to '{unknown}', which is none of our own probe sets" if named else "names no probe set"
            close = nearest(unknown, own_names()) if unknown else ""
            raise UsageError(f"{recording.file} {told}.{close}", hint="give the set with --probes NAME or FILE")
        probes = named
    for answer in recording.answers:
        if answer.instrument is not None and answer.instrument not in INSTRUMENTS:
            close = nearest(answer.instrument, INSTRUMENTS)
            hint = f"instruments: {', '.join(INSTRUMENTS)}"
            recording.fail(answer.line, f"no instrument '{answer.instrument}'.{close}", hint)
    if instruments:
        return prepare(probes, instruments=instruments, limit=limit)
    # each set as its own answers say: an instrument that suits two sets may have been asked of one
    found = prepare(probes)
    said = {p.name: recording.instruments(p.name) or (_likely(recording, p),) for p in found.probe_sets}
    every = tuple(dict.fromkeys(name for names in said.values() for name in names))
    asked = prepare(found.probe_sets, instruments=every, limit=limit)
    kept = {name: tuple(i for i in asked.instruments[name] if i.name in names) for name, names in said.items()}
    for name, names in said.items():
        if len(kept[name]) < len(names):
            told = f"{recording.file}: '{name}' cannot be asked with all of {', '.join(names)}, as its answers say"
            raise UsageError(told, hint="--instrument says which of them to read")
    return replace(
        asked, instruments=kept, shards=tuple(s for s in asked.shards if s.instrument in kept[s.probe_set.name])
    )


def _likely(recording: Recording, probe_set: ProbeSet) -> str:
    """Return the first instrument that suits a set and gives numbers such as its answers hold."""
    names = {a.name.partition(":")[0] for a in recording.answers if a.probe_set in (None, probe_set.name)}
    needs = {request for name in names for request in _GIVEN_BY.get(name, ("fill", "likelihood"))}
    suitable = [i for i in INSTRUMENTS.values() if probe_set.scored in i.suits]
    return next((i.name for i in suitable if i.needs in needs), suitable[0].name)


def open_recording(recording: Recording, questions: Questions) -> Opened:
    """Put recorded answers in the place of a model.

    Raises:
        UsageError: a set has no answer at all, one score has two values, or a row could answer several questions.
    """
    placing = Placing(recording, questions)
    scores = {shard.name: placing.scores(shard) for shard in questions.shards}
    name = recording.model.name
    called = f"{name} ({recording.asked})" if name and recording.asked else name
    backend = Replay(recording.name, scores, [COST_NOT_KNOWN, *placing.notes(), *recording.notes], called)
    return Opened(backend=backend, info=_info(recording))


def _info(recording: Recording) -> ModelInfo:
    said = recording.model
    name = said.name.replace("\\", "/").rpartition("/")[2] if said.name and said.name[:1] in "/~." else said.name
    what = ", ".join(word for word in (said.kind, f"sha256 {said.sha256}" if said.sha256 else None) if word)
    told = f"the file says that {name} gave the answers" + (f" ({what})" if what else "")
    return ModelInfo(
        name=recording.name,
        revision=said.revision,
        sha256=recording.sha256,
        model_type=said.model_type or "unknown",
        kind="recorded",
        architecture=said.architecture or "unknown",
        weights=f"not loaded: answers of {name}, as recorded" if name else "not loaded: answers as recorded",
        dtype=said.dtype or "unknown",
        parameters=said.parameters,
        notes=(told if name else "the file does not say which model gave the answers",),
    )
