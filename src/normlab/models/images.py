"""Images at the entrance of a network: which shapes are images, and how far their sides can be halved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from normlab.errors import InputError

if TYPE_CHECKING:
    import keras

# Below two positions a side, a norm over space has nothing left to normalize by.
SMALLEST_SIDE = 2


def image_shape(network: str, input_shape: Sequence[int]) -> tuple[int, int, int]:
    """Return (height, width, channels) of one sample's shape, (H, W) being an image of one channel.

    Raises:
        InputError: For any other number of axes.
    """
    shape = tuple(input_shape)
    if len(shape) not in (2, 3):
        action = "choose mlp" if len(shape) < 2 else "give images, or choose mlp"
        rule = f"{network} needs images, each of shape (height, width) or (height, width, channels)"
        raise InputError(rule, f"the shape {shape}", action)
    height, width, channels = (*shape, 1)[:3]
    return height, width, channels


def image_entrance(input_shape: Sequence[int]) -> list[keras.layers.Layer]:
    """Return the input, and for images without an axis of channels the layer that adds it."""
    import keras

    shape = tuple(input_shape)
    entrance = [keras.Input(shape, name="input")]
    return entrance if len(shape) == 3 else [*entrance, keras.layers.Reshape((*shape, 1), name="channel")]


def can_be_halved(sides: Sequence[int]) -> bool:
    """Return whether both sides stay at 2 or more when they are halved."""
    return min(sides) >= 2 * SMALLEST_SIDE
