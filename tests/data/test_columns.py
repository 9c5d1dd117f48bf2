"""Encoding of table columns against scikit-learn, fitted on the training rows alone."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from normlab.data.columns import encode_columns
from normlab.errors import InputError

TRAIN = np.array([7, 0, 3, 4, 9, 5])


def _frame() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "size": rng.normal(50, 9, 10),
            "color": ["red", "blue", "red", "green", "blue", "red", "violet", "red", "pink", "blue"],
            "count": [1, 2, 3, 4, None, 6, 7, None, 9, 10],
            "flag": [True, False] * 5,
            "same": [0.1] * 10,
        }
    )


def test_agrees_with_scikit_learn() -> None:
    frame = _frame()
    encoded = encode_columns(frame, TRAIN)
    numbers = np.stack([frame[name].cast(pl.Float64).to_numpy() for name in ("size", "count", "same")], axis=1)
    imputer = SimpleImputer().fit(numbers[TRAIN])
    filled = imputer.transform(numbers)
    scaled = StandardScaler().fit(filled[TRAIN]).transform(filled)
    texts = np.array([[color, str(flag).lower()] for color, flag in frame.select("color", "flag").rows()])
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(texts[TRAIN])
    hot = encoder.transform(texts)
    expected = np.concatenate([scaled[:, :1], hot[:, :3], scaled[:, 1:2], hot[:, 3:], scaled[:, 2:]], axis=1)
    np.testing.assert_allclose(encoded.x, expected, atol=1e-6)
    assert encoded.x.dtype == np.float32
    assert encoded.names == (
        *("size", "color=blue", "color=green", "color=red"),
        *("count", "flag=false", "flag=true", "same"),
    )


def test_unseen_categories_are_zeros_and_counted() -> None:
    encoded = encode_columns(_frame().select("color"), TRAIN)
    assert encoded.x[[6, 8]].tolist() == [[0, 0, 0], [0, 0, 0]]
    assert "2 cells of the other parts hold another category" in encoded.notes[0]


def test_missing_is_a_category_of_its_own() -> None:
    frame = pl.DataFrame({"color": ["missing", None, "red", None]})
    encoded = encode_columns(frame, np.array([0, 1, 2]))
    assert encoded.names == ("color=missing", "color=red", "color is missing")
    assert encoded.x.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 1]]
    # Where the training part has no missing value, there is no column for it.
    assert encode_columns(frame, np.array([0, 2])).x[1].tolist() == [0, 0]


@pytest.mark.parametrize(
    "series",
    [pl.Series("a", ["x", "y", "x"], dtype=pl.Categorical), pl.Series("a", ["x", "y", "x"], dtype=pl.Enum(["y", "x"]))],
)
def test_categorical_types_are_categories(series: pl.Series) -> None:
    encoded = encode_columns(series.to_frame(), np.array([0, 1]))
    assert encoded.names == ("a=x", "a=y")
    assert encoded.x.tolist() == [[1, 0], [0, 1], [1, 0]]


@pytest.mark.parametrize("values", [[None, 1.0, None], [None, "x", None]])
def test_column_without_a_training_value(values: list[object]) -> None:
    with pytest.raises(InputError, match="'a' must have a value in the training part"):
        encode_columns(pl.DataFrame({"a": values}), np.array([0, 2]))


def test_missing_numbers_can_be_marked() -> None:
    frame = pl.DataFrame({"a": [1.0, None, 3.0, None], "b": [1, 2, 3, 4]})
    encoded = encode_columns(frame, np.array([0, 2]), mark_missing=True)
    assert encoded.names == ("a", "a is missing", "b")
    assert encoded.x[:, 0].tolist() == [-1, 0, 1, 0]
    assert encoded.x[:, 1].tolist() == [0, 1, 0, 1]
    assert encode_columns(frame, np.array([0, 2])).names == ("a", "b")
