"""From what a user names to a backend that answers: hub ids, folders, GGUF files, packages, objects and pipelines."""

import hashlib
import io
import json
import logging
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fairprint.audit.records import ModelInfo
from fairprint.probes.errors import FairprintError, ModelError, UsageError, nearest
from fairprint.probes.requests import Backend

KINDS = ("masked", "causal")
DTYPES = ("float32", "bfloat16", "float16")
_WORKS = (
    "works so far: masked language models (BERT, DistilBERT, RoBERTa, ALBERT ...) and causal ones (GPT-2, Llama ...)"
)
_LONGEST_NAME = 200
"""Characters of a hub id with a revision at the most; an id alone has at most 96."""
_NOT_THE_MODEL = {"_name_or_path", "transformers_version", "architectures", "dtype"}
"""Keys of a config that saving adds or changes; the weights that are hashed say their own type."""
_HUB_ID = re.compile(r"^[\w.-]+(/[\w.-]+)?(@[\w./-]+)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a model lies.

    Attributes:
        name: how it is called in records: no machine's folders.
        location: folder or hub id for transformers.
        gguf_file: name of the GGUF file in the folder, or None.
        revision: of a hub id, or None.
    """

    name: str
    location: str
    gguf_file: str | None = None
    revision: str | None = None

    @property
    def is_hub_id(self) -> bool:
        """Whether the model has to come from a hub or its cache."""
        return not Path(self.location).exists()


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A backend and what a record says of its model."""

    backend: Backend
    info: ModelInfo


def find_model(given: str) -> Source:
    """Return where the model lies that a user names, without loading anything.

    Raises:
        UsageError: there is no such path, package or possible hub id, or it could be several.
    """
    if given.startswith("package:"):
        return _in_package(given)
    path = Path(given)
    is_folder, is_file = (given and _holds(check, path) for check in (Path.is_dir, Path.is_file))
    if path.suffix == ".gguf":
        if not is_file:
            raise UsageError(f"{given}: no such file")
        return Source(name=path.name, location=str(path.parent), gguf_file=path.name)
    if is_folder:
        return Source(name=path.resolve().name, location=str(path))
    if is_file:
        raise UsageError(f"{given} is a file; a model is a folder, a .gguf file, package:NAME or a hub id")
    if given.startswith((".", "/", "~")) or len(given) > _LONGEST_NAME or not _HUB_ID.match(given):
        raise UsageError(
            f"{given}: no such folder, and no hub id either", hint="a hub id is NAME or OWNER/NAME[@REVISION]"
        )
    location, _, revision = given.partition("@")
    return Source(name=given, location=location, revision=revision or None)


def _holds(check: Callable[[Path], bool], path: Path) -> bool:
    """Ask the file system; a name that no file can have is the name of no file."""
    try:
        return check(path)
    except (OSError, ValueError):
        return False


def _in_package(given: str) -> Source:
    name = given.removeprefix("package:")
    # find_spec of a dotted name would import the parent, and with it whatever the package does on import
    spec = find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(f"no installed package '{name}'", hint=f"pip install {name or 'NAME'}")
    roots = [Path(root) for root in spec.submodule_search_locations]
    files = {file: file.relative_to(root) for root in roots for file in sorted(root.rglob("*"))}
    folders = {
        file.parent: inside.parent
        for file, inside in files.items()
        if file.name == "config.json" and _has_model_type(file)
    }
    least = min((len(inside.parts) for inside in folders.values()), default=0)
    shallowest = {folder: inside for folder, inside in folders.items() if len(inside.parts) == least}
    found = shallowest or {file: inside for file, inside in files.items() if file.suffix == ".gguf"}
    if not found:
        raise UsageError(f"the package '{name}' holds no model: no config.json with a model_type, and no .gguf file")
    if len(found) > 1:
        told = ", ".join(map(str, found.values()))
        raise UsageError(f"the package '{name}' holds several models: {told}", hint="give the path of one")
    (path,) = found
    if path.suffix == ".gguf":
        return Source(name=given, location=str(path.parent), gguf_file=path.name)
    return Source(name=given, location=str(path))


def _has_model_type(file: Path) -> bool:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and isinstance(content.get("model_type"), str)


def check_device(given: str) -> str:
    """Return the device to use; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises:
        UsageError: there is no such device here.
    """
    import torch

    mps = torch.backends.mps.is_available()
    if given == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    here = ["cpu", *(["mps"] if mps else []), *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if given not in here and not (given == "cuda" and torch.cuda.is_available()):
        raise UsageError(f"no device '{given}' here.{nearest(given, here)}", hint=f"devices: auto, {', '.join(here)}")
    return given


def check_dtype(given: str) -> str:
    """Return a dtype by name.

    Raises:
        UsageError: it is not one of ours.
    """
    if given not in DTYPES:
        raise UsageError(f"no dtype '{given}'.{nearest(given, DTYPES)}", hint=f"dtypes: {', '.join(DTYPES)}")
    return given


def model_kind(config: Any, name: str) -> str:
    """Return ``masked`` or ``causal``: from the architectures of the config, else by model type.

    Raises:
        ModelError: another kind; the message says what works so far.
    """
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL,
    )
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_MASKED_LM_MAPPING_NAMES as MASKED,
    )

    # an encoder-decoder is in the tables too, under heads that are not what it was trained for
    if not getattr(config, "is_encoder_decoder", False):
        for architecture in config.architectures or ():
            kind = _kind_of_class(architecture)
            if kind:
                return kind
            if "For" in architecture and not architecture.endswith("ForPreTraining"):
                raise ModelError(f"{name} is a {architecture}, which has no language-model head; {_WORKS}")
        # encoders stand in both tables, since they can be run as decoders; decoders stand in one
        for kind, table in (("masked", MASKED), ("causal", CAUSAL)):
            if config.model_type in table:
                return kind
    raise ModelError(f"{name} is a {config.model_type} model, which cannot be audited; {_WORKS}")


def _kind_of_class(architecture: str) -> str | None:
    if architecture.endswith("ForMaskedLM"):
        return "masked"
    return "causal" if architecture.endswith(("ForCausalLM", "LMHeadModel")) else None


def open_model(
    source: Source, *, device: str = "cpu", dtype: str = "float32", trust_remote_code: bool = False, **options: Any
) -> Opened:
    """Load a model and its tokenizer.

    Args:
        source: from ``find_model``.
        device: from ``check_device``.
        dtype: one of ``DTYPES``.
        trust_remote_code: run code that comes with the model.
        options: batch options of the backend.

    Raises:
        UsageError: a hub id that cannot be found.
        ModelError: the model cannot be loaded, or has no language-model head.
    """
    import torch
    import transformers

    where: dict[str, Any] = {"trust_remote_code": trust_remote_code}
    if source.gguf_file:
        where["gguf_file"] = source.gguf_file
    if source.revision:
        where["revision"] = source.revision
    with _quiet(), _loading(source):
        config = transformers.AutoConfig.from_pretrained(source.location, **where)
        kind = model_kind(config, source.name)
        classes = {"masked": transformers.AutoModelForMaskedLM, "causal": transformers.AutoModelForCausalLM}
        tokenizer = transformers.AutoTokenizer.from_pretrained(source.location, **where)
        if not set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens):
            # transformers makes an empty one where the files are missing
            raise ModelError(f"{source.name} has no tokenizer", hint="save the tokenizer into the model's folder")
        model, report = classes[kind].from_pretrained(
            source.location, config=config, dtype=getattr(torch, dtype), output_loading_info=True, **where
        )
        _check_head(model, report, source.name)
        model.to(device).eval()
    weights = _gguf_weights(Path(source.location) / source.gguf_file) if source.gguf_file else "as stored"
    return _opened(model, tokenizer, kind, source.name, weights, getattr(config, "_commit_hash", None), options)


def open_object(model: Any, tokenizer: Any, **options: Any) -> Opened:
    """Wrap a model object with its tokenizer, or a transformers pipeline (then ``tokenizer`` may be None).

    Raises:
        UsageError: no tokenizer was given.
        ModelError: the model has no language-model head.
    """
    import transformers

    if isinstance(model, transformers.Pipeline):
        model, tokenizer = model.model, tokenizer or model.tokenizer
    if tokenizer is None:
        raise UsageError("a model object needs its tokenizer", hint="audit(model, tokenizer=tokenizer)")
    name = Path(str(getattr(model, "name_or_path", "") or type(model).__name__)).name
    told = type(model).__name__
    kind = _kind_of_class(told) if isinstance(model, transformers.PreTrainedModel) else None
    if kind is None:
        raise ModelError(f"{name} is a {told}, which has no language-model head; {_WORKS}")
    model.eval()
    return _opened(model, tokenizer, kind, name, "in memory", getattr(model.config, "_commit_hash", None), options)


def _opened(
    model: Any, tokenizer: Any, kind: str, name: str, weights: str, revision: str | None, options: dict[str, Any]
) -> Opened:
    from fairprint.audit.backends.causal import CausalBackend
    from fairprint.audit.backends.masked import MaskedBackend

    backend = {"masked": MaskedBackend, "causal": CausalBackend}[kind](model, tokenizer, name=name, **options)
    info = ModelInfo(
        name=name,
        revision=revision,
        sha256=fingerprint(model, tokenizer),
        model_type=model.config.model_type,
        kind=kind,
        architecture=type(model).__name__,
        weights=weights,
        dtype=str(model.dtype).removeprefix("torch."),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        notes=backend.notes(),
    )
    return Opened(backend=backend, info=info)


def fingerprint(model: Any, tokenizer: Any) -> str:
    """Return a hash over weights, tokenizer and config: the same for a hub model, a copy of it and the object."""
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    # how a text was last padded or cut is a state of the tokenizer object, and no score depends on it
    rules = json.loads(tokenizer.backend_tokenizer.to_str()) | {"padding": None, "truncation": None}
    digest.update(json.dumps([rules, tokenizer.special_tokens_map], sort_keys=True, default=str).encode())
    config = {k: v for k, v in model.config.to_dict().items() if k not in _NOT_THE_MODEL}
    digest.update(json.dumps(config, sort_keys=True, default=str).encode())
    return digest.hexdigest()


def _check_head(model: Any, report: dict[str, Any], name: str) -> None:
    """Refuse a checkpoint whose weights are incomplete: transformers would fill the rest with random numbers."""
    missing = sorted(report["missing_keys"])
    if report["mismatched_keys"]:
        raise ModelError(
            f"{name}: weights of another shape than the config says: {sorted(report['mismatched_keys'])[:3]}"
        )
    if not missing:
        return
    prefix = model.base_model_prefix + "."
    if all(not key.startswith(prefix) for key in missing):
        raise ModelError(f"{name} is an encoder without a language-model head; it answers: embed", hint=_WORKS)
    raise ModelError(f"{name}: {len(missing)} weights are missing from the checkpoint, such as {missing[0]}")


def _gguf_weights(file: Path) -> str:
    from collections import Counter

    from gguf import GGUFReader

    types = Counter(tensor.tensor_type.name for tensor in GGUFReader(str(file)).tensors)
    quantised = [f"{name} ({count})" for name, count in types.most_common() if name not in {"F32", "F16", "BF16"}]
    return f"GGUF, de-quantised from {', '.join(quantised)}" if quantised else "GGUF"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' bars and load reports off the terminal while a model loads."""
    from transformers.utils import logging as hf

    bars = hf.is_progress_bar_enabled()
    hf.disable_progress_bar()
    loggers = [logging.getLogger(name) for name in ("transformers", "huggingface_hub", "gguf")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        # the bar of the GGUF reader knows no switch; what goes wrong comes as an exception, not on stderr
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if bars:
            hf.enable_progress_bar()


@contextmanager
def _loading(source: Source) -> Iterator[None]:
    """Turn what a loader raises into one sentence with a way out."""
    try:
        yield
    except FairprintError:
        raise
    except ImportError as error:
        hint = "pip install 'fairprint[gguf]'" if source.gguf_file else None
        raise ModelError(f"{source.name} cannot be loaded: {_first_line(error)}", hint=hint) from error
    except Exception as error:
        if source.is_hub_id and isinstance(error, OSError):
            offline = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE")
            place = "in the local cache (offline)" if offline else "on the hub or in the local cache"
            raise UsageError(
                f"no model '{source.name}' here or {place}",
                hint="check the name; a folder, a .gguf file or package:NAME works without a hub",
            ) from error
        raise ModelError(f"{source.name} cannot be loaded: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
