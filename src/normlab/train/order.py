"""The order of samples: from (seed, epoch) alone, so arms, resumed runs and lone runs all see the same."""

from __future__ import annotations

import numpy as np

from normlab import seeding


def epoch_order(seed: int, epoch: int, num_samples: int) -> np.ndarray:
    """Return the order of training samples in one epoch: a permutation, int32 of shape (num_samples,)."""
    return seeding.generator(seed, "order", epoch).permutation(num_samples).astype(np.int32)


def statistics_order(num_samples: int) -> np.ndarray:
    """Return the order of training samples in which statistics are recomputed: one for all runs, shaped likewise."""
    return seeding.generator(0, "statistics order").permutation(num_samples).astype(np.int32)
