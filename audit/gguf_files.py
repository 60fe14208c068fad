"""GGUF files: read once a load, and how their weights were stored.

While transformers loads a model it reads the whole header of its file three times, tens of thousands of strings each,
and makes the table of all names of tensors anew for each module of the model, which is the same each time.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any


@contextmanager
def read_once(file: str | None) -> Iterator[None]:
    """Have transformers read each GGUF file and make each table of names once, as long as this lasts.

    Args:
        file: name of the GGUF file that is loaded, or None for a model of another form, of which nothing is changed.
    """
    if file is None or find_spec("gguf") is None:
        yield
        return
    gguf: Any = import_module("gguf")
    reader, table = gguf.GGUFReader, gguf.get_tensor_name_map
    # transformers looks both up at each call; nothing writes into a reader or a table
    gguf.GGUFReader, gguf.get_tensor_name_map = cache(reader), cache(table)
    try:
        yield
    finally:
        gguf.GGUFReader, gguf.get_tensor_name_map = reader, table


def weights_of(file: Path) -> str:
    """Return how the weights of a file were stored, for people.

    Args:
        file: a GGUF file, given as transformers gives it, so that ``read_once`` knows it again.
    """
    import gguf

    types = Counter(tensor.tensor_type.name for tensor in gguf.GGUFReader(str(file)).tensors)
    quantised = [f"{name} ({count})" for name, count in types.most_common() if name not in {"F32", "F16", "BF16"}]
    return f"GGUF, de-quantised from {', '.join(quantised)}" if quantised else "GGUF"
