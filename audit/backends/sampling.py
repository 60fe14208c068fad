"""Generation with transformers, where a request alone says how: nothing of a checkpoint's own settings is mixed in."""

from collections.abc import Mapping
from typing import Any

import torch

from fairprint.probes.errors import RefusalError
from fairprint.probes.requests import GenerateRequest


def generated(model: Any, tokenizer: Any, request: GenerateRequest, ids: list[int], **kept: Any) -> torch.Tensor:
    """Return the token ids that a model generates for one prompt, [sample, token].

    Args:
        model: a model with ``generate``.
        tokenizer: its tokenizer.
        request: how many samples, how long, how drawn.
        ids: tokens of the prompt.
        kept: settings that belong to the model's format, such as the token that starts its decoder.

    Raises:
        RefusalError: several continuations at temperature 0.
    """
    if request.temperature == 0 and request.samples != 1:
        raise RefusalError("temperature 0 has one continuation; ask for 1 sample, or a temperature above 0")
    from transformers import GenerationConfig

    sampling: Mapping[str, Any] = {"do_sample": False}
    if request.temperature > 0:
        # top_k has to be switched off by hand: the library's default of 50 would silently cut the distribution
        sampling = {"do_sample": True, "temperature": request.temperature, "top_p": request.top_p, "top_k": 0}
    config = GenerationConfig(
        max_new_tokens=request.max_new_tokens,
        num_return_sequences=request.samples,
        pad_token_id=tokenizer.pad_token_id or 0,
        eos_token_id=tokenizer.eos_token_id,
        **sampling,
        **kept,
    )
    prompt = torch.tensor([ids], device=model.device)
    devices = [model.device] if model.device.type == "cuda" else []
    # a checkpoint's own generation settings would fill in whatever is not set here (such as a repetition penalty)
    settings, model.generation_config = model.generation_config, GenerationConfig()
    try:
        with torch.random.fork_rng(devices=devices), torch.inference_mode():
            torch.manual_seed(request.seed)
            out: torch.Tensor = model.generate(
                input_ids=prompt, attention_mask=torch.ones_like(prompt), generation_config=config
            )
    finally:
        model.generation_config = settings
    return out
