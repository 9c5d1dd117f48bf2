"""Hashes of the values on the devices: what arms share at the start, and all that a run has at the end."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from normlab.train.blueprint import Blueprint
    from normlab.train.loop import RunState


def shared_digest(plan: Blueprint, paths: list[str], trainable: list[Any], run: int) -> str:
    """Return a sha256 over one run's values of the trainable variables at `paths`, in that order.

    Args:
        plan: Whose variables they are.
        paths: Canonical paths.
        trainable: Values of all trainable variables for all runs, in the model's order, (num_runs, ...) each.
        run: Index of the run.
    """
    by_path = {
        plan.paths[id(variable)]: values
        for variable, values in zip(plan.model.trainable_variables, trainable, strict=True)
    }
    sha = hashlib.sha256()
    for path in paths:
        sha.update(path.encode() + by_path[path][run].tobytes())
    return sha.hexdigest()


def state_digests(state: RunState, num_runs: int) -> list[str]:
    """Return, for each of the first runs, a sha256 over all its variables, those that are not trained too.

    Two runs with the same hash have the same weights, to the bit.
    """
    variables = [np.asarray(values) for values in (*state.trainable, *state.non_trainable)]
    contents = (b"".join(values[run].tobytes() for values in variables) for run in range(num_runs))
    return [hashlib.sha256(content).hexdigest() for content in contents]
