"""Tables that were answered wrongly: what is right about each one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from normlab.data import Dataset, load
from normlab.errors import InputError

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"


@pytest.fixture(scope="module", autouse=True)
def _cases() -> None:
    if not CASES.is_dir():
        pytest.skip(f"the folder of cases, {CASES}, is not there")


def _load(name: str, target: str | None, **options: Any) -> Dataset:
    return load(CASES / name, target=target, **options)


def _num_samples(dataset: Dataset) -> int:
    return sum(len(part) for part in dataset.parts.values())


def test_row_numbers_without_a_name_are_left_out() -> None:
    dataset = _load("row_numbers.csv", "species")
    assert dataset.columns == ("a",)
    assert dataset.notes == ("Column 1 has no name and counts the rows: left out.",)
    assert _load("row_numbers.csv", "species", keep=["column 1"]).columns == ("column 1", "a")


def test_row_numbers_with_a_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("number" + (CASES / "row_numbers.csv").read_text())
    with pytest.raises(InputError, match=r"'number' must be an input, not a count .*--drop number, or --keep number"):
        load(path, target="species")
    assert load(path, target="species", drop=["number"]).columns == ("a",)
    assert load(path, target="species", keep=["number"]).columns == ("number", "a")


def test_words_for_missing_values() -> None:
    with pytest.raises(InputError, match=r"12 in 'a' \(written .*'N/A', .*\), 8 in 'colour' \(.*\), 4 in 'y' \("):
        _load("missing_words.csv", "y")
    dropped = _load("missing_words.csv", "y", missing="drop")
    assert (dropped.classes, _num_samples(dropped)) == (("no", "yes"), 104)
    assert dropped.columns == ("a", "colour=blue", "colour=green", "colour=red")
    words = "Read as missing: '?' (5), 'N/A' (4), 'NA' (4), 'nan' (4), 'None' (3), '-' (2), 'null' (2)."
    assert dropped.notes == (words,)
    marked = _load("missing_words.csv", "y", missing="category")
    assert marked.columns == ("a", "a is missing", *dropped.columns[1:], "colour is missing")
    assert _num_samples(marked) == 116


def test_number_notation() -> None:
    dataset = _load("number_notation.csv", "y")
    assert dataset.columns == ("population", "share", "price")
    assert dataset.notes == (
        "Read as numbers with ',' between thousands: 'population'.",
        "Read as numbers without '%': 'share'.",
        "Read as numbers without '$': 'price'.",
    )
    inputs = np.concatenate([part.x for part in dataset.parts.values()])
    steps = np.unique(inputs[:, 0])
    np.testing.assert_allclose(np.diff(steps), np.diff(steps)[0], rtol=1e-3)  # 1,000 and 37 more in every row


def test_semicolons_decimal_commas_and_latin_1() -> None:
    dataset = _load("semicolons_latin1.csv", "y")
    assert dataset.columns == ("größe", "farbe=blau", "farbe=grün", "farbe=weiß")
    assert dataset.classes == ("ja", "nein")
    assert dataset.notes == (
        "The encoding is Latin-1.",
        "The separator is a semicolon.",
        "Read with decimal commas: 'größe'.",
    )


@pytest.mark.parametrize(
    ("name", "columns", "notes"),
    [
        ("tabs_utf16.tsv", ("a", "b"), ("The encoding is UTF-16.", "The separator is a tab.")),
        ("cr_only.csv", ("a",), ("Lines end in carriage returns alone.",)),
    ],
)
def test_tabs_utf_16_and_carriage_returns(name: str, columns: tuple[str, ...], notes: tuple[str, ...]) -> None:
    dataset = _load(name, "y")
    assert (dataset.columns, dataset.classes, dataset.notes) == (columns, ("0", "1", "2"), notes)


def test_dates() -> None:
    with pytest.raises(InputError, match=r"column 'day' .* not dates or times, got 2021-01-01; choose --drop day"):
        _load("dates.csv", "y")
    assert _load("dates.csv", "y", drop=["day"]).columns == ("a",)


def test_leading_zeros() -> None:
    assert _load("leading_zeros.csv", "postcode").classes == ("00501", "01067", "1067")
    as_input = _load("leading_zeros.csv", "a")
    assert as_input.columns == ("postcode=00501", "postcode=01067", "postcode=1067")


def test_unclean_text_in_parquet() -> None:
    with pytest.raises(InputError, match=r"24 in 't'"):
        _load("unclean_text.parquet", "t")
    dataset = _load("unclean_text.parquet", "t", missing="drop")
    assert (dataset.classes, _num_samples(dataset)) == (("no", "yes"), 96)


def test_float_labels() -> None:
    with pytest.raises(InputError, match=r"few whole numbers stored as floats, got 2 values: 0, 1; .*--task"):
        _load("float_labels.npz", None)
    classes = _load("float_labels.npz", None, task="classification")
    assert (classes.task, classes.classes, classes.train.y.dtype) == ("classification", ("0", "1"), np.int32)
    quantity = _load("float_labels.npz", None, task="regression")
    assert (quantity.task, quantity.classes, quantity.train.y.dtype) == ("regression", (), np.float32)
