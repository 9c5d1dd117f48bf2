"""The one error that a user's input can cause: it names the rule, the value received and the next action."""

from __future__ import annotations

from collections.abc import Iterable

# Longer parts of a message are cut in the middle, so that it stays one line that can be read.
MOST_CHARACTERS = 2_000
MOST_NAMES = 20


class InputError(ValueError):
    """What the user gave breaks a rule.

    The message is one line, `rule, got received; action.`; the command line prints it and exits with status 2.

    Args:
        rule: What must hold, as a clause: "batch size must be at least 1".
        received: The value that broke it; shown as Python writes it unless it is text.
        action: What to do next, as an imperative: "choose a size from 1 to 1077".
    """

    def __init__(self, rule: str, received: object, action: str) -> None:
        self.rule = rule
        self.received = received
        self.action = action
        given = received if isinstance(received, str) else shown(received)
        super().__init__(f"{_cut(rule)}, got {_cut(given)}; {_cut(action.rstrip('.'))}.")


def shown(value: object) -> str:
    """Return the value as Python writes it; an integer of thousands of digits, which Python refuses to, by its type."""
    try:
        return repr(value)
    except ValueError:
        return f"{type(value).__name__} with a number of more digits than can be shown"


def listed(names: Iterable[str]) -> str:
    """Return names in quotes between commas; of many, the first and how many more there are."""
    quoted = [repr(name) for name in names]
    more = f" and {len(quoted) - MOST_NAMES} more" if len(quoted) > MOST_NAMES else ""
    return ", ".join(quoted[:MOST_NAMES]) + more


def require_known(kind: str, name: str, known: object) -> None:
    """Raise `InputError` unless `name` is in `known` (any container of names), listing the known ones."""
    names = list(known)  # type: ignore[call-overload]
    if name not in names:
        raise InputError(f"{kind} must be a known name", repr(name), f"choose one of {', '.join(names)}")


def _cut(text: str) -> str:
    """Return the text, without its middle where it is long."""
    half = MOST_CHARACTERS // 2
    return text if len(text) <= MOST_CHARACTERS else f"{text[:half]}[...]{text[-half:]}"
