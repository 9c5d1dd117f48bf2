"""The best of a grid of learning rates, by the rule of studies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from normlab.claims.trained import Trained


def best_of(rates: Sequence[float], trained: Trained, task: str) -> float:
    """Return the best rate on validation data, by the rule of `study.rates`.

    Args:
        rates: The grid.
        trained: Runs at every rate with equally many seeds, rate by rate.
        task: "classification" or "regression".
    """
    import polars as pl

    from normlab.study.rates import choose_rates

    frame = pl.DataFrame(
        {
            "arm": "arm",
            "rate": np.repeat(rates, len(trained.diverged) // len(rates)),
            "val_loss": trained.val_loss[-1].astype(float),
            "val_accuracy": trained.val_accuracy[-1].astype(float),
            "diverged": trained.diverged,
        }
    )
    return choose_rates(frame, task)["arm"].rate
