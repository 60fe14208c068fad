"""Many texts that begin alike, as one row: each distinct beginning is computed once.

The beginnings of texts form a tree. Laid out in one row, with each token at the position of its depth and seeing only
its ancestors, the tree gives every token exactly the context that it has in its own text. On a probe set, where most
sentences differ in one word, that saves a quarter of the work (pairs of sentences) to half of it and more (words that
compete for a slot near the end).
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

Prefix = tuple[int, ...]
"""The token ids of a text up to and including some position."""

PACK_SIZE = 128
"""Tokens of a pack of shorter texts at the most: attention is quadratic in it, and longer ones save little more."""
EVENNESS = 300
"""A branch of n tokens is taken to cost n + n * n / EVENNESS: large branches share more, small ones fill packs evenly.

With it, packs of the pairs of CrowS-Pairs hold 2 % more tokens than one tree would, and next to no padding.
"""


@dataclass(frozen=True, slots=True)
class Pack:
    """A tree of beginnings in one row.

    Attributes:
        tokens: token id of each node; a node stands after its parent.
        parents: index of each node's parent, -1 at a root.
        depths: position of each node in its text.
        wanted: (node, target, key) for each log-probability that is asked for.
    """

    tokens: tuple[int, ...]
    parents: tuple[int, ...]
    depths: tuple[int, ...]
    wanted: tuple[tuple[int, int, tuple[Prefix, int]], ...]


@dataclass(frozen=True, slots=True)
class _Branch:
    """Texts that stand side by side in the order of texts, and how many tokens their tree has."""

    texts: tuple[Prefix, ...]
    tokens: int


def pack(wanted: Mapping[Prefix, Iterable[int]], size: int = PACK_SIZE) -> list[Pack]:
    """Cut a tree of beginnings into packs of about equal length, as a pure function of what is wanted.

    Args:
        wanted: for each beginning, the tokens whose probability after it is asked for.
        size: nodes of a pack at the most; a longer text gets a pack of its own, with those that share much of it.
    """
    beginnings = sorted(wanted)
    # what continues a beginning follows it directly
    texts = [
        one for one, following in zip_longest(beginnings, beginnings[1:], fillvalue=()) if following[: len(one)] != one
    ]
    left = {one: sorted(set(targets)) for one, targets in wanted.items()}
    return [_tree(part, left) for part in _evenly(_branches(texts, size), size)]


def _branches(texts: Sequence[Prefix], size: int) -> list[_Branch]:
    """Cut sorted texts where that costs the fewest tokens (see ``EVENNESS``)."""
    new = [len(text) for text in texts]
    for n in range(1, len(texts)):
        new[n] -= _shared(texts[n - 1], texts[n])
    # of the best way to cut the first n texts: its cost, where its last branch begins, and that branch's tokens
    best: list[tuple[float, int, int]] = [(0.0, 0, 0)] + [(float("inf"), 0, 0)] * len(texts)
    for begin, text in enumerate(texts):
        # long texts that begin alike, such as the options of a question, share most of their work
        most, tokens = max(size, 2 * len(text)), 0
        for end in range(begin + 1, len(texts) + 1):
            tokens += new[end - 1] if tokens else len(text)
            if tokens > most and end > begin + 1:
                break
            cost = best[begin][0] + tokens + tokens * tokens / EVENNESS
            best[end] = min(best[end], (cost, begin, tokens))
    branches = []
    end = len(texts)
    while end:
        _, begin, tokens = best[end]
        branches.append(_Branch(tuple(texts[begin:end]), tokens))
        end = begin
    return branches[::-1]


def _evenly(branches: Sequence[_Branch], size: int) -> list[list[Prefix]]:
    """Spread branches over as few packs as hold them, the largest first and each where most room is left."""
    order = sorted(range(len(branches)), key=lambda n: (-branches[n].tokens, n))
    held: list[list[int]] = []
    least = -(-sum(branch.tokens for branch in branches) // size)
    for packs in range(min(least, len(branches)), len(branches) + 1):
        loads = [(0, number) for number in range(packs)]
        held = [[] for _ in range(packs)]
        for n in order:
            load, number = loads[0]
            heapq.heapreplace(loads, (load + branches[n].tokens, number))
            held[number].append(n)
        if all(load <= size or len(held[number]) == 1 for load, number in loads):
            break
    return [[text for n in sorted(some) for text in branches[n].texts] for some in held if some]


def _tree(texts: Sequence[Prefix], left: dict[Prefix, list[int]]) -> Pack:
    """Lay texts out as one tree, and take from ``left`` what is asked of its beginnings."""
    nodes: dict[tuple[int, int], int] = {}
    depths: list[int] = []
    asked: list[tuple[int, int, tuple[Prefix, int]]] = []
    for text in texts:
        node = -1
        for depth, token in enumerate(text):
            node = nodes.setdefault((node, token), len(nodes))
            if node == len(depths):
                depths.append(depth)
                beginning = text[: depth + 1]
                asked += [(node, target, (beginning, target)) for target in left.pop(beginning, ())]
    parents, tokens = tuple(parent for parent, _ in nodes), tuple(token for _, token in nodes)
    return Pack(tokens, parents, tuple(depths), tuple(asked))


def _shared(one: Prefix, other: Prefix) -> int:
    """Return how many tokens two texts begin alike with."""
    for n, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return n
    return min(len(one), len(other))
