"""An epoch of all runs of an arm: under way, and recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import jax

    from normlab.train.loop import Totals


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of all runs: arrays of shape (num_runs,), and the wall time per run trained, padding included."""

    loss: np.ndarray
    accuracy: np.ndarray
    val_loss: np.ndarray
    val_accuracy: np.ndarray
    diverged_step: np.ndarray
    seconds: float


@dataclass
class EpochUnderWay:
    """An epoch of all runs that is not finished.

    Attributes:
        placed: Orders of samples, and draws of augmentation if there are any, on the devices.
        num_batches: Full batches that the epoch has.
        done: Of these, taken so far.
        totals: Sums of loss and hits so far, (capacity,) each.
        seconds: Wall time per run so far, padding included.
    """

    placed: list[jax.Array]
    num_batches: int
    done: int
    totals: Totals
    seconds: float
