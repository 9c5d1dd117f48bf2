"""Fixtures of the data tests: the real files, and tiny official sources that need none."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from normlab.data.catalog import Content, Source

SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test looks into the user's cache or the folder in NORMLAB_DATA, or through a proxy."""
    monkeypatch.delenv("NORMLAB_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the folder of real data, {SHARED_DATA}, is not there")
    return SHARED_DATA


def _idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def _content(name: str, data: bytes) -> Content:
    return Content(name, len(data), hashlib.sha256(data).hexdigest())


@pytest.fixture
def tiny_idx() -> tuple[Source, dict[str, bytes]]:
    """A source in the idx layout, with 12 and 4 images of 2 x 2, and its contents by name."""
    rng = np.random.default_rng(1)
    arrays = {
        "train-images-idx3-ubyte": rng.integers(0, 256, (12, 2, 2), dtype=np.uint8),
        "train-labels-idx1-ubyte": rng.integers(0, 10, 12, dtype=np.uint8),
        "t10k-images-idx3-ubyte": rng.integers(0, 256, (4, 2, 2), dtype=np.uint8),
        "t10k-labels-idx1-ubyte": rng.integers(0, 10, 4, dtype=np.uint8),
    }
    contents = {name: _idx(array) for name, array in arrays.items()}
    source = Source(
        task="classification",
        kind="idx",
        num_samples=(7, 5, 4),
        input_shape=(2, 2),
        classes=tuple("0123456789"),
        origin="Tiny.",
        licence="none",
        contents=tuple(_content(name, data) for name, data in contents.items()),
        downloads=tuple(f"{name}.gz" for name in contents),
    )
    return source, contents


@pytest.fixture
def tiny_cifar() -> tuple[Source, dict[str, bytes]]:
    """A source in the CIFAR layout, with two files of 3 records, and its contents by name."""
    rng = np.random.default_rng(2)
    contents = {}
    for name in ("data_batch_1.bin", "test_batch.bin"):
        records = rng.integers(0, 256, (3, 3073), dtype=np.uint8)
        records[:, 0] = rng.integers(0, 10, 3)
        contents[name] = records.tobytes()
    source = Source(
        task="classification",
        kind="cifar",
        num_samples=(2, 1, 3),
        input_shape=(32, 32, 3),
        classes=tuple("0123456789"),
        origin="Tiny.",
        licence="none",
        contents=tuple(_content(name, data) for name, data in contents.items()),
        downloads=("cifar-10-binary.tar.gz",),
    )
    return source, contents
