"""Arrays from .npz files, sound and not."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from normlab.data import load
from normlab.data.npz import read_npz
from normlab.errors import InputError

X = np.arange(24.0).reshape(12, 2)
Y = np.arange(12) % 2


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_same_data_set_as_from_memory(tmp_path: Path, save: object) -> None:
    path = tmp_path / "mine.npz"
    save(path, x=np.asfortranarray(X), y=Y)  # type: ignore[operator]
    dataset = load(path)
    assert dataset.name == "mine"
    assert dataset.hashes == load((X, Y)).hashes
    assert dataset.description[0] == "Arrays of mine.npz, given by the user."
    assert load(str(path)).hashes == dataset.hashes


def _member(array: np.ndarray, shape: tuple[int, ...]) -> bytes:
    """An .npy file that promises another shape."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": shape}
    )
    return buffer.getvalue() + array.tobytes()


def _write(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (_member(X, (12, 3)), r"header of x\.npy .* must match its size, got shape \(12, 3\)"),
        (_member(X, (10**6, 10**6)), r"must match its size"),
        (_member(X, (-12, -2)), r"readable \.npz file"),
        (_member(X, (12, 2))[:-4], r"must match its size"),
        (b"not an array", r"readable \.npz file, got ValueError"),
        (b"\x93NUMPY\x09\x00" + bytes(30), r"readable \.npz file, got ValueError"),
        (b"", r"readable \.npz file"),
    ],
)
def test_headers_that_lie_cost_no_memory(tmp_path: Path, member: bytes, message: str) -> None:
    path = _write(tmp_path / "a.npz", {"x.npy": member, "y.npy": _member(Y, (12,))})
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=message):
            read_npz(path, ("x", "y"))
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_directory_that_lies_about_the_unzipped_size(tmp_path: Path) -> None:
    data = _member(X, (7 * 10**6,))
    path = _write(tmp_path / "a.npz", {"x.npy": data})
    promised_bytes = len(data) - X.nbytes + 8 * 7 * 10**6
    # The unzipped size stands at byte 24 of the entry in the directory at the end.
    raw = bytearray(path.read_bytes())
    directory = raw.rindex(b"PK\x01\x02")
    raw[directory + 24 : directory + 28] = promised_bytes.to_bytes(4, "little")
    path.write_bytes(raw)
    with pytest.raises(InputError, match=r"must match its size, got .* where [\d,]{7} can be"):
        read_npz(path, ("x",))


def test_directory_that_lies_about_both_sizes(tmp_path: Path) -> None:
    data = _member(X, (7 * 10**6,))
    path = _write(tmp_path / "a.npz", {"x.npy": data, "y.npy": _member(Y, (12,))})
    promised_bytes = len(data) - X.nbytes + 8 * 7 * 10**6
    raw = bytearray(path.read_bytes())
    directory = raw.index(b"PK\x01\x02")
    raw[directory + 20 : directory + 28] = 2 * promised_bytes.to_bytes(4, "little")
    path.write_bytes(raw)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"must match its size, got .* where [\d,]{7} can be"):
            read_npz(path, ("x", "y"))
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_zeros_by_the_gigabyte(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.zeros((9_000_000, 1)), y=Y)
    with pytest.raises(InputError, match=r"must unpack to at most 67,108,864 bytes or 100 times its size, got 72,000"):
        read_npz(path, ("x", "y"))


HEADERS = {
    "values without a size": b"{'descr': '<U0', 'fortran_order': False, 'shape': (10000000000,)}",
    "more than an index": b"{'descr': '<f8', 'fortran_order': False, 'shape': (0, 10000000000000000000000)}",
    "half a literal": b"{'descr': '<f8', 'fortran_order': False, 'shape': (",
    "nested": b"(" * 5000,
    "signs": b"-" * 9000 + b"1",
}


@pytest.mark.parametrize("case", HEADERS)
def test_headers_that_no_array_has(tmp_path: Path, case: str) -> None:
    header = HEADERS[case] + b"\n"
    member = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    path = _write(tmp_path / "a.npz", {"x.npy": member})
    with pytest.raises(InputError, match=r"must be a readable \.npz file"):
        read_npz(path, ("x",))


def test_objects_are_refused_without_unpickling(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=X, y=np.array([{}] * 12, dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"y\.npy .* must not hold Python objects"):
        load(path)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"text"])
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.npz must be a readable \.npz file, got BadZipFile"):
        load(path)


def test_unusual_compression_and_unknown_names_are_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.npz", {"x.npy": _member(X, X.shape)}, zipfile.ZIP_BZIP2)
    with pytest.raises(InputError, match="unusual compression"):
        read_npz(path, ("x",))
    np.savez(tmp_path / "b.npz", x=X, y=Y, x_tset=X)
    with pytest.raises(InputError, match="must have known names, got 'x_tset'"):
        load(tmp_path / "b.npz")


def test_any_damage_is_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=X, y=Y)
    raw, expected = path.read_bytes(), load(path).hashes
    rng = np.random.default_rng(0)
    refused = 0
    for trial in range(150):
        damaged = bytearray(raw)
        for place in rng.integers(0, len(raw), 3):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged[: rng.integers(1, len(raw))] if trial % 2 else damaged)
        try:
            # Some bytes, such as the date, mean nothing: then the arrays must be the same.
            same = load(path).hashes == expected
        except InputError:
            refused += 1
        else:
            assert same
    assert refused > 100
