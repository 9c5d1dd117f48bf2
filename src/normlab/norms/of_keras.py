"""The norms that Keras has layers for, and the absence of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from normlab.norms.degenerate import several_features, several_positions, several_samples, spread_in_groups
from normlab.norms.norm import Norm

if TYPE_CHECKING:
    import keras


def _none(name: str | None = None) -> keras.layers.Layer:
    import keras

    return keras.layers.Identity(name=name)


def _batch(name: str | None = None, *, momentum: float, epsilon: float) -> keras.layers.Layer:
    import keras

    return keras.layers.BatchNormalization(momentum=momentum, epsilon=epsilon, name=name)


def _layer(name: str | None = None, *, epsilon: float) -> keras.layers.Layer:
    import keras

    return keras.layers.LayerNormalization(epsilon=epsilon, name=name)


def _group(name: str | None = None, *, groups: int, epsilon: float) -> keras.layers.Layer:
    import keras

    return keras.layers.GroupNormalization(groups=groups, epsilon=epsilon, name=name)


def _instance(name: str | None = None, *, epsilon: float) -> keras.layers.Layer:
    import keras

    return keras.layers.GroupNormalization(groups=-1, epsilon=epsilon, name=name)


def _rms(name: str | None = None, *, epsilon: float) -> keras.layers.Layer:
    import keras

    return keras.layers.RMSNormalization(epsilon=epsilon, name=name)


NONE = Norm(
    name="none",
    build=_none,
    cancels_bias=False,
    formula="y = x",
    source="the network without normalization",
)
BATCH = Norm(
    name="batch",
    build=_batch,
    cancels_bias=True,
    formula="y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, moments over the mini-batch per unit",
    source="Ioffe and Szegedy 2015, arXiv:1502.03167; Keras's BatchNormalization (momentum 0.99, epsilon 1e-3)",
    per_unit="gamma, beta; moving mean and variance",
    couples_samples=True,
    differs_in_evaluation=True,
    options={"momentum": 0.99, "epsilon": 1e-3},
    rules=(several_samples,),
)
LAYER = Norm(
    name="layer",
    build=_layer,
    cancels_bias=False,
    formula="y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, moments over the last axis per position",
    source="Ba, Kiros, Hinton 2016, arXiv:1607.06450; Keras's LayerNormalization (epsilon 1e-3)",
    per_unit="gamma, beta",
    options={"epsilon": 1e-3},
    rules=(several_features,),
)
# Keras's 32 groups divide few widths; 4 divide 16, 32, 64, 100 and 300, and at 64 channels give the 16 channels per
# group that did best in the paper's table 3.
GROUP = Norm(
    name="group",
    build=_group,
    cancels_bias=False,
    formula="y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, moments per sample over space and a group of "
    "channels",
    source="Wu and He 2018, arXiv:1803.08494; Keras's GroupNormalization (epsilon 1e-3); 4 groups are ours",
    per_unit="gamma, beta",
    options={"groups": 4, "epsilon": 1e-3},
    rules=(spread_in_groups,),
)
INSTANCE = Norm(
    name="instance",
    build=_instance,
    cancels_bias=True,
    formula="y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, moments per sample and channel over space",
    source="Ulyanov, Vedaldi, Lempitsky 2016, arXiv:1607.08022; Keras's GroupNormalization(groups=-1) (epsilon 1e-3)",
    per_unit="gamma, beta",
    options={"epsilon": 1e-3},
    rules=(several_positions,),
)
RMS = Norm(
    name="rms",
    build=_rms,
    cancels_bias=False,
    formula="y = scale * x / sqrt(mean(x^2) + epsilon), the mean over the last axis per position",
    source="Zhang and Sennrich 2019, arXiv:1910.07467; Keras's RMSNormalization (epsilon 1e-6)",
    per_unit="scale",
    options={"epsilon": 1e-6},
    rules=(several_features,),
)
