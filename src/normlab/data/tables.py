"""The user's own tables, text or Parquet, to a `Dataset`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from normlab.data.columns import encode_columns
from normlab.data.dataset import Dataset, Part
from normlab.data.missing import handle_missing
from normlab.data.splits import describe_split, split_three
from normlab.data.table_columns import TableColumns, is_category, read_columns
from normlab.data.table_options import TableOptions
from normlab.data.targets import as_labels, class_indices, decide_task, standardized_targets
from normlab.errors import InputError, listed

if TYPE_CHECKING:
    import polars as pl


def load_table(path: Path, options: TableOptions, split_seed: int, name: str) -> Dataset:
    """Make a data set of a table.

    A target column of integers, text, booleans or categories gives classes, in sorted order; one of floats (or
    decimals) a regression target, standardized with the training part's moments. The other columns are the inputs,
    encoded by `encode_columns`. The split is 60/20/20, stratified by class.

    Args:
        path: The file, see `read_table`.
        options: Target, task, columns and missing values.
        split_seed: What the split is drawn from.
        name: Name of the data set.

    Raises:
        InputError: The file, its columns or its values break a rule.
    """
    if options.target is None:
        rule = f"target must be a column of {path}"
        raise InputError(rule, "none", f"choose one of {listed(read_columns(path, options).frame.columns)}")
    return dataset_of(read_columns(path, options), path, options, split_seed, name)


def dataset_of(columns: TableColumns, path: Path, options: TableOptions, split_seed: int, name: str) -> Dataset:
    """Make a data set of columns that were read, with a target; arguments and errors as those of `load_table`."""
    target = str(options.target)
    columns.require_usable()
    _require_target(columns.frame[target])
    frame, missing_sentence = handle_missing(columns.used, target, options.missing, columns.words)
    y = _values(frame[target])
    task_is_regression = decide_task(y, f"the target column {target!r}", options.task) == "regression"
    classes: tuple[str, ...] = ()
    if task_is_regression:
        y = y.astype(np.float64)
        split = split_three(len(y), None, (), split_seed)
    else:
        labels = class_indices({"whole": as_labels(y)}, "whole", f"the target column {target!r}")
        y, classes = labels.parts["whole"], labels.classes
        split = split_three(len(y), y, classes, split_seed)
    encoded = encode_columns(frame.drop(target), split.train, mark_missing=options.missing == "category")
    y_parts = {part: y[rows] for part, rows in split._asdict().items()}
    mean, scale = 0.0, 1.0
    target_sentence = f"The target is {target}, {len(classes)} classes."
    if task_is_regression:
        y_parts, mean, scale = standardized_targets(y_parts, f"the target column {target!r}")
        target_sentence = (
            f"The target is {target}, standardized with the training part's mean {mean:.6g} and deviation {scale:.6g}."
        )
    train, validation, test = (Part(encoded.x[rows], y_parts[part]) for part, rows in split._asdict().items())
    return Dataset(
        name=name,
        task="regression" if task_is_regression else "classification",
        train=train,
        validation=validation,
        test=test,
        classes=classes,
        divisor=1.0,
        description=(
            f"Table {path.name}, given by the user.",
            describe_split(y_parts, bool(classes), split_seed),
            target_sentence,
            *encoded.notes,
            missing_sentence,
        ),
        columns=encoded.names,
        scaling=encoded.scaling,
        stored={part: encoded.stored[rows] for part, rows in split._asdict().items()},
        target_mean=mean,
        target_scale=scale,
        notes=columns.notes,
    )


def _require_target(series: pl.Series) -> None:
    """Raise `InputError` unless the target column has values of a usable type."""
    target = series.name
    if series.null_count() == len(series):
        raise InputError(f"the target column {target!r} must have values", "none", "choose another target")
    if not (series.dtype.is_numeric() or is_category(series)):
        raise InputError(
            f"the target column {target!r} must hold numbers, booleans or text",
            f"type {series.dtype}",
            "convert the column or choose another target",
        )
    if series.dtype.is_float():
        infinite = series.is_infinite().fill_null(False).arg_true()
        if len(infinite):
            raise InputError(
                f"the target column {target!r} must hold finite numbers",
                f"{series[int(infinite[0])]} in row {int(infinite[0]) + 1}, and {len(infinite)} such cells in all",
                "correct these cells, or leave them empty if the values are missing",
            )


def _values(series: pl.Series) -> np.ndarray:
    """A column without missing values: float64 for floats and decimals, int64 for integers, else booleans or text."""
    import polars as pl

    if series.dtype.is_float() or series.dtype.is_decimal():
        return series.cast(pl.Float64).to_numpy()

    # Integers beyond 64 bits are ordered as text.
    if series.dtype.is_integer() and series.dtype not in (pl.UInt64, pl.Int128, pl.UInt128):
        return series.cast(pl.Int64).to_numpy()
    if series.dtype == pl.Boolean:
        return series.to_numpy()
    return np.array(series.cast(pl.String).to_list(), dtype=np.str_)
