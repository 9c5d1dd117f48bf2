"""Splits: disjoint, complete, stratified, reproducible."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.data.splits import hold_out, permutation, split_three
from normlab.errors import InputError

# Sizes of classes, in one place: many, few, and the fewest that can be split.
SIZES = [(50, 30, 20), (3, 4, 5), (1000, 3)]


def _labels(sizes: tuple[int, ...]) -> np.ndarray:
    return np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)


@pytest.mark.parametrize("sizes", SIZES)
def test_three_parts_hold_every_row_once_and_every_class(sizes: tuple[int, ...]) -> None:
    labels = _labels(sizes)
    split = split_three(len(labels), labels, tuple("abc")[: len(sizes)], seed=4)
    assert sorted(np.concatenate(split).tolist()) == list(range(len(labels)))
    for index, size in enumerate(sizes):
        counts = [np.count_nonzero(labels[rows] == index) for rows in split]
        expected = max(1, round(0.2 * size))
        assert counts == [size - 2 * expected, expected, expected]


def test_split_depends_on_the_seed_alone() -> None:
    labels = _labels((50, 30, 20))
    first, same, other = (split_three(100, labels, ("a", "b", "c"), seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    assert not np.array_equal(np.sort(first.test), np.sort(other.test))
    # Rows come in permuted order, not class by class.
    assert len(set(labels[first.train[:10]].tolist())) > 1


def test_split_leaves_the_global_state_alone() -> None:
    before = repr(np.random.get_state())  # noqa: NPY002
    split_three(100, _labels((50, 50)), ("a", "b"), seed=0)
    assert repr(np.random.get_state()) == before  # noqa: NPY002


def test_permutation_is_the_same_in_every_version() -> None:
    # Recorded: a change here would change the parts of every stored study.
    assert permutation(8, 0).tolist() == [3, 2, 1, 6, 0, 7, 4, 5]


def test_regression_is_split_without_strata() -> None:
    split = split_three(50, None, (), seed=0)
    assert [len(rows) for rows in split] == [30, 10, 10]
    assert sorted(np.concatenate(split).tolist()) == list(range(50))


@pytest.mark.parametrize("sizes", [(60, 12), (2, 2)])
def test_hold_out_takes_a_sixth_of_every_class(sizes: tuple[int, ...]) -> None:
    labels = _labels(sizes)
    rest, held_out = hold_out(len(labels), labels, ("a", "b"), seed=0)
    assert sorted(np.concatenate([rest, held_out]).tolist()) == list(range(len(labels)))
    for index, size in enumerate(sizes):
        assert np.count_nonzero(labels[held_out] == index) == max(1, round(size / 6))


def test_small_classes_are_named_with_their_counts() -> None:
    with pytest.raises(InputError, match=r"at least 3 samples.*class 'rare' with 2, class 'none' with 0"):
        split_three(12, _labels((10, 2)), ("many", "rare", "none"), seed=0)
    with pytest.raises(InputError, match=r"at least 2 samples.*class 'b' with 1"):
        hold_out(6, _labels((5, 1)), ("a", "b"), seed=0)
    with pytest.raises(InputError, match=r"and 2 more classes"):
        split_three(7, _labels((1,) * 7), tuple("abcdefg"), seed=0)


@pytest.mark.parametrize("seed", [-1, 1.5, True, "0"])
def test_seed_must_be_a_number_from_0(seed: object) -> None:
    with pytest.raises(InputError, match="split_seed must be an integer"):
        split_three(10, None, (), seed)  # type: ignore[arg-type]
