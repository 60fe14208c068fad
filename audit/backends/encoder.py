"""Embedding models: encoders without a head, and sentence-transformers folders.

A text's vector is made from the last hidden states of its tokens. How, a sentence-transformers folder says in
``modules.json`` and ``1_Pooling/config.json``; a plain encoder says nothing, and gets the mean, which is noted.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fairprint.audit.backends.hf import Encoded, TransformersBackend
from fairprint.audit.sources import Source, text_of
from fairprint.probes.errors import ModelError
from fairprint.probes.requests import EmbedRequest, EmbedResponse

POOLINGS = {
    "mean": "the mean over its tokens' last hidden states, special tokens included",
    "cls": "the last hidden state of its first token",
}
"""How the vectors of tokens become one, as sentence-transformers calls it and in words."""
_RUNS = (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
"""The chains of sentence-transformers modules that are run here."""

Row = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a text becomes a vector.

    Attributes:
        pooling: a name in ``POOLINGS``.
        unit: whether vectors are scaled to length 1.
        prompt: what is put before each text.
        lower: whether texts are put in lower case first.
        max_length: tokens of a text at the most, or None where only the model itself sets a limit.
        origin: where this is said, for notes.
    """

    pooling: str = "mean"
    unit: bool = False
    prompt: str = ""
    lower: bool = False
    max_length: int | None = None
    origin: str = "chosen here, since no modules.json beside the model says how"

    def notes(self) -> tuple[str, ...]:
        """Say how a text becomes a vector."""
        told = f"a text's vector is {POOLINGS[self.pooling]}" + (", scaled to length 1" if self.unit else "")
        return (
            f"{told} ({self.origin})",
            *([f"before each text stands the model's own default prompt: {self.prompt!r}"] if self.prompt else []),
            *(["texts are put in lower case first, as the model's settings say"] if self.lower else []),
        )


class EncoderBackend(TransformersBackend):
    """Answers with embeddings: one vector a text, from the last hidden states of an encoder.

    Texts are batched with others of the same length in tokens, so that no row is padded, and what a text is batched
    with moves its vector by float32 rounding at the most.

    Args:
        model: the model, already on its device and in evaluation mode.
        tokenizer: a fast tokenizer.
        options: those of ``TransformersBackend``; where dry, all vectors are 0.

    Attributes:
        recipe: how a text becomes a vector.

    Raises:
        ModelError: the tokenizer is not a fast one, or the model's modules.json names steps that are not run here.
    """

    def __init__(self, model: Any, tokenizer: Any, **options: Any) -> None:
        super().__init__(model, tokenizer, **options)
        self.recipe = read_recipe(model, self.name)
        self.max_length = min(self.max_length, self.recipe.max_length or self.max_length)
        self._notes |= dict.fromkeys(self.recipe.notes())

    def embed(self, requests: Sequence[EmbedRequest]) -> list[EmbedResponse]:
        """Return the vector of each text; a text that the tokenizer or the model cannot take has none, and a note.

        Raises:
            ModelError: a single text does not fit into memory.
        """
        encoded = [self.encode(self._told(request.text)) for request in requests]
        problems = [self._problem(e) for e in encoded]
        vectors = self._vectors({e.ids for e, problem in zip(encoded, problems, strict=True) if problem is None})
        return [
            EmbedResponse(vector=vectors[e.ids], note=_unknown(self._content(e)))
            if problem is None
            else EmbedResponse(vector=None, note=problem)
            for e, problem in zip(encoded, problems, strict=True)
        ]

    def _told(self, text: str) -> str:
        told = self.recipe.prompt + text
        return told.lower() if self.recipe.lower else told

    def _content(self, encoded: Encoded) -> list[bool]:
        """Return the tokens of the text itself, without prompt and special tokens: whether each one is unknown."""
        start = len(self.recipe.prompt)
        return [
            unknown
            for unknown, found in zip(encoded.unknown, encoded.ranges, strict=True)
            if found is not None and found[1] > max(found[0], start)
        ]

    def _problem(self, encoded: Encoded) -> str | None:
        """Return why a text has no vector that says anything about it, or None."""
        content = self._content(encoded)
        if not content:
            return "no token covers this text"
        if all(content):
            return "a text that the tokenizer does not know"
        return self._too_long(len(encoded.ids))

    def _vectors(self, rows: set[Row]) -> dict[Row, tuple[float, ...]]:
        self.counted += sum(map(len, rows))
        vectors: dict[Row, tuple[float, ...]] = {row: (0.0,) for row in rows}
        for batch in () if self.dry else self._batches(rows):
            self._within_memory(batch, lambda part: vectors.update(self._run_rows(part)), len)
        return vectors

    def _batches(self, rows: set[Row]) -> Iterator[list[Row]]:
        """Cut rows into batches of equal length, as a pure function of the rows."""
        batch: list[Row] = []
        for row in sorted(rows, key=lambda ids: (len(ids), ids)):
            most = min(self.batch_size, self.batch_tokens // len(row))
            if batch and (len(batch) >= most or len(row) != len(batch[0])):
                yield batch
                batch = []
            batch.append(row)
        if batch:
            yield batch

    def _run_rows(self, rows: Sequence[Row]) -> dict[Row, tuple[float, ...]]:
        with torch.inference_mode():
            hidden = self.model(input_ids=self._tensor(rows)).last_hidden_state
            # on the CPU, since not every device has float64, and a mean in bfloat16 would lose what the model knows
            hidden = hidden.float().cpu().double()
            pooled = hidden.mean(dim=1) if self.recipe.pooling == "mean" else hidden[:, 0]
            if self.recipe.unit:
                pooled = torch.nn.functional.normalize(pooled, dim=-1)
        return dict(zip(rows, map(tuple, pooled.tolist()), strict=True))


def _unknown(content: Sequence[bool]) -> str:
    return f"{sum(content)} of {len(content)} tokens unknown to the tokenizer" if any(content) else ""


def read_recipe(model: Any, name: str) -> Recipe:
    """Return how a model's texts become vectors, from the files that lie beside it.

    Args:
        model: a transformers model; where it was loaded from says where its files are.
        name: how the model is called in messages.

    Raises:
        ModelError: the files ask for steps that are not run here, since vectors without them would be others.
    """
    modules = _read(model, "modules.json")
    if modules is None:
        return Recipe()
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise ModelError(f"{name}: its modules.json is no list of modules")
    # where the classes stand has moved between versions: sentence_transformers.models.Pooling, ...pooling.Pooling
    types = [str(module.get("type", "")).rpartition(".")[2] for module in modules]
    if types not in _RUNS:
        raise ModelError(
            f"{name}: its modules.json asks for {', '.join(types) or 'nothing'}; what can be run is Transformer, "
            "Pooling and, where asked for, Normalize"
        )
    pooling = _settings(model, f"{modules[1].get('path') or '1_Pooling'}/config.json")
    settings = _settings(model, "sentence_bert_config.json", f"sentence_{model.config.model_type}_config.json")
    prompts = _settings(model, "config_sentence_transformers.json")
    prompt = prompts.get("prompts", {}).get(prompts.get("default_prompt_name"), "")
    if prompt and not pooling.get("include_prompt", True):
        raise ModelError(f"{name}: it leaves its prompt {prompt!r} out of the pooling, which cannot be done here")
    return Recipe(
        pooling=_pooling(pooling, name),
        unit="Normalize" in types,
        prompt=prompt,
        lower=bool(settings.get("do_lower_case")),
        max_length=settings.get("max_seq_length"),
        origin="as the modules.json of the model says",
    )


def _pooling(config: dict[str, Any], name: str) -> str:
    """Return the one way of pooling that a config names; older ones have a switch for each, newer ones one word."""
    named = config.get("pooling_mode")
    prefix = "pooling_mode_"
    asked = [key.removeprefix(prefix) for key, on in config.items() if key.startswith(prefix) and on is True]
    asked = [mode.removesuffix("_token").removesuffix("_tokens") for mode in asked]
    found = [named] if isinstance(named, str) else asked
    if len(found) != 1 or found[0] not in POOLINGS:
        raise ModelError(
            f"{name}: its pooling is {' and '.join(found) or 'not said'}; what can be run is {' or '.join(POOLINGS)}"
        )
    return found[0]


def _settings(model: Any, *files: str) -> dict[str, Any]:
    """Return the content of the first of some files that is there, or nothing."""
    found: Any = next((content for file in files if (content := _read(model, file)) is not None), None)
    return found if isinstance(found, dict) else {}


def _read(model: Any, file: str) -> Any:
    """Return the content of a JSON file beside a model, in its folder or on the hub; None where there is none."""
    place = str(getattr(model, "name_or_path", "") or "")
    if not place:
        return None
    try:
        commit = getattr(model.config, "_commit_hash", None)
        return json.loads(text_of(Source(name=place, location=place, revision=commit), file))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{Path(place).name}: {file} is no JSON: {error}") from None
    except (OSError, ValueError):
        # no such file; or no such repository, since a model object can bear any name
        return None
