"""Options that count something (units, channels, layers): whole numbers inside bounds."""

from __future__ import annotations

from collections.abc import Sequence

from normlab.errors import InputError

# A GRU of this many units has 1.2 GB of weights: a larger one is a slip of the keyboard.
MAX_SIZE = 10_000


def require_count(name: str, value: object, largest: int) -> None:
    """Raise `InputError` unless the value is a whole number from 1 to `largest`."""
    if not _is_count(value, largest):
        raise InputError(f"{name} must be a whole number from 1 to {largest:,}", value, f"give one up to {largest:,}")


def require_widths(widths: Sequence[object], largest: int, example: str) -> None:
    """Raise `InputError` unless there is at least one width, each a whole number from 1 to `largest`."""
    given = list(widths) if isinstance(widths, list | tuple) else widths
    if not isinstance(given, list) or not given or not all(_is_count(width, largest) for width in given):
        rule = f"widths must hold at least one width, each from 1 to {largest:,}"
        raise InputError(rule, given, f"give counts such as {example}")


def _is_count(value: object, largest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= int(value) <= largest
