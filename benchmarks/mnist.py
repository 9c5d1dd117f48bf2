"""The section `mnist`: the notebook's network on MNIST and a small one on digits, beside Keras `fit` and PyTorch.

All engines run one after the other, each in a fresh process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
TITLE = "Dense networks: MNIST and digits, batch 32, SGD"
# A rival that needs longer than this for a few epochs has lost; the limit is recorded in its place.
LIMIT_SECONDS = 60
EPOCHS = {"notebook": 4, "small": 12}
RUNS = {"notebook": 10, "small": 64}
TARGETS = {("notebook", "keras"): 8.0, ("notebook", "torch"): 1.7, ("small", "keras"): 50.0}
MOST_STEP_RATIO = 1.5

Record = dict[str, Any]


def measure(python: str, data_dir: Path | None, quick: bool) -> list[Record]:
    """Time all engines on both arms of both pairs; a record per network and engine.

    Args:
        python: Of an environment with tensorflow and torch.
        data_dir: Folder of MNIST.
        quick: Do as little as shows that everything runs.
    """
    epochs, runs = (dict.fromkeys(EPOCHS, 2), dict.fromkeys(RUNS, 2)) if quick else (EPOCHS, RUNS)
    records = []
    with tempfile.TemporaryDirectory() as folder:
        for pair in EPOCHS:
            data = Path(folder) / f"{pair}.npz"
            _write_data(pair, data_dir, data)
            for arm in ("none", "batch"):
                records += rivals(python, f"{pair}-{arm}", epochs[pair], data)
            records += ours(pair, runs[pair], epochs[pair], data_dir)
    return records


def rivals(python: str, network: str, epochs: int, data: Path) -> list[Record]:
    """Time Keras and PyTorch, the latter in each of its settings."""
    cores = str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    settings = {
        "keras": ["keras_fit.py"],
        "torch, 1 thread": ["torch_eager.py", "--threads", "1"],
        "torch, all threads": ["torch_eager.py", "--threads", "all"],
        "torch, a process per core": ["torch_eager.py", "--threads", "1", "--processes", cores],
    }
    common = ["--network", network, "--epochs", str(epochs), "--data", str(data)]
    records = []
    for name, (script, *flags) in settings.items():
        print(f"{network}: {name}", file=sys.stderr)
        command = [python, str(HERE / script), *flags, *common]
        try:
            done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT_SECONDS)
            records.append({**json.loads(done.stdout.splitlines()[-1]), "rival": name})
        except subprocess.CalledProcessError as error:
            sys.exit(f"{name} failed on {network}:\n{error.stderr}")
        except subprocess.TimeoutExpired:
            over = {"seconds_per_epoch_and_run": [], "note": f"not done in {LIMIT_SECONDS} s, so not timed"}
            records.append({"network": network, "rival": name, **over})
    return records


def ours(pair: str, runs: int, epochs: int, data_dir: Path | None) -> list[Record]:
    """Time normlab on both arms of a pair."""
    print(f"{pair}: normlab", file=sys.stderr)
    command = [sys.executable, str(HERE / "population.py"), "--pair", pair]
    command += ["--runs", str(runs), "--epochs", str(epochs)]
    command += ["--data-dir", str(data_dir)] if data_dir else []
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [{**json.loads(line), "rival": "normlab"} for line in printed.splitlines()]


def lines(records: list[Record]) -> list[str]:
    """Return a table of medians and the ratios to reach, as lines of Markdown."""
    seconds = {
        (record["network"], record["rival"]): median(record["seconds_per_epoch_and_run"])
        for record in records
        if record["seconds_per_epoch_and_run"]
    }
    networks = list(dict.fromkeys(record["network"] for record in records))
    names = list(dict.fromkeys(record["rival"] for record in records))
    found = ["Seconds per epoch and run (median over epochs, validation included):", ""]
    found += ["| engine | " + " | ".join(networks) + " |", "|---|" + "---|" * len(networks)]
    for name in names:
        cells = [_cell(seconds.get((network, name))) for network in networks]
        found.append(f"| {name} | " + " | ".join(cells) + " |")
    found += ["", "Ratios (rival / normlab; to reach in brackets):", ""]
    for network in networks:
        mine = seconds[network, "normlab"]
        torch = {name: s for (net, name), s in seconds.items() if net == network and name.startswith("torch")}
        timed = {"keras": ("keras", seconds[network, "keras"])} if (network, "keras") in seconds else {}
        if torch:
            best = min(torch, key=lambda name: torch[name])
            timed["torch"] = (best, torch[best])
        for rival, (name, value) in timed.items():
            wanted = TARGETS.get((network.split("-")[0], rival))
            found.append(f"- {network}: {value / mine:.1f} x {name}" + (f" (at least {wanted:g})" if wanted else ""))
    for pair in ("notebook", "small"):
        ratio = seconds[f"{pair}-batch", "normlab"] / seconds[f"{pair}-none", "normlab"]
        limit = f" (at most {MOST_STEP_RATIO:g})" if pair == "notebook" else ""
        found.append(f"- {pair}: with batch norms {ratio:.2f} x without{limit}")
    return found


def _cell(seconds: float | None) -> str:
    return "over the limit" if seconds is None else f"{seconds:.4f}"


def _write_data(pair: str, data_dir: Path | None, path: Path) -> None:
    """Write what the rivals read, the same parts as normlab trains on."""
    from normlab.data import load

    dataset = load("mnist", data_dir=data_dir) if pair == "notebook" else load("digits")
    train, validation = dataset.train, dataset.validation
    np.savez(
        path,
        x_train=train.x,
        y_train=train.y,
        x_val=validation.x,
        y_val=validation.y,
        divisor=np.float32(dataset.divisor),
    )
