"""What the tests of reliability tried, counted for the line that ends a run of them."""

from __future__ import annotations

COUNTS: dict[str, int] = {}


def count(what: str, number: int) -> None:
    """Add to a count; called once what was tried went well."""
    COUNTS[what] = COUNTS.get(what, 0) + number


def lines() -> list[str]:
    """Return a line for each count."""
    return [f"{what}: {number:,}" for what, number in COUNTS.items()]
