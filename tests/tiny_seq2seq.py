"""Encoder-decoder models and their tokenizers, for tests: real classes, small and random."""

import copy
import json
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import tiny
import torch
import transformers as hf

SENTINELS = ["<extra_id_0>", "<extra_id_1>"]
SOURCES = ["The nurse said that she would be late.", "He was very kind.", "x"]
TARGETS = [
    "The engineer said that he would be late.",
    "She was very clever!",
    "naïve café owners – “quoted” – sing",
    "keys",
]


@cache
def tokenizer_of(name: str) -> Any:
    """T5's ends a text with a token, BART's begins it with one as well; both know their marks of missing words."""
    tokenizer = {"T5": tiny.unigram, "BART": tiny.wordpiece}[name]()
    tokenizer.eos_token = "[SEP]"
    if name == "T5":
        end = tokenizer.convert_tokens_to_ids("[SEP]")
        tokenizer.backend_tokenizer.post_processor = hf.tokenization_utils_tokenizers.processors.TemplateProcessing(
            single="$A [SEP]", special_tokens=[("[SEP]", end)]
        )
        tokenizer.add_special_tokens({"additional_special_tokens": SENTINELS})
    return tokenizer


def marian_tokenizer(folder: Path, marks: tuple[str, ...] = (), **options: Any) -> Any:
    """A Marian tokenizer from two SentencePiece models that are trained here."""
    import sentencepiece

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {"</s>": 0, "<unk>": 1}
    for side, texts in (("source", [*SOURCES, *tiny.TEXT]), ("target", [*TARGETS, *tiny.TEXT])):
        text = folder / f"{side}.txt"
        text.write_text("\n".join(texts), encoding="utf-8")
        sentencepiece.SentencePieceTrainer.train(
            input=str(text), model_prefix=str(folder / side), vocab_size=60, minloglevel=9, character_coverage=0.98
        )
        (folder / f"{side}.model").rename(folder / f"{side}.spm")
        pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / f"{side}.spm"))
        for index in range(pieces.get_piece_size()):
            vocabulary.setdefault(pieces.id_to_piece(index), len(vocabulary))
    for mark in (*marks, "<pad>"):
        vocabulary.setdefault(mark, len(vocabulary))
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    files = (str(folder / name) for name in ("source.spm", "target.spm", "vocab.json"))
    with warnings.catch_warnings():
        # it recommends a package whose normaliser it never calls
        warnings.simplefilter("ignore")
        return hf.MarianTokenizer(*files, **options)


def t5(tokenizer: Any, config: type = hf.T5Config, model: type = hf.T5ForConditionalGeneration, **changes: Any) -> Any:
    """A random T5 of two layers."""
    torch.manual_seed(0)
    settings = {
        "vocab_size": len(tokenizer),
        "d_model": 32,
        "d_ff": 64,
        "d_kv": 16,
        "num_layers": 2,
        "num_heads": 2,
        "initializer_factor": 0.4,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "decoder_start_token_id": tokenizer.pad_token_id,
    }
    return model(config(**settings | changes)).eval()


def bart(
    tokenizer: Any, config: type = hf.BartConfig, model: type = hf.BartForConditionalGeneration, **changes: Any
) -> Any:
    """A random BART (or one of its relatives) of two layers."""
    torch.manual_seed(0)
    settings = {
        "vocab_size": len(tokenizer),
        "d_model": 32,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 64,
        "max_position_embeddings": 64,
        "init_std": 0.15,
        "dropout": 0.0,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "decoder_start_token_id": tokenizer.eos_token_id,
        "forced_eos_token_id": None,
    }
    made = model(config(**settings | changes)).eval()
    with torch.no_grad():
        made.final_logits_bias.normal_()
    return made


def marian(tokenizer: Any, **changes: Any) -> Any:
    """A random Marian model of two layers."""
    pad, size = tokenizer.pad_token_id, len(tokenizer)
    settings = {"decoder_start_token_id": pad, "decoder_vocab_size": size, "bos_token_id": None}
    return bart(tokenizer, hf.MarianConfig, hf.MarianMTModel, **settings | changes)


def saved(folder: Path, model: Any, tokenizer: Any) -> Path:
    copy.deepcopy(model).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
