"""Finished runs with settled statistics: what was trained, apart from how far running statistics lag behind."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from normlab.claims.evaluations import groups, with_precise_statistics
from normlab.claims.final_error import final_error

if TYPE_CHECKING:
    import keras

    from normlab.claims.bench import Bench
    from normlab.claims.trained import Trained
    from normlab.train.loop import RunState
    from normlab.train.population import Population


def settled_error(
    bench: Bench, program: Population, trained: Trained, part: Literal["validation", "test"] = "test"
) -> np.ndarray:
    """Return the error of each run, (runs,), as `final_error`, on the validation or test part.

    A network that evaluates with running statistics gets them recomputed over the training part; any other is
    evaluated as it is.
    """
    if keeps_running_statistics(program.trainer.model):
        return with_precise_statistics(bench, program, trained, part)
    return running_error(bench, trained, part)


def running_error(bench: Bench, trained: Trained, part: Literal["validation", "test"] = "test") -> np.ndarray:
    """Return the error of each run, (runs,), with the statistics that it keeps."""
    if part == "test":
        return final_error(bench, trained.test_loss, trained.test_accuracy, trained.diverged)
    return final_error(bench, trained.val_loss[-1], trained.val_accuracy[-1], trained.diverged)


def with_settled_validation(program: Population, trained: Trained) -> Trained:
    """Return the runs with the last validation loss and accuracy of settled statistics, to choose a rate by.

    Else the lag of the statistics, of which a rate has more than another, would choose it.
    """
    if not keeps_running_statistics(program.trainer.model):
        return trained
    found = [program.evaluate(program.recomputed(state), n, "validation") for state, n in groups(program, trained)]
    loss, accuracy = (np.concatenate(values) for values in zip(*found, strict=True))
    return replace(
        trained,
        val_loss=np.concatenate([trained.val_loss[:-1], loss[None]]),
        val_accuracy=np.concatenate([trained.val_accuracy[:-1], accuracy[None]]),
    )


def settled(program: Population, state: RunState) -> RunState:
    """Return the state of all runs with recomputed statistics; as it is where the network keeps no running ones."""
    return program.recomputed(state) if keeps_running_statistics(program.trainer.model) else state


def keeps_running_statistics(model: keras.Model) -> bool:
    """Whether training moves running statistics of a layer of the model."""
    from normlab.norms.running import running_statistics

    return bool(running_statistics(model))
