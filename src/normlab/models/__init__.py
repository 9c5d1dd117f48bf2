"""Networks by name: one literal table of builders, each taking a norm."""

from __future__ import annotations

from normlab.models.mlp import check_mlp, mlp
from normlab.models.network import Network

__all__ = ["MODELS", "Network", "mlp"]

MODELS = {
    "mlp": Network("Dense layers over the flattened input", mlp, check_mlp),
}
