"""Which tokens of a text a request asks about, and what backends refuse that cannot choose."""

import difflib
from collections.abc import Sequence

from fairprint.audit.backends.hf import Encoded, TransformersBackend
from fairprint.probes.errors import RefusalError
from fairprint.probes.requests import FillRequest, LikelihoodRequest

Tokens = tuple[int, ...]
"""Indices of tokens in an encoded text."""


def chosen(backend: TransformersBackend, request: LikelihoodRequest) -> tuple[Encoded, list[Tokens]]:
    """Tokenise prefix and text together; return the tokens that are asked for, span by span.

    Blanks at the end of the prefix belong to the text, which needs no work: a token's leading blanks do not count.

    Raises:
        RefusalError: a source, which such a model has no encoder for; or a comparison without a text to compare with,
            or such a text without a comparison.
    """
    if request.source is not None or request.languages is not None:
        raise RefusalError(f"{backend.name} has no encoder for the source of a text: its texts stand for themselves")
    _check_comparison(backend.name, request)
    encoded = backend.encode(request.prefix + request.text)
    offset = len(request.prefix)
    spans = request.spans if request.spans is not None else ((0, len(request.text)),)
    tokens = [encoded.tokens_in((start + offset, end + offset)) for start, end in spans]
    if request.beside is None:
        return encoded, tokens
    beside = backend.encode(request.prefix + request.beside)
    common = shared(encoded.ids, beside.ids, first=not request.beside_first)
    wanted = request.tokens == "shared"
    return encoded, [tuple(t for t in span if (t in common) == wanted) for span in tokens]


def shared(ids: Sequence[int], beside: Sequence[int], *, first: bool = True) -> frozenset[int]:
    """Return the indices of the tokens that stand in blocks which two texts share.

    The blocks are those of ``difflib.SequenceMatcher(None, one, other)`` with its defaults, as CrowS-Pairs' metric.py
    has them (Nangia et al. 2020). Its heuristic that ignores frequent elements begins at 200 tokens; the longest
    sentence of CrowS-Pairs has 50.

    Args:
        ids: the tokens that are asked about, special ones included.
        beside: the tokens of the other text.
        first: whether ``ids`` is the one and not the other: of blocks of equal length, the matcher takes the earliest
            in the one.
    """
    matcher = difflib.SequenceMatcher(None, ids, beside) if first else difflib.SequenceMatcher(None, beside, ids)
    starts = ((block.a if first else block.b, block.size) for block in matcher.get_matching_blocks())
    return frozenset(index for start, size in starts for index in range(start, start + size))


def nothing_chosen(request: LikelihoodRequest, tokens: Tokens) -> str | None:
    """Return why a comparison leaves no token of a span, or None."""
    if tokens or request.tokens == "all":
        return None
    what = "is shared with" if request.tokens == "shared" else "differs from"
    return f"no token {what} the other text"


def refuse_masking(name: str, request: LikelihoodRequest) -> None:
    """Refuse what only a masked model can honour.

    Raises:
        RefusalError: the request asks for a masking of its own.
    """
    if request.masking != "alone":
        raise RefusalError(
            f"{name} masks no token: each is given all tokens before it, and masking '{request.masking}' is for masked "
            "language models"
        )


def refuse_choice(name: str, request: LikelihoodRequest) -> None:
    """Refuse to choose among the tokens of a span, or what is asked of other kinds of models.

    Raises:
        RefusalError: the request compares texts, asks for a masking, or says how a start token is to be used.
    """
    refuse_masking(name, request)
    if request.tokens != "all" or request.beside is not None:
        raise RefusalError(f"{name} scores all tokens of a text or span; it does not compare them with another text's")
    if request.start_for != "all":
        raise RefusalError(f"{name} has no start token that could be left out before later tokens")


def refuse_top(name: str, requests: Sequence[FillRequest]) -> None:
    """Refuse to name the most probable words.

    Raises:
        RefusalError: a request asks for them.
    """
    if any(request.top for request in requests):
        raise RefusalError(
            f"{name} scores the candidates that it is given; it is no masked language model, whose most probable words "
            "for a slot could be named"
        )


def _check_comparison(name: str, request: LikelihoodRequest) -> None:
    if request.tokens != "all" and request.beside is None:
        raise RefusalError(f"{name} was asked for tokens that are {request.tokens}, without a text to compare with")
    if request.tokens == "all" and (request.beside is not None or request.beside_first):
        raise RefusalError(f"{name} was given a text to compare with, and asked for all tokens")
