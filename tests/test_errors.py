"""The one error: its message holds rule, value received and next action in one line."""

from __future__ import annotations

import pytest

from normlab.errors import InputError, require_known

MESSAGES = [
    (("a must be b", 3, "give b"), "a must be b, got 3; give b."),
    (("a must be b", "three", "give b."), "a must be b, got three; give b."),
    (("a must be b", [1, "x"], "give b"), "a must be b, got [1, 'x']; give b."),
    (("a must be b", None, "give b"), "a must be b, got None; give b."),
]


@pytest.mark.parametrize(("arguments", "message"), MESSAGES)
def test_the_message_is_rule_value_and_action(arguments: tuple[str, object, str], message: str) -> None:
    error = InputError(*arguments)
    assert str(error) == message
    assert (error.rule, error.received, error.action) == arguments
    assert isinstance(error, ValueError)


@pytest.mark.parametrize("known", [("none", "batch"), {"none": 1, "batch": 2}])
def test_an_unknown_name_lists_the_known_ones(known: object) -> None:
    require_known("norm", "batch", known)
    with pytest.raises(InputError, match=r"^norm must be a known name, got 'bathc'; choose one of none, batch\.$"):
        require_known("norm", "bathc", known)
