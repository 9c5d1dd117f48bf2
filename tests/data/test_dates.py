"""Dates and times in text."""

from __future__ import annotations

import polars as pl
import pytest

from normlab.data.dates import are_compact_dates, are_dates

DATES = (
    *("2021-01-01", "2021/1/5", "2021.01.05", "31.12.2021", "1/2/21", "12-31-2021", "2021-01", "2021-W05"),
    *("2021-01-01 12:30", "2021-01-01T12:30:59.123Z", "2021-01-01T12:30:00+02:00", "1/2/2021 1:05 PM"),
    *("12:30", "12:30:59", "1:05 pm", "Jan 5, 2021", "5 January 2021", "05-Jan-21", "3. März 2021", "Sept 2021"),
    *("Mon, 05 Jan 2021 12:30:00 GMT", "2021-01-01, 12:30"),
)
OTHERS = ("2021", "1.5", "1,037", "20-29", "1/2", "555-1234", "1.2.3", "Monday", "May", "12:3", "A-1-2021", "5 marbles")


@pytest.mark.parametrize("cell", DATES)
def test_usual_forms_are_dates(cell: str) -> None:
    assert are_dates(pl.Series([cell, None])).to_list() == [True, None]


@pytest.mark.parametrize("cell", OTHERS)
def test_other_text_is_none(cell: str) -> None:
    assert are_dates(pl.Series([cell])).to_list() == [False]


def test_eight_digits_that_are_all_days() -> None:
    days = pl.Series([20210101, 20211231, None, 19991130, 20000229, 20200229])
    assert are_compact_dates(days)
    assert not are_compact_dates(days.extend_constant(20211301, 1))
    assert not are_compact_dates(days * 10)
    assert not are_compact_dates(pl.Series([20210101] * 9))
