"""Compressed data files."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pytest

from normlab.data.unpacking import read_unpacked
from normlab.errors import InputError

TEXT = b"a,y\n1,2\n"


def _zip(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_content_is_the_same_however_it_is_packed(tmp_path: Path) -> None:
    plain, gzipped = tmp_path / "t.csv", tmp_path / "t.csv.gz"
    plain.write_bytes(TEXT)
    gzipped.write_bytes(gzip.compress(TEXT[:3]) + gzip.compress(TEXT[3:]))
    zipped = _zip(tmp_path / "t.zip", **{"folder/t.csv": TEXT, "__MACOSX/._t.csv": b"x", "folder/.DS_Store": b"x"})
    assert read_unpacked(plain) == (TEXT, ())
    assert read_unpacked(gzipped) == (TEXT, ("The file is compressed with gzip.",))
    assert read_unpacked(zipped) == (TEXT, ("The file is a zip archive of 't.csv'.",))


def test_an_archive_must_hold_one_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must hold one file, .* got 2: 'a.csv', 'b.csv'; unpack it"):
        read_unpacked(_zip(tmp_path / "t.zip", **{"a.csv": TEXT, "b.csv": TEXT}))
    with pytest.raises(InputError, match=r"must hold one file, .* got none"):
        read_unpacked(_zip(tmp_path / "n.zip", **{"a/.DS_Store": TEXT}))


def test_what_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(bytes(2**26 + 2)))
    with pytest.raises(InputError, match="must unpack to at most"):
        read_unpacked(path)
    with pytest.raises(InputError, match="must unpack to at most"):
        read_unpacked(_zip(tmp_path / "t.zip", **{"t.csv": bytes(2**26 + 2)}))


@pytest.mark.parametrize("damaged", [gzip.compress(TEXT)[:-9], b"\x1f\x8b\x00", b"PK\x03\x04abc"])
def test_damaged_archives(tmp_path: Path, damaged: bytes) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=r"t\.csv\.gz must be a readable file"):
        read_unpacked(path)
