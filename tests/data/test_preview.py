"""What is shown of a file before anything is trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from normlab.data.preview import preview
from normlab.data.table_options import TableOptions
from normlab.errors import InputError

N = 30
ROWS = [
    *('"1,037",?,2021-01-05,p\n', '"2,001",red,2021-01-06,q\n', '"1,500",blue,2021-01-07,p\n'),
    *(f'"1,{row}",red,2021-01-08,{"qp"[row % 2]}\n' for row in range(103, 100 + N)),
]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "t.csv"
    path.write_text("size,colour,day,y\n" + "".join(ROWS))
    return path


def test_columns_samples_and_notes(table: Path) -> None:
    found = preview(table, TableOptions("y", drop=("day",)))
    assert [tuple(view[:4]) for view in found.columns] == [
        ("size", "whole numbers", 0, N),
        ("colour", "text", 1, 2),
        ("y", "target, text", 0, 2),
    ]
    assert found.columns[0].first == ("1,037", "2,001", "1,500", "1,103", "1,104")
    assert found.columns[1].first[0] == "?"
    assert found.sentences == (
        "30 samples of 2 classes: p (16), q (14).",
        "Missing values are refused unless --missing says what becomes of them: drop, mean or category.",
    )
    assert found.notes == (
        "Left out as asked: 'day'.",
        "Read as numbers with ',' between thousands: 'size'.",
        "Read as missing: '?' (1).",
    )
    assert found.problem is None


def test_what_is_done_to_missing_values_is_said(table: Path) -> None:
    found = preview(table, TableOptions("y", "drop", drop=("day",)))
    assert found.sentences[0] == "29 samples of 2 classes: p (15), q (14)."
    assert found.sentences[-1] == "1 of 30 rows had missing values and were dropped."


def test_a_problem_is_told_after_the_columns(table: Path) -> None:
    found = preview(table, TableOptions("y"))
    assert [view.kind for view in found.columns] == ["whole numbers", "text", "not usable, text", "target, text"]
    assert found.problem is not None
    assert "choose --drop day" in str(found.problem)
    without_target = preview(table, TableOptions())
    assert without_target.sentences == ("30 rows. Choose the target with --target COLUMN.",)
    assert "choose --drop day" in str(without_target.problem)


def test_a_quantity(table: Path) -> None:
    found = preview(table, TableOptions("size", "mean", drop=("day",), task="regression"))
    assert found.sentences[0] == "30 samples, a quantity (regression)."
    refused = preview(table, TableOptions("size", "mean", drop=("day",)))
    assert refused.problem is not None
    assert "choose task regression (--task)" in str(refused.problem)


def test_arrays(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=np.arange(N * 2.0).reshape(N, 2), y=np.arange(N) % 3 + 0.0)
    refused = preview(path, TableOptions())
    assert [tuple(view[:4]) for view in refused.columns] == [
        ("x", "float64, 30 x 2", 0, 60),
        ("y", "float64, 30", 0, 3),
    ]
    assert refused.columns[0].first == ("0.0", "1.0", "2.0", "3.0", "4.0")
    assert refused.problem is not None
    found = preview(path, TableOptions(task="classification"))
    assert found.sentences[0] == "30 samples of 3 classes: 0 (10), 1 (10), 2 (10)."
    assert found.problem is None
    with pytest.raises(InputError, match="target must be left out"):
        preview(path, TableOptions("y"))
