"""The judge can fail: memory beyond what is stated, another error, a message that is no line."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.errors import InputError
from tests.fuzz import judge


@pytest.fixture(autouse=True)
def _own_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is judged here is not counted among the inputs tried."""
    for name in ("results", "refusals", "peaks"):
        monkeypatch.setattr(judge, name, type(judge.results)())


@pytest.mark.parametrize("measured_by", ["the kernel", "tracemalloc"])
def test_memory_beyond_what_is_stated_is_found(measured_by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if measured_by == "tracemalloc":
        monkeypatch.setattr(judge.os, "access", lambda path, mode: False)
    judge.judge("arrays", lambda: np.ones(10 * 2**20, np.uint8).sum())
    with pytest.raises(AssertionError, match="bytes taken"):
        judge.judge("arrays", lambda: np.ones(judge.MOST_BYTES + 10 * 2**20, np.uint8).sum())


def test_other_errors_pass_through() -> None:
    with pytest.raises(KeyError):
        judge.judge("names", lambda: {}["a"])


def test_what_was_tried_is_counted() -> None:
    def refuse() -> None:
        raise InputError("a must be b", 3, "give b")

    judge.judge("letters", refuse)
    judge.judge("letters", lambda: None)
    assert judge.line().startswith("inputs tried: 2, other errors: 0, most memory ")
    assert judge.line().endswith("MiB over the start: letters 2 (1 refused)")
