"""A norm of the user's own, from `FILE.py:NAME`: the file is the user's code, and it runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from normlab.errors import InputError
from normlab.norms.norm import Norm
from normlab.norms.options import Value
from normlab.own_file import own_object

if TYPE_CHECKING:
    import keras


def own_norm(reference: str) -> Norm:
    """Return the norm that `FILE.py:NAME` refers to.

    NAME is a Keras layer class, a function that takes `name=` and returns a layer, or a `Norm`. Keyword parameters with
    a number, boolean or text as default become the norm's options, without bounds. A class or function may carry
    attributes of `Norm` (`cancels_bias`, `couples_samples`, `differs_in_evaluation`, `per_unit`, `formula`); without
    them nothing is taken for granted: its layers get a bias, and it counts as coupling samples and as differing in
    evaluation.

    Raises:
        InputError: If the file can't be read or is no Python, or NAME is missing or can't be called with `name=`
            alone. What it gives is looked at when it is called: anything but a layer is refused there.
    """
    found = own_object(reference, "norm", "my_file.py:MyNorm", "a layer class or function")
    if isinstance(found, Norm):
        return found
    return Norm(
        name=reference.rpartition(":")[2],
        build=partial(_built, found, reference),
        cancels_bias=getattr(found, "cancels_bias", False),
        formula=getattr(found, "formula", "see the file"),
        source=reference,
        per_unit=getattr(found, "per_unit", "see the file"),
        couples_samples=getattr(found, "couples_samples", True),
        differs_in_evaluation=getattr(found, "differs_in_evaluation", True),
        options=_options(found, reference),
        bounds={},
    )


def _built(build: Callable[..., Any], reference: str, name: str | None = None, **options: Value) -> keras.layers.Layer:
    """Return what the user's class or function gives, once it is known to be a layer."""
    import keras

    layer = build(name=name, **options)
    if not isinstance(layer, keras.layers.Layer):
        raise InputError(
            "a norm of your own must be a Keras layer", f"{type(layer).__name__} of {reference}", "return one"
        )
    return layer


def _options(build: Callable[..., Any], reference: str) -> Mapping[str, Value]:
    """Return the keyword parameters of a class or function that have plain defaults."""
    parameters = inspect.signature(build).parameters
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [n for n, p in parameters.items() if p.default is p.empty and p.kind not in kinds and n != "name"]
    if needed:
        received = f"{reference} with {', '.join(needed)}"
        raise InputError("a norm of your own must need nothing but `name=`", received, "give the others defaults")
    if "name" not in parameters and not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        raise InputError("a norm of your own must take `name=`", reference, "add the parameter name=None")
    return {
        name: parameter.default
        for name, parameter in parameters.items()
        if name not in ("name", "dtype", "trainable") and isinstance(parameter.default, int | float | bool | str)
    }
