"""Numbers as people write them."""

from __future__ import annotations

import polars as pl
import pytest

from normlab.data.notation import DecimalSign, have_thousands, read_numbers

READ: list[tuple[list[str], list[float], DecimalSign | str | None]] = [
    (["1,037", "1,000,000.5"], [1037, 1000000.5], "point"),
    (["1.037,5", "2.000.000"], [1037.5, 2000000], "comma"),
    (["1 037", "12\u202f000", "5"], [1037, 12000, 5], None),
    (["1'037.5", "12’000"], [1037.5, 12000], "point"),
    (["12,34,567", "1,000"], [1234567, 1000], "point"),
    (["0,5", "1,25", "-3"], [0.5, 1.25, -3], "comma"),
    (["0,500", "0,250"], [0.5, 0.25], "comma"),  # no group of thousands begins with 0
    (["1,037", "999"], [1037, 999], "point"),
    (["1.037", "999"], [1037, 999], "comma"),
    (["0.5%", "1.5 %", "-2%"], [0.5, 1.5, -2], "point"),
    (["$1.25", "2.25", "$ 1,037.00"], [1.25, 2.25, 1037], "point"),
    (["1.5 €", "2 €"], [1.5, 2], "point"),
    (["-$5", "$-6", "−$7.5", "(8)"], [-5, -6, -7.5, -8], "point"),
    (["1.5-", "2.5"], [-1.5, 2.5], "point"),
    (["EUR 5", "6 EUR"], [5, 6], None),
    (["5 kg", "1.5kg"], [5, 1.5], "point"),
    (["36 months", "60 months"], [36, 60], None),
    (["12 km/h", "13.5 km/h"], [12, 13.5], "point"),
    (["21°C", "-3.5 °C"], [21, -3.5], "point"),
    (["1,5e3", "2E-1"], [1500, 0.2], "comma"),
    (["+5", ".5", "5."], [5, 0.5, 5], "point"),
]


@pytest.mark.parametrize(("cells", "values", "decimal"), READ, ids=[" ".join(cells) for cells, *_ in READ])
def test_notations(cells: list[str], values: list[float], decimal: DecimalSign | None) -> None:
    found = read_numbers(pl.Series([*cells, None]), "point")
    assert found.values.to_list() == [*values, None]
    assert found.decimal == decimal


def test_whole_numbers_stay_whole() -> None:
    assert read_numbers(pl.Series(["9,007,199,254,740,993"]), "point").values.to_list() == [2**53 + 1]
    assert read_numbers(pl.Series(["5%"]), "point").values.dtype == pl.Float64


@pytest.mark.parametrize(("otherwise", "values"), [("point", [1037.0, 2001.0]), ("comma", [1.037, 2.001])])
def test_what_can_be_read_both_ways_follows_the_file(otherwise: DecimalSign, values: list[float]) -> None:
    found = read_numbers(pl.Series(["1,037", "2,001"]), otherwise)
    assert (found.values.to_list(), found.decimal) == (values, "either")


@pytest.mark.parametrize(
    "cells",
    [
        *(["1st", "2nd", "3rd"], ["20-29", "30-39"], ["A1", "B2"], ["1.2.3", "1.2.4"], ["<5", ">7"], ["10+"]),
        *(
            ["(5", "6)"],
            ["--5"],
            ["-5-"],
            ["-(5)"],
            ["1,03,7"],
            ["12A", "14B", "9C"],
            ["red", "1/2"],
            ["12:30"],
            ["1 03"],
        ),
    ],
    ids=" ".join,
)
def test_what_is_no_number(cells: list[str]) -> None:
    assert read_numbers(pl.Series(cells), "point").values.to_list() == [None] * len(cells)


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["5 kg", "6 kg", "500 g"], [5, 6, None]),
        (["5%", "6%", "0.5"], [5, 6, None]),
        (["2", "3", "5more"], [2, 3, None]),
        (["$5", "$6", "€7"], [5, 6, None]),
        (["1,5", "2,5", "3.5"], [1.5, 2.5, None]),
    ],
    ids=lambda values: None,
)
def test_one_unit_one_currency_one_decimal_sign(cells: list[str], values: list[float | None]) -> None:
    assert read_numbers(pl.Series(cells), "point").values.to_list() == values


def test_marks_are_named() -> None:
    found = read_numbers(pl.Series(["(1.037,5 €)", "2 000 €"]), "point")
    assert found.marks == (
        "Read with decimal commas",
        "Read as numbers with '.' between thousands",
        "Read as numbers with ' ' between thousands",
        "Read as numbers without '€'",
        "Read as negative where in parentheses",
    )


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (["999", "1.037"], True),
        (["999", "1.037", "2.5"], False),
        (["1.037", "2.001"], False),
        (["1000", "1.037"], False),
    ],
)
def test_points_are_thousands_where_small_numbers_have_none(cells: list[str], found: bool) -> None:
    assert have_thousands(pl.Series(cells)) == found
