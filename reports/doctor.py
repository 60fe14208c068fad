"""What ``fairprint doctor`` finds: whether an audit can run here, what its numbers mean, and what suits a model."""

import os
import platform
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from importlib.util import find_spec

from fairprint.audit.adapters import base_name
from fairprint.audit.carbon import sensors
from fairprint.audit.models import kind_of
from fairprint.audit.provenance import cpu_name, package_versions
from fairprint.audit.questions import prepare
from fairprint.audit.recorded import read_recording
from fairprint.audit.runner import suite_languages
from fairprint.audit.sources import Source, find_model
from fairprint.probes.catalog import own_names, own_set
from fairprint.probes.errors import UsageError
from fairprint.probes.forms import TEXT
from fairprint.probes.instruments import INSTRUMENTS, Ability, Instrument
from fairprint.probes.labelled import IMAGES, TEXTS


def findings() -> Iterator[tuple[str, str]]:
    """Yield each finding as what was looked at and what was found."""
    import torch

    yield "fairprint", version("fairprint")
    yield "python", platform.python_version()
    yield from package_versions().items()
    yield "processor", f"{cpu_name()}, {torch.get_num_threads()} threads"
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    yield "accelerators", ", ".join(gpus) or ("mps" if torch.backends.mps.is_available() else "none")
    for component in sensors():
        yield f"energy of {component.name}", f"{component.sensor}: {component.detail}"
    have = find_spec("gguf") is not None and find_spec("accelerate") is not None
    yield "GGUF files", "can be read" if have else "cannot be read: pip install 'fairprint[gguf]'"
    have = find_spec("peft") is not None
    yield "adapters", "can be merged" if have else "cannot be merged: pip install 'fairprint[adapters]'"
    have = find_spec("openai") is not None
    yield "models behind servers", "can be asked" if have else "cannot be asked: pip install 'fairprint[endpoint]'"
    offline = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE")
    asked = "questions to a server given as openai:MODEL@URL"
    allowed = f"only {asked} (HF_HUB_OFFLINE is set)" if offline else f"only a model given by its hub id, and {asked}"
    yield "goes online", allowed
    yield "never goes online", "probe sets, the energy meter, grid factors, reports; there is no telemetry"


def about(model: str, *, trust_remote_code: bool = False) -> Iterator[tuple[str, str]]:
    """Yield what is known of a model before it is loaded: its kind, what it answers, which probe sets suit it, and how.

    Raises:
        UsageError: there is no such model.
        ModelError: it is of a kind that cannot be audited.
    """
    source = find_model(model)
    yield "model", source.name
    if source.recorded is not None:
        yield from _about_answers(source, source.recorded)
        return
    kind = kind_of(source, trust_remote_code=trust_remote_code)
    ability = kind.ability()
    yield "kind", f"{kind.name}: {kind.examples}"
    if source.adapter is not None:
        have = "" if find_spec("peft") is not None else "; pip install 'fairprint[adapters]' first"
        yield "adapter", f"is merged into {base_name(source)}{have}"
    yield "answers", ", ".join(ability.answers)
    if source.endpoint is not None:
        yield "what this server answers", "is found by asking it, when an audit begins"
    languages, how = suite_languages(source, ())
    yield "languages", how
    yield from _sets(ability, languages)


def _sets(ability: Ability, languages: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the own sets that are asked where nobody names one, those that can be asked by name, and own files."""
    try:
        questions = prepare(languages=languages, ability=ability)
        asked, left_out = questions.instruments, questions.not_asked
    except UsageError as error:
        yield "is asked", error.message
        asked, left_out = {}, {}
    able = {name: [i.name for i in _instruments(ability) if own_set(name).scored in i.suits] for name in own_names()}
    for name in asked:
        first = ", ".join(i.name for i in asked[name])
        others = ", ".join(i for i in able[name] if i not in [i.name for i in asked[name]])
        yield f"is asked {name}", first + (f"; with --instrument also {others}" if others else "")
    for name, instruments in able.items():
        if instruments and name not in asked:
            why = f"; not asked by itself: {left_out[name]}" if name in left_out else ""
            yield f"can be asked {name}", f"{', '.join(instruments)} (--probes {name}){why}"
    yield (
        "cannot be asked",
        ", ".join(name for name, instruments in able.items() if not instruments) or "none of our sets",
    )
    scored = dict.fromkeys(what for i in _instruments(ability) for what in i.suits)
    files = ", ".join(what for what in scored if what not in (TEXTS, IMAGES, TEXT))
    told = [f"probe files with 'scored' {files}"] if files else []
    told += ["texts:FILE.txt, one sentence a line"] if TEXT in scored else []
    told += [f"labelled:FILE.csv of {what}" for key, what in ((TEXTS, "texts"), (IMAGES, "images")) if key in scored]
    yield "own files", "; ".join(told) or "none"


def _instruments(ability: Ability) -> list[Instrument]:
    return [instrument for instrument in INSTRUMENTS.values() if ability.suits(instrument)]


def _about_answers(source: Source, form: str) -> Iterator[tuple[str, str]]:
    """Yield what a file of recorded answers says of itself."""
    recording = read_recording(source.location, form)
    said = recording.model
    names = Counter(answer.name or "generated text" for answer in recording.answers)
    yield "kind", "recorded: answers that were given before"
    yield "answered by", ", ".join(word for word in (said.name, said.kind) if word) or "the file does not say"
    yield "answers", ", ".join(f"{name} ({rows:,})" for name, rows in names.items())
    yield "probe sets", ", ".join(recording.named("probe_set")) or "the file names none: --probes says which"
    yield "instruments", ", ".join(recording.named("instrument")) or "the file names none: the one that suits each set"
    for note in recording.notes:
        yield "note", note
