"""The test error of a finished run, lower being better in every task; a diverged run counts as in studies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from normlab.stats.divergence import chance_loss, counted_accuracy, counted_loss

if TYPE_CHECKING:
    from normlab.claims.bench import Bench


def final_error(bench: Bench, loss: np.ndarray, accuracy: np.ndarray, diverged: np.ndarray) -> np.ndarray:
    """Return 1 - accuracy on the test data, or the mean squared error of a standardized target; shape (runs,).

    A diverged run counts as `stats.divergence` says: its accuracy is 0, its loss no better than any other's.
    """
    if bench.dataset.task == "regression":
        return counted_loss(loss, diverged, chance_loss(0))
    return 1.0 - counted_accuracy(accuracy, diverged)


def chance_score(bench: Bench) -> float:
    """Return the score at chance level, 1 - error: of always naming the most frequent class, or predicting the mean."""
    if bench.dataset.task == "regression":
        return 0.0
    counts = np.bincount(bench.dataset.train.y.astype(np.int64))
    return float(counts.max() / counts.sum())
