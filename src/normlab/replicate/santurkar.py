"""Batch norm does not hold distributions still, it smooths the loss: Santurkar et al. 2018, as relations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from normlab.replicate.bench import bench_for
from normlab.replicate.relation import Relation, checked
from normlab.replicate.replication import Checked, Replication, Setting
from normlab.stats.divergence import counted_accuracy

if TYPE_CHECKING:
    from normlab.claims.bench import Bench
    from normlab.train.loop import RunState, Trainer

# Theirs are a VGG net and a linear one of 25 layers, both arms at one rate at which both train well.
NETWORK = {"widths": (64,) * 4}
RATE = 0.1
# The shift is also measured at a tenth of it: what is found depends on the rate.
SHIFT_RATES = {"a tenth of the rate": RATE / 10, "the rate": RATE}
# Steps along the gradient, times the rate: theirs go from a half to 4.
STEPS = (0.5, 1.0, 2.0, 4.0)
EPOCHS = {"quick": 12, "full": 5}
MEASURED, CONTROL = ("none", "batch"), "noisy"
SMOOTHNESS = {
    "loss_range": "range of the loss along the gradient",
    "gradient_change": "change of the gradient along it",
    "smoothness": "effective β",
}
SHIFT, COSINE = "gradient_shift", "gradient_cosine"
FIGURE = "a figure without numbers"
# Said where the shift is smaller with batch norm after all; see docs/replications.md.
SHALLOW = (
    "in a network of four layers batch norm does keep a layer's gradient stiller at a rate at which both train fast; "
    "the source's networks are 16 and 25 layers deep"
)
NUM_RELATIONS = 9
# By arm and quantity, (seeds,): `accuracy` on training data after the last epoch, in evaluation mode; of `MEASURED`
# also what `SMOOTHNESS` names, and the shift by the name of the rate, as in "gradient_shift at the rate".
Outcomes = dict[str, dict[str, np.ndarray]]


def measure(bench: Bench) -> Outcomes:
    """Train three arms at one rate; measure two of them along training with both probes, on batches they share."""
    from normlab.claims.trajectory import trajectory

    found: Outcomes = {}
    for arm in (*MEASURED, CONTROL):
        program = bench.program(arm, layout="vmap")
        trained = bench.train(program, bench.seeds, [RATE] * len(bench.seeds), EPOCHS[bench.budget])
        _, accuracy = program.evaluate(trained.states[0], len(bench.seeds), "train")
        found[arm] = {"accuracy": counted_accuracy(accuracy, trained.diverged)}
        if arm in MEASURED:
            rows = trajectory(bench, program, SHIFT_RATES, _both_probes)
            for quantity in (*SMOOTHNESS, *(f"{name} at {rate}" for name in (SHIFT, COSINE) for rate in SHIFT_RATES)):
                name, _, rate = quantity.partition(" at ")
                kept = [(seed, m[name]) for of_rate, seed, _, m in rows if of_rate == (rate or "the rate")]
                by_seed = [[value for own, value in kept if own == seed] for seed in bench.seeds]
                found[arm][quantity] = np.nanmedian(np.array(by_seed, float), axis=1)
    return found


def _both_probes(trainer: Trainer, state: RunState, x: Any, y: Any) -> dict[str, Any]:
    """Return the landscape's largest values over `STEPS` and the shift's means over the Dense layers of both arms."""
    import jax.numpy as jnp

    from normlab.probes import covariate_shift, landscape

    names = covariate_shift.layers(trainer, x)[SHIFT] or ()
    dense = jnp.array([index for index, name in enumerate(names) if name.startswith("hidden_")])
    shift = covariate_shift.measure(trainer, state, x, y)
    along = landscape.along_gradient(trainer, state, x, y, [RATE * step for step in STEPS])
    return {
        "loss_range": along["loss"].max() - along["loss"].min(),
        "gradient_change": along["gradient_change"].max(),
        "smoothness": along["smoothness"].max(),
        SHIFT: jnp.exp(jnp.log(shift[SHIFT][dense]).mean()),
        COSINE: shift[COSINE][dense].mean(),
    }


def relations(outcomes: Outcomes) -> list[Relation]:
    """Return what the paper's figures 1, 2 and 4 show."""
    none, batch, noisy = (outcomes[arm] for arm in (*MEASURED, CONTROL))
    smoother = [
        Relation(
            f"{title}, batch / none",
            np.log(batch[name]),
            np.log(none[name]),
            f"below 1 ({FIGURE})",
            math.log(0.01),
            math.log(0.9),
            "a tenth smoother at least",
            is_ratio=True,
        )
        for name, title in SMOOTHNESS.items()
    ]
    return [
        Relation(
            "training accuracy, noisy - batch",
            noisy["accuracy"],
            batch["accuracy"],
            "about 0, a little below",
            -0.02,
            0.02,
            "noise that costs two points would count",
        ),
        Relation(
            "training accuracy, noisy - none",
            noisy["accuracy"],
            none["accuracy"],
            f"above 0 ({FIGURE})",
            0.0,
            0.5,
            "any gain, up to half",
        ),
        *[
            Relation(
                f"covariate shift of a layer's gradient ‖G - G'‖ at rate {rate:g}, batch / none",
                np.log(batch[f"{SHIFT} at {name}"]),
                np.log(none[f"{SHIFT} at {name}"]),
                f"1 or above ({FIGURE})",
                math.log(0.8),
                math.log(10.0),
                "a fifth less is none worth a name",
                is_ratio=True,
                known=SHALLOW,
            )
            for name, rate in SHIFT_RATES.items()
        ],
        *[
            Relation(
                f"cosine of G and G' at rate {rate:g}, batch - none",
                batch[f"{COSINE} at {name}"],
                none[f"{COSINE} at {name}"],
                f"0 or below ({FIGURE})",
                -1.0,
                0.05,
                "0.05 more is none worth a name",
                known=SHALLOW,
            )
            for name, rate in SHIFT_RATES.items()
        ],
        *smoother,
    ]


def run(setting: Setting) -> list[Checked]:
    """Train a deep network on digits (quick) or MNIST (full) and judge the relations over seeds.

    Raises:
        InputError: With too few seeds, or without the files of MNIST.
    """
    return checked(relations(measure(bench_for(setting, NUM_RELATIONS, "mlp", NETWORK))))


REPLICATION = Replication(
    id="santurkar",
    title="batch norm trains as well with shifting inputs, keeps no gradient still, smooths the loss (relations)",
    source="Santurkar, Tsipras, Ilyas, Madry 2018, arXiv:1805.11604, figures 1, 2 and 4 (VGG on CIFAR-10)",
    run=run,
)
