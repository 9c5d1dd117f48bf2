"""Types of a table's columns, by all of their cells."""

from __future__ import annotations

import re

import polars as pl
import pytest

from normlab.data.typed_columns import Typed, quoted, type_columns


def _typed(cells: list[str | None], keep: tuple[str, ...] = (), separator: str | None = ",") -> Typed:
    return type_columns(pl.DataFrame({"a": cells}, schema={"a": pl.String}), keep, separator)


@pytest.mark.parametrize(
    ("cells", "values", "dtype"),
    [
        (["1", "2", None], [1, 2, None], pl.Int64),
        (["1.5", "2"], [1.5, 2.0], pl.Float64),
        ([" 1.5", "3 "], [1.5, 3.0], pl.Float64),
        (["1"] * 500 + ["1.5"], [1.0] * 500 + [1.5], pl.Float64),  # a late cell decides the whole column's type
        (["x", " y ", ""], ["x", "y", None], pl.String),
        (["true", "FALSE", "None"], [True, False, None], pl.Boolean),
        (["red", "7", "blue"], ["red", "7", "blue"], pl.String),  # fewer than half are numbers
        (["1", "?", " NA ", "nan"], [1, None, None, None], pl.Int64),
        (["1.5", "?", ""], [1.5, None, None], pl.Float64),
        (["1,037", "2,001", "n/a"], [1037, 2001, None], pl.Int64),
        (["01067", "1067", "00501"], ["01067", "1067", "00501"], pl.String),
        (["01067", " 1067", "?"], ["01067", "1067", None], pl.String),
        (["0", "-0.5", "10"], [0, -0.5, 10], pl.Float64),
        (["9223372036854775807", "1"], [2**63 - 1, 1], pl.Int64),
        (["9223372036854775808", "1"], ["9223372036854775808", "1"], pl.String),
        (["1e30", "1"], [1e30, 1], pl.Float64),
        (["?", "NA"], [None, None], pl.String),
    ],
    ids=lambda value: None,
)
def test_types(cells: list[str | None], values: list[object], dtype: pl.DataType) -> None:
    typed = _typed(cells)
    assert typed.frame["a"].to_list() == values
    assert typed.frame["a"].dtype == dtype
    assert not typed.problems


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["1", "abc"], "'a' must hold numbers alike, or text, got 1 numbers and, beside them, 'abc' in row 2, 1 such"),
        (
            ["12", "13", "", "n.d.", "n.d.", "x", "14", "15"],
            r"4 numbers .* 'n\.d\.' in row 4, 'x' in row 6, 3 such cells in all",
        ),
        (["5 kg", "6 kg", "500 g"], r"'500 g' in row 3.*--drop a, or --keep a to read the column as categories"),
        (["$1.25", "2", "free"], r"'free' in row 3"),
        (["2021-01-01", "?"], r"not dates or times, got 2021-01-01; choose --drop a"),
        (["2021-01-01", "soon"], r"not dates or times, got 2021-01-01"),
    ],
    ids=lambda value: None,
)
def test_problems(cells: list[str], message: str) -> None:
    problem = _typed(cells).problems["a"]
    assert re.search(message, str(problem)), problem


def test_a_column_that_is_kept_may_mix_numbers_and_text() -> None:
    typed = _typed(["1", "2", "abc", "?"], keep=("a",))
    assert typed.frame["a"].to_list() == ["1", "2", "abc", None]
    assert not typed.problems


@pytest.mark.parametrize(
    ("separator", "columns", "values"),
    [
        (",", {"a": ["1,037", "2,001"]}, [1037, 2001]),
        (";", {"a": ["1,037", "2,001"]}, [1.037, 2.001]),
        (";", {"a": ["1,037", "2,001"], "b": ["0.5", "1"]}, [1037, 2001]),
        (",", {"a": ["1,037", "2,001"], "b": ["0,5", "1"]}, [1.037, 2.001]),
        (";", {"a": ["1.037", "2.001"]}, [1.037, 2.001]),
        (";", {"a": ["1.037", "2.001"], "b": ["0,5", "1"]}, [1037, 2001]),
        (";", {"a": ["1.037", "999"]}, [1037, 999]),
        (",", {"a": ["1.037", "999"]}, [1.037, 999]),
        (None, {"a": ["1,037", "2,001"]}, [1037, 2001]),
    ],
)
def test_numbers_that_can_be_read_in_two_ways_follow_the_others(
    separator: str | None, columns: dict[str, list[str]], values: list[float]
) -> None:
    assert type_columns(pl.DataFrame(columns), (), separator).frame["a"].to_list() == values


def test_types_other_than_text_stay_and_categories_are_cleaned() -> None:
    frame = pl.DataFrame({"a": [1, 2, None], "b": pl.Series([" 1", "1 ", "NA"], dtype=pl.Categorical)})
    typed = type_columns(frame, (), None)
    assert typed.frame["a"].to_list() == [1, 2, None]
    assert typed.frame["b"].to_list() == ["1", "1", None]
    assert typed.words == {"b": {"NA": 1}}


def test_notes_name_columns_and_words_in_one_order() -> None:
    frame = pl.DataFrame({"a": ["1,037", "?", "NA"], "b": ["2,001", "NA", "5"], "c": ["01", "1", "2"]})
    assert type_columns(frame, (), ",").notes == (
        "Read as numbers with ',' between thousands: 'a', 'b'.",
        "Whole numbers with leading zeros or beyond 64 bits are codes, so read as text: 'c'.",
        "Read as missing: 'NA' (2), '?' (1).",
    )


def test_values_that_differ_in_case_alone_are_named() -> None:
    note = "Kept apart, though they differ in upper and lower case alone: 'Yes', 'yes' in 'a'."
    assert _typed(["Yes", " yes ", "no"]).notes == (note,)


@pytest.mark.parametrize(
    ("name", "typed"),
    [("a", "a"), ("größe_2.b-c", "größe_2.b-c"), ("a b", "'a b'"), ("-a", "'-a'"), ("it's", "'it'\\''s'")],
)
def test_names_are_quoted_as_a_shell_needs_them(name: str, typed: str) -> None:
    assert quoted(name) == typed
