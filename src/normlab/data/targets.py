"""Targets of the user's data: class labels to indices, quantities to standardized numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from normlab.data.dataset import Task
from normlab.data.scaling import Moments, standardize, training_moments
from normlab.errors import InputError


class Labels(NamedTuple):
    """Class index of every row per part (int32), and the classes' names."""

    parts: dict[str, np.ndarray]
    classes: tuple[str, ...]


class Quantities(NamedTuple):
    """Standardized target of every row per part (float32), and the training part's moments."""

    parts: dict[str, np.ndarray]
    mean: float
    scale: float


def task_of(y: np.ndarray, name: str) -> Task:
    """Classification for integers, booleans and text, regression for floats.

    Raises:
        InputError: Another dtype.
    """
    if y.dtype.kind in "biuUT":
        return "classification"
    if y.dtype.kind == "f":
        return "regression"
    raise InputError(
        f"{name} must hold integers or text (classes) or floats (regression)",
        f"dtype {y.dtype}",
        "convert it, for example with y.astype(str) or y.astype(float)",
    )


def class_indices(parts: dict[str, np.ndarray], reference: str, name: str) -> Labels:
    """Map labels to their index among the sorted distinct labels of the reference part.

    Args:
        parts: Labels of each part.
        reference: The part whose labels are the classes: the training part, or the whole.
        name: What the target is called in errors.

    Raises:
        InputError: One class only, or a label outside the reference part.
    """
    labels = np.unique(parts[reference])
    if len(labels) < 2:
        raise InputError(
            f"{name} must hold at least 2 classes", f"only {str(labels[0])!r}", "give data with two or more classes"
        )
    indices = {}
    for part, values in parts.items():
        unknown = np.flatnonzero(~np.isin(values, labels))
        if len(unknown):
            raise InputError(
                f"every class of the {part} part must also be in the training part",
                f"{str(values[unknown[0]])!r} at index {unknown[0]}, and {len(unknown)} such samples in all",
                "add samples of this class to the training part or remove it",
            )
        absent = np.setdiff1d(labels, values)
        if len(absent):
            raise InputError(
                "every class must be in every part, so that each part measures the same",
                f"no sample of {str(absent[0])!r} in the {part} part",
                "add some there, or give data without parts and let normlab split them",
            )
        indices[part] = np.searchsorted(labels, values).astype(np.int32)
    return Labels(indices, tuple(str(label) for label in labels))


def require_finite_target(values: np.ndarray, name: str) -> None:
    """Raise `InputError` unless every value of a regression target is finite."""
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong) == len(values):
        raise InputError(f"{name} must hold finite numbers", "none that is finite", "choose another target")
    if len(wrong):
        raise InputError(
            f"{name} must hold finite numbers",
            f"{len(wrong)} of {len(values)} that are not, the first ({values[wrong[0]]}) at index {wrong[0]}",
            "correct or remove these samples",
        )


def standardized_targets(parts: dict[str, np.ndarray], name: str) -> Quantities:
    """`(target - mean) / scale` with the moments of `parts["train"]`.

    Raises:
        InputError: The training part's target is constant.
    """
    train = parts["train"].astype(np.float64)
    if train.min() == train.max():
        raise InputError(
            f"{name} must vary in the training part",
            f"{train[0]:g} in all {len(train)} samples",
            "choose another target",
        )
    moments: Moments = training_moments(train[:, None])
    scaled = {part: standardize(values[:, None], moments, (name,))[:, 0] for part, values in parts.items()}
    return Quantities(scaled, float(moments.mean[0]), float(moments.scale[0]))
