"""Turns: the order in which arms that are timed side by side follow each other, balanced over rounds.

The first turn of a round follows other work, and every turn finds the caches as the one before left them. With one
order for all rounds, equal arms would differ by some per cent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Name = TypeVar("Name")

WARM_BATCHES = 1
"""Batches at the start of a turn that train outside the clock: they find threads asleep and caches cold.

With equal networks of a few microseconds per step, the second and third turn of a round took 0.75 and 0.72 times as
long as the first; without the first batch of each turn, 0.96 and 1.01 times.
"""


def turn_order(names: Sequence[Name], number: int) -> list[Name]:
    """Return who comes first, second, ... in round `number` (from 0), a function of these arguments alone.

    The orders are the rows of a Williams design: over k rounds (2k for an odd k) each of the k names comes equally
    often in each position, and within rounds equally often right after each other name. Over fewer rounds no name comes
    twice in a position before each has come once.

    Source: Williams 1949, Australian Journal of Scientific Research A 2, 149-168.
    """
    size = len(names)
    if not size:
        return []
    # 0, 1, k-1, 2, k-2, ...: neighbours differ by every number modulo k once.
    first = [0, *((place + 1) // 2 if place % 2 else size - place // 2 for place in range(1, size))]
    row = [names[(place + number) % size] for place in first]
    is_mirrored = size % 2 == 1 and number // size % 2 == 1
    return row[::-1] if is_mirrored else row


def round_number(chunk: int, epoch: int, num_epochs: int) -> int:
    """Return the number of a round for `turn_order`: rounds that count follow each other through all chunks.

    Args:
        chunk: Position of the chunk among those of its stage, from 0.
        epoch: From 1; the first of several warms up, so its round does not count.
        num_epochs: Of every chunk.
    """
    return chunk if num_epochs == 1 else chunk * (num_epochs - 1) + max(epoch - 2, 0)
