"""Classifiers of texts (any ForSequenceClassification) and of images (any ForImageClassification).

A text is padded to the longest of its batch where the model can tell padding from text, and goes alone where it
cannot; an image is never padded. Batches are a pure function of the inputs, and inputs that are equal go through the
model once.
"""

import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from fairprint.audit.backends.hf import BATCH_SIZE, BATCH_TOKENS, TOLERANCE, max_length
from fairprint.audit.backends.memory import within_memory
from fairprint.probes.errors import ModelError, RefusalError
from fairprint.probes.requests import Backend, ClassifyRequest, ClassifyResponse

IMAGES_OF_A_BATCH = 32
"""Images of a batch at the most: at 224 x 224 pixels, the activations of a large model then stay below 2 GB."""

_USUAL_SIDE, _USUAL_PATCH = 224, 16

Row = tuple[tuple[str, tuple[int, ...]], ...]
"""The inputs of one text by name, as the tokenizer gives them."""
Key = TypeVar("Key", bound=Hashable)


class _Classifier(Backend, Generic[Key]):
    """What classifiers of texts and of images share: labels, and probabilities from logits.

    Args:
        model: the model, already on its device and in evaluation mode.
        name: how the model is called in messages.
        batch_size: inputs of a batch at the most.
        batch_tokens: tokens of a batch at the most, padding included.
        dry: make no forward pass; ``counted`` then says how many tokens would go through the model, and all labels
            are equally probable.

    Attributes:
        labels: names of the labels, in the order of the model's outputs.
        exclusive: whether one label is right at a time (softmax), or several can be (sigmoid).

    Raises:
        ModelError: the model has one output that is no probability (a regression head), or its labels have other
            numbers than its outputs.
    """

    def __init__(
        self,
        model: Any,
        *,
        name: str,
        batch_size: int,
        batch_tokens: int,
        dry: bool,
    ) -> None:
        config = model.config
        self.name = name
        self.model = model
        self.batch_size = batch_size
        self.batch_tokens = batch_tokens
        self.dry = dry
        self.counted = 0
        self.exclusive = config.problem_type != "multi_label_classification"
        numbers = sorted(int(number) for number in config.id2label)
        if config.problem_type == "regression" or (self.exclusive and len(numbers) == 1):
            outputs = "one output" if len(numbers) == 1 else f"{len(numbers)} outputs"
            raise ModelError(
                f"{name} has a regression head ({outputs}): it gives scores, and no probabilities of labels",
                hint="a classifier has two labels or more, or problem_type multi_label_classification in its config",
            )
        if numbers != list(range(len(numbers))):
            raise ModelError(f"{name}: its labels are numbered {numbers}; expected 0 to {len(numbers) - 1}")
        self.labels = tuple(str(config.id2label[number]) for number in numbers)
        self._notes: dict[str, None] = {}

    def tokens(self) -> int | None:
        """How many tokens went through the model so far; of texts that it writes, at the most."""
        return self.counted

    def notes(self) -> tuple[str, ...]:
        """What a reader must know of how the answers came about, so far."""
        told = () if self.exclusive else ("several labels can be right at a time: each has a probability of its own",)
        return (*told, *self._notes)

    def _probabilities(self, logits: torch.Tensor) -> list[tuple[float, ...]]:
        """Return softmax or sigmoid of [row, label] logits."""
        if logits.shape[-1] != len(self.labels):
            raise ModelError(
                f"{self.name} gives {logits.shape[-1]} outputs; its config names {len(self.labels)} labels"
            )
        exact = logits.float().cpu().double()
        found = torch.softmax(exact, dim=-1) if self.exclusive else torch.sigmoid(exact)
        return [tuple(row) for row in found.tolist()]

    def _uniform(self) -> tuple[float, ...]:
        return (1 / len(self.labels),) * len(self.labels)

    def _answer(self, probabilities: tuple[float, ...] | None, note: str = "") -> ClassifyResponse:
        return ClassifyResponse(labels=self.labels, probabilities=probabilities, note=note, exclusive=self.exclusive)

    def _within_memory(
        self, batch: Sequence[Key], run: Callable[[Sequence[Key]], torch.Tensor], size: Callable[[Key], str]
    ) -> dict[Key, tuple[float, ...]]:
        """Classify a batch, halving it where memory runs out.

        Raises:
            ModelError: a single input does not fit into memory.
        """
        found: dict[Key, tuple[float, ...]] = {}

        def classify(part: Sequence[Key]) -> None:
            with torch.inference_mode():
                found.update(zip(part, self._probabilities(run(part)), strict=True))

        within_memory(batch, classify, size, name=self.name, notes=self._notes)
        return found


class ClassifierBackend(_Classifier[Row]):
    """Answers with the probability of each label of a text.

    Args:
        model: the model, already on its device and in evaluation mode.
        tokenizer: its tokenizer.
        options: those of the base class.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        name: str,
        batch_size: int = BATCH_SIZE,
        batch_tokens: int = BATCH_TOKENS,
        dry: bool = False,
    ) -> None:
        super().__init__(model, name=name, batch_size=batch_size, batch_tokens=batch_tokens, dry=dry)
        self.tokenizer = tokenizer
        self.max_length = max_length(model, tokenizer)
        # models that read the last token find it by the padding id of their config, and take one text without it
        self.pads = tokenizer.pad_token_id is not None and tokenizer.pad_token_id == model.config.pad_token_id
        self._pad_values = {
            "input_ids": tokenizer.pad_token_id or 0,
            "token_type_ids": getattr(tokenizer, "pad_token_type_id", 0),
        }
        if self.pads and not dry:
            self._check_padding()

    def classify(self, requests: Sequence[ClassifyRequest]) -> list[ClassifyResponse]:
        """Label texts; one that is longer than the model takes has no answer, and a note.

        Raises:
            RefusalError: a request gives an image.
            ModelError: a single text does not fit into memory.
        """
        rows: list[Row] = []
        for request in requests:
            if request.text is None or request.image is not None:
                raise RefusalError(f"{self.name} classifies texts; it cannot read an image")
            rows.append(self._row(request.text))
        wanted = {row for row in rows if _length(row) <= self.max_length}
        self.counted += sum(map(_length, wanted))
        found = {row: self._uniform() for row in wanted} if self.dry else {}
        for batch in () if self.dry else self._batches(wanted):
            found |= self._within_memory(batch, self._logits, lambda row: f"one text of {_length(row)} tokens")
        return [
            self._answer(found[row])
            if row in found
            else self._answer(None, f"{_length(row)} tokens; the model takes {self.max_length}")
            for row in rows
        ]

    def _row(self, text: str) -> Row:
        return tuple((key, tuple(values)) for key, values in self.tokenizer(text, verbose=False).items())

    def _check_padding(self) -> None:
        """Compare a padded text with itself alone, and do without padding where they differ."""
        short, long = self._row("one"), self._row("one, two, three")
        if _length(short) == _length(long):
            return
        try:
            with torch.inference_mode():
                together, apart = self._logits([short, long])[0], self._logits([short])[0]
            self.pads = (together.float() - apart.float()).abs().max().item() <= TOLERANCE
        except (RuntimeError, IndexError, ValueError, TypeError):
            self.pads = False
        if not self.pads:
            self._notes["this model cannot tell padding from text: texts were classified one by one"] = None

    def _batches(self, rows: set[Row]) -> Iterator[list[Row]]:
        """Cut rows that are sorted by length into batches."""
        batch: list[Row] = []
        for row in sorted(rows, key=lambda row: (_length(row), row)):
            most = min(self.batch_size, self.batch_tokens // max(_length(row), 1)) if self.pads else 1
            if batch and len(batch) >= most:
                yield batch
                batch = []
            batch.append(row)
        if batch:
            yield batch

    def _logits(self, batch: Sequence[Row]) -> torch.Tensor:
        width = max(map(_length, batch))
        inputs = {}
        for number, (key, _) in enumerate(batch[0]):
            pad = self._pad_values.get(key, 0)
            # on the right, whatever the tokenizer says: on the left it moves the positions of the text
            padded = [(*row[number][1], *(pad,) * (width - _length(row))) for row in batch]
            inputs[key] = torch.tensor(padded, device=self.model.device)
        logits: torch.Tensor = self.model(**inputs).logits
        return logits


class ImageClassifierBackend(_Classifier[str]):
    """Answers with the probability of each label of an image file.

    Args:
        model: the model, already on its device and in evaluation mode.
        processor: its image processor.
        options: those of the base class; ``batch_size`` is taken down to ``IMAGES_OF_A_BATCH``.

    Raises:
        ModelError: the model needs more than the pixels of an image, or Pillow is not installed.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        *,
        name: str,
        batch_size: int = IMAGES_OF_A_BATCH,
        batch_tokens: int = BATCH_TOKENS,
        dry: bool = False,
    ) -> None:
        super().__init__(
            model, name=name, batch_size=min(batch_size, IMAGES_OF_A_BATCH), batch_tokens=batch_tokens, dry=dry
        )
        if model.main_input_name != "pixel_values":
            raise ModelError(
                f"{name} reads '{model.main_input_name}'; what can be classified is an image's pixels alone"
            )
        try:
            import PIL.Image  # noqa: F401
        except ImportError:
            raise ModelError("images are read with Pillow", hint="pip install 'fairprint[images]'") from None
        self.processor = processor

    def classify(self, requests: Sequence[ClassifyRequest]) -> list[ClassifyResponse]:
        """Label images; a file that is missing or is no image has no answer, and a note.

        Raises:
            RefusalError: a request gives a text.
            ModelError: a single image does not fit into memory.
        """
        for request in requests:
            if request.image is None or request.text is not None:
                raise RefusalError(f"{self.name} classifies images; it cannot read a text")
        paths = sorted({request.image for request in requests if request.image is not None})
        answers: dict[str, ClassifyResponse] = {}
        if self.dry:
            self.counted += len(paths) * self._tokens()
            answers = {path: self._answer(self._uniform()) for path in paths}
        for start in range(0, 0 if self.dry else len(paths), self.batch_size):
            answers |= self._classified(paths[start : start + self.batch_size])
        return [answers[request.image] for request in requests if request.image is not None]

    def _classified(self, paths: Sequence[str]) -> dict[str, ClassifyResponse]:
        """Read and label some files; images are decoded batch by batch, so that memory stays flat."""
        answers: dict[str, ClassifyResponse] = {}
        pixels: dict[str, torch.Tensor] = {}
        for path in paths:
            read = self._pixels(path)
            if isinstance(read, str):
                answers[path] = self._answer(None, read)
            else:
                pixels[path] = read
        self.counted += len(pixels) * self._tokens()
        # a processor that does not bring images to one size gives pixels of many: those of one size go together
        for shape in sorted({tuple(values.shape) for values in pixels.values()}):
            batch = [path for path, values in pixels.items() if tuple(values.shape) == shape]
            found = self._within_memory(batch, lambda part: self._logits([pixels[path] for path in part]), _one_image)
            answers |= {path: self._answer(probabilities) for path, probabilities in found.items()}
        return answers

    def _logits(self, pixels: Sequence[torch.Tensor]) -> torch.Tensor:
        stacked = torch.stack(list(pixels)).to(device=self.model.device, dtype=self.model.dtype)
        logits: torch.Tensor = self.model(pixel_values=stacked).logits
        return logits

    def _pixels(self, path: str) -> torch.Tensor | str:
        """Return what the processor makes of an image [channel, height, width], or why there is none."""
        from PIL import Image, ImageOps

        try:
            with warnings.catch_warnings():
                # an image of a billion pixels is an attack or an accident, and Pillow warns before it refuses
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with Image.open(path) as image:
                    upright = ImageOps.exif_transpose(image).convert("RGB")
        except FileNotFoundError:
            return "no such file"
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            return "an image of more pixels than is safe to open"
        except (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError) as error:
            # what Pillow raises on damaged files depends on their format
            return "a folder, no image" if Path(path).is_dir() else f"no image that can be read ({_told(error, path)})"
        values: torch.Tensor = self.processor(images=upright, return_tensors="pt")["pixel_values"][0]
        return values

    def _tokens(self) -> int:
        """How many tokens an image is to the model: its patches, for a forecast of the work.

        Models that convolve or merge patches use a parameter about as often as one with patches of 16 x 16 pixels.
        """
        size, patch = (_side(getattr(self.model.config, key, None)) for key in ("image_size", "patch_size"))
        asked = getattr(self.processor, "crop_size", None) or getattr(self.processor, "size", None) or {}
        side = size or next((int(asked[key]) for key in ("height", "shortest_edge") if asked.get(key)), _USUAL_SIDE)
        return max(side // max(patch or 0, _USUAL_PATCH), 1) ** 2


def _length(row: Row) -> int:
    return len(row[0][1])


def _side(given: Any) -> int | None:
    return int(given[0]) if isinstance(given, (list, tuple)) else given


def _one_image(path: str) -> str:
    return f"the image {Path(path).name}"


def _told(error: BaseException, path: str) -> str:
    """Return what went wrong without the path, which is one machine's."""
    if type(error).__name__ == "UnidentifiedImageError":
        return "its format is not known"
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return said.replace(path, "it").splitlines()[0] if said else type(error).__name__
