"""A study whose programs are compiled as users get them, beside the same study compiled as the other tests are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from tests.command import command
from tests.compiler import UNOPTIMIZED

OPTIONS = ("--data", "wine", "--widths", "8", "--epochs", "1", "--rates", "0.1", "--seeds", "2")


def _runs(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "runs.parquet").sort("arm", "seed")


def test_the_compilers_optimizations_change_no_result(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    assert command("run", *OPTIONS, "--out", ours).status == 0
    flags = os.environ.get("XLA_FLAGS", "").replace(UNOPTIMIZED, "")
    line = [sys.executable, "-m", "normlab", "run", *OPTIONS, "--out", str(theirs)]
    subprocess.run(line, check=True, capture_output=True, env={**os.environ, "XLA_FLAGS": flags})
    one, other = _runs(ours), _runs(theirs)
    assert len(one) == 4
    for column in ("loss", "test_loss", "test_accuracy"):
        assert one[column].to_list() == pytest.approx(other[column].to_list(), rel=1e-4)
