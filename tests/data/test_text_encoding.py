"""Encodings of text files, told from their bytes."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from normlab.data.text_encoding import to_utf8
from normlab.errors import InputError

PATH = Path("t.csv")
TEXT = "größe,y\n0.5,weiß\n" * 9


@pytest.mark.parametrize(
    ("content", "notes"),
    [
        (TEXT.encode(), ()),
        (codecs.BOM_UTF8 + TEXT.encode(), ()),
        (codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), ("The encoding is UTF-16.",)),
        (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), ("The encoding is UTF-16.",)),
        (TEXT.encode("utf-16-le"), ("The encoding is UTF-16.",)),
        (TEXT.encode("utf-16-be"), ("The encoding is UTF-16.",)),
        (TEXT.encode("utf-32"), ("The encoding is UTF-32.",)),
        (TEXT.encode("latin-1"), ("The encoding is Latin-1.",)),
        (TEXT.replace("\n", "\r").encode(), ("Lines end in carriage returns alone.",)),
        (
            TEXT.replace("\n", "\r").encode("utf-16"),
            ("The encoding is UTF-16.", "Lines end in carriage returns alone."),
        ),
    ],
    ids=lambda value: None,
)
def test_the_text_is_the_same_in_every_encoding(content: bytes, notes: tuple[str, ...]) -> None:
    assert to_utf8(content, PATH) == (TEXT.encode(), notes)


def test_windows_1252_is_told_by_letters_that_latin_1_lacks() -> None:
    text = "preis,y\n5 €,„ja“\n"
    assert to_utf8(text.encode("cp1252"), PATH) == (text.encode(), ("The encoding is Windows-1252.",))


def test_windows_line_ends_stay_for_the_reader_of_rows() -> None:
    assert to_utf8(b"a\r\n1\r\n", PATH) == (b"a\r\n1\r\n", ())


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\xff\xd8", codecs.BOM_UTF16_LE + b"a", b"a,b\n\xe9\x00\x01"])
def test_what_is_no_text_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match=r"t\.csv must be text, got .*; save it as CSV in UTF-8"):
        to_utf8(content, PATH)
