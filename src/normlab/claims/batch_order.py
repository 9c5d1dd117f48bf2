"""The claim that with batch norm the order of the samples matters, since it decides who shares a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from normlab.claims.claim import Claim
from normlab.claims.conditions import together
from normlab.claims.drawing import Drawing, quartiles
from normlab.claims.finding import Finding, decision_of, numbers
from normlab.claims.lag import lag_effects, lag_numbers, lag_words, over_choices
from normlab.claims.orders import orders_of
from normlab.claims.search import search
from normlab.claims.settled import running_error, settled_error
from normlab.stats.verdict import judge as judge_effects

if TYPE_CHECKING:
    from normlab.claims.bench import Bench
    from normlab.claims.trained import Trained
    from normlab.train.population import Population

# A point of accuracy more than a network without a norm loses: less is no reason to care about the order.
MARGIN = 0.01
# Samples that a run sees at most: enough to see what an order does, on a large data set too.
SAMPLES = 120_000
# Twelve pairs reach p = 2 / 2^12 = 0.0005.
MOST_SEEDS = 12
# Orders that the verdict rests on.
JUDGED = ("shuffled", "sorted", "mended")
# Runs whose companions are measured, and batches of samples that they are measured on.
COMPANION_RUNS = 2
COMPANION_BATCHES = 4


def measure(bench: Bench) -> pl.DataFrame:
    """Train both arms in five orders (see `orders`), each at its own best rate, and measure companions.

    The rate is tuned for shuffled samples, and anew for sorted ones, where a rate that is good otherwise may make a
    network forget the first classes; the other orders take that of `shuffled`. What the verdict rests on is trained at
    every rate that could have been chosen.

    Returns:
        One row per arm, order, choice (0: the best rate; then others that could have been chosen), seed and quantity:
        arm, order, choice, rate, seed, quantity, value. Quantities: `running` and `settled`, the test error with
        running and with recomputed statistics (without a norm the same); of the first seeds' networks trained shuffled,
        and of layer norm's before training (order `start`), `relative_spread`, `leak` and `own` of
        `normlab.probes.companions`.
    """
    from normlab.train.optimizers import OPTIMIZERS

    epochs = num_epochs(bench)
    orders, seeds = orders_of(bench.dataset, epochs), bench.seeds[:MOST_SEEDS]
    rows: list[tuple[str, str, int, float, int, str, float]] = []
    for arm in ("none", "batch"):
        program = bench.program(arm)
        rates = dict.fromkeys(orders, bench.possible_rates(arm, epochs=epochs))
        grid = OPTIMIZERS["sgd"].grid
        rates["sorted"] = search(bench, program, grid, bench.tuning_seeds, epochs, order=orders["sorted"])
        cells = [
            (name, choice, rate, seed)
            for name in orders
            for choice, rate in enumerate(rates[name][: None if name in JUDGED else 1])
            for seed in seeds
        ]
        trained = bench.train(
            program,
            [seed for *_, seed in cells],
            [rate for _, _, rate, _ in cells],
            epochs,
            order=[orders[name] for name, *_ in cells],
        )
        found = {"running": running_error(bench, trained), "settled": settled_error(bench, program, trained)}
        for quantity, values in found.items():
            rows += [(arm, *cell, quantity, float(value)) for cell, value in zip(cells, values, strict=True)]
        if arm == "batch":
            rows += _companions(bench, program, trained, arm, rates["shuffled"][0])
    rows += _companions(bench, bench.program("layer"), None, "layer", 0.0)
    return pl.DataFrame(rows, schema=["arm", "order", "choice", "rate", "seed", "quantity", "value"], orient="row")


def num_epochs(bench: Bench) -> int:
    """Return the bench's epochs, or as many as `SAMPLES` allow; at least two, of which the first can be sorted."""
    return max(2, min(bench.epochs, SAMPLES // len(bench.dataset.train)))


def judge(evidence: pl.DataFrame) -> Finding:
    """Judge what sorting costs, and what is left of that after shuffling again, batch minus none, seed by seed.

    Both are a rise of the settled test error over that of shuffled samples. Refuted where sorting costs no more with
    batch norm; else supported where shuffling leaves no more of it than without, conditional where it leaves more.
    """
    cost = {arm: _rises(evidence, arm, "sorted") for arm in ("none", "batch")}
    left = {arm: _rises(evidence, arm, "mended") for arm in ("none", "batch")}
    # "Better" is what the claim says: sorting costs more with batch norm, and no more of it is left.
    effect = over_choices(cost["batch"], cost["none"], margin=MARGIN, higher_is_better=True)
    remaining = over_choices(left["batch"], left["none"], margin=MARGIN, higher_is_better=False)
    first, second = judge_effects([effect, remaining], correction="holm")
    decisions = {"sorted samples": decision_of(first)}
    if decisions["sorted samples"].verdict != "refuted":
        decisions["samples shuffled again"] = decision_of(second, equivalent="supported")
    found = together(decisions)
    lags = {
        order: lag_effects(
            [_values(evidence, "batch", "running", order)],
            [_values(evidence, "batch", "settled", order)],
            margin=MARGIN,
            higher_is_better=False,
        )[0]
        for order in ("shuffled", "sorted")
    }
    errors = {
        (arm, order): _values(evidence, arm, "settled", order)
        for arm in ("none", "batch")
        for order in evidence.filter(pl.col("arm") == "none")["order"].unique(maintain_order=True)
    }
    leaks = {arm: _values(evidence, arm, "leak").mean() for arm in ("batch", "layer")}
    spread = float(_values(evidence, "batch", "relative_spread").mean())
    answer = (
        f"Sorted in place of shuffled samples raise the test error from {errors['batch', 'shuffled'].mean():.3f} to "
        f"{errors['batch', 'sorted'].mean():.3f} with batch norm and recomputed statistics, and from "
        f"{errors['none', 'shuffled'].mean():.3f} to {errors['none', 'sorted'].mean():.3f} without. {first.reason} "
        f"With samples sorted in the first half of the epochs and shuffled in the second, a rise of "
        f"{left['batch'][0].mean():+.3f} is left with batch norm and of {left['none'][0].mean():+.3f} without: "
        f"{second.reason} After sorted samples {lag_words(lags['sorted'])}. In training mode the companions in a batch "
        f"move an output by {100 * spread:.2g} % of the spread between samples.{found.open}"
    )
    return Finding(
        found.verdict,
        **numbers(effect),
        answer=answer,
        conditions="that the samples were sorted: it costs more with batch norm, and shuffling does not mend that"
        if found.verdict == "conditional"
        else "",
        would_change=f"A cost of sorting at most {MARGIN:g} above that without a norm (equivalence), or below it, "
        "would refute it; more left after shuffling again than without would make it conditional.",
        p_value=found.p_value,
        details={
            **{f"{arm}, {order}": float(values.mean()) for (arm, order), values in sorted(errors.items())},
            "left_after_shuffling": numbers(remaining),
            "lag": {order: lag_numbers(lag) for order, lag in lags.items()},
            **{f"{arm}_rates_{order}": _rates(evidence, arm, order) for arm, order in errors},
            "batch_relative_spread": spread,
            **{f"{arm}_leak": float(leak) for arm, leak in leaks.items()},
        },
    )


def draw(evidence: pl.DataFrame) -> Drawing:
    """Return the median test error by order, a mark per arm, with quartiles."""
    rows = (
        evidence.filter(pl.col("quantity") == "settled", pl.col("choice") == 0)
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
        "two samples of a class side by side, a batch of as many classes as it can hold; mended: sorted in the first "
        "half of the epochs, then shuffled. Batch norm's error is that with recomputed statistics.",
    )


def _companions(
    bench: Bench, program: Population, trained: Trained | None, arm: str, rate: float
) -> list[tuple[str, str, int, float, int, str, float]]:
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
            (arm, "shuffled" if trained else "start", 0, rate, seed, name, float(measured[name]))
            for name in ("relative_spread", "leak", "own")
        ]
    return rows


def _rows(evidence: pl.DataFrame, arm: str, quantity: str, order: str | None = None) -> pl.DataFrame:
    chosen = (pl.col("arm") == arm) & (pl.col("quantity") == quantity)
    if order is not None:
        chosen &= pl.col("order") == order
    return evidence.filter(chosen).sort("choice", "seed")


def _values(evidence: pl.DataFrame, arm: str, quantity: str, order: str | None = None) -> np.ndarray:
    """Return the values at the best rate."""
    return _rows(evidence, arm, quantity, order).filter(pl.col("choice") == 0)["value"].to_numpy()


def _rates(evidence: pl.DataFrame, arm: str, order: str) -> list[float]:
    return _rows(evidence, arm, "settled", order)["rate"].unique(maintain_order=True).to_list()


def _rises(evidence: pl.DataFrame, arm: str, order: str) -> list[np.ndarray]:
    """Return settled error in an order - shuffled, (seeds,), at every rate that could have been chosen, best first.

    Where the order took the rates of shuffled samples, both are at the same one.
    """
    own, shuffled = (
        [part["value"].to_numpy() for part in _rows(evidence, arm, "settled", name).partition_by("choice")]
        for name in (order, "shuffled")
    )
    if order == "sorted":
        return [one - other for one in own for other in shuffled]
    return [one - other for one, other in zip(own, shuffled, strict=True)]


CLAIM = Claim(
    id="batch-order",
    kind="limit",
    statement="With batch normalization the order of the samples matters more than without, and shuffling mends it.",
    protocol="samples shuffled every epoch, in a fixed order, sorted by class (regression: by target), in pairs of a "
    "class, batches of up to 16 classes, and sorted in the first half of the epochs but shuffled in the second; each "
    "arm at its own best rate, tuned anew for sorted samples, and at others that could have been chosen; evaluated "
    "with recomputed statistics; and how far companions move an output",
    metric="what sorting costs, batch minus none: test error sorted minus shuffled; and the same of what is left once "
    "the samples are shuffled again",
    expected="a larger loss with batch norm: moments of one class in training, of all in evaluation; batches that are "
    "not independent samples are known to harm it, and shuffling to mend it",
    source="Ioffe 2017, arXiv:1702.03275; Wu and Johnson 2021, arXiv:2105.07576",
    measure=measure,
    judge=judge,
    draw=draw,
    not_about="which arm has the lower error, since each is set against itself with shuffled samples; and running "
    "statistics that hold the last class only, since they are recomputed",
)
