"""`load`: every way to give it something wrong, in one table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from normlab.data import load
from normlab.errors import InputError

X = np.arange(60.0).reshape(30, 2)
Y = np.arange(30) % 3
IMAGES = np.zeros((30, 2, 2), dtype=np.float32)
PARTS = {"x_train": X, "y_train": Y, "x_test": X, "y_test": Y}


def _with(array: np.ndarray, value: float, *places: tuple[int, ...]) -> np.ndarray:
    changed = array.astype(np.float64)
    for place in places:
        changed[place] = value
    return changed


WRONG: dict[str, tuple[Any, dict[str, Any], str]] = {
    "unknown name": ("minst", {}, r"known name or a path .* 'minst'; choose one of digits, breast-cancer, wine"),
    "unknown suffix": ("data.xlsx", {}, r"ending in \.csv, .*\.gz.*, \.parquet or \.npz"),
    "name too long": ("a" * 5000 + ".npz", {}, r"must exist"),
    "no such file": ("nowhere.csv", {"target": "y"}, r"must exist, got nowhere\.csv"),
    "unknown choice": ("digits", {"missing": "median"}, r"'median'; choose one of error, drop, mean, category"),
    "target of a name": ("digits", {"target": "y"}, r"target must be left out"),
    "target of arrays": ((X, Y), {"target": "y"}, r"target must be left out"),
    "column of a name left out": ("wine", {"drop": ["ash"]}, r"drop must be left out .* got 'ash' with wine"),
    "task of a name": ("wine", {"task": "regression"}, r"task must be left out where data are wine"),
    "negative seed": ("wine", {"split_seed": -1}, r"split_seed must be an integer of at least 0, got -1"),
    "nothing": (None, {}, r"pair \(x, y\) or a mapping, got NoneType"),
    "three arrays": ((X, Y, X), {}, r"got tuple of 3"),
    "no arrays": ({}, {}, r"must be x and y, or .* got none"),
    "unknown array": ({"x": X, "y": Y, "z": Y}, {}, r"known names, got z"),
    "no test part": ({"x_train": X, "y_train": Y}, {}, r"got x_train, y_train"),
    "validation x only": (PARTS | {"x_val": X}, {}, r"got x_test, x_train, x_validation, y_test, y_train"),
    "validation twice": (PARTS | {"x_val": X, "x_validation": X}, {}, r"must be given once"),
    "mixed sets": (PARTS | {"x": X, "y": Y}, {}, r"give one of these two sets"),
    "ragged list": (([[1.0], [1.0, 2.0]], [0, 1]), {}, r"x must be an array, got list"),
    "objects": ((X, np.array([None] * 30)), {}, r"y must hold numbers or text, got dtype object"),
    "text inputs": ((X.astype(str), Y), {}, r"x must hold numbers, got dtype <U"),
    "complex inputs": ((X * 1j, Y), {}, r"x must hold numbers, got dtype complex128"),
    "one-dimensional inputs": ((X[:, 0], Y), {}, r"x\.reshape\(-1, 1\)"),
    "scalar": ((np.float64(1), Y), {}, r"got shape \(\)"),
    "lengths": ((X, Y[:-1]), {}, r"x and y must have the same length, got 30 and 29"),
    "lengths of a part": (PARTS | {"y_test": Y[:-1]}, {}, r"x_test and y_test must have the same length"),
    "empty": ((X[:0], Y[:0]), {}, r"x must not be empty"),
    "no columns": ((X[:, :0], Y), {}, r"x must not be empty, got shape \(30, 0\)"),
    "shapes of parts": (PARTS | {"x_test": X[:, :1]}, {}, r"x_test must have the input shape of x_train"),
    "types of parts": (PARTS | {"x_test": X.astype(np.uint8)}, {}, r"x_test must have the type of x_train"),
    "target types of parts": (PARTS | {"y_test": Y.astype(str)}, {}, r"y_test must have the type of y_train"),
    "tasks of parts": (PARTS | {"y_test": Y.astype(float)}, {}, r"y_test must have the type of y_train"),
    "nan in a table": (
        (_with(X, np.nan, (3, 1), (9, 0)), Y),
        {},
        r"2 of 60 that are not, the first \(nan\) at \(3, 1\)",
    ),
    "inf in images": ((_with(IMAGES, np.inf, (4, 1, 0)), Y), {}, r"1 of 120 .*\(inf\) at \(4, 1, 0\)"),
    "beyond float32": (
        (_with(IMAGES, 1e300, (4, 1, 0)), Y),
        {},
        r"x as float32 must hold finite numbers, got 1 of 120 .* at \(4, 1, 0\)",
    ),
    "nan in the target": ((X, _with(Y, np.nan, (2,))), {}, r"y must hold finite .* 1 of 30 .* at index 2"),
    "target all nan": ((X, np.full(30, np.nan)), {}, r"none that is finite"),
    "constant target": ((X, np.full(30, 2.5)), {}, r"y must vary in the training part, got 2\.5"),
    "one class": ((X, Y * 0), {}, r"at least 2 classes, got only '0'"),
    "rare class": ((X, np.where(np.arange(30) < 2, 7, Y)), {}, r"class '7' with 2"),
    "rare class in training": (
        PARTS | {"y_train": np.arange(30) // 29, "y_test": Y % 2},
        {},
        r"at least 2 samples.* class '1' with 1",
    ),
    "class of the test part only": (PARTS | {"y_test": Y + 1}, {}, r"class of the test part .* '3' at index 2"),
    "class absent from the test part": (PARTS | {"y_test": Y * 0}, {}, r"every class .* every part.* no sample of '1'"),
    "two samples": ((X[:2], np.array([0.5, 1.5])), {}, r"at least 3 samples"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_one_clear_line(case: str) -> None:
    source, options, message = WRONG[case]
    with pytest.raises(InputError, match=message) as caught:
        load(source, **options)
    assert "\n" not in str(caught.value)


GOOD_TABLE = "a,b,y\n" + "".join(f"{row / 3},{'pq'[row % 2]},{row % 3}\n" for row in range(30))
WRONG_TABLES: dict[str, tuple[str, dict[str, Any], str]] = {
    "no target": (GOOD_TABLE, {}, r"target must be a column of .* got none; choose one of 'a', 'b', 'y'"),
    "unknown target": (GOOD_TABLE, {"target": "z"}, r"got 'z'; choose one of 'a', 'b', 'y'"),
    "target alone": ("y\n0\n1\n", {"target": "y"}, r"an input column beside the target, got only 'y'"),
    "unknown column left out": (
        GOOD_TABLE,
        {"target": "y", "drop": ["z"]},
        r"drop must name columns .* got 'z'; ",
    ),
    "unknown column kept": (GOOD_TABLE, {"target": "y", "keep": ["z"]}, r"keep must name columns .* got 'z'; "),
    "target left out": (GOOD_TABLE, {"target": "y", "drop": ["y"]}, r"target must be a column .* 'y' that is left out"),
    "names that are no list": (GOOD_TABLE, {"target": "y", "drop": "a"}, r"drop must be a list of names, got 'a'"),
    "unknown task": (GOOD_TABLE, {"target": "y", "task": "ranking"}, r"task must be known, got 'ranking'"),
    "text as quantity": (GOOD_TABLE, {"target": "b", "task": "regression"}, r"must hold numbers for task regression"),
    "a row too long": (GOOD_TABLE + "1,p,0,5\n", {"target": "y"}, r"at most as many cells .*, 3, got 4 in row 31"),
    "codes as floats": (
        "a,y\n" + "".join(f"{row / 7},{row % 2}.0\n" for row in range(30)),
        {"target": "y"},
        r"few whole numbers stored as floats, got 2 values: 0, 1; choose --task classification or --task regression",
    ),
    "text among numbers": (GOOD_TABLE + "abc,p,0\n", {"target": "y"}, r"column 'a' .* 'abc' in row 31"),
    "text in the target": (GOOD_TABLE + "1,p,abc\n", {"target": "y"}, r"column 'y' .* 'abc' in row 31"),
    "missing": (GOOD_TABLE + ",p,0\n", {"target": "y"}, r"1 in 'a' \(first in row 31\); choose missing='drop'"),
    "missing nan": (GOOD_TABLE + "NaN,p,0\n", {"target": "y"}, r"1 in 'a' \(written 'NaN'; first in row 31\)"),
    "infinite": (GOOD_TABLE + "inf,p,0\n", {"target": "y"}, r"column 'a' must hold finite numbers, got inf in row 31"),
    "infinite target": (GOOD_TABLE + "-inf,p,0\n", {"target": "a"}, r"column 'a' must hold finite .* -inf in row 31"),
    "target all missing": ("a,y\n1,\n2,\n", {"target": "y"}, r"column 'y' must have values"),
    "target all nan": ("a,y\n1,NaN\n2,NaN\n", {"target": "y"}, r"column 'y' must have values"),
    "id column": (
        "a,y\n" + "".join(f"id{row},{row % 2}\n" for row in range(150)),
        {"target": "y"},
        r"at most 100 categories, each of them several times, got 150 in 150 rows; choose --drop a",
    ),
    "one class": ("a,y\n1,0\n2,0\n3,0\n", {"target": "y"}, r"'y' must hold at least 2 classes"),
    "integers as quantity": (
        "a,y\n" + "".join(f"{row / 7},{row}\n" for row in range(40)),
        {"target": "y"},
        r"class '0' with 1, .* and 35 more classes; .*task regression",
    ),
    "constant target": ("a,y\n1,0.5\n2,0.5\n3,0.5\n", {"target": "y"}, r"'y' must vary in the training part"),
}


@pytest.mark.parametrize("case", WRONG_TABLES)
def test_wrong_table_is_one_clear_line(case: str, tmp_path: Path) -> None:
    text, options, message = WRONG_TABLES[case]
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        load(path, **options)
    assert "\n" not in str(caught.value)


def test_the_good_table_is_good(tmp_path: Path) -> None:
    path = tmp_path / "T.CSV"
    path.write_text(GOOD_TABLE)
    assert load(path, target="y", name="mine").name == "mine"


def test_import_takes_no_heavy_library() -> None:
    heavy = ("jax", "keras", "sklearn", "polars", "scipy", "requests", "pooch")
    code = f"import normlab.data, sys; print([name for name in {heavy!r} if name in sys.modules])"
    path = str(Path(__file__).resolve().parents[2] / "src")
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": path}
    )
    assert result.stdout.strip() == "[]"
