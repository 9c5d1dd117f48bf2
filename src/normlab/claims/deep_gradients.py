"""Deep networks of several depths and activations: which train, and how large the gradient is at every layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
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
from normlab.stats.choices import possible_options
from normlab.study.rates import rates_beyond
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
# Seeds that tune at the largest depth: two show whether chance decides between rates.
SEEDS = 2
# A network that trains at its depth gets its loss below this share of the loss of knowing nothing.
TRAINS_BELOW = 0.5
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
    """Return activation, depth, rate, seed, norm of runs at every rate, one row each.

    `norm` is the mean loss over the last quarter of the training as a share of the loss of knowing nothing, infinite
    where the run diverged; in training mode, since running statistics lag behind after so few steps. At the largest
    depth several seeds tune, and a grid whose best rate lies at its edge, and trains, is extended. Shallower networks
    only show which depths train: one seed, every second rate.
    """
    grid, seeds, (*shallower, deepest) = OPTIMIZERS["sgd"].grid, bench.tuning_seeds[:SEEDS], DEPTHS[bench.budget]
    cells = [(name, depth, rate, seeds[0]) for name in ACTIVATIONS for depth in shallower for rate in grid[::2]]
    cells += [(name, deepest, rate, seed) for name in ACTIVATIONS for rate in grid for seed in seeds]
    found = _losses(bench, program, cells)
    while True:
        best = best_by_depth(found).filter(pl.col("depth") == deepest, pl.col("norm") < TRAINS_BELOW)
        cells = []
        for name, rate in best.select("activation", "rate").iter_rows():
            own = found.filter(pl.col("activation") == name, pl.col("depth") == deepest)
            beyond = rates_beyond(grid, own["rate"].unique(), [rate])
            cells += [(name, deepest, further, seed) for further in beyond for seed in seeds]
        if not cells:
            return found
        found = pl.concat([found, _losses(bench, program, cells)])


def best_by_depth(losses: pl.DataFrame) -> pl.DataFrame:
    """Return activation, depth, rate, norm: the rate of the lowest mean loss at each depth, with that loss."""
    means = losses.group_by("activation", "depth", "rate").agg(pl.col("norm").mean())
    return means.sort("norm", "rate").group_by("activation", "depth", maintain_order=True).first()


def possible_rates(losses: pl.DataFrame) -> dict[str, list[float]]:
    """Return by activation the rates that may be the best at the largest depth, the best one first; see `choices`."""
    deepest = losses.filter(pl.col("depth") == losses["depth"].max()).sort("rate", "seed")
    found = {}
    for (name,), own in deepest.group_by("activation", maintain_order=True):
        rates = own["rate"].unique(maintain_order=True).to_list()
        found[str(name)] = [
            rates[option] for option in possible_options([own["norm"].to_numpy().reshape(len(rates), -1)])
        ]
    return found


def norms_by_layer(bench: Bench, program: Population, rates: Mapping[str, Sequence[float]]) -> pl.DataFrame:
    """Return activation, depth, rate, choice, seed, time, layer, norm of networks of the largest depth.

    Args:
        bench: Its seeds are trained.
        program: Of one arm.
        rates: By activation, those that could have been chosen; `choice` is the place among them, 0 before training.
    """
    depth = DEPTHS[bench.budget][-1]
    cells = [(name, depth, rate, seed) for name, own in rates.items() for rate in own for seed in bench.seeds]
    choices = [choice for own in rates.values() for choice in range(len(own)) for _ in bench.seeds]
    doubled = _doubled(bench, program, depth)
    probe = gradient_norms(bench, program, doubled)
    trained = _train(bench, program, cells, observe=lambda _program, state, _done: np.asarray(probe(state)))
    start, end = (np.concatenate([seen[which] for seen in trained.observed])[: len(cells)] for which in (0, -1))
    rows: list[Any] = []
    for cell, choice, before, after in zip(cells, choices, start, end, strict=True):
        rows += [(*cell, choice, "trained", layer, float(norm)) for layer, norm in enumerate(after, 1)]
        if choice == 0:
            rows += [(*cell, choice, "start", layer, float(norm)) for layer, norm in enumerate(before, 1)]
    for seed, layers in zip(bench.seeds, np.asarray(probe(doubled)), strict=False):
        large = ("relu", depth, None, seed, 0, "start, weights doubled")
        rows += [(*large, layer, float(norm)) for layer, norm in enumerate(layers, 1)]
    names = ["activation", "depth", "rate", "seed", "choice", "time", "layer", "norm"]
    return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)


def gradient_norms(bench: Bench, program: Population, state: RunState) -> Callable[[RunState], Any]:
    """Compile ‖∂L/∂h_l‖ on one training batch, the same for all runs: state of all runs -> (runs, layers)."""
    train = bench.dataset.train
    chosen = seeding.generator(bench.seeds[0], "claims", "gradient-flow").permutation(len(train))[: bench.batch_size]
    where = [output.name for output in survey(program.trainer, train.x[chosen])].index(SHIFTS)

    def norms(run: RunState, x: Any, y: Any) -> jax.Array:
        return jnp.linalg.norm(gradients(program.trainer, run, x, y)[1][where], axis=(0, 2))

    return program.compile_measurement(norms, train.x[chosen], train.y[chosen], state)


def _losses(bench: Bench, program: Population, cells: Sequence[tuple[str, int, float, int]]) -> pl.DataFrame:
    trained = _train(bench, program, cells)
    share = np.where(trained.diverged, math.inf, trained.loss[-1] / program.trainer.objective.uninformed_loss)
    frame = pl.DataFrame(cells, schema=["activation", "depth", "rate", "seed"], orient="row")
    return frame.with_columns(norm=pl.Series(np.nan_to_num(share.astype(float), nan=math.inf)))


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
