"""The parser of CIFAR-10's binary layout."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.data.cifar import parse_cifar
from normlab.errors import InputError


def test_planes_become_channels() -> None:
    planes = np.arange(2 * 3072).reshape(2, 3072).astype(np.uint8)
    content = b"".join(bytes([label]) + plane.tobytes() for label, plane in zip((7, 2), planes, strict=True))
    images, labels = parse_cifar(content, "f")
    assert labels.tolist() == [7, 2]
    assert images.shape == (2, 32, 32, 3)
    assert images.dtype == np.uint8
    for record, row, column, channel in [(0, 0, 0, 0), (0, 31, 5, 1), (1, 3, 30, 2), (1, 0, 1, 0)]:
        assert images[record, row, column, channel] == planes[record, channel * 1024 + row * 32 + column]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "got 0 bytes"), (bytes(3072), "got 3,072 bytes"), (bytes(3073) + b"\x0a" + bytes(3072), "10 in record 1")],
)
def test_records_that_are_not_whole_or_not_labelled_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_cifar(content, "f")
