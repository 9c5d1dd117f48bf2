"""Networks by name: one literal table of builders, each taking a norm."""

from __future__ import annotations

from normlab.models.mlp import mlp

__all__ = ["MODELS", "mlp"]

MODELS = {"mlp": mlp}
