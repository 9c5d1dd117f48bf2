"""Batch normalization by hand: output, moving statistics and gradients in NumPy's float64, as the paper writes them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# One value for all units, or one per unit.
Parameter = float | np.ndarray


class Example(NamedTuple):
    """The network of the example: a = relu(BN(z)), logits = a·head.

    `z` is (batch, units), `head` (units, outputs), `targets` (batch,): class numbers or values, as `task` says.
    """

    z: np.ndarray
    head: np.ndarray
    targets: np.ndarray
    task: str
    epsilon: float
    momentum: float


class Forward(NamedTuple):
    """What batch norm computes in training: `x_hat` and `y` (batch, units), the others (units,)."""

    mean: np.ndarray
    variance: np.ndarray
    scale: np.ndarray
    x_hat: np.ndarray
    y: np.ndarray


class Gradients(NamedTuple):
    """Gradients of the loss by gamma and beta, (units,), and by the layer's input z, (batch, units)."""

    gamma: np.ndarray
    beta: np.ndarray
    z: np.ndarray


def forward(z: np.ndarray, gamma: Parameter, beta: Parameter, epsilon: float) -> Forward:
    """Return y = gamma·x̂ + beta with x̂ = (z - m)/s and s = √(v + ε); m and v are moments over the batch."""
    mean = z.mean(axis=0)
    variance = ((z - mean) ** 2).mean(axis=0)
    scale = np.sqrt(variance + epsilon)
    x_hat = (z - mean) / scale
    return Forward(mean, variance, scale, x_hat, gamma * x_hat + beta)


def backward(g: np.ndarray, passed: Forward, gamma: Parameter) -> Gradients:
    """Return the gradients from g = ∂L/∂y, (batch, units), and from what the forward pass left.

    By gamma Σ g·x̂, by beta Σ g, by z gamma/s·(g - mean(g) - x̂·mean(g·x̂)): m and s depend on every sample.
    """
    x_hat = passed.x_hat
    grad_z = gamma / passed.scale * (g - g.mean(axis=0) - x_hat * (g * x_hat).mean(axis=0))
    return Gradients((g * x_hat).sum(axis=0), g.sum(axis=0), grad_z)


def moving_statistics(passed: Forward, momentum: float) -> np.ndarray:
    """Return the moving mean and variance after one step, (2, units); they start at 0 and 1."""
    start = np.array([[0.0], [1.0]])
    return momentum * start + (1 - momentum) * np.stack([passed.mean, passed.variance])


def evaluate(z: np.ndarray, moving: np.ndarray, gamma: Parameter, beta: Parameter, epsilon: float) -> np.ndarray:
    """Return the output in evaluation, where the moving statistics stand in for the batch's."""
    y: np.ndarray = gamma * (z - moving[0]) / np.sqrt(moving[1] + epsilon) + beta
    return y


def loss(example: Example, y: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the loss, the logits (batch, outputs) and ∂L/∂y (batch, units) for the norm's output `y`.

    The loss is the mean cross-entropy of the softmax, or half the mean squared error.
    """
    logits = np.maximum(y, 0.0) @ example.head
    if example.task == "regression":
        error = logits - example.targets[:, None]
        value, by_logits = (error**2).mean() / 2, error / len(y)
    else:
        target = np.eye(logits.shape[1])[example.targets]
        below_top = logits - logits.max(axis=1, keepdims=True)
        log_p = below_top - np.log(np.exp(below_top).sum(axis=1, keepdims=True))
        value, by_logits = -(target * log_p).sum(axis=1).mean(), (np.exp(log_p) - target) / len(y)
    return float(value), logits, (by_logits @ example.head.T) * (y > 0)
