"""From a source, a model object or a pipeline to a backend that answers."""

import hashlib
import io
import json
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fairprint.audit.adapters import merge_adapter, tokenizer_place
from fairprint.audit.gguf_files import read_once, weights_of
from fairprint.audit.kinds import KINDS, Kind, kind_of_class, model_kind, refusal, works
from fairprint.audit.memory import keep_freed_memory
from fairprint.audit.records import ModelInfo
from fairprint.audit.sources import Source
from fairprint.probes.errors import FairprintError, ModelError, UsageError
from fairprint.probes.requests import Backend

_NOT_THE_MODEL = {"_name_or_path", "transformers_version", "architectures", "dtype"}
"""Keys of a config that saving adds or changes; the weights that are hashed say their own type."""
_CLASSIFIERS = (*KINDS["classifier"].architectures, *KINDS["image-classifier"].architectures)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A backend and what a record says of its model."""

    backend: Backend
    info: ModelInfo


def open_model(
    source: Source, *, device: str = "cpu", dtype: str = "float32", trust_remote_code: bool = False, **options: Any
) -> Opened:
    """Load a model and its tokenizer or image processor.

    Args:
        source: from ``find_model``.
        device: from ``check_device``.
        dtype: one of ``DTYPES``.
        trust_remote_code: run code that comes with the model.
        options: batch options of the backend; of a server, how many requests are under way at once (``batch_size``)
            and the fields of ``Limits``.

    Raises:
        UsageError: a hub id that cannot be found.
        ModelError: the model cannot be loaded, or has no language-model head.
    """
    if source.endpoint is not None:
        return _open_endpoint(source, source.endpoint, options)
    import torch

    keep_freed_memory()
    with _quiet(), _loading(source), read_once(source.gguf_file):
        config, tokenizer, kind = _described(source, trust_remote_code)
        model, report = kind.load_class().from_pretrained(
            source.location,
            config=config,
            dtype=getattr(torch, dtype),
            output_loading_info=True,
            **_where(source, trust_remote_code),
        )
        _drop_unused(model, report, kind)
        _check_head(model, report, source.name)
        weights = weights_of(Path(source.location) / source.gguf_file) if source.gguf_file else "as stored"
        if source.adapter is not None:
            model, weights = merge_adapter(model, tokenizer, source, kind.name)
        model.to(device).eval()
    return _opened(model, tokenizer, kind, source.name, weights, getattr(config, "_commit_hash", None), options)


def _open_endpoint(source: Source, url: str, options: dict[str, Any]) -> Opened:
    from fairprint.audit.backends.endpoint import EndpointBackend
    from fairprint.audit.backends.endpoint_client import EndpointClient
    from fairprint.audit.backends.endpoint_requests import Limits

    at_once = {"concurrency": options.pop("batch_size")} if "batch_size" in options else {}
    backend = EndpointBackend(EndpointClient(url, source.location, Limits(**at_once, **options)), name=source.name)
    return Opened(backend=backend, info=backend.info())


def outline(source: Source, *, trust_remote_code: bool = False, **options: Any) -> tuple[Any, int]:
    """Return a backend that only counts tokens, and how many parameters the model has; no weights are loaded.

    Raises:
        UsageError: a hub id that cannot be found, or a model behind a server.
        ModelError: config or tokenizer cannot be loaded.
    """
    if source.endpoint is not None:
        raise UsageError(f"{source.name}: a server alone knows its tokens, and how long it takes")
    import torch

    with _quiet(), _loading(source), read_once(source.gguf_file):
        config, tokenizer, kind = _described(source, trust_remote_code)
        with torch.device("meta"):
            model = kind.load_class().from_config(config, trust_remote_code=trust_remote_code)
        backend = kind.backend_class()(model, tokenizer, name=source.name, dry=True, **options)
    return backend, sum(parameter.numel() for parameter in model.parameters())


def _where(source: Source, trust_remote_code: bool) -> dict[str, Any]:
    """Return the options with which transformers finds the parts of a model."""
    where: dict[str, Any] = {"trust_remote_code": trust_remote_code}
    if source.gguf_file:
        where["gguf_file"] = source.gguf_file
    if source.revision:
        where["revision"] = source.revision
    return where


def kind_of(source: Source, *, trust_remote_code: bool = False) -> Kind:
    """Return the kind of a model, from its config alone.

    Raises:
        UsageError: a hub id that cannot be found.
        ModelError: the config cannot be loaded, or is of a kind that cannot be audited.
    """
    if source.endpoint is not None:
        return KINDS["endpoint"]
    with _quiet(), _loading(source):
        return _configured(source, trust_remote_code)[1]


def kind_of_object(model: Any) -> Kind:
    """Return the kind of a model object, or of the model of a transformers pipeline.

    Raises:
        ModelError: it is of a kind that cannot be audited.
    """
    import transformers

    if isinstance(model, transformers.Pipeline):
        model = model.model
    told = type(model).__name__
    kind = kind_of_class(told) if isinstance(model, transformers.PreTrainedModel) else None
    if kind is None:
        raise ModelError(f"{_name_of(model)} is a {told}, {refusal(told)}")
    return kind


def _name_of(model: Any) -> str:
    return Path(str(getattr(model, "name_or_path", "") or type(model).__name__)).name


def _configured(source: Source, trust_remote_code: bool) -> tuple[Any, Kind]:
    """Return config and kind of a model."""
    import transformers

    config = transformers.AutoConfig.from_pretrained(source.location, **_where(source, trust_remote_code))
    return config, model_kind(config, source.name)


def _described(source: Source, trust_remote_code: bool) -> tuple[Any, Any, Kind]:
    """Return config, tokenizer (of a model that reads images, its image processor) and kind of a model."""
    import transformers

    where = _where(source, trust_remote_code)
    config, kind = _configured(source, trust_remote_code)
    if kind.reads == "images":
        return config, _image_processor(source, where), kind
    if kind.extra and find_spec(kind.extra[0]) is None:
        hint = f"pip install 'fairprint[{kind.extra[1]}]'"
        raise ModelError(f"{source.name} is a {kind.name} model, whose tokenizer needs {kind.extra[0]}", hint=hint)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tokenizer_place(source), **where)
    if not set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens):
        # transformers makes an empty one where the files are missing
        raise ModelError(f"{source.name} has no tokenizer", hint="save the tokenizer into the model's folder")
    return config, tokenizer, kind


def _image_processor(source: Source, where: dict[str, Any]) -> Any:
    import transformers

    try:
        # backend="pil" is what torchvision is not needed for
        return transformers.AutoImageProcessor.from_pretrained(source.location, backend="pil", **where)
    except OSError:
        if source.is_hub_id:
            raise
        hint = "save the image processor into the model's folder"
        raise ModelError(f"{source.name} has no image processor", hint=hint) from None


def open_object(model: Any, tokenizer: Any, **options: Any) -> Opened:
    """Wrap a model object with its tokenizer, or a transformers pipeline (then ``tokenizer`` may be None).

    Args:
        model: the model or pipeline.
        tokenizer: of a model that reads images, its image processor.
        options: batch options of the backend.

    Raises:
        UsageError: no tokenizer was given.
        ModelError: the model is of a kind that cannot be audited.
    """
    import transformers

    kind = kind_of_object(model)
    if isinstance(model, transformers.Pipeline):
        tokenizer = tokenizer or (model.image_processor if kind.reads == "images" else model.tokenizer)
        model = model.model
    if tokenizer is None:
        reader = "image processor" if kind.reads == "images" else "tokenizer"
        hint = f"audit(model, tokenizer={reader.replace(' ', '_')})"
        raise UsageError(f"a model object needs its {reader}", hint=hint)
    name = _name_of(model)
    model.eval()
    return _opened(model, tokenizer, kind, name, "in memory", getattr(model.config, "_commit_hash", None), options)


def _opened(
    model: Any, tokenizer: Any, kind: Kind, name: str, weights: str, revision: str | None, options: dict[str, Any]
) -> Opened:
    backend = kind.backend_class()(model, tokenizer, name=name, **options)
    info = ModelInfo(
        name=name,
        revision=revision,
        sha256=fingerprint(model, tokenizer),
        model_type=model.config.model_type,
        kind=kind.name,
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
    digest.update(json.dumps(_rules(tokenizer), sort_keys=True, default=str).encode())
    config = {k: v for k, v in model.config.to_dict().items() if k not in _NOT_THE_MODEL}
    digest.update(json.dumps(config, sort_keys=True, default=str).encode())
    return digest.hexdigest()


def _rules(tokenizer: Any) -> Any:
    """Return what a tokenizer or image processor does with its input, without what belongs to one object of it."""
    if hasattr(tokenizer, "backend_tokenizer"):
        # how a text was last padded or cut is a state of the tokenizer object, and no score depends on it
        rules = json.loads(tokenizer.backend_tokenizer.to_str()) | {"padding": None, "truncation": None}
        return [rules, tokenizer.special_tokens_map]
    if hasattr(tokenizer, "get_vocab"):
        pieces = [getattr(tokenizer, side, None) for side in ("spm_source", "spm_target")]
        hashes = [hashlib.sha256(found.serialized_model_proto()).hexdigest() for found in pieces if found]
        target = getattr(tokenizer, "target_encoder", None)
        return [type(tokenizer).__name__, tokenizer.get_vocab(), target, hashes, tokenizer.special_tokens_map]
    # the same rules are said of the classes for PIL and for torchvision
    return {key: value for key, value in tokenizer.to_dict().items() if not key.endswith("processor_type")}


def _drop_unused(model: Any, report: dict[str, Any], kind: Kind) -> None:
    """Take off what the backend does not use and the checkpoint lacks: random weights would be part of the hash."""
    for part in kind.unused:
        lacking = {key for key in report["missing_keys"] if key.startswith(f"{part}.")}
        if lacking:
            setattr(model, part, None)
            report["missing_keys"] = set(report["missing_keys"]) - lacking


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
    if model.base_model is not model and all(not key.startswith(prefix) for key in missing):
        if type(model).__name__.endswith(_CLASSIFIERS):
            raise ModelError(
                f"{name} has no trained classification head: {', '.join(missing[:2])} are missing from the checkpoint",
                hint="fine-tune it as a classifier first",
            )
        hint = "an encoder opens as an embedding model where its config.json names its base class, such as BertModel"
        raise ModelError(
            f"{name} is a {type(model).__name__} without a language-model head: {missing[0]} is missing from the "
            "checkpoint",
            hint=f"{hint}; {works()}",
        )
    raise ModelError(f"{name}: {len(missing)} weights are missing from the checkpoint, such as {missing[0]}")


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
            base = f" (the base model of the adapter {source.name})" if source.adapter else ""
            raise UsageError(
                f"no model '{source.location if source.adapter else source.name}'{base} here or {place}",
                hint="check the name; a folder, a .gguf file or package:NAME works without a hub",
            ) from error
        raise ModelError(f"{source.name} cannot be loaded: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
