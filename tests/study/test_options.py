"""A study with every option of training at once: its records, its page, and the same numbers when it goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from normlab import Result, compare
from normlab.data import load
from normlab.study import execute, sizing

OPTIONS = {"schedule": "cosine", "warmup": 0.5, "label_smoothing": 0.1, "augment": "flip-crop"}
SETTINGS: dict[str, Any] = {
    "arms": ["batch", "precise"],
    "network": {"widths": [8]},
    "rates": 0.1,
    "seeds": 4,
    "epochs": 2,
    "batch_size": 16,
    **OPTIONS,
}


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    digits = load("digits").train
    return digits.x[:150] / np.float32(16), digits.y[:150]


@pytest.fixture(scope="module")
def result(data: tuple[np.ndarray, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Result:
    with pytest.MonkeyPatch.context() as patched:
        _small(patched)
        return compare(data, "mlp", out=tmp_path_factory.mktemp("options") / "out", **SETTINGS)


def _small(patched: pytest.MonkeyPatch) -> None:
    """Chunks of three runs on three devices; nothing of the worked example is looked at."""
    patched.setattr(execute, "first_batch_example", lambda *_: None)
    patched.setattr(sizing, "MOST_CHUNK_RUNS", 3)
    patched.setattr(sizing, "FEWEST_CHUNK_RUNS", 3)


def test_the_records_say_how_training_went(result: Result) -> None:
    study = json.loads((result.folder / "study.json").read_text())["study"]
    assert OPTIONS.items() <= study.items()
    assert study["tuning_seeds"] == 4
    page = (result.folder / "report.html").read_text(encoding="utf-8")
    for said in (
        "cosine schedule of the learning rate",
        "warm-up over 0.5 of 2 epochs",
        "label smoothing 0.1",
        "training images augmented by flip-crop",
    ):
        assert said in page


def test_precise_statistics_change_what_is_evaluated_and_not_what_is_trained(result: Result) -> None:
    keys, columns = ["seed", "epoch"], ["loss", "val_loss"]
    epochs = result.epochs.sort(keys)
    batch, precise = (epochs.filter(pl.col("arm") == arm).select(columns).to_numpy() for arm in ("batch", "precise"))
    np.testing.assert_allclose(batch[:, 0], precise[:, 0], rtol=1e-5)
    # Twelve steps of momentum 0.99 leave the moving statistics where they began.
    assert (np.abs(batch[:, 1] - precise[:, 1]) > 0.01).all()
    assert result.records.summary["pairing"]["orders_equal"] is True
    runs = result.runs.sort("seed")
    tested = [runs.filter(pl.col("arm") == arm)["test_loss"].to_numpy() for arm in ("batch", "precise")]
    assert (np.abs(tested[0] - tested[1]) > 0.001).all()
    again = runs.filter(pl.col("arm") == "batch")["test_loss_recomputed"].to_numpy()
    np.testing.assert_allclose(again, tested[1], rtol=1e-5)
    assert runs.filter(pl.col("arm") == "precise")["test_loss_recomputed"].null_count() == 4


def test_the_lag_of_running_statistics_is_told_apart(result: Result) -> None:
    """Arm and baseline train alike, so recomputed they do not differ: what is between them is the lag alone."""
    summary = result.records.summary
    assert list(summary["statistics"]) == ["batch"]
    row = result.statistics().to_dicts()[0]
    steps = int(result.runs["step"].max())  # type: ignore[call-overload]
    assert row["steps"] == steps
    assert row["share_of_initial_left"] == pytest.approx(0.99**steps)
    assert row["difference"] == pytest.approx(row["running"] - row["recomputed"])
    second = [row for row in summary["comparisons"] if row["statistics"] == "recomputed"]
    assert [(row["metric"], row["arm"], row["rate"]) for row in second] == [
        ("test_accuracy", "precise", 0.1),
        ("test_loss", "precise", 0.1),
    ]
    assert [row["difference"] for row in second] == pytest.approx([0, 0], abs=1e-5)
    assert {row["statistics"] for row in summary["comparisons"]} == {"running", "recomputed"}
    page = (result.folder / "report.html").read_text(encoding="utf-8")
    assert "generalizes worse" not in page
    assert f"after {steps} steps at momentum 0.99" in page
    assert result.summary()["statistics"].to_list().count("recomputed") == 2
    assert result.verdict("test_accuracy") == summary["comparisons"][0]["verdict"]


def test_a_resumed_study_sees_the_same_images_at_the_same_rates(
    data: tuple[np.ndarray, np.ndarray], result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _small(monkeypatch)
    stopped = tmp_path / "stopped"
    stopped.mkdir()
    (stopped / "parts").mkdir()
    for name in ("study.json", "engine.json", *(f"parts/{path.name}" for path in _first_chunk(result.folder))):
        (stopped / name).write_bytes((result.folder / name).read_bytes())
    again = compare(data, "mlp", out=stopped, **SETTINGS)
    for frames in ((again.runs, result.runs), (again.epochs, result.epochs)):
        one, other = (frame.drop("seconds").sort("run", "loss") for frame in frames)
        assert one.equals(other)


def _first_chunk(folder: Path) -> list[Path]:
    found = [path for path in (folder / "parts").iterdir() if "00000" in path.name]
    assert 0 < len(found) < len(list((folder / "parts").iterdir()))
    return found
