"""The test error that a finished run counts with: lower is better in every task, and divergence counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from normlab.claims.bench import Bench

# The error of a run that diverged: every test sample is wrong, or twice the loss of knowing nothing.
DIVERGED_SHARE = 1.0
DIVERGED_LOSS = 2.0


def final_error(bench: Bench, loss: np.ndarray, accuracy: np.ndarray, diverged: np.ndarray) -> np.ndarray:
    """Return 1 - accuracy on the test data, or the mean squared error of a standardized target; shape (runs,).

    A run that diverged counts as wrong everywhere; in regression as 2, twice the loss of predicting the mean, which is
    also the largest loss that counts.
    """
    if bench.dataset.task == "regression":
        capped = np.minimum(np.nan_to_num(loss, nan=DIVERGED_LOSS), DIVERGED_LOSS)
        return np.where(diverged, DIVERGED_LOSS, capped).astype(float)
    return np.where(diverged, DIVERGED_SHARE, 1.0 - accuracy).astype(float)


def uninformed_score(bench: Bench) -> float:
    """Return 1 - the error of knowing nothing: of always naming the most frequent class, or predicting the mean."""
    if bench.dataset.task == "regression":
        return 0.0
    counts = np.bincount(bench.dataset.train.y.astype(np.int64))
    return float(counts.max() / counts.sum())
