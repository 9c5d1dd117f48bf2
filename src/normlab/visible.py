"""Text of others made fit to show: characters that command a terminal or turn a line around are written out."""

from __future__ import annotations

import unicodedata

# Cc control, Cs halves of a character (which no file can hold in UTF-8), Zl and Zp ends of lines and paragraphs.
_COMMANDING = {"Cc", "Cs", "Zl", "Zp"}
# Unicode's Bidi_Control: they show a text in another order than it has.
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LAYOUT = frozenset("\n\t")


def visible(text: str) -> str:
    r"""Return the text with such characters as escapes: `\x1b`, `\u202e`; line breaks and tabs stay.

    Applied once more, it changes nothing.
    """
    if text.isprintable() and _TURNING.isdisjoint(text):
        return text
    return "".join(_escape(character) if _is_hidden(character) else character for character in text)


def _is_hidden(character: str) -> bool:
    if character in _LAYOUT:
        return False
    return character in _TURNING or unicodedata.category(character) in _COMMANDING


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
