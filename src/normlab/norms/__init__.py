"""Normalization layers by name: one literal table. The layers themselves are in `normlab.norms.layers`."""

from __future__ import annotations

from normlab.errors import require_known
from normlab.norms.degenerate import check, check_model, fixes_mean_over_space, needs_several_samples
from normlab.norms.norm import Norm
from normlab.norms.of_batches import BATCH_RENORM, CENTER_ONLY, FROZEN, GHOST, NOISY, POWER, PRECISE, SCALE_ONLY
from normlab.norms.of_keras import BATCH, GROUP, INSTANCE, LAYER, NONE, RMS
from normlab.norms.of_samples import DYT, EVO_S0, FRN, WEIGHT, WEIGHT_STANDARDIZATION
from normlab.norms.own import own_norm

__all__ = [
    "NORMS",
    "Norm",
    "check",
    "check_model",
    "fixes_mean_over_space",
    "named_norm",
    "needs_several_samples",
    "own_norm",
]

NORMS = {
    "none": NONE,
    "batch": BATCH,
    "layer": LAYER,
    "group": GROUP,
    "instance": INSTANCE,
    "rms": RMS,
    "ghost": GHOST,
    "batch-renorm": BATCH_RENORM,
    "weight": WEIGHT,
    "weight-standardization": WEIGHT_STANDARDIZATION,
    "dyt": DYT,
    "frn": FRN,
    "evo-s0": EVO_S0,
    "scale-only": SCALE_ONLY,
    "center-only": CENTER_ONLY,
    "frozen": FROZEN,
    "precise": PRECISE,
    "noisy": NOISY,
    "power": POWER,
}


def named_norm(name: str) -> Norm:
    """Return the norm that a name in `NORMS`, or a reference FILE.py:NAME, stands for; the file then runs.

    Raises:
        InputError: For an unknown name, or as `own_norm`.
    """
    if ".py:" in name or name.endswith(".py"):
        return own_norm(name)
    require_known("norm", name, NORMS)
    return NORMS[name]
