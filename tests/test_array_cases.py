"""Arrays and models as they come from outside (`../shared/cases`): each gives what is right, by command or by load."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import polars as pl
import pytest

from normlab import compare
from normlab.data import load
from normlab.errors import InputError
from tests.command import command, refused

CASES = Path(__file__).resolve().parents[2] / "shared" / "cases"
L = keras.layers


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test writes into the project; without the cases there is nothing to test."""
    if not CASES.is_dir():
        pytest.skip(f"the folder of cases, {CASES}, is absent")
    monkeypatch.chdir(tmp_path)


def _accuracies(folder: str = "out") -> dict[str, float]:
    """Return the mean test accuracy by arm."""
    means = pl.read_parquet(Path(folder) / "runs.parquet").group_by("arm").agg(pl.col("test_accuracy").mean())
    return dict(means.iter_rows())


def _run(data: str | Path, model: str, *options: str) -> str:
    ended = command("run", "--data", data, "--model", f"{CASES / 'models.py'}:{model}", *options, "--out", "out")
    assert ended.status == 0, ended.err
    return " ".join((ended.err + ended.out).split())


def test_token_ids_are_handed_over_as_they_are() -> None:
    said = _run(CASES / "token_ids.npz", "embedding", "--rates", "0.1", "--seeds", "4", "--epochs", "10")
    assert min(_accuracies().values()) > 0.95
    note = "The model looks its inputs up (Embedding): inputs are handed over as stored, whole numbers from 1 to 19."
    assert f"Note: {note}" in said
    data = json.loads(Path("out/study.json").read_text())["data"]
    assert data["notes"] == [note]
    assert not any("standardized" in sentence for sentence in data["description"])
    assert "handed over as stored" in Path("out/report.html").read_text(encoding="utf-8")


def test_an_index_outside_the_table_leaves_nothing() -> None:
    with np.load(CASES / "token_ids.npz") as arrays:
        x, y = arrays["x"].copy(), arrays["y"]
    x[5, 2] = 20
    np.savez("ids.npz", x=x, y=y)
    ended = command("run", "--data", "ids.npz", "--model", f"{CASES / 'models.py'}:embedding", "--out", "out")
    refused(ended, "the layer embedding", "20 in the", "give it at least 21 rows")
    assert not Path("out").exists()


def test_a_model_that_rescales_gets_pixels_as_stored() -> None:
    said = _run(CASES / "raw_pixels.npz", "rescales_itself", "--rates", "0.1", "--seeds", "4", "--epochs", "10")
    assert _accuracies()["none"] > 0.9
    assert "prepares its inputs itself (Rescaling): inputs are handed over as stored, from 0 to 254." in said
    assert "divided" not in said


def test_a_sigmoid_is_a_head_of_two_classes() -> None:
    said = _run("breast-cancer", "binary_head", "--rates", "0.1", "--seeds", "2", "--epochs", "3")
    assert min(_accuracies().values()) > 0.9
    assert "one output is taken for the probability of class benign, against malignant" in said


def test_a_logit_is_a_head_of_two_classes_with_smoothing_and_probes() -> None:
    with np.load(CASES / "token_ids.npz") as arrays:
        data = (arrays["x"].astype(np.uint8), np.where(arrays["y"], 1, -1))

    def network() -> keras.Model:
        stages = [L.Embedding(20, 8), L.Flatten(), L.Dense(16), L.BatchNormalization(), L.ReLU(), L.Dense(1)]
        return keras.Sequential([keras.Input((6,), dtype="int64"), *stages])

    settings = {"rates": 0.3, "seeds": 2, "epochs": 4, "label_smoothing": 0.1, "probes": ["gradients", "companions"]}
    compare(data, network, out="out", **settings)  # type: ignore[arg-type]
    assert min(_accuracies().values()) > 0.9
    probed = pl.read_parquet("out/probes.parquet").filter(pl.col("probe") == "companions")
    assert set(probed["quantity"]) == {"spread", "relative_spread"}
    assert probed["value"].is_finite().all()
    notes = json.loads(Path("out/study.json").read_text())["data"]["notes"]
    assert any("logit of class 1, against -1" in note for note in notes)


def test_float_pixels_are_divided() -> None:
    dataset = load(CASES / "float_pixels.npz")
    assert (dataset.divisor, dataset.train.x.dtype) == (255.0, np.uint8)
    assert any("taken as pixels: divided by 255" in note for note in dataset.notes)


def test_channels_are_put_last() -> None:
    dataset = load(CASES / "channels_first.npz")
    assert dataset.input_shape == (8, 8, 3)
    assert any("transposed to (8, 8, 3)" in note for note in dataset.notes)


def test_one_hot_labels_are_classes() -> None:
    dataset = load(CASES / "one_hot.npz")
    assert dataset.classes == ("0", "1", "2")
    assert any("one-hot, 3 columns" in note for note in dataset.notes)


def test_float_labels_are_refused_until_the_task_is_given() -> None:
    path = CASES / "float_labels.npz"
    ended = command("run", "--data", path, "--out", "out")
    refused(
        ended,
        "the task must be given where y holds few whole numbers",
        "2 values: 0, 1",
        "--task classification or --task regression",
    )
    assert load(path, task="classification").classes == ("0", "1")
    assert load(path, task="regression").task == "regression"
    with pytest.raises(InputError, match=r"task must be known"):
        load(path, task="both")  # type: ignore[arg-type]
