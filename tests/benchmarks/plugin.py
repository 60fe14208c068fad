"""What the pytest plugin adds to a run that has nothing to do with it: alternating runs with and without.

python tests/benchmarks/plugin.py [ROUNDS]
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

MOST_MS = 10.0


def main() -> None:
    """Print the medians, their difference in milliseconds, and their ratio."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 25
    took: dict[str, list[float]] = {"with": [], "without": []}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "test_other.py").write_text("def test_it():\n    assert True\n")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        for number in range(rounds + 1):
            for name, extra in (("with", []), ("without", ["-p", "no:fairprint"])):
                begun = time.perf_counter()
                subprocess.run([*command, *extra], cwd=folder, check=True, capture_output=True)
                if number:  # the first round warms up
                    took[name].append(1000 * (time.perf_counter() - begun))
    middle = {name: float(np.median(found)) for name, found in took.items()}
    added = float(np.median(np.subtract(took["with"], took["without"])))
    ratio = middle["with"] / middle["without"]
    print(f"with {middle['with']:.1f} ms, without {middle['without']:.1f} ms, ratio {ratio:.3f}")
    print(f"added, median of {rounds} pairs: {added:+.1f} ms (at most {MOST_MS:g})")


if __name__ == "__main__":
    main()
