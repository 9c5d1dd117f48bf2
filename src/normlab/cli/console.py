"""Consoles that show any text on any output: control characters, poor encodings, narrow terminals, closed pipes."""

from __future__ import annotations

import codecs
import os
import sys
import unicodedata
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table

from normlab.visible import visible

# Stand-ins for characters whose ASCII form Unicode does not name.
_ASCII = {
    "−": "-", "–": "-", "—": "-", "…": "...", "·": "*", "×": "x", "±": "+/-", "≤": "<=", "≥": ">=", "≈": "~", "‖": "||",
    "’": "'", "‘": "'", "“": '"', "”": '"', "→": "->", "√": "sqrt", "∂": "d", "▲": "^", "▼": "v", "●": "*", "○": "o",
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "μ": "mu", "σ": "sigma", "φ": "phi",
    "π": "pi", "µ": "u",
}  # fmt: skip


class OutputLostError(Exception):
    """Standard output was closed or is full.

    Args:
        reason: What the system says.
    """


def accept_any_text() -> None:
    """Let both standard streams write characters that their encoding lacks, in ASCII."""
    codecs.register_error("normlab.ascii", _in_ascii)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what tests put in place of a stream may lack it
            stream.reconfigure(errors="normlab.ascii")


def complain(message: str) -> None:
    """Print one line on the standard error, whatever the message holds."""
    new_console(stderr=True).print(" ".join(f"normlab: {message}".splitlines()), soft_wrap=True)


def new_console(stderr: bool = False) -> Console:
    """Return a console that prints paths and names as they are, but for what would command the terminal."""
    return _PlainConsole(stderr=stderr, highlight=False, emoji=False, markup=False)


def discard_output() -> None:
    """Send what is still to be written to standard output nowhere, so that leaving Python does not fail on it."""
    if sys.stdout is sys.__stdout__ and sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _PlainConsole(Console):
    """A console whose text holds no control characters, and whose tables lose no word, however narrow it is.

    Raises:
        OutputLostError: On printing to a standard output that was closed or is full. A standard error that is lost is
            given up silently: what it told of goes on.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as Rich does, with every text made visible; Rich's own control codes stay."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as Rich does; a table too wide for the console gets lines that are too long, not cells cut short."""
        width = self.width
        self.width = max([width, *(self._needed(one) for one in objects if isinstance(one, Table))])
        try:
            super().print(*objects, **options)
        finally:
            self.width = width

    def _needed(self, table: Table) -> int:
        """Return the width at which no word of a table is cut, nor a cell that must not wrap."""
        wide = self.options.update(width=10_000)
        for column in table.columns:
            sizes = [Measurement.get(self, wide, cell) for cell in (column.header, *column.cells)]
            column.min_width = max(size.maximum if column.no_wrap else size.minimum for size in sizes)
        return Measurement.get(self, wide, table).minimum

    def _check_buffer(self) -> None:
        try:
            super()._check_buffer()
        except OSError as error:
            self._give_up(error.strerror or str(error))

    def on_broken_pipe(self) -> None:
        """Called by Rich where the reader has gone."""
        self._give_up("closed by its reader")

    def _give_up(self, reason: str) -> None:
        self.quiet = True
        del self._buffer[:]
        if not self.stderr:
            discard_output()
            raise OutputLostError(reason)


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Return the ASCII form of what could not be encoded, as a codec's error handler."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(map(_ascii_form, lost)), error.end


def _ascii_form(character: str) -> str:
    if character in _ASCII:
        return _ASCII[character]
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain or f"\\u{ord(character):04x}"
