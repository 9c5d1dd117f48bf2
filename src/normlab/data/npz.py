"""Arrays from a .npz file, whose headers are checked before memory is taken."""

from __future__ import annotations

import math
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path

import numpy as np

from normlab.errors import InputError, listed
from normlab.file_checks import require_modest

# Deflate cannot shrink data by more than this factor.
_MOST_DEFLATION = 1032
# Headers of .npy files are Python literals with a dtype: what reading them raises is any of the second line.
_UNREADABLE = (
    *(OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error),
    *(ValueError, OverflowError, MemoryError, LookupError, TypeError, SyntaxError, tokenize.TokenError),
)
_AGAIN = "write it again with numpy.savez"


def read_npz(path: Path, known: Collection[str]) -> dict[str, np.ndarray]:
    """Read the arrays of a .npz file by name.

    Args:
        path: The file.
        known: Names that may occur.

    Raises:
        InputError: Not a readable .npz file, an unknown name, an array of objects, or a header that does not match.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            unknown = [name for name in members if name not in known]
            if unknown:
                raise InputError(f"arrays in {path} must have known names", listed(unknown), f"use {', '.join(known)}")
            require_modest(sum(info.file_size for info in members.values()), path, _AGAIN)
            return {name: _read_member(archive, info, path) for name, info in members.items()}
    except InputError:
        raise
    except _UNREADABLE as error:
        raise InputError(
            f"{path} must be a readable .npz file",
            f"{type(error).__name__}: {error}",
            _AGAIN,
        ) from error


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> np.ndarray:
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{info.filename} has an unusual compression")
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in read_header:
            raise ValueError(f"{info.filename} has format version {version}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of headers written by Python 2, which are read all the same
            shape, _, dtype = read_header[version](stream)
        header_bytes = stream.tell()
    if dtype.hasobject:
        raise InputError(
            f"{info.filename} in {path} must not hold Python objects",
            f"dtype {dtype}",
            "convert it to numbers or text, for example with astype(str)",
        )
    if not dtype.itemsize:
        raise ValueError(f"{info.filename} holds values without a size, {dtype}")
    promised_bytes = header_bytes + math.prod(shape) * dtype.itemsize
    # The directory may lie about both sizes; the file cannot about its own.
    stored_bytes = min(info.compress_size, path.stat().st_size)
    possible_bytes = min(info.file_size, _MOST_DEFLATION * (stored_bytes + 1))
    if promised_bytes != info.file_size or promised_bytes > possible_bytes:
        raise InputError(
            f"the header of {info.filename} in {path} must match its size",
            f"shape {shape} of {dtype}, {promised_bytes:,} bytes, where {possible_bytes:,} can be",
            "write the file again with numpy.savez",
        )
    with archive.open(info) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)
