"""An export as tables: a folder of CSV or Parquet files, or all in one JSON file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from normlab.export.material import Material
from normlab.store.seals import plain
from normlab.version import __version__

if TYPE_CHECKING:
    import polars as pl

# What a spreadsheet takes for the beginning of a formula.
FORMULA = "^[=+\\-@\\t\\r]"


def write_csv(material: Material, target: Path) -> None:
    """Write one CSV file per table; a number that is not finite is `inf`, `-inf` or `NaN`, none is empty.

    Text that a spreadsheet would execute gets an apostrophe before it.
    """
    target.mkdir()
    for name, table in material.tables.items():
        inert_csv(table).write_csv(target / f"{name}.csv")


def inert_csv(table: pl.DataFrame) -> pl.DataFrame:
    """Return a table whose text and headings no spreadsheet executes: an apostrophe stands before each formula."""
    import polars as pl

    text = pl.col(pl.String)
    inert = table.with_columns(pl.when(text.str.contains(FORMULA)).then("'" + text).otherwise(text).name.keep())
    return inert.rename(lambda name: f"'{name}" if re.match(FORMULA, name) else name)


def write_parquet(material: Material, target: Path) -> None:
    """Write one Parquet file per table."""
    target.mkdir()
    for name, table in material.tables.items():
        table.write_parquet(target / f"{name}.parquet")


def write_json(material: Material, target: Path) -> None:
    """Write study, summary and the rows of all tables; a number that is not finite is null."""
    whole = {
        "normlab": __version__,
        "complete": material.is_complete,
        "left_out": material.left_out,
        "study": material.study,
        "summary": material.summary,
        **{name: table.rows(named=True) for name, table in material.tables.items()},
    }
    with target.open("w", encoding="utf-8") as file:
        json.dump(plain(whole), file, ensure_ascii=False, allow_nan=False)
        file.write("\n")
