"""Fuzzed tables: CSVs of any cells, and damaged ones; damaged Parquet files."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Literal

import polars as pl
from hypothesis import example, given
from hypothesis import strategies as st

from normlab.data import load
from normlab.data.preview import preview
from normlab.data.table_options import TableOptions
from tests.fuzz.damage import RARELY, damage
from tests.fuzz.judge import judge, share

CELLS = {
    "integers": st.integers(-3, 3).map(str),
    "large": st.sampled_from(["9223372036854775807", "9223372036854775808", "-1e308", "1e999", "1e-400", "0" * 400]),
    "floats": st.floats(allow_nan=False, width=32).map(str),
    "odd": st.sampled_from(["nan", "NaN", "inf", "-inf", "", " ", "null", "1,5", "1_000", "0x10", "٣", "1e", "+", "-"]),
    "words": st.sampled_from(["p", "q", "r", "true", "false", "é", "\x00", "\x1b[31m", "a\u202eb", "x" * 2000]),
    "notation": st.sampled_from(["1,037", "1.037,5", "0,5", "(5)", "$1", "1 %", "5 kg", "1'000", "1\u202f000", "-1-"]),
    "missing": st.sampled_from(["?", "NA", " n/a ", "-", "+", "None", "1"]),
    "dates": st.sampled_from(["2020-01-01", "12:30", "2020-01-01T00:00:00Z"]),
    "any": st.text(max_size=6),
}
ENDS = [*["\n"] * 8, *["\r\n"] * 3, "\r"]
NAMES = st.one_of(st.sampled_from(["a", "b", "y", "", " a ", "y ", "=1", "\x00", "x" * 300]), st.text(max_size=4))


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """A table whose last column is y, mostly of classes; each column has cells of a kind, with some of another."""
    num_rows = draw(st.integers(0, 3) if draw(RARELY) else st.integers(12, 24))
    kinds = draw(st.lists(st.sampled_from(["integers", "floats", "words", *CELLS]), min_size=1, max_size=3))
    columns = []
    for kind in kinds:
        column = draw(st.lists(CELLS[kind], min_size=num_rows, max_size=num_rows))
        if column and draw(RARELY):
            column[draw(st.integers(0, num_rows - 1))] = draw(CELLS[draw(st.sampled_from(sorted(CELLS)))])
        columns.append(column)
    target = draw(st.sampled_from([["p", "q"], ["0", "1"], ["0.5", "1.5", "2.5"], ["p"], ["1", "", "2"]]))
    columns.append([target[row % len(target)] for row in range(num_rows)])
    sound = [f"c{index}" for index in range(len(kinds))]
    names = [*([draw(NAMES) for _ in kinds] if draw(RARELY) else sound), "y"]
    mark, end = draw(st.sampled_from(",,;\t| ")), draw(st.sampled_from(ENDS))
    quoted = draw(st.booleans())
    packed = draw(st.sampled_from([bytes, bytes, gzip.compress]))

    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if quoted or mark in text else text

    rows = [names, *(list(row) for row in zip(*columns, strict=True))][draw(RARELY) :]
    start = draw(st.sampled_from(["", "", "", "", "\ufeff", "\n", "# a\n", "sep=;\n"]))
    content = (
        start + end.join(mark.join(map(cell, row)) for row in rows) + draw(st.sampled_from(["", end, "\n\n# end"]))
    )
    data = content.encode(draw(st.sampled_from([*["utf-8"] * 8, "utf-16", "utf-16-be", "latin-1"])), "replace")
    return packed(draw(damage(data)) if draw(RARELY) else data)


Missing = Literal["error", "drop", "mean", "category"]


@share(0.19)
@given(
    content=tables(),
    missing=st.sampled_from(["mean", "category", "drop", "error"]),
    target=st.sampled_from(["y", "y", "y", "2", "a", ""]),
)
@example(content=b"", missing="error", target="y")
@example(content=b"\na,a, a ,y\n0,0,0,p\n", missing="error", target="y")
def test_tables(content: bytes, missing: Missing, target: str, folder: Path) -> None:
    path = folder / "t.csv"
    path.write_bytes(content)
    judge("CSVs", lambda: load(path, target=target, missing=missing))
    judge("previews", lambda: preview(path, TableOptions(target, missing)))


def _parquet() -> bytes:
    buffer = io.BytesIO()
    columns = {"a": [0.5 * row for row in range(24)], "b": ["p", "q", None] * 8, "y": [0, 1] * 12}
    pl.DataFrame(columns).write_parquet(buffer)
    return buffer.getvalue()


@share(0.01)  # each in a process of its own
@given(content=damage(_parquet()))
def test_parquet_files(content: bytes, folder: Path) -> None:
    path = folder / "t.parquet"
    path.write_bytes(content)
    judge("Parquet files", lambda: load(path, target="y", missing="mean"))
