"""Reading .csv and .parquet files."""

from __future__ import annotations

import datetime
import io
from pathlib import Path

import polars as pl
import pytest

from normlab.data.table_files import read_table
from normlab.errors import InputError


def _read(tmp_path: Path, text: str | bytes) -> pl.DataFrame:
    path = tmp_path / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b\n1,x\n2,y\n", {"a": [1, 2], "b": ["x", "y"]}),
        ("a,b\r\n1.5,x\r\n2,y\r\n", {"a": [1.5, 2.0], "b": ["x", "y"]}),
        ("\ufeffa,b\n1,x\n", {"a": [1], "b": ["x"]}),
        (" a , b\n 1, x \n2 ,y\n", {"a": [1, 2], "b": ["x", "y"]}),
        ("a,b\n 1.5,2\n3, 4\n", {"a": [1.5, 3.0], "b": [2, 4]}),
        ('a,b\n1,""\n,x\n', {"a": [1, None], "b": [None, "x"]}),
        ("a,b\n1\n2,x\n", {"a": [1, 2], "b": [None, "x"]}),
        ("a,b\ntrue,1e3\nfalse,2\n", {"a": [True, False], "b": [1000.0, 2.0]}),
        # Below half numbers: text.
        ("a\nred\n7\nblue\n", {"a": ["red", "7", "blue"]}),
        # A late float or text decides the whole column's type.
        ("a\n" + "1\n" * 500 + "1.5\n", {"a": [1.0] * 500 + [1.5]}),
    ],
)
def test_csv_columns_get_the_type_of_all_their_cells(
    tmp_path: Path, text: str, expected: dict[str, list[object]]
) -> None:
    frame = _read(tmp_path, text)
    assert frame.to_dict(as_series=False) == expected
    assert [type(value) for value in frame.row(-1)] == [type(column[-1]) for column in expected.values()]


@pytest.mark.parametrize("name", ["a[1]", "a*", "caf\udce9", "*"])
def test_the_file_that_is_named_is_read_whatever_its_name(tmp_path: Path, name: str) -> None:
    frame = pl.DataFrame({"a": [1, 2]})
    frame.write_csv(tmp_path / "a1.csv")
    (tmp_path / f"{name}.csv").write_bytes(b"b\n3\n")
    (tmp_path / f"{name}.parquet").write_bytes(_parquet(frame))
    assert read_table(tmp_path / f"{name}.csv").to_dict(as_series=False) == {"b": [3]}
    assert read_table(tmp_path / f"{name}.parquet").equals(frame)


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "NoDataError"),
        ("a,b\n", "at least one row of data"),
        ("a,b\n1,2,3\n", "ComputeError: found more fields"),
        (b"a,b\n1,\xff\n", "invalid utf-8"),
        ("a,b,a\n1,2,3\n", "different names, got 'a' more than once"),
        ("a,b\n1,2\nabc,3\n", r"'a' .* text in it: 'abc' in row 2, and 1 such cells"),
        ("a,b\n12,2\n13,3\n,4\nNA,5\n?,6\n", r"text in it: 'NA' in row 4, and 2 such cells"),
        ("a\n" + "1\n" * 5000 + "oops\n", r"'oops' in row 5001"),
    ],
)
def test_csv_errors_name_row_and_value(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        _read(tmp_path, text)
    assert "t.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"code": ["01", "02"], "day": [datetime.date(2020, 1, 1)] * 2, "value": pl.Series([1, 2], dtype=pl.UInt8)}
    )
    frame.write_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").equals(frame)


@pytest.mark.parametrize("cut", [0, 4, 100, -1])
def test_damaged_parquet(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "t.parquet"
    pl.DataFrame({"a": [1, 2]}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"t\.parquet must be a readable \.parquet table"):
        read_table(path)
