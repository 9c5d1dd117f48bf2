"""What a study may use: memory, time, and how much work a sudden end may cost. Less memory means smaller chunks."""

from __future__ import annotations

import re
from dataclasses import dataclass

from normlab.errors import InputError

CHECKPOINT_SECONDS = 30.0
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@dataclass(frozen=True)
class Limits:
    """Limits of one start of a study.

    Attributes:
        memory_bytes: Of the process on a CPU, of each device elsewhere; None for what there is.
        seconds: Of wall time, after which the study stops at the next pause, with a checkpoint; None for all it takes.
        checkpoint_seconds: Of work between two checkpoints.
    """

    memory_bytes: int | None = None
    seconds: float | None = None
    checkpoint_seconds: float = CHECKPOINT_SECONDS


def make_limits(
    max_memory: str | int | None = None, max_hours: float | None = None, checkpoint_seconds: float = CHECKPOINT_SECONDS
) -> Limits:
    """Return limits as a command or a caller gives them.

    Args:
        max_memory: Bytes, or text such as 4G or 512M (powers of 1024).
        max_hours: Hours of wall time.
        checkpoint_seconds: Seconds of work between checkpoints.

    Raises:
        InputError: For what is no such amount.
    """
    if max_hours is not None and not 0 < max_hours < float("inf"):
        raise InputError("--max-hours must be above 0", max_hours, "give hours such as 1.5")
    if not 0 < checkpoint_seconds < float("inf"):
        raise InputError("--checkpoint-seconds must be above 0", checkpoint_seconds, "give seconds such as 30")
    seconds = None if max_hours is None else 3600 * max_hours
    return Limits(None if max_memory is None else _bytes(max_memory), seconds, checkpoint_seconds)


def _bytes(amount: str | int) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", str(amount).strip(), re.IGNORECASE | re.ASCII)
    number = 0 if found is None else int(float(found[1]) * UNITS[found[2].upper()])
    if number < 1:
        raise InputError("--max-memory must be an amount of memory", repr(amount), "give such as 4G or 512M")
    return number
