"""The indices that a network looks up in its tables, and that each is a row of its table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from normlab.errors import InputError

if TYPE_CHECKING:
    import keras

    from normlab.data import Dataset

# Layers of Keras that look indices up, with the attribute that holds the number of rows.
_ROWS = {"Embedding": "input_dim", "CategoryEncoding": "num_tokens"}


class Lookup(NamedTuple):
    """One call of a layer that looks indices up.

    Attributes:
        name: Of the layer, with the models and layers around it.
        layer: The layer.
        given: The indices.
    """

    name: str
    layer: Any
    given: Any


def lookups(model: keras.Model, x: Any) -> list[Lookup]:
    """Return every look-up of a forward pass on inputs as stored, within nested models and layers of layers too."""
    import keras

    from normlab.probes.alone import alone
    from normlab.probes.inside import pass_through

    trainer, state = alone(model, optimizer=keras.optimizers.SGD(), divisor=None)
    passed = pass_through(trainer, state.trainable, state.non_trainable, x)
    return [Lookup(one.name, one.layer, one.inputs) for one in passed.inside if _num_rows(one.layer) is not None]


def require_rows(model: keras.Model, dataset: Dataset) -> None:
    """Require every index that the network looks up, in any part, to be a row of its table.

    Args:
        model: The network.
        dataset: Its data, as they are handed over.

    Raises:
        InputError: An index is negative, too large or no whole number.
    """
    if all(_num_rows(layer) is None for layer in model._flatten_layers()):
        return
    import jax

    from normlab.train.devices import narrowing_integers
    from normlab.train.loop import EVALUATION_BATCH, scaled

    tables: list[tuple[str, int]] = []

    def bounds(x: Any) -> list[Any]:
        found = lookups(model, scaled(x, dataset.divisor))
        tables[:] = [(one.name, _num_rows(one.layer) or 0) for one in found]
        return [_bounds(one.given) for one in found]

    program = jax.jit(bounds)
    for name, part in dataset.parts.items():
        for first in range(0, len(part), EVALUATION_BATCH):
            with narrowing_integers():
                measured = program(part.x[first : first + EVALUATION_BATCH])
            for (layer, num_rows), one in zip(tables, measured, strict=True):
                _require_between(layer, num_rows, [float(value) for value in one], name)


def _num_rows(layer: Any) -> int | None:
    """Return the rows of a layer's table; None of a layer that has none."""
    for kind in type(layer).__mro__:
        if kind.__name__ in _ROWS:
            rows = getattr(layer, _ROWS[kind.__name__], None)
            return rows if isinstance(rows, int) else None
    return None


def _bounds(given: Any) -> tuple[Any, Any, Any]:
    """Return the smallest and the largest index, and by how much one departs from a whole number at most."""
    import jax.numpy as jnp

    values = jnp.asarray(given)
    return values.min(), values.max(), jnp.abs(values - jnp.round(values)).max()


def _require_between(layer: str, num_rows: int, bounds: list[float], part: str) -> None:
    low, high, fraction = bounds
    if fraction == 0 and low >= 0 and high < num_rows:
        return
    rule = f"every index that the layer {layer} looks up must be a whole number from 0 to {num_rows - 1}"
    if fraction:
        raise InputError(rule, f"a fraction, between {low:g} and {high:g}, in the {part} part", "give whole numbers")
    wrong = low if low < 0 else high
    action = "give indices from 0 on" if low < 0 else f"give it at least {high + 1:g} rows, or correct the data"
    raise InputError(rule, f"{wrong:g} in the {part} part, for a table of {num_rows} rows", action)
