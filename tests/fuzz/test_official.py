"""Fuzzed idx and CIFAR files: headers that lie, archives with any members, damaged streams."""

from __future__ import annotations

import gzip
import io
import math
import struct
import tarfile
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from normlab.data.catalog import Content
from normlab.data.cifar import parse_cifar
from normlab.data.contents import read_contents, require_content
from normlab.data.idx import parse_idx
from normlab.errors import InputError
from tests.fuzz.damage import RARELY, SIZES, damage
from tests.fuzz.judge import judge, share

RECORD = bytes([3]) + bytes(3072)
BATCH = "data_batch_1.bin"


def _read(content: Content, path: Path) -> bytes:
    """Read a content from its file; that it is not the official one is told, and does not stop what follows."""
    ((_, data),) = read_contents([content], {content.name: path})
    try:
        require_content(content, data, path)
    except InputError as error:
        assert str(path) in str(error)  # noqa: PT017  # the file is always another one than the official
    return data


@st.composite
def idx_files(draw: st.DrawFn) -> bytes:
    """A magic number, sizes and values that may fit one another."""
    sizes = draw(
        st.lists(SIZES, min_size=3, max_size=3) if draw(st.booleans()) else st.lists(SIZES, min_size=1, max_size=2)
    )
    magic = draw(st.sampled_from([0x0801, 0x0803, 0x0802, 0x0D03, 0x08FF, 0]))
    if not draw(RARELY):
        sizes = [draw(st.integers(1, 5)) for _ in sizes]
        magic = 0x0800 + len(sizes)
    fits = math.prod(sizes) < 200 and not draw(RARELY)
    values = bytes(math.prod(sizes) if fits else draw(st.integers(0, 64)))
    head = struct.pack(f">I{len(sizes)}I", magic, *(size % 2**32 for size in sizes))
    return draw(damage(head + values)) if draw(RARELY) else head + values


@share(0.15)
@given(content=idx_files(), num_dimensions=st.sampled_from([1, 3]), zipped=st.booleans())
@example(content=struct.pack(">I3I", 0x0803, *[2**32 - 1] * 3), num_dimensions=3, zipped=False)
@example(content=struct.pack(">I3I", 0x0803, 0, 2**32 - 1, 2**32 - 1), num_dimensions=3, zipped=True)
def test_idx_files(content: bytes, num_dimensions: int, zipped: bool, folder: Path) -> None:
    path = folder / ("images.gz" if zipped else "images")
    path.write_bytes(gzip.compress(content, 1) if zipped else content)
    judge("idx files", lambda: parse_idx(_read(Content("images", 4096, "0" * 64), path), num_dimensions, "images"))


@share(0.05)
@given(content=idx_files().flatmap(lambda sound: damage(gzip.compress(sound, 1, mtime=0))))
def test_damaged_streams(content: bytes, folder: Path) -> None:
    path = folder / "images.gz"
    path.write_bytes(content)
    judge("idx files", lambda: parse_idx(_read(Content("images", 4096, "0" * 64), path), 3, "images"))


@st.composite
def tar_archives(draw: st.DrawFn) -> bytes:
    """A tar archive of a few members of any type, whose headers may lie."""
    buffer = io.BytesIO()
    for _ in range(draw(st.integers(0, 3))):
        names = [f"cifar-10-batches-bin/{BATCH}", f"../{BATCH}", "x" * 120, BATCH]
        member = tarfile.TarInfo(draw(st.sampled_from(names)))
        types = b"0\x001256DxgLKS7\xff"
        member.type = bytes([draw(st.sampled_from(types))]) if draw(st.booleans()) else tarfile.REGTYPE
        data = draw(st.sampled_from([b"", RECORD, 2 * RECORD, b"20 path=a\n", b"9999999 path=a\n", bytes(600)]))
        member.size = draw(SIZES) % 8**11 if draw(RARELY) else len(data)
        member.linkname = draw(st.sampled_from(["", "/etc/hostname", BATCH]))
        member.pax_headers = draw(st.sampled_from([{}, {"GNU.sparse.map": "0,99999999999"}, {"size": "-1"}]))
        kind = draw(st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
        buffer.write(member.tobuf(kind) + data + bytes(-len(data) % 512))
    buffer.write(bytes(1024))
    return draw(damage(buffer.getvalue())) if draw(RARELY) else buffer.getvalue()


@share(0.12)
@given(content=tar_archives())
def test_cifar_archives(content: bytes, folder: Path) -> None:
    path = folder / "cifar-10-binary.tar.gz"
    path.write_bytes(gzip.compress(content, 1))
    judge("CIFAR files", lambda: parse_cifar(_read(Content(BATCH, 2 * len(RECORD), "0" * 64), path), BATCH))


@share(0.03)
@given(content=st.one_of(damage(2 * RECORD), st.binary(max_size=64).map(lambda part: part + RECORD)))
def test_cifar_records(content: bytes) -> None:
    judge("CIFAR files", lambda: parse_cifar(content, BATCH))
