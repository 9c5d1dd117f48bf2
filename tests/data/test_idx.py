"""The idx parser."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from normlab.data.idx import parse_idx
from normlab.errors import InputError


def test_values_in_c_order() -> None:
    content = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6])
    array = parse_idx(content, 2, "f")
    assert array.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert array.dtype == np.uint8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "magic number 00000801 .*, got nothing"),
        (b"\0\0\x08\x03" + bytes(12), "got 00000803"),
        (b"\0\0\x0d\x01" + bytes(4), "got 00000d01"),
        (b"\0\0\x08\x01\0\0", "in 6 bytes"),
        (b"\0\0\x08\x01" + struct.pack(">I", 2**32 - 1) + bytes(5), "its 5 bytes .* sizes 4294967295"),
        (b"\0\0\x08\x01" + struct.pack(">I", 3) + bytes(5), "its 5 bytes .* sizes 3"),
        (b"\0\0\x08\x01" + bytes(4), "its 0 bytes .* sizes 0"),
    ],
)
def test_headers_that_lie_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_idx(content, 1, "f")


def test_sixteen_bytes_that_promise_billions_of_images() -> None:
    for shape in ((2**32 - 1,) * 3, (0, 2**32 - 1, 2**32 - 1)):
        with pytest.raises(InputError, match="must match its 0 bytes of values"):
            parse_idx(b"\0\0\x08\x03" + struct.pack(">3I", *shape), 3, "f")
