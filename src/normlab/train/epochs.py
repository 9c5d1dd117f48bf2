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
    """One epoch of all runs: arrays of shape (num_runs,), and the wall time per run trained, padding included.

    The time is that of the programs alone: training, and validation where there is one. Compiling, data transfer and
    Python work between programs do not count, and the batches that warm up a turn count like the others.
    """

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
        seconds: Wall time per run of the batches timed so far, padding included.
        timed: Batches that `seconds` is of.
    """

    placed: list[jax.Array]
    num_batches: int
    done: int
    totals: Totals
    seconds: float = 0.0
    timed: int = 0

    @property
    def estimated_seconds(self) -> float:
        """Wall time per run of all batches taken so far: untimed ones count like the mean of the timed ones."""
        return self.seconds * self.done / self.timed if self.timed else self.seconds
