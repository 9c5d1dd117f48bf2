"""What training some runs gave, put together from the groups that they were trained in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from normlab.train.loop import RunState

CURVES = ("loss", "accuracy", "val_loss", "val_accuracy")
ENDS = ("diverged", "test_loss", "test_accuracy")


@dataclass(frozen=True)
class Trained:
    """What training some runs gave; entry i of the last axis is run i, in the order asked for.

    Attributes:
        loss: Training loss, (epochs, runs), as seen in training mode; likewise the next three.
        accuracy: Share of training samples.
        val_loss: Validation loss after each epoch.
        val_accuracy: Validation accuracy after each epoch.
        diverged: Whether the loss stopped being finite or passed its bound, (runs,).
        test_loss: After the last epoch, (runs,).
        test_accuracy: After the last epoch, (runs,).
        seconds: Wall time of each epoch per run, (epochs,), the mean over the groups of runs.
        observed: What `observe` returned: a list over groups of runs of lists over epochs, the start first.
        states: The final state of each group of runs; a group's last entries may be padding.
    """

    loss: np.ndarray
    accuracy: np.ndarray
    val_loss: np.ndarray
    val_accuracy: np.ndarray
    diverged: np.ndarray
    test_loss: np.ndarray
    test_accuracy: np.ndarray
    seconds: np.ndarray
    observed: list[list[Any]] = field(default_factory=list)
    states: list[RunState] = field(default_factory=list)

    def of_runs(self, runs: slice) -> Trained:
        """Return some of the runs, without what was observed and without states."""
        curves = {name: getattr(self, name)[:, runs] for name in CURVES}
        return Trained(**curves, **{name: getattr(self, name)[runs] for name in ENDS}, seconds=self.seconds)


def side_by_side(parts: Sequence[Trained]) -> Trained:
    """Return the runs of all parts in their order, without what was observed and without states."""
    curves = {name: np.concatenate([getattr(part, name) for part in parts], axis=1) for name in CURVES}
    ends = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ENDS}
    return Trained(**curves, **ends, seconds=np.mean([part.seconds for part in parts], axis=0))


def joined(parts: list[tuple[list[Any], tuple[np.ndarray, np.ndarray], list[Any], Any]]) -> Trained:
    """Put groups of runs side by side: of each its epochs' records, test loss and accuracy, what was observed, state.

    The last group may be padded; its measurements are those of its runs alone, its state holds the padding too.
    """

    def curves(name: str) -> np.ndarray:
        return np.concatenate([np.stack([getattr(r, name) for r in records]) for records, *_ in parts], axis=1)

    return Trained(
        loss=curves("loss"),
        accuracy=curves("accuracy"),
        val_loss=curves("val_loss"),
        val_accuracy=curves("val_accuracy"),
        diverged=np.concatenate([records[-1].diverged_step > 0 for records, *_ in parts]),
        test_loss=np.concatenate([test[0] for _, test, *_ in parts]),
        test_accuracy=np.concatenate([test[1] for _, test, *_ in parts]),
        seconds=np.mean([[record.seconds for record in records] for records, *_ in parts], axis=0),
        observed=[seen for *_, seen, _ in parts],
        states=[state for *_, state in parts],
    )
