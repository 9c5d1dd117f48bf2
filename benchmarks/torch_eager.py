"""Times eager PyTorch in its best honest setting and prints one line of JSON.

`python benchmarks/torch_eager.py --network notebook-none --epochs 3 --data FILE.npz`, in an environment with
torch. FILE.npz holds x_train, y_train, x_val, y_val (uint8) and the pixels' divisor. The whole data is preloaded as
flat float tensors; an epoch's seconds include its validation, one forward pass over all of it. With `--processes K`,
K runs with one thread each train side by side, and seconds per epoch and run are the wall time / K. The first epoch
is warm-up, listed apart.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import platform
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import torch
from networks import BATCH_SIZE, LEARNING_RATE, NETWORKS, BatchNorm, Dense, Layer, LeakyRelu, Network, Relu
from torch import Tensor, nn

BARRIER_SECONDS = 600  # a process that failed before the barrier must not leave the others waiting for ever


@dataclass(frozen=True)
class Run:
    """What one process saw: `marks` are the start and the end of each timed epoch, on the machine's one clock."""

    first_epoch_seconds: float
    marks: list[float]
    final: dict[str, float]


def main() -> None:
    """Read the command line, train, print the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=NETWORKS, required=True)
    parser.add_argument("--epochs", type=int, required=True, help="the first, untimed epoch counts among them")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--threads", choices=("1", "all"), default="1")
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    if options.epochs < 2:
        parser.error(f"--epochs must be at least 2, got {options.epochs}; the first epoch is not timed.")
    if options.processes < 1 or (options.processes > 1 and options.threads == "all"):
        received = f"--processes {options.processes} with --threads {options.threads}"
        parser.error(f"the processes must be one, or several of one thread each, got {received}; change one.")
    if not options.data.is_file():
        parser.error(f"--data must name an .npz file, got {options.data}; write it first.")
    with np.load(options.data) as arrays:
        num_features, wanted = arrays["x_train"][0].size, NETWORKS[options.network].num_features
    if num_features != wanted:
        parser.error(f"{options.network} must get {wanted} pixels an image, got {num_features}; give other data.")
    num_threads = len(os.sched_getaffinity(0)) if options.threads == "all" else 1
    print(json.dumps(measure(options.network, options.data, options.epochs, num_threads, options.processes)))


def measure(name: str, data: Path, epochs: int, num_threads: int, num_processes: int) -> dict[str, Any]:
    """Train the network in `num_processes` processes side by side, with seeds 0, 1, ...; return the record.

    Epoch e's wall time runs from the moment the last process ended epoch e - 1 to the moment the last one ended
    epoch e, so that the walls add up to the whole. `final` holds the metrics of the first process.
    """
    spawn = multiprocessing.get_context("spawn")
    with spawn.Manager() as manager, ProcessPoolExecutor(num_processes, mp_context=spawn) as pool:
        barrier = manager.Barrier(num_processes)
        runs = list(pool.map(partial(train, name, data, epochs, num_threads, barrier), range(num_processes)))
    starts, *ends = zip(*(run.marks for run in runs), strict=True)
    marks = [min(starts), *(max(end) for end in ends)]
    return {
        "engine": "torch-eager",
        "network": name,
        "first_epoch_seconds": max(run.first_epoch_seconds for run in runs),
        "seconds_per_epoch_and_run": [float(seconds) / num_processes for seconds in np.diff(marks)],
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "setting": f"eager, batch {BATCH_SIZE}, SGD {LEARNING_RATE:g}, data preloaded, "
        f"processes={num_processes}, threads={num_threads}, {len(os.sched_getaffinity(0))} cores",
        "final": runs[0].final,
    }


def train(name: str, data: Path, epochs: int, num_threads: int, barrier: Barrier, seed: int) -> Run:
    """Train one run: an epoch of warm-up, the barrier, then the timed epochs."""
    torch.set_num_threads(num_threads)
    torch.manual_seed(seed)
    tensors = _load(data)
    model = build(NETWORKS[name])
    # Its foreach and fused variants were measured on these networks: no faster, so the default stays.
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)
    begin = time.monotonic()
    final = _epoch(model, optimizer, *tensors)
    first_epoch_seconds = time.monotonic() - begin
    barrier.wait(BARRIER_SECONDS)
    marks = [time.monotonic()]
    for _ in range(1, epochs):
        final = _epoch(model, optimizer, *tensors)
        marks.append(time.monotonic())
    return Run(first_epoch_seconds, marks, final)


def build(network: Network) -> nn.Sequential:
    """Build the described network for flat images, ending in logits: the loss applies the softmax."""
    layers: list[nn.Module] = []
    num_inputs = network.num_features
    for layer in network.layers:
        layers += _modules(layer, num_inputs)
        num_inputs = layer.units if isinstance(layer, Dense) else num_inputs
    return nn.Sequential(*layers)


def _modules(layer: Layer, num_inputs: int) -> list[nn.Module]:
    match layer:
        case Dense(units, activation, initializer, use_bias):
            linear = nn.Linear(num_inputs, units, bias=use_bias)
            if initializer == "glorot_uniform":
                nn.init.xavier_uniform_(linear.weight)
            else:
                # As in Keras: a normal cut at two deviations, widened so that its variance is 2 / num_inputs.
                deviation = math.sqrt(2 / num_inputs) / 0.87962566103423978
                nn.init.trunc_normal_(linear.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
            if use_bias:
                nn.init.zeros_(linear.bias)
            return [linear, nn.ReLU(inplace=True)] if activation == "relu" else [linear]
        case BatchNorm(momentum, epsilon):
            return [nn.BatchNorm1d(num_inputs, eps=epsilon, momentum=1 - momentum)]  # torch counts what is replaced
        case Relu():
            return [nn.ReLU(inplace=True)]
        case LeakyRelu(negative_slope):
            return [nn.LeakyReLU(negative_slope, inplace=True)]


def _epoch(
    model: nn.Sequential, optimizer: torch.optim.SGD, x: Tensor, y: Tensor, x_val: Tensor, y_val: Tensor
) -> dict[str, float]:
    model.train()
    order = torch.randperm(len(x))
    logits: list[Tensor] = []  # scored at the end, so that no step pays for the running metrics that `fit` keeps
    for batch in order.split(BATCH_SIZE):
        output = model(x[batch])
        loss = nn.functional.cross_entropy(output, y[batch])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        logits.append(output.detach())
    model.eval()
    with torch.inference_mode():
        return _score("", torch.cat(logits), y[order]) | _score("val_", model(x_val), y_val)


def _score(prefix: str, logits: Tensor, y: Tensor) -> dict[str, float]:
    accuracy = (logits.argmax(1) == y).float().mean()
    return {f"{prefix}loss": nn.functional.cross_entropy(logits, y).item(), f"{prefix}accuracy": accuracy.item()}


def _load(path: Path) -> list[Tensor]:
    with np.load(path) as arrays:
        divisor = np.float32(arrays["divisor"])
        x_train, x_val = (arrays[key].reshape(len(arrays[key]), -1) / divisor for key in ("x_train", "x_val"))
        y_train, y_val = (arrays[key].astype("int64") for key in ("y_train", "y_val"))
    return [torch.from_numpy(array) for array in (x_train, y_train, x_val, y_val)]


if __name__ == "__main__":
    main()
