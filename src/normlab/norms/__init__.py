"""Normalization layers by name: one literal table, each entry a factory that builds with its defaults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Norm:
    """A named way to normalize, called once for every place in a network where it stands.

    Attributes:
        name: The name in `NORMS`.
        build: Returns a new Keras layer with this norm's defaults; `name=` names the layer.
        cancels_bias: Whether a constant added to the input cannot reach the output, so that the layer before needs no
            bias. True where the mean over the batch or the features is subtracted.
        formula: What the layer computes, in one line.
        source: Where it comes from.
    """

    name: str
    build: Callable[..., keras.layers.Layer]
    cancels_bias: bool
    formula: str
    source: str

    def __call__(self, name: str | None = None) -> keras.layers.Layer:
        """Return a new layer, called `name` where one is given."""
        return self.build(name=name)


def _none(name: str | None = None) -> keras.layers.Layer:
    import keras

    return keras.layers.Identity(name=name)


def _batch(name: str | None = None) -> keras.layers.Layer:
    import keras

    return keras.layers.BatchNormalization(name=name)


NORMS = {
    "none": Norm(
        name="none",
        build=_none,
        cancels_bias=False,
        formula="y = x",
        source="the network without normalization",
    ),
    "batch": Norm(
        name="batch",
        build=_batch,
        cancels_bias=True,
        formula="y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, moments over the mini-batch per unit",
        source="Ioffe and Szegedy 2015, arXiv:1502.03167; Keras's BatchNormalization (momentum 0.99, epsilon 1e-3)",
    ),
}
