"""Missing values of a table: refused, dropped with their rows, or left to be filled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from normlab.errors import InputError

if TYPE_CHECKING:
    import polars as pl

Missing = Literal["error", "drop", "mean", "category"]
CHOICES: tuple[Missing, ...] = ("error", "drop", "mean", "category")


def handle_missing(frame: pl.DataFrame, target: str, missing: Missing) -> tuple[pl.DataFrame, str]:
    """Apply the choice, and say in a sentence what was done to how many cells and rows.

    "error" refuses missing values, "drop" drops every row with one, "mean" drops the rows without a target and leaves
    the inputs' missing values, as nulls, to be filled after the split. NaN counts as missing.

    Raises:
        InputError: There are missing values and the choice is "error", the target has no value, or no row is left.
    """
    import polars.selectors as cs

    frame = frame.with_columns(cs.float().fill_nan(None))
    counts = {column: frame[column].null_count() for column in frame.columns if frame[column].null_count()}
    if counts.get(target) == len(frame):
        raise InputError(f"the target column {target!r} must have values", "none", "choose another target")
    if not counts:
        return frame, "No missing values."
    if missing == "error":
        listed = [
            f"{count} in {column!r} (first in row {int(frame[column].is_null().arg_true()[0]) + 1})"
            for column, count in counts.items()
        ]
        more = f" and {len(listed) - 5} more columns" if len(listed) > 5 else ""
        raise InputError(
            "the table must have no missing values",
            ", ".join(listed[:5]) + more,
            "choose missing='drop' (drop these rows) or missing='mean' (fill numbers with the training part's mean, "
            "give categories one of their own)",
        )
    kept = frame.drop_nulls() if missing == "drop" else frame.drop_nulls(target)
    if not len(kept):
        raise InputError(
            "the table must keep rows once those with missing values are dropped",
            f"none of {len(frame)}",
            f"choose missing='mean' or remove the column {max(counts, key=lambda column: counts[column])!r}",
        )
    return kept, _sentence(frame, kept, target, missing)


def _sentence(frame: pl.DataFrame, kept: pl.DataFrame, target: str, missing: Missing) -> str:
    num_dropped = len(frame) - len(kept)
    if missing == "drop":
        return f"{num_dropped:,} of {len(frame):,} rows had missing values and were dropped."
    dropped = f"{num_dropped:,} of {len(frame):,} rows had no {target} and were dropped" if num_dropped else ""
    num_filled = sum(kept[column].null_count() for column in kept.columns)
    columns = [column for column in kept.columns if kept[column].null_count()]
    filled = (
        f"{num_filled:,} missing values in {', '.join(columns)} were filled: numbers with the training part's mean, "
        "categories with one of their own"
        if num_filled
        else ""
    )
    return "; ".join(part for part in (dropped, filled) if part) + "."
