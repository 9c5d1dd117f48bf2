"""Tables to data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.preprocessing import StandardScaler

from normlab.data import Dataset, load


def _frame() -> pl.DataFrame:
    rng = np.random.default_rng(3)
    return pl.DataFrame(
        {
            "row": np.arange(80),
            "size": rng.normal(50, 9, 80),
            "kind": np.array(["ham", "spam"])[rng.integers(0, 2, 80)],
            "price": rng.normal(1000, 200, 80),
        }
    )


def _rows(dataset: Dataset) -> dict[str, np.ndarray]:
    """Row number of every sample, from the rank of its first column, which counts the rows."""
    parts = dataset.parts
    ranks = np.argsort(np.argsort(np.concatenate([part.x[:, 0] for part in parts.values()])))
    ends = np.cumsum([len(part) for part in parts.values()])[:-1]
    return dict(zip(parts, np.split(ranks, ends), strict=True))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_classification(tmp_path: Path, suffix: str) -> None:
    frame, path = _frame(), tmp_path / f"mail{suffix}"
    frame.write_csv(path) if suffix == ".csv" else frame.write_parquet(path)
    dataset = load(path, target="kind", keep=["row"])
    assert (dataset.name, dataset.task, dataset.classes) == ("mail", "classification", ("ham", "spam"))
    assert (dataset.columns, dataset.input_shape) == (("row", "size", "price"), (3,))
    rows = _rows(dataset)
    assert sorted(np.concatenate(list(rows.values())).tolist()) == list(range(80))
    inputs = frame.select("row", "size", "price").to_numpy()
    scaler = StandardScaler().fit(inputs[rows["train"]])
    for name, part in dataset.parts.items():
        np.testing.assert_allclose(part.x, scaler.transform(inputs[rows[name]]), atol=1e-5)
        assert [dataset.classes[index] for index in part.y] == frame["kind"].to_numpy()[rows[name]].tolist()


def test_regression(tmp_path: Path) -> None:
    frame, path = _frame(), tmp_path / "t.parquet"
    frame.write_parquet(path)
    dataset = load(path, target="price", keep=["row"])
    assert (dataset.task, dataset.classes, dataset.columns) == (
        *("regression", ()),
        ("row", "size", "kind=ham", "kind=spam"),
    )
    rows, price = _rows(dataset), frame["price"].to_numpy()
    train = price[rows["train"]]
    assert dataset.target_mean == pytest.approx(train.mean())
    assert dataset.target_scale == pytest.approx(train.std())
    for name, part in dataset.parts.items():
        np.testing.assert_allclose(part.y, (price[rows[name]] - train.mean()) / train.std(), atol=1e-5)
        assert part.y.dtype == np.float32


@pytest.mark.parametrize(
    ("target", "task", "classes"),
    [
        (pl.Series([3, 10, -1] * 10), "classification", ("-1", "3", "10")),
        (pl.Series([True, False, True] * 10), "classification", ("False", "True")),
        (pl.Series(["b", "a", "b"] * 10, dtype=pl.Categorical), "classification", ("a", "b")),
        (pl.Series([2**64 - 1, 1, 5] * 10, dtype=pl.UInt64), "classification", ("1", "18446744073709551615", "5")),
        (pl.Series([1.5, 2.5, 4.0] * 10), "regression", ()),
        (pl.Series(["1.5", "2.5", "4.0"] * 10).cast(pl.Decimal(10, 2)), "regression", ()),
    ],
    ids=["integers", "booleans", "categories", "large integers", "floats", "decimals"],
)
def test_target_types(tmp_path: Path, target: pl.Series, task: str, classes: tuple[str, ...]) -> None:
    path = tmp_path / "t.parquet"
    pl.DataFrame({"a": np.arange(30), "y": target}).write_parquet(path)
    dataset = load(path, target="y", keep=["a"])
    assert (dataset.task, dataset.classes) == (task, classes)
    rows = _rows(dataset)
    values = target.to_list()
    for name, part in dataset.parts.items():
        given = [values[row] for row in rows[name]]
        if classes:
            assert [classes[index] for index in part.y] == [str(value) for value in given]
        else:
            found = part.y * dataset.target_scale + dataset.target_mean
            np.testing.assert_allclose(found, [float(value) for value in given], rtol=1e-6)


def test_missing_values_are_filled_with_training_means_and_said(tmp_path: Path) -> None:
    frame, path = _frame(), tmp_path / "t.csv"
    frame = frame.with_columns(size=pl.when(pl.col("row") % 9 == 0).then(None).otherwise("size"))
    frame.write_csv(path)
    dataset = load(path, target="kind", missing="mean", keep=["row"])
    assert any("9 missing values in size were filled" in sentence for sentence in dataset.description)
    for name, rows in _rows(dataset).items():
        filled = dataset.parts[name].x[rows % 9 == 0, 1]
        # The training mean is 0 after standardization, in every part.
        np.testing.assert_allclose(filled, 0, atol=1e-6)
    dropped = load(path, target="kind", missing="drop", keep=["row"])
    assert sum(len(part) for part in dropped.parts.values()) == 71
    assert any("9 of 80 rows had missing values and were dropped" in sentence for sentence in dropped.description)
