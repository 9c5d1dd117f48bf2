"""Missing values of a table: refused, dropped with their rows, or left to be filled."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal

from normlab.data.cells import sorted_words
from normlab.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

Missing = Literal["error", "drop", "mean", "category"]
CHOICES: tuple[Missing, ...] = ("error", "drop", "mean", "category")


def handle_missing(
    frame: pl.DataFrame, target: str, missing: Missing, words: Mapping[str, Counter[str]] | None = None
) -> tuple[pl.DataFrame, str]:
    """Apply the choice, and say in a sentence what was done to how many cells and rows.

    "error" refuses missing values, "drop" drops every row with one, "mean" and "category" drop the rows without a
    target and leave the inputs' missing values, as nulls, to be filled after the split. NaN counts as missing. `words`
    are those that stood for missing values, by column, for the error.

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
            f"{count} in {column!r} ({_written((words or {}).get(column, Counter()))}first in row "
            f"{int(frame[column].is_null().arg_true()[0]) + 1})"
            for column, count in counts.items()
        ]
        more = f" and {len(listed) - 5} more columns" if len(listed) > 5 else ""
        raise InputError(
            "the table must have no missing values",
            ", ".join(listed[:5]) + more,
            "choose missing='drop' (drop these rows), missing='mean' (fill numbers with the training part's mean, "
            "give categories one of their own) or missing='category' (also say where numbers were missing)",
        )
    kept = frame.drop_nulls() if missing == "drop" else frame.drop_nulls(target)
    if not len(kept):
        raise InputError(
            "the table must keep rows once those with missing values are dropped",
            f"none of {len(frame)}",
            f"choose missing='mean' or remove the column {max(counts, key=lambda column: counts[column])!r}",
        )
    return kept, _sentence(frame, kept, target, missing)


def _written(words: Counter[str]) -> str:
    return f"written {', '.join(repr(word) for word, _ in sorted_words(words))}; " if words else ""


def _sentence(frame: pl.DataFrame, kept: pl.DataFrame, target: str, missing: Missing) -> str:
    num_dropped = len(frame) - len(kept)
    if missing == "drop":
        return f"{num_dropped:,} of {len(frame):,} rows had missing values and were dropped."
    dropped = f"{num_dropped:,} of {len(frame):,} rows had no {target} and were dropped" if num_dropped else ""
    num_filled = sum(kept[column].null_count() for column in kept.columns)
    columns = [column for column in kept.columns if kept[column].null_count()]
    mark = ", and a column beside each of numbers says where" if missing == "category" else ""
    filled = (
        f"{num_filled:,} missing values in {', '.join(columns)} were filled: numbers with the training part's mean, "
        f"categories with one of their own{mark}"
        if num_filled
        else ""
    )
    return "; ".join(part for part in (dropped, filled) if part) + "."
