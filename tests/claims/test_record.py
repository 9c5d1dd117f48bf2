"""A session of claims that was stopped, or asked for more: what is on record and whole is not measured again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from normlab.claims.bench import Bench
from normlab.claims.record import Record
from normlab.claims.table import CLAIMS
from normlab.errors import InputError
from normlab.store.seals import read_sealed_json
from normlab.study.store import DamageWarning
from tests.command import Ended, command, refused

FIRST, SECOND = "redundant-bias", "output-moments"


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace what two claims measure by evidence as `output-moments` gives it; tells which were measured."""
    told: list[str] = []
    real = CLAIMS[SECOND]

    def planted(name: str) -> None:
        def measure(bench: Bench) -> pl.DataFrame:
            told.append(name)
            return real.measure(bench)

        claim = replace(CLAIMS[name], measure=measure, judge=real.judge, draw=real.draw)
        monkeypatch.setitem(CLAIMS, name, claim)

    planted(FIRST)
    planted(SECOND)
    return told


def _claims(out: Path, *arguments: str) -> Ended:
    return command("claims", *arguments, "--network", "widths=8", "--out", out)


def _cards(out: Path) -> dict[str, dict[str, object]]:
    return {card["id"]: card for card in read_sealed_json(out / "claims.json")["claims"]}


def test_the_same_session_goes_on_and_measures_what_is_not_there(tmp_path: Path, measured: list[str]) -> None:
    out = tmp_path / "out"
    assert _claims(out, SECOND).status == 0
    before = _cards(out)
    ended = _claims(out, FIRST, SECOND)
    assert ended.status == 0, ended.err
    assert measured == [SECOND, FIRST]
    assert _cards(out)[SECOND] == before[SECOND]
    assert list(_cards(out)) == [FIRST, SECOND]
    assert read_sealed_json(out / "claims.json")["complete"]


def test_what_was_interrupted_goes_on(tmp_path: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    whole = CLAIMS[SECOND]

    def stop(_: Bench) -> pl.DataFrame:
        raise KeyboardInterrupt

    monkeypatch.setitem(CLAIMS, SECOND, replace(whole, measure=stop))
    ended = _claims(out, FIRST, SECOND)
    assert (ended.status, measured) == (130, [FIRST])
    assert f"the same command with --out {out} goes on" in ended.err
    assert list(_cards(out)) == [FIRST]
    assert not read_sealed_json(out / "claims.json")["complete"]
    monkeypatch.setitem(CLAIMS, SECOND, whole)
    assert _claims(out, FIRST, SECOND).status == 0
    assert measured == [FIRST, SECOND]


def test_evidence_that_is_not_whole_is_named_and_measured_again(tmp_path: Path, measured: list[str]) -> None:
    out = tmp_path / "out"
    assert _claims(out, SECOND).status == 0
    path = out / "evidence" / f"{SECOND}.parquet"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    ended = _claims(out, SECOND)
    assert (ended.status, measured) == (0, [SECOND, SECOND])
    assert f"{SECOND}.parquet is damaged: its sha256 does not match" in ended.err.replace("\n", " ")
    assert path.read_bytes() == content


def test_another_session_is_refused_with_what_differs(tmp_path: Path, measured: list[str]) -> None:
    out = tmp_path / "out"
    assert _claims(out, SECOND).status == 0
    before = (out / "claims.json").read_bytes()
    ended = command("claims", SECOND, "--network", "widths=9", "--out", out)
    refused(ended, "--out must be a new folder or hold these same claims", "differ in network.widths", "another --out")
    assert (out / "claims.json").read_bytes() == before
    (out / "claims.json").write_text(json.dumps({"claims": []}))
    refused(_claims(out, SECOND), "claims to go on with must be whole", "is damaged", "choose another --out")
    assert measured == [SECOND]


def test_one_session_at_a_time(tmp_path: Path) -> None:
    first, second = Record(tmp_path), Record(tmp_path)
    with (
        first.opened({"data": 1}, {}),
        pytest.raises(InputError, match="one process at a time"),
        second.opened({"data": 1}, {}),
    ):
        pass


def test_damage_is_a_warning_and_what_is_gone_is_none(tmp_path: Path) -> None:
    record = Record(tmp_path)
    with record.opened({}, {}):
        record.keep("a", pl.DataFrame({"x": [1.0]}), 2.5)
        found = record.evidence("a")
        assert found is not None
        assert (found[0]["x"].to_list(), found[1]) == ([1.0], 2.5)
        assert record.evidence("b") is None
        (tmp_path / "evidence" / "a.parquet").unlink()
        with pytest.warns(DamageWarning, match="it is gone; its claim is measured again"):
            assert record.evidence("a") is None
