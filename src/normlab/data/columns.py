"""Input columns of a table to a float32 matrix: standardized numbers and one-hot categories."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from normlab.data.scaling import standardize, training_moments
from normlab.data.table_columns import is_category
from normlab.errors import InputError

if TYPE_CHECKING:
    import polars as pl


class Encoded(NamedTuple):
    """`(rows, columns)` float32, the columns' names, and sentences on what was done.

    `stored` holds numbers before they were standardized, in the same columns; `scaling` is the sentence about that.
    """

    x: np.ndarray
    names: tuple[str, ...]
    notes: tuple[str, ...]
    stored: np.ndarray
    scaling: str


class _Block(NamedTuple):
    values: np.ndarray
    names: list[str]
    num_unseen: int
    stored: np.ndarray


def encode_columns(frame: pl.DataFrame, train_rows: np.ndarray, *, mark_missing: bool = False) -> Encoded:
    """Encode the input columns with what the training rows alone say.

    Numbers: missing ones (null) become the training mean, then `(value - mean) / deviation` with the training part's
    moments; a constant column has scale 1. With `mark_missing`, a column with missing numbers is followed by one that
    is 1 where they were, `column is missing`. Booleans and categories: one 0/1 column per category of the training
    part, named `column=category`, in sorted order; missing is a category of its own, `column is missing`, if the
    training part has it; a category that the training part lacks gives zeros.

    Args:
        frame: Columns of finite numbers, booleans and categories.
        train_rows: Row numbers of the training part.
        mark_missing: Whether missing numbers are told to the network besides.

    Raises:
        InputError: A column has no value in the training part, or cannot be standardized in float32.
    """
    blocks = [
        _one_hot(series, train_rows) if is_category(series) else _numbers(series, train_rows, mark_missing)
        for series in frame
    ]
    num_categorical = sum(map(is_category, frame))
    scaling = ""
    if num_categorical < len(blocks):
        scaling = (
            f"{_counted(len(blocks) - num_categorical, 'numeric column')} standardized with the training part's means "
            "and standard deviations."
        )
    notes = [scaling] if scaling else []
    if num_categorical:
        num_unseen = sum(block.num_unseen for block in blocks)
        notes.append(
            f"{_counted(num_categorical, 'categorical column')} one-hot over the training part's categories; "
            f"{num_unseen:,} cells of the other parts hold another category and are all zeros."
        )
    x = np.concatenate([block.values for block in blocks], axis=1)
    names = tuple(name for block in blocks for name in block.names)
    return Encoded(x, names, tuple(notes), np.concatenate([block.stored for block in blocks], axis=1), scaling)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun} is" if number == 1 else f"{number} {noun}s are"


def _numbers(series: pl.Series, train_rows: np.ndarray, mark_missing: bool) -> _Block:
    import polars as pl

    # A copy, because the array that polars gives out cannot be written to.
    values = series.cast(pl.Float64).to_numpy().copy()
    is_missing = np.isnan(values)
    seen = values[train_rows]
    seen = seen[~np.isnan(seen)]
    _require_seen(len(seen), series.name)
    values[is_missing] = training_moments(seen[:, None]).mean[0]
    moments = training_moments(values[train_rows, None])
    scaled = standardize(values[:, None], moments, (series.name,))
    if not (mark_missing and is_missing.any()):
        return _Block(scaled, [series.name], 0, values[:, None])
    marks = is_missing[:, None].astype(np.float32)
    names = [series.name, f"{series.name} is missing"]
    return _Block(np.concatenate([scaled, marks], axis=1), names, 0, np.concatenate([values[:, None], marks], axis=1))


def _require_seen(num_seen: int, column: str) -> None:
    if not num_seen:
        raise InputError(f"column {column!r} must have a value in the training part", "none", "remove the column")


def _one_hot(series: pl.Series, train_rows: np.ndarray) -> _Block:
    import polars as pl

    cells = series.cast(pl.String).to_list()
    seen = {cells[row] for row in train_rows}
    categories: list[str | None] = sorted(category for category in seen if category is not None)
    _require_seen(len(categories), series.name)
    if None in seen:
        categories.append(None)
    index = {category: position for position, category in enumerate(categories)}
    positions = np.array([index.get(cell, -1) for cell in cells])
    known = np.flatnonzero(positions >= 0)
    values = np.zeros((len(cells), len(categories)), dtype=np.float32)
    values[known, positions[known]] = 1
    names = [
        f"{series.name} is missing" if category is None else f"{series.name}={category}" for category in categories
    ]
    return _Block(values, names, len(cells) - len(known), values)
