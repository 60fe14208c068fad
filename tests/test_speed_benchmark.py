"""What the benchmark of speed counts and compares, where that can be known by hand."""

import csv
from pathlib import Path

import tiny
import torch
from benchmarks.published import some_pairs
from benchmarks.published_runs import Clock
from transformers import BertForMaskedLM


class Timed(BertForMaskedLM):
    """A class of its own, since a clock wraps the ``forward`` of a class for good."""


def test_operations_are_two_a_weight_of_linear_layers_and_token_and_the_products_of_attention() -> None:
    tokenizer = tiny.wordpiece()
    clock = Clock(Timed)
    model = Timed(tiny.bert(tokenizer).config).eval()
    clock.count(model)
    rows, width, hidden, inner, layers = 3, 7, 32, 64, 2
    with torch.inference_mode():
        model(input_ids=torch.zeros(rows, width, dtype=torch.long))
    weights = layers * (4 * hidden * hidden + 2 * hidden * inner) + hidden * hidden + hidden * len(tokenizer)
    products = layers * 4 * hidden * width
    told = clock.told()
    assert told["operations"] == rows * width * (2 * weights + products)
    assert (told["passes"], told["tokens"]) == (1, rows * width)
    assert 0 < told["inside"] <= told["seconds"]


def test_some_pairs_are_evenly_spaced_and_none_are_lost_where_all_are_asked_for(tmp_path: Path) -> None:
    data = tmp_path / "all.csv"
    lines = [["", "sent_more", "sent_less"], *([str(n), f"a {n}\nof two lines", f'b, "{n}"'] for n in range(10))]
    with data.open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle).writerows(lines)
    for count, expected in ((3, [0, 3, 6]), (0, list(range(10)))):
        with some_pairs(data, count, tmp_path).open(encoding="utf-8", newline="") as handle:
            assert list(csv.reader(handle)) == [lines[0], *(lines[n + 1] for n in expected)]
