"""Ctrl-C in a study: valid records of what was complete, and the same numbers when the study goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from normlab import terminal
from normlab.study import execute, sizing
from normlab.study.progress import Progress
from tests.command import command

# With three runs a chunk, on three devices: chunks of seeds 0-2, 3-5 and 6.
GO_ON = "run the same again with the same --out to go on"
OPTIONS = ("--data", "wine", "--widths", "8", "--epochs", "2", "--rates", "0.1", "--seeds", "7")


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "first_batch_example", lambda *_: None)  # nothing of it is looked at here
    monkeypatch.setattr(sizing, "MOST_CHUNK_RUNS", 3)
    monkeypatch.setattr(sizing, "FEWEST_CHUNK_RUNS", 3)


def _interrupt(monkeypatch: pytest.MonkeyPatch, runs_done: int) -> None:
    """Let Ctrl-C come in the first epoch after so many runs are complete."""

    def watch(now: Progress) -> None:
        if now.runs_done == runs_done:
            raise KeyboardInterrupt

    @contextmanager
    def interrupting(*_: Any) -> Iterator[Callable[[Progress], None]]:
        yield watch

    monkeypatch.setattr(terminal, "progress_bar", interrupting)


def _frame(folder: Path, name: str) -> pl.DataFrame:
    """Everything but times, which no two runs share."""
    return pl.read_parquet(folder / name).drop("seconds").sort(pl.exclude("loss"))


def test_an_interrupted_study_goes_on_to_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert command("run", *OPTIONS, "--out", whole).status == 0
    with monkeypatch.context() as patched:
        _interrupt(patched, runs_done=6)
        ended = command("run", *OPTIONS, "--out", stopped)
    assert ended.status == 130
    assert ended.out == ""
    assert ended.err.splitlines()[-1] == f"normlab: interrupted: 6 of 14 runs are complete; {GO_ON}"
    names = {path.name for path in stopped.iterdir()}
    assert names == {".lock", "study.json", "engine.json", "manifest.json", "epochs.parquet", "runs.parquet", "parts"}
    assert sorted(set(_frame(stopped, "runs.parquet")["seed"])) == [0, 1, 2]
    assert len(_frame(stopped, "epochs.parquet")) == 2 * 6
    parts = {path.name: path.read_bytes() for path in (stopped / "parts").iterdir()}

    assert command("run", *OPTIONS, "--out", stopped).status == 0
    for name in ("epochs.parquet", "runs.parquet"):
        assert _frame(stopped, name).equals(_frame(whole, name))
    assert {name: (stopped / "parts" / name).read_bytes() for name in parts} == parts
    rows = [json.loads((folder / "summary.json").read_text())["comparisons"] for folder in (whole, stopped)]
    adjusted = dict.fromkeys(("p_adjusted", "p_equivalence_adjusted", "reason"))  # in one family with the times
    for one, other in zip(*rows, strict=True):
        if one["metric"] != "seconds_per_step":
            assert one | adjusted == other | adjusted
    assert (stopped / "report.html").is_file()


def test_before_the_first_chunk_nothing_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _interrupt(monkeypatch, runs_done=0)
    ended = command("run", *OPTIONS, "--out", tmp_path / "new")
    assert ended.status == 130
    assert ended.err.splitlines()[-1] == f"normlab: interrupted: 0 of 14 runs are complete; {GO_ON}"
    assert {path.name for path in (tmp_path / "new").iterdir()} == {".lock", "study.json", "engine.json"}


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
def test_a_real_ctrl_c_ends_in_one_line_and_status_130(tmp_path: Path) -> None:
    options = ["--data", "wine", "--widths", "8", "--epochs", "20000", "--rates", "0.1", "--seeds", "2"]
    line = [sys.executable, "-m", "normlab", "run", *options, "--out", str(tmp_path / "out")]
    with subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr
        engine = tmp_path / "out" / "engine.json"
        while process.poll() is None and not engine.exists():  # training begins once the engine is recorded
            signal.sigtimedwait([], 0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == f"normlab: interrupted: 0 of 4 runs are complete; {GO_ON}"
    assert "Traceback" not in err
    assert out == ""
