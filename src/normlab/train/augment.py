"""Light augmentation of images: mirrored, or moved by a few pixels, anew in every epoch, in training alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from normlab import seeding

if TYPE_CHECKING:
    import jax

# He et al. 2016 pad images of 32 pixels by 4: an eighth.
MOST_PAD = 4


@dataclass(frozen=True)
class Augmentation:
    """What is done to a training image before a step.

    Attributes:
        flips: Mirrored left to right, with probability 1/2.
        crops: Zero-padded by `pad_of` on all sides and cut back to its size anywhere, all offsets equally likely.
    """

    flips: bool
    crops: bool


# Mirrored, then cropped: He et al. 2016, arXiv:1512.03385, section 4.2, after Lee et al. 2015.
AUGMENTATIONS: dict[str, Augmentation | None] = {
    "none": None,
    "flip": Augmentation(flips=True, crops=False),
    "crop": Augmentation(flips=False, crops=True),
    "flip-crop": Augmentation(flips=True, crops=True),
}


def pad_of(shape: tuple[int, ...]) -> int:
    """Return the zeros on each side of an image (height, width, ...): an eighth of its shorter side, 1 to 4 pixels."""
    return min(MOST_PAD, -(-min(shape[:2]) // 8))


def epoch_draws(seed: int, epoch: int, num_samples: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return what chance decides in one epoch, uint8 (num_samples, 3): whether to mirror; row, column to cut at.

    From (seed, epoch) and the sample's place in the training part alone, so arms, resumed runs and lone runs see the
    same images, whatever the order of samples and the batch size. All augmentations share these draws.
    """
    offsets = 2 * pad_of(shape) + 1
    return seeding.generator(seed, "augment", epoch).integers([2, offsets, offsets], size=(num_samples, 3)).astype("u1")


def augmented(augmentation: Augmentation, x: jax.Array, draws: jax.Array) -> jax.Array:
    """Return a batch of images as a step sees them, of the same shape and dtype.

    Args:
        augmentation: What is done.
        x: Images as stored, (batch, height, width) or (batch, height, width, channels).
        draws: Rows of `epoch_draws`, (batch, 3).
    """
    height, width = x.shape[1:3]
    channels = (1,) * (x.ndim - 3)
    mirror, top, left = (draws[:, column, None].astype(jnp.int32) for column in range(3))
    rows, columns = jnp.arange(height)[None], jnp.arange(width)[None]
    if augmentation.crops:
        pad = pad_of(x.shape[1:])
        rows, columns = rows + top - pad, columns + left - pad
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    if augmentation.flips:
        columns = jnp.where(mirror == 1, width - 1 - columns, columns)
    # One gather per axis: measured five times as fast as a slice per image.
    if augmentation.crops:
        x = jnp.take_along_axis(x, jnp.clip(rows, 0, height - 1).reshape(len(rows), height, 1, *channels), axis=1)
    x = jnp.take_along_axis(x, jnp.clip(columns, 0, width - 1).reshape(len(columns), 1, width, *channels), axis=2)
    return jnp.where(inside.reshape(*inside.shape, *channels), x, jnp.zeros((), x.dtype))
