"""Initial values of every run, drawn from each variable's own initializer, keyed by (seed, variable path).

One model is built per arm; the values of all its runs are drawn here. A kernel that two arms have in common therefore
starts with the same bits in both, whatever else the arms contain.
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from normlab import seeding

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Blueprint:
    """A built model and what is needed to start it anew from any seed.

    Attributes:
        model: The Keras model; its own values are used only where no initializer is known.
        initializers: Initializer by `id` of the variable.
        paths: Canonical path by `id` of the variable: automatic layer names are numbered from 0 in every model.
    """

    model: keras.Model
    initializers: dict[int, Any]
    paths: dict[int, str] = field(init=False)

    def __post_init__(self) -> None:
        """Number the automatic layer names from 0, so that two arms name their common layers alike."""
        names = _canonical_names(self.model)
        paths = {id(v): "/".join(names.get(part, part) for part in v.path.split("/")) for v in self.model.variables}
        object.__setattr__(self, "paths", paths)

    def describe(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Return shape and initializer of every trainable variable by path: what decides whether two arms share it."""
        return {
            self.paths[id(v)]: (tuple(v.shape), _describe(self.initializers.get(id(v))))
            for v in self.model.trainable_variables
        }


def blueprint(build: Callable[[], keras.Model]) -> Blueprint:
    """Build a model once and note the initializer of each of its variables."""
    with _noting_initializers() as noted:
        model = build()
    return Blueprint(model, noted)


class InitialValues:
    """Draws initial values and remembers them, so that arms of a study share the work and the bits."""

    def __init__(self) -> None:
        self._draws: dict[tuple[str, str, tuple[int, ...], str], Callable[[int], np.ndarray]] = {}

    def stacked(self, plan: Blueprint, variables: list[Any], seeds: list[int]) -> list[np.ndarray]:
        """Return the variables' values for all seeds, each of shape (num_seeds, *variable.shape)."""
        return [np.stack([self._value(plan, variable, seed) for seed in seeds]) for variable in variables]

    def digest(self, plan: Blueprint, paths: list[str], seed: int) -> str:
        """Return a sha256 over the values of the trainable variables at `paths`, in that order, for one seed."""
        by_path = {plan.paths[id(v)]: v for v in plan.model.trainable_variables}
        sha = hashlib.sha256()
        for path in paths:
            sha.update(path.encode() + self._value(plan, by_path[path], seed).tobytes())
        return sha.hexdigest()

    def _value(self, plan: Blueprint, variable: Any, seed: int) -> np.ndarray:
        initializer = plan.initializers.get(id(variable))
        path = plan.paths[id(variable)]
        if initializer is None:
            if str(variable.dtype).startswith("uint"):  # the state of a Keras seed generator
                return seeding.generator(seed, "init", path).integers(2**32, size=variable.shape, dtype=np.uint32)
            return np.asarray(variable.value)
        shape, dtype = tuple(variable.shape), str(variable.dtype)
        description = (path, _describe(initializer), shape, dtype)
        if description not in self._draws:
            self._draws[description] = _compiled_draw(initializer, path, shape, dtype)
        return self._draws[description](seed)


def shared_paths(plans: list[Blueprint]) -> list[str]:
    """Return the trainable variables that all plans have in common: same path, shape and initializer; sorted."""
    described = [plan.describe() for plan in plans]
    return sorted(path for path, what in described[0].items() if all(other.get(path) == what for other in described))


def _compiled_draw(initializer: Any, path: str, shape: tuple[int, ...], dtype: str) -> Callable[[int], np.ndarray]:
    """Compile one variable's draw for one seed.

    One program per variable, not one per arm or per number of runs: the compiler may round the same formula
    differently in different programs, and arms must agree bit for bit.
    """
    import jax

    if not hasattr(initializer, "seed"):
        constant = np.asarray(initializer(shape, dtype=dtype))
        return lambda _: constant

    @jax.jit
    def draw(seed: jax.Array) -> jax.Array:
        keyed = copy.copy(initializer)
        keyed.seed = seeding.key(seed, "init", path)  # Keras's random functions take a JAX key as the seed
        return keyed(shape, dtype=dtype)

    return lambda seed: np.asarray(draw(np.uint32(seed)))


def _describe(initializer: Any) -> str:
    """Return class and settings of an initializer without its seed."""
    if initializer is None:
        return "none"
    config = initializer.get_config() if hasattr(initializer, "get_config") else {}
    return f"{type(initializer).__name__}{sorted((k, str(v)) for k, v in config.items() if k != 'seed')}"


@contextmanager
def _noting_initializers() -> Iterator[dict[int, Any]]:
    """Note the initializer that each variable is added with, while models are built inside this context.

    The variable itself starts at zero: its values are drawn later, for every run, and a draw here would only cost
    compilations.
    """
    import keras

    noted: dict[int, Any] = {}
    original = keras.layers.Layer.add_weight

    def add_weight(self: Any, *positional: Any, initializer: Any = None, **options: Any) -> Any:
        if len(positional) > 1:  # (shape, initializer, ...)
            shape, initializer, *rest = positional
            variable = original(self, shape, "zeros", *rest, **options)
        else:
            variable = original(self, *positional, initializer="zeros", **options)
        if initializer is None:  # Keras's own defaults
            initializer = "glorot_uniform" if "float" in str(variable.dtype) else "zeros"
        noted[id(variable)] = keras.initializers.get(initializer)
        return variable

    keras.layers.Layer.add_weight = add_weight
    try:
        yield noted
    finally:
        keras.layers.Layer.add_weight = original


def _canonical_names(model: keras.Model) -> dict[str, str]:
    """Map each automatic layer name (`dense_7`) to its class and its ordinal in this model (`dense:0`)."""
    counts: dict[str, int] = {}
    names: dict[str, str] = {}
    for layer in model._flatten_layers():
        stem = _snake_case(type(layer).__name__)
        if layer.name not in names and re.fullmatch(rf"{stem}(_\d+)?", layer.name):
            names[layer.name] = f"{stem}:{counts.get(stem, 0)}"
            counts[stem] = counts.get(stem, 0) + 1
    return names


def _snake_case(name: str) -> str:
    """Return Keras's automatic name for a class: `BatchNormalization` gives `batch_normalization`."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
