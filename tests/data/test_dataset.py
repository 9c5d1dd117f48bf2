"""Dataset: derived properties and hashes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from normlab.data import Dataset, Part


def _dataset(x: np.ndarray, classes: tuple[str, ...] = ("a", "b")) -> Dataset:
    part = Part(x, np.zeros(len(x), dtype=np.int32))
    return Dataset("d", "classification", part, part, part, classes, 1.0, ())


def test_shape_outputs_and_length() -> None:
    dataset = _dataset(np.zeros((5, 4, 3), dtype=np.uint8))
    assert dataset.input_shape == (4, 3)
    assert len(dataset.train) == 5
    assert dataset.num_outputs == 2
    assert dataclasses.replace(dataset, classes=()).num_outputs == 1
    assert list(dataset.parts) == ["train", "validation", "test"]


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (np.arange(12, dtype=np.float32).reshape(3, 4), True),
        (np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4)), True),
        (np.arange(12, dtype=">f4").reshape(3, 4), True),
        (np.arange(12, dtype=np.float32).reshape(4, 3), False),
        (np.arange(12, dtype=np.int32).reshape(3, 4), False),
        (np.arange(12, dtype=np.float32).reshape(3, 4) + 1, False),
    ],
    ids=["equal", "memory order", "byte order", "shape", "dtype", "value"],
)
def test_hashes_tell_shape_dtype_and_values_but_not_layout(other: np.ndarray, same: bool) -> None:
    first = _dataset(np.arange(12, dtype=np.float32).reshape(3, 4)).hashes
    second = _dataset(other).hashes
    assert set(first) == {f"{part}.{field}" for part in ("train", "validation", "test") for field in ("x", "y")}
    assert (first["train.x"] == second["train.x"]) is same
    assert len(first["train.x"]) == 64
