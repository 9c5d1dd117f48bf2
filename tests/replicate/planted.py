"""Planted values of a replication: a mean per key, and a small spread over twelve seeds that the keys do not share."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

import numpy as np

from normlab.replicate.replication import Checked

Key = TypeVar("Key", bound=Hashable)


def planted(means: Mapping[Key, float], spread: float = 0.003) -> dict[Key, np.ndarray]:
    """Return the mean of every key plus noise of its own; shape (12,)."""
    rng = np.random.default_rng(0)
    return {key: mean + spread * rng.normal(size=12) for key, mean in means.items()}


def failing(figures: list[Checked]) -> set[int]:
    """Return the numbers of the figures that do not agree, counted from 0."""
    return {number for number, figure in enumerate(figures) if not figure.agrees}
