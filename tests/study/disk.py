"""A disk that fails, or loses its power, at the n-th operation: what reaches it is counted, and what would outlast.

All that normlab writes goes through a handful of calls of the system. Inside `Disk.in_place` they are counted; at the
chosen one the disk fails, or the process ends there: from then on nothing is written, not even by what cleans up.
`Disk.after_the_cut` is the folder as the worst disk may show it when the power is back: names as they were when their
folder was last flushed (or as they are: a disk may keep names and lose contents), and of each file what was flushed.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

ERRORS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO, "short write": errno.ENOSPC}
End = Literal["", "before", "after", "ENOSPC", "EIO", "short write"]


class PowerCutError(BaseException):
    """The process ends here."""


class Disk:
    """The disk under one folder.

    Args:
        folder: Where a study is.
        at: Number of the operation at which something happens, from 0; None for never.
        end: The process ends before or after that operation (in the middle of a write), or it fails with this error.
    """

    def __init__(self, folder: Path, at: int | None = None, end: End = "") -> None:
        self.folder, self.at, self.end = folder, at, end
        self.operations: list[str] = []
        self.is_cut = False
        self.contents: dict[int, bytes] = {}  # by inode, as last flushed
        self.names: dict[Path, dict[str, int]] = {}  # by folder, as last flushed: name to inode

    @contextmanager
    def in_place(self) -> Iterator[Disk]:
        """Put this disk under all that is written inside the block."""
        fsync, replace, unlink, mkdir, path_open = os.fsync, os.replace, os.unlink, os.mkdir, Path.open

        def watched_open(path: Path, mode: str = "r", *more: Any, **named: Any) -> Any:
            if "w" not in mode or not self._mine(path):
                return path_open(path, mode, *more, **named)
            return _File(self, self._do(f"open {path.name}", lambda: path_open(path, mode, *more, **named)))

        def watched_fsync(descriptor: int) -> None:
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            if self._mine(path):
                self._do(f"fsync {path.name}", lambda: self._flush(path))
            else:
                fsync(descriptor)

        def watched(name: str, call: Any) -> Any:
            def do(path: Any, *more: Any, **named: Any) -> Any:
                if not self._mine(Path(path)) or (name == "mkdir" and Path(path).exists()):
                    return call(path, *more, **named)  # a folder that is there reaches no disk
                if name != "mkdir":
                    self._keep_number(Path(more[0] if more else path))
                return self._do(f"{name} {Path(path).name}", lambda: call(path, *more, **named))

            return do

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Path, "open", watched_open)
            patched.setattr(os, "fsync", watched_fsync)
            for name, call in (("replace", replace), ("unlink", unlink), ("mkdir", mkdir)):
                patched.setattr(os, name, watched(name, call))
            yield self

    def after_the_cut(self, folder: Path, *, names_outlast: bool) -> None:
        """Write what outlasts a power cut into a new folder."""
        self._show(self.folder, folder, names_outlast)

    def _show(self, source: Path, target: Path, names_outlast: bool) -> None:
        target.mkdir(parents=True)
        there = {entry.name: entry.inode() for entry in os.scandir(source)} if source.is_dir() else {}
        for name, inode in (there if names_outlast else self.names.get(source, {})).items():
            if (source / name).is_dir() or source / name in self.names:
                self._show(source / name, target / name, names_outlast)
            else:
                (target / name).write_bytes(self.contents.get(inode, b""))

    def _mine(self, path: Path) -> bool:
        return path.is_relative_to(self.folder) and path.name != ".lock"

    def _keep_number(self, path: Path) -> None:
        """Keep the inode of a file that goes: another file with its number would be taken for it."""
        if path.exists():
            kept = self.folder.parent / f".{self.folder.name}-gone"
            kept.mkdir(exist_ok=True)
            os.link(path, kept / str(len(list(kept.iterdir()))))

    def _flush(self, path: Path) -> None:
        if path.is_dir():
            self.names[path] = {entry.name: entry.inode() for entry in os.scandir(path) if entry.name != ".lock"}
        else:
            self.contents[path.stat().st_ino] = path.read_bytes()

    def _do(self, operation: str, do: Any) -> Any:
        if self.is_cut:
            raise PowerCutError
        is_now = len(self.operations) == self.at
        self.operations.append(operation)
        if not is_now:
            return do()
        if self.end in ERRORS:
            raise OSError(ERRORS[self.end], os.strerror(ERRORS[self.end]))
        self.is_cut = True
        if self.end == "after":
            made = do()
            if hasattr(made, "close"):
                made.close()
        raise PowerCutError


class _File(io.RawIOBase):
    """A file whose writes are operations; a write that is cut short leaves half of it."""

    def __init__(self, disk: Disk, file: Any) -> None:
        self.disk, self.file = disk, file

    def write(self, content: Any) -> int:
        disk = self.disk
        is_torn = len(disk.operations) == disk.at and disk.end in ("short write", "after")
        if is_torn:
            self.file.write(content[: len(content) // 2])
            self.file.flush()
        return int(disk._do("write", lambda: 0 if is_torn else self.file.write(content)))

    def flush(self) -> None:
        if not self.file.closed:
            self.file.flush()

    def fileno(self) -> int:
        return int(self.file.fileno())

    def close(self) -> None:
        if not self.file.closed:
            self.file.close()
        super().close()
