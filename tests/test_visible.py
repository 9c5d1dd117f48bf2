"""Text of others: what would command a terminal or turn a line around is written out."""

from __future__ import annotations

import io
import sys

import pytest

from normlab.cli.console import new_console
from normlab.visible import visible

CASES = {
    "plain, 3 × é 日本": "plain, 3 × é 日本",
    "tab\tand\nline": "tab\tand\nline",
    "\x1b[31mred\x07\x00\r\x7f\x9b": r"\x1b[31mred\x07\x00\x0d\x7f\x9b",
    "a\u202eb\u2066c\u200fd": r"a\u202eb\u2066c\u200fd",
    "half \udcff": r"half \udcff",
    "two\u2028lines\u0085": r"two\u2028lines\x85",
    "joined 👩\u200d🔬": "joined 👩\u200d🔬",
    "\ufeffa": "\ufeffa",
}


@pytest.mark.parametrize("text", CASES, ids=ascii)
def test_visible(text: str) -> None:
    assert visible(text) == CASES[text]
    assert visible(visible(text)) == visible(text)


def test_brackets_in_a_name_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.table import Table

    table = Table("name")
    table.add_row("[/red] [link=x]y")
    new_console().print(table)
    assert "[/red] [link=x]y" in capsys.readouterr().out


def test_colours_still_reach_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    new_console().print("bold\x1b[5m", style="bold")
    assert out.getvalue() == "\x1b[1mbold\\x1b[5m\x1b[0m\n"
