"""A built model with what is needed to start it anew from any seed: initializers, and names that arms share."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from normlab.keras_names import snake_case

if TYPE_CHECKING:
    import keras


class Derivation(Protocol):
    """A model made from another one, with what became of the other's variables."""

    @property
    def model(self) -> keras.Model:
        """The new model."""

    @property
    def sources(self) -> Mapping[int, Any]:
        """By `id` of a variable of the new model, the other model's variable that its value comes from."""


@dataclass(frozen=True)
class Blueprint:
    """A built model and what is needed to start it anew from any seed.

    Attributes:
        model: The Keras model; its own values are used only where no initializer is known.
        initializers: Initializer by `id` of the variable; a variable that was given values has none.
        notes: What a reader must know of how the model came about.
        names: Automatic names of layers and seed generators, to canonical ones, numbered from 0 in every model.
        paths: Canonical path by `id` of the variable.
    """

    model: keras.Model
    initializers: dict[int, Any]
    notes: tuple[str, ...] = ()
    names: dict[str, str] = field(init=False)
    paths: dict[int, str] = field(init=False)

    def __post_init__(self) -> None:
        """Number the automatic names from 0, so that two arms name their common layers alike."""
        names = _canonical_names(self.model)
        paths: dict[int, str] = {}
        counts: dict[str, int] = {}
        for variable in self.model.variables:
            path = "/".join(names.get(part, part) for part in variable.path.split("/"))
            counts[path] = counts.get(path, 0) + 1  # layers of two nested models may have one name
            paths[id(variable)] = path if counts[path] == 1 else f"{path}#{counts[path]}"
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "paths", paths)

    def describe(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Return shape and start of every trainable variable by path: what decides whether two arms share it.

        The start is an initializer, or a hash of the values given.
        """
        return {self.paths[id(v)]: (tuple(v.shape), self._start(v)) for v in self.model.trainable_variables}

    def digest(self) -> str:
        """Return a sha256 of the network: every layer's class and settings, a user's layer's source; values given."""
        layers = [
            [type(x).__name__, _settings(x), _source(type(x)), _source(getattr(x, "activation", None))]
            for x in self.model._flatten_layers()
        ]
        text = json.dumps(layers, sort_keys=True, default=str)
        text = re.sub(r" at 0x[0-9a-f]+", "", text)  # where an object is in memory says nothing about it
        for automatic, canonical in self.names.items():
            text = text.replace(f'"{automatic}"', f'"{canonical}"')
        sha = hashlib.sha256(text.encode())
        for variable in self.model.variables:
            if id(variable) not in self.initializers and not is_generator_state(variable):
                sha.update(np.asarray(variable.value).tobytes())
        return sha.hexdigest()

    def _start(self, variable: Any) -> str:
        if id(variable) in self.initializers:
            return describe_initializer(self.initializers[id(variable)])
        return hashlib.sha256(np.asarray(variable.value).tobytes()).hexdigest()


def blueprint(build: Callable[[], keras.Model]) -> Blueprint:
    """Build a model once and note the initializer of each of its variables.

    A variable that `build` gave values (weights loaded, statistics adapted) has no initializer: every run begins with
    those values.
    """
    with _noting_initializers() as noted:
        model = build()
    given = {id(v) for v in model.variables if id(v) in noted and np.any(np.asarray(v.value))}
    return Blueprint(model, {key: initializer for key, initializer in noted.items() if key not in given})


def derived(build: Callable[[], Derivation], kept: Set[int], notes: tuple[str, ...] = ()) -> Blueprint:
    """Build a model from another one, as surgery does, and note the initializer of each variable that is not kept.

    Args:
        build: Does it.
        kept: The `id` of every variable of the other model whose value all runs begin with.
        notes: Of the blueprint.
    """
    with _noting_initializers() as noted:
        made = build()
    drawn = [id(v) for v in made.model.variables if id(v) in noted and id(made.sources.get(id(v))) not in kept]
    return Blueprint(made.model, {key: noted[key] for key in drawn}, notes)


def shared_paths(plans: list[Blueprint]) -> list[str]:
    """Return the trainable variables that all plans have in common: same path, shape and initializer; sorted."""
    described = [plan.describe() for plan in plans]
    return sorted(path for path, what in described[0].items() if all(other.get(path) == what for other in described))


def describe_initializer(initializer: Any) -> str:
    """Return class and settings of an initializer without its seed."""
    if initializer is None:
        return "none"
    config = initializer.get_config() if hasattr(initializer, "get_config") else {}
    return f"{type(initializer).__name__}{sorted((k, str(v)) for k, v in config.items() if k != 'seed')}"


def is_generator_state(variable: Any) -> bool:
    """Return whether a variable is the state of a Keras seed generator."""
    return str(variable.dtype).startswith("uint") and "seed_generator" in variable.path


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
        # Normalization derives what it computes with from its weights as soon as it is built.
        derives = hasattr(self, "finalize_state")
        if len(positional) > 1:  # (shape, initializer, ...)
            shape, initializer, *rest = positional
            variable = original(self, shape, initializer if derives else "zeros", *rest, **options)
        else:
            variable = original(self, *positional, initializer=initializer if derives else "zeros", **options)
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
    """Map each automatic name (`dense_7`, `seed_generator_3`) to its kind and its ordinal in this model (`dense:0`)."""
    counts: dict[str, int] = {}
    names: dict[str, str] = {}

    def number(name: str, stem: str) -> None:
        if name not in names and re.fullmatch(rf"{stem}(_\d+)?", name):
            names[name] = f"{stem}:{counts.get(stem, 0)}"
            counts[stem] = counts.get(stem, 0) + 1

    layers = model._flatten_layers()
    operations = [operation for layer in layers for operation in getattr(layer, "operations", [])]
    for operation in (*layers, *operations):  # a graph may hold `keras.ops` too
        number(operation.name, snake_case(type(operation).__name__))
    for variable in model.variables:
        for part in variable.path.split("/"):
            number(part, "seed_generator")
    return names


def _settings(layer: Any) -> Any:
    """Return a layer's configuration; a custom layer without one counts by its class alone."""
    try:
        return layer.get_config()
    except NotImplementedError:
        return None


def _source(code: Any) -> str:
    """Return the source that a class or function of the user's own comes from; "" for Keras's and normlab's.

    Those are told by versions and hashes. It is the whole file, since a layer may call what stands beside it; of a
    script that is being run, the class or function.
    """
    module = getattr(code, "__module__", None) or "builtins"
    if module.partition(".")[0] in ("builtins", "keras", "normlab"):
        return ""
    try:
        return inspect.getsource(code if module == "__main__" else sys.modules[module])
    except (OSError, TypeError):  # typed at a prompt
        return str(getattr(code, "__qualname__", type(code).__qualname__))
