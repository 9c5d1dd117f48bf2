"""Batch norm's gain comes with large learning rates: Bjorck et al. 2018, as relations between rates and arms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from normlab.replicate.bench import bench_for
from normlab.replicate.relation import Relation, checked
from normlab.replicate.replication import Checked, Replication, Setting

if TYPE_CHECKING:
    from normlab.claims.bench import Bench

# Theirs is a ResNet-110; what counts is that without a norm it trains at small rates only. So does this one.
NETWORK = {"widths": (64,) * 12}
EPOCHS = {"quick": 40, "full": 10}
# Their small rate, 0.0001, is the largest at which the network without a norm trains; their largest lies a thousandfold
# above it. Ours are those of this network. At 0.003 and after 20 epochs, where this was first measured, batch norm had
# not converged and was 18.6 points behind; theirs train until nothing moves.
SMALL, LARGE = 0.01, 0.3
ARMS = ("none", "batch")
# Said where the gain at the own best rates is not the same at all rates that tuning leaves open.
OPEN_RATES = (
    "at one of the rates that a few tuning seeds leave open, the network without a norm fails with some seeds, so the "
    "gain lies anywhere between nothing and the whole accuracy"
)
NUM_RELATIONS = 4
# By arm and by rate ("small", "large", "best"): test accuracy of every seed; at "best", (rates, seeds), at every rate
# that may be the arm's best.
Accuracies = dict[tuple[str, str], np.ndarray]


def measure(bench: Bench) -> Accuracies:
    """Train both arms at the small rate, at the large one, and at each arm's own best rate."""
    from normlab.claims.final_error import final_error

    found: Accuracies = {}
    for arm in ARMS:
        program = bench.program(arm, runs=2 * len(bench.seeds), layout="vmap")
        best = bench.possible_rates(arm, runs=2 * len(bench.seeds), layout="vmap", epochs=EPOCHS[bench.budget])
        by_rate = {}
        for rate in dict.fromkeys((SMALL, LARGE, *best)):
            trained = bench.train(program, bench.seeds, [rate] * len(bench.seeds), EPOCHS[bench.budget])
            by_rate[rate] = 1 - final_error(bench, trained.test_loss, trained.test_accuracy, trained.diverged)
        found |= {(arm, "small"): by_rate[SMALL], (arm, "large"): by_rate[LARGE]}
        found[arm, "best"] = np.stack([by_rate[rate] for rate in best])
    return found


def relations(accuracies: Accuracies) -> list[Relation]:
    """Return what the paper's figure 1 shows, of test accuracies; a run that diverged has 0."""
    what = "test accuracy"
    return [
        Relation(
            f"{what} at the small rate {SMALL:g}, batch - none",
            accuracies["batch", "small"],
            accuracies["none", "small"],
            "comparable",
            -0.02,
            0.02,
            "two points either way is what we call comparable",
        ),
        Relation(
            f"{what} at the large rate {LARGE:g}, batch - none",
            accuracies["batch", "large"],
            accuracies["none", "large"],
            "about +0.8: 0.93 where training without a norm fails",
            0.3,
            1.0,
            "a failure may be chance level or divergence, which counts as 0",
        ),
        Relation(
            f"{what} with batch norm, rate {LARGE:g} - rate {SMALL:g}",
            accuracies["batch", "large"],
            accuracies["batch", "small"],
            "about +0.1 (read off the figure)",
            0.0,
            0.3,
            "easier data leave less room; three times as much at most",
        ),
        Relation(
            f"{what} at each arm's own best rate, batch - none",
            *_under_every_choice(accuracies["batch", "best"], accuracies["none", "best"]),
            "about +0.1 (read off the figure)",
            0.0,
            0.3,
            "easier data leave less room; three times as much at most",
            known=OPEN_RATES,
        ),
    ]


def _under_every_choice(values: np.ndarray, baseline: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return every combination of two arms' rates: the values of each arm, (combinations, seeds)."""
    values, baseline = np.atleast_2d(values), np.atleast_2d(baseline)
    return np.repeat(values, len(baseline), axis=0), np.tile(baseline, (len(values), 1))


def run(setting: Setting) -> list[Checked]:
    """Train a deep network on digits (quick) or MNIST (full) and judge the relations over seeds.

    Raises:
        InputError: With too few seeds, or without the files of MNIST.
    """
    return checked(relations(measure(bench_for(setting, NUM_RELATIONS, "mlp", NETWORK))))


REPLICATION = Replication(
    id="bjorck",
    title="no gain from batch norm at a small learning rate, a gain at large ones (relations)",
    source="Bjorck, Gomes, Selman, Weinberger 2018, arXiv:1806.02375, figure 1 (a ResNet-110 on CIFAR-10)",
    run=run,
)
