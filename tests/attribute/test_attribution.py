"""Shares from records, a small study for real, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from normlab.attribute.attribution import attribution
from normlab.attribute.factors import combinations, factors_of
from normlab.report.attribution_page import render_attribution
from normlab.study.design import make_study
from tests.command import command

STUDY = make_study(
    {"arms": ["layer", {"norm": "batch", "activation": "tanh"}], "network": {"widths": [8]}, "rates": 0.1, "seeds": 3}
)


def _runs(values: dict[str, list[float]]) -> pl.DataFrame:
    rows = [
        {"stage": "report", "arm": arm, "seed": seed, "test_accuracy": value, "test_loss": 1.0, "diverged": False}
        for arm, each in values.items()
        for seed, value in enumerate(each)
    ]
    return pl.DataFrame(rows).sample(fraction=1.0, shuffle=True, seed=1)  # records come in any order


def test_shares_of_planted_records() -> None:
    """The norm gives 0.1, the activation nothing alone, both together 0.04 more."""
    noise = [0.0, 0.01, 0.02]
    planted = {"layer": 0.5, "norm": 0.6, "activation": 0.5, "batch": 0.64}
    factors = factors_of(STUDY)
    assert set(combinations(STUDY, factors).values()) == set(planted)
    found = attribution(STUDY, factors, _runs({arm: [value + n for n in noise] for arm, value in planted.items()}), 2.3)
    assert {part.names[0]: part.mean for part in found.shares} == pytest.approx({"norm": 0.12, "activation": 0.02})
    assert found.difference.mean == pytest.approx(0.14)
    assert found.interactions[0].mean == pytest.approx(0.04)
    assert found.values == pytest.approx({arm: value + 0.01 for arm, value in planted.items()})
    page = render_attribution(json.loads(json.dumps(found.as_json())))
    assert "made of norm 12.00 points and activation 2.00 points (3 pairs)" in page


def test_the_command_shares_out_the_difference(tmp_path: Path) -> None:
    file, out = tmp_path / "study.toml", tmp_path / "out"
    file.write_text(
        "rates = 0.1\nseeds = 2\nepochs = 1\nnetwork = {widths = [8]}\n"
        'arms = ["none", {norm = "batch", input_norm = true}]\n'
    )
    ended = command("attribute", file, "--out", out)
    assert ended.status == 0, ended.err
    content = json.loads((out / "attribution.json").read_text())
    assert {part["of"][0] for part in content["shares"]} == {"hidden norm", "input norm"}
    assert sum(part["mean"] for part in content["shares"]) == pytest.approx(content["difference"]["mean"])
    assert len(content["values"]) == 4
    assert "hidden norm" in ended.out
    assert (out / "attribution.html").is_file()


def test_a_study_with_one_factor_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text('arms = ["layer", "batch"]\n')
    ended = command("attribute", file, "--out", tmp_path / "out")
    assert ended.status == 2
    assert "must differ in 2 to 6 factors" in ended.err
    assert not (tmp_path / "out").exists()
