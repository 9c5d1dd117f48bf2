"""Missing values in tables."""

from __future__ import annotations

import math
from collections import Counter

import polars as pl
import pytest

from normlab.data.missing import Missing, handle_missing
from normlab.errors import InputError

FRAME = pl.DataFrame(
    {
        "number": [1.0, None, math.nan, 4.0, 5.0],
        "color": ["red", "blue", None, "red", "red"],
        "y": [0, 1, 0, None, 1],
    }
)


def test_error_names_columns_counts_rows_and_choices() -> None:
    with pytest.raises(
        InputError,
        match=r"2 in 'number' \(first in row 2\), 1 in 'color' \(first in row 3\), 1 in 'y' \(first in row 4\); "
        r"choose missing='drop' .* missing='mean' .* or missing='category'",
    ):
        handle_missing(FRAME, "y", "error")


@pytest.mark.parametrize(
    ("missing", "kept", "sentence"),
    [
        ("drop", [1.0, 5.0], "3 of 5 rows had missing values and were dropped."),
        (
            "mean",
            [1.0, None, None, 5.0],
            "1 of 5 rows had no y and were dropped; 3 missing values in number, color were filled: "
            "numbers with the training part's mean, categories with one of their own.",
        ),
    ],
)
def test_choices(missing: Missing, kept: list[float | None], sentence: str) -> None:
    frame, said = handle_missing(FRAME, "y", missing)
    assert frame["number"].to_list() == kept
    assert said == sentence


@pytest.mark.parametrize("missing", ["error", "drop", "mean", "category"])
def test_complete_tables_pass(missing: Missing) -> None:
    frame = pl.DataFrame({"a": [1.0, 2.0], "y": [0, 1]})
    kept, said = handle_missing(frame, "y", missing)
    assert kept.equals(frame)
    assert said == "No missing values."


def test_words_for_missing_values_are_named() -> None:
    words = {"number": Counter({"NA": 1, "?": 1})}
    with pytest.raises(InputError, match=r"2 in 'number' \(written '\?', 'NA'; first in row 2\)"):
        handle_missing(FRAME, "y", "error", words)


def test_a_category_says_where_numbers_were_missing() -> None:
    said = handle_missing(FRAME, "y", "category")[1]
    assert said.endswith("categories with one of their own, and a column beside each of numbers says where.")


def test_nothing_left() -> None:
    frame = pl.DataFrame({"a": [None, None], "b": [1, None], "y": [0, 1]})
    with pytest.raises(InputError, match=r"none of 2; choose missing='mean' or remove the column 'a'"):
        handle_missing(frame, "y", "drop")
    with pytest.raises(InputError, match="target column 'y' must have values"):
        handle_missing(frame.with_columns(y=pl.lit(math.nan)), "y", "drop")
