"""Why a bias before batch normalization is redundant: a constant added to z, and what comes out of it, measured."""

from __future__ import annotations

from typing import Any

import numpy as np

from normlab.probes import by_hand
from normlab.probes.against_keras import check, measure, rounding
from normlab.probes.by_hand import Example
from normlab.seeding import generator


def redundant_bias(example: Example, seed: int, units: list[int]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Add a constant δ to z, one per unit and of the size of its deviation, as a bias would.

    At gamma = 1 and beta = 0, with Keras's layer in float32. Without batch norm the network is relu(z)·head.

    Returns:
        The figures, in the unit of the quantity that changes (`shift` for the shown `units`, all others the largest
        over the batch and all units), and the two checks: the output does not move, and ∂L/∂b = Σ ∂L/∂z vanishes.
    """
    z, epsilon = example.z, example.epsilon
    passed = by_hand.forward(z, 1.0, 0.0, epsilon)
    g = by_hand.loss(example, passed.y)[2]
    shift = generator(seed, "example", "shift").normal(size=z.shape[1]) * passed.scale
    z_shifted = (z + shift).astype(np.float32).astype(np.float64)
    plain, shifted = measure(example, z, g, 1.0, 0.0), measure(example, z_shifted, g, 1.0, 0.0)
    change = shifted.y - plain.y
    moving = by_hand.moving_statistics(passed, example.momentum)
    in_evaluation = [by_hand.evaluate(inputs, moving, 1.0, 0.0, epsilon) for inputs in (z, z_shifted)]
    gradient = plain.gradients.z.sum(axis=0)
    _, logits_without, g_without = by_hand.loss(example, z)
    figures = {
        "shift": shift[units].tolist(),
        "largest_shift": _largest(shift),
        "change_output": _largest(change),
        "change_logits": _largest(by_hand.loss(example, shifted.y)[1] - by_hand.loss(example, plain.y)[1]),
        "change_logits_without": _largest(by_hand.loss(example, z_shifted)[1] - logits_without),
        "change_evaluation": _largest(in_evaluation[1] - in_evaluation[0]),
        "gradient": _largest(gradient),
        "gradient_without": _largest(g_without.sum(axis=0)),
    }
    # Both outputs carry the rounding of their own input.
    tolerance = rounding(z, passed.scale)
    both = tolerance + rounding(z_shifted, passed.scale)
    size, flow = max(1.0, _largest(plain.y)), _largest(np.abs(g / passed.scale).sum(axis=0))
    return figures, [
        check("BN(z + δ) = BN(z)", "Keras's layer on z + δ and on z", change, size, both),
        check("∂L/∂b = Σ ∂L/∂z = 0", "jax.grad through Keras's layer", gradient, flow, tolerance),
    ]


def _largest(values: np.ndarray) -> float:
    return float(np.abs(values).max())
