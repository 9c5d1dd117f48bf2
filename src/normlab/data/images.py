"""Images as they come in arrays: which axis holds the channels, and by what pixel values are divided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from normlab.errors import InputError

Channels = Literal["first", "last"]
CHANNELS: tuple[Channels, ...] = ("first", "last")
# Grey; grey with opacity; red, green, blue; those with opacity.
_MOST_CHANNELS = 4
# Full scale of 8 and of 16 bits.
FULL_SCALES = (255, 65_535)
# Beyond this size inputs are far from the unit scale that initializers assume.
_LARGE = 10.0


def channels_of(shape: tuple[int, ...]) -> Channels:
    """Return where the channels of images are, `first` as in (3, 32, 32) or `last` as in (32, 32, 3).

    A reading is plausible if it leaves at most 4 channels and two sides of more than one pixel. Where both are, the one
    whose image alone is square is taken; where neither is, the channels are last.

    Args:
        shape: Of one sample, three axes.

    Raises:
        InputError: Both readings are plausible.
    """
    first, last = shape[1:], shape[:2]
    plausible: list[Channels] = []
    for where, channels, sides in (("first", shape[0], first), ("last", shape[2], last)):
        if channels <= _MOST_CHANNELS and min(sides) > 1:
            plausible.append(where)  # type: ignore[arg-type]
    squares = [where for where, sides in (("first", first), ("last", last)) if sides[0] == sides[1]]
    if len(plausible) == 2 and len(squares) != 1:
        raise InputError(
            "the channels of images must be told from height and width",
            f"samples of shape {shape}: {shape[0]} channels of {first[0]} x {first[1]} pixels, or {shape[2]} channels "
            f"of {last[0]} x {last[1]}",
            "say which by one more array, channels='first' or channels='last'",
        )
    if len(plausible) == 2:
        return squares[0]  # type: ignore[return-value]
    return plausible[0] if plausible else "last"


class Pixels(NamedTuple):
    """What pixel values are divided by, and the sentence that says so."""

    divisor: float
    sentence: str


def pixel_scale(values: np.ndarray) -> Pixels:
    """Return the divisor that brings pixel values to [0, 1]; 1 where they are none.

    Values with a negative one among them, or none above 1, stay as they are. Otherwise:

    - largest value in (127, 255] or (32767, 65535], whole or not: divided by 255 or 65535, as 8 or 16 bits store them;
    - whole numbers up to another largest value, at most 65535: divided by that value;
    - anything else: as it is.

    Args:
        values: Inputs of the training part, finite.
    """
    low, high = float(values.min()), float(values.max())
    is_whole = _are_whole(values)
    divisor = 1.0
    if low >= 0 and high > 1:
        full = [float(scale) for scale in FULL_SCALES if scale // 2 < high <= scale]
        divisor = full[0] if full else high if is_whole and high <= FULL_SCALES[-1] else 1.0
    if divisor > 1:
        kind = "whole numbers" if is_whole else "numbers"
        sentence = (
            f"{values.dtype} inputs, {kind} from {low:g} to {high:g}, are taken as pixels: divided by {divisor:g}."
        )
        return Pixels(divisor, sentence)
    sentence = f"Inputs from {low:g} to {high:g} are taken as they are, without scaling"
    if max(-low, high) > _LARGE:
        sentence += "; scale them to about 1 first, or networks without a norm may diverge"
    return Pixels(1.0, f"{sentence}.")


def narrowed(parts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the parts in the smallest type that holds all their values, of uint8, uint16 and float32.

    Whole numbers from 0 to 255 become uint8, those to 65535 uint16, anything else float32.
    """
    dtype = np.result_type(*(_narrowest(values) for values in parts.values()))
    return {part: np.ascontiguousarray(values, dtype=dtype) for part, values in parts.items()}


def _narrowest(values: np.ndarray) -> type[np.generic]:
    if values.dtype == np.uint8:
        return np.uint8
    if not _are_whole(values) or values.min() < 0 or values.max() > FULL_SCALES[-1]:
        return np.float32
    return np.uint8 if values.max() <= FULL_SCALES[0] else np.uint16


def _are_whole(values: np.ndarray) -> bool:
    return values.dtype.kind in "biu" or bool((values == np.round(values)).all())
