"""What ``fairprint doctor`` finds: all that decides whether an audit can run here and what its numbers mean."""

import os
import platform
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec

from fairprint.audit.carbon import sensors
from fairprint.audit.provenance import cpu_name, package_versions


def findings() -> Iterator[tuple[str, str]]:
    """Yield each finding as what was looked at and what was found."""
    import torch

    yield "fairprint", version("fairprint")
    yield "python", platform.python_version()
    yield from package_versions().items()
    yield "processor", f"{cpu_name()}, {torch.get_num_threads()} threads"
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    yield "accelerators", ", ".join(gpus) or ("mps" if torch.backends.mps.is_available() else "none")
    for component in sensors():
        yield f"energy of {component.name}", f"{component.sensor}: {component.detail}"
    have = find_spec("gguf") is not None and find_spec("accelerate") is not None
    yield "GGUF files", "can be read" if have else "cannot be read: pip install 'fairprint[gguf]'"
    offline = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE")
    yield "goes online", "nothing (HF_HUB_OFFLINE is set)" if offline else "only for a model given by its hub id"
    yield "never goes online", "probe sets, the energy meter, grid factors, reports; there is no telemetry"
