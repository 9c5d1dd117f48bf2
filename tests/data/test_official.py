"""MNIST and CIFAR-10 from the real files: hashes, splits, and figures known from elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from normlab.data import DATASETS, check, load
from normlab.errors import InputError


def test_mnist_split_and_known_figures(shared_data: Path) -> None:
    mnist = load("mnist", data_dir=shared_data)
    assert tuple(len(part) for part in mnist.parts.values()) == DATASETS["mnist"].num_samples
    assert mnist.input_shape == DATASETS["mnist"].input_shape
    assert (mnist.divisor, mnist.num_outputs, mnist.train.x.dtype.name) == (255.0, 10, "uint8")
    # The official order begins with these labels; the first 5,000 are validation.
    assert mnist.validation.y[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert mnist.test.y[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert mnist.train.y.dtype == np.int32
    # The mean and deviation of the 60,000 training images that are used everywhere.
    pixels = np.concatenate([mnist.validation.x, mnist.train.x]) / np.float32(255)
    assert (round(float(pixels.mean()), 4), round(float(pixels.std()), 4)) == (0.1307, 0.3081)


def test_cifar_split_and_known_figures(shared_data: Path) -> None:
    cifar = load("cifar10", data_dir=shared_data)
    assert tuple(len(part) for part in cifar.parts.values()) == DATASETS["cifar10"].num_samples
    assert cifar.input_shape == DATASETS["cifar10"].input_shape
    assert (cifar.divisor, cifar.num_outputs, cifar.train.x.dtype.name) == (255.0, 10, "uint8")
    assert [cifar.classes[label] for label in cifar.train.y[:5]] == ["frog", "truck", "truck", "deer", "automobile"]
    assert [cifar.classes[label] for label in cifar.test.y[:4]] == ["cat", "ship", "ship", "airplane"]
    assert cifar.train.x[0, 0, 0].tolist() == [59, 62, 63]
    # Every class has 5,000 training and 1,000 test images.
    official = np.bincount(cifar.train.y) + np.bincount(cifar.validation.y)
    assert official.tolist() == [5000] * 10
    assert np.bincount(cifar.test.y).tolist() == [1000] * 10
    # Channel means over the 50,000 training images, used everywhere.
    sums = sum(part.x.sum(axis=(0, 1, 2), dtype=np.int64) for part in (cifar.train, cifar.validation))
    assert (sums / (255 * 50_000 * 1024)).round(4).tolist() == [0.4914, 0.4822, 0.4465]


def test_folder_of_the_files_themselves_serves_too(shared_data: Path) -> None:
    rows = check("mnist", data_dir=shared_data / "mnist")
    assert [row.ok for row in rows] == [True] * 4


def test_files_of_another_data_set_are_recognized(shared_data: Path) -> None:
    with pytest.raises(InputError, match=r"\(the file of mnist\); give the data set a folder of its own"):
        load("fashion-mnist", data_dir=shared_data / "mnist")
