"""Checks of a file before it is read: it is there, and unpacks to no more than its size allows, inside its folder."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath, PureWindowsPath

from normlab.errors import InputError

# What any file may unpack to, however small it is.
SMALL_BYTES = 64 * 2**20
# Beyond that, this many times its size on disk: zeros deflate by 1,000, images and weights by less than 10.
MOST_EXPANSION = 100


def is_file(path: Path) -> bool:
    """Whether a file is there; False also where the folder may not be read or the name is too long."""
    try:
        return path.is_file()
    except OSError:
        return False


def require_modest(unpacked_bytes: int, path: Path, action: str) -> None:
    """Check how many bytes a file says it unpacks to.

    Args:
        unpacked_bytes: What it declares.
        path: The file.
        action: What to do where it is too much.

    Raises:
        InputError: If it is more than `SMALL_BYTES`, and more than `MOST_EXPANSION` times the size of the file.
    """
    on_disk = path.stat().st_size
    if unpacked_bytes > max(SMALL_BYTES, MOST_EXPANSION * on_disk):
        raise InputError(
            f"{path} must unpack to at most {SMALL_BYTES:,} bytes or {MOST_EXPANSION} times its size",
            f"{unpacked_bytes:,} bytes declared by a file of {on_disk:,}",
            action,
        )


def require_plain_members(archive: zipfile.ZipFile, path: Path, action: str) -> None:
    """Check that a zip archive unpacks to a modest size, inside its folder, and to plain files alone.

    Raises:
        InputError: If it does not: an absolute name, one with `..`, a link, or too many bytes.
    """
    for info in archive.infolist():
        if not _is_inside(info.filename) or _is_special(info):
            rule = f"{path} must hold plain files inside its folder"
            raise InputError(rule, repr(info.filename), action)
    require_modest(sum(info.file_size for info in archive.infolist()), path, action)


def require_true_sizes(archive: zipfile.ZipFile) -> None:
    """Unpack every deflated member in small pieces, without keeping it, so that a size that lies is found out.

    A reader that takes a member as a whole would take the memory that it unpacks to, not what it declares.

    Raises:
        zipfile.BadZipFile: If a member is longer than it declares, or damaged.
    """
    for info in archive.infolist():
        if info.compress_type == zipfile.ZIP_STORED:
            continue
        if info.compress_type != zipfile.ZIP_DEFLATED:
            raise zipfile.BadZipFile(f"{info.filename} has an unusual compression")
        with archive.open(info) as stream:
            while stream.read(2**20):  # what is cut off at the declared size fails its checksum
                pass


def _is_inside(name: str) -> bool:
    """Whether a member's name leads nowhere but into its folder, on any system."""
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    return not (posix.is_absolute() or windows.drive or windows.root or ".." in windows.parts)


def _is_special(info: zipfile.ZipInfo) -> bool:
    """Whether a member says that it is a link, a device or a pipe; 0 says nothing, 4 a folder, 8 a plain file."""
    return info.external_attr >> 28 not in (0, 4, 8)
