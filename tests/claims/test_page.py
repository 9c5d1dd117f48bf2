"""The page on claims says what the code does: ids, statements, margins, options."""

from __future__ import annotations

import inspect
import math
import re
from pathlib import Path

from normlab.claims import (
    attention,
    batch_order,
    batch_size,
    covariate_shift,
    faster_convergence,
    generalization,
    gradient_flow,
    higher_learning_rates,
    initialization,
    less_tuning,
    memory,
    output_moments,
    recurrent,
    redundant_bias,
    smoothness,
    time,
)
from normlab.claims.table import CLAIMS
from normlab.cli.claims import claims

WHOLE = (Path(__file__).resolve().parents[2] / "docs" / "claims.md").read_text(encoding="utf-8")
PAGE = WHOLE.partition("## What came out")[0]
CELLS = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in PAGE.splitlines() if line.startswith("| ")]
ROWS = [cells for cells in CELLS if len(cells) == 5 and cells[0].startswith("`")]
# By claim, the numbers in its cell of the page.
MARGINS = {
    "faster-convergence": [faster_convergence.MARGIN],
    "higher-learning-rates": [higher_learning_rates.MARGIN, round(10**higher_learning_rates.MARGIN, 1)],
    "generalization": [generalization.MARGINS["test error"], generalization.MARGINS["test loss"]],
    "gradient-flow": [gradient_flow.MARGIN],
    "initialization": [initialization.MARGIN],
    "less-tuning": [less_tuning.MARGIN],
    "covariate-shift": [math.exp(covariate_shift.MARGIN)],
    "smoothness": [math.exp(smoothness.MARGIN)],
    "batch-size": [batch_size.MARGIN],
    "memory": [memory.MARGIN],
    "time": [time.MARGIN],
    "batch-order": [batch_order.MARGIN],
    "recurrent": [recurrent.MARGIN],
    "attention": [attention.MARGIN],
    "redundant-bias": [redundant_bias.TOLERANCE],
    "output-moments": [output_moments.TOLERANCE],
}


def test_every_claim_stands_there_in_order_and_in_its_words() -> None:
    assert [(row[0].strip("`"), row[1]) for row in ROWS] == [(claim.id, claim.statement) for claim in CLAIMS.values()]
    assert all(all(row) for row in ROWS)


def test_margins_are_those_of_the_code() -> None:
    found = {row[0].strip("`"): [float(number) for number in re.findall(r"\d+(?:\.\d+)?", row[3])] for row in ROWS}
    assert found.keys() == MARGINS.keys()
    for name, numbers in found.items():
        assert [f"{number:.4g}" for number in numbers] == [f"{number:.4g}" for number in MARGINS[name]], name


def test_every_option_of_the_command_is_listed() -> None:
    named = {cells[0].partition(" ")[0].strip("`") for cells in CELLS if cells[0].startswith("`--")}
    parameters = set(inspect.signature(claims).parameters) - {"ids", "listing"}
    assert named == {f"--{name.replace('_', '-')}" for name in parameters} | {"--list"}
