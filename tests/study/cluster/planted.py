"""A small study in several chunks, for tests of studies on Ray, and what they look at of it and of its workers."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest

from normlab import Result, compare, terminal
from normlab.study import execute, sizing
from normlab.study.cluster import session
from normlab.study.engine import Engine, Work
from normlab.study.progress import Progress
from tests.command import Ended, command

with session._environment({**session._QUIET, **session._ALONE}):  # as a command imports it
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")

# On three devices with three runs a chunk: chunks of seeds 0-2, 3-5, ..., 12.
CELLS = 3
NUM_CHUNKS = 5
STUDY = (
    "--data",
    "wine",
    "--widths",
    "8",
    "--epochs",
    "30",
    "--rates",
    "0.1",
    "--seeds",
    "13",
    "--probes",
    "gradients",
)
RAY = ("--engine", "ray")


SMALL: dict[str, Any] = {"data": "wine", "network": {"widths": [8]}, "epochs": 1, "rates": 0.1, "seeds": 6}


MODEL = """
import keras

class Twice(keras.layers.Layer):
    def call(self, x):
        return 2 * x

def network(norm):
    return keras.Sequential([keras.Input((13,)), Twice(), keras.layers.Dense(4), norm(), keras.layers.Dense(3)])
"""


def make_chunks_small(patched: pytest.MonkeyPatch) -> None:
    patched.setattr(execute, "first_batch_example", lambda *_: None)  # nothing of it or of the page is looked at here
    patched.setattr(Result, "report", lambda self: None)
    patched.setattr(sizing, "MOST_CHUNK_RUNS", CELLS)
    patched.setattr(sizing, "FEWEST_CHUNK_RUNS", CELLS)


def assert_same(folder: Path, other: Path) -> None:
    """Everything but times is equal, to the bit."""
    for name in ("epochs.parquet", "runs.parquet", "probes.parquet"):
        tables = [pl.read_parquet(each / name).drop("seconds", strict=False) for each in (folder, other)]
        assert tables[0].height > 0
        assert tables[0].equals(tables[1]), name
    assert "final_hash" in pl.read_parquet(folder / "runs.parquet").columns


def receipts_of(folder: Path) -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text()) for path in sorted((folder / "parts").glob("*.json"))}


def stopped(folder: Path, runs_done: int, *engine: str) -> Ended:
    """Run the study, or go on with it, and let Ctrl-C come in the first epoch told of after so many runs."""

    def watch(now: Progress) -> None:
        if now.runs_done >= runs_done:
            raise KeyboardInterrupt

    @contextmanager
    def interrupting(*_: Any) -> Iterator[Callable[[Progress], None]]:
        yield watch

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(terminal, "progress_bar", interrupting)
        return command("run", *STUDY, *engine, "--out", folder)


def workers() -> list[psutil.Process]:
    """Return the processes that train a chunk at this moment."""
    mine = psutil.Process().children(recursive=True)
    return [process for process in mine if "normlab_chunk" in " ".join(asked(process, "cmdline"))]


def asked(process: psutil.Process, what: str, *arguments: str) -> Any:
    """Return what the system says of a process; nothing of one that has ended."""
    try:
        return getattr(process, what)(*arguments)
    except psutil.Error:
        return []


def ended_in_time(running: Callable[[], list[psutil.Process]]) -> bool:
    """Wait for processes to end, for a while."""
    deadline = time.monotonic() + 30
    while running() and time.monotonic() < deadline:
        time.sleep(0.05)
    return not running()


def run_with(monkeypatch: pytest.MonkeyPatch, make: Callable[[Work], Engine], **settings: Any) -> Any:
    @contextmanager
    def running(*_: Any) -> Iterator[Any]:
        yield make

    monkeypatch.setattr(sys.modules["normlab.compare"], "running_engine", running)
    return compare(**{**SMALL, **settings})
