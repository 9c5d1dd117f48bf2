"""Runs that are measured while they train: a probe at equal distances, on mini-batches that all runs and arms share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from normlab import seeding

if TYPE_CHECKING:
    from normlab.claims.bench import Bench, Budget
    from normlab.train.loop import RunState, Trainer
    from normlab.train.population import Population

# Steps of a run, and measurements after the first one, which is made before training.
STEPS: dict[Budget, int] = {"quick": 272, "full": 1536}
MEASUREMENTS: dict[Budget, int] = {"quick": 16, "full": 16}
# (trainer, state of one run, x, y) -> what is measured, arrays or scalars by name.
Measure = Callable[["Trainer", "RunState", Any, Any], dict[str, Any]]


def trajectory(
    bench: Bench, program: Population, rates: Mapping[str, float], measure: Measure
) -> list[tuple[str, int, int, dict[str, np.ndarray]]]:
    """Train every seed at every rate, and measure each run at equal distances.

    Args:
        bench: Its seeds are trained.
        program: Of one arm.
        rates: Learning rates by a name.
        measure: Compiled once, for all runs.

    Returns:
        (name of the rate, seed, step, measured), all runs of the first rate first. Steps are those taken so far.
    """
    import jax

    count, train, size = MEASUREMENTS[bench.budget], bench.dataset.train, program.trainer.batch_size
    whole, rest = divmod(len(train), size)
    batches = min(whole, max(1, STEPS[bench.budget] // count))
    stride = batches + (rest > 0)
    drawn = seeding.generator(bench.seeds[0], "claims", "trajectory").permutation(len(train))
    chosen = np.resize(drawn, (count + 1, size))
    compiled: list[Callable[[RunState], Any]] = []

    def now(state: RunState, x: Any, y: Any) -> dict[str, Any]:
        number = state.step // stride
        return measure(program.trainer, state, x[number], y[number])

    def observe(_: Population, state: RunState, __: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        if not compiled:
            compiled.append(program.compile_measurement(now, train.x[chosen], train.y[chosen], state))
        return np.asarray(state.step), jax.tree.map(np.asarray, compiled[0](state))

    cells = [(name, seed) for name in rates for seed in bench.seeds]
    trained = bench.train(
        program,
        [seed for _, seed in cells],
        [rates[name] for name, _ in cells],
        count,
        observe=observe,
        batches=batches,
        validate=False,
        test=False,
    )
    found = []
    for index, cell in enumerate(cells):
        group, run = divmod(index, program.capacity)
        for steps, measured in trained.observed[group]:
            found.append((*cell, int(steps[run]), {name: values[run] for name, values in measured.items()}))
    return found


def rates_of(bench: Bench, arm: str, *, low: float | None = None) -> dict[str, float]:
    """Return the rates that an arm is measured at, by name.

    `shared`: the smaller of the best rates of none and batch, which both bear. `own`: the arm's own best rate, where
    the two differ. `low`, if asked for: that share of `shared`. Any arm but none takes the rates of batch.
    """
    best = {name: bench.best_rate(name) for name in ("none", "batch")}
    shared = min(best.values())
    rates = {"low": low * shared} if low else {}
    rates["shared"] = shared
    if best["none"] != best["batch"]:
        rates["own"] = best["none" if arm == "none" else "batch"]
    return rates


def rate_title(evidence: pl.DataFrame, rate: str) -> str:
    """Return a named rate with its number, or its numbers without and with batch norm."""
    named = evidence.filter(pl.col("rate_name") == rate)
    rates = dict(named.select("arm", "rate").unique().iter_rows())
    if rate == "own":
        return f"the own best rates ({rates['none']:g} without, {rates['batch']:g} with)"
    return f"the {'low' if rate == 'low' else 'same'} rate {rates['batch']:g}"


def log_ratios(medians: pl.DataFrame, quantity: str, rate: str, arms: tuple[str, str]) -> np.ndarray:
    """Return ln(first arm / second arm) of a quantity by seed, in the order of the seeds.

    Args:
        medians: arm, rate_name, seed, layer, quantity, value; layers, if several, enter by their geometric mean.
        quantity: Which.
        rate: Which name of a rate.
        arms: The arm and its baseline.
    """
    chosen = medians.filter(pl.col("quantity") == quantity, pl.col("rate_name") == rate, pl.col("arm").is_in(arms))
    # A value of zero, as of a layer whose units are all dead, must not become infinite.
    logs = chosen.with_columns(pl.col("value").clip(lower_bound=float(np.finfo(np.float32).tiny)).log())
    means = logs.group_by("arm", "seed").agg(pl.col("value").mean())
    paired = means.pivot("arm", index="seed", values="value").sort("seed")
    return (paired[arms[0]] - paired[arms[1]]).to_numpy()


def medians_of(evidence: pl.DataFrame) -> pl.DataFrame:
    """Return the median over the steps, per arm, rate, seed, layer and quantity.

    What a diverged run no longer has (not finite) is left out: it counts by the steps before.
    """
    return (
        evidence.filter(pl.col("value").is_finite())
        .group_by("arm", "rate_name", "rate", "seed", "layer", "quantity")
        .agg(pl.col("value").median())
    )
