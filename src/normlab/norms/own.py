"""A norm of the user's own, from `FILE.py:NAME`: the file is the user's code, and it runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from normlab.errors import InputError
from normlab.norms.norm import Norm
from normlab.norms.options import Value
from normlab.own_file import own_object


def own_norm(reference: str) -> Norm:
    """Return the norm that `FILE.py:NAME` refers to.

    NAME is a Keras layer class, a function that takes `name=` and returns a layer, or a `Norm`. Keyword parameters with
    a number, boolean or text as default become the norm's options, without bounds. A class or function may carry
    attributes of `Norm` (`cancels_bias`, `couples_samples`, `differs_in_evaluation`, `per_unit`, `formula`); without
    them nothing is taken for granted: its layers get a bias, and it counts as coupling samples and as differing in
    evaluation.

    Raises:
        InputError: If the file can't be read or is no Python, or NAME is missing or can't be called with `name=`.
    """
    found = own_object(reference, "norm", "my_file.py:MyNorm", "a layer class or function")
    if isinstance(found, Norm):
        return found
    return Norm(
        name=reference.rpartition(":")[2],
        build=found,
        cancels_bias=getattr(found, "cancels_bias", False),
        formula=getattr(found, "formula", "see the file"),
        source=reference,
        per_unit=getattr(found, "per_unit", "see the file"),
        couples_samples=getattr(found, "couples_samples", True),
        differs_in_evaluation=getattr(found, "differs_in_evaluation", True),
        options=_options(found, reference),
    )


def _options(build: Callable[..., Any], reference: str) -> Mapping[str, Value]:
    """Return the keyword parameters of a class or function that have plain defaults."""
    parameters = inspect.signature(build).parameters
    if "name" not in parameters and not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        raise InputError("a norm of your own must take `name=`", reference, "add the parameter name=None")
    return {
        name: parameter.default
        for name, parameter in parameters.items()
        if name not in ("name", "dtype", "trainable") and isinstance(parameter.default, int | float | bool | str)
    }
