"""Adapters: small weights that stand in a folder of their own and change a base model (LoRA and its relatives)."""

from pathlib import Path
from typing import Any

from fairprint.audit.sources import Source
from fairprint.probes.errors import ModelError

_KINDS = {
    "CAUSAL_LM": ("causal",),
    "SEQ_2_SEQ_LM": ("seq2seq", "translation"),
    "SEQ_CLS": ("classifier",),
    "FEATURE_EXTRACTION": ("encoder",),
}
"""For which kinds of base models an adapter is, by the task that its configuration names."""


def tokenizer_place(source: Source) -> str:
    """Return where the tokenizer of a model lies: beside its adapter, if there is one with a tokenizer."""
    own = source.adapter is not None and (Path(source.adapter) / "tokenizer_config.json").is_file()
    return source.adapter if own and source.adapter is not None else source.location


def merge_adapter(model: Any, tokenizer: Any, source: Source, kind: str) -> tuple[Any, str]:
    """Merge an adapter into the weights of its base model, so that a plain model answers.

    Args:
        model: the base model, on the CPU; it is changed.
        tokenizer: the one that the answers are asked with.
        source: names the folder of the adapter.
        kind: name of the base model's kind.

    Returns:
        The merged model, and what its weights are in words.

    Raises:
        ModelError: peft is not installed, or the adapter cannot be merged into this base model.
    """
    try:
        import peft
    except ImportError:
        message = f"{source.name} is an adapter, which peft puts into its base model"
        raise ModelError(message, hint="pip install 'fairprint[adapters]'") from None
    config = peft.PeftConfig.from_pretrained(source.adapter)
    method, base = str(getattr(config.peft_type, "value", config.peft_type)), base_name(source)
    if config.is_prompt_learning:
        raise ModelError(
            f"{source.name} is a {method} adapter: it stands before every text and cannot be merged into the weights",
            hint="adapters such as LoRA can",
        )
    task = getattr(config.task_type, "value", config.task_type)
    if task is not None and kind not in _KINDS.get(str(task), ()):
        raise ModelError(
            f"{source.name} is an adapter for the task {task}, and its base model {base} is of the kind '{kind}'",
            hint="load both as you do, merge them (merge_and_unload) and save the whole model with its tokenizer",
        )
    rows = getattr(model.get_input_embeddings(), "num_embeddings", None)
    if rows is not None and len(tokenizer) > rows:
        raise ModelError(
            f"{source.name} has a tokenizer of {len(tokenizer):,} tokens, its base model {base} knows {rows:,}",
            hint="merge the adapter into a base model of that size and save the whole model",
        )
    adapted = peft.get_peft_model(model, config)
    loaded = adapted.load_adapter(source.adapter, "default", is_trainable=False, torch_device="cpu")
    for told, keys in (("lacks", loaded.missing_keys), ("has no place for", loaded.unexpected_keys)):
        if keys:
            # peft would go on with an adapter that changes nothing
            whose = f"the adapter {source.name}" if told == "lacks" else f"the base model {base}"
            raise ModelError(f"{whose} {told} {len(keys)} weights, such as {sorted(keys)[0]}")
    rank = f", rank {config.r}" if isinstance(getattr(config, "r", None), int) else ""
    return adapted.merge_and_unload(safe_merge=True), f"{method} adapter{rank}, merged into {base}"


def base_name(source: Source) -> str:
    """Return how records call a base model: a hub id, or the last part of a folder."""
    return source.location if source.is_hub_id else Path(source.location).resolve().name
