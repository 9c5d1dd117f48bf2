"""Paired differences: their validation, and what counts as equal up to rounding."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

ROUNDING = 1e-10
"""Numbers nearer than this share of their scale count as equal.

Differences of two accuracies carry rounding errors of about 1e-16; against a difference of 1e-4 that is 1e-12.
"""


def checked_vector(numbers: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return `numbers` as a float vector of shape (n,), n >= 1.

    Raises:
        ValueError: If there is not exactly one axis, no number, or one that is not finite.
    """
    vector = np.asarray(numbers, dtype=np.float64)
    if vector.ndim != 1 or vector.size == 0:
        raise ValueError(f"{name} must have one axis and at least one number, got shape {vector.shape}.")
    require_finite(vector, name)
    return vector


def checked_pair(values: ArrayLike, baseline_values: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both as float vectors of the same shape (n,), n >= 1.

    Raises:
        ValueError: As `checked_vector`, or if the shapes differ.
    """
    arm, baseline = checked_vector(values, "values"), checked_vector(baseline_values, "baseline_values")
    if arm.shape != baseline.shape:
        raise ValueError(f"values and baseline_values must pair up, got shapes {arm.shape} and {baseline.shape}.")
    return arm, baseline


def checked_rows(numbers: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return `numbers` as a float array of shape (studies, n), n >= 1.

    Raises:
        ValueError: If there are not exactly two axes, no pairs, or a number that is not finite.
    """
    rows = np.asarray(numbers, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise ValueError(f"{name} must have shape (studies, pairs) with at least one pair, got shape {rows.shape}.")
    require_finite(rows, name)
    return rows


def require_finite(numbers: NDArray[np.float64], name: str) -> None:
    """Raise ValueError if one of `numbers` is infinite or NaN."""
    num_bad = int(np.count_nonzero(~np.isfinite(numbers)))
    if num_bad:
        raise ValueError(
            f"{name} must be finite, got {num_bad} of {numbers.size} that are not; restrict or cap them first."
        )


def require_level(level: float, name: str) -> None:
    """Raise ValueError unless `level` lies strictly between 0 and 1."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"{name} must lie strictly between 0 and 1, got {level!r}.")


def require_margin(margin: float) -> None:
    """Raise ValueError unless `margin` is finite and not negative."""
    if not (np.isfinite(margin) and margin >= 0.0):
        raise ValueError(f"margin must be finite and not negative, got {margin!r}.")


def all_equal(differences: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether the differences along the last axis are equal up to rounding; shape (...,)."""
    spread = np.ptp(differences, axis=-1)
    equal: NDArray[np.bool_] = spread <= ROUNDING * np.max(np.abs(differences), axis=-1)
    return equal
