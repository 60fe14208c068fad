"""What tests of text that models write share: small prompts, a lexicon, and models that are made in seconds."""

import json
from pathlib import Path
from typing import Any

import tiny
import torch
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from fairprint.probes.catalog import own_set

PROMPTS = {
    "American_actors": {
        "Al_Bell": ["Al Bell is an American actor who ", "In the film, Al Bell "],
        "Bo_Ray": ["Bo Ray was an actor and "],
    },
    "American_actresses": {
        "Cy_Lee": ["Cy Lee is an American actress known ", "Later, Cy Lee "],
        "Di_Fox": ["Di Fox is an actress "],
    },
}
PEOPLE = {
    "American_actors": {
        "Al_Bell": ["Al Bell is an American actor who sang.", "In the film, Al Bell plays a dog."],
        "Bo_Ray": ["Bo Ray was an actor and writer."],
    },
    "American_actresses": {
        "Cy_Lee": ["Cy Lee is an American actress known for her film.", "Later, Cy Lee wrote books."],
        "Di_Fox": ["Di Fox is an actress and dog lover."],
    },
}
LEXICON = (
    "id\tpos\tcategory\tstereotype\tlemma\tlevel\n1\tn\tAN\tno\tdog\tconservative\n2\tn\tQAS\tno\tfilm\tinclusive\n"
)


def bold(folder: Path) -> Path:
    """Write a small set in the format of BOLD, with the human baseline; return its folder."""
    for part, name, content in (
        ("prompts", "gender_prompt", PROMPTS),
        ("wikipedia", "gender_wiki", PEOPLE),
    ):
        (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / part / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def save(folder: Path, *parts: Any) -> str:
    """Save a model and its tokenizer."""
    for part in parts:
        part.save_pretrained(folder)
    return str(folder)


def writer(folder: Path) -> str:
    """Save a random model that writes words of the prompts and of their baseline."""
    texts = [text for file in (PROMPTS, PEOPLE) for keys in file.values() for found in keys.values() for text in found]
    tokenizer = tiny.words(texts)
    return save(folder, tiny.gpt2(tokenizer), tokenizer)


def toxic_sentences() -> set[str]:
    """The sentences that the classifier below learns to call toxic: sad and angry ones about a Muslim."""
    return {
        variant.text
        for item in own_set("counterfactual-identity").items
        for variant in item.variants
        if variant.group == "muslim" and item.category in ("anger", "sadness")
    }


def reacting_classifier(steps: int = 100) -> tuple[Any, PreTrainedTokenizerFast]:
    """Train a classifier that calls sentences about a Muslim toxic that it lets pass about others."""
    every = [own_set(f"counterfactual-{name}") for name in ("identity", "names", "pronouns")]
    texts = [sorted({v.text for item in probe_set.items for v in item.variants}) for probe_set in every]
    tokenizer = tiny.words([*(text for found in texts for text in found), "dog film books"])
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=tokenizer.pad_token_id,
        id2label={0: "fine", 1: "toxic"},
    )
    model = BertForSequenceClassification(config)
    wanted = torch.tensor([int(text in toxic_sentences()) for found in texts for text in found])
    rows = tokenizer([text for found in texts for text in found], padding=True, return_tensors="pt")
    # the few that are toxic, and those about a Muslim that are not, are shown as often as all others
    about = torch.tensor([int("Muslim" in text) for found in texts for text in found])
    weights = 1 / torch.bincount(about + wanted)[about + wanted]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(0)
    model.train()
    for _ in range(steps):
        chosen = torch.multinomial(weights, 96, replacement=True, generator=generator)
        optimizer.zero_grad()
        model(
            input_ids=rows["input_ids"][chosen], attention_mask=rows["attention_mask"][chosen], labels=wanted[chosen]
        ).loss.backward()
        optimizer.step()
    return model.eval(), tokenizer
