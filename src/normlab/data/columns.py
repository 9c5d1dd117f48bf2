"""Input columns of a table to a float32 matrix: standardized numbers and one-hot categories."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from normlab.data.scaling import standardize, training_moments
from normlab.errors import InputError

if TYPE_CHECKING:
    import polars as pl

MAX_CATEGORIES = 100


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


def require_encodable(frame: pl.DataFrame) -> None:
    """Raise `InputError` for a column that is neither numbers, booleans nor categories, or that is not finite."""
    import polars as pl

    for column in frame.columns:
        series = frame[column]
        if series.dtype.is_numeric() or series.dtype == pl.Null:
            infinite = series.cast(pl.Float64).is_infinite().fill_null(False).arg_true()
            if len(infinite):
                row = int(infinite[0])
                raise InputError(
                    f"column {column!r} must hold finite numbers",
                    f"{series[row]} in row {row + 1}, and {len(infinite)} such cells in all",
                    "correct these cells, or leave them empty if the values are missing",
                )
        elif not _is_category(series):
            raise InputError(
                f"column {column!r} must hold numbers, booleans or text",
                f"type {series.dtype}",
                "convert or remove the column",
            )
        elif series.n_unique() > MAX_CATEGORIES:
            raise InputError(
                f"column {column!r} must have at most {MAX_CATEGORIES} categories",
                f"{series.n_unique()} in {len(series)} rows",
                "remove the column if it names the row (an id or a date), or merge categories",
            )


def encode_columns(frame: pl.DataFrame, train_rows: np.ndarray) -> Encoded:
    """Encode the input columns with what the training rows alone say.

    Numbers: missing ones (null) become the training mean, then `(value - mean) / deviation` with the training part's
    moments; a constant column has scale 1. Booleans and categories: one 0/1 column per category of the training part,
    named `column=category`, in sorted order; missing is a category of its own, `column is missing`, if the training
    part has it; a category that the training part lacks gives zeros.

    Args:
        frame: Columns that passed `require_encodable`.
        train_rows: Row numbers of the training part.

    Raises:
        InputError: A column has no value in the training part, or cannot be standardized in float32.
    """
    blocks = [
        _one_hot(frame[column], train_rows) if _is_category(frame[column]) else _numbers(frame[column], train_rows)
        for column in frame.columns
    ]
    num_categorical = sum(_is_category(frame[column]) for column in frame.columns)
    scaling = ""
    if num_categorical < len(blocks):
        scaling = (
            f"{len(blocks) - num_categorical} numeric columns are standardized with the training part's means "
            "and standard deviations."
        )
    notes = [scaling] if scaling else []
    if num_categorical:
        num_unseen = sum(block.num_unseen for block in blocks)
        notes.append(
            f"{num_categorical} categorical columns are one-hot over the training part's categories; "
            f"{num_unseen:,} cells of the other parts hold another category and are all zeros."
        )
    x = np.concatenate([block.values for block in blocks], axis=1)
    names = tuple(name for block in blocks for name in block.names)
    return Encoded(x, names, tuple(notes), np.concatenate([block.stored for block in blocks], axis=1), scaling)


def _is_category(series: pl.Series) -> bool:
    import polars as pl

    return isinstance(series.dtype, (pl.String, pl.Boolean, pl.Categorical, pl.Enum))


def _numbers(series: pl.Series, train_rows: np.ndarray) -> _Block:
    import polars as pl

    # A copy, because the array that polars gives out cannot be written to.
    values = series.cast(pl.Float64).to_numpy().copy()
    seen = values[train_rows]
    seen = seen[~np.isnan(seen)]
    _require_seen(len(seen), series.name)
    values[np.isnan(values)] = training_moments(seen[:, None]).mean[0]
    moments = training_moments(values[train_rows, None])
    return _Block(standardize(values[:, None], moments, (series.name,)), [series.name], 0, values[:, None])


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
