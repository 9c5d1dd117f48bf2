"""Surgery's tables: rows of text for a rich console, and the same as plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import StringIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

_TEXT_WIDTH = 120


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Return a table; a header with ">" in front heads a column of numbers; the first column is never folded."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, header in enumerate(headers):
        made.add_column(
            header.removeprefix(">"),
            justify="right" if header.startswith(">") else "left",
            overflow="fold",
            no_wrap=number == 0,
        )
    for row in rows:
        made.add_row(*map(Text, row))  # as Text, so that brackets in a layer's name are no markup
    return made


def render(made: Table) -> str:
    """Return a table as plain text."""
    from rich.console import Console

    console = Console(file=StringIO(), width=_TEXT_WIDTH, color_system=None, record=True)
    console.print(made)
    return "\n".join(line.rstrip() for line in console.export_text().splitlines()).strip("\n")
