"""Columns that count or name the rows: a network would learn the order of the file from them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

# Names that pandas and R give to a column of row names that has none.
_NO_NAME = re.compile(r"(Unnamed: \d+(\.\d+)?|__index_level_\d+__|column \d+)?")
_NAMES_OF_ROWS = re.compile(r"#|(row|record|sample|case|obs)?[ _]?(id|idx|index|no|nr|number)\.?|row(s|names?)?", re.I)
# Of n numbers from a range of r, drawn at random, all differ with probability exp(-n^2 / 2r): 5e-5 at this n^2 / r.
_TOO_MANY_TO_DIFFER = 20
_FEWEST_ROWS = 5
_FEWEST_UNSORTED_ROWS = 10
_MOST_EXACT = 2**53


def has_no_name(name: str) -> bool:
    """Whether a column's name is none, or one that a program gave it for want of one."""
    return _NO_NAME.fullmatch(name) is not None


def counts_rows(series: pl.Series, name: str) -> bool:
    """Whether a column's numbers count the rows, in order or not, with gaps or without.

    They do where they are whole, all different, and either fill a range, or lie so densely in theirs that numbers
    drawn at random would hardly all differ: rows of a larger table keep the numbers that they had there. Where the
    column has no name, or one like "id", whole numbers that all differ suffice, and so do runs that count up.
    """
    import polars as pl

    values = series.drop_nulls()
    if not series.dtype.is_numeric() or len(values) < _FEWEST_ROWS:
        return False
    if not series.dtype.is_integer():
        values = values.cast(pl.Float64)
        if not bool(((values == values.round(0)) & (values.abs() < _MOST_EXACT)).all()):
            return False
    smallest, largest = int(values.min()), int(values.max())  # type: ignore[arg-type]
    if smallest < 0:
        return False
    is_suspect = has_no_name(name) or _NAMES_OF_ROWS.fullmatch(name) is not None
    if has_no_name(name) and 2 * int((values.cast(pl.Float64).diff() == 1).sum()) >= len(values) - 1:
        return True
    num_values, num_possible = len(values), largest - smallest + 1
    fills_range = num_possible == num_values and (num_values >= _FEWEST_UNSORTED_ROWS or values.is_sorted())
    is_dense = num_values**2 >= _TOO_MANY_TO_DIFFER * num_possible
    if not (fills_range or is_dense or is_suspect) or num_possible < num_values:
        return False
    return values.n_unique() == num_values
