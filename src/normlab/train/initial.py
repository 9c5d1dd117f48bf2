"""Initial values of every run, drawn from each variable's own initializer, keyed by (seed, variable path).

One model is built per arm; the values of all its runs are drawn here. A kernel that two arms have in common therefore
starts with the same bits in both, whatever else the arms contain.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from normlab import seeding
from normlab.errors import InputError
from normlab.train.blueprint import Blueprint, describe_initializer, is_generator_state

if TYPE_CHECKING:
    import jax


class InitialValues:
    """Draws initial values; one for all arms of a study, which then share programs and bits."""

    def __init__(self) -> None:
        self._draws: dict[tuple[str, str, tuple[int, ...], str], Callable[[int], np.ndarray]] = {}

    def stacked(self, plan: Blueprint, variables: list[Any], seeds: list[int]) -> list[np.ndarray]:
        """Return the variables' values for all seeds, each of shape (num_seeds, *variable.shape).

        Raises:
            InputError: For a random initializer that takes no seed.
        """
        return [np.stack([self._value(plan, variable, seed) for seed in seeds]) for variable in variables]

    def _value(self, plan: Blueprint, variable: Any, seed: int) -> np.ndarray:
        initializer = plan.initializers.get(id(variable))
        path = plan.paths[id(variable)]
        if is_generator_state(variable):
            return seeding.generator(seed, "init", path).integers(2**32, size=variable.shape, dtype=np.uint32)
        if initializer is None:
            return np.asarray(variable.value)
        shape, dtype = tuple(variable.shape), str(variable.dtype)
        description = (path, describe_initializer(initializer), shape, dtype)
        if description not in self._draws:
            self._draws[description] = _compiled_draw(initializer, path, shape, dtype)
        return self._draws[description](seed)


def _compiled_draw(initializer: Any, path: str, shape: tuple[int, ...], dtype: str) -> Callable[[int], np.ndarray]:
    """Compile one variable's draw for one seed.

    One program per variable, not one per arm or per number of runs: the compiler may round the same formula
    differently in different programs, and arms must agree bit for bit.
    """
    import jax

    if not hasattr(initializer, "seed"):
        constant = np.asarray(initializer(shape, dtype=dtype))
        if not np.array_equal(constant, np.asarray(initializer(shape, dtype=dtype)), equal_nan=True):
            raise InputError(
                "a random initializer must take a seed, as Keras's own do, so that seeds differ and arms agree",
                f"{getattr(initializer, '__name__', type(initializer).__name__)} at {path}",
                "use a keras.initializers class",
            )
        return lambda _: constant

    @jax.jit
    def draw(seed: jax.Array) -> jax.Array:
        keyed = copy.copy(initializer)
        keyed.seed = seeding.key(seed, "init", path)  # Keras's random functions take a JAX key as the seed
        return keyed(shape, dtype=dtype)

    return lambda seed: np.asarray(draw(np.uint32(seed)))
