"""Every norm in NumPy float64, written from its formula alone: what the layers are measured against.

A reference takes `Given` and returns the output and the statistics after the step. Where a layer stops a gradient, the
reference reckons that quantity at `at`, which finite differences hold still.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

Moved = dict[str, np.ndarray]


@dataclass(frozen=True)
class Given:
    """What a layer has before it: input, its variables by name, options, mode, and the mask or None."""

    x: np.ndarray
    w: Mapping[str, np.ndarray]
    options: Mapping[str, float]
    training: bool
    mask: np.ndarray | None
    at: np.ndarray  # the input at which stopped quantities are reckoned

    def follow(self, name: str, value: np.ndarray) -> np.ndarray:
        """Return a moving value after this step."""
        return self.options["momentum"] * self.w[name] + (1 - self.options["momentum"]) * value


def unmasked(x: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Return the entries that count, as rows of shape (entries, channels)."""
    return x.reshape(-1, x.shape[-1]) if mask is None else x[mask]


def none(g: Given) -> tuple[np.ndarray, Moved]:
    return g.x, {}


def batch(g: Given) -> tuple[np.ndarray, Moved]:
    mean, variance, moved = g.w["moving_mean"], g.w["moving_variance"], {}
    if g.training:
        rows = unmasked(g.x, g.mask)
        mean, variance = rows.mean(0), rows.var(0)
        moved = {"moving_mean": g.follow("moving_mean", mean), "moving_variance": g.follow("moving_variance", variance)}
    y = g.w["gamma"] * (g.x - mean) / np.sqrt(variance + g.options["epsilon"]) + g.w["beta"]
    return y, moved


def ghost(g: Given) -> tuple[np.ndarray, Moved]:
    if not g.training:
        return batch(g)
    size = int(g.options["ghost_batch_size"])
    outputs, means, variances, counts = [], [], [], []
    for start in range(0, len(g.x), size):
        part = g.x[start : start + size]
        rows = unmasked(part, None if g.mask is None else g.mask[start : start + size])
        means.append(rows.mean(0))
        variances.append(rows.var(0))
        counts.append(len(rows))
        outputs.append((part - means[-1]) / np.sqrt(variances[-1] + g.options["epsilon"]))
    moved = {
        "moving_mean": g.follow("moving_mean", np.average(means, axis=0, weights=counts)),
        "moving_variance": g.follow("moving_variance", np.average(variances, axis=0, weights=counts)),
    }
    return g.w["gamma"] * np.concatenate(outputs) + g.w["beta"], moved


def batch_renorm(g: Given) -> tuple[np.ndarray, Moved]:
    moving_mean, moving_deviation = g.w["moving_mean"], g.w["moving_deviation"]
    if not g.training:
        return g.w["gamma"] * (g.x - moving_mean) / moving_deviation + g.w["beta"], {}

    def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = unmasked(x, g.mask)
        return rows.mean(0), np.sqrt(rows.var(0) + g.options["epsilon"])

    def between(first: float, last: float) -> float:
        return float(np.clip((g.w["step"] - first) / max(last - first, 1), 0, 1))

    start = g.options["warm_up_steps"]
    r_bound = 1 + (g.options["r_max"] - 1) * between(start, g.options["r_steps"])
    d_bound = g.options["d_max"] * between(start, g.options["d_steps"])
    held_mean, held_deviation = moments(g.at)
    r = np.clip(held_deviation / moving_deviation, 1 / r_bound, r_bound)
    d = np.clip((held_mean - moving_mean) / moving_deviation, -d_bound, d_bound)
    mean, deviation = moments(g.x)
    moved = {
        "moving_mean": g.follow("moving_mean", mean),
        "moving_deviation": g.follow("moving_deviation", deviation),
        "step": g.w["step"] + 1,
    }
    return g.w["gamma"] * ((g.x - mean) / deviation * r + d) + g.w["beta"], moved


def scale_only(g: Given) -> tuple[np.ndarray, Moved]:
    variance, moved = g.w["moving_variance"], {}
    if g.training:
        variance = unmasked(g.x, g.mask).var(0)
        moved = {"moving_variance": g.follow("moving_variance", variance)}
    return g.w["gamma"] * g.x / np.sqrt(variance + g.options["epsilon"]), moved


def center_only(g: Given) -> tuple[np.ndarray, Moved]:
    mean, moved = g.w["moving_mean"], {}
    if g.training:
        mean = unmasked(g.x, g.mask).mean(0)
        moved = {"moving_mean": g.follow("moving_mean", mean)}
    return g.x - mean + g.w["beta"], moved


def frozen(g: Given) -> tuple[np.ndarray, Moved]:
    standing = {name: g.w[name] for name in ("moving_mean", "moving_variance")}
    by_batch = g.training and g.w["step"] < g.options["freeze_step"]
    y, moved = batch(Given(g.x, g.w, g.options, bool(by_batch), g.mask, g.at))
    return y, {**standing, **moved, "step": g.w["step"] + 1} if g.training else {}


def power(g: Given) -> tuple[np.ndarray, Moved]:
    square, moved = g.w["moving_square"], {}
    if g.training:
        of_batch, held = (np.square(unmasked(x, g.mask)).mean(0) for x in (g.x, g.at))
        moved = {"moving_square": g.follow("moving_square", of_batch), "step": g.w["step"] + 1}
        # After the warm-up the value is the moving one and the derivative the batch's.
        square = of_batch if g.w["step"] < g.options["warm_up_steps"] else square + (of_batch - held)
    return g.w["gamma"] * g.x / np.sqrt(square + g.options["epsilon"]) + g.w["beta"], moved


def layer(g: Given) -> tuple[np.ndarray, Moved]:
    mean, variance = g.x.mean(-1, keepdims=True), g.x.var(-1, keepdims=True)
    return g.w["gamma"] * (g.x - mean) / np.sqrt(variance + g.options["epsilon"]) + g.w["beta"], {}


def group(g: Given) -> tuple[np.ndarray, Moved]:
    return g.w["gamma"] * _in_groups(g.x, int(g.options["groups"]), g.options["epsilon"]) + g.w["beta"], {}


def instance(g: Given) -> tuple[np.ndarray, Moved]:
    return g.w["gamma"] * _in_groups(g.x, g.x.shape[-1], g.options["epsilon"]) + g.w["beta"], {}


def rms(g: Given) -> tuple[np.ndarray, Moved]:
    return g.w["scale"] * g.x / np.sqrt(np.square(g.x).mean(-1, keepdims=True) + g.options["epsilon"]), {}


def dyt(g: Given) -> tuple[np.ndarray, Moved]:
    return g.w["gamma"] * np.tanh(g.w["slope"] * g.x) + g.w["beta"], {}


def frn(g: Given) -> tuple[np.ndarray, Moved]:
    y = np.empty_like(g.x)
    for sample in range(len(g.x)):
        rows = unmasked(g.x[sample], None if g.mask is None else g.mask[sample])
        y[sample] = g.x[sample] / np.sqrt(np.square(rows).mean(0) + g.options["epsilon"])
    return np.maximum(g.w["gamma"] * y + g.w["beta"], g.w["tau"]), {}


def evo_s0(g: Given) -> tuple[np.ndarray, Moved]:
    y, size = np.empty_like(g.x), g.x.shape[-1] // int(g.options["groups"])
    for sample in range(len(g.x)):
        rows = unmasked(g.x[sample], None if g.mask is None else g.mask[sample]) if g.x.ndim > 2 else g.x[[sample]]
        for first in range(0, g.x.shape[-1], size):
            part = slice(first, first + size)
            x = g.x[sample][..., part]
            gate = x * (1 + np.tanh(g.w["v"][part] * x / 2)) / 2
            y[sample][..., part] = gate / np.sqrt(rows[:, part].var() + g.options["epsilon"])
    return g.w["gamma"] * y + g.w["beta"], {}


def weight(g: Given) -> tuple[np.ndarray, Moved]:
    v = g.w["kernel"]
    return g.x @ (g.w["gain"] * v / np.sqrt(np.square(v).sum(0) + g.options["epsilon"])) + g.w["bias"], {}


def weight_standardization(g: Given) -> tuple[np.ndarray, Moved]:
    v = g.w["kernel"] - g.w["kernel"].mean(0)
    scale = np.sqrt(len(v) * g.w["kernel"].var(0) + g.options["epsilon"])
    return g.x @ (g.w["gain"] * v / scale) + g.w["bias"], {}


def _in_groups(x: np.ndarray, groups: int, epsilon: float) -> np.ndarray:
    y, size = np.empty_like(x), x.shape[-1] // groups
    for sample in range(len(x)):
        for first in range(0, x.shape[-1], size):
            part = x[sample][..., first : first + size]
            y[sample][..., first : first + size] = (part - part.mean()) / np.sqrt(part.var() + epsilon)
    return y
