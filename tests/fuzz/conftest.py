"""The closing line of a run: how many inputs were tried."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import judge


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the files of a module's inputs, which are written over one another."""
    return tmp_path_factory.mktemp("inputs")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print it, where inputs were tried; a run in which one failed says so above."""
    if judge.results or judge.refusals:
        terminalreporter.write_line(judge.line())
