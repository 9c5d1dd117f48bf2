"""The learning rates of a protocol of a claim's own: those that could have been chosen, on a grid without an edge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from normlab.claims.rates import best_of, possible_of

if TYPE_CHECKING:
    from normlab.claims.trained import Trained

# Rates tried beyond an edge at most, on either side.
MOST_BEYOND = 3


def search(train: Callable[[Sequence[float]], Trained], rates: Sequence[float], task: str) -> list[float]:
    """Return the rates that could have been chosen, the best one first; where that is an edge, the grid goes on.

    Args:
        train: Rates -> runs of every tuning seed at each of them, rate by rate.
        rates: The grid, ascending, of at least two rates.
        task: "classification" or "regression".
    """
    grid, trained = list(rates), train(rates)
    for _ in range(MOST_BEYOND):
        best = best_of(grid, trained, task)
        if len(grid) < 2 or best not in (grid[0], grid[-1]):
            break
        if best == grid[-1]:
            further = float(f"{grid[-1] ** 2 / grid[-2]:.2g}")
            grid, trained = [*grid, further], _side_by_side(trained, train([further]))
        else:
            further = float(f"{grid[0] ** 2 / grid[1]:.2g}")
            grid, trained = [further, *grid], _side_by_side(train([further]), trained)
    return possible_of(grid, trained, task)


def _side_by_side(one: Trained, other: Trained) -> Trained:
    """Return what a choice reads, of the runs of both."""
    return replace(
        one,
        val_loss=np.concatenate([one.val_loss, other.val_loss], axis=1),
        val_accuracy=np.concatenate([one.val_accuracy, other.val_accuracy], axis=1),
        diverged=np.concatenate([one.diverged, other.diverged]),
    )
