"""In whichever order arms take turns, every run is the same to the bit, and no arm gains by its place in a round."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from normlab.study import training
from normlab.study.cells import Chunk, report_cells
from normlab.study.design import make_study
from normlab.study.laboratory import Laboratory, build_plans, named_model, set_up
from normlab.study.metrics import METRICS, rounds
from normlab.study.summary import Evidence, comparisons
from normlab.train.turns import round_number, turn_order
from tests.study.planted import planted

SETTINGS: dict[str, Any] = {
    "data": "wine",
    "network": {"widths": [8]},
    "arms": ["none", "batch", "layer"],
    "epochs": 3,
    "rates": 0.1,
    "seeds": 3,
    "batch_size": 30,
}


def test_the_order_of_turns_changes_no_number() -> None:
    from normlab.compare import prepare_training

    study = make_study(SETTINGS)
    dataset = prepare_training(study)
    laboratory = set_up(study, dataset, build_plans(study, dataset, named_model(study, dataset)))
    cells = tuple(report_cells(study, None))
    turns: list[str] = []
    found = []
    for number in (0, 1, 2):
        chunk = Chunk("report", 0, cells, number)
        epochs, runs = training.train_chunk(laboratory, study, dataset, chunk, lambda arm, _: turns.append(arm))
        found.append((epochs.drop("seconds"), runs.drop("seconds")))
    assert len({tuple(turns[start : start + 9]) for start in (0, 9, 18)}) == 3
    for epochs, runs in found[1:]:
        assert epochs.equals(found[0][0])
        assert runs.equals(found[0][1])  # hashes of the final weights included


ARMS = ["a", "b", "c"]


def _timed(slow: float, position: float, drift: float = 0.0, epochs: int = 25) -> list[dict[str, Any]]:
    """Compare seconds per step of arms of which the last is slow, where later turns of a round are cheaper."""
    curves = {arm: [[0.5] * epochs] * 6 for arm in ARMS}
    table, runs = planted(curves)
    pace = {}
    for epoch in range(1, epochs + 1):
        order = turn_order(ARMS, round_number(0, epoch, epochs))
        for place, arm in enumerate(order):
            noise = 1 + 0.002 * ((7 * epoch + 3 * place) % 11 - 5)
            pace[arm, epoch] = noise * (slow if arm == "c" else 1.0) * (1 + position * place) * (1 + drift * epoch)
    seconds = pl.struct("arm", "epoch").map_elements(lambda row: pace[row["arm"], row["epoch"]], pl.Float64)
    timed = table.with_columns(seconds=seconds)
    outcomes = runs.with_columns(
        epochs_to_target=pl.lit(1.0),
        watched_epochs=pl.lit(1.0),
        counted_test_loss=pl.col("test_loss"),
        counted_test_accuracy=pl.col("test_accuracy"),
    )
    evidence = Evidence(timed, outcomes, ARMS, "classification", 0.01, 1, None, 0.1)
    return [row for row in comparisons(evidence) if row["metric"] == "seconds_per_step"]


@pytest.mark.parametrize("position", [-0.07, 0.05])
def test_a_cheaper_place_in_the_round_favours_no_arm(position: float) -> None:
    for row in _timed(1.0, position, drift=0.02):
        assert row["verdict"] in ("equivalent", "undecided")
        assert row["difference"] == pytest.approx(0.0, abs=0.01 * row["baseline_value"])


@pytest.mark.parametrize(("slow", "verdict"), [(1.1, "worse"), (0.9, "better")])
def test_an_arm_that_is_slower_or_faster_is_found(slow: float, verdict: str) -> None:
    same, other = _timed(slow, -0.07)
    assert same["verdict"] in ("equivalent", "undecided")
    assert other["verdict"] == verdict


@pytest.mark.parametrize("slow", [1.008, 0.992])
def test_what_the_clock_itself_may_differ_by_is_no_difference(slow: float) -> None:
    assert METRICS["seconds_per_step"].clock == 0.01
    assert _timed(slow, 0.0)[1]["verdict"] == "equivalent"


def test_the_first_epoch_of_a_chunk_warms_up() -> None:
    table, _ = planted({"a": [[0.5] * 3] * 2, "b": [[0.5] * 3] * 2})
    left, right = rounds(table, 1, "a", "b")
    assert len(left) == len(right) == 2


def test_a_laboratory_keeps_the_arms_order() -> None:
    """Turns are drawn from the order of the arms in the study, whichever came first in a round."""
    laboratory = Laboratory({"x": None, "y": None}, [], 1, "map", {})  # type: ignore[dict-item]
    turns = training._turns(list(laboratory.populations), Chunk("report", 0, (), 1), 3)
    assert turns == [(1, "x"), (1, "y"), (2, "x"), (2, "y"), (3, "y"), (3, "x")]
