"""What a named network is: how it is built, its options with their defaults, and what they must keep to."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from normlab.errors import InputError

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Network:
    """A network by name; its options are the keyword-only parameters of its builder.

    Attributes:
        about: What it is, in one line.
        build: (norm, input_shape, num_outputs, *, option=default, ...) -> a built Keras model that ends in logits.
        check: Takes those options that have bounds and raises `InputError` where a value can't be; needs no Keras.
    """

    about: str
    build: Callable[..., keras.Model]
    check: Callable[..., None]

    @property
    def defaults(self) -> dict[str, Any]:
        """Every option with its default."""
        parameters = inspect.signature(self.build).parameters.values()
        return {option.name: option.default for option in parameters if option.kind is option.KEYWORD_ONLY}

    def resolve(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return every option, with the value given or its default.

        Raises:
            InputError: For an unknown option, or a value of another type or beyond its bounds.
        """
        options = self.defaults
        for name, value in given.items():
            if name not in options:
                known = f"choose among {', '.join(options)}"
                raise InputError("every setting must be a known one", f"network.{name}", known)
            options[name] = _of_type(options[name], name, value)
        self.check(**{name: options[name] for name in inspect.signature(self.check).parameters})
        return options


def _of_type(default: Any, name: str, value: Any) -> Any:
    """Return the value as the default's type; numbers are no truth values, and a whole number is a number."""
    if isinstance(default, tuple):
        value = [value] if type(value) is int else value  # one layer
        if isinstance(value, list | tuple) and all(type(item) is int for item in value):
            return tuple(value)
        raise InputError(f"{name} must be a list of whole numbers", repr(value), f"give one such as {list(default)}")
    if type(default) is float and type(value) is int:
        return float(value)
    if type(value) is not type(default):
        kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
        raise InputError(f"{name} must be {kinds[type(default)]}", repr(value), f"give one such as {default!r}")
    return value
