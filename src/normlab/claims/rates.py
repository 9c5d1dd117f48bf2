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


def possible_of(rates: Sequence[float], trained: Trained, task: str, least: float = 0.05) -> list[float]:
    """Return the rates chosen in at least a share `least` of the resamples of the tuning seeds, the best one first."""
    import itertools
    from collections import Counter
    from dataclasses import replace

    num_seeds = len(trained.diverged) // len(rates)
    counts: Counter[float] = Counter()
    multisets = list(itertools.combinations_with_replacement(range(num_seeds), num_seeds))
    for drawn in multisets:
        runs = np.concatenate([index * num_seeds + np.array(drawn) for index in range(len(rates))])
        part = replace(
            trained,
            val_loss=trained.val_loss[:, runs],
            val_accuracy=trained.val_accuracy[:, runs],
            diverged=trained.diverged[runs],
        )
        ways = len(set(itertools.permutations(drawn)))
        counts[best_of(rates, part, task)] += ways
    best, total = best_of(rates, trained, task), sum(counts.values())
    others = [rate for rate, count in counts.items() if count >= least * total and rate != best]
    return [best, *sorted(others)]
