"""The names that Keras gives to layers by itself: the class in snake case, and a number from the second on."""

from __future__ import annotations

import re


def automatic_number(name: str, kind: type) -> int | None:
    """Return the number in a name that Keras may have given to an instance of a class; None if the user gave it.

    `dense` counts as 0 and `dense_7` as 7 for `Dense`.
    """
    found = re.fullmatch(rf"{re.escape(snake_case(kind.__name__))}(?:_(\d+))?", name)
    return int(found[1] or 0) if found else None


def snake_case(name: str) -> str:
    """Return Keras's automatic name for a class: `BatchNormalization` gives `batch_normalization`."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
