"""Settings that all tests share."""

import os

# set before anything imports torch or huggingface_hub: the tests run two at a time, and nothing may go online
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
