"""What kills cost: one study left alone, the same killed again and again; prints both times and whether values agree.

    python benchmarks/kills.py [--kills N] [--every SECONDS] [--epochs N]

The study is started anew after every kill, imports and set-up included. Times are wall time of all starts.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

CHECKPOINTS = ["--checkpoint-seconds", "1"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--every", type=float, default=20.0, help="seconds from a start to its kill")
    parser.add_argument("--epochs", type=int, default=1500)
    options = parser.parse_args()
    study = ["--data", "digits", "--widths", "64,32", "--epochs", str(options.epochs), "--seeds", "8", "--rates", "0.1"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _run(study, folder / "warm-up", after=5.0)  # programs are compiled and kept
        alone, _ = _run(study, folder / "alone")
        killed, kills = 0.0, 0
        is_done = False
        while not is_done:
            seconds, is_done = _run(study, folder / "killed", options.every if kills < options.kills else None)
            killed += seconds
            kills += not is_done
        tables = [pl.read_parquet(folder / which / "runs.parquet").drop("seconds") for which in ("alone", "killed")]
        same = "equal" if tables[0].equals(tables[1]) else "NOT equal"
    print(f"alone {alone:.0f} s; with {kills} kills {killed:.0f} s, {killed / alone:.2f} times that; values {same}")


def _run(study: list[str], out: Path, after: float | None = None) -> tuple[float, bool]:
    """Run the study, killed after so many seconds; return the wall time and whether it came to its end."""
    line = [sys.executable, "-m", "normlab", "run", *study, *CHECKPOINTS, "--out", str(out)]
    start = time.perf_counter()
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            status = process.wait(after)
        except subprocess.TimeoutExpired:
            process.kill()
            return time.perf_counter() - start, False
    if status != 0:
        raise RuntimeError(f"the study ended in status {status}")
    return time.perf_counter() - start, True


if __name__ == "__main__":
    main()
