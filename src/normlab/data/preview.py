"""What `normlab data check FILE` shows: how a file of the user's would be read, before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from normlab.data.loading import load, require_data_file
from normlab.data.table_columns import TableColumns, is_category, read_columns
from normlab.data.table_files import table_name
from normlab.data.table_options import TableOptions
from normlab.errors import InputError

if TYPE_CHECKING:
    import polars as pl

    from normlab.data.dataset import Dataset

_MOST_CLASSES = 20
# Distinct values of larger arrays are not counted.
_MOST_COUNTED = 10**7
_FIRST_VALUES = 5


class ColumnView(NamedTuple):
    """One column of a table, or one array: what it holds, and its first values as they are written."""

    name: str
    kind: str
    num_missing: int
    num_distinct: int | None
    first: tuple[str, ...]


class Preview(NamedTuple):
    """How a file would be read.

    Args:
        columns: In the order of the file.
        sentences: How many samples and classes, and what is done to them.
        notes: What was inferred.
        problem: Why a study of this file would be refused, if it would.
    """

    columns: tuple[ColumnView, ...]
    sentences: tuple[str, ...]
    notes: tuple[str, ...]
    problem: InputError | None


def preview(source: str | Path, options: TableOptions, split_seed: int = 0) -> Preview:
    """Read a file of the user's and describe it.

    Missing values are counted; they are no problem here, even where a study would refuse them.

    Raises:
        InputError: The file can't be read, or its columns can't be told.
    """
    path = require_data_file(source)
    if table_name(path) is None:
        return _preview_of_arrays(path, options)
    columns = read_columns(path, options)
    views = tuple(_view(columns, name, options.target) for name in columns.frame.columns)
    if options.target is None:
        sentences = (f"{len(columns.frame):,} rows. Choose the target with --target COLUMN.",)
        return Preview(views, sentences, columns.notes, _problem(columns))
    used = columns.used
    has_missing = any(series.null_count() for series in used)
    refused = options.missing == "error" and has_missing
    readable = options._replace(missing="mean") if refused else options
    try:
        from normlab.data.tables import dataset_of

        dataset = dataset_of(columns, path, readable, split_seed, path.stem)
    except InputError as problem:
        return Preview(views, (f"{len(columns.frame):,} rows.",), columns.notes, problem)
    if not refused:
        return Preview(views, (*_samples(dataset), *dataset.description[1:]), columns.notes, None)
    ask = "Missing values are refused unless --missing says what becomes of them: drop, mean or category."
    return Preview(views, (*_samples(dataset), ask), columns.notes, None)


def _problem(columns: TableColumns) -> InputError | None:
    try:
        columns.require_usable()
    except InputError as problem:
        return problem
    return None


def _view(columns: TableColumns, name: str, target: str | None) -> ColumnView:
    series = columns.frame[name]
    written = columns.as_written[name].to_list()
    first = tuple("" if cell is None else str(cell) for cell in written)
    num_missing = series.null_count() + (int(series.is_nan().sum()) if series.dtype.is_float() else 0)
    return ColumnView(name, _kind(columns, series, target), num_missing, _distinct(series), first)


def _distinct(series: pl.Series) -> int | None:
    import polars as pl

    try:
        return series.drop_nulls().n_unique()
    except pl.exceptions.PolarsError:  # of types that can't be compared
        return None


def _kind(columns: TableColumns, series: pl.Series, target: str | None) -> str:
    import polars as pl

    name = series.name
    if name in columns.left_out:
        return f"left out: {columns.left_out[name]}"
    kind = "other"
    if series.dtype.is_numeric():
        kind = "whole numbers" if series.dtype.is_integer() else "numbers"
    elif is_category(series):
        kind = "true or false" if series.dtype == pl.Boolean else "text"
    if name == target:
        return f"target, {kind}"
    return f"not usable, {kind}" if name in columns.problems else kind


def _samples(dataset: Dataset) -> tuple[str, ...]:
    """How many samples there are, and of which classes."""
    y = np.concatenate([part.y for part in dataset.parts.values()])
    if not dataset.classes:
        return (f"{len(y):,} samples, a quantity (regression).",)
    counts = np.bincount(y, minlength=len(dataset.classes))
    listed = [f"{name} ({count:,})" for name, count in zip(dataset.classes, counts, strict=True)][:_MOST_CLASSES]
    more = f" and {len(counts) - _MOST_CLASSES} more" if len(counts) > _MOST_CLASSES else ""
    return (f"{len(y):,} samples of {len(counts)} classes: {', '.join(listed)}{more}.",)


def _preview_of_arrays(path: Path, options: TableOptions) -> Preview:
    from normlab.data.array_input import ARRAY_NAMES
    from normlab.data.npz import read_npz

    options.require_none("a .npz file")
    views = tuple(_view_of_array(name, array) for name, array in read_npz(path, ARRAY_NAMES).items())
    try:
        dataset = load(path, task=options.task)
    except InputError as problem:
        return Preview(views, (), (), problem)
    return Preview(views, (*_samples(dataset), *dataset.description[1:]), dataset.notes, None)


def _view_of_array(name: str, array: np.ndarray) -> ColumnView:
    shape = " x ".join(map(str, array.shape))
    num_missing = int(np.isnan(array).sum()) if array.dtype.kind == "f" else 0
    num_distinct = len(np.unique(array)) if array.size <= _MOST_COUNTED else None
    first = tuple(str(value) for value in array.flat[:_FIRST_VALUES])
    return ColumnView(name, f"{array.dtype}, {shape}", num_missing, num_distinct, first)
