"""What is wrong with a study and its data is said before anything is trained."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from normlab.data import Dataset, Part
from normlab.errors import InputError
from normlab.study.checks import check, require_images
from normlab.study.design import make_study


def _dataset(num_train: int, task: str = "classification") -> Dataset:
    part = Part(np.zeros((num_train, 2), np.float32), np.zeros(num_train, np.int32))
    classes = ("a", "b") if task == "classification" else ()
    return Dataset("d", task, part, part, part, classes, 1.0, ())  # type: ignore[arg-type]


CASES = [
    (10, {"batch_size": 11}, r"at most the 10 samples of the training part, got 11; choose a smaller --batch-size"),
    (10, {"batch_size": 3}, r"batch norm \(arm batch\) .* got batch size 3 with a last batch of one \(10 samples\)"),
    (10, {"batch_size": 9}, r"batch size 9 with a last batch of one"),
    (10, {"batch_size": 1}, r"got batch size 1 with a batch of one"),
    (
        10,
        {"batch_size": 5, "augment": "flip"},
        r"unless inputs are images, .* got flip for inputs of shape \(2,\); leave",
    ),
    (10, {"batch_size": 5, "reach": 1.01}, r"reach must be an accuracy of at most 1, got 1\.01"),
]


@pytest.mark.parametrize(("num_train", "settings", "message"), CASES)
def test_a_study_that_cannot_run_is_refused(num_train: int, settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check(make_study(settings), _dataset(num_train))


def test_there_are_no_labels_to_smooth_in_a_regression() -> None:
    study = make_study({"batch_size": 5, "label_smoothing": 0.1})
    with pytest.raises(InputError, match=r"label_smoothing must be 0 for regression, .* got 0\.1; leave it out"):
        check(study, _dataset(10, "regression"))
    check(study, _dataset(10))


@pytest.mark.parametrize(
    ("shape", "are_images"), [((8, 8), True), ((8, 8, 3), True), ((8,), False), ((2, 3, 4, 5), False)]
)
def test_images_have_two_axes_and_perhaps_channels(shape: tuple[int, ...], are_images: bool) -> None:
    part = Part(np.zeros((10, *shape), np.float32), np.zeros(10, np.int32))
    dataset = Dataset("d", "classification", part, part, part, ("a", "b"), 1.0, ())
    study = make_study({"batch_size": 5, "augment": "crop"})
    if are_images:
        assert check(study, dataset) is None
    else:
        with pytest.raises(InputError, match="unless inputs are images"):
            check(study, dataset)


GOOD = [
    (10, {"batch_size": 10}, "classification"),
    (10, {"batch_size": 4}, "classification"),  # a last batch of two
    (10, {"batch_size": 3, "arms": ["none", {"norm": "none", "name": "again"}]}, "classification"),
    (10, {"batch_size": 1, "arms": ["none", {"norm": "none", "name": "again"}]}, "classification"),
    (10, {"batch_size": 5, "reach": 1.0}, "classification"),
    (10, {"batch_size": 5, "reach": 3.0}, "regression"),
]


@pytest.mark.parametrize(("num_train", "settings", "task"), GOOD)
def test_a_study_that_can_run_passes(num_train: int, settings: dict[str, object], task: str) -> None:
    dataset = _dataset(num_train, task)
    check(make_study(settings), dataset)
    assert len(dataset.train) == num_train


@pytest.mark.parametrize("num_train", range(2, 40))
def test_the_batch_size_suggested_is_accepted(num_train: int) -> None:
    for batch_size in range(1, num_train):
        study = make_study({"batch_size": batch_size})
        try:
            check(study, _dataset(num_train))
        except InputError as error:
            found = re.search(r"such as (\d+)\.", str(error))
            assert found
            check(make_study({"batch_size": int(found[1])}), _dataset(num_train))
        else:
            assert num_train % batch_size != 1
            assert batch_size > 1


def test_images_with_their_channels_first_are_not_augmented() -> None:
    last, first = (
        replace(_dataset(10), train=Part(np.zeros((10, *shape), np.uint8), np.zeros(10, np.int32)))
        for shape in ((4, 5, 3), (3, 4, 5))
    )
    require_images(make_study({"augment": "flip"}), last, last)
    require_images(make_study({}), last, first)
    with pytest.raises(InputError, match=r"channels first, got flip for inputs of shape \(3, 4, 5\); .* \(4, 5, 3\)"):
        require_images(make_study({"augment": "flip"}), last, first)
