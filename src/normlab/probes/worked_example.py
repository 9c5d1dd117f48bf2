"""The worked example of batch normalization: each step by hand on one mini-batch, checked against Keras and JAX."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from normlab.errors import InputError, require_known
from normlab.probes import by_hand
from normlab.probes.against_keras import agreement, measure
from normlab.probes.by_hand import Example, Forward
from normlab.probes.redundant_bias import redundant_bias
from normlab.seeding import generator

TASKS = ("classification", "regression")
# The checks run at both pairs (gamma, beta): the start alone would hide a formula that forgets either of them.
START, OTHER = (1.0, 0.0), (1.5, 0.3)
# Beyond this size z squared leaves the range of float32.
LARGEST_Z = 1e18


def worked_example(
    kernel: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    *,
    num_outputs: int,
    task: Literal["classification", "regression"],
    epsilon: float = 1e-3,
    momentum: float = 0.99,
    num_units: int = 3,
    num_samples_shown: int = 6,
    seed: int = 0,
) -> dict[str, Any]:
    """Work batch norm through, forward and backward, in z = x·kernel, a = relu(BN(z)), logits = a·head.

    The loss is the mean cross-entropy, or half the mean squared error. The formulas are NumPy's float64, of z rounded
    to float32, so that Keras's layer gets the very same numbers. Source: Ioffe and Szegedy 2015, arXiv:1502.03167;
    the defaults of `epsilon` and `momentum` are Keras's.

    Args:
        kernel: (features, units), the initial values of the first Dense layer.
        x: (batch, features), the first mini-batch, scaled as for training.
        y: (batch,), class numbers or targets.
        num_outputs: Classes, or 1 for regression.
        task: `classification` or `regression`.
        epsilon: Added to the variance.
        momentum: Share of a moving statistic that one step keeps.
        num_units: Units shown, from the lowest to the highest mean among those that vary over the batch.
        num_samples_shown: So many of the batch's first samples are shown.
        seed: Of the head (Glorot and Bengio 2010, normal) and of the shift in the check of the bias.

    Returns:
        A dictionary that JSON can hold: the shown inputs, every intermediate, and `checks`, each with its largest
        difference (`absolute`; `relative` to the size of what is added up), the `tolerance` of the latter, and `ok`.

    Raises:
        InputError: For shapes, labels or settings for which batch norm or the loss is not defined.
    """
    kernel, x, y = np.asarray(kernel), np.asarray(x), np.asarray(y)
    _require_settings(task, num_outputs, epsilon, momentum, num_units, num_samples_shown)
    _require_arrays(kernel, x, y, num_outputs, task)
    z = _float32(x.astype(np.float64) @ kernel.astype(np.float64))
    if not (np.abs(z) < LARGEST_Z).all():
        raise InputError("x @ kernel must be finite and below 1e18", float(np.abs(z).max()), "scale the data")
    example = Example(z, _head(seed, z.shape[1], num_outputs), y, task, epsilon, momentum)
    return {
        "task": task,
        "seed": seed,
        "num_features": x.shape[1],
        "num_outputs": num_outputs,
        **_worked(example, seed, num_units, num_samples_shown),
    }


def _worked(example: Example, seed: int, num_units: int, num_samples_shown: int) -> dict[str, Any]:
    z, epsilon, momentum = example.z, example.epsilon, example.momentum
    units = _instructive_units(by_hand.forward(z, *START, epsilon), epsilon, num_units)
    moments, agreements = [], []
    for gamma, beta in (START, OTHER):
        g = by_hand.loss(example, by_hand.forward(z, gamma, beta, epsilon).y)[2]
        measured = measure(example, z, g, gamma, beta)
        moments.append(_moments(example, measured.y, gamma, beta, units))
        agreements.append(agreement(example, measured, gamma, beta))
    # Of the two settings the worse one stands in the table.
    checks = [max(pair, key=lambda row: (not row["ok"], row["relative"])) for pair in zip(*agreements, strict=True)]
    bias, bias_checks = redundant_bias(example, seed, units)
    checks += bias_checks
    return {
        "batch_size": z.shape[0],
        "width": z.shape[1],
        "epsilon": epsilon,
        "momentum": momentum,
        # Steps on this batch alone after which the moving mean has come half of the way from 0 to the batch's mean.
        "half_way_steps": 1 if momentum <= 0.5 else math.ceil(math.log(0.5) / math.log(momentum)),
        **_steps(example, units, min(num_samples_shown, len(z))),
        "moments": moments,
        "bias": bias,
        "checks": checks,
        "ok": all(row["ok"] for row in checks),
    }


def _steps(example: Example, units: list[int], num_samples: int) -> dict[str, Any]:
    """Return the loss and every intermediate at the start, for the shown units and samples."""
    gamma, beta = START
    passed = by_hand.forward(example.z, gamma, beta, example.epsilon)
    moving = by_hand.moving_statistics(passed, example.momentum)
    loss, _, g = by_hand.loss(example, passed.y)
    gradients = by_hand.backward(g, passed, gamma)
    by_unit = {
        "mean": passed.mean,
        "variance": passed.variance,
        "scale": passed.scale,
        "moving_mean": moving[0],
        "moving_variance": moving[1],
        "mean_g": g.mean(axis=0),
        "mean_g_x_hat": (g * passed.x_hat).mean(axis=0),
        "grad_gamma": gradients.gamma,
        "grad_beta": gradients.beta,
    }
    by_sample = {
        "z": example.z,
        "centered": example.z - passed.mean,
        "x_hat": passed.x_hat,
        "y_evaluation": by_hand.evaluate(example.z, moving, gamma, beta, example.epsilon),
        "g": g,
        "grad_z": gradients.z,
    }
    return {
        "loss": loss,
        "units": [{"unit": j, **{name: float(row[j]) for name, row in by_unit.items()}} for j in units],
        "samples": [
            {
                "index": i,
                "label": example.targets[i].item(),
                **{name: table[i, units].tolist() for name, table in by_sample.items()},
            }
            for i in range(num_samples)
        ],
    }


def _moments(example: Example, y: np.ndarray, gamma: float, beta: float, units: list[int]) -> dict[str, Any]:
    """Return the moments of Keras's output y, and the deviation to expect; the mean to expect is beta."""
    variance = by_hand.forward(example.z, gamma, beta, example.epsilon).variance
    return {
        "gamma": gamma,
        "beta": beta,
        "mean": y.mean(axis=0)[units].tolist(),
        "deviation": y.std(axis=0)[units].tolist(),
        "expected_deviation": (gamma * np.sqrt(variance / (variance + example.epsilon)))[units].tolist(),
    }


def _instructive_units(passed: Forward, epsilon: float, num_units: int) -> list[int]:
    """Choose units from the lowest to the highest mean; one that hardly varies over the batch has little to show."""
    by_variance = np.argsort(-passed.variance, kind="stable")
    num_varying = max(int((passed.variance > epsilon).sum()), min(num_units, len(by_variance)))
    varying = by_variance[:num_varying]
    ordered = varying[np.argsort(passed.mean[varying], kind="stable")]
    places = np.linspace(0, len(ordered) - 1, min(num_units, len(ordered))).round().astype(int)
    return [int(unit) for unit in ordered[places]]


def _head(seed: int, width: int, num_outputs: int) -> np.ndarray:
    deviation = math.sqrt(2 / (width + num_outputs))
    return _float32(generator(seed, "example", "head").normal(0.0, deviation, (width, num_outputs)))


def _float32(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32).astype(np.float64)


def _require_settings(
    task: str, num_outputs: int, epsilon: float, momentum: float, num_units: int, num_samples_shown: int
) -> None:
    require_known("task", task, TASKS)
    if task == "regression" and num_outputs != 1:
        raise InputError("num_outputs must be 1 for regression", num_outputs, "give 1, or task='classification'")
    if task == "classification" and num_outputs < 2:
        raise InputError("num_outputs must be at least 2 for classification", num_outputs, "give one per class")
    if not 0 < epsilon < math.inf:
        raise InputError("epsilon must be positive and finite", epsilon, "take Keras's default, 1e-3")
    if not 0 <= momentum < 1:
        raise InputError("momentum must be at least 0 and below 1", momentum, "take Keras's default, 0.99")
    for name, count in (("num_units", num_units), ("num_samples_shown", num_samples_shown)):
        if count < 1:
            raise InputError(f"{name} must be at least 1", count, "show at least one")


def _require_arrays(kernel: np.ndarray, x: np.ndarray, y: np.ndarray, num_outputs: int, task: str) -> None:
    if x.ndim != 2 or kernel.ndim != 2 or x.shape[1] != kernel.shape[0] or kernel.shape[1] < 1:
        shapes = f"{x.shape} and {kernel.shape}"
        raise InputError("x must be (batch, features) and kernel (features, units)", shapes, "flatten each sample")
    if len(x) < 2:
        raise InputError("batch size must be at least 2 for batch norm", len(x), "give a larger first mini-batch")
    if y.shape != x.shape[:1]:
        raise InputError("y must be (batch,), one label per sample of x", y.shape, "give one label per sample")
    if task == "regression":
        if not np.isfinite(y).all():
            raise InputError("targets must be finite", "nan or inf", "remove the samples without a target")
    elif not np.issubdtype(y.dtype, np.integer) or y.min() < 0 or y.max() >= num_outputs:
        received = f"{y.dtype} from {y.min()} to {y.max()}"
        raise InputError(f"labels must be integers from 0 to {num_outputs - 1}", received, "number the classes from 0")
