"""Batch norm in a recurrent network: a small initial gamma, and statistics for every time step, as relations."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from normlab.replicate.bench import bench_for
from normlab.replicate.relation import Relation, checked
from normlab.replicate.replication import Checked, Replication, Setting
from normlab.stats.divergence import counted_accuracy

if TYPE_CHECKING:
    from normlab.claims.bench import Bench
    from normlab.data.dataset import Dataset, Part

# Theirs reads MNIST pixel by pixel, 784 steps, with 100 units and batches of 64. In few steps nothing vanishes: over
# the 8 rows of a digit the larger gamma learns as fast or faster.
NETWORK = {"cell": "lstm", "units": 32}
PIXELS_A_STEP = {"quick": 1, "full": 4}
SEEDS = {"quick": 8, "full": 12}
EPOCHS = {"quick": 12, "full": 5}
BATCH = 64
# Adam stands for their RMSProp.
RATE = {"quick": 0.01, "full": 0.002}
# Name: (initial gamma, statistics).
ARMS = {"small": (0.1, "per-step"), "one": (1.0, "per-step"), "shared": (0.1, "shared")}
NUM_RELATIONS = 3


def sequences(pixels: int, dataset: Dataset) -> Dataset:
    """Return the images as sequences, in reading order: (n, steps, pixels)."""

    def read(part: Part) -> Part:
        return dataclasses.replace(part, x=part.x.reshape(len(part), -1, pixels))

    train, validation, test = (read(part) for part in dataset.parts.values())
    return dataclasses.replace(dataset, train=train, validation=validation, test=test)


def measure(bench: Bench) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Train every arm; return its training accuracy in the last epoch, as seen in training, and its test accuracy.

    The test is made with statistics of the trained network, as theirs: recomputed over the training part.
    """
    from normlab.claims.settled import settled_error

    found = {}
    for arm, (gamma, statistics) in ARMS.items():
        program = bench.program(
            "batch", batch_size=BATCH, optimizer="adam", layout="vmap", gamma=gamma, statistics=statistics
        )
        rates = [RATE[bench.budget]] * len(bench.seeds)
        trained = bench.train(program, bench.seeds, rates, EPOCHS[bench.budget])
        training = counted_accuracy(trained.accuracy[-1], trained.diverged)
        found[arm] = (training, 1 - settled_error(bench, program, trained))
    return found


def relations(accuracies: dict[str, tuple[np.ndarray, np.ndarray]]) -> list[Relation]:
    """Return what the paper says of gamma and of statistics shared over time."""
    training = {arm: values for arm, (values, _) in accuracies.items()}
    test = {arm: values for arm, (_, values) in accuracies.items()}
    small, one = (f"{ARMS[arm][0]:g}" for arm in ("small", "one"))
    starved = "2 points at least; a starved gradient may leave the accuracy at chance level"
    return [
        Relation(
            f"training accuracy, initial gamma {small} - {one}",
            training["small"],
            training["one"],
            "above 0 (learning curves without numbers)",
            0.02,
            0.95,
            starved,
        ),
        Relation(
            f"test accuracy, initial gamma {small} - {one}",
            test["small"],
            test["one"],
            "above 0 (learning curves without numbers)",
            0.02,
            0.95,
            starved,
        ),
        Relation(
            f"test accuracy at gamma {small}, statistics per time step - shared over time",
            test["small"],
            test["shared"],
            "above 0 (no number; 0.990 with statistics per step, pixel by pixel)",
            0.02,
            0.95,
            "2 points at least; shared statistics may leave the accuracy at chance level",
        ),
    ]


def run(setting: Setting) -> list[Checked]:
    """Train an LSTM on digits pixel by pixel (quick) or MNIST by four pixels (full) and judge over seeds.

    Raises:
        InputError: With too few seeds, or without the files of MNIST.
    """
    budget = setting.budget
    if setting.seeds is None:
        setting = dataclasses.replace(setting, seeds=SEEDS[budget])
    bench = bench_for(setting, NUM_RELATIONS, "recurrent", NETWORK, change=partial(sequences, PIXELS_A_STEP[budget]))
    return checked(relations(measure(bench)))


REPLICATION = Replication(
    id="per-timestep",
    title="recurrent batch norm: gamma begins at 0.1, statistics per time step (relations)",
    source="Cooijmans, Ballas, Laurent, Gülçehre, Courville 2017, arXiv:1603.09025, sections 3 and 4",
    run=run,
)
