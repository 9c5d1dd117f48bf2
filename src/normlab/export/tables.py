"""An export as tables: a folder of CSV or Parquet files, or all in one JSON file."""

from __future__ import annotations

import json
from pathlib import Path

from normlab.export.material import Material
from normlab.store.seals import plain
from normlab.version import __version__


def write_csv(material: Material, target: Path) -> None:
    """Write one CSV file per table; a number that is not finite is `inf`, `-inf` or `NaN`, none is empty."""
    target.mkdir()
    for name, table in material.tables.items():
        table.write_csv(target / f"{name}.csv")


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
