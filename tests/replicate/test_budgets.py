"""The budget that a replication runs with where none is asked for."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from normlab.replicate.replication import Checked, Setting
from normlab.replicate.table import REPLICATIONS
from tests.command import command, refused

PAGE = Path(__file__).resolve().parents[2] / "docs" / "replications.md"
# `normlab replicate notebook` and `gradient-rate` are documented as they stand: with the figures of `full`.
FULL = {"notebook", "gradient-rate"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return, by name, the budget that each replication was run with; none is run in earnest."""
    budgets: dict[str, str] = {}

    def pretend(name: str) -> None:
        def run(setting: Setting) -> list[Checked]:
            budgets[name] = setting.budget
            return [Checked("figure", "1", "1", "0", True)]

        monkeypatch.setitem(REPLICATIONS, name, dataclasses.replace(REPLICATIONS[name], run=run))

    for name in REPLICATIONS:
        pretend(name)
    return budgets


def test_hours_are_spent_only_where_they_are_asked_for(asked: dict[str, str]) -> None:
    assert command("replicate", "all").status == 0
    assert asked == {name: "full" if name in FULL else "quick" for name in REPLICATIONS}


@pytest.mark.parametrize("budget", ["quick", "full"])
def test_a_budget_that_is_asked_for_goes_to_every_replication(budget: str, asked: dict[str, str]) -> None:
    assert command("replicate", "all", "--budget", budget).status == 0
    assert asked == dict.fromkeys(REPLICATIONS, budget)


def test_an_unknown_budget_is_refused(asked: dict[str, str]) -> None:
    refused(command("replicate", "notebook", "--budget", "fast"), "budget must be a known name", "fast", "quick, full")
    assert asked == {}


def test_the_page_says_which_budget_is_the_default() -> None:
    """In its table of times the default stands in bold."""
    rows = re.findall(r"^\| `([\w-]+)` \| ([^|]+) \| ([^|]+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    bold = {name: "full" if "**" in full else "quick" for name, quick, full in rows if "**" in quick + full}
    assert bold == {name: one.usual for name, one in REPLICATIONS.items()}
