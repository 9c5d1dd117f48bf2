"""Our norms that treat each sample by itself: squashing, over space, over groups of channels, and norms of weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from normlab.norms.degenerate import several_positions, spread_in_groups
from normlab.norms.norm import Norm

if TYPE_CHECKING:
    import keras


def _dyt(name: str | None = None, *, alpha: float) -> keras.layers.Layer:
    from normlab.norms.dyt import DynamicTanh

    return DynamicTanh(alpha, name=name)


def _frn(name: str | None = None, *, epsilon: float) -> keras.layers.Layer:
    from normlab.norms.frn import FilterResponseNormalization

    return FilterResponseNormalization(epsilon, name=name)


def _evo_s0(name: str | None = None, *, groups: int, epsilon: float) -> keras.layers.Layer:
    from normlab.norms.evo import EvoNormS0

    return EvoNormS0(groups, epsilon, name=name)


def _nothing_after(name: str | None = None) -> keras.layers.Layer:
    """Return the identity that stands where a norm of weights has nothing to do."""
    import keras

    return keras.layers.Identity(name=name)


def _weight(layer: keras.layers.Layer, *, epsilon: float) -> keras.layers.Layer:
    from normlab.norms.weight import WeightNormalization

    return WeightNormalization(layer, epsilon)


def _weight_standardization(layer: keras.layers.Layer, *, epsilon: float) -> keras.layers.Layer:
    from normlab.norms.standardization import WeightStandardization

    return WeightStandardization(layer, epsilon)


WEIGHT = Norm(
    name="weight",
    build=_nothing_after,
    wrapper=_weight,
    cancels_bias=False,
    formula="w = gain * v / sqrt(sum(v^2) + epsilon), the sum per unit; wraps Dense or convolution",
    source="Salimans and Kingma 2016, arXiv:1602.07868; the gain starts at the initializer's scale",
    per_unit="gain",
    options={"epsilon": 1e-12},
)
WEIGHT_STANDARDIZATION = Norm(
    name="weight-standardization",
    build=_nothing_after,
    wrapper=_weight_standardization,
    cancels_bias=False,
    formula="w = gain * (v - mean) / sqrt(fan_in * variance + epsilon), moments per unit; wraps Dense or convolution",
    source="Qiao et al. 2019, arXiv:1903.10520, scaled as Brock, De, Smith 2021, arXiv:2101.08692 (epsilon 1e-4)",
    per_unit="gain",
    options={"epsilon": 1e-4},
)
DYT = Norm(
    name="dyt",
    build=_dyt,
    cancels_bias=False,
    formula="y = gamma * tanh(slope * x) + beta, one slope per layer",
    source="Zhu et al. 2025, arXiv:2503.10622 (the slope starts at 0.5)",
    per_unit="gamma, beta",
    options={"alpha": 0.5},
)
FRN = Norm(
    name="frn",
    build=_frn,
    cancels_bias=False,
    formula="y = max(gamma * x / sqrt(mean(x^2) + epsilon) + beta, tau), the mean over space per sample and channel",
    source="Singh and Krishnan 2019, arXiv:1911.09737 (epsilon 1e-6)",
    per_unit="gamma, beta, tau",
    options={"epsilon": 1e-6},
    replaces_activation=True,
    rules=(several_positions,),
)
EVO_S0 = Norm(
    name="evo-s0",
    build=_evo_s0,
    cancels_bias=False,
    formula="y = gamma * x * sigmoid(v * x) / sqrt(variance + epsilon) + beta, the variance over space and a group of "
    "channels",
    source="Liu, Brock, Simonyan, Le 2020, arXiv:2004.02967 (epsilon 1e-5; 32 groups there, 4 here)",
    per_unit="gamma, beta, v",
    options={"groups": 4, "epsilon": 1e-5},
    replaces_activation=True,
    rules=(spread_in_groups,),
)
