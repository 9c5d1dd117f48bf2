"""Targets of arrays in their usual forms, a column, one-hot rows or bytes, to one value per sample."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from normlab.data.dataset import Task
from normlab.errors import InputError


class Target(NamedTuple):
    """One value per sample, `(n,)`, and what was inferred to get there; empty if nothing was."""

    values: np.ndarray
    note: str = ""


def one_value_each(y: np.ndarray, name: str, task: Task | None = None) -> Target:
    """Return a target with one value per sample.

    A column, `(n, 1)`, becomes `(n,)`. One-hot rows, `(n, k)` with one 1 among zeros in every row (integers, floats or
    booleans), become the index of the 1. Bytes become text, as UTF-8, or as Latin-1 where they are not.

    Args:
        y: The target as given.
        name: What it is called in errors.
        task: What the user asked for.

    Raises:
        InputError: Another shape, or rows that are not one-hot.
    """
    if y.dtype.kind == "S":
        return Target(*_decoded(_flat(y), name))
    if y.ndim == 2 and y.shape[1] > 1 and y.dtype.kind in "biuf":
        return Target(*_from_one_hot(y, name, task))
    flat = _flat(y)
    if flat.ndim != 1:
        raise InputError(
            f"{name} must have one value per sample", f"shape {y.shape}", "give one class or number per sample"
        )
    return Target(flat)


def _flat(y: np.ndarray) -> np.ndarray:
    """Return a single column without its second axis."""
    return y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y


def _from_one_hot(y: np.ndarray, name: str, task: Task | None) -> tuple[np.ndarray, str]:
    rule = f"{name} must have one value per sample, or one-hot rows"
    is_binary = bool(np.isin(y, (0, 1)).all())
    if task == "regression":
        raise InputError(rule, f"shape {y.shape} for task regression", "choose one column as the target")
    if not is_binary:
        raise InputError(rule, f"shape {y.shape} with other values than 0 and 1", _advice(y))
    ones = np.count_nonzero(y, axis=1)
    wrong = np.flatnonzero(ones != 1)
    if len(wrong):
        received = f"{len(wrong)} of {len(y)} rows without exactly one 1, the first at index {wrong[0]}"
        raise InputError(rule, received, "give one class per sample; several at once are not supported")
    note = f"{name} is one-hot, {y.shape[1]} columns: read as classes 0 to {y.shape[1] - 1}, the column of the 1."
    return y.argmax(axis=1), note


def _advice(y: np.ndarray) -> str:
    """Say what to do about rows of numbers: probabilities name their class by the largest."""
    are_shares = bool(np.isfinite(y).all()) and bool((y >= 0).all()) and np.allclose(y.sum(axis=1), 1.0, atol=1e-3)
    return "give the most probable class, y.argmax(axis=1)" if are_shares else "choose one column as the target"


def _decoded(y: np.ndarray, name: str) -> tuple[np.ndarray, str]:
    try:
        text, encoding = np.char.decode(y, "utf-8"), "UTF-8"
    except UnicodeDecodeError:
        text, encoding = np.char.decode(y, "latin-1"), "Latin-1"
    return text, f"{name} holds bytes: read as {encoding} text."
