"""Ctrl-C: the first asks to stop at the next pause, where a checkpoint is written; the second stops at once.

An exception that Python raises wherever the program happens to be can be lost: what calls back from compiled code may
ignore it. A flag is not.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


def never() -> bool:
    """Nobody asks to stop."""
    return False


@contextmanager
def asking_to_stop() -> Iterator[Callable[[], bool]]:
    """Yield what tells whether Ctrl-C was pressed inside the block.

    Only in the main thread, and where Ctrl-C is not ignored; the second goes to the handler that was there before.

    Raises:
        KeyboardInterrupt: At the end of a block that did not notice.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield never
        return
    asked = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            before(number, frame)
        asked.set()

    signal.signal(signal.SIGINT, ask)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)
    if asked.is_set():
        raise KeyboardInterrupt
