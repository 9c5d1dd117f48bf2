"""Where a norm stands after a Dense or convolution: before or after the activation, and what it spares there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from normlab.models.activations import activation_layer
from normlab.norms import check

if TYPE_CHECKING:
    import keras

    from normlab.norms import Norm

PLACEMENTS = ("before", "after")


def needs_bias(norm: Norm, placement: str = "before") -> bool:
    """Return whether the layer before needs a bias: a norm directly after it that subtracts a mean would cancel it."""
    return placement == "after" or not norm.cancels_bias


def norm_layer(norm: Norm, shape: tuple[int, ...], name: str) -> keras.layers.Layer:
    """Return the norm's layer for samples of this shape.

    Raises:
        InputError: If the norm can't serve at this shape, by itself or within any batch.
    """
    check(norm, shape)
    return norm(name=name)


def activation_at(norm: Norm, activation: str, name: str, placement: str = "before") -> keras.layers.Layer:
    """Return the activation beside a norm; an identity if the norm stands before it and contains one itself.

    Networks with different norms so have layers of the same names in the same places.
    """
    import keras

    if norm.replaces_activation and placement == "before":
        return keras.layers.Identity(name=name)
    return activation_layer(activation, name)


def in_order(norm: keras.layers.Layer, activation: keras.layers.Layer, placement: str) -> list[keras.layers.Layer]:
    """Return the two layers in the order that the placement asks for."""
    return [norm, activation] if placement == "before" else [activation, norm]
