"""What the sizes of a network must be: whole numbers within bounds."""

from __future__ import annotations

from collections.abc import Mapping

from normlab.errors import InputError

# A GRU of this many units has 1.2 GB of weights: a larger one is a slip of the keyboard.
MAX_SIZE = 10_000


def require_sizes(sizes: Mapping[str, object]) -> None:
    """Raise `InputError` unless every size, by its name, is a whole number from 1 to `MAX_SIZE`."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= MAX_SIZE:
            raise InputError(f"{name} must be a whole number from 1 to {MAX_SIZE:,}", size, "give a count within these")
