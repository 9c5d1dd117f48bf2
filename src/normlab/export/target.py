"""Where an export goes: made aside, flushed, renamed; what is there already is never touched."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from normlab.errors import InputError
from normlab.store.files import ASIDE, flush_folder, make_folder


@contextmanager
def made_aside(target: Path) -> Iterator[Path]:
    """Yield a path beside the target; what the block puts there, a file or a folder, becomes the target at its end.

    If the block fails, nothing is left; if its process dies, a hidden file that the next export to the same place
    removes.

    Raises:
        InputError: If something is at the target already, or nothing can be written there.
    """
    target = target.absolute()
    aside = target.with_name(f".{target.name}.{os.getpid()}{ASIDE}")
    try:
        _require_free(target)
        make_folder(target.parent)
        _sweep(target)
        try:
            yield aside
            _flush(aside)
            _require_free(target)
            aside.rename(target)
        finally:
            _remove(aside)
        flush_folder(target.parent)
    except OSError as error:
        received = f"{target} ({error.strerror or error})"
        raise InputError("--out must be writable", received, "choose another --out") from None


def _require_free(target: Path) -> None:
    if target.exists() or target.is_symlink():
        raise InputError("an export must go to a new place", f"{target}, which is there", "remove it or choose --out")


def _sweep(target: Path) -> None:
    """Remove what exports to this place left when their processes died."""
    pattern = re.compile(rf"\.{re.escape(target.name)}\.(\d+){re.escape(ASIDE)}")
    for path in target.parent.iterdir():
        found = pattern.fullmatch(path.name)
        if found and not psutil.pid_exists(int(found[1])):
            _remove(path)


def _flush(path: Path) -> None:
    """Have the disk keep a file, or all that is in a folder."""
    if path.is_dir():
        for inner in sorted(path.iterdir()):
            _flush(inner)
        flush_folder(path)
    else:
        with path.open("rb+") as file:
            os.fsync(file.fileno())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
