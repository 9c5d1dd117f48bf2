"""What is said of pairs that cannot decide, by the command and in Python, before anything is trained."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from normlab import compare
from normlab.cli import screen
from normlab.errors import InputError
from normlab.study.design import Study, make_study

ARMS = [{"norm": "none", "name": f"arm {number}"} for number in range(30)]


class _BegunError(Exception):
    """Training would begin here."""


@pytest.fixture(autouse=True)
def _nothing_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_study(*_: Any, **__: Any) -> None:
        raise _BegunError

    monkeypatch.setattr(sys.modules["normlab.compare"], "run_study", run_study)


def _run(study: Study, tmp_path: Path) -> None:
    screen.run_and_show(study, tmp_path / "study")


def test_a_default_that_cannot_decide_is_refused(tmp_path: Path) -> None:
    for begin in (lambda: compare(arms=ARMS), lambda: _run(make_study({"arms": ARMS}), tmp_path)):
        with pytest.raises(InputError, match="give --seeds 11 or --seeds auto"):
            begin()
    assert not (tmp_path / "study").exists()


def test_a_number_that_was_given_is_trained(tmp_path: Path) -> None:
    with pytest.raises(_BegunError):
        _run(make_study({"arms": ARMS, "seeds": 10}), tmp_path)
    with pytest.raises(_BegunError):
        compare(arms=ARMS, seeds=10)


def test_a_study_that_can_decide_is_trained(tmp_path: Path) -> None:
    with pytest.raises(_BegunError):
        _run(make_study({"arms": ARMS[:3]}), tmp_path)
    with pytest.raises(_BegunError):
        compare(arms=ARMS[:3])
