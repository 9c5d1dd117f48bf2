"""Which columns of a table are inputs."""

from __future__ import annotations

import datetime
from pathlib import Path

import polars as pl
import pytest

from normlab.data.table_columns import TableColumns, read_columns
from normlab.data.table_options import TableOptions
from normlab.errors import InputError

N = 30
VALUES = [f"{row / 7:.3f}" for row in range(N)]


def _read(tmp_path: Path, cells: list[str], name: str = "a", **options: tuple[str, ...]) -> TableColumns:
    path = tmp_path / "t.csv"
    rows = [f'"{cell}",{value},{row % 2}\n' for row, (cell, value) in enumerate(zip(cells, VALUES, strict=True))]
    path.write_text(f"{name},b,y\n" + "".join(rows))
    return read_columns(path, TableOptions("y", **options))  # type: ignore[arg-type]


def _numbered(pattern: str) -> list[str]:
    return [pattern.format(row) for row in range(N)]


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "__index_level_0__"])
@pytest.mark.parametrize("cells", [_numbered("{}"), _numbered("{}")[::-1], [*map(str, range(15))] * 2])
def test_a_column_without_a_name_that_counts_the_rows_is_left_out(tmp_path: Path, name: str, cells: list[str]) -> None:
    columns = _read(tmp_path, cells, name)
    assert columns.used.columns == ["b", "y"]
    assert columns.notes == ("Column 1 has no name and counts the rows: left out.",)
    kept = _read(tmp_path, cells, name, keep=(name or "column 1",))
    assert kept.used.columns == [name or "column 1", "b", "y"]
    kept.require_usable()


def test_row_names_and_empty_columns_are_left_out(tmp_path: Path) -> None:
    assert _read(tmp_path, _numbered("Mazda {}"), "").notes == ("Column 1 has no name and names the rows: left out.",)
    assert _read(tmp_path, ["?"] * N).notes == ("Column 'a' has no values: left out.", f"Read as missing: '?' ({N}).")
    measured = _read(tmp_path, ["1", "2", "5"] * 10, "")
    assert (measured.used.columns, measured.notes) == (["column 1", "b", "y"], ("Column 'column 1' has no name.",))


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            _numbered("{}"),
            r"'a' must be an input, not a count .* 30 different whole numbers from 0 to 29; .*--drop a",
        ),
        (_numbered("{}.0"), r"not a count or name of the rows"),
        (_numbered("00{}"), r"'a' must have at most 100 categories, each .*, got 30 in 30 rows; choose --drop a"),
        (_numbered("text {}"), r"each of them several times, got 30 in 30 rows; choose --drop a if it is free text"),
        (["2021-01-05"] * N, r"'a' must hold numbers, booleans or text, not dates or times, got 2021-01-05"),
        (["20210105", "20210106"] * 15, r"not dates or times, got 20210105; choose --drop a"),
        (["1", "2", "inf"] * 10, r"'a' must hold finite numbers, got inf in row 3, and 10 such cells"),
    ],
    ids=["counts", "counts as floats", "codes of rows", "free text", "dates", "compact dates", "infinite"],
)
def test_columns_that_cannot_be_used(tmp_path: Path, cells: list[str], message: str) -> None:
    columns = _read(tmp_path, cells)
    with pytest.raises(InputError, match=message):
        columns.require_usable()
    dropped = _read(tmp_path, cells, drop=("a",))
    dropped.require_usable()
    assert (dropped.used.columns, dropped.notes) == (["b", "y"], ("Left out as asked: 'a'.",))


@pytest.mark.parametrize("cells", [_numbered("{}"), ["20210105", "20210106"] * 15, ["1", "2", "x"] * 10])
def test_columns_that_can_be_kept(tmp_path: Path, cells: list[str]) -> None:
    with pytest.raises(InputError, match="column 'a'"):
        _read(tmp_path, cells).require_usable()
    _read(tmp_path, cells, keep=("a",)).require_usable()


def test_the_target_may_count_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("b,y\n" + "".join(f"{value},{row}\n" for row, value in enumerate(VALUES)))
    read_columns(path, TableOptions("y")).require_usable()


def test_a_target_of_dates_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("b,y\n" + "".join(f"{value},2021-01-0{1 + row % 2}\n" for row, value in enumerate(VALUES)))
    with pytest.raises(InputError, match=r"'y' must .* not dates or times, got 2021-01-01; choose another target, or"):
        read_columns(path, TableOptions("y")).require_usable()


def test_an_error_names_the_other_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,day,b,y\n" + "".join(f"{row},2021-01-01,{value},1\n" for row, value in enumerate(VALUES)))
    with pytest.raises(InputError, match=r"column 'id' must .*; 'day' can't be used either: --drop day"):
        read_columns(path, TableOptions("y")).require_usable()


@pytest.mark.parametrize(
    ("series", "message"),
    [
        (pl.Series([datetime.date(2020, 1, 1)] * N), "not dates or times, got 2020-01-01; choose --drop a"),
        (pl.Series([datetime.datetime(2020, 1, 1, 5)] * N), "not dates or times, got 2020-01-01 05:00:00"),
        (pl.Series([datetime.time(5)] * N), "not dates or times, got 05:00:00"),
        (pl.Series([datetime.timedelta(1)] * N), r"must hold numbers, booleans or text, got type Duration.*--drop a"),
        (pl.Series([[1, 2]] * N), "must hold numbers, booleans or text, got type List"),
        (pl.Series(["2020-01-01", "2020-02-01"] * 15), "not dates or times, got 2020-01-01"),
        (pl.Series([f"c{row}" for row in range(N)], dtype=pl.Categorical), "each of them several times, got 30 in 30"),
    ],
    ids=["date", "datetime", "time", "duration", "list", "text of dates", "categories"],
)
def test_parquet_follows_the_same_rules(tmp_path: Path, series: pl.Series, message: str) -> None:
    path = tmp_path / "t.parquet"
    pl.DataFrame({"a": series, "b": VALUES, "y": [0, 1] * 15}).write_parquet(path)
    with pytest.raises(InputError, match=message):
        read_columns(path, TableOptions("y")).require_usable()
    read_columns(path, TableOptions("y", drop=("a",))).require_usable()


@pytest.mark.parametrize(
    "dtype", [pl.UInt8, pl.Int8, pl.Int16, pl.UInt32, pl.UInt64, pl.Int128, pl.Float32, pl.Decimal(10, 2)], ids=str
)
def test_every_type_of_numbers_is_an_input(tmp_path: Path, dtype: pl.DataType) -> None:
    path = tmp_path / "t.parquet"
    pl.DataFrame({"a": pl.Series([5, 7, 9] * 10).cast(dtype), "n": [None] * N, "y": [0, 1] * 15}).write_parquet(path)
    columns = read_columns(path, TableOptions("y"))
    columns.require_usable()
    assert columns.used.columns == ["a", "y"]
    assert columns.notes == ("Column 'n' has no values: left out.",)


def test_names_that_occur_twice(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b,a,y\n" + "".join(f"1,{value},2,{row % 2}\n" for row, value in enumerate(VALUES)))
    with pytest.raises(InputError, match=r"different names, got 'a' more than once; rename .* --drop a"):
        read_columns(path, TableOptions("y"))
    assert read_columns(path, TableOptions("y", drop=("a",))).used.columns == ["b", "y"]


def test_no_digit_of_twenty_columns_is_lost(tmp_path: Path) -> None:
    rows = [[f"{row}.{column:02}12345678" for column in range(20)] for row in range(N)]
    path = tmp_path / "t.csv"
    header = ",".join(f"c{column}" for column in range(20))
    path.write_text(f"{header}\n" + "".join(",".join(row) + "\n" for row in rows))
    columns = read_columns(path, TableOptions())
    assert columns.frame.rows() == [tuple(map(float, row)) for row in rows]
    assert columns.as_written.rows() == [tuple(row) for row in rows[:5]]
