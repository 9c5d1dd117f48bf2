"""The user's arrays: parts, classes, scaling."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.data import load
from normlab.errors import InputError

RNG = np.random.default_rng(0)
X = RNG.normal(5, 3, (60, 4))
LABELS = np.arange(60) % 3


def _parts(**changes: np.ndarray) -> dict[str, np.ndarray]:
    arrays = {"x_train": X[:36], "y_train": LABELS[:36], "x_test": X[36:], "y_test": LABELS[36:]}
    return arrays | changes


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (LABELS, ("0", "1", "2")),
        (LABELS * 5 - 7, ("-7", "-2", "3")),
        (np.array(["b", "a", "c"])[LABELS], ("a", "b", "c")),
        (LABELS.astype(bool), ("False", "True")),
        (LABELS[:, None], ("0", "1", "2")),
        (LABELS.astype(np.uint8).tolist(), ("0", "1", "2")),
    ],
    ids=["indices", "from -7", "text", "booleans", "one column", "list"],
)
def test_labels_become_indices_of_sorted_classes(y: np.ndarray, classes: tuple[str, ...]) -> None:
    # The input carries the row number, so that every label can be traced.
    x = np.arange(60, dtype=np.float64)[:, None, None]
    dataset = load((x, y))
    assert dataset.task == "classification"
    assert dataset.classes == classes
    for part in dataset.parts.values():
        assert part.y.dtype == np.int32
        given = np.ravel(np.asarray(y))[part.x[:, 0, 0].astype(int)]
        assert [classes[index] for index in part.y] == [str(label) for label in given]
    rows = np.concatenate([part.x.ravel() for part in dataset.parts.values()])
    assert sorted(rows.tolist()) == list(range(60))


def test_tables_are_standardized_with_the_training_part() -> None:
    dataset = load((X, LABELS))
    assert dataset.columns == ("x0", "x1", "x2", "x3")
    np.testing.assert_allclose(dataset.train.x.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(dataset.train.x.std(axis=0), 1, atol=1e-5)
    assert abs(dataset.test.x.mean(axis=0)).max() > 0.01
    assert any("training part's means" in sentence for sentence in dataset.description)


def test_pixels_stay_and_other_images_are_taken_as_they_are() -> None:
    pixels = RNG.integers(0, 256, (60, 2, 2), dtype=np.uint8)
    dataset = load((pixels, LABELS))
    assert (dataset.train.x.dtype.name, dataset.divisor, dataset.columns) == ("uint8", 255.0, ())
    images = load((pixels / 255, LABELS))
    assert (images.train.x.dtype.name, images.divisor) == ("float32", 1.0)
    np.testing.assert_array_equal(images.train.x, (dataset.train.x / 255).astype(np.float32))
    assert load((pixels.reshape(60, 4), LABELS)).train.x.dtype.name == "uint8"


def test_regression_target_is_standardized_with_the_training_part() -> None:
    y = RNG.normal(100, 20, 60).astype(np.float32)
    x = np.arange(60, dtype=np.float64)[:, None, None]
    dataset = load((x, y))
    assert (dataset.task, dataset.classes, dataset.num_outputs) == ("regression", (), 1)
    train = y[dataset.train.x.ravel().astype(int)].astype(np.float64)
    assert dataset.target_mean == pytest.approx(train.mean())
    assert dataset.target_scale == pytest.approx(train.std())
    for part in dataset.parts.values():
        assert part.y.dtype == np.float32
        given = y[part.x.ravel().astype(int)]
        np.testing.assert_allclose(part.y * dataset.target_scale + dataset.target_mean, given, rtol=1e-5)


def test_given_parts_stay_and_validation_is_a_sixth_of_training() -> None:
    x = np.arange(60, dtype=np.float32).reshape(60, 1, 1)
    dataset = load(_parts(x_train=x[:36], x_test=x[36:]), split_seed=3)
    assert [len(part) for part in dataset.parts.values()] == [30, 6, 24]
    assert dataset.test.x.ravel().tolist() == list(range(36, 60))
    both = np.concatenate([dataset.train.x, dataset.validation.x]).ravel()
    assert sorted(both.tolist()) == list(range(36))
    assert np.bincount(dataset.validation.y).tolist() == [2, 2, 2]
    assert any("a sixth of the training part" in sentence for sentence in dataset.description)


@pytest.mark.parametrize("name", ["val", "validation"])
def test_given_validation_part_stays(name: str) -> None:
    x = X.reshape(60, 2, 2).astype(np.float32)
    arrays = {"x_train": x[:30], "y_train": LABELS[:30], "x_test": x[40:], "y_test": LABELS[40:]}
    dataset = load(arrays | {f"x_{name}": x[30:40], f"y_{name}": LABELS[30:40]})
    for part, rows in zip(dataset.parts.values(), (slice(30), slice(30, 40), slice(40, 60)), strict=True):
        assert np.array_equal(part.x, x[rows])
        assert np.array_equal(part.y, LABELS[rows])


def test_class_absent_from_the_test_part_is_refused() -> None:
    y_test = np.where(LABELS[36:] == 2, 0, LABELS[36:])
    with pytest.raises(InputError, match=r"every class must be in every part.*no sample of '2' in the test part"):
        load(_parts(y_test=y_test))


def test_the_callers_arrays_can_change_afterwards() -> None:
    x, y = X.reshape(60, 2, 2).astype(np.float32), LABELS.astype(np.int32)
    arrays = {"x_train": x[:30], "y_train": y[:30], "x_val": x[30:40], "y_val": y[30:40], "x_test": x[40:]}
    dataset = load(arrays | {"y_test": y[40:]})
    before = dataset.train.x.copy()
    x[:] = 0
    assert np.array_equal(dataset.train.x, before)


def test_name_and_seed() -> None:
    assert load((X, LABELS)).name == "arrays"
    assert load((X, LABELS), name="mine").name == "mine"
    assert load("wine", name="mine").name == "mine"
    assert load((X, LABELS)).hashes == load((X, LABELS)).hashes != load((X, LABELS), split_seed=1).hashes
