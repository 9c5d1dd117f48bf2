"""The parameters of a network layer by layer: which variables belong to which layer, and gradients as vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
from jax.flatten_util import ravel_pytree

from normlab.probes.inside import survey

if TYPE_CHECKING:
    from normlab.train.loop import Trainer

# Per layer, by name: where its variables stand in `model.trainable_variables`.
Groups = dict[str, list[int]]


def parameter_groups(trainer: Trainer, x: Any) -> Groups:
    """Return the layers that have trainable variables, in the order in which a forward pass calls them.

    A shared layer stands at its first call. A variable belongs to the innermost layer that the forward pass shows;
    those of a model itself, and of layers without a floating output, come last under their own path.

    Args:
        trainer: Its model is the network.
        x: Inputs, (batch, ...); only shape and type matter.
    """
    left = {id(variable): index for index, variable in enumerate(trainer.model.trainable_variables)}
    groups: Groups = {}
    for output in survey(trainer, x):
        own = [left.pop(id(v)) for v in getattr(output.layer, "trainable_variables", ()) if id(v) in left]
        if own:
            groups[output.name] = own
    for index in left.values():
        path = trainer.model.trainable_variables[index].path
        groups.setdefault(path.rpartition("/")[0] or path, []).append(index)
    return groups


def vector(values: list[Any], indices: list[int]) -> jax.Array:
    """Return some of the values, one after the other, as one vector."""
    return ravel_pytree([values[index] for index in indices])[0]
