"""The parameters of a network layer by layer: which variables belong to which layer, and their arrays as vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

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


def inner(a: list[Any], b: list[Any]) -> jax.Array:
    """Return the inner product of two lists of arrays of the same shapes, each list taken as one vector.

    Lists stay lists: a network whose weights are slices of one vector trains many times slower on a CPU, where XLA then
    multiplies matrices without its fast library.
    """
    return jnp.stack([jnp.vdot(one, other) for one, other in zip(a, b, strict=True)]).sum()


def norm(a: list[Any]) -> jax.Array:
    """Return the Euclidean norm of a list of arrays taken as one vector."""
    return jnp.sqrt(inner(a, a))


def moved(a: list[Any], factor: jax.Array | float, b: list[Any]) -> list[Any]:
    """Return a + factor · b."""
    return [one + factor * other for one, other in zip(a, b, strict=True)]


def chosen(values: list[Any], indices: list[int]) -> list[Any]:
    """Return some of the values."""
    return [values[index] for index in indices]
