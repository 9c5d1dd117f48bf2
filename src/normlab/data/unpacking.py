"""The bytes of a data file: as they are, or unpacked from gzip or from a zip archive of one file."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from normlab.errors import InputError, listed
from normlab.file_checks import MOST_EXPANSION, SMALL_BYTES, require_modest

_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_UNREADABLE = (OSError, EOFError, RuntimeError, NotImplementedError, ValueError, zipfile.BadZipFile, zlib.error)


class Unpacked(NamedTuple):
    """Content of a file and, where it was compressed, a sentence that says so."""

    content: bytes
    notes: tuple[str, ...]


def read_unpacked(path: Path) -> Unpacked:
    """Read a file; what begins like gzip or zip is unpacked, whatever the file's name.

    Raises:
        InputError: The file can't be read, is damaged, or unpacks to too much; the archive does not hold one file.
    """
    try:
        content = path.read_bytes()
        if content.startswith(_GZIP):
            return Unpacked(_gunzip(content, path), ("The file is compressed with gzip.",))
        if content.startswith(_ZIP):
            return _unzip(content, path)
    except InputError:
        raise
    except _UNREADABLE as error:
        rule = f"{path} must be a readable file"
        raise InputError(rule, f"{type(error).__name__}: {error}", "check the file, or write it again") from error
    return Unpacked(content, ())


def _gunzip(content: bytes, path: Path) -> bytes:
    most = max(SMALL_BYTES, MOST_EXPANSION * len(content))
    with gzip.open(io.BytesIO(content)) as stream:
        unpacked = stream.read(most + 1)
    require_modest(len(unpacked), path, "give it unpacked")
    return unpacked


def _unzip(content: bytes, path: Path) -> Unpacked:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [info for info in archive.infolist() if not _is_incidental(info)]
        if len(members) != 1:
            names = listed(info.filename for info in members)
            rule = f"{path} must hold one file, as a zip archive does that is read as a table"
            raise InputError(rule, f"{len(members)}: {names}" if members else "none", "unpack it and name one file")
        member = members[0]
        require_modest(member.file_size, path, "give it unpacked")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise zipfile.BadZipFile(f"{member.filename} has an unusual compression")
        return Unpacked(
            archive.read(member), (f"The file is a zip archive of {PurePosixPath(member.filename).name!r}.",)
        )


def _is_incidental(info: zipfile.ZipInfo) -> bool:
    """Whether a member is a folder, or what some systems put beside the files."""
    name = PurePosixPath(info.filename)
    return info.is_dir() or name.parts[:1] == ("__MACOSX",) or name.name in (".DS_Store", "Thumbs.db")
