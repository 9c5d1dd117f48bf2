"""Orders of samples: every sample once, likes together or apart, the same for equal seeds."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from normlab.claims.orders import orders_of

NAMES = ("shuffled", "fixed", "sorted", "pairs", "mended")


def _orders(y: np.ndarray, task: str = "classification"):
    return orders_of(SimpleNamespace(task=task, train=SimpleNamespace(y=y)), 4)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_every_sample_comes_once(name: str, task: str) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(7, size=101) if task == "classification" else rng.normal(size=101)
    order = _orders(y, task)[name]
    assert sorted(order(3, 1, 101)) == list(range(101))
    assert np.array_equal(order(3, 1, 101), order(3, 1, 101))
    is_given = (name in ("sorted", "mended"), task) == (True, "regression")  # no two targets are equal
    assert np.array_equal(order(3, 1, 101), order(4, 1, 101)) == is_given
    assert np.array_equal(order(3, 0, 101), order(3, 1, 101)) == (name == "fixed" or is_given)


def test_sorted_samples_are_sorted() -> None:
    y = np.random.default_rng(0).integers(5, size=60)
    assert (np.diff(y[_orders(y)["sorted"](0, 0, 60)]) >= 0).all()


def test_samples_are_sorted_in_the_first_half_of_the_epochs_and_then_shuffled() -> None:
    orders = _orders(np.random.default_rng(0).integers(5, size=60))
    for epoch in range(4):
        as_one = orders["sorted" if epoch < 2 else "shuffled"]
        assert np.array_equal(orders["mended"](0, epoch, 60), as_one(0, epoch, 60))


def test_a_batch_of_32_holds_16_classes_by_2() -> None:
    y = np.repeat(np.arange(20), 8)
    for first in range(0, 160 - 39, 40):  # a round of 20 classes by 2
        batch = y[_orders(y)["pairs"](0, 2, 160)][first : first + 32]
        assert (np.unique(batch, return_counts=True)[1] == 2).all()
        assert (batch[::2] == batch[1::2]).all()


def test_with_ten_classes_the_batch_is_filled_from_the_next_round() -> None:
    y = np.repeat(np.arange(10), 16)
    batch = y[_orders(y)["pairs"](0, 2, 160)][:32]
    assert (np.unique(batch[:20], return_counts=True)[1] == 2).all()
    assert sorted(np.unique(batch, return_counts=True)[1]) == [2] * 4 + [4] * 6


def test_what_is_left_of_a_class_comes_as_one() -> None:
    y = np.array([0, 0, 0, 1, 1])
    found = y[_orders(y)["pairs"](0, 0, 5)].tolist()
    assert found in ([0, 0, 1, 1, 0], [1, 1, 0, 0, 0])


def test_pairs_of_a_regression_are_near() -> None:
    targets = np.random.default_rng(0).permutation(160).astype(float)
    batch = targets[_orders(targets, "regression")["pairs"](0, 0, 160)][:32]
    assert sorted((batch // 10).tolist()) == sorted([*range(16)] * 2)
