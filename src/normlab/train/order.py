"""The order of samples: from (seed, epoch) alone, so arms, resumed runs and lone runs all see the same."""

from __future__ import annotations

import hashlib

import numpy as np

from normlab import seeding


def epoch_order(seed: int, epoch: int, num_samples: int) -> np.ndarray:
    """Return the order of training samples in one epoch: a permutation, int32 of shape (num_samples,)."""
    return seeding.generator(seed, "order", epoch).permutation(num_samples).astype(np.int32)


def order_digest(seed: int, num_epochs: int, num_samples: int) -> str:
    """Return a sha256 over a run's orders of all epochs."""
    sha = hashlib.sha256()
    for epoch in range(num_epochs):
        sha.update(epoch_order(seed, epoch, num_samples).tobytes())
    return sha.hexdigest()
