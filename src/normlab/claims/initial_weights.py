"""Initial kernels of runs, scaled or drawn anew by a scheme: what claims about the start of training vary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import jax

    from normlab.train.blueprint import Blueprint
    from normlab.train.initial import InitialValues
    from normlab.train.loop import RunState
    from normlab.train.population import Population

# Keras's initializers: the variance of a weight is 2 / inputs (he), 1 / inputs (lecun) or 2 / (inputs + outputs)
# (glorot); normal ones are truncated at two deviations. Keras's truncated normal has deviation 0.05 in every layer.
SCHEMES = (
    "he_normal",
    "he_uniform",
    "glorot_uniform",
    "lecun_normal",
    "orthogonal",
    "truncated_normal",
)


class Drawn:
    """Draws the initial kernels of each run by its own scheme, and multiplies them; groups of runs come in order.

    For `Bench.train`. Other variables start as the network's author has them. A kernel that two arms have in common
    starts with the same bits in both, as everywhere.

    Args:
        values: Draws, keyed by seed and path.
        seeds: Of the runs.
        factors: Of the runs.
        schemes: Names of initializers in Keras; None for the network's own. Default: its own for all.
    """

    def __init__(
        self,
        values: InitialValues,
        seeds: Sequence[int],
        factors: Sequence[float],
        schemes: Sequence[str | None] | None = None,
    ) -> None:
        self.values = values
        self.left = list(zip(seeds, factors, schemes or [None] * len(seeds), strict=True))

    def __call__(self, program: Population, state: RunState) -> RunState:
        """Return the state with these kernels."""
        own, self.left = self.left[: program.capacity], self.left[program.capacity :]
        own += [own[-1]] * (program.capacity - len(own))
        plan = program.plan
        kernels = [
            self._kernel(plan, variable, value, own) if plan.paths[id(variable)].endswith("kernel") else value
            for variable, value in zip(plan.model.trainable_variables, state.trainable, strict=True)
        ]
        return state._replace(trainable=kernels)

    def _kernel(
        self, plan: Blueprint, variable: object, value: jax.Array, own: list[tuple[int, float, str | None]]
    ) -> jax.Array:
        import jax
        import keras

        drawn = np.array(value)
        for scheme in {scheme for *_, scheme in own if scheme is not None}:
            runs = [run for run, (*_, named) in enumerate(own) if named == scheme]
            by_scheme = replace(plan, initializers={id(variable): keras.initializers.get(scheme)})
            (drawn[runs],) = self.values.stacked(by_scheme, [variable], [own[run][0] for run in runs])
        factors = np.array([factor for _, factor, _ in own], dtype=np.float32)
        return jax.device_put(drawn * factors.reshape(-1, *[1] * (drawn.ndim - 1)), value.sharding)
