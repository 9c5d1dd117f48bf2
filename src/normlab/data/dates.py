"""Dates and times in text, in their usual forms."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?|mär(?:z)?|mai|juni|juli|okt(?:ober)?|dez(?:ember)?)\.?"
)
_DATE = "|".join(
    (
        r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}",
        r"\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2})",
        rf"\d{{1,2}}(?:st|nd|rd|th)?\.?[-/ ]?{_MONTH}[-/, ]*(?:\d{{4}}|\d{{2}})",
        rf"{_MONTH} ?\d{{1,2}}(?:st|nd|rd|th)?,? ?\d{{4}}",
        rf"{_MONTH}[-/ ]?(?:\d{{4}}|\d{{2}})",
        rf"\d{{4}}[-/ ]{_MONTH}(?:[-/ ]\d{{1,2}})?",
        r"\d{4}[-/](?:0[1-9]|1[0-2])",
        r"\d{4}-?W\d{2}(?:-?\d)?",
    )
)
_TIME = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[ap]\.?m\.?)?(?: ?(?:Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?"
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,? )?"
_PATTERN = rf"(?i)^{_WEEKDAY}(?:(?:{_DATE})(?:(?:T|,? +){_TIME})?|{_TIME})$"
# Eight digits of a whole number as year, month and day.
_FIRST_DAY, _LAST_DAY = 1900_01_01, 2100_12_31
_FEWEST_DAYS = 5


def are_dates(text: pl.Series) -> pl.Series:
    """Whether each cell of text is a date, a time, or both; null where the cell is."""
    return text.str.contains(_PATTERN)


def are_compact_dates(numbers: pl.Series) -> bool:
    """Whether all whole numbers of a column are dates written as year, month and day in eight digits."""
    import polars as pl

    days = numbers.drop_nulls().cast(pl.Int64, strict=False)
    if len(days) < _FEWEST_DAYS or days.null_count() or days.min() == days.max():
        return False
    inside = (days >= _FIRST_DAY) & (days <= _LAST_DAY)
    month, day = days // 100 % 100, days % 100
    return bool((inside & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)).all())
