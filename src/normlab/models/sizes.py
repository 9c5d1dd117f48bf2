"""What the sizes of a network must be: whole numbers of at least one."""

from __future__ import annotations

from collections.abc import Mapping

from normlab.errors import InputError


def require_sizes(sizes: Mapping[str, object]) -> None:
    """Raise `InputError` unless every size, by its name, is a whole number of at least 1."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise InputError(f"{name} must be a whole number of at least 1", size, "give a positive count")
