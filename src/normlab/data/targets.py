"""Targets of the user's data: class labels to indices, quantities to standardized numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from normlab.data.dataset import Task
from normlab.data.scaling import Moments, standardize, training_moments
from normlab.errors import InputError

# A whole-numbered float target of no more distinct values can hold classes.
_FEW_VALUES = 20
_FEWEST_OF_A_CLASS = 3


class Labels(NamedTuple):
    """Class index of every row per part (int32), and the classes' names."""

    parts: dict[str, np.ndarray]
    classes: tuple[str, ...]


class Quantities(NamedTuple):
    """Standardized target of every row per part (float32), and the training part's moments."""

    parts: dict[str, np.ndarray]
    mean: float
    scale: float


def decide_task(y: np.ndarray, name: str, task: Task | None = None) -> Task:
    """Return the task that was asked for, if the target allows it; without one, what the values say.

    Integers, booleans and text are classes, floats a quantity. Whole-numbered floats with few values can be either and
    are refused until `task` says which: few are at most 20 distinct values, or the codes 0 to k - 1 or 1 to k, with at
    least 3 samples a value on average.

    Args:
        y: `(n,)`, without missing values; of several parts, the training part's.
        name: What the target is called in errors.
        task: What the user asked for.

    Raises:
        InputError: Another dtype, a target that fits either task, or text where a quantity was asked for.
    """
    if y.dtype.kind not in "biufUT":
        raise InputError(
            f"{name} must hold integers or text (classes) or floats (regression)",
            f"dtype {y.dtype}",
            "convert it, for example with y.astype(str) or y.astype(float)",
        )
    if task == "regression" and y.dtype.kind in "UT":
        raise InputError(f"{name} must hold numbers for task regression", "text", "choose task classification")
    if task is not None:
        return task
    if y.dtype.kind != "f":
        return "classification"
    values = np.unique(y[np.isfinite(y)])
    if _are_codes(values, len(y)):
        shown = ", ".join(f"{value:g}" for value in values[:5]) + (", ..." if len(values) > 5 else "")
        raise InputError(
            f"the task must be given where {name} holds few whole numbers stored as floats",
            f"{len(values)} values: {shown}",
            "choose --task classification or --task regression",
        )
    return "regression"


def _are_codes(values: np.ndarray, num_samples: int) -> bool:
    """Whether sorted distinct floats can be codes of classes: whole numbers, few or counting from 0 or 1."""
    num_values = len(values)
    if not 2 <= num_values <= num_samples / _FEWEST_OF_A_CLASS or (values != np.round(values)).any():
        return False
    counts_up = values[0] in (0, 1) and values[-1] - values[0] == num_values - 1
    return num_values <= _FEW_VALUES or counts_up


def as_labels(y: np.ndarray) -> np.ndarray:
    """Labels of classes: whole-numbered floats become integers, so that class 1.0 is called 1; others stay."""
    is_whole = y.dtype.kind == "f" and bool(np.isfinite(y).all()) and bool((y == np.round(y)).all())
    return y.astype(np.int64) if is_whole and np.abs(y).max(initial=0) < 2**53 else y


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
