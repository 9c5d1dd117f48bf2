"""The command in this process: what it prints, its exit status, and the study it leaves."""

from __future__ import annotations

import contextlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Finished:
    """A finished study: its folder, the options it was run with, and how the command ended."""

    folder: Path
    options: tuple[str, ...]
    ended: Ended


def command(*arguments: str | Path) -> Ended:
    """Run `normlab` with these arguments in this process."""
    from normlab.cli import main

    out, err = io.StringIO(), io.StringIO()
    status = 0
    with (
        mock.patch.object(sys, "argv", ["normlab", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as leaving:
            status = leaving.code if isinstance(leaving.code, int) else 1
    return Ended(status, out.getvalue(), err.getvalue())


def refused(ended: Ended, rule: str, received: str, action: str) -> None:
    """Assert that the command ended with status 2 and one line that holds rule, value received and next action."""
    assert ended.status == 2, ended
    assert ended.out == ""
    assert ended.err.startswith("normlab: error: ")
    assert ended.err.endswith(".\n")
    assert ended.err.count("\n") == 1, ended.err
    before, got, after = ended.err.partition(", got ")
    assert got
    said, semicolon, then = after.rpartition("; ")
    assert semicolon
    assert rule in before
    assert received in said
    assert action in then
