"""What a diverged run counts as, in every comparison: one definition for studies, claims and replications."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

LOSS_FACTOR = 2.0
"""A diverged run counts as at least this many times the loss at chance level."""


def chance_loss(num_classes: int) -> float:
    """Return the mean loss of a predictor at chance level: ln(num_classes), or 1 without classes.

    A regression's targets are standardized, so predicting their mean has a mean squared error of 1.
    """
    return math.log(num_classes) if num_classes else 1.0


def counted_loss(loss: ArrayLike, diverged: ArrayLike, chance: float) -> NDArray[np.float64]:
    """Return the losses that comparisons use, shape (runs,); all of them finite.

    A run that diverged, or whose loss is not finite, has no loss that could be averaged. It counts as
    max(2 * chance, the largest loss of the other runs): no better than any of them.

    Args:
        loss: Of each run, (runs,).
        diverged: Whether it diverged, (runs,).
        chance: The loss at chance level; see `chance_loss`.
    """
    losses = np.asarray(loss, np.float64)
    counts = np.isfinite(losses) & ~np.asarray(diverged, bool)
    worst = max(LOSS_FACTOR * chance, float(np.max(losses, where=counts, initial=0.0)))
    return np.where(counts, losses, worst)


def counted_accuracy(accuracy: ArrayLike, diverged: ArrayLike) -> NDArray[np.float64]:
    """Return the accuracies that comparisons use, shape (runs,): 0 for a run that diverged.

    Weights that are no numbers still predict some class, and are right by chance; that is no accuracy.
    """
    accuracies = np.asarray(accuracy, np.float64)
    return np.where(np.asarray(diverged, bool) | ~np.isfinite(accuracies), 0.0, accuracies)
