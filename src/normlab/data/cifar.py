"""The binary layout of CIFAR-10: records to images."""

from __future__ import annotations

import numpy as np

from normlab.errors import InputError

IMAGE_SHAPE = (32, 32, 3)
_RECORD_BYTES = 1 + 32 * 32 * 3


def parse_cifar(content: bytes, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Images `(n, 32, 32, 3)` uint8, channel last, and labels `(n,)` int32.

    A record is one label byte (0 to 9), then the red, green and blue plane of 32 x 32 bytes each.

    Raises:
        InputError: The size is no multiple of a record, or a label is above 9.
    """
    if len(content) == 0 or len(content) % _RECORD_BYTES:
        raise InputError(
            f"{name} must hold whole records of {_RECORD_BYTES:,} bytes",
            f"{len(content):,} bytes",
            "give the official file",
        )
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, _RECORD_BYTES)
    labels = records[:, 0].astype(np.int32)
    if labels.max() > 9:
        row = int(np.argmax(labels > 9))
        raise InputError(f"labels in {name} must be 0 to 9", f"{labels[row]} in record {row}", "give the official file")
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), labels
