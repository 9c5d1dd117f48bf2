"""Randomness as an argument: (seed, purpose, path) gives a generator or a key, always the same one.

Nothing here keeps state, so what a run draws never depends on what was drawn before it, on which runs it shares a
program with, or on whether it was resumed.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import jax

MAX_SEED = 2**31 - 1


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """Return a NumPy generator for `purpose` under `seed`, for example `generator(0, "order", 3)`."""
    return np.random.default_rng([seed, *_words(purpose)])


def key(seed: int | jax.Array, *purpose: str | int) -> jax.Array:
    """Return a JAX key for `purpose` under `seed`, for example `key(0, "init", "dense_0/kernel")`.

    `seed` may be traced, so one compiled program serves every seed.
    """
    import jax

    folded = jax.random.key(seed)
    for word in _words(purpose):
        folded = jax.random.fold_in(folded, word)
    return folded


def _words(purpose: tuple[str | int, ...]) -> tuple[int, int]:
    """Hash a purpose to two 32-bit words: short, and equal on every platform."""
    digest = hashlib.sha256("\x1f".join(map(str, purpose)).encode()).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")
