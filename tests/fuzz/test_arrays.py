"""Fuzzed `.npz` files: headers with any type and shape, archives that are damaged or lie."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from normlab.data import load
from tests.fuzz.damage import RARELY, SIZES, damage
from tests.fuzz.judge import judge, share

NAMES = ("x", "y", "x_train", "y_train", "x_test", "y_test", "x_val", "y_validation", "z", "../x")
TYPES = (
    "<f8",
    "<f4",
    "<f2",
    "|u1",
    "<i8",
    "|b1",
    "<U3",
    "|S2",
    "|O",
    "<c16",
    "<M8[s]",
    "|V4",
    "<U0",
    ">f8",
    "<q8",
    "T",
)
RNG = np.random.default_rng(0)


@st.composite
def headers(draw: st.DrawFn) -> bytes:
    """The header of an .npy file: a literal with plausible fields, or another literal."""
    descr = draw(st.one_of(st.sampled_from(TYPES), st.just([("a", "<f8"), ("b", "|O")]), st.none(), SIZES))
    shape = draw(st.one_of(st.lists(SIZES, max_size=4).map(tuple), st.just((12, 2)), st.just((12,)), SIZES))
    fields = {"descr": descr, "fortran_order": draw(st.sampled_from([False, True, 0, None])), "shape": shape}
    if draw(RARELY):
        fields.pop(draw(st.sampled_from(sorted(fields))))
    text = repr(fields).encode()
    if draw(RARELY):
        text = draw(st.sampled_from([b"(" * 3000, b"-" * 3000 + b"1", b"{", b"[]", b"'", b"12L", b"1\n2", b"\xff"]))
    return text + b"\n"


SOUND = {
    "x": [
        RNG.normal(size=(12, 2)),
        np.arange(48, dtype=np.uint8).reshape(12, 2, 2),
        np.asfortranarray(RNG.random((12, 3))),
    ],
    "y": [np.arange(12) % 2, np.array(["a", "b", "c"] * 4), RNG.normal(size=12), np.arange(12) % 3 == 0],
}
UNSOUND = [
    np.full((12, 2), np.nan),
    np.full((12, 2), 1e300),
    np.zeros(12),
    np.zeros((12, 0)),
    np.zeros((0, 2)),
    np.float64(3.0),
    np.array(["a\x1b"] * 12),
    np.zeros((12, 2), np.complex128),
    np.arange(12),
]


def _saved(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


@st.composite
def members(draw: st.DrawFn, name: str) -> bytes:
    """An .npy file: mostly sound, else damaged, or with such a header before some values."""
    kind = draw(st.integers(0, 9))
    if kind < 7:
        return _saved(draw(st.sampled_from(SOUND.get(name[0], UNSOUND))))
    if kind < 9:
        return draw(damage(_saved(draw(st.sampled_from([*SOUND["x"], *UNSOUND])))))
    header = draw(headers())
    version, width = draw(st.sampled_from([(b"\x01\x00", 2), (b"\x02\x00", 4), (b"\x03\x00", 4)]))
    length = len(header) if draw(st.booleans()) else draw(SIZES)
    values = bytes(draw(st.sampled_from([0, 1, 12, 96, 192])))
    return b"\x93NUMPY" + version + min(length, 256**width - 1).to_bytes(width, "little") + header + values


@st.composite
def archives(draw: st.DrawFn) -> bytes:
    """A .npz file of up to four members."""
    buffer = io.BytesIO()
    pair = draw(st.sampled_from([*[("x", "y")] * 4, ("x_train", "y_train", "x_test", "y_test"), ()]))
    names = pair or draw(st.lists(st.sampled_from(NAMES), max_size=4, unique=True))
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            info = zipfile.ZipInfo(f"{name}.npy")
            info.compress_type = draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
            archive.writestr(info, draw(members(name)))
    return draw(damage(buffer.getvalue())) if draw(RARELY) else buffer.getvalue()


def _of_header(header: bytes) -> bytes:
    """A .npz file whose one array has this header."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    return buffer.getvalue()


@share(0.25)
@given(content=archives(), split_seed=st.integers(0, 2))
@example(content=b"", split_seed=0)
@example(content=_of_header(b"{'descr': ',', 'fortran_order': False, 'shape': (12, 2)}"), split_seed=0)
def test_arrays(content: bytes, split_seed: int, folder: Path) -> None:
    path = folder / "a.npz"
    path.write_bytes(content)
    judge(".npz files", lambda: load(path, split_seed=split_seed))
