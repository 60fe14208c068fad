"""What was freed is kept for the next time."""

import ctypes
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Names of parameters in glibc's malloc.h (mallopt, section 3 of the Linux manual)."""
_KEPT_BYTES = 1 << 30


@cache
def keep_freed_memory() -> None:
    """Let the allocator of glibc keep large blocks; where another is at work, do nothing.

    By default a large array is given back when it is freed, and the next one pays for fresh pages, which must be filled
    with zeros first: measured on the logits of 24 sentence pairs, that is 3 to 5 % of the time, and on the draws of a
    bootstrap a fifth.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)
    mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
