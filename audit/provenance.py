"""What a run ran on, as far as it can move a number: versions, processor, threads."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from fairprint.audit.records import Environment

PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "numpy",
    "scipy",
    "codecarbon",
    "pandas",
    "matplotlib",
    "pyarrow",
    "gguf",
    "peft",
)


def package_versions() -> dict[str, str]:
    """Return the installed version of each package that can move a number; absent ones are left out."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def cpu_name() -> str:
    """Return the processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def environment(device: str) -> Environment:
    """Return the environment of this process, torch's threads included."""
    import torch

    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else device
    return Environment(
        fairprint=version("fairprint"),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        cpu=cpu_name(),
        threads=torch.get_num_threads(),
        device=name,
        versions=package_versions(),
    )


def machine_environment() -> Environment:
    """Return the environment of this process as far as it is known without loading torch."""
    torch = sys.modules.get("torch")
    return Environment(
        fairprint=version("fairprint"),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        cpu=cpu_name(),
        threads=int(torch.get_num_threads()) if torch is not None else os.cpu_count() or 1,
        device="none",
        versions=package_versions(),
    )
