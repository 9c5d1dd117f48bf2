"""Reading official contents: damaged, lying and oversized files."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from normlab.data import contents as contents_module
from normlab.data.catalog import Content, Source
from normlab.data.contents import read_contents, require_content
from normlab.errors import InputError

Tiny = tuple[Source, dict[str, bytes]]
FOLDER = "cifar-10-batches-bin"


def _content(data: bytes) -> Content:
    return Content("f", len(data), hashlib.sha256(data).hexdigest())


def _read(path: Path, content: Content) -> bytes:
    ((_, data),) = read_contents([content], {"f": path})
    require_content(content, data, path)
    return data


def _read_all(source: Source, path: Path) -> None:
    for content, data in read_contents(source.contents, {content.name: path for content in source.contents}):
        require_content(content, data, path)


def _archive(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member, data in members:
            archive.addfile(member, io.BytesIO(data))
    return path


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    return member


GOOD = bytes(range(256)) * 40
ZIPPED = gzip.compress(GOOD)
DAMAGED = [
    ("f", GOOD[:-1], r"must hold 10,240 bytes, got 10,239 bytes"),
    ("f", GOOD + b"x", r"must hold 10,240 bytes, got more than 10,240 bytes"),
    ("f", b"x" + GOOD[1:], r"must have SHA-256 [0-9a-f]{64}, got [0-9a-f]{64};"),
    ("f.gz", ZIPPED[:-20], r"readable to its end, got EOFError"),
    ("f.gz", ZIPPED[:-8] + bytes(8), r"readable to its end, got BadGzipFile: CRC"),
    ("f.gz", ZIPPED[:10] + b"\xff" * 50, r"readable to its end, got error: Error -3"),
    ("f.gz", b"<html>not found</html>", r"readable to its end, got BadGzipFile: Not a gzipped file"),
    ("f.gz", gzip.compress(GOOD[:-1]), r"got 10,239 bytes"),
    ("f.gz", b"", r"got 0 bytes"),
]


@pytest.mark.parametrize(("name", "data"), [("f", GOOD), ("f.gz", ZIPPED), ("f.gz", gzip.compress(GOOD, 1))])
def test_contents_count_and_the_wrapper_does_not(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert _read(path, _content(GOOD)) == GOOD


@pytest.mark.parametrize(("name", "data", "message"), DAMAGED)
def test_damaged_files_are_named_with_what_was_found(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        _read(path, _content(GOOD))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="IsADirectoryError"):
        _read(tmp_path, _content(GOOD))


def test_memory_follows_the_expected_size_not_the_zipped_one(tmp_path: Path) -> None:
    path = tmp_path / "f.gz"
    path.write_bytes(gzip.compress(bytes(30_000_000), 1))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="more than 10,240 bytes"):
            _read(path, _content(GOOD))
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_archive_members_are_read_by_name_wherever_they_are(tmp_path: Path, tiny_cifar: Tiny) -> None:
    source, contents = tiny_cifar
    members = [(_member("readme.html", 4), b"read"), (_member(f"../{FOLDER}/test_batch.bin", 3), b"bad")]
    members += [(_member(f"./{FOLDER}/{name}", len(data)), data) for name, data in reversed(contents.items())]
    path = _archive(tmp_path / "a.tar.gz", members)
    before = sorted(tmp_path.parent.rglob("*"))
    found = {content.name: data for content, data in read_contents(source.contents, dict.fromkeys(contents, path))}
    assert found == contents
    assert sorted(tmp_path.parent.rglob("*")) == before


def _link(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = tarfile.SYMTYPE
    member.linkname = "/etc/hostname"
    return member


@pytest.mark.parametrize(
    "member",
    [
        _member(f"/{FOLDER}/data_batch_1.bin", 0),
        _member(f"{FOLDER}/x/data_batch_1.bin", 0),
        _link(f"{FOLDER}/data_batch_1.bin"),
    ],
    ids=["absolute", "deeper", "link"],
)
def test_other_members_are_not_taken_for_it(tmp_path: Path, tiny_cifar: Tiny, member: tarfile.TarInfo) -> None:
    path = _archive(tmp_path / "a.tar.gz", [(member, b"")])
    with pytest.raises(InputError, match=f"must hold {FOLDER}/data_batch_1.bin"):
        list(read_contents(tiny_cifar[0].contents, dict.fromkeys(tiny_cifar[1], path)))


def test_header_that_promises_more_than_there_is(tmp_path: Path, tiny_cifar: Tiny) -> None:
    source, _ = tiny_cifar
    header = _member(f"{FOLDER}/data_batch_1.bin", 10**12).tobuf()
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(header + bytes(512)))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"a\.tar\.gz"):
            _read_all(source, path)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_archive_that_unzips_to_too_much(tmp_path: Path, tiny_cifar: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents_module, "_ARCHIVE_LIMIT_BYTES", 1_000_000)
    path = _archive(tmp_path / "a.tar.gz", [(_member("zeros", 2_000_000), bytes(2_000_000))])
    with pytest.raises(InputError, match="unzips to more than the official archive holds"):
        list(read_contents(tiny_cifar[0].contents, dict.fromkeys(tiny_cifar[1], path)))


def test_a_member_that_claims_gigabytes_is_not_looked_for(tmp_path: Path, tiny_cifar: Tiny) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(_member("x", 8**11 - 1).tobuf() + bytes(1024)))
    with pytest.raises(InputError, match="ends before its members do"):
        list(read_contents(tiny_cifar[0].contents, dict.fromkeys(tiny_cifar[1], path)))


def _long_name() -> bytes:
    return _special(tarfile.GNUTYPE_LONGNAME, 20_000_000) + bytes(20_000_000)


def _special(kind: bytes, size: int) -> bytes:
    member = _member("x", size)
    member.type = kind
    return member.tobuf(tarfile.GNU_FORMAT)


def _sparse_list() -> bytes:
    """A sparse member whose list of pieces goes on and on."""
    header = bytearray(_special(tarfile.GNUTYPE_SPARSE, 0))
    header[482] = 1
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    pieces = b"%011o " % 1 * 42 + b"\1" + bytes(7)
    return bytes(header) + pieces * 40_000


def _global_names() -> bytes:
    record = b"20000010 comment=" + b"x" * (20_000_010 - 18) + b"\n"
    return _special(tarfile.XGLTYPE, len(record)) + record + bytes(-len(record) % 512)


@pytest.mark.parametrize("headers", [_long_name, _sparse_list, _global_names])
def test_headers_that_go_on_and_on(tmp_path: Path, tiny_cifar: Tiny, headers: Callable[[], bytes]) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(headers() + bytes(1024), 1))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="headers are longer than those of the official archive"):
            list(read_contents(tiny_cifar[0].contents, dict.fromkeys(tiny_cifar[1], path)))
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("cut", [0, 10, 300, 3000])
def test_truncated_archive(tmp_path: Path, tiny_cifar: Tiny, cut: int) -> None:
    source, contents = tiny_cifar
    members = [(_member(f"{FOLDER}/{name}", len(data)), data) for name, data in contents.items()]
    path = _archive(tmp_path / "a.tar.gz", members)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"a\.tar\.gz"):
        _read_all(source, path)
