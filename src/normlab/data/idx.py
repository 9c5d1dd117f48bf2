"""The idx format of MNIST and Fashion-MNIST: contents to arrays."""

from __future__ import annotations

import math
import struct

import numpy as np

from normlab.errors import InputError

_UINT8 = 0x08


def parse_idx(content: bytes, num_dimensions: int, name: str) -> np.ndarray:
    """Read an idx file's contents as a uint8 array without copying them.

    Two zero bytes, a type byte (8: uint8), the number of dimensions, then each size as a big-endian 32-bit integer,
    then the values in C order.

    Raises:
        InputError: Another magic number, or sizes that do not match the number of bytes that follow.
    """
    magic = struct.pack(">HBB", 0, _UINT8, num_dimensions)
    header_bytes = 4 + 4 * num_dimensions
    if content[:4] != magic or len(content) < header_bytes:
        raise InputError(
            f"{name} must start with the idx magic number {magic.hex()} and {num_dimensions} sizes",
            f"{content[:4].hex() or 'nothing'} in {len(content)} bytes",
            "give the official file",
        )
    shape = struct.unpack(f">{num_dimensions}I", content[4:header_bytes])
    if 0 in shape or math.prod(shape) != len(content) - header_bytes:
        raise InputError(
            f"the sizes in the header of {name} must match its {len(content) - header_bytes} bytes of values",
            f"sizes {' x '.join(map(str, shape))}",
            "give the official file",
        )
    return np.frombuffer(content, dtype=np.uint8, offset=header_bytes).reshape(shape)
