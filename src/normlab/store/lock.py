"""One writer to a folder: the system's own lock on a file, which ends with its process, however that ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from normlab.errors import InputError

LOCK = ".lock"
# `is_held` holds the lock for an instant; whoever comes in that instant waits it out.
INSTANT_SECONDS, POLL_SECONDS = 0.1, 0.02


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Be the only writer to a folder inside the block.

    A process that was stopped still holds its lock; one that died does not. The file stays: removing it would let two
    writers lock two files of one name.

    Raises:
        InputError: At once, if another process writes there.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=INSTANT_SECONDS, poll_interval=POLL_SECONDS)
    except Timeout:
        raise in_use(folder) from None
    try:
        yield
    finally:
        lock.release()


def is_held(folder: Path) -> bool | None:
    """Return whether a process is writing to a folder now; None where that can't be known, in one only to be read."""
    from filelock import FileLock, Timeout

    if not (folder / LOCK).exists():
        return False
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=INSTANT_SECONDS, poll_interval=POLL_SECONDS)
    except Timeout:
        return True
    except OSError:
        return None
    lock.release()
    return False


def in_use(folder: Path) -> InputError:
    """Return the line that refuses a second writer."""
    action = "wait until that one ends, or choose another --out"
    return InputError("one process at a time may run a study in --out", f"{folder} in use", action)
