"""How a file gets to the disk: written aside, flushed, renamed, its folder flushed. Nothing else writes records.

Whoever reads sees all of the old file or all of the new one, whenever the writer is stopped; and after a power cut what
was written before the cut is there.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from normlab.errors import InputError

# A file that is being written: `.NAME.PROCESS.aside`. One whose process died is swept away by the next writer.
ASIDE = ".aside"


def write_file(path: Path, content: bytes) -> None:
    """Put a file with this content in place of what is there, if anything.

    Raises:
        OSError: If any step fails; the old file is then as it was, or the new one is there.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}{ASIDE}")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, that outlast a power cut; one that is there stays as it is."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        flush_folder(path.parent)


def remove_file(path: Path) -> None:
    """Remove a file for good, if it is there."""
    if path.exists():
        path.unlink()
        flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Have the disk keep what was made, renamed or removed in a folder."""
    if os.name == "posix":  # elsewhere a folder can't be opened to be flushed
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def require_writable(folder: Path) -> None:
    """Raise `InputError` unless one may write to a folder, or make it: before time is spent on what would go there."""
    with writing_to(folder):
        nearest = folder.absolute()
        while (found := _state(nearest)) is None:
            if nearest.is_symlink():
                raise FileNotFoundError(errno.ENOENT, f"{nearest} is a link to nothing")
            nearest = nearest.parent
        if not stat.S_ISDIR(found.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, f"{nearest} is no folder")
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, f"no permission to write to {nearest}")
        for name in folder.absolute().relative_to(nearest).parts:
            _state(nearest / name)  # raises where no file may have that name


def _state(path: Path) -> os.stat_result | None:
    """Return what the system says of a path; None where nothing is there."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Turn an `OSError` of writing inside the block into one line: what failed, where, and what to do."""
    try:
        yield
    except OSError as error:
        received = f"{folder} ({error.strerror or error})"
        action = "mend that and run again to go on, or choose another --out"
        raise InputError("--out must be writable", received, action) from None
