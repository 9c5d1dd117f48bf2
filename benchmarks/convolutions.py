"""The section `convolutions`: a convolutional network and a ResNet with batch norm on CIFAR-10, beside Keras `fit`."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
from images import BATCH_SIZE, first_images
from turns import Record, Worker, take_turns

HERE = Path(__file__).resolve().parent
TITLE = "Convolutions: CIFAR-10, batch 64, SGD with momentum, batch norm"
NETWORKS = {"convnet": "convnet, 6 convolutions (32, 64, 128 channels)", "resnet": "resnet, depth 8, width 16"}
LEAST_RATIO = 1.0
STEPS, ROUNDS = 100, 5


def measure(rivals: str, data_dir: Path | None, quick: bool) -> list[Record]:
    """Time all engines on both networks, in turns; a record per network and engine.

    Args:
        rivals: The Python of an environment with tensorflow.
        data_dir: Folder of CIFAR-10.
        quick: Do as little as shows that everything runs.
    """
    num_steps, num_rounds = (2, 1) if quick else (STEPS, ROUNDS)
    records = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "cifar10.npz"
        _write_images(data, data_dir, num_steps)
        for network in NETWORKS:
            print(f"{network}: getting ready", file=sys.stderr)
            engines = _started(network, rivals, data, data_dir, num_steps, num_rounds)
            counts = {name: workers[0].description["num_parameters"] for name, (workers, _) in engines.items()}
            if len(set(counts.values())) > 1:
                sys.exit(f"The engines must train the same network, but its parameters are {counts}.")
            turns = take_turns({name: workers for name, (workers, _) in engines.items()}, num_rounds)
            for name, (workers, num_runs) in engines.items():
                for worker in workers:
                    worker.end()
                records.append(
                    {
                        "network": network,
                        "engine": name,
                        "num_steps": num_steps,
                        **workers[0].description,
                        "seconds_per_epoch_and_run": [turn["seconds"] / num_runs for turn in turns[name]],
                        "cpu_seconds_per_epoch_and_run": [turn["cpu_seconds"] / num_runs for turn in turns[name]],
                    }
                )
    return records


def lines(records: list[Record]) -> list[str]:
    """Return a table and the ratios to reach, as lines of Markdown."""
    count = records[0]["num_steps"]
    found = [
        f"An epoch is {count} steps on {count * BATCH_SIZE:,} images, and validation on a ninth of that. Wall time per "
        f"epoch and run: median over {len(records[0]['seconds_per_epoch_and_run'])} rounds in which the engines took "
        "turns; ratios are medians (and quartiles) of those within a round, to Keras's better setting. CPU seconds are "
        "those of all threads.",
    ]
    for network, title in NETWORKS.items():
        of = {record["engine"]: record for record in records if record["network"] == network}
        seconds = {name: record["seconds_per_epoch_and_run"] for name, record in of.items()}
        best = min((name for name in of if name.startswith("Keras")), key=lambda name: median(seconds[name]))
        found += ["", f"{title}, {next(iter(of.values()))['num_parameters']:,} parameters:", ""]
        found += [
            "| engine | seconds per epoch and run | CPU seconds | ms per step and run | Keras / it |",
            "|---|---|---|---|---|",
        ]
        for name, record in of.items():
            wall, cpu = median(seconds[name]), median(record["cpu_seconds_per_epoch_and_run"])
            ratio = _quartiles([theirs / its for theirs, its in zip(seconds[best], seconds[name], strict=True)])
            found.append(f"| {name} | {wall:.2f} | {cpu:.2f} | {1000 * wall / count:.0f} | {ratio} |")
    return [*found, "", f"To reach: at least {LEAST_RATIO:g} per run, with two or more runs at once."]


def _started(
    network: str, rivals: str, data: Path, data_dir: Path | None, num_steps: int, num_rounds: int
) -> dict[str, tuple[list[Worker], int]]:
    """Start the engines one after the other; return by name their processes and how many runs these train at once."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    keras = [rivals, str(HERE / "keras_images.py"), "--network", network, "--data", str(data)]
    keras += ["--rounds", str(num_rounds), "--threads"]
    normlab = [sys.executable, str(HERE / "image_population.py"), "--network", network, "--steps", str(num_steps)]
    normlab += ["--rounds", str(num_rounds), *(("--data-dir", str(data_dir)) if data_dir else ()), "--runs"]
    engines = {
        "Keras fit, one process on all cores": ([Worker([*keras, "all"])], 1),
        f"Keras fit, {cores} processes of one thread": ([Worker([*keras, "1"]) for _ in range(cores)], cores),
    }
    for num_runs in (max(2, cores), 2 * max(2, cores)):
        engines[f"normlab, {num_runs} runs"] = ([Worker([*normlab, str(num_runs)])], num_runs)
    return engines


def _write_images(path: Path, data_dir: Path | None, num_steps: int) -> None:
    dataset = first_images(data_dir, num_steps)
    train, validation = dataset.train, dataset.validation
    parts: dict[str, Any] = {"x_train": train.x, "y_train": train.y, "x_val": validation.x, "y_val": validation.y}
    np.savez(path, divisor=np.float32(dataset.divisor), **parts)


def _quartiles(values: list[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.2f}"
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"
