"""The first experiment on batch norm, Ioffe and Szegedy 2015, section 4.1: three layers of sigmoids on MNIST."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from normlab.replicate.bench import bench_for
from normlab.replicate.relation import Relation, checked
from normlab.replicate.replication import Checked, Replication, Setting

if TYPE_CHECKING:
    from normlab.claims.bench import Bench
    from normlab.train.loop import RunState
    from normlab.train.population import Population

# As published: three hidden layers of 100 sigmoid units, batches of 60, 50,000 steps, small Gaussian weights.
NETWORK = {"widths": (100, 100, 100), "activation": "sigmoid", "initializer": "lecun_normal"}
BATCH = 60
# Checkpoints, and steps between them.
CHECKPOINTS = {"quick": 20, "full": 50}
STEPS = {"quick": 100, "full": 1000}
# The paper does not give its rate.
RATE = 0.1
# The input of the last hidden layer's sigmoids, which figure 1 draws, and the test images that it is drawn from.
WATCHED, IMAGES = "norm_2", 1000
ARMS = ("none", "batch")
NUM_RELATIONS = 3


class Curves(NamedTuple):
    """What training one arm showed.

    Attributes:
        accuracy: On validation data after every checkpoint, (checkpoints, seeds).
        test_accuracy: After the last one, (seeds,).
        percentiles: The 15th, 50th and 85th of every last sigmoid's input, (checkpoints + 1, seeds, 3, units).
    """

    accuracy: np.ndarray
    test_accuracy: np.ndarray
    percentiles: np.ndarray


def measure(bench: Bench) -> dict[str, Curves]:
    """Train both arms at one rate, and look at the last sigmoids before the first step and after every checkpoint."""
    samples = BATCH * STEPS[bench.budget]
    found = {}
    for arm in ARMS:
        program = bench.program(arm, batch_size=BATCH, layout="vmap", samples=samples)
        observe, order = _percentiles_of(program), partial(samples_between, samples)
        rates, checkpoints = [RATE] * len(bench.seeds), CHECKPOINTS[bench.budget]
        trained = bench.train(program, bench.seeds, rates, checkpoints, order=order, observe=observe)
        seen = np.concatenate([np.stack(group) for group in trained.observed], axis=1)[:, : len(bench.seeds)]
        found[arm] = Curves(trained.val_accuracy, trained.test_accuracy, seen)
    return found


def samples_between(samples: int, seed: int, checkpoint: int, count: int) -> np.ndarray:
    """Return the samples seen from one checkpoint to the next: all `count` once before any of them comes again."""
    from normlab.train.order import epoch_order

    first, start = divmod(checkpoint * samples, count)
    last = (checkpoint * samples + samples - 1) // count
    orders = [epoch_order(seed, epoch, count) for epoch in range(first, last + 1)]
    return np.concatenate(orders)[start : start + samples]


def _percentiles_of(program: Population) -> Any:
    """Return what `Bench.train` calls to observe: (program, state, checkpoint) -> percentiles of all its runs."""
    import jax
    import jax.numpy as jnp

    from normlab.probes.activations import PERCENTILES
    from normlab.probes.inside import pass_through

    def one(trainable: list[Any], non_trainable: list[Any], x: jax.Array) -> jax.Array:
        inside = pass_through(program.trainer, trainable, non_trainable, x).inside
        (value,) = (output.value for output in inside if output.name == WATCHED)
        return jnp.percentile(value, jnp.array(PERCENTILES), axis=0)

    every_run = jax.jit(jax.vmap(one, in_axes=(0, 0, None)))

    def observe(program: Population, state: RunState, _: int) -> np.ndarray:
        return np.asarray(every_run(state.trainable, state.non_trainable, program.data.test[0][:IMAGES]))

    return observe


def unsteadiness(percentiles: np.ndarray) -> np.ndarray:
    """Return how far the percentiles move over training, (seeds,), from (checkpoints + 1, seeds, 3, units).

    The standard deviation over the checkpoints of each percentile of each unit; its mean over the percentiles, its
    median over the units. In the sigmoid's own scale: its slope is spent beyond about 4.
    """
    return np.median(percentiles.std(axis=0).mean(axis=1), axis=-1)


def relations(curves: dict[str, Curves]) -> list[Relation]:
    """Return what the paper's figure 1 shows."""
    none, batch = curves["none"], curves["batch"]
    moved = {arm: np.log(unsteadiness(own.percentiles)) for arm, own in curves.items()}
    figure = "a figure without numbers"
    return [
        Relation(
            "validation accuracy, mean over the checkpoints, batch - none",
            batch.accuracy.mean(axis=0),
            none.accuracy.mean(axis=0),
            f"above 0 ({figure})",
            0.005,
            0.6,
            "half a point at least; without a norm, sigmoids may stay at chance level for long",
        ),
        Relation(
            "test accuracy at the end, batch - none",
            batch.test_accuracy,
            none.test_accuracy,
            f"above 0 ({figure})",
            0.001,
            0.6,
            "a tenth of a point at least: both come near the end of what the network can do",
        ),
        Relation(
            "movement of the last sigmoids' inputs (percentiles 15, 50, 85) over training, batch / none",
            moved["batch"],
            moved["none"],
            f"below 1 ({figure})",
            math.log(0.05),
            math.log(0.9),
            "a tenth steadier at least; a twentieth of the movement at most",
            is_ratio=True,
        ),
    ]


def run(setting: Setting) -> list[Checked]:
    """Train both arms on MNIST, for 2,000 steps (quick) or the paper's 50,000 (full), and judge over seeds.

    Raises:
        InputError: With too few seeds, or without the files of MNIST.
    """
    return checked(relations(measure(bench_for(setting, NUM_RELATIONS, "mlp", NETWORK, "mnist"))))


REPLICATION = Replication(
    id="ioffe-mnist",
    title="three layers of sigmoids on MNIST: faster, more accurate and steadier with batch norm (relations)",
    source="Ioffe and Szegedy 2015, arXiv:1502.03167, section 4.1 and figure 1",
    run=run,
)
