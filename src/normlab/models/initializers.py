"""Initializers of kernels by name; each is Keras's own of that name."""

from __future__ import annotations

INITIALIZERS = (
    "he_normal",
    "he_uniform",
    "glorot_normal",
    "glorot_uniform",
    "lecun_normal",
    "lecun_uniform",
    "orthogonal",
)
