"""A table in a file, text or Parquet, to a frame: text as it stands there, other types as the file states them."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from normlab.data.layout import Layout, lay_out
from normlab.data.text_encoding import to_utf8
from normlab.data.unpacking import read_unpacked
from normlab.errors import InputError
from normlab.file_checks import require_modest

if TYPE_CHECKING:
    import polars as pl

TEXT_SUFFIXES = (".csv", ".tsv", ".txt", ".data", ".dat", ".tab")
PACKED_SUFFIXES = (".gz", ".zip")
TABLE_SUFFIXES = (*TEXT_SUFFIXES, ".parquet")
_BYTES_PER_CELL = 8
_TRIAL = "import sys, polars; polars.read_parquet(open(sys.argv[1], 'rb').read())"


class RawTable(NamedTuple):
    """A table as it stands in a file.

    Args:
        frame: Columns called by their place, "0", "1" and so on.
        names: The columns' names, which may be empty or occur twice.
        separator: What separates the cells; None for Parquet.
        notes: Sentences on what was inferred.
    """

    frame: pl.DataFrame
    names: list[str]
    separator: str | None
    notes: tuple[str, ...]


def table_name(path: Path) -> tuple[str, str] | None:
    """Return the name of a table's file without its suffixes, and the suffix; None if it is no table.

    A suffix of compressed files may follow that of text: .csv.gz; .zip may also stand alone.
    """
    name, suffix = path.stem, path.suffix.lower()
    if suffix in PACKED_SUFFIXES:
        inner = Path(name)
        if inner.suffix.lower() in TEXT_SUFFIXES:
            return inner.stem, inner.suffix.lower()
        return (name, ".csv") if suffix == ".zip" else None
    return (name, suffix) if suffix in TABLE_SUFFIXES else None


def read_table(path: Path) -> RawTable:
    """Read a table; rows are counted from 1, without the header.

    Of text, encoding (`to_utf8`), separator and header (`lay_out`) are told from the content; every cell is text, empty
    ones are null, and rows without any are left out.

    Raises:
        InputError: Not a readable table, a row with more cells than columns, or no rows.
    """
    named = table_name(path)
    raw = _read_parquet(path) if named is not None and named[1] == ".parquet" else _read_text(path)
    if not len(raw.frame):
        raise InputError(f"{path} must have at least one row of data", "none", "add rows below the header")
    return raw


def _read_text(path: Path) -> RawTable:
    import polars as pl

    unpacked = read_unpacked(path)
    text = to_utf8(unpacked.content, path)
    if not text.content.strip():
        raise InputError(f"{path} must hold a table", "no text", "give a file with a header and rows")
    layout = lay_out(text.content)
    places = [str(place) for place in range(len(layout.names))]
    header = layout.separator.join(places).encode() + b"\n"
    try:
        frame = pl.read_csv(header + layout.rows, separator=layout.separator, infer_schema=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise _unreadable_rows(path, layout, error) from error
    is_empty = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
    if is_empty.any():
        frame = frame.filter(~is_empty)
    return RawTable(
        frame, [name.strip() for name in layout.names], layout.separator, (*unpacked.notes, *text.notes, *layout.notes)
    )


def _unreadable_rows(path: Path, layout: Layout, error: BaseException) -> InputError:
    """The error for rows that can't be split: it names the first with too many cells, if there is one."""
    width = len(layout.names)
    rule = f"every row of {path} must have at most as many cells as there are columns, {width}"
    action = "correct the row, or quote cells that hold the separator"
    for number, record in enumerate(_records(layout), start=1):
        if len(record) > width:
            return InputError(rule, f"{len(record)} in row {number}", action)
    reason = str(error).strip().splitlines() or ["no reason given"]
    rule = f"{path} must be a readable table"
    return InputError(rule, f"{type(error).__name__}: {reason[0]}", "check its quotation marks, or write it again")


def _records(layout: Layout) -> Iterator[list[str]]:
    lines = (line.decode("utf-8", "replace").replace("\r", "") + "\n" for line in layout.rows.split(b"\n"))
    try:
        yield from (record for record in csv.reader(lines, delimiter=layout.separator) if record)
    except csv.Error:  # a cell beyond the longest
        return


def _read_parquet(path: Path) -> RawTable:
    import polars as pl

    try:
        content = path.read_bytes()  # polars takes *, ? and [ in a path for a pattern, and no path beyond UTF-8
        _require_modest_table(pl.scan_parquet(content), path)
        _require_survived(path)
        frame = pl.read_parquet(content)
    # PanicException is what some damaged Parquet files end in; it is no subclass of Exception.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = str(error).strip().splitlines() or ["no reason given"]
        rule, action = f"{path} must be a readable .parquet table", "write it again as a Parquet file"
        raise InputError(rule, f"{type(error).__name__}: {reason[0]}", action) from error
    names = [name.strip() for name in frame.columns]
    return RawTable(frame.rename(dict(zip(frame.columns, map(str, range(len(names))), strict=True))), names, None, ())


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
