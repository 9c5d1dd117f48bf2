"""The encoding of a text file, told from its bytes, and its text in UTF-8 with line feeds."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import NamedTuple

from normlab.errors import InputError

# UTF-32 first: its mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8", "UTF-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)
_SAMPLE_BYTES = 4096
# Control characters that no text holds: tab, line feed, form feed and carriage return aside.
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
# Codes that Windows-1252 leaves free, and all that it has beyond Latin-1.
_FREE_OF_1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
_BEYOND_LATIN_1 = re.compile(rb"[\x80-\x9f]")


class Text(NamedTuple):
    """UTF-8 without a byte-order mark, lines ending in line feeds, and sentences on what it was."""

    content: bytes
    notes: tuple[str, ...]


def to_utf8(content: bytes, path: Path) -> Text:
    """Decode a text file by its byte-order mark, else as UTF-16 (every other byte is 0), UTF-8, or one byte a letter.

    What is no UTF-8 is Windows-1252 where it uses its letters, else Latin-1. Carriage returns alone become line feeds.

    Raises:
        InputError: The bytes are no text.
    """
    encoding, name, skipped = _encoding(content, path)
    notes = []
    if encoding != "utf-8":
        try:
            content = content[skipped:].decode(encoding).encode("utf-8")
        except UnicodeError as error:
            raise _no_text(path, f"{name} that ends or breaks at byte {getattr(error, 'start', 0)}") from error
        notes.append(f"The encoding is {name}.")
    elif skipped:
        content = content[skipped:]
    if b"\r" in content and b"\n" not in content:
        content = content.replace(b"\r", b"\n")
        notes.append("Lines end in carriage returns alone.")
    return Text(content, tuple(notes))


def _encoding(content: bytes, path: Path) -> tuple[str, str, int]:
    """Python's name of the encoding, its usual name, and how many bytes its mark takes."""
    for mark, encoding, name in _MARKS:
        if content.startswith(mark):
            return encoding, name, len(mark)
    sample = content[:_SAMPLE_BYTES]
    zeros = (sample[::2].count(0), sample[1::2].count(0))
    if max(zeros) > len(sample) / 5 and min(zeros) < len(sample) / 50:
        return ("utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"), "UTF-16", 0
    if content.isascii() or _is_utf8(content):
        return "utf-8", "UTF-8", 0
    if found := _BINARY.search(content):
        raise _no_text(path, f"byte {found[0][0]} at position {found.start()}")
    if _BEYOND_LATIN_1.search(content) and not _FREE_OF_1252.search(content):
        return "cp1252", "Windows-1252", 0
    return "latin-1", "Latin-1", 0


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _no_text(path: Path, received: str) -> InputError:
    return InputError(f"{path} must be text", received, "save it as CSV in UTF-8")
