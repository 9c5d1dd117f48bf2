"""SIGKILL at random times, again and again, until the study is done: the same values, to the bit, as one left alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from normlab.store.seals import require_sealed_page
from normlab.study.names import EPOCHS, RUNS
from tests.tally import count

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="commands are forked")

NUM_KILLS = 300 if os.environ.get("NORMLAB_TORTURE") else 50
OPTIONS = ["--data", "digits", "--widths", "16", "--epochs", "60", "--rates", "0.1", "--seeds", "4"]
# Often, so that kills come while files are written too.
OFTEN = ["--checkpoint-seconds", "0.02"]


class Nursery:
    """Runs commands in forked processes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def start(self, *arguments: str | Path) -> int:
        """Start a command and return its process."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([str(argument) for argument in arguments]) + "\n")
        self.process.stdin.flush()
        return int(self._told("started"))

    def end(self) -> int:
        """Wait for its end and return its status."""
        return int(self._told("ended"))

    def _told(self, what: str) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith(what), line
        return line.split()[1]


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    line = [sys.executable, str(Path(__file__).with_name("nursery.py"))]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Nursery(process)
        assert process.stdin is not None
        process.stdin.close()


def _values(folder: Path) -> list[pl.DataFrame]:
    return [pl.read_parquet(folder / name).drop("seconds") for name in (EPOCHS, RUNS)]


def test_a_study_that_is_killed_at_random_times_ends_with_the_same_values(nursery: Nursery, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    nursery.start("run", *OPTIONS, "--out", alone)
    assert nursery.end() == 0
    began = time.monotonic()
    nursery.start("run", *OPTIONS, "--out", tmp_path / "again", *OFTEN)
    assert nursery.end() == 0
    longest = time.monotonic() - began
    times = np.random.default_rng(0).uniform(0, longest, 100 * NUM_KILLS)
    kills = studies = starts = 0
    while kills < NUM_KILLS:
        folder = tmp_path / f"killed-{studies}"
        status = None
        while status != 0:
            process = nursery.start("run", *OPTIONS, "--out", folder, *OFTEN)
            if kills < NUM_KILLS:
                time.sleep(times[starts])
                with suppress(ProcessLookupError):  # it was done first
                    os.kill(process, signal.SIGKILL)
            status = nursery.end()
            assert status in (0, -signal.SIGKILL)
            kills += status != 0
            starts += 1
        for killed, whole in zip(_values(folder), _values(alone), strict=True):
            assert killed.equals(whole)
        require_sealed_page(folder / "report.html")
        nursery.start("verify", folder)
        assert nursery.end() == 0
        studies += 1
    count("kills survived", kills)
    count("studies compared to the bit after kills", studies)
