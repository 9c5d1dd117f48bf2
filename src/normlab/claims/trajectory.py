"""Runs that are measured while they train: a probe at equal distances, on mini-batches that all runs and arms share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from normlab import seeding
from normlab.stats.choices import under_every_choice
from normlab.stats.effect import paired_effects

if TYPE_CHECKING:
    from normlab.claims.bench import Bench, Budget
    from normlab.stats.effect import Effect
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
    """Train every seed at every rate once, and measure each run at equal distances.

    Args:
        bench: Its seeds are trained.
        program: Of one arm.
        rates: Learning rates by a name; names of one rate share its runs.
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

    cells = [(rate, seed) for rate in dict.fromkeys(rates.values()) for seed in bench.seeds]
    trained = bench.train(
        program,
        [seed for _, seed in cells],
        [rate for rate, _ in cells],
        count,
        observe=observe,
        batches=batches,
        validate=False,
        test=False,
    )
    by_rate: dict[float, list[tuple[int, int, dict[str, np.ndarray]]]] = {rate: [] for rate, _ in cells}
    for index, (rate, seed) in enumerate(cells):
        group, run = divmod(index, program.capacity)
        for steps, measured in trained.observed[group]:
            by_rate[rate].append((seed, int(steps[run]), {name: values[run] for name, values in measured.items()}))
    return [(name, *row) for name, rate in rates.items() for row in by_rate[rate]]


def rates_of(bench: Bench, arm: str, *, low: float | None = None) -> dict[str, float]:
    """Return the rates that an arm is measured at, by name.

    `shared`: the smaller of the best rates of none and batch, at which both train. `own`: the arm's own best rate;
    `own 1`, `own 2` ...: others that could have been chosen for it. There are none of these where both arms could have
    been given one rate only, and the same. `low`, if asked for: that share of `shared`. Any arm but none takes the
    rates of batch.
    """
    possible = {name: bench.possible_rates(name) for name in ("none", "batch")}
    shared = min(rates[0] for rates in possible.values())
    found = {"low": low * shared} if low else {}
    found["shared"] = shared
    if possible["none"] != possible["batch"] or len(possible["none"]) > 1:
        for number, rate in enumerate(possible["none" if arm == "none" else "batch"]):
            found[f"own {number}" if number else "own"] = rate
    return found


def rate_title(evidence: pl.DataFrame, rate: str) -> str:
    """Return a named rate with its number, or its numbers without and with batch norm."""
    named = evidence.filter(pl.col("rate_name") == rate)
    rates = dict(named.select("arm", "rate").unique().iter_rows())
    if rate == "own":
        return f"the own best rates ({rates['none']:g} without, {rates['batch']:g} with)"
    return f"the {'low' if rate == 'low' else 'same'} rate {rates['batch']:g}"


def ratio_effect(medians: pl.DataFrame, quantity: str, rate: str, arms: tuple[str, str], margin: float) -> Effect:
    """Return the effect of ln(first arm / second arm), lower is better, seed by seed; see `log_ratios`.

    At their own best rates it counts only if it does for all that could have been chosen: see `under_every_choice`.
    """
    names = [[name for name in _names(medians, arm) if name == rate or name.startswith(f"{rate} ")] for arm in arms]
    ratios = np.array(
        [log_ratios(medians, quantity, pair, arms) for pair in ((one, other) for one in names[0] for other in names[1])]
    )
    effects = paired_effects(ratios, np.zeros_like(ratios), margin=margin, higher_is_better=False)
    return under_every_choice(effects)


def log_ratios(medians: pl.DataFrame, quantity: str, rates: tuple[str, str], arms: tuple[str, str]) -> np.ndarray:
    """Return ln(first arm / second arm) of a quantity by seed, in the order of the seeds.

    Args:
        medians: arm, rate_name, seed, layer, quantity, value; layers, if several, enter by their geometric mean.
        quantity: Which.
        rates: The name of each arm's rate.
        arms: The arm and its baseline.
    """
    # A value of zero, as of a layer whose units are all dead, must not become infinite.
    log = pl.col("value").clip(lower_bound=float(np.finfo(np.float32).tiny)).log().mean()
    own = medians.filter(pl.col("quantity") == quantity)
    first, second = (
        own.filter(pl.col("arm") == arm, pl.col("rate_name") == rate).group_by("seed").agg(log)
        for arm, rate in zip(arms, rates, strict=True)
    )
    paired = first.join(second, on="seed", suffix="_of_baseline").sort("seed")
    return (paired["value"] - paired["value_of_baseline"]).to_numpy()


def _names(medians: pl.DataFrame, arm: str) -> list[str]:
    """Return the names of an arm's rates; of its own rates the best comes first."""
    return sorted(medians.filter(pl.col("arm") == arm)["rate_name"].unique())


def medians_of(evidence: pl.DataFrame) -> pl.DataFrame:
    """Return the median over the steps, per arm, rate, seed, layer and quantity.

    What a diverged run no longer has (not finite) is left out: it counts by the steps before.
    """
    return (
        evidence.filter(pl.col("value").is_finite())
        .group_by("arm", "rate_name", "rate", "seed", "layer", "quantity")
        .agg(pl.col("value").median())
    )
