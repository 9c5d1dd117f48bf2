"""Consoles on any output: poor encodings, narrow terminals, outputs that are closed or full."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table

from normlab.cli.console import OutputLostError, accept_any_text, new_console

CELL = "−18.52 to −10.65 points"


def _printed(table: Table, width: int) -> str:
    console = new_console()
    console.file, console.width = io.StringIO(), width
    console.print(table)
    return console.file.getvalue()


@pytest.mark.parametrize("no_wrap", [True, False])
def test_a_narrow_terminal_loses_no_digit(no_wrap: bool) -> None:
    table = Table()
    for heading in ("difference", "interval", "verdict"):
        table.add_column(heading, no_wrap=no_wrap)
    table.add_row("−13.4321 points", CELL, "worse")
    printed = _printed(table, 20)
    for word in ("−13.4321", "−18.52", "−10.65", "worse"):
        assert word in printed
    assert "…" not in printed
    assert (CELL in printed) is no_wrap


def test_a_wide_terminal_is_not_exceeded() -> None:
    table = Table("one", "two")
    table.add_row("word " * 30, "word " * 30)
    assert max(map(len, _printed(table, 50).splitlines())) <= 50


def test_characters_that_the_encoding_lacks_become_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    accept_any_text()
    new_console().print("−1.5 ± 0.1 für γ ≥ 2, 数")
    assert written.getvalue().decode() == "-1.5 +/- 0.1 fur gamma >= 2, \\u6570\n"


class _Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_full_output_is_told_and_a_full_error_stream_is_given_up() -> None:
    console, errors = new_console(), new_console(stderr=True)
    console.file = errors.file = _Full()
    with pytest.raises(OutputLostError, match="No space left on device"):
        console.print("text")
    errors.print("text")
    errors.print("text")
    assert errors.quiet


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("arguments", [("norms",), ("--help",)])
def test_the_command_ends_in_one_line(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "normlab", *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert ended.returncode == 74
    assert ended.stderr == "normlab: error: standard output must take what is printed, got: No space left on device\n"


def test_a_reader_that_left_is_told_in_one_line() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [sys.executable, "-m", "normlab", "norms"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert ended.returncode == 74
    assert ended.stderr.endswith("got: closed by its reader\n")
    assert ended.stderr.count("\n") == 1
