"""Targets: labels and quantities."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.data.targets import as_labels, class_indices, decide_task, require_finite_target, standardized_targets
from normlab.errors import InputError


@pytest.mark.parametrize(
    ("y", "task"),
    [
        (np.array([1]), "classification"),
        (np.array([1], dtype=np.uint8), "classification"),
        (np.array([True]), "classification"),
        (np.array(["a"]), "classification"),
        (np.array([1.0], dtype=np.float16), "regression"),
    ],
)
def test_task_follows_the_type(y: np.ndarray, task: str) -> None:
    assert decide_task(y, "y") == task


@pytest.mark.parametrize("y", [np.array([1j]), np.array([b"a"]), np.array(["2020-01-01"], dtype="datetime64[D]")])
def test_other_types_are_refused(y: np.ndarray) -> None:
    with pytest.raises(InputError, match="y must hold integers or text"):
        decide_task(y, "y")


@pytest.mark.parametrize(
    "values",
    [[0.0, 1.0], [-1.0, 1.0], [3.0, 5.0, 9.0], [*map(float, range(20))], [*map(float, range(100))]],
    ids=["two", "signs", "gaps", "twenty", "codes from 0 to 99"],
)
def test_few_whole_numbers_stored_as_floats_need_a_task(values: list[float]) -> None:
    y = np.array(values * 3)
    with pytest.raises(
        InputError, match=r"few whole numbers stored as floats, got \d+ values: .*--task classification or --task r"
    ):
        decide_task(y, "y")
    assert decide_task(y, "y", "regression") == "regression"
    assert decide_task(y, "y", "classification") == "classification"
    assert as_labels(y).dtype == np.int64


@pytest.mark.parametrize(
    "y",
    [
        np.arange(0.0, 42, 2).repeat(3),  # whole and beyond 20, but no codes
        np.array([0.0, 1.0, 2.0, 3.0]),  # fewer than three samples a value
        np.array([0.0, 0.5] * 9),
        np.array([2.0] * 9),
    ],
    ids=["many values", "few samples", "halves", "constant"],
)
def test_other_floats_are_a_quantity(y: np.ndarray) -> None:
    assert decide_task(y, "y") == "regression"


def test_text_is_no_quantity() -> None:
    with pytest.raises(InputError, match="y must hold numbers for task regression, got text"):
        decide_task(np.array(["a", "b"]), "y", "regression")
    assert decide_task(np.array([1, 2]), "y", "regression") == "regression"


def test_classes_are_those_of_the_training_part() -> None:
    labels = class_indices({"train": np.array([9, 2, 9]), "test": np.array([2, 9])}, "train", "y")
    assert labels.classes == ("2", "9")
    assert labels.parts["train"].tolist() == [1, 0, 1]
    assert labels.parts["test"].tolist() == [0, 1]
    with pytest.raises(InputError, match=r"class of the test part .* '7' at index 1, and 2 such samples"):
        class_indices({"train": np.array([1, 2]), "test": np.array([1, 7, 7])}, "train", "y")
    with pytest.raises(InputError, match=r"every class must be in every part.* no sample of '2' in the test part"):
        class_indices({"train": np.array([1, 2]), "test": np.array([1, 1])}, "train", "y")


@pytest.mark.parametrize(
    ("values", "message"),
    [([1.0, np.nan, np.inf], r"2 of 3 that are not, the first \(nan\) at index 1"), ([np.nan], "none that is finite")],
)
def test_targets_must_be_finite(values: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        require_finite_target(np.array(values), "y")


def test_moments_are_those_of_the_training_part() -> None:
    quantities = standardized_targets({"train": np.array([1.0, 3.0]), "test": np.array([4.0])}, "y")
    assert (quantities.mean, quantities.scale) == (2.0, 1.0)
    assert quantities.parts["test"].tolist() == [2.0]
    with pytest.raises(InputError, match=r"y must vary in the training part, got 0\.1 in all 3 samples"):
        standardized_targets({"train": np.full(3, 0.1)}, "y")
