"""StereoSet's predictions: what ``recorded:stereoset:FILE.json`` reads, as the authors' code writes them.

A file is one JSON object with a list ``intrasentence``, ``intersentence`` or both; an entry is the ``id`` of a sentence
and its ``score``, of which no more is known than that a likelier sentence has a larger one. ``null`` is a score that is
missing. The name of the model is the second part of a file name such as ``predictions_gpt2.json``.
"""

from pathlib import Path

from fairprint.audit.answers import Answer, RecordedModel, Recording
from fairprint.probes.readers.json_files import Node, read_json
from fairprint.probes.scores import LIKENESS

PARTS = ("intrasentence", "intersentence")
"""The lists of a file."""
NAME = "stereoset"
"""Of the probe set that the answers are to, and of the instrument that they are said to come from."""
_PREFIX = "predictions_"


def read_predictions(file: str, content: bytes) -> Recording:
    """Read a file of scores of sentences.

    Raises:
        ProbeFileError: it is no such file, or a sentence has two scores; the message names the place.
    """
    path = Path(file)
    document = read_json(path)
    root = document.root
    root.only(*PARTS)
    parts = [part for name in PARTS if (part := root.find(name)) is not None]
    if not parts:
        raise root.error(
            f"there is no list {' or '.join(PARTS)}", hint=f'expected {{"{PARTS[0]}": [{{"id", "score"}}]}}'
        )
    scores: dict[str, tuple[float | None, Node]] = {}
    for entry in (entry for part in parts for entry in part.entries()):
        entry.only("id", "score")
        sentence, score = entry.text("id"), _score(entry)
        earlier = scores.setdefault(sentence, (score, entry))
        if earlier[0] != score:
            told = f"the sentence '{sentence}' has the score {score} here and {earlier[0]} in {earlier[1].where}"
            raise entry.error(told)
    model = _model(path.stem)
    told = f"the name of the model, {model}, is taken from the name of the file, as the authors' code does"
    return Recording(
        file=file,
        name=path.name,
        sha256=document.sha256,
        model=RecordedModel(name=model),
        answers=tuple(_answer(sentence, score, entry) for sentence, (score, entry) in scores.items()),
        labels={},
        notes=(*([told] if model else []), *document.remarks),
        where_missing="the authors' code would end there with a KeyError",
    )


def _score(entry: Node) -> float | None:
    return None if entry.at("score").value is None else entry.number("score")


def _model(stem: str) -> str | None:
    return (stem.split("_")[1] or None) if stem.startswith(_PREFIX) else None


def _answer(sentence: str, score: float | None, entry: Node) -> Answer:
    return Answer(
        line=entry.where,
        probe_set=NAME,
        instrument=NAME,
        run=None,
        item=None,
        text=None,
        group="",
        template=None,
        lexeme=None,
        category=None,
        name=LIKENESS,
        value=score,
        label=None,
        note="" if score is not None else "recorded without an answer",
        sentence=sentence,
    )
