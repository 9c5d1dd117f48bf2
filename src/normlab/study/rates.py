"""Each arm's learning rates: the best on validation data, and all that the tuning runs leave open, by one rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from normlab.stats.choices import best_option, possible_options

RULE = {
    "classification": "the highest mean validation accuracy after the last epoch over the tuning seeds (ties: the "
    "lower mean validation loss), among the rates with the fewest diverged runs",
    "regression": "the lowest mean validation loss after the last epoch over the tuning seeds, among the rates with "
    "the fewest diverged runs",
}
# A search whose best rate lies at an edge goes on beyond it: two decades in the steps of a grid.
MOST_RATES_BEYOND = 4


@dataclass(frozen=True)
class Choice:
    """What the tuning runs say of an arm's rate.

    Attributes:
        rate: The best.
        at_edge: Whether it lies at an edge of the grid, where a better one may lie beyond.
        rates: All rates that may be the best, given the chance in the tuning runs: the chosen one, then the others, the
            likelier first; see `normlab.stats.choices.possible_options`.
    """

    rate: float
    at_edge: bool
    rates: tuple[float, ...]


def choose_rates(runs: pl.DataFrame, task: str) -> dict[str, Choice]:
    """Return each arm's best rate by `RULE[task]`, and all that may be the best.

    Args:
        runs: Rows of the tuning stage: arm, rate, seed, val_loss, val_accuracy, diverged; every rate with all seeds.
        task: "classification" or "regression".
    """
    return {str(arm): _choose(own, task) for (arm,), own in runs.group_by("arm", maintain_order=True)}


def _choose(runs: pl.DataFrame, task: str) -> Choice:
    table = runs.sort("rate", "seed")
    grid = table["rate"].unique().sort().to_list()

    def by_rate(column: str) -> np.ndarray:
        return table[column].cast(pl.Float64).to_numpy().reshape(len(grid), -1)

    criteria = [by_rate("diverged"), by_rate("val_loss")]
    if task == "classification":
        criteria.insert(1, -by_rate("val_accuracy"))
    rates = tuple(grid[option] for option in possible_options(criteria))
    best = grid[best_option(criteria)]
    return Choice(best, len(grid) > 1 and best in (grid[0], grid[-1]), rates)


def rates_beyond(grid: Sequence[float], tried: Iterable[float], best: Iterable[float]) -> list[float]:
    """Return the rates to try next, beyond each edge at which a best rate lies; none where the search is over.

    A grid goes on in its own steps (two of them make a decade), at most `MOST_RATES_BEYOND` to either side. All arms
    try every rate that is added.

    Args:
        grid: The grid before it was extended, ascending.
        tried: All rates that were tried.
        best: The best rate of every arm.
    """
    if len(grid) < 3:
        return []
    known, found = sorted(tried), set(best)
    beyond = []
    if known[0] in found and sum(rate < grid[0] for rate in known) < MOST_RATES_BEYOND:
        beyond.append(_rounded(known[1] / 10))
    if known[-1] in found and sum(rate > grid[-1] for rate in known) < MOST_RATES_BEYOND:
        beyond.append(_rounded(known[-2] * 10))
    return beyond


def possible_rates(choices: Mapping[str, Choice]) -> list[float]:
    """Return all rates that may be the best of any arm, ascending; every arm is trained at each of them."""
    return sorted({rate for choice in choices.values() for rate in choice.rates})


def own_runs(runs: pl.DataFrame) -> pl.DataFrame:
    """Return one run for every arm and seed: that at the rate which its own validation data choose.

    Of the runs of an arm with one seed, at all possible rates: one that did not diverge before one that did, then the
    highest validation accuracy (where there is one), then the lowest validation loss, then the lowest rate. The choice
    is made anew for every pair, from the same rates in all arms, so it varies with the pairs as all else does: arms
    that are equal in distribution stay exchangeable.

    Args:
        runs: Rows of runs: arm, seed, rate, diverged, val_accuracy, val_loss.
    """
    order = [pl.col("diverged"), -pl.col("val_accuracy"), pl.col("val_loss").fill_nan(float("inf")), pl.col("rate")]
    return runs.sort(order).unique(["arm", "seed"], keep="first", maintain_order=True).sort("arm", "seed")


def best_rates(choices: Mapping[str, Choice]) -> dict[str, float]:
    """Return each arm's best rate."""
    return {arm: choice.rate for arm, choice in choices.items()}


def _rounded(rate: float) -> float:
    return float(f"{rate:.6g}")
