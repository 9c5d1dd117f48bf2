"""The command, the whole way: on real digits, on odd names and tables, shown again, and its exit status."""

from __future__ import annotations

import dataclasses
import json
from html import escape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from normlab.replicate import notebook
from normlab.report.records import shown_comparisons
from normlab.report.running_statistics import answer
from normlab.study import stages
from normlab.version import __version__
from tests.command import Finished, command, refused

ROWS = 60


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test writes into the project."""
    monkeypatch.chdir(tmp_path)


def _records(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "report.html"}


def test_the_whole_way_on_real_digits(finished: Finished) -> None:
    ended = finished.ended
    assert ended.status == 0
    assert "100 %: runs to report: " in ended.err
    metrics = ("test accuracy", "test loss", "epochs to target", "seconds per step")
    assert f"{metrics[0]}, difference to none" in ended.out
    assert "Left out: " in ended.out  # what six pairs could not have decided
    every = command("run", *finished.options, "--all", "--out", finished.folder)
    assert all(f"{metric}, difference to none" in every.out for metric in metrics)
    assert "Left out" not in every.out
    assert f"Report: {finished.folder / 'report.html'}\n" in ended.out
    page = (finished.folder / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "<svg" in page
    assert "digits" in page


@pytest.mark.parametrize("width", [60, 200])
def test_a_complete_study_is_shown_again_without_training(
    width: int, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a complete study was trained again")

    monkeypatch.setattr(stages, "set_up", never)
    monkeypatch.setenv("COLUMNS", str(width))
    before = _records(finished.folder)
    ended = command("run", *finished.options, "--out", finished.folder)
    assert (ended.status, ended.err) == (0, "")
    lines = ended.out.splitlines()
    report = [line for line in lines if line.startswith("Report: ")]  # one line, to be clicked on
    assert len(report) == 1
    assert max(len(line) for line in lines if line not in report) <= width
    words = " ".join(ended.out.split())
    # The answer is the same sentence, whatever the width that it is broken at.
    summary = json.loads((finished.folder / "summary.json").read_text())
    (found,) = shown_comparisons(summary, summary["primary"]["metric"])
    assert " ".join(answer(summary, found).split()) in words
    assert words.count(found["verdict"]) >= 2  # in its table too
    assert _records(finished.folder) == before


def test_three_arms_one_seed_and_one_epoch_in_a_folder_with_an_odd_name(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(
        """
        data = "wine"
        rates = [0.1, 0.1000001]
        [network]
        widths = [16]
        [[arms]]
        norm = "none"
        [[arms]]
        norm = "batch"
        name = "after <b> [b]"
        placement = "after"
        [[arms]]
        norm = "batch"
        name = "input & hidden"
        input_norm = true
        """
    )
    out = tmp_path / "mit Leerzeichen ü :cat:"
    out.mkdir()
    ended = command("run", "study.toml", "--widths", "8", "--epochs", "1", "--seeds", "1", "--out", out)
    assert ended.status == 0, ended.err
    few, note = [line for line in ended.err.splitlines() if line.startswith("Note: ")]  # before anything trains
    assert few.startswith("Note: 1 pair can never show a difference in 2 comparisons with the baseline")
    assert note.count("at momentum 0.99 leave") == 2
    assert "of the initial running statistics in the arm after <b> [b];" in note
    assert ended.err.startswith(f"{few}\n{note}\n")
    runs = pl.read_parquet(out / "runs.parquet")
    assert runs["run"].n_unique() == len(runs) == 6
    assert runs["initial_hash"].n_unique() == 1
    assert runs["test_accuracy"].n_unique() >= 3
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "after <b>" not in page
    assert "after &lt;b&gt; [b]" in page
    assert f"Report: {out / 'report.html'}\n" in ended.out
    assert "after <b> [b]" in ended.out
    summary = (out / "summary.json").read_text()
    assert '"ci_low": null' in summary
    assert '"pairs": 1,' in summary


def test_a_table_with_a_quantity_is_a_regression_and_diverged_runs_are_counted(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(ROWS, 3))
    table = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": x @ [1.0, 2.0, 3.0]})
    (tmp_path / "q.csv").write_text(table.write_csv(separator=";").replace(".", ","))
    options = ("--widths", "8", "--seeds", "2", "--epochs", "2", "--rates", "0.01,1e9")
    ended = command("run", "--data", "q.csv", "--target", "y", *options, "--out", "out")
    assert ended.status == 0, ended.err
    runs = pl.read_parquet(tmp_path / "out" / "runs.parquet")
    assert runs["test_accuracy"].null_count() == len(runs) == 8
    assert (runs["diverged"] == (runs["rate"] > 1)).all()
    assert "Note: 2 of 2 report runs of none diverged at rate 1e+09." in ended.out
    assert "test loss" in ended.out
    assert "test accuracy" not in ended.out
    notes = ["The separator is a semicolon.", "Read with decimal commas: 'a', 'b', 'c', 'y'."]
    assert ended.err.startswith("".join(f"Note: {note}\n" for note in notes))
    assert ended.err.count("decimal commas") == 1
    assert json.loads((tmp_path / "out" / "study.json").read_text())["data"]["notes"] == notes
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert all(escape(note) in page for note in notes)


def test_a_file_is_shown_as_it_would_be_read(tmp_path: Path) -> None:
    digits = [f"{column}.0123456789" for column in range(20)]
    header = ",".join(f"c{column}" for column in range(20))
    (tmp_path / "t.csv").write_text(
        f"{header},y\n" + "".join(f"{','.join(digits)},{'pq'[i % 2]}\n" for i in range(ROWS))
    )
    ended = command("data", "check", "t.csv", "--target", "y")
    assert (ended.status, ended.err) == (0, "")
    assert all(cell in ended.out for cell in digits)
    assert "60 samples of 2 classes: p (30), q (30).\n" in ended.out
    refused = command("data", "check", "t.csv", "--target", "y", "--task", "regression")
    assert (refused.status, refused.err.count("\n")) == (2, 1)
    assert "must hold numbers for task regression" in refused.err
    assert digits[19] in refused.out


def test_the_version_is_printed() -> None:
    assert command("--version") == dataclasses.replace(command("--version"), status=0, out=f"{__version__}\n", err="")


@pytest.mark.parametrize(("shift", "status"), [(0.0, 0), (0.5, 1)])
def test_the_replication_ends_in_1_where_a_figure_lies_too_far(
    shift: float, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[dict[str, Any]] = [
        {"arm": arm, **{name: value + shift + noise for name, value in figures.items()}}
        for arm, figures in notebook.PUBLISHED.items()
        for noise in (-0.01, 0.0, 0.01)
    ]
    monkeypatch.setattr(notebook, "run_study", lambda study, **_: SimpleNamespace(runs=pl.DataFrame(rows)))
    ended = command("replicate", "notebook", "--seeds", "3")
    assert ended.status == status
    assert f"notebook: {0 if status else 8} of 8 figures agree." in ended.out


def test_replications_are_listed_and_an_unknown_one_is_refused() -> None:
    listed = command("replicate", "--list")
    assert listed.status == 0
    assert listed.out.startswith("notebook ")
    refused(command("replicate", "notebok"), "replication must be a known name", "'notebok'", "choose one of notebook")
