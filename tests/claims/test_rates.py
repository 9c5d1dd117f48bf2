"""The best of a grid: planted runs, of which accuracy, loss and divergence decide in turn."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.claims.rates import choice_of
from normlab.claims.trained import Trained

RATES = (0.01, 0.1, 1.0)


def _runs(accuracy: list[float], loss: list[float], diverged: list[int]) -> Trained:
    """Return two seeds at each rate, rate by rate, after two epochs, of which the first would choose the last rate."""
    last = {name: np.repeat(values, 2).astype(float) for name, values in (("accuracy", accuracy), ("loss", loss))}
    first = np.arange(6.0)
    none = np.full((2, 6), np.nan)
    return Trained(
        loss=none,
        accuracy=none,
        val_loss=np.stack([-first, last["loss"]]),
        val_accuracy=np.stack([first, last["accuracy"]]),
        diverged=np.repeat(diverged, 2).astype(bool),
        test_loss=none[0],
        test_accuracy=none[0],
        seconds=np.ones(2),
    )


@pytest.mark.parametrize(
    ("accuracy", "loss", "diverged", "task", "best"),
    [
        ([0.5, 0.9, 0.8], [0.1, 0.3, 0.2], [0, 0, 0], "classification", 0.1),
        ([0.5, 0.9, 0.9], [0.1, 0.3, 0.2], [0, 0, 0], "classification", 1.0),  # as accurate, at a lower loss
        ([0.5, 0.9, 0.8], [0.1, 0.3, 0.2], [0, 1, 0], "classification", 1.0),
        ([0.5, 0.9, 0.8], [0.1, 0.3, 0.2], [0, 0, 0], "regression", 0.01),
    ],
)
def test_the_best_rate_after_the_last_epoch(
    accuracy: list[float], loss: list[float], diverged: list[int], task: str, best: float
) -> None:
    assert choice_of(RATES, _runs(accuracy, loss, diverged), task).rate == best
