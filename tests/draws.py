"""Fewer draws of the bootstrap, for tests that read no second opinion."""

from collections.abc import Iterator
from contextlib import contextmanager

from fairprint.audit import bootstrap


@contextmanager
def few_draws() -> Iterator[None]:
    """Evaluate with two blocks of draws instead of forty: second opinions alone are made of them, and of skewed metrics
    the intervals."""
    before, bootstrap.DRAWS = bootstrap.DRAWS, 2 * bootstrap.BLOCK
    try:
        yield
    finally:
        bootstrap.DRAWS = before
