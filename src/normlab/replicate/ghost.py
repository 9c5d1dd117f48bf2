"""Hoffer et al. 2017: batch norm over small ghost batches narrows the generalization gap of large batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from normlab.replicate.bench import bench_for
from normlab.replicate.relation import Relation, checked
from normlab.replicate.replication import Checked, Replication, Setting
from normlab.stats.divergence import chance_loss, counted_loss

if TYPE_CHECKING:
    from normlab.claims.bench import Bench

NETWORK = {"widths": (64, 64)}
# Theirs are 128 and 4096, and ghost batches as large as the small batch. The last batch of an epoch is shorter.
SMALL, LARGE = {"quick": 32, "full": 128}, {"quick": 256, "full": 2048}
EPOCHS = {"quick": 40, "full": 20}
# At the small batch; at the large one it grows with the square root of the batch size, as theirs.
RATE = 0.1
# Keras's 0.99 would still hold the statistics' start after the few steps that large batches take.
MOMENTUM = 0.9
# Of the test error, ours, for a gap that is closed.
CLOSED = 0.005
NUM_RELATIONS = 4
# By regime (`small`, `large`, `ghost`, `longer`), test loss and test error of every seed.
Outcomes = dict[str, tuple[np.ndarray, np.ndarray]]


def measure(bench: Bench) -> Outcomes:
    """Train small batches, large ones, large ones in ghost batches, and these for as many steps as the small ones."""
    from normlab.claims.final_error import final_error
    from normlab.norms import NORMS

    small, large, epochs = SMALL[bench.budget], LARGE[bench.budget], EPOCHS[bench.budget]
    whole = NORMS["batch"].with_options(momentum=MOMENTUM)
    ghost = NORMS["ghost"].with_options(momentum=MOMENTUM, ghost_batch_size=small)
    larger_rate = RATE * (large / small) ** 0.5
    regimes = {
        "small": (whole, small, RATE, epochs),
        "large": (whole, large, larger_rate, epochs),
        "ghost": (ghost, large, larger_rate, epochs),
        "longer": (ghost, large, larger_rate, epochs * large // small),
    }
    found = {}
    for name, (norm, size, rate, count) in regimes.items():
        program = bench.program(norm, batch_size=size, layout="vmap")
        trained = bench.train(program, bench.seeds, [rate] * len(bench.seeds), count)
        loss = counted_loss(trained.test_loss, trained.diverged, chance_loss(len(bench.dataset.classes)))
        found[name] = (loss, final_error(bench, trained.test_loss, trained.test_accuracy, trained.diverged))
    return found


def relations(outcomes: Outcomes) -> list[Relation]:
    """Return what the paper's tables 1 and 2 show in kind.

    Of test loss where the difference is a few test images: it is finer than their test error.
    """
    loss = {name: np.log(values) for name, (values, _) in outcomes.items()}
    error = {name: values for name, (_, values) in outcomes.items()}
    return [
        Relation("test loss, large batch / small batch", loss["large"], loss["small"], "above", is_ratio=True),
        Relation("test error, large batch - small batch", error["large"], error["small"], "above"),
        Relation("test loss at large batch, ghost / whole batch", loss["ghost"], loss["large"], "below", is_ratio=True),
        Relation(
            "test error, large batch in ghost batches, as many steps as the small batch - small batch",
            error["longer"],
            error["small"],
            "not above",
            CLOSED,
        ),
    ]


def run(setting: Setting) -> list[Checked]:
    """Train a small network on digits (quick) or MNIST (full) and judge the relations over seeds.

    Raises:
        InputError: With too few seeds, or without the files of MNIST.
    """
    return checked(relations(measure(bench_for(setting, NUM_RELATIONS, "mlp", NETWORK))))


REPLICATION = Replication(
    id="ghost",
    title="large batches generalize worse; ghost batches and more steps narrow the gap (relations)",
    source="Hoffer, Hubara, Soudry 2017, arXiv:1705.08741, tables 1 and 2 (batches of 128 and 4096)",
    run=run,
)
