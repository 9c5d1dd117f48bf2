"""Reading tables from files: text and Parquet, as they stand there."""

from __future__ import annotations

import datetime
import io
from pathlib import Path

import polars as pl
import pytest

from normlab.data.table_files import read_table, table_name
from normlab.errors import InputError


def _read(tmp_path: Path, text: str | bytes) -> dict[str, list[object]]:
    path = tmp_path / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    raw = read_table(path)
    return dict(zip(raw.names, raw.frame.to_dict(as_series=False).values(), strict=True))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b\n1,x\n2,y\n", {"a": ["1", "2"], "b": ["x", "y"]}),
        ("a,b\r\n1.5,x\r\n2,y\r\n", {"a": ["1.5", "2"], "b": ["x", "y"]}),
        ("\ufeffa,b\n01,x\n", {"a": ["01"], "b": ["x"]}),
        ('a,b\n1,"x, ""y"""\n2,"p\nq"\n', {"a": ["1", "2"], "b": ['x, "y"', "p\nq"]}),
        ("a,b\n1\n2,x\n", {"a": ["1", "2"], "b": [None, "x"]}),
        ("a,b\n1,x\n\n,\n2,y\n\n\n", {"a": ["1", "2"], "b": ["x", "y"]}),
        ("\n\na,b\n1,x\n", {"a": ["1"], "b": ["x"]}),
        ("a,b,\n1,x,\n2,y,\n", {"a": ["1", "2"], "b": ["x", "y"], "": [None, None]}),
        ("a,b\n1,x,\n2,y,\n", {"a": ["1", "2"], "b": ["x", "y"], "": [None, None]}),
        ("a;b\n1,5;x\n2;y", {"a": ["1,5", "2"], "b": ["x", "y"]}),
    ],
)
def test_cells_of_text_stay_as_they_are(tmp_path: Path, text: str, expected: dict[str, list[object]]) -> None:
    assert _read(tmp_path, text) == expected


@pytest.mark.parametrize("name", ["a[1]", "a*", "caf\udce9", "*"])
def test_the_file_that_is_named_is_read_whatever_its_name(tmp_path: Path, name: str) -> None:
    frame = pl.DataFrame({"a": [1, 2]})
    frame.write_csv(tmp_path / "a1.csv")
    (tmp_path / f"{name}.csv").write_bytes(b"b\nx\n")
    (tmp_path / f"{name}.parquet").write_bytes(_parquet(frame))
    assert read_table(tmp_path / f"{name}.csv").frame.rows() == [("x",)]
    assert read_table(tmp_path / f"{name}.parquet").frame.rows() == [(1,), (2,)]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("mail.csv", ("mail", ".csv")),
        ("a.b.TSV", ("a.b", ".tsv")),
        ("iris.data", ("iris", ".data")),
        ("mail.csv.gz", ("mail", ".csv")),
        ("mail.txt.zip", ("mail", ".txt")),
        ("mail.zip", ("mail", ".csv")),
        ("mail.parquet", ("mail", ".parquet")),
        ("mail.gz", None),
        ("mail.parquet.gz", None),
        ("mail.xlsx", None),
        ("mail", None),
    ],
)
def test_suffixes(name: str, found: tuple[str, str] | None) -> None:
    assert table_name(Path(name)) == found


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"t\.csv must hold a table, got no text"),
        ("a,b\n", "at least one row of data"),
        ("a,b\n1,2\n1,2,3\n1,2\n", r"at most as many cells as there are columns, 2, got 3 in row 2; correct the row"),
        (b"a,b\n1,\xff\n2,\x01\n", r"t\.csv must be text, got byte 1 at position"),
    ],
)
def test_errors_name_file_and_row(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        _read(tmp_path, text)
    assert "t.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"code": ["01", "02"], "day": [datetime.date(2020, 1, 1)] * 2, "value": pl.Series([1, 2], dtype=pl.UInt8)}
    )
    frame.write_parquet(tmp_path / "t.parquet")
    raw = read_table(tmp_path / "t.parquet")
    assert raw.names == frame.columns
    assert raw.frame.rows() == frame.rows()
    assert raw.frame.dtypes == frame.dtypes


@pytest.mark.parametrize("cut", [0, 4, 100, -1])
def test_damaged_parquet(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "t.parquet"
    pl.DataFrame({"a": [1, 2]}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"t\.parquet must be a readable \.parquet table"):
        read_table(path)
