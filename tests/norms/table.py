"""The table of norms that drives the shared checks, and how a case becomes a layer with values."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from normlab.norms import NORMS, Norm, check
from normlab.norms.options import Value
from tests.norms import reference
from tests.norms.reference import Given, Moved

UNITS = 8
INPUTS = {"dense": (12, UNITS), "image": (6, 3, 3, UNITS), "sequence": (6, 5, UNITS)}
# Noise of amount zero leaves batch norm; the noise itself has a test of its own.
SILENT = {"mean_limit": 0.0, "scale_limit": 1.0, "mean_jitter": 0.0, "scale_jitter": 0.0}
# A value unlike the default for every option that does not add noise.
UNUSUAL = {
    "momentum": 0.7,
    "epsilon": 0.02,
    "groups": 2,
    "ghost_batch_size": 5,
    "r_max": 2.0,
    "d_max": 1.0,
    "warm_up_steps": 1,
    "r_steps": 30,
    "d_steps": 20,
    "freeze_step": 40,
    "alpha": 0.7,
}


@dataclass(frozen=True)
class Case:
    """A norm with options, the reference that it must equal, and the training step at which it stands."""

    norm: str
    reference: Callable[[Given], tuple[np.ndarray, Moved]]
    options: Mapping[str, Value] = field(default_factory=dict)
    step: int = 0
    masks: bool = True  # whether masked entries are left out of its moments


CASES = {
    "none": Case("none", reference.none),
    "batch": Case("batch", reference.batch),
    "layer": Case("layer", reference.layer),
    "group": Case("group", reference.group, masks=False),  # Keras's layer knows no mask
    "instance": Case("instance", reference.instance, masks=False),
    "rms": Case("rms", reference.rms),
    "ghost": Case("ghost", reference.ghost, {"ghost_batch_size": 3}),
    "ghost, a short one last": Case("ghost", reference.ghost, {"ghost_batch_size": 4}),
    "batch-renorm, warming up": Case("batch-renorm", reference.batch_renorm, step=7),
    "batch-renorm, bounds rising": Case(
        "batch-renorm", reference.batch_renorm, {"warm_up_steps": 2, "r_steps": 10, "d_steps": 80}, step=5
    ),
    "weight": Case("weight", reference.weight),
    "weight-standardization": Case("weight-standardization", reference.weight_standardization),
    "dyt": Case("dyt", reference.dyt),
    "frn": Case("frn", reference.frn),
    "evo-s0": Case("evo-s0", reference.evo_s0),
    "scale-only": Case("scale-only", reference.scale_only),
    "center-only": Case("center-only", reference.center_only),
    "frozen, moving": Case("frozen", reference.frozen, {"freeze_step": 3}, step=2),
    "frozen": Case("frozen", reference.frozen, {"freeze_step": 3}, step=3),
    "precise": Case("precise", reference.batch),
    "noisy, silent": Case("noisy", reference.batch, SILENT),
    "power, warming up": Case("power", reference.power, {"warm_up_steps": 3}, step=2),
    "power": Case("power", reference.power, {"warm_up_steps": 3}, step=3),
}


def norm_of(case: Case) -> Norm:
    return NORMS[case.norm].with_options(**case.options)


def serves(norm: Norm, shape: tuple[int, ...]) -> bool:
    """Return whether a norm can serve inputs of this shape, batch axis included."""
    try:
        check(norm, shape[1:], shape[0])
    except ValueError:
        return False
    return True


def places() -> list[tuple[str, str]]:
    """Return every case with every kind of input that its norm serves."""
    return [(name, kind) for name in CASES for kind, shape in INPUTS.items() if serves(norm_of(CASES[name]), shape)]


def layer_at(norm: Norm, name: str = "place") -> Any:
    """Return what a builder gets from a norm: the layer after, or a Dense with the norm on its weights."""
    import keras

    dense = keras.layers.Dense(UNITS, name=name)
    wrapped = norm.wrap(dense)
    return norm(name=name) if wrapped is dense else wrapped


def inputs(kind: str) -> np.ndarray:
    """Return float32 inputs whose units differ in mean and deviation."""
    draw = np.random.default_rng(1)
    means, deviations = draw.normal(size=UNITS), draw.uniform(0.5, 2, UNITS)
    return (means + deviations * draw.normal(size=INPUTS[kind])).astype(np.float32)


def mask_for(kind: str) -> np.ndarray | None:
    """Return a mask for sequences, of (samples, positions), that leaves at least two positions of every sample."""
    if kind != "sequence":
        return None
    mask = np.random.default_rng(2).uniform(size=INPUTS[kind][:-1]) < 0.6
    mask[:, :2] = True
    return mask


def starting_values(case: Case, layer: Any) -> list[np.ndarray]:
    """Return values for a built layer's variables that are unlike its initial ones."""
    draw = np.random.default_rng(3)
    return [_starting_value(v.name, tuple(v.shape), case.step, draw, np.asarray(v.value)) for v in layer.variables]


def _starting_value(name: str, shape: tuple[int, ...], step: int, draw: Any, initial: np.ndarray) -> np.ndarray:
    if name == "step":
        return np.asarray(step, np.int32)
    if name == "seed_generator_state":
        return initial
    if name in ("moving_variance", "moving_deviation", "moving_square"):
        return draw.uniform(0.3, 3, shape).astype(np.float32)
    if name in ("gamma", "scale", "gain", "slope", "v"):
        return (1 + 0.3 * draw.normal(size=shape)).astype(np.float32)
    return (0.4 * draw.normal(size=shape)).astype(np.float32)


def call(layer: Any, x: Any, training: bool, mask: Any = None) -> Any:
    """Call a layer, with the mask where it takes one."""
    takes_mask = mask is not None and "mask" in inspect.signature(layer.call).parameters
    return layer(x, training=training, **({"mask": mask} if takes_mask else {}))
