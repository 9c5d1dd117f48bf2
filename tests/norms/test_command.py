"""`normlab norms`: the table, one norm, and that neither waits for Keras."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from normlab.cli import app, main
from normlab.norms import NORMS


def test_the_table_lists_every_norm() -> None:
    shown = CliRunner().invoke(app, ["norms"], env={"COLUMNS": "160"})
    assert shown.exit_code == 0
    rows = {line.split("│")[1].strip(): line for line in shown.output.splitlines() if line.startswith("│")}
    assert set(NORMS) <= set(rows)
    for name, norm in NORMS.items():
        cells = [cell.strip() for cell in rows[name].split("│")[2:5]]
        words = {True: "yes", False: "no"}
        assert cells == [norm.per_unit, words[norm.couples_samples], words[norm.differs_in_evaluation]]


def test_one_norm() -> None:
    shown = CliRunner().invoke(app, ["norms", "ghost"])
    assert shown.exit_code == 0
    for text in (
        NORMS["ghost"].formula,
        NORMS["ghost"].source,
        "ghost_batch_size = 8",
        "samples coupled: yes",
        "evaluation differs: yes",
    ):
        assert text in shown.output


@pytest.mark.parametrize("name", ["run", "swap"])
def test_the_help_says_that_a_norm_of_ones_own_is_code_that_runs(name: str) -> None:
    shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "300"})
    assert "FILE.py:NAME, code" in shown.output


def test_an_unknown_norm(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["normlab", "norms", "ghots"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert "norm must be a known name, got 'ghots'; choose one of none, batch" in capsys.readouterr().err


def test_the_table_needs_no_keras() -> None:
    code = "import sys, normlab.norms; sys.exit('keras' in sys.modules or 'jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
