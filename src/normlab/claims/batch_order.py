"""The claim that with batch norm the order of the samples matters, since it decides who shares a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from normlab.claims.claim import Claim
from normlab.claims.drawing import Drawing, quartiles
from normlab.claims.evaluations import with_precise_statistics
from normlab.claims.final_error import final_error
from normlab.claims.finding import Finding, decide, numbers
from normlab.claims.orders import orders_of
from normlab.claims.rates import best_of
from normlab.stats.effect import paired_effect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from normlab.claims.bench import Bench, Order
    from normlab.claims.trained import Trained
    from normlab.train.population import Population

# A point of accuracy more than a network without a norm loses: less is no reason to care about the order.
MARGIN = 0.01
# Samples that a run sees at most: enough to see what an order does, on a large data set too.
SAMPLES = 120_000
# Twelve pairs reach p = 2 / 2^12 = 0.0005.
MOST_SEEDS = 12
# Runs whose companions are measured, and batches of samples that they are measured on.
COMPANION_RUNS = 2
COMPANION_BATCHES = 4


def measure(bench: Bench) -> pl.DataFrame:
    """Train both arms in four orders (see `orders`), each at its own best rate, and measure companions.

    The rate is tuned for shuffled samples, and anew for sorted ones, where a rate that is good otherwise may make a
    network forget the first classes; `fixed` and `pairs` take that of `shuffled`.

    Returns:
        One row per arm, order, seed and quantity: arm, order, seed, quantity, value. Quantities: `error`, on the test
        data; `recomputed_error`, with batch norm's statistics recomputed over the training set; of the first seeds'
        networks trained shuffled, and of layer norm's before training (order `start`), `relative_spread`, `leak` and
        `own` of `normlab.probes.companions`; and `rate`.
    """
    rows = []
    orders = orders_of(bench.dataset)
    seeds, epochs = bench.seeds[:MOST_SEEDS], num_epochs(bench)
    for arm in ("none", "batch"):
        program = bench.program(arm)
        rates = dict.fromkeys(orders, bench.best_rate(arm, epochs=epochs))
        rates["sorted"] = _best_rate(bench, program, orders["sorted"])
        cells = [(name, seed) for name in orders for seed in seeds]
        trained = bench.train(
            program,
            [seed for _, seed in cells],
            [rates[name] for name, _ in cells],
            epochs,
            order=[orders[name] for name, _ in cells],
        )
        found: dict[str, Sequence[float] | np.ndarray] = {
            "error": final_error(bench, trained.test_loss, trained.test_accuracy, trained.diverged),
            "rate": [rates[name] for name, _ in cells],
        }
        if arm == "batch":
            found["recomputed_error"] = with_precise_statistics(bench, program, trained)
        for quantity, values in found.items():
            rows += [(arm, *cell, quantity, float(value)) for cell, value in zip(cells, values, strict=True)]
        if arm == "batch":
            rows += _companions(bench, program, trained, arm)
    rows += _companions(bench, bench.program("layer"), None, "layer")
    return pl.DataFrame(rows, schema=["arm", "order", "seed", "quantity", "value"], orient="row")


def num_epochs(bench: Bench) -> int:
    """Return the bench's epochs, or as many as `SAMPLES` allow."""
    return max(1, min(bench.epochs, SAMPLES // len(bench.dataset.train)))


def judge(evidence: pl.DataFrame) -> Finding:
    """Return the verdict on what sorting costs: error sorted minus shuffled, batch minus none, seed by seed."""
    errors = {
        (arm, order): _values(evidence, arm, "error", order)
        for arm in ("none", "batch")
        for order in evidence.filter(pl.col("arm") == "none")["order"].unique()
    }
    cost = {arm: errors[arm, "sorted"] - errors[arm, "shuffled"] for arm in ("none", "batch")}
    # "Better" is what the claim says: sorting costs more with batch norm.
    effect = paired_effect(cost["batch"], cost["none"], margin=MARGIN, higher_is_better=True)
    decision = decide(effect)
    leaks = {arm: _values(evidence, arm, "leak").mean() for arm in ("batch", "layer")}
    recomputed = float(_values(evidence, "batch", "recomputed_error", "sorted").mean())
    spread = float(_values(evidence, "batch", "relative_spread").mean())
    answer = (
        f"Sorted in place of shuffled samples raise the test error from {errors['batch', 'shuffled'].mean():.3f} to "
        f"{errors['batch', 'sorted'].mean():.3f} with batch norm, and from {errors['none', 'shuffled'].mean():.3f} to "
        f"{errors['none', 'sorted'].mean():.3f} without. {decision.reason} With statistics recomputed over the "
        f"training set the sorted networks with batch norm err in {recomputed:.3f}. In training mode the companions in "
        f"a batch move an output by {100 * spread:.2g} % of the spread between samples."
    )
    return Finding(
        decision.verdict,
        **numbers(effect),
        answer=answer,
        would_change=f"A cost of sorting at most {MARGIN:g} above that without a norm (equivalence), or below it, "
        "would refute it.",
        p_value=decision.p_value,
        details={
            **{f"{arm}, {order}": float(values.mean()) for (arm, order), values in sorted(errors.items())},
            "batch, sorted, recomputed": recomputed,
            **{f"{arm}_rate_{order}": float(_values(evidence, arm, "rate", order)[0]) for arm, order in errors},
            "batch_relative_spread": spread,
            **{f"{arm}_leak": float(leak) for arm, leak in leaks.items()},
        },
    )


def draw(evidence: pl.DataFrame) -> Drawing:
    """Return the median test error by order, a mark per arm, with quartiles."""
    rows = (
        evidence.filter(pl.col("quantity") == "error")
        .group_by("arm", "order", maintain_order=True)
        .agg(quartiles("value"))
        .select(pl.col("arm").alias("series"), pl.col("order").alias("x"), "y", "low", "high")
    )
    return Drawing(
        "points",
        "Test error by order of the training samples",
        "order of the samples",
        "test error",
        rows.to_dicts(),
        "Median over the seeds, from the lower to the upper quartile. Fixed: shuffled once; sorted: by class; pairs: "
        "two samples of a class side by side, a batch of as many classes as it can hold.",
    )


def _best_rate(bench: Bench, program: Population, order: Order) -> float:
    """Return the best rate for one order, by the rule, on the grid and with the budget of the others."""
    from normlab.train.optimizers import OPTIMIZERS

    grid = OPTIMIZERS["sgd"].grid
    cells = [(seed, rate) for rate in grid for seed in bench.tuning_seeds]
    seeds, rates = [seed for seed, _ in cells], [rate for _, rate in cells]
    trained = bench.train(program, seeds, rates, num_epochs(bench), order=order, test=False)
    return best_of(grid, trained, bench.dataset.task)


def _companions(
    bench: Bench, program: Population, trained: Trained | None, arm: str
) -> list[tuple[str, str, int, str, float]]:
    """Measure the first runs, which were trained shuffled, or those at the start where nothing was trained."""
    import jax

    from normlab.probes import companions

    trainer, seeds = program.trainer, bench.seeds[:COMPANION_RUNS]
    state = trained.states[0] if trained else program.start(seeds, [0.0] * len(seeds))
    x, y = (part[: COMPANION_BATCHES * trainer.batch_size] for part in program.data.train)
    measure_run = jax.jit(lambda one: companions.measure(trainer, one, x, y))
    rows = []
    for run, seed in enumerate(seeds):
        measured = measure_run(jax.tree.map(lambda values, run=run: np.asarray(values)[run], state))
        rows += [
            (arm, "shuffled" if trained else "start", seed, name, float(measured[name]))
            for name in ("relative_spread", "leak", "own")
        ]
    return rows


def _values(evidence: pl.DataFrame, arm: str, quantity: str, order: str | None = None) -> np.ndarray:
    chosen = (pl.col("arm") == arm) & (pl.col("quantity") == quantity)
    if order is not None:
        chosen &= pl.col("order") == order
    return evidence.filter(chosen).sort("seed")["value"].to_numpy()


CLAIM = Claim(
    id="batch-order",
    kind="limit",
    statement="With batch normalization the order of the samples matters more than without, and shuffling mends it.",
    protocol="samples shuffled every epoch, in a fixed order, sorted by class (regression: by target), and in pairs of "
    "a class, batches of up to 16 classes; each arm at its own best rate, tuned anew for sorted "
    "samples; and how far companions move an output",
    metric="what sorting costs, batch minus none: test error sorted minus shuffled",
    expected="a larger loss with batch norm: moments of one class in training, of all in evaluation; batches that are "
    "not independent samples are known to harm it, and shuffling to mend it",
    source="Ioffe 2017, arXiv:1702.03275; Wu and Johnson 2021, arXiv:2105.07576",
    measure=measure,
    judge=judge,
    draw=draw,
)
