"""The command `normlab claims`: what it prints and leaves, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from normlab.claims.session import choose
from normlab.claims.table import CLAIMS
from normlab.report.claims_page import read_claims, render_claims, shown_effect
from tests.command import command, refused


def test_an_exact_claim_from_command_to_page(tmp_path: Path) -> None:
    out = tmp_path / "out"
    ended = command("claims", "output-moments", "--network", "widths=8", "--out", out)
    assert ended.status == 0, ended.err
    assert "1 of 1: output-moments: supported" in ended.err
    (card,) = json.loads((out / "claims.json").read_text())["claims"]
    assert ended.out.splitlines()[:2] == [
        f"output-moments         supported       {shown_effect(card)}",
        f"    {card['metric']}",
    ]
    content = json.loads((out / "claims.json").read_text())
    assert content["complete"]
    assert [card["id"] for card in content["claims"]] == ["output-moments"]
    assert (out / "evidence" / "output-moments.parquet").is_file()
    page = (out / "claims.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 1
    assert "Supported here:" in page


def test_the_page_escapes_and_says_what_is_missing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert command("claims", "output-moments", "--out", out).status == 0
    content = read_claims(out / "claims.json")
    card = {**content["claims"][0], "verdict": "refuted", "answer": "<b>no</b>", "conditions": "at <4>"}
    page = render_claims({**content, "complete": False, "claims": [card]})
    assert "&lt;b&gt;no&lt;/b&gt;" in page
    assert "<b>no" not in page
    assert "Refuted here:" in page
    assert "1 refuted" in page
    assert "Interrupted" in page


WRONG = {
    "claim": (("nope",), "claim must be a known name", "'nope'", "choose one of"),
    "budget": (("--budget", "huge"), "budget must be a known name", "'huge'", "quick, full"),
    "model": (("--model", "mpl"), "model must be a known name", "'mpl'", "choose one of mlp"),
    "network": (("--network", "depht=3"), "every setting must be a known one", "network.depht", "choose among"),
    "data": (("--data", "minst"), "data must be a known name", "'minst'", "choose one of digits"),
    "folder": (("--out", "."), "must be new or empty", ".", "choose another --out"),
}


@pytest.mark.parametrize("case", WRONG)
def test_refusals(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "file").touch()
    monkeypatch.chdir(tmp_path / "here")
    arguments, rule, received, action = WRONG[case]
    refused(command("claims", *arguments), rule, received, action)
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["file"]


def test_claims_come_in_the_tables_order_whatever_was_asked() -> None:
    names = list(CLAIMS)
    assert [claim.id for claim in choose([])] == names
    assert [claim.id for claim in choose([names[-1], names[0]])] == [names[0], names[-1]]
    assert all(CLAIMS[name].id == name for name in names)
