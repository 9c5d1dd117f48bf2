"""A .csv or .parquet file to a frame whose columns are numbers, booleans or text."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from normlab.errors import InputError, listed
from normlab.file_checks import require_modest

if TYPE_CHECKING:
    import polars as pl

_BYTES_PER_CELL = 8
_TRIAL = "import sys, polars; polars.read_parquet(open(sys.argv[1], 'rb').read())"


def read_table(path: Path) -> pl.DataFrame:
    """Read a table; rows are counted from 1, without the header.

    A .csv column is read from all its rows: spaces around text are removed, an empty cell is a missing value, and
    a column whose cells are all numbers is numeric. A column of text in which at least half of the cells are numbers
    is refused. The columns of a .parquet file have the types that the file states.

    Raises:
        InputError: Not a readable table, no rows, two columns of one name, or numbers mixed with text.
    """
    import polars as pl

    is_csv = path.suffix.lower() == ".csv"
    try:
        if is_csv:
            content = path.read_bytes()  # polars takes *, ? and [ in a path for a pattern, and no path beyond UTF-8
            header = pl.read_csv(content, has_header=False, n_rows=1, infer_schema=False, truncate_ragged_lines=True)
            _require_distinct([str(cell or "").strip() for cell in header.row(0)], path)
            frame = pl.read_csv(content, infer_schema_length=None)
        else:
            content = path.read_bytes()
            _require_modest_table(pl.scan_parquet(content), path)
            _require_survived(path)
            frame = pl.read_parquet(content)
    # PanicException is what some damaged Parquet files end in; it is no subclass of Exception.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = str(error).strip().splitlines() or ["no reason given"]
        raise InputError(
            f"{path} must be a readable {path.suffix.lower()} table",
            f"{type(error).__name__}: {reason[0]}",
            "check that every row has as many cells as the header, in UTF-8"
            if is_csv
            else "write it again as a Parquet file",
        ) from error
    if is_csv:
        _require_distinct([column.strip() for column in frame.columns], path)  # a blank line may stand above the header
        frame = frame.rename({column: column.strip() for column in frame.columns})
        frame = frame.with_columns([_typed(frame[column], path) for column in frame.columns])
    if not len(frame):
        raise InputError(f"{path} must have at least one row of data", "none", "add rows below the header")
    return frame


def _require_modest_table(table: pl.LazyFrame, path: Path) -> None:
    """Check the rows and columns that a Parquet file declares; its header is all that is read."""
    import polars as pl

    num_rows = int(table.select(pl.len()).collect().item())
    num_columns = len(table.collect_schema())
    require_modest(_BYTES_PER_CELL * num_rows * num_columns, path, "give a part of it, or write it as .csv")


def _require_survived(path: Path) -> None:
    """Read a Parquet file in a process of its own first: a damaged one can claim a page that no memory holds.

    Polars then aborts, and would take this process with it.
    """
    ended = subprocess.run([sys.executable, "-P", "-c", _TRIAL, str(path)], capture_output=True)
    if ended.returncode < 0:
        rule = f"{path} must be a readable .parquet table"
        raise InputError(rule, "pages of impossible sizes", "write it again as a Parquet file")


def _require_distinct(names: list[str], path: Path) -> None:
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise InputError(
            f"columns of {path} must have different names",
            f"{listed(repeated)} more than once",
            "rename or remove one of them",
        )


def _typed(series: pl.Series, path: Path) -> pl.Series:
    """A column of text as numbers if all its cells are; stripped, with empty cells missing, otherwise."""
    import polars as pl

    if series.dtype != pl.String:
        return series
    text = series.str.strip_chars()
    text = text.set(text == "", None)
    integers = text.cast(pl.Int64, strict=False)
    if text.null_count() < len(text) and integers.null_count() == text.null_count():
        return integers
    numbers = text.cast(pl.Float64, strict=False)
    num_cells = len(text) - text.null_count()
    num_numbers = len(numbers) - numbers.null_count()
    if num_numbers == 0 or 2 * num_numbers < num_cells:
        return text
    if num_numbers == num_cells:
        return numbers
    row = int((numbers.is_null() & text.is_not_null()).arg_true()[0])
    raise InputError(
        f"column {series.name!r} of {path} must hold numbers only, or mostly text",
        f"a column of numbers with text in it: {text[row]!r} in row {row + 1}, "
        f"and {num_cells - num_numbers} such cells in all",
        "correct the cell, or leave it empty if the value is missing",
    )
