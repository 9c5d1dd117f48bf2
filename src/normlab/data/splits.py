"""Splits into training, validation and test part, from a seed alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from normlab.errors import InputError

TEST_FRACTION = 0.2
VALIDATION_FRACTION = 0.2
# Given training and test parts only, a sixth of the training part: MNIST's 60,000 would give 10,000.
HOLDOUT_FRACTION = 1 / 6


class Split(NamedTuple):
    """Row numbers of the three parts: disjoint, together all rows, each in permuted order."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def permutation(num_samples: int, seed: int) -> np.ndarray:
    """Permute `range(num_samples)` from `seed` alone: argsort of the PCG64 stream.

    NumPy promises the same raw stream in every version, which it does not for `Generator.permutation`.
    """
    return np.argsort(np.random.PCG64(seed).random_raw(num_samples), kind="stable")


def split_three(num_samples: int, labels: np.ndarray | None, classes: tuple[str, ...], seed: int) -> Split:
    """60/20/20 split, stratified: each class gives 20 % (rounded, at least one) to validation and to test.

    Args:
        num_samples: Number of rows.
        labels: Class index of each row, or None to split without strata.
        classes: Names of the classes, for the error.
        seed: What the permutation is drawn from.

    Raises:
        InputError: A class (or the whole, without labels) has fewer than 3 samples.
    """
    _require_seed(seed)
    _require_samples(num_samples, labels, classes, minimum=3, parts="training, validation and test part")
    order = permutation(num_samples, seed)
    part = np.zeros(num_samples, dtype=np.int8)
    for members in _strata(order, labels, len(classes)):
        num_test = max(1, round(TEST_FRACTION * len(members)))
        num_validation = max(1, round(VALIDATION_FRACTION * len(members)))
        part[members[:num_test]] = 2
        part[members[num_test : num_test + num_validation]] = 1
    return Split(*(order[part[order] == index] for index in range(3)))


def hold_out(
    num_samples: int, labels: np.ndarray | None, classes: tuple[str, ...], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the rest and of a stratified sixth: validation taken from a given training part.

    Raises:
        InputError: A class has fewer than 2 samples.
    """
    _require_seed(seed)
    _require_samples(num_samples, labels, classes, minimum=2, parts="training and validation part")
    order = permutation(num_samples, seed)
    held_out = np.zeros(num_samples, dtype=bool)
    for members in _strata(order, labels, len(classes)):
        held_out[members[: max(1, round(HOLDOUT_FRACTION * len(members)))]] = True
    return order[~held_out[order]], order[held_out[order]]


def describe_split(parts: Mapping[str, np.ndarray], stratified: bool, seed: int) -> str:
    """Describe a 60/20/20 split of samples for the report."""
    counts = [f"{len(parts[part]):,}" for part in Split._fields]
    strata = "stratified by class, " if stratified else ""
    sizes = f"{counts[0]} training, {counts[1]} validation and {counts[2]} test samples"
    return f"{sizes}: 60/20/20, {strata}split seed {seed}."


def _strata(order: np.ndarray, labels: np.ndarray | None, num_classes: int) -> list[np.ndarray]:
    """Row numbers of each class, in permuted order."""
    if labels is None:
        return [order]
    permuted = labels[order]
    return [order[permuted == index] for index in range(num_classes)]


def _require_samples(
    num_samples: int, labels: np.ndarray | None, classes: tuple[str, ...], minimum: int, parts: str
) -> None:
    if labels is None:
        if num_samples < minimum:
            raise InputError(
                f"the data must have at least {minimum} samples, one for each {parts}",
                f"{num_samples} samples",
                "give more samples",
            )
        return
    counts = np.bincount(labels, minlength=len(classes))
    small = [f"class {classes[index]!r} with {counts[index]}" for index in np.flatnonzero(counts < minimum)]
    if small:
        more = f" and {len(small) - 5} more classes" if len(small) > 5 else ""
        raise InputError(
            f"every class must have at least {minimum} samples, one for each {parts}",
            ", ".join(small[:5]) + more,
            "add samples, merge or remove the class, or choose task regression (--task) if it is a quantity",
        )


def _require_seed(seed: object) -> None:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError("split_seed must be an integer of at least 0", seed, "give an integer such as 0")
