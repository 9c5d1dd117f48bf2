"""What every source of data ends as: a `Dataset` of three parts of arrays."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

Task = Literal["classification", "regression"]
TASKS: tuple[Task, ...] = ("classification", "regression")
PART_NAMES = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Part:
    """One part of a data set; `len(part)` is its number of samples.

    Args:
        x: Inputs, `(n, *input_shape)`; uint8 for pixels, float32 for tables.
        y: `(n,)`; int32 class index, or float32 standardized with the training part's moments (regression).
    """

    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.x)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training, validation and test parts, and what the report says about them.

    Args:
        name: Short name, used in records and reports.
        task: What `y` holds.
        train: Part that moments and class names come from.
        validation: Part that settings are chosen on.
        test: Part that results are reported on.
        classes: Name of each class, in the order of its index; empty for regression.
        divisor: The training program computes `x / divisor` in float32: 255 for pixels, 16 for digits, 1 for tables.
        description: Short sentences: source, parts, preprocessing, missing values, licence.
        columns: Names of a table's input columns after one-hot encoding; empty for other inputs.
        target_mean: Regression: `y = (target - target_mean) / target_scale`.
        target_scale: See `target_mean`.
        notes: Sentences on what was inferred from the data and might be wrong, such as a separator, a column that was
            left out, or words that were read as missing values; empty for the named data sets.
    """

    name: str
    task: Task
    train: Part
    validation: Part
    test: Part
    classes: tuple[str, ...]
    divisor: float
    description: tuple[str, ...]
    columns: tuple[str, ...] = ()
    target_mean: float = 0.0
    target_scale: float = 1.0
    notes: tuple[str, ...] = ()

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample's input."""
        return self.train.x.shape[1:]

    @property
    def num_outputs(self) -> int:
        """Number of outputs a network needs: one per class, or 1 for regression."""
        return len(self.classes) or 1

    @property
    def parts(self) -> dict[str, Part]:
        """The three parts by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @cached_property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of each array, `{"train.x": hex, ...}`: its dtype, shape and bytes in C order."""
        arrays = {f"{name}.{field}": getattr(part, field) for name, part in self.parts.items() for field in ("x", "y")}
        return {name: _sha256(array) for name, array in arrays.items()}


def _sha256(array: np.ndarray) -> str:
    little_endian = array.dtype.newbyteorder("<")
    digest = hashlib.sha256(f"{little_endian.str} {array.shape} ".encode())
    digest.update(np.ascontiguousarray(array, dtype=little_endian).data)
    return digest.hexdigest()
