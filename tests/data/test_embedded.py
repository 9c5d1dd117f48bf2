"""The embedded data sets against scikit-learn's arrays."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import datasets

from normlab.data import DATASETS, Dataset, load

BUNCHES = {
    "digits": datasets.load_digits,
    "breast-cancer": datasets.load_breast_cancer,
    "wine": datasets.load_wine,
}


def _raw(name: str) -> tuple[np.ndarray, np.ndarray]:
    bunch = BUNCHES[name]()
    return (bunch.images if name == "digits" else bunch.data), bunch.target


def _whole(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    parts = dataset.parts.values()
    return np.concatenate([part.x for part in parts]), np.concatenate([part.y for part in parts])


@pytest.mark.parametrize("name", BUNCHES)
def test_parts_hold_every_sample_once(name: str) -> None:
    dataset, (x, y) = load(name), _raw(name)
    source = DATASETS[name]
    assert tuple(len(part) for part in dataset.parts.values()) == source.num_samples
    assert dataset.input_shape == source.input_shape
    assert dataset.classes == source.classes == tuple(str(label) for label in BUNCHES[name]().target_names)
    got_x, got_y = _whole(dataset)
    if name == "digits":
        assert (got_x.dtype.name, dataset.divisor) == ("uint8", 16.0)
    else:
        # Undo the standardization: it must be one affine map per column, that of the training part.
        assert (got_x.dtype.name, dataset.divisor, len(dataset.columns)) == ("float32", 1.0, x.shape[1])
        x = (x - x.mean(axis=0)) / x.std(axis=0)
        got_x = (got_x - got_x.mean(axis=0)) / got_x.std(axis=0)
    for label in range(dataset.num_outputs):
        expected, got = np.sort(x[y == label], axis=0), np.sort(got_x[got_y == label], axis=0)
        np.testing.assert_allclose(got, expected, atol=2e-5)


@pytest.mark.parametrize("name", ["breast-cancer", "wine"])
def test_moments_come_from_the_training_part(name: str) -> None:
    dataset = load(name)
    np.testing.assert_allclose(dataset.train.x.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(dataset.train.x.std(axis=0), 1, atol=1e-5)
    assert abs(_whole(dataset)[0].mean(axis=0)).max() > 1e-3


@pytest.mark.parametrize("name", BUNCHES)
def test_every_class_has_its_share_in_every_part(name: str) -> None:
    dataset = load(name)
    whole = np.bincount(_whole(dataset)[1])
    for part in (dataset.validation, dataset.test):
        assert np.bincount(part.y).tolist() == [round(0.2 * count) for count in whole]


def test_split_seed_changes_the_parts_and_nothing_else_does() -> None:
    first, same, other = load("wine"), load("wine", split_seed=0), load("wine", split_seed=1)
    assert first.hashes == same.hashes
    assert first.hashes["test.x"] != other.hashes["test.x"]
    assert any("split seed 1" in sentence for sentence in other.description)
