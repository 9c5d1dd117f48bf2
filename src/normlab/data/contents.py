"""Bytes of the official files: read without trusting their headers, then checked against size and SHA-256."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, cast

from normlab.data.catalog import DATASETS, Content
from normlab.data.locate import CIFAR_FOLDER
from normlab.errors import InputError

# tarfile raises a plain ValueError for some malformed headers.
_UNREADABLE = (OSError, EOFError, zlib.error, tarfile.TarError, ValueError)
# The official archive unzips to 184 MB. Headers in a tar file can ask for any amount; no more than this is unzipped.
_ARCHIVE_LIMIT_BYTES = 256 * 2**20
# Names and lists in headers are read as a whole; those of the official archive are 512 bytes a member.
_MOST_HEADER_BYTES = 2**20
# A sound archive is read to its end and no further; tarfile would go on until a size that a header claims is reached.
_MOST_READS_AT_END = 100


def read_contents(contents: Iterable[Content], files: dict[str, Path]) -> Iterator[tuple[Content, bytes]]:
    """Yield each content with its bytes (at most one more than expected), unchecked; an archive is read in one pass.

    Raises:
        InputError: A file cannot be read: truncated, corrupt, or without the content.
    """
    archives: dict[Path, dict[str, Content]] = {}
    for content in contents:
        path = files[content.name]
        if path.name.endswith(".tar.gz"):
            archives.setdefault(path, {})[content.name] = content
        else:
            yield content, _read_file(path, content)
    for path, wanted in archives.items():
        yield from _read_archive(path, wanted)


def require_content(content: Content, data: bytes, path: Path) -> None:
    """Check `data` against the content's size and SHA-256.

    Raises:
        InputError: They differ.
    """
    if len(data) != content.num_bytes:
        found = f"more than {content.num_bytes:,}" if len(data) > content.num_bytes else f"{len(data):,}"
        raise InputError(
            f"{content.name} in {path} must hold {content.num_bytes:,} bytes",
            f"{found} bytes",
            "delete the file and get it again",
        )
    found = hashlib.sha256(data).hexdigest()
    if found != content.sha256:
        owners = [name for name, source in DATASETS.items() if found in {other.sha256 for other in source.contents}]
        raise InputError(
            f"the contents of {content.name} in {path} must have SHA-256 {content.sha256}",
            found + (f" (the file of {owners[0]})" if owners else ""),
            "delete the file and get it again" if not owners else "give the data set a folder of its own name",
        )


def _read_file(path: Path, content: Content) -> bytes:
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as zipped:
                return zipped.read(content.num_bytes + 1)
        with path.open("rb") as plain:
            return plain.read(content.num_bytes + 1)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error


def _read_archive(path: Path, wanted: dict[str, Content]) -> Iterator[tuple[Content, bytes]]:
    missing = dict(wanted)
    try:
        with gzip.open(path) as unzipped:
            bounded = _Bounded(unzipped, _ARCHIVE_LIMIT_BYTES)
            bounded.allow(0)
            with tarfile.open(fileobj=cast(IO[bytes], bounded), mode="r|") as archive:
                for member in archive:
                    bounded.allow(member.size if member.isreg() else 0)
                    content = missing.get(_member_name(member))
                    if content is None:
                        continue
                    stream = archive.extractfile(member)
                    if stream is None:
                        continue
                    del missing[content.name]
                    yield content, stream.read(content.num_bytes + 1)
                    if not missing:
                        return
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    raise InputError(
        f"{path} must hold {CIFAR_FOLDER}/{next(iter(missing))}",
        "an archive without it",
        "give the official archive of the binary version",
    )


def _member_name(member: tarfile.TarInfo) -> str:
    """File name of a plain member inside the CIFAR folder, else "". Nothing is extracted, so no path is followed."""
    path = PurePosixPath(member.name)
    plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE)
    return path.name if plain and path.parts[:-1] == (CIFAR_FOLDER,) else ""


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path} must be readable to its end",
        f"{type(error).__name__}: {error}",
        "delete the file and get it again if it is damaged",
    )


class _Bounded:
    """A stream that ends with an error after `limit` bytes, or after more than was allowed for the next member."""

    def __init__(self, stream: gzip.GzipFile, limit: int) -> None:
        self._stream = stream
        self._left = limit
        self._allowed = 0
        self._reads_at_end = 0

    def allow(self, num_bytes: int) -> None:
        """Allow as many bytes of a member, and the headers of the next one; what was allowed before is void."""
        self._allowed = num_bytes + _MOST_HEADER_BYTES

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        self._allowed -= len(data)
        self._reads_at_end += not data
        if self._reads_at_end > _MOST_READS_AT_END:
            raise tarfile.ReadError("ends before its members do")
        if self._left < 0:
            raise tarfile.ReadError("unzips to more than the official archive holds")
        if self._allowed < 0:
            raise tarfile.ReadError("its headers are longer than those of the official archive")
        return data
