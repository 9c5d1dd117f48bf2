"""Standardization of columns with the training part's moments."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from normlab.errors import InputError


class Moments(NamedTuple):
    """Mean and scale of each column, float64."""

    mean: np.ndarray
    scale: np.ndarray


def training_moments(train: np.ndarray) -> Moments:
    """Mean and standard deviation (divided by n) over the rows of `(n, columns)`; a constant column has scale 1.

    A column is constant when its smallest and largest value agree: its computed deviation can be a rounding error.
    """
    values = np.asarray(train, dtype=np.float64)
    constant = values.min(axis=0) == values.max(axis=0)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.where(constant, values[0], values.mean(axis=0))
        scale = np.where(constant, 1.0, values.std(axis=0))
    return Moments(mean, scale)


def standardize(values: np.ndarray, moments: Moments, names: tuple[str, ...]) -> np.ndarray:
    """`(values - mean) / scale` per column, computed in float64, returned as float32.

    Args:
        values: `(n, columns)`.
        moments: From the training part.
        names: Names of the columns, for the error.

    Raises:
        InputError: A result is not finite in float32, because the column's values are too large or too small.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        scaled = (np.asarray(values, dtype=np.float64) - moments.mean) / moments.scale
        result: np.ndarray = scaled.astype(np.float32)
    # An infinite scale would turn every value into 0.
    finite = np.isfinite(result) & np.isfinite(moments.mean) & np.isfinite(moments.scale)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise InputError(
            f"column {names[column]!r} must be standardizable in float32",
            f"the value {np.asarray(values)[row, column]!s} with mean {moments.mean[column]:g} "
            f"and scale {moments.scale[column]:g}",
            "rescale the column or remove its outliers",
        )
    return result
