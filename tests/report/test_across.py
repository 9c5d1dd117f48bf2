"""Studies of the same arms on several data sets, as the command compares them, and what it refuses."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from normlab.report.across import read_across
from normlab.report.records import Records
from tests.command import Finished, command, refused
from tests.report.conftest import Make
from tests.report.saving import save

Saved = Callable[..., Path]


@pytest.fixture
def saved(make_records: Make, tmp_path: Path) -> Saved:
    """Return what makes up a study, changes it, and saves it in a folder of that name."""

    def make(name: str, change: Callable[[Records], None] | None = None, **options: object) -> Path:
        records = make_records(**{"data_name": name, **options})
        records = dataclasses.replace(records, study=copy.deepcopy(records.study))
        if change is not None:
            change(records)
        folder = tmp_path / name
        while folder.exists():
            folder = folder.with_name(f"{folder.name}-again")
        folder.mkdir()
        save(records, folder)
        return folder

    return make


def _values(folder: Path, arm: str, column: str, seeds: int) -> np.ndarray:
    runs = pl.read_parquet(folder / "runs.parquet").filter((pl.col("stage") == "report") & (pl.col("arm") == arm))
    return runs.sort("seed")[column].to_numpy()[:seeds]


@pytest.mark.parametrize("metric", [None, "test_accuracy", "test_loss"])
def test_the_figures_are_those_of_the_runs_that_each_study_reports(saved: Saved, metric: str | None) -> None:
    folders = [saved("one", gain=0.01), saved("two", gain=0.002, seeds=6), saved("three", gain=-0.001)]
    found = read_across(folders, metric)
    column = metric or "test_accuracy"
    assert (found.metric.name, found.baseline, found.pairs) == (column, "none", [8, 6, 8])
    assert (found.data_sets, found.diverged) == (["one", "two", "three"], {"none": 0, "batch": 0})
    batch, none = (np.stack([_values(one, arm, column, 6) for one in folders]) for arm in ("batch", "none"))
    one = found.arms["batch"]
    assert one.mean == pytest.approx(stats.trim_mean(batch.ravel(), 0.25))
    assert one.baseline_mean == pytest.approx(stats.trim_mean(none.ravel(), 0.25))
    assert one.mean_interval.low < one.mean < one.mean_interval.high
    sign = -1 if column == "test_loss" else 1
    wins = [sign * (a - b) > 0 for x, y in zip(batch, none, strict=True) for i, a in enumerate(x)
            for j, b in enumerate(y) if i != j]  # fmt: skip
    assert one.probability == pytest.approx(np.mean(wins))
    assert 0.5 < one.probability < 1


def test_a_diverged_run_counts_as_in_its_study_and_misses_as_all_epochs(saved: Saved) -> None:
    lost = saved("lost", rates=(0.1, 1.0), diverging=[("none", 0.1)])
    good = saved("good", rates=(0.1, 1.0))
    found = read_across([lost, good], "test_loss")
    assert found.diverged == {"none": 4, "batch": 0}
    runs = pl.read_parquet(lost / "runs.parquet")
    largest = runs.filter(~pl.col("diverged"))["test_loss"].max()
    assert isinstance(largest, float)
    none = np.stack([_values(folder, "none", "test_loss", 32)[::2] for folder in (lost, good)])  # at rate 0.1
    counted = np.where(np.isfinite(none), none, max(2 * np.log(2), largest))
    assert found.arms["batch"].baseline_mean == pytest.approx(stats.trim_mean(counted.ravel(), 0.25))
    times = read_across([lost, good], "epochs_to_target").arms["batch"]
    assert times.baseline_mean <= 5
    assert np.isfinite(times.baseline_interval.high)


def test_the_command_prints_a_table_and_writes_nothing(saved: Saved, tmp_path: Path) -> None:
    folders = [saved("one", arms=("none", "batch", "layer")), saved("two", arms=("none", "batch", "layer"), seeds=5)]
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    ended = command("across", *folders)
    assert (ended.status, ended.err) == (0, "")
    assert "test accuracy (more is better) over 2 data sets: one and two; 5 pairs on each." in ended.out
    assert "Note: there are 8 on one and 5 on two; the first 5 by seed are compared." in ended.out
    for said in ("interquartile mean", "minus none", "beats none", "+3.0", "100.00 %", "batch", "layer"):
        assert said in ended.out
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_real_study_is_read(finished: Finished, saved: Saved, tmp_path: Path) -> None:
    def as_asked(records: Records) -> None:
        records.study["study"]["arms"] = [{"name": name, "norm": name} for name in ("none", "batch")]

    found = read_across([finished.folder, saved("other", as_asked)])
    assert found.data_sets == ["digits", "other"]
    assert found.pairs == [6, 8]
    digits = _values(finished.folder, "batch", "test_accuracy", 6)
    other = _values(tmp_path / "other", "batch", "test_accuracy", 6)
    assert found.arms["batch"].mean == pytest.approx(stats.trim_mean([*digits, *other], 0.25))


def _of_arrays(records: Records) -> None:
    records.study["study"]["data"] = "arrays"
    records.study["data"]["hashes"] = {"train.x": "a", "train.y": "c"}


def _of_other_arrays(records: Records) -> None:
    records.study["study"]["data"] = "arrays"
    records.study["data"]["hashes"] = {"train.x": "b", "train.y": "c"}


def _with_sigmoid(records: Records) -> None:
    records.study["study"]["arms"][1]["activation"] = "sigmoid"


def test_arrays_are_told_apart_by_their_content(saved: Saved) -> None:
    assert read_across([saved("one", _of_arrays), saved("two", _of_other_arrays)]).pairs == [8, 8]


def test_what_cannot_be_compared_is_refused_in_a_line(saved: Saved, tmp_path: Path) -> None:
    one, same = saved("one"), saved("one")
    (tmp_path / "empty").mkdir()
    regression, few = saved("regression", task="regression"), saved("few", seeds=1)
    cases = [
        ((), "at least two studies", "none", "name another"),
        ((one,), "at least two studies", str(one), "name another"),
        ((one, tmp_path / "empty"), "a study must lie in the folder named", "empty without", "check the path"),
        ((one, "a" * 300), "a study must lie in the folder named", "aaa", "check the path"),
        ((one, same), "a data set of its own", f"one in {one} and in {same}", "leave one"),
        ((saved("x", _of_arrays), saved("y", _of_arrays)), "a data set of its own", "y in", "leave one"),
        ((one, saved("named", arms=("none", "layer"))), "same arms", "none, layer in", "the same --arms"),
        ((one, saved("turned", arms=("batch", "none"))), "same arms", "batch, none in", "the same --arms"),
        ((one, saved("set", _with_sigmoid)), "same arms", "batch (activation sigmoid) in", "the same --arms"),
        ((one, regression), "a metric that both have", f"{regression} (regression)", "--metric epochs_to_target"),
        ((one, regression, "--metric", "test_accuracy"), "must have the metric", "(regression)", "another --metric"),
        ((one, few), "at least two pairs", f"1 in {few}", "more --seeds"),
        ((one, few, "--metric", "seconds_per_step"), "metric must be a known name", "seconds", "choose one of test_"),
    ]
    for arguments, rule, received, action in cases:
        refused(command("across", *arguments), rule, received, action)


def test_a_study_that_is_not_finished_is_refused(saved: Saved) -> None:
    one, unfinished = saved("one"), saved("two")
    (unfinished / "manifest.json").unlink()
    refused(command("across", one, unfinished), "must hold a finished study", "two", "run the study again")
