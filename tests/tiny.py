"""Tokenizers and models that are made in seconds, for tests: real classes, small or trained here."""

from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TEXT = [
    "The nurse said that she would be late.",
    "The engineer said that he would be late.",
    "The plumber could not find his keys, could he?",
    "He was very kind. She was very clever!",
    "Dieticians and pathologists talk about unbelievable hypotheses.",
    "naïve café owners – “quoted” – sing; 23 % of them twice…",
]


def wordpiece(texts: Sequence[str] = TEXT, size: int = 160) -> PreTrainedTokenizerFast:
    """A lower-casing WordPiece tokenizer with CLS and SEP, as BERT's."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=size, special_tokens=SPECIAL))
    return _masked(tokenizer)


def unigram(texts: Sequence[str] = TEXT, size: int = 120) -> PreTrainedTokenizerFast:
    """A SentencePiece-like unigram tokenizer, where a word boundary can be a token of its own."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=size, special_tokens=SPECIAL, unk_token="[UNK]")
    tokenizer.train_from_iterator(texts, trainer)
    return _masked(tokenizer)


def byte_bpe(texts: Sequence[str] = TEXT, size: int = 400) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer without special tokens around a text, as GPT-2's."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=["<|end|>", "<mask>"], initial_alphabet=alphabet)
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|end|>", eos_token="<|end|>", mask_token="<mask>", model_max_length=64
    )


def words(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """A tokenizer with one token a word, for models that are trained in a test."""
    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(texts, trainers.WordLevelTrainer(special_tokens=SPECIAL, show_progress=False))
    return _masked(tokenizer)


TOKENIZERS = {"wordpiece": wordpiece, "byte-level BPE": byte_bpe, "unigram": unigram}


def _masked(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    ids = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ids)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        bos_token="[CLS]",
        mask_token="[MASK]",
        model_max_length=64,
    )


def bert(tokenizer: PreTrainedTokenizerFast, seed: int = 0, **changes: Any) -> BertForMaskedLM:
    """A random BERT of two layers."""
    torch.manual_seed(seed)
    settings: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
        "initializer_range": 0.3,
        "pad_token_id": tokenizer.pad_token_id,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    return BertForMaskedLM(BertConfig(**settings | changes)).eval()


def gpt2(tokenizer: PreTrainedTokenizerFast, seed: int = 0, **changes: Any) -> GPT2LMHeadModel:
    """A random GPT-2 of two layers."""
    torch.manual_seed(seed)
    settings: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "n_embd": 32,
        "n_layer": 2,
        "n_head": 2,
        "n_positions": 64,
        "initializer_range": 0.3,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "attn_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
    }
    return GPT2LMHeadModel(GPT2Config(**settings | changes)).eval()


def train(
    model: Any,
    tokenizer: PreTrainedTokenizerFast,
    texts: Sequence[str],
    steps: int = 200,
    seed: int = 0,
    often_masked: Sequence[str] = (),
) -> None:
    """Train a model on sentences: a causal one on each next token, a masked one on masked tokens.

    A masked model learns from 10 % of the tokens, and from 80 % of the words in ``often_masked``, so that it is done
    in seconds.
    """
    masked = isinstance(model, BertForMaskedLM)
    generator = torch.Generator().manual_seed(seed)
    encoded = tokenizer(list(texts), padding=True, return_tensors="pt")
    often = torch.tensor(tokenizer.convert_tokens_to_ids(list(often_masked)))
    # fused: for models this small the optimizer is a quarter of the work
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3 if masked else 1e-2, fused=True)
    warm_up = torch.optim.lr_scheduler.LinearLR(optimizer, 0.02, 1.0, 60)
    model.train()
    for _ in range(steps):
        rows = torch.randint(len(texts), (128,), generator=generator)
        ids, mask = encoded["input_ids"][rows], encoded["attention_mask"][rows]
        labels = ids.masked_fill(mask == 0, -100)
        if masked:
            share = torch.where(torch.isin(ids, often), 0.8, 0.1)
            hidden = (torch.rand(ids.shape, generator=generator) < share) & (ids >= len(SPECIAL))
            labels = labels.masked_fill(~hidden, -100)
            ids = ids.masked_fill(hidden, tokenizer.mask_token_id)
        optimizer.zero_grad()
        model(input_ids=ids, attention_mask=mask, labels=labels).loss.backward()
        optimizer.step()
        warm_up.step()
    model.eval()
