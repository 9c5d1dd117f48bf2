"""Each arm's learning rate, chosen on validation data by one rule that is the same for all arms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

RULE = {
    "classification": "the highest mean validation accuracy after the last epoch over the tuning seeds (ties: the "
    "lower mean validation loss), among the rates with the fewest diverged runs",
    "regression": "the lowest mean validation loss after the last epoch over the tuning seeds, among the rates with "
    "the fewest diverged runs",
}


@dataclass(frozen=True)
class Choice:
    """An arm's rate, and whether it lies at an edge of the grid, where a better one may lie beyond."""

    rate: float
    at_edge: bool


def choose_rates(runs: pl.DataFrame, task: str) -> dict[str, Choice]:
    """Return each arm's best rate by `RULE[task]`.

    Args:
        runs: Rows of the tuning stage: arm, rate, val_loss, val_accuracy, diverged.
        task: "classification" or "regression".
    """
    chosen = {}
    for arm in runs["arm"].unique(maintain_order=True):
        own = runs.filter(pl.col("arm") == arm)
        grid = sorted(own["rate"].unique())
        best = min(grid, key=lambda rate: _badness(own.filter(pl.col("rate") == rate), task))
        chosen[str(arm)] = Choice(best, len(grid) > 1 and best in (grid[0], grid[-1]))
    return chosen


def _badness(runs: pl.DataFrame, task: str) -> tuple[float, float, float]:
    """Return what is minimized, most important first."""
    loss = _mean(runs["val_loss"].to_list())
    error = -_mean(runs["val_accuracy"].to_list()) if task == "classification" else loss
    return float(runs["diverged"].sum()), error, loss


def _mean(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return mean if math.isfinite(mean) else math.inf
