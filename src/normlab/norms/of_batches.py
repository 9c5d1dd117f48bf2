"""Our norms over the batch: kin and ablations of batch norm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from normlab.norms.degenerate import several_samples, several_samples_per_ghost
from normlab.norms.norm import Norm

if TYPE_CHECKING:
    import keras


def _ghost(name: str | None = None, *, ghost_batch_size: int, momentum: float, epsilon: float) -> keras.layers.Layer:
    from normlab.norms.ghost import GhostBatchNormalization

    return GhostBatchNormalization(ghost_batch_size, momentum, epsilon, name=name)


def _renorm(
    name: str | None = None,
    *,
    r_max: float,
    d_max: float,
    warm_up_steps: int,
    r_steps: int,
    d_steps: int,
    momentum: float,
    epsilon: float,
) -> keras.layers.Layer:
    from normlab.norms.renorm import BatchRenormalization

    return BatchRenormalization(r_max, d_max, warm_up_steps, r_steps, d_steps, momentum, epsilon, name=name)


def _scale_only(name: str | None = None, *, momentum: float, epsilon: float) -> keras.layers.Layer:
    from normlab.norms.scale_only import ScaleOnlyBatchNormalization

    return ScaleOnlyBatchNormalization(momentum, epsilon, name=name)


def _center_only(name: str | None = None, *, momentum: float) -> keras.layers.Layer:
    from normlab.norms.center_only import CenterOnlyBatchNormalization

    return CenterOnlyBatchNormalization(momentum, name=name)


def _frozen(name: str | None = None, *, freeze_step: int, momentum: float, epsilon: float) -> keras.layers.Layer:
    from normlab.norms.frozen import FrozenBatchNormalization

    return FrozenBatchNormalization(freeze_step, momentum, epsilon, name=name)


def _precise(name: str | None = None, *, momentum: float, epsilon: float) -> keras.layers.Layer:
    from normlab.norms.precise import PreciseBatchNormalization

    return PreciseBatchNormalization(momentum=momentum, epsilon=epsilon, name=name)


def _noisy(
    name: str | None = None,
    *,
    mean_limit: float,
    scale_limit: float,
    mean_jitter: float,
    scale_jitter: float,
    momentum: float,
    epsilon: float,
) -> keras.layers.Layer:
    from normlab.norms.noisy import NoisyBatchNormalization

    return NoisyBatchNormalization(
        mean_limit, scale_limit, mean_jitter, scale_jitter, momentum=momentum, epsilon=epsilon, name=name
    )


def _power(name: str | None = None, *, warm_up_steps: int, momentum: float, epsilon: float) -> keras.layers.Layer:
    from normlab.norms.power import PowerNormalization

    return PowerNormalization(warm_up_steps, momentum, epsilon, name=name)


GHOST = Norm(
    name="ghost",
    build=_ghost,
    cancels_bias=True,
    formula="batch norm over ghost batches: slices of ghost_batch_size samples, each with its own moments",
    source="Hoffer, Hubara, Soudry 2017, arXiv:1705.08741; 8 samples are ours (the paper: 128 of 4096)",
    per_unit="gamma, beta; moving mean and variance",
    couples_samples=True,
    differs_in_evaluation=True,
    options={"ghost_batch_size": 8, "momentum": 0.99, "epsilon": 1e-3},
    rules=(several_samples_per_ghost,),
)
BATCH_RENORM = Norm(
    name="batch-renorm",
    build=_renorm,
    cancels_bias=True,
    formula="y = gamma * ((x - mean) / deviation * r + d) + beta, r and d lead to the moving moments, clipped by a "
    "schedule",
    source="Ioffe 2017, arXiv:1702.03275 (r_max 3, d_max 5, momentum 0.99); schedule in its proportions, from step 100",
    per_unit="gamma, beta; moving mean and deviation",
    couples_samples=True,
    differs_in_evaluation=True,
    options={
        "r_max": 3.0,
        "d_max": 5.0,
        "warm_up_steps": 100,
        "r_steps": 800,
        "d_steps": 500,
        "momentum": 0.99,
        "epsilon": 1e-3,
    },
    rules=(several_samples,),
)
SCALE_ONLY = Norm(
    name="scale-only",
    build=_scale_only,
    cancels_bias=False,
    formula="y = gamma * x / sqrt(variance + epsilon), the variance over the mini-batch per unit",
    source="batch norm (arXiv:1502.03167) without mean and beta; momentum and epsilon are Keras's",
    per_unit="gamma; moving variance",
    couples_samples=True,
    differs_in_evaluation=True,
    options={"momentum": 0.99, "epsilon": 1e-3},
    rules=(several_samples,),
)
CENTER_ONLY = Norm(
    name="center-only",
    build=_center_only,
    cancels_bias=True,
    formula="y = x - mean + beta, the mean over the mini-batch per unit",
    source="Salimans and Kingma 2016, arXiv:1602.07868, section 4; momentum is Keras's",
    per_unit="beta; moving mean",
    couples_samples=True,
    differs_in_evaluation=True,
    options={"momentum": 0.99},
    rules=(several_samples,),
)
FROZEN = Norm(
    name="frozen",
    build=_frozen,
    cancels_bias=True,
    formula="batch norm for freeze_step steps, then its moving statistics, standing still, in training too",
    source="as in Mask R-CNN's fine-tuning, He et al. 2017, arXiv:1703.06870; step 100 and momentum 0.9 are ours",
    per_unit="gamma, beta; moving mean and variance",
    couples_samples=True,
    differs_in_evaluation=True,
    options={"freeze_step": 100, "momentum": 0.9, "epsilon": 1e-3},
    rules=(several_samples,),
)
PRECISE = Norm(
    name="precise",
    build=_precise,
    cancels_bias=True,
    formula="batch norm, evaluated with moments over the training set",
    source="Wu and Johnson 2021, arXiv:2105.07576; momentum and epsilon are Keras's",
    per_unit="gamma, beta; mean and variance of the training set",
    couples_samples=True,
    differs_in_evaluation=True,
    options={"momentum": 0.99, "epsilon": 1e-3},
    recomputes=True,
    rules=(several_samples,),
)
NOISY = Norm(
    name="noisy",
    build=_noisy,
    cancels_bias=True,
    formula="batch norm, then in training y * N(scale, jitter^2) + U(mean - jitter, mean + jitter), redrawn every step",
    source="Santurkar et al. 2018, arXiv:1805.11604, the control of section 2.1 (0.5, 1.25, 0.1, 0.1)",
    per_unit="gamma, beta; moving mean and variance",
    couples_samples=True,
    differs_in_evaluation=True,
    options={
        "mean_limit": 0.5,
        "scale_limit": 1.25,
        "mean_jitter": 0.1,
        "scale_jitter": 0.1,
        "momentum": 0.99,
        "epsilon": 1e-3,
    },
    rules=(several_samples,),
)
POWER = Norm(
    name="power",
    build=_power,
    cancels_bias=False,
    formula="y = gamma * x / sqrt(square + epsilon) + beta, the moving mean of x^2 per unit, with the batch's gradient",
    source="Shen et al. 2020, arXiv:2003.07845 (momentum 0.9, epsilon 1e-5), backward simplified; warm-up 100 is ours",
    per_unit="gamma, beta; moving mean square",
    couples_samples=True,
    differs_in_evaluation=True,
    options={"warm_up_steps": 100, "momentum": 0.9, "epsilon": 1e-5},
    rules=(several_samples,),
)
