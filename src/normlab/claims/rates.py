"""Learning rates of a claim's arms: the best of a grid and all that may be it, by the rule of studies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from normlab.claims.trained import Trained
    from normlab.study.rates import Choice


def choice_of(rates: Sequence[float], trained: Trained, task: str) -> Choice:
    """Return the best rate on validation data, and all that may be the best, by the rule of `study.rates`.

    Args:
        rates: The grid.
        trained: Runs at every rate with the same seeds, rate by rate.
        task: "classification" or "regression".
    """
    import polars as pl

    from normlab.study.rates import choose_rates

    num_seeds = len(trained.diverged) // len(rates)
    frame = pl.DataFrame(
        {
            "arm": "arm",
            "rate": np.repeat(rates, num_seeds),
            "seed": np.tile(np.arange(num_seeds), len(rates)),
            "val_loss": trained.val_loss[-1].astype(float),
            "val_accuracy": trained.val_accuracy[-1].astype(float),
            "diverged": trained.diverged,
        }
    )
    return choose_rates(frame, task)["arm"]
