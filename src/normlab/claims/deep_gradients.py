"""Deep networks of several depths and activations: which train, and how large the gradient is at every layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl

from normlab import seeding
from normlab.claims.tower import ACTIVATIONS, SHIFTS, Runs, tower
from normlab.norms import NORMS
from normlab.probes.gradients import gradients
from normlab.probes.inside import survey
from normlab.train.optimizers import OPTIMIZERS
from normlab.train.order import epoch_order

if TYPE_CHECKING:
    from normlab.claims.bench import Bench, Budget
    from normlab.claims.trained import Trained
    from normlab.train.loop import RunState
    from normlab.train.population import Layout, Population

DEPTHS: dict[Budget, tuple[int, ...]] = {"quick": (5, 10, 20), "full": (2, 5, 10, 20, 50)}
WIDTH = 64
STEPS: dict[Budget, int] = {"quick": 96, "full": 768}
# The loss of the last of so many equal parts of the training counts.
PARTS = 4
# A second start from ReLU weights that are too large by this factor: gradients explode by its square per layer.
TOO_LARGE = 2.0


def program(bench: Bench, arm: str) -> Population:
    """Return the program of one arm, for every depth and activation."""
    plan = tower(bench, NORMS[arm], DEPTHS[bench.budget][-1], WIDTH)
    # Measured: layers this small share a CPU's core best one run after the other.
    layout: Layout = "map" if jax.default_backend() == "cpu" else "vmap"
    return bench.population(plan, runs=len(ACTIVATIONS) * len(bench.seeds), batch_size=bench.batch_size, layout=layout)


def losses_by_depth(bench: Bench, program: Population) -> pl.DataFrame:
    """Return activation, depth, rate, seed (the first that tunes), time `loss`, norm; the best rate of each depth.

    A loss in training mode, since running statistics lag behind after so few steps.
    """
    grid, seed = OPTIMIZERS["sgd"].grid, bench.tuning_seeds[0]
    cells = [(name, depth, rate, seed) for name in ACTIVATIONS for depth in DEPTHS[bench.budget] for rate in grid]
    trained = _train(bench, program, cells)
    share = np.where(trained.diverged, math.inf, trained.loss[-1] / program.trainer.objective.uninformed_loss)
    schema = ["activation", "depth", "rate", "seed"]
    return (
        pl.DataFrame(cells, schema=schema, orient="row")
        .with_columns(norm=pl.Series(np.nan_to_num(share.astype(float), nan=math.inf)), time=pl.lit("loss"))
        .sort("norm", maintain_order=True)
        .group_by("activation", "depth", maintain_order=True)
        .first()
    )


def norms_by_layer(bench: Bench, program: Population, rates: dict[str, float]) -> pl.DataFrame:
    """Return activation, depth, rate, seed, time, layer, norm of networks of the largest depth."""
    depth = DEPTHS[bench.budget][-1]
    cells = [(name, depth, rates[name], seed) for name in ACTIVATIONS for seed in bench.seeds]
    doubled = _doubled(bench, program, depth)
    probe = gradient_norms(bench, program, doubled)
    trained = _train(bench, program, cells, observe=lambda _program, state, _done: np.asarray(probe(state)))
    measured = {"start": 0, "trained": -1}
    found = {
        time: np.concatenate([seen[which] for seen in trained.observed])[: len(cells)]
        for time, which in measured.items()
    }
    found["start, weights doubled"] = np.asarray(probe(doubled))
    rows = []
    for time, norms in found.items():
        of = cells if time in measured else [("relu", depth, None, seed) for seed in bench.seeds]
        for cell, layers in zip(of, norms[: len(of)], strict=True):
            rows += [(*cell, time, layer, float(norm)) for layer, norm in enumerate(layers, 1)]
    names = ["activation", "depth", "rate", "seed", "time", "layer", "norm"]
    return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)


def gradient_norms(bench: Bench, program: Population, state: RunState) -> Callable[[RunState], Any]:
    """Compile ‖∂L/∂h_l‖ on one training batch, the same for all runs: state of all runs -> (runs, layers)."""
    train = bench.dataset.train
    chosen = seeding.generator(bench.seeds[0], "claims", "gradient-flow").permutation(len(train))[: bench.batch_size]
    where = [output.name for output in survey(program.trainer, train.x[chosen])].index(SHIFTS)

    def norms(run: RunState, x: Any, y: Any) -> jax.Array:
        return jnp.linalg.norm(gradients(program.trainer, run, x, y)[1][where], axis=(0, 2))

    return program.compile_measurement(norms, train.x[chosen], train.y[chosen], state)


def _train(bench: Bench, program: Population, cells: Sequence[tuple[str, int, float, int]], **named: Any) -> Trained:
    """Train one run per (activation, depth, rate, seed)."""
    activations, depths, rates, seeds = zip(*cells, strict=True)
    count, size = len(bench.dataset.train), bench.batch_size
    batches = min(count // size, max(1, STEPS[bench.budget] // PARTS))
    # Whole batches alone, since a shorter last one would be a second step to compile.
    samples = batches * size or count

    def whole_batches(seed: int, epoch: int, num_samples: int) -> np.ndarray:
        return epoch_order(seed, epoch, num_samples)[:samples]

    parts = -(-STEPS[bench.budget] // max(batches, 1))
    start = Runs(depths, activations)
    return bench.train(
        program, seeds, rates, parts, order=whole_batches, start=start, validate=False, test=False, **named
    )


def _doubled(bench: Bench, program: Population, depth: int) -> RunState:
    """Return the start of a ReLU network per seed from weights that are too large."""
    runs = Runs([depth] * len(bench.seeds), ["relu"] * len(bench.seeds), [TOO_LARGE] * len(bench.seeds))
    return runs(program, program.start(bench.seeds, [0.0] * len(bench.seeds)))
